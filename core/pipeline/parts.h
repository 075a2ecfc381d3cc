/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files a model consists of, and what its folder says about it. */
#ifndef SR_PARTS_H
#define SR_PARTS_H

#include "pipeline/pipeline.h"
#include "weights/weights.h"

struct sr_parts {
    char *folder;               /* of the model, or where its single file lies */
    char *transformer;          /* as sr_model_open() wants it */
    char *text_encoder, *tokenizer, *vae, *scheduler;       /* NULL: not there */
    char name[128], licence[64];
};
/* Looks, opens nothing.  job->o->vae is obeyed; channels: of the latents, for "tiny". */
sora_result sr_parts_find(struct sr_parts *p, const struct sr_job *job, int channels, sora_error *err);
void sr_parts_free(struct sr_parts *p);

/* What sora.json of the folder says of size and length, as far as it does. */
struct sr_about {
    int64_t width, height, rate, frames;
    bool fixed_size;            /* works at this size only: latent */
    int64_t latent[3];          /* C, H, W where fixed_size */
    bool found;                 /* there is a sora.json */
    char family[32], licence[64], preset[64];
    double guidance;
    int64_t steps;
    int64_t chunk_latents, window, sink;    /* streams; chunk_latents 0: makes whole clips */
    char prompt_change[16];     /* "restart", "continue"; "": pocket restarts, others continue */
};
sora_result sr_about_read(struct sr_about *a, const char *folder, sora_error *err);

#endif
