/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* T5EncoderModel and UMT5EncoderModel of the transformers package on small random weights. */
#include <stdio.h>
#include <stdlib.h>

#include "near.h"
#include "ref.h"
#include "text/t5.h"

struct want {
    int32_t ids[256];
    size_t n;
    float *states;
};

static void read_want(struct want *x, const char *file, size_t dim)
{
    struct sr_weights *w;
    struct sr_param p;
    const struct sr_weight *ids;
    float *f;

    ck_assert_int_eq(sr_weights_open(&w, ref(file), NULL), SORA_OK);
    ids = sr_weights_find(w, "ids");
    x->n = ids->n;
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 1, &x->n, "ids"), SORA_OK);
    ck_assert_int_eq(sr_param_f32(&f, &p, NULL), SORA_OK);
    for (size_t i = 0; i < x->n; i++) x->ids[i] = (int32_t)f[i];
    sr_free(f);
    ck_assert_int_eq(sr_weights_get(w, &p, NULL, 2, (size_t[]){ x->n, dim }, "states"), SORA_OK);
    ck_assert_int_eq(sr_param_f32(&x->states, &p, NULL), SORA_OK);
    sr_weights_close(&w);
}

static void compare_in(enum sr_type type, const struct sr_t5_config *k, const char *weights, const char *states,
                       double tolerance)
{
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_t5 *t;
    struct want x;
    sora_error err = { 0 };
    float *out;

    read_want(&x, states, (size_t)k->dim);
    out = malloc(x.n * (size_t)k->dim * sizeof *out);
    ck_assert_int_eq(sr_ctx_open(&c, type, 2, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_msg(sr_weights_open(&w, ref(weights), &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_t5_open(c, &t, k, w, &err) == SORA_OK, "%s", err.text);
    for (int again = 0; again < 2; again++) {
        memset(out, 0xff, x.n * (size_t)k->dim * sizeof *out);
        ck_assert_msg(sr_t5_encode(c, t, x.ids, x.n, out, &err) == SORA_OK, "%s", err.text);
        assert_rel_l2(out, x.states, x.n * (size_t)k->dim, tolerance);
    }
    ck_assert_uint_eq(c->arena_used, 0);
    sr_t5_close(&t);
    ck_assert_ptr_null(t);
    sr_weights_close(&w);
    sr_ctx_close(&c);
    sr_free(x.states);
    free(out);
}

static void compare(const struct sr_t5_config *k, const char *weights, const char *states, double tolerance)
{
    compare_in(SR_F32, k, weights, states, tolerance);
}

static struct sr_t5_config config(const char *folder)
{
    struct sr_t5_config k;
    sora_error err = { 0 };

    ck_assert_msg(sr_t5_config_read(&k, ref(folder), &err) == SORA_OK, "%s", err.text);
    return k;
}

START_TEST(test_umt5)
{
    const struct sr_t5_config k = config("umt5");

    ck_assert(!k.shared_bias && k.layers == 2 && k.heads == 3 && k.head_dim == 16 && k.vocab == 64 && k.buckets == 32);
    compare(&k, "umt5", "umt5-states.safetensors", 1e-5);
}
END_TEST

START_TEST(test_t5)
{
    const struct sr_t5_config k = config("t5");

    ck_assert(k.shared_bias && k.layers == 3);
    compare(&k, "t5", "t5-states.safetensors", 1e-5);
}
END_TEST

START_TEST(test_bf16)
{
    const struct sr_t5_config umt5 = config("umt5"), t5 = config("t5");
    struct sr_ctx *c;

    if (sr_ctx_open(&c, SR_BF16, 1, ~0u, NULL, NULL, NULL) < 0) return;     /* not with this CPU */
    sr_ctx_close(&c);
    compare_in(SR_BF16, &umt5, "umt5", "umt5-states.safetensors", 2e-2);
    compare_in(SR_BF16, &t5, "t5", "t5-states.safetensors", 2e-2);
}
END_TEST

/* Layer after layer through one layer's memory: the same numbers. */
START_TEST(test_layer_by_layer)
{
    struct sr_t5_config k = config("umt5");

    k.resident_max = 1;
    compare(&k, "umt5", "umt5-states.safetensors", 1e-5);
    k = config("t5");
    k.resident_max = 1;
    compare(&k, "t5", "t5-states.safetensors", 1e-5);
}
END_TEST

/* Wan's own file: a PyTorch checkpoint, other names, no config. */
START_TEST(test_original_names)
{
    struct sr_t5_config k, want = config("umt5");
    struct sr_weights *w;
    sora_error err = { 0 };

    ck_assert_msg(sr_weights_open(&w, ref("umt5.pth"), &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_t5_config_guess(&k, w, &err) == SORA_OK, "%s", err.text);
    sr_weights_close(&w);
    ck_assert(k.vocab == want.vocab && k.dim == want.dim && k.heads == want.heads && k.head_dim == want.head_dim &&
              k.ffn == want.ffn && k.layers == want.layers && k.buckets == want.buckets &&
              k.max_distance == want.max_distance && k.eps == want.eps && !k.shared_bias);
    compare(&k, "umt5.pth", "umt5-states.safetensors", 1e-5);
    ck_assert_int_eq(sr_weights_open(&w, ref("t5"), NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_config_guess(&k, w, NULL), SORA_OK);
    ck_assert(k.shared_bias && k.layers == 3);
    sr_weights_close(&w);
    ck_assert_int_eq(sr_weights_open(&w, ref("t5-states.safetensors"), NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_config_guess(&k, w, &err), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "not the weights of a T5") != NULL, "%s", err.text);
    sr_weights_close(&w);
}
END_TEST

/* Hugging Face's _relative_position_bucket(arange(-140, 141)) with 32 buckets and distance 128, run lengths of it. */
START_TEST(test_buckets)
{
    static const int before[] = { 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10 };     /* 8 .. 22 places away */

    for (int d = 0; d < 8; d++) {
        ck_assert_int_eq(sr_t5_bucket(-d, 32, 128), d);
        ck_assert_int_eq(sr_t5_bucket(d, 32, 128), d ? 16 + d : 0);
    }
    for (int d = 8; d < 23; d++) {
        ck_assert_int_eq(sr_t5_bucket(-d, 32, 128), before[d - 8]);
        ck_assert_int_eq(sr_t5_bucket(d, 32, 128), 16 + before[d - 8]);
    }
    ck_assert_int_eq(sr_t5_bucket(-127, 32, 128), 15);
    ck_assert_int_eq(sr_t5_bucket(1 << 20, 32, 128), 31);
}
END_TEST

START_TEST(test_wrong)
{
    struct sr_t5_config k = config("umt5");
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_t5 *t;
    sora_error err = { 0 };
    float out[32];

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_open(&w, ref("umt5"), NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_open(c, &t, &k, w, NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_encode(c, t, (int32_t[]){ 64 }, 1, out, &err), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "token 64, but the table has 64 rows") != NULL, "%s", err.text);
    err.code = 0;
    ck_assert_int_eq(sr_t5_encode(c, t, (int32_t[]){ -1 }, 1, out, &err), SORA_ERR_MODEL);
    ck_assert_int_eq(sr_t5_encode(c, t, (int32_t[]){ 63 }, 1, out, NULL), SORA_OK);
    sr_t5_close(&t);
    k.ffn = 64;
    err.code = 0;
    ck_assert_int_eq(sr_t5_open(c, &t, &k, w, &err), SORA_ERR_MODEL);
    ck_assert(t == NULL && strstr(err.text, "wi_0.weight\" has the shape [56, 32]; wanted: [64, 32]"));
    k.resident_max = 1;                             /* found out when the layer's turn comes */
    ck_assert_int_eq(sr_t5_open(c, &t, &k, w, NULL), SORA_OK);
    err.code = 0;
    ck_assert_int_eq(sr_t5_encode(c, t, (int32_t[]){ 1 }, 1, out, &err), SORA_ERR_MODEL);
    ck_assert(!c->plan && strstr(err.text, "wi_0.weight"));
    sr_t5_close(&t);
    sr_weights_close(&w);
    sr_ctx_close(&c);
    err.code = 0;
    ck_assert_int_eq(sr_t5_config_read(&k, ref("absent"), &err), SORA_ERR_NOT_FOUND);
}
END_TEST

/* Made-up weights of a real shape: they encode, and the numbers are finite. */
START_TEST(test_random)
{
    struct sr_t5_config k = config("umt5");
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_t5 *t;
    float out[2 * 32];

    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_open_random(&w, 1, NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_open(c, &t, &k, w, NULL), SORA_OK);
    ck_assert_int_eq(sr_t5_encode(c, t, (int32_t[]){ 5, 1 }, 2, out, NULL), SORA_OK);
    for (int i = 0; i < 64; i++) ck_assert(isfinite(out[i]));
    ck_assert(rel_l2(out, out + 32, 32) > 0.1);
    sr_t5_close(&t);
    sr_weights_close(&w);
    sr_ctx_close(&c);
}
END_TEST

RUN_TESTS("t5", test_umt5, test_t5, test_bf16, test_layer_by_layer, test_original_names, test_buckets, test_wrong, test_random)
