/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "vae/refine.h"

/* ---- Which one ---- */

sora_result sr_refine_shape_config(struct sr_refine_shape *s, const struct sr_config *c, size_t channels, size_t frames,
                                   size_t side, const char *path, sora_error *err)
{
    int64_t width[SR_REFINE_LEVELS] = { 0 }, blocks[SR_REFINE_LEVELS] = { 0 };
    size_t n = 0, m = 0;
    sora_result r;

    memset(s, 0, sizeof *s);
    if ((r = sr_config_ints(c, "refine_widths", 1, 1024, width, SR_REFINE_LEVELS, &n, err)) < 0) return r;
    if ((r = sr_config_ints(c, "refine_blocks", 0, SR_REFINE_BLOCKS, blocks, SR_REFINE_LEVELS, &m, err)) < 0) return r;
    if (n < 1 || n != m)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"refine_widths\" has %zu levels, \"refine_blocks\" %zu; wanted: as "
                       "many, at least one", path, n, m);
    if (side % ((size_t)1 << (n - 1)))
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"pixel_shuffle\" is %zu; the %zu levels of \"refine_widths\" want a "
                       "multiple of %zu", path, side, n, (size_t)1 << (n - 1));
    s->levels = n;
    s->channels = channels;
    s->frames = frames;
    s->patch = side >> (n - 1);
    for (size_t i = 0; i < n; i++) {
        s->width[i] = (size_t)width[i];
        s->blocks[i] = (size_t)blocks[i];
    }
    return SORA_OK;
}

static size_t outputs(const struct sr_refine_shape *s)
{
    return s->frames * 3 * s->patch * s->patch;
}

/* Products for one latent position, and parameters. */
static void count(const struct sr_refine_shape *s, double *products, uint64_t *parameters)
{
    const size_t *n = s->width, out = outputs(s);
    double area = 1;
    uint64_t p = (18 * s->channels + 1) * n[0];

    *products = 18.0 * (double)(s->channels * n[0]);
    for (size_t i = 0; i < s->levels; i++) {
        if (i) {
            p += (n[i - 1] + 1) * 4 * n[i];
            *products += 4.0 * (double)(n[i - 1] * n[i]) * area;
            area *= 4;
        }
        p += s->blocks[i] * 2 * (9 * n[i] + 1) * n[i];
        *products += 18.0 * (double)(s->blocks[i] * n[i] * n[i]) * area;
    }
    *products += 9.0 * (double)(n[s->levels - 1] * out) * area;
    *parameters = p + (9 * n[s->levels - 1] + 1) * out;
}

double sr_refine_flop(const struct sr_refine_shape *s)
{
    double products = 0;
    uint64_t parameters;

    if (s->levels) count(s, &products, &parameters);
    return 2 * products;
}

uint64_t sr_refine_parameters(const struct sr_refine_shape *s)
{
    double products;
    uint64_t parameters = 0;

    if (s->levels) count(s, &products, &parameters);
    return parameters;
}

/* ---- Loading ---- */

static struct sr_conv *load_conv(struct sr_loader *l, size_t in, size_t out, const char *name)
{
    const struct sr_conv_shape s = { in, out, .kt = 1, .kh = 3, .kw = 3, .pad_h = 1, .pad_w = 1, .stride_s = 1 };

    return sr_load_conv(l, &s, true, true, name);
}

/*
 * 1 x 1, in -> 4 out.  The file has the four pixels of a channel together, as pixel_shuffle reads them; here the
 * channels of a pixel lie together, so that the shuffle copies whole pixels.
 */
static struct sr_conv *load_up(struct sr_loader *l, size_t in, size_t out, const char *name)
{
    const struct sr_conv_shape s = { in, 4 * out, .kt = 1, .kh = 1, .kw = 1, .stride_s = 1 };
    const size_t bytes = 4 * out * (in + 1) * sizeof(float);
    float *weight, *bias, *w = sr_malloc(bytes), *b = w ? w + 4 * out * in : NULL;
    struct sr_conv *v = NULL;
    char full[96];

    snprintf(full, sizeof full, "%s.weight", name);
    weight = sr_load_f32(l, 4, (size_t[]){ 4 * out, in, 1, 1 }, full);
    snprintf(full, sizeof full, "%s.bias", name);
    bias = sr_load_vec(l, 4 * out, full);
    if (l->result >= 0 && !w) l->result = sr_fail_nomem(l->err, bytes, "video decoder");
    if (l->result >= 0) {
        const struct sr_param pw = { .data = w, .type = SR_F32, .n = 4 * out * in };
        const struct sr_param pb = { .data = b, .type = SR_F32, .n = 4 * out };
        for (size_t pixel = 0; pixel < 4; pixel++)
            for (size_t ch = 0; ch < out; ch++) {
                memcpy(w + (pixel * out + ch) * in, weight + (ch * 4 + pixel) * in, in * sizeof *w);
                b[pixel * out + ch] = bias[ch * 4 + pixel];
            }
        l->result = sr_conv_open(l->c, &v, &s, &pw, &pb, l->err);
    }
    sr_free(w);
    sr_free(bias);
    sr_free(weight);
    return v;
}

void sr_refine_load(struct sr_loader *l, struct sr_refine *v, const struct sr_refine_shape *s, size_t H, size_t W)
{
    const size_t bytes = s->channels * H * W * sizeof(float);
    char name[64];

    v->shape = *s;
    v->H = H;
    v->W = W;
    snprintf(l->prefix, sizeof l->prefix, "refine.");
    v->conv_in = load_conv(l, 2 * s->channels, s->width[0], "conv_in");
    for (size_t i = 0; i < s->levels; i++) {
        if (i) {
            snprintf(name, sizeof name, "up.%zu", i - 1);
            v->up[i] = load_up(l, s->width[i - 1], s->width[i], name);
        }
        for (size_t j = 0; j < s->blocks[i]; j++) {
            snprintf(name, sizeof name, "stages.%zu.%zu.conv1", i, j);
            v->block[i][j].conv1 = load_conv(l, s->width[i], s->width[i], name);
            snprintf(name, sizeof name, "stages.%zu.%zu.conv2", i, j);
            v->block[i][j].conv2 = load_conv(l, s->width[i], s->width[i], name);
        }
    }
    v->conv_out = load_conv(l, s->width[s->levels - 1], outputs(s), "conv_out");
    l->prefix[0] = 0;
    if (l->result >= 0 && !(v->before = sr_malloc(bytes))) l->result = sr_fail_nomem(l->err, bytes, "video decoder");
}

void sr_refine_close(struct sr_refine *v)
{
    sr_conv_close(&v->conv_in);
    sr_conv_close(&v->conv_out);
    for (size_t i = 0; i < SR_REFINE_LEVELS; i++) {
        sr_conv_close(&v->up[i]);
        for (size_t j = 0; j < SR_REFINE_BLOCKS; j++) {
            sr_conv_close(&v->block[i][j].conv1);
            sr_conv_close(&v->block[i][j].conv2);
        }
    }
    sr_free(v->before);
    v->before = NULL;
}

/* ---- Computing ---- */

/* Both latents side by side, [1, H, W, 2 C]; then z is the one before. */
static struct sr_fmap read_latents(struct sr_ctx *c, const struct sr_refine *v, const float *z, bool first, float scale)
{
    const size_t C = v->shape.channels, n = v->H * v->W;
    const struct sr_fmap x = sr_fmap_scratch(c, 1, v->H, v->W, 2 * C, SR_F32);
    const float *before = first ? z : v->before;

    if (sr_ctx_skip(c)) return x;
    for (size_t i = 0; i < n; i++) {
        float *row = (float *)x.data + i * 2 * C;
        for (size_t ch = 0; ch < C; ch++) {
            row[ch] = before[ch * n + i] * scale;
            row[C + ch] = z[ch * n + i] * scale;
        }
    }
    memcpy(v->before, z, C * n * sizeof *z);
    return x;
}

/* x [1, H, W, in] -> scratch [1, 2 H, 2 W, out] */
static struct sr_fmap enlarge(struct sr_ctx *c, const struct sr_conv *up, const struct sr_fmap *x, size_t out)
{
    const struct sr_fmap y = sr_fmap_scratch(c, 1, 2 * x->H, 2 * x->W, out, c->act);
    const size_t mark = sr_scratch_mark(c), pair = 2 * out * sr_type_size(c->act);
    const struct sr_fmap four = sr_conv(c, up, x, SR_ACT_NONE, NULL, c->act);
    const double start = sr_now();

    sr_scratch_release(c, mark);        /* nothing else takes any until the end */
    if (sr_ctx_skip(c)) return y;
#pragma omp parallel for schedule(static) num_threads(c->threads)
    for (size_t r = 0; r < y.H; r++) {
        const uint8_t *from = (const uint8_t *)four.data + (r / 2 * x->W * 2 + r % 2) * pair;
        uint8_t *to = (uint8_t *)y.data + r * x->W * pair;
        for (size_t i = 0; i < x->W; i++) memcpy(to + i * pair, from + 2 * i * pair, pair);
    }
    c->prof.seconds[SR_REORDER] += sr_now() - start;
    return y;
}

/* x += conv2(relu(conv1(x))) */
static void refine_block(struct sr_ctx *c, const struct sr_refine_block *b, const struct sr_fmap *x)
{
    const size_t mark = sr_scratch_mark(c);
    const struct sr_fmap h = sr_conv(c, b->conv1, x, SR_ACT_RELU, NULL, c->act);

    sr_conv_to(c, b->conv2, &h, SR_ACT_NONE, x, x);
    sr_scratch_release(c, mark);
}

struct sr_fmap sr_refine(struct sr_ctx *c, const struct sr_refine *v, const float *z, bool first, float scale)
{
    const struct sr_refine_shape *s = &v->shape;
    struct sr_fmap x = read_latents(c, v, z, first, scale);

    x = sr_conv(c, v->conv_in, &x, SR_ACT_NONE, NULL, c->act);
    for (size_t i = 0; i < s->levels; i++) {
        if (i) x = enlarge(c, v->up[i], &x, s->width[i]);
        for (size_t j = 0; j < s->blocks[i]; j++) refine_block(c, &v->block[i][j], &x);
    }
    return sr_conv(c, v->conv_out, &x, SR_ACT_NONE, NULL, SR_F32);
}
