/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of a picture decoder: one head as wide as the feature map, over all positions of one frame. */
#ifndef SR_PIXEL_ATTENTION_H
#define SR_PIXEL_ATTENTION_H

#include "tensor/ops.h"

/* qkv [1, H, W, 3 C] -> softmax(Q K^T / sqrt(C)) V, scratch [1, H, W, C] of qkv's type. */
struct sr_fmap sr_pixel_attention(struct sr_ctx *c, const struct sr_fmap *qkv);

#endif
