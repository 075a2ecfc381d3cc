/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The noise levels a sampler visits, and the time the network is told at each. */
#include <math.h>

#include "pipeline/sampler.h"

/* Larger shifts spend more of the steps at high noise: sigma = 1 stays, 1/2 becomes s / (s + 1). */
static double shifted(double sigma, double shift)
{
    return shift * sigma / (1 + (shift - 1) * sigma);
}

/* from .. to in n even steps, as numpy's linspace: entry i of n */
static double spaced(double from, double to, int n, int i)
{
    return n > 1 ? from + (to - from) * i / (n - 1) : from;
}

void sr_schedule_config_default(struct sr_schedule_config *k, enum sr_sampler_kind kind, double shift)
{
    memset(k, 0, sizeof *k);
    k->kind = kind;
    k->shift = shift > 0 ? shift : 1;
    k->order = 2;
    k->shift_twice = kind != SR_UNIPC;
    k->truncate_t = kind == SR_UNIPC;
}

static double grid_sigma(const struct sr_schedule_config *k, int n, int i)
{
    /* FlowMatchEuler builds its limits from the shifted training grid, so that its lower end is shifted twice. */
    const double lowest = k->shift_twice ? (float)shifted(0.001, k->shift) : 0.001;
    double sigma;

    if (k->grid == SR_GRID_EVEN) return shifted(spaced(1, 0, n + 1, i), k->shift);
    if (k->grid == SR_GRID_WAN) return shifted(spaced(0.999, 0, n + 1, i), k->shift);
    if (k->kind != SR_UNIPC) return shifted(spaced(1, lowest, n, i), k->shift);
    sigma = shifted(spaced(1, 0.001, n + 1, i), k->shift);
    return fabs(sigma - 1) < 1e-6 ? sigma - 1e-6 : sigma;       /* at 1 the log-SNR of UniPC is minus infinity */
}

static sora_result fixed_schedule(struct sr_schedule *s, const struct sr_schedule_config *k, sora_error *err)
{
    double last = INFINITY;

    for (int i = 0; i < s->steps; i++) {
        const double t = k->fixed_t[i];
        if (!(t > 0 && t <= 1000 && t < last))
            return sr_fail(err, SORA_ERR_MODEL, "list of timesteps: entry %d is %g; wanted: falling numbers above 0, "
                           "at most 1000", i, t);
        s->t[i] = last = t;
        s->sigma[i] = t / 1000;
    }
    return SORA_OK;
}

sora_result sr_schedule_make(struct sr_schedule *s, const struct sr_schedule_config *k, int steps, sora_error *err)
{
    sora_result r = SORA_OK;

    memset(s, 0, sizeof *s);
    s->kind = k->kind;
    if (k->n_fixed > SR_MAX_STEPS)
        return sr_fail(err, SORA_ERR_MODEL, "list of timesteps: %zu entries; at most %d can be used", k->n_fixed,
                       SR_MAX_STEPS);
    if (k->n_fixed && steps && (size_t)steps != k->n_fixed && !(k->fewer && steps > 0 && (size_t)steps < k->n_fixed))
        return sr_fail(err, SORA_ERR_OPTION, "steps: %d, but this model was distilled for %s%zu; leave the option out",
                       steps, k->fewer ? "1 to " : "exactly ", k->n_fixed);
    s->steps = steps ? steps : k->n_fixed ? (int)k->n_fixed : 50;
    if (s->steps < 1 || s->steps > SR_MAX_STEPS)
        return sr_fail(err, SORA_ERR_OPTION, "steps: %d; wanted: 1 to %d", steps, SR_MAX_STEPS);
    if (!k->n_fixed && !(k->shift >= 0.01 && k->shift <= 1000))
        return sr_fail(err, SORA_ERR_OPTION, "shift: %g; wanted: 0.01 to 1000", k->shift);
    if (k->kind == SR_UNIPC && (k->order < 1 || k->order > 2))
        return sr_fail(err, SORA_ERR_OPTION, "order of UniPC: %lld; wanted: 1 or 2", (long long)k->order);
    s->order = (int)k->order;

    if (k->n_fixed) r = fixed_schedule(s, k, err);
    for (int i = 0; i < s->steps && !k->n_fixed; i++) {
        const double sigma = grid_sigma(k, s->steps, i);
        s->sigma[i] = (float)sigma;     /* the references keep f32, and near 1 the log-SNR feels that */
        s->t[i] = k->truncate_t ? floor(sigma * 1000) : (float)((float)sigma * 1000);
    }
    s->sigma[s->steps] = 0;
    while (s->kind == SR_RENOISE && s->renoised + 1 < s->steps && s->sigma[s->renoised + 1] >= k->renoise_until) s->renoised++;
    s->start = s->kind == SR_RENOISE ? s->sigma[0] : 1;     /* rCM starts below 1; x there is sigma noise */
    return r;
}
