/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stream of sorasrc: from the frames of the job to buffers with time.
 *
 * Output frame n at the negotiated rate has PTS origin + n / rate, exact to the nanosecond and without drift.  Not
 * live, it shows the content of that time.  Live, output frames are slots of the running time: one leaves in each
 * slot; where the content is not there yet the last picture goes out again, and a slot that passed while downstream
 * blocked is left out, never made up for in a burst.
 *
 * With rate-mode=retime the content has the rate that was negotiated, and output frame n is frame n of it.
 *
 * unlock() means: stop waiting.  Neither it nor a flush throws away what was generated.
 */
#include "config.h"

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug

/* ---- Time ------------------------------------------------------------------------------------------------------- */

static GstClockTime time_of(gint64 n, int fps_n, int fps_d)
{
    return fps_n > 0 && n > 0 ? gst_util_uint64_scale((guint64)n, (guint64)fps_d * GST_SECOND, (guint64)fps_n) : 0;
}

/* The frame on show at time t: the last n with floor(n / rate) <= t, that is, with n < (t + 1) * rate. */
static gint64 frame_at(GstClockTime t, int fps_n, int fps_d)
{
    if (fps_n <= 0) return 0;
    return (gint64)gst_util_uint64_scale_ceil(t + 1, (guint64)fps_n, (guint64)fps_d * GST_SECOND) - 1;
}

static GstClockTime pts_of(const GstSoraFlow *f, gint64 n)
{
    return f->origin + time_of(n, f->out.fps_n, f->out.fps_d);
}

static GstClockTime running_time(GstSoraSrc *self)
{
    GstClockTime base, now;
    GstClock *clock;

    GST_OBJECT_LOCK(self);
    base = GST_ELEMENT_CAST(self)->base_time;
    clock = GST_ELEMENT_CLOCK(self);
    if (clock) gst_object_ref(clock);
    GST_OBJECT_UNLOCK(self);
    if (!clock) return GST_CLOCK_TIME_NONE;
    now = gst_clock_get_time(clock);
    gst_object_unref(clock);
    return now > base ? now - base : 0;
}

/* Live: the slot to fill next; returns until when its content may still come, of g_get_monotonic_time(). */
static gint64 find_slot(GstSoraSrc *self)
{
    GstSoraFlow *f = &self->flow;
    const GstClockTime now = running_time(self);
    GstClockTime pts;

    if (!GST_CLOCK_TIME_IS_VALID(now)) return g_get_monotonic_time();
    if (f->out.fps_n > 0 && now >= pts_of(f, f->n + 1)) {
        const gint64 n = frame_at(now - f->origin, f->out.fps_n, f->out.fps_d);
        if (f->pushed) GST_INFO_OBJECT(self, "late: leaving out %" G_GINT64_FORMAT " slots", n - f->n);
        GST_OBJECT_LOCK(self);
        if (f->pushed) f->dropped += n - f->n;
        f->n = n;
        GST_OBJECT_UNLOCK(self);
    }
    pts = pts_of(f, f->n);
    return g_get_monotonic_time() + (pts > now ? (gint64)((pts - now) / GST_USECOND) : 0);
}

/* FALSE: told to stop waiting. */
static gboolean wait_slot(GstSoraSrc *self)
{
    GstSoraFlow *f = &self->flow;
    GstClock *clock;
    GstClockID id = NULL;
    gboolean flushing;

    GST_OBJECT_LOCK(self);
    flushing = f->flushing;
    if (!flushing && (clock = GST_ELEMENT_CLOCK(self)))
        id = f->clock_id = gst_clock_new_single_shot_id(clock, GST_ELEMENT(self)->base_time + pts_of(f, f->n));
    GST_OBJECT_UNLOCK(self);
    if (!id) return !flushing;
    gst_clock_id_wait(id, NULL);
    GST_OBJECT_LOCK(self);
    f->clock_id = NULL;
    flushing = f->flushing;
    GST_OBJECT_UNLOCK(self);
    gst_clock_id_unref(id);
    return !flushing;
}

static void set_flushing(GstSoraSrc *self, gboolean flushing)
{
    GstSoraJob *job = gst_sora_src_ref_job(self);

    GST_OBJECT_LOCK(self);
    self->flow.flushing = flushing;
    if (flushing && self->flow.clock_id) gst_clock_id_unschedule(self->flow.clock_id);
    GST_OBJECT_UNLOCK(self);
    if (!job) return;
    gst_sora_job_set_flushing(job, flushing);
    gst_sora_job_unref(job);
}

static gboolean unlock(GstBaseSrc *base)
{
    set_flushing(GST_SORA_SRC(base), TRUE);
    return TRUE;
}

static gboolean unlock_stop(GstBaseSrc *base)
{
    set_flushing(GST_SORA_SRC(base), FALSE);
    return TRUE;
}

/* ---- Caps ------------------------------------------------------------------------------------------------------- */

static GstCaps *fixate(GstBaseSrc *base, GstCaps *caps)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    sora_info info;

    GST_OBJECT_LOCK(self);
    info = self->info;
    GST_OBJECT_UNLOCK(self);
    return info.rate_num > 0 ? gst_sora_caps_fixate(caps, &info) : gst_caps_fixate(caps);
}

/* Let the job work; the first caps have decided what its session writes. */
static gboolean go(GstSoraSrc *self)
{
    GstSoraFlow *f = &self->flow;
    const gboolean live = gst_base_src_is_live(GST_BASE_SRC(self));
    GstSoraJob *job = gst_sora_src_ref_job(self);
    GstSoraPlan plan = { 0 };

    if (!job) return FALSE;
    GST_OBJECT_LOCK(self);
    if (self->keep && (guint64)self->info.frames > self->cache_size / GST_VIDEO_INFO_SIZE(&f->master))
        self->keep = FALSE;
    plan.format = f->format;
    plan.master = f->master;
    plan.keep = self->keep;
    plan.limits = self->limits;
    plan.buffering = self->use_buffering && !live;
    plan.prebuffer = live ? GST_SORA_PREBUFFER_NONE : self->prebuffer;
    if (f->retime) plan.rate_num = self->info.rate_num, plan.rate_den = self->info.rate_den;
    GST_OBJECT_UNLOCK(self);
    GST_DEBUG_OBJECT(self, "the session writes %s %dx%d", GST_VIDEO_INFO_NAME(&f->master), f->master.width,
                     f->master.height);
    gst_sora_job_go(job, &plan);
    gst_sora_job_unref(job);
    return TRUE;
}

/* From the master to the caps, as scale-mode and watermark are now. */
static gboolean set_looks(GstSoraSrc *self, const GstVideoInfo *out)
{
    GstSoraFlow *f = &self->flow;

    GST_OBJECT_LOCK(self);
    f->scale = self->scale_mode;
    f->mark = self->watermark;
    GST_OBJECT_UNLOCK(self);
    g_clear_pointer(&f->convert, gst_video_converter_free);
    gst_clear_buffer(&f->last);
    gst_sora_underrun_new_caps(self);
    if (!gst_sora_scale_place(&f->master, out, f->scale, &f->place)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("The model's picture of %dx%d has another shape than the caps' %dx%d.",
                          f->master.width, f->master.height, out->width, out->height),
                          ("scale-mode=none; wanted letterbox, crop or stretch, or that shape; pixel aspect %d/%d",
                           out->par_n, out->par_d));
        return FALSE;
    }
    if (gst_sora_caps_same(&f->master, out) && gst_sora_scale_is_whole(&f->master, out, &f->place)) return TRUE;
    f->convert = gst_sora_scale_converter(&f->master, out, &f->place);
    return f->convert != NULL;
}

/* rate-mode=retime: the content has the rate of the caps.  A still picture has none. */
static void set_rate(GstSoraSrc *self, const GstVideoInfo *out)
{
    GstBaseSrc *base = GST_BASE_SRC(self);
    gboolean changed;

    GST_OBJECT_LOCK(self);
    if ((changed = self->flow.retime && out->fps_n > 0 &&
                   (out->fps_n != self->info.rate_num || out->fps_d != self->info.rate_den))) {
        self->info.rate_num = out->fps_n;
        self->info.rate_den = out->fps_d;
        if (GST_CLOCK_TIME_IS_VALID(base->segment.duration)) base->segment.duration = gst_sora_src_duration(self);
    }
    GST_OBJECT_UNLOCK(self);
    if (changed) gst_element_post_message(GST_ELEMENT(self), gst_message_new_duration_changed(GST_OBJECT(self)));
}

/* Another rate goes on from where the old one is: no gap, and the same content. */
static void go_on_at(GstSoraFlow *f, const GstVideoInfo *out)
{
    const GstClockTime next = pts_of(f, f->n);

    if (f->retime) {
        const gint64 content = f->n + f->lead;
        f->lead = f->reverse ? 0 : content;
        f->n = f->reverse ? content : 0;
    } else {
        f->shown_origin += time_of(f->shown, f->out.fps_n, f->out.fps_d);
        f->shown = 0;
        f->n = f->reverse ? frame_at(next, out->fps_n, out->fps_d) : 0;
    }
    f->origin = f->reverse ? 0 : next;
}

static gboolean set_caps(GstBaseSrc *base, GstCaps *caps)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    GstSoraFlow *f = &self->flow;
    const gboolean live = gst_base_src_is_live(base);
    gboolean again;
    GstVideoInfo out;

    if (!gst_video_info_from_caps(&out, caps)) return FALSE;
    again = GST_VIDEO_INFO_FORMAT(&f->out) != GST_VIDEO_FORMAT_UNKNOWN;
    if (!again) {
        f->format = gst_sora_caps_master(&out, &self->info, &f->master);
        set_rate(self, &out);
        if (f->format == SORA_FORMAT_COUNT || !go(self)) return FALSE;
    }
    if (!set_looks(self, &out)) return FALSE;
    GST_OBJECT_LOCK(self);
    if (again && !f->seeked && (out.fps_n != f->out.fps_n || out.fps_d != f->out.fps_d)) go_on_at(f, &out);
    f->out = out;
    GST_OBJECT_UNLOCK(self);
    set_rate(self, &out);
    if (live) gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
    return TRUE;
}

static gboolean decide_allocation(GstBaseSrc *base, GstQuery *query)
{
    GstBufferPool *pool = NULL;
    guint size = 0, min = 0, max = 0;
    const gboolean offered = gst_query_get_n_allocation_pools(query) > 0;
    GstVideoInfo info;
    GstStructure *config;
    GstCaps *caps;

    gst_query_parse_allocation(query, &caps, NULL);
    if (!caps || !gst_video_info_from_caps(&info, caps)) return FALSE;
    if (offered) gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &min, &max);
    size = MAX(size, (guint)GST_VIDEO_INFO_SIZE(&info));
    if (!pool) pool = gst_video_buffer_pool_new();
    config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, size, min, max);
    if (gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL))
        gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
    gst_buffer_pool_set_config(pool, config);
    if (offered) gst_query_set_nth_allocation_pool(query, 0, pool, size, min, max);
    else gst_query_add_allocation_pool(query, pool, size, min, max);
    gst_object_unref(pool);
    return GST_BASE_SRC_CLASS(g_type_class_peek(GST_TYPE_PUSH_SRC))->decide_allocation(base, query);
}

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

GstFlowReturn gst_sora_flow_convert(GstSoraSrc *self, GstVideoConverter *convert, const GstVideoInfo *info,
                                    GstBuffer *picture, GstBuffer **out)
{
    GstSoraFlow *f = &self->flow;
    GstBaseSrc *base = GST_BASE_SRC(self);
    GstVideoFrame from, to;
    GstFlowReturn r;

    r = GST_BASE_SRC_GET_CLASS(base)->alloc(base, (guint64)-1, (guint)GST_VIDEO_INFO_SIZE(&f->out), out);
    if (r != GST_FLOW_OK) return r;
    gst_buffer_memset(*out, 0, 0, gst_buffer_get_size(*out));       /* what lies between the rows is defined too */
    if (!gst_video_frame_map(&from, info, picture, GST_MAP_READ)) goto failed;
    if (!gst_video_frame_map(&to, &f->out, *out, GST_MAP_WRITE)) {
        gst_video_frame_unmap(&from);
        goto failed;
    }
    gst_video_converter_frame(convert, &from, &to);
    gst_video_frame_unmap(&to);
    gst_video_frame_unmap(&from);
    return GST_FLOW_OK;
failed:
    gst_clear_buffer(out);
    GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("A frame cannot be mapped."), (NULL));
    return GST_FLOW_ERROR;
}

GstFlowReturn gst_sora_flow_render(GstSoraSrc *self, GstBuffer *master, GstBuffer **out)
{
    GstSoraFlow *f = &self->flow;
    GstBuffer *marked = f->mark ? gst_sora_mark(master, &f->master, &f->place.src) : NULL;
    GstFlowReturn r = GST_FLOW_OK;

    if (f->mark && !marked) {
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("Out of memory for a picture."), (NULL));
        return GST_FLOW_ERROR;
    }
    if (f->convert) r = gst_sora_flow_convert(self, f->convert, &f->master, marked ? marked : master, out);
    else if (marked) *out = g_steal_pointer(&marked);
    else *out = gst_buffer_copy(master);
    gst_clear_buffer(&marked);
    return r;
}

/* Give *out its place in the stream and move on. */
static void stamp(GstSoraSrc *self, GstBuffer *out, gboolean content)
{
    GstSoraFlow *f = &self->flow;

    GST_BUFFER_PTS(out) = pts_of(f, f->n);
    GST_BUFFER_DTS(out) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(out) = f->out.fps_n > 0 ? pts_of(f, f->n + 1) - pts_of(f, f->n) : GST_CLOCK_TIME_NONE;
    GST_BUFFER_OFFSET(out) = (guint64)f->n;
    GST_BUFFER_OFFSET_END(out) = (guint64)f->n + 1;
    GST_BUFFER_FLAG_UNSET(out, GST_BUFFER_FLAG_GAP | GST_BUFFER_FLAG_DROPPABLE);
    if (!content) GST_BUFFER_FLAG_SET(out, GST_BUFFER_FLAG_GAP | GST_BUFFER_FLAG_DROPPABLE);
    gst_sora_tags_mark(self, out);

    GST_OBJECT_LOCK(self);
    f->n += f->reverse ? -1 : 1;
    f->shown += content;
    f->pushed++;
    f->duplicated += !content;
    GST_OBJECT_UNLOCK(self);
}

/* Live: from content to a held picture or back.  What comes before the first frame is no failure to keep pace. */
static void set_holding(GstSoraSrc *self, GstSoraJob *job, gboolean holding)
{
    GstSoraFlow *f = &self->flow;
    const double native = (double)self->info.rate_num / self->info.rate_den;
    GstSoraStats stats;

    if (f->holding == holding) return;
    GST_OBJECT_LOCK(self);
    f->holding = holding;
    GST_OBJECT_UNLOCK(self);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self),
        gst_structure_new("sora-underrun", "holding", G_TYPE_BOOLEAN, holding,
                          "running-time", G_TYPE_UINT64, pts_of(f, f->n), NULL)));
    if (!holding || f->warned || !f->last_master) return;
    f->warned = TRUE;
    gst_sora_job_get_stats(job, &stats);
    GST_ELEMENT_WARNING(self, STREAM, FAILED,
                        ("Frames are made at %.2f of real time; pictures are repeated.",
                         native > 0 ? stats.frames_per_s / native : 0.0), ("see the property stats"));
}

/* Queue an event for the place before the next buffer.  Not gst_element_send_event(): that takes the state lock, which
   a state change may hold while it waits for us. */
static void queue_event(GstSoraSrc *self, GstEvent *event)
{
    if (event) GST_ELEMENT_CLASS(g_type_class_peek(GST_TYPE_PUSH_SRC))->send_event(GST_ELEMENT(self), event);
}

/* Tell of the prompt that this frame is the first to show: downstream by tags and an event, the application by a
   message.  frame: NULL for a picture that shows none. */
static void tell_prompt(GstSoraSrc *self, const GstSoraFrame *frame)
{
    GstSoraFlow *f = &self->flow;
    const gboolean first = !f->told, fresh = frame && frame->prompt != f->prompt;
    const char *text = frame && frame->text ? frame->text : "";

    if (!f->tagged || fresh) queue_event(self, gst_sora_tags_event(self, text));
    f->tagged = TRUE;
    if (!fresh) return;
    f->prompt = frame->prompt;
    f->told = TRUE;
    queue_event(self, gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
        gst_structure_new("sora-prompt", "prompt", G_TYPE_STRING, text, "frame", G_TYPE_INT64, frame->index, NULL)));
    if (!first)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self),
            gst_structure_new("sora-prompt-changed", "prompt", G_TYPE_STRING, text, "pts", G_TYPE_UINT64,
                              pts_of(f, f->n), NULL)));
}

static GstFlowReturn push_content(GstSoraSrc *self, GstSoraJob *job, GstSoraFrame *frame, GstBuffer **out)
{
    GstSoraFlow *f = &self->flow;
    const gboolean live = gst_base_src_is_live(GST_BASE_SRC(self));
    GstFlowReturn r;

    if ((r = gst_sora_flow_render(self, frame->buffer, out)) != GST_FLOW_OK) return r;
    if (live) find_slot(self);                  /* with underrun=block, later than it was */
    if (live && !wait_slot(self)) {
        gst_clear_buffer(out);                  /* the frame stays in the store */
        return GST_FLOW_FLUSHING;
    }
    if (live) {
        set_holding(self, job, FALSE);
        gst_sora_underrun_saw(self, frame);
        gst_buffer_replace(&f->last_master, frame->buffer);
        gst_clear_buffer(&f->last);
        f->last = *out;
        *out = gst_buffer_copy(f->last);        /* shares the memory */
    }
    tell_prompt(self, frame);
    stamp(self, *out, TRUE);
    return GST_FLOW_OK;
}

/* A slot without new content.  wanted: by the pace of stretch, or on the way back of loop, which is no underrun. */
static GstFlowReturn push_filler(GstSoraSrc *self, GstSoraJob *job, gboolean wanted, GstBuffer **out)
{
    GstFlowReturn r;

    if ((r = gst_sora_underrun_picture(self, job, out)) != GST_FLOW_OK) return r;
    if (!wait_slot(self)) {
        gst_clear_buffer(out);
        return GST_FLOW_FLUSHING;
    }
    if (!wanted) set_holding(self, job, TRUE);
    tell_prompt(self, NULL);
    stamp(self, *out, FALSE);
    return GST_FLOW_OK;
}

/* ---- The base class's calls ------------------------------------------------------------------------------------- */

/* Not live: the frame of all content that output frame n shows. */
static gint64 content_at_n(GstSoraSrc *self)
{
    const GstSoraFlow *f = &self->flow;

    return f->retime ? f->n + f->lead : frame_at(pts_of(f, f->n), self->info.rate_num, self->info.rate_den);
}

/* Which frame of the job output frame n shows. */
static gint64 content_of(GstSoraSrc *self, gboolean live)
{
    const GstSoraFlow *f = &self->flow;

    if (!live) return content_at_n(self) - f->first;
    if (f->retime) return f->shown;
    return frame_at(f->shown_origin + time_of(f->shown, f->out.fps_n, f->out.fps_d), self->info.rate_num,
                    self->info.rate_den);
}

/* The job has no more.  What goes on: the job of a new prompt, or the clip again.  *job: where frames come from. */
static gboolean go_on(GstSoraSrc *self, gboolean live, GstSoraJob **job)
{
    GstSoraFlow *f = &self->flow;
    gboolean again, keep, next;
    GstSoraStats stats;

    gst_sora_job_get_stats(*job, &stats);
    GST_OBJECT_LOCK(self);
    again = self->repeat && !self->stopped && stats.result == SORA_EOS && stats.generated > 0;
    keep = self->keep;
    GST_OBJECT_UNLOCK(self);
    next = gst_sora_src_take_next(self, again && keep);
    if (again && !keep)
        GST_ELEMENT_WARNING(self, RESOURCE, NO_SPACE_LEFT, ("The clip takes more than cache-size and is not repeated."),
                            (NULL));
    if (!next && !(again && keep)) return FALSE;
    if (next) {
        gst_sora_job_unref(*job);
        *job = gst_sora_src_ref_job(self);
    }
    f->prompt = next ? -1 : f->prompt;
    f->fill.index = -1;
    f->shown_origin = 0;
    f->shown = 0;
    /* A clip that was shown to its end is followed without a gap; one that was broken off, from where it is. */
    if (!live && stats.result == SORA_EOS) f->first += stats.generated;
    else if (!live) f->first = content_at_n(self);
    return *job != NULL;
}

/* Now that the rate is known: reverse, the frame that ends at the position. */
static void place(GstSoraSrc *self)
{
    GstSoraFlow *f = &self->flow;
    const GstClockTime t = f->reverse ? (f->position ? f->position - 1 : 0) : f->position;

    GST_OBJECT_LOCK(self);
    f->origin = 0;
    f->lead = 0;
    f->n = frame_at(t, f->out.fps_n, f->out.fps_d);
    f->seeked = FALSE;
    GST_OBJECT_UNLOCK(self);
}

/* What is set to look otherwise while it plays does so from the next frame on. */
static gboolean keep_looks(GstSoraSrc *self)
{
    gboolean same;

    GST_OBJECT_LOCK(self);
    same = self->flow.scale == self->scale_mode && self->flow.mark == self->watermark;
    GST_OBJECT_UNLOCK(self);
    return same || set_looks(self, &self->flow.out);
}

/* Until there is content for the next output frame, or, live, its slot has come. */
static GstSoraWait wait_content(GstSoraSrc *self, GstSoraJob *job, gboolean live, GstSoraFrame *frame)
{
    GstSoraWait w;

    do {
        gint64 deadline = live ? find_slot(self) : -1;

        if (live && gst_sora_underrun_policy(self) == GST_SORA_UNDERRUN_BLOCK) deadline = -1;
        w = gst_sora_job_wait(job, content_of(self, live), deadline, frame);
        if (w == GST_SORA_WAIT_PROGRESS) gst_sora_src_post_work(self);
    } while (w == GST_SORA_WAIT_PROGRESS);
    return w;
}

static GstFlowReturn create(GstPushSrc *push, GstBuffer **out)
{
    GstSoraSrc *self = GST_SORA_SRC(push);
    GstSoraFlow *f = &self->flow;
    const gboolean live = gst_base_src_is_live(GST_BASE_SRC(push));
    GstSoraJob *job = gst_sora_src_ref_job(self);
    GstSoraFrame frame;
    gboolean rests;
    GstFlowReturn r;
    GstSoraWait w;

    if (!job) return GST_FLOW_FLUSHING;
    if (!keep_looks(self)) {
        gst_sora_job_unref(job);
        return GST_FLOW_ERROR;
    }
    if (f->seeked) place(self);
    if (f->n < 0 || (f->out.fps_n == 0 && f->n > 0)) {      /* all of it shown; a still picture is one frame */
        gst_sora_job_unref(job);
        return GST_FLOW_EOS;
    }
    rests = live && gst_sora_underrun_rests(self, job);
    do w = wait_content(self, job, live, &frame);
    while (w == GST_SORA_WAIT_EOS && go_on(self, live, &job));
    if (w == GST_SORA_WAIT_FRAME && live) rests = rests || gst_sora_underrun_returns(self);
    if (w == GST_SORA_WAIT_FRAME && rests) r = push_filler(self, job, TRUE, out);
    else if (w == GST_SORA_WAIT_FRAME) r = push_content(self, job, &frame, out);
    else if (w == GST_SORA_WAIT_TIMEOUT) r = push_filler(self, job, rests, out);
    else if (w == GST_SORA_WAIT_FLUSHING) r = GST_FLOW_FLUSHING;
    else if (w == GST_SORA_WAIT_EOS) r = GST_FLOW_EOS;
    else r = GST_FLOW_ERROR;                                /* the job has posted what is wrong */
    gst_sora_frame_clear(&frame);
    g_clear_pointer(&job, gst_sora_job_unref);
    return r;
}

static gboolean do_seek(GstBaseSrc *base, GstSegment *segment)
{
    GstSoraSrc *self = GST_SORA_SRC(base);
    GstSoraFlow *f = &self->flow;
    const GstClockTime duration = gst_sora_src_clip_duration(&self->info);
    const gboolean live = gst_base_src_is_live(base);
    GstSoraStats stats = { 0 };
    GstSoraJob *job;
    gboolean keep;

    GST_OBJECT_LOCK(self);
    keep = self->keep && !self->chained && !self->repeat && !live;
    GST_OBJECT_UNLOCK(self);
    segment->time = segment->start;
    if (!keep && (segment->position != 0 || segment->rate < 0)) return FALSE;
    if (!keep && f->pushed) return FALSE;
    f->reverse = segment->rate < 0;
    f->position = segment->position;
    if (f->reverse && GST_CLOCK_TIME_IS_VALID(duration) &&
        (!GST_CLOCK_TIME_IS_VALID(f->position) || f->position > duration))
        f->position = duration;
    f->seeked = TRUE;
    f->tagged = FALSE;          /* the base class drops queued events when it flushes */

    /* An EOS event had stopped the work half way: it begins again, with the same frames. */
    if ((job = gst_sora_src_ref_job(self))) {
        gst_sora_job_get_stats(job, &stats);
        gst_sora_job_unref(job);
    }
    if (stats.cancelled && keep) {
        if (!gst_sora_src_renew_job(self)) return FALSE;
        return GST_VIDEO_INFO_FORMAT(&f->out) == GST_VIDEO_FORMAT_UNKNOWN || go(self);
    }
    return TRUE;
}

void gst_sora_flow_reset(GstSoraSrc *self)
{
    GstSoraFlow *f = &self->flow;

    g_clear_pointer(&f->convert, gst_video_converter_free);
    gst_clear_buffer(&f->last);
    gst_clear_buffer(&f->last_master);
    gst_sora_underrun_reset(self);
    GST_OBJECT_LOCK(self);
    f->origin = f->position = f->shown_origin = 0;
    f->n = f->first = f->lead = f->shown = f->pushed = f->duplicated = f->dropped = f->generated = 0;
    f->reverse = f->seeked = f->holding = f->warned = f->told = f->tagged = FALSE;
    f->prompt = -1;
    gst_video_info_init(&f->out);
    gst_video_info_init(&f->master);
    GST_OBJECT_UNLOCK(self);
}

void gst_sora_flow_free(GstSoraSrc *self)
{
    gst_sora_flow_reset(self);
    g_clear_pointer(&self->flow.fill.chunk, g_ptr_array_unref);
}

void gst_sora_flow_class_init(GstBaseSrcClass *base, GstPushSrcClass *push)
{
    base->unlock = GST_DEBUG_FUNCPTR(unlock);
    base->unlock_stop = GST_DEBUG_FUNCPTR(unlock_stop);
    base->fixate = GST_DEBUG_FUNCPTR(fixate);
    base->set_caps = GST_DEBUG_FUNCPTR(set_caps);
    base->decide_allocation = GST_DEBUG_FUNCPTR(decide_allocation);
    base->do_seek = GST_DEBUG_FUNCPTR(do_seek);
    push->create = GST_DEBUG_FUNCPTR(create);
}
