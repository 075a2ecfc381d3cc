/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model between two runs.  A run that has ended leaves its stopped session here; while it stands, a new one of the
 * same model finds the packed weights in memory.  It goes when that has loaded, after unload-after, at once with
 * keep-model=false, and at READY to NULL.
 */
#include "config.h"

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug

static gboolean on_time(GstClock *clock, GstClockTime time, GstClockID id, gpointer user)
{
    GstElement *owner = g_weak_ref_get(user);

    if (owner) {
        GST_INFO_OBJECT(owner, "no work for long enough: the model goes");
        gst_sora_park_clear(owner);
        gst_object_unref(owner);
    }
    return TRUE;
}

static void weak_free(gpointer weak)
{
    g_weak_ref_clear(weak);
    g_free(weak);
}

/* With the object lock. */
static GstClockID new_timer(GstSoraSrc *self)
{
    GstClock *clock = gst_system_clock_obtain();
    GstClockID id = gst_clock_new_single_shot_id(clock, gst_clock_get_time(clock) + self->unload_after);

    gst_object_unref(clock);
    return id;
}

gboolean gst_sora_park(GstElement *owner, sora_session *s)
{
    GstSoraSrc *self = GST_SORA_SRC(owner);
    sora_session *old = NULL;
    GstClockID id = NULL;
    gboolean taken;

    GST_OBJECT_LOCK(self);
    if ((taken = self->may_park && self->keep_model)) {
        old = self->parked;
        self->parked = s;
        if (self->unload_after && !self->unload_id) {
            id = self->unload_id = new_timer(self);
            gst_clock_id_ref(id);
        }
    }
    GST_OBJECT_UNLOCK(self);
    sora_session_close(&old);
    if (id) {
        GWeakRef *weak = g_new0(GWeakRef, 1);

        g_weak_ref_init(weak, self);
        gst_clock_id_wait_async(id, on_time, weak, weak_free);
        gst_clock_id_unref(id);
    }
    return taken;
}

void gst_sora_park_clear(GstElement *owner)
{
    GstSoraSrc *self = GST_SORA_SRC(owner);
    sora_session *s;
    GstClockID id;

    GST_OBJECT_LOCK(self);
    s = g_steal_pointer(&self->parked);
    id = g_steal_pointer(&self->unload_id);
    GST_OBJECT_UNLOCK(self);
    if (id) {
        gst_clock_id_unschedule(id);
        gst_clock_id_unref(id);
    }
    sora_session_close(&s);
}

/* In a thread of GStreamer's pool: load, and leave the model for the first run. */
static void load(GstElement *element, gpointer unused)
{
    GstSoraSrc *self = GST_SORA_SRC(element);
    GstSoraSettings settings;
    sora_session *s = NULL;
    sora_error err = { 0 };
    sora_options o;
    gboolean mine;
    sora_result r;

    GST_OBJECT_LOCK(self);
    gst_sora_settings_copy(&settings, &self->settings);
    GST_OBJECT_UNLOCK(self);
    gst_sora_settings_to_options(&settings, &o);
    r = sora_session_open(&s, &o, &err);
    GST_OBJECT_LOCK(self);
    if ((mine = r == SORA_OK && self->may_park && self->keep_model && !self->job && !self->loading)) self->loading = s;
    GST_OBJECT_UNLOCK(self);
    if (mine) {
        r = sora_session_load(s, &err);
        GST_OBJECT_LOCK(self);
        self->loading = NULL;
        GST_OBJECT_UNLOCK(self);
        sora_session_stop(s);
        if (r == SORA_OK && gst_sora_park(element, s)) s = NULL;
    }
    if (r < 0 && r != SORA_ERR_CANCELLED)
        GST_ELEMENT_WARNING(self, RESOURCE, READ, ("The model is not loaded: %s.", err.text), (NULL));
    sora_session_close(&s);
    gst_sora_settings_clear(&settings);
}

void gst_sora_park_load(GstSoraSrc *self)
{
    gst_element_call_async(GST_ELEMENT(self), load, NULL, NULL);
}

void gst_sora_park_open(GstSoraSrc *self, gboolean open)
{
    GST_OBJECT_LOCK(self);
    self->may_park = open;
    if (!open && self->loading) sora_session_cancel(self->loading);     /* never waits; who loads it closes it */
    GST_OBJECT_UNLOCK(self);
    if (!open) gst_sora_park_clear(GST_ELEMENT(self));
}
