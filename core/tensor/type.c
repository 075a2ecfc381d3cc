/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tensor/tensor.h"

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [SR_F32] = { "F32", 4 },  [SR_BF16] = { "BF16", 2 }, [SR_F16] = { "F16", 2 },         [SR_F64] = { "F64", 8 },
    [SR_S8] = { "I8", 1 },    [SR_U8] = { "U8", 1 },     [SR_S16] = { "I16", 2 },         [SR_S32] = { "I32", 4 },
    [SR_S64] = { "I64", 8 },  [SR_BOOL] = { "BOOL", 1 }, [SR_F8_E4M3] = { "F8_E4M3", 1 },
    [SR_F8_E5M2] = { "F8_E5M2", 1 },
};

size_t sr_type_size(enum sr_type t)
{
    return types[t].size;
}

const char *sr_type_name(enum sr_type t)
{
    return types[t].name;
}
