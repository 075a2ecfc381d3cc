/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a network adds to the block decoder's linear picture, so that moving things are sharp.
 *
 * It sees a latent and the one before it, which is all its state (a stream's first latent is its own), and makes of each
 * position, alone, the block of pixels that this stands for:
 *     x = conv_in([before, z])                                     kernel x kernel, border values repeated, 2 C -> width
 *     blocks times x += fc2(relu(fc1(norm(x))))                    width -> inner -> width
 *     out(norm(x))                                                 frames * 3 * side * side
 * norm: to mean 0 and variance 1 over the channels.  A position that sees what it saw a latent ago keeps what it had: most of a scene
 * stands still, and costs nothing.
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
    float *seen;                        /* [2 C, H, W], the latent before and this one */
    float *drawn;                       /* [frames, H W, 3 * side * side], what became of it */
    uint32_t *stale;                    /* [H W], room for positions of which that is no longer true */
    bool *differs;                      /* [H W], room for where `seen` is another than it was */
    size_t H, W;
};

/* "refine_width", "refine_inner", "refine_blocks", "refine_kernel" of the decoder's config. */
sora_result sr_refine_shape_config(struct sr_refine_shape *s, const struct sr_config *c, size_t channels, size_t frames,
                                   size_t side, const char *path, sora_error *err);
/* Of one latent position. */
double   sr_refine_flop(const struct sr_refine_shape *s);
uint64_t sr_refine_parameters(const struct sr_refine_shape *s);

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s, size_t H, size_t W);
void sr_refine_close(struct sr_refine *v);

/* The next latent z [C, H, W] of the stream, or its first.  scale: z times this is what the network knows. */
void sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *z, bool first, float scale);
/* y [h W, 3 * side * side], rows of blocks from `first` on, += what the network has of picture f of that latent there */
void sr_refine_add(struct sr_ctx *c, const struct sr_refine *v, struct sr_tensor *y, size_t first, size_t f);

#endif
