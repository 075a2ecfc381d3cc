/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/attention_vec.h"

static void end_f32(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D)
{
    end(out, stride, o, sum, n, D, false);
}

_Static_assert(PANEL == 16, "as the operands are packed");
const struct sr_attention_kernels sr_attention_avx2[SR_ELEMS] = {
    [SR_E_F32] = { QUERIES, KEYS, VN, PANEL, sizeof(elem), sr_attention_pack_q_f32, sr_attention_pack_k16_f32,
                   sr_attention_pack_v16_f32, step, end_f32 },
    [SR_E_BF16] = { QUERIES, KEYS, VN, PANEL, sizeof(elem), sr_attention_pack_q_wide, sr_attention_pack_k16_wide,
                    sr_attention_pack_v16_wide, step, end_bf16 },
};
