/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sora.json of a model folder: what the configs of Diffusers do not say, above all how a stream is made.  The keys are
 * described in docs/streaming.md.  One that is not known, or whose value cannot be, is refused.
 */
#ifndef SR_ABOUT_H
#define SR_ABOUT_H

#include "weights/weights.h"

#define SR_MAX_WAVES 16
#define SR_MAX_SPREAD 256
#define SR_MAX_STILL 64         /* channels */
#define SR_MAX_LIST 32          /* entries of a list of timesteps */
#define SR_MAX_CACHED 1024      /* latent frames of a window, and of a sink */

/* What a stream does with its past when the prompt changes. */
enum sr_prompt_change {
    SR_CHANGE_OWN,              /* not said */
    SR_CHANGE_RESTART,          /* a new stream, into which the pictures are faded */
    SR_CHANGE_CONTINUE,         /* the past stays as it is */
    SR_CHANGE_TURN,             /* the same, but the frame is drawn as a first one is, and faded into */
    SR_CHANGE_RECACHE           /* the keys and values of the past are computed again, with the new prompt */
};

/* Zero and "" stand for what is not said, but for window and sink, where that is -1. */
struct sr_about {
    bool found;                 /* there is a sora.json */
    char family[32], licence[64], preset[64];
    char lora[128];             /* file in the folder: additions to the weights, for those chunks that lora_next is not for */
    char lora_next[128];        /* the same, for all but first chunks and those drawn anew */
    double lora_scale;
    char motion[128];           /* file in the folder: filters of the latent before, of pocket models */
    int64_t width, height, rate, frames;
    int64_t latent[3];          /* C, H, W of a model that works at one size only */
    double guidance;            /* of models that make clips */
    int64_t steps;
    int64_t text_tokens;
    size_t nwaves, nspread;
    double waves[SR_MAX_WAVES];                             /* of pocket's place features */
    double spread[SR_MAX_SPREAD], spread_next[SR_MAX_SPREAD];   /* precondition.h, as the next */
    bool has_still;
    double still[SR_MAX_STILL * SR_MAX_STILL], still_bias[SR_MAX_STILL];

    int64_t chunk_latents, chunk_frames;
    enum sr_prompt_change prompt_change;
    struct sr_about_sampler {
        bool scheduled;         /* any of the keys down to the blank line is there */
        char kind[16];
        double shift;
        int64_t first_steps, next_steps, turn_steps;
        size_t nfirst, nnext;   /* instead of steps and shift: timesteps, 0..1000 */
        double first_timesteps[SR_MAX_LIST], timesteps[SR_MAX_LIST];
        double renoise_until;   /* of "renoise", 0..1 */

        double first_guidance, next_guidance, turn_guidance;
        double guidance_interval[2];    /* noise levels, 0..1, rising; without it 0 and 1 */
        double guidance_parallel;       /* 0..1; without it 1 */
        int64_t window, sink;
        int64_t turn_every;     /* latent frames; 0: never */
        double context_time;    /* 0..1 */
        double change_noise;    /* precondition.h; 0: none */
        double retouch_time;    /* 0..1, denoise.c; 0: none */
        double retouch_change;  /* precondition.h */
        bool last_step;         /* "cache": "last-step" */
    } sampler;
};
/* A folder without the file is fine. */
sora_result sr_about_read(struct sr_about *a, const char *folder, sora_error *err);

#endif
