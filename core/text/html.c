/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Character references of HTML in prompts that were copied from a web page. */
#include <utf8proc.h>

#include "text/clean.h"

#define NAME_MAX_LETTERS 32     /* of the longest name, "CounterClockwiseContourIntegral" and its semicolon */

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(uint32_t c)
{
    if (is_digit(c)) return (int)(c - '0');
    if (c >= 'a' && c <= 'f') return (int)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return (int)(c - 'A' + 10);
    return -1;
}

static bool is_alnum(uint32_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const struct sr_html_entity *entity(const char *name)
{
    size_t lo = 0, hi = sr_html_entities_count;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int d = strcmp(name, sr_html_entities[mid].name);
        if (d == 0) return &sr_html_entities[mid];
        if (d < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

/* ---- Numbers ---- */

/* HTML 5, "numeric character reference end state": what the number stands for; false: nothing. */
static bool number_value(uint32_t *out, uint32_t n)
{
    *out = n;
    if (n == 0 || (n >= 0xd800 && n <= 0xdfff) || n > 0x10ffff) return *out = 0xfffd, true;
    if (n >= 0x80 && n <= 0x9f) return *out = sr_windows_1252(n), true;
    if (n < 0x09 || n == 0x0b || (n >= 0x0e && n < 0x20) || n == 0x7f) return false;
    return !(n >= 0xfdd0 && n <= 0xfdef) && (n & 0xfffe) != 0xfffe;
}

/* c [n] after "&#" -> how many were read, 0: no number; the semicolon is read too, if there is one. */
static size_t read_number(const uint32_t *c, size_t n, uint32_t *value)
{
    const bool hex = n && (c[0] == 'x' || c[0] == 'X');
    size_t i = hex ? 1 : 0;
    const size_t first = i;

    for (*value = 0; i < n && (hex ? hex_value(c[i]) >= 0 : is_digit(c[i])); i++)
        *value = SR_MIN(*value * (hex ? 16 : 10) + (uint32_t)hex_value(c[i]), 0x110000u);
    if (i == first) return 0;
    return i < n && c[i] == ';' ? i + 1 : i;
}

/* ---- Names ---- */

static void put_entity(struct sr_points *to, const struct sr_html_entity *e)
{
    sr_points_put(to, e->c[0]);
    if (e->c[1]) sr_points_put(to, e->c[1]);
}

/* c [n] after "&" -> how many were read and decoded; 0: no name that is known. */
static size_t read_name(struct sr_points *to, const uint32_t *c, size_t n)
{
    char name[NAME_MAX_LETTERS + 1];
    const struct sr_html_entity *e;
    size_t len = 0;

    while (len < n && len < NAME_MAX_LETTERS && is_alnum(c[len])) {
        name[len] = (char)c[len];
        len++;
    }
    name[len] = 0;
    if (len < n && c[len] == ';' && (e = entity(name))) return put_entity(to, e), len + 1;
    for (; len > 1; name[--len] = 0)
        if ((e = entity(name)) && e->bare) return put_entity(to, e), len;
    return 0;
}

void sr_html_unescape(struct sr_points *to, const struct sr_points *from)
{
    for (size_t i = 0; i < from->n;) {
        const uint32_t *c = from->c + i;
        const size_t left = from->n - i;
        size_t read = 0;
        uint32_t v;
        if (c[0] == '&' && left > 2 && c[1] == '#') {
            if ((read = read_number(c + 2, left - 2, &v))) {
                read += 2;
                if (number_value(&v, v)) sr_points_put(to, v);
            }
        } else if (c[0] == '&') {
            if ((read = read_name(to, c + 1, left - 1))) read += 1;
        }
        if (!read) sr_points_put(to, c[read++]);
        i += read;
    }
}

/* ---- The careful kind ---- */

/* &EACUTE; where only &eacute; exists, unless a browser would read the start of it as another name. */
static const struct sr_html_entity *shouted(const char *name)
{
    char s[NAME_MAX_LETTERS + 1];
    const struct sr_html_entity *e;
    size_t len = strlen(name);

    for (size_t i = 0; i <= len; i++) {
        if (name[i] >= 'a' && name[i] <= 'z') return NULL;
        s[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    if (!(e = entity(s))) return NULL;
    for (memcpy(s, name, len + 1); len > 1; s[--len] = 0) {
        const struct sr_html_entity *other = entity(s);
        if (other && other->bare) return NULL;
    }
    return e;
}

static void put_upper(struct sr_points *to, const struct sr_html_entity *e)
{
    for (int i = 0; i < 2 && e->c[i]; i++) {
        uint32_t letters[3];
        const int n = sr_ligature(letters, e->c[i]);
        for (int k = 0; k < n; k++) {
            if (letters[k] == 0xdf) {               /* sharp s has no capital that people use */
                sr_points_put(to, 'S');
                sr_points_put(to, 'S');
            } else {
                sr_points_put(to, (uint32_t)utf8proc_toupper((utf8proc_int32_t)letters[k]));
            }
        }
    }
}

/* c [n] after "&" -> how many were read and decoded. */
static size_t read_careful(struct sr_points *to, const uint32_t *c, size_t n)
{
    enum { LETTERS = 24 };
    const struct sr_html_entity *e;
    char name[LETTERS + 1];
    const size_t hash = n && c[0] == '#';
    size_t len = hash;
    uint32_t v;

    while (len < n && len - hash < LETTERS && is_alnum(c[len])) {
        name[len - hash] = (char)c[len];
        len++;
    }
    if (len == hash || len == n || c[len] != ';') return 0;
    name[len - hash] = 0;
    if (hash) {
        if (read_number(c + 1, n - 1, &v) != len || v == ';') return 0;
        if (number_value(&v, v)) sr_points_put(to, v);
        return len + 1;
    }
    if ((e = entity(name))) put_entity(to, e);
    else if ((e = shouted(name))) put_upper(to, e);
    return e ? len + 1 : 0;
}

void sr_html_unescape_careful(struct sr_points *to, const uint32_t *c, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t read = c[i] == '&' ? read_careful(to, c + i + 1, n - i - 1) : 0;
        if (read) i += 1 + read;
        else sr_points_put(to, c[i++]);
    }
}
