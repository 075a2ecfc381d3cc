# SPDX-License-Identifier: LGPL-2.1-or-later
"""Registration, states, interruption, messages, memory: what an element owes to its pipeline."""

import ctypes
import difflib
import os
import random
import re
import threading
import time

from rig import (
    CLIP,
    FREI0R,
    LIVE,
    PLAIN,
    PLAIN_LIVE,
    SINK,
    SLOW,
    T,
    X264,
    Gst,
    Watched,
    duration,
    folder,
    have,
    launch,
    limit,
    ms,
    need,
    pause,
    program,
    rss,
    run,
)


def A01_inspect():
    """gst-inspect-1.0 says what it always said"""
    golden = os.path.join(os.environ["SORA_SOURCE"], "tests", "gst", "sorasrc.inspect")
    text = inspect_text()
    with open(golden, encoding="utf-8") as f:
        want = f.read()
    if text != want:
        diff = "\n".join(
            list(difflib.unified_diff(want.splitlines(), text.splitlines(), "golden", "now", lineterm="", n=0))[:30]
        )
        raise AssertionError(f"see tests/gst/sorasrc.inspect\n{diff}")
    run("gst-inspect-1.0 --exists --atleast-version=0.1 sorasrc")
    return f"{len(want.splitlines())} lines"


def inspect_text():
    """Without what depends on the place, the machine or the minor version of GStreamer."""
    out = run("gst-inspect-1.0 --no-colors sorasrc").out
    lines, formats = [], False
    for line in out.splitlines():
        if re.search(r"Filename|Source release date|Binary package|peak-rss|^ +[0-9.]+$", line):
            continue
        formats = formats or "format: {" in line
        if formats:  # the list is GStreamer's, and grows with it
            if "format: {" in line:
                lines.append(re.sub(r"\{.*", "{ every raw format }", line))
            formats = "}" not in line
            continue
        lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def A02_registry():
    """Found by name and by URI; loading the plugin opens no model and leaves no thread"""
    out = run("gst-inspect-1.0 --print-plugin-auto-install-info sora").out.split()
    assert sorted(out) == ["element-sorasrc", "urisource-sora"], out
    program("strace")
    with folder() as d:
        trace = run(
            "strace -f -e trace=openat,clone,clone3 gst-inspect-1.0 sorasrc >/dev/null",
            env={"GST_REGISTRY": d + "/r", "GST_REGISTRY_1_0": d + "/r"},
        ).out
    opened = re.findall(r"^.*(?:safetensors|gguf|model_index).*$", trace, re.M)
    assert not opened, opened[:3]
    return "0 files of models opened"


def A03_leaks():
    """Nothing is left over, whichever way it ends"""
    ends = {
        "clip": f"{CLIP} ! fakesink",
        "converted": f"{CLIP} ! video/x-raw,format=BGRx,width=64,height=64 ! fakesink",
        "error": "sorasrc model=test/fail=step prompt=x ! fakesink",
        "no model": "sorasrc model=/nonexistent prompt=x ! fakesink",
        "loop": f"sorasrc {T} num-frames=10 repeat=true num-buffers=40 ! fakesink",
    }
    env = {"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"}
    for name, line in ends.items():
        out = launch(line, rc=None, env=env).out
        alive = re.findall(r"object-alive, type-name=\(string\)\w.*", out)
        assert not alive, f"{name}: {alive[:2]}"
    out = launch(f"{LIVE} ! fakesink sync=true", rc=None, env=env, sigint=1.5).out
    assert not re.search(r"object-alive, type-name=\(string\)\w", out), "SIGINT: objects left"
    return f"{len(ends) + 1} ways, 0 objects"


class Heap(ctypes.Structure):
    """struct mallinfo2 of glibc"""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def in_use():
    """KiB of this process that malloc has given out; what it keeps for later depends on which threads met when."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Heap
    heap = mallinfo2()
    return (heap.uordblks + heap.hblkhd) / 2**10


def grown(line):
    """KiB in use, and MiB of memory, after 20 and after 200 pipelines in this process."""
    sizes = []
    for i in range(200):
        pipe = Gst.parse_launch(line)
        pipe.set_state(Gst.State.PLAYING)
        bus = pipe.get_bus()
        assert (
            bus.timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR).type
            == Gst.MessageType.EOS
        )
        pipe.set_state(Gst.State.NULL)
        if i in (19, 199):
            sizes.append((in_use(), rss() / 2**20))
    return sizes


def A03_memory():
    """Pipeline after pipeline in one process: memory stays"""
    (base_used, base), (base_used_end, base_end) = grown("videotestsrc num-buffers=3 ! fakesink")
    (used, size), (used_end, end) = grown("sorasrc model=test/rate=25 prompt=cat num-frames=3 ! fakesink")
    found = f"{used:.0f} KiB in use after 20 pipelines, {used_end:.0f} KiB after 200"
    assert used_end - used <= 180 + max(0, base_used_end - base_used), found  # 1 KiB a pipeline
    assert end - size <= 8 + max(0, base_end - base), f"{size:.1f} MiB after 20 pipelines, {end:.1f} MiB after 200"
    return f"{found}; videotestsrc {base_used:.0f}, {base_used_end:.0f}"


def states(line):
    """Seconds of READY, PAUSED, PLAYING and NULL."""
    with Watched(f"{line} ! {SINK}") as p:
        return [p.state(s) for s in ("READY", "PAUSED", "PLAYING", "NULL")]


def A05_states():
    """No state change waits for the model, which takes five seconds to load"""
    base = states(PLAIN)
    took = states("sorasrc name=s model=test/load-delay=5000/rate=25 prompt=cat")
    assert max(took) < limit(max(base)), f"{[ms(t) for t in took]}, videotestsrc {[ms(t) for t in base]}"
    other = f", frei0r-src {ms(max(states(FREI0R)))}" if have("frei0r-src-test-pat-b") else ""
    return f"slowest {ms(max(took))}, videotestsrc {ms(max(base))}{other}"


def interrupts(line, seek=True):
    """Seconds of PAUSED, PLAYING, a seek, EOS until it arrives, NULL."""
    took = {}
    with Watched(f"{line} ! {SINK}") as p:
        p.state("PLAYING")
        p.wait(0.5)
        took["pause"] = p.state("PAUSED")
        took["play"] = p.state("PLAYING")
        p.wait(0.3)
        if seek:
            took["seek"] = p.seek(1, 0, 1e6)
            p.wait(0.2)
        begin = time.time()
        p.pipe.send_event(Gst.Event.new_eos())
        p.until(Gst.MessageType.EOS, 5)
        took["EOS"] = time.time() - begin
        used = time.process_time()
        time.sleep(0.3)
        took["CPU after EOS"] = time.process_time() - used
        took["NULL"] = p.state("NULL")
    return took


def A06_interrupt():
    """Pause, seek, EOS and NULL while a step of two seconds is computed"""
    base = interrupts(PLAIN_LIVE, seek=False)  # after a seek its EOS does not arrive, in 1.22.0
    lines = []
    for live in ("false", "true"):
        took = interrupts(f"{SLOW} is-live={live}")
        worst = max(took, key=took.get)
        assert took[worst] < limit(max(base.values())), f"is-live={live}: {worst} {ms(took[worst])}"
        lines.append(f"is-live={live} slowest {worst} {ms(took[worst])}, EOS {ms(took['EOS'])}")
    other = ""
    if have("frei0r-src-test-pat-b"):
        took = interrupts(FREI0R + ' ! identity sync=true', seek=False)
        other = f", frei0r-src EOS {ms(took['EOS'])}"
    return "; ".join(lines) + f"; videotestsrc EOS {ms(base['EOS'])}{other}"


def A07_sigint():
    """Ctrl-C ends at once, and a recording is playable"""
    need("x264enc", "mp4mux")
    base = launch("videotestsrc is-live=true ! fakesink", sigint=1).seconds
    took = launch(f"{SLOW} ! fakesink", sigint=1).seconds
    assert took < 0.3 + limit(base), ms(took)
    late = launch(
        "sorasrc model=test/step-delay=1000/ignore-cancel=1 prompt=x num-frames=0 ! fakesink", rc=None, sigint=0.7
    )
    assert late.rc in (0, 130), f"an engine that stops late: status {late.rc}"
    with folder() as d:
        tail = f"{X264} ! mp4mux ! filesink location={d}/a.mp4"
        end = launch(f"{LIVE} ! {tail}", "-e", sigint=2.5)
        assert end.seconds < 0.5 + limit(base), ms(end.seconds)
        length = duration(d + "/a.mp4")
        assert 1 <= length <= 3, length
        out = launch(f"{SLOW} ! {tail}", "-e", sigint=1).out
        assert "No frame was generated" in out, out[-500:]
    return f"{ms(took)}, videotestsrc {ms(base)}; with -e {ms(end.seconds)}, {length:.2f} s playable"


def A08_storm():
    """400 state changes at random"""
    random.seed(7)

    def storm(line, n):
        worst = 0
        with Watched(f"{line} ! {SINK}") as p:
            for _ in range(n):
                worst = max(worst, p.state(random.choice(["NULL", "READY", "PAUSED", "PLAYING"])))
                pause(0, 0.01)
        return worst

    base, took = storm(PLAIN, 100), storm(SLOW, 400)
    assert took < limit(base), ms(took)
    return f"slowest {ms(took)}, videotestsrc {ms(base)}"


def A09_progress():
    """Progress that begins ends once, rises, and holds up no gst-launch"""
    out = launch(f"{CLIP} ! fakesink sync=true", "-m").out
    starts, ends = len(re.findall("GstProgressType.start", out)), len(
        re.findall(r"GstProgressType.(?:complete|canceled|error)", out)
    )
    assert starts == ends == 2, (starts, ends)
    assert "Got EOS" in out or "EOS" in out
    out = launch(f"{SLOW} ! fakesink sync=true", "-m", rc=None, sigint=5).out
    assert re.search(r"GstProgressType.complete.*", out), out[-300:]  # of the model; it has played, and has ended
    for code in ("open", "request"):
        percent = [int(x) for x in re.findall(rf"code=\(string\){code}.*?percent=\(int\)(\d+)", out)]
        assert percent == sorted(percent), (code, percent)
    return "2 begun, 2 ended"


def A10_messages():
    """Statistics, messages in measure, one warning of the speed"""
    with Watched(f"{LIVE} ! {SINK} sync=true") as p:
        p.state("PLAYING")
        p.wait(6)
        stats = p.stats()
        for field in (
            "frames-generated",
            "frames-duplicated",
            "queue-level",
            "step-time",
            "realtime-factor",
            "peak-rss",
        ):
            assert field in stats, field
        n, warnings = len(p.named("sora-progress")), len(p.of(Gst.MessageType.WARNING))
        assert 1 <= n <= 30, n
        assert warnings == 1, warnings
        assert 0.05 < stats["realtime-factor"] < 0.5, stats
        p.get("s").set_property("post-messages", False)
        p.wait(0.3)
        before = len(p.named("sora-progress"))
        p.wait(1.2)
        assert len(p.named("sora-progress")) == before
        assert p.get("s").get_property("state").value_nick in ("holding", "generating")
    return f"{n / 6:.1f} a second, 1 warning, {stats['realtime-factor']:.2f} of real time"


def A23_prompts():
    """A new prompt 20 times at random from another thread: the last one wins, time has no hole"""
    with Watched(
        "sorasrc name=s model=test/step-delay=30/chunk-frames=8/rate=25 prompt=cat num-frames=0 is-live=true "
        f"! {SINK} sync=true"
    ) as p:
        p.state("PLAYING")
        p.wait(1)
        worst = []

        def change():
            for i in range(20):
                worst.append(p.timed(lambda: p.get("s").set_property("prompt", f"prompt {i}")))
                pause(0.02, 0.15)
            p.get("s").set_property("prompt", "the last")

        t = threading.Thread(target=change)
        t.start()
        t.join()
        begin = time.time()
        while time.time() < begin + 5 and "the last" not in p.prompts():
            p.wait(0.02)
        took = time.time() - begin
        assert "the last" in p.prompts(), "the last prompt does not show"
        p.wait(0.3)
        stamps = p.pts()
        assert all(0 < b - a for a, b in zip(stamps, stamps[1:]))
        assert p.named("sora-prompt-changed")
    assert max(worst) < limit(), ms(max(worst))
    return f"slowest call {ms(max(worst))}, the last one on show after {ms(took)}"


def A24_events():
    """Prompt by event and by signal, cancel by signal, from the application"""
    with Watched(
        f"sorasrc name=s model=test/step-delay=5/chunk-frames=8/rate=25 prompt=cat num-frames=0 is-live=true "
        f"max-size-time=300000000 ! {SINK}"
    ) as p:
        p.state("PLAYING")
        p.wait(0.5)
        event = Gst.Event.new_custom(
            Gst.EventType.CUSTOM_UPSTREAM, Gst.Structure.from_string("sora-set-prompt,prompt=dog")[0]
        )
        assert p.pipe.send_event(event)
        p.wait(1.5)
        assert "dog" in p.prompts(), "not by event"
        p.get("s").emit("set-prompt", "bird")
        p.wait(1.5)
        assert "bird" in p.prompts(), "not by signal"
    with Watched(f"{SLOW} ! {SINK}") as p:
        p.state("PLAYING")
        p.wait(0.5)
        p.get("s").emit("cancel")
        took = p.until(Gst.MessageType.EOS, 3)
        assert took < limit() + 0.1, ms(took)
    return f"cancel to EOS {ms(took)}"


def A26_presets():
    """@preset= in a command line leaves the rest of the line alone"""
    for name in ("draft", "balanced", "quality", "live"):
        out = launch(f"sorasrc {T} num-frames=0 num-buffers=3 @preset={name} ! fakesink", timeout=20).out
        assert "WARN" not in out, out
    return "4 presets"


def A35_failures():
    """What cannot work: exit status 1 and one clear error"""

    def refused(line, *words):
        r = launch(line, rc=None, timeout=20)
        errors = re.findall("^ERROR: .*", r.out, re.M)
        assert r.rc not in (0, 124) and r.rc > 0, (line, r.rc)
        assert errors, (line, r.out[-400:])
        for w in words:
            assert w in r.out, (line, w, r.out[-600:])

    refused("sorasrc model=/nonexistent prompt=x ! fakesink", "/nonexistent")
    refused("sorasrc model=test ! fakesink", "prompt")
    refused("sorasrc model=test/fail=load prompt=x ! fakesink")
    refused("sorasrc model=test/nan=1 prompt=x ! fakesink", "NaN")
    with folder() as d:
        files = {"empty": b"", "text": b"hello\n" * 9, "header": b"\xff" * 64}
        for name, data in files.items():
            with open(f"{d}/{name}.safetensors", "wb") as f:
                f.write(data)
            refused(f"sorasrc model={d}/{name}.safetensors prompt=x ! fakesink", name)
        os.mkdir(d + "/no-model")
        refused(f"sorasrc model={d}/no-model prompt=x ! fakesink", "no-model")
    return "8 kinds"


def flipped(blob, rng):
    data = bytearray(blob)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(min(len(data), 20000))] ^= 1 << rng.randrange(8)
    return bytes(data)


def A35_damaged():
    """A model with bits turned over: an error or a picture, never a crash"""
    need("sorasrc")
    import shutil

    origin = os.path.join(os.environ["SORA_SOURCE"], "models", "pocket")
    rng, refused = random.Random(3), 0
    with folder() as d:
        shutil.copytree(origin, d + "/m")
        path = d + "/m/transformer/diffusion_pytorch_model.safetensors"
        with open(path, "rb") as f:
            blob = f.read()
        for _ in range(8):
            with open(path, "wb") as f:
                f.write(flipped(blob, rng))
            r = launch(f"sorasrc model={d}/m prompt=x steps=1 num-buffers=1 ! fakesink", rc=None, timeout=60)
            assert r.rc in (0, 1, 255), f"status {r.rc}\n{r.out[-800:]}"
            refused += r.rc != 0
    return f"8 tried, {refused} refused"


def A36_links():
    """Not linked, linked to what cannot be, an error downstream: ends, and says why"""
    for tail in ("", "! tee"):
        r = launch(f"{CLIP} {tail}", rc=None, timeout=20)
        assert r.rc and "not-linked" in r.out.replace("not linked", "not-linked"), (tail, r.rc, r.out[-300:])
    r = launch(f"{CLIP} ! video/x-raw,format=NOPE ! fakesink", rc=None, timeout=20)
    assert r.rc, r.out
    need("watchdog")
    r = launch(f"{SLOW} ! watchdog timeout=700 ! fakesink", rc=None, timeout=20)
    assert r.rc and r.seconds < 3, (r.rc, r.seconds)
    launch(f"{SLOW.replace('2000', '5')} ! identity eos-after=5 ! fakesink", rc=0, timeout=20)
    return "5 lines"
