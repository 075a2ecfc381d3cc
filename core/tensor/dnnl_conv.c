/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Convolutions.  With AVX-512 oneDNN computes on channels-last maps as they lie.  Without, it is about twice as fast in
 * a layout of its own, blocks of 8 channels: there the map is copied to it and back, a block of rows at a time.
 * One core of an EPYC Zen 4 held to AVX2, GFLOPS, channels last -> blocks with both copies: 384 -> 384 channels 62 ->
 * 111, 96 -> 96 65 -> 115, 64 -> 64 62 -> 108, 32 -> 32 91 -> 108, 96 -> 3 9 -> 19, 16 -> 16 92 -> 86.
 */
#include "tensor/dnnl_prim.h"

/* Weights are first packed for a map of this size; should another size want another layout, they are packed again. */
enum { GUESS_F = 1, GUESS_H = 64, GUESS_W = 64 };

enum { KEY_IN, KEY_OUT, KEY_KT, KEY_KH, KEY_KW, KEY_STRIDE, KEY_F, KEY_H, KEY_W, KEY_TOP, KEY_BOTTOM, KEY_SIDES };

static void make_key(struct sr_prim_key *k, const struct sr_conv_call *v, enum sr_type type)
{
    memset(k, 0, sizeof *k);
    k->kind = SR_PRIM_CONV;
    k->type = (int32_t)type;
    k->dst = (int32_t)v->dst;
    k->act = (int32_t)v->act;
    k->bias = v->bias != NULL;
    k->add = v->add;
    k->n[KEY_IN] = (int64_t)v->s->in;
    k->n[KEY_OUT] = (int64_t)v->s->out;
    k->n[KEY_KT] = (int64_t)v->s->kt;
    k->n[KEY_KH] = (int64_t)v->s->kh;
    k->n[KEY_KW] = (int64_t)v->s->kw;
    k->n[KEY_STRIDE] = (int64_t)v->s->stride_s;
    k->n[KEY_F] = (int64_t)v->F;
    k->n[KEY_H] = (int64_t)v->H;
    k->n[KEY_W] = (int64_t)v->W;
    k->n[KEY_TOP] = (int64_t)v->top;
    k->n[KEY_BOTTOM] = (int64_t)v->bottom;
    k->n[KEY_SIDES] = (int64_t)v->s->pad_w;
}

/* A map [F, H, W, C]: without a kernel axis in time its frames are a batch, else the depth of one image.  open: in
   whatever layout the primitive likes best, else channels last. */
static dnnl_status_t map_md(md_t *md, bool deep, int64_t F, int64_t C, int64_t H, int64_t W, dnnl_data_type_t type,
                            bool open)
{
    const dnnl_dims_t dims5 = { 1, C, F, H, W }, strides5 = { F * H * W * C, 1, H * W * C, W * C, C };
    const dnnl_dims_t dims4 = { F, C, H, W }, strides4 = { H * W * C, 1, W * C, C };

    if (open) return sr_md_init(md, deep ? 5 : 4, deep ? dims5 : dims4, type, NULL);
    return deep ? sr_md_init(md, 5, dims5, type, strides5) : sr_md_init(md, 4, dims4, type, strides4);
}

static dnnl_status_t src_md(md_t *md, const struct sr_prim_key *k, bool open)
{
    const int64_t *n = k->n;

    return map_md(md, n[KEY_KT] > 1, n[KEY_F] + n[KEY_KT] - 1, n[KEY_IN], n[KEY_H], n[KEY_W],
                  sr_dnnl_type((enum sr_type)k->type), open);
}

static dnnl_status_t dst_md(md_t *md, const struct sr_prim_key *k, bool open)
{
    const int64_t *n = k->n, H = (n[KEY_H] + n[KEY_TOP] + n[KEY_BOTTOM] - n[KEY_KH]) / n[KEY_STRIDE] + 1;
    const int64_t W = (n[KEY_W] + 2 * n[KEY_SIDES] - n[KEY_KW]) / n[KEY_STRIDE] + 1;

    return map_md(md, n[KEY_KT] > 1, n[KEY_F], n[KEY_OUT], H, W, sr_dnnl_type((enum sr_type)k->dst), open);
}

static bool make_pd_in(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct sr_prim_key *k, bool open,
                       sora_error *err)
{
    const int64_t *n = k->n, s = n[KEY_STRIDE];
    const bool deep = n[KEY_KT] > 1;
    const int axes = deep ? 5 : 4, skip = deep ? 0 : 1;         /* time leads in the arrays below */
    const dnnl_dims_t wd5 = { n[KEY_OUT], n[KEY_IN], n[KEY_KT], n[KEY_KH], n[KEY_KW] };
    const dnnl_dims_t wd4 = { n[KEY_OUT], n[KEY_IN], n[KEY_KH], n[KEY_KW] }, bd = { n[KEY_OUT] }, bs = { 1 };
    const dnnl_dims_t strides = { 1, s, s }, none = { 0 };
    const dnnl_dims_t before = { 0, n[KEY_TOP], n[KEY_SIDES] }, after = { 0, n[KEY_BOTTOM], n[KEY_SIDES] };
    const dnnl_data_type_t type = sr_dnnl_type((enum sr_type)k->type);
    md_t x = NULL, w = NULL, b = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status;
    bool good = sr_did(err, src_md(&x, k, open), "source") && sr_did(err, dst_md(&y, k, open), "destination") &&
                sr_did(err, sr_md_init(&w, axes, deep ? wd5 : wd4, type, NULL), "weights") &&
                (!k->bias || sr_did(err, sr_md_init(&b, 1, bd, dnnl_f32, bs), "bias")) &&
                sr_make_attr(&attr, k->add, (enum sr_act)k->act, err);

    if (good) {
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_convolution_forward_primitive_desc_create(pd, d->engine, dnnl_forward_inference,
                                                                dnnl_convolution_direct, x, w, b, y, strides + skip,
                                                                none, before + skip, after + skip, attr);
#else
        dnnl_convolution_desc_t desc;
        status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, x,
                                                            w, b, y, strides + skip, none, before + skip, after + skip);
        if (status == dnnl_success) status = dnnl_primitive_desc_create(pd, &desc, attr, d->engine, NULL);
#endif
        good = sr_did(err, status, "convolution");
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    sr_md_free(&x);
    sr_md_free(&w);
    sr_md_free(&b);
    sr_md_free(&y);
    return good;
}

static bool make_pd(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct sr_prim_key *k, sora_error *err)
{
    const bool gains = k->type == SR_F32 && k->dst == SR_F32 && k->n[KEY_IN] >= 32 && k->n[KEY_IN] % 8 == 0 &&
                       k->n[KEY_KH] * k->n[KEY_KW] > 1;
    const char *name = NULL;

    if (!make_pd_in(d, pd, k, false, err)) return false;
    if (!gains || dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success ||
        strstr(name, "brg"))
        return true;
    dnnl_primitive_desc_destroy(*pd);
    *pd = NULL;
    return make_pd_in(d, pd, k, true, err);
}

/* ---- To the primitive's layouts and back ---- */

static bool make_reorder(struct sr_dnnl *d, struct sr_reorder *r, const_md_t from, const_md_t to, sora_error *err)
{
    dnnl_primitive_desc_t pd = NULL;
    bool good = sr_did(err, dnnl_reorder_primitive_desc_create(&pd, from, d->engine, to, d->engine, NULL), "reorder") &&
                sr_did(err, dnnl_primitive_create(&r->prim, pd), "reorder") &&
                sr_did(err, dnnl_memory_create(&r->from, from, d->engine, DNNL_MEMORY_NONE), "memory") &&
                sr_did(err, dnnl_memory_create(&r->to, to, d->engine, DNNL_MEMORY_NONE), "memory");

    if (pd) dnnl_primitive_desc_destroy(pd);
    return good;
}

static void run_reorder(struct sr_ctx *c, const struct sr_reorder *r, const void *from, void *to)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, r->from }, { DNNL_ARG_TO, r->to } };

    if (sr_did(&c->err, dnnl_memory_set_data_handle(r->from, (void *)from), "reorder") &&
        sr_did(&c->err, dnnl_memory_set_data_handle(r->to, to), "reorder"))
        sr_did(&c->err, dnnl_primitive_execute(r->prim, c->dnnl->stream, 2, args), "reorder");
}

/* What the layouts of p need around it: p->in, add, out. */
static bool make_reorders(struct sr_dnnl *d, struct sr_prim *p, const_md_t src, const_md_t dst, sora_error *err)
{
    md_t x = NULL, y = NULL;
    bool good = sr_did(err, src_md(&x, &p->key, false), "source") &&
                sr_did(err, dst_md(&y, &p->key, false), "destination");

    if (good && !dnnl_memory_desc_equal(x, src)) {
        p->src_bytes = dnnl_memory_desc_get_size(src);
        good = make_reorder(d, &p->in, x, src, err);
    }
    if (good && !dnnl_memory_desc_equal(y, dst)) {
        p->dst_bytes = dnnl_memory_desc_get_size(dst);
        good = make_reorder(d, &p->out, dst, y, err) && (!p->key.add || make_reorder(d, &p->add, y, dst, err));
    }
    sr_md_free(&x);
    sr_md_free(&y);
    return good;
}

static struct sr_prim *make_prim(struct sr_ctx *c, const struct sr_prim_key *key)
{
    dnnl_primitive_desc_t pd = NULL;
    struct sr_prim *p = NULL;
    md_t src = NULL, dst = NULL;

    if (make_pd(c->dnnl, &pd, key, &c->err) &&
        sr_did(&c->err, sr_md_copy(&src, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0)), "source") &&
        sr_did(&c->err, sr_md_copy(&dst, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0)), "destination") &&
        (p = sr_prim_make(c->dnnl, key, &pd, 1, &c->err)) && !make_reorders(c->dnnl, p, src, dst, &c->err)) {
        sr_prim_drop(c->dnnl, p);
        p = NULL;
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    sr_md_free(&src);
    sr_md_free(&dst);
    return p;
}

/* ---- Packing, computing ---- */

sora_result sr_dnnl_pack_conv(struct sr_ctx *c, struct sr_packs *w, const struct sr_conv_shape *s, enum sr_type type,
                              sr_rows_fn *rows, void *user, sora_error *err)
{
    const int64_t kw = (int64_t)s->kw, khw = (int64_t)s->kh * kw, kthw = (int64_t)s->kt * khw, I = (int64_t)s->in;
    const dnnl_dims_t dims5 = { (int64_t)s->out, I, (int64_t)s->kt, (int64_t)s->kh, kw };
    const dnnl_dims_t strides5 = { I * kthw, kthw, khw, kw, 1 };
    const dnnl_dims_t dims4 = { (int64_t)s->out, I, (int64_t)s->kh, kw }, strides4 = { I * khw, khw, kw, 1 };
    const struct sr_conv_call guess = { .s = s, .F = GUESS_F, .H = GUESS_H + s->kh, .W = GUESS_W + s->kw,
                                        .top = s->pad_h, .bottom = s->pad_h, .dst = type };
    const bool deep = s->kt > 1;
    struct sr_prim_key key;
    dnnl_primitive_desc_t pd = NULL;
    const_md_t md;
    sora_error why = { 0 };

    omp_set_num_threads(c->threads);
    make_key(&key, &guess, type);
    if (!make_pd(c->dnnl, &pd, &key, &why)) goto done;
    md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (sr_packed_open(c->dnnl, &w->p[0], md, type, &why) < 0) goto done;
    if (deep)
        sr_packed_fill(c->dnnl, w->p[0], 5, dims5, strides5, 0, rows, user, &why);
    else
        sr_packed_fill(c->dnnl, w->p[0], 4, dims4, strides4, 0, rows, user, &why);
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (why.code) sr_packs_close(w);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

void sr_dnnl_conv(struct sr_ctx *c, const struct sr_conv_call *v, const void *x, void *y)
{
    const size_t mark = sr_scratch_mark(c);
    struct sr_prim_key key;
    struct sr_prim *p;
    struct sr_packed *w;
    void *in, *out;

    if (c->err.code) return;
    omp_set_num_threads(c->threads);
    make_key(&key, v, v->w->p[0]->type);
    p = sr_prim_find(c->dnnl, &key);
    if (!p && !(p = make_prim(c, &key))) return;
    if (!(w = sr_packs_get(c, v->w, p->weights))) return;
    in = p->in.prim ? sr_scratch_bytes(c, p->src_bytes) : (void *)x;
    out = p->out.prim ? sr_scratch_bytes(c, p->dst_bytes) : y;
    if (!sr_ctx_skip(c)) {
        if (p->in.prim) run_reorder(c, &p->in, x, in);
        if (p->add.prim) run_reorder(c, &p->add, y, out);
    }
    sr_prim_run(c, p, w->mem, in, v->bias, out);
    if (!sr_ctx_skip(c) && p->out.prim) run_reorder(c, &p->out, out, y);
    sr_scratch_release(c, mark);
}
