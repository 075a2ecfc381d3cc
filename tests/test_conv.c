/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Convolutions against a naive double sum, in blocks too; the norm over channels; upsampling. */
#include "tensors.h"

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
    const size_t H = (t->H + 2 * s->pad_h - s->kh) / s->stride_s + 1;
    const size_t W = (t->W + 2 * s->pad_w - s->kw) / s->stride_s + 1;

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
    const size_t H = (t->H + 2 * s->pad_h - s->kh) / s->stride_s + 1;
    const size_t W = (t->W + 2 * s->pad_w - s->kw) / s->stride_s + 1;
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
            const struct sr_param w = made_up(t->s.out * row, 8, 0.1f), none = { .data = NULL };
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
    const struct sr_param w = made_up(192 * row, 8, 0.02f), bias = made_up(192, 9, 1);
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
                ck_assert_msg(fabs(sum - got) < 1e-4, "row %zu column %zu channel %zu: %g, expected %g", r, q, o, got,
                              sum);
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

RUN_TESTS("conv", test_conv_f32, test_conv_bf16, test_conv_threads, test_conv_slabs, test_channel_norm)
