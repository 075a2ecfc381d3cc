/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-sorasrc
 * @title: sorasrc
 *
 * Makes video from a sentence, with a model that runs on the CPU.
 *
 * |[
 * gst-launch-1.0 sorasrc prompt="a red balloon over green hills" ! videoconvert ! x264enc ! mp4mux !
 *     filesink location=a.mp4
 * ]|
 *
 * No state change loads a model or waits for a frame: a thread of the run does, see gstsorajob.h.
 */
#include "config.h"

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define STOP_WAIT_US (150 * 1000)       /* a state change takes less than 200 ms, whatever the engine does */

G_DEFINE_TYPE_WITH_CODE(GstSoraSrc, gst_sora_src, GST_TYPE_PUSH_SRC,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER, gst_sora_uri_handler_init)
                        G_IMPLEMENT_INTERFACE(GST_TYPE_PRESET, gst_sora_preset_init))
GST_ELEMENT_REGISTER_DEFINE(sorasrc, "sorasrc", GST_RANK_PRIMARY, GST_TYPE_SORA_SRC)
#define parent_class gst_sora_src_parent_class

static const GstSoraJobOwner calls = { gst_sora_prompt_chunk, gst_sora_park, gst_sora_park_clear,
                                       gst_sora_signals_begun, gst_sora_signals_ended,
                                       gst_sora_post_buffering };

/* ---- A run ------------------------------------------------------------------------------------------------------ */

GstSoraJob *gst_sora_src_ref_job(GstSoraSrc *self)
{
    GstSoraJob *job;

    GST_OBJECT_LOCK(self);
    job = self->job ? gst_sora_job_ref(self->job) : NULL;
    GST_OBJECT_UNLOCK(self);
    return job;
}

GstClockTime gst_sora_src_clip_duration(const sora_info *info)
{
    if (info->frames <= 0 || info->rate_num <= 0) return GST_CLOCK_TIME_NONE;
    return gst_util_uint64_scale((guint64)info->frames, (guint64)info->rate_den * GST_SECOND,
                                 (guint64)info->rate_num);
}

GstClockTime gst_sora_src_duration(GstSoraSrc *self)
{
    const GstSoraFlow *f = &self->flow;
    sora_info rest = self->info;

    if (rest.frames <= f->lead || !f->lead) return gst_sora_src_clip_duration(&rest);
    rest.frames -= f->lead;
    return f->origin + gst_sora_src_clip_duration(&rest);
}

/* Whether what is set can work, from the headers of the model's files; posts what is wrong. */
static gboolean check_settings(GstSoraSrc *self, GstSoraSettings *settings, sora_info *info)
{
    const gboolean live = gst_base_src_is_live(GST_BASE_SRC(self));
    sora_session *s = NULL;
    sora_error err = { 0 };
    sora_options o;
    sora_result r;

    GST_OBJECT_LOCK(self);
    gst_sora_settings_copy(settings, &self->settings);
    GST_OBJECT_UNLOCK(self);
    gst_sora_settings_to_options(settings, &o);
    if (!o.prompt && !o.prompt_file) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS, ("No prompt is set."),
                          ("set the property prompt or prompt-file"));
        goto failed;
    }
    if (o.prompt && o.prompt_file) {
        GST_ELEMENT_ERROR(self, RESOURCE, SETTINGS, ("Both prompt and prompt-file are set."), ("set one of them"));
        goto failed;
    }
    if ((r = sora_session_open(&s, &o, &err)) < 0) {
        gst_sora_post_error(GST_ELEMENT(self), r, err.text, settings->model);
        goto failed;
    }
    sora_info_init(info);
    sora_session_get_info(s, info);
    sora_session_close(&s);
    if (info->rate_num <= 0 || info->rate_den <= 0 || info->native_width <= 0 || info->native_height <= 0) {
        gst_sora_post_error(GST_ELEMENT(self), SORA_ERR_INTERNAL, "the model tells no size or rate", settings->model);
        goto failed;
    }
    settings->seed = info->seed;                    /* one draw for the whole run */
    if (live && !settings->threads) settings->threads = MAX(1, info->threads - 1);  /* the frames in between need one */
    return TRUE;
failed:
    gst_sora_settings_clear(settings);
    return FALSE;
}

/* Under the object lock as a whole, or the word of two threads could arrive in the wrong order. */
void gst_sora_src_update_paused(GstSoraSrc *self)
{
    const gboolean paused = !self->playing && !self->generate_in_paused;

    if (self->job) gst_sora_job_set_paused(self->job, paused);
    if (self->next) gst_sora_job_set_paused(self->next, paused);
}

gboolean gst_sora_src_renew_job(GstSoraSrc *self)
{
    GstSoraJob *job, *old;
    guint run;

    GST_OBJECT_LOCK(self);
    run = self->run_number;
    old = g_steal_pointer(&self->job);
    GST_OBJECT_UNLOCK(self);
    if (old) {
        g_clear_pointer(&self->late, gst_sora_job_unref);       /* old waits for it */
        self->late = old;
    }
    job = gst_sora_job_new(GST_ELEMENT(self), &self->run, &self->info, self->late, run,
                           GST_SORA_OPEN | GST_SORA_REQUEST, &calls);
    g_clear_pointer(&self->late, gst_sora_job_unref);
    if (!job) {
        GST_ELEMENT_ERROR(self, RESOURCE, FAILED, ("No thread can be started."), (NULL));
        return FALSE;
    }
    GST_OBJECT_LOCK(self);
    self->job = job;
    self->stopped = FALSE;
    gst_sora_src_update_paused(self);
    GST_OBJECT_UNLOCK(self);
    gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_START, "open", "Loading the model", 0);
    gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_START, "request", "Making the first frame", 0);
    return TRUE;
}

static void cancel_job(GstSoraSrc *self, GstSoraJob *job)
{
    const guint open = gst_sora_job_cancel(job);

    if (open & GST_SORA_OPEN)
        gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_CANCELED, "open", "Loading was cancelled", 100);
    if (open & GST_SORA_REQUEST)
        gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_CANCELED, "request", "Cancelled", 100);
}

/* Nothing takes over any more.  Returns the job that would have, for who waits for its end. */
static GstSoraJob *drop_next(GstSoraSrc *self)
{
    GstSoraJob *next;

    GST_OBJECT_LOCK(self);
    next = g_steal_pointer(&self->next);
    GST_OBJECT_UNLOCK(self);
    if (next) {
        cancel_job(self, next);
        gst_sora_job_drop(next);
    }
    return next;
}

void gst_sora_src_cancel(GstSoraSrc *self)
{
    GstSoraJob *next, *job;

    GST_OBJECT_LOCK(self);
    self->stopped = TRUE;       /* first: then no job comes into the place of the one that is dropped */
    GST_OBJECT_UNLOCK(self);
    next = drop_next(self);
    if ((job = gst_sora_src_ref_job(self))) {
        gst_sora_job_end_buffering(job);
        cancel_job(self, job);
    }
    g_clear_pointer(&next, gst_sora_job_unref);
    g_clear_pointer(&job, gst_sora_job_unref);
}

/* Put a job behind the one that plays, in place of one that is there already.  There is never a moment without either,
   in which the stream would end.  FALSE: that one has just begun to play, so that all is to be done again. */
static gboolean try_chain(GstSoraSrc *self, const GstSoraSettings *settings, const sora_info *info, gboolean keep,
                          gboolean now)
{
    GstSoraJob *job, *before, *next;
    gboolean taken = FALSE, again = FALSE;
    guint run;

    GST_OBJECT_LOCK(self);
    run = self->run_number;
    job = self->job ? gst_sora_job_ref(self->job) : NULL;
    before = self->next ? gst_sora_job_ref(self->next) : NULL;
    GST_OBJECT_UNLOCK(self);
    next = job ? gst_sora_job_new(GST_ELEMENT(self), settings, info, before ? before : job, run, 0, &calls) : NULL;
    if (next && gst_sora_job_go_as(next, job, keep)) {              /* else no thread; or nothing is begun */
        GST_OBJECT_LOCK(self);
        taken = self->job == job && self->next == before && !self->stopped;
        again = !taken && self->job && !self->stopped;
        if (taken) {
            self->next = gst_sora_job_ref(next);
            self->chained = TRUE;
            gst_sora_src_update_paused(self);
            GST_BASE_SRC(self)->segment.duration = GST_CLOCK_TIME_NONE;
        }
        GST_OBJECT_UNLOCK(self);
    }
    if (taken && before) {
        cancel_job(self, before);
        gst_sora_job_drop(before);
        gst_sora_job_unref(before);                                 /* the reference that self->next was */
    }
    if (taken && now) {
        gst_sora_job_end_buffering(job);        /* before the stream can wait for the next one */
        cancel_job(self, job);
        gst_sora_job_drop(job);
    }
    if (next && !taken) gst_sora_job_cancel(next);
    g_clear_pointer(&next, gst_sora_job_unref);
    g_clear_pointer(&before, gst_sora_job_unref);
    g_clear_pointer(&job, gst_sora_job_unref);
    return !again;
}

static void chain(GstSoraSrc *self, const char *prompt, gint64 seed, gboolean now)
{
    GstSoraSettings settings;
    gboolean keep, begun;
    sora_info info;

    GST_OBJECT_LOCK(self);
    if ((begun = self->job != NULL)) {
        info = self->info;
        if (prompt) {
            g_free(self->run.prompt);
            self->run.prompt = g_strdup(prompt);
            g_clear_pointer(&self->run.prompt_file, g_free);
        }
        if (seed >= 0) self->run.seed = seed;
        gst_sora_settings_copy(&settings, &self->run);
        keep = self->keep && self->repeat;
    }
    GST_OBJECT_UNLOCK(self);
    if (!begun) return;
    while (!try_chain(self, &settings, &info, keep, now)) { }
    gst_sora_settings_clear(&settings);
}

void gst_sora_src_chain(GstSoraSrc *self, const char *prompt, gint64 seed, gboolean now)
{
    g_rec_mutex_lock(&self->change_lock);
    chain(self, prompt, seed, now);
    g_rec_mutex_unlock(&self->change_lock);
}

gboolean gst_sora_src_take_next(GstSoraSrc *self, gboolean if_ready)
{
    GstSoraStats of_next = { 0 }, of_job = { 0 };
    GstSoraJob *next, *old = NULL;
    gboolean overtaken;

    do {                        /* another prompt may put its job in the place of this one while the stats are read */
        GST_OBJECT_LOCK(self);
        next = self->next ? gst_sora_job_ref(self->next) : NULL;
        GST_OBJECT_UNLOCK(self);
        if (!next) return FALSE;
        gst_sora_job_get_stats(next, &of_next);
        GST_OBJECT_LOCK(self);
        overtaken = self->next != next;
        if (!overtaken && (!if_ready || of_next.generated)) {
            old = self->job;
            self->job = g_steal_pointer(&self->next);
        }
        GST_OBJECT_UNLOCK(self);
        gst_sora_job_unref(next);
    } while (overtaken);
    if (!old) return FALSE;
    gst_sora_job_get_stats(old, &of_job);
    gst_sora_job_cancel(old);
    gst_sora_job_drop(old);
    gst_sora_job_unref(old);
    GST_OBJECT_LOCK(self);
    self->flow.generated += of_job.generated;
    GST_OBJECT_UNLOCK(self);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_duration_changed(GST_OBJECT(self)));
    return TRUE;
}

static gboolean start(GstBaseSrc *base)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    const gboolean live = gst_base_src_is_live(base);
    GstSoraSettings settings;
    GstClockTime duration;
    guint64 bytes;
    sora_info info;

    if (!check_settings(self, &settings, &info)) return FALSE;
    gst_sora_flow_reset(self);
    GST_OBJECT_LOCK(self);
    gst_sora_settings_clear(&self->run);
    self->run = settings;
    self->info = info;
    self->seed = info.seed;
    self->new_seed = -1;
    self->new_guidance = 0;
    self->chained = FALSE;
    self->flow.retime = self->rate_mode == GST_SORA_RATE_RETIME;
    duration = live || self->repeat ? GST_CLOCK_TIME_NONE : gst_sora_src_clip_duration(&info);
    /* 6 bytes: the deepest master.  Looked at again when the size is negotiated. */
    bytes = (guint64)info.native_width * (guint64)info.native_height * 6;
    self->keep = (!live || self->repeat) && info.frames > 0 && (guint64)info.frames <= self->cache_size / bytes;
    base->segment.duration = duration;
    GST_OBJECT_UNLOCK(self);
    GST_INFO_OBJECT(self, "%s %s, %dx%d, %d/%d, %" G_GINT64_FORMAT " frames, seed %" G_GINT64_FORMAT, info.family,
                    info.model, info.native_width, info.native_height, info.rate_num, info.rate_den, info.frames,
                    info.seed);
    if (!gst_sora_src_renew_job(self)) return FALSE;
    if (live) gst_sora_placeholder_begin(self);
    return TRUE;
}

static gboolean stop(GstBaseSrc *base)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    GstSoraJob *next = drop_next(self), *job;

    GST_OBJECT_LOCK(self);
    job = g_steal_pointer(&self->job);
    GST_OBJECT_UNLOCK(self);
    if (job) {
        cancel_job(self, job);
        gst_sora_job_drop(job);
        if (next) {                     /* waits for job: the end of one is the end of both */
            gst_sora_job_unref(job);
            job = g_steal_pointer(&next);
        }
        if (gst_sora_job_wait_end(job, g_get_monotonic_time() + STOP_WAIT_US)) {
            gst_sora_job_unref(job);
        } else {
            GST_WARNING_OBJECT(self, "the engine has not stopped in time");
            gst_sora_job_leave(job);
            self->late = job;           /* the next run waits for it, in its own thread */
        }
    }
    gst_sora_signals_stop(self);
    gst_sora_placeholder_end(self);
    gst_sora_flow_reset(self);
    return TRUE;
}

static void set_playing(GstSoraSrc *self, gboolean playing)
{
    GST_OBJECT_LOCK(self);
    self->playing = playing;
    gst_sora_src_update_paused(self);
    GST_OBJECT_UNLOCK(self);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    GstSoraSrc *self = GST_SORA_SRC(element);
    GstSoraSettings settings;
    GstStateChangeReturn r;
    sora_info info;

    if (transition == GST_STATE_CHANGE_NULL_TO_READY) {     /* what is wrong is told before anything is built up */
        if (!check_settings(self, &settings, &info)) return GST_STATE_CHANGE_FAILURE;
        gst_sora_settings_clear(&settings);
        gst_sora_park_open(self, TRUE);
    }
    if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING) set_playing(self, TRUE);
    r = GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED) set_playing(self, FALSE);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL) gst_sora_park_open(self, FALSE);
    return r;
}

static gboolean is_seekable(GstBaseSrc *base)
{
    const gboolean live = gst_base_src_is_live(base);
    GstSoraSrc *self = GST_SORA_SRC(base);
    gboolean keep;

    GST_OBJECT_LOCK(self);
    keep = self->keep && self->job && !self->chained && !self->repeat && !live;
    GST_OBJECT_UNLOCK(self);
    return keep;
}

/* EOS: the base class ends the stream without another create(), so the work must be told.  A seek that is refused must
   not reach the base class: here it does not ask whether the stream can seek, flushes, and so loses the segment. */
static gboolean send_event(GstElement *element, GstEvent *event)
{
    GstSoraSrc *self = GST_SORA_SRC(element);
    const GstEventType type = GST_EVENT_TYPE(event);
    GstSoraJob *job = gst_sora_src_ref_job(self);
    gboolean done;
    gint64 pushed;

    if (type == GST_EVENT_SEEK && job && !is_seekable(GST_BASE_SRC(element))) {
        gst_event_unref(event);
        gst_sora_job_unref(job);
        return FALSE;
    }
    g_clear_pointer(&job, gst_sora_job_unref);
    if (gst_sora_prompt_is_event(event)) {          /* the base class takes no upstream event from here */
        done = gst_sora_prompt_event(self, event);
        gst_event_unref(event);
        return done;
    }
    done = GST_ELEMENT_CLASS(parent_class)->send_event(element, event);
    if (type != GST_EVENT_EOS || !(job = gst_sora_src_ref_job(self))) return done;
    gst_sora_job_unref(job);
    gst_sora_src_cancel(self);
    GST_OBJECT_LOCK(self);
    pushed = self->flow.pushed;
    GST_OBJECT_UNLOCK(self);
    if (!pushed)
        GST_ELEMENT_WARNING(self, STREAM, FAILED, ("No frame was generated; the output may be unplayable."),
                            ("EOS came before the first frame"));
    return done;
}

/* An endless stream that has told EOS, whoever caused it, needs no more frames; a clip may be seeked back into. */
static GstPadProbeReturn on_eos(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    GstSoraSrc *self = GST_SORA_SRC(user);

    if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_EOS && !is_seekable(GST_BASE_SRC(self)))
        gst_sora_src_cancel(self);
    return GST_PAD_PROBE_OK;
}

void gst_sora_src_post_work(GstSoraSrc *self)
{
    GstSoraJob *job = gst_sora_src_ref_job(self);
    gboolean messages, pending;
    GstSoraStats stats;

    if (!job) return;
    gst_sora_job_get_stats(job, &stats);
    gst_sora_job_unref(job);
    GST_OBJECT_LOCK(self);
    messages = self->post_messages;
    GST_OBJECT_UNLOCK(self);
    pending = (stats.open & (stats.loaded ? GST_SORA_REQUEST : GST_SORA_OPEN)) != 0;
    if (pending && !stats.generated && !stats.cancelled && stats.result == SORA_OK &&
        stats.loaded == (stats.progress.stage != SORA_STAGE_LOAD))      /* not the loading's last news as the first */
        gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_CONTINUE, stats.loaded ? "request" : "open",
                               gst_sora_stage_name(stats.progress.stage), (int)(stats.progress.fraction * 100));
    if (messages)
        gst_sora_post_work(GST_ELEMENT(self), &stats.progress, stats.frames_per_s,
                           (double)self->info.rate_num / self->info.rate_den);
}

/* ---- Queries ---------------------------------------------------------------------------------------------------- */

/* With the object lock. */
static gboolean frame_duration(GstSoraSrc *self, GstClockTime *duration)
{
    const GstVideoInfo *out = &self->flow.out;
    int num = self->info.rate_num, den = self->info.rate_den;

    if (GST_VIDEO_INFO_FORMAT(out) != GST_VIDEO_FORMAT_UNKNOWN && out->fps_n > 0) num = out->fps_n, den = out->fps_d;
    if (num <= 0) return FALSE;
    *duration = gst_util_uint64_scale_int(GST_SECOND, den, num);
    return TRUE;
}

static gboolean query(GstBaseSrc *base, GstQuery *q)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    const gboolean live = gst_base_src_is_live(base);
    GstClockTime frame = 0, duration;
    gint64 from_value, to_value;
    GstFormat format, to;
    gboolean known, done, buffers;
    GstSoraStats stats;
    GstVideoInfo out;
    GstSoraJob *job;

    GST_OBJECT_LOCK(self);
    known = frame_duration(self, &frame);
    duration = gst_sora_src_duration(self);
    if (live || self->chained || self->repeat) duration = GST_CLOCK_TIME_NONE;      /* live, holds come on top */
    buffers = self->use_buffering && !live;
    out = self->flow.out;
    if (out.fps_n <= 0) out.fps_n = self->info.rate_num, out.fps_d = self->info.rate_den;
    GST_OBJECT_UNLOCK(self);

    switch (GST_QUERY_TYPE(q)) {
    case GST_QUERY_LATENCY:         /* frames are stamped when they leave: never the time that making them takes */
        if (!known) break;
        gst_query_set_latency(q, live, live ? frame : 0, GST_CLOCK_TIME_NONE);
        return TRUE;
    case GST_QUERY_DURATION:
        gst_query_parse_duration(q, &format, NULL);
        if (!GST_CLOCK_TIME_IS_VALID(duration)) break;
        if (format == GST_FORMAT_TIME) {
            gst_query_set_duration(q, format, (gint64)duration);
            return TRUE;
        }
        if (format == GST_FORMAT_DEFAULT) {
            gst_query_set_duration(q, format, (gint64)gst_util_uint64_scale_round(duration, (guint64)out.fps_n,
                                                                       (guint64)out.fps_d * GST_SECOND));
            return TRUE;
        }
        break;
    case GST_QUERY_BUFFERING:
        if (!buffers || !(job = gst_sora_src_ref_job(self))) break;
        gst_sora_job_get_stats(job, &stats);
        gst_sora_job_unref(job);
        gst_query_set_buffering_percent(q, stats.buffering, stats.percent);
        gst_query_set_buffering_stats(q, GST_BUFFERING_STREAM, -1, -1, -1);
        return TRUE;
    case GST_QUERY_CONVERT:
        if (!known || GST_VIDEO_INFO_FORMAT(&out) == GST_VIDEO_FORMAT_UNKNOWN) break;
        gst_query_parse_convert(q, &format, &from_value, &to, NULL);
        done = gst_video_info_convert(&out, format, from_value, to, &to_value);
        if (done) gst_query_set_convert(q, format, from_value, to, to_value);
        return done;
    default: break;
    }
    return GST_BASE_SRC_CLASS(parent_class)->query(base, q);
}

static gboolean event(GstBaseSrc *base, GstEvent *e)
{
    if (gst_sora_prompt_is_event(e)) return gst_sora_prompt_event(GST_SORA_SRC(base), e);
    return GST_BASE_SRC_CLASS(parent_class)->event(base, e);
}

/* ---- The class -------------------------------------------------------------------------------------------------- */

static void finalize(GObject *object)
{
    GstSoraSrc *self = GST_SORA_SRC(object);

    g_clear_pointer(&self->late, gst_sora_job_unref);       /* ends on its own */
    gst_sora_settings_clear(&self->settings);
    gst_sora_settings_clear(&self->run);
    gst_sora_park_open(self, FALSE);
    gst_sora_placeholder_end(self);
    g_free(self->placeholder.location);
    gst_sora_flow_free(self);
    g_rec_mutex_clear(&self->change_lock);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void gst_sora_src_class_init(GstSoraSrcClass *klass)
{
    GObjectClass *object = G_OBJECT_CLASS(klass);
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    GstBaseSrcClass *base = GST_BASE_SRC_CLASS(klass);
    GstCaps *caps = gst_sora_caps_template();

    object->finalize = finalize;
    gst_sora_properties_class_init(object);
    gst_sora_prompt_class_init(object);
    gst_sora_signals_class_init(object);

    gst_element_class_set_static_metadata(element, "Text to video source", "Source/Video",
        "Makes video from a sentence with a diffusion model on the CPU", "the libsora authors");
    gst_element_class_add_pad_template(element, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
    element->change_state = GST_DEBUG_FUNCPTR(change_state);
    element->send_event = GST_DEBUG_FUNCPTR(send_event);
    base->start = GST_DEBUG_FUNCPTR(start);
    base->stop = GST_DEBUG_FUNCPTR(stop);
    base->event = GST_DEBUG_FUNCPTR(event);
    base->query = GST_DEBUG_FUNCPTR(query);
    base->is_seekable = GST_DEBUG_FUNCPTR(is_seekable);
    gst_sora_flow_class_init(base, GST_PUSH_SRC_CLASS(klass));
}

static void gst_sora_src_init(GstSoraSrc *self)
{
    GstBaseSrc *base = GST_BASE_SRC(self);

    g_rec_mutex_init(&self->change_lock);
    gst_sora_properties_init(self);
    gst_video_info_init(&self->flow.out);
    self->flow.fill.chunk = g_ptr_array_new_with_free_func((GDestroyNotify)gst_buffer_unref);
    gst_base_src_set_format(base, GST_FORMAT_TIME);
    gst_pad_add_probe(GST_BASE_SRC_PAD(base), GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_eos, self, NULL);
}
