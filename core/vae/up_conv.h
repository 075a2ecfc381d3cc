/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Enlarging by 2 (each pixel becomes 2 x 2 equal ones) and the 3 x 3 convolution behind it, in one.
 *
 * Of the three rows that the kernel sees in the enlarged map, two are the same row of the small one:
 *     y[2 i]     = w0 x[i - 1] + (w1 + w2) x[i]
 *     y[2 i + 1] = (w0 + w1) x[i] + w2 x[i + 1]
 * and so for columns.  Each of the four kinds of output pixel is thus a 2 x 2 convolution of the small map: 4 products
 * in place of 9, and the large input never exists.
 */
#ifndef SR_UP_CONV_H
#define SR_UP_CONV_H

#include "weights/weights.h"

struct sr_up_conv {
    struct sr_conv *row[2];     /* for even and odd rows: [2 out, in, 2, 2], even columns' outputs first */
    size_t in, out;
};

/* weight [out, in, 3, 3]; bias [out] or NULL */
void sr_up_conv_open(struct sr_loader *l, struct sr_up_conv *v, size_t in, size_t out, const float *weight,
                     const float *bias);
/* name.weight [out, in, 3, 3], name.bias [out] */
void sr_up_conv_load(struct sr_loader *l, struct sr_up_conv *v, size_t in, size_t out, const char *name);
void sr_up_conv_close(struct sr_up_conv *v);
/* x [1, H, W, in] -> to [1, 2 H, 2 W, out]: act(convolution), or, if add, what is there + convolution (act NONE). */
void sr_up_conv(struct sr_ctx *c, const struct sr_up_conv *v, const struct sr_fmap *x, enum sr_act act, bool add,
                const struct sr_fmap *to);

#endif
