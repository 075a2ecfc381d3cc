/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream of sorasrc with model "test": time, determinism, seeks, EOS. */
#include <gst/base/gstbasesrc.h>

#include "sora_check.h"

/* ---- Clips ---- */

GST_START_TEST(test_clip)
{
    Fixture f = fixture(QUICK, NULL);
    GstClockTime next = 0;
    GstBuffer *b;
    GstVideoInfo info;
    GstCaps *caps;
    guint64 n = 0;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) {
        if (n == 0) {
            caps = gst_pad_get_current_caps(f.h->sinkpad);
            fail_unless(gst_video_info_from_caps(&info, caps));
            gst_caps_unref(caps);
            fail_unless(GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DISCONT));
        }
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), next);
        fail_unless_equals_uint64(GST_BUFFER_OFFSET(b), n);
        n++;
        next = gst_util_uint64_scale(n, (guint64)info.fps_d * GST_SECOND, (guint64)info.fps_n);
        fail_unless_equals_uint64(GST_BUFFER_PTS(b) + GST_BUFFER_DURATION(b), next);
        fail_if(GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP));
        gst_buffer_unref(b);
    }
    fail_unless_equals_uint64(n, 50);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_deterministic)
{
    static const struct { const char *settings, *caps; gboolean same; } runs[] = {
        { QUICK, NULL, TRUE },
        { QUICK " threads=1", NULL, TRUE },
        { QUICK " threads=2", NULL, TRUE },
        { QUICK " is-live=false post-messages=false max-size-buffers=1", NULL, TRUE },
        { "model=test/step-delay=2/rate=25 prompt=cat seed=2 num-frames=50", NULL, FALSE },
        { "model=test/step-delay=2/rate=25 prompt=dog seed=1 num-frames=50", NULL, FALSE },
    };
    int n;
    gchar *clip = sum_of_clip(QUICK, NULL, 1000, &n), *odd[2];

    for (guint k = 0; k < G_N_ELEMENTS(runs); k++) {
        gchar *sum = sum_of_clip(runs[k].settings, runs[k].caps, 1000, &n);
        fail_unless_equals_int(n, 50);
        fail_unless((strcmp(sum, clip) == 0) == runs[k].same, "%s", runs[k].settings);
        g_free(sum);
    }
    for (int k = 0; k < 2; k++)         /* through the converter, with bytes between the rows */
        odd[k] = sum_of_clip(QUICK, "video/x-raw,format=BGR,width=323,height=241,colorimetry=sRGB", 5, &n);
    fail_unless_equals_string(odd[0], odd[1]);
    g_free(odd[0]);
    g_free(odd[1]);
    g_free(clip);
}
GST_END_TEST

/* A drawn seed is told, and gives the same clip when it is set. */
GST_START_TEST(test_drawn_seed)
{
    Fixture f = fixture("model=test prompt=cat seed=-1 num-frames=3", NULL);
    gchar *sum, *again, *settings;
    GstBuffer *b;
    gint64 seed;
    int n;

    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    sum = sum_of(b);
    gst_buffer_unref(b);
    g_object_get(f.h->element, "actual-seed", &seed, NULL);
    fixture_end(&f);

    settings = g_strdup_printf("model=test prompt=cat seed=%" G_GINT64_FORMAT " num-frames=3", seed);
    f = fixture(settings, NULL);
    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    again = sum_of(b);
    gst_buffer_unref(b);
    fixture_end(&f);
    fail_unless_equals_string(sum, again);
    g_free(settings);
    g_free(sum);
    g_free(again);
    sum = sum_of_clip("model=test prompt=cat seed=-1 num-frames=3", NULL, 9, &n);
    again = sum_of_clip("model=test prompt=cat seed=-1 num-frames=3", NULL, 9, &n);
    fail_unless(strcmp(sum, again) != 0);
    g_free(sum);
    g_free(again);
}
GST_END_TEST

/* Where the caps are what the session writes, a frame goes out without a copy. */
GST_START_TEST(test_no_copy)
{
    Fixture f = fixture(QUICK, "video/x-raw,format=I420");
    GstBuffer *b;
    GstMapInfo map;
    guint8 top;

    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    fail_unless_equals_int(gst_buffer_n_memory(b), 1);
    /* The clip is kept: who writes into the buffer gets memory of his own. */
    fail_if(gst_buffer_is_all_memory_writable(b));
    fail_unless(gst_buffer_map(b, &map, GST_MAP_READ));
    top = map.data[0];
    gst_buffer_unmap(b, &map);
    b = gst_buffer_make_writable(b);
    gst_buffer_memset(b, 0, (guint8)~top, 1);
    gst_buffer_unref(b);
    fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                 GST_SEEK_TYPE_NONE, 0));
    while ((b = gst_harness_pull(f.h)) && GST_BUFFER_OFFSET(b) != 0) gst_buffer_unref(b);
    fail_unless(gst_buffer_map(b, &map, GST_MAP_READ));
    fail_unless_equals_int(map.data[0], top);
    gst_buffer_unmap(b, &map);
    gst_buffer_unref(b);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_queries)
{
    Fixture f = fixture("model=test/load-delay=60000 prompt=cat num-frames=50", NULL);
    gint64 duration;
    GstQuery *q;
    gboolean live, seekable;
    GstClockTime min;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);      /* long before any frame */
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration));
    fail_unless(duration > 0);
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_DEFAULT, &duration));
    fail_unless_equals_int64(duration, 50);
    q = gst_query_new_seeking(GST_FORMAT_TIME);
    fail_unless(gst_element_query(f.h->element, q));
    gst_query_parse_seeking(q, NULL, &seekable, NULL, NULL);
    fail_unless(seekable);
    gst_query_unref(q);
    q = gst_query_new_latency();
    fail_unless(gst_element_query(f.h->element, q));
    gst_query_parse_latency(q, &live, &min, NULL);
    fail_unless(!live && min == 0);
    gst_query_unref(q);
    fixture_end(&f);

    f = fixture(SLOW, NULL);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    fail_if(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration) && duration != -1);
    q = gst_query_new_seeking(GST_FORMAT_TIME);
    seekable = TRUE;
    if (gst_element_query(f.h->element, q)) gst_query_parse_seeking(q, NULL, &seekable, NULL, NULL);
    fail_if(seekable);
    gst_query_unref(q);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Seeks ---- */

typedef struct Seek { gdouble rate; int start_ms, stop_ms; int first, last; } Seek;

static const Seek seeks[] = {       /* frames of a clip at 25 per second */
    { 1, 500, 1000, 12, 24 }, { 1, 1960, -1, 49, 49 }, { 1, 0, 40, 0, 0 }, { -1, 0, 1000, 24, 0 },
    { -1, 500, -1, 49, 12 }, { 2, 1000, -1, 25, 49 }, { 1, 480, 520, 12, 12 },
};

GST_START_TEST(test_seek)
{
    Fixture f = fixture(QUICK, "video/x-raw,framerate=25/1");
    gchar *sums[50];
    GstBuffer *b;

    gst_harness_play(f.h);
    for (int i = 0; i < 50; i++) {
        b = gst_harness_pull(f.h);
        fail_unless(b != NULL);
        sums[i] = sum_of(b);
        gst_buffer_unref(b);
    }
    for (guint k = 0; k < G_N_ELEMENTS(seeks); k++) {
        const Seek *s = &seeks[k];
        const int step = s->rate < 0 ? -1 : 1, count = ABS(s->last - s->first) + 1;
        const gboolean stops = s->stop_ms >= 0;

        fail_unless(gst_element_seek(f.h->element, s->rate, GST_FORMAT_TIME,
            GST_SEEK_FLAG_FLUSH | (k % 2 ? GST_SEEK_FLAG_SEGMENT : 0), GST_SEEK_TYPE_SET,
            s->start_ms * (gint64)GST_MSECOND, stops ? GST_SEEK_TYPE_SET : GST_SEEK_TYPE_END,
            stops ? s->stop_ms * (gint64)GST_MSECOND : 0), "%u", k);
        for (int i = 0; i < count; i++) {
            const int n = s->first + i * step;
            gchar *sum;

            b = gst_harness_pull(f.h);
            fail_unless(b != NULL, "seek %u: %d of %d", k, i, count);
            fail_unless_equals_uint64(GST_BUFFER_PTS(b), (guint64)n * 40 * GST_MSECOND);
            sum = sum_of(b);
            fail_unless_equals_string(sum, sums[n]);
            g_free(sum);
            gst_buffer_unref(b);
        }
        g_usleep(20000);
        b = gst_harness_try_pull(f.h);
        fail_unless(b == NULL, "seek %u: %" GST_PTR_FORMAT, k, b);
        if (k % 2) {
            GstMessage *m = next_message(&f, GST_MESSAGE_SEGMENT_DONE, 2000);
            fail_unless(m != NULL, "%u", k);
            gst_message_unref(m);
        }
    }
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), 50);          /* nothing was made twice */
    for (int i = 0; i < 50; i++) g_free(sums[i]);
    fixture_end(&f);
}
GST_END_TEST

/* Ahead of what is made: the call returns, the frame comes when it is there; and away again at once. */
GST_START_TEST(test_seek_ahead)
{
    Fixture f = fixture("model=test/step-delay=100/steps=4/rate=25 prompt=cat seed=1 num-frames=50",
                        "video/x-raw,framerate=25/1");
    GstBuffer *b;

    gst_harness_play(f.h);
    g_usleep(50000);
    assert_quick(fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
        GST_SEEK_TYPE_SET, (gint64)1500 * (gint64)GST_MSECOND, GST_SEEK_TYPE_NONE, 0)));
    assert_quick(fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
        GST_SEEK_TYPE_SET, (gint64)1000 * (gint64)GST_MSECOND, GST_SEEK_TYPE_NONE, 0)));
    b = gst_harness_pull(f.h);
    fail_unless(b && GST_BUFFER_PTS(b) == GST_SECOND);
    gst_buffer_unref(b);
    fixture_end(&f);
}
GST_END_TEST

/* A clip that takes more than cache-size is not kept, says so, and plays all the same. */
GST_START_TEST(test_no_cache)
{
    Fixture f = fixture(QUICK " cache-size=1000 max-size-buffers=2", NULL);
    GstBuffer *b;
    int n = 0;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 50);
    fail_if(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                             GST_SEEK_TYPE_NONE, 0));
    fixture_end(&f);
}
GST_END_TEST

/* ---- Rates ---- */

GST_START_TEST(test_rate)
{
    static const struct { const char *caps; int frames; } rates[] = {   /* two seconds stay two seconds */
        { "video/x-raw,framerate=50/1", 100 }, { "video/x-raw,framerate=5/1", 10 },
        { "video/x-raw,framerate=30000/1001", 60 }, { "video/x-raw,framerate=0/1", 1 },
    };
    int n;

    for (guint k = 0; k < G_N_ELEMENTS(rates); k++) {
        gchar *sum = sum_of_clip(QUICK, rates[k].caps, 1000, &n);
        fail_unless_equals_int(n, rates[k].frames);
        g_free(sum);
    }
}
GST_END_TEST

/* Each frame once at the rate of the caps: duration, time and seeks are those of that rate. */
GST_START_TEST(test_retime)
{
    Fixture f = fixture(QUICK " rate-mode=retime", "video/x-raw,framerate=50/1");
    gchar *sums[50], *sum;
    int n, changed = 0;
    GstMessage *m;
    GstBuffer *b;
    gint64 duration;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    gst_harness_play(f.h);
    for (n = 0; (b = next_buffer(&f)); n++) {
        fail_unless(n < 50);
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), (guint64)n * 20 * GST_MSECOND);
        fail_unless_equals_uint64(GST_BUFFER_DURATION(b), 20 * GST_MSECOND);
        sums[n] = sum_of(b);
        if (n) fail_unless(strcmp(sums[n], sums[n - 1]));
        gst_buffer_unref(b);
    }
    fail_unless_equals_int(n, 50);
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration) && duration == GST_SECOND);
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_DEFAULT, &duration) && duration == 50);
    fail_unless_equals_uint64(GST_BASE_SRC(f.h->element)->segment.duration, GST_SECOND);
    while ((m = next_message(&f, GST_MESSAGE_DURATION_CHANGED, 0))) gst_message_unref(m), changed++;
    fail_unless(changed >= 1);
    for (int reverse = 0; reverse < 2; reverse++) {
        fail_unless(gst_element_seek(f.h->element, reverse ? -1 : 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
            GST_SEEK_TYPE_SET, 500 * (gint64)GST_MSECOND, reverse ? GST_SEEK_TYPE_END : GST_SEEK_TYPE_NONE, 0));
        for (int i = 0; i < 25; i++) {
            const int k = reverse ? 49 - i : 25 + i;

            b = gst_harness_pull(f.h);
            fail_unless_equals_uint64(GST_BUFFER_PTS(b), (guint64)k * 20 * GST_MSECOND);
            sum = sum_of(b);
            fail_unless_equals_string(sum, sums[k]);
            g_free(sum);
            gst_buffer_unref(b);
        }
    }
    for (n = 0; n < 50; n++) g_free(sums[n]);
    fixture_end(&f);
}
GST_END_TEST

/* Another rate in the middle: no frame is lost or shown again, and time has no hole; live as well. */
GST_START_TEST(test_retime_renegotiate)
{
    Fixture f = fixture("model=test/steps=1/step-delay=40/chunk-frames=4/rate=25 prompt=cat num-frames=50 "
                        "rate-mode=retime", "video/x-raw,format=I420,framerate=25/1");
    GstClockTime next = 0;
    gchar *last = NULL, *sum;
    gint64 duration;
    int n = 0, slow = 0;
    GstBuffer *b;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) {
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), next);
        next = GST_BUFFER_PTS(b) + GST_BUFFER_DURATION(b);
        slow += GST_BUFFER_DURATION(b) > 100 * GST_MSECOND;
        sum = sum_of(b);
        fail_unless(g_strcmp0(sum, last) != 0, "frame %d shows again what was shown", n);
        g_free(last);
        last = sum;
        if (++n == 10) {
            gst_harness_set_sink_caps_str(f.h, "video/x-raw,format=I420,framerate=7/1");
            gst_pad_push_event(f.h->sinkpad, gst_event_new_reconfigure());
        }
        gst_buffer_unref(b);
    }
    fail_unless_equals_int(n, 50);
    fail_unless(slow > 20, "%d", slow);
    fail_unless(gst_element_query_duration(f.h->element, GST_FORMAT_TIME, &duration));
    fail_unless(ABS(duration - (gint64)next) <= 1, "%d ms, shown %d ms", (int)(duration / 1000000),
                (int)(next / 1000000));
    g_free(last);
    fixture_end(&f);

    f = fixture("model=test/rate=5 prompt=cat num-frames=30 rate-mode=retime is-live=true",
                "video/x-raw,framerate=100/1");
    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    for (n = 0; (b = next_buffer(&f));) {
        n += !GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP);
        gst_buffer_unref(b);
    }
    fail_unless_equals_int(n, 30);
    fixture_end(&f);
}
GST_END_TEST

/* New caps in the middle: they come before the buffer that has them, time goes on, nothing is made again. */
GST_START_TEST(test_renegotiate)
{
    Fixture f = fixture("model=test/step-delay=20/rate=25 prompt=cat num-frames=50",
                        "video/x-raw,format=I420,framerate=25/1");
    GstClockTime next = 0;
    int n = 0, larger = 0;
    GstBuffer *b;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) {
        fail_unless_equals_uint64(GST_BUFFER_PTS(b), next);
        next = GST_BUFFER_PTS(b) + GST_BUFFER_DURATION(b);
        if (++n == 10) {
            gst_harness_set_sink_caps_str(f.h, "video/x-raw,format=NV12,width=640,height=360,framerate=50/1");
            gst_pad_push_event(f.h->sinkpad, gst_event_new_reconfigure());
        }
        larger += gst_buffer_get_size(b) == 640 * 360 * 3 / 2;
        gst_buffer_unref(b);
    }
    fail_unless(larger > 20 && n > 60, "%d %d", larger, n);
    fail_unless_equals_uint64(next, 2 * GST_SECOND);
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), 50);
    fixture_end(&f);
}
GST_END_TEST

/* ---- PAUSED ---- */

/* Within two seconds. */
static gboolean grows(Fixture *f, gint64 from)
{
    for (int i = 0; i < 200 && stat_of(f, "frames-generated") <= from; i++) g_usleep(10000);
    return stat_of(f, "frames-generated") > from;
}

static const char *const pausing[] = { "", "is-live=true " };

GST_START_TEST(test_generate_in_paused)
{
    gchar *settings = g_strconcat("model=test/steps=2/step-delay=10/chunk-frames=4/rate=25 prompt=cat num-frames=0 "
                                  "generate-in-paused=false ", pausing[__i__], NULL);
    Fixture f = fixture(settings, "video/x-raw,framerate=25/1");
    gint64 n;

    let_pass(&f, 0);
    gst_harness_use_systemclock(f.h);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    if (__i__ == 0) {
        fail_unless(grows(&f, 3));                          /* the first chunk, by which a sink prerolls */
        g_usleep(300000);
        fail_unless_equals_int64(stat_of(&f, "frames-generated"), 4);
        let_pass(&f, 6);                                    /* who asks for more gets it */
        g_usleep(300000);
        fail_unless_equals_int64(stat_of(&f, "frames-generated"), 8);
    }
    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    fail_unless(grows(&f, 20));
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_usleep(100000);                                       /* what is begun is finished */
    n = stat_of(&f, "frames-generated");
    g_usleep(300000);
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), n);
    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    let_pass(&f, 1000);
    fail_unless(grows(&f, n));
    fixture_end(&f);
    g_free(settings);
}
GST_END_TEST

/* By default, and when it is set again, the store fills up to its limit. */
GST_START_TEST(test_generate_in_paused_again)
{
    Fixture f = fixture("model=test/steps=2/step-delay=10/chunk-frames=4/rate=25 prompt=cat num-frames=0", NULL);

    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    fail_unless(grows(&f, 20));
    gst_element_set_state(f.h->element, GST_STATE_READY);
    g_object_set(f.h->element, "generate-in-paused", FALSE, NULL);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    g_usleep(400000);
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), 4);
    assert_quick(g_object_set(f.h->element, "generate-in-paused", TRUE, NULL));
    fail_unless(grows(&f, 20));
    fixture_end(&f);
}
GST_END_TEST

/* What is made before the first frame goes out is made in PAUSED, too, and what a seek waits for. */
GST_START_TEST(test_preroll_all_the_same)
{
    Fixture f = fixture("model=test/steps=2/step-delay=10/chunk-frames=4/rate=25 prompt=cat num-frames=40 "
                        "prebuffer=full generate-in-paused=false", "video/x-raw,framerate=25/1");
    GstBuffer *b;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    b = next_buffer(&f);
    fail_unless(b && stat_of(&f, "frames-generated") == 40);
    gst_buffer_unref(b);
    fixture_end(&f);

    f = fixture("model=test/steps=2/step-delay=10/chunk-frames=4/rate=25 prompt=cat num-frames=40 "
                "generate-in-paused=false", "video/x-raw,framerate=25/1");
    let_pass(&f, 0);
    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    fail_unless(grows(&f, 3));
    fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                                 (gint64)GST_SECOND, GST_SEEK_TYPE_NONE, 0));
    fail_unless(grows(&f, 25));
    g_usleep(200000);
    fail_unless_equals_int64(stat_of(&f, "frames-generated"), 28);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Endings ---- */

GST_START_TEST(test_endless)
{
    Fixture f = fixture("model=test prompt=cat num-frames=0 num-buffers=120", NULL);
    GstBuffer *b;
    gint state = 0;
    int n = 0;

    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 120);
    for (int i = 0; i < 100 && state != 5; i++) {       /* the work stops with the stream */
        g_usleep(10000);
        g_object_get(f.h->element, "state", &state, NULL);
    }
    fail_unless_equals_int(state, 5);
    fixture_end(&f);
}
GST_END_TEST

static gboolean wait_eos(Fixture *f, gint64 until)
{
    GstEvent *e;
    gboolean eos = FALSE;

    while (!eos && g_get_monotonic_time() < until) {
        if (!(e = gst_harness_try_pull_event(f->h))) {
            g_usleep(2000);
            continue;
        }
        eos = GST_EVENT_TYPE(e) == GST_EVENT_EOS;
        gst_event_unref(e);
    }
    return eos;
}

/* The application ends the stream while the engine works: EOS at once, a warning, the work stops. */
GST_START_TEST(test_eos_event)
{
    Fixture f = fixture(SLOW, NULL);
    GstMessage *m;
    gint state;

    gst_harness_play(f.h);
    g_usleep(300000);
    assert_quick(fail_unless(gst_element_send_event(f.h->element, gst_event_new_eos())));
    fail_unless(wait_eos(&f, g_get_monotonic_time() + limit_us()));
    m = next_message(&f, GST_MESSAGE_WARNING, 1000);
    fail_unless(m != NULL);
    gst_message_unref(m);
    g_object_get(f.h->element, "state", &state, NULL);
    fail_unless_equals_int(state, 5);
    fixture_end(&f);
}
GST_END_TEST

/* A refused seek changes nothing: no flush, no lost segment, the stream goes on. */
GST_START_TEST(test_seek_refused)
{
    Fixture f = fixture("model=test/step-delay=1/rate=25 prompt=cat seed=1 num-frames=0", NULL);

    gst_harness_play(f.h);
    for (guint64 n = 0; n < 40; n++) {
        GstBuffer *b = next_buffer(&f);

        fail_unless(b != NULL && GST_BUFFER_OFFSET(b) == n);
        gst_buffer_unref(b);
        if (n % 8 == 3)
            fail_if(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                     GST_SEEK_TYPE_NONE, 0));
    }
    fixture_end(&f);
}
GST_END_TEST

/* A clip that was ended half way is made again when it is seeked back into. */
GST_START_TEST(test_seek_after_eos)
{
    Fixture f = fixture("model=test/step-delay=20/steps=10 prompt=cat seed=1 num-frames=50", NULL);
    GstBuffer *b;
    int n = 0;

    gst_harness_play(f.h);
    g_usleep(50000);
    gst_element_send_event(f.h->element, gst_event_new_eos());
    fail_unless(wait_eos(&f, g_get_monotonic_time() + limit_us()));
    fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                 GST_SEEK_TYPE_NONE, 0));
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 50);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Stress ---- */

GST_START_TEST(test_stress)
{
    Fixture f = fixture("model=test/step-delay=5/chunk-frames=4 prompt=cat num-frames=200", NULL);
    GstHarnessThread *states, *prompts, *seeks_thread;
    GValue v = G_VALUE_INIT;
    guint cycles;

    g_value_init(&v, G_TYPE_STRING);
    g_value_set_string(&v, "dog");
    gst_harness_set_drop_buffers(f.h, TRUE);
    states = gst_harness_stress_statechange_start_full(f.h, 20000);
    prompts = gst_harness_stress_property_start_full(f.h, "prompt", &v, 3000);
    seeks_thread = gst_harness_stress_push_upstream_event_start_full(f.h,
        gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, GST_SECOND,
                           GST_SEEK_TYPE_NONE, 0), 5000);
    g_usleep(3000000);
    cycles = gst_harness_stress_thread_stop(states);
    gst_harness_stress_thread_stop(prompts);
    gst_harness_stress_thread_stop(seeks_thread);
    fail_unless(cycles > 10, "%u", cycles);
    g_value_unset(&v);
    fixture_end(&f);
}
GST_END_TEST

static Suite *soraflow_suite(void)
{
    Suite *s = suite_create("soraflow");
    TCase *t = tcase_create("stream");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_clip);
    tcase_add_test(t, test_deterministic);
    tcase_add_test(t, test_drawn_seed);
    tcase_add_test(t, test_no_copy);
    tcase_add_test(t, test_queries);
    tcase_add_test(t, test_seek);
    tcase_add_test(t, test_seek_ahead);
    tcase_add_test(t, test_seek_refused);
    tcase_add_test(t, test_no_cache);
    tcase_add_test(t, test_rate);
    tcase_add_test(t, test_retime);
    tcase_add_test(t, test_retime_renegotiate);
    tcase_add_test(t, test_renegotiate);
    tcase_add_loop_test(t, test_generate_in_paused, 0, G_N_ELEMENTS(pausing));
    tcase_add_test(t, test_generate_in_paused_again);
    tcase_add_test(t, test_preroll_all_the_same);
    tcase_add_test(t, test_endless);
    tcase_add_test(t, test_eos_event);
    tcase_add_test(t, test_seek_after_eos);
    tcase_add_test(t, test_stress);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, soraflow_suite(), "test_soraflow");
}
