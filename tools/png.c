/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of PNG files, one for each frame. */
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* libpng leaves by longjmp where it fails, so nothing here owns memory. */
static int write_png(FILE *f, const sora_info *info, const sora_frame *frame)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop head = png ? png_create_info_struct(png) : NULL;
    int e = 0;

    if (!head) {
        png_destroy_write_struct(&png, NULL);
        return ENOMEM;
    }
    errno = 0;
    if (setjmp(png_jmpbuf(png))) {
        e = errno ? errno : EIO;
        png_destroy_write_struct(&png, &head);
        return e;
    }
    png_init_io(png, f);
    png_set_compression_level(png, 3);                  /* twice as fast as 6, and hardly larger with pictures */
    png_set_IHDR(png, head, (png_uint_32)info->width, (png_uint_32)info->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, head);
    for (int y = 0; y < info->height; y++) png_write_row(png, frame->data[0] + y * frame->stride[0]);
    png_write_end(png, head);
    png_destroy_write_struct(&png, &head);
    return 0;
}

static int png_frame(struct output *out, const sora_frame *frame)
{
    const size_t n = strlen(out->name) + 40;
    char *path = malloc(n);
    FILE *f = NULL;
    int e = ENOMEM;

    if (!path) return e;
    snprintf(path, n, "%s/frame-%06lld.png", out->name, (long long)frame->pts);
    if (!(f = fopen(path, "wbe"))) e = errno;
    else e = write_png(f, &out->info, frame);
    if (f && fclose(f) != 0 && !e) e = errno;
    if (f && e) unlink(path);                           /* half a picture is of no use */
    free(path);
    return e;
}

static int png_close(struct output *out, bool failed)
{
    if (out->created && out->frames == 0) rmdir(out->name);
    return EXIT_OK;
}

int png_open(struct output *out)
{
    out->write = png_frame;
    out->close = png_close;
    out->format = SORA_FORMAT_RGB24;
    out->created = mkdir(out->name, 0777) == 0;
    if (!out->created && errno != EEXIST) {
        complain("%s: cannot make the folder: %s", out->name, strerror(errno));
        return EXIT_FAILED;
    }
    if (access(out->name, W_OK | X_OK) == 0) return EXIT_OK;
    complain("%s: cannot write: %s", out->name, strerror(errno));
    return EXIT_FAILED;
}
