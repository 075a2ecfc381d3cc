/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What gstsorajob.c, the thread of a job, shares with gstsorastore.c, where its frames wait.
 *
 * Locks.  `lock` guards the store and every flag; the engine's progress callback takes it, so nothing is called with
 * it held.  `session_lock` guards the pointer to the session against its close, for calls of any thread; the callback
 * never takes it.  Messages are posted with neither.
 */
#ifndef GST_SORA_JOB_PRIV_H
#define GST_SORA_JOB_PRIV_H

#include "gstsorajob.h"

struct GstSoraJob {
    GWeakRef        owner;
    GstSoraSettings settings;
    sora_info       info;
    GstSoraJob     *previous;
    const GstSoraJobOwner *calls;
    guint           run;

    GMutex lock;
    GCond  cond;
    gboolean go, flushing, cancelled, ended;
    gboolean late;                      /* counted in late.running */
    guint    open;                      /* GST_SORA_OPEN, GST_SORA_REQUEST */
    gboolean over;                      /* nothing more is made */
    gboolean paused;                    /* no chunk is begun but the first, ... */
    gint64   wanted;                    /* ... unless somebody waits for a frame of it: this one; -1: nobody */
    sora_result result;                 /* SORA_OK until the work ends */
    GstSoraPlan plan;                   /* once `go` is set; prebuffer becomes NONE when play has begun */

    gboolean buffering;                 /* the store fills after it was empty */
    int      percent, told_percent;     /* as it is, and as it was told last; -1: never */
    gboolean fills_no_more;
    gboolean telling;                   /* a thread does: it tells what others find meanwhile, so that order is kept */
    gint64   next;                      /* frame that is asked for next */

    GArray *frames;                     /* of GstSoraFrame, without gaps; [0] has index `first` */
    gint64  first, produced;
    int     in_chunk;                   /* frames since a chunk began */
    sora_progress progress;
    gboolean news;
    gint64  told_us, loaded_us, frame_us, step_us;
    gint64  chunk_us;                   /* when the chunk in the store began, moved on by what was waited for room */
    double  step_s, chunk_per_s;

    GMutex session_lock;
    sora_session *session;              /* NULL before it is open and while it closes */
    gboolean begun;                     /* there is, or was, a session */
    gchar  *prompt;                     /* set before that */
};

/* gstsorastore.c */
gboolean gst_sora_job_is_full(const GstSoraJob *job);           /* whether the store has its fill; with the lock */
/* Tell how it fills, where that is wanted and begins or goes on.  starved: the next frame is not there. */
void     gst_sora_job_tell_level(GstSoraJob *job, gboolean starved);

#endif
