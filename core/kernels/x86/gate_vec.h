/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Residual sums, gates and silu for one CPU level; see vec.h. */
#include "kernels/x86/vec.h"

INLINE void add(float *x, const void *h, bool bf16, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN) v_store(x, i, false, v_add(v_load(x, i, false), v_load(h, i, bf16)));
    if (i < n)
        v_store_n(x, i, false, v_add(v_load_n(x, i, false, n - i), v_load_n(h, i, bf16, n - i)), n - i);
}

INLINE void add_gated(float *x, const void *h, bool bf16, const float *g, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN)
        v_store(x, i, false, v_fma(v_load(g, i, false), v_load(h, i, bf16), v_load(x, i, false)));
    if (i < n)
        v_store_n(x, i, false, v_fma(v_load_n(g, i, false, n - i), v_load_n(h, i, bf16, n - i),
                                     v_load_n(x, i, false, n - i)), n - i);
}

INLINE void mul(void *x, const void *h, bool bf16, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN) v_store(x, i, bf16, v_mul(v_load(x, i, bf16), v_load(h, i, bf16)));
    if (i < n) v_store_n(x, i, bf16, v_mul(v_load_n(x, i, bf16, n - i), v_load_n(h, i, bf16, n - i)), n - i);
}

void NAME(add_f32)(float *x, const void *h, size_t n)
{
    add(x, h, false, n);
}

void NAME(add_bf16)(float *x, const void *h, size_t n)
{
    add(x, h, true, n);
}

void NAME(add_gated_f32)(float *x, const void *h, const float *g, size_t n)
{
    add_gated(x, h, false, g, n);
}

void NAME(add_gated_bf16)(float *x, const void *h, const float *g, size_t n)
{
    add_gated(x, h, true, g, n);
}

void NAME(mul_f32)(void *x, const void *h, size_t n)
{
    mul(x, h, false, n);
}

void NAME(mul_bf16)(void *x, const void *h, size_t n)
{
    mul(x, h, true, n);
}

void NAME(silu)(float *x, size_t n)
{
    size_t i = 0;

    for (; i + VN <= n; i += VN) v_store(x, i, false, v_silu(v_load(x, i, false)));
    if (i < n) v_store_n(x, i, false, v_silu(v_load_n(x, i, false, n - i)), n - i);
}
