/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tiny decoder: tanh(z / 3) * 3, a 3 x 3 convolution, and three stages of
 *     3 memory blocks, enlarge by 2, grow in time (1 x 1, n -> n * times, the outputs split into frames), 3 x 3
 * then ReLU and a 3 x 3 convolution to the picture.  A memory block is
 *     relu(x + conv(relu(conv(relu(conv([x, x of the frame before]))))))
 *
 * Two identities make it cheaper and change nothing: the block's first convolution over the channels of two frames is
 * one over time, with a tap for each frame; and growing, a 1 x 1 layer without bias, is folded into the 3 x 3 layer
 * behind it, one for each frame it makes.  Frames are carried to the end one by one, so memory does not grow with them.
 */
#include <math.h>
#include <stdio.h>

#include "vae/causal_conv.h"
#include "vae/decoder.h"
#include "vae/tiny_vae.h"
#include "vae/up_conv.h"

enum { STAGES = 3, BLOCKS = 3, FIRST_DROPPED = 3 };

/* Frames that one becomes at the end of each stage. */
static const size_t times[STAGES] = { 1, 2, 2 };

struct tiny_block {
    struct sr_history past;             /* x of the frame before, and of this one */
    struct sr_taps first;               /* of the three convolutions */
    struct sr_conv *second, *third;
};

struct tiny_vae {
    struct sr_vae vae;
    struct sr_tiny_shape shape;
    struct sr_conv *conv_in, *conv_out;
    struct tiny_block block[STAGES][BLOCKS];
    struct sr_up_conv up[STAGES][2];    /* for each frame that is made: growing, enlarging, 3 x 3 */
    size_t skip;                        /* how many are still to be dropped */
};

/* ---- Which one ---- */

sora_result sr_tiny_shape_published(struct sr_tiny_shape *s, const char *kind, sora_error *err)
{
    const bool wan21 = !strcmp(kind, "taew2_1");

    if (!wan21 && strcmp(kind, "taew2_2"))
        return sr_fail(err, SORA_ERR_OPTION, "\"%s\" is no tiny decoder; wanted: taew2_1, taew2_2", kind);
    *s = (struct sr_tiny_shape){ wan21 ? 16 : 48, { 256, 128, 64, 64 }, { 256, 256, 128 }, wan21 ? 1 : 2 };
    return SORA_OK;
}

/* Step i of the published model is the layer with this number: 3 blocks, enlarge, grow, convolution make a stage. */
static size_t step_of(size_t stage, size_t step)
{
    return 3 + 6 * stage + step;
}

static const struct sr_weight *find(const struct sr_weights *w, size_t step, const char *rest)
{
    const struct sr_weight *t;
    char name[64];

    snprintf(name, sizeof name, "decoder.%zu.%s", step, rest);
    t = sr_weights_find(w, name);
    return t && t->ndim == 4 ? t : NULL;
}

sora_result sr_tiny_shape_weights(struct sr_tiny_shape *s, struct sr_weights *w, bool *found, sora_error *err)
{
    const char *path = sr_weights_path(w);
    const struct sr_weight *first = find(w, 1, "weight"), *last = find(w, 22, "weight"), *grow, *conv;

    memset(s, 0, sizeof *s);
    *found = first && last && find(w, 3, "conv.0.weight");
    if (find(w, 1, "conv.0.weight") && find(w, 0, "weight"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: the \"super\" kind of tiny decoder is not built in; use taew2_1 "
                       "or taew2_2", path);
    if (!*found) return SORA_OK;
    s->channels = first->dim[1];
    s->width[0] = first->dim[0];
    for (size_t i = 0; i < STAGES; i++) {
        grow = find(w, step_of(i, 4), "conv.weight");
        conv = find(w, step_of(i, 5), "weight");
        if (!grow || !conv)
            return sr_fail(err, SORA_ERR_MODEL, "%s: stage %zu of the tiny decoder is not there", path, i);
        s->grow_rows[i] = grow->dim[0];
        s->width[i + 1] = conv->dim[0];
        if (s->width[i] < 1 || s->width[i] > 4096 || s->grow_rows[i] < times[i] * s->width[i] ||
            s->grow_rows[i] > 65536)
            return sr_fail(err, SORA_ERR_MODEL, "%s: stage %zu of the tiny decoder has %zu channels and makes %zu of "
                           "them; wanted: at least %zu times as many", path, i, s->width[i], s->grow_rows[i], times[i]);
    }
    s->patch = last->dim[0] == 12 ? 2 : 1;
    if (last->dim[0] != 3 * s->patch * s->patch || (s->channels != 16 && s->channels != 48) || s->width[3] < 1 ||
        s->width[3] > 4096)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: a tiny decoder of %zu latent channels that gives %zu values; "
                       "built in are those of Wan 2.1 (16, 3) and 2.2 (48, 12)", path, s->channels, last->dim[0]);
    return SORA_OK;
}

void sr_tiny_info(const struct sr_tiny_shape *s, struct sr_vae_info *info)
{
    const size_t *n = s->width;
    double area = 1, frames = 1, flop = 18.0 * (double)(s->channels * n[0]);
    uint64_t p = 9 * s->channels * n[0];

    memset(info, 0, sizeof *info);
    snprintf(info->kind, sizeof info->kind, "%s", s->patch == 1 ? "taew2_1" : "taew2_2");
    info->channels = (int)s->channels;
    info->scale_s = 8 * (int)s->patch;
    info->scale_t = 4;
    for (size_t i = 0; i < STAGES; i++) {
        p += BLOCKS * 36 * n[i] * n[i] + n[i] * n[i] * times[i] + 9 * n[i] * n[i + 1];
        flop += 2.0 * BLOCKS * 36 * (double)(n[i] * n[i]) * area * frames;
        area *= 4;
        flop += 2.0 * (double)(n[i] * n[i]) * area * frames * (double)times[i];
        frames *= (double)times[i];
        flop += 18.0 * (double)(n[i] * n[i + 1]) * area * frames;
    }
    info->parameters = p + 9 * n[3] * 3 * s->patch * s->patch;
    info->flop_per_frame = flop + 54.0 * (double)(n[3] * s->patch * s->patch) * area * frames;
}

/* ---- Loading ---- */

static struct sr_conv *load_conv(struct sr_loader *l, size_t in, size_t out, const char *name)
{
    const struct sr_conv_shape s = { in, out, .kt = 1, .kh = 3, .kw = 3, .pad_h = 1, .pad_w = 1, .stride_s = 1 };

    return sr_load_conv(l, &s, true, true, name);
}

/* [n, 2 n, 3, 3] over the channels of this frame and of the one before: a tap for each */
static void load_memory_conv(struct sr_loader *l, struct tiny_block *b, size_t n)
{
    const size_t bytes = n * n * 9 * sizeof(float);
    float *w = sr_load_f32(l, 4, (size_t[]){ n, 2 * n, 3, 3 }, "conv.0.weight");
    float *bias = sr_load_vec(l, n, "conv.0.bias");
    float *tap[2] = { sr_malloc(bytes), sr_malloc(bytes) };

    if (l->result >= 0 && (!tap[0] || !tap[1])) l->result = sr_fail_nomem(l->err, 2 * bytes, "tiny decoder");
    if (l->result >= 0) {
        for (size_t o = 0; o < n; o++)
            for (size_t t = 0; t < 2; t++) memcpy(tap[t] + o * n * 9, w + (2 * o + t) * n * 9, n * 9 * sizeof(float));
        sr_taps_open(l, &b->first, n, n, 2, 3, (const float *const *)tap, bias);
    }
    sr_free(tap[0]);
    sr_free(tap[1]);
    sr_free(bias);
    sr_free(w);
}

/* up[a][o, i] = sum over m of conv[o, m] * grow[a * n + m, i]: the rows that make frame a, inside the 3 x 3 layer */
static void load_up(struct sr_loader *l, struct tiny_vae *v, size_t stage)
{
    const size_t n = v->shape.width[stage], out = v->shape.width[stage + 1], rows = v->shape.grow_rows[stage];
    const size_t bytes = out * n * 9 * sizeof(float);
    float *grow, *conv, *w = sr_malloc(bytes);
    char name[32];

    l->prefix[0] = 0;
    snprintf(name, sizeof name, "decoder.%zu.conv.weight", step_of(stage, 4));
    grow = sr_load_f32(l, 4, (size_t[]){ rows, n, 1, 1 }, name);
    snprintf(name, sizeof name, "decoder.%zu.weight", step_of(stage, 5));
    conv = sr_load_f32(l, 4, (size_t[]){ out, n, 3, 3 }, name);
    if (l->result >= 0 && !w) l->result = sr_fail_nomem(l->err, bytes, "tiny decoder");
    for (size_t a = 0; a < times[stage] && l->result >= 0; a++) {
        const float *g = grow + (rows - (times[stage] - a) * n) * n;        /* of more rows than needed, the last */
        memset(w, 0, bytes);
        for (size_t o = 0; o < out; o++)
            for (size_t m = 0; m < n; m++)
                for (size_t i = 0; i < n; i++)
                    for (size_t k = 0; k < 9; k++) w[(o * n + i) * 9 + k] += conv[(o * n + m) * 9 + k] * g[m * n + i];
        sr_up_conv_open(l, &v->up[stage][a], n, out, w, NULL);
    }
    sr_free(w);
    sr_free(conv);
    sr_free(grow);
}

static void load_block(struct sr_loader *l, struct tiny_block *b, size_t step, size_t n, size_t H, size_t W)
{
    snprintf(l->prefix, sizeof l->prefix, "decoder.%zu.", step);
    load_memory_conv(l, b, n);
    b->second = load_conv(l, n, n, "conv.2");
    b->third = load_conv(l, n, n, "conv.4");
    if (l->result >= 0) l->result = sr_history_open(&b->past, 2, H, W, n, l->c->act, NULL, l->err);
}

static void tiny_close(struct sr_vae *vae)
{
    struct tiny_vae *v = (struct tiny_vae *)vae;

    sr_conv_close(&v->conv_in);
    sr_conv_close(&v->conv_out);
    for (size_t i = 0; i < STAGES; i++) {
        for (size_t j = 0; j < BLOCKS; j++) {
            sr_history_close(&v->block[i][j].past);
            sr_taps_close(&v->block[i][j].first);
            sr_conv_close(&v->block[i][j].second);
            sr_conv_close(&v->block[i][j].third);
        }
        for (size_t a = 0; a < 2; a++) sr_up_conv_close(&v->up[i][a]);
    }
}

static void tiny_reset(struct sr_vae *vae)
{
    struct tiny_vae *v = (struct tiny_vae *)vae;

    for (size_t i = 0; i < STAGES; i++)
        for (size_t j = 0; j < BLOCKS; j++) sr_history_reset(&v->block[i][j].past);
}

/* ---- Decoding ---- */

/* x stands in b's history; the result goes to `to` [1, H, W, n]. */
static void tiny_memory_block(struct sr_ctx *c, struct tiny_block *b, const struct sr_fmap *to)
{
    const struct sr_fmap x = sr_history_newest(&b->past);
    const size_t mark = sr_scratch_mark(c);
    struct sr_fmap h = sr_fmap_scratch(c, 1, x.H, x.W, x.C, c->act);

    sr_taps_conv(c, &b->first, &b->past, SR_ACT_RELU, NULL, &h);
    h = sr_conv(c, b->second, &h, SR_ACT_RELU, NULL, c->act);
    sr_conv_to(c, b->third, &h, SR_ACT_RELU, &x, to);
    sr_scratch_release(c, mark);
    sr_history_step(c, &b->past);
}

/* x [1, H, W, width 2], before the last enlargement, and growing into frame a: its picture. */
static void tiny_head(struct sr_ctx *c, struct tiny_vae *v, const struct sr_fmap *x, size_t a)
{
    const struct sr_picture p = { .patch = v->shape.patch, .scale = 1 };
    const size_t mark = sr_scratch_mark(c);
    struct sr_fmap h;

    if (v->skip) {
        v->skip--;
        return;
    }
    h = sr_fmap_scratch(c, 1, 2 * x->H, 2 * x->W, v->shape.width[STAGES], c->act);
    sr_up_conv(c, &v->up[STAGES - 1][a], x, SR_ACT_RELU, false, &h);
    h = sr_conv(c, v->conv_out, &h, SR_ACT_NONE, NULL, SR_F32);
    sr_write_picture(c, &v->vae, &h, &p);
    sr_scratch_release(c, mark);
}

/* Stage i and everything behind it; its input stands in its first block's history. */
static void tiny_stage(struct sr_ctx *c, struct tiny_vae *v, size_t i)
{
    const size_t mark = sr_scratch_mark(c);
    const struct sr_fmap x = sr_history_newest(&v->block[i][0].past);
    const struct sr_fmap h = sr_fmap_scratch(c, 1, x.H, x.W, x.C, c->act);

    for (size_t j = 0; j < BLOCKS; j++) {
        const struct sr_fmap to = j + 1 < BLOCKS ? sr_history_newest(&v->block[i][j + 1].past) : h;
        tiny_memory_block(c, &v->block[i][j], &to);
    }
    for (size_t a = 0; a < times[i]; a++) {
        if (i + 1 == STAGES) {
            tiny_head(c, v, &h, a);
        } else {
            const struct sr_fmap next = sr_history_newest(&v->block[i + 1][0].past);
            sr_up_conv(c, &v->up[i][a], &h, SR_ACT_NONE, false, &next);
            tiny_stage(c, v, i + 1);
        }
    }
    sr_scratch_release(c, mark);
}

static void tiny_decode(struct sr_ctx *c, struct sr_vae *vae, const float *z, bool first)
{
    struct tiny_vae *v = (struct tiny_vae *)vae;
    const struct sr_fmap next = sr_history_newest(&v->block[0][0].past);
    const size_t mark = sr_scratch_mark(c), n = v->shape.channels * vae->H * vae->W;
    const struct sr_tensor *soft = sr_scratch(c, 1, n, SR_F32);
    struct sr_fmap x;

    v->skip = first ? FIRST_DROPPED : 0;
    if (!sr_ctx_skip(c))
        for (size_t i = 0; i < n; i++) ((float *)soft->data)[i] = 3 * tanhf(z[i] / 3);
    x = sr_read_latent(c, soft->data, v->shape.channels, vae->H, vae->W, NULL, NULL);
    sr_conv_to(c, v->conv_in, &x, SR_ACT_RELU, NULL, &next);
    tiny_stage(c, v, 0);
    sr_scratch_release(c, mark);
}

static const struct sr_decoder tiny_decoder = { tiny_decode, tiny_reset, tiny_close };

void sr_tiny_vae_load(struct sr_loader *l, struct sr_vae **out, const struct sr_tiny_shape *s, size_t H, size_t W)
{
    struct tiny_vae *v = sr_zalloc(sizeof *v);

    *out = (struct sr_vae *)v;
    if (!v) {
        l->result = sr_fail_nomem(l->err, sizeof *v, "video decoder");
        return;
    }
    v->vae.decoder = &tiny_decoder;
    v->shape = *s;
    l->prefix[0] = 0;
    v->conv_in = load_conv(l, s->channels, s->width[0], "decoder.1");
    v->conv_out = load_conv(l, s->width[3], 3 * s->patch * s->patch, "decoder.22");
    for (size_t i = 0; i < STAGES; i++) {
        for (size_t j = 0; j < BLOCKS; j++) load_block(l, &v->block[i][j], step_of(i, j), s->width[i], H << i, W << i);
        load_up(l, v, i);
    }
}
