/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saying what the stream is: tags for the container, and on each frame the marking that encoders may write as SEI.
 * The marking is for machines: the term of IPTC's vocabulary of digital source types for what a trained model has made.
 */
#include "config.h"

#include <string.h>

#include <gst/video/video-sei.h>

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define SOURCE_TYPE "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
#define TITLE_LONGEST 80        /* characters */

/* Of our own, for unregistered user data: 9c1f6c0e-35f5-4c0b-9a53-6d5f7c3b1e57. */
static guint8 sei_uuid[16] = { 0x9c, 0x1f, 0x6c, 0x0e, 0x35, 0xf5, 0x4c, 0x0b,
                               0x9a, 0x53, 0x6d, 0x5f, 0x7c, 0x3b, 0x1e, 0x57 };
static const char sei_text[] = "AI-generated; digitalSourceType=" SOURCE_TYPE;

GType gst_sora_tags_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_TAGS_NONE, "Nothing", "none" },
        { GST_SORA_TAGS_MINIMAL, "That it is AI-generated, not of what", "minimal" },
        { GST_SORA_TAGS_FULL, "That it is AI-generated, with prompt, model and settings", "full" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraTags", values);
}

static GstSoraTags wanted(GstSoraSrc *self)
{
    GstSoraTags tags;

    GST_OBJECT_LOCK(self);
    tags = self->tags;
    GST_OBJECT_UNLOCK(self);
    return tags;
}

static gchar *title_of(const char *prompt)
{
    if (g_utf8_strlen(prompt, -1) <= TITLE_LONGEST) return g_strdup(prompt);
    {
        gchar *cut = g_utf8_substring(prompt, 0, TITLE_LONGEST - 1), *title = g_strconcat(cut, "\342\200\246", NULL);
        g_free(cut);
        return title;
    }
}

static void add_prompt(GstSoraSrc *self, GstTagList *list, const char *prompt)
{
    GstDateTime *now = gst_date_time_new_now_utc();
    gchar *title = title_of(prompt), *settings;
    gint64 seed;

    GST_OBJECT_LOCK(self);
    seed = self->seed;
    GST_OBJECT_UNLOCK(self);
    settings = g_strdup_printf("settings=model %s, seed %" G_GINT64_FORMAT ", steps %d, guidance %g", self->info.model,
                               seed, self->info.steps, self->info.guidance);
    gst_tag_list_add(list, GST_TAG_MERGE_REPLACE, GST_TAG_TITLE, title, GST_TAG_DESCRIPTION, prompt,
                     GST_TAG_EXTENDED_COMMENT, settings, GST_TAG_DATE_TIME, now, NULL);
    gst_date_time_unref(now);
    g_free(settings);
    g_free(title);
}

GstEvent *gst_sora_tags_event(GstSoraSrc *self, const char *prompt)
{
    const GstSoraTags tags = wanted(self);
    GstTagList *list;

    if (tags == GST_SORA_TAGS_NONE) return NULL;
    list = gst_tag_list_new(GST_TAG_COMMENT, "AI-generated; digital source type: " SOURCE_TYPE,
                            GST_TAG_KEYWORDS, "AI-generated, trainedAlgorithmicMedia",
                            GST_TAG_ENCODER, "sorasrc " PACKAGE_VERSION, GST_TAG_APPLICATION_NAME, "libsora", NULL);
    gst_tag_list_set_scope(list, GST_TAG_SCOPE_GLOBAL);         /* containers drop much of what has stream scope */
    if (tags == GST_SORA_TAGS_FULL && prompt && *prompt) add_prompt(self, list, prompt);
    return gst_event_new_tag(list);
}

void gst_sora_tags_mark(GstSoraSrc *self, GstBuffer *buffer)
{
    if (wanted(self) == GST_SORA_TAGS_NONE) return;
    gst_buffer_add_video_sei_user_data_unregistered_meta(buffer, sei_uuid, (guint8 *)sei_text, strlen(sei_text));
}
