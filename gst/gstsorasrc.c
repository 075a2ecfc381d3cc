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

#include <string.h>

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define STOP_WAIT_US (150 * 1000)       /* a state change takes less than 200 ms, whatever the engine does */

enum {      /* after the properties of the option table */
    PROP_IS_LIVE, PROP_POST_MESSAGES, PROP_MAX_SIZE_BUFFERS, PROP_MAX_SIZE_BYTES, PROP_MAX_SIZE_TIME,
    PROP_CACHE_SIZE, PROP_ACTUAL_SEED, PROP_PROGRESS, PROP_STATE, PROP_STATS
};
static guint first_prop;        /* set once by class_init */

typedef enum {
    STATE_IDLE, STATE_LOADING, STATE_GENERATING, STATE_HOLDING, STATE_FINISHED, STATE_CANCELLED, STATE_FAILED
} GstSoraSrcState;

G_DEFINE_TYPE(GstSoraSrc, gst_sora_src, GST_TYPE_PUSH_SRC)
GST_ELEMENT_REGISTER_DEFINE(sorasrc, "sorasrc", GST_RANK_NONE, GST_TYPE_SORA_SRC)
#define parent_class gst_sora_src_parent_class

static GType state_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { STATE_IDLE, "Not started", "idle" },
        { STATE_LOADING, "The model is being loaded", "loading" },
        { STATE_GENERATING, "Frames are being made", "generating" },
        { STATE_HOLDING, "Live, and the next frame is not there yet: the last one is repeated", "holding" },
        { STATE_FINISHED, "Every frame is made", "finished" },
        { STATE_CANCELLED, "Stopped before the last frame", "cancelled" },
        { STATE_FAILED, "Stopped by an error", "failed" },
        { 0, NULL, NULL },
    };

    if (g_once_init_enter(&type)) {
        const GType t = g_enum_register_static("GstSoraSrcState", values);
        gst_type_mark_as_plugin_api(t, 0);
        g_once_init_leave(&type, t);
    }
    return type;
}

/* ---- A run --------------------------------------------------------------------------------------------------- */

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

gboolean gst_sora_src_renew_job(GstSoraSrc *self)
{
    GstSoraJob *job, *old;

    GST_OBJECT_LOCK(self);
    old = g_steal_pointer(&self->job);
    GST_OBJECT_UNLOCK(self);
    if (old) {
        g_clear_pointer(&self->late, gst_sora_job_unref);       /* old waits for it */
        self->late = old;
    }
    job = gst_sora_job_new(GST_ELEMENT(self), &self->run, &self->info, self->late);
    g_clear_pointer(&self->late, gst_sora_job_unref);
    if (!job) {
        GST_ELEMENT_ERROR(self, RESOURCE, FAILED, ("No thread can be started."), (NULL));
        return FALSE;
    }
    GST_OBJECT_LOCK(self);
    self->job = job;
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

static gboolean start(GstBaseSrc *base)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    const gboolean live = gst_base_src_is_live(base);
    GstSoraSettings settings;
    GstClockTime duration;
    sora_info info;

    if (!check_settings(self, &settings, &info)) return FALSE;
    gst_sora_settings_clear(&self->run);
    self->run = settings;
    gst_sora_flow_reset(self);
    duration = gst_sora_src_clip_duration(&info);
    GST_OBJECT_LOCK(self);
    self->info = info;
    self->seed = info.seed;
    /* 6 bytes: the deepest master.  Looked at again when the size is negotiated. */
    self->keep = !live && info.frames > 0 &&
                 (guint64)info.frames <= self->cache_size / ((guint64)info.native_width * (guint64)info.native_height * 6);
    base->segment.duration = duration;
    GST_OBJECT_UNLOCK(self);
    GST_INFO_OBJECT(self, "%s %s, %dx%d, %d/%d, %" G_GINT64_FORMAT " frames, seed %" G_GINT64_FORMAT, info.family,
                    info.model, info.native_width, info.native_height, info.rate_num, info.rate_den, info.frames,
                    info.seed);
    return gst_sora_src_renew_job(self);
}

static gboolean stop(GstBaseSrc *base)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    GstSoraJob *job;

    GST_OBJECT_LOCK(self);
    job = g_steal_pointer(&self->job);
    GST_OBJECT_UNLOCK(self);
    if (job) {
        cancel_job(self, job);
        gst_sora_job_drop(job);
        if (gst_sora_job_wait_end(job, g_get_monotonic_time() + STOP_WAIT_US)) {
            gst_sora_job_unref(job);
        } else {
            GST_WARNING_OBJECT(self, "the engine has not stopped in time");
            gst_sora_job_leave(job);
            self->late = job;           /* the next run waits for it, in its own thread */
        }
    }
    gst_sora_flow_reset(self);
    return TRUE;
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition)
{
    GstSoraSettings settings;
    sora_info info;

    if (transition == GST_STATE_CHANGE_NULL_TO_READY) {     /* what is wrong is told before anything is built up */
        if (!check_settings(GST_SORA_SRC(element), &settings, &info)) return GST_STATE_CHANGE_FAILURE;
        gst_sora_settings_clear(&settings);
    }
    return GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
}

/* The base class ends the stream without another create(): the work must be told. */
static gboolean send_event(GstElement *element, GstEvent *event)
{
    GstSoraSrc *self = GST_SORA_SRC(element);
    const gboolean eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
    const gboolean done = GST_ELEMENT_CLASS(parent_class)->send_event(element, event);
    GstSoraJob *job;
    gint64 pushed;

    if (!eos || !(job = gst_sora_src_ref_job(self))) return done;
    cancel_job(self, job);
    gst_sora_job_unref(job);
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
    GstSoraJob *job;

    if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_EOS && !self->keep &&
        (job = gst_sora_src_ref_job(self))) {
        cancel_job(self, job);
        gst_sora_job_unref(job);
    }
    return GST_PAD_PROBE_OK;
}

/* ---- Properties ------------------------------------------------------------------------------------------------ */

static void change_prompt(GstSoraSrc *self, const char *prompt)
{
    GstSoraJob *job = gst_sora_src_ref_job(self);
    sora_error err = { 0 };

    if (!job) return;
    if (!prompt || !*prompt)
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("An empty prompt changes nothing."), (NULL));
    else if (gst_sora_job_set_prompt(job, prompt, &err) < 0)
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The new prompt is for the next start: %s.", err.text), (NULL));
    gst_sora_job_unref(job);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    GstSoraSrc *self = GST_SORA_SRC(object);

    if (id < first_prop) {
        GST_OBJECT_LOCK(self);
        gst_sora_settings_set(&self->settings, id, value);
        GST_OBJECT_UNLOCK(self);
        if (!strcmp(spec->name, "prompt")) change_prompt(self, g_value_get_string(value));
        return;
    }
    if (id - first_prop == PROP_IS_LIVE) {
        gst_base_src_set_live(GST_BASE_SRC(self), g_value_get_boolean(value));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id - first_prop) {
    case PROP_POST_MESSAGES: self->post_messages = g_value_get_boolean(value); break;
    case PROP_MAX_SIZE_BUFFERS: self->limits.buffers = g_value_get_uint(value); break;
    case PROP_MAX_SIZE_BYTES: self->limits.bytes = g_value_get_uint64(value); break;
    case PROP_MAX_SIZE_TIME: self->limits.time = g_value_get_uint64(value); break;
    case PROP_CACHE_SIZE: self->cache_size = g_value_get_uint64(value); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static GstSoraSrcState state_of(const GstSoraStats *stats, gboolean holding)
{
    if (holding) return STATE_HOLDING;
    if (stats->cancelled) return STATE_CANCELLED;
    if (stats->result == SORA_EOS) return STATE_FINISHED;
    if (stats->result < 0) return STATE_FAILED;
    return stats->loaded ? STATE_GENERATING : STATE_LOADING;
}

static GstStructure *make_stats(GstSoraSrc *self, const GstSoraStats *stats)
{
    double native = 0;
    gint64 pushed, duplicated;

    GST_OBJECT_LOCK(self);
    if (self->info.rate_num > 0) native = (double)self->info.rate_num / self->info.rate_den;
    pushed = self->flow.pushed;
    duplicated = self->flow.duplicated;
    GST_OBJECT_UNLOCK(self);
    return gst_structure_new("sora-stats",
        "frames-generated", G_TYPE_INT64, stats->generated,
        "frames-pushed", G_TYPE_INT64, pushed,
        "frames-duplicated", G_TYPE_INT64, duplicated,
        "queue-level", G_TYPE_UINT, stats->level,
        "step-time", G_TYPE_DOUBLE, stats->step_s,
        "realtime-factor", G_TYPE_DOUBLE, native > 0 ? stats->frames_per_s / native : 0.0, NULL);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    GstSoraSrc *self = GST_SORA_SRC(object);
    GstSoraStats stats = { 0 };
    GstSoraJob *job;
    gboolean holding;

    if (id < first_prop) {
        GST_OBJECT_LOCK(self);
        gst_sora_settings_get(&self->settings, id, value);
        GST_OBJECT_UNLOCK(self);
        return;
    }
    if ((job = gst_sora_src_ref_job(self))) gst_sora_job_get_stats(job, &stats);
    GST_OBJECT_LOCK(self);
    holding = self->flow.holding;
    switch (id - first_prop) {
    case PROP_POST_MESSAGES: g_value_set_boolean(value, self->post_messages); break;
    case PROP_MAX_SIZE_BUFFERS: g_value_set_uint(value, self->limits.buffers); break;
    case PROP_MAX_SIZE_BYTES: g_value_set_uint64(value, self->limits.bytes); break;
    case PROP_MAX_SIZE_TIME: g_value_set_uint64(value, self->limits.time); break;
    case PROP_CACHE_SIZE: g_value_set_uint64(value, self->cache_size); break;
    case PROP_ACTUAL_SEED: g_value_set_int64(value, self->seed); break;
    case PROP_PROGRESS: g_value_set_double(value, CLAMP(stats.progress.fraction, 0, 1)); break;
    case PROP_STATE: g_value_set_enum(value, job ? (gint)state_of(&stats, holding) : STATE_IDLE); break;
    default: break;
    }
    GST_OBJECT_UNLOCK(self);
    switch (id - first_prop) {
    case PROP_IS_LIVE: g_value_set_boolean(value, gst_base_src_is_live(GST_BASE_SRC(self))); break;
    case PROP_STATS: g_value_take_boxed(value, make_stats(self, &stats)); break;
    default: if (id - first_prop > PROP_STATS) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    g_clear_pointer(&job, gst_sora_job_unref);
}

void gst_sora_src_post_work(GstSoraSrc *self)
{
    GstSoraJob *job = gst_sora_src_ref_job(self);
    GstSoraStats stats;
    gboolean messages;

    if (!job) return;
    gst_sora_job_get_stats(job, &stats);
    gst_sora_job_unref(job);
    GST_OBJECT_LOCK(self);
    messages = self->post_messages;
    GST_OBJECT_UNLOCK(self);
    if (!stats.generated && !stats.cancelled && stats.result == SORA_OK &&
        stats.loaded == (stats.progress.stage != SORA_STAGE_LOAD))      /* not the loading's last news as the first */
        gst_sora_post_progress(GST_ELEMENT(self), GST_PROGRESS_TYPE_CONTINUE, stats.loaded ? "request" : "open",
                               gst_sora_stage_name(stats.progress.stage), (int)(stats.progress.fraction * 100));
    if (messages)
        gst_sora_post_work(GST_ELEMENT(self), &stats.progress, stats.frames_per_s,
                           (double)self->info.rate_num / self->info.rate_den);
}

/* ---- Queries --------------------------------------------------------------------------------------------------- */

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
    gboolean known, done;
    GstVideoInfo out;

    GST_OBJECT_LOCK(self);
    known = frame_duration(self, &frame);
    duration = gst_sora_src_clip_duration(&self->info);
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

static gboolean is_seekable(GstBaseSrc *base)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    gboolean keep;

    GST_OBJECT_LOCK(self);
    keep = self->keep && self->job;
    GST_OBJECT_UNLOCK(self);
    return keep;
}

/* ---- The class --------------------------------------------------------------------------------------------------- */

static void finalize(GObject *object)
{
    GstSoraSrc *self = GST_SORA_SRC(object);

    g_clear_pointer(&self->late, gst_sora_job_unref);       /* ends on its own */
    gst_sora_settings_clear(&self->settings);
    gst_sora_settings_clear(&self->run);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void install_properties(GObjectClass *klass)
{
    const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
    const GParamFlags shown = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

    first_prop = gst_sora_settings_install(klass);
#define INSTALL(id, spec) g_object_class_install_property(klass, first_prop + (id), spec)
    INSTALL(PROP_IS_LIVE, g_param_spec_boolean("is-live", "is-live",
        "Keep pace with the clock: while the next frame is not there, the last one is repeated", FALSE, ready));
    INSTALL(PROP_POST_MESSAGES, g_param_spec_boolean("post-messages", "post-messages",
        "Post sora-progress messages, at most four a second", TRUE, playing));
    INSTALL(PROP_MAX_SIZE_BUFFERS, g_param_spec_uint("max-size-buffers", "max-size-buffers",
        "Frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT, 0, ready));
    INSTALL(PROP_MAX_SIZE_BYTES, g_param_spec_uint64("max-size-bytes", "max-size-bytes",
        "Bytes of frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT64, 256 << 20, ready));
    INSTALL(PROP_MAX_SIZE_TIME, g_param_spec_uint64("max-size-time", "max-size-time",
        "Nanoseconds of frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT64, GST_SECOND,
        ready));
    INSTALL(PROP_CACHE_SIZE, g_param_spec_uint64("cache-size", "cache-size",
        "Bytes that a whole clip may take to be kept, which makes it seekable (0: never)", 0, G_MAXUINT64, 512 << 20,
        ready));
    INSTALL(PROP_ACTUAL_SEED, g_param_spec_int64("actual-seed", "actual-seed",
        "The seed in use, also where it was drawn (-1: not started yet)", -1, G_MAXINT64, -1, shown));
    INSTALL(PROP_PROGRESS, g_param_spec_double("progress", "progress",
        "Part of the clip that is made, or of the chunk where the stream is endless", 0, 1, 0, shown));
    INSTALL(PROP_STATE, g_param_spec_enum("state", "state", "What the engine does", state_get_type(), STATE_IDLE,
                                          shown));
    INSTALL(PROP_STATS, g_param_spec_boxed("stats", "stats",
        "Frames generated, pushed and repeated, frames that wait, seconds a step, speed relative to real time",
        GST_TYPE_STRUCTURE, shown));
#undef INSTALL
}

static void gst_sora_src_class_init(GstSoraSrcClass *klass)
{
    GObjectClass *object = G_OBJECT_CLASS(klass);
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    GstBaseSrcClass *base = GST_BASE_SRC_CLASS(klass);
    GstCaps *caps = gst_sora_caps_template();

    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    install_properties(object);

    gst_element_class_set_static_metadata(element, "Text to video source", "Source/Video",
        "Makes video from a sentence with a diffusion model on the CPU", "the libsora authors");
    gst_element_class_add_pad_template(element, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
    gst_caps_unref(caps);
    element->change_state = GST_DEBUG_FUNCPTR(change_state);
    element->send_event = GST_DEBUG_FUNCPTR(send_event);
    base->start = GST_DEBUG_FUNCPTR(start);
    base->stop = GST_DEBUG_FUNCPTR(stop);
    base->query = GST_DEBUG_FUNCPTR(query);
    base->is_seekable = GST_DEBUG_FUNCPTR(is_seekable);
    gst_sora_flow_class_init(base, GST_PUSH_SRC_CLASS(klass));
}

static void gst_sora_src_init(GstSoraSrc *self)
{
    GstBaseSrc *base = GST_BASE_SRC(self);

    gst_sora_settings_init(&self->settings, G_OBJECT_GET_CLASS(self));
    self->limits.bytes = 256 << 20;
    self->limits.time = GST_SECOND;
    self->cache_size = 512 << 20;
    self->post_messages = TRUE;
    self->seed = -1;
    gst_video_info_init(&self->flow.out);
    gst_base_src_set_format(base, GST_FORMAT_TIME);
    gst_pad_add_probe(GST_BASE_SRC_PAD(base), GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_eos, self, NULL);
}
