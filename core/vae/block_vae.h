/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "SoraBlockDecoder", the decoder of the pocket model: one linear layer from 3 x 3 latents to a block of pixels,
   and perhaps a network that sharpens it. */
#ifndef SR_BLOCK_VAE_H
#define SR_BLOCK_VAE_H

#include "vae/refine.h"

struct sr_block_shape {
    size_t channels;            /* of the latents */
    size_t frames, side;        /* of the block of pixels that one latent position stands for */
    float scale;                /* the network's latents times this are the codec's */
    struct sr_refine_shape refine;
};

sora_result sr_block_shape_config(struct sr_block_shape *s, const struct sr_config *c, const char *path,
                                  sora_error *err);
void sr_block_info(const struct sr_block_shape *s, struct sr_vae_info *info);
void sr_block_vae_load(struct sr_loader *l, struct sr_vae **v, const struct sr_block_shape *s, size_t H, size_t W);

#endif
