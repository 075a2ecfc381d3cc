/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a family of transformers implements; model.c calls it.  Functions mean what model.h says of them. */
#ifndef SR_FAMILY_H
#define SR_FAMILY_H

#include "models/model.h"

struct sr_model_family {
    const char *name;
    /* Is path a model of this family?  Says so without an error where it is not. */
    bool (*knows)(const char *path);
    sora_result (*probe)(struct sr_model_info *info, const char *path, sora_error *err);
    sora_result (*open)(struct sr_ctx *c, void **m, struct sr_model_info *info, const struct sr_model_setup *s,
                        sora_error *err);
    void (*close)(void **m);
    void (*set_text)(struct sr_ctx *c, void *m, int which, const float *text, size_t real);
    /* commit: keys and values enter the cache, and out may be NULL */
    void (*forward)(struct sr_ctx *c, void *m, int which, const struct sr_model_input *in, bool commit, float *out);
    void (*forget)(void *m, int which, bool keep_sink);     /* what the prompt's cache holds, or all but the sink */
    double (*flop)(const void *m);
};

extern const struct sr_model_family sr_wan_model;

/* How many caches of keys a model has: one for each prompt, one for all, or none. */
static inline int sr_model_caches(const struct sr_model_setup *s)
{
    return s->window + s->sink == 0 ? 0 : s->one_past ? 1 : s->prompts;
}

/* ---- shapes.c: published sizes by name, for measuring without weights ---- */

struct sr_shape {
    const char *name, *family;
    int64_t heads, head_dim, layers, ffn, in, out, text_dim, freq_dim;
    bool per_token_time;
};
/* NULL: not known, and err lists the names. */
const struct sr_shape *sr_shape_find(const char *name, sora_error *err);

#endif
