/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decoders against diffusers and against restatements (tools/reference/vae.py): one latent frame at a time. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "vae/pixel_attention.h"
#include "vae/tiny_vae.h"
#include "vae/vae.h"
#include "vae/wan_shape.h"

/* Latents and pictures of one reference file. */
struct reference {
    struct sr_weights *w;
    const float *latents, *frames;      /* [F, C, H, W], [N, 3, H', W'] */
    size_t F, C, H, W, N, picture;
};

static const char *live;                /* another folder of references than tests/ref */

static const char *ref_path(const char *name)
{
    static char path[1000];

    if (live) snprintf(path, sizeof path, "%s/%s", live, name);
    else snprintf(path, sizeof path, "%s/tests/ref/%s", getenv("SRCDIR") ? getenv("SRCDIR") : "..", name);
    return path;
}

static struct reference open_reference(const char *name, const char *latents)
{
    struct reference r = { 0 };
    const struct sr_weight *z, *p;
    sora_error err = { 0 };

    ck_assert_msg(sr_weights_open(&r.w, ref_path(name), &err) == SORA_OK, "%s", err.text);
    z = sr_weights_find(r.w, latents);
    p = sr_weights_find(r.w, "frames");
    ck_assert(z && p && z->type == SR_F32 && p->type == SR_F32 && z->ndim == 4 && p->ndim == 4);
    r.latents = z->data;
    r.frames = p->data;
    r.F = z->dim[0];
    r.C = z->dim[1];
    r.H = z->dim[2];
    r.W = z->dim[3];
    r.N = p->dim[0];
    r.picture = p->dim[1] * p->dim[2] * p->dim[3];
    return r;
}

/* NULL where this CPU has no such precision. */
static struct sr_ctx *ctx_of(enum sr_type act, int threads, unsigned cpu)
{
    struct sr_ctx *c = NULL;
    sora_error err = { 0 };
    const sora_result r = sr_ctx_open(&c, act, threads, cpu, NULL, NULL, &err);

    ck_assert_msg(r == SORA_OK || (act == SR_BF16 && r == SORA_ERR_UNSUPPORTED), "%s", err.text);
    return c;
}

/* Pictures one behind the other. */
struct taken {
    float *rgb;
    size_t floats, n;           /* of one picture; pictures */
};

static sora_result take(void *user, const float *rgb, sora_error *err)
{
    struct taken *t = user;

    (void)err;
    memcpy(t->rgb + t->n++ * t->floats, rgb, t->floats * sizeof *rgb);
    return SORA_OK;
}

/* The first F latent frames of r by v, from wherever v stands; -> pictures. */
static float *decode(struct sr_ctx *c, struct sr_vae *v, const struct reference *r, size_t F, size_t *pictures)
{
    const size_t each = r->C * r->H * r->W;
    float *rgb = malloc(4 * F * r->picture * sizeof *rgb);
    struct taken t = { rgb, r->picture, 0 };
    const struct sr_vae_out out = { take, &t };
    sora_error err = { 0 };

    for (size_t f = 0; f < F; f++) {
        ck_assert_msg(sr_vae_decode(c, v, r->latents + f * each, &out, &err) == SORA_OK && !err.code, "%s", err.text);
        ck_assert_uint_eq(t.n, 1 + 4 * f);
    }
    *pictures = t.n;
    return rgb;
}

/* Compared about the middle grey, or the offset of 0.5 would hide errors. */
static double difference(const float *got, const float *want, size_t n)
{
    double d = 0, w = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        w += (want[i] - 0.5) * (want[i] - 0.5);
    }
    return sqrt(d / w);
}

struct parity {
    const char *model, *reference, *latents, *kind;
    int scale;
};

static const struct parity parities[] = {
    { "vae_wan21", "vae_wan21_ref.safetensors", "latents", "wan2.1", 8 },
    { "vae_wan21_original.safetensors", "vae_wan21_ref.safetensors", "latents", "wan2.1", 8 },
    { "vae_wan22", "vae_wan22_ref.safetensors", "latents", "wan2.2", 16 },
    { "vae_wan22_original.safetensors", "vae_wan22_ref.safetensors", "latents_published", "wan2.2", 16 },
    { "vae_tiny_wan21.safetensors", "vae_tiny_wan21_ref.safetensors", "latents", "taew2_1", 8 },
    { "vae_tiny_wan22.safetensors", "vae_tiny_wan22_ref.safetensors", "latents", "taew2_2", 16 },
    { "vae_block", "vae_block_ref.safetensors", "latents", "block", 4 },
    { "vae_block_refined", "vae_block_refined_ref.safetensors", "latents", "block", 2 },
};

static void check_parity(const struct parity *p, enum sr_type act, unsigned cpu, double tolerance)
{
    struct reference r = open_reference(p->reference, p->latents);
    struct sr_ctx *c = ctx_of(act, 2, cpu);
    struct sr_vae *v = NULL;
    struct sr_vae_info info;
    sora_error err = { 0 };
    float *out;
    size_t n;
    double d;

    if (!c) goto done;
    ck_assert_msg(sr_vae_probe(&info, ref_path(p->model), &err) == SORA_OK, "%s", err.text);
    ck_assert_msg(sr_vae_open(c, &v, ref_path(p->model), r.H, r.W, &err) == SORA_OK, "%s", err.text);
    ck_assert(!memcmp(&info, sr_vae_get_info(v), sizeof info));
    ck_assert_str_eq(info.kind, p->kind);
    ck_assert(info.channels == (int)r.C && info.scale_s == p->scale && info.scale_t == 4);
    out = decode(c, v, &r, r.F, &n);
    ck_assert_uint_eq(n, r.N);
    d = difference(out, r.frames, n * r.picture);
    ck_assert_msg(d <= tolerance, "%s: relative error %g, allowed %g", p->model, d, tolerance);
    free(out);
    sr_vae_close(&v);
    ck_assert(v == NULL);
    sr_ctx_close(&c);
done:
    sr_weights_close(&r.w);
}

START_TEST(test_f32)
{
    static const unsigned levels[] = { 0, SR_CPU_AVX2, ~0u };

    for (size_t i = 0; i < SR_COUNT(parities); i++)
        for (size_t j = 0; j < SR_COUNT(levels); j++) check_parity(&parities[i], SR_F32, levels[j], 5e-4);
}
END_TEST

START_TEST(test_bf16)
{
    for (size_t i = 0; i < SR_COUNT(parities); i++) check_parity(&parities[i], SR_BF16, ~0u, 2e-2);
}
END_TEST

/* Decoders of the published widths, too large for the tree: SORA_TEST_VAE=folder of tools/reference/vae.py FOLDER wide */
START_TEST(test_live)
{
    for (size_t i = 0; (live = getenv("SORA_TEST_VAE")) && i < SR_COUNT(parities); i++) {
        if (!strcmp(parities[i].kind, "block")) continue;       /* has no published widths but those of pocket */
        check_parity(&parities[i], SR_F32, ~0u, 5e-4);
        check_parity(&parities[i], SR_BF16, ~0u, 2e-2);
    }
    live = NULL;
}
END_TEST

/* After a reset the stream begins anew; the same bits, with any number of threads; nothing is allocated on the way. */
START_TEST(test_reset)
{
    for (size_t i = 0; i < SR_COUNT(parities); i++) {
        struct reference r = open_reference(parities[i].reference, parities[i].latents);
        float *first = NULL;
        size_t n;

        for (int threads = 1; threads <= 2; threads++) {
            struct sr_ctx *c = ctx_of(SR_F32, threads, ~0u);
            struct sr_vae *v;
            sora_error err = { 0 };

            ck_assert_msg(sr_vae_open(c, &v, ref_path(parities[i].model), r.H, r.W, &err) == SORA_OK, "%s", err.text);
            for (size_t frames = r.F; frames > 0; frames--) {
                float *out;
                sr_mem_fail_after(1);
                out = decode(c, v, &r, frames, &n);
                ck_assert_uint_eq(sr_mem_fail_after(0), 0);
                ck_assert_uint_eq(n, 4 * frames - 3);
                if (!first) first = out;
                ck_assert_msg(!memcmp(first, out, n * r.picture * sizeof *out), "%s, %zu frames", parities[i].model,
                              frames);
                if (out != first) free(out);
                sr_vae_reset(v);
            }
            sr_vae_close(&v);
            sr_ctx_close(&c);
        }
        free(first);
        sr_weights_close(&r.w);
    }
}
END_TEST

/* The scratch memory of 30 latent frames is that of 3. */
START_TEST(test_length)
{
    struct reference r = open_reference("vae_wan21_ref.safetensors", "latents");
    struct sr_ctx *c = ctx_of(SR_F32, 2, ~0u);
    struct sr_vae *v;
    sora_error err = { 0 };
    size_t peak = 0, size;

    ck_assert_msg(sr_vae_open(c, &v, ref_path("vae_wan21"), r.H, r.W, &err) == SORA_OK, "%s", err.text);
    size = c->arena_size;
    for (size_t f = 0; f < 30; f++) {
        sr_vae_decode(c, v, r.latents + f % r.F * r.C * r.H * r.W, NULL, &err);
        ck_assert_msg(!err.code, "%s", err.text);
        if (f == 2) peak = c->arena_peak;
    }
    ck_assert(peak > 0 && c->arena_peak == peak && c->arena_size == size && c->arena_used == 0);
    sr_vae_close(&v);
    sr_ctx_close(&c);
    sr_weights_close(&r.w);
}
END_TEST

/* Damaged latents are told apart from black pictures; then the stream begins anew. */
START_TEST(test_not_a_number)
{
    struct reference r = open_reference("vae_wan21_ref.safetensors", "latents");
    const size_t each = r.C * r.H * r.W;
    struct sr_ctx *c = ctx_of(SR_F32, 2, ~0u);
    struct sr_vae *v;
    sora_error err = { 0 };
    float *rgb = malloc(4 * r.picture * sizeof *rgb), *z = malloc(each * sizeof *z);
    struct taken t = { rgb, r.picture, 0 };
    const struct sr_vae_out out = { take, &t };

    ck_assert_msg(sr_vae_open(c, &v, ref_path("vae_wan21"), r.H, r.W, &err) == SORA_OK, "%s", err.text);
    memcpy(z, r.latents, each * sizeof *z);
    z[0] = NAN;
    ck_assert_int_eq(sr_vae_decode(c, v, z, &out, &err), SORA_ERR_INTERNAL);
    ck_assert(t.n == 0 && strstr(err.text, "not numbers"));
    c->err = (sora_error){ 0 };
    free(rgb);
    rgb = decode(c, v, &r, 1, &(size_t){ 0 });
    ck_assert(difference(rgb, r.frames, r.picture) < 5e-4);
    free(rgb);
    free(z);
    sr_vae_close(&v);
    sr_ctx_close(&c);
    sr_weights_close(&r.w);
}
END_TEST

/* ---- Files that are not what they should be ---- */

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/sora-vae-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *in_folder(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_config(const char *text)
{
    FILE *f = fopen(in_folder("config.json"), "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void remove_folder(void)
{
    unlink(in_folder("config.json"));
    unlink(in_folder("x.safetensors"));
    rmdir(folder);
}

#define WAN "{\"_class_name\": \"AutoencoderKLWan\", "
#define BLOCK "{\"_class_name\": \"SoraBlockDecoder\", \"latent_channels\": 24"
#define NETWORK BLOCK ", \"refine_width\": 96, \"refine_inner\": 192"
#define REFINED "{\"_class_name\": \"SoraBlockDecoder\", \"latent_channels\": 5, \"pixel_shuffle\": 2, " \
                "\"refine_kernel\": 5, \"refine_width\": 16, \"refine_inner\": "

START_TEST(test_configs)
{
    static const struct {
        const char *text, *says;
        sora_result result;
    } cases[] = {
        { WAN "\"z_dim\": 16}", NULL, SORA_OK },
        { WAN "\"z_dim\": 0}", "z_dim", SORA_ERR_MODEL },
        { WAN "\"z_dim\": 1000000}", "z_dim", SORA_ERR_MODEL },
        { WAN "\"z_dim\": 17}", "latents_mean", SORA_ERR_MODEL },
        { WAN "\"latents_mean\": [1, 2]}", "latents_mean", SORA_ERR_MODEL },
        { WAN "\"latents_std\": [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}", "std 0", SORA_ERR_MODEL },
        { WAN "\"base_dim\": -96}", "base_dim", SORA_ERR_MODEL },
        { WAN "\"base_dim\": 4096, \"dim_mult\": [1, 2, 4, 64]}", "channels", SORA_ERR_MODEL },
        { WAN "\"base_dim\": 3, \"dim_mult\": [1, 1, 1, 1]}", "channels", SORA_ERR_MODEL },
        { WAN "\"dim_mult\": [1, 2, 4, 4, 4]}", "dim_mult", SORA_ERR_MODEL },
        { WAN "\"dim_mult\": []}", "dim_mult", SORA_ERR_MODEL },
        { WAN "\"dim_mult\": [1, 2, 3, 4, 5, 6, 7, 8]}", "dim_mult", SORA_ERR_MODEL },
        { WAN "\"temperal_downsample\": [0, 1, 1]}", "temperal_downsample", SORA_ERR_MODEL },
        { WAN "\"num_res_blocks\": 99}", "num_res_blocks", SORA_ERR_MODEL },
        { WAN "\"patch_size\": 2}", "3 values for 2x2", SORA_ERR_MODEL },
        { WAN "\"scale_factor_spatial\": 16}", "scale_factor_spatial", SORA_ERR_MODEL },
        { WAN "\"attn_scales\": [0.5]}", "attn_scales", SORA_ERR_UNSUPPORTED },
        { WAN "\"is_residual\": true, \"dim_mult\": [1, 1, 3, 2]}", "shortcut", SORA_ERR_MODEL },
        { BLOCK "}", NULL, SORA_OK },
        { BLOCK ", \"kernel_size\": 5}", "kernel_size", SORA_ERR_UNSUPPORTED },
        { BLOCK ", \"padding_mode\": \"zeros\"}", "padding_mode", SORA_ERR_UNSUPPORTED },
        { BLOCK ", \"frames_per_latent\": 1000}", "frames_per_latent", SORA_ERR_MODEL },
        { BLOCK ", \"first_frames_dropped\": 0}", "first_frames_dropped", SORA_ERR_UNSUPPORTED },
        { BLOCK ", \"output_range\": [0, 1]}", "output_range", SORA_ERR_UNSUPPORTED },
        { BLOCK ", \"channel_order\": [\"rgb\", \"frame\", \"y\", \"x\"]}", "channel_order", SORA_ERR_UNSUPPORTED },
        { BLOCK ", \"refine_blocks\": 0}", NULL, SORA_OK },
        { BLOCK ", \"refine_width\": 96}", NULL, SORA_OK },
        { NETWORK ", \"refine_blocks\": 2}", NULL, SORA_OK },
        { NETWORK ", \"refine_blocks\": 2, \"refine_kernel\": 5}", NULL, SORA_OK },
        { NETWORK ", \"refine_blocks\": 2, \"refine_kernel\": 4}", "refine_kernel", SORA_ERR_MODEL },
        { NETWORK ", \"refine_blocks\": 2, \"refine_kernel\": 11}", "refine_kernel", SORA_ERR_MODEL },
        { NETWORK ", \"refine_blocks\": 99}", "refine_blocks", SORA_ERR_MODEL },
        { NETWORK ", \"refine_blocks\": [2]}", "refine_blocks", SORA_ERR_MODEL },
        { BLOCK ", \"refine_blocks\": 2}", "\"refine_width\"", SORA_ERR_MODEL },
        { BLOCK ", \"refine_width\": 96, \"refine_blocks\": 2}", "\"refine_inner\"", SORA_ERR_MODEL },
        { BLOCK ", \"refine_width\": 0}", "refine_width", SORA_ERR_MODEL },
        { BLOCK ", \"refine_width\": 1e9}", "refine_width", SORA_ERR_MODEL },
        { BLOCK ", \"refine_width\": 96, \"refine_inner\": -1}", "refine_inner", SORA_ERR_MODEL },
        { "{\"_class_name\": \"SoraBlockDecoder\"}", "latent_channels", SORA_ERR_MODEL },
        { "{\"_class_name\": \"AutoencoderKL\"}", "AutoencoderKL", SORA_ERR_UNSUPPORTED },
        { "{}", "_class_name", SORA_ERR_UNSUPPORTED },
        { "[", "config.json", SORA_ERR_MODEL },
    };

    make_folder();
    for (size_t i = 0; i < SR_COUNT(cases); i++) {
        struct sr_vae_info info;
        sora_error err = { 0 };
        sora_result r;

        write_config(cases[i].text);
        r = sr_vae_probe(&info, folder, &err);
        ck_assert_msg(r == cases[i].result, "%s: %d, %s", cases[i].text, r, err.text);
        if (cases[i].says)
            ck_assert_msg(strstr(err.text, cases[i].says) && strstr(err.text, folder), "%s: %s", cases[i].text,
                          err.text);
    }
    remove_folder();
}
END_TEST

/* A config that promises other tensors than there are; no weights; sizes out of range; a file of something else. */
START_TEST(test_wrong_weights)
{
    static const float some[16] = { 0 };
    const struct sr_named t[] = {
        { "decoder.1.weight", some, 4, { 1, 16, 1, 1 } },   { "decoder.3.conv.0.weight", some, 4, { 1, 1, 1, 1 } },
        { "decoder.22.weight", some, 4, { 3, 1, 1, 1 } },   { "decoder.7.conv.weight", some, 4, { 1, 1, 1, 1 } },
        { "decoder.8.weight", some, 4, { 1, 1, 1, 1 } },    { "decoder.13.conv.weight", some, 4, { 1, 1, 1, 1 } },
        { "decoder.14.weight", some, 4, { 1, 1, 1, 1 } },
    };
    static const struct {
        const char *text, *says;
    } networks[] = {
        { REFINED "24, \"refine_blocks\": 2}", NULL },
        { REFINED "24, \"refine_blocks\": 3}", "refine.blocks.2.fc1.weight" },
        { REFINED "25, \"refine_blocks\": 2}", "refine.blocks.0.fc1.weight" },
    };
    struct sr_ctx *c = ctx_of(SR_F32, 1, ~0u);
    struct sr_vae *v = (void *)&c;      /* must be overwritten */
    char target[PATH_MAX];
    sora_error err = { 0 };

    make_folder();
    write_config(WAN "\"base_dim\": 16}");
    ck_assert(sr_vae_open(c, &v, folder, 4, 4, &err) < 0 && v == NULL);
    ck_assert(realpath(ref_path("vae_wan21_original.safetensors"), target) != NULL);
    ck_assert_int_eq(symlink(target, in_folder("x.safetensors")), 0);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_vae_open(c, &v, folder, 4, 4, &err), SORA_ERR_MODEL);
    ck_assert_msg(v == NULL && strstr(err.text, "wanted: ["), "%s", err.text);
    unlink(in_folder("config.json"));           /* then the file alone has to say it, and does */
    err = (sora_error){ 0 };
    ck_assert_msg(sr_vae_open(c, &v, folder, 4, 4, &err) == SORA_OK, "%s", err.text);
    sr_vae_close(&v);
    unlink(in_folder("x.safetensors"));

    ck_assert(realpath(ref_path("vae_block_refined/diffusion_pytorch_model.safetensors"), target) != NULL);
    ck_assert_int_eq(symlink(target, in_folder("x.safetensors")), 0);
    for (size_t i = 0; i < SR_COUNT(networks); i++) {
        write_config(networks[i].text);
        err = (sora_error){ 0 };
        ck_assert_int_eq(sr_vae_open(c, &v, folder, 4, 4, &err), networks[i].says ? SORA_ERR_MODEL : SORA_OK);
        if (networks[i].says) ck_assert_msg(v == NULL && strstr(err.text, networks[i].says), "%s", err.text);
        sr_vae_close(&v);
    }
    unlink(in_folder("config.json"));
    unlink(in_folder("x.safetensors"));

    for (size_t n = 1; n <= SR_COUNT(t); n++) {
        err = (sora_error){ 0 };
        ck_assert_int_eq(sr_safetensors_write(in_folder("x.safetensors"), t, n, &err), SORA_OK);
        ck_assert(sr_vae_open(c, &v, in_folder("x.safetensors"), 4, 4, &err) < 0 && v == NULL);
        ck_assert_msg(strstr(err.text, "x.safetensors"), "%s", err.text);
    }
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_vae_open(c, &v, ref_path("vae_wan21"), 0, 4, &err), SORA_ERR_OPTION);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_vae_open(c, &v, ref_path("vae_wan21"), 4, 1 << 20, &err), SORA_ERR_OPTION);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_vae_open(c, &v, ref_path("vae_wan21_ref.safetensors"), 4, 4, &err), SORA_ERR_UNSUPPORTED);
    err = (sora_error){ 0 };
    ck_assert_int_eq(sr_vae_open(c, &v, "/nowhere/at/all", 4, 4, &err), SORA_ERR_NOT_FOUND);
    remove_folder();
    sr_ctx_close(&c);
}
END_TEST

/* Each allocation may fail: an error, no leak, no crash. */
START_TEST(test_no_memory)
{
    static const char *const models[] = { "vae_wan22", "vae_tiny_wan21.safetensors", "vae_block",
                                          "vae_block_refined" };

    for (size_t i = 0; i < SR_COUNT(models); i++) {
        for (unsigned long n = 1;; n += n < 40 ? 1 : 7) {
            struct sr_ctx *c = ctx_of(SR_F32, 1, ~0u);
            struct sr_vae *v = NULL;
            sora_error err = { 0 };
            sora_result r;

            sr_mem_fail_after(n);
            r = sr_vae_open(c, &v, ref_path(models[i]), 1, 1, &err);
            sr_mem_fail_after(0);
            ck_assert_msg((r == SORA_OK) == (v != NULL), "%s, allocation %lu", models[i], n);
            ck_assert_msg(r == SORA_OK || err.code == r, "%s, allocation %lu: %s", models[i], n, err.text);
            sr_vae_close(&v);
            sr_ctx_close(&c);
            if (r == SORA_OK) break;
        }
    }
}
END_TEST

/* ---- Parts ---- */

START_TEST(test_published)
{
    struct sr_wan_shape wan;
    struct sr_tiny_shape tiny;
    struct sr_vae_info info;
    struct sr_ctx *c = ctx_of(SR_F32, 2, ~0u);
    struct sr_vae *v;
    sora_error err = { 0 };
    float z[16 * 2 * 2], rgb[5 * 3 * 16 * 16];
    struct taken t = { rgb, 3 * 16 * 16, 0 };
    const struct sr_vae_out out = { take, &t };

    ck_assert_int_eq(sr_wan_shape_published(&wan, "wan2.1", &err), SORA_OK);
    sr_wan_info(&wan, &info);
    ck_assert(info.parameters > 73000000 && info.parameters < 73500000 && info.scale_s == 8 && info.channels == 16);
    ck_assert_int_eq(sr_wan_shape_published(&wan, "wan2.2", &err), SORA_OK);
    sr_wan_info(&wan, &info);
    ck_assert(info.parameters > 550000000 && info.parameters < 560000000 && info.scale_s == 16 && info.channels == 48);
    ck_assert_int_eq(sr_tiny_shape_published(&tiny, "taew2_2", &err), SORA_OK);
    sr_tiny_info(&tiny, &info);
    ck_assert(info.scale_s == 16 && info.channels == 48);
    ck_assert_int_eq(sr_vae_open_random(c, &v, "taew9", 2, 2, 1, &err), SORA_ERR_OPTION);
    err = (sora_error){ 0 };
    ck_assert_msg(sr_vae_open_random(c, &v, "taew2_1", 2, 2, 1, &err) == SORA_OK, "%s", err.text);
    sr_rng_normal(z, SR_COUNT(z), 1, 0, 0);
    for (int f = 0; f < 2; f++) {
        ck_assert_msg(sr_vae_decode(c, v, z, &out, &err) == SORA_OK, "%s", err.text);
        ck_assert_uint_eq(t.n, f ? 5 : 1);
    }
    for (size_t i = 0; i < SR_COUNT(rgb); i++) ck_assert(rgb[i] >= 0 && rgb[i] <= 1);
    sr_vae_close(&v);
    sr_ctx_close(&c);
}
END_TEST

/* More queries than one tile has, an odd number of them, against plain double loops. */
START_TEST(test_pixel_attention)
{
    enum { H = 23, W = 29, L = H * W, C = 24 };
    float *qkv = malloc((3 * L * C + 4) * sizeof *qkv);

    sr_rng_normal(qkv, 3 * L * C, 5, 0, 0);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct sr_ctx *c = ctx_of(bf16 ? SR_BF16 : SR_F32, 2, ~0u);
        uint16_t *half = malloc(3 * L * C * sizeof *half);
        const struct sr_fmap m = { bf16 ? (void *)half : qkv, bf16 ? SR_BF16 : SR_F32, 1, H, W, 3 * C };
        sora_error err = { 0 };
        struct sr_fmap y;

        for (size_t i = 0; i < 3 * L * C; i++) half[i] = sr_f32_to_bf16(qkv[i]);
        if (!c) {
            free(half);
            continue;
        }
        sr_ctx_plan(c);
        sr_pixel_attention(c, &m);
        ck_assert_int_eq(sr_ctx_commit(c, &err), SORA_OK);
        y = sr_pixel_attention(c, &m);
        ck_assert_msg(!c->err.code, "%s", c->err.text);
        for (size_t i = 0; i < L; i += 13) {
            double p[L], sum = 0, want[C] = { 0 };
            float got[C], w[C];

            for (size_t j = 0; j < L; j++) {
                double s = 0;
                for (size_t k = 0; k < C; k++) s += (double)qkv[i * 3 * C + k] * qkv[(j * 3 + 1) * C + k];
                p[j] = exp(s / sqrt(C));
                sum += p[j];
            }
            for (size_t j = 0; j < L; j++)
                for (size_t k = 0; k < C; k++) want[k] += p[j] / sum * qkv[(j * 3 + 2) * C + k];
            for (size_t k = 0; k < C; k++) {
                w[k] = (float)want[k];
                got[k] = bf16 ? sr_bf16_to_f32(((uint16_t *)y.data)[i * C + k]) : ((float *)y.data)[i * C + k];
            }
            assert_rel_l2(got, w, C, bf16 ? 2e-2 : 1e-5);
        }
        free(half);
        sr_ctx_close(&c);
    }
    free(qkv);
}
END_TEST

RUN_TESTS("vae", test_f32, test_bf16, test_live, test_reset, test_length, test_not_a_number, test_configs, test_wrong_weights,
          test_no_memory, test_published, test_pixel_attention)
