/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the output of a pocket model means.  It corrects the best linear estimate of the clean frame x0, given a guess
 * mu of the frame (zeros for the first frame of a stream, the frame before for later ones) whose error has the standard
 * deviation s of its channel.  With x = (1 - t) x0 + t noise:
 *
 *   x0 = mu + a (x - (1 - t) mu) + b o,    q = (1 - t)^2 s^2 + t^2,  a = (1 - t) s^2 / q,  b = t s / sqrt(q)
 *
 * Reference: the preconditioning of Karras et al., "Elucidating the Design Space", 2022, for each channel.
 */
#ifndef SR_PRECONDITION_H
#define SR_PRECONDITION_H

#include "pipeline/sampler.h"

#define SR_MAX_SPREAD 256

struct sr_precondition {
    size_t C;                           /* channels; 0: the network gives the velocity itself */
    double first[SR_MAX_SPREAD];        /* s of first frames */
    double next[SR_MAX_SPREAD];         /* s of frames that have one before them */
};

/*
 * v [C, n]: in, the network's output o; out, the velocity (x - x0) / t that the samplers take.  x [C, n]; mu [C, n], or
 * NULL for a first frame.  t: 0..1, the noise level of x.  Nothing is done where there is no preconditioning.
 */
void sr_precondition_velocity(const struct sr_precondition *p, float *v, const float *x, const float *mu, double t,
                              size_t n);

/* How a model that streams is to be run: "sampler" of its sora.json. */
struct sr_stream_config {
    struct sr_schedule_config schedule;
    int first_steps, next_steps;        /* of the first chunk and of later ones */
    double first_guidance, next_guidance;
    int64_t window, sink;               /* latent frames whose keys are kept */
    double context_t;                   /* 0..1000: told to the pass that fills the cache */
};

/* sora.json of a model folder; *found false where there is none, or it has no "sampler". */
sora_result sr_stream_config_read(struct sr_stream_config *k, struct sr_precondition *p, bool *found,
                                  const char *folder, sora_error *err);

#endif
