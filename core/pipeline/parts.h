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

#endif
