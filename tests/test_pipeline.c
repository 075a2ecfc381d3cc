/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole runs: a small Wan against diffusers' WanPipeline, files of every stage, sizes off the grid, faults. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "film.h"
#include "folder.h"

#define PROMPT "a red balloon over green hills"

static void setup(void)
{
    static const char *const links[][2] = { { "clip/transformer", "transformer" },
                                            { "clip/text_encoder", "text_encoder" },
                                            { "clip/scheduler", "scheduler" },
                                            { "vae_wan21", "vae" },
                                            { "text.model", "spiece.model" } };

    folder_make(links, SR_COUNT(links));
}

/* The run that tests/ref/clip/run.safetensors holds. */
static sora_options reference_options(void)
{
    sora_options o;

    sora_options_init(&o);
    o.model = folder;
    o.prompt = PROMPT;
    o.negative_prompt = "blurry, grey";
    o.width = 48;
    o.height = 32;
    o.frames = 9;
    o.steps = 4;
    o.guidance = 3;
    o.precision = "f32";
    o.format = SORA_FORMAT_RGBPF32;
    o.noise_file = ref("clip/run.safetensors");
    return o;
}

/* ---- Running ---- */

/* The message of a run that must fail. */
static void must_fail(const sora_options *o, sora_result want, const char *part)
{
    struct film f;
    sora_error err = { 0 };
    const sora_result r = shoot(&f, o, &err);

    ck_assert_msg(r == want && strstr(err.text, part), "%d \"%s\", wanted %d \"...%s...\"", r, err.text, want, part);
    film_free(&f);
}

/* A tensor of a file of ours against one of the reference. */
static void compare_files(const char *path, const char *name, const char *want_name, double tolerance)
{
    struct sr_weights *a, *b;
    size_t n, m;
    const float *got = tensor(&a, path, name, &n), *want = tensor(&b, ref("clip/run.safetensors"), want_name, &m);

    ck_assert_uint_eq(n, m);
    assert_rel_l2(got, want, n, tolerance);
    sr_weights_close(&a);
    sr_weights_close(&b);
}

/* film [n, 3, h, w] against frames [n, H, W, 3] of the reference, whose left upper part it is. */
static void compare_film(const struct film *f, int W, int H, double tolerance)
{
    struct sr_weights *w;
    size_t n;
    const float *want = tensor(&w, ref("clip/run.safetensors"), "frames", &n);
    double worst = 0;

    for (int i = 0; i < f->n; i++)
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < f->h; y++)
                for (int x = 0; x < f->w; x++)
                    worst = fmax(worst, fabs((double)f->rgb[((i * 3 + c) * f->h + y) * f->w + x] - want[((i * H + y) * W + x) * 3 + c]));
    ck_assert_msg(worst <= tolerance, "frames differ by %g", worst);
    sr_weights_close(&w);
}

/* ---- Against diffusers ---- */

START_TEST(test_reference)
{
    sora_options o = reference_options();
    char text[200], latents[200], frames[200];
    struct film f;

    o.prompt = " a red\tballoon &amp;#111;ver\n green  hills ";         /* cleaned as diffusers does */
    snprintf(text, sizeof text, "%s", in_folder("text.safetensors"));
    snprintf(latents, sizeof latents, "%s", in_folder("latents.safetensors"));
    snprintf(frames, sizeof frames, "%s", in_folder("frames.safetensors"));
    o.save_text_file = text;
    o.save_latents_file = latents;
    o.save_frames_file = frames;
    f = must_shoot(&o);
    ck_assert_int_eq(f.n, 9);
    compare_files(text, "text", "text", 2e-6);
    compare_files(latents, "latents", "latents", 1e-5);
    compare_files(frames, "frames", "frames", 1e-5);
    compare_film(&f, 48, 32, 1e-4);
    film_free(&f);

    /* the files feed a run in their turn */
    o = reference_options();
    o.prompt = NULL;
    o.text_file = text;
    f = must_shoot(&o);
    compare_film(&f, 48, 32, 1e-4);
    film_free(&f);
    sora_options_init(&o);
    o.model = folder;
    o.latents_file = latents;
    o.precision = "f32";
    o.format = SORA_FORMAT_RGBPF32;
    f = must_shoot(&o);
    ck_assert(f.n == 9 && f.w == 48 && f.h == 32);
    compare_film(&f, 48, 32, 1e-4);
    film_free(&f);
}
END_TEST

START_TEST(test_euler)
{
    sora_options o = reference_options();
    char latents[200];
    struct film f;

    snprintf(latents, sizeof latents, "%s", in_folder("latents.safetensors"));
    o.save_latents_file = latents;
    o.sampler = "euler";
    o.shift = 5;
    o.guidance = 1;
    f = must_shoot(&o);
    compare_files(latents, "latents", "latents.euler", 1e-5);
    film_free(&f);
}
END_TEST

/* Off the grid: made on the next larger grid point, cut at the right, the bottom and the end. */
START_TEST(test_cut)
{
    sora_options o = reference_options();
    struct film f;

    o.width = 41;
    o.height = 20;
    o.frames = 6;
    f = must_shoot(&o);
    ck_assert(f.n == 6 && f.w == 41 && f.h == 20);
    compare_film(&f, 48, 32, 1e-4);
    film_free(&f);
}
END_TEST

/* The same bits whatever the number of threads, other bits for another seed. */
START_TEST(test_threads)
{
    sora_options o = reference_options();
    struct film one, two;

    o.noise_file = NULL;
    o.precision = NULL;
    o.threads = 1;
    one = must_shoot(&o);
    o.threads = 3;
    two = must_shoot(&o);
    ck_assert_mem_eq(one.rgb, two.rgb, 9 * 3 * 48 * 32 * sizeof(float));
    film_free(&two);
    o.seed = 1;
    two = must_shoot(&o);
    ck_assert_mem_ne(one.rgb, two.rgb, 9 * 3 * 48 * 32 * sizeof(float));
    film_free(&one);
    film_free(&two);
}
END_TEST

/* ---- Faults ---- */

START_TEST(test_missing)
{
    sora_options o = reference_options();

    unlink(in_folder("spiece.model"));
    must_fail(&o, SORA_ERR_MODEL, "no tokenizer");
    unlink(in_folder("text_encoder"));
    must_fail(&o, SORA_ERR_MODEL, "no tokenizer");
    unlink(in_folder("vae"));
    must_fail(&o, SORA_ERR_MODEL, "no decoder");
    ck_assert_int_eq(symlink(ref("vae_wan22"), in_folder("vae")), 0);
    must_fail(&o, SORA_ERR_MODEL, "of different models");
    unlink(in_folder("transformer"));
    must_fail(&o, SORA_ERR_UNSUPPORTED, folder);
}
END_TEST

static void write_noise(const char *path, size_t F, float value)
{
    static float noise[16 * 4 * 4 * 6];
    const struct sr_named t = { "noise", noise, 4, { 16, F, 4, 6 } };

    for (size_t i = 0; i < SR_COUNT(noise); i++) noise[i] = value;
    ck_assert_int_eq(sr_safetensors_write(path, &t, 1, NULL), SORA_OK);
}

START_TEST(test_bad_files)
{
    sora_options o = reference_options();
    char path[200];

    snprintf(path, sizeof path, "%s", in_folder("noise.safetensors"));
    o.noise_file = path;
    must_fail(&o, SORA_ERR_NOT_FOUND, path);
    write_noise(path, 4, 0);
    must_fail(&o, SORA_ERR_MODEL, "\"noise\" is [16, 4, 4, 6]; wanted: [16, 3, 4, 6]");
    write_noise(path, 3, NAN);
    must_fail(&o, SORA_ERR_INTERNAL, "step 1 of 4 gave numbers that are not finite (NaN)");
    write_noise(path, 3, 0);
    o.sampler = "renoise";
    must_fail(&o, SORA_ERR_MODEL, "no tensor \"renoise.1\"");
    o.sampler = NULL;
    o.text_file = path;
    must_fail(&o, SORA_ERR_MODEL, "no tensor \"text\"");
    o.text_file = NULL;
    o.save_latents_file = "/nonexistent/latents.safetensors";
    must_fail(&o, SORA_ERR_NOT_FOUND, "/nonexistent/latents.safetensors");
    o.save_latents_file = NULL;
    o.precision = "int8";
    must_fail(&o, SORA_ERR_UNSUPPORTED, "precision: int8");
    o.precision = NULL;
    o.frames = 100000;
    must_fail(&o, SORA_ERR_OPTION, "frames: found 100000");
    o.frames = 0;
    must_fail(&o, SORA_ERR_OPTION, "makes whole clips");
}
END_TEST

/* Some allocation fails, early or late: an error with a message, nothing else.  Probing a family cannot say NOMEM. */
START_TEST(test_memory)
{
    sora_options o = reference_options();

    o.frames = 1;
    o.noise_file = NULL;
    o.threads = 1;
    for (unsigned long n = 1;; n += 1 + n / 6) {
        struct film f;
        sora_error err = { 0 };
        sora_result r;
        sr_mem_fail_after(n);
        r = shoot(&f, &o, &err);
        sr_mem_fail_after(0);
        ck_assert_msg(r == SORA_OK || ((r == SORA_ERR_NOMEM || r == SORA_ERR_UNSUPPORTED) && err.text[0]), "allocation %lu: %d %s",
                      n, r, err.text);
        film_free(&f);
        if (r == SORA_OK) break;
    }
}
END_TEST

static void count_warnings(void *user, sora_log_level level, const char *line)
{
    if (level == SORA_LOG_WARNING && strstr(line, "its end is cut off")) ++*(int *)user;
}

START_TEST(test_long_prompt)
{
    static char prompt[8000];
    sora_options o = reference_options();
    int warnings = 0;
    struct film f;

    for (size_t i = 0; i + 9 < sizeof prompt; i += 8) memcpy(prompt + i, "balloon ", 8);
    o.prompt = prompt;
    o.frames = 1;
    o.noise_file = NULL;
    o.log = count_warnings;
    o.user = &warnings;
    f = must_shoot(&o);
    ck_assert_int_eq(warnings, 1);
    film_free(&f);
}
END_TEST

RUN_TESTS_IN("pipeline", setup, folder_remove, test_reference, test_euler, test_cut, test_threads, test_missing, test_bad_files,
             test_memory, test_long_prompt)
