/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What WanPipeline's prompt_clean() does to a prompt before it is cut into tokens: the repairs of the ftfy package,
 * HTML references twice, white space.  The encoder was trained on text cleaned like that; a curly quote in place of a
 * straight one moves its output far.  Not done: ftfy's guess at text decoded with the wrong character set.
 */
#include <stdlib.h>
#include <utf8proc.h>

#include "text/clean.h"
#include "text/text.h"

#define PROMPT_MAX ((size_t)1 << 20)
#define PASSES_MAX 50           /* text that is still changing then was made to do so */

void sr_points_put(struct sr_points *to, uint32_t c)
{
    if (to->failed) return;
    if (to->n == to->room) {
        const size_t room = to->room ? 2 * to->room : 256;
        uint32_t *p = sr_realloc(to->c, room, sizeof *p);
        if (!p) {
            to->failed = true;
            return;
        }
        to->c = p;
        to->room = room;
    }
    to->c[to->n++] = c;
}

void sr_points_free(struct sr_points *p)
{
    sr_free(p->c);
    memset(p, 0, sizeof *p);
}

/* `from` becomes what was put into `to`, which is empty again. */
static void swap(struct sr_points *from, struct sr_points *to)
{
    const struct sr_points t = *from;

    *from = *to;
    *to = t;
    from->failed |= t.failed;
    to->n = 0;
}

/* ---- UTF-8 ---- */

/* Strictly: no overlong forms, no surrogates.  Returns the byte where it is wrong, or size. */
static size_t decode(struct sr_points *to, const char *text, size_t size)
{
    size_t i = 0;

    while (i < size) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(size - i),
                                                    &c);
        if (n <= 0) break;
        sr_points_put(to, (uint32_t)c);
        i += (size_t)n;
    }
    return i;
}

static char *encode(const struct sr_points *p)
{
    char *text = p->failed || p->n > SIZE_MAX / 4 - 1 ? NULL : sr_malloc(4 * p->n + 1);
    size_t n = 0;

    for (size_t i = 0; text && i < p->n; i++)
        n += (size_t)utf8proc_encode_char((utf8proc_int32_t)p->c[i], (utf8proc_uint8_t *)text + n);
    if (text) text[n] = 0;
    return text;
}

/* ---- ftfy's repairs ---- */

uint32_t sr_windows_1252(uint32_t c)
{
    static const uint16_t table[32] = {
        0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d,
        0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
        0x0153, 0x009d, 0x017e, 0x0178,
    };

    return c >= 0x80 && c <= 0x9f ? table[c - 0x80] : c;
}

int sr_ligature(uint32_t out[3], uint32_t c)
{
    static const struct {
        uint16_t c, to[3];
    } table[] = {
        { 0x132, { 'I', 'J' } },   { 0x133, { 'i', 'j' } },      { 0x149, { 0x2bc, 'n' } }, { 0x1c4, { 'D', 0x17d } },
        { 0x1c5, { 'D', 0x17e } }, { 0x1c6, { 'd', 0x17e } },    { 0x1c7, { 'L', 'J' } },   { 0x1c8, { 'L', 'j' } },
        { 0x1c9, { 'l', 'j' } },   { 0x1ca, { 'N', 'J' } },      { 0x1cb, { 'N', 'j' } },   { 0x1cc, { 'n', 'j' } },
        { 0x1f1, { 'D', 'Z' } },   { 0x1f2, { 'D', 'z' } },      { 0x1f3, { 'd', 'z' } },   { 0xfb00, { 'f', 'f' } },
        { 0xfb01, { 'f', 'i' } },  { 0xfb02, { 'f', 'l' } },     { 0xfb03, { 'f', 'f', 'i' } },
        { 0xfb04, { 'f', 'f', 'l' } }, { 0xfb05, { 0x17f, 't' } }, { 0xfb06, { 's', 't' } },
    };
    int n = 0;

    for (size_t i = 0; i < SR_COUNT(table) && c >= 0x132; i++) {
        if (table[i].c != c) continue;
        for (; n < 3 && table[i].to[n]; n++) out[n] = table[i].to[n];
        return n;
    }
    out[0] = c;
    return 1;
}

/* Full-width and half-width forms, and the ideographic space, as the usual ones. */
static int usual_width(uint32_t out[3], uint32_t c)
{
    int class = 0;

    out[0] = c == 0x3000 ? ' ' : c;
    if (c < 0xff01 || c > 0xffef) return 1;
    return utf8proc_decompose_char((utf8proc_int32_t)c, (utf8proc_int32_t *)out, 3,
                                   UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &class);
}

static uint32_t straight_quote(uint32_t c)
{
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) return '\'';
    return c >= 0x201c && c <= 0x201f ? '"' : c;
}

static void repair_letters(struct sr_points *to, const struct sr_points *from)
{
    for (size_t i = 0; i < from->n; i++) {
        uint32_t letters[3], wide[3];
        const int n = sr_ligature(letters, sr_windows_1252(from->c[i]));
        for (int k = 0; k < n; k++) {
            const int m = usual_width(wide, letters[k]);
            for (int j = 0; j < m; j++) sr_points_put(to, straight_quote(wide[j]));
        }
    }
}

static bool unwanted(uint32_t c)
{
    return c < 0x09 || c == 0x0b || (c >= 0x0e && c < 0x20) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

/* ESC [ 36 ; 44 m: how long it is, 0: none starts here */
static size_t terminal_escape(const uint32_t *c, size_t n)
{
    size_t i = 2;

    if (n < 3 || c[0] != 0x1b || c[1] != '[') return 0;
    while (i < n && ((c[i] >= '0' && c[i] <= '9') || c[i] == ';')) i++;
    return i < n && ((c[i] >= 'a' && c[i] <= 'z') || (c[i] >= 'A' && c[i] <= 'Z')) ? i + 1 : 0;
}

static void remove_controls(struct sr_points *to, const struct sr_points *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const size_t escape = terminal_escape(from->c + i, from->n - i);
        const uint32_t c = from->c[i];
        if (escape) i += escape - 1;
        else if (c == 0x2028 || c == 0x2029) sr_points_put(to, '\n');
        else if (c == '\r') {
            if (i + 1 == from->n || from->c[i + 1] != '\n') sr_points_put(to, '\n');
        } else if (!unwanted(c)) sr_points_put(to, c);
    }
}

static void normalise(struct sr_points *text)
{
    char *utf8 = encode(text);
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t n = -1;

    if (utf8)
        n = utf8proc_map((const utf8proc_uint8_t *)utf8, 0, &nfc,
                         UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    text->n = 0;
    if (n >= 0) decode(text, (const char *)nfc, (size_t)n);
    else text->failed = true;                   /* what is not UTF-8 has been refused: only memory is left */
    free(nfc);
    sr_free(utf8);
}

/* One line of the text [n], again and again until nothing changes, as one repair may uncover the next. */
static void repair_line(struct sr_points *out, const uint32_t *c, size_t n, bool html)
{
    struct sr_points a = { 0 }, b = { 0 }, before = { 0 };

    for (size_t i = 0; i < n; i++) sr_points_put(&a, c[i]);
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        before.n = 0;
        for (size_t i = 0; i < a.n; i++) sr_points_put(&before, a.c[i]);
        if (html) {
            sr_html_unescape_careful(&b, a.c, a.n);
            swap(&a, &b);
        }
        repair_letters(&b, &a);
        swap(&a, &b);
        remove_controls(&b, &a);
        swap(&a, &b);
        normalise(&a);
        if (a.failed || b.failed || before.failed) break;
        if (a.n == before.n && (!a.n || !memcmp(a.c, before.c, a.n * sizeof *a.c))) break;
    }
    for (size_t i = 0; i < a.n; i++) sr_points_put(out, a.c[i]);
    out->failed |= a.failed || b.failed || before.failed;
    sr_points_free(&a);
    sr_points_free(&b);
    sr_points_free(&before);
}

static void repair(struct sr_points *to, const struct sr_points *from)
{
    bool html = true;                           /* until a line has a '<': then it may be about HTML */

    for (size_t i = 0, end; i < from->n; i = end) {
        for (end = i; end < from->n && from->c[end] != '\n'; end++)
            if (from->c[end] == '<') html = false;
        if (end < from->n) end++;
        repair_line(to, from->c + i, end - i, html);
    }
}

/* ---- White space ---- */

static bool is_space(uint32_t c)                /* Python's str.isspace() */
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static void squeeze(struct sr_points *to, const struct sr_points *from)
{
    for (size_t i = 0; i < from->n; i++) {
        if (!is_space(from->c[i])) {
            if (i && is_space(from->c[i - 1]) && to->n) sr_points_put(to, ' ');
            sr_points_put(to, from->c[i]);
        }
    }
}

sora_result sr_prompt_clean(char **out, const char *prompt, sora_error *err)
{
    const size_t size = strlen(prompt);
    struct sr_points a = { 0 }, b = { 0 };
    sora_result r = SORA_OK;
    size_t good;

    *out = NULL;
    if (size > PROMPT_MAX)
        return sr_fail(err, SORA_ERR_OPTION, "the prompt has %zu bytes, at most %zu are read", size, PROMPT_MAX);
    if ((good = decode(&a, prompt, size)) < size) {
        r = sr_fail(err, SORA_ERR_OPTION, "the prompt is not UTF-8: byte %zu is 0x%02x", good,
                    (unsigned)(unsigned char)prompt[good]);
        goto done;
    }
    repair(&b, &a);
    swap(&a, &b);
    for (int twice = 0; twice < 2; twice++) {
        sr_html_unescape(&b, &a);
        swap(&a, &b);
    }
    squeeze(&b, &a);
    swap(&a, &b);
    if (b.failed || !(*out = encode(&a))) r = sr_fail_nomem(err, 4 * size, "the prompt");
done:
    sr_points_free(&a);
    sr_points_free(&b);
    return r;
}
