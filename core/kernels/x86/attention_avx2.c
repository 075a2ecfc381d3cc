/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention in f32 with AVX2 and FMA: tiles of 6 x 16 floats in 12 registers. */
#include <immintrin.h>
#include <math.h>

#include "kernels/x86/attention.h"

enum { QUERIES = SR_ATTENTION_QUERIES, KEYS = 128, WIDTH = 8, PANEL = SR_ATTENTION_PANEL_AVX2 };

/*
 * One panel of n registers: C [QUERIES, n * 8] = scale * A B, or with keep C = keep[row] * C + A B.
 *   a [QUERIES, k], rows lda apart      b [k, n * 8]      c: rows ldc apart
 */
SR_INLINE void tile(const int n, const float *a, size_t lda, const float *b, float *c, size_t ldc, size_t k,
                    float scale, const float *keep)
{
    __m256 acc[QUERIES][2];

#pragma GCC unroll 6
    for (int r = 0; r < QUERIES; r++)
#pragma GCC unroll 2
        for (int i = 0; i < n; i++)
            acc[r][i] = keep ? _mm256_mul_ps(_mm256_load_ps(c + r * ldc + i * WIDTH), _mm256_broadcast_ss(keep + r))
                             : _mm256_setzero_ps();
    for (size_t j = 0; j < k; j++, b += n * WIDTH) {
        __m256 row[2];
#pragma GCC unroll 2
        for (int i = 0; i < n; i++) row[i] = _mm256_load_ps(b + i * WIDTH);
#pragma GCC unroll 6
        for (int r = 0; r < QUERIES; r++) {
            const __m256 x = _mm256_broadcast_ss(a + r * lda + j);
#pragma GCC unroll 2
            for (int i = 0; i < n; i++) acc[r][i] = _mm256_fmadd_ps(x, row[i], acc[r][i]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < QUERIES; r++)
#pragma GCC unroll 2
        for (int i = 0; i < n; i++)
            _mm256_store_ps(c + r * ldc + i * WIDTH,
                            keep ? acc[r][i] : _mm256_mul_ps(acc[r][i], _mm256_set1_ps(scale)));
}

/* All panels of `cols` columns. */
SR_INLINE void product(const float *a, size_t lda, const float *b, float *c, size_t ldc, size_t k, size_t cols,
                       float scale, const float *keep)
{
    for (; cols >= PANEL; cols -= PANEL, b += PANEL * k, c += PANEL) tile(2, a, lda, b, c, ldc, k, scale, keep);
    if (cols) tile(1, a, lda, b, c, ldc, k, scale, keep);
}

/*
 * 2^x for x <= 0, relative error 1.6e-7; below -126.5 zero or next to it.  Adding 1.5 * 2^23 leaves round(x) in the low
 * bits, from where it goes to the exponent.  At -127 the polynomial is exactly 1, so that all bits cancel.
 */
static inline __m256 exp2_below_0(__m256 x)
{
    const __m256 magic = _mm256_set1_ps(0x1.8p23f), y = _mm256_max_ps(_mm256_set1_ps(-127), x);     /* NaN stays */
    const __m256 t = _mm256_add_ps(y, magic), f = _mm256_sub_ps(y, _mm256_sub_ps(t, magic));
    __m256 p = _mm256_set1_ps(0x1.5bba14p-10f);

    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.3cea88p-7f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.c6b752p-5f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.ebf9bcp-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.62e42ap-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1));
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}

static inline float max_of(__m256 v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

static inline float sum_of(__m256 v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

/* One row of n scores becomes exp(s - m) in place; zeros up to a whole register.  Returns the factor of what was. */
static float softmax(float *s, size_t n, float *max, float *sum)
{
    __m256 m = _mm256_set1_ps(*max), base, total = _mm256_setzero_ps(), keep;
    float now;

    for (size_t j = n; j % WIDTH; j++) s[j] = -INFINITY;
    for (size_t j = 0; j < n; j += WIDTH) m = _mm256_max_ps(_mm256_load_ps(s + j), m);
    now = max_of(m);
    base = _mm256_set1_ps(now == -INFINITY ? 0 : now);      /* every key masked so far: no NaN from inf - inf */
    for (size_t j = 0; j < n; j += WIDTH) {
        const __m256 p = exp2_below_0(_mm256_sub_ps(_mm256_load_ps(s + j), base));
        _mm256_store_ps(s + j, p);
        total = _mm256_add_ps(total, p);
    }
    keep = exp2_below_0(_mm256_sub_ps(_mm256_set1_ps(*max), base));
    *max = now;
    *sum = *sum * _mm256_cvtss_f32(keep) + sum_of(total);
    return _mm256_cvtss_f32(keep);
}

static void step(const struct sr_attention_step *s)
{
    const size_t n = SR_ROUND_UP(s->n, WIDTH), D = SR_ROUND_UP(s->D, WIDTH);
    float keep[QUERIES] = { 0 };

    product(s->q, s->D, s->k, s->scores, KEYS, s->D, n, s->scale * SR_LOG2E, NULL);
    for (size_t r = 0; r < s->rows; r++) {
        float *row = s->scores + r * KEYS;
        if (s->key_bias) sr_attention_bias(row, s->key_bias, s->n);
        if (s->rel_bias) sr_attention_bias(row, s->rel_bias - r, s->n);
        keep[r] = softmax(row, s->n, s->max + r, s->sum + r);
    }
    product(s->scores, KEYS, s->v, s->o, D, n, D, 1, keep);
}

const struct sr_attention_kernels sr_attention_avx2[SR_ELEMS] = {
    [SR_E_F32] = { QUERIES, KEYS, WIDTH, PANEL, sizeof(float), sr_attention_pack_q_f32, sr_attention_pack_k16_f32,
                   sr_attention_pack_v16_f32, step, sr_attention_end_f32 },
    [SR_E_BF16] = { QUERIES, KEYS, WIDTH, PANEL, sizeof(float), sr_attention_pack_q_wide, sr_attention_pack_k16_wide,
                    sr_attention_pack_v16_wide, step, sr_attention_end_bf16 },
};
