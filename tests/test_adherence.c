/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pocket shows what prompts ask for, told from the pixels; with damaged weights it does not, and the same look tells that. */
#include <math.h>
#include <sys/stat.h>
#include <sora/sora.h>

#include "base/base.h"
#include "near.h"
#include "pocket_folder.h"
#include "folder.h"

enum { W = 512, H = 288, LOWER = 72,    /* pixels; rows at the bottom that are ground in every landscape */
       SEED = 3, SEEDS = 4 };           /* the first, and how many tell of motion: no seed alone does */
static float picture[3][H][W];

/* Degrees of the colour circle; -1: no strong colour. */
static float hue(float r, float g, float b)
{
    const float most = fmaxf(r, fmaxf(g, b)), d = most - fminf(r, fminf(g, b));

    if (d < 0.4f) return -1;
    if (most == r) return 60 * fmodf((g - b) / d + 6, 6);
    return most == g ? 60 * ((b - r) / d + 2) : 60 * ((r - g) / d + 4);
}

static const struct { const char *name; float hue; } colours[] = {      /* blue is the sky, too */
    { "red", 0 }, { "orange", 30 }, { "yellow", 51 }, { "green", 133 }, { "purple", 276 }, { "pink", 331 },
};

struct look {
    float ground[3], light;             /* means, 0..1 */
    int of[SR_COUNT(colours)];          /* pixels */
    float x[SR_COUNT(colours)], y[SR_COUNT(colours)];       /* their middle */
};

static struct look look(void)
{
    struct look l = { 0 };

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const float r = picture[0][y][x], g = picture[1][y][x], b = picture[2][y][x], h = hue(r, g, b);

            l.light += (0.2126f * r + 0.7152f * g + 0.0722f * b) / (W * H);
            for (int c = 0; c < 3 && y >= H - LOWER; c++) l.ground[c] += picture[c][y][x] / (W * LOWER);
            for (size_t k = 0; h >= 0 && k < SR_COUNT(colours); k++) {
                if (fabsf(remainderf(h - colours[k].hue, 360)) >= 15) continue;
                l.of[k]++;
                l.x[k] += ((float)x - l.x[k]) / (float)l.of[k];
                l.y[k] += ((float)y - l.y[k]) / (float)l.of[k];
            }
        }
    return l;
}

/* The first picture of what the model makes of the prompt, and number `at` in *later. */
static struct look shown(const char *model, const char *prompt, int seed, int at, struct look *later)
{
    sora_options o;
    sora_frame f;
    struct look first = { 0 };
    sora_session *s;
    sora_error err;

    sora_options_init(&o);
    o.model = model;
    o.prompt = prompt;
    o.seed = seed;
    o.frames = at + 1;
    o.format = SORA_FORMAT_RGBPF32;
    sora_frame_init(&f);
    for (int c = 0; c < 3; c++) f.data[c] = (uint8_t *)picture[c], f.stride[c] = sizeof picture[c][0];
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s", err.text);
    for (int i = 0; i <= at; i++) {
        ck_assert_msg(sora_session_next(s, &f, &err) == SORA_OK, "%s", err.text);
        if (i == 0) first = look();
    }
    if (later) *later = look();
    sora_session_close(&s);
    return first;
}

static bool is_desert(const float *c) { return c[0] > c[1] + 0.1f && c[1] > c[2] + 0.1f; }
static bool is_water(const float *c)  { return c[2] > c[1] + 0.1f && c[1] > c[0] + 0.1f; }
static bool is_grass(const float *c)  { return c[1] > c[0] + 0.1f && c[1] > c[2] + 0.1f; }
static bool is_snow(const float *c)   { return c[0] > 0.6f && c[1] > 0.6f && c[2] > 0.6f; }

static const struct { const char *name; bool (*is)(const float *rgb); } grounds[] = {
    { "sand dunes", is_desert }, { "the sea", is_water }, { "green hills", is_grass }, { "a snowfield", is_snow },
};
#define ASKED (SR_COUNT(colours) + 2 * SR_COUNT(grounds) + 1)

/* How many of ASKED prompts show what they say: the colour of a ball, the ground by day, the light at night, a sunset. */
static int right(const char *model)
{
    char prompt[100];
    struct look l;
    int n = 0;

    for (size_t i = 0; i < SR_COUNT(colours); i++) {
        int others = 0;
        snprintf(prompt, sizeof prompt, "a %s ball over the snow under a cloudy sky", colours[i].name);
        l = shown(model, prompt, SEED, 0, NULL);
        for (size_t k = 0; k < SR_COUNT(colours); k++) others += k == i ? 0 : l.of[k];
        n += l.of[i] > 800 && others < l.of[i] / 2;
    }
    for (size_t i = 0; i < SR_COUNT(grounds); i++) {
        snprintf(prompt, sizeof prompt, "%s by day", grounds[i].name);
        l = shown(model, prompt, SEED, 0, NULL);
        n += grounds[i].is(l.ground) && l.light > 0.45f;
        snprintf(prompt, sizeof prompt, "%s at night", grounds[i].name);
        n += shown(model, prompt, SEED, 0, NULL).light < 0.35f;
    }
    l = shown(model, "the sea at sunset", SEED, 0, NULL);
    return n + (l.of[0] + l.of[1] > W * H / 10);
}

static const struct { const char *prompt; size_t colour; int x, y; } ways[] = {
    { "a red ball over green hills drifting left", 0, -1, 0 },   { "a red ball over green hills drifting right", 0, 1, 0 },
    { "a purple balloon over the sea flying left", 4, -1, 0 },   { "a purple balloon over the sea flying right", 4, 1, 0 },
    { "a pink hot air balloon over the hills rising", 5, 0, -1 }, { "a red balloon over the sea rising", 0, 0, -1 },
};
enum { LATER = 20, FAR = 20 };          /* pictures; pixels, of the 65 that the training's scenes move in that time (45 up) */

/* How many of these, with each seed, have their subject go where they say, told from where its colour is. */
static int moved(const char *model, int seeds)
{
    int n = 0;

    for (int i = 0; i < (int)SR_COUNT(ways) * seeds; i++) {
        const int way = i / seeds, seed = SEED + i % seeds;
        struct look b;
        const struct look a = shown(model, ways[way].prompt, seed, LATER, &b);
        const size_t k = ways[way].colour;
        n += a.of[k] > 300 && b.of[k] > 300 && (b.x[k] - a.x[k]) * (float)ways[way].x + (b.y[k] - a.y[k]) * (float)ways[way].y > FAR;
    }
    return n;
}

START_TEST(test_shows_what_is_asked)
{
    int n;

    if (sanitized()) return;            /* minutes of what test_damage_shows() and test_pocket run as well */
    n = right("pocket");
    ck_assert_msg(n >= (int)ASKED - 1, "%d of %d prompts show what they say", n, (int)ASKED);
}
END_TEST

START_TEST(test_moves_as_asked)
{
    const int all = SEEDS * (int)SR_COUNT(ways);
    int n;

    if (sanitized()) return;
    n = moved("pocket", SEEDS);
    ck_assert_msg(n > all / 2, "%d of %d subjects go where the prompt says", n, all);
}
END_TEST

/* The same folder, whose text encoder says nothing. */
START_TEST(test_damage_shows)
{
    char from[600];
    uint64_t head = 0;
    size_t size;
    char *file;
    FILE *f;
    int n;

    folder_make(NULL, 0);
    link_pocket(folder, "text_encoder");
    ck_assert_int_eq(mkdir(in_folder("text_encoder"), 0700), 0);
    pocket_path(from, "text_encoder/config.json");
    ck_assert_int_eq(symlink(from, in_folder("text_encoder/config.json")), 0);
    pocket_path(from, "text_encoder/model.safetensors");
    ck_assert_int_eq(sr_read_file(&file, &size, 64 << 20, from, NULL), SORA_OK);
    memcpy(&head, file, sizeof head);
    memset(file + 8 + head, 0, size - 8 - head);
    ck_assert((f = fopen(in_folder("text_encoder/model.safetensors"), "w")) != NULL);
    ck_assert(fwrite(file, size, 1, f) == 1 && fclose(f) == 0);
    sr_free(file);

    n = right(folder);
    ck_assert_msg(n <= (int)ASKED / 2, "%d of %d prompts show what they say, with a text encoder of zeros", n, (int)ASKED);
    n = sanitized() ? 0 : moved(folder, 1);
    ck_assert_msg(n <= 1, "%d of %d subjects go where they should, with a text encoder of zeros", n,
                  (int)SR_COUNT(ways));
    folder_remove();
}
END_TEST

RUN_TESTS("adherence", test_shows_what_is_asked, test_moves_as_asked, test_damage_shows)
