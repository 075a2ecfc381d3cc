/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints that torch.save() wrote: tests/ref/pth, see tools/reference/pth.py. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "ref.h"
#include "weights/weights.h"

static void expect_tensor(struct sr_weights *w, const char *name, enum sr_type type, int ndim, const size_t *dim,
                          float first, float step)
{
    const struct sr_weight *t = sr_weights_find(w, name);
    struct sr_param p;
    float *f;

    ck_assert_msg(t != NULL, "no \"%s\"", name);
    ck_assert(t->type == type && t->ndim == ndim);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, ndim, dim, "%s", name), SORA_OK);
    ck_assert_int_eq(sr_param_f32(&f, &p, NULL), SORA_OK);
    for (size_t i = 0; i < t->n; i++) ck_assert_float_eq(f[i], first + step * (float)i);
    sr_free(f);
}

START_TEST(test_nested)
{
    struct sr_weights *w;
    const struct sr_weight *t;
    sora_error err = { 0 };

    ck_assert_msg(sr_weights_open(&w, ref("pth/nested.pth"), &err) == SORA_OK, "%s", err.text);
    ck_assert_uint_eq(sr_weights_count(w), 11);
    expect_tensor(w, "generator_ema.model.head.weight", SR_F32, 2, (size_t[]){ 2, 3 }, 0, 1);
    expect_tensor(w, "generator_ema.model.head.bias", SR_F32, 1, (size_t[]){ 2 }, -1, 1.5f);
    expect_tensor(w, "generator_ema.model.half", SR_F16, 1, (size_t[]){ 4 }, 0, 1);
    expect_tensor(w, "generator_ema.model.bfloat", SR_BF16, 2, (size_t[]){ 5, 1 }, 0, 1);
    expect_tensor(w, "generator_ema.model.slice", SR_F32, 2, (size_t[]){ 2, 6 }, 6, 1);
    expect_tensor(w, "generator_ema.model.whole", SR_F32, 3, (size_t[]){ 2, 3, 4 }, 0, 1);
    expect_tensor(w, "generator_ema.model.empty", SR_F32, 2, (size_t[]){ 0, 3 }, 0, 0);
    expect_tensor(w, "generator.weight", SR_F32, 2, (size_t[]){ 2, 3 }, 0, 1);
    expect_tensor(w, "5.x", SR_F32, 1, (size_t[]){ 2 }, 0, 1);
    t = sr_weights_find(w, "generator_ema.model.scalar");
    ck_assert(t && t->type == SR_S64 && t->ndim == 0 && t->n == 1 && *(const uint8_t *)t->data == 7);
    ck_assert(sr_weights_detect(w, NULL, "head.weight"));
    ck_assert_str_eq(sr_weights_find(w, "head.bias")->name, "generator_ema.model.head.bias");
    ck_assert(sr_weights_detect(w, NULL, "bias"));
    ck_assert_str_eq(sr_weights_find(w, "bias")->name, "generator.bias");
    sr_weights_close(&w);
    ck_assert_int_eq(sr_weights_open(&w, ref("pth/protocol4.pth"), NULL), SORA_OK);
    expect_tensor(w, "weight", SR_F32, 2, (size_t[]){ 2, 3 }, 0, 1);
    sr_weights_close(&w);
    ck_assert_int_eq(sr_weights_open(&w, ref("pth/parameter.pth"), NULL), SORA_OK);
    expect_tensor(w, "a", SR_F32, 1, (size_t[]){ 3 }, 0, 1);
    sr_weights_close(&w);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *file, *message;
        sora_result result;
    } bad[] = {
        { "pth/evil.pth", "holds a posix.system", SORA_ERR_UNSUPPORTED },
        { "pth/single.pth", "no dictionary of tensors", SORA_ERR_MODEL },
        { "pth/empty.pth", "no dictionary of tensors", SORA_ERR_MODEL },
        { "pth/transposed.pth", "tensor \"a\" [6, 4] is not contiguous", SORA_ERR_UNSUPPORTED },
        { "pth/compressed.pth", "compressed", SORA_ERR_UNSUPPORTED },
        { "pth/data-compressed.pth", "data/0\" is compressed", SORA_ERR_UNSUPPORTED },
        { "pth/old.pth", "before version 1.6", SORA_ERR_UNSUPPORTED },
    };

    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        struct sr_weights *w;
        sora_error err = { 0 };
        ck_assert_msg(sr_weights_open(&w, ref(bad[i].file), &err) == bad[i].result, "%s: %s", bad[i].file, err.text);
        ck_assert_msg(w == NULL && strstr(err.text, bad[i].message) && strstr(err.text, bad[i].file), "%s", err.text);
    }
    ck_assert_int_ne(access("/tmp/sora-pth-was-run", F_OK), 0);
}
END_TEST

static uint8_t *load(size_t *size, const char *name)
{
    FILE *f = fopen(ref(name), "rb");
    uint8_t *data = malloc(65536);

    ck_assert(f && data);
    *size = fread(data, 1, 65536, f);
    fclose(f);
    return data;
}

static char copy[64];

static sora_result open_bytes(const uint8_t *data, size_t n, sora_error *err)
{
    FILE *f = (unlink(copy), fopen(copy, "wb"));        /* a new file: writing over one is slow */
    struct sr_weights *w;
    sora_result r;
    volatile uint8_t sum = 0;

    ck_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
    r = sr_weights_open(&w, copy, err);
    ck_assert((w != NULL) == (r == SORA_OK));
    for (size_t i = 0; w && i < sr_weights_count(w); i++) {
        const struct sr_weight *t = sr_weights_at(w, i);
        for (size_t j = 0; j < t->n * sr_type_size(t->type); j++) sum += ((const uint8_t *)t->data)[j];
    }
    sr_weights_close(&w);
    return r;
}

START_TEST(test_cut_anywhere)
{
    size_t size;
    uint8_t *data = load(&size, "pth/nested.pth");

    snprintf(copy, sizeof copy, "/tmp/sora-pth-%ld", (long)getpid());
    for (size_t n = 0; n < size; n++) {
        sora_error err = { 0 };
        ck_assert_msg(open_bytes(data, n, &err) == SORA_ERR_MODEL && strstr(err.text, copy), "cut at %zu: %s", n,
                      err.text);
    }
    unlink(copy);
    free(data);
}
END_TEST

/* Any byte changed: opened or refused by name, and what is opened lies in the file. */
START_TEST(test_any_byte)
{
    size_t size;
    uint8_t *data = load(&size, "pth/protocol4.pth");

    snprintf(copy, sizeof copy, "/tmp/sora-pth-%ld", (long)getpid());
    for (size_t n = 0; n < size; n++) {
        for (size_t k = 0; k < 3; k++) {
            sora_error err = { 0 };
            const uint8_t had = data[n];
            data[n] = (uint8_t)(had ^ "\x01\x80\xff"[k]);
            ck_assert_msg(open_bytes(data, size, &err) == SORA_OK || strstr(err.text, copy), "%s", err.text);
            data[n] = had;
        }
    }
    unlink(copy);
    free(data);
}
END_TEST

START_TEST(test_no_memory)
{
    sora_result r = SORA_ERR_NOMEM;

    for (unsigned long n = 1; r < 0; n++) {
        struct sr_weights *w;
        sr_mem_fail_after(n);
        r = sr_weights_open(&w, ref("pth/nested.pth"), NULL);
        sr_mem_fail_after(0);
        ck_assert_msg(r == SORA_OK || r == SORA_ERR_NOMEM, "allocation %lu: %d", n, r);
        sr_weights_close(&w);
    }
}
END_TEST

RUN_TESTS("pth", test_nested, test_refused, test_cut_anywhere, test_any_byte, test_no_memory)
