/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys and values of past latent frames, for models that stream: the first `sink` frames for ever, and the last
 * `window` of the others in a ring, so that memory is constant however long the stream is.
 *
 * Keys lie here before their rotation: positions are counted anew in each pass, the oldest visible frame at 0, and
 * never grow beyond sink + window.  Reference: the relative positions of LongLive's infinite mode (Yang et al., 2025).
 */
#ifndef SR_KV_CACHE_H
#define SR_KV_CACHE_H

#include "tensor/ops.h"

struct sr_kv_cache;

/* P: tokens of a frame; C: channels of a key. */
sora_result sr_kv_cache_open(struct sr_kv_cache **kc, size_t layers, size_t P, size_t C, size_t sink, size_t window,
                             enum sr_type type, sora_error *err);
void sr_kv_cache_close(struct sr_kv_cache **kc);
void sr_kv_cache_reset(struct sr_kv_cache *kc);
/* Forget all but the sink: the next frame is the first of the window. */
void sr_kv_cache_keep_sink(struct sr_kv_cache *kc);

/* Frames that a pass can see now, and the most it can ever see. */
size_t sr_kv_cache_frames(const struct sr_kv_cache *kc);
size_t sr_kv_cache_capacity(const struct sr_kv_cache *kc);

#define SR_KV_PARTS 3
/* What is visible of one layer, oldest first: views into the cache.  Returns how many parts there are. */
int sr_kv_cache_view(const struct sr_kv_cache *kc, size_t layer, struct sr_kv parts[SR_KV_PARTS]);

/* k, v [F * P, C] of the next F frames of one layer.  They become visible, for all layers, with
   sr_kv_cache_advance(). */
void sr_kv_cache_write(struct sr_ctx *c, struct sr_kv_cache *kc, size_t layer, const struct sr_tensor *k,
                       const struct sr_tensor *v, size_t F);
void sr_kv_cache_advance(struct sr_kv_cache *kc, size_t F);

#endif
