/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "near.h"

START_TEST(test_first_error_stays)
{
    sora_error err = { 0 };

    ck_assert_int_eq(sr_fail(&err, SORA_ERR_MODEL, "a\033[31m%d", 1), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_fail(&err, SORA_ERR_IO, "b"), SORA_ERR_IO);
    ck_assert_int_eq(err.code, SORA_ERR_MODEL);
    ck_assert_str_eq(err.text, "a?[31m1");
    ck_assert_int_eq(sr_fail(NULL, SORA_ERR_IO, "c"), SORA_ERR_IO);
}
END_TEST

/* Whatever a file calls its tensors, the message is one line of UTF-8. */
START_TEST(test_printable)
{
    sora_error err = { 0 };
    char *text = malloc(2000);

    sr_fail(&err, SORA_ERR_MODEL,
            "\xc3\xa9\xe7\xb7\x91\xf0\x9f\x98\x80 \xff\xc3 \xc2\x9b \xed\xa0\x80 \xf4\x90\x80\x80\n");
    ck_assert_str_eq(err.text, "\xc3\xa9\xe7\xb7\x91\xf0\x9f\x98\x80 ?? ?? ??? ?????");
    memset(text, 'a', 2000);
    memcpy(text + sizeof err.text - 3, "\xe7\xb7\x91", 4);
    err.code = 0;
    sr_fail(&err, SORA_ERR_MODEL, "%s", text);
    ck_assert_str_eq(err.text + sizeof err.text - 4, "a??");            /* cut in the middle of a character */
    free(text);
}
END_TEST

START_TEST(test_half_types)
{
    ck_assert_float_eq(sr_f16_to_f32(0x3c00), 1.0f);
    ck_assert_float_eq(sr_f16_to_f32(0xc000), -2.0f);
    ck_assert_float_eq(sr_f16_to_f32(0x0001), 0x1p-24f);
    ck_assert_float_eq(sr_f16_to_f32(0x7bff), 65504.0f);
    ck_assert(isnan(sr_f16_to_f32(0x7e00)) && isinf(sr_f16_to_f32(0xfc00)));
    ck_assert_uint_eq(sr_f32_to_bf16(1.0f), 0x3f80);
    ck_assert_uint_eq(sr_f32_to_bf16(1.00390625f), 0x3f80);         /* half way: to even */
    ck_assert_uint_eq(sr_f32_to_bf16(1.01171875f), 0x3f82);
    ck_assert(isnan(sr_bf16_to_f32(sr_f32_to_bf16(NAN))));
}
END_TEST

/* Known answers of the Random123 distribution: counter 0 and key 0; all ones. */
START_TEST(test_philox)
{
    ck_assert_uint_eq(sr_rng_u64(0, 0, 0), 0xe169c58d6627e8d5u);
    ck_assert_uint_eq(sr_rng_u64(~0ull, ~0ull, ~0ull), 0x41c83b0e408f276du);
}
END_TEST

START_TEST(test_normal)
{
    enum { N = 40000 };
    static float a[N], b[N];
    double mean = 0, var = 0;

    sr_rng_normal(a, N, 7, 3, 0);
    sr_rng_normal(b, 1000, 7, 3, 400);
    assert_near(b, a + 400, 1000, 0);                               /* any part alone gives the same */
    for (size_t i = 0; i < N; i++) mean += a[i] / N, var += (double)a[i] * a[i] / N;
    ck_assert(fabs(mean) < 0.02 && fabs(var - 1) < 0.03);
    sr_rng_normal(b, N, 8, 3, 0);
    ck_assert(fabsf(b[0] - a[0]) > 1e-6f);
}
END_TEST

START_TEST(test_files)
{
    sora_error err = { 0 };
    struct sr_map m;
    char *text, name[] = "/tmp/sora-test-XXXXXX";
    size_t n;
    int fd = mkstemp(name);

    ck_assert_int_eq(sr_map_file(&m, name, &err), SORA_ERR_MODEL);  /* empty */
    ck_assert(strstr(err.text, name) != NULL);
    ck_assert_int_eq(write(fd, "abc", 3), 3);
    ck_assert_int_eq(sr_map_file(&m, name, NULL), SORA_OK);
    ck_assert(m.size == 3 && !memcmp(m.data, "abc", 3));
    sr_map_close(&m);
    ck_assert_int_eq(sr_read_file(&text, &n, 2, name, NULL), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_read_file(&text, &n, 3, name, NULL), SORA_OK);
    ck_assert(n == 3 && !strcmp(text, "abc"));
    sr_free(text);
    close(fd);
    unlink(name);
    ck_assert_int_eq(sr_map_file(&m, name, NULL), SORA_ERR_NOT_FOUND);
    ck_assert_int_eq(sr_map_file(&m, "/tmp", NULL), SORA_ERR_MODEL);
}
END_TEST

START_TEST(test_memory)
{
    sr_mem_fail_after(2);
    void *a = sr_malloc(1), *b = sr_malloc(1);
    ck_assert(a && !b);
    ck_assert_uint_eq(sr_mem_fail_after(0), 2);
    ck_assert(!sr_realloc(a, SIZE_MAX / 2, 4));
    sr_free(a);
    a = sr_aligned(100);
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    sr_free(a);
}
END_TEST

RUN_TESTS("base", test_first_error_stays, test_printable, test_half_types, test_philox, test_normal, test_files,
          test_memory)
