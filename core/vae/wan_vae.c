/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decoders of Wan 2.1 and 2.2, one latent frame at a time.  Reference: Wan Team, "Wan: Open and Advanced
 * Large-Scale Video Generative Models", 2025, section 4.1; AutoencoderKLWan of Diffusers.
 *
 * All time dependence is in causal convolutions with their histories.  So the frames that a stage makes from one frame
 * are carried to the end one by one, deepest first: at every stage the features of one frame exist at a time, and
 * memory does not depend on the length of the clip.
 */
#include <stdio.h>

#include "vae/causal_conv.h"
#include "vae/decoder.h"
#include "vae/pixel_attention.h"
#include "vae/up_conv.h"
#include "vae/wan_shape.h"

#define WAN_NORM_EPS 1e-12f

struct wan_res {
    float *norm1, *norm2;               /* [in], [out] */
    struct sr_causal_conv conv1, conv2;
    struct sr_conv *shortcut;           /* 1 x 1 where in != out */
};

struct wan_stage {
    struct wan_res block[SR_WAN_BLOCKS];
    struct sr_spare spare_in, spare_out;    /* of the blocks' histories, by their channels */
    struct sr_history time_past;        /* input of the convolution over time that doubles the frames */
    struct sr_taps time[2];             /* its halves: one output frame each */
    struct sr_up_conv up;
};

struct wan_vae {
    struct sr_vae vae;
    struct sr_wan_shape shape;
    struct sr_conv *post_quant, *qkv, *proj;
    struct sr_causal_conv conv_in, conv_out;
    struct wan_res mid[2];
    struct sr_spare spare_mid;
    float *attn_norm, *norm_out;
    struct wan_stage stage[SR_WAN_STAGES];
};

/* ---- Loading ---- */

static float *load_gamma(struct sr_loader *l, size_t n, bool image, const char *name)
{
    return sr_load_f32(l, image ? 3 : 4, (size_t[]){ n, 1, 1, 1 }, name);
}

static struct sr_conv *load_conv1x1(struct sr_loader *l, size_t in, size_t out, bool two_d, const char *name)
{
    const struct sr_conv_shape s = { in, out, .kt = 1, .kh = 1, .kw = 1, .stride_s = 1 };

    return sr_load_conv(l, &s, two_d, true, name);
}

static void load_res(struct sr_loader *l, struct wan_res *b, size_t in, size_t out, size_t H, size_t W,
                     struct sr_spare *spare_in, struct sr_spare *spare_out)
{
    b->norm1 = load_gamma(l, in, false, "norm1.gamma");
    sr_causal_conv_load(l, &b->conv1, in, out, 3, 3, H, W, spare_in, "conv1");
    b->norm2 = load_gamma(l, out, false, "norm2.gamma");
    sr_causal_conv_load(l, &b->conv2, out, out, 3, 3, H, W, spare_out, "conv2");
    if (in != out) b->shortcut = load_conv1x1(l, in, out, false, "conv_shortcut");
}

static void load_stage(struct sr_loader *l, struct wan_vae *v, size_t i, size_t H, size_t W)
{
    const struct sr_wan_shape *s = &v->shape;
    struct wan_stage *st = &v->stage[i];
    const size_t in = sr_wan_stage_in(s, i), out = s->width[i + 1];

    for (size_t j = 0; j < s->blocks; j++) {
        snprintf(l->prefix, sizeof l->prefix, "decoder.up_blocks.%zu.resnets.%zu.", i, j);
        load_res(l, &st->block[j], j ? out : in, out, H, W, j || in == out ? &st->spare_out : &st->spare_in,
                 &st->spare_out);
    }
    if (i + 1 == s->stages) return;
    snprintf(l->prefix, sizeof l->prefix, "decoder.up_blocks.%zu.%s.", i, s->residual ? "upsampler" : "upsamplers.0");
    sr_up_conv_load(l, &st->up, out, sr_wan_stage_in(s, i + 1), "resample.1");
    if (!s->grow_t[i]) return;
    /*
     * time_conv has 2 C outputs: the first C are one frame, the others the next.  As two convolutions each frame is
     * there without being picked apart, and the second need not exist while the first is carried to the end.
     */
    for (size_t a = 0; a < 2; a++) sr_taps_load(l, &st->time[a], out, a * out, out, 2 * out, 3, 1, "time_conv");
    if (l->result >= 0) l->result = sr_history_open(&st->time_past, 3, H, W, out, l->c->act, NULL, l->err);
}

static void close_res(struct wan_res *b)
{
    sr_free(b->norm1);
    sr_free(b->norm2);
    sr_causal_conv_close(&b->conv1);
    sr_causal_conv_close(&b->conv2);
    sr_conv_close(&b->shortcut);
}

static void wan_close(struct sr_vae *vae)
{
    struct wan_vae *v = (struct wan_vae *)vae;

    sr_conv_close(&v->post_quant);
    sr_conv_close(&v->qkv);
    sr_conv_close(&v->proj);
    sr_causal_conv_close(&v->conv_in);
    sr_causal_conv_close(&v->conv_out);
    for (size_t i = 0; i < SR_COUNT(v->mid); i++) close_res(&v->mid[i]);
    sr_free(v->spare_mid.data);
    sr_free(v->attn_norm);
    sr_free(v->norm_out);
    for (size_t i = 0; i < SR_WAN_STAGES; i++) {
        struct wan_stage *st = &v->stage[i];
        for (size_t j = 0; j < SR_WAN_BLOCKS; j++) close_res(&st->block[j]);
        sr_history_close(&st->time_past);
        sr_free(st->spare_in.data);
        sr_free(st->spare_out.data);
        sr_taps_close(&st->time[0]);
        sr_taps_close(&st->time[1]);
        sr_up_conv_close(&st->up);
    }
}

static void reset_res(struct wan_res *b)
{
    sr_history_reset(&b->conv1.past);
    sr_history_reset(&b->conv2.past);
}

static void wan_reset(struct sr_vae *vae)
{
    struct wan_vae *v = (struct wan_vae *)vae;

    sr_history_reset(&v->conv_in.past);
    sr_history_reset(&v->conv_out.past);
    for (size_t i = 0; i < SR_COUNT(v->mid); i++) reset_res(&v->mid[i]);
    for (size_t i = 0; i < SR_WAN_STAGES; i++) {
        for (size_t j = 0; j < SR_WAN_BLOCKS; j++) reset_res(&v->stage[i].block[j]);
        sr_history_reset(&v->stage[i].time_past);
    }
}

/* ---- Decoding ---- */

/*
 * WanResidualBlock: x + conv2(silu(norm2(conv1(silu(norm1(x)))))).
 *   x   [1, H, W, in]; where in == out and keep is not set, the result stands in its place
 */
static struct sr_fmap wan_res(struct sr_ctx *c, struct wan_res *b, const struct sr_fmap *x, bool keep)
{
    struct sr_fmap out = *x, y, in;
    size_t mark;

    if (b->shortcut) out = sr_conv(c, b->shortcut, x, SR_ACT_NONE, NULL, c->act);           /* [1, H, W, out] */
    else if (keep) out = sr_fmap_scratch(c, 1, x->H, x->W, x->C, c->act);
    mark = sr_scratch_mark(c);
    in = sr_history_newest(&b->conv1.past);
    sr_channel_norm_to(c, x, b->norm1, WAN_NORM_EPS, true, &in);
    y = sr_causal_conv(c, &b->conv1, NULL, NULL);                                           /* [1, H, W, out] */
    in = sr_history_newest(&b->conv2.past);         /* not before: the two may share its room */
    sr_channel_norm_to(c, &y, b->norm2, WAN_NORM_EPS, true, &in);
    sr_scratch_release(c, mark);
    sr_causal_conv(c, &b->conv2, b->shortcut ? &out : x, &out);
    return out;
}

/* WanAttentionBlock: one head over the positions of the frame; x [1, H, W, C] in place. */
static void wan_attention(struct sr_ctx *c, const struct wan_vae *v, const struct sr_fmap *x)
{
    const size_t mark = sr_scratch_mark(c);
    struct sr_fmap h;

    h = sr_channel_norm(c, x, v->attn_norm, WAN_NORM_EPS, false);
    h = sr_conv(c, v->qkv, &h, SR_ACT_NONE, NULL, c->act);                                  /* [1, H, W, 3 C] */
    h = sr_pixel_attention(c, &h);                                                          /* [1, H, W, C] */
    sr_conv_to(c, v->proj, &h, SR_ACT_NONE, x, x);
    sr_scratch_release(c, mark);
}

/* norm_out, conv_out, and the picture. */
static void wan_head(struct sr_ctx *c, struct wan_vae *v, const struct sr_fmap *x)
{
    const struct sr_picture p = { .patch = v->shape.patch, .column_first = true, .scale = 0.5f, .shift = 0.5f };
    const struct sr_fmap in = sr_history_newest(&v->conv_out.past);
    const size_t mark = sr_scratch_mark(c);
    const struct sr_fmap y = sr_fmap_scratch(c, 1, x->H, x->W, v->shape.picture, SR_F32);

    sr_channel_norm_to(c, x, v->norm_out, WAN_NORM_EPS, true, &in);
    sr_causal_conv(c, &v->conv_out, NULL, &y);
    sr_write_picture(c, &v->vae, &y, &p);
    sr_scratch_release(c, mark);
}

/*
 * DupUp3D for one output frame: y[2 i + b, 2 j + d, o] = x[i, j, ((o * ft + a) * 4 + 2 b + d) / repeats], that is each
 * channel of x repeated, then laid out in time and space.
 *   x  [1, H, W, C] -> y [1, 2 H, 2 W, out], frame a of the ft that x becomes
 */
static void wan_enlarge(struct sr_ctx *c, const struct sr_fmap *x, const struct sr_fmap *y, size_t ft, size_t a)
{
    const size_t out = y->C, repeats = out * ft * 4 / x->C, size = sr_type_size(x->type);
    const uint8_t *src = x->data;
    uint8_t *dst = y->data;

    if (sr_ctx_skip(c)) return;
#pragma omp parallel for schedule(static) num_threads(c->threads)
    for (size_t row = 0; row < y->H; row++) {
        for (size_t col = 0; col < y->W; col++) {
            const uint8_t *from = src + ((row / 2) * x->W + col / 2) * x->C * size;
            uint8_t *to = dst + (row * y->W + col) * out * size;
            const size_t first = a * 4 + 2 * (row % 2) + col % 2;
            for (size_t o = 0; o < out; o++) {
                const size_t ch = (o * ft * 4 + first) / repeats;
                if (size == 4) memcpy(to + 4 * o, from + 4 * ch, 4);
                else memcpy(to + 2 * o, from + 2 * ch, 2);
            }
        }
    }
}

/*
 * Stage i and everything behind it.
 *   x      [1, H, W, in]; destroyed
 *   first  of the stream: it stays one frame, and the convolution over time neither runs nor remembers it
 */
static void wan_stage(struct sr_ctx *c, struct wan_vae *v, size_t i, const struct sr_fmap *x, bool first)
{
    const struct sr_wan_shape *s = &v->shape;
    struct wan_stage *st = &v->stage[i];
    const size_t mark = sr_scratch_mark(c), factor = s->grow_t[i] ? 2 : 1, frames = first ? 1 : factor;
    const bool last = i + 1 == s->stages, grow = frames == 2;
    struct sr_fmap h = *x;

    for (size_t j = 0; j < s->blocks; j++) h = wan_res(c, &st->block[j], &h, j == 0 && s->residual && !last);
    if (last) {
        wan_head(c, v, &h);
        goto done;
    }
    if (grow) sr_history_push(c, &st->time_past, &h);
    for (size_t a = 0; a < frames; a++) {
        const size_t frame_mark = sr_scratch_mark(c);
        const struct sr_fmap y = sr_fmap_scratch(c, 1, 2 * h.H, 2 * h.W, sr_wan_stage_in(s, i + 1), c->act);
        const size_t work_mark = sr_scratch_mark(c);
        struct sr_fmap u = h;

        if (grow) {
            u = sr_fmap_scratch(c, 1, h.H, h.W, h.C, c->act);
            sr_taps_conv(c, &st->time[a], &st->time_past, SR_ACT_NONE, NULL, &u);
        }
        if (s->residual) wan_enlarge(c, x, &y, factor, first ? factor - 1 : a);     /* the first: the last of its two */
        sr_up_conv(c, &st->up, &u, SR_ACT_NONE, s->residual, &y);
        sr_scratch_release(c, work_mark);
        wan_stage(c, v, i + 1, &y, first);
        sr_scratch_release(c, frame_mark);
    }
    if (grow) sr_history_step(c, &st->time_past);
done:
    sr_scratch_release(c, mark);
}

static void wan_decode(struct sr_ctx *c, struct sr_vae *vae, const float *z, bool first)
{
    struct wan_vae *v = (struct wan_vae *)vae;
    const struct sr_fmap in = sr_history_newest(&v->conv_in.past);
    const size_t mark = sr_scratch_mark(c);
    struct sr_fmap x;

    x = sr_read_latent(c, z, v->shape.z, vae->H, vae->W, v->shape.std, v->shape.mean);      /* [1, H, W, z] */
    sr_conv_to(c, v->post_quant, &x, SR_ACT_NONE, NULL, &in);
    x = sr_causal_conv(c, &v->conv_in, NULL, NULL);                                         /* [1, H, W, width 0] */
    x = wan_res(c, &v->mid[0], &x, false);
    wan_attention(c, v, &x);
    x = wan_res(c, &v->mid[1], &x, false);
    wan_stage(c, v, 0, &x, first);
    sr_scratch_release(c, mark);
}

static const struct sr_decoder wan_decoder = { wan_decode, wan_reset, wan_close };

void sr_wan_vae_load(struct sr_loader *l, struct sr_vae **out, const struct sr_wan_shape *s, size_t H, size_t W)
{
    struct wan_vae *v = sr_zalloc(sizeof *v);
    const size_t C = s->width[0];

    *out = (struct sr_vae *)v;
    if (!v) {
        l->result = sr_fail_nomem(l->err, sizeof *v, "video decoder");
        return;
    }
    v->vae.decoder = &wan_decoder;
    v->vae.H = H;
    v->vae.W = W;
    v->shape = *s;
    sr_wan_info(s, &v->vae.info);
    l->prefix[0] = 0;
    v->post_quant = load_conv1x1(l, s->z, s->z, false, "post_quant_conv");
    snprintf(l->prefix, sizeof l->prefix, "decoder.");
    sr_causal_conv_load(l, &v->conv_in, s->z, C, 3, 3, H, W, NULL, "conv_in");
    for (size_t i = 0; i < SR_COUNT(v->mid); i++) {
        snprintf(l->prefix, sizeof l->prefix, "decoder.mid_block.resnets.%zu.", i);
        load_res(l, &v->mid[i], C, C, H, W, &v->spare_mid, &v->spare_mid);
    }
    snprintf(l->prefix, sizeof l->prefix, "decoder.mid_block.attentions.0.");
    v->attn_norm = load_gamma(l, C, true, "norm.gamma");
    v->qkv = load_conv1x1(l, C, 3 * C, true, "to_qkv");
    v->proj = load_conv1x1(l, C, C, true, "proj");
    for (size_t i = 0; i < s->stages; i++) load_stage(l, v, i, H << i, W << i);
    snprintf(l->prefix, sizeof l->prefix, "decoder.");
    H <<= s->stages - 1;
    W <<= s->stages - 1;
    v->norm_out = load_gamma(l, s->width[s->stages], false, "norm_out.gamma");
    sr_causal_conv_load(l, &v->conv_out, s->width[s->stages], s->picture, 3, 3, H, W,
                        &v->stage[s->stages - 1].spare_out, "conv_out");
}
