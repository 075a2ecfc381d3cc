/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Damaged files, the same ones in each run: every file of tests/fuzz/corpus/NAME as it is, then changed in some places.
 * What is tested must refuse or accept each of them, never crash; sanitizers see the rest.  To run one case alone:
 *
 *     fuzz_NAME FILE ...          the files as they are, from wherever they come
 *     FUZZ_KEEP=/tmp/last fuzz_NAME    the input that is being tried lies in /tmp/last
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

enum { FUZZ_FILES = 64, FUZZ_BYTES = 1 << 18 };

typedef void fuzz_fn(const char *path, const uint8_t *data, size_t n);

struct fuzz {
    uint8_t *file[FUZZ_FILES];
    size_t size[FUZZ_FILES], files;
    uint8_t data[FUZZ_BYTES];
    size_t n;
    uint64_t seed, draw;
};

static uint64_t fuzz_below(struct fuzz *z, uint64_t n)
{
    return n ? sr_rng_u64(z->seed, 1, z->draw++) % n : 0;
}

static void fuzz_load(struct fuzz *z, const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f ? malloc(FUZZ_BYTES) : NULL;

    if (!data || z->files == FUZZ_FILES) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    z->size[z->files] = fread(data, 1, FUZZ_BYTES, f);
    z->file[z->files++] = data;
    fclose(f);
}

static int fuzz_plain_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void fuzz_load_corpus(struct fuzz *z, const char *name)
{
    const char *src = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
    char path[1200];
    struct dirent **list;
    int n;

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", src, name);
    n = scandir(path, &list, fuzz_plain_file, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s/%s", src, name, list[i]->d_name);
        fuzz_load(z, path);
        free(list[i]);
    }
    if (n > 0) free(list);
    if (!z->files) {
        fprintf(stderr, "%s/tests/fuzz/corpus/%s: no files\n", src, name);
        exit(2);
    }
}

static void fuzz_insert(struct fuzz *z, size_t at, const void *p, size_t n)
{
    if (z->n + n > FUZZ_BYTES) return;
    memmove(z->data + at + n, z->data + at, z->n - at);
    memcpy(z->data + at, p, n);
    z->n += n;
}

static void fuzz_remove(struct fuzz *z, size_t at, size_t n)
{
    n = SR_MIN(n, z->n - at);
    memmove(z->data + at, z->data + at + n, z->n - at - n);
    z->n -= n;
}

/* in_place: sizes stay, so that what points into the file still does. */
static void fuzz_change(struct fuzz *z, bool in_place)
{
    static const char *const words[] = { "0", "-1", "1", "4294967296", "9223372036854775807", "18446744073709551615",
                                         "1e308", "null", "{", "[", "]", "}", "\"", "\\u0000", "../", "%s%n", "," };
    static const uint8_t ends[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff, '0', '9', '(', '}', '.' };
    const size_t at = (size_t)fuzz_below(z, z->n + 1), other = (size_t)fuzz_below(z, z->files);
    const char *word = words[fuzz_below(z, SR_COUNT(words))];

    switch (fuzz_below(z, in_place ? 4 : 9)) {
    case 0: if (at < z->n) z->data[at] ^= (uint8_t)(1u << fuzz_below(z, 8)); break;
    case 1: if (at < z->n) z->data[at] = (uint8_t)fuzz_below(z, 256); break;
    case 2: if (at < z->n) z->data[at] = ends[fuzz_below(z, SR_COUNT(ends))]; break;
    case 3:                                                 /* four bytes at once: sizes and offsets */
        for (size_t i = at; i < z->n && i < at + 4; i++) z->data[i] = ends[fuzz_below(z, 6)];
        break;
    case 4: fuzz_insert(z, at, word, strlen(word)); break;
    case 5: {                                               /* a number becomes another */
        size_t i = at;
        while (i < z->n && (z->data[i] < '0' || z->data[i] > '9')) i++;
        while (i < z->n && z->data[i] >= '0' && z->data[i] <= '9') fuzz_remove(z, i, 1);
        fuzz_insert(z, i, word, strlen(word));
        break;
    }
    case 6: {                                               /* a piece of another file */
        const size_t from = (size_t)fuzz_below(z, z->size[other] + 1), left = z->size[other] - from;
        fuzz_insert(z, at, z->file[other] + from, (size_t)fuzz_below(z, SR_MIN(left, (size_t)200) + 1));
        break;
    }
    case 7: if (fuzz_below(z, 4) == 0) z->n = at; break;    /* cut */
    default: fuzz_remove(z, at, (size_t)fuzz_below(z, 16) + 1); break;
    }
}

static void fuzz_try(struct fuzz *z, fuzz_fn *f, const char *path)
{
    FILE *out;

    unlink(path);                           /* a new file: some file systems flush one that is written over */
    out = fopen(path, "wb");
    if (!out || fwrite(z->data, 1, z->n, out) != z->n || fclose(out)) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(2);
    }
    f(path, z->data, z->n);
}

/* rounds: changed copies of each file */
static int fuzz_main(int argc, char **argv, const char *name, size_t rounds, fuzz_fn *f)
{
    struct fuzz *z = calloc(1, sizeof *z);
    char path[64];
    const char *keep = getenv("FUZZ_KEEP");
    size_t tried = 0;

    if (!z) return 2;
    snprintf(path, sizeof path, "/tmp/sora-fuzz-%s-%ld", name, (long)getpid());
    if (!keep) keep = path;
    for (int i = 1; i < argc; i++) fuzz_load(z, argv[i]);
    if (argc < 2) fuzz_load_corpus(z, name);
    for (size_t i = 0; i < z->files; i++) {
        for (size_t k = 0; k <= (argc < 2 ? rounds : 0); k++, tried++) {
            memcpy(z->data, z->file[i], z->n = z->size[i]);
            z->seed = k * FUZZ_FILES + i;
            z->draw = 0;
            for (uint64_t n = k ? 1 + fuzz_below(z, k % 16 + 1) : 0; n; n--) fuzz_change(z, k & 1);
            fuzz_try(z, f, keep);
        }
    }
    if (keep == path) unlink(path);
    printf("%s: %zu inputs from %zu files\n", name, tried, z->files);
    for (size_t i = 0; i < z->files; i++) free(z->file[i]);
    free(z);
    return 0;
}

#endif
