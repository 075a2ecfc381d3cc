/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversions for one CPU level; see vec.h. */
#include "kernels/x86/vec.h"

void NAME(f32_to_bf16)(uint16_t *out, const float *in, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN) v_store(out, i, true, v_load(in, i, false));
    if (i < n) v_store_n(out, i, true, v_load_n(in, i, false, n - i), n - i);
}

void NAME(bf16_to_f32)(float *out, const uint16_t *in, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN) v_store(out, i, false, v_load(in, i, true));
    if (i < n) v_store_n(out, i, false, v_load_n(in, i, true, n - i), n - i);
}

void NAME(f16_to_f32)(float *out, const uint16_t *in, size_t n)
{
    uint16_t h[8] = { 0 };
    float f[8];
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))));
    if (i == n) return;
    memcpy(h, in + i, (n - i) * sizeof *h);
    _mm256_storeu_ps(f, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)h)));
    memcpy(out + i, f, (n - i) * sizeof *f);
}
