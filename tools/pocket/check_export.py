# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the exported folder, as diffusers and transformers load it, with the code that trained it.

python check_export.py [FOLDER]         prints the largest differences; exits with 1 where one is too large
"""

import pathlib
import sys

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, UMT5EncoderModel

import decoder
import paths
from codec import CHANNELS, Codec
from sample import Exported
from tokenizer import PAD
from transformer import rope_tables

PROMPTS = ["a red balloon over green hills", "Calm sea at sunset, slow clouds", "a blue boat on the sea at night", ""]


def largest(a, b):
    return (a - b).abs().max().item()


@torch.no_grad()
def text_difference(e, folder):
    """The reference runs on the real tokens of one prompt at a time; the rows behind them are zero."""
    reference = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
    ids = e.tokenizer(PROMPTS)
    ours, worst = e.model.text_encoder(ids), 0.0
    for row, states in zip(ids, ours):
        n = int((row != PAD).sum())
        worst = max(worst, largest(reference(row[None, :n]).last_hidden_state[0], states[:n]), states[n:].abs().sum())
    return float(worst)


@torch.no_grad()
def transformer_difference(e, folder):
    """One frame, a time for each token, as Wan2.2's expand_timesteps gives them; as first frames have it, then later ones."""
    reference = WanTransformer3DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32).eval()
    x = torch.randn(4, 1, reference.config.in_channels, 18, 32)
    t, text = torch.tensor([[1.0], [0.7], [0.3], [0.04]]), e.model.text_encoder(e.tokenizer(PROMPTS))
    def difference(model):
        ours, _ = model.transformer(x, t, text, rope_tables([0]))
        theirs = reference(x.transpose(1, 2), (t * 1000).expand(-1, 144), text, return_dict=False)[0]
        return largest(ours, theirs.transpose(1, 2)), ours.abs().max().item()
    found = []
    for model, key in ((e.model, "lora"), (e.next, "lora_next")):
        if key in e.about:
            reference.load_lora_adapter(load_file(folder / e.about[key]), prefix=None, adapter_name=key)
            reference.set_adapters(key)
        found.append(difference(model))
    return max(found)


@torch.no_grad()
def cache_difference(e):
    """Frames one by one with cached keys and values, against all at once under the causal mask; any start."""
    m, f = e.next, 4
    text = m.text_encoder(e.tokenizer(PROMPTS[:1]))
    x, t = torch.randn(1, f, m.transformer.patch_embedding.in_channels, 18, 32), torch.rand(1, f)
    whole, _ = m.transformer(x, t, text, rope_tables(range(f)))
    caches, parts = None, []
    for i in range(f):
        y, new = m.transformer(x[:, i:i + 1], t[:, i:i + 1], text, rope_tables([100 + i]), caches)
        caches = new if caches is None else [tuple(torch.cat(p, 2) for p in zip(*pair)) for pair in zip(caches, new)]
        parts.append(y)
    return largest(whole, torch.cat(parts, 1))


@torch.no_grad()
def decoder_difference(e):
    """f16 weights against the closed form and the trained network in f32; in units of 0..1."""
    z, refiner = torch.randn(2, CHANNELS, 18, 32), decoder.load()
    picture = Codec().decode(z)
    if refiner:
        more = refiner(torch.cat([z[[0, 0]], z], 1))
        picture += more.unflatten(1, (4, 3)).flatten(0, 1).permute(0, 2, 3, 1)
    return largest((picture * 0.5 + 0.5).clamp(0, 1), e.decoder(z))


def tokenizer_difference(e, folder):
    """How many of the prompts transformers' tokenizer cuts in another way."""
    reference = AutoTokenizer.from_pretrained(folder / "tokenizer")
    ours = [[i for i in row.tolist() if i != PAD] for row in e.tokenizer(PROMPTS)]
    return sum(a != reference(p).input_ids for a, p in zip(ours, PROMPTS))


def main(folder=paths.MODEL):
    torch.manual_seed(0)
    folder = pathlib.Path(folder)
    e = Exported(folder)
    transformer, scale = transformer_difference(e, folder)
    results = [("text encoder", text_difference(e, folder), 1e-4),
               (f"transformer, outputs up to {scale:.2f}", transformer, 1e-4),
               ("cached frames against causal mask", cache_difference(e), 1e-4),
               ("decoder, f16 against f32", decoder_difference(e), 1e-2),
               ("tokenizer, prompts cut otherwise", tokenizer_difference(e, folder), 0)]
    for name, difference, limit in results:
        print(f"{name}: {difference:.3g} (limit {limit:g})")
    return int(any(difference > limit for _, difference, limit in results))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
