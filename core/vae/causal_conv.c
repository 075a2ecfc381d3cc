/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vae/causal_conv.h"

static size_t frame_bytes(const struct sr_history *h)
{
    return h->frames.H * h->frames.W * h->frames.C * sr_type_size(h->frames.type);
}

sora_result sr_history_open(struct sr_history *h, size_t kt, size_t H, size_t W, size_t C, enum sr_type type,
                            sora_error *err)
{
    size_t bytes = sr_type_size(type);
    const size_t sizes[] = { kt, H, W, C };

    h->frames = (struct sr_fmap){ NULL, type, kt, H, W, C };
    for (size_t i = 0; i < SR_COUNT(sizes); i++)
        if (SR_MUL_OVERFLOWS(bytes, sizes[i], &bytes))
            return sr_fail(err, SORA_ERR_NOMEM, "a history of %zu frames of %zux%zux%zu is beyond any memory", kt, H, W,
                           C);
    if (!(h->frames.data = sr_aligned(bytes))) return sr_fail_nomem(err, bytes, "history of a video decoder");
    sr_history_reset(h);
    return SORA_OK;
}

void sr_history_close(struct sr_history *h)
{
    sr_free(h->frames.data);
    h->frames.data = NULL;
}

void sr_history_reset(struct sr_history *h)
{
    if (h->frames.data) memset(h->frames.data, 0, h->frames.F * frame_bytes(h));
}

struct sr_fmap sr_history_newest(const struct sr_history *h)
{
    struct sr_fmap m = h->frames;

    if (m.data) m.data = (uint8_t *)m.data + (m.F - 1) * frame_bytes(h);
    m.F = 1;
    return m;
}

void sr_history_push(struct sr_ctx *c, struct sr_history *h, const struct sr_fmap *x)
{
    const struct sr_fmap to = sr_history_newest(h);

    if (!sr_ctx_skip(c)) memcpy(to.data, x->data, frame_bytes(h));
}

void sr_history_step(struct sr_ctx *c, struct sr_history *h)
{
    enum { PIECE = 1 << 16 };       /* bytes: small enough that the next frame's piece is still cached */
    const size_t frame = frame_bytes(h), n = h->frames.F;
    uint8_t *data = h->frames.data;

    if (n < 2 || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (frame >= 16 * PIECE)
    for (size_t at = 0; at < frame; at += PIECE) {
        const size_t bytes = SR_MIN((size_t)PIECE, frame - at);
        for (size_t f = 0; f + 1 < n; f++) memcpy(data + f * frame + at, data + (f + 1) * frame + at, bytes);
    }
}

void sr_causal_conv_load(struct sr_loader *l, struct sr_causal_conv *v, size_t in, size_t out, size_t kt, size_t k,
                         size_t H, size_t W, const char *name)
{
    const struct sr_conv_shape s = { .in = in, .out = out, .kt = kt, .kh = k, .kw = k, .pad_h = k / 2, .pad_w = k / 2,
                                     .stride_s = 1 };

    v->conv = sr_load_conv(l, &s, false, true, name);
    if (l->result >= 0) l->result = sr_history_open(&v->past, kt, H, W, in, l->c->act, l->err);
}

void sr_causal_conv_close(struct sr_causal_conv *v)
{
    sr_conv_close(&v->conv);
    sr_history_close(&v->past);
}

struct sr_fmap sr_causal_conv(struct sr_ctx *c, struct sr_causal_conv *v, const struct sr_fmap *add,
                              const struct sr_fmap *to)
{
    struct sr_fmap y;

    if (to) {
        y = *to;
        sr_conv_to(c, v->conv, &v->past.frames, SR_ACT_NONE, add, &y);
    } else {
        y = sr_conv(c, v->conv, &v->past.frames, SR_ACT_NONE, add, c->act);
    }
    sr_history_step(c, &v->past);
    return y;
}
