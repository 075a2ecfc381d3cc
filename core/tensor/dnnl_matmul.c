/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Matrix products.  oneDNN has two kinds of them.
 *
 * With AVX-512 a primitive shares one product among all threads, cutting rows and columns alone, and reads weights
 * packed in its own layout.  Each sum runs over k in order, so that the result has the same bits for any number of
 * threads.
 *
 * Without, the primitive is a general sgemm that chooses its kernels, and cuts the sums, by the number of threads.
 * There we cut the product into tiles of fixed size, and each thread multiplies tiles on its own; weights lie in
 * panels of some columns, so that a tile reads them in one stream.
 */
#include "tensor/dnnl_prim.h"

enum {
    PACK_ROWS = 512,            /* layouts are asked for with so many rows; they serve any other number */
    PANEL = 192,                /* columns of a panel */
    TILE = 256                  /* rows of a tile */
};

enum { KEY_M, KEY_N, KEY_K, KEY_LDY };

/* weights NULL: the layout is open, and the primitive descriptor names it */
static bool make_pd(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct sr_prim_key *k, const_md_t weights,
                    sora_error *err)
{
    const int64_t M = k->n[KEY_M], N = k->n[KEY_N], K = k->n[KEY_K];
    const dnnl_dims_t xd = { M, K }, xs = { K, 1 }, wd = { K, N }, bd = { 1, N }, bs = { N, 1 };
    const dnnl_dims_t yd = { M, N }, ys = { k->n[KEY_LDY], 1 };
    const dnnl_data_type_t type = sr_dnnl_type((enum sr_type)k->type);
    md_t x = NULL, w = NULL, b = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s;
    bool good = sr_did(err, sr_md_init(&x, 2, xd, type, xs), "source") &&
                sr_did(err, weights ? sr_md_copy(&w, weights) : sr_md_init(&w, 2, wd, type, NULL), "weights") &&
                sr_did(err, sr_md_init(&y, 2, yd, sr_dnnl_type((enum sr_type)k->dst), ys), "destination") &&
                (!k->bias || sr_did(err, sr_md_init(&b, 2, bd, dnnl_f32, bs), "bias")) &&
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

/* ---- Packing ---- */

/* A panel of n columns: weights as a plain [K, n] matrix. */
static bool panel_md(md_t *md, size_t K, size_t n, enum sr_type type, sora_error *err)
{
    const dnnl_dims_t dims = { (int64_t)K, (int64_t)n }, strides = { (int64_t)n, 1 };

    return sr_did(err, sr_md_init(md, 2, dims, sr_dnnl_type(type), strides), "panel");
}

static sora_result pack_panels(struct sr_dnnl *d, struct sr_packed **out, size_t N, size_t K, enum sr_type type,
                               sr_rows_fn *rows, void *user, sora_error *err)
{
    const dnnl_dims_t plain = { 1, (int64_t)K };
    struct sr_packed *p = sr_zalloc(sizeof *p);
    sora_error why = { 0 };

    if (!p || !(p->panel = sr_calloc(SR_CEIL_DIV(N, PANEL), sizeof *p->panel)) ||
        !(p->data = sr_aligned(N * K * sr_type_size(type)))) {
        sr_fail_nomem(&why, N * K * sr_type_size(type), "weights");
        goto done;
    }
    p->type = type;
    p->bytes = N * K * sr_type_size(type);
    p->panels = (int)SR_CEIL_DIV(N, PANEL);
    for (size_t from = 0; from < N && !why.code; from += PANEL) {
        const size_t n = SR_MIN(N - from, (size_t)PANEL);
        const dnnl_dims_t dims = { (int64_t)K, (int64_t)n };
        /* A view of this panel, filled like weights of their own. */
        struct sr_packed panel = { .data = (uint8_t *)p->data + from * K * sr_type_size(type), .type = type };
        struct sr_rows_from shifted = { rows, user, from };

        if (panel_md(&panel.md, K, n, type, &why) &&
            sr_did(&why, dnnl_memory_create(&p->panel[from / PANEL], panel.md, d->engine, panel.data), "panel"))
            sr_packed_fill(d, &panel, 2, dims, plain, 1, sr_rows_shifted, &shifted, &why);
        sr_md_free(&panel.md);
    }
    if (why.code) goto done;
    *out = p;
    p = NULL;
done:
    sr_packed_close(&p);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

/* Whether the threads share this primitive: "brg:avx512_core" in 2.6, "brg_matmul:..." in 3.x. */
static bool shared(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;

    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name &&
           strstr(name, "brg") != NULL;
}

sora_result sr_dnnl_pack(struct sr_ctx *c, struct sr_packed **out, size_t N, size_t K, enum sr_type type,
                         sr_rows_fn *rows, void *user, sora_error *err)
{
    const struct sr_prim_key key = { .kind = SR_PRIM_MATMUL, .type = (int32_t)type, .dst = (int32_t)type,
                                     .n = { [KEY_M] = PACK_ROWS, [KEY_N] = (int64_t)N, [KEY_K] = (int64_t)K,
                                            [KEY_LDY] = (int64_t)N } };
    const dnnl_dims_t dims = { (int64_t)K, (int64_t)N }, strides = { 1, (int64_t)K };
    struct sr_packed *p = NULL;
    dnnl_primitive_desc_t pd = NULL;
    sora_error why = { 0 };

    *out = NULL;
    omp_set_num_threads(c->threads);
    if (!make_pd(c->dnnl, &pd, &key, NULL, &why)) goto done;
    if (!shared(pd)) {
        pack_panels(c->dnnl, out, N, K, type, rows, user, &why);
        goto done;
    }
    if (sr_packed_open(c->dnnl, &p, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), type, &why) < 0 ||
        sr_packed_fill(c->dnnl, p, 2, dims, strides, 1, rows, user, &why) < 0)
        goto done;
    *out = p;
    p = NULL;
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    sr_packed_close(&p);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

/* ---- Multiplying ---- */

size_t sr_packed_tile(const struct sr_packed *p)
{
    return p->panels ? TILE : 64;
}

static struct sr_prim_key key_of(const struct sr_matmul *m, size_t M, size_t N)
{
    struct sr_prim_key key;

    memset(&key, 0, sizeof key);
    key.kind = SR_PRIM_MATMUL;
    key.type = (int32_t)m->w->type;
    key.dst = (int32_t)m->dst;
    key.act = (int32_t)m->act;
    key.bias = m->bias != NULL;
    key.n[KEY_M] = (int64_t)M;
    key.n[KEY_N] = (int64_t)N;
    key.n[KEY_K] = (int64_t)m->K;
    key.n[KEY_LDY] = (int64_t)m->N;
    return key;
}

/* The primitive of one tile, which a single thread runs; NULL with c->err set. */
static struct sr_prim *tile_prim(struct sr_ctx *c, const struct sr_matmul *m, size_t M, size_t N)
{
    const struct sr_prim_key key = key_of(m, M, N);
    struct sr_prim *p = sr_prim_find(c->dnnl, &key);
    dnnl_primitive_desc_t pd = NULL;
    md_t w = NULL;

    if (p || c->err.code) return p;
    omp_set_num_threads(1);                     /* what it is built for */
    if (panel_md(&w, m->K, N, m->w->type, &c->err) && make_pd(c->dnnl, &pd, &key, w, &c->err))
        p = sr_prim_make(c->dnnl, &key, &pd, c->threads, &c->err);
    sr_md_free(&w);
    omp_set_num_threads(c->threads);
    return p;
}

static void multiply_tiles(struct sr_ctx *c, const struct sr_matmul *m, const uint8_t *x, uint8_t *y)
{
    const size_t tiles = SR_CEIL_DIV(m->M, TILE), last_rows = m->M - (tiles - 1) * TILE;
    const size_t panels = (size_t)m->w->panels, last_cols = m->N - (panels - 1) * PANEL;
    const size_t x_row = m->K * sr_type_size(m->w->type), y_size = sr_type_size(m->dst), mark = sr_scratch_mark(c);
    /* by whether it is the last tile, the last panel; only those that occur */
    struct sr_prim *prims[2][2] = {
        { tiles > 1 && panels > 1 ? tile_prim(c, m, TILE, PANEL) : NULL,
          tiles > 1 ? tile_prim(c, m, TILE, last_cols) : NULL },
        { panels > 1 ? tile_prim(c, m, last_rows, PANEL) : NULL, tile_prim(c, m, last_rows, last_cols) }
    };
    size_t bytes = 0;
    uint8_t *scratch;
    int failed = dnnl_success;

    for (int i = 0; i < 4; i++) bytes = SR_MAX(bytes, prims[i / 2][i % 2] ? prims[i / 2][i % 2]->scratch_bytes : 0);
    bytes = SR_ROUND_UP(bytes, 64);
    scratch = sr_scratch_bytes(c, bytes * (size_t)c->threads);
    if (!sr_ctx_skip(c)) {
#pragma omp parallel for schedule(dynamic) num_threads(c->threads) reduction(max : failed)
        for (size_t i = 0; i < tiles * panels; i++) {
            const size_t tile = i / panels, panel = i % panels;         /* neighbours share the rows of x */
            const int lane = omp_get_thread_num();
            if (sr_cancelled(c->cancel)) continue;
            const dnnl_status_t s = sr_prim_call(c->dnnl, prims[tile == tiles - 1][panel == panels - 1], lane,
                                                 m->w->panel[panel], x + tile * TILE * x_row,
                                                 m->bias ? m->bias + panel * PANEL : NULL,
                                                 y + (tile * TILE * m->N + panel * PANEL) * y_size,
                                                 scratch + (size_t)lane * bytes);
            failed = SR_MAX(failed, (int)s);
        }
        sr_did(&c->err, (dnnl_status_t)failed, "execution");
    }
    sr_scratch_release(c, mark);
}

void sr_dnnl_matmul(struct sr_ctx *c, const struct sr_matmul *m, const void *x, void *y)
{
    const struct sr_prim_key key = key_of(m, m->M, m->N);
    struct sr_prim *p;
    dnnl_primitive_desc_t pd = NULL;

    if (c->err.code) return;
    omp_set_num_threads(c->threads);
    if (m->w->panels) {
        multiply_tiles(c, m, x, y);
        return;
    }
    p = sr_prim_find(c->dnnl, &key);
    if (!p && make_pd(c->dnnl, &pd, &key, m->w->md, &c->err)) p = sr_prim_make(c->dnnl, &key, &pd, 1, &c->err);
    if (p) sr_prim_run(c, p, m->w->mem, x, m->bias, y);
}
