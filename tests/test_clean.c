/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "near.h"
#include "prompts.h"
#include "text/text.h"

/* What diffusers' prompt_clean() makes of the same prompts, with ftfy installed. */
START_TEST(test_reference)
{
    json_t *rows = read_prompts(), *row;
    size_t i, changed = 0;

    json_array_foreach(rows, i, row) {
        const char *prompt = json_string_value(json_array_get(row, 0)), *want = json_string_value(json_array_get(row,
                                                                                                                 1));
        char *got = NULL;
        sora_error err = { 0 };
        ck_assert_msg(sr_prompt_clean(&got, prompt, &err) == SORA_OK, "prompt %zu: %s", i, err.text);
        ck_assert_msg(!strcmp(got, want), "prompt %zu \"%s\":\n got \"%s\"\nwant \"%s\"", i, prompt, got, want);
        changed += strcmp(prompt, want) != 0;
        sr_free(got);
    }
    ck_assert_uint_gt(changed, 500);
    json_decref(rows);
}
END_TEST

static void expect(const char *prompt, const char *want)
{
    char *got;

    ck_assert_int_eq(sr_prompt_clean(&got, prompt, NULL), SORA_OK);
    ck_assert_str_eq(got, want);
    sr_free(got);
}

START_TEST(test_by_hand)
{
    expect("  it\u2019s a \u201cred\u201d\r\n\tballoon \u3000", "it's a \"red\" balloon");
    expect("\ufb02u\ufb03est", "fluffiest");
    expect("\uff2c\uff2f\uff35\uff24", "LOUD");
    expect("\033[31mred\033[0m", "red");
    expect("e\u0301", "\u00e9");                            /* NFC */
    expect("&amp;lt;b&amp;gt; &eacute;&EACUTE;", "<b> \u00e9\u00c9");
    expect("<b> &amp;amp;amp;lt;", "<b> &amp;lt;");         /* twice and no more where there is a '<' */
    expect("&notit; &notin;", "\u00acit; \u2209");
    expect("&#128;&#x110000;&#1;&#0;", "\u20ac\ufffd\ufffd");
    expect("\xc2\x85", "\u2026");                           /* a C1 control: Windows-1252 */
    expect("", "");
    expect(" \n ", "");
}
END_TEST

START_TEST(test_not_utf8)
{
    static const char *const bad[] = { "\xff", "ab\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
                                       "\xe2\x82" };

    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        char *out = (char *)bad;
        sora_error err = { 0 };
        ck_assert_int_eq(sr_prompt_clean(&out, bad[i], &err), SORA_ERR_OPTION);
        ck_assert_msg(out == NULL && strstr(err.text, "not UTF-8: byte"), "%s", err.text);
    }
}
END_TEST

/* Long and nested prompts end in time; too long ones are refused. */
START_TEST(test_long)
{
    const size_t n = (size_t)1 << 20;
    char *text = malloc(n + 2), *out;
    sora_error err = { 0 };

    for (size_t i = 0; i < n; i++) text[i] = "&amp;"[i % 5 ? i % 4 + 1 : 0];
    text[n] = 0;
    ck_assert_int_eq(sr_prompt_clean(&out, text, NULL), SORA_OK);
    sr_free(out);
    memset(text, 'a', n);
    text[0] = '&';
    for (size_t i = 1; i + 4 <= n; i += 4) memcpy(text + i, "amp;", 4);
    ck_assert_int_eq(sr_prompt_clean(&out, text, NULL), SORA_OK);
    sr_free(out);
    text[n] = 'a';
    text[n + 1] = 0;
    ck_assert_int_eq(sr_prompt_clean(&out, text, &err), SORA_ERR_OPTION);
    ck_assert(out == NULL && strstr(err.text, "1048577 bytes"));
    free(text);
}
END_TEST

START_TEST(test_no_memory)
{
    sora_result r = SORA_ERR_NOMEM;

    for (unsigned long n = 1; r < 0; n++) {
        char *out;
        sr_mem_fail_after(n);
        r = sr_prompt_clean(&out, "a &amp; b\n\u201cc\u201d \ufb01", NULL);
        sr_mem_fail_after(0);
        ck_assert(r == SORA_OK || r == SORA_ERR_NOMEM);
        ck_assert((out != NULL) == (r == SORA_OK));
        sr_free(out);
    }
}
END_TEST

RUN_TESTS("clean", test_reference, test_by_hand, test_not_utf8, test_long, test_no_memory)
