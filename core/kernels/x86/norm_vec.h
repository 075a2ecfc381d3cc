/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Norms for one CPU level; see vec.h. */
#include <math.h>

#include "kernels/x86/vec.h"

/* out = (x - mean) * factor * (one + w) + b; w and b are NULL or not, as constants, in the two common cases */
INLINE void affine(void *out, bool out_bf16, const void *x, bool x_bf16, float mean, float factor, const float *w,
                   const float *b, float one, size_t n)
{
    const vf m = v_set1(mean), f = v_set1(factor), o = v_set1(one);
    size_t i = 0;

    for (; i + VN <= n; i += VN) {
        vf y = v_mul(v_sub(v_load(x, i, x_bf16), m), f);
        if (w) y = v_mul(y, v_add(o, v_load(w, i, false)));
        if (b) y = v_add(y, v_load(b, i, false));
        v_store(out, i, out_bf16, y);
    }
    if (i < n) {
        vf y = v_mul(v_sub(v_load_n(x, i, x_bf16, n - i), m), f);
        if (w) y = v_mul(y, v_add(o, v_load_n(w, i, false, n - i)));
        if (b) y = v_add(y, v_load_n(b, i, false, n - i));
        v_store_n(out, i, out_bf16, y, n - i);
    }
}

INLINE float sum(const float *x, size_t n)
{
    vf a = v_set1(0), b = v_set1(0);
    size_t i = 0;

    for (; i + 2 * VN <= n; i += 2 * VN) {
        a = v_add(a, v_load(x, i, false));
        b = v_add(b, v_load(x, i + VN, false));
    }
    for (; i + VN <= n; i += VN) a = v_add(a, v_load(x, i, false));
    if (i < n) b = v_add(b, v_load_n(x, i, false, n - i));
    return v_sum(v_add(a, b));
}

/* of x - mean; the two sums hide the latency of the other */
INLINE float sum_squares(const void *x, bool bf16, float mean, size_t n)
{
    const vf m = v_set1(mean);
    vf a = v_set1(0), b = v_set1(0);
    size_t i = 0;

    for (; i + 2 * VN <= n; i += 2 * VN) {
        const vf p = v_sub(v_load(x, i, bf16), m), q = v_sub(v_load(x, i + VN, bf16), m);
        a = v_fma(p, p, a);
        b = v_fma(q, q, b);
    }
    for (; i + VN <= n; i += VN) {
        const vf p = v_sub(v_load(x, i, bf16), m);
        a = v_fma(p, p, a);
    }
    if (i < n) {
        const vf p = v_first(v_sub(v_load_n(x, i, bf16, n - i), m), n - i);
        b = v_fma(p, p, b);
    }
    return v_sum(v_add(a, b));
}

INLINE void layer_norm(void *out, bool out_bf16, const float *x, const float *w, const float *b, float one, float eps,
                       size_t n)
{
    const float mean = sum(x, n) / (float)n;
    const float factor = 1 / sqrtf(sum_squares(x, false, mean, n) / (float)n + eps);

    if (w && b)
        affine(out, out_bf16, x, false, mean, factor, w, b, one, n);
    else
        affine(out, out_bf16, x, false, mean, factor, w, b, one, n);
}

INLINE void rms_norm(void *out, bool out_bf16, const void *x, bool x_bf16, const float *w, const float *b, float one,
                     float eps, size_t n)
{
    const float factor = 1 / sqrtf(sum_squares(x, x_bf16, 0, n) / (float)n + eps);

    if (w && !b)
        affine(out, out_bf16, x, x_bf16, 0, factor, w, NULL, one, n);
    else
        affine(out, out_bf16, x, x_bf16, 0, factor, w, b, one, n);
}

void NAME(layer_norm_f32)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    layer_norm(out, false, x, w, b, one, eps, n);
}

void NAME(layer_norm_bf16)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    layer_norm(out, true, x, w, b, one, eps, n);
}

void NAME(rms_norm_f32_f32)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, false, x, false, w, b, one, eps, n);
}

void NAME(rms_norm_f32_bf16)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, true, x, false, w, b, one, eps, n);
}

void NAME(rms_norm_bf16_f32)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, false, x, true, w, b, one, eps, n);
}

void NAME(rms_norm_bf16_bf16)(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, true, x, true, w, b, one, eps, n);
}

/* ---- Pixels ---- */

INLINE void one_pixel(void *out, const void *x, bool bf16, float factor, const float *gamma, bool silu, size_t c)
{
    const vf f = v_set1(factor);
    size_t i = 0;

    for (; i + VN <= c; i += VN) {
        const vf y = v_mul(v_mul(v_load(x, i, bf16), f), v_load(gamma, i, false));
        v_store(out, i, bf16, silu ? v_silu(y) : y);
    }
    if (i < c) {
        const vf y = v_mul(v_mul(v_load_n(x, i, bf16, c - i), f), v_load_n(gamma, i, false, c - i));
        v_store_n(out, i, bf16, silu ? v_silu(y) : y, c - i);
    }
}

INLINE void channel_norm(void *out, const void *in, bool bf16, const float *gamma, float eps, bool silu, size_t n,
                         size_t c)
{
    const size_t bytes = c * (bf16 ? 2 : 4);

    for (size_t p = 0; p < n; p++) {
        const uint8_t *x = (const uint8_t *)in + p * bytes;
        uint8_t *y = (uint8_t *)out + p * bytes;
        const float length = sqrtf(sum_squares(x, bf16, 0, c)), factor = 1 / (length > eps ? length : eps);

        if (silu)
            one_pixel(y, x, bf16, factor, gamma, true, c);
        else
            one_pixel(y, x, bf16, factor, gamma, false, c);
    }
}

void NAME(channel_norm_f32)(void *out, const void *in, const float *gamma, float eps, bool silu, size_t n, size_t c)
{
    channel_norm(out, in, false, gamma, eps, silu, n, c);
}

void NAME(channel_norm_bf16)(void *out, const void *in, const float *gamma, float eps, bool silu, size_t n, size_t c)
{
    channel_norm(out, in, true, gamma, eps, silu, n, c);
}
