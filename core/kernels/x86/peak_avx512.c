/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Twenty-four sums at a time.  The dot products need more than this file is compiled for, so they carry their own. */
#include <immintrin.h>

#include "kernels/x86/x86.h"

enum { ROUNDS = 20000, SUMS = 24 };

double sr_peak_f32_avx512(float *sink)
{
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
    __m512 s[SUMS];

    for (int i = 0; i < SUMS; i++) s[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++) s[i] = _mm512_fmadd_ps(s[i], a, b);
    }
    for (int i = 1; i < SUMS; i++) s[0] = _mm512_add_ps(s[0], s[i]);
    _mm512_storeu_ps(sink, s[0]);
    return 2.0 * 16 * SUMS * ROUNDS;
}

__attribute__((target("avx512bf16"))) double sr_peak_bf16_avx512(float *sink)
{
    const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
    __m512 s[SUMS];

    for (int i = 0; i < SUMS; i++) s[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++) s[i] = _mm512_dpbf16_ps(s[i], a, a);
    }
    for (int i = 1; i < SUMS; i++) s[0] = _mm512_add_ps(s[0], s[i]);
    _mm512_storeu_ps(sink, s[0]);
    return 2.0 * 32 * SUMS * ROUNDS;
}

__attribute__((target("avx512vnni"))) double sr_peak_int8_avx512(float *sink)
{
    const __m512i a = _mm512_set1_epi8(3);
    __m512i s[SUMS];

    for (int i = 0; i < SUMS; i++) s[i] = _mm512_set1_epi32(i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++) s[i] = _mm512_dpbusd_epi32(s[i], a, a);
    }
    for (int i = 1; i < SUMS; i++) s[0] = _mm512_add_epi32(s[0], s[i]);
    _mm512_storeu_ps(sink, _mm512_cvtepi32_ps(s[0]));
    return 2.0 * 64 * SUMS * ROUNDS;
}
