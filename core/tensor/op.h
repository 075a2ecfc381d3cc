/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the operations share: when to wake threads, where their time is written down. */
#ifndef SR_OP_H
#define SR_OP_H

#include "tensor/ops.h"

/* Below so many elements, waking the other threads costs more than they save. */
#define SR_OMP_MIN 16384

/*
 * Work in one call of oneDNN, which a cancel has to wait for: 0.12 s at 50 GFLOPS a core.  More than two threads only
 * make it shorter: still long enough to share.
 */
static inline double sr_call_flop(const struct sr_ctx *c)
{
    return 6e9 * SR_MIN(c->threads, 2);
}

/* Row i of x. */
static inline void *sr_row(const struct sr_tensor *x, size_t i)
{
    return (uint8_t *)x->data + i * x->stride * sr_type_size(x->type);
}

static inline void sr_op_done(struct sr_ctx *c, enum sr_family family, double since, double flop)
{
    c->prof.seconds[family] += sr_now() - since;
    c->prof.flop[family] += flop;
}

/* Numbers first .. first + n of the parameter, as f32 or bf16 (to).  Any alignment of p->data. */
void sr_param_read(const struct sr_kernels *k, void *out, enum sr_type to, const struct sr_param *p, size_t first,
                   size_t n);
/* SORA_ERR_MODEL unless p has n numbers of a type we read.  what: for the message. */
sora_result sr_param_check(const struct sr_param *p, size_t n, const char *what, sora_error *err);

#endif
