/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "vae/refine.h"

static const float EPS = 1e-5f;         /* of the norms */

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
        l->result = sr_linear_open(l->c, &v[i], &wi, &bi, &out, 1, in, true, l->err);
    }
}

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s)
{
    char name[64];

    v->shape = *s;
    load_parts(l, &v->conv_in, 1, s->width, 4, (size_t[]){ s->width, 2 * s->channels, s->kernel, s->kernel }, inputs(s),
               "refine.conv_in");
    for (size_t i = 0; i < s->blocks; i++) {
        snprintf(name, sizeof name, "refine.blocks.%zu.fc1", i);
        v->block[i].fc1 = sr_load_linear(l, s->inner, s->width, true, true, name);
        snprintf(name, sizeof name, "refine.blocks.%zu.fc2", i);
        v->block[i].fc2 = sr_load_linear(l, s->width, s->inner, true, true, name);
    }
    load_parts(l, v->out, s->frames, picture(s), 2, (size_t[]){ s->frames * picture(s), s->width }, s->width, "refine.out");
}

void sr_refine_close(struct sr_refine *v)
{
    sr_linear_close(&v->conv_in);
    for (size_t f = 0; f < SR_REFINE_FRAMES; f++) sr_linear_close(&v->out[f]);
    for (size_t i = 0; i < SR_REFINE_BLOCKS; i++) {
        sr_linear_close(&v->block[i].fc1);
        sr_linear_close(&v->block[i].fc2);
    }
}

/* ---- Computing, in f32, as the linear picture is; the norms alone are in the context's type ---- */

struct sr_tensor *sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *seen, size_t H, size_t W, const uint32_t *at,
                            size_t n, float scale)
{
    const struct sr_refine_shape *s = &v->shape;
    struct sr_tensor *near = sr_scratch(c, n, inputs(s), SR_F32), *x;

    sr_neighbours_at(c, near, seen, H * W, H, W, at, s->kernel, scale);
    x = sr_linear(c, v->conv_in, near, SR_ACT_NONE, SR_F32);
    for (size_t i = 0; i < s->blocks; i++) {
        const size_t mark = sr_scratch_mark(c);
        const struct sr_tensor *h = sr_linear(c, v->block[i].fc1, sr_layer_norm(c, x, NULL, NULL, EPS), SR_ACT_RELU, SR_F32);

        sr_add(c, x, sr_linear(c, v->block[i].fc2, h, SR_ACT_NONE, SR_F32));
        sr_scratch_release(c, mark);
    }
    return sr_layer_norm(c, x, NULL, NULL, EPS);
}

struct sr_tensor *sr_refine_picture(struct sr_ctx *c, const struct sr_refine *v, const struct sr_tensor *x, size_t f)
{
    return sr_linear(c, v->out[f], x, SR_ACT_NONE, SR_F32);
}
