/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc: what applications and containers see of it.  URIs, presets, tags and marks, the model between two runs. */
#include "sora_check.h"
#include <gst/video/video-sei.h>

/* ---- URIs ---- */

static const struct { const char *uri, *prompt, *canonical; gint64 frames; } good[] = {
    { "sora://a%20cat", "a cat", "sora://a%20cat", -1 },
    { "sora:///a%20cat", "a cat", "sora://a%20cat", -1 },
    { "sora:a%20cat", "a cat", "sora://a%20cat", -1 },
    { "sora://a%20cat/", "a cat", "sora://a%20cat", -1 },
    { "SORA://A%20Cat", "A Cat", "sora://A%20Cat", -1 },
    { "sora://a%20cat?num-frames=25", "a cat", "sora://a%20cat?num-frames=25", 25 },
    { "sora:?prompt=a%20cat%26dog&num-frames=25", "a cat&dog", "sora://a%20cat%26dog?num-frames=25", 25 },
    { "sora:///caf%C3%A9", "caf\303\251", "sora://caf%C3%A9", -1 },
    { "sora://1%2B1", "1+1", "sora://1%2B1", -1 },
    { "sora://%400%20a%20sea%20%4010.5%20a%20storm", "@0 a sea @10.5 a storm", "sora://%400%20a%20sea%20%4010.5%20a%20storm", -1 },
    { "sora://x?seed=-1&live=1&underrun=card&model=pocket&steps=3", "x",
      "sora://x?seed=-1&steps=3&live=true&underrun=card", -1 },
    { "sora://x?model=test/step-delay=5/rate=25", "x", "sora://x?model=test/step-delay%3D5/rate%3D25", -1 },
    { "sora://x?watermark=1&scale-mode=crop&use-buffering=1&rate-mode=retime", "x",
      "sora://x?scale-mode=crop&rate-mode=retime&use-buffering=true&watermark=true", -1 },
    { "sora://x?model=test/step-delay%3D5&tags=minimal", "x", "sora://x?model=test/step-delay%3D5&tags=minimal", -1 },
};

GST_START_TEST(test_uri)
{
    GstElement *e = gst_element_make_from_uri(GST_URI_SRC, good[__i__].uri, NULL, NULL), *again;
    GError *error = NULL;
    gchar *text;
    gint64 frames;

    fail_unless(e != NULL, "%s", good[__i__].uri);
    g_object_get(e, "prompt", &text, "num-frames", &frames, NULL);
    fail_unless_equals_string(text, good[__i__].prompt);
    fail_unless_equals_int64(frames, good[__i__].frames);
    g_free(text);
    text = gst_uri_handler_get_uri(GST_URI_HANDLER(e));
    fail_unless_equals_string(text, good[__i__].canonical);
    again = gst_element_make_from_uri(GST_URI_SRC, text, NULL, &error);     /* and round */
    fail_unless(again != NULL, "%s: %s", text, error ? error->message : "");
    g_free(text);
    text = gst_uri_handler_get_uri(GST_URI_HANDLER(again));
    fail_unless_equals_string(text, good[__i__].canonical);
    g_free(text);
    gst_object_unref(gst_object_ref_sink(again));
    gst_object_unref(gst_object_ref_sink(e));
}
GST_END_TEST

static const char *const bad[] = {
    "sora://x?nokey=1", "sora://x?model=../../x", "sora://x?model=/etc/passwd", "sora://x?model=%2Fx", "sora://x?model=.x",
    "sora://x?model=", "sora://", "sora:", "sora://?seed=1", "sora://x?prompt=y", "sora:?prompt=x&prompt=y", "sora://%FF",
    "sora://a%00b", "sora://x?seed=one", "sora://x?seed=-2", "sora://x?steps=99999999999", "sora://x?underrun=nothing",
    "sora://x?seed", "sora://x?prompt-file=/etc/passwd", "sora://x?vae=/x", "sora://x?cache-size=1", "sora://x?live=perhaps",
    "sora://x?placeholder-location=/etc/passwd", "sora://x?scale-mode=fill",
    "http://x",
};

GST_START_TEST(test_bad_uri)
{
    GstElement *e = gst_object_ref_sink(gst_element_factory_make("sorasrc", NULL));
    GError *error = NULL;
    gchar *prompt;

    g_object_set(e, "prompt", "as it was", NULL);
    fail_if(gst_uri_handler_set_uri(GST_URI_HANDLER(e), bad[__i__], &error), "%s", bad[__i__]);
    fail_unless(error && error->domain == GST_URI_ERROR && error->code != GST_URI_ERROR_BAD_STATE, "%s", bad[__i__]);
    g_error_free(error);
    g_object_get(e, "prompt", &prompt, NULL);
    fail_unless_equals_string(prompt, "as it was");         /* all of it or nothing */
    g_free(prompt);
    gst_object_unref(e);
}
GST_END_TEST

GST_START_TEST(test_uri_state)
{
    Fixture f = fixture(QUICK, NULL);
    GError *error = NULL;
    GstQuery *q = gst_query_new_uri();
    gchar *uri;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    fail_if(gst_uri_handler_set_uri(GST_URI_HANDLER(f.h->element), "sora://x", &error));
    fail_unless(error && error->code == GST_URI_ERROR_BAD_STATE);
    g_error_free(error);
    fail_unless(gst_element_query(f.h->element, q));
    gst_query_parse_uri(q, &uri);
    fail_unless(g_str_has_prefix(uri, "sora://cat?"), "%s", uri);
    g_free(uri);
    gst_query_unref(q);
    g_object_set(f.h->element, "prompt-file", "/x", NULL);
    fail_unless(gst_uri_handler_get_uri(GST_URI_HANDLER(f.h->element)) == NULL);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Presets ---- */

GST_START_TEST(test_presets)
{
    GstElement *e = gst_object_ref_sink(gst_element_factory_make("sorasrc", NULL));
    gchar **names = gst_preset_get_preset_names(GST_PRESET(e)), **properties, *text, *file, *mine;
    gint steps;

    fail_unless(names && g_strv_length(names) == 4);
    for (int i = 0; names[i]; i++) {
        fail_unless(gst_preset_load_preset(GST_PRESET(e), names[i]), "%s", names[i]);
        fail_unless(gst_preset_get_meta(GST_PRESET(e), names[i], "comment", &text), "%s", names[i]);
        g_free(text);
    }
    fail_unless(g_strv_contains((const gchar *const *)names, "draft"));
    gst_preset_load_preset(GST_PRESET(e), "draft");
    g_object_get(e, "steps", &steps, NULL);
    fail_unless_equals_int(steps, 2);
    gst_preset_load_preset(GST_PRESET(e), "balanced");
    g_object_get(e, "steps", &steps, NULL);
    fail_unless_equals_int(steps, 0);

    /* what a command line or an application decides is not in a preset */
    properties = gst_preset_get_property_names(GST_PRESET(e));
    for (int i = 0; properties[i]; i++)
        fail_unless(g_object_class_find_property(G_OBJECT_GET_CLASS(e), properties[i]) != NULL, "%s", properties[i]);
    g_object_set(e, "prompt", "secret", "is-live", TRUE, "num-buffers", 7, "steps", 33, NULL);
    fail_unless(gst_preset_save_preset(GST_PRESET(e), "mine"));
    file = g_build_filename(g_get_user_data_dir(), "gstreamer-1.0", "presets", "GstSoraSrc.prs", NULL);
    fail_unless(g_file_get_contents(file, &text, NULL, NULL), "%s", file);
    fail_unless((mine = strstr(text, "[mine]")) && strstr(mine, "steps=33"));
    fail_if(strstr(mine, "secret") || strstr(mine, "is-live") || strstr(mine, "num-buffers") || strstr(mine, "name") ||
            strstr(mine, "parent"), "%s", mine);
    g_object_set(e, "steps", 1, NULL);
    fail_unless(gst_preset_load_preset(GST_PRESET(e), "mine"));
    g_object_get(e, "steps", &steps, NULL);
    fail_unless_equals_int(steps, 33);
    fail_unless(gst_preset_delete_preset(GST_PRESET(e), "mine"));
    fail_if(gst_preset_load_preset(GST_PRESET(e), "mine"));
    g_strfreev(properties);
    g_strfreev(names);
    g_free(text);
    g_free(file);
    gst_object_unref(e);
}
GST_END_TEST

/* ---- Tags and marks ---- */

/* The tags that came until now, merged. */
static GstTagList *tags_so_far(Fixture *f, int *events)
{
    GstTagList *all = gst_tag_list_new_empty(), *list;
    GstEvent *e;

    *events = 0;
    while ((e = gst_harness_try_pull_event(f->h))) {
        if (GST_EVENT_TYPE(e) == GST_EVENT_TAG) {
            gst_event_parse_tag(e, &list);
            fail_unless_equals_int(gst_tag_list_get_scope(list), GST_TAG_SCOPE_GLOBAL);
            gst_tag_list_insert(all, list, GST_TAG_MERGE_REPLACE);
            ++*events;
        }
        gst_event_unref(e);
    }
    return all;
}

static gboolean has(const GstTagList *list, const char *tag, const char *what)
{
    gchar *text = NULL;
    const gboolean found = gst_tag_list_get_string(list, tag, &text) && strstr(text, what);

    g_free(text);
    return found;
}

static gboolean is_marked(GstBuffer *b)
{
    const GstVideoSEIUserDataUnregisteredMeta *m = (gpointer)gst_buffer_get_meta(b,
        gst_video_sei_user_data_unregistered_meta_api_get_type());

    return m && m->size > 30 && g_strstr_len((const gchar *)m->data, (gssize)m->size, "trainedAlgorithmicMedia");
}

GST_START_TEST(test_tags)
{
    static const char *const levels[] = { "none", "minimal", "full" };

    for (int i = 0; i < 3; i++) {
        gchar *settings = g_strdup_printf(QUICK " tags=%s is-live=%s", levels[i], i == 2 ? "true" : "false");
        Fixture f = fixture(settings, NULL);
        GstTagList *list;
        GstBuffer *b;
        int events, n;

        gst_harness_use_systemclock(f.h);
        gst_harness_play(f.h);
        for (n = 0; n < 5; n++) {
            b = next_buffer(&f);
            fail_unless(is_marked(b) == (i > 0));
            gst_buffer_unref(b);
        }
        list = tags_so_far(&f, &events);
        fail_unless((events > 0) == (i > 0), "%s", levels[i]);
        if (i > 0) {
            fail_unless(has(list, GST_TAG_COMMENT, "AI-generated") && has(list, GST_TAG_COMMENT, "trainedAlgorithmicMedia"));
            fail_unless(has(list, GST_TAG_KEYWORDS, "trainedAlgorithmicMedia"));
            fail_unless(has(list, GST_TAG_ENCODER, "sorasrc"));
        }
        fail_unless(has(list, GST_TAG_TITLE, "cat") == (i == 2) && has(list, GST_TAG_DESCRIPTION, "cat") == (i == 2));
        fail_unless(has(list, GST_TAG_EXTENDED_COMMENT, "seed 1") == (i == 2));
        gst_tag_list_unref(list);
        g_free(settings);
        fixture_end(&f);
    }
}
GST_END_TEST

/* Again after a new prompt, and after a flush, which takes what was queued. */
GST_START_TEST(test_tags_again)
{
    Fixture f = fixture("model=test/chunk-frames=4/rate=25 prompt=cat num-frames=0 max-size-buffers=4", NULL);
    GstTagList *list;
    gboolean told = FALSE;
    int events, n;

    gst_harness_play(f.h);
    gst_buffer_unref(next_buffer(&f));
    g_object_set(f.h->element, "prompt", "dog", NULL);
    for (n = 0; n < 500 && !told; n++) {
        gst_buffer_unref(next_buffer(&f));
        list = tags_so_far(&f, &events);
        told = has(list, GST_TAG_TITLE, "dog");
        gst_tag_list_unref(list);
    }
    fail_unless(told);
    fixture_end(&f);

    f = fixture(QUICK, NULL);
    gst_harness_play(f.h);
    for (n = 0; n < 50; n++) gst_buffer_unref(next_buffer(&f));
    gst_tag_list_unref(tags_so_far(&f, &events));
    fail_unless_equals_int(events, 1);
    fail_unless(gst_element_seek_simple(f.h->element, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
    gst_buffer_unref(next_buffer(&f));
    gst_tag_list_unref(tags_so_far(&f, &events));
    fail_unless_equals_int(events, 1);
    fixture_end(&f);
}
GST_END_TEST

/* Tags and custom events of the application come out too, after the segment. */
GST_START_TEST(test_app_events)
{
    Fixture f = fixture(QUICK, NULL);
    gboolean segment = FALSE, tag = FALSE, custom = FALSE;
    GstEvent *e;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    gst_element_send_event(f.h->element, gst_event_new_tag(gst_tag_list_new(GST_TAG_COPYRIGHT, "us", NULL)));
    gst_element_send_event(f.h->element, gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty("ours")));
    gst_harness_play(f.h);
    gst_buffer_unref(next_buffer(&f));
    while ((e = gst_harness_try_pull_event(f.h))) {
        GstTagList *list;

        if (GST_EVENT_TYPE(e) == GST_EVENT_SEGMENT) segment = TRUE;
        if (gst_event_has_name(e, "ours")) custom = segment;
        if (GST_EVENT_TYPE(e) == GST_EVENT_TAG) {
            gst_event_parse_tag(e, &list);
            if (has(list, GST_TAG_COPYRIGHT, "us")) tag = segment;
        }
        gst_event_unref(e);
    }
    fail_unless(segment && tag && custom);
    fixture_end(&f);
}
GST_END_TEST

/* ---- The model between two runs ---- */

static gboolean in_memory(Fixture *f)
{
    GstStructure *stats;
    gboolean loaded;

    g_object_get(f->h->element, "stats", &stats, NULL);
    fail_unless(gst_structure_get_boolean(stats, "model-loaded", &loaded));
    gst_structure_free(stats);
    return loaded;
}

static gboolean becomes(Fixture *f, gboolean loaded)
{
    for (int i = 0; i < 400; i++) {
        if (in_memory(f) == loaded) return TRUE;
        g_usleep(5000);
    }
    return FALSE;
}

static void run_clip(Fixture *f)
{
    GstBuffer *b;
    int n = 0;

    gst_pad_send_event(f->h->sinkpad, gst_event_new_flush_start());         /* forget the EOS of the run before */
    gst_pad_send_event(f->h->sinkpad, gst_event_new_flush_stop(TRUE));
    gst_harness_play(f->h);
    while ((b = next_buffer(f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 50);
}

GST_START_TEST(test_keep_model)
{
    Fixture f = fixture(QUICK, NULL);

    fail_if(in_memory(&f));
    run_clip(&f);
    fail_unless(becomes(&f, TRUE));
    for (int i = 0; i < 3; i++) {
        gst_element_set_state(f.h->element, GST_STATE_READY);
        fail_unless(becomes(&f, TRUE));
        run_clip(&f);
    }
    gst_element_set_state(f.h->element, GST_STATE_NULL);
    fail_unless(becomes(&f, FALSE));
    fixture_end(&f);

    f = fixture(QUICK " keep-model=false", NULL);
    run_clip(&f);
    fail_unless(becomes(&f, FALSE));
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_unload_after)
{
    Fixture f = fixture(QUICK " unload-after=300000000", NULL);
    const gint64 began = g_get_monotonic_time();

    run_clip(&f);
    fail_unless(becomes(&f, TRUE));
    fail_unless(becomes(&f, FALSE));
    fail_unless(g_get_monotonic_time() - began >= 300000);
    gst_element_set_state(f.h->element, GST_STATE_READY);
    run_clip(&f);                       /* loads again */
    fixture_end(&f);
}
GST_END_TEST

/* Before the first run; NULL while it loads waits for nothing. */
GST_START_TEST(test_load_model)
{
    Fixture f = fixture(QUICK, NULL);

    g_signal_emit_by_name(f.h->element, "load-model");      /* in NULL: nothing */
    g_usleep(50000);
    fail_if(in_memory(&f));
    gst_element_set_state(f.h->element, GST_STATE_READY);
    assert_quick(g_signal_emit_by_name(f.h->element, "load-model"));
    fail_unless(becomes(&f, TRUE));
    run_clip(&f);
    fixture_end(&f);

    f = fixture("model=test/load-delay=20000 prompt=cat", NULL);
    gst_element_set_state(f.h->element, GST_STATE_READY);
    g_signal_emit_by_name(f.h->element, "load-model");
    g_usleep(100000);
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_NULL));
    g_usleep(200000);                   /* the pool's thread lets go of the element */
    fixture_end(&f);
}
GST_END_TEST

/* ---- Signals ---- */

static GString *heard;          /* under its lock: "s" started, "f" finished, "c" cancelled, "x" failed */
static GMutex heard_lock;
static GThread *heard_in;

static void on_started(GstElement *e, gpointer unused)
{
    g_mutex_lock(&heard_lock);
    g_string_append_c(heard, 's');
    heard_in = g_thread_self();
    g_mutex_unlock(&heard_lock);
}

static void on_finished(GstElement *e, const char *reason, gpointer unused)
{
    g_mutex_lock(&heard_lock);
    g_string_append_c(heard, !strcmp(reason, "finished") ? 'f' : !strcmp(reason, "cancelled") ? 'c' :
                             !strcmp(reason, "failed") ? 'x' : '?');
    heard_in = g_thread_self();
    g_mutex_unlock(&heard_lock);
}

static Fixture listening_fixture(const char *settings)
{
    Fixture f = fixture(settings, NULL);

    if (heard) g_string_free(heard, TRUE);
    heard = g_string_new("");
    g_signal_connect(f.h->element, "generation-started", G_CALLBACK(on_started), NULL);
    g_signal_connect(f.h->element, "generation-finished", G_CALLBACK(on_finished), NULL);
    return f;
}

/* Within so many ms. */
static gboolean hears(const char *text, int ms)
{
    gboolean same = FALSE;

    for (int i = 0; !same && i <= ms / 5; i++) {
        if (i) g_usleep(5000);
        g_mutex_lock(&heard_lock);
        same = !strcmp(heard->str, text);
        g_mutex_unlock(&heard_lock);
    }
    return same;
}

#define assert_hears(text, ms) fail_unless(hears(text, ms), "heard %s, wanted %s", heard->str, text)

GST_START_TEST(test_signals)
{
    Fixture f = listening_fixture(QUICK);

    run_clip(&f);
    assert_hears("sf", 1000);
    fail_unless(heard_in != g_thread_self());
    gst_element_set_state(f.h->element, GST_STATE_READY);
    run_clip(&f);                           /* the same element again */
    assert_hears("sfsf", 1000);
    fixture_end(&f);

    f = listening_fixture(SLOW);
    gst_harness_play(f.h);
    assert_hears("s", 2000);
    gst_element_set_state(f.h->element, GST_STATE_READY);
    assert_hears("sc", 0);                  /* when the call returns */
    fixture_end(&f);
    assert_hears("sc", 0);

    f = listening_fixture("model=test/fail=step prompt=a");
    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    assert_hears("sx", 2000);
    fixture_end(&f);

    f = listening_fixture("model=test/fail=load prompt=a");
    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    assert_error(&f, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
    fixture_end(&f);
    assert_hears("", 0);
}
GST_END_TEST

/* An engine that outlives stop(): the run has ended all the same, and is not heard afterwards. */
GST_START_TEST(test_signals_of_late_run)
{
    Fixture f = listening_fixture("model=test/step-delay=1500/ignore-cancel=1 prompt=cat num-frames=0");

    gst_harness_play(f.h);
    assert_hears("s", 2000);
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_READY));
    assert_hears("sc", 0);
    g_usleep(1800000);
    assert_hears("sc", 0);
    fixture_end(&f);
}
GST_END_TEST

/* Each job of a chain; and a handler may act. */
static void next_prompt(GstElement *e, const char *reason, gpointer left)
{
    if (--*(int *)left >= 0) g_object_set(e, "prompt", "dog", NULL);
}

GST_START_TEST(test_signals_of_chain)
{
    Fixture f = listening_fixture("model=test/step-delay=2/rate=25 prompt=cat num-frames=10 prompt-change=next-clip");
    int left = 2, n = 0;
    GstBuffer *b;

    g_signal_connect(f.h->element, "generation-finished", G_CALLBACK(next_prompt), &left);
    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless(n % 10 == 0 && n >= 10, "%d", n);
    assert_hears("sfsfsf", 1000);
    fixture_end(&f);
}
GST_END_TEST

static Suite *soraapp_suite(void)
{
    Suite *s = suite_create("soraapp");
    TCase *t = tcase_create("application");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, test_uri, 0, G_N_ELEMENTS(good));
    tcase_add_loop_test(t, test_bad_uri, 0, G_N_ELEMENTS(bad));
    tcase_add_test(t, test_uri_state);
    tcase_add_test(t, test_presets);
    tcase_add_test(t, test_tags);
    tcase_add_test(t, test_tags_again);
    tcase_add_test(t, test_app_events);
    tcase_add_test(t, test_keep_model);
    tcase_add_test(t, test_unload_after);
    tcase_add_test(t, test_load_model);
    tcase_add_test(t, test_signals);
    tcase_add_test(t, test_signals_of_late_run);
    tcase_add_test(t, test_signals_of_chain);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, soraapp_suite(), "test_soraapp");
}
