/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* YUV4MPEG2: a line of text, then each frame as a short line and its planes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static int write_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n > 0;) {
        const ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* mpeg2 in the name of 4:2:0 says that chroma sits at the left, between two rows. */
static const char *chroma(sora_format f)
{
    switch (f) {
    case SORA_FORMAT_YUV422P:   return "422";
    case SORA_FORMAT_YUV444P:   return "444";
    case SORA_FORMAT_YUV420P10: return "420p10 XYSCSS=420P10";
    case SORA_FORMAT_YUV422P10: return "422p10 XYSCSS=422P10";
    case SORA_FORMAT_YUV444P10: return "444p10 XYSCSS=444P10";
    default:                    return "420mpeg2 XYSCSS=420MPEG2";
    }
}

size_t y4m_header_text(char line[Y4M_HEADER_MAX], const sora_info *info)
{
    return (size_t)snprintf(line, Y4M_HEADER_MAX, "YUV4MPEG2 W%d H%d F%d:%d Ip A1:1 C%s XCOLORRANGE=LIMITED\n", info->width,
                            info->height, info->rate_num, info->rate_den, chroma(info->format));
}

int y4m_header(int fd, const sora_info *info)
{
    char line[Y4M_HEADER_MAX];

    return write_all(fd, line, y4m_header_text(line, info));
}

/* The session's planes are packed, see generate.c: a plane is one piece. */
int y4m_frame(int fd, const sora_info *info, const sora_frame *frame)
{
    int e = write_all(fd, "FRAME\n", Y4M_FRAME_SIZE);

    for (int p = 0; e == 0 && p < sora_format_planes(info->format); p++)
        e = write_all(fd, frame->data[p], sora_format_row_bytes(info->format, p, info->width) *
                                              (size_t)sora_format_rows(info->format, p, info->height));
    return e;
}

static int y4m_write(struct output *out, const sora_frame *frame)
{
    int e = 0;

    if (out->frames == 0) e = y4m_header(out->fd, &out->info);
    return e ? e : y4m_frame(out->fd, &out->info, frame);
}

static int y4m_close(struct output *out, bool failed)
{
    int r = EXIT_OK;

    if (out->fd == 1 || out->fd < 0) return EXIT_OK;
    if (close(out->fd) != 0 && !failed) {               /* a network file system may fail here for the first time */
        complain("%s: cannot write: %s", out->name, strerror(errno));
        r = EXIT_FAILED;
    }
    if (out->created && out->frames == 0) unlink(out->name);
    return r;
}

int y4m_open(struct output *out)
{
    struct stat st;

    out->write = y4m_write;
    out->close = y4m_close;
    if (!strcmp(out->name, "-")) {
        out->fd = 1;
        return EXIT_OK;
    }
    out->created = stat(out->name, &st) != 0;
    out->fd = open(out->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd >= 0) return EXIT_OK;
    complain("%s: cannot write: %s", out->name, strerror(errno));
    return EXIT_FAILED;
}
