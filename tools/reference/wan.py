#!/usr/bin/env python3
"""Reference activations of diffusers' WanTransformer3DModel on random weights.

    wan.py OUT [NAME ...]     writes OUT/wan-NAME/: transformer/ as save_pretrained() leaves it, and io.safetensors

Small configurations for tests/ref: plain, ti2v (a time for each token; norms whose eps shows), i2v (more channels in
than out), pocket (a prior and the place as inputs), stream (chunk by chunk with a window of cached keys), rows (so many
tokens that the program takes them in several turns).  1.3b, 5b, 14b: true widths with one or two layers, for comparison
on the spot: too large to keep.  Every part matters: norms, biases, tables and gates
are far from what an initialiser gives.

io.safetensors, batch axis left out: x [C, F, H, W], t [F], text [real rows, D], out [C, F, H, W]; a stream has
out.CHUNK.WINDOW.SINK, and clean, what stands in the cache; pocket's motion.out goes with motion.safetensors.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file

from fresh import pick, seed

TEXT_LEN = {"pocket": 16}               # the others: 512
PER_TOKEN = ("ti2v", "rows", "5b")
WAVES = (1, 3)                          # of pocket's place features
CLEAN_T = 0.0                           # of frames that enter the cache

SMALL = dict(num_attention_heads=2, attention_head_dim=24, in_channels=4, out_channels=4, text_dim=24, freq_dim=32,
             ffn_dim=64, num_layers=2)
CONFIGS = {
    "plain": dict(SMALL),
    "ti2v": dict(SMALL, attention_head_dim=pick(32, 12, 48), num_attention_heads=pick(2, 1, 5), num_layers=pick(2, 1, 3),
                 in_channels=6, out_channels=6, freq_dim=64, ffn_dim=96, eps=1e-2),
    "i2v": dict(SMALL, num_attention_heads=3, attention_head_dim=16, in_channels=10, num_layers=1,
                cross_attn_norm=False, eps=1e-5, ffn_dim=100),
    "rows": dict(SMALL, num_attention_heads=1, in_channels=1, out_channels=1, num_layers=1),
    "stream": dict(SMALL),
    "pocket": dict(SMALL, in_channels=2 * 4 + 4 * 2),
    "1.3b": dict(num_attention_heads=12, ffn_dim=8960, num_layers=2),
    "5b": dict(num_attention_heads=24, ffn_dim=14336, num_layers=1, in_channels=48, out_channels=48),
    "14b": dict(num_attention_heads=40, ffn_dim=13824, num_layers=1),
}
SIZES = {"plain": (3, 4, 6), "ti2v": (pick(3, 2, 4), 4, pick(8, 10)),
         "i2v": (3, 6, pick(10, 4)), "rows": (3, 88, 64), "stream": (7, 4, 6), "pocket": (1, 6, 10),
         "1.3b": (3, 16, 26), "5b": (3, 16, 26), "14b": (2, 12, 20)}


def place(rows, columns):
    """[4 len(WAVES), 1, rows, columns]: for rows, then columns, for each wave k, sin and cos of pi k (i + 1/2) / n"""
    maps = []
    for count, shape in ((rows, (-1, 1)), (columns, (1, -1))):
        u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        for k in WAVES:
            maps += [f(torch.pi * k * u).view(shape).expand(rows, columns) for f in (torch.sin, torch.cos)]
    return torch.stack(maps)[:, None].float()


def randomise(model, generator):
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "scale_shift_table" in name:
            p.data = 0.3 * noise
        elif name.endswith("bias"):
            p.data = 0.1 * noise
        elif p.ndim == 1:
            p.data = 1 + 0.2 * noise
        else:
            p.data = noise / (p[0].numel()) ** 0.5


def expanded(t, model, shape):
    """[F] -> [1, L]: the time of each token."""
    _, h, w = shape
    ph, pw = model.config.patch_size[1:]
    return t.repeat_interleave((h // ph) * (w // pw))[None]


class ChunkedAttention:
    """Self-attention of a stream: chunk after chunk, each seeing the sink, a window of the past, and itself.

    Positions are relative: the visible frames are counted from 0, the sink first, the chunk's own last.
    """

    def __init__(self, model, shape, chunk, window, sink):
        self.model, self.shape, self.chunk, self.window, self.sink = model, shape, chunk, window, sink

    def visible(self, first):
        past = range(first)
        return [f for f in past if f < self.sink] + [f for f in past if f >= self.sink][-self.window:]

    def rotate(self, x, frames):
        """x [L, N, D] of the visible frames, which stand at 0, 1, 2 ..."""
        cos, sin = self.model.rope(torch.zeros(1, 1, frames, *self.shape[1:]))
        a, b = x[..., 0::2], x[..., 1::2]
        cos, sin = cos[0, :, :, 0::2], sin[0, :, :, 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def __call__(self, attn, x, *_, **__):
        frames = self.shape[0]
        q, k = attn.norm_q(attn.to_q(x)), attn.norm_k(attn.to_k(x))
        q, k, v = (y[0].unflatten(-1, (attn.heads, -1)).unflatten(0, (frames, -1)) for y in (q, k, attn.to_v(x)))
        out = []
        for first in range(0, frames, self.chunk):
            own = list(range(first, min(first + self.chunk, frames)))
            seen = self.visible(first) + own
            keys = self.rotate(k[seen].flatten(0, 1), len(seen))
            queries = self.rotate(torch.cat([k[seen[:-len(own)]], q[own]]).flatten(0, 1), len(seen))
            queries = queries[-len(own) * q.shape[1]:]
            parts = (y.transpose(0, 1) for y in (queries, keys, v[seen].flatten(0, 1)))
            out.append(F.scaled_dot_product_attention(*parts).transpose(0, 1))
        return attn.to_out[0](torch.cat(out).flatten(1))[None]


class MaskedAttention(ChunkedAttention):
    """The same without a limit of the window, as one attention with a block-causal mask and absolute positions."""

    def __call__(self, attn, x, *_, **__):
        frames = self.shape[0]
        q, k = attn.norm_q(attn.to_q(x)), attn.norm_k(attn.to_k(x))
        q, k, v = (y[0].unflatten(-1, (attn.heads, -1)) for y in (q, k, attn.to_v(x)))
        part = torch.arange(frames).repeat_interleave(len(q) // frames) // self.chunk
        mask = part[:, None] >= part[None, :]
        q, k = self.rotate(q, frames), self.rotate(k, frames)
        y = F.scaled_dot_product_attention(*(y.transpose(0, 1) for y in (q, k, v)), attn_mask=mask).transpose(0, 1)
        return attn.to_out[0](y.flatten(1))[None]


def self_attention_as(model, processor):
    for block in model.blocks:
        block.attn1.set_processor(processor)


def stream(model, x, clean, t, text, shape, chunk, window, sink, kind=ChunkedAttention):
    """Output of each chunk of x at time t, when the chunks before it stand as `clean` in the cache.

    One forward pass for each chunk: everything before it is clean and has the time of clean frames.
    """
    out = []
    for first in range(0, shape[0], chunk):
        last = min(first + chunk, shape[0])
        part = (last, *shape[1:])
        self_attention_as(model, kind(model, part, chunk, window, sink))
        mixed = torch.cat([clean[:, :first], x[:, first:last]], 1)
        times = torch.cat([torch.full((first,), CLEAN_T), t[first:last]])
        y = model(mixed[None], expanded(times, model, part), text[None], return_dict=False)[0][0]
        out.append(y[:, first:])
    return out


def with_motion(model, out, prior, generator):
    """-> tensors of motion.safetensors, and out [C, 1, H, W] with the filters of prior added, each times its gate; the model has just
    made out, and kept what its last layer read."""
    c, h, w = prior.shape
    filters, inner, width = 3, 5, model.proj_out.in_features
    def random(*shape):
        return torch.randn(shape, generator=generator).bfloat16().float()
    tensors = {"gate.0.weight": random(inner, 2 * width) / width ** 0.5, "gate.0.bias": random(inner),
               "gate.2.weight": random(4 * filters, inner), "gate.2.bias": random(4 * filters),
               "filter.weight": random(filters * c, c, 3, 3) / 4}
    y = model.seen[0]
    y = F.linear(torch.cat([y, y.mean(0, keepdim=True).expand_as(y)], 1), tensors["gate.0.weight"], tensors["gate.0.bias"])
    gates = F.linear(F.gelu(y, approximate="tanh"), tensors["gate.2.weight"], tensors["gate.2.bias"])
    gates = gates.view(h // 2, w // 2, 2, 2, filters).permute(4, 0, 2, 1, 3).reshape(filters, 1, h, w)
    filtered = F.conv2d(F.pad(prior[None], (1, 1, 1, 1), mode="replicate"), tensors["filter.weight"]).view(filters, c, h, w)
    return tensors, out + (gates * filtered).sum(0)[:, None]


@torch.no_grad()
def make(folder, name):
    generator = torch.Generator().manual_seed(seed(len(name) + sum(map(ord, name))))
    shape, config = SIZES[name], CONFIGS[name]
    model = WanTransformer3DModel(**config).eval()
    randomise(model, generator)
    if name != "plain":                                     # keep the files small; and files of bf16 must load
        for p in model.parameters():                        # not model.to(): that rounds the rotary tables too
            p.data = p.data.bfloat16().float()
    real = 100 if config.get("text_dim", 4096) == 4096 else 9
    x = torch.randn(config.get("in_channels", 16), *shape, generator=generator)
    text = torch.zeros(TEXT_LEN.get(name, 512), model.config.text_dim)
    text[:real] = torch.randn(real, model.config.text_dim, generator=generator)
    io = {"x": x, "text": text[:real].clone()}
    if name == "pocket":
        io["x"] = x[:8].clone()                             # the place features are the program's own
        x[8:] = place(*shape[1:])
    t = torch.full((shape[0],), 737.0)
    if name in PER_TOKEN:
        t = torch.linspace(0, 737, shape[0])
        out = model(x[None], expanded(t, model, shape), text[None], return_dict=False)[0][0]
        io["out"] = out
    elif name == "stream":
        clean = torch.randn(x.shape, generator=generator)
        io["clean"] = clean
        for chunk, window, sink in ((1, 100, 0), (2, 3, 0), (1, 2, 1), (1, 3, 2)):
            parts = stream(model, x, clean, t, text, shape, chunk, window, sink)
            if window == 100:
                for a, b in zip(parts, stream(model, x, clean, t, text, shape, chunk, window, sink, MaskedAttention)):
                    assert (a - b).abs().max() < 1e-4
            io[f"out.{chunk}.{window}.{sink}"] = torch.cat(parts, 1)
    else:
        model.proj_out.register_forward_pre_hook(lambda layer, inputs: setattr(model, "seen", inputs[0]))
        io["out"] = model(x[None], t[:1], text[None], return_dict=False)[0][0]
    io["t"] = t
    folder = pathlib.Path(folder) / f"wan-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    if name == "pocket":
        motion, io["motion.out"] = with_motion(model, io["out"], x[4:8, 0], generator)
        save_file(motion, folder / "motion.safetensors")
    (model if name == "plain" else model.to(torch.bfloat16)).save_pretrained(folder / "transformer")
    if name in PER_TOKEN:
        index = {"_class_name": "WanPipeline", "expand_timesteps": True,
                 "transformer": ["diffusers", "WanTransformer3DModel"]}
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    if name == "pocket":
        about = {"format": 1, "family": "pocket", "text_tokens": TEXT_LEN[name], "position_waves": WAVES}
        (folder / "sora.json").write_text(json.dumps(about) + "\n")
    save_file({k: v.contiguous() for k, v in io.items()}, folder / "io.safetensors")


if __name__ == "__main__":
    for one in sys.argv[2:] or ("plain", "ti2v", "i2v", "stream", "pocket", "rows"):
        make(sys.argv[1], one)
