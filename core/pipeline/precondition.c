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

void sr_precondition_stand_still(const struct sr_precondition *p, float *x, size_t n)
{
    double from[SR_MAX_STILL];

    for (size_t i = 0; i < n && p->still; i++) {
        for (size_t ch = 0; ch < p->C; ch++) from[ch] = x[ch * n + i];
        for (size_t to = 0; to < p->C; to++) {
            double y = p->still_bias[to];
            for (size_t ch = 0; ch < p->C; ch++) y += p->still[to * p->C + ch] * from[ch];
            x[to * n + i] = (float)y;
        }
    }
}

void sr_precondition_settle(const struct sr_precondition *p, float *x, const float *mu, double noise, float *most, size_t F, size_t H,
                            size_t W)
{
    const size_t channel = F * H * W;

    for (size_t at = 0; at < channel; at += at % W == W - 2 ? W + 2 : 2) {      /* the first of each patch's four */
        const size_t patch[4] = { at, at + 1, at + W, at + W + 1 };
        double e = 0, gain;

        for (size_t ch = 0; ch < p->C; ch++)
            for (int i = 0; i < 4; i++) {
                const size_t k = ch * channel + patch[i];
                const double change = ((double)x[k] - mu[k]) / p->next[ch];
                e += change * change;
            }
        *most = SR_MAX(*most, (float)(e / (4.0 * (double)p->C)));
        gain = *most > noise ? 1 - noise / *most : 0;
        most++;
        for (size_t ch = 0; ch < p->C; ch++)
            for (int i = 0; i < 4; i++) {
                const size_t k = ch * channel + patch[i];
                x[k] = (float)(mu[k] + gain * ((double)x[k] - mu[k]));
            }
    }
}
