/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which decoder of the Wan family a model has: its widths, read from a config or from the tensors themselves. */
#ifndef SR_WAN_SHAPE_H
#define SR_WAN_SHAPE_H

#include "vae/vae.h"

enum { SR_WAN_STAGES = 6, SR_WAN_BLOCKS = 8, SR_WAN_Z = 256 };

struct sr_wan_shape {
    size_t z;                           /* channels of the latents */
    size_t stages, blocks;              /* resolutions; residual blocks in each */
    size_t width[SR_WAN_STAGES + 1];    /* channels: of the middle, then of each stage */
    bool grow_t[SR_WAN_STAGES];         /* the stage's end doubles the frames; every end but the last doubles H, W */
    bool residual;                      /* Wan 2.2: each stage adds its own input, enlarged, to its result */
    size_t patch, picture;              /* pixels per side and values of one output position: 1, 3 or 2, 12 */
    float mean[SR_WAN_Z], std[SR_WAN_Z];    /* latents of the transformer are (z - mean) / std */
};

/* The two published decoders: "wan2.1", "wan2.2". */
sora_result sr_wan_shape_published(struct sr_wan_shape *s, const char *kind, sora_error *err);
/* From AutoencoderKLWan's config.json. */
sora_result sr_wan_shape_config(struct sr_wan_shape *s, const struct sr_config *c, const char *path, sora_error *err);
/*
 * From a file without a config, which may have the names of Diffusers or Wan's own; w is then renamed.  *found: it is
 * such a decoder at all.  Mean and std are the published ones of as many channels.
 */
sora_result sr_wan_shape_weights(struct sr_wan_shape *s, struct sr_weights *w, bool *found, sora_error *err);
/* w is given the rename function that its names need. */
void sr_wan_rename(struct sr_weights *w);

/* Channels that enter stage i. */
size_t sr_wan_stage_in(const struct sr_wan_shape *s, size_t i);
void sr_wan_info(const struct sr_wan_shape *s, struct sr_vae_info *info);

#endif
