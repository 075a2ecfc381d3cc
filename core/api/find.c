/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where models are.  The only file that reads the environment. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/options.h"

/* ---- The folders, in the order in which they are searched ---- */

#define MAX_FOLDERS 64

struct folders {
    size_t n;
    char *path[MAX_FOLDERS];
};

static void folders_free(struct folders *f)
{
    for (size_t i = 0; i < f->n; i++) sr_free(f->path[i]);
    f->n = 0;
}

/* Each part of a colon separated list, with tail behind it; empty parts mean nothing.  false: no memory. */
static bool add_list(struct folders *f, const char *list, const char *tail)
{
    for (const char *s = list; s && *s; s += *s == ':') {
        const size_t n = strcspn(s, ":");
        if (n && f->n < MAX_FOLDERS) {
            size_t same = 0;
            if (!(f->path[f->n] = sr_asprintf("%.*s%s", (int)SR_MIN(n, (size_t)INT16_MAX), s, tail))) return false;
            while (strcmp(f->path[same], f->path[f->n])) same++;
            if (same < f->n) sr_free(f->path[f->n]);    /* the XDG folders often hold the installed one */
            else f->n++;
        }
        s += n;
    }
    return true;
}

static sora_result folders_get(struct folders *f, sora_error *err)
{
    const char *own = getenv("SORA_MODEL_PATH"), *home = getenv("XDG_DATA_HOME"), *dirs = getenv("XDG_DATA_DIRS");
    const char *user = getenv("HOME");
    bool ok;

    f->n = 0;
    ok = add_list(f, own, "");
    /* the XDG base directory specification: relative paths are invalid and ignored */
    if (home && *home == '/') ok = ok && add_list(f, home, "/sora/models");
    else if (user && *user == '/') ok = ok && add_list(f, user, "/.local/share/sora/models");
    ok = ok && add_list(f, dirs && *dirs ? dirs : "/usr/local/share:/usr/share", "/sora/models");
    ok = ok && add_list(f, SORA_DATADIR, "/models");
    if (ok) return SORA_OK;
    folders_free(f);
    return sr_fail_nomem(err, 256, "model folders");
}

/* ---- Look-up ---- */

static const char *const endings[] = { "", ".safetensors", ".gguf" };

/* folder/name, with an ending or without. */
static sora_result find_in(char **path, const char *folder, const char *name, sora_error *err)
{
    for (size_t i = 0; i < SR_COUNT(endings); i++) {
        struct stat st;
        if (!(*path = sr_asprintf("%s/%s%s", folder, name, endings[i]))) return sr_fail_nomem(err, 256, "model path");
        if (stat(*path, &st) == 0) return SORA_OK;
        sr_free(*path);
        *path = NULL;
    }
    return SORA_OK;
}

static sora_result not_found(const char *model, const struct folders *f, sora_error *err)
{
    char where[600] = "";
    size_t n = 0;

    for (size_t i = 0; i < f->n && n < sizeof where - 1; i++) {
        const int k = snprintf(where + n, sizeof where - n, "%s%s", i ? ", " : "", f->path[i]);
        n += (size_t)SR_MAX(k, 0);
    }
    return sr_fail(err, SORA_ERR_NOT_FOUND, "model: no \"%.100s\" in %s; give its folder or file as a path, or set "
                   "SORA_MODEL_PATH", model, where);
}

sora_result sr_find_model(char **path, const char *model, sora_error *err)
{
    struct folders f;
    struct stat st;
    sora_result r;

    *path = NULL;
    if (strchr(model, '/') || !strcmp(model, ".") || !strcmp(model, "..")) {
        if (stat(model, &st) != 0) return sr_fail_errno(err, errno, model, "cannot open the model");
        return (*path = sr_strdup(model)) ? SORA_OK : sr_fail_nomem(err, strlen(model), "model path");
    }
    if ((r = folders_get(&f, err)) < 0) return r;
    for (size_t i = 0; r == SORA_OK && !*path && i < f.n; i++) r = find_in(path, f.path[i], model, err);
    if (r == SORA_OK && !*path && stat(model, &st) == 0)        /* "-m wan.safetensors" in the folder where it lies */
        if (!(*path = sr_asprintf("./%s", model))) r = sr_fail_nomem(err, strlen(model), "model path");
    if (r == SORA_OK && !*path) r = not_found(model, &f, err);
    folders_free(&f);
    return r;
}

/* ---- The list of what is there ---- */

static bool has_ending(const char *name, const char *ending)
{
    const size_t n = strlen(name), e = strlen(ending);

    return n > e && !strcmp(name + n - e, ending);
}

/* A folder with a config of ours or of Diffusers, or a file with weights.  *n: length of its name without the ending. */
static bool is_model(const char *path, const char *name, size_t *n)
{
    static const char *const marks[] = { "sora.json", "model_index.json" };
    struct stat st;
    bool yes = false;

    *n = strlen(name);
    if (name[0] == '.' || stat(path, &st) != 0) return false;
    if (S_ISREG(st.st_mode))
        for (size_t i = 1; i < SR_COUNT(endings); i++)
            if (has_ending(name, endings[i])) {
                *n -= strlen(endings[i]);
                return true;
            }
    for (size_t i = 0; S_ISDIR(st.st_mode) && !yes && i < SR_COUNT(marks); i++) {
        char *mark = sr_asprintf("%s/%s", path, marks[i]);
        yes = mark && access(mark, R_OK) == 0;
        sr_free(mark);
    }
    return yes;
}

struct models {
    size_t n;
    struct { char *name, *path; } *list;
};

static sora_result add_model(struct models *m, const char *name, size_t n, char *path, sora_error *err)
{
    void *list;

    for (size_t i = 0; i < m->n; i++)
        if (strlen(m->list[i].name) == n && !memcmp(m->list[i].name, name, n)) {    /* an earlier folder hides it */
            sr_free(path);
            return SORA_OK;
        }
    if (!(list = sr_realloc(m->list, m->n + 1, sizeof *m->list))) goto nomem;
    m->list = list;
    if (!(m->list[m->n].name = sr_strndup(name, n))) goto nomem;
    m->list[m->n++].path = path;
    return SORA_OK;
nomem:
    sr_free(path);
    return sr_fail_nomem(err, sizeof *m->list, "model list");
}

static sora_result list_folder(struct models *m, const char *folder, sora_error *err)
{
    DIR *d = opendir(folder);
    sora_result r = SORA_OK;
    struct dirent *e;
    size_t n;

    if (!d) return SORA_OK;                     /* most of the folders do not exist: that is no error */
    while (r == SORA_OK && (e = readdir(d))) {
        char *path = sr_asprintf("%s/%s", folder, e->d_name);
        if (!path) r = sr_fail_nomem(err, 256, "model list");
        else if (is_model(path, e->d_name, &n)) r = add_model(m, e->d_name, n, path, err);
        else sr_free(path);
    }
    closedir(d);
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);        /* name is the first member */
}

sora_result sora_models(int (*fn)(void *user, const char *name, const char *path), void *user, sora_error *err)
{
    struct models m = { 0 };
    struct folders f;
    sora_result r;

    if ((r = folders_get(&f, err)) < 0) return r;
    for (size_t i = 0; r == SORA_OK && i < f.n; i++) r = list_folder(&m, f.path[i], err);
    if (m.n) qsort(m.list, m.n, sizeof *m.list, by_name);
    for (size_t i = 0; r == SORA_OK && i < m.n; i++)
        if (fn(user, m.list[i].name, m.list[i].path)) break;
    for (size_t i = 0; i < m.n; i++) {
        sr_free(m.list[i].name);
        sr_free(m.list[i].path);
    }
    sr_free(m.list);
    folders_free(&f);
    return r;
}
