/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tensor/dnnl_prim.h"

/* Layouts are asked for with so many rows; oneDNN then takes the same for any other number. */
enum { PACK_ROWS = 512 };

enum { KEY_M, KEY_N, KEY_K };

/* weights NULL: the layout is open, and the primitive descriptor names it */
static bool make_pd(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct sr_prim_key *k, const_md_t weights,
                    sora_error *err)
{
    const int64_t M = k->n[KEY_M], N = k->n[KEY_N], K = k->n[KEY_K];
    const dnnl_dims_t xd = { M, K }, xs = { K, 1 }, wd = { K, N }, bd = { 1, N }, yd = { M, N }, ys = { N, 1 };
    const dnnl_data_type_t type = sr_dnnl_type((enum sr_type)k->type);
    md_t x = NULL, w = NULL, b = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s;
    bool good = sr_did(err, sr_md_init(&x, 2, xd, type, xs), "source") &&
                sr_did(err, weights ? sr_md_copy(&w, weights) : sr_md_init(&w, 2, wd, type, NULL), "weights") &&
                sr_did(err, sr_md_init(&y, 2, yd, sr_dnnl_type((enum sr_type)k->dst), ys), "destination") &&
                (!k->bias || sr_did(err, sr_md_init(&b, 2, bd, dnnl_f32, ys), "bias")) &&
                sr_make_attr(&attr, false, (enum sr_act)k->act, err);

    if (good) {
#if DNNL_VERSION_MAJOR >= 3
        s = dnnl_matmul_primitive_desc_create(pd, d->engine, x, w, b, y, attr);
#else
        dnnl_matmul_desc_t desc;
        s = dnnl_matmul_desc_init(&desc, x, w, b, y);
        if (s == dnnl_success) s = dnnl_primitive_desc_create(pd, &desc, attr, d->engine, NULL);
#endif
        good = sr_did(err, s, "matrix product");
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    sr_md_free(&x);
    sr_md_free(&w);
    sr_md_free(&b);
    sr_md_free(&y);
    return good;
}

sora_result sr_dnnl_pack(struct sr_ctx *c, struct sr_packed **out, size_t N, size_t K, enum sr_type type,
                         sr_rows_fn *rows, void *user, sora_error *err)
{
    const struct sr_prim_key key = { .kind = SR_PRIM_MATMUL, .type = (int32_t)type, .dst = (int32_t)type,
                                     .n = { [KEY_M] = PACK_ROWS, [KEY_N] = (int64_t)N, [KEY_K] = (int64_t)K } };
    const dnnl_dims_t dims = { (int64_t)K, (int64_t)N }, strides = { 1, (int64_t)K };
    struct sr_packed *p = NULL;
    dnnl_primitive_desc_t pd = NULL;
    sora_error why = { 0 };

    *out = NULL;
    omp_set_num_threads(c->threads);
    if (!make_pd(c->dnnl, &pd, &key, NULL, &why) ||
        sr_packed_open(c->dnnl, &p, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), type, &why) < 0 ||
        sr_packed_fill(c->dnnl, p, 2, dims, strides, 1, rows, user, &why) < 0)
        goto done;
    *out = p;
    p = NULL;
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    sr_packed_close(&p);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

/* A few rows alone leave threads without columns; oneDNN would then cut the sums apart, and the last bits of the
   result would depend on how many threads there are. */
static int threads_for(const struct sr_ctx *c, size_t M, size_t N)
{
    return M <= 64 ? (int)SR_MIN((size_t)c->threads, SR_CEIL_DIV(N, 64)) : c->threads;
}

void sr_dnnl_matmul(struct sr_ctx *c, const struct sr_matmul *m, const void *x, void *y)
{
    struct sr_prim_key key;
    struct sr_prim *p;
    dnnl_primitive_desc_t pd = NULL;

    if (c->err.code) return;
    omp_set_num_threads(threads_for(c, m->M, m->N));
    memset(&key, 0, sizeof key);
    key.kind = SR_PRIM_MATMUL;
    key.type = (int32_t)m->w->type;
    key.dst = (int32_t)m->dst;
    key.act = (int32_t)m->act;
    key.bias = m->bias != NULL;
    key.n[KEY_M] = (int64_t)m->M;
    key.n[KEY_N] = (int64_t)m->N;
    key.n[KEY_K] = (int64_t)m->K;
    p = sr_prim_find(c->dnnl, &key);
    if (!p && make_pd(c->dnnl, &pd, &key, m->w->md, &c->err)) p = sr_prim_make(c->dnnl, &key, &pd, &c->err);
    if (p) sr_prim_run(c, p, m->w->mem, x, m->bias, y);
    omp_set_num_threads(c->threads);
}
