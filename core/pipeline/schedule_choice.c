/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a model is sampled, and how it streams: what the user asks for, what its folder says, what its name tells. */
#include <ctype.h>
#include <stdio.h>

#include "pipeline/diffusion.h"

#define POCKET_WINDOW 3

/* Few-step checkpoints come without a word about their timesteps: their published names tell. */
static const struct {
    const char *part, *preset;              /* part of the name, in lower case; the first that fits */
} known[] = {
    { "fastwan", "fastwan" },
    { "turbowan", "rcm" },
    { "rcm", "rcm" },
    { "longlive-2", "longlive2" },
    { "longlive2", "longlive2" },
    { "longlive", "longlive" },
    { "framewise-1step", "causal-forcing++-1step" },
    { "framewise-2step", "causal-forcing++" },
    { "framewise", "causal-forcing-framewise" },
    { "causal-forcing++", "causal-forcing++" },
    { "causal-forcing", "causal-forcing" },
    { "causal_forcing", "causal-forcing" },
    { "self-forcing", "self-forcing" },
    { "self_forcing", "self-forcing" },
    { "sfwan", "self-forcing" },
    { "causvid", "causvid" },
};

/* Where sora.json does not say.  A folder that has one and says how it samples is taken at its word. */
static void choose_preset(struct sr_diffusion *d)
{
    struct sr_about *a = &d->about;
    const char *preset = d->mi.causal ? "self-forcing" : NULL, *by = "files";
    char name[sizeof d->parts.name];

    if (a->preset[0] || a->sampler.scheduled) return;
    for (size_t n = 0; n < sizeof name; n++) name[n] = (char)tolower((unsigned char)d->parts.name[n]);
    for (size_t i = SR_COUNT(known); i-- > 0;)
        if (strstr(name, known[i].part)) preset = known[i].preset, by = "name";
    if (!preset) return;
    sr_log(&d->base.job.log, SORA_LOG_INFO, "%s: sampled as a %s model, by its %s", d->parts.name, preset, by);
    snprintf(a->preset, sizeof a->preset, "%s", preset);
}

static sora_result check_stream(const struct sr_diffusion *d, sora_error *err)
{
    const struct sr_stream_config *sc = &d->sc;
    const struct sr_about_sampler *s = &d->about.sampler;
    const char *folder = d->parts.folder;
    const bool pocket = d->has_prior || strcmp(d->mi.family, "pocket") == 0;

    if (sc->window < 0)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: sampler.window is missing; wanted: how many latent frames of "
                       "the past a chunk sees", folder);
    if (sc->window + sc->sink < 1)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: sampler.window and sampler.sink are 0; wanted: a past for the "
                       "chunks of a stream", folder);
    if ((s->turn_every || s->turn_steps || s->turn_guidance > 0) && !pocket)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s/sora.json: sampler.%s is there; wanted: a pocket model with it, whose first frames "
                       "are sampled in a way of their own", folder,
                       s->turn_every ? "turn_every" : s->turn_steps ? "turn_steps" : "turn_guidance");
    if (s->turn_guidance > 0 && sc->last_step)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: sampler.turn_guidance is there, and sampler.cache is \"last-step\"; wanted: "
                       "one of them", folder);
    if (s->change_noise > 0 && !d->has_prior)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s/sora.json: sampler.change_noise is there; wanted: a model with spread_next, whose "
                       "frames are changes of the one before", folder);
    if (s->retouch_time > 0 && !(d->has_prior && d->about.lora_next[0]))
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: sampler.retouch_time is there, %s is not; wanted: both", folder,
                       d->has_prior ? "lora_next" : "spread_next");
    if (sc->change == SR_CHANGE_RECACHE && d->has_prior)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s/sora.json: prompt_change is \"re-cache\"; pocket models can "
                       "\"restart\", \"continue\" or \"turn\"", folder);
    if (sc->change == SR_CHANGE_TURN && !pocket)
        return sr_fail(err, SORA_ERR_UNSUPPORTED,
                       "%s/sora.json: prompt_change is \"turn\"; wanted: \"restart\", \"continue\" or "
                       "\"re-cache\" for a %s model, whose first frames are sampled like the others",
                       folder, d->mi.family);
    if (sc->change == SR_CHANGE_RECACHE && sc->chunk + sc->window + sc->sink > SR_MAX_CHUNK)
        return sr_fail(err, SORA_ERR_MODEL,
                       "%s/sora.json: sampler.window and sampler.sink are %lld and %lld; wanted: at most %lld "
                       "together for prompt_change \"re-cache\"",
                       folder, (long long)sc->window, (long long)sc->sink, (long long)(SR_MAX_CHUNK - sc->chunk));
    return SORA_OK;
}

sora_result sr_choose_stream(struct sr_diffusion *d, sora_error *err)
{
    const struct sr_about *a = &d->about;
    const struct sr_about_sampler *s = &a->sampler;
    const struct sr_preset *p = NULL;
    struct sr_stream_config *sc = &d->sc;
    sora_result r;

    choose_preset(d);
    if (a->preset[0] && (r = sr_preset_find(&p, a->preset, err)) < 0) return r;
    sc->chunk = a->chunk_latents ? a->chunk_latents : p ? p->chunk : 0;
    d->stream = sc->chunk > 0;
    if (!d->stream) return SORA_OK;
    sc->window = s->window >= 0 ? s->window : p && p->chunk ? p->window : d->has_prior ? POCKET_WINDOW : -1;
    sc->sink = s->sink >= 0 ? s->sink : p && s->window < 0 ? p->sink : 0;
    sc->context_t = 1000 * s->context_time;
    sc->turn_every = (s->turn_every + sc->chunk - 1) / sc->chunk;
    sc->last_step = s->last_step;
    sc->change = a->prompt_change ? a->prompt_change
                 : p && p->change ? p->change
                 : d->has_prior   ? SR_CHANGE_RESTART
                                  : SR_CHANGE_CONTINUE;
    return check_stream(d, err);
}

/* The steps that sora.json gives. */
static void said_config(const struct sr_about_sampler *s, struct sr_schedule_config *k, int *steps, enum sr_chunk_kind kind)
{
    const bool own = kind != SR_CHUNK_NEXT && s->nfirst;
    const int64_t n = kind == SR_CHUNK_NEXT ? s->next_steps : kind == SR_CHUNK_TURNED && s->turn_steps ? s->turn_steps : s->first_steps;

    sr_schedule_config_default(k,
                               !strcmp(s->kind, "unipc")     ? SR_UNIPC
                               : !strcmp(s->kind, "renoise") ? SR_RENOISE
                                                             : SR_EULER,
                               s->shift);
    k->renoise_until = s->renoise_until;
    k->grid = k->kind == SR_UNIPC ? SR_GRID_WAN : SR_GRID_EVEN;
    k->n_fixed = own ? s->nfirst : s->nnext;
    memcpy(k->fixed_t, own ? s->first_timesteps : s->timesteps, k->n_fixed * sizeof *k->fixed_t);
    *steps = k->n_fixed ? (int)k->n_fixed : n ? (int)n : 4;
}

/* What the folder says; *steps 0: the schedule's own. */
static sora_result own_config(struct sr_diffusion *d, struct sr_schedule_config *k, int *steps, enum sr_chunk_kind kind,
                              sora_error *err)
{
    *steps = 0;
    if (d->about.sampler.scheduled) {
        said_config(&d->about.sampler, k, steps, kind);
        return SORA_OK;
    }
    if (d->about.preset[0]) return sr_preset_config(k, steps, d->about.preset, kind != SR_CHUNK_NEXT, err);
    if (d->parts.scheduler) return sr_schedule_config_read(k, d->parts.scheduler, err);
    sr_schedule_config_default(k, SR_UNIPC, 5);
    return SORA_OK;
}

/* What the user changes of it. */
static sora_result override(struct sr_schedule_config *k, const sora_options *o, sora_error *err)
{
    static const char *const kinds[] = { [SR_EULER] = "euler", [SR_UNIPC] = "unipc", [SR_RENOISE] = "renoise" };
    enum sr_sampler_kind kind = k->kind;

    if (o->shift > 0 && k->n_fixed)
        return sr_fail(err, SORA_ERR_OPTION,
                       "shift: found %g, but this model was distilled for %zu fixed timesteps; leave the "
                       "option out",
                       (double)o->shift, k->n_fixed);
    for (size_t i = 0; o->sampler && i < SR_COUNT(kinds); i++)
        if (!strcmp(o->sampler, kinds[i])) kind = (enum sr_sampler_kind)i;
    if (kind != k->kind && !k->n_fixed && k->grid == SR_GRID_DIFFUSERS) sr_schedule_config_default(k, kind, k->shift);
    k->kind = kind;
    if (o->shift > 0) k->shift = o->shift;
    return SORA_OK;
}

static double own_guidance(const struct sr_diffusion *d, enum sr_chunk_kind kind)
{
    const struct sr_about_sampler *s = &d->about.sampler;
    const double said = kind == SR_CHUNK_FIRST ? s->first_guidance : kind == SR_CHUNK_NEXT ? s->next_guidance : s->turn_guidance;

    if (said > 0) return said;
    if (kind == SR_CHUNK_TURNED) return 1;
    if (d->about.guidance > 0) return d->about.guidance;
    return d->about.preset[0] || s->scheduled || d->stream ? 1 : 5;
}

/*
 * Steps of the first chunk where the user asks for some: having nothing to lean on, it keeps its share of more, but no more
 * than the model wants, unless that is what is asked for.
 */
static int first_chunk_steps(const struct sr_diffusion *d, const struct sr_schedule_config *k, int own, int asked)
{
    if (k->n_fixed) return own;                 /* and the list of the later ones says what may be asked for */
    return SR_MAX(asked, (int)SR_MIN(own, (int64_t)asked * own / SR_MAX(d->about.sampler.next_steps, 1)));
}

sora_result sr_choose_sampling(struct sr_diffusion *d, struct sr_sampling *s, enum sr_chunk_kind kind, sora_error *err)
{
    const sora_options *o = d->base.job.o;
    struct sr_schedule_config k;
    int steps;
    sora_result r;

    if ((r = own_config(d, &k, &steps, kind, err)) < 0) return r;
    if (!steps && d->about.steps && !k.n_fixed) steps = (int)d->about.steps;
    if (o->steps) steps = d->stream && kind != SR_CHUNK_NEXT ? first_chunk_steps(d, &k, steps, o->steps) : o->steps;
    if ((r = override(&k, o, err)) < 0) return r;
    s->shift = k.shift;
    s->guidance = own_guidance(d, kind);
    memcpy(s->interval, d->about.sampler.guidance_interval, sizeof s->interval);
    s->parallel = d->about.sampler.guidance_parallel;
    if (o->guidance > 0 && (kind == SR_CHUNK_FIRST || !d->has_prior || (kind == SR_CHUNK_TURNED && s->guidance != 1)))
        s->guidance = o->guidance;
    return sr_schedule_make(&s->schedule, &k, SR_MIN(steps, SR_MAX_STEPS), err);
}
