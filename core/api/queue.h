/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames on their way from the worker to the caller: a ring of pictures in the caller's format, which is a quarter to an
 * eighth of the decoder's floats.  Not locked: the session's mutex guards it.
 */
#ifndef SR_QUEUE_H
#define SR_QUEUE_H

#include "frame/frame.h"

/* A prompt that frames point to; counted, because a frame may outlive its prompt's turn. */
struct sr_text {
    int refs;
    char text[];
};
struct sr_text *sr_text_new(const char *text);
struct sr_text *sr_text_ref(struct sr_text *t);         /* NULL stays NULL */
void sr_text_unref(struct sr_text **t);

struct sr_slot {
    struct sr_planes picture;   /* allocated at its first use */
    int64_t pts, prompt;
    struct sr_text *text;
    bool chunk_first;
};

struct sr_queue {
    struct sr_slot *slot;
    size_t cap, head, count;
    sora_format format;         /* of its pictures */
    int width, height;
    struct sr_planes old;       /* what was newest when a fade began; allocated at the first */
    int fade, fade_left;        /* pictures over which it goes, and how many of them are still to come */
};
sora_result sr_queue_init(struct sr_queue *q, size_t cap, sora_format format, int width, int height, sora_error *err);
void sr_queue_uninit(struct sr_queue *q);
/* The slot behind the last frame; NULL and err when its picture cannot be had.  Only when count < cap. */
struct sr_slot *sr_queue_back(struct sr_queue *q, sora_error *err);
/* The next n pictures come in over the newest; only once there has been one. */
sora_result sr_queue_fade(struct sr_queue *q, int n, sora_error *err);
/* What a fade makes of the picture behind the last frame; not under the lock, as only who fills the queue calls it. */
void sr_queue_fade_in(struct sr_queue *q, struct sr_slot *s);
struct sr_slot *sr_queue_front(struct sr_queue *q);     /* only when count > 0 */
void sr_queue_pop(struct sr_queue *q);

#endif
