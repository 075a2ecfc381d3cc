/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of weights, opened and read to its last byte if it opens. */
#ifndef FUZZ_WEIGHTS_H
#define FUZZ_WEIGHTS_H

#include "fuzz.h"
#include "weights/weights.h"

static void try_weights(const char *path, const uint8_t *data, size_t n)
{
    struct sr_weights *w;
    sora_error err = { 0 };
    volatile unsigned sum = 0;

    if (sr_weights_open(&w, path, &err) < 0 && (!err.code || !strstr(err.text, path) || w)) {
        fprintf(stderr, "refused without a proper message: \"%s\"\n", err.text);
        abort();
    }
    for (size_t i = 0; w && i < sr_weights_count(w); i++) {
        const struct sr_weight *t = sr_weights_at(w, i);
        struct sr_param p;
        if (sr_weights_find(w, t->name) != t) abort();
        for (size_t j = 0; j < t->n * sr_type_size(t->type); j++) sum += ((const uint8_t *)t->data)[j];
        sr_weights_get(w, &p, NULL, t->ndim, t->dim, "%s", t->name);
        sr_weights_forget(w, t->name);
    }
    if (w) sr_weights_meta(w, "format");
    if (w) sr_weights_detect(w, NULL, "head.weight");
    sr_weights_close(&w);
}

#endif
