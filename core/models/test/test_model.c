/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <time.h>

#include "models/test/test_model.h"

/* ---- Knobs ---- */

static const struct knob {
    const char *name;
    size_t offset;
    int min, max;
} knobs[] = {
    { "rate", offsetof(struct sr_test_knobs, rate), 1, 1000 },
    { "frames", offsetof(struct sr_test_knobs, frames), 1, 1000000 },
    { "steps", offsetof(struct sr_test_knobs, steps), 1, 1000 },
    { "chunk-frames", offsetof(struct sr_test_knobs, chunk_frames), 1, 1000 },
    { "step-delay", offsetof(struct sr_test_knobs, step_delay_ms), 0, 600000 },
    { "load-delay", offsetof(struct sr_test_knobs, load_delay_ms), 0, 600000 },
    { "text-delay", offsetof(struct sr_test_knobs, text_delay_ms), 0, 600000 },
    { "decode-delay", offsetof(struct sr_test_knobs, decode_delay_ms), 0, 600000 },
    { "fail-chunk", offsetof(struct sr_test_knobs, fail_chunk), 0, 1000000 },
    { "ignore-cancel", offsetof(struct sr_test_knobs, ignore_cancel), 0, 1 },
    { "nan", offsetof(struct sr_test_knobs, nan), 0, 1 },
    { "streams", offsetof(struct sr_test_knobs, streams), 0, 1 },
    { "fixed-size", offsetof(struct sr_test_knobs, fixed_size), 0, 1 },
};

bool sr_test_is(const char *model)
{
    return !strncmp(model, "test", 4) && (model[4] == 0 || model[4] == '/');
}

/* value ends at the next slash; digits only */
static bool number(const char *s, size_t n, int min, int max, int *v)
{
    long long x = 0;

    if (n == 0 || n > 9) return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        x = x * 10 + (s[i] - '0');
    }
    if (x < min || x > max) return false;
    *v = (int)x;
    return true;
}

static sora_result set_fault(struct sr_test_knobs *k, const char *s, size_t n, sora_error *err)
{
    static const char *const names[] = { "", "load", "text", "step", "decode" };

    for (size_t i = 1; i < SR_COUNT(names); i++)
        if (n == strlen(names[i]) && !memcmp(s, names[i], n)) {
            k->fail = (enum sr_test_fault)i;
            return SORA_OK;
        }
    return sr_fail(err, SORA_ERR_OPTION, "model test: fail: found \"%.*s\", wanted one of load|text|step|decode", (int)n, s);
}

static sora_result set_size(struct sr_test_knobs *k, const char *s, size_t n, sora_error *err)
{
    const char *x = memchr(s, 'x', n);

    if (x && number(s, (size_t)(x - s), 16, 16384, &k->width) &&
        number(x + 1, n - (size_t)(x - s) - 1, 16, 16384, &k->height)) return SORA_OK;
    return sr_fail(err, SORA_ERR_OPTION, "model test: size: found \"%.*s\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384",
                   (int)SR_MIN(n, (size_t)100), s);
}

/* One "name=value" of length n. */
static sora_result set_knob(struct sr_test_knobs *k, const char *s, size_t n, sora_error *err)
{
    const char *eq = memchr(s, '=', n);
    const size_t name = eq ? (size_t)(eq - s) : n, value = eq ? n - name - 1 : 0;

    if (name == 4 && !memcmp(s, "fail", 4)) return set_fault(k, s + 5, value, err);
    if (name == 4 && !memcmp(s, "size", 4)) return set_size(k, s + 5, value, err);
    for (size_t i = 0; i < SR_COUNT(knobs); i++) {
        if (strlen(knobs[i].name) != name || memcmp(s, knobs[i].name, name)) continue;
        if (eq && number(eq + 1, value, knobs[i].min, knobs[i].max, (int *)((char *)k + knobs[i].offset))) return SORA_OK;
        return sr_fail(err, SORA_ERR_OPTION, "model test: %s: found \"%.*s\", wanted a whole number from %d to %d",
                       knobs[i].name, (int)SR_MIN(value, (size_t)100), eq ? eq + 1 : "", knobs[i].min, knobs[i].max);
    }
    return sr_fail(err, SORA_ERR_OPTION, "model test: no knob \"%.*s\"", (int)SR_MIN(name, (size_t)100), s);
}

sora_result sr_test_parse(struct sr_test_knobs *k, const char *model, sora_error *err)
{
    sora_result r = SORA_OK;

    *k = (struct sr_test_knobs){ .width = 320, .height = 180, .rate = 16, .frames = 33, .steps = 4, .chunk_frames = 8,
                                 .streams = 1 };
    for (const char *s = model + 4; r == SORA_OK && *s == '/';) {
        const size_t n = strcspn(s + 1, "/");
        if (n) r = set_knob(k, s + 1, n, err);
        s += 1 + n;
    }
    return r;
}

/* ---- Work ---- */

sora_result sr_test_work(const struct sr_test_knobs *k, int ms, const struct sr_cancel *cancel, sora_error *err)
{
    const double end = sr_now() + ms * 1e-3;

    for (;;) {
        const double left = end - sr_now();
        struct timespec t = { .tv_nsec = (long)(1e9 * SR_CLAMP(left, 0.0, 0.005)) };    /* looks at cancel every 5 ms */
        if (!k->ignore_cancel && sr_cancelled(cancel)) return sr_fail(err, SORA_ERR_CANCELLED, "cancelled");
        if (left <= 0) return SORA_OK;
        nanosleep(&t, NULL);
    }
}

/* ---- Pattern ---- */

/* 64-bit FNV-1a, then the counter-based generator so that similar prompts look unlike each other. */
static uint64_t hash(const char *prompt, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *prompt; prompt++) h = (h ^ (unsigned char)*prompt) * 0x100000001b3u;
    return sr_rng_u64(seed, 1, h);
}

/* 0..1..0 with period 1 */
static float triangle(double x)
{
    x -= floor(x);
    return (float)(x < 0.5 ? 2 * x : 2 - 2 * x);
}

static float byte(uint64_t h, int i)
{
    return (float)(h >> 8 * i & 255) / 255;
}

void sr_test_frame(float *rgb, int w, int h, const char *prompt, uint64_t seed, float guidance, int64_t n)
{
    const uint64_t k = hash(prompt, seed);
    const float top[3] = { byte(k, 0), byte(k, 1), byte(k, 2) }, bottom[3] = { byte(k, 3), byte(k, 4), byte(k, 5) };
    const float stripes = SR_MIN((0.05f + 0.15f * byte(k, 6)) * guidance, 1.0f);
    const int tilt = 1 + (int)(k >> 56 & 3);
    /* a disc on a path that takes 97 by 61 frames: every frame differs from the ones around it */
    const float radius = 0.12f * (float)h, cx = triangle((double)n / 97) * (float)w, cy = triangle((double)n / 61) * (float)h;

    for (int y = 0; y < h; y++) {
        const float v = (float)y / (float)h;
        for (int x = 0; x < w; x++) {
            const float dx = (float)x - cx, dy = (float)y - cy;
            const bool disc = dx * dx + dy * dy < radius * radius;
            const int wave = (int)((x + (int64_t)y * tilt + 2 * (n % 64)) & 63);
            const float shade = stripes * (float)(wave < 32 ? wave : 63 - wave) / 31;
            for (int c = 0; c < 3; c++) {
                const float ground = top[c] + (bottom[c] - top[c]) * v, value = (disc ? 1 - ground : ground) * (1 - shade);
                rgb[((size_t)c * (size_t)h + (size_t)y) * (size_t)w + (size_t)x] = value;
            }
        }
    }
}
