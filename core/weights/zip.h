/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SR_ZIP_H
#define SR_ZIP_H

#include "base/base.h"

struct sr_zip_entry {
    const char *name;           /* in the mapping, not terminated */
    size_t name_len;
    const uint8_t *data;        /* in the mapping */
    size_t size;
    bool stored;                /* data is the content itself */
};

struct sr_zip {
    struct sr_zip_entry *entry;
    size_t n;
};

sora_result sr_zip_open(struct sr_zip *z, const struct sr_map *m, const char *path, sora_error *err);
void sr_zip_close(struct sr_zip *z);
const struct sr_zip_entry *sr_zip_find(const struct sr_zip *z, const char *name, size_t len);

#endif
