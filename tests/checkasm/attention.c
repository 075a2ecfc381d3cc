/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention: the packed layouts differ between levels, so what is compared is pack, two steps and end together. */
#include "checkasm.h"

enum { ROWS = 3, MAX_KEYS = 256, MAX_QUERIES = 16, STRIDE_EXTRA = 5 };

struct attention {
    size_t D, keys[2];              /* of the two blocks */
    struct operand q, k[2], v[2], key_bias, rel_bias;
    bool biased;
    const void *zeros;
};

/* Pointers to the rows of x, and to zeros behind. */
static void rows_of(const void **rows, const struct operand *x, size_t n, size_t all, size_t D, const void *zeros)
{
    for (size_t i = 0; i < all; i++)
        rows[i] = i < n ? (const uint8_t *)x->data + i * D * (x->type == SR_E_BF16 ? 2 : 4) : zeros;
}

struct packed {
    size_t q_bytes, block_bytes, o_bytes, score_bytes;
    void *q, *k, *v;
    float *o, *scores, max[MAX_QUERIES], sum[MAX_QUERIES];
};

static struct packed pack_new(const struct sr_attention_kernels *f, const struct attention *a)
{
    const size_t width = SR_ROUND_UP(a->D, f->width);
    struct packed p = { .q_bytes = f->queries * a->D * f->elem, .block_bytes = f->keys * width * f->elem,
                        .o_bytes = f->queries * width * sizeof(float),
                        .score_bytes = f->queries * f->keys * sizeof(float) };
    const void *rows[MAX_QUERIES] = { NULL };

    p.q = guarded(p.q_bytes, 0);
    p.k = guarded(p.block_bytes, 0);
    p.v = guarded(p.block_bytes, 0);
    p.o = guarded(p.o_bytes, 0);
    p.scores = guarded(p.score_bytes, 0);
    memset(p.o, 0, p.o_bytes);
    for (size_t i = 0; i < f->queries; i++) p.max[i] = -INFINITY, p.sum[i] = 0;
    rows_of(rows, &a->q, ROWS, f->queries, a->D, a->zeros);
    f->pack_q(p.q, rows, f->queries, a->D);
    return p;
}

static void pack_block(const struct sr_attention_kernels *f, const struct attention *a, struct packed *p, int block)
{
    const size_t n = a->keys[block], padded = SR_ROUND_UP(n, f->width);
    const void *rows[MAX_KEYS] = { NULL };

    rows_of(rows, &a->k[block], n, padded, a->D, a->zeros);
    f->pack_k(p->k, rows, padded, a->D);
    rows_of(rows, &a->v[block], n, padded, a->D, a->zeros);
    f->pack_v(p->v, rows, padded, a->D);
}

static void step(const struct sr_attention_kernels *f, const struct attention *a, struct packed *p, int block)
{
    f->step(&(struct sr_attention_step){
        .rows = ROWS, .q = p->q, .k = p->k, .v = p->v,
        .key_bias = a->biased ? (const float *)a->key_bias.data : NULL,
        .rel_bias = a->biased ? (const float *)a->rel_bias.data + ROWS : NULL, .o = p->o, .max = p->max, .sum = p->sum,
        .scores = p->scores, .D = a->D, .n = a->keys[block], .scale = 1 / sqrtf((float)a->D) });
}

static void packed_free(struct packed *p)
{
    check_guard(p->q, p->q_bytes), free_guarded(p->q, 0);
    check_guard(p->k, p->block_bytes), free_guarded(p->k, 0);
    check_guard(p->v, p->block_bytes), free_guarded(p->v, 0);
    check_guard(p->o, p->o_bytes), free_guarded(p->o, 0);
    check_guard(p->scores, p->score_bytes), free_guarded(p->scores, 0);
}

static void run(const struct sr_attention_kernels *f, const struct attention *a, struct operand *out)
{
    struct packed p = pack_new(f, a);

    for (int block = 0; block < 2; block++) {
        pack_block(f, a, &p, block);
        step(f, a, &p, block);
    }
    f->end(out->data, (a->D + STRIDE_EXTRA) * (out->type == SR_E_BF16 ? 2 : 4), p.o, p.sum, ROWS, a->D);
    packed_free(&p);
}

static void check_one(const struct sr_kernels *ref, const struct sr_kernels *opt, enum sr_elem type, size_t D, size_t n,
                      bool biased)
{
    struct attention a = { .D = D, .keys = { n, SR_MIN(33, n) }, .q = operand_new(ROWS * D, type, 1), .biased = biased,
                           .key_bias = operand_new(n, SR_E_F32, 6), .rel_bias = operand_new(n + ROWS, SR_E_F32, 7) };
    struct operand want = operand_new(ROWS * (D + STRIDE_EXTRA) - STRIDE_EXTRA, type, 8), got = operand_copy(&want);

    a.zeros = calloc(D, sizeof(float));
    for (int block = 0; block < 2; block++) {
        a.k[block] = operand_new(a.keys[block] * D, type, 2 + (uint64_t)block);
        a.v[block] = operand_new(a.keys[block] * D, type, 4 + (uint64_t)block);
    }
    for (size_t j = 0; j < n; j += 3) ((float *)a.key_bias.data)[j] = -INFINITY;
    run(&ref->attention[type], &a, &want);
    run(&opt->attention[type], &a, &got);
    /* bf16: the weights of the second product are rounded, 2^-9 of values up to 4 */
    operands_near(&got, &want, 1e-5, type == SR_E_BF16 ? 8e-3 : 4e-6, type ? "attention_bf16" : "attention_f32");
    if (D >= 64 && n == 128 && !biased) {
        struct packed p = pack_new(&ref->attention[type], &a), q = pack_new(&opt->attention[type], &a);
        pack_block(&ref->attention[type], &a, &p, 0);
        pack_block(&opt->attention[type], &a, &q, 0);
        BENCH(type ? "attention_step_bf16" : "attention_step_f32", D, step(&ref->attention[type], &a, &p, 0),
              step(&opt->attention[type], &a, &q, 0));
        BENCH(type ? "attention_pack_bf16" : "attention_pack_f32", D, pack_block(&ref->attention[type], &a, &p, 0),
              pack_block(&opt->attention[type], &a, &q, 0));
        packed_free(&p);
        packed_free(&q);
    }
    for (int block = 0; block < 2; block++) {
        operand_free(&a.k[block]);
        operand_free(&a.v[block]);
    }
    operand_free(&a.q);
    operand_free(&a.key_bias);
    operand_free(&a.rel_bias);
    operand_free(&want);
    operand_free(&got);
    free((void *)a.zeros);
}

static void check_attention(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    static const size_t D[] = { 8, 16, 24, 64, 72, 80, 128, 256 }, n[] = { 1, 7, 8, 16, 17, 48, 63, 100, 128 };

    for (int type = 0; type < 2; type++)
        for (size_t i = 0; i < SR_COUNT(D); i++)
            for (size_t k = 0; k < SR_COUNT(n); k++)
                for (int biased = 0; biased < 2; biased++)
                    check_one(ref, opt, (enum sr_elem)type, D[i], n[k], biased);
}

CHECK_LEVELS(attention)

void checkasm_attention(TCase *tc)
{
    tcase_add_test(tc, test_attention);
}
