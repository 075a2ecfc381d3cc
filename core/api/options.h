/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The option table's other half: deep copies, checks, prompt schedules. */
#ifndef SR_OPTIONS_H
#define SR_OPTIONS_H

#include "base/base.h"

/* A prompt or a schedule of prompts: entry i holds from frame at[i]. */
struct sr_prompts {
    size_t n;
    struct sr_prompt { double at_s; char *text; } *list;
};
/* "@0 calm sea @10 stormy sea"; text that does not begin with "@NUMBER " is one prompt from 0. */
sora_result sr_prompts_parse(struct sr_prompts *p, const char *text, sora_error *err);
void sr_prompts_free(struct sr_prompts *p);

/* Copy with defaults filled in and every value checked against the table; strings owned by the copy. */
sora_result sr_options_copy(sora_options *to, const sora_options *from, sora_error *err);
void sr_options_free(sora_options *o);

#endif
