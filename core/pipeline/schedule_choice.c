/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which schedule a model is sampled with: what the user asks for, what its folder says, what its name tells. */
#include <ctype.h>
#include <stdio.h>

#include "pipeline/diffusion.h"

/* Few-step checkpoints come without a word about their timesteps: their published names tell.  Streams: latent frames of
   a chunk and of the cache, as their authors run them. */
static const struct known {
    const char *part, *preset;              /* part of the name, in lower case */
    int chunk, window, sink;                /* chunk 0: makes clips */
} known[] = {
    { "fastwan", "fastwan", 0, 0, 0 },
    { "turbowan", "rcm", 0, 0, 0 },
    { "rcm", "rcm", 0, 0, 0 },
    { "longlive-2", "longlive2", 8, 24, 8 },
    { "longlive2", "longlive2", 8, 24, 8 },
    { "longlive", "longlive", 3, 6, 3 },
    { "self-forcing", "self-forcing", 3, 18, 0 },
    { "self_forcing", "self-forcing", 3, 18, 0 },
    { "causal-forcing++", "causal-forcing++", 1, 20, 0 },
    { "causal-forcing", "causal-forcing", 3, 18, 0 },
    { "causal_forcing", "causal-forcing", 3, 18, 0 },
    { "causvid", "causvid", 3, 18, 0 },
};

void sr_choose_preset(struct sr_diffusion *d)
{
    struct sr_about *a = &d->about;
    char name[sizeof d->parts.name];
    size_t i = 0;

    for (size_t n = 0; n < sizeof name; n++) name[n] = (char)tolower((unsigned char)d->parts.name[n]);
    while (i < SR_COUNT(known) && !(a->preset[0] ? !strcmp(known[i].preset, a->preset) : strstr(name, known[i].part) != NULL)) i++;
    if (i == SR_COUNT(known)) return;
    if (!a->preset[0]) {
        sr_log(&d->base.job.log, SORA_LOG_INFO, "%s: sampled as a %s model, by its name", d->parts.name, known[i].preset);
        snprintf(a->preset, sizeof a->preset, "%s", known[i].preset);
    }
    if (!a->chunk_latents) a->chunk_latents = known[i].chunk;
    if (!a->window) a->window = known[i].window, a->sink = known[i].sink;
}

/* What the folder says; *steps 0: the schedule's own. */
static sora_result own_config(struct sr_diffusion *d, struct sr_schedule_config *k, int *steps, bool first, sora_error *err)
{
    *steps = 0;
    if (d->pre.C) {
        *k = d->sc.schedule;
        *steps = first ? d->sc.first_steps : d->sc.next_steps;
        return SORA_OK;
    }
    if (d->about.preset[0]) return sr_preset_config(k, steps, d->about.preset, first, err);
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
        return sr_fail(err, SORA_ERR_OPTION, "shift: found %g, but this model was distilled for %zu fixed timesteps; leave the "
                       "option out", (double)o->shift, k->n_fixed);
    for (size_t i = 0; o->sampler && i < SR_COUNT(kinds); i++)
        if (!strcmp(o->sampler, kinds[i])) kind = (enum sr_sampler_kind)i;
    if (kind != k->kind && !k->n_fixed && k->grid == SR_GRID_DIFFUSERS) sr_schedule_config_default(k, kind, k->shift);
    k->kind = kind;
    if (o->shift > 0) k->shift = o->shift;
    return SORA_OK;
}

static double own_guidance(const struct sr_diffusion *d, bool first)
{
    if (d->about.guidance > 0) return d->about.guidance;
    if (d->pre.C) return first ? d->sc.first_guidance : d->sc.next_guidance;
    return d->about.preset[0] ? 1 : 5;
}

sora_result sr_choose_sampling(struct sr_diffusion *d, struct sr_sampling *s, bool first, sora_error *err)
{
    const sora_options *o = d->base.job.o;
    struct sr_schedule_config k;
    int steps;
    sora_result r;

    if ((r = own_config(d, &k, &steps, first, err)) < 0) return r;
    if (!steps && d->about.steps && !k.n_fixed) steps = (int)d->about.steps;
    /* A stream's first chunk, which has nothing to lean on, keeps its share of more steps. */
    if (o->steps && d->pre.C && first) steps = SR_MAX(1, (int)((int64_t)o->steps * steps / SR_MAX(d->sc.next_steps, 1)));
    else if (o->steps) steps = o->steps;
    if ((r = override(&k, o, err)) < 0) return r;
    s->shift = k.shift;
    s->guidance = own_guidance(d, first);
    if (o->guidance > 0 && (first || !d->pre.C)) s->guidance = o->guidance;
    return sr_schedule_make(&s->schedule, &k, SR_MIN(steps, SR_MAX_STEPS), err);
}
