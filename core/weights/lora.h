/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Additions of low rank to the weights of linear layers: W + scale B A, with A [rank, in] and B [out, rank].
 * Reference: Hu et al., "LoRA", 2021; the names are those of peft, with or without its prefixes.
 */
#ifndef SR_LORA_H
#define SR_LORA_H

#include "weights/weights.h"

struct sr_lora;

/* rename: the model's other names, or NULL.  scale: alpha / rank where the file does not hold alpha itself. */
sora_result sr_lora_open(struct sr_lora **l, const char *path, double scale, sr_rename_fn *rename, int threads,
                         const struct sr_cancel *cancel, sora_error *err);
void sr_lora_close(struct sr_lora **l);

/* w is name.weight [out, in].  Where the file adds to it, *w becomes the sum, which *sum holds: sr_free(). */
sora_result sr_lora_add(struct sr_lora *l, struct sr_param *w, float **sum, size_t out, size_t in, const char *name,
                        sora_error *err);
/* SORA_ERR_MODEL where the file has additions that no layer has taken: it is of another model. */
sora_result sr_lora_done(const struct sr_lora *l, sora_error *err);

#endif
