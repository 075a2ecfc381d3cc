/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timesteps of few-step checkpoints.  They are no schedule of a formula: the student saw these noise levels only. */
#include <stdio.h>

#include "pipeline/sampler.h"

/* 1000, 750, 500, 250 shifted by 5 */
#define WARPED_5 { 1000, 937.5, 2500 / 3.0, 625 }

/*
 * The window is what a chunk sees of the past beside the sink.  Self-Forcing and its kin were trained on 21 latent frames
 * in all; LongLive's local_attn_size 12 holds the sink, the window and the chunk itself.
 */
static const struct sr_preset presets[] = {
    /* Then a pass at t = 0 writes the cache */
    { .name = "self-forcing", .kind = SR_RENOISE, .n = 4, .t = WARPED_5, .chunk = 3, .window = 18 },
    { .name = "longlive", .kind = SR_RENOISE, .n = 4, .t = WARPED_5, .chunk = 3, .window = 6, .sink = 3, .change = SR_CHANGE_RECACHE },
    { .name = "causal-forcing", .kind = SR_RENOISE, .n = 4, .t = WARPED_5, .chunk = 3, .window = 18 },
    { .name = "causal-forcing-framewise", .kind = SR_RENOISE, .n = 4, .t = WARPED_5, .chunk = 1, .window = 20 },
    /* Causal-Forcing++ frame by frame: the first frame has nothing to lean on and takes four steps */
    { .name = "causal-forcing++", .kind = SR_RENOISE, .n = 2, .t = { 1000, 2500 / 3.0 }, .n_first = 4,
      .first_t = WARPED_5, .chunk = 1, .window = 20 },
    { .name = "causal-forcing++-1step", .kind = SR_RENOISE, .n = 1, .t = { 1000 }, .n_first = 4, .first_t = WARPED_5, .chunk = 1,
      .window = 20 },
    /* FastWan: raw values; a port of it warps them by 5, which the authors' code does not */
    { .name = "fastwan", .kind = SR_RENOISE, .n = 3, .t = { 1000, 757, 522 } },
    { .name = "fastwan-warped", .kind = SR_RENOISE, .n = 3, .t = { 1000, 5000 * 0.757 / 4.028, 5000 * 0.522 / 3.088 } },
    /* rCM, TurboWan: sigma = tan a / (1 + tan a) for a = atan 80, 1.5, 1.4, 1.0; the first k of them are k steps */
    { .name = "rcm", .kind = SR_RENOISE, .n = 4, .fewer = true,
      .t = { 80000 / 81.0, 933.7810614168579, 852.895394823775, 608.979049230431 } },
    /* Step-distilled 14B of LightX2V, Wan2.2-Lightning */
    { .name = "lightx2v", .kind = SR_EULER, .n = 4, .t = WARPED_5 },
    { .name = "lightx2v-8step", .kind = SR_EULER, .n = 8,
      .t = { 1000, 35000 / 36.0, 937.5, 25000 / 28.0, 2500 / 3.0, 750, 625, 5000 / 12.0 } },
    { .name = "causvid", .kind = SR_RENOISE, .n = 3, .t = { 1000, 757, 522 }, .chunk = 3, .window = 18 },
    { .name = "causvid-9step", .kind = SR_RENOISE, .n = 9, .t = { 999, 934, 862, 756, 603, 410, 250, 140, 74 } },
    { .name = "longsana", .kind = SR_RENOISE, .n = 4, .t = { 1000, 960, 8000 / 9.0, 8000 / 11.0 } },
    /* LongLive 2.0 5B: UniPC on the original grid */
    { .name = "longlive2", .kind = SR_UNIPC, .n = 4, .shift = 5, .chunk = 8, .window = 16, .sink = 8 },
    { .name = NULL }
};

const struct sr_preset *sr_presets(void)
{
    return presets;
}

sora_result sr_preset_find(const struct sr_preset **out, const char *name, sora_error *err)
{
    const struct sr_preset *p = presets;
    char names[512] = "";
    size_t used = 0;

    while (p->name && strcmp(p->name, name)) p++;
    *out = p->name ? p : NULL;
    if (*out) return SORA_OK;
    for (p = presets; p->name && used < sizeof names; p++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", p->name);
    return sr_fail(err, SORA_ERR_OPTION, "few-step preset \"%s\" is not known; there are: %s", name, names);
}

sora_result sr_preset_config(struct sr_schedule_config *k, int *steps, const char *name, bool first_chunk,
                             sora_error *err)
{
    const struct sr_preset *p;
    sora_result r = sr_preset_find(&p, name, err);

    if (r < 0) return r;
    sr_schedule_config_default(k, p->kind, p->shift);
    *steps = p->n;
    if (p->shift > 0) {
        k->grid = SR_GRID_WAN;
    } else {
        const bool first = first_chunk && p->n_first;
        k->fewer = p->fewer;
        k->n_fixed = (size_t)(first ? p->n_first : p->n);
        memcpy(k->fixed_t, first ? p->first_t : p->t, k->n_fixed * sizeof *k->fixed_t);
        *steps = (int)k->n_fixed;
    }
    return SORA_OK;
}
