#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random prompts through FFmpeg's two parsers: escape-fuzz.py FFMPEG SORA DOC [COUNT [SEED]]

Each is escaped by "sora escape" and by the shell and Python snippets of DOC, and must come out byte for byte in the
filter's log, both through -f lavfi and through -filter_complex.  A process takes many prompts, each as a source.
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ffmpeg, sora, doc = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 300
seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 31)
BATCH = 50


def snippet(language, name):
    """The block of DOC in that language that defines the function."""
    for block in re.findall(rf"^```{language}\n(.*?)^```$", pathlib.Path(doc).read_text(encoding="utf-8"), re.M | re.S):
        if re.search(rf"^(def )?{name}\(", block, re.M):
            return block
    sys.exit(f"FAIL {doc}: no {language} block defines {name}")


def prompts(rng):
    hostile = "\\':;,[]=\"%|#@()! \t\n"
    other = "abcXYZ0159äßéñ日本語кошка🎈’“”–"
    while True:
        text = "".join(rng.choice(hostile if rng.random() < 0.6 else other) for _ in range(rng.randint(1, 40)))
        # white space alone is an empty prompt, and "@3 " begins a schedule: both are the library's, not FFmpeg's
        if text.strip() and not re.match(r"\s*@\s*[\d.]", text):
            yield text


def received(escaped, way):
    """What the filter got of each, as it logs it, and as the library took it."""
    with tempfile.TemporaryDirectory() as folder:
        graphs = [f"sora=prompt={e}:model=test:size=16x16:frames=1,metadata=print:file={i}" for i, e in enumerate(escaped)]
        command = [ffmpeg, "-nostdin", "-v", "repeat+verbose"]
        for graph in graphs if way == "-f lavfi" else []:
            command += ["-f", "lavfi", "-i", graph]
        if way == "-filter_complex":
            command += ["-filter_complex", ";".join(g + f"[o{i}]" for i, g in enumerate(graphs))]
        for i in range(len(graphs)):
            command += ["-map", str(i) if way == "-f lavfi" else f"[o{i}]"]
        log = subprocess.run(command + ["-f", "null", "-"], cwd=folder, stderr=subprocess.PIPE).stderr
        logged, taken = [], []
        for m in re.finditer(rb"\] prompt, (\d+) bytes: ", log):
            logged.append(log[m.end():m.end() + int(m.group(1))].decode("utf-8", "replace"))
        for i in range(len(graphs)):
            file = pathlib.Path(folder, str(i))
            text = file.read_bytes().decode("utf-8", "replace") if file.exists() else ""
            match = re.search(r"\nlavfi\.sora\.prompt=(.*)\nlavfi\.sora\.seed=0\n", text, re.S)
            taken.append(match.group(1) if match else "(nothing)")
        return logged + ["(nothing)"] * (len(graphs) - len(logged)), taken


def main():
    rng = random.Random(seed)
    source = prompts(rng)
    python = {}
    exec(snippet("python", "sora_escape"), python)
    shell = snippet("sh", "sora_escape")
    ways = {
        "sora escape": lambda t: subprocess.run([sora, "escape", t], capture_output=True, check=True).stdout[:-1].decode(),
        "the Python snippet": python["sora_escape"],
        "the shell snippet": lambda t: subprocess.run(["sh", "-c", shell + '\nsora_escape "$1"; echo x', "sh", t],
                                                      capture_output=True, check=True).stdout.decode()[:-2],
    }
    for name, escape in ways.items():
        # our own program takes most; the snippets show that they are equal to it
        n = count if name == "sora escape" else max(count // 6, 20)
        texts = [next(source) for _ in range(n)]
        for way in ("-f lavfi", "-filter_complex"):
            bad = []
            for i in range(0, n, BATCH):
                some = texts[i:i + BATCH]
                # the library does without white space at the ends
                bad += [(t, g, m) for t, g, m in zip(some, *received([escape(t) for t in some], way))
                        if (t, t.strip(" \t\n")) != (g, m)]
            if bad:
                print(f"FAIL {name}, {way}: {len(bad)} of {n} prompts differ (seed {seed}); sent {bad[0][0]!r}, "
                      f"arrived {bad[0][1]!r}, taken as {bad[0][2]!r}")
            else:
                print(f"ok {name}, {way}: {n} random prompts arrive (seed {seed})")


main()
