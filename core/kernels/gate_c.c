/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Residual sums, gates and the activation that stands alone. */
#include <math.h>

#include "kernels/kernels_c.h"

void sr_add_f32_c(float *x, const void *h, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += sr_elem_get(h, i, false);
}

void sr_add_bf16_c(float *x, const void *h, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += sr_elem_get(h, i, true);
}

void sr_add_gated_f32_c(float *x, const void *h, const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += g[i] * sr_elem_get(h, i, false);
}

void sr_add_gated_bf16_c(float *x, const void *h, const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += g[i] * sr_elem_get(h, i, true);
}

void sr_mul_f32_c(void *x, const void *h, size_t n)
{
    for (size_t i = 0; i < n; i++) sr_elem_set(x, i, false, sr_elem_get(x, i, false) * sr_elem_get(h, i, false));
}

void sr_mul_bf16_c(void *x, const void *h, size_t n)
{
    for (size_t i = 0; i < n; i++) sr_elem_set(x, i, true, sr_elem_get(x, i, true) * sr_elem_get(h, i, true));
}

void sr_silu_c(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)(x[i] / (1 + exp(-(double)x[i])));
}
