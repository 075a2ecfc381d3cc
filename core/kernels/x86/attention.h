/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention on x86: what the CPU levels share.  The layout of packed operands is in attention_vec.h. */
#ifndef SR_X86_ATTENTION_H
#define SR_X86_ATTENTION_H

#include "kernels/kernels.h"

extern const struct sr_attention_kernels sr_attention_avx2[SR_ELEMS], sr_attention_avx512[SR_ELEMS];
extern const struct sr_attention_kernels sr_attention_avx512bf16;

/* attention_pack_avx2.c, for all levels.  _f32: from f32 to f32, _wide: from bf16 to f32, _pair: bf16 in pairs. */
sr_attention_pack_fn sr_attention_pack_q_f32, sr_attention_pack_q_wide, sr_attention_pack_q_pair;
sr_attention_pack_fn sr_attention_pack_k16_f32, sr_attention_pack_k16_wide;         /* panels of 16 columns */
sr_attention_pack_fn sr_attention_pack_v16_f32, sr_attention_pack_v16_wide;
sr_attention_pack_fn sr_attention_pack_k64_f32, sr_attention_pack_k64_wide, sr_attention_pack_k64_pair;
sr_attention_pack_fn sr_attention_pack_v64_f32, sr_attention_pack_v64_wide, sr_attention_pack_v64_pair;

#endif
