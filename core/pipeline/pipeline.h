/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prompt -> text states -> latents -> frames, chunk by chunk.  What makes frames is a backend behind one small struct of
 * functions: the stand-in "test", clips, streams.
 */
#ifndef SR_PIPELINE_H
#define SR_PIPELINE_H

#include "base/base.h"

struct sr_pipeline;

/* What is asked for.  Everything that it points to outlives the pipeline. */
struct sr_job {
    const sora_options *o;          /* checked */
    const char *path;               /* of the model; NULL: o->model is a built-in one */
    uint64_t seed;                  /* never drawn any more; the host may change it between two chunks */
    struct sr_log log;
    const struct sr_cancel *cancel;
    /* Name, folder or file of a model -> path, sr_free(). */
    sora_result (*find)(char **path, const char *name, sora_error *err);
};

/* Where frames and progress go; called from the thread that runs the chunk. */
struct sr_sink {
    /* rgb [3, gen_h, gen_w] 0..1 planar, read before it returns; may wait until there is room */
    sora_result (*frame)(void *user, const float *rgb, sora_error *err);
    /* A new stream begins: the pictures of the next second come in over the last one of the old */
    sora_result (*fade)(void *user, sora_error *err);
    /* steps done in SORA_STAGE_STEP, or the beginning of another stage */
    void (*stage)(void *user, sora_stage stage, int step, int steps);
    void *user;
};

struct sr_pipeline_ops {
    /* Weights; called once, before the others. */
    sora_result (*load)(struct sr_pipeline *p, const struct sr_sink *sink, sora_error *err);
    /* What the chunks from here on show. */
    sora_result (*prompt)(struct sr_pipeline *p, const char *text, const struct sr_sink *sink, sora_error *err);
    /* Make chunk number `chunk` and give at most `left` frames of it to the sink; first: number of its first frame. */
    sora_result (*chunk)(struct sr_pipeline *p, int64_t chunk, int64_t first, int64_t left, const struct sr_sink *sink,
                         sora_error *err);
    /* After the last chunk, or what was the last: files of results.  NULL: nothing to do. */
    sora_result (*finish)(struct sr_pipeline *p, sora_error *err);
    void (*close)(struct sr_pipeline *p);
};

/* A backend's own struct begins with this one. */
struct sr_pipeline {
    const struct sr_pipeline_ops *ops;
    struct sr_job job;
    sora_info info;                 /* filled at open; the session adds nothing */
    float guidance;                 /* of the next chunk, where the host has changed it; 0: as info says */
    int gen_w, gen_h;               /* what the sink gets */
    int crop_w, crop_h;             /* the left upper part of it that is content; scaled to info.width x info.height */
};

/* A model without files: "test" and its knobs. */
bool sr_model_built_in(const char *model);
/* Checks and headers only; no weights. */
sora_result sr_pipeline_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err);
void sr_pipeline_close(struct sr_pipeline **p);

/* ---- For the backends ---- */

/* Size, rate, length and format of info from the options, or else the model's own that info has; refuses frames = 0 for
   models that make whole clips. */
sora_result sr_pipeline_info(struct sr_pipeline *p, sora_error *err);

sora_result sr_test_backend_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err);
sora_result sr_diffusion_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err);

#endif
