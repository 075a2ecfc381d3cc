/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only file that includes oneDNN's header; written for 2.6 and, behind DNNL_VERSION_MAJOR, for 3.x. */
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "tensor/dnnl.h"
#include "tensor/op.h"

/* ---- Differences of the versions: from 3.0 a memory descriptor is opaque, and an operation has no descriptor ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t md_t;
typedef const_dnnl_memory_desc_t const_md_t;
#else
typedef dnnl_memory_desc_t *md_t;
typedef const dnnl_memory_desc_t *const_md_t;
#endif

static void md_free(md_t *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*md) dnnl_memory_desc_destroy(*md);
#else
    sr_free(*md);
#endif
    *md = NULL;
}

/* strides in elements; NULL: whatever layout the primitive likes best */
static dnnl_status_t md_init(md_t *md, int n, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
#if DNNL_VERSION_MAJOR >= 3
    if (strides) return dnnl_memory_desc_create_with_strides(md, n, dims, type, strides);
    return dnnl_memory_desc_create_with_tag(md, n, dims, type, dnnl_format_tag_any);
#else
    if (!(*md = sr_zalloc(sizeof **md))) return dnnl_out_of_memory;
    if (strides) return dnnl_memory_desc_init_by_strides(*md, n, dims, type, strides);
    return dnnl_memory_desc_init_by_tag(*md, n, dims, type, dnnl_format_tag_any);
#endif
}

static dnnl_status_t md_copy(md_t *md, const_md_t from)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_clone(md, from);
#else
    if (!(*md = sr_malloc(sizeof **md))) return dnnl_out_of_memory;
    **md = *from;
    return dnnl_success;
#endif
}

/* Rows from .. from + n of axis `axis` of a packed matrix, where they lie in the whole. */
static dnnl_status_t md_part(md_t *md, const_md_t whole, const dnnl_dims_t dims, const dnnl_dims_t offsets)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_submemory(md, whole, dims, offsets);
#else
    if (!(*md = sr_zalloc(sizeof **md))) return dnnl_out_of_memory;
    return dnnl_memory_desc_init_submemory(*md, whole, dims, offsets);
#endif
}

static dnnl_status_t matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_t src, md_t weights, md_t bias,
                               md_t dst, dnnl_primitive_attr_t attr)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(pd, engine, src, weights, bias, dst, attr);
#else
    dnnl_matmul_desc_t d;
    const dnnl_status_t s = dnnl_matmul_desc_init(&d, src, weights, bias, dst);
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : s;
#endif
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
#else
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
#endif
}

/* ---- The cache ---- */

/* Everything that a primitive was built for; compared as bytes, so cleared before it is filled. */
struct prim_key {
    int64_t M, N, K;
    uint8_t type, dst, act, bias;
};

struct prim {
    struct prim_key key;
    uint64_t used;                      /* count of the last use: the longest unused makes room */
    dnnl_primitive_t prim;
    dnnl_memory_t src, bias, dst, scratch;
    size_t scratch_bytes;
};

struct sr_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    uint64_t uses;
    int n;
    struct prim *prims[256];            /* more than the shapes of any model */
};

struct sr_packed {
    md_t md;
    dnnl_memory_t mem;
    void *data;
    size_t N, K, bytes;
    enum sr_type type;
};

/* True if it went well; otherwise err says which call failed and how. */
static bool did(sora_error *err, dnnl_status_t s, const char *what)
{
    static const char *const names[] = { "success", "out of memory", "invalid arguments", "unimplemented",
                                         "iterator ends", "runtime error", "not required" };

    if (s == dnnl_success) return true;
    sr_fail(err, s == dnnl_out_of_memory ? SORA_ERR_NOMEM : s == dnnl_unimplemented ? SORA_ERR_UNSUPPORTED
                 : SORA_ERR_INTERNAL, "oneDNN: %s: %s", what,
            (size_t)s < SR_COUNT(names) ? names[s] : "unknown status");
    return false;
}

static void prim_close(struct prim **p)
{
    if (!*p) return;
    if ((*p)->prim) dnnl_primitive_destroy((*p)->prim);
    if ((*p)->src) dnnl_memory_destroy((*p)->src);
    if ((*p)->bias) dnnl_memory_destroy((*p)->bias);
    if ((*p)->dst) dnnl_memory_destroy((*p)->dst);
    if ((*p)->scratch) dnnl_memory_destroy((*p)->scratch);
    sr_free(*p);
    *p = NULL;
}

sora_result sr_dnnl_open(struct sr_dnnl **out, sora_error *err)
{
    struct sr_dnnl *d = sr_zalloc(sizeof *d);

    *out = NULL;
    if (!d) return sr_fail_nomem(err, sizeof *d, "oneDNN");
    if (!did(err, dnnl_engine_create(&d->engine, dnnl_cpu, 0), "engine") ||
        !did(err, dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "stream")) {
        sr_dnnl_close(&d);
        return SORA_ERR_INTERNAL;
    }
    *out = d;
    return SORA_OK;
}

void sr_dnnl_close(struct sr_dnnl **d)
{
    if (!*d) return;
    for (int i = 0; i < (*d)->n; i++) prim_close(&(*d)->prims[i]);
    if ((*d)->stream) dnnl_stream_destroy((*d)->stream);
    if ((*d)->engine) dnnl_engine_destroy((*d)->engine);
    sr_free(*d);
    *d = NULL;
}

/* The cached primitive of this key, marked as used, or NULL. */
static struct prim *prim_find(struct sr_dnnl *d, const struct prim_key *key)
{
    for (int i = 0; i < d->n; i++)
        if (!memcmp(&d->prims[i]->key, key, sizeof *key)) {
            d->prims[i]->used = ++d->uses;
            return d->prims[i];
        }
    return NULL;
}

static void prim_keep(struct sr_dnnl *d, struct prim *p)
{
    int at = d->n;

    if (at == (int)SR_COUNT(d->prims)) {
        at = 0;
        for (int i = 1; i < d->n; i++)
            if (d->prims[i]->used < d->prims[at]->used) at = i;
        prim_close(&d->prims[at]);
    } else {
        d->n++;
    }
    p->used = ++d->uses;
    d->prims[at] = p;
}

static dnnl_data_type_t type_of(enum sr_type t)
{
    return t == SR_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* Scratch memory from the arena, and the activation behind the product. */
static bool make_attr(dnnl_primitive_attr_t *attr, enum sr_act act, sora_error *err)
{
    dnnl_post_ops_t ops = NULL;
    bool good = did(err, dnnl_primitive_attr_create(attr), "attributes") &&
                did(err, dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user), "scratchpad mode") &&
                did(err, dnnl_post_ops_create(&ops), "post-ops");

    if (good && act == SR_ACT_GELU_TANH) good = did(err, append_eltwise(ops, dnnl_eltwise_gelu_tanh, 0), "gelu");
    if (good && act == SR_ACT_SILU) good = did(err, append_eltwise(ops, dnnl_eltwise_swish, 1), "silu");
    if (good && act == SR_ACT_RELU) good = did(err, append_eltwise(ops, dnnl_eltwise_relu, 0), "relu");
    if (good) good = did(err, dnnl_primitive_attr_set_post_ops(*attr, ops), "post-ops");
    if (ops) dnnl_post_ops_destroy(ops);
    return good;
}

/* A memory object for argument `what` of pd; its data is set at each call. */
static bool make_memory(struct sr_dnnl *d, dnnl_memory_t *mem, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                        size_t *bytes, sora_error *err)
{
    const_md_t md = dnnl_primitive_desc_query_md(pd, what, what == dnnl_query_weights_md ? 1 : 0);

    if (bytes) *bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    return did(err, dnnl_memory_create(mem, md, d->engine, DNNL_MEMORY_NONE), "memory");
}

/* ---- Matrix product ---- */

/* Layouts are asked for with so many rows; oneDNN then takes the same for any other number. */
enum { PACK_ROWS = 512 };

/* weights NULL: the layout is open, and the primitive descriptor names it */
static bool make_matmul_pd(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct prim_key *k, const_md_t weights,
                           sora_error *err)
{
    const dnnl_dims_t xd = { k->M, k->K }, xs = { k->K, 1 }, wd = { k->K, k->N }, bd = { 1, k->N }, bs = { k->N, 1 };
    const dnnl_dims_t yd = { k->M, k->N }, ys = { k->N, 1 };
    md_t x = NULL, w = NULL, b = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    bool good = did(err, md_init(&x, 2, xd, type_of(k->type), xs), "source") &&
                did(err, weights ? md_copy(&w, weights) : md_init(&w, 2, wd, type_of(k->type), NULL), "weights") &&
                did(err, md_init(&y, 2, yd, type_of(k->dst), ys), "destination") &&
                (!k->bias || did(err, md_init(&b, 2, bd, dnnl_f32, bs), "bias")) && make_attr(&attr, k->act, err) &&
                did(err, matmul_pd(pd, d->engine, x, w, b, y, attr), "matrix product");

    if (attr) dnnl_primitive_attr_destroy(attr);
    md_free(&x);
    md_free(&w);
    md_free(&b);
    md_free(&y);
    return good;
}

static struct prim *get_matmul(struct sr_ctx *c, const struct sr_matmul *m)
{
    struct sr_dnnl *d = c->dnnl;
    struct prim_key key;
    struct prim *p;
    dnnl_primitive_desc_t pd = NULL;
    bool good;

    memset(&key, 0, sizeof key);
    key.M = (int64_t)m->M;
    key.N = (int64_t)m->w->N;
    key.K = (int64_t)m->w->K;
    key.type = (uint8_t)m->w->type;
    key.dst = (uint8_t)m->dst;
    key.act = (uint8_t)m->act;
    key.bias = m->bias != NULL;
    if ((p = prim_find(d, &key))) return p;

    if (!(p = sr_zalloc(sizeof *p))) {
        sr_fail_nomem(&c->err, sizeof *p, "matrix product");
        return NULL;
    }
    p->key = key;
    good = make_matmul_pd(d, &pd, &key, m->w->md, &c->err) && did(&c->err, dnnl_primitive_create(&p->prim, pd), "primitive") &&
           make_memory(d, &p->src, pd, dnnl_query_src_md, NULL, &c->err) &&
           make_memory(d, &p->dst, pd, dnnl_query_dst_md, NULL, &c->err) &&
           (!m->bias || make_memory(d, &p->bias, pd, dnnl_query_weights_md, NULL, &c->err)) &&
           make_memory(d, &p->scratch, pd, dnnl_query_scratchpad_md, &p->scratch_bytes, &c->err);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (good)
        prim_keep(d, p);
    else
        prim_close(&p);
    return p;
}

/* A few rows alone leave threads without columns; oneDNN would then cut the sums apart, and the last bits of the
   result would depend on how many threads there are. */
static int matmul_threads(const struct sr_ctx *c, size_t M, size_t N)
{
    return M <= 64 ? (int)SR_MIN((size_t)c->threads, SR_CEIL_DIV(N, 64)) : c->threads;
}

void sr_dnnl_matmul(struct sr_ctx *c, const struct sr_matmul *m, const void *x, void *y)
{
    const size_t mark = sr_scratch_mark(c);
    struct prim *p;
    void *scratch;

    if (c->err.code) return;
    omp_set_num_threads(matmul_threads(c, m->M, m->w->N));
    if ((p = get_matmul(c, m))) {
        const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, p->src },           { DNNL_ARG_WEIGHTS, m->w->mem },
                                         { DNNL_ARG_DST, p->dst },           { DNNL_ARG_SCRATCHPAD, p->scratch },
                                         { DNNL_ARG_BIAS, p->bias } };
        scratch = sr_scratch_bytes(c, p->scratch_bytes);
        if (!sr_ctx_skip(c) && did(&c->err, dnnl_memory_set_data_handle(p->src, (void *)x), "source") &&
            did(&c->err, dnnl_memory_set_data_handle(p->dst, y), "destination") &&
            did(&c->err, dnnl_memory_set_data_handle(p->scratch, scratch), "scratchpad") &&
            (!m->bias || did(&c->err, dnnl_memory_set_data_handle(p->bias, (void *)m->bias), "bias")))
            did(&c->err, dnnl_primitive_execute(p->prim, c->dnnl->stream, m->bias ? 5 : 4, args), "matrix product");
    }
    omp_set_num_threads(c->threads);
    sr_scratch_release(c, mark);
}

/* ---- Packing ---- */

/* buf, a plain matrix [n, K], becomes rows from .. from + n of p. */
static bool pack_rows(struct sr_dnnl *d, const struct sr_packed *p, void *buf, size_t from, size_t n, sora_error *err)
{
    const dnnl_dims_t dims = { (int64_t)p->K, (int64_t)n }, strides = { 1, (int64_t)p->K }, at = { 0, (int64_t)from };
    md_t plain = NULL, part = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_memory_t src = NULL, dst = NULL;
    bool good = did(err, md_init(&plain, 2, dims, type_of(p->type), strides), "weights") &&
                did(err, md_part(&part, p->md, dims, at), "part of the weights") &&
                did(err, dnnl_reorder_primitive_desc_create(&pd, plain, d->engine, part, d->engine, NULL), "packing") &&
                did(err, dnnl_primitive_create(&reorder, pd), "packing") &&
                did(err, dnnl_memory_create(&src, plain, d->engine, buf), "weights") &&
                did(err, dnnl_memory_create(&dst, part, d->engine, p->data), "weights");

    if (good) {
        const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, src }, { DNNL_ARG_TO, dst } };
        good = did(err, dnnl_primitive_execute(reorder, d->stream, 2, args), "packing");
    }
    if (src) dnnl_memory_destroy(src);
    if (dst) dnnl_memory_destroy(dst);
    if (reorder) dnnl_primitive_destroy(reorder);
    if (pd) dnnl_primitive_desc_destroy(pd);
    md_free(&plain);
    md_free(&part);
    return good;
}

sora_result sr_dnnl_pack(struct sr_ctx *c, struct sr_packed **out, size_t N, size_t K, enum sr_type type,
                         sr_rows_fn *rows, void *user, sora_error *err)
{
    const struct prim_key key = { .M = PACK_ROWS, .N = (int64_t)N, .K = (int64_t)K, .type = (uint8_t)type,
                                  .dst = (uint8_t)type };
    const size_t some = (size_t)4 << 20;            /* bytes: enough to keep the threads busy */
    struct sr_packed *p = sr_zalloc(sizeof *p);
    dnnl_primitive_desc_t pd = NULL;
    size_t step = 0;
    void *buf = NULL;
    sora_error why = { 0 };

    *out = NULL;
    omp_set_num_threads(c->threads);
    if (!p) {
        sr_fail_nomem(&why, sizeof *p, "weights");
        goto done;
    }
    p->N = N;
    p->K = K;
    p->type = type;
    if (!make_matmul_pd(c->dnnl, &pd, &key, NULL, &why) ||
        !did(&why, md_copy(&p->md, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)), "weights"))
        goto done;
    p->bytes = dnnl_memory_desc_get_size(p->md);
    step = SR_ROUND_UP(SR_MAX(some / (K * sr_type_size(type)), 1), 64);     /* whole blocks of any layout */
    step = SR_MIN(step, N);
    p->data = sr_aligned(p->bytes);
    buf = sr_aligned(step * K * sr_type_size(type));
    if (!p->data || !buf) {
        sr_fail_nomem(&why, p->data ? step * K * sr_type_size(type) : p->bytes, "weights");
        goto done;
    }
    /* This also clears the padding, before anything else can read it. */
    if (!did(&why, dnnl_memory_create(&p->mem, p->md, c->dnnl->engine, p->data), "weights")) goto done;
    for (size_t n = 0; n < N; n += step) {
        const size_t some_rows = SR_MIN(step, N - n);
        rows(user, buf, n, some_rows);
        if (!pack_rows(c->dnnl, p, buf, n, some_rows, &why)) goto done;
    }
    *out = p;
    p = NULL;
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    sr_free(buf);
    sr_packed_close(&p);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

void sr_packed_close(struct sr_packed **p)
{
    if (!*p) return;
    if ((*p)->mem) dnnl_memory_destroy((*p)->mem);
    md_free(&(*p)->md);
    sr_free((*p)->data);
    sr_free(*p);
    *p = NULL;
}

size_t sr_packed_bytes(const struct sr_packed *p)
{
    return p ? p->bytes : 0;
}
