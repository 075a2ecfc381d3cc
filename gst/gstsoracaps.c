/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formats.  The session writes one of its own formats, the "master" of the run; whatever else the caps ask for is
 * made of that by GstVideoConverter, so that a renegotiation costs no new generation.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "gstsora.h"

#define YUV_COLORIMETRY GST_VIDEO_COLORIMETRY_BT709         /* what the library writes, at every size */
#define SMALLEST 16             /* pixels on a side, of the library's frames */
#define LARGEST  16384

static const struct { sora_format sora; GstVideoFormat gst; } direct[] = {
    { SORA_FORMAT_YUV420P, GST_VIDEO_FORMAT_I420 },
    { SORA_FORMAT_YUV422P, GST_VIDEO_FORMAT_Y42B },
    { SORA_FORMAT_YUV444P, GST_VIDEO_FORMAT_Y444 },
    { SORA_FORMAT_YUV420P10, GST_VIDEO_FORMAT_I420_10LE },
    { SORA_FORMAT_YUV422P10, GST_VIDEO_FORMAT_I422_10LE },
    { SORA_FORMAT_YUV444P10, GST_VIDEO_FORMAT_Y444_10LE },
    { SORA_FORMAT_RGB24, GST_VIDEO_FORMAT_RGB },
    { SORA_FORMAT_GBRP, GST_VIDEO_FORMAT_GBR },
    { SORA_FORMAT_GBRP10, GST_VIDEO_FORMAT_GBR_10LE },
};

/* 8 bit YUV of chroma subsampling w x h (as shifts): the layouts that hold the same samples as ours, and ours. */
static GstVideoFormat yuv8_of(const GstVideoFormatInfo *f)
{
    const guint w = GST_VIDEO_FORMAT_INFO_W_SUB(f, 1), h = GST_VIDEO_FORMAT_INFO_H_SUB(f, 1);

    if (w == 0 && h == 0) return GST_VIDEO_FORMAT_Y444;
    if (w == 1 && h == 0) return GST_VIDEO_FORMAT_Y42B;
    if (w == 1 && h == 1) return GST_VIDEO_FORMAT_I420;
    return GST_VIDEO_FORMAT_UNKNOWN;
}

static GstVideoFormat yuv10_of(const GstVideoFormatInfo *f)
{
    switch (yuv8_of(f)) {
    case GST_VIDEO_FORMAT_Y444: return GST_VIDEO_FORMAT_Y444_10LE;
    case GST_VIDEO_FORMAT_Y42B: return GST_VIDEO_FORMAT_I422_10LE;
    case GST_VIDEO_FORMAT_I420: return GST_VIDEO_FORMAT_I420_10LE;
    default: return GST_VIDEO_FORMAT_UNKNOWN;
    }
}

/* Where a chroma sample lies: left, between two rows, in 4:2:0; with the luma in 4:2:2; nowhere else in 4:4:4. */
static GstVideoChromaSite site_of(const GstVideoFormatInfo *f)
{
    if (!GST_VIDEO_FORMAT_INFO_IS_YUV(f)) return GST_VIDEO_CHROMA_SITE_UNKNOWN;
    if (GST_VIDEO_FORMAT_INFO_W_SUB(f, 1) == 0 && GST_VIDEO_FORMAT_INFO_H_SUB(f, 1) == 0)
        return GST_VIDEO_CHROMA_SITE_NONE;
    return GST_VIDEO_CHROMA_SITE_H_COSITED;
}

static void state_colour(GstVideoInfo *info)
{
    if (GST_VIDEO_INFO_IS_YUV(info)) gst_video_colorimetry_from_string(&info->colorimetry, YUV_COLORIMETRY);
    info->chroma_site = site_of(info->finfo);
}

/* Where the chroma lies matters where there is less of it than luma. */
static gboolean same_colour(const GstVideoInfo *a, const GstVideoInfo *b)
{
    if (!gst_video_colorimetry_is_equal(&a->colorimetry, &b->colorimetry)) return FALSE;
    return a->chroma_site == b->chroma_site || site_of(a->finfo) != GST_VIDEO_CHROMA_SITE_H_COSITED;
}

gboolean gst_sora_caps_same(const GstVideoInfo *a, const GstVideoInfo *b)
{
    return GST_VIDEO_INFO_FORMAT(a) == GST_VIDEO_INFO_FORMAT(b) && a->width == b->width && a->height == b->height &&
           same_colour(a, b);
}

GstCaps *gst_sora_caps_template(void)
{
    /* What encoders take and players play; GStreamer's own list begins with 16 bit and alpha. */
    static const GstVideoFormat first[] = {
        GST_VIDEO_FORMAT_I420, GST_VIDEO_FORMAT_NV12, GST_VIDEO_FORMAT_YV12, GST_VIDEO_FORMAT_NV21,
        GST_VIDEO_FORMAT_Y42B, GST_VIDEO_FORMAT_YUY2, GST_VIDEO_FORMAT_UYVY, GST_VIDEO_FORMAT_Y444,
        GST_VIDEO_FORMAT_RGB, GST_VIDEO_FORMAT_BGR, GST_VIDEO_FORMAT_RGBx, GST_VIDEO_FORMAT_BGRx,
        GST_VIDEO_FORMAT_GBR, GST_VIDEO_FORMAT_I420_10LE, GST_VIDEO_FORMAT_P010_10LE,
    };
    guint n_all, n = G_N_ELEMENTS(first), i, k;
    const GstVideoFormat *all = gst_video_formats_raw(&n_all);
    GstVideoFormat *list = g_new(GstVideoFormat, n + n_all);
    GstCaps *caps;

    memcpy(list, first, sizeof first);
    for (i = 0; i < n_all; i++) {
        for (k = 0; k < G_N_ELEMENTS(first) && first[k] != all[i]; k++) { }
        if (k == G_N_ELEMENTS(first)) list[n++] = all[i];
    }
    caps = gst_video_make_raw_caps(list, n);
    g_free(list);
    return caps;
}

/* As info has it, where the session can write that undistorted; else the model's own size. */
static void master_size(const GstVideoInfo *info, const sora_info *native, int *width, int *height)
{
    const int w = native->native_width, h = native->native_height;
    GstSoraPlace place;
    GstVideoInfo own;
    gboolean fits;

    gst_sora_scale_square(info, width, height);
    fits = MIN(*width, *height) >= SMALLEST && MAX(*width, *height) <= LARGEST;
    if (fits && native->fixed_size)
        fits = gst_video_info_set_format(&own, GST_VIDEO_FORMAT_I420, (guint)w, (guint)h) &&
               gst_sora_scale_place(&own, info, GST_SORA_SCALE_NONE, &place);
    if (!fits) *width = w, *height = h;
}

sora_format gst_sora_caps_master(const GstVideoInfo *info, const sora_info *native, GstVideoInfo *master)
{
    const GstVideoFormatInfo *f = info->finfo;
    GstVideoFormat format = GST_VIDEO_FORMAT_GBR_10LE;      /* deep enough for any format, and without a matrix */
    GstVideoFormat near = GST_VIDEO_FORMAT_UNKNOWN;
    GstVideoInfo try;
    int width, height;
    guint k;

    master_size(info, native, &width, &height);
    if (GST_VIDEO_FORMAT_INFO_IS_RGB(f)) {
        if (GST_VIDEO_FORMAT_INFO_DEPTH(f, 0) <= 8)
            near = GST_VIDEO_INFO_FORMAT(info) == GST_VIDEO_FORMAT_GBR ? GST_VIDEO_FORMAT_GBR : GST_VIDEO_FORMAT_RGB;
    } else if (GST_VIDEO_FORMAT_INFO_IS_YUV(f) && GST_VIDEO_FORMAT_INFO_DEPTH(f, 0) <= 8) {
        near = yuv8_of(f);
    } else if (GST_VIDEO_FORMAT_INFO_IS_YUV(f) && GST_VIDEO_FORMAT_INFO_DEPTH(f, 0) == 10) {
        near = yuv10_of(f);
    }
    /* A layout with the same samples is a copy; another matrix, range or chroma site is made from RGB, in one step. */
    if (near != GST_VIDEO_FORMAT_UNKNOWN && gst_video_info_set_format(&try, near, (guint)width, (guint)height)) {
        state_colour(&try);
        if (GST_VIDEO_INFO_IS_RGB(&try) || same_colour(&try, info)) format = near;
    }
    if (!gst_video_info_set_format(master, format, (guint)width, (guint)height)) return SORA_FORMAT_COUNT;
    state_colour(master);
    for (k = 0; k < G_N_ELEMENTS(direct); k++)
        if (direct[k].gst == format) return direct[k].sora;
    return SORA_FORMAT_COUNT;
}

static void fixate_string(GstStructure *s, const char *field, const char *value)
{
    if (!value) return;
    if (gst_structure_has_field(s, field))
        gst_structure_fixate_field_string(s, field, value);
    else
        gst_structure_set(s, field, G_TYPE_STRING, value, NULL);
}

/* The side that fits the other, when the caps name one side alone. */
static void fixate_size(GstStructure *s, const sora_info *info)
{
    int width = info->native_width, height = info->native_height, w, h;
    const gboolean has_w = gst_structure_get_int(s, "width", &w), has_h = gst_structure_get_int(s, "height", &h);
    double par = 1;
    int n, d;

    if (gst_structure_get_fraction(s, "pixel-aspect-ratio", &n, &d) && n > 0 && d > 0) par = (double)n / d;
    if (has_w && !has_h && w > 0) height = (int)CLAMP(rint(w * par * height / width), 1, G_MAXINT);
    if (has_h && !has_w && h > 0) width = (int)CLAMP(rint(h / par * width / height), 1, G_MAXINT);
    gst_structure_fixate_field_nearest_int(s, "width", width);
    gst_structure_fixate_field_nearest_int(s, "height", height);
}

GstCaps *gst_sora_caps_fixate(GstCaps *caps, const sora_info *info)
{
    GstVideoInfo made;
    GstStructure *s;
    const char *name;
    gchar *colorimetry;

    caps = gst_caps_make_writable(gst_caps_truncate(caps));
    s = gst_caps_get_structure(caps, 0);
    if (gst_structure_has_field(s, "pixel-aspect-ratio"))
        gst_structure_fixate_field_nearest_fraction(s, "pixel-aspect-ratio", 1, 1);
    else
        gst_structure_set(s, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, NULL);
    fixate_size(s, info);
    gst_structure_fixate_field_nearest_fraction(s, "framerate", info->rate_num, info->rate_den);
    fixate_string(s, "interlace-mode", "progressive");
    fixate_string(s, "multiview-mode", "mono");

    /* The colours always stated: unstated, GStreamer takes BT.601 below 576 lines, and the colours shift. */
    gst_structure_fixate_field_string(s, "format", "I420");     /* of many: x264enc would take 4:4:4, few players do */
    if ((name = gst_structure_get_string(s, "format")) &&
        gst_video_info_set_format(&made, gst_video_format_from_string(name), 64, 64)) {
        state_colour(&made);
        colorimetry = gst_video_colorimetry_to_string(&made.colorimetry);
        fixate_string(s, "colorimetry", colorimetry);
        g_free(colorimetry);
        if (made.chroma_site == GST_VIDEO_CHROMA_SITE_H_COSITED) fixate_string(s, "chroma-site", "mpeg2");
    }
    return gst_caps_fixate(caps);
}
