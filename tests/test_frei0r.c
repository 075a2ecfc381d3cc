/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frei0r source as a host loads it: what arrives is the library's, and errors can be read in the picture. */
#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <frei0r.h>
#include <sora/sora.h>

#include "../avfilter/frei0r_font.h"

enum { W = 488, H = 80, SCALE = 2, COLUMNS = (W - 2 * FONT_W * SCALE) / (FONT_W * SCALE) };

static struct {
    f0r_instance_t (*construct)(unsigned, unsigned);
    void (*destruct)(f0r_instance_t);
    void (*info)(f0r_plugin_info_t *);
    void (*param)(f0r_param_info_t *, int);
    void (*set)(f0r_instance_t, f0r_param_t, int);
    void (*get)(f0r_instance_t, f0r_param_t, int);
    void (*update)(f0r_instance_t, double, const uint32_t *, uint32_t *);
} f0r;

static void load(void)
{
    char path[4096];
    void *so;

    snprintf(path, sizeof path, "%s/avfilter/.libs/sora.so", getenv("BUILDDIR"));
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(so != NULL, "%s", dlerror());
    *(void **)&f0r.construct = dlsym(so, "f0r_construct");
    *(void **)&f0r.destruct = dlsym(so, "f0r_destruct");
    *(void **)&f0r.info = dlsym(so, "f0r_get_plugin_info");
    *(void **)&f0r.param = dlsym(so, "f0r_get_param_info");
    *(void **)&f0r.set = dlsym(so, "f0r_set_param_value");
    *(void **)&f0r.get = dlsym(so, "f0r_get_param_value");
    *(void **)&f0r.update = dlsym(so, "f0r_update");
    ck_assert(f0r.construct && f0r.destruct && f0r.info && f0r.param && f0r.set && f0r.get && f0r.update);
}

static int index_of(const char *name)
{
    f0r_plugin_info_t p;
    f0r_param_info_t i;

    f0r.info(&p);
    for (int k = 0; k < p.num_params; k++) {
        f0r.param(&i, k);
        if (!strcmp(i.name, name)) return k;
    }
    return -1;
}

static void set(f0r_instance_t f, const char *name, const char *value)
{
    char text[200];
    f0r_param_string s = text;

    snprintf(text, sizeof text, "%s", value);
    f0r.set(f, &s, index_of(name));
    memset(text, 'x', sizeof text);                     /* the plugin must have copied it */
}

/* rgb [H, W, 3]: frame n straight from the library. */
static void expect(uint8_t *rgb, const char *prompt, int n)
{
    sora_options o;
    sora_session *s;
    sora_frame frame;
    sora_error err = { 0 };

    sora_options_init(&o);
    o.prompt = prompt;
    o.model = "test/chunk-frames=1";
    o.width = W;
    o.height = H;
    o.frames = 0;
    o.format = SORA_FORMAT_RGB24;
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s", err.text);
    sora_frame_init(&frame);
    frame.data[0] = rgb;
    frame.stride[0] = 3 * W;
    for (int i = 0; i <= n; i++) ck_assert_int_eq(sora_session_next(s, &frame, &err), SORA_OK);
    sora_session_close(&s);
}

static int same(const uint32_t *rgba, const uint8_t *rgb)
{
    const uint8_t *p = (const uint8_t *)rgba;

    for (size_t i = 0; i < W * H; i++)
        if (memcmp(p + 4 * i, rgb + 3 * i, 3) || p[4 * i + 3] != 255) return 0;
    return 1;
}

/* The character whose glyph stands at column, row (from 0) of the text; 0: none. */
static char read_char(const uint32_t *rgba, int column, int row)
{
    const uint8_t *p = (const uint8_t *)rgba;
    const int x0 = FONT_W * SCALE * (column + 1), y0 = FONT_W * SCALE + FONT_H * SCALE * row;   /* behind the margin */

    for (int c = FONT_FIRST; c <= FONT_LAST; c++) {
        int differ = 0;
        for (int y = 0; y < FONT_H * SCALE; y++)
            for (int x = 0; x < FONT_W * SCALE; x++) {
                const int white = p[4 * ((y0 + y) * W + x0 + x)] == 255;
                differ |= white != (font[c - FONT_FIRST][y / SCALE] >> (FONT_W - 1 - x / SCALE) & 1);
            }
        if (!differ) return (char)c;
    }
    return 0;
}

/* All lines of a picture, joined by a blank. */
static void read_text(char *to, const uint32_t *rgba)
{
    size_t n = 0;

    for (int row = 0; FONT_W * SCALE + FONT_H * SCALE * (row + 1) <= H; row++) {
        for (int column = 0; column < COLUMNS; column++) to[n++] = read_char(rgba, column, row);
        while (n && to[n - 1] == ' ') n--;
        to[n++] = ' ';
    }
    while (n && to[n - 1] == ' ') n--;
    to[n] = 0;
}

static uint32_t out[W * H];
static uint8_t want[W * H * 3];
static char text[1000];

START_TEST(test_info)
{
    f0r_plugin_info_t p;
    f0r_param_info_t i;
    f0r_param_string s = NULL;
    f0r_instance_t f = f0r.construct(W, H);

    f0r.info(&p);
    ck_assert_str_eq(p.name, "sora");
    ck_assert_int_eq(p.plugin_type, F0R_PLUGIN_TYPE_SOURCE);
    ck_assert_int_eq(p.color_model, F0R_COLOR_MODEL_RGBA8888);
    ck_assert_int_eq(index_of("prompt"), 0);
    ck_assert_int_eq(index_of("model"), 1);
    for (const sora_option *o = sora_option_table(); o->name; o++) {
        const int host = !strcmp(o->name, "size") || !strcmp(o->name, "frames");
        ck_assert_msg((index_of(o->name) >= 0) == !host, "%s", o->name);
    }
    for (int k = 0; k < p.num_params; k++) {
        f0r.param(&i, k);
        ck_assert_int_eq(i.type, F0R_PARAM_STRING);
        ck_assert(*i.explanation);
        f0r.get(f, &s, k);
        ck_assert(s != NULL);
    }
    f0r.destruct(f);
    ck_assert(f0r.construct(0, 16) == NULL);
}
END_TEST

START_TEST(test_frames)
{
    f0r_instance_t f = f0r.construct(W, H);

    for (int n = 0; n < 5; n++) {
        set(f, "model", "test/chunk-frames=1");         /* as MLT does: each before every picture */
        set(f, "prompt", "a");
        f0r.update(f, 1e6 * n, NULL, out);              /* whatever the host takes for time */
        expect(want, "a", n);
        ck_assert_msg(same(out, want), "frame %d", n);
    }
    set(f, "seed", "7");                                /* a running session cannot change it: begins anew */
    f0r.update(f, 0, NULL, out);
    ck_assert(!same(out, want));
    f0r.destruct(f);
}
END_TEST

/* The stream goes on where it is, with the new prompt within a few frames: chunks in work keep the old one. */
START_TEST(test_new_prompt)
{
    f0r_instance_t f = f0r.construct(W, H);
    int n = 0, seen = 0;

    set(f, "model", "test/chunk-frames=1");
    set(f, "prompt", "a");
    for (; n < 3; n++) f0r.update(f, 0, NULL, out);
    set(f, "prompt", "b");
    for (; n < 12 && !seen; n++) {
        f0r.update(f, 0, NULL, out);
        expect(want, "b", n);
        seen = same(out, want);
    }
    ck_assert(seen);
    f0r.destruct(f);
}
END_TEST

START_TEST(test_errors)
{
    f0r_instance_t f = f0r.construct(W, H);

    f0r.update(f, 0, NULL, out);
    read_text(text, out);
    ck_assert_str_eq(text, "sora: prompt: none is given; say what to show");
    set(f, "prompt", "a");
    set(f, "model", "test/fail=load");
    f0r.update(f, 0, NULL, out);
    read_text(text, out);
    ck_assert_str_eq(text, "sora: model test: fails to load, as fail=load asks");
    set(f, "model", "test/chunk-frames=1");
    set(f, "steps", "many");
    f0r.update(f, 0, NULL, out);
    read_text(text, out);
    ck_assert_msg(strstr(text, "steps: found \"many\""), "%s", text);
    set(f, "steps", "");                                /* put right: pictures come */
    f0r.update(f, 0, NULL, out);
    expect(want, "a", 0);
    ck_assert(same(out, want));
    f0r.destruct(f);
}
END_TEST

/* A clip ends; hosts go on asking. */
START_TEST(test_clip)
{
    f0r_instance_t f = f0r.construct(W, H);
    uint32_t *last = malloc(sizeof out);

    set(f, "model", "test/streams=0/frames=3");
    set(f, "prompt", "a");
    for (int n = 0; n < 3; n++) f0r.update(f, 0, NULL, last);
    f0r.update(f, 0, NULL, out);
    ck_assert_mem_eq(out, last, sizeof out);
    expect(want, "a", 2);
    ck_assert(same(out, want));
    free(last);
    f0r.destruct(f);
}
END_TEST

static void *one(void *prompt)
{
    uint32_t *picture = malloc(sizeof out);
    f0r_instance_t f = f0r.construct(W, H);

    set(f, "model", "test/chunk-frames=1");
    set(f, "prompt", prompt);
    for (int n = 0; n < 4; n++) f0r.update(f, 0, NULL, picture);
    f0r.destruct(f);
    return picture;
}

START_TEST(test_two_instances)
{
    char *prompts[2] = { "a", "b" };
    pthread_t t[2];
    void *picture;

    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, one, prompts[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], &picture);
        expect(want, prompts[i], 3);
        ck_assert(same(picture, want));
        free(picture);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("frei0r");
    TCase *t = tcase_create("frei0r");
    SRunner *r;
    int failed;

    tcase_add_unchecked_fixture(t, load, NULL);
    tcase_add_test(t, test_info);
    tcase_add_test(t, test_frames);
    tcase_add_test(t, test_new_prompt);
    tcase_add_test(t, test_errors);
    tcase_add_test(t, test_clip);
    tcase_add_test(t, test_two_instances);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
