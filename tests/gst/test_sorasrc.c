/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc with model "test": options, caps, errors, states, messages.  test_soraflow.c has the stream itself. */
#include "sora_check.h"
#include <math.h>
#include <sora/sora.h>

/* Every row of the library's table is a property, with its help, range and default; caps say size and rate. */
GST_START_TEST(test_options)
{
    GstElement *e = gst_element_factory_make("sorasrc", NULL);
    const sora_option *o;
    int n = 0;

    fail_unless(e != NULL);
    for (o = sora_option_table(); o->name; o++) {
        const char *name = strcmp(o->name, "frames") ? o->name : "num-frames";
        GParamSpec *p = g_object_class_find_property(G_OBJECT_GET_CLASS(e), name);

        if (!strcmp(name, "size") || !strcmp(name, "rate")) {
            fail_unless(p == NULL);
            continue;
        }
        fail_unless(p != NULL, "no property %s", name);
        fail_unless_equals_string(g_param_spec_get_blurb(p), o->help);
        if (G_IS_PARAM_SPEC_FLOAT(p)) fail_unless(G_PARAM_SPEC_FLOAT(p)->maximum == (float)o->max, "%s", name);
        if (G_IS_PARAM_SPEC_INT(p)) fail_unless(G_PARAM_SPEC_INT(p)->maximum == (int)o->max, "%s", name);
        if (G_IS_PARAM_SPEC_STRING(p) && *o->def)
            fail_unless_equals_string(G_PARAM_SPEC_STRING(p)->default_value, o->def);
        if (G_IS_PARAM_SPEC_ENUM(p)) {
            gchar **words = g_strsplit(o->values, "|", -1);
            for (int i = 0; words[i]; i++)
                fail_unless(g_enum_get_value_by_nick(G_PARAM_SPEC_ENUM(p)->enum_class, words[i]) != NULL, "%s=%s",
                            name, words[i]);
            g_strfreev(words);
        }
        n++;
    }
    fail_unless(n >= 13, "%d", n);
    gst_object_unref(e);
}
GST_END_TEST

GST_START_TEST(test_set_get)
{
    GstElement *e = gst_element_factory_make("sorasrc", NULL);
    gchar *prompt;
    gint64 seed, frames;
    gfloat guidance;

    g_object_set(e, "prompt", "a caf\303\251, \"quoted\"", "seed", G_GINT64_CONSTANT(1234567890123), "guidance", 3.5f,
                 "num-frames", G_GINT64_CONSTANT(7), NULL);
    gst_util_set_object_arg(G_OBJECT(e), "sampler", "unipc");
    gst_util_set_object_arg(G_OBJECT(e), "precision", "f32");
    g_object_get(e, "prompt", &prompt, "seed", &seed, "guidance", &guidance, "num-frames", &frames, NULL);
    fail_unless_equals_string(prompt, "a caf\303\251, \"quoted\"");
    fail_unless(seed == G_GINT64_CONSTANT(1234567890123) && guidance == 3.5f && frames == 7);
    g_free(prompt);
    gst_object_unref(e);
}
GST_END_TEST

/* ---- Caps ---- */

GST_START_TEST(test_native_caps)
{
    Fixture f = fixture(QUICK, NULL);
    GstVideoInfo info;
    GstCaps *caps;
    GstBuffer *b;
    GstStructure *s;

    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    caps = gst_pad_get_current_caps(f.h->sinkpad);
    s = gst_caps_get_structure(caps, 0);
    fail_unless(gst_caps_is_fixed(caps) && gst_video_info_from_caps(&info, caps));
    fail_unless_equals_int(GST_VIDEO_INFO_FORMAT(&info), GST_VIDEO_FORMAT_I420);
    fail_unless_equals_string(gst_structure_get_string(s, "colorimetry"), "bt709");
    fail_unless_equals_string(gst_structure_get_string(s, "chroma-site"), "mpeg2");
    fail_unless_equals_string(gst_structure_get_string(s, "interlace-mode"), "progressive");
    fail_unless(gst_structure_has_field(s, "pixel-aspect-ratio"));
    fail_unless(info.par_n == 1 && info.par_d == 1 && info.fps_n > 0);
    fail_unless(gst_buffer_get_size(b) == GST_VIDEO_INFO_SIZE(&info));
    gst_buffer_unref(b);
    gst_caps_unref(caps);
    fixture_end(&f);
}
GST_END_TEST

/* Every format of the template, at a size off every grid: each buffer maps, and its last bytes exist. */
GST_START_TEST(test_formats)
{
    guint n;
    const GstVideoFormat *all = gst_video_formats_raw(&n);

    for (guint k = 0; k < n; k++) {
        gchar *caps = g_strdup_printf("video/x-raw,format=%s,width=322,height=242",
                                      gst_video_format_to_string(all[k]));
        Fixture f = fixture(QUICK, caps);
        GstVideoFrame frame;
        GstVideoInfo info;
        GstCaps *now;
        GstBuffer *b;

        gst_harness_play(f.h);
        b = gst_harness_pull(f.h);
        fail_unless(b != NULL, "%s", caps);
        now = gst_pad_get_current_caps(f.h->sinkpad);
        fail_unless(gst_video_info_from_caps(&info, now) && info.width == 322 && info.height == 242, "%s", caps);
        fail_unless(gst_video_frame_map(&frame, &info, b, GST_MAP_READ), "%s", caps);
        gst_video_frame_unmap(&frame);
        gst_caps_unref(now);
        gst_buffer_unref(b);
        fixture_end(&f);
        g_free(caps);
    }
}
GST_END_TEST

/* What a peer may offer: video meta or not, and a pool whose rows are longer.  The picture is the same in all three. */
static void add_pool(GstHarness *h, const char *caps_text)
{
    GstVideoAlignment align;
    GstBufferPool *pool = gst_video_buffer_pool_new();
    GstStructure *config = gst_buffer_pool_get_config(pool);
    GstCaps *caps = gst_caps_from_string(caps_text);
    GstVideoInfo info;

    fail_unless(gst_video_info_from_caps(&info, caps));
    gst_video_alignment_reset(&align);
    align.padding_right = 37;
    align.padding_bottom = 5;
    gst_buffer_pool_config_set_params(config, caps, (guint)info.size, 2, 0);
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
    gst_buffer_pool_config_set_video_alignment(config, &align);
    fail_unless(gst_buffer_pool_set_config(pool, config));
    gst_harness_add_propose_allocation_meta(h, GST_VIDEO_META_API_TYPE, NULL);
    g_object_set_data_full(G_OBJECT(h->element), "pool", pool, gst_object_unref);
    gst_caps_unref(caps);
}

static GstPadProbeReturn offer_pool(GstPad *pad, GstPadProbeInfo *info, gpointer pool)
{
    GstQuery *q = GST_PAD_PROBE_INFO_QUERY(info);

    if (GST_QUERY_TYPE(q) == GST_QUERY_ALLOCATION && GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_PULL)
        gst_query_add_allocation_pool(q, pool, 1, 2, 0);
    return GST_PAD_PROBE_OK;
}

GST_START_TEST(test_strides)
{
    static const char caps[] = "video/x-raw,format=NV12,width=322,height=242,framerate=25/1,colorimetry=bt709,"
                               "chroma-site=mpeg2,pixel-aspect-ratio=1/1,interlace-mode=progressive";
    gchar *sums[3];

    for (int way = 0; way < 3; way++) {
        Fixture f = fixture(QUICK, caps);
        GChecksum *sum = g_checksum_new(G_CHECKSUM_MD5);
        GstVideoFrame frame;
        GstVideoInfo info;
        GstCaps *now;
        GstBuffer *b;

        if (way == 1) gst_harness_add_propose_allocation_meta(f.h, GST_VIDEO_META_API_TYPE, NULL);
        if (way == 2) {
            add_pool(f.h, caps);
            gst_pad_add_probe(f.h->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM, offer_pool,
                              g_object_get_data(G_OBJECT(f.h->element), "pool"), NULL);
        }
        gst_harness_play(f.h);
        b = gst_harness_pull(f.h);
        now = gst_pad_get_current_caps(f.h->sinkpad);
        fail_unless(b && gst_video_info_from_caps(&info, now));
        fail_unless(gst_video_frame_map(&frame, &info, b, GST_MAP_READ));
        for (guint p = 0; p < GST_VIDEO_FRAME_N_PLANES(&frame); p++)
            for (int y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, p); y++)
                g_checksum_update(sum, (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, p) +
                                  y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, p), 322);
        sums[way] = g_strdup(g_checksum_get_string(sum));
        gst_video_frame_unmap(&frame);
        g_checksum_free(sum);
        gst_caps_unref(now);
        gst_buffer_unref(b);
        fixture_end(&f);
    }
    fail_unless_equals_string(sums[0], sums[1]);
    fail_unless_equals_string(sums[0], sums[2]);
    for (int way = 0; way < 3; way++) g_free(sums[way]);
}
GST_END_TEST

/* The first frame in a format, made RGB again. */
static guint8 *back_to_rgb(GstVideoFormat format, gsize *size)
{
    gchar *caps = g_strdup_printf("video/x-raw,format=%s,width=320,height=240", gst_video_format_to_string(format));
    Fixture f = fixture(QUICK, caps);
    GstVideoConverter *convert;
    GstVideoFrame from, to;
    GstVideoInfo in, out;
    GstBuffer *b, *rgb;
    GstCaps *now;
    guint8 *data;

    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    now = gst_pad_get_current_caps(f.h->sinkpad);
    fail_unless(b && gst_video_info_from_caps(&in, now), "%s", caps);
    fail_unless(gst_video_info_set_format(&out, GST_VIDEO_FORMAT_RGB, 320, 240));
    rgb = gst_buffer_new_allocate(NULL, out.size, NULL);
    fail_unless(gst_video_frame_map(&from, &in, b, GST_MAP_READ) && gst_video_frame_map(&to, &out, rgb, GST_MAP_WRITE));
    out.fps_n = in.fps_n;
    out.fps_d = in.fps_d;
    convert = gst_video_converter_new(&in, &out, NULL);
    fail_unless(convert != NULL, "%s", caps);
    gst_video_converter_frame(convert, &from, &to);
    gst_video_converter_free(convert);
    gst_video_frame_unmap(&from);
    gst_video_frame_unmap(&to);
    *size = gst_buffer_get_size(rgb);
    data = g_malloc(*size);
    gst_buffer_extract(rgb, 0, data, *size);
    gst_buffer_unref(rgb);
    gst_buffer_unref(b);
    gst_caps_unref(now);
    g_free(caps);
    fixture_end(&f);
    return data;
}

/* Of the picture in RGB, how much a format keeps: all that its depth and its chroma have room for. */
GST_START_TEST(test_psnr)
{
    guint n;
    const GstVideoFormat *all = gst_video_formats_raw(&n);
    gsize size;
    guint8 *rgb = back_to_rgb(GST_VIDEO_FORMAT_RGB, &size);

    for (guint k = 0; k < n; k++) {
        const GstVideoFormatInfo *info = gst_video_format_get_info(all[k]);
        double error = 0, psnr, wanted = 38;
        guint8 *got;

        if (GST_VIDEO_FORMAT_INFO_IS_GRAY(info) || GST_VIDEO_FORMAT_INFO_HAS_PALETTE(info)) continue;
        if (GST_VIDEO_FORMAT_INFO_DEPTH(info, 0) < 8) wanted = 28;          /* 5 or 6 bits a colour */
        else if (!GST_VIDEO_FORMAT_INFO_IS_RGB(info) && GST_VIDEO_FORMAT_INFO_W_SUB(info, 1) > 0)
            wanted = GST_VIDEO_FORMAT_INFO_W_SUB(info, 1) > 1 ? 24 : 28;    /* the edge of the disc is as sharp as can be */
        got = back_to_rgb(all[k], &size);
        for (gsize i = 0; i < size; i++) error += ((double)got[i] - rgb[i]) * ((double)got[i] - rgb[i]) / (double)size;
        psnr = error > 0 ? 10 * log10(255 * 255 / error) : 99;
        fail_unless(psnr >= wanted, "%s: %.1f dB", gst_video_format_to_string(all[k]), psnr);
        g_free(got);
    }
    g_free(rgb);
}
GST_END_TEST

GST_START_TEST(test_sizes)
{
    static const struct { int w, h; } sizes[] = { { 1, 1 }, { 17, 33 }, { 16, 16 }, { 1920, 1080 } };

    for (guint k = 0; k < G_N_ELEMENTS(sizes); k++) {
        gchar *caps = g_strdup_printf("video/x-raw,format=RGB,width=%d,height=%d", sizes[k].w, sizes[k].h);
        Fixture f = fixture(QUICK " num-buffers=2", caps);
        GstBuffer *b;

        gst_harness_play(f.h);
        b = gst_harness_pull(f.h);
        fail_unless(b && gst_buffer_get_size(b) == (gsize)(GST_ROUND_UP_4(sizes[k].w * 3) * sizes[k].h), "%s", caps);
        gst_buffer_unref(b);
        fixture_end(&f);
        g_free(caps);
    }
}
GST_END_TEST

static double mean_of_plane(const char *caps, int plane, int *levels)
{
    Fixture f = fixture(QUICK, caps);
    gboolean seen[65536] = { 0 };
    GstVideoFrame frame;
    GstVideoInfo info;
    double sum = 0;
    GstCaps *now;
    GstBuffer *b;
    int w, h, deep;

    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    now = gst_pad_get_current_caps(f.h->sinkpad);
    fail_unless(gst_video_info_from_caps(&info, now));
    fail_unless(gst_video_frame_map(&frame, &info, b, GST_MAP_READ));
    w = GST_VIDEO_FRAME_COMP_WIDTH(&frame, plane);
    h = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane);
    deep = GST_VIDEO_FRAME_COMP_DEPTH(&frame, plane) > 8;
    *levels = 0;
    for (int y = 0; y < h; y++) {
        const guint8 *row = (guint8 *)GST_VIDEO_FRAME_COMP_DATA(&frame, plane) +
                            y * GST_VIDEO_FRAME_COMP_STRIDE(&frame, plane);
        for (int x = 0; x < w; x++) {
            const int v = deep ? GST_READ_UINT16_LE(row + 2 * x) : row[x];
            *levels += !seen[v];
            seen[v] = TRUE;
            sum += (double)v / w / h;
        }
    }
    gst_video_frame_unmap(&frame);
    gst_caps_unref(now);
    gst_buffer_unref(b);
    fixture_end(&f);
    return sum;
}

/* 10 bit is more than 8 bit shifted; the matrix that the caps name is the one that is used. */
GST_START_TEST(test_depth_and_matrix)
{
    int levels8, levels10, n;
    double y8, y10, y709, y601, y_other;

    y8 = mean_of_plane("video/x-raw,format=Y444,width=1024,height=256", 0, &levels8);
    y10 = mean_of_plane("video/x-raw,format=Y444_10LE,width=1024,height=256", 0, &levels10);
    fail_unless(levels10 > 2 * levels8, "%d and %d levels", levels10, levels8);
    fail_unless(ABS(y10 / 4 - y8) < 1, "%f %f", y10 / 4, y8);
    y709 = mean_of_plane("video/x-raw,format=Y444,colorimetry=bt709", 0, &n);
    y601 = mean_of_plane("video/x-raw,format=Y444,colorimetry=bt601", 0, &n);
    y_other = mean_of_plane("video/x-raw,format=Y444,colorimetry=2:3:7:1", 0, &n);     /* the same, by the converter */
    fail_unless(ABS(y709 - y_other) < 1, "%f %f", y709, y_other);
    fail_unless(ABS(y709 - y601) > 0.05, "%f %f", y709, y601);
}
GST_END_TEST

/* ---- Errors ---- */

static const struct failing { const char *settings; gboolean in_ready, library; int code; } failing[] = {
    { "model=test", TRUE, FALSE, GST_RESOURCE_ERROR_SETTINGS },
    { "model=test prompt=\"\"", TRUE, FALSE, GST_RESOURCE_ERROR_SETTINGS },
    { "model=test prompt=a prompt-file=b", TRUE, FALSE, GST_RESOURCE_ERROR_SETTINGS },
    { "model=test prompt-file=/nonexistent/prompt", TRUE, FALSE, GST_RESOURCE_ERROR_NOT_FOUND },
    { "model=/nonexistent prompt=a", TRUE, FALSE, GST_RESOURCE_ERROR_NOT_FOUND },
    { "model=test/no-such-knob=1 prompt=a", TRUE, TRUE, GST_LIBRARY_ERROR_SETTINGS },
    { "model=test/fail=load prompt=a", FALSE, FALSE, GST_RESOURCE_ERROR_READ },
    { "model=test/fail=text prompt=a", FALSE, TRUE, GST_LIBRARY_ERROR_FAILED },
    { "model=test/fail=step prompt=a", FALSE, TRUE, GST_LIBRARY_ERROR_FAILED },
    { "model=test/fail=decode prompt=a", FALSE, TRUE, GST_LIBRARY_ERROR_FAILED },
    { "model=test/nan=1 prompt=a", FALSE, TRUE, GST_LIBRARY_ERROR_FAILED },
};

GST_START_TEST(test_errors)
{
    const struct failing *c = &failing[__i__];
    Fixture f = fixture(c->settings, NULL);
    GstStateChangeReturn r = gst_element_set_state(f.h->element, GST_STATE_READY);

    fail_unless_equals_int(r, c->in_ready ? GST_STATE_CHANGE_FAILURE : GST_STATE_CHANGE_SUCCESS);
    if (!c->in_ready) gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    assert_error(&f, c->library ? GST_LIBRARY_ERROR : GST_RESOURCE_ERROR, c->code);
    if (c->in_ready) fail_unless(next_message(&f, GST_MESSAGE_ERROR, 0) == NULL);
    fixture_end(&f);
}
GST_END_TEST

/* Progress: what begins ends once, the error comes first. */
GST_START_TEST(test_error_progress)
{
    Fixture f = fixture("model=test/fail=step prompt=a", NULL);
    int starts = 0, ends = 0, errors = 0;
    GstProgressType type;
    GstMessage *m;

    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    while ((m = next_message(&f, GST_MESSAGE_PROGRESS | GST_MESSAGE_ERROR, 1000))) {
        if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR) {
            errors++;
        } else {
            gst_message_parse_progress(m, &type, NULL, NULL);
            starts += type == GST_PROGRESS_TYPE_START;
            ends += type == GST_PROGRESS_TYPE_COMPLETE || type == GST_PROGRESS_TYPE_ERROR;
            if (type == GST_PROGRESS_TYPE_ERROR) fail_unless(errors >= 1);
        }
        gst_message_unref(m);
    }
    fail_unless(starts == 2 && ends == 2 && errors >= 1, "%d %d %d", starts, ends, errors);
    fixture_end(&f);
}
GST_END_TEST

/* ---- States ---- */

/* An element that nobody told anything: one error each time, and after that it works. */
GST_START_TEST(test_bare_states)
{
    static const GstState sequence[] = { GST_STATE_READY, GST_STATE_NULL, GST_STATE_PAUSED, GST_STATE_NULL,
                                         GST_STATE_PLAYING, GST_STATE_PAUSED, GST_STATE_READY, GST_STATE_NULL };
    Fixture f = fixture("model=test", NULL);
    GstBuffer *b;

    for (guint k = 0; k < G_N_ELEMENTS(sequence); k++) {
        gst_element_set_state(f.h->element, sequence[k]);
        if (sequence[k] != GST_STATE_NULL) assert_error(&f, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
        fail_unless(next_message(&f, GST_MESSAGE_ERROR, 0) == NULL);
    }
    g_object_set(f.h->element, "prompt", "cat", NULL);
    gst_harness_play(f.h);
    b = gst_harness_pull(f.h);
    fail_unless(b != NULL);
    gst_buffer_unref(b);
    fixture_end(&f);
}
GST_END_TEST

/* Loading is nobody's to wait for. */
GST_START_TEST(test_load_blocks_nothing)
{
    Fixture f = fixture("model=test/load-delay=3000 prompt=cat", NULL);
    GstProgressType type;
    GstMessage *m;

    assert_quick(gst_element_set_state(f.h->element, GST_STATE_READY));
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_PAUSED));
    m = next_message(&f, GST_MESSAGE_PROGRESS, 0);      /* there when the call returns */
    fail_unless(m != NULL);
    gst_message_parse_progress(m, &type, NULL, NULL);
    fail_unless_equals_int(type, GST_PROGRESS_TYPE_START);
    gst_message_unref(m);
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_PLAYING));
    g_usleep(200000);
    fixture_end(&f);
}
GST_END_TEST

static const char *const slow_ones[] = { SLOW, SLOW " is-live=true",
    "model=test/step-delay=2000/ignore-cancel=1 prompt=cat num-frames=0",
    "model=test/load-delay=2000/ignore-cancel=1 prompt=cat num-frames=0 is-live=true" };

GST_START_TEST(test_interrupt)
{
    Fixture f = fixture(slow_ones[__i__], NULL);

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    g_usleep(300000);
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_PAUSED));
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_PLAYING));
    g_usleep(50000);
    assert_quick(gst_element_send_event(f.h->element,
        gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, 0)));
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_READY));
    assert_quick(gst_element_set_state(f.h->element, GST_STATE_PLAYING));
    g_usleep(50000);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_storm)
{
    Fixture f = fixture(slow_ones[__i__], NULL);
    GRand *rand = g_rand_new_with_seed(7);
    int over = 0;

    gst_harness_use_systemclock(f.h);
    for (int i = 0; i < 300; i++) {
        const gint64 before = g_get_monotonic_time();
        gst_element_set_state(f.h->element, (GstState)g_rand_int_range(rand, GST_STATE_NULL, GST_STATE_PLAYING + 1));
        over += g_get_monotonic_time() - before >= limit_us();
        if (i % 3 == 0) g_object_set(f.h->element, "prompt", i % 2 ? "dog" : "cat", NULL);
        g_usleep((gulong)g_rand_int_range(rand, 0, 5000));
    }
    fail_unless(over <= 2, "%d of 300", over);      /* the scheduler's; were the engine waited for, it would be half */
    g_rand_free(rand);
    fixture_end(&f);
}
GST_END_TEST

/* ---- Messages ---- */

/* In PAUSED, with a queue that nobody empties, progress still ends: an application may wait for it before it plays. */
GST_START_TEST(test_progress_completes_in_paused)
{
    Fixture f = fixture("model=test/step-delay=60/steps=10 prompt=cat seed=1 num-frames=0 is-live=true", NULL);
    int open = 0, request = 0, last = -1, percent;
    GstProgressType type;
    gchar *code;
    GstMessage *m;

    gst_element_set_state(f.h->element, GST_STATE_PAUSED);
    while (open + request < 4 && (m = next_message(&f, GST_MESSAGE_PROGRESS, 5000))) {
        gst_message_parse_progress(m, &type, &code, NULL);
        gst_structure_get_int(gst_message_get_structure(m), "percent", &percent);
        if (type == GST_PROGRESS_TYPE_CONTINUE) {
            fail_unless(percent >= last && percent <= 100);
            last = percent;
        } else {
            *(strcmp(code, "open") ? &request : &open) += 1;
            fail_unless_equals_int(type, (strcmp(code, "open") ? request : open) == 1 ? GST_PROGRESS_TYPE_START
                                                                                       : GST_PROGRESS_TYPE_COMPLETE);
        }
        g_free(code);
        gst_message_unref(m);
    }
    fail_unless(open == 2 && request == 2);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_progress_canceled)
{
    Fixture f = fixture(SLOW, NULL);
    int ends = 0;
    GstProgressType type;
    GstMessage *m;

    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    g_usleep(100000);
    gst_element_set_state(f.h->element, GST_STATE_READY);
    while ((m = next_message(&f, GST_MESSAGE_PROGRESS, 0))) {
        gst_message_parse_progress(m, &type, NULL, NULL);
        ends += type == GST_PROGRESS_TYPE_CANCELED || type == GST_PROGRESS_TYPE_COMPLETE;
        gst_message_unref(m);
    }
    fail_unless_equals_int(ends, 2);
    fixture_end(&f);
}
GST_END_TEST

/* At most four a second, with the fields that the documentation names; none when switched off. */
GST_START_TEST(test_work_messages)
{
    static const char *const fields[] = { "phase", "step", "steps", "chunk", "frames-done", "frames-total", "percent",
                                          "elapsed", "eta", "rate" };
    Fixture f = fixture("model=test/step-delay=10/steps=100 prompt=cat num-frames=0", NULL);
    GstMessage *m;
    int n = 0;

    gst_harness_play(f.h);
    g_usleep(1000000);
    g_object_set(f.h->element, "post-messages", FALSE, NULL);
    while ((m = next_element(&f, "sora-progress", 1))) {
        for (guint k = 0; k < G_N_ELEMENTS(fields); k++)
            fail_unless(gst_structure_has_field(gst_message_get_structure(m), fields[k]), "%s", fields[k]);
        gst_message_unref(m);
        n++;
    }
    fail_unless(n >= 1 && n <= 6, "%d", n);
    g_usleep(600000);
    fail_unless(next_element(&f, "sora-progress", 1) == NULL);
    fixture_end(&f);
}
GST_END_TEST

GST_START_TEST(test_read_only)
{
    Fixture f = fixture("model=test prompt=cat seed=-1 num-frames=10", NULL);
    gint64 seed, generated;
    GstStructure *stats;
    gint state;
    GstBuffer *b;
    int n = 0;

    g_object_get(f.h->element, "state", &state, "actual-seed", &seed, NULL);
    fail_unless(state == 0 && seed == -1);
    gst_harness_play(f.h);
    while ((b = next_buffer(&f))) gst_buffer_unref(b), n++;
    fail_unless_equals_int(n, 10);
    g_object_get(f.h->element, "state", &state, "actual-seed", &seed, "stats", &stats, NULL);
    fail_unless_equals_int(state, 4);       /* finished */
    fail_unless(seed >= 0);
    fail_unless(gst_structure_get_int64(stats, "frames-generated", &generated) && generated == 10);
    gst_structure_free(stats);
    fixture_end(&f);
}
GST_END_TEST

static Suite *sorasrc_suite(void)
{
    Suite *s = suite_create("sorasrc");
    TCase *t = tcase_create("element");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_options);
    tcase_add_test(t, test_set_get);
    tcase_add_test(t, test_native_caps);
    tcase_add_test(t, test_formats);
    tcase_add_test(t, test_strides);
    tcase_add_test(t, test_psnr);
    tcase_add_test(t, test_sizes);
    tcase_add_test(t, test_depth_and_matrix);
    tcase_add_loop_test(t, test_errors, 0, G_N_ELEMENTS(failing));
    tcase_add_test(t, test_error_progress);
    tcase_add_test(t, test_bare_states);
    tcase_add_test(t, test_load_blocks_nothing);
    tcase_add_loop_test(t, test_interrupt, 0, G_N_ELEMENTS(slow_ones));
    tcase_add_loop_test(t, test_storm, 0, G_N_ELEMENTS(slow_ones));
    tcase_add_test(t, test_progress_completes_in_paused);
    tcase_add_test(t, test_progress_canceled);
    tcase_add_test(t, test_work_messages);
    tcase_add_test(t, test_read_only);
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, sorasrc_suite(), "test_sorasrc");
}
