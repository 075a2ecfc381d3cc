/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * safetensors: 8 bytes length of the header, the header (a JSON object: name -> dtype, shape, data_offsets), the data.
 * Everything that the header claims is checked here, once, so that no later code has to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "weights/store.h"

#define HEADER_MAX ((size_t)100 << 20)

static bool type_from_name(enum sr_type *type, const char *name)
{
    static const enum sr_type types[] = { SR_F32, SR_BF16, SR_F16, SR_F64, SR_S8, SR_U8, SR_S16, SR_S32, SR_S64,
                                          SR_BOOL, SR_F8_E4M3, SR_F8_E5M2 };

    for (size_t i = 0; i < SR_COUNT(types); i++)
        if (!strcmp(name, sr_type_name(types[i]))) return *type = types[i], true;
    return false;
}

static sora_result read_shape(struct sr_weight *t, const json_t *shape, const char *path, sora_error *err)
{
    const size_t ndim = json_array_size(shape);

    if (!json_is_array(shape))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has no shape", path, t->name);
    if (ndim > SR_COUNT(t->dim))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has %zu axes, more than %zu", path, t->name, ndim,
                       SR_COUNT(t->dim));
    for (size_t i = 0; i < ndim; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return sr_fail(err, SORA_ERR_MODEL, "%s: axis %zu of tensor \"%s\" is not a size", path, i, t->name);
        t->dim[i] = (size_t)json_integer_value(d);
    }
    t->ndim = (int)ndim;
    return SORA_OK;
}

/* One entry of the header; data [size]: what follows the header. */
static sora_result read_entry(struct sr_weight *t, const json_t *entry, const uint8_t *data, size_t size,
                              const char *path, sora_error *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *span = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(span, 0), *to = json_array_get(span, 1);
    json_int_t a, b;
    size_t bytes;
    char shape[200];
    sora_result r;

    if (!json_is_object(entry) || !dtype)
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has no type", path, t->name);
    if (!type_from_name(&t->type, dtype))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: tensor \"%s\" has the type \"%.40s\", which is not known here",
                       path, t->name, dtype);
    if ((r = read_shape(t, json_object_get(entry, "shape"), path, err)) < 0) return r;
    sr_shape_text(shape, sizeof shape, t->ndim, t->dim);
    if (!sr_shape_size(t->ndim, t->dim, t->type, &t->n, &bytes))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has the impossible shape %s", path, t->name, shape);
    if (json_array_size(span) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has no data_offsets", path, t->name);
    a = json_integer_value(from);
    b = json_integer_value(to);
    if (a < 0 || b < a)
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has the data_offsets [%lld, %lld]", path, t->name,
                       (long long)a, (long long)b);
    if ((uint64_t)b > size)
        return sr_fail(err, SORA_ERR_MODEL,
                       "%s: the file ends before tensor \"%s\" does (%zu bytes of data, %lld wanted); "
                       "the download was probably cut short: fetch it again", path, t->name, size, (long long)b);
    if ((uint64_t)(b - a) != bytes)
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has %lld bytes, %s of %s wants %zu", path, t->name,
                       (long long)(b - a), shape, dtype, bytes);
    t->data = data + a;
    return SORA_OK;
}

struct span {
    const uint8_t *from, *to;
    const char *name;
};

static int by_place(const void *x, const void *y)
{
    const struct span *a = x, *b = y;

    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

/* Two names for the same bytes are how a file could claim more than it holds. */
static sora_result check_overlap(const struct sr_weights *w, size_t first, const char *path, sora_error *err)
{
    const size_t n = w->n - first;
    struct span *s = sr_calloc(n, sizeof *s);
    sora_result r = SORA_OK;

    if (!s) return sr_fail_nomem(err, n * sizeof *s, path);
    for (size_t i = 0; i < n; i++) {
        const struct sr_weight *t = &w->list[first + i];
        s[i].from = t->data;
        s[i].to = s[i].from + t->n * sr_type_size(t->type);
        s[i].name = t->name;
    }
    qsort(s, n, sizeof *s, by_place);
    for (size_t i = 1; i < n && r == SORA_OK; i++)
        if (s[i].from < s[i - 1].to)
            r = sr_fail(err, SORA_ERR_MODEL, "%s: tensors \"%s\" and \"%s\" overlap", path, s[i - 1].name, s[i].name);
    sr_free(s);
    return r;
}

static sora_result check_meta(const json_t *meta, const char *path, sora_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta)) return sr_fail(err, SORA_ERR_MODEL, "%s: __metadata__ is not an object", path);
    json_object_foreach((json_t *)meta, key, value)
        if (!json_is_string(value))
            return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" in __metadata__ is not a string", path, key);
    return SORA_OK;
}

sora_result sr_safetensors_read(struct sr_weights *w, const struct sr_weights_file *file, sora_error *err)
{
    const uint8_t *p = file->map.data;
    const size_t size = file->map.size, first = w->n;
    const char *path = file->path, *name;
    json_t *header = NULL, *entry;
    json_error_t je;
    uint64_t len;
    sora_result r;

    if (size < 10 || (len = sr_rl64(p)) > size - 8) {
        /* A length beyond any header is not a cut file but another kind of file. */
        if (size >= 10 && (sr_rl64(p) > HEADER_MAX || p[8] != '{'))
            r = sr_fail(err, SORA_ERR_MODEL, "%s: not a safetensors file", path);
        else
            r = sr_fail(err, SORA_ERR_MODEL,
                        "%s: the file ends inside its header (%zu bytes); the download was probably "
                        "cut short: fetch it again", path, size);
        goto done;
    }
    if (len > HEADER_MAX) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: a header of %llu bytes, more than the %zu of the format", path,
                    (unsigned long long)len, HEADER_MAX);
        goto done;
    }
    if (len < 2 || p[8] != '{') {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: not a safetensors file", path);
        goto done;
    }
    /* Jansson bounds the nesting, and refuses strings that are not UTF-8 or hold a NUL. */
    if (!(header = json_loadb((const char *)p + 8, (size_t)len, JSON_REJECT_DUPLICATES, &je))) {
        if (json_error_code(&je) == json_error_out_of_memory) r = sr_fail_nomem(err, (size_t)len, path);
        else r = sr_fail(err, SORA_ERR_MODEL, "%s: the header is damaged at byte %d: %s", path, je.position, je.text);
        goto done;
    }
    json_object_foreach(header, name, entry) {
        struct sr_weight t = { .name = name };
        if (!strcmp(name, "__metadata__")) {
            if ((r = check_meta(entry, path, err)) < 0) goto done;
            if (!w->meta) w->meta = json_incref(entry);
            continue;
        }
        if ((r = read_entry(&t, entry, p + 8 + len, size - 8 - (size_t)len, path, err)) < 0) goto done;
        if ((r = sr_store_add(w, &t, path, err)) < 0) goto done;
    }
    r = check_overlap(w, first, path, err);
done:
    json_decref(header);
    return r;
}

/* ---- Writing: small files for comparison ---- */

static json_t *header_of(const struct sr_named *t, size_t count)
{
    json_t *header = json_object();
    size_t at = 0;

    for (size_t i = 0; header && i < count; i++) {
        json_t *shape = json_array();
        size_t n = 1;
        for (int d = 0; d < t[i].ndim; d++) {
            json_array_append_new(shape, json_integer((json_int_t)t[i].dim[d]));
            n *= t[i].dim[d];
        }
        /* json_pack takes shape over, and fails where it is NULL */
        if (json_object_set_new(header, t[i].name, json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape,
                                                             "data_offsets", (json_int_t)at,
                                                             (json_int_t)(at + n * sizeof(float)))) < 0) {
            json_decref(header);
            return NULL;
        }
        at += n * sizeof(float);
    }
    return header;
}

sora_result sr_safetensors_write(const char *path, const struct sr_named *t, size_t count, sora_error *err)
{
    json_t *header = header_of(t, count);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    const size_t len = text ? strlen(text) : 0, padded = SR_ROUND_UP(len, (size_t)8);
    FILE *f = NULL;
    uint8_t size[8];
    sora_result r = SORA_OK;
    bool ok = true;

    if (!text) {
        r = sr_fail(err, SORA_ERR_INTERNAL, "%s: cannot make the header", path);
        goto done;
    }
    if (!(f = fopen(path, "wbe"))) {
        r = sr_fail_errno(err, errno, path, "cannot write");
        goto done;
    }
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)padded >> 8 * i);
    ok &= fwrite(size, 1, 8, f) == 8;
    ok &= fprintf(f, "%s%*s", text, (int)(padded - len), "") == (int)padded;
    for (size_t i = 0; i < count && ok; i++) {
        size_t n = 1;
        for (int d = 0; d < t[i].ndim; d++) n *= t[i].dim[d];
        ok &= fwrite(t[i].data, sizeof(float), n, f) == n;
    }
    errno = ok ? 0 : errno;
    ok &= fclose(f) == 0;
    if (!ok) r = sr_fail_errno(err, errno ? errno : EIO, path, "cannot write");
done:
    json_decref(header);
    free(text);
    return r;
}
