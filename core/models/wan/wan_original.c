/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The original code's names for what diffusers calls otherwise.  Beware of the norms: diffusers numbers them in the
 * order of use, so that its norm2 is the original norm3, the only one with weights.
 */
#include <stdio.h>

#include "models/wan/wan.h"

static const char *const table[][2] = {
    { "condition_embedder.time_embedder.linear_1.", "time_embedding.0." },
    { "condition_embedder.time_embedder.linear_2.", "time_embedding.2." },
    { "condition_embedder.time_proj.", "time_projection.1." },
    { "condition_embedder.text_embedder.linear_1.", "text_embedding.0." },
    { "condition_embedder.text_embedder.linear_2.", "text_embedding.2." },
    { "proj_out.", "head.head." },
    { "scale_shift_table", "head.modulation" },
};

static const char *const in_block[][2] = {
    { "attn1.to_q.", "self_attn.q." },
    { "attn1.to_k.", "self_attn.k." },
    { "attn1.to_v.", "self_attn.v." },
    { "attn1.to_out.0.", "self_attn.o." },
    { "attn1.norm_", "self_attn.norm_" },
    { "attn2.to_q.", "cross_attn.q." },
    { "attn2.to_k.", "cross_attn.k." },
    { "attn2.to_v.", "cross_attn.v." },
    { "attn2.to_out.0.", "cross_attn.o." },
    { "attn2.norm_", "cross_attn.norm_" },
    { "ffn.net.0.proj.", "ffn.0." },
    { "ffn.net.2.", "ffn.2." },
    { "norm2.", "norm3." },
    { "scale_shift_table", "modulation" },
};

bool sr_wan_original_name(char *out, size_t size, const char *name)
{
    const char *const (*t)[2] = table, *rest = name;
    size_t n = SR_COUNT(table);

    if (!strncmp(name, "blocks.", 7) && (rest = strchr(name + 7, '.'))) {
        rest++;
        t = in_block;
        n = SR_COUNT(in_block);
    } else {
        rest = name;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t head = strlen(t[i][0]);
        if (strncmp(rest, t[i][0], head)) continue;
        const int used = snprintf(out, size, "%.*s%s%s", (int)(rest - name), name, t[i][1], rest + head);
        return used >= 0 && (size_t)used < size;
    }
    return false;
}
