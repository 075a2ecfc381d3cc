# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two small networks that say what a picture shows and where its subject goes: what evaluate.py counts with.

python judge.py MINUTES [0] [1]     minutes for each, or one of them, on scenes of its own, which it renders first; prints how often
                                    each is right about other ones: the most that a sample can be credited with.
                                    Goes on from what it finds
python judge.py keep                writes judges.safetensors beside this file, which resume.py begins with
"""

import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

import paths
from codec import CHANNELS, COLUMNS, ROWS, Codec
from make_data import LATENTS
from precision import best_dtype
from scene import RATE, Scene
from world import TABLES, draw_attributes

SEEN = ("background", "time", "weather", "subject", "colour")       # in one picture
MOVES = ("motion", "camera")                                        # in the first, third and fifth latent frame
PLACED = ("subject", "colour", "motion")                            # of what covers a few patches of 16x16 pixels
MOMENTS = (0, 2, 4)
LEAST = 0.5                         # patches that a subject covers, at least
BLUR = 4                            # most, in pixels of 144 x 256, of what details are taken away from
SCENES = 4000                       # to train on, all combinations among them


class Judge(nn.Module):
    """Pictures [B, channels, 144, 256] in -1..1 -> scores of each head: [B, n], where PLACED [B, n, 9, 16] and "nothing" first."""

    def __init__(self, heads, channels, width):
        super().__init__()
        def step(inner, outer, stride):
            return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.BatchNorm2d(outer), nn.GELU())
        sizes = [channels, width, 2 * width, 3 * width, 4 * width]
        self.body = nn.Sequential(*[step(a, b, 2) for a, b in zip(sizes, sizes[1:])])
        self.around = nn.ModuleList([step(4 * width, 4 * width, 1) for _ in range(3)])
        self.heads = nn.ModuleDict({k: nn.Conv2d(4 * width, classes(k), 1) if k in PLACED else nn.Linear(8 * width, len(TABLES[k]))
                                    for k in heads})

    def forward(self, pictures):
        y = self.body(pictures)
        for layer in self.around:
            y = y + layer(y)
        whole = F.dropout(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1), 0.2, self.training)
        return {k: head(y if k in PLACED else whole) for k, head in self.heads.items()}


def classes(head):
    """Of a placed head: 0 is no subject here, which the subjects' own table begins with."""
    return len(TABLES[head]) + (head != "subject")


def totals(scores):
    """Scores of whole pictures: how many patches each class covers."""
    def total(head, v):
        if head not in PLACED:
            return v
        p = v.softmax(1)
        covered = (p * (p[:, :1] < 0.5)).sum((2, 3))[:, 1:]
        return F.pad(covered, (1, 0), value=LEAST) if head == "subject" else covered
    return {k: total(k, v) for k, v in scores.items()}


def pictures_of(codec, latents):
    """[B, C, 18, 32] -> [B, 3, 144, 256]: the last of the four frames."""
    return codec.decode_small(latents)[3::4].permute(0, 3, 1, 2).clamp(-1, 1)


def moments_of(codec, latents):
    """[B, F, C, 18, 32] -> [B, 9, 144, 256]: three moments of a clip."""
    return torch.cat([pictures_of(codec, latents[:, f]) for f in MOMENTS], 1)


def labels_of(rows, heads):
    """Rows of Attributes.indices() -> a tensor for each head."""
    table = torch.as_tensor(np.asarray(rows)).long()
    return {k: table[:, list(TABLES).index(k)] for k in heads}


def counts_for(head, rows):
    """Which rows a head is asked about: the colour and the motion where there is a subject, the sky where there is one."""
    there = torch.as_tensor(np.asarray(rows))
    subject, space = there[:, list(TABLES).index("subject")] > 0, there[:, 0] == TABLES["background"].index("space")
    return subject if head in ("colour", "motion") else ~space if head in ("time", "weather") else torch.ones_like(space)


def right(scores, rows, but):
    """-> {head: bool [n] of the rows that it is asked about}; but: {head: bool [n]}, others that it is not asked about"""
    labels, none = labels_of(rows, scores), torch.zeros(len(rows), dtype=torch.bool)
    return {k: (v.argmax(1) == labels[k])[counts_for(k, rows) & ~but.get(k, none)] for k, v in totals(scores).items()}


def hidden_subjects(hidden):
    """What not to ask of rendered clips: see drawn()."""
    return dict.fromkeys(PLACED, hidden)


def groups(there):
    """bool [n, 9, 16] -> [n]: groups of at least two patches that touch each other"""
    n, h, w = there.shape
    label = (torch.arange(1, h * w + 1).view(h, w) * there).float()
    for _ in range(h + w):
        label = F.max_pool2d(label, 3, 1, 1) * there
    sizes = F.one_hot(label.long().flatten(1), h * w + 1).sum(1)
    return (sizes[:, 1:] > 1).sum(1)


class Both:
    """What evaluate.py asks: both networks, on latents of clips."""

    def __init__(self):
        self.codec, self.judges = Codec(), [make() for make in JUDGES]
        for judge, file in zip(self.judges, FILES):
            judge.load_state_dict(torch.load(file))
            judge.eval()

    @torch.no_grad()
    def right(self, latents, rows, but={}):
        """latents [B, F, C, 18, 32]; where F < 5, of the first frame alone, without MOVES. but: {head: bool [B]} not asked about."""
        out = right(self.judges[0](pictures_of(self.codec, latents[:, 0])), rows, but)
        if latents.shape[1] > max(MOMENTS):
            out |= right(self.judges[1](moments_of(self.codec, latents)), rows, but)
        return out

    @torch.no_grad()
    def subjects(self, latents):
        """latents [B, F, C, 18, 32] -> bool [B, 9, 16]: the patches of first frames where there is a subject."""
        return self.judges[0](pictures_of(self.codec, latents[:, 0]))["subject"].softmax(1)[:, 0] < 0.5


JUDGES = (lambda: Judge(SEEN, 3, 24), lambda: Judge(MOVES, 9, 24))
FILES = [paths.WORK / "judge-seen.pt", paths.WORK / "judge-moves.pt"]
KEPT = pathlib.Path(__file__).with_name("judges.safetensors")


def placed_loss(head, scores, labels, place):
    """Patch by patch; those of the subject are few, and count for more."""
    wanted = (labels + (head != "subject"))[:, None, None] * place
    return F.cross_entropy(scores, wanted, weight=torch.tensor([1.0] + [5.0] * (scores.shape[1] - 1)))


def blurred(x, sigma):
    """Pictures x [B, C, H, W], each with its own sigma [B, 1], in pixels"""
    at = torch.arange(-2 * BLUR, 2 * BLUR + 1)
    kernel = torch.softmax(-at.square() / (2 * sigma.square()), 1)
    def along(x, shape):
        return F.conv2d(x.transpose(0, 1), kernel.view(len(sigma), 1, *shape), groups=len(sigma)).transpose(0, 1)
    x = F.pad(x, (2 * BLUR,) * 4, mode="replicate")
    return along(along(x, (1, len(at))), (len(at), 1))


def with_less_detail(x):
    """In every second clip: what the model draws has the large shapes of the renderer's scenes, and less upon them."""
    some = torch.rand(len(x)) < 0.5
    few, sigma, kept = x[some], 0.5 + (BLUR - 0.5) * torch.rand(int(some.sum()), 1), torch.rand(int(some.sum()), 1, 1, 1)
    x[some] = torch.lerp(blurred(few, sigma), few, kept)
    return x


def train(judge, draw, minutes, file):
    """draw(n) -> pictures, rows of attributes, where the subject is [n, 9, 16]"""
    if file.exists():
        judge.load_state_dict(torch.load(file))
    judge.to(memory_format=torch.channels_last)         # and bf16, where it is fast: 1.8 to 2 times as fast
    optimiser, began, steps, dtype = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.05), time.time(), 0, best_dtype()
    while (progress := (time.time() - began) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - progress)
        x, rows, place = draw(32)
        x = (x + 0.05 * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            scores = judge(x)
        scores, labels = {k: v.float() for k, v in scores.items()}, labels_of(rows, judge.heads)
        loss = sum(placed_loss(k, v, labels[k], place) if k in PLACED else F.cross_entropy(v[c], labels[k][c])
                   for k, v in scores.items() if (c := counts_for(k, rows)).any())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    torch.save(judge.state_dict(), file)
    print(f"{file.name}: {steps} steps, loss {loss.item():.3f}", flush=True)


def drawn(a, rng, codec):
    """A rendered clip. -> latents [F, C, 18, 32]; places [F, 9, 16]: patches of the subject; hidden: less than half of the subject
    is in the first picture, so that nobody could tell what it is"""
    scene, start = Scene(a, rng), rng.uniform(0, 20)
    places = [scene.subject_tokens(start + (4 * f + 1.5) / RATE) for f in range(LATENTS)]
    return codec.encode(scene.render(4 * LATENTS, start)), torch.from_numpy(np.stack(places)), bool(scene.subject_inside(start) < 0.5)


def scenes(count, rng, codec, of=lambda a: True):
    """Rendered clips that the model's training does not show. -> latents [n, F, C, 18, 32], rows, places [n, F, 9, 16], hidden [n]"""
    # At once: small pieces that stay between the large ones that come and go cost fifty times their size.
    latents = torch.zeros(count, LATENTS, CHANNELS, ROWS, COLUMNS, dtype=torch.float16)
    rows, places = torch.zeros(count, len(TABLES), dtype=torch.long), torch.zeros(count, LATENTS, ROWS // 2, COLUMNS // 2)
    hidden = torch.zeros(count, dtype=torch.bool)
    for i in range(count):
        a = draw_attributes(rng, of)
        latents[i], places[i], hidden[i] = drawn(a, rng, codec)
        rows[i] = torch.tensor(a.indices())
    return latents, rows, places, hidden


def training_scenes(codec):
    """Kept in a file: they take minutes."""
    file = paths.WORK / "judge-scenes.npz"
    if not file.exists():
        latents, rows, places, _ = scenes(SCENES, np.random.default_rng(4), codec)
        np.savez(file.with_suffix(".part"), latents=latents, rows=rows, places=places)
        file.with_suffix(".part.npz").rename(file)
    return [torch.from_numpy(v) for v in np.load(file).values()]


def main(minutes, which):
    codec, rng = Codec(), np.random.default_rng(3)
    latents, rows, places = training_scenes(codec)
    def pictures(n):
        i, f = rng.integers(0, SCENES, n), rng.integers(0, latents.shape[1], n)
        return pictures_of(codec, latents[i, f].float()), rows[i], places[i, f].long()
    def moves(n):
        i = rng.integers(0, SCENES, n)
        return with_less_detail(moments_of(codec, latents[i].float())), rows[i], places[i][:, MOMENTS].amax(1).long()
    for n in which:
        train(JUDGES[n](), (pictures, moves)[n], minutes, FILES[n])
    if all(f.exists() for f in FILES):
        z, labels, _, hidden = scenes(500, np.random.default_rng(99), codec)
        said = Both().right(z.float(), labels, hidden_subjects(hidden))
        print("unseen scenes:", " ".join(f"{k} {v.float().mean():.3f}" for k, v in said.items()), flush=True)


def keep():
    save_file({f"{f.stem}.{k}": v.half().contiguous() for f in FILES for k, v in torch.load(f).items()}, KEPT)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "keep":
        keep()
    else:
        main(float(sys.argv[1]), [int(n) for n in sys.argv[2:]] or [0, 1])
