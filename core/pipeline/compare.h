/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files with which stages are fed and read, for comparison with other implementations: safetensors, f32, no batch axis. */
#ifndef SR_COMPARE_H
#define SR_COMPARE_H

#include "weights/weights.h"

/* A tensor of a file, mapped.  data NULL: not there. */
struct sr_given {
    struct sr_weights *w;
    const float *data;
    int ndim;
    size_t dim[8];
};
/* name must be there, F32, with ndim axes. */
sora_result sr_given_open(struct sr_given *g, const char *path, const char *name, int ndim, sora_error *err);
/* Another tensor of the same file, of the same shape; NULL and err: it is not there. */
const float *sr_given_also(const struct sr_given *g, const char *name, sora_error *err);
void sr_given_close(struct sr_given *g);

#endif
