/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a tensor by the name that the model asks for, whatever the file calls it, and checking its type and shape. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "weights/store.h"

#define NAME_MAX_BYTES 512

size_t sr_weights_count(const struct sr_weights *w)
{
    return w->n;
}

const struct sr_weight *sr_weights_at(const struct sr_weights *w, size_t i)
{
    return i < w->n ? &w->list[i] : NULL;
}

const char *sr_weights_path(const struct sr_weights *w)
{
    return w->path;
}

uint64_t sr_weights_bytes(const struct sr_weights *w)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < w->n; i++) bytes += (uint64_t)w->list[i].n * sr_type_size(w->list[i].type);
    return bytes;
}

const char *sr_weights_meta(const struct sr_weights *w, const char *key)
{
    return json_string_value(json_object_get(w->meta, key));
}

bool sr_weights_random(const struct sr_weights *w)
{
    return w->random;
}

/* ---- Names ---- */

/* The name in the file; false: longer than any name. */
static bool file_name(const struct sr_weights *w, char *out, size_t size, const char *name)
{
    char renamed[NAME_MAX_BYTES];
    int n;

    if (w->rename && w->rename(renamed, sizeof renamed, name)) name = renamed;
    n = snprintf(out, size, "%s%s", w->prefix, name);
    return n >= 0 && (size_t)n < size;
}

static const struct sr_weight *lookup(const struct sr_weights *w, const char *name)
{
    size_t lo = 0, hi = w->n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int d = strcmp(name, w->list[mid].name);
        if (d == 0) return &w->list[mid];
        if (d < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

const struct sr_weight *sr_weights_find(const struct sr_weights *w, const char *name)
{
    char in_file[NAME_MAX_BYTES];

    return file_name(w, in_file, sizeof in_file, name) ? lookup(w, in_file) : NULL;
}

void sr_weights_rename(struct sr_weights *w, sr_rename_fn *fn, const char *prefix)
{
    snprintf(w->prefix, sizeof w->prefix, "%s", prefix ? prefix : "");
    w->rename = fn;
}

/*
 * What training and packing programs put before a model's own names.  The averaged weights come before the raw ones:
 * they are what such a checkpoint is published for.
 */
bool sr_weights_detect(struct sr_weights *w, sr_rename_fn *fn, const char *probe)
{
    static const char *const outer[] = { "", "generator_ema.", "generator.", "ema.", "state_dict.", "generator_lora." };
    static const char *const inner[] = { "", "model.", "net.", "module.", "diffusion_model.",
                                         "model.diffusion_model.", "model._fsdp_wrapped_module.",
                                         "base_model.model.", "transformer." };
    char had[sizeof w->prefix], prefix[sizeof w->prefix];
    sr_rename_fn *const had_fn = w->rename;

    memcpy(had, w->prefix, sizeof had);
    for (size_t i = 0; i < SR_COUNT(outer); i++) {
        for (size_t j = 0; j < SR_COUNT(inner); j++) {
            snprintf(prefix, sizeof prefix, "%s%s", outer[i], inner[j]);
            sr_weights_rename(w, fn, prefix);
            if (w->random || sr_weights_find(w, probe)) return true;
        }
    }
    sr_weights_rename(w, had_fn, had);
    return false;
}

const char *sr_weights_prefix(const struct sr_weights *w)
{
    return w->prefix;
}

/* ---- Pages ---- */

/* The mapping that t lies in, and where; NULL: in none. */
static const struct sr_map *map_of(const struct sr_weights *w, const struct sr_weight *t, size_t *offset)
{
    for (size_t i = 0; i < w->nfiles; i++) {
        const struct sr_map *m = &w->files[i].map;
        const uintptr_t at = (uintptr_t)t->data, base = (uintptr_t)m->data;
        *offset = at - base;
        if (at >= base && at - base < m->size) return m;
    }
    return NULL;
}

static uint64_t source_of(const struct sr_weights *w, const struct sr_weight *t)
{
    size_t offset;
    const struct sr_map *m = map_of(w, t, &offset);

    return m ? sr_rng_u64(m->id, offset, (uint64_t)t->type) | 1 : 0;
}

static void forget_one(struct sr_weights *w, const struct sr_weight *t)
{
    size_t offset;
    const struct sr_map *m = map_of(w, t, &offset);

    if (m) sr_map_forget(m, offset, t->n * sr_type_size(t->type));
}

void sr_weights_forget(struct sr_weights *w, const char *name)
{
    const struct sr_weight *t;

    if (name) {
        if ((t = sr_weights_find(w, name))) forget_one(w, t);
        return;
    }
    for (size_t i = 0; i < w->n; i++) forget_one(w, &w->list[i]);
}

/* ---- The checked lookup ---- */

static uint64_t name_hash(const char *name)       /* FNV-1a */
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static void make_random(const struct sr_weights *w, struct sr_param *p, int ndim, const size_t *dim, const char *name)
{
    /* A vector keeps the scale 1 of a norm's weights; small ones would switch the layers behind it off. */
    const size_t fan_in = ndim > 1 && dim[0] ? p->n / dim[0] : 1;

    p->data = NULL;
    p->type = SR_BF16;
    p->seed = (w->seed ^ name_hash(name)) | 1;      /* 0 would mean: from a file */
    p->scale = 1.0f / sqrtf((float)SR_MAX(fan_in, (size_t)1));
}

sora_result sr_weights_get(struct sr_weights *w, struct sr_param *p, sora_error *err, int ndim, const size_t *dim,
                           const char *fmt, ...)
{
    char asked[NAME_MAX_BYTES], name[NAME_MAX_BYTES], wanted[200], found[200];
    const struct sr_weight *t;
    size_t bytes;
    va_list ap;
    int n;

    memset(p, 0, sizeof *p);
    va_start(ap, fmt);
    n = vsnprintf(asked, sizeof asked, fmt, ap);
    va_end(ap);
    sr_shape_text(wanted, sizeof wanted, ndim, dim);
    if (n < 0 || (size_t)n >= sizeof asked || !file_name(w, name, sizeof name, asked))
        return sr_fail(err, SORA_ERR_MODEL, "%s: the tensor name \"%.60s...\" is too long", w->path, asked);
    if (!sr_shape_size(ndim, dim, SR_F64, &p->n, &bytes))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" cannot have the shape %s", w->path, name, wanted);
    if (w->random) return make_random(w, p, ndim, dim, asked), SORA_OK;
    if (!(t = lookup(w, name)))
        return sr_fail(err, SORA_ERR_MODEL, "%s: no tensor \"%s\"; wanted: %s", w->path, name, wanted);
    sr_shape_text(found, sizeof found, t->ndim, t->dim);
    if (t->ndim != ndim || memcmp(t->dim, dim, (size_t)ndim * sizeof *dim))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has the shape %s; wanted: %s", w->path, name, found,
                       wanted);
    if (t->type != SR_F32 && t->type != SR_F16 && t->type != SR_BF16)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: tensor \"%s\" is %s; wanted: F32, F16 or BF16", w->path, name,
                       sr_type_name(t->type));
    p->data = t->data;
    p->type = t->type;
    p->source = source_of(w, t);
    return SORA_OK;
}
