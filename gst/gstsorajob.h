/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run of the element: a thread that opens a session and moves its frames into a store, from where the streaming
 * thread takes them.  The thread owns a reference to the job, and of the element only a weak one: nothing waits for
 * it but gst_sora_job_wait_end(), and that with a limit.
 */
#ifndef GST_SORA_JOB_H
#define GST_SORA_JOB_H

#include "gstsora.h"
#include "gstsoraoptions.h"

typedef struct GstSoraJob GstSoraJob;

typedef struct GstSoraLimits {
    guint   buffers;            /* 0: no limit, here and below */
    guint64 bytes;
    guint64 time;               /* nanoseconds */
} GstSoraLimits;

typedef struct GstSoraFrame {
    GstBuffer *buffer;          /* in the master's format, read only */
    gint64     index;           /* of the content, from 0 */
    gint64     prompt;          /* how many prompt changes it has seen */
    gboolean   chunk_first;     /* a chunk begins with it */
    gchar     *text;            /* GRefString: the prompt it shows; NULL: not told */
} GstSoraFrame;

void gst_sora_frame_clear(GstSoraFrame *f);

typedef struct GstSoraStats {
    gint64 generated;           /* frames */
    guint  level;               /* frames that wait */
    double step_s;              /* the last step */
    double frames_per_s;        /* since the model was loaded */
    double chunk_per_s;         /* frames a second of work, in the last chunk; 0: not known yet */
    sora_progress progress;
    gboolean loaded, ended, cancelled;
    gboolean buffering;
    int    percent;             /* of what is wanted ahead */
    guint  open;                /* GST_SORA_OPEN, GST_SORA_REQUEST: progress that has not ended */
    sora_result result;         /* when ended */
} GstSoraStats;

typedef enum {
    GST_SORA_WAIT_FRAME, GST_SORA_WAIT_TIMEOUT, GST_SORA_WAIT_PROGRESS, GST_SORA_WAIT_FLUSHING, GST_SORA_WAIT_EOS,
    GST_SORA_WAIT_ERROR
} GstSoraWait;

/* How much of a stream that is not live is made before its first frame goes out. */
typedef enum { GST_SORA_PREBUFFER_NONE, GST_SORA_PREBUFFER_AUTO, GST_SORA_PREBUFFER_FULL } GstSoraPrebuffer;

/* What the caps have decided. */
typedef struct GstSoraPlan {
    sora_format  format;        /* what the session writes, ... */
    GstVideoInfo master;        /* ... and that in GStreamer's terms */
    gboolean     keep;          /* hold every frame until the job goes, which is what makes seeking possible */
    GstSoraLimits limits;
    GstSoraPrebuffer prebuffer;
    gboolean     buffering;     /* tell how full the store is while it fills */
    int          rate_num, rate_den;    /* at which each frame is shown once; 0: the model's own */
} GstSoraPlan;

/* Progress that the application waits for: each that a job begins with is ended once. */
enum { GST_SORA_OPEN = 1, GST_SORA_REQUEST = 2 };

/* In the job's thread, before a chunk: what may change in it.  rate: of info. */
typedef void GstSoraChunkFn(GstElement *owner, const sora_info *info, sora_chunk *c);

/* What the job asks of its owner, all called in the job's thread without a lock. */
typedef struct GstSoraJobOwner {
    GstSoraChunkFn *chunk;
    /* Take the stopped session, which keeps the model in memory; FALSE: close it. */
    gboolean (*park)(GstElement *owner, sora_session *s);
    /* The model is loaded, or there is no room for it twice: what was parked may go. */
    void (*unpark)(GstElement *owner);
    /* The first frame is being made; and once after that, why no more are made. */
    void (*begun)(GstElement *owner, guint run);
    void (*ended)(GstElement *owner, guint run, sora_result result);
    /* While the store fills, in this or another thread, in order; 100: full.  left_ms: -1 not known. */
    void (*buffering)(GstElement *owner, int percent, gint64 left_ms);
} GstSoraJobOwner;

/*
 * Start the thread.  It does nothing until gst_sora_job_go() or gst_sora_job_go_as().
 *
 * settings   copied.
 * previous   a run that may not have ended; its end is waited for before anything is loaded.  May be NULL.
 * run        of the owner: given back to it when work begins and ends.
 * open       progress that was begun for it: GST_SORA_OPEN | GST_SORA_REQUEST, or 0 for a run that nobody waits for.
 * NULL when no thread can be had.
 */
GstSoraJob *gst_sora_job_new(GstElement *owner, const GstSoraSettings *settings, const sora_info *info,
                             GstSoraJob *previous, guint run, guint open, const GstSoraJobOwner *calls);
GstSoraJob *gst_sora_job_ref(GstSoraJob *job);
void        gst_sora_job_unref(GstSoraJob *job);

/* The caps are known: work. */
void gst_sora_job_go(GstSoraJob *job, const GstSoraPlan *plan);

/* The same, as `other` was told.  FALSE: it has not. */
gboolean gst_sora_job_go_as(GstSoraJob *job, GstSoraJob *other, gboolean keep);

/*
 * Wait for frame `index`.
 *
 * deadline   of g_get_monotonic_time(); -1: none.
 * frame      on GST_SORA_WAIT_FRAME a frame to clear.
 * GST_SORA_WAIT_PROGRESS, at most four times a second, tells that there is news to post.  One thread at a time.
 */
GstSoraWait gst_sora_job_wait(GstSoraJob *job, gint64 index, gint64 deadline, GstSoraFrame *frame);
void gst_sora_job_set_flushing(GstSoraJob *job, gboolean flushing);

/* Paused, a chunk after the first is begun only when gst_sora_job_wait() has no frame to give.  Never waits. */
void gst_sora_job_set_paused(GstSoraJob *job, gboolean paused);

/* Of a job to be cancelled: an application that waits for the store to fill is told that it no longer has to. */
void gst_sora_job_end_buffering(GstSoraJob *job);

/* Returns the progress that has begun and not ended.  The caller posts its end. */
guint gst_sora_job_cancel(GstSoraJob *job);
/* Of a cancelled job: free its frames now, in this thread, whenever its own ends. */
void gst_sora_job_drop(GstSoraJob *job);
gboolean gst_sora_job_wait_end(GstSoraJob *job, gint64 deadline);       /* FALSE: it still runs */

/* Of a cancelled job that did not end in time: it goes on alone, and exit() waits up to 2 s for it. */
void gst_sora_job_leave(GstSoraJob *job);

/* Whether its session is open, or was: before that, a new prompt takes the place of the first. */
gboolean gst_sora_job_has_begun(GstSoraJob *job);
/* SORA_ERR_UNSUPPORTED also when every frame is made. */
sora_result gst_sora_job_set_prompt(GstSoraJob *job, const char *prompt, sora_error *err);
void gst_sora_job_get_stats(GstSoraJob *job, GstSoraStats *stats);

#endif
