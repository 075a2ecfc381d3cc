#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""live-soak.py [SECONDS [MODEL [EVERY]]]: a live sorasrc for so long (600), with another prompt every EVERY seconds (60).

Prints a line for each tenth of it: memory, threads and files of the process, pictures that went out and were made, slots that were
filled because the next picture was not there, and how far the last time stamp is from the clock.  No test: it takes its time.
"""
import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

PROMPTS = ("calm sea at sunset, slow clouds", "a red balloon over green hills", "snowy mountains at dawn",
           "a blue boat on the sea at night", "a yellow lantern in the city at night")


def main(seconds=600.0, model="pocket", every=60.0):
    Gst.init(None)
    pipe = Gst.parse_launch(f"sorasrc name=s is-live=true num-frames=0 model={model} post-messages=false ! fakesink name=k sync=true")
    src, sink, late = pipe.get_by_name("s"), pipe.get_by_name("k"), [0.0]
    src.set_property("prompt", PROMPTS[0])

    def seen(pad, info):
        clock = pipe.get_clock()
        if clock:
            late[0] = (clock.get_time() - pipe.get_base_time() - info.get_buffer().pts) / Gst.SECOND
        return Gst.PadProbeReturn.OK

    sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, seen)
    pipe.set_state(Gst.State.PLAYING)
    began, said, turn = time.time(), 0, 1
    print("second MiB threads files pushed made filled dropped behind_ms")
    while said < 10:
        now = time.time() - began
        message = pipe.get_bus().timed_pop_filtered(Gst.SECOND // 2, Gst.MessageType.ERROR | Gst.MessageType.EOS)
        if message:
            raise SystemExit(f"ended after {now:.0f} s: {message.parse_error() if message.type == Gst.MessageType.ERROR else 'EOS'}")
        if now >= turn * every:
            src.set_property("prompt", PROMPTS[turn % len(PROMPTS)])
            turn += 1
        if now >= (said + 1) * seconds / 10:
            said += 1
            stats = src.get_property("stats")
            with open("/proc/self/statm") as f:
                memory = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            numbers = [stats.get_value(k) for k in ("frames-pushed", "frames-generated", "frames-duplicated", "slots-dropped")]
            print(f"{now:.0f} {memory:.1f} {len(os.listdir('/proc/self/task'))} {len(os.listdir('/proc/self/fd'))}", *numbers,
                  f"{1000 * late[0]:.1f}", flush=True)
    pipe.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main(*[t(a) for t, a in zip((float, str, float), sys.argv[1:])])
