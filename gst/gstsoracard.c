/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures that no model makes: black, and a card with a bar that fills while the first frame is being made. */
#include "config.h"

#include "gstsora.h"

#define GROUND  0.09        /* shades: 0 black, 1 white */
#define FRAME   0.55
#define FILLING 0.85

/* One component of a grey, in 8 bit. */
static guint value_of(const GstVideoInfo *info, guint component, double shade)
{
    if (!GST_VIDEO_INFO_IS_YUV(info)) return (guint)(255 * shade + 0.5);
    return component == 0 ? (guint)(16 + 219 * shade + 0.5) : 128;          /* limited range, as the library writes */
}

void gst_sora_fill(GstVideoFrame *f, int x, int y, int width, int height, double shade)
{
    guint c;

    for (c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(f); c++) {
        const int sub_x = (int)GST_VIDEO_FORMAT_INFO_W_SUB(f->info.finfo, c);
        const int sub_y = (int)GST_VIDEO_FORMAT_INFO_H_SUB(f->info.finfo, c);
        const int step = GST_VIDEO_FRAME_COMP_PSTRIDE(f, c), stride = GST_VIDEO_FRAME_COMP_STRIDE(f, c);
        const guint depth = GST_VIDEO_FRAME_COMP_DEPTH(f, c), value = value_of(&f->info, c, shade) << (depth - 8);
        const int x0 = x >> sub_x, x1 = MIN(GST_VIDEO_FRAME_COMP_WIDTH(f, c), -(-(x + width) >> sub_x));
        const int y0 = y >> sub_y, y1 = MIN(GST_VIDEO_FRAME_COMP_HEIGHT(f, c), -(-(y + height) >> sub_y));
        int i, j;

        for (j = y0; j < y1; j++) {
            guint8 *p = (guint8 *)GST_VIDEO_FRAME_COMP_DATA(f, c) + j * stride + x0 * step;
            for (i = x0; i < x1; i++, p += step) {
                if (depth > 8) GST_WRITE_UINT16_LE(p, value);
                else *p = (guint8)value;
            }
        }
    }
}

/* A rectangle in parts of the picture; at least one pixel high and wide. */
static void fill_part(GstVideoFrame *f, double left, double top, double right, double bottom, double shade)
{
    const int w = GST_VIDEO_FRAME_WIDTH(f), h = GST_VIDEO_FRAME_HEIGHT(f), x = (int)(left * w), y = (int)(top * h);

    gst_sora_fill(f, x, y, MAX(1, (int)(right * w) - x), MAX(1, (int)(bottom * h) - y), shade);
}

GstBuffer *gst_sora_card(const GstVideoInfo *master, double fraction)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(master), NULL);
    const double left = 0.25, right = 0.75, edge = 0.004, top = 0.485, bottom = 0.515;
    const double rim = edge * master->width / MAX(1, master->height);
    GstVideoFrame f;

    if (!buffer) return NULL;
    gst_buffer_memset(buffer, 0, 0, gst_buffer_get_size(buffer));           /* what lies between the rows too */
    if (!gst_video_frame_map(&f, master, buffer, GST_MAP_WRITE)) {
        gst_buffer_unref(buffer);
        return NULL;
    }
    fill_part(&f, 0, 0, 1, 1, fraction < 0 ? 0 : GROUND);
    if (fraction >= 0) {
        fill_part(&f, left - 2 * edge, top - 2 * rim, right + 2 * edge, bottom + 2 * rim, FRAME);
        fill_part(&f, left - edge, top - rim, right + edge, bottom + rim, GROUND);
        if (fraction > 0) fill_part(&f, left, top, left + (right - left) * MIN(fraction, 1), bottom, FILLING);
    }
    gst_video_frame_unmap(&f);
    return buffer;
}
