/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the tensor layer share: contexts, random matrices, results as floats. */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdlib.h>

#include "near.h"
#include "tensor/dnnl.h"
#include "tensor/op.h"

static inline float *random_floats(size_t n, uint64_t stream)
{
    float *x = malloc((n + 4) * sizeof *x);

    sr_rng_normal(x, n, 99, stream, 0);
    return x;
}

/* NULL where this CPU has no such precision. */
static inline struct sr_ctx *ctx_of(enum sr_type act, int threads)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };
    const char *isa = getenv("ONEDNN_MAX_CPU_ISA");     /* ops_avx2.sh: oneDNN as on an older CPU */
    const unsigned cpu = isa && !strcmp(isa, "AVX2") ? SR_CPU_AVX2 : ~0u;
    const sora_result r = sr_ctx_open(&c, act, threads, cpu, NULL, NULL, &err);

    ck_assert_msg(r == SORA_OK || (act == SR_BF16 && r == SORA_ERR_UNSUPPORTED), "%s", err.text);
    return c;
}

static inline struct sr_tensor matrix(float *data, size_t rows, size_t cols)
{
    return (struct sr_tensor){ data, SR_F32, rows, cols, cols };
}

static inline struct sr_param param(const float *data, size_t n)
{
    return (struct sr_param){ .data = data, .type = SR_F32, .n = n };
}

static inline struct sr_param made_up(size_t n, uint64_t seed, float scale)
{
    return (struct sr_param){ .type = SR_F32, .n = n, .seed = seed, .scale = scale };
}

/* y as floats */
static inline float *floats_of(const struct sr_tensor *y)
{
    float *out = malloc(y->rows * y->cols * sizeof *out);

    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++)
            out[i * y->cols + j] = y->type == SR_F32 ? ((const float *)y->data)[i * y->stride + j]
                                                     : sr_bf16_to_f32(((const uint16_t *)y->data)[i * y->stride + j]);
    return out;
}

static inline double activate(double v, enum sr_act act)
{
    switch (act) {
    case SR_ACT_GELU_TANH: return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case SR_ACT_SILU: return v / (1 + exp(-v));
    case SR_ACT_RELU: return v > 0 ? v : 0;
    default: return v;
    }
}

static inline void to_type(void *to, enum sr_type type, float *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (type == SR_F32) {
            ((float *)to)[i] = from[i];
        } else {
            ((uint16_t *)to)[i] = sr_f32_to_bf16(from[i]);
            from[i] = sr_bf16_to_f32(((uint16_t *)to)[i]);
        }
    }
}

#endif
