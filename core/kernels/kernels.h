/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inner loops: what each one means, and the table through which they are called.
 *
 * The plain C versions (*_c.c) are the meaning; x86/ has the same for AVX2 and AVX-512 and is checked against them
 * (tests/checkasm).  Every kernel takes any n, any alignment, and writes nothing outside its n values; sources and
 * destinations do not overlap unless it says "in place".  bf16 values are uint16_t, the upper half of a float; results
 * are rounded to nearest even.  All arithmetic is f32.  Reductions add in an order that depends on the CPU level
 * alone, never on the thread that calls.
 */
#ifndef SR_KERNELS_H
#define SR_KERNELS_H

#include "base/base.h"

/* Types of one operand; index of the tables below.  (void * operands are float or uint16_t by this.) */
enum sr_elem { SR_E_F32, SR_E_BF16, SR_ELEMS };

/* out[i] = (type) in[i], i < n */
typedef void sr_f32_to_bf16_fn(uint16_t *out, const float *in, size_t n);
typedef void sr_bf16_to_f32_fn(float *out, const uint16_t *in, size_t n);
typedef void sr_f16_to_f32_fn(float *out, const uint16_t *in, size_t n);

/*
 * One row of a norm over its n channels:
 *   layer norm  y[i] = (x[i] - mean) / sqrt(mean((x - mean)^2) + eps)
 *   rms norm    y[i] = x[i] / sqrt(mean(x^2) + eps)
 *   out[i] = y[i] * (one + w[i]) + b[i]
 * one: 0 for weights, 1 for modulation, whose scale counts from 1.  w NULL: no factor; b NULL: nothing added.
 * Works in place where the types are equal.
 */
typedef void sr_norm_fn(void *out, const void *x, const float *w, const float *b, float one, float eps, size_t n);

/*
 * One token in place: x[i] *= w[i] / sqrt(mean(x^2) + eps) over all n channels (w NULL: not), then in each head of d
 * channels (d even, n a multiple of d) the pair (2i, 2i + 1) is turned by the angle whose cosine and sine are cos[i],
 * sin[i], i < d / 2 (cos NULL: not).
 */
typedef void sr_rms_rope_fn(void *x, const float *w, float eps, const float *cos, const float *sin, size_t n, size_t d);

/* In place: x[i] += h[i];  x[i] += g[i] * h[i] */
typedef void sr_add_fn(float *x, const void *h, size_t n);
typedef void sr_add_gated_fn(float *x, const void *h, const float *g, size_t n);
/* In place: x[i] *= h[i];  x[i] = x[i] / (1 + exp(-x[i])) */
typedef void sr_mul_fn(void *x, const void *h, size_t n);
typedef void sr_silu_fn(float *x, size_t n);

/*
 * Norm over the c channels of each of n pixels: x / max(sqrt(sum x^2), eps) * gamma[i], where gamma has the factor
 * sqrt(c) inside; then silu.  in and out [n, c] of one type.
 */
typedef void sr_channel_norm_fn(void *out, const void *in, const float *gamma, float eps, bool silu, size_t n,
                                size_t c);

/*
 * Attention of a few queries against one block of keys.  q, k and v are packed by the functions of the same
 * sr_attention_kernels, in a layout and a type that are theirs alone.  With s = score_scale * q k^T + bias for the n
 * keys of the block and m = max(max, max over keys of s), each query's row becomes
 *   o = o * exp(max - m) + exp(s - m) v    sum = sum * exp(max - m) + sum over keys of exp(s - m)    max = m
 * so that after all blocks o / sum is the attention.  The start is o = 0, sum = 0, max = -INFINITY.  max is kept in
 * the base-2 domain: max * log2(e).  Packed blocks, o and scores are aligned to 64 bytes.
 */
struct sr_attention_step {
    size_t rows;                /* queries that are real; the others' results mean nothing */
    const void *q;              /* [queries, D] packed */
    const void *k, *v;          /* the block's keys and values, packed */
    const float *key_bias;      /* [n], or NULL; -INFINITY: the key does not exist */
    const float *rel_bias;      /* key j of query r has rel_bias[j - r]; or NULL */
    float *o;                   /* [queries, D rounded up to width] */
    float *max, *sum;           /* [queries] */
    float *scores;              /* [queries, keys]: scratch */
    size_t D, n;
    float scale;
};
typedef void sr_attention_step_fn(const struct sr_attention_step *s);
/* Pack n rows of D elements.  The caller gives rows up to a multiple of width, rows of zeros at the end if need be. */
typedef void sr_attention_pack_fn(void *out, const void *const *rows, size_t n, size_t D);
/* Rows of o / sum; zeros where sum is 0: every key was masked.  o: rows of D rounded up to width; out: stride bytes. */
typedef void sr_attention_end_fn(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D);

struct sr_attention_kernels {
    size_t queries;             /* rows of one step; fewer are padded with zeros */
    size_t keys;                /* keys of one block at most; a multiple of panel */
    size_t width;               /* keys, and channels of v, are padded to a multiple of this */
    size_t panel;               /* columns that lie together in a packed block; a multiple of width */
    size_t elem;                /* bytes of a packed element */
    sr_attention_pack_fn *pack_q, *pack_k, *pack_v;
    sr_attention_step_fn *step;
    sr_attention_end_fn *end;
};

struct sr_kernels {
    sr_f32_to_bf16_fn *f32_to_bf16;
    sr_bf16_to_f32_fn *bf16_to_f32;
    sr_f16_to_f32_fn *f16_to_f32;
    sr_norm_fn *layer_norm[SR_ELEMS];               /* by type of out; x is f32 */
    sr_norm_fn *rms_norm[SR_ELEMS][SR_ELEMS];       /* by type of x, of out */
    sr_rms_rope_fn *rms_rope[SR_ELEMS];
    sr_add_fn *add[SR_ELEMS];                       /* by type of h */
    sr_add_gated_fn *add_gated[SR_ELEMS];
    sr_mul_fn *mul[SR_ELEMS];
    sr_silu_fn *silu;
    sr_channel_norm_fn *channel_norm[SR_ELEMS];
    struct sr_attention_kernels attention[SR_ELEMS];    /* by type of q, k, v; only for D a multiple of 8 */
    struct sr_attention_kernels attention_any[SR_ELEMS];    /* plain C, any D */
};

/* ---- The peak of this CPU, for shares of it ---- */

enum sr_peak { SR_PEAK_F32, SR_PEAK_BF16, SR_PEAK_INT8 };

/*
 * 1e9 operations a second (a multiply-add is two) of a loop in registers on so many threads, measured for about that
 * long; 0 where a CPU with these flags has no instruction for it (bf16: AVX512-BF16 dot products; AMX is not measured).
 */
double sr_peak_gflops(enum sr_peak what, unsigned cpu, int threads, double seconds);

/* The table for a CPU with these SR_CPU_* flags; 0: plain C. */
void sr_kernels_init(struct sr_kernels *k, unsigned cpu);
void sr_kernels_init_c(struct sr_kernels *k);
void sr_kernels_init_x86(struct sr_kernels *k, unsigned cpu);       /* overrides what it has a faster version of */

#endif
