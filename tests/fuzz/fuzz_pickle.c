/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pickle of a checkpoint, damaged, in an archive that is whole: past the checks of the zip reader. */
#include "try_weights.h"

struct out {
    uint8_t *data;
    size_t n;
};

static void put(struct out *o, const void *p, size_t n)
{
    memcpy(o->data + o->n, p, n);
    o->n += n;
}

static void put_int(struct out *o, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) o->data[o->n++] = (uint8_t)(v >> 8 * i);
}

/* A stored entry: its local header here, its line of the table of contents in `table`. */
static void add(struct out *o, struct out *table, const char *name, const void *p, size_t n)
{
    const size_t at = o->n;

    put(o, "PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
    put(table, "PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    for (int twice = 0; twice < 2; twice++) {
        put_int(o, n, 4);
        put_int(table, n, 4);
    }
    put_int(o, strlen(name), 4);
    put_int(table, strlen(name), 4);
    put_int(table, 0, 8);               /* no comment, first disk, no attributes */
    put_int(table, 0, 2);
    put_int(table, at, 4);
    put(o, name, strlen(name));
    put(table, name, strlen(name));
    put(o, p, n);
}

static void try_pickle(const char *path, const uint8_t *data, size_t n)
{
    static uint8_t all[FUZZ_BYTES + 8192], lines[4096];
    static const uint8_t numbers[96];
    struct out o = { all, 0 }, table = { lines, 0 };
    FILE *f;

    add(&o, &table, "a/data.pkl", data, n);
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/data/%d", i);
        add(&o, &table, name, numbers, sizeof numbers);
    }
    const size_t at = o.n;
    put(&o, lines, table.n);
    put(&o, "PK\5\6\0\0\0\0", 8);
    put_int(&o, 13, 2);
    put_int(&o, 13, 2);
    put_int(&o, table.n, 4);
    put_int(&o, at, 4);
    put_int(&o, 0, 2);
    unlink(path);
    f = fopen(path, "wb");
    if (!f || fwrite(all, 1, o.n, f) != o.n || fclose(f)) exit(2);
    try_weights(path, all, o.n);
}

int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, "pickle", 5000, try_pickle);
}
