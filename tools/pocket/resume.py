# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills an empty work folder from what is shipped, to train on where models/pocket stands, on any machine.

python resume.py [FOLDER]       spiece.model, codec.npz, decoder.pt, shipped.safetensors, judge-*.pt; then train.py windows --from shipped

encoder.npz, beside this file, is the half of the codec that a player does not need: components of another fit would be
as good, but not the same, and the transformer knows these. judges.safetensors are the networks that the figures in docs/ are
counted with (judge.py, 42 minutes each): others would count a little differently.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import decoder
import low_rank
import paths
from judge import FILES, KEPT

ENCODER = pathlib.Path(__file__).with_name("encoder.npz")


def write_codec(folder):
    """The regression from the decoder's convolution: what codec.py and export.py do, backwards."""
    weights = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    def reorder(v):
        return v.float().unflatten(0, (4, 3, 16, 16)).permute(0, 2, 3, 1, *range(4, v.dim() + 3)).flatten(0, 3)
    weight, bias = reorder(weights["conv_in.weight"]), reorder(weights["conv_in.bias"])
    regression = torch.cat([weight.permute(2, 3, 1, 0).flatten(0, 2), bias[None]])
    with np.load(ENCODER) as encoder:
        np.savez(paths.CODEC, regression=regression.numpy(), **{k: encoder[k] for k in encoder.files})


def write_weights(folder):
    about, weights = json.loads((folder / "sora.json").read_text()), {}
    for part, file in (("transformer", "diffusion_pytorch_model"), ("text_encoder", "model")):
        for k, v in load_file(folder / part / f"{file}.safetensors").items():
            if k != "encoder.embed_tokens.weight":              # a second name of shared.weight
                weights[f"{part}.{k}"] = v.float()
    for key, name in low_rank.FILES.items():
        if key in about:
            shutil.copyfile(folder / about[key], paths.WORK / f"shipped-{name}")
    for name in ("spread", "spread_next"):
        weights[name] = torch.tensor(about[name])[:, None, None]
    for k, v in load_file(folder / about["motion"]).items() if "motion" in about else ():
        weights[f"motion.{k}"] = v.float() * weights["spread"] if k == "filter.weight" else v.float()
    save_file(weights, paths.WORK / "shipped.safetensors")


def write_decoder(folder):
    """The network of the decoder."""
    about = json.loads((folder / "vae" / "config.json").read_text())
    if refiner := decoder.shipped(about, load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")):
        decoder.save(refiner)


def write_judges():
    weights = load_file(KEPT)
    for file in FILES:
        torch.save({k.removeprefix(file.stem + "."): v.float() for k, v in weights.items() if k.startswith(file.stem)}, file)


def main(folder=paths.MODEL):
    folder = pathlib.Path(folder)
    paths.WORK.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "tokenizer" / "spiece.model", paths.TOKENIZER)
    write_codec(folder)
    write_weights(folder)
    write_decoder(folder)
    write_judges()


if __name__ == "__main__":
    main(*sys.argv[1:])
