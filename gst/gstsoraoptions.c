/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties made from sora_option_table(): names, ranges, defaults and help are the library's, as they are in the
 * program and in the FFmpeg filter.  Size and rate are no properties here: the caps say them.
 */
#include "config.h"

#include <string.h>

#include "gstsoraoptions.h"

enum kind { KIND_STRING, KIND_INT, KIND_INT64, KIND_FLOAT, KIND_ENUM };

static const struct property {
    const char *name, *option;      /* of the element; of the table */
    enum kind kind;
    gsize offset;
    enum change { READY, PLAYING, CONTROL } change;     /* when it may change; CONTROL: by a GstController too */
    const char *type;               /* of the enum */
} properties[] = {
#define FIELD(f) G_STRUCT_OFFSET(GstSoraSettings, f)
    { "prompt", "prompt", KIND_STRING, FIELD(prompt), PLAYING, NULL },
    { "prompt-file", "prompt-file", KIND_STRING, FIELD(prompt_file), PLAYING, NULL },
    { "negative-prompt", "negative-prompt", KIND_STRING, FIELD(negative_prompt), READY, NULL },
    { "model", "model", KIND_STRING, FIELD(model), READY, NULL },
    { "num-frames", "frames", KIND_INT64, FIELD(num_frames), READY, NULL },
    { "seed", "seed", KIND_INT64, FIELD(seed), CONTROL, NULL },
    { "steps", "steps", KIND_INT, FIELD(steps), READY, NULL },
    { "guidance", "guidance", KIND_FLOAT, FIELD(guidance), CONTROL, NULL },
    { "shift", "shift", KIND_FLOAT, FIELD(shift), READY, NULL },
    { "sampler", "sampler", KIND_ENUM, FIELD(sampler), READY, "GstSoraSampler" },
    { "threads", "threads", KIND_INT, FIELD(threads), READY, NULL },
    { "precision", "precision", KIND_ENUM, FIELD(precision), READY, "GstSoraPrecision" },
    { "vae", "vae", KIND_STRING, FIELD(vae), READY, NULL },
#undef FIELD
};

#define PTR(s, k, type) ((type *)(void *)((char *)(s) + properties[k].offset))
#define CPTR(s, k, type) ((type const *)(const void *)((const char *)(s) + properties[k].offset))

static const sora_option *find_option(const char *name)
{
    const sora_option *o;

    for (o = sora_option_table(); o->name; o++)
        if (!strcmp(o->name, name)) return o;
    return NULL;
}

/* The registered enum of a row "euler|unipc": "auto", the model's own, comes first where the table has no word for it.
   Registered once and kept, as types are. */
static GType enum_type(const char *name, const sora_option *o)
{
    GType type = g_type_from_name(name);
    gchar **words;
    GEnumValue *values;
    guint n, i, k = 0;

    if (type) return type;
    words = g_strsplit(o->values ? o->values : "", "|", -1);
    n = g_strv_length(words);
    values = g_new0(GEnumValue, n + 2);
    if (!g_strv_contains((const gchar *const *)words, "auto")) {
        values[k].value_name = "The model's own";
        values[k++].value_nick = "auto";
    }
    for (i = 0; i < n; i++, k++) {
        values[k].value = (gint)k;
        values[k].value_name = values[k].value_nick = g_intern_string(words[i]);
    }
    g_strfreev(words);
    type = g_enum_register_static(g_intern_string(name), values);
    gst_type_mark_as_plugin_api(type, 0);
    return type;
}

static gint enum_default(GType type, const char *nick)
{
    GEnumClass *e = g_type_class_ref(type);
    const GEnumValue *v = g_enum_get_value_by_nick(e, nick);
    const gint value = v ? v->value : 0;

    g_type_class_unref(e);
    return value;
}

guint gst_sora_settings_install(GObjectClass *klass)
{
    guint k;

    for (k = 0; k < G_N_ELEMENTS(properties); k++) {
        const struct property *p = &properties[k];
        const sora_option *o = find_option(p->option);
        const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                  (p->change == READY ? GST_PARAM_MUTABLE_READY : GST_PARAM_MUTABLE_PLAYING) |
                                  (p->change == CONTROL ? GST_PARAM_CONTROLLABLE : 0);
        const double number = o && o->def ? g_ascii_strtod(o->def, NULL) : 0;
        GParamSpec *spec = NULL;
        GType type;

        if (!o) {
            g_critical("libsora %s has no option \"%s\"", sora_version(), p->option);
            continue;
        }
        switch (p->kind) {
        case KIND_STRING:
            spec = g_param_spec_string(p->name, p->name, o->help, o->def && *o->def ? o->def : NULL, flags);
            break;
        case KIND_INT:
            spec = g_param_spec_int(p->name, p->name, o->help, (gint)CLAMP(o->min, G_MININT, 0),
                                    (gint)CLAMP(o->max, 0, G_MAXINT), (gint)number, flags);
            break;
        case KIND_INT64:        /* -1: the model's own length, a drawn seed */
            spec = g_param_spec_int64(p->name, p->name, o->help, -1, G_MAXINT64,
                                      o->def && *o->def ? (gint64)number : -1, flags);
            break;
        case KIND_FLOAT:
            spec = g_param_spec_float(p->name, p->name, o->help, (gfloat)MIN(o->min, 0), (gfloat)o->max,
                                      (gfloat)number, flags);
            break;
        case KIND_ENUM:
            type = enum_type(p->type, o);
            spec = g_param_spec_enum(p->name, p->name, o->help, type, enum_default(type, o->def ? o->def : ""), flags);
            break;
        }
        g_object_class_install_property(klass, k + 1, spec);
    }
    return G_N_ELEMENTS(properties) + 1;
}

void gst_sora_settings_init(GstSoraSettings *s, GObjectClass *klass)
{
    guint k;

    memset(s, 0, sizeof *s);
    for (k = 0; k < G_N_ELEMENTS(properties); k++) {
        GParamSpec *spec = g_object_class_find_property(klass, properties[k].name);
        if (spec) gst_sora_settings_set(s, k + 1, g_param_spec_get_default_value(spec));
    }
}

void gst_sora_settings_copy(GstSoraSettings *to, const GstSoraSettings *from)
{
    guint k;

    *to = *from;
    for (k = 0; k < G_N_ELEMENTS(properties); k++)
        if (properties[k].kind == KIND_STRING) *PTR(to, k, gchar *) = g_strdup(*CPTR(from, k, gchar *));
}

void gst_sora_settings_clear(GstSoraSettings *s)
{
    guint k;

    for (k = 0; k < G_N_ELEMENTS(properties); k++)
        if (properties[k].kind == KIND_STRING) g_clear_pointer(PTR(s, k, gchar *), g_free);
}

gboolean gst_sora_settings_set(GstSoraSettings *s, guint id, const GValue *value)
{
    const guint k = id - 1;

    if (id < 1 || id > G_N_ELEMENTS(properties)) return FALSE;
    switch (properties[k].kind) {
    case KIND_STRING:
        g_free(*PTR(s, k, gchar *));
        *PTR(s, k, gchar *) = g_value_dup_string(value);
        break;
    case KIND_INT: *PTR(s, k, gint) = g_value_get_int(value); break;
    case KIND_INT64: *PTR(s, k, gint64) = g_value_get_int64(value); break;
    case KIND_FLOAT: *PTR(s, k, gfloat) = g_value_get_float(value); break;
    case KIND_ENUM: *PTR(s, k, gint) = g_value_get_enum(value); break;
    }
    return TRUE;
}

gboolean gst_sora_settings_get(const GstSoraSettings *s, guint id, GValue *value)
{
    const guint k = id - 1;

    if (id < 1 || id > G_N_ELEMENTS(properties)) return FALSE;
    switch (properties[k].kind) {
    case KIND_STRING: g_value_set_string(value, *CPTR(s, k, gchar *)); break;
    case KIND_INT: g_value_set_int(value, *CPTR(s, k, gint)); break;
    case KIND_INT64: g_value_set_int64(value, *CPTR(s, k, gint64)); break;
    case KIND_FLOAT: g_value_set_float(value, *CPTR(s, k, gfloat)); break;
    case KIND_ENUM: g_value_set_enum(value, *CPTR(s, k, gint)); break;
    }
    return TRUE;
}

/* NULL for "auto": the library's own default, whatever that is. */
static const char *enum_word(const char *type, gint value)
{
    GEnumClass *e = g_type_class_ref(g_type_from_name(type));
    const GEnumValue *v = g_enum_get_value(e, value);
    const char *word = v && strcmp(v->value_nick, "auto") ? v->value_nick : NULL;     /* interned: outlives e */

    g_type_class_unref(e);
    return word;
}

static const char *filled(const gchar *s)
{
    return s && *s ? s : NULL;
}

void gst_sora_settings_to_options(const GstSoraSettings *s, sora_options *o)
{
    sora_options_init(o);
    o->prompt = filled(s->prompt);
    o->prompt_file = filled(s->prompt_file);
    if (filled(s->negative_prompt)) o->negative_prompt = s->negative_prompt;
    if (filled(s->model)) o->model = s->model;
    o->vae = filled(s->vae);
    o->frames = s->num_frames;
    o->seed = s->seed;
    o->steps = s->steps;
    o->guidance = s->guidance;
    o->shift = s->shift;
    o->threads = s->threads;
    o->sampler = enum_word("GstSoraSampler", s->sampler);
    o->precision = enum_word("GstSoraPrecision", s->precision);
    o->log = gst_sora_log;
}
