/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a network adds to the block decoder's linear picture, so that moving things are sharp.
 *
 * It sees a latent and the one before it (a stream's first latent is its own), and makes of each position, alone, the block of
 * pixels that this stands for:
 *     x = conv_in([before, z])                                     kernel x kernel, border values repeated, 2 C -> width
 *     blocks times x += fc2(relu(fc1(norm(x))))                    width -> inner -> width
 *     out(norm(x))                                                 frames * 3 * side * side
 * norm: to mean 0 and variance 1 over the channels.
 */
#ifndef SR_REFINE_H
#define SR_REFINE_H

#include "vae/vae.h"

enum { SR_REFINE_BLOCKS = 16, SR_REFINE_FRAMES = 16 };

struct sr_refine_shape {
    size_t width, inner, blocks, kernel;        /* width 0: there is no network */
    size_t channels, frames, side;              /* of the latents; of the block of pixels */
};

struct sr_refine_block {
    struct sr_linear *fc1, *fc2;
};

struct sr_refine {
    struct sr_refine_shape shape;
    struct sr_linear *conv_in, *out[SR_REFINE_FRAMES];          /* out: of each picture */
    struct sr_refine_block block[SR_REFINE_BLOCKS];
};

/* "refine_width", "refine_inner", "refine_blocks", "refine_kernel" of the decoder's config. */
sora_result sr_refine_shape_config(struct sr_refine_shape *s, const struct sr_config *c, size_t channels, size_t frames,
                                   size_t side, const char *path, sora_error *err);
/* Of one latent position. */
double   sr_refine_flop(const struct sr_refine_shape *s);
uint64_t sr_refine_parameters(const struct sr_refine_shape *s);

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s);
void sr_refine_close(struct sr_refine *v);

/* seen [2 C, H, W], positions `at` of it, n of them -> scratch [n, width], what the last layer reads.  scale: seen times this is what
   the network knows. */
struct sr_tensor *sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *seen, size_t H, size_t W, const uint32_t *at,
                            size_t n, float scale);
/* -> scratch [n, 3 * side * side], of picture f */
struct sr_tensor *sr_refine_picture(struct sr_ctx *c, const struct sr_refine *v, const struct sr_tensor *x, size_t f);

#endif
