/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations against a naive double reference, the scratch arena, planning, and cancel. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "near.h"
#include "tensor/dnnl.h"
#include "tensor/op.h"

static float *random_floats(size_t n, uint64_t stream)
{
    float *x = malloc((n + 4) * sizeof *x);

    sr_rng_normal(x, n, 99, stream, 0);
    return x;
}

/* NULL where this CPU has no such precision. */
static struct sr_ctx *ctx_of(enum sr_type act, int threads)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };
    const char *isa = getenv("ONEDNN_MAX_CPU_ISA");     /* ops_avx2.sh: oneDNN as on an older CPU */
    const unsigned cpu = isa && !strcmp(isa, "AVX2") ? SR_CPU_AVX2 : ~0u;
    const sora_result r = sr_ctx_open(&c, act, threads, cpu, NULL, NULL, &err);

    ck_assert_msg(r == SORA_OK || (act == SR_BF16 && r == SORA_ERR_UNSUPPORTED), "%s", err.text);
    return c;
}

static struct sr_cancel stop;

static struct sr_ctx *cancellable(int threads)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };

    atomic_store(&stop.set, false);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, threads, ~0u, NULL, &stop, &err), SORA_OK);
    return c;
}

/* Sets the flag after some milliseconds, from another thread. */
static void *cancel_soon(void *ms)
{
    const struct timespec t = { 0, *(const int *)ms * 1000000 };

    nanosleep(&t, NULL);
    atomic_store(&stop.set, true);
    return NULL;
}

static struct sr_tensor matrix(float *data, size_t rows, size_t cols)
{
    return (struct sr_tensor){ data, SR_F32, rows, cols, cols };
}

static struct sr_param param(const float *data, size_t n)
{
    return (struct sr_param){ data, SR_F32, n, 0, 0, 0 };
}

/* y as floats */
static float *floats_of(const struct sr_tensor *y)
{
    float *out = malloc(y->rows * y->cols * sizeof *out);

    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++)
            out[i * y->cols + j] = y->type == SR_F32 ? ((const float *)y->data)[i * y->stride + j]
                                                     : sr_bf16_to_f32(((const uint16_t *)y->data)[i * y->stride + j]);
    return out;
}

static double activate(double v, enum sr_act act)
{
    switch (act) {
    case SR_ACT_GELU_TANH: return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case SR_ACT_SILU: return v / (1 + exp(-v));
    case SR_ACT_RELU: return v > 0 ? v : 0;
    default: return v;
    }
}

struct linear_case {
    size_t M, in, out[3];
    int parts;
    bool bias, view;
    enum sr_act act;
    enum sr_type x, y;
};

static void check_linear(enum sr_type act_type, int threads, const struct linear_case *t)
{
    struct sr_ctx *c = ctx_of(act_type, threads);
    const size_t stride = t->view ? t->in + 24 : t->in;
    size_t out = 0, at = 0;
    struct sr_param w[3], b[3];
    struct sr_linear *l = NULL;
    sora_error err = { 0 };
    float *x = random_floats(t->M * stride, 1), *weight, *bias, *want, *got;
    struct sr_tensor tx = { x + (t->view ? 8 : 0), SR_F32, t->M, t->in, stride }, *y;
    uint16_t *half = malloc(t->M * stride * sizeof *half);

    if (!c) goto done;
    for (int i = 0; i < t->parts; i++) out += t->out[i];
    weight = random_floats(out * t->in, 2);
    bias = random_floats(out, 3);
    for (size_t i = 0; i < out * t->in; i++) weight[i] /= sqrtf((float)t->in);
    for (int i = 0; i < t->parts; at += t->out[i++]) {
        w[i] = param(weight + at * t->in, t->out[i] * t->in);
        b[i] = param(t->bias && i != 1 ? bias + at : NULL, t->out[i]);      /* the second part never has one */
        if (i == 1) memset(bias + at, 0, t->out[i] * sizeof *bias);
    }
    if (t->x == SR_BF16) {
        for (size_t i = 0; i < t->M * stride; i++) half[i] = sr_f32_to_bf16(x[i]), x[i] = sr_bf16_to_f32(half[i]);
        tx.data = half + (t->view ? 8 : 0);
        tx.type = SR_BF16;
    }
    ck_assert_msg(sr_linear_open(c, &l, w, t->bias ? b : NULL, t->out, t->parts, t->in, false, &err) == SORA_OK, "%s",
                  err.text);
    ck_assert_uint_ge(sr_linear_bytes(l), out * t->in * sr_type_size(act_type));
    sr_ctx_plan(c);
    sr_linear(c, l, &tx, t->act, t->y);
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
    y = sr_linear(c, l, &tx, t->act, t->y);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    ck_assert_uint_eq(y->rows, t->M);
    ck_assert_uint_eq(y->cols, out);

    want = malloc(t->M * out * sizeof *want);
    for (size_t i = 0; i < t->M; i++)
        for (size_t j = 0; j < out; j++) {
            double sum = t->bias ? bias[j] : 0;
            for (size_t k = 0; k < t->in; k++)
                sum += (double)x[i * stride + k + (t->view ? 8 : 0)] * weight[j * t->in + k];
            want[i * out + j] = (float)activate(sum, t->act);
        }
    got = floats_of(y);
    assert_rel_l2(got, want, t->M * out, act_type == SR_BF16 ? 6e-3 : t->y == SR_BF16 ? 3e-3 : 2e-6);
    free(got);
    free(want);
    free(weight);
    free(bias);
    sr_linear_close(&l);
    sr_ctx_close(&c);
done:
    free(half);
    free(x);
}

static const struct linear_case linears[] = {
    { 1, 256, { 384 }, 1, true, false, SR_ACT_SILU, SR_F32, SR_F32 },
    { 77, 128, { 96, 64, 32 }, 3, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
    { 65, 96, { 200 }, 1, false, true, SR_ACT_GELU_TANH, SR_F32, SR_F32 },
    { 300, 33, { 20 }, 1, true, true, SR_ACT_RELU, SR_F32, SR_F32 },
    { 129, 512, { 100, 3 }, 2, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
    { 5, 1024, { 1 }, 1, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
};

START_TEST(test_linear_f32)
{
    for (size_t i = 0; i < SR_COUNT(linears); i++) check_linear(SR_F32, 2, &linears[i]);
}
END_TEST

START_TEST(test_linear_bf16)
{
    for (size_t i = 0; i < SR_COUNT(linears); i++)
        for (int types = 0; types < 4; types++) {
            struct linear_case t = linears[i];
            t.x = types & 1 ? SR_BF16 : SR_F32;
            t.y = types & 2 ? SR_BF16 : SR_F32;
            check_linear(SR_BF16, 2, &t);
        }
}
END_TEST

/* Three blocks of rows, the last shorter; every number of threads gives the same bits. */
START_TEST(test_linear_threads)
{
    static const size_t sizes[][3] = { { 3000, 1100, 2900 }, { 1, 3000, 500 }, { 40, 5000, 64 }, { 200, 4096, 80 },
                                       { 777, 300, 200 }, { 50, 64, 16 }, { 390, 1536, 400 } };

    for (int type = 0; type < 2; type++)
        for (size_t s = 0; s < SR_COUNT(sizes); s++) {
            const size_t M = sizes[s][0], in = sizes[s][1], out = sizes[s][2];
            float *x = random_floats(M * in, 1), *first = NULL;
            const int counts[] = { 1, 2, 3, 7 };

            for (size_t i = 0; i < SR_COUNT(counts); i++) {
                struct sr_ctx *c = ctx_of(type ? SR_BF16 : SR_F32, counts[i]);
                const struct sr_param w = { NULL, SR_F32, in * out, 5, 0.02f, 0 };
                struct sr_tensor tx = matrix(x, M, in), *y;
                struct sr_linear *l;
                sora_error err = { 0 };

                if (!c) break;
                ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &out, 1, in, false, &err), SORA_OK);
                sr_ctx_plan(c);
                sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
                ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
                y = sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
                ck_assert_msg(!c->err.code, "%s", c->err.text);
                if (!first)
                    first = floats_of(y);
                else
                    ck_assert_msg(!memcmp(first, y->data, M * out * sizeof *first),
                                  "%s %zu x %zu x %zu: other bits with %d threads", sr_type_name(c->act), M, in, out,
                                  counts[i]);
                sr_linear_close(&l);
                sr_ctx_close(&c);
            }
            free(first);
            free(x);
        }
}
END_TEST

/* A file's numbers from an odd address, and a type that is not read. */
START_TEST(test_param)
{
    static const uint16_t halves[] = { 0x0000, 0x3c00, 0xc000, 0x3555 };       /* 0, 1, -2, 0.333 in f16 */
    uint8_t odd[9];
    const struct sr_param h = { odd + 1, SR_F16, 4, 0, 0, 0 };
    struct sr_param bad = h;
    float *a;
    sora_error err = { 0 };

    memcpy(odd + 1, halves, sizeof halves);
    ck_assert(sr_param_f32(&a, &h, &err) == SORA_OK);
    ck_assert(a[0] == 0 && a[1] == 1 && a[2] == -2 && fabsf(a[3] - 1.0f / 3) < 1e-4f);
    sr_free(a);
    bad.type = SR_S8;
    ck_assert_int_eq(sr_param_f32(&a, &bad, &err), SORA_ERR_UNSUPPORTED);
    ck_assert(a == NULL && strstr(err.text, "I8"));
}
END_TEST

START_TEST(test_scratch)
{
    struct sr_ctx *c = ctx_of(SR_F32, 1);
    struct sr_tensor *a, *b, v;
    sora_error err = { 0 };
    size_t mark;

    sr_ctx_plan(c);
    ck_assert(sr_ctx_skip(c));
    a = sr_scratch(c, 3, 5, SR_F32);
    mark = sr_scratch_mark(c);
    b = sr_scratch(c, 100, 7, SR_BF16);
    ck_assert(a != b && !a->data && !b->data && b->cols == 7);
    v = sr_cols(b, 2, 3);
    ck_assert(!v.data && v.stride == 7);
    sr_scratch_release(c, mark);
    sr_scratch(c, 90, 7, SR_BF16);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    ck_assert(!sr_ctx_skip(c));

    a = sr_scratch(c, 3, 5, SR_F32);
    b = sr_scratch(c, 100, 7, SR_BF16);
    ck_assert(a->data && b->data && (uintptr_t)a->data % 64 == 0 && (uintptr_t)b->data % 64 == 0);
    memset(a->data, 1, 3 * 5 * 4);
    memset(b->data, 2, 100 * 7 * 2);
    ck_assert(a->rows == 3 && b->rows == 100 && ((uint8_t *)a->data)[59] == 1);
    v = sr_rows(b, 4, 2);
    ck_assert(v.rows == 2 && v.data == (uint8_t *)b->data + 4 * 7 * 2);
    b = sr_scratch(c, 1000, 1000, SR_F32);              /* more than planned */
    ck_assert(!b->data && c->err.code == SORA_ERR_INTERNAL && sr_ctx_skip(c));
    sr_ctx_close(&c);
    ck_assert(c == NULL);

    c = ctx_of(SR_F32, 1);
    sr_ctx_plan(c);
    b = sr_scratch(c, SIZE_MAX / 8, 16, SR_F32);
    ck_assert(!b->data && c->err.code == SORA_ERR_NOMEM);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_ERR_NOMEM);
    sr_ctx_close(&c);
}
END_TEST

/* After sr_ctx_commit() nothing is allocated. */
START_TEST(test_no_allocation)
{
    struct sr_ctx *c = ctx_of(SR_F32, 2);
    const size_t out = 64, M = 50, in = 48;
    const struct sr_param w = { NULL, SR_F32, out * in, 3, 0.1f, 0 };
    float *x = random_floats(M * in, 1), *mod = random_floats(in, 2);
    struct sr_linear *l;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &out, 1, in, false, &err), SORA_OK);
    for (int pass = 0; pass < 2; pass++) {
        const size_t mark = sr_scratch_mark(c);
        struct sr_tensor tx = matrix(x, M, in), *h;

        if (pass == 0)
            sr_ctx_plan(c);
        else
            sr_mem_fail_after(1);
        h = sr_layer_norm_mod(c, &tx, 1e-6f, (struct sr_mod){ mod, in, M }, (struct sr_mod){ mod, in, M });
        h = sr_linear(c, l, h, SR_ACT_SILU, SR_F32);
        sr_silu(c, h);
        sr_scratch_release(c, mark);
        if (pass == 0) ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    }
    ck_assert_uint_eq(sr_mem_fail_after(0), 0);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    ck_assert(c->prof.flop[SR_LINEAR] == 2.0 * M * in * out);
    sr_linear_close(&l);
    sr_ctx_close(&c);
    free(x);
    free(mod);
}
END_TEST

/* ---- Convolution ---- */

struct conv_case {
    struct sr_conv_shape s;
    size_t F, H, W;             /* of the result's time axis, of the input's space */
    enum sr_act act;
    bool bias, add;
};

static void naive_conv(float *y, const struct conv_case *t, const float *x, const float *w, const float *bias,
                       const float *add)
{
    const struct sr_conv_shape *s = &t->s;
    const size_t H = (t->H + 2 * s->pad_h - s->kh) / s->stride_s + 1, W = (t->W + 2 * s->pad_w - s->kw) / s->stride_s + 1;

    for (size_t i = 0; i < t->F * H * W * s->out; i++) {
        const size_t o = i % s->out, col = i / s->out % W, row = i / s->out / W % H, f = i / s->out / W / H;
        double sum = bias ? bias[o] : 0;

        for (size_t j = 0; j < s->kt * s->kh * s->kw; j++) {
            const size_t kx = j % s->kw, ky = j / s->kw % s->kh, kt = j / s->kw / s->kh;
            const size_t r = row * s->stride_s + ky - s->pad_h, q = col * s->stride_s + kx - s->pad_w;

            if (r >= t->H || q >= t->W) continue;       /* below 0 has wrapped round */
            for (size_t k = 0; k < s->in; k++)
                sum += (double)x[(((f + kt) * t->H + r) * t->W + q) * s->in + k] *
                       w[(o * s->in + k) * s->kt * s->kh * s->kw + j];
        }
        y[i] = (float)activate(sum + (add ? add[i] : 0), t->act);
    }
}

static void to_type(void *to, enum sr_type type, float *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (type == SR_F32) {
            ((float *)to)[i] = from[i];
        } else {
            ((uint16_t *)to)[i] = sr_f32_to_bf16(from[i]);
            from[i] = sr_bf16_to_f32(((uint16_t *)to)[i]);
        }
    }
}

/* Two rows at a time give what the whole map has. */
static void check_rows(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, enum sr_act act,
                       const struct sr_fmap *want)
{
    const size_t line = want->W * want->C * sr_type_size(want->type);
    char *got = malloc(2 * line);
    sora_error err = { 0 };

    sr_ctx_plan(c);
    for (size_t r = 0; r < want->H; r++) {
        struct sr_fmap to = { got, want->type, 1, SR_MIN(2, want->H - r), want->W, want->C };
        sr_conv_rows(c, v, x, r, act, NULL, &to);
    }
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
    for (size_t r = 0; r < want->H; r++) {
        struct sr_fmap to = { got, want->type, 1, SR_MIN(2, want->H - r), want->W, want->C };
        struct sr_tensor a = { got, want->type, 1, to.H * want->W * want->C, to.H * want->W * want->C }, b = a;
        float *fa, *fb;

        sr_conv_rows(c, v, x, r, act, NULL, &to);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        b.data = (char *)want->data + r * line;
        fa = floats_of(&a);
        fb = floats_of(&b);
        assert_rel_l2(fa, fb, a.cols, want->type == SR_BF16 ? 4e-3 : 1e-6);
        free(fa);
        free(fb);
    }
    free(got);
}

static void check_conv(enum sr_type act, int threads, enum sr_type xt, enum sr_type yt, const struct conv_case *t)
{
    const struct sr_conv_shape *s = &t->s;
    const size_t row = s->in * s->kt * s->kh * s->kw, F = t->F + s->kt - 1, nx = F * t->H * t->W * s->in;
    const size_t H = (t->H + 2 * s->pad_h - s->kh) / s->stride_s + 1, W = (t->W + 2 * s->pad_w - s->kw) / s->stride_s + 1;
    const size_t ny = t->F * H * W * s->out;
    struct sr_ctx *c = ctx_of(act, threads);
    float *x = random_floats(nx, 1), *w = random_floats(s->out * row, 2), *bias = random_floats(s->out, 3);
    float *add = random_floats(ny, 4), *want = malloc(ny * sizeof *want), *got;
    void *tx = malloc(nx * 4), *ta = malloc(ny * 4);
    const struct sr_param pw = param(w, s->out * row), pb = param(t->bias ? bias : NULL, s->out);
    const struct sr_fmap mx = { tx, xt, F, t->H, t->W, s->in }, ma = { ta, yt, t->F, H, W, s->out };
    struct sr_fmap y;
    struct sr_tensor flat;
    struct sr_conv *v = NULL;
    sora_error err = { 0 };

    if (c) {
        for (size_t i = 0; i < s->out * row; i++) w[i] /= sqrtf((float)row);
        to_type(tx, xt, x, nx);
        to_type(ta, yt, add, ny);
        ck_assert_msg(sr_conv_open(c, &v, s, &pw, &pb, &err) == SORA_OK, "%s", err.text);
        sr_ctx_plan(c);
        sr_conv(c, v, &mx, t->act, t->add ? &ma : NULL, yt);
        ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
        sr_mem_fail_after(1);
        y = sr_conv(c, v, &mx, t->act, t->add ? &ma : NULL, yt);
        ck_assert_uint_eq(sr_mem_fail_after(0), 0);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        ck_assert(y.F == t->F && y.H == H && y.W == W && y.C == s->out && y.type == yt);
        naive_conv(want, t, x, w, t->bias ? bias : NULL, t->add ? add : NULL);
        flat = (struct sr_tensor){ y.data, yt, 1, ny, ny };
        got = floats_of(&flat);
        assert_rel_l2(got, want, ny, act == SR_BF16 || yt == SR_BF16 ? 6e-3 : 2e-6);
        free(got);
        sr_conv_to(c, v, &mx, t->act, t->add ? &ma : NULL, &ma);       /* in place of what is added: the same bits */
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        ck_assert(!memcmp(ta, y.data, ny * sr_type_size(yt)));
        if (t->F == 1 && !t->add) check_rows(c, v, &mx, t->act, &y);
        sr_conv_close(&v);
        sr_ctx_close(&c);
    }
    free(x);
    free(w);
    free(bias);
    free(add);
    free(want);
    free(tx);
    free(ta);
}

static const struct conv_case convs[] = {
    { { 32, 48, 1, 1, 1, 0, 0, 1 }, 2, 9, 7, SR_ACT_NONE, true, false },
    { { 16, 64, 1, 3, 3, 1, 1, 1 }, 3, 8, 11, SR_ACT_RELU, true, true },
    { { 96, 96, 3, 3, 3, 1, 1, 1 }, 1, 8, 8, SR_ACT_NONE, true, true },
    { { 96, 3, 3, 3, 3, 1, 1, 1 }, 2, 10, 6, SR_ACT_NONE, true, false },
    { { 24, 40, 1, 3, 3, 1, 1, 2 }, 2, 9, 12, SR_ACT_SILU, false, false },
    { { 64, 128, 3, 1, 1, 0, 0, 1 }, 2, 5, 6, SR_ACT_NONE, true, false },
    { { 20, 7, 2, 3, 3, 1, 1, 1 }, 1, 5, 5, SR_ACT_SILU, true, true },
    { { 8, 16, 1, 2, 4, 0, 1, 1 }, 1, 6, 9, SR_ACT_NONE, true, false },
};

START_TEST(test_conv_f32)
{
    for (size_t i = 0; i < SR_COUNT(convs); i++) check_conv(SR_F32, 2, SR_F32, SR_F32, &convs[i]);
}
END_TEST

START_TEST(test_conv_bf16)
{
    for (size_t i = 0; i < SR_COUNT(convs); i++)
        for (int types = 0; types < 4; types++)
            check_conv(SR_BF16, 2, types & 1 ? SR_BF16 : SR_F32, types & 2 ? SR_BF16 : SR_F32, &convs[i]);
}
END_TEST

START_TEST(test_conv_threads)
{
    for (int type = 0; type < 2; type++)
        for (size_t i = 0; i < SR_COUNT(convs); i++) {
            const struct conv_case *t = &convs[i];
            const size_t row = t->s.in * t->s.kt * t->s.kh * t->s.kw, F = t->F + t->s.kt - 1;
            const size_t H = 3 * t->H, W = 4 * t->W;
            float *x = random_floats(F * H * W * t->s.in, 1), *first = NULL;
            const struct sr_param w = { NULL, SR_F32, t->s.out * row, 8, 0.1f, 0 }, none = { .data = NULL };
            const struct sr_fmap mx = { x, SR_F32, F, H, W, t->s.in };

            for (int threads = 1; threads <= 8; threads = threads * 3 / 2 + 1) {        /* 1 2 4 7 */
                struct sr_ctx *c = ctx_of(type ? SR_BF16 : SR_F32, threads);
                struct sr_conv *v;
                struct sr_fmap y;
                sora_error err = { 0 };
                size_t bytes;

                if (!c) break;
                ck_assert_int_eq(sr_conv_open(c, &v, &t->s, &w, &none, &err), SORA_OK);
                sr_ctx_plan(c);
                sr_conv(c, v, &mx, t->act, NULL, SR_F32);
                ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
                y = sr_conv(c, v, &mx, t->act, NULL, SR_F32);
                ck_assert_msg(!c->err.code, "%s", c->err.text);
                bytes = y.F * y.H * y.W * y.C * sizeof *first;
                if (!first) {
                    first = malloc(bytes);
                    memcpy(first, y.data, bytes);
                }
                ck_assert_msg(!memcmp(first, y.data, bytes), "%s, case %zu: other bits with %d threads",
                              sr_type_name(c->act), i, threads);
                sr_conv_close(&v);
                sr_ctx_close(&c);
            }
            free(first);
            free(x);
        }
}
END_TEST

/* A frame of 41 GFLOP goes through in slabs of rows.  Far pixels from the naive sum, all of it for any threads. */
START_TEST(test_conv_slabs)
{
    const struct sr_conv_shape s = { 192, 192, 3, 3, 3, 1, 1, 1 };
    const size_t F = 3, H = 140, W = 148, row = 192 * 27, nx = F * H * W * 192;
    float *x = random_floats(nx, 1), *first = NULL;
    const struct sr_param w = { NULL, SR_F32, 192 * row, 8, 0.02f, 0 }, bias = { NULL, SR_F32, 192, 9, 1, 0 };
    float *wf, *bf;
    sora_error err = { 0 };

    ck_assert(sr_param_f32(&wf, &w, &err) == SORA_OK && sr_param_f32(&bf, &bias, &err) == SORA_OK);
    for (int threads = 1; threads <= 3; threads++) {
        struct sr_ctx *c = ctx_of(SR_F32, threads);
        const struct sr_fmap mx = { x, SR_F32, F, H, W, 192 };
        struct sr_conv *v;
        struct sr_fmap y;

        ck_assert_int_eq(sr_conv_open(c, &v, &s, &w, &bias, &err), SORA_OK);
        sr_ctx_plan(c);
        sr_conv(c, v, &mx, SR_ACT_NONE, NULL, SR_F32);
        ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
        y = sr_conv(c, v, &mx, SR_ACT_NONE, NULL, SR_F32);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        for (size_t r = 0; r < H; r++)
            for (size_t q = r % 37; q < W; q += 37) {
                const size_t o = (r * 7 + q) % 192;
                double sum = bf[o];
                float got = ((float *)y.data)[(r * W + q) * 192 + o];

                for (size_t j = 0; j < 27; j++) {
                    const size_t ky = r + j / 3 % 3 - 1, kx = q + j % 3 - 1;
                    if (ky >= H || kx >= W) continue;
                    for (size_t k = 0; k < 192; k++)
                        sum += (double)x[((j / 9 * H + ky) * W + kx) * 192 + k] * wf[(o * 192 + k) * 27 + j];
                }
                ck_assert_msg(fabs(sum - got) < 1e-4, "row %zu column %zu channel %zu: %g, expected %g", r, q, o, got, sum);
            }
        if (!first) {
            first = malloc(H * W * 192 * sizeof *first);
            memcpy(first, y.data, H * W * 192 * sizeof *first);
        }
        ck_assert_msg(!memcmp(first, y.data, H * W * 192 * sizeof *first), "other bits with %d threads", threads);
        sr_conv_close(&v);
        sr_ctx_close(&c);
    }
    free(first);
    free(x);
    sr_free(wf);
    sr_free(bf);
}
END_TEST

/* Both factors views of one matrix [L, 3 C], the second as it stands and turned over, as attention reads them. */
START_TEST(test_product)
{
    enum { M = 150, L = 157, C = 24 };      /* several tiles of rows */

    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = ctx_of(bf16 ? SR_BF16 : SR_F32, 2);
        const enum sr_type type = bf16 ? SR_BF16 : SR_F32;
        const struct sr_product qk = { M, L, C, 3 * C, 1, 3 * C, type, SR_F32 };
        const struct sr_product pv = { M, C, L, L, 3 * C, 1, type, type };
        const size_t size = sr_type_size(type);
        float *x = random_floats(L * 3 * C, 1), *p = random_floats(M * L, 2), *got, s[M * L], want[M * L];
        char *tx = malloc(L * 3 * C * 4), *tp = malloc(M * L * 4), *o = malloc(M * C * 4);
        struct sr_tensor flat = { o, type, 1, M * C, M * C };
        sora_error err = { 0 };

        if (c) {
            to_type(tx, type, x, L * 3 * C);
            to_type(tp, type, p, M * L);
            sr_ctx_plan(c);
            sr_dnnl_product(c, &qk, NULL, NULL, NULL);
            sr_dnnl_product(c, &pv, NULL, NULL, NULL);
            ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
            sr_mem_fail_after(1);
            sr_dnnl_product(c, &qk, tx, tx + C * size, s);
            sr_dnnl_product(c, &pv, tp, tx + 2 * C * size, o);
            ck_assert_uint_eq(sr_mem_fail_after(0), 0);
            ck_assert_msg(!c->err.code, "%s", c->err.text);
            for (size_t i = 0; i < M * L; i++) {
                want[i] = 0;
                for (size_t k = 0; k < C; k++) want[i] += x[i / L * 3 * C + k] * x[(i % L * 3 + 1) * C + k];
            }
            assert_rel_l2(s, want, M * L, bf16 ? 6e-3 : 2e-6);
            for (size_t i = 0; i < M * C; i++) {
                want[i] = 0;
                for (size_t k = 0; k < L; k++) want[i] += p[i / C * L + k] * x[(k * 3 + 2) * C + i % C];
            }
            got = floats_of(&flat);
            assert_rel_l2(got, want, M * C, bf16 ? 6e-3 : 2e-6);
            free(got);
            sr_ctx_close(&c);
        }
        free(x);
        free(p);
        free(tx);
        free(tp);
        free(o);
    }
}
END_TEST

START_TEST(test_channel_norm)
{
    struct sr_ctx *c = ctx_of(SR_F32, 2);
    enum { F = 2, H = 5, W = 33, C = 70 };
    float *x = random_floats(F * H * W * C, 1), *gamma = random_floats(C, 2);
    struct sr_fmap mx = { x, SR_F32, F, H, W, C }, y, u;
    sora_error err = { 0 };

    for (size_t i = 0; i < C; i++) x[i] = 0;            /* a black pixel: eps alone */
    sr_ctx_plan(c);
    sr_channel_norm(c, &mx, gamma, 1e-12f, true);
    sr_upsample2(c, &mx);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    y = sr_channel_norm(c, &mx, gamma, 1e-12f, true);
    u = sr_upsample2(c, &mx);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    for (size_t p = 0; p < F * H * W; p++) {
        double sum = 0;
        for (size_t i = 0; i < C; i++) sum += (double)x[p * C + i] * x[p * C + i];
        for (size_t i = 0; i < C; i++) {
            const double v = x[p * C + i] / fmax(sqrt(sum), 1e-12) * sqrt(C) * gamma[i];
            ck_assert(fabs(((float *)y.data)[p * C + i] - v / (1 + exp(-v))) < 1e-5);
        }
    }
    ck_assert(u.F == F && u.H == 2 * H && u.W == 2 * W && u.C == C);
    for (size_t i = 0; i < F * 4 * H * W * C; i++) {
        const size_t k = i % C, q = i / C % (2 * W), r = i / C / (2 * W) % (2 * H), f = i / C / (2 * W) / (2 * H);
        ck_assert(((float *)u.data)[i] == x[((f * H + r / 2) * W + q / 2) * C + k]);
    }
    sr_ctx_close(&c);
    free(x);
    free(gamma);
}
END_TEST

static bool all_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* A cancel in the middle: the last rows are never computed, and the context works again once the error is cleared. */
START_TEST(test_cancel)
{
    const size_t M = 6000, C = 4096, H = 140, W = 148, in = 128;
    const int ms = 20;
    struct sr_ctx *c = cancellable(2);
    const struct sr_param w = { NULL, SR_F32, C * C, 5, 0.02f, 0 }, v = { NULL, SR_F32, in * in * 27, 6, 0.02f, 0 };
    const struct sr_param none = { .data = NULL };
    const struct sr_conv_shape s = { in, in, 3, 3, 3, 1, 1, 1 };
    float *x = random_floats(M * C, 1), *y = calloc(8 * H * W * in, sizeof *y);
    struct sr_tensor tx = matrix(x, M, C), few = matrix(x, 3, C), *h;
    const struct sr_fmap mx = { x, SR_F32, 8 + 2, H, W / 2, in }, my = { y, SR_F32, 8, H, W / 2, in };
    struct sr_linear *l;
    struct sr_conv *k;
    pthread_t t;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &C, 1, C, false, &err), SORA_OK);
    ck_assert_int_eq(sr_conv_open(c, &k, &s, &v, &none, &err), SORA_OK);
    sr_ctx_plan(c);
    sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
    sr_linear(c, l, &few, SR_ACT_NONE, SR_F32);
    sr_conv_to(c, k, &mx, SR_ACT_NONE, NULL, &my);
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);

    memset(c->arena, 0, c->arena_size);
    ck_assert_int_eq(pthread_create(&t, NULL, cancel_soon, (void *)&ms), 0);
    h = sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);                  /* 201 GFLOP */
    pthread_join(t, NULL);
    ck_assert_int_eq(c->err.code, SORA_ERR_CANCELLED);
    ck_assert(all_zero((float *)h->data + (M - 1) * C, C));
    ck_assert(!sr_scratch(c, 1, 1, SR_F32)->data);                  /* everything after it does nothing */

    memset(&c->err, 0, sizeof c->err);
    atomic_store(&stop.set, false);
    sr_scratch_release(c, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, cancel_soon, (void *)&ms), 0);
    sr_conv_to(c, k, &mx, SR_ACT_NONE, NULL, &my);                  /* 73 GFLOP */
    pthread_join(t, NULL);
    ck_assert_int_eq(c->err.code, SORA_ERR_CANCELLED);
    ck_assert(all_zero(y + (8 * H * W / 2 - 1) * in, in));

    memset(&c->err, 0, sizeof c->err);
    atomic_store(&stop.set, false);
    h = sr_linear(c, l, &few, SR_ACT_NONE, SR_F32);
    ck_assert(!c->err.code && !all_zero(h->data, 3 * C));
    sr_conv_close(&k);
    sr_linear_close(&l);
    sr_ctx_close(&c);
    free(x);
    free(y);
}
END_TEST

/* Made-up parameters: the asked deviation, another tensor other numbers, and a row alone is the row of the whole. */
START_TEST(test_made_up)
{
    enum { N = 20000 };
    const struct sr_param p = { NULL, SR_BF16, N, 7, 0.25f, 0 }, other = { NULL, SR_BF16, N, 8, 0.25f, 0 };
    struct sr_ctx *c = ctx_of(SR_F32, 1);
    float *a, *b, part[101];
    double mean = 0, var = 0, both = 0;

    ck_assert(sr_param_f32(&a, &p, NULL) == SORA_OK && sr_param_f32(&b, &other, NULL) == SORA_OK);
    for (size_t i = 0; i < N; i++) mean += a[i] / N, var += (double)a[i] * a[i] / N, both += (double)a[i] * b[i] / N;
    ck_assert(fabs(mean) < 0.01 && fabs(sqrt(var) - 0.25) < 0.005 && fabs(both) < 0.002);
    sr_param_read(c->kern, part, SR_F32, &p, 4321, 101);
    assert_near(part, a + 4321, 101, 0);
    sr_free(a);
    sr_free(b);
    sr_ctx_close(&c);
}
END_TEST

RUN_TESTS("ops", test_param, test_scratch, test_no_allocation, test_linear_f32, test_linear_bf16, test_linear_threads,
          test_conv_f32, test_conv_bf16, test_conv_threads, test_conv_slabs, test_product, test_channel_norm,
          test_made_up, test_cancel)
