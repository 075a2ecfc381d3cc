/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weights in the layouts that primitives ask for, packed some rows at a time: a second whole copy never exists. */
#include "tensor/dnnl_prim.h"

/* The rows of `whole` that begin at `offsets`, where they lie in the whole. */
static dnnl_status_t md_part(md_t *md, const_md_t whole, const dnnl_dims_t dims, const dnnl_dims_t offsets)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_submemory(md, whole, dims, offsets);
#else
    if (!(*md = sr_zalloc(sizeof **md))) return dnnl_out_of_memory;
    return dnnl_memory_desc_init_submemory(*md, whole, dims, offsets);
#endif
}

static bool md_equal(const_md_t a, const_md_t b)
{
    return dnnl_memory_desc_equal(a, b);
}

/* to = from, whatever the two layouts are */
static bool reorder(struct sr_dnnl *d, const_md_t from_md, void *from, const_md_t to_md, void *to, sora_error *err)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_memory_t src = NULL, dst = NULL;
    dnnl_status_t s = dnnl_reorder_primitive_desc_create(&pd, from_md, d->engine, to_md, d->engine, NULL);
    bool good = sr_did(err, s, "packing") && sr_did(err, dnnl_primitive_create(&prim, pd), "packing") &&
                sr_did(err, dnnl_memory_create(&src, from_md, d->engine, from), "weights") &&
                sr_did(err, dnnl_memory_create(&dst, to_md, d->engine, to), "weights");

    if (good) {
        const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, src }, { DNNL_ARG_TO, dst } };
        good = sr_did(err, dnnl_primitive_execute(prim, d->stream, 2, args), "packing");
    }
    if (src) dnnl_memory_destroy(src);
    if (dst) dnnl_memory_destroy(dst);
    if (prim) dnnl_primitive_destroy(prim);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return good;
}

sora_result sr_packed_open(struct sr_dnnl *d, struct sr_packed **out, const_md_t md, enum sr_type type, sora_error *err)
{
    struct sr_packed *p = sr_zalloc(sizeof *p);
    sora_error why = { 0 };

    *out = NULL;
    if (!p) {
        sr_fail_nomem(&why, sizeof *p, "weights");
        goto done;
    }
    p->type = type;
    p->bytes = dnnl_memory_desc_get_size(md);
    if (!sr_did(&why, sr_md_copy(&p->md, md), "weights")) goto done;
    if (!(p->data = sr_aligned(p->bytes))) {
        sr_fail_nomem(&why, p->bytes, "weights");
        goto done;
    }
#if DNNL_VERSION_MAJOR >= 3
    memset(p->data, 0, p->bytes);       /* the padding is read; in 2.6 creating the memory object clears it */
#endif
    if (!sr_did(&why, dnnl_memory_create(&p->mem, p->md, d->engine, p->data), "weights")) goto done;
    *out = p;
    p = NULL;
done:
    sr_packed_close(&p);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

void sr_packed_close(struct sr_packed **p)
{
    if (!*p) return;
    for (int i = 0; i < (*p)->panels; i++)
        if ((*p)->panel[i]) dnnl_memory_destroy((*p)->panel[i]);
    sr_free((*p)->panel);
    if ((*p)->mem) dnnl_memory_destroy((*p)->mem);
    sr_md_free(&(*p)->md);
    sr_free_pages((*p)->data, (*p)->bytes);
    sr_free(*p);
    *p = NULL;
}

size_t sr_packed_bytes(const struct sr_packed *p)
{
    return p ? p->bytes : 0;
}

void sr_rows_shifted(void *user, void *out, size_t from, size_t n)
{
    const struct sr_rows_from *s = user;

    s->rows(s->user, out, s->from + from, n);
}

sora_result sr_packed_fill(struct sr_dnnl *d, struct sr_packed *p, int n, const dnnl_dims_t dims,
                           const dnnl_dims_t strides, int axis, sr_rows_fn *rows, void *user, sora_error *err)
{
    const size_t whole_blocks = 192, piece = (size_t)4 << 20;   /* rows: a multiple of every block; bytes: enough to */
    const size_t total = (size_t)dims[axis];                    /* keep the threads busy */
    const size_t row_bytes = (size_t)strides[axis] * sr_type_size(p->type);
    const size_t step = SR_MIN(SR_ROUND_UP(SR_MAX(piece / row_bytes, 1), whole_blocks), total);
    dnnl_dims_t part_dims, at = { 0 };
    sora_error why = { 0 };
    void *buf = sr_aligned(step * row_bytes);

    if (!buf) sr_fail_nomem(&why, step * row_bytes, "weights");
    memcpy(part_dims, dims, sizeof part_dims);
    for (size_t i = 0; i < total && !why.code; i += step) {
        const size_t some = SR_MIN(step, total - i);
        md_t plain = NULL, part = NULL;

        if (sr_cancelled(d->cancel)) {      /* one matrix may have 10^8 numbers, on a slow disk */
            sr_fail(&why, SORA_ERR_CANCELLED, "cancelled");
            break;
        }
        part_dims[axis] = (int64_t)some;
        at[axis] = (int64_t)i;
        rows(user, buf, i, some);
        if (sr_did(&why, sr_md_init(&plain, n, part_dims, sr_dnnl_type(p->type), strides), "weights") &&
            sr_did(&why, md_part(&part, p->md, part_dims, at), "part of the weights"))
            reorder(d, plain, buf, part, p->data, &why);
        sr_md_free(&plain);
        sr_md_free(&part);
    }
    sr_free(buf);
    return why.code ? sr_fail(err, why.code, "%s", why.text) : SORA_OK;
}

struct sr_packed *sr_packs_get(struct sr_ctx *c, struct sr_packs *w, const_md_t md)
{
    int n = 0;

    for (; n < (int)SR_COUNT(w->p) && w->p[n]; n++)
        if (md_equal(w->p[n]->md, md)) {
            if (n == 0) w->used = true;
            return w->p[n];
        }
    if (n == (int)SR_COUNT(w->p)) sr_packed_close(&w->p[--n]);
    if (sr_packed_open(c->dnnl, &w->p[n], md, w->p[0]->type, &c->err) < 0) return NULL;
    if (!reorder(c->dnnl, w->p[0]->md, w->p[0]->data, md, w->p[n]->data, &c->err)) {
        sr_packed_close(&w->p[n]);
        return NULL;
    }
    if (n == 1 && !w->used) {               /* the first guess was wrong and nobody needs it */
        sr_packed_close(&w->p[0]);
        w->p[0] = w->p[1];
        w->p[1] = NULL;
        w->used = true;
        n = 0;
    }
    return w->p[n];
}

void sr_packs_close(struct sr_packs *w)
{
    for (int i = 0; i < (int)SR_COUNT(w->p); i++) sr_packed_close(&w->p[i]);
}
