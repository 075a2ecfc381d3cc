/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which decoder a folder or a file holds, by what is in it; opening it; one frame after the other. */
#include <errno.h>
#include <sys/stat.h>

#include "vae/block_vae.h"
#include "vae/decoder.h"
#include "vae/tiny_vae.h"
#include "vae/wan_shape.h"

/* What was found. */
struct found {
    enum { FOUND_WAN, FOUND_TINY, FOUND_BLOCK } family;
    struct sr_wan_shape wan;
    struct sr_tiny_shape tiny;
    struct sr_block_shape block;
};

static void found_info(const struct found *f, struct sr_vae_info *info)
{
    switch (f->family) {
    case FOUND_WAN: sr_wan_info(&f->wan, info); break;
    case FOUND_TINY: sr_tiny_info(&f->tiny, info); break;
    case FOUND_BLOCK: sr_block_info(&f->block, info); break;
    }
}

/* A folder says in config.json what it holds. */
static sora_result look_config(struct found *f, const char *path, sora_error *err)
{
    struct sr_config *cfg = NULL;
    char class[64] = "";
    sora_result r;

    if ((r = sr_config_open(&cfg, path, err)) < 0) goto done;
    if ((r = sr_config_string(cfg, "_class_name", class, sizeof class, err)) < 0) goto done;
    if (!strcmp(class, "AutoencoderKLWan")) {
        f->family = FOUND_WAN;
        r = sr_wan_shape_config(&f->wan, cfg, path, err);
    } else if (!strcmp(class, "SoraBlockDecoder")) {
        f->family = FOUND_BLOCK;
        r = sr_block_shape_config(&f->block, cfg, path, err);
    } else {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: \"_class_name\" is \"%s\"; the decoders built in are "
                    "AutoencoderKLWan and SoraBlockDecoder", path, class);
    }
done:
    sr_config_close(&cfg);
    return r;
}

/* A single file shows it by its tensors. */
static sora_result look_weights(struct found *f, struct sr_weights *w, sora_error *err)
{
    bool found = false;
    sora_result r;

    f->family = FOUND_TINY;
    if ((r = sr_tiny_shape_weights(&f->tiny, w, &found, err)) < 0 || found) return r;
    f->family = FOUND_WAN;
    if ((r = sr_wan_shape_weights(&f->wan, w, &found, err)) < 0 || found) return r;
    return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: no video decoder that is built in: neither one of Wan's nor a tiny "
                   "one (taew2_1, taew2_2)", sr_weights_path(w));
}

/* path: folder or file.  *w: opened where wanted (w not NULL), with the rename function it needs. */
static sora_result look(struct found *f, struct sr_weights **w, const char *path, sora_error *err)
{
    struct sr_weights *file = NULL;
    char *config = NULL;
    struct stat st;
    sora_result r = SORA_OK;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (!(config = sr_asprintf("%s/config.json", path))) return sr_fail_nomem(err, strlen(path) + 16, path);
        if (stat(config, &st) < 0 && errno == ENOENT) {         /* a folder with one file in it, then */
            sr_free(config);
            config = NULL;
        }
    }
    if (config && (r = look_config(f, config, err)) < 0) goto done;
    if (config && !w) goto done;
    if ((r = sr_weights_open(&file, path, err)) < 0) goto done;
    if (!config) r = look_weights(f, file, err);
    else if (f->family == FOUND_WAN) sr_wan_rename(file);
    if (r >= 0 && w) {
        *w = file;
        file = NULL;
    }
done:
    sr_weights_close(&file);
    sr_free(config);
    return r;
}

sora_result sr_vae_probe(struct sr_vae_info *info, const char *path, sora_error *err)
{
    struct found f = { 0 };
    const sora_result r = look(&f, NULL, path, err);

    if (r >= 0) found_info(&f, info);
    return r;
}

/* One frame of each kind in plan mode: primitives are built, the arena grows to what both need. */
static sora_result plan(struct sr_ctx *c, struct sr_vae *v, sora_error *err)
{
    sr_ctx_plan(c);
    v->decoder->decode(c, v, NULL, true);
    v->decoder->decode(c, v, NULL, false);
    return sr_ctx_commit(c, err);
}

static sora_result open_found(struct sr_ctx *c, struct sr_vae **out, const struct found *f, struct sr_weights *w,
                              size_t H, size_t W, sora_error *err)
{
    struct sr_loader l = { .c = c, .w = w, .err = err, .result = SORA_OK };

    *out = NULL;
    if (H < 1 || W < 1 || H > SR_VAE_SIDE_MAX || W > SR_VAE_SIDE_MAX)
        return sr_fail(err, SORA_ERR_OPTION, "video decoder: a latent frame of %zux%zu; wanted: sides of 1 to %d", W, H,
                       SR_VAE_SIDE_MAX);
    switch (f->family) {
    case FOUND_WAN: sr_wan_vae_load(&l, out, &f->wan, H, W); break;
    case FOUND_TINY: sr_tiny_vae_load(&l, out, &f->tiny, H, W); break;
    case FOUND_BLOCK: sr_block_vae_load(&l, out, &f->block, H, W); break;
    }
    if (*out) {
        (*out)->H = H;
        (*out)->W = W;
        found_info(f, &(*out)->info);
    }
    if (l.result >= 0) l.result = plan(c, *out, err);
    if (l.result < 0) sr_vae_close(out);
    return l.result;
}

sora_result sr_vae_open(struct sr_ctx *c, struct sr_vae **v, const char *path, size_t H, size_t W, sora_error *err)
{
    struct found f = { 0 };
    struct sr_weights *w = NULL;
    sora_result r;

    *v = NULL;
    if ((r = look(&f, &w, path, err)) >= 0) r = open_found(c, v, &f, w, H, W, err);
    sr_weights_close(&w);
    return r;
}

sora_result sr_vae_open_random(struct sr_ctx *c, struct sr_vae **v, const char *kind, size_t H, size_t W, uint64_t seed,
                               sora_error *err)
{
    struct found f = { 0 };
    struct sr_weights *w = NULL;
    sora_result r;

    *v = NULL;
    f.family = !strncmp(kind, "tae", 3) ? FOUND_TINY : FOUND_WAN;
    r = f.family == FOUND_TINY ? sr_tiny_shape_published(&f.tiny, kind, err)
                               : sr_wan_shape_published(&f.wan, kind, err);
    if (r >= 0 && (r = sr_weights_open_random(&w, seed, err)) >= 0) r = open_found(c, v, &f, w, H, W, err);
    sr_weights_close(&w);
    return r;
}

void sr_vae_close(struct sr_vae **v)
{
    if (!*v) return;
    (*v)->decoder->close(*v);
    sr_free(*v);
    *v = NULL;
}

const struct sr_vae_info *sr_vae_get_info(const struct sr_vae *v)
{
    return &v->info;
}

void sr_vae_reset(struct sr_vae *v)
{
    v->decoder->reset(v);
    v->started = false;
}

sora_result sr_vae_decode(struct sr_ctx *c, struct sr_vae *v, const float *z, const struct sr_vae_out *out, sora_error *err)
{
    v->out = out;
    if (!c->err.code) v->decoder->decode(c, v, z, !v->started);
    v->out = NULL;
    if (c->err.code) {
        const sora_result r = sr_fail(err, c->err.code, "%s", c->err.text);
        sr_vae_reset(v);                /* its history holds half a frame */
        return r;
    }
    v->started = true;
    return SORA_OK;
}
