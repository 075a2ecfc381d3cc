/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions with model "test": every knob, cancel at any time, prompts, errors, many at once. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "near.h"

enum { W = 32, H = 16 };
#define SIZE "/size=32x16"

struct picture {
    sora_frame frame;
    uint8_t rgb[W * H * 3];
};

static sora_session *open_session(sora_options *o, const char *model, int64_t frames)
{
    sora_session *s = NULL;
    sora_error err = { 0 };

    o->model = model;
    o->frames = frames;
    o->format = SORA_FORMAT_RGB24;
    if (!o->prompt) o->prompt = "a red balloon";
    ck_assert_msg(sora_session_open(&s, o, &err) == SORA_OK, "%s: %s", model, err.text);
    return s;
}

static sora_session *simple(const char *model, int64_t frames)
{
    sora_options o;

    sora_options_init(&o);
    return open_session(&o, model, frames);
}

static sora_result next(sora_session *s, struct picture *p, sora_error *err)
{
    sora_frame_init(&p->frame);
    p->frame.data[0] = p->rgb;
    p->frame.stride[0] = 3 * W;
    return sora_session_next(s, &p->frame, err);
}

/* All frames to the end; how many, and their bytes where all is not NULL. */
static int drain(sora_session *s, uint8_t *all)
{
    struct picture p;
    sora_error err = { 0 };
    sora_result r;
    int n = 0;

    while ((r = next(s, &p, &err)) == SORA_OK) {
        ck_assert_int_eq(p.frame.pts, n);
        if (all) memcpy(all + (size_t)n * sizeof p.rgb, p.rgb, sizeof p.rgb);
        n++;
    }
    ck_assert_msg(r == SORA_EOS, "%s", err.text);
    ck_assert_int_eq(next(s, &p, &err), SORA_EOS);                  /* and again */
    return n;
}

START_TEST(test_clip)
{
    sora_session *s = simple("test" SIZE, -1);
    struct picture p;
    sora_info info;

    sora_info_init(&info);
    sora_session_get_info(s, &info);
    ck_assert(info.width == W && info.height == H && info.rate_num == 16 && info.rate_den == 1 && info.frames == 33);
    ck_assert(info.chunk == 8 && info.streams == 1 && info.seed == 0 && info.steps == 4);
    ck_assert_str_eq(info.model, "test");
    for (int n = 0; n < 33; n++) {
        ck_assert_int_eq(next(s, &p, NULL), SORA_OK);
        ck_assert_int_eq(p.frame.pts, n);
        ck_assert_int_eq(p.frame.chunk_first, n % 8 == 0);
        ck_assert_int_eq(p.frame.prompt, 0);
        ck_assert_str_eq(p.frame.prompt_text, "a red balloon");
    }
    ck_assert_int_eq(next(s, &p, NULL), SORA_EOS);
    ck_assert_int_eq(sora_session_ready(s), 1);
    sora_session_close(&s);
    ck_assert_ptr_null(s);
    sora_session_close(&s);
    sora_session_close(NULL);
}
END_TEST

/* Equal seeds give equal bytes, whatever the chunks are; other seeds and prompts others; every frame moves. */
START_TEST(test_same_bytes)
{
    static uint8_t a[20][W * H * 3], b[20][W * H * 3];
    sora_options o;
    sora_session *s = simple("test" SIZE, 20);

    ck_assert_int_eq(drain(s, a[0]), 20);
    sora_session_close(&s);
    s = simple("test/chunk-frames=3" SIZE, 20);
    ck_assert_int_eq(drain(s, b[0]), 20);
    sora_session_close(&s);
    ck_assert_mem_eq(a, b, sizeof a);
    for (int n = 1; n < 20; n++) ck_assert_mem_ne(a[n], a[n - 1], sizeof a[n]);
    sora_options_init(&o);
    o.seed = 1;
    s = open_session(&o, "test" SIZE, 20);
    drain(s, b[0]);
    sora_session_close(&s);
    ck_assert_mem_ne(a, b, sizeof a);
    sora_options_init(&o);
    o.prompt = "a red balloon.";
    s = open_session(&o, "test" SIZE, 20);
    drain(s, b[0]);
    sora_session_close(&s);
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

START_TEST(test_drawn_seed)
{
    sora_options o;
    sora_session *s;
    sora_info info;

    sora_options_init(&o);
    sora_info_init(&info);
    o.seed = -1;
    s = open_session(&o, "test" SIZE, 1);
    sora_session_get_info(s, &info);
    ck_assert(info.seed > 0);
    sora_session_close(&s);
}
END_TEST

START_TEST(test_refused)
{
    static const struct { const char *model, *prompt, *message; int64_t frames; } bad[] = {
        { "test/speed=1", "a", "model test: no knob \"speed\"", -1 },
        { "test/steps=0", "a", "model test: steps: found \"0\", wanted a whole number from 1 to 1000", -1 },
        { "test/fail=all", "a", "model test: fail: found \"all\", wanted one of load|text|step|decode", -1 },
        { "test/fail", "a", "model test: fail: found \"\", wanted one of load|text|step|decode", -1 },
        { "test/size", "a", "model test: size: found \"\", wanted WIDTHxHEIGHT from 16x16 to 16384x16384", -1 },
        { "test/streams=0", "a", "frames: found 0 (endless), but model test makes whole clips; wanted 1 or more", 0 },
        { "test/streams=0", "@0 a @1 b", "prompt: found a schedule of 2 prompts, but model test makes whole clips; give one "
          "prompt, or a model that streams", -1 },
        { "test", "", "prompt: it is empty; say what to show", -1 },
        { "test", NULL, "prompt: none is given; say what to show", -1 },
        { "/nonexistent", "a", "/nonexistent: cannot open the model: No such file or directory", -1 },
    };

    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        sora_session *s = (void *)bad;
        sora_error err = { 0 };
        sora_options o;
        sora_options_init(&o);
        o.model = bad[i].model;
        o.prompt = bad[i].prompt;
        o.frames = bad[i].frames;
        ck_assert_int_lt(sora_session_open(&s, &o, &err), 0);
        ck_assert_str_eq(err.text, bad[i].message);
        ck_assert_ptr_null(s);
        ck_assert_int_lt(sora_session_open(&s, &o, NULL), 0);
    }
}
END_TEST

/* A failure comes after the frames before it, says the same at each call, and is final. */
START_TEST(test_faults)
{
    static const struct { const char *model; int frames; sora_result r; const char *message; } faults[] = {
        { "test/fail=load" SIZE, 0, SORA_ERR_MODEL, "model test: fails to load, as fail=load asks" },
        { "test/fail=text" SIZE, 0, SORA_ERR_INTERNAL, "model test: fails to encode the prompt, as fail=text asks" },
        { "test/fail=step" SIZE, 0, SORA_ERR_INTERNAL, "model test: fails in step 2 of 4, as fail=step asks" },
        { "test/fail=decode" SIZE, 4, SORA_ERR_INTERNAL, "model test: fails to decode frame 4, as fail=decode asks" },
        { "test/fail=step/fail-chunk=1" SIZE, 8, SORA_ERR_INTERNAL, "model test: fails in step 2 of 4, as fail=step asks" },
        { "test/nan=1" SIZE, 4, SORA_ERR_INTERNAL,
          "frame 4 came out of the decoder with numbers that are no colours (NaN); try precision=f32" },
    };

    for (size_t i = 0; i < SR_COUNT(faults); i++) {
        sora_session *s = simple(faults[i].model, -1);
        struct picture p;
        sora_error err = { 0 };
        for (int n = 0; n < faults[i].frames; n++) ck_assert_int_eq(next(s, &p, &err), SORA_OK);
        for (int n = 0; n < 3; n++) {
            err = (sora_error){ 0 };
            ck_assert_int_eq(next(s, &p, &err), faults[i].r);
            ck_assert_int_eq(err.code, faults[i].r);
            ck_assert_str_eq(err.text, faults[i].message);
        }
        ck_assert_int_eq(sora_session_ready(s), 1);
        sora_session_close(&s);
    }
}
END_TEST

START_TEST(test_load)
{
    sora_session *s = simple("test/load-delay=150" SIZE, -1);
    sora_error err = { 0 };
    double t = sr_now();

    ck_assert(sr_now() - t < 0.05 && !sora_session_ready(s));
    ck_assert_int_eq(sora_session_load(s, &err), SORA_OK);
    ck_assert(sr_now() - t >= 0.15);
    t = sr_now();
    ck_assert_int_eq(sora_session_load(s, &err), SORA_OK);          /* again: at once */
    ck_assert(sr_now() - t < 0.1);
    ck_assert_int_eq(drain(s, NULL), 33);
    sora_session_close(&s);

    s = simple("test/fail=load" SIZE, -1);
    ck_assert_int_eq(sora_session_load(s, &err), SORA_ERR_MODEL);
    sora_session_close(&s);
}
END_TEST

/* ---- Cancel ---- */

struct canceller {
    sora_session *s;
    int after_ms;
    double at_s;
};

static void *cancel_later(void *arg)
{
    struct canceller *c = arg;

    usleep((useconds_t)c->after_ms * 1000);
    c->at_s = sr_now();
    sora_session_cancel(c->s);
    return NULL;
}

/*
 * At random moments of loading, encoding, stepping, decoding and waiting for room: the call returns and the worker ends.
 * Without the cancel each would take a minute; the machine may be too busy for an exact limit.
 */
START_TEST(test_cancel)
{
    static const char *const models[] = { "test/load-delay=60000" SIZE, "test/text-delay=60000" SIZE,
                                          "test/step-delay=60000" SIZE, "test/decode-delay=60000" SIZE, "test" SIZE };

    for (unsigned i = 0; i < 25; i++) {
        sora_session *s = simple(models[i % SR_COUNT(models)], 0);
        struct canceller c = { s, (int)(sr_rng_u64(7, 0, i) % 150), 0 };
        const bool reads = i % SR_COUNT(models) != 4;               /* or the worker waits for room */
        struct picture p;
        sora_error err = { 0 };
        sora_result r = SORA_OK;
        pthread_t t;
        double took;

        if (!reads) ck_assert_int_eq(sora_session_load(s, NULL), SORA_OK);
        pthread_create(&t, NULL, cancel_later, &c);
        while (reads && r == SORA_OK) r = next(s, &p, &err);
        took = sr_now();
        pthread_join(t, NULL);
        ck_assert_int_eq(r, reads ? SORA_ERR_CANCELLED : SORA_OK);
        if (reads) ck_assert_msg(took - c.at_s < 5, "next() took %.3f s", took - c.at_s);
        ck_assert_int_eq(next(s, &p, NULL), SORA_ERR_CANCELLED);
        ck_assert_int_eq(sora_session_load(s, NULL), SORA_ERR_CANCELLED);
        sora_session_close(&s);
        ck_assert_msg(sr_now() - c.at_s < 5, "close() took %.3f s", sr_now() - c.at_s);
    }
}
END_TEST

START_TEST(test_ignore_cancel)
{
    sora_session *s = simple("test/ignore-cancel=1/step-delay=400/steps=1" SIZE, 0);
    struct canceller c = { s, 50, 0 };
    const double begin_s = sr_now();
    struct picture p;
    pthread_t t;

    pthread_create(&t, NULL, cancel_later, &c);
    ck_assert_int_eq(next(s, &p, NULL), SORA_ERR_CANCELLED);        /* at once all the same */
    ck_assert(sr_now() - c.at_s < 0.1);
    pthread_join(t, NULL);
    sora_session_close(&s);                                         /* waits for the worker */
    ck_assert(sr_now() - begin_s >= 0.4);
}
END_TEST

START_TEST(test_cancel_first)
{
    sora_session *s = simple("test" SIZE, 0);
    struct picture p;

    sora_session_cancel(s);
    ck_assert_int_eq(next(s, &p, NULL), SORA_ERR_CANCELLED);
    ck_assert_int_eq(sora_session_load(s, NULL), SORA_ERR_CANCELLED);
    sora_session_close(&s);
}
END_TEST

/* ---- Prompts ---- */

/* The chunk that begins between the two changes may still show the first one; nothing goes back to an older prompt. */
START_TEST(test_set_prompt)
{
    static const char *const texts[] = { "a red balloon", "overtaken", "a blue whale" };
    sora_session *s = simple("test/chunk-frames=4" SIZE, 0);
    struct picture p;
    int changed_at = -1, shown = 0;
    sora_error err = { 0 };

    for (int n = 0; n < 40; n++) {
        ck_assert_int_eq(next(s, &p, NULL), SORA_OK);
        ck_assert_int_eq(p.frame.pts, n);
        if (n == 10) {
            ck_assert_int_eq(sora_session_set_prompt(s, texts[1], NULL), SORA_OK);
            ck_assert_int_eq(sora_session_set_prompt(s, texts[2], NULL), SORA_OK);
        }
        if (p.frame.prompt != shown) {
            ck_assert(p.frame.prompt > shown && p.frame.prompt <= 2);
            ck_assert(p.frame.chunk_first);
            if (changed_at < 0) changed_at = n;
            shown = (int)p.frame.prompt;
        }
        ck_assert_str_eq(p.frame.prompt_text, texts[shown]);
    }
    ck_assert_int_eq(shown, 2);
    ck_assert_msg(changed_at >= 12 && changed_at <= 20, "changed at frame %d", changed_at);
    ck_assert_int_eq(sora_session_set_prompt(s, " ", &err), SORA_ERR_OPTION);
    ck_assert_int_eq(sora_session_set_prompt(s, NULL, NULL), SORA_ERR_OPTION);
    sora_session_close(&s);

    s = simple("test/streams=0" SIZE, 5);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sora_session_set_prompt(s, "b", &err), SORA_ERR_UNSUPPORTED);
    ck_assert_str_eq(err.text, "prompt: model test makes whole clips, whose prompt cannot change; open another session");
    ck_assert_int_eq(drain(s, NULL), 5);
    sora_session_close(&s);
}
END_TEST

/* 16 frames/s, chunks of 4: @0.6 is frame 9.6, so the chunk at 12; @1 is frame 16, a chunk's first; @1.1 and @1.2 are
   both past at frame 20. */
START_TEST(test_schedule)
{
    static const struct { int from; const char *text; int64_t changes; } want[] = {
        { 0, "a", 0 }, { 12, "b", 1 }, { 16, "c", 2 }, { 20, "e", 4 }, { 32, "e", 4 },
    };
    sora_options o;
    sora_session *s;
    struct picture p;
    size_t k = 0;

    sora_options_init(&o);
    o.prompt = "@0 a @0.6 b @1 c @1.1 d @1.2 e";
    s = open_session(&o, "test/chunk-frames=4" SIZE, 32);
    for (int n = 0; n < 32; n++) {
        if (n == want[k + 1].from) k++;
        ck_assert_int_eq(next(s, &p, NULL), SORA_OK);
        ck_assert_str_eq(p.frame.prompt_text, want[k].text);
        ck_assert_int_eq(p.frame.prompt, want[k].changes);
    }
    sora_session_close(&s);
}
END_TEST

/* ---- Progress, log, formats ---- */

struct watch {
    int steps, stages[SORA_STAGE_DONE + 1], lines;
    double fraction, elapsed;
    int64_t frames;
    bool falls;
};

static void on_progress(void *user, const sora_progress *p)
{
    struct watch *w = user;

    w->stages[p->stage]++;
    w->steps += p->stage == SORA_STAGE_STEP;
    w->falls |= p->fraction < w->fraction || p->elapsed_s < w->elapsed || p->frames < w->frames;
    w->fraction = p->fraction;
    w->elapsed = p->elapsed_s;
    w->frames = p->frames;
}

static void on_log(void *user, sora_log_level level, const char *line)
{
    ((struct watch *)user)->lines++;
    ck_assert(level <= SORA_LOG_DEBUG && line[0]);
}

/* ---- From chunk to chunk ---- */

struct host {
    sora_session *s;
    int64_t chunks, frame;
    sora_chunk seen;
};

/* The third chunk has another seed, the fourth another guidance, the fifth another prompt. */
static void on_chunk(void *user, sora_chunk *c)
{
    struct host *h = user;

    ck_assert_int_eq(c->chunk, h->chunks++);
    ck_assert_int_eq(c->frame, 4 * c->chunk);
    h->seen = *c;
    if (c->chunk == 2) c->seed = 99;
    if (c->chunk == 3) c->guidance = 3;
    if (c->chunk == 4) ck_assert_int_eq(sora_session_set_prompt(h->s, "a blue kite", NULL), SORA_OK);
}

static void bad_chunk(void *user, sora_chunk *c)
{
    if (c->chunk == 1) c->seed = -1;
}

START_TEST(test_chunk)
{
    static uint8_t plain[24][W * H * 3], tuned[24][W * H * 3];
    struct host h = { 0 };
    struct picture p;
    sora_error err = { 0 };
    sora_options o;
    sora_session *s = simple("test" SIZE "/chunk-frames=4", 24);

    ck_assert_int_eq(drain(s, plain[0]), 24);
    sora_session_close(&s);
    sora_options_init(&o);
    o.chunk = on_chunk;
    o.user = &h;
    h.s = s = open_session(&o, "test" SIZE "/chunk-frames=4", 24);
    for (int i = 0; i < 24; i++) {
        ck_assert_int_eq(next(s, &p, &err), SORA_OK);
        memcpy(tuned[i], p.rgb, sizeof p.rgb);
        ck_assert_int_eq(p.frame.prompt, i >= 16);
    }
    ck_assert_int_eq(next(s, &p, &err), SORA_EOS);
    ck_assert(h.chunks == 6 && h.seen.seed == 99 && h.seen.guidance == 3);      /* they stay until changed again */
    for (int i = 0; i < 24; i++) {
        ck_assert((memcmp(plain[i], tuned[i], sizeof p.rgb) == 0) == (i < 8));
        if (i >= 12) ck_assert(memcmp(tuned[i - 4], tuned[i], sizeof p.rgb) != 0);
    }
    sora_session_close(&s);

    o.chunk = bad_chunk;
    s = open_session(&o, "test" SIZE "/chunk-frames=4", 24);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(next(s, &p, &err), SORA_OK);
    ck_assert_int_eq(next(s, &p, &err), SORA_ERR_OPTION);
    ck_assert(strstr(err.text, "seed"));
    sora_session_close(&s);
}
END_TEST

START_TEST(test_progress)
{
    struct watch w = { 0 };
    sora_options o;
    sora_session *s;

    sora_options_init(&o);
    o.progress = on_progress;
    o.log = on_log;
    o.user = &w;
    s = open_session(&o, "test" SIZE, 20);
    drain(s, NULL);
    sora_session_close(&s);
    ck_assert_int_eq(w.steps, 3 * 4);
    ck_assert(w.stages[SORA_STAGE_LOAD] == 1 && w.stages[SORA_STAGE_TEXT] == 1 && w.stages[SORA_STAGE_DONE] == 1);
    ck_assert(w.stages[SORA_STAGE_DECODE] >= 20 && !w.falls && w.fraction == 1 && w.frames == 20 && w.lines > 0);
}
END_TEST

START_TEST(test_formats)
{
    for (int f = 0; f < SORA_FORMAT_COUNT; f++) {
        uint8_t *mem[4] = { 0 };
        sora_session *s;
        sora_frame frame;
        sora_options o;
        sora_options_init(&o);
        o.model = "test";
        o.prompt = "a";
        o.width = 33;
        o.height = 17;
        o.format = (sora_format)f;
        ck_assert_int_eq(sora_session_open(&s, &o, NULL), SORA_OK);
        sora_frame_init(&frame);
        ck_assert_int_eq(sora_session_next(s, &frame, NULL), SORA_ERR_OPTION);          /* no planes: nothing is lost */
        for (int p = 0; p < sora_format_planes((sora_format)f); p++) {
            frame.stride[p] = (ptrdiff_t)sora_format_row_bytes((sora_format)f, p, 33);
            frame.data[p] = mem[p] = malloc((size_t)frame.stride[p] * (size_t)sora_format_rows((sora_format)f, p, 17));
        }
        ck_assert_int_eq(sora_session_next(s, &frame, NULL), SORA_OK);
        ck_assert_int_eq(frame.pts, 0);
        frame.size = 0;
        ck_assert_int_eq(sora_session_next(s, &frame, NULL), SORA_ERR_OPTION);
        sora_session_close(&s);
        for (int p = 0; p < 4; p++) free(mem[p]);
    }
}
END_TEST

/* ---- Many ---- */

static void *one_session(void *arg)
{
    uint8_t *bytes = malloc(20 * W * H * 3);
    sora_session *s = simple("test/step-delay=2" SIZE, 20);

    ck_assert_int_eq(drain(s, bytes), 20);
    sora_session_close(&s);
    return bytes;
}

START_TEST(test_many)
{
    enum { N = 12 };
    pthread_t t[N];
    uint8_t *first = NULL;

    for (int i = 0; i < N; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, one_session, NULL), 0);
    for (int i = 0; i < N; i++) {
        void *bytes;
        pthread_join(t[i], &bytes);
        if (!first) first = bytes;
        ck_assert_mem_eq(first, bytes, 20 * W * H * 3);
        if (bytes != first) free(bytes);
    }
    free(first);
}
END_TEST

/* The n-th allocation fails: an error and no crash, wherever it was. */
START_TEST(test_memory)
{
    sora_session *s;
    struct picture p;
    sora_options o;

    sora_options_init(&o);
    o.model = "test" SIZE;
    o.prompt = "@0 a @0.1 b";
    o.format = SORA_FORMAT_RGB24;
    o.frames = 12;
    for (unsigned long n = 1;; n++) {
        sora_result r;
        sr_mem_fail_after(n);
        if ((r = sora_session_open(&s, &o, NULL)) == SORA_OK)
            while ((r = next(s, &p, NULL)) == SORA_OK) {}
        sora_session_close(&s);
        sr_mem_fail_after(0);
        ck_assert_msg(r == SORA_EOS || r == SORA_ERR_NOMEM, "allocation %lu: %d", n, r);
        if (r == SORA_EOS) break;
    }
}
END_TEST

START_TEST(test_stop)
{
    sora_session *s = simple("test" SIZE "/step-delay=60000", 8), *twice = simple("test" SIZE, 4);
    sora_error err = { 0 };
    struct picture p;

    ck_assert_int_eq(sora_session_load(s, &err), SORA_OK);
    sora_session_stop(s);                               /* the worker is gone, within its step */
    ck_assert_int_eq(next(s, &p, &err), SORA_ERR_CANCELLED);
    sora_session_close(&s);
    sora_session_stop(twice);                           /* never begun */
    sora_session_stop(twice);
    sora_session_close(&twice);
}
END_TEST

START_TEST(test_version)
{
    char want[32];

    snprintf(want, sizeof want, "%d.%d.%d", SORA_VERSION_MAJOR, SORA_VERSION_MINOR, SORA_VERSION_MICRO);
    ck_assert_str_eq(sora_version(), want);
}
END_TEST

RUN_TESTS("session", test_clip, test_same_bytes, test_drawn_seed, test_refused, test_faults, test_load, test_cancel,
          test_ignore_cancel, test_cancel_first, test_set_prompt, test_schedule, test_chunk, test_progress, test_formats, test_many,
          test_memory, test_stop, test_version)
