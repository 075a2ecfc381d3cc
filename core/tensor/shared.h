/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packed weights that several sessions of one process use: a model opened twice is in memory once.  What was packed is
 * found by what it was packed from, and freed with its last user.
 */
#ifndef SR_SHARED_H
#define SR_SHARED_H

#include "tensor/dnnl.h"

/* Compared as bytes: clear it first. */
struct sr_shared_key {
    uint64_t source;            /* files and places of all parts; 0: of no file, never shared */
    uint64_t rows, cols;
    int32_t type, threads;      /* the layout may depend on how many threads will multiply */
    uint32_t cpu, unused;       /* no padding: it would not survive a copy */
};

/* What make() makes, once for each key.  Others who ask for the same key meanwhile wait. */
typedef sora_result sr_pack_fn(void *user, struct sr_packed **p, sora_error *err);
sora_result sr_shared_get(struct sr_packed **p, const struct sr_shared_key *key, sr_pack_fn *make, void *user,
                          sora_error *err);
/* One user fewer.  Also for what was never shared. */
void sr_shared_put(struct sr_packed **p);

#endif
