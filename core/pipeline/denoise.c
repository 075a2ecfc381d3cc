/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "pipeline/diffusion.h"
#include "pipeline/guidance.h"

static size_t chunk_size(const struct sr_diffusion *d)
{
    return d->C * d->F * d->H * d->W;
}

/* Random numbers have an address: chunk, and which of the chunk's draws.  So no frame depends on what ran before it. */
static uint64_t draw(int64_t chunk, int k)
{
    return (uint64_t)chunk << 12 | (uint64_t)k;
}

/* to [C, F, H, W] = frames of from [C, all, H, W] that belong to this chunk */
static void take_frames(const struct sr_diffusion *d, float *to, const float *from, size_t all, size_t first)
{
    const size_t frame = d->H * d->W;

    for (size_t c = 0; c < d->C; c++)
        memcpy(to + c * d->F * frame, from + (c * all + first) * frame, d->F * frame * sizeof *to);
}

/* Noise number k of a chunk: 0 is where it starts, k what a step adds before step k. */
static sora_result noise(struct sr_diffusion *d, float *out, int64_t chunk, int k, sora_error *err)
{
    const struct sr_given *g = &d->noise;
    const float *from = g->data;
    char name[32];

    if (!g->data) {
        sr_rng_normal(out, chunk_size(d), d->base.job.seed, draw(chunk, k), 0);
        return SORA_OK;
    }
    if (g->dim[0] != d->C || g->dim[2] != d->H || g->dim[3] != d->W || g->dim[1] / d->F <= (uint64_t)chunk ||
        (!d->stream && g->dim[1] != d->F))
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"noise\" is [%zu, %zu, %zu, %zu]; wanted: [%zu, %s%zu, %zu, %zu] for this size "
                       "and length", sr_weights_path(g->w), g->dim[0], g->dim[1], g->dim[2], g->dim[3], d->C,
                       d->stream ? "at least " : "", d->F * ((size_t)chunk + 1), d->H, d->W);
    snprintf(name, sizeof name, "renoise.%d", k);
    if (k > 0 && !(from = sr_given_also(g, name, err))) return SORA_ERR_MODEL;
    take_frames(d, out, from, g->dim[1], (size_t)chunk * d->F);
    return SORA_OK;
}

/* One pass; its keys and values are kept where no other pass will fill the cache. */
static sora_result network(struct sr_diffusion *d, int which, const struct sr_model_input *in, bool last, float *out, sora_error *err)
{
    const bool first = d->f == 0 || d->turn;

    if (last && d->sc.last_step) return sr_model_commit(d->c, d->model, which, in, out, err);
    return sr_model_forward(d->c, first && d->first_model ? d->first_model : d->model, which, in, out, err);
}

bool sr_guided(const struct sr_sampling *s, int k)
{
    return s->guidance != 1 && s->schedule.sigma[k] >= s->interval[0] && s->schedule.sigma[k] <= s->interval[1];
}

/* The network's velocity for d->x at step k, guided, in d->v. */
static sora_result velocity(struct sr_diffusion *d, const struct sr_sampling *s, int k, int64_t at, const float *prior,
                            sora_error *err)
{
    const size_t channel = d->F * d->H * d->W;
    const double *spread = !d->pre.C ? NULL : prior ? d->pre.next : d->pre.first;
    const double g = s->guidance != 1 && d->base.guidance > 0 ? d->base.guidance : s->guidance;
    const double sigma = s->schedule.sigma[k];
    float t[SR_MAX_CHUNK];
    const struct sr_model_input in = { .x = d->x, .F = d->F, .prior = prior, .t = t, .first_frame = at };
    const bool last = k + 1 == s->schedule.steps;
    sora_result r;

    for (size_t f = 0; f < d->F; f++) t[f] = (float)s->schedule.t[k];
    if ((r = network(d, 0, &in, last, d->v, err)) < 0) return r;
    sr_precondition_velocity(&d->pre, d->v, d->x, prior, sigma, channel);
    if (sr_guided(s, k)) {
        if ((r = network(d, 1, &in, last, d->u, err)) < 0) return r;
        sr_precondition_velocity(&d->pre, d->u, d->x, prior, sigma, channel);
        sr_guide(d->v, d->u, d->x, spread, d->C, channel, sigma, g, s->parallel);
    }
    return SORA_OK;
}

static bool all_finite(const float *x, size_t n)
{
    size_t bad = 0;

    for (size_t i = 0; i < n; i++) bad += !(x[i] - x[i] == 0);
    return bad == 0;
}

/*
 * What goes somewhere in d->x once more, as the first chunks' model sees it behind noise: alone, without the past.  An estimate in one
 * step is a mean of what could be, so that what moves loses a part of itself in every frame, and it is this that makes it whole.
 * k: the number of the noise.  Reference: Meng et al., "SDEdit", 2022.
 */
static sora_result retouch(struct sr_diffusion *d, int64_t chunk, int k, int64_t at, sora_error *err)
{
    const double t = d->about.sampler.retouch_time;
    const size_t n = chunk_size(d);
    float told[SR_MAX_CHUNK];
    const struct sr_model_input in = { .x = d->u, .F = d->F, .t = told, .first_frame = at };
    sora_result r;

    for (size_t f = 0; f < d->F; f++) told[f] = (float)(1000 * t);
    if ((r = noise(d, d->u, chunk, k, err)) < 0) return r;
    for (size_t i = 0; i < n; i++) d->u[i] = (float)((1 - t) * d->x[i] + t * d->u[i]);
    sr_model_reset(d->first_model);
    if ((r = sr_model_forward(d->c, d->first_model, 0, &in, d->v, err)) < 0) return r;
    sr_precondition_velocity(&d->pre, d->v, d->u, NULL, t, n / d->C);
    for (size_t i = 0; i < n; i++) d->u[i] = (float)(d->u[i] - t * d->v[i]);
    sr_precondition_retouch(&d->pre, d->u, d->x, d->about.sampler.retouch_change, d->most, d->F, d->H, d->W);
    memcpy(d->x, d->u, n * sizeof *d->x);
    return SORA_OK;
}

sora_result sr_denoise(struct sr_diffusion *d, struct sr_sampling *s, int64_t chunk, int64_t at, const float *prior,
                       const struct sr_sink *sink, sora_error *err)
{
    const size_t n = chunk_size(d);
    const int steps = s->schedule.steps;
    sora_result r;

    if ((r = noise(d, d->x, chunk, 0, err)) < 0) return r;
    for (size_t i = 0; s->schedule.start != 1 && i < n; i++) d->x[i] = (float)(d->x[i] * s->schedule.start);
    sr_sampler_reset(s->sampler);
    sink->stage(sink->user, SORA_STAGE_STEP, 0, steps);
    for (int k = 0; k < steps; k++) {
        const bool fresh = k < s->schedule.renoised;
        if ((r = velocity(d, s, k, at, prior, err)) < 0) return r;
        if (fresh && (r = noise(d, d->u, chunk, k + 1, err)) < 0) return r;
        sr_sampler_step(s->sampler, k, d->x, d->v, fresh ? d->u : NULL);
        if (!all_finite(d->x, n))
            return sr_fail(err, SORA_ERR_INTERNAL, "step %d of %d gave numbers that are not finite (NaN) in %s; try precision=f32",
                           k + 1, steps, d->mi.family);
        sink->stage(sink->user, SORA_STAGE_STEP, k + 1, steps);
    }
    if (!prior) {
        sr_precondition_stand_still(&d->pre, d->x, d->F * d->H * d->W);
        if (d->most) memset(d->most, 0, n / d->C / 4 * sizeof *d->most);
    } else if (d->most) {
        sr_precondition_settle(&d->pre, d->x, prior, d->about.sampler.change_noise, d->most, d->F, d->H, d->W);
        if (d->about.sampler.retouch_time > 0) return retouch(d, chunk, steps, at, err);
    }
    return SORA_OK;
}

/* Pictures on their way from the decoder to the sink. */
struct decoded {
    const struct sr_sink *sink;
    int64_t *left;
};

static sora_result give(void *user, const float *rgb, sora_error *err)
{
    const struct decoded *g = user;

    if (*g->left <= 0) return SORA_OK;          /* the end of the clip lies within the latent */
    --*g->left;
    return g->sink->frame(g->sink->user, rgb, err);
}

sora_result sr_decode(struct sr_diffusion *d, const float *z, size_t F, int64_t *left, const struct sr_sink *sink,
                      sora_error *err)
{
    struct decoded g = { sink, left };
    const struct sr_vae_out out = { give, &g };
    const size_t frame = d->H * d->W;
    sora_result r;

    sink->stage(sink->user, SORA_STAGE_DECODE, 0, 0);
    if (!all_finite(z, d->C * F * frame))
        return sr_fail(err, SORA_ERR_INTERNAL, "the latents hold numbers that are not finite (NaN)");
    for (size_t f = 0; f < F && *left > 0; f++) {
        for (size_t c = 0; c < d->C; c++) memcpy(d->z + c * frame, z + (c * F + f) * frame, frame * sizeof *z);
        if ((r = sr_vae_decode(d->c, d->vae, d->z, &out, err)) < 0) return r;
    }
    return SORA_OK;
}

sora_result sr_save_latents(struct sr_diffusion *d, const float *z, size_t F, sora_error *err)
{
    const size_t frame = d->H * d->W, n = d->C * frame;
    float *saved;

    if (!d->base.job.o->save_latents_file) return SORA_OK;
    if (!(saved = sr_realloc(d->saved, d->saved_frames + F, n * sizeof *saved)))
        return sr_fail_nomem(err, (d->saved_frames + F) * n * sizeof *saved, "latents to save");
    d->saved = saved;
    for (size_t f = 0; f < F; f++, d->saved_frames++)
        for (size_t c = 0; c < d->C; c++)
            memcpy(saved + d->saved_frames * n + c * frame, z + (c * F + f) * frame, frame * sizeof *z);
    return SORA_OK;
}
