/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "pipeline/compare.h"

static void shape_text(char *out, size_t size, int ndim, const size_t *dim)
{
    size_t n = 0;

    out[0] = 0;
    for (int i = 0; i < ndim && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%zu", i ? ", " : "", dim[i]);
}

sora_result sr_given_open(struct sr_given *g, const char *path, const char *name, int ndim, sora_error *err)
{
    const struct sr_weight *t;
    char shape[200];
    sora_result r;

    memset(g, 0, sizeof *g);
    if ((r = sr_weights_open(&g->w, path, err)) < 0) return r;
    if (!(t = sr_weights_find(g->w, name))) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: no tensor \"%s\"", path, name);
    } else if (t->type != SR_F32 || t->ndim != ndim || (uintptr_t)t->data % sizeof(float)) {
        shape_text(shape, sizeof shape, t->ndim, t->dim);
        r = sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" is %s [%s]; wanted: F32 with %d axes", path, name, sr_type_name(t->type), shape,
                    ndim);
    } else {
        g->data = t->data;
        g->ndim = ndim;
        memcpy(g->dim, t->dim, sizeof g->dim);
    }
    if (r < 0) sr_given_close(g);
    return r;
}

const float *sr_given_also(const struct sr_given *g, const char *name, sora_error *err)
{
    const struct sr_weight *t = sr_weights_find(g->w, name);

    if (t && t->type == SR_F32 && t->ndim == g->ndim && !memcmp(t->dim, g->dim, (size_t)g->ndim * sizeof *t->dim) &&
        (uintptr_t)t->data % sizeof(float) == 0) return t->data;
    sr_fail(err, SORA_ERR_MODEL, "%s: no tensor \"%s\" of the shape of the others", sr_weights_path(g->w), name);
    return NULL;
}

void sr_given_close(struct sr_given *g)
{
    sr_weights_close(&g->w);
    memset(g, 0, sizeof *g);
}
