/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread of a job: from settings to frames in the store.  And what other threads tell it. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "gstsorajobpriv.h"

#define EXIT_WAIT_US (2 * G_USEC_PER_SEC)

/* Threads that outlived their element's stop().  Process-wide as exit() is, which must not take libraries apart below
   a thread that computes in them. */
static struct {
    GMutex   lock;
    GCond    cond;
    guint    running;
    gboolean registered;
} late;

void gst_sora_frame_clear(GstSoraFrame *f)
{
    gst_clear_buffer(&f->buffer);
    g_clear_pointer(&f->text, g_ref_string_release);
}

GstSoraJob *gst_sora_job_ref(GstSoraJob *job)
{
    return g_atomic_rc_box_acquire(job);
}

static void job_free(gpointer data)
{
    GstSoraJob *job = data;

    g_clear_pointer(&job->previous, gst_sora_job_unref);
    gst_sora_settings_clear(&job->settings);
    g_array_unref(job->frames);
    g_free(job->prompt);
    g_weak_ref_clear(&job->owner);
    g_mutex_clear(&job->lock);
    g_mutex_clear(&job->session_lock);
    g_cond_clear(&job->cond);
}

void gst_sora_job_unref(GstSoraJob *job)
{
    g_atomic_rc_box_release_full(job, job_free);
}

/* ---- What the thread posts -------------------------------------------------------------------------------------- */

/* Take the right to end a piece of progress: FALSE when somebody else has, so that each has one end. */
static gboolean claim(GstSoraJob *job, guint what)
{
    gboolean mine;

    g_mutex_lock(&job->lock);
    mine = (job->open & what) != 0;
    job->open &= ~what;
    g_mutex_unlock(&job->lock);
    return mine;
}

static void complete(GstSoraJob *job, guint what, const char *code, const char *text)
{
    GstElement *owner;

    if (!claim(job, what)) return;
    if (!(owner = g_weak_ref_get(&job->owner))) return;
    gst_sora_post_progress(owner, GST_PROGRESS_TYPE_COMPLETE, code, text, 100);
    gst_object_unref(owner);
}

static void tell(GstSoraJob *job, gboolean begun, sora_result r)
{
    GstElement *owner = g_weak_ref_get(&job->owner);

    if (!owner) return;
    if (begun) job->calls->begun(owner, job->run);
    else job->calls->ended(owner, job->run, r);
    gst_object_unref(owner);
}

static void fail(GstSoraJob *job, sora_result r, const sora_error *err)
{
    GstElement *owner = g_weak_ref_get(&job->owner);

    if (!owner) return;
    gst_sora_post_error(owner, r, err->text, job->settings.model);
    if (claim(job, GST_SORA_OPEN))
        gst_sora_post_progress(owner, GST_PROGRESS_TYPE_ERROR, "open", "The model could not be loaded", 100);
    if (claim(job, GST_SORA_REQUEST))
        gst_sora_post_progress(owner, GST_PROGRESS_TYPE_ERROR, "request", "No frame was generated", 100);
    gst_object_unref(owner);
}

/* ---- The thread ------------------------------------------------------------------------------------------------- */

/* From the engine's thread, which must not wait and must not be called back: leave a note for the streaming thread. */
static void on_progress(void *user, const sora_progress *p)
{
    GstSoraJob *job = user;
    const gint64 now = g_get_monotonic_time();

    g_mutex_lock(&job->lock);
    if (p->stage == SORA_STAGE_STEP) {
        if (job->step_us) job->step_s = (double)(now - job->step_us) / G_USEC_PER_SEC;
        job->step_us = now;
    } else {
        job->step_us = 0;
    }
    job->progress = *p;
    job->news = TRUE;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

static void on_chunk(void *user, sora_chunk *c)
{
    GstSoraJob *job = user;
    GstElement *owner;

    g_mutex_lock(&job->lock);
    while (c->chunk > 0 && job->paused && job->wanted < c->frame && job->plan.prebuffer == GST_SORA_PREBUFFER_NONE &&
           !job->buffering && !job->cancelled && !job->over) g_cond_wait(&job->cond, &job->lock);
    g_mutex_unlock(&job->lock);
    if (!(owner = g_weak_ref_get(&job->owner))) return;
    job->calls->chunk(owner, &job->info, c);
    gst_object_unref(owner);
}

/* Until the run before has ended and the caps are known. */
static sora_result wait_turn(GstSoraJob *job)
{
    GstSoraJob *previous = job->previous;
    gboolean cancelled = FALSE;

    job->previous = NULL;
    while (previous && !cancelled) {
        if (gst_sora_job_wait_end(previous, g_get_monotonic_time() + G_USEC_PER_SEC / 20))
            g_clear_pointer(&previous, gst_sora_job_unref);
        g_mutex_lock(&job->lock);
        cancelled = job->cancelled;
        g_mutex_unlock(&job->lock);
    }
    g_mutex_lock(&job->lock);
    job->previous = previous;           /* still running: who waits for this job waits for that one too */
    while (!job->go && !job->cancelled) g_cond_wait(&job->cond, &job->lock);
    cancelled = job->cancelled;
    g_mutex_unlock(&job->lock);
    return cancelled ? SORA_ERR_CANCELLED : SORA_OK;
}

static sora_result open_session(GstSoraJob *job, sora_session **s, sora_error *err)
{
    sora_options o;
    sora_result r;
    gboolean cancelled;
    gchar *prompt;

    g_mutex_lock(&job->session_lock);
    prompt = g_steal_pointer(&job->prompt);
    job->begun = TRUE;
    g_mutex_unlock(&job->session_lock);

    gst_sora_settings_to_options(&job->settings, &o);
    if (prompt) o.prompt = prompt, o.prompt_file = NULL;
    o.width = GST_VIDEO_INFO_WIDTH(&job->plan.master);
    o.height = GST_VIDEO_INFO_HEIGHT(&job->plan.master);
    if (o.width == job->info.native_width && o.height == job->info.native_height) o.width = o.height = 0;
    o.format = job->plan.format;
    o.rate_num = job->plan.rate_num;
    o.rate_den = job->plan.rate_den;
    o.progress = on_progress;
    o.chunk = on_chunk;
    o.user = job;
    r = sora_session_open(s, &o, err);
    g_free(prompt);
    if (r < 0) return r;

    g_mutex_lock(&job->session_lock);
    job->session = *s;
    if (job->prompt) sora_session_set_prompt(*s, job->prompt, NULL);    /* arrived meanwhile */
    g_clear_pointer(&job->prompt, g_free);
    g_mutex_unlock(&job->session_lock);

    g_mutex_lock(&job->lock);
    cancelled = job->cancelled;
    g_mutex_unlock(&job->lock);
    return cancelled ? SORA_ERR_CANCELLED : SORA_OK;
}

/* Where the work has ended: the model stays with the owner, unless that is gone or does not want it. */
static void close_session(GstSoraJob *job, sora_session *s, gboolean loaded)
{
    GstElement *owner;

    g_mutex_lock(&job->session_lock);
    job->session = NULL;
    g_mutex_unlock(&job->session_lock);
    if (!s) return;
    sora_session_stop(s);
    if (loaded && (owner = g_weak_ref_get(&job->owner))) {
        if (job->calls->park(owner, s)) s = NULL;
        gst_object_unref(owner);
    }
    sora_session_close(&s);
}

static void unpark(GstSoraJob *job)
{
    GstElement *owner = g_weak_ref_get(&job->owner);

    if (!owner) return;
    job->calls->unpark(owner);
    gst_object_unref(owner);
}

/* Open and load; where a parked model takes the room that this one needs, without that. */
static sora_result load(GstSoraJob *job, sora_session **s, sora_error *err)
{
    sora_result r = SORA_OK;
    int attempt;

    for (attempt = 0; attempt < 2; attempt++) {
        memset(err, 0, sizeof *err);
        r = open_session(job, s, err);
        if (r == SORA_OK) r = sora_session_load(*s, err);
        if (r != SORA_ERR_CANCELLED) unpark(job);
        if (r != SORA_ERR_NOMEM) break;
        close_session(job, g_steal_pointer(s), FALSE);
    }
    return r;
}

/* Where a chunk begins: how fast the one before was made.  With the lock. */
static void begin_chunk(GstSoraJob *job)
{
    const gboolean first = !job->chunk_us;          /* what it takes to begin is the first guess */
    const gint64 took_us = g_get_monotonic_time() - (first ? job->loaded_us : job->chunk_us);

    job->chunk_per_s = (double)(first ? job->info.chunk : job->in_chunk) * G_USEC_PER_SEC / (double)MAX(1, took_us);
    while (gst_sora_job_is_full(job) && !job->cancelled) g_cond_wait(&job->cond, &job->lock);
    job->chunk_us = g_get_monotonic_time();
    job->in_chunk = 0;
}

/* One frame from the session into the store; waits for room only between two chunks. */
static sora_result produce(GstSoraJob *job, sora_session *s, gchar **text, sora_error *err)
{
    const gsize size = GST_VIDEO_INFO_SIZE(&job->plan.master);
    guint8 *data = g_try_malloc(size);
    GstSoraFrame frame = { 0 };
    sora_frame f;
    sora_result r;
    gboolean cancelled;
    guint p;

    if (!data) {
        g_snprintf(err->text, sizeof err->text, "out of memory for a frame of %" G_GSIZE_FORMAT " bytes", size);
        return SORA_ERR_NOMEM;
    }
    sora_frame_init(&f);
    for (p = 0; p < GST_VIDEO_INFO_N_PLANES(&job->plan.master); p++) {
        f.data[p] = data + GST_VIDEO_INFO_PLANE_OFFSET(&job->plan.master, p);
        f.stride[p] = GST_VIDEO_INFO_PLANE_STRIDE(&job->plan.master, p);
    }
    if ((r = sora_session_next(s, &f, err)) != SORA_OK) {
        g_free(data);
        return r;
    }
    if (f.prompt_text && (!*text || strcmp(*text, f.prompt_text))) {
        g_clear_pointer(text, g_ref_string_release);
        *text = g_ref_string_new(f.prompt_text);
    }
    g_mutex_lock(&job->lock);
    cancelled = job->cancelled;
    g_mutex_unlock(&job->lock);
    if (cancelled) {                            /* late, GStreamer itself may be gone */
        g_free(data);
        return SORA_ERR_CANCELLED;
    }
    frame.buffer = gst_buffer_new_wrapped(data, size);
    frame.prompt = f.prompt;
    frame.chunk_first = f.chunk_first != 0;
    frame.text = *text ? g_ref_string_acquire(*text) : NULL;

    g_mutex_lock(&job->lock);
    if (f.chunk_first || job->in_chunk >= job->info.chunk) begin_chunk(job);
    job->in_chunk++;
    if ((cancelled = job->cancelled)) {
        gst_sora_frame_clear(&frame);
    } else {
        frame.index = job->produced++;
        g_array_append_val(job->frames, frame);
        job->frame_us = g_get_monotonic_time();
    }
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    if (cancelled) return SORA_ERR_CANCELLED;
    if (job->plan.buffering) gst_sora_job_tell_level(job, FALSE);
    if (frame.index == 0) complete(job, GST_SORA_REQUEST, "request", "The first frame is ready");
    return SORA_OK;
}

static gpointer job_thread(gpointer data)
{
    GstSoraJob *job = data;
    sora_session *s = NULL;
    sora_error err = { 0 };
    gchar *text = NULL;
    gboolean cancelled, was_late, loaded;
    sora_result r;

    r = wait_turn(job);
    if (r == SORA_OK) r = load(job, &s, &err);
    if ((loaded = r == SORA_OK)) {
        g_mutex_lock(&job->lock);
        job->loaded_us = g_get_monotonic_time();
        g_mutex_unlock(&job->lock);
        complete(job, GST_SORA_OPEN, "open", "The model is loaded");
        tell(job, TRUE, r);
    }
    while (r == SORA_OK) r = produce(job, s, &text, &err);

    g_mutex_lock(&job->lock);
    cancelled = job->cancelled;
    g_mutex_unlock(&job->lock);
    if (cancelled)
        r = SORA_ERR_CANCELLED;
    else if (r < 0)
        fail(job, r, &err);                     /* before create() can return, whose own error says less */
    else
        complete(job, GST_SORA_REQUEST, "request", "There is no frame");
    /* Before the stream learns of its end: who sets another prompt now has it follow without EOS. */
    g_mutex_lock(&job->lock);
    job->over = TRUE;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    if (loaded) tell(job, FALSE, r);
    if (r == SORA_EOS) gst_sora_job_tell_level(job, FALSE);
    g_mutex_lock(&job->lock);
    job->result = r;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);

    close_session(job, s, loaded);
    g_clear_pointer(&text, g_ref_string_release);
    /* Cancelled while the run before still works: who waits for this one waits for both, or two models would load. */
    while (job->previous && !gst_sora_job_wait_end(job->previous, g_get_monotonic_time() + G_USEC_PER_SEC)) { }
    g_mutex_lock(&job->lock);
    job->ended = TRUE;
    was_late = job->late;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    gst_sora_job_unref(job);
    if (was_late) {
        g_mutex_lock(&late.lock);
        late.running--;
        g_cond_broadcast(&late.cond);
        g_mutex_unlock(&late.lock);
    }
    return NULL;
}

GstSoraJob *gst_sora_job_new(GstElement *owner, const GstSoraSettings *settings, const sora_info *info,
                             GstSoraJob *previous, guint run, guint open, const GstSoraJobOwner *calls)
{
    GstSoraJob *job = g_atomic_rc_box_new0(GstSoraJob);
    GThread *thread;

    g_weak_ref_init(&job->owner, owner);
    g_mutex_init(&job->lock);
    g_mutex_init(&job->session_lock);
    g_cond_init(&job->cond);
    gst_sora_settings_copy(&job->settings, settings);
    job->info = *info;
    job->previous = previous ? gst_sora_job_ref(previous) : NULL;
    job->run = run;
    job->wanted = job->percent = job->told_percent = -1;
    job->open = open;
    job->calls = calls;
    job->frames = g_array_new(FALSE, FALSE, sizeof(GstSoraFrame));
    g_array_set_clear_func(job->frames, (GDestroyNotify)gst_sora_frame_clear);

    if ((thread = g_thread_try_new("sora-job", job_thread, gst_sora_job_ref(job), NULL))) {
        g_thread_unref(thread);                 /* nobody joins it: it holds what it needs */
    } else {
        gst_sora_job_unref(job);                /* the thread's */
        g_clear_pointer(&job, gst_sora_job_unref);
    }
    return job;
}

/* ---- The other threads ------------------------------------------------------------------------------------------ */

void gst_sora_job_go(GstSoraJob *job, const GstSoraPlan *plan)
{
    g_mutex_lock(&job->lock);
    job->plan = *plan;
    if (plan->rate_num > 0) job->info.rate_num = plan->rate_num, job->info.rate_den = plan->rate_den;
    job->go = TRUE;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

gboolean gst_sora_job_go_as(GstSoraJob *job, GstSoraJob *other, gboolean keep)
{
    GstSoraPlan plan;
    gboolean go;

    g_mutex_lock(&other->lock);
    go = other->go;
    plan = other->plan;
    g_mutex_unlock(&other->lock);
    plan.keep = keep;
    plan.prebuffer = GST_SORA_PREBUFFER_NONE;
    if (go) gst_sora_job_go(job, &plan);
    return go;
}

void gst_sora_job_set_flushing(GstSoraJob *job, gboolean flushing)
{
    g_mutex_lock(&job->lock);
    job->flushing = flushing;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

void gst_sora_job_set_paused(GstSoraJob *job, gboolean paused)
{
    g_mutex_lock(&job->lock);
    job->paused = paused;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

guint gst_sora_job_cancel(GstSoraJob *job)
{
    guint open;

    g_mutex_lock(&job->lock);
    open = job->open;
    job->open = 0;
    if (job->result == SORA_OK) job->cancelled = TRUE;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    g_mutex_lock(&job->session_lock);
    if (job->session) sora_session_cancel(job->session);
    g_mutex_unlock(&job->session_lock);
    return open;
}

void gst_sora_job_drop(GstSoraJob *job)
{
    g_mutex_lock(&job->lock);
    job->first += job->frames->len;
    g_array_set_size(job->frames, 0);
    g_mutex_unlock(&job->lock);
}

gboolean gst_sora_job_wait_end(GstSoraJob *job, gint64 deadline)
{
    gboolean ended;

    g_mutex_lock(&job->lock);
    while (!job->ended && g_cond_wait_until(&job->cond, &job->lock, deadline)) { }
    ended = job->ended;
    g_mutex_unlock(&job->lock);
    return ended;
}

static void wait_for_late_ones(void)
{
    const gint64 deadline = g_get_monotonic_time() + EXIT_WAIT_US;

    g_mutex_lock(&late.lock);
    while (late.running && g_cond_wait_until(&late.cond, &late.lock, deadline)) { }
    g_mutex_unlock(&late.lock);
}

void gst_sora_job_leave(GstSoraJob *job)
{
    g_mutex_lock(&late.lock);
    g_mutex_lock(&job->lock);
    if (!job->ended && !job->late) {
        job->late = TRUE;
        late.running++;
        /* Registered this late so that it runs before what the engine's libraries have registered. */
        if (!late.registered) late.registered = !atexit(wait_for_late_ones);
    }
    g_mutex_unlock(&job->lock);
    g_mutex_unlock(&late.lock);
}

gboolean gst_sora_job_has_begun(GstSoraJob *job)
{
    gboolean begun;

    g_mutex_lock(&job->session_lock);
    begun = job->begun;
    g_mutex_unlock(&job->session_lock);
    return begun;
}

sora_result gst_sora_job_set_prompt(GstSoraJob *job, const char *prompt, sora_error *err)
{
    sora_result r = SORA_OK;
    gboolean over;

    g_mutex_lock(&job->lock);
    over = job->over;
    g_mutex_unlock(&job->lock);
    if (over) {
        g_snprintf(err->text, sizeof err->text, "prompt: every frame is made already");
        return SORA_ERR_UNSUPPORTED;
    }
    g_mutex_lock(&job->session_lock);
    if (job->session) {
        r = sora_session_set_prompt(job->session, prompt, err);
    } else {
        g_free(job->prompt);
        job->prompt = g_strdup(prompt);
    }
    g_mutex_unlock(&job->session_lock);
    return r;
}

void gst_sora_job_get_stats(GstSoraJob *job, GstSoraStats *stats)
{
    g_mutex_lock(&job->lock);
    memset(stats, 0, sizeof *stats);
    stats->generated = job->produced;
    stats->level = job->frames->len;
    stats->step_s = job->step_s;
    stats->chunk_per_s = job->chunk_per_s;
    if (job->produced && job->frame_us > job->loaded_us)
        stats->frames_per_s = (double)job->produced * G_USEC_PER_SEC / (double)(job->frame_us - job->loaded_us);
    stats->progress = job->progress;
    stats->loaded = job->loaded_us != 0;
    stats->ended = job->ended;
    stats->cancelled = job->cancelled;
    stats->buffering = job->buffering;
    stats->percent = job->buffering ? MAX(0, job->percent) : 100;
    stats->open = job->open;
    stats->result = job->result;
    g_mutex_unlock(&job->lock);
}
