# SPDX-License-Identifier: LGPL-2.1-or-later
"""Batches for the training: latents, what the frame before them was, captions, and where the subject is."""

import threading

import numpy as np
import torch

import paths
from captions import moves
from codec import Codec
from tokenizer import Tokenizer
from world import MOTIONS, SUBJECTS, TABLES

EMPTY_SHARE = 0.1                   # prompts left empty, so that guidance has something to be compared with
SUBJECT_WEIGHT = 4.0                # in the loss, of patches where the subject is or was: they are few, and learned last
ALONE = 0.15                        # share of mistakes with a subject that is weak, and nothing else
NEW_OFTEN = 3.0                     # streams in which a new prompt comes where a frame is drawn anew, against others
OFTEN = {"kite": 2.0, "balloon": 1.5}                           # drawn more often than others: shapes that are learned last
END = 1                             # the one piece of an empty prompt
MOTION, SUBJECT, CAMERA = (list(TABLES).index(k) for k in ("motion", "subject", "camera"))
KEYS = ("latents", "words", "subject", "cut", "attributes")


class Batch:
    """x0 [B, F, C, H, W]; previous, the same, zero where known [B, F] is not set: first frames, and those of a new
    prompt; given [B]: frame 0 is only there to be seen; words [B, S, T] of S prompts, which [B, F]; weight
    [B, F, 1, H, W]; attributes [B, 8], of the first prompt."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def frames(self, some):
        """Some of the frames: a slice."""
        return Batch(words=self.words, given=self.given, attributes=self.attributes,
                     **{k: getattr(self, k)[:, some] for k in ("x0", "previous", "known", "which", "weight")})

    def columns(self, first, count):
        """The part of the pictures that begins at column first [B] of the latents, count columns wide."""
        def part(x):
            at = first.view(-1, 1, 1, 1, 1) + torch.arange(count, device=x.device)
            return x.gather(-1, at.expand(*x.shape[:-1], -1))
        return Batch(words=self.words, given=self.given, attributes=self.attributes, known=self.known, which=self.which,
                     **{k: part(getattr(self, k)) for k in ("x0", "previous", "weight")})

    def arguments(self, t, noise, rope):
        """Of Pocket.loss."""
        return dict(x0=self.x0, t=t, noise=noise, mu=self.previous, known=self.known, words=self.words, which=self.which,
                    weight=self.weight, rope=rope)


class Scenes:
    """What make_data.py wrote, on the device; refresh() takes in what was written meanwhile. Of several processes each has a share
    of its own: rank of world."""

    def __init__(self, kind, device=torch.device("cpu"), rank=0, world=1):
        self.kind, self.device, self.seen, self.tables = kind, device, set(), None
        self.rank, self.world = rank, world
        self.still = tuple(v.to(device) for v in Codec().still())
        self.refresh()
        if self.tables is None:
            raise SystemExit(f"no {kind} in {paths.WORK}: run make_data.py {kind} first")

    def refresh(self):
        new = sorted(f for f in paths.WORK.glob(f"{self.kind}-*-*.npz") if f not in self.seen and ".part" not in f.name)
        if not new:
            return
        self.seen.update(new)
        mine = new[self.rank::self.world] or new[:self.tables is None]
        if not mine:
            return
        parts = [np.load(f) for f in mine]
        more = {k: np.concatenate([p[k] for p in parts]) for k in KEYS}
        more["share"] = np.array([OFTEN.get(s, 1.0) for s in SUBJECTS])[more["attributes"][:, 0, SUBJECT]]
        more["told"] = told(more["words"], more["attributes"][..., MOTION])
        more = {k: torch.from_numpy(v.astype(_kept(k), copy=False)).to(self.device) for k, v in more.items()}
        self.tables = more if self.tables is None else {k: torch.cat([self.tables[k], v]) for k, v in more.items()}

    def keep_fresh(self, seconds=10):
        """refresh() in a thread of its own, as long as the process lives."""
        wait = threading.Event()
        def run():
            while not wait.wait(seconds):
                self.refresh()
        threading.Thread(target=run, daemon=True).start()

    def stand_still(self, x):
        """Latents [n, C, H, W] -> those of their last pictures, standing still."""
        return torch.einsum("nchw,cd->ndhw", x, self.still[0]) + self.still[1][:, None, None]

    def __len__(self):
        return len(self.tables["cut"])

    def draw(self, noise, count, length, turn=None):
        """Windows of `length` latent frames: from a clip's first frame, or, if clips are longer, from its second, whose
        predecessor is known.

        A first frame stands still: a clip shows its last picture only, and where things go from there the prompt tells.
        turn: of streams, the frame that is drawn anew as a first one, or 0: because it is time to, or for a new prompt. More of these
        show a subject that goes somewhere, and their captions say so, or a camera that pans. noise: a torch.Generator of the device.
        """
        tables = self.tables
        def random(*shape):
            return torch.rand(*shape, generator=noise, device=self.device)
        stored, goes, pans = tables["latents"].shape[1], *(tables["attributes"][:, 0, k] > 0 for k in (MOTION, CAMERA))
        share = tables["share"]
        if turn is not None:
            new = tables["cut"] == turn
            share = share * (1.0 + goes) * (1.0 + 2 * pans) * ((tables["cut"] == stored) + NEW_OFTEN * new)
        rows = torch.multinomial(share, count, replacement=True, generator=noise)
        cut = tables["cut"][rows]
        start = ((random(count) < 0.5) & (stored > length)).long()
        at = start[:, None] + torch.arange(length, device=self.device)
        first = at == 0
        if turn is not None:
            first[:, turn] = True
        x0 = tables["latents"][rows[:, None], at].float()
        x0[first] = self.stand_still(x0[first])
        known = (at != cut[:, None]) & ~first
        before = tables["latents"][rows, (start - 1).clamp_min(0)].float()
        previous = torch.cat([before[:, None], x0[:, :-1]], 1) * known[..., None, None, None]
        subject = tables["subject"][rows[:, None], at].float().cummax(1).values
        which = (at >= cut[:, None]).long()
        choice = random(count, tables["words"].shape[2])
        if turn is not None:                                    # where things go must be said, or it cannot be learned
            choice = choice + tables["told"][rows].sum(1)
        words = tables["words"][rows, :, choice.argmax(1)].long()
        if stored == 1:
            words = words[:, :1]
        empty = torch.zeros_like(words[0, 0])
        empty[0] = END
        if turn is None:
            words = torch.where((random(count, 1, 1) < EMPTY_SHARE), empty, words)
        return Batch(x0=x0, previous=previous, known=known, words=words, which=which, given=start > 0,
                     attributes=tables["attributes"][rows, 0], weight=weight_of(subject))

    def draw_mistakes(self, noise, count):
        """Of scenes of mistakes. -> pictures with a subject that is weak, has another one in its place, or a weaker one elsewhere; and a
        Batch of what they should be."""
        tables = self.tables
        def random(*shape):
            return torch.rand(*shape, generator=noise, device=self.device)
        rows, each = torch.multinomial(tables["share"], count, replacement=True, generator=noise), (count, 1, 1, 1, 1)
        without, right, other = tables["latents"][rows].float().split(1, 1)
        attributes, words = tables["attributes"][rows], tables["words"][rows, 0]
        twice, alone = (attributes[:, 0] == attributes[:, 1]).all(1).view(each), random(*each) < ALONE
        some = random(*each)
        of_right = torch.where(alone, 0.15 + 0.75 * some, torch.where(twice, 0.4 + 0.6 * some, 0.5 * some))
        of_other = torch.where(alone, 0.0, torch.where(twice, of_right * (0.1 + 0.8 * random(*each)), 1 - of_right))
        no = torch.zeros(count, 1, dtype=torch.bool, device=self.device)
        return without + of_right * (right - without) + of_other * (other - without), Batch(
            x0=right, previous=torch.zeros_like(right), known=no, which=no.long(), given=no[:, 0], attributes=attributes[:, 0],
            words=words.gather(1, (random(count, 1, 1) * words.shape[1]).long().expand(-1, -1, words.shape[2])).long(),
            weight=weight_of(tables["subject"][rows].amax(1, True)))


def weight_of(subject):
    """In the loss, [B, F, 1, H, W], of where the subject is: bool [B, F, H/2, W/2]"""
    weight = subject.float() * (SUBJECT_WEIGHT - 1) + 1
    return weight.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]


def across(x, there):
    """Latents or pictures x [..., C, H, W], in there [..., H, W] drawn anew from what is left and right of it."""
    columns, at = x.shape[-1], torch.arange(x.shape[-1], device=x.device)
    left = torch.where(there, at, columns).amin(-1, keepdim=True) - 1                   # of each row; -1: none
    right = torch.where(there, at, -1).amax(-1, keepdim=True) + 1
    def beside(side):
        side = side.clamp(0, columns - 1).unsqueeze(-3)
        return x.gather(-1, side.expand(*x.shape[:-1], 1))
    share = ((at - left) / (right - left).clamp_min(1)).clamp(0, 1)
    share = torch.where(left < 0, 1.0, torch.where(right >= columns, 0.0, share)).unsqueeze(-3)
    return torch.where(there.unsqueeze(-3), beside(left) * (1 - share) + beside(right) * share, x)


def told(words, motions):
    """words [n, 2, captions, T], motions [n, 2] -> [n, 2, captions]: whether a caption says where the subject goes, or need not."""
    tokenizer, said = Tokenizer(), np.zeros(words.shape[:3], bool)
    for i, motion in enumerate(MOTIONS):
        here = motions == i
        captions, found = words[here], np.zeros((here.sum(), words.shape[2]), bool)
        for phrase in {*moves(motion)}:
            pieces = tokenizer([phrase])[0].numpy()
            pieces = pieces[:list(pieces).index(END)]
            windows = np.lib.stride_tricks.sliding_window_view(captions, len(pieces), axis=-1)
            found |= (windows == pieces).all(-1).any(-1)
        said[here] = found | (motion == "float")
    return said


def _kept(key):
    """Types that torch can index with."""
    return {"latents": np.float16, "words": np.int32, "subject": bool, "told": np.float32, "share": np.float32, "cut": np.int64,
            "attributes": np.uint8}[key]
