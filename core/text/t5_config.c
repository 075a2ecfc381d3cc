/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a T5 encoder is like: by its config.json or the shapes of a single file; and the two sets of tensor names. */
#include <stdio.h>

#include "text/t5.h"

/* ---- Names ---- */

/* "encoder.block.3.layer.1.DenseReluDense.wi_0.weight" -> "blocks.3.ffn.gate.0.weight", as Wan's own file has it */
static bool original_name(char *out, size_t size, const char *name)
{
    static const struct {
        const char *ours, *theirs;
    } parts[] = {
        { "layer.0.layer_norm.", "norm1." },
        { "layer.0.SelfAttention.relative_attention_bias.", "pos_embedding.embedding." },
        { "layer.0.SelfAttention.", "attn." },
        { "layer.1.layer_norm.", "norm2." },
        { "layer.1.DenseReluDense.wi_0.", "ffn.gate.0." },
        { "layer.1.DenseReluDense.wi_1.", "ffn.fc1." },
        { "layer.1.DenseReluDense.wo.", "ffn.fc2." },
    };
    int block, n = 0;

    if (!strcmp(name, "shared.weight")) return snprintf(out, size, "token_embedding.weight") > 0;
    if (!strcmp(name, "encoder.final_layer_norm.weight")) return snprintf(out, size, "norm.weight") > 0;
    if (sscanf(name, "encoder.block.%d.%n", &block, &n) != 1 || !n) return false;
    for (size_t i = 0; i < SR_COUNT(parts); i++) {
        const size_t len = strlen(parts[i].ours);
        if (strncmp(name + n, parts[i].ours, len)) continue;
        snprintf(out, size, "blocks.%d.%s%s", block, parts[i].theirs, name + n + len);
        return true;
    }
    return false;
}

void sr_t5_names(struct sr_weights *w)
{
    static const char probe[] = "encoder.block.0.layer.0.SelfAttention.q.weight";

    if (!sr_weights_detect(w, NULL, probe)) sr_weights_detect(w, original_name, probe);
}

/* ---- config.json ---- */

static sora_result check_kind(const struct sr_config *c, struct sr_t5_config *k, const char *path, sora_error *err)
{
    char type[40] = "t5", act[40] = "relu";
    sora_result r;

    if ((r = sr_config_string(c, "model_type", type, sizeof type, err)) < 0) return r;
    if ((r = sr_config_string(c, "feed_forward_proj", act, sizeof act, err)) < 0) return r;
    if (strcmp(type, "t5") && strcmp(type, "mt5") && strcmp(type, "umt5"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: a text encoder of type \"%s\"; t5 and umt5 are known", path,
                       type);
    if (strcmp(act, "gated-gelu"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: feed_forward_proj \"%s\"; gated-gelu is known", path, act);
    k->shared_bias = strcmp(type, "umt5") != 0;
    return SORA_OK;
}

sora_result sr_t5_config_read(struct sr_t5_config *k, const char *folder, sora_error *err)
{
    struct sr_config *c = NULL;
    char *path = sr_asprintf("%s/config.json", folder);
    const struct {
        const char *key;
        int64_t min, max, *to;
    } ints[] = {
        { "vocab_size", 4, 1 << 24, &k->vocab },
        { "d_model", 8, 1 << 16, &k->dim },
        { "num_heads", 1, 1024, &k->heads },
        { "d_kv", 1, 1024, &k->head_dim },
        { "d_ff", 8, 1 << 20, &k->ffn },
        { "num_layers", 1, 1024, &k->layers },
        { "relative_attention_num_buckets", 4, 4096, &k->buckets },
        { "relative_attention_max_distance", 2, 1 << 20, &k->max_distance },
    };
    sora_result r;

    if (!path) return sr_fail_nomem(err, strlen(folder) + 13, folder);
    *k = (struct sr_t5_config){ .buckets = 32, .max_distance = 128, .eps = 1e-6 };
    if ((r = sr_config_open(&c, path, err)) < 0) goto done;
    if ((r = check_kind(c, k, path, err)) < 0) goto done;
    for (size_t i = 0; i < SR_COUNT(ints); i++) {
        if ((r = sr_config_int(c, ints[i].key, ints[i].min, ints[i].max, ints[i].to, err)) < 0) goto done;
        if (!*ints[i].to) {
            r = sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" is missing", path, ints[i].key);
            goto done;
        }
    }
    if ((r = sr_config_float(c, "layer_norm_epsilon", 0, 1, &k->eps, err)) < 0) goto done;
    if (k->buckets % 4 || k->max_distance <= k->buckets / 4)
        r = sr_fail(err, SORA_ERR_MODEL, "%s: %lld relative_attention_num_buckets for distances up to %lld", path,
                    (long long)k->buckets, (long long)k->max_distance);
done:
    sr_config_close(&c);
    sr_free(path);
    return r;
}

/* ---- A single file without a config ---- */

static const struct sr_weight *find(const struct sr_weights *w, int ndim, const char *fmt, int64_t layer)
{
    char name[128];
    const struct sr_weight *t;

    snprintf(name, sizeof name, fmt, (int)layer);
    t = sr_weights_find(w, name);
    return t && t->ndim == ndim && t->n ? t : NULL;
}

sora_result sr_t5_config_guess(struct sr_t5_config *k, struct sr_weights *w, sora_error *err)
{
    static const char bias[] = "encoder.block.%d.layer.0.SelfAttention.relative_attention_bias.weight";
    static const char query[] = "encoder.block.%d.layer.0.SelfAttention.q.weight";
    const struct sr_weight *table, *b, *q, *ffn;

    *k = (struct sr_t5_config){ .max_distance = 128, .eps = 1e-6 };
    sr_t5_names(w);
    table = find(w, 2, "shared.weight", 0);
    if (!table) table = find(w, 2, "encoder.embed_tokens.weight", 0);
    b = find(w, 2, bias, 0);
    q = find(w, 2, query, 0);
    ffn = find(w, 2, "encoder.block.%d.layer.1.DenseReluDense.wi_0.weight", 0);
    if (!table || !b || !q || !ffn || b->dim[0] % 4 || b->dim[0] / 4 >= 128 || q->dim[0] % b->dim[1])
        return sr_fail(err, SORA_ERR_MODEL, "%s: not the weights of a T5 or UMT5 encoder", sr_weights_path(w));
    k->vocab = (int64_t)table->dim[0];
    k->dim = (int64_t)table->dim[1];
    k->buckets = (int64_t)b->dim[0];
    k->heads = (int64_t)b->dim[1];
    k->head_dim = (int64_t)(q->dim[0] / b->dim[1]);
    k->ffn = (int64_t)ffn->dim[0];
    while (find(w, 2, query, k->layers)) k->layers++;
    k->shared_bias = k->layers > 1 && !find(w, 2, bias, 1);
    return SORA_OK;
}
