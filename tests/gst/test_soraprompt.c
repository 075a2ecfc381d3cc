/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc: what changes while it plays.  Prompts by property, file, event and signal; numbers by a controller; clips that
   follow one another. */
#include "sora_check.h"

/* ---- Prompts ---- */

static gpointer change_prompts(gpointer element)
{
    for (int i = 0; i < 20; i++) {
        gchar *p = g_strdup_printf("prompt %d", i);
        assert_quick(g_object_set(element, "prompt", p, NULL));
        g_free(p);
        g_usleep(7000);
    }
    g_object_set(element, "prompt", "last", NULL);
    return NULL;
}

/* From another thread while frames flow: no gap in time, the last one wins, and downstream is told before its frame. */
GST_START_TEST(test_prompt_change)
{
    Fixture f = fixture("model=test/step-delay=3/chunk-frames=4 prompt=cat num-frames=0", NULL);
    GstClockTime next = 0;
    gboolean last = FALSE, told = FALSE;
    GThread *thread;
    GstMessage *m;
    GstBuffer *b;
    GstEvent *e;

    gst_harness_play(f.h);
    thread = g_thread_new("prompts", change_prompts, f.h->element);
    for (int n = 0; n < 2000 && !last; n++) {
        b = gst_harness_pull(f.h);
        fail_unless(b != NULL);
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), next);
        next = GST_BUFFER_PTS(b) + GST_BUFFER_DURATION(b);
        gst_buffer_unref(b);
        while ((e = gst_harness_try_pull_event(f.h))) {
            if (gst_event_has_name(e, "sora-prompt"))
                last = !g_strcmp0(gst_structure_get_string(gst_event_get_structure(e), "prompt"), "last");
            gst_event_unref(e);
        }
        g_usleep(2000);
    }
    g_thread_join(thread);
    fail_unless(last);
    while (!told && (m = next_element(&f, "sora-prompt-changed", 10))) {
        told = !g_strcmp0(gst_structure_get_string(gst_message_get_structure(m), "prompt"), "last");
        gst_message_unref(m);
    }
    fail_unless(told);
    fixture_end(&f);
}
GST_END_TEST

/* A model of whole clips: the clip goes on as it is, a warning says so, and the next start has the new prompt. */
GST_START_TEST(test_prompt_of_clip)
{
    Fixture f = fixture("model=test/streams=0/step-delay=100 prompt=cat num-frames=20", NULL);
    gchar *prompt;
    GstMessage *m;
    GstBuffer *b;
    int n = 0;

    gst_harness_play(f.h);
    g_usleep(200000);
    g_object_set(f.h->element, "prompt", "dog", NULL);
    m = next_message(&f, GST_MESSAGE_WARNING, 1000);
    fail_unless(m != NULL);
    gst_message_unref(m);
    g_object_get(f.h->element, "prompt", &prompt, NULL);
    fail_unless_equals_string(prompt, "dog");
    g_free(prompt);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 20);
    fixture_end(&f);
}
GST_END_TEST

/* For a harness that blocks: its buffers have to be taken before a state can change. */
static void cancel_and_end(Fixture *f)
{
    GstBuffer *b;

    g_signal_emit_by_name(f->h->element, "cancel");
    while ((b = next_buffer(f))) gst_buffer_unref(b);
    fixture_end(f);
}

/* Frames until one shows `prompt`, which a sora-prompt event tells; PTS without a gap.  The number of that frame. */
static int frames_until(Fixture *f, const char *prompt, int max, GstClockTime *next)
{
    for (int n = 0; n < max; n++) {
        GstBuffer *b = next_buffer(f);
        gint64 seen = -1;
        GstEvent *e;

        fail_unless(b != NULL, "EOS before \"%s\"", prompt);
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), *next);
        *next += GST_BUFFER_DURATION(b);
        gst_buffer_unref(b);
        while ((e = gst_harness_try_pull_event(f->h))) {
            if (gst_event_has_name(e, "sora-prompt") &&
                !g_strcmp0(gst_structure_get_string(gst_event_get_structure(e), "prompt"), prompt))
                gst_structure_get_int64(gst_event_get_structure(e), "frame", &seen);
            gst_event_unref(e);
        }
        if (seen >= 0) return (int)seen;
        g_usleep(1000);
    }
    fail_unless(FALSE, "\"%s\" does not show", prompt);
    return -1;
}

static GstEvent *prompt_event(const char *prompt)
{
    return gst_event_new_custom(GST_EVENT_CUSTOM_UPSTREAM,
                                gst_structure_new("sora-set-prompt", "prompt", G_TYPE_STRING, prompt, NULL));
}

/* Every way in, one after the other. */
GST_START_TEST(test_ways_in)
{
    Fixture f = fixture("model=test/step-delay=2/chunk-frames=4/rate=25 prompt=cat num-frames=0 max-size-buffers=4",
                        "video/x-raw,framerate=25/1");
    gchar *dir = g_dir_make_tmp("sora-XXXXXX", NULL), *path = g_build_filename(dir, "prompt.txt", NULL), *now;
    GstElement *e = f.h->element;
    GstClockTime next = 0;
    GstMessage *m;

    gst_harness_play(f.h);
    frames_until(&f, "cat", 2, &next);
    g_object_set(e, "prompt", "by property", NULL);
    frames_until(&f, "by property", 400, &next);
    fail_unless(gst_element_send_event(e, prompt_event("by element")));
    frames_until(&f, "by element", 400, &next);
    fail_unless(gst_harness_push_upstream_event(f.h, prompt_event("by pad")));
    frames_until(&f, "by pad", 400, &next);
    g_object_get(e, "prompt", &now, NULL);
    fail_unless_equals_string(now, "by pad");
    g_free(now);
    g_signal_emit_by_name(e, "set-prompt", "by signal");
    frames_until(&f, "by signal", 400, &next);
    g_file_set_contents(path, "by file\n", -1, NULL);
    g_object_set(e, "prompt-file", path, NULL);
    frames_until(&f, "by file", 400, &next);
    g_file_set_contents(path, "by file, again\r\n", -1, NULL);
    g_signal_emit_by_name(e, "reload-prompt");
    frames_until(&f, "by file, again", 400, &next);
    fail_unless(next_message(&f, GST_MESSAGE_WARNING, 0) == NULL);

    /* what cannot be shown is told, and the stream goes on */
    fail_if(gst_element_send_event(e, gst_event_new_custom(GST_EVENT_CUSTOM_UPSTREAM,
                                                           gst_structure_new_empty("sora-set-prompt"))));
    fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 1000)) != NULL);
    gst_message_unref(m);
    g_unlink(path);
    g_signal_emit_by_name(e, "reload-prompt");
    fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 2000)) != NULL);
    gst_message_unref(m);
    g_object_set(e, "prompt-file", dir, NULL);
    fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 2000)) != NULL);
    gst_message_unref(m);
    g_object_set(e, "prompt", "", NULL);
    fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 1000)) != NULL);
    gst_message_unref(m);
    g_object_set(e, "prompt", "to the end", NULL);
    frames_until(&f, "to the end", 400, &next);
    g_rmdir(dir);
    g_free(path);
    g_free(dir);
    fixture_end(&f);
}
GST_END_TEST

/* A schedule in the prompt: each entry from its second on, to the frame where chunks allow it. */
GST_START_TEST(test_schedule)
{
    Fixture f = fixture("model=test/chunk-frames=5/rate=25 num-frames=75 prompt=\"@0 one @1 two @2.2 three\"",
                        "video/x-raw,framerate=25/1");
    GstClockTime next = 0;

    gst_harness_set_blocking_push_mode(f.h);
    gst_harness_play(f.h);
    fail_unless_equals_int(frames_until(&f, "one", 2, &next), 0);
    fail_unless_equals_int(frames_until(&f, "two", 30, &next), 25);
    fail_unless_equals_int(frames_until(&f, "three", 40, &next), 55);
    cancel_and_end(&f);
}
GST_END_TEST

/* ---- Clips that follow one another ---- */

GST_START_TEST(test_next_clip)
{
    Fixture f = fixture("model=test/streams=0/step-delay=5/rate=25 prompt=cat seed=1 num-frames=20 "
                        "prompt-change=next-clip", "video/x-raw,framerate=25/1");
    GstClockTime next = 0, from = 0;
    gint64 duration;
    GstMessage *m;
    GstBuffer *b;
    int n;

    gst_harness_set_blocking_push_mode(f.h);
    gst_harness_play(f.h);
    frames_until(&f, "cat", 2, &next);
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration) &&
                duration == 20 * 40 * (gint64)GST_MSECOND);
    g_object_set(f.h->element, "prompt", "dog", NULL);
    fail_unless_equals_int(frames_until(&f, "dog", 30, &next), 0);
    n = (int)(next / (40 * GST_MSECOND));                   /* 20, or 21: the event comes before its buffer */
    fail_unless((m = next_message(&f, GST_MESSAGE_DURATION_CHANGED, 1000)) != NULL);
    gst_message_unref(m);
    fail_if(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration) && duration != -1);
    while ((b = next_buffer(&f))) {
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), next);
        next += GST_BUFFER_DURATION(b);
        gst_buffer_unref(b);
        n++;
    }
    fail_unless_equals_int(n, 40);
    while ((m = next_element(&f, "sora-prompt-changed", 10))) {
        gst_structure_get_uint64(gst_message_get_structure(m), "pts", &from);
        gst_message_unref(m);
    }
    fail_unless_equals_uint64(from, 20 * 40 * GST_MSECOND);
    fail_unless(next_message(&f, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR, 0) == NULL);
    fixture_end(&f);
}
GST_END_TEST

static const char *const broken_off[] = {
    "model=test/streams=0/step-delay=500/rate=25 prompt=cat seed=1 num-frames=20 prompt-change=immediate",
    "model=test/streams=0/step-delay=500/rate=25 prompt=cat seed=1 num-frames=20 prompt-change=immediate is-live=true",
    "model=test/step-delay=500/rate=25 prompt=cat seed=1 num-frames=0 prompt-change=immediate is-live=true",
};

/* Long before the chunk in work is there the new prompt is; of the old one nothing more goes out. */
GST_START_TEST(test_immediate)
{
    Fixture f = fixture(broken_off[__i__], "video/x-raw,framerate=25/1");
    gboolean told = FALSE;
    gint64 began, took;
    GstEvent *e;

    gst_harness_set_drop_buffers(f.h, TRUE);
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    g_usleep(1000000);                                      /* in the third of four steps */
    began = g_get_monotonic_time();
    assert_quick(g_object_set(f.h->element, "prompt", "dog", NULL));
    while (!told && g_get_monotonic_time() < began + 10 * G_USEC_PER_SEC) {
        if (!(e = gst_harness_try_pull_event(f.h))) {
            g_usleep(5000);
            continue;
        }
        if (gst_event_has_name(e, "sora-prompt")) {
            fail_unless_equals_string(gst_structure_get_string(gst_event_get_structure(e), "prompt"), "dog");
            told = TRUE;
        }
        gst_event_unref(e);
    }
    took = g_get_monotonic_time() - began;
    fail_unless(told && took > 1900000 && took < 2000000 + 2 * limit_us(), "%d ms", (int)(took / 1000));
    fixture_end(&f);
}
GST_END_TEST

/* Ten changes while one clip is made: the last one wins, and there is one end. */
GST_START_TEST(test_last_wins)
{
    Fixture f = fixture("model=test/streams=0/step-delay=20/rate=25 prompt=cat seed=1 num-frames=20 "
                        "prompt-change=immediate", "video/x-raw,framerate=25/1");
    GstClockTime next = 0;
    GstBuffer *b;
    int n = 0;

    gst_harness_play(f.h);
    for (int i = 0; i < 10; i++) {
        gchar *p = g_strdup_printf("dog %d", i);
        assert_quick(g_object_set(f.h->element, "prompt", p, NULL));
        g_free(p);
        g_usleep(15000);
    }
    frames_until(&f, "dog 9", 2, &next);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 19);
    fixture_end(&f);
}
GST_END_TEST

static gpointer change_many(gpointer element)
{
    static gint numbers;        /* atomic */

    for (int i = 0; i < 25; i++) {
        gchar *p = g_strdup_printf("many %d", g_atomic_int_add(&numbers, 1));
        g_object_set(element, "prompt", p, NULL);
        g_free(p);
    }
    return NULL;
}

/* From four threads at once: what the property says in the end is what is shown in the end. */
GST_START_TEST(test_one_winner)
{
    Fixture f = fixture("model=test/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 prompt-change=immediate "
                        "max-size-buffers=4", "video/x-raw,framerate=25/1");
    GstClockTime next = 0;
    GThread *threads[4];
    gchar *prompt;

    gst_harness_play(f.h);
    frames_until(&f, "cat", 2, &next);
    for (int i = 0; i < 4; i++) threads[i] = g_thread_new("many", change_many, f.h->element);
    for (int i = 0; i < 4; i++) g_thread_join(threads[i]);
    g_object_get(f.h->element, "prompt", &prompt, NULL);
    frames_until(&f, prompt, 3000, &next);
    g_free(prompt);
    fixture_end(&f);
}
GST_END_TEST

/* A prompt that is no good is refused before anything is broken off. */
GST_START_TEST(test_bad_next)
{
    static const char *const bad[] = { "\xff\xfe", "@0 one @1 two", "" };
    Fixture f = fixture("model=test/streams=0/step-delay=5/rate=25 prompt=cat seed=1 num-frames=20 "
                        "prompt-change=immediate", NULL);
    GstMessage *m;
    GstBuffer *b;
    int n = 1;

    gst_harness_play(f.h);
    gst_buffer_unref(next_buffer(&f));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_object_set(f.h->element, "prompt", bad[i], NULL);
        fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 1000)) != NULL, "%u", i);
        gst_message_unref(m);
    }
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 20);
    fail_unless(next_message(&f, GST_MESSAGE_ERROR, 0) == NULL);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_regenerate)
{
    Fixture f = fixture("model=test/step-delay=2/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 "
                        "max-size-buffers=4", "video/x-raw,framerate=25/1");
    gint64 seed = 1, now;
    GstClockTime next = 0;

    gst_harness_play(f.h);
    frames_until(&f, "cat", 2, &next);
    for (int i = 0; i < 3; i++) {
        assert_quick(g_signal_emit_by_name(f.h->element, "regenerate"));
        frames_until(&f, "cat", 100, &next);
        g_object_get(f.h->element, "actual-seed", &now, NULL);
        fail_unless(now >= 0 && now != seed);
        seed = now;
    }
    fail_unless(stat_of(&f, "frames-generated") >= (gint64)(next / 40000000));
    fixture_end(&f);
}
GST_END_TEST

/* cancel: what is made goes out, then EOS; the worker is idle. */
GST_START_TEST(test_cancel)
{
    Fixture f = fixture(SLOW, NULL);
    gint64 began;
    gint state;
    GstBuffer *b;

    gst_harness_play(f.h);
    g_usleep(200000);
    began = g_get_monotonic_time();
    assert_quick(g_signal_emit_by_name(f.h->element, "cancel"));
    while ((b = next_buffer(&f))) gst_buffer_unref(b);
    fail_unless(g_get_monotonic_time() - began < limit_us());
    g_object_get(f.h->element, "state", &state, NULL);
    fail_unless_equals_int(state, 5);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Repeat ---- */

static const char *const repeated[] = {
    "model=test/rate=25 prompt=cat seed=1 num-frames=10 repeat=true",
    "model=test/rate=25/streams=0 prompt=cat seed=1 num-frames=10 repeat=true",
    "model=test/rate=25 prompt=cat seed=1 num-frames=10 repeat=true is-live=true",
};

/* The same ten frames again and again, time going on; then those of another prompt, without a hole. */
GST_START_TEST(test_repeat)
{
    const gboolean live = strstr(repeated[__i__], "is-live") != NULL;
    gchar *settings = g_strdup_printf("%s prompt-change=next-clip", repeated[__i__]), *sums[10];
    Fixture f = fixture(settings, "video/x-raw,framerate=25/1");
    GstClockTime last = GST_CLOCK_TIME_NONE;
    gboolean other = FALSE;
    GstBuffer *b;
    int n = 0;

    if (!live) gst_harness_set_blocking_push_mode(f.h);
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    while (n < 35) {
        gchar *sum;

        fail_unless((b = next_buffer(&f)) != NULL);
        if (last != GST_CLOCK_TIME_NONE && !live) fail_unless_equals_uint64(GST_BUFFER_PTS(b), last);
        last = GST_BUFFER_PTS(b) + GST_BUFFER_DURATION(b);
        if (GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP)) {           /* live, before the first */
            gst_buffer_unref(b);
            continue;
        }
        sum = sum_of(b);
        gst_buffer_unref(b);
        if (n < 10) sums[n] = g_strdup(sum);
        else fail_unless(!strcmp(sum, sums[n % 10]), "frame %d", n);
        g_free(sum);
        n++;
    }
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), 10);
    g_object_set(f.h->element, "prompt", "dog", NULL);
    for (int i = 0; i < 400 && !other; i++) {
        gchar *sum;

        b = next_buffer(&f);
        sum = sum_of(b);
        other = TRUE;
        for (int k = 0; k < 10; k++) other = other && strcmp(sum, sums[k]);
        fail_if(GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP));
        gst_buffer_unref(b);
        g_free(sum);
    }
    fail_unless(other);
    for (int k = 0; k < 10; k++) g_free(sums[k]);
    fail_if(gst_element_seek_simple(f.h->element, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
    g_free(settings);
    cancel_and_end(&f);
}
GST_END_TEST

GST_START_TEST(test_repeat_too_large)
{
    Fixture f = fixture("model=test/rate=25 prompt=cat num-frames=10 repeat=true cache-size=1000", NULL);
    GstMessage *m;
    GstBuffer *b;
    int n = 0;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 10);
    fail_unless((m = next_message(&f, GST_MESSAGE_WARNING, 1000)) != NULL);
    gst_message_unref(m);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Numbers ---- */

/* A control binding of steps: value i from frame 4 * i on.  What GStreamer's own controllers do, without their library. */
typedef struct { GstControlBinding parent; } StepBinding;
typedef struct { GstControlBindingClass parent; } StepBindingClass;
static GstClockTime asked[64];
static int n_asked;
static GType step_binding_get_type(void);
G_DEFINE_TYPE(StepBinding, step_binding, GST_TYPE_CONTROL_BINDING)

static gboolean step_sync(GstControlBinding *b, GstObject *object, GstClockTime t, GstClockTime last)
{
    const int i = (int)(t / (160 * GST_MSECOND));

    if (!strcmp(b->name, "seed")) g_object_set(object, "seed", (gint64)(100 + i), NULL);
    else g_object_set(object, "guidance", 1.0f + (gfloat)i, NULL);
    asked[n_asked++ & 63] = t;
    return TRUE;
}

static void step_binding_class_init(StepBindingClass *klass)
{
    GST_CONTROL_BINDING_CLASS(klass)->sync_values = step_sync;
}

static void step_binding_init(StepBinding *b)
{
}

static const char *const controlled[] = { "seed", "guidance" };

/* Sampled once for each chunk, with the time of its first frame, whatever the queue is ahead; every chunk differs. */
GST_START_TEST(test_controller)
{
    Fixture f = fixture("model=test/step-delay=2/chunk-frames=4/rate=25/size=64x64 prompt=cat seed=1 num-frames=24", NULL);
    Fixture plain = fixture("model=test/chunk-frames=4/rate=25/size=64x64 prompt=cat seed=1 num-frames=24", NULL);
    GstControlBinding *binding = g_object_new(step_binding_get_type(), "object", f.h->element, "name", controlled[__i__], NULL);
    GstBuffer *b, *p;

    n_asked = 0;
    fail_unless(g_object_class_find_property(G_OBJECT_GET_CLASS(f.h->element), controlled[__i__])->flags &
                GST_PARAM_CONTROLLABLE);
    fail_unless(gst_object_add_control_binding(GST_OBJECT(f.h->element), binding));
    gst_harness_play(f.h);
    gst_harness_play(plain.h);
    for (int i = 0; i < 24; i++) {
        gchar *x, *y;

        b = next_buffer(&f);
        p = next_buffer(&plain);
        x = sum_of(b);
        y = sum_of(p);
        /* guidance 1 is what there is without a controller */
        fail_unless((strcmp(x, y) == 0) == (__i__ == 1 && i < 4), "%s, frame %d", controlled[__i__], i);
        g_free(x);
        g_free(y);
        gst_buffer_unref(b);
        gst_buffer_unref(p);
    }
    fail_unless_equals_int(n_asked, 6);
    for (int i = 0; i < 6; i++) fail_unless_equals_uint64(asked[i], (guint64)i * 160 * GST_MSECOND);
    fixture_end(&plain);
    fixture_end(&f);
}
GST_END_TEST

/* Set while it plays, without a controller: from the next chunk on, and actual-seed follows. */
GST_START_TEST(test_seed_while_playing)
{
    Fixture f = fixture("model=test/step-delay=2/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 "
                        "max-size-buffers=4", NULL);
    gint64 seed = 0;

    gst_harness_play(f.h);
    gst_buffer_unref(next_buffer(&f));
    g_object_set(f.h->element, "seed", (gint64)77, NULL);
    for (int i = 0; i < 200 && seed != 77; i++) {
        gst_buffer_unref(next_buffer(&f));
        g_object_get(f.h->element, "actual-seed", &seed, NULL);
    }
    fail_unless_equals_int64(seed, 77);
    fixture_end(&f);
}
GST_END_TEST

static Suite *soraprompt_suite(void)
{
    Suite *s = suite_create("soraprompt");
    TCase *t = tcase_create("changes");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_prompt_change);
    tcase_add_test(t, test_prompt_of_clip);
    tcase_add_test(t, test_ways_in);
    tcase_add_test(t, test_schedule);
    tcase_add_test(t, test_next_clip);
    tcase_add_loop_test(t, test_immediate, 0, G_N_ELEMENTS(broken_off));
    tcase_add_test(t, test_last_wins);
    tcase_add_test(t, test_one_winner);
    tcase_add_test(t, test_bad_next);
    tcase_add_test(t, test_regenerate);
    tcase_add_test(t, test_cancel);
    tcase_add_loop_test(t, test_repeat, 0, G_N_ELEMENTS(repeated));
    tcase_add_test(t, test_repeat_too_large);
    tcase_add_loop_test(t, test_controller, 0, G_N_ELEMENTS(controlled));
    tcase_add_test(t, test_seed_while_playing);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, soraprompt_suite(), "test_soraprompt");
}
