# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much of the speed of plain matrix products a training step has on one core. Counted are the products and what they cost
backwards; the time is that of everything: elementwise work, both optimisers, the average.

python speed.py [images | clips | streams] [BATCH] [STEPS] [bf16 | f32]      tcmalloc preloaded is faster, as in a training
"""

import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.flop_counter import FlopCounterMode

from make_data import STREAM_LATENTS
from precision import Product, best_dtype
from train import Stage, Trainer

SHARES = {"images": (1.0, 0.0), "clips": (0.0, 0.0), "streams": (0.0, 1.0)}     # of images and of streams


def products(rows=4608, count=50):
    """FLOP a second of the feed-forward's two."""
    x, up, down = (torch.randn(*shape, dtype=Product.dtype) for shape in ((rows, 256), (1024, 256), (256, 1024)))
    for i in range(count + 5):
        if i == 5:
            began = time.time()
        (x @ up.T) @ down.T
    return count * 4 * rows * 256 * 1024 / (time.time() - began)


def main(kind="streams", batch=64, count=8, dtype=None):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29521")
    dist.init_process_group("gloo", rank=0, world_size=1)
    device = torch.device("cpu")
    Product.dtype = {"bf16": torch.bfloat16, "f32": torch.float32, None: best_dtype(device)}[dtype]
    trainer, stage = Trainer(device, True), Stage("windows", int(batch), *SHARES[kind], STREAM_LATENTS, 0, device)
    stage.set_spreads(trainer)
    def steps(count):
        """Always the same ones."""
        choice, noise, before, began = np.random.default_rng(0), torch.Generator().manual_seed(0), trainer.seen, time.time()
        for _ in range(count):
            trainer.learn(((loss, counts) for loss, counts, _ in stage.losses(choice, noise, trainer.model, trainer.model)), 0.01, 1)
        return trainer.seen - before, time.time() - began
    steps(int(count))                                           # compiles for the shapes that come
    fastest, (frames, seconds) = products(), steps(int(count))
    fastest = max(fastest, products())
    with FlopCounterMode(display=False) as counter:             # last: what is compiled stays out of use from here on
        steps(int(count))
    flops = counter.get_total_flops()
    print(f"{kind}, {batch} frames a step, {Product.dtype}: {frames / seconds:.1f} frames/s, {flops / frames / 1e9:.2f} GFLOP each, "
          f"{flops / seconds / 1e9:.0f} GFLOP/s of {fastest / 1e9:.0f} in plain products: {100 * flops / seconds / fastest:.0f} %")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
