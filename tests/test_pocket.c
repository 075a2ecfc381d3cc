/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model that comes with the library: against PyTorch, its chunks, its prompts, and what its sora.json may say. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "film.h"
#include "pocket_folder.h"
#include "ref.h"

#define PROMPT "a red balloon over green hills"

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
    char base[600], path[700];

    ck_assert(mkdtemp(dir) != NULL);
    link_pocket(dir, "sora.json");
    pocket_path(base, "sora.json");
    snprintf(path, sizeof path, "%s/sora.json", dir);
    change_value(base, from, to, path);
}

static void remove_folder(const char *dir)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Three latent frames, the first with guidance, the others with a past, against the PyTorch restatement of the folder. */
static void compare_with_reference(const char *model, const char *prompt, const char *latents)
{
    sora_options o;
    struct film f;
    struct sr_weights *a, *b;
    const float *got, *want;
    size_t n, m;
    char path[] = "/tmp/sora-test-XXXXXX";
    const int fd = mkstemp(path);

    pocket_options(&o);
    o.model = model;
    o.prompt = prompt;
    o.steps = 0;
    o.frames = 9;
    o.precision = "f32";
    o.noise_file = ref("pocket.safetensors");
    o.save_latents_file = path;
    f = must_shoot(&o);
    got = tensor(&a, path, "latents", &n);
    want = tensor(&b, o.noise_file, latents, &m);
    ck_assert_uint_eq(n, m);
    assert_rel_l2(got, want, n, 1e-4);
    sr_weights_close(&a);
    sr_weights_close(&b);
    film_free(&f);
    close(fd);
    unlink(path);
}

/* As it is shipped; with the third frame drawn anew, guided, while it sees the others; and with another prompt for that one. */
START_TEST(test_pocket_reference)
{
    char dir[] = "/tmp/sora-pocket-XXXXXX";

    compare_with_reference("pocket", PROMPT, "latents");
    compare_with_reference("pocket", "@0 " PROMPT " @0.3125 a blue boat on the sea at night", "changed");
    pocket_with(dir, "\"turn_every\": 20", "\"turn_every\": 2");
    compare_with_reference(dir, PROMPT, "turned");
    remove_folder(dir);
}
END_TEST

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

#define RETOUCH "\"retouch_time\": 0.7,"

/* Without this line of sora.json the first frame is the same, bit by bit, and the ninth another one, but no other picture. */
static void changes_later_frames(const char *said, const char *prompt)
{
    const size_t picture = 3 * 128 * 72;
    char dir[] = "/tmp/sora-pocket-XXXXXX";
    sora_options o;
    struct film with, without;
    double e;

    pocket_with(dir, said, "");
    pocket_options(&o);
    o.prompt = prompt;
    o.frames = 9;
    with = must_shoot(&o);
    o.model = dir;
    without = must_shoot(&o);
    ck_assert_mem_eq(with.rgb, without.rgb, picture * sizeof(float));
    e = rel_l2(with.rgb + 8 * picture, without.rgb + 8 * picture, picture);
    ck_assert_msg(e > 0.002 && e < 0.5, "%s changes the ninth frame by %g", said, e);
    film_free(&with);
    film_free(&without);
    remove_folder(dir);
}

/* What goes somewhere is drawn once more. */
START_TEST(test_pocket_retouch)
{
    changes_later_frames(RETOUCH, "a red balloon drifting left over green hills");
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

/* In place of the shipped additions none, or the file of write_additions() as what `key` says; nothing is retouched, which takes both. */
static void pocket_with_additions(char *dir, const char *key)
{
    char with[100] = "", about[100];

    if (key) snprintf(with, sizeof with, "\"%s\": \"more.safetensors\",", key);
    pocket_with(dir, "\"lora\": \"lora-first.safetensors\",\n  \"lora_next\": \"lora.safetensors\",", with);
    snprintf(about, sizeof about, "%s/sora.json", dir);
    change_value(about, RETOUCH, "", about);
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
    changes_later_frames("\"motion\": \"motion.safetensors\",", "hills, camera pans left");
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

#define OWN_INTERVAL "\"guidance_interval\": [0.28, 0.95]"

/* Where no step is within the interval, there is no guidance; where all are, there is more of it. */
START_TEST(test_pocket_interval)
{
    static const char *const change[][2] = {
        { OWN_INTERVAL, OWN_INTERVAL }, { OWN_INTERVAL, "\"guidance_interval\": [0, 1]" },
        { OWN_INTERVAL, "\"guidance_interval\": [0.96, 0.965]" }, { "\"first_guidance\": 2.5", "\"first_guidance\": 1" },
        { "\"guidance_parallel\": 0.8", "\"guidance_parallel\": 1" },
    };
    struct film f[SR_COUNT(change)];
    const size_t size = 3 * 128 * 72 * sizeof(float);
    sora_options o;

    pocket_options(&o);
    o.frames = 1;
    for (size_t i = 0; i < SR_COUNT(change); i++) {
        char dir[] = "/tmp/sora-pocket-XXXXXX";
        pocket_with(dir, change[i][0], change[i][1]);
        o.model = dir;
        f[i] = must_shoot(&o);
        remove_folder(dir);
    }
    ck_assert_mem_ne(f[0].rgb, f[1].rgb, size);
    ck_assert_mem_ne(f[0].rgb, f[2].rgb, size);
    ck_assert_mem_eq(f[2].rgb, f[3].rgb, size);
    ck_assert_mem_ne(f[0].rgb, f[4].rgb, size);
    for (size_t i = 0; i < SR_COUNT(change); i++) film_free(&f[i]);
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
        change_value(about, OWN_INTERVAL, "\"guidance_interval\": [0, 1], \"next_guidance\": 3", about);
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

RUN_TESTS("pocket", test_pocket_reference, test_pocket, test_pocket_samplers, test_pocket_continue, test_pocket_lora,
          test_pocket_retouch, test_pocket_motion, test_pocket_recall, test_pocket_turn, test_pocket_turn_every, test_pocket_interval,
          test_pocket_guidance, test_pocket_cancel)
