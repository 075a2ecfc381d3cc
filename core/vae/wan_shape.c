/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdio.h>

#include "vae/wan_shape.h"

/* Published with the models: Wan2.1 has 16 channels, Wan2.2's TI2V-5B has 48. */
static const float mean_16[16] = { -.7571f, -.7089f, -.9113f, .1075f,  -.1745f, .9653f,  -.1517f, 1.5508f,
                                   .4134f,  -.0715f, .5517f,  -.3632f, -.1922f, -.9497f, .2503f,  -.2921f };
static const float std_16[16] = { 2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
                                  3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f };
static const float mean_48[48] = { -.2289f, -.0052f, -.1323f, -.2339f, -.2799f, .0174f,  .1838f,  .1557f,
                                   -.1382f, .0542f,  .2813f,  .0891f,  .1570f,  -.0098f, .0375f,  -.1825f,
                                   -.2246f, -.1207f, -.0698f, .5109f,  .2665f,  -.2108f, -.2158f, .2502f,
                                   -.2055f, -.0322f, .1109f,  .1567f,  -.0729f, .0899f,  -.2799f, -.1230f,
                                   -.0313f, -.1649f, .0117f,  .0723f,  -.2839f, -.2083f, -.0520f, .3748f,
                                   .0152f,  .1957f,  .1433f,  -.2944f, .3573f,  -.0548f, -.1681f, -.0667f };
static const float std_48[48] = { .4765f, 1.0364f, .4514f, 1.1677f, .5313f, .4990f,  .4818f, .5013f,
                                  .8158f, 1.0344f, .5894f, 1.0901f, .6885f, .6165f,  .8454f, .4978f,
                                  .5759f, .3523f,  .7135f, .6804f,  .5833f, 1.4146f, .8986f, .5659f,
                                  .7069f, .5338f,  .4889f, .4917f,  .4069f, .4999f,  .6866f, .4093f,
                                  .5709f, .6065f,  .6415f, .4944f,  .5726f, 1.2042f, .5458f, 1.6887f,
                                  .3971f, 1.0600f, .3943f, .5537f,  .5444f, .4089f,  .7468f, .7744f };

static bool published_statistics(struct sr_wan_shape *s)
{
    if (s->z != 16 && s->z != 48) return false;
    memcpy(s->mean, s->z == 16 ? mean_16 : mean_48, s->z * sizeof *s->mean);
    memcpy(s->std, s->z == 16 ? std_16 : std_48, s->z * sizeof *s->std);
    return true;
}

size_t sr_wan_stage_in(const struct sr_wan_shape *s, size_t i)
{
    /* Wan 2.1 halves the channels in the convolution that ends the stage before */
    return i == 0 || s->residual ? s->width[i] : s->width[i] / 2;
}

static void set_widths(struct sr_wan_shape *s, size_t base, const int64_t *mult)
{
    s->width[0] = base * (size_t)mult[s->stages - 1];
    for (size_t i = 0; i < s->stages; i++) s->width[i + 1] = base * (size_t)mult[s->stages - 1 - i];
}

sora_result sr_wan_shape_published(struct sr_wan_shape *s, const char *kind, sora_error *err)
{
    static const int64_t mult[] = { 1, 2, 4, 4 };

    memset(s, 0, sizeof *s);
    if (strcmp(kind, "wan2.1") && strcmp(kind, "wan2.2"))
        return sr_fail(err, SORA_ERR_OPTION, "\"%s\" is no published decoder; wanted: wan2.1, wan2.2", kind);
    s->residual = !strcmp(kind, "wan2.2");
    s->z = s->residual ? 48 : 16;
    s->stages = 4;
    s->blocks = 3;
    s->grow_t[0] = s->grow_t[1] = true;
    s->patch = s->residual ? 2 : 1;
    s->picture = 3 * s->patch * s->patch;
    set_widths(s, s->residual ? 256 : 96, mult);
    published_statistics(s);
    return SORA_OK;
}

/* What the layers themselves need; path: for the message. */
static sora_result check(const struct sr_wan_shape *s, const char *path, sora_error *err)
{
    for (size_t i = 0; i <= s->stages; i++)
        if (s->width[i] < 2 || s->width[i] > 16384 || (!s->residual && s->width[i] % 2))
            return sr_fail(err, SORA_ERR_MODEL, "%s: a stage of the decoder has %zu channels; wanted: an even number "
                           "up to 16384", path, s->width[i]);
    for (size_t i = 0; s->residual && i + 1 < s->stages; i++)
        if (s->width[i + 1] * (s->grow_t[i] ? 8 : 4) % s->width[i])
            return sr_fail(err, SORA_ERR_MODEL, "%s: stage %zu goes from %zu to %zu channels, which its shortcut "
                           "cannot", path, i, s->width[i], s->width[i + 1]);
    if (s->picture != 3 * s->patch * s->patch)
        return sr_fail(err, SORA_ERR_MODEL, "%s: the decoder gives %zu values for %zux%zu pixels; wanted: 3 for each",
                       path, s->picture, s->patch, s->patch);
    for (size_t i = 0; i < s->z; i++)
        if (!isfinite(s->mean[i]) || !(s->std[i] > 0) || !isfinite(s->std[i]))
            return sr_fail(err, SORA_ERR_MODEL, "%s: latent channel %zu has mean %g and std %g", path, i,
                           (double)s->mean[i], (double)s->std[i]);
    return SORA_OK;
}

/* A list of z numbers; absent: *out stays.  */
static sora_result read_statistics(const struct sr_config *c, const char *key, size_t z, float *out, const char *path,
                                   sora_error *err)
{
    double v[SR_WAN_Z];
    size_t n = 0;
    sora_result r;

    if (!sr_config_has(c, key)) return SORA_OK;
    if ((r = sr_config_floats(c, key, v, SR_WAN_Z, &n, err)) < 0) return r;
    if (n != z) return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" has %zu numbers; wanted: z_dim = %zu", path, key, n, z);
    for (size_t i = 0; i < n; i++) out[i] = (float)v[i];
    return SORA_OK;
}

sora_result sr_wan_shape_config(struct sr_wan_shape *s, const struct sr_config *c, const char *path, sora_error *err)
{
    int64_t base = 96, decoder_base = 0, z = 16, res = 2, out = 3, patch = 1, scale_s = 0, scale_t = 0;
    int64_t mult[SR_WAN_STAGES] = { 1, 2, 4, 4 };
    bool down[SR_WAN_STAGES] = { false, true, true };       /* the encoder's order: the decoder's backwards */
    double scales[16];
    size_t stages = 4, ndown = 3, nscales = 0;
    struct sr_vae_info info;
    sora_result r;

    memset(s, 0, sizeof *s);
    if ((r = sr_config_int(c, "base_dim", 1, 4096, &base, err)) < 0) return r;
    if ((r = sr_config_int(c, "decoder_base_dim", 1, 4096, &decoder_base, err)) < 0) return r;
    if ((r = sr_config_int(c, "z_dim", 1, SR_WAN_Z, &z, err)) < 0) return r;
    if ((r = sr_config_int(c, "num_res_blocks", 0, SR_WAN_BLOCKS - 1, &res, err)) < 0) return r;
    if ((r = sr_config_int(c, "out_channels", 1, 3 * 64, &out, err)) < 0) return r;
    if ((r = sr_config_int(c, "patch_size", 1, 8, &patch, err)) < 0) return r;
    if ((r = sr_config_int(c, "scale_factor_spatial", 1, 1024, &scale_s, err)) < 0) return r;
    if ((r = sr_config_int(c, "scale_factor_temporal", 1, 1024, &scale_t, err)) < 0) return r;
    if ((r = sr_config_ints(c, "dim_mult", 1, 64, mult, SR_COUNT(mult), &stages, err)) < 0) return r;
    if ((r = sr_config_bools(c, "temperal_downsample", down, SR_COUNT(down), &ndown, err)) < 0) return r;
    if ((r = sr_config_bool(c, "is_residual", &s->residual, err)) < 0) return r;
    if ((r = sr_config_floats(c, "attn_scales", scales, SR_COUNT(scales), &nscales, err)) < 0) return r;
    if (nscales) return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: \"attn_scales\" has %zu entries; attention outside the "
                                "middle of the decoder is not built in", path, nscales);
    if (stages < 1 || ndown + 1 != stages)
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"dim_mult\" has %zu entries and \"temperal_downsample\" %zu; wanted: "
                       "one fewer", path, stages, ndown);
    s->z = (size_t)z;
    s->stages = stages;
    s->blocks = (size_t)res + 1;
    s->patch = (size_t)patch;
    s->picture = (size_t)out;
    for (size_t i = 0; i + 1 < stages; i++) s->grow_t[i] = down[stages - 2 - i];
    set_widths(s, (size_t)(decoder_base ? decoder_base : base), mult);
    if (!published_statistics(s) && !(sr_config_has(c, "latents_mean") && sr_config_has(c, "latents_std")))
        return sr_fail(err, SORA_ERR_MODEL, "%s: no \"latents_mean\" and \"latents_std\" for %zu channels", path, s->z);
    if ((r = read_statistics(c, "latents_mean", s->z, s->mean, path, err)) < 0) return r;
    if ((r = read_statistics(c, "latents_std", s->z, s->std, path, err)) < 0) return r;
    if ((r = check(s, path, err)) < 0) return r;
    sr_wan_info(s, &info);
    if ((scale_s && scale_s != info.scale_s) || (scale_t && scale_t != info.scale_t))
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"scale_factor_spatial\" and \"_temporal\" are %lld and %lld, but the "
                       "layers enlarge by %d and %d", path, (long long)scale_s, (long long)scale_t, info.scale_s,
                       info.scale_t);
    return SORA_OK;
}

/* ---- A file without a config ---- */

static const struct sr_weight *find(const struct sr_weights *w, int ndim, const char *fmt, size_t i, size_t j)
{
    const struct sr_weight *t;
    char name[128];

    snprintf(name, sizeof name, fmt, i, j);
    t = sr_weights_find(w, name);
    return t && t->ndim == ndim ? t : NULL;
}

sora_result sr_wan_shape_weights(struct sr_wan_shape *s, struct sr_weights *w, bool *found, sora_error *err)
{
    const struct sr_weight *in, *out, *t;
    const char *path = sr_weights_path(w);

    memset(s, 0, sizeof *s);
    sr_wan_rename(w);
    in = sr_weights_find(w, "decoder.conv_in.weight");
    out = sr_weights_find(w, "decoder.conv_out.weight");
    *found = in && in->ndim == 5 && out && out->ndim == 5 && sr_weights_find(w, "post_quant_conv.weight");
    if (!*found) return SORA_OK;
    s->width[0] = in->dim[0];
    s->z = in->dim[1];
    s->picture = out->dim[0];
    s->patch = s->picture == 12 ? 2 : 1;
    while (s->stages < SR_WAN_STAGES && (t = find(w, 5, "decoder.up_blocks.%zu.resnets.0.conv1.weight", s->stages, 0)))
        s->width[++s->stages] = t->dim[0];
    while (s->blocks < SR_WAN_BLOCKS && find(w, 5, "decoder.up_blocks.0.resnets.%zu.conv1.weight", s->blocks, 0))
        s->blocks++;
    s->residual = find(w, 4, "decoder.up_blocks.0.upsampler.resample.1.weight", 0, 0) != NULL;
    for (size_t i = 0; i < s->stages; i++)
        s->grow_t[i] = find(w, 5, "decoder.up_blocks.%zu.upsampler.time_conv.weight", i, 0) ||
                       find(w, 5, "decoder.up_blocks.%zu.upsamplers.0.time_conv.weight", i, 0);
    if (s->stages < 1 || s->blocks < 1 || s->grow_t[s->stages - 1])
        return sr_fail(err, SORA_ERR_MODEL, "%s: the decoder has no stage or ends inside one", path);
    if (!published_statistics(s))
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: mean and std of %zu latent channels are in no config; use the "
                       "model as a folder with config.json", path, s->z);
    return check(s, path, err);
}

/* ---- What it takes ---- */

void sr_wan_info(const struct sr_wan_shape *s, struct sr_vae_info *info)
{
    double area = 1, frames = 1, flop;
    uint64_t p, total;

    memset(info, 0, sizeof *info);
    snprintf(info->kind, sizeof info->kind, "%s", s->residual ? "wan2.2" : "wan2.1");
    info->channels = (int)s->z;
    info->scale_s = (int)s->patch;
    info->scale_t = 1;

    p = (uint64_t)s->width[0] * s->width[0];
    total = s->z * (s->z + 1) + 27 * s->z * s->width[0] + (4 * 27 + 4) * p;        /* in, middle, attention's 1 x 1 */
    flop = 2.0 * (double)total;
    for (size_t i = 0; i < s->stages; i++) {
        const uint64_t in = sr_wan_stage_in(s, i), out = s->width[i + 1];
        p = 27 * (in * out + (2 * s->blocks - 1) * out * out) + (in != out ? in * out : 0);
        total += p;
        flop += 2.0 * (double)p * area * frames;
        if (i + 1 == s->stages) break;
        if (s->grow_t[i]) {
            total += 6 * out * out;
            flop += 12.0 * (double)(out * out) * area * frames;
            frames *= 2;
            info->scale_t *= 2;
        }
        area *= 4;
        info->scale_s *= 2;
        p = 9 * out * sr_wan_stage_in(s, i + 1);
        total += p;
        flop += 2.0 * (double)p * area * frames;
    }
    p = 27 * s->width[s->stages] * s->picture;
    info->parameters = total + p;
    info->flop_per_frame = flop + 2.0 * (double)p * area * frames;
}
