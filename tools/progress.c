/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Progress and log lines on stderr: a bar on a terminal, plain lines or JSON elsewhere.  Called from the library's worker
   thread and from main(). */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct progress {
    pthread_mutex_t lock;
    enum progress_mode mode;
    bool quiet, verbose;
    bool bar_shown;                 /* the cursor stands behind a bar */
    double shown_s;                 /* when the last bar or line was written */
    sora_stage stage;               /* of the last line */
};

struct progress *progress_new(enum progress_mode mode, bool quiet, bool verbose)
{
    struct progress *p = calloc(1, sizeof *p);

    if (!p) return NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->mode = mode;
    if (mode == PROGRESS_AUTO) p->mode = quiet ? PROGRESS_NONE : isatty(2) ? PROGRESS_BAR : PROGRESS_PLAIN;
    p->quiet = quiet;
    p->verbose = verbose;
    p->shown_s = -1;
    p->stage = SORA_STAGE_DONE;
    return p;
}

void progress_free(struct progress *p)
{
    if (p) pthread_mutex_destroy(&p->lock);
    free(p);
}

static const char *const stages[] = { "loading", "reading the prompt", "step", "decoding", "done" };
static const char *const names[] = { "load", "text", "step", "decode", "done" };

/* Seconds left, judged by what is done; negative: nobody knows yet. */
static double seconds_left(const sora_progress *g)
{
    return g->frames_total && g->fraction > 0.01 ? g->elapsed_s * (1 - g->fraction) / g->fraction : -1;
}

static void put_state(const sora_progress *g)
{
    const double left = seconds_left(g);

    if (g->stage == SORA_STAGE_STEP) fprintf(stderr, "step %d/%d", g->step, g->steps);
    else fprintf(stderr, "%s", stages[g->stage]);
    if (g->frames_total) fprintf(stderr, ", frame %" PRId64 "/%" PRId64, g->frames, g->frames_total);
    else fprintf(stderr, ", frame %" PRId64, g->frames);
    if (left >= 0 && g->stage != SORA_STAGE_DONE) fprintf(stderr, ", %d:%02d left", (int)left / 60, (int)left % 60);
}

static void bar(struct progress *p, const sora_progress *g)
{
    enum { WIDTH = 30 };
    const int full = (int)(g->fraction * WIDTH + 0.5);
    char line[WIDTH + 1];

    if (g->stage == p->stage && p->shown_s >= 0 && g->elapsed_s - p->shown_s < 0.1) return;
    memset(line, '.', WIDTH);
    memset(line, '#', (size_t)full);
    line[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3d%% ", line, (int)(g->fraction * 100));
    put_state(g);
    fprintf(stderr, "\033[K");      /* clears what a longer line left */
    p->bar_shown = true;
    p->stage = g->stage;
    p->shown_s = g->elapsed_s;
}

/* At most a line a second, but one at each change of stage in the first chunk. */
static void plain(struct progress *p, const sora_progress *g)
{
    const bool stage_is_new = g->stage != p->stage && (g->chunk == 0 || g->stage == SORA_STAGE_DONE);

    if (!stage_is_new && g->elapsed_s - p->shown_s < 1) return;
    fprintf(stderr, "sora: %3d%% ", (int)(g->fraction * 100));
    put_state(g);
    fputc('\n', stderr);
    p->stage = g->stage;
    p->shown_s = g->elapsed_s;
}

static void json(const sora_progress *g)
{
    const double left = seconds_left(g);

    fprintf(stderr, "{\"stage\": \"%s\", \"step\": %d, \"steps\": %d, \"chunk\": %" PRId64 ", \"frames\": %" PRId64
            ", \"frames_total\": %" PRId64 ", \"fraction\": %.4f, \"elapsed_s\": %.3f, \"left_s\": ",
            names[g->stage], g->step, g->steps, g->chunk, g->frames, g->frames_total, g->fraction, g->elapsed_s);
    if (left >= 0) fprintf(stderr, "%.1f}\n", left);
    else fprintf(stderr, "null}\n");
}

void progress_show(void *user, const sora_progress *g)
{
    struct progress *p = user;

    pthread_mutex_lock(&p->lock);
    if (p->mode == PROGRESS_BAR) bar(p, g);
    if (p->mode == PROGRESS_PLAIN) plain(p, g);
    if (p->mode == PROGRESS_JSON) json(g);
    pthread_mutex_unlock(&p->lock);
}

void progress_log(void *user, sora_log_level level, const char *line)
{
    struct progress *p = user;
    const sora_log_level shown = p->quiet ? SORA_LOG_ERROR : p->verbose ? SORA_LOG_DEBUG : SORA_LOG_INFO;

    if (level > shown) return;
    progress_end(p);
    complain("%s%s", level == SORA_LOG_WARNING ? "warning: " : "", line);
}

void progress_end(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->bar_shown) fputc('\n', stderr);
    p->bar_shown = false;
    pthread_mutex_unlock(&p->lock);
}
