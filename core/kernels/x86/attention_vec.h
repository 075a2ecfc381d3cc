/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attention for one CPU level; see vec.h.
 *
 * Both products are sums over an axis of (one number of A) * (a row of B): A row-major, B in panels of PANEL columns,
 * each panel [axis, columns] without gaps, the last one narrower.  So one tile serves both:
 *   scores [queries, keys]  A = q [queries, D],              B = the keys transposed, [D, keys] in panels
 *   o [queries, D]          A = exp(s - m) [queries, keys],  B = v [keys, D] in panels
 * With the bf16 dot product an element of the axis is a pair of numbers, and two rows of B are interleaved.
 */
#include <math.h>

#include "kernels/x86/attention.h"
#include "kernels/x86/vec.h"

/* 6 x 2 sums in 16 registers, 6 x 4 in 32: what leaves room for one row of B and one number of A. */
#if defined(__AVX512F__)
enum { REGS = 4 };
#else
enum { REGS = 2 };
#endif
enum { QUERIES = 6, PANEL = REGS * VN };
#define LOG2E 1.44269504f

/* K and V of one block, with D = 128: 128 KiB, which stay in L2 while the queries of a work item pass. */
#if defined(__AVX512BF16__)
enum { KEYS = 256, AXIS = 2 };          /* AXIS: numbers in an element of the axis */
typedef int32_t elem;
typedef __m512bh velem;

INLINE velem e_load(const elem *p) { return (velem)_mm512_load_si512(p); }
INLINE velem e_set1(elem x) { return (velem)_mm512_set1_epi32(x); }
INLINE vf e_madd(velem a, velem b, vf c) { return _mm512_dpbf16_ps(c, a, b); }
#else
enum { KEYS = 128, AXIS = 1 };
typedef float elem;
typedef vf velem;

INLINE velem e_load(const elem *p) { return v_load(p, 0, false); }
INLINE velem e_set1(elem x) { return v_set1(x); }
INLINE vf e_madd(velem a, velem b, vf c) { return v_fma(a, b, c); }
#endif

/*
 * One panel of n registers: C [QUERIES, n * VN] = A B, or with keep C = keep[row] * C + A B.
 *   a [QUERIES, k], rows lda apart      b [k, n * VN]      c f32, rows ldc apart
 */
INLINE void tile(const int n, const elem *a, size_t lda, const elem *b, float *c, size_t ldc, size_t k,
                 const float *keep)
{
    vf sum[QUERIES][REGS];

#pragma GCC unroll 6
    for (size_t r = 0; r < QUERIES; r++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            sum[r][i] = keep ? v_mul(v_load(c + r * ldc, (size_t)i * VN, false), v_set1(keep[r])) : v_set1(0);
    for (size_t j = 0; j < k; j++, b += n * VN) {
        velem row[REGS];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) row[i] = e_load(b + i * VN);
#pragma GCC unroll 6
        for (size_t r = 0; r < QUERIES; r++) {
            const velem x = e_set1(a[r * lda + j]);
#pragma GCC unroll 4
            for (int i = 0; i < n; i++) sum[r][i] = e_madd(x, row[i], sum[r][i]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < QUERIES; r++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) v_store(c + r * ldc, (size_t)i * VN, false, sum[r][i]);
}

/* All panels of `cols` columns. */
INLINE void product(const elem *a, size_t lda, const elem *b, float *c, size_t ldc, size_t k, size_t cols,
                    const float *keep)
{
    for (; cols >= PANEL; cols -= PANEL, b += PANEL * k, c += PANEL) tile(REGS, a, lda, b, c, ldc, k, keep);
    switch (cols / VN) {
#if defined(__AVX512F__)
    case 3: tile(3, a, lda, b, c, ldc, k, keep); break;
    case 2: tile(2, a, lda, b, c, ldc, k, keep); break;
#endif
    case 1: tile(1, a, lda, b, c, ldc, k, keep); break;
    default: break;
    }
}

/*
 * x[i] = 2^x[i], x <= 0, n registers side by side; below -126.5 zero or next to it.  Relative error 1.6e-7, where the
 * result is rounded to bf16 3e-6.  Adding 1.5 * 2^23 leaves round(x) in the low bits, from where it goes to the
 * exponent.  At -127 the polynomial is exactly 1, so that all bits cancel.
 */
INLINE void exp2_below_0(vf *x, const int n)
{
    static const float fine[] = { 0x1.5bba14p-10f, 0x1.3cea88p-7f, 0x1.c6b752p-5f, 0x1.ebf9bcp-3f, 0x1.62e42ap-1f, 1 };
    static const float coarse[] = { 0x1.3a02ccp-7f, 0x1.c9fc46p-5f, 0x1.ec0378p-3f, 0x1.62e12cp-1f, 1 };
    const float *poly = AXIS == 2 ? coarse : fine;
    const int terms = AXIS == 2 ? (int)SR_COUNT(coarse) : (int)SR_COUNT(fine);
    const vf magic = v_set1(0x1.8p23f);
    vf t[REGS], p[REGS];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        x[i] = v_max(v_set1(-127), x[i]);       /* in this order NaN stays NaN */
        t[i] = v_add(x[i], magic);
        x[i] = v_sub(x[i], v_sub(t[i], magic));
        p[i] = v_set1(poly[0]);
    }
#pragma GCC unroll 5
    for (int k = 1; k < terms; k++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) p[i] = v_fma(p[i], x[i], v_set1(poly[k]));
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) x[i] = v_times2(p[i], t[i]);
}

/* n registers of scores become 2^(scale * s - base) in the type of A, at p, which may be where s is; added to *sum. */
INLINE void probabilities(void *p, const float *s, const int n, vf scale, vf base, vf *sum)
{
    vf x[REGS];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) x[i] = v_fma(v_load(s, (size_t)i * VN, false), scale, base);
    exp2_below_0(x, n);
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) *sum = v_add(*sum, x[i]);
#if defined(__AVX512BF16__)
    if (n == REGS)
        for (int i = 0; i < REGS; i += 2)
            _mm512_store_si512((uint16_t *)p + i * VN, (__m512i)_mm512_cvtne2ps_pbh(x[i + 1], x[i]));
    else
        _mm256_store_si256(p, (__m256i)_mm512_cvtneps_pbh(x[0]));
#else
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) v_store(p, (size_t)i * VN, false, x[i]);
#endif
}

/*
 * One row of n scores becomes 2^(scale * s - m), in place (bf16: in the first half), zeros up to a whole register.
 * Returns the factor of what was summed before.
 */
static float softmax(float *s, size_t n, float scale, float *max, float *sum)
{
    const vf by = v_set1(scale);
    elem *p = (elem *)(void *)s;
    vf m = v_set1(-INFINITY), base, total = v_set1(0), keep;
    float now;
    size_t j;

    for (j = n; j % VN; j++) s[j] = -INFINITY;
    for (j = 0; j < n; j += VN) m = v_max(v_load(s, j, false), m);
    now = SR_MAX(v_largest(m) * scale, *max);
    base = v_set1(now == -INFINITY ? 0 : -now);             /* every key masked so far: no NaN from inf - inf */
    for (j = 0; j + PANEL <= n; j += PANEL) probabilities(p + j / AXIS, s + j, REGS, by, base, &total);
    for (; j < n; j += VN) probabilities(p + j / AXIS, s + j, 1, by, base, &total);
    keep = v_add(v_set1(*max), base);
    exp2_below_0(&keep, 1);
    *max = now;
    *sum = *sum * keep[0] + v_sum(total);
    return keep[0];
}

/* The row's scores in the base-2 domain and with one of the biases. */
static void scale_and_bias(float *s, float scale, const float *bias, size_t n)
{
    const vf by = v_set1(scale), log2e = v_set1(LOG2E);
    size_t j = 0;

    for (; j + VN <= n; j += VN)
        v_store(s, j, false, v_fma(v_load(bias, j, false), log2e, v_mul(v_load(s, j, false), by)));
    if (j < n) {
        const vf b = v_load_n(bias, j, false, n - j);
        v_store_n(s, j, false, v_fma(b, log2e, v_mul(v_load(s, j, false), by)), n - j);
    }
}

static void step(const struct sr_attention_step *s)
{
    const size_t n = SR_ROUND_UP(s->n, VN), D = SR_ROUND_UP(s->D, VN);
    const float scale = s->scale * LOG2E;
    float keep[QUERIES] = { 0 };

    product(s->q, s->D / AXIS, s->k, s->scores, KEYS, s->D / AXIS, n, NULL);
    for (size_t r = 0; r < s->rows; r++) {
        float *row = s->scores + r * KEYS, left = scale;        /* what the scores are still to be multiplied by */
        if (s->key_bias) scale_and_bias(row, left, s->key_bias, s->n), left = 1;
        if (s->rel_bias) scale_and_bias(row, left, s->rel_bias - r, s->n), left = 1;
        if (!(left > 0)) {              /* softmax() takes the largest raw score for the largest */
            for (size_t j = 0; j < s->n; j++) row[j] *= left;
            left = 1;
        }
        keep[r] = softmax(row, s->n, left, s->max + r, s->sum + r);
    }
    product((const elem *)(const void *)s->scores, KEYS, s->v, s->o, D, n / AXIS, D, keep);
}

INLINE void end(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D, const bool bf16)
{
    for (size_t i = 0; i < n; i++, out = (uint8_t *)out + stride, o += SR_ROUND_UP(D, VN)) {
        const vf inv = v_set1(sum[i] == 0 ? 0 : 1 / sum[i]);
        size_t d = 0;
        for (; d + VN <= D; d += VN) v_store(out, d, bf16, v_mul(v_load(o, d, false), inv));
        if (d < D) v_store_n(out, d, bf16, v_mul(v_load(o, d, false), inv), D - d);
    }
}

static void end_bf16(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D)
{
    end(out, stride, o, sum, n, D, true);
}
