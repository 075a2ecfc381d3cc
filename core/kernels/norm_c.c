/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Norms of one row.  Sums are double: this is the meaning that the vector versions are measured against. */
#include <math.h>

#include "kernels/kernels_c.h"

static inline void affine(void *out, bool out_bf16, const void *x, bool x_bf16, double mean, double factor,
                          const float *w, const float *b, float one, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float y = (float)((sr_elem_get(x, i, x_bf16) - mean) * factor);
        if (w) y *= one + w[i];
        if (b) y += b[i];
        sr_elem_set(out, i, out_bf16, y);
    }
}

static inline void layer_norm(void *out, bool out_bf16, const float *x, const float *w, const float *b, float one,
                              float eps, size_t n)
{
    double mean = 0, var = 0;

    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    affine(out, out_bf16, x, false, mean, 1 / sqrt(var / (double)n + (double)eps), w, b, one, n);
}

static inline double sum_squares(const void *x, bool bf16, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += (double)sr_elem_get(x, i, bf16) * (double)sr_elem_get(x, i, bf16);
    return sum;
}

static inline void rms_norm(void *out, bool out_bf16, const void *x, bool x_bf16, const float *w, const float *b,
                            float one, float eps, size_t n)
{
    const double factor = 1 / sqrt(sum_squares(x, x_bf16, n) / (double)n + (double)eps);

    affine(out, out_bf16, x, x_bf16, 0, factor, w, b, one, n);
}

void sr_layer_norm_f32_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    layer_norm(out, false, x, w, b, one, eps, n);
}

void sr_layer_norm_bf16_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    layer_norm(out, true, x, w, b, one, eps, n);
}

void sr_rms_norm_f32_f32_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, false, x, false, w, b, one, eps, n);
}

void sr_rms_norm_f32_bf16_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, true, x, false, w, b, one, eps, n);
}

void sr_rms_norm_bf16_f32_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, false, x, true, w, b, one, eps, n);
}

void sr_rms_norm_bf16_bf16_c(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n)
{
    rms_norm(out, true, x, true, w, b, one, eps, n);
}

static inline void channel_norm(void *out, const void *in, bool bf16, const float *gamma, float eps, bool silu,
                                size_t n, size_t c)
{
    const size_t size = bf16 ? 2 : 4;

    for (size_t p = 0; p < n; p++) {
        const uint8_t *x = (const uint8_t *)in + p * c * size;
        uint8_t *y = (uint8_t *)out + p * c * size;
        const double length = sqrt(sum_squares(x, bf16, c)), factor = 1 / (length > (double)eps ? length : (double)eps);

        for (size_t i = 0; i < c; i++) {
            double v = sr_elem_get(x, i, bf16) * factor * (double)gamma[i];
            if (silu) v /= 1 + exp(-v);
            sr_elem_set(y, i, bf16, (float)v);
        }
    }
}

void sr_channel_norm_f32_c(void *out, const void *in, const float *gamma, float eps, bool silu, size_t n, size_t c)
{
    channel_norm(out, in, false, gamma, eps, silu, n, c);
}

void sr_channel_norm_bf16_c(void *out, const void *in, const float *gamma, float eps, bool silu, size_t n, size_t c)
{
    channel_norm(out, in, true, gamma, eps, silu, n, c);
}
