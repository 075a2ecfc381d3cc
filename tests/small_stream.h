/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small Wan in a folder, which a sora.json makes a stream. */
#ifndef SMALL_STREAM_H
#define SMALL_STREAM_H

#include "base/base.h"
#include "folder.h"

#define BEFORE "a red balloon over green hills"

static inline void small_stream_make(void)
{
    static const char *const links[][2] = { { "clip/transformer", "transformer" },
                                            { "clip/text_encoder", "text_encoder" },
                                            { "vae_wan21", "vae" },
                                            { "text.model", "spiece.model" } };

    folder_make(links, SR_COUNT(links));
}

static inline void about(const char *text)
{
    write_text(in_folder("sora.json"), text);
}

static inline sora_options small_options(void)
{
    sora_options o;

    sora_options_init(&o);
    o.model = folder;
    o.prompt = BEFORE;
    o.width = o.height = 32;
    o.frames = 0;
    o.threads = 1;
    o.precision = "f32";
    o.format = SORA_FORMAT_RGBPF32;
    return o;
}

#endif
