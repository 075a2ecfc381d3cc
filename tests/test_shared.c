/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model that is opened twice is in memory once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "tensor/shared.h"
#include "weights/weights.h"

static const char *file(void)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/tests/ref/clip/transformer/diffusion_pytorch_model.safetensors", getenv("SRCDIR"));
    return path;
}

/* ---- Counted ---- */

static atomic_int made;
static struct sr_ctx *ctx;

static void rows(void *user, void *out, size_t from, size_t n)
{
    for (size_t i = 0; i < n * 16; i++) ((float *)out)[i] = (float)(from * 16 + i);
}

static sora_result make(void *user, struct sr_packed **p, sora_error *err)
{
    atomic_fetch_add(&made, 1);
    usleep(20000);
    return sr_dnnl_pack(ctx, p, 32, 16, SR_F32, rows, NULL, err);
}

static void *ask(void *user)
{
    struct sr_packed *p;

    ck_assert_int_eq(sr_shared_get(&p, user, make, NULL, NULL), SORA_OK);
    return p;
}

START_TEST(test_once)
{
    struct sr_shared_key key = { .source = 77, .rows = 32, .cols = 16 }, other = { .source = 78, .rows = 32, .cols = 16 };
    struct sr_packed *p[4], *q;
    pthread_t t[4];

    ck_assert_int_eq(sr_ctx_open(&ctx, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, ask, &key);
    for (int i = 0; i < 4; i++) pthread_join(t[i], (void **)&p[i]);
    ck_assert_int_eq(made, 1);
    for (int i = 1; i < 4; i++) ck_assert_ptr_eq(p[i], p[0]);
    q = ask(&other);
    ck_assert(made == 2 && q != p[0]);
    for (int i = 0; i < 4; i++) sr_shared_put(&p[i]);
    p[0] = ask(&key);                                   /* the last user has freed it */
    ck_assert_int_eq(made, 3);
    sr_shared_put(&p[0]);
    sr_shared_put(&q);
    ck_assert_ptr_null(q);
    key.source = 0;                                     /* of no file: never shared */
    p[0] = ask(&key);
    p[1] = ask(&key);
    ck_assert(made == 5 && p[0] != p[1]);
    sr_shared_put(&p[0]);
    sr_shared_put(&p[1]);
    sr_ctx_close(&ctx);
}
END_TEST

/* ---- Two contexts, each with its own mapping of one file ---- */

struct user {
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_linear *l;
    float y[2][64];
};

static void open_user(struct user *u)
{
    struct sr_loader l = { 0 };

    ck_assert_int_eq(sr_ctx_open(&u->c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_int_eq(sr_weights_open(&u->w, file(), NULL), SORA_OK);
    l.c = u->c;
    l.w = u->w;
    ck_assert_ptr_nonnull(u->l = sr_load_linear(&l, 64, 48, true, false, "blocks.0.ffn.net.0.proj"));
}

static void multiply(struct user *u)
{
    float x[2][48];
    const struct sr_tensor in = { x, SR_F32, 2, 48, 48 };

    sr_rng_normal(x[0], 2 * 48, 5, 0, 0);
    sr_ctx_plan(u->c);
    sr_linear(u->c, u->l, &in, SR_ACT_NONE, SR_F32);
    sr_scratch_release(u->c, 0);
    ck_assert_int_eq(sr_ctx_commit(u->c, NULL), SORA_OK);
    memcpy(u->y, sr_linear(u->c, u->l, &in, SR_ACT_NONE, SR_F32)->data, sizeof u->y);
    sr_scratch_release(u->c, 0);
    ck_assert_int_eq(u->c->err.code, SORA_OK);
}

static void close_user(struct user *u)
{
    sr_linear_close(&u->l);
    sr_weights_close(&u->w);
    sr_ctx_close(&u->c);
}

START_TEST(test_outlives)
{
    struct user a, b, alone;

    open_user(&alone);
    multiply(&alone);
    close_user(&alone);
    open_user(&a);
    open_user(&b);
    multiply(&a);
    close_user(&a);                                     /* it packed what b goes on with */
    multiply(&b);
    close_user(&b);
    ck_assert_mem_eq(a.y, alone.y, sizeof a.y);
    ck_assert_mem_eq(b.y, alone.y, sizeof b.y);
}
END_TEST

/* The same bytes in another file, or the file after a change, are another source. */
START_TEST(test_sources)
{
    char copy[] = "/tmp/sora-test-XXXXXX", command[1000];
    const size_t dim[] = { 64, 48 };
    struct sr_param p[4] = { 0 };
    const char *paths[] = { file(), file(), copy, copy };

    close(mkstemp(copy));
    for (int i = 0; i < 4; i++) {
        struct sr_weights *w;
        snprintf(command, sizeof command, "cp '%s' '%s'", file(), copy);
        if (i >= 2) {
            usleep(20000);
            ck_assert_int_eq(system(command), 0);
        }
        ck_assert_int_eq(sr_weights_open(&w, paths[i], NULL), SORA_OK);
        ck_assert_int_eq(sr_weights_get(w, &p[i], NULL, 2, dim, "blocks.%d.ffn.net.0.proj.weight", 0), SORA_OK);
        sr_weights_close(&w);
    }
    unlink(copy);
    ck_assert(p[0].source && p[0].source == p[1].source);
    ck_assert(p[2].source && p[2].source != p[0].source && p[3].source != p[2].source);
}
END_TEST

RUN_TESTS("shared", test_once, test_outlives, test_sources)
