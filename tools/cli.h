/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of the sora program.  It sees the library through <sora/sora.h> alone, as any program does. */
#ifndef SORA_CLI_H
#define SORA_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <sora/sora.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* "sora: ..." and a newline on stderr; bytes that a terminal would obey are shown as '?'. */
void complain(const char *fmt, ...) SORA_PRINTF(1, 2);

/* ---- args.c: the command line, by the library's option table ---- */

enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

struct args {
    const char *command;
    sora_options o;
    char *stdin_prompt;             /* --prompt-file -, owned */
    const char *out, *save_frames, *stage;
    enum progress_mode progress;
    bool quiet, verbose, json;
    const char *container;          /* of -o -: "y4m", "matroska", "nut" */
    int runs;
    const char *listen;             /* of serve: an address in numbers */
    int port, jobs;
    double max_seconds;             /* 0: no limit */
    int max_width, max_height;
    const char **rest;              /* arguments that are no options, owned */
    int n_rest;
};

/* Commands an own option belongs to, as bits. */
enum { CMD_GENERATE = 1, CMD_DECODE = 2, CMD_INFO = 4, CMD_BENCH = 8, CMD_ESCAPE = 16, CMD_SERVE = 32 };

/* argv from the word after the command on.  EXIT_OK, EXIT_USAGE with a message, or -1: help was asked for. */
int args_parse(struct args *a, unsigned command, int argc, char **argv);
void args_free(struct args *a);
void args_help(FILE *f, unsigned command);
/* "yuv420p10" and the like; false: no such format of Y4M. */
bool args_format(const char *name, sora_format *format);
#define COUNT(x) (sizeof(x) / sizeof *(x))

/* ---- output.c: where frames go ---- */

struct output {
    /* One frame in out->format; 0, or the errno. */
    int (*write)(struct output *out, const sora_frame *frame);
    /* Finish the file: 0, EXIT_FAILED after its message.  failed: what was written is of no use. */
    int (*close)(struct output *out, bool failed);
    const char *name;
    const char *container;          /* of "-" where the ffmpeg program writes it; NULL: by the name */
    sora_format format;
    sora_info info;                 /* of the session, set before the first frame */
    int64_t frames;                 /* written so far */
    int fd;                         /* of Y4M */
    bool created;                   /* the file is ours to remove while it is empty */
    bool ffmpeg;                    /* the ffmpeg program writes it, and says itself what goes wrong */
    int child;                      /* its process, 0: not started */
};

/* By the form of the name; checks that it can be written before hours are spent.  EXIT_OK or the exit status. */
int output_open(struct output *out, const char *name, const char *container, sora_format format);
int y4m_open(struct output *out);
int png_open(struct output *out);
int pipe_open(struct output *out);

/* YUV4MPEG2: the first line, its length without a NUL; on a file descriptor: 0 or errno. */
enum { Y4M_HEADER_MAX = 160, Y4M_FRAME_SIZE = 6 };
size_t y4m_header_text(char line[Y4M_HEADER_MAX], const sora_info *info);
int y4m_header(int fd, const sora_info *info);
int y4m_frame(int fd, const sora_info *info, const sora_frame *frame);

/* ---- progress.c ---- */

struct progress;
struct progress *progress_new(enum progress_mode mode, bool quiet, bool verbose);
void progress_free(struct progress *p);
/* The library's callbacks, user: the struct progress. */
void progress_show(void *user, const sora_progress *g);
void progress_log(void *user, sora_log_level level, const char *line);
/* End the bar, so that other lines can follow. */
void progress_end(struct progress *p);

/* ---- generate.c, info.c, bench.c, escape.c, serve.c: the commands, each returns the exit status ---- */

int cmd_generate(struct args *a);
int cmd_info(struct args *a);
int cmd_bench(struct args *a);
int cmd_escape(struct args *a);
int cmd_serve(struct args *a);

#endif
