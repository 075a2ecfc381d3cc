/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"
#include "prompts.h"
#include "text/text.h"

enum { MAX = 4096 };

static void compare(const char *model, size_t column)
{
    static int32_t ids[MAX];
    json_t *rows = read_prompts(), *row;
    struct sr_tokenizer *t;
    sora_error err = { 0 };
    size_t i, n, full;

    ck_assert_msg(sr_tokenizer_open(&t, ref_file(model), &err) == SORA_OK, "%s", err.text);
    json_array_foreach(rows, i, row) {
        const char *text = json_string_value(json_array_get(row, 1));
        const json_t *want = json_array_get(row, column);
        ck_assert_int_eq(sr_tokenizer_encode(t, text, ids, MAX, &n, &full, NULL), SORA_OK);
        ck_assert_uint_eq(n, full);
        ck_assert_msg(n == json_array_size(want), "prompt %zu \"%s\": %zu ids, want %zu", i, text, n,
                      json_array_size(want));
        for (size_t k = 0; k < n; k++)
            ck_assert_msg(ids[k] == json_integer_value(json_array_get(want, k)),
                          "prompt %zu \"%s\": id %zu is %d, want %d", i,
                          text, k, ids[k], (int)json_integer_value(json_array_get(want, k)));
    }
    sr_tokenizer_close(&t);
    ck_assert_ptr_null(t);
    json_decref(rows);
}

START_TEST(test_sentencepiece)
{
    compare("text.model", 2);
}
END_TEST

/* The same pieces as a tokenizer.json without normaliser and byte fallback. */
START_TEST(test_json)
{
    compare("text-plain.json", 3);
}
END_TEST

START_TEST(test_truncation)
{
    struct sr_tokenizer *t;
    int32_t all[64], cut[64];
    size_t n, full, m, again;

    ck_assert_int_eq(sr_tokenizer_open(&t, ref_file("text.model"), NULL), SORA_OK);
    ck_assert_int_eq(sr_tokenizer_encode(t, "a red balloon over green hills", all, 64, &n, &full, NULL), SORA_OK);
    ck_assert(n > 4 && n == full && all[n - 1] == 1);
    for (size_t max = 1; max <= n; max++) {
        ck_assert_int_eq(sr_tokenizer_encode(t, "a red balloon over green hills", cut, max, &m, &again, NULL), SORA_OK);
        ck_assert(m == max && again == full && cut[m - 1] == 1);
        for (size_t i = 0; i + 1 < m; i++) ck_assert_int_eq(cut[i], all[i]);
    }
    ck_assert_int_eq(sr_tokenizer_encode(t, "", cut, 8, &m, &again, NULL), SORA_OK);
    ck_assert(m == 1 && again == 1 && cut[0] == 1);
    ck_assert_int_lt(sr_tokenizer_encode(t, "", cut, 0, &m, NULL, NULL), 0);
    sr_tokenizer_close(&t);
}
END_TEST

static void expect_open(const char *path, sora_result result, const char *message)
{
    struct sr_tokenizer *t = (void *)path;
    sora_error err = { 0 };

    ck_assert_msg(sr_tokenizer_open(&t, path, &err) == result, "%s: %d %s", path, err.code, err.text);
    ck_assert_msg((t != NULL) == (result == SORA_OK) && (!message || strstr(err.text, message)), "%s", err.text);
    sr_tokenizer_close(&t);
}

START_TEST(test_folder)
{
    char folder[] = "/tmp/sora-tok-XXXXXX", file[64], cmd[1200];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    expect_open(folder, SORA_ERR_NOT_FOUND, "no tokenizer in this folder");
    snprintf(cmd, sizeof cmd, "cp '%s' %s/spiece.model", ref_file("text.model"), folder);
    ck_assert_int_eq(system(cmd), 0);
    expect_open(folder, SORA_OK, NULL);
    snprintf(file, sizeof file, "%s/tokenizer.json", folder);
    FILE *f = fopen(file, "w");
    fputs("{}", f);
    fclose(f);
    expect_open(folder, SORA_ERR_UNSUPPORTED, "tokenizer.json");
    snprintf(file, sizeof file, "%s/spiece.model", folder);
    f = fopen(file, "w");
    fputs("not a model", f);
    fclose(f);
    expect_open(file, SORA_ERR_MODEL, "spiece.model: not a SentencePiece model");
    snprintf(cmd, sizeof cmd, "rm -r %s", folder);
    ck_assert_int_eq(system(cmd), 0);
    expect_open(folder, SORA_ERR_NOT_FOUND, folder);
}
END_TEST

RUN_TESTS("tokenizer", test_sentencepiece, test_json, test_truncation, test_folder)
