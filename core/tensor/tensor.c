/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tensor/tensor.h"

static void *at(const struct sr_tensor *x, size_t row, size_t col)
{
    return x->data ? (uint8_t *)x->data + (row * x->stride + col) * sr_type_size(x->type) : NULL;
}

struct sr_tensor sr_cols(const struct sr_tensor *x, size_t from, size_t cols)
{
    return (struct sr_tensor){ at(x, 0, from), x->type, x->rows, cols, x->stride };
}

struct sr_tensor sr_rows(const struct sr_tensor *x, size_t from, size_t rows)
{
    return (struct sr_tensor){ at(x, from, 0), x->type, rows, x->cols, x->stride };
}
