/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the decoders share: the functions each offers to vae.c, and the last step of all, features to pictures. */
#ifndef SR_DECODER_H
#define SR_DECODER_H

#include "vae/vae.h"

struct sr_decoder {
    /*
     * One latent frame z [C, H, W] to pictures, with sr_write_picture().  first: of a stream.  Errors stay in c->err.  While
     * c plans, neither data nor state is touched.
     */
    void (*decode)(struct sr_ctx *c, struct sr_vae *v, const float *z, bool first);
    void (*reset)(struct sr_vae *v);        /* zero history */
    void (*close)(struct sr_vae *v);        /* everything but *v itself; v may be half open */
};

/* The beginning of each decoder's own struct. */
struct sr_vae {
    const struct sr_decoder *decoder;
    struct sr_vae_info info;
    size_t H, W;
    const struct sr_vae_out *out;       /* of this call; NULL: nobody looks */
    bool started;               /* the first frame of the stream is behind us */
};

/* Latent sizes up to this leave room for every product of sizes in 64 bits. */
#define SR_VAE_SIDE_MAX 4096

struct sr_wan_shape;
/* As the other loaders: l->result tells a failure; *v is then to be closed by the caller all the same. */
void sr_wan_vae_load(struct sr_loader *l, struct sr_vae **v, const struct sr_wan_shape *s, size_t H, size_t W);

/*
 * Features as pixels: x [1, H, W, C] f32 -> rgb [3, H * patch, W * patch], each value scaled, shifted and clamped to 0..1.
 * Channel (c * patch + i) * patch + j is the pixel of colour c at row i, column j of its patch; column i, row j if
 * column_first.
 */
struct sr_picture {
    size_t patch;
    bool column_first;
    float scale, shift;
};
void sr_write_picture(struct sr_ctx *c, const struct sr_vae *v, const struct sr_fmap *x, const struct sr_picture *p);

/* z [C, H, W] planes -> map [1, H, W, C] in the context's type; z * mul[c] + add[c], or z where mul is NULL. */
struct sr_fmap sr_read_latent(struct sr_ctx *c, const float *z, size_t C, size_t H, size_t W, const float *mul,
                              const float *add);

#endif
