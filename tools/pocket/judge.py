# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two small networks that say what a picture shows and where its subject goes: what evaluate.py counts with.

python judge.py 8           minutes for each, on what make_data.py wrote; prints how often each is right about scenes that
                            nothing was trained on: the most that a sample can be credited with
"""

import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import paths
from codec import Codec
from data import Scenes
from make_data import clip
from world import TABLES, draw_attributes, held_out

SEEN = ("background", "time", "weather", "subject", "colour")       # in one picture
MOVES = ("motion", "camera")                                        # in the first, third and fifth latent frame
MOMENTS = (0, 2, 4)
OTHERS = 4                          # pictures of other moments of the same clip count as pictures, too


class Judge(nn.Module):
    """Pictures [B, channels, h, w] in -1..1 -> scores of each head."""

    def __init__(self, heads, channels, width):
        super().__init__()
        def step(inner, outer):
            return nn.Sequential(nn.Conv2d(inner, outer, 3, 2, 1), nn.BatchNorm2d(outer), nn.GELU())
        sizes = [channels, width, 2 * width, 3 * width, 4 * width]
        self.body = nn.Sequential(*[step(a, b) for a, b in zip(sizes, sizes[1:])])
        self.heads = nn.ModuleDict({k: nn.Linear(8 * width, len(TABLES[k])) for k in heads})

    def forward(self, pictures):
        y = self.body(pictures)
        y = F.dropout(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1), 0.2, self.training)
        return {k: head(y) for k, head in self.heads.items()}


def pictures_of(codec, latents):
    """[B, C, 18, 32] -> [B, 3, 144, 256]: the last of the four frames."""
    return codec.decode_small(latents)[3::4].permute(0, 3, 1, 2).clamp(-1, 1)


def moments_of(codec, latents):
    """[B, F, C, 18, 32] -> [B, 9, 72, 128]: three moments of a clip, halved."""
    return torch.cat([F.avg_pool2d(pictures_of(codec, latents[:, f]), 2) for f in MOMENTS], 1)


def labels_of(rows, heads):
    """Rows of Attributes.indices() -> a tensor for each head."""
    table = torch.as_tensor(np.asarray(rows)).long()
    return {k: table[:, list(TABLES).index(k)] for k in heads}


def counts_for(head, rows):
    """Which rows a head is asked about: the colour and the motion where there is a subject, the sky where there is one."""
    there = torch.as_tensor(np.asarray(rows))
    subject, space = there[:, list(TABLES).index("subject")] > 0, there[:, 0] == TABLES["background"].index("space")
    return subject if head in ("colour", "motion") else ~space if head in ("time", "weather") else torch.ones_like(space)


def right(scores, rows):
    """-> {head: bool [n] of the rows that it is asked about}"""
    labels = labels_of(rows, scores)
    return {k: (v.argmax(1) == labels[k])[counts_for(k, rows)] for k, v in scores.items()}


class Both:
    """What evaluate.py asks: both networks, on latents of clips."""

    def __init__(self):
        self.codec, self.judges = Codec(), [Judge(SEEN, 3, 24), Judge(MOVES, 9, 32)]
        for judge, file in zip(self.judges, FILES):
            judge.load_state_dict(torch.load(file))
            judge.eval()

    @torch.no_grad()
    def right(self, latents, rows, moment=0):
        """latents [B, F, C, 18, 32]; where F < 5, of one moment, without MOVES."""
        out = right(self.judges[0](pictures_of(self.codec, latents[:, moment])), rows)
        return out | (right(self.judges[1](moments_of(self.codec, latents)), rows) if latents.shape[1] > max(MOMENTS) else {})


FILES = [paths.WORK / "judge-seen.pt", paths.WORK / "judge-moves.pt"]


def train(judge, draw, minutes, file):
    """draw(n) -> pictures, rows of attributes"""
    optimiser, began, steps = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.05), time.time(), 0
    while (progress := (time.time() - began) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - progress)
        x, rows = draw(48)
        scores, labels = judge(x + 0.05 * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)), labels_of(rows, judge.heads)
        loss = sum(F.cross_entropy(v[c], labels[k][c]) for k, v in scores.items() if (c := counts_for(k, rows)).any())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    torch.save(judge.state_dict(), file)
    print(f"{file.name}: {steps} steps, loss {loss.item():.3f}", flush=True)


def main(minutes):
    rng, codec, images, clips = np.random.default_rng(3), Codec(), Scenes("images").tables, Scenes("clips").tables
    whole = np.flatnonzero(clips["cut"].numpy() == clips["latents"].shape[1])
    def pictures(n):
        a, b = rng.integers(0, len(images["cut"]), n // 3), rng.choice(whole, n - n // 3)
        latents = torch.cat([images["latents"][a, 0], clips["latents"][b, rng.integers(0, OTHERS, len(b))]])
        return pictures_of(codec, latents.float()), torch.cat([images["attributes"][a, 0], clips["attributes"][b, 0]])
    def moves(n):
        b = rng.choice(whole, n)
        return moments_of(codec, clips["latents"][b].float()), clips["attributes"][b, 0]
    train(Judge(SEEN, 3, 24), pictures, minutes, FILES[0])
    train(Judge(MOVES, 9, 32), moves, minutes, FILES[1])
    z, rows = unseen(500, np.random.default_rng(99), codec)
    said = Both().right(z, rows)
    print("unseen scenes:", " ".join(f"{k} {v.float().mean():.3f}" for k, v in said.items()))


def unseen(count, rng, codec):
    """Rendered clips of new scenes, every second one a combination that is kept out of training. -> latents, rows"""
    clips, rows = [], []
    for i in range(count):
        a = draw_attributes(rng, held_out if i % 2 else lambda a: not held_out(a))
        clips.append(clip((a, a), rng, codec)[0])
        rows.append(a.indices())
    return torch.stack(clips), rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(float(sys.argv[1]))
