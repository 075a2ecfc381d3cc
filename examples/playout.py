#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A channel with a generated background: lower third and clock over it, prompts on schedule, out by SRT and into files.

    examples/playout.py --srt 'srt://0.0.0.0:7001?mode=listener' --record 'show%03d.mp4'
    gst-launch-1.0 srtsrc uri='srt://HOST:7001' ! tsdemux ! decodebin ! autovideosink        # to watch it

The running order is a file of lines "SECONDS TITLE | PROMPT" (--order), or the one below.  SIGHUP reads it again, SIGINT
and SIGTERM end the recording in order.  Needs python3-gi and the base, good, bad and ugly plugins.
"""

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

ORDER = """\
0  Coast     | calm sea at dawn, slow clouds
5  Highlands | snowy mountains, clear sky
10 Valley    | green hills at noon, a red balloon drifting to the right
15 Tonight   | a city at night, snow
"""

# The encoder has its own thread; what is slow to send stands behind a queue that drops rather than holds up the rest.
PIPELINE = """
    sorasrc name=background is-live=true num-frames=0 underrun=stretch max-size-time=500000000 !
        video/x-raw,width={width},height={height},framerate={rate}/1 ! queue max-size-buffers=3 ! air.
    videotestsrc is-live=true pattern=solid-color foreground-color=0xc0102040 !
        video/x-raw,format=AYUV,width={width},height={third},framerate={rate}/1 !
        textoverlay name=title font-desc="Sans Bold 18" halignment=left valignment=center xpad=24 !
        clockoverlay time-format="%H:%M:%S" font-desc="Sans 18" halignment=right valignment=center xpad=24 !
        queue max-size-buffers=3 ! air.
    compositor name=air background=black sink_1::ypos={below} sink_1::zorder=1 !
        video/x-raw,format=AYUV,width={width},height={height},framerate={rate}/1 !
        queue max-size-buffers=5 leaky=downstream ! videoconvert ! video/x-raw,format=I420 !
        x264enc tune=zerolatency speed-preset=ultrafast bitrate=2500 key-int-max={rate} !
        h264parse ! video/x-h264,stream-format=avc,alignment=au ! tee name=out
"""


def read_order(text):
    """[(second, title, prompt)], rising."""
    order = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        head, bar, prompt = line.partition("|")
        at, _, title = head.strip().partition(" ")
        if not bar or not prompt.strip():
            raise ValueError(f'"{line}": wanted SECONDS TITLE | PROMPT')
        order.append((float(at), title.strip(), prompt.strip()))
    if not order:
        raise ValueError("the running order is empty")
    return sorted(order)


class Playout:
    def __init__(self, options):
        self.options = options
        self.loop = GLib.MainLoop()
        self.status = 0
        self.ending = False
        line = PIPELINE.format(
            width=options.width,
            height=options.height,
            rate=options.rate,
            third=options.height // 5,
            below=options.height * 7 // 10,
        )
        if options.srt:
            line += (
                "out. ! queue leaky=downstream max-size-time=2000000000 ! h264parse config-interval=1 ! mpegtsmux alignment=7 ! "
                "srtsink name=srt wait-for-connection=false "
            )
        if options.record:
            line += "out. ! queue ! splitmuxsink name=files muxer-factory=mp4mux "
        self.pipe = Gst.parse_launch(line)
        self.background, self.title = self.pipe.get_by_name("background"), self.pipe.get_by_name("title")
        if options.srt:
            self.pipe.get_by_name("srt").set_property("uri", options.srt)
        if options.record:
            sink = self.pipe.get_by_name("files")
            sink.set_property("location", options.record)
            sink.set_property("max-size-time", options.segment * Gst.SECOND)
        if options.model:
            self.background.set_property("model", options.model)
        self.load_order()
        bus = self.pipe.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.on_message)

    def load_order(self):
        text = ORDER
        if self.options.order:
            with open(self.options.order, encoding="utf-8") as f:
                text = f.read()
        self.order = read_order(text)
        self.next = 0
        return True

    def advance(self):
        """Whatever is due goes on air; before the first second the first entry does."""
        clock = self.pipe.get_clock()
        now = (clock.get_time() - self.pipe.get_base_time()) / Gst.SECOND if clock else 0
        if self.ending:
            return False
        due = [i for i, entry in enumerate(self.order) if entry[0] <= now and i >= self.next]
        if due:
            _, title, prompt = self.order[due[-1]]
            self.next = due[-1] + 1
            self.title.set_property("text", title)
            self.background.set_property("prompt", prompt)  # the picture follows with the next chunk
        return True

    def say(self):
        stats = self.background.get_property("stats")
        print(
            f"{stats.get_value('frames-generated')} frames made, {stats.get_value('frames-duplicated')} repeated, "
            f"{stats.get_value('realtime-factor'):.2f} of real time",
            flush=True,
        )
        return True

    def on_message(self, _bus, message):
        if message.type == Gst.MessageType.ERROR:
            error, debug = message.parse_error()
            print(f"{message.src.get_name()}: {error.message} ({debug})", file=sys.stderr)
            self.status = 1
            self.loop.quit()
        elif message.type == Gst.MessageType.WARNING:
            print(f"{message.src.get_name()}: {message.parse_warning()[0].message}", file=sys.stderr)
        elif message.type == Gst.MessageType.EOS:
            self.loop.quit()
        elif message.type == Gst.MessageType.LATENCY:
            self.pipe.recalculate_latency()
        elif message.type == Gst.MessageType.ELEMENT and message.get_structure().get_name() == "sora-prompt-changed":
            print(f"on air: {message.get_structure().get_string('prompt')}", flush=True)

    def end(self):
        """EOS through the muxers, so that the last file is complete; a second request does not wait for it."""
        if self.ending:
            self.loop.quit()
        self.ending = True
        self.pipe.send_event(Gst.Event.new_eos())
        return True

    def run(self):
        self.advance()
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self.end)
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGHUP, self.load_order)
        GLib.timeout_add(200, self.advance)
        if self.options.say:
            GLib.timeout_add_seconds(self.options.say, self.say)
        if self.options.seconds:
            GLib.timeout_add_seconds(self.options.seconds, self.end)
        print(f"on air: {self.order[0][2]}", flush=True)
        self.pipe.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipe.set_state(Gst.State.NULL)
        return self.status


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--srt", help="where to send, as srt://HOST:PORT?mode=caller, or listener")
    p.add_argument("--record", help="files, as show%%03d.mp4")
    p.add_argument("--segment", type=int, default=600, help="seconds of a file (600)")
    p.add_argument("--order", help="file of the running order")
    p.add_argument("--model", help="as sorasrc's property")
    p.add_argument("--width", type=int, default=640)
    p.add_argument("--height", type=int, default=360)
    p.add_argument("--rate", type=int, default=25)
    p.add_argument("--seconds", type=int, default=0, help="end after so long (0: on a signal)")
    p.add_argument("--say", type=int, default=0, help="print figures every so many seconds")
    options = p.parse_args()
    if not options.srt and not options.record:
        p.error("give --srt, --record or both")
    Gst.init(None)
    try:
        return Playout(options).run()
    except (ValueError, OSError, GLib.Error) as e:
        print(f"playout: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
