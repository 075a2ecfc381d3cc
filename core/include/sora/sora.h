/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libsora: video from a sentence, on x86 CPUs.
 *
 *     sora_options o;
 *     sora_session *s;
 *     sora_error err = { 0 };
 *     sora_options_init(&o);
 *     o.prompt = "a red balloon over green hills";
 *     if (sora_session_open(&s, &o, &err) < 0) ...err.text...
 *     sora_session_get_info(s, &info);
 *     while (sora_session_next(s, &frame, &err) == SORA_OK) ...
 *     sora_session_close(&s);
 *
 * Strings are UTF-8.  The library prints nothing, sets no signal handler, never exits, and reads the environment
 * only to find models (SORA_MODEL_PATH, XDG_DATA_HOME, XDG_DATA_DIRS, HOME).
 */
#ifndef SORA_SORA_H
#define SORA_SORA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SORA_API __attribute__((visibility("default")))
#define SORA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SORA_API
#define SORA_PRINTF(f, a)
#endif

/* Negative: failed.  A function that returns sora_result also leaves the message in its sora_error. */
typedef enum sora_result {
    SORA_OK = 0,
    SORA_EOS = 1,                /* after the last frame */
    SORA_ERR_CANCELLED = -1,     /* sora_session_cancel() */
    SORA_ERR_NOMEM = -2,
    SORA_ERR_OPTION = -3,        /* an option or the prompt is wrong: ask the user */
    SORA_ERR_NOT_FOUND = -4,     /* no such model or file */
    SORA_ERR_ACCESS = -5,        /* it is there but may not be read or written */
    SORA_ERR_MODEL = -6,         /* a model file is damaged, incomplete or of another kind than its config says */
    SORA_ERR_UNSUPPORTED = -7,   /* well-formed, but nothing here can do it (a family, a precision on this CPU) */
    SORA_ERR_IO = -8,            /* reading or writing failed */
    SORA_ERR_INTERNAL = -9       /* the engine failed: frames with NaN, a primitive that could not run */
} sora_result;

/* The first failure of a call.  Zero it before use; a later failure does not replace the first. */
typedef struct sora_error {
    sora_result code;
    char text[1000];             /* one line, without a full stop at its end, fit to show to the user */
} sora_error;

/* "0.1.0": the library that is running, which may be newer than this header. */
#define SORA_VERSION_MAJOR 0
#define SORA_VERSION_MINOR 1
#define SORA_VERSION_MICRO 0
SORA_API const char *sora_version(void);

/* ---- Options ------------------------------------------------------------------------------------------------ */

/* Pixel formats of frames.  Planes in the order of the name; 10 and 16 bit little endian in 16-bit words. */
typedef enum sora_format {
    SORA_FORMAT_YUV420P = 0,     /* the default: 8 bit, chroma 2x2, BT.709 limited range, chroma site left */
    SORA_FORMAT_YUV422P,
    SORA_FORMAT_YUV444P,
    SORA_FORMAT_YUV420P10,
    SORA_FORMAT_YUV422P10,
    SORA_FORMAT_YUV444P10,
    SORA_FORMAT_RGB24,           /* packed R G B, full range */
    SORA_FORMAT_GBRP,            /* planar G B R, full range */
    SORA_FORMAT_GBRP10,
    SORA_FORMAT_GBRP16,
    SORA_FORMAT_RGBPF32,         /* planar R G B float 0..1: the decoder's own output */
    SORA_FORMAT_COUNT
} sora_format;

typedef enum sora_log_level { SORA_LOG_ERROR, SORA_LOG_WARNING, SORA_LOG_INFO, SORA_LOG_DEBUG } sora_log_level;

/* Called from the session's worker thread or from the thread inside a call; must not call back into the session. */
typedef void sora_log_fn(void *user, sora_log_level level, const char *line);

typedef enum sora_stage {
    SORA_STAGE_LOAD, SORA_STAGE_TEXT, SORA_STAGE_STEP, SORA_STAGE_DECODE, SORA_STAGE_DONE
} sora_stage;

typedef struct sora_progress {
    sora_stage stage;
    int     step, steps;         /* denoising steps of this chunk that are done; 0, 0 outside SORA_STAGE_STEP */
    int64_t chunk;               /* from 0 */
    int64_t frames;              /* frames decoded so far */
    int64_t frames_total;        /* 0: endless */
    double  fraction;            /* 0..1 of the whole work, or of this chunk when endless */
    double  elapsed_s;           /* since the session's first work */
} sora_progress;

/* As sora_log_fn.  Called at every step, and at least at each change of stage. */
typedef void sora_progress_fn(void *user, const sora_progress *p);

/* What may change between two chunks of a stream.  Comes with the values in use. */
typedef struct sora_chunk {
    size_t  size;                /* sizeof(sora_chunk) as the library knows it */
    int64_t chunk;               /* from 0 */
    int64_t frame;               /* number of its first frame */
    int64_t seed;                /* in, out: 0 or more */
    float   guidance;            /* in, out: > 0; ignored where the model's steps are made without guidance */
    /* New fields go here. */
} sora_chunk;

/* Called by the worker before it begins a chunk.  Of the session's functions it may call sora_session_set_prompt(), which
   then holds from this chunk, and sora_session_cancel(). */
typedef void sora_chunk_fn(void *user, sora_chunk *c);

typedef struct sora_options {
    size_t      size;            /* sizeof(sora_options) as the caller knows it; set by sora_options_init() */
    const char *prompt;          /* may be a schedule: "@0 calm sea @10 stormy sea" */
    const char *prompt_file;     /* read instead of prompt (not both); one trailing newline is dropped */
    const char *negative_prompt; /* used where guidance > 1 */
    const char *model;           /* name, folder or file; NULL: "pocket" */
    int         width, height;   /* output pixels from 16x16; 0: the model's own */
    int         rate_num, rate_den;  /* frames per second; 0/0: the model's own */
    int64_t     frames;          /* -1: the model's own; 0: endless where the model streams */
    int64_t     seed;            /* equal seed, options and machine give equal frames; -1: drawn, see sora_info.seed */
    int         steps;           /* 0: the model's own */
    float       guidance;        /* classifier-free guidance scale, 1: off; 0: the model's own */
    float       shift;           /* of the timestep schedule; 0: the model's own */
    const char *sampler;         /* "euler", "unipc", "renoise"; NULL: the model's own */
    int         threads;         /* 0: one per physical core */
    const char *precision;       /* "auto", "f32", "bf16", "int8"; NULL: "auto" */
    const char *vae;             /* decoder: a file, "full" or "tiny"; NULL: the model's own */
    sora_format format;          /* of the frames that sora_session_next() writes */
    sora_log_fn      *log;       /* NULL: silence */
    sora_progress_fn *progress;  /* NULL: none */
    void             *user;      /* given to the functions */
    /* For comparison with other implementations: safetensors files, f32, without a batch axis (docs/cli). */
    const char *noise_file;      /* "noise" [C, F, H, W], "renoise.1" ...: instead of drawn noise */
    const char *text_file;       /* "text" [T, D]: instead of the text encoder */
    const char *latents_file;    /* "latents" [C, F, H, W]: decode these; no prompt, text or sampling */
    const char *save_text_file, *save_latents_file;
    const char *save_frames_file;    /* "frames" [frames, height, width, 3]: RGB 0..1 as decoded, before any conversion */
    sora_chunk_fn *chunk;        /* NULL: none */
    /* New fields go here; a field is never moved, retyped or given a new meaning. */
} sora_options;

#define sora_options_init(o) sora_options_init_sized((o), sizeof *(o))
SORA_API void sora_options_init_sized(sora_options *o, size_t size);

/* One row for each option that a user can set: the CLI, GStreamer and FFmpeg show these and are tested against them. */
typedef enum sora_option_type {
    SORA_OPTION_STRING, SORA_OPTION_PATH, SORA_OPTION_SIZE, SORA_OPTION_RATE, SORA_OPTION_INT, SORA_OPTION_FLOAT,
    SORA_OPTION_ENUM
} sora_option_type;

typedef struct sora_option {
    const char *name;            /* "negative-prompt" */
    char        letter;          /* of the CLI, 0: none */
    sora_option_type type;
    double      min, max;        /* SORA_OPTION_INT and _FLOAT */
    const char *values;          /* SORA_OPTION_ENUM: "auto|f32|bf16|int8" */
    const char *def;             /* the default as the user would type it; "" for the model's own */
    const char *unit;            /* "frames", "pixels"; "" */
    const char *help;            /* one sentence */
} sora_option;

/* The table, ended by a row whose name is NULL. */
SORA_API const sora_option *sora_option_table(void);

/* Set one option from its text, as typed by a user: ("size", "512x288").  Strings are kept by pointer: they must outlive
   the sora_options.  "" stands for the model's own; '_' in a name is as good as '-'.  SORA_ERR_OPTION names the option, what was found and what was wanted. */
SORA_API sora_result sora_options_set(sora_options *o, const char *name, const char *value, sora_error *err);

/* ---- Session ------------------------------------------------------------------------------------------------ */

typedef struct sora_session sora_session;

typedef struct sora_info {
    size_t   size;               /* set by sora_info_init() */
    char     model[128];         /* name as found */
    char     family[32];         /* "wan", "pocket", "test" ... */
    char     licence[64];        /* as the model's card says; "" */
    char     precision[8];       /* in use: "f32", "bf16" */
    int      width, height;      /* of the frames */
    int      native_width, native_height;
    int      rate_num, rate_den;
    int64_t  frames;             /* of the clip; 0: endless */
    int      chunk;              /* frames that arrive together; == frames for clip models */
    int      streams;            /* 1: frames=0 and prompt changes work */
    int64_t  seed;               /* in use, never -1 */
    int      steps;
    float    guidance, shift;
    char     sampler[16];
    int      threads;
    uint64_t parameters;         /* of all parts together */
    uint64_t weight_bytes;       /* on disk */
    uint64_t memory_bytes;       /* estimated peak for these options */
    double   flop;               /* estimated work for the clip, or for one chunk when endless */
    sora_format format;
    char     types[64];          /* of the weights in the files: "BF16, F32"; "" */
    int      fixed_size;         /* 1: made at native_width x native_height, and scaled from there to width x height */
    /* New fields go here. */
} sora_info;

#define sora_info_init(i) sora_info_init_sized((i), sizeof *(i))
SORA_API void sora_info_init_sized(sora_info *i, size_t size);

/*
 * Check the options and find the model; read its config and its file headers, but no weights (some milliseconds).  The
 * weights are loaded by the session's worker thread, which starts with the first of sora_session_load() and
 * sora_session_next().
 *
 * s    the new session, or NULL on failure; close with sora_session_close().
 * o    copied, strings included.
 * Returns SORA_OK or what is wrong with options or model.  Any thread.
 */
SORA_API sora_result sora_session_open(sora_session **s, const sora_options *o, sora_error *err);

/* What the session will deliver.  Constant from open to close; any thread. */
SORA_API void sora_session_get_info(const sora_session *s, sora_info *info);

/* Wait until the weights are loaded, so that what is wrong with them is known before the first frame.  Optional. */
SORA_API sora_result sora_session_load(sora_session *s, sora_error *err);

/* Caller's planes, as many as the format has.  stride: bytes from row to row, may be negative. */
typedef struct sora_frame {
    size_t    size;              /* sizeof(sora_frame); set by sora_frame_init() */
    uint8_t  *data[4];
    ptrdiff_t stride[4];
    int64_t   pts;               /* out: frames from 0, without gaps */
    int64_t   prompt;            /* out: how many prompt changes this frame has seen, from 0 */
    const char *prompt_text;     /* out: the prompt that it shows; valid until the next call for this session */
    int       chunk_first;       /* out: 1 on the first frame of a chunk */
    /* New fields go here. */
} sora_frame;

#define sora_frame_init(f) sora_frame_init_sized((f), sizeof *(f))
SORA_API void sora_frame_init_sized(sora_frame *f, size_t size);

/* Planes of a format, and the bytes of one row and the rows of plane p for a picture of width x height pixels. */
SORA_API int    sora_format_planes(sora_format f);
SORA_API size_t sora_format_row_bytes(sora_format f, int p, int width);
SORA_API int    sora_format_rows(sora_format f, int p, int height);

/*
 * Write the next frame of the clip.
 *
 * frame   planes allocated by the caller in the session's format and size.  On SORA_OK holds pixels and pts;
 *         otherwise the planes are untouched.
 * err     where to leave the message; may be NULL.
 * Most calls return at once; the first of each chunk blocks until the chunk is decoded.  One thread at a time may call
 * this; sora_session_cancel() and sora_session_set_prompt() may run beside it.
 * Returns SORA_OK; SORA_EOS after the last frame; SORA_ERR_CANCELLED after a cancel; any other error is final: every
 * later call returns it again.
 */
SORA_API sora_result sora_session_next(sora_session *s, sora_frame *frame, sora_error *err);

/* As sora_session_next(), but returns 0 at once when no frame is waiting, 1 when the next call would not block. */
SORA_API int sora_session_ready(sora_session *s);

/*
 * Change the prompt of a stream from the next chunk that is not yet begun.  Copied; any thread, never blocks.
 * It takes the place of the prompt or schedule before; the times of a new schedule count from that chunk.
 * sora_frame.prompt tells when it shows: each call counts one, and so does each later entry of a schedule.
 * SORA_ERR_OPTION for an empty prompt; SORA_ERR_UNSUPPORTED where the model makes whole clips.
 */
SORA_API sora_result sora_session_set_prompt(sora_session *s, const char *prompt, sora_error *err);

/*
 * Stop all work of the session: a blocked sora_session_next() or _load() returns SORA_ERR_CANCELLED at once, the
 * worker gives up within 200 ms.  Final; close the session afterwards.  Any thread, never blocks.
 */
SORA_API void sora_session_cancel(sora_session *s);

/*
 * Cancel and wait for the worker, but keep the model in memory: a session that is opened with the same model while this
 * one is stopped does not load and pack its weights again.  Only sora_session_close() may follow.
 * Not beside another call for this session.
 */
SORA_API void sora_session_stop(sora_session *s);

/* Cancel, wait for the worker, free; *s becomes NULL.  NULL and pointers to NULL are fine. */
SORA_API void sora_session_close(sora_session **s);

/* ---- Models ------------------------------------------------------------------------------------------------- */

/* Names of the models that can be found now, one call of fn for each; stops when fn returns other than 0. */
SORA_API sora_result sora_models(int (*fn)(void *user, const char *name, const char *path), void *user,
                                 sora_error *err);

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

/*
 * Run a model, or the random weights of a published shape ("wan2.1-1.3b", "wan2.2-5b", "ltx-2b" ...), and measure.
 *
 * o       size, frames, threads, precision, steps are used; model is the model or the shape.
 * stage   "text", "step", "vae", or NULL for all.
 * json    the report as one JSON object in the form that docs/performance.md describes; free with sora_free().
 */
SORA_API sora_result sora_bench(const sora_options *o, const char *stage, int runs, char **json, sora_error *err);

SORA_API void sora_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
