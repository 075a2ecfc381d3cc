/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "tensor/dnnl.h"
#include "tensor/op.h"
#include "weights/lora.h"

#define MAX_RANK 4096

/* What the two factors are called: peft, peft with its adapter's name, kohya. */
static const char *const suffixes[][2] = {
    { "lora_A.weight", "lora_B.weight" },
    { "lora_A.default.weight", "lora_B.default.weight" },
    { "lora_down.weight", "lora_up.weight" },
};

struct sr_lora {
    struct sr_weights *w;
    const char *a, *b;          /* the file's pair of suffixes */
    double scale;
    struct sr_ctx *c;           /* of its own: the model's has no scratch yet */
    size_t taken;               /* tensors */
};

/* Which names the file has; false: none of ours. */
static bool detect(struct sr_lora *l, sr_rename_fn *rename)
{
    for (size_t i = 0; i < SR_COUNT(suffixes); i++)
        for (int own = 0; own < 2; own++) {
            char probe[100];
            snprintf(probe, sizeof probe, "blocks.0.attn1.to_q.%s", suffixes[i][0]);
            if (!sr_weights_detect(l->w, own ? NULL : rename, probe)) continue;
            l->a = suffixes[i][0];
            l->b = suffixes[i][1];
            return true;
        }
    return false;
}

sora_result sr_lora_open(struct sr_lora **out, const char *path, double scale, sr_rename_fn *rename, int threads,
                         const struct sr_cancel *cancel, sora_error *err)
{
    struct sr_lora *l = sr_zalloc(sizeof *l);
    sora_result r;

    *out = NULL;
    if (!l) return sr_fail_nomem(err, sizeof *l, path);
    l->scale = scale;
    if ((r = sr_weights_open(&l->w, path, err)) < 0) goto done;
    if (!detect(l, rename)) {
        r = sr_fail(err, SORA_ERR_MODEL,
                    "%s: no tensor \"blocks.0.self_attn.q.lora_A.weight\": these are no low-rank additions to a "
                    "Wan",
                    path);
        goto done;
    }
    r = sr_ctx_open(&l->c, SR_F32, threads, ~0u, NULL, cancel, err);
done:
    if (r < 0) sr_lora_close(&l);
    *out = l;
    return r;
}

void sr_lora_close(struct sr_lora **l)
{
    if (!*l) return;
    sr_ctx_close(&(*l)->c);
    sr_weights_close(&(*l)->w);
    sr_free(*l);
    *l = NULL;
}

/* y [out, in] = b [out, rank] a [rank, in] */
static sora_result multiply(struct sr_lora *l, float *y, const float *b, const float *a, size_t out, size_t rank,
                            size_t in, sora_error *err)
{
    const struct sr_product p = {
        .M = out, .N = in, .K = rank, .xs = rank, .wk = in, .wn = 1, .type = SR_F32, .dst = SR_F32
    };
    sora_result r;

    sr_ctx_plan(l->c);
    sr_dnnl_product(l->c, &p, b, a, y);
    if ((r = sr_ctx_commit(l->c, err)) < 0) return r;
    sr_dnnl_product(l->c, &p, b, a, y);
    return l->c->err.code ? sr_fail(err, l->c->err.code, "%s", l->c->err.text) : SORA_OK;
}

/* scale, or alpha / rank of the file */
static double scale_of(struct sr_lora *l, const char *name, size_t rank)
{
    char full[400];
    const struct sr_weight *t;
    struct sr_param p;
    float alpha;

    snprintf(full, sizeof full, "%s.alpha", name);
    if (!(t = sr_weights_find(l->w, full)) || t->n != 1 ||
        (t->type != SR_F32 && t->type != SR_F16 && t->type != SR_BF16))
        return l->scale;
    p = (struct sr_param){ .data = t->data, .type = t->type, .n = 1 };
    sr_param_read(l->c->kern, &alpha, SR_F32, &p, 0, 1);
    l->taken++;
    return alpha / (double)rank;
}

/* Equal sums come from equal parts; 0: one of them is of no file. */
static uint64_t source_of(uint64_t w, uint64_t a, uint64_t b, double scale)
{
    uint64_t bits;

    memcpy(&bits, &scale, sizeof bits);
    return w && a && b ? sr_rng_u64(sr_rng_u64(w, a, b), bits, 0) | 1 : 0;
}

sora_result sr_lora_add(struct sr_lora *l, struct sr_param *w, float **sum, size_t out, size_t in, const char *name,
                        sora_error *err)
{
    char a_name[400], b_name[400];
    const struct sr_weight *t;
    struct sr_param pa, pb;
    float *a = NULL, *b = NULL, *y = NULL;
    size_t rank;
    double scale;
    sora_result r;

    *sum = NULL;
    if (snprintf(a_name, sizeof a_name, "%s.%s", name, l->a) >= (int)sizeof a_name) return SORA_OK;
    snprintf(b_name, sizeof b_name, "%s.%s", name, l->b);
    if (!(t = sr_weights_find(l->w, a_name))) return SORA_OK;
    rank = t->ndim == 2 ? t->dim[0] : 0;
    if (rank < 1 || rank > MAX_RANK)
        return sr_fail(err, SORA_ERR_MODEL, "%s: tensor \"%s\" has %zu rows; wanted: a rank of 1 to %d",
                       sr_weights_path(l->w), t->name, rank, MAX_RANK);
    if ((r = sr_weights_get(l->w, &pa, err, 2, (size_t[]){ rank, in }, "%s", a_name)) < 0) return r;
    if ((r = sr_weights_get(l->w, &pb, err, 2, (size_t[]){ out, rank }, "%s", b_name)) < 0) return r;
    scale = scale_of(l, name, rank);
    if ((r = sr_param_f32(&a, &pa, err)) < 0 || (r = sr_param_f32(&b, &pb, err)) < 0 ||
        (r = sr_param_f32(&y, w, err)) < 0)
        goto done;
    for (size_t i = 0; i < out * rank; i++) b[i] = (float)(scale * b[i]);
    if (!(*sum = sr_aligned(out * in * sizeof **sum))) {
        r = sr_fail_nomem(err, out * in * sizeof **sum, "a layer with its low-rank addition");
        goto done;
    }
    if ((r = multiply(l, *sum, b, a, out, rank, in, err)) < 0) goto done;
    for (size_t i = 0; i < out * in; i++) (*sum)[i] += y[i];
    w->source = source_of(w->source, pa.source, pb.source, scale);
    w->data = *sum;
    w->type = SR_F32;
    l->taken += 2;
done:
    if (r < 0) sr_free(*sum), *sum = NULL;
    sr_free(a);
    sr_free(b);
    sr_free(y);
    sr_weights_forget(l->w, a_name);
    sr_weights_forget(l->w, b_name);
    return r;
}

sora_result sr_lora_done(const struct sr_lora *l, sora_error *err)
{
    const char *prefix = sr_weights_prefix(l->w);
    size_t ours = 0;

    for (size_t i = 0; i < sr_weights_count(l->w); i++)
        ours += !strncmp(sr_weights_at(l->w, i)->name, prefix, strlen(prefix));
    if (ours == l->taken) return SORA_OK;
    return sr_fail(err, SORA_ERR_MODEL,
                   "%s: %zu of its %zu tensors fit no layer of the model; it was made for another one",
                   sr_weights_path(l->w), ours - l->taken, ours);
}
