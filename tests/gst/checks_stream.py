# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stream: seeks, length, live pace, formats, colours, pictures, tags."""

import hashlib
import random
import re
import time

from rig import (
    CLIP,
    LIVE,
    PLAIN,
    PLAIN_LIVE,
    SINK,
    SLOW,
    T,
    X264,
    Gst,
    Watched,
    contiguous,
    folder,
    launch,
    limit,
    ms,
    need,
    program,
    run,
)

FLUSH, SEGMENT, NONE = Gst.SeekFlags.FLUSH, Gst.SeekFlags.SEGMENT, Gst.SeekFlags.NONE


def seekable(p):
    q = Gst.Query.new_seeking(Gst.Format.TIME)
    return p.get("s").query(q) and q.parse_seeking()[1]


# ---- Seeks and length ----


def seek_clip(line):
    """(seconds of the call, PTS in ms) of 0.5 to 1.0 s, forward and backward."""
    with Watched(f"{line} ! {SINK}") as p:
        p.state("PAUSED")
        p.prerolled()
        assert seekable(p)
        took = p.seek(1, 0.5, 1.0)
        p.state("PLAYING")
        p.until(Gst.MessageType.EOS)
        forward = [t // 10**6 for t in p.pts()]
        took = max(took, p.seek(-1, 0, 1))
        p.until(Gst.MessageType.EOS)
        return took, forward, [t // 10**6 for t in p.pts()]


def A11_seek():
    """A clip seeks like videotestsrc, forward and backward, and makes nothing twice"""
    base, f0, b0 = seek_clip(PLAIN)
    took, forward, backward = seek_clip(CLIP)
    assert len(forward) == 13 and forward[0] == 480 and forward[-1] == 960, forward
    assert len(backward) <= 26 and backward == sorted(backward, reverse=True) and backward[-1] == 0, backward
    assert took < limit(base), ms(took)
    with Watched(f"{CLIP} ! {SINK}", sums=True) as p:
        p.state("PLAYING")
        p.until(Gst.MessageType.EOS)
        first = [b[3] for b in p.buffers]
        p.seek(1, 0, 2)
        p.until(Gst.MessageType.EOS)
        assert first == [b[3] for b in p.buffers], "other pictures after a seek"
        assert p.stats()["frames-generated"] == 50, p.stats()
    return f"{len(forward)} and {len(backward)} frames (videotestsrc {len(f0)} and {len(b0)}), call {ms(took)} ({ms(base)})"


def A12_segments():
    """Segment loops without a hole, seeks at random, seeks ahead of what is made"""
    with Watched(f"{CLIP} ! {SINK}") as p:
        p.state("PAUSED")
        p.prerolled()
        p.seek(1, 0, 0.5, FLUSH | SEGMENT)
        p.state("PLAYING")
        for i in range(10):
            p.until(Gst.MessageType.SEGMENT_DONE, 10)
            assert len(p.buffers) == 13, (i, len(p.buffers))
            p.seek(1, 0, 0.5, SEGMENT if i % 2 else SEGMENT | FLUSH)
        p.until(Gst.MessageType.SEGMENT_DONE, 10)
        p.seek(1, 1.96, 2)
        p.until(Gst.MessageType.EOS)
        assert len(p.buffers) == 1, "the last frame"
        random.seed(5)
        worst = max(
            p.seek(random.choice([1, 1, -1, 2]), a, a + random.uniform(0.05, 1))
            for a in [random.uniform(0, 1.9) for _ in range(100)]
        )
        p.until(Gst.MessageType.EOS)
    with Watched(f"{SLOW.replace('num-frames=0', 'num-frames=50')} ! {SINK}") as p:
        p.state("PLAYING")
        p.wait(0.3)
        ahead = p.seek(1, 1.5, 2)
        p.wait(0.2)
        ahead = max(ahead, p.seek(1, 0, 2), p.state("NULL"))
    assert max(worst, ahead) < limit(), (ms(worst), ms(ahead))
    return f"10 loops of 13 frames; 100 seeks, slowest {ms(worst)}; ahead of what is made {ms(ahead)}"


def A13_length():
    """Duration before the first frame, none where the stream is endless, no imperfection, downstream may end it"""
    with Watched(f"{SLOW.replace('num-frames=0', 'num-frames=50')} ! {SINK}") as p:
        p.state("PAUSED")
        p.wait(0.1)
        assert p.pipe.query_duration(Gst.Format.TIME) == (True, 2 * Gst.SECOND)
        assert p.get("s").query_duration(Gst.Format.DEFAULT) == (True, 50)
    with Watched(f"{SLOW} ! {SINK}") as p:
        p.state("PAUSED")
        p.wait(0.1)
        assert p.pipe.query_duration(Gst.Format.TIME)[1] in (-1, 0)
        assert not seekable(p)
    out = launch(f"{CLIP} ! identity check-imperfect-timestamp=true check-imperfect-offset=true ! fakesink", "-m").out
    assert "imperfect" not in out
    for end in ("identity eos-after=5 ! fakesink", "fakesink num-buffers=5"):
        launch(f"sorasrc {T} num-frames=0 ! {end}", timeout=20)
    return "2.000 s of 50 frames"


# ---- Live ----


def A14_live_state():
    """Live: NO_PREROLL, latency of one frame; not live: none"""
    figures = {}
    for name, line in (("sorasrc", LIVE), ("videotestsrc", PLAIN_LIVE)):
        with Watched(f"{line} ! {SINK} sync=true") as p:
            assert p.pipe.set_state(Gst.State.PAUSED) == Gst.StateChangeReturn.NO_PREROLL
            p.state("PLAYING")
            p.wait(0.7)
            q = Gst.Query.new_latency()
            assert p.get("s").query(q)
            figures[name] = q.parse_latency()
    assert figures["sorasrc"][0] and figures["sorasrc"][1] == 40 * Gst.MSECOND == figures["videotestsrc"][1], figures
    with Watched(f"{CLIP} ! {SINK}") as p:
        p.state("PLAYING")
        q = Gst.Query.new_latency()
        assert p.get("s").query(q) and q.parse_latency()[:2] == (False, 0), q.parse_latency()
    return "40 ms, as videotestsrc"


def live(line, seconds):
    with Watched(f"{line} ! {SINK} sync=true qos=true max-lateness=20000000", sums=True) as p:
        p.state("PLAYING")
        p.wait(seconds)
        sink = p.get("k").get_property("stats")
        return p, sink.get_value("dropped"), len(p.buffers), p.gap()


def A15_live_pace():
    """At a sixth of real time into a sink that drops what is late: a buffer in each slot, chunks at their own pace"""
    _, d0, n0, g0 = live(PLAIN_LIVE, 4)
    p, dropped, n, gap = live(LIVE, 10)
    held = sum(b[2] for b in p.buffers)
    assert n >= 240 * min(1, n0 / 98) - 4, (n, n0)
    assert dropped <= 2 * d0, (dropped, d0)
    assert gap < 0.08 + 2 * g0, (ms(gap), ms(g0))
    assert 100 < held < n, held
    content = [b for b in p.buffers if not b[2]]
    assert len({b[3] for b in content}) == len(content), "a frame of content was shown twice"
    runs = [b[0] - a[0] for a, b in zip(content, content[1:])]
    at_pace = sum(r <= 41 * 10**6 for r in runs)
    assert at_pace >= len(content) * 6 // 8 - 3, (at_pace, len(content))
    return (
        f"{n} buffers in 10 s, {held} of them held, {dropped} dropped, longest gap {ms(gap)}; "
        f"videotestsrc {n0} in 4 s, {d0} dropped, {ms(g0)}"
    )


def A15_first():
    """The first buffer of a live stream whose first frame takes seconds"""

    def first(line):
        import time

        with Watched(f"{line} ! {SINK} sync=true") as p:
            begin = time.time()
            p.state("PLAYING")
            while not p.buffers and time.time() < begin + 5:
                p.wait(0.005)
            return p.buffers[0][4] - begin

    took = {u: first(f"{SLOW} is-live=true underrun={u}") for u in ("hold", "card")}
    base = first(PLAIN_LIVE)
    assert max(took.values()) < 0.1 + limit(base) / 2, took
    return ", ".join(f"{u} {ms(t)}" for u, t in took.items()) + f", videotestsrc {ms(base)}"


def stalled(line):
    """Buffers that leave within 200 ms after downstream blocked for two seconds, and the latest of them."""
    import time

    with Watched(f"{line} ! {SINK} sync=false") as p:
        state = {"n": 0}

        def block(_pad, _info):
            state["n"] += 1
            if state["n"] == 20:
                time.sleep(2)
                state["end"] = time.time()
            return Gst.PadProbeReturn.OK

        p.get("k").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, block)
        p.state("PLAYING")
        p.wait(4)
        after = [b for b in p.buffers if b[4] >= state["end"] - 0.01]
        return sum(b[4] < state["end"] + 0.2 for b in after)


def A15_no_burst():
    """Downstream blocks for two seconds: the slots of that time are left out"""
    took, base = stalled(LIVE), stalled(PLAIN_LIVE)
    assert took <= 10, took
    return f"{took} buffers in the 200 ms after it, videotestsrc {base}"


def picture(folder, name, encoder, caps="format=RGB", color=0xFFFF0000, width=100, height=100):
    path = f"{folder}/{name}"
    launch(
        f"videotestsrc num-buffers=1 pattern=solid-color foreground-color={color} ! "
        f"video/x-raw,{caps},width={width},height={height} ! {encoder} ! filesink location={path}"
    )
    return path


def cards(path, n=12, then=None, more=""):
    """The last of n pictures before the first frame, as [row][pixel] of RGB, 320x180; and how many warnings came."""
    pipe = Gst.parse_launch(
        "sorasrc name=s model=test/load-delay=60000/rate=25 prompt=cat is-live=true underrun=card "
        f"placeholder-location={path} {more} ! video/x-raw,format=RGB,width=320,height=180 ! appsink name=a max-buffers=2"
    )
    pipe.set_state(Gst.State.PLAYING)
    try:
        for i in range(n):
            sample = pipe.get_by_name("a").emit("try-pull-sample", 5 * Gst.SECOND)
            assert sample, f"picture {i} did not come"
            if i == 3 and then:
                pipe.get_by_name("s").set_property("placeholder-location", then)
        b = sample.get_buffer()
        data = b.extract_dup(0, b.get_size())
        warnings = 0
        while pipe.get_bus().pop_filtered(Gst.MessageType.WARNING):
            warnings += 1
    finally:
        pipe.set_state(Gst.State.NULL)
    return [[tuple(data[y * 960 + 3 * x : y * 960 + 3 * x + 3]) for x in range(320)] for y in range(180)], warnings


def A41_placeholder():
    """placeholder-location: PNG and JPEG pictures, as scale-mode says; what is damaged is one warning and the card"""
    need("pngenc", "pngdec", "jpegenc", "jpegdec")

    def near(a, b):
        return max(abs(x - y) for x, y in zip(a, b)) < 24

    black, red, blue = (0, 0, 0), (255, 0, 0), (0, 0, 255)
    with folder() as d:
        png = picture(d, "a.png", "pngenc")
        jpeg = picture(d, "a.jpeg", "jpegenc", "format=I420", 0xFF0000FF)
        clear = picture(d, "clear.png", "pngenc", "format=RGBA", 0x00FF0000)
        huge = picture(d, "huge.png", "pngenc", width=6000, height=5000)
        for path, colour in ((png, red), (jpeg, blue), (clear, black), (huge, red)):
            rows, warnings = cards(path, n=12 if path != huge else 120)
            side = 70 if path != huge else 52
            assert near(rows[90][160], colour) and warnings == 0, (path, rows[90][160], warnings)
            assert rows[90][side - 2] == black and rows[90][319 - side + 2] == black, (path, rows[90][side - 2])
            assert near(rows[2][160], colour) and near(rows[177][side + 2], colour), (path, rows[2][160])
        rows, _ = cards(png, more="scale-mode=crop")
        assert near(rows[0][0], red) and near(rows[179][319], red), rows[0][0]
        rows, _ = cards(png, more="scale-mode=none")
        assert rows[0][0] == black and near(rows[90][160], red), rows[90][160]
        rows, _ = cards(png, then=jpeg, n=20)
        assert near(rows[90][160], blue), rows[90][160]
        with open(huge, "rb") as f:
            start = f.read(300)
        with open(d + "/cut.png", "wb") as f:
            f.write(start)
        rows, warnings = cards(d + "/cut.png")
        assert warnings == 1 and max(max(p) for row in rows for p in row) > 100, warnings
        random.seed(1)
        with open(jpeg, "rb") as f:
            whole = f.read()
        for i in range(10):
            with open(d + "/bad.jpeg", "wb") as f:
                bad = bytearray(whole)
                for _ in range(20):
                    bad[random.randrange(len(bad))] = random.randrange(256)
                f.write(bad)
            _, warnings = cards(d + "/bad.jpeg", n=3)
            assert warnings <= 1, warnings
    return "PNG, JPEG, alpha, 30 million pixels, cut, 10 damaged"


def A16_players():
    """Slower than real time on a screen: prebuffer plays through, queue2 buffers, neither drops"""
    drop = {}
    for mode in ("none", "auto"):
        with Watched(
            f"sorasrc name=s model=test/step-delay=100/rate=25 seed=1 num-frames=50 prompt=cat prebuffer={mode} ! "
            f"{SINK} sync=true qos=true max-lateness=20000000"
        ) as p:
            p.state("PAUSED")
            p.prerolled()
            p.state("PLAYING")
            p.until(Gst.MessageType.EOS)
            drop[mode] = p.get("k").get_property("stats").get_value("dropped")
    assert drop["auto"] <= 1 < drop["none"], drop
    out = launch(
        "sorasrc model=test/step-delay=50/rate=25 prompt=cat num-frames=40 ! queue2 use-buffering=true "
        "max-size-time=1000000000 max-size-bytes=0 max-size-buffers=0 ! fakesink sync=true",
        "",
    ).out
    assert "buffering" in out.lower(), out[-300:]
    return f"dropped {drop['none']} of 50 without, {drop['auto']} with prebuffer=auto"


def A42_buffering():
    """use-buffering: a player that pauses by the messages shows every frame, slower than real time; so does gst-launch"""
    line = (
        "sorasrc name=s model=test/step-delay=60/chunk-frames=4/rate=25 seed=1 num-frames=100 prompt=cat "
        f"use-buffering=true ! {SINK} sync=true qos=true max-lateness=20000000"
    )
    with Watched(line) as p:
        p.state("PAUSED")
        pauses, last, begin = 0, -1, time.time()
        while True:
            m = p.bus.timed_pop(30 * Gst.SECOND)
            assert m and m.type != Gst.MessageType.ERROR, m and m.parse_error()[0].message
            if m.type == Gst.MessageType.EOS:
                break
            if m.type != Gst.MessageType.BUFFERING:
                continue
            percent = m.parse_buffering()
            if percent < 100 and last in (-1, 100):
                pauses += 1
                p.state("PAUSED")
            elif percent == 100:
                p.state("PLAYING")
            last = percent
        seconds = time.time() - begin
        dropped = p.get("k").get_property("stats").get_value("dropped")
        frames = len({b[0] for b in p.buffers})
    assert frames == 100 and pauses >= 2 and last == 100, (frames, pauses, last)
    assert dropped <= pauses // 2, (dropped, pauses)  # one where the machine is late to pause
    out = launch(line, "").out
    assert "buffering" in out, out[-500:]
    return f"100 frames in {seconds:.1f} s, {pauses} pauses, {dropped} dropped"


def A17_watchdog():
    """A watchdog that barks after half a second of silence does not bark"""
    need("watchdog")
    out = launch(f"{SLOW} is-live=true ! watchdog timeout=500 ! fakesink", rc=None, sigint=6).out
    assert "Watchdog" not in out and "ERROR" not in out, out[-300:]
    return "6 s, a step takes 2 s"


# ---- Formats ----


def A18_formats():
    """Every raw format, at a size off every grid, in a pipeline"""
    out = run("gst-inspect-1.0 sorasrc").out
    formats = re.search(r"format: \{(.*?)\}", out, re.S)[1]
    names = [f.strip().replace("(string)", "") for f in formats.split(",")]
    for f in names:
        with Watched(
            f"sorasrc {T} num-buffers=2 ! video/x-raw,format={f},width=322,height=242 ! videoconvert ! "
            f"video/x-raw,format=RGB ! {SINK}"
        ) as p:
            p.state("PLAYING")
            p.until(Gst.MessageType.EOS, 10)
            assert len(p.buffers) == 2, f
    for caps in ("I420,width=1,height=1", "RGB,width=17,height=33", "NV12,width=4096,height=2160"):
        launch(f"sorasrc {T} num-buffers=2 ! video/x-raw,format={caps} ! fakesink")
    launch(f"sorasrc {T} ! video/x-raw,width=0 ! fakesink", rc=1)
    launch(
        f"sorasrc {T} num-buffers=5 ! video/x-raw,format=I420,width=322,height=242 ! videocrop left=2 ! {X264} ! fakesink"
    )
    return f"{len(names)} formats"


def A20_caps():
    """Size, rate, shape and colours are stated; the matrix that is asked for is the one used"""
    out = launch(f"sorasrc {T} num-buffers=1 ! fakesink", "-v").out
    caps = re.search(r"GstSoraSrc:sorasrc0.GstPad:src: caps = (.*)", out)[1]
    for part in (
        "width=(int)320",
        "framerate=(fraction)25/1",
        "pixel-aspect-ratio=(fraction)1/1",
        "interlace-mode=(string)progressive",
        "colorimetry=(string)bt709",
        "chroma-site=(string)mpeg2",
    ):
        assert part in caps, (part, caps)
    sums = {}
    for matrix in ("bt601", "bt709"):
        got = launch(
            f"sorasrc {T} num-buffers=1 ! video/x-raw,format=RGB ! videoconvert dither=none ! "
            f"video/x-raw,format=Y444,colorimetry={matrix} ! checksumsink hash=md5"
        ).out
        own = launch(
            f"sorasrc {T} num-buffers=1 ! video/x-raw,format=Y444,colorimetry={matrix} ! checksumsink hash=md5"
        ).out
        sums[matrix] = (got.split()[-1], own.split()[-1])
    assert sums["bt601"][1] != sums["bt709"][1], "one matrix for both"
    return caps.replace("(string)", "").replace("(int)", "").replace("(fraction)", "")[:100]


def A20_renegotiate():
    """Other caps in the middle: new caps before the buffer that has them, time goes on, nothing is made again"""
    line = "sorasrc name=s model=test/step-delay=40/rate=25 seed=1 prompt=cat num-frames=50"
    with Watched(f"{line} ! capsfilter name=c ! {SINK} sync=true") as p:
        p.state("PLAYING")
        p.wait(0.6)
        p.get("c").set_property("caps", Gst.Caps.from_string("video/x-raw,format=NV12,width=640,height=360"))
        p.until(Gst.MessageType.EOS)
        contiguous(p.buffers)
        assert len(p.buffers) == 50 and p.stats()["frames-generated"] == 50, len(p.buffers)
        assert sum(e[0] == Gst.EventType.CAPS for e in p.events) == 2, "caps"
    return "2 caps, 50 frames, 50 made"


def A21_determinism():
    """The same pictures whatever threads and pool are; others with another seed"""

    def total(line):
        return hashlib.md5(launch(f"{line} ! checksumsink hash=md5").out.encode()).hexdigest()

    one = total(CLIP)
    assert (
        one
        == total(f"{CLIP} threads=1")
        == total(f"{CLIP} max-size-buffers=1")
        == total(f"{CLIP} is-live=false tags=none")
    )
    assert one != total(CLIP.replace("seed=1", "seed=2")) and one != total(CLIP.replace("cat", "dog"))
    pocket = "sorasrc prompt=\"a red balloon over green hills\" num-frames=8 steps=2 seed=3"
    a, b = total(f"{pocket} threads=1"), total(f"{pocket} threads=2")
    assert a == b, "pocket: other pictures with two threads"
    return "model test and pocket, threads 1 and 2"


def A33_still():
    """framerate=0/1 is one picture and EOS"""
    need("pngenc")
    with folder() as d:
        launch(f"{CLIP} ! video/x-raw,framerate=0/1 ! videoconvert ! pngenc ! filesink location={d}/a.png")
        with open(f"{d}/a.png", "rb") as f:
            data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(data[16:20], "big") == 320, data[:24]
    return f"a PNG of {len(data)} bytes"


# ---- Tags ----


def A22_tags():
    """Containers keep the title and say that a model made it; tags=minimal has no prompt, tags=none nothing"""
    need("mp4mux", "matroskamux", "webmmux", "vp8enc", "x264enc", "splitmuxsink")
    program("gst-discoverer-1.0")
    kept = []
    with folder() as d:
        for name, enc in (
            ("mp4", f"{X264} ! mp4mux"),
            ("mkv", f"{X264} ! matroskamux"),
            ("webm", "vp8enc deadline=1 ! webmmux"),
        ):
            for tags in ("full", "minimal", "none"):
                path = f"{d}/{tags}.{name}"
                launch(
                    f"sorasrc {T.replace('prompt=cat', 'prompt=catalpa')} num-frames=10 tags={tags} ! {enc} ! filesink location={path}"
                )
                text = run(f"gst-discoverer-1.0 -v '{path}'").out
                text = text.replace(path, "")
                assert ("trainedAlgorithmicMedia" in text) == (tags != "none"), (name, tags)
                assert ("catalpa" in text) == (tags == "full"), (name, tags)
            kept.append(name)
    return "kept by " + ", ".join(kept)
