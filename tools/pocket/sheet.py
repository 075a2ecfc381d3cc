# SPDX-License-Identifier: LGPL-2.1-or-later
"""A contact sheet of the 24 prompts in ../prompts.txt, to be looked at.

python sheet.py OUT.png [FOLDER] [FRAMES]       FRAMES 1: first frames; 4k + 1: three moments of each clip
"""

import pathlib
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw

import paths
from sample import Exported, latents_of

PROMPTS = pathlib.Path(__file__).parents[1].joinpath("prompts.txt").read_text().splitlines()


def tile(pictures, caption):
    """[n, h, w, 3] in 0..1 side by side, the caption above."""
    row = Image.fromarray(np.concatenate(list((pictures * 255).round().byte().numpy()), 1))
    out = Image.new("RGB", (row.width, row.height + 14))
    out.paste(row, (0, 14))
    ImageDraw.Draw(out).text((2, 1), caption, fill="white")
    return np.array(out)


def main(path, folder=paths.MODEL, frames=1, **changes):
    frames = int(frames)
    e = Exported(pathlib.Path(folder))
    z = latents_of(PROMPTS, (frames + 3) // 4, seed=1, exported=e, **changes)
    moments = [0] if frames == 1 else [0, frames // 2, frames - 1]
    tiles = []
    for latents, prompt in zip(z, PROMPTS):
        video = e.decoder(latents)[3:][moments, ::2, ::2]
        tiles.append(tile(video, prompt))
    across = 4 if frames == 1 else 2
    rows = [np.concatenate(tiles[i:i + across], 1) for i in range(0, len(tiles), across)]
    Image.fromarray(np.concatenate(rows, 0)).save(path)
    spread = " ".join(f"{v:.2f}" for v in z.std((0, 2, 3, 4)))
    print(f"standard deviation of latent frames: {spread}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
