/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "weights/weights.h"

static const char text[] = "{\"n\": 30, \"eps\": 1e-6, \"one\": 1, \"cross\": true, \"name\": \"UMT5\", \"nil\": null,"
                           " \"patch\": [1, 2, 2], \"mean\": [0.5, -1, 2e3], \"vae\": [\"diffusers\","
                           " \"AutoencoderKLWan\"],"
                           " \"deep\": {\"a\": {\"b\": 5}}, \"down\": [false, true], \"none\": [null, null], \"mixed\": [1, \"x\"]}";

START_TEST(test_values)
{
    struct sr_config *c;
    int64_t n = 7, list[4];
    double v = 0, floats[3];
    bool b = false, bools[3];
    char s[32] = "as before";
    size_t count = 9;

    ck_assert_int_eq(sr_config_parse(&c, text, "x/config.json", NULL), SORA_OK);
    ck_assert(sr_config_has(c, "n") && !sr_config_has(c, "nil") && !sr_config_has(c, "absent"));
    ck_assert_int_eq(sr_config_int(c, "absent", 1, 2, &n, NULL), SORA_OK);
    ck_assert_int_eq(n, 7);
    ck_assert_int_eq(sr_config_int(c, "nil", 1, 2, &n, NULL), SORA_OK);
    ck_assert_int_eq(n, 7);
    ck_assert_int_eq(sr_config_int(c, "n", 30, 30, &n, NULL), SORA_OK);
    ck_assert_int_eq(n, 30);
    ck_assert_int_eq(sr_config_float(c, "eps", 0, 1, &v, NULL), SORA_OK);
    ck_assert_double_eq(v, 1e-6);
    ck_assert_int_eq(sr_config_float(c, "one", 0, 1, &v, NULL), SORA_OK);
    ck_assert_double_eq(v, 1);
    ck_assert_int_eq(sr_config_bool(c, "cross", &b, NULL), SORA_OK);
    ck_assert(b);
    ck_assert_int_eq(sr_config_string(c, "absent", s, sizeof s, NULL), SORA_OK);
    ck_assert_str_eq(s, "as before");
    ck_assert_int_eq(sr_config_string(c, "name", s, 5, NULL), SORA_OK);
    ck_assert_str_eq(s, "UMT5");
    ck_assert_int_eq(sr_config_ints(c, "patch", 1, 2, list, 4, &count, NULL), SORA_OK);
    ck_assert(count == 3 && list[0] == 1 && list[2] == 2);
    ck_assert_int_eq(sr_config_floats(c, "mean", floats, 3, &count, NULL), SORA_OK);
    ck_assert(count == 3 && floats[0] == 0.5 && floats[1] == -1 && floats[2] == 2000);
    ck_assert_int_eq(sr_config_int(c, "deep.a.b", 5, 5, &n, NULL), SORA_OK);
    ck_assert_int_eq(n, 5);
    ck_assert(!sr_config_has(c, "deep.a.c") && !sr_config_has(c, "n.a") && sr_config_has(c, "deep.a"));
    ck_assert_int_eq(sr_config_bools(c, "down", bools, 2, &count, NULL), SORA_OK);
    ck_assert(count == 2 && !bools[0] && bools[1]);
    ck_assert_int_eq(sr_config_bools(c, "down", bools, 1, &count, NULL), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_config_bools(c, "patch", bools, 3, &count, NULL), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_config_string_at(c, "vae", 1, s, sizeof s, NULL), SORA_OK);
    ck_assert_str_eq(s, "AutoencoderKLWan");
    ck_assert_int_eq(sr_config_string_at(c, "none", 1, s, sizeof s, NULL), SORA_OK);
    ck_assert_str_eq(s, "AutoencoderKLWan");
    sr_config_close(&c);
    ck_assert_ptr_null(c);
}
END_TEST

/* Each message names file, key, what was found and what was wanted; nothing is written. */
START_TEST(test_wrong)
{
    struct sr_config *c;
    int64_t n = 7, list[3];
    double v = 7, floats[3];
    bool b = true;
    char s[16] = "7";
    size_t count = 7;

    ck_assert_int_eq(sr_config_parse(&c, text, "x/config.json", NULL), SORA_OK);
#define WRONG(call, found, wanted)                                                                                     \
    do {                                                                                                               \
        sora_error err = { 0 };                                                                                        \
        ck_assert_int_eq(call, SORA_ERR_MODEL);                                                                        \
        ck_assert_msg(strstr(err.text, "x/config.json: \"") == err.text &&                                             \
                          strstr(err.text, "is " found "; wanted: " wanted), "%s", err.text);                          \
    } while (0)
    WRONG(sr_config_int(c, "n", 1, 29, &n, &err), "30", "a whole number from 1 to 29");
    WRONG(sr_config_int(c, "n", 31, 40, &n, &err), "30", "a whole number");
    WRONG(sr_config_int(c, "eps", 0, 1, &n, &err), "1e-06", "a whole number");
    WRONG(sr_config_int(c, "name", 0, 1, &n, &err), "\"UMT5\"", "a whole number");
    WRONG(sr_config_float(c, "cross", 0, 1, &v, &err), "true", "a number");
    WRONG(sr_config_float(c, "n", 0, 1, &v, &err), "30", "a number from 0 to 1");
    WRONG(sr_config_bool(c, "one", &b, &err), "1", "true or false");
    WRONG(sr_config_string(c, "name", s, 4, &err), "\"UMT5\"", "a text of at most 3 bytes");
    WRONG(sr_config_string(c, "n", s, 4, &err), "30", "a text");
    WRONG(sr_config_string_at(c, "vae", 2, s, sizeof s, &err), "a list of 2", "a list of at least 3");
    WRONG(sr_config_string_at(c, "vae", 1, s, sizeof s, &err), "\"AutoencoderKLWan\"", "a text of at most 15");
    WRONG(sr_config_string_at(c, "n", 0, s, sizeof s, &err), "30", "a list");
    WRONG(sr_config_ints(c, "patch", 1, 1, list, 3, &count, &err), "2", "a whole number from 1 to 1");
    WRONG(sr_config_ints(c, "patch", 1, 2, list, 2, &count, &err), "a list of 3", "a list of at most 2");
    WRONG(sr_config_floats(c, "mixed", floats, 3, &count, &err), "\"x\"", "numbers");
    WRONG(sr_config_floats(c, "n", floats, 3, &count, &err), "30", "a list");
    ck_assert(n == 7 && v == 7 && b && !strcmp(s, "7") && count == 7);
    sr_config_close(&c);
}
END_TEST

START_TEST(test_damaged)
{
    static const char *const bad[] = { "", "{", "[]", "3", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "{\"a\":\"\xff\"}",
                                       "{} {}", "{\"a\":1e999}", "{\"a\":99999999999999999999}", "{\"a\\u0000\":1}" };
    char deep[5001];

    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    for (size_t i = 0; i <= SR_COUNT(bad); i++) {
        struct sr_config *c = (void *)deep;
        sora_error err = { 0 };
        const char *t = i < SR_COUNT(bad) ? bad[i] : deep;
        ck_assert_msg(sr_config_parse(&c, t, "some/config.json", &err) == SORA_ERR_MODEL, "%s", t);
        ck_assert(c == NULL && strstr(err.text, "some/config.json"));
    }
}
END_TEST

START_TEST(test_file)
{
    char name[] = "/tmp/sora-config-XXXXXX";
    const int fd = mkstemp(name);
    struct sr_config *c;
    sora_error err = { 0 };

    ck_assert_int_eq(write(fd, "{\"a\":1}", 7), 7);
    ck_assert_int_eq(sr_config_open(&c, name, NULL), SORA_OK);
    ck_assert(sr_config_has(c, "a"));
    sr_config_close(&c);
    ck_assert_int_eq(write(fd, "\0 ", 2), 2);
    ck_assert_int_eq(sr_config_open(&c, name, &err), SORA_ERR_MODEL);
    ck_assert(c == NULL && strstr(err.text, name) && strstr(err.text, "byte 7"));
    close(fd);
    unlink(name);
    ck_assert_int_eq(sr_config_open(&c, name, NULL), SORA_ERR_NOT_FOUND);
    for (unsigned long n = 1; n < 4; n++) {
        sr_mem_fail_after(n);
        ck_assert_int_eq(sr_config_parse(&c, text, "x", NULL), n < 3 ? SORA_ERR_NOMEM : SORA_OK);
        sr_mem_fail_after(0);
        sr_config_close(&c);
    }
}
END_TEST

RUN_TESTS("config", test_values, test_wrong, test_damaged, test_file)
