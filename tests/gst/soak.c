/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * soak [SECONDS [MODEL [EVERY [RATE]]]]: a live sorasrc into a sink for so many seconds of its stream (600), with
 * another prompt every EVERY seconds (60), on a clock RATE times as fast as the machine's (1).  No test of the suite:
 * it takes its time.  GST_PLUGIN_PATH says where the plugin is; a day in half an hour:
 *
 *   GST_PLUGIN_PATH=.libs tests/gst/soak 86400 test/size=64x32 60 50
 *
 * A line for each tenth: memory, threads and open files of the process; since the start, pictures that went out and
 * were made, slots filled because the next picture was not there, slots left out because the thread came too late, and
 * prompts shown; in this tenth, how far behind the clock buffers left the source (worst and last), how many were off by
 * more than a frame, and how many of these one after the other at most.
 *
 * It ends with 1 and one line where memory has grown by more than 1 % since the first tenth, there are more threads or
 * files than then, a slot was filled after the first picture, or RATE buffers one after the other were off by more than
 * a frame: at RATE 1 each of them counts, and above it a frame is so short that a machine with other work may not run
 * the thread in time, which the source makes good with the next slot.  A tenth should last 20 s of the machine, since
 * an idle thread of GLib's pools ends after 15, and its end takes memory.
 *
 * With RATE above 1 the model must be faster than that, and as much must be in store as the machine may take away for a
 * moment: here RATE seconds, one of the machine.  Then it does not matter that sorasrc measures in real time how long a
 * slot waits for content that is not there, which by this clock is RATE times too long, nor that underrun=stretch and
 * the factor in its warning compare with real time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fast_clock.h"

#define TENTHS 10
#define GROWTH 0.01         /* of the memory after the first tenth */

static const char *const prompts[] = { "calm sea at sunset, slow clouds", "a red balloon over green hills",
                                       "snowy mountains at dawn", "a blue boat on the sea at night",
                                       "a yellow lantern in the city at night" };

/* What the probes saw, in the streaming thread; under the lock. */
typedef struct Seen {
    GMutex lock;
    GstClockTime spare;             /* running time before which nothing is judged */
    gboolean picture;               /* there was one that is no filler */
    guint filled;                   /* fillers since */
    guint prompts;
    GstClockTimeDiff last, worst;   /* behind the clock; of this tenth, as `off` */
    guint off;                      /* buffers, by more than a frame; ... */
    guint in_row, longest;          /* ... one after the other, now and at most */
} Seen;

typedef struct Soak {
    double seconds, every, rate;
    GstElement *pipe, *src, *sink;
    GstClock *clock;
    double second;                  /* of the stream, now */
    Seen seen;
    double mib;                     /* after the first tenth, ... */
    int threads, files;
    gchar *wrong;                   /* what came first; NULL: nothing */
} Soak;

static void fail(Soak *s, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void fail(Soak *s, const char *format, ...)
{
    va_list args;
    gchar *what;

    if (s->wrong) return;
    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    s->wrong = g_strdup_printf("second %.0f: %s", s->second, what);
    g_free(what);
}

/* ---- The streaming thread ---- */

static void on_buffer(Soak *s, GstBuffer *b)
{
    const GstClockTimeDiff now = GST_CLOCK_DIFF(gst_element_get_base_time(s->sink), gst_clock_get_time(s->clock));
    const GstClockTimeDiff behind = now - (GstClockTimeDiff)GST_BUFFER_PTS(b);
    const gboolean filler = GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_GAP);
    Seen *seen = &s->seen;
    gboolean off;

    g_mutex_lock(&seen->lock);
    if (filler && seen->picture) seen->filled++;
    if (!filler) seen->picture = TRUE;
    if (now >= (GstClockTimeDiff)seen->spare) {
        off = ABS(behind) > (GstClockTimeDiff)GST_BUFFER_DURATION(b);
        seen->off += off;
        seen->in_row = off ? seen->in_row + 1 : 0;
        seen->longest = MAX(seen->longest, seen->in_row);
        seen->last = behind;
        if (ABS(behind) > ABS(seen->worst)) seen->worst = behind;
    }
    g_mutex_unlock(&seen->lock);
}

static GstPadProbeReturn on_data(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    Soak *s = user;

    if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
        on_buffer(s, GST_PAD_PROBE_INFO_BUFFER(info));
    } else if (gst_event_has_name(GST_PAD_PROBE_INFO_EVENT(info), "sora-prompt")) {
        g_mutex_lock(&s->seen.lock);
        s->seen.prompts++;
        g_mutex_unlock(&s->seen.lock);
    }
    return GST_PAD_PROBE_OK;
}

/* ---- A line ---- */

static double memory_mib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!f || fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static int count_files(const char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    int n = 0;

    if (!dir) return 0;
    while (g_dir_read_name(dir)) n++;
    g_dir_close(dir);
    return n;
}

static void say_tenth(Soak *s, int tenth)
{
    const double mib = memory_mib();
    const int threads = count_files("/proc/self/task"), files = count_files("/proc/self/fd");
    gint64 pushed = 0, made = 0, filled = 0, dropped = 0;
    GstStructure *stats;
    Seen *seen = &s->seen;

    g_object_get(s->src, "stats", &stats, NULL);
    gst_structure_get(stats, "frames-pushed", G_TYPE_INT64, &pushed, "frames-generated", G_TYPE_INT64, &made,
                      "frames-duplicated", G_TYPE_INT64, &filled, "slots-dropped", G_TYPE_INT64, &dropped, NULL);
    gst_structure_free(stats);
    g_mutex_lock(&seen->lock);
    printf("%.0f %.2f %d %d %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
           " %u %.1f %.1f %u %u\n", s->second, mib, threads, files, pushed, made, filled, dropped, seen->prompts,
           (double)seen->worst / GST_MSECOND, (double)seen->last / GST_MSECOND, seen->off, seen->longest);
    if (!seen->picture) fail(s, "no picture yet");
    if (seen->filled) fail(s, "%u slots were filled after the first picture", seen->filled);
    if (seen->longest >= MAX(1, s->rate))
        fail(s, "%u buffers in a row were further than a frame from the clock", seen->longest);
    seen->worst = 0;
    seen->off = seen->longest = 0;
    g_mutex_unlock(&seen->lock);
    fflush(stdout);

    if (tenth == 1) {
        s->mib = mib;
        s->threads = threads;
        s->files = files;
    }
    if (threads > s->threads) fail(s, "%d threads, after the first tenth %d", threads, s->threads);
    if (files > s->files) fail(s, "%d open files, after the first tenth %d", files, s->files);
    if (tenth == TENTHS && !(mib <= s->mib * (1 + GROWTH)))
        fail(s, "%.2f MiB, after the first tenth %.2f", mib, s->mib);
}

/* ---- The run ---- */

/* So long, or until something is said that matters; FALSE: the stream has ended. */
static gboolean wait_for(Soak *s, double left_s)
{
    GstMessage *m = gst_bus_timed_pop_filtered(GST_ELEMENT_BUS(s->pipe), (GstClockTime)(left_s * 1e9 / s->rate),
                                               GST_MESSAGE_ERROR | GST_MESSAGE_WARNING | GST_MESSAGE_EOS);
    gboolean goes_on = FALSE;
    GError *e = NULL;

    if (!m) return TRUE;
    switch (GST_MESSAGE_TYPE(m)) {
    case GST_MESSAGE_ERROR:
        gst_message_parse_error(m, &e, NULL);
        fail(s, "%s", e->message);
        break;
    case GST_MESSAGE_WARNING:
        gst_message_parse_warning(m, &e, NULL);
        fprintf(stderr, "soak: warning: %s\n", e->message);
        goes_on = TRUE;
        break;
    default: fail(s, "the stream has ended");
    }
    g_clear_error(&e);
    gst_message_unref(m);
    return goes_on;
}

static void run(Soak *s)
{
    GstPad *pad = gst_element_get_static_pad(s->sink, "sink");
    gboolean plays;
    guint turn = 1;
    int tenth = 1;

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_data, s, NULL);
    gst_object_unref(pad);
    gst_pipeline_use_clock(GST_PIPELINE(s->pipe), s->clock);
    puts("second MiB threads files pushed made filled dropped prompts worst_ms last_ms off in_row");
    plays = gst_element_set_state(s->pipe, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE;
    if (!plays) {
        wait_for(s, 0);
        fail(s, "the pipeline does not play");
    }
    while (plays && tenth <= TENTHS) {
        const GstClockTime base = gst_element_get_base_time(s->pipe);
        const double now = s->second = (double)(gst_clock_get_time(s->clock) - base) / GST_SECOND;
        const double next_prompt = turn * s->every, next_line = tenth * s->seconds / TENTHS;

        if (now >= next_prompt) g_object_set(s->src, "prompt", prompts[turn++ % G_N_ELEMENTS(prompts)], NULL);
        else if (now >= next_line) say_tenth(s, tenth++);
        else plays = wait_for(s, MIN(next_prompt, next_line) - now);
    }
    gst_element_set_state(s->pipe, GST_STATE_NULL);
}

static double number(int argc, char **argv, int i, double otherwise)
{
    gchar *end;
    double v;

    if (i >= argc) return otherwise;
    v = g_ascii_strtod(argv[i], &end);
    if (end != argv[i] && *end == 0 && v > 0 && v <= 1e9) return v;
    fprintf(stderr, "soak: %s: wanted a number above 0\n", argv[i]);
    exit(2);
}

int main(int argc, char **argv)
{
    Soak s = { 0 };

    gst_init(&argc, &argv);
    s.seconds = number(argc, argv, 1, 600);
    s.every = number(argc, argv, 3, 60);
    s.rate = number(argc, argv, 4, 1);
    if (s.seconds < TENTHS * s.rate) {
        fprintf(stderr, "soak: %.0f s at rate %g: wanted at least %.0f, a second of the machine for each tenth\n",
                s.seconds, s.rate, TENTHS * s.rate);
        return 2;
    }
    s.pipe = gst_pipeline_new(NULL);
    s.src = gst_element_factory_make("sorasrc", NULL);
    s.sink = gst_element_factory_make("fakesink", NULL);
    if (!s.src || !s.sink) {
        fprintf(stderr, "soak: no element %s; GST_PLUGIN_PATH says where plugins are\n",
                s.src ? "fakesink" : "sorasrc");
        return 2;
    }
    g_object_set(s.src, "is-live", TRUE, "num-frames", (gint64)0, "model", argc > 2 ? argv[2] : "pocket", "prompt",
                 prompts[0], "post-messages", FALSE, "max-size-time", (guint64)(s.rate * GST_SECOND), NULL);
    /* one thread makes and shows: without its deadline of 20 ms the sink lets go of it when the next slot begins */
    g_object_set(s.sink, "sync", TRUE, "processing-deadline", (guint64)0, NULL);
    gst_bin_add_many(GST_BIN(s.pipe), s.src, s.sink, NULL);
    gst_element_link(s.src, s.sink);
    s.clock = fast_clock_new(s.rate);
    s.seen.spare = (GstClockTime)(s.rate * GST_SECOND);
    g_mutex_init(&s.seen.lock);
    run(&s);
    gst_object_unref(s.pipe);
    gst_object_unref(s.clock);
    g_mutex_clear(&s.seen.lock);
    if (!s.wrong) return 0;
    fprintf(stderr, "soak: %s\n", s.wrong);
    g_free(s.wrong);
    return 1;
}
