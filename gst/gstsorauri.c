/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sora:// as players know it:
 *
 *   sora://a%20cat   sora:///a%20cat   sora:a%20cat   sora:?prompt=a%20cat&seed=1&num-frames=49&live=1
 *
 * URIs come from playlists, so only the keys of the table are taken, and a model by name alone: no path can be given.
 * %XX is decoded, '+' stands for itself.
 */
#include "config.h"

#include <string.h>

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define LONGEST 262144          /* bytes of a URI: the library's longest prompt, escaped */

static const struct key { const char *key, *property; } keys[] = {
    { "prompt", "prompt" }, { "negative-prompt", "negative-prompt" }, { "model", "model" }, { "seed", "seed" },
    { "num-frames", "num-frames" }, { "steps", "steps" }, { "guidance", "guidance" }, { "shift", "shift" },
    { "sampler", "sampler" }, { "live", "is-live" }, { "underrun", "underrun" }, { "prebuffer", "prebuffer" },
    { "prompt-change", "prompt-change" }, { "repeat", "repeat" }, { "tags", "tags" },
    { "scale-mode", "scale-mode" }, { "rate-mode", "rate-mode" }, { "use-buffering", "use-buffering" },
    { "watermark", "watermark" },
};

static GstURIType get_type(GType type)
{
    return GST_URI_SRC;
}

static const gchar *const *get_protocols(GType type)
{
    static const gchar *const protocols[] = { "sora", NULL };

    return protocols;
}

/* A name that model look-up takes, or the built-in model with its knobs; nothing that leads to a file of its own. */
static gboolean is_model_name(const char *s)
{
    if (!strcmp(s, "test") || g_str_has_prefix(s, "test/")) return TRUE;
    if (!g_ascii_isalnum(*s)) return FALSE;
    for (; *s; s++)
        if (!g_ascii_isalnum(*s) && !strchr("._-", *s)) return FALSE;
    return TRUE;
}

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list args;
    gchar *text;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI, text);
    g_free(text);
    return FALSE;
}

/* One value of the query into *value, checked against the property's type and range. */
static gboolean parse_value(GParamSpec *spec, const char *key, const char *text, GValue *value, GError **error)
{
    if (!strcmp(key, "model") && !is_model_name(text))
        return refuse(error, "model: found \"%.100s\", wanted the name of a model; a URI may not name a file", text);
    g_value_init(value, spec->value_type);
    if (G_IS_PARAM_SPEC_STRING(spec)) g_value_set_string(value, text);
    else if (!gst_value_deserialize_with_pspec(value, text, spec))
        return refuse(error, "%s: found \"%.100s\", wanted a value of the property %s", key, text, spec->name);
    if (g_param_value_validate(spec, value))
        return refuse(error, "%s: \"%.100s\" is out of range", key, text);
    return TRUE;
}

typedef struct Parsed {
    GValue values[G_N_ELEMENTS(keys)];      /* unset: not given */
} Parsed;

static void parsed_clear(Parsed *p)
{
    for (guint k = 0; k < G_N_ELEMENTS(keys); k++)
        if (G_IS_VALUE(&p->values[k])) g_value_unset(&p->values[k]);
}

static gboolean put(GObject *object, Parsed *p, const char *key, const char *escaped, gssize length, GError **error)
{
    gchar *text = g_uri_unescape_segment(escaped, length < 0 ? NULL : escaped + length, NULL);
    gboolean ok = FALSE;
    guint k;

    for (k = 0; k < G_N_ELEMENTS(keys) && strcmp(keys[k].key, key); k++) { }
    if (!text || !g_utf8_validate(text, -1, NULL))
        refuse(error, "%.50s: wanted UTF-8 with %%XX for what is special", key);
    else if (k == G_N_ELEMENTS(keys)) refuse(error, "there is no key \"%.50s\"", key);
    else if (G_IS_VALUE(&p->values[k])) refuse(error, "%s is given twice", key);
    else ok = parse_value(g_object_class_find_property(G_OBJECT_GET_CLASS(object), keys[k].property), key, text,
                          &p->values[k], error);
    g_free(text);
    return ok;
}

static gboolean parse(GObject *object, const char *uri, Parsed *p, GError **error)
{
    const char *s = uri + strlen("sora:"), *query;
    gboolean ok = TRUE;
    gchar **pairs;
    gsize length;

    if (strlen(uri) > LONGEST) return refuse(error, "the URI has more than %d bytes", LONGEST);
    if (g_ascii_strncasecmp(uri, "sora:", 5)) return refuse(error, "\"%.50s\": wanted sora://PROMPT", uri);
    if (g_str_has_prefix(s, "//")) s += 2;
    if (*s == '/') s++;
    length = strcspn(s, "?");
    query = s[length] ? s + length + 1 : "";
    if (length && s[length - 1] == '/') length--;
    if (length && !put(object, p, "prompt", s, (gssize)length, error)) return FALSE;
    pairs = g_strsplit(query, "&", 64);
    for (gchar **pair = pairs; ok && *pair; pair++) {
        gchar *equals = strchr(*pair, '=');

        if (!**pair) continue;
        if (equals) *equals = 0;
        ok = equals ? put(object, p, *pair, equals + 1, -1, error) : refuse(error, "%.50s: wanted KEY=VALUE", *pair);
    }
    g_strfreev(pairs);
    if (ok && (!G_IS_VALUE(&p->values[0]) || !*g_value_get_string(&p->values[0])))
        return refuse(error, "the URI has no prompt; wanted sora://PROMPT");
    return ok;
}

static gboolean set_uri(GstURIHandler *handler, const gchar *uri, GError **error)
{
    GObject *object = G_OBJECT(handler);
    Parsed p = { 0 };
    GstState state;
    gboolean ok;

    GST_OBJECT_LOCK(object);
    state = MAX(GST_STATE(object), GST_STATE_PENDING(object));
    GST_OBJECT_UNLOCK(object);
    if (state > GST_STATE_READY) {
        g_set_error(error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE, "the URI can be set in NULL and READY alone");
        return FALSE;
    }
    if ((ok = parse(object, uri, &p, error))) {
        g_object_set(object, "prompt-file", NULL, NULL);
        for (guint k = 0; k < G_N_ELEMENTS(keys); k++)
            if (G_IS_VALUE(&p.values[k])) g_object_set_property(object, keys[k].property, &p.values[k]);
    }
    parsed_clear(&p);
    return ok;
}

static gchar *value_to_text(const GValue *value)
{
    if (G_VALUE_HOLDS_STRING(value)) return g_value_dup_string(value);
    if (G_VALUE_HOLDS_ENUM(value)) {
        GEnumClass *e = g_type_class_ref(G_VALUE_TYPE(value));
        const GEnumValue *v = g_enum_get_value(e, g_value_get_enum(value));
        gchar *text = g_strdup(v ? v->value_nick : NULL);
        g_type_class_unref(e);
        return text;
    }
    return gst_value_serialize(value);
}

/* The shortest URI that says what the properties say; NULL without a prompt, or where a file is named. */
static gchar *get_uri(GstURIHandler *handler)
{
    GObject *object = G_OBJECT(handler);
    GString *uri = g_string_new("sora://");
    gchar *prompt_file, *prompt, *escaped;
    const char *before = "?";
    gboolean can;

    g_object_get(object, "prompt", &prompt, "prompt-file", &prompt_file, NULL);
    can = prompt && *prompt && !(prompt_file && *prompt_file);
    if (can) {
        escaped = g_uri_escape_string(prompt, NULL, FALSE);
        g_string_append(uri, escaped);
        g_free(escaped);
    }
    g_free(prompt);
    g_free(prompt_file);
    for (guint k = 1; can && k < G_N_ELEMENTS(keys); k++) {
        GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(object), keys[k].property);
        GValue value = G_VALUE_INIT;
        gchar *text;

        g_value_init(&value, spec->value_type);
        g_object_get_property(object, keys[k].property, &value);
        if (!g_param_value_defaults(spec, &value) && (text = value_to_text(&value))) {
            if (!strcmp(keys[k].key, "model") && !is_model_name(text)) can = FALSE;
            escaped = g_uri_escape_string(text, "/", FALSE);
            g_string_append_printf(uri, "%s%s=%s", before, keys[k].key, escaped);
            before = "&";
            g_free(escaped);
            g_free(text);
        }
        g_value_unset(&value);
    }
    return g_string_free(uri, !can);
}

void gst_sora_uri_handler_init(gpointer iface, gpointer data)
{
    GstURIHandlerInterface *i = iface;

    i->get_type = get_type;
    i->get_protocols = get_protocols;
    i->get_uri = get_uri;
    i->set_uri = set_uri;
}

/* ---- Presets ---------------------------------------------------------------------------------------------------- */

/* How it looks and how fast it goes; never what is shown, where files are, or what an application decides (is-live,
   num-buffers): @preset= is applied after the other properties of a command line. */
static gchar **get_property_names(GstPreset *preset)
{
    static const gchar *const names[] = {
        "negative-prompt", "steps", "guidance", "shift", "sampler", "precision", "underrun", "prebuffer",
        "prompt-change", "max-size-buffers", "max-size-bytes", "max-size-time", NULL,
    };

    return g_strdupv((gchar **)names);
}

void gst_sora_preset_init(gpointer iface, gpointer data)
{
    ((GstPresetInterface *)iface)->get_property_names = get_property_names;
}
