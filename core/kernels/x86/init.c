/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/attention.h"
#include "kernels/x86/x86.h"

/* Every kernel that has a vector version, from one level. */
#define TAKE(level)                                                                                                    \
    do {                                                                                                               \
        k->f32_to_bf16 = sr_f32_to_bf16_##level;                                                                       \
        k->bf16_to_f32 = sr_bf16_to_f32_##level;                                                                       \
        k->f16_to_f32 = sr_f16_to_f32_##level;                                                                         \
        k->layer_norm[SR_E_F32] = sr_layer_norm_f32_##level;                                                           \
        k->layer_norm[SR_E_BF16] = sr_layer_norm_bf16_##level;                                                         \
        k->rms_norm[SR_E_F32][SR_E_F32] = sr_rms_norm_f32_f32_##level;                                                 \
        k->rms_norm[SR_E_F32][SR_E_BF16] = sr_rms_norm_f32_bf16_##level;                                               \
        k->rms_norm[SR_E_BF16][SR_E_F32] = sr_rms_norm_bf16_f32_##level;                                               \
        k->rms_norm[SR_E_BF16][SR_E_BF16] = sr_rms_norm_bf16_bf16_##level;                                             \
        k->rms_rope[SR_E_F32] = sr_rms_rope_f32_##level;                                                               \
        k->rms_rope[SR_E_BF16] = sr_rms_rope_bf16_##level;                                                             \
        k->add[SR_E_F32] = sr_add_f32_##level;                                                                         \
        k->add[SR_E_BF16] = sr_add_bf16_##level;                                                                       \
        k->add_gated[SR_E_F32] = sr_add_gated_f32_##level;                                                             \
        k->add_gated[SR_E_BF16] = sr_add_gated_bf16_##level;                                                           \
        k->mul[SR_E_F32] = sr_mul_f32_##level;                                                                         \
        k->mul[SR_E_BF16] = sr_mul_bf16_##level;                                                                       \
        k->silu = sr_silu_##level;                                                                                     \
        k->channel_norm[SR_E_F32] = sr_channel_norm_f32_##level;                                                       \
        k->channel_norm[SR_E_BF16] = sr_channel_norm_bf16_##level;                                                     \
    } while (0)

/* Each level overrides the one before. */
void sr_kernels_init_x86(struct sr_kernels *k, unsigned cpu)
{
    if (!(cpu & SR_CPU_AVX2)) return;
    TAKE(avx2);
    memcpy(k->attention, sr_attention_avx2, sizeof k->attention);

    if (!(cpu & SR_CPU_AVX512)) return;
    TAKE(avx512);
    memcpy(k->attention, sr_attention_avx512, sizeof k->attention);
    if (cpu & SR_CPU_AVX512_BF16) k->attention[SR_E_BF16] = sr_attention_avx512bf16;
}
