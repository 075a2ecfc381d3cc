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

/* Where the next patch is, by the first of its four. */
static size_t next_patch(size_t at, size_t W)
{
    return at + (at % W == W - 2 ? W + 2 : 2);
}

/* x = from + gain (x - from) in the patch at `at`; gain: Wiener's, of what is as large as m where `noise` of it is error. */
static void keep_share(const struct sr_precondition *p, float *x, const float *from, size_t at, size_t channel, size_t W, double m,
                       double noise)
{
    const size_t patch[4] = { at, at + 1, at + W, at + W + 1 };
    const double gain = m > noise ? 1 - noise / m : 0;

    for (size_t ch = 0; ch < p->C; ch++)
        for (int i = 0; i < 4; i++) {
            const size_t k = ch * channel + patch[i];
            x[k] = (float)(from[k] + gain * ((double)x[k] - from[k]));
        }
}

void sr_precondition_settle(const struct sr_precondition *p, float *x, const float *mu, double noise, float *most, size_t F, size_t H,
                            size_t W)
{
    const size_t channel = F * H * W;

    for (size_t at = 0; at < channel; at = next_patch(at, W), most++) {
        const size_t patch[4] = { at, at + 1, at + W, at + W + 1 };
        double e = 0;

        for (size_t ch = 0; ch < p->C; ch++)
            for (int i = 0; i < 4; i++) {
                const size_t k = ch * channel + patch[i];
                const double change = ((double)x[k] - mu[k]) / p->next[ch];
                e += change * change;
            }
        *most = SR_MAX(*most, (float)(e / (4.0 * (double)p->C)));
        keep_share(p, x, mu, at, channel, W, *most, noise);
    }
}

/* The largest m of patch k of all those of frames of h x w patches, and of those around it in its frame. */
static double largest_around(const float *most, size_t k, size_t h, size_t w)
{
    const size_t x = k % w, y = k / w % h;
    const float *frame = most + k / (h * w) * h * w;
    double m = 0;

    for (size_t i = y - (y > 0); i < SR_MIN(y + 2, h); i++)
        for (size_t j = x - (x > 0); j < SR_MIN(x + 2, w); j++) m = SR_MAX(m, (double)frame[i * w + j]);
    return m;
}

void sr_precondition_retouch(const struct sr_precondition *p, float *x, const float *from, double change, const float *most, size_t F,
                             size_t H, size_t W)
{
    size_t k = 0;

    for (size_t at = 0; at < F * H * W; at = next_patch(at, W), k++)
        keep_share(p, x, from, at, F * H * W, W, largest_around(most, k, H / 2, W / 2), change);
}
