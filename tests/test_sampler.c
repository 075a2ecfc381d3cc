/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schedules and samplers against diffusers (tests/ref/schedulers.safetensors), and what they refuse. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"
#include "pipeline/guidance.h"
#include "pipeline/precondition.h"
#include "pipeline/sampler.h"

static struct sr_weights *ref;

static const float *get(size_t *n, const char *fmt, const char *kind, int shift, int steps)
{
    char name[80];
    const struct sr_weight *w;

    snprintf(name, sizeof name, fmt, kind, shift, steps);
    w = sr_weights_find(ref, name);
    ck_assert_msg(w && w->type == SR_F32, "%s is not in the reference file", name);
    if (n) *n = w->n;
    return w->data;
}

/* The same function as in tools/reference/schedulers.py. */
static void network(float *v, const float *x, const float *c, double t, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] = 0.8f * tanhf(x[i] + c[i]) + c[i] * sinf((float)(t / 150));
}

static void run(const struct sr_schedule *s, float *x, const float *c, size_t n)
{
    struct sr_sampler *m;
    float v[64];

    ck_assert_int_eq(sr_sampler_open(&m, s, n, NULL), SORA_OK);
    for (int k = 0; k < s->steps; k++) {
        network(v, x, c, s->t[k], n);
        sr_sampler_step(m, k, x, v, NULL);
    }
    sr_sampler_close(&m);
}

static void compare(const char *kind, enum sr_sampler_kind id, int order, float most)
{
    static const int shifts[] = { 1, 3, 5, 8, 12 }, counts[] = { 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100 };
    static struct sr_schedule s;
    char path[400];
    size_t n, steps;

    snprintf(path, sizeof path, "%s/tests/ref/schedulers.safetensors", getenv("SRCDIR"));
    ck_assert_int_eq(sr_weights_open(&ref, path, NULL), SORA_OK);
    for (size_t i = 0; i < SR_COUNT(shifts) * SR_COUNT(counts); i++) {
        const int shift = shifts[i % SR_COUNT(shifts)], count = counts[i / SR_COUNT(shifts)];
        const float *c = get(&n, "c", "", 0, 0), *noise = get(NULL, "noise", "", 0, 0);
        const float *sigma = get(NULL, "%s.shift%d.steps%d.sigma", kind, shift, count);
        const float *t = get(&steps, "%s.shift%d.steps%d.t", kind, shift, count);
        struct sr_schedule_config k;
        float x[64];

        sr_schedule_config_default(&k, id, shift);
        k.order = order;
        ck_assert_int_eq(sr_schedule_make(&s, &k, count, NULL), SORA_OK);
        ck_assert_uint_eq(steps, (size_t)s.steps);
        ck_assert(n <= SR_COUNT(x) && s.sigma[count] == 0 && s.start == 1);
        assert_near(s.sigma, sigma, steps + 1, 1e-6);
        assert_near(s.t, t, steps, id == SR_UNIPC ? 0 : 1e-3);
        memcpy(x, noise, n * sizeof *x);
        run(&s, x, c, n);
        assert_near(x, get(NULL, "%s.shift%d.steps%d.x", kind, shift, count), n, most);
    }
    sr_weights_close(&ref);
}

START_TEST(test_euler)
{
    compare("euler", SR_EULER, 0, 1e-5f);
}
END_TEST

START_TEST(test_unipc)
{
    compare("unipc1", SR_UNIPC, 1, 1e-3f);
    compare("unipc2", SR_UNIPC, 2, 1e-3f);
}
END_TEST

/* After a reset the multistep rules start again, whatever was before. */
START_TEST(test_reset)
{
    static struct sr_schedule s;
    struct sr_schedule_config k;
    struct sr_sampler *m;
    float x[2][4] = { { 1, -1, 2, 0.5f }, { 1, -1, 2, 0.5f } }, v[4];
    const float c[4] = { 0.1f, 0.2f, -0.3f, 0 };

    sr_schedule_config_default(&k, SR_UNIPC, 3);
    ck_assert_int_eq(sr_schedule_make(&s, &k, 5, NULL), SORA_OK);
    ck_assert_int_eq(sr_sampler_open(&m, &s, 4, NULL), SORA_OK);
    for (int i = 0; i < 2; i++) {
        sr_sampler_reset(m);
        for (int j = 0; j < (i ? 5 : 3); j++) {
            network(v, x[i], c, s.t[j], 4);
            sr_sampler_step(m, j, x[i], v, NULL);
        }
        if (!i) memcpy(x[0], x[1], sizeof x[0]);
    }
    sr_sampler_close(&m);
    run(&s, x[0], c, 4);
    assert_near(x[1], x[0], 4, 0);
}
END_TEST

/* x' = (1 - sigma') x0 + sigma' noise, and the clean estimate at the end. */
START_TEST(test_renoise)
{
    static struct sr_schedule s;
    struct sr_schedule_config k;
    struct sr_sampler *m;
    int steps;
    const float v[2] = { 0.5f, -1 }, noise[2] = { 3, -2 };
    float x[2] = { 1, 2 };

    ck_assert_int_eq(sr_preset_config(&k, &steps, "causal-forcing++", false, NULL), SORA_OK);
    ck_assert_int_eq(sr_schedule_make(&s, &k, 0, NULL), SORA_OK);
    ck_assert_int_eq(s.steps, 2);
    ck_assert_int_eq(sr_sampler_open(&m, &s, 2, NULL), SORA_OK);
    sr_sampler_step(m, 0, x, v, noise);
    assert_near(x, ((float[]){ 0.5f / 6 + 3 * 5 / 6.f, 3 / 6.f - 2 * 5 / 6.f }), 2, 1e-6);
    sr_sampler_step(m, 1, x, v, NULL);
    assert_near(x, ((float[]){ 0.5f / 6 + 2.5f - 2.5f / 6, 0.5f - 10 / 6.f + 5 / 6.f }), 2, 1e-6);
    sr_sampler_close(&m);
}
END_TEST

/* Sigmas 1, 0.75, 0.5, 0.25, 0: fresh noise down to a limit, then straight on. */
START_TEST(test_renoise_until)
{
    static struct sr_schedule s;
    struct sr_schedule_config k;
    struct sr_sampler *m;
    const float v[1] = { 1 }, noise[1] = { -2 };
    float x[1] = { 1 };

    sr_schedule_config_default(&k, SR_RENOISE, 1);
    k.grid = SR_GRID_EVEN;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_OK);
    ck_assert_int_eq(s.renoised, 3);
    k.renoise_until = 0.5;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_OK);
    ck_assert_int_eq(s.renoised, 2);
    k.renoise_until = 1;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_OK);
    ck_assert_int_eq(s.renoised, 0);
    k.renoise_until = 0.6;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_OK);
    ck_assert_int_eq(s.renoised, 1);
    ck_assert_int_eq(sr_sampler_open(&m, &s, 1, NULL), SORA_OK);
    sr_sampler_step(m, 0, x, v, noise);
    assert_near(x, ((float[]){ -1.5f }), 1, 1e-6);
    sr_sampler_step(m, 1, x, v, NULL);
    assert_near(x, ((float[]){ -1.75f }), 1, 1e-6);
    sr_sampler_close(&m);
}
END_TEST

START_TEST(test_presets)
{
    static struct sr_schedule s;
    struct sr_schedule_config k;
    sora_error err = { 0 };
    int steps, count = 0;

    for (const struct sr_preset *p = sr_presets(); p->name; p++, count++) {
        for (int first = 0; first < 2; first++) {
            ck_assert_int_eq(sr_preset_config(&k, &steps, p->name, first, NULL), SORA_OK);
            ck_assert_int_eq(sr_schedule_make(&s, &k, steps, NULL), SORA_OK);
            ck_assert(s.steps == (first && p->n_first ? p->n_first : p->n));
            for (int i = 0; i < s.steps; i++) ck_assert(s.sigma[i] > s.sigma[i + 1] && s.sigma[i] <= 1);
        }
    }
    ck_assert_int_ge(count, 10);
    ck_assert_int_eq(sr_preset_config(&k, &steps, "causal-forcing++", true, NULL), SORA_OK);
    ck_assert(steps == 4 && k.fixed_t[1] == 937.5);
    /* LongLive 2.0 lists what the original code gives for 4 steps */
    ck_assert_int_eq(sr_preset_config(&k, &steps, "longlive2", true, NULL), SORA_OK);
    ck_assert_int_eq(sr_schedule_make(&s, &k, steps, NULL), SORA_OK);
    assert_near(s.t, ((double[]){ 999, 937, 833, 624 }), 4, 0);
    /* rCM: a prefix of the list is a schedule, the noise starts below 1 */
    ck_assert_int_eq(sr_preset_config(&k, &steps, "rcm", false, NULL), SORA_OK);
    ck_assert_int_eq(sr_schedule_make(&s, &k, 2, NULL), SORA_OK);
    ck_assert(s.steps == 2 && fabs(s.start - 80 / 81.0) < 1e-9 && fabs(s.sigma[1] - 0.93378) < 1e-5 && s.sigma[2] == 0);

    ck_assert_int_eq(sr_preset_config(&k, &steps, "nosuch", false, &err), SORA_ERR_OPTION);
    ck_assert(strstr(err.text, "nosuch") && strstr(err.text, "self-forcing"));
}
END_TEST

START_TEST(test_refused)
{
    static struct sr_schedule s;
    struct sr_schedule_config k;
    sora_error err = { 0 };
    int steps;

    sr_schedule_config_default(&k, SR_UNIPC, 3);
    ck_assert_int_eq(sr_schedule_make(&s, &k, SR_MAX_STEPS + 1, NULL), SORA_ERR_OPTION);
    ck_assert_int_eq(sr_schedule_make(&s, &k, -1, NULL), SORA_ERR_OPTION);
    ck_assert_int_eq(sr_schedule_make(&s, &k, 0, NULL), SORA_OK);
    ck_assert_int_eq(s.steps, 50);
    ck_assert_int_eq(sr_schedule_make(&s, &k, SR_MAX_STEPS, NULL), SORA_OK);
    k.shift = NAN;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_ERR_OPTION);
    k.shift = 3, k.order = 3;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 4, NULL), SORA_ERR_OPTION);
    ck_assert_int_eq(sr_preset_config(&k, &steps, "self-forcing", false, NULL), SORA_OK);
    ck_assert_int_eq(sr_schedule_make(&s, &k, 10, &err), SORA_ERR_OPTION);
    ck_assert(strstr(err.text, "10") && strstr(err.text, "4"));
    k.fixed_t[2] = k.fixed_t[1];
    ck_assert_int_eq(sr_schedule_make(&s, &k, 0, NULL), SORA_ERR_MODEL);
    k.fixed_t[2] = NAN;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 0, NULL), SORA_ERR_MODEL);
    k.n_fixed = SR_MAX_STEPS + 1;
    ck_assert_int_eq(sr_schedule_make(&s, &k, 0, NULL), SORA_ERR_MODEL);
}
END_TEST

/* The text as scheduler_config.json of a fresh folder. */
static sora_result read_text(struct sr_schedule_config *k, const char *text, sora_error *err)
{
    char dir[] = "/tmp/sora-sampler-XXXXXX", path[64];
    sora_result r;
    FILE *f;

    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/scheduler", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/scheduler/scheduler_config.json", dir);
    ck_assert((f = fopen(path, "w")) != NULL);
    fputs(text, f);
    fclose(f);
    r = sr_schedule_config_read(k, dir, err);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
    rmdir(dir);
    return r;
}

START_TEST(test_config)
{
    static const char *const bad[][2] = {
        { "\"flow_shift\": 1e9", "flow_shift" },        { "\"solver_order\": 3", "solver_order" },
        { "\"solver_type\": \"bh1\"", "solver_type" },  { "\"thresholding\": true", "thresholding" },
        { "\"use_flow_sigmas\": false", "use_flow" },   { "\"use_karras_sigmas\": true", "use_karras" },
        { "\"num_train_timesteps\": 4", "num_train" },  { "\"prediction_type\": \"epsilon\"", "prediction_type" },
        { "\"shift_terminal\": 0.1", "shift_terminal" }, { "\"_class_name\": \"DDIMScheduler\"", "_class_name" },
    };
    struct sr_schedule_config k;
    char text[400];

    ck_assert_int_eq(read_text(&k, "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, "
                               "\"prediction_type\": \"flow_prediction\", \"flow_shift\": 5.0, \"solver_order\": 1}",
                               NULL), SORA_OK);
    ck_assert(k.kind == SR_UNIPC && k.shift == 5 && k.order == 1 && k.truncate_t && !k.n_fixed);
    ck_assert_int_eq(read_text(&k, "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 8}", NULL),
                     SORA_OK);
    ck_assert(k.kind == SR_EULER && k.shift == 8 && k.shift_twice && !k.truncate_t);
    ck_assert_int_eq(read_text(&k, "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"stochastic_sampling\": "
                               "true}", NULL), SORA_OK);
    ck_assert(k.kind == SR_RENOISE && k.shift == 1);
    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        sora_error err = { 0 };
        snprintf(text, sizeof text, "{%s%s%s%s}", strstr(bad[i][1], "_class") ? "" : "\"_class_name\": "
                 "\"UniPCMultistepScheduler\", ", strstr(bad[i][1], "use_flow") ? "" : "\"use_flow_sigmas\": true, ",
                 strstr(bad[i][1], "prediction") ? "" : "\"prediction_type\": \"flow_prediction\", ", bad[i][0]);
        ck_assert_int_lt(read_text(&k, text, &err), 0);
        ck_assert_msg(strstr(err.text, bad[i][1]) != NULL, "%s: %s", text, err.text);
    }
    ck_assert_int_eq(sr_schedule_config_read(&k, "/nonexistent", NULL), SORA_ERR_NOT_FOUND);
}
END_TEST

/* The velocity against the estimate of x0 as the model's README has it, at the ends of time too. */
START_TEST(test_precondition)
{
    const struct sr_precondition p = { .C = 2, .first = { 2.5, 0.3 }, .next = { 0.2, 0.7 } };
    const float x[4] = { 1, -2, 0.5f, 3 }, o[4] = { 0.3f, -1, 2, 0.1f }, mu[4] = { 0.9f, -2.2f, 0, 2 };
    static const double times[] = { 1, 0.8, 0.5, 0.04, 1e-3, 1e-9 };

    for (size_t i = 0; i < SR_COUNT(times); i++) {
        for (int later = 0; later < 2; later++) {
            const double t = times[i];
            float v[4];

            memcpy(v, o, sizeof v);
            sr_precondition_velocity(&p, v, x, later ? mu : NULL, t, 2);
            for (int k = 0; k < 4; k++) {
                const double s = later ? p.next[k / 2] : p.first[k / 2], m = later ? mu[k] : 0;
                const double q = (1 - t) * (1 - t) * s * s + t * t, a = (1 - t) * s * s / q, b = t * s / sqrt(q);
                const double x0 = m + a * (x[k] - (1 - t) * m) + b * o[k];
                ck_assert_double_eq_tol(x[k] - t * v[k], x0, 1e-6 * (1 + fabs(x0)));
                ck_assert(fabs(v[k]) < 100);
            }
        }
    }
}
END_TEST

START_TEST(test_stand_still)
{
    static const double still[4] = { 1, 0.5, 0, 0 }, bias[2] = { 0.25, -1 };
    struct sr_precondition p = { .C = 2 };
    float x[6] = { 1, 2, 3, 4, 6, 8 };

    sr_precondition_stand_still(&p, x, 3);
    ck_assert(x[2] == 3 && x[3] == 4);
    p.still = still;
    p.still_bias = bias;
    sr_precondition_stand_still(&p, x, 3);
    assert_near(x, ((float[]){ 3.25f, 5.25f, 7.25f, -1, -1, -1 }), 6, 1e-6);
}
END_TEST

/*
 * Two frames of 2x4: a patch that changes less than the error stays, one that changes more comes nearly as far as it was to, and
 * later goes as far as it does then, where it changes less.
 */
START_TEST(test_settle)
{
    const struct sr_precondition p = { .C = 2, .next = { 0.5, 2 } };
    float mu[32], x[32], most[4] = { 0 };

    for (int i = 0; i < 32; i++) {
        const int ch = i / 16, f = i / 8 % 2, right = i % 4 / 2;
        mu[i] = (float)i;
        x[i] = (float)i + (f == right ? 0.1f : -1) * (ch ? 2 : 0.5f);
    }
    sr_precondition_settle(&p, x, mu, 0.04, most, 2, 2, 4);
    for (int i = 0; i < 32; i++) {
        const int ch = i / 16, f = i / 8 % 2, right = i % 4 / 2;
        const float want = (float)i + (f == right ? 0 : -0.96f * (ch ? 2 : 0.5f));
        ck_assert_msg(fabsf(x[i] - want) < 1e-5, "%d: %g, wanted %g", i, x[i], want);
        x[i] = mu[i] + 0.1f * (ch ? 2 : 0.5f);
    }
    sr_precondition_settle(&p, x, mu, 0.04, most, 2, 2, 4);
    for (int i = 0; i < 32; i++) {
        const int ch = i / 16, f = i / 8 % 2, right = i % 4 / 2;
        ck_assert(fabsf(x[i] - mu[i] - (f == right ? 0 : 0.096f * (ch ? 2 : 0.5f))) < 1e-5);
    }
}
END_TEST

/* Two frames of 3 x 4 patches, one of which has changed in the first: it and those around it take their share, the others stay. */
START_TEST(test_retouch)
{
    const struct sr_precondition p = { .C = 2 };
    float from[192], x[192], most[24] = { [1] = 8, [23] = 2 };

    for (int i = 0; i < 192; i++) from[i] = (float)i, x[i] = (float)i + 1;
    sr_precondition_retouch(&p, x, from, 2, most, 2, 6, 8);
    for (int i = 0; i < 192; i++) {
        const int row = i / 8 % 6, column = i % 8;
        const bool around = i % 96 < 48 && row < 4 && column < 6;
        ck_assert_msg(fabsf(x[i] - from[i] - (around ? 0.75f : 0)) < 1e-5, "%d: %g, was %g", i, x[i], from[i]);
    }
}
END_TEST

/* Against diffusers: with none, half and all of the difference's part along the estimate; and with one channel's unit for both. */
START_TEST(test_guide)
{
    char path[400];
    float v[64], off[64];

    snprintf(path, sizeof path, "%s/tests/ref/schedulers.safetensors", getenv("SRCDIR"));
    ck_assert_int_eq(sr_weights_open(&ref, path, NULL), SORA_OK);
    for (int quarters = 0; quarters <= 4; quarters += 2) {
        size_t n;
        const float *x = get(&n, "guide.x", "", 0, 0), *from = get(NULL, "guide.v", "", 0, 0);
        const float *u = get(NULL, "guide.u", "", 0, 0), *s = get(NULL, "guide.spread", "", 0, 0);
        const float *want = get(NULL, "guide.quarters%s%d", "", quarters, 0);
        const double spread[2] = { s[0], s[1] };

        ck_assert_uint_eq(n, 48);
        memcpy(v, from, n * sizeof *v);
        memcpy(off, from, n * sizeof *off);
        sr_guide(v, u, x, spread, 2, n / 2, 0.6, 3, quarters / 4.0);
        sr_guide(off, u, x, NULL, 2, n / 2, 0.6, 3, quarters / 4.0);
        assert_rel_l2(v, want, n, 1e-6);
        ck_assert((rel_l2(off, want, n) < 1e-6) == (quarters == 4));
    }
    sr_weights_close(&ref);
}
END_TEST

/* Where the estimate is nothing, nothing points along it. */
START_TEST(test_guide_nothing)
{
    float v[2] = { 2, 4 };

    sr_guide(v, (float[]){ 1, 1 }, (float[]){ 1, 2 }, NULL, 1, 2, 0.5, 2, 0);
    assert_near(v, ((float[]){ 3, 7 }), 2, 1e-6);
}
END_TEST

RUN_TESTS("sampler", test_euler, test_unipc, test_reset, test_renoise, test_renoise_until, test_presets, test_refused, test_config,
          test_precondition, test_stand_still, test_settle, test_retouch, test_guide, test_guide_nothing)
