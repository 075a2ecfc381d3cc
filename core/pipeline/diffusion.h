/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Models that denoise latents.  diffusion.c finds out and loads what they are made of, denoise.c runs the steps of one
 * chunk, clip.c and stream.c say what a chunk is.
 *
 * Axes: C channels, F latent frames, H rows, W columns of the latents.
 */
#ifndef SR_DIFFUSION_H
#define SR_DIFFUSION_H

#include "models/about.h"
#include "models/model.h"
#include "pipeline/compare.h"
#include "pipeline/parts.h"
#include "pipeline/precondition.h"
#include "pipeline/sampler.h"
#include "pipeline/text_states.h"
#include "vae/vae.h"

#define SR_MAX_CHUNK 1024           /* latent frames of a chunk */

/* The first chunk of a stream, or a clip; later ones; and those of them that are sampled as a first one. */
enum sr_chunk_kind { SR_CHUNK_FIRST, SR_CHUNK_NEXT, SR_CHUNK_TURNED };

/* How chunks of one kind are sampled. */
struct sr_sampling {
    struct sr_schedule schedule;
    struct sr_sampler *sampler;
    double guidance, shift;
    double interval[2];         /* noise levels, 0..1, within which there is guidance */
    double parallel;            /* guidance.h */
};

/* How a stream is made. */
struct sr_stream_config {
    int64_t chunk, window, sink;        /* latent frames; chunk 0: the model makes clips */
    int64_t turn_every;                 /* chunks after which a frame is sampled as a first one; 0: never */
    double context_t;                   /* 0..1000: told to the pass that fills the cache */
    bool last_step;                     /* there is no such pass: the keys and values of the last step are kept */
    enum sr_prompt_change change;
};

struct sr_diffusion {
    struct sr_pipeline base;
    struct sr_parts parts;
    struct sr_about about;
    char *lora, *lora_first, *motion;   /* paths; NULL: none. lora_first: of first_model, lora: of the other one */
    struct sr_model_info mi;
    struct sr_vae_info vi;
    enum sr_type precision;
    bool decode_only;               /* latents come from a file; there is no transformer */
    uint64_t resident_bytes;        /* of the packed weights that stay */

    size_t C, F, H, W;              /* F: of one chunk; of the whole clip where the model makes clips */
    struct sr_sampling first, next, turned;     /* of each enum sr_chunk_kind; the last two: of streams */
    bool stream, has_prior;         /* has_prior: the latent frame before is an input (pocket) */
    struct sr_stream_config sc;
    struct sr_precondition pre;

    struct sr_ctx *c;
    struct sr_model *model;
    struct sr_model *first_model;   /* of first chunks, and those sampled as one, where the additions are for others; NULL: model */
    struct sr_vae *vae;
    struct sr_text_states text;
    bool text_saved;
    float *x, *v, *u, *z;           /* [C, F, H, W]: sample, network output, the same for the negative prompt, [C, H, W] */

    int64_t f;                      /* stream.c: chunks since the cache was empty */
    bool turn;                      /* the next chunk is sampled as a first one, with the past in the cache */
    int64_t since_first;            /* chunks since one was */
    uint64_t firsts;                /* bit i: the chunk before the last i was */
    float *prior;                   /* [C, F, H, W] the sample of the chunk before; NULL: not wanted */
    float *most;                    /* [F, H/2, W/2] sr_precondition_settle(), ..._retouch(); NULL: not wanted */
    float *past, *again;            /* [past_frames, C, H, W] a ring, and room for it as [C, F, H, W]; NULL: not wanted */
    size_t past_frames;

    struct sr_given noise, latents, text_given;
    float *saved;                   /* [frames, C, H, W] for --save-latents, grows */
    size_t saved_frames;
};

/* ---- schedule_choice.c ---- */

/* d->stream, d->sc, and about.preset where the model's name or files tell it. */
sora_result sr_choose_stream(struct sr_diffusion *d, sora_error *err);
sora_result sr_choose_sampling(struct sr_diffusion *d, struct sr_sampling *s, enum sr_chunk_kind kind, sora_error *err);

/* ---- denoise.c ---- */

/* Whether step k has guidance: a second pass, with the negative prompt. */
bool sr_guided(const struct sr_sampling *s, int k);

/*
 * d->x becomes the sample of chunk number `chunk`, whose first latent frame has the position `at` in the model's time.
 * prior: [C, F, H, W], or NULL.
 */
sora_result sr_denoise(struct sr_diffusion *d, struct sr_sampling *s, int64_t chunk, int64_t at, const float *prior,
                       const struct sr_sink *sink, sora_error *err);
/* Decode z [C, F, H, W], at most *left frames to the sink; *left counts down. */
sora_result sr_decode(struct sr_diffusion *d, const float *z, size_t F, int64_t *left, const struct sr_sink *sink,
                      sora_error *err);
/* Keep z [C, F, H, W] for --save-latents; written when the pipeline is closed. */
sora_result sr_save_latents(struct sr_diffusion *d, const float *z, size_t F, sora_error *err);

/* ---- clip.c, stream.c ---- */

sora_result sr_clip_chunk(struct sr_diffusion *d, int64_t left, const struct sr_sink *sink, sora_error *err);
/* The latents of a file, one frame after the other. */
sora_result sr_given_chunk(struct sr_diffusion *d, int64_t left, const struct sr_sink *sink, sora_error *err);
sora_result sr_stream_chunk(struct sr_diffusion *d, int64_t chunk, int64_t left, const struct sr_sink *sink, sora_error *err);
/* The chunks from here on have other text states, which the model was given. */
sora_result sr_stream_new_prompt(struct sr_diffusion *d, const struct sr_sink *sink, sora_error *err);

#endif
