/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fast_clock.h"

#include <math.h>

G_DECLARE_FINAL_TYPE(FastClock, fast_clock, FAST, CLOCK, GstClock)

struct _FastClock {
    GstClock parent;
    double   rate;
    gint64   began_us;      /* of g_get_monotonic_time() */
    GMutex   lock;          /* of the status of every entry that waits */
    GCond    cond;          /* one of them was unscheduled */
};

G_DEFINE_TYPE(FastClock, fast_clock, GST_TYPE_CLOCK)

static GstClockTime internal_time(GstClock *clock)
{
    const FastClock *self = FAST_CLOCK(clock);

    return (GstClockTime)((double)(g_get_monotonic_time() - self->began_us) * 1000 * self->rate);
}

static GstClockTime resolution(GstClock *clock)
{
    const FastClock *self = FAST_CLOCK(clock);

    return (GstClockTime)ceil(1000 * self->rate);
}

/* What GstSystemClock does: EARLY where the time has passed already, UNSCHEDULED also where that came before. */
static GstClockReturn wait_until(GstClock *clock, GstClockEntry *entry, GstClockTimeDiff *jitter)
{
    FastClock *self = FAST_CLOCK(clock);
    const GstClockTime due = GST_CLOCK_ENTRY_TIME(entry);
    GstClockTime now = gst_clock_get_time(clock);
    GstClockReturn r = now < due ? GST_CLOCK_OK : GST_CLOCK_EARLY;

    if (jitter) *jitter = GST_CLOCK_DIFF(due, now);
    g_mutex_lock(&self->lock);
    while (GST_CLOCK_ENTRY_STATUS(entry) != GST_CLOCK_UNSCHEDULED && now < due) {
        GST_CLOCK_ENTRY_STATUS(entry) = GST_CLOCK_BUSY;
        g_cond_wait_until(&self->cond, &self->lock,
                          g_get_monotonic_time() + (gint64)ceil((double)(due - now) / self->rate / 1000));
        now = gst_clock_get_time(clock);
    }
    if (GST_CLOCK_ENTRY_STATUS(entry) == GST_CLOCK_UNSCHEDULED) r = GST_CLOCK_UNSCHEDULED;
    GST_CLOCK_ENTRY_STATUS(entry) = r;
    g_mutex_unlock(&self->lock);
    return r;
}

static void unschedule(GstClock *clock, GstClockEntry *entry)
{
    FastClock *self = FAST_CLOCK(clock);

    g_mutex_lock(&self->lock);
    GST_CLOCK_ENTRY_STATUS(entry) = GST_CLOCK_UNSCHEDULED;
    g_cond_broadcast(&self->cond);
    g_mutex_unlock(&self->lock);
}

static void finalize(GObject *object)
{
    FastClock *self = FAST_CLOCK(object);

    g_mutex_clear(&self->lock);
    g_cond_clear(&self->cond);
    G_OBJECT_CLASS(fast_clock_parent_class)->finalize(object);
}

static void fast_clock_class_init(FastClockClass *klass)
{
    GstClockClass *c = GST_CLOCK_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = finalize;
    c->get_internal_time = internal_time;
    c->get_resolution = resolution;
    c->wait = wait_until;
    c->unschedule = unschedule;
}

static void fast_clock_init(FastClock *self)
{
    g_mutex_init(&self->lock);
    g_cond_init(&self->cond);
    self->rate = 1;
    self->began_us = g_get_monotonic_time();
    GST_OBJECT_FLAG_SET(self, GST_CLOCK_FLAG_CAN_DO_SINGLE_SYNC | GST_CLOCK_FLAG_CAN_DO_PERIODIC_SYNC);
}

GstClock *fast_clock_new(double rate)
{
    FastClock *self = g_object_new(fast_clock_get_type(), NULL);

    gst_object_ref_sink(self);
    self->rate = rate;
    return GST_CLOCK(self);
}
