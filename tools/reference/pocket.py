#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Latents of the shipped pocket model as PyTorch computes them -> tests/ref/pocket.safetensors: noise, renoise.1 ...,
latents [C, F, H, W]; turned, the same with every second latent frame drawn anew; and changed, with another prompt from the third on

    pocket.py OUT.safetensors        after every training, from the folder models/pocket
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pocket"))
from sample import Exported, latents_of, times  # noqa: E402

PROMPT, OTHER = "a red balloon over green hills", "a blue boat on the sea at night"
FRAMES = 3


def main(out):
    e, dice = Exported(), torch.Generator().manual_seed(5)
    channels, rows, columns = e.about["latent"]
    sampler = e.about["sampler"]
    noise = {f"renoise.{k}" if k else "noise": torch.randn(channels, FRAMES, rows, columns, generator=dice)
             for k, t in enumerate(times(sampler["first_steps"], sampler["shift"])) if t >= sampler["renoise_until"]}

    def given(f, k):
        return noise[f"renoise.{k}" if k else "noise"].transpose(0, 1)[None, f:f + 1]
    made = {name: latents_of([PROMPT], FRAMES, noise=given, exported=e, **how)[0].transpose(0, 1).contiguous()
            for name, how in (("latents", {}), ("turned", {"turn_every": 2}), ("changed", {"change": (2, [OTHER])}))}
    save_file(noise | made, out)


if __name__ == "__main__":
    main(sys.argv[1])
