# SPDX-License-Identifier: LGPL-2.1-or-later
"""How good the model is, in numbers: the tables of docs/pocket.md.

python evaluate.py adherence [FOLDER] [PROMPTS] [STEPS ...]     how often judge.py sees what a prompt asked for, half of the
                                                    prompts of combinations kept out of training; as shipped, then with 1, 2, 4
                                                    and 8 steps
python evaluate.py pictures [FOLDER] [SCENES]       the training's loss of first frames, by noise level, on new scenes
python evaluate.py doubles [FOLDER] [PROMPTS] [GUIDANCE ...]    how many subjects first frames show where one was asked for, as
                                                    shipped or with other `first_guidance`, and how many are right
python evaluate.py motion [FOLDER] [CLIPS]          how far the subjects of unseen clips go when the model is shown their past
python evaluate.py starts [FOLDER] [CLIPS]          the frame after a first one that stands still, for two opposite prompts
python evaluate.py direction [FOLDER] [CLIPS]       how far subjects go where the prompt says a direction, by their colour
python evaluate.py coherence [FOLDER] [CLIPS]       twenty seconds of clips beside what the renderer draws
python evaluate.py changes [FOLDER] [CLIPS]         how often a new prompt after two seconds is seen, and two seconds later
"""

import pathlib
import sys
from dataclasses import replace

import numpy as np
import torch

import paths
from captions import CAMERA, LAND, MOVE, NOUN, PLACE, caption, untold
from codec import COLUMNS, ROWS, Codec
from data import SUBJECT_WEIGHT
from judge import MOMENTS, PLACED, Both, drawn, groups, hidden_subjects
from make_data import clip
from precision import Product, best_dtype
from sample import Exported, latents_of
from scene import RATE, Scene
from train import WINDOW
from transformer import rope_tables
from world import COLOURS, OPPOSITE, Attributes, draw_attributes, draw_change, held_out

BATCH = 32
SECONDS = 20
CHANGED = 8                         # the latent frame from which on there is another prompt


def sampled(e, texts, frames, **changes):
    """latents_of() in batches, each with a seed of its own."""
    return torch.cat([latents_of(texts[i:i + BATCH], frames, seed=100 + i, exported=e, **changes)
                      for i in range(0, len(texts), BATCH)])


def line(name, said):
    mean = np.mean([v.float().mean().item() for v in said.values()])
    print(f"| {name} | " + " | ".join(f"{100 * v.float().mean():.1f}" for v in said.values()) + f" | {100 * mean:.1f} |", flush=True)


def adherence(folder=paths.MODEL, count=500, *steps):
    """Captions that leave things out count as well: what goes without saying has a meaning (see captions.py). What else they leave out
    is not asked for."""
    e, both, rng = Exported(pathlib.Path(folder)), Both(), np.random.default_rng(5)
    new = np.arange(int(count)) % 2 == 1
    wanted = [draw_attributes(rng, held_out if n else lambda a: not held_out(a)) for n in new]
    rows, texts = np.array([a.indices() for a in wanted]), [caption(a, rng) for a in wanted]
    rendered, _, hidden = zip(*[drawn(a, rng, both.codec) for a in wanted])
    said = both.right(torch.stack(rendered), rows, hidden_subjects(torch.tensor(hidden)))
    print(f"\n| {count} prompts, % | " + " | ".join(said) + " | mean |\n|---|" + "---|" * (len(said) + 1))
    line("rendered", said)
    frames, left_open = max(MOMENTS) + 1, [untold(text, a) for text, a in zip(texts, wanted)]
    def say(name, z, some=np.ones(len(new), bool)):
        but = {k: torch.tensor([k in found for found, s in zip(left_open, some) if s]) for k in ("time", "weather", "motion")}
        line(name, both.right(z[some], rows[some], but))
    z = sampled(e, texts, frames)
    say("as shipped", z)
    say("... combinations of the training", z, ~new)
    say("... combinations kept out of it", z, new)
    for n in map(int, steps or (1, 2, 4, 8)):
        say(f"{n} steps a chunk", sampled(e, texts, frames, first_steps=n, next_steps=n))


@torch.no_grad()
def pictures(folder=paths.MODEL, count=192):
    e, codec, rng = Exported(pathlib.Path(folder)), Codec(), np.random.default_rng(12)
    wanted = [draw_attributes(rng) for _ in range(int(count))]
    scenes = [(Scene(a, rng), rng.uniform(0, 20)) for a in wanted]
    x0 = torch.stack([codec.encode(np.repeat(s.render(4, start)[3:], 4, 0)) for s, start in scenes])
    subject = torch.from_numpy(np.stack([s.subject_tokens(start + 3 / RATE) for s, start in scenes])).float()
    weight = (1 + (SUBJECT_WEIGHT - 1) * subject).repeat_interleave(2, -1).repeat_interleave(2, -2)[:, None, None]
    words, noise = e.tokenizer([caption(a, rng) for a in wanted])[:, None], torch.Generator().manual_seed(1)
    none = torch.zeros(len(x0), 1, dtype=torch.bool)
    for t in (1.0, 0.75, 0.5, 0.25):
        loss, _ = e.model.loss(x0, torch.full(none.shape, t), torch.randn(x0.shape, generator=noise), torch.zeros_like(x0), none,
                               words, none.long(), weight, rope_tables([0]))
        print(f"t {t}: {loss.mean():.3f}")


@torch.no_grad()
def doubles(folder=paths.MODEL, count=128, *guidance):
    e, both, rng = Exported(pathlib.Path(folder)), Both(), np.random.default_rng(17)
    wanted = [draw_attributes(rng, lambda a: a.subject != "none") for _ in range(int(count))]
    rows, texts = np.array([a.indices() for a in wanted]), [caption(a, rng) for a in wanted]
    def say(name, z):
        n, right = groups(both.subjects(z)), both.right(z[:, :1], rows)
        print(f"{name}: of {count} none in {100 * (n == 0).float().mean():.1f} %, one in {100 * (n == 1).float().mean():.1f}, "
              f"more in {100 * (n > 1).float().mean():.1f}; right: " +
              ", ".join(f"{k} {100 * right[k].float().mean():.1f}" for k in PLACED if k in right), flush=True)
    say("rendered", torch.stack([drawn(a, rng, both.codec)[0] for a in wanted]))
    for g in map(float, guidance or [e.about["sampler"]["first_guidance"]]):
        say(f"guidance {g}", sampled(e, texts, 1, first_guidance=g))


@torch.no_grad()
def motion(folder=paths.MODEL, count=96):
    """Clips whose subject goes left or right, not seen in training. Of each frame, from the true ones before it in one step:
    the share of the true change that the model makes where the subject is, and the squared error against "nothing moves"."""
    e, codec, rng, clips = Exported(pathlib.Path(folder)), Codec(), np.random.default_rng(77), []
    while len(clips) < int(count):
        a = draw_attributes(rng, lambda a: a.motion in ("left", "right") and a.weather not in ("rain", "snow"))
        if a.subject != "none":
            clips.append((*clip((a, a), rng, codec)[:2], caption(a, rng)))
    z = torch.stack([c[0] for c in clips])[:, :WINDOW]
    words = e.tokenizer([c[2] for c in clips])[:, None]
    known = torch.ones(z.shape[:2], dtype=torch.bool)
    known[:, 0] = False
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    own = e.next.own_frames(z, torch.zeros_like(z[:, :1]), known, words, torch.zeros_like(known, dtype=torch.long),
                             rope_tables(range(WINDOW)), (1.0, 0.0), e.about["sampler"]["context_time"], noise)
    true, made = z[:, 1:] - z[:, :-1], own[:, 1:] - z[:, :-1]
    subject = torch.from_numpy(np.stack([c[1] for c in clips]))[:, :WINDOW].float()
    subject = torch.maximum(subject[:, 1:], subject[:, :-1])                        # where it was and where it is
    w = subject.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]
    whole = (true.square() * w).sum((0, 2, 3, 4))
    for name, value in (("of the way", made * true), ("error, 1 if nothing moves", (made - true).square())):
        print(f"{count} clips, frames 1 to {WINDOW - 1}, {name}:",
              " ".join(f"{v:.2f}" for v in ((value * w).sum((0, 2, 3, 4)) / whole).tolist()))


WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
SIMPLE = dict(colour=("red", "purple", "pink"), background=("hills", "sea", "snowfield"), time=("day",), weather=("clear",),
              subject=("ball", "balloon", "hotair", "lantern", "kite"), motion=tuple(WAYS), speed=("normal",), camera=("still",))


def prompt_of(a):
    return f"a {a.colour} {NOUN[a.subject][0]} {PLACE[a.background][0]} {MOVE[a.motion][0]}"


@torch.no_grad()
def after_stills(name, e, rng, wanted, opposite, prompt, places):
    """Second frames of scenes whose first one stands still: the share of the true change that they make in places, for the prompt
    and for that of the opposite scene; their squared error, 1 if nothing moves; and how far apart the two are, squared, of the true
    change. places: of a scene, at two times -> [9, 16]"""
    codec, scenes = Codec(), [Scene(a, rng) for a in wanted]
    clips = torch.stack([codec.encode(s.render(8, 3.0)) for s in scenes])
    first = torch.stack([codec.encode(np.repeat(s.render(4, 3.0)[3:], 4, 0)) for s in scenes])
    w = torch.from_numpy(np.stack([places(s, 3 + 1.5 / RATE) | places(s, 3 + 5.5 / RATE) for s in scenes])).float()
    w = w.repeat_interleave(2, -1).repeat_interleave(2, -2)[:, None, None]
    noise = torch.randn(first.shape, generator=torch.Generator().manual_seed(1))
    known, time = torch.ones(len(first), 1, dtype=torch.bool), torch.full((len(first), 1), e.about["sampler"]["context_time"])
    made = []
    for way in (lambda a: a, opposite):
        text = e.model.text_encoder(e.tokenizer([prompt(way(a)) for a in wanted]))
        _, caches = e.next.estimate(first, time, torch.zeros_like(first), ~known, text, rope_tables([0]))
        made.append(e.next.estimate(noise, torch.ones_like(time), first, known, text, rope_tables([1]), caches)[0] - first)
    true = clips[:, 1:] - first
    def total(x):
        return (x * w).sum().item()
    whole = total(true.square())
    print(f"{name}, {len(wanted)} second frames: of the way {total(made[0] * true) / whole:.2f}, with the opposite prompt "
          f"{total(made[1] * true) / whole:.2f}, error {total((made[0] - true).square()) / whole:.2f}, "
          f"apart {total((made[0] - made[1]).square()) / whole:.3f}")


def starts(folder=paths.MODEL, count=96):
    """Subjects, where they were and are; then cameras that pan, over all of the picture."""
    e, rng = Exported(pathlib.Path(folder)), np.random.default_rng(8)
    def draw(**fields):
        return [Attributes(**{k: str(rng.choice(v)) for k, v in (SIMPLE | fields).items()}) for _ in range(int(count))]
    after_stills("subjects", e, rng, draw(), lambda a: replace(a, motion=OPPOSITE[a.motion]), prompt_of, Scene.subject_tokens)
    after_stills("cameras", e, rng, draw(subject=("none",), motion=("float",), background=("hills", "city", "snowfield", "forest"),
                                         camera=("pan left", "pan right")),
                 lambda a: replace(a, camera=OPPOSITE[a.camera]), lambda a: f"{LAND[a.background][0]}, {CAMERA[a.camera][0]}",
                 lambda *_: np.ones((ROWS // 2, COLUMNS // 2), bool))


def where(picture, colour):
    """Mean row and column of the pixels in that colour of a [H, W, 3] picture in -1..1, in its widths; None: hardly any."""
    target = torch.tensor(COLOURS[colour]) / 127.5 - 1
    def direction(v):
        v = v - v.mean(-1, keepdim=True)
        return v / v.norm(dim=-1, keepdim=True).clamp_min(0.2)
    mask = (direction(picture) * direction(target)).sum(-1) > 0.9
    return mask.nonzero().float().mean(0) / picture.shape[1] if mask.sum() > 60 else None


def way_gone(codec, latents, a):
    """From the second latent frame to the last, in picture widths a second, in the direction that was asked for."""
    first, last = (where(codec.decode_small(z[None])[3], a.colour) for z in (latents[1], latents[-1]))
    if first is None or last is None:
        return None
    return ((last - first) * torch.tensor(WAYS[a.motion], dtype=torch.float32)).sum().item() / ((len(latents) - 2) / 4)


def direction(folder=paths.MODEL, count=48, latents=7):
    """Simple scenes, where the colour finds the subject; the rendered clips of the same scenes beside them."""
    e, codec, rng = Exported(pathlib.Path(folder)), Codec(), np.random.default_rng(8)
    wanted = [Attributes(**{k: str(rng.choice(v)) for k, v in SIMPLE.items()}) for _ in range(int(count))]
    z = sampled(e, [caption(a, rng) for a in wanted], latents)
    rendered = [codec.encode(Scene(a, rng).render(4 * latents, 3.0)) for a in wanted]
    for name, clips in (("rendered", rendered), ("sampled", z)):
        gone = [g for c, a in zip(clips, wanted) if (g := way_gone(codec, c, a)) is not None]
        print(f"{name}: {len(gone)} of {count} found, {100 * np.mean(np.array(gone) > 0.01):.0f} % go where they should, "
              f"{100 * np.mean(np.array(gone) < -0.01):.0f} % go back, {100 * np.mean(gone):.1f} % of the width a second")


def unrest(codec, latents):
    """Mean absolute difference of one picture and the next, in levels of 255, of the quietest half of the pixels: what
    flickers, not what moves."""
    video = torch.stack([codec.decode_small(z) for z in latents]).clamp(-1, 1)
    d = (video[:, 1:] - video[:, :-1]).abs().mean(4).flatten(2)
    return 127.5 * d.sort(2).values[..., :d.shape[2] // 2].mean().item()


def coherence(folder=paths.MODEL, count=24):
    """Of clips with a subject under a clear sky: flicker, and whether the subject stays what it is."""
    e, both, rng = Exported(pathlib.Path(folder)), Both(), np.random.default_rng(6)
    wanted = [draw_attributes(rng, lambda a: a.subject != "none" and a.motion == "float" and a.camera == "still" and
                              a.weather in ("clear", "clouds")) for _ in range(int(count))]
    rows, texts = np.array([a.indices() for a in wanted]), [caption(a, rng) for a in wanted]
    z = sampled(e, texts, 4 * SECONDS)
    rendered = torch.stack([both.codec.encode(Scene(a, rng).render(4 * (max(MOMENTS) + 1), 3.0)) for a in wanted])
    print(f"flicker: rendered {unrest(both.codec, rendered):.2f} levels, first second {unrest(both.codec, z[:, :5]):.2f}, "
          f"last of {SECONDS} {unrest(both.codec, z[:, -5:]):.2f}")
    for frame in (0, 19, 39, 4 * SECONDS - 1):              # the last ones before a frame is drawn anew
        said = both.right(z[:, frame:frame + 1], rows)
        print(f"second {(frame + 1) // 4}: " + ", ".join(f"{k} {100 * said[k].float().mean():.0f} %" for k in ("subject", "colour")))


def changes(folder=paths.MODEL, count=144):
    """Clips whose prompt becomes another one, which keeps some of what is there or nothing: as in the training's clips."""
    e, both, rng = Exported(pathlib.Path(folder)), Both(), np.random.default_rng(9)
    before = [draw_attributes(rng, lambda a: a.weather in ("clear", "clouds")) for _ in range(int(count))]
    after = [draw_change(a, rng) for a in before]
    texts, said = ([caption(a, rng) for a in some] for some in (before, after))
    rows = np.array([a.indices() for a in after])
    left_open = [untold(text, a) for text, a in zip(said, after)]
    but = {k: torch.tensor([k in found for found in left_open]) for k in ("time", "weather", "motion")}
    z = torch.cat([latents_of(texts[i:i + BATCH], CHANGED + 8, seed=100 + i, exported=e, change=(CHANGED, said[i:i + BATCH]))
                   for i in range(0, len(texts), BATCH)])
    for frame in (CHANGED, CHANGED + 7):
        right = both.right(z[:, frame:frame + 1], rows, but)
        print(f"latent frame {frame - CHANGED} of a new prompt, {count} clips: " +
              ", ".join(f"{k} {100 * v.float().mean():.1f} %" for k, v in right.items()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    Product.dtype = best_dtype()
    {f.__name__: f for f in (adherence, pictures, doubles, motion, starts, direction, coherence, changes)}[sys.argv[1]](*sys.argv[2:])
