#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Latents of the shipped pocket model as PyTorch computes them -> tests/ref/pocket.safetensors: noise, renoise.1 ...,
latents [C, F, H, W]

    pocket.py OUT.safetensors        after every training, from the folder models/pocket
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

MODEL = pathlib.Path(__file__).resolve().parents[2] / "models" / "pocket"
SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "pocket" / "sample.py"
sys.path.insert(0, str(SAMPLE.parent))
from sample import times  # noqa: E402


def main(out):
    about, dice = json.loads((MODEL / "sora.json").read_text()), torch.Generator().manual_seed(5)
    channels, rows, columns = about["latent"]
    sampler = about["sampler"]
    noise = {f"renoise.{k}" if k else "noise": torch.randn(channels, 3, rows, columns, generator=dice)
             for k, t in enumerate(times(sampler["first_steps"], sampler["shift"])) if t >= sampler["renoise_until"]}
    with tempfile.TemporaryDirectory() as top:
        save_file(noise, f"{top}/noise.safetensors")
        subprocess.run([sys.executable, SAMPLE, "a red balloon over green hills", "--frames", "9",
                        "--noise", f"{top}/noise.safetensors", "--latents", f"{top}/latents.safetensors"], check=True)
        latents = load_file(f"{top}/latents.safetensors")["latents"]
    save_file(noise | {"latents": latents.contiguous()}, out)


if __name__ == "__main__":
    main(sys.argv[1])
