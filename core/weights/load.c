/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model's loader as its list of names: after the first failure nothing is done, and the result says which it was. */
#include <stdio.h>

#include "weights/lora.h"

static void keep(struct sr_loader *l, sora_result r)
{
    if (r < 0 && l->result >= 0) l->result = r;
}

/* A large model is packed for minutes: a cancel is seen between two of its layers. */
static bool skip(struct sr_loader *l)
{
    if (l->result >= 0 && sr_cancelled(l->c->cancel)) keep(l, sr_fail(l->err, SORA_ERR_CANCELLED, "cancelled"));
    return l->result < 0;
}

/* What was packed or copied is not read again: its pages go back at once, or loading would need the file's size too. */
static void forget(struct sr_loader *l, const char *name, const char *suffix)
{
    char full[512];

    if (snprintf(full, sizeof full, "%s%s%s", l->prefix, name, suffix) < (int)sizeof full)
        sr_weights_forget(l->w, full);
}

static bool get(struct sr_loader *l, struct sr_param *p, int ndim, const size_t *dim, const char *name,
                const char *suffix)
{
    if (skip(l)) return false;
    keep(l, sr_weights_get(l->w, p, l->err, ndim, dim, "%s%s%s", l->prefix, name, suffix));
    return !skip(l);
}

/* What the model's additions, if it has any, make of the weight. */
static bool add(struct sr_loader *l, struct sr_param *p, float **sum, size_t out, size_t in, const char *name)
{
    char full[512];

    if (!l->lora || l->c->plan) return true;
    snprintf(full, sizeof full, "%s%s", l->prefix, name);
    keep(l, sr_lora_add(l->lora, p, sum, out, in, full, l->err));
    return l->result >= 0;
}

float *sr_load_f32(struct sr_loader *l, int ndim, const size_t *dim, const char *name)
{
    struct sr_param p;
    float *v = NULL;

    if (!get(l, &p, ndim, dim, name, "") || l->c->plan) return NULL;
    keep(l, sr_param_f32(&v, &p, l->err));
    forget(l, name, "");
    return v;
}

float *sr_load_vec(struct sr_loader *l, size_t n, const char *name)
{
    return sr_load_f32(l, 1, &n, name);
}

struct sr_linear *sr_load_linears(struct sr_loader *l, size_t out, size_t in, bool bias, bool f32_only, int parts,
                                  const char *const *names)
{
    enum { PARTS_MAX = 8 };
    struct sr_param weights[PARTS_MAX], biases[PARTS_MAX];
    size_t outs[PARTS_MAX];
    float *sums[PARTS_MAX] = { NULL };
    struct sr_linear *v = NULL;

    if (skip(l)) return NULL;
    if (parts < 1 || parts > PARTS_MAX) {
        keep(l, sr_fail(l->err, SORA_ERR_INTERNAL, "%s: a product of %d parts", names[0], parts));
        return NULL;
    }
    for (int i = 0; i < parts; i++) {
        outs[i] = out;
        if (!get(l, &weights[i], 2, (size_t[]){ out, in }, names[i], ".weight")) goto done;
        if (bias && !get(l, &biases[i], 1, &out, names[i], ".bias")) goto done;
        if (!add(l, &weights[i], &sums[i], out, in, names[i])) goto done;
    }
    keep(l, sr_linear_open(l->c, &v, weights, bias ? biases : NULL, outs, parts, in, f32_only, l->err));
    for (int i = 0; i < parts; i++) {
        forget(l, names[i], ".weight");
        if (bias) forget(l, names[i], ".bias");
    }
done:
    for (int i = 0; i < parts; i++) sr_free(sums[i]);
    return v;
}

struct sr_linear *sr_load_linear(struct sr_loader *l, size_t out, size_t in, bool bias, bool f32_only, const char *name)
{
    return sr_load_linears(l, out, in, bias, f32_only, 1, &name);
}

struct sr_conv *sr_load_conv(struct sr_loader *l, const struct sr_conv_shape *s, bool two_d, bool bias,
                             const char *name)
{
    const size_t dim3[] = { s->out, s->in, s->kt, s->kh, s->kw }, dim2[] = { s->out, s->in, s->kh, s->kw };
    struct sr_param weight, b = { 0 };
    struct sr_conv *v = NULL;

    if (!get(l, &weight, two_d ? 4 : 5, two_d ? dim2 : dim3, name, ".weight")) return NULL;
    if (bias && !get(l, &b, 1, &s->out, name, ".bias")) return NULL;
    keep(l, sr_conv_open(l->c, &v, s, &weight, &b, l->err));
    forget(l, name, ".weight");
    if (bias) forget(l, name, ".bias");
    return v;
}
