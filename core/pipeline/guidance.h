/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guidance: what the network draws for the prompt is moved away from what it draws for the negative one.
 * References: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022; Sadat et al., "Eliminating Oversaturation and
 * Artifacts of High Guidance Scales in Diffusion Models", 2024; AdaptiveProjectedGuidance of diffusers, without its momentum.
 */
#ifndef SR_GUIDANCE_H
#define SR_GUIDANCE_H

#include "base/base.h"

/*
 * v [C, n]: in, the velocity for the prompt; out, the guided one.  u [C, n]: that for the negative prompt; x [C, n]: the sample, at
 * the noise level t, 0..1.
 *
 *   v' = u + scale (v - u)
 *
 * Of the difference, what points along the estimate x0 = x - t v of the clean latents only makes it stronger, until it burns out:
 * that part counts parallel (0..1) times as much.  It is found by a scalar product over all channels, in units of spread [C], or of 1
 * where that is NULL.
 */
void sr_guide(float *v, const float *u, const float *x, const double *spread, size_t C, size_t n, double t, double scale,
              double parallel);

#endif
