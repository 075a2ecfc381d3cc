/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store of a job, between its thread and the streaming thread: how full it is, when play may begin, who gets what. */
#include "config.h"

#include <string.h>

#include "gstsorajobpriv.h"

#define PROGRESS_INTERVAL_US (G_USEC_PER_SEC / 4)
#define PREBUFFER_MARGIN 0.85       /* a later chunk may take longer than those before */

gboolean gst_sora_job_is_full(const GstSoraJob *job)
{
    const guint64 n = job->frames->len;
    const GstSoraLimits *l = &job->plan.limits;

    if (job->plan.keep) return FALSE;   /* its whole size was looked at before */
    if (l->buffers && n >= l->buffers) return TRUE;
    if (l->bytes && n * GST_VIDEO_INFO_SIZE(&job->plan.master) >= l->bytes) return TRUE;
    return l->time && gst_util_uint64_scale(n, (guint64)job->info.rate_den * GST_SECOND,
                                            (guint64)job->info.rate_num) >= l->time;
}

/* ---- How full it is: only while it fills after it was empty, as queue2 tells it. ---- */

/* Percent of the frames that are wanted ahead, which are those of the nearest limit, or all that is left.  With the
   lock. */
static int fill_level(const GstSoraJob *job, gint64 *missing)
{
    const GstSoraLimits *l = &job->plan.limits;
    const double rate = (double)job->info.rate_num / job->info.rate_den;
    const gint64 have = MAX(0, job->produced - job->next);
    double wanted = MIN((double)G_MAXINT, l->time ? (double)l->time / GST_SECOND * rate : rate);

    if (l->buffers) wanted = MIN(wanted, l->buffers);
    if (l->bytes) wanted = MIN(wanted, (double)(l->bytes / GST_VIDEO_INFO_SIZE(&job->plan.master)));
    wanted = MAX(1, wanted);
    if (job->info.frames) wanted = MIN(wanted, (double)(job->info.frames - job->next));
    *missing = MAX(0, (gint64)wanted - have);
    if (job->over || job->fills_no_more || gst_sora_job_is_full(job) || have >= wanted) return 100;
    return (int)(100 * (double)have / wanted);
}

void gst_sora_job_tell_level(GstSoraJob *job, gboolean starved)
{
    GstElement *owner = g_weak_ref_get(&job->owner);
    gint64 missing, left_ms;
    int percent;

    g_mutex_lock(&job->lock);
    percent = fill_level(job, &missing);
    if (starved && percent < 100 && job->plan.buffering && !job->buffering) {
        job->buffering = TRUE;
        job->percent = 0;
    }
    if (job->buffering && !job->cancelled) {
        job->percent = MAX(job->percent, percent);      /* what is taken while it fills does not turn it back */
        job->buffering = job->percent < 100;
        g_cond_broadcast(&job->cond);
    }
    left_ms = job->chunk_per_s > 0 ? (gint64)(1000 * (double)missing / job->chunk_per_s) : -1;
    while (!job->telling && job->told_percent != job->percent && owner) {
        percent = job->told_percent = job->percent;
        job->telling = TRUE;
        g_mutex_unlock(&job->lock);
        job->calls->buffering(owner, percent, percent < 100 ? left_ms : 0);
        g_mutex_lock(&job->lock);
        job->telling = FALSE;
    }
    g_mutex_unlock(&job->lock);
    g_clear_pointer(&owner, gst_object_unref);
}

/* ---- The streaming thread --------------------------------------------------------------------------------------- */

/* Whether the first frame may go out: what is not made yet will be there when it is due.  With the lock. */
static gboolean may_begin(GstSoraJob *job)
{
    const double native = (double)job->info.rate_num / job->info.rate_den;
    const gint64 total = job->info.frames, done = job->produced;
    const double took_s = (double)(job->frame_us - job->loaded_us) / G_USEC_PER_SEC;
    gboolean begin = job->plan.prebuffer == GST_SORA_PREBUFFER_NONE || job->result != SORA_OK || gst_sora_job_is_full(job);

    if (!begin && job->plan.prebuffer == GST_SORA_PREBUFFER_AUTO && done > 0 && took_s > 0) {
        const double made_s = (double)(total - done) * took_s / (double)done;     /* until the last chunk is there */
        const double shown_s = (double)(total - job->info.chunk) / native;        /* until it is due */

        if (total > 0) begin = made_s <= PREBUFFER_MARGIN * MAX(0, shown_s);
        else begin = done >= took_s * native;
    }
    if (begin) job->plan.prebuffer = GST_SORA_PREBUFFER_NONE;
    return begin;
}

/* Frame `index` of the store, and room for more where nothing is kept.  With the lock. */
static gboolean take(GstSoraJob *job, gint64 index, GstSoraFrame *frame)
{
    GstSoraFrame *f;

    if (!job->plan.keep && index > job->first && job->frames->len) {
        const guint old = (guint)MIN(index - job->first, (gint64)job->frames->len);
        g_array_remove_range(job->frames, 0, old);
        job->first += old;
        g_cond_broadcast(&job->cond);
    }
    if (index < job->first || index >= job->first + (gint64)job->frames->len) return FALSE;
    f = &g_array_index(job->frames, GstSoraFrame, index - job->first);
    *frame = *f;
    gst_buffer_ref(frame->buffer);
    if (frame->text) g_ref_string_acquire(frame->text);
    return TRUE;
}

GstSoraWait gst_sora_job_wait(GstSoraJob *job, gint64 index, gint64 deadline, GstSoraFrame *frame)
{
    GstSoraWait w = GST_SORA_WAIT_TIMEOUT;
    gboolean more = TRUE, told = FALSE, starved = FALSE, fills;

    memset(frame, 0, sizeof *frame);
    g_mutex_lock(&job->lock);
    for (;;) {
        const gint64 now = g_get_monotonic_time();

        if (job->flushing) w = GST_SORA_WAIT_FLUSHING;
        else if (job->news && now - job->told_us >= PROGRESS_INTERVAL_US) w = GST_SORA_WAIT_PROGRESS;
        else if (may_begin(job) && take(job, index, frame)) w = GST_SORA_WAIT_FRAME;
        else if (job->result == SORA_EOS || job->cancelled) w = GST_SORA_WAIT_EOS;
        else if (job->result < 0) w = GST_SORA_WAIT_ERROR;
        if (w != GST_SORA_WAIT_TIMEOUT || !more) break;
        if (job->wanted != index) g_cond_broadcast(&job->cond);
        job->wanted = index;
        if (job->plan.buffering && !told) {
            job->next = index;
            g_mutex_unlock(&job->lock);
            gst_sora_job_tell_level(job, TRUE);
            g_mutex_lock(&job->lock);
            told = TRUE;                    /* and see what has come meanwhile */
        } else if (deadline < 0) {
            g_cond_wait(&job->cond, &job->lock);
        } else {
            more = g_cond_wait_until(&job->cond, &job->lock, deadline);
        }
    }
    job->wanted = -1;
    if (w == GST_SORA_WAIT_PROGRESS) {
        job->told_us = g_get_monotonic_time();
        job->news = FALSE;
    }
    if (w == GST_SORA_WAIT_FRAME) {         /* while this one is shown the application can still pause in time */
        starved = index >= job->next && index + 1 >= job->produced && !job->over &&
                  (!job->info.frames || index + 1 < job->info.frames);
        job->next = index + 1;
    }
    fills = job->plan.buffering && (starved || job->buffering);
    g_mutex_unlock(&job->lock);
    if (fills) gst_sora_job_tell_level(job, starved);
    return w;
}

void gst_sora_job_end_buffering(GstSoraJob *job)
{
    g_mutex_lock(&job->lock);
    job->fills_no_more = TRUE;
    g_mutex_unlock(&job->lock);
    gst_sora_job_tell_level(job, FALSE);
}
