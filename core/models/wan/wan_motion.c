/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filters of the latent before (wan.h), as Motion of tools/pocket/transformer.py has them; all in f32: it is little work. */
#include "models/wan/wan.h"

enum { FILTERS_MAX = 64, INNER_MAX = 8192 };

/* How many times `unit` the first dimension of the tensor is. */
static sora_result count(size_t *n, const struct sr_weights *w, const char *name, size_t unit, size_t most, sora_error *err)
{
    const struct sr_weight *t = sr_weights_find(w, name);

    if (!t || t->ndim < 1)
        return sr_fail(err, SORA_ERR_MODEL, "%s: no tensor \"%s\"", sr_weights_path(w), name);
    *n = t->dim[0] / unit;
    if (!*n || *n > most || t->dim[0] % unit)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" has %zu rows; wanted: %zu, or a multiple of it up to %zu", sr_weights_path(w),
                       name, t->dim[0], unit, most * unit);
    return SORA_OK;
}

sora_result sr_wan_motion_load(struct sr_ctx *c, struct wan *m, const char *path, sora_error *err)
{
    struct wan_motion *v = &m->motion;
    const size_t C = (size_t)m->k.out;
    struct sr_loader l = { .c = c, .err = err };
    struct sr_param filter;
    size_t inner, n, outs;
    sora_result r = sr_weights_open(&l.w, path, err);

    if (r < 0 || (r = count(&n, l.w, "filter.weight", C, FILTERS_MAX, err)) < 0) goto done;
    if ((r = count(&inner, l.w, "gate.0.weight", 1, INNER_MAX, err)) < 0) goto done;
    v->gate1 = sr_load_linear(&l, inner, 2 * m->C, true, true, "gate.0");
    v->gate2 = sr_load_linear(&l, m->patch * n, inner, true, true, "gate.2");
    if ((r = l.result) < 0) goto done;
    if ((r = sr_weights_get(l.w, &filter, err, 4, (size_t[]){ n * C, C, 3, 3 }, "filter.weight")) < 0) goto done;
    outs = n * C;
    if ((r = sr_linear_open(c, &v->filter, &filter, NULL, &outs, 1, 9 * C, true, err)) < 0) goto done;
    v->n = n;
done:
    sr_weights_close(&l.w);
    return r;
}

void sr_wan_motion_unload(struct wan_motion *v)
{
    sr_linear_close(&v->gate1);
    sr_linear_close(&v->gate2);
    sr_linear_close(&v->filter);
}

/* h [P, C] -> [P, 2 C] f32: each row, and the mean of all, which tells what the camera does */
static struct sr_tensor with_mean(struct sr_ctx *c, const struct sr_tensor *h)
{
    struct sr_tensor x = *sr_scratch(c, h->rows, 2 * h->cols, SR_F32), own = sr_cols(&x, 0, h->cols);
    float *rows = x.data;

    sr_convert(c, &own, h);
    if (sr_ctx_skip(c)) return x;
    for (size_t i = 0; i < h->cols; i++) {
        double sum = 0;
        for (size_t r = 0; r < x.rows; r++) sum += rows[r * x.stride + i];
        for (size_t r = 0; r < x.rows; r++) rows[r * x.stride + h->cols + i] = (float)(sum / (double)x.rows);
    }
    return x;
}

/* out [out, F, H, W], of frame f, += the filtered latents y [H W, (n, out)], each times its gate g [P, (patch, n)] */
static void add_gated(struct sr_ctx *c, const struct wan *m, const struct sr_tensor *g, const struct sr_tensor *y, size_t F, size_t f,
                      float *out)
{
    const size_t ph = (size_t)m->k.patch[1], pw = (size_t)m->k.patch[2], C = (size_t)m->k.out, n = m->motion.n, plane = m->H * m->W;
    const double start = sr_now();

    if (sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads)
    for (size_t i = 0; i < plane; i++) {
        const size_t row = i / m->W, col = i % m->W;
        const float *gate = (const float *)g->data + (row / ph * m->cols + col / pw) * g->stride + (row % ph * pw + col % pw) * n;
        const float *from = (const float *)y->data + i * y->stride;
        for (size_t ch = 0; ch < C; ch++) {
            float sum = 0;
            for (size_t k = 0; k < n; k++) sum += gate[k] * from[k * C + ch];
            out[(ch * F + f) * plane + i] += sum;
        }
    }
    c->prof.seconds[SR_ELEMENTWISE] += sr_now() - start;
}

void sr_wan_motion_add(struct sr_ctx *c, const struct wan *m, const struct sr_tensor *h, const float *prior, size_t F, float *out)
{
    const size_t plane = m->H * m->W;

    for (size_t f = 0; f < F; f++) {
        const size_t mark = sr_scratch_mark(c);
        const struct sr_tensor rows = sr_rows(h, f * m->P, m->P), x = with_mean(c, &rows);
        const struct sr_tensor *g = sr_linear(c, m->motion.gate1, &x, SR_ACT_GELU_TANH, SR_F32);
        struct sr_tensor *near = sr_scratch(c, plane, 9 * (size_t)m->k.out, SR_F32);

        g = sr_linear(c, m->motion.gate2, g, SR_ACT_NONE, SR_F32);
        sr_neighbours(c, near, prior ? prior + f * plane : NULL, F * plane, m->H, m->W, 0, 1);
        add_gated(c, m, g, sr_linear(c, m->motion.filter, near, SR_ACT_NONE, SR_F32), F, f, out);
        sr_scratch_release(c, mark);
    }
}
