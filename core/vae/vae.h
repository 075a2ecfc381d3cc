/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decoders: latent frames in, pictures out, frame by frame; what lies between two calls is state, so that a stream may
   be cut into chunks anywhere and memory does not grow with its length. */
#ifndef SR_VAE_H
#define SR_VAE_H

#include "weights/weights.h"

struct sr_vae;

/* What one kind of decoder offers. */
struct sr_vae_info {
    char kind[32];              /* "wan2.1", "wan2.2", "taew2_1", "block" ... */
    int channels;               /* of the latents */
    int scale_s, scale_t;       /* pixels per latent pixel; frames per latent frame after the first */
    double flop_per_frame;      /* of one latent frame of 1 x 1 latent pixels, about */
    uint64_t parameters;
};

/*
 * path: a vae/ folder with config.json, or a single file (TAEHV, Wan's original VAE): told apart by content.
 * H, W: latent size, fixed for the life of the decoder.
 */
sora_result sr_vae_probe(struct sr_vae_info *info, const char *path, sora_error *err);
sora_result sr_vae_open(struct sr_ctx *c, struct sr_vae **v, const char *path, size_t H, size_t W, sora_error *err);
/* Random weights of a published decoder: "wan2.1", "wan2.2", "taew2_1", "taew2_2". */
sora_result sr_vae_open_random(struct sr_ctx *c, struct sr_vae **v, const char *kind, size_t H, size_t W, uint64_t seed,
                               sora_error *err);
void sr_vae_close(struct sr_vae **v);
const struct sr_vae_info *sr_vae_get_info(const struct sr_vae *v);

/* Forget the stream: the next frame is the first of a new one. */
void sr_vae_reset(struct sr_vae *v);

/* Where pictures go, one at a time, so that there need be room for one only. */
struct sr_vae_out {
    /* rgb [3, H * scale_s, W * scale_s] f32 planar, 0..1, in scratch memory: there until this returns.  A failure ends the
       decoding. */
    sora_result (*ready)(void *user, const float *rgb, sora_error *err);
    void *user;
};

/*
 * z [C, H, W] f32: one latent frame in the transformer's normalised space (this function applies mean and std).
 * Gives 1 picture for the first latent frame of a stream (Wan), scale_t for each later one.  out NULL: nobody looks.
 */
sora_result sr_vae_decode(struct sr_ctx *c, struct sr_vae *v, const float *z, const struct sr_vae_out *out, sora_error *err);

#endif
