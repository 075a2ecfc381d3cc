/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts to the rows that the transformer attends to.  The encoder is loaded for each prompt that is new and given back
   afterwards; the last few prompts' rows are kept. */
#ifndef SR_TEXT_STATES_H
#define SR_TEXT_STATES_H

#include "pipeline/parts.h"
#include "tensor/tensor.h"

#define SR_KEPT_PROMPTS 8

struct sr_text_states {
    const struct sr_parts *parts;
    const struct sr_log *log;
    size_t T, D;                    /* rows with padding; columns */
    uint64_t clock;
    struct sr_kept {
        char *prompt;               /* NULL: free */
        float *rows;                /* [T, D], zeros from row n on, as Wan was trained */
        size_t n;
        uint64_t used;
    } kept[SR_KEPT_PROMPTS];
};
void sr_text_states_uninit(struct sr_text_states *s);

/* rows [T, D] of the prompt, of which n are not padding; valid until the next call. */
sora_result sr_text_states_get(struct sr_text_states *s, struct sr_ctx *c, const char *prompt, const float **rows, size_t *n,
                               sora_error *err);

#endif
