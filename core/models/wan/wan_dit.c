/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The forward pass.  L = F * P video tokens, frame after frame, each frame row by row; the residual stream x and all
 * that comes from the time are f32.  Everything but self-attention works on rows, so it is done for some frames at a
 * time: the wide layer in the middle of the feed-forward part then needs little memory.
 */
#include <math.h>

#include "models/wan/wan.h"

/* Tokens that the row-wise part of a block takes at once, at least one frame: enough to keep the products busy. */
#define WAN_ROWS 4096

/* One pass: what all its blocks share. */
struct pass {
    const struct wan *m;
    const struct wan_text *text;
    struct sr_kv_cache *cache;      /* NULL: a clip, or a stream that keeps nothing */
    size_t F, L;                    /* frames and tokens of this chunk */
    size_t past;                    /* frames in the cache */
    size_t rows;                    /* distinct times: 1 or F */
    bool commit, output;            /* keys and values enter the cache; what the network says is wanted */
};

static float *floats(const struct sr_tensor *t)
{
    return t->data;
}

/* ---- Time ---- */

/* t [F] -> rows of [cos(t w_i), sin(t w_i)], w_i = 10000^(-2i / freq_dim); in double, as t reaches 1000 */
static struct sr_tensor time_waves(struct sr_ctx *c, const struct pass *p, const float *t)
{
    const size_t n = (size_t)p->m->k.freq_dim, half = n / 2;
    struct sr_tensor e = *sr_scratch(c, p->rows, n, SR_F32);

    if (sr_ctx_skip(c)) return e;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < half; i++) {
            const double a = t[r] * pow(10000, -(double)i / (double)half);
            floats(&e)[r * n + i] = (float)cos(a);
            floats(&e)[r * n + half + i] = (float)sin(a);
        }
    return e;
}

/* e [rows, n C] (head: [rows, C], the same for all n) + table [n, C] -> [rows, n C] */
static struct sr_tensor modulation(struct sr_ctx *c, const float *table, size_t n, size_t C, const struct sr_tensor *e)
{
    struct sr_tensor y = *sr_scratch(c, e->rows, n * C, SR_F32);

    if (sr_ctx_skip(c)) return y;
    for (size_t r = 0; r < y.rows; r++)
        for (size_t i = 0; i < n * C; i++)
            floats(&y)[r * n * C + i] = table[i] + floats(e)[r * e->stride + i % e->cols];
    return y;
}

/* Part `which` of a modulation, for tokens that begin at frame f. */
static struct sr_mod mod_part(const struct pass *p, const struct sr_tensor *mod, size_t which, size_t f)
{
    const bool one = p->rows == 1;
    const size_t at = which * p->m->C + (one ? 0 : f * mod->stride);

    return (struct sr_mod){ .data = mod->data ? floats(mod) + at : NULL, .stride = mod->stride,
                            .tokens_per_row = one ? p->L : p->m->P };
}

/* ---- Self-attention ---- */

/* Keys of the past, rotated to where they stand now, and their values; returns how many parts. */
static int past_keys(struct sr_ctx *c, const struct pass *p, size_t layer, struct sr_kv kv[SR_KV_PARTS])
{
    const struct wan *m = p->m;
    struct sr_tensor keys;
    size_t row = 0;
    int parts = 0;

    if (!p->past) return 0;
    keys = *sr_scratch(c, p->past * m->P, m->C, c->act);
    if (c->plan) {                      /* the fullest cache, whatever is in it now */
        kv[0] = (struct sr_kv){ keys, keys };
        return 1;
    }
    parts = sr_kv_cache_view(p->cache, layer, kv);
    for (int i = 0; i < parts; i++) {
        const struct sr_tensor from = kv[i].k;
        kv[i].k = sr_rows(&keys, row, from.rows);
        sr_convert(c, &kv[i].k, &from);
        row += from.rows;
    }
    sr_rms_norm_rope(c, &keys, NULL, (float)m->k.eps, m->D, m->cos, m->sin);
    return parts;
}

/* h [L, C] -> [L, C] before the output layer; NULL where the pass ends here */
static struct sr_tensor *self_attention(struct sr_ctx *c, const struct pass *p, size_t layer, const struct sr_tensor *h)
{
    const struct wan *m = p->m;
    const struct wan_attention *w = &m->blocks[layer].self;
    const float eps = (float)m->k.eps, *cos = m->cos + p->past * m->P * (m->D / 2), *sin = m->sin + (cos - m->cos);
    const struct sr_tensor *qkv = sr_linear(c, w->qkv, h, SR_ACT_NONE, c->act);         /* [L, 3 C] */
    struct sr_tensor q = sr_cols(qkv, 0, m->C), k = sr_cols(qkv, m->C, m->C), v = sr_cols(qkv, 2 * m->C, m->C);
    struct sr_tensor kept = { 0 };
    struct sr_kv kv[SR_KV_PARTS + 1];
    struct sr_tensor *a;
    int parts;

    if (p->commit) {                    /* the cache wants them before the rotation */
        kept = *sr_scratch(c, p->L, m->C, c->act);
        sr_rms_norm_rope(c, &k, w->norm_k, eps, m->D, NULL, NULL);
        sr_convert(c, &kept, &k);
        sr_rms_norm_rope(c, &k, NULL, eps, m->D, cos, sin);
    } else {
        sr_rms_norm_rope(c, &k, w->norm_k, eps, m->D, cos, sin);
    }
    if (p->commit && !p->output && layer + 1 == (size_t)m->k.layers) {
        sr_kv_cache_write(c, p->cache, layer, &kept, &v, p->F);
        return NULL;
    }
    sr_rms_norm_rope(c, &q, w->norm_q, eps, m->D, cos, sin);
    parts = past_keys(c, p, layer, kv);
    kv[parts++] = (struct sr_kv){ k, v };
    a = sr_attention(c, &q, kv, parts, (size_t)m->k.heads, 1 / sqrtf((float)m->D), NULL, NULL);
    if (p->commit) sr_kv_cache_write(c, p->cache, layer, &kept, &v, p->F);  /* now: it may replace frames just seen */
    return a;
}

/* ---- The rest of a block, on the rows x of some frames ---- */

static void cross_attention(struct sr_ctx *c, const struct pass *p, size_t layer, struct sr_tensor *x)
{
    const struct wan *m = p->m;
    const struct wan_block *b = &m->blocks[layer];
    const size_t C = m->C, n = p->text->n, all = (size_t)m->k.text_len * 2 * C;
    const struct sr_tensor kv = { .data = p->text->kv + layer * all * sr_type_size(c->act), .type = c->act, .rows = n,
                                  .cols = 2 * C, .stride = 2 * C };
    const struct sr_kv text = { sr_cols(&kv, 0, C), sr_cols(&kv, C, C) };
    struct sr_tensor *h, *q, plain;

    if (b->norm_w) {
        h = sr_layer_norm(c, x, b->norm_w, b->norm_b, (float)m->k.eps);
    } else {
        h = &plain;
        plain = *sr_scratch(c, x->rows, C, c->act);
        sr_convert(c, &plain, x);
    }
    q = sr_linear(c, b->cross.q, h, SR_ACT_NONE, c->act);
    sr_rms_norm_rope(c, q, b->cross.norm_q, (float)m->k.eps, m->D, NULL, NULL);
    h = sr_attention(c, q, &text, 1, (size_t)m->k.heads, 1 / sqrtf((float)m->D), p->text->bias, NULL);
    h = sr_linear(c, b->cross.out, h, SR_ACT_NONE, c->act);
    sr_add(c, x, h);                                            /* no gate here, as in the reference */
}

static void feed_forward(struct sr_ctx *c, const struct pass *p, const struct wan_block *b, struct sr_tensor *x,
                         const struct sr_tensor *mod, size_t f)
{
    struct sr_tensor *h;

    h = sr_layer_norm_mod(c, x, (float)p->m->k.eps, mod_part(p, mod, 4, f), mod_part(p, mod, 3, f));
    h = sr_linear(c, b->ffn_in, h, SR_ACT_GELU_TANH, c->act);   /* [rows, ffn] */
    h = sr_linear(c, b->ffn_out, h, SR_ACT_NONE, c->act);
    sr_add_gated(c, x, h, mod_part(p, mod, 5, f));
}

/*
 * WanTransformerBlock:
 *   x   [L, C]        video tokens, updated in place
 *   e   [rows, 6 C]   from the time; with the block's table: shift, scale, gate of attention, then of the feed-forward
 */
static void block(struct sr_ctx *c, const struct pass *p, size_t layer, struct sr_tensor *x, const struct sr_tensor *e)
{
    const struct wan *m = p->m;
    const struct wan_block *b = &m->blocks[layer];
    const size_t mark = sr_scratch_mark(c), step = SR_MAX(WAN_ROWS / m->P, (size_t)1);
    const struct sr_tensor mod = modulation(c, b->mod, 6, m->C, e);
    struct sr_tensor *h, *a;

    h = sr_layer_norm_mod(c, x, (float)m->k.eps, mod_part(p, &mod, 1, 0), mod_part(p, &mod, 0, 0));
    a = self_attention(c, p, layer, h);
    for (size_t f = 0; a && f < p->F; f += step) {
        const size_t inner = sr_scratch_mark(c), n = SR_MIN(step, p->F - f);
        const struct sr_tensor part = sr_rows(a, f * m->P, n * m->P);
        struct sr_tensor some = sr_rows(x, f * m->P, n * m->P);

        h = sr_linear(c, b->self.out, &part, SR_ACT_NONE, c->act);
        sr_add_gated(c, &some, h, mod_part(p, &mod, 2, f));
        cross_attention(c, p, layer, &some);
        feed_forward(c, p, b, &some, &mod, f);
        sr_scratch_release(c, inner);
    }
    sr_scratch_release(c, mark);
}

/* ---- Latents to tokens and back ---- */

/* Channel ch of frame f of the network's input; NULL: zeros. */
static const float *input_plane(const struct pass *p, const struct sr_model_input *in, size_t ch, size_t f)
{
    const struct wan *m = p->m;
    const size_t plane = m->H * m->W, own = (size_t)m->k.out, place = (size_t)m->k.in - 4 * m->k.nwaves;

    if (ch < own) return in->x + (ch * p->F + f) * plane;
    if (ch < place) return in->prior ? in->prior + ((ch - own) * p->F + f) * plane : NULL;
    return m->place + (ch - place) * plane;
}

/* [in, F, H, W] -> [L, in * ph * pw], the channel slowest: what a convolution's weights expect */
static struct sr_tensor patchify(struct sr_ctx *c, const struct pass *p, const struct sr_model_input *in)
{
    const struct wan *m = p->m;
    const size_t ph = (size_t)m->k.patch[1], pw = (size_t)m->k.patch[2], n = (size_t)m->k.in * m->patch;
    struct sr_tensor y = *sr_scratch(c, p->L, n, SR_F32);

    if (sr_ctx_skip(c)) return y;
    for (size_t ch = 0; ch < (size_t)m->k.in; ch++)
        for (size_t f = 0; f < p->F; f++) {
            const float *from = input_plane(p, in, ch, f);
            for (size_t i = 0; i < m->H * m->W; i++) {
                const size_t r = i / m->W, q = i % m->W, token = f * m->P + r / ph * m->cols + q / pw;
                floats(&y)[token * n + ch * m->patch + r % ph * pw + q % pw] = from ? from[i] : 0;
            }
        }
    return y;
}

/* [L, ph * pw * out], the channel fastest (the other way round than in patchify) -> [out, F, H, W] */
static void unpatchify(struct sr_ctx *c, const struct pass *p, const struct sr_tensor *y, float *out)
{
    const struct wan *m = p->m;
    const size_t ph = (size_t)m->k.patch[1], pw = (size_t)m->k.patch[2], C = (size_t)m->k.out;

    if (sr_ctx_skip(c)) return;
    for (size_t ch = 0; ch < C; ch++)
        for (size_t f = 0; f < p->F; f++)
            for (size_t i = 0; i < m->H * m->W; i++) {
                const size_t r = i / m->W, q = i % m->W, token = f * m->P + r / ph * m->cols + q / pw;
                *out++ = floats(y)[token * y->stride + (r % ph * pw + q % pw) * C + ch];
            }
}

/* ---- Entries ---- */

void sr_wan_set_text(struct sr_ctx *c, void *model, int which, const float *text, size_t real)
{
    struct wan *m = model;
    struct wan_text *t = &m->text[which];
    const size_t mark = sr_scratch_mark(c), T = (size_t)m->k.text_len, D = (size_t)m->k.text_dim;
    const size_t n = SR_MIN(real + 1, T);
    struct sr_tensor x = *sr_scratch(c, n, D, SR_F32);
    struct sr_tensor *h;

    t->n = c->plan ? n : 0;
    if (!sr_ctx_skip(c)) {
        memset(t->bias, 0, n * sizeof *t->bias);
        memcpy(x.data, text, SR_MIN(real, T) * D * sizeof(float));
        if (real < T) {
            /* All rows of padding are zeros and so give one key and one value: one row that counts as many times. */
            memset(floats(&x) + real * D, 0, D * sizeof(float));
            t->bias[real] = logf((float)(T - real));
        }
    }
    h = sr_linear(c, m->text1, &x, SR_ACT_GELU_TANH, c->act);
    h = sr_linear(c, m->text2, h, SR_ACT_NONE, c->act);
    for (size_t i = 0; i < (size_t)m->k.layers; i++) {
        const size_t inner = sr_scratch_mark(c);
        struct sr_tensor *kv = sr_linear(c, m->blocks[i].cross.kv, h, SR_ACT_NONE, c->act);
        struct sr_tensor k = sr_cols(kv, 0, m->C), to = *kv;

        to.data = t->kv + i * T * 2 * m->C * sr_type_size(c->act);
        sr_rms_norm_rope(c, &k, m->blocks[i].cross.norm_k, (float)m->k.eps, m->D, NULL, NULL);
        sr_convert(c, &to, kv);
        sr_scratch_release(c, inner);
    }
    if (!sr_ctx_skip(c)) t->n = n;
    sr_scratch_release(c, mark);
}

static bool same_times(const float *t, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (t[i] != t[0]) return false;
    return true;
}

void sr_wan_forward(struct sr_ctx *c, void *model, int which, const struct sr_model_input *in, bool commit, float *out)
{
    struct wan *m = model;
    const size_t mark = sr_scratch_mark(c);
    struct pass p = { .m = m, .text = &m->text[which], .cache = m->cache ? m->cache[SR_MIN(which, m->caches - 1)] : NULL, .F = in->F,
                      .L = in->F * m->P, .rows = 1, .commit = commit, .output = out != NULL };
    struct sr_tensor x, waves, temb, e, mod;
    struct sr_tensor *h;

    if (p.cache)
        p.past = c->plan ? sr_kv_cache_capacity(p.cache) + m->F - SR_MAX(in->F, m->F) : sr_kv_cache_frames(p.cache);
    if (c->plan || !same_times(in->t, in->F)) p.rows = in->F;

    x = patchify(c, &p, in);
    x = *sr_linear(c, m->patch_in, &x, SR_ACT_NONE, SR_F32);            /* [L, C] */
    waves = time_waves(c, &p, in->t);
    h = sr_linear(c, m->time1, &waves, SR_ACT_SILU, SR_F32);
    temb = *sr_linear(c, m->time2, h, SR_ACT_NONE, SR_F32);             /* [rows, C] */
    e = *sr_scratch(c, p.rows, m->C, SR_F32);
    sr_convert(c, &e, &temb);
    sr_silu(c, &e);
    e = *sr_linear(c, m->time_proj, &e, SR_ACT_NONE, SR_F32);           /* [rows, 6 C] */

    for (size_t i = 0; i < (size_t)m->k.layers; i++) block(c, &p, i, &x, &e);

    if (out) {
        mod = modulation(c, m->head_mod, 2, m->C, &temb);               /* shift, scale, of the time before its SiLU */
        h = sr_layer_norm_mod(c, &x, (float)m->k.eps, mod_part(&p, &mod, 1, 0), mod_part(&p, &mod, 0, 0));
        unpatchify(c, &p, sr_linear(c, m->head, h, SR_ACT_NONE, SR_F32), out);      /* from [L, ph * pw * out] */
        if (m->motion.n && (in->prior || c->plan)) sr_wan_motion_add(c, m, h, in->prior, p.F, out);
    }
    if (commit && !sr_ctx_skip(c)) sr_kv_cache_advance(p.cache, p.F);
    else if (commit && !c->plan) sr_kv_cache_reset(p.cache);    /* some layers have the new frames, some do not */
    sr_scratch_release(c, mark);
}
