/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SR_TOKENIZER_JSON_H
#define SR_TOKENIZER_JSON_H

#include "base/base.h"

/* UMT5's file has 16 MB. */
#define SR_TOKENIZER_MAX_BYTES ((size_t)64 << 20)

/* A tokenizer.json with a unigram model -> the bytes of a SentencePiece model; sr_free(). */
sora_result sr_tokenizer_json_convert(char **proto, size_t *size, const char *path, sora_error *err);

#endif
