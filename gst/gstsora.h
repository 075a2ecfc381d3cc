/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the plugin share: the debug categories, the formats and the messages. */
#ifndef GST_SORA_H
#define GST_SORA_H

#include <gst/gst.h>
#include <gst/video/video.h>
#include <sora/sora.h>

GST_DEBUG_CATEGORY_EXTERN(gst_sora_debug);          /* "sorasrc": the element */
GST_DEBUG_CATEGORY_EXTERN(gst_sora_engine_debug);   /* "sora-engine": what the library logs */

/* ---- gstsora.c -------------------------------------------------------------------------------------------------- */

/* The enumeration of a property, registered at the first call; *type: 0 before.  values end in zeros, and live on. */
GType gst_sora_enum_type(gsize *type, const char *name, const GEnumValue *values);

/* ---- gstsoracaps.c: raw formats ------------------------------------------------------------------------------- */

/* Every raw format of the GStreamer that runs; 8 bit 4:2:0 first, as every encoder and player takes it. */
GstCaps *gst_sora_caps_template(void);

/* The first structure of caps, made fixed: what is left open becomes what the model makes. */
GstCaps *gst_sora_caps_fixate(GstCaps *caps, const sora_info *info);

/* What the session should write so that info can be made of it without loss of depth, and that as a GstVideoInfo.  Its
   pixels are square and its picture is not distorted: where the model cannot make the shape of info, it has its own. */
sora_format gst_sora_caps_master(const GstVideoInfo *info, const sora_info *native, GstVideoInfo *master);

/* Whether a frame of a may be pushed as one of b as it is. */
gboolean gst_sora_caps_same(const GstVideoInfo *a, const GstVideoInfo *b);

/* ---- gstsorascale.c: what happens where the caps have another shape than the picture ----------------------------- */

#define GST_TYPE_SORA_SCALE (gst_sora_scale_get_type())
typedef enum {
    GST_SORA_SCALE_LETTERBOX, GST_SORA_SCALE_STRETCH, GST_SORA_SCALE_CROP, GST_SORA_SCALE_NONE
} GstSoraScale;
GType gst_sora_scale_get_type(void);

/* The part src of the picture fills the part dest of the frame; pixels. */
typedef struct GstSoraPlace {
    GstVideoRectangle src, dest;
} GstSoraPlace;

/* FALSE: the shapes are different and mode is NONE; then place is that of STRETCH. */
gboolean gst_sora_scale_place(const GstVideoInfo *in, const GstVideoInfo *out, GstSoraScale mode, GstSoraPlace *place);
/* All of the picture fills all of the frame. */
gboolean gst_sora_scale_is_whole(const GstVideoInfo *in, const GstVideoInfo *out, const GstSoraPlace *place);
/* The size that has the shape of info in square pixels, and no fewer pixels on either side. */
void gst_sora_scale_square(const GstVideoInfo *info, int *width, int *height);
/* NULL: it cannot be done.  Borders become black. */
GstVideoConverter *gst_sora_scale_converter(const GstVideoInfo *in, const GstVideoInfo *out, const GstSoraPlace *place);

/* ---- gstsorapicture.c -------------------------------------------------------------------------------------------- */

/* Read a PNG or JPEG file, with limits; takes as long as decoding does.  Becomes xRGB in square pixels, of the size
   that info tells.  NULL: error tells why. */
GstBuffer *gst_sora_picture_read(const char *path, GstVideoInfo *info, GError **error);

/* ---- gstsoracard.c ----------------------------------------------------------------------------------------------- */

/* A picture in the layout of a master: a bar of which `fraction` is filled, or black where that is negative.  NULL: out
   of memory. */
GstBuffer *gst_sora_card(const GstVideoInfo *master, double fraction);

/* Fill a rectangle of pixels inside a frame of a master with a grey: 0 black, 1 white. */
void gst_sora_fill(GstVideoFrame *f, int x, int y, int width, int height, double shade);

/* ---- gstsoramark.c ----------------------------------------------------------------------------------------------- */

/* A copy of a picture in the layout of a master, with the mark in the corner of the part that is seen.  NULL: out of
   memory. */
GstBuffer *gst_sora_mark(GstBuffer *picture, const GstVideoInfo *master, const GstVideoRectangle *seen);

/* ---- gstsoramessages.c: what goes to the bus.  Hold no lock while calling these. --------------------------------- */

void gst_sora_post_error(GstElement *element, sora_result result, const char *text, const char *model);
void gst_sora_post_progress(GstElement *element, GstProgressType type, const char *code, const char *text,
                            int percent);
/* The element message "sora-progress". */
void gst_sora_post_work(GstElement *element, const sora_progress *p, double frames_per_s, double native_rate);
void gst_sora_post_buffering(GstElement *element, int percent, gint64 left_ms);
const char *gst_sora_stage_name(sora_stage stage);
void gst_sora_log(void *user, sora_log_level level, const char *line);

#endif
