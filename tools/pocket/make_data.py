# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scenes as latents: what the transformer is trained on.

python make_data.py images WORKER MINUTES     single pictures, as a clip begins
python make_data.py clips WORKER MINUTES      clips of 17 frames; half of them begin somewhere in the stream

Each worker writes KIND-WORKER.npz: latents [n, F, C, 18, 32] f16, attributes [n, 6] uint8 (see world.Attributes),
subject [n, F, 9, 16] bool, late [n] bool: the clip does not begin with a first frame.
"""

import sys
import time

import numpy as np
import torch

import paths
from codec import Codec
from scene import RATE, Scene
from world import draw_attributes

FRAMES = 17


def image(scene, codec, rng):
    latents = codec.encode(scene.render(1))
    return latents, scene.subject_tokens(0)[None], False


def clip(scene, codec, rng):
    """Latent f > 0 shows frames 4f-3 .. 4f; its subject stands where it is in the middle of them."""
    late = rng.random() < 0.5
    start = rng.uniform(0, 20) if late else 0.0
    if late:
        video = scene.render(FRAMES + 3, start)
        latents, middle = codec.encode_groups(video), lambda f: start + (4 * f + 1.5) / RATE
    else:
        latents, middle = codec.encode(scene.render(FRAMES)), lambda f: max(0.0, (4 * f - 1.5) / RATE)
    return latents, np.stack([scene.subject_tokens(middle(f)) for f in range(len(latents))]), late


def main(kind, worker, minutes):
    torch.set_num_threads(1)
    rng, codec = np.random.default_rng(7000 + worker + 100 * (kind == "clips")), Codec()
    make = {"images": image, "clips": clip}[kind]
    latents, attributes, subjects, lates, began = [], [], [], [], time.time()
    while time.time() - began < 60 * minutes:
        a = draw_attributes(rng)
        z, subject, late = make(Scene(a, rng), codec, rng)
        latents.append(z.half().numpy())
        attributes.append(a.indices())
        subjects.append(subject)
        lates.append(late)
    np.savez(paths.WORK / f"{kind}-{worker}.npz", latents=np.stack(latents), subject=np.stack(subjects),
             attributes=np.array(attributes, np.uint8), late=np.array(lates))
    print(f"{len(latents)} {kind}, {len(latents) / (time.time() - began):.1f} a second")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
