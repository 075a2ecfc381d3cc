/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stress [SECONDS [SEED]]: sorasrc as a clip, a live stream and a channel, in a process where other threads change
 * their states, properties, prompts and caps, seek, cancel and ask, all at random.  Model test: steps of random length,
 * some that ignore a cancel.  It ends with 0 where nothing hangs, no call takes long, and each run that is told to begin
 * is told to end; what else may go wrong is for the sanitizers that it is built with to see.
 */
#include "sora_check.h"

#define SLOWEST_US (5 * limit_us())      /* a second; more where the machine has other work */

typedef struct Rig {
    Fixture f;
    gboolean live;
    guint seed;
    gint calls;                 /* atomic, here and below */
    gint slowest_us;
    gint cycles;
    gint started, finished;     /* signals */
} Rig;

static gint done;               /* atomic */

static void account(Rig *r, gint64 began, const char *what)
{
    const gint took = (gint)(g_get_monotonic_time() - began);
    gint worst = g_atomic_int_get(&r->slowest_us);

    g_atomic_int_inc(&r->calls);
    while (took > worst && !g_atomic_int_compare_and_exchange(&r->slowest_us, worst, took))
        worst = g_atomic_int_get(&r->slowest_us);
    if (took > SLOWEST_US) g_printerr("%s took %d ms\n", what, took / 1000);
}

#define TIMED(r, what)                                                                                            \
    do {                                                                                                          \
        const gint64 began_ = g_get_monotonic_time();                                                             \
        what;                                                                                                     \
        account(r, began_, #what);                                                                                \
    } while (0)

static void nap(GRand *rand, int most_us)
{
    g_usleep((gulong)g_rand_int_range(rand, 0, most_us));
}

static gpointer states(gpointer user)
{
    Rig *r = user;
    GRand *rand = g_rand_new_with_seed(r->seed);
    GstElement *e = r->f.h->element;

    while (!g_atomic_int_get(&done)) {
        const GstState s = (GstState)g_rand_int_range(rand, GST_STATE_NULL, GST_STATE_PLAYING + 1);

        TIMED(r, gst_element_set_state(e, s));
        if (g_rand_int_range(rand, 0, 3) == 0) TIMED(r, gst_element_set_state(e, GST_STATE_PLAYING));
        g_atomic_int_inc(&r->cycles);
        nap(rand, 60000);
    }
    g_rand_free(rand);
    return NULL;
}

static void set_at_random(Rig *r, GRand *rand)
{
    static const char *const words[] = { "hold", "loop", "stretch", "black", "card", "block" };
    static const char *const changes[] = { "next-chunk", "next-clip", "immediate" };
    static const char *const tags[] = { "none", "minimal", "full" };
    static const char *const scales[] = { "letterbox", "stretch", "crop" };
    static const char *const rates[] = { "resample", "retime" };
    static const char *const files[] = { "", "/nonexistent", "/", "/dev/zero" };
    GObject *o = G_OBJECT(r->f.h->element);
    gchar *prompt;

    switch (g_rand_int_range(rand, 0, 14)) {
    case 0: case 1:
        prompt = g_strdup_printf("prompt %d", g_rand_int_range(rand, 0, 1000));
        TIMED(r, g_object_set(o, "prompt", prompt, NULL));
        g_free(prompt);
        break;
    case 2: TIMED(r, g_object_set(o, "seed", (gint64)g_rand_int_range(rand, -1, 100), NULL)); break;
    case 3: TIMED(r, g_object_set(o, "guidance", (gfloat)g_rand_double_range(rand, 0, 5), NULL)); break;
    case 4: TIMED(r, gst_util_set_object_arg(o, "underrun", words[g_rand_int_range(rand, 0, 6)])); break;
    case 5: TIMED(r, gst_util_set_object_arg(o, "prompt-change", changes[g_rand_int_range(rand, 0, 3)])); break;
    case 6: TIMED(r, gst_util_set_object_arg(o, "tags", tags[g_rand_int_range(rand, 0, 3)])); break;
    case 7: TIMED(r, gst_util_set_object_arg(o, "scale-mode", scales[g_rand_int_range(rand, 0, 3)])); break;
    case 8: TIMED(r, gst_util_set_object_arg(o, "rate-mode", rates[g_rand_int_range(rand, 0, 2)])); break;
    case 9: TIMED(r, g_object_set(o, "watermark", g_rand_boolean(rand), NULL)); break;
    case 10: TIMED(r, g_object_set(o, "generate-in-paused", g_rand_boolean(rand), NULL)); break;
    case 11: TIMED(r, g_object_set(o, "use-buffering", g_rand_boolean(rand), NULL)); break;
    case 12: TIMED(r, g_object_set(o, "placeholder-location", files[g_rand_int_range(rand, 0, 4)], NULL)); break;
    default: TIMED(r, g_object_set(o, "keep-model", g_rand_boolean(rand), "post-messages", g_rand_boolean(rand), NULL));
    }
}

static void get_at_random(Rig *r)
{
    GObject *o = G_OBJECT(r->f.h->element);
    GstStructure *stats;
    gdouble progress;
    gchar *prompt;
    gint64 seed;
    gint state;

    TIMED(r, g_object_get(o, "stats", &stats, "progress", &progress, "state", &state, "actual-seed", &seed, "prompt",
                          &prompt, NULL));
    fail_unless(progress >= 0 && progress <= 1);
    gst_structure_free(stats);
    g_free(prompt);
}

static gpointer properties(gpointer user)
{
    Rig *r = user;
    GRand *rand = g_rand_new_with_seed(r->seed + 1);

    while (!g_atomic_int_get(&done)) {
        if (g_rand_boolean(rand)) set_at_random(r, rand);
        else get_at_random(r);
        nap(rand, 4000);
    }
    g_rand_free(rand);
    return NULL;
}

/* Each start has its end: counted when all is over. */
static void on_started(GstElement *e, Rig *r)
{
    g_atomic_int_inc(&r->started);
}

static void on_finished(GstElement *e, const char *reason, Rig *r)
{
    g_atomic_int_inc(&r->finished);
}

/* Other caps: sizes of another shape, pixels that are not square, other rates. */
static void caps_at_random(Rig *r, GRand *rand)
{
    gchar *caps = g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=%d/1,pixel-aspect-ratio=%d/1",
                                  g_rand_boolean(rand) ? "I420" : "RGB", g_rand_int_range(rand, 1, 100),
                                  g_rand_int_range(rand, 1, 100), g_rand_int_range(rand, 1, 100),
                                  g_rand_int_range(rand, 1, 3));

    gst_harness_set_sink_caps_str(r->f.h, caps);
    TIMED(r, gst_pad_push_event(r->f.h->sinkpad, gst_event_new_reconfigure()));
    g_free(caps);
}

static gpointer events(gpointer user)
{
    Rig *r = user;
    GRand *rand = g_rand_new_with_seed(r->seed + 2);
    GstElement *e = r->f.h->element;
    gint64 duration;
    gchar *uri;

    while (!g_atomic_int_get(&done)) {
        const gint64 start = g_rand_int_range(rand, 0, 2000) * (gint64)GST_MSECOND;
        const GstSeekFlags flush = g_rand_int_range(rand, 0, 4) ? GST_SEEK_FLAG_FLUSH : 0;
        const GstSeekFlags segment = g_rand_boolean(rand) ? GST_SEEK_FLAG_SEGMENT : 0;

        switch (g_rand_int_range(rand, 0, 11)) {
        case 0: TIMED(r, g_signal_emit_by_name(e, "cancel")); break;
        case 1: TIMED(r, g_signal_emit_by_name(e, "regenerate")); break;
        case 2: TIMED(r, g_signal_emit_by_name(e, "set-prompt", "by signal")); break;
        case 3: TIMED(r, gst_element_send_event(e, gst_event_new_eos())); break;
        case 4:
            TIMED(r, gst_element_send_event(e, gst_event_new_custom(GST_EVENT_CUSTOM_UPSTREAM,
                gst_structure_new("sora-set-prompt", "prompt", G_TYPE_STRING, "by event", NULL))));
            break;
        case 7: caps_at_random(r, rand); break;
        case 6: TIMED(r, g_signal_emit_by_name(e, "load-model")); break;
        case 5:
            TIMED(r, gst_element_query_duration(e, GST_FORMAT_TIME, &duration));
            uri = gst_uri_handler_get_uri(GST_URI_HANDLER(e));
            g_free(uri);
            break;
        default:
            TIMED(r, gst_element_seek(e, g_rand_int_range(rand, 0, 4) ? 1 : -1, GST_FORMAT_TIME, flush | segment,
                                      GST_SEEK_TYPE_SET, start, GST_SEEK_TYPE_SET, start + (gint64)GST_SECOND));
        }
        nap(rand, 15000);
    }
    g_rand_free(rand);
    return NULL;
}

static void stress(int seconds, guint seed)
{
    static const char *const lines[] = {
        "model=test/size=64x32/fixed-size=1/rate=25/step-delay=7/chunk-frames=4 prompt=cat seed=1 num-frames=60",
        "model=test/size=64x32/rate=100/step-delay=3/chunk-frames=4 prompt=cat seed=1 num-frames=0 is-live=true",
        "model=test/size=64x32/rate=100/step-delay=11/load-delay=20/ignore-cancel=1/streams=0 prompt=cat num-frames=20 "
        "repeat=true is-live=true unload-after=20000000",
    };
    GThread *threads[G_N_ELEMENTS(lines)][3];
    Rig rigs[G_N_ELEMENTS(lines)] = { 0 };
    gboolean bad = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        Rig *r = &rigs[i];

        r->f = fixture(lines[i], NULL);
        r->seed = seed + 10 * i;
        gst_bus_set_flushing(r->f.bus, TRUE);
        gst_harness_set_drop_buffers(r->f.h, TRUE);
        gst_harness_use_systemclock(r->f.h);
        g_signal_connect(r->f.h->element, "generation-started", G_CALLBACK(on_started), r);
        g_signal_connect(r->f.h->element, "generation-finished", G_CALLBACK(on_finished), r);
        threads[i][0] = g_thread_new("states", states, r);
        threads[i][1] = g_thread_new("properties", properties, r);
        threads[i][2] = g_thread_new("events", events, r);
    }
    g_usleep((gulong)seconds * G_USEC_PER_SEC);
    g_atomic_int_set(&done, 1);
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        Rig *r = &rigs[i];

        for (int k = 0; k < 3; k++) g_thread_join(threads[i][k]);
        gst_element_set_state(r->f.h->element, GST_STATE_NULL);
        g_print("%d state changes, %d calls, slowest %.1f ms\n", r->cycles, r->calls, r->slowest_us / 1000.0);
        g_print("%d runs begun, %d ended\n", g_atomic_int_get(&r->started), g_atomic_int_get(&r->finished));
        bad = bad || g_atomic_int_get(&r->started) != g_atomic_int_get(&r->finished);
        bad = bad || r->slowest_us > SLOWEST_US || r->cycles < seconds;
        fixture_end(&r->f);
    }
    fail_if(bad);
}

static int run_seconds = 3;
static guint run_seed = 1;

GST_START_TEST(test_everything_at_once)
{
    stress(run_seconds, run_seed);
}
GST_END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("stress");
    TCase *t = tcase_create("stress");

    if (argc > 1) run_seconds = MAX(1, atoi(argv[1]));
    if (argc > 2) run_seed = (guint)atoi(argv[2]);
    argc = 1;
    suite_add_tcase(s, t);
    tcase_set_timeout(t, run_seconds * 10 + 60);
    tcase_add_test(t, test_everything_at_once);
    return run_suite(argc, argv, s, "stress");
}
