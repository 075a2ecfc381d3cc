#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/soak measured, drawn: plot-soak.py IN.csv OUT.svg

Memory, then mean, variance, sharpness and colour of the pictures, over the seconds of content; a thin line where the prompt
changed.
"""
import csv
import sys

WIDTH, PANEL, LEFT, TOP, GAP = 760, 84, 92, 30, 22
POINTS = 650                    # of a line: more cannot be seen
PANELS = [("memory_bytes", "memory, MiB", 1 / 2**20), ("mean", "mean", 1), ("variance", "variance", 1),
          ("sharpness", "sharpness", 1), ("colour", "colour", 1)]


def panel(rows, key, title, scale, top):
    values = [float(r[key]) * scale for r in rows]
    high = max(values) * 1.08 or 1
    span = WIDTH - LEFT - 12
    last = max(int(rows[-1]["second"]), 1)

    def x(second):
        return LEFT + span * second / last
    out = [f'<text x="{LEFT - 8}" y="{top + PANEL / 2 + 4}" text-anchor="end">{title}</text>',
           f'<rect x="{LEFT}" y="{top}" width="{span}" height="{PANEL}" fill="none" stroke="#bbb"/>',
           f'<text x="{LEFT + 4}" y="{top + 11}" fill="#777">{high:.3g}</text>',
           f'<text x="{LEFT + 4}" y="{top + PANEL - 3}" fill="#777">0</text>']
    for before, after in zip(rows, rows[1:]):
        if after["prompt"] != before["prompt"]:
            at = x(int(after["second"]))
            out.append(f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{top + PANEL}" stroke="#ddd"/>')
    step = -(-len(rows) // POINTS)
    means = [sum(values[i:i + step]) / len(values[i:i + step]) for i in range(0, len(rows), step)]
    points = " ".join(f"{x(i * step):.1f},{top + PANEL * (1 - v / high):.1f}" for i, v in enumerate(means))
    out.append(f'<polyline points="{points}" fill="none" stroke="#1f5fa8" stroke-width="1.2"/>')
    return out


def main(source, target):
    with open(source, newline="") as f:
        rows = list(csv.DictReader(f))
    if len(rows) < 2:
        sys.exit(f"{source}: fewer than two rows")
    height = TOP + len(PANELS) * (PANEL + GAP) + 14
    seconds, elapsed = int(rows[-1]["second"]) + 1, float(rows[-1]["elapsed_s"])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="18">{seconds // 60} min {seconds % 60} s of content, {rows[-1]["frames"]} frames, made in '
           f'{elapsed:.0f} s; {rows[-1]["prompt"]} changes of the prompt</text>']
    for i, (key, title, scale) in enumerate(PANELS):
        out += panel(rows, key, title, scale, TOP + i * (PANEL + GAP))
    for minute in range(0, seconds // 60 + 1, max(1, seconds // 600)):
        at = LEFT + (WIDTH - LEFT - 12) * 60 * minute / max(seconds - 1, 1)
        anchor = "middle" if at < WIDTH - 30 else "end"
        out.append(f'<text x="{at:.1f}" y="{height - 14}" text-anchor="{anchor}" fill="#777">{minute} min</text>')
    with open(target, "w") as f:
        f.write("\n".join(out + ["</svg>"]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
