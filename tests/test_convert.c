/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Known colours through every format: BT.709, YUV limited, RGB full. */
#include <stdlib.h>

#include "frame/frame.h"
#include "near.h"

/* Planes with guard bytes after each row, so that nobody writes past one. */
struct picture {
    sora_format f;
    int w, h;
    uint8_t *mem[4], *data[4];
    ptrdiff_t stride[4];
};
#define GUARD 13

static struct picture picture_new(sora_format f, int w, int h, bool upside_down)
{
    struct picture p = { .f = f, .w = w, .h = h };

    for (int i = 0; i < sora_format_planes(f); i++) {
        const int rows = sora_format_rows(f, i, h);
        p.stride[i] = (ptrdiff_t)sora_format_row_bytes(f, i, w) + GUARD;
        p.mem[i] = malloc((size_t)p.stride[i] * (size_t)rows);
        memset(p.mem[i], 0xa5, (size_t)p.stride[i] * (size_t)rows);
        p.data[i] = p.mem[i];
        if (upside_down) p.data[i] += p.stride[i] * (rows - 1), p.stride[i] = -p.stride[i];
    }
    return p;
}

static void picture_free(struct picture *p)
{
    for (int i = 0; i < sora_format_planes(p->f); i++) {
        for (int y = 0; y < sora_format_rows(p->f, i, p->h); y++)
            for (int g = 0; g < GUARD; g++)
                ck_assert_uint_eq(p->data[i][y * p->stride[i] + (ptrdiff_t)sora_format_row_bytes(p->f, i, p->w) + g], 0xa5);
        free(p->mem[i]);
    }
}

static int sample_bytes(const struct sr_format *q)
{
    return q->bits == 32 ? 4 : q->bits > 8 ? 2 : 1;
}

/* Number i of a row, whatever its type and alignment. */
static double number(const struct sr_format *q, const uint8_t *row, int i)
{
    uint16_t w;
    float f;

    if (q->bits == 8) return row[i];
    if (q->bits == 32) return memcpy(&f, row + 4 * i, 4), f;
    return memcpy(&w, row + 2 * i, 2), w;
}

/* Sample x, y of a plane; component for packed formats. */
static double sample(const struct picture *p, int plane, int x, int y, int component)
{
    return number(sr_format(p->f), p->data[plane] + y * p->stride[plane], p->f == SORA_FORMAT_RGB24 ? 3 * x + component : x);
}

static float *flat(int w, int h, float r, float g, float b)
{
    const float c[3] = { r, g, b };
    float *rgb = sr_aligned(3 * (size_t)w * (size_t)h * sizeof *rgb);

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < w * h; k++) rgb[i * w * h + k] = c[i];
    return rgb;
}

static void convert(struct picture *p, const float *rgb, int sw, int sh, int cw, int ch)
{
    struct sr_converter *k;
    sora_error err = { 0 };

    ck_assert_msg(sr_converter_open(&k, p->f, sw, sh, cw, ch, p->w, p->h, &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_converter_run(k, rgb, p->data, p->stride, &err) == SORA_OK, "%s", err.text);
    sr_converter_close(&k);
}

/* ITU-R BT.709: Y = .2126 R + .7152 G + .0722 B, Cb = (B - Y) / 1.8556, Cr = (R - Y) / 1.5748. */
static void expected(const struct sr_format *q, const float c[3], double want[3])
{
    const double y = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2], unit = (double)(1 << (q->bits == 32 ? 0 : q->bits - 8));
    const double full = q->bits == 32 ? 1 : (double)(1 << q->bits) - 1;

    if (q->yuv) {
        want[0] = (16 + 219 * y) * unit;
        want[1] = (128 + 224 * (c[2] - y) / 1.8556) * unit;
        want[2] = (128 + 224 * (c[0] - y) / 1.5748) * unit;
    } else {
        for (int i = 0; i < 3; i++) want[i] = c[i] * full;
    }
}

/* Each sample is one of the two code values around the exact one, and dither keeps the mean. */
static void check_flat(const struct picture *p, const float c[3])
{
    const struct sr_format *q = sr_format(p->f);
    double want[3];

    expected(q, c, want);
    for (int i = 0; i < 3; i++) {
        const bool packed = p->f == SORA_FORMAT_RGB24;
        const int plane = packed ? 0 : i, component = packed ? i : 0;
        const int rgb = p->f == SORA_FORMAT_GBRP || p->f == SORA_FORMAT_GBRP10 || p->f == SORA_FORMAT_GBRP16 ? (i + 1) % 3 : i;
        const int w = packed ? p->w : (int)sora_format_row_bytes(p->f, plane, p->w) / sample_bytes(q);
        const int h = sora_format_rows(p->f, plane, p->h);
        double mean = 0;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                const double v = sample(p, plane, x, y, component);
                ck_assert_msg(fabs(v - want[rgb]) < (q->bits == 32 ? 1e-4 : 1.01), "format %d plane %d at %d,%d: %g, wanted %g",
                              p->f, i, x, y, v, want[rgb]);
                mean += v / (w * h);
            }
        if (w * h >= 256) ck_assert_double_eq_tol(mean, want[rgb], q->bits == 8 ? 0.15 : q->bits == 32 ? 1e-4 : 0.51);
    }
}

START_TEST(test_colours)
{
    static const float colours[][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }, { 1, 1, 1 }, { 0, 0, 0 }, { 0.5f, 0.5f, 0.5f },
                                        { 0.2f, 0.7f, 0.4f } };

    for (int f = 0; f < SORA_FORMAT_COUNT; f++)
        for (size_t i = 0; i < SR_COUNT(colours); i++) {
            float *rgb = flat(64, 32, colours[i][0], colours[i][1], colours[i][2]);
            struct picture p = picture_new((sora_format)f, 64, 32, i % 2);
            convert(&p, rgb, 64, 32, 64, 32);
            check_flat(&p, colours[i]);
            picture_free(&p);
            sr_free(rgb);
        }
}
END_TEST

/* The numbers that anyone can look up: pure red in 10 bit, where nothing is dithered. */
START_TEST(test_red)
{
    float *rgb = flat(32, 16, 1, 0, 0);
    struct picture p = picture_new(SORA_FORMAT_YUV444P10, 32, 16, false);

    convert(&p, rgb, 32, 16, 32, 16);
    ck_assert_double_eq(sample(&p, 0, 3, 3, 0), 250);               /* 62.56 * 4 */
    ck_assert_double_eq(sample(&p, 1, 3, 3, 0), 409);               /* 102.34 * 4 */
    ck_assert_double_eq(sample(&p, 2, 3, 3, 0), 960);               /* 240 * 4 */
    picture_free(&p);
    p = picture_new(SORA_FORMAT_YUV420P, 32, 16, false);
    convert(&p, rgb, 32, 16, 32, 16);
    for (int x = 0; x < 16; x++) {
        const double y = sample(&p, 0, x, 0, 0), cb = sample(&p, 1, x, 0, 0);
        ck_assert(y == 62 || y == 63);
        ck_assert(cb == 102 || cb == 103);
        ck_assert_double_eq(sample(&p, 2, x, 0, 0), 240);
    }
    picture_free(&p);
    sr_free(rgb);
}
END_TEST

/* Every small size, odd ones too: all samples written, none past the end, colours kept. */
START_TEST(test_sizes)
{
    const float c[3] = { 0.8f, 0.3f, 0.1f };

    for (int f = 0; f < SORA_FORMAT_COUNT; f++)
        for (int w = 16; w < 36; w += 3)
            for (int h = 17; h < 20; h++) {
                float *rgb = flat(w, h, c[0], c[1], c[2]);
                struct picture p = picture_new((sora_format)f, w, h, false);
                convert(&p, rgb, w, h, w, h);
                check_flat(&p, c);
                picture_free(&p);
                sr_free(rgb);
            }
}
END_TEST

/* What lies outside the crop never shows, scaled or not, at odd sizes either. */
START_TEST(test_crop)
{
    static const int sizes[][2] = { { 40, 20 }, { 80, 40 }, { 20, 16 }, { 41, 21 } };
    const float c[3] = { 0.25f, 0.5f, 0.75f };
    float *rgb = flat(64, 32, c[0], c[1], c[2]);

    for (int i = 0; i < 3; i++)
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 64; x++)
                if (x >= 40 || y >= 20) rgb[(i * 32 + y) * 64 + x] = 1;
    for (int f = 0; f < SORA_FORMAT_COUNT; f++)
        for (size_t k = 0; k < SR_COUNT(sizes); k++) {
            struct picture p = picture_new((sora_format)f, sizes[k][0], sizes[k][1], false);
            convert(&p, rgb, 64, 32, 40, 20);
            check_flat(&p, c);
            picture_free(&p);
        }
    sr_free(rgb);
}
END_TEST

/* A ramp keeps its place: no shift by the odd-size path, none by scaling. */
START_TEST(test_place)
{
    enum { W = 33, H = 17 };
    float *rgb = flat(W, H, 0, 0, 0);
    struct picture p = picture_new(SORA_FORMAT_YUV420P10, W, H, false), q = picture_new(SORA_FORMAT_RGBPF32, W, H, false);
    struct picture twice = picture_new(SORA_FORMAT_RGBPF32, 2 * W, 2 * H, false);

    for (int i = 0; i < 3; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) rgb[(i * H + y) * W + x] = ((float)x + (float)y) / (W + H);
    convert(&p, rgb, W, H, W, H);
    convert(&q, rgb, W, H, W, H);
    convert(&twice, rgb, W, H, W, H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            ck_assert_double_eq(sample(&q, 0, x, y, 0), rgb[y * W + x]);
            ck_assert_double_eq_tol(sample(&p, 0, x, y, 0), (16 + 219 * (double)rgb[y * W + x]) * 4, 0.51);
        }
    for (int y = 4; y < 2 * H - 4; y++)             /* pixel centres: 2x + .5 shows (x + .25) - .5 */
        for (int x = 4; x < 2 * W - 4; x++)
            ck_assert_double_eq_tol(sample(&twice, 0, x, y, 0), (x / 2.0 - 0.25 + y / 2.0 - 0.25) / (W + H), 2e-3);
    picture_free(&p);
    picture_free(&q);
    picture_free(&twice);
    sr_free(rgb);
}
END_TEST

/* Two runs give the same bytes: dither has no memory. */
START_TEST(test_still)
{
    float *rgb = flat(64, 32, 0.3f, 0.31f, 0.32f);
    struct picture a = picture_new(SORA_FORMAT_YUV420P, 64, 32, false), b = picture_new(SORA_FORMAT_YUV420P, 64, 32, false);
    struct sr_converter *k;

    ck_assert_int_eq(sr_converter_open(&k, SORA_FORMAT_YUV420P, 64, 32, 64, 32, 64, 32, NULL), SORA_OK);
    ck_assert_int_eq(sr_converter_run(k, rgb, a.data, a.stride, NULL), SORA_OK);
    ck_assert_int_eq(sr_converter_run(k, rgb, b.data, b.stride, NULL), SORA_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_mem_eq(a.mem[i], b.mem[i], (size_t)a.stride[i] * (size_t)sora_format_rows(a.f, i, 32));
    sr_converter_close(&k);
    picture_free(&a);
    picture_free(&b);
    sr_free(rgb);
}
END_TEST

/* From one picture to another and back, in every format: to the nearest number, and exactly there at the end. */
START_TEST(test_blend)
{
    enum { W = 35, H = 19 };
    const float k[] = { 0.5f, 0.1f, 0, 1 };
    float *rgb[2] = { flat(W, H, 0.1f, 0.9f, 0.5f), flat(W, H, 1, 0, 0.45f) };

    for (sora_format f = 0; f < SORA_FORMAT_COUNT; f++)
        for (size_t i = 0; i < 2 * SR_COUNT(k); i++) {
            const struct sr_format *q = sr_format(f);
            struct sr_planes p[3];              /* blended, what it was, what is blended in */
            struct sr_converter *c;

            ck_assert_int_eq(sr_converter_open(&c, f, W, H, W, H, W, H, NULL), SORA_OK);
            for (int j = 0; j < 3; j++) {
                ck_assert_int_eq(sr_planes_alloc(&p[j], f, W, H, NULL), SORA_OK);
                ck_assert_int_eq(sr_converter_run(c, rgb[(i + (size_t)j / 2) % 2], p[j].data, p[j].stride, NULL), SORA_OK);
            }
            sr_planes_blend(f, W, H, &p[0], &p[2], k[i / 2]);
            for (int n = 0; n < sora_format_planes(f); n++)
                for (int y = 0; y < sora_format_rows(f, n, H); y++)
                    for (int x = 0; x < (int)sora_format_row_bytes(f, n, W) / sample_bytes(q); x++) {
                        double v[3];
                        for (int j = 0; j < 3; j++) v[j] = number(q, p[j].data[n] + y * p[j].stride[n], x);
                        ck_assert_double_eq_tol(v[0], v[1] + k[i / 2] * (v[2] - v[1]), q->bits > 16 ? 1e-6 : 0.501);
                    }
            for (int j = 0; j < 3; j++) sr_planes_free(&p[j]);
            sr_converter_close(&c);
        }
    sr_free(rgb[0]);
    sr_free(rgb[1]);
}
END_TEST

START_TEST(test_refused)
{
    uint8_t *none[4] = { 0 };
    const ptrdiff_t stride[4] = { 64 };
    struct sr_converter *k;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_converter_open(&k, SORA_FORMAT_COUNT, 16, 16, 16, 16, 16, 16, NULL), SORA_ERR_OPTION);
    ck_assert_ptr_null(k);
    ck_assert_int_eq(sr_converter_open(&k, SORA_FORMAT_GBRP, 16, 16, 17, 16, 16, 16, NULL), SORA_ERR_OPTION);
    ck_assert_int_eq(sr_converter_open(&k, SORA_FORMAT_GBRP, 16, 16, 16, 16, 16, 16, NULL), SORA_OK);
    ck_assert_int_eq(sr_converter_run(k, NULL, none, stride, &err), SORA_ERR_OPTION);
    ck_assert_str_eq(err.text, "frame: plane 0 is NULL; give one for each plane of the format");
    sr_converter_close(&k);
    for (unsigned long n = 1;; n++) {
        sora_result r;
        sr_mem_fail_after(n);
        r = sr_converter_open(&k, SORA_FORMAT_YUV420P, 16, 16, 16, 16, 33, 17, NULL);
        sr_mem_fail_after(0);
        ck_assert(r == SORA_OK ? k != NULL : r == SORA_ERR_NOMEM && !k);
        sr_converter_close(&k);
        if (r == SORA_OK) break;
    }
}
END_TEST

RUN_TESTS("convert", test_colours, test_red, test_sizes, test_crop, test_place, test_still, test_blend, test_refused)
