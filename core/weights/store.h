/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of the file formats and weights.c share: the list of tensors and the mappings they lie in. */
#ifndef SR_STORE_H
#define SR_STORE_H

#include <jansson.h>

#include "weights/weights.h"

struct sr_weights_file {
    char *path;
    struct sr_map map;
};

struct sr_weights {
    char *path;                 /* as it was asked for */
    struct sr_weights_file *files;
    size_t nfiles;
    struct sr_weight *list;     /* sorted by name once open */
    size_t n, room;
    json_t *meta;               /* of the first file that has some */
    sr_rename_fn *rename;
    char prefix[128];           /* put before what rename gives */
    bool random;
    uint64_t seed;
};

/* Map one more file; *file is valid until the next call. */
sora_result sr_store_map(struct sr_weights *w, struct sr_weights_file **file, const char *path, sora_error *err);
/* One more tensor; name is copied, data lies in a mapping of w.  path: for messages. */
sora_result sr_store_add(struct sr_weights *w, const struct sr_weight *t, const char *path, sora_error *err);
/* *n = dim[0] * dim[1] ...; *bytes = *n * size of type; false on overflow. */
bool sr_shape_size(int ndim, const size_t *dim, enum sr_type type, size_t *n, size_t *bytes);
/* "[2, 3]" */
void sr_shape_text(char *out, size_t size, int ndim, const size_t *dim);

/* Each reads one mapped file (the last of w->files) into w. */
sora_result sr_safetensors_read(struct sr_weights *w, const struct sr_weights_file *file, sora_error *err);
sora_result sr_pth_read(struct sr_weights *w, const struct sr_weights_file *file, sora_error *err);

#endif
