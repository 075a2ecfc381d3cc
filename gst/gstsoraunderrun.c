/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes out in a slot of a live stream for which the content is not there yet.
 *
 *   hold      the last picture again, black before the first
 *   loop      the last chunk to and fro; where new content waits, on to the chunk's end first, so that nothing jumps
 *   stretch   content at the pace at which it is made, so that it is never used up; hold where that was guessed wrong
 *   black     black
 *   card      as hold, with a card that shows progress before the first frame
 *   block     nothing: the stream is silent until there is content
 *
 * All but the first sight of content are flagged GAP and DROPPABLE, by which a muxer or a mixer may know them.
 */
#include "config.h"

#include "gstsorasrc.h"

#define GST_CAT_DEFAULT gst_sora_debug
#define LOOP_BYTES (256 << 20)      /* of the chunk that is kept for looping */
#define CARD_STEPS 64               /* cards that are drawn on the way from 0 to 1 */

GType gst_sora_underrun_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        { GST_SORA_UNDERRUN_HOLD, "Repeat the last picture; black before the first", "hold" },
        { GST_SORA_UNDERRUN_LOOP, "Play the last chunk to and fro", "loop" },
        { GST_SORA_UNDERRUN_STRETCH, "Play content as slowly as it is made", "stretch" },
        { GST_SORA_UNDERRUN_BLACK, "Black", "black" },
        { GST_SORA_UNDERRUN_CARD, "A card with progress before the first picture, then as hold", "card" },
        { GST_SORA_UNDERRUN_BLOCK, "Nothing: the stream is silent until there is content", "block" },
        { 0, NULL, NULL },
    };

    return gst_sora_enum_type(&type, "GstSoraUnderrun", values);
}

GstSoraUnderrun gst_sora_underrun_policy(GstSoraSrc *self)
{
    GstSoraUnderrun policy;

    GST_OBJECT_LOCK(self);
    policy = self->underrun;
    GST_OBJECT_UNLOCK(self);
    return policy;
}

/* ---- loop ------------------------------------------------------------------------------------------------------- */

void gst_sora_underrun_saw(GstSoraSrc *self, const GstSoraFrame *frame)
{
    GstSoraFill *u = &self->flow.fill;

    u->turn = -1;
    if (frame->index == u->index) return;                   /* one picture may fill more than one slot */
    u->index = frame->index;
    if (frame->chunk_first) g_ptr_array_set_size(u->chunk, 0);
    else if ((u->chunk->len + 1) * GST_VIDEO_INFO_SIZE(&self->flow.master) > LOOP_BYTES && u->chunk->len)
        g_ptr_array_remove_index(u->chunk, 0);
    g_ptr_array_add(u->chunk, gst_buffer_ref(frame->buffer));
}

gboolean gst_sora_underrun_returns(GstSoraSrc *self)
{
    GstSoraFill *u = &self->flow.fill;

    if (u->turn < 0 || u->turn >= (gint)u->chunk->len - 1) return FALSE;
    if (gst_sora_underrun_policy(self) != GST_SORA_UNDERRUN_LOOP) return FALSE;
    u->back = FALSE;
    return TRUE;
}

/* The next picture of the chunk, which moves on at its own rate.  NULL: there is none to loop. */
static GstBuffer *next_of_loop(GstSoraSrc *self)
{
    const GstSoraFlow *f = &self->flow;
    GstSoraFill *u = &self->flow.fill;
    const gint last = (gint)u->chunk->len - 1;

    if (last < 1) return NULL;
    if (u->turn < 0) u->turn = last, u->back = TRUE, u->part = 0;
    if (f->out.fps_n > 0)
        u->part += (double)self->info.rate_num / self->info.rate_den * f->out.fps_d / f->out.fps_n;
    for (; u->part >= 1 - 1e-9; u->part -= 1) {
        if (u->turn == 0) u->back = FALSE;
        if (u->turn == last) u->back = TRUE;
        u->turn += u->back ? -1 : 1;
    }
    return gst_buffer_ref(g_ptr_array_index(u->chunk, u->turn));
}

/* ---- stretch ---------------------------------------------------------------------------------------------------- */

gboolean gst_sora_underrun_rests(GstSoraSrc *self, GstSoraJob *job)
{
    GstSoraFill *u = &self->flow.fill;
    const double native = (double)self->info.rate_num / self->info.rate_den;
    GstSoraStats stats;

    if (!self->flow.last_master || gst_sora_underrun_policy(self) != GST_SORA_UNDERRUN_STRETCH) return FALSE;
    gst_sora_job_get_stats(job, &stats);
    if (stats.chunk_per_s <= 0) return FALSE;
    u->pace += MIN(1.0, stats.chunk_per_s / native);
    if (u->pace < 1 - 1e-9) return TRUE;
    u->pace -= 1;
    return FALSE;
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

/* The placeholder in a frame of the stream. */
static GstFlowReturn show_picture(GstSoraSrc *self, const GstVideoInfo *info, GstBuffer *picture, GstBuffer **out)
{
    const GstVideoInfo *frame = &self->flow.out;
    const GstSoraScale scale = self->flow.scale;
    GstVideoConverter *convert;
    GstSoraPlace place;
    GstFlowReturn r;

    gst_sora_scale_place(info, frame, scale == GST_SORA_SCALE_NONE ? GST_SORA_SCALE_LETTERBOX : scale, &place);
    if (!(convert = gst_sora_scale_converter(info, frame, &place))) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("The placeholder cannot be made %s.", GST_VIDEO_INFO_NAME(frame)), (NULL));
        return GST_FLOW_ERROR;
    }
    r = gst_sora_flow_convert(self, convert, info, picture, out);
    gst_video_converter_free(convert);
    return r;
}

/* Black, or a card: drawn and converted once for each of its steps. */
static GstFlowReturn filler(GstSoraSrc *self, GstSoraJob *job, gboolean card, GstBuffer **out)
{
    GstSoraFill *u = &self->flow.fill;
    GstFlowReturn r = GST_FLOW_OK;
    GstBuffer *drawn = NULL, *picture = NULL;
    gboolean loading = FALSE;
    GstSoraStats stats;
    GstVideoInfo info;
    guint number;
    gint step = -1;

    if (card) picture = gst_sora_placeholder_ref(self, &info, &number, &loading);
    if (picture) {
        step = -2 - (gint)(number & G_MAXINT16);
    } else if (card && !loading) {
        gst_sora_job_get_stats(job, &stats);
        step = (gint)(CLAMP(stats.progress.fraction, 0, 1) * CARD_STEPS);
    }
    if (!u->filler || u->step != step) {
        gst_clear_buffer(&u->filler);
        if (!picture && !(drawn = gst_sora_card(&self->flow.master, step < 0 ? -1.0 : (double)step / CARD_STEPS))) {
            GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("Out of memory for a picture."), (NULL));
            return GST_FLOW_ERROR;
        }
        r = picture ? show_picture(self, &info, picture, &u->filler) : gst_sora_flow_render(self, drawn, &u->filler);
        gst_clear_buffer(&drawn);
        u->step = step;
    }
    gst_clear_buffer(&picture);
    if (r == GST_FLOW_OK) *out = gst_buffer_copy(u->filler);
    return r;
}

GstFlowReturn gst_sora_underrun_picture(GstSoraSrc *self, GstSoraJob *job, GstBuffer **out)
{
    GstSoraFlow *f = &self->flow;
    const GstSoraUnderrun policy = gst_sora_underrun_policy(self);
    GstBuffer *looped = policy == GST_SORA_UNDERRUN_LOOP ? next_of_loop(self) : NULL;
    GstFlowReturn r;

    if (looped) {
        r = gst_sora_flow_render(self, looped, out);
        gst_buffer_unref(looped);
        return r;
    }
    if (policy == GST_SORA_UNDERRUN_BLACK || !f->last_master)
        return filler(self, job, policy == GST_SORA_UNDERRUN_CARD, out);
    if (!f->last && (r = gst_sora_flow_render(self, f->last_master, &f->last)) != GST_FLOW_OK) return r;
    *out = gst_buffer_copy(f->last);                /* shares the memory */
    return GST_FLOW_OK;
}

void gst_sora_underrun_reset(GstSoraSrc *self)
{
    GstSoraFill *u = &self->flow.fill;

    g_ptr_array_set_size(u->chunk, 0);
    gst_clear_buffer(&u->filler);
    u->turn = -1;
    u->index = -1;
    u->pace = u->part = 0;
}

void gst_sora_underrun_new_caps(GstSoraSrc *self)
{
    gst_clear_buffer(&self->flow.fill.filler);
}
