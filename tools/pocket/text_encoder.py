# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text encoder: UMT5 in miniature, with the parameter names of transformers' UMT5EncoderModel.

No scale in attention, a relative bias of its own in each layer, gated tanh-GELU, RMS norms without bias.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from precision import linear

BUCKETS, FARTHEST = 32, 128


def rms_norm(x, weight):
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def distance_buckets(length):
    """[length, length] int: T5's bidirectional buckets of (key - query): 8 exact, 8 logarithmic, on either side."""
    distance = torch.arange(length)[None] - torch.arange(length)[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = exact + (torch.log(distance.abs().clamp_min(1) / exact) / math.log(FARTHEST / exact) * (half - exact)).long()
    magnitude = torch.where(distance.abs() < exact, distance.abs(), far.clamp_max(half - 1))
    return (distance > 0).long() * half + magnitude


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.relative_attention_bias = nn.Embedding(BUCKETS, heads)
        for projection in (self.k, self.v, self.o):
            nn.init.normal_(projection.weight, std=width ** -0.5)
        nn.init.normal_(self.q.weight, std=(width * (width // heads)) ** -0.5)      # stands for the missing scale
        nn.init.zeros_(self.relative_attention_bias.weight)

    def forward(self, x, buckets, real):
        """x [B, T, D]; real [B, T] bool: keys that are not padding."""
        def split(w):
            return linear(x, w.weight).unflatten(-1, (self.heads, -1)).transpose(1, 2).float()
        bias = self.relative_attention_bias(buckets).permute(2, 0, 1)[None]
        bias = bias.masked_fill(~real[:, None, None, :], -1e4)
        y = F.scaled_dot_product_attention(split(self.q), split(self.k), split(self.v), attn_mask=bias, scale=1.0)
        return linear(y.transpose(1, 2).flatten(2), self.o.weight)


class DenseReluDense(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.wi_0, self.wi_1 = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.wo = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        gate = F.gelu(linear(x, self.wi_0.weight).float(), approximate="tanh")
        return linear(gate * linear(x, self.wi_1.weight), self.wo.weight)


class Sublayer(nn.Module):
    """A part with its norm before it, under the name the reference gives the part."""

    def __init__(self, name, part, width):
        super().__init__()
        setattr(self, name, part)
        self.layer_norm = nn.Module()
        self.layer_norm.weight = nn.Parameter(torch.ones(width))
        self.name = name

    def forward(self, x, *more):
        return x + getattr(self, self.name)(rms_norm(x, self.layer_norm.weight), *more)


class Layer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.layer = nn.ModuleList([Sublayer("SelfAttention", SelfAttention(width, heads), width),
                                    Sublayer("DenseReluDense", DenseReluDense(width, inner), width)])

    def forward(self, x, buckets, real):
        return self.layer[1](self.layer[0](x, buckets, real))


class TextEncoder(nn.Module):
    def __init__(self, vocabulary, width=192, layers=2, heads=4, inner=384, longest=32):
        super().__init__()
        self.shared = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.shared.weight, std=0.5)
        self.encoder = nn.Module()
        self.encoder.block = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.encoder.final_layer_norm = nn.Module()
        self.encoder.final_layer_norm.weight = nn.Parameter(torch.ones(width))
        self.register_buffer("buckets", distance_buckets(longest), persistent=False)

    def forward(self, ids):
        """ids [B, T] with padding 0 -> [B, T, D]; rows of padding are zero, as Wan's contract has it."""
        real = ids != 0
        x = self.shared(ids)
        for layer in self.encoder.block:
            x = layer(x, self.buckets, real)
        return rms_norm(x, self.encoder.final_layer_norm.weight) * real[..., None]
