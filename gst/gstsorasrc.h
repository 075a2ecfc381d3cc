/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sorasrc: the element.  gstsorasrc.c has its states and queries, gstsoraflow.c its stream. */
#ifndef GST_SORA_SRC_H
#define GST_SORA_SRC_H

#include <gst/base/gstpushsrc.h>

#include "gstsora.h"
#include "gstsorajob.h"

G_BEGIN_DECLS

#define GST_TYPE_SORA_SRC (gst_sora_src_get_type())
G_DECLARE_FINAL_TYPE(GstSoraSrc, gst_sora_src, GST, SORA_SRC, GstPushSrc)
GST_ELEMENT_REGISTER_DECLARE(sorasrc)

/* What fills a slot of a live stream for which there is no content; see gstsoraunderrun.c. */
typedef enum {
    GST_SORA_UNDERRUN_HOLD, GST_SORA_UNDERRUN_LOOP, GST_SORA_UNDERRUN_STRETCH, GST_SORA_UNDERRUN_BLACK,
    GST_SORA_UNDERRUN_CARD, GST_SORA_UNDERRUN_BLOCK
} GstSoraUnderrun;

/* From when on a new prompt is shown; see gstsoraprompt.c. */
typedef enum { GST_SORA_CHANGE_CHUNK, GST_SORA_CHANGE_CLIP, GST_SORA_CHANGE_NOW } GstSoraPromptChange;

/* What the stream says of itself; see gstsoratags.c. */
typedef enum { GST_SORA_TAGS_NONE, GST_SORA_TAGS_MINIMAL, GST_SORA_TAGS_FULL } GstSoraTags;

/* What happens where the caps have another rate than the model. */
typedef enum { GST_SORA_RATE_RESAMPLE, GST_SORA_RATE_RETIME } GstSoraRate;

/* The picture of placeholder-location; under the object lock. */
typedef struct GstSoraPlaceholder {
    gchar       *location;
    GstBuffer   *picture;       /* NULL: none, not yet, or no longer */
    GstVideoInfo info;          /* of picture */
    guint        number;        /* counts pictures */
    gboolean     loading;
} GstSoraPlaceholder;

/* Of the streaming thread. */
typedef struct GstSoraFill {
    GPtrArray *chunk;           /* of GstBuffer, as the session wrote them: the last chunk, to loop */
    gint64 index;               /* of the content that was put there last */
    gint turn;                  /* loop: the picture of `chunk` on show, -1: none */
    gboolean back;
    double part;                /* loop: what is left of a frame of the model's rate; 0..1 */
    double pace;                /* stretch: the same of a slot */
    GstBuffer *filler;          /* black or a card, in the caps of the stream */
    gint step;                  /* of the card; -1: black; below: a placeholder, by its number */
} GstSoraFill;

/* Where the stream is.  Of the streaming thread, but for what the queries read: that changes under the object lock. */
typedef struct GstSoraFlow {
    GstVideoInfo out;           /* as negotiated; format unknown before */
    GstVideoInfo master;        /* what the session writes, ... */
    sora_format format;         /* ... and the library's name of it */
    GstVideoConverter *convert; /* NULL: frames go out as they are */
    GstSoraScale scale;         /* what that was made for, ... */
    GstSoraPlace place;         /* ... and which part of the master it shows where */
    gboolean mark;              /* frames have the watermark */

    GstClockTime origin;        /* time of output frame 0 at the negotiated rate */
    gint64 n;                   /* output frame that comes next */
    gboolean reverse;
    gboolean seeked;            /* `position` waits to become n, for which the rate must be known */
    GstClockTime position;
    gboolean retime;            /* the content has the negotiated rate, which self->info tells as the model's, ... */
    gint64 lead;                /* ... and this many frames were shown before `origin`, at other rates */
    gint64 first;               /* not live: frame of the content, at the model's rate, that is frame 0 of the job */

    GstClockTime shown_origin;  /* live: content of the job already shown before frame 0, ... */
    gint64 shown;               /* ... and output frames with content since */
    GstBuffer *last;            /* live: what went out last, to hold; in the caps of `out` */
    GstBuffer *last_master;     /* the same before conversion */
    gboolean holding;
    GstSoraFill fill;

    gint64 prompt;              /* number of the prompt on show, -1: none of this job yet */
    gboolean told;              /* of the first prompt */
    gboolean tagged;            /* marked as what it is, since the last flush */
    gint64 pushed, duplicated;
    gint64 dropped;             /* slots that were left out because downstream was late */
    gint64 generated;           /* by the jobs before this one */
    gboolean warned;            /* of being slower than real time */
    GstClockID clock_id;        /* under the object lock, as `flushing` */
    gboolean flushing;
} GstSoraFlow;

struct _GstSoraSrc {
    GstPushSrc parent;
    GRecMutex  change_lock;     /* of who changes the prompt or the job: one at a time, so that the last one wins */

    /* Under the object lock. */
    GstSoraSettings settings;
    GstSoraLimits   limits;
    guint64         cache_size;
    gboolean        post_messages;
    GstSoraScale    scale_mode;
    GstSoraRate     rate_mode;
    gboolean        watermark;
    gboolean        generate_in_paused;
    gboolean        use_buffering;
    GstSoraUnderrun underrun;
    GstSoraPlaceholder placeholder;
    GstSoraPrebuffer prebuffer;
    GstSoraPromptChange prompt_change;
    GstSoraTags     tags;
    gboolean        keep_model;
    GstClockTime    unload_after;
    gboolean        repeat;
    gint64          new_seed;   /* for the chunks to come, set while it runs; -1: none */
    gfloat          new_guidance;   /* the same; 0: none */
    GstSoraJob     *job;        /* from start to stop */
    GstSoraJob     *next;       /* takes over where job ends; NULL: none */
    guint           run_number; /* counts stop(): what an older run says is not heard */
    guint           generations;    /* of this run, begun and not ended */
    gboolean        playing;    /* the state is PLAYING, or will be at once */
    gboolean        stopped;    /* told to end: nothing follows what is made */
    gboolean        chained;    /* one has taken over, or will: there is no length, and no seeking */
    sora_info       info;       /* of the job; rate_num 0: none yet */
    gint64          seed;       /* of the last job */
    gboolean        keep;       /* the clip stays in memory: seekable */

    GstSoraSettings run;        /* what the job, or the next, was made of; under the object lock */
    sora_session   *parked;     /* that holds the model of a run that has ended; under the object lock, as ... */
    gboolean        may_park;   /* ... from READY on */
    sora_session   *loading;    /* of load-model, while it loads */
    GstClockID      unload_id;
    GstSoraJob     *late;       /* one that did not end in time at stop() */
    GstSoraFlow     flow;
};

/* gstsorasrc.c */
gboolean    gst_sora_src_renew_job(GstSoraSrc *self);       /* as before, from frame 0 */
GstSoraJob *gst_sora_src_ref_job(GstSoraSrc *self);
void        gst_sora_src_cancel(GstSoraSrc *self);          /* the work; what is made already is still shown */

void        gst_sora_src_update_paused(GstSoraSrc *self);   /* what it depends on has changed; with the object lock */

/* From now, or after the clip, another job with this prompt and seed; -1: the seed there is.  Any thread. */
void        gst_sora_src_chain(GstSoraSrc *self, const char *prompt, gint64 seed, gboolean now);
/* Make the next job the job: at once, or if_ready: when its first frame is there.  FALSE: there is none. */
gboolean    gst_sora_src_take_next(GstSoraSrc *self, gboolean if_ready);
void        gst_sora_src_post_work(GstSoraSrc *self);       /* the news of the job */
GstClockTime gst_sora_src_clip_duration(const sora_info *info);     /* NONE: endless */
GstClockTime gst_sora_src_duration(GstSoraSrc *self);       /* of the stream, as it plays; with the object lock */

/* gstsorapark.c: models of runs that have ended.  Any thread. */
gboolean gst_sora_park(GstElement *owner, sora_session *s);     /* a stopped one; FALSE: it is not wanted */
void     gst_sora_park_clear(GstElement *owner);
void     gst_sora_park_load(GstSoraSrc *self);                  /* in READY: the model of the settings; never waits */
void     gst_sora_park_open(GstSoraSrc *self, gboolean open);   /* whether anything may be parked; FALSE clears */

/* gstsoraprompt.c */
#define GST_TYPE_SORA_PROMPT_CHANGE (gst_sora_prompt_change_get_type())
GType    gst_sora_prompt_change_get_type(void);
void     gst_sora_prompt_class_init(GObjectClass *klass);
gboolean gst_sora_prompt_set(GstSoraSrc *self, const char *prompt);     /* FALSE, and a warning: it cannot be shown */
void     gst_sora_prompt_read_file(GstSoraSrc *self);                   /* in a thread of its own */
gboolean gst_sora_prompt_is_event(GstEvent *event);
gboolean gst_sora_prompt_event(GstSoraSrc *self, GstEvent *event);
void     gst_sora_prompt_chunk(GstElement *owner, const sora_info *info, sora_chunk *c);     /* a GstSoraChunkFn */

/* gstsorasignals.c: without a lock */
void gst_sora_signals_class_init(GObjectClass *klass);
void gst_sora_signals_begun(GstElement *owner, guint run);
void gst_sora_signals_ended(GstElement *owner, guint run, sora_result result);
void gst_sora_signals_stop(GstSoraSrc *self);       /* no run that there is says anything from now on */

/* gstsoratags.c */
#define GST_TYPE_SORA_TAGS (gst_sora_tags_get_type())
GType     gst_sora_tags_get_type(void);
GstEvent *gst_sora_tags_event(GstSoraSrc *self, const char *prompt);    /* NULL: none is wanted.  prompt may be NULL */
void      gst_sora_tags_mark(GstSoraSrc *self, GstBuffer *buffer);      /* writable */

/* gstsoraplaceholder.c: no call waits for the file */
void gst_sora_placeholder_set(GstSoraSrc *self, const char *location);
void gst_sora_placeholder_begin(GstSoraSrc *self);      /* a live run */
void gst_sora_placeholder_end(GstSoraSrc *self);
/* NULL: there is none, or it is being loaded.  number: another one with each picture. */
GstBuffer *gst_sora_placeholder_ref(GstSoraSrc *self, GstVideoInfo *info, guint *number, gboolean *loading);

/* gstsorauri.c */
void gst_sora_uri_handler_init(gpointer iface, gpointer data);
void gst_sora_preset_init(gpointer iface, gpointer data);

/* gstsoraproperties.c */
void gst_sora_properties_class_init(GObjectClass *klass);
void gst_sora_properties_init(GstSoraSrc *self);

/* gstsoraflow.c */
void gst_sora_flow_class_init(GstBaseSrcClass *base, GstPushSrcClass *push);
void gst_sora_flow_reset(GstSoraSrc *self);
void gst_sora_flow_free(GstSoraSrc *self);
/* A frame of the session as the caps want it; where they are the same the memory is shared, not copied. */
GstFlowReturn gst_sora_flow_render(GstSoraSrc *self, GstBuffer *master, GstBuffer **out);
/* The same of any picture: what it is, and what makes a frame in the caps of it. */
GstFlowReturn gst_sora_flow_convert(GstSoraSrc *self, GstVideoConverter *convert, const GstVideoInfo *info,
                                    GstBuffer *picture, GstBuffer **out);

/* gstsoraunderrun.c: all but the first two of the streaming thread */
#define GST_TYPE_SORA_UNDERRUN (gst_sora_underrun_get_type())
GType           gst_sora_underrun_get_type(void);
GstSoraUnderrun gst_sora_underrun_policy(GstSoraSrc *self);
void            gst_sora_underrun_saw(GstSoraSrc *self, const GstSoraFrame *frame);     /* content goes out */
gboolean        gst_sora_underrun_rests(GstSoraSrc *self, GstSoraJob *job);     /* stretch: this slot repeats */
gboolean        gst_sora_underrun_returns(GstSoraSrc *self);    /* loop: still on the way to where content goes on */
GstFlowReturn   gst_sora_underrun_picture(GstSoraSrc *self, GstSoraJob *job, GstBuffer **out);
void            gst_sora_underrun_new_caps(GstSoraSrc *self);
void            gst_sora_underrun_reset(GstSoraSrc *self);

G_END_DECLS

#endif
