/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of options: the CLI, GStreamer and FFmpeg show it; text -> sora_options; checked copies. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/options.h"

#define MIN_SIZE 16
#define MAX_SIZE 16384
#define MAX_FRAMES 1e9
#define MAX_RATE 1000

static const sora_option table[] = {
    { "prompt", 'p', SORA_OPTION_STRING, 0, 0, NULL, "", "",
      "What to show; \"@0 calm sea @10 stormy sea\" changes it at these seconds of the content" },
    { "prompt-file", 0, SORA_OPTION_PATH, 0, 0, NULL, "", "",
      "Read the prompt from this file; one trailing newline is dropped" },
    { "negative-prompt", 0, SORA_OPTION_STRING, 0, 0, NULL, "", "", "What not to show; used where guidance is above 1" },
    { "model", 'm', SORA_OPTION_STRING, 0, 0, NULL, "pocket", "",
      "Model: a name, a folder in the Diffusers layout or a single file; \"test\" is built in" },
    { "size", 's', SORA_OPTION_SIZE, MIN_SIZE, MAX_SIZE, NULL, "", "pixels", "WIDTHxHEIGHT of the frames" },
    { "rate", 'r', SORA_OPTION_RATE, 0, MAX_RATE, NULL, "", "frames/s", "Frames per second, as 24 or 24000/1001" },
    { "frames", 0, SORA_OPTION_INT, 0, MAX_FRAMES, NULL, "", "frames", "Length; 0: endless, where the model streams" },
    { "seed", 0, SORA_OPTION_INT, -1, 0x1p63, NULL, "0", "",
      "Equal seed, options and machine give equal frames; -1: drawn and reported" },
    { "steps", 0, SORA_OPTION_INT, 1, 1000, NULL, "", "", "Denoising steps" },
    { "guidance", 0, SORA_OPTION_FLOAT, 1, 100, NULL, "", "", "Scale of classifier-free guidance; 1: off" },
    { "shift", 0, SORA_OPTION_FLOAT, 0.01, 100, NULL, "", "", "Shift of the noise schedule" },
    { "sampler", 0, SORA_OPTION_ENUM, 0, 0, "euler|unipc|renoise", "", "",
      "How a step is taken; renoise: for few-step models that add fresh noise" },
    { "threads", 0, SORA_OPTION_INT, 0, 1024, NULL, "0", "threads", "Threads that compute; 0: one for each physical core" },
    { "precision", 0, SORA_OPTION_ENUM, 0, 0, "auto|f32|bf16|int8", "auto", "",
      "Numbers of the matrix products; auto: bf16 where the CPU computes with it, else f32" },
    { "vae", 0, SORA_OPTION_STRING, 0, 0, NULL, "", "",
      "Another decoder for the same latents: a file, \"full\" or \"tiny\"" },
    { 0 }
};

const sora_option *sora_option_table(void)
{
    return table;
}

void sora_options_init_sized(sora_options *o, size_t size)
{
    sora_options init = { .size = size, .frames = -1 };

    memset(o, 0, size);
    memcpy(o, &init, SR_MIN(size, sizeof init));
}

/* ---- Text to values ---- */

/* Few letters apart: what was probably meant.  Levenshtein's distance over one row. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);

    if (n >= SR_COUNT(row) || strlen(a) >= SR_COUNT(row)) return SIZE_MAX;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (; *a; a++) {
        size_t diagonal = row[0]++;
        for (size_t j = 1; j <= n; j++) {
            const size_t change = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            row[j] = SR_MIN(change, SR_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

static sora_result unknown(const char *name, sora_error *err)
{
    const sora_option *best = NULL;

    for (const sora_option *t = table; t->name; t++)
        if (distance(name, t->name) <= 2 && (!best || distance(name, t->name) < distance(name, best->name))) best = t;
    if (best) return sr_fail(err, SORA_ERR_OPTION, "no option \"%s\"; did you mean \"%s\"?", name, best->name);
    return sr_fail(err, SORA_ERR_OPTION, "no option \"%s\"", name);
}

/* Digits with an optional sign and nothing else: no white space, no hexadecimal, no overflow. */
static bool parse_int(const char *s, int64_t *v)
{
    char *end;

    if (!isdigit((unsigned char)s[*s == '-' || *s == '+'])) return false;
    errno = 0;
    *v = strtoll(s, &end, 10);
    return !*end && !errno;
}

/* A decimal number with a point, whatever the locale of the host says: 3, .5, 2.5e-1. */
static bool parse_float(const char *s, double *v)
{
    double value = 0, sign = 1;
    int digits = 0, exponent = 0;
    int64_t e = 0;

    if (*s == '-' || *s == '+') sign = *s++ == '-' ? -1 : 1;
    for (; isdigit((unsigned char)*s); s++, digits++) value = value * 10 + (*s - '0');
    if (*s == '.')
        for (s++; isdigit((unsigned char)*s); s++, digits++, exponent--) value = value * 10 + (*s - '0');
    if (!digits || digits > 300) return false;
    if ((*s == 'e' || *s == 'E') && parse_int(s + 1, &e) && e >= -300 && e <= 300) s = "";
    *v = sign * value * pow(10, exponent + (int)e);
    return !*s && isfinite(*v);
}

/* Greatest common divisor, so that 24.000 is 24/1 and not 24000/1000. */
static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        const int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

static bool rate_ok(int64_t num, int64_t den)
{
    return num > 0 && den > 0 && num <= INT32_MAX && den <= INT32_MAX && (double)num / (double)den <= MAX_RATE &&
           (double)den / (double)num <= 1000;
}

/* "24", "24000/1001", "23.976" */
static bool parse_rate(const char *s, int *rate_num, int *rate_den)
{
    const size_t whole = strspn(s, "0123456789");
    char part[32];
    int64_t num, den = 1, g;

    if (!whole || whole >= 12) return false;
    memcpy(part, s, whole);
    part[whole] = 0;
    if (!parse_int(part, &num)) return false;
    if (s[whole] == '/') {
        if (!isdigit((unsigned char)s[whole + 1]) || !parse_int(s + whole + 1, &den)) return false;
    } else if (s[whole] == '.') {
        const char *d = s + whole + 1;
        for (; isdigit((unsigned char)*d) && den < 1000000; d++, den *= 10) num = num * 10 + (*d - '0');
        if (*d) return false;
    } else if (s[whole]) {
        return false;
    }
    if (den == 0 || num == 0) return false;
    g = gcd(num, den);
    num /= g;
    den /= g;
    if (!rate_ok(num, den)) return false;
    *rate_num = (int)num;
    *rate_den = (int)den;
    return true;
}

static bool parse_size(const char *s, int *width, int *height)
{
    const size_t n = strspn(s, "0123456789");
    int64_t w, h;
    char part[8];

    if (!n || n >= sizeof part || (s[n] != 'x' && s[n] != 'X') || !isdigit((unsigned char)s[n + 1])) return false;
    memcpy(part, s, n);
    part[n] = 0;
    if (!parse_int(part, &w) || !parse_int(s + n + 1, &h)) return false;
    if (w < MIN_SIZE || w > MAX_SIZE || h < MIN_SIZE || h > MAX_SIZE) return false;
    *width = (int)w;
    *height = (int)h;
    return true;
}

/* s is one of the words of "a|b|c". */
static bool in_list(const char *values, const char *s)
{
    const size_t n = strcspn(s, "|");

    if (s[n]) return false;
    for (const char *v = values; v; v = strchr(v, '|') ? strchr(v, '|') + 1 : NULL)
        if (n && !strncmp(v, s, n) && (v[n] == '|' || !v[n])) return true;
    return false;
}

/* What would have been right, as the end of a message. */
static sora_result wrong(const sora_option *t, const char *value, sora_error *err)
{
    switch (t->type) {
    case SORA_OPTION_INT:
        if (t->max >= 0x1p62)
            return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted a whole number from %.0f to %lld", t->name,
                           value, t->min, (long long)INT64_MAX);
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted a whole number from %.0f to %.0f", t->name,
                       value, t->min, t->max);
    case SORA_OPTION_FLOAT:
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted a number from %g to %g", t->name, value, t->min,
                       t->max);
    case SORA_OPTION_SIZE:
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted WIDTHxHEIGHT from %dx%d to %dx%d, as 512x288",
                       t->name, value, MIN_SIZE, MIN_SIZE, MAX_SIZE, MAX_SIZE);
    case SORA_OPTION_RATE:
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted frames per second from 1/1000 to %d, as 24 or "
                       "24000/1001", t->name, value, MAX_RATE);
    case SORA_OPTION_ENUM:
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\", wanted one of %s", t->name, value, t->values);
    default:
        return sr_fail(err, SORA_ERR_OPTION, "%s: found \"%.100s\"", t->name, value);
    }
}

/* FFmpeg spells '-' as '_'. */
static bool same_name(const char *a, const char *b)
{
    for (; *a && (*a == *b || (*a == '-' && *b == '_')); a++, b++) {}
    return !*a && !*b;
}

static const sora_option *find(const char *name)
{
    for (const sora_option *t = table; t->name; t++)
        if (same_name(t->name, name)) return t;
    return NULL;
}

/* The field of an option whose value is kept as text. */
static const char **text_field(sora_options *o, const char *name)
{
    const struct { const char *name; const char **field; } texts[] = {
        { "prompt", &o->prompt }, { "prompt-file", &o->prompt_file }, { "negative-prompt", &o->negative_prompt },
        { "model", &o->model }, { "sampler", &o->sampler }, { "precision", &o->precision }, { "vae", &o->vae },
    };

    for (size_t i = 0; i < SR_COUNT(texts); i++)
        if (!strcmp(texts[i].name, name)) return texts[i].field;
    return NULL;
}

static sora_result set_number(sora_options *o, const sora_option *t, const char *value, sora_error *err)
{
    const bool own = !*value && !*t->def;       /* "": the model's own, as the table's default says */
    int64_t i = !strcmp(t->name, "frames") ? -1 : 0;
    double f = 0;

    if (t->type == SORA_OPTION_INT && !own) {
        if (!parse_int(value, &i) || (double)i < t->min || (double)i > t->max) return wrong(t, value, err);
    }
    if (t->type == SORA_OPTION_FLOAT && !own) {
        if (!parse_float(value, &f) || f < t->min || f > t->max) return wrong(t, value, err);
    }
    if (!strcmp(t->name, "frames")) o->frames = i;
    else if (!strcmp(t->name, "seed")) o->seed = i;
    else if (!strcmp(t->name, "steps")) o->steps = (int)i;
    else if (!strcmp(t->name, "threads")) o->threads = (int)i;
    else if (!strcmp(t->name, "guidance")) o->guidance = (float)f;
    else o->shift = (float)f;
    return SORA_OK;
}

sora_result sora_options_set(sora_options *o, const char *name, const char *value, sora_error *err)
{
    const sora_option *t = find(name);
    const char **field;

    if (!t) return unknown(name, err);
    switch (t->type) {
    case SORA_OPTION_SIZE:
        if (!*value) o->width = o->height = 0;
        else if (!parse_size(value, &o->width, &o->height)) return wrong(t, value, err);
        return SORA_OK;
    case SORA_OPTION_RATE:
        if (!*value) o->rate_num = o->rate_den = 0;
        else if (!parse_rate(value, &o->rate_num, &o->rate_den)) return wrong(t, value, err);
        return SORA_OK;
    case SORA_OPTION_INT:
    case SORA_OPTION_FLOAT:
        return set_number(o, t, value, err);
    case SORA_OPTION_ENUM:
        if (*value && !in_list(t->values, value)) return wrong(t, value, err);
        break;
    default:
        break;
    }
    field = text_field(o, t->name);
    *field = *value || !strcmp(t->name, "prompt") ? value : NULL;
    return SORA_OK;
}

/* ---- Checked copies ---- */

/* What a C program may have put into the struct, against the same table. */
static sora_result check_numbers(const sora_options *o, sora_error *err)
{
    const struct { const char *name; double value, own; } numbers[] = {
        { "frames", (double)o->frames, -1 }, { "seed", (double)o->seed, -1 }, { "steps", o->steps, 0 },
        { "guidance", (double)o->guidance, 0 }, { "shift", (double)o->shift, 0 }, { "threads", o->threads, 0 },
    };
    char text[64];

    for (size_t i = 0; i < SR_COUNT(numbers); i++) {
        const sora_option *t = find(numbers[i].name);
        const double v = numbers[i].value;
        if (v == numbers[i].own || (v >= (double)(float)t->min && v <= t->max)) continue;   /* NaN is refused */
        snprintf(text, sizeof text, "%.9g", v);
        return wrong(t, text, err);
    }
    if ((o->width || o->height) &&
        (o->width < MIN_SIZE || o->height < MIN_SIZE || o->width > MAX_SIZE || o->height > MAX_SIZE)) {
        snprintf(text, sizeof text, "%dx%d", o->width, o->height);
        return wrong(find("size"), text, err);
    }
    if ((o->rate_num || o->rate_den) && !rate_ok(o->rate_num, o->rate_den)) {
        snprintf(text, sizeof text, "%d/%d", o->rate_num, o->rate_den);
        return wrong(find("rate"), text, err);
    }
    if (o->sampler && *o->sampler && !in_list(find("sampler")->values, o->sampler))
        return wrong(find("sampler"), o->sampler, err);
    if (o->precision && *o->precision && !in_list(find("precision")->values, o->precision))
        return wrong(find("precision"), o->precision, err);
    if ((int)o->format < 0 || o->format >= SORA_FORMAT_COUNT)
        return sr_fail(err, SORA_ERR_OPTION, "format: found %d, wanted one of sora_format, 0 to %d", (int)o->format,
                       SORA_FORMAT_COUNT - 1);
    return SORA_OK;
}

static sora_result read_prompt_file(sora_options *o, sora_error *err)
{
    char *text;
    size_t n;
    sora_result r = sr_read_file(&text, &n, SR_PROMPT_MAX, o->prompt_file, err);

    if (r < 0) {
        if (err && r == SORA_ERR_MODEL) err->code = r = SORA_ERR_OPTION;    /* the file is no model: too long, a folder */
        return r;
    }
    if (memchr(text, 0, n)) {
        sr_free(text);
        return sr_fail(err, SORA_ERR_OPTION, "prompt-file: %s: found a NUL byte, wanted UTF-8 text", o->prompt_file);
    }
    if (n && text[n - 1] == '\n') text[--n] = 0;
    if (n && text[n - 1] == '\r') text[--n] = 0;
    sr_free((char *)o->prompt);
    o->prompt = text;
    return SORA_OK;
}

/* Every string of the struct: one list for copying and freeing. */
#define STRINGS(o)                                                                                                      \
    { &(o)->prompt, &(o)->prompt_file, &(o)->negative_prompt, &(o)->model, &(o)->sampler, &(o)->precision, &(o)->vae,   \
      &(o)->noise_file, &(o)->text_file, &(o)->latents_file, &(o)->save_text_file, &(o)->save_latents_file,     \
      &(o)->save_frames_file }

sora_result sr_options_copy(sora_options *to, const sora_options *from, sora_error *err)
{
    sora_options got;
    const char **own[] = STRINGS(to), **theirs[] = STRINGS(&got);
    sora_result r;

    sora_options_init(to);
    if (from->size < offsetof(sora_options, log) || from->size > 65536)
        return sr_fail(err, SORA_ERR_OPTION, "options: size is %zu; fill the struct with sora_options_init() first", from->size);
    sora_options_init(&got);
    memcpy(&got, from, SR_MIN(from->size, sizeof got));     /* fields that an older caller does not know keep their defaults */
    *to = got;
    to->size = sizeof *to;
    for (size_t i = 0; i < SR_COUNT(own); i++) *own[i] = NULL;
    for (size_t i = 0; i < SR_COUNT(own); i++)
        if (*theirs[i] && !(*own[i] = sr_strdup(*theirs[i]))) {
            r = sr_fail_nomem(err, strlen(*theirs[i]) + 1, "options");
            goto done;
        }
    if ((r = check_numbers(to, err)) < 0) goto done;
    if (to->prompt_file && *to->prompt_file) {
        if (to->prompt && *to->prompt) {
            r = sr_fail(err, SORA_ERR_OPTION, "prompt and prompt-file are both given; give one of them");
            goto done;
        }
        if ((r = read_prompt_file(to, err)) < 0) goto done;
    }
    if (to->negative_prompt && (r = sr_prompt_check("negative-prompt", to->negative_prompt, err)) < 0) goto done;
    if (!to->model || !*to->model) {
        sr_free((char *)to->model);
        if (!(to->model = sr_strdup(find("model")->def))) r = sr_fail_nomem(err, 8, "options");
    }
done:
    if (r < 0) sr_options_free(to);
    return r;
}

void sr_options_free(sora_options *o)
{
    const char **own[] = STRINGS(o);

    for (size_t i = 0; i < SR_COUNT(own); i++) {
        sr_free((char *)*own[i]);
        *own[i] = NULL;
    }
}
