/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/ref/prompts.json: rows of [prompt, cleaned, ids by SentencePiece, ids by the tokenizer.json]. */
#ifndef PROMPTS_H
#define PROMPTS_H

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static inline const char *ref_file(const char *name)
{
    static char path[2][1000];
    static int k;

    k = !k;
    snprintf(path[k], sizeof path[k], "%s/tests/ref/%s", getenv("SRCDIR") ? getenv("SRCDIR") : ".", name);
    return path[k];
}

static inline json_t *read_prompts(void)
{
    json_error_t e;
    json_t *rows = json_load_file(ref_file("prompts.json"), 0, &e);

    ck_assert_msg(rows != NULL, "%s: %s", ref_file("prompts.json"), e.text);
    ck_assert_uint_ge(json_array_size(rows), 2000);
    return rows;
}

#endif
