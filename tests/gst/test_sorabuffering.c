/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc: BUFFERING messages.  checks.py has an application that pauses by them. */
#include "sora_check.h"

#define FILLING "model=test/steps=1/step-delay=60/chunk-frames=4/rate=25 prompt=cat seed=1 use-buffering=true "

/* The percentages within so many ms, until one is `last`. */
static GArray *levels(Fixture *f, int last, int ms)
{
    const gint64 end = g_get_monotonic_time() + ms * 1000;
    GArray *all = g_array_new(FALSE, FALSE, sizeof(gint));
    GstBufferingMode mode;
    GstMessage *m;
    gint percent = -1;

    while (percent != last && g_get_monotonic_time() < end) {
        if (!(m = next_message(f, GST_MESSAGE_BUFFERING, 20))) continue;
        gst_message_parse_buffering(m, &percent);
        gst_message_parse_buffering_stats(m, &mode, NULL, NULL, NULL);
        fail_unless(percent >= 0 && percent <= 100 && mode == GST_BUFFERING_STREAM);
        g_array_append_val(all, percent);
        gst_message_unref(m);
    }
    return all;
}

#define LEVEL(i) g_array_index(all, gint, i)

static void assert_silence(Fixture *f, int ms)
{
    GArray *all = levels(f, -2, ms);

    fail_unless(all->len == 0, "%u messages, the first %d", all->len, all->len ? LEVEL(0) : 0);
    g_array_unref(all);
}

static const char *const fills[] = { "num-frames=0", "num-frames=100", "num-frames=100 cache-size=0", "num-frames=12",
                                     "num-frames=0 generate-in-paused=false", "num-frames=0 max-size-buffers=10",
                                     "num-frames=0 max-size-bytes=1" };

/* Before a sink that has its preroll: from nothing to full, once, upwards. */
GST_START_TEST(test_fill)
{
    gchar *settings = g_strconcat(FILLING, fills[__i__], NULL);
    Fixture f = fixture(settings, "video/x-raw,framerate=25/1");
    GArray *all;

    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    all = levels(&f, 100, 10000);
    fail_unless(all->len >= 2 && LEVEL(0) == 0 && LEVEL(all->len - 1) == 100, "%u, last %d", all->len,
                LEVEL(all->len - 1));
    for (guint i = 1; i < all->len; i++) fail_unless(LEVEL(i) > LEVEL(i - 1), "%d after %d", LEVEL(i), LEVEL(i - 1));
    g_array_unref(all);
    assert_silence(&f, 400);
    fixture_end(&f);
    g_free(settings);
}
GST_END_TEST

/* Shown faster than it is made: when the store is empty it begins again; at the end it is full for good. */
GST_START_TEST(test_empty_again)
{
    Fixture f = fixture(FILLING "num-frames=60", "video/x-raw,framerate=25/1");
    GArray *all;
    GstBuffer *b;

    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_array_unref(levels(&f, 100, 10000));
    let_pass(&f, 1000);
    all = levels(&f, 100, 10000);
    fail_unless(all->len >= 2 && LEVEL(0) < 40 && LEVEL(all->len - 1) == 100, "%u, %d", all->len, LEVEL(0));
    g_array_unref(all);
    while ((b = next_buffer(&f))) gst_buffer_unref(b);
    all = levels(&f, -2, 50);
    if (all->len) fail_unless_equals_int(LEVEL(all->len - 1), 100);
    g_array_unref(all);
    fixture_end(&f);
}
GST_END_TEST

static const char *const silent[] = {
    "model=test/steps=1/step-delay=60/chunk-frames=4/rate=25 prompt=cat num-frames=30",
    FILLING "num-frames=30 is-live=true",
};

GST_START_TEST(test_silent)
{
    Fixture f = fixture(silent[__i__], NULL);

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    assert_silence(&f, 600);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_query)
{
    Fixture f = fixture("model=test/load-delay=60000 prompt=cat use-buffering=true", NULL);
    GstQuery *q = gst_query_new_buffering(GST_FORMAT_TIME);
    gboolean busy = FALSE;
    gint percent = -1;

    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_array_unref(levels(&f, 0, 2000));
    fail_unless(gst_element_query(f.h->element, q));
    gst_query_parse_buffering_percent(q, &busy, &percent);
    fail_unless(busy && percent == 0);
    gst_query_unref(q);
    fixture_end(&f);
}
GST_END_TEST

/* Who waits for the rest is told when there will be none, or another prompt takes its place; not who has stopped it. */
GST_START_TEST(test_broken_off)
{
    Fixture f = fixture("model=test/steps=100/step-delay=50/rate=25 prompt=cat num-frames=0 use-buffering=true "
                        "prompt-change=immediate", NULL);
    GArray *all;

    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_array_unref(levels(&f, 0, 2000));
    g_usleep(100000);
    g_object_set(f.h->element, "prompt", "dog", NULL);
    all = levels(&f, 100, 1000);
    fail_unless(all->len && LEVEL(all->len - 1) == 100);
    g_array_unref(all);
    all = levels(&f, 0, 1000);                      /* and waits for that */
    fail_unless(all->len && LEVEL(all->len - 1) == 0);
    g_array_unref(all);
    g_signal_emit_by_name(f.h->element, "cancel");
    all = levels(&f, 100, 1000);
    fail_unless(all->len && LEVEL(all->len - 1) == 100);
    g_array_unref(all);

    gst_element_set_state(f.h->element, GST_STATE_READY);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_array_unref(levels(&f, 0, 2000));
    gst_element_set_state(f.h->element, GST_STATE_READY);
    assert_silence(&f, 100);
    fixture_end(&f);
}
GST_END_TEST

static Suite *sorabuffering_suite(void)
{
    Suite *s = suite_create("sorabuffering");
    TCase *t = tcase_create("buffering");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, test_fill, 0, G_N_ELEMENTS(fills));
    tcase_add_test(t, test_empty_again);
    tcase_add_loop_test(t, test_silent, 0, G_N_ELEMENTS(silent));
    tcase_add_test(t, test_query);
    tcase_add_test(t, test_broken_off);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, sorabuffering_suite(), "test_sorabuffering");
}
