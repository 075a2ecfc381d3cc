/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc: what becomes of the model's picture in a frame. */
#include <sys/stat.h>

#include "sora_check.h"

/* A model of one size, and one of any. */
#define OWN "model=test/fixed-size=1/size=320x180/step-delay=1/rate=25 prompt=cat seed=1 num-frames=50 "
#define ANY "model=test/size=320x180/step-delay=1/rate=25 prompt=cat seed=1 num-frames=50 "

typedef struct Rgb { int w, h; guint8 *data; } Rgb;         /* rows without padding */

#define PIXEL(p, x, y) ((p).data + 3 * ((gsize)(y) * (gsize)(p).w + (gsize)(x)))

/* A buffer of the stream, made RGB of the same size. */
static Rgb rgb_of(Fixture *f, GstBuffer *b)
{
    GstVideoConverter *convert;
    GstVideoFrame from, to;
    GstVideoInfo in, out;
    GstCaps *now = gst_pad_get_current_caps(f->h->sinkpad);
    GstBuffer *made;
    Rgb p;

    fail_unless(gst_video_info_from_caps(&in, now));
    fail_unless(gst_video_info_set_format(&out, GST_VIDEO_FORMAT_RGB, (guint)in.width, (guint)in.height));
    out.fps_n = in.fps_n;
    out.fps_d = in.fps_d;
    out.interlace_mode = in.interlace_mode;
    made = gst_buffer_new_allocate(NULL, out.size, NULL);
    fail_unless(gst_video_frame_map(&from, &in, b, GST_MAP_READ));
    fail_unless(gst_video_frame_map(&to, &out, made, GST_MAP_WRITE));
    convert = gst_video_converter_new(&in, &out, NULL);
    fail_unless(convert != NULL);
    gst_video_converter_frame(convert, &from, &to);
    gst_video_converter_free(convert);
    p.w = in.width;
    p.h = in.height;
    p.data = g_malloc((gsize)(3 * p.w * p.h));
    for (int y = 0; y < p.h; y++)
        memcpy(PIXEL(p, 0, y), (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&to, 0) + y * GST_VIDEO_FRAME_PLANE_STRIDE(&to, 0),
               (gsize)(3 * p.w));
    gst_video_frame_unmap(&from);
    gst_video_frame_unmap(&to);
    gst_buffer_unref(made);
    gst_caps_unref(now);
    return p;
}

static Rgb next_rgb(Fixture *f)
{
    GstBuffer *b = next_buffer(f);
    Rgb p;

    fail_unless(b != NULL);
    p = rgb_of(f, b);
    gst_buffer_unref(b);
    return p;
}

static Rgb first_rgb(const char *settings, const char *caps)
{
    Fixture f = fixture(settings, caps);
    Rgb p;

    gst_harness_play(f.h);
    p = next_rgb(&f);
    fixture_end(&f);
    return p;
}

/* The brightest component of a part. */
static int brightest(Rgb p, int x, int y, int w, int h)
{
    int most = 0;

    for (int j = y; j < y + h; j++)
        for (int i = 0; i < 3 * w; i++) most = MAX(most, PIXEL(p, x, j)[i]);
    return most;
}

static gboolean same_part(Rgb a, int ax, int ay, Rgb b, int bx, int by, int w, int h)
{
    for (int y = 0; y < h; y++)
        if (memcmp(PIXEL(a, ax, ay + y), PIXEL(b, bx, by + y), (gsize)(3 * w))) return FALSE;
    return TRUE;
}

/* ---- scale-mode ---- */

/* Where the picture fits without scaling it is the model's own, byte by byte. */
GST_START_TEST(test_letterbox)
{
    Rgb own = first_rgb(OWN, "video/x-raw,format=RGB"), tall, wide, wide_pixels;

    fail_unless(own.w == 320 && own.h == 180);
    tall = first_rgb(OWN, "video/x-raw,format=RGB,width=320,height=320");           /* the default */
    fail_unless(same_part(tall, 0, 70, own, 0, 0, 320, 180));
    fail_unless_equals_int(brightest(tall, 0, 0, 320, 70), 0);
    fail_unless_equals_int(brightest(tall, 0, 250, 320, 70), 0);
    wide = first_rgb(OWN "scale-mode=letterbox", "video/x-raw,format=RGB,width=640,height=180");
    fail_unless(same_part(wide, 160, 0, own, 0, 0, 320, 180));
    fail_unless_equals_int(brightest(wide, 0, 0, 160, 180) + brightest(wide, 480, 0, 160, 180), 0);
    wide_pixels = first_rgb(OWN, "video/x-raw,format=RGB,width=320,height=180,pixel-aspect-ratio=2/1");
    fail_unless_equals_int(brightest(wide_pixels, 0, 0, 80, 180) + brightest(wide_pixels, 240, 0, 80, 180), 0);
    fail_unless(brightest(wide_pixels, 80, 0, 4, 180) > 20 && brightest(wide_pixels, 236, 0, 4, 180) > 20);
    g_free(own.data);
    g_free(tall.data);
    g_free(wide.data);
    g_free(wide_pixels.data);
}
GST_END_TEST

GST_START_TEST(test_crop_and_stretch)
{
    Rgb own = first_rgb(OWN, "video/x-raw,format=RGB"), cut, flat, stretched;

    cut = first_rgb(OWN "scale-mode=crop", "video/x-raw,format=RGB,width=180,height=180");
    fail_unless(same_part(cut, 0, 0, own, 70, 0, 180, 180));
    flat = first_rgb(OWN "scale-mode=crop", "video/x-raw,format=RGB,width=320,height=80");
    fail_unless(same_part(flat, 0, 0, own, 0, 50, 320, 80));
    stretched = first_rgb(OWN "scale-mode=stretch", "video/x-raw,format=RGB,width=320,height=540");
    for (int y = 1; y < 180; y += 89)       /* a row of three is much like the one that it is made of */
        for (int x = 0; x < 320; x++)
            fail_unless(ABS(PIXEL(stretched, x, 3 * y + 1)[1] - PIXEL(own, x, y)[1]) < 40, "%d, %d", x, y);
    fail_unless(brightest(stretched, 0, 0, 320, 1) > 20 && brightest(stretched, 0, 539, 320, 1) > 20);
    g_free(own.data);
    g_free(cut.data);
    g_free(flat.data);
    g_free(stretched.data);
}
GST_END_TEST

/* What is no other shape: the screen's, not that of the numbers; a border of less than two pixels; any, where the model
   makes any. */
GST_START_TEST(test_same_shape)
{
    static const struct { const char *settings, *caps; } runs[] = {
        { OWN, "width=320,height=180" }, { OWN, "width=1280,height=720" }, { OWN, "width=854,height=480" },
        { OWN, "width=160,height=180,pixel-aspect-ratio=2/1" }, { OWN, "width=321,height=181" },
        { ANY, "width=320,height=320" }, { ANY, "width=160,height=320,pixel-aspect-ratio=16/15" },
    };

    for (guint k = 0; k < G_N_ELEMENTS(runs); k++) {
        gchar *settings = g_strconcat(runs[k].settings, "scale-mode=none", NULL);
        gchar *caps = g_strconcat("video/x-raw,format=RGB,", runs[k].caps, NULL);
        Rgb p = first_rgb(settings, caps);

        fail_unless(brightest(p, 0, 0, p.w, 1) > 20 && brightest(p, 0, p.h - 1, p.w, 1) > 20, "%s", caps);
        fail_unless(brightest(p, 0, 0, 1, p.h) > 20 && brightest(p, p.w - 1, 0, 1, p.h) > 20, "%s", caps);
        g_free(p.data);
        g_free(caps);
        g_free(settings);
    }
}
GST_END_TEST

/* A model of any size makes the shape of the screen: wide pixels of half the number show the same picture. */
GST_START_TEST(test_pixel_aspect)
{
    Rgb own = first_rgb(ANY, "video/x-raw,format=RGB");
    Rgb half = first_rgb(ANY, "video/x-raw,format=RGB,width=160,height=180,pixel-aspect-ratio=2/1");

    for (int y = 0; y < 180; y += 7)
        for (int x = 0; x < 160; x++) {
            const int mean = (PIXEL(own, 2 * x, y)[0] + PIXEL(own, 2 * x + 1, y)[0]) / 2;
            fail_unless(ABS(PIXEL(half, x, y)[0] - mean) < 40, "%d, %d", x, y);
        }
    g_free(own.data);
    g_free(half.data);
}
GST_END_TEST

GST_START_TEST(test_no_scaling)
{
    Fixture f = fixture(OWN "scale-mode=none", "video/x-raw,width=320,height=320");

    gst_element_set_state(f.h->element, GST_STATE_PLAYING);
    assert_error(&f, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    fixture_end(&f);
}
GST_END_TEST

/* Black and nothing else around the picture in every format. */
GST_START_TEST(test_border_formats)
{
    guint n;
    const GstVideoFormat *all = gst_video_formats_raw(&n);

    for (guint k = 0; k < n; k++) {
        const char *name = gst_video_format_to_string(all[k]);
        gchar *caps = g_strdup_printf("video/x-raw,format=%s,width=96,height=128", name);
        Rgb p = first_rgb(OWN, caps);

        /* the picture is 96x54, from row 37; tiles and coarse chroma shift it by a few rows */
        fail_unless(brightest(p, 0, 0, 96, 32) <= 8, "%s: %d", name, brightest(p, 0, 0, 96, 32));
        fail_unless(brightest(p, 0, 96, 96, 32) <= 8, "%s: %d", name, brightest(p, 0, 96, 96, 32));
        fail_unless(brightest(p, 0, 40, 96, 48) > 20, "%s", name);
        g_free(p.data);
        g_free(caps);
    }
}
GST_END_TEST

GST_START_TEST(test_change_scale)
{
    Fixture f = fixture("model=test/fixed-size=1/size=320x180/steps=1/step-delay=20/chunk-frames=1 prompt=cat "
                        "num-frames=0 scale-mode=stretch", "video/x-raw,format=RGB,width=320,height=320");
    int bordered = 0;
    Rgb p;

    gst_harness_play(f.h);
    for (int i = 0; i < 20; i++) {
        if (i == 5) gst_util_set_object_arg(G_OBJECT(f.h->element), "scale-mode", "letterbox");
        p = next_rgb(&f);
        bordered += brightest(p, 0, 0, 320, 70) == 0;
        g_free(p.data);
    }
    fail_unless(bordered >= 10 && bordered <= 15, "%d", bordered);
    gst_util_set_object_arg(G_OBJECT(f.h->element), "scale-mode", "none");
    assert_error(&f, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    fixture_end(&f);
}
GST_END_TEST

/* ---- watermark ---- */

/* Whether the mark is read in the lower right corner of a part of the picture, at cells of this size. */
static gboolean reads_ai(Rgb p, int right, int bottom, int cell)
{
    static const char *const rows[] = { "..###..###.", ".#...#..#..", ".#...#..#..", ".#####..#..", ".#...#..#..",
                                        ".#...#..#..", ".#...#.###." };
    const int x0 = (right - 13 * cell) & ~1, y0 = (bottom - 11 * cell) & ~1;

    for (int row = 0; row < 7; row++)
        for (int column = 0; column < 11; column++) {
            const int x = x0 + column * cell + cell / 2, y = y0 + (row + 1) * cell + cell / 2;
            const int bright = brightest(p, x, y, 1, 1);
            if (rows[row][column] == '#' ? bright < 150 : bright > 100) return FALSE;
        }
    return TRUE;
}

GST_START_TEST(test_watermark)
{
    static const struct { int w, h, cell; } sizes[] = {
        { 320, 180, 2 }, { 640, 360, 3 }, { 1920, 1080, 9 }, { 180, 320, 1 },
    };

    for (guint k = 0; k < G_N_ELEMENTS(sizes); k++) {
        const int w = sizes[k].w, h = sizes[k].h, cell = sizes[k].cell, mw = 13 * cell + 1, mh = 11 * cell + 1;
        gchar *caps = g_strdup_printf("video/x-raw,format=RGB,width=%d,height=%d", w, h);
        Rgb plain = first_rgb(ANY, caps), marked = first_rgb(ANY "watermark=true", caps);

        fail_unless(reads_ai(marked, w, h, cell) && !reads_ai(plain, w, h, cell), "%s", caps);
        fail_unless(same_part(plain, 0, 0, marked, 0, 0, w, h - mh), "%s", caps);           /* and nothing else */
        fail_unless(same_part(plain, 0, h - mh, marked, 0, h - mh, w - mw, mh), "%s", caps);
        g_free(plain.data);
        g_free(marked.data);
        g_free(caps);
    }
}
GST_END_TEST

/* In the corner of what is seen of the picture. */
GST_START_TEST(test_watermark_scaled)
{
    Rgb p = first_rgb(OWN "watermark=true", "video/x-raw,format=RGB,width=320,height=320");

    fail_unless(reads_ai(p, 320, 250, 2));
    g_free(p.data);
    p = first_rgb(OWN "watermark=true scale-mode=crop", "video/x-raw,format=RGB,width=180,height=180");
    fail_unless(reads_ai(p, 180, 180, 1));
    g_free(p.data);
}
GST_END_TEST

GST_START_TEST(test_watermark_formats)
{
    guint n;
    const GstVideoFormat *all = gst_video_formats_raw(&n);

    for (guint k = 0; k < n; k++) {
        gchar *caps = g_strdup_printf("video/x-raw,format=%s,width=640,height=480", gst_video_format_to_string(all[k]));
        Rgb p = first_rgb(ANY "watermark=true", caps);

        fail_unless(reads_ai(p, 640, 480, 4), "%s", caps);
        g_free(p.data);
        g_free(caps);
    }
}
GST_END_TEST

/* On what goes out, not on what is kept: off again, and sought back, there is no trace of it; on, it is as before. */
GST_START_TEST(test_watermark_kept)
{
    Fixture f = fixture(ANY, "video/x-raw,format=I420");
    gchar *sums[2];

    gst_harness_play(f.h);
    for (int turn = 0; turn < 5; turn++) {
        GstBuffer *b;
        gchar *sum;

        if (turn) g_object_set(f.h->element, "watermark", turn % 2 != 0, NULL);
        if (turn)
            fail_unless(gst_element_seek(f.h->element, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                                         GST_SEEK_TYPE_NONE, 0));
        while ((b = gst_harness_pull(f.h)) && GST_BUFFER_OFFSET(b) != 0) gst_buffer_unref(b);
        sum = sum_of(b);
        gst_buffer_unref(b);
        if (turn < 2) sums[turn] = sum;
        else fail_unless_equals_string(sum, sums[turn % 2]);
        if (turn >= 2) g_free(sum);
    }
    fail_unless(strcmp(sums[0], sums[1]));
    g_free(sums[0]);
    g_free(sums[1]);
    fixture_end(&f);
}
GST_END_TEST

/* Live: what is black before the first picture, looped and held has it, too. */
GST_START_TEST(test_watermark_live)
{
    Fixture f = fixture("model=test/size=320x180/steps=1/step-delay=100/chunk-frames=1/rate=25 "
                        "prompt=cat num-frames=0 is-live=true underrun=loop watermark=true", "video/x-raw,format=RGB");
    Rgb p;

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    for (int i = 0; i < 25; i++) {
        if (i == 10) gst_util_set_object_arg(G_OBJECT(f.h->element), "underrun", "hold");
        p = next_rgb(&f);
        fail_unless(reads_ai(p, 320, 180, 2), "%d", i);
        g_free(p.data);
    }
    fixture_end(&f);
}
GST_END_TEST

/* ---- placeholder-location: what is no picture.  checks.py has pictures, for which it has the decoders. ---- */

#define PNG  "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
#define JPEG "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define BYTES(s) s, sizeof s - 1

static const struct { const char *data; gsize size; int code; const char *says; } no_pictures[] = {
    { NULL, 0, GST_RESOURCE_ERROR_NOT_FOUND, "No such file" },
    { BYTES(""), GST_RESOURCE_ERROR_READ, "wanted a PNG or JPEG" },
    { BYTES("\x89PNG"), GST_RESOURCE_ERROR_READ, "wanted a PNG or JPEG" },
    { BYTES("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), GST_RESOURCE_ERROR_READ, "wanted a PNG or JPEG" },
    { BYTES(PNG "\0\1\0\0\0\1\0\0\x08\2\0\0\0"), GST_RESOURCE_ERROR_READ, "65536x65536" },
    { BYTES(PNG "\0\0\x40\0\0\0\x40\0\x08\2\0\0\0"), GST_RESOURCE_ERROR_READ, "16384x16384" },
    { BYTES(PNG "\0\0\0\0\0\0\0\x10\x08\2\0\0\0"), GST_RESOURCE_ERROR_READ, "0x16" },
    { BYTES(PNG "\xff\xff\xff\xff\xff\xff\xff\xff\x08\2\0\0\0"), GST_RESOURCE_ERROR_READ, "4294967295x4294967295" },
    { BYTES(JPEG "\xff\xd9"), GST_RESOURCE_ERROR_READ, "wanted a PNG or JPEG" },
    { BYTES(JPEG "\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1"), GST_RESOURCE_ERROR_READ,
      "65535x65535" },
    { BYTES(JPEG "\xff\xc0\0\x11\x08\0\0\0\x10\3\1\x22\0\2\x11\1\3\x11\1"), GST_RESOURCE_ERROR_READ, "16x0" },
    { BYTES(JPEG "\xff\xe1\0\0\xff\xe1\0\0\xff\xe1\0\0"), GST_RESOURCE_ERROR_READ, "wanted a PNG or JPEG" },
    { BYTES(PNG "\0\0\0\x10\0\0\0\x10\x08\2\0\0\0"), GST_RESOURCE_ERROR_FAILED, "no element pngdec" },
};

/* The one warning that a placeholder gives, and the drawn card all the same. */
static void no_placeholder(const char *path, int code, const char *says)
{
    gchar *settings = g_strdup_printf("model=test/load-delay=60000 prompt=cat is-live=true underrun=card "
                                      "placeholder-location=%s", path);
    Fixture f = fixture(settings, "video/x-raw,format=RGB");
    GError *error = NULL;
    int light = 0;
    GstMessage *m;
    Rgb p;

    gst_harness_use_systemclock(f.h);
    gst_harness_play(f.h);
    m = next_message(&f, GST_MESSAGE_WARNING, 5000);
    fail_unless(m != NULL, "%s", says);
    gst_message_parse_warning(m, &error, NULL);
    fail_unless(error->domain == GST_RESOURCE_ERROR && error->code == code, "%s", error->message);
    fail_unless(strstr(error->message, says) && strstr(error->message, path), "%s", error->message);
    g_error_free(error);
    gst_message_unref(m);
    for (int i = 0; i < 20 && !light; i++) {
        p = next_rgb(&f);
        light = brightest(p, 0, 0, p.w, p.h) > 100;
        g_free(p.data);
    }
    fail_unless(light);
    fail_unless(next_message(&f, GST_MESSAGE_WARNING, 0) == NULL);
    fixture_end(&f);
    g_free(settings);
}

GST_START_TEST(test_no_picture)
{
    gchar *path = NULL, *folder = g_dir_make_tmp("sora-picture-XXXXXX", NULL);

    path = g_build_filename(folder, "a", NULL);
    if (no_pictures[__i__].data)
        fail_unless(g_file_set_contents(path, no_pictures[__i__].data, (gssize)no_pictures[__i__].size, NULL));
    no_placeholder(path, no_pictures[__i__].code, no_pictures[__i__].says);
    g_remove(path);
    if (__i__ == 0) {                       /* what is no file at all */
        no_placeholder(folder, GST_RESOURCE_ERROR_OPEN_READ, "wanted a file");
        fail_unless(mkfifo(path, 0600) == 0);
        no_placeholder(path, GST_RESOURCE_ERROR_OPEN_READ, "wanted a file");
        no_placeholder("/dev/zero", GST_RESOURCE_ERROR_OPEN_READ, "wanted a file");
        g_remove(path);
    }
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}
GST_END_TEST

static Suite *sorapicture_suite(void)
{
    Suite *s = suite_create("sorapicture");
    TCase *t = tcase_create("picture");

    suite_add_tcase(s, t);
    tcase_add_test(t, test_letterbox);
    tcase_add_test(t, test_crop_and_stretch);
    tcase_add_test(t, test_same_shape);
    tcase_add_test(t, test_pixel_aspect);
    tcase_add_test(t, test_no_scaling);
    tcase_add_test(t, test_border_formats);
    tcase_add_test(t, test_change_scale);
    tcase_add_test(t, test_watermark);
    tcase_add_test(t, test_watermark_scaled);
    tcase_add_test(t, test_watermark_formats);
    tcase_add_test(t, test_watermark_kept);
    tcase_add_test(t, test_watermark_live);
    tcase_add_loop_test(t, test_no_picture, 0, G_N_ELEMENTS(no_pictures));
    return s;
}

int main(int argc, char **argv)
{
    return run_suite(argc, argv, sorapicture_suite(), "test_sorapicture");
}
