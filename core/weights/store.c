/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening files by content, folders and shards by their names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "weights/store.h"

#define INDEX_MAX ((size_t)64 << 20)
#define SHARDS_MAX 2000

/* ---- The list of tensors ---- */

sora_result sr_store_map(struct sr_weights *w, struct sr_weights_file **file, const char *path, sora_error *err)
{
    struct sr_weights_file *f = sr_realloc(w->files, w->nfiles + 1, sizeof *f);
    sora_result r;

    if (!f) return sr_fail_nomem(err, (w->nfiles + 1) * sizeof *f, path);
    w->files = f;
    f += w->nfiles;
    memset(f, 0, sizeof *f);
    if (!(f->path = sr_strdup(path))) return sr_fail_nomem(err, strlen(path) + 1, path);
    if ((r = sr_map_file(&f->map, path, err)) < 0) {
        sr_free(f->path);
        return r;
    }
    w->nfiles++;
    *file = f;
    return SORA_OK;
}

sora_result sr_store_add(struct sr_weights *w, const struct sr_weight *t, const char *path, sora_error *err)
{
    char *name = sr_strdup(t->name);

    if (name && w->n == w->room) {
        const size_t room = w->room ? 2 * w->room : 256;
        struct sr_weight *list = sr_realloc(w->list, room, sizeof *list);
        if (list) {
            w->list = list;
            w->room = room;
        } else {
            sr_free(name);
            name = NULL;
        }
    }
    if (!name) return sr_fail_nomem(err, (w->n + 1) * sizeof *t, path);
    w->list[w->n] = *t;
    w->list[w->n++].name = name;
    return SORA_OK;
}

bool sr_shape_size(int ndim, const size_t *dim, enum sr_type type, size_t *n, size_t *bytes)
{
    *n = 1;
    for (int i = 0; i < ndim; i++)
        if (SR_MUL_OVERFLOWS(*n, dim[i], n)) return false;
    return !SR_MUL_OVERFLOWS(*n, sr_type_size(type), bytes);
}

void sr_shape_text(char *out, size_t size, int ndim, const size_t *dim)
{
    size_t at = (size_t)snprintf(out, size, "[");

    for (int i = 0; i < ndim && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%zu", i ? ", " : "", dim[i]);
    if (at < size) snprintf(out + at, size - at, "]");
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct sr_weight *)x)->name, ((const struct sr_weight *)y)->name);
}

static sora_result sort_names(struct sr_weights *w, sora_error *err)
{
    if (w->n) qsort(w->list, w->n, sizeof *w->list, by_name);
    for (size_t i = 1; i < w->n; i++)
        if (!strcmp(w->list[i - 1].name, w->list[i].name))
            return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" is there twice", w->path, w->list[i].name);
    return SORA_OK;
}

/* ---- Files ---- */

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);

    return n >= m && !strcmp(s + n - m, end);
}

static sora_result open_file(struct sr_weights *w, const char *path, sora_error *err)
{
    struct sr_weights_file *f;
    sora_result r;

    if ((r = sr_store_map(w, &f, path, err)) < 0) return r;
    if (f->map.size >= 4 && !memcmp(f->map.data, "GGUF", 4))
        return sr_fail(err, SORA_ERR_UNSUPPORTED,
                       "%s: GGUF files are not read here; use the safetensors file of the model", path);
    if (f->map.size >= 4 && !memcmp(f->map.data, "PK\3\4", 4)) return sr_pth_read(w, f, err);
    if (f->map.size >= 2 && f->map.data[0] == 0x80 && f->map.data[1] <= 5 && f->map.data[8 % f->map.size] != '{')
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: a PyTorch file from before version 1.6; save it again with a "
                       "newer torch.save(), or as safetensors", path);
    return sr_safetensors_read(w, f, err);
}

/* A shard stands beside its index: a name that leads elsewhere is refused. */
static bool shard_name_ok(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static int by_string(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The distinct file names of a weight_map, sorted; they stay the property of map. */
static sora_result shard_names(const char ***names, size_t *count, json_t *map, const char *path, sora_error *err)
{
    const size_t n = json_object_size(map);
    const char **list = sr_calloc(n, sizeof *list), *tensor, *file;
    json_t *value;
    size_t i = 0, kept = 0;

    *names = list;
    if (!list) return sr_fail_nomem(err, n * sizeof *list, path);
    json_object_foreach(map, tensor, value) {
        file = json_string_value(value);
        if (!file || !shard_name_ok(file))
            return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" is in \"%s\", which is not a plain file name", path, tensor,
                           file ? file : "?");
        list[i++] = file;
    }
    if (n) qsort(list, n, sizeof *list, by_string);
    for (i = 0; i < n; i++)
        if (!kept || strcmp(list[kept - 1], list[i])) list[kept++] = list[i];
    *count = kept;
    return SORA_OK;
}

/* Every tensor of the index must be there, or a shard of another version stands in the folder. */
static sora_result check_index(const struct sr_weights *w, json_t *map, const char *path, sora_error *err)
{
    const char *tensor;
    json_t *value;

    json_object_foreach(map, tensor, value)
        if (!bsearch(&(struct sr_weight){ .name = tensor }, w->list, w->n, sizeof *w->list, by_name))
            return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" is not in \"%s\", where the index has it", path,
                           tensor, json_string_value(value));
    return SORA_OK;
}

static sora_result open_index(struct sr_weights *w, const char *path, sora_error *err)
{
    const char *slash = strrchr(path, '/'), **names = NULL;
    const int folder = slash ? (int)(slash - path) + 1 : 0;
    json_t *root = NULL, *map;
    json_error_t je;
    char *text = NULL;
    size_t size, count = 0;
    sora_result r;

    if ((r = sr_read_file(&text, &size, INDEX_MAX, path, err)) < 0) goto done;
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    map = json_object_get(root, "weight_map");
    if (!root) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: line %d: %s", path, je.line, je.text);
        goto done;
    }
    if (!json_is_object(map) || !json_object_size(map)) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: no weight_map; this is not an index of shards", path);
        goto done;
    }
    if ((r = shard_names(&names, &count, map, path, err)) < 0) goto done;
    if (count > SHARDS_MAX) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %zu shards, at most %d are read", path, count, SHARDS_MAX);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        char *shard = sr_asprintf("%.*s%s", folder, path, names[i]);
        if (!shard) r = sr_fail_nomem(err, strlen(path) + strlen(names[i]), path);
        else r = open_file(w, shard, err);
        sr_free(shard);
        if (r < 0) goto done;
    }
    if ((r = sort_names(w, err)) < 0) goto done;
    r = check_index(w, map, path, err);
done:
    sr_free(names);
    json_decref(root);
    sr_free(text);
    return r;
}

/* The only file of the folder that ends so; SORA_ERR_NOT_FOUND: none, SORA_ERR_MODEL: several.  No message. */
static sora_result only_file(char **path, const char *folder, const char *end)
{
    DIR *d = opendir(folder);
    sora_result r = SORA_ERR_NOT_FOUND;

    *path = NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !ends_with(e->d_name, end)) continue;
        r = *path ? SORA_ERR_MODEL : SORA_OK;
        if (r < 0) break;
        if (!(*path = sr_asprintf("%s/%s", folder, e->d_name))) {
            r = SORA_ERR_NOMEM;
            break;
        }
    }
    if (d) closedir(d);
    if (r < 0) {
        sr_free(*path);
        *path = NULL;
    }
    return r;
}

static sora_result open_folder(struct sr_weights *w, const char *folder, sora_error *err)
{
    static const char *const names[] = {
        "diffusion_pytorch_model.safetensors.index.json", "diffusion_pytorch_model.safetensors",
        "model.safetensors.index.json", "model.safetensors",
    };
    static const char *const ends[] = { ".safetensors", ".pth", ".pt" };
    struct stat st;
    char *path = NULL;
    sora_result r = SORA_ERR_NOT_FOUND;

    for (size_t i = 0; i < SR_COUNT(names); i++) {
        if (!(path = sr_asprintf("%s/%s", folder, names[i]))) return sr_fail_nomem(err, strlen(folder), folder);
        if (stat(path, &st) == 0) {
            r = ends_with(path, ".json") ? open_index(w, path, err) : open_file(w, path, err);
            sr_free(path);
            return r;
        }
        if (errno != ENOENT) {                  /* the folder may not be read */
            r = sr_fail_errno(err, errno, path, "cannot open");
            sr_free(path);
            return r;
        }
        sr_free(path);
    }
    for (size_t i = 0; i < SR_COUNT(ends) && r == SORA_ERR_NOT_FOUND; i++) r = only_file(&path, folder, ends[i]);
    if (r == SORA_OK) r = open_file(w, path, err);
    else if (r == SORA_ERR_NOMEM) sr_fail_nomem(err, strlen(folder), folder);
    else if (r == SORA_ERR_MODEL)
        sr_fail(err, r, "%s: several weight files and none of the usual names (%s, %s): name one of them", folder,
                names[1], names[3]);
    else
        sr_fail(err, r, "%s: no weights in this folder (%s, %s, or one *.safetensors)", folder, names[1], names[3]);
    sr_free(path);
    return r;
}

sora_result sr_weights_open(struct sr_weights **out, const char *path, sora_error *err)
{
    struct sr_weights *w = sr_zalloc(sizeof *w);
    struct stat st;
    sora_result r;

    *out = NULL;
    if (!w || !(w->path = sr_strdup(path))) {
        r = sr_fail_nomem(err, sizeof *w, path);
        goto done;
    }
    if (stat(path, &st) < 0) {
        r = sr_fail_errno(err, errno, path, "cannot open");
        goto done;
    }
    if (S_ISDIR(st.st_mode)) r = open_folder(w, path, err);
    else r = ends_with(path, ".json") ? open_index(w, path, err) : open_file(w, path, err);
    if (r < 0 || (r = sort_names(w, err)) < 0) goto done;
    *out = w;
    w = NULL;
done:
    sr_weights_close(&w);
    return r;
}

sora_result sr_weights_open_random(struct sr_weights **out, uint64_t seed, sora_error *err)
{
    struct sr_weights *w = sr_zalloc(sizeof *w);

    *out = NULL;
    if (!w || !(w->path = sr_strdup("random weights"))) {
        sr_weights_close(&w);
        return sr_fail_nomem(err, sizeof *w, "random weights");
    }
    w->random = true;
    w->seed = seed;
    *out = w;
    return SORA_OK;
}

void sr_weights_close(struct sr_weights **out)
{
    struct sr_weights *w = *out;

    *out = NULL;
    if (!w) return;
    for (size_t i = 0; i < w->n; i++) sr_free((char *)w->list[i].name);
    for (size_t i = 0; i < w->nfiles; i++) {
        sr_map_close(&w->files[i].map);
        sr_free(w->files[i].path);
    }
    json_decref(w->meta);
    sr_free(w->files);
    sr_free(w->list);
    sr_free(w->path);
    sr_free(w);
}
