/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head is as wide as the map (384 or 1024 channels), too wide for the tiles of sr_attention(), and there is one
 * such layer in a decoder, 0.4 % of its work at 832x480.  So it is put together from two matrix products with a softmax
 * between, for some queries at a time: the scores of all would be 14400^2 floats at 1280x720.
 */
#include <math.h>

#include "tensor/dnnl.h"
#include "vae/pixel_attention.h"

enum { QUERIES = 256 };

/* Row of n scores -> probabilities of type `type`, in place or apart. */
static void softmax_row(void *out, enum sr_type type, float *s, size_t n, float scale)
{
    float most = s[0], sum = 0;

    for (size_t i = 1; i < n; i++) most = SR_MAX(most, s[i]);
    for (size_t i = 0; i < n; i++) {
        s[i] = expf((s[i] - most) * scale);
        sum += s[i];
    }
    sum = 1 / sum;
    for (size_t i = 0; i < n; i++) {
        if (type == SR_BF16) ((uint16_t *)out)[i] = sr_f32_to_bf16(s[i] * sum);
        else ((float *)out)[i] = s[i] * sum;
    }
}

struct sr_fmap sr_pixel_attention(struct sr_ctx *c, const struct sr_fmap *qkv)
{
    const size_t L = qkv->H * qkv->W, C = qkv->C / 3, size = sr_type_size(qkv->type), step = SR_MIN(L, (size_t)QUERIES);
    const struct sr_fmap out = sr_fmap_scratch(c, 1, qkv->H, qkv->W, C, qkv->type);
    const size_t mark = sr_scratch_mark(c);
    const bool apart = qkv->type == SR_BF16;            /* probabilities of the values' type */
    const struct sr_tensor *scores = sr_scratch(c, step, L, SR_F32);
    const struct sr_tensor *p = apart ? sr_scratch(c, step, L, SR_BF16) : scores;
    const float scale = 1 / sqrtf((float)C);
    const double start = sr_now();

    for (size_t i = 0; i < L; i += step) {
        const size_t n = SR_MIN(step, L - i);
        const struct sr_product qk = { .M = n, .N = L, .K = C, .xs = 3 * C, .wk = 1, .wn = 3 * C, .type = qkv->type,
                                       .dst = SR_F32 };
        const struct sr_product pv = { .M = n, .N = C, .K = L, .xs = L, .wk = 3 * C, .wn = 1, .type = qkv->type,
                                       .dst = qkv->type };
        const uint8_t *q = qkv->data, *k = q, *v = q;
        uint8_t *o = out.data;

        if (q && o) {                                   /* not while planning */
            k += C * size;
            v += 2 * C * size;
            q += i * 3 * C * size;
            o += i * C * size;
        }
        sr_dnnl_product(c, &qk, q, k, scores->data);
        if (!sr_ctx_skip(c)) {
#pragma omp parallel for schedule(static) num_threads(c->threads)
            for (size_t row = 0; row < n; row++)
                softmax_row((uint8_t *)p->data + row * L * size, p->type, (float *)scores->data + row * L, L, scale);
        }
        sr_dnnl_product(c, &pv, p->data, v, o);
    }
    if (!sr_ctx_skip(c)) {
        c->prof.seconds[SR_ATTENTION] += sr_now() - start;
        c->prof.flop[SR_ATTENTION] += 4.0 * (double)L * (double)L * (double)C;
    }
    sr_scratch_release(c, mark);
    return out;
}
