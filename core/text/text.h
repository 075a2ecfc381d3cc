/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a prompt to the states that the transformer attends to. */
#ifndef SR_TEXT_H
#define SR_TEXT_H

#include "weights/weights.h"

/* ---- clean.c: WanPipeline's prompt_clean: ftfy's common repairs, HTML entities twice, white space ---- */

/* -> new string, sr_free(); SORA_ERR_OPTION where the prompt is not UTF-8. */
sora_result sr_prompt_clean(char **out, const char *prompt, sora_error *err);

/* ---- tokenizer.cc: SentencePiece ---- */

struct sr_tokenizer;
/* folder: a tokenizer/ folder with spiece.model or tokenizer.model; or the file itself */
sora_result sr_tokenizer_open(struct sr_tokenizer **t, const char *folder, sora_error *err);
void sr_tokenizer_close(struct sr_tokenizer **t);
/* ids of text with the end token, at most max (the end token is then the last); *full: how many there would be */
sora_result sr_tokenizer_encode(struct sr_tokenizer *t, const char *text, int32_t *ids, size_t max, size_t *n,
                                size_t *full, sora_error *err);

/* ---- t5.c: UMT5EncoderModel, T5EncoderModel ---- */

struct sr_t5_config {
    int64_t vocab, dim, heads, head_dim, ffn, layers, buckets, max_distance;
    bool shared_bias;           /* T5: the table of layer 0 serves all; UMT5: one each */
    double eps;
    uint64_t resident_max;      /* bytes of packed weights above which layers come and go one by one; 0: 1 GiB */
};
struct sr_t5;
/* folder: text_encoder/ with config.json */
sora_result sr_t5_config_read(struct sr_t5_config *k, const char *folder, sora_error *err);
/* The same from the shapes of a file that has no config beside it. */
sora_result sr_t5_config_guess(struct sr_t5_config *k, struct sr_weights *w, sora_error *err);
/*
 * w: under the names of the transformers package or Wan's own; stays the caller's and must outlive t, as rows of the
 * token table, and above 1 GiB the layers themselves, are read from it while encoding.
 */
sora_result sr_t5_open(struct sr_ctx *c, struct sr_t5 **t, const struct sr_t5_config *k, struct sr_weights *w,
                       sora_error *err);
void sr_t5_close(struct sr_t5 **t);
/*
 * ids [n] -> out [n, dim] f32, final norm included.  Only real tokens: pads are the caller's.  Plans and commits the
 * scratch it needs itself, so that the arena must be empty or large enough; with c->plan set it only plans.
 */
sora_result sr_t5_encode(struct sr_ctx *c, struct sr_t5 *t, const int32_t *ids, size_t n, float *out, sora_error *err);

#endif
