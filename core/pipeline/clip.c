/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models that make whole clips: one chunk, all latent frames at once.  And clips whose latents come from a file. */
#include "pipeline/diffusion.h"

sora_result sr_clip_chunk(struct sr_diffusion *d, int64_t left, const struct sr_sink *sink, sora_error *err)
{
    sora_result r;

    if ((r = sr_denoise(d, &d->first, 0, 0, NULL, sink, err)) < 0) return r;
    if ((r = sr_save_latents(d, d->x, d->F, err)) < 0) return r;
    sr_vae_reset(d->vae);
    return sr_decode(d, d->x, d->F, &left, sink, err);
}

sora_result sr_given_chunk(struct sr_diffusion *d, int64_t left, const struct sr_sink *sink, sora_error *err)
{
    sr_vae_reset(d->vae);
    return sr_decode(d, d->latents.data, d->latents.dim[1], &left, sink, err);
}
