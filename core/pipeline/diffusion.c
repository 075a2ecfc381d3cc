/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model of transformer, text encoder and decoder as a backend: what it is made of, loading, prompts, closing. */
#include <stdio.h>

#include "pipeline/diffusion.h"
#include "pipeline/memory.h"

static struct sr_diffusion *self(struct sr_pipeline *p)
{
    return (struct sr_diffusion *)p;
}

static sora_result c_outcome(const struct sr_diffusion *d, sora_result r)
{
    return sr_cancelled(d->base.job.cancel) && r < 0 ? SORA_ERR_CANCELLED : r;
}

/* ---- Load ---- */

static sora_result alloc(float **p, size_t n, sora_error *err)
{
    return (*p = sr_aligned(n * sizeof **p)) ? SORA_OK : sr_fail_nomem(err, n * sizeof **p, "latents");
}

static sora_result load_buffers(struct sr_diffusion *d, sora_error *err)
{
    const size_t frame = d->C * d->H * d->W, n = frame * d->F;
    sora_result r;

    if ((r = alloc(&d->z, frame, err)) < 0) return r;
    if (d->decode_only) return SORA_OK;
    if ((r = alloc(&d->x, n, err)) < 0 || (r = alloc(&d->v, n, err)) < 0 || (r = alloc(&d->u, n, err)) < 0) return r;
    if ((r = sr_sampler_open(&d->first.sampler, &d->first.schedule, n, err)) < 0) return r;
    if (!d->stream) return SORA_OK;
    if ((r = sr_sampler_open(&d->next.sampler, &d->next.schedule, n, err)) < 0) return r;
    if ((r = sr_sampler_open(&d->turned.sampler, &d->turned.schedule, n, err)) < 0) return r;
    if (d->has_prior && (r = alloc(&d->prior, n, err)) < 0) return r;
    if ((d->about.sampler.change_noise > 0 || d->about.sampler.retouch_time > 0) && (r = alloc(&d->most, n / d->C / 4, err)) < 0)
        return r;
    if (d->sc.change != SR_CHANGE_RECACHE && !d->first_model) return SORA_OK;
    d->past_frames = d->F + (size_t)(d->sc.window + d->sc.sink);
    if ((r = alloc(&d->past, frame * d->past_frames, err)) < 0 || d->sc.change != SR_CHANGE_RECACHE) return r;
    return alloc(&d->again, frame * d->past_frames, err);
}

static bool guided(const struct sr_diffusion *d)
{
    return d->first.guidance != 1 || (d->stream && (d->next.guidance != 1 || d->turned.guidance != 1));
}

/* Where the first chunk has a model of its own, that also samples those drawn anew, with a cache of its own, filled then;
   it needs no filters of the chunk before. Layers alike are in memory once. */
static sora_result load_models(struct sr_diffusion *d, sora_error *err)
{
    struct sr_model_setup s = { .path = d->parts.transformer, .F = d->F, .H = d->H, .W = d->W };
    sora_result r;

    s.window = (size_t)d->sc.window;
    s.prompts = guided(d) ? 2 : 1;
    s.one_past = true;
    s.lora = d->lora_first;
    s.lora_scale = d->about.lora_scale;
    if (d->about.lora_next[0] && (r = sr_model_open(d->c, &d->first_model, &s, err)) < 0) return r;
    s.one_past = d->next.guidance == 1 && !d->sc.last_step;
    s.sink = (size_t)d->sc.sink;
    s.renews = d->sc.change == SR_CHANGE_RECACHE;
    s.lora = d->lora;
    s.motion = d->motion;
    return sr_model_open(d->c, &d->model, &s, err);
}

static sora_result load(struct sr_pipeline *p, const struct sr_sink *sink, sora_error *err)
{
    struct sr_diffusion *d = self(p);
    sora_result r;

    if ((r = sr_check_memory(d, err)) < 0) goto done;
    if ((r = sr_ctx_open(&d->c, d->precision, p->info.threads, ~0u, &p->job.log, p->job.cancel, err)) < 0) goto done;
    if (!d->decode_only && (r = load_models(d, err)) < 0) goto done;
    if ((r = sr_vae_open(d->c, &d->vae, d->parts.vae, d->H, d->W, err)) < 0) goto done;
    r = load_buffers(d, err);
done:
    return c_outcome(d, r);
}

/* ---- Prompts ---- */

/* Rows up to the last that is not all zeros: the others are padding. */
static size_t real_rows(const float *rows, size_t T, size_t D)
{
    size_t n = T * D;

    while (n > 0 && rows[n - 1] == 0) n--;
    return SR_CEIL_DIV(n, D);
}

static sora_result set_text(struct sr_diffusion *d, int which, const float *rows, size_t n, sora_error *err)
{
    sora_result r;

    if (d->first_model && (r = sr_model_set_text(d->c, d->first_model, which, rows, n, err)) < 0) return r;
    return sr_model_set_text(d->c, d->model, which, rows, n, err);
}

/* --text FILE [T, D], T up to what the model reads. */
static sora_result given_text(struct sr_diffusion *d, sora_error *err)
{
    const struct sr_given *g = &d->text_given;
    const size_t T = d->mi.text_len, D = d->mi.text_dim;
    float *rows;
    sora_result r;

    if ((r = sr_given_open(&d->text_given, d->base.job.o->text_file, "text", 2, err)) < 0) return r;
    if (g->dim[0] < 1 || g->dim[0] > T || g->dim[1] != D)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"text\" is [%zu, %zu]; wanted: [1 to %zu, %zu]", sr_weights_path(g->w), g->dim[0],
                       g->dim[1], T, D);
    if (!(rows = sr_calloc(T * D, sizeof *rows))) return sr_fail_nomem(err, T * D * sizeof *rows, "text states");
    memcpy(rows, g->data, g->dim[0] * D * sizeof *rows);
    r = set_text(d, 0, rows, real_rows(rows, T, D), err);
    sr_free(rows);
    return r;
}

static sora_result encode(struct sr_diffusion *d, int which, const char *text, sora_error *err)
{
    const char *save = d->base.job.o->save_text_file;
    const float *rows;
    size_t n;
    sora_result r = sr_text_states_get(&d->text, d->c, text, &rows, &n, err);

    if (r >= 0 && which == 0 && save && !d->text_saved) {
        const struct sr_named t = { "text", rows, 2, { d->text.T, d->text.D } };
        r = sr_safetensors_write(save, &t, 1, err);
        d->text_saved = true;
    }
    return r < 0 ? r : set_text(d, which, rows, n, err);
}

static sora_result prompt(struct sr_pipeline *p, const char *text, const struct sr_sink *sink, sora_error *err)
{
    struct sr_diffusion *d = self(p);
    const sora_options *o = p->job.o;
    sora_result r;

    if (d->decode_only) return SORA_OK;
    r = o->text_file ? given_text(d, err) : encode(d, 0, text, err);
    if (r >= 0 && guided(d)) r = encode(d, 1, o->negative_prompt ? o->negative_prompt : "", err);
    if (r >= 0 && d->stream) r = sr_stream_new_prompt(d, sink, err);
    return c_outcome(d, r);
}

/* ---- Chunks and the end ---- */

static sora_result chunk(struct sr_pipeline *p, int64_t k, int64_t first, int64_t left, const struct sr_sink *sink,
                         sora_error *err)
{
    struct sr_diffusion *d = self(p);
    sora_result r;

    if (d->decode_only) r = sr_given_chunk(d, left, sink, err);
    else if (d->stream) r = sr_stream_chunk(d, k, left, sink, err);
    else r = sr_clip_chunk(d, left, sink, err);
    return c_outcome(d, r);
}

/* [frames, C, H, W] as they came -> [C, F, H, W] */
static sora_result finish(struct sr_pipeline *p, sora_error *err)
{
    struct sr_diffusion *d = self(p);
    const size_t frame = d->H * d->W, F = d->saved_frames;
    const struct sr_named t = { "latents", NULL, 4, { d->C, F, d->H, d->W } };
    struct sr_named named = t;
    float *out;
    sora_result r;

    if (!F) return SORA_OK;
    if (!(out = sr_calloc(F * d->C * frame, sizeof *out))) return sr_fail_nomem(err, F * d->C * frame * sizeof *out, "latents");
    for (size_t f = 0; f < F; f++)
        for (size_t c = 0; c < d->C; c++)
            memcpy(out + (c * F + f) * frame, d->saved + (f * d->C + c) * frame, frame * sizeof *out);
    named.data = out;
    r = sr_safetensors_write(p->job.o->save_latents_file, &named, 1, err);
    sr_free(out);
    return r;
}

static void close_diffusion(struct sr_pipeline *p)
{
    struct sr_diffusion *d = self(p);
    float *const buffers[] = { d->x, d->v, d->u, d->z, d->prior, d->most, d->past, d->again, d->saved };

    for (size_t i = 0; i < SR_COUNT(buffers); i++) sr_free(buffers[i]);
    sr_sampler_close(&d->first.sampler);
    sr_sampler_close(&d->next.sampler);
    sr_sampler_close(&d->turned.sampler);
    sr_text_states_uninit(&d->text);
    sr_given_close(&d->noise);
    sr_given_close(&d->latents);
    sr_given_close(&d->text_given);
    sr_vae_close(&d->vae);
    sr_model_close(&d->model);
    sr_model_close(&d->first_model);
    sr_ctx_close(&d->c);
    sr_parts_free(&d->parts);
    sr_free(d->lora);
    sr_free(d->lora_first);
    sr_free(d->motion);
    sr_free(d);
}

/* ---- Open: checks and headers ---- */

static sora_result choose_precision(struct sr_diffusion *d, sora_error *err)
{
    const char *p = d->base.job.o->precision;
    const bool bf16 = (sr_cpu_flags() & (SR_CPU_AVX512_BF16 | SR_CPU_AMX_BF16)) != 0;

    if (p && !strcmp(p, "int8"))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "precision: int8 is not supported by this model; take f32 or bf16");
    if (p && !strcmp(p, "bf16") && !bf16)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "precision: this CPU does not compute with bf16 (AVX512-BF16 or AMX); take f32");
    d->precision = bf16 && !(p && !strcmp(p, "f32")) ? SR_BF16 : SR_F32;
    snprintf(d->base.info.precision, sizeof d->base.info.precision, "%s", d->precision == SR_BF16 ? "bf16" : "f32");
    return SORA_OK;
}

static sora_result file_beside(char **path, const struct sr_diffusion *d, const char *name, sora_error *err)
{
    if (!name[0] || (*path = sr_asprintf("%s/%s", d->parts.folder, name))) return SORA_OK;
    return sr_fail_nomem(err, strlen(name), "a path");
}

/* Transformer and decoder must speak of the same latents. */
static sora_result probe_parts(struct sr_diffusion *d, sora_error *err)
{
    const struct sr_job *job = &d->base.job;
    sora_result r;

    d->decode_only = job->o->latents_file != NULL;
    if (!d->decode_only && (r = sr_model_probe(&d->mi, job->path, err)) < 0) return r;
    if ((r = sr_parts_find(&d->parts, job, d->mi.channels, err)) < 0) return r;
    if (!d->parts.vae)
        return sr_fail(err, SORA_ERR_MODEL, "%s: no decoder: wanted vae/ or a file such as Wan2.1_VAE.safetensors beside the "
                       "transformer; fetch the whole model, or give one with the option vae", d->parts.folder);
    if ((r = sr_vae_probe(&d->vi, d->parts.vae, err)) < 0) return r;
    d->C = (size_t)d->vi.channels;
    if (!d->decode_only && d->vi.channels != d->mi.channels)
        return sr_fail(err, SORA_ERR_MODEL, "%s: decodes latents of %d channels, the transformer makes %d; they are of different "
                       "models", d->parts.vae, d->vi.channels, d->mi.channels);
    if ((r = sr_about_read(&d->about, d->parts.folder, err)) < 0) return r;
    if ((r = file_beside(&d->lora, d, d->about.lora_next[0] ? d->about.lora_next : d->about.lora, err)) < 0) return r;
    if (d->about.lora_next[0] && (r = file_beside(&d->lora_first, d, d->about.lora, err)) < 0) return r;
    if ((r = file_beside(&d->motion, d, d->about.motion, err)) < 0) return r;
    if (d->about.found && !d->decode_only && strcmp(d->about.family, d->mi.family))
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: family is \"%s\", the transformer's is \"%s\"; they are of different "
                       "models", d->parts.folder, d->about.family, d->mi.family);
    return SORA_OK;
}

/* What the transformer reads beside the noisy latent must be something that a stream has. */
static sora_result check_prior(const struct sr_diffusion *d, sora_error *err)
{
    const char *folder = d->parts.folder;
    const bool pocket = !strcmp(d->mi.family, "pocket");

    if (d->mi.prior && !pocket)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: the transformer reads %d channels of a picture beside the latent; models that "
                       "start from a picture are not supported yet", d->parts.transformer, d->mi.prior);
    if (pocket && (!d->pre.C || !d->stream || !d->about.sampler.scheduled))
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: %s is missing, without which a pocket model does not work", folder,
                       d->stream ? "sampler or spread" : "chunk_latents");
    if (!pocket && d->pre.C)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: spread is there, but the transformer is no pocket model", folder);
    if (!pocket && d->motion)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: motion is there, but the transformer is no pocket model", folder);
    if (d->pre.C && d->pre.C != d->C)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: spread has %zu numbers; wanted: one for each of %zu channels", folder,
                       d->pre.C, d->C);
    return SORA_OK;
}

static sora_result probe_stream(struct sr_diffusion *d, sora_error *err)
{
    const struct sr_about *a = &d->about;
    sora_result r;

    if (d->decode_only) return SORA_OK;
    d->pre.C = a->nspread;
    memcpy(d->pre.first, a->spread, sizeof d->pre.first);
    memcpy(d->pre.next, a->spread_next, sizeof d->pre.next);
    d->pre.still = a->has_still ? a->still : NULL;
    d->pre.still_bias = a->still_bias;
    d->has_prior = d->pre.C > 0;
    if ((r = sr_choose_stream(d, err)) < 0) return r;
    if ((r = check_prior(d, err)) < 0) return r;
    if (a->lora_next[0] && (!d->stream || d->sc.last_step))
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: lora_next is there, but %s", d->parts.folder,
                       d->stream ? "the last step of the first chunk, which has no additions, is to fill the cache"
                                 : "the model makes clips of one chunk; wanted: lora");
    return SORA_OK;
}

/* Published sizes and rates, for folders that do not say. */
static void native(struct sr_diffusion *d)
{
    const bool wan22 = d->vi.channels == 48;
    sora_info *info = &d->base.info;

    info->native_width = d->about.width ? (int)d->about.width : wan22 ? 1280 : 832;
    info->native_height = d->about.height ? (int)d->about.height : wan22 ? 704 : 480;
    info->rate_num = d->about.rate ? (int)d->about.rate : wan22 ? 24 : 16;
    info->rate_den = 1;
    info->frames = d->about.frames ? d->about.frames : wan22 ? 121 : 81;
}

/* The latents of the file decide. */
static sora_result given_geometry(struct sr_diffusion *d, sora_error *err)
{
    const char *path = d->base.job.o->latents_file;
    const struct sr_given *g = &d->latents;
    sora_info *info = &d->base.info;
    sora_result r;

    if ((r = sr_given_open(&d->latents, path, "latents", 4, err)) < 0) return r;
    if (g->dim[0] != d->C || g->dim[1] < 1 || g->dim[1] > 100000 || g->dim[2] < 1 || g->dim[3] < 1 ||
        g->dim[2] * (size_t)d->vi.scale_s > 16384 || g->dim[3] * (size_t)d->vi.scale_s > 16384)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"latents\" is [%zu, %zu, %zu, %zu]; wanted: [%zu, frames, rows, columns]", path,
                       g->dim[0], g->dim[1], g->dim[2], g->dim[3], d->C);
    d->F = g->dim[1];
    d->H = g->dim[2];
    d->W = g->dim[3];
    info->native_width = (int)d->W * d->vi.scale_s;
    info->native_height = (int)d->H * d->vi.scale_s;
    info->frames = 1 + (int64_t)(d->F - 1) * d->vi.scale_t;
    if (d->base.job.o->frames > info->frames)
        return sr_fail(err, SORA_ERR_OPTION, "frames: found %lld, but %s holds %lld", (long long)d->base.job.o->frames, path,
                       (long long)info->frames);
    return SORA_OK;
}

/* From the size and length asked for to the grid of the model. */
static sora_result geometry(struct sr_diffusion *d, sora_error *err)
{
    struct sr_pipeline *p = &d->base;
    sora_info *info = &p->info;
    const int step_w = d->decode_only ? 1 : d->vi.scale_s * d->mi.patch_w, step_h = d->decode_only ? 1 : d->vi.scale_s * d->mi.patch_h;
    sora_result r;

    native(d);
    if (d->decode_only && (r = given_geometry(d, err)) < 0) return r;
    info->streams = d->stream;
    info->chunk = d->stream ? (int)d->sc.chunk * d->vi.scale_t : 1;
    if (d->about.chunk_frames && !d->decode_only && d->about.chunk_frames != info->chunk)
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: chunk_frames is %lld; wanted: %d, as the decoder makes %d of each latent",
                       d->parts.folder, (long long)d->about.chunk_frames, info->chunk, d->vi.scale_t);
    if ((r = sr_pipeline_info(p, err)) < 0) return r;
    if (d->about.latent[0] && !d->decode_only &&
        (d->about.latent[0] != d->vi.channels || d->about.latent[1] * d->vi.scale_s != info->native_height ||
         d->about.latent[2] * d->vi.scale_s != info->native_width))
        return sr_fail(err, SORA_ERR_MODEL, "%s/sora.json: latent is [%lld, %lld, %lld]; wanted: the %d channels of the decoder, and "
                       "a %dth of %dx%d", d->parts.folder, (long long)d->about.latent[0], (long long)d->about.latent[1],
                       (long long)d->about.latent[2], d->vi.channels, d->vi.scale_s, info->native_height, info->native_width);
    info->fixed_size = d->about.latent[0] || d->decode_only;
    if (info->fixed_size) {
        p->gen_w = p->crop_w = info->native_width;
        p->gen_h = p->crop_h = info->native_height;
    } else {
        p->gen_w = SR_ROUND_UP(info->width, step_w);
        p->gen_h = SR_ROUND_UP(info->height, step_h);
        p->crop_w = info->width;
        p->crop_h = info->height;
    }
    if (d->decode_only) return SORA_OK;
    d->W = (size_t)(p->gen_w / d->vi.scale_s);
    d->H = (size_t)(p->gen_h / d->vi.scale_s);
    d->F = d->stream ? (size_t)d->sc.chunk : 1 + (size_t)SR_CEIL_DIV(info->frames - 1, d->vi.scale_t);
    if (d->F > SR_MAX_CHUNK)
        return sr_fail(err, SORA_ERR_OPTION, "frames: found %lld, but model %s makes at most %lld in one clip", (long long)info->frames,
                       info->model, 1 + (long long)(SR_MAX_CHUNK - 1) * d->vi.scale_t);
    return SORA_OK;
}

static sora_result sampling(struct sr_diffusion *d, sora_error *err)
{
    static const char *const kinds[] = { [SR_EULER] = "euler", [SR_UNIPC] = "unipc", [SR_RENOISE] = "renoise" };
    const struct sr_sampling *shown = d->stream ? &d->next : &d->first;
    sora_info *info = &d->base.info;
    sora_result r;

    if (d->decode_only) return SORA_OK;
    if ((r = sr_choose_sampling(d, &d->first, SR_CHUNK_FIRST, err)) < 0) return r;
    if (d->stream && (r = sr_choose_sampling(d, &d->next, SR_CHUNK_NEXT, err)) < 0) return r;
    if (d->stream && (r = sr_choose_sampling(d, &d->turned, SR_CHUNK_TURNED, err)) < 0) return r;
    info->steps = shown->schedule.steps;
    info->guidance = (float)d->first.guidance;
    info->shift = (float)d->first.shift;
    snprintf(info->sampler, sizeof info->sampler, "%s", kinds[shown->schedule.kind]);
    return SORA_OK;
}

sora_result sr_diffusion_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err)
{
    static const struct sr_pipeline_ops ops = { load, prompt, chunk, finish, close_diffusion };
    struct sr_diffusion *d = sr_zalloc(sizeof *d);
    sora_info *info;
    sora_result r;

    *p = NULL;
    if (!d) return sr_fail_nomem(err, sizeof *d, "model");
    d->base.ops = &ops;
    d->base.job = *job;
    info = &d->base.info;
    sora_info_init(info);
    if ((r = choose_precision(d, err)) < 0) goto done;
    if ((r = probe_parts(d, err)) < 0) goto done;
    snprintf(info->model, sizeof info->model, "%s", d->parts.name);
    snprintf(info->family, sizeof info->family, "%s", d->about.family[0] ? d->about.family : d->mi.family);
    snprintf(info->licence, sizeof info->licence, "%s", d->about.licence[0] ? d->about.licence : d->parts.licence);
    if ((r = probe_stream(d, err)) < 0) goto done;
    if ((r = geometry(d, err)) < 0) goto done;
    if ((r = sampling(d, err)) < 0) goto done;
    if (job->o->noise_file && (r = sr_given_open(&d->noise, job->o->noise_file, "noise", 4, err)) < 0) goto done;
    d->text = (struct sr_text_states){ .parts = &d->parts, .log = &d->base.job.log, .T = d->mi.text_len, .D = d->mi.text_dim };
    r = sr_estimate(d, err);
done:
    if (r < 0) close_diffusion(&d->base);
    else *p = &d->base;
    return r;
}
