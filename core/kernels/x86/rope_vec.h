/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RMS norm and rotation of one token for one CPU level; see vec.h. */
#include <math.h>

#include "kernels/kernels_c.h"
#include "kernels/x86/vec.h"

INLINE float mean_square(const void *x, bool bf16, size_t n)
{
    vf a = v_set1(0), b = v_set1(0);
    size_t i = 0;

    for (; i + 2 * VN <= n; i += 2 * VN) {
        const vf p = v_load(x, i, bf16), q = v_load(x, i + VN, bf16);
        a = v_fma(p, p, a);
        b = v_fma(q, q, b);
    }
    for (; i < n; i += VN) {
        const vf p = i + VN <= n ? v_load(x, i, bf16) : v_load_n(x, i, bf16, n - i);
        a = v_fma(p, p, a);
    }
    return v_sum(v_add(a, b)) / (float)n;
}

/* Channels from .. to of a head that begins at `head`; whole vectors, the rest pair by pair. */
INLINE void turn(void *x, bool bf16, const float *w, float factor, const float *cos, const float *sin, size_t head,
                 size_t d)
{
    const vf f = v_set1(factor);
    size_t i = 0;

    for (; i + VN <= d; i += VN) {
        vf v = v_load(x, head + i, bf16);
        if (w) v = v_mul(v_mul(v, f), v_load(w, head + i, false));
        if (cos) v = v_turn(v, cos + i / 2, sin + i / 2);
        v_store(x, head + i, bf16, v);
    }
    for (; i < d; i += 2) {
        const size_t at = head + i;
        const float a = sr_elem_get(x, at, bf16) * (w ? factor * w[at] : 1);
        const float b = sr_elem_get(x, at + 1, bf16) * (w ? factor * w[at + 1] : 1);

        sr_elem_set(x, at, bf16, cos ? a * cos[i / 2] - b * sin[i / 2] : a);
        sr_elem_set(x, at + 1, bf16, cos ? a * sin[i / 2] + b * cos[i / 2] : b);
    }
}

INLINE void rms_rope(void *x, bool bf16, const float *w, float eps, const float *cos, const float *sin, size_t n,
                     size_t d)
{
    const float factor = w ? 1 / sqrtf(mean_square(x, bf16, n) + eps) : 1;

    for (size_t head = 0; head < n; head += d) {
        if (w && cos)
            turn(x, bf16, w, factor, cos, sin, head, d);
        else
            turn(x, bf16, w, factor, cos, sin, head, d);
    }
}

void NAME(rms_rope_f32)(void *x, const float *w, float eps, const float *cos, const float *sin, size_t n, size_t d)
{
    rms_rope(x, false, w, eps, cos, sin, n, d);
}

void NAME(rms_rope_bf16)(void *x, const float *w, float eps, const float *cos, const float *sin, size_t n, size_t d)
{
    rms_rope(x, true, w, eps, cos, sin, n, d);
}
