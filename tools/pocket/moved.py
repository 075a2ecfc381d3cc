# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams that go on from what the model draws itself: its first frames, in which this program moves what the prompt moves: land and
lakes as under a camera that pans, before which the subject stays, or the subject over land that stands still.

python moved.py WORKER SECONDS [cameras | subjects]     streams-WORKER-PART.npz beside those of make_data.py, which are of the renderer's
                                                        pictures; WORKER: a number that no other has; of one kind only, or of both

The renderer's pictures have more detail than the model's own, and other shapes: after the former it goes on to move, after the latter
often not. Of each picture several streams, with captions of their own: one to each side, one that stays. Pictures that do not show what
they are to (judge.py) are left out, and those with more than one subject.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

import paths
from captions import caption
from data import across
from judge import Both, groups
from make_data import CAPTIONS, PART_SECONDS, STREAM_LATENTS, keep
from paint import HEIGHT, WIDTH
from sample import Exported, latents_of
from scene import DRIFT, PAN, RATE, SMALL, TOKEN_COLUMNS, TOKEN_ROWS, Scene
from tokenizer import Tokenizer
from world import CAMERAS, OPPOSITE, WATER, draw_attributes, held_out

STEPS = 8                           # of first frames
TOGETHER = 4                        # pictures
PATCH = SMALL[0] // TOKEN_ROWS
BARELY = 0.08                       # difference of what is seen as the subject from what is behind it
MOST = 0.2                          # of what is cut out may lie outside the patches where it is
EDGE = 5                            # pixels around it that still show something of it
OPEN = ("hills", "mountains", "desert", "meadow", "snowfield")  # what is behind a subject can be guessed
BRIGHT = 0.5                        # share kept of scenes where a pan shows well, of which there are many
ROUND = ("ball", "balloon", "hotair", "lantern")                # look the same from both sides
# (row from HORIZON down, how fast it moves): the layers of landscape.py, without edges between them
PARALLAX = {"hills": [(-24, 0), (0, 0.25), (34, 0.4), (60, 0.6), (90, 1)],
            "mountains": [(-90, 0), (-60, 0.2), (10, 0.3), (40, 0.5), (85, 1)],
            "desert": [(-10, 0), (8, 0.25), (44, 0.45), (70, 0.7), (95, 1)],
            "snowfield": [(-16, 0), (0, 0.25), (38, 0.45), (65, 0.7), (90, 1)],
            "lake": [(-80, 0), (-50, 0.3), (10, 0.3), (110, 0.6)]}
HORIZON = 170


def moved(picture, background, direction, frames):
    """[3, 144, 256] in 0..1 -> [frames, 3, 144, 256]: after 1, 2 ... frames; what comes in is a mirror's picture."""
    rows, columns = SMALL
    y = np.arange(rows) * (HEIGHT / rows) + 1 - HORIZON
    speed = np.interp(y, *zip(*PARALLAX[background])) * direction * PAN / RATE * (columns / WIDTH)       # columns a frame
    x = torch.arange(columns)[None, None] - torch.arange(1, frames + 1)[:, None, None] * torch.from_numpy(speed)[None, :, None]
    grid = torch.stack([(2 * x + 1) / columns - 1, ((2 * torch.arange(rows)[None, :, None] + 1) / rows - 1).expand_as(x)], -1).float()
    return F.grid_sample(picture.expand(frames, -1, -1, -1), grid, "bilinear", "reflection", align_corners=False)


def as_bytes(pictures):
    """[frames, 3, 144, 256] in 0..1 -> what the encoder takes"""
    return (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def wider(there, by):
    return F.max_pool2d(there[None].float(), 2 * by + 1, 1, by)[0].bool()


def pixels(there):
    """[9, 16] -> [144, 256]"""
    return there.repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1)


def cut_out(picture, there):
    """The subject of a picture [3, 144, 256], in the patches `there` [9, 16] and in part in those around them.
    -> its opacity [144, 256], and the picture without it, filled from left to right"""
    filled = across(picture, pixels(wider(there, 1)))
    opacity = (((picture - filled).abs().amax(0) - BARELY) / BARELY).clamp(0, 1)
    one = pixels(there) & (opacity > 0.5)
    for _ in range(PATCH):                                                              # and what hangs together with it
        one = wider(one, 1) & (opacity > 0)
    return opacity * one, torch.where(wider(one, EDGE), filled, picture)


def place(a, scene, t):
    """Where the subject is t seconds after the first frame, in pixels of the full size from where it was then."""
    (x, y), (x0, y0) = scene.position(t), scene.position(0.0)
    speed = DRIFT[a.speed] * t                                                          # position() wraps
    if a.motion in ("left", "right"):
        x = x0 + speed * scene.facing
    elif a.motion in ("up", "down"):
        y = y0 + speed * (-0.7 if a.motion == "up" else 0.7)
    return x - x0, y - y0


def clean(opacity, there):
    """Not with a tree that touches it, and not only a part of it."""
    border = opacity.clone()
    border[1:-1, 1:-1] = 0
    return opacity[~pixels(there)].sum() <= MOST * opacity.sum() and not border.any()


def carried(picture, opacity, behind, way):
    """way: (x, y) from where the subject was, of each picture; behind [3 or frames, 3, 144, 256]
    -> [frames, 3, 144, 256], the subject moved by it"""
    rows, columns = SMALL
    dx, dy = torch.tensor(way, dtype=torch.float32).T * (columns / WIDTH)
    x = torch.arange(columns)[None, None] - dx[:, None, None]
    y = torch.arange(rows)[None, :, None] - dy[:, None, None]
    shape = (len(way), rows, columns)
    grid = torch.stack([((2 * x + 1) / columns - 1).expand(shape), ((2 * y + 1) / rows - 1).expand(shape)], -1)
    there = F.grid_sample(torch.cat([picture * opacity, opacity[None]]).expand(len(way), -1, -1, -1), grid, "bilinear", "zeros",
                          align_corners=False)
    return behind * (1 - there[:, 3:]) + there[:, :3]


def way_of(a, rng):
    """Of each picture after the first."""
    scene = Scene(a, rng)
    return [place(a, scene, (i + 1) / RATE) for i in range(4 * (STREAM_LATENTS - 1))]


def patches(there, way):
    """[STREAM_LATENTS, 9, 16]: where the subject is in each latent frame"""
    then = carried(pixels(there).expand(3, -1, -1).float(), torch.ones(SMALL), torch.zeros(3, *SMALL), [(0, 0)] + way[1::4])
    return then[:, 0].reshape(STREAM_LATENTS, TOKEN_ROWS, PATCH, TOKEN_COLUMNS, PATCH).amax((2, 4)).numpy() > 0


def row_of(z, others, a, subject, tokenizer, rng):
    """A row of make_data.py's files: the first frame z [C, 18, 32], then others [F - 1, C, 18, 32]."""
    words = tokenizer([caption(a, rng) for _ in range(2 * CAPTIONS)]).view(2, CAPTIONS, -1)
    return (torch.cat([z[None], others]).half().numpy(), words.numpy().astype(np.uint16), subject, STREAM_LATENTS,
            np.array([a.indices()] * 2, np.uint8))


def detail_of(z, picture, codec):
    """What of a first frame z [C, 18, 32] the encoder does not see in its picture."""
    return z - codec.encode(as_bytes(picture.expand(4, -1, -1, -1)))


def of_cameras(z, picture, there, a, codec, tokenizer, rng):
    """One to each side, and one that stays; before them the subject, floating."""
    there = there & (a.subject != "none")
    opacity, behind = cut_out(picture, there)
    if there.any() and not clean(opacity, there):
        return
    detail = detail_of(z, picture, codec)
    for camera, direction in zip(CAMERAS, (0, 1, -1)):
        if direction == 0 and a.background in WATER:            # waves never stand still
            continue
        b = replace(a, camera=camera)
        way = way_of(b, rng)
        pictures = carried(picture, opacity, moved(behind, a.background, direction, len(way)), way)
        yield row_of(z, codec.encode(as_bytes(pictures)) + detail, b, patches(there, way), tokenizer, rng)


def of_subjects(z, picture, there, a, codec, tokenizer, rng):
    """As it was asked for, floating, and to the other side where it looks the same from both."""
    opacity, filled = cut_out(picture, there)
    if not clean(opacity, there):
        return
    behind = ~wider(there, 1).repeat_interleave(2, 0).repeat_interleave(2, 1)           # where it was, nothing stays of it
    detail = detail_of(z, picture, codec) * behind
    for motion in [a.motion, "float"] + [OPPOSITE[a.motion]] * (a.subject in ROUND):
        b = replace(a, motion=motion, speed="normal" if motion == "float" else a.speed)
        way = way_of(b, rng)
        yield row_of(z, codec.encode(as_bytes(carried(picture, opacity, filled, way))) + detail, b, patches(there, way), tokenizer, rng)


def main(worker, seconds, kinds=("cameras", "subjects")):
    torch.set_num_threads(1)
    began, worker = time.time(), int(worker)
    rng, e, both, tokenizer = np.random.default_rng([8000, worker]), Exported(), Both(), Tokenizer()
    part, count = 0, 0
    def wanted(a):
        if held_out(a) or a.weather not in ("clear", "fog"):
            return False
        if a.motion not in OPPOSITE:
            dim = a.time == "night" or a.weather == "fog"
            return "cameras" in kinds and a.background in PARALLAX and a.motion == "float" and (dim or rng.random() < BRIGHT)
        return "subjects" in kinds and a.background in OPEN and a.camera == "still"
    while (now := time.time()) - began < seconds:
        rows, end = [], min(began + seconds, now + PART_SECONDS)
        while not rows or time.time() < end:
            scenes = [draw_attributes(rng, wanted) for _ in range(TOGETHER)]
            first = latents_of([caption(a, rng) for a in scenes], 1, seed=int(rng.integers(1 << 31)), exported=e, first_steps=STEPS)
            seen, there = both.right(first, np.array([a.indices() for a in scenes])), both.subjects(first)
            good = seen["background"] & seen["subject"] & (groups(there) < 2)
            for z, a, where in [(first[i, 0], scenes[i], there[i]) for i in good.nonzero()[:, 0]]:
                picture = F.interpolate(e.decoder(z[None])[3:].permute(0, 3, 1, 2), SMALL, mode="area")[0]
                rows += (of_subjects if a.motion in OPPOSITE else of_cameras)(z, picture, where, a, both.codec, tokenizer, rng)
        keep(f"streams-{worker}-{part}.npz", rows)
        part, count = part + 1, count + len(rows)
    print(f"{count} streams, {count / (time.time() - began):.1f} a second", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *[(k,) for k in sys.argv[3:]])
