/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

/* A map [F, H, W, C]: without a kernel axis in time its frames are a batch, else the depth of one image. */
static dnnl_status_t map_md(md_t *md, bool deep, int64_t F, int64_t C, int64_t H, int64_t W, dnnl_data_type_t type)
{
    const dnnl_dims_t dims5 = { 1, C, F, H, W }, strides5 = { F * H * W * C, 1, H * W * C, W * C, C };
    const dnnl_dims_t dims4 = { F, C, H, W }, strides4 = { H * W * C, 1, W * C, C };

    return deep ? sr_md_init(md, 5, dims5, type, strides5) : sr_md_init(md, 4, dims4, type, strides4);
}

static bool make_pd(struct sr_dnnl *d, dnnl_primitive_desc_t *pd, const struct sr_prim_key *k, sora_error *err)
{
    const int64_t *n = k->n, I = n[KEY_IN], O = n[KEY_OUT], kt = n[KEY_KT], kh = n[KEY_KH], kw = n[KEY_KW];
    const int64_t s = n[KEY_STRIDE], F = n[KEY_F];
    const int64_t H = (n[KEY_H] + n[KEY_TOP] + n[KEY_BOTTOM] - kh) / s + 1, W = (n[KEY_W] + 2 * n[KEY_SIDES] - kw) / s + 1;
    const bool deep = kt > 1;
    const int axes = deep ? 5 : 4, skip = deep ? 0 : 1;         /* time leads in the arrays below */
    const dnnl_dims_t wd5 = { O, I, kt, kh, kw }, wd4 = { O, I, kh, kw }, bd = { O }, bs = { 1 };
    const dnnl_dims_t strides = { 1, s, s }, none = { 0 };
    const dnnl_dims_t before = { 0, n[KEY_TOP], n[KEY_SIDES] }, after = { 0, n[KEY_BOTTOM], n[KEY_SIDES] };
    const dnnl_data_type_t type = sr_dnnl_type((enum sr_type)k->type), to = sr_dnnl_type((enum sr_type)k->dst);
    md_t x = NULL, w = NULL, b = NULL, y = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status;
    bool good = sr_did(err, map_md(&x, deep, F + kt - 1, I, n[KEY_H], n[KEY_W], type), "source") &&
                sr_did(err, sr_md_init(&w, axes, deep ? wd5 : wd4, type, NULL), "weights") &&
                sr_did(err, map_md(&y, deep, F, O, H, W, to), "destination") &&
                (!k->bias || sr_did(err, sr_md_init(&b, 1, bd, dnnl_f32, bs), "bias")) &&
                sr_make_attr(&attr, k->add, (enum sr_act)k->act, err);

    if (good) {
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_convolution_forward_primitive_desc_create(pd, d->engine, dnnl_forward_inference,
                                                                dnnl_convolution_direct, x, w, b, y, strides + skip,
                                                                none, before + skip, after + skip, attr);
#else
        dnnl_convolution_desc_t desc;
        status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, x, w, b,
                                                            y, strides + skip, none, before + skip, after + skip);
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
    sora_error why = { 0 };

    omp_set_num_threads(c->threads);
    make_key(&key, &guess, type);
    if (make_pd(c->dnnl, &pd, &key, &why) &&
        sr_packed_open(c->dnnl, &w->p[0], dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), type, &why) == SORA_OK)
        sr_packed_fill(c->dnnl, w->p[0], deep ? 5 : 4, deep ? dims5 : dims4, deep ? strides5 : strides4, 0, rows, user,
                       &why);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (why.code) sr_packs_close(w);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

void sr_dnnl_conv(struct sr_ctx *c, const struct sr_conv_call *v, const void *x, void *y)
{
    struct sr_prim_key key;
    struct sr_prim *p;
    struct sr_packed *w;
    dnnl_primitive_desc_t pd = NULL;

    if (c->err.code) return;
    omp_set_num_threads(c->threads);
    make_key(&key, v, v->w->p[0]->type);
    p = sr_prim_find(c->dnnl, &key);
    if (!p && make_pd(c->dnnl, &pd, &key, &c->err)) p = sr_prim_make(c->dnnl, &key, &pd, 1, &c->err);
    if (p && (w = sr_packs_get(c, v->w, p->weights))) sr_prim_run(c, p, w->mem, x, v->bias, y);
}
