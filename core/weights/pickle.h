/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SR_PICKLE_H
#define SR_PICKLE_H

#include "tensor/tensor.h"

/* SR_PICKLE_STORAGE and _TENSOR: ref is the tuple that describes it. */
enum sr_pickle_kind {
    SR_PICKLE_NONE, SR_PICKLE_BOOL, SR_PICKLE_INT, SR_PICKLE_FLOAT, SR_PICKLE_STRING, SR_PICKLE_TUPLE, SR_PICKLE_LIST,
    SR_PICKLE_DICT, SR_PICKLE_NAME, SR_PICKLE_STORAGE, SR_PICKLE_TENSOR
};

enum sr_pickle_name { SR_NAME_ORDERED_DICT, SR_NAME_TENSOR, SR_NAME_PARAMETER, SR_NAME_SIZE, SR_NAME_STORAGE };

struct sr_pickle_value {
    enum sr_pickle_kind kind;
    union {
        int64_t i;                                      /* INT, BOOL */
        double f;
        struct { const char *text; size_t len; };       /* STRING: in the pickle, not terminated */
        struct { uint32_t *item, n, room; };            /* TUPLE, LIST; DICT: key, value, key, value ... */
        struct { enum sr_pickle_name name; enum sr_type type; };    /* NAME; type: of a storage class */
        uint32_t ref;
    };
};

struct sr_pickle {
    struct sr_pickle_value *v;
    size_t n, room;
    uint32_t root;
};

/* Read data [size] into values; strings stay in data.  path: for messages. */
sora_result sr_pickle_read(struct sr_pickle *p, const uint8_t *data, size_t size, const char *path, sora_error *err);
void sr_pickle_close(struct sr_pickle *p);

#endif
