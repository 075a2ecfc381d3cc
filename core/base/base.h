/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every file needs: sizes, checked arithmetic, little-endian reads, errors, memory. */
#ifndef SR_BASE_H
#define SR_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sora/sora.h>

#define SR_COUNT(a) (sizeof(a) / sizeof *(a))
#define SR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SR_MAX(a, b) ((a) > (b) ? (a) : (b))
#define SR_CLAMP(x, lo, hi) SR_MIN(SR_MAX(x, lo), hi)
#define SR_CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
#define SR_ROUND_UP(a, b) (SR_CEIL_DIV(a, b) * (b))

/* True on overflow, *r then undefined. */
#define SR_MUL_OVERFLOWS(a, b, r) __builtin_mul_overflow(a, b, r)
#define SR_ADD_OVERFLOWS(a, b, r) __builtin_add_overflow(a, b, r)

static inline uint64_t sr_rl64(const void *p)
{
    const uint8_t *b = p;
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | b[i];
    return v;
}

static inline float sr_bf16_to_f32(uint16_t v)
{
    const uint32_t u = (uint32_t)v << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Round to nearest even; NaN stays NaN. */
static inline uint16_t sr_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

float sr_f16_to_f32(uint16_t v);

/* ---- error.c ---- */

/* Keep the first failure in err (NULL: dropped) and return code. */
sora_result sr_fail(sora_error *err, sora_result code, const char *fmt, ...) SORA_PRINTF(3, 4);
sora_result sr_fail_nomem(sora_error *err, size_t bytes, const char *what);
/* errno -> NOT_FOUND, ACCESS or IO: "path: what: strerror" */
sora_result sr_fail_errno(sora_error *err, int errnum, const char *path, const char *what);

/* ---- log.c ---- */

/* Where lines go: a copy of the session's callback.  All zero: nowhere. */
struct sr_log {
    sora_log_fn *fn;
    void *user;
};
void sr_log(const struct sr_log *log, sora_log_level level, const char *fmt, ...) SORA_PRINTF(3, 4);

/* ---- mem.c: every allocation of ours, so that a test can make the n-th fail ---- */

void *sr_malloc(size_t n);
void *sr_zalloc(size_t n);
void *sr_calloc(size_t count, size_t n);                /* NULL on overflow too */
void *sr_realloc(void *p, size_t count, size_t n);      /* p stays valid on failure */
void *sr_aligned(size_t n);                             /* 64-byte aligned, huge pages advised from 16 MiB; sr_free() */
void  sr_free(void *p);
void  sr_free_pages(void *p, size_t n);                 /* sr_aligned(n)'s, whose pages the system gets at once */
char *sr_strdup(const char *s);
char *sr_strndup(const char *s, size_t n);
char *sr_asprintf(const char *fmt, ...) SORA_PRINTF(1, 2);
/* The n-th allocation from now returns NULL, and each one after it; 0: none.  Returns how many were made since. */
unsigned long sr_mem_fail_after(unsigned long n);

/* ---- map.c ---- */

struct sr_map {
    const uint8_t *data;
    size_t size;
    uint64_t id;                /* of the file and of its last change: equal ids, equal bytes; never 0 */
};
sora_result sr_map_file(struct sr_map *m, const char *path, sora_error *err);   /* read-only, whole */
void sr_map_forget(const struct sr_map *m, size_t offset, size_t size);         /* give the pages back to the kernel */
void sr_map_close(struct sr_map *m);
/* Whole file, at most max bytes, with a NUL behind it; free with sr_free(). */
sora_result sr_read_file(char **text, size_t *size, size_t max, const char *path, sora_error *err);

/* ---- cpu.c ---- */

enum {
    SR_CPU_AVX2 = 1 << 0,           /* with FMA and F16C */
    SR_CPU_AVX512 = 1 << 1,         /* F, BW, VL, DQ */
    SR_CPU_AVX512_BF16 = 1 << 2,
    SR_CPU_AVX512_VNNI = 1 << 3,
    SR_CPU_AMX_BF16 = 1 << 4
};
unsigned sr_cpu_flags(void);        /* what CPU and kernel both allow */
int  sr_cpu_cores(void);            /* physical cores in this process's affinity mask, at least 1 */
void sr_cpu_name(char *out, size_t size);

/* ---- thread.c ---- */

/* Set once, from any thread, and looked at inside long work. */
struct sr_cancel {
    atomic_bool set;
};
static inline bool sr_cancelled(const struct sr_cancel *c)
{
    return c && atomic_load_explicit(&c->set, memory_order_relaxed);
}

double sr_now(void);                /* seconds, monotonic */

/* ---- rng.c: Philox-4x32-10, counter based: value i of stream (seed, stream) whatever ran before ---- */

/* Normal numbers first .. first + n - 1 of the stream.  first a multiple of 4. */
void sr_rng_normal(float *out, size_t n, uint64_t seed, uint64_t stream, uint64_t first);
uint64_t sr_rng_u64(uint64_t seed, uint64_t stream, uint64_t index);
uint64_t sr_rng_draw_seed(void);    /* 63 random bits from the kernel */

#endif
