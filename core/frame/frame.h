/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From decoder floats to pixels of any format and size: zimg.  BT.709, chroma site left, YUV limited, RGB full. */
#ifndef SR_FRAME_H
#define SR_FRAME_H

#include "base/base.h"

enum { SR_ROW_ALIGN = 64 };     /* what zimg's AVX-512 paths want of rows */

struct sr_format {
    int planes, bits;           /* bits 32: float */
    int sub_w, sub_h;           /* log2 of the chroma subsampling */
    bool yuv;
};
const struct sr_format *sr_format(sora_format f);       /* NULL: no such format */

/* A picture of ours in one piece of memory. */
struct sr_planes {
    void *memory;               /* NULL: not allocated */
    uint8_t *data[4];
    ptrdiff_t stride[4];
};
sora_result sr_planes_alloc(struct sr_planes *p, sora_format f, int width, int height, sora_error *err);
void sr_planes_free(struct sr_planes *p);
/* SORA_ERR_OPTION where one of the format's planes is NULL: data are the caller's. */
sora_result sr_planes_check(sora_format f, uint8_t *const data[4], sora_error *err);
/* Rows of `bytes` bytes each, of any alignment, from the bottom up too; the same for all planes of a picture. */
void sr_copy_rows(uint8_t *to, ptrdiff_t to_stride, const uint8_t *from, ptrdiff_t from_stride, size_t bytes, int rows);
void sr_planes_copy(sora_format f, int width, int height, uint8_t *const to[4], const ptrdiff_t to_stride[4],
                    const struct sr_planes *from);
/* to += k (from - to), k 0..1; both of the same size, with the strides of sr_planes_alloc() */
void sr_planes_blend(sora_format f, int width, int height, struct sr_planes *to, const struct sr_planes *from, float k);

struct sr_converter;

/*
 * src_w x src_h: the decoder's pictures, of which the left upper crop_w x crop_h are content (models on a grid);
 * scaled to dst_w x dst_h where these differ (Lanczos).  8-bit output is dithered by an ordered pattern that does not
 * depend on time, so that still pictures stay still.
 */
sora_result sr_converter_open(struct sr_converter **k, sora_format format, int src_w, int src_h, int crop_w, int crop_h,
                              int dst_w, int dst_h, sora_error *err);
void sr_converter_close(struct sr_converter **k);
/* rgb [3, src_h, src_w] f32 0..1 planar -> the caller's planes. */
sora_result sr_converter_run(struct sr_converter *k, const float *rgb, uint8_t *const data[4], const ptrdiff_t stride[4],
                             sora_error *err);

#endif
