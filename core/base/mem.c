/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/base.h"

/* The test hook is the one mutable global of the library: allocation failures cannot be asked for per session. */
static atomic_ulong made, fail_from;

unsigned long sr_mem_fail_after(unsigned long n)
{
    const unsigned long before = atomic_exchange(&made, 0);

    atomic_store(&fail_from, n);
    return before;
}

static bool must_fail(void)
{
    const unsigned long nth = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
    const unsigned long from = atomic_load_explicit(&fail_from, memory_order_relaxed);

    return from && nth >= from;
}

void *sr_malloc(size_t n)
{
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *sr_zalloc(size_t n)
{
    return must_fail() ? NULL : calloc(1, n ? n : 1);
}

void *sr_calloc(size_t count, size_t n)
{
    return must_fail() ? NULL : calloc(count ? count : 1, n ? n : 1);
}

void *sr_realloc(void *p, size_t count, size_t n)
{
    size_t bytes;

    if (must_fail() || SR_MUL_OVERFLOWS(count, n, &bytes)) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *sr_aligned(size_t n)
{
    const size_t huge = (size_t)2 << 20, align = n >= 8 * huge ? huge : 64;      /* at most an eighth is wasted */
    void *p = NULL;

    if (n > SIZE_MAX - align || must_fail()) return NULL;
    if (posix_memalign(&p, align, SR_ROUND_UP(SR_MAX(n, 1), align))) return NULL;
    if (align == huge) madvise(p, SR_ROUND_UP(n, align), MADV_HUGEPAGE);    /* fewer TLB misses; refusal is fine */
    return p;
}

void sr_free(void *p)
{
    free(p);
}

/* An allocator keeps what lies amid other blocks: megabytes of packed weights would stay until the process ends. */
void sr_free_pages(void *p, size_t n)
{
    const uintptr_t page = 4096, from = SR_ROUND_UP((uintptr_t)p, page), to = ((uintptr_t)p + n) / page * page;

    if (p && from < to) madvise((char *)p + (from - (uintptr_t)p), to - from, MADV_DONTNEED);
    free(p);
}

void sora_free(void *p)
{
    free(p);
}

char *sr_strdup(const char *s)
{
    return s ? sr_strndup(s, strlen(s)) : NULL;
}

char *sr_strndup(const char *s, size_t n)
{
    char *p = sr_malloc(n + 1);

    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *sr_asprintf(const char *fmt, ...)
{
    va_list ap, again;
    char *p = NULL;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && (p = sr_malloc((size_t)n + 1))) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}
