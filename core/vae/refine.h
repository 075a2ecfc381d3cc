/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a small network adds to the block decoder's linear picture, so that moving things are sharp.
 *
 * It sees a latent and the one before it, which is all its state (a stream's first latent is its own), and works where
 * that is cheap, most at the latents' resolution:
 *     x = conv_in([before, z])                                     3 x 3, 2 C -> width[0]
 *     at level i: x = shuffle(up[i - 1](x)) unless i = 0           1 x 1, width[i - 1] -> 4 width[i], twice the size
 *                 blocks[i] times x += conv2(relu(conv1(x)))       3 x 3
 *     conv_out(x)                                                  3 x 3, to frames * 3 * patch * patch
 */
#ifndef SR_REFINE_H
#define SR_REFINE_H

#include "vae/vae.h"

enum { SR_REFINE_LEVELS = 4, SR_REFINE_BLOCKS = 16 };

struct sr_refine_shape {
    size_t levels;                      /* 0: there is no network */
    size_t width[SR_REFINE_LEVELS], blocks[SR_REFINE_LEVELS];
    size_t channels, frames;            /* of the latents; of pictures for each */
    size_t patch;                       /* pixels of a side that a position of the last level stands for */
};

struct sr_refine_block {
    struct sr_conv *conv1, *conv2;
};

struct sr_refine {
    struct sr_refine_shape shape;
    struct sr_conv *conv_in, *conv_out;
    struct sr_refine_block block[SR_REFINE_LEVELS][SR_REFINE_BLOCKS];
    struct sr_conv *up[SR_REFINE_LEVELS];       /* [0] unused */
    float *before;                      /* [C, H, W], the latent before */
    size_t H, W;
};

/* "refine_widths", "refine_blocks" of the decoder's config; side: pixels for each latent position. */
sora_result sr_refine_shape_config(struct sr_refine_shape *s, const struct sr_config *c, size_t channels, size_t frames,
                                   size_t side, const char *path, sora_error *err);
/* Of one latent position. */
double   sr_refine_flop(const struct sr_refine_shape *s);
uint64_t sr_refine_parameters(const struct sr_refine_shape *s);

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s, size_t H, size_t W);
void sr_refine_close(struct sr_refine *v);

/*
 * z [C, H, W] -> scratch [1, H', W', frames * 3 * patch * patch] f32, H' = H * 2^(levels - 1), its channels in the order
 * (frame, RGB, row, column).  first: of a stream.  scale: z times this is what the network knows.
 */
struct sr_fmap sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *z, bool first, float scale);

#endif
