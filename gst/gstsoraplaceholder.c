/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The picture of placeholder-location.  A thread of GStreamer's pool reads it when a live run begins, or when it is set
 * while one plays; until it has, the frame is black.  A file that is no picture is one warning, and the drawn card.
 */
#include "config.h"

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug

static void load(GstElement *element, gpointer location)
{
    GstSoraSrc *self = GST_SORA_SRC(element);
    GstSoraPlaceholder *p = &self->placeholder;
    GError *error = NULL;
    GstBuffer *picture;
    GstVideoInfo info;
    gboolean wanted;

    gst_video_info_init(&info);
    picture = gst_sora_picture_read(location, &info, &error);
    GST_OBJECT_LOCK(self);
    if ((wanted = self->job && !g_strcmp0(p->location, location) && p->loading)) {
        p->loading = FALSE;
        p->info = info;
        p->number++;
        p->picture = g_steal_pointer(&picture);
    }
    GST_OBJECT_UNLOCK(self);
    if (wanted && error)
        gst_element_message_full(element, GST_MESSAGE_WARNING, error->domain, error->code,
                                 g_strdup_printf("The placeholder is not shown: %s.", error->message), NULL, __FILE__,
                                 GST_FUNCTION, __LINE__);
    gst_clear_buffer(&picture);
    g_clear_error(&error);
}

void gst_sora_placeholder_begin(GstSoraSrc *self)
{
    GstSoraPlaceholder *p = &self->placeholder;
    gchar *location;

    GST_OBJECT_LOCK(self);
    gst_clear_buffer(&p->picture);
    location = p->location && *p->location ? g_strdup(p->location) : NULL;
    p->loading = location != NULL;
    GST_OBJECT_UNLOCK(self);
    if (location) gst_element_call_async(GST_ELEMENT(self), load, location, g_free);
}

void gst_sora_placeholder_end(GstSoraSrc *self)
{
    GST_OBJECT_LOCK(self);
    gst_clear_buffer(&self->placeholder.picture);
    self->placeholder.loading = FALSE;
    GST_OBJECT_UNLOCK(self);
}

void gst_sora_placeholder_set(GstSoraSrc *self, const char *location)
{
    const gboolean live = gst_base_src_is_live(GST_BASE_SRC(self));
    gboolean plays;

    GST_OBJECT_LOCK(self);
    g_free(self->placeholder.location);
    self->placeholder.location = g_strdup(location);
    plays = self->job != NULL && live;
    GST_OBJECT_UNLOCK(self);
    if (plays) gst_sora_placeholder_begin(self);
}

GstBuffer *gst_sora_placeholder_ref(GstSoraSrc *self, GstVideoInfo *info, guint *number, gboolean *loading)
{
    const GstSoraPlaceholder *p = &self->placeholder;
    GstBuffer *picture;

    GST_OBJECT_LOCK(self);
    picture = p->picture ? gst_buffer_ref(p->picture) : NULL;
    *info = p->info;
    *number = p->number;
    *loading = p->loading;
    GST_OBJECT_UNLOCK(self);
    return picture;
}
