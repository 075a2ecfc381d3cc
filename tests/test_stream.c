/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams of a small Wan against the published loops restated in PyTorch (tests/ref/stream): 12 chunks with another prompt
 * in the middle, for each schedule and each way to change it.  And streams that go on for ever: memory, work, positions.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/kv_cache.h"
#include "near.h"
#include "pipeline/diffusion.h"

#include "small_stream.h"

#define AFTER  "a blue boat on the sea at night"
#define CHUNKS 12

/* ---- Against the reference ---- */

struct latents {
    struct sr_weights *w;
    const float *data;
    size_t C, F, plane;
};

static struct latents open_latents(const char *path, const char *name)
{
    struct latents l = { 0 };
    const struct sr_weight *t;

    ck_assert_int_eq(sr_weights_open(&l.w, path, NULL), SORA_OK);
    ck_assert_msg((t = sr_weights_find(l.w, name)) != NULL, "%s has no %s", path, name);
    l.data = t->data;
    l.C = t->dim[0], l.F = t->dim[1], l.plane = t->dim[2] * t->dim[3];
    return l;
}

/* Relative L2 of n frames of each. */
static double distance(const struct latents *a, size_t a_first, const struct latents *b, size_t b_first, size_t n)
{
    double d = 0, w = 0;

    ck_assert(a->C == b->C && a->plane == b->plane && a_first + n <= a->F && b_first + n <= b->F);
    for (size_t c = 0; c < a->C; c++) {
        const float *x = a->data + (c * a->F + a_first) * a->plane, *y = b->data + (c * b->F + b_first) * b->plane;
        for (size_t i = 0; i < n * a->plane; i++) {
            d += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
            w += (double)y[i] * y[i];
        }
    }
    return sqrt(d / w);
}

/* Whole streams through the public functions; the latents go to `path`. */
static void shoot(const char *path, const char *schedule, int64_t chunks)
{
    sora_options o = small_options();
    static float picture[3][64 * 64];
    char prompt[200];
    sora_session *s;
    sora_info info;
    sora_frame f;
    sora_error err = { 0 };
    int64_t frames = 0, first_new = -1;
    struct latents noise = open_latents(ref("stream/run.safetensors"), "noise");

    o.height = 32;
    o.width = (int)(noise.plane / 4) * 8;
    sr_weights_close(&noise.w);
    o.noise_file = ref("stream/run.safetensors");
    o.save_latents_file = path;
    o.frames = 1;
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s", err.text);
    sora_info_init(&info);
    sora_session_get_info(s, &info);
    sora_session_close(&s);
    ck_assert(info.streams && info.chunk % 4 == 0);

    /* the first latent is one picture, and so is the first one after a restart */
    o.frames = chunks * info.chunk - 3 - (strstr(schedule, "restart") ? 3 : 0);
    snprintf(prompt, sizeof prompt, "@0 " BEFORE " @%.4f " AFTER, (double)(chunks / 2 * info.chunk - 4) / 16);
    o.prompt = prompt;
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s", err.text);
    sora_frame_init(&f);
    for (int p = 0; p < 3; p++) f.data[p] = (uint8_t *)picture[p], f.stride[p] = o.width * (ptrdiff_t)sizeof(float);
    for (sora_result r; (r = sora_session_next(s, &f, &err)) != SORA_EOS; frames++) {
        ck_assert_msg(r == SORA_OK, "%s: %s", schedule, err.text);
        ck_assert_int_eq(f.pts, frames);
        if (f.prompt && first_new < 0) first_new = frames;
    }
    ck_assert_int_eq(frames, o.frames);
    ck_assert_int_eq(first_new, chunks / 2 * info.chunk - 3);
    sora_session_close(&s);
}

/* The published loop gives the same latents, the change of prompt included, and they depend on the prompt and on what is
   done with the past. */
static void compare(const char *name, const char *change)
{
    char path[100], about_path[100], before[60], after[60], same[60];
    struct latents got, want_before, want_after, unchanged;
    const bool last_step = !strcmp(change, "last-step");
    double e;

    snprintf(path, sizeof path, "%s", in_folder("latents.safetensors"));
    snprintf(about_path, sizeof about_path, "stream/%s-%s.json", name, change);
    snprintf(before, sizeof before, "before.%s%s", name, last_step ? "-last-step" : "");
    snprintf(after, sizeof after, "after.%s-%s", name, change);
    snprintf(same, sizeof same, "same.%s", name);
    unlink(in_folder("sora.json"));
    ck_assert_int_eq(symlink(ref(about_path), in_folder("sora.json")), 0);
    shoot(path, change, CHUNKS);
    got = open_latents(path, "latents");
    want_before = open_latents(ref("stream/run.safetensors"), before);
    want_after = open_latents(ref("stream/run.safetensors"), after);
    unchanged = open_latents(ref("stream/run.safetensors"), same);
    ck_assert_uint_eq(got.F, want_before.F + want_after.F);
    e = distance(&got, 0, &want_before, 0, want_before.F);
    ck_assert_msg(e < 2e-5, "%s-%s: the six chunks before the change are off by %g", name, change, e);
    e = distance(&got, want_before.F, &want_after, 0, want_after.F);
    ck_assert_msg(e < 2e-5, "%s-%s: the six chunks after the change are off by %g", name, change, e);
    e = distance(&got, want_before.F, &unchanged, 0, want_after.F);
    ck_assert_msg(e > 3e-3, "%s-%s: the new prompt changes the latents by %g only", name, change, e);
    sr_weights_close(&got.w);
    sr_weights_close(&want_before.w);
    sr_weights_close(&want_after.w);
    sr_weights_close(&unchanged.w);
}

START_TEST(test_reference)
{
    static const char *const schedules[] = { "self-forcing", "causal-forcing++", "longlive" };
    static const char *const changes[] = { "restart", "continue", "re-cache" };

    for (size_t i = 0; i < SR_COUNT(schedules); i++)
        for (size_t k = 0; k < SR_COUNT(changes); k++) compare(schedules[i], changes[k]);
    compare("longlive", "last-step");
}
END_TEST

/* What the comparison above would not see: the reference itself tells the ways to change a prompt apart. */
START_TEST(test_reference_tells)
{
    static const char *const schedules[] = { "self-forcing", "causal-forcing++", "longlive" };

    for (size_t i = 0; i < SR_COUNT(schedules); i++) {
        static const char *const changes[] = { "restart", "continue", "re-cache" };
        struct latents l[3];
        char name[60];
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "after.%s-%s", schedules[i], changes[k]);
            l[k] = open_latents(ref("stream/run.safetensors"), name);
        }
        for (int k = 0; k < 3; k++) {
            const double d = distance(&l[k], 0, &l[(k + 1) % 3], 0, l[0].F);
            ck_assert_msg(d > 2e-4, "%s: %s and %s differ by %g only", schedules[i], changes[k], changes[(k + 1) % 3],
                          d);
        }
        for (int k = 0; k < 3; k++) sr_weights_close(&l[k].w);
    }
}
END_TEST

/* ---- Chunks one by one, without a session ---- */

struct run {
    sora_options o;
    struct sr_pipeline *p;
    struct sr_diffusion *d;
    struct sr_cancel cancel;
    int64_t chunk, frames;
    double flop_at_first;           /* of the chunk, when its first picture came */
    double mean;                    /* of the last picture */
};

static double flop(const struct run *r)
{
    return r->d->c->prof.flop[SR_LINEAR] + r->d->c->prof.flop[SR_ATTENTION];
}

static sora_result on_frame(void *user, const float *rgb, sora_error *err)
{
    struct run *r = user;
    const size_t n = 3 * (size_t)(r->p->gen_w * r->p->gen_h);

    if (r->flop_at_first == 0) r->flop_at_first = flop(r);
    r->frames++;
    r->mean = 0;
    for (size_t i = 0; i < n; i++) r->mean += rgb[i] / (double)n;
    return SORA_OK;
}

static sora_result on_fade(void *user, sora_error *err)
{
    return SORA_OK;
}

static void on_stage(void *user, sora_stage stage, int step, int steps)
{
}

static void begin(struct run *r)
{
    const struct sr_sink sink = { on_frame, on_fade, on_stage, r };
    struct sr_job job = { 0 };
    sora_error err = { 0 };

    memset(r, 0, sizeof *r);
    r->o = small_options();
    job = (struct sr_job){ .o = &r->o, .path = folder, .seed = 7, .cancel = &r->cancel };
    ck_assert_msg(sr_pipeline_open(&r->p, &job, &err) == SORA_OK, "%s", err.text);
    r->d = (struct sr_diffusion *)r->p;
    ck_assert_msg(r->p->ops->load(r->p, &sink, &err) == SORA_OK, "%s", err.text);
}

static void say(struct run *r, const char *prompt)
{
    const struct sr_sink sink = { on_frame, on_fade, on_stage, r };
    sora_error err = { 0 };

    ck_assert_msg(r->p->ops->prompt(r->p, prompt, &sink, &err) == SORA_OK, "%s", err.text);
}

static void next_chunk(struct run *r)
{
    const struct sr_sink sink = { on_frame, on_fade, on_stage, r };
    sora_error err = { 0 };

    memset(&r->d->c->prof, 0, sizeof r->d->c->prof);
    r->flop_at_first = 0;
    ck_assert_msg(r->p->ops->chunk(r->p, r->chunk, r->frames, INT64_MAX, &sink, &err) == SORA_OK, "%s", err.text);
    r->chunk++;
}

static long resident_bytes(void)
{
    long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

static size_t allocated_bytes(void)
{
    return mallinfo2().uordblks;
}

/* Once the window is full each chunk does the same work, allocates nothing, and leaves its pictures before the pass that
   fills the cache. */
START_TEST(test_constant)
{
    struct run r;
    double work = 0;
    long resident;

    about("{\"family\": \"wan\", \"preset\": \"longlive\", \"width\": 32, \"height\": 32}");
    begin(&r);
    say(&r, BEFORE);
    for (int i = 0; i < 10; i++) next_chunk(&r);
    work = flop(&r);
    ck_assert_double_gt(work, 0);
    resident = resident_bytes();
    for (int i = 0; i < 200; i++) {
        sr_mem_fail_after(0);
        next_chunk(&r);
        ck_assert_uint_eq(sr_mem_fail_after(0), 0);
        ck_assert_double_eq(flop(&r), work);
        ck_assert_msg(r.flop_at_first > 0.7 * work && r.flop_at_first < work, "%g of %g FLOP before the first picture, "
                      "wanted: 4 passes of 5", r.flop_at_first, work);
    }
    ck_assert_int_eq(r.frames, 210 * 12 - 3);
    if (!sanitized())
        ck_assert_msg(resident_bytes() - resident <= 1 << 18, "%ld bytes more", resident_bytes() - resident);
    sr_pipeline_close(&r.p);
}
END_TEST

/* The same with a new prompt every few chunks, for each way to change it. */
START_TEST(test_flat)
{
    static const char *const changes[] = { "restart", "continue", "re-cache" }, *const prompts[] = { BEFORE, AFTER,
                                                                                                     "snow" };
    char text[200];

    for (int k = 0; k < 3; k++) {
        struct run r;
        size_t allocated = 0;
        long resident = 0;

        snprintf(text, sizeof text, "{\"family\": \"wan\", \"preset\": \"causal-forcing++\", \"prompt_change\": \"%s\","
                 "\"sampler\": {\"window\": 5, \"sink\": 2}}", changes[k]);
        about(text);
        begin(&r);
        for (int i = 0; i < 240; i++) {
            if (i % 7 == 0) say(&r, prompts[i / 7 % 3]);
            next_chunk(&r);
            ck_assert_msg(r.mean > 0.01 && r.mean < 0.99, "chunk %d: mean %g", i, r.mean);
            if (i == 80) allocated = allocated_bytes(), resident = resident_bytes();
        }
        ck_assert_msg(allocated_bytes() <= allocated + 4096, "%s: %zu bytes allocated, %zu before", changes[k],
                      allocated_bytes(), allocated);
        if (!sanitized())
            ck_assert_msg(resident_bytes() - resident <= 1 << 18, "%s: %ld bytes more", changes[k],
                          resident_bytes() - resident);
        sr_pipeline_close(&r.p);
    }
}
END_TEST

/* ---- Far from the beginning ---- */

/* The cache after `n` more frames, some of which nobody wrote. */
static void views_at(struct sr_kv_cache *kc, struct sr_ctx *c, uint64_t jump, float *seen, size_t n)
{
    float k[2 * 4], v[2 * 4];
    struct sr_kv parts[SR_KV_PARTS];
    int count;

    sr_kv_cache_reset(kc);
    for (int i = 0; i < 9; i++) {
        struct sr_tensor tk = { k, SR_F32, 2, 4, 4 }, tv = { v, SR_F32, 2, 4, 4 };
        for (int j = 0; j < 8; j++) k[j] = (float)(100 * i + j), v[j] = -k[j];
        if (i == 7) sr_kv_cache_advance(kc, jump);
        sr_kv_cache_write(c, kc, 0, &tk, &tv, 1);
        sr_kv_cache_advance(kc, 1);
    }
    count = sr_kv_cache_view(kc, 0, parts);
    for (int i = 0; i < count; i++) {
        ck_assert(parts[i].k.rows * 4 <= n);
        memcpy(seen, parts[i].k.data, parts[i].k.rows * 4 * sizeof *seen);
        seen += parts[i].k.rows * 4;
        n -= parts[i].k.rows * 4;
    }
    ck_assert_uint_eq(n, 0);
}

START_TEST(test_far_cache)
{
    struct sr_kv_cache *kc;
    struct sr_ctx *c;
    float near[7 * 8], far[7 * 8];

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_int_eq(sr_kv_cache_open(&kc, 1, 2, 4, 2, 5, SR_F32, NULL), SORA_OK);
    views_at(kc, c, 0, near, SR_COUNT(near));
    for (int bits = 20; bits < 60; bits += 3) {
        const uint64_t jump = ((uint64_t)1 << bits) / 5 * 5;       /* whole turns of the ring */
        views_at(kc, c, jump, far, SR_COUNT(far));
        ck_assert_mem_eq(far, near, sizeof near);
    }
    sr_kv_cache_close(&kc);
    sr_ctx_close(&c);
}
END_TEST

/* Latents of the chunks after a jump of the stream's own count, the noise being that of chunks 20 to 25. */
static void far_run(float *out, size_t n, int64_t jump)
{
    struct run r;

    begin(&r);
    say(&r, BEFORE);
    for (int i = 0; i < 20; i++) next_chunk(&r);
    r.d->f += jump;
    for (int i = 0; i < 6; i++) {
        if (i == 2) say(&r, AFTER);
        next_chunk(&r);
        ck_assert_uint_eq(6 * r.d->C * r.d->F * r.d->H * r.d->W, n);
        memcpy(out + (size_t)i * n / 6, r.d->x, n / 6 * sizeof *out);
    }
    sr_pipeline_close(&r.p);
}

/* A stream is the same after years: positions are relative, in the cache and in what is renewed. */
START_TEST(test_far_stream)
{
    static float near[6 * 16 * 16], far[6 * 16 * 16];

    about("{\"family\": \"wan\", \"preset\": \"causal-forcing++\", \"prompt_change\": \"re-cache\","
          "\"sampler\": {\"window\": 5, \"sink\": 2}}");
    far_run(near, SR_COUNT(near), 0);
    for (int bits = 24; bits <= 40; bits += 7) {
        far_run(far, SR_COUNT(far), ((int64_t)1 << bits) / 8 * 8);     /* whole turns of the ring of latents */
        ck_assert_mem_eq(far, near, sizeof near);
    }
}
END_TEST

/* Chunks beyond 2^31 frames have numbers of their own, and pictures. */
START_TEST(test_far_chunks)
{
    struct run r;
    float *x;
    size_t n;

    about("{\"family\": \"wan\", \"preset\": \"causal-forcing++\"}");
    begin(&r);
    say(&r, BEFORE);
    for (int i = 0; i < 3; i++) next_chunk(&r);
    n = r.d->C * r.d->F * r.d->H * r.d->W;
    ck_assert_ptr_nonnull(x = malloc(n * sizeof *x));
    r.chunk = (int64_t)1 << 31;
    for (int i = 0; i < 3; i++) {
        memcpy(x, r.d->x, n * sizeof *x);
        r.frames = 4 * r.chunk - 3;
        next_chunk(&r);
        ck_assert_int_eq(r.frames, 4 * r.chunk - 3);
        ck_assert(rel_l2(r.d->x, x, n) > 0.1 && r.mean > 0.01 && r.mean < 0.99);
    }
    free(x);
    sr_pipeline_close(&r.p);
}
END_TEST

/* ---- Prompts from another thread ---- */

static void *speak(void *s)
{
    ck_assert_int_eq(sora_session_set_prompt(s, AFTER, NULL), SORA_OK);
    return NULL;
}

/* The next chunk shows it, without a gap in time, a black picture or a frame of it too early. */
static void change_while_running(const char *change)
{
    sora_options o = small_options();
    static float picture[3][32 * 32], last[3][32 * 32];
    const int64_t said = 20;        /* frames that were handed out before */
    sora_session *s;
    pthread_t thread;
    sora_frame f;
    sora_info info;
    char text[200];
    int64_t first_new = -1;

    snprintf(text, sizeof text, "{\"family\": \"wan\", \"preset\": \"self-forcing\", \"prompt_change\": \"%s\"}",
             change);
    about(text);
    ck_assert_int_eq(sora_session_open(&s, &o, NULL), SORA_OK);
    sora_info_init(&info);
    sora_session_get_info(s, &info);
    ck_assert(info.frames == 0 && info.chunk == 12);
    sora_frame_init(&f);
    for (int p = 0; p < 3; p++) f.data[p] = (uint8_t *)picture[p], f.stride[p] = 32 * sizeof(float);
    for (int64_t n = 0; first_new < 0 || n < first_new + 30; n++) {
        double mean = 0, step;
        if (n == said) {
            ck_assert_int_eq(pthread_create(&thread, NULL, speak, s), 0);
            pthread_join(thread, NULL);
        }
        ck_assert_int_eq(sora_session_next(s, &f, NULL), SORA_OK);
        ck_assert_int_eq(f.pts, n);
        ck_assert(n < 2000 && f.prompt == (first_new >= 0 || f.prompt));
        for (size_t i = 0; i < 32 * 32; i++) mean += picture[0][i] / (32.0 * 32);
        ck_assert_msg(mean > 0.02 && mean < 0.98, "%s: frame %lld has a mean of %g", change, (long long)n, mean);
        step = rel_l2(picture[0], last[0], 3 * 32 * 32);
        if (f.prompt && first_new < 0) {
            first_new = n;
            ck_assert(f.chunk_first && n >= said && !strcmp(f.prompt_text, AFTER));
            if (!strcmp(change, "restart")) ck_assert_msg(step < 0.2, "the new stream begins with a jump of %g", step);
        }
        memcpy(last, picture, sizeof last);
    }
    /* the queue holds a chunk, another waits for room in it, and the next is the first that can show it */
    ck_assert_msg(first_new <= said + 3 * info.chunk, "%s: said after frame %lld, shown from %lld", change, (long long)said,
                  (long long)first_new);
    sora_session_close(&s);
}

START_TEST(test_set_prompt)
{
    change_while_running("restart");
    change_while_running("continue");
    change_while_running("re-cache");
}
END_TEST

/* ---- Additions to the weights ---- */

/* Of rank 2, to two layers. */
static void write_lora(const char *file, size_t dim, uint64_t seed)
{
    static float a[2 * 512], b[512 * 2];
    const struct sr_named t[] = {
        { "base_model.model.blocks.1.self_attn.v.lora_A.weight", a, 2, { 2, dim } },
        { "base_model.model.blocks.1.self_attn.v.lora_B.weight", b, 2, { dim, 2 } },
        { "base_model.model.blocks.0.self_attn.q.lora_A.weight", a, 2, { 2, dim } },
        { "base_model.model.blocks.0.self_attn.q.lora_B.weight", b, 2, { dim, 2 } },
    };

    ck_assert_uint_le(dim, 512);
    sr_rng_normal(a, 2 * dim, seed, 1, 0);
    sr_rng_normal(b, 2 * dim, seed, 2, 0);
    ck_assert_int_eq(sr_safetensors_write(in_folder(file), t, SR_COUNT(t), NULL), SORA_OK);
}

/* sora.json names additions to the weights; without a scale it is 1, and 0 of them is nothing. lora_next: not of the first chunk,
   which has those of lora where both are there. */
START_TEST(test_lora)
{
    static const char *const tails[] = { "", ", \"lora\": \"l.safetensors\"",
                                         ", \"lora\": \"l.safetensors\", \"lora_scale\": 0",
                                         ", \"lora\": \"l.safetensors\", \"lora_scale\": 1",
                                         ", \"lora_next\": \"l.safetensors\"",
                                         ", \"lora_next\": \"l.safetensors\", \"lora_scale\": 0",
                                         ", \"lora\": \"l.safetensors\", \"lora_next\": \"l.safetensors\"",
                                         ", \"lora\": \"l.safetensors\", \"lora_next\": \"n.safetensors\"" };
    enum { N = 16 * 3 * 4 * 4, RUNS = SR_COUNT(tails) };
    static float x[RUNS][N], second[RUNS][N];
    char text[200];

    for (int i = 0; i < RUNS; i++) {
        struct run r;
        snprintf(text, sizeof text, "{\"family\": \"wan\", \"preset\": \"self-forcing\"%s}", tails[i]);
        about(text);
        begin(&r);
        if (i == 0) {
            write_lora("l.safetensors", (size_t)r.d->mi.dim, 3);
            write_lora("n.safetensors", (size_t)r.d->mi.dim, 4);
        }
        say(&r, BEFORE);
        next_chunk(&r);
        memcpy(x[i], r.d->x, sizeof x[i]);
        next_chunk(&r);
        memcpy(second[i], r.d->x, sizeof second[i]);
        sr_pipeline_close(&r.p);
    }
    ck_assert(rel_l2(x[1], x[0], N) > 1e-3);
    ck_assert_mem_eq(x[2], x[0], sizeof x[0]);
    ck_assert_mem_eq(x[3], x[1], sizeof x[0]);
    ck_assert_mem_eq(x[4], x[0], sizeof x[0]);
    ck_assert(rel_l2(second[4], second[0], N) > 1e-3 && rel_l2(second[4], second[1], N) > 1e-3);
    ck_assert_mem_eq(x[5], x[0], sizeof x[0]);
    ck_assert_mem_eq(second[5], second[0], sizeof second[0]);
    ck_assert_mem_eq(x[6], x[1], sizeof x[0]);
    ck_assert_mem_eq(second[6], second[1], sizeof second[0]);
    ck_assert_mem_eq(x[7], x[1], sizeof x[0]);
    ck_assert(rel_l2(second[7], second[1], N) > 1e-3);
}
END_TEST

RUN_TESTS_IN("stream", small_stream_make, folder_remove, test_reference, test_reference_tells, test_constant, test_flat,
             test_far_cache, test_far_stream, test_far_chunks, test_set_prompt, test_lora)
