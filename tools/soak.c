/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A long stream, measured: soak [options] [PROMPT ...] >out.csv
 *
 *     --minutes N     of content (30)
 *     --every S       seconds of content between two changes of the prompt, which go round (60)
 *     --wall S        give up after so many seconds of work, with what there is until then (0: never)
 *     -m MODEL, --threads N, --seed N, --size WxH: as those of sora generate
 *
 * One row for each second of content: memory of the process, and of the pictures of that second mean, variance, sharpness
 * and colour.  tools/plot-soak.py draws them.  The status is 1 where memory grew, or a picture is one flat colour.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sora/sora.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define GROWTH   ((int64_t)4 << 20)     /* bytes that may come after the first round of prompts */
#define FLAT     1e-5                   /* variance of luma below which nothing is to be seen */

static const char *const own_prompts[] = {
    "calm sea at sunset, slow clouds",   "a red balloon over green hills", "a snowy forest at night",
    "a blue kite over a desert at noon", "a city in the rain at dawn",
};

struct picture {
    double mean, variance, sharpness, colour; /* luma 0..1; mean step to the next pixel; mean distance from grey */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t resident(void)
{
    long long total = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f && fscanf(f, "%lld %lld", &total, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* f: 4:2:0, limited range */
static struct picture look(const sora_frame *f, int w, int h)
{
    struct picture p = { 0 };
    double sum = 0, squares = 0, steps = 0, colour = 0;
    const double n = (double)w * h;
    const int cw = (w + 1) / 2, ch = (h + 1) / 2;

    for (int y = 0; y < h; y++) {
        const uint8_t *row = f->data[0] + y * f->stride[0];
        for (int x = 0; x < w; x++) {
            const double v = (row[x] - 16) / 219.0;
            sum += v;
            squares += v * v;
            if (x + 1 < w) steps += abs(row[x + 1] - row[x]);
            if (y + 1 < h) steps += abs(row[x + f->stride[0]] - row[x]);
        }
    }
    for (int y = 0; y < ch; y++)
        for (int x = 0; x < cw; x++)
            colour += hypot(f->data[1][y * f->stride[1] + x] - 128, f->data[2][y * f->stride[2] + x] - 128);
    p.mean = sum / n;
    p.variance = squares / n - p.mean * p.mean;
    p.sharpness = steps / (2 * n * 219);
    p.colour = colour / ((double)cw * ch * 112);
    return p;
}

static void add(struct picture *to, const struct picture *p, double weight)
{
    to->mean += weight * p->mean;
    to->variance += weight * p->variance;
    to->sharpness += weight * p->sharpness;
    to->colour += weight * p->colour;
}

struct soak {
    double minutes, wall_s;
    int every_s;
    const char *const *prompts;
    int nprompts;
    sora_session *s;
    sora_info info;
    sora_frame frame;
};

/* The rows.  0: all was well. */
static int measure(struct soak *k, sora_error *err)
{
    const double rate = (double)k->info.rate_num / k->info.rate_den, begin = now();
    const int64_t seconds = (int64_t)(60 * k->minutes), warm = (int64_t)k->every_s * k->nprompts;
    int64_t frames = 0, at_first = 0, most = 0, flat = 0, second = 0, got = -1;

    printf("second,frames,prompt,elapsed_s,memory_bytes,mean,variance,sharpness,colour\n");
    for (; second < seconds && (k->wall_s == 0 || now() - begin < k->wall_s); second++) {
        const int64_t end = (int64_t)ceil((double)(second + 1) * rate);
        struct picture sum = { 0 };
        const double weight = 1 / (double)(end - frames);

        if (second && second % k->every_s == 0 &&
            sora_session_set_prompt(k->s, k->prompts[second / k->every_s % k->nprompts], err) < 0) return 1;
        for (; frames < end; frames++) {
            if (sora_session_next(k->s, &k->frame, err) != SORA_OK) return 1;
            if (k->frame.pts != frames) {
                snprintf(err->text, sizeof err->text, "frame %" PRId64 " came where %" PRId64 " was due", k->frame.pts,
                         frames);
                return 1;
            }
            const struct picture p = look(&k->frame, k->info.width, k->info.height);
            add(&sum, &p, weight);
        }
        got = resident();
        if (second == warm) at_first = got;
        if (got > most) most = got;
        flat += sum.variance < FLAT;
        printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%.3f,%" PRId64 ",%.5f,%.6f,%.6f,%.5f\n", second, frames,
               k->frame.prompt, now() - begin, got, sum.mean, sum.variance, sum.sharpness, sum.colour);
        fflush(stdout);
    }
    fprintf(stderr, "soak: %" PRId64 " s of content in %.0f s, %.1f frames/s; memory %.1f MiB, ", second, now() - begin,
            (double)frames / (now() - begin), (double)got / 0x1p20);
    if (at_first) fprintf(stderr, "%+.2f MiB after the first round of prompts; ", (double)(most - at_first) / 0x1p20);
    else fprintf(stderr, "too short to say whether it grows; ");
    fprintf(stderr, "%" PRId64 " s without a picture\n", flat);
    return (at_first && most - at_first > GROWTH) || flat > 0;
}

static int usage(const char *what)
{
    fprintf(
        stderr,
        "soak: %s\nusage: soak [--minutes N] [--every S] [--wall S] [-m MODEL] [--threads N] [--seed N] [--size WxH] "
        "[PROMPT ...] >out.csv\n",
        what);
    return 2;
}

int main(int argc, char **argv)
{
    struct soak k = { .minutes = 30, .every_s = 60, .prompts = own_prompts, .nprompts = (int)COUNT(own_prompts) };
    sora_options o;
    sora_error err = { 0 };
    int r = 1, i;

    sora_options_init(&o);
    for (i = 1; i < argc && argv[i][0] == '-'; i += 2) {
        const char *name = argv[i] + 1 + (argv[i][1] == '-'), *value = argv[i + 1];
        if (!value) return usage("an option without a value");
        if (!strcmp(name, "minutes")) k.minutes = atof(value);
        else if (!strcmp(name, "every")) k.every_s = atoi(value);
        else if (!strcmp(name, "wall")) k.wall_s = atof(value);
        else if (sora_options_set(&o, !strcmp(name, "m") ? "model" : name, value, &err) < 0) return usage(err.text);
    }
    if (!(k.minutes > 0 && k.minutes < 1e6) || k.every_s < 1 || k.wall_s < 0)
        return usage("minutes and every are above 0");
    if (i < argc) k.prompts = (const char *const *)argv + i, k.nprompts = argc - i;
    o.prompt = k.prompts[0];
    o.frames = 0;
    if (sora_session_open(&k.s, &o, &err) < 0) goto done;
    sora_info_init(&k.info);
    sora_session_get_info(k.s, &k.info);
    sora_frame_init(&k.frame);
    for (int p = 0; p < 3; p++) {
        k.frame.stride[p] = (ptrdiff_t)sora_format_row_bytes(k.info.format, p, k.info.width);
        k.frame.data[p] = malloc((size_t)k.frame.stride[p] * (size_t)sora_format_rows(k.info.format, p, k.info.height));
        if (!k.frame.data[p]) goto done;
    }
    r = measure(&k, &err);
done:
    if (err.text[0]) fprintf(stderr, "soak: %s\n", err.text);
    sora_session_close(&k.s);
    for (int p = 0; p < 3; p++) free(k.frame.data[p]);
    return r;
}
