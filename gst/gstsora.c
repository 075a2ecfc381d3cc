/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plugin: registers sorasrc.  Loading it touches no model and starts no thread. */
#include "config.h"

#include "gstsora.h"
#include "gstsorasrc.h"

GST_DEBUG_CATEGORY(gst_sora_debug);
GST_DEBUG_CATEGORY(gst_sora_engine_debug);

GType gst_sora_enum_type(gsize *type, const char *name, const GEnumValue *values)
{
    if (g_once_init_enter(type)) {
        const GType t = g_enum_register_static(name, values);
        gst_type_mark_as_plugin_api(t, 0);
        g_once_init_leave(type, t);
    }
    return *type;
}

static gboolean plugin_init(GstPlugin *plugin)
{
    GST_DEBUG_CATEGORY_INIT(gst_sora_debug, "sorasrc", 0, "video from a sentence");
    GST_DEBUG_CATEGORY_INIT(gst_sora_engine_debug, "sora-engine", 0, "libsora's own log");
    return GST_ELEMENT_REGISTER(sorasrc, plugin);
}

#define PACKAGE "libsora"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, sora, "Video from a sentence", plugin_init, PACKAGE_VERSION,
                  "LGPL", "libsora", "https://gstreamer.freedesktop.org/")
