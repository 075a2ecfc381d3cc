/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "vae/refine.h"

static const float EPS = 1e-5f;         /* of the norms */

enum { GROUP = 96 };                    /* positions that are worked on together */

/* ---- Which one ---- */

sora_result sr_refine_shape_config(struct sr_refine_shape *s, const struct sr_config *c, size_t channels, size_t frames,
                                   size_t side, const char *path, sora_error *err)
{
    int64_t width = 0, inner = 0, blocks = 0, kernel = 3;
    sora_result r;

    memset(s, 0, sizeof *s);
    if ((r = sr_config_int(c, "refine_width", 1, 4096, &width, err)) < 0) return r;
    if ((r = sr_config_int(c, "refine_inner", 1, 16384, &inner, err)) < 0) return r;
    if ((r = sr_config_int(c, "refine_blocks", 0, SR_REFINE_BLOCKS, &blocks, err)) < 0) return r;
    if ((r = sr_config_int(c, "refine_kernel", 1, SR_KERNEL_MAX, &kernel, err)) < 0) return r;
    if (blocks && (!width || !inner))
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"refine_blocks\" is %lld without \"%s\"", path, (long long)blocks,
                       width ? "refine_inner" : "refine_width");
    if (kernel % 2 == 0)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"refine_kernel\" is %lld; wanted: an odd number", path, (long long)kernel);
    *s = (struct sr_refine_shape){ (size_t)width, (size_t)inner, (size_t)blocks, (size_t)kernel, channels, frames, side };
    return SORA_OK;
}

static size_t picture(const struct sr_refine_shape *s)
{
    return 3 * s->side * s->side;
}

static size_t inputs(const struct sr_refine_shape *s)
{
    return 2 * s->channels * s->kernel * s->kernel;
}

uint64_t sr_refine_parameters(const struct sr_refine_shape *s)
{
    const uint64_t n = s->width, outputs = s->frames * picture(s);

    return n ? (inputs(s) + 1) * n + s->blocks * ((n + 1) * s->inner + (s->inner + 1) * n) + (n + 1) * outputs : 0;
}

double sr_refine_flop(const struct sr_refine_shape *s)
{
    const double n = (double)s->width, outputs = (double)(s->frames * picture(s));

    return 2 * n * ((double)inputs(s) + 2 * (double)(s->blocks * s->inner) + outputs);
}

/* ---- Loading ---- */

/* A layer whose weights lie in the file in this many dimensions; the parts of one, each a layer of its own, in v. */
static void load_parts(struct sr_loader *l, struct sr_linear **v, size_t parts, size_t out, int ndim, const size_t *dim, size_t in,
                       const char *name)
{
    const size_t all = parts * out;
    struct sr_param w, b;

    if (l->result >= 0) l->result = sr_weights_get(l->w, &w, l->err, ndim, dim, "%s.weight", name);
    if (l->result >= 0) l->result = sr_weights_get(l->w, &b, l->err, 1, &all, "%s.bias", name);
    for (size_t i = 0; i < parts && l->result >= 0; i++) {
        const struct sr_param wi = sr_param_part(&w, i * out * in, out * in), bi = sr_param_part(&b, i * out, out);
        l->result = sr_linear_open(l->c, &v[i], &wi, &bi, &out, 1, in, false, l->err);
    }
}

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s, size_t H, size_t W)
{
    const size_t n = H * W, seen = 2 * s->channels * n * sizeof(float), drawn = s->frames * n * picture(s) * sizeof(float);
    char name[64];

    v->shape = *s;
    v->H = H;
    v->W = W;
    load_parts(l, &v->conv_in, 1, s->width, 4, (size_t[]){ s->width, 2 * s->channels, s->kernel, s->kernel }, inputs(s),
               "refine.conv_in");
    for (size_t i = 0; i < s->blocks; i++) {
        snprintf(name, sizeof name, "refine.blocks.%zu.fc1", i);
        v->block[i].fc1 = sr_load_linear(l, s->inner, s->width, true, false, name);
        snprintf(name, sizeof name, "refine.blocks.%zu.fc2", i);
        v->block[i].fc2 = sr_load_linear(l, s->width, s->inner, true, false, name);
    }
    load_parts(l, v->out, s->frames, picture(s), 2, (size_t[]){ s->frames * picture(s), s->width }, s->width, "refine.out");
    if (l->result >= 0 && (!(v->seen = sr_malloc(seen)) || !(v->drawn = sr_malloc(drawn)) ||
                           !(v->stale = sr_malloc(n * sizeof *v->stale)) || !(v->differs = sr_malloc(n * sizeof *v->differs))))
        l->result = sr_fail_nomem(l->err, seen + drawn + n * (sizeof *v->stale + sizeof *v->differs), "video decoder");
}

void sr_refine_close(struct sr_refine *v)
{
    sr_linear_close(&v->conv_in);
    for (size_t f = 0; f < SR_REFINE_FRAMES; f++) sr_linear_close(&v->out[f]);
    for (size_t i = 0; i < SR_REFINE_BLOCKS; i++) {
        sr_linear_close(&v->block[i].fc1);
        sr_linear_close(&v->block[i].fc2);
    }
    sr_free(v->seen);
    sr_free(v->drawn);
    sr_free(v->stale);
    sr_free(v->differs);
    v->seen = v->drawn = NULL;
    v->stale = NULL;
    v->differs = NULL;
}

/* ---- Computing ---- */

/* Whether the latents that position i sees, before and now, become others with z. */
static bool becomes_other(const struct sr_refine *v, const float *z, size_t i)
{
    const size_t C = v->shape.channels, n = v->H * v->W;

    for (size_t ch = 0; ch < C; ch++) {
        const float now = v->seen[(C + ch) * n + i];
        if (now != v->seen[ch * n + i] || now != z[ch * n + i]) return true;
    }
    return false;
}

/* v->stale: the positions that have one of v->differs among their neighbours; -> how many */
static size_t find_stale(const struct sr_refine *v)
{
    const size_t reach = v->shape.kernel / 2;
    size_t n = 0;

    for (size_t i = 0; i < v->H * v->W; i++) {
        const size_t row = i / v->W, col = i % v->W;
        bool any = false;
        for (size_t y = row - SR_MIN(row, reach); y <= SR_MIN(row + reach, v->H - 1) && !any; y++)
            for (size_t x = col - SR_MIN(col, reach); x <= SR_MIN(col + reach, v->W - 1); x++) any |= v->differs[y * v->W + x];
        if (any) v->stale[n++] = (uint32_t)i;
    }
    return n;
}

/* What the network makes of `group` positions, into v->drawn. */
static void draw(struct sr_ctx *c, const struct sr_refine *v, const uint32_t *at, size_t group, float scale)
{
    const struct sr_refine_shape *s = &v->shape;
    const size_t mark = sr_scratch_mark(c), n = v->H * v->W, bytes = picture(s) * sizeof(float);
    struct sr_tensor *seen = sr_scratch(c, group, inputs(s), SR_F32), *x;

    sr_neighbours_at(c, seen, v->seen, n, v->H, v->W, at, s->kernel, scale);
    x = sr_linear(c, v->conv_in, seen, SR_ACT_NONE, SR_F32);
    for (size_t i = 0; i < s->blocks; i++) {
        const size_t inner = sr_scratch_mark(c);
        const struct sr_tensor *h = sr_linear(c, v->block[i].fc1, sr_layer_norm(c, x, NULL, NULL, EPS), SR_ACT_RELU, c->act);

        sr_add(c, x, sr_linear(c, v->block[i].fc2, h, SR_ACT_NONE, c->act));
        sr_scratch_release(c, inner);
    }
    x = sr_layer_norm(c, x, NULL, NULL, EPS);
    for (size_t f = 0; f < s->frames; f++) {
        const size_t inner = sr_scratch_mark(c);
        const struct sr_tensor *y = sr_linear(c, v->out[f], x, SR_ACT_NONE, SR_F32);

        if (!sr_ctx_skip(c))
            for (size_t i = 0; i < group; i++)
                memcpy(v->drawn + (f * n + at[i]) * picture(s), (const float *)y->data + i * y->stride, bytes);
        sr_scratch_release(c, inner);
    }
    sr_scratch_release(c, mark);
}

/* Always groups of the same size, the last one ending with positions of the one before, so that a result does not depend on how many
   are stale. */
void sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *z, bool first, float scale)
{
    const size_t n = v->H * v->W, plane = v->shape.channels * n, group = SR_MIN((size_t)GROUP, n);
    size_t count = group;

    if (!sr_ctx_skip(c)) {
        for (size_t i = 0; i < n; i++) v->differs[i] = first || becomes_other(v, z, i);
        count = find_stale(v);
        memcpy(v->seen, first ? z : v->seen + plane, plane * sizeof *z);
        memcpy(v->seen + plane, z, plane * sizeof *z);
        for (size_t i = count; i && i < group; i++) v->stale[i] = v->stale[i - 1];
    }
    for (size_t at = 0; at < count; at += group) draw(c, v, v->stale + SR_MIN(at, SR_MAX(count, group) - group), group, scale);
}

void sr_refine_add(struct sr_ctx *c, const struct sr_refine *v, struct sr_tensor *y, size_t first, size_t f)
{
    float *from = v->drawn + (f * v->H + first) * v->W * y->cols;
    const struct sr_tensor drawn = { from, SR_F32, y->rows, y->cols, y->cols };

    sr_add(c, y, &drawn);
}
