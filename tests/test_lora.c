/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Additions of low rank: a model with a file of them is the model whose weights have them added, whatever they are called. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/model.h"
#include "near.h"

enum { RANK = 3, LAYERS = 5, C = 48, FFN = 64, MOST = 6 * C * C };

/* Layers of tests/ref/clip: diffusers' name, the original one, size. */
static const struct {
    const char *name, *original;
    size_t out, in;
} layers[LAYERS] = {
    { "blocks.0.attn1.to_q", "blocks.0.self_attn.q", C, C },
    { "blocks.1.attn1.to_out.0", "blocks.1.self_attn.o", C, C },
    { "blocks.1.attn2.to_v", "blocks.1.cross_attn.v", C, C },
    { "blocks.0.ffn.net.0.proj", "blocks.0.ffn.0", FFN, C },
    { "blocks.1.ffn.net.2", "blocks.1.ffn.2", C, FFN },
};
static float a[LAYERS][RANK * FFN], b[LAYERS][FFN * RANK];
static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][200];
    static int turn;

    snprintf(path[++turn % 4], sizeof path[0], "%s/%s", folder, name);
    return path[turn % 4];
}

static const char *base(void)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/tests/ref/clip", getenv("SRCDIR"));
    return path;
}

/* How a trainer writes them: names of the layers and of the factors, what stands before, and alpha. */
struct style {
    bool original;
    const char *prefix, *down, *up;
    float alpha;                    /* 0: not in the file */
};

static void write_lora(const char *path, const struct style *s)
{
    static char names[3 * LAYERS + 1][200];
    struct sr_named t[3 * LAYERS];
    size_t n = 0;

    for (size_t i = 0; i < LAYERS; i++) {
        const char *name = s->original ? layers[i].original : layers[i].name;
        snprintf(names[n], sizeof names[0], "%s%s.%s", s->prefix, name, s->down);
        t[n] = (struct sr_named){ names[n], a[i], 2, { RANK, layers[i].in } };
        n++;
        snprintf(names[n], sizeof names[0], "%s%s.%s", s->prefix, name, s->up);
        t[n] = (struct sr_named){ names[n], b[i], 2, { layers[i].out, RANK } };
        n++;
        if (s->alpha == 0) continue;
        snprintf(names[n], sizeof names[0], "%s%s.alpha", s->prefix, name);
        t[n] = (struct sr_named){ names[n], &s->alpha, 1, { 1 } };
        n++;
    }
    ck_assert_int_eq(sr_safetensors_write(path, t, n, NULL), SORA_OK);
}

/* The folder `merged`: all weights as F32, with the sums written out in double. */
static void write_merged(double scale)
{
    enum { TENSORS = 200 };
    static struct sr_named t[TENSORS];
    char path[700], command[1500];
    struct sr_weights *w;
    size_t n;

    snprintf(path, sizeof path, "%s/transformer", base());
    ck_assert_int_eq(sr_weights_open(&w, path, NULL), SORA_OK);
    n = sr_weights_count(w);
    ck_assert(n <= TENSORS);
    for (size_t k = 0; k < n; k++) {
        const struct sr_weight *from = sr_weights_at(w, k);
        const struct sr_param p = { .data = from->data, .type = from->type, .n = from->n };
        float *x;
        ck_assert_int_eq(sr_param_f32(&x, &p, NULL), SORA_OK);
        for (size_t i = 0; i < LAYERS; i++) {
            snprintf(path, sizeof path, "%s.weight", layers[i].name);
            for (size_t j = 0; !strcmp(from->name, path) && j < from->n; j++) {
                double sum = 0;
                for (size_t r = 0; r < RANK; r++)
                    sum += (double)b[i][j / layers[i].in * RANK + r] * a[i][r * layers[i].in + j % layers[i].in];
                x[j] = (float)(x[j] + scale * sum);
            }
        }
        t[k] = (struct sr_named){ .name = from->name, .data = x, .ndim = from->ndim };
        memcpy(t[k].dim, from->dim, sizeof t[k].dim);
    }
    snprintf(command, sizeof command,
             "rm -rf '%s/merged' && mkdir -p '%s/merged/transformer' && cp '%s/transformer/config.json' "
             "'%s/merged/transformer/'",
             folder, folder, base(), folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(
        sr_safetensors_write(in_folder("merged/transformer/diffusion_pytorch_model.safetensors"), t, n, NULL), SORA_OK);
    for (size_t k = 0; k < n; k++) sr_free((void *)t[k].data);
    sr_weights_close(&w);
}

enum { H = 4, W = 6, N = 16 * H * W };

static sora_result run(float *out, const char *path, const char *lora, double scale, sora_error *err)
{
    const struct sr_model_setup s = {
        .path = path, .lora = lora, .lora_scale = scale, .F = 1, .H = H, .W = W, .prompts = 1
    };
    static float x[N], text[32 * 4];
    const float time = 700;
    const struct sr_model_input in = { .x = x, .F = 1, .t = &time };
    struct sr_ctx *c;
    struct sr_model *m = NULL;
    sora_result r;

    sr_rng_normal(x, N, 5, 1, 0);
    sr_rng_normal(text, SR_COUNT(text), 5, 2, 0);
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, NULL, NULL), SORA_OK);
    if ((r = sr_model_open(c, &m, &s, err)) == SORA_OK) {
        ck_assert_int_eq(sr_model_set_text(c, m, 0, text, 4, NULL), SORA_OK);
        ck_assert_int_eq(sr_model_forward(c, m, 0, &in, out, NULL), SORA_OK);
    }
    sr_model_close(&m);
    sr_ctx_close(&c);
    return r;
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/sora-lora-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < LAYERS; i++) {
        sr_rng_normal(a[i], SR_COUNT(a[i]), 11, i, 0);
        sr_rng_normal(b[i], SR_COUNT(b[i]), 12, i, 0);
        for (size_t k = 0; k < SR_COUNT(b[i]); k++) b[i][k] *= 0.1f;
    }
}

static void teardown(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(test_sum)
{
    static const struct {
        struct style style;
        double scale, counts;       /* asked for; in effect */
    } cases[] = {
        { { true, "base_model.model.", "lora_A.weight", "lora_B.weight", 0 }, 1, 1 },
        { { true, "generator_lora.base_model.model.", "lora_A.weight", "lora_B.weight", 0 }, -0.5, -0.5 },
        { { false, "transformer.", "lora_A.default.weight", "lora_B.default.weight", 0 }, 2, 2 },
        { { true, "diffusion_model.", "lora_down.weight", "lora_up.weight", 6 }, 1, 6.0 / RANK },
    };
    static float plain[N], want[N], got[N];
    sora_error err = { 0 };

    ck_assert_msg(run(plain, base(), NULL, 0, &err) == SORA_OK, "%s", err.text);
    for (size_t i = 0; i < SR_COUNT(cases); i++) {
        write_lora(in_folder("lora.safetensors"), &cases[i].style);
        write_merged(cases[i].counts);
        ck_assert_msg(run(want, in_folder("merged"), NULL, 0, &err) == SORA_OK, "%s", err.text);
        ck_assert_msg(run(got, base(), in_folder("lora.safetensors"), cases[i].scale, &err) == SORA_OK, "%s", err.text);
        assert_rel_l2(got, want, N, 1e-5);
        ck_assert(rel_l2(got, plain, N) > 1e-2);
        /* the base alone is as it was, though packed weights are shared between models */
        ck_assert_int_eq(run(got, base(), NULL, 0, NULL), SORA_OK);
        ck_assert_mem_eq(got, plain, sizeof plain);
    }
}
END_TEST

static void must_fail(const char *lora, sora_result want, const char *part)
{
    static float out[N];
    sora_error err = { 0 };
    const sora_result r = run(out, base(), lora, 1, &err);

    ck_assert_msg(r == want && strstr(err.text, part), "%d \"%s\", wanted %d \"...%s...\"", r, err.text, want, part);
}

START_TEST(test_refused)
{
    static const float x[FFN * FFN];
    const char *path = in_folder("lora.safetensors");
    struct sr_named t[4] = {
        { "blocks.0.self_attn.q.lora_A.weight", x, 2, { 2, C } },
        { "blocks.0.self_attn.q.lora_B.weight", x, 2, { C, 2 } },
        { "blocks.7.self_attn.q.lora_A.weight", x, 2, { 2, C } },
        { "blocks.7.self_attn.q.lora_B.weight", x, 2, { C, 2 } },
    };

    must_fail(path, SORA_ERR_NOT_FOUND, path);
    ck_assert_int_eq(sr_safetensors_write(path, t, 4, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "2 of its 4 tensors fit no layer");
    ck_assert_int_eq(sr_safetensors_write(path, t, 1, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "no tensor \"blocks.0.self_attn.q.lora_B.weight\"");
    ck_assert_int_eq(sr_safetensors_write(path, t + 1, 1, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "no low-rank additions");
    t[0].dim[1] = C - 1;
    ck_assert_int_eq(sr_safetensors_write(path, t, 2, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "has the shape [2, 47]; wanted: [2, 48]");
    t[0].dim[1] = C;
    t[1].dim[1] = 3;
    ck_assert_int_eq(sr_safetensors_write(path, t, 2, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "has the shape [48, 3]; wanted: [48, 2]");
    t[0].ndim = 1;
    ck_assert_int_eq(sr_safetensors_write(path, t, 2, NULL), SORA_OK);
    must_fail(path, SORA_ERR_MODEL, "wanted: a rank of 1 to 4096");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lora");
    TCase *c = tcase_create("lora");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_sum);
    tcase_add_test(c, test_refused);
    suite_add_tcase(suite, c);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
