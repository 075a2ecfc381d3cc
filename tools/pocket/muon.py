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
            self.groups.setdefault((min(m.shape), max(m.shape)), []).append(i)

    @torch.no_grad()
    def step(self, factor):
        """factor scales the learning rate."""
        rank, world = dist.get_rank(), dist.get_world_size()
        torch._foreach_mul_(self.velocity, self.momentum)
        torch._foreach_add_(self.velocity, [m.grad for m in self.matrices])
        for group in self.groups.values():
            wide = [self._wide(self.matrices[i].grad + self.momentum * self.velocity[i]) for i in group]
            share = -(-len(group) // world)
            mine = slice(rank * share, min(len(group), (rank + 1) * share))
            update = torch.zeros(len(group), *wide[0].shape)
            if mine.start < len(group):
                update[mine] = orthogonalise(torch.stack(wide[mine]))
            if world > 1:
                dist.all_reduce(update)
            for i, u in zip(group, update):
                m = self.matrices[i]
                rows, columns = m.shape
                m.mul_(1 - 2 * self.decay * self.rate * factor)
                m.add_(u if rows <= columns else u.T, alpha=-self.rate * factor * max(1, rows / columns) ** 0.5)

    @staticmethod
    def _wide(m):
        return m if m.shape[0] <= m.shape[1] else m.T
