/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <sys/stat.h>

#include "pipeline/text_states.h"
#include "text/text.h"

static void kept_free(struct sr_kept *k)
{
    sr_free(k->prompt);
    sr_free(k->rows);
    memset(k, 0, sizeof *k);
}

void sr_text_states_uninit(struct sr_text_states *s)
{
    for (size_t i = 0; i < SR_KEPT_PROMPTS; i++) kept_free(&s->kept[i]);
}

/* ids [T] of the cleaned prompt, the end token included. */
static sora_result tokenize(struct sr_text_states *s, const char *prompt, int32_t *ids, size_t *n, sora_error *err)
{
    struct sr_tokenizer *t = NULL;
    char *clean = NULL;
    size_t full = 0;
    sora_result r;

    if (!s->parts->tokenizer)
        return sr_fail(err, SORA_ERR_MODEL, "%s: no tokenizer: wanted tokenizer/ or google/umt5-xxl/; fetch the whole model",
                       s->parts->folder);
    if ((r = sr_prompt_clean(&clean, prompt, err)) < 0) goto done;
    if ((r = sr_tokenizer_open(&t, s->parts->tokenizer, err)) < 0) goto done;
    if ((r = sr_tokenizer_encode(t, clean, ids, s->T, n, &full, err)) < 0) goto done;
    if (full > *n)
        sr_log(s->log, SORA_LOG_WARNING, "the prompt has %zu tokens, the model reads %zu: its end is cut off", full, *n);
done:
    sr_tokenizer_close(&t);
    sr_free(clean);
    return r;
}

/* out [n, D] */
static sora_result encode(struct sr_text_states *s, struct sr_ctx *c, const int32_t *ids, size_t n, float *out, sora_error *err)
{
    const char *path = s->parts->text_encoder;
    struct sr_t5_config k = { 0 };
    struct sr_weights *w = NULL;
    struct sr_t5 *t = NULL;
    struct stat st;
    sora_result r;

    if (!path)
        return sr_fail(err, SORA_ERR_MODEL, "%s: no text encoder: wanted text_encoder/ or models_t5_umt5-xxl-enc-bf16; fetch the "
                       "whole model, or give text states from a file", s->parts->folder);
    if ((r = sr_weights_open(&w, path, err)) < 0) goto done;
    r = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? sr_t5_config_read(&k, path, err) : sr_t5_config_guess(&k, w, err);
    if (r < 0) goto done;
    if ((size_t)k.dim != s->D) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: the text encoder gives %lld columns, the transformer wants %zu; they are of "
                    "different models", path, (long long)k.dim, s->D);
        goto done;
    }
    if ((r = sr_t5_open(c, &t, &k, w, err)) < 0) goto done;
    r = sr_t5_encode(c, t, ids, n, out, err);
done:
    sr_t5_close(&t);
    sr_weights_close(&w);
    return r;
}

/* The kept prompt, or else the place of the one that was not asked for the longest. */
static struct sr_kept *find(struct sr_text_states *s, const char *prompt, bool *hit)
{
    struct sr_kept *oldest = &s->kept[0];

    for (size_t i = 0; i < SR_KEPT_PROMPTS; i++) {
        struct sr_kept *k = &s->kept[i];
        if ((*hit = k->prompt && !strcmp(k->prompt, prompt))) return k;
        if (k->used < oldest->used) oldest = k;
    }
    return oldest;
}

sora_result sr_text_states_get(struct sr_text_states *s, struct sr_ctx *c, const char *prompt, const float **rows, size_t *n,
                               sora_error *err)
{
    bool hit;
    struct sr_kept *k = find(s, prompt, &hit);
    int32_t *ids = NULL;
    sora_result r = SORA_OK;

    if (!hit) {
        kept_free(k);
        k->prompt = sr_strdup(prompt);
        k->rows = sr_calloc(s->T * s->D, sizeof *k->rows);
        ids = sr_calloc(s->T, sizeof *ids);
        if (!k->prompt || !k->rows || !ids) r = sr_fail_nomem(err, s->T * s->D * sizeof *k->rows, "text states");
        else if ((r = tokenize(s, prompt, ids, &k->n, err)) >= 0) r = encode(s, c, ids, k->n, k->rows, err);
        sr_free(ids);
    }
    if (r < 0) {
        kept_free(k);
        return r;
    }
    k->used = ++s->clock;
    *rows = k->rows;
    *n = k->n;
    return SORA_OK;
}
