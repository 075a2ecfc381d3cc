/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clock that goes so many times as fast as the machine's, so that a pipeline has hours in minutes. */
#ifndef FAST_CLOCK_H
#define FAST_CLOCK_H

#include <gst/gst.h>

/* rate: seconds of it in a second, above 0.  It begins at 0 and knows waits that block (gst_clock_id_wait), from any
   thread, until their time or until they are unscheduled; not gst_clock_id_wait_async, which it refuses. */
GstClock *fast_clock_new(double rate);

#endif
