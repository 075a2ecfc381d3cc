# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the checks of sorasrc stand on: a pipeline that is watched at its sink, programs of GStreamer, and the figures."""

import hashlib
import os
import random
import re
import signal
import subprocess
import tempfile
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

T = "model=test/step-delay=10/rate=25 seed=1 prompt=cat"
CLIP = f"sorasrc name=s {T} num-frames=50"  # two seconds, quickly made
SLOW = "sorasrc name=s model=test/step-delay=2000/rate=25 seed=1 num-frames=0 prompt=cat"
LIVE = "sorasrc name=s model=test/step-delay=500/chunk-frames=8/rate=25 seed=1 num-frames=0 prompt=cat is-live=true"
PLAIN = "videotestsrc name=s num-buffers=50 ! video/x-raw,width=320,height=180,framerate=25/1"
PLAIN_LIVE = "videotestsrc name=s is-live=true ! video/x-raw,width=320,height=180,framerate=25/1"
FREI0R = "frei0r-src-test-pat-b name=s ! video/x-raw,width=320,height=180,framerate=25/1"
SINK = "fakesink name=k"
X264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25"


class Skip(Exception):
    pass


def need(*elements):
    for e in elements:
        if not Gst.ElementFactory.find(e):
            raise Skip(f"no element {e}")


def have(element):
    return Gst.ElementFactory.find(element) is not None


def ms(seconds):
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def limit(baseline=0.0):
    """What a call may take: 200 ms, and more where the machine is so busy that videotestsrc takes its time as well."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return 0.2 * max(1.0, min(load, 6)) + 4 * baseline


class Watched:
    """A pipeline with a sink k: what arrives there, and what the bus says."""

    def __init__(self, line, sums=False, sink=None):
        """sink: for a player, which gets it as its video-sink."""
        self.pipe = Gst.parse_launch(line)
        self.bus = self.pipe.get_bus()
        self.buffers, self.events, self.messages = [], [], []
        self.sums = sums
        k = Gst.parse_bin_from_description(sink, True) if sink else self.get("k")
        if sink:
            self.pipe.set_property("video-sink", k)
        pad = k.get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, self._buffer)
        pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._event)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.set_state(Gst.State.NULL)

    def _buffer(self, _pad, info):
        b = info.get_buffer()
        md5 = None
        if self.sums:
            ok, m = b.map(Gst.MapFlags.READ)
            md5 = hashlib.md5(m.data).hexdigest()
            b.unmap(m)
        self.buffers.append((b.pts, b.duration, b.has_flags(Gst.BufferFlags.GAP), md5, time.time()))
        return Gst.PadProbeReturn.OK

    def _event(self, _pad, info):
        e = info.get_event()
        s = e.get_structure()
        self.events.append(
            (e.type, s.get_name() if s else "", s.get_string("prompt") if s and s.has_field("prompt") else None)
        )
        return Gst.PadProbeReturn.OK

    def get(self, name):
        return self.pipe.get_by_name(name)

    def timed(self, f):
        """Seconds that a call takes."""
        begin = time.time()
        f()
        return time.time() - begin

    def state(self, name):
        return self.timed(lambda: self.pipe.set_state(getattr(Gst.State, name)))

    def seek(self, rate, start, stop, flags=Gst.SeekFlags.FLUSH):
        self.buffers.clear()
        return self.timed(
            lambda: self.pipe.seek(
                rate,
                Gst.Format.TIME,
                flags | Gst.SeekFlags.ACCURATE,
                Gst.SeekType.SET,
                int(start * 1e9),
                Gst.SeekType.SET,
                int(stop * 1e9),
            )
        )

    def prerolled(self, seconds=20):
        assert self.pipe.get_state(int(seconds * 1e9))[0] == Gst.StateChangeReturn.SUCCESS, "no preroll"

    def until(self, kind, seconds=30):
        """Seconds until a message of this kind; an error fails the check."""
        begin = time.time()
        while time.time() - begin < seconds:
            m = self.bus.timed_pop(int(0.1 * 1e9))
            if not m:
                continue
            self.messages.append(m)
            if m.type == Gst.MessageType.LATENCY:
                self.pipe.recalculate_latency()
            if m.type == kind:
                return time.time() - begin
            assert m.type != Gst.MessageType.ERROR, m.parse_error()[0].message
        raise AssertionError(f"no {Gst.MessageType.get_name(kind)} in {seconds} s")

    def wait(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            m = self.bus.timed_pop(int(max(0, end - time.time()) * 1e9))
            if m:
                self.messages.append(m)
                if m.type == Gst.MessageType.LATENCY:
                    self.pipe.recalculate_latency()
                assert m.type != Gst.MessageType.ERROR, m.parse_error()[0].message

    def named(self, name):
        return [m for m in self.messages if m.get_structure() and m.get_structure().get_name() == name]

    def of(self, kind):
        return [m for m in self.messages if m.type == kind]

    def prompts(self):
        """Those that frames have shown."""
        return [e[2] for e in self.events if e[1] == "sora-prompt"]

    def pts(self):
        return [b[0] for b in self.buffers]

    def gap(self):
        """The longest time between two buffers, seconds."""
        return max([b[4] - a[4] for a, b in zip(self.buffers, self.buffers[1:])] or [0])

    def stats(self, element="s"):
        s = self.get(element).get_property("stats")
        return {s.nth_field_name(i): s.get_value(s.nth_field_name(i)) for i in range(s.n_fields())}


def contiguous(buffers):
    for a, b in zip(buffers, buffers[1:]):
        assert a[0] + a[1] == b[0], f"a gap in time: {a[0]} + {a[1]}, then {b[0]}"


class Ran:
    def __init__(self, rc, out, seconds):
        self.rc, self.out, self.seconds = rc, out, seconds


def run(line, rc=0, timeout=60, sigint=None, env=None, cwd=None, quiet=True):
    """A shell command.  sigint: send SIGINT after so many seconds; `seconds` is then what the end took."""
    full = dict(os.environ, LC_ALL="C", **(env or {}))
    p = subprocess.Popen(
        ["bash", "-c", "exec " + line if sigint else line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=full,
        cwd=cwd,
        start_new_session=True,
    )
    begin = time.time()
    try:
        if sigint:
            time.sleep(sigint)
            begin = time.time()
            os.kill(p.pid, signal.SIGINT)
        out = p.communicate(timeout=timeout)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out = p.communicate()[0].decode("utf-8", "replace")
        raise AssertionError(f"no end in {timeout} s: {line}\n{out[-1500:]}") from None
    seconds = time.time() - begin
    assert not (quiet and re.search(r"CRITICAL|GStreamer-WARNING|GLib-GObject-WARNING", out)), out[-1500:]
    assert rc is None or p.returncode == rc, f"exit status {p.returncode}: {line}\n{out[-1500:]}"
    return Ran(p.returncode, out, seconds)


def launch(line, options="-q", **more):
    return run(f"gst-launch-1.0 {options} {line}", **more)


def program(name):
    if not any(os.access(os.path.join(d, name), os.X_OK) for d in os.environ["PATH"].split(":")):
        raise Skip(f"no program {name}")


def probe(path, entries, stream="v"):
    program("ffprobe")
    return run(
        f"ffprobe -v error -select_streams {stream} -count_frames -show_entries stream={entries} -of csv=p=0 '{path}'"
    ).out.strip()


def duration(path):
    program("gst-discoverer-1.0")
    m = re.search(r"Duration: *(\d+):(\d+):([\d.]+)", run(f"gst-discoverer-1.0 '{path}'").out)
    assert m, f"no duration of {path}"
    return int(m[1]) * 3600 + int(m[2]) * 60 + float(m[3])


def rss(pid="self"):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def folder():
    return tempfile.TemporaryDirectory(prefix="sora-check-")


def pause(low, high):
    time.sleep(random.uniform(low, high))
