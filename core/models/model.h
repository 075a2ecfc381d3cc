/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a video transformer offers to the pipeline, and which families there are. */
#ifndef SR_MODEL_H
#define SR_MODEL_H

#include "weights/weights.h"

/* What is known before weights are loaded; from the folder's config. */
struct sr_model_info {
    char family[32];            /* "wan", "pocket" */
    int channels;               /* C of the latents */
    int prior;                  /* channels of sr_model_input.prior: pocket C, Wan I2V what is beside the latent; 0 */
    int patch_t, patch_h, patch_w;
    size_t text_dim;            /* D of the text states */
    size_t text_len;            /* T: rows the transformer attends to, padding included */
    bool per_token_time;        /* expand_timesteps */
    bool causal;                /* its files tell that it was trained to stream: CausalWanModel, a Self-Forcing checkpoint */
    int layers, dim, heads;
    uint64_t parameters;
};

struct sr_model;                /* opaque: transformer of any family */

/*
 * One chunk of latents being denoised.  Clip models have one chunk that is the whole clip.
 */
struct sr_model_input {
    const float *x;             /* [C, F, H, W] noisy latents */
    size_t F;                   /* latent frames in this chunk; H and W are fixed at open */
    const float *prior;         /* [prior, F, H, W] for models with a second input (pocket: the latent before), or NULL:
                                   zeros, as the first frame of a stream has it */
    const float *t;             /* [F] timestep of each frame, 0..1000; all equal unless per_token_time */
    int64_t first_frame;        /* position of this chunk in the stream, for models that stream */
};

/* Read transformer/config.json of a folder (or the file itself, if it is one of the original layout). */
sora_result sr_model_probe(struct sr_model_info *info, const char *path, sora_error *err);

/*
 * Load.  F: the most latent frames of one chunk; window, sink: latent frames of cached keys (0: no cache, clip model).
 * prompts: how many sets of text states are kept beside each other (2 with guidance).
 */
struct sr_model_setup {
    const char *path;
    const char *shape;          /* instead of path: random weights of a published shape (bench) */
    const char *lora;           /* file of additions to the weights (weights/lora.h), or NULL */
    double lora_scale;
    const char *motion;         /* file of filters of the prior (wan.h), or NULL */
    uint64_t seed;
    size_t F, H, W;             /* chunk and latent size */
    size_t window, sink;
    bool renews;                /* sr_model_renew() will come */
    int prompts;
    bool one_past;              /* with a cache: all prompts see what prompt 0 committed; else each sees what it has itself */
};
sora_result sr_model_open(struct sr_ctx *c, struct sr_model **m, const struct sr_model_setup *s, sora_error *err);
void sr_model_close(struct sr_model **m);
const struct sr_model_info *sr_model_get_info(const struct sr_model *m);

/* Text states of prompt `which` [text_len, text_dim], of which `real` rows are not padding (zeros): projected, and
   keys and values of all layers kept. */
sora_result sr_model_set_text(struct sr_ctx *c, struct sr_model *m, int which, const float *text, size_t real,
                              sora_error *err);

/* out [C, F, H, W] = the network's output (velocity, or what the family's sampler wants). */
sora_result sr_model_forward(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                             float *out, sora_error *err);
/* The same pass, whose keys and values enter the cache; out NULL: the output is not computed.  Without one_past each prompt
   has a cache of its own: with guidance commit both, or the pass of the other prompt sees no past.  With it only prompt 0 is
   committed.  After an error the cache is empty. */
sora_result sr_model_commit(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                            float *out, sora_error *err);
/*
 * The past anew, as the prompt of now sees it: what is cached, but for the sink if keep_sink, is forgotten, and the frames
 * of in are committed in one pass, all seeing each other.  in->F: up to the setup's F + window, and + sink where the sink goes
 * too; what is more than the window holds is seen by the others and then dropped.
 */
sora_result sr_model_renew(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                           bool keep_sink, sora_error *err);
/* Forget cached keys and values: the next chunk begins a stream. */
void sr_model_reset(struct sr_model *m);
/* Work of one forward pass at the setup's shape, with a full cache. */
double sr_model_flop(const struct sr_model *m);

#endif
