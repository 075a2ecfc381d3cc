/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc and the clock: live pace, what fills a slot without content, and what is made ahead where it is not live. */
#include "sora_check.h"

/* ---- Pace ---- */

/* Slower than real time: a buffer in every slot, content at its own pace, the rest repeats that share its memory. */
GST_START_TEST(test_live_pace)
{
    Fixture f = fixture(LIVE, "video/x-raw,framerate=25/1");
    GstClockTime begin = 0, last = 0;
    GstMemory *held = NULL;
    gint64 began, end;
    int n = 0, gaps = 0, shared = 0;
    GstMessage *m;
    GstBuffer *b;

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    began = g_get_monotonic_time();
    while (n < 75 && (b = gst_harness_pull(f.h))) {
        if (n == 0) {
            begin = GST_BUFFER_PTS(b);
            fail_unless(g_get_monotonic_time() - began < limit_us());
        } else {
            fail_unless(GST_BUFFER_PTS(b) > last);
        }
        last = GST_BUFFER_PTS(b);
        if (GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP)) {
            gaps++;
            fail_unless(GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DROPPABLE));
            shared += held && gst_buffer_peek_memory(b, 0) == held;
        }
        if (held) gst_memory_unref(held);
        held = gst_memory_ref(gst_buffer_peek_memory(b, 0));
        gst_buffer_unref(b);
        n++;
    }
    gst_memory_unref(held);
    end = g_get_monotonic_time();
    /* 75 slots of 40 ms; what a busy machine leaves out, the stamps leave out too */
    fail_unless(end - began > 2800000 && end - began < 2800000 + 5 * limit_us(), "%d ms", (int)((end - began) / 1000));
    fail_unless(ABS((gint64)(last - begin) - (end - began) * 1000) < 5 * limit_us() * 1000);
    fail_unless(gaps > 30 && gaps < 70, "%d", gaps);            /* 4 of 10 frames are made in time */
    fail_unless(shared > gaps / 2, "%d of %d", shared, gaps);
    m = next_message(&f, GST_MESSAGE_WARNING, 1000);
    fail_unless(m != NULL);
    gst_message_unref(m);
    fail_unless(next_message(&f, GST_MESSAGE_WARNING, 0) == NULL);      /* once, not for each chunk */
    m = next_element(&f, "sora-underrun", 10);
    fixture_end(&f);
    if (m) gst_message_unref(m);
}
GST_END_TEST

static GstPadProbeReturn block_once(GstPad *pad, GstPadProbeInfo *info, gpointer left)
{
    if (--*(int *)left == 0) g_usleep(1000000);
    return GST_PAD_PROBE_OK;
}

/* Downstream blocks for a second: the slots of that second are left out, not made up for. */
GST_START_TEST(test_live_no_burst)
{
    Fixture f = fixture("model=test/rate=25 prompt=cat num-frames=0 is-live=true", "video/x-raw,framerate=25/1");
    GstClockTime last = 0, jump = 0;
    int left = 10;
    GstBuffer *b;

    gst_pad_add_probe(f.h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, block_once, &left, NULL);
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    for (int i = 0; i < 20 && (b = next_buffer(&f)); i++) {
        if (i >= 10) jump = MAX(jump, GST_BUFFER_PTS(b) - last);
        last = GST_BUFFER_PTS(b);
        gst_buffer_unref(b);
    }
    fail_unless(jump > 800 * GST_MSECOND, "%d ms", (int)(jump / GST_MSECOND));
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_live_latency)
{
    Fixture f = fixture(LIVE, "video/x-raw,framerate=50/1");
    GstQuery *q = gst_query_new_latency();
    GstClockTime min, max;
    gboolean live;
    GstBuffer *b;

    fail_unless_equals_int(gst_element_set_state(f.h->element, GST_STATE_PAUSED), GST_STATE_CHANGE_NO_PREROLL);
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    gst_buffer_unref(b);
    fail_unless(gst_element_query(f.h->element, q));
    gst_query_parse_latency(q, &live, &min, &max);
    fail_unless(live && min == 20 * GST_MSECOND && max == GST_CLOCK_TIME_NONE);
    gst_query_unref(q);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Underrun ---- */

/* 4 frames in 400 ms: of ten slots, six have no content. */
#define STARVED "model=test/step-delay=100/steps=4/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 is-live=true "

typedef struct Shown { gboolean gap; gchar *sum; GstClockTime pts; int luma; } Shown;

static void shown_clear(gpointer p)
{
    g_free(((Shown *)p)->sum);
}

/* What leaves in n slots. */
static GArray *watch(const char *settings, int n)
{
    Fixture f = fixture(settings, "video/x-raw,format=I420,framerate=25/1");
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Shown));
    GstBuffer *b;
    GstMapInfo map;

    g_array_set_clear_func(all, shown_clear);
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    while (n-- > 0 && (b = next_buffer(&f))) {
        Shown s = { GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP), sum_of(b), GST_BUFFER_PTS(b), 0 };

        fail_unless(s.gap == GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DROPPABLE));
        fail_unless(gst_buffer_map(b, &map, GST_MAP_READ));
        for (int i = 0; i < 320 * 180; i++) s.luma = MAX(s.luma, map.data[i]);
        gst_buffer_unmap(b, &map);
        g_array_append_val(all, s);
        gst_buffer_unref(b);
    }
    fixture_end(&f);
    for (guint i = 1; i < all->len; i++)
        fail_unless(g_array_index(all, Shown, i).pts > g_array_index(all, Shown, i - 1).pts);
    return all;
}

#define AT(i) g_array_index(all, Shown, i)

/* The number of the content on show in slot i: its place among the pictures that came without GAP. */
static int content_at(GArray *all, guint i)
{
    int n = -1;

    for (guint k = 0; k < all->len; k++) {
        if (!AT(k).gap) n++;
        if (!AT(k).gap && !strcmp(AT(k).sum, AT(i).sum)) return n;
    }
    return -1;
}

static guint first_content(GArray *all)
{
    guint i = 0;

    while (i < all->len && AT(i).gap) i++;
    fail_unless(i < all->len, "no content");
    return i;
}

GST_START_TEST(test_hold)
{
    GArray *all = watch(STARVED "underrun=hold", 60);
    const guint from = first_content(all);

    fail_unless(from > 2);
    for (guint i = 0; i < all->len; i++) {
        if (i < from) fail_unless(AT(i).luma == 16, "slot %u: luma %d", i, AT(i).luma);
        else if (AT(i).gap) fail_unless(!strcmp(AT(i).sum, AT(i - 1).sum), "slot %u", i);
    }
    g_array_unref(all);
}
GST_END_TEST

GST_START_TEST(test_black)
{
    GArray *all = watch(STARVED "underrun=black", 60);
    int black = 0;

    for (guint i = 0; i < all->len; i++) {
        fail_unless(AT(i).gap == (AT(i).luma == 16), "slot %u: gap %d, luma %d", i, AT(i).gap, AT(i).luma);
        black += AT(i).gap;
    }
    fail_unless(black > 20 && black < 55, "%d", black);
    g_array_unref(all);
}
GST_END_TEST

/* The bar grows, and gives way to the first picture, which is held from then on. */
GST_START_TEST(test_card)
{
    GArray *all = watch("model=test/step-delay=60/steps=10/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 "
                        "is-live=true underrun=card", 30);
    const guint from = first_content(all);
    int cards = 1;

    fail_unless(from > 4);
    for (guint i = 0; i < from; i++) fail_unless(AT(i).luma > 100, "slot %u: luma %d", i, AT(i).luma);
    for (guint i = 1; i < from; i++) cards += strcmp(AT(i).sum, AT(i - 1).sum) != 0;
    fail_unless(cards >= 4, "%d cards in %u slots", cards, from);
    for (guint i = from + 1; i < all->len; i++)
        if (AT(i).gap) fail_unless_equals_string(AT(i).sum, AT(i - 1).sum);
    g_array_unref(all);
}
GST_END_TEST

/* Between the chunks the last one to and fro: every picture that follows another is its neighbour. */
GST_START_TEST(test_loop)
{
    GArray *all = watch("model=test/step-delay=100/steps=6/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 "
                        "is-live=true underrun=loop", 75);
    const guint from = first_content(all);
    int looped = 0;

    for (guint i = from + 1; i < all->len; i++) {
        const int a = content_at(all, i - 1), b = content_at(all, i);

        fail_unless(a >= 0 && b >= 0, "slot %u shows no content", i);
        fail_unless(ABS(a - b) <= 1, "slot %u: from %d to %d", i, a, b);
        looped += AT(i).gap && a != b;
    }
    fail_unless(looped > 20, "%d", looped);
    g_array_unref(all);
}
GST_END_TEST

/* Content at the pace of its making: after the first chunks no picture stands much longer than the others. */
GST_START_TEST(test_stretch)
{
    GArray *all = watch(STARVED "underrun=stretch", 110);
    const guint from = first_content(all);
    int longest = 0, run = 0, content = 0;

    for (guint i = from + 30; i < all->len; i++) {
        run = AT(i).gap ? run + 1 : 0;
        content += !AT(i).gap;
        longest = MAX(longest, run);
        if (AT(i).gap) fail_unless_equals_string(AT(i).sum, AT(i - 1).sum);
    }
    fail_unless(content > 20, "%d", content);
    /* 1.5 repeats for each frame; hold would give 6 at the end of each chunk, and a busy machine adds some */
    fail_unless(longest <= 3 + (int)(limit_us() / 200000), "%d repeats of a picture", longest);
    g_array_unref(all);
}
GST_END_TEST

GST_START_TEST(test_block)
{
    GArray *all = watch(STARVED "underrun=block", 16);
    int jumps = 0;

    for (guint i = 0; i < all->len; i++) fail_if(AT(i).gap);
    for (guint i = 1; i < all->len; i++) jumps += AT(i).pts - AT(i - 1).pts > 150 * GST_MSECOND;
    fail_unless(jumps >= 3, "%d", jumps);
    g_array_unref(all);
}
GST_END_TEST

/* While it plays. */
GST_START_TEST(test_change_policy)
{
    Fixture f = fixture("model=test/step-delay=400/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 is-live=true",
                        "video/x-raw,format=I420,framerate=25/1");
    int lit = 0;
    GstBuffer *b;

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    for (int i = 0; i < 10; i++) {
        GstMapInfo map;

        if (i == 5) gst_util_set_object_arg(G_OBJECT(f.h->element), "underrun", "card");
        b = next_buffer(&f);
        fail_unless(b && gst_buffer_map(b, &map, GST_MAP_READ));
        if (map.data[10] > 16) lit++;
        gst_buffer_unmap(b, &map);
        gst_buffer_unref(b);
    }
    fail_unless(lit >= 4 && lit <= 6, "%d", lit);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Prebuffer ---- */

/* A clip at a third of real time.  late_ms: how much later than its time after the first frame a frame arrives at most;
   generated: frames that were made when the first one came. */
static void play_clip(const char *prebuffer, int *late_ms, gint64 *generated)
{
    gchar *settings = g_strdup_printf("model=test/step-delay=60/steps=4/chunk-frames=4/rate=50 prompt=cat seed=1 "
                                      "num-frames=40 prebuffer=%s", prebuffer);
    Fixture f = fixture(settings, "video/x-raw,framerate=50/1");
    GstStructure *stats;
    gint64 began = 0;
    GstBuffer *b;
    int n;

    *late_ms = 0;
    gst_harness_play(f.h);
    for (n = 0; (b = next_buffer(&f)); n++) {
        const gint64 now = g_get_monotonic_time();

        if (!n) {
            began = now;
            g_object_get(f.h->element, "stats", &stats, NULL);
            fail_unless(gst_structure_get_int64(stats, "frames-generated", generated));
            gst_structure_free(stats);
        }
        *late_ms = MAX(*late_ms, (int)((now - began) / 1000 - n * 20));
        gst_buffer_unref(b);
    }
    fail_unless_equals_int(n, 40);
    fixture_end(&f);
    g_free(settings);
}

GST_START_TEST(test_prebuffer)
{
    gint64 generated;
    int late_ms;

    play_clip("none", &late_ms, &generated);
    fail_unless(late_ms > 500 && generated <= 8, "%d ms late, %d made", late_ms, (int)generated);
    play_clip("auto", &late_ms, &generated);
    fail_unless(late_ms < (int)(limit_us() / 1000), "%d ms late", late_ms);
    fail_unless(generated > 16 && generated < 40, "%d made", (int)generated);
    play_clip("full", &late_ms, &generated);
    fail_unless(late_ms < (int)(limit_us() / 1000), "%d ms late", late_ms);
    fail_unless_equals_int64(generated, 40);
}
GST_END_TEST

/* What cannot be kept is made ahead as far as the limits let it, and no further wait. */
GST_START_TEST(test_prebuffer_limits)
{
    static const char *const settings[] = {
        "model=test/step-delay=5/chunk-frames=4 prompt=cat num-frames=0 prebuffer=full max-size-buffers=20",
        "model=test/step-delay=100/chunk-frames=2/rate=25 prompt=cat num-frames=0 prebuffer=auto max-size-buffers=6",
        "model=test/step-delay=5/chunk-frames=4 prompt=cat num-frames=30 cache-size=0 prebuffer=full max-size-buffers=9",
    };

    for (guint k = 0; k < G_N_ELEMENTS(settings); k++) {
        Fixture f = fixture(settings[k], NULL);
        GstBuffer *b;

        gst_harness_play(f.h);
        b = next_buffer(&f);
        fail_unless(b != NULL, "%s", settings[k]);
        gst_buffer_unref(b);
        fixture_end(&f);
    }
}
GST_END_TEST

static Suite *soralive_suite(void)
{
    Suite *s = suite_create("soralive");
    TCase *t = tcase_create("clock");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_live_pace);
    tcase_add_test(t, test_live_no_burst);
    tcase_add_test(t, test_live_latency);
    tcase_add_test(t, test_hold);
    tcase_add_test(t, test_black);
    tcase_add_test(t, test_card);
    tcase_add_test(t, test_loop);
    tcase_add_test(t, test_stretch);
    tcase_add_test(t, test_block);
    tcase_add_test(t, test_change_policy);
    tcase_add_test(t, test_prebuffer);
    tcase_add_test(t, test_prebuffer_limits);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, soralive_suite(), "test_soralive");
}
