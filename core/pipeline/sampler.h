/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flow matching: x_sigma = (1 - sigma) x0 + sigma noise; the network gives v = noise - x0.
 * References: UniPCMultistepScheduler (Zhao et al., 2023), FlowMatchEulerDiscreteScheduler, and the re-noising loop of
 * the few-step models (Yin et al., DMD, 2024).
 */
#ifndef SR_SAMPLER_H
#define SR_SAMPLER_H

#include "models/about.h"

enum sr_sampler_kind { SR_EULER, SR_UNIPC, SR_RENOISE };

#define SR_MAX_STEPS 1000

struct sr_schedule {
    enum sr_sampler_kind kind;
    int steps, order;                   /* order: of UniPC, 1 or 2 */
    int renoised;                       /* of SR_RENOISE: the steps that add fresh noise; those after them are Euler's */
    double sigma[SR_MAX_STEPS + 1];     /* falling; sigma[steps] == 0 */
    double t[SR_MAX_STEPS];             /* what the network is told, 0..1000 */
    double start;                       /* the noise times this is the first x */
};

/* How the sigmas lie before the shift. */
enum sr_grid {
    SR_GRID_DIFFUSERS,                  /* what the scheduler of that kind in diffusers does */
    SR_GRID_WAN,                        /* the original Wan code: 0.999 .. 0 in even steps, shifted once */
    SR_GRID_EVEN                        /* pocket: 1 .. 0 in even steps, shifted once */
};

/* scheduler_config.json and what the user overrides; 0 or NULL: the config's. */
struct sr_schedule_config {
    enum sr_sampler_kind kind;
    double shift;
    int64_t order;                      /* UniPC: 1 or 2 */
    bool shift_twice;                   /* FlowMatchEuler: at construction and again at set_timesteps */
    bool truncate_t;                    /* UniPC: integer timesteps */
    enum sr_grid grid;
    double renoise_until;               /* SR_RENOISE: fresh noise down to this sigma; below it Euler's steps */
    size_t n_fixed;                     /* few-step models: this list of t instead of a schedule */
    bool fewer;                         /* the first 1, 2 ... entries of the list are schedules too (rCM) */
    double fixed_t[SR_MAX_STEPS];
};
/* What diffusers does when a model folder says nothing: UniPC of order 2 with this shift. */
void sr_schedule_config_default(struct sr_schedule_config *k, enum sr_sampler_kind kind, double shift);
/* folder: a model folder, its scheduler/ folder, or the scheduler_config.json itself. */
sora_result sr_schedule_config_read(struct sr_schedule_config *k, const char *folder, sora_error *err);
/* steps: 0: 50, or the length of the fixed list. */
sora_result sr_schedule_make(struct sr_schedule *s, const struct sr_schedule_config *k, int steps, sora_error *err);

/* ---- presets.c: the lists that few-step checkpoints were distilled for ---- */

struct sr_preset {
    const char *name;           /* "self-forcing"; NULL ends the table */
    enum sr_sampler_kind kind;
    int n, n_first;             /* entries of t and first_t; n_first 0: the first chunk is like the others */
    double t[12], first_t[12];  /* 0..1000, falling */
    bool fewer;
    double shift;               /* where there is no list: an ordinary schedule of n steps with this shift */
    int chunk, window, sink;    /* latent frames of streams as their authors run them; chunk 0: makes clips */
    enum sr_prompt_change change;
};
const struct sr_preset *sr_presets(void);
/* SORA_ERR_OPTION lists the names. */
sora_result sr_preset_find(const struct sr_preset **p, const char *name, sora_error *err);
/* The schedule of a named preset, of the stream's first chunk or of the later ones. */
sora_result sr_preset_config(struct sr_schedule_config *k, int *steps, const char *name, bool first_chunk,
                             sora_error *err);

/* ---- sampler.c ---- */

/* The state between steps: previous predictions for the multistep rules. */
struct sr_sampler;
sora_result sr_sampler_open(struct sr_sampler **m, const struct sr_schedule *s, size_t n, sora_error *err);
void sr_sampler_close(struct sr_sampler **m);
void sr_sampler_reset(struct sr_sampler *m);
/* One step k: x [n] becomes the sample at sigma[k + 1].  v [n]: network output; noise [n]: new, where k < renoised. */
void sr_sampler_step(struct sr_sampler *m, int k, float *x, const float *v, const float *noise);

#endif
