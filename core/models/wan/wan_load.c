/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wan's tensors by name, in diffusers' spelling, and what the network needs beside them. */
#include <math.h>
#include <stdio.h>

#include "models/wan/wan.h"

/* The patches' convolution is a linear layer of [in, 1, ph, pw] numbers; some files keep it as one. */
static struct sr_linear *load_patches(struct sr_loader *l, const struct wan *m)
{
    const struct sr_weight *t = sr_weights_find(l->w, "patch_embedding.weight");
    const size_t in = (size_t)m->k.in, all = in * m->patch;
    const size_t conv[] = { m->C, in, 1, (size_t)m->k.patch[1], (size_t)m->k.patch[2] }, flat[] = { m->C, all };
    const bool is_flat = t && t->ndim == 2;
    struct sr_param weight, bias;
    struct sr_linear *v = NULL;
    sora_result r = l->result;

    if (r == SORA_OK)
        r = sr_weights_get(l->w, &weight, l->err, is_flat ? 2 : 5, is_flat ? flat : conv, "patch_embedding.weight");
    if (r == SORA_OK) r = sr_weights_get(l->w, &bias, l->err, 1, &m->C, "patch_embedding.bias");
    if (r == SORA_OK) r = sr_linear_open(l->c, &v, &weight, &bias, &m->C, 1, all, true, l->err);
    l->result = r;
    return v;
}

/* modulation tables are [1, n, C] */
static float *load_table(struct sr_loader *l, size_t n, size_t C)
{
    return sr_load_f32(l, 3, (size_t[]){ 1, n, C }, "scale_shift_table");
}

static void load_block(struct sr_loader *l, const struct wan *m, struct wan_block *b)
{
    static const char *const qkv[] = { "attn1.to_q", "attn1.to_k", "attn1.to_v" };
    static const char *const kv[] = { "attn2.to_k", "attn2.to_v" };
    const size_t C = m->C, ffn = (size_t)m->k.ffn;

    b->self.qkv = sr_load_linears(l, C, C, true, false, 3, qkv);
    b->self.norm_q = sr_load_vec(l, C, "attn1.norm_q.weight");
    b->self.norm_k = sr_load_vec(l, C, "attn1.norm_k.weight");
    b->self.out = sr_load_linear(l, C, C, true, false, "attn1.to_out.0");
    b->cross.q = sr_load_linear(l, C, C, true, false, "attn2.to_q");
    b->cross.kv = sr_load_linears(l, C, C, true, false, 2, kv);
    b->cross.norm_q = sr_load_vec(l, C, "attn2.norm_q.weight");
    b->cross.norm_k = sr_load_vec(l, C, "attn2.norm_k.weight");
    b->cross.out = sr_load_linear(l, C, C, true, false, "attn2.to_out.0");
    if (m->k.cross_norm) {
        b->norm_w = sr_load_vec(l, C, "norm2.weight");
        b->norm_b = sr_load_vec(l, C, "norm2.bias");
    }
    b->ffn_in = sr_load_linear(l, ffn, C, true, false, "ffn.net.0.proj");
    b->ffn_out = sr_load_linear(l, C, ffn, true, false, "ffn.net.2");
    b->mod = load_table(l, 6, C);
}

/*
 * Rotary angles of every token, frame by frame: the pairs of a head are shared out to frame, row and column, each with
 * rates 10000^(-2j / width).  In double: in f32 the angles of long streams lose the fraction of a turn.
 */
static sora_result make_angles(struct wan *m, size_t frames, sora_error *err)
{
    const size_t side = 2 * (m->D / 6), width[3] = { m->D - 2 * side, side, side }, n = frames * m->P * (m->D / 2);
    const size_t count[3] = { frames, m->rows, m->cols };
    size_t at = 0;

    if (!(m->cos = sr_aligned(n * sizeof *m->cos)) || !(m->sin = sr_aligned(n * sizeof *m->sin)))
        return sr_fail_nomem(err, 2 * n * sizeof *m->cos, "the rotary angles");
    for (int axis = 0; axis < 3; axis++) {
        for (size_t j = 0; j < width[axis] / 2; j++, at++) {
            const double rate = pow(10000, -2.0 * (double)j / (double)width[axis]);
            for (size_t p = 0; p < count[axis]; p++) {
                const float co = (float)cos((double)p * rate), si = (float)sin((double)p * rate);
                /* every token whose place on this axis is p */
                const size_t inner = axis == 0 ? m->P : axis == 1 ? m->cols : 1;
                const size_t step = axis == 0 ? 1 : axis == 1 ? frames : frames * m->rows;
                for (size_t o = 0; o < step; o++) {
                    const size_t first = (o * count[axis] + p) * inner;
                    for (size_t i = first; i < first + inner; i++) {
                        m->cos[i * (m->D / 2) + at] = co;
                        m->sin[i * (m->D / 2) + at] = si;
                    }
                }
            }
        }
    }
    return SORA_OK;
}

/* Pocket: for rows, then columns, for each wave k: sin and cos of pi k (i + 1/2) / count. */
static sora_result make_place(struct wan *m, sora_error *err)
{
    const size_t n = 4 * m->k.nwaves * m->H * m->W;
    float *p;

    if (!n) return SORA_OK;
    if (!(p = m->place = sr_malloc(n * sizeof *p))) return sr_fail_nomem(err, n * sizeof *p, "the features of place");
    for (int axis = 0; axis < 2; axis++)
        for (size_t k = 0; k < 2 * m->k.nwaves; k++)
            for (size_t y = 0; y < m->H; y++)
                for (size_t x = 0; x < m->W; x++) {
                    const double u = axis ? ((double)x + 0.5) / (double)m->W : ((double)y + 0.5) / (double)m->H;
                    const double a = 3.14159265358979323846 * m->k.waves[k / 2] * u;
                    *p++ = (float)(k % 2 ? cos(a) : sin(a));
                }
    return SORA_OK;
}

static sora_result make_text(struct sr_ctx *c, struct wan *m, sora_error *err)
{
    const size_t rows = (size_t)m->k.text_len, kv = (size_t)m->k.layers * rows * 2 * m->C * sr_type_size(c->act);

    for (int i = 0; i < m->prompts; i++) {
        m->text[i].bias = sr_calloc(rows, sizeof *m->text[i].bias);
        m->text[i].kv = sr_aligned(kv);
        if (!m->text[i].bias || !m->text[i].kv) return sr_fail_nomem(err, kv, "keys and values of the prompt");
    }
    return SORA_OK;
}

sora_result sr_wan_load(struct sr_ctx *c, struct wan *m, struct sr_weights *w, struct sr_lora *lora, sora_error *err)
{
    struct sr_loader l = { .c = c, .w = w, .lora = lora, .err = err };
    const size_t C = m->C;
    const size_t past = m->cache ? sr_kv_cache_capacity(m->cache[0]) : 0;
    sora_result r;

    m->patch_in = load_patches(&l, m);
    m->time1 = sr_load_linear(&l, C, (size_t)m->k.freq_dim, true, true, "condition_embedder.time_embedder.linear_1");
    m->time2 = sr_load_linear(&l, C, C, true, true, "condition_embedder.time_embedder.linear_2");
    m->time_proj = sr_load_linear(&l, 6 * C, C, true, true, "condition_embedder.time_proj");
    m->text1 = sr_load_linear(&l, C, (size_t)m->k.text_dim, true, false, "condition_embedder.text_embedder.linear_1");
    m->text2 = sr_load_linear(&l, C, C, true, false, "condition_embedder.text_embedder.linear_2");
    for (int64_t i = 0; i < m->k.layers && l.result == SORA_OK; i++) {
        snprintf(l.prefix, sizeof l.prefix, "blocks.%d.", (int)i);
        load_block(&l, m, &m->blocks[i]);
    }
    l.prefix[0] = 0;
    m->head = sr_load_linear(&l, (size_t)m->k.out * m->patch, C, true, true, "proj_out");
    m->head_mod = load_table(&l, 2, C);
    if ((r = l.result) < 0) return r;
    if (lora && (r = sr_lora_done(lora, err)) < 0) return r;
    if ((r = make_angles(m, past + m->F, err)) < 0) return r;
    if ((r = make_place(m, err)) < 0) return r;
    return make_text(c, m, err);
}

static void unload_attention(struct wan_attention *a)
{
    sr_linear_close(&a->q);
    sr_linear_close(&a->kv);
    sr_linear_close(&a->qkv);
    sr_linear_close(&a->out);
    sr_free(a->norm_q);
    sr_free(a->norm_k);
}

void sr_wan_unload(struct wan *m)
{
    struct sr_linear **const linears[] = { &m->patch_in, &m->time1, &m->time2, &m->time_proj, &m->text1, &m->text2,
                                           &m->head };
    float *const arrays[] = { m->head_mod, m->cos, m->sin, m->place };

    for (int64_t i = 0; i < m->k.layers && m->blocks; i++) {
        struct wan_block *b = &m->blocks[i];
        unload_attention(&b->self);
        unload_attention(&b->cross);
        sr_linear_close(&b->ffn_in);
        sr_linear_close(&b->ffn_out);
        sr_free(b->norm_w);
        sr_free(b->norm_b);
        sr_free(b->mod);
    }
    for (size_t i = 0; i < SR_COUNT(linears); i++) sr_linear_close(linears[i]);
    for (size_t i = 0; i < SR_COUNT(arrays); i++) sr_free(arrays[i]);
    for (int i = 0; i < m->prompts; i++)
        if (m->text) sr_free(m->text[i].kv), sr_free(m->text[i].bias);
    for (int i = 0; m->cache && i < m->caches; i++) sr_kv_cache_close(&m->cache[i]);
    sr_wan_motion_unload(&m->motion);
    sr_free(m->blocks);
    sr_free(m->text);
    sr_free(m->cache);
}
