/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wan: a transformer over latent patches with full attention, text by cross-attention and the time by modulation.
 * Reference: WanTransformer3DModel of diffusers; "Wan: Open and Advanced Large-Scale Video Generative Models", 2025.
 *
 * The pocket model is a Wan whose input has, beside the noisy latent, the latent before (the prior) and the place.
 */
#ifndef SR_WAN_H
#define SR_WAN_H

#include "models/about.h"
#include "models/family.h"
#include "models/kv_cache.h"
#include "weights/lora.h"

#define WAN_TEXT_LEN 512        /* rows of text, padding included, that every published Wan was trained with */

struct wan_config {
    int64_t heads, head_dim, layers, ffn, in, out, text_dim, text_len, freq_dim;
    int64_t patch[3];           /* frames (1), rows, columns */
    double eps;
    bool cross_norm;            /* cross_attn_norm */
    bool per_token_time;        /* expand_timesteps of the pipeline */
    bool causal;                /* sr_model_info */
    bool original;              /* tensors have the names of the original code */
    size_t nwaves;              /* pocket: place features; 0: none */
    double waves[SR_MAX_WAVES];
    char weights[1024];         /* folder or file with the tensors; "": random ones */
};

struct wan_attention {
    struct sr_linear *q, *kv, *qkv, *out;   /* self: qkv; cross: q and kv */
    float *norm_q, *norm_k;                 /* [C] */
};

struct wan_block {
    struct wan_attention self, cross;
    float *norm_w, *norm_b;                 /* [C], before the cross-attention; NULL without cross_norm */
    struct sr_linear *ffn_in, *ffn_out;
    float *mod;                             /* [6, C]: shift, scale, gate of attention, then of the FFN */
};

/* One prompt: keys and values of its n rows in every layer; the last row may stand for all rows of padding. */
struct wan_text {
    uint8_t *kv;                            /* [layers, text_len, 2 C] of the context's type */
    float *bias;                            /* [text_len]: 0, and log(how many) for the row of padding */
    size_t n;                               /* 0: not set */
};

/*
 * Of pocket models, or nothing: filters of the latent before, which are added to the output, each as much as a gate says for each
 * latent.  So a picture that moves as a whole need not be drawn anew.  n filters of 3 x 3 latents, n 0: there are none.
 * Reference: Finn, Goodfellow, Levine, "Unsupervised Learning for Physical Interaction through Video Prediction", 2016.
 */
struct wan_motion {
    size_t n;
    struct sr_linear *gate1, *gate2;        /* [h of a token, mean h] -> inner -> [patch, n] */
    struct sr_linear *filter;               /* [9 out] -> [n, out] */
};

struct wan {
    struct wan_config k;
    size_t C, D, P, F, H, W;                /* channels, per head, tokens of a latent frame; setup */
    size_t rows, cols, patch;               /* patches down and across; latent pixels in one patch */
    struct sr_linear *patch_in, *time1, *time2, *time_proj, *text1, *text2, *head;
    float *head_mod;                        /* [2, C] */
    struct wan_block *blocks;
    struct wan_motion motion;
    float *cos, *sin;                       /* [frames * P, D / 2] of all positions a forward pass can need */
    float *place;                           /* [4 nwaves, H, W] */
    int prompts, caches;
    struct wan_text *text;
    struct sr_kv_cache **cache;             /* of each prompt, as what is cached depends on it, or one of all; NULL: clip model */
};

/* ---- wan_config.c ---- */
bool sr_wan_knows(const char *path);
sora_result sr_wan_config_read(struct wan_config *k, const char *path, sora_error *err);
void sr_wan_config_shape(struct wan_config *k, const struct sr_shape *s);
sora_result sr_wan_model_info(struct sr_model_info *info, const struct wan_config *k, sora_error *err);

/* ---- wan_original.c ---- */
bool sr_wan_original_name(char *out, size_t size, const char *name);

/* ---- wan_load.c ---- */
/* lora: NULL: no additions */
sora_result sr_wan_load(struct sr_ctx *c, struct wan *m, struct sr_weights *w, struct sr_lora *lora, sora_error *err);
void sr_wan_unload(struct wan *m);

/* ---- wan_motion.c ---- */
sora_result sr_wan_motion_load(struct sr_ctx *c, struct wan *m, const char *path, sora_error *err);
void sr_wan_motion_unload(struct wan_motion *v);
/* h [F * P, C]: what the last layer reads; prior, out [out, F, H, W]: out is added to.  Planning: prior may be NULL. */
void sr_wan_motion_add(struct sr_ctx *c, const struct wan *m, const struct sr_tensor *h, const float *prior, size_t F, float *out);

/* ---- wan_dit.c ---- */
void sr_wan_set_text(struct sr_ctx *c, void *m, int which, const float *text, size_t real);
void sr_wan_forward(struct sr_ctx *c, void *m, int which, const struct sr_model_input *in, bool commit, float *out);

#endif
