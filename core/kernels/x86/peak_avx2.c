/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ten sums at a time, in the sixteen registers that there are: more than latency times units on any CPU so far. */
#include <immintrin.h>

#include "kernels/x86/x86.h"

enum { ROUNDS = 20000, SUMS = 10 };

double sr_peak_f32_avx2(float *sink)
{
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
    __m256 s[SUMS];

    for (int i = 0; i < SUMS; i++) s[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < SUMS; i++) s[i] = _mm256_fmadd_ps(s[i], a, b);
    }
    for (int i = 1; i < SUMS; i++) s[0] = _mm256_add_ps(s[0], s[i]);
    _mm256_storeu_ps(sink, s[0]);
    return 2.0 * 8 * SUMS * ROUNDS;
}

/* Without a dot product instruction: u8 x s8 to s16 pairs, to s32 pairs, sum.  32 multiply-adds in three steps. */
double sr_peak_int8_avx2(float *sink)
{
    const __m256i a = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1);
    __m256i s[SUMS];

    for (int i = 0; i < SUMS; i++) s[i] = _mm256_set1_epi32(i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < SUMS; i++)
            s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(_mm256_maddubs_epi16(s[i], a), one));
    }
    for (int i = 1; i < SUMS; i++) s[0] = _mm256_add_epi32(s[0], s[i]);
    _mm256_storeu_ps(sink, _mm256_cvtepi32_ps(s[0]));
    return 2.0 * 32 * SUMS * ROUNDS;
}
