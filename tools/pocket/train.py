# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains the pocket model; one process a core, each with one thread.

python train.py images --until 23:25 [--processes 2]
python train.py windows --until 00:05 --from images     starts from the weights of another stage
python train.py windows --minutes 30                    goes on where its checkpoint stands, with a new schedule

Checkpoints: STAGE.pt in the work folder (weights, their average, both optimisers, counts), every three minutes, at the
end, on SIGTERM, and when a file named `stop` appears there. The time of the end may be changed while it runs: write
HH:MM into a file named `until` there. The learning rate falls over the last 40 % of the time.
"""

import argparse
import copy
import datetime
import os
import signal
import time

import numpy as np
import torch
import torch.distributed as dist

import paths
from data import Scenes
from muon import Muon
from pocket import Pocket
from precision import Product, best_dtype
from transformer import rope_tables

SHIFT = 3.0                         # times are drawn towards noise: t = 3u / (1 + 2u)
WINDOW = 4                          # latent frames of a window
IMAGE_SHARE = 0.3                   # batches of single pictures in the window stage, so that beginnings stay good
CONTEXT_SHARE = 0.6                 # frames of a window that are nearly clean, as the past is at run time
CONTEXT_TIME = 0.15
GUESS_NOISE = 0.12                  # most noise on the frame before: at run time it carries the model's own errors
ADAM_RATE = 2e-3
SAVE_SECONDS = 180


def draw_times(rng, shape):
    u = torch.rand(shape, generator=rng)
    return SHIFT * u / (1 + (SHIFT - 1) * u)


class Clock:
    """Where in its schedule the run stands; all processes follow the first one's."""

    def __init__(self, minutes, until):
        self.began = time.time()
        self.end = self._at(until) if until else self.began + 60 * minutes
        self.stop = False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stop", True))

    @staticmethod
    def _at(text):
        """The next moment of the day that the local clock shows as HH:MM."""
        hour, minute = map(int, text.split(":"))
        now = datetime.datetime.now()
        then = now.replace(hour=hour, minute=minute, second=0)
        return (then if then > now else then + datetime.timedelta(days=1)).timestamp()

    def progress(self):
        """0..1, or above: the end. One all-reduce, so that every process leaves the loop at the same step."""
        if (paths.WORK / "stop").exists():
            self.stop = True
        if (paths.WORK / "until").exists() and dist.get_rank() == 0:
            self.end = self._at((paths.WORK / "until").read_text().strip())
            (paths.WORK / "until").unlink()
        p = (time.time() - self.began) / max(1.0, self.end - self.began) if dist.get_rank() == 0 else 0.0
        state = torch.tensor([p, float(self.stop)])
        dist.all_reduce(state, dist.ReduceOp.MAX)
        self.stop = bool(state[1])
        return 2.0 if self.stop else state[0].item()


class Stage:
    """What the two stages differ in: data, warm-up, learning rate."""

    def __init__(self, name, batch):
        self.name, self.batch = name, batch
        self.images = Scenes("images")
        self.clips = Scenes("clips") if name == "windows" else None
        self.warm_up, self.rate = (40, 1.0) if name == "images" else (150, 0.5)
        self.ropes = {n: rope_tables(range(n)) for n in (1, WINDOW)}

    def spreads(self):
        """Standard deviations per channel of first frames, and of the differences between neighbours."""
        z = self.images.latents[::16, 0].astype(np.float32)
        spread = torch.from_numpy(z.std((0, 2, 3)))[:, None, None]
        if not self.clips:
            return spread, torch.ones_like(spread)
        z = self.clips.latents[::8].astype(np.float32)
        return spread, torch.from_numpy((z[:, 1:] - z[:, :-1]).std((0, 1, 3, 4)))[:, None, None]

    def draw(self, rng, noise_rng):
        """Arguments of Pocket.loss, and which frames count [B, F]."""
        if not self.clips or rng.random() < IMAGE_SHARE:
            x0, mu, first, ids, weight = self.images.images(rng, self.batch)
        else:
            x0, mu, first, ids, weight = self.clips.windows(rng, self.batch // WINDOW, WINDOW)
        b, f = x0.shape[:2]
        t, counts = draw_times(noise_rng, (b, f)), torch.ones(b, f)
        known = torch.ones(b, f, dtype=torch.bool)
        known[:, 0] = ~first
        if f > 1:
            context = torch.rand(b, f, generator=noise_rng) < CONTEXT_SHARE
            context[:, -1] = False
            context[:, 0] |= ~first
            t = torch.where(context, CONTEXT_TIME * torch.rand(b, f, generator=noise_rng), t)
            counts[:, 0] = first.float()
            sigma = GUESS_NOISE * torch.rand(b, f, 1, 1, 1, generator=noise_rng) * known[..., None, None, None]
            mu = mu + sigma * torch.randn(mu.shape, generator=noise_rng)
        noise = torch.randn(x0.shape, generator=noise_rng)
        return (x0, t.clamp_min(1e-3), noise, mu, known, ids, self.ropes[f], weight), counts


def average_gradients(parameters, world):
    """One all-reduce of everything: small messages cost more than big ones."""
    if world == 1:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    dist.all_reduce(flat)
    flat /= world
    at = 0
    for p in parameters:
        p.grad = flat[at:at + p.numel()].view_as(p)
        at += p.numel()


def split_parameters(model):
    """Matrices of blocks for Muon; embeddings, norms, biases, tables and what joins the outside for AdamW."""
    def is_block_matrix(name, p):
        return p.ndim == 2 and ".block" in name and "relative_attention_bias" not in name
    named = list(model.named_parameters())
    return [p for n, p in named if is_block_matrix(n, p)], [p for n, p in named if not is_block_matrix(n, p)]


class Report:
    """Running means of the loss, in all and by time, printed now and then."""

    BINS = 5

    def __init__(self):
        self.mean, self.began = None, time.time()
        self.sums = np.zeros((self.BINS, 2))

    def add(self, loss, per_frame, t, counts):
        self.mean = loss if self.mean is None else 0.98 * self.mean + 0.02 * loss
        bins = (t * self.BINS).long().clamp_max(self.BINS - 1)
        for k in range(self.BINS):
            chosen = (bins == k) & (counts > 0)
            self.sums[k] = 0.99 * self.sums[k] + [per_frame[chosen].sum().item(), chosen.sum().item()]

    def line(self, step, seen, steps_here):
        by_time = " ".join(f"{s / max(n, 1e-6):.3f}" for s, n in self.sums)
        minutes = (time.time() - self.began) / 60
        return (f"{datetime.datetime.now():%H:%M:%S} step {step} frames {seen} loss {self.mean:.4f} by t {by_time} "
                f"{60 * minutes / max(1, steps_here):.3f} s/step")


def save(path, **state):
    torch.save(state, str(path) + ".part")
    os.replace(str(path) + ".part", path)


def work(rank, options):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port))
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    Product.dtype = torch.float32 if options.f32 else best_dtype()
    torch.manual_seed(0)
    stage, file = Stage(options.stage, options.batch), paths.WORK / f"{options.stage}.pt"
    model = Pocket(stage.images.tokenizer.size)
    average, step, seen = copy.deepcopy(model), 0, 0
    matrices, others = split_parameters(model)
    muon, adam = Muon(matrices), torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    own = file.exists()
    if own or options.start:
        saved = torch.load(file if own else paths.WORK / f"{options.start}.pt")
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        adam.load_state_dict(saved["adam"])
        muon.velocity = saved["muon"]
        seen, step = saved["seen"], saved["step"]
    if not own:                                                 # a resumed stage keeps the numbers it began with
        for m in (model, average):
            m.spread, m.spread_next = stage.spreads()
    loss_of = torch.compile(model.loss, dynamic=False) if not options.eager else model.loss
    rng = np.random.default_rng([rank, step, 5])
    noise_rng = torch.Generator().manual_seed(1000 * step + rank)
    parameters, averages = list(model.parameters()), list(average.parameters())
    report, clock, first_step, saved_at = Report(), Clock(options.minutes, options.until), step, time.time()

    def checkpoint():
        if rank == 0:
            save(file, model=model.state_dict(), average=average.state_dict(), adam=adam.state_dict(),
                 muon=muon.velocity, step=step, seen=seen, vocabulary=stage.images.tokenizer.size)

    while (progress := clock.progress()) < 1:
        factor = stage.rate * min(1, (step - first_step + 1) / stage.warm_up) * min(1, max(0.03, (1 - progress) / 0.4))
        arguments, counts = stage.draw(rng, noise_rng)
        per_frame = loss_of(*arguments)
        loss = (per_frame * counts).sum() / counts.sum()
        model.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(parameters, options.processes)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * factor
        adam.step()
        muon.step(factor)
        step, seen = step + 1, seen + counts.numel() * options.processes
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 1 - decay)
        report.add(loss.item(), per_frame.detach(), arguments[1], counts)
        if rank == 0 and (step % 50 == 0 or step - first_step in (1, 10)):
            print(report.line(step, seen, step - first_step), flush=True)
        if time.time() - saved_at > SAVE_SECONDS:
            checkpoint()
            saved_at = time.time()
    checkpoint()
    if rank == 0:
        print(f"end: {step} steps, {seen} frames", flush=True)
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["images", "windows"])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--until", help="HH:MM; instead of --minutes")
    parser.add_argument("--from", dest="start", help="stage whose checkpoint a new stage starts from")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16, help="latent frames a process and step")
    parser.add_argument("--port", type=int, default=29520)
    parser.add_argument("--f32", action="store_true", help="no bf16 products")
    parser.add_argument("--eager", action="store_true", help="no torch.compile")
    options = parser.parse_args()
    torch.multiprocessing.start_processes(work, (options,), options.processes, start_method="spawn")


if __name__ == "__main__":
    main()
