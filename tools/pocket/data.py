# SPDX-License-Identifier: LGPL-2.1-or-later
"""Batches for the training: latents, what the frame before them was, captions, and where the subject is."""

import threading

import numpy as np
import torch

import paths

EMPTY_SHARE = 0.1                   # prompts left empty, so that guidance has something to be compared with
SUBJECT_WEIGHT = 4.0                # of the subject's patches in the loss: they are few, and learned last
END = 1                             # the one piece of an empty prompt
KEYS = ("latents", "words", "subject", "cut", "attributes")


class Batch:
    """x0 [B, F, C, H, W]; previous, the same, zero where known [B, F] is not set: first frames, and those of a new
    prompt; given [B]: frame 0 is only there to be seen; words [B, S, T] of S prompts, which [B, F]; weight
    [B, F, 1, H, W]."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class Scenes:
    """What make_data.py wrote, on the device; refresh() takes in what was written meanwhile."""

    def __init__(self, kind, device=torch.device("cpu")):
        self.kind, self.device, self.seen, self.tables = kind, device, set(), None
        self.refresh()
        if self.tables is None:
            raise SystemExit(f"no {kind} in {paths.WORK}: run make_data.py {kind} first")

    def refresh(self):
        new = sorted(f for f in paths.WORK.glob(f"{self.kind}-*-*.npz") if f not in self.seen and ".part" not in f.name)
        if not new:
            return
        self.seen.update(new)
        parts = [np.load(f) for f in new]
        more = {k: torch.from_numpy(np.concatenate([p[k] for p in parts]).astype(_kept(k))).to(self.device) for k in KEYS}
        self.tables = more if self.tables is None else {k: torch.cat([self.tables[k], more[k]]) for k in KEYS}

    def keep_fresh(self, seconds=10):
        """refresh() in a thread of its own, as long as the process lives."""
        wait = threading.Event()
        def run():
            while not wait.wait(seconds):
                self.refresh()
        threading.Thread(target=run, daemon=True).start()

    def __len__(self):
        return len(self.tables["cut"])

    def draw(self, noise, count, length):
        """Windows of `length` latent frames: from a clip's first frame, or from its second, whose predecessor is known.

        noise: a torch.Generator of the device.
        """
        tables = self.tables
        def random(*shape):
            return torch.rand(*shape, generator=noise, device=self.device)
        rows = (random(count) * len(tables["cut"])).long().clamp_max(len(tables["cut"]) - 1)
        stored, cut = tables["latents"].shape[1], tables["cut"][rows]
        start = ((random(count) < 0.5) & (stored > length)).long()
        at = start[:, None] + torch.arange(length, device=self.device)
        x0 = tables["latents"][rows[:, None], at].float()
        known = (at > 0) & (at != cut[:, None])
        before = tables["latents"][rows, torch.zeros_like(rows)].float() * start.view(-1, 1, 1, 1)
        previous = torch.cat([before[:, None], x0[:, :-1]], 1) * known[..., None, None, None]
        weight = tables["subject"][rows[:, None], at].float() * (SUBJECT_WEIGHT - 1) + 1
        choice = (random(count) * tables["words"].shape[2]).long()
        words = tables["words"][rows, :, choice].long()
        if stored == 1:
            words = words[:, :1]
        empty = torch.zeros_like(words[0, 0])
        empty[0] = END
        words = torch.where((random(count, 1, 1) < EMPTY_SHARE), empty, words)
        return Batch(x0=x0, previous=previous, known=known, words=words, which=(at >= cut[:, None]).long(),
                     given=(start > 0),
                     weight=weight.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None])


def _kept(key):
    """Types that torch can index with."""
    return {"latents": np.float16, "words": np.int32, "subject": bool, "cut": np.int64,
            "attributes": np.uint8}[key]
