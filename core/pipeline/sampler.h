/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flow matching: x_sigma = (1 - sigma) x0 + sigma noise; the network gives v = noise - x0.
 * References: UniPCMultistepScheduler (Zhao et al., 2023), FlowMatchEulerDiscreteScheduler, and the re-noising loop of
 * the few-step models (Yin et al., DMD, 2024).
 */
#ifndef SR_SAMPLER_H
#define SR_SAMPLER_H

#include "weights/weights.h"

enum sr_sampler_kind { SR_EULER, SR_UNIPC, SR_RENOISE };

#define SR_MAX_STEPS 1000

struct sr_schedule {
    enum sr_sampler_kind kind;
    int steps;
    double sigma[SR_MAX_STEPS + 1];     /* falling; sigma[steps] == 0 */
    double t[SR_MAX_STEPS];             /* what the network is told, 0..1000 */
};

/* scheduler_config.json and what the user overrides; 0 or NULL: the config's. */
struct sr_schedule_config {
    enum sr_sampler_kind kind;
    double shift;
    int64_t order;                      /* UniPC: 1 or 2 */
    bool shift_twice;                   /* FlowMatchEuler: at construction and again at set_timesteps */
    bool truncate_t;                    /* UniPC: integer timesteps */
    size_t n_fixed;                     /* few-step models: this list of t instead of a schedule */
    double fixed_t[SR_MAX_STEPS];
};
sora_result sr_schedule_config_read(struct sr_schedule_config *k, const char *folder, sora_error *err);
sora_result sr_schedule_make(struct sr_schedule *s, const struct sr_schedule_config *k, int steps, sora_error *err);

/* The state between steps: previous predictions for the multistep rules. */
struct sr_sampler;
sora_result sr_sampler_open(struct sr_sampler **m, const struct sr_schedule *s, size_t n, sora_error *err);
void sr_sampler_close(struct sr_sampler **m);
void sr_sampler_reset(struct sr_sampler *m);
/* One step k: x [n] is replaced by the sample at sigma[k + 1].  v [n] network output; noise [n] fresh for SR_RENOISE. */
void sr_sampler_step(struct sr_sampler *m, int k, float *x, const float *v, const float *noise);

#endif
