/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotary position embedding of adjacent pairs, Su et al. "RoFormer", 2021, behind the RMS norm of queries and keys. */
#include <math.h>

#include "kernels/kernels_c.h"

static inline void rms_rope(void *x, bool bf16, const float *w, float eps, const float *cos, const float *sin, size_t n,
                            size_t d)
{
    double factor = 1;

    if (w) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)sr_elem_get(x, i, bf16) * (double)sr_elem_get(x, i, bf16);
        factor = 1 / sqrt(sum / (double)n + (double)eps);
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        const size_t pair = i % d / 2;
        const float a = (float)(sr_elem_get(x, i, bf16) * factor) * (w ? w[i] : 1);
        const float b = (float)(sr_elem_get(x, i + 1, bf16) * factor) * (w ? w[i + 1] : 1);

        sr_elem_set(x, i, bf16, cos ? a * cos[pair] - b * sin[pair] : a);
        sr_elem_set(x, i + 1, bf16, cos ? a * sin[pair] + b * cos[pair] : b);
    }
}

void sr_rms_rope_f32_c(void *x, const float *w, float eps, const float *cos, const float *sin, size_t n, size_t d)
{
    rms_rope(x, false, w, eps, cos, sin, n, d);
}

void sr_rms_rope_bf16_c(void *x, const float *w, float eps, const float *cos, const float *sin, size_t n, size_t d)
{
    rms_rope(x, true, w, eps, cos, sin, n, d);
}
