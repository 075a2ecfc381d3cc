/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Wan transformer against diffusers (tests/ref/wan-*), its stream against the same thing restated in PyTorch. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "models/model.h"
#include "near.h"

static const unsigned levels[] = { 0, SR_CPU_AVX2, SR_CPU_AVX2 | SR_CPU_AVX512, ~0u };

/* A model of tests/ref and what the reference made with it. */
struct fixture {
    char folder[512];
    struct sr_weights *io;
    struct sr_ctx *c;
    struct sr_model *m;
    const float *x, *text, *t;
    size_t C, F, H, W, real, n;         /* n: numbers in the output */
    float *out;
};

static const struct sr_weight *io_find(const struct fixture *f, const char *name)
{
    const struct sr_weight *w = sr_weights_find(f->io, name);

    ck_assert_msg(w && w->type == SR_F32, "%s/io.safetensors has no %s", f->folder, name);
    return w;
}

static void fixture_read(struct fixture *f, const char *folder)
{
    char path[600];
    sora_error err = { 0 };
    const struct sr_weight *x;

    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "%s", folder);
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    ck_assert_msg(sr_weights_open(&f->io, path, &err) == SORA_OK, "%s", err.text);
    x = io_find(f, "x");
    f->x = x->data;
    f->C = x->dim[0], f->F = x->dim[1], f->H = x->dim[2], f->W = x->dim[3];
    f->t = io_find(f, "t")->data;
    f->text = io_find(f, "text")->data;
    f->real = io_find(f, "text")->dim[0];
}

static void fixture_ref(struct fixture *f, const char *name)
{
    char path[400];

    snprintf(path, sizeof path, "%s/tests/ref/wan-%s", getenv("SRCDIR"), name);
    fixture_read(f, path);
}

static void fixture_open(struct fixture *f, const char *path, enum sr_type act, unsigned cpu, int threads,
                         const struct sr_model_setup *like)
{
    struct sr_model_setup s = { .F = f->F, .H = f->H, .W = f->W, .prompts = 2 };
    sora_error err = { 0 };

    if (like) s = *like;
    s.path = path;
    ck_assert_msg(sr_ctx_open(&f->c, act, threads, cpu, NULL, NULL, &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_model_open(f->c, &f->m, &s, &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_model_set_text(f->c, f->m, 0, f->text, f->real, &err) == SORA_OK, "%s", err.text);
    f->n = (size_t)sr_model_get_info(f->m)->channels * f->F * f->H * f->W;
    sr_free(f->out);
    ck_assert((f->out = sr_calloc(f->n, sizeof *f->out)) != NULL);
}

static void fixture_close_model(struct fixture *f)
{
    sr_model_close(&f->m);
    sr_ctx_close(&f->c);
}

static void fixture_close(struct fixture *f)
{
    fixture_close_model(f);
    sr_weights_close(&f->io);
    sr_free(f->out);
}

/* The channels of x beyond the latent's own are the prior. */
static struct sr_model_input input_of(const struct fixture *f)
{
    const size_t own = (size_t)sr_model_get_info(f->m)->channels;

    return (struct sr_model_input){ .x = f->x, .F = f->F, .t = f->t,
                                    .prior = f->C > own ? f->x + own * f->F * f->H * f->W : NULL };
}

static const float *forward(struct fixture *f, int which, const struct sr_model_input *in)
{
    sora_error err = { 0 };

    ck_assert_msg(sr_model_forward(f->c, f->m, which, in, f->out, &err) == SORA_OK, "%s", err.text);
    return f->out;
}

static bool has_bf16(void)
{
    struct sr_ctx *c;
    const bool has = sr_ctx_open(&c, SR_BF16, 1, ~0u, NULL, NULL, NULL) == SORA_OK;

    sr_ctx_close(&c);
    return has;
}

/* motion: a file of filters, with which the reference made `out` */
static void compare_with(const char *folder, bool all_levels, const char *motion, const char *out)
{
    struct fixture f;
    struct sr_model_setup s;
    struct sr_model_input in;

    fixture_read(&f, folder);
    s = (struct sr_model_setup){ .F = f.F, .H = f.H, .W = f.W, .prompts = 2, .motion = motion };
    for (size_t i = all_levels ? 0 : SR_COUNT(levels) - 1; i < SR_COUNT(levels); i++) {
        fixture_open(&f, folder, SR_F32, levels[i], 1 + (int)i % 2, &s);
        in = input_of(&f);
        assert_rel_l2(forward(&f, 0, &in), (const float *)io_find(&f, out)->data, f.n, 1e-4);
        fixture_close_model(&f);
    }
    if (has_bf16()) {
        fixture_open(&f, folder, SR_BF16, ~0u, 2, &s);
        in = input_of(&f);
        assert_rel_l2(forward(&f, 0, &in), (const float *)io_find(&f, out)->data, f.n, 2e-2);
        fixture_close_model(&f);
    }
    fixture_close(&f);
}

static void compare(const char *folder, bool all_levels)
{
    char motion[600];

    compare_with(folder, all_levels, NULL, "out");
    snprintf(motion, sizeof motion, "%s/motion.safetensors", folder);
    if (access(motion, R_OK) == 0) compare_with(folder, all_levels, motion, "motion.out");
}

START_TEST(test_parity)
{
    static const char *const names[] = { "plain", "ti2v", "i2v", "pocket" };
    char path[400];

    for (size_t i = 0; i < SR_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/tests/ref/wan-%s", getenv("SRCDIR"), names[i]);
        compare(path, true);
    }
}
END_TEST

/* Some thousand tokens, each frame with its own time: the parts of a block that work on rows take them in several turns. */
START_TEST(test_rows)
{
    char path[400];

    snprintf(path, sizeof path, "%s/tests/ref/wan-rows", getenv("SRCDIR"));
    compare(path, false);
}
END_TEST

/* Models too large for the tree, made on the spot: SORA_TEST_WAN=folder of tools/reference/wan.py */
START_TEST(test_live)
{
    if (getenv("SORA_TEST_WAN")) compare(getenv("SORA_TEST_WAN"), false);
}
END_TEST

START_TEST(test_depends)
{
    struct fixture f;
    struct sr_model_input in;
    float *first, *zeros, t[3];

    fixture_ref(&f, "plain");
    fixture_open(&f, f.folder, SR_F32, ~0u, 1, NULL);
    ck_assert(!sr_model_get_info(f.m)->per_token_time && !strcmp(sr_model_get_info(f.m)->family, "wan"));
    in = input_of(&f);
    ck_assert((first = sr_calloc(f.n, sizeof *first)) && (zeros = sr_calloc(512 * 24, sizeof *zeros)));
    memcpy(first, forward(&f, 0, &in), f.n * sizeof *first);
    ck_assert(rel_l2(forward(&f, 0, &in), first, f.n) == 0);
    ck_assert(sr_model_forward(f.c, f.m, 1, &in, f.out, NULL) == SORA_ERR_INTERNAL);        /* no text yet */

    /* another prompt; the first is as it was */
    ck_assert_int_eq(sr_model_set_text(f.c, f.m, 1, f.text + 24, 3, NULL), SORA_OK);
    ck_assert(rel_l2(forward(&f, 1, &in), first, f.n) > 1e-3);
    ck_assert(rel_l2(forward(&f, 0, &in), first, f.n) == 0);

    /* padding given as rows of zeros is the same as padding left to the model */
    memcpy(zeros, f.text, f.real * 24 * sizeof *zeros);
    ck_assert_int_eq(sr_model_set_text(f.c, f.m, 1, zeros, 512, NULL), SORA_OK);
    assert_rel_l2(forward(&f, 1, &in), first, f.n, 1e-5);
    ck_assert(sr_model_set_text(f.c, f.m, 1, zeros, 513, NULL) == SORA_ERR_INTERNAL);

    /* another time, and a time of its own for each frame */
    for (int i = 0; i < 3; i++) t[i] = 500;
    in.t = t;
    ck_assert(rel_l2(forward(&f, 0, &in), first, f.n) > 1e-3);
    for (int i = 0; i < 3; i++) t[i] = 737;
    t[2] = 736.9999f;
    assert_rel_l2(forward(&f, 0, &in), first, f.n, 1e-4);
    t[2] = 100;
    ck_assert(rel_l2(forward(&f, 0, &in), first, f.n) > 1e-3);
    sr_free(first);
    sr_free(zeros);
    fixture_close(&f);
}
END_TEST

START_TEST(test_work)
{
    struct fixture f;
    struct sr_model_input in;
    double counted = 0;

    fixture_ref(&f, "plain");
    fixture_open(&f, f.folder, SR_F32, ~0u, 1, NULL);
    in = input_of(&f);
    memset(&f.c->prof, 0, sizeof f.c->prof);
    forward(&f, 0, &in);
    counted = f.c->prof.flop[SR_LINEAR] + f.c->prof.flop[SR_ATTENTION];
    ck_assert_msg(fabs(counted / sr_model_flop(f.m) - 1) < 1e-6, "%g counted, %g said", counted, sr_model_flop(f.m));
    ck_assert_uint_eq(sr_model_get_info(f.m)->parameters, sr_weights_bytes(f.io) ? 74592u : 0);
    fixture_close(&f);
}
END_TEST

/* ---- Streams ---- */

/* Frames first .. first + n of [C, all, plane], densely in out. */
static void cut(float *out, const float *from, size_t C, size_t all, size_t plane, size_t first, size_t n)
{
    for (size_t ch = 0; ch < C; ch++)
        memcpy(out + ch * n * plane, from + (ch * all + first) * plane, n * plane * sizeof *out);
}

static void stream(struct fixture *f, size_t chunk, size_t window, size_t sink, enum sr_type act, double most)
{
    const struct sr_model_setup s = { .F = chunk, .H = f->H, .W = f->W, .window = window, .sink = sink, .prompts = 1 };
    const size_t plane = f->H * f->W;
    const float *x = f->x, *clean = io_find(f, "clean")->data, zero[8] = { 0 };
    float *part, *got, *want;
    char name[40];

    snprintf(name, sizeof name, "out.%zu.%zu.%zu", chunk, window, sink);
    fixture_open(f, f->folder, act, ~0u, 2, &s);
    part = sr_calloc(f->C * chunk * plane, sizeof *part);
    got = sr_calloc(f->C * chunk * plane, sizeof *got);
    want = sr_calloc(f->C * chunk * plane, sizeof *want);
    for (size_t first = 0; first < f->F; first += chunk) {
        const size_t n = SR_MIN(chunk, f->F - first);
        struct sr_model_input in = { .x = part, .F = n, .t = f->t, .first_frame = (int64_t)first };

        cut(want, io_find(f, name)->data, f->C, f->F, plane, first, n);
        cut(part, x, f->C, f->F, plane, first, n);
        for (int pass = 0; pass < 2; pass++) {      /* a pass without commit leaves no trace */
            ck_assert_int_eq(sr_model_forward(f->c, f->m, 0, &in, got, NULL), SORA_OK);
            assert_rel_l2(got, want, f->C * n * plane, most);
        }
        cut(part, clean, f->C, f->F, plane, first, n);
        in.t = zero;
        ck_assert_int_eq(sr_model_commit(f->c, f->m, 0, &in, NULL, NULL), SORA_OK);
    }
    sr_free(part);
    sr_free(got);
    sr_free(want);
    fixture_close_model(f);
}

START_TEST(test_stream)
{
    struct fixture f;

    fixture_ref(&f, "stream");
    for (int bf16 = 0; bf16 < 1 + has_bf16(); bf16++) {
        stream(&f, 1, 100, 0, bf16 ? SR_BF16 : SR_F32, bf16 ? 2e-2 : 1e-4);
        stream(&f, 2, 3, 0, bf16 ? SR_BF16 : SR_F32, bf16 ? 2e-2 : 1e-4);
        stream(&f, 1, 2, 1, bf16 ? SR_BF16 : SR_F32, bf16 ? 2e-2 : 1e-4);
        stream(&f, 1, 3, 2, bf16 ? SR_BF16 : SR_F32, bf16 ? 2e-2 : 1e-4);
    }
    fixture_close(&f);
}
END_TEST

/* What lies before the reach of the window leaves no trace, in values or in positions, however long it was. */
START_TEST(test_endless)
{
    const struct sr_model_setup s = { .F = 1, .H = 4, .W = 6, .window = 2, .prompts = 1 };
    struct fixture f;
    float part[2][4 * 24];
    const float zero = 0;
    int lengths[2] = { 0, 301 };

    fixture_ref(&f, "stream");
    fixture_open(&f, f.folder, SR_F32, ~0u, 1, &s);
    for (int k = 0; k < 2; k++) {
        struct sr_model_input in = { .x = part[k], .F = 1, .t = &zero };

        sr_model_reset(f.m);
        for (int i = 0; i < lengths[k]; i++) {
            sr_rng_normal(part[k], SR_COUNT(part[k]), 5, 1, (uint64_t)i * 128);
            ck_assert_int_eq(sr_model_commit(f.c, f.m, 0, &in, NULL, NULL), SORA_OK);
        }
        for (size_t i = 0; i < f.F - 1; i++) {
            cut(part[k], f.x, f.C, f.F, 24, i, 1);
            ck_assert_int_eq(sr_model_commit(f.c, f.m, 0, &in, NULL, NULL), SORA_OK);
        }
        cut(part[k], f.x, f.C, f.F, 24, f.F - 1, 1);
        ck_assert_int_eq(sr_model_forward(f.c, f.m, 0, &in, f.out, NULL), SORA_OK);
        memcpy(part[k], f.out, sizeof part[k]);
    }
    assert_near(part[1], part[0], SR_COUNT(part[0]), 1e-5);
    fixture_close(&f);
}
END_TEST

/* With one past for all prompts, another one sees what the first committed, and reads its own words. */
START_TEST(test_one_past)
{
    struct sr_model_setup s = { .F = 1, .H = 4, .W = 6, .window = 2, .prompts = 2, .one_past = true };
    struct fixture f;
    float part[4 * 24], want[4 * 24], *other;

    fixture_ref(&f, "stream");
    for (int k = 0; k < 2; k++, s.prompts = 1) {
        const struct sr_model_input in = { .x = part, .F = 1, .t = f.t };

        fixture_open(&f, f.folder, SR_F32, ~0u, 1, &s);
        ck_assert_ptr_nonnull(other = sr_calloc(f.real * sr_model_get_info(f.m)->text_dim, sizeof *other));
        sr_rng_normal(other, f.real * sr_model_get_info(f.m)->text_dim, 7, 1, 0);
        cut(part, f.x, f.C, f.F, 24, 0, 1);
        ck_assert_int_eq(sr_model_commit(f.c, f.m, 0, &in, NULL, NULL), SORA_OK);
        ck_assert_int_eq(sr_model_set_text(f.c, f.m, s.prompts - 1, other, f.real, NULL), SORA_OK);
        cut(part, f.x, f.C, f.F, 24, 1, 1);
        if (k == 0) ck_assert_int_eq(sr_model_commit(f.c, f.m, 1, &in, NULL, NULL), SORA_ERR_INTERNAL);
        ck_assert_int_eq(sr_model_forward(f.c, f.m, s.prompts - 1, &in, f.out, NULL), SORA_OK);
        if (k == 0) memcpy(want, f.out, sizeof want);
        else ck_assert_mem_eq(f.out, want, sizeof want);
        sr_free(other);
        fixture_close_model(&f);
    }
    fixture_close(&f);
}
END_TEST

/* ---- Names and files ---- */

/* diffusers' names on the left, the original's on the right; parts of a name, the first that fits. */
static const char *const names[][2] = {
    { "condition_embedder.time_embedder.linear_1", "time_embedding.0" },
    { "condition_embedder.time_embedder.linear_2", "time_embedding.2" },
    { "condition_embedder.time_proj", "time_projection.1" },
    { "condition_embedder.text_embedder.linear_1", "text_embedding.0" },
    { "condition_embedder.text_embedder.linear_2", "text_embedding.2" },
    { "attn1.to_out.0", "self_attn.o" }, { "attn2.to_out.0", "cross_attn.o" },
    { "attn1.to_", "self_attn." }, { "attn2.to_", "cross_attn." },
    { "attn1.", "self_attn." }, { "attn2.", "cross_attn." },
    { "ffn.net.0.proj", "ffn.0" }, { "ffn.net.2", "ffn.2" }, { "norm2", "norm3" }, { "proj_out", "head.head" },
};

static void original_name(char *out, size_t size, const char *name, const char *prefix)
{
    if (!strcmp(name, "scale_shift_table")) snprintf(out, size, "%shead.modulation", prefix);
    else if (strstr(name, "scale_shift_table"))
        snprintf(out, size, "%s%.*smodulation", prefix, (int)(strlen(name) - strlen("scale_shift_table")), name);
    else snprintf(out, size, "%s%s", prefix, name);
    for (size_t i = 0; i < SR_COUNT(names); i++) {
        char *at = strstr(out, names[i][0]), tail[200];
        if (!at) continue;
        snprintf(tail, sizeof tail, "%s", at + strlen(names[i][0]));
        snprintf(at, size - (size_t)(at - out), "%s%s", names[i][1], tail);
        break;
    }
}

/* Write the tensors of w under other names; prefix NULL: as they are. */
static void write_renamed(const struct sr_weights *w, const char *path, const char *prefix, bool flat_patch)
{
    static char text[200][200];
    static struct sr_named list[200];
    const size_t n = sr_weights_count(w);

    ck_assert(n < SR_COUNT(list));
    for (size_t i = 0; i < n; i++) {
        const struct sr_weight *t = sr_weights_at(w, i);
        ck_assert(t->type == SR_F32);
        if (prefix) original_name(text[i], sizeof text[i], t->name, prefix);
        else snprintf(text[i], sizeof text[i], "%s", t->name);
        list[i] = (struct sr_named){ .name = text[i], .data = t->data, .ndim = t->ndim };
        memcpy(list[i].dim, t->dim, sizeof list[i].dim);
        if (flat_patch && t->ndim == 5) list[i].ndim = 2, list[i].dim[1] = t->dim[1] * t->dim[3] * t->dim[4];
    }
    ck_assert_int_eq(sr_safetensors_write(path, list, n, NULL), SORA_OK);
}

START_TEST(test_original_names)
{
    static const char *const prefixes[] = { "", "model.diffusion_model.", "model.", "net.", "generator_ema.model." };
    static const char config[] = "{\"_class_name\": \"WanModel\", \"dim\": 48, \"num_heads\": 2, \"ffn_dim\": 64, "
                                 "\"eps\": 1e-06, \"freq_dim\": 32, \"in_dim\": 4, \"out_dim\": 4, "
                                 "\"num_layers\": 2, \"text_len\": 512, \"text_dim\": 24, \"model_type\": \"t2v\"}";
    struct fixture f;
    struct sr_weights *w;
    char dir[] = "/tmp/sora-wan-XXXXXX", file[80], json[80], from[600];
    FILE *j;

    ck_assert(mkdtemp(dir) != NULL);
    snprintf(file, sizeof file, "%s/diffusion_pytorch_model.safetensors", dir);
    snprintf(json, sizeof json, "%s/config.json", dir);
    ck_assert((j = fopen(json, "w")) && fputs(config, j) >= 0 && fclose(j) == 0);
    fixture_ref(&f, "plain");
    snprintf(from, sizeof from, "%s/transformer", f.folder);
    ck_assert_int_eq(sr_weights_open(&w, from, NULL), SORA_OK);
    for (size_t i = 0; i < SR_COUNT(prefixes); i++) {
        struct sr_model_input in;
        write_renamed(w, file, prefixes[i], i % 2);
        fixture_open(&f, dir, SR_F32, ~0u, 1, NULL);
        in = input_of(&f);
        assert_rel_l2(forward(&f, 0, &in), (const float *)io_find(&f, "out")->data, f.n, 1e-4);
        fixture_close_model(&f);
    }
    sr_weights_close(&w);
    fixture_close(&f);
    unlink(file);
    unlink(json);
    rmdir(dir);
}
END_TEST

/* A single file without a config: heads of 128 channels, everything else from the shapes. */
START_TEST(test_single_file)
{
    static const struct {
        const char *name;
        int ndim;
        size_t dim[5];
    } tensors[] = {
        { "patch_embedding.weight", 5, { 128, 5, 1, 2, 2 } }, { "patch_embedding.bias", 1, { 128 } },
        { "time_embedding.0.weight", 2, { 128, 16 } }, { "time_embedding.0.bias", 1, { 128 } },
        { "time_embedding.2.weight", 2, { 128, 128 } }, { "time_embedding.2.bias", 1, { 128 } },
        { "time_projection.1.weight", 2, { 768, 128 } }, { "time_projection.1.bias", 1, { 768 } },
        { "text_embedding.0.weight", 2, { 128, 20 } }, { "text_embedding.0.bias", 1, { 128 } },
        { "text_embedding.2.weight", 2, { 128, 128 } }, { "text_embedding.2.bias", 1, { 128 } },
        { "head.head.weight", 2, { 12, 128 } }, { "head.head.bias", 1, { 12 } },
        { "head.modulation", 3, { 1, 2, 128 } },
        { "blocks.0.modulation", 3, { 1, 6, 128 } },
        { "blocks.0.self_attn.q.weight", 2, { 128, 128 } }, { "blocks.0.self_attn.q.bias", 1, { 128 } },
        { "blocks.0.self_attn.k.weight", 2, { 128, 128 } }, { "blocks.0.self_attn.k.bias", 1, { 128 } },
        { "blocks.0.self_attn.v.weight", 2, { 128, 128 } }, { "blocks.0.self_attn.v.bias", 1, { 128 } },
        { "blocks.0.self_attn.o.weight", 2, { 128, 128 } }, { "blocks.0.self_attn.o.bias", 1, { 128 } },
        { "blocks.0.self_attn.norm_q.weight", 1, { 128 } }, { "blocks.0.self_attn.norm_k.weight", 1, { 128 } },
        { "blocks.0.cross_attn.q.weight", 2, { 128, 128 } }, { "blocks.0.cross_attn.q.bias", 1, { 128 } },
        { "blocks.0.cross_attn.k.weight", 2, { 128, 128 } }, { "blocks.0.cross_attn.k.bias", 1, { 128 } },
        { "blocks.0.cross_attn.v.weight", 2, { 128, 128 } }, { "blocks.0.cross_attn.v.bias", 1, { 128 } },
        { "blocks.0.cross_attn.o.weight", 2, { 128, 128 } }, { "blocks.0.cross_attn.o.bias", 1, { 128 } },
        { "blocks.0.cross_attn.norm_q.weight", 1, { 128 } }, { "blocks.0.cross_attn.norm_k.weight", 1, { 128 } },
        { "blocks.0.norm3.weight", 1, { 128 } }, { "blocks.0.norm3.bias", 1, { 128 } },
        { "blocks.0.ffn.0.weight", 2, { 72, 128 } }, { "blocks.0.ffn.0.bias", 1, { 72 } },
        { "blocks.0.ffn.2.weight", 2, { 128, 72 } }, { "blocks.0.ffn.2.bias", 1, { 128 } },
    };
    static struct sr_named list[SR_COUNT(tensors)];
    struct sr_model_info info;
    struct sr_model_setup s = { .F = 1, .H = 4, .W = 4, .prompts = 1 };
    struct sr_ctx *c;
    struct sr_model *m;
    sora_error err = { 0 };
    char path[] = "/tmp/sora-wan-XXXXXX.safetensors";
    float *numbers = sr_calloc(100000, sizeof *numbers);

    ck_assert(numbers != NULL);
    sr_rng_normal(numbers, 100000, 1, 1, 0);
    close(mkstemps(path, 12));
    for (size_t i = 0; i < SR_COUNT(list); i++) {
        list[i] = (struct sr_named){ .name = tensors[i].name, .data = numbers, .ndim = tensors[i].ndim };
        memcpy(list[i].dim, tensors[i].dim, sizeof tensors[i].dim);
    }
    ck_assert_int_eq(sr_safetensors_write(path, list, SR_COUNT(list), NULL), SORA_OK);
    ck_assert_msg(sr_model_probe(&info, path, &err) == SORA_OK, "%s", err.text);
    ck_assert(info.heads == 1 && info.dim == 128 && info.layers == 1 && info.channels == 3 && info.prior == 2);
    ck_assert(info.text_dim == 20 && info.text_len == 512 && !info.per_token_time);
    s.path = path;
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    ck_assert_msg(sr_model_open(c, &m, &s, &err) == SORA_OK, "%s", err.text);
    sr_model_close(&m);

    list[4].dim[1] = 127;               /* a wrong shape is named */
    ck_assert_int_eq(sr_safetensors_write(path, list, SR_COUNT(list), NULL), SORA_OK);
    ck_assert_int_eq(sr_model_open(c, &m, &s, &err), SORA_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "time_embedding.2.weight") && strstr(err.text, "127") && m == NULL, "%s", err.text);
    sr_ctx_close(&c);
    sr_free(numbers);
    unlink(path);
}
END_TEST

/* ---- What is refused ---- */

static sora_result probe_text(const char *text, sora_error *err)
{
    char dir[] = "/tmp/sora-wan-XXXXXX", path[80];
    struct sr_model_info info;
    sora_result r;
    FILE *f;

    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert((f = fopen(path, "w")) && fputs(text, f) >= 0 && fclose(f) == 0);
    r = sr_model_probe(&info, dir, err);
    unlink(path);
    rmdir(dir);
    return r;
}

START_TEST(test_refused)
{
    static const char *const keys[][2] = {
        { "num_attention_heads", "0" }, { "num_attention_heads", "1000000000000" }, { "attention_head_dim", "4" },
        { "attention_head_dim", "25" }, { "attention_head_dim", "1.5" }, { "in_channels", "-1" },
        { "out_channels", "70000" }, { "text_dim", "0" }, { "freq_dim", "33" }, { "ffn_dim", "\"x\"" },
        { "num_layers", "0" }, { "num_layers", "257" }, { "eps", "0" }, { "eps", "1" }, { "patch_size", "[1, 2]" },
        { "patch_size", "[2, 2, 2]" }, { "patch_size", "[1, 2, 9]" }, { "qk_norm", "\"layer\"" },
        { "image_dim", "1280" }, { "added_kv_proj_dim", "64" }, { "rope_max_seq_len", "0" }, { "cross_attn_norm", "3" },
        { "_class_name", "\"Unknown\"" },
    };
    char text[300];

    ck_assert_int_eq(probe_text("{\"_class_name\": \"WanTransformer3DModel\"}", NULL), SORA_OK);
    for (size_t i = 0; i < SR_COUNT(keys); i++) {
        sora_error err = { 0 };
        const bool class = !strcmp(keys[i][0], "_class_name");
        snprintf(text, sizeof text, "{%s \"%s\": %s}", class ? "" : "\"_class_name\": \"WanTransformer3DModel\",",
                 keys[i][0], keys[i][1]);
        ck_assert_msg(probe_text(text, &err) < 0, "%s was taken", text);
        ck_assert_msg(class || strstr(err.text, keys[i][0]) || strstr(err.text, "channels in"), "%s: %s", text,
                      err.text);
    }
    ck_assert_int_lt(probe_text("{\"_class_name\": \"WanModel\", \"dim\": 50, \"num_heads\": 12}", NULL), 0);
    ck_assert_int_lt(probe_text("[]", NULL), 0);
}
END_TEST

START_TEST(test_setup)
{
    static const struct sr_model_setup bad[] = {
        { .F = 0, .H = 4, .W = 6, .prompts = 1 }, { .F = 1, .H = 5, .W = 6, .prompts = 1 },
        { .F = 1, .H = 4, .W = 0, .prompts = 1 }, { .F = 1, .H = (size_t)1 << 40, .W = 1 << 20, .prompts = 1 },
        { .F = 1, .H = 4, .W = 6, .prompts = 0 }, { .F = 1, .H = 4, .W = 6, .window = 1 << 20, .prompts = 1 },
    };
    const struct sr_model_setup unknown = { .shape = "nosuch", .F = 1, .H = 2, .W = 2, .prompts = 1 };
    struct fixture f;
    struct sr_ctx *c;
    struct sr_model *m;
    sora_error err = { 0 };

    fixture_ref(&f, "plain");
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
    for (size_t i = 0; i < SR_COUNT(bad); i++) {
        struct sr_model_setup s = bad[i];
        s.path = f.folder;
        m = (void *)&f;
        ck_assert_int_lt(sr_model_open(c, &m, &s, NULL), 0);
        ck_assert(m == NULL);
    }
    ck_assert_int_lt(sr_model_open(c, &m, &unknown, &err), 0);
    ck_assert(strstr(err.text, "nosuch") && strstr(err.text, "wan2.1-1.3b"));
    sr_ctx_close(&c);
    fixture_close(&f);
}
END_TEST

/* Each allocation fails once: an error, nothing left behind (the sanitizers look at that). */
START_TEST(test_no_memory)
{
    const struct sr_model_setup s = { .F = 2, .H = 4, .W = 6, .window = 2, .prompts = 2 };
    struct fixture f;
    bool failed = true;

    fixture_ref(&f, "plain");
    for (unsigned long n = 1; failed; n += n < 40 ? 1 : 7) {
        struct sr_model_setup with = s;
        struct sr_ctx *c;
        struct sr_model *m;
        sora_error err = { 0 };
        sora_result r;

        with.path = f.folder;
        ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 1, ~0u, NULL, NULL, NULL), SORA_OK);
        sr_mem_fail_after(n);
        r = sr_model_open(c, &m, &with, &err);
        failed = sr_mem_fail_after(0) >= n;
        ck_assert_msg(!failed || (r < 0 && err.code == r && m == NULL), "allocation %lu: %d", n, r);
        sr_model_close(&m);
        sr_ctx_close(&c);
    }
    fixture_close(&f);
}
END_TEST

/* ---- Cancel ---- */

/* Seconds of the CPU, all threads: on a busy machine they do not grow. */
static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cancelled_at;

static void *cancel_later(void *flag)
{
    nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
    cancelled_at = cpu_now();
    atomic_store(&((struct sr_cancel *)flag)->set, true);
    return NULL;
}

START_TEST(test_cancel)
{
    const size_t n = 4 * 21 * 80 * 80;
    struct sr_model_setup s = { .F = 21, .H = 80, .W = 80, .prompts = 1 };
    struct sr_cancel cancel = { 0 };
    struct fixture f;
    struct sr_ctx *c;
    struct sr_model *m;
    sora_error err = { 0 };
    float *x = sr_calloc(n, sizeof *x), t[21] = { 0 };
    const struct sr_model_input in = { .x = x, .F = 21, .t = t };
    pthread_t thread;
    double more;

    fixture_ref(&f, "plain");
    s.path = f.folder;
    ck_assert_int_eq(sr_ctx_open(&c, SR_F32, 2, ~0u, NULL, &cancel, NULL), SORA_OK);
    ck_assert_int_eq(sr_model_open(c, &m, &s, NULL), SORA_OK);
    ck_assert_int_eq(sr_model_set_text(c, m, 0, f.text, f.real, NULL), SORA_OK);
    pthread_create(&thread, NULL, cancel_later, &cancel);
    ck_assert_int_eq(sr_model_forward(c, m, 0, &in, x, &err), SORA_ERR_CANCELLED);
    more = cpu_now();
    pthread_join(thread, NULL);
    more -= cancelled_at;
    ck_assert_int_eq(err.code, SORA_ERR_CANCELLED);
    /* two threads for 200 ms; the sanitizers cost some times as much */
    ck_assert_msg(more < (sanitized() ? 4 : 1) * 2 * 0.2, "%.3f s of the CPU", more);
    sr_model_close(&m);
    sr_ctx_close(&c);
    sr_free(x);
    fixture_close(&f);
}
END_TEST

RUN_TESTS("wan", test_parity, test_rows, test_live, test_depends, test_work, test_stream, test_endless, test_one_past, test_original_names,
          test_single_file, test_refused, test_setup, test_no_memory, test_cancel)
