/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attention with the bf16 dot product: operands bf16 in pairs, sums and softmax f32.  exp(s - m) is rounded to bf16 for
 * the second product, while its sum is that of the f32 values.
 */
#include "kernels/x86/attention_vec.h"

_Static_assert(PANEL == 64, "as the operands are packed");
const struct sr_attention_kernels sr_attention_avx512bf16 = {
    QUERIES, KEYS, VN, PANEL, sizeof(elem) / AXIS, sr_attention_pack_q_pair, sr_attention_pack_k64_pair,
    sr_attention_pack_v64_pair, step, end_bf16
};
