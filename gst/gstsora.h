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

/* What the session should write so that info can be made of it without loss of depth, and that as a GstVideoInfo. */
sora_format gst_sora_caps_master(const GstVideoInfo *info, const sora_info *native, GstVideoInfo *master);

/* Whether a frame of a may be pushed as one of b as it is. */
gboolean gst_sora_caps_same(const GstVideoInfo *a, const GstVideoInfo *b);

/* ---- gstsoracard.c ----------------------------------------------------------------------------------------------- */

/* A picture in the layout of a master: a bar of which `fraction` is filled, or black where that is negative.  NULL: out
   of memory. */
GstBuffer *gst_sora_card(const GstVideoInfo *master, double fraction);

/* ---- gstsoramessages.c: what goes to the bus.  Hold no lock while calling these. --------------------------------- */

void gst_sora_post_error(GstElement *element, sora_result result, const char *text, const char *model);
void gst_sora_post_progress(GstElement *element, GstProgressType type, const char *code, const char *text,
                            int percent);
/* The element message "sora-progress". */
void gst_sora_post_work(GstElement *element, const sora_progress *p, double frames_per_s, double native_rate);
const char *gst_sora_stage_name(sora_stage stage);
void gst_sora_log(void *user, sora_log_level level, const char *line);

#endif
