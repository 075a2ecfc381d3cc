/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <zimg.h>

#include "frame/frame.h"

struct sr_converter {
    sora_format format;
    int src_w, src_h, crop_w, crop_h, dst_w, dst_h;
    int pad_w, pad_h;           /* the picture zimg writes: dst, up to whole chroma samples */
    zimg_filter_graph *graph;   /* NULL: floats are copied */
    void *work;                 /* scratch of the graph */
    float *src;                 /* [3, crop_h, src_stride] where the caller's rows are not aligned; allocated at need */
    ptrdiff_t src_stride;       /* bytes */
    uint8_t *dst[3];            /* zimg's order: Y U V or R G B */
    ptrdiff_t dst_stride[3];
};

static sora_result fail_zimg(sora_error *err)
{
    char text[256] = "";

    zimg_get_last_error(text, sizeof text);
    zimg_clear_last_error();
    return sr_fail(err, SORA_ERR_INTERNAL, "zimg: %s", text[0] ? text : "unknown error");
}

static zimg_image_format source(const struct sr_converter *k)
{
    zimg_image_format f;

    zimg_image_format_default(&f, ZIMG_API_VERSION);
    f.width = (unsigned)k->crop_w;
    f.height = (unsigned)k->crop_h;
    f.pixel_type = ZIMG_PIXEL_FLOAT;
    f.color_family = ZIMG_COLOR_RGB;
    f.matrix_coefficients = ZIMG_MATRIX_RGB;
    f.transfer_characteristics = ZIMG_TRANSFER_BT709;
    f.color_primaries = ZIMG_PRIMARIES_BT709;
    f.pixel_range = ZIMG_RANGE_FULL;
    /* An odd picture in 4:2:0 has a column or row more: the region grows with it, so that the scale stays. */
    if (k->pad_w != k->dst_w || k->pad_h != k->dst_h) {
        f.active_region.left = f.active_region.top = 0;
        f.active_region.width = (double)k->crop_w * k->pad_w / k->dst_w;
        f.active_region.height = (double)k->crop_h * k->pad_h / k->dst_h;
    }
    return f;
}

static zimg_image_format target(const struct sr_converter *k, const struct sr_format *q)
{
    zimg_image_format f = source(k);

    f.width = (unsigned)k->pad_w;
    f.height = (unsigned)k->pad_h;
    f.active_region.left = f.active_region.top = f.active_region.width = f.active_region.height = NAN;
    f.pixel_type = q->bits == 32 ? ZIMG_PIXEL_FLOAT : q->bits > 8 ? ZIMG_PIXEL_WORD : ZIMG_PIXEL_BYTE;
    f.depth = (unsigned)q->bits;
    if (q->yuv) {
        f.color_family = ZIMG_COLOR_YUV;
        f.matrix_coefficients = ZIMG_MATRIX_BT709;
        f.pixel_range = ZIMG_RANGE_LIMITED;
        f.subsample_w = (unsigned)q->sub_w;
        f.subsample_h = (unsigned)q->sub_h;
        f.chroma_location = ZIMG_CHROMA_LEFT;
    }
    return f;
}

static sora_result build(struct sr_converter *k, const struct sr_format *q, sora_error *err)
{
    zimg_image_format from = source(k), to = target(k, q);
    zimg_graph_builder_params p;
    size_t n;

    zimg_graph_builder_params_default(&p, ZIMG_API_VERSION);
    p.resample_filter = ZIMG_RESIZE_LANCZOS;
    p.filter_param_a = 3;
    p.dither_type = q->bits == 8 ? ZIMG_DITHER_ORDERED : ZIMG_DITHER_NONE;
    p.cpu_type = ZIMG_CPU_AUTO_64B;
    if (!(k->graph = zimg_filter_graph_build(&from, &to, &p))) return fail_zimg(err);
    if (zimg_filter_graph_get_tmp_size(k->graph, &n)) return fail_zimg(err);
    if (!(k->work = sr_aligned(n))) return sr_fail_nomem(err, n, "frame conversion");
    return SORA_OK;
}

static sora_result buffers(struct sr_converter *k, const struct sr_format *q, sora_error *err)
{
    const size_t sample = q->bits == 32 ? 4 : q->bits > 8 ? 2 : 1;
    size_t n;

    k->src_stride = (ptrdiff_t)SR_ROUND_UP((size_t)k->crop_w * sizeof(float), SR_ROW_ALIGN);
    for (int p = 0; p < 3; p++) {
        const int w = p ? k->pad_w >> q->sub_w : k->pad_w, h = p ? k->pad_h >> q->sub_h : k->pad_h;
        k->dst_stride[p] = (ptrdiff_t)SR_ROUND_UP((size_t)w * sample, SR_ROW_ALIGN);
        n = (size_t)k->dst_stride[p] * (size_t)h;
        if (!(k->dst[p] = sr_aligned(n))) return sr_fail_nomem(err, n, "frame conversion");
    }
    return SORA_OK;
}

sora_result sr_converter_open(struct sr_converter **k, sora_format format, int src_w, int src_h, int crop_w, int crop_h,
                              int dst_w, int dst_h, sora_error *err)
{
    const struct sr_format *q = sr_format(format);
    struct sr_converter *v = sr_zalloc(sizeof *v);
    sora_result r = SORA_OK;

    *k = NULL;
    if (!v) return sr_fail_nomem(err, sizeof *v, "frame conversion");
    if (!q || crop_w < 1 || crop_h < 1 || crop_w > src_w || crop_h > src_h || dst_w < 1 || dst_h < 1) {
        r = sr_fail(err, SORA_ERR_OPTION, "frame conversion: %dx%d of %dx%d to %dx%d, format %d, cannot be done", crop_w, crop_h,
                    src_w, src_h, dst_w, dst_h, (int)format);
        goto done;
    }
    v->format = format;
    v->src_w = src_w;
    v->src_h = src_h;
    v->crop_w = crop_w;
    v->crop_h = crop_h;
    v->dst_w = dst_w;
    v->dst_h = dst_h;
    v->pad_w = SR_ROUND_UP(dst_w, 1 << q->sub_w);
    v->pad_h = SR_ROUND_UP(dst_h, 1 << q->sub_h);
    if (format == SORA_FORMAT_RGBPF32 && crop_w == dst_w && crop_h == dst_h) goto done;
    if ((r = build(v, q, err)) < 0 || (r = buffers(v, q, err)) < 0) goto done;
done:
    if (r < 0) sr_converter_close(&v);
    *k = v;
    return r;
}

void sr_converter_close(struct sr_converter **k)
{
    struct sr_converter *v = *k;

    if (!v) return;
    zimg_filter_graph_free(v->graph);
    sr_free(v->work);
    sr_free(v->src);
    for (int p = 0; p < 3; p++) sr_free(v->dst[p]);
    sr_free(v);
    *k = NULL;
}

/* zimg writes floats past 0..1 where Lanczos rings. */
static void copy_floats(uint8_t *to, ptrdiff_t to_stride, const uint8_t *from, ptrdiff_t from_stride, int w, int h)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float v;
            memcpy(&v, from + y * from_stride + x * 4, sizeof v);
            v = SR_CLAMP(v, 0.0f, 1.0f);
            memcpy(to + y * to_stride + x * 4, &v, sizeof v);
        }
}

static void pack_rgb(const struct sr_converter *k, uint8_t *to, ptrdiff_t stride)
{
    for (int y = 0; y < k->dst_h; y++) {
        const uint8_t *r = k->dst[0] + y * k->dst_stride[0], *g = k->dst[1] + y * k->dst_stride[1],
                      *b = k->dst[2] + y * k->dst_stride[2];
        uint8_t *row = to + y * stride;
        for (int x = 0; x < k->dst_w; x++) {
            row[3 * x] = r[x];
            row[3 * x + 1] = g[x];
            row[3 * x + 2] = b[x];
        }
    }
}

/* zimg's planes to the caller's, which may have any alignment and rows from the bottom up. */
static void deliver(const struct sr_converter *k, uint8_t *const data[4], const ptrdiff_t stride[4])
{
    const bool gbr = k->format == SORA_FORMAT_GBRP || k->format == SORA_FORMAT_GBRP10 || k->format == SORA_FORMAT_GBRP16;

    if (k->format == SORA_FORMAT_RGB24) {
        pack_rgb(k, data[0], stride[0]);
        return;
    }
    for (int p = 0; p < 3; p++) {
        const int from = gbr ? (p + 1) % 3 : p;             /* G B R out of R G B */
        if (k->format == SORA_FORMAT_RGBPF32)
            copy_floats(data[p], stride[p], k->dst[from], k->dst_stride[from], k->dst_w, k->dst_h);
        else
            sr_copy_rows(data[p], stride[p], k->dst[from], k->dst_stride[from], sora_format_row_bytes(k->format, p, k->dst_w),
                      sora_format_rows(k->format, p, k->dst_h));
    }
}

sora_result sr_converter_run(struct sr_converter *k, const float *rgb, uint8_t *const data[4], const ptrdiff_t stride[4],
                             sora_error *err)
{
    const ptrdiff_t row = (ptrdiff_t)k->src_w * (ptrdiff_t)sizeof *rgb, plane = row * k->src_h;
    const bool aligned = (uintptr_t)rgb % SR_ROW_ALIGN == 0 && row % SR_ROW_ALIGN == 0;
    zimg_image_buffer_const from = { .version = ZIMG_API_VERSION };
    zimg_image_buffer to = { .version = ZIMG_API_VERSION };
    sora_result r;

    if ((r = sr_planes_check(k->format, data, err)) < 0) return r;
    if (!k->graph) {
        for (int p = 0; p < 3; p++)
            sr_copy_rows(data[p], stride[p], (const uint8_t *)rgb + p * plane, row, (size_t)k->dst_w * sizeof *rgb, k->dst_h);
        return SORA_OK;
    }
    if (!aligned && !k->src) {
        const size_t n = 3 * (size_t)k->src_stride * (size_t)k->crop_h;
        if (!(k->src = sr_aligned(n))) return sr_fail_nomem(err, n, "frame conversion");
    }
    for (int p = 0; p < 3; p++) {
        const uint8_t *s = (const uint8_t *)rgb + p * plane;
        uint8_t *copy = (uint8_t *)k->src + p * k->src_stride * k->crop_h;
        if (!aligned) sr_copy_rows(copy, k->src_stride, s, row, (size_t)k->crop_w * sizeof *rgb, k->crop_h);
        from.plane[p].data = aligned ? s : copy;
        from.plane[p].stride = aligned ? row : k->src_stride;
        from.plane[p].mask = ZIMG_BUFFER_MAX;
        to.plane[p].data = k->dst[p];
        to.plane[p].stride = k->dst_stride[p];
        to.plane[p].mask = ZIMG_BUFFER_MAX;
    }
    if (zimg_filter_graph_process(k->graph, &from, &to, k->work, NULL, NULL, NULL, NULL)) return fail_zimg(err);
    deliver(k, data, stride);
    return SORA_OK;
}
