# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws video from an exported folder: the model's run time, restated in PyTorch. The steps are in README.md.

python sample.py "a red balloon over green hills" --frames 41 --out clip.png       a strip of the frames
python sample.py PROMPT --noise noise.safetensors --latents latents.safetensors     for comparison with other programs: noise, where
                                                                frames start, and renoise.1 ..., what is added before step 1 ...
"""

import argparse
import copy
import json

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import decoder
import low_rank
import paths
from codec import CHANNELS, COLUMNS, ROWS
from pocket import Pocket
from tokenizer import Tokenizer
from transformer import rope_tables


class Exported:
    """A folder as export.py wrote it. model draws first frames, next all others."""

    def __init__(self, folder=paths.MODEL):
        self.about = json.loads((folder / "sora.json").read_text())
        self.tokenizer = Tokenizer(folder / "tokenizer" / "spiece.model")
        self.model = Pocket(self.tokenizer.size)
        for part, file in (("transformer", "diffusion_pytorch_model"), ("text_encoder", "model")):
            weights = load_file(folder / part / f"{file}.safetensors")
            weights = {k: v.float() for k, v in weights.items() if k != "encoder.embed_tokens.weight"}
            getattr(self.model, part).load_state_dict(weights)
        for name in ("spread", "spread_next"):
            setattr(self.model, name, torch.tensor(self.about[name])[:, None, None])
        self.next = copy.deepcopy(self.model)
        for model, key in ((self.model, "lora"), (self.next, "lora_next")):
            if key in self.about:
                low_rank.add(model.transformer, load_file(folder / self.about[key]))
        if "motion" in self.about:
            self.next.add_motion(load_file(folder / self.about["motion"]))
        bias = torch.tensor(self.about["still_bias"])
        self.still = torch.tensor(self.about["still"]).view(len(bias), -1), bias[:, None, None]
        self.decoder = Decoder(folder / "vae")
        self.model.eval()
        self.next.eval()


class Decoder:
    """Latents of a clip from its beginning to pictures. The state is the latent before; the first one is its own."""

    def __init__(self, folder):
        about = json.loads((folder / "config.json").read_text())
        weights = {k: v.float() for k, v in load_file(folder / "diffusion_pytorch_model.safetensors").items()}
        self.weight, self.bias, self.refiner = weights["conv_in.weight"], weights["conv_in.bias"], decoder.shipped(about, weights)

    @torch.no_grad()
    def __call__(self, latents):
        """[F, C, 18, 32] -> [4F, 288, 512, 3] RGB in 0..1; a caller drops the first three frames of a clip."""
        z = torch.nn.functional.pad(latents, (1, 1, 1, 1), mode="replicate")
        y = torch.nn.functional.conv2d(z, self.weight, self.bias)
        y = torch.nn.functional.pixel_shuffle(y, 16)            # [F, 4 * 3, 288, 512] in -1..1
        if self.refiner:
            y += self.refiner(torch.cat([torch.cat([latents[:1], latents[:-1]]), latents], 1))
        return (y.unflatten(1, (4, 3)).flatten(0, 1).permute(0, 2, 3, 1) * 0.5 + 0.5).clamp(0, 1)


def times(steps, shift):
    """steps + 1 falling times from 1 to 0."""
    u = 1 - torch.arange(steps + 1, dtype=torch.float64) / steps
    return (shift * u / (1 + (shift - 1) * u)).tolist()


def guided(x0, x0_empty, spread, guidance, parallel):
    """The estimate x0 [B, 1, C, H, W] for the prompts, moved away from that for the empty one. Of the difference, what points along x0
    only makes it stronger, until it burns out: that counts parallel times as much."""
    more, axes = x0 - x0_empty, (-4, -3, -2, -1)
    along = (more * x0 / spread ** 2).sum(axes, True) / (x0 / spread).square().sum(axes, True) * x0
    return x0 + (guidance - 1) * (more - (1 - parallel) * along)


def standing_still(x, still):
    """x [B, 1, C, H, W] -> the latents of its last pictures, standing still, as near as the components allow."""
    return torch.einsum("dc,bfchw->bfdhw", still[0], x) + still[1]


def settled(x, mu, spread, noise, most):
    """What x [B, 1, C, H, W] changes of mu without the share that is error: noise, in patches, in units of spread.
    most [B, 1, H/2, W/2]: the largest changes since a first frame. -> x, most"""
    most = torch.maximum(most, torch.nn.functional.avg_pool2d(((x - mu) / spread).square().mean(2), 2))
    gain = (1 - noise / most.clamp_min(max(noise, 1e-9))).repeat_interleave(2, -1).repeat_interleave(2, -2)
    return mu + gain[:, :, None] * (x - mu), most


@torch.no_grad()
def retouched(model, x, most, change, t, noise, text, rope, **more):
    """x [B, 1, C, H, W] with what goes somewhere in it as model, which draws first frames, sees it behind noise of time t, alone: an
    estimate in one step is a mean of what could be, so that it loses a part of itself in every frame. Meng et al., "SDEdit", 2022.
    It is where in a patch, or one beside it, the largest change, most of settled(), is more than `change`."""
    largest = torch.nn.functional.max_pool2d(most, 3, 1, 1).clamp_min(max(change, 1e-9))
    gain = (1 - change / largest).repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]
    time = x.new_full((len(x), 1), t)
    y, _ = model.estimate(torch.lerp(x, noise, t), time, torch.zeros_like(x), time < 0, text, rope, **more)
    return x + gain * (y - x)


def joined(caches, new, window):
    """Keys and values of the last frames: those of the caches, and those of one more."""
    return new if caches is None else [
        tuple(torch.cat([old, more], 2)[:, :, -window * more.shape[2]:] for old, more in zip(*pair)) for pair in zip(caches, new)]


def recalled(e, done, begun, text, sampler):
    """Keys and values of the last frames of done as e.model sees them, with the text of now; begun: which were drawn as first ones."""
    caches, time = None, torch.full((len(text), 1), sampler["context_time"])
    for f in range(max(0, len(done) - sampler["window"]), len(done)):
        known, mu = torch.full(time.shape, f not in begun), torch.zeros_like(done[f]) if f in begun else done[f - 1]
        _, new = e.model.estimate(done[f], time, mu, known, text, rope_tables([f]), caches)
        caches = joined(caches, new, sampler["window"])
    return caches


@torch.no_grad()
def generate(e, text, empty, frames, noise, sampler, change=None):
    """Latent frames of clips.

    e                               an Exported
    text, empty  [B, T, D]          text states of the prompts, and of the empty prompt
    frames                          latent ones
    noise        of (f, k)          [B, 1, C, 18, 32] where frame f starts (k = 0), or what renoising adds before its step k
    sampler      sora.json's entry  kind, steps, guidance, its interval and the like, shift, window, time of the cache pass, turns
    change                          the frame from which on they have other prompts, and the text states of these; or None
    -> [B, F, C, 18, 32]
    """
    b, done, begun, caches, (low, high) = len(text), [], [], None, sampler["guidance_interval"]
    for f in range(frames):
        rope = rope_tables([f])                                 # positions count up; only differences matter
        changed = change is not None and f == change[0]
        begins = f == 0 or changed or 0 < sampler["turn_every"] <= f - begun[-1]                # drawn as a first one
        text = change[1] if changed else text
        model, seen = (e.model, recalled(e, done, begun, text, sampler)) if begins else (e.next, caches)
        known, x = torch.full((b, 1), not begins), noise(f, 0)
        mu = torch.zeros_like(x) if begins else done[-1]
        steps, guidance = ((sampler["first_steps"], sampler["first_guidance"]) if f == 0 else
                           (sampler["turn_steps"], sampler["turn_guidance"]) if begins else (sampler["next_steps"], 1))
        ts = times(steps, sampler["shift"])
        for k, (now, then) in enumerate(zip(ts, ts[1:]), 1):
            t = torch.full((b, 1), now)
            x0, _ = model.estimate(x, t, mu, known, text, rope, seen)
            if guidance != 1 and low <= now <= high:
                x0_empty, _ = model.estimate(x, t, mu, known, empty, rope, seen)
                x0 = guided(x0, x0_empty, model.spread, guidance, sampler["guidance_parallel"])
            if sampler["kind"] == "renoise" and k < steps and then >= sampler["renoise_until"]:
                x = (1 - then) * x0 + then * noise(f, k)
            else:
                x = x0 + then / now * (x - x0)
        if begins:
            x, most = standing_still(x, e.still), torch.zeros(b, 1, ROWS // 2, COLUMNS // 2)
        else:
            x, most = settled(x, mu, model.spread_next, sampler["change_noise"], most)
            if (t := sampler["retouch_time"]) > 0:
                x = retouched(e.model, x, most, sampler["retouch_change"], t, noise(f, steps), text, rope)
        done.append(x)
        begun += [f] if begins else []
        _, new = e.next.estimate(x, torch.full((b, 1), sampler["context_time"]), mu, known, text, rope, caches)
        caches = joined(caches, new, sampler["window"])
    return torch.cat(done, 1)


def latents_of(prompts, frames, folder=paths.MODEL, seed=0, noise=None, exported=None, change=None, **changes):
    """Convenience for the other tools: prompts -> [B, F, C, 18, 32]. change: the frame from which on there are other prompts, and
    these; changes: entries of the sampler."""
    e, dice = exported or Exported(folder), torch.Generator().manual_seed(seed)
    if noise is None:
        def noise(_f, _k):
            return torch.randn(len(prompts), 1, CHANNELS, ROWS, COLUMNS, generator=dice)
    with torch.no_grad():
        text = e.model.text_encoder(e.tokenizer(prompts))
        empty = e.model.text_encoder(e.tokenizer([""])).expand_as(text)
        change = change and (change[0], e.model.text_encoder(e.tokenizer(change[1])))
    return generate(e, text, empty, frames, noise, e.about["sampler"] | changes, change)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt")
    parser.add_argument("--frames", type=int, default=41, help="4k + 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", help="safetensors with noise, renoise.1 ... [C, F, 18, 32]")
    parser.add_argument("--latents", help="where to write latents [C, F, 18, 32], safetensors")
    parser.add_argument("--pictures", help="where to write frames [frames, 288, 512, 3], safetensors, f32, 0..1")
    parser.add_argument("--out", help="a strip of every eighth frame, PNG")
    options = parser.parse_args()
    e, noise = Exported(), None
    if options.noise:
        given = load_file(options.noise)
        def noise(f, k):
            return given[f"renoise.{k}" if k else "noise"].transpose(0, 1)[None, f:f + 1]
    z = latents_of([options.prompt], (options.frames + 3) // 4, seed=options.seed, noise=noise, exported=e)[0]
    if options.latents:
        save_file({"latents": z.transpose(0, 1).contiguous()}, options.latents)
    frames = e.decoder(z)[3:]
    if options.pictures:
        save_file({"frames": frames.contiguous()}, options.pictures)
    if options.out:
        strip = (frames[::8] * 255).round().byte().numpy()
        Image.fromarray(np.concatenate(list(strip), 1)).save(options.out)


if __name__ == "__main__":
    main()
