/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* webrtc "SOURCE ELEMENTS": a source into one webrtcbin, another one in the same process that receives it; 0 and the time
   when 50 frames are decoded, 1 after 25 s. */
#define GST_USE_UNSTABLE_API
#include <gst/gst.h>
#include <gst/webrtc/webrtc.h>

#define FRAMES 50
#define WAIT_S 25

static GstElement *pipe_, *sender, *receiver;
static GMainLoop *loop;
static gint frames;         /* atomic */

static void on_candidate(GstElement *from, guint line, gchar *candidate, gpointer to)
{
    g_signal_emit_by_name(to, "add-ice-candidate", line, candidate);
}

static GstWebRTCSessionDescription *reply(GstPromise *promise, const char *field)
{
    GstWebRTCSessionDescription *d = NULL;

    gst_structure_get(gst_promise_get_reply(promise), field, GST_TYPE_WEBRTC_SESSION_DESCRIPTION, &d, NULL);
    gst_promise_unref(promise);
    return d;
}

static void on_answer(GstPromise *promise, gpointer unused)
{
    GstWebRTCSessionDescription *answer = reply(promise, "answer");

    g_signal_emit_by_name(receiver, "set-local-description", answer, NULL);
    g_signal_emit_by_name(sender, "set-remote-description", answer, NULL);
    gst_webrtc_session_description_free(answer);
}

static void on_offered(GstPromise *promise, gpointer unused)
{
    gst_promise_unref(promise);
    g_signal_emit_by_name(receiver, "create-answer", NULL, gst_promise_new_with_change_func(on_answer, NULL, NULL));
}

static void on_offer(GstPromise *promise, gpointer unused)
{
    GstWebRTCSessionDescription *offer = reply(promise, "offer");

    g_signal_emit_by_name(sender, "set-local-description", offer, NULL);
    g_signal_emit_by_name(receiver, "set-remote-description", offer,
                          gst_promise_new_with_change_func(on_offered, NULL, NULL));
    gst_webrtc_session_description_free(offer);
}

static void on_negotiation(GstElement *element, gpointer unused)
{
    g_signal_emit_by_name(element, "create-offer", NULL, gst_promise_new_with_change_func(on_offer, NULL, NULL));
}

static GstPadProbeReturn on_frame(GstPad *pad, GstPadProbeInfo *info, gpointer unused)
{
    if (g_atomic_int_add(&frames, 1) + 1 == FRAMES) g_main_loop_quit(loop);
    return GST_PAD_PROBE_OK;
}

static void on_pad(GstElement *element, GstPad *pad, gpointer unused)
{
    GstElement *tail = gst_parse_bin_from_description("rtpvp8depay ! vp8dec ! fakesink name=f async=false", TRUE, NULL);
    GstElement *sink = gst_bin_get_by_name(GST_BIN(tail), "f");
    GstPad *in = gst_element_get_static_pad(sink, "sink"), *first = gst_element_get_static_pad(tail, "sink");

    gst_pad_add_probe(in, GST_PAD_PROBE_TYPE_BUFFER, on_frame, NULL, NULL);
    gst_bin_add(GST_BIN(pipe_), tail);
    gst_pad_link(pad, first);
    gst_element_sync_state_with_parent(tail);
    gst_object_unref(first);
    gst_object_unref(in);
    gst_object_unref(sink);
}

static gboolean on_timeout(gpointer unused)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    GError *error = NULL;
    gchar *line;
    gint64 began;

    gst_init(&argc, &argv);
    if (argc != 2) return 2;
    line = g_strdup_printf("webrtcbin name=b %s ! vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay ! "
                           "application/x-rtp,media=video,encoding-name=VP8,payload=96 ! webrtcbin name=a", argv[1]);
    pipe_ = gst_parse_launch(line, &error);
    if (error) {
        g_printerr("%s\n", error->message);
        return 2;
    }
    loop = g_main_loop_new(NULL, FALSE);
    sender = gst_bin_get_by_name(GST_BIN(pipe_), "a");
    receiver = gst_bin_get_by_name(GST_BIN(pipe_), "b");
    g_signal_connect(sender, "on-ice-candidate", G_CALLBACK(on_candidate), receiver);
    g_signal_connect(receiver, "on-ice-candidate", G_CALLBACK(on_candidate), sender);
    g_signal_connect(sender, "on-negotiation-needed", G_CALLBACK(on_negotiation), NULL);
    g_signal_connect(receiver, "pad-added", G_CALLBACK(on_pad), NULL);
    began = g_get_monotonic_time();
    g_timeout_add_seconds(WAIT_S, on_timeout, NULL);
    gst_element_set_state(pipe_, GST_STATE_PLAYING);
    g_main_loop_run(loop);
    g_print("%d frames in %.1f s\n", g_atomic_int_get(&frames), (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC);
    gst_element_set_state(pipe_, GST_STATE_NULL);
    gst_object_unref(sender);
    gst_object_unref(receiver);
    gst_object_unref(pipe_);
    g_main_loop_unref(loop);
    g_free(line);
    return g_atomic_int_get(&frames) < FRAMES;
}
