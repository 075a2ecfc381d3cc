/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine and the cache of primitives. */
#include <pthread.h>

#include "tensor/dnnl_prim.h"

void sr_md_free(md_t *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*md) dnnl_memory_desc_destroy(*md);
#else
    sr_free(*md);
#endif
    *md = NULL;
}

dnnl_status_t sr_md_init(md_t *md, int n, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
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

dnnl_status_t sr_md_copy(md_t *md, const_md_t from)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_clone(md, from);
#else
    if (!(*md = sr_malloc(sizeof **md))) return dnnl_out_of_memory;
    **md = *from;
    return dnnl_success;
#endif
}

bool sr_did(sora_error *err, dnnl_status_t s, const char *what)
{
    static const char *const names[] = { "success", "out of memory", "invalid arguments", "unimplemented",
                                         "iterator ends", "runtime error", "not required" };
    const sora_result code = s == dnnl_out_of_memory ? SORA_ERR_NOMEM : s == dnnl_unimplemented ? SORA_ERR_UNSUPPORTED
                                                                                                : SORA_ERR_INTERNAL;

    if (s == dnnl_success) return true;
    sr_fail(err, code, "oneDNN: %s: %s", what, (size_t)s < SR_COUNT(names) ? names[s] : "unknown status");
    return false;
}

dnnl_data_type_t sr_dnnl_type(enum sr_type t)
{
    return t == SR_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* ---- Opening ---- */

/*
 * One engine for the process: packed weights are shared between sessions (shared.c) and must outlive the one that
 * packed them, and a memory object does not keep its engine.
 */
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static dnnl_engine_t the_engine;
static size_t engine_users;

static bool engine_get(dnnl_engine_t *engine, sora_error *err)
{
    bool good = true;

    pthread_mutex_lock(&engine_lock);
    if (!engine_users) good = sr_did(err, dnnl_engine_create(&the_engine, dnnl_cpu, 0), "engine");
    if (good) {
        engine_users++;
        *engine = the_engine;
    }
    pthread_mutex_unlock(&engine_lock);
    return good;
}

static void engine_put(void)
{
    pthread_mutex_lock(&engine_lock);
    if (--engine_users == 0) dnnl_engine_destroy(the_engine);
    pthread_mutex_unlock(&engine_lock);
}

sora_result sr_dnnl_open(struct sr_dnnl **out, const struct sr_cancel *cancel, sora_error *err)
{
    struct sr_dnnl *d = sr_zalloc(sizeof *d);

    *out = NULL;
    if (!d) return sr_fail_nomem(err, sizeof *d, "oneDNN");
    if (!engine_get(&d->engine, err) ||
        !sr_did(err, dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "stream")) {
        sr_dnnl_close(&d);
        return SORA_ERR_INTERNAL;
    }
    d->cancel = cancel;
    *out = d;
    return SORA_OK;
}

static void reorder_close(struct sr_reorder *r)
{
    if (r->prim) dnnl_primitive_destroy(r->prim);
    if (r->from) dnnl_memory_destroy(r->from);
    if (r->to) dnnl_memory_destroy(r->to);
}

static void prim_close(struct sr_prim **p)
{
    if (!*p) return;
    reorder_close(&(*p)->in);
    reorder_close(&(*p)->add);
    reorder_close(&(*p)->out);
    for (int i = 0; i < (*p)->lanes; i++) {
        const struct sr_prim_args *a = &(*p)->args[i];
        if (a->src) dnnl_memory_destroy(a->src);
        if (a->bias) dnnl_memory_destroy(a->bias);
        if (a->dst) dnnl_memory_destroy(a->dst);
        if (a->scratch) dnnl_memory_destroy(a->scratch);
    }
    if ((*p)->prim) dnnl_primitive_destroy((*p)->prim);
    if ((*p)->plain) dnnl_memory_destroy((*p)->plain);
    sr_md_free(&(*p)->weights);
    sr_free(*p);
    *p = NULL;
}

void sr_dnnl_close(struct sr_dnnl **d)
{
    if (!*d) return;
    for (int i = 0; i < (*d)->n; i++) prim_close(&(*d)->prims[i]);
    if ((*d)->stream) dnnl_stream_destroy((*d)->stream);
    if ((*d)->engine) engine_put();
    sr_free(*d);
    *d = NULL;
}

/* ---- Primitives ---- */

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
#else
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1);
#endif
}

bool sr_make_attr(dnnl_primitive_attr_t *attr, bool add, enum sr_act act, sora_error *err)
{
    dnnl_post_ops_t ops = NULL;
    bool good = sr_did(err, dnnl_primitive_attr_create(attr), "attributes") &&
                sr_did(err, dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user), "scratchpad") &&
                sr_did(err, dnnl_post_ops_create(&ops), "post-ops");

    if (good && add) good = sr_did(err, append_sum(ops), "sum");
    if (good && act == SR_ACT_GELU_TANH) good = sr_did(err, append_eltwise(ops, dnnl_eltwise_gelu_tanh, 0), "gelu");
    if (good && act == SR_ACT_SILU) good = sr_did(err, append_eltwise(ops, dnnl_eltwise_swish, 1), "silu");
    if (good && act == SR_ACT_RELU) good = sr_did(err, append_eltwise(ops, dnnl_eltwise_relu, 0), "relu");
    if (good) good = sr_did(err, dnnl_primitive_attr_set_post_ops(*attr, ops), "post-ops");
    if (ops) dnnl_post_ops_destroy(ops);
    return good;
}

struct sr_prim *sr_prim_find(struct sr_dnnl *d, const struct sr_prim_key *key)
{
    for (int i = 0; i < d->n; i++)
        if (!memcmp(&d->prims[i]->key, key, sizeof *key)) {
            d->prims[i]->used = ++d->uses;
            return d->prims[i];
        }
    return NULL;
}

static void prim_keep(struct sr_dnnl *d, struct sr_prim *p)
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

void sr_prim_drop(struct sr_dnnl *d, struct sr_prim *p)
{
    for (int i = 0; i < d->n; i++)
        if (d->prims[i] == p) {
            prim_close(&d->prims[i]);
            d->prims[i] = d->prims[--d->n];
            return;
        }
}

/* A memory object for an argument of pd. */
static bool make_memory(struct sr_dnnl *d, dnnl_memory_t *mem, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                        int index, sora_error *err)
{
    return sr_did(err, dnnl_memory_create(mem, dnnl_primitive_desc_query_md(pd, what, index), d->engine,
                                          DNNL_MEMORY_NONE), "memory");
}

struct sr_prim *sr_prim_make(struct sr_dnnl *d, const struct sr_prim_key *key, dnnl_primitive_desc_t *pd, int lanes,
                             sora_error *err)
{
    struct sr_prim *p = sr_zalloc(sizeof *p + (size_t)lanes * sizeof *p->args);
    const_md_t weights;
    bool good = p != NULL;

    if (!p) {
        sr_fail_nomem(err, sizeof *p, "oneDNN primitive");
        goto done;
    }
    p->key = *key;
    p->lanes = lanes;
    p->scratch_bytes = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(*pd, dnnl_query_scratchpad_md, 0));
    weights = dnnl_primitive_desc_query_md(*pd, dnnl_query_weights_md, 0);
    good = sr_did(err, sr_md_copy(&p->weights, weights), "weights") &&
           sr_did(err, dnnl_primitive_create(&p->prim, *pd), "primitive");
    for (int i = 0; i < lanes && good; i++) {
        struct sr_prim_args *a = &p->args[i];
        good = make_memory(d, &a->src, *pd, dnnl_query_src_md, 0, err) &&
               make_memory(d, &a->dst, *pd, dnnl_query_dst_md, 0, err) &&
               (!key->bias || make_memory(d, &a->bias, *pd, dnnl_query_weights_md, 1, err)) &&
               make_memory(d, &a->scratch, *pd, dnnl_query_scratchpad_md, 0, err);
    }
done:
    dnnl_primitive_desc_destroy(*pd);
    *pd = NULL;
    if (good)
        prim_keep(d, p);
    else
        prim_close(&p);
    return p;
}

dnnl_status_t sr_prim_call(const struct sr_dnnl *d, const struct sr_prim *p, int lane, dnnl_memory_t weights,
                           const void *x, const float *bias, void *y, void *scratch)
{
    const struct sr_prim_args *a = &p->args[lane];
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, a->src }, { DNNL_ARG_WEIGHTS, weights }, { DNNL_ARG_DST, a->dst },
                                     { DNNL_ARG_SCRATCHPAD, a->scratch }, { DNNL_ARG_BIAS, a->bias } };
    dnnl_status_t s = dnnl_memory_set_data_handle(a->src, (void *)x);

    if (s == dnnl_success) s = dnnl_memory_set_data_handle(a->dst, y);
    if (s == dnnl_success) s = dnnl_memory_set_data_handle(a->scratch, scratch);
    if (s == dnnl_success && a->bias) s = dnnl_memory_set_data_handle(a->bias, (void *)bias);
    return s == dnnl_success ? dnnl_primitive_execute(p->prim, d->stream, a->bias ? 5 : 4, args) : s;
}

void sr_prim_run(struct sr_ctx *c, struct sr_prim *p, dnnl_memory_t w, const void *x, const float *bias, void *y)
{
    const size_t mark = sr_scratch_mark(c);
    void *scratch = sr_scratch_bytes(c, p->scratch_bytes);

    if (!sr_ctx_skip(c)) sr_did(&c->err, sr_prim_call(c->dnnl, p, 0, w, x, bias, y, scratch), "execution");
    sr_scratch_release(c, mark);
}
