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
