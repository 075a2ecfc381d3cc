/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Models that stream: chunk after chunk, each attending to the cached keys and values of the ones before.
 *
 *   x = noise;  a few steps with the cache          -> z[f]
 *   decode z[f]
 *   one more pass on z[f], which fills the cache with the keys and values of what will be remembered
 *
 * References: Yin et al., "From slow bidirectional to fast autoregressive video diffusion models", 2024; Huang et al.,
 * "Self Forcing", 2025; Yang et al., "LongLive", 2025, for the window with a sink and for renewing it.
 */
#include "pipeline/diffusion.h"

/* The pass that fills the cache, of the clean latents in d->x; with guidance also as the other prompt sees them. */
static sora_result remember(struct sr_diffusion *d, int64_t at, const float *prior, sora_error *err)
{
    float t[SR_MAX_CHUNK];
    const struct sr_model_input in = { .x = d->x, .F = d->F, .prior = prior, .t = t, .first_frame = at };
    sora_result r;

    for (size_t f = 0; f < d->F; f++) t[f] = (float)d->sc.context_t;
    r = sr_model_commit(d->c, d->model, 0, &in, NULL, err);
    if (r == SORA_OK && d->next.guidance != 1) r = sr_model_commit(d->c, d->model, 1, &in, NULL, err);
    return r;
}

/* ---- The past, for when it is renewed: a ring of latent frames, each [C, H, W] ---- */

/* Channel c of frame `at` of the stream, [H, W] */
static float *past(const struct sr_diffusion *d, uint64_t at, size_t c)
{
    return d->past + (at % d->past_frames * d->C + c) * d->H * d->W;
}

static void past_add(struct sr_diffusion *d, int64_t at)
{
    const size_t frame = d->H * d->W;

    for (size_t f = 0; d->past && f < d->F; f++)
        for (size_t c = 0; c < d->C; c++)
            memcpy(past(d, (uint64_t)at + f, c), d->x + (c * d->F + f) * frame, frame * sizeof *d->x);
}

/* x [C, n, H, W] = frames at, at + 1, ... of the stream */
static void past_get(const struct sr_diffusion *d, uint64_t at, size_t n, float *x)
{
    const size_t frame = d->H * d->W;

    for (size_t f = 0; f < n; f++)
        for (size_t c = 0; c < d->C; c++) memcpy(x + (c * n + f) * frame, past(d, at + f, c), frame * sizeof *x);
}

/*
 * Keys and values of the last frames again, as the new prompt sees them, in one pass in which they all see each other.  The
 * sink stays as it is, once the stream is longer than all that a chunk can see; until then it is renewed with the rest.
 * Reference: _recache_after_switch() of LongLive with global_sink.
 */
static sora_result renew(struct sr_diffusion *d, sora_error *err)
{
    const size_t all = d->past_frames;
    const uint64_t seen = (uint64_t)d->f * d->F;
    const bool keep_sink = seen > all;
    const size_t n = keep_sink ? all - (size_t)d->sc.sink : (size_t)seen;
    float t[SR_MAX_CHUNK];
    const struct sr_model_input in = { .x = d->again, .F = n, .t = t, .first_frame = (int64_t)(seen - n) };

    for (size_t f = 0; f < n; f++) t[f] = (float)d->sc.context_t;
    past_get(d, seen - n, n, d->again);
    return sr_model_renew(d->c, d->model, 0, &in, keep_sink, err);
}

/* The last chunks as the first chunks' model sees them: what it is to draw now follows on them. */
static sora_result recall(struct sr_diffusion *d, sora_error *err)
{
    const int64_t seen = SR_MIN(SR_MIN(d->f, d->sc.window / (int64_t)d->F), 64);        /* bits of firsts */
    float t[SR_MAX_CHUNK];
    sora_result r = SORA_OK;

    for (size_t f = 0; f < d->F; f++) t[f] = (float)d->sc.context_t;
    sr_model_reset(d->first_model);
    for (int64_t back = seen; back > 0 && r == SORA_OK; back--) {
        const uint64_t at = (uint64_t)(d->f - back) * d->F;
        const bool first = d->firsts >> (back - 1) & 1;
        const struct sr_model_input in = { .x = d->x, .F = d->F, .prior = d->has_prior && !first ? d->v : NULL, .t = t,
                                           .first_frame = (int64_t)at };
        past_get(d, at, d->F, d->x);
        if (in.prior) past_get(d, at - d->F, d->F, d->v);
        r = sr_model_commit(d->c, d->first_model, 0, &in, NULL, err);
    }
    return r;
}

/* ---- Chunks and prompts ---- */

/* The next chunk sees the past, but is sampled as a first one, and faded in. */
static sora_result turn_next(struct sr_diffusion *d, const struct sr_sink *sink, sora_error *err)
{
    d->turn = true;
    return sink->fade(sink->user, err);
}

sora_result sr_stream_chunk(struct sr_diffusion *d, int64_t chunk, int64_t left, const struct sr_sink *sink,
                            sora_error *err)
{
    const int64_t at = d->f * (int64_t)d->F;
    const float *prior;
    sora_result r;

    /* A model that drifts comes back by it: the error of many frames does not outlive one that is drawn anew. */
    if (d->sc.turn_every && !d->turn && d->since_first >= d->sc.turn_every && (r = turn_next(d, sink, err)) < 0) return r;
    d->since_first = d->f == 0 || d->turn ? 1 : d->since_first + 1;
    if (d->first_model && d->turn && (r = recall(d, err)) < 0) return r;
    prior = d->has_prior && d->f > 0 && !d->turn ? d->prior : NULL;
    if ((r = sr_denoise(d, d->f == 0 ? &d->first : d->turn ? &d->turned : &d->next, chunk, at, prior, sink, err)) < 0)
        return r;
    d->turn = false;
    if ((r = sr_save_latents(d, d->x, d->F, err)) < 0) return r;
    if (chunk == 0) sr_vae_reset(d->vae);
    /* The pictures first: they need not wait for the pass, and after the last ones nobody will remember. */
    if ((r = sr_decode(d, d->x, d->F, &left, sink, err)) < 0 || left == 0) return r;
    if (!d->sc.last_step && (r = remember(d, at, prior, err)) < 0) return r;
    if (d->has_prior) memcpy(d->prior, d->x, d->C * d->F * d->H * d->W * sizeof *d->x);
    past_add(d, at);
    d->firsts = d->firsts << 1 | (d->since_first == 1);
    d->f++;
    return SORA_OK;
}

sora_result sr_stream_new_prompt(struct sr_diffusion *d, const struct sr_sink *sink, sora_error *err)
{
    if (d->f == 0 || d->sc.change == SR_CHANGE_CONTINUE) return SORA_OK;
    if (d->sc.change == SR_CHANGE_RECACHE) return renew(d, err);
    if (d->sc.change == SR_CHANGE_TURN) return turn_next(d, sink, err);
    sr_model_reset(d->model);
    if (d->first_model) sr_model_reset(d->first_model);
    d->f = 0;
    /* A stream's first latent is one picture for decoders that remember; pocket's takes every latent for itself. */
    if (!d->has_prior) sr_vae_reset(d->vae);
    return sink->fade(sink->user, err);
}
