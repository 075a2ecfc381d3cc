/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices and feature maps, the scratch arena they live in, and the context that every operation is given. */
#ifndef SR_TENSOR_H
#define SR_TENSOR_H

#include "base/base.h"

enum sr_type { SR_F32, SR_BF16, SR_F16, SR_F64, SR_S8, SR_U8, SR_S16, SR_S32, SR_S64, SR_BOOL, SR_F8_E4M3, SR_F8_E5M2 };

size_t      sr_type_size(enum sr_type t);
const char *sr_type_name(enum sr_type t);       /* as safetensors spells it: "F32", "BF16" */

/* A matrix, row-major.  stride >= cols: a view of some columns keeps the stride of the whole. */
struct sr_tensor {
    void *data;
    enum sr_type type;          /* SR_F32 or SR_BF16 */
    size_t rows, cols;
    size_t stride;              /* elements from row to row */
};

/* Columns from .. from + cols of x, and rows likewise.  A view of nothing (data NULL) is nothing. */
struct sr_tensor sr_cols(const struct sr_tensor *x, size_t from, size_t cols);
struct sr_tensor sr_rows(const struct sr_tensor *x, size_t from, size_t rows);

/* Where the time goes, for sora_bench() and the profile. */
enum sr_family { SR_LINEAR, SR_ATTENTION, SR_CONV, SR_ELEMENTWISE, SR_REORDER, SR_OTHER, SR_FAMILIES };
struct sr_profile {
    double seconds[SR_FAMILIES];
    double flop[SR_FAMILIES];   /* 2 * multiply-adds of the mathematics, whatever the kernel does */
};

struct sr_dnnl;
struct sr_kernels;
struct sr_plan_headers;

/*
 * The compute context: one for each session, used by its worker thread alone.
 *
 * The first error stays in err and every operation after it does nothing, so a forward pass has no `if`.
 *
 * Planning: with plan set, operations build their primitives and take their scratch but compute nothing and touch no
 * data (tensors from sr_scratch() then have data == NULL).  A model is run once so when it is opened; sr_ctx_commit()
 * then allocates an arena of the peak, and no forward pass of that shape allocates again.
 */
struct sr_ctx {
    sora_error err;
    struct sr_log log;
    const struct sr_cancel *cancel;     /* looked at between blocks of rows: err becomes SORA_ERR_CANCELLED */
    const struct sr_kernels *kern;      /* for the CPU level in use */
    unsigned cpu;                       /* SR_CPU_* in use */
    int threads;
    enum sr_type act;                   /* type of activations between matrix products: SR_F32 or SR_BF16 */
    bool plan;
    struct sr_dnnl *dnnl;
    uint8_t *arena;
    size_t arena_size, arena_used, arena_peak;
    size_t plan_mark;                   /* arena_used when planning began */
    struct sr_plan_headers *plan_headers;
    struct sr_tensor dead;              /* what sr_scratch() gives after an error */
    struct sr_profile prof;
};

/* act: the precision asked for; SORA_ERR_UNSUPPORTED where the CPU does not compute with it.  cpu: flags to use at
   most, ~0u for all (tests take levels away; what oneDNN uses follows its own ONEDNN_MAX_CPU_ISA alone). */
sora_result sr_ctx_open(struct sr_ctx **c, enum sr_type act, int threads, unsigned cpu, const struct sr_log *log,
                        const struct sr_cancel *cancel, sora_error *err);
void sr_ctx_close(struct sr_ctx **c);

/* Plan from here / allocate what planning has seen (grows only, and only while no scratch is in use).  sr_ctx_commit()
   ends planning; an error of the planned operations, kept in c->err, is returned too. */
void sr_ctx_plan(struct sr_ctx *c);
sora_result sr_ctx_commit(struct sr_ctx *c, sora_error *err);

/* True when c has an error, was cancelled (which sets the error), or only plans: the operation has nothing to do. */
bool sr_ctx_skip(struct sr_ctx *c);

size_t sr_scratch_mark(const struct sr_ctx *c);
void   sr_scratch_release(struct sr_ctx *c, size_t mark);
/* 64-byte aligned, uninitialised; a failure (more than was planned) sets c->err and gives a tensor with data NULL.
   The struct itself lives as long as its data, while planning until sr_ctx_commit(). */
struct sr_tensor *sr_scratch(struct sr_ctx *c, size_t rows, size_t cols, enum sr_type type);
void  *sr_scratch_bytes(struct sr_ctx *c, size_t n);

#endif
