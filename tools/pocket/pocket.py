# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole model: text encoder, transformer, and what its output means.

A latent frame x0 is mixed with noise to x_t = (1 - t) x0 + t noise. Given a guess mu of the frame (zero for the first
frame, the frame before for later ones) with an expected error of s per channel, the best linear estimate of x0 is
    mu + a (x_t - (1 - t) mu),   a = (1 - t) s^2 / q,   q = (1 - t)^2 s^2 + t^2
and the network's output o corrects it: x0 = mu + a (x_t - (1 - t) mu) + b o, b = t s / sqrt(q). So an output of zero is
already a sensible answer at any t: the mean picture at first, "nothing moves" later.
"""

import math

import torch
import torch.nn as nn

from codec import CHANNELS, COLUMNS, ROWS
from text_encoder import TextEncoder
from tokenizer import MAX_TEXT
from transformer import Motion, Transformer

WAVES = (1, 2, 4, 8)                # of the position features
POSITION = 4 * len(WAVES)


def position_features():
    """[16, 18, 32]: for y, then x: for k in WAVES: sin(pi k u), cos(pi k u), u = (index + .5) / count."""
    maps = []
    for count, shape in ((ROWS, (-1, 1)), (COLUMNS, (1, -1))):
        u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        for k in WAVES:
            for wave in (torch.sin, torch.cos):
                maps.append(wave(math.pi * k * u).view(shape).expand(ROWS, COLUMNS))
    return torch.stack(maps).float()


MOTION = "motion.safetensors"       # beside sora.json: what is in Pocket.motion, for latents as they are
SHAPE = dict(heads=4, layers=10, inner=1024)                    # of the transformer, 64 channels a head


class Pocket(nn.Module):
    """spread [C, 1, 1] is s of first frames, spread_next that of later ones."""

    def __init__(self, vocabulary, heads=4, layers=10, inner=1024):
        super().__init__()
        self.text_encoder = TextEncoder(vocabulary, longest=MAX_TEXT)
        self.transformer = Transformer(2 * CHANNELS + POSITION, CHANNELS, 192, heads, layers, inner)
        with torch.no_grad():                                   # mu is no part of the picture until it helps
            self.transformer.patch_embedding.weight[:, CHANNELS:2 * CHANNELS].zero_()
        self.motion = None
        self.register_buffer("spread", torch.ones(CHANNELS, 1, 1))
        self.register_buffer("spread_next", torch.ones(CHANNELS, 1, 1))
        self.register_buffer("positions", position_features(), persistent=False)

    def text(self, words):
        """words [B, S, T] of S prompts a clip -> [B, S, T, D]"""
        return self.text_encoder(words.flatten(0, 1)).unflatten(0, words.shape[:2])

    def network(self, x, t, mu, text, rope, place=None, **more):
        """place [B, 16, H, W]: position features of parts of pictures; None: x are whole ones."""
        place = (self.positions[None] if place is None else place)[:, None].expand(len(x), x.shape[1], -1, -1, -1)
        if self.motion is not None:
            more["motion"] = lambda y: self.motion(y, (mu / self.spread).flatten(0, 1))
        return self.transformer(torch.cat([x, mu, place], 2), t, text, rope, **more)

    def add_motion(self, found=None):
        """From now on the network has filters of the frame before as well, which say nothing yet, or those that are found in a file."""
        self.motion = Motion(CHANNELS, self.transformer.width).to(self.spread.device)
        if found:
            found = {k: v.float() for k, v in found.items()}
            found["filter.weight"] = found["filter.weight"] * self.spread
            self.motion.load_state_dict(found)

    def estimate(self, x, t, mu, known, text, rope, caches=None, **more):
        """x_t [B, F, C, H, W] -> x0 of the same shape, and the keys and values of these frames.

        t [B, F]; mu like x, zero where known [B, F] bool is not set; text [B, T, D] from the text encoder. The rest is
        Transformer.forward's.
        """
        time, spread = t[..., None, None, None], self.spread_of(known)
        o, kv = self.network(x, t, mu, text, rope, caches=caches, **more)
        q = ((1 - time) * spread).square() + time.square()
        a, b = (1 - time) * spread.square() / q, time * spread * q.rsqrt()
        return mu + a * (x - (1 - time) * mu) + b * o, kv

    def spread_of(self, known):
        return torch.where(known[..., None, None, None], self.spread_next, self.spread)

    def loss(self, x0, t, noise, mu, known, words, which, weight, rope, seen=None, seen_t=None, caches=None, place=None, shown=None):
        """-> [B, F]: squared error of x0, scaled to be as large at every t, weighted by weight [B, F, 1, H, W]; and the estimate.

        seen, seen_t: what later frames see of each frame, and the time it is said to have; see Attention.
        caches: keys and values of the frames before these; place: see network(). shown: what is behind the noise, where it is not x0.
        """
        text, clean = self.text(words), None
        if seen is not None:
            _, clean = self.network(seen, seen_t, mu, text, rope, which=which)
        time = t[..., None, None, None]
        x = (1 - time) * (x0 if shown is None else shown) + time * noise
        estimate, _ = self.estimate(x, t, mu, known, text, rope, caches, clean=clean, which=which, place=place)
        q = ((1 - time) * self.spread_of(known)).square() + time.square()
        error = (estimate - x0).square() * q / time.clamp_min(0.02).square()
        return (error * weight).mean((2, 3, 4)) / weight.mean((2, 3, 4)), estimate

    @torch.no_grad()
    def remembered(self, z, mu, t, text, which, rope, caches=None, place=None, keep=None):
        """Keys and values of the frames z [B, F, C, H, W] behind those of caches, of the last `keep` frames: what a stream's next
        frame sees. mu: the frames before each; t [B, F]: the times they are said to have; text [B, S, T, D], which [B, F]: their
        prompts."""
        _, new = self.network(z, t, mu, text, rope, place, caches=caches, which=which)
        if caches is not None:
            new = [tuple(torch.cat(pair, 2) for pair in zip(old, more)) for old, more in zip(caches, new)]
        patches = z.shape[-1] * z.shape[-2] // 4
        return new if keep is None else [tuple(x[:, :, -keep * patches:] for x in pair) for pair in new]

    @torch.no_grad()
    def own_frames(self, z, first_mu, known, words, which, rope, times, context_time, noise):
        """Each frame of the windows z sampled from noise as at run time, after the past that z shows. -> like z

        first_mu [B, 1, C, H, W]: the frame before the window. Frames that are not known stay as they are.
        """
        text = self.text(words)
        mu = torch.cat([first_mu, z[:, :-1]], 1) * known[..., None, None, None]
        now = torch.full(known.shape, context_time, device=z.device)
        _, clean = self.network(z, now, mu, text, rope, which=which)
        x = noise
        for t, then in zip(times, times[1:]):
            x0, _ = self.estimate(x, torch.full_like(now, t), mu, known, text, rope, clean=clean, which=which)
            x = x0 + then / t * (x - x0)
        return torch.where(known[..., None, None, None], x, z)
