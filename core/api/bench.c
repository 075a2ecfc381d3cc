/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring: seconds, FLOP and share of this CPU's peak for each stage and each family of operations.
 *
 * A shape has random weights, made in memory.  Stages are measured on a part that stands for the whole where the whole
 * would only repeat it: some layers of a text encoder, the first and some later frames of a decoder; the report says so.
 */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "api/options.h"
#include "kernels/kernels.h"
#include "models/family.h"
#include "pipeline/diffusion.h"
#include "pipeline/memory.h"
#include "text/text.h"

#define PEAK_SECONDS 0.4
#define TEXT_LAYERS 2               /* of a shape's text encoder */
#define TEXT_TOKENS 512
#define MAX_RUNS 1000

struct bench {
    const sora_options *o;
    const char *stage;              /* NULL: all */
    int runs;
    struct sr_log log;
    struct sr_ctx *c;
    enum sr_type precision;
    int threads;
    size_t F, H, W;                 /* of the latents */
    int width, height;
    int64_t frames;
    json_t *stages;
    double peak_before[3], peak_after[3];
    struct sr_profile profile;      /* of one run of each stage */
    double total_s;                 /* the same in seconds */
    char **json;
    sora_error *err;
    sora_result result;
};

/* One run of something; its seconds are measured around the call. */
typedef sora_result run_fn(struct bench *b, void *arg, sora_error *err);

static bool wanted(const struct bench *b, const char *stage)
{
    return !b->stage || !strcmp(b->stage, stage);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* n runs after one that is not counted; the median, in *seconds.  What the families took goes into the profile, by run and
   times scale. */
static sora_result timed(struct bench *b, run_fn *fn, void *arg, int n, double scale, double *seconds, json_t *list)
{
    const struct sr_profile zero = { 0 };
    double took[MAX_RUNS];
    sora_result r = fn(b, arg, b->err);

    b->c->prof = zero;
    for (int i = 0; i < n && r >= 0; i++) {
        const double start = sr_now();
        r = fn(b, arg, b->err);
        took[i] = sr_now() - start;
        json_array_append_new(list, json_real(took[i] * scale));
    }
    if (r < 0) return r;
    for (int f = 0; f < SR_FAMILIES; f++) {
        b->profile.seconds[f] += b->c->prof.seconds[f] * scale / n;
        b->profile.flop[f] += b->c->prof.flop[f] * scale / n;
    }
    qsort(took, (size_t)n, sizeof *took, by_value);
    *seconds = took[n / 2] * scale;
    b->total_s += *seconds;
    return SORA_OK;
}

/* flop 0: nothing that could be compared with a peak. */
static json_t *stage_report(double seconds, double flop, json_t *runs)
{
    json_t *s = json_pack("{s:f, s:f, s:o}", "seconds", seconds, "flop", flop, "runs", runs);

    return s;
}

static void add_stage(struct bench *b, const char *name, json_t *report)
{
    sr_log(&b->log, SORA_LOG_INFO, "%s: %.3f s", name, json_number_value(json_object_get(report, "seconds")));
    json_object_set_new(b->stages, name, report);
}

/* ---- Transformer ---- */

struct step_run {
    struct sr_model *model;
    const float *x, *prior, *t;
    float *out;
    int64_t at;
};

static sora_result step(struct bench *b, void *arg, sora_error *err)
{
    const struct step_run *s = arg;
    const struct sr_model_input in = { .x = s->x, .F = b->F, .prior = s->prior, .t = s->t, .first_frame = s->at };

    return sr_model_forward(b->c, s->model, 0, &in, s->out, err);
}

/* A stream is measured with a full cache. */
static sora_result fill_cache(struct bench *b, struct step_run *s, size_t cached, sora_error *err)
{
    sora_result r = SORA_OK;

    for (; r >= 0 && (size_t)s->at < cached; s->at += (int64_t)b->F) {
        const struct sr_model_input in = { .x = s->x, .F = b->F, .prior = s->prior, .t = s->t, .first_frame = s->at };
        r = sr_model_commit(b->c, s->model, 0, &in, NULL, err);
    }
    return r;
}

static sora_result bench_step(struct bench *b, const struct sr_model_setup *setup, bool has_prior)
{
    struct sr_model *model = NULL;
    const struct sr_model_info *mi;
    const double start = sr_now();
    float *x = NULL, *out = NULL, *text = NULL, t[SR_MAX_CHUNK];
    json_t *runs = json_array();
    double seconds;
    size_t n;
    sora_result r = sr_model_open(b->c, &model, setup, b->err);

    if (r < 0) goto done;
    if (setup->path) add_stage(b, "load", stage_report(sr_now() - start, 0, json_array()));
    mi = sr_model_get_info(model);
    n = (size_t)mi->channels * b->F * b->H * b->W;
    x = sr_aligned(n * sizeof *x);
    out = sr_aligned(n * sizeof *out);
    text = sr_aligned(mi->text_len * mi->text_dim * sizeof *text);
    if (!x || !out || !text) {
        r = sr_fail_nomem(b->err, n * 2 * sizeof *x, "bench");
        goto done;
    }
    sr_rng_normal(x, n, 1, 0, 0);
    sr_rng_normal(text, mi->text_len * mi->text_dim, 1, 1, 0);
    for (size_t f = 0; f < b->F; f++) t[f] = 500;
    if ((r = sr_model_set_text(b->c, model, 0, text, mi->text_len, b->err)) < 0) goto done;
    {
        struct step_run s = { .model = model, .x = x, .prior = has_prior ? x : NULL, .t = t, .out = out };
        if ((r = fill_cache(b, &s, setup->window + setup->sink, b->err)) < 0) goto done;
        if ((r = timed(b, step, &s, b->runs, 1, &seconds, runs)) < 0) goto done;
    }
    add_stage(b, "step", stage_report(seconds, sr_model_flop(model), json_incref(runs)));
done:
    json_decref(runs);
    sr_model_close(&model);
    sr_free(x);
    sr_free(out);
    sr_free(text);
    return r;
}

/* ---- Text ---- */

struct text_run {
    struct sr_t5 *t5;
    int32_t ids[TEXT_TOKENS];
    size_t n;
    float *out;
};

static sora_result encode(struct bench *b, void *arg, sora_error *err)
{
    struct text_run *t = arg;

    return sr_t5_encode(b->c, t->t5, t->ids, t->n, t->out, err);
}

static double text_flop(const struct sr_t5_config *k, int64_t layers, double n)
{
    const double inner = (double)(k->heads * k->head_dim), C = (double)k->dim;

    return (double)layers * (2 * n * (4 * C * inner + 3 * C * (double)k->ffn) + 4 * n * n * inner);
}

/* path NULL: the shape of UMT5-XXL, of which some layers are measured and stand for all. */
static sora_result bench_text(struct bench *b, const char *path, size_t tokens)
{
    struct sr_t5_config k = { .vocab = 256384, .dim = 4096, .heads = 64, .head_dim = 64, .ffn = 10240, .layers = 24, .buckets = 32,
                              .max_distance = 128, .eps = 1e-6 };
    struct sr_weights *w = NULL;
    struct text_run t = { .n = tokens };
    json_t *runs = json_array(), *report;
    int64_t layers;
    double seconds;
    sora_result r = path ? sr_weights_open(&w, path, b->err) : sr_weights_open_random(&w, 7, b->err);

    if (r < 0) goto done;
    if (path && (r = sr_t5_config_read(&k, path, b->err)) < 0) goto done;
    layers = k.layers;
    if (!path) {
        k.layers = TEXT_LAYERS;
        k.resident_max = UINT64_MAX;                    /* or each run would draw the weights again */
    }
    if ((r = sr_t5_open(b->c, &t.t5, &k, w, b->err)) < 0) goto done;
    if (!(t.out = sr_aligned(tokens * (size_t)k.dim * sizeof *t.out))) {
        r = sr_fail_nomem(b->err, tokens * (size_t)k.dim * sizeof *t.out, "bench");
        goto done;
    }
    for (size_t i = 0; i < tokens; i++) t.ids[i] = (int32_t)(sr_rng_u64(1, 2, i) % (uint64_t)k.vocab);
    if ((r = timed(b, encode, &t, b->runs, (double)layers / (double)k.layers, &seconds, runs)) < 0) goto done;
    report = stage_report(seconds, text_flop(&k, layers, (double)tokens), json_incref(runs));
    json_object_set_new(report, "tokens", json_integer((json_int_t)tokens));
    json_object_set_new(report, "layers", json_integer(layers));
    json_object_set_new(report, "layers_measured", json_integer(k.layers));
    add_stage(b, "text", report);
done:
    json_decref(runs);
    sr_t5_close(&t.t5);
    sr_weights_close(&w);
    sr_free(t.out);
    return r;
}

/* ---- Decoder ---- */

struct vae_run {
    struct sr_vae *vae;
    const float *z;
    bool first;
};

static sora_result decode(struct bench *b, void *arg, sora_error *err)
{
    struct vae_run *v = arg;

    if (v->first) sr_vae_reset(v->vae);
    return sr_vae_decode(b->c, v->vae, v->z, NULL, err);
}

/* The first latent frame and later ones cost differently; every later one costs the same. */
static sora_result bench_vae(struct bench *b, const char *path, const char *kind)
{
    struct sr_vae *vae = NULL;
    json_t *first = json_array(), *later = json_array(), *report;
    const struct sr_vae_info *vi;
    float *z = NULL;
    double first_s = 0, later_s = 0, flop = 0;
    size_t n;
    sora_result r = path ? sr_vae_open(b->c, &vae, path, b->H, b->W, b->err)
                         : sr_vae_open_random(b->c, &vae, kind, b->H, b->W, 11, b->err);

    if (r < 0) goto done;
    vi = sr_vae_get_info(vae);
    n = (size_t)vi->channels * b->H * b->W;
    if (!(z = sr_aligned(n * sizeof *z))) {
        r = sr_fail_nomem(b->err, n * sizeof *z, "bench");
        goto done;
    }
    sr_rng_normal(z, n, 2, 0, 0);
    {
        struct vae_run v = { .vae = vae, .z = z, .first = true };
        if ((r = timed(b, decode, &v, b->runs, 1, &first_s, first)) < 0) goto done;
        for (int f = 0; f < SR_FAMILIES; f++) flop += b->c->prof.flop[f] / b->runs;
        v.first = false;
        if (b->F > 1 && (r = timed(b, decode, &v, b->runs, (double)(b->F - 1), &later_s, later)) < 0) goto done;
        for (int f = 0; b->F > 1 && f < SR_FAMILIES; f++) flop += b->c->prof.flop[f] / b->runs * (double)(b->F - 1);
    }
    report = stage_report(first_s + later_s, flop, json_incref(later));
    json_object_set_new(report, "first_frame_seconds", json_real(first_s));
    json_object_set_new(report, "latent_frames", json_integer((json_int_t)b->F));
    json_object_set_new(report, "latent_frames_measured", json_integer(b->F > 1 ? 2 : 1));
    add_stage(b, "vae", report);
done:
    json_decref(first);
    json_decref(later);
    sr_vae_close(&vae);
    sr_free(z);
    return r;
}

/* ---- A published shape, or a model on disk ---- */

static sora_result bench_shape(struct bench *b, const char *name)
{
    const bool wan22 = !strncmp(name, "wan2.2", 6), tiny = b->o->vae && !strcmp(b->o->vae, "tiny");
    const int scale = wan22 ? 16 : 8, grid = 2 * scale;
    struct sr_model_setup setup = { .shape = name, .seed = 3, .prompts = 1 };
    sora_result r = SORA_OK;

    if (!sr_shape_find(name, b->err)) return SORA_ERR_NOT_FOUND;
    b->width = b->o->width ? SR_ROUND_UP(b->o->width, grid) : wan22 ? 512 : 480;
    b->height = b->o->height ? SR_ROUND_UP(b->o->height, grid) : wan22 ? 288 : 272;
    b->F = 1 + (size_t)SR_CEIL_DIV((b->o->frames > 0 ? b->o->frames : 33) - 1, 4);
    if (b->F > SR_MAX_CHUNK)
        return sr_fail(b->err, SORA_ERR_OPTION, "frames: found %lld, wanted at most %d", (long long)b->o->frames,
                       1 + (SR_MAX_CHUNK - 1) * 4);
    b->frames = 1 + (int64_t)(b->F - 1) * 4;
    setup.F = b->F;
    setup.H = b->H = (size_t)(b->height / scale);
    setup.W = b->W = (size_t)(b->width / scale);
    if (wanted(b, "text")) r = bench_text(b, NULL, TEXT_TOKENS);
    if (r >= 0 && wanted(b, "step")) r = bench_step(b, &setup, false);
    if (r >= 0 && wanted(b, "vae")) r = bench_vae(b, NULL, tiny ? wan22 ? "taew2_2" : "taew2_1" : wan22 ? "wan2.2" : "wan2.1");
    return r;
}

static sora_result bench_model(struct bench *b, const char *path)
{
    const struct sr_job job = { .o = b->o, .path = path, .log = b->log, .find = sr_find_model };
    struct sr_pipeline *p = NULL;
    struct sr_diffusion *d;
    sora_result r = sr_pipeline_open(&p, &job, b->err);

    if (r < 0) return r;
    d = (struct sr_diffusion *)p;
    {
        const struct sr_model_setup setup = { .path = d->parts.transformer, .F = d->F, .H = d->H, .W = d->W, .prompts = 1,
                                              .window = (size_t)d->sc.window, .sink = (size_t)d->sc.sink,
                                              .lora = d->lora, .lora_scale = d->about.lora_scale, .motion = d->motion };
        b->F = d->F;
        b->H = d->H;
        b->W = d->W;
        b->width = p->gen_w;
        b->height = p->gen_h;
        b->frames = d->stream ? p->info.chunk : 1 + (int64_t)(d->F - 1) * d->vi.scale_t;
        if ((r = sr_check_memory(d, b->err)) < 0) goto done;
        if (wanted(b, "text") && d->parts.text_encoder &&
            (r = bench_text(b, d->parts.text_encoder, SR_MIN(d->mi.text_len, (size_t)TEXT_TOKENS))) < 0) goto done;
        if (wanted(b, "step") && (r = bench_step(b, &setup, d->has_prior)) < 0) goto done;
        if (wanted(b, "vae")) r = bench_vae(b, d->parts.vae, NULL);
    }
done:
    sr_pipeline_close(&p);
    return r;
}

/* ---- The report ---- */

static const char *isa_name(unsigned cpu)
{
    return cpu & SR_CPU_AMX_BF16    ? "amx-bf16" : cpu & SR_CPU_AVX512_BF16 ? "avx512-bf16" : cpu & SR_CPU_AVX512_VNNI ? "avx512-vnni"
           : cpu & SR_CPU_AVX512 ? "avx512" : cpu & SR_CPU_AVX2 ? "avx2" : "c";
}

static void measure_peak(const struct bench *b, double out[3])
{
    static const enum sr_peak what[] = { SR_PEAK_F32, SR_PEAK_BF16, SR_PEAK_INT8 };

    for (int i = 0; i < 3; i++) out[i] = sr_peak_gflops(what[i], ~0u, b->threads, PEAK_SECONDS);
}

static json_t *number_or_null(double v)
{
    return v > 0 ? json_real(v) : json_null();
}

static json_t *peak_report(const double p[3])
{
    return json_pack("{s:o, s:o, s:o}", "f32", number_or_null(p[0]), "bf16", number_or_null(p[1]), "int8", number_or_null(p[2]));
}

/* Share of the better of the two measured peaks: a disturbed one would flatter. */
static json_t *share(const struct bench *b, double seconds, double flop)
{
    const int i = b->precision == SR_BF16;
    const double peak = 1e9 * SR_MAX(b->peak_before[i], b->peak_after[i]);

    return seconds > 0 && flop > 0 && peak > 0 ? json_real(flop / seconds / peak) : json_null();
}

static json_t *kernels_report(const struct bench *b)
{
    static const char *const names[SR_FAMILIES] = { [SR_LINEAR] = "linear", [SR_ATTENTION] = "attention", [SR_CONV] = "conv",
                                                    [SR_ELEMENTWISE] = "elementwise", [SR_REORDER] = "reorder",
                                                    [SR_OTHER] = "other" };
    json_t *k = json_object();
    double known = 0;

    for (int f = 0; f < SR_FAMILIES; f++)
        if (f != SR_OTHER) known += b->profile.seconds[f];
    for (int f = 0; f < SR_FAMILIES; f++) {
        const double s = f == SR_OTHER ? SR_MAX(b->total_s - known, 0) : b->profile.seconds[f];
        json_object_set_new(k, names[f], json_pack("{s:f, s:f, s:o}", "seconds", s, "flop", b->profile.flop[f], "share",
                                                   share(b, s, b->profile.flop[f])));
    }
    return k;
}

static sora_result report(struct bench *b)
{
    struct rusage usage;
    const char *name;
    char cpu[128];
    json_t *stage, *root;

    sr_cpu_name(cpu, sizeof cpu);
    getrusage(RUSAGE_SELF, &usage);
    json_object_foreach(b->stages, name, stage)
        json_object_set_new(stage, "share", share(b, json_number_value(json_object_get(stage, "seconds")),
                                                  json_number_value(json_object_get(stage, "flop"))));
    root = json_pack("{s:s, s:s, s:i, s:o, s:o, s:s, s:s, s:[i, i], s:I, s:O, s:o, s:I}", "cpu", cpu, "isa", isa_name(sr_cpu_flags()),
                     "threads", b->threads, "peak_gflops", peak_report(b->peak_before), "peak_after_gflops",
                     peak_report(b->peak_after), "model", b->o->model, "precision", b->precision == SR_BF16 ? "bf16" : "f32", "size",
                     b->width, b->height, "frames", (json_int_t)b->frames, "stages", b->stages, "kernels", kernels_report(b),
                     "peak_rss_bytes", (json_int_t)usage.ru_maxrss * 1024);
    *b->json = root ? json_dumps(root, JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    return *b->json ? SORA_OK : sr_fail_nomem(b->err, 4096, "report");
}

/* ---- The call ---- */

static sora_result choose(struct bench *b, sora_error *err)
{
    const char *p = b->o->precision;
    const bool bf16 = (sr_cpu_flags() & (SR_CPU_AVX512_BF16 | SR_CPU_AMX_BF16)) != 0;

    b->precision = p && !strcmp(p, "f32") ? SR_F32 : p && !strcmp(p, "bf16") ? SR_BF16 : bf16 ? SR_BF16 : SR_F32;
    b->threads = b->o->threads ? b->o->threads : sr_cpu_cores();
    if (p && !strcmp(p, "int8")) return sr_fail(err, SORA_ERR_UNSUPPORTED, "precision: int8 is not supported; take f32 or bf16");
    if (sr_model_built_in(b->o->model)) return sr_fail(err, SORA_ERR_UNSUPPORTED, "model test: has nothing to measure");
    return SORA_OK;
}

/* In a thread of its own, as a session's work is: the host's never see our settings. */
static void *run(void *arg)
{
    struct bench *b = arg;
    char *path = NULL;
    sora_error not_found = { 0 };
    const bool shape = sr_find_model(&path, b->o->model, &not_found) < 0;

    b->result = choose(b, b->err);
    if (b->result >= 0) b->result = sr_ctx_open(&b->c, b->precision, b->threads, ~0u, &b->log, NULL, b->err);
    if (b->result >= 0) {
        measure_peak(b, b->peak_before);
        b->result = shape ? bench_shape(b, b->o->model) : bench_model(b, path);
    }
    if (b->result >= 0) {
        measure_peak(b, b->peak_after);
        b->result = report(b);
    }
    sr_ctx_close(&b->c);
    sr_free(path);
    return NULL;
}

sora_result sora_bench(const sora_options *o, const char *stage, int runs, char **json, sora_error *err)
{
    sora_error own = { 0 };
    sora_options copy;
    struct bench b = { .o = &copy, .stage = stage, .runs = runs > 0 ? SR_MIN(runs, MAX_RUNS) : 3, .json = json,
                       .err = err ? err : &own };
    pthread_t thread;
    sora_result r;
    int e;

    *json = NULL;
    if (stage && strcmp(stage, "text") && strcmp(stage, "step") && strcmp(stage, "vae"))
        return sr_fail(b.err, SORA_ERR_OPTION, "stage: found \"%s\", wanted one of text|step|vae", stage);
    if ((r = sr_options_copy(&copy, o, b.err)) < 0) return r;
    b.log = (struct sr_log){ copy.log, copy.user };
    if (!(b.stages = json_object())) r = sr_fail_nomem(b.err, 256, "report");
    else if ((e = pthread_create(&thread, NULL, run, &b))) r = sr_fail_errno(b.err, e, "bench", "cannot start a thread");
    if (r >= 0) {
        pthread_join(thread, NULL);
        r = b.result;
    }
    json_decref(b.stages);
    sr_options_free(&copy);
    return r;
}
