/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model "test" as a backend: its delays, faults and pictures, run as a real model is. */
#include <stdio.h>

#include "models/test/test_model.h"
#include "pipeline/pipeline.h"

struct test_backend {
    struct sr_pipeline base;
    struct sr_test_knobs knobs;
    char *prompt;
    float *rgb;                     /* [3, gen_h, gen_w] */
};

static sora_result test_load(struct sr_pipeline *p, const struct sr_sink *sink, sora_error *err)
{
    struct test_backend *t = (struct test_backend *)p;
    const size_t n = 3 * (size_t)p->gen_w * (size_t)p->gen_h * sizeof *t->rgb;
    sora_result r = sr_test_work(&t->knobs, t->knobs.load_delay_ms, p->job.cancel, err);

    if (r < 0) return r;
    if (t->knobs.fail == SR_TEST_FAIL_LOAD)
        return sr_fail(err, SORA_ERR_MODEL, "model test: fails to load, as fail=load asks");
    if (!(t->rgb = sr_aligned(n))) return sr_fail_nomem(err, n, "model test");
    return SORA_OK;
}

static sora_result test_prompt(struct sr_pipeline *p, const char *text, const struct sr_sink *sink, sora_error *err)
{
    struct test_backend *t = (struct test_backend *)p;
    sora_result r = sr_test_work(&t->knobs, t->knobs.text_delay_ms, p->job.cancel, err);

    if (r < 0) return r;
    if (t->knobs.fail == SR_TEST_FAIL_TEXT)
        return sr_fail(err, SORA_ERR_INTERNAL, "model test: fails to encode the prompt, as fail=text asks");
    sr_free(t->prompt);
    if (!(t->prompt = sr_strdup(text))) return sr_fail_nomem(err, strlen(text) + 1, "prompt");
    return SORA_OK;
}

static sora_result test_chunk(struct sr_pipeline *p, int64_t chunk, int64_t first, int64_t left, const struct sr_sink *sink,
                              sora_error *err)
{
    struct test_backend *t = (struct test_backend *)p;
    const struct sr_test_knobs *k = &t->knobs;
    const int64_t n = p->info.streams ? SR_MIN(left, k->chunk_frames) : left;
    const enum sr_test_fault fail = chunk == k->fail_chunk ? k->fail : SR_TEST_NO_FAULT;
    sora_result r = SORA_OK;

    for (int s = 1; s <= p->info.steps; s++) {
        if (fail == SR_TEST_FAIL_STEP && s == (p->info.steps + 1) / 2)
            return sr_fail(err, SORA_ERR_INTERNAL, "model test: fails in step %d of %d, as fail=step asks", s, p->info.steps);
        if ((r = sr_test_work(k, k->step_delay_ms, p->job.cancel, err)) < 0) return r;
        sink->stage(sink->user, SORA_STAGE_STEP, s, p->info.steps);
    }
    sink->stage(sink->user, SORA_STAGE_DECODE, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        if (fail == SR_TEST_FAIL_DECODE && i == n / 2)
            return sr_fail(err, SORA_ERR_INTERNAL, "model test: fails to decode frame %lld, as fail=decode asks",
                           (long long)(first + i));
        if ((r = sr_test_work(k, k->decode_delay_ms, p->job.cancel, err)) < 0) return r;
        sr_test_frame(t->rgb, p->gen_w, p->gen_h, t->prompt, p->job.seed, p->guidance > 0 ? p->guidance : p->info.guidance,
                      first + i);
        if (k->nan && chunk == k->fail_chunk && i == n / 2) t->rgb[0] = __builtin_nanf("");
        if ((r = sink->frame(sink->user, t->rgb, err)) < 0) return r;
    }
    return SORA_OK;
}

static void test_close(struct sr_pipeline *p)
{
    struct test_backend *t = (struct test_backend *)p;

    sr_free(t->prompt);
    sr_free(t->rgb);
    sr_free(t);
}

sora_result sr_test_backend_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err)
{
    static const struct sr_pipeline_ops ops = { test_load, test_prompt, test_chunk, NULL, test_close };
    struct test_backend *t = sr_zalloc(sizeof *t);
    sora_info *info;
    sora_result r;

    *p = NULL;
    if (!t) return sr_fail_nomem(err, sizeof *t, "model test");
    t->base.ops = &ops;
    t->base.job = *job;
    info = &t->base.info;
    sora_info_init(info);
    if ((r = sr_test_parse(&t->knobs, job->o->model, err)) < 0) goto done;
    if (job->o->latents_file || job->o->text_file || job->o->noise_file || job->o->save_text_file ||
        job->o->save_latents_file) {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "model test: has no latents, noise or text states to read or save");
        goto done;
    }
    snprintf(info->model, sizeof info->model, "test");
    snprintf(info->family, sizeof info->family, "test");
    snprintf(info->licence, sizeof info->licence, "LGPL-2.1-or-later");
    snprintf(info->precision, sizeof info->precision, "f32");
    snprintf(info->sampler, sizeof info->sampler, "%s", job->o->sampler ? job->o->sampler : "euler");
    info->native_width = t->knobs.width;
    info->native_height = t->knobs.height;
    info->rate_num = t->knobs.rate;
    info->rate_den = 1;
    info->frames = t->knobs.frames;
    info->chunk = t->knobs.chunk_frames;
    info->streams = t->knobs.streams;
    info->steps = job->o->steps ? job->o->steps : t->knobs.steps;
    info->guidance = job->o->guidance > 0 ? job->o->guidance : 1;
    info->shift = job->o->shift > 0 ? job->o->shift : 1;
    if ((r = sr_pipeline_info(&t->base, err)) < 0) goto done;
    info->fixed_size = t->knobs.fixed_size;
    t->base.gen_w = t->base.crop_w = info->fixed_size ? info->native_width : info->width;
    t->base.gen_h = t->base.crop_h = info->fixed_size ? info->native_height : info->height;
    info->memory_bytes = 3 * sizeof(float) * (uint64_t)t->base.gen_w * (uint64_t)t->base.gen_h * 4;
    *p = &t->base;
    t = NULL;
done:
    sr_free(t);
    return r;
}
