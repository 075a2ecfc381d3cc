/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static sora_result open_regular(int *fd, struct stat *st, const char *path, sora_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);        /* a FIFO in place of a file must not block us */
    if (*fd < 0) return sr_fail_errno(err, errno, path, "cannot open");
    if (fstat(*fd, st) < 0) {
        const int e = errno;
        close(*fd);
        return sr_fail_errno(err, e, path, "cannot read its size");
    }
    if (!S_ISREG(st->st_mode)) {
        close(*fd);
        return sr_fail(err, SORA_ERR_MODEL, "%s: not a regular file", path);
    }
    return SORA_OK;
}

static uint64_t file_id(const struct stat *st)
{
    const uint64_t changed = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
    const uint64_t a = sr_rng_u64((uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size);

    return sr_rng_u64(a, changed, 0) | 1;
}

sora_result sr_map_file(struct sr_map *m, const char *path, sora_error *err)
{
    struct stat st;
    sora_result r;
    int fd, e;
    void *p;

    m->data = NULL;
    m->size = 0;
    m->id = 0;
    if ((r = open_regular(&fd, &st, path, err)) < 0) return r;
    if (st.st_size == 0) {
        close(fd);
        return sr_fail(err, SORA_ERR_MODEL, "%s: the file is empty", path);
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    e = errno;
    close(fd);
    if (p == MAP_FAILED) return sr_fail_errno(err, e, path, "cannot map");
    m->data = p;
    m->size = (size_t)st.st_size;
    m->id = file_id(&st);
    return SORA_OK;
}

void sr_map_forget(const struct sr_map *m, size_t offset, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t from = SR_ROUND_UP(offset, page);
    const size_t to = SR_MIN(offset + size, m->size) / page * page;

    if (m->data && from < to) madvise((void *)(m->data + from), to - from, MADV_DONTNEED);
}

void sr_map_close(struct sr_map *m)
{
    if (m->data) munmap((void *)m->data, m->size);
    m->data = NULL;
    m->size = 0;
}

sora_result sr_read_file(char **text, size_t *size, size_t max, const char *path, sora_error *err)
{
    struct stat st;
    sora_result r;
    size_t n = 0;
    int fd;

    *text = NULL;
    if ((r = open_regular(&fd, &st, path, err)) < 0) return r;
    if ((uintmax_t)st.st_size > max) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %jd bytes, more than the %zu expected of such a file", path,
                    (intmax_t)st.st_size, max);
        goto done;
    }
    if (!(*text = sr_malloc((size_t)st.st_size + 1))) {
        r = sr_fail_nomem(err, (size_t)st.st_size + 1, path);
        goto done;
    }
    while (n < (size_t)st.st_size) {
        const ssize_t got = read(fd, *text + n, (size_t)st.st_size - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            r = sr_fail_errno(err, errno, path, "cannot read");
            goto done;
        }
        if (got == 0) break;
        n += (size_t)got;
    }
    (*text)[n] = 0;
    if (size) *size = n;
done:
    if (r < 0) {
        sr_free(*text);
        *text = NULL;
    }
    close(fd);
    return r;
}
