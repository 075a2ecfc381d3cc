/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parameters, the scratch arena, planning, cancel, failing allocations; the operations on rows. */
#include <pthread.h>
#include <time.h>

#include "tensors.h"

static struct sr_cancel stop;

static struct sr_ctx *cancellable(int threads)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };

    atomic_store(&stop.set, false);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, threads, ~0u, NULL, &stop, &err), SORA_OK);
    return c;
}

/* Sets the flag after some milliseconds, from another thread. */
static void *cancel_soon(void *ms)
{
    const struct timespec t = { 0, *(const int *)ms * 1000000 };

    nanosleep(&t, NULL);
    atomic_store(&stop.set, true);
    return NULL;
}

/* A file's numbers from an odd address, and a type that is not read. */
START_TEST(test_param)
{
    static const uint16_t halves[] = { 0x0000, 0x3c00, 0xc000, 0x3555 };       /* 0, 1, -2, 0.333 in f16 */
    uint8_t odd[9];
    const struct sr_param h = { .data = odd + 1, .type = SR_F16, .n = 4 };
    struct sr_param bad = h;
    float *a;
    sora_error err = { 0 };

    memcpy(odd + 1, halves, sizeof halves);
    ck_assert(sr_param_f32(&a, &h, &err) == SORA_OK);
    ck_assert(a[0] == 0 && a[1] == 1 && a[2] == -2 && fabsf(a[3] - 1.0f / 3) < 1e-4f);
    sr_free(a);
    bad.type = SR_S8;
    ck_assert_int_eq(sr_param_f32(&a, &bad, &err), SORA_ERR_UNSUPPORTED);
    ck_assert(a == NULL && strstr(err.text, "I8"));
}
END_TEST

START_TEST(test_scratch)
{
    struct sr_ctx *c = ctx_of(SR_F32, 1);
    struct sr_tensor *a, *b, v;
    sora_error err = { 0 };
    size_t mark;

    sr_ctx_plan(c);
    ck_assert(sr_ctx_skip(c));
    a = sr_scratch(c, 3, 5, SR_F32);
    mark = sr_scratch_mark(c);
    b = sr_scratch(c, 100, 7, SR_BF16);
    ck_assert(a != b && !a->data && !b->data && b->cols == 7);
    v = sr_cols(b, 2, 3);
    ck_assert(!v.data && v.stride == 7);
    sr_scratch_release(c, mark);
    sr_scratch(c, 90, 7, SR_BF16);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    ck_assert(!sr_ctx_skip(c));

    a = sr_scratch(c, 3, 5, SR_F32);
    b = sr_scratch(c, 100, 7, SR_BF16);
    ck_assert(a->data && b->data && (uintptr_t)a->data % 64 == 0 && (uintptr_t)b->data % 64 == 0);
    memset(a->data, 1, 3 * 5 * 4);
    memset(b->data, 2, 100 * 7 * 2);
    ck_assert(a->rows == 3 && b->rows == 100 && ((uint8_t *)a->data)[59] == 1);
    v = sr_rows(b, 4, 2);
    ck_assert(v.rows == 2 && v.data == (uint8_t *)b->data + 4 * 7 * 2);
    b = sr_scratch(c, 1000, 1000, SR_F32);              /* more than planned */
    ck_assert(!b->data && c->err.code == SORA_ERR_INTERNAL && sr_ctx_skip(c));
    sr_ctx_close(&c);
    ck_assert(c == NULL);

    c = ctx_of(SR_F32, 1);
    sr_ctx_plan(c);
    b = sr_scratch(c, SIZE_MAX / 8, 16, SR_F32);
    ck_assert(!b->data && c->err.code == SORA_ERR_NOMEM);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_ERR_NOMEM);
    sr_ctx_close(&c);
}
END_TEST

/* After sr_ctx_commit() nothing is allocated. */
START_TEST(test_no_allocation)
{
    struct sr_ctx *c = ctx_of(SR_F32, 2);
    const size_t out = 64, M = 50, in = 48;
    const struct sr_param w = made_up(out * in, 3, 0.1f);
    float *x = random_floats(M * in, 1), *mod = random_floats(in, 2);
    struct sr_linear *l;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &out, 1, in, false, &err), SORA_OK);
    for (int pass = 0; pass < 2; pass++) {
        const size_t mark = sr_scratch_mark(c);
        struct sr_tensor tx = matrix(x, M, in), *h;

        if (pass == 0)
            sr_ctx_plan(c);
        else
            sr_mem_fail_after(1);
        h = sr_layer_norm_mod(c, &tx, 1e-6f, (struct sr_mod){ mod, in, M }, (struct sr_mod){ mod, in, M });
        h = sr_linear(c, l, h, SR_ACT_SILU, SR_F32);
        sr_silu(c, h);
        sr_scratch_release(c, mark);
        if (pass == 0) ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    }
    ck_assert_uint_eq(sr_mem_fail_after(0), 0);
    ck_assert_msg(!c->err.code, "%s", c->err.text);
    ck_assert(c->prof.flop[SR_LINEAR] == 2.0 * M * in * out);
    sr_linear_close(&l);
    sr_ctx_close(&c);
    free(x);
    free(mod);
}
END_TEST

/* ---- Row by row: the kernels are checked elsewhere, here the right rows, strides and modulation reach them ---- */

enum { ROWS = 37, COLS = 48, WIDE = 64 };

/* A context that has planned room for everything below. */
static struct sr_ctx *roomy(enum sr_type act)
{
    struct sr_ctx *c = ctx_of(act, 2);
    sora_error err = { 0 };

    if (!c) return NULL;
    sr_ctx_plan(c);
    for (int i = 0; i < 12; i++) sr_scratch(c, ROWS, WIDE, SR_F32);
    ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
    return c;
}

/* Row i of a modulation whose rows each serve `per` tokens. */
static const float *mod_of(const struct sr_mod *m, size_t i)
{
    return m->data + i / m->tokens_per_row * m->stride;
}

START_TEST(test_norms)
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = roomy(bf16 ? SR_BF16 : SR_F32);
        float *x = random_floats(ROWS * WIDE, 1), *table = random_floats(5 * 3 * COLS, 2), *got;
        const struct sr_tensor t = { x + 8, SR_F32, ROWS, COLS, WIDE };
        const struct sr_mod scale = { table, 3 * COLS, 10 }, shift = { table + COLS, 3 * COLS, 10 };
        const float *w = table + 2 * COLS, *b = table + 5 * COLS;
        float want[4][ROWS * COLS];
        struct sr_tensor *y[4];

        if (c) {
            for (size_t i = 0; i < ROWS; i++) {
                double mean = 0, var = 0, square = 0;
                for (size_t k = 0; k < COLS; k++) mean += x[i * WIDE + 8 + k] / (double)COLS;
                for (size_t k = 0; k < COLS; k++) {
                    const double v = x[i * WIDE + 8 + k];
                    var += (v - mean) * (v - mean) / COLS;
                    square += v * v / COLS;
                }
                for (size_t k = 0; k < COLS; k++) {
                    const double v = x[i * WIDE + 8 + k], n = (v - mean) / sqrt(var + 1e-3);
                    const double r = v / sqrt(square + 1e-3);
                    want[0][i * COLS + k] = (float)(n * w[k] + b[k]);
                    want[1][i * COLS + k] = (float)(n * (1 + mod_of(&scale, i)[k]) + mod_of(&shift, i)[k]);
                    want[2][i * COLS + k] = (float)(r * w[k]);
                    want[3][i * COLS + k] = (float)(r * (1 + mod_of(&scale, i)[k]) + mod_of(&shift, i)[k]);
                }
            }
            y[0] = sr_layer_norm(c, &t, w, b, 1e-3f);
            y[1] = sr_layer_norm_mod(c, &t, 1e-3f, scale, shift);
            y[2] = sr_rms_norm(c, &t, w, 1e-3f, SR_F32);
            y[3] = sr_rms_norm_mod(c, &t, 1e-3f, scale, shift);
            ck_assert_msg(!c->err.code, "%s", c->err.text);
            for (int i = 0; i < 4; i++) {
                ck_assert(y[i]->type == (i == 2 ? SR_F32 : c->act));
                got = floats_of(y[i]);
                assert_rel_l2(got, want[i], ROWS * COLS, y[i]->type == SR_BF16 ? 4e-3 : 1e-6);
                free(got);
            }
            sr_layer_norm(c, y[0], NULL, NULL, 1);              /* bf16 rows are refused, not misread */
            ck_assert_int_eq(c->err.code, bf16 ? SORA_ERR_INTERNAL : SORA_OK);
            sr_ctx_close(&c);
        }
        free(x);
        free(table);
    }
}
END_TEST

/* On a view of some columns, in place: its neighbours stay as they are. */
START_TEST(test_rope)
{
    enum { D = 16 };

    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = roomy(SR_F32);
        const enum sr_type type = bf16 ? SR_BF16 : SR_F32;
        float *x = random_floats(ROWS * WIDE, 1), *angle = random_floats(ROWS * D / 2, 2), *w = random_floats(COLS, 3);
        float cosines[ROWS * D / 2], sines[ROWS * D / 2];
        char *data = malloc(ROWS * WIDE * 4);
        struct sr_tensor all = { data, type, ROWS, WIDE, WIDE };
        struct sr_tensor view = sr_cols(&all, 8, COLS), odd = sr_cols(&all, 0, 15);
        float *got;

        for (size_t i = 0; i < ROWS * D / 2; i++) cosines[i] = cosf(angle[i]), sines[i] = sinf(angle[i]);
        to_type(data, type, x, ROWS * WIDE);
        sr_rms_norm_rope(c, &view, w, 1e-6f, D, cosines, sines);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        for (size_t i = 0; i < ROWS; i++) {
            float *r = x + i * WIDE + 8;
            double square = 0;
            for (size_t k = 0; k < COLS; k++) square += (double)r[k] * r[k] / COLS;
            for (size_t k = 0; k < COLS; k += 2) {
                const double length = sqrt(square + 1e-6);
                const float a = (float)(r[k] / length) * w[k], b = (float)(r[k + 1] / length) * w[k + 1];
                const size_t at = i * D / 2 + k % D / 2;
                r[k] = a * cosines[at] - b * sines[at];
                r[k + 1] = a * sines[at] + b * cosines[at];
            }
        }
        got = floats_of(&all);
        assert_rel_l2(got, x, ROWS * WIDE, bf16 ? 4e-3 : 1e-6);
        for (size_t i = 0; i < ROWS * WIDE; i++)
            if (i % WIDE < 8 || i % WIDE >= 8 + COLS) ck_assert(got[i] == x[i]);
        sr_rms_norm_rope(c, &odd, NULL, 0, D, cosines, sines);
        ck_assert_int_eq(c->err.code, SORA_ERR_INTERNAL);
        free(got);
        free(data);
        free(x);
        free(angle);
        free(w);
        sr_ctx_close(&c);
    }
}
END_TEST

START_TEST(test_sums)
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = roomy(SR_F32);
        const enum sr_type type = bf16 ? SR_BF16 : SR_F32;
        float *x = random_floats(ROWS * WIDE, 1), *h = random_floats(ROWS * WIDE, 2);
        float *g = random_floats(ROWS * COLS, 3), *want = random_floats(ROWS * WIDE, 1), *got;
        uint16_t back[ROWS * COLS];
        char *data = malloc(ROWS * WIDE * 4);
        struct sr_tensor tx = { x + 4, SR_F32, ROWS, COLS, WIDE }, th = { data, type, ROWS, COLS, WIDE };
        struct sr_tensor *copy = sr_scratch(c, ROWS, COLS, type), *narrow = sr_scratch(c, ROWS, COLS - 1, SR_F32);
        struct sr_tensor half = { back, SR_BF16, ROWS, COLS, COLS };
        const struct sr_mod gate = { g, COLS, 5 };

        to_type(data, type, h, ROWS * WIDE);
        sr_add(c, &tx, &th);
        sr_add_gated(c, &tx, &th, gate);
        sr_silu(c, &tx);
        sr_convert(c, copy, &th);
        sr_mul(c, copy, &th);
        sr_convert(c, &half, &tx);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t k = 0; k < COLS; k++) {
                const double v = want[i * WIDE + 4 + k] + (double)h[i * WIDE + k] * (1 + g[i / 5 * COLS + k]);
                want[i * WIDE + 4 + k] = (float)(v / (1 + exp(-v)));
            }
        assert_near(x, want, ROWS * WIDE, 1e-5);
        got = floats_of(copy);
        for (size_t i = 0; i < ROWS * COLS; i++) {
            const float v = h[i / COLS * WIDE + i % COLS];
            ck_assert(fabsf(got[i] - v * v) <= (bf16 ? v * v / 128 : 0));
            ck_assert(back[i] == sr_f32_to_bf16(x[i / COLS * WIDE + 4 + i % COLS]));
        }
        sr_add(c, &tx, narrow);
        ck_assert_int_eq(c->err.code, SORA_ERR_INTERNAL);
        free(got);
        free(data);
        free(x);
        free(h);
        free(g);
        free(want);
        sr_ctx_close(&c);
    }
}
END_TEST

/* The n-th allocation fails, n = 1, 2, 3 ...: a message, nothing lost, and at last it works. */
START_TEST(test_alloc)
{
    const size_t out[] = { 40, 24 }, in = 48;
    const struct sr_param w[] = { made_up(40 * 48, 3, 0.1f), made_up(24 * 48, 4, 0.1f) };
    const struct sr_param b[] = { made_up(40, 5, 1), made_up(24, 6, 1) }, v = made_up(64 * 64 * 9, 7, 1);
    const struct sr_conv_shape s = { 64, 64, 1, 3, 3, 1, 1, 1 };
    float *x = random_floats(8 * 8 * 64, 1);
    const struct sr_fmap map = { x, SR_F32, 1, 8, 8, 64 };
    const struct sr_tensor tx = matrix(x, 8, 48);
    bool good = false;

    for (unsigned long n = 1; !good; n++) {
        struct sr_ctx *c = NULL;
        struct sr_linear *l = NULL;
        struct sr_conv *k = NULL;
        sora_error err = { 0 };
        sora_result r;

        sr_mem_fail_after(n);
        r = sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, &err);
        if (r == SORA_OK) r = sr_linear_open(c, &l, w, b, out, 2, in, false, &err);
        if (r == SORA_OK) r = sr_conv_open(c, &k, &s, &v, &(struct sr_param){ .data = NULL }, &err);
        if (r == SORA_OK) {
            sr_ctx_plan(c);
            sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
            sr_conv(c, k, &map, SR_ACT_NONE, &map, SR_F32);
            r = sr_ctx_commit(c, &err);
        }
        sr_mem_fail_after(0);
        good = r == SORA_OK;
        ck_assert_msg(good || (r == SORA_ERR_NOMEM && err.code == r && err.text[0]), "n = %lu: %d %s", n, r, err.text);
        sr_conv_close(&k);
        sr_linear_close(&l);
        sr_ctx_close(&c);
    }
    free(x);
}
END_TEST

static bool all_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* A cancel in the middle: the last rows are never computed, and the context works again once the error is cleared. */
START_TEST(test_cancel)
{
    const size_t M = 6000, C = 4096, H = 140, W = 148, in = 128;
    const int ms = 20;
    struct sr_ctx *c = cancellable(2);
    const struct sr_param w = made_up(C * C, 5, 0.02f), v = made_up(in * in * 27, 6, 0.02f);
    const struct sr_param none = { .data = NULL };
    const struct sr_conv_shape s = { in, in, 3, 3, 3, 1, 1, 1 };
    float *x = random_floats(M * C, 1), *y = calloc(8 * H * W * in, sizeof *y);
    struct sr_tensor tx = matrix(x, M, C), few = matrix(x, 3, C), *h;
    const struct sr_fmap mx = { x, SR_F32, 8 + 2, H, W / 2, in }, my = { y, SR_F32, 8, H, W / 2, in };
    struct sr_linear *l;
    struct sr_conv *k;
    pthread_t t;
    sora_error err = { 0 };

    ck_assert_int_eq(sr_linear_open(c, &l, &w, NULL, &C, 1, C, false, &err), SORA_OK);
    ck_assert_int_eq(sr_conv_open(c, &k, &s, &v, &none, &err), SORA_OK);
    sr_ctx_plan(c);
    sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);
    sr_linear(c, l, &few, SR_ACT_NONE, SR_F32);
    sr_conv_to(c, k, &mx, SR_ACT_NONE, NULL, &my);
    ck_assert_msg(sr_ctx_commit(c, &err) == SORA_OK, "%s", err.text);

    memset(c->arena, 0, c->arena_size);
    ck_assert_int_eq(pthread_create(&t, NULL, cancel_soon, (void *)&ms), 0);
    h = sr_linear(c, l, &tx, SR_ACT_NONE, SR_F32);                  /* 201 GFLOP */
    pthread_join(t, NULL);
    ck_assert_int_eq(c->err.code, SORA_ERR_CANCELLED);
    ck_assert(all_zero((float *)h->data + (M - 1) * C, C));
    ck_assert(!sr_scratch(c, 1, 1, SR_F32)->data);                  /* everything after it does nothing */

    memset(&c->err, 0, sizeof c->err);
    atomic_store(&stop.set, false);
    sr_scratch_release(c, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, cancel_soon, (void *)&ms), 0);
    sr_conv_to(c, k, &mx, SR_ACT_NONE, NULL, &my);                  /* 73 GFLOP */
    pthread_join(t, NULL);
    ck_assert_int_eq(c->err.code, SORA_ERR_CANCELLED);
    ck_assert(all_zero(y + (8 * H * W / 2 - 1) * in, in));

    memset(&c->err, 0, sizeof c->err);
    atomic_store(&stop.set, false);
    h = sr_linear(c, l, &few, SR_ACT_NONE, SR_F32);
    ck_assert(!c->err.code && !all_zero(h->data, 3 * C));
    sr_conv_close(&k);
    sr_linear_close(&l);
    sr_ctx_close(&c);
    free(x);
    free(y);
}
END_TEST

/* Made-up parameters: the asked deviation, another tensor other numbers, and a row alone is the row of the whole. */
START_TEST(test_made_up)
{
    enum { N = 20000 };
    const struct sr_param p = made_up(N, 7, 0.25f), other = made_up(N, 8, 0.25f);
    struct sr_ctx *c = ctx_of(SR_F32, 1);
    float *a, *b, part[101];
    double mean = 0, var = 0, both = 0;

    ck_assert(sr_param_f32(&a, &p, NULL) == SORA_OK && sr_param_f32(&b, &other, NULL) == SORA_OK);
    for (size_t i = 0; i < N; i++) mean += a[i] / N, var += (double)a[i] * a[i] / N, both += (double)a[i] * b[i] / N;
    ck_assert(fabs(mean) < 0.01 && fabs(sqrt(var) - 0.25) < 0.005 && fabs(both) < 0.002);
    sr_param_read(c->kern, part, SR_F32, &p, 4321, 101);
    assert_near(part, a + 4321, 101, 0);
    sr_free(a);
    sr_free(b);
    sr_ctx_close(&c);
}
END_TEST

RUN_TESTS("ops", test_param, test_made_up, test_scratch, test_no_allocation, test_alloc, test_norms, test_rope,
          test_sums, test_cancel)
