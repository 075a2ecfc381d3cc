#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Register the sora source in an FFmpeg tree, or print patches that do so.

    gen-patch.py TREE            put the filter, its documentation and the lines that register them into TREE;
                                 does nothing where they are already
    gen-patch.py --diff TREE     print the lines that register them as a patch, one of patches/, and leave TREE as it is
    gen-patch.py --upstream TREE print the change to FFmpeg itself, upstream/: the filter without what serves older
                                 releases, its documentation, Changelog and version
    gen-patch.py --plain         print the filter as in --upstream

Each line goes in front of a neighbour that is the same in every release, so that the lists stay in alphabetical order.
"""
import difflib
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent

# file, pattern of the line before which the new line stands, the new line ({0}: what the pattern captured)
REGISTER = [
    ("configure", r"^  --enable-libsoxr ", "  --enable-libsora         enable libsora text-to-video source filter [no]\n"),
    ("configure", r"^    libsoxr$", "    libsora\n"),
    ("configure", r"^spp_filter_deps=", 'sora_filter_deps="libsora"\n'),
    ("configure", r"^enabled libsoxr  ",
     'enabled libsora           && require_pkg_config libsora "libsora >= 0.1" sora/sora.h sora_session_open\n'),
    ("libavfilter/allfilters.c", r"^extern const (AVFilter|FFFilter)\s+ff_vsrc_(?:testsrc|yuvtestsrc|zoneplate);",
     "extern const {0} ff_vsrc_sora;\n"),
    ("libavfilter/Makefile", r"^OBJS-\$\(CONFIG_TESTSRC_FILTER\) ",
     "OBJS-$(CONFIG_SORA_FILTER)                   += vsrc_sora.o\n"),
]
IN_MANUAL = ("doc/filters.texi", r"^(?:@section zoneplate|@c man end VIDEO SOURCES)$")
FILTER, MANUAL = HERE / "vsrc_sora.c", HERE / "doc" / "sora.texi"


def patched(tree, insertions):
    """{file: [old text, new text]} of the files that change."""
    texts = {}
    for name, pattern, line in insertions:
        old, new = texts.setdefault(name, [(tree / name).read_text(encoding="utf-8")] * 2)
        match = re.search(pattern, new, re.M)
        if not match:
            sys.exit(f"{tree / name}: no line matches {pattern!r}; is this an FFmpeg 5.1 to 9.0 tree?")
        line = line.format(*match.groups()) if match.groups() else line
        if line not in new:
            new = new[:match.start()] + line + new[match.start():]
        texts[name] = [old, new]
    return texts


def register(tree):
    return patched(tree, REGISTER + [(*IN_MANUAL, "@include sora.texi\n\n")])


def diff(old, new, name):
    return "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "a/" + name if old else "/dev/null",
                                        "b/" + name))


def plain():
    """The filter for the newest FFmpeg alone: every SORA_HAS_... counts as 1, and what asks for it goes."""
    lines, keep = [], []                        # keep: for each open #if of ours its value; None: of others
    for line in FILTER.read_text(encoding="utf-8").splitlines(True):
        ours = re.match(r"#if (!?)SORA_HAS_\w+$", line)
        if ours or line.startswith("#if"):
            keep.append(not ours.group(1) if ours else None)
            if ours:
                continue
        elif line.startswith(("#else", "#endif")) and keep[-1] is not None:
            keep[-1] = not keep[-1]
            if line.startswith("#endif"):
                keep.pop()
            continue
        elif line.startswith("#endif"):
            keep.pop()
        if False not in keep and not re.match(r"#define SORA_HAS_|#include \"libavfilter/version.h\"", line):
            lines.append(line)
    text = "".join(lines).replace(" *\n * One file for FFmpeg 5.1 to 9.0; what differs between them stands in the macros "
                                  "below.\n", "")
    return re.sub(r"\n{3,}", "\n\n", text)


MAIL = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Your Name <you@example.org>
Date: Thu, 1 Jan 1970 00:00:00 +0000
Subject: [PATCH] avfilter: add sora source

Generates video from a text prompt with libsora, which runs text-to-video
models on the CPU. The frames of a chunk arrive together; the library
computes in its own thread and is cancelled when the source is closed.

Without a FATE test: it needs an external library.

Signed-off-by: Your Name <you@example.org>
---
"""


def upstream(tree):
    minor = int(re.search(r"LIBAVFILTER_VERSION_MINOR +(\d+)", (tree / "libavfilter/version.h").read_text()).group(1))
    texts = patched(tree, REGISTER + [(*IN_MANUAL, MANUAL.read_text(encoding="utf-8"))])
    version = (tree / "libavfilter/version.h").read_text(encoding="utf-8")
    bumped = re.sub(r"(LIBAVFILTER_VERSION_MINOR +)\d+", lambda m: f"{m.group(1)}{minor + 1:>{len(str(minor))}}", version, 1)
    texts["libavfilter/version.h"] = [version, re.sub(r"(LIBAVFILTER_VERSION_MICRO +)\d+", r"\g<1>100", bumped, 1)]
    log = (tree / "Changelog").read_text(encoding="utf-8")
    head = re.search(r"^version .*:\n(?:.+\n)*", log, re.M)       # the newest version's entries, oldest first
    texts["Changelog"] = [log, log[:head.end()] + "- sora text-to-video source filter, with libsora\n" + log[head.end():]]
    texts["libavfilter/vsrc_sora.c"] = ["", plain()]
    return MAIL + "".join(diff(*texts[name], name) for name in sorted(texts)) + "--\n2.47.0\n"


def main():
    how, tree = (sys.argv[1], sys.argv[2:]) if sys.argv[1:2] and sys.argv[1].startswith("--") else ("", sys.argv[1:])
    if how == "--plain" and not tree:
        sys.stdout.write(plain())
        return
    if len(tree) != 1 or how not in ("", "--diff", "--upstream"):
        sys.exit(__doc__)
    tree = pathlib.Path(tree[0])
    if how == "--upstream":
        sys.stdout.write(upstream(tree))
        return
    texts = register(tree)
    if how == "--diff":
        sys.stdout.write("".join(diff(*texts[name], name) for name in sorted(texts)))
        return
    for name, (old, new) in texts.items():
        if new != old:
            (tree / name).write_text(new, encoding="utf-8")
    shutil.copyfile(FILTER, tree / "libavfilter" / FILTER.name)
    shutil.copyfile(MANUAL, tree / "doc" / MANUAL.name)


if __name__ == "__main__":
    main()
