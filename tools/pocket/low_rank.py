# SPDX-License-Identifier: LGPL-2.1-or-later
"""Low-rank additions to a trained model: every matrix W of the transformer's blocks becomes W + up down, where W stays as it is. First
frames and those that follow on one have additions of their own.

So the ones stay what they were, bit by bit, whatever the others learn; and a new version is a file of two megabytes beside the
old weights (`lora` and `lora_next` in sora.json), in place of all of them again.
Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. The names in the file are peft's.
"""

import torch
import torch.nn as nn
from torch.nn.utils import parametrize

FIRST, NEXT = "lora-first.safetensors", "lora.safetensors"      # of first frames, and of others
FILES = {"lora": FIRST, "lora_next": NEXT}                      # by the key of sora.json
NAMES = {"up": "lora_B.weight", "down": "lora_A.weight"}


def file_of(stage):
    """What additions that a stage of the training learns are called in the shipped folder."""
    return FIRST if stage == "images" else NEXT


class Addition(nn.Module):
    """up [out, rank] is zero at first, down [rank, in] is not, or neither could learn."""

    def __init__(self, rows, columns, rank):
        super().__init__()
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.down = nn.Parameter(nn.init.orthogonal_(torch.empty(rank, columns)))

    def forward(self, weight):
        return weight + self.up @ self.down


def layers(transformer):
    return [(name, m) for name, m in transformer.named_modules() if name.startswith("blocks.") and isinstance(m, nn.Linear)]


def begin(model, rank, found=None):
    """From now on only additions and filters of the frame before learn. found: names and tensors of additions of the same rank."""
    model.text_encoder.requires_grad_(False)
    model.transformer.requires_grad_(False)
    for name, m in layers(model.transformer):
        addition = Addition(*m.weight.shape, rank).to(m.weight.device)
        if found:
            addition.load_state_dict({k: found[f"{name}.{v}"].float() for k, v in NAMES.items()})
        parametrize.register_parametrization(m, "weight", addition)


def additions(transformer):
    """-> {peft's name: tensor}, of those that begin() made"""
    return {f"{name}.{NAMES[k]}": v.detach() for name, m in layers(transformer) if parametrize.is_parametrized(m)
            for k, v in m.parametrizations.weight[0].named_parameters()}


@torch.no_grad()
def add(transformer, found):
    """For good, those that are found in such a file."""
    for name, m in layers(transformer):
        m.weight += found[f"{name}.{NAMES['up']}"].float() @ found[f"{name}.{NAMES['down']}"].float()


def without_additions(model):
    """-> the state of model, as if it had none"""
    return {k.replace("parametrizations.weight.original", "weight"): v for k, v in model.state_dict().items()
            if ".parametrizations.weight.0." not in k}
