/*
 * This file is part of FFmpeg.
 *
 * FFmpeg is free software; you can redistribute it and/or
 * modify it under the terms of the GNU Lesser General Public
 * License as published by the Free Software Foundation; either
 * version 2.1 of the License, or (at your option) any later version.
 *
 * FFmpeg is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU
 * Lesser General Public License for more details.
 *
 * You should have received a copy of the GNU Lesser General Public
 * License along with FFmpeg; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA
 */

/**
 * @file
 * Video source: generates video from a text prompt with libsora.
 *
 * One file for FFmpeg 5.1 to 9.0; what differs between them stands in the macros below.
 */

#include <sora/sora.h>

#include "libavutil/avstring.h"
#include "libavutil/cpu.h"
#include "libavutil/imgutils.h"
#include "libavutil/internal.h"
#include "libavutil/opt.h"
#include "libavutil/parseutils.h"
#include "libavutil/time.h"
#include "libavfilter/version.h"
#include "avfilter.h"
#include "filters.h"
#include "formats.h"
#include "video.h"

#define SORA_HAS_FFFILTER    (LIBAVFILTER_VERSION_MAJOR >= 11)
#define SORA_HAS_FILTER_LINK (LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(10, 4, 100))
#define SORA_HAS_QUERY2      SORA_HAS_FILTER_LINK
#define SORA_HAS_COLOR_QUERY (LIBAVFILTER_VERSION_MAJOR >= 10)
#define SORA_HAS_DURATION    (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100))
#define SORA_HAS_KEY_FLAG    (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 29, 100))

#if !SORA_HAS_FILTER_LINK
#include "internal.h"
#endif

typedef struct SoraContext {
    const AVClass *class;

    /* options */
    char      *prompt, *prompt_file, *negative_prompt, *model, *rate_str;
    char      *vae;
    int        sampler, precision;  ///< indices of samplers[] and precisions[]
    int        w, h;
    int64_t    duration;
    int64_t    nb_frames;
    AVRational sar;
    int64_t    seed;
    int        steps;
    float      guidance, shift;

    /* state */
    AVRational    rate;             ///< 0/0: the model's own
    sora_session *session;
    sora_info     info;
    sora_error    err;
    int64_t       next_pts;
    int64_t       chunks;           ///< begun so far
    int64_t       start_time;       ///< when the work began, microseconds
} SoraContext;

#define OFFSET(x) offsetof(SoraContext, x)
#define FLAGS AV_OPT_FLAG_VIDEO_PARAM | AV_OPT_FLAG_FILTERING_PARAM
#define FLAGSR FLAGS | AV_OPT_FLAG_RUNTIME_PARAM

static const char *const samplers[]   = { NULL, "euler", "unipc", "renoise" };  /* NULL: the library's choice */
static const char *const precisions[] = { NULL, "f32", "bf16", "int8" };

static const AVOption sora_options_list[] = {
    { "prompt",          "set what to show",                                     OFFSET(prompt),          AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGSR },
    { "p",               "set what to show",                                     OFFSET(prompt),          AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGSR },
    { "size",            "set video size, the model's own if unset",             OFFSET(w),               AV_OPT_TYPE_IMAGE_SIZE, { .str = NULL }, 0, 0, FLAGS },
    { "s",               "set video size, the model's own if unset",             OFFSET(w),               AV_OPT_TYPE_IMAGE_SIZE, { .str = NULL }, 0, 0, FLAGS },
    { "rate",            "set video rate, the model's own if unset",             OFFSET(rate_str),        AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "r",               "set video rate, the model's own if unset",             OFFSET(rate_str),        AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "duration",        "set video duration, the model's own if negative",      OFFSET(duration),        AV_OPT_TYPE_DURATION,   { .i64 = -1 }, -1, INT64_MAX, FLAGS },
    { "d",               "set video duration, the model's own if negative",      OFFSET(duration),        AV_OPT_TYPE_DURATION,   { .i64 = -1 }, -1, INT64_MAX, FLAGS },
    { "sar",             "set video sample aspect ratio",                        OFFSET(sar),             AV_OPT_TYPE_RATIONAL,   { .dbl = 1 }, 0, INT_MAX, FLAGS },
    { "model",           "set the model: a name, a folder or a file",            OFFSET(model),           AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "m",               "set the model: a name, a folder or a file",            OFFSET(model),           AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "prompt_file",     "read the prompt from a file",                          OFFSET(prompt_file),     AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "negative_prompt", "set what not to show, where guidance is above 1",      OFFSET(negative_prompt), AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { "frames",          "set number of frames, 0 is endless, -1 is the model's own", OFFSET(nb_frames),  AV_OPT_TYPE_INT64,      { .i64 = -1 }, -1, INT32_MAX, FLAGS },
    { "seed",            "set random seed, -1 draws one",                        OFFSET(seed),            AV_OPT_TYPE_INT64,      { .i64 = 0 }, -1, INT64_MAX, FLAGS },
    { "steps",           "set number of denoising steps, -1 is the model's own", OFFSET(steps),           AV_OPT_TYPE_INT,        { .i64 = -1 }, -1, 1000, FLAGS },
    { "guidance",        "set guidance scale, 0 is the model's own",             OFFSET(guidance),        AV_OPT_TYPE_FLOAT,      { .dbl = 0 }, 0, 100, FLAGS },
    { "shift",           "set timestep shift, 0 is the model's own",             OFFSET(shift),           AV_OPT_TYPE_FLOAT,      { .dbl = 0 }, 0, 100, FLAGS },
    { "sampler",         "set sampler",                                          OFFSET(sampler),         AV_OPT_TYPE_INT,        { .i64 = 0 }, 0, 3, FLAGS, .unit = "sampler" },
        { "auto",        "the model's own",                                      0,                       AV_OPT_TYPE_CONST,      { .i64 = 0 }, 0, 0, FLAGS, .unit = "sampler" },
        { "euler",       "Euler's method",                                       0,                       AV_OPT_TYPE_CONST,      { .i64 = 1 }, 0, 0, FLAGS, .unit = "sampler" },
        { "unipc",       "UniPC, a predictor and corrector of second order",     0,                       AV_OPT_TYPE_CONST,      { .i64 = 2 }, 0, 0, FLAGS, .unit = "sampler" },
        { "renoise",     "fresh noise after each step, for few-step models",     0,                       AV_OPT_TYPE_CONST,      { .i64 = 3 }, 0, 0, FLAGS, .unit = "sampler" },
    { "precision",       "set numbers of the matrix products",                   OFFSET(precision),       AV_OPT_TYPE_INT,        { .i64 = 0 }, 0, 3, FLAGS, .unit = "precision" },
        { "auto",        "bf16 where the CPU computes with it, else f32",        0,                       AV_OPT_TYPE_CONST,      { .i64 = 0 }, 0, 0, FLAGS, .unit = "precision" },
        { "f32",         "32-bit floating point",                                0,                       AV_OPT_TYPE_CONST,      { .i64 = 1 }, 0, 0, FLAGS, .unit = "precision" },
        { "bf16",        "16-bit floating point with the exponent of f32",       0,                       AV_OPT_TYPE_CONST,      { .i64 = 2 }, 0, 0, FLAGS, .unit = "precision" },
        { "int8",        "8-bit integers",                                       0,                       AV_OPT_TYPE_CONST,      { .i64 = 3 }, 0, 0, FLAGS, .unit = "precision" },
    { "vae",             "set decoder: a file, full or tiny",                    OFFSET(vae),             AV_OPT_TYPE_STRING,     { .str = NULL }, 0, 0, FLAGS },
    { NULL }
};

static const AVClass sora_class = {
    .class_name = "sora",
    .item_name  = av_default_item_name,
    .option     = sora_options_list,
    .version    = LIBAVUTIL_VERSION_INT,
    .category   = AV_CLASS_CATEGORY_FILTER,
};

static const struct {
    enum AVPixelFormat av;
    sora_format sora;
} formats[] = {
    { AV_PIX_FMT_YUV420P,   SORA_FORMAT_YUV420P },      /* first: what is taken when anything goes */
    { AV_PIX_FMT_YUV422P,   SORA_FORMAT_YUV422P },
    { AV_PIX_FMT_YUV444P,   SORA_FORMAT_YUV444P },
    { AV_PIX_FMT_YUV420P10, SORA_FORMAT_YUV420P10 },
    { AV_PIX_FMT_YUV422P10, SORA_FORMAT_YUV422P10 },
    { AV_PIX_FMT_YUV444P10, SORA_FORMAT_YUV444P10 },
    { AV_PIX_FMT_GBRP,      SORA_FORMAT_GBRP },
    { AV_PIX_FMT_GBRP10,    SORA_FORMAT_GBRP10 },
    { AV_PIX_FMT_GBRP16,    SORA_FORMAT_GBRP16 },
    { AV_PIX_FMT_RGB24,     SORA_FORMAT_RGB24 },
};

static int is_rgb(sora_format f)
{
    return f == SORA_FORMAT_RGB24 || f == SORA_FORMAT_GBRP || f == SORA_FORMAT_GBRP10 || f == SORA_FORMAT_GBRP16;
}

static int averror(sora_result r)
{
    switch (r) {
    case SORA_EOS:             return AVERROR_EOF;
    case SORA_ERR_CANCELLED:   return AVERROR_EXIT;
    case SORA_ERR_NOMEM:       return AVERROR(ENOMEM);
    case SORA_ERR_OPTION:      return AVERROR(EINVAL);
    case SORA_ERR_NOT_FOUND:   return AVERROR(ENOENT);
    case SORA_ERR_ACCESS:      return AVERROR(EACCES);
    case SORA_ERR_MODEL:       return AVERROR_INVALIDDATA;
    case SORA_ERR_UNSUPPORTED: return AVERROR(ENOSYS);
    case SORA_ERR_IO:          return AVERROR(EIO);
    default:                   return r < 0 ? AVERROR_EXTERNAL : 0;
    }
}

static int fail(AVFilterContext *ctx, sora_result r)
{
    SoraContext *s = ctx->priv;

    av_log(ctx, AV_LOG_ERROR, "%s.\n", s->err.text);
    return averror(r);
}

/* Both come from the library's worker thread; av_log() may be called from any. */
static void sora_log(void *user, sora_log_level level, const char *line)
{
    static const int levels[] = { AV_LOG_ERROR, AV_LOG_WARNING, AV_LOG_VERBOSE, AV_LOG_DEBUG };

    av_log(user, levels[level], "%s\n", line);
}

static void sora_step(void *user, const sora_progress *p)
{
    if (p->stage == SORA_STAGE_STEP)
        av_log(user, AV_LOG_VERBOSE, "chunk %"PRId64" step %d/%d\n", p->chunk, p->step, p->steps);
}

static int open_session(AVFilterContext *ctx, sora_format format)
{
    SoraContext *s = ctx->priv;
    sora_options o;
    sora_result r;
    const int threads = ff_filter_get_nb_threads(ctx);

    memset(&s->err, 0, sizeof(s->err));
    sora_options_init(&o);
    o.prompt          = s->prompt;
    o.prompt_file     = s->prompt_file;
    o.negative_prompt = s->negative_prompt;
    o.model           = s->model;
    o.width           = s->w;
    o.height          = s->h;
    o.rate_num        = s->rate.num;
    o.rate_den        = s->rate.den;
    o.frames          = s->nb_frames;
    o.seed            = s->seed;
    o.steps           = FFMAX(s->steps, 0);
    o.guidance        = s->guidance;
    o.shift           = s->shift;
    o.sampler         = samplers[s->sampler];
    o.precision       = precisions[s->precision];
    o.vae             = s->vae;
    o.format          = format;
    /* FFmpeg's own default is one more than there are cores: leave the choice to the library then. */
    o.threads         = threads > av_cpu_count() ? 0 : threads;
    o.log             = sora_log;
    o.progress        = sora_step;
    o.user            = ctx;

    if ((r = sora_session_open(&s->session, &o, &s->err)) < 0)
        return fail(ctx, r);
    sora_info_init(&s->info);
    sora_session_get_info(s->session, &s->info);
    return 0;
}

/* All that can be wrong with options and model is said here; nothing is loaded: graphs are parsed twice. */
static av_cold int init(AVFilterContext *ctx)
{
    SoraContext *s = ctx->priv;
    int ret;

    if (s->prompt && s->prompt_file) {
        av_log(ctx, AV_LOG_ERROR, "Both prompt and prompt_file are set: give one of them.\n");
        return AVERROR(EINVAL);
    }
    if (s->rate_str && av_parse_video_rate(&s->rate, s->rate_str) < 0) {
        av_log(ctx, AV_LOG_ERROR, "rate is '%s', wanted frames per second as 24, 30000/1001 or ntsc.\n", s->rate_str);
        return AVERROR(EINVAL);
    }
    if (s->duration >= 0 && s->nb_frames >= 0) {
        av_log(ctx, AV_LOG_ERROR, "Both duration and frames are set: give one of them.\n");
        return AVERROR(EINVAL);
    }
    if (s->steps == 0) {
        av_log(ctx, AV_LOG_ERROR, "steps is 0, wanted 1 to 1000, or -1 for the model's own.\n");
        return AVERROR(EINVAL);
    }
    if ((s->w || s->h) && (ret = av_image_check_size(s->w, s->h, 0, ctx)) < 0)
        return ret;
    if (s->prompt)      /* what two parsers left of what was typed */
        av_log(ctx, AV_LOG_VERBOSE, "prompt, %zu bytes: %s\n", strlen(s->prompt), s->prompt);
    if ((ret = open_session(ctx, SORA_FORMAT_YUV420P)) < 0)
        return ret;
    sora_session_close(&s->session);
    return 0;
}

static av_cold void uninit(AVFilterContext *ctx)
{
    SoraContext *s = ctx->priv;

    sora_session_close(&s->session);
}

#if SORA_HAS_QUERY2
static int query_formats(const AVFilterContext *ctx, AVFilterFormatsConfig **cfg_in, AVFilterFormatsConfig **cfg_out)
#else
static int query_formats(AVFilterContext *ctx)
#endif
{
    int pix_fmts[FF_ARRAY_ELEMS(formats) + 1];
    int ret;

    for (int i = 0; i < FF_ARRAY_ELEMS(formats); i++)
        pix_fmts[i] = formats[i].av;
    pix_fmts[FF_ARRAY_ELEMS(formats)] = AV_PIX_FMT_NONE;

    /* Of the YUV formats; RGB has no choice. */
#if SORA_HAS_QUERY2
    if ((ret = ff_set_common_color_spaces2(ctx, cfg_in, cfg_out, ff_make_formats_list_singleton(AVCOL_SPC_BT709))) < 0)
        return ret;
    if ((ret = ff_set_common_color_ranges2(ctx, cfg_in, cfg_out, ff_make_formats_list_singleton(AVCOL_RANGE_MPEG))) < 0)
        return ret;
    return ff_set_common_formats_from_list2(ctx, cfg_in, cfg_out, pix_fmts);
#else
#if SORA_HAS_COLOR_QUERY
    if ((ret = ff_set_common_color_spaces(ctx, ff_make_formats_list_singleton(AVCOL_SPC_BT709))) < 0)
        return ret;
    if ((ret = ff_set_common_color_ranges(ctx, ff_make_formats_list_singleton(AVCOL_RANGE_MPEG))) < 0)
        return ret;
#endif
    ret = ff_set_common_formats_from_list(ctx, pix_fmts);
    return ret;
#endif
}

static int config_props(AVFilterLink *outlink)
{
    AVFilterContext *ctx = outlink->src;
    SoraContext *s = ctx->priv;
    sora_format format = SORA_FORMAT_YUV420P;
    char length[32];
    sora_result r;
    int ret;
#if SORA_HAS_FILTER_LINK
    FilterLink *l = ff_filter_link(outlink);
#else
    AVFilterLink *l = outlink;
#endif

    for (int i = 0; i < FF_ARRAY_ELEMS(formats); i++)
        if (formats[i].av == outlink->format)
            format = formats[i].sora;

    sora_session_close(&s->session);                    /* config may run again */
    l->frame_rate      = (AVRational){ s->info.rate_num, s->info.rate_den };    /* found by init() */
    outlink->time_base = av_inv_q(l->frame_rate);
    if (s->duration >= 0)   /* as the test sources count: every frame that begins before the end */
        s->nb_frames = av_rescale_q_rnd(s->duration, AV_TIME_BASE_Q, outlink->time_base, AV_ROUND_UP);
    if (s->duration < 0 || s->nb_frames > 0) {
        if ((ret = open_session(ctx, format)) < 0)
            return ret;
        snprintf(length, sizeof(length), s->info.frames ? "%"PRId64" frames" : "endless", s->info.frames);
        av_log(ctx, AV_LOG_INFO, "%s, %dx%d, %d/%d fps, %s, %d steps, seed %"PRId64", %s, %d threads\n",
               s->info.model, s->info.width, s->info.height, s->info.rate_num, s->info.rate_den, length,
               s->info.steps, s->info.seed, s->info.precision, s->info.threads);
        s->start_time = av_gettime_relative();
        if ((r = sora_session_load(s->session, &s->err)) < 0)
            return fail(ctx, r);
    }

    outlink->w                   = s->info.width;
    outlink->h                   = s->info.height;
    outlink->sample_aspect_ratio = s->sar;
    s->next_pts                  = 0;
    s->chunks                    = 0;
    return 0;
}

static int tag(SoraContext *s, AVFrame *frame, const char *prompt)
{
    char seed[32];
    int ret;

#if SORA_HAS_DURATION
    frame->duration              = 1;
#else
    frame->pkt_duration          = 1;
#endif
#if SORA_HAS_KEY_FLAG
    frame->flags                |= AV_FRAME_FLAG_KEY;
#else
    frame->key_frame             = 1;
#endif
    frame->pict_type             = AV_PICTURE_TYPE_I;
    frame->sample_aspect_ratio   = s->sar;
    frame->color_primaries       = AVCOL_PRI_BT709;
    frame->color_trc             = AVCOL_TRC_BT709;
    frame->colorspace            = is_rgb(s->info.format) ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
    frame->color_range           = is_rgb(s->info.format) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    frame->chroma_location       = is_rgb(s->info.format) ? AVCHROMA_LOC_UNSPECIFIED : AVCHROMA_LOC_LEFT;
    snprintf(seed, sizeof(seed), "%"PRId64, s->info.seed);
    if ((ret = av_dict_set(&frame->metadata, "lavfi.sora.prompt", prompt, 0)) < 0)
        return ret;
    return av_dict_set(&frame->metadata, "lavfi.sora.seed", seed, 0);
}

/* For hours the only sign of life: the program has nothing to count while a source works. */
static void log_chunk(AVFilterContext *ctx, int64_t pts)
{
    SoraContext *s = ctx->priv;
    char length[32] = "";

    if (s->info.frames)
        snprintf(length, sizeof(length), " of %"PRId64, s->info.frames);
    av_log(ctx, AV_LOG_INFO, "chunk %"PRId64", from frame %"PRId64"%s, after %.1f s\n", s->chunks++, pts, length,
           (av_gettime_relative() - s->start_time) / 1e6);
}

static int activate(AVFilterContext *ctx)
{
    SoraContext *s = ctx->priv;
    AVFilterLink *outlink = ctx->outputs[0];
    sora_frame out;
    sora_result r;
    AVFrame *frame;
    int ret;

    if (ff_outlink_get_status(outlink)) {
        if (s->session)
            sora_session_cancel(s->session);
        return 0;
    }
    if (!ff_outlink_frame_wanted(outlink))
        return FFERROR_NOT_READY;
    if (!s->session) {                                  /* duration 0 */
        ff_outlink_set_status(outlink, AVERROR_EOF, s->next_pts);
        return 0;
    }

    if (!(frame = ff_get_video_buffer(outlink, outlink->w, outlink->h)))
        return AVERROR(ENOMEM);
    sora_frame_init(&out);
    for (int i = 0; i < sora_format_planes(s->info.format); i++) {
        out.data[i]   = frame->data[i];
        out.stride[i] = frame->linesize[i];
    }
    /* Blocks for a chunk: EAGAIN from a source loses frames or aborts the program, depending on the version. */
    if ((r = sora_session_next(s->session, &out, &s->err)) != SORA_OK) {
        av_frame_free(&frame);
        if (r == SORA_EOS) {
            ff_outlink_set_status(outlink, AVERROR_EOF, s->next_pts);
            return 0;
        }
        return fail(ctx, r);
    }
    frame->pts  = out.pts;
    s->next_pts = out.pts + 1;
    if (out.chunk_first)
        log_chunk(ctx, out.pts);
    if ((ret = tag(s, frame, out.prompt_text)) < 0) {
        av_frame_free(&frame);
        return ret;
    }
    return ff_filter_frame(outlink, frame);
}

static int process_command(AVFilterContext *ctx, const char *cmd, const char *args, char *res, int res_len, int flags)
{
    SoraContext *s = ctx->priv;
    sora_error err = { 0 };
    sora_result r;
    int ret;

    if (strcmp(cmd, "prompt") && strcmp(cmd, "p"))
        return AVERROR(ENOSYS);
    if (!s->session)
        return AVERROR(EINVAL);
    if ((r = sora_session_set_prompt(s->session, args ? args : "", &err)) < 0) {
        av_log(ctx, AV_LOG_ERROR, "%s.\n", err.text);
        return averror(r);
    }
    if ((ret = ff_filter_process_command(ctx, cmd, args, res, res_len, flags)) < 0)
        return ret;
    av_log(ctx, AV_LOG_INFO, "prompt '%s' from the next chunk after frame %"PRId64"\n", args, s->next_pts);
    return 0;
}

static const AVFilterPad sora_outputs[] = {
    {
        .name         = "default",
        .type         = AVMEDIA_TYPE_VIDEO,
        .config_props = config_props,
    },
};

#if SORA_HAS_FFFILTER
const FFFilter ff_vsrc_sora = {
    .p.name          = "sora",
    .p.description   = NULL_IF_CONFIG_SMALL("Generate video from a text prompt."),
    .p.priv_class    = &sora_class,
    .p.inputs        = NULL,
#else
const AVFilter ff_vsrc_sora = {
    .name            = "sora",
    .description     = NULL_IF_CONFIG_SMALL("Generate video from a text prompt."),
    .priv_class      = &sora_class,
    .inputs          = NULL,
#endif
    .priv_size       = sizeof(SoraContext),
    .init            = init,
    .uninit          = uninit,
    .activate        = activate,
    .process_command = process_command,
    FILTER_OUTPUTS(sora_outputs),
#if SORA_HAS_QUERY2
    FILTER_QUERY_FUNC2(query_formats),
#else
    FILTER_QUERY_FUNC(query_formats),
#endif
};
