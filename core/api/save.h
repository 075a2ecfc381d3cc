/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decoded frames as a safetensors file that grows: "frames" [frames, height, width, 3], RGB 0..1. */
#ifndef SR_SAVE_H
#define SR_SAVE_H

#include "base/base.h"

struct sr_frames_file;

/* src_w x src_h: the pictures that are added, of which the left upper w x h are kept. */
sora_result sr_frames_file_open(struct sr_frames_file **f, const char *path, int src_w, int src_h, int w, int h,
                                sora_error *err);
/* rgb [3, src_h, src_w] */
sora_result sr_frames_file_add(struct sr_frames_file *f, const float *rgb, sora_error *err);
/* Writes how many frames there are, so that the file is whole whenever the session ended. */
sora_result sr_frames_file_close(struct sr_frames_file **f, sora_error *err);

#endif
