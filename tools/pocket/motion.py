# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filters of the frame before and their gates (transformer.py, Motion), on their own: what a training begins with.

python motion.py [MINUTES]      adds them to shipped.safetensors of the work folder, for train.py windows --from shipped

Two thirds of the time go to what the network, which stays as it is, has for later frames of streams; then a step of filters and gates
costs a hundredth of one of the network, and they learn in minutes what takes hours otherwise. Prints the loss of frames that they
did not see.
"""

import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import paths
from codec import CHANNELS
from data import Scenes
from pocket import SHAPE, Pocket
from tokenizer import Tokenizer
from train import LEAST_LOSS, SEEN, TOLD_TIME, Dice, begun, spoiled
from transformer import rope_tables
from world import TABLES

FILE = paths.WORK / "shipped.safetensors"
BATCH, FRAMES = 16, 4               # streams at once; their later frames, each of which is one to learn from
RATE, MINI = 3e-3, 24               # of Adam; frames of a step
UNSEEN = 0.1                        # of the frames, for the figures
FITS = 400                          # frames for a filter's least squares
PAN = {"pan left": 1, "pan right": 2}
CALM = TABLES["weather"].index("rain")


@torch.no_grad()
def features(model, streams, seconds):
    """-> y [n, P, C] that the last layer reads, the estimate, mu and x0 [n, C, H, W], weight, attributes [n, 8], whether mu stands
    still [n]. First frames are true, or the model's own of those behind noise."""
    dice, rows, began, kept = Dice(torch.Generator().manual_seed(50)), [], time.time(), {}
    model.motion.register_forward_pre_hook(lambda _, inputs: kept.update(y=inputs[0]))
    while time.time() - began < seconds:
        b = streams.draw(dice.generator, BATCH, streams.tables["latents"].shape[1], 0)
        text = model.text(b.words)
        start = b.frames(slice(1))
        z = torch.where(dice.uniform(BATCH, 1, 1, 1, 1) < 0.5, begun(dice, model, streams, start, text, rope_tables([0])), start.x0)
        mu, caches = torch.zeros_like(z), None
        for f in range(1, FRAMES + 1):
            z, now = spoiled(dice, z), b.frames(slice(f, f + 1))
            told = torch.full((BATCH, 1), TOLD_TIME)
            caches = model.remembered(z, mu, told, text, now.which, rope_tables([f - 1]), caches, None, SEEN)
            estimate, _ = model.estimate(dice.normal(*z.shape), torch.ones_like(told), z, now.known, text[:, 0], rope_tables([f]), caches)
            rows.append([v[:, 0].half() for v in (estimate, z, now.x0, now.weight)] +
                        [kept["y"].half(), b.attributes, torch.full((BATCH,), f == 1)])
            mu, z = z, torch.where(dice.uniform(BATCH, 1, 1, 1, 1) < 0.3, estimate, now.x0)
    return dict(zip(("estimate", "mu", "x0", "weight", "y", "attributes", "still"), map(torch.cat, zip(*rows))))


def inputs_of(frames, rows):
    return [frames[k][rows].float() for k in ("y", "mu", "estimate", "x0", "weight")]


@torch.no_grad()
def fit_filters(motion, frames, spread, spread_next):
    """The first four filters as least squares have them where a camera pans left, right, after a still, after others; the other
    ones stay random."""
    camera, calm = frames["attributes"][:, list(TABLES).index("camera")], frames["attributes"][:, list(TABLES).index("weather")] < CALM
    for k, (way, still) in enumerate((way, still) for way in PAN.values() for still in (True, False)):
        rows = torch.nonzero(calm & (camera == way) & (frames["still"] == still))[:FITS, 0]
        _, mu, _, x0, weight = inputs_of(frames, rows)
        change, around = (x0 - mu) / spread_next, (weight == 1).float()
        counts = around / ((change.square() * around).mean((1, 2, 3), keepdim=True) + LEAST_LOSS / spread_next.square().mean())
        seen = F.unfold(F.pad(mu / spread, (1, 1, 1, 1), mode="replicate"), 3)                  # [n, 9 C, H W]
        weighted = seen * counts.flatten(2)
        gram, cross = (torch.einsum("nip,njp->ij", weighted, v) for v in (seen, change.flatten(2)))
        solved = torch.linalg.solve(gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram)), cross)
        motion.filter.weight[k * CHANNELS:(k + 1) * CHANNELS] = solved.T.view(CHANNELS, CHANNELS, 3, 3)


def loss(motion, scale, frames, rows, spread, spread_next):
    """[n], as Pocket.loss has it at t = 1; without motion: of the network alone"""
    y, mu, estimate, x0, weight = inputs_of(frames, rows)
    if motion is not None:
        estimate = estimate + spread_next * motion(y * scale, mu / spread)
    return ((estimate - x0).square() * weight).mean((1, 2, 3)) / weight.mean((1, 2, 3))


def learn(motion, frames, seconds, spread, spread_next):
    """Gates read the network's numbers in units of their deviation, the means three times as large: they differ less."""
    scale = 1 / frames["y"][:500].float().std((0, 1)).clamp_min(0.05)
    optimiser, began, seen = torch.optim.AdamW(motion.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.0), time.time(), 0
    train = int((1 - UNSEEN) * len(frames["y"]))
    with torch.no_grad():
        motion.gate[0].weight[:, len(scale):] *= 3
    while (progress := (time.time() - began) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (seen + 1) / 50) * min(1, max(0.02, (1 - progress) / 0.5))
        each = loss(motion, scale, frames, torch.randint(train, (MINI,)), spread, spread_next)
        optimiser.zero_grad()
        (each + LEAST_LOSS).log().mean().backward()
        nn.utils.clip_grad_norm_(motion.parameters(), 1.0)
        optimiser.step()
        seen += 1
    with torch.no_grad():
        others = torch.arange(train, len(frames["y"])).split(64)
        for name, m in (("network", None), ("with filters", motion)):
            each = torch.cat([loss(m, scale, frames, rows, spread, spread_next) for rows in others])
            print(f"{name}: loss of {len(each)} frames {each.mean():.4f}, log {(each + LEAST_LOSS).log().mean():.3f}; {seen} steps")
        motion.gate[0].weight *= scale.repeat(2)


def main(minutes=10.0):
    torch.manual_seed(0)
    model, seconds = Pocket(Tokenizer().size, **SHAPE), 60 * float(minutes)
    weights = {k: v.float() for k, v in load_file(FILE).items() if not k.startswith("motion.")}
    model.load_state_dict(weights)
    model.add_motion()
    frames = features(model, Scenes("streams"), seconds * 2 / 3)
    order = torch.randperm(len(frames["y"]), generator=torch.Generator().manual_seed(1))
    frames = {k: v[order] for k, v in frames.items()}
    fit_filters(model.motion, frames, model.spread, model.spread_next)
    learn(model.motion, frames, seconds / 3, model.spread, model.spread_next)
    save_file(weights | {f"motion.{k}": v.detach().contiguous() for k, v in model.motion.state_dict().items()}, FILE)


if __name__ == "__main__":
    main(*sys.argv[1:])
