/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A run from its options to all of its frames, in floats. */
#ifndef FILM_H
#define FILM_H

#include <stdlib.h>

#include <sora/sora.h>

#include "near.h"
#include "weights/weights.h"

struct film {
    float *rgb;                     /* [n, 3, h, w] */
    int n, w, h;
};

static inline void film_free(struct film *f)
{
    free(f->rgb);
    *f = (struct film){ 0 };
}

static inline sora_result shoot(struct film *f, const sora_options *o, sora_error *err)
{
    sora_session *s = NULL;
    sora_info info;
    sora_result r = sora_session_open(&s, o, err);

    *f = (struct film){ 0 };
    sora_info_init(&info);
    if (r >= 0) {
        sora_session_get_info(s, &info);
        f->w = info.width;
        f->h = info.height;
        f->rgb = malloc((size_t)(info.frames ? info.frames : 1000) * 3 * (size_t)(f->w * f->h) * sizeof(float));
    }
    while (r >= 0) {
        sora_frame frame;
        sora_frame_init(&frame);
        for (int p = 0; p < 3; p++) {
            frame.data[p] = (uint8_t *)(f->rgb + (size_t)(3 * f->n + p) * (size_t)(f->w * f->h));
            frame.stride[p] = f->w * (ptrdiff_t)sizeof(float);
        }
        if ((r = sora_session_next(s, &frame, err)) != SORA_OK) break;
        f->n++;
    }
    sora_session_close(&s);
    return r == SORA_EOS ? SORA_OK : r;
}

static inline struct film must_shoot(const sora_options *o)
{
    struct film f;
    sora_error err = { 0 };

    ck_assert_msg(shoot(&f, o, &err) == SORA_OK, "%s", err.text);
    return f;
}

/* A tensor of a file that stays open in *w; n: its numbers. */
static inline const float *tensor(struct sr_weights **w, const char *path, const char *name, size_t *n)
{
    const struct sr_weight *t;

    ck_assert_int_eq(sr_weights_open(w, path, NULL), SORA_OK);
    ck_assert_ptr_nonnull(t = sr_weights_find(*w, name));
    *n = t->n;
    return t->data;
}

#endif
