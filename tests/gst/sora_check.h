/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of sorasrc share: a harness with a bus, the messages in order, the frames as sums. */
#ifndef SORA_CHECK_H
#define SORA_CHECK_H

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#define QUICK "model=test/step-delay=2/rate=25 prompt=cat seed=1 num-frames=50"
#define SLOW  "model=test/step-delay=2000/rate=25 prompt=cat seed=1 num-frames=0"
#define LIVE  "model=test/step-delay=100/steps=4/chunk-frames=4/rate=25 prompt=cat seed=1 num-frames=0 is-live=true"

/* Upper bound of every call that a user waits for: 200 ms where a core is to spare, more where the machine has other
   work or runs sanitizers, and always less than a step of the slow models. */
static inline gint64 limit_us(void)
{
    const char *text = g_getenv("CK_TIMEOUT_MULTIPLIER");
    double load = 0, factor = text && atof(text) > 1 ? atof(text) : 1;

    if (getloadavg(&load, 1) == 1) factor = MAX(factor, load / g_get_num_processors() + 0.5);
    return (gint64)(200 * 1000 * MIN(factor, 5));
}

#define assert_quick(what)                                                                                        \
    do {                                                                                                          \
        const gint64 before_ = g_get_monotonic_time();                                                            \
        what;                                                                                                     \
        const gint64 took_ = g_get_monotonic_time() - before_;                                                    \
        fail_unless(took_ < limit_us(), "%s took %d ms", #what, (int)(took_ / 1000));                             \
    } while (0)

typedef struct Fixture {
    GstHarness *h;
    GstBus *bus;
} Fixture;

static inline Fixture fixture(const char *settings, const char *caps)
{
    gchar *line = g_strdup_printf("sorasrc %s", settings);
    GstElement *element = gst_parse_launch(line, NULL);
    Fixture f = { NULL, gst_bus_new() };

    fail_unless(element != NULL, "%s", line);
    g_free(line);
    f.h = gst_harness_new_with_element(gst_object_ref_sink(element), NULL, "src");
    gst_object_unref(element);
    gst_element_set_bus(f.h->element, f.bus);
    if (caps) gst_harness_set_sink_caps_str(f.h, caps);
    return f;
}

static inline void fixture_end(Fixture *f)
{
    GstElement *element = gst_object_ref(f->h->element);

    assert_quick(gst_element_set_state(element, GST_STATE_NULL));
    gst_harness_teardown(f->h);
    gst_element_set_bus(element, NULL);
    gst_bus_set_flushing(f->bus, TRUE);                             /* messages hold the element */
    ASSERT_OBJECT_REFCOUNT_BETWEEN(element, "element", 1, 2);       /* a job that ends late may just be posting */
    gst_object_unref(element);
    gst_object_unref(f->bus);
}

/* Wait for a message of these types; NULL after timeout_ms. */
static inline GstMessage *next_message(Fixture *f, GstMessageType types, int timeout_ms)
{
    return gst_bus_timed_pop_filtered(f->bus, (GstClockTime)timeout_ms * GST_MSECOND, types);
}

/* The next element message of that name; what comes before it is dropped. */
static inline GstMessage *next_element(Fixture *f, const char *name, int timeout_ms)
{
    const gint64 end = g_get_monotonic_time() + timeout_ms * 1000;
    GstMessage *m = NULL;

    while (g_get_monotonic_time() < end && (m = next_message(f, GST_MESSAGE_ELEMENT, timeout_ms))) {
        if (gst_message_has_name(m, name)) return m;
        gst_message_unref(m);
    }
    return NULL;
}

static inline void assert_error(Fixture *f, GQuark domain, gint code)
{
    GstMessage *m = next_message(f, GST_MESSAGE_ERROR, 5000);
    GError *e = NULL;
    gchar *debug = NULL;

    fail_unless(m != NULL, "no error");
    gst_message_parse_error(m, &e, &debug);
    fail_unless(e->domain == domain && e->code == code, "%s/%d: %s (%s)", g_quark_to_string(e->domain), e->code,
                e->message, debug);
    fail_unless(strlen(e->message) > 4);
    g_error_free(e);
    g_free(debug);
    gst_message_unref(m);
}

/* The next buffer; NULL after EOS. */
static inline GstBuffer *next_buffer(Fixture *f)
{
    const gint64 end = g_get_monotonic_time() + 10 * limit_us() + 10 * G_USEC_PER_SEC;
    GstBuffer *b;

    while (!(b = gst_harness_try_pull(f->h))) {
        if (GST_PAD_IS_EOS(f->h->sinkpad)) return gst_harness_try_pull(f->h);
        fail_unless(g_get_monotonic_time() < end, "neither buffer nor EOS");
        g_usleep(500);
    }
    return b;
}

static inline GstPadProbeReturn pass_some(GstPad *pad, GstPadProbeInfo *info, gpointer left)
{
    return g_atomic_int_add((gint *)left, -1) > 0 ? GST_PAD_PROBE_PASS : GST_PAD_PROBE_OK;
}

/* So many buffers pass, the next one stands, as before a sink that has its preroll. */
static inline void let_pass(Fixture *f, gint n)
{
    GstPad *pad = gst_element_get_static_pad(f->h->element, "src");
    gint *left = g_object_get_data(G_OBJECT(pad), "left");
    const gulong old = (gulong)GPOINTER_TO_SIZE(g_object_get_data(G_OBJECT(pad), "probe"));

    if (!left) g_object_set_data_full(G_OBJECT(pad), "left", left = g_new0(gint, 1), g_free);
    g_atomic_int_set(left, n);
    g_object_set_data(G_OBJECT(pad), "probe", GSIZE_TO_POINTER(gst_pad_add_probe(pad,
        GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, pass_some, left, NULL)));
    if (old) gst_pad_remove_probe(pad, old);        /* which lets the new one see what stands */
    gst_object_unref(pad);
}

/* What `stats` says of that field. */
static inline gint64 stat_of(Fixture *f, const char *field)
{
    GstStructure *stats;
    gint64 n;

    g_object_get(f->h->element, "stats", &stats, NULL);
    fail_unless(gst_structure_get_int64(stats, field, &n), "stats has no %s", field);
    gst_structure_free(stats);
    return n;
}

static inline gchar *sum_of(GstBuffer *b)
{
    GstMapInfo map;
    gchar *sum;

    fail_unless(gst_buffer_map(b, &map, GST_MAP_READ));
    sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, map.data, map.size);
    gst_buffer_unmap(b, &map);
    return sum;
}

/* Up to max buffers until EOS as one sum; *count: how many. */
static inline gchar *sum_of_clip(const char *settings, const char *caps, int max, int *count)
{
    Fixture f = fixture(settings, caps);
    GChecksum *sum = g_checksum_new(G_CHECKSUM_MD5);
    gchar *text;
    GstBuffer *b;

    gst_harness_play(f.h);
    for (*count = 0; *count < max && (b = next_buffer(&f)); ++*count) {
        gchar *one = sum_of(b);
        g_checksum_update(sum, (const guchar *)one, (gssize)strlen(one));
        g_free(one);
        gst_buffer_unref(b);
    }
    text = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    fixture_end(&f);
    return text;
}

/* The plugin that was just built and nothing else, in a registry of this program's own. */
static inline int run_suite(int argc, char **argv, Suite *suite, const char *name)
{
    const char *build = g_getenv("BUILDDIR"), *source = g_getenv("SRCDIR");
    gchar *libs = g_build_filename(build ? build : ".", ".libs", NULL);
    gchar *presets = g_build_filename(source ? source : ".", "gst", NULL);
    gchar *home = g_dir_make_tmp("sora-check-XXXXXX", NULL);
    gchar *clean = g_strdup_printf("rm -rf '%s'", home);
    gchar *registry = g_strdup_printf("%s/tests/gst/%s.registry", build ? build : ".", name);
    int failed;

    g_setenv("GST_PLUGIN_PATH_1_0", libs, TRUE);
    g_setenv("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
    g_setenv("GST_REGISTRY", registry, TRUE);
    g_setenv("GST_REGISTRY_1_0", registry, TRUE);
    g_setenv("GST_REGISTRY_FORK", "no", TRUE);
    g_setenv("GST_STATE_IGNORE_ELEMENTS", "", TRUE);
    g_setenv("GST_PRESET_PATH", presets, TRUE);
    g_setenv("XDG_DATA_HOME", home, TRUE);          /* where presets are saved */
    g_remove(registry);
    gst_check_init(&argc, &argv);
    failed = gst_check_run_suite(suite, name, __FILE__);
    g_remove(registry);
    g_spawn_command_line_sync(clean, NULL, NULL, NULL, NULL);
    g_free(clean);
    g_free(presets);
    g_free(home);
    g_free(libs);
    g_free(registry);
    return failed;
}

#endif
