/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes while it plays: the prompt, by property, file, event or action signal; seed and guidance, by property or
 * GstController, sampled when a chunk begins.
 *
 *   next-chunk   the stream goes on and its next chunk shows the new prompt; a model of whole clips cannot
 *   next-clip    another clip follows this one; where the stream is endless, as next-chunk
 *   immediate    what is made but not shown is dropped and another clip or stream begins; the picture stands until then
 */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define EVENT_NAME "sora-set-prompt"
#define FILE_MAX 65536          /* bytes, as the library's own limit */

enum { SIGNAL_SET_PROMPT, SIGNAL_RELOAD_PROMPT, SIGNAL_REGENERATE, SIGNAL_CANCEL, SIGNAL_LOAD_MODEL, N_SIGNALS };
static guint signals[N_SIGNALS];        /* set once by class_init */

GType gst_sora_prompt_change_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_CHANGE_CHUNK, "From the next chunk of the stream", "next-chunk" },
        { GST_SORA_CHANGE_CLIP, "In a clip that follows this one", "next-clip" },
        { GST_SORA_CHANGE_NOW, "At once: what is not shown yet is dropped", "immediate" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraPromptChange", values);
}

/* ---- The prompt ------------------------------------------------------------------------------------------------- */

/* Whether a job can be made of the prompt; reads headers, some milliseconds. */
static sora_result check(GstSoraSrc *self, const char *prompt, sora_error *err)
{
    GstSoraSettings settings;
    sora_session *s = NULL;
    sora_options o;
    sora_result r;

    GST_OBJECT_LOCK(self);
    gst_sora_settings_copy(&settings, &self->run);
    GST_OBJECT_UNLOCK(self);
    gst_sora_settings_to_options(&settings, &o);
    o.prompt = prompt;
    o.prompt_file = NULL;
    o.log = NULL;
    r = sora_session_open(&s, &o, err);
    sora_session_close(&s);
    gst_sora_settings_clear(&settings);
    return r;
}

static gboolean show(GstSoraSrc *self, const char *prompt)
{
    GstSoraJob *job, *next;
    GstSoraPromptChange change;
    sora_error err = { 0 };
    sora_result r = SORA_OK;
    gboolean goes_on;

    GST_OBJECT_LOCK(self);
    job = self->job ? gst_sora_job_ref(self->job) : NULL;
    next = self->next ? gst_sora_job_ref(self->next) : NULL;
    change = self->prompt_change;
    goes_on = change == GST_SORA_CHANGE_CHUNK || (change == GST_SORA_CHANGE_CLIP && self->info.frames == 0);
    GST_OBJECT_UNLOCK(self);
    if (!job) return TRUE;
    if (!prompt || !*prompt) {
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("An empty prompt changes nothing."), (NULL));
        r = SORA_ERR_OPTION;
    } else if (goes_on || (!next && !gst_sora_job_has_begun(job))) {    /* one with a next one may be broken off */
        if ((r = gst_sora_job_set_prompt(next ? next : job, prompt, &err)) < 0)
            GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The new prompt is for the next start: %s.", err.text),
                                (NULL));
    } else if ((r = check(self, prompt, &err)) < 0) {
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The new prompt is not shown: %s.", err.text), (NULL));
    } else {
        gst_sora_src_chain(self, prompt, -1, change == GST_SORA_CHANGE_NOW);
    }
    g_clear_pointer(&next, gst_sora_job_unref);
    gst_sora_job_unref(job);
    return r >= 0;
}

gboolean gst_sora_prompt_set(GstSoraSrc *self, const char *prompt)
{
    gboolean shown;

    g_rec_mutex_lock(&self->change_lock);
    shown = show(self, prompt);
    g_rec_mutex_unlock(&self->change_lock);
    return shown;
}

/* The text of a prompt file, which is a plain file of a limited size; a fifo would never end. */
static gchar *read_text(const char *path, GError **error)
{
    gchar *text = NULL;
    GStatBuf st;
    gsize size;

    if (g_stat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: wanted a text file of at most %d bytes", path,
                    FILE_MAX);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &size, error)) return NULL;
    if (memchr(text, 0, size)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: found a NUL byte, wanted UTF-8 text", path);
        g_clear_pointer(&text, g_free);
        return NULL;
    }
    if (size && text[size - 1] == '\n') text[--size] = 0;
    if (size && text[size - 1] == '\r') text[--size] = 0;
    return text;
}

static void read_and_set(GstElement *element, gpointer path)
{
    GError *error = NULL;
    gchar *text = read_text(path, &error);

    if (text)
        gst_sora_prompt_set(GST_SORA_SRC(element), text);
    else
        GST_ELEMENT_WARNING(element, RESOURCE, READ, ("The prompt stays as it is: %s.", error->message), (NULL));
    g_clear_error(&error);
    g_free(text);
}

void gst_sora_prompt_read_file(GstSoraSrc *self)
{
    GstSoraJob *job = gst_sora_src_ref_job(self);
    gchar *path;

    if (!job) return;
    gst_sora_job_unref(job);
    GST_OBJECT_LOCK(self);
    path = g_strdup(self->settings.prompt_file);
    GST_OBJECT_UNLOCK(self);
    if (path && *path) gst_element_call_async(GST_ELEMENT(self), read_and_set, path, g_free);
    else g_free(path);
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

gboolean gst_sora_prompt_is_event(GstEvent *event)
{
    return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_UPSTREAM && gst_event_has_name(event, EVENT_NAME);
}

gboolean gst_sora_prompt_event(GstSoraSrc *self, GstEvent *event)
{
    const char *prompt = gst_structure_get_string(gst_event_get_structure(event), "prompt");

    if (!prompt) {
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The event %s has no prompt.", EVENT_NAME),
                            ("wanted a string \"prompt\", found %" GST_PTR_FORMAT, gst_event_get_structure(event)));
        return FALSE;
    }
    g_object_set(self, "prompt", prompt, NULL);
    return TRUE;
}

/* ---- Action signals --------------------------------------------------------------------------------------------- */

static void set_prompt(GstSoraSrc *self, const char *prompt)
{
    g_object_set(self, "prompt", prompt, NULL);
}

/* The same prompt with another seed, at once. */
static void regenerate(GstSoraSrc *self)
{
    const gint64 seed = (gint64)g_random_int() << 31 | (gint64)(g_random_int() >> 1);

    GST_OBJECT_LOCK(self);
    self->new_seed = -1;
    if (self->job) self->seed = seed;
    GST_OBJECT_UNLOCK(self);
    gst_sora_src_chain(self, NULL, seed, TRUE);
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

void gst_sora_prompt_chunk(GstElement *owner, const sora_info *info, sora_chunk *c)
{
    GstSoraSrc *self = GST_SORA_SRC(owner);
    const GstClockTime t = gst_util_uint64_scale((guint64)c->frame, (guint64)info->rate_den * GST_SECOND,
                                                 (guint64)info->rate_num);

    if (gst_object_has_active_control_bindings(GST_OBJECT(self))) gst_object_sync_values(GST_OBJECT(self), t);
    GST_OBJECT_LOCK(self);
    if (self->new_seed >= 0) c->seed = self->new_seed;
    if (self->new_guidance > 0) c->guidance = self->new_guidance;
    self->seed = c->seed;
    GST_OBJECT_UNLOCK(self);
}

void gst_sora_prompt_class_init(GObjectClass *klass)
{
    const GType type = G_TYPE_FROM_CLASS(klass);
    const GSignalFlags flags = G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION;

    /**
     * GstSoraSrc::set-prompt:
     * @prompt: what to show
     *
     * Sets the property prompt.  Any thread; never waits for the engine.
     */
    signals[SIGNAL_SET_PROMPT] = g_signal_new_class_handler("set-prompt", type, flags, G_CALLBACK(set_prompt), NULL,
                                                            NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    /**
     * GstSoraSrc::reload-prompt:
     *
     * Reads prompt-file again and shows what it says now.
     */
    signals[SIGNAL_RELOAD_PROMPT] = g_signal_new_class_handler("reload-prompt", type, flags,
        G_CALLBACK(gst_sora_prompt_read_file), NULL, NULL, NULL, G_TYPE_NONE, 0);
    /**
     * GstSoraSrc::regenerate:
     *
     * Begins anew with the same prompt and a seed that is drawn; actual-seed tells it.
     */
    signals[SIGNAL_REGENERATE] = g_signal_new_class_handler("regenerate", type, flags, G_CALLBACK(regenerate), NULL,
                                                            NULL, NULL, G_TYPE_NONE, 0);
    /**
     * GstSoraSrc::cancel:
     *
     * Stops the work.  What is made already is still shown, then EOS follows.
     */
    signals[SIGNAL_CANCEL] = g_signal_new_class_handler("cancel", type, flags, G_CALLBACK(gst_sora_src_cancel), NULL,
                                                        NULL, NULL, G_TYPE_NONE, 0);
    /**
     * GstSoraSrc::load-model:
     *
     * In READY, and with keep-model: loads the model now, in a thread of its own, so that PAUSED does not have to.  The
     * field model-loaded of stats tells when it is there.
     */
    signals[SIGNAL_LOAD_MODEL] = g_signal_new_class_handler("load-model", type, flags, G_CALLBACK(gst_sora_park_load),
                                                            NULL, NULL, NULL, G_TYPE_NONE, 0);
}
