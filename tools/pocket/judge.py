# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small network that says what a picture shows, to count how often a sample shows what its prompt asked for.

python judge.py train 3             minutes; prints its accuracy on unseen pictures of the renderer: the ceiling
python judge.py measure [FOLDER] [FRAMES]   192 prompts, the first frame of each clip and the last
python judge.py motion [FOLDER] [CLIPS]     how far the subjects of unseen clips go when the model is shown their past
"""

import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import paths
from captions import caption
from codec import Codec
from data import Scenes
from make_data import clip
from sample import Exported, latents_of
from scene import Scene
from train import WINDOW
from transformer import rope_tables
from world import TABLES, draw_attributes

HEADS = {k: TABLES[k] for k in ("background", "time", "weather", "subject", "colour")}
FILE = paths.WORK / "judge.pt"
SIZE = (72, 128)


class Judge(nn.Module):
    """[B, 3, 72, 128] in -1..1 -> scores for each head."""

    def __init__(self, width=32):
        super().__init__()
        def step(inner, outer):
            return nn.Sequential(nn.Conv2d(inner, outer, 3, 2, 1), nn.BatchNorm2d(outer), nn.GELU())
        self.body = nn.Sequential(step(3, width), step(width, 2 * width), step(2 * width, 3 * width),
                                  step(3 * width, 4 * width))
        self.heads = nn.ModuleDict({k: nn.Linear(8 * width, len(v)) for k, v in HEADS.items()})

    def forward(self, pictures):
        y = self.body(pictures)
        y = F.dropout(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1), 0.2, self.training)
        return {k: head(y) for k, head in self.heads.items()}


def pictures_of(codec, latents):
    """[B, C, 18, 32] -> [B, 3, 72, 128]: the last of the four frames, halved."""
    video = codec.decode_small(latents)[3::4].permute(0, 3, 1, 2)
    return F.avg_pool2d(video, 2).clamp(-1, 1)


def labels_of(attributes):
    """Rows of Attributes.indices() -> a tensor for each head."""
    table = torch.as_tensor(np.asarray(attributes)).long()
    return {k: table[:, list(TABLES).index(k)] for k in HEADS}


def losses(scores, labels):
    """The colour counts where there is a subject."""
    there = labels["subject"] > 0
    return sum(F.cross_entropy(scores[k][there] if k == "colour" else scores[k],
                               labels[k][there] if k == "colour" else labels[k]) for k in HEADS)


def accuracy(scores, labels):
    there, out = labels["subject"] > 0, {}
    for k in HEADS:
        right = scores[k].argmax(1) == labels[k]
        out[k] = (right[there] if k == "colour" else right).float().mean().item()
    return " ".join(f"{k} {v:.2f}" for k, v in out.items())


def train(minutes):
    scenes, codec, judge = Scenes("images"), Codec(), Judge()
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.05)
    rng, began = np.random.default_rng(3), time.time()
    while (progress := (time.time() - began) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - progress)
        rows = rng.integers(0, len(scenes), 64)
        x = pictures_of(codec, scenes.tables["latents"][rows, 0].float())
        x = x + 0.1 * torch.rand(64, 1, 1, 1) * torch.randn_like(x)
        loss = losses(judge(x), labels_of(scenes.tables["attributes"][rows, 0]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save(judge.state_dict(), FILE)
    rng, latents, rows = np.random.default_rng(99), [], []
    for _ in range(500):
        a = draw_attributes(rng)
        latents.append(codec.encode(Scene(a, rng).render(4)))
        rows.append(a.indices())
    with torch.no_grad():
        print("unseen pictures:", accuracy(judge.eval()(pictures_of(codec, torch.cat(latents))), labels_of(rows)))


def measure(folder=paths.MODEL, frames=1, count=192):
    """Captions that leave things out count as well: what goes without saying has a meaning (see captions.py)."""
    judge, codec, rng = Judge(), Codec(), np.random.default_rng(5)
    judge.load_state_dict(torch.load(FILE))
    wanted = [draw_attributes(rng) for _ in range(count)]
    z = latents_of([caption(a, rng) for a in wanted], (int(frames) + 3) // 4, seed=2,
                   exported=Exported(pathlib.Path(folder)))
    for latent in sorted({0, z.shape[1] - 1}):
        with torch.no_grad():
            scores = judge.eval()(pictures_of(codec, z[:, latent]))
        print(f"{count} samples, frame {4 * latent}:", accuracy(scores, labels_of([a.indices() for a in wanted])))


@torch.no_grad()
def motion(folder=paths.MODEL, count=48):
    """Clips whose subject goes left or right, not seen in training. Of each frame, from the true ones before it in one step:
    the share of the true change that the model makes where the subject is, and the squared error against "nothing moves"."""
    e, codec, rng, clips = Exported(pathlib.Path(folder)), Codec(), np.random.default_rng(77), []
    while len(clips) < int(count):
        a = draw_attributes(rng, lambda a: a.motion in ("left", "right") and a.weather not in ("rain", "snow"))
        if a.subject != "none":
            clips.append((*clip((a, a), rng, codec)[:2], caption(a, rng)))
    z = torch.stack([c[0] for c in clips])[:, :WINDOW]
    words = e.tokenizer([c[2] for c in clips])[:, None]
    known = torch.ones(z.shape[:2], dtype=torch.bool)
    known[:, 0] = False
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    own = e.model.own_frames(z, torch.zeros_like(z[:, :1]), known, words, torch.zeros_like(known, dtype=torch.long),
                             rope_tables(range(WINDOW)), (1.0, 0.0), e.about["sampler"]["context_time"], noise)
    true, made = z[:, 1:] - z[:, :-1], own[:, 1:] - z[:, :-1]
    subject = torch.from_numpy(np.stack([c[1] for c in clips]))[:, :WINDOW].float()
    subject = torch.maximum(subject[:, 1:], subject[:, :-1])                        # where it was and where it is
    w = subject.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]
    whole = (true.square() * w).sum((0, 2, 3, 4))
    for name, value in (("of the way", made * true), ("error, 1 if nothing moves", (made - true).square())):
        print(f"{count} clips, frames 1 to {WINDOW - 1}, {name}:",
              " ".join(f"{v:.2f}" for v in ((value * w).sum((0, 2, 3, 4)) / whole).tolist()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "train":
        train(float(sys.argv[2]))
    else:
        {"measure": measure, "motion": motion}[sys.argv[1]](*sys.argv[2:])
