/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The option table's other half: deep copies, checks, prompt schedules. */
#ifndef SR_OPTIONS_H
#define SR_OPTIONS_H

#include "base/base.h"

#define SR_PROMPT_MAX 65536         /* bytes of a prompt, schedules included */

/* A prompt or a schedule of prompts: entry i holds from second at_s of the content. */
struct sr_prompts {
    size_t n;
    struct sr_prompt { double at_s; char *text; } *list;
};
/* "@0 calm sea @10 stormy sea"; text that does not begin with "@NUMBER " is one prompt from 0. */
sora_result sr_prompts_parse(struct sr_prompts *p, const char *text, sora_error *err);
void sr_prompts_free(struct sr_prompts *p);
/* The entry that holds at second t. */
const char *sr_prompts_at(const struct sr_prompts *p, double t, size_t *index);

/* Well-formed UTF-8 of at most SR_PROMPT_MAX bytes; name: the option, for the message. */
sora_result sr_prompt_check(const char *name, const char *text, sora_error *err);

/* Copy with defaults filled in and every value checked against the table; strings owned by the copy.  A prompt file is
   read into to->prompt. */
sora_result sr_options_copy(sora_options *to, const sora_options *from, sora_error *err);
void sr_options_free(sora_options *o);

/* ---- find.c: where models are ---- */

/* Name, folder or file -> path, sr_free(). */
sora_result sr_find_model(char **path, const char *model, sora_error *err);

#endif
