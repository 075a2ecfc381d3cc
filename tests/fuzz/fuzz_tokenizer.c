/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SentencePiece models and tokenizer.json files. */
#include "fuzz.h"
#include "text/text.h"

static void try_model(const char *path)
{
    struct sr_tokenizer *t;
    sora_error err = { 0 };
    int32_t ids[32];
    size_t n, full;

    if (sr_tokenizer_open(&t, path, &err) < 0) {
        if (!err.code || !strstr(err.text, path) || t) abort();
        return;
    }
    if (sr_tokenizer_encode(t, "a red balloon \xe7\xb7\x91 \xf0\x9f\x98\x80", ids, SR_COUNT(ids), &n, &full,
                            NULL) == SORA_OK)
        for (size_t i = 0; i < n; i++)
            if (ids[i] < 0) abort();
    sr_tokenizer_close(&t);
}

static void try_tokenizer(const char *path, const uint8_t *data, size_t n)
{
    char json[1200];

    try_model(path);
    if (!n || data[0] != '{') return;
    snprintf(json, sizeof json, "%s.json", path);       /* which of the two it is, its name says */
    if (rename(path, json)) exit(2);
    try_model(json);
    unlink(json);
}

int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, "tokenizer", 2000, try_tokenizer);
}
