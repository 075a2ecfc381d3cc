# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scenes as latents, with their captions in pieces: what the transformer is trained on.

python make_data.py images WORKER SECONDS     single latent frames, that is four pictures
python make_data.py clips WORKER SECONDS      clips of six latent frames; in three of ten a new prompt turns the scene
                                              into another one
python make_data.py streams WORKER SECONDS    clips of twelve, with as many new prompts: what the model goes through alone
python make_data.py mistakes WORKER SECONDS   threes of single pictures: a scene without its subject, with it, and with what a model
                                              draws by mistake: another one there, or the same in another place

A worker writes KIND-WORKER-PART.npz, a part each 15 seconds: latents [n, F, C, 18, 32] f16, words [n, 2, 4, T] uint16:
four captions of the scene and of what it turns into, or is mistaken for, subject [n, F, 9, 16] bool, cut [n]: the first latent frame of
the new scene, or F; attributes [n, 2, 8] uint8.

The first latent frame moves like all others, so that windows can begin anywhere; data.py makes stills of those that are first.
"""

import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import torch

import paths
from captions import caption
from codec import Codec
from paint import WIDTH
from scene import RATE, Scene
from tokenizer import Tokenizer
from world import draw_attributes, draw_change, draw_likeness, held_out

LATENTS = 6
STREAM_LATENTS = 12
CAPTIONS = 4
CHANGES = 0.3                       # share of clips and streams in which a new prompt comes
MISTAKEN = 0.45                     # share of mistakes that are another subject or colour, not a second one
TRIES = 100                         # to place the subjects of a mistake
SHOWN = 0.8                         # least share of a mistake's subjects that is in the picture
PART_SECONDS = 15


def image(attributes, rng, codec):
    start, scene = rng.uniform(0, 20), Scene(attributes[0], rng)
    return codec.encode(scene.render(4, start)), scene.subject_tokens(start + 1.5 / RATE)[None], 1


def clip(attributes, rng, codec, latents=LATENTS):
    """Latent f shows frames 4f .. 4f+3; its subject stands where it is amid them."""
    start, seed = rng.uniform(0, 20), int(rng.integers(1 << 62))
    cut = int(rng.integers(1, LATENTS - 1)) if attributes[0] != attributes[1] else latents
    scenes = [Scene(a, np.random.default_rng(seed)) for a in attributes]
    video = scenes[0].render(4 * cut, start)
    if cut < latents:
        video = np.concatenate([video, scenes[1].render(4 * (latents - cut), start + 4 * cut / RATE)])
    subject = [scenes[int(f >= cut)].subject_tokens(start + (4 * f + 1.5) / RATE) for f in range(latents)]
    return codec.encode(video), np.stack(subject), cut


def mistake(attributes, rng, codec):
    """Where both attributes are the same, the subject is there twice; the second one has another size. None: there is no room."""
    seed, twice = int(rng.integers(1 << 62)), attributes[0] == attributes[1]
    scenes = [Scene(a, np.random.default_rng(seed)) for a in (replace(attributes[0], subject="none"), *attributes)]
    one, other = scenes[1:]
    for _ in range(TRIES):
        start = rng.uniform(0, 20)
        if one.subject_inside(start) < SHOWN:
            continue
        if not twice:
            break
        other.size = one.size * rng.uniform(0.75, 1.25)
        other.x = rng.uniform(60, WIDTH - 60)
        if attributes[0].subject != "boat":
            other.y = rng.uniform(60, 200)
        if other.subject_inside(start) >= SHOWN and not (one.subject_tokens(start) & other.subject_tokens(start)).any():
            break
    else:
        return None
    latents = [codec.encode(np.repeat(s.render(1, start), 4, 0)) for s in scenes]
    return torch.cat(latents), np.stack([s.subject_tokens(start) for s in scenes]), len(scenes)


def draw_scene(kind, rng):
    """-> the attributes of what is shown, and of what it turns into or is mistaken for"""
    if kind == "mistakes":
        a = draw_attributes(rng, lambda a: a.subject != "none" and not held_out(a))
        return a, draw_likeness(a, rng) if rng.random() < MISTAKEN else a
    a = draw_attributes(rng)
    return a, draw_change(a, rng) if kind in ("clips", "streams") and rng.random() < CHANGES else a


MAKERS = {"images": image, "clips": clip, "streams": partial(clip, latents=STREAM_LATENTS), "mistakes": mistake}


def keep(name, rows):
    """A file of scenes, each (latents, words, subject, cut, attributes); who looks for it finds it whole."""
    file, names = paths.WORK / name, ("latents", "words", "subject", "cut", "attributes")
    np.savez(file.with_suffix(".part"), **{k: np.stack(v) for k, v in zip(names, zip(*rows))})
    file.with_suffix(".part.npz").rename(file)


def main(kind, worker, seconds):
    torch.set_num_threads(1)
    began, worker = time.time(), int(worker)
    rng, codec, tokenizer = np.random.default_rng([7000, worker, list(MAKERS).index(kind)]), Codec(), Tokenizer()
    part, count = 0, 0
    while (now := time.time()) - began < seconds:
        end, rows = min(began + seconds, now + PART_SECONDS), []
        while not rows or time.time() < end:
            a, b = draw_scene(kind, rng)
            if (scene := MAKERS[kind]((a, b), rng, codec)) is None:
                continue
            latents, subject, cut = scene
            words = tokenizer([caption(x, rng) for x in (a, b) for _ in range(CAPTIONS)])
            rows.append((latents.half().numpy(), words.view(2, CAPTIONS, -1).numpy().astype(np.uint16), subject, cut,
                         np.array([a.indices(), b.indices()], np.uint8)))
        keep(f"{kind}-{worker}-{part}.npz", rows)
        part, count = part + 1, count + len(rows)
    print(f"{count} {kind}, {count / (time.time() - began):.1f} a second", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
