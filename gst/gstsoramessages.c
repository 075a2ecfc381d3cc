/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages for the bus: which failure has which domain and code; progress; the engine's log. */
#include "config.h"

#include "gstsora.h"

void gst_sora_post_error(GstElement *element, sora_result result, const char *text, const char *model)
{
    static const struct { sora_result result; gboolean library; int code; } codes[] = {
        { SORA_ERR_OPTION, TRUE, GST_LIBRARY_ERROR_SETTINGS },
        { SORA_ERR_UNSUPPORTED, TRUE, GST_LIBRARY_ERROR_INIT },
        { SORA_ERR_INTERNAL, TRUE, GST_LIBRARY_ERROR_FAILED },
        { SORA_ERR_NOT_FOUND, FALSE, GST_RESOURCE_ERROR_NOT_FOUND },
        { SORA_ERR_ACCESS, FALSE, GST_RESOURCE_ERROR_NOT_AUTHORIZED },
        { SORA_ERR_MODEL, FALSE, GST_RESOURCE_ERROR_READ },
        { SORA_ERR_IO, FALSE, GST_RESOURCE_ERROR_READ },
        { SORA_ERR_NOMEM, FALSE, GST_RESOURCE_ERROR_NO_SPACE_LEFT },
    };
    GQuark domain = GST_LIBRARY_ERROR;
    int code = GST_LIBRARY_ERROR_FAILED;
    gchar *message, *debug;
    guint k;

    for (k = 0; k < G_N_ELEMENTS(codes); k++) {
        if (codes[k].result != result) continue;
        domain = codes[k].library ? GST_LIBRARY_ERROR : GST_RESOURCE_ERROR;
        code = codes[k].code;
    }
    message = g_strdup_printf("%s.", text && *text ? text : "The engine failed without a message");
    debug = g_strdup_printf("libsora %s, model \"%s\", result %d", sora_version(), model ? model : "", result);
    gst_element_message_full(element, GST_MESSAGE_ERROR, domain, code, message, debug, __FILE__, GST_FUNCTION,
                             __LINE__);
}

void gst_sora_post_progress(GstElement *element, GstProgressType type, const char *code, const char *text,
                            int percent)
{
    GstMessage *m = gst_message_new_progress(GST_OBJECT(element), type, code, text);

    if (type == GST_PROGRESS_TYPE_CONTINUE)     /* the constructor knows 0 and 100 alone */
        gst_structure_set(gst_message_writable_structure(m), "percent", G_TYPE_INT, CLAMP(percent, 0, 100), NULL);
    gst_element_post_message(element, m);
}

void gst_sora_post_buffering(GstElement *element, int percent, gint64 left_ms)
{
    GstMessage *m = gst_message_new_buffering(GST_OBJECT(element), percent);

    gst_message_set_buffering_stats(m, GST_BUFFERING_STREAM, -1, -1, left_ms);
    gst_element_post_message(element, m);
}

const char *gst_sora_stage_name(sora_stage stage)
{
    switch (stage) {
    case SORA_STAGE_LOAD: return "load";
    case SORA_STAGE_TEXT: return "text";
    case SORA_STAGE_STEP: return "denoise";
    case SORA_STAGE_DECODE: return "decode";
    default: return "done";
    }
}

void gst_sora_post_work(GstElement *element, const sora_progress *p, double frames_per_s, double native_rate)
{
    const double left = p->fraction > 0 ? p->elapsed_s * (1 - p->fraction) / p->fraction : -1;

    gst_element_post_message(element, gst_message_new_element(GST_OBJECT(element),
        gst_structure_new("sora-progress",
            "phase", G_TYPE_STRING, gst_sora_stage_name(p->stage),
            "step", G_TYPE_INT, p->step, "steps", G_TYPE_INT, p->steps,
            "chunk", G_TYPE_INT64, p->chunk,
            "frames-done", G_TYPE_INT64, p->frames, "frames-total", G_TYPE_INT64, p->frames_total,
            "percent", G_TYPE_INT, (int)CLAMP(p->fraction * 100, 0, 100),
            "elapsed", G_TYPE_DOUBLE, p->elapsed_s,
            "eta", G_TYPE_DOUBLE, left,                                 /* seconds; -1: not known yet */
            "rate", G_TYPE_DOUBLE, native_rate > 0 ? frames_per_s / native_rate : 0.0,
            NULL)));
}

void gst_sora_log(void *user, sora_log_level level, const char *line)
{
    /* SORA_LOG_DEBUG has prompts in it, which may be private: they are in no log but the most talkative. */
    static const GstDebugLevel levels[] = { [SORA_LOG_ERROR] = GST_LEVEL_ERROR, [SORA_LOG_WARNING] = GST_LEVEL_WARNING,
                                            [SORA_LOG_INFO] = GST_LEVEL_INFO, [SORA_LOG_DEBUG] = GST_LEVEL_LOG };
    const GstDebugLevel to = (guint)level < G_N_ELEMENTS(levels) ? levels[level] : GST_LEVEL_LOG;

    GST_CAT_LEVEL_LOG(gst_sora_engine_debug, to, NULL, "%s", line);
}
