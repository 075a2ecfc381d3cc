#!/usr/bin/env python3
"""Noise levels, timesteps and results of diffusers' schedulers, and guided velocities -> tests/ref/schedulers.safetensors

    schedulers.py OUT.safetensors

The "network" is v = 0.8 tanh(x + c) + c sin(t / 150), with c a fixed vector: smooth, not linear, and it depends on t.
Names: KIND.shiftS.stepsN.{sigma,t,x}; noise and c are common to all.  guide.{x,v,u} [2, N], guide.spread [2] and, with the part
along the estimate counted N quarters, guide.quartersN.
"""

import sys

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.guiders.adaptive_projected_guidance import normalized_guidance
from safetensors.torch import save_file

import fresh

SHIFTS = (1, 3, 5, 8, 12)
STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
N = 24


def network(x, c, t):
    return 0.8 * torch.tanh(x + c) + c * torch.sin(torch.tensor(float(t)) / 150)


def run(scheduler, steps, noise, c):
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(0)        # looked up by value, two equal truncated timesteps at the start would skip one
    x = noise.clone()
    for t in scheduler.timesteps:
        # the batch axis and three more: UniPC's einsum wants them
        shape = (1, 1, 1, 1, -1)
        x = scheduler.step(network(x, c, t).view(shape), t, x.view(shape), return_dict=False)[0].flatten()
    return scheduler.sigmas.float(), scheduler.timesteps.float(), x


def guided(x, v, u, spread, parallel, t=0.6, scale=3.0):
    """The velocity for the prompt, v, guided away from u: on estimates of the clean sample, in units of spread."""
    x0, x0_negative = (((x - t * w) / spread)[None] for w in (v, u))        # the first axis is a batch's
    x0 = normalized_guidance(x0, x0_negative, scale - 1, eta=parallel, use_original_formulation=True)
    return (x - spread * x0[0]) / t


def main(path):
    torch.manual_seed(fresh.seed(1))
    noise, c = torch.randn(N), 0.5 * torch.randn(N)
    out = {"noise": noise, "c": c}
    for shift in SHIFTS:
        kinds = {"euler": lambda: FlowMatchEulerDiscreteScheduler(shift=shift)}
        for order in (1, 2):
            kinds[f"unipc{order}"] = lambda order=order: UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=order)
        for kind, make in kinds.items():
            for steps in STEPS:
                for name, value in zip(("sigma", "t", "x"), run(make(), steps, noise, c)):
                    out[f"{kind}.shift{shift}.steps{steps}.{name}"] = value.contiguous()
    spread = torch.tensor([[2.5], [0.3]])
    x, v = spread * torch.randn(2, N), spread * torch.randn(2, N)
    u = v + 0.3 * spread * torch.randn(2, N) - 0.2 * x
    out |= {"guide.x": x, "guide.v": v, "guide.u": u, "guide.spread": spread.flatten()}
    out |= {f"guide.quarters{k}": guided(x, v, u, spread, k / 4) for k in (0, 2, 4)}
    save_file(out, path)


if __name__ == "__main__":
    main(sys.argv[1])
