#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoints of PyTorch for tests/test_pth.c:  tools/reference/pth.py tests/ref/pth"""
import os
import sys
import zipfile
from collections import OrderedDict

import torch

out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def save(x, name, **kw):
    torch.save(x, os.path.join(out, name), **kw)


count = torch.arange(24, dtype=torch.float32)
linear = torch.nn.Linear(3, 2)
with torch.no_grad():
    linear.weight.copy_(count[:6].reshape(2, 3))
    linear.bias.copy_(torch.tensor([-1.0, 0.5]))
ema = OrderedDict(("model._fsdp_wrapped_module.head." + k, v) for k, v in linear.state_dict().items())
ema["model.half"] = count[:4].half()
ema["model.bfloat"] = count[:5].bfloat16().reshape(5, 1)
ema["model.slice"] = count.reshape(4, 6)[1:3]           # contiguous, from the middle of its storage
ema["model.whole"] = count.reshape(2, 3, 4)             # of the same storage
ema["model.scalar"] = torch.tensor(7)
ema["model.empty"] = torch.zeros(0, 3)
save({"generator_ema": ema, "generator": linear.state_dict(), "step": 1000, "loss": 0.25, "name": "a b", "none": None,
      "list": [1, True, (2, -3)], "big": 1 << 40, 5: {"x": count[:2]}}, "nested.pth")
save(linear.state_dict(), "protocol4.pth", pickle_protocol=4)
save(torch.nn.Parameter(count[:3]), "single.pth")
save({"a": torch.nn.Parameter(count[:3])}, "parameter.pth")
save({"a": count.reshape(4, 6).t()}, "transposed.pth")
save({"step": 3}, "empty.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/sora-pth-was-run",)


save({"a": count[:2], "b": Evil()}, "evil.pth")
save({"a": count[:2]}, "old.pth", _use_new_zipfile_serialization=False)
with zipfile.ZipFile(os.path.join(out, "parameter.pth")) as z, \
     zipfile.ZipFile(os.path.join(out, "compressed.pth"), "w", zipfile.ZIP_DEFLATED) as to:
    for i in z.infolist(): to.writestr(i.filename, z.read(i))
with zipfile.ZipFile(os.path.join(out, "parameter.pth")) as z, \
     zipfile.ZipFile(os.path.join(out, "data-compressed.pth"), "w") as to:
    for i in z.infolist():
        to.writestr(i.filename, z.read(i) + b"\0" * 200 * ("data/0" in i.filename),
                    zipfile.ZIP_DEFLATED if "data/0" in i.filename else zipfile.ZIP_STORED)
