/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Convolutions that look back in time, fed one frame at a time.
 *
 * A causal convolution of kt frames sees its newest input frame and the kt - 1 before it (zeros before the first).  The
 * history of its inputs is all the state a decoder has; because of it a stream may be cut anywhere, and one frame at a
 * time gives what the whole clip at once would.
 */
#ifndef SR_CAUSAL_CONV_H
#define SR_CAUSAL_CONV_H

#include "weights/weights.h"

/* The last kt frames of a feature map, [kt, H, W, C], oldest first: a convolution's input as it needs it. */
struct sr_history {
    struct sr_fmap frames;
};

sora_result sr_history_open(struct sr_history *h, size_t kt, size_t H, size_t W, size_t C, enum sr_type type,
                            sora_error *err);
void sr_history_close(struct sr_history *h);
void sr_history_reset(struct sr_history *h);            /* zeros: the beginning of a stream */
/* [1, H, W, C]: where the newest frame belongs. */
struct sr_fmap sr_history_newest(const struct sr_history *h);
/* Copy x [1, H, W, C] there. */
void sr_history_push(struct sr_ctx *c, struct sr_history *h, const struct sr_fmap *x);
/* The oldest frame is forgotten, the newest becomes the one before it. */
void sr_history_step(struct sr_ctx *c, struct sr_history *h);

struct sr_causal_conv {
    struct sr_history past;
    struct sr_conv *conv;
};

/* kt x k x k, padded so that H and W stay; name.weight [out, in, kt, k, k], name.bias [out]. */
void sr_causal_conv_load(struct sr_loader *l, struct sr_causal_conv *v, size_t in, size_t out, size_t kt, size_t k,
                         size_t H, size_t W, const char *name);
void sr_causal_conv_close(struct sr_causal_conv *v);

/*
 * The newest frame stands in v->past already; -> [1, H, W, out].  to: where the result goes, which may be add itself;
 * NULL: scratch.  Then the history steps on.
 */
struct sr_fmap sr_causal_conv(struct sr_ctx *c, struct sr_causal_conv *v, const struct sr_fmap *add,
                              const struct sr_fmap *to);

#endif
