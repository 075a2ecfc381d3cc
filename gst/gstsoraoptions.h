/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's option table as properties of the element. */
#ifndef GST_SORA_OPTIONS_H
#define GST_SORA_OPTIONS_H

#include "gstsora.h"

/* The values of one element, or of one run of it: a run works on a copy and never reads live properties. */
typedef struct GstSoraSettings {
    gchar *prompt, *prompt_file, *negative_prompt, *model, *vae;
    gint64 num_frames, seed;
    gint   steps, threads, precision, sampler;
    gfloat guidance, shift;
} GstSoraSettings;

/* Properties from 1 on; returns the first number that is free. */
guint gst_sora_settings_install(GObjectClass *klass);
void  gst_sora_settings_init(GstSoraSettings *s, GObjectClass *klass);
void  gst_sora_settings_copy(GstSoraSettings *to, const GstSoraSettings *from);
void  gst_sora_settings_clear(GstSoraSettings *s);

/* FALSE: id is not one of these properties. */
gboolean gst_sora_settings_set(GstSoraSettings *s, guint id, const GValue *value);
gboolean gst_sora_settings_get(const GstSoraSettings *s, guint id, GValue *value);

/* Strings are those of s. */
void gst_sora_settings_to_options(const GstSoraSettings *s, sora_options *o);

#endif
