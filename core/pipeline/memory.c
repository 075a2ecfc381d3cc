/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "pipeline/memory.h"

#define TEXT_RESIDENT ((uint64_t)1 << 30)   /* a text encoder above this comes and goes layer by layer */

struct files {
    uint64_t parameters, bytes;
    unsigned types;                         /* bit of each enum sr_type */
};

static sora_result add_file(struct files *f, const char *path, sora_error *err)
{
    struct sr_weights *w = NULL;
    sora_result r = sr_weights_open(&w, path, err);

    if (r < 0) return r;
    for (size_t i = 0; i < sr_weights_count(w); i++) {
        const struct sr_weight *t = sr_weights_at(w, i);
        f->parameters += t->n;
        f->types |= 1u << t->type;
    }
    f->bytes += sr_weights_bytes(w);
    sr_weights_close(&w);
    return SORA_OK;
}

/* The folder of a Diffusers layout, or the file itself. */
static sora_result add_transformer(struct files *f, const struct sr_diffusion *d, sora_error *err)
{
    char *path = sr_asprintf("%s/transformer", d->parts.transformer);
    struct stat st;
    sora_result r;

    if (!path) return sr_fail_nomem(err, 256, "a path");
    r = add_file(f, stat(path, &st) == 0 ? path : d->parts.transformer, err);
    sr_free(path);
    return r;
}

static void types_text(char *out, size_t size, unsigned types)
{
    size_t n = 0;

    out[0] = 0;
    for (int t = 0; t <= SR_F8_E5M2 && n < size; t++)
        if (types >> t & 1) n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", sr_type_name((enum sr_type)t));
}

/* One forward pass: the matrix products over L tokens, and attention over all that a token sees. */
static double pass_flop(const struct sr_diffusion *d)
{
    const double frame = (double)(d->H / (size_t)d->mi.patch_h) * (double)(d->W / (size_t)d->mi.patch_w);
    const double L = frame * (double)d->F / d->mi.patch_t, seen = L + frame * (double)(d->sc.window + d->sc.sink);

    return 2 * (double)d->mi.parameters * L + 4 * L * (seen + (double)d->mi.text_len) * d->mi.dim * d->mi.layers;
}

/* Passes of the network for a chunk, that which fills the cache not counted. */
static int passes(const struct sr_sampling *s)
{
    int n = s->schedule.steps;

    for (int k = 0; k < s->schedule.steps; k++) n += sr_guided(s, k);
    return n;
}

static double work(const struct sr_diffusion *d)
{
    const struct sr_sampling *s = d->stream ? &d->next : &d->first;
    const double vae = d->vi.flop_per_frame * (double)d->H * (double)d->W;
    const int64_t frames = d->base.info.frames;
    const double chunks = !d->stream || !frames ? 1 : (double)SR_CEIL_DIV(frames, d->base.info.chunk);

    if (d->decode_only) return vae * (double)d->F;
    return chunks * ((passes(s) + (d->stream && !d->sc.last_step) + (d->about.sampler.retouch_time > 0)) * pass_flop(d) +
                     vae * (double)d->F);
}

/* Where first chunks have a model of their own, there are two. */
static uint64_t models(const struct sr_diffusion *d)
{
    return d->about.lora_next[0] ? 2 : 1;
}

/* Peak of the whole run: packed weights, activations of the wider of transformer and decoder, caches, latents. */
static uint64_t memory(const struct sr_diffusion *d, uint64_t weights)
{
    const uint64_t pixels = (uint64_t)d->base.gen_w * (uint64_t)d->base.gen_h, size = sr_type_size(d->precision);
    const uint64_t L = (uint64_t)d->F * (d->H / SR_MAX((uint64_t)d->mi.patch_h, 1)) * (d->W / SR_MAX((uint64_t)d->mi.patch_w, 1));
    const uint64_t dim = (uint64_t)d->mi.dim;
    const uint64_t seen = (uint64_t)d->F + (uint64_t)(d->sc.window + d->sc.sink);   /* renewed in one pass, or a chunk at a time */
    const uint64_t rows = d->sc.change == SR_CHANGE_RECACHE ? L / d->F * seen : L;
    const uint64_t dit = rows * dim * (4 + 12 * size);                              /* f32 residual, q k v, FFN of 4 dim */
    const uint64_t cache = L / d->F * (uint64_t)(d->sc.window + d->sc.sink) * dim * 2 * size * (uint64_t)d->mi.layers;
    const uint64_t vae = pixels * (uint64_t)(d->vi.parameters > 20000000 ? 96 * 12 : 64 * 4) * size;
    const uint64_t latents = (uint64_t)(d->C * d->F * d->H * d->W) * 6 * 4;
    const uint64_t pictures = pixels * (12 + 15 * 3);       /* the newest; those that wait and one to fade from, of 8 bits */

    return weights + SR_MAX(dit, vae) + models(d) * cache + latents + pictures;
}

sora_result sr_estimate(struct sr_diffusion *d, sora_error *err)
{
    const sora_options *o = d->base.job.o;
    struct files model = { 0 }, text = { 0 }, vae = { 0 }, lora = { 0 }, motion = { 0 };
    sora_info *info = &d->base.info;
    uint64_t resident;
    sora_result r;

    if (!d->decode_only && (r = add_transformer(&model, d, err)) < 0) return r;
    if (!d->decode_only && !o->text_file && d->parts.text_encoder && (r = add_file(&text, d->parts.text_encoder, err)) < 0)
        return r;
    if ((r = add_file(&vae, d->parts.vae, err)) < 0) return r;
    if (d->lora && !d->decode_only && (r = add_file(&lora, d->lora, err)) < 0) return r;
    if (d->lora_first && !d->decode_only && (r = add_file(&lora, d->lora_first, err)) < 0) return r;
    if (d->motion && !d->decode_only && (r = add_file(&motion, d->motion, err)) < 0) return r;
    info->parameters = model.parameters + text.parameters + vae.parameters + motion.parameters;
    info->weight_bytes = model.bytes + text.bytes + vae.bytes + lora.bytes + motion.bytes;
    types_text(info->types, sizeof info->types, model.types | text.types | vae.types | motion.types);
    resident = (models(d) * model.parameters + vae.parameters) * sr_type_size(d->precision) +
               motion.parameters * sizeof(float);
    info->memory_bytes = memory(d, resident + SR_MIN(text.parameters * sr_type_size(d->precision), TEXT_RESIDENT));
    info->flop = work(d);
    d->resident_bytes = resident;
    return SORA_OK;
}

/* What the kernel says could be allocated now; 0: it does not say. */
static uint64_t available(void)
{
    char *text = NULL, *line;
    uint64_t kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    char buffer[4096];
    size_t n;

    if (!f) return 0;
    n = fread(buffer, 1, sizeof buffer - 1, f);
    fclose(f);
    buffer[n] = 0;
    text = buffer;
    if ((line = strstr(text, "MemAvailable:"))) kib = strtoull(line + 13, NULL, 10);
    return kib * 1024;
}

sora_result sr_check_memory(const struct sr_diffusion *d, sora_error *err)
{
    const uint64_t have = available(), need = d->resident_bytes;

    if (!have || need <= have) return SORA_OK;
    return sr_fail(err, SORA_ERR_NOMEM, "%s: the weights alone take %.1f GiB, and %.1f GiB of memory are free; close other programs, "
                   "or take a smaller model%s", d->parts.name, (double)need / 0x1p30, (double)have / 0x1p30,
                   d->precision == SR_F32 ? " or precision=bf16 where the CPU has it" : "");
}
