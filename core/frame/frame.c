/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a pixel format means in bytes. */
#include "frame/frame.h"

static const struct sr_format formats[SORA_FORMAT_COUNT] = {
    /*                          planes  bits  sub_w  sub_h  yuv */
    [SORA_FORMAT_YUV420P]   = { 3,      8,    1,     1,     true },
    [SORA_FORMAT_YUV422P]   = { 3,      8,    1,     0,     true },
    [SORA_FORMAT_YUV444P]   = { 3,      8,    0,     0,     true },
    [SORA_FORMAT_YUV420P10] = { 3,      10,   1,     1,     true },
    [SORA_FORMAT_YUV422P10] = { 3,      10,   1,     0,     true },
    [SORA_FORMAT_YUV444P10] = { 3,      10,   0,     0,     true },
    [SORA_FORMAT_RGB24]     = { 1,      8,    0,     0,     false },
    [SORA_FORMAT_GBRP]      = { 3,      8,    0,     0,     false },
    [SORA_FORMAT_GBRP10]    = { 3,      10,   0,     0,     false },
    [SORA_FORMAT_GBRP16]    = { 3,      16,   0,     0,     false },
    [SORA_FORMAT_RGBPF32]   = { 3,      32,   0,     0,     false },
};

const struct sr_format *sr_format(sora_format f)
{
    return (int)f >= 0 && f < SORA_FORMAT_COUNT ? &formats[f] : NULL;
}

int sora_format_planes(sora_format f)
{
    const struct sr_format *k = sr_format(f);

    return k ? k->planes : 0;
}

size_t sora_format_row_bytes(sora_format f, int p, int width)
{
    const struct sr_format *k = sr_format(f);
    size_t w = (size_t)SR_MAX(width, 0);

    if (!k || p < 0 || p >= k->planes) return 0;
    if (p > 0) w = (w + ((size_t)1 << k->sub_w) - 1) >> k->sub_w;
    if (f == SORA_FORMAT_RGB24) w *= 3;
    return w * (k->bits > 16 ? 4 : k->bits > 8 ? 2 : 1);
}

int sora_format_rows(sora_format f, int p, int height)
{
    const struct sr_format *k = sr_format(f);

    if (!k || p < 0 || p >= k->planes || height < 0) return 0;
    return p > 0 ? (height + (1 << k->sub_h) - 1) >> k->sub_h : height;
}

void sora_frame_init_sized(sora_frame *f, size_t size)
{
    memset(f, 0, size);
    f->size = size;
}

sora_result sr_planes_alloc(struct sr_planes *p, sora_format f, int width, int height, sora_error *err)
{
    size_t offset[4] = { 0 }, bytes = 0;
    const int planes = sora_format_planes(f);

    memset(p, 0, sizeof *p);
    for (int i = 0; i < planes; i++) {
        const size_t stride = SR_ROUND_UP(sora_format_row_bytes(f, i, width), SR_ROW_ALIGN);
        size_t n;
        p->stride[i] = (ptrdiff_t)stride;
        offset[i] = bytes;
        if (SR_MUL_OVERFLOWS(stride, (size_t)sora_format_rows(f, i, height), &n) || SR_ADD_OVERFLOWS(bytes, n, &bytes))
            return sr_fail_nomem(err, n, "picture");
    }
    if (!(p->memory = sr_aligned(bytes))) return sr_fail_nomem(err, bytes, "picture");
    for (int i = 0; i < planes; i++) p->data[i] = (uint8_t *)p->memory + offset[i];
    return SORA_OK;
}

void sr_planes_free(struct sr_planes *p)
{
    sr_free(p->memory);
    memset(p, 0, sizeof *p);
}

sora_result sr_planes_check(sora_format f, uint8_t *const data[4], sora_error *err)
{
    for (int i = 0; i < sora_format_planes(f); i++)
        if (!data[i]) return sr_fail(err, SORA_ERR_OPTION, "frame: plane %d is NULL; give one for each plane of the format", i);
    return SORA_OK;
}

void sr_copy_rows(uint8_t *to, ptrdiff_t to_stride, const uint8_t *from, ptrdiff_t from_stride, size_t bytes, int rows)
{
    for (int y = 0; y < rows; y++) memcpy(to + y * to_stride, from + y * from_stride, bytes);
}

void sr_planes_copy(sora_format f, int width, int height, uint8_t *const to[4], const ptrdiff_t to_stride[4],
                    const struct sr_planes *from)
{
    for (int i = 0; i < sora_format_planes(f); i++)
        sr_copy_rows(to[i], to_stride[i], from->data[i], from->stride[i], sora_format_row_bytes(f, i, width),
                     sora_format_rows(f, i, height));
}

static void blend_row(uint8_t *to, const uint8_t *from, size_t bytes, int bits, float k)
{
    if (bits > 16) {
        float *a = (float *)(void *)to;
        const float *b = (const float *)(const void *)from;
        for (size_t i = 0; i < bytes / sizeof *a; i++) a[i] += k * (b[i] - a[i]);
    } else if (bits > 8) {
        uint16_t *a = (uint16_t *)(void *)to;
        const uint16_t *b = (const uint16_t *)(const void *)from;
        for (size_t i = 0; i < bytes / sizeof *a; i++) a[i] = (uint16_t)((float)a[i] + k * (float)(b[i] - a[i]) + 0.5f);
    } else {
        for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)((float)to[i] + k * (float)(from[i] - to[i]) + 0.5f);
    }
}

void sr_planes_blend(sora_format f, int width, int height, struct sr_planes *to, const struct sr_planes *from, float k)
{
    for (int i = 0; i < sora_format_planes(f); i++)
        for (int y = 0; y < sora_format_rows(f, i, height); y++)
            blend_row(to->data[i] + y * to->stride[i], from->data[i] + y * from->stride[i], sora_format_row_bytes(f, i, width),
                      sr_format(f)->bits, k);
}
