/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The encoder half of T5 1.1 and UMT5 (Raffel et al., "Exploring the limits of transfer learning", 2020; Chung et al.,
 * "UniMax", 2023): RMS norms before each part, attention without 1/sqrt(d) but with a learned bias by distance, a gated
 * feed-forward part.  UMT5 has a table of biases in each layer, T5 one for all.
 *
 * UMT5-XXL has 5.7 G parameters and is needed for a moment only: above RESIDENT_MAX each layer is packed when its turn
 * comes and given back after it.  The token table is never converted: a prompt touches as many of its rows as it has
 * tokens.
 */
#include <math.h>
#include <stdio.h>

#include "tensor/op.h"
#include "text/t5.h"

#define RESIDENT_MAX ((uint64_t)1 << 30)

struct t5_block {
    float *norm_attn, *norm_ffn;                /* [C] */
    float *bias;                                /* [buckets, N], NULL: the one of layer 0 */
    struct sr_linear *qkv, *o;                  /* [3 N D, C], [C, N D] */
    struct sr_linear *gate, *up, *down;         /* wi_0 and wi_1 [ffn, C], wo [C, ffn] */
};

struct sr_t5 {
    struct sr_t5_config k;
    struct sr_weights *w;                       /* the caller's */
    struct sr_param table;                      /* [vocab, C], in the file */
    struct t5_block *block;                     /* [layers]; one, where layers come and go */
    bool resident;
    int64_t loaded;                             /* which layer the one block is, -1: none */
    float *norm;                                /* [C] */
    float *shared_bias;                         /* [buckets, N], or NULL */
};

/* ---- Loading ---- */

static void block_close(struct t5_block *b)
{
    sr_free(b->norm_attn);
    sr_free(b->norm_ffn);
    sr_free(b->bias);
    sr_linear_close(&b->qkv);
    sr_linear_close(&b->o);
    sr_linear_close(&b->gate);
    sr_linear_close(&b->up);
    sr_linear_close(&b->down);
    memset(b, 0, sizeof *b);
}

static sora_result block_open(struct sr_ctx *c, struct t5_block *b, const struct sr_t5 *t, int64_t layer,
                              sora_error *err)
{
    static const char *const qkv[] = { "layer.0.SelfAttention.q", "layer.0.SelfAttention.k",
                                       "layer.0.SelfAttention.v" };
    const struct sr_t5_config *k = &t->k;
    const size_t C = (size_t)k->dim, inner = (size_t)(k->heads * k->head_dim), ffn = (size_t)k->ffn;
    struct sr_loader l = { .c = c, .w = t->w, .err = err };

    snprintf(l.prefix, sizeof l.prefix, "encoder.block.%d.", (int)layer);
    b->norm_attn = sr_load_vec(&l, C, "layer.0.layer_norm.weight");
    b->qkv = sr_load_linears(&l, inner, C, false, false, 3, qkv);
    b->o = sr_load_linear(&l, C, inner, false, false, "layer.0.SelfAttention.o");
    if (!k->shared_bias)
        b->bias = sr_load_f32(&l, 2, (size_t[]){ (size_t)k->buckets, (size_t)k->heads },
                              "layer.0.SelfAttention.relative_attention_bias.weight");
    b->norm_ffn = sr_load_vec(&l, C, "layer.1.layer_norm.weight");
    b->gate = sr_load_linear(&l, ffn, C, false, false, "layer.1.DenseReluDense.wi_0");
    b->up = sr_load_linear(&l, ffn, C, false, false, "layer.1.DenseReluDense.wi_1");
    b->down = sr_load_linear(&l, C, ffn, false, false, "layer.1.DenseReluDense.wo");
    if (l.result < 0) block_close(b);
    return l.result;
}

static double packed_bytes(const struct sr_t5_config *k, enum sr_type type)
{
    const double inner = (double)k->heads * (double)k->head_dim;

    return (double)k->layers * (double)k->dim * (4 * inner + 3 * (double)k->ffn) * (double)sr_type_size(type);
}

static sora_result open_table(struct sr_t5 *t, sora_error *err)
{
    const size_t dim[] = { (size_t)t->k.vocab, (size_t)t->k.dim };
    const bool shared = sr_weights_random(t->w) || sr_weights_find(t->w, "shared.weight");

    return sr_weights_get(t->w, &t->table, err, 2, dim, shared ? "shared.weight" : "encoder.embed_tokens.weight");
}

sora_result sr_t5_open(struct sr_ctx *c, struct sr_t5 **out, const struct sr_t5_config *k, struct sr_weights *w,
                       sora_error *err)
{
    struct sr_t5 *t = sr_zalloc(sizeof *t);
    struct sr_loader l = { .c = c, .w = w, .err = err };
    sora_result r;
    size_t blocks;

    *out = NULL;
    if (!t) {
        r = sr_fail_nomem(err, sizeof *t, "text encoder");
        goto done;
    }
    t->k = *k;
    t->w = w;
    t->loaded = -1;
    t->resident = packed_bytes(k, c->act) <= (double)(k->resident_max ? k->resident_max : RESIDENT_MAX);
    blocks = t->resident ? (size_t)k->layers : 1;
    sr_t5_names(w);
    if ((r = open_table(t, err)) < 0) goto done;
    t->norm = sr_load_vec(&l, (size_t)k->dim, "encoder.final_layer_norm.weight");
    if (k->shared_bias)
        t->shared_bias = sr_load_f32(&l, 2, (size_t[]){ (size_t)k->buckets, (size_t)k->heads },
                                     "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    if ((r = l.result) < 0) goto done;
    if (!(t->block = sr_calloc(blocks, sizeof *t->block))) {
        r = sr_fail_nomem(err, blocks * sizeof *t->block, "text encoder");
        goto done;
    }
    for (size_t i = 0; t->resident && i < blocks; i++)
        if ((r = block_open(c, &t->block[i], t, (int64_t)i, err)) < 0) goto done;
    *out = t;
    t = NULL;
done:
    sr_t5_close(&t);
    return r;
}

void sr_t5_close(struct sr_t5 **out)
{
    struct sr_t5 *t = *out;

    *out = NULL;
    if (!t) return;
    for (int64_t i = 0; t->block && i < (t->resident ? t->k.layers : 1); i++) block_close(&t->block[i]);
    sr_free(t->block);
    sr_free(t->norm);
    sr_free(t->shared_bias);
    sr_free(t);
}

/* ---- Encoding ---- */

/*
 * Which learned bias serves a key `distance` places behind (negative: before) the query: half of the buckets for each
 * direction, of those half one place each, the rest logarithmic up to max_distance.  In f32, as the reference: near a
 * power of two another rounding is another bucket.
 */
int sr_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance)
{
    const int64_t half = buckets / 2, exact = half / 2, d = distance < 0 ? -distance : distance;
    const int64_t first = distance > 0 ? half : 0;
    float far;

    if (d < exact) return (int)(first + d);
    far = logf((float)d / (float)exact) / (float)log((double)max_distance / (double)exact) * (float)(half - exact);
    return (int)(first + SR_MIN(exact + (int64_t)far, half - 1));
}

/* [N, 2 T - 1] from table [buckets, N]; NULL while planning */
static const float *distance_bias(struct sr_ctx *c, const struct sr_t5_config *k, const float *table, size_t T)
{
    const size_t N = (size_t)k->heads, width = 2 * T - 1;
    float *bias = sr_scratch_bytes(c, N * width * sizeof *bias);

    if (sr_ctx_skip(c)) return NULL;
    for (size_t i = 0; i < width; i++) {
        const int b = sr_t5_bucket((int64_t)i - (int64_t)(T - 1), k->buckets, k->max_distance);
        for (size_t n = 0; n < N; n++) bias[n * width + i] = table[(size_t)b * N + n];
    }
    return bias;
}

/* x [T, C] f32, updated in place */
static void t5_block(struct sr_ctx *c, const struct sr_t5 *t, const struct t5_block *b, struct sr_tensor *x)
{
    const size_t mark = sr_scratch_mark(c), inner = (size_t)(t->k.heads * t->k.head_dim);
    const float eps = (float)t->k.eps;
    const float *bias = distance_bias(c, &t->k, t->k.shared_bias ? t->shared_bias : b->bias, x->rows);
    struct sr_tensor *h, *up, q;
    struct sr_kv kv;

    h = sr_rms_norm(c, x, b->norm_attn, eps, c->act);                   /* [T, C] */
    h = sr_linear(c, b->qkv, h, SR_ACT_NONE, c->act);                   /* [T, 3 N D] */
    q = sr_cols(h, 0, inner);
    kv.k = sr_cols(h, inner, inner);
    kv.v = sr_cols(h, 2 * inner, inner);
    h = sr_attention(c, &q, &kv, 1, (size_t)t->k.heads, 1.0f, NULL, bias);     /* [T, N D]; no 1/sqrt(D) in T5 */
    h = sr_linear(c, b->o, h, SR_ACT_NONE, SR_F32);                     /* [T, C] */
    sr_add(c, x, h);

    h = sr_rms_norm(c, x, b->norm_ffn, eps, c->act);
    up = sr_linear(c, b->up, h, SR_ACT_NONE, c->act);                   /* [T, ffn] */
    h = sr_linear(c, b->gate, h, SR_ACT_GELU_TANH, c->act);
    sr_mul(c, h, up);
    h = sr_linear(c, b->down, h, SR_ACT_NONE, SR_F32);                  /* f32: sums beyond the range of half floats */
    sr_add(c, x, h);
    sr_scratch_release(c, mark);
}

static struct sr_tensor *embed(struct sr_ctx *c, const struct sr_t5 *t, const int32_t *ids, size_t n)
{
    const size_t C = (size_t)t->k.dim;
    struct sr_tensor *x = sr_scratch(c, n, C, SR_F32);

    if (sr_ctx_skip(c)) return x;
    for (size_t i = 0; i < n; i++)
        sr_param_read(c->kern, (float *)x->data + i * C, SR_F32, &t->table, (size_t)ids[i] * C, C);
    return x;
}

/* Layer i, packed now unless it stays in memory; NULL: not possible, and err says why. */
static const struct t5_block *layer(struct sr_ctx *c, struct sr_t5 *t, int64_t i, sora_error *err)
{
    if (t->resident) return &t->block[i];
    if (t->loaded == i) return t->block;
    block_close(t->block);
    t->loaded = -1;
    if (block_open(c, t->block, t, i, err) < 0) return NULL;
    t->loaded = i;
    return t->block;
}

/* While planning the first block stands for all, as they need the same scratch. */
static sora_result run(struct sr_ctx *c, struct sr_t5 *t, const int32_t *ids, size_t n, float *out, sora_error *err)
{
    const size_t mark = sr_scratch_mark(c);
    struct sr_tensor *x = embed(c, t, ids, n), *y;
    const struct t5_block *b;

    for (int64_t i = 0; i < (c->plan ? 1 : t->k.layers) && !c->err.code; i++) {
        if (!(b = layer(c, t, i, err))) return err->code;
        t5_block(c, t, b, x);
    }
    y = sr_rms_norm(c, x, t->norm, (float)t->k.eps, SR_F32);
    if (!sr_ctx_skip(c)) memcpy(out, y->data, n * (size_t)t->k.dim * sizeof *out);
    sr_scratch_release(c, mark);
    return c->err.code ? sr_fail(err, c->err.code, "%s", c->err.text) : SORA_OK;
}

sora_result sr_t5_encode(struct sr_ctx *c, struct sr_t5 *t, const int32_t *ids, size_t n, float *out, sora_error *err)
{
    const bool only_plan = c->plan;
    sora_error own = { 0 };
    sora_result r;

    if (!err) err = &own;
    if (!n) return sr_fail(err, SORA_ERR_INTERNAL, "text encoder: no tokens");
    for (size_t i = 0; i < n && !only_plan; i++)
        if (ids[i] < 0 || ids[i] >= t->k.vocab)
            return sr_fail(err, SORA_ERR_MODEL, "%s: token %d, but the table has %lld rows; the tokenizer is of "
                           "another model", sr_weights_path(t->w), ids[i], (long long)t->k.vocab);
    r = layer(c, t, 0, err) ? SORA_OK : err->code;      /* before planning, so that it need not be packed twice */
    if (r == SORA_OK) {
        sr_ctx_plan(c);
        r = run(c, t, ids, n, out, err);
        if (!only_plan) {
            const sora_result grown = sr_ctx_commit(c, err);        /* ends planning whatever happened */
            if (r == SORA_OK) r = grown;
            if (r == SORA_OK) r = run(c, t, ids, n, out, err);
        }
    }
    if (!t->resident) {
        block_close(t->block);
        t->loaded = -1;
        if (!only_plan) sr_weights_forget(t->w, NULL);
    }
    return r;
}
