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
    const double *still, *still_bias;   /* [C to, C from], [C]; NULL: unknown.  sr_precondition_stand_still() */
};

/*
 * v [C, n]: in, the network's output o; out, the velocity (x - x0) / t that the samplers take.  x [C, n]; mu [C, n], or
 * NULL for a first frame.  t: 0..1, the noise level of x.  Nothing is done where there is no preconditioning.
 */
void sr_precondition_velocity(const struct sr_precondition *p, float *v, const float *x, const float *mu, double t,
                              size_t n);

/*
 * x [C, n] of a first frame becomes the latent of its last picture standing still, which a first frame is: whatever else is in it
 * would be seen as flicker, and copied from frame to frame.  Latents here are linear in their pictures, so this is a matrix.
 * Nothing is done where that is not known.
 */
void sr_precondition_stand_still(const struct sr_precondition *p, float *x, size_t n);
/*
 * What the estimate of a later frame changes of the one before is true change and error.  Patches of 2x2 in which it was never
 * larger than the error keep what they show, in others it is made smaller by the error's share (Wiener's rule): so what stands still
 * does not collect errors frame after frame, and the model goes on to clear what something that moved on has left.
 *
 *   x = mu + max(0, 1 - noise / m) (x - mu),    m = max(m, e),    e: mean of ((x - mu) / s)^2 over channels and patch
 *
 * x, mu [C, F, H, W], H and W even; noise: the error's e; most [F, H/2, W/2]: m, zeros after each first frame.
 */
void sr_precondition_settle(const struct sr_precondition *p, float *x, const float *mu, double noise, float *most, size_t F, size_t H,
                            size_t W);
/*
 * Of x, another estimate of the frame `from`, what is where something large goes somewhere: in patches that have changed by much more
 * than `change`, in units of m above, or next to such a one.  So a subject is in, but not the ground under a camera that pans.
 *
 *   x = from + max(0, 1 - change / m') (x - from),    m': the largest m of the 3x3 patches around, as settle() left it
 */
void sr_precondition_retouch(const struct sr_precondition *p, float *x, const float *from, double change, const float *most, size_t F,
                             size_t H, size_t W);

#endif
