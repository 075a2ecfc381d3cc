/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Models that stream: chunk after chunk, each attending to the cached keys and values of the ones before.
 *
 *   x = noise;  a few steps with the cache          -> z[f]
 *   one more pass on z[f], which fills the cache with the keys and values of what will be remembered
 *   decode z[f]
 *
 * References: Yin et al., "From slow bidirectional to fast autoregressive video diffusion models", 2024; Huang et al.,
 * "Self Forcing", 2025.
 */
#include "pipeline/diffusion.h"

#define FADE 4              /* chunks over which a new prompt's pictures come in, where it begins a new stream */

/* The chunk's keys and values, of the clean latents in d->x; with guidance also as the other prompt sees them. */
static sora_result remember(struct sr_diffusion *d, int64_t at, const float *prior, sora_error *err)
{
    float t[SR_MAX_CHUNK];
    const struct sr_model_input in = { .x = d->x, .F = d->F, .prior = prior, .t = t, .first_frame = at };

    sora_result r;

    for (size_t f = 0; f < d->F; f++) t[f] = (float)d->sc.context_t;
    r = sr_model_commit(d->c, d->model, 0, &in, err);
    if (r == SORA_OK && d->next.guidance != 1) r = sr_model_commit(d->c, d->model, 1, &in, err);
    return r;
}

/* What is shown of d->x: itself, or on the way from the old prompt's last picture to it.  In d->v, which is free now. */
static const float *faded(struct sr_diffusion *d, size_t n)
{
    const double k = (double)(FADE + 1 - d->fade_left) / (FADE + 1);

    if (!d->fade_left) return d->x;
    for (size_t i = 0; i < n; i++) d->v[i] = (float)((1 - k) * d->fade[i] + k * d->x[i]);
    d->fade_left--;
    return d->v;
}

sora_result sr_stream_chunk(struct sr_diffusion *d, int64_t chunk, int64_t left, const struct sr_sink *sink, sora_error *err)
{
    const size_t n = d->C * d->F * d->H * d->W;
    const int64_t at = d->f * (int64_t)d->F;
    const float *prior = d->has_prior && d->f > 0 ? d->prior : NULL, *show;
    sora_result r;

    if ((r = sr_denoise(d, d->f == 0 ? &d->first : &d->next, chunk, at, prior, sink, err)) < 0) return r;
    if ((r = remember(d, at, prior, err)) < 0) return r;
    if ((r = sr_save_latents(d, d->x, d->F, err)) < 0) return r;
    memcpy(d->prior, d->x, n * sizeof *d->x);
    d->f++;
    show = faded(d, n);
    memcpy(d->shown, show, n * sizeof *show);
    if (chunk == 0) sr_vae_reset(d->vae);
    return sr_decode(d, d->shown, d->F, &left, sink, err);
}

void sr_stream_new_prompt(struct sr_diffusion *d)
{
    /* A new stream, into which the latents are faded, as they are linear in the pixels; or the stream goes on with its past
       as it is, and the model makes the change. */
    const bool restart = d->about.prompt_change[0] ? !strcmp(d->about.prompt_change, "restart") : d->has_prior;

    if (!restart || d->f == 0) return;
    sr_model_reset(d->model);
    d->f = 0;
    memcpy(d->fade, d->shown, d->C * d->F * d->H * d->W * sizeof *d->fade);
    d->fade_left = FADE;
}
