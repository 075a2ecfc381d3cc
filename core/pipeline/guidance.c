/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipeline/guidance.h"

/* How many times the estimate x - t v is in v - u. */
static double share_along(const float *v, const float *u, const float *x, const double *spread, size_t C, size_t n, double t)
{
    double product = 0, square = 0;

    for (size_t ch = 0; ch < C; ch++) {
        const double s = spread ? spread[ch] : 1;
        double p = 0, q = 0;

        for (size_t i = ch * n; i < (ch + 1) * n; i++) {
            const double x0 = x[i] - t * v[i];
            p += x0 * ((double)v[i] - u[i]);
            q += x0 * x0;
        }
        product += p / (s * s);
        square += q / (s * s);
    }
    return square > 0 ? product / square : 0;
}

void sr_guide(float *v, const float *u, const float *x, const double *spread, size_t C, size_t n, double t, double scale,
              double parallel)
{
    const double less = parallel < 1 ? (scale - 1) * (1 - parallel) * share_along(v, u, x, spread, C, n, t) : 0;

    for (size_t i = 0; i < C * n; i++)
        v[i] = (float)(u[i] + scale * ((double)v[i] - u[i]) - less * (x[i] - t * v[i]));
}
