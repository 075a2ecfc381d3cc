/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Convolutions that look back in time, fed one frame at a time.
 *
 * A causal convolution of kt frames sees its newest input frame and the kt - 1 before it (zeros before the first).  The
 * history of its inputs is all the state a decoder has; because of it a stream may be cut anywhere, and one frame at a
 * time gives what the whole clip at once would.
 *
 * The kernel is applied tap by tap, a tap being its part for one frame: y = sum over k of tap[k] * frame[k], each a
 * convolution in space.  So the frames need not lie together and none is ever moved; and before the stream has kt
 * frames, the taps that would see zeros are left out, which makes a first frame kt times cheaper.
 */
#ifndef SR_CAUSAL_CONV_H
#define SR_CAUSAL_CONV_H

#include "weights/weights.h"

enum { SR_TAPS = 3 };

/*
 * Room for the newest frame, lent to one history after the other: with its step a history keeps the frame and leaves
 * the room of its oldest one.  So layers that run one after the other need kt - 1 frames each and one more in all.
 */
struct sr_spare {
    void *data;                 /* of one frame; NULL: not allocated yet */
};

/* The last kt frames of a feature map, each [1, H, W, C], in a ring. */
struct sr_history {
    struct sr_fmap frame[SR_TAPS];
    struct sr_spare *spare;     /* the newest frame is there; NULL: in the ring as the others */
    size_t kt, newest;
    size_t past;                /* frames before the newest one that the stream had, at most kt - 1 */
};

/* spare: NULL, or shared by histories of frames of one size, of which only one at a time is between newest and step. */
sora_result sr_history_open(struct sr_history *h, size_t kt, size_t H, size_t W, size_t C, enum sr_type type,
                            struct sr_spare *spare, sora_error *err);
void sr_history_close(struct sr_history *h);
void sr_history_reset(struct sr_history *h);            /* the beginning of a stream */
/* [1, H, W, C]: where the newest frame belongs. */
struct sr_fmap sr_history_newest(const struct sr_history *h);
/* Copy x [1, H, W, C] there. */
void sr_history_push(struct sr_ctx *c, struct sr_history *h, const struct sr_fmap *x);
/* The newest frame becomes the one before it, the oldest is forgotten. */
void sr_history_step(struct sr_ctx *c, struct sr_history *h);

struct sr_taps {
    struct sr_conv *tap[SR_TAPS];       /* 0: for the newest frame */
    size_t kt, out;
};

/* weight [kt][out, in, k, k], newest frame's first; bias [out] or NULL. */
void sr_taps_open(struct sr_loader *l, struct sr_taps *v, size_t in, size_t out, size_t kt, size_t k,
                  const float *const *weight, const float *bias);
/* Outputs from .. from + out of name.weight [all, in, kt, k, k] and name.bias [all]. */
void sr_taps_load(struct sr_loader *l, struct sr_taps *v, size_t in, size_t from, size_t out, size_t all, size_t kt,
                  size_t k, const char *name);
void sr_taps_close(struct sr_taps *v);
/* act(convolution + add) -> to [1, H, W, out]; add NULL, or a map of that size and type, which may be `to` itself. */
void sr_taps_conv(struct sr_ctx *c, const struct sr_taps *v, const struct sr_history *h, enum sr_act act,
                  const struct sr_fmap *add, const struct sr_fmap *to);

/* Both together: a layer as models have it. */
struct sr_causal_conv {
    struct sr_history past;
    struct sr_taps taps;
};

/* kt x k x k, padded so that H and W stay; name.weight [out, in, kt, k, k], name.bias [out]. */
void sr_causal_conv_load(struct sr_loader *l, struct sr_causal_conv *v, size_t in, size_t out, size_t kt, size_t k,
                         size_t H, size_t W, struct sr_spare *spare, const char *name);
void sr_causal_conv_close(struct sr_causal_conv *v);

/*
 * The newest frame stands in v->past already; -> [1, H, W, out].  to: where the result goes, which may be add itself;
 * NULL: scratch.  Then the history steps on.
 */
struct sr_fmap sr_causal_conv(struct sr_ctx *c, struct sr_causal_conv *v, const struct sr_fmap *add,
                              const struct sr_fmap *to);

#endif
