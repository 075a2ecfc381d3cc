/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kind of output a name means. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static int nothing_write(struct output *out, const sora_frame *frame)
{
    return 0;
}

static int nothing_close(struct output *out, bool failed)
{
    return EXIT_OK;
}

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), e = strlen(end);

    return n >= e && !strcmp(s + n - e, end);
}

/* A folder that is there, a name with a slash behind it, or one without an ending: PNG files. */
static bool means_folder(const char *name)
{
    const char *last = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    struct stat st;

    if (stat(name, &st) == 0) return S_ISDIR(st.st_mode);
    return !*last || !strchr(last, '.');
}

int output_open(struct output *out, const char *name, const char *container, sora_format format)
{
    struct stat st;

    *out = (struct output){ .write = nothing_write, .close = nothing_close, .name = name, .format = format, .fd = -1 };
    if (!name) return EXIT_OK;                          /* the files of --save-... are what is wanted */
    if (!*name) {
        complain("-o: the name is empty");
        return EXIT_USAGE;
    }
    if (!strcmp(name, "-") && isatty(1)) {
        complain("-o -: standard output is a terminal; pipe it into a program, or give a file name");
        return EXIT_USAGE;
    }
    if (strcmp(container, "y4m")) {
        out->container = container;
        if (!strcmp(name, "-")) return pipe_open(out);
        complain("--container %s: found -o %s, wanted -o -; files get their container by their name", container, name);
        return EXIT_USAGE;
    }
    if (!strcmp(name, "-") || ends_with(name, ".y4m")) return y4m_open(out);
    if (strstr(name, "://")) return pipe_open(out);     /* a protocol of ffmpeg's */
    if (means_folder(name)) return png_open(out);
    if (stat(name, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) return y4m_open(out);
    return pipe_open(out);
}
