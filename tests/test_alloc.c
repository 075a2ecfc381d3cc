/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The n-th allocation fails, and each one after it, for n = 1, 2, 3 ...: SORA_ERR_NOMEM with a message, whatever was being
 * done, nothing leaks (under a sanitizer), and the same call succeeds as soon as there is memory again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/options.h"
#include "models/about.h"
#include "near.h"
#include "ref.h"
#include "text/text.h"
#include "weights/weights.h"

typedef sora_result call_fn(sora_error *err);

/* Each n up to 60, then in growing strides, until there are fewer allocations than that. */
static void fail_each(const char *what, call_fn *call)
{
    unsigned long n = 1, failed = 0;

    for (;; n += n < 60 ? 1 : n / 12) {
        sora_error err = { 0 };
        sora_result r;

        sr_mem_fail_after(n);
        r = call(&err);
        sr_mem_fail_after(0);
        if (r >= 0) break;
        failed++;
        ck_assert_msg(r == SORA_ERR_NOMEM && err.code == r && err.text[0], "%s, allocation %lu: %d, \"%s\"", what, n, r, err.text);
        err = (sora_error){ 0 };
        ck_assert_msg(call(&err) >= 0, "%s, after allocation %lu failed: %s", what, n, err.text);
    }
    ck_assert_msg(failed > 0, "%s allocates nothing that can fail", what);
}

/* ---- Sessions ---- */

static sora_result first_frame(const sora_options *o, sora_error *err)
{
    static float picture[3][64 * 64];
    sora_session *s = NULL;
    sora_frame f;
    sora_result r;

    sora_frame_init(&f);
    for (int p = 0; p < 3; p++) {
        f.data[p] = (uint8_t *)picture[p];
        f.stride[p] = o->width * (ptrdiff_t)sizeof(float);
    }
    if ((r = sora_session_open(&s, o, err)) < 0) {
        ck_assert_ptr_null(s);
        return r;
    }
    if ((r = sora_session_load(s, err)) < 0) goto done;
    if ((r = sora_session_next(s, &f, err)) < 0) goto done;
    if (o->frames == 0) r = sora_session_set_prompt(s, "@0 two @1 three", err);
done:
    sora_session_close(&s);
    return r;
}

static sora_options small(const char *model)
{
    sora_options o;

    sora_options_init(&o);
    o.model = model;
    o.prompt = "a red balloon";
    o.width = o.height = 16;
    o.frames = o.steps = o.threads = 1;
    o.format = SORA_FORMAT_RGBPF32;
    return o;
}

static sora_result test_model(sora_error *err)
{
    sora_options o = small("test");

    o.prompt = "@0 a calm sea @10 a stormy sea";
    o.frames = 0;
    return first_frame(&o, err);
}

START_TEST(test_test_model)
{
    fail_each("model test", test_model);
}
END_TEST

/* The same folder as in test_pipeline.c, made of links. */
static char folder[64];

static void setup(void)
{
    static const struct { const char *from, *to; } links[] = {
        { "clip/transformer", "transformer" }, { "clip/text_encoder", "text_encoder" }, { "clip/scheduler", "scheduler" },
        { "vae_wan21", "vae" }, { "text.model", "spiece.model" },
    };
    char to[100];

    snprintf(folder, sizeof folder, "/tmp/sora-alloc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < SR_COUNT(links); i++) {
        snprintf(to, sizeof to, "%s/%s", folder, links[i].to);
        ck_assert_int_eq(symlink(ref(links[i].from), to), 0);
    }
}

static void teardown(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static sora_result wan(sora_error *err)
{
    const sora_options o = small(folder);

    return first_frame(&o, err);
}

/* Guided, from files and into files. */
static sora_result wan_files(sora_error *err)
{
    static char text[100], latents[100], frames[100];
    sora_options o = small(folder);

    snprintf(text, sizeof text, "%s/text.safetensors", folder);
    snprintf(latents, sizeof latents, "%s/latents.safetensors", folder);
    snprintf(frames, sizeof frames, "%s/frames.safetensors", folder);
    o.width = 48;
    o.height = 32;
    o.frames = 9;
    o.guidance = 3;
    o.sampler = "euler";
    o.negative_prompt = "grey";
    o.noise_file = ref("clip/run.safetensors");
    o.save_text_file = text;
    o.save_latents_file = latents;
    o.save_frames_file = frames;
    unlink(text);                           /* some file systems flush a file that is written over */
    unlink(latents);
    unlink(frames);
    return first_frame(&o, err);
}

START_TEST(test_wan)
{
    fail_each("a small Wan", wan);
}
END_TEST

START_TEST(test_wan_files)
{
    fail_each("a small Wan with files", wan_files);
}
END_TEST

/* ---- Files ---- */

static sora_result weights(const char *path, sora_error *err)
{
    struct sr_weights *w;
    const sora_result r = sr_weights_open(&w, path, err);

    ck_assert(r < 0 ? w == NULL : sr_weights_count(w) > 0);
    sr_weights_close(&w);
    return r;
}

static sora_result safetensors(sora_error *err)
{
    return weights(ref("clip/transformer"), err);
}

static sora_result pth(sora_error *err)
{
    return weights(ref("umt5.pth"), err);
}

static sora_result shards(sora_error *err)
{
    char path[100];

    snprintf(path, sizeof path, "%s/shards", folder);
    return weights(path, err);
}

static sora_result config(sora_error *err)
{
    struct sr_config *c;
    const sora_result r = sr_config_open(&c, ref("clip/transformer/config.json"), err);

    sr_config_close(&c);
    return r;
}

static sora_result tokenize(const char *path, sora_error *err)
{
    struct sr_tokenizer *t;
    int32_t ids[8];
    size_t n, full;
    sora_result r = sr_tokenizer_open(&t, path, err);

    if (r >= 0) r = sr_tokenizer_encode(t, "a red balloon over green hills and so on", ids, SR_COUNT(ids), &n, &full, err);
    sr_tokenizer_close(&t);
    return r;
}

static sora_result tokenizer(sora_error *err)
{
    return tokenize(ref("text.model"), err);
}

static sora_result about(sora_error *err)
{
    static struct sr_about a;

    return sr_about_read(&a, ref("wan-pocket"), err);
}

static void write_shards(void)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof path, "mkdir '%s/shards'", folder);
    ck_assert_int_eq(system(path), 0);
    for (int i = 1; i <= 2; i++) {
        static const float one = 1;
        const char *const names[] = { "a", "b" };
        const struct sr_named t = { names[i - 1], &one, 1, { 1 } };
        snprintf(path, sizeof path, "%s/shards/%d.safetensors", folder, i);
        ck_assert_int_eq(sr_safetensors_write(path, &t, 1, NULL), SORA_OK);
    }
    snprintf(path, sizeof path, "%s/shards/model.safetensors.index.json", folder);
    ck_assert((f = fopen(path, "w")) != NULL);
    fputs("{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}\n", f);
    fclose(f);
}

START_TEST(test_files)
{
    write_shards();
    fail_each("safetensors", safetensors);
    fail_each("shards", shards);
    fail_each("pth", pth);
    fail_each("config", config);
    fail_each("sora.json", about);
    fail_each("tokenizer", tokenizer);
}
END_TEST

/* ---- Words ---- */

static sora_result options(sora_error *err)
{
    sora_options to, o = small("test");
    sora_result r;

    o.negative_prompt = "b";
    o.sampler = "euler";
    o.precision = "f32";
    o.vae = "full";
    o.noise_file = o.text_file = o.save_text_file = o.save_frames_file = "c";
    r = sr_options_copy(&to, &o, err);
    if (r >= 0) sr_options_free(&to);
    return r;
}

static sora_result prompts(sora_error *err)
{
    struct sr_prompts p;
    const sora_result r = sr_prompts_parse(&p, "@0 a @1 b @2 c @3 d @4 e @5 f @6 g @7 h @8 i", err);

    if (r >= 0) sr_prompts_free(&p);
    return r;
}

static sora_result clean(sora_error *err)
{
    char *out = NULL;
    const sora_result r = sr_prompt_clean(&out, "  a &amp;amp; b \xe2\x80\x9c caf\xc3\x83\xc2\xa9 \xef\xac\x81 ", err);

    sr_free(out);
    return r;
}

static sora_result look_up(sora_error *err)
{
    char *path = NULL;
    const sora_result r = sr_find_model(&path, ref("clip"), err);

    sr_free(path);
    return r;
}

static int any(void *user, const char *name, const char *path)
{
    return 0;
}

static sora_result list(sora_error *err)
{
    return sora_models(any, NULL, err);
}

START_TEST(test_words)
{
    fail_each("options", options);
    fail_each("prompts", prompts);
    fail_each("clean", clean);
    fail_each("look-up", look_up);
    setenv("SORA_MODEL_PATH", ref(""), 1);
    fail_each("list of models", list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alloc");
    TCase *bare = tcase_create("bare"), *with_folder = tcase_create("folder");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(bare, test_words);
    tcase_add_test(bare, test_test_model);
    tcase_add_checked_fixture(with_folder, setup, teardown);
    tcase_add_test(with_folder, test_files);
    tcase_add_test(with_folder, test_wan);
    tcase_add_test(with_folder, test_wan_files);
    suite_add_tcase(suite, bare);
    suite_add_tcase(suite, with_folder);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
