/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention against a naive double reference at every CPU level, and what must not change its result. */
#include <stdlib.h>

#include "near.h"
#include "tensor/ops.h"

/* Each adds to the one before; 0: plain C. */
static const unsigned levels[] = { 0, SR_CPU_AVX2, SR_CPU_AVX2 | SR_CPU_AVX512,
                                   SR_CPU_AVX2 | SR_CPU_AVX512 | SR_CPU_AVX512_BF16 };

struct shape {
    size_t L, T, N, D;
    int parts;
    bool bf16, key_bias, rel_bias, strided;
    float magnitude;                /* of the largest scores, about; 0: a few units */
};

/* One call's operands: what the reference reads is exactly what the operation reads. */
struct operands {
    struct shape s;
    float *q, *k, *v;               /* [L, stride], [T, stride] */
    uint16_t *q16, *k16, *v16;      /* the same as bf16 */
    size_t stride;
    float scale, *key_bias, *rel_bias;
};

static float *random_floats(size_t n, uint64_t stream, float times)
{
    float *x = malloc((n + 4) * sizeof *x);

    sr_rng_normal(x, n, 5, stream, 0);
    for (size_t i = 0; i < n; i++) x[i] *= times;
    return x;
}

static uint16_t *rounded(float *x, size_t n)
{
    uint16_t *y = malloc(n * sizeof *y);

    for (size_t i = 0; i < n; i++) {
        y[i] = sr_f32_to_bf16(x[i]);
        x[i] = sr_bf16_to_f32(y[i]);
    }
    return y;
}

static struct operands operands(const struct shape *s)
{
    const size_t stride = s->N * s->D + (s->strided ? 40 : 0);
    struct operands o = { .s = *s, .stride = stride, .scale = 1 / sqrtf((float)s->D) };

    /* scores are about scale * sqrt(D) * times: the largest of many lies near 4 of that */
    o.q = random_floats(s->L * stride, 1, s->magnitude > 0 ? s->magnitude / 4 : 1);
    o.k = random_floats(s->T * stride, 2, 1);
    o.v = random_floats(s->T * stride, 3, 1);
    if (s->bf16) {
        o.q16 = rounded(o.q, s->L * stride);
        o.k16 = rounded(o.k, s->T * stride);
        o.v16 = rounded(o.v, s->T * stride);
    }
    if (s->key_bias) {
        o.key_bias = random_floats(s->T, 4, 2);
        for (size_t j = 0; j < s->T; j++)
            if (j % 3 == 1) o.key_bias[j] = -INFINITY;
    }
    if (s->rel_bias) o.rel_bias = random_floats(s->N * (2 * s->T - 1), 5, 2);
    return o;
}

static void operands_free(struct operands *o)
{
    free(o->q), free(o->k), free(o->v);
    free(o->q16), free(o->k16), free(o->v16);
    free(o->key_bias), free(o->rel_bias);
}

/* out [L, N * D] */
static void reference(float *out, const struct operands *o)
{
    const struct shape *s = &o->s;
    double *p = malloc((s->T + 1) * sizeof *p), *sums = malloc(s->D * sizeof *sums);

    for (size_t h = 0; h < s->N; h++)
        for (size_t i = 0; i < s->L; i++) {
            double max = -INFINITY, sum = 0;
            for (size_t j = 0; j < s->T; j++) {
                double dot = 0;
                for (size_t d = 0; d < s->D; d++)
                    dot += (double)o->q[i * o->stride + h * s->D + d] * o->k[j * o->stride + h * s->D + d];
                p[j] = dot * o->scale + (o->key_bias ? o->key_bias[j] : 0) +
                       (o->rel_bias ? o->rel_bias[h * (2 * s->T - 1) + j - i + s->T - 1] : 0);
                max = fmax(max, p[j]);
            }
            for (size_t d = 0; d < s->D; d++) sums[d] = 0;
            for (size_t j = 0; j < s->T; j++) {
                const double w = p[j] == -INFINITY ? 0 : exp(p[j] - max);
                sum += w;
                for (size_t d = 0; d < s->D; d++) sums[d] += w * o->v[j * o->stride + h * s->D + d];
            }
            for (size_t d = 0; d < s->D; d++)
                out[(i * s->N + h) * s->D + d] = (float)(sum > 0 ? sums[d] / sum : 0);
        }
    free(p), free(sums);
}

static struct sr_tensor view(float *f, uint16_t *h, size_t rows, const struct operands *o, size_t from)
{
    return (struct sr_tensor){ h ? (void *)(h + from * o->stride) : (void *)(f + from * o->stride),
                               h ? SR_BF16 : SR_F32, rows, o->s.N * o->s.D, o->stride };
}

static struct sr_ctx *ctx_of(unsigned cpu, int threads, const struct sr_cancel *cancel)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };

    ck_assert_msg(sr_ctx_open(&c, SR_F32, threads, cpu, NULL, cancel, &err) == SORA_OK, "%s", err.text);
    return c;
}

/* Plan, then run; the result as floats [L, N * D]. */
static void attention(struct sr_ctx *c, float *out, const struct operands *o)
{
    const struct shape *s = &o->s;
    const int parts = s->parts > 1 ? s->parts : 1;
    struct sr_kv kv[4];
    struct sr_tensor q = view(o->q, o->q16, s->L, o, 0), *y = NULL;
    sora_error err = { 0 };
    size_t from = 0;

    for (int i = 0; i < parts; i++) {           /* parts of odd sizes; one of them empty where there are 4 */
        const size_t rows = i == parts - 1 ? s->T - from : i == 1 && parts == 4 ? 0 : s->T / parts - i % 2;
        kv[i] = (struct sr_kv){ view(o->k, o->k16, rows, o, from), view(o->v, o->v16, rows, o, from) };
        from += rows;
    }
    sr_ctx_plan(c);
    sr_attention(c, &q, kv, parts, s->N, o->scale, o->key_bias, o->rel_bias);
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
    y = sr_attention(c, &q, kv, parts, s->N, o->scale, o->key_bias, o->rel_bias);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    ck_assert(y->rows == s->L && y->cols == s->N * s->D && y->type == q.type);
    for (size_t i = 0; i < s->L; i++)
        for (size_t d = 0; d < y->cols; d++)
            out[i * y->cols + d] = s->bf16 ? sr_bf16_to_f32(((const uint16_t *)y->data)[i * y->stride + d])
                                           : ((const float *)y->data)[i * y->stride + d];
    sr_scratch_release(c, 0);
}

static void check_operands(const struct operands *o, double tolerance)
{
    const struct shape *s = &o->s;
    const size_t n = s->L * s->N * s->D;
    float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);

    reference(want, o);
    for (size_t i = 0; i < SR_COUNT(levels); i++) {
        struct sr_ctx *c = NULL;
        double e;
        if ((sr_cpu_flags() & levels[i]) != levels[i]) continue;
        c = ctx_of(levels[i], 2, NULL);
        attention(c, got, o);
        e = rel_l2(got, want, n);
        ck_assert_msg(e <= tolerance, "L %zu T %zu N %zu D %zu %s, CPU level %zu: relative L2 error %.3g, allowed %.3g",
                      s->L, s->T, s->N, s->D, s->bf16 ? "bf16" : "f32", i, e, tolerance);
        sr_ctx_close(&c);
    }
    free(want), free(got);
}

static void check(const struct shape *s, double tolerance)
{
    struct operands o = operands(s);

    check_operands(&o, tolerance);
    operands_free(&o);
}

START_TEST(test_sizes)
{
    static const size_t D[] = { 8, 24, 40, 64, 80, 128, 256, 7, 13 };
    static const size_t LT[][2] = { { 1, 1 }, { 7, 3 }, { 13, 129 }, { 5, 17 }, { 99, 301 } };

    for (size_t i = 0; i < SR_COUNT(D); i++)
        for (size_t k = 0; k < SR_COUNT(LT); k++) {
            const size_t N = k == 3 ? 5 : 2;
            check(&(struct shape){ LT[k][0], LT[k][1], N, D[i], 1, false, false, false, false, 0 }, 1e-5);
            check(&(struct shape){ LT[k][0], LT[k][1], N, D[i], 1, true, false, false, k == 2, 0 }, 1e-2);
        }
}
END_TEST

START_TEST(test_real_shapes)
{
    check(&(struct shape){ 144, 1008, 3, 64, 1, false, false, false, false, 0 }, 1e-5);
    check(&(struct shape){ 144, 1008, 3, 64, 1, true, false, false, false, 0 }, 1e-2);
    check(&(struct shape){ 200, 77, 4, 128, 1, true, true, false, true, 0 }, 1e-2);
}
END_TEST

START_TEST(test_large_scores)
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check(&(struct shape){ 64, 333, 2, 64, 1, bf16, false, false, false, 80 }, bf16 ? 1e-2 : 1e-5);
        check(&(struct shape){ 64, 333, 2, 128, 1, bf16, true, false, false, 80 }, bf16 ? 1e-2 : 1e-5);
    }
}
END_TEST

/* 0: every key counts the same; below, the smallest product is the largest score */
START_TEST(test_scales)
{
    static const float scales[] = { 3, 0, -0.5f };

    for (size_t i = 0; i < 2 * SR_COUNT(scales); i++) {
        struct operands o = operands(&(struct shape){ 19, 150, 2, 64, 1, i % 2, false, false, false, 0 });
        o.scale = scales[i / 2];
        check_operands(&o, i % 2 ? 1e-2 : 1e-5);
        operands_free(&o);
    }
}
END_TEST

START_TEST(test_parts)
{
    for (int parts = 2; parts <= 4; parts++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            check(&(struct shape){ 31, 523, 2, 64, parts, bf16, parts == 3, false, true, 0 }, bf16 ? 1e-2 : 1e-5);
}
END_TEST

START_TEST(test_biases)
{
    static const size_t T[] = { 1, 2, 15, 64, 261 };

    for (size_t i = 0; i < SR_COUNT(T); i++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            for (int both = 0; both < 2; both++)
                check(&(struct shape){ T[i], T[i], 3, 64, 1, bf16, both, true, false, 0 }, bf16 ? 1e-2 : 1e-5);
}
END_TEST

/* Keys that do not exist have no influence, however large their values; a query without any key gets zeros. */
START_TEST(test_masked)
{
    struct operands o = operands(&(struct shape){ 17, 300, 2, 64, 1, false, true, false, false, 0 });
    const size_t n = o.s.L * o.s.N * o.s.D;
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);

    for (size_t i = 0; i < SR_COUNT(levels); i++) {
        struct sr_ctx *c = ctx_of(levels[i] & sr_cpu_flags(), 2, NULL);
        for (size_t j = 0; j < o.s.T; j++) o.key_bias[j] = j < 290 ? -INFINITY : 0;     /* whole blocks masked */
        attention(c, a, &o);
        for (size_t j = 0; j < 290 * o.stride; j++) o.v[j] += 1e6f;
        attention(c, b, &o);
        assert_near(b, a, n, 0);
        for (size_t j = 0; j < o.s.T; j++) o.key_bias[j] = -INFINITY;
        attention(c, a, &o);
        for (size_t j = 0; j < n; j++) ck_assert(a[j] == 0);
        sr_ctx_close(&c);
    }
    operands_free(&o);
    free(a), free(b);
}
END_TEST

/* A NaN is not hidden: whoever looks at the result must see that something went wrong before. */
START_TEST(test_nan_stays)
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct operands o = operands(&(struct shape){ 9, 50, 1, 64, 1, bf16, false, false, false, 0 });
        float got[9 * 64];
        o.q[3 * 64 + 5] = NAN;
        if (bf16) o.q16[3 * 64 + 5] = 0x7fc0;
        for (size_t i = 0; i < SR_COUNT(levels); i++) {
            struct sr_ctx *c = ctx_of(levels[i] & sr_cpu_flags(), 1, NULL);
            attention(c, got, &o);
            for (size_t j = 0; j < SR_COUNT(got); j++) ck_assert_int_eq(!!isnan(got[j]), j / 64 == 3);
            sr_ctx_close(&c);
        }
        operands_free(&o);
    }
}
END_TEST

/* Bit by bit, whatever the threads; and the same again where more heads are packed at a time than one. */
START_TEST(test_threads)
{
    static const int threads[] = { 1, 2, 3, 7 };

    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct operands o = operands(&(struct shape){ 211, 301, 3, 40, 1, bf16, true, false, false, 0 });
        const size_t n = o.s.L * o.s.N * o.s.D;
        float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
        for (size_t i = 0; i < SR_COUNT(levels); i++)
            for (size_t t = 0; t < SR_COUNT(threads); t++) {
                struct sr_ctx *c = ctx_of(levels[i] & sr_cpu_flags(), threads[t], NULL);
                attention(c, t ? b : a, &o);
                if (t) ck_assert(!memcmp(a, b, n * sizeof *a));
                sr_ctx_close(&c);
            }
        operands_free(&o);
        free(a), free(b);
    }
}
END_TEST

/* What was planned for the most rows holds for any fewer. */
START_TEST(test_plan_holds_for_less)
{
    struct operands o = operands(&(struct shape){ 100, 4100, 8, 64, 1, false, false, false, false, 0 });
    struct sr_ctx *c = ctx_of(~0u, 2, NULL);
    sora_error err = { 0 };

    sr_ctx_plan(c);
    {
        struct sr_tensor q = view(o.q, NULL, 100, &o, 0);
        const struct sr_kv kv = { view(o.k, NULL, 4100, &o, 0), view(o.v, NULL, 4100, &o, 0) };
        sr_attention(c, &q, &kv, 1, 8, 1, NULL, NULL);
    }
    ck_assert(sr_ctx_commit(c, &err) == SORA_OK);
    for (size_t T = 4100; T > 0; T -= SR_MIN(T, 97)) {
        struct sr_tensor q = view(o.q, NULL, 1 + T % 3, &o, 0);
        const struct sr_kv kv = { view(o.k, NULL, T, &o, 0), view(o.v, NULL, T, &o, 0) };
        sr_attention(c, &q, &kv, 1, 8, 1, NULL, NULL);
        ck_assert_msg(!c->err.code, "T %zu: %s", T, c->err.text);
        sr_scratch_release(c, 0);
    }
    ck_assert(c->prof.flop[SR_ATTENTION] > 0 && c->prof.seconds[SR_ATTENTION] > 0);
    sr_ctx_close(&c);
    operands_free(&o);
}
END_TEST

START_TEST(test_cancel)
{
    struct sr_cancel cancel = { false };
    struct operands o = operands(&(struct shape){ 10, 20, 1, 64, 1, false, false, false, false, 0 });
    struct sr_ctx *c = ctx_of(~0u, 2, &cancel);
    struct sr_tensor q = view(o.q, NULL, 10, &o, 0), *y;
    const struct sr_kv kv = { view(o.k, NULL, 20, &o, 0), view(o.v, NULL, 20, &o, 0) };
    float got[640];

    attention(c, got, &o);
    atomic_store(&cancel.set, true);
    y = sr_attention(c, &q, &kv, 1, 1, 1, NULL, NULL);
    ck_assert(y && c->err.code == SORA_ERR_CANCELLED);
    sr_ctx_close(&c);
    operands_free(&o);
}
END_TEST

START_TEST(test_refused)
{
    struct operands o = operands(&(struct shape){ 10, 20, 2, 64, 1, false, false, false, false, 0 });
    struct sr_tensor q = view(o.q, NULL, 10, &o, 0);
    const struct sr_kv kv = { view(o.k, NULL, 20, &o, 0), view(o.v, NULL, 19, &o, 0) };
    const struct sr_kv good = { kv.k, view(o.v, NULL, 20, &o, 0) };
    float rel[2 * 39] = { 0 };

    for (int i = 0; i < 3; i++) {
        struct sr_ctx *c = ctx_of(~0u, 1, NULL);
        sr_ctx_plan(c);
        sr_attention(c, &q, i == 0 ? &kv : &good, 1, i == 1 ? 3 : 2, 1, NULL, i == 2 ? rel : NULL);
        ck_assert_int_eq(c->err.code, SORA_ERR_INTERNAL);
        sr_ctx_close(&c);
    }
    operands_free(&o);
}
END_TEST

RUN_TESTS("attention", test_sizes, test_real_shapes, test_large_scores, test_scales, test_parts, test_biases,
          test_masked, test_nan_stays, test_threads, test_plan_holds_for_less, test_cancel, test_refused)
