/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernels_c.h"

void sr_f32_to_bf16_c(uint16_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = sr_f32_to_bf16(in[i]);
}

void sr_bf16_to_f32_c(float *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = sr_bf16_to_f32(in[i]);
}

void sr_f16_to_f32_c(float *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = sr_f16_to_f32(in[i]);
}
