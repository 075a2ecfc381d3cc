/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/options.h"
#include "near.h"

/* Setting name to value must fail with exactly this message and leave the options as they were. */
static void refuses(const char *name, const char *value, const char *message)
{
    sora_options o, before;
    sora_error err = { 0 };

    sora_options_init(&o);
    before = o;
    ck_assert_int_eq(sora_options_set(&o, name, value, &err), SORA_ERR_OPTION);
    ck_assert_str_eq(err.text, message);
    ck_assert_mem_eq(&o, &before, sizeof o);
}

static void accepts(sora_options *o, const char *name, const char *value)
{
    sora_error err = { 0 };

    ck_assert_msg(sora_options_set(o, name, value, &err) == SORA_OK, "%s=%s: %s", name, value, err.text);
}

START_TEST(test_values)
{
    sora_options o;

    sora_options_init(&o);
    ck_assert(o.frames == -1 && o.seed == 0 && o.size == sizeof o);
    accepts(&o, "size", "512x288");
    ck_assert(o.width == 512 && o.height == 288);
    accepts(&o, "rate", "24000/1001");
    ck_assert(o.rate_num == 24000 && o.rate_den == 1001);
    accepts(&o, "rate", "24.000");
    ck_assert(o.rate_num == 24 && o.rate_den == 1);
    accepts(&o, "rate", "23.976");
    ck_assert(o.rate_num == 2997 && o.rate_den == 125);
    accepts(&o, "frames", "0");
    ck_assert(o.frames == 0);
    accepts(&o, "frames", "");
    ck_assert(o.frames == -1);
    accepts(&o, "seed", "9223372036854775807");
    ck_assert(o.seed == INT64_MAX);
    accepts(&o, "seed", "-1");
    ck_assert(o.seed == -1);
    accepts(&o, "guidance", "5.5");
    accepts(&o, "shift", ".5e1");
    ck_assert(o.guidance == 5.5f && o.shift == 5.0f);
    accepts(&o, "sampler", "unipc");
    accepts(&o, "negative_prompt", "blur");                         /* FFmpeg's spelling */
    ck_assert_str_eq(o.negative_prompt, "blur");
    accepts(&o, "model", "test/steps=2");
    ck_assert_str_eq(o.model, "test/steps=2");
}
END_TEST

START_TEST(test_messages)
{
    refuses("steps", "0", "steps: found \"0\", wanted a whole number from 1 to 1000");
    refuses("steps", "4x", "steps: found \"4x\", wanted a whole number from 1 to 1000");
    refuses("steps", " 4", "steps: found \" 4\", wanted a whole number from 1 to 1000");
    refuses("threads", "-1", "threads: found \"-1\", wanted a whole number from 0 to 1024");
    refuses("seed", "9223372036854775808",
            "seed: found \"9223372036854775808\", wanted a whole number from -1 to 9223372036854775807");
    refuses("seed", "", "seed: found \"\", wanted a whole number from -1 to 9223372036854775807");
    refuses("guidance", "nan", "guidance: found \"nan\", wanted a number from 1 to 100");
    refuses("guidance", "1e999", "guidance: found \"1e999\", wanted a number from 1 to 100");
    refuses("size", "512", "size: found \"512\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384, as 512x288");
    refuses("size", "15x16", "size: found \"15x16\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384, as 512x288");
    refuses("size", "512x288x3", "size: found \"512x288x3\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384, as 512x288");
    refuses("rate", "0", "rate: found \"0\", wanted frames per second from 1/1000 to 1000, as 24 or 24000/1001");
    refuses("rate", "24/0", "rate: found \"24/0\", wanted frames per second from 1/1000 to 1000, as 24 or 24000/1001");
    refuses("rate", "1001", "rate: found \"1001\", wanted frames per second from 1/1000 to 1000, as 24 or 24000/1001");
    refuses("precision", "bf", "precision: found \"bf\", wanted one of auto|f32|bf16|int8");
    refuses("sampler", "euler|unipc", "sampler: found \"euler|unipc\", wanted one of euler|unipc|renoise");
    refuses("promt", "a", "no option \"promt\"; did you mean \"prompt\"?");
    refuses("quality", "a", "no option \"quality\"");
}
END_TEST

/* Every row is complete, and a default that can be typed is accepted. */
START_TEST(test_table)
{
    size_t n = 0;

    for (const sora_option *t = sora_option_table(); t->name; t++, n++) {
        sora_options o;
        ck_assert(t->help && t->help[0] && t->unit && t->def);
        ck_assert((t->type == SORA_OPTION_ENUM) == (t->values != NULL));
        sora_options_init(&o);
        accepts(&o, t->name, t->def);
    }
    ck_assert_uint_eq(n, 15);
}
END_TEST

START_TEST(test_copy)
{
    char model[] = "test";
    sora_options o, c;
    sora_error err = { 0 };

    sora_options_init(&o);
    o.model = model;
    o.prompt = "a";
    ck_assert_int_eq(sr_options_copy(&c, &o, NULL), SORA_OK);
    model[0] = 'x';
    ck_assert_str_eq(c.model, "test");
    sr_options_free(&c);
    o.model = NULL;
    ck_assert_int_eq(sr_options_copy(&c, &o, NULL), SORA_OK);
    ck_assert_str_eq(c.model, "pocket");
    sr_options_free(&c);

    o.size = 0;                                                     /* not initialised */
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_OPTION);
    o.size = offsetof(sora_options, noise_file);                    /* an older caller's struct ends here */
    o.noise_file = (const char *)1;
    ck_assert_int_eq(sr_options_copy(&c, &o, NULL), SORA_OK);
    ck_assert_ptr_null(c.noise_file);
    sr_options_free(&c);

    sora_options_init(&o);
    o.guidance = NAN;
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_OPTION);
    ck_assert_str_eq(err.text, "guidance: found \"nan\", wanted a number from 1 to 100");
    sora_options_init(&o);
    o.width = 512;
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_OPTION);
    ck_assert_str_eq(err.text, "size: found \"512x0\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384, as 512x288");
    sora_options_init(&o);
    o.format = (sora_format)99;
    ck_assert_int_eq(sr_options_copy(&c, &o, NULL), SORA_ERR_OPTION);
}
END_TEST

START_TEST(test_prompt_file)
{
    char name[] = "/tmp/sora-test-XXXXXX";
    const int fd = mkstemp(name);
    sora_options o, c;
    sora_error err = { 0 };

    sora_options_init(&o);
    o.prompt_file = name;
    ck_assert_int_eq(write(fd, "it's: [x]\n\n", 11), 11);
    ck_assert_int_eq(sr_options_copy(&c, &o, NULL), SORA_OK);
    ck_assert_str_eq(c.prompt, "it's: [x]\n");                      /* one newline is dropped, not all */
    sr_options_free(&c);
    o.prompt = "b";
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_OPTION);
    ck_assert_str_eq(err.text, "prompt and prompt-file are both given; give one of them");
    o.prompt = NULL;
    ck_assert_int_eq(write(fd, "", 1), 1);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_OPTION);
    ck_assert_ptr_nonnull(strstr(err.text, "NUL"));
    close(fd);
    unlink(name);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_options_copy(&c, &o, &err), SORA_ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, name));
}
END_TEST

START_TEST(test_schedule)
{
    struct sr_prompts p;
    size_t i;

    ck_assert_int_eq(sr_prompts_parse(&p, "@0 a calm sea\tat dawn  @10.5  mail@x.org @ 3 @20 c", NULL), SORA_OK);
    ck_assert_uint_eq(p.n, 3);
    ck_assert_str_eq(p.list[0].text, "a calm sea\tat dawn");
    ck_assert_str_eq(p.list[1].text, "mail@x.org @ 3");
    ck_assert(p.list[1].at_s == 10.5 && p.list[2].at_s == 20);
    ck_assert_str_eq(sr_prompts_at(&p, 10.49, &i), "a calm sea\tat dawn");
    ck_assert_str_eq(sr_prompts_at(&p, 10.5, &i), "mail@x.org @ 3");
    ck_assert_str_eq(sr_prompts_at(&p, 1e6, &i), "c");
    ck_assert_uint_eq(i, 2);
    sr_prompts_free(&p);

    ck_assert_int_eq(sr_prompts_parse(&p, "  meet @5 pm ", NULL), SORA_OK);      /* no mark in front: one prompt */
    ck_assert_uint_eq(p.n, 1);
    ck_assert_str_eq(p.list[0].text, "meet @5 pm");
    sr_prompts_free(&p);
    ck_assert_int_eq(sr_prompts_parse(&p, "@home in the rain", NULL), SORA_OK);
    ck_assert_uint_eq(p.n, 1);
    sr_prompts_free(&p);
}
END_TEST

START_TEST(test_bad_prompts)
{
    static const struct { const char *text, *message; } bad[] = {
        { "", "prompt: it is empty; say what to show" },
        { " \n", "prompt: it is empty; say what to show" },
        { "@0", "prompt: entry @0 has no text; say what to show from there" },
        { "@0 a @5 @6 b", "prompt: entry @5 has no text; say what to show from there" },
        { "@1 a", "prompt: the schedule begins at @1; begin it with @0" },
        { "@0 a @5 b @5 c", "prompt: entry @5 comes after @5; wanted rising times" },
        { "@0 a @5 b @4.5 c", "prompt: entry @4.5 comes after @5; wanted rising times" },
        { "@0 a @99999999999 b", "prompt: entry @1e+11: wanted at most 1e+09 seconds" },
        { "a\xff", "prompt: byte 2 (0xff) is not UTF-8; convert the text to UTF-8" },
        { "\xc0\xaf", "prompt: byte 1 (0xc0) is not UTF-8; convert the text to UTF-8" },
        { "\xed\xa0\x80", "prompt: byte 1 (0xed) is not UTF-8; convert the text to UTF-8" },
        { "\xf0\x9f\x90", "prompt: byte 1 (0xf0) is not UTF-8; convert the text to UTF-8" },
    };

    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        struct sr_prompts p;
        sora_error err = { 0 };
        ck_assert_int_eq(sr_prompts_parse(&p, bad[i].text, &err), SORA_ERR_OPTION);
        ck_assert_str_eq(err.text, bad[i].message);
        ck_assert(p.n == 0 && p.list == NULL);
    }
}
END_TEST

/* The n-th allocation fails: NOMEM, and nothing is lost. */
START_TEST(test_memory)
{
    sora_options o, c;

    sora_options_init(&o);
    o.prompt = "@0 a @1 b";
    o.model = "test";
    for (unsigned long n = 1;; n++) {
        struct sr_prompts p = { 0 };
        sora_result r;
        sr_mem_fail_after(n);
        if ((r = sr_options_copy(&c, &o, NULL)) == SORA_OK) {
            r = sr_prompts_parse(&p, c.prompt, NULL);
            sr_options_free(&c);
            sr_prompts_free(&p);
        }
        sr_mem_fail_after(0);
        ck_assert(r == SORA_OK || r == SORA_ERR_NOMEM);
        if (r == SORA_OK) break;
    }
}
END_TEST

static int note(void *user, const char *name, const char *path)
{
    char *seen = user;

    snprintf(seen + strlen(seen), 1000 - strlen(seen), "%s=%s ", name, path);
    return 0;
}

static void touch(const char *folder, const char *name)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_ptr_nonnull(f = fopen(path, "w"));
    fclose(f);
}

START_TEST(test_find)
{
    char dir[] = "/tmp/sora-test-XXXXXX", path[200], want[400], seen[1000] = "", *found;
    sora_error err = { 0 };

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "mkdir %s/one", dir);
    ck_assert_int_eq(system(path), 0);
    touch(dir, "one/model_index.json");
    touch(dir, "two.safetensors");
    touch(dir, "notes.txt");
    snprintf(path, sizeof path, "/nonexistent:%s", dir);
    setenv("SORA_MODEL_PATH", path, 1);
    setenv("XDG_DATA_HOME", "/nonexistent", 1);
    setenv("XDG_DATA_DIRS", dir, 1);

    ck_assert_int_eq(sr_find_model(&found, "two", NULL), SORA_OK);
    snprintf(want, sizeof want, "%s/two.safetensors", dir);
    ck_assert_str_eq(found, want);
    sr_free(found);
    ck_assert_int_eq(sr_find_model(&found, dir, NULL), SORA_OK);
    sr_free(found);
    ck_assert_int_eq(sr_find_model(&found, "three", &err), SORA_ERR_NOT_FOUND);
    ck_assert(!found && strstr(err.text, "three") && strstr(err.text, dir) && strstr(err.text, "SORA_MODEL_PATH"));
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_find_model(&found, "/nonexistent/x", &err), SORA_ERR_NOT_FOUND);
    ck_assert_str_eq(err.text, "/nonexistent/x: cannot open the model: No such file or directory");
    ck_assert_int_eq(sora_models(note, seen, NULL), SORA_OK);
    /* an installed libsora's own models may stand between these */
    snprintf(want, sizeof want, "one=%s/one ", dir);
    ck_assert_ptr_nonnull(strstr(seen, want));
    snprintf(want, sizeof want, "two=%s/two.safetensors ", dir);
    ck_assert_ptr_nonnull(strstr(seen, want));
    snprintf(path, sizeof path, "rm -r %s", dir);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

RUN_TESTS("options", test_values, test_messages, test_table, test_copy, test_prompt_file, test_schedule, test_bad_prompts,
          test_memory, test_find)
