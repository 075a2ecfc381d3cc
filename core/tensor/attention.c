/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attention by tiles with a running maximum and sum, so that the score matrix never exists.  References: Milakov and
 * Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022.
 *
 * For a group of heads, keys and values are first packed block by block; then each work item, some queries of one head,
 * goes through all blocks of its head.  A row's arithmetic is the same whatever item it falls into, so that no result
 * depends on the number of threads.
 */
#include <math.h>
#include <omp.h>

#include "kernels/kernels.h"
#include "tensor/op.h"

enum {
    ITEM_STEPS = 16,                /* queries of an item / queries of a step: what a block of keys is read once for */
    MAX_KEYS = 256,                 /* of a block, in any kernel */
    MAX_QUERIES = ITEM_STEPS * 16
};
#define PACKED_MAX ((size_t)32 << 20)   /* bytes of packed heads, where one alone is not more: they should stay in L3 */
#define SMALL_FLOP 2e6                  /* below, waking the other threads costs more than they save */

struct job {
    const struct sr_attention_kernels *kern;
    const struct sr_tensor *q;              /* [L, N * D] */
    struct sr_tensor *out;
    const struct sr_kv *kv;
    size_t L, T, N, D;
    float scale;
    const float *key_bias, *rel_bias;
    size_t width;                           /* D padded, for v and o */
    size_t block_keys, blocks, block_bytes; /* one block of keys, or of values */
    size_t item_queries, items;             /* queries of a work item; items of a head */
    size_t heads;                           /* packed at a time */
    size_t thread_bytes;
    uint8_t *packed;                        /* [heads, blocks, 2: keys and values] blocks */
    uint8_t *threads;                       /* [threads] of the buffers below */
    void *zeros;                            /* a row of q, k or v that is not there */
};

/* One thread's part of the scratch memory. */
struct buffers {
    float *o, *max, *sum, *scores;
    uint8_t *q;
};

static size_t aligned(size_t n)
{
    return SR_ROUND_UP(n, 64);
}

/* The buffers from p on, and how many bytes they take (p NULL: for that alone). */
static size_t lay_out(const struct job *j, struct buffers *b, uint8_t *p)
{
    const size_t n = ITEM_STEPS * j->kern->queries;
    const size_t sizes[] = { n * j->width * sizeof(float), n * sizeof(float), n * sizeof(float),
                             j->kern->queries * j->kern->keys * sizeof(float), n * j->D * j->kern->elem };
    uint8_t *at[SR_COUNT(sizes)];
    size_t used = 0;

    for (size_t i = 0; i < SR_COUNT(sizes); i++) {
        at[i] = p ? p + used : NULL;
        used += aligned(sizes[i]);
    }
    *b = (struct buffers){ (float *)(void *)at[0], (float *)(void *)at[1], (float *)(void *)at[2],
                           (float *)(void *)at[3], at[4] };
    return used;
}

/*
 * Queries of one work item: of the ways to cut a head that keep items large, the one whose last thread ends first.  One
 * step's time is added to each item for what it costs besides its steps.
 */
static void cut_items(struct job *j, size_t threads)
{
    const size_t steps = SR_CEIL_DIV(j->L, j->kern->queries), least = SR_CEIL_DIV(steps, ITEM_STEPS);
    size_t best = SIZE_MAX;

    for (size_t n = least; n <= SR_MIN(steps, least + 4 * threads); n++) {
        const size_t each = SR_CEIL_DIV(steps, n), items = SR_CEIL_DIV(steps, each);
        const size_t cost = SR_CEIL_DIV(items * j->heads, threads) * (each + 1);
        if (cost >= best) continue;
        best = cost;
        j->item_queries = each * j->kern->queries;
        j->items = items;
    }
}

/* Rows first .. first + n of one head. */
static void head_rows(const void **rows, const struct sr_tensor *x, size_t first, size_t n, size_t head, size_t D)
{
    const size_t size = sr_type_size(x->type), stride = x->stride * size;
    const uint8_t *p = (const uint8_t *)sr_row(x, first) + head * D * size;

    for (size_t i = 0; i < n; i++) rows[i] = p + i * stride;
}

/* Pack keys and values first .. first + n of one head, which may lie in several parts. */
static void pack_block(const struct job *j, size_t head, size_t first, size_t n, uint8_t *to)
{
    const size_t padded = SR_ROUND_UP(n, j->kern->width);
    const void *k[MAX_KEYS], *v[MAX_KEYS];
    const struct sr_kv *part = j->kv;
    size_t row = first, i = 0;

    for (; i < n; part++) {
        const size_t rows = part->k.rows, some = row < rows ? SR_MIN(rows - row, n - i) : 0;
        if (!some) {
            row -= rows;
            continue;
        }
        head_rows(k + i, &part->k, row, some, head, j->D);
        head_rows(v + i, &part->v, row, some, head, j->D);
        i += some;
        row = 0;                /* the next part from its start */
    }
    for (; i < padded; i++) k[i] = v[i] = j->zeros;
    j->kern->pack_k(to, k, padded, j->D);
    j->kern->pack_v(to + j->block_bytes, v, padded, j->D);
}

/* Queries first .. first + n of one head against all its keys. */
static void attend(const struct job *j, size_t head, const uint8_t *packed, size_t first, size_t n, struct buffers *b)
{
    const size_t R = j->kern->queries, padded = SR_ROUND_UP(n, R), D = j->D, out_size = sr_type_size(j->out->type);
    const float *rel = j->rel_bias ? j->rel_bias + head * (2 * j->T - 1) + j->T - 1 - first : NULL;
    const void *rows[MAX_QUERIES];

    head_rows(rows, j->q, first, n, head, D);
    for (size_t i = n; i < padded; i++) rows[i] = j->zeros;
    j->kern->pack_q(b->q, rows, padded, D);
    for (size_t i = 0; i < padded; i++) {
        b->max[i] = -INFINITY;
        b->sum[i] = 0;
    }
    memset(b->o, 0, padded * j->width * sizeof *b->o);
    for (size_t at = 0; at < j->T; at += j->block_keys, packed += 2 * j->block_bytes)
        for (size_t i = 0; i < n; i += R)
            j->kern->step(&(struct sr_attention_step){
                .rows = SR_MIN(R, n - i), .q = b->q + i * D * j->kern->elem,
                .k = packed, .v = packed + j->block_bytes,
                .key_bias = j->key_bias ? j->key_bias + at : NULL, .rel_bias = rel ? rel + at - i : NULL,
                .o = b->o + i * j->width, .max = b->max + i, .sum = b->sum + i, .scores = b->scores,
                .D = D, .n = SR_MIN(j->block_keys, j->T - at), .scale = j->scale });
    j->kern->end((uint8_t *)sr_row(j->out, first) + head * D * out_size, j->out->stride * out_size, b->o, b->sum, n, D);
}

/* Heads first .. first + heads, by all threads. */
static void run_heads(struct sr_ctx *c, const struct job *j, size_t first, size_t heads, int threads)
{
    const size_t head_bytes = 2 * j->blocks * j->block_bytes;

#pragma omp parallel num_threads(threads)
    {
        struct buffers b;

        lay_out(j, &b, j->threads + (size_t)omp_get_thread_num() * j->thread_bytes);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < heads * j->blocks; i++) {
            const size_t at = i % j->blocks * j->block_keys;
            if (sr_cancelled(c->cancel)) continue;
            pack_block(j, first + i / j->blocks, at, SR_MIN(j->block_keys, j->T - at),
                       j->packed + 2 * i * j->block_bytes);
        }
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < heads * j->items; i++) {
            const size_t at = i % j->items * j->item_queries;
            if (sr_cancelled(c->cancel)) continue;
            attend(j, first + i / j->items, j->packed + i / j->items * head_bytes, at,
                   SR_MIN(j->item_queries, j->L - at), &b);
        }
    }
}

/* False, with the error set, unless all sizes and types agree.  Counts the keys. */
static bool check(struct sr_ctx *c, struct job *j, int parts)
{
    const struct sr_tensor *q = j->q;

    if (c->err.code) return false;
    for (int i = 0; i < parts; i++) {
        const struct sr_tensor *k = &j->kv[i].k, *v = &j->kv[i].v;
        if (k->type != q->type || v->type != q->type || k->cols != q->cols || v->cols != q->cols || k->rows != v->rows)
            sr_fail(&c->err, SORA_ERR_INTERNAL, "attention: keys %zu x %zu %s and values %zu x %zu %s for queries of "
                    "%zu %s", k->rows, k->cols, sr_type_name(k->type), v->rows, v->cols, sr_type_name(v->type), q->cols,
                    sr_type_name(q->type));
        j->T += k->rows;
    }
    if (!j->N || !q->cols || q->cols % j->N || (q->type != SR_F32 && q->type != SR_BF16))
        sr_fail(&c->err, SORA_ERR_INTERNAL, "attention: %zu heads of %zu %s channels", j->N, q->cols,
                sr_type_name(q->type));
    if (j->rel_bias && j->L != j->T)
        sr_fail(&c->err, SORA_ERR_INTERNAL, "attention: relative bias for %zu queries and %zu keys", j->L, j->T);
    return !c->err.code;
}

/* Kernel, blocks, and scratch memory, which never shrinks as L or T grows: a plan for the most holds for less. */
static void set_up(struct sr_ctx *c, struct job *j)
{
    const enum sr_elem e = j->q->type == SR_BF16 ? SR_E_BF16 : SR_E_F32;
    struct buffers b;
    size_t head_bytes, packed;

    j->D = j->q->cols / j->N;
    j->kern = j->D % 8 == 0 ? &c->kern->attention[e] : &c->kern->attention_any[e];
    j->width = SR_ROUND_UP(j->D, j->kern->width);
    j->blocks = SR_CEIL_DIV(j->T, j->kern->keys);
    j->block_keys = SR_ROUND_UP(SR_CEIL_DIV(j->T, j->blocks), j->kern->panel);  /* of equal size: no small last one */
    j->blocks = SR_CEIL_DIV(j->T, j->block_keys);
    j->block_bytes = aligned(SR_ROUND_UP(SR_MIN(j->T, j->block_keys), j->kern->width) * j->width * j->kern->elem);
    head_bytes = 2 * j->blocks * j->block_bytes;
    j->heads = SR_CLAMP(PACKED_MAX / head_bytes, 1, j->N);
    packed = SR_MIN(SR_MAX(PACKED_MAX, head_bytes), j->N * head_bytes);
    j->thread_bytes = lay_out(j, &b, NULL);
    j->packed = sr_scratch_bytes(c, packed);
    j->threads = sr_scratch_bytes(c, (size_t)c->threads * j->thread_bytes);
    j->zeros = sr_scratch_bytes(c, j->D * sizeof(float));
}

struct sr_tensor *sr_attention(struct sr_ctx *c, const struct sr_tensor *q, const struct sr_kv *kv, int parts, size_t N,
                               float scale, const float *key_bias, const float *rel_bias)
{
    struct job j = { .q = q, .kv = kv, .L = q->rows, .N = N, .scale = scale, .key_bias = key_bias,
                     .rel_bias = rel_bias };
    struct sr_tensor *y = sr_scratch(c, q->rows, q->cols, q->type);
    const size_t mark = sr_scratch_mark(c);
    const double start = sr_now();
    double flop;
    int threads;

    if (!check(c, &j, parts)) return y;
    j.out = y;
    if (!j.L) return y;
    if (!j.T) {                 /* no key at all, as if all were masked */
        if (!sr_ctx_skip(c)) memset(y->data, 0, y->rows * y->cols * sr_type_size(y->type));
        return y;
    }
    set_up(c, &j);
    if (sr_ctx_skip(c)) goto done;
    flop = 4.0 * (double)j.L * (double)j.T * (double)q->cols;
    threads = flop < SMALL_FLOP ? 1 : c->threads;
    memset(j.zeros, 0, j.D * sizeof(float));
    cut_items(&j, (size_t)threads);
    for (size_t n = 0; n < N && !sr_ctx_skip(c); n += j.heads)
        run_heads(c, &j, n, SR_MIN(j.heads, N - n), threads);
    sr_ctx_skip(c);             /* a cancel that items have seen becomes the error */
    sr_op_done(c, SR_ATTENTION, start, flop);
done:
    sr_scratch_release(c, mark);
    return y;
}
