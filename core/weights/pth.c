/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PyTorch checkpoints (.pth, .pt): a zip archive of one pickle, NAME/data.pkl, that describes the tensors, and an entry
 * for each storage, NAME/data/0 ...  Dictionaries in dictionaries give names with dots: {"generator_ema": {"a.b": x}}
 * is generator_ema.a.b.  What is no tensor (steps, versions) is passed over.
 */
#include <stdio.h>

#include "weights/pickle.h"
#include "weights/store.h"
#include "weights/zip.h"

#define PICKLE_MAX ((size_t)16 << 20)
#define VISITS_MAX 1000000      /* dictionaries may be shared, and so be entered again and again */
#define DEPTH_MAX 8

enum { NAME_MAX_BYTES = 400 };

struct reader {
    struct sr_weights *w;
    const char *path;
    struct sr_zip zip;
    const char *folder;         /* "archive/", in the mapping */
    size_t folder_len;
    struct sr_pickle pickle;
    size_t visits;
    sora_error *err;
};

static const struct sr_pickle_value *item(const struct reader *r, const struct sr_pickle_value *tuple, size_t i)
{
    return i < tuple->n ? &r->pickle.v[tuple->item[i]] : NULL;
}

static bool is_kind(const struct sr_pickle_value *v, enum sr_pickle_kind kind)
{
    return v && v->kind == kind;
}

/* ---- One tensor ---- */

/* ('storage', class, key, device, number of elements) -> its bytes in the mapping */
static sora_result find_storage(const struct reader *r, const struct sr_pickle_value *storage, const uint8_t **data,
                                size_t *size, enum sr_type *type, const char *name)
{
    const struct sr_pickle_value *id = &r->pickle.v[storage->ref], *class, *key;
    const struct sr_zip_entry *e;
    char entry[NAME_MAX_BYTES];
    int n;

    class = is_kind(id, SR_PICKLE_TUPLE) ? item(r, id, 1) : NULL;
    key = is_kind(id, SR_PICKLE_TUPLE) ? item(r, id, 2) : NULL;
    if (!is_kind(class, SR_PICKLE_NAME) || class->name != SR_NAME_STORAGE || !is_kind(key, SR_PICKLE_STRING))
        return sr_fail(r->err, SORA_ERR_MODEL, "%s: tensor \"%s\" has a storage of an unknown kind", r->path, name);
    *type = class->type;
    n = snprintf(entry, sizeof entry, "%.*sdata/%.*s", (int)r->folder_len, r->folder, (int)SR_MIN(key->len, (size_t)64),
                 key->text);
    e = n > 0 && (size_t)n < sizeof entry ? sr_zip_find(&r->zip, entry, (size_t)n) : NULL;
    if (!e)
        return sr_fail(r->err, SORA_ERR_MODEL, "%s: the data of tensor \"%s\" (%.200s) is missing", r->path, name,
                       entry);
    if (!e->stored)
        return sr_fail(r->err, SORA_ERR_UNSUPPORTED, "%s: \"%.200s\" is compressed or encrypted; save the checkpoint "
                       "again with torch.save(), which stores it as it is", r->path, entry);
    *data = e->data;
    *size = e->size;
    return SORA_OK;
}

static bool read_sizes(const struct reader *r, const struct sr_pickle_value *tuple, size_t *out, int *n)
{
    if (!is_kind(tuple, SR_PICKLE_TUPLE) || tuple->n > 8) return false;
    for (size_t i = 0; i < tuple->n; i++) {
        const struct sr_pickle_value *v = item(r, tuple, i);
        if (v->kind != SR_PICKLE_INT || v->i < 0) return false;
        out[i] = (size_t)v->i;
    }
    *n = (int)tuple->n;
    return true;
}

/* Elements lie one after the other, the last axis fastest; strides of axes of one element do not matter. */
static bool contiguous(const struct sr_weight *t, const size_t *stride)
{
    size_t want = 1;

    if (!t->n) return true;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->dim[i] != 1 && stride[i] != want) return false;
        want *= t->dim[i];
    }
    return true;
}

/* (storage, offset, size, stride, ...) */
static sora_result add_tensor(struct reader *r, const struct sr_pickle_value *tensor, const char *name)
{
    const struct sr_pickle_value *args = &r->pickle.v[tensor->ref];
    const struct sr_pickle_value *storage = item(r, args, 0), *offset = item(r, args, 1);
    struct sr_weight t = { .name = name };
    size_t stride[8], bytes, size = 0, from;
    const uint8_t *data = NULL;
    char shape[200];
    int strides;
    sora_result result;

    if (!is_kind(storage, SR_PICKLE_STORAGE) || !is_kind(offset, SR_PICKLE_INT) || offset->i < 0 ||
        !read_sizes(r, item(r, args, 2), t.dim, &t.ndim) || !read_sizes(r, item(r, args, 3), stride, &strides) ||
        strides != t.ndim)
        return sr_fail(r->err, SORA_ERR_MODEL, "%s: tensor \"%s\" is described in an unknown way", r->path, name);
    if ((result = find_storage(r, storage, &data, &size, &t.type, name)) < 0) return result;
    sr_shape_text(shape, sizeof shape, t.ndim, t.dim);
    if (!sr_shape_size(t.ndim, t.dim, t.type, &t.n, &bytes) ||
        SR_MUL_OVERFLOWS((size_t)offset->i, sr_type_size(t.type), &from) || from > size || bytes > size - from)
        return sr_fail(r->err, SORA_ERR_MODEL, "%s: tensor \"%s\" has the shape %s, more than its %zu bytes of data",
                       r->path, name, shape, size);
    if (!contiguous(&t, stride))
        return sr_fail(r->err, SORA_ERR_UNSUPPORTED, "%s: tensor \"%s\" %s is not contiguous; call .contiguous() "
                       "before saving it", r->path, name, shape);
    t.data = data + from;
    return sr_store_add(r->w, &t, r->path, r->err);
}

/* ---- Dictionaries ---- */

/* Distributed training and compilation wrap modules and leave their own names in between. */
static void unwrap(char *name)
{
    static const char *const wrappers[] = { "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod." };

    for (size_t i = 0; i < SR_COUNT(wrappers); i++)
        for (char *at; (at = strstr(name, wrappers[i]));)
            memmove(at, at + strlen(wrappers[i]), strlen(at + strlen(wrappers[i])) + 1);
}

static sora_result walk(struct reader *r, const struct sr_pickle_value *v, char *name, size_t len, int depth)
{
    sora_result result = SORA_OK;

    if (r->visits++ == VISITS_MAX || depth > DEPTH_MAX)
        return sr_fail(r->err, SORA_ERR_MODEL, "%s: its dictionaries are nested too deep or too often", r->path);
    if (v->kind == SR_PICKLE_TENSOR) {
        char plain[NAME_MAX_BYTES];
        memcpy(plain, name, len + 1);
        unwrap(plain);
        return add_tensor(r, v, plain);
    }
    if (v->kind != SR_PICKLE_DICT) return SORA_OK;
    for (size_t i = 0; i + 1 < v->n && result == SORA_OK; i += 2) {
        const struct sr_pickle_value *key = item(r, v, i);
        int n;
        if (key->kind == SR_PICKLE_INT)
            n = snprintf(name + len, NAME_MAX_BYTES - len, "%s%lld", len ? "." : "", (long long)key->i);
        else if (key->kind == SR_PICKLE_STRING && key->len < NAME_MAX_BYTES && !memchr(key->text, 0, key->len))
            n = snprintf(name + len, NAME_MAX_BYTES - len, "%s%.*s", len ? "." : "", (int)key->len, key->text);
        else
            n = NAME_MAX_BYTES;
        if (n < 0 || (size_t)n >= NAME_MAX_BYTES - len)
            result = sr_fail(r->err, SORA_ERR_MODEL, "%s: a key of its dictionaries is no usable name", r->path);
        else
            result = walk(r, item(r, v, i + 1), name, len + (size_t)n, depth + 1);
        name[len] = 0;
    }
    return result;
}

/* ---- The archive ---- */

static const struct sr_zip_entry *find_description(struct reader *r)
{
    static const char name[] = "data.pkl";
    const size_t n = sizeof name - 1;

    for (size_t i = 0; i < r->zip.n; i++) {
        const struct sr_zip_entry *e = &r->zip.entry[i];
        if (e->name_len < n || memcmp(e->name + e->name_len - n, name, n)) continue;
        if (e->name_len > n && e->name[e->name_len - n - 1] != '/') continue;
        r->folder = e->name;
        r->folder_len = e->name_len - n;
        return e;
    }
    return NULL;
}

static bool little_endian(const struct reader *r)
{
    char name[NAME_MAX_BYTES];
    const int n = snprintf(name, sizeof name, "%.*sbyteorder", (int)r->folder_len, r->folder);
    const struct sr_zip_entry *e = n > 0 && (size_t)n < sizeof name ? sr_zip_find(&r->zip, name, (size_t)n) : NULL;

    return !e || (e->size == 6 && !memcmp(e->data, "little", 6));
}

sora_result sr_pth_read(struct sr_weights *w, const struct sr_weights_file *file, sora_error *err)
{
    struct reader r = { .w = w, .path = file->path, .err = err };
    const struct sr_zip_entry *description;
    char name[NAME_MAX_BYTES] = "";
    const size_t before = w->n;
    sora_result result;

    if ((result = sr_zip_open(&r.zip, &file->map, file->path, err)) < 0) goto done;
    description = find_description(&r);
    if (!description || r.folder_len > 200) {
        result = sr_fail(err, SORA_ERR_MODEL, "%s: a zip archive without data.pkl; not a PyTorch checkpoint",
                         file->path);
        goto done;
    }
    if (!description->stored || description->size > PICKLE_MAX) {
        result = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: its data.pkl is compressed or larger than %zu bytes",
                         file->path, PICKLE_MAX);
        goto done;
    }
    if (!little_endian(&r)) {
        result = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: it was written on a big-endian machine", file->path);
        goto done;
    }
    if ((result = sr_pickle_read(&r.pickle, description->data, description->size, file->path, err)) < 0) goto done;
    if (is_kind(&r.pickle.v[r.pickle.root], SR_PICKLE_DICT) &&
        (result = walk(&r, &r.pickle.v[r.pickle.root], name, 0, 0)) < 0)
        goto done;
    if (w->n == before) result = sr_fail(err, SORA_ERR_MODEL, "%s: no dictionary of tensors in this checkpoint",
                                         file->path);
done:
    sr_pickle_close(&r.pickle);
    sr_zip_close(&r.zip);
    return result;
}
