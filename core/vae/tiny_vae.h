/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tiny decoders "taew2_1" and "taew2_2": TAEHV by Ollin Boer Bohan, trained to imitate Wan's. */
#ifndef SR_TINY_VAE_H
#define SR_TINY_VAE_H

#include "vae/vae.h"

struct sr_tiny_shape {
    size_t channels;            /* of the latents */
    size_t width[4];            /* channels before, between and after the three enlargements */
    size_t grow_rows[3];        /* outputs of the layers that double the frames; may be more than are used */
    size_t patch;               /* pixels per side of one output position */
};

sora_result sr_tiny_shape_published(struct sr_tiny_shape *s, const char *kind, sora_error *err);
/* By the shapes of the tensors; *found: w is such a decoder at all. */
sora_result sr_tiny_shape_weights(struct sr_tiny_shape *s, struct sr_weights *w, bool *found, sora_error *err);
void sr_tiny_info(const struct sr_tiny_shape *s, struct sr_vae_info *info);
void sr_tiny_vae_load(struct sr_loader *l, struct sr_vae **v, const struct sr_tiny_shape *s, size_t H, size_t W);

#endif
