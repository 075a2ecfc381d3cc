/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "vae/causal_conv.h"

/* ---- History ---- */

static size_t map_bytes(const struct sr_fmap *m)
{
    return m->F * m->H * m->W * m->C * sr_type_size(m->type);
}

sora_result sr_history_open(struct sr_history *h, size_t kt, size_t H, size_t W, size_t C, enum sr_type type,
                            struct sr_spare *spare, sora_error *err)
{
    size_t bytes = sr_type_size(type);
    const size_t sizes[] = { H, W, C };

    for (size_t i = 0; i < SR_COUNT(sizes); i++)
        if (SR_MUL_OVERFLOWS(bytes, sizes[i], &bytes))
            return sr_fail(err, SORA_ERR_NOMEM, "a history of frames of %zux%zux%zu is beyond any memory", H, W, C);
    h->kt = kt;
    h->spare = spare;
    for (size_t i = 0; i < kt; i++) {
        void **data = spare && i == h->newest ? &spare->data : &h->frame[i].data;
        h->frame[i] = (struct sr_fmap){ NULL, type, 1, H, W, C };
        if (!*data && !(*data = sr_aligned(bytes))) return sr_fail_nomem(err, bytes, "history of a video decoder");
    }
    return SORA_OK;
}

void sr_history_close(struct sr_history *h)
{
    for (size_t i = 0; i < h->kt; i++) sr_free(h->frame[i].data);
    memset(h, 0, sizeof *h);
}

void sr_history_reset(struct sr_history *h)
{
    h->past = 0;
}

struct sr_fmap sr_history_newest(const struct sr_history *h)
{
    struct sr_fmap m = h->frame[h->newest];

    if (h->spare) m.data = h->spare->data;
    return m;
}

void sr_history_push(struct sr_ctx *c, struct sr_history *h, const struct sr_fmap *x)
{
    const struct sr_fmap to = sr_history_newest(h);

    if (!sr_ctx_skip(c)) memcpy(to.data, x->data, map_bytes(&to));
}

void sr_history_step(struct sr_ctx *c, struct sr_history *h)
{
    const size_t next = (h->newest + 1) % h->kt;

    if (sr_ctx_skip(c)) return;
    if (h->spare) {
        h->frame[h->newest].data = h->spare->data;
        h->spare->data = h->frame[next].data;
        h->frame[next].data = NULL;
    }
    h->newest = next;
    h->past = SR_MIN(h->past + 1, h->kt - 1);
}

/* ---- Taps ---- */

void sr_taps_open(struct sr_loader *l, struct sr_taps *v, size_t in, size_t out, size_t kt, size_t k,
                  const float *const *weight, const float *bias)
{
    const struct sr_conv_shape s = { .in = in, .out = out, .kt = 1, .kh = k, .kw = k, .pad_h = k / 2, .pad_w = k / 2,
                                     .stride_s = 1 };

    v->kt = kt;
    v->out = out;
    for (size_t t = 0; t < kt && l->result >= 0; t++) {
        const struct sr_param w = { .data = weight[t], .type = SR_F32, .n = out * in * k * k };
        const struct sr_param b = { .data = t ? NULL : bias, .type = SR_F32, .n = out };
        l->result = sr_conv_open(l->c, &v->tap[t], &s, &w, &b, l->err);
    }
}

void sr_taps_load(struct sr_loader *l, struct sr_taps *v, size_t in, size_t from, size_t out, size_t all, size_t kt,
                  size_t k, const char *name)
{
    const size_t kernel = k * k, bytes = out * in * kernel * sizeof(float);
    float *weight = NULL, *bias = NULL, *tap[SR_TAPS] = { NULL };
    char full[128];

    snprintf(full, sizeof full, "%s.weight", name);
    weight = sr_load_f32(l, 5, (size_t[]){ all, in, kt, k, k }, full);
    snprintf(full, sizeof full, "%s.bias", name);
    bias = sr_load_vec(l, all, full);
    for (size_t t = 0; t < kt && l->result >= 0; t++)
        if (!(tap[t] = sr_malloc(bytes))) l->result = sr_fail_nomem(l->err, bytes, name);
    if (l->result >= 0) {
        for (size_t i = 0; i < out * in; i++)           /* the file has the oldest frame first */
            for (size_t t = 0; t < kt; t++)
                memcpy(tap[t] + i * kernel, weight + ((from * in + i) * kt + kt - 1 - t) * kernel,
                       kernel * sizeof(float));
        sr_taps_open(l, v, in, out, kt, k, (const float *const *)tap, bias + from);
    }
    for (size_t t = 0; t < kt; t++) sr_free(tap[t]);
    sr_free(bias);
    sr_free(weight);
}

void sr_taps_close(struct sr_taps *v)
{
    for (size_t t = 0; t < SR_TAPS; t++) sr_conv_close(&v->tap[t]);
}

/* Rows from .. from + n of a map of one frame: as a map, and as a matrix. */
static struct sr_fmap map_rows(const struct sr_fmap *m, size_t from, size_t n)
{
    struct sr_fmap r = *m;

    if (r.data) r.data = (uint8_t *)r.data + from * m->W * m->C * sr_type_size(m->type);
    r.H = n;
    return r;
}

static struct sr_tensor matrix(const struct sr_fmap *m)
{
    return (struct sr_tensor){ m->data, m->type, m->H, m->W * m->C, m->W * m->C };
}

static void convert(struct sr_ctx *c, const struct sr_fmap *to, const struct sr_fmap *from)
{
    struct sr_tensor a = matrix(to);
    const struct sr_tensor b = matrix(from);

    if (to->data != from->data) sr_convert(c, &a, &b);
}

/* With `past` frames before the newest.  The sum is f32 from the first tap to the last, some rows at a time. */
static void run(struct sr_ctx *c, const struct sr_taps *v, const struct sr_history *h, size_t past, enum sr_act act,
                const struct sr_fmap *add, const struct sr_fmap *to)
{
    const size_t cached = (size_t)2 << 20, row = to->W * to->C * sizeof(float);      /* bytes */
    const size_t blocks = SR_CEIL_DIV(to->H, SR_MAX(cached / row, 4)), step = SR_CEIL_DIV(to->H, blocks);

    for (size_t r = 0; r < to->H; r += step) {
        const size_t n = SR_MIN(step, to->H - r), mark = sr_scratch_mark(c);
        const struct sr_fmap y = map_rows(to, r, n);
        const struct sr_fmap sum = y.type == SR_F32 ? y : sr_fmap_scratch(c, 1, n, y.W, y.C, SR_F32);

        if (add) {
            const struct sr_fmap a = map_rows(add, r, n);
            convert(c, &sum, &a);
        }
        for (size_t k = 0; k <= past; k++) {
            const struct sr_fmap x = k ? h->frame[(h->newest + h->kt - k) % h->kt] : sr_history_newest(h);
            sr_conv_rows(c, v->tap[k], &x, r, k == past ? act : SR_ACT_NONE, add || k ? &sum : NULL, &sum);
        }
        convert(c, &y, &sum);
        sr_scratch_release(c, mark);
    }
}

void sr_taps_conv(struct sr_ctx *c, const struct sr_taps *v, const struct sr_history *h, enum sr_act act,
                  const struct sr_fmap *add, const struct sr_fmap *to)
{
    if (c->err.code) return;            /* maps may be empty then */
    if (c->plan)
        for (size_t past = 0; past < h->kt; past++) run(c, v, h, past, act, add, to);   /* a stream will need each */
    else
        run(c, v, h, h->past, act, add, to);
}

/* ---- Both ---- */

void sr_causal_conv_load(struct sr_loader *l, struct sr_causal_conv *v, size_t in, size_t out, size_t kt, size_t k,
                         size_t H, size_t W, struct sr_spare *spare, const char *name)
{
    sr_taps_load(l, &v->taps, in, 0, out, out, kt, k, name);
    if (l->result >= 0) l->result = sr_history_open(&v->past, kt, H, W, in, l->c->act, spare, l->err);
}

void sr_causal_conv_close(struct sr_causal_conv *v)
{
    sr_taps_close(&v->taps);
    sr_history_close(&v->past);
}

struct sr_fmap sr_causal_conv(struct sr_ctx *c, struct sr_causal_conv *v, const struct sr_fmap *add,
                              const struct sr_fmap *to)
{
    const struct sr_fmap *x = &v->past.frame[0];
    const struct sr_fmap y = to ? *to : sr_fmap_scratch(c, 1, x->H, x->W, v->taps.out, c->act);

    sr_taps_conv(c, &v->taps, &v->past, SR_ACT_NONE, add, &y);
    sr_history_step(c, &v->past);
    return y;
}
