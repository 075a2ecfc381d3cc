/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plain C kernels by name: the table of kernels_c.c, and the ends of rows in the vector versions. */
#ifndef SR_KERNELS_C_H
#define SR_KERNELS_C_H

#include "kernels/kernels.h"

sr_f32_to_bf16_fn sr_f32_to_bf16_c;
sr_bf16_to_f32_fn sr_bf16_to_f32_c;
sr_f16_to_f32_fn sr_f16_to_f32_c;
sr_norm_fn sr_layer_norm_f32_c, sr_layer_norm_bf16_c;
sr_norm_fn sr_rms_norm_f32_f32_c, sr_rms_norm_f32_bf16_c, sr_rms_norm_bf16_f32_c, sr_rms_norm_bf16_bf16_c;
sr_rms_rope_fn sr_rms_rope_f32_c, sr_rms_rope_bf16_c;
sr_add_fn sr_add_f32_c, sr_add_bf16_c;
sr_add_gated_fn sr_add_gated_f32_c, sr_add_gated_bf16_c;
sr_mul_fn sr_mul_f32_c, sr_mul_bf16_c;
sr_silu_fn sr_silu_c;
sr_channel_norm_fn sr_channel_norm_f32_c, sr_channel_norm_bf16_c;
extern const struct sr_attention_kernels sr_attention_c[SR_ELEMS];

/* Element i of an array of either type; bf16 is a constant where these are inlined. */
static inline float sr_elem_get(const void *p, size_t i, bool bf16)
{
    return bf16 ? sr_bf16_to_f32(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

static inline void sr_elem_set(void *p, size_t i, bool bf16, float v)
{
    if (bf16)
        ((uint16_t *)p)[i] = sr_f32_to_bf16(v);
    else
        ((float *)p)[i] = v;
}

#endif
