/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of contents of a zip archive in a mapping, with the 64-bit extensions that PyTorch always writes.  Entries
 * are used where they lie, so only stored ones are of use; that is what torch.save() makes.
 */
#include <stdlib.h>

#include "weights/zip.h"

enum {
    END_SIZE = 22, END64_LOCATOR_SIZE = 20, END64_SIZE = 56, CENTRAL_SIZE = 46, LOCAL_SIZE = 30,
    COMMENT_MAX = 65535
};

static uint32_t rl16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t rl32(const uint8_t *p)
{
    return rl16(p) | rl16(p + 2) << 16;
}

static bool is(const uint8_t *p, const char *signature)
{
    return !memcmp(p, signature, 4);
}

/* n bytes at `at` lie inside the file */
static bool inside(const struct sr_map *m, uint64_t at, uint64_t n)
{
    return at <= m->size && n <= m->size - at;
}

/* Where the central directory is and how many entries it has. */
static bool find_directory(const struct sr_map *m, uint64_t *at, uint64_t *size, uint64_t *count)
{
    const uint8_t *p;
    size_t end;

    if (m->size < END_SIZE) return false;
    for (end = m->size - END_SIZE;; end--) {            /* behind it comes a comment, hardly ever used */
        if (is(m->data + end, "PK\5\6") && rl16(m->data + end + 20) == m->size - end - END_SIZE) break;
        if (end == 0 || m->size - END_SIZE - end >= COMMENT_MAX) return false;
    }
    p = m->data + end;
    *count = rl16(p + 10);
    *size = rl32(p + 12);
    *at = rl32(p + 16);
    if (end >= END64_LOCATOR_SIZE && is(p - END64_LOCATOR_SIZE, "PK\6\7")) {
        const uint64_t where = sr_rl64(p - END64_LOCATOR_SIZE + 8);
        if (!inside(m, where, END64_SIZE) || !is(m->data + where, "PK\6\6")) return false;
        *count = sr_rl64(m->data + where + 32);
        *size = sr_rl64(m->data + where + 40);
        *at = sr_rl64(m->data + where + 48);
    }
    return inside(m, *at, *size) && *count <= *size / CENTRAL_SIZE;
}

/* Sizes and offset that do not fit 32 bits stand in extra field 1, those and only those, in this order. */
static bool read_extra(const uint8_t *p, size_t n, uint64_t *size, uint64_t *packed, uint64_t *local)
{
    uint64_t *const wide[] = { size, packed, local };

    while (n >= 4) {
        const size_t id = rl16(p), len = rl16(p + 2);
        size_t at = 4;
        if (len > n - 4) return false;
        for (size_t i = 0; id == 1 && i < SR_COUNT(wide); i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (at + 8 > 4 + len) return false;
            *wide[i] = sr_rl64(p + at);
            at += 8;
        }
        p += 4 + len;
        n -= 4 + len;
    }
    return true;
}

/* One entry of the directory, at p with `left` bytes; *used: its length. */
static bool read_entry(struct sr_zip_entry *e, const struct sr_map *m, const uint8_t *p, size_t left, size_t *used)
{
    uint64_t size, packed, local, data;
    size_t name, extra;

    if (left < CENTRAL_SIZE || !is(p, "PK\1\2")) return false;
    name = rl16(p + 28);
    extra = rl16(p + 30);
    *used = CENTRAL_SIZE + name + extra + rl16(p + 32);
    if (*used > left) return false;
    packed = rl32(p + 20);
    size = rl32(p + 24);
    local = rl32(p + 42);
    if (!read_extra(p + CENTRAL_SIZE + name, extra, &size, &packed, &local)) return false;
    e->name = (const char *)p + CENTRAL_SIZE;
    e->name_len = name;
    e->stored = rl16(p + 10) == 0 && !(rl16(p + 8) & 1) && size == packed;      /* neither compressed nor encrypted */
    if (!inside(m, local, LOCAL_SIZE) || !is(m->data + local, "PK\3\4")) return false;
    data = local + LOCAL_SIZE + rl16(m->data + local + 26) + rl16(m->data + local + 28);
    if (!inside(m, data, packed)) return false;
    e->data = m->data + data;
    e->size = (size_t)(e->stored ? size : packed);
    return true;
}

static int by_name(const void *x, const void *y)
{
    const struct sr_zip_entry *a = x, *b = y;
    const int d = memcmp(a->name, b->name, SR_MIN(a->name_len, b->name_len));

    return d ? d : a->name_len < b->name_len ? -1 : a->name_len > b->name_len;
}

sora_result sr_zip_open(struct sr_zip *z, const struct sr_map *m, const char *path, sora_error *err)
{
    uint64_t at, size, count;

    memset(z, 0, sizeof *z);
    if (!find_directory(m, &at, &size, &count))
        return sr_fail(err, SORA_ERR_MODEL, "%s: the table of contents of the archive is missing (%zu bytes); the "
                       "download was probably cut short: fetch it again", path, m->size);
    if (!(z->entry = sr_calloc((size_t)count, sizeof *z->entry)))
        return sr_fail_nomem(err, (size_t)count * sizeof *z->entry, path);
    for (; z->n < count; z->n++) {
        size_t used;
        if (!read_entry(&z->entry[z->n], m, m->data + at, (size_t)size, &used)) {
            const size_t n = z->n;
            sr_zip_close(z);
            return sr_fail(err, SORA_ERR_MODEL, "%s: entry %zu of the archive is damaged", path, n);
        }
        at += used;
        size -= used;
    }
    if (z->n) qsort(z->entry, z->n, sizeof *z->entry, by_name);
    return SORA_OK;
}

void sr_zip_close(struct sr_zip *z)
{
    sr_free(z->entry);
    memset(z, 0, sizeof *z);
}

const struct sr_zip_entry *sr_zip_find(const struct sr_zip *z, const char *name, size_t len)
{
    const struct sr_zip_entry key = { .name = name, .name_len = len };

    return z->n ? bsearch(&key, z->entry, z->n, sizeof key, by_name) : NULL;
}
