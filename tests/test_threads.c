/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions beside each other that share one model's packed weights, and calls from other threads while they work.
 * Built with -fsanitize=thread this is what the thread sanitizer looks at; see CONTRIBUTING.md.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "near.h"

enum { W = 64, H = 36, FRAMES = 9, BYTES = FRAMES * W * H * 3 };

static sora_session *open_model(const char *model, int64_t frames)
{
    sora_session *s = NULL;
    sora_options o;
    sora_error err = { 0 };

    sora_options_init(&o);
    o.model = model;
    o.prompt = "a red balloon over green hills";
    o.width = W;
    o.height = H;
    o.frames = frames;
    o.steps = 1;
    o.threads = 1;
    o.format = SORA_FORMAT_RGB24;
    ck_assert_msg(sora_session_open(&s, &o, &err) == SORA_OK, "%s: %s", model, err.text);
    return s;
}

static sora_result next(sora_session *s, uint8_t *rgb)
{
    sora_frame f;

    sora_frame_init(&f);
    f.data[0] = rgb;
    f.stride[0] = 3 * W;
    return sora_session_next(s, &f, NULL);
}

/* All frames of a clip of its own; the caller frees them. */
static void *clip(void *model)
{
    uint8_t *rgb = calloc(1, BYTES + W * H * 3);
    sora_session *s = open_model(model, FRAMES);
    int n = 0;

    while (n <= FRAMES && next(s, rgb + n * W * H * 3) == SORA_OK) n++;
    sora_session_close(&s);
    return n == FRAMES ? rgb : (free(rgb), NULL);
}

/* Weights packed by one session are read by the others, and outlive the one that packed them. */
START_TEST(test_shared_weights)
{
    static char model[] = "pocket";
    uint8_t *alone = clip(model);
    pthread_t t[3];

    ck_assert_ptr_nonnull(alone);
    for (size_t i = 0; i < SR_COUNT(t); i++) pthread_create(&t[i], NULL, clip, model);
    for (size_t i = 0; i < SR_COUNT(t); i++) {
        void *beside;
        pthread_join(t[i], &beside);
        ck_assert_msg(beside != NULL, "session %zu did not give its %d frames", i, FRAMES);
        ck_assert_mem_eq(beside, alone, BYTES);
        free(beside);
    }
    free(alone);
}
END_TEST

struct busy {
    sora_session *s;
    atomic_int shown;           /* frames that were read */
    atomic_bool stop;
    sora_result last;
};

static void *reads(void *arg)
{
    struct busy *b = arg;
    uint8_t rgb[W * H * 3];

    while ((b->last = next(b->s, rgb)) == SORA_OK) atomic_fetch_add(&b->shown, 1);
    return NULL;
}

static void *asks(void *arg)
{
    static const char *const texts[] = { "a blue boat on the sea at night", "@0 a red balloon @0.3 a green boat", "rain" };
    struct busy *b = arg;
    sora_info info;

    for (size_t i = 0; !atomic_load(&b->stop); i++) {
        ck_assert_int_eq(sora_session_set_prompt(b->s, texts[i % SR_COUNT(texts)], NULL), SORA_OK);
        sora_session_ready(b->s);
        sora_info_init(&info);
        sora_session_get_info(b->s, &info);
        usleep(2000);
    }
    return NULL;
}

static void *cancels(void *session)
{
    sora_session_cancel(session);
    return NULL;
}

/* A stream is read, given prompts and at last cancelled by four threads, while others of the same model come and go. */
static void many_hands(const char *model)
{
    struct busy b = { .s = open_model(model, 0) };
    pthread_t reader, asker, canceller, loader;

    pthread_create(&reader, NULL, reads, &b);
    pthread_create(&asker, NULL, asks, &b);
    for (int i = 0; i < 6 || atomic_load(&b.shown) < 8; i++) {
        sora_session *s = open_model(model, 0);
        uint8_t rgb[W * H * 3];
        if (i % 2) next(s, rgb);
        if (i % 3) pthread_create(&canceller, NULL, cancels, s);
        if (i % 2) next(s, rgb);
        if (i % 3) pthread_join(canceller, NULL);
        sora_session_close(&s);
    }
    pthread_create(&loader, NULL, cancels, b.s);
    pthread_join(loader, NULL);
    pthread_join(reader, NULL);
    atomic_store(&b.stop, true);
    pthread_join(asker, NULL);
    ck_assert_int_eq(b.last, SORA_ERR_CANCELLED);
    sora_session_close(&b.s);
}

START_TEST(test_many_hands)
{
    many_hands("pocket");
    many_hands("test");
}
END_TEST

RUN_TESTS("threads", test_shared_weights, test_many_hands)
