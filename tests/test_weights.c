/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"
#include "weights/weights.h"

static char folder[64], cmd[128];

static void setup(void)
{
    strcpy(folder, "/tmp/sora-weights-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
}

static void teardown(void)
{
    ck_assert_int_eq(system(cmd), 0);
}

static const char *in(const char *name)
{
    static char path[4][128];
    static int k;

    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
    return path[k];
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in(name), "w");

    ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const float numbers[24] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

static void write_one(const char *file, const char *a, const char *b)
{
    const struct sr_named t[] = { { a, numbers, 2, { 2, 3 } }, { b, numbers + 6, 1, { 4 } } };

    ck_assert_int_eq(sr_safetensors_write(in(file), t, b ? 2 : 1, NULL), SORA_OK);
}

START_TEST(test_get)
{
    static const size_t d23[] = { 2, 3 }, d32[] = { 3, 2 }, d4[] = { 4 };
    struct sr_weights *w;
    struct sr_param p;
    sora_error err = { 0 };

    setup();
    write_one("x.safetensors", "blocks.3.w", "blocks.3.b");
    ck_assert_int_eq(sr_weights_open(&w, in("x.safetensors"), NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 2, d23, "blocks.%d.w", 3), SORA_OK);
    ck_assert(p.type == SR_F32 && p.n == 6 && !p.seed && ((const float *)p.data)[5] == 5);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, d4, "blocks.%d.%s", 3, "b"), SORA_OK);
    ck_assert(p.n == 4 && ((const float *)p.data)[0] == 6);
    ck_assert_int_eq(sr_weights_get(w, &p, &err, 2, d32, "blocks.3.w"), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text,
                         "x.safetensors: tensor \"blocks.3.w\" has the shape [2, 3]; wanted: [3, 2]") != NULL, "%s",
                  err.text);
    ck_assert_ptr_null(p.data);
    err.code = 0;
    ck_assert_int_eq(sr_weights_get(w, &p, &err, 1, d4, "blocks.4.b"), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "x.safetensors: no tensor \"blocks.4.b\"; wanted: [4]") != NULL, "%s", err.text);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, (size_t[]){ SIZE_MAX }, "blocks.3.b"), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, d4, "%0600d", 1), SORA_ERR_MODEL);
    sr_weights_forget(w, "blocks.3.b");
    sr_weights_forget(w, "absent");
    sr_weights_forget(w, NULL);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, d4, "blocks.3.b"), SORA_OK);    /* comes back from the file */
    ck_assert(((const float *)p.data)[3] == 9);
    sr_weights_close(&w);
    teardown();
}
END_TEST

START_TEST(test_types)
{
    static const char *const types[] = { "F32", "F16", "BF16", "F64", "I8", "F8_E4M3" };
    static const size_t sizes[] = { 4, 2, 2, 8, 1, 1 };

    setup();
    for (size_t i = 0; i < SR_COUNT(types); i++) {
        struct sr_weights *w;
        struct sr_param p;
        sora_error err = { 0 };
        char header[200] = { 0 };
        FILE *f = fopen(in("x"), "wb");
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}", types[i],
                 sizes[i]);
        fwrite((uint8_t[8]){ (uint8_t)strlen(header) }, 1, 8, f);
        fwrite(header, 1, strlen(header) + sizes[i], f);
        fclose(f);
        ck_assert_int_eq(sr_weights_open(&w, in("x"), NULL), SORA_OK);
        ck_assert_int_eq(sr_weights_get(w, &p, &err, 1, (size_t[]){ 1 }, "x"), i < 3 ? SORA_OK : SORA_ERR_UNSUPPORTED);
        ck_assert(i < 3 || (strstr(err.text, types[i]) && strstr(err.text, "wanted: F32, F16 or BF16")));
        sr_weights_close(&w);
    }
    teardown();
}
END_TEST

/* A header whose length is odd puts floats at odd addresses. */
START_TEST(test_askew)
{
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    struct sr_weights *w;
    struct sr_param p;
    float *v;

    setup();
    FILE *f = fopen(in("x"), "wb");
    fwrite((uint8_t[8]){ sizeof header | 1 }, 1, 8, f);
    fprintf(f, "%-*s", (int)(sizeof header | 1), header);
    fwrite(numbers + 1, 4, 3, f);
    fclose(f);
    ck_assert_int_eq(sr_weights_open(&w, in("x"), NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, (size_t[]){ 3 }, "x"), SORA_OK);
    ck_assert_uint_ne((uintptr_t)p.data % 4, 0);
    ck_assert_int_eq(sr_param_f32(&v, &p, NULL), SORA_OK);
    assert_near(v, numbers + 1, 3, 0);
    sr_free(v);
    sr_weights_close(&w);
    teardown();
}
END_TEST

static bool rename_block(char *out, size_t size, const char *name)
{
    if (strcmp(name, "attn1.to_q")) return false;
    snprintf(out, size, "self_attn.q");
    return true;
}

START_TEST(test_rename)
{
    struct sr_weights *w;

    setup();
    write_one("x", "generator_ema.model.self_attn.q", "generator_ema.model.head");
    ck_assert_int_eq(sr_weights_open(&w, in("x"), NULL), SORA_OK);
    ck_assert_ptr_null(sr_weights_find(w, "head"));
    ck_assert(!sr_weights_detect(w, rename_block, "attn2.to_q"));
    ck_assert_ptr_nonnull(sr_weights_find(w, "generator_ema.model.head"));      /* nothing has changed */
    ck_assert(sr_weights_detect(w, rename_block, "attn1.to_q"));
    ck_assert_str_eq(sr_weights_find(w, "attn1.to_q")->name, "generator_ema.model.self_attn.q");
    ck_assert_str_eq(sr_weights_find(w, "head")->name, "generator_ema.model.head");
    sr_weights_rename(w, NULL, "generator_ema.");
    ck_assert_ptr_nonnull(sr_weights_find(w, "model.head"));
    ck_assert(!sr_weights_detect(w, NULL, "nothing"));
    ck_assert_ptr_nonnull(sr_weights_find(w, "model.head"));
    sr_weights_rename(w, NULL, NULL);
    ck_assert_ptr_nonnull(sr_weights_find(w, "generator_ema.model.head"));
    sr_weights_close(&w);
    teardown();
}
END_TEST

static void expect_open(const char *name, sora_result result, const char *message)
{
    struct sr_weights *w;
    sora_error err = { 0 };

    ck_assert_msg(sr_weights_open(&w, in(name), &err) == result, "%s: %d %s", name, err.code, err.text);
    ck_assert_msg(!message || strstr(err.text, message), "%s", err.text);
    ck_assert((w != NULL) == (result == SORA_OK));
    sr_weights_close(&w);
}

START_TEST(test_folders)
{
    struct sr_weights *w;

    setup();
    expect_open("", SORA_ERR_NOT_FOUND, "no weights in this folder");
    write_one("odd.safetensors", "odd", NULL);
    expect_open("", SORA_OK, NULL);
    write_one("even.safetensors", "even", NULL);
    expect_open("", SORA_ERR_MODEL, "several weight files");
    write_one("model.safetensors", "m", NULL);
    ck_assert_int_eq(sr_weights_open(&w, folder, NULL), SORA_OK);
    ck_assert_ptr_nonnull(sr_weights_find(w, "m"));
    sr_weights_close(&w);
    write_one("diffusion_pytorch_model.safetensors", "d", NULL);
    ck_assert_int_eq(sr_weights_open(&w, folder, NULL), SORA_OK);
    ck_assert_ptr_nonnull(sr_weights_find(w, "d"));
    sr_weights_close(&w);
    teardown();
    expect_open("", SORA_ERR_NOT_FOUND, "cannot open");
}
END_TEST

START_TEST(test_shards)
{
    struct sr_weights *w;
    const char *index = "model.safetensors.index.json";

    setup();
    write_one("model-1.safetensors", "a", "b");
    write_one("model-2.safetensors", "c", "d");
    put(index,
        "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"a\":\"model-1.safetensors\",\"d\":\"model-2.safetensors\","
               "\"b\":\"model-1.safetensors\",\"c\":\"model-2.safetensors\"}}");
    ck_assert_int_eq(sr_weights_open(&w, folder, NULL), SORA_OK);
    ck_assert_uint_eq(sr_weights_count(w), 4);
    ck_assert(((const float *)sr_weights_find(w, "d")->data)[3] == 9);
    sr_weights_forget(w, "d");
    sr_weights_forget(w, NULL);
    ck_assert(((const float *)sr_weights_find(w, "d")->data)[3] == 9);
    sr_weights_close(&w);
    expect_open(index, SORA_OK, NULL);

    put(index, "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"x\":\"model-2.safetensors\"}}");
    expect_open("", SORA_ERR_MODEL, "\"x\" is not in \"model-2.safetensors\"");
    put(index, "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"x\":\"model-3.safetensors\"}}");
    expect_open("", SORA_ERR_NOT_FOUND, "model-3.safetensors");
    write_one("model-3.safetensors", "a", "x");
    expect_open("", SORA_ERR_MODEL, "\"a\" is there twice");
    put("model-3.safetensors", "not weights at all");
    expect_open("", SORA_ERR_MODEL, "model-3.safetensors: not a safetensors file");
    put(index, "{\"weight_map\":{\"a\":\"../model-1.safetensors\"}}");
    expect_open("", SORA_ERR_MODEL, "\"../model-1.safetensors\", which is not a plain file name");
    put(index, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}");
    expect_open("", SORA_ERR_MODEL, "\"/etc/passwd\"");
    put(index, "{\"weight_map\":{\"a\":\"..\"}}");
    expect_open("", SORA_ERR_MODEL, "plain file name");
    put(index, "{\"weight_map\":{\"a\":\"\"}}");
    expect_open("", SORA_ERR_MODEL, "plain file name");
    put(index, "{\"weight_map\":{\"a\":3}}");
    expect_open("", SORA_ERR_MODEL, "plain file name");
    put(index, "{\"weight_map\":{}}");
    expect_open("", SORA_ERR_MODEL, "no weight_map");
    put(index, "[");
    expect_open("", SORA_ERR_MODEL, "line 1");
    teardown();
}
END_TEST

/* The first failure stays, and nothing is done after it. */
START_TEST(test_loader)
{
    struct sr_cancel cancel = { false };
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_linear *linear;
    sora_error err = { 0 };
    float *v;

    setup();
    write_one("x", "blocks.0.q.weight", "blocks.0.norm");
    ck_assert_int_eq(sr_weights_open(&w, in("x"), NULL), SORA_OK);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, &cancel, NULL), SORA_OK);
    struct sr_loader l = { .c = c, .w = w, .err = &err, .prefix = "blocks.0." };
    v = sr_load_vec(&l, 4, "norm");
    ck_assert(v && v[3] == 9);
    linear = sr_load_linear(&l, 2, 3, false, false, "q");
    ck_assert(linear && l.result == SORA_OK);
    sr_linear_close(&linear);
    sr_free(v);
    ck_assert_ptr_null(sr_load_linear(&l, 2, 3, true, false, "q"));
    ck_assert_int_eq(l.result, SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "no tensor \"blocks.0.q.bias\"; wanted: [2]") != NULL, "%s", err.text);
    ck_assert_ptr_null(sr_load_vec(&l, 4, "norm"));
    l.result = SORA_OK;
    err.code = SORA_OK;
    atomic_store(&cancel.set, true);
    ck_assert_ptr_null(sr_load_vec(&l, 4, "norm"));
    ck_assert(l.result == SORA_ERR_CANCELLED && err.code == SORA_ERR_CANCELLED);
    sr_ctx_close(&c);
    sr_weights_close(&w);
    teardown();
}
END_TEST

START_TEST(test_random)
{
    static const size_t d[] = { 8, 16, 1, 2, 2 };
    struct sr_weights *w;
    struct sr_param a, b;

    ck_assert_int_eq(sr_weights_open_random(&w, 7, NULL), SORA_OK);
    ck_assert(sr_weights_random(w) && sr_weights_find(w, "x") == NULL && sr_weights_count(w) == 0);
    ck_assert_int_eq(sr_weights_get(w, &a, NULL, 5, d, "conv.weight"), SORA_OK);
    ck_assert(!a.data && a.seed && a.n == 512 && a.scale == 0.125f);
    ck_assert_int_eq(sr_weights_get(w, &b, NULL, 5, d, "conv.weight"), SORA_OK);
    ck_assert(b.seed == a.seed);
    ck_assert_int_eq(sr_weights_get(w, &b, NULL, 1, d, "conv.bias"), SORA_OK);
    ck_assert(b.seed != a.seed && b.scale == 1);
    ck_assert_int_eq(sr_weights_get(w, &b, NULL, 2, (size_t[]){ SIZE_MAX, SIZE_MAX }, "x"), SORA_ERR_MODEL);
    sr_weights_forget(w, "conv.bias");
    sr_weights_close(&w);
}
END_TEST

/* Each allocation fails once. */
START_TEST(test_no_memory)
{
    sora_result r = SORA_ERR_NOMEM;

    setup();
    write_one("model-1.safetensors", "a", "b");
    write_one("model-2.safetensors", "c", "d");
    put("model.safetensors.index.json",
        "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"d\":\"model-2.safetensors\"}}");
    for (unsigned long n = 1; r < 0; n++) {
        struct sr_weights *w;
        sr_mem_fail_after(n);
        r = sr_weights_open(&w, folder, NULL);
        sr_mem_fail_after(0);
        ck_assert(r == SORA_OK || r == SORA_ERR_NOMEM);
        sr_weights_close(&w);
    }
    teardown();
}
END_TEST

RUN_TESTS("weights", test_get, test_types, test_askew, test_rename, test_folders, test_shards, test_loader, test_random,
          test_no_memory)
