/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Products of two activations, neither of which is packed.  oneDNN takes its sgemm or its like for them, whose last
 * bits depend on the number of threads: so each thread multiplies some rows on its own, as in dnnl_matmul.c.
 */
#include "tensor/dnnl_prim.h"

enum { TILE = 64 };             /* rows */

enum { KEY_M, KEY_N, KEY_K, KEY_XS, KEY_WK, KEY_WN };

static struct sr_prim *make(struct sr_ctx *c, const struct sr_prim_key *key)
{
    const int64_t *n = key->n;
    const dnnl_dims_t xd = { n[KEY_M], n[KEY_K] }, xs = { n[KEY_XS], 1 }, wd = { n[KEY_K], n[KEY_N] };
    const dnnl_dims_t ws = { n[KEY_WK], n[KEY_WN] }, yd = { n[KEY_M], n[KEY_N] }, ys = { n[KEY_N], 1 };
    const dnnl_data_type_t type = sr_dnnl_type((enum sr_type)key->type), dst = sr_dnnl_type((enum sr_type)key->dst);
    struct sr_dnnl *d = c->dnnl;
    sora_error *err = &c->err;
    md_t x = NULL, w = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_memory_t plain = NULL;
    struct sr_prim *p = NULL;
    dnnl_status_t s;
    bool good = sr_did(err, sr_md_init(&x, 2, xd, type, xs), "source") &&
                sr_did(err, sr_md_init(&w, 2, wd, type, ws), "second source") &&
                sr_did(err, sr_md_init(&y, 2, yd, dst, ys), "destination") &&
                sr_did(err, dnnl_memory_create(&plain, w, d->engine, DNNL_MEMORY_NONE), "memory") &&
                sr_make_attr(&attr, false, SR_ACT_NONE, err);

    if (good) {
#if DNNL_VERSION_MAJOR >= 3
        s = dnnl_matmul_primitive_desc_create(&pd, d->engine, x, w, NULL, y, attr);
#else
        dnnl_matmul_desc_t desc;
        s = dnnl_matmul_desc_init(&desc, x, w, NULL, y);
        if (s == dnnl_success) s = dnnl_primitive_desc_create(&pd, &desc, attr, d->engine, NULL);
#endif
        if (sr_did(err, s, "product") && (p = sr_prim_make(d, key, &pd, c->threads, err))) {
            p->plain = plain;
            plain = NULL;
        }
    }
    if (plain) dnnl_memory_destroy(plain);
    if (attr) dnnl_primitive_attr_destroy(attr);
    sr_md_free(&x);
    sr_md_free(&w);
    sr_md_free(&y);
    return p;
}

/* The primitive of M rows of the product, which a single thread runs; NULL with c->err set. */
static struct sr_prim *tile_prim(struct sr_ctx *c, const struct sr_product *a, size_t M, const void *w)
{
    const size_t sizes[] = { [KEY_M] = M, [KEY_N] = a->N, [KEY_K] = a->K, [KEY_XS] = a->xs, [KEY_WK] = a->wk,
                             [KEY_WN] = a->wn };
    struct sr_prim_key key;
    struct sr_prim *p;

    memset(&key, 0, sizeof key);
    key.kind = SR_PRIM_PRODUCT;
    key.type = (int32_t)a->type;
    key.dst = (int32_t)a->dst;
    for (size_t i = 0; i < SR_COUNT(sizes); i++) key.n[i] = (int64_t)sizes[i];
    if (!(p = sr_prim_find(c->dnnl, &key))) {
        omp_set_num_threads(1);                 /* what it is built for */
        p = make(c, &key);
        omp_set_num_threads(c->threads);
    }
    if (p && !c->plan) sr_did(&c->err, dnnl_memory_set_data_handle(p->plain, (void *)w), "second source");
    return p;
}

void sr_dnnl_product(struct sr_ctx *c, const struct sr_product *a, const void *x, const void *w, void *y)
{
    const size_t tiles = SR_CEIL_DIV(a->M, TILE), last = a->M - (tiles - 1) * TILE, mark = sr_scratch_mark(c);
    const size_t x_tile = TILE * a->xs * sr_type_size(a->type), y_tile = TILE * a->N * sr_type_size(a->dst);
    struct sr_prim *prims[2];                   /* of a tile; of the last */
    size_t bytes;
    uint8_t *scratch;
    int failed = dnnl_success;

    if (c->err.code || !a->M) return;
    prims[0] = tiles > 1 ? tile_prim(c, a, TILE, w) : NULL;
    prims[1] = tile_prim(c, a, last, w);
    if (c->err.code) return;
    bytes = SR_ROUND_UP(SR_MAX(prims[1]->scratch_bytes, prims[0] ? prims[0]->scratch_bytes : 0), 64);
    scratch = sr_scratch_bytes(c, bytes * (size_t)c->threads);
    if (!sr_ctx_skip(c)) {
#pragma omp parallel for schedule(dynamic) num_threads(c->threads) reduction(max : failed)
        for (size_t i = 0; i < tiles; i++) {
            struct sr_prim *p = prims[i == tiles - 1];
            const int lane = omp_get_thread_num();
            if (sr_cancelled(c->cancel)) continue;
            const dnnl_status_t s = sr_prim_call(c->dnnl, p, lane, p->plain, (const uint8_t *)x + i * x_tile, NULL,
                                                 (uint8_t *)y + i * y_tile, scratch + (size_t)lane * bytes);
            failed = SR_MAX(failed, (int)s);
        }
        sr_did(&c->err, (dnnl_status_t)failed, "execution");
    }
    sr_scratch_release(c, mark);
}
