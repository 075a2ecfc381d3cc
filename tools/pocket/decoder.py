# SPDX-License-Identifier: LGPL-2.1-or-later
"""The learned part of the decoder: what a small network adds to the codec's linear picture, so that movers are sharp.

python decoder.py data WORKER SECONDS [START_SEED]      renders scenes: pixels-WORKER.npz in the work folder
python decoder.py train --seconds N [--resume]          decoder.pt in the work folder; prints decibels on unseen scenes

The network sees a latent and the one before it, works where that is cheap, at the latents' 18 x 32 positions, then at
36 x 64 and at 72 x 128, and gives 4 frames of 4 x 4 pixels for each position there. Its last layer begins at zero, so
the training begins at the linear picture.
"""

import argparse
import glob
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import paths
from codec import CHANNELS, COLUMNS, ROWS, Codec
from muon import orthogonalise
from precision import Product, best_dtype
from scene import FULL, RATE, SMALL, Scene
from world import draw_attributes

FILE = paths.WORK / "decoder.pt"
WIDTHS, BLOCKS = (192, 96, 48), (3, 2, 1)       # channels and residual blocks at 18 x 32, 36 x 64, 72 x 128
PATCH = 4                                       # pixels of a side of what one position of the last map becomes
MOST = 320                                      # scenes of a worker, 1.8 MB each
HELD_OUT = 4                                    # scenes of each file that are not trained on
CROP, MARGIN = 10, 1                            # latent positions of a training crop; those at its border do not count
NOISE = 0.1                                     # most noise on the latents, in deviations of each channel
EDGE, MOVER_WEIGHT, SMALL_ERROR = 0.5, 10.0, 0.03   # of the loss; what counts as a small error, in -1..1
BATCH, ADAM_RATE, MUON_RATE = 64, 1e-3, 0.015   # crops of a step; of the two ends and biases, of all between
SAVE_SECONDS = 30
MOVES = 24                                      # levels a pixel must change within a latent to count as moving


# ---- The network ----

class Block(nn.Module):
    """x + conv(relu(conv(x)))"""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Refiner(nn.Module):
    """[B, 2 C, H, W], the latent before and this one, -> [B, 4 * 3, 16 H, 16 W], to be added to the linear picture."""

    def __init__(self, channels=CHANNELS, widths=WIDTHS, blocks=BLOCKS):
        super().__init__()
        self.widths, self.blocks = tuple(widths), tuple(blocks)
        self.conv_in = nn.Conv2d(2 * channels, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(nn.ModuleList(Block(w) for _ in range(n)) for w, n in zip(widths, blocks))
        self.up = nn.ModuleList(nn.Conv2d(a, 4 * b, 1) for a, b in zip(widths, widths[1:]))
        self.conv_out = nn.Conv2d(widths[-1], 4 * 3 * PATCH * PATCH, 3, padding=1)
        self._initialise()

    def _initialise(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
                nn.init.zeros_(m.bias)
        for stage in self.stages:
            for block in stage:
                block.conv2.weight.data.mul_(0.2)               # a sum of many blocks stays near its input
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, z):
        x = self.conv_in(z)                     # no activation outside the blocks: there it would soon pass nothing
        for i, stage in enumerate(self.stages):
            if i:
                x = F.pixel_shuffle(self.up[i - 1](x), 2)
            for block in stage:
                x = block(x)
        return F.pixel_shuffle(self.conv_out(x), PATCH)


class Picture(nn.Module):
    """Both parts. previous, latent [B, C, H, W] -> [B, 4, 3, 16 H, 16 W] in -1..1, not clamped."""

    def __init__(self, codec, deviation=None, **shape):
        """deviation [C] of the latents: the first layer's initial weights fit it."""
        super().__init__()
        weight, bias = codec.convolution()
        order = weight.unflatten(0, (4, 16, 16, 3)).permute(0, 3, 1, 2, 4, 5, 6).flatten(0, 3)
        self.register_buffer("weight", order.contiguous())
        self.register_buffer("bias", bias.unflatten(0, (4, 16, 16, 3)).permute(0, 3, 1, 2).flatten().contiguous())
        self.amp = False                                        # products in bf16
        self.refiner = Refiner(weight.shape[1], **shape)
        if deviation is not None:
            self.refiner.conv_in.weight.data.div_(deviation.flatten().repeat(2)[:, None, None])

    def linear(self, latent):
        y = F.conv2d(F.pad(latent, (1, 1, 1, 1), mode="replicate"), self.weight, self.bias)
        return F.pixel_shuffle(y, 16).unflatten(1, (4, 3))

    def forward(self, previous, latent):
        with torch.autocast(latent.device.type, torch.bfloat16, enabled=self.amp):
            more = self.refiner(torch.cat([previous, latent], 1).contiguous(memory_format=torch.channels_last))
        with torch.autocast(latent.device.type, enabled=False):
            return self.linear(latent) + more.float().unflatten(1, (4, 3))


# ---- Data ----

def render(scene, rng):
    """8 frames at the small size and the last 4 of them at full size; one in ten stands still, as a clip begins."""
    start = rng.uniform(0, 12)
    if rng.random() < 0.1:
        return np.repeat(scene.render(1, start, SMALL), 8, 0), np.repeat(scene.render(1, start, FULL), 4, 0)
    return scene.render(8, start, SMALL), scene.render(4, start + 4 / RATE, FULL)


def data(worker, seconds, start_seed=3_000_000):
    """pixels [n, 4, 288, 512, 3] uint8; latents [n, 2, C, 18, 32] f16, of the pixels and, first, of the time before."""
    torch.set_num_threads(1)
    codec, pixels, latents, began, seed = Codec(), [], [], time.time(), start_seed + 100_000 * worker
    while time.time() - began < seconds and len(pixels) < MOST:
        rng = np.random.default_rng(seed + len(pixels))
        small, full = render(Scene(draw_attributes(rng), rng), rng)
        latents.append(codec.encode(small).half().numpy())
        pixels.append(full)
    np.savez(paths.WORK / f"pixels-{worker}.npz", pixels=np.stack(pixels), latents=np.stack(latents))
    print(f"{len(pixels)} scenes, {len(pixels) / (time.time() - began):.1f} a second")


class Scenes:
    """All files together, on the device. Crops are drawn mostly from where something moves."""

    def __init__(self, device):
        files = sorted(glob.glob(str(paths.WORK / "pixels-*.npz")))
        if not files:
            raise SystemExit(f"no pixels in {paths.WORK}: run decoder.py data first")

        def read(file):
            with np.load(file) as f:
                return [torch.from_numpy(f[k]).to(device) for k in ("pixels", "latents")]
        with ThreadPoolExecutor(8) as pool:
            pixels, latents = zip(*pool.map(read, files))
        def join(parts, which):
            return torch.cat([v[which] for v in parts])
        rest, few = slice(HELD_OUT, None), slice(0, HELD_OUT)
        self.pixels, self.latents = join(pixels, rest), join(latents, rest).float()
        self.unseen_pixels, self.unseen_latents = join(pixels, few), join(latents, few).float()
        self.deviation = self.latents[:, 1].std((0, 2, 3))[:, None, None]
        self.corners = self._corners()

    def _corners(self):
        """Weights [n, 18 - CROP + 1, 32 - CROP + 1] of a crop's corner: the motion that its inner part holds."""
        motion = torch.cat([moving(p).float().mean(1) for p in self.pixels.split(64)])      # [n, 288, 512]
        motion = F.avg_pool2d(motion[:, None], 16)
        inner = CROP - 2 * MARGIN
        held = F.avg_pool2d(motion[..., MARGIN:ROWS - MARGIN, MARGIN:COLUMNS - MARGIN], inner, 1)[:, 0]
        held = held / held.amax((1, 2), keepdim=True).clamp_min(1e-3)
        return held.square().flatten(1) + 0.1

    def crops(self, count, generator):
        """-> pixels [B, 4, 3, Y, X] uint8, latents [B, 2, C, CROP, CROP], counts [B, 1, 1, Y, X], Y = X = 16 CROP"""
        device = self.pixels.device
        rows = torch.randint(len(self.pixels), (count,), device=device, generator=generator)
        at = torch.multinomial(self.corners[rows], 1, generator=generator)[:, 0]
        width = COLUMNS - CROP + 1
        y, x = at // width, at % width
        def span(start, scale):
            return start[:, None] * scale + torch.arange(CROP * scale, device=device)
        ys, xs = span(y, 16), span(x, 16)
        pixels = self.pixels[rows[:, None, None], :, ys[:, :, None], xs[:, None, :]]        # [B, y, x, 4, 3]
        zy, zx = span(y, 1), span(x, 1)
        latents = self.latents[rows[:, None, None], :, :, zy[:, :, None], zx[:, None, :]]   # [B, y, x, 2, C]
        def inside(position, size):
            k = torch.arange(16 * CROP, device=device)
            low, high = torch.where(position > 0, MARGIN, 0), torch.where(position + CROP < size, MARGIN, 0)
            return (k >= 16 * low[:, None]) & (k < 16 * (CROP - high[:, None]))
        counts = inside(y, ROWS)[:, :, None] & inside(x, COLUMNS)[:, None, :]
        return pixels.permute(0, 3, 4, 1, 2), latents.permute(0, 3, 4, 1, 2), counts[:, None, None]


def moving(pixels):
    """[n, 4, y, x, 3] uint8 -> [n, 4, y, x] bool: what changes within the latent, in all its frames."""
    change = (pixels.amax(1).int() - pixels.amin(1).int()).amax(-1) > MOVES
    return change[:, None].expand(-1, 4, -1, -1)


# ---- Training ----

def spoil(latents, deviation, generator):
    """What the transformer leaves wrong: noise of up to NOISE deviations, as much for the whole crop. Now and then the
    latent before is this one, as in the first of a stream."""
    b = len(latents)
    draw = lambda *shape: torch.rand(shape, device=latents.device, generator=generator)
    noise = torch.randn(latents.shape, device=latents.device, generator=generator)
    latents = latents + noise * deviation * NOISE * draw(b, 1, 1, 1, 1)
    return torch.where(draw(b, 1, 1, 1) < 0.1, latents[:, 1], latents[:, 0]), latents[:, 1]


def loss_of(picture, target, counts, weight):
    """Error, and that of the differences between neighbours, squared where small and absolute where large. What lies
    beyond -1..1 is cut off at the end: it is no error where the target is at that limit."""
    error, weight = picture - target - (picture - picture.clamp(-1, 1)).detach(), weight * counts

    def mean(v, w):
        return ((v.square() + SMALL_ERROR ** 2).sqrt() * w).sum() / (12 * w.sum() + 1)
    return (mean(error, weight) + EDGE * mean(error.diff(dim=-1), weight[..., 1:]) +
            EDGE * mean(error.diff(dim=-2), weight[..., 1:, :]))


def objective(model, previous, latent, pixels, counts):
    target = pixels.float() / 127.5 - 1
    change = (target.amax(1) - target.amin(1)).amax(1) > MOVES / 127.5                      # [B, y, x]
    near = F.max_pool2d(change[:, None].float(), 5, 1, 2)                                   # and what lies beside
    return loss_of(model(previous, latent), target, counts, (1 + MOVER_WEIGHT * near)[:, None])


class Muon:
    """As muon.py has it, for convolutions on one device: weights [out, in * 9] get orthogonal steps."""

    def __init__(self, weights, rate, decay=0.01, momentum=0.95):
        self.rate, self.decay, self.momentum, groups = rate, decay, momentum, {}
        for w in weights:
            groups.setdefault(w.shape, []).append(w)
        self.groups = [(group, [torch.zeros_like(w) for w in group]) for group in groups.values()]

    @torch.no_grad()
    def step(self, factor):
        for group, velocity in self.groups:
            gradients = [w.grad for w in group]
            torch._foreach_mul_(velocity, self.momentum)
            torch._foreach_add_(velocity, gradients)
            x = torch.stack([g + self.momentum * v for g, v in zip(gradients, velocity)]).flatten(2)
            rows, columns = x.shape[1:]
            u = orthogonalise(x) if rows <= columns else orthogonalise(x.mT).mT
            torch._foreach_mul_(group, 1 - 2 * self.decay * self.rate * factor)
            torch._foreach_add_(group, [v.reshape(w.shape) for v, w in zip(u, group)],
                                alpha=-self.rate * factor * max(1.0, rows / columns) ** 0.5)


class Average:
    """Exponential average of the weights."""

    def __init__(self, model):
        self.of = [p for p in model.parameters()]
        self.values = [p.detach().clone() for p in self.of]
        self.steps = 0

    @torch.no_grad()
    def update(self):
        self.steps += 1
        torch._foreach_lerp_(self.values, [p.detach() for p in self.of], 1 - min(0.998, self.steps / (10 + self.steps)))

    def exchange(self):
        for p, v in zip(self.of, self.values):
            p.data, v.data = v.data, p.data


@torch.no_grad()
def decibels(model, scenes, batch=8):
    """-> dB of all pixels, of those that move, and of moving ones decoded linearly; whole unseen pictures."""
    sums = dict.fromkeys(("all", "moving", "linear"), 0.0)
    count = dict.fromkeys(("all", "moving"), 0)
    for pixels, z in zip(scenes.unseen_pixels.split(batch), scenes.unseen_latents.split(batch)):
        target, mask = pixels.permute(0, 1, 4, 2, 3).float() / 127.5 - 1, moving(pixels)[:, :, None]
        error = (model(z[:, 0], z[:, 1]).clamp(-1, 1) - target).square()
        linear = (model.linear(z[:, 1]).clamp(-1, 1) - target).square()
        sums["all"] += error.sum().item()
        sums["moving"] += (error * mask).sum().item()
        sums["linear"] += (linear * mask).sum().item()
        count["all"] += error.numel()
        count["moving"] += 3 * int(mask.sum())
    def decibel(name, of):
        return -10 * math.log10(sums[name] / max(1, count[of]) / 4 + 1e-12)
    return decibel("all", "all"), decibel("moving", "moving"), decibel("linear", "moving")


def load():
    """decoder.pt -> Refiner on the CPU, or None where there is none: then the linear picture is all."""
    if not FILE.exists():
        return None
    saved = torch.load(FILE, map_location="cpu")
    refiner = Refiner(saved["channels"], saved["widths"], saved["blocks"])
    refiner.load_state_dict(saved["weights"])
    return refiner.eval()


def save(model, average):
    average.exchange()
    torch.save({"weights": {k: v.detach().float().cpu().contiguous() for k, v in model.refiner.state_dict().items()},
                "channels": CHANNELS, "widths": WIDTHS, "blocks": BLOCKS}, FILE)
    average.exchange()


def optimisers(refiner, device):
    """The last layer's steps are small: an output is a sum of hundreds of products and should be a few hundredths."""
    named = dict(refiner.named_parameters())
    def chosen(test):
        return [p for k, p in named.items() if test(k, p)]
    last = chosen(lambda k, p: k.startswith("conv_out"))
    inner = chosen(lambda k, p: k.startswith(("stages", "up")) and p.ndim == 4)
    rest = chosen(lambda k, p: k.startswith("conv_in") or (p.ndim < 4 and not k.startswith("conv_out")))
    adam = torch.optim.AdamW([{"params": rest, "rate": ADAM_RATE}, {"params": last, "rate": 0.3 * ADAM_RATE}], lr=0.0,
                             betas=(0.9, 0.98), weight_decay=0.01, fused=device == "cuda")
    return Muon(inner, MUON_RATE), adam


def train(options):
    device, began = options.device, time.time()
    if device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    scenes, generator = Scenes(device), torch.Generator(device).manual_seed(1)
    model = Picture(Codec(), scenes.deviation.cpu())
    if options.resume:
        model.refiner.load_state_dict(torch.load(FILE, map_location="cpu")["weights"])
    model = model.to(device, memory_format=torch.channels_last)
    model.amp = device == "cuda" or best_dtype() == torch.bfloat16
    if model.amp:
        Product.dtype = torch.bfloat16
    muon, adam = optimisers(model.refiner, device)
    average, step, saved = Average(model), 0, time.time()
    run = torch.compile(objective, dynamic=False) if options.compile else objective
    size = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{len(scenes.pixels)} scenes, {size:.2f} M parameters, ready after {time.time() - began:.0f} s; "
          "at first: all {:.2f}, moving {:.2f} dB".format(*decibels(model, scenes)), flush=True)
    while (progress := (time.time() - began) / options.seconds) < 1:
        factor = min(1.0, (step + 1) / 50, (1 - progress) / 0.7)
        for group in adam.param_groups:
            group["lr"] = group["rate"] * factor
        pixels, latents, counts = scenes.crops(options.batch, generator)
        loss = run(model, *spoil(latents, scenes.deviation, generator), pixels, counts)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        muon.step(factor)
        average.update()
        step += 1
        if step % options.report == 0:                          # also keeps the clock and the device together
            print(f"{time.time() - began:5.0f} s, step {step}, loss {loss.item():.4f}", flush=True)
        if time.time() - saved > SAVE_SECONDS:
            save(model, average)
            saved = time.time()
    save(model, average)
    average.exchange()
    print(f"{step} steps of {options.batch} crops; unseen scenes: " +
          "all {:.2f} dB, moving {:.2f} dB, moving by the linear part alone {:.2f} dB".format(*decibels(model, scenes)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    d = commands.add_parser("data")
    d.add_argument("worker", type=int)
    d.add_argument("seconds", type=float)
    d.add_argument("start_seed", type=int, nargs="?", default=3_000_000)
    t = commands.add_parser("train")
    t.add_argument("--seconds", type=float, required=True, help="in all, from the start of the program's work")
    t.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    t.add_argument("--batch", type=int, default=BATCH, help="crops of a step")
    t.add_argument("--resume", action="store_true", help="from the weights in decoder.pt, with a new schedule")
    t.add_argument("--report", type=int, default=50, help="steps between two lines")
    t.add_argument("--compile", action="store_true", help="torch.compile the loss: pays after a minute or two")
    options = parser.parse_args()
    if options.command == "data":
        data(options.worker, options.seconds, options.start_seed)
    else:
        train(options)


if __name__ == "__main__":
    main()
