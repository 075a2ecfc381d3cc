/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pictures of one shape in frames of another.  A shape is that of the screen: the size with the pixels' own aspect.
 * Shapes are the same where the borders between them would be less than the smallest step that the chroma allows.
 */
#include "config.h"

#include <math.h>

#include "gstsora.h"

GType gst_sora_scale_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_SCALE_LETTERBOX, "All of the picture, with black borders", "letterbox" },
        { GST_SORA_SCALE_STRETCH, "All of the frame, distorted", "stretch" },
        { GST_SORA_SCALE_CROP, "All of the frame; what does not fit is cut off on both sides", "crop" },
        { GST_SORA_SCALE_NONE, "An error", "none" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraScale", values);
}

/* The steps in which a part of a frame may begin and end. */
static void steps_of(const GstVideoInfo *info, int *x, int *y)
{
    const GstVideoFormatInfo *f = info->finfo;
    guint c, w = 1, h = 1;

    for (c = 0; c < GST_VIDEO_FORMAT_INFO_N_COMPONENTS(f); c++) {
        w = MAX(w, GST_VIDEO_FORMAT_INFO_W_SUB(f, c));
        h = MAX(h, GST_VIDEO_FORMAT_INFO_H_SUB(f, c));
    }
    *x = 1 << w;
    *y = 1 << (h + GST_VIDEO_INFO_IS_INTERLACED(info));
}

/* The middle part of a side: its length, near `part`, and where it begins. */
static void middle(int side, double part, int step, int *begin, int *length)
{
    int n = (int)lrint(part);

    if (side - n < step) n = side;
    else n = MAX(step, n / step * step);
    *length = n;
    *begin = (side - n) / 2 / step * step;
}

gboolean gst_sora_scale_place(const GstVideoInfo *in, const GstVideoInfo *out, GstSoraScale mode, GstSoraPlace *place)
{
    /* the shape of out in units of that of in: below 1 it is narrower */
    const double shape = (double)out->width * out->par_n * in->height * in->par_d /
                         ((double)out->height * out->par_d * in->width * in->par_n);
    GstVideoRectangle *const src = &place->src, *const dest = &place->dest;
    gboolean same;
    int x, y;

    *src = (GstVideoRectangle){ 0, 0, in->width, in->height };
    *dest = (GstVideoRectangle){ 0, 0, out->width, out->height };
    steps_of(out, &x, &y);
    if (shape < 1) middle(out->height, out->height * shape, y, &dest->y, &dest->h);
    else middle(out->width, out->width / shape, x, &dest->x, &dest->w);
    same = dest->w == out->width && dest->h == out->height;
    if (same || mode == GST_SORA_SCALE_LETTERBOX) return TRUE;
    *dest = (GstVideoRectangle){ 0, 0, out->width, out->height };
    steps_of(in, &x, &y);
    if (mode != GST_SORA_SCALE_CROP) return mode == GST_SORA_SCALE_STRETCH;
    if (shape < 1) middle(in->width, in->width * shape, x, &src->x, &src->w);
    else middle(in->height, in->height / shape, y, &src->y, &src->h);
    return TRUE;
}

gboolean gst_sora_scale_is_whole(const GstVideoInfo *in, const GstVideoInfo *out, const GstSoraPlace *place)
{
    return place->src.w == in->width && place->src.h == in->height && place->dest.w == out->width &&
           place->dest.h == out->height;
}

void gst_sora_scale_square(const GstVideoInfo *info, int *width, int *height)
{
    const double par = (double)info->par_n / info->par_d;

    *width = (int)MIN(G_MAXINT, rint(info->width * MAX(1, par)));
    *height = (int)MIN(G_MAXINT, rint(info->height / MIN(1, par)));
}

GstVideoConverter *gst_sora_scale_converter(const GstVideoInfo *in, const GstVideoInfo *out, const GstSoraPlace *place)
{
    GstVideoInfo from = *in;

    from.fps_n = out->fps_n;            /* no business of the converter, which insists all the same */
    from.fps_d = out->fps_d;
    from.interlace_mode = out->interlace_mode;
    return gst_video_converter_new(&from, out, gst_structure_new("place",
        GST_VIDEO_CONVERTER_OPT_SRC_X, G_TYPE_INT, place->src.x,
        GST_VIDEO_CONVERTER_OPT_SRC_Y, G_TYPE_INT, place->src.y,
        GST_VIDEO_CONVERTER_OPT_SRC_WIDTH, G_TYPE_INT, place->src.w,
        GST_VIDEO_CONVERTER_OPT_SRC_HEIGHT, G_TYPE_INT, place->src.h,
        GST_VIDEO_CONVERTER_OPT_DEST_X, G_TYPE_INT, place->dest.x,
        GST_VIDEO_CONVERTER_OPT_DEST_Y, G_TYPE_INT, place->dest.y,
        GST_VIDEO_CONVERTER_OPT_DEST_WIDTH, G_TYPE_INT, place->dest.w,
        GST_VIDEO_CONVERTER_OPT_DEST_HEIGHT, G_TYPE_INT, place->dest.h,
        GST_VIDEO_CONVERTER_OPT_FILL_BORDER, G_TYPE_BOOLEAN, TRUE,
        GST_VIDEO_CONVERTER_OPT_BORDER_ARGB, G_TYPE_UINT, 0xff000000u, NULL));      /* opaque black */
}
