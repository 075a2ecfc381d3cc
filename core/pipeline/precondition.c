/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "pipeline/precondition.h"

void sr_precondition_velocity(const struct sr_precondition *p, float *v, const float *x, const float *mu, double t,
                              size_t n)
{
    for (size_t ch = 0; ch < p->C; ch++) {
        /* (x - x0) / t with the division carried out, so that nothing cancels at small t. */
        const double s = mu ? p->next[ch] : p->first[ch], q = (1 - t) * (1 - t) * s * s + t * t;
        const double skip = (t - (1 - t) * s * s) / q, out = s / sqrt(q);

        for (size_t i = ch * n; i < (ch + 1) * n; i++) {
            const double m = mu ? mu[i] : 0;
            v[i] = (float)(skip * (x[i] - (1 - t) * m) - m - out * v[i]);
        }
    }
}
