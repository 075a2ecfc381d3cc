/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attention on x86: what the CPU levels share.
 *
 * Both products are sums over an axis of (one number of A) * (a row of B): A row-major, B in panels of `panel` columns,
 * each panel [axis, columns] without gaps, the last one narrower.  So one tile serves both:
 *   scores [queries, keys]  A = q [queries, D],         B = the keys transposed, [D, keys] in panels
 *   o [queries, D]          A = exp(s - m) [queries, keys],  B = v [keys, D] in panels
 * For the bf16 dot product an element of the axis is a pair, and B's two rows of a pair are interleaved.
 */
#ifndef SR_X86_ATTENTION_H
#define SR_X86_ATTENTION_H

#include "kernels/kernels.h"

#define SR_LOG2E 1.44269504f
#define SR_INLINE static inline __attribute__((always_inline))

/* 6 x 2 of 16 registers, 6 x 4 of 32: what leaves room for one row of B and one number of A. */
enum { SR_ATTENTION_QUERIES = 6, SR_ATTENTION_PANEL_AVX2 = 16, SR_ATTENTION_PANEL_AVX512 = 64 };

extern const struct sr_attention_kernels sr_attention_avx2[SR_ELEMS], sr_attention_avx512[SR_ELEMS];
extern const struct sr_attention_kernels sr_attention_avx512bf16;

/* attention_pack_avx2.c, for all levels.  _f32: from f32 to f32, _wide: from bf16 to f32, _pair: bf16 in pairs. */
sr_attention_pack_fn sr_attention_pack_q_f32, sr_attention_pack_q_wide, sr_attention_pack_q_pair;
sr_attention_pack_fn sr_attention_pack_k16_f32, sr_attention_pack_k16_wide;         /* panels of 16 */
sr_attention_pack_fn sr_attention_pack_v16_f32, sr_attention_pack_v16_wide;
sr_attention_pack_fn sr_attention_pack_k64_f32, sr_attention_pack_k64_wide, sr_attention_pack_k64_pair;
sr_attention_pack_fn sr_attention_pack_v64_f32, sr_attention_pack_v64_wide, sr_attention_pack_v64_pair;
sr_attention_end_fn sr_attention_end_f32, sr_attention_end_bf16;

/* The row's biases, to scores in the base-2 domain. */
static inline void sr_attention_bias(float *s, const float *bias, size_t n)
{
    for (size_t j = 0; j < n; j++) s[j] += bias[j] * SR_LOG2E;
}

#endif
