/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Matrix products and convolutions of fixed sizes on dense arrays, done by oneDNN: the only door to it.
 *
 * A primitive is built at the first use of its sizes, while planning, and kept; its own scratch memory comes from the
 * context's arena.  Weights are packed once in the layout that the primitives ask for.
 */
#ifndef SR_DNNL_H
#define SR_DNNL_H

#include "tensor/ops.h"

sora_result sr_dnnl_open(struct sr_dnnl **d, const struct sr_cancel *cancel, sora_error *err);
void sr_dnnl_close(struct sr_dnnl **d);

/* Weights as the primitives read them.  Read-only after packing. */
struct sr_packed;

/* Writes rows from .. from + n of a plain [rows, cols] matrix of the packed type. */
typedef void sr_rows_fn(void *user, void *out, size_t from, size_t n);

/* Pack W [N, K] of `type` for products x W^T, some rows at a time. */
sora_result sr_dnnl_pack(struct sr_ctx *c, struct sr_packed **p, size_t N, size_t K, enum sr_type type,
                         sr_rows_fn *rows, void *user, sora_error *err);
void   sr_packed_close(struct sr_packed **p);
size_t sr_packed_bytes(const struct sr_packed *p);
/* Products of many rows are cut at multiples of so many rows: elsewhere a cut might change the last bits. */
size_t sr_packed_tile(const struct sr_packed *p);

/* y [M, N] = act(x [M, K] W^T + bias).  x of the weights' type, y of `dst`; both dense; bias [N] or NULL. */
struct sr_matmul {
    const struct sr_packed *w;
    const float *bias;
    size_t M, N, K;
    enum sr_type dst;
    enum sr_act act;
};
void sr_dnnl_matmul(struct sr_ctx *c, const struct sr_matmul *m, const void *x, void *y);

/*
 * y [M, N] = x [M, K] w, both factors activations, read where they lie: element (m, k) of x at x + m * xs + k, element
 * (k, n) of w at w + k * wk + n * wn, in elements; y dense.  x and w of one type.
 */
struct sr_product {
    size_t M, N, K, xs, wk, wn;
    enum sr_type type, dst;
};
void sr_dnnl_product(struct sr_ctx *c, const struct sr_product *p, const void *x, const void *w, void *y);

/* Weights of one convolution in each layout that its map sizes have asked for so far: mostly one. */
struct sr_packs {
    struct sr_packed *p[4];
    bool used;                  /* p[0] is not a mere guess any more */
};
/* Pack W [out, in, kt, kh, kw]; a row is all of one output channel. */
sora_result sr_dnnl_pack_conv(struct sr_ctx *c, struct sr_packs *w, const struct sr_conv_shape *s, enum sr_type type,
                              sr_rows_fn *rows, void *user, sora_error *err);
void sr_packs_close(struct sr_packs *w);

/* y [F, H', W', out] = act(x [F + kt - 1, H, W, in] * W + bias (+ y, if add)); both dense, x of the weights' type. */
struct sr_conv_call {
    struct sr_packs *w;
    const struct sr_conv_shape *s;
    const float *bias;
    size_t F, H, W;
    size_t top, bottom;         /* rows of zeros above and below; s->pad_h is for whole images */
    enum sr_type dst;
    enum sr_act act;
    bool add;
};
void sr_dnnl_conv(struct sr_ctx *c, const struct sr_conv_call *v, const void *x, void *y);

#endif
