/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linear layers and products against a naive double sum; the same bits for any number of threads. */
#include "tensor/dnnl.h"
#include "tensors.h"

struct linear_case {
    size_t M, in, out[3];
    int parts;
    bool bias, view;
    enum sr_act act;
    enum sr_type x, y;
};

static void check_linear(enum sr_type act_type, int threads, const struct linear_case *t)
{
    struct sr_ctx *c = ctx_of(act_type, threads);
    const size_t stride = t->view ? t->in + 24 : t->in;
    size_t out = 0, at = 0;
    struct sr_param w[3], b[3];
    struct sr_linear *l = NULL;
    sora_error err = { 0 };
    float *x = random_floats(t->M * stride, 1), *weight, *bias, *want, *got;
    struct sr_tensor tx = { x + (t->view ? 8 : 0), SR_F32, t->M, t->in, stride }, *y;
    uint16_t *half = malloc(t->M * stride * sizeof *half);

    if (!c) goto done;
    for (int i = 0; i < t->parts; i++) out += t->out[i];
    weight = random_floats(out * t->in, 2);
    bias = random_floats(out, 3);
    for (size_t i = 0; i < out * t->in; i++) weight[i] /= sqrtf((float)t->in);
    for (int i = 0; i < t->parts; at += t->out[i++]) {
        w[i] = param(weight + at * t->in, t->out[i] * t->in);
        b[i] = param(t->bias && i != 1 ? bias + at : NULL, t->out[i]);      /* the second part never has one */
        if (i == 1) memset(bias + at, 0, t->out[i] * sizeof *bias);
    }
    if (t->x == SR_BF16) {
        for (size_t i = 0; i < t->M * stride; i++) half[i] = sr_f32_to_bf16(x[i]), x[i] = sr_bf16_to_f32(half[i]);
        tx.data = half + (t->view ? 8 : 0);
        tx.type = SR_BF16;
    }
    ck_assert_msg(sr_linear_open(c, &l, w, t->bias ? b : NULL, t->out, t->parts, t->in, false, &err) == SORA_OK, "%s",
                  err.text);
    ck_assert_uint_ge(sr_linear_bytes(l), out * t->in * sr_type_size(act_type));
    sr_ctx_plan(c);
    sr_linear(c, l, &tx, t->act, t->y);
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
    y = sr_linear(c, l, &tx, t->act, t->y);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    ck_assert_uint_eq(y->rows, t->M);
    ck_assert_uint_eq(y->cols, out);

    want = malloc(t->M * out * sizeof *want);
    for (size_t i = 0; i < t->M; i++)
        for (size_t j = 0; j < out; j++) {
            double sum = t->bias ? bias[j] : 0;
            for (size_t k = 0; k < t->in; k++)
                sum += (double)x[i * stride + k + (t->view ? 8 : 0)] * weight[j * t->in + k];
            want[i * out + j] = (float)activate(sum, t->act);
        }
    got = floats_of(y);
    assert_rel_l2(got, want, t->M * out, act_type == SR_BF16 ? 6e-3 : t->y == SR_BF16 ? 3e-3 : 2e-6);
    free(got);
    free(want);
    free(weight);
    free(bias);
    sr_linear_close(&l);
    sr_ctx_close(&c);
done:
    free(half);
    free(x);
}

static const struct linear_case linears[] = {
    { 1, 256, { 384 }, 1, true, false, SR_ACT_SILU, SR_F32, SR_F32 },
    { 77, 128, { 96, 64, 32 }, 3, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
    { 65, 96, { 200 }, 1, false, true, SR_ACT_GELU_TANH, SR_F32, SR_F32 },
    { 300, 33, { 20 }, 1, true, true, SR_ACT_RELU, SR_F32, SR_F32 },
    { 129, 512, { 100, 3 }, 2, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
    { 5, 1024, { 1 }, 1, true, false, SR_ACT_NONE, SR_F32, SR_F32 },
};

START_TEST(test_linear_f32)
{
    for (size_t i = 0; i < SR_COUNT(linears); i++) check_linear(SR_F32, 2, &linears[i]);
}
END_TEST

START_TEST(test_linear_bf16)
{
    for (size_t i = 0; i < SR_COUNT(linears); i++)
        for (int types = 0; types < 4; types++) {
            struct linear_case t = linears[i];
            t.x = types & 1 ? SR_BF16 : SR_F32;
            t.y = types & 2 ? SR_BF16 : SR_F32;
            check_linear(SR_BF16, 2, &t);
        }
}
END_TEST

/* Three blocks of rows, the last shorter; every number of threads gives the same bits. */
START_TEST(test_linear_threads)
{
    static const size_t sizes[][3] = { { 3000, 1100, 2900 }, { 1, 3000, 500 }, { 40, 5000, 64 }, { 200, 4096, 80 },
                                       { 777, 300, 200 }, { 50, 64, 16 }, { 390, 1536, 400 } };

    for (int type = 0; type < 2; type++)
        for (size_t s = 0; s < SR_COUNT(sizes); s++) {
            const size_t M = sizes[s][0], in = sizes[s][1], out = sizes[s][2];
            float *x = random_floats(M * in, 1), *first = NULL;
            const int counts[] = { 1, 2, 3, 7 };

            for (size_t i = 0; i < SR_COUNT(counts); i++) {
                struct sr_ctx *c = ctx_of(type ? SR_BF16 : SR_F32, counts[i]);
                const struct sr_param w = made_up(in * out, 5, 0.02f);
                struct sr_tensor tx = matrix(x, M, in), *y;
                struct sr_linear *l;
                sora_error err = { 0 };

                if (!c) break;
                ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &out, 1, in, false, &err), SORA_OK);
                sr_ctx_plan(c);
                sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
                ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
                y = sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
                ck_assert_msg(!c->err.code, "%s", c->err.text);
                if (!first)
                    first = floats_of(y);
                else
                    ck_assert_msg(!memcmp(first, y->data, M * out * sizeof *first),
                                  "%s %zu x %zu x %zu: other bits with %d threads", sr_type_name(c->act), M, in, out,
                                  counts[i]);
                sr_linear_close(&l);
                sr_ctx_close(&c);
            }
            free(first);
            free(x);
        }
}
END_TEST

/* Both factors views of one matrix [L, 3 C], the second as it stands and turned over, as attention reads them. */
START_TEST(test_product)
{
    enum { M = 150, L = 157, C = 24 };      /* several tiles of rows */

    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = ctx_of(bf16 ? SR_BF16 : SR_F32, 2);
        const enum sr_type type = bf16 ? SR_BF16 : SR_F32;
        const struct sr_product qk = { M, L, C, 3 * C, 1, 3 * C, type, SR_F32 };
        const struct sr_product pv = { M, C, L, L, 3 * C, 1, type, type };
        const size_t size = sr_type_size(type);
        float *x = random_floats(L * 3 * C, 1), *p = random_floats(M * L, 2), *got, s[M * L], want[M * L];
        char *tx = malloc(L * 3 * C * 4), *tp = malloc(M * L * 4), *o = malloc(M * C * 4);
        struct sr_tensor flat = { o, type, 1, M * C, M * C };
        sora_error err = { 0 };

        if (c) {
            to_type(tx, type, x, L * 3 * C);
            to_type(tp, type, p, M * L);
            sr_ctx_plan(c);
            sr_dnnl_product(c, &qk, NULL, NULL, NULL);
            sr_dnnl_product(c, &pv, NULL, NULL, NULL);
            ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);
            sr_mem_fail_after(1);
            sr_dnnl_product(c, &qk, tx, tx + C * size, s);
            sr_dnnl_product(c, &pv, tp, tx + 2 * C * size, o);
            ck_assert_uint_eq(sr_mem_fail_after(0), 0);
            ck_assert_msg(!c->err.code, "%s", c->err.text);
            for (size_t i = 0; i < M * L; i++) {
                want[i] = 0;
                for (size_t k = 0; k < C; k++) want[i] += x[i / L * 3 * C + k] * x[(i % L * 3 + 1) * C + k];
            }
            assert_rel_l2(s, want, M * L, bf16 ? 6e-3 : 2e-6);
            for (size_t i = 0; i < M * C; i++) {
                want[i] = 0;
                for (size_t k = 0; k < L; k++) want[i] += p[i / C * L + k] * x[(k * 3 + 2) * C + i % C];
            }
            got = floats_of(&flat);
            assert_rel_l2(got, want, M * C, bf16 ? 6e-3 : 2e-6);
            free(got);
            sr_ctx_close(&c);
        }
        free(x);
        free(p);
        free(tx);
        free(tp);
        free(o);
    }
}
END_TEST

static struct sr_cancel stop;
static int filled;

static void rows_until_cancelled(void *user, void *out, size_t from, size_t n)
{
    memset(out, 0, n * 4096 * sizeof(float));
    filled++;
    atomic_store(&stop.set, true);
}

/* A cancel while a large matrix is packed is seen before the next piece, not at the end. */
START_TEST(test_cancel_packing)
{
    struct sr_ctx *c;
    struct sr_packed *p;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, &stop, NULL), SORA_OK);
    ck_assert_int_eq(sr_dnnl_pack(c, &p, 4096, 4096, SR_F32, rows_until_cancelled, NULL, &err), SORA_ERR_CANCELLED);
    ck_assert_msg(p == NULL && filled == 1, "%d pieces after the cancel", filled - 1);
    sr_ctx_close(&c);
}
END_TEST

RUN_TESTS("linear", test_cancel_packing, test_linear_f32, test_linear_bf16, test_linear_threads, test_product)
