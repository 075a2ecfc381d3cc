/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which family a file is of, and the checks that all families share. */
#include "models/family.h"
#include "tensor/omp_wait.h"

struct sr_model {
    const struct sr_model_family *family;
    void *m;
    struct sr_model_info info;
    size_t F, renewed;
    int prompts, caches;
    unsigned have_text;         /* bit i: prompt i is set */
};

static const struct sr_model_family *const families[] = { &sr_wan_model };

static const struct sr_model_family *family_of(const char *path, sora_error *err)
{
    for (size_t i = 0; i < SR_COUNT(families); i++)
        if (families[i]->knows(path)) return families[i];
    sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: no transformer that is known here; wanted: a folder with "
            "transformer/config.json of a Wan, or a Wan's single file", path);
    return NULL;
}

static const struct sr_model_family *family_of_shape(const char *name, sora_error *err)
{
    const struct sr_shape *shape = sr_shape_find(name, err);

    for (size_t i = 0; shape && i < SR_COUNT(families); i++)
        if (!strcmp(families[i]->name, shape->family)) return families[i];
    return NULL;
}

/* What went wrong in the operations of a pass. */
static sora_result outcome(const struct sr_ctx *c, sora_error *err)
{
    return c->err.code ? sr_fail(err, c->err.code, "%s", c->err.text) : SORA_OK;
}

sora_result sr_model_probe(struct sr_model_info *info, const char *path, sora_error *err)
{
    const struct sr_model_family *f = family_of(path, err);

    memset(info, 0, sizeof *info);
    return f ? f->probe(info, path, err) : SORA_ERR_UNSUPPORTED;
}

sora_result sr_model_open(struct sr_ctx *c, struct sr_model **out, const struct sr_model_setup *s, sora_error *err)
{
    struct sr_model *m = sr_zalloc(sizeof *m);
    sora_result r;

    *out = NULL;
    if (!m) return sr_fail_nomem(err, sizeof *m, "the transformer");
    m->F = s->F;
    m->renewed = s->renews ? s->F + s->window + s->sink : 0;
    m->prompts = s->prompts;
    m->caches = sr_model_caches(s);
    m->family = s->shape ? family_of_shape(s->shape, err) : family_of(s->path, err);
    if (m->family) r = m->family->open(c, &m->m, &m->info, s, err);
    else r = s->shape ? SORA_ERR_NOT_FOUND : SORA_ERR_UNSUPPORTED;
    if (r == SORA_OK) *out = m;
    else sr_free(m);
    return r;
}

void sr_model_close(struct sr_model **m)
{
    if (!*m) return;
    (*m)->family->close(&(*m)->m);
    sr_free(*m);
    *m = NULL;
}

const struct sr_model_info *sr_model_get_info(const struct sr_model *m)
{
    return &m->info;
}

sora_result sr_model_set_text(struct sr_ctx *c, struct sr_model *m, int which, const float *text, size_t real,
                              sora_error *err)
{
    sora_result r;

    if (which < 0 || which >= m->prompts || real > m->info.text_len)
        return sr_fail(err, SORA_ERR_INTERNAL, "prompt %d with %zu rows of text; there is room for %d with %zu", which,
                       real, m->prompts, m->info.text_len);
    m->family->set_text(c, m->m, which, text, real);
    if ((r = outcome(c, err)) < 0) return r;
    m->have_text |= 1u << which;
    return SORA_OK;
}

/* most: latent frames that the pass was planned for */
static sora_result pass(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in, size_t most,
                        bool commit, float *out, sora_error *err)
{
    struct sr_omp_pass omp;

    if (which < 0 || which >= m->prompts || !(m->have_text >> which & 1))
        return sr_fail(err, SORA_ERR_INTERNAL, "prompt %d has no text", which);
    if (commit && which >= m->caches)
        return sr_fail(err, SORA_ERR_INTERNAL, "prompt %d, without a cache of its own, was given a chunk to keep", which);
    if (in->F < 1 || in->F > most)
        return sr_fail(err, SORA_ERR_INTERNAL, "a chunk of %zu latent frames; wanted: 1 to %zu", in->F, most);
    sr_omp_pass_begin(&omp, c->threads);
    m->family->forward(c, m->m, which, in, commit, out);
    sr_omp_pass_end(&omp);
    return outcome(c, err);
}

sora_result sr_model_forward(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                             float *out, sora_error *err)
{
    return pass(c, m, which, in, m->F, false, out, err);
}

sora_result sr_model_commit(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                            float *out, sora_error *err)
{
    return pass(c, m, which, in, m->F, true, out, err);
}

sora_result sr_model_renew(struct sr_ctx *c, struct sr_model *m, int which, const struct sr_model_input *in,
                           bool keep_sink, sora_error *err)
{
    if (which >= 0 && which < m->caches) m->family->forget(m->m, which, keep_sink);
    return pass(c, m, which, in, m->renewed, true, NULL, err);
}

void sr_model_reset(struct sr_model *m)
{
    for (int i = 0; i < m->caches; i++) m->family->forget(m->m, i, false);
}

double sr_model_flop(const struct sr_model *m)
{
    return m->family->flop(m->m);
}
