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

#include "models/about.h"

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

#endif
