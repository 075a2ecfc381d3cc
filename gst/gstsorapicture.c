/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A PNG or JPEG file as a picture in memory, by the decoders of gst-plugins-good.  What the file says of its size is
 * read before a decoder sees it: a few bytes can ask for any amount of memory.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "gstsora.h"

#define FILE_MAX   (64 << 20)       /* bytes */
#define SIDE_MAX   16384            /* pixels */
#define PIXELS_MAX (36 << 20)       /* 7680x4320 and some */
#define KEPT_MAX   (3840.0 * 2160)  /* pixels that are kept: no more than a large screen has */
#define DECODE_MAX (10 * GST_SECOND)
#define SEGMENTS_MAX 4096           /* of a JPEG file, before its size */

static gboolean fail(GError **error, gint code, const char *path, const char *format, ...) G_GNUC_PRINTF(4, 5);
static gboolean fail(GError **error, gint code, const char *path, const char *format, ...)
{
    va_list args;
    gchar *text;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, GST_RESOURCE_ERROR, code, "%s: %s", path, text);
    g_free(text);
    return FALSE;
}

static int open_file(const char *path, GError **error)
{
    const int fd = g_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);      /* not to wait for a fifo's other end */
    struct stat st;

    if (fd < 0) {
        const int e = errno;
        fail(error, e == ENOENT ? GST_RESOURCE_ERROR_NOT_FOUND : GST_RESOURCE_ERROR_OPEN_READ, path, "%s",
             g_strerror(e));
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX) return fd;
    fail(error, GST_RESOURCE_ERROR_OPEN_READ, path, "wanted a file of at most %d MiB", FILE_MAX >> 20);
    close(fd);
    return -1;
}

/* Big endian, at any address: GStreamer's own readers ask for aligned ones. */
static guint32 big_endian(const guint8 *p, int bytes)
{
    guint32 v = 0;

    while (bytes--) v = v << 8 | *p++;
    return v;
}

static gboolean read_at(int fd, goffset at, guint8 *data, gsize size)
{
    return pread(fd, data, size, at) == (gssize)size;
}

/* The frame header of a JPEG file comes after any number of other segments, each of which tells its length. */
static gboolean jpeg_size(int fd, guint32 *width, guint32 *height)
{
    guint8 s[9];
    goffset at = 2;
    int i;

    for (i = 0; i < SEGMENTS_MAX && read_at(fd, at, s, sizeof s) && s[0] == 0xff; i++) {
        if (s[1] == 0xff) {                             /* fill byte */
            at++;
        } else if (s[1] >= 0xc0 && s[1] <= 0xcf && s[1] != 0xc4 && s[1] != 0xc8 && s[1] != 0xcc) {
            *height = big_endian(s + 5, 2);
            *width = big_endian(s + 7, 2);
            return TRUE;
        } else {
            at += 2 + big_endian(s + 2, 2);
        }
    }
    return FALSE;
}

/* Which element decodes it; NULL and an error: none, or it is too large. */
static const char *look_at(int fd, const char *path, GError **error)
{
    static const guint8 png[16] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R' };
    const char *decoder = NULL;
    guint32 width, height;
    guint8 head[24];

    if (!read_at(fd, 0, head, sizeof head)) memset(head, 0, sizeof head);
    if (!memcmp(head, png, sizeof png)) {
        decoder = "pngdec";
        width = big_endian(head + 16, 4);
        height = big_endian(head + 20, 4);
    } else if (head[0] == 0xff && head[1] == 0xd8 && jpeg_size(fd, &width, &height)) {
        decoder = "jpegdec";
    }
    if (!decoder) {
        fail(error, GST_RESOURCE_ERROR_READ, path, "wanted a PNG or JPEG picture, found something else");
    } else if (!width || !height || width > SIDE_MAX || height > SIDE_MAX || (guint64)width * height > PIXELS_MAX) {
        fail(error, GST_RESOURCE_ERROR_READ, path, "found %ux%u pixels, wanted up to %dx%d and %d million", width,
             height, SIDE_MAX, SIDE_MAX, PIXELS_MAX / 1000000);
        decoder = NULL;
    }
    return decoder;
}

/* What a pipeline of its own makes of the file; nobody else sees its bus. */
static GstSample *decode(int fd, const char *name, const char *path, GError **error)
{
    GstElement *pipe = gst_pipeline_new(NULL), *src = gst_element_factory_make("fdsrc", NULL);
    GstElement *decoder = gst_element_factory_make(name, NULL), *sink = gst_element_factory_make("fakesink", NULL);
    GstSample *sample = NULL;
    GstMessage *m = NULL;
    GstBus *bus;

    if (!src || !decoder || !sink) {
        fail(error, GST_RESOURCE_ERROR_FAILED, path, "there is no element %s to decode it",
             decoder ? "fakesink" : name);
        g_clear_pointer(&src, gst_object_unref);
        g_clear_pointer(&decoder, gst_object_unref);
        g_clear_pointer(&sink, gst_object_unref);
        gst_object_unref(pipe);
        return NULL;
    }
    g_object_set(src, "fd", fd, "blocksize", 65536, NULL);
    gst_bin_add_many(GST_BIN(pipe), src, decoder, sink, NULL);
    bus = gst_element_get_bus(pipe);
    if (gst_element_link_many(src, decoder, sink, NULL) &&
        gst_element_set_state(pipe, GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE)
        m = gst_bus_timed_pop_filtered(bus, DECODE_MAX, GST_MESSAGE_ASYNC_DONE | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (m && GST_MESSAGE_TYPE(m) != GST_MESSAGE_ERROR) g_object_get(sink, "last-sample", &sample, NULL);
    if (!sample) fail(error, GST_RESOURCE_ERROR_READ, path, "the picture cannot be decoded");
    gst_element_set_state(pipe, GST_STATE_NULL);
    g_clear_pointer(&m, gst_message_unref);
    gst_object_unref(bus);
    gst_object_unref(pipe);
    return sample;
}

/* What shines through is black. */
static void blend(GstVideoFrame *f)
{
    int x, y;

    for (y = 0; y < GST_VIDEO_FRAME_HEIGHT(f); y++) {
        guint8 *p = (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(f, 0) + y * GST_VIDEO_FRAME_PLANE_STRIDE(f, 0);
        for (x = 0; x < GST_VIDEO_FRAME_WIDTH(f); x++, p += 4) {
            const guint a = p[0];
            p[1] = (guint8)(p[1] * a / 255);
            p[2] = (guint8)(p[2] * a / 255);
            p[3] = (guint8)(p[3] * a / 255);
        }
    }
}

/* In square pixels, no more than are of use, without alpha. */
static GstBuffer *keep(GstSample *sample, GstVideoInfo *kept)
{
    GstBuffer *from = gst_sample_get_buffer(sample), *to = NULL;
    GstVideoConverter *convert = NULL;
    GstVideoFrame in_frame, out_frame;
    gboolean in_mapped = FALSE, out_mapped = FALSE;
    GstVideoInfo in, out;
    GstSoraPlace whole;
    double less;
    int w, h;

    if (!from || !gst_video_info_from_caps(&in, gst_sample_get_caps(sample))) return NULL;
    gst_sora_scale_square(&in, &w, &h);
    less = MIN(1, sqrt(KEPT_MAX / ((double)w * h)));
    w = MAX(1, (int)(w * less));
    h = MAX(1, (int)(h * less));
    whole.src = (GstVideoRectangle){ 0, 0, in.width, in.height };
    whole.dest = (GstVideoRectangle){ 0, 0, w, h };
    if (!gst_video_info_set_format(&out, GST_VIDEO_FORMAT_ARGB, (guint)w, (guint)h) ||
        !gst_video_info_set_format(kept, GST_VIDEO_FORMAT_xRGB, (guint)w, (guint)h)) return NULL;
    out.fps_n = in.fps_n;
    out.fps_d = in.fps_d;
    convert = gst_sora_scale_converter(&in, &out, &whole);
    to = gst_buffer_new_allocate(NULL, out.size, NULL);
    if (convert && to) {
        in_mapped = gst_video_frame_map(&in_frame, &in, from, GST_MAP_READ);
        out_mapped = gst_video_frame_map(&out_frame, &out, to, GST_MAP_WRITE);
    }
    if (in_mapped && out_mapped) {
        gst_video_converter_frame(convert, &in_frame, &out_frame);
        blend(&out_frame);
    }
    if (in_mapped) gst_video_frame_unmap(&in_frame);
    if (out_mapped) gst_video_frame_unmap(&out_frame);
    if (!in_mapped || !out_mapped) gst_clear_buffer(&to);
    g_clear_pointer(&convert, gst_video_converter_free);
    return to;
}

GstBuffer *gst_sora_picture_read(const char *path, GstVideoInfo *info, GError **error)
{
    const int fd = open_file(path, error);
    const char *decoder = fd < 0 ? NULL : look_at(fd, path, error);
    GstSample *sample = decoder ? decode(fd, decoder, path, error) : NULL;
    GstBuffer *picture = sample ? keep(sample, info) : NULL;

    if (sample && !picture) fail(error, GST_RESOURCE_ERROR_READ, path, "the picture cannot be converted");
    g_clear_pointer(&sample, gst_sample_unref);
    if (fd >= 0) close(fd);
    return picture;
}
