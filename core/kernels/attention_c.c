/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention in plain C: packed operands are rows of f32. */
#include <math.h>

#include "kernels/kernels_c.h"

enum { QUERIES = 4, KEYS = 128 };

static void pack_f32(void *out, const void *const *rows, size_t n, size_t D)
{
    for (size_t i = 0; i < n; i++) memcpy((float *)out + i * D, rows[i], D * sizeof(float));
}

static void pack_bf16(void *out, const void *const *rows, size_t n, size_t D)
{
    for (size_t i = 0; i < n; i++) sr_bf16_to_f32_c((float *)out + i * D, rows[i], D);
}

static void step(const struct sr_attention_step *s)
{
    const float log2e = 1.44269504f;
    const float *k = s->k, *v = s->v;

    for (size_t r = 0; r < s->rows; r++) {
        const float *q = (const float *)s->q + r * s->D;
        float *o = s->o + r * s->D, m = s->max[r], base, keep, sum = 0;

        for (size_t j = 0; j < s->n; j++) {
            float dot = 0;
            for (size_t d = 0; d < s->D; d++) dot += q[d] * k[j * s->D + d];
            dot *= s->scale;
            if (s->key_bias) dot += s->key_bias[j];
            if (s->rel_bias) dot += s->rel_bias[(ptrdiff_t)j - (ptrdiff_t)r];
            s->scores[j] = dot * log2e;
            m = fmaxf(m, s->scores[j]);
        }
        base = m == -INFINITY ? 0 : m;          /* every key masked so far: -INFINITY - -INFINITY would be NaN */
        keep = exp2f(s->max[r] - base);
        for (size_t d = 0; d < s->D; d++) o[d] *= keep;
        for (size_t j = 0; j < s->n; j++) {
            const float p = exp2f(s->scores[j] - base);
            sum += p;
            for (size_t d = 0; d < s->D; d++) o[d] += p * v[j * s->D + d];
        }
        s->max[r] = m;
        s->sum[r] = s->sum[r] * keep + sum;
    }
}

static inline void end(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D, const bool bf16)
{
    for (size_t i = 0; i < n; i++) {
        const float inv = sum[i] == 0 ? 0 : 1 / sum[i];
        for (size_t d = 0; d < D; d++) sr_elem_set((uint8_t *)out + i * stride, d, bf16, o[i * D + d] * inv);
    }
}

static void end_f32(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D)
{
    end(out, stride, o, sum, n, D, false);
}

static void end_bf16(void *out, size_t stride, const float *o, const float *sum, size_t n, size_t D)
{
    end(out, stride, o, sum, n, D, true);
}

const struct sr_attention_kernels sr_attention_c[SR_ELEMS] = {
    [SR_E_F32] = { QUERIES, KEYS, 1, 1, sizeof(float), pack_f32, pack_f32, pack_f32, step, end_f32 },
    [SR_E_BF16] = { QUERIES, KEYS, 1, 1, sizeof(float), pack_bf16, pack_bf16, pack_bf16, step, end_bf16 },
};
