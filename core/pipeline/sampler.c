/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From one noise level to the next.  Every rule works on the estimate x0 = x - sigma v of the clean sample:
 *
 *   Euler     x' = x + (sigma' - sigma) v
 *   re-noise  x' = (1 - sigma') x0 + sigma' noise, and Euler's steps once sigma' is small enough
 *   UniPC     a multistep predictor and, at the step after it, a corrector that knows x0 there; Zhao et al. 2023, B(h)
 *             of their second form.  With alpha = 1 - sigma and lambda = log alpha - log sigma, going from s to t:
 *             x_t = sigma_t / sigma_s x_s - alpha_t phi (x0_s + differences),  phi = exp(-(lambda_t - lambda_s)) - 1
 */
#include <math.h>

#include "pipeline/sampler.h"

struct sr_sampler {
    struct sr_schedule s;
    size_t n;
    int known;                  /* steps done since the start, and so entries of x0 that hold something */
    int last_order;             /* of the predictor that gave the present x */
    float *x0[2];               /* [n] estimates of the last step and of the one before */
    float *from;                /* [n] where the last predictor started */
};

sora_result sr_sampler_open(struct sr_sampler **out, const struct sr_schedule *s, size_t n, sora_error *err)
{
    struct sr_sampler *m = sr_zalloc(sizeof *m);
    sora_result r = SORA_OK;

    *out = NULL;
    if (!m) return sr_fail_nomem(err, sizeof *m, "the sampler");
    m->s = *s;
    m->n = n;
    for (int i = 0; i < 3 && s->kind == SR_UNIPC; i++) {
        float **p = i < 2 ? &m->x0[i] : &m->from;
        if (!(*p = sr_calloc(n, sizeof **p))) r = sr_fail_nomem(err, n * sizeof **p, "the state of the sampler");
    }
    if (r < 0) sr_sampler_close(&m);
    *out = m;
    return r;
}

void sr_sampler_close(struct sr_sampler **m)
{
    if (!*m) return;
    sr_free((*m)->x0[0]);
    sr_free((*m)->x0[1]);
    sr_free((*m)->from);
    sr_free(*m);
    *m = NULL;
}

void sr_sampler_reset(struct sr_sampler *m)
{
    m->known = 0;
}

static double lambda_of(double sigma)
{
    return log(1 - sigma) - log(sigma);
}

/* x_t = base x_s + now x0_s + before x0_(s - 1) + next x0_t */
struct unipc {
    double base, now, before, next;
};

/* The predictor from level k to k + 1.  order 2 adds half the slope of x0 between the last two levels. */
static struct unipc predictor(const double *sigma, int k, int order)
{
    const double t = sigma[k + 1], s = sigma[k];
    struct unipc u = { .now = 1 };
    double h, phi, rho;

    if (t <= 0) return u;               /* lambda is infinite, phi = -1: what remains is x0 itself */
    h = lambda_of(t) - lambda_of(s);
    phi = expm1(-h);
    rho = order == 2 ? 0.5 / ((lambda_of(sigma[k - 1]) - lambda_of(s)) / h) : 0;
    u.base = t / s;
    u.now = -(1 - t) * phi * (1 - rho);
    u.before = -(1 - t) * phi * rho;
    return u;
}

/* The corrector from level k - 1 to k, once x0 at k is known; order: that of the predictor it corrects. */
static struct unipc corrector(const double *sigma, int k, int order)
{
    const double t = sigma[k], s = sigma[k - 1];
    const double h = lambda_of(t) - lambda_of(s), phi = expm1(-h);
    double before = 0, next = 0.5, r = 1;

    if (order == 2) {
        /* The weights make the result exact for x0 linear in lambda: [1 1; r 1] rho = b */
        const double p1 = phi / -h - 1, b1 = p1 / phi, b2 = 2 * (p1 / -h - 0.5) / phi;
        r = (lambda_of(sigma[k - 2]) - lambda_of(s)) / h;
        before = (b2 - b1) / (r - 1);
        next = b1 - before;
    }
    return (struct unipc){ .base = t / s,
                           .now = -(1 - t) * phi * (1 - before / r - next),
                           .before = -(1 - t) * phi * before / r,
                           .next = -(1 - t) * phi * next };
}

static void unipc_step(struct sr_sampler *m, int k, float *x, const float *v)
{
    const double *sigma = m->s.sigma;
    const int order = SR_MIN(SR_MIN(m->s.order, m->s.steps - k), m->known + 1);
    const struct unipc p = predictor(sigma, k, order);
    struct unipc c = { 0 };
    float *last = m->x0[0], *before = m->x0[1];

    if (m->known) c = corrector(sigma, k, m->last_order);
    for (size_t i = 0; i < m->n; i++) {
        const float x0 = (float)(x[i] - sigma[k] * v[i]);
        double here = x[i];

        if (m->known) here = c.base * m->from[i] + c.now * last[i] + c.before * before[i] + c.next * x0;
        m->from[i] = (float)here;
        x[i] = (float)(p.base * here + p.now * x0 + p.before * last[i]);
        before[i] = x0;                 /* the oldest entry goes; the two change names below */
    }
    m->x0[0] = before;
    m->x0[1] = last;
    m->last_order = order;
    m->known++;
}

void sr_sampler_step(struct sr_sampler *m, int k, float *x, const float *v, const float *noise)
{
    const double s = m->s.sigma[k], t = m->s.sigma[k + 1];

    if (m->s.kind == SR_UNIPC)
        unipc_step(m, k, x, v);
    else if (k < m->s.renoised)
        for (size_t i = 0; i < m->n; i++) x[i] = (float)((1 - t) * (x[i] - s * v[i]) + t * noise[i]);
    else
        for (size_t i = 0; i < m->n; i++) x[i] = (float)(x[i] + (t - s) * v[i]);
}
