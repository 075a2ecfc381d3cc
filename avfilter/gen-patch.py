#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Register the sora source in an FFmpeg tree, or print the patch that does so.

    gen-patch.py TREE            insert the six lines into TREE (does nothing where they are already)
    gen-patch.py --diff TREE     print the unified diff instead and leave TREE as it is

Each line goes behind a neighbour that is the same in every release, so that the lists stay in alphabetical order.
"""
import difflib
import pathlib
import re
import sys

# file, pattern of the line before which the new line stands, the new line ({0}: what the pattern captured)
INSERTIONS = [
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


def patched(tree):
    """{file: (old text, new text)} of the files that change."""
    texts = {}
    for name, pattern, line in INSERTIONS:
        old, new = texts.setdefault(name, [(tree / name).read_text(encoding="utf-8")] * 2)
        match = re.search(pattern, new, re.M)
        if not match:
            sys.exit(f"{tree / name}: no line matches {pattern!r}; is this an FFmpeg 5.1 to 9.0 tree?")
        line = line.format(*match.groups()) if match.groups() else line
        if line not in new:
            new = new[:match.start()] + line + new[match.start():]
        texts[name] = [old, new]
    return texts


def main():
    diff = sys.argv[1:2] == ["--diff"]
    if len(sys.argv) != 2 + diff:
        sys.exit(__doc__)
    for name, (old, new) in sorted(patched(pathlib.Path(sys.argv[-1])).items()):
        if diff:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                                       "a/" + name, "b/" + name))
        elif new != old:
            (pathlib.Path(sys.argv[-1]) / name).write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
