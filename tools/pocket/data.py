# SPDX-License-Identifier: LGPL-2.1-or-later
"""Batches for the training: latents, what the frame before them was, captions, and where the subject is."""

import glob

import numpy as np
import torch

import paths
from captions import caption
from tokenizer import Tokenizer
from world import Attributes

EMPTY_SHARE = 0.1                   # prompts left empty, so that guidance has something to be compared with
SUBJECT_WEIGHT = 4.0                # of the subject's patches in the loss: they are few, and learned last


class Scenes:
    """What make_data.py wrote, all workers together."""

    def __init__(self, kind):
        files = [np.load(f) for f in sorted(glob.glob(str(paths.WORK / f"{kind}-*.npz")))]
        if not files:
            raise SystemExit(f"no {kind} in {paths.WORK}: run make_data.py {kind} first")
        self.latents, self.attributes, self.subject, self.late = (
            np.concatenate([f[k] for f in files]) for k in ("latents", "attributes", "subject", "late"))
        self.tokenizer = Tokenizer()

    def __len__(self):
        return len(self.latents)

    def images(self, rng, count):
        """Single first frames: the same as windows of length 1."""
        rows = rng.integers(0, len(self), count)
        return self._batch(rng, rows, self.latents[rows, :1], self.subject[rows, :1], None)

    def windows(self, rng, count, length):
        """Windows of a clip: from its first frame, or from its second, which then has a known predecessor.

        -> x0 [B, F, C, H, W], previous (the same; zero before a first frame), first [B] bool, ids [B, T],
           weight [B, F, 1, H, W]
        """
        rows = rng.integers(0, len(self), count)
        start = np.where(self.late[rows] | (rng.random(count) < 0.3), 1, 0)
        at = start[:, None] + np.arange(length)
        latents, subject = self.latents[rows[:, None], at], self.subject[rows[:, None], at]
        before = self.latents[rows, 0] * start[:, None, None, None]
        return self._batch(rng, rows, latents, subject, before, first=torch.from_numpy(start == 0))

    def _batch(self, rng, rows, latents, subject, before, first=None):
        x0 = torch.from_numpy(latents.astype(np.float32))
        weight = torch.from_numpy(subject.astype(np.float32)) * (SUBJECT_WEIGHT - 1) + 1
        weight = weight.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]
        words = ["" if rng.random() < EMPTY_SHARE else caption(Attributes.from_indices(self.attributes[i]), rng)
                 for i in rows]
        if before is None:
            previous, first = torch.zeros_like(x0), torch.ones(len(rows), dtype=torch.bool)
        else:
            previous = torch.cat([torch.from_numpy(before.astype(np.float32))[:, None], x0[:, :-1]], 1)
        return x0, previous, first, self.tokenizer(words), weight
