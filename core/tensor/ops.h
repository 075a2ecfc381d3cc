/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations that models are written in.  Each spreads its rows over c->threads, so that no result depends on
 * their number; each counts its time and work in c->prof.  After an error, a cancel, or while planning, none computes.
 *
 * Axes: L video tokens, T text tokens, C channels, N heads, D channels per head, F H W frames, rows, columns.
 */
#ifndef SR_OPS_H
#define SR_OPS_H

#include "tensor/tensor.h"

/* ---- Parameters as they stand in a file: any of F32, F16, BF16; copied or packed, never kept ---- */

struct sr_param {
    const void *data;           /* NULL: absent (no bias, no weight), or made up of random numbers: see seed */
    enum sr_type type;
    size_t n;                   /* elements */
    uint64_t seed;              /* not 0: no file, numbers of this seed, deviation scale (bench) */
    float scale;
    uint64_t source;            /* not 0: file and place; equal sources hold equal numbers */
};

/* Elements first .. first + n of p's. */
struct sr_param sr_param_part(const struct sr_param *p, size_t first, size_t n);
/* f32 copy; 64-byte aligned, sr_free() */
sora_result sr_param_f32(float **out, const struct sr_param *p, sora_error *err);

/* ---- Linear ---- */

enum sr_act { SR_ACT_NONE, SR_ACT_GELU_TANH, SR_ACT_SILU, SR_ACT_RELU };

struct sr_linear;               /* weights packed for the matrix product, f32 bias */

/*
 * One linear layer from parts that are stacked along the output axis: W [out_0 + out_1 + ..., in], so that q, k and v
 * are one product.  weights[i] has out[i] * in elements, biases[i] out[i] or data NULL; biases NULL: none at all.
 * f32_only: keep it f32 in a bf16 context (time embedders, heads).
 */
sora_result sr_linear_open(struct sr_ctx *c, struct sr_linear **l, const struct sr_param *weights,
                           const struct sr_param *biases, const size_t *out, int parts, size_t in, bool f32_only,
                           sora_error *err);
void   sr_linear_close(struct sr_linear **l);
size_t sr_linear_bytes(const struct sr_linear *l);      /* memory of the packed weights */

/* act(x [M, in] W^T + b) -> scratch [M, out] of type `type`; x of any of the two types, views allowed. */
struct sr_tensor *sr_linear(struct sr_ctx *c, const struct sr_linear *l, const struct sr_tensor *x, enum sr_act act,
                            enum sr_type type);

/* ---- Element by element ---- */

/*
 * Modulation rows: token i uses row i / tokens_per_row (all tokens the same: tokens_per_row >= L).  stride: floats from
 * row to row.  Reference: adaLN-single, Chen et al. "PixArt-alpha", 2023.
 */
struct sr_mod {
    const float *data;          /* [rows, C] f32 */
    size_t stride, tokens_per_row;
};

/* (x - mean) / sqrt(var + eps) * w + b over C; w, b f32 or NULL.  x [L, C] f32 -> scratch [L, C] c->act. */
struct sr_tensor *sr_layer_norm(struct sr_ctx *c, const struct sr_tensor *x, const float *w, const float *b, float eps);
/* The same without w and b, then * (1 + scale) + shift, in one pass. */
struct sr_tensor *sr_layer_norm_mod(struct sr_ctx *c, const struct sr_tensor *x, float eps, struct sr_mod scale,
                                    struct sr_mod shift);
/* x / sqrt(mean(x^2) + eps) * w over C -> scratch of type `type`; w f32 or NULL. */
struct sr_tensor *sr_rms_norm(struct sr_ctx *c, const struct sr_tensor *x, const float *w, float eps,
                              enum sr_type type);
/* As sr_rms_norm, then * (1 + scale) + shift (LTX). */
struct sr_tensor *sr_rms_norm_mod(struct sr_ctx *c, const struct sr_tensor *x, float eps, struct sr_mod scale,
                                  struct sr_mod shift);

/*
 * In place on a view x [L, N * D]: RMS norm over all N * D channels with weight w (NULL: no norm), then rotate the
 * adjacent pairs (2i, 2i + 1) of each head by angle i of the token.  cos, sin [L, D / 2] f32, the same for each head;
 * NULL: no rotation.
 */
void sr_rms_norm_rope(struct sr_ctx *c, struct sr_tensor *x, const float *w, float eps, size_t D, const float *cos,
                      const float *sin);

void sr_add(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h);          /* x += h; x f32, h any */
/* x += gate * h */
void sr_add_gated(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h, struct sr_mod gate);
void sr_mul(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h);          /* x *= h, of one type (FFN) */
void sr_silu(struct sr_ctx *c, struct sr_tensor *x);                                    /* in place, f32 */
/* Copy with conversion between SR_F32 and SR_BF16; same rows and cols, any strides. */
void sr_convert(struct sr_ctx *c, struct sr_tensor *to, const struct sr_tensor *from);

/*
 * Rows of a convolution of 3 x 3 whose border values are repeated outside: z, C planes of H x W that lie `plane` floats apart, ->
 * x [rows * W, 9 C] f32, from row `first` of z on, as the weights [out, C, 3, 3] want them, times scale.
 */
void sr_neighbours(struct sr_ctx *c, struct sr_tensor *x, const float *z, size_t plane, size_t H, size_t W, size_t first, float scale);
/* The same of k x k, k = kernel, odd, for the positions `at` [x->rows] of z alone (row * W + column): x [rows, C k k], k <= 9. */
enum { SR_KERNEL_MAX = 9 };
void sr_neighbours_at(struct sr_ctx *c, struct sr_tensor *x, const float *z, size_t plane, size_t H, size_t W, const uint32_t *at,
                      size_t kernel, float scale);

/* ---- Attention ---- */

/* Keys and values that lie together: k, v [rows, N * D] views.  A cache gives several: sink, window, this chunk. */
struct sr_kv {
    struct sr_tensor k, v;
};

/*
 * softmax(scale * Q K^T + bias) V for N heads by tiles with running maximum and sum; the score matrix never exists.
 * q [L, N * D]; kv[0 .. parts) one after the other make T keys.  Result: scratch [L, N * D] of q's type.
 * D a multiple of 8 up to 256 (others: slow C path).
 *
 * key_bias  [T] f32 added to each query's scores, or NULL.  -INFINITY masks a key.
 * rel_bias  [N, 2 * T - 1] f32, or NULL: bias of key j for query i is rel_bias[n][j - i + T - 1] (needs L == T: T5).
 */
struct sr_tensor *sr_attention(struct sr_ctx *c, const struct sr_tensor *q, const struct sr_kv *kv, int parts,
                               size_t N, float scale, const float *key_bias, const float *rel_bias);

/* ---- Convolution of feature maps, channels last ---- */

/* [F, H, W, C], dense, SR_F32 or SR_BF16. */
struct sr_fmap {
    void *data;
    enum sr_type type;
    size_t F, H, W, C;
};
struct sr_fmap sr_fmap_scratch(struct sr_ctx *c, size_t F, size_t H, size_t W, size_t C, enum sr_type type);

struct sr_conv;                 /* packed weights */

/*
 * weight [out, in, kt, kh, kw] as PyTorch has it (kt = 1: also [out, in, kh, kw]); bias [out] or data NULL.  Space is
 * padded with zeros by pad_h, pad_w on both sides, time is not padded: the caller gives kt - 1 frames of history in
 * front.  stride_s: of H and W (1 or 2).
 */
struct sr_conv_shape {
    size_t in, out, kt, kh, kw, pad_h, pad_w, stride_s;
};
sora_result sr_conv_open(struct sr_ctx *c, struct sr_conv **v, const struct sr_conv_shape *s,
                         const struct sr_param *weight, const struct sr_param *bias, sora_error *err);
void sr_conv_close(struct sr_conv **v);

/*
 * x [F + kt - 1, H, W, in] -> scratch [F, H', W', out] of type `type`.  add: a map of the result's shape and type that
 * is added before the activation (residual), or NULL.
 */
struct sr_fmap sr_conv(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, enum sr_act act,
                       const struct sr_fmap *add, enum sr_type type);
/* The same into a map of the result's shape; to->data == add->data: the convolution is added to what is there. */
void sr_conv_to(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, enum sr_act act,
                const struct sr_fmap *add, const struct sr_fmap *to);

/* Only rows from .. from + n of the one output frame, into `to` [1, n, W', out]: for work that should stay cached. */
void sr_conv_rows(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, size_t from, enum sr_act act,
                  const struct sr_fmap *add, const struct sr_fmap *to);

/* Norm over channels, x / max(|x|_2, eps) * sqrt(C) * gamma, then SiLU if silu: WanRMS_norm.  gamma [C]; -> scratch */
struct sr_fmap sr_channel_norm(struct sr_ctx *c, const struct sr_fmap *x, const float *gamma, float eps, bool silu);
void sr_channel_norm_to(struct sr_ctx *c, const struct sr_fmap *x, const float *gamma, float eps, bool silu,
                        const struct sr_fmap *to);
/* Each pixel becomes 2 x 2 pixels: nearest-exact. */
struct sr_fmap sr_upsample2(struct sr_ctx *c, const struct sr_fmap *x);

#endif
