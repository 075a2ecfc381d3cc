/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts and schedules of prompts: "@0 a calm sea at dawn @10 a stormy sea at night". */
#include <stdlib.h>

#include "api/options.h"

#define MAX_ENTRIES 10000
#define MAX_SECONDS 1e9

/* Bytes of the well-formed sequence at s, 0: none.  Overlong forms, surrogates and what lies past U+10FFFF are refused. */
static int utf8_length(const unsigned char *s)
{
    const int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;            /* the final NUL stops here too */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

sora_result sr_prompt_check(const char *name, const char *text, sora_error *err)
{
    const size_t size = strlen(text);

    if (size > SR_PROMPT_MAX)
        return sr_fail(err, SORA_ERR_OPTION, "%s: found %zu bytes of text, wanted at most %d", name, size, SR_PROMPT_MAX);
    for (size_t i = 0; i < size;) {
        const int n = utf8_length((const unsigned char *)text + i);
        if (!n)
            return sr_fail(err, SORA_ERR_OPTION, "%s: byte %zu (0x%02x) is not UTF-8; convert the text to UTF-8", name,
                           i + 1, (unsigned char)text[i]);
        i += (size_t)n;
    }
    return SORA_OK;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* "@12.5 " at s: the number, and how many bytes it takes with its mark; 0: something else stands there. */
static size_t time_mark(const char *s, double *at_s)
{
    size_t n = 1, digits = 0;
    double value = 0, unit = 1;

    if (s[0] != '@') return 0;
    for (; s[n] >= '0' && s[n] <= '9'; n++, digits++) value = value * 10 + (s[n] - '0');
    if (digits && s[n] == '.')
        for (n++; s[n] >= '0' && s[n] <= '9'; n++) value += (s[n] - '0') * (unit /= 10);
    if (!digits || (s[n] && !is_space(s[n]))) return 0;
    *at_s = value;
    return n;
}

/* Text from s to e without the white space around it. */
static char *trimmed(const char *s, const char *e)
{
    while (s < e && is_space(*s)) s++;
    while (s < e && is_space(e[-1])) e--;
    return sr_strndup(s, (size_t)(e - s));
}

static sora_result add_entry(struct sr_prompts *p, double at_s, const char *s, const char *e, sora_error *err)
{
    struct sr_prompt *list;

    if (p->n == MAX_ENTRIES)
        return sr_fail(err, SORA_ERR_OPTION, "prompt: the schedule has more than %d entries", MAX_ENTRIES);
    if (p->n == 0 && at_s != 0)
        return sr_fail(err, SORA_ERR_OPTION, "prompt: the schedule begins at @%g; begin it with @0", at_s);
    if (at_s > MAX_SECONDS)
        return sr_fail(err, SORA_ERR_OPTION, "prompt: entry @%g: wanted at most %g seconds", at_s, MAX_SECONDS);
    if (p->n && at_s <= p->list[p->n - 1].at_s)
        return sr_fail(err, SORA_ERR_OPTION, "prompt: entry @%g comes after @%g; wanted rising times", at_s,
                       p->list[p->n - 1].at_s);
    if (!(list = sr_realloc(p->list, p->n + 1, sizeof *list))) return sr_fail_nomem(err, sizeof *list, "prompt");
    p->list = list;
    list[p->n].at_s = at_s;
    if (!(list[p->n].text = trimmed(s, e))) return sr_fail_nomem(err, (size_t)(e - s), "prompt");
    p->n++;
    if (!list[p->n - 1].text[0])
        return sr_fail(err, SORA_ERR_OPTION, "prompt: entry @%g has no text; say what to show from there", at_s);
    return SORA_OK;
}

sora_result sr_prompts_parse(struct sr_prompts *p, const char *text, sora_error *err)
{
    const char *s = text, *from;
    double at_s = 0, next_s;
    size_t mark;
    sora_result r;

    p->n = 0;
    p->list = NULL;
    if ((r = sr_prompt_check("prompt", text, err)) < 0) goto done;
    while (is_space(*s)) s++;
    if (!*s) {
        r = sr_fail(err, SORA_ERR_OPTION, "prompt: it is empty; say what to show");
        goto done;
    }
    if (!(mark = time_mark(s, &at_s))) {
        r = add_entry(p, 0, s, s + strlen(s), err);
        goto done;
    }
    from = s += mark;
    for (; r == SORA_OK && *s; s++)
        if (is_space(s[-1]) && (mark = time_mark(s, &next_s))) {
            r = add_entry(p, at_s, from, s, err);
            at_s = next_s;
            from = s + mark;
            s = from - 1;
        }
    if (r == SORA_OK) r = add_entry(p, at_s, from, s, err);
done:
    if (r < 0) sr_prompts_free(p);
    return r;
}

void sr_prompts_free(struct sr_prompts *p)
{
    for (size_t i = 0; i < p->n; i++) sr_free(p->list[i].text);
    sr_free(p->list);
    p->list = NULL;
    p->n = 0;
}

const char *sr_prompts_at(const struct sr_prompts *p, double t, size_t *index)
{
    size_t i = p->n - 1;

    /* a hair of tolerance: frame 30 of 30 a second is second 1 whatever the division rounds to */
    while (i > 0 && p->list[i].at_s > t + 1e-9) i--;
    *index = i;
    return p->list[i].text;
}
