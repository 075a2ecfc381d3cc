# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains the pocket model on a GPU, or on a CPU with one process a core and one thread each.

python train.py images --until 23:25 [--processes 2]
python train.py windows --minutes 30 --from images      starts from the weights of another stage
python train.py windows --minutes 30                    goes on where its checkpoint stands, with a new schedule
python train.py images windows rollouts --minutes 4 4 2     one after the other; rollouts: the frames that a frame sees
                                                        are the model's own

Checkpoints: STAGE.pt in the work folder (weights, their average, both optimisers, counts), every three minutes, at the
end, on SIGTERM, and when a file named `stop` appears there. The time of the end may be changed while it runs: write
HH:MM into a file named `until` there. The learning rate falls over the last 40 % of the time. STAGE.safetensors, written
at the end, holds the averaged weights alone in f16: what export.py takes, and what a training elsewhere can start from.
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
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import low_rank
import paths
import transformer
from codec import COLUMNS
from data import MOTION, Scenes, across
from make_data import STREAM_LATENTS
from muon import Muon
from pocket import SHAPE, Pocket
from precision import Product, best_dtype
from sample import retouched, settled
from tokenizer import Tokenizer
from transformer import rope_tables
from world import MOTIONS

SHIFT = 3.0                         # times are drawn towards noise: t = 3u / (1 + 2u)
WINDOW = 5                          # latent frames of a window
PART = COLUMNS // 2                 # columns of the latents that a stream shows
TURNED = 0.75                       # of the batches of streams, those with a frame that is drawn anew in the running stream
FROM_NOISE = 0.85                   # of the other frames, those that are estimated from noise alone, as a stream does it
SEEN = 4                            # latent frames that the next one sees: `window` of sora.json
CONTEXT_TIME = 0.15                 # most noise on the past that a frame sees: it carries the model's own errors
LEAST_LOSS = 0.002                  # of frames of streams: what the model errs at least, see stream()
TOLD_TIME = 0.04                    # what the pass that fills the cache is told at run time
GUESS_NOISE = 0.12                  # most noise on the frame before
CHANGE_NOISE = 0.02                 # `change_noise` of sora.json
RETOUCH_TIME, RETOUCH_CHANGE = 0.7, 8.0                         # `retouch_time`, `retouch_change` there
FADED, TRAIL = 0.9, 0.6             # most of the subject that is gone, and that stays where it was
OWN_START = 0.7                     # most noise of what first frames are made of in streams
MEND_FROM = 0.4                     # least time of mistakes
OWN_TIMES = (1.0, 0.75, 0.0)        # two steps: how later frames are sampled
ROLLS = 3                           # most times that a window's frames are sampled after one another's samples
ADAM_RATE = 2e-3
SAVE_SECONDS = 180
WARM_UP = 40                        # steps over which the rates rise
RATE = {"images": 1.0, "windows": 0.6, "rollouts": 0.25}        # of both optimisers


class Dice:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator):
        self.generator = generator

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.generator.device)


def draw_times(dice, shape):
    u = dice.uniform(*shape)
    return (SHIFT * u / (1 + (SHIFT - 1) * u)).clamp_min(1e-3)


def spoiled(dice, z):
    """A past with a little noise: it carries the model's own errors."""
    amount = CONTEXT_TIME / 3 * dice.uniform(len(z), 1, 1, 1, 1)
    return (1 - amount) * z + amount * dice.normal(*z.shape)


@torch.no_grad()
def begun(dice, first, streams, b, text, rope, place=None):
    """Frames of streams as `first`, the model that draws first ones, makes them of the true ones behind noise: with less detail, and
    errors of its own. b: one frame of each; text [B, S, T, D] of their prompts."""
    t = OWN_START * dice.uniform(len(b.x0), 1)
    x = torch.lerp(b.x0, dice.normal(*b.x0.shape), t[..., None, None, None])
    z, _ = first.estimate(x, t.clamp_min(1e-3), torch.zeros_like(x), torch.zeros_like(b.known), text, rope, place=place, which=b.which)
    return streams.stand_still(z[:, 0])[:, None]


@torch.no_grad()
def damaged(dice, z, before, there):
    """z, and before it, [B, 1, C, H, W], in every second clip with less of the subject, in the patches there [B, 1, 1, H, W], and with a
    trail: what a stream's own errors come to after seconds."""
    def amount(most):
        return most * dice.uniform(len(z), 1, 1, 1, 1) * (dice.uniform(len(z), 1, 1, 1, 1) < 0.5) * there
    z = torch.lerp(z, across(z, there[:, :, 0]), amount(FADED))
    return torch.lerp(z, before, amount(TRAIL))


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
    """What the stages differ in: data, and what a frame sees of its past."""

    def __init__(self, name, batch, image_share, stream_share, stream_frames, mistake_share, device):
        self.name, self.batch, self.device = name, batch, device
        self.image_share, self.stream_share, self.mistake_share = image_share, stream_share, mistake_share
        def scenes(kind):
            return Scenes(kind, device, dist.get_rank(), dist.get_world_size())
        self.images = scenes("images")
        self.clips, self.streams = (scenes(k) if name != "images" else None for k in ("clips", "streams"))
        self.mistakes = scenes("mistakes") if mistake_share else None
        self.ropes = {n: tuple(r.to(device) for r in rope_tables(range(n))) for n in (1, WINDOW)}
        if self.streams:
            self.stored = self.streams.tables["latents"].shape[1]
            self.length = min(stream_frames, self.stored)
            self.part_rope = tuple(r.to(device) for r in rope_tables(range(self.length), columns=PART // 2))

    def keep_fresh(self):
        for scenes in (self.images, self.clips, self.streams, self.mistakes):
            if scenes:
                scenes.keep_fresh()

    def set_spreads(self, trainer):
        """Standard deviations per channel of first frames, and of the differences between neighbours of one scene.

        Numbers that the model has learned with stay as they are.
        """
        def unset(name):
            return bool((getattr(trainer.model, name) == 1).all())
        spreads = {}
        if unset("spread"):
            spreads["spread"] = self.images.stand_still(self.images.tables["latents"][:20_000, 0].float()).std((0, 2, 3))
        if self.clips and unset("spread_next"):
            z, cut = (self.clips.tables[k][:5_000] for k in ("latents", "cut"))
            z = z[cut == z.shape[1]].float()
            spreads["spread_next"] = (z[:, 1:] - z[:, :-1]).std((0, 1, 3, 4))
        for name, value in spreads.items():
            dist.broadcast(value, 0)                            # each process has other scenes
            for m in (trainer.model, trainer.average):
                setattr(m, name, value[:, None, None].clone())

    def losses(self, choice, noise, model, first):
        """Of one step, part by part: losses, which frames count, times, all [B, F]. choice: numpy's, the same in every process; first:
        the model that draws first frames."""
        dice = Dice(noise)
        if self.mistakes and choice.random() < self.mistake_share:
            yield self.mend(dice, model)
            return
        if not self.clips or choice.random() < self.image_share:
            arguments, counts = self.draw_images(dice)
        elif choice.random() < self.stream_share:
            yield from self.stream(dice, model, first, int(choice.integers(1, self.length - 1)) if choice.random() < TURNED else 0)
            return
        else:
            arguments, counts = self.draw_window(dice, model, int(choice.integers(1, ROLLS + 1)) if self.name == "rollouts" else 0)
        yield model.loss(**arguments)[0], counts, arguments["t"]

    def mend(self, dice, model):
        """Single pictures that sampling has begun to draw wrong, to be drawn as they should be: what a model does of its own, as in all
        data each picture is right. Late steps can mend no more, and would outweigh the others."""
        shown, b = self.mistakes.draw_mistakes(dice.generator, self.batch)
        t = MEND_FROM + (1 - MEND_FROM) * draw_times(dice, b.known.shape)
        loss, _ = model.loss(**b.arguments(t, dice.normal(*b.x0.shape), self.ropes[1]), shown=shown)
        return loss * t.square(), torch.ones_like(t), t

    def draw_images(self, dice):
        b = self.images.draw(dice.generator, self.batch, 1)
        return b.arguments(draw_times(dice, b.known.shape), dice.normal(*b.x0.shape), self.ropes[1]), torch.ones_like(b.known)

    def stream(self, dice, model, first, turn):
        """What follows a frame that stands still, as a stream has it: each frame counts, and sees those that the model made before it.
        Where things go only the prompt tells. Frame `turn`, if not 0, is drawn anew as a first one, for a new prompt or because it is
        time to, and what follows on it has to go on with it, though it sees what was before as well. What follows a frame of the
        model's own is to change as the true one does, and to keep what it has of its own: true details, which cannot be known, would be
        all of the loss. But where the subject is all is to be as it should: what of it is lost (damaged()) comes back."""
        b = self.streams.draw(dice.generator, self.batch // 2, self.stored, turn).frames(slice(self.length))
        b, place = self.part(dice, b, model.positions)
        patches = self.part_rope[0].shape[0] // self.length
        with torch.no_grad():
            text = model.text(b.words)
        there = b.weight > 1                                    # or was
        floats = (b.attributes[:, MOTION] == MOTIONS.index("float")).view(-1, 1, 1, 1, 1)
        caches = None
        for at in range(self.length):
            now, here = b.frames(slice(at, at + 1)), there[:, at:at + 1]
            rope = tuple(r[at * patches:(at + 1) * patches] for r in self.part_rope)
            if at in (0, turn):
                mu, most = now.previous, torch.zeros_like(F.avg_pool2d(now.x0[:, :, 0], 2))
                own = dice.uniform(len(mu), 1, 1, 1, 1) < 0.5
                z = torch.where(own, begun(dice, first, self.streams, now, text, rope, place), now.x0)
                off, z = (z - now.x0) * ~here, torch.where(own, z, spoiled(dice, now.x0))
                z = damaged(dice, z, z, here & floats)
            else:
                mu, t = z, draw_times(dice, now.known.shape)
                t = torch.where(dice.uniform(*t.shape) < FROM_NOISE, 1.0, t)
                loss, z = model.loss(**now.arguments(t, dice.normal(*z.shape), rope) |
                                     dict(x0=now.x0 + off, mu=mu, caches=caches, place=place))
                yield loss, 1 / (loss.detach() + LEAST_LOSS), t
                z, most = settled(z.detach(), mu, model.spread_next, CHANGE_NOISE, most)
                z = retouched(first, z, most, RETOUCH_CHANGE, RETOUCH_TIME, dice.normal(*z.shape), text, rope, place=place,
                              which=now.which)
                z = damaged(dice, z, mu, here & floats)
            if at < self.length - 1:
                time = torch.full(now.known.shape, TOLD_TIME, device=self.device)
                caches = model.remembered(z, mu, time, text, now.which, rope, caches, place, SEEN)

    def part(self, dice, b, positions):
        """Half of each picture, about the subject: half of the work, where the other half hardly changes. -> it, its place."""
        subject = (b.weight[:, :, 0] > 1).any(1).any(1).float()                        # [B, W]
        at = torch.arange(COLUMNS, device=self.device)
        middle = (subject * at).sum(1) / subject.sum(1).clamp_min(1)
        middle = torch.where(subject.any(1), middle, COLUMNS * dice.uniform(len(middle)))
        first = middle - PART / 2 + PART / 4 * (2 * dice.uniform(len(middle)) - 1)
        first = (first / 2).round().clamp(0, (COLUMNS - PART) // 2).long() * 2         # patches are two columns wide
        columns = (first[:, None] + torch.arange(PART, device=self.device))[:, None, None]
        place = positions.expand(len(first), -1, -1, -1)
        return b.columns(first, PART), place.gather(-1, columns.expand(*place.shape[:-1], -1))

    def draw_window(self, dice, model, rolls):
        """Windows whose frames all count, each after those before it as they are, or as the model has made them in `rolls`."""
        b, rope = self.clips.draw(dice.generator, self.batch // WINDOW, WINDOW), self.ropes[WINDOW]
        counts, known, z = torch.ones_like(b.known), b.known[..., None, None, None], b.x0
        counts[:, 0] = ~b.given
        t = draw_times(dice, b.known.shape)
        plain = dice.uniform(len(t), 1) < 0.3                   # as at run time: no noise, and told a little
        seen_t = torch.where(plain, 0.0, CONTEXT_TIME * dice.uniform(*t.shape))
        if rolls:
            for _ in range(rolls):
                known_later = b.known.clone()
                known_later[:, 0] = False                       # the window's first frame stays true
                z = model.own_frames(z, b.previous[:, :1], known_later, b.words, b.which, rope, OWN_TIMES, TOLD_TIME,
                                     dice.normal(*z.shape))
            mu = torch.cat([b.previous[:, :1], z[:, :-1]], 1) * known
            own = dice.uniform(*t.shape) < 0.5                  # half of the times are those that sampling uses
            t = torch.where(own & b.known, torch.where(dice.uniform(*t.shape) < 0.5, *map(t.new_tensor, OWN_TIMES[:2])), t)
            seen_t = 0.3 * seen_t
        else:
            sigma = GUESS_NOISE * dice.uniform(*t.shape, 1, 1, 1) * ~plain[..., None, None, None]
            mu = (b.previous + sigma * dice.normal(*z.shape)) * known
        amount = seen_t[..., None, None, None]
        seen = (1 - amount) * z + amount * dice.normal(*z.shape)
        return (b.arguments(t, dice.normal(*z.shape), rope) |
                dict(mu=mu, seen=seen, seen_t=torch.where(plain, TOLD_TIME, seen_t.clamp_min(1e-3)))), counts


def average_gradients(parameters, world, parts):
    """Over the processes, and the parts that were added up in each. One all-reduce of everything: small messages cost more than
    big ones."""
    if world * parts == 1:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    dist.all_reduce(flat)
    flat /= world * parts
    at = 0
    for p in parameters:
        p.grad = flat[at:at + p.numel()].view_as(p)
        at += p.numel()


def split_parameters(model):
    """Matrices of blocks for Muon; embeddings, norms, biases, tables and what joins the outside for AdamW."""
    def is_block_matrix(name, p):
        return p.ndim == 2 and ".block" in name and "relative_attention_bias" not in name
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [p for n, p in named if is_block_matrix(n, p)], [p for n, p in named if not is_block_matrix(n, p)]


class Report:
    """Running means of the loss, in all and by time, printed now and then."""

    BINS = 5

    def __init__(self):
        self.began, self.sums = time.time(), np.zeros((self.BINS, 2))

    def add(self, per_frame, t, counts):
        per_frame, t, counts = (v.detach().float().cpu() for v in (per_frame, t, counts))
        bins = (t * self.BINS).long().clamp_max(self.BINS - 1)
        self.sums *= 0.9
        for k in range(self.BINS):
            chosen = (bins == k) & (counts > 0)
            self.sums[k] += [per_frame[chosen].sum().item(), chosen.sum().item()]

    def line(self, step, seen, steps_here):
        by_time = " ".join(f"{s / max(n, 1e-6):.3f}" for s, n in self.sums)
        total = self.sums[:, 0].sum() / max(1e-6, self.sums[:, 1].sum())
        return (f"{datetime.datetime.now():%H:%M:%S} step {step} frames {seen} loss {total:.4f} by t {by_time} "
                f"{(time.time() - self.began) / max(1, steps_here):.4f} s/step")


class Trainer:
    """The model, the average of its weights, both optimisers, and how far they are; all that a checkpoint holds."""

    def __init__(self, device, compiled):
        self.model, self.step, self.seen = Pocket(Tokenizer().size, **SHAPE).to(device), 0, 0
        self.base = None                                        # what draws first frames, where additions learn
        self._prepare()
        if compiled:
            transformer.compile_kernels()

    def _prepare(self):
        self.average = copy.deepcopy(self.model)
        self.parameters, self.averages = ([p for p in m.parameters() if p.requires_grad] for m in (self.model, self.average))
        matrices, self.others = split_parameters(self.model)
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(self.others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def _be_like(self, weights):
        """Filters of the frame before as well, where the weights have them."""
        if "motion.filter.weight" in weights and self.model.motion is None:
            self.model.add_motion()
            self._prepare()

    def learn_additions(self, rank, start, stage):
        """From now on, to the averaged weights as they are; those that are there for the stage learn on."""
        def found(name):
            file = paths.WORK / f"{start}-{name}"
            return load_file(file) if file.exists() else None
        self.base = self.average.requires_grad_(False)
        self.model.load_state_dict(self.base.state_dict())
        low_rank.begin(self.model, rank, found(low_rank.file_of(stage)))
        if first := found(low_rank.FIRST):
            low_rank.add(self.base.transformer, first)
        self._prepare()

    def load(self, file, device):
        """A checkpoint; where there is none, the averaged weights alone, with fresh optimisers."""
        if not file.exists():
            weights = {k: v.float() for k, v in load_file(file.with_suffix(".safetensors"), device=str(device)).items()}
            self._be_like(weights)
            for m in (self.model, self.average):
                m.load_state_dict(weights)
            return
        saved = torch.load(file, map_location=device)
        self._be_like(saved["model"])
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.adam.load_state_dict(saved["adam"])
        self.muon.velocity = saved["muon"]
        self.seen, self.step = saved["seen"], saved["step"]

    def save(self, file):
        torch.save(dict(model=self.model.state_dict(), average=self.average.state_dict(), adam=self.adam.state_dict(),
                        muon=self.muon.velocity, step=self.step, seen=self.seen), str(file) + ".part")
        os.replace(str(file) + ".part", file)

    def learn(self, losses, factor, world):
        """One step of both optimisers and of the average, on the mean of what losses yields; factor scales the learning rates."""
        self.model.zero_grad(set_to_none=True)
        parts, frames = 0, 0
        for per_frame, counts in losses:
            ((per_frame * counts).sum() / counts.sum()).backward()
            parts, frames = parts + 1, frames + counts.numel() * world
        average_gradients(self.parameters, world, parts)
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * factor
        self.adam.step()
        self.muon.step(factor)
        self.step, self.seen = self.step + 1, self.seen + frames
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)


def run_stage(stage, trainer, clock, say, rate, world):
    rank, file = dist.get_rank(), paths.WORK / f"{stage.name}.pt"
    choice = np.random.default_rng([trainer.step, 5])
    noise = torch.Generator(stage.device).manual_seed(1000 * trainer.step + rank)
    report, first_step, saved_at = Report(), trainer.step, time.time()
    while (progress := clock.progress()) < 1:
        steps = trainer.step - first_step
        factor = rate * RATE[stage.name] * min(1, (steps + 1) / WARM_UP) * min(1, max(0.03, (1 - progress) / 0.4))
        def losses():
            for per_frame, counts, t in stage.losses(choice, noise, trainer.model, trainer.base or trainer.model):
                if steps % 10 == 0 or stage.device.type == "cpu":
                    report.add(per_frame, t, counts)
                yield per_frame, counts
        trainer.learn(losses(), factor, world)
        if rank == 0 and (trainer.step % say == 0 or steps in (0, 9)):
            print(stage.name, report.line(trainer.step, trainer.seen, steps + 1), flush=True)
        if rank == 0 and time.time() - saved_at > SAVE_SECONDS:
            trainer.save(file)
            saved_at = time.time()
    if rank == 0:
        trainer.save(file)
        for state, end in ((low_rank.without_additions(trainer.average), ".safetensors"),
                           (low_rank.additions(trainer.average.transformer), "-" + low_rank.file_of(stage.name))):
            to = paths.WORK / (stage.name + end)
            to.unlink(missing_ok=True)
            if state:
                save_file({k: v.half().contiguous() for k, v in state.items()}, to,
                          metadata=dict(steps=str(trainer.step), seen=str(trainer.seen)))
        print(f"end of {stage.name}: {trainer.step} steps, {trainer.seen} frames, {len(stage.images)} images, "
              f"{len(stage.clips or ())} clips, {len(stage.streams or ())} streams in each process", flush=True)


def work(rank, options):
    device = torch.device(options.device)
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port))
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    Product.dtype = torch.float32 if options.f32 else best_dtype(device)
    torch.manual_seed(0)
    trainer, own = Trainer(device, not options.eager), paths.WORK / f"{options.stages[0]}.pt"
    if options.start and (options.low_rank or not own.exists()):
        trainer.load(paths.WORK / f"{options.start}.pt", device)
    if options.low_rank:
        trainer.learn_additions(options.low_rank, options.start, options.stages[0])
    if own.exists():
        trainer.load(own, device)
    for k, name in enumerate(options.stages):
        clock = Clock(options.minutes[k] if options.minutes else 60, options.until)
        stage = Stage(name, options.batch, options.image_share, options.stream_share, options.stream_frames,
                      options.mistake_share if name == "images" else 0, device)
        stage.set_spreads(trainer)
        stage.keep_fresh()
        run_stage(stage, trainer, clock, options.say, options.rate, options.processes)
        if clock.stop:
            break
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="+", choices=list(RATE))
    parser.add_argument("--minutes", type=float, nargs="+", help="of each stage; default: 60")
    parser.add_argument("--until", help="HH:MM, the end of every stage; instead of --minutes")
    parser.add_argument("--from", dest="start", help="stage whose checkpoint the first stage starts from")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, help="on a CPU; default: 2")
    parser.add_argument("--batch", type=int, help="latent frames a process and step; default: 640 on a GPU, 20 on a CPU")
    parser.add_argument("--rate", type=float, default=1.0,
                        help="factor of both learning rates; to go on from good weights with small batches: 0.25")
    parser.add_argument("--image-share", type=float, default=0.3,
                        help="batches of single pictures in the later stages, so that beginnings stay good")
    parser.add_argument("--mistake-share", type=float, default=0,
                        help="batches of mistakes in the stage of images: a few hundred steps on a model that draws pictures already")
    parser.add_argument("--stream-share", type=float, default=0.5,
                        help="of the batches of windows, those of streams: frames one by one after a first one that stands still")
    parser.add_argument("--stream-frames", type=int, default=STREAM_LATENTS,
                        help="the first latent frames of streams, at least 3: with few of them most set out from one that stands still")
    parser.add_argument("--low-rank", type=int, default=0, metavar="RANK",
                        help="learn additions of that rank to the weights it starts from, which stay as they are (low_rank.py): in the "
                             "stage of images for first frames, else for those after them, without single pictures")
    parser.add_argument("--say", type=int, default=50, help="steps between two lines of the log")
    parser.add_argument("--port", type=int, default=29520)
    parser.add_argument("--f32", action="store_true", help="no bf16 products")
    parser.add_argument("--eager", action="store_true", help="no torch.compile")
    options = parser.parse_args()
    gpu = options.device.startswith("cuda")
    if options.low_rank and not options.start:
        parser.error("--low-rank: --from is wanted as well, the weights to which is added; also to go on")
    if options.low_rank:
        options.image_share = 0
    options.processes = 1 if gpu else options.processes or 2
    options.batch = options.batch or (640 if gpu else 20)
    if options.processes == 1:
        work(0, options)
    else:
        torch.multiprocessing.start_processes(work, (options,), options.processes, start_method="spawn")


if __name__ == "__main__":
    main()
