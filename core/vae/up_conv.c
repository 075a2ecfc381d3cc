/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "vae/up_conv.h"

/* Which of the small map's two rows kernel row k of 3 falls on, for even (0) and odd (1) outputs; so for columns. */
static const size_t falls_on[2][3] = { { 0, 1, 1 }, { 0, 0, 1 } };

/* 3 x 3 -> the 2 x 2 kernel for outputs of row parity a, column parity b */
static void fold(float *to, const float *from, size_t a, size_t b)
{
    memset(to, 0, 4 * sizeof *to);
    for (size_t k = 0; k < 9; k++) to[2 * falls_on[a][k / 3] + falls_on[b][k % 3]] += from[k];
}

void sr_up_conv_open(struct sr_loader *l, struct sr_up_conv *v, size_t in, size_t out, const float *weight,
                     const float *bias)
{
    const struct sr_conv_shape s = { in, 2 * out, .kt = 1, .kh = 2, .kw = 2, .pad_h = 1, .pad_w = 1, .stride_s = 1 };
    const size_t n = out * in;
    float *w = sr_malloc(2 * n * 4 * sizeof *w), *b = sr_malloc(2 * out * sizeof *b);
    const struct sr_param pw = { .data = w, .type = SR_F32, .n = 2 * n * 4 };
    const struct sr_param pb = { .data = bias ? b : NULL, .type = SR_F32, .n = 2 * out };

    v->in = in;
    v->out = out;
    if (l->result >= 0 && (!w || !b)) l->result = sr_fail_nomem(l->err, 2 * n * 4 * sizeof *w, "video decoder");
    for (size_t i = 0; bias && b && i < 2 * out; i++) b[i] = bias[i % out];
    for (size_t a = 0; a < 2 && l->result >= 0; a++) {
        for (size_t i = 0; i < 2 * n; i++) fold(w + 4 * i, weight + 9 * (i % n), a, i / n);
        l->result = sr_conv_open(l->c, &v->row[a], &s, &pw, &pb, l->err);
    }
    sr_free(w);
    sr_free(b);
}

void sr_up_conv_load(struct sr_loader *l, struct sr_up_conv *v, size_t in, size_t out, const char *name)
{
    float *weight, *bias;
    char full[128];

    snprintf(full, sizeof full, "%s.weight", name);
    weight = sr_load_f32(l, 4, (size_t[]){ out, in, 3, 3 }, full);
    snprintf(full, sizeof full, "%s.bias", name);
    bias = sr_load_vec(l, out, full);
    if (l->result >= 0) sr_up_conv_open(l, v, in, out, weight, bias);
    sr_free(weight);
    sr_free(bias);
}

void sr_up_conv_close(struct sr_up_conv *v)
{
    sr_conv_close(&v->row[0]);
    sr_conv_close(&v->row[1]);
}

/* to += from, n values */
static void add_pixel(void *to, const void *from, size_t n, enum sr_type type)
{
    if (type == SR_BF16)
        for (size_t i = 0; i < n; i++) {
            uint16_t *y = (uint16_t *)to + i;
            *y = sr_f32_to_bf16(sr_bf16_to_f32(*y) + sr_bf16_to_f32(((const uint16_t *)from)[i]));
        }
    else
        for (size_t i = 0; i < n; i++) ((float *)to)[i] += ((const float *)from)[i];
}

/*
 * Rows of one parity: from [1, n, W + 1, 2 out] to every second row of `to`, beginning with row `first`.  Position q of
 * a row of `from` sees columns q - 1 and q: an even output column 2 j is q = j, the odd one beside it q = j + 1.
 */
static void interleave(struct sr_ctx *c, const struct sr_fmap *from, const struct sr_fmap *to, size_t first, bool add)
{
    const size_t W = from->W - 1, n = to->C, bytes = n * sr_type_size(to->type);
    const double start = sr_now();

    if (sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads)
    for (size_t r = 0; r < from->H; r++) {
        const uint8_t *x = (const uint8_t *)from->data + r * from->W * 2 * bytes;
        uint8_t *y = (uint8_t *)to->data + (first + 2 * r) * to->W * bytes;
        for (size_t i = 0; i < 2 * W; i++) {
            const uint8_t *pixel = x + ((i + 1) / 2 * 2 + i % 2) * bytes;
            if (add) add_pixel(y + i * bytes, pixel, n, to->type);
            else memcpy(y + i * bytes, pixel, bytes);
        }
    }
    c->prof.seconds[SR_REORDER] += sr_now() - start;
}

void sr_up_conv(struct sr_ctx *c, const struct sr_up_conv *v, const struct sr_fmap *x, enum sr_act act, bool add,
                const struct sr_fmap *to)
{
    const size_t cached = (size_t)2 << 20, row = (x->W + 1) * 2 * v->out * sr_type_size(to->type);     /* bytes */
    size_t blocks, step;

    if (c->err.code) return;            /* maps may be empty then */
    blocks = SR_CEIL_DIV(x->H, SR_MAX(cached / row, 4));
    step = SR_CEIL_DIV(x->H, blocks);
    for (size_t r = 0; r < x->H; r += step) {
        for (size_t a = 0; a < 2; a++) {
            const size_t mark = sr_scratch_mark(c), n = SR_MIN(step, x->H - r);
            const struct sr_fmap some = sr_fmap_scratch(c, 1, n, x->W + 1, 2 * v->out, to->type);

            sr_conv_rows(c, v->row[a], x, r + a, act, NULL, &some);
            interleave(c, &some, to, 2 * r + a, add);
            sr_scratch_release(c, mark);
        }
    }
    if (!sr_ctx_skip(c)) {              /* the profile counts the mathematics: 9 products, where there were 4 */
        const double rows = 8.0 * (double)(v->in * v->out * x->H), W = (double)x->W;
        c->prof.flop[SR_CONV] += rows * (9 * W - 4 * (W + 1));
    }
}
