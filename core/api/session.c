/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session: its worker thread loads, encodes, denoises, decodes and converts into a queue, from which the caller copies. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>

#include "api/options.h"
#include "api/queue.h"
#include "api/save.h"
#include "frame/frame.h"
#include "pipeline/pipeline.h"

#define QUEUE_BYTES ((size_t)64 << 20)      /* of a clip's decoded frames; the decoder waits when they are not fetched */
#define STEP_SHARE 0.85                     /* of a chunk's work, for the progress bar; decoding is the rest */

struct sora_session {
    sora_options o;
    struct sr_log log;
    struct sr_cancel cancel;
    char *path;                             /* of the model; NULL: built in */
    struct sr_pipeline *p;

    pthread_mutex_t lock;                   /* guards what follows, down to the blank line */
    pthread_cond_t more;                    /* a frame came, or the worker's state changed */
    pthread_cond_t room;                    /* a frame went, or the session was cancelled */
    bool started, loaded, finished, joined;
    sora_result result;                     /* once finished: SORA_EOS or why not */
    sora_error err;
    struct sr_queue queue;
    struct sr_prompts next_prompts;         /* from sora_session_set_prompt(), until a chunk begins */
    int64_t asked;                          /* calls of sora_session_set_prompt() */

    pthread_t worker;                       /* what follows is the worker's own */
    double start_s;
    struct sr_prompts prompts;
    double base_s;                          /* second of the stream at which prompts began */
    size_t entry;                           /* of prompts, in use */
    int64_t changes, replaced;              /* prompt changes so far; of them, calls of set_prompt */
    struct sr_text *text;                   /* in use; NULL before the first chunk */
    int64_t chunk, chunk_start, frames;     /* frames: given to the queue */
    double fraction;
    struct sr_frames_file *save;            /* NULL: none */
    struct sr_converter *converter;

    struct sr_text *shown;                  /* the caller's: text of the frame that was handed out last */
};

const char *sora_version(void)
{
    return SORA_VERSION;
}

void sora_info_init_sized(sora_info *i, size_t size)
{
    memset(i, 0, size);
    i->size = size;
}

/* ---- Progress and frames, from the worker ---- */

static double second_of(const struct sora_session *s, int64_t frame)
{
    return (double)frame * s->p->info.rate_den / s->p->info.rate_num;
}

static void on_stage(void *user, sora_stage stage, int step, int steps)
{
    struct sora_session *s = user;
    const sora_info *info = &s->p->info;
    const double left = info->frames ? (double)(info->frames - s->chunk_start) : info->chunk;
    const double n = fmax(fmin(left, info->chunk), 1), in_chunk = (double)(s->frames - s->chunk_start) / n;
    sora_progress g = { .stage = stage, .step = step, .steps = steps, .chunk = s->chunk, .frames = s->frames,
                        .frames_total = info->frames, .elapsed_s = sr_now() - s->start_s };
    double f = 0;

    if (stage == SORA_STAGE_STEP && steps > 0) f = STEP_SHARE * step / steps;
    if (stage == SORA_STAGE_DECODE) f = STEP_SHARE + (1 - STEP_SHARE) * in_chunk;
    if (info->frames) f = ((double)s->chunk_start + f * n) / (double)info->frames;
    if (stage == SORA_STAGE_DONE) f = 1;
    if (info->frames) f = fmax(f, s->fraction);
    g.fraction = s->fraction = fmin(f, 1);
    if (s->o.progress) s->o.progress(s->o.user, &g);
}

/* A decoder that fails in silence does it with NaN. */
static bool finite_picture(const float *rgb, size_t n)
{
    size_t bad = 0;

    for (size_t i = 0; i < n; i++) bad += !(rgb[i] >= -16.0f && rgb[i] <= 16.0f);
    return bad == 0;
}

/* The slot behind the last frame, once there is one: the worker's until it is counted. */
static sora_result wait_for_room(struct sora_session *s, struct sr_slot **slot, sora_error *err)
{
    sora_result r = SORA_OK;

    pthread_mutex_lock(&s->lock);
    while (s->queue.count == s->queue.cap && !sr_cancelled(&s->cancel)) pthread_cond_wait(&s->room, &s->lock);
    if (sr_cancelled(&s->cancel)) r = sr_fail(err, SORA_ERR_CANCELLED, "cancelled");
    else if (!(*slot = sr_queue_back(&s->queue, err))) r = SORA_ERR_NOMEM;
    pthread_mutex_unlock(&s->lock);
    return r;
}

static sora_result on_frame(void *user, const float *rgb, sora_error *err)
{
    struct sora_session *s = user;
    struct sr_slot *slot = NULL;
    sora_result r;

    if (!finite_picture(rgb, 3 * (size_t)s->p->gen_w * (size_t)s->p->gen_h))
        return sr_fail(err, SORA_ERR_INTERNAL, "frame %" PRId64 " came out of the decoder with numbers that are no colours (NaN); "
                       "try precision=f32", s->frames);
    if (s->save && (r = sr_frames_file_add(s->save, rgb, err)) < 0) return r;
    if ((r = wait_for_room(s, &slot, err)) < 0) return r;
    if ((r = sr_converter_run(s->converter, rgb, slot->picture.data, slot->picture.stride, err)) < 0) return r;
    sr_queue_fade_in(&s->queue, slot);
    pthread_mutex_lock(&s->lock);
    slot->pts = s->frames;
    slot->prompt = s->changes;
    slot->text = sr_text_ref(s->text);
    slot->chunk_first = s->frames == s->chunk_start;
    s->queue.count++;
    s->frames++;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
    on_stage(s, SORA_STAGE_DECODE, 0, 0);
    return SORA_OK;
}

static sora_result on_fade(void *user, sora_error *err)
{
    struct sora_session *s = user;
    const int second = SR_CLAMP(s->p->info.rate_num / s->p->info.rate_den, 1, 120);
    sora_result r;

    if (!s->frames) return SORA_OK;
    pthread_mutex_lock(&s->lock);
    r = sr_queue_fade(&s->queue, second, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* ---- The worker ---- */

/* What the chunk that begins now shows: the schedule's entry, or what set_prompt() left.  Encodes it where it is new. */
static sora_result take_prompt(struct sora_session *s, const struct sr_sink *sink, sora_error *err)
{
    struct sr_text *text, *old;
    const char *now;
    size_t entry;
    bool replaced;

    pthread_mutex_lock(&s->lock);
    if ((replaced = s->next_prompts.n > 0)) {
        sr_prompts_free(&s->prompts);
        s->prompts = s->next_prompts;
        s->next_prompts = (struct sr_prompts){ 0 };
        s->base_s = second_of(s, s->frames);
        s->changes += s->asked - s->replaced;       /* calls that a later call overtook count too */
        s->replaced = s->asked;
        s->entry = 0;
    }
    pthread_mutex_unlock(&s->lock);
    now = s->prompts.n ? sr_prompts_at(&s->prompts, second_of(s, s->frames) - s->base_s, &entry) : "";
    if (s->prompts.n && entry != s->entry) {
        s->changes += (int64_t)(entry - s->entry);
        s->entry = entry;
    } else if (s->text && !replaced) {
        return SORA_OK;
    }
    if (!(text = sr_text_new(now))) return sr_fail_nomem(err, strlen(now) + 1, "prompt");
    pthread_mutex_lock(&s->lock);                   /* frames in the queue share the count of references */
    old = s->text;
    s->text = text;
    sr_text_unref(&old);
    pthread_mutex_unlock(&s->lock);
    sr_log(&s->log, SORA_LOG_DEBUG, "from frame %" PRId64 ": %s", s->frames, now);
    on_stage(s, SORA_STAGE_TEXT, 0, 0);
    return s->p->ops->prompt(s->p, now, sink, err);
}

/* What the host wants of the chunk that begins now. */
static sora_result ask_host(struct sora_session *s, sora_error *err)
{
    struct sr_pipeline *p = s->p;
    sora_chunk c = { .size = sizeof c, .chunk = s->chunk, .frame = s->frames, .seed = (int64_t)p->job.seed,
                     .guidance = p->guidance > 0 ? p->guidance : p->info.guidance };

    if (!s->o.chunk) return SORA_OK;
    s->o.chunk(s->o.user, &c);
    if (c.seed < 0 || !(c.guidance > 0 && c.guidance <= 1000))
        return sr_fail(err, SORA_ERR_OPTION, "chunk %" PRId64 ": found seed %" PRId64 " and guidance %g, wanted a seed from 0 and a "
                       "guidance above 0, up to 1000", s->chunk, c.seed, (double)c.guidance);
    if (c.seed != (int64_t)p->job.seed || c.guidance != (p->guidance > 0 ? p->guidance : p->info.guidance))
        sr_log(&s->log, SORA_LOG_DEBUG, "from frame %" PRId64 ": seed %" PRId64 ", guidance %g", s->frames, c.seed,
               (double)c.guidance);
    p->job.seed = (uint64_t)c.seed;
    if (c.guidance != p->info.guidance || p->guidance > 0) p->guidance = c.guidance;
    return SORA_OK;
}

static sora_result run(struct sora_session *s, sora_error *err)
{
    const struct sr_sink sink = { on_frame, on_fade, on_stage, s };
    const struct sr_pipeline *p = s->p;
    const int64_t total = p->info.frames;
    sora_result r;

    s->start_s = sr_now();
    if (s->o.save_frames_file &&
        (r = sr_frames_file_open(&s->save, s->o.save_frames_file, s->p->gen_w, s->p->gen_h, s->p->crop_w, s->p->crop_h, err)) < 0)
        return r;
    on_stage(s, SORA_STAGE_LOAD, 0, 0);
    if ((r = p->ops->load(s->p, &sink, err)) < 0) return r;
    if ((r = sr_converter_open(&s->converter, p->info.format, p->gen_w, p->gen_h, p->crop_w, p->crop_h, p->info.width,
                               p->info.height, err)) < 0)
        return r;
    pthread_mutex_lock(&s->lock);
    s->loaded = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
    for (; !total || s->frames < total; s->chunk++) {
        const double begin_s = sr_now();
        if (sr_cancelled(&s->cancel)) return sr_fail(err, SORA_ERR_CANCELLED, "cancelled");
        s->chunk_start = s->frames;
        if ((r = ask_host(s, err)) < 0) return r;
        if ((r = take_prompt(s, &sink, err)) < 0) return r;
        r = s->p->ops->chunk(s->p, s->chunk, s->frames, total ? total - s->frames : INT64_MAX, &sink, err);
        if (r < 0) return r;
        if (s->frames == s->chunk_start) return sr_fail(err, SORA_ERR_INTERNAL, "chunk %" PRId64 " has no frames", s->chunk);
        sr_log(&s->log, SORA_LOG_DEBUG, "chunk %" PRId64 ": %" PRId64 " frames in %.2f s", s->chunk,
               s->frames - s->chunk_start, sr_now() - begin_s);
    }
    on_stage(s, SORA_STAGE_DONE, 0, 0);
    return SORA_EOS;
}

static void *work(void *arg)
{
    struct sora_session *s = arg;
    sora_error err = { 0 };
    sora_result r = run(s, &err);

    if (s->p->ops->finish && s->p->ops->finish(s->p, &err) < 0 && r >= 0) r = err.code;
    if (s->save && sr_frames_file_close(&s->save, &err) < 0 && r >= 0) r = err.code;
    pthread_mutex_lock(&s->lock);
    s->result = r;
    s->err = err;
    s->finished = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* With the lock held.  The host's signals stay with the host's threads. */
static sora_result start(struct sora_session *s, sora_error *err)
{
    sigset_t all, before;
    int e;

    if (s->started) return SORA_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&s->worker, NULL, work, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) return sr_fail_errno(err, e, "session", "cannot start its thread");
    s->started = true;
    return SORA_OK;
}

/* ---- Open ---- */

/* Frames that may wait: a whole chunk of a stream, so that the next one is computed meanwhile. */
static size_t queue_length(const struct sr_pipeline *p)
{
    const size_t bytes = 3 * sizeof(float) * (size_t)p->info.width * (size_t)p->info.height;    /* of the largest format */
    const size_t fit = SR_MAX(QUEUE_BYTES / SR_MAX(bytes, 1), 2);

    return p->info.streams ? SR_CLAMP((size_t)p->info.chunk, 2, SR_MAX(fit, 8)) : SR_MIN(fit, (size_t)SR_MAX(p->info.chunk, 1));
}

static sora_result open_pipeline(struct sora_session *s, sora_error *err)
{
    struct sr_job job = { .o = &s->o, .log = s->log, .cancel = &s->cancel, .find = sr_find_model };
    sora_result r;

    job.seed = s->o.seed == -1 ? sr_rng_draw_seed() : (uint64_t)s->o.seed;
    if (s->o.seed == -1) sr_log(&s->log, SORA_LOG_INFO, "seed: %" PRIu64, job.seed);
    if (!sr_model_built_in(s->o.model) && (r = sr_find_model(&s->path, s->o.model, err)) < 0) return r;
    job.path = s->path;
    return sr_pipeline_open(&s->p, &job, err);
}

static sora_result check_prompt(struct sora_session *s, sora_error *err)
{
    const bool needed = !s->o.latents_file && !s->o.text_file;
    sora_result r;

    if (!needed) return SORA_OK;
    if (!s->o.prompt) return sr_fail(err, SORA_ERR_OPTION, "prompt: none is given; say what to show");
    if ((r = sr_prompts_parse(&s->prompts, s->o.prompt, err)) < 0) return r;
    if (s->prompts.n > 1 && !s->p->info.streams)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "prompt: found a schedule of %zu prompts, but model %s makes whole clips; "
                       "give one prompt, or a model that streams", s->prompts.n, s->p->info.model);
    return SORA_OK;
}

sora_result sora_session_open(sora_session **out, const sora_options *o, sora_error *err)
{
    struct sora_session *s = sr_zalloc(sizeof *s);
    sora_error own = { 0 };
    sora_result r;

    if (!err) err = &own;
    *out = NULL;
    if (!s) return sr_fail_nomem(err, sizeof *s, "session");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    pthread_cond_init(&s->room, NULL);
    if ((r = sr_options_copy(&s->o, o, err)) < 0) goto done;
    s->log = (struct sr_log){ s->o.log, s->o.user };
    if ((r = open_pipeline(s, err)) < 0) goto done;
    if ((r = check_prompt(s, err)) < 0) goto done;
    r = sr_queue_init(&s->queue, queue_length(s->p), s->p->info.format, s->p->info.width, s->p->info.height, err);
done:
    if (r < 0) sora_session_close(&s);
    *out = s;
    return r;
}

void sora_session_get_info(const sora_session *s, sora_info *info)
{
    const size_t size = info->size;

    memcpy(info, &s->p->info, SR_MIN(size, sizeof *info));
    info->size = size;
}

/* ---- The caller's side ---- */

/* With the lock held: why there is nothing more.  Repeats the first message at every call. */
static sora_result final(const struct sora_session *s, sora_error *err)
{
    if (sr_cancelled(&s->cancel)) return sr_fail(err, SORA_ERR_CANCELLED, "cancelled");
    if (s->result < 0) return sr_fail(err, s->result, "%s", s->err.text);
    return s->result;
}

sora_result sora_session_load(sora_session *s, sora_error *err)
{
    sora_result r;

    pthread_mutex_lock(&s->lock);
    if (sr_cancelled(&s->cancel)) {
        r = final(s, err);
    } else if ((r = start(s, err)) == SORA_OK) {
        while (!s->loaded && !s->finished && !sr_cancelled(&s->cancel)) pthread_cond_wait(&s->more, &s->lock);
        r = s->loaded && !sr_cancelled(&s->cancel) ? SORA_OK : final(s, err);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Wait for a frame.  SORA_OK: the front of the queue is ours until it is popped, for the worker writes behind it. */
static sora_result wait_for_frame(struct sora_session *s, struct sr_slot **slot, sora_error *err)
{
    sora_result r;

    pthread_mutex_lock(&s->lock);
    r = sr_cancelled(&s->cancel) ? SORA_OK : start(s, err);
    if (r == SORA_OK) {
        while (!s->queue.count && !s->finished && !sr_cancelled(&s->cancel)) pthread_cond_wait(&s->more, &s->lock);
        if (s->queue.count && !sr_cancelled(&s->cancel)) *slot = sr_queue_front(&s->queue);
        else r = final(s, err);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

sora_result sora_session_next(sora_session *s, sora_frame *frame, sora_error *err)
{
    struct sr_slot *slot = NULL;
    sora_result r;

    if (frame->size < sizeof *frame)
        return sr_fail(err, SORA_ERR_OPTION, "frame: size is %zu; fill the struct with sora_frame_init() first", frame->size);
    if ((r = wait_for_frame(s, &slot, err)) != SORA_OK) return r;
    if ((r = sr_planes_check(s->queue.format, frame->data, err)) < 0) return r;
    sr_planes_copy(s->queue.format, s->queue.width, s->queue.height, frame->data, frame->stride, &slot->picture);
    pthread_mutex_lock(&s->lock);
    sr_text_unref(&s->shown);
    s->shown = sr_text_ref(slot->text);
    frame->pts = slot->pts;
    frame->prompt = slot->prompt;
    frame->prompt_text = s->shown ? s->shown->text : "";
    frame->chunk_first = slot->chunk_first;
    sr_queue_pop(&s->queue);
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
    return SORA_OK;
}

int sora_session_ready(sora_session *s)
{
    int ready;

    pthread_mutex_lock(&s->lock);
    ready = s->queue.count > 0 || s->finished || sr_cancelled(&s->cancel);
    pthread_mutex_unlock(&s->lock);
    return ready;
}

sora_result sora_session_set_prompt(sora_session *s, const char *prompt, sora_error *err)
{
    struct sr_prompts p, old;
    sora_result r;

    if (!s->p->info.streams)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "prompt: model %s makes whole clips, whose prompt cannot change; open another "
                       "session", s->p->info.model);
    if (s->o.latents_file || s->o.text_file)
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "prompt: this session reads latents or text states from a file");
    if ((r = sr_prompts_parse(&p, prompt ? prompt : "", err)) < 0) return r;
    pthread_mutex_lock(&s->lock);
    old = s->next_prompts;
    s->next_prompts = p;
    s->asked++;
    pthread_mutex_unlock(&s->lock);
    sr_prompts_free(&old);
    return SORA_OK;
}

void sora_session_cancel(sora_session *s)
{
    atomic_store(&s->cancel.set, true);
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->more);
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
}

void sora_session_stop(sora_session *s)
{
    sora_session_cancel(s);
    if (s->started && !s->joined) pthread_join(s->worker, NULL);
    s->joined = true;
}

void sora_session_close(sora_session **out)
{
    struct sora_session *s = out ? *out : NULL;

    if (!s) return;
    sora_session_stop(s);
    sr_pipeline_close(&s->p);
    sr_converter_close(&s->converter);
    sr_queue_uninit(&s->queue);
    sr_text_unref(&s->text);
    sr_text_unref(&s->shown);
    sr_prompts_free(&s->prompts);
    sr_prompts_free(&s->next_prompts);
    pthread_cond_destroy(&s->more);
    pthread_cond_destroy(&s->room);
    pthread_mutex_destroy(&s->lock);
    sr_options_free(&s->o);
    sr_free(s->path);
    sr_free(s);
    *out = NULL;
}
