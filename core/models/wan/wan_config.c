/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a Wan is made of: from the transformer's config.json, diffusers' or the original; without one, from the shapes
 * of the tensors in the file.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "models/wan/wan.h"

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* FOLDER/transformer if it is there, else FOLDER; in out. */
static sora_result part_folder(char *out, size_t size, const char *path, sora_error *err)
{
    int n = snprintf(out, size, "%s/transformer", path);

    if (n >= 0 && (size_t)n < size && !is_folder(out)) n = snprintf(out, size, "%s", path);
    if (n < 0 || (size_t)n >= size - 40)            /* room for a file's name */
        return sr_fail(err, SORA_ERR_OPTION, "%.80s...: the path is longer than %zu bytes", path, size - 40);
    return SORA_OK;
}

static void defaults(struct wan_config *k)
{
    *k = (struct wan_config){ .heads = 40, .head_dim = 128, .layers = 40, .ffn = 13824, .in = 16, .out = 16,
                              .text_dim = 4096, .text_len = WAN_TEXT_LEN, .freq_dim = 256, .patch = { 1, 2, 2 },
                              .eps = 1e-6, .cross_norm = true };
}

void sr_wan_config_shape(struct wan_config *k, const struct sr_shape *s)
{
    defaults(k);
    k->heads = s->heads, k->head_dim = s->head_dim, k->layers = s->layers, k->ffn = s->ffn;
    k->in = s->in, k->out = s->out, k->text_dim = s->text_dim, k->freq_dim = s->freq_dim;
    k->per_token_time = s->per_token_time;
}

/* ---- Checks that concern several values ---- */

static sora_result check(const struct wan_config *k, const char *path, sora_error *err)
{
    if (k->head_dim % 2 || k->freq_dim % 2)
        return sr_fail(err, SORA_ERR_MODEL, "%s: %s is %lld; wanted: an even number", path,
                       k->head_dim % 2 ? "attention_head_dim" : "freq_dim",
                       (long long)(k->head_dim % 2 ? k->head_dim : k->freq_dim));
    if (k->heads * k->head_dim > 16384)
        return sr_fail(err, SORA_ERR_MODEL, "%s: %lld heads of %lld; wanted: at most 16384 channels in all", path,
                       (long long)k->heads, (long long)k->head_dim);
    if (k->patch[0] != 1)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: patch_size takes %lld frames; models with 1 are supported", path,
                       (long long)k->patch[0]);
    if (k->in < k->out)
        return sr_fail(err, SORA_ERR_MODEL, "%s: %lld channels in, %lld out; wanted: at least as many in as out", path,
                       (long long)k->in, (long long)k->out);
    if (k->nwaves && k->in != 2 * k->out + 4 * (int64_t)k->nwaves)
        return sr_fail(err, SORA_ERR_MODEL, "%s: %lld channels in; wanted: %lld, that is twice the %lld out and 4 for "
                       "each of %zu waves", path, (long long)k->in, (long long)(2 * k->out + 4 * (int64_t)k->nwaves),
                       (long long)k->out, k->nwaves);
    return SORA_OK;
}

static sora_result refuse_present(const struct sr_config *c, const char *path, const char *const *keys, size_t n,
                                  const char *what, sora_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (sr_config_has(c, keys[i]))
            return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: %s is set: %s, which is not supported yet", path, keys[i],
                           what);
    return SORA_OK;
}

static sora_result read_patch(const struct sr_config *c, const char *path, struct wan_config *k, sora_error *err)
{
    size_t n = 3;
    sora_result r = sr_config_ints(c, "patch_size", 1, 8, k->patch, 3, &n, err);

    if (r == SORA_OK && n != 3) r = sr_fail(err, SORA_ERR_MODEL, "%s: patch_size has %zu numbers; wanted: 3", path, n);
    return r;
}

/* ---- config.json of diffusers ---- */

static sora_result read_diffusers(struct wan_config *k, const struct sr_config *c, const char *path, sora_error *err)
{
    static const char *const image[] = { "image_dim", "added_kv_proj_dim", "pos_embed_seq_len" };
    char norm[64] = "rms_norm_across_heads";
    int64_t unused = 0;
    sora_result r;

    r = refuse_present(c, path, image, SR_COUNT(image), "a second attention for image features", err);
    if (r < 0) return r;
    if ((r = read_patch(c, path, k, err)) < 0) return r;
    if ((r = sr_config_int(c, "num_attention_heads", 1, 256, &k->heads, err)) < 0) return r;
    if ((r = sr_config_int(c, "attention_head_dim", 8, 256, &k->head_dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "in_channels", 1, 1024, &k->in, err)) < 0) return r;
    k->out = sr_config_has(c, "out_channels") ? 16 : k->in;
    if ((r = sr_config_int(c, "out_channels", 1, 1024, &k->out, err)) < 0) return r;
    if ((r = sr_config_int(c, "text_dim", 1, 16384, &k->text_dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "freq_dim", 2, 4096, &k->freq_dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "ffn_dim", 1, 131072, &k->ffn, err)) < 0) return r;
    if ((r = sr_config_int(c, "num_layers", 1, 256, &k->layers, err)) < 0) return r;
    if ((r = sr_config_bool(c, "cross_attn_norm", &k->cross_norm, err)) < 0) return r;
    if ((r = sr_config_float(c, "eps", 1e-12, 1e-2, &k->eps, err)) < 0) return r;
    if ((r = sr_config_int(c, "rope_max_seq_len", 1, 1 << 30, &unused, err)) < 0) return r;
    if ((r = sr_config_string(c, "qk_norm", norm, sizeof norm, err)) < 0) return r;
    if (strcmp(norm, "rms_norm_across_heads"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: qk_norm is \"%s\"; \"rms_norm_across_heads\" is supported",
                       path, norm);
    return SORA_OK;
}

/* ---- config.json of the original code ---- */

static sora_result read_original(struct wan_config *k, const struct sr_config *c, const char *path, sora_error *err)
{
    char type[32] = "t2v";
    int64_t dim = k->heads * k->head_dim;
    bool qk_norm = true;
    sora_result r;

    k->original = true;
    if ((r = read_patch(c, path, k, err)) < 0) return r;
    if ((r = sr_config_int(c, "dim", 8, 16384, &dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "num_heads", 1, 256, &k->heads, err)) < 0) return r;
    if (dim % k->heads || dim / k->heads < 8 || dim / k->heads > 256)
        return sr_fail(err, SORA_ERR_MODEL, "%s: dim is %lld with %lld heads; wanted: heads of 8 to 256 channels", path,
                       (long long)dim, (long long)k->heads);
    k->head_dim = dim / k->heads;
    if ((r = sr_config_int(c, "in_dim", 1, 1024, &k->in, err)) < 0) return r;
    if ((r = sr_config_int(c, "out_dim", 1, 1024, &k->out, err)) < 0) return r;
    if ((r = sr_config_int(c, "text_dim", 1, 16384, &k->text_dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "text_len", 1, 4096, &k->text_len, err)) < 0) return r;
    if ((r = sr_config_int(c, "freq_dim", 2, 4096, &k->freq_dim, err)) < 0) return r;
    if ((r = sr_config_int(c, "ffn_dim", 1, 131072, &k->ffn, err)) < 0) return r;
    if ((r = sr_config_int(c, "num_layers", 1, 256, &k->layers, err)) < 0) return r;
    if ((r = sr_config_bool(c, "cross_attn_norm", &k->cross_norm, err)) < 0) return r;
    if ((r = sr_config_bool(c, "qk_norm", &qk_norm, err)) < 0) return r;
    if ((r = sr_config_float(c, "eps", 1e-12, 1e-2, &k->eps, err)) < 0) return r;
    if ((r = sr_config_string(c, "model_type", type, sizeof type, err)) < 0) return r;
    if (!qk_norm) return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: qk_norm is false; models with it are supported", path);
    if (strcmp(type, "t2v") && strcmp(type, "ti2v") && strcmp(type, "i2v"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: model_type is \"%s\"; t2v, ti2v and i2v are supported", path,
                       type);
    k->per_token_time = !strcmp(type, "ti2v");
    return SORA_OK;
}

/* ---- No config: the shapes tell ---- */

/* Dimension i of a tensor; 0: absent or fewer axes. */
static int64_t dim_of(const struct sr_weights *w, const char *name, int i)
{
    const struct sr_weight *t = sr_weights_find(w, name);
    return t && i < t->ndim && t->dim[i] < INT64_MAX ? (int64_t)t->dim[i] : 0;
}

static sora_result limited(int64_t v, int64_t min, int64_t max, const char *what, const char *path, sora_error *err)
{
    if (v >= min && v <= max) return SORA_OK;
    return sr_fail(err, SORA_ERR_MODEL, "%s: its tensors tell of %lld %s; wanted: %lld to %lld", path, (long long)v,
                   what, (long long)min, (long long)max);
}

static sora_result read_shapes(struct wan_config *k, const char *path, sora_error *err)
{
    struct sr_weights *w = NULL;
    const struct sr_weight *in;
    char name[80];
    int64_t dim;
    sora_result r;

    if ((r = sr_weights_open(&w, path, err)) < 0) goto done;
    k->original = sr_weights_detect(w, sr_wan_original_name, "blocks.0.attn1.to_q.weight");
    if (!k->original && !sr_weights_detect(w, NULL, "blocks.0.attn1.to_q.weight")) {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: no tensor \"blocks.0.self_attn.q.weight\": this is no Wan "
                    "transformer", path);
        goto done;
    }
    if (sr_weights_find(w, "blocks.0.cross_attn.k_img.weight") ||
        sr_weights_find(w, "blocks.0.attn2.add_k_proj.weight")) {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: the model has a second attention for image features, which is not "
                    "supported yet", path);
        goto done;
    }
    k->causal = !strncmp(sr_weights_prefix(w), "generator", 9);     /* so the trainers of the Self-Forcing line call it */
    dim = dim_of(w, "blocks.0.attn1.to_q.weight", 0);
    k->head_dim = 128;                      /* of every published size */
    k->heads = dim / 128;
    k->ffn = dim_of(w, "blocks.0.ffn.net.0.proj.weight", 0);
    k->text_dim = dim_of(w, "condition_embedder.text_embedder.linear_1.weight", 1);
    k->freq_dim = dim_of(w, "condition_embedder.time_embedder.linear_1.weight", 1);
    k->out = dim_of(w, "proj_out.weight", 0) / 4;
    in = sr_weights_find(w, "patch_embedding.weight");      /* [dim, in, 1, 2, 2], or flat [dim, in * 4] */
    k->in = in && in->ndim == 2 ? (int64_t)(in->dim[1] / 4) : dim_of(w, "patch_embedding.weight", 1);
    k->cross_norm = sr_weights_find(w, "blocks.0.norm2.weight") != NULL;
    k->per_token_time = k->out == 48;       /* TI2V-5B is the one with the 48-channel latents */
    for (k->layers = 0; k->layers <= 256; k->layers++) {
        snprintf(name, sizeof name, "blocks.%d.attn1.to_q.weight", (int)k->layers);
        if (!sr_weights_find(w, name)) break;
    }
    if ((r = limited(dim % 128 ? 0 : dim, 128, 16384, "channels (a multiple of 128)", path, err)) < 0) goto done;
    if ((r = limited(k->ffn, 1, 131072, "channels in the feed-forward part", path, err)) < 0) goto done;
    if ((r = limited(k->text_dim, 1, 16384, "channels of text", path, err)) < 0) goto done;
    if ((r = limited(k->freq_dim, 2, 4096, "channels of time", path, err)) < 0) goto done;
    if ((r = limited(k->in, 1, 1024, "channels in", path, err)) < 0) goto done;
    if ((r = limited(k->out, 1, 1024, "channels out", path, err)) < 0) goto done;
    r = limited(k->layers, 1, 256, "layers", path, err);
done:
    sr_weights_close(&w);
    return r;
}

/* ---- All of it ---- */

/* FOLDER/name if it is there, else NULL with SORA_OK. */
static sora_result open_beside(struct sr_config **c, char **path, const char *folder, const char *name, sora_error *err)
{
    *c = NULL;
    if (!(*path = sr_asprintf("%s/%s", folder, name))) return sr_fail_nomem(err, strlen(folder) + 20, "a path");
    return exists(*path) ? sr_config_open(c, *path, err) : SORA_OK;
}

/* What the pipeline's config says of the transformer. */
static sora_result read_index(struct wan_config *k, const char *folder, sora_error *err)
{
    static const char *const two[] = { "boundary_ratio" };
    struct sr_config *c;
    char *path;
    sora_result r = open_beside(&c, &path, folder, "model_index.json", err);

    if (c && (r = refuse_present(c, path, two, 1, "two transformers share the steps", err)) == SORA_OK)
        r = sr_config_bool(c, "expand_timesteps", &k->per_token_time, err);
    sr_config_close(&c);
    sr_free(path);
    return r;
}

/* What sora.json says of the transformer. */
static sora_result read_sora(struct wan_config *k, const char *folder, sora_error *err)
{
    struct sr_about about;
    sora_result r = sr_about_read(&about, folder, err);

    if (r < 0) return r;
    if (about.text_tokens) k->text_len = about.text_tokens;
    if (strcmp(about.family, "pocket")) return SORA_OK;
    k->nwaves = about.nwaves;
    memcpy(k->waves, about.waves, sizeof k->waves);
    return SORA_OK;
}

/* The class that the original code names in its config. */
static bool is_wan(const char *class)
{
    return !strcmp(class, "WanModel") || !strcmp(class, "CausalWanModel");
}

sora_result sr_wan_config_read(struct wan_config *k, const char *path, sora_error *err)
{
    struct sr_config *c = NULL;
    char file[sizeof k->weights + 40], class[64] = "";
    sora_result r;

    defaults(k);
    if (!is_folder(path)) {
        if (snprintf(k->weights, sizeof k->weights, "%s", path) >= (int)sizeof k->weights)
            return sr_fail(err, SORA_ERR_OPTION, "%.80s...: the path is longer than %zu bytes", path,
                           sizeof k->weights - 1);
        if ((r = read_shapes(k, path, err)) < 0) return r;
        return check(k, path, err);
    }
    if ((r = part_folder(k->weights, sizeof k->weights, path, err)) < 0) return r;
    snprintf(file, sizeof file, "%s/config.json", k->weights);
    if ((r = sr_config_open(&c, file, err)) < 0) goto done;
    if ((r = sr_config_string(c, "_class_name", class, sizeof class, err)) < 0) goto done;
    if (!strcmp(class, "WanTransformer3DModel")) r = read_diffusers(k, c, file, err);
    else if (is_wan(class)) r = read_original(k, c, file, err);
    else r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: _class_name is \"%s\"; WanTransformer3DModel and WanModel are "
                     "supported", file, class);
    k->causal = !strcmp(class, "CausalWanModel");
    if (r == SORA_OK) r = read_index(k, path, err);
    if (r == SORA_OK) r = read_sora(k, path, err);
    if (r == SORA_OK) r = check(k, file, err);
done:
    sr_config_close(&c);
    return r;
}

/*
 * A folder is a Wan if its transformer's class says so; a single file is taken for one until its tensors' names are read.
 * So is a config that cannot be read: the probe that follows says what is wrong with it.
 */
bool sr_wan_knows(const char *path)
{
    char folder[1024], file[1064], class[64] = "";
    struct sr_config *c = NULL;
    bool known = true;
    sora_result r;

    if (!is_folder(path)) return true;
    if (part_folder(folder, sizeof folder, path, NULL) < 0) return true;
    snprintf(file, sizeof file, "%s/config.json", folder);
    if ((r = sr_config_open(&c, file, NULL)) == SORA_ERR_NOT_FOUND) known = false;
    if (r == SORA_OK && sr_config_string(c, "_class_name", class, sizeof class, NULL) == SORA_OK)
        known = is_wan(class) || !strcmp(class, "WanTransformer3DModel");
    sr_config_close(&c);
    return known;
}

sora_result sr_wan_model_info(struct sr_model_info *info, const struct wan_config *k, sora_error *err)
{
    const uint64_t C = (uint64_t)(k->heads * k->head_dim), patch = (uint64_t)(k->patch[1] * k->patch[2]);
    const uint64_t ffn = (uint64_t)k->ffn, norm = k->cross_norm ? 2 * C : 0;
    const uint64_t block = 8 * (C * C + C) + 4 * C + norm + 2 * C * ffn + ffn + C + 6 * C;

    memset(info, 0, sizeof *info);
    snprintf(info->family, sizeof info->family, "%s", k->nwaves ? "pocket" : "wan");
    info->channels = (int)k->out;
    info->prior = (int)(k->nwaves ? k->out : k->in - k->out);
    info->patch_t = (int)k->patch[0], info->patch_h = (int)k->patch[1], info->patch_w = (int)k->patch[2];
    info->text_dim = (size_t)k->text_dim;
    info->text_len = (size_t)k->text_len;
    info->per_token_time = k->per_token_time;
    info->causal = k->causal;
    info->layers = (int)k->layers, info->dim = (int)C, info->heads = (int)k->heads;
    info->parameters = (uint64_t)k->layers * block + (uint64_t)k->in * patch * C + C             /* patches */
                       + (uint64_t)k->freq_dim * C + C + C * C + C + 6 * (C * C + C)            /* time */
                       + (uint64_t)k->text_dim * C + C + C * C + C                              /* text */
                       + 2 * C + (uint64_t)k->out * patch * (C + 1);                            /* head */
    return SORA_OK;
}
