/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "weights/weights.h"

static char path[64];

static void setup(void)
{
    const int fd = (snprintf(path, sizeof path, "/tmp/sora-st-XXXXXX"), mkstemp(path));
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void write_file(const void *data, size_t n)
{
    FILE *f = (unlink(path), fopen(path, "wb"));        /* a new file: writing over one is slow */

    ck_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

/* A file with this header and `bytes` of data: 0, 1, 2 ... */
static size_t make_file(uint8_t *out, const char *header, size_t bytes)
{
    const size_t n = strlen(header);

    for (int i = 0; i < 8; i++) out[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < bytes; i++) out[8 + n + i] = (uint8_t)i;
    return 8 + n + bytes;
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b.weight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                           "\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[20,28]},"
                           "\"none\":{\"dtype\":\"F16\",\"shape\":[4,0],\"data_offsets\":[28,28]}}  ";

START_TEST(test_good)
{
    uint8_t file[1000];
    struct sr_weights *w;
    const struct sr_weight *t;

    setup();
    write_file(file, make_file(file, good, 28));
    ck_assert_int_eq(sr_weights_open(&w, path, NULL), SORA_OK);
    ck_assert_uint_eq(sr_weights_count(w), 4);
    ck_assert_str_eq(sr_weights_at(w, 0)->name, "a");
    ck_assert_ptr_null(sr_weights_at(w, 4));
    ck_assert_str_eq(sr_weights_meta(w, "format"), "pt");
    ck_assert_ptr_null(sr_weights_meta(w, "no"));
    ck_assert_uint_eq(sr_weights_bytes(w), 28);
    ck_assert_str_eq(sr_weights_path(w), path);
    t = sr_weights_find(w, "b.weight");
    ck_assert(t && t->type == SR_BF16 && t->ndim == 2 && t->dim[0] == 2 && t->dim[1] == 3 && t->n == 6);
    ck_assert_uint_eq(*(const uint8_t *)t->data, 8);
    t = sr_weights_find(w, "scalar");
    ck_assert(t && t->ndim == 0 && t->n == 1);
    t = sr_weights_find(w, "none");
    ck_assert(t && t->n == 0);
    ck_assert_ptr_null(sr_weights_find(w, "b"));
    sr_weights_close(&w);
    ck_assert_ptr_null(w);
    sr_weights_close(&w);
    unlink(path);
}
END_TEST

/* Cut at any byte, a file is refused by name. */
START_TEST(test_cut_anywhere)
{
    uint8_t file[1000];
    const size_t size = make_file(file, good, 28);

    setup();
    for (size_t n = 0; n < size; n++) {
        struct sr_weights *w = (void *)file;        /* must be overwritten */
        sora_error err = { 0 };
        write_file(file, n);
        ck_assert_int_eq(sr_weights_open(&w, path, &err), SORA_ERR_MODEL);
        ck_assert_msg(w == NULL && strstr(err.text, path), "cut at %zu: %s", n, err.text);
    }
    unlink(path);
}
END_TEST

/* A single letter changed anywhere: opened or refused, and whatever is opened lies inside the file. */
START_TEST(test_any_byte)
{
    uint8_t file[1000];
    const size_t size = make_file(file, good, 28);

    setup();
    for (size_t n = 0; n < size - 28; n++) {
        for (size_t k = 0; k < 4; k++) {
            struct sr_weights *w;
            sora_error err = { 0 };
            const uint8_t had = file[n];
            file[n] = (uint8_t)(had ^ "\x01\x80\x10\xff"[k]);
            write_file(file, size);
            if (sr_weights_open(&w, path, &err) == SORA_OK) {
                volatile uint8_t sum = 0;
                for (size_t i = 0; i < sr_weights_count(w); i++) {
                    const struct sr_weight *t = sr_weights_at(w, i);
                    for (size_t j = 0; j < t->n * sr_type_size(t->type); j++) sum += ((const uint8_t *)t->data)[j];
                }
            } else {
                ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
            }
            sr_weights_close(&w);
            file[n] = had;
        }
    }
    unlink(path);
}
END_TEST

static const struct {
    const char *header, *message;
    sora_result result;
} hostile[] = {
#define ONE(type, shape, from_to) "{\"x\":{\"dtype\":" type ",\"shape\":" shape ",\"data_offsets\":" from_to "}}"
    { ONE("\"F32\"", "[2]", "[0,9]"), "has 9 bytes", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[8,0]"), "data_offsets [8, 0]", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[-8,0]"), "data_offsets [-8, 0]", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[60,68]"), "ends before tensor", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[9223372036854775800,9223372036854775807]"), "ends before tensor", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[0,9223372036854775808]"), "too big", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[0,8.0]"), "no data_offsets", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "[0,8,9]"), "no data_offsets", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[2]", "7"), "no data_offsets", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), "impossible shape", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), "impossible shape", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[-1]", "[0,0]"), "not a size", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[\"2\"]", "[0,8]"), "not a size", SORA_ERR_MODEL },
    { ONE("\"F32\"", "{}", "[0,8]"), "no shape", SORA_ERR_MODEL },
    { ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), "9 axes", SORA_ERR_MODEL },
    { ONE("\"F31\"", "[1]", "[0,4]"), "\"F31\"", SORA_ERR_UNSUPPORTED },
    { ONE("4", "[1]", "[0,4]"), "no type", SORA_ERR_MODEL },
    { "{\"x\":[]}", "no type", SORA_ERR_MODEL },
    { "{\"x\":null}", "no type", SORA_ERR_MODEL },
    { "{\"__metadata__\":{\"a\":1}}", "not a string", SORA_ERR_MODEL },
    { "{\"__metadata__\":[]}", "not an object", SORA_ERR_MODEL },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", "overlap", SORA_ERR_MODEL },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "duplicate", SORA_ERR_MODEL },
    { "{\"a\\u0000b\":{}}", "damaged", SORA_ERR_MODEL },
    { "{\"\xff\":{}}", "damaged", SORA_ERR_MODEL },
    { "{} x", "damaged", SORA_ERR_MODEL },
    { "[]          ", "not a safetensors file", SORA_ERR_MODEL },
};

START_TEST(test_hostile_headers)
{
    uint8_t file[1000];

    setup();
    for (size_t i = 0; i < SR_COUNT(hostile); i++) {
        struct sr_weights *w;
        sora_error err = { 0 };
        write_file(file, make_file(file, hostile[i].header, 64));
        ck_assert_msg(sr_weights_open(&w, path, &err) == hostile[i].result, "%s: %d %s", hostile[i].header, err.code,
                      err.text);
        ck_assert_ptr_null(w);
        ck_assert_msg(strstr(err.text, hostile[i].message) && strstr(err.text, path), "%s: %s", hostile[i].header,
                      err.text);
    }
    unlink(path);
}
END_TEST

START_TEST(test_nesting)
{
    enum { N = 1 << 20 };
    char *header = malloc(N + 1);
    uint8_t *file = malloc(N + 8);
    struct sr_weights *w;
    sora_error err = { 0 };

    setup();
    memset(header, '[', N);
    memcpy(header, "{\"a\":", 5);
    header[N] = 0;
    write_file(file, make_file(file, header, 0));
    ck_assert_int_eq(sr_weights_open(&w, path, &err), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "depth") != NULL, "%s", err.text);
    free(header);
    free(file);
    unlink(path);
}
END_TEST

START_TEST(test_long_header_length)
{
    struct sr_weights *w;
    sora_error err = { 0 };
    const uint8_t gguf[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0";

    setup();
    write_file("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    ck_assert_int_eq(sr_weights_open(&w, path, &err), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "not a safetensors file") != NULL, "%s", err.text);
    write_file(gguf, sizeof gguf);
    err.code = 0;
    ck_assert_int_eq(sr_weights_open(&w, path, &err), SORA_ERR_UNSUPPORTED);
    unlink(path);
    err.code = 0;
    ck_assert_int_eq(sr_weights_open(&w, path, &err), SORA_ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_write)
{
    const float a[6] = { 1, 2, 3, 4, 5, 6 }, b[1] = { -1.5f };
    const struct sr_named t[] = { { "latents", a, 3, { 1, 2, 3 } }, { "b\"\\", b, 0, { 0 } } };
    struct sr_weights *w;
    const struct sr_weight *x;
    sora_error err = { 0 };

    setup();
    ck_assert_int_eq(sr_safetensors_write(path, t, 2, NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_open(&w, path, NULL), SORA_OK);
    x = sr_weights_find(w, "latents");
    ck_assert(x && x->type == SR_F32 && x->ndim == 3 && x->dim[2] == 3);
    ck_assert_uint_eq((uintptr_t)x->data % 8, 0);
    assert_near((const float *)x->data, a, 6, 0);
    x = sr_weights_find(w, "b\"\\");
    ck_assert(x && *(const float *)x->data == -1.5f);
    sr_weights_close(&w);
    unlink(path);
    ck_assert_int_eq(sr_safetensors_write("/nowhere/x", t, 2, &err), SORA_ERR_NOT_FOUND);
    ck_assert_int_eq(sr_safetensors_write("/dev/full", t, 2, NULL), SORA_ERR_IO);
}
END_TEST

/* Each allocation fails once: an error, no crash; the sanitizers look for leaks. */
START_TEST(test_no_memory)
{
    uint8_t file[1000];
    struct sr_weights *w;
    sora_result r = SORA_ERR_NOMEM;

    setup();
    write_file(file, make_file(file, good, 28));
    for (unsigned long n = 1; r < 0; n++) {
        sr_mem_fail_after(n);
        r = sr_weights_open(&w, path, NULL);
        sr_mem_fail_after(0);
        ck_assert(r == SORA_OK || r == SORA_ERR_NOMEM);
        ck_assert((w != NULL) == (r == SORA_OK));
        sr_weights_close(&w);
    }
    unlink(path);
}
END_TEST

RUN_TESTS("safetensors", test_good, test_cut_anywhere, test_any_byte, test_hostile_headers, test_nesting,
          test_long_header_length, test_write, test_no_memory)
