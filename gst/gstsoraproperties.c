/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The properties of sorasrc that are not options of the library, and those that tell what it does. */
#include "config.h"

#include <string.h>
#include <sys/resource.h>

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug

#define MAX_BYTES  (256 << 20)
#define MAX_TIME   GST_SECOND       /* more would be more comfortable and later to follow a new prompt */
#define CACHE_SIZE (512 << 20)

enum {      /* after the properties of the option table */
    PROP_IS_LIVE, PROP_POST_MESSAGES, PROP_MAX_SIZE_BUFFERS, PROP_MAX_SIZE_BYTES, PROP_MAX_SIZE_TIME,
    PROP_CACHE_SIZE, PROP_UNDERRUN, PROP_PREBUFFER, PROP_PROMPT_CHANGE, PROP_REPEAT, PROP_TAGS, PROP_KEEP_MODEL,
    PROP_UNLOAD_AFTER, PROP_SCALE_MODE, PROP_RATE_MODE, PROP_PLACEHOLDER, PROP_WATERMARK, PROP_GENERATE_IN_PAUSED,
    PROP_USE_BUFFERING, PROP_ACTUAL_SEED, PROP_PROGRESS, PROP_STATE, PROP_STATS
};
static guint first_prop;        /* set once by class_init */

typedef enum {
    STATE_IDLE, STATE_LOADING, STATE_GENERATING, STATE_HOLDING, STATE_FINISHED, STATE_CANCELLED, STATE_FAILED
} GstSoraSrcState;

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

    return gst_sora_enum_type(&type, "GstSoraSrcState", values);
}

static GType prebuffer_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_PREBUFFER_NONE, "Nothing: each frame goes out when it is made", "none" },
        { GST_SORA_PREBUFFER_AUTO, "As much as it takes to play on without a stop", "auto" },
        { GST_SORA_PREBUFFER_FULL, "All of the clip, or what the limits allow", "full" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraPrebuffer", values);
}

static GType rate_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_RATE_RESAMPLE, "The content keeps its time: frames are repeated or left out", "resample" },
        { GST_SORA_RATE_RETIME, "Each frame is shown once: the content is faster or slower", "retime" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraRate", values);
}

/* What a running job learns of at once.  The rest is for the next start. */
static void changed(GstSoraSrc *self, const char *name, const GValue *value)
{
    GST_OBJECT_LOCK(self);
    if (!strcmp(name, "seed")) self->new_seed = g_value_get_int64(value);
    if (!strcmp(name, "guidance")) self->new_guidance = g_value_get_float(value);
    GST_OBJECT_UNLOCK(self);
    if (!strcmp(name, "prompt")) gst_sora_prompt_set(self, g_value_get_string(value));
    if (!strcmp(name, "prompt-file")) gst_sora_prompt_read_file(self);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    GstSoraSrc *self = GST_SORA_SRC(object);

    if (id < first_prop) {
        g_rec_mutex_lock(&self->change_lock);       /* what is set last is shown last */
        GST_OBJECT_LOCK(self);
        gst_sora_settings_set(&self->settings, id, value);
        GST_OBJECT_UNLOCK(self);
        changed(self, spec->name, value);
        g_rec_mutex_unlock(&self->change_lock);
        return;
    }
    if (id - first_prop == PROP_IS_LIVE) {
        gst_base_src_set_live(GST_BASE_SRC(self), g_value_get_boolean(value));
        return;
    }
    if (id - first_prop == PROP_PLACEHOLDER) {
        gst_sora_placeholder_set(self, g_value_get_string(value));
        return;
    }
    GST_OBJECT_LOCK(self);
    switch (id - first_prop) {
    case PROP_POST_MESSAGES: self->post_messages = g_value_get_boolean(value); break;
    case PROP_MAX_SIZE_BUFFERS: self->limits.buffers = g_value_get_uint(value); break;
    case PROP_MAX_SIZE_BYTES: self->limits.bytes = g_value_get_uint64(value); break;
    case PROP_MAX_SIZE_TIME: self->limits.time = g_value_get_uint64(value); break;
    case PROP_CACHE_SIZE: self->cache_size = g_value_get_uint64(value); break;
    case PROP_UNDERRUN: self->underrun = (GstSoraUnderrun)g_value_get_enum(value); break;
    case PROP_PREBUFFER: self->prebuffer = (GstSoraPrebuffer)g_value_get_enum(value); break;
    case PROP_PROMPT_CHANGE: self->prompt_change = (GstSoraPromptChange)g_value_get_enum(value); break;
    case PROP_REPEAT: self->repeat = g_value_get_boolean(value); break;
    case PROP_TAGS: self->tags = (GstSoraTags)g_value_get_enum(value); break;
    case PROP_KEEP_MODEL: self->keep_model = g_value_get_boolean(value); break;
    case PROP_UNLOAD_AFTER: self->unload_after = g_value_get_uint64(value); break;
    case PROP_RATE_MODE: self->rate_mode = (GstSoraRate)g_value_get_enum(value); break;
    case PROP_WATERMARK: self->watermark = g_value_get_boolean(value); break;
    case PROP_GENERATE_IN_PAUSED:
        self->generate_in_paused = g_value_get_boolean(value);
        gst_sora_src_update_paused(self);
        break;
    case PROP_USE_BUFFERING: self->use_buffering = g_value_get_boolean(value); break;
    case PROP_SCALE_MODE: self->scale_mode = (GstSoraScale)g_value_get_enum(value); break;
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
    gint64 pushed, duplicated, dropped, before;
    struct rusage usage = { 0 };
    gboolean in_memory;

    GST_OBJECT_LOCK(self);
    before = self->flow.generated;
    if (self->info.rate_num > 0) native = (double)self->info.rate_num / self->info.rate_den;
    pushed = self->flow.pushed;
    duplicated = self->flow.duplicated;
    dropped = self->flow.dropped;
    in_memory = self->parked || (stats->loaded && !stats->ended);
    GST_OBJECT_UNLOCK(self);
    getrusage(RUSAGE_SELF, &usage);
    return gst_structure_new("sora-stats",
        "frames-generated", G_TYPE_INT64, before + stats->generated,
        "frames-pushed", G_TYPE_INT64, pushed,
        "frames-duplicated", G_TYPE_INT64, duplicated,
        "slots-dropped", G_TYPE_INT64, dropped,
        "queue-level", G_TYPE_UINT, stats->level,
        "step-time", G_TYPE_DOUBLE, stats->step_s,
        "realtime-factor", G_TYPE_DOUBLE, native > 0 ? stats->frames_per_s / native : 0.0,
        "model-loaded", G_TYPE_BOOLEAN, in_memory,
        "peak-rss", G_TYPE_UINT64, (guint64)usage.ru_maxrss * 1024, NULL);
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
    case PROP_UNDERRUN: g_value_set_enum(value, (gint)self->underrun); break;
    case PROP_PREBUFFER: g_value_set_enum(value, (gint)self->prebuffer); break;
    case PROP_PROMPT_CHANGE: g_value_set_enum(value, (gint)self->prompt_change); break;
    case PROP_REPEAT: g_value_set_boolean(value, self->repeat); break;
    case PROP_TAGS: g_value_set_enum(value, (gint)self->tags); break;
    case PROP_KEEP_MODEL: g_value_set_boolean(value, self->keep_model); break;
    case PROP_UNLOAD_AFTER: g_value_set_uint64(value, self->unload_after); break;
    case PROP_RATE_MODE: g_value_set_enum(value, (gint)self->rate_mode); break;
    case PROP_PLACEHOLDER: g_value_set_string(value, self->placeholder.location); break;
    case PROP_WATERMARK: g_value_set_boolean(value, self->watermark); break;
    case PROP_GENERATE_IN_PAUSED: g_value_set_boolean(value, self->generate_in_paused); break;
    case PROP_USE_BUFFERING: g_value_set_boolean(value, self->use_buffering); break;
    case PROP_SCALE_MODE: g_value_set_enum(value, (gint)self->scale_mode); break;
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

void gst_sora_properties_class_init(GObjectClass *klass)
{
    const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
    const GParamFlags shown = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

    klass->set_property = set_property;
    klass->get_property = get_property;
    first_prop = gst_sora_settings_install(klass);
#define INSTALL(id, spec) g_object_class_install_property(klass, first_prop + (id), spec)
    INSTALL(PROP_IS_LIVE, g_param_spec_boolean("is-live", "is-live",
        "Keep pace with the clock: while the next frame is not there, the last one is repeated", FALSE, ready));
    INSTALL(PROP_POST_MESSAGES, g_param_spec_boolean("post-messages", "post-messages",
        "Post sora-progress messages, at most four a second", TRUE, playing));
    INSTALL(PROP_MAX_SIZE_BUFFERS, g_param_spec_uint("max-size-buffers", "max-size-buffers",
        "Frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT, 0, ready));
    INSTALL(PROP_MAX_SIZE_BYTES, g_param_spec_uint64("max-size-bytes", "max-size-bytes",
        "Bytes of frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT64, MAX_BYTES, ready));
    INSTALL(PROP_MAX_SIZE_TIME, g_param_spec_uint64("max-size-time", "max-size-time",
        "Nanoseconds of frames made ahead before the next chunk is begun (0: no limit)", 0, G_MAXUINT64, MAX_TIME,
        ready));
    INSTALL(PROP_CACHE_SIZE, g_param_spec_uint64("cache-size", "cache-size",
        "Bytes that a whole clip may take to be kept, which makes it seekable (0: never)", 0, G_MAXUINT64, CACHE_SIZE,
        ready));
    /**
     * GstSoraSrc:underrun:
     *
     * What goes out in a slot of a live stream for which the content is not there yet.  Such buffers are
     * flagged GAP and DROPPABLE.
     */
    INSTALL(PROP_UNDERRUN, g_param_spec_enum("underrun", "underrun",
        "Live: what goes out while the next frame is not there", GST_TYPE_SORA_UNDERRUN, GST_SORA_UNDERRUN_HOLD,
        playing));
    /**
     * GstSoraSrc:prebuffer:
     *
     * Not live, into a sink that keeps time: how much is made before the first frame goes out, so that none is late.
     */
    INSTALL(PROP_PREBUFFER, g_param_spec_enum("prebuffer", "prebuffer",
        "Not live: how much is made before the first frame goes out", prebuffer_get_type(), GST_SORA_PREBUFFER_NONE,
        ready));
    /**
     * GstSoraSrc:prompt-change:
     *
     * From when on a prompt that is set while it plays is shown.
     */
    INSTALL(PROP_PROMPT_CHANGE, g_param_spec_enum("prompt-change", "prompt-change",
        "From when on a prompt that is set while it plays is shown", GST_TYPE_SORA_PROMPT_CHANGE, GST_SORA_CHANGE_CHUNK,
        playing));
    /**
     * GstSoraSrc:repeat:
     *
     * The clip again and again out of cache-size, in one segment; with prompt-change=next-clip another one follows
     * when it is made.
     */
    INSTALL(PROP_REPEAT, g_param_spec_boolean("repeat", "repeat",
        "Play the clip again and again, from memory, until another one follows it", FALSE, ready));
    /**
     * GstSoraSrc:tags:
     *
     * Title, description and settings with full; with minimal too, that the stream is AI-generated.
     */
    INSTALL(PROP_TAGS, g_param_spec_enum("tags", "tags",
        "What the stream says of itself, in tags and as user data of each frame", GST_TYPE_SORA_TAGS,
        GST_SORA_TAGS_FULL, playing));
    /**
     * GstSoraSrc:keep-model:
     *
     * Whether a run that ends leaves its model in memory for the next one.
     */
    INSTALL(PROP_KEEP_MODEL, g_param_spec_boolean("keep-model", "keep-model",
        "Keep the model in memory when the work has ended, until NULL, for the next start", TRUE, playing));
    /**
     * GstSoraSrc:unload-after:
     *
     * Nanoseconds without work after which a kept model goes.
     */
    INSTALL(PROP_UNLOAD_AFTER, g_param_spec_uint64("unload-after", "unload-after",
        "With keep-model: nanoseconds without work after which the model goes all the same (0: never)", 0, G_MAXINT64,
        0, playing));
    /**
     * GstSoraSrc:scale-mode:
     *
     * What happens where the caps ask for another shape, pixel-aspect-ratio included, than the model can make.
     */
    INSTALL(PROP_SCALE_MODE, g_param_spec_enum("scale-mode", "scale-mode",
        "What fills a frame of another shape than the model's picture", GST_TYPE_SORA_SCALE, GST_SORA_SCALE_LETTERBOX,
        playing));
    /**
     * GstSoraSrc:rate-mode:
     *
     * What happens where the caps have another framerate than the model.  With retime the duration is told anew when
     * the caps are known; controllers and the times of a prompt schedule count in the time of the stream.
     */
    INSTALL(PROP_RATE_MODE, g_param_spec_enum("rate-mode", "rate-mode",
        "What happens at another framerate than the model's", rate_get_type(), GST_SORA_RATE_RESAMPLE, ready));
    /**
     * GstSoraSrc:placeholder-location:
     *
     * Live, with underrun=card: a PNG or JPEG file that is shown before the first frame instead of the drawn card, as
     * scale-mode says.  At most 64 MiB, 16384 pixels on a side and 37 million in all.
     */
    INSTALL(PROP_PLACEHOLDER, g_param_spec_string("placeholder-location", "placeholder-location",
        "Live, with underrun=card: a PNG or JPEG picture in place of the drawn card", NULL, playing));
    /**
     * GstSoraSrc:watermark:
     *
     * The letters AI in the lower right corner of every picture that the element makes.  The marking for machines is
     * that of the property tags.
     */
    INSTALL(PROP_WATERMARK, g_param_spec_boolean("watermark", "watermark",
        "Show in a corner of the picture that it is AI-made", FALSE, playing));
    /**
     * GstSoraSrc:generate-in-paused:
     *
     * Whether frames are made ahead while the state is PAUSED.  With FALSE a chunk that is begun is finished, and
     * another one is begun only for somebody who waits for a frame, as a sink does that prerolls.
     */
    INSTALL(PROP_GENERATE_IN_PAUSED, g_param_spec_boolean("generate-in-paused", "generate-in-paused",
        "Make frames ahead while PAUSED, up to the limits; false: only those that are waited for", TRUE, playing));
    /**
     * GstSoraSrc:use-buffering:
     *
     * Post BUFFERING messages, as queue2 does, when no frame is left, and until as many wait as max-size-time and the
     * other limits say, or all are made.  An application pauses below 100 percent and plays on at 100.
     */
    INSTALL(PROP_USE_BUFFERING, g_param_spec_boolean("use-buffering", "use-buffering",
        "Not live: post BUFFERING messages while frames are made ahead", FALSE, ready));
    INSTALL(PROP_ACTUAL_SEED, g_param_spec_int64("actual-seed", "actual-seed",
        "The seed in use, also where it was drawn (-1: not started yet)", -1, G_MAXINT64, -1, shown));
    INSTALL(PROP_PROGRESS, g_param_spec_double("progress", "progress",
        "Part of the clip that is made, or of the chunk where the stream is endless", 0, 1, 0, shown));
    INSTALL(PROP_STATE, g_param_spec_enum("state", "state", "What the engine does", state_get_type(), STATE_IDLE,
                                          shown));
    /**
     * GstSoraSrc:stats:
     *
     * frames-generated, frames-pushed, frames-duplicated, slots-dropped (int64), queue-level (uint), step-time
     * (double, seconds), realtime-factor (double), model-loaded (boolean), peak-rss (uint64, bytes).
     */
    INSTALL(PROP_STATS, g_param_spec_boxed("stats", "stats",
        "Frames generated, pushed and repeated, slots left out, frames that wait, seconds a step, speed relative to "
        "real time, whether the model is in memory, the process's peak of memory in bytes",
        GST_TYPE_STRUCTURE, shown));
#undef INSTALL
}

void gst_sora_properties_init(GstSoraSrc *self)
{
    gst_sora_settings_init(&self->settings, G_OBJECT_GET_CLASS(self));
    self->limits.bytes = MAX_BYTES;
    self->limits.time = MAX_TIME;
    self->cache_size = CACHE_SIZE;
    self->post_messages = TRUE;
    self->tags = GST_SORA_TAGS_FULL;
    self->keep_model = TRUE;
    self->generate_in_paused = TRUE;
    self->seed = self->new_seed = -1;
}
