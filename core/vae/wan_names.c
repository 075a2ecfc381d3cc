/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names in Wan's own files (Wan2.1_VAE, Wan2.2_VAE and repacks) for those of Diffusers, which the loader asks for.
 *
 *     post_quant_conv                          conv2
 *     decoder.conv_in                          decoder.conv1
 *     decoder.mid_block.resnets.{0,1}          decoder.middle.{0,2}
 *     decoder.mid_block.attentions.0           decoder.middle.1
 *     decoder.up_blocks.S.resnets.B            decoder.upsamples.{4 S + B}       2.2: decoder.upsamples.S.upsamples.B
 *     decoder.up_blocks.S.upsamplers.0         decoder.upsamples.{4 S + 3}       2.2: decoder.upsamples.S.upsamples.3
 *     decoder.norm_out, conv_out               decoder.head.0, head.2
 * and inside a residual block norm1, conv1, norm2, conv2, conv_shortcut: residual.0, .2, .3, .6, shortcut.
 */
#include <stdio.h>

#include "vae/wan_shape.h"

enum { BLOCKS = 3 };            /* residual blocks of a stage, in every file that has these names */

/* What follows `head` in name, or NULL. */
static const char *after(const char *name, const char *head)
{
    const size_t n = strlen(head);

    return strncmp(name, head, n) ? NULL : name + n;
}

/* One digit and a dot: its value, *rest behind them; -1: something else. */
static int digit(const char *s, const char **rest)
{
    if (!s || s[0] < '0' || s[0] > '9' || s[1] != '.') return -1;
    *rest = s + 2;
    return s[0] - '0';
}

/* "norm1.gamma" -> "residual.0.gamma" */
static void block_part(char *out, size_t size, const char *name)
{
    static const char *const parts[][2] = { { "norm1.", "residual.0." }, { "conv1.", "residual.2." },
                                            { "norm2.", "residual.3." }, { "conv2.", "residual.6." },
                                            { "conv_shortcut.", "shortcut." } };

    for (size_t i = 0; i < SR_COUNT(parts); i++) {
        const char *rest = after(name, parts[i][0]);
        if (rest) {
            snprintf(out, size, "%s%s", parts[i][1], rest);
            return;
        }
    }
    snprintf(out, size, "%s", name);
}

static bool rename_stage(char *out, size_t size, const char *name, bool nested)
{
    const char *rest, *inner;
    char part[128];
    int stage, block;

    if ((stage = digit(name, &rest)) < 0) return false;
    if ((inner = after(rest, "resnets."))) {
        if ((block = digit(inner, &inner)) < 0) return false;
        block_part(part, sizeof part, inner);
    } else {
        block = BLOCKS;
        inner = after(rest, nested ? "upsampler." : "upsamplers.0.");
        if (!inner) return false;
        snprintf(part, sizeof part, "%s", inner);
    }
    if (nested) snprintf(out, size, "decoder.upsamples.%d.upsamples.%d.%s", stage, block, part);
    else snprintf(out, size, "decoder.upsamples.%d.%s", stage * (BLOCKS + 1) + block, part);
    return true;
}

static bool rename_any(char *out, size_t size, const char *name, bool nested)
{
    static const char *const plain[][2] = { { "post_quant_conv.", "conv2." }, { "decoder.conv_in.", "decoder.conv1." },
                                            { "decoder.norm_out.", "decoder.head.0." },
                                            { "decoder.conv_out.", "decoder.head.2." },
                                            { "decoder.mid_block.attentions.0.", "decoder.middle.1." } };
    const char *rest;
    char part[128];
    int block;

    for (size_t i = 0; i < SR_COUNT(plain); i++) {
        if ((rest = after(name, plain[i][0]))) {
            snprintf(out, size, "%s%s", plain[i][1], rest);
            return true;
        }
    }
    if ((rest = after(name, "decoder.mid_block.resnets."))) {
        if ((block = digit(rest, &rest)) < 0) return false;
        block_part(part, sizeof part, rest);
        snprintf(out, size, "decoder.middle.%d.%s", 2 * block, part);
        return true;
    }
    return (rest = after(name, "decoder.up_blocks.")) && rename_stage(out, size, rest, nested);
}

static bool rename_flat(char *out, size_t size, const char *name)
{
    return rename_any(out, size, name, false);
}

static bool rename_nested(char *out, size_t size, const char *name)
{
    return rename_any(out, size, name, true);
}

void sr_wan_rename(struct sr_weights *w)
{
    static const char probe[] = "decoder.up_blocks.0.resnets.0.conv1.weight";
    static const char *const packed[] = { "", "vae.", "first_stage_model." };

    if (sr_weights_detect(w, NULL, probe)) return;
    if (sr_weights_detect(w, rename_flat, probe)) return;
    if (sr_weights_detect(w, rename_nested, probe)) return;
    for (size_t i = 1; i < SR_COUNT(packed); i++) {
        sr_rename_fn *const fns[] = { NULL, rename_flat, rename_nested };
        for (size_t j = 0; j < SR_COUNT(fns); j++) {
            sr_weights_rename(w, fns[j], packed[i]);
            if (sr_weights_find(w, probe)) return;
        }
    }
    sr_weights_rename(w, NULL, "");
}
