/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sora generate and sora decode: a session's frames into an output. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Interrupts: a thread waits for them, so that it may call sora_session_cancel() ---- */

struct interrupts {
    pthread_t thread;
    sigset_t set;
    pthread_mutex_t lock;
    sora_session *s;                /* NULL: none to cancel */
    int caught;                     /* the signal, 0: none */
    bool over;
};

static void *wait_for_signals(void *arg)
{
    struct interrupts *k = arg;
    int sig;

    while (sigwait(&k->set, &sig) == 0) {
        bool over;
        pthread_mutex_lock(&k->lock);
        over = k->over;
        if (!over && k->caught) _exit(128 + sig);       /* asked twice: whoever waits has no patience left */
        if (!over) k->caught = sig;
        if (!over && k->s) sora_session_cancel(k->s);
        pthread_mutex_unlock(&k->lock);
        if (over) break;
    }
    return NULL;
}

static bool interrupts_begin(struct interrupts *k, sora_session *s)
{
    *k = (struct interrupts){ .s = s };
    pthread_mutex_init(&k->lock, NULL);
    sigemptyset(&k->set);
    sigaddset(&k->set, SIGINT);
    sigaddset(&k->set, SIGTERM);
    sigaddset(&k->set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &k->set, NULL);
    return pthread_create(&k->thread, NULL, wait_for_signals, k) == 0;
}

/* The signal that came, or 0. */
static int interrupts_end(struct interrupts *k)
{
    pthread_mutex_lock(&k->lock);
    k->over = true;
    k->s = NULL;
    pthread_mutex_unlock(&k->lock);
    pthread_kill(k->thread, SIGTERM);
    pthread_join(k->thread, NULL);
    pthread_mutex_destroy(&k->lock);
    return k->caught;
}

/* ---- Frames ---- */

/* Planes of one frame, packed. */
static bool frame_alloc(sora_frame *f, const sora_info *info)
{
    sora_frame_init(f);
    for (int p = 0; p < sora_format_planes(info->format); p++) {
        const size_t row = sora_format_row_bytes(info->format, p, info->width);
        f->stride[p] = (ptrdiff_t)row;
        if (!(f->data[p] = malloc(row * (size_t)sora_format_rows(info->format, p, info->height)))) return false;
    }
    return true;
}

static void frame_free(sora_frame *f)
{
    for (int p = 0; p < 4; p++) free(f->data[p]);
}

/* The loop.  SORA_EOS at the end; *write_error: errno of the output where that is why it ended. */
static sora_result pump(sora_session *s, struct output *out, int *write_error, sora_error *err)
{
    sora_frame frame = { 0 };
    sora_result r;

    if (!frame_alloc(&frame, &out->info)) {
        snprintf(err->text, sizeof err->text, "no memory for a frame");
        r = err->code = SORA_ERR_NOMEM;
    } else {
        while ((r = sora_session_next(s, &frame, err)) == SORA_OK) {
            if ((*write_error = out->write(out, &frame))) break;
            out->frames++;
        }
    }
    frame_free(&frame);
    return r;
}

/* What the user is told, and the exit status. */
static int outcome(struct args *a, struct output *out, sora_result r, int write_error, int caught, const sora_error *err)
{
    if (write_error == EPIPE && (!out->ffmpeg || out->container)) {          /* the reader has what it wanted: end as every filter does */
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (write_error) {
        if (!out->ffmpeg) complain("%s: cannot write: %s", out->name, strerror(write_error));
        return EXIT_FAILED;                             /* ffmpeg has told why */
    }
    if (caught) {
        if (!a->quiet) complain("interrupted after %lld frames", (long long)out->frames);
        return 128 + caught;
    }
    if (r < 0) {
        complain("%s", err->text);
        return r == SORA_ERR_OPTION ? EXIT_USAGE : EXIT_FAILED;
    }
    return EXIT_OK;
}

static int run(struct args *a, sora_session *s, struct output *out, struct progress *p)
{
    const double begin = now();
    struct interrupts k;
    sora_error err = { 0 };
    int write_error = 0, caught, r, closed;
    sora_result result;

    if (!interrupts_begin(&k, s)) return complain("cannot start a thread"), EXIT_FAILED;
    result = pump(s, out, &write_error, &err);
    if (write_error) sora_session_cancel(s);
    progress_end(p);
    closed = out->close(out, write_error != 0);
    caught = interrupts_end(&k);
    r = outcome(a, out, result, write_error, caught, &err);
    if (r == EXIT_OK) r = closed;
    if (r == EXIT_OK && !a->quiet && a->progress != PROGRESS_JSON) {
        const double took_s = now() - begin;
        complain("%lld frames in %.1f s, %.2f frames/s", (long long)out->frames, took_s, (double)out->frames / took_s);
    }
    return r;
}

int cmd_generate(struct args *a)
{
    const bool saves = a->o.save_frames_file || a->o.save_latents_file || a->o.save_text_file;
    struct output out;
    struct progress *p;
    sora_session *s = NULL;
    sora_error err = { 0 };
    int r;

    if (a->n_rest) {
        complain("%s: what is \"%s\"? the prompt goes behind -p, in quotes", a->command, a->rest[0]);
        return EXIT_USAGE;
    }
    if (!strcmp(a->command, "decode") && !a->o.latents_file) {
        complain("decode: --latents FILE is missing");
        return EXIT_USAGE;
    }
    if (!a->out && !saves) {
        complain("%s: -o OUT is missing: a file, a folder or -", a->command);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);                           /* write() says it with EPIPE */
    if (!(p = progress_new(a->progress, a->quiet, a->verbose))) return complain("out of memory"), EXIT_FAILED;
    if ((r = output_open(&out, a->out, a->container, a->o.format)) != EXIT_OK) goto done;
    a->o.format = out.format;
    a->o.log = progress_log;
    a->o.progress = progress_show;
    a->o.user = p;
    if (sora_session_open(&s, &a->o, &err) < 0) {
        complain("%s", err.text);
        r = err.code == SORA_ERR_OPTION ? EXIT_USAGE : EXIT_FAILED;
        out.close(&out, true);
        goto done;
    }
    sora_info_init(&out.info);
    sora_session_get_info(s, &out.info);
    r = run(a, s, &out, p);
done:
    sora_session_close(&s);
    progress_free(p);
    return r;
}
