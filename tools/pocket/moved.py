# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams that go on from what the model draws itself: its first frames over land and lakes, moved by this program as a camera that pans
would.

python moved.py WORKER SECONDS      streams-WORKER-PART.npz beside those of make_data.py, which are of the renderer's pictures; WORKER: a
                                    number that no other has

The renderer's pictures have more detail than the model's own, and other shapes: after the former it goes on to pan, after the latter
often not. Of each picture three streams, with captions of their own: left, right, and one that stands still. Pictures that do not show
what they are to (judge.py), or a subject, are left out.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

import paths
from captions import caption
from judge import Both
from make_data import CAPTIONS, PART_SECONDS, STREAM_LATENTS, keep
from paint import HEIGHT, WIDTH
from sample import Exported, latents_of
from scene import PAN, RATE, SMALL, TOKEN_COLUMNS, TOKEN_ROWS
from tokenizer import Tokenizer
from world import CAMERAS, WATER, draw_attributes, held_out

STEPS = 8                           # of first frames
TOGETHER = 4                        # pictures
# (row from HORIZON down, how fast it moves): the layers of landscape.py, without edges between them
PARALLAX = {"hills": [(-24, 0), (0, 0.25), (34, 0.4), (60, 0.6), (90, 1)],
            "mountains": [(-90, 0), (-60, 0.2), (10, 0.3), (40, 0.5), (85, 1)],
            "desert": [(-10, 0), (8, 0.25), (44, 0.45), (70, 0.7), (95, 1)],
            "snowfield": [(-16, 0), (0, 0.25), (38, 0.45), (65, 0.7), (90, 1)],
            "lake": [(-80, 0), (-50, 0.3), (10, 0.3), (110, 0.6)]}
HORIZON = 170


def moved(picture, background, direction, frames):
    """[3, 144, 256] in 0..1 -> [frames, 144, 256, 3] uint8: after 1, 2 ... frames; what comes in is a mirror's picture."""
    rows, columns = SMALL
    y = np.arange(rows) * (HEIGHT / rows) + 1 - HORIZON
    speed = np.interp(y, *zip(*PARALLAX[background])) * direction * PAN / RATE * (columns / WIDTH)       # columns a frame
    x = torch.arange(columns)[None, None] - torch.arange(1, frames + 1)[:, None, None] * torch.from_numpy(speed)[None, :, None]
    grid = torch.stack([(2 * x + 1) / columns - 1, ((2 * torch.arange(rows)[None, :, None] + 1) / rows - 1).expand_as(x)], -1).float()
    out = F.grid_sample(picture.expand(frames, -1, -1, -1), grid, "bilinear", "reflection", align_corners=False)
    return (out.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def streams(z, a, e, codec, tokenizer, rng):
    """Rows of make_data.py's files, from the first frame z [C, 18, 32] of scene a."""
    picture = F.interpolate(e.decoder(z[None])[3:].permute(0, 3, 1, 2), SMALL, mode="area")[0]
    still = codec.encode(moved(picture, a.background, 0, 4))
    for camera, direction in zip(CAMERAS, (0, 1, -1)):
        if direction == 0 and a.background in WATER:            # waves never stand still
            continue
        b = replace(a, camera=camera)
        change = codec.encode(moved(picture, a.background, direction, 4 * (STREAM_LATENTS - 1))) - still
        words = tokenizer([caption(b, rng) for _ in range(2 * CAPTIONS)]).view(2, CAPTIONS, -1)
        yield ((z + torch.cat([torch.zeros_like(still), change])).half().numpy(), words.numpy().astype(np.uint16),
               np.zeros((STREAM_LATENTS, TOKEN_ROWS, TOKEN_COLUMNS), bool), STREAM_LATENTS, np.array([b.indices()] * 2, np.uint8))


def main(worker, seconds):
    torch.set_num_threads(1)
    began, worker = time.time(), int(worker)
    rng, e, both, tokenizer = np.random.default_rng([8000, worker]), Exported(), Both(), Tokenizer()
    part, count = 0, 0
    def wanted(a):
        return not held_out(a) and a.background in PARALLAX and a.subject == "none" and a.weather in ("clear", "fog")
    while (now := time.time()) - began < seconds:
        rows, end = [], min(began + seconds, now + PART_SECONDS)
        while not rows or time.time() < end:
            scenes = [draw_attributes(rng, wanted) for _ in range(TOGETHER)]
            first = latents_of([caption(a, rng) for a in scenes], 1, seed=int(rng.integers(1 << 31)), exported=e, first_steps=STEPS)
            seen = both.right(first, np.array([a.indices() for a in scenes]))
            for z, a, good in zip(first[:, 0], scenes, seen["background"] & seen["subject"]):
                rows += streams(z, a, e, both.codec, tokenizer, rng) if good else []
        keep(f"streams-{worker}-{part}.npz", rows)
        part, count = part + 1, count + len(rows)
    print(f"{count} streams, {count / (time.time() - began):.1f} a second", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
