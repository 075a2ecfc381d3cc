/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/attention_vec.h"

static void end_f32(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D)
{
    end(out, stride, o, sum, n, D, false);
}

_Static_assert(PANEL == 64, "as the operands are packed");
const struct sr_attention_kernels sr_attention_avx512[SR_ELEMS] = {
    [SR_E_F32] = { QUERIES, KEYS, VN, PANEL, sizeof(elem), sr_attention_pack_q_f32, sr_attention_pack_k64_f32,
                   sr_attention_pack_v64_f32, step, end_f32 },
    [SR_E_BF16] = { QUERIES, KEYS, VN, PANEL, sizeof(elem), sr_attention_pack_q_wide, sr_attention_pack_k64_wide,
                    sr_attention_pack_v64_wide, step, end_bf16 },
};
