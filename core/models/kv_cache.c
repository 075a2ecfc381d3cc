/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "models/kv_cache.h"

struct sr_kv_cache {
    size_t layers, P, C, sink, window;
    enum sr_type type;
    uint64_t count;             /* frames written since the start */
    uint8_t *data;              /* [layers, 2, sink + window, P, C]: keys, then values */
};

size_t sr_kv_cache_capacity(const struct sr_kv_cache *kc)
{
    return kc->sink + kc->window;
}

sora_result sr_kv_cache_open(struct sr_kv_cache **out, size_t layers, size_t P, size_t C, size_t sink, size_t window,
                             enum sr_type type, sora_error *err)
{
    struct sr_kv_cache *kc = sr_zalloc(sizeof *kc);
    size_t bytes = sr_type_size(type);

    *out = NULL;
    if (!kc) return sr_fail_nomem(err, sizeof *kc, "the cache of keys");
    *kc = (struct sr_kv_cache){ .layers = layers, .P = P, .C = C, .sink = sink, .window = window, .type = type };
    if (SR_ADD_OVERFLOWS(sink, window, &sink) || SR_MUL_OVERFLOWS(bytes, sink, &bytes) ||
        SR_MUL_OVERFLOWS(bytes, P, &bytes) || SR_MUL_OVERFLOWS(bytes, C, &bytes) ||
        SR_MUL_OVERFLOWS(bytes, layers, &bytes) || SR_MUL_OVERFLOWS(bytes, 2, &bytes))
        bytes = SIZE_MAX;
    /* Pages that no frame reaches are never touched: a cache for a second prompt costs nothing until it is used. */
    if (bytes == SIZE_MAX || !(kc->data = sr_aligned(bytes))) {
        sr_free(kc);
        return sr_fail_nomem(err, bytes, "keys and values of past frames; a smaller size or window needs less");
    }
    *out = kc;
    return SORA_OK;
}

void sr_kv_cache_close(struct sr_kv_cache **kc)
{
    if (!*kc) return;
    sr_free((*kc)->data);
    sr_free(*kc);
    *kc = NULL;
}

void sr_kv_cache_reset(struct sr_kv_cache *kc)
{
    kc->count = 0;
}

void sr_kv_cache_keep_sink(struct sr_kv_cache *kc)
{
    kc->count = SR_MIN(kc->count, (uint64_t)kc->sink);
}

size_t sr_kv_cache_frames(const struct sr_kv_cache *kc)
{
    return (size_t)SR_MIN(kc->count, (uint64_t)sr_kv_cache_capacity(kc));
}

/* Keys (which 0) or values (1) of `frames` slots from `slot` on. */
static struct sr_tensor slots(const struct sr_kv_cache *kc, size_t layer, size_t which, size_t slot, size_t frames)
{
    const size_t all = sr_kv_cache_capacity(kc), at = ((layer * 2 + which) * all + slot) * kc->P * kc->C;

    return (struct sr_tensor){ .data = kc->data + at * sr_type_size(kc->type), .type = kc->type, .rows = frames * kc->P,
                               .cols = kc->C, .stride = kc->C };
}

static int add_part(const struct sr_kv_cache *kc, size_t layer, struct sr_kv *part, size_t slot, size_t frames)
{
    if (!frames) return 0;
    part->k = slots(kc, layer, 0, slot, frames);
    part->v = slots(kc, layer, 1, slot, frames);
    return 1;
}

int sr_kv_cache_view(const struct sr_kv_cache *kc, size_t layer, struct sr_kv parts[SR_KV_PARTS])
{
    const size_t seen = sr_kv_cache_frames(kc);
    size_t oldest;
    int n;

    if (kc->count <= sr_kv_cache_capacity(kc)) return add_part(kc, layer, parts, 0, seen);
    oldest = kc->window ? (size_t)((kc->count - kc->sink) % kc->window) : 0;    /* in the ring: what is replaced next */
    n = add_part(kc, layer, parts, 0, kc->sink);
    n += add_part(kc, layer, parts + n, kc->sink + oldest, kc->window - oldest);
    return n + add_part(kc, layer, parts + n, kc->sink, oldest);
}

void sr_kv_cache_write(struct sr_ctx *c, struct sr_kv_cache *kc, size_t layer, const struct sr_tensor *k,
                       const struct sr_tensor *v, size_t F)
{
    for (size_t f = 0; f < F; f++) {
        const uint64_t frame = kc->count + f;
        size_t slot = (size_t)frame;
        struct sr_tensor from, to;

        if (frame >= kc->sink) {
            if (!kc->window) continue;
            slot = kc->sink + (size_t)((frame - kc->sink) % kc->window);
        }
        from = sr_rows(k, f * kc->P, kc->P);
        to = slots(kc, layer, 0, slot, 1);
        sr_convert(c, &to, &from);
        from = sr_rows(v, f * kc->P, kc->P);
        to = slots(kc, layer, 1, slot, 1);
        sr_convert(c, &to, &from);
    }
}

void sr_kv_cache_advance(struct sr_kv_cache *kc, size_t F)
{
    kc->count += F;
}
