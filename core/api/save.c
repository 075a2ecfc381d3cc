/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/save.h"

#define HEADER 192                  /* JSON, filled up with spaces: it is written again when the length is known */

struct sr_frames_file {
    FILE *file;
    char *path;
    float *row;                     /* [w, 3] */
    int src_w, src_h, w, h;
    uint64_t frames;
};

static bool write_header(struct sr_frames_file *f)
{
    const uint64_t bytes = f->frames * (uint64_t)f->w * (uint64_t)f->h * 3 * sizeof(float);
    uint8_t head[8 + HEADER + 1] = { HEADER };      /* little-endian length of the JSON text */
    const int n = snprintf((char *)head + 8, HEADER + 1,
                           "{\"frames\":{\"dtype\":\"F32\",\"shape\":[%" PRIu64 ",%d,%d,3],\"data_offsets\":[0,%" PRIu64 "]}}",
                           f->frames, f->h, f->w, bytes);

    memset(head + 8 + n, ' ', (size_t)(HEADER - n));
    return fwrite(head, 8 + HEADER, 1, f->file) == 1;
}

static sora_result fail_write(struct sr_frames_file *f, sora_error *err)
{
    return sr_fail_errno(err, errno, f->path, "cannot write");
}

sora_result sr_frames_file_open(struct sr_frames_file **out, const char *path, int src_w, int src_h, int w, int h,
                                sora_error *err)
{
    struct sr_frames_file *f = sr_zalloc(sizeof *f);
    sora_result r = SORA_ERR_NOMEM;

    *out = NULL;
    if (!f) return sr_fail_nomem(err, sizeof *f, path);
    f->src_w = src_w;
    f->src_h = src_h;
    f->w = w;
    f->h = h;
    f->row = sr_calloc((size_t)w, 3 * sizeof *f->row);
    f->path = sr_strdup(path);
    if (!f->row || !f->path) sr_fail_nomem(err, (size_t)w * 3 * sizeof *f->row, path);
    else if (!(f->file = fopen(path, "wbe"))) r = fail_write(f, err);
    else r = write_header(f) ? SORA_OK : fail_write(f, err);
    *out = f;
    if (r < 0) sr_frames_file_close(out, err);
    return r;
}

sora_result sr_frames_file_add(struct sr_frames_file *f, const float *rgb, sora_error *err)
{
    const size_t plane = (size_t)f->src_w * (size_t)f->src_h;

    for (int y = 0; y < f->h; y++) {
        const float *s = rgb + (size_t)y * (size_t)f->src_w;
        for (int x = 0; x < f->w; x++)
            for (size_t c = 0; c < 3; c++) f->row[3 * (size_t)x + c] = s[c * plane + (size_t)x];
        if (fwrite(f->row, 3 * sizeof *f->row, (size_t)f->w, f->file) != (size_t)f->w) return fail_write(f, err);
    }
    f->frames++;
    return SORA_OK;
}

sora_result sr_frames_file_close(struct sr_frames_file **out, sora_error *err)
{
    struct sr_frames_file *f = *out;
    sora_result r = SORA_OK;

    if (!f) return r;
    if (f->file) {
        if (fseek(f->file, 0, SEEK_SET) != 0 || !write_header(f)) r = fail_write(f, err);
        if (fclose(f->file) != 0 && r == SORA_OK) r = fail_write(f, err);
    }
    sr_free(f->row);
    sr_free(f->path);
    sr_free(f);
    *out = NULL;
    return r;
}
