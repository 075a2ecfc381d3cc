/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations row by row: each row is one call of a kernel. */
#include "kernels/kernels.h"
#include "tensor/op.h"

static enum sr_elem elem(enum sr_type t)
{
    return t == SR_BF16 ? SR_E_BF16 : SR_E_F32;
}

/* False, with the error set, unless the sizes agree. */
static bool same_size(struct sr_ctx *c, const struct sr_tensor *a, const struct sr_tensor *b, const char *what)
{
    if (c->err.code) return false;
    if (a->rows == b->rows && a->cols == b->cols) return true;
    sr_fail(&c->err, SORA_ERR_INTERNAL, "%s: %zu x %zu against %zu x %zu", what, a->rows, a->cols, b->rows, b->cols);
    return false;
}

/* The row of a modulation for token i. */
static const float *mod_row(const struct sr_mod *m, size_t i)
{
    return m->data ? m->data + i / m->tokens_per_row * m->stride : NULL;
}

/* Every token has the same weights. */
static struct sr_mod all_tokens(const float *w)
{
    return (struct sr_mod){ w, 0, SIZE_MAX };
}

static struct sr_tensor *norm(struct sr_ctx *c, sr_norm_fn *kernel, const struct sr_tensor *x, struct sr_mod w,
                              struct sr_mod b, float one, float eps, enum sr_type type)
{
    struct sr_tensor *y = sr_scratch(c, x->rows, x->cols, type);
    const double start = sr_now();

    if (sr_ctx_skip(c)) return y;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++)
        kernel(sr_row(y, i), sr_row(x, i), mod_row(&w, i), mod_row(&b, i), one, eps, x->cols);
    sr_op_done(c, SR_ELEMENTWISE, start, 8.0 * (double)x->rows * (double)x->cols);
    return y;
}

static bool f32_rows(struct sr_ctx *c, const struct sr_tensor *x, const char *what)
{
    if (!c->err.code && x->type != SR_F32)
        sr_fail(&c->err, SORA_ERR_INTERNAL, "%s: %s rows, F32 wanted", what, sr_type_name(x->type));
    return !c->err.code;
}

struct sr_tensor *sr_layer_norm(struct sr_ctx *c, const struct sr_tensor *x, const float *w, const float *b, float eps)
{
    f32_rows(c, x, "layer norm");
    return norm(c, c->kern->layer_norm[elem(c->act)], x, all_tokens(w), all_tokens(b), 0, eps, c->act);
}

struct sr_tensor *sr_layer_norm_mod(struct sr_ctx *c, const struct sr_tensor *x, float eps, struct sr_mod scale,
                                    struct sr_mod shift)
{
    f32_rows(c, x, "layer norm");
    return norm(c, c->kern->layer_norm[elem(c->act)], x, scale, shift, 1, eps, c->act);
}

struct sr_tensor *sr_rms_norm(struct sr_ctx *c, const struct sr_tensor *x, const float *w, float eps, enum sr_type type)
{
    return norm(c, c->kern->rms_norm[elem(x->type)][elem(type)], x, all_tokens(w), all_tokens(NULL), 0, eps, type);
}

struct sr_tensor *sr_rms_norm_mod(struct sr_ctx *c, const struct sr_tensor *x, float eps, struct sr_mod scale,
                                  struct sr_mod shift)
{
    return norm(c, c->kern->rms_norm[elem(x->type)][elem(c->act)], x, scale, shift, 1, eps, c->act);
}

void sr_rms_norm_rope(struct sr_ctx *c, struct sr_tensor *x, const float *w, float eps, size_t D, const float *cos,
                      const float *sin)
{
    sr_rms_rope_fn *kernel = c->kern->rms_rope[elem(x->type)];
    const double start = sr_now();

    if (!c->err.code && (D == 0 || D % 2 || x->cols % D))
        sr_fail(&c->err, SORA_ERR_INTERNAL, "rope: %zu channels in heads of %zu", x->cols, D);
    if (sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++)
        kernel(sr_row(x, i), w, eps, cos ? cos + i * (D / 2) : NULL, sin ? sin + i * (D / 2) : NULL, x->cols, D);
    sr_op_done(c, SR_ELEMENTWISE, start, 7.0 * (double)x->rows * (double)x->cols);
}

void sr_add(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h)
{
    sr_add_fn *kernel = c->kern->add[elem(h->type)];
    const double start = sr_now();

    if (!same_size(c, x, h, "sum") || !f32_rows(c, x, "sum") || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++) kernel(sr_row(x, i), sr_row(h, i), x->cols);
    sr_op_done(c, SR_ELEMENTWISE, start, (double)x->rows * (double)x->cols);
}

void sr_add_gated(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h, struct sr_mod gate)
{
    sr_add_gated_fn *kernel = c->kern->add_gated[elem(h->type)];
    const double start = sr_now();

    if (!same_size(c, x, h, "gated sum") || !f32_rows(c, x, "gated sum") || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++) kernel(sr_row(x, i), sr_row(h, i), mod_row(&gate, i), x->cols);
    sr_op_done(c, SR_ELEMENTWISE, start, 2.0 * (double)x->rows * (double)x->cols);
}

void sr_mul(struct sr_ctx *c, struct sr_tensor *x, const struct sr_tensor *h)
{
    sr_mul_fn *kernel = c->kern->mul[elem(x->type)];
    const double start = sr_now();

    if (!same_size(c, x, h, "product")) return;
    if (x->type != h->type)
        sr_fail(&c->err, SORA_ERR_INTERNAL, "product: %s by %s", sr_type_name(x->type), sr_type_name(h->type));
    if (sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++) kernel(sr_row(x, i), sr_row(h, i), x->cols);
    sr_op_done(c, SR_ELEMENTWISE, start, (double)x->rows * (double)x->cols);
}

void sr_silu(struct sr_ctx *c, struct sr_tensor *x)
{
    const double start = sr_now();

    if (!f32_rows(c, x, "silu") || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < x->rows; i++) c->kern->silu(sr_row(x, i), x->cols);
    sr_op_done(c, SR_ELEMENTWISE, start, 4.0 * (double)x->rows * (double)x->cols);
}

void sr_convert(struct sr_ctx *c, struct sr_tensor *to, const struct sr_tensor *from)
{
    const double start = sr_now();

    if (!same_size(c, to, from, "conversion") || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (to->rows * to->cols >= SR_OMP_MIN)
    for (size_t i = 0; i < to->rows; i++) {
        if (to->type == from->type)
            memcpy(sr_row(to, i), sr_row(from, i), to->cols * sr_type_size(to->type));
        else if (to->type == SR_BF16)
            c->kern->f32_to_bf16(sr_row(to, i), sr_row(from, i), to->cols);
        else
            c->kern->bf16_to_f32(sr_row(to, i), sr_row(from, i), to->cols);
    }
    sr_op_done(c, SR_REORDER, start, 0);
}

/* i - less, or the nearest of 0 .. n - 1 */
static size_t inside(size_t i, size_t less, size_t n)
{
    return i < less ? 0 : SR_MIN(i - less, n - 1);
}

/* at NULL: positions first, first + 1, ... */
static void neighbours(struct sr_ctx *c, struct sr_tensor *x, const float *z, size_t plane, size_t H, size_t W, size_t first,
                       const uint32_t *at, size_t k, float scale)
{
    const double start = sr_now();

    if (!f32_rows(c, x, "neighbours") || sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (x->rows * x->cols >= SR_OMP_MIN)
    for (size_t r = 0; r < x->rows; r++) {
        const size_t i = at ? at[r] : first + r;
        float *row = sr_row(x, r);
        size_t from[SR_KERNEL_MAX * SR_KERNEL_MAX];
        for (size_t j = 0; j < k * k; j++) from[j] = inside(i / W + j / k, k / 2, H) * W + inside(i % W + j % k, k / 2, W);
        for (size_t ch = 0; ch < x->cols / (k * k); ch++)
            for (size_t j = 0; j < k * k; j++) *row++ = z[ch * plane + from[j]] * scale;
    }
    sr_op_done(c, SR_REORDER, start, 0);
}

void sr_neighbours(struct sr_ctx *c, struct sr_tensor *x, const float *z, size_t plane, size_t H, size_t W, size_t first, float scale)
{
    neighbours(c, x, z, plane, H, W, first * W, NULL, 3, scale);
}

void sr_neighbours_at(struct sr_ctx *c, struct sr_tensor *x, const float *z, size_t plane, size_t H, size_t W, const uint32_t *at,
                      size_t kernel, float scale)
{
    neighbours(c, x, z, plane, H, W, 0, at, kernel, scale);
}
