/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vector of floats as wide as the CPU level that the including file is compiled for: 8 with AVX2, 16 with AVX-512.
 * The kernels in *_vec.h are written once in these few operations; NAME(x) is x with the level behind it.
 *
 * Loads and stores take either type of element; bf16 is a constant wherever these are inlined.
 */
#ifndef SR_VEC_H
#define SR_VEC_H

#include <immintrin.h>

#include "kernels/x86/x86.h"

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define NAME(x) sr_##x##_avx512
enum { VN = 16 };
typedef __m512 vf;
typedef __m512i vi;

INLINE vf v_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }         /* a * b + c */
INLINE vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }       /* c - a * b */
INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf v_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }              /* a * 2^n, n whole */
INLINE vf v_times2(vf a, vf n)          /* a * 2^n; n whole, in the lowest bits of the float, the rest of no matter */
{
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(n), 23)));
}
INLINE float v_sum(vf a) { return _mm512_reduce_add_ps(a); }
INLINE float v_largest(vf a) { return _mm512_reduce_max_ps(a); }

/* Pairs (a, b) become (a * c - b * s, a * s + b * c); c and s point at one number a pair. */
INLINE vf v_turn(vf x, const float *c, const float *s)
{
    const vi twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    const vf vc = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(c)));
    const vf vs = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(s)));

    return _mm512_fmaddsub_ps(x, vc, _mm512_mul_ps(_mm512_permute_ps(x, 0xb1), vs));
}

INLINE vf v_from_bf16(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }

INLINE __m256i v_to_bf16(vf a)
{
    const vi u = _mm512_castps_si512(a), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const vi even = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const vi nan = _mm512_or_si512(u, _mm512_set1_epi32(0x400000));

    return _mm512_cvtepi32_epi16(
        _mm512_srli_epi32(_mm512_mask_mov_epi32(even, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), nan), 16));
}

INLINE vf v_load(const void *p, size_t i, bool bf16)
{
    if (bf16) return v_from_bf16(_mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)p + i)));
    return _mm512_loadu_ps((const float *)p + i);
}

INLINE void v_store(void *p, size_t i, bool bf16, vf a)
{
    if (bf16)
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)p + i), v_to_bf16(a));
    else
        _mm512_storeu_ps((float *)p + i, a);
}

/* The first n < VN elements; the others read as 0 and are not written. */
INLINE vf v_load_n(const void *p, size_t i, bool bf16, size_t n)
{
    const __mmask16 m = (__mmask16)((1u << n) - 1);

    if (bf16) return v_from_bf16(_mm256_maskz_loadu_epi16(m, (const uint16_t *)p + i));
    return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

INLINE void v_store_n(void *p, size_t i, bool bf16, vf a, size_t n)
{
    const __mmask16 m = (__mmask16)((1u << n) - 1);

    if (bf16)
        _mm256_mask_storeu_epi16((uint16_t *)p + i, m, v_to_bf16(a));
    else
        _mm512_mask_storeu_ps((float *)p + i, m, a);
}

/* a with all but the first n elements 0 */
INLINE vf v_first(vf a, size_t n) { return _mm512_maskz_mov_ps((__mmask16)((1u << n) - 1), a); }

#else
#define NAME(x) sr_##x##_avx2
enum { VN = 8 };
typedef __m256 vf;
typedef __m256i vi;

INLINE vf v_set1(float x) { return _mm256_set1_ps(x); }
INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

INLINE vf v_scale2(vf a, vf n)          /* |n| <= 127: by way of the exponent bits */
{
    const vi e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(e));
}

INLINE vf v_times2(vf a, vf n)
{
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(n), 23)));
}

INLINE float v_largest(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE vf v_turn(vf x, const float *c, const float *s)
{
    const vi twice = _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0);
    const vf vc = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(c)), twice);
    const vf vs = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(s)), twice);

    return _mm256_fmaddsub_ps(x, vc, _mm256_mul_ps(_mm256_permute_ps(x, 0xb1), vs));
}

INLINE vf v_from_bf16(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }

INLINE __m128i v_to_bf16(vf a)
{
    const vi u = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const vi even = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const vi nan = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    const vi is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const vi r = _mm256_srli_epi32(_mm256_blendv_epi8(even, nan, is_nan), 16);

    return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
}

INLINE vf v_load(const void *p, size_t i, bool bf16)
{
    if (bf16) return v_from_bf16(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)p + i)));
    return _mm256_loadu_ps((const float *)p + i);
}

INLINE void v_store(void *p, size_t i, bool bf16, vf a)
{
    if (bf16)
        _mm_storeu_si128((__m128i *)(void *)((uint16_t *)p + i), v_to_bf16(a));
    else
        _mm256_storeu_ps((float *)p + i, a);
}

INLINE vi v_mask(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

INLINE vf v_load_n(const void *p, size_t i, bool bf16, size_t n)
{
    uint16_t h[8] = { 0 };

    if (!bf16) return _mm256_maskload_ps((const float *)p + i, v_mask(n));
    memcpy(h, (const uint16_t *)p + i, n * sizeof *h);
    return v_load(h, 0, true);
}

INLINE void v_store_n(void *p, size_t i, bool bf16, vf a, size_t n)
{
    uint16_t h[8];

    if (!bf16) {
        _mm256_maskstore_ps((float *)p + i, v_mask(n), a);
        return;
    }
    v_store(h, 0, true, a);
    memcpy((uint16_t *)p + i, h, n * sizeof *h);
}

INLINE vf v_first(vf a, size_t n) { return _mm256_and_ps(a, _mm256_castsi256_ps(v_mask(n))); }
#endif

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, and a Taylor sum of seven terms for e^r: 2e-7 off at most. */
INLINE vf v_exp(vf x)
{
    const vf n = v_round(v_mul(v_min(v_max(x, v_set1(-87)), v_set1(88)), v_set1(1.44269504f)));
    const vf c = v_min(v_max(x, v_set1(-87)), v_set1(88));
    const vf r = v_fnma(n, v_set1(-2.12194440e-4f), v_fnma(n, v_set1(0.693359375f), c));   /* ln 2 in two parts */
    vf p = v_set1(1.0f / 720);

    p = v_fma(p, r, v_set1(1.0f / 120));
    p = v_fma(p, r, v_set1(1.0f / 24));
    p = v_fma(p, r, v_set1(1.0f / 6));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, r, v_set1(1));
    p = v_fma(p, r, v_set1(1));
    return v_scale2(p, n);
}

INLINE vf v_silu(vf x)
{
    return v_div(x, v_add(v_set1(1), v_exp(v_sub(v_set1(0), x))));
}

#endif
