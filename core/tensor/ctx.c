/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The compute context: what the CPU may be asked for, and the scratch arena that planning measures. */
#include "kernels/kernels.h"
#include "tensor/dnnl.h"
#include "tensor/omp_wait.h"
#include "tensor/tensor.h"

enum { ALIGN = 64 };

/* While planning there is no arena to keep the tensors' own structs in. */
struct sr_plan_headers {
    struct sr_plan_headers *next;
    size_t used;
    struct sr_tensor t[250];
};

static void free_plan_headers(struct sr_ctx *c)
{
    while (c->plan_headers) {
        struct sr_plan_headers *next = c->plan_headers->next;
        sr_free(c->plan_headers);
        c->plan_headers = next;
    }
}

static sora_result check_precision(enum sr_type act, unsigned cpu, sora_error *err)
{
    if (act == SR_F32) return SORA_OK;
    if (act != SR_BF16)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "precision %s: activations are F32 or BF16", sr_type_name(act));
    if (cpu & (SR_CPU_AVX512_BF16 | SR_CPU_AMX_BF16)) return SORA_OK;
    return sr_fail(err, SORA_ERR_UNSUPPORTED, "precision bf16: this CPU has neither AVX512-BF16 nor AMX and would "
                   "only emulate it; use precision f32");
}

sora_result sr_ctx_open(struct sr_ctx **out, enum sr_type act, int threads, unsigned cpu, const struct sr_log *log,
                        const struct sr_cancel *cancel, sora_error *err)
{
    struct sr_ctx *c = NULL;
    struct sr_kernels *kern = NULL;
    sora_result r;

    *out = NULL;
    cpu &= sr_cpu_flags();
    if ((r = check_precision(act, cpu, err)) < 0) goto done;
    c = sr_zalloc(sizeof *c);
    kern = sr_zalloc(sizeof *kern);
    if (!c || !kern) {
        r = sr_fail_nomem(err, sizeof *c + sizeof *kern, "compute context");
        goto done;
    }
    if ((r = sr_dnnl_open(&c->dnnl, cancel, err)) < 0) goto done;
    if (log) c->log = *log;
    c->cancel = cancel;
    c->cpu = cpu;
    c->threads = threads > 0 ? threads : sr_cpu_cores();
    c->act = act;
    sr_kernels_init(kern, cpu);
    c->kern = kern;
    if (c->threads > 1) sr_omp_wait_get();
    *out = c;
    c = NULL;
    kern = NULL;
done:
    sr_free(c);
    sr_free(kern);
    return r;
}

void sr_ctx_close(struct sr_ctx **c)
{
    if (!*c) return;
    if ((*c)->threads > 1) sr_omp_wait_put();
    free_plan_headers(*c);
    sr_dnnl_close(&(*c)->dnnl);
    sr_free((*c)->arena);
    sr_free((void *)(*c)->kern);
    sr_free(*c);
    *c = NULL;
}

void sr_ctx_plan(struct sr_ctx *c)
{
    if (c->plan) return;
    c->plan = true;
    c->plan_mark = c->arena_used;
}

sora_result sr_ctx_commit(struct sr_ctx *c, sora_error *err)
{
    if (c->plan) {
        c->plan = false;
        c->arena_used = c->plan_mark;
        free_plan_headers(c);
    }
    if (c->err.code) return sr_fail(err, c->err.code, "%s", c->err.text);
    if (c->arena_peak <= c->arena_size) return SORA_OK;
    if (c->arena_used)
        return sr_fail(err, SORA_ERR_INTERNAL, "scratch memory: asked to grow from %zu to %zu bytes while %zu are in "
                       "use", c->arena_size, c->arena_peak, c->arena_used);
    sr_free(c->arena);              /* first: both together may not fit */
    c->arena_size = 0;
    if (!(c->arena = sr_aligned(c->arena_peak))) return sr_fail_nomem(err, c->arena_peak, "scratch memory");
    c->arena_size = c->arena_peak;
    return SORA_OK;
}

bool sr_ctx_skip(struct sr_ctx *c)
{
    if (c->err.code) return true;
    if (sr_cancelled(c->cancel)) {
        sr_fail(&c->err, SORA_ERR_CANCELLED, "cancelled");
        return true;
    }
    return c->plan;
}

size_t sr_scratch_mark(const struct sr_ctx *c)
{
    return c->arena_used;
}

void sr_scratch_release(struct sr_ctx *c, size_t mark)
{
    if (mark <= c->arena_used) c->arena_used = mark;
}

/* Offset of n bytes in the arena, or SIZE_MAX with c->err set. */
static size_t take(struct sr_ctx *c, size_t n)
{
    const size_t from = c->arena_used;
    size_t to;

    if (SR_ADD_OVERFLOWS(from, n, &to) || to > SIZE_MAX / 2) {
        sr_fail_nomem(&c->err, n, "scratch memory");
        return SIZE_MAX;
    }
    to = SR_ROUND_UP(to, ALIGN);
    if (!c->plan && to > c->arena_size) {
        sr_fail(&c->err, SORA_ERR_INTERNAL, "scratch memory: %zu bytes wanted, %zu were planned", to, c->arena_size);
        return SIZE_MAX;
    }
    c->arena_used = to;
    c->arena_peak = SR_MAX(c->arena_peak, to);
    return from;
}

static struct sr_tensor *plan_header(struct sr_ctx *c)
{
    struct sr_plan_headers *h = c->plan_headers;

    if (!h || h->used == SR_COUNT(h->t)) {
        if (!(h = sr_zalloc(sizeof *h))) {
            sr_fail_nomem(&c->err, sizeof *h, "planning");
            return NULL;
        }
        h->next = c->plan_headers;
        c->plan_headers = h;
    }
    return &h->t[h->used++];
}

struct sr_tensor *sr_scratch(struct sr_ctx *c, size_t rows, size_t cols, enum sr_type type)
{
    const struct sr_tensor t = { NULL, type, rows, cols, cols };
    struct sr_tensor *h = NULL;
    size_t bytes, from;

    if (c->err.code) goto done;
    if (SR_MUL_OVERFLOWS(rows, cols, &bytes) || SR_MUL_OVERFLOWS(bytes, sr_type_size(type), &bytes) ||
        SR_ADD_OVERFLOWS(bytes, ALIGN, &bytes)) {
        sr_fail(&c->err, SORA_ERR_NOMEM, "scratch memory: a matrix of %zu x %zu is too large", rows, cols);
        goto done;
    }
    _Static_assert(sizeof(struct sr_tensor) <= ALIGN, "the struct stands in front of the data");
    if ((from = take(c, bytes)) == SIZE_MAX) goto done;
    h = c->plan ? plan_header(c) : (struct sr_tensor *)(void *)(c->arena + from);
    if (!h) goto done;
    *h = t;
    if (!c->plan) h->data = c->arena + from + ALIGN;
done:
    if (h) return h;
    c->dead = t;
    return &c->dead;
}

void *sr_scratch_bytes(struct sr_ctx *c, size_t n)
{
    size_t from;

    if (c->err.code || (from = take(c, n)) == SIZE_MAX || c->plan) return NULL;
    return c->arena + from;
}
