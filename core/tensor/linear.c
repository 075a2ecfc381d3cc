/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One linear layer: weights packed at load, rows multiplied block by block. */
#include "kernels/kernels.h"
#include "tensor/dnnl.h"
#include "tensor/op.h"
#include "tensor/shared.h"

struct sr_linear {
    struct sr_packed *w;        /* [out, in] */
    float *bias;                /* [out] or NULL */
    size_t out, in;
    enum sr_type type;          /* of the weights and of the x that is multiplied */
};

struct parts {
    const struct sr_kernels *kern;
    const struct sr_param *weights;
    const size_t *out;
    size_t in, total;
    enum sr_type type;
    int threads;
    struct sr_ctx *c;
};

/* Rows from .. from + n of the stacked parts. */
static void read_rows(void *user, void *buf, size_t from, size_t n)
{
    const struct parts *s = user;

#pragma omp parallel for schedule(static) num_threads(s->threads) if (n * s->in >= SR_OMP_MIN)
    for (size_t i = 0; i < n; i++) {
        size_t row = from + i;
        int part = 0;
        while (row >= s->out[part]) row -= s->out[part++];
        sr_param_read(s->kern, (uint8_t *)buf + i * s->in * sr_type_size(s->type), s->type, &s->weights[part],
                      row * s->in, s->in);
    }
}

static sora_result check_parts(const struct sr_param *weights, const struct sr_param *biases, const size_t *out,
                               int parts, size_t in, size_t *total, bool *any_bias, sora_error *err)
{
    *total = 0;
    *any_bias = false;
    for (int i = 0; i < parts; i++) {
        size_t n;
        sora_result r;

        if (!in || !out[i] || SR_MUL_OVERFLOWS(out[i], in, &n) || SR_ADD_OVERFLOWS(*total, out[i], total) ||
            *total > INT32_MAX || in > INT32_MAX)
            return sr_fail(err, SORA_ERR_MODEL, "linear layer: %zu x %zu is no usable size", out[i], in);
        if ((r = sr_param_check(&weights[i], n, "linear layer: weight", err)) < 0) return r;
        if (!biases || (!biases[i].data && !biases[i].seed)) continue;
        if ((r = sr_param_check(&biases[i], out[i], "linear layer: bias", err)) < 0) return r;
        *any_bias = true;
    }
    return SORA_OK;
}

static sora_result pack(void *user, struct sr_packed **p, sora_error *err)
{
    struct parts *s = user;

    return sr_dnnl_pack(s->c, p, s->total, s->in, s->type, read_rows, s, err);
}

static struct sr_shared_key key_of(const struct parts *s, int parts)
{
    struct sr_shared_key key;

    memset(&key, 0, sizeof key);
    for (int i = 0; i < parts; i++) {
        if (!s->weights[i].source) return (struct sr_shared_key){ 0 };
        key.source = sr_rng_u64(key.source, s->weights[i].source, s->out[i]) | 1;
    }
    key.rows = s->total;
    key.cols = s->in;
    key.type = (int32_t)s->type;
    key.threads = s->threads;
    key.cpu = s->c->cpu;
    return key;
}

sora_result sr_linear_open(struct sr_ctx *c, struct sr_linear **out_l, const struct sr_param *weights,
                           const struct sr_param *biases, const size_t *out, int parts, size_t in, bool f32_only,
                           sora_error *err)
{
    struct sr_linear *l = NULL;
    struct parts src = { c->kern, weights, out, in, 0, f32_only ? SR_F32 : c->act, c->threads, c };
    struct sr_shared_key key;
    size_t total, at = 0;
    bool any_bias;
    sora_result r;

    *out_l = NULL;
    if ((r = check_parts(weights, biases, out, parts, in, &total, &any_bias, err)) < 0) goto done;
    if (!(l = sr_zalloc(sizeof *l))) {
        r = sr_fail_nomem(err, sizeof *l, "linear layer");
        goto done;
    }
    l->in = in;
    l->out = total;
    l->type = src.type;
    if (any_bias) {
        if (!(l->bias = sr_aligned(total * sizeof(float)))) {
            r = sr_fail_nomem(err, total * sizeof(float), "bias");
            goto done;
        }
        for (int i = 0; i < parts; at += out[i++]) {
            if (biases[i].data || biases[i].seed)
                sr_param_read(c->kern, l->bias + at, SR_F32, &biases[i], 0, out[i]);
            else
                memset(l->bias + at, 0, out[i] * sizeof(float));
        }
    }
    src.total = total;
    key = key_of(&src, parts);
    if ((r = sr_shared_get(&l->w, &key, pack, &src, err)) < 0) goto done;
    *out_l = l;
    l = NULL;
done:
    sr_linear_close(&l);
    return r;
}

void sr_linear_close(struct sr_linear **l)
{
    if (!*l) return;
    sr_shared_put(&(*l)->w);
    sr_free((*l)->bias);
    sr_free(*l);
    *l = NULL;
}

size_t sr_linear_bytes(const struct sr_linear *l)
{
    return l ? sr_packed_bytes(l->w) + (l->bias ? l->out * sizeof(float) : 0) : 0;
}

/* Rows to multiply at a time: nearly equal blocks, of whole tiles whatever the number of threads. */
static size_t block_rows(const struct sr_ctx *c, const struct sr_linear *l, size_t M)
{
    const double most = sr_call_flop(c) / (2.0 * (double)l->in * (double)l->out);
    const size_t tile = sr_packed_tile(l->w), blocks = (size_t)((double)M / SR_MAX(most, (double)tile)) + 1;

    return SR_MIN(M, SR_ROUND_UP(SR_CEIL_DIV(M, blocks), tile));
}

struct sr_tensor *sr_linear(struct sr_ctx *c, const struct sr_linear *l, const struct sr_tensor *x, enum sr_act act,
                            enum sr_type type)
{
    struct sr_tensor *y = sr_scratch(c, x->rows, l->out, type);
    const size_t mark = sr_scratch_mark(c), step = block_rows(c, l, x->rows);
    const bool direct = x->type == l->type && x->stride == x->cols;
    struct sr_tensor *copy = direct ? NULL : sr_scratch(c, step, l->in, l->type);
    const double start = sr_now(), reordered = c->prof.seconds[SR_REORDER];

    if (!c->err.code && x->cols != l->in)
        sr_fail(&c->err, SORA_ERR_INTERNAL, "linear layer: %zu columns given, %zu wanted", x->cols, l->in);
    for (size_t i = 0; i < x->rows && !c->err.code; i += step) {
        struct sr_tensor from = sr_rows(x, i, SR_MIN(step, x->rows - i)), to = sr_rows(y, i, from.rows);
        const struct sr_matmul m = { l->w, l->bias, from.rows, l->out, l->in, type, act };

        if (!direct) {
            struct sr_tensor dense = sr_rows(copy, 0, from.rows);
            sr_convert(c, &dense, &from);
            from = dense;
        }
        sr_dnnl_matmul(c, &m, from.data, to.data);
    }
    if (!sr_ctx_skip(c))
        sr_op_done(c, SR_LINEAR, start + c->prof.seconds[SR_REORDER] - reordered,
                   2.0 * (double)x->rows * (double)l->in * (double)l->out);
    sr_scratch_release(c, mark);
    return y;
}
