# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures to latents and back, in closed form.

Encoder: the first C principal components of blocks of 4 frames x 8 x 8 pixels x RGB of the 256 x 144 picture.
Decoder: linear regression from the 3 x 3 neighbourhood of latents to the block of 4 frames x 16 x 16 pixels of the
512 x 288 picture, that is a 3 x 3 convolution and two reshapes; it deblocks and enlarges at once.

python codec.py             fits both (about a minute) and prints the error on unseen scenes
"""

import time

import numpy as np
import torch
import torch.nn.functional as F

import paths
from scene import FULL, SMALL, Scene
from world import draw_attributes

CHANNELS = 32
ROWS, COLUMNS = 18, 32
GAIN = 2.5                          # the first channels get a standard deviation of about this, later ones less
SPECTRUM = 0.3                      # how strongly the channels' sizes are evened out: 1 keeps the components' own


def to_blocks(video, side):
    """[4n, 18 side, 32 side, 3] uint8 -> [n, 18, 32, 4 * side * side * 3] float in -1..1; order: frame, y, x, RGB."""
    n = len(video) // 4
    v = video.reshape(n, 4, ROWS, side, COLUMNS, side, 3).transpose(0, 2, 4, 1, 3, 5, 6)
    return torch.from_numpy(np.ascontiguousarray(v)).reshape(n, ROWS, COLUMNS, -1).float() / 127.5 - 1


def from_blocks(blocks, side):
    """The inverse of to_blocks, still float: -> [4n, 18 side, 32 side, 3]."""
    v = blocks.reshape(len(blocks), ROWS, COLUMNS, 4, side, side, 3).permute(0, 3, 1, 4, 2, 5, 6)
    return v.reshape(-1, ROWS * side, COLUMNS * side, 3)


def neighbourhoods(latents):
    """[n, C, 18, 32] -> [n, 18, 32, 9 C + 1]: what a 3 x 3 convolution with replicated border sees, and a one."""
    z = F.pad(latents, (1, 1, 1, 1), mode="replicate")
    seen = [z[:, :, i:i + ROWS, j:j + COLUMNS] for i in range(3) for j in range(3)]
    return torch.cat(seen + [torch.ones_like(seen[0][:, :1])], 1).permute(0, 2, 3, 1)


class Codec:
    """mean [768], analysis [768, C], synthesis [C, 768], regression [9 C + 1, 3072]."""

    def __init__(self, file=paths.CODEC):
        saved = np.load(file)
        self.mean, self.analysis, self.synthesis, self.regression = (
            torch.from_numpy(saved[k]) for k in ("mean", "analysis", "synthesis", "regression"))

    def encode(self, video):
        """[4k, 144, 256, 3] uint8 -> [k, C, 18, 32]"""
        return ((to_blocks(video, 8) - self.mean) @ self.analysis).permute(0, 3, 1, 2)

    def decode(self, latents):
        """[k, C, 18, 32] -> [4k, 288, 512, 3] in -1..1, not clamped; a caller drops the first three frames."""
        return from_blocks(neighbourhoods(latents) @ self.regression, 16)

    def decode_small(self, latents):
        return from_blocks(latents.permute(0, 2, 3, 1) @ self.synthesis + self.mean, 8)

    def still(self):
        """[C, C] and [C]: of latents to those of their last picture, standing still, as near as the components allow."""
        side = len(self.mean) // 4                              # numbers of a block's picture
        return (self.synthesis[:, -side:].repeat(1, 4) @ self.analysis,
                (self.mean[-side:].repeat(4) - self.mean) @ self.analysis)

    def convolution(self):
        """The regression as weight [3072, C, 3, 3] and bias [3072] of a convolution."""
        c = self.analysis.shape[1]
        weight = self.regression[:-1].reshape(3, 3, c, -1).permute(3, 2, 0, 1).contiguous()
        return weight, self.regression[-1].contiguous()


def clip(seed, sizes):
    """Four frames of a random scene at each size; one time in five a still, as the first latent of a clip is."""
    rng = np.random.default_rng(seed)
    scene = Scene(draw_attributes(rng), rng)
    start, still = rng.uniform(0, 12), rng.random() < 0.2
    videos = [scene.render(1 if still else 4, start, size) for size in sizes]
    return [np.repeat(v, 4, 0) if still else v for v in videos]


def fit_encoder(clips=300, per_clip=100):
    """-> mean, components [768, C], their standard deviations; blocks drawn by how much they move: movers matter."""
    rng, rows = np.random.default_rng(0), []
    for i in range(clips):
        b = to_blocks(clip(i, [SMALL])[0], 8).reshape(ROWS * COLUMNS, -1)
        motion = b.reshape(len(b), 4, -1).std(1).mean(1).numpy() + 0.01
        rows.append(b[rng.choice(len(b), per_clip, replace=False, p=motion / motion.sum())])
    x = torch.cat(rows)
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    return mean, vectors.flip(1)[:, :CHANNELS].contiguous(), values.flip(0)[:CHANNELS].clamp_min(1e-8).sqrt()


def fit_decoder(codec, clips=250):
    """Weighted least squares through the normal equations; -> [9 C + 1, 3072]."""
    gram, cross = 0, 0
    for i in range(clips):
        small, full = clip(100_000 + i, [SMALL, FULL])
        y = to_blocks(full, 16).reshape(ROWS * COLUMNS, -1)
        x = neighbourhoods(codec.encode(small)).reshape(ROWS * COLUMNS, -1)
        weight = (y.reshape(len(y), 4, -1).std(1).mean(1) * 8 + 0.3)[:, None]
        gram, cross = gram + (x * weight).T @ x, cross + (x * weight).T @ y
    return torch.linalg.solve(gram + 1e-5 * gram.diagonal().mean() * torch.eye(len(gram)), cross)


def decibel(error):
    return -10 * np.log10(float(error) / 4)


def main():
    began = time.time()
    mean, components, sigma = fit_encoder()
    size = GAIN / sigma * ((sigma / sigma[0]) ** SPECTRUM).clamp(0.2, 1)
    tables = dict(mean=mean, analysis=components * size, synthesis=(components / size).T.contiguous(),
                  regression=torch.zeros(1))
    np.savez(paths.CODEC, **{k: v.numpy() for k, v in tables.items()})
    codec = Codec()
    tables["regression"] = fit_decoder(codec)
    np.savez(paths.CODEC, **{k: v.numpy() for k, v in tables.items()})
    codec = Codec()
    small_error, full_error, moving_error, moving = 0, 0, 0, 0
    for i in range(40):
        small, full = clip(500_000 + i, [SMALL, FULL])
        z = codec.encode(small)
        e_small = (codec.decode_small(z) - (torch.from_numpy(small).float() / 127.5 - 1)).square()
        e_full = (codec.decode(z) - (torch.from_numpy(full).float() / 127.5 - 1)).square()
        moves = torch.from_numpy(np.abs(full.astype(np.int16) - full[:1]).max((0, 3)) > 24)[None].expand(4, -1, -1)
        small_error, full_error = small_error + e_small.mean() / 40, full_error + e_full.mean() / 40
        moving_error, moving = moving_error + e_full[moves].sum(), moving + 3 * moves.sum()
    print(f"{time.time() - began:.0f} s; unseen scenes: 256x144 {decibel(small_error):.2f} dB, "
          f"512x288 {decibel(full_error):.2f} dB, its moving pixels {decibel(moving_error / moving):.2f} dB")


if __name__ == "__main__":
    paths.WORK.mkdir(parents=True, exist_ok=True)
    main()
