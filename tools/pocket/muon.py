# SPDX-License-Identifier: LGPL-2.1-or-later
"""Muon: momentum whose matrices are made orthogonal before they are applied; shared out over the processes.

For the square-ish matrices of the blocks; everything else is AdamW's.
"""

import torch
import torch.distributed as dist

from precision import Product


def orthogonalise(x):
    """x [k, m, n], m <= n: five Newton-Schulz steps towards the nearest matrix with orthonormal rows."""
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(Product.dtype)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.775 * gram + 2.0315 * (gram @ gram)) @ x
    return x.float()


class Muon:
    def __init__(self, matrices, rate=0.01, decay=0.01, momentum=0.95):
        self.matrices, self.rate, self.decay, self.momentum = matrices, rate, decay, momentum
        self.velocity = [torch.zeros_like(m) for m in matrices]
        self.groups = {}                                        # equal shapes are worked on together
        for i, m in enumerate(matrices):
            self.groups.setdefault(m.shape, []).append(i)

    @torch.no_grad()
    def step(self, factor):
        """factor scales the learning rate."""
        rank, world = dist.get_rank(), dist.get_world_size()
        torch._foreach_mul_(self.velocity, self.momentum)
        torch._foreach_add_(self.velocity, [m.grad for m in self.matrices])
        for (rows, columns), group in self.groups.items():
            matrices = [self.matrices[i] for i in group]
            wide = torch.stack([m.grad + self.momentum * self.velocity[i] for i, m in zip(group, matrices)])
            if rows > columns:
                wide = wide.mT
            if world > 1:
                share = -(-len(group) // world)
                mine = slice(rank * share, min(len(group), (rank + 1) * share))
                update = torch.zeros_like(wide)
                if mine.start < len(group):
                    update[mine] = orthogonalise(wide[mine])
                dist.all_reduce(update)
            else:
                update = orthogonalise(wide)
            update = update if rows <= columns else update.mT
            torch._foreach_mul_(matrices, 1 - 2 * self.decay * self.rate * factor)
            torch._foreach_add_(matrices, list(update.unbind()), alpha=-self.rate * factor * max(1, rows / columns) ** 0.5)
