/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text -> the ids that a T5 encoder reads: SentencePiece's unigram pieces and the end token.
 *
 * The model file brings its own normalisation (nmt_nfkc for UMT5 and T5) and the leading space.  A tokenizer.json made
 * from it says the same, except that characters without a piece may become <unk> there where the model has bytes for
 * them; encoders were trained with whichever stands beside them, so the .json wins.  Left out: the transformers package
 * reads "</s>" or "<extra_id_0>" typed in a prompt as that token, here it is text.
 */
#include <errno.h>
#include <sys/stat.h>

#include "text/spm.h"
#include "text/text.h"
#include "text/tokenizer_json.h"

struct sr_tokenizer {
    char *path;
    struct sr_spm *spm;
    int32_t eos;
};

static bool is_json(const char *path)
{
    const size_t n = strlen(path);

    return n >= 5 && !strcmp(path + n - 5, ".json");
}

/* The file itself, or the first of these in a folder: tokenizer.json is what the transformers package reads first. */
static sora_result find_model(char **path, const char *folder, sora_error *err)
{
    static const char *const names[] = { "tokenizer.json", "spiece.model", "tokenizer.model" };
    struct stat st;

    *path = NULL;
    if (stat(folder, &st) < 0) return sr_fail_errno(err, errno, folder, "cannot open the tokenizer");
    if (!S_ISDIR(st.st_mode)) return (*path = sr_strdup(folder)) ? SORA_OK : sr_fail_nomem(err, strlen(folder), folder);
    for (size_t i = 0; i < SR_COUNT(names); i++) {
        if (!(*path = sr_asprintf("%s/%s", folder, names[i]))) return sr_fail_nomem(err, strlen(folder), folder);
        if (stat(*path, &st) == 0) return SORA_OK;
        sr_free(*path);
        *path = NULL;
    }
    return sr_fail(err, SORA_ERR_NOT_FOUND, "%s: no tokenizer in this folder (%s or %s)", folder, names[0], names[1]);
}

sora_result sr_tokenizer_open(struct sr_tokenizer **out, const char *folder, sora_error *err)
{
    struct sr_tokenizer *t = sr_zalloc(sizeof *t);
    char *model = NULL, why[300] = "";
    size_t size;
    sora_result r;
    int opened;

    *out = NULL;
    if (!t) {
        r = sr_fail_nomem(err, sizeof *t, folder);
        goto done;
    }
    if ((r = find_model(&t->path, folder, err)) < 0) goto done;
    if (is_json(t->path)) r = sr_tokenizer_json_convert(&model, &size, t->path, err);
    else r = sr_read_file(&model, &size, SR_TOKENIZER_MAX_BYTES, t->path, err);
    if (r < 0) goto done;
    if ((opened = sr_spm_open(&t->spm, model, size, why, sizeof why)) < 0) {
        r = opened == -1 ? sr_fail_nomem(err, size, t->path)
                         : sr_fail(err, SORA_ERR_MODEL, "%s: not a SentencePiece model (%s)", t->path, why);
        goto done;
    }
    if ((t->eos = sr_spm_eos(t->spm)) < 0) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: the model has no end token, as T5's has", t->path);
        goto done;
    }
    *out = t;
    t = NULL;
done:
    sr_free(model);
    sr_tokenizer_close(&t);
    return r;
}

void sr_tokenizer_close(struct sr_tokenizer **out)
{
    struct sr_tokenizer *t = *out;

    *out = NULL;
    if (!t) return;
    if (t->spm) sr_spm_close(t->spm);
    sr_free(t->path);
    sr_free(t);
}

sora_result sr_tokenizer_encode(struct sr_tokenizer *t, const char *text, int32_t *ids, size_t max, size_t *n,
                                size_t *full, sora_error *err)
{
    char why[300] = "";
    long count;

    *n = 0;
    if (!max) return sr_fail(err, SORA_ERR_INTERNAL, "%s: no room for a single id", t->path);
    count = sr_spm_encode(t->spm, text, strlen(text), ids, max, why, sizeof why);
    if (count == -1) return sr_fail_nomem(err, strlen(text), t->path);
    if (count < 0) return sr_fail(err, SORA_ERR_INTERNAL, "%s: %s", t->path, why);
    *n = SR_MIN((size_t)count + 1, max);
    ids[*n - 1] = t->eos;
    if (full) *full = (size_t)count + 1;
    return SORA_OK;
}
