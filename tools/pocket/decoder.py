# SPDX-License-Identifier: LGPL-2.1-or-later
"""The learned part of the decoder: what a network adds to the codec's linear picture, so that what moves is sharp.

python decoder.py data WORKER SECONDS [START_SEED]      renders scenes: blocks-WORKER-*.npy in the work folder
python decoder.py train --minutes N [--resume]          decoder.pt in the work folder
python decoder.py measure [SCENES]                      decibels on whole pictures of unseen scenes, with the network and without

Of each latent position, alone, it makes 4 pictures of 16 x 16 pixels, from 5 x 5 positions of this latent and of the one before. So
it learns from single blocks, most of them of what moves, which are few in a picture. One half are of true latents, the other of what
the model makes of these behind noise, so that it also mends what the model draws. Its last layer begins at zero, so that the training
begins at the linear picture.
"""

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import paths
from captions import caption
from codec import CHANNELS, COLUMNS, ROWS, Codec, from_blocks, neighbourhoods, to_blocks
from muon import orthogonalise
from scene import FULL, RATE, SMALL, Scene
from transformer import rope_tables
from world import draw_attributes

FILE = paths.WORK / "decoder.pt"
SIDE, PICTURES = 16, 4                          # pixels of a side of a block; how many pictures of it
PIXELS = SIDE * SIDE
SHAPE = dict(kernel=5, width=512, inner=1024, blocks=2)
LATENTS = 4                                     # of a scene, of which the first is only seen
PER_LATENT = 60                                 # blocks at most
MOVES = 24                                      # levels that a pixel must change within a latent to count as moving
FEW_MOVE = 8                                    # as many moving pixels make a block one that moves
BEHIND = (0.15, 0.8)                            # noise of which the model makes its own latents
STILL, FALLING, EMPTY = 0.12, 0.4, 0.4          # shares: scenes that stand still; kept of those with rain, snow; with nothing that moves
ANOTHER = 0.06                                  # share of scenes whose first latent follows on another scene, as with a new prompt
STEADY = 2                                      # levels that a pixel may change within a latent to count as standing still
UNSEEN = 25                                     # every 25th scene is not trained on
BATCH, ADAM_RATE, MUON_RATE = 1024, 1e-3, 0.02
ANY_PIXEL = 0.3                                 # its weight, where one that moves has 1 more
PULSE = 4.0                                     # weight of what changes from picture to picture in blocks that stand still
LARGE_ERROR = 0.1                               # in -1..1: from there on errors of the model's own count as they are, not squared
SAVE_SECONDS = 60


# ---- The network ----

class Block(nn.Module):
    """x + fc2(relu(fc1(norm(x))))"""

    def __init__(self, width, inner):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.fc2.weight.data.mul_(0.5)

    def forward(self, x):
        return x + self.fc2(F.relu(self.fc1(F.layer_norm(x, x.shape[-1:]))))


class Refiner(nn.Module):
    """[B, 2 C, H, W], the latent before and this one, -> [B, 4 * 3, 16 H, 16 W], to be added to the linear picture."""

    def __init__(self, channels=CHANNELS, kernel=5, width=512, inner=1024, blocks=2):
        super().__init__()
        self.shape = dict(kernel=kernel, width=width, inner=inner, blocks=blocks)
        self.conv_in = nn.Conv2d(2 * channels, width, kernel)
        self.blocks = nn.ModuleList(Block(width, inner) for _ in range(blocks))
        self.out = nn.Linear(width, PICTURES * 3 * PIXELS)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def block(self, seen):
        """seen [n, 2 C k k], the neighbourhoods of n positions -> [n, (picture, RGB, row, column)]"""
        x = F.linear(seen, self.conv_in.weight.flatten(1), self.conv_in.bias)
        for block in self.blocks:
            x = block(x)
        return self.out(F.layer_norm(x, x.shape[-1:]))

    def forward(self, z):
        k, (rows, columns) = self.shape["kernel"], z.shape[-2:]
        seen = F.unfold(F.pad(z, (k // 2,) * 4, mode="replicate"), k).mT                      # [B, H W, 2 C k k]
        return F.pixel_shuffle(self.block(seen).mT.unflatten(2, (rows, columns)), SIDE)


def restored(shape, weights, channels=CHANNELS):
    refiner = Refiner(channels, **shape)
    refiner.load_state_dict(weights)
    return refiner.eval()


def load(file=FILE):
    """decoder.pt -> Refiner, or None where there is none: then the linear picture is all."""
    if not file.exists():
        return None
    saved = torch.load(file, map_location="cpu")
    return restored(saved["shape"], saved["weights"])


def save(refiner, file=FILE):
    torch.save({"weights": refiner.state_dict(), "shape": refiner.shape}, file)


def shipped(about, weights):
    """The config and weights of an exported decoder -> Refiner, or None."""
    if "refine_width" not in about:
        return None
    return restored({k: about[f"refine_{k}"] for k in SHAPE}, {k[len("refine."):]: v.float() for k, v in weights.items()
                                                              if k.startswith("refine.")}, about["latent_channels"])


# ---- Data ----

@torch.no_grad()
def redrawn(model, z, text, t, generator):
    """True latents z [L, C, H, W] as the model, which draws first frames, sees them behind noise of time t: often the same for all, as
    what stands still is the same in a stream."""
    noise = torch.randn(len(z), *z.shape[1:], generator=generator)
    if torch.rand(1, generator=generator) < 0.5:
        noise = noise[:1].expand_as(z)
    x, time = torch.lerp(z, noise, t)[:, None], torch.full((len(z), 1), t)
    return model.estimate(x, time, torch.zeros_like(x), time < 0, text.expand(len(z), -1, -1), rope_tables([0]))[0][:, 0]


def views(scene, rng):
    """-> pictures of LATENTS latents at the small size, those of all but the first at full size, and when these begin"""
    start = rng.uniform(0, 12)
    if rng.random() < STILL:                                    # as in the first latent of a stream
        small, full = (np.repeat(scene.render(1, start, size), 4, 0) for size in (SMALL, FULL))
        return np.concatenate([small, small]), full, None
    return scene.render(4 * LATENTS, start, SMALL), scene.render(4 * LATENTS - 4, start + 4 / RATE, FULL), start + 4 / RATE


def moving(pixels):
    """[4, y, x, 3] uint8 -> [y, x] bool: what changes within the latent."""
    return (pixels.max(0).astype(np.int16) - pixels.min(0)).max(-1) > MOVES


def subject_blocks(scene, start):
    """[18, 32] bool: where the subject is in the four pictures from `start` on"""
    where = np.zeros((ROWS, COLUMNS), bool)
    if scene.attributes.subject != "none":
        for i in (0, PICTURES - 1):
            left, top, right, bottom = (int(v // SIDE) for v in scene.subject_box(start + i / RATE))
            where[max(0, top):max(0, bottom + 1), max(0, left):max(0, right + 1)] = True
    return where


def data(worker, seconds, start_seed=60_000_000):
    """-x [n, 2, C, 5, 5] f16: what is seen; -y [n, 4 * 16 * 16 * 3] uint8: what should be there; -about [n, 2]: scene, the model's own?"""
    from sample import Exported, standing_still
    torch.set_num_threads(1)
    codec, e, first = Codec(), Exported(), start_seed + 1_000_000 * worker
    generator, margin, found, seed, began = torch.Generator().manual_seed(first), SHAPE["kernel"] // 2, [], first, time.time()
    before = None                                               # the last latents of the scene before
    while time.time() - began < seconds:
        rng = np.random.default_rng(seed := seed + 1)
        a = draw_attributes(rng)
        if a.weather in ("rain", "snow") and rng.random() > FALLING or \
                a.subject == "none" and a.camera == "still" and rng.random() > EMPTY:
            continue
        scene = Scene(a, rng)
        small, full, start = views(scene, rng)
        z, t = codec.encode(small), float(rng.uniform(*BEHIND))
        with torch.no_grad():
            text = e.model.text_encoder(e.tokenizer([caption(a, rng)]))
        if start is None:
            own = standing_still(redrawn(e.model, z[:1], text, t, generator)[:, None], e.still)[:, 0].repeat(2, 1, 1, 1)
        else:
            own = redrawn(e.model, z, text, t, generator)
        ends = z[-1], own[-1]
        if before is not None and rng.random() < ANOTHER:
            z[0], own[0] = before
        before = ends
        padded = [F.pad(v, (margin,) * 4, mode="replicate") for v in (z, own)]
        for i in range(len(z) - 1):
            pixels = full[4 * i:4 * i + 4]
            blocks = to_blocks(pixels, SIDE)[0].add(1).mul(127.5).round().byte().numpy()                # [18, 32, 3072]
            there = subject_blocks(scene, 0 if start is None else start + 4 * i / RATE) & (start is not None)
            moves = moving(pixels).reshape(ROWS, SIDE, COLUMNS, SIDE).sum((1, 3)) >= FEW_MOVE
            detail = np.minimum(1, blocks.std(-1) / 20)
            for drawn, latents in enumerate(padded):
                rest = 0.04 + 0.05 * detail if drawn else 0.012 + 0.03 * detail
                chance = np.where(moves, np.where(there, 1, 0.1), np.where(there, 0.25, rest))
                chosen = np.argwhere(rng.random(chance.shape) < chance)
                chosen = chosen[rng.permutation(len(chosen))[:PER_LATENT]]
                for y, x in chosen:
                    seen = latents[i:i + 2, :, y:y + 2 * margin + 1, x:x + 2 * margin + 1]
                    found.append((seen.half().numpy(), blocks[y, x], (seed, drawn)))
    for name, values in zip(("x", "y", "about"), zip(*found)):
        np.save(paths.WORK / f"blocks-{worker}-{name}.npy", np.stack(values))
    print(f"{len(found)} blocks of {seed - first} scenes")


@dataclass
class Blocks:
    """All files together."""

    seen: torch.Tensor                          # [n, 2 C k k] f16
    missing: torch.Tensor                       # [n, 3072] f16: what the linear picture lacks, (picture, RGB, row, column)
    moves: torch.Tensor                         # [n, 256] int8: 0 where nothing moves, 2 where something does, 1 between
    own: torch.Tensor                           # [n] bool: of the model's latents
    scene: torch.Tensor                         # [n]

    @staticmethod
    def read():
        codec, files = Codec(), sorted(paths.WORK.glob("blocks-*-x.npy"))
        if not files:
            raise SystemExit(f"no blocks in {paths.WORK}: run decoder.py data first")
        counts = [np.load(file, mmap_mode="r").shape for file in files]
        n, inputs = sum(c[0] for c in counts), math.prod(counts[0][1:])
        b = Blocks(torch.empty(n, inputs, dtype=torch.half), torch.empty(n, PICTURES * 3 * PIXELS, dtype=torch.half),
                   torch.empty(n, PIXELS, dtype=torch.int8), torch.empty(n, dtype=torch.bool), torch.empty(n, dtype=torch.long))
        at = 0
        for file in files:
            parts = [torch.from_numpy(np.load(str(file).replace("-x.npy", f"-{k}.npy"))) for k in ("x", "y", "about")]
            for seen, block, about in zip(*(v.split(8192) for v in parts)):
                rows, pixels = slice(at, at := at + len(seen)), block.view(-1, PICTURES, PIXELS, 3).int()
                change = (pixels.amax(1) - pixels.amin(1)).amax(-1)
                b.seen[rows], b.own[rows], b.scene[rows] = seen.flatten(1), about[:, 1] > 0, about[:, 0]
                b.missing[rows] = in_planes(block.float() / 127.5 - 1 - linear(codec, seen[:, 1].float()))
                b.moves[rows] = (change > STEADY).char() + (change > MOVES).char()
        return b


def linear(codec, z):
    """Neighbourhoods z [n, C, 5, 5] -> their blocks by the linear decoder, [n, (picture, row, column, RGB)]"""
    c = z.shape[-1] // 2
    inner = z[:, :, c - 1:c + 2, c - 1:c + 2].permute(0, 2, 3, 1).flatten(1)
    return inner @ codec.regression[:-1] + codec.regression[-1]


def in_planes(blocks):
    """[n, (picture, row, column, RGB)] -> [n, (picture, RGB, row, column)]"""
    return blocks.view(-1, PICTURES, PIXELS, 3).transpose(2, 3).flatten(1)


# ---- Training ----

def objective(refiner, seen, missing, moves, own):
    """Squared errors; of the model's own latents large ones as they are: what cannot be known shall not become a mean of all. What
    stands still shall not tremble."""
    e = (refiner.block(seen.float()) - missing.float()).view(-1, PICTURES, 3, PIXELS)
    square = e.square()
    robust = 2 * LARGE_ERROR * ((square + LARGE_ERROR ** 2).sqrt() - LARGE_ERROR)
    error = torch.where(own[:, None, None, None], robust, square).mean((1, 2))
    pulse = (e - e.mean(1, keepdim=True)).square().mean((1, 2))
    return (error * (ANY_PIXEL + (moves == 2)) + PULSE * pulse * (moves.amax(1, keepdim=True) == 0)).mean()


class Optimiser:
    """Muon for the matrices between both ends, AdamW for the rest; and an average of the weights."""

    def __init__(self, refiner):
        named = dict(refiner.named_parameters())
        self.all = list(named.values())
        self.inner = [p for k, p in named.items() if p.ndim > 1 and not k.startswith("out")]
        self.velocity = [torch.zeros_like(p) for p in self.inner]
        self.adam = torch.optim.AdamW([p for k, p in named.items() if p.ndim == 1 or k.startswith("out")], lr=0.0,
                                      betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.average, self.steps = [p.detach().clone() for p in self.all], 0

    @torch.no_grad()
    def step(self, factor):
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * factor
        self.adam.step()
        for p, v in zip(self.inner, self.velocity):
            v.mul_(0.95).add_(p.grad)
            u = (p.grad + 0.95 * v).flatten(1)[None]
            u = orthogonalise(u) if u.shape[1] <= u.shape[2] else orthogonalise(u.mT).mT
            p.mul_(1 - 0.01 * MUON_RATE * factor)
            p.add_(u.view_as(p), alpha=-MUON_RATE * factor * max(1.0, len(p) / p[0].numel()) ** 0.5)
        self.steps += 1
        torch._foreach_lerp_(self.average, [p.detach() for p in self.all], 1 - min(0.995, self.steps / (10 + self.steps)))

    def exchange(self):
        for p, v in zip(self.all, self.average):
            p.data, v.data = v.data, p.data


@torch.no_grad()
def unseen_errors(refiner, blocks, which):
    """-> words: decibels of pixels that move, of true latents, and of all pixels of the model's own; each without the network, with it"""
    said = []
    for own, name in ((False, "what moves"), (True, "of its own latents")):
        sums, count = [0.0, 0.0], 0.0
        for rows in which[blocks.own[which] == own].split(2048):
            missing = blocks.missing[rows].float().view(-1, PICTURES, 3, PIXELS)
            left = missing - refiner.block(blocks.seen[rows].float()).view_as(missing)
            weight = torch.ones(len(rows), 1, 1, PIXELS) if own else (blocks.moves[rows] == 2)[:, None, None].float()
            sums = [s + (e.square() * weight).sum().item() for s, e in zip(sums, (missing, left))]
            count += 3 * PICTURES * weight.sum().item()
        said.append(f"{name} " + " -> ".join(f"{-10 * math.log10(s / count / 4):.2f}" for s in sums))
    return ", ".join(said)


def train(options):
    torch.manual_seed(0)
    blocks, began = Blocks.read(), time.time()
    unseen = blocks.scene % UNSEEN == 0
    seen, unseen = torch.where(~unseen)[0], torch.where(unseen)[0]
    refiner = load() if options.resume else Refiner(**SHAPE)
    if not options.resume:                                      # the first layer's initial weights fit the latents
        deviation = blocks.seen[seen[:20000]].float().view(-1, 2 * CHANNELS, refiner.shape["kernel"] ** 2).std((0, 2))
        refiner.conv_in.weight.data.div_(deviation[:, None, None])
    optimiser, saved = Optimiser(refiner), began
    run = torch.compile(objective, dynamic=False) if options.compile else objective
    size = sum(p.numel() for p in refiner.parameters()) / 1e6
    print(f"{len(seen)} blocks, {size:.2f} M parameters; unseen: {unseen_errors(refiner, blocks, unseen)}", flush=True)

    def saved_errors():
        optimiser.exchange()
        save(refiner)
        said = unseen_errors(refiner, blocks, unseen)
        optimiser.exchange()
        return said
    mean = 0.0
    while (progress := (time.time() - began) / 60 / options.minutes) < 1 and not (paths.WORK / "stop").exists():
        rows = seen[torch.randint(len(seen), (options.batch,))]
        loss = run(refiner, blocks.seen[rows], blocks.missing[rows], blocks.moves[rows], blocks.own[rows])
        refiner.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step(options.rate * min(1.0, (optimiser.steps + 1) / 50, (1 - progress) / 0.6))
        mean = loss.item() if optimiser.steps == 1 else 0.98 * mean + 0.02 * loss.item()
        if time.time() - saved > SAVE_SECONDS:
            print(f"{(time.time() - began) / 60:.1f} min, step {optimiser.steps}, loss {mean:.5f}; unseen: {saved_errors()}", flush=True)
            saved = time.time()
    print(f"{optimiser.steps} steps of {options.batch} blocks; unseen: {saved_errors()}")


# ---- Whole pictures ----

@torch.no_grad()
def measure(count):
    codec, refiner, sums = Codec(), load(), {}
    for seed in range(count):
        rng = np.random.default_rng(9_000_000 + seed)
        a = draw_attributes(rng)
        scene, start = Scene(a, rng), rng.uniform(0, 12)
        z, full = codec.encode(scene.render(8, start, SMALL)), scene.render(4, start + 4 / RATE, FULL)
        pictures = [from_blocks(neighbourhoods(z[1:]) @ codec.regression, SIDE).permute(0, 3, 1, 2)]
        if refiner:
            pictures.append(pictures[0] + refiner(torch.cat([z[:1], z[1:]], 1))[0].unflatten(0, (PICTURES, 3)))
        target = torch.from_numpy(full).permute(0, 3, 1, 2).float() / 127.5 - 1
        errors = [(p.clamp(-1, 1) - target).square().mean((0, 1)) for p in pictures]            # [y, x]
        moves = torch.from_numpy(moving(full))
        box = torch.from_numpy(subject_blocks(scene, start + 4 / RATE)).repeat_interleave(SIDE, 0).repeat_interleave(SIDE, 1)
        falls = a.weather in ("rain", "snow")
        for name, where in (("all", torch.ones_like(moves)), ("what moves", moves), ("... without rain and snow", moves & (not falls)),
                            ("... subjects, without rain and snow", moves & box & (not falls))):
            before = sums.setdefault(name, [0] + [0.0] * len(errors))
            sums[name] = [before[0] + int(where.sum())] + [s + e[where].sum().item() for s, e in zip(before[1:], errors)]
    for name, (n, *found) in sums.items():
        print(f"{name}: " + " -> ".join(f"{-10 * math.log10(s / max(n, 1) / 4 + 1e-12):.2f} dB" for s in found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    d = commands.add_parser("data")
    d.add_argument("worker", type=int)
    d.add_argument("seconds", type=float)
    d.add_argument("start_seed", type=int, nargs="?", default=60_000_000)
    t = commands.add_parser("train")
    t.add_argument("--minutes", type=float, required=True)
    t.add_argument("--batch", type=int, default=BATCH, help="blocks of a step")
    t.add_argument("--resume", action="store_true", help="from the weights in decoder.pt, with a new schedule")
    t.add_argument("--rate", type=float, default=1.0, help="times the usual learning rates")
    t.add_argument("--compile", action="store_true", help="torch.compile the loss: pays after a minute or two")
    m = commands.add_parser("measure")
    m.add_argument("scenes", type=int, nargs="?", default=150)
    options = parser.parse_args()
    if options.command == "data":
        data(options.worker, options.seconds, options.start_seed)
    elif options.command == "train":
        train(options)
    else:
        measure(options.scenes)


if __name__ == "__main__":
    main()
