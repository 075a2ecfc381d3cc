/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the dnnl*.c files alone, which are the only ones to see oneDNN's header: the differences between its
 * versions (written for 2.6 and, behind DNNL_VERSION_MAJOR, for 3.x), the primitive cache, packed weights.
 */
#ifndef SR_DNNL_PRIM_H
#define SR_DNNL_PRIM_H

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "tensor/dnnl.h"
#include "tensor/op.h"

/* ---- Differences: from 3.0 a memory descriptor is opaque, and an operation has no descriptor of its own ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t md_t;
typedef const_dnnl_memory_desc_t const_md_t;
#else
typedef dnnl_memory_desc_t *md_t;
typedef const dnnl_memory_desc_t *const_md_t;
#endif

void sr_md_free(md_t *md);
/* strides in elements; NULL: whatever layout the primitive likes best */
dnnl_status_t sr_md_init(md_t *md, int n, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides);
dnnl_status_t sr_md_copy(md_t *md, const_md_t from);

/* ---- Primitives ---- */

/* Everything that a primitive was built for; compared as bytes, so cleared before it is filled. */
struct sr_prim_key {
    enum { SR_PRIM_MATMUL, SR_PRIM_CONV, SR_PRIM_PRODUCT } kind;
    int32_t type, dst, act, bias, add, pad;
    int64_t n[14];                      /* sizes, as the kind has them */
};

/* The arguments of one call; their data is set at each. */
struct sr_prim_args {
    dnnl_memory_t src, bias, dst, scratch;
};

/* From one layout to another, through the arena. */
struct sr_reorder {
    dnnl_primitive_t prim;              /* NULL: the layouts are the same */
    dnnl_memory_t from, to;
};

struct sr_prim {
    struct sr_prim_key key;
    uint64_t used;                      /* count of the last use: the longest unused makes room */
    dnnl_primitive_t prim;
    md_t weights;                       /* the layout it reads */
    dnnl_memory_t plain;                /* instead of packed weights: the second factor of a product */
    size_t scratch_bytes;
    struct sr_reorder in, add, out;     /* of a convolution in oneDNN's own layout: see dnnl_conv.c */
    size_t src_bytes, dst_bytes;
    int lanes;                          /* how many threads may call it at a time */
    struct sr_prim_args args[];
};

struct sr_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    const struct sr_cancel *cancel;     /* may be NULL */
    uint64_t uses;
    int n;
    struct sr_prim *prims[512];         /* a decoder has about 70, a transformer 20 */
};

/* True if it went well; otherwise err says which call failed and how. */
bool sr_did(sora_error *err, dnnl_status_t s, const char *what);
dnnl_data_type_t sr_dnnl_type(enum sr_type t);
/* Scratch memory from the arena; behind the product: + what is in the destination, then the activation. */
bool sr_make_attr(dnnl_primitive_attr_t *attr, bool add, enum sr_act act, sora_error *err);

/* The cached primitive of this key, marked as used, or NULL. */
struct sr_prim *sr_prim_find(struct sr_dnnl *d, const struct sr_prim_key *key);
/* Build one from pd (given away) for so many threads at a time, and keep it; NULL with err set. */
struct sr_prim *sr_prim_make(struct sr_dnnl *d, const struct sr_prim_key *key, dnnl_primitive_desc_t *pd, int lanes,
                             sora_error *err);
void sr_prim_drop(struct sr_dnnl *d, struct sr_prim *p);
/* Compute, unless c plans: takes the primitive's scratch in any case. */
void sr_prim_run(struct sr_ctx *c, struct sr_prim *p, dnnl_memory_t w, const void *x, const float *bias, void *y);
/* The bare call of one thread, with that much scratch of its own. */
dnnl_status_t sr_prim_call(const struct sr_dnnl *d, const struct sr_prim *p, int lane, dnnl_memory_t weights,
                           const void *x, const float *bias, void *y, void *scratch);

/* ---- Weights ---- */

struct sr_packed {
    md_t md;
    dnnl_memory_t mem;
    void *data;
    size_t bytes;
    enum sr_type type;
    /* Instead of md and mem where each thread multiplies on its own, see dnnl_matmul.c: */
    int panels;
    dnnl_memory_t *panel;               /* [K, up to PANEL columns], dense, one behind the other in data */
};

/* Room for weights of layout md. */
sora_result sr_packed_open(struct sr_dnnl *d, struct sr_packed **p, const_md_t md, enum sr_type type, sora_error *err);
/* Rows that begin at `from` of others: for sr_packed_fill() of a part. */
struct sr_rows_from {
    sr_rows_fn *rows;
    void *user;
    size_t from;
};
sr_rows_fn sr_rows_shifted;

/* Fill it from a plain array of these sizes and strides, given some rows at a time along `axis`, its slowest. */
sora_result sr_packed_fill(struct sr_dnnl *d, struct sr_packed *p, int n, const dnnl_dims_t dims,
                           const dnnl_dims_t strides, int axis, sr_rows_fn *rows, void *user, sora_error *err);
/* The weights in layout md, packed again should that be new; NULL with c->err set. */
struct sr_packed *sr_packs_get(struct sr_ctx *c, struct sr_packs *w, const_md_t md);

#endif
