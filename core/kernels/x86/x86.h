/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector kernels by name, one set for each CPU level. */
#ifndef SR_X86_H
#define SR_X86_H

#include "kernels/kernels.h"

#define SR_X86_KERNELS(level)                                                                                          \
    sr_f32_to_bf16_fn sr_f32_to_bf16_##level;                                                                          \
    sr_bf16_to_f32_fn sr_bf16_to_f32_##level;                                                                          \
    sr_f16_to_f32_fn sr_f16_to_f32_##level;                                                                            \
    sr_norm_fn sr_layer_norm_f32_##level, sr_layer_norm_bf16_##level;                                                  \
    sr_norm_fn sr_rms_norm_f32_f32_##level, sr_rms_norm_f32_bf16_##level;                                              \
    sr_norm_fn sr_rms_norm_bf16_f32_##level, sr_rms_norm_bf16_bf16_##level;                                            \
    sr_rms_rope_fn sr_rms_rope_f32_##level, sr_rms_rope_bf16_##level;                                                  \
    sr_add_fn sr_add_f32_##level, sr_add_bf16_##level;                                                                 \
    sr_add_gated_fn sr_add_gated_f32_##level, sr_add_gated_bf16_##level;                                               \
    sr_mul_fn sr_mul_f32_##level, sr_mul_bf16_##level;                                                                 \
    sr_silu_fn sr_silu_##level;                                                                                        \
    sr_channel_norm_fn sr_channel_norm_f32_##level, sr_channel_norm_bf16_##level

/* One round of a peak loop: how many operations it has done.  sink keeps the compiler from dropping it. */
typedef double sr_peak_fn(float *sink);
sr_peak_fn sr_peak_f32_avx2, sr_peak_int8_avx2, sr_peak_f32_avx512, sr_peak_bf16_avx512, sr_peak_int8_avx512;

SR_X86_KERNELS(avx2);
SR_X86_KERNELS(avx512);

#endif
