/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/queue.h"

struct sr_text *sr_text_new(const char *text)
{
    const size_t n = strlen(text) + 1;
    struct sr_text *t = sr_malloc(sizeof *t + n);

    if (!t) return NULL;
    t->refs = 1;
    memcpy(t->text, text, n);
    return t;
}

struct sr_text *sr_text_ref(struct sr_text *t)
{
    if (t) t->refs++;
    return t;
}

void sr_text_unref(struct sr_text **t)
{
    if (*t && --(*t)->refs == 0) sr_free(*t);
    *t = NULL;
}

sora_result sr_queue_init(struct sr_queue *q, size_t cap, sora_format format, int width, int height, sora_error *err)
{
    *q = (struct sr_queue){ .slot = sr_calloc(cap, sizeof *q->slot), .cap = cap, .format = format, .width = width,
                            .height = height };
    return q->slot ? SORA_OK : sr_fail_nomem(err, cap * sizeof *q->slot, "frame queue");
}

void sr_queue_uninit(struct sr_queue *q)
{
    for (size_t i = 0; q->slot && i < q->cap; i++) {
        sr_planes_free(&q->slot[i].picture);
        sr_text_unref(&q->slot[i].text);
    }
    sr_planes_free(&q->old);
    sr_free(q->slot);
    *q = (struct sr_queue){ 0 };
}

struct sr_slot *sr_queue_back(struct sr_queue *q, sora_error *err)
{
    struct sr_slot *s = &q->slot[(q->head + q->count) % q->cap];

    return s->picture.memory || sr_planes_alloc(&s->picture, q->format, q->width, q->height, err) == SORA_OK ? s : NULL;
}

sora_result sr_queue_fade(struct sr_queue *q, int n, sora_error *err)
{
    const struct sr_slot *newest = &q->slot[(q->head + q->count + q->cap - 1) % q->cap];     /* also when it was taken */
    sora_result r = SORA_OK;

    if (!q->old.memory) r = sr_planes_alloc(&q->old, q->format, q->width, q->height, err);
    if (r < 0) return r;
    sr_planes_copy(q->format, q->width, q->height, q->old.data, q->old.stride, &newest->picture);
    q->fade = q->fade_left = n;
    return SORA_OK;
}

void sr_queue_fade_in(struct sr_queue *q, struct sr_slot *s)
{
    if (!q->fade_left) return;
    sr_planes_blend(q->format, q->width, q->height, &s->picture, &q->old, (float)q->fade_left / (float)(q->fade + 1));
    q->fade_left--;
}

struct sr_slot *sr_queue_front(struct sr_queue *q)
{
    return &q->slot[q->head];
}

void sr_queue_pop(struct sr_queue *q)
{
    sr_text_unref(&q->slot[q->head].text);
    q->head = (q->head + 1) % q->cap;
    q->count--;
}
