/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole runs: a small Wan against diffusers' WanPipeline, files of every stage, sizes off the grid, faults; pocket. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "weights/weights.h"

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

struct film {
    float *rgb;                     /* [n, 3, h, w] */
    int n, w, h;
};

static void film_free(struct film *f)
{
    free(f->rgb);
    *f = (struct film){ 0 };
}

static sora_result shoot(struct film *f, const sora_options *o, sora_error *err)
{
    sora_session *s = NULL;
    sora_info info;
    sora_result r = sora_session_open(&s, o, err);

    *f = (struct film){ 0 };
    sora_info_init(&info);
    if (r >= 0) {
        sora_session_get_info(s, &info);
        f->w = info.width;
        f->h = info.height;
        f->rgb = malloc((size_t)(info.frames ? info.frames : 1000) * 3 * (size_t)(f->w * f->h) * sizeof(float));
    }
    while (r >= 0) {
        sora_frame frame;
        sora_frame_init(&frame);
        for (int p = 0; p < 3; p++) {
            frame.data[p] = (uint8_t *)(f->rgb + (size_t)(3 * f->n + p) * (size_t)(f->w * f->h));
            frame.stride[p] = f->w * (ptrdiff_t)sizeof(float);
        }
        if ((r = sora_session_next(s, &frame, err)) != SORA_OK) break;
        f->n++;
    }
    sora_session_close(&s);
    return r == SORA_EOS ? SORA_OK : r;
}

static struct film must_shoot(const sora_options *o)
{
    struct film f;
    sora_error err = { 0 };

    ck_assert_msg(shoot(&f, o, &err) == SORA_OK, "%s", err.text);
    return f;
}

/* The message of a run that must fail. */
static void must_fail(const sora_options *o, sora_result want, const char *part)
{
    struct film f;
    sora_error err = { 0 };
    const sora_result r = shoot(&f, o, &err);

    ck_assert_msg(r == want && strstr(err.text, part), "%d \"%s\", wanted %d \"...%s...\"", r, err.text, want, part);
    film_free(&f);
}

static const float *tensor(struct sr_weights **w, const char *path, const char *name, size_t *n)
{
    const struct sr_weight *t;

    ck_assert_int_eq(sr_weights_open(w, path, NULL), SORA_OK);
    ck_assert_ptr_nonnull(t = sr_weights_find(*w, name));
    *n = t->n;
    return t->data;
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

/* ---- The model that comes with the library ---- */

static void pocket_options(sora_options *o)
{
    sora_options_init(o);
    o->model = "pocket";
    o->prompt = PROMPT;
    o->width = 128;
    o->height = 72;
    o->steps = 1;
    o->format = SORA_FORMAT_RGBPF32;
}

/* The first frame with guidance, and two that have a past, against the PyTorch restatement of the shipped folder. */
START_TEST(test_pocket_reference)
{
    sora_options o;
    struct film f;
    struct sr_weights *a, *b;
    const float *got, *want;
    size_t n, m;
    char path[] = "/tmp/sora-test-XXXXXX";
    const int fd = mkstemp(path);

    pocket_options(&o);
    o.steps = 0;
    o.frames = 9;
    o.precision = "f32";
    o.noise_file = ref("pocket.safetensors");
    o.save_latents_file = path;
    f = must_shoot(&o);
    got = tensor(&a, path, "latents", &n);
    want = tensor(&b, o.noise_file, "latents", &m);
    ck_assert_uint_eq(n, m);
    assert_rel_l2(got, want, n, 1e-4);
    sr_weights_close(&a);
    sr_weights_close(&b);
    film_free(&f);
    close(fd);
    unlink(path);
}
END_TEST

/* Length and chunks do not change what the frames are; a change of prompt begins at a chunk and comes in slowly. */
START_TEST(test_pocket)
{
    sora_options o;
    struct film a, b;
    const size_t picture = 3 * 128 * 72;
    double jump, fade;

    pocket_options(&o);
    o.frames = 29;
    a = must_shoot(&o);
    ck_assert(a.n == 29 && a.w == 128 && a.h == 72);
    o.frames = 7;
    b = must_shoot(&o);
    ck_assert_mem_eq(a.rgb, b.rgb, 7 * picture * sizeof(float));
    film_free(&b);

    o.prompt = "@0 " PROMPT " @0.5 a blue boat on the sea at night";      /* frame 8; the chunks are 1, 4, 4 ... */
    o.frames = 29;
    b = must_shoot(&o);
    ck_assert_mem_eq(a.rgb, b.rgb, 9 * picture * sizeof(float));
    ck_assert_mem_ne(a.rgb + 9 * picture, b.rgb + 9 * picture, picture * sizeof(float));
    jump = rel_l2(b.rgb + 9 * picture, b.rgb + 8 * picture, picture);
    fade = rel_l2(b.rgb + 25 * picture, b.rgb + 8 * picture, picture);
    ck_assert_msg(jump < 0.6 * fade, "the first new frame differs by %g, the fifth chunk by %g", jump, fade);
    film_free(&a);
    film_free(&b);
}
END_TEST

/* Two samplers without fresh noise come to nearly the same pictures, in the later chunks too: neither goes on from the chunk before. */
START_TEST(test_pocket_samplers)
{
    sora_options o;
    struct film a, b;
    const size_t n = 3 * 128 * 72;

    pocket_options(&o);
    o.steps = 6;
    o.frames = 13;
    o.sampler = "euler";
    a = must_shoot(&o);
    o.sampler = "unipc";
    b = must_shoot(&o);
    for (int i = 0; i < 13; i++) {
        const double e = rel_l2(b.rgb + (size_t)i * n, a.rgb + (size_t)i * n, n);
        ck_assert_msg(e < 0.15, "frame %d differs by %g", i, e);
    }
    film_free(&a);
    film_free(&b);
}
END_TEST

/* One value of a sora.json in another one, or in the same. */
static void change_value(const char *path, const char *from, const char *to, const char *out)
{
    char *text, *place;
    size_t n;
    FILE *f;

    ck_assert_int_eq(sr_read_file(&text, &n, 1 << 20, path, NULL), SORA_OK);
    ck_assert_msg((place = strstr(text, from)) != NULL, "%s has no %s", path, from);
    ck_assert((f = fopen(out, "w")) != NULL);
    fprintf(f, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
    fclose(f);
    sr_free(text);
}

/* A folder like models/pocket but for one value of its sora.json. */
static void pocket_with(char *dir, const char *from, const char *to)
{
    static const char *const parts[] = { "model_index.json", "lora.safetensors", "motion.safetensors", "scheduler", "text_encoder",
                                         "tokenizer", "transformer", "vae" };
    char base[600], path[700];

    ck_assert(mkdtemp(dir) != NULL);
    for (size_t i = 0; i < SR_COUNT(parts); i++) {
        snprintf(base, sizeof base, "%s/models/pocket/%s", getenv("SRCDIR"), parts[i]);
        snprintf(path, sizeof path, "%s/%s", dir, parts[i]);
        ck_assert_int_eq(symlink(base, path), 0);
    }
    snprintf(base, sizeof base, "%s/models/pocket/sora.json", getenv("SRCDIR"));
    snprintf(path, sizeof path, "%s/sora.json", dir);
    change_value(base, from, to, path);
}

static void remove_folder(const char *dir)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* The stream goes on with its past as it is and other text: no first chunk again, and nothing is faded. */
START_TEST(test_pocket_continue)
{
    char dir[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film a, b;
    const size_t picture = 3 * 128 * 72;
    double change, motion;

    pocket_with(dir, "\"turn\"", "\"continue\"");
    pocket_options(&o);
    o.model = dir;
    o.frames = 17;
    a = must_shoot(&o);
    o.prompt = "@0 " PROMPT " @0.5 a blue boat on the sea at night";      /* frame 9: the chunks are 1, 4, 4 ... */
    b = must_shoot(&o);
    ck_assert_mem_eq(a.rgb, b.rgb, 9 * picture * sizeof(float));
    change = rel_l2(b.rgb + 9 * picture, a.rgb + 9 * picture, picture);
    motion = rel_l2(b.rgb + 9 * picture, b.rgb + 8 * picture, picture);
    ck_assert_msg(change > 0 && motion < 0.3, "the new prompt changes its first frame by %g, which follows the last by %g", change,
                  motion);
    film_free(&a);
    film_free(&b);
    remove_folder(dir);
}
END_TEST

/* In dir: of rank 1, to one layer, `size` times as large as others. */
static void write_additions(const char *dir, float size)
{
    enum { WIDTH = 256 };
    static float down[WIDTH], up[WIDTH];
    const struct sr_named t[] = { { "blocks.0.attn1.to_q.lora_A.weight", down, 2, { 1, WIDTH } },
                                  { "blocks.0.attn1.to_q.lora_B.weight", up, 2, { WIDTH, 1 } } };
    char path[100];

    for (int i = 0; i < WIDTH; i++) down[i] = i % 3 - 1.0f, up[i] = size;
    snprintf(path, sizeof path, "%s/more.safetensors", dir);
    ck_assert_int_eq(sr_safetensors_write(path, t, SR_COUNT(t), NULL), SORA_OK);
}

static struct film shoot_with_additions(const sora_options *o, float size)
{
    write_additions(o->model, size);
    return must_shoot(o);
}

/* In place of the shipped additions none, or the file of write_additions() as what `key` says. */
static void pocket_with_additions(char *dir, const char *key)
{
    char with[100] = "";

    if (key) snprintf(with, sizeof with, "\"%s\": \"more.safetensors\",", key);
    pocket_with(dir, "\"lora_next\": \"lora.safetensors\",", with);
}

/* Additions of nothing: the frames without any; of something: others, from the same noise. As lora_next they leave the first frame
   alone. */
START_TEST(test_pocket_lora)
{
    static const char *const keys[] = { "lora", "lora_next" };
    const size_t picture = 3 * 128 * 72, n = 9 * picture;
    char without[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film plain;

    pocket_with_additions(without, NULL);
    pocket_options(&o);
    o.model = without;
    o.frames = 9;
    plain = must_shoot(&o);
    for (size_t i = 0; i < SR_COUNT(keys); i++) {
        const size_t first = i * picture;
        char dir[] = "/tmp/sora-pocket-XXXXXX";
        struct film none, more;
        double e;

        pocket_with_additions(dir, keys[i]);
        o.model = dir;
        none = shoot_with_additions(&o, 0);
        more = shoot_with_additions(&o, 3);
        ck_assert_mem_eq(none.rgb, plain.rgb, n * sizeof(float));
        ck_assert_mem_eq(more.rgb, plain.rgb, first * sizeof(float));
        e = rel_l2(more.rgb + first, plain.rgb + first, n - first);
        ck_assert_msg(e > 0.0005 && e < 0.5, "%s changes the frames by %g", keys[i], e);
        film_free(&none);
        film_free(&more);
        remove_folder(dir);
    }
    film_free(&plain);
    remove_folder(without);
}
END_TEST

/* The filters of the latent before say nothing of a first frame, and much of the others. */
START_TEST(test_pocket_motion)
{
    const size_t picture = 3 * 128 * 72;
    char dir[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film with, without;
    double e;

    pocket_with(dir, "\"motion\": \"motion.safetensors\",", "");
    pocket_options(&o);
    o.prompt = "hills, camera pans left";
    o.frames = 9;
    with = must_shoot(&o);
    o.model = dir;
    without = must_shoot(&o);
    ck_assert_mem_eq(with.rgb, without.rgb, picture * sizeof(float));
    e = rel_l2(with.rgb + 8 * picture, without.rgb + 8 * picture, picture);
    ck_assert_msg(e > 0.002 && e < 0.5, "the filters change the ninth frame by %g", e);
    film_free(&with);
    film_free(&without);
    remove_folder(dir);
}
END_TEST

/*
 * A model of its own for first chunks draws the first one of a new prompt too, and sees the past through weights of its own.  So what
 * follows the first chunk is the same whatever the additions are, and where they are zeros all of it, as all of the past is seen; the
 * prompts differ in a space.  Where they are not zeros, and the past is later chunks, it is another picture.
 */
START_TEST(test_pocket_recall)
{
    static const char *const prompts[] = { "@0 " PROMPT " @0.0625 a red  balloon over green hills",
                                           "@0 " PROMPT " @0.5 a red  balloon over green hills" };
    const size_t picture = 3 * 128 * 72, first_new[] = { 1, 9 };
    char without[] = "/tmp/sora-pocket-XXXXXX", dir[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;

    pocket_with_additions(without, NULL);
    pocket_with_additions(dir, "lora_next");
    pocket_options(&o);
    o.frames = 13;
    for (size_t i = 0; i < SR_COUNT(prompts); i++) {
        const size_t at = first_new[i] * picture, chunk = 4 * picture;
        struct film plain, none, more;

        o.prompt = prompts[i];
        o.model = without;
        plain = must_shoot(&o);
        o.model = dir;
        none = shoot_with_additions(&o, 0);
        more = shoot_with_additions(&o, 3);
        ck_assert_mem_eq(none.rgb, plain.rgb, 13 * picture * sizeof(float));
        if (i == 0) ck_assert_mem_eq(more.rgb, plain.rgb, (at + chunk) * sizeof(float));
        else ck_assert_mem_ne(more.rgb + at, plain.rgb + at, chunk * sizeof(float));
        film_free(&plain);
        film_free(&none);
        film_free(&more);
    }
    remove_folder(without);
    remove_folder(dir);
}
END_TEST

/* A first frame again, but one that sees the past: other pictures than after a restart; it comes in without a jump. */
START_TEST(test_pocket_turn)
{
    char fresh[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film a, b, c;
    const size_t picture = 3 * 128 * 72;

    pocket_with(fresh, "\"turn\"", "\"restart\"");
    pocket_options(&o);
    o.frames = 29;
    a = must_shoot(&o);
    o.prompt = "@0 " PROMPT " @0.5 a blue boat on the sea at night";
    b = must_shoot(&o);
    ck_assert_mem_eq(a.rgb, b.rgb, 9 * picture * sizeof(float));
    ck_assert(rel_l2(b.rgb + 9 * picture, b.rgb + 8 * picture, picture) < 0.15);
    ck_assert(rel_l2(b.rgb + 28 * picture, a.rgb + 28 * picture, picture) > 0.3);
    o.model = fresh;
    c = must_shoot(&o);
    ck_assert(rel_l2(b.rgb + 28 * picture, c.rgb + 28 * picture, picture) > 0.01);
    film_free(&a);
    film_free(&b);
    film_free(&c);
    remove_folder(fresh);
}
END_TEST

/* Every third frame as a first one: the same until then, and again no jump. */
START_TEST(test_pocket_turn_every)
{
    char dir[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film a, b;
    const size_t picture = 3 * 128 * 72;

    pocket_with(dir, "\"turn_every\": 20", "\"turn_every\": 3");
    pocket_options(&o);
    o.frames = 21;
    a = must_shoot(&o);
    o.model = dir;
    b = must_shoot(&o);
    ck_assert_mem_eq(a.rgb, b.rgb, 9 * picture * sizeof(float));
    ck_assert_mem_ne(a.rgb + 9 * picture, b.rgb + 9 * picture, picture * sizeof(float));
    ck_assert(rel_l2(b.rgb + 9 * picture, b.rgb + 8 * picture, picture) < 0.15);
    film_free(&a);
    film_free(&b);
    remove_folder(dir);
}
END_TEST

/* Guided by the prompt itself, nothing changes, in later chunks only if both sides remember the same past; also where the first chunk
   has a model of its own. */
START_TEST(test_pocket_guidance)
{
    sora_options o;

    pocket_options(&o);
    o.negative_prompt = PROMPT;
    o.frames = 9;
    for (int i = 0; i < 2; i++) {
        char dir[] = "/tmp/sora-pocket-XXXXXX", about[100];
        struct film a, b;

        pocket_with_additions(dir, i == 0 ? NULL : "lora_next");
        snprintf(about, sizeof about, "%s/sora.json", dir);
        o.model = dir;
        a = shoot_with_additions(&o, 3);
        change_value(about, "\"sampler\": {", "\"sampler\": { \"next_guidance\": 3,", about);
        b = must_shoot(&o);
        assert_near(b.rgb, a.rgb, 9 * 3 * 128 * 72, 1e-3);
        film_free(&a);
        film_free(&b);
        remove_folder(dir);
    }
}
END_TEST

struct canceller {
    sora_session *s;
    int after_ms;
    double at_s;
};

static void *cancel_later(void *arg)
{
    struct canceller *c = arg;

    usleep((useconds_t)c->after_ms * 1000);
    c->at_s = sr_now();
    sora_session_cancel(c->s);
    return NULL;
}

START_TEST(test_pocket_cancel)
{
    sora_options o;

    pocket_options(&o);
    o.steps = 0;
    o.frames = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct canceller c = { .after_ms = (int)(sr_rng_u64(3, 0, i) % 900) };
        pthread_t t;
        ck_assert_int_eq(sora_session_open(&c.s, &o, NULL), SORA_OK);
        pthread_create(&t, NULL, cancel_later, &c);
        sora_session_load(c.s, NULL);
        pthread_join(t, NULL);
        sora_session_close(&c.s);
        ck_assert_msg(sr_now() - c.at_s < 5, "after %d ms: close() took %.3f s", c.after_ms, sr_now() - c.at_s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *clip = tcase_create("clip"), *pocket = tcase_create("pocket");
    const TTest *const clip_tests[] = { test_reference, test_euler, test_cut, test_threads, test_missing, test_bad_files, test_memory,
                                        test_long_prompt };
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(clip, setup, folder_remove);
    for (size_t i = 0; i < SR_COUNT(clip_tests); i++) tcase_add_test(clip, clip_tests[i]);
    tcase_add_test(pocket, test_pocket_reference);
    tcase_add_test(pocket, test_pocket);
    tcase_add_test(pocket, test_pocket_samplers);
    tcase_add_test(pocket, test_pocket_continue);
    tcase_add_test(pocket, test_pocket_lora);
    tcase_add_test(pocket, test_pocket_motion);
    tcase_add_test(pocket, test_pocket_recall);
    tcase_add_test(pocket, test_pocket_turn);
    tcase_add_test(pocket, test_pocket_turn_every);
    tcase_add_test(pocket, test_pocket_guidance);
    tcase_add_test(pocket, test_pocket_cancel);
    suite_add_tcase(suite, clip);
    suite_add_tcase(suite, pocket);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
