/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * y = conv3x3(z), the border values of z repeated outside, C -> frames * 3 * side * side channels in the order (frame,
 * RGB, row, column), then a pixel shuffle; -1..1.  To that a network may add what it sees beyond (refine.h), also in the latent
 * before, the only state that counts.  Each latent frame is `frames` pictures, of which the first latent of a clip shows the last only.
 *
 * A position that sees what it saw a latent ago keeps the pixels it had: most of a scene stands still, and costs nothing.
 */
#include <stdio.h>

#include "vae/block_vae.h"
#include "vae/decoder.h"

enum {
    FRAMES_MAX = SR_REFINE_FRAMES,
    GROUP = 96          /* latent positions that are worked on together */
};

struct block_vae {
    struct sr_vae vae;
    struct sr_block_shape shape;
    struct sr_linear *layer[FRAMES_MAX];        /* of each picture: [3 * side * side, 9 C] */
    struct sr_refine refine;            /* used where shape.refine.width is not 0 */
    float *seen;                        /* [2 C, H, W], the latent before and this one */
    float *drawn;                       /* [frames, H W, 3 * side * side], what became of it */
    uint32_t *stale;                    /* [H W], room for the positions of which that is no longer true */
    bool *differs;                      /* [H W], room for where `seen` becomes another */
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
    sr_free(v->seen);
    sr_free(v->drawn);
    sr_free(v->stale);
    sr_free(v->differs);
}

/* The first latent of a stream is never compared with what came before it. */
static void block_reset(struct sr_vae *vae)
{
}

/* Whether the latents that position i sees, before and now, become others with z. */
static bool becomes_other(const struct block_vae *v, const float *z, size_t i)
{
    const size_t C = v->shape.channels, n = v->vae.H * v->vae.W;

    for (size_t ch = 0; ch < C; ch++) {
        const float now = v->seen[(C + ch) * n + i];
        if (now != v->seen[ch * n + i] || now != z[ch * n + i]) return true;
    }
    return false;
}

/* v->stale: the positions that have one of v->differs among those they see; -> how many */
static size_t find_stale(const struct block_vae *v)
{
    const size_t H = v->vae.H, W = v->vae.W, reach = v->shape.refine.width ? SR_MAX(v->shape.refine.kernel / 2, (size_t)1) : 1;
    size_t n = 0;

    for (size_t i = 0; i < H * W; i++) {
        const size_t row = i / W, col = i % W;
        bool any = false;
        for (size_t y = row - SR_MIN(row, reach); y <= SR_MIN(row + reach, H - 1) && !any; y++)
            for (size_t x = col - SR_MIN(col, reach); x <= SR_MIN(col + reach, W - 1); x++) any |= v->differs[y * W + x];
        if (any) v->stale[n++] = (uint32_t)i;
    }
    return n;
}

/* The pixels of `group` positions, into v->drawn. */
static void draw(struct sr_ctx *c, const struct block_vae *v, const uint32_t *at, size_t group)
{
    const struct sr_block_shape *s = &v->shape;
    const size_t mark = sr_scratch_mark(c), H = v->vae.H, W = v->vae.W, pixels = 3 * s->side * s->side;
    struct sr_tensor *near = sr_scratch(c, group, 9 * s->channels, SR_F32), *more = NULL;

    sr_neighbours_at(c, near, v->seen + s->channels * H * W, H * W, H, W, at, 3, s->scale);
    if (s->refine.width) more = sr_refine(c, &v->refine, v->seen, H, W, at, group, s->scale);
    for (size_t f = 0; f < s->frames; f++) {
        const size_t inner = sr_scratch_mark(c);
        struct sr_tensor *y = sr_linear(c, v->layer[f], near, SR_ACT_NONE, SR_F32);

        if (more) sr_add(c, y, sr_refine_picture(c, &v->refine, more, f));
        if (!sr_ctx_skip(c)) {
            const double start = sr_now();
            for (size_t i = 0; i < group; i++)
                memcpy(v->drawn + (f * H * W + at[i]) * pixels, (const float *)y->data + i * y->stride, pixels * sizeof(float));
            c->prof.seconds[SR_REORDER] += sr_now() - start;
        }
        sr_scratch_release(c, inner);
    }
    sr_scratch_release(c, mark);
}

/* Always in groups of one size, the last filled up with positions that are there already, so that no result depends on how many are
   stale. */
static void draw_stale(struct sr_ctx *c, const struct block_vae *v, const float *z, bool first)
{
    const size_t n = v->vae.H * v->vae.W, plane = v->shape.channels * n, group = SR_MIN((size_t)GROUP, n);
    size_t count = group;

    if (!sr_ctx_skip(c)) {
        for (size_t i = 0; i < n; i++) v->differs[i] = first || becomes_other(v, z, i);
        count = find_stale(v);
        memcpy(v->seen, first ? z : v->seen + plane, plane * sizeof *z);
        memcpy(v->seen + plane, z, plane * sizeof *z);
        for (size_t i = count; i && i < group; i++) v->stale[i] = v->stale[i - 1];
    }
    for (size_t at = 0; at < count; at += group) draw(c, v, v->stale + SR_MIN(at, SR_MAX(count, group) - group), group);
}

static void block_decode(struct sr_ctx *c, struct sr_vae *vae, const float *z, bool first)
{
    const struct block_vae *v = (const struct block_vae *)vae;
    const struct sr_block_shape *s = &v->shape;
    const struct sr_picture p = { .patch = s->side, .scale = 0.5f, .shift = 0.5f };
    const size_t pixels = 3 * s->side * s->side, picture = vae->H * vae->W * pixels;

    draw_stale(c, v, z, first);
    for (size_t f = first ? s->frames - 1 : 0; f < s->frames; f++)
        sr_write_picture(c, vae, &(struct sr_fmap){ v->drawn + f * picture, SR_F32, 1, vae->H, vae->W, pixels }, &p);
}

static const struct sr_decoder block_decoder = { block_decode, block_reset, block_close };

void sr_block_vae_load(struct sr_loader *l, struct sr_vae **out, const struct sr_block_shape *s, size_t H, size_t W)
{
    struct block_vae *v = sr_zalloc(sizeof *v);
    const size_t n = outputs(s), picture = n / s->frames, in = 9 * s->channels, area = H * W;
    const size_t seen = 2 * s->channels * area * sizeof(float), drawn = n * area * sizeof(float);
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
    if (s->refine.width) sr_refine_load(l, &v->refine, &s->refine);
    if (l->result >= 0 && (!(v->seen = sr_malloc(seen)) || !(v->drawn = sr_malloc(drawn)) ||
                           !(v->stale = sr_malloc(area * sizeof *v->stale)) || !(v->differs = sr_malloc(area * sizeof *v->differs))))
        l->result = sr_fail_nomem(l->err, seen + drawn + area * (sizeof *v->stale + sizeof *v->differs), "video decoder");
}
