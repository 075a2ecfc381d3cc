/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signals that tell when the work of a run begins and ends.  A run that does not heed stop() in time is told as ended
 * by stop() itself, and what it would say later is not said: nothing comes from a run that the application has stopped.
 */
#include "config.h"

#include "gstsorasrc.h"

enum { GENERATION_STARTED, GENERATION_FINISHED, N_SIGNALS };
static guint signals[N_SIGNALS];        /* set once by class_init */

void gst_sora_signals_begun(GstElement *owner, guint run)
{
    GstSoraSrc *self = GST_SORA_SRC(owner);
    gboolean ours;

    GST_OBJECT_LOCK(self);
    if ((ours = run == self->run_number)) self->generations++;
    GST_OBJECT_UNLOCK(self);
    if (ours) g_signal_emit(self, signals[GENERATION_STARTED], 0);
}

void gst_sora_signals_ended(GstElement *owner, guint run, sora_result result)
{
    GstSoraSrc *self = GST_SORA_SRC(owner);
    gboolean ours;

    GST_OBJECT_LOCK(self);
    if ((ours = run == self->run_number && self->generations > 0)) self->generations--;
    GST_OBJECT_UNLOCK(self);
    if (ours)
        g_signal_emit(self, signals[GENERATION_FINISHED], 0, result >= 0 ? "finished" :
                      result == SORA_ERR_CANCELLED ? "cancelled" : "failed");
}

void gst_sora_signals_stop(GstSoraSrc *self)
{
    guint left;

    GST_OBJECT_LOCK(self);
    self->run_number++;
    left = self->generations;
    self->generations = 0;
    GST_OBJECT_UNLOCK(self);
    while (left--) g_signal_emit(self, signals[GENERATION_FINISHED], 0, "cancelled");
}

void gst_sora_signals_class_init(GObjectClass *klass)
{
    const GType type = G_TYPE_FROM_CLASS(klass);

    /**
     * GstSoraSrc::generation-started:
     *
     * The model is loaded and the first frame is being made; also of the job of another prompt.  From the thread of the
     * run, which works on when the handler returns.  A handler may set properties and emit action signals, but change
     * no state.
     */
    signals[GENERATION_STARTED] = g_signal_new("generation-started", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                               G_TYPE_NONE, 0);
    /**
     * GstSoraSrc::generation-finished:
     * @reason: finished, cancelled or failed
     *
     * Once for each generation-started: no more frames are made.  Where the handler sets another prompt and
     * prompt-change is next-clip, its clip follows without EOS.  From the same thread; for a run that is too slow to
     * stop, from the one that sets the state to READY.
     */
    signals[GENERATION_FINISHED] = g_signal_new("generation-finished", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                G_TYPE_NONE, 1, G_TYPE_STRING);
}
