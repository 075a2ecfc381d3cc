/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long work goes on after a cancel, in each phase of a published shape with random weights: milliseconds from the
 * cancel to the return, everything freed, cancelled at random moments of the phase.
 * bench_cancel [SHAPE [WIDTHxHEIGHT [FRAMES [TRIES]]]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "models/model.h"
#include "text/text.h"
#include "vae/vae.h"

enum { TOKENS = 512, MAX_TRIES = 200 };

struct work {
    const char *shape;
    size_t F, H, W;
    bool wan22;
    struct sr_cancel cancel;
    struct sr_ctx *c;
    struct sr_model *model;
    struct sr_vae *vae;
    float *x, *out;                     /* large enough for latents and pictures */
};

typedef sora_result phase_fn(struct work *w, sora_error *err);

static sora_result load(struct work *w, sora_error *err)
{
    const struct sr_model_setup s = { .shape = w->shape, .seed = 3, .F = w->F, .H = w->H, .W = w->W, .prompts = 1 };
    struct sr_model *m = NULL;
    const sora_result r = sr_model_open(w->c, &m, &s, err);

    sr_model_close(&m);
    return r;
}

static sora_result load_decoder(struct work *w, sora_error *err)
{
    struct sr_vae *v = NULL;
    const sora_result r = sr_vae_open_random(w->c, &v, w->wan22 ? "wan2.2" : "wan2.1", w->H, w->W, 11, err);

    sr_vae_close(&v);
    return r;
}

/* UMT5-XXL, layer after layer: each is packed and then used. */
static sora_result text(struct work *w, sora_error *err)
{
    const struct sr_t5_config k = { .vocab = 256384, .dim = 4096, .heads = 64, .head_dim = 64, .ffn = 10240, .layers = 24,
                                    .buckets = 32, .max_distance = 128, .eps = 1e-6 };
    struct sr_weights *weights = NULL;
    struct sr_t5 *t5 = NULL;
    int32_t ids[TOKENS];
    sora_result r = sr_weights_open_random(&weights, 7, err);

    for (int i = 0; i < TOKENS; i++) ids[i] = i;
    if (r >= 0) r = sr_t5_open(w->c, &t5, &k, weights, err);
    if (r >= 0) r = sr_t5_encode(w->c, t5, ids, TOKENS, w->out, err);
    sr_t5_close(&t5);
    sr_weights_close(&weights);
    return r;
}

static sora_result step(struct work *w, sora_error *err)
{
    static float t[1000];
    const struct sr_model_input in = { .x = w->x, .F = w->F, .t = t };

    for (size_t f = 0; f < w->F; f++) t[f] = 500;
    return sr_model_forward(w->c, w->model, 0, &in, w->out, err);
}

static sora_result decode(struct work *w, sora_error *err)
{
    const size_t frame = (size_t)sr_vae_get_info(w->vae)->channels * w->H * w->W;
    sora_result r = SORA_OK;

    sr_vae_reset(w->vae);
    for (size_t f = 0; f < w->F && r >= 0; f++) r = sr_vae_decode(w->c, w->vae, w->x + f * frame, NULL, err);
    return r;
}

/* ---- Measuring ---- */

struct canceller {
    struct work *w;
    double after_s, at_s;
};

static void *cancel(void *arg)
{
    struct canceller *k = arg;

    usleep((useconds_t)(k->after_s * 1e6));
    k->at_s = sr_now();
    atomic_store(&k->w->cancel.set, true);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* As after opening: a cancel leaves its error and the scratch memory as they were. */
static void begin(struct work *w)
{
    w->c->err = (sora_error){ 0 };
    sr_scratch_release(w->c, 0);
    atomic_store(&w->cancel.set, false);
}

static int measure(struct work *w, const char *name, phase_fn *fn, double at_most_s, int tries)
{
    double took[MAX_TRIES];
    int n = 0;

    for (int i = 0; i < tries; i++) {
        struct canceller k = { w, at_most_s * (double)(sr_rng_u64(17, 0, (uint64_t)i) % 10007) / 10007, 0 };
        sora_error err = { 0 };
        sora_result r;
        double end;
        pthread_t t;

        begin(w);
        pthread_create(&t, NULL, cancel, &k);
        r = fn(w, &err);
        end = sr_now();
        pthread_join(t, NULL);
        if (r < 0 && !sr_cancelled(&w->cancel)) {
            fprintf(stderr, "%s: %s\n", name, err.text);
            return 1;
        }
        if (r < 0 && end > k.at_s) took[n++] = 1e3 * (end - k.at_s);        /* otherwise it was done before */
    }
    if (!n) return printf("%-10s always done before the cancel\n", name) < 0;
    qsort(took, (size_t)n, sizeof *took, by_value);
    printf("%-10s %4d cancels in %.2f s, median %6.1f ms, most %6.1f ms\n", name, n, at_most_s, took[n / 2], took[n - 1]);
    fflush(stdout);
    return 0;
}

static double seconds(struct work *w, phase_fn *fn)
{
    sora_error err = { 0 };
    const double start = sr_now();

    begin(w);
    if (fn(w, &err) < 0) fprintf(stderr, "%s\n", err.text);
    return sr_now() - start;
}

int main(int argc, char **argv)
{
    struct work w = { .shape = argc > 1 ? argv[1] : "wan2.1-1.3b" };
    const int frames = argc > 3 ? atoi(argv[3]) : 17, tries = argc > 4 ? SR_CLAMP(atoi(argv[4]), 1, MAX_TRIES) : 20;
    const struct sr_model_setup s = { .shape = w.shape, .seed = 3, .F = 1 + (size_t)(frames - 1) / 4, .prompts = 1 };
    struct sr_model_setup setup = s;
    sora_error err = { 0 };
    int width = 256, height = 256, bad = 0;
    size_t pixels;

    if (argc > 2 && sscanf(argv[2], "%dx%d", &width, &height) != 2) return 2;
    w.wan22 = !strncmp(w.shape, "wan2.2", 6);
    w.F = setup.F;
    w.H = setup.H = (size_t)(height / (w.wan22 ? 16 : 8));
    w.W = setup.W = (size_t)(width / (w.wan22 ? 16 : 8));
    pixels = (size_t)width * (size_t)height;
    if (sr_ctx_open(&w.c, sr_cpu_flags() & (SR_CPU_AVX512_BF16 | SR_CPU_AMX_BF16) ? SR_BF16 : SR_F32, sr_cpu_cores(), ~0u, NULL,
                    &w.cancel, &err) < 0 ||
        !(w.x = sr_calloc(48 * w.F * w.H * w.W, sizeof(float))) ||
        !(w.out = sr_calloc(SR_MAX(SR_MAX(12 * pixels, 48 * w.F * w.H * w.W), (size_t)TOKENS * 4096), sizeof(float))))
        return 1;
    sr_rng_normal(w.x, 48 * w.F * w.H * w.W, 1, 0, 0);

    bad |= measure(&w, "text", text, 8, tries);
    bad |= measure(&w, "load", load, 0.9 * seconds(&w, load), tries);
    bad |= measure(&w, "load vae", load_decoder, 0.9 * seconds(&w, load_decoder), tries);
    begin(&w);
    if (sr_model_open(w.c, &w.model, &setup, &err) < 0 ||
        sr_vae_open_random(w.c, &w.vae, w.wan22 ? "wan2.2" : "wan2.1", w.H, w.W, 11, &err) < 0 ||
        sr_model_set_text(w.c, w.model, 0, w.out, 1, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    bad |= measure(&w, "step", step, 0.9 * seconds(&w, step), tries);
    bad |= measure(&w, "decode", decode, 0.9 * seconds(&w, decode), tries);
    sr_vae_close(&w.vae);
    sr_model_close(&w.model);
    sr_ctx_close(&w.c);
    sr_free(w.x);
    sr_free(w.out);
    return bad;
}
