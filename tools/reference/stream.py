#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams as the published code makes them: 12 chunks, another prompt from the seventh on.

    stream.py OUT       writes OUT/stream/SCHEDULE-CHANGE.json, each a sora.json, and OUT/stream/run.safetensors

The transformer is diffusers' WanTransformer3DModel of OUT/clip; its blocks attend as CausalWanSelfAttention does in the
infinite mode of LongLive, whose keys are kept before their rotation. With REFERENCE_SEED that transformer is replaced by
another, and windows, sinks and chunks are others too.

References: pipeline/causal_inference.py of guandeh17/Self-Forcing and thu-ml/Causal-Forcing, pipeline/
interactive_causal_inference.py and wan/modules/causal_model_infinity.py of NVlabs/LongLive (v1.0).

run.safetensors: noise, renoise.1 ... [C, F, H, W], which all runs share; before.SCHEDULE [C, F/2, H, W] and
after.SCHEDULE-CHANGE, the latents of the six chunks before and after the change; same.SCHEDULE, those without one.
"""
import json
import pathlib
import sys

import sentencepiece
import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from transformers import UMT5EncoderModel

from fresh import SEED, pick, seed

BEFORE, AFTER = "a red balloon over green hills", "a blue boat on the sea at night"
CHUNKS, ROWS, COLUMNS = 12, 4, pick(4, 6)
WARPED = [1000, 937.5, 2500 / 3, 625]           # 1000, 750, 500, 250 shifted by 5

# First and later timesteps, latent frames of a chunk, of the past that it sees beside the sink, and of the sink. A sink is
# never longer than a chunk: of the frames behind the first chunk the published code keeps what the first noisy pass wrote.
LENGTH = pick(3, 2)
SCHEDULES = {
    "self-forcing": (WARPED, WARPED, 3, pick(18, 12, 5), 0),
    "causal-forcing++": (WARPED, [1000, 2500 / 3], 1, pick(4, 7, 2, 20), pick(1, 0)),
    "longlive": (WARPED, WARPED, LENGTH, pick(6, 4, 9), pick(LENGTH, 1)),
}
CHANGES = {
    "self-forcing": ["restart", "continue", "re-cache"],
    "causal-forcing++": ["restart", "continue", "re-cache"],
    "longlive": ["restart", "continue", "re-cache", "last-step"],
}


class Attention:
    """Self-attention of one block and its cache, counted in tokens, as the published code has it."""

    def __init__(self, stream):
        self.stream = stream
        self.k = self.v = None
        self.local_end = self.global_end = 0

    def rotate(self, x, first):
        """x [L, N, D], whose first token is that of frame `first` of what is seen"""
        s = self.stream
        n = len(x) // s.tokens
        cos, sin = (y[0, first * s.tokens:] for y in s.model.rope(torch.zeros(1, 1, first + n, s.rows, s.columns)))
        a, b = x[..., 0::2].double(), x[..., 1::2].double()
        cos, sin = cos[..., 0::2].double(), sin[..., 1::2].double()
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).float()

    def __call__(self, attn, x, *_, **__):
        s = self.stream
        q, k = attn.norm_q(attn.to_q(x)), attn.norm_k(attn.to_k(x))
        q, k, v = (y[0].unflatten(-1, (attn.heads, -1)) for y in (q, k, attn.to_v(x)))
        if self.k is None:
            self.k, self.v = (torch.zeros(s.size, *k.shape[1:]) for _ in range(2))
        new, sink, end = len(k), s.sink, s.start + len(k)
        recompute = end <= self.global_end and s.start > 0
        if end > self.global_end and new + self.local_end > s.size:
            evicted = new + self.local_end - s.size
            rolled = self.local_end - evicted - sink
            for y in (self.k, self.v):
                y[sink:sink + rolled] = y[sink + evicted:sink + evicted + rolled].clone()
            self.local_end -= evicted
        self.local_end += end - self.global_end
        self.global_end = end
        start = self.local_end - new
        write = max(start, sink) if recompute else start
        self.k[write:self.local_end], self.v[write:self.local_end] = k[write - start:], v[write - start:]

        queries = self.rotate(q, start // s.tokens)
        keys = self.rotate(self.k[:self.local_end], 0)
        seen = list(range(min(sink, self.local_end))) + list(range(max(sink, self.local_end - (s.size - sink)), self.local_end))
        y = F.scaled_dot_product_attention(*(z.transpose(0, 1) for z in (queries, keys[seen], self.v[seen])))
        return attn.to_out[0](y.transpose(0, 1).flatten(1))[None]


class Stream:
    """One model with its caches; a chunk after another is drawn from the shared noise."""

    def __init__(self, model, noise, schedule):
        self.model, self.noise = model, noise
        self.first, self.next, self.chunk, self.window, sink = schedule
        _, _, self.rows, self.columns = noise[0].shape
        self.tokens = self.rows // 2 * (self.columns // 2)
        self.sink, self.size = sink * self.tokens, (sink + self.window + self.chunk) * self.tokens
        self.output = []
        self.restart()

    def restart(self):
        self.frame = 0
        self.attention = [Attention(self) for _ in self.model.blocks]
        for block, attention in zip(self.model.blocks, self.attention):
            block.attn1.set_processor(attention)

    def network(self, x, t, text, frame):
        self.start = frame * self.tokens
        return self.model(x[None], torch.tensor([float(t)]), text, return_dict=False)[0][0]

    def one_chunk(self, text, clean_pass=True):
        drawn = sum(y.shape[1] for y in self.output)
        noise = [y[:, drawn:drawn + self.chunk] for y in self.noise]
        x, steps = noise[0], self.next if self.frame else self.first
        for i, t in enumerate(steps):
            x0 = (x.double() - t / 1000 * self.network(x, t, text, self.frame).double()).float()
            if i + 1 < len(steps):
                sigma = steps[i + 1] / 1000
                x = (1 - sigma) * x0 + sigma * noise[i + 1]
        if clean_pass:
            self.network(x0, 0, text, self.frame)
        self.output.append(x0)
        self.frame += self.chunk

    def recache(self, text):
        """_recache_after_switch() with global_sink: one pass over the last frames, in which they all see each other."""
        n = min(self.frame, self.size // self.tokens)
        self.network(torch.cat(self.output, 1)[:, -n:], 0, text, self.frame - n)

    def latents(self, first, last):
        return torch.cat(self.output[first:last], 1).contiguous()


def run(model, noise, schedule, change, before, after):
    s = Stream(model, noise, schedule)
    for _ in range(CHUNKS // 2):
        s.one_chunk(before, change != "last-step")
    if change == "restart":
        s.restart()
    elif change == "re-cache":
        s.recache(after)
    for _ in range(CHUNKS // 2):
        s.one_chunk(after, change != "last-step")
    return s


def description(name, change):
    _, _, chunk, window, sink = SCHEDULES[name]
    sampler = {"window": window, "sink": sink}
    if change == "last-step":
        sampler["cache"], change = change, "continue"
    return {"family": "wan", "preset": name, "chunk_latents": chunk, "prompt_change": change, "sampler": sampler}


@torch.no_grad()
def states(encoder, tokenizer, text):
    """[1, 512, D]: the rows of the real tokens, then zeros."""
    rows = encoder(torch.tensor([tokenizer.encode(text) + [1]])).last_hidden_state
    return torch.cat([rows, rows.new_zeros(1, 512 - rows.shape[1], rows.shape[2])], 1)


def transformer(folder, generator):
    """The one of the folder; with a seed another takes its place."""
    if not SEED:
        return WanTransformer3DModel.from_pretrained(folder).float().eval()
    from wan import randomise
    model = WanTransformer3DModel(num_attention_heads=pick(2, 1, 3), attention_head_dim=pick(24, 32, 12), in_channels=16,
                                  out_channels=16, text_dim=32, freq_dim=32, ffn_dim=pick(64, 100), num_layers=pick(2, 3)).eval()
    randomise(model, generator)
    for p in model.parameters():
        p.data = p.data.bfloat16().float()
    rounded = WanTransformer3DModel.from_config(model.config)
    rounded.load_state_dict(model.state_dict())
    rounded.to(torch.bfloat16).save_pretrained(folder)
    return model


@torch.no_grad()
def main(out):
    generator = torch.Generator().manual_seed(seed(41))
    tokenizer = sentencepiece.SentencePieceProcessor(str(out / "text.model"))
    encoder = UMT5EncoderModel.from_pretrained(out / "clip/text_encoder").float().eval()
    model = transformer(out / "clip/transformer", generator)
    before, after = (states(encoder, tokenizer, s) for s in (BEFORE, AFTER))
    frames = CHUNKS * max(s[2] for s in SCHEDULES.values())
    noise = [torch.randn(16, frames, ROWS, COLUMNS, generator=generator) for _ in range(4)]
    tensors = {f"renoise.{i}" if i else "noise": y for i, y in enumerate(noise)}
    folder = out / "stream"
    folder.mkdir(exist_ok=True)
    for name, schedule in SCHEDULES.items():
        tensors[f"same.{name}"] = run(model, noise, schedule, "continue", before, before).latents(6, 12)
        for change in CHANGES[name]:
            s = run(model, noise, schedule, change, before, after)
            tensors[f"before.{name}" if change != "last-step" else f"before.{name}-last-step"] = s.latents(0, 6)
            tensors[f"after.{name}-{change}"] = s.latents(6, 12)
            (folder / f"{name}-{change}.json").write_text(json.dumps(description(name, change)) + "\n")
    save_file(tensors, folder / "run.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
