/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing a Wan, and what it costs. */
#include "models/wan/wan.h"

static sora_result check_setup(const struct wan_config *k, const struct sr_model_setup *s, sora_error *err)
{
    const size_t ph = (size_t)k->patch[1], pw = (size_t)k->patch[2], most = (size_t)1 << 31;
    size_t n;

    if (!s->F || !s->H || !s->W || s->H % ph || s->W % pw)
        return sr_fail(err, SORA_ERR_OPTION, "latents of %zu x %zu x %zu frames, rows and columns; wanted: at least "
                       "one frame, rows and columns in multiples of %zu and %zu", s->F, s->H, s->W, ph, pw);
    if (SR_MUL_OVERFLOWS(s->F, s->H, &n) || SR_MUL_OVERFLOWS(n, s->W, &n) || n > most)
        return sr_fail(err, SORA_ERR_OPTION, "latents of %zu x %zu x %zu frames, rows and columns are too large; "
                       "wanted: at most %zu in all", s->F, s->H, s->W, most);
    if (s->window > SR_MAX_CACHED || s->sink > SR_MAX_CACHED)
        return sr_fail(err, SORA_ERR_OPTION, "a cache of %zu + %zu latent frames; wanted: at most %d each", s->sink,
                       s->window, SR_MAX_CACHED);
    if (s->prompts < 1 || s->prompts > 8)
        return sr_fail(err, SORA_ERR_INTERNAL, "%d prompts beside each other; wanted: 1 to 8", s->prompts);
    return SORA_OK;
}

static void set_sizes(struct wan *m, const struct sr_model_setup *s)
{
    m->C = (size_t)(m->k.heads * m->k.head_dim);
    m->D = (size_t)m->k.head_dim;
    m->F = s->F, m->H = s->H, m->W = s->W;
    m->rows = s->H / (size_t)m->k.patch[1];
    m->cols = s->W / (size_t)m->k.patch[2];
    m->patch = (size_t)(m->k.patch[1] * m->k.patch[2]);
    m->P = m->rows * m->cols;
    m->prompts = s->prompts;
    m->caches = sr_model_caches(s);
}

static sora_result make_parts(struct sr_ctx *c, struct wan *m, const struct sr_model_setup *s, sora_error *err)
{
    const size_t layers = (size_t)m->k.layers, prompts = (size_t)m->prompts, caches = (size_t)m->caches;
    sora_result r = SORA_OK;

    m->blocks = sr_calloc(layers, sizeof *m->blocks);
    m->text = sr_calloc(prompts, sizeof *m->text);
    if (!m->blocks || !m->text) return sr_fail_nomem(err, layers * sizeof *m->blocks, "the list of layers");
    if (!caches) return SORA_OK;
    if (!(m->cache = sr_calloc(caches, sizeof *m->cache)))
        return sr_fail_nomem(err, sizeof *m->cache, "the caches of keys");
    for (size_t i = 0; i < caches && r == SORA_OK; i++)
        r = sr_kv_cache_open(&m->cache[i], layers, m->P, m->C, s->sink, s->window, c->act, err);
    return r;
}

/* Run everything once without computing: the arena is then as large as the largest pass needs. */
static sora_result plan(struct sr_ctx *c, struct wan *m, const struct sr_model_setup *s, sora_error *err)
{
    const struct sr_model_input in = { .F = m->F }, window = { .F = m->F + s->window },
                                all = { .F = window.F + s->sink };
    float none;

    sr_ctx_plan(c);
    sr_wan_set_text(c, m, 0, NULL, (size_t)m->k.text_len);
    sr_wan_forward(c, m, 0, &in, false, &none);
    if (m->cache) sr_wan_forward(c, m, 0, &in, true, &none);
    if (m->cache && s->renews) sr_wan_forward(c, m, 0, &window, true, NULL);
    if (m->cache && s->renews && s->sink) sr_wan_forward(c, m, 0, &all, true, NULL);
    m->text[0].n = 0;
    return sr_ctx_commit(c, err);
}

static void wan_close(void **model)
{
    struct wan *m = *model;

    if (!m) return;
    sr_wan_unload(m);
    sr_free(m);
    *model = NULL;
}

static sora_result wan_open(struct sr_ctx *c, void **out, struct sr_model_info *info, const struct sr_model_setup *s,
                            sora_error *err)
{
    struct wan *m = sr_zalloc(sizeof *m);
    void *model = m;
    struct sr_weights *w = NULL;
    struct sr_lora *lora = NULL;
    const struct sr_shape *shape;
    sora_result r = SORA_ERR_NOT_FOUND;

    *out = NULL;
    if (!m) return sr_fail_nomem(err, sizeof *m, "the transformer");
    if (s->shape) {
        if (!(shape = sr_shape_find(s->shape, err))) goto done;
        sr_wan_config_shape(&m->k, shape);
        r = sr_weights_open_random(&w, s->seed, err);
    } else {
        if ((r = sr_wan_config_read(&m->k, s->path, err)) < 0) goto done;
        r = sr_weights_open(&w, m->k.weights, err);
        /* What no prefix helps to find is then missed by its name, tensor by tensor. */
        if (r == SORA_OK)
            sr_weights_detect(w, m->k.original ? sr_wan_original_name : NULL, "blocks.0.attn1.to_q.weight");
    }
    if (r < 0) goto done;
    if ((r = check_setup(&m->k, s, err)) < 0) goto done;
    if ((r = sr_wan_model_info(info, &m->k, err)) < 0) goto done;
    set_sizes(m, s);
    if ((r = make_parts(c, m, s, err)) < 0) goto done;
    if (s->lora &&
        (r = sr_lora_open(&lora, s->lora, s->lora_scale, sr_wan_original_name, c->threads, c->cancel, err)) < 0)
        goto done;
    if ((r = sr_wan_load(c, m, w, lora, err)) < 0) goto done;
    if (s->motion && (r = sr_wan_motion_load(c, m, s->motion, err)) < 0) goto done;
    if ((r = plan(c, m, s, err)) < 0) goto done;
    *out = m;
    model = NULL;
done:
    sr_lora_close(&lora);
    sr_weights_close(&w);
    wan_close(&model);
    return r;
}

static sora_result wan_probe(struct sr_model_info *info, const char *path, sora_error *err)
{
    struct wan_config k;
    sora_result r = sr_wan_config_read(&k, path, err);

    return r == SORA_OK ? sr_wan_model_info(info, &k, err) : r;
}

static void wan_forget(void *model, int which, bool keep_sink)
{
    struct wan *m = model;

    if (keep_sink) sr_kv_cache_keep_sink(m->cache[which]);
    else sr_kv_cache_reset(m->cache[which]);
}

static double wan_flop(const void *model)
{
    const struct wan *m = model;
    const double L = (double)(m->F * m->P), C = (double)m->C, ffn = (double)m->k.ffn;
    const double keys = L + (m->cache ? (double)(sr_kv_cache_capacity(m->cache[0]) * m->P) : 0);
    const double text = m->text[0].n ? (double)m->text[0].n : (double)m->k.text_len;
    const double layer = 2 * L * (6 * C * C + 2 * C * ffn) + 4 * L * C * (keys + text); /* text's keys: once a prompt */
    const double ends = 2 * L * C * (double)m->patch * (double)(m->k.in + m->k.out);
    const double time = 2 * C * ((double)m->k.freq_dim + 7 * C);
    const double filters = 18.0 * (double)m->motion.n * (double)m->k.out * (double)m->k.out * L * (double)m->patch;

    return (double)m->k.layers * layer + ends + time + filters;
}

const struct sr_model_family sr_wan_model = {
    .name = "wan", .knows = sr_wan_knows, .probe = wan_probe, .open = wan_open, .close = wan_close,
    .set_text = sr_wan_set_text, .forward = sr_wan_forward, .forget = wan_forget, .flop = wan_flop,
};
