/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two ends of every decoder: latents as a feature map, features as a picture. */
#include "vae/decoder.h"

static void put(void *row, enum sr_type type, size_t i, float x)
{
    if (type == SR_BF16) ((uint16_t *)row)[i] = sr_f32_to_bf16(x);
    else ((float *)row)[i] = x;
}

struct sr_fmap sr_read_latent(struct sr_ctx *c, const float *z, size_t C, size_t H, size_t W, const float *mul,
                              const float *add)
{
    const struct sr_fmap m = sr_fmap_scratch(c, 1, H, W, C, c->act);

    if (sr_ctx_skip(c)) return m;
    for (size_t i = 0; i < H * W; i++) {
        void *row = (uint8_t *)m.data + i * C * sr_type_size(m.type);
        for (size_t ch = 0; ch < C; ch++) {
            const float x = z[ch * H * W + i];
            put(row, m.type, ch, mul ? x * mul[ch] + add[ch] : x);
        }
    }
    return m;
}

static void features_to_rgb(struct sr_ctx *c, const struct sr_vae *v, float *rgb, const struct sr_fmap *x, const struct sr_picture *p)
{
    const size_t n = p->patch, height = v->H * (size_t)v->info.scale_s, width = x->W * n;
    const float *src = x->data;
    int bad = 0;

    if (sr_ctx_skip(c)) return;
    if (x->type != SR_F32 || 3 * n * n > x->C || x->H * n != height || width != v->W * (size_t)v->info.scale_s) {
        sr_fail(&c->err, SORA_ERR_INTERNAL, "picture: %zu channels of %s for patches of %zux%zu in %zux%zu", x->C,
                sr_type_name(x->type), n, n, x->W, x->H);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(c->threads) reduction(| : bad)
    for (size_t y = 0; y < x->H * n; y++) {
        const float *row = src + (y / n) * x->W * x->C;
        for (size_t colour = 0; colour < 3; colour++) {
            float *out = rgb + (colour * height + y) * width;
            for (size_t i = 0; i < n; i++) {        /* columns i, i + n, i + 2 n ... are one channel */
                const size_t ch = p->column_first ? (colour * n + i) * n + y % n : (colour * n + y % n) * n + i;
                for (size_t col = 0; col < x->W; col++) {
                    const float value = row[col * x->C + ch] * p->scale + p->shift;
                    bad |= value != value;
                    out[col * n + i] = SR_CLAMP(value, 0.0f, 1.0f);
                }
            }
        }
    }
    if (bad)
        sr_fail(&c->err, SORA_ERR_INTERNAL, "the video decoder gave values that are not numbers (NaN); the latents or the "
                "decoder's weights are damaged");
}

void sr_write_picture(struct sr_ctx *c, const struct sr_vae *v, const struct sr_fmap *x, const struct sr_picture *p)
{
    const size_t mark = sr_scratch_mark(c), side = (size_t)v->info.scale_s;
    float *rgb = sr_scratch(c, 3 * v->H * side, v->W * side, SR_F32)->data;

    features_to_rgb(c, v, rgb, x, p);
    if (!sr_ctx_skip(c) && v->out) v->out->ready(v->out->user, rgb, &c->err);
    sr_scratch_release(c, mark);
}
