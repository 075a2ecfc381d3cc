# SPDX-License-Identifier: LGPL-2.1-or-later
"""The video transformer: Wan in miniature, with the parameter names of diffusers' WanTransformer3DModel.

What differs is how it is called: the frames of a window are chunks, each of which sees itself and the frames before it,
and every frame has a time of its own. For a single frame it is exactly the reference's forward pass.
Axes: B clips, F latent frames, H W latent rows and columns, P = H/2 * W/2 patches of a frame, N heads, D = 64 a head.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from precision import Product, attend, linear
from text_encoder import rms_norm

HEAD = 64
ROPE = (24, 20, 20)                 # dimensions of a head that turn with frame, row, column
EPS = 1e-6


def rope_tables(frames, rows=9, columns=16):
    """frames: positions of the window's frames. -> cos, sin [F * rows * columns, 32], one entry a pair."""
    angles = []
    for dims, positions, shape in zip(ROPE, (torch.as_tensor(frames), torch.arange(rows), torch.arange(columns)),
                                      ((-1, 1, 1), (1, -1, 1), (1, 1, -1))):
        rate = 10000.0 ** (-torch.arange(0, dims, 2, dtype=torch.float64) / dims)
        angle = positions.double().view(*shape, 1) * rate
        angles.append(angle.expand(len(frames), rows, columns, -1))
    angles = torch.cat(angles, -1).flatten(0, 2)
    return angles.cos().float(), angles.sin().float()


def halves_order(width):
    """Rows of a projection such that a head's even dimensions come first, then its odd ones.

    The reference turns the pairs (2i, 2i + 1). Products of queries and keys do not change when both are reordered,
    and halves are faster to turn than interleaved pairs.
    """
    return torch.arange(width).view(-1, HEAD // 2, 2).transpose(1, 2).reshape(-1)


def rotate(x, cos, sin):
    """x [B, L, N, D] in halves order, cos and sin [L, 32]."""
    even, odd = x.unflatten(-1, (2, -1)).unbind(-2)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], -1)


# What stands between two matrix products, each compiled to one or two kernels where the training asks for it: whole blocks
# take minutes to compile, once for every shape and stage; these take seconds, once. N: B F, so that no axis is ever 1,
# for which other code would be compiled.

def layer_norm(x, weight=None, bias=None):
    return F.layer_norm(x, x.shape[-1:], weight, bias, EPS)


def modulated(x, scale, shift):
    """x [N, P, C], scale and shift [N, 1, C] -> what goes into a product"""
    return (layer_norm(x) * (1 + scale) + shift).to(Product.dtype)


def normed(x, weight, bias):
    return layer_norm(x, weight, bias).to(Product.dtype)


def turned(x, weight, cos, sin):
    """Queries or keys [B, L, C] -> normed, turned [B, N, L, D]"""
    return rotate(rms_norm(x, weight).unflatten(-1, (-1, HEAD)), cos, sin).transpose(1, 2).to(Product.dtype)


def scaled(x, weight):
    """x [rows, C]"""
    return rms_norm(x, weight).to(Product.dtype)


def activated(x):
    """GELU with tanh, spelled as a sigmoid: the compiler's tanh takes three times as long as its exponential"""
    x = x.float()
    return (x * torch.sigmoid(2 * (2 / math.pi) ** 0.5 * (x + 0.044715 * x ** 3))).to(Product.dtype)


def gated(x, y, gate):
    """x and y [N, P, C], gate [N, 1, C]"""
    return x + y.float() * gate


def compile_kernels():
    torch._dynamo.config.recompile_limit = 64                   # pictures, windows and streams, with gradients and without
    for f in (modulated, normed, turned, scaled, activated, gated):
        globals()[f.__name__] = torch.compile(f)


class Scale(nn.Module):
    """The weight of an RMS norm."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self.norm_q, self.norm_k = Scale(width), Scale(width)
        nn.init.normal_(self.to_out[0].weight, std=0.007)
        nn.init.zeros_(self.to_out[0].bias)

    def out(self, y):
        """y [B, N, L, D] -> [B, L, N * D]"""
        return linear(y.transpose(1, 2).flatten(2), self.to_out[0].weight, self.to_out[0].bias)

    def self_attention(self, x, rope, order, frames, cache=None, clean=None):
        """x [B, L, C] -> the same, and its keys (turned) and values [B, N, L, D].

        Without more, a frame sees itself and the frames before it in x. cache: keys and values of past frames, which
        all of x sees as well. clean: keys and values of these same frames without their noise: a frame sees itself
        and the clean ones before it, as at run time.
        """
        weight = torch.cat([self.to_q.weight[order], self.to_k.weight[order], self.to_v.weight])
        bias = torch.cat([self.to_q.bias[order], self.to_k.bias[order], self.to_v.bias])
        q, k, v = linear(x, weight, bias).chunk(3, -1)
        q, k = turned(q, self.norm_q.weight[order], *rope), turned(k, self.norm_k.weight[order], *rope)
        v = v.unflatten(-1, (-1, HEAD)).transpose(1, 2)
        size = q.shape[2] // frames
        def frame(y, f):
            return y[:, :, f * size:(f + 1) * size]
        if cache is not None:
            y = attend(q, torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2))
        elif clean is not None:
            y = torch.cat([attend(frame(q, f), *(torch.cat([past[:, :, :f * size], frame(own, f)], 2)
                                                 for past, own in zip(clean, (k, v)))) for f in range(frames)], 2)
        else:
            y = torch.cat([attend(frame(q, f), k[:, :, :(f + 1) * size], v[:, :, :(f + 1) * size])
                           for f in range(frames)], 2)
        return self.out(y), (k, v)

    def cross_attention(self, x, text, which):
        """x [B F, P, C], text [B, S, T, C] of S prompts, which [B, F]: the prompt of each frame.

        Every row of a text is seen, those of the padding too, as Wan has it.
        """
        k, v = linear(text, torch.cat([self.to_k.weight, self.to_v.weight]),
                      torch.cat([self.to_k.bias, self.to_v.bias])).chunk(2, -1)
        q = scaled(linear(x, self.to_q.weight, self.to_q.bias).flatten(0, 1), self.norm_q.weight).view_as(x)
        k = scaled(k.flatten(0, 2), self.norm_k.weight).view_as(k)
        clip = torch.arange(len(which), device=x.device)[:, None]
        k, v = k[clip, which].flatten(0, 1), v[clip, which].flatten(0, 1)
        return self.out(attend(*(y.unflatten(-1, (-1, HEAD)).transpose(1, 2) for y in (q, k, v))))


class FeedForward(nn.Module):
    """net.0.proj and net.2, as the reference calls them."""

    def __init__(self, width, inner):
        super().__init__()
        first = nn.Module()
        first.proj = nn.Linear(width, inner)
        self.net = nn.ModuleList([first, nn.Identity(), nn.Linear(inner, width)])
        nn.init.normal_(self.net[2].weight, std=0.007)
        nn.init.zeros_(self.net[2].bias)

    def forward(self, x):
        y = linear(x, self.net[0].proj.weight, self.net[0].proj.bias)
        return linear(activated(y), self.net[2].weight, self.net[2].bias)


class Block(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.attn1, self.attn2 = Attention(width), Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.ffn = FeedForward(width, inner)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 6, width) / width ** 0.5)

    def forward(self, x, e, text, which, rope, order, cache=None, clean=None):
        """x [B F, P, C], e [B F, 6, C] from the times, text [B, S, T, C]. -> x, (keys, values) of these frames"""
        b, frames = which.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = (e + self.scale_shift_table)[:, :, None].unbind(1)
        h = modulated(x, scale1, shift1).view(b, -1, x.shape[-1])
        y, kv = self.attn1.self_attention(h, rope, order, frames, cache, clean)
        x = gated(x, y.view_as(x), gate1)
        x = x + self.attn2.cross_attention(normed(x, self.norm2.weight, self.norm2.bias), text, which)
        return gated(x, self.ffn(modulated(x, scale2, shift2)), gate2), kv


class Two(nn.Module):
    """linear_1, an activation, linear_2"""

    def __init__(self, inner, width, activation):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inner, width), nn.Linear(width, width)
        self.activation = activation

    def forward(self, x):
        y = self.activation(F.linear(x, self.linear_1.weight, self.linear_1.bias))
        return F.linear(y, self.linear_2.weight, self.linear_2.bias)


class Motion(nn.Module):
    """What the output also has of the frame before: linear filters of 3 x 3 latents, each as much as a gate says that the network
    sets for every latent. So what moves as a whole need not be drawn anew: a pan is one filter, everywhere.
    Finn, Goodfellow, Levine, "Unsupervised Learning for Physical Interaction through Video Prediction", 2016, has such kernels.
    """

    def __init__(self, channels, width, filters=8, inner=128):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(2 * width, inner), nn.GELU("tanh"), nn.Linear(inner, 4 * filters))
        self.filter = nn.Conv2d(channels, filters * channels, 3, bias=False)
        nn.init.normal_(self.filter.weight, std=0.03)
        nn.init.zeros_(self.gate[2].weight)
        nn.init.zeros_(self.gate[2].bias)

    def forward(self, y, mu):
        """y [N, P, C_width], what the last product takes; mu [N, C, H, W], the frames before -> [N, C, H, W]"""
        n, c, h, w = mu.shape
        gates = self.gate(torch.cat([y, y.mean(1, keepdim=True).expand_as(y)], -1))            # the whole picture tells of the camera
        gates = gates.view(n, h // 2, w // 2, 2, 2, -1).permute(0, 5, 1, 3, 2, 4).reshape(n, -1, 1, h, w)
        filtered = self.filter(F.pad(mu, (1, 1, 1, 1), mode="replicate")).view(n, -1, c, h, w)
        return (gates * filtered).sum(1)


class Transformer(nn.Module):
    def __init__(self, in_channels, out_channels, text_width, heads=3, layers=6, inner=576):
        super().__init__()
        width = heads * HEAD
        self.out_channels, self.width = out_channels, width
        self.patch_embedding = nn.Conv3d(in_channels, width, (1, 2, 2), (1, 2, 2))
        embedder = self.condition_embedder = nn.Module()
        embedder.time_embedder = Two(256, width, F.silu)
        embedder.time_proj = nn.Linear(width, 6 * width)
        embedder.text_embedder = Two(text_width, width, lambda x: F.gelu(x, approximate="tanh"))
        self.blocks = nn.ModuleList(Block(width, inner) for _ in range(layers))
        self.proj_out = nn.Linear(width, 4 * out_channels)
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, width) / width ** 0.5)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        self.register_buffer("order", halves_order(width), persistent=False)
        self.register_buffer("rates", 10000.0 ** (-torch.arange(128) / 128), persistent=False)

    def forward(self, x, t, text, rope, caches=None, clean=None, which=None, motion=None):
        """x [B, F, C_in, H, W], t [B, F] in 0..1, text [B, T, D_text] -> [B, F, C_out, H, W], keys and values.

        motion: what is added to the output, a function of Motion's first argument.

        With several prompts a clip, text is [B, S, T, D_text] and which [B, F] says whose turn it is.
        """
        b, f, c, h, w = x.shape
        if which is None:
            text, which = text[:, None], torch.zeros(b, f, dtype=torch.long, device=x.device)
        patches = x.reshape(b, f, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4, 6).reshape(b, f, -1, 4 * c)
        y = linear(patches, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias).float()
        angles = t[..., None] * 1000 * self.rates
        temb = self.condition_embedder.time_embedder(torch.cat([angles.cos(), angles.sin()], -1))
        e = self.condition_embedder.time_proj(F.silu(temb)).unflatten(-1, (6, -1)).flatten(0, 1)
        text = self.condition_embedder.text_embedder(text)
        y, new = y.flatten(0, 1), []
        for i, block in enumerate(self.blocks):
            y, kv = block(y, e, text, which, rope, self.order, None if caches is None else caches[i],
                          None if clean is None else clean[i])
            new.append(kv)
        y = y.unflatten(0, (b, f))
        shift, scale = (temb[:, :, None] + self.scale_shift_table)[:, :, :, None].unbind(2)
        last = layer_norm(y) * (1 + scale) + shift
        y = linear(last, self.proj_out.weight, self.proj_out.bias).float()
        y = y.view(b, f, h // 2, w // 2, 2, 2, -1).permute(0, 1, 6, 2, 4, 3, 5)    # (row, column, channel) in a patch
        y = y.reshape(b, f, -1, h, w)
        return y if motion is None else y + motion(last.flatten(0, 1)).view_as(y), new
