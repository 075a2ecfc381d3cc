/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernels_c.h"

void sr_kernels_init_c(struct sr_kernels *k)
{
    *k = (struct sr_kernels){
        .f32_to_bf16 = sr_f32_to_bf16_c,
        .bf16_to_f32 = sr_bf16_to_f32_c,
        .f16_to_f32 = sr_f16_to_f32_c,
        .layer_norm = { sr_layer_norm_f32_c, sr_layer_norm_bf16_c },
        .rms_norm = { { sr_rms_norm_f32_f32_c, sr_rms_norm_f32_bf16_c },
                      { sr_rms_norm_bf16_f32_c, sr_rms_norm_bf16_bf16_c } },
        .rms_rope = { sr_rms_rope_f32_c, sr_rms_rope_bf16_c },
        .add = { sr_add_f32_c, sr_add_bf16_c },
        .add_gated = { sr_add_gated_f32_c, sr_add_gated_bf16_c },
        .mul = { sr_mul_f32_c, sr_mul_bf16_c },
        .silu = sr_silu_c,
        .channel_norm = { sr_channel_norm_f32_c, sr_channel_norm_bf16_c },
        .attention = { sr_attention_c[SR_E_F32], sr_attention_c[SR_E_BF16] },
        .attention_any = { sr_attention_c[SR_E_F32], sr_attention_c[SR_E_BF16] },
    };
}
