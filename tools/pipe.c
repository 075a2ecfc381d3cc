/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other file types: the ffmpeg program gets Y4M through a pipe.  No shell is involved, whatever the name holds. */
#define _GNU_SOURCE                 /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

/* What execvp would run. */
static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];

    for (const char *s = path ? path : "/usr/local/bin:/usr/bin:/bin"; *s; s += *s == ':') {
        const size_t n = strcspn(s, ":");
        struct stat st;
        if (n + strlen(program) + 2 < sizeof file) {
            snprintf(file, sizeof file, "%.*s/%s", n ? (int)n : 1, n ? s : ".", program);
            if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0) return true;
        }
        s += n;
    }
    return false;
}

/* In the child: only functions that are safe between fork and exec. */
static void become_ffmpeg(const char *name, const char *container, int in)
{
    const char *const by_name[] = { "-y", name, NULL };
    const char *const raw[] = { "-c:v", "rawvideo", "-f", container, "pipe:1", NULL };
    const char *argv[32] = { "ffmpeg", "-hide_banner", "-loglevel", container ? "fatal" : "error", "-nostdin",
                                 "-f", "yuv4mpegpipe",
                                 /* Y4M does not carry these */
                                 "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
                                 "-i", "pipe:0" };
    const char *const *rest = container ? raw : by_name;
    size_t n = 0;
    sigset_t none;

    while (argv[n]) n++;
    while ((argv[n++] = *rest++)) {}

    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);                  /* Ctrl-C is for us: ffmpeg sees the end of its input and finishes the file */
    if (dup2(in, 0) == 0) execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static int start(struct output *out)
{
    /* a name such as a:b.mp4 or -x.mp4 is a file's all the same */
    const bool plain = strstr(out->name, "://") || (!strchr(out->name, ':') && out->name[0] != '-');
    const size_t n = strlen(out->name) + 8;
    char *name = malloc(n);
    int fds[2], e = 0;

    if (!name) return ENOMEM;
    snprintf(name, n, "%s%s", plain ? "" : "file:", out->name);
    if (pipe2(fds, O_CLOEXEC) != 0) {
        e = errno;
        goto done;
    }
    out->child = fork();
    if (out->child == 0) become_ffmpeg(name, out->container, fds[0]);
    if (out->child < 0) {
        e = errno;
        out->child = 0;
        close(fds[1]);
    } else {
        out->fd = fds[1];
    }
    close(fds[0]);
done:
    free(name);
    return e;
}

static int pipe_write(struct output *out, const sora_frame *frame)
{
    int e = 0;

    if (!out->child && !(e = start(out))) e = y4m_header(out->fd, &out->info);
    return e ? e : y4m_frame(out->fd, &out->info, frame);
}

static int pipe_close(struct output *out, bool failed)
{
    int status = 0;

    if (!out->child) return EXIT_OK;
    close(out->fd);
    while (waitpid(out->child, &status, 0) < 0 && errno == EINTR) {}
    out->child = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return EXIT_OK;
    if (failed && out->container) return EXIT_OK;       /* the reader of our standard output has left */
    if (WIFSIGNALED(status)) complain("%s: ffmpeg was ended by signal %d", out->name, WTERMSIG(status));
    else complain("%s: ffmpeg could not write it (status %d)", out->name, WEXITSTATUS(status));
    return EXIT_FAILED;
}

/* The file must be ours to write, or hours of work are lost at the end.  It is left as it was. */
static int check_writable(const char *name)
{
    struct stat st;
    const bool exists = stat(name, &st) == 0;
    int fd;

    if (strstr(name, "://") || strchr(name, '%')) return EXIT_OK;   /* a protocol; a pattern of several files */
    fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0) {
        complain("%s: cannot write: %s", name, strerror(errno));
        return EXIT_FAILED;
    }
    close(fd);
    if (!exists) unlink(name);
    return EXIT_OK;
}

int pipe_open(struct output *out)
{
    out->write = pipe_write;
    out->close = pipe_close;
    out->ffmpeg = true;
    if (!in_path("ffmpeg")) {
        complain("%s: files other than .y4m are written by the ffmpeg program, and PATH has none; install ffmpeg, or give a "
                 ".y4m file or a folder for PNG files", out->name);
        return EXIT_FAILED;
    }
    return out->container ? EXIT_OK : check_writable(out->name);
}
