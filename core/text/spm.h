/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SentencePiece library behind C functions.  This header is read by C and C++, so it includes none of ours. */
#ifndef SR_SPM_H
#define SR_SPM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sr_spm;

/* 0; -1: no memory; -2: refused, and why holds the library's reason.  model: the bytes of a ModelProto. */
int  sr_spm_open(struct sr_spm **s, const void *model, size_t size, char *why, size_t why_size);
void sr_spm_close(struct sr_spm *s);
int  sr_spm_eos(const struct sr_spm *s);        /* -1: the model has none */
/* The first max ids; returns how many there are, or -1, -2 as above. */
long sr_spm_encode(const struct sr_spm *s, const char *text, size_t size, int32_t *ids, size_t max, char *why,
                   size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
