/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes of published transformers. */
#include <stdio.h>

#include "models/family.h"

static const struct sr_shape shapes[] = {
    { "wan2.1-1.3b", "wan", .heads = 12, .head_dim = 128, .layers = 30, .ffn = 8960, .in = 16, .out = 16,
      .text_dim = 4096, .freq_dim = 256 },
    { "wan2.2-5b", "wan", .heads = 24, .head_dim = 128, .layers = 30, .ffn = 14336, .in = 48, .out = 48,
      .text_dim = 4096, .freq_dim = 256, .per_token_time = true },
    { "wan2.1-14b", "wan", .heads = 40, .head_dim = 128, .layers = 40, .ffn = 13824, .in = 16, .out = 16,
      .text_dim = 4096, .freq_dim = 256 },
};

const struct sr_shape *sr_shape_find(const char *name, sora_error *err)
{
    char names[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < SR_COUNT(shapes); i++)
        if (!strcmp(shapes[i].name, name)) return &shapes[i];
    for (size_t i = 0; i < SR_COUNT(shapes) && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", shapes[i].name);
    sr_fail(err, SORA_ERR_NOT_FOUND, "shape \"%s\" is not known; there are: %s", name, names);
    return NULL;
}
