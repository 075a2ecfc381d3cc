/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * y = conv3x3(z), the border values of z repeated outside, C -> frames * 3 * side * side channels in the order (frame,
 * RGB, row, column), then a pixel shuffle; -1..1.  To that a network may add what it sees beyond (refine.h), the only
 * state.  Each latent frame is `frames` pictures, of which the first latent of a clip shows the last only.
 */
#include <stdio.h>

#include "vae/block_vae.h"
#include "vae/decoder.h"

enum {
    FRAMES_MAX = SR_REFINE_FRAMES,
    BAND = 192          /* latent pixels, about: what lies between latents and picture need not be as large as the picture */
};

struct block_vae {
    struct sr_vae vae;
    struct sr_block_shape shape;
    struct sr_linear *layer[FRAMES_MAX];        /* of each picture: [3 * side * side, 9 C] */
    struct sr_refine refine;            /* used where shape.refine.width is not 0 */
};

/* The string items of list `key` must be these n. */
static sora_result want_strings(const struct sr_config *c, const char *key, const char *const *want, size_t n,
                                const char *path, sora_error *err)
{
    char text[32] = "";
    sora_result r;

    for (size_t i = 0; i < n; i++) {
        if ((r = sr_config_string_at(c, key, i, text, sizeof text, err)) < 0) return r;
        if (strcmp(text, want[i]))
            return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: item %zu of \"%s\" is \"%s\"; only \"%s\" is built in", path,
                           i, key, text, want[i]);
    }
    return SORA_OK;
}

sora_result sr_block_shape_config(struct sr_block_shape *s, const struct sr_config *c, const char *path,
                                  sora_error *err)
{
    static const char *const order[] = { "frame", "rgb", "y", "x" };
    int64_t channels = 0, kernel = 3, frames = 4, dropped = 3, side = 16;
    double scale = 1, range[2] = { -1, 1 };
    char padding[32] = "replicate";
    size_t n = 2;
    sora_result r;

    if ((r = sr_config_int(c, "latent_channels", 1, 1024, &channels, err)) < 0) return r;
    if ((r = sr_config_int(c, "kernel_size", 1, 9, &kernel, err)) < 0) return r;
    if ((r = sr_config_int(c, "frames_per_latent", 1, FRAMES_MAX, &frames, err)) < 0) return r;
    if ((r = sr_config_int(c, "first_frames_dropped", 0, FRAMES_MAX, &dropped, err)) < 0) return r;
    if ((r = sr_config_int(c, "pixel_shuffle", 1, 64, &side, err)) < 0) return r;
    if ((r = sr_config_float(c, "scaling_factor", 1e-6, 1e6, &scale, err)) < 0) return r;
    if ((r = sr_config_floats(c, "output_range", range, 2, &n, err)) < 0) return r;
    if ((r = sr_config_string(c, "padding_mode", padding, sizeof padding, err)) < 0) return r;
    if (sr_config_has(c, "channel_order") &&
        (r = want_strings(c, "channel_order", order, SR_COUNT(order), path, err)) < 0)
        return r;
    if (!channels) return sr_fail(err, SORA_ERR_MODEL, "%s: no \"latent_channels\"", path);
    if (kernel != 3 || strcmp(padding, "replicate"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: \"kernel_size\" is %lld and \"padding_mode\" is \"%s\"; built "
                       "in are 3 and \"replicate\"", path, (long long)kernel, padding);
    if (dropped != frames - 1)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: \"first_frames_dropped\" is %lld of %lld; built in is all but "
                       "one", path, (long long)dropped, (long long)frames);
    if (n != 2 || range[0] != -1 || range[1] != 1)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: \"output_range\" is not [-1, 1], which is built in", path);
    *s = (struct sr_block_shape){ (size_t)channels, (size_t)frames, (size_t)side, (float)(1 / scale), { 0 } };
    return sr_refine_shape_config(&s->refine, c, s->channels, s->frames, s->side, path, err);
}

static size_t outputs(const struct sr_block_shape *s)
{
    return s->frames * 3 * s->side * s->side;
}

void sr_block_info(const struct sr_block_shape *s, struct sr_vae_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->kind, sizeof info->kind, "block");
    info->channels = (int)s->channels;
    info->scale_s = (int)s->side;
    info->scale_t = (int)s->frames;
    info->parameters = (uint64_t)outputs(s) * (9 * s->channels + 1) + sr_refine_parameters(&s->refine);
    info->flop_per_frame = 18.0 * (double)(outputs(s) * s->channels) + sr_refine_flop(&s->refine);
}

static void block_close(struct sr_vae *vae)
{
    struct block_vae *v = (struct block_vae *)vae;

    for (size_t f = 0; f < v->shape.frames; f++) sr_linear_close(&v->layer[f]);
    sr_refine_close(&v->refine);
}

/* The first latent of a stream is never compared with what came before it. */
static void block_reset(struct sr_vae *vae)
{
}

/* Picture by picture, and each in bands: they would be most of what a session of a small model takes. */
static void block_decode(struct sr_ctx *c, struct sr_vae *vae, const float *z, bool first)
{
    const struct block_vae *v = (const struct block_vae *)vae;
    const struct sr_block_shape *s = &v->shape;
    const struct sr_picture p = { .patch = s->side, .scale = 0.5f, .shift = 0.5f };
    const size_t mark = sr_scratch_mark(c), band = SR_MAX(BAND / vae->W, (size_t)1);

    if (s->refine.width) sr_refine(c, &v->refine, z, first, s->scale);
    for (size_t f = first ? s->frames - 1 : 0; f < s->frames; f++) {
        const size_t before = sr_scratch_mark(c);
        float *rgb = sr_picture_begin(c, vae);

        for (size_t row = 0; row < vae->H; row += band) {
            const size_t inner = sr_scratch_mark(c), h = SR_MIN(band, vae->H - row);
            struct sr_tensor *x = sr_scratch(c, h * vae->W, 9 * s->channels, SR_F32), *y;

            sr_neighbours(c, x, z, vae->H * vae->W, vae->H, vae->W, row, s->scale);
            y = sr_linear(c, v->layer[f], x, SR_ACT_NONE, SR_F32);              /* [h W, 3 * side * side] */
            if (s->refine.width) sr_refine_add(c, &v->refine, y, row, f);
            sr_picture_rows(c, vae, rgb, row, &(struct sr_fmap){ y->data, SR_F32, 1, h, vae->W, y->cols }, &p);
            sr_scratch_release(c, inner);
        }
        sr_picture_end(c, vae, rgb);
        sr_scratch_release(c, before);
    }
    sr_scratch_release(c, mark);
}

static const struct sr_decoder block_decoder = { block_decode, block_reset, block_close };

void sr_block_vae_load(struct sr_loader *l, struct sr_vae **out, const struct sr_block_shape *s, size_t H, size_t W)
{
    struct block_vae *v = sr_zalloc(sizeof *v);
    const size_t n = outputs(s), picture = n / s->frames, in = 9 * s->channels;
    struct sr_param w, b;

    *out = (struct sr_vae *)v;
    if (!v) {
        l->result = sr_fail_nomem(l->err, sizeof *v, "video decoder");
        return;
    }
    v->vae.decoder = &block_decoder;
    v->shape = *s;
    l->result = sr_weights_get(l->w, &w, l->err, 4, (size_t[]){ n, s->channels, 3, 3 }, "conv_in.weight");
    if (l->result >= 0) l->result = sr_weights_get(l->w, &b, l->err, 1, &n, "conv_in.bias");
    if (l->result < 0) return;
    /* f32 whatever the context computes in: it is little work, and bf16 would show in smooth skies */
    for (size_t f = 0; f < s->frames && l->result >= 0; f++) {
        const struct sr_param wf = sr_param_part(&w, f * picture * in, picture * in), bf = sr_param_part(&b, f * picture, picture);
        l->result = sr_linear_open(l->c, &v->layer[f], &wf, &bf, &picture, 1, in, true, l->err);
    }
    if (s->refine.width) sr_refine_load(l, &v->refine, &s->refine, H, W);
}
