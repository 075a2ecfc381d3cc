# SPDX-License-Identifier: LGPL-2.1-or-later
"""The world the pocket model knows: what may be in a scene, and how a scene is drawn at random from it."""

from dataclasses import dataclass, asdict, replace

import numpy as np

BACKGROUNDS = ["hills", "sea", "mountains", "desert", "city", "meadow", "forest", "snowfield", "lake", "space"]
TIMES = ["day", "sunset", "night", "dawn"]
WEATHERS = ["clear", "clouds", "fog", "rain", "snow"]
SUBJECTS = ["none", "ball", "balloon", "hotair", "boat", "lantern", "kite", "bird"]
MOTIONS = ["float", "left", "right", "up", "down", "bounce"]
SPEEDS = ["normal", "slow", "fast"]
CAMERAS = ["still", "pan left", "pan right"]
COLOURS = {
    "red": (226, 36, 36),
    "orange": (250, 134, 20),
    "yellow": (252, 220, 40),
    "green": (40, 180, 70),
    "blue": (36, 92, 236),
    "purple": (146, 56, 206),
    "pink": (252, 112, 180),
    "white": (248, 248, 248),
}
TABLES = {"background": BACKGROUNDS, "time": TIMES, "weather": WEATHERS, "subject": SUBJECTS,
          "colour": list(COLOURS), "motion": MOTIONS, "speed": SPEEDS, "camera": CAMERAS}

SHARE = {
    "background": [0.115, 0.115, 0.115, 0.10, 0.115, 0.10, 0.10, 0.09, 0.09, 0.06],
    "time": [0.25] * 4,
    "weather": [0.40, 0.22, 0.14, 0.12, 0.12],
    "subject": [0.14, 0.12, 0.15, 0.14, 0.13, 0.11, 0.10, 0.11],
    "colour": [0.125] * 8,
    "motion": [0.36, 0.18, 0.18, 0.12, 0.08, 0.08],
    "speed": [0.56, 0.20, 0.24],
    "camera": [0.70, 0.15, 0.15],
}
LIKE = {"ball": ["balloon", "balloon", "lantern", "hotair"], "balloon": ["ball", "ball", "hotair", "lantern"],
        "hotair": ["balloon", "ball", "lantern"], "lantern": ["ball", "balloon", "hotair"],
        "kite": ["bird", "bird", "ball", "balloon"], "bird": ["kite", "kite", "ball", "balloon"]}
WATER = ("sea", "lake")
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up", "pan left": "pan right", "pan right": "pan left"}


@dataclass
class Attributes:
    """What a caption may name. The rest of a picture (layout, sun, position) is drawn by the renderer."""

    background: str
    time: str
    weather: str
    subject: str
    colour: str
    motion: str
    speed: str
    camera: str

    def indices(self):
        """Small integers in the order of the fields: how attributes are stored beside the latents."""
        return [TABLES[k].index(v) for k, v in asdict(self).items()]

    @staticmethod
    def from_indices(row):
        return Attributes(*[table[int(i)] for table, i in zip(TABLES.values(), row)])


def held_out(a: Attributes) -> bool:
    """Combinations that no training scene shows, to see whether the model puts together what it knows: about 1 in 7."""
    subject, colour, background = (TABLES[k].index(getattr(a, k)) for k in ("subject", "colour", "background"))
    return subject > 0 and ((3 * subject + 5 * colour) % 11 == 4 or (subject + 2 * background) % 13 == 5)


def possible(a: Attributes) -> Attributes:
    """The nearest scene that makes sense: boats stand on water and do not rise, space has neither day nor weather."""
    if a.subject == "boat":
        a = replace(a, background=a.background if a.background in WATER else WATER[a.colour in ("red", "white")],
                    motion=a.motion if a.motion in ("left", "right") else "float")
    if a.background == "space":
        a = replace(a, time="night", weather="clear")
    if a.subject == "none":
        a = replace(a, colour="red", motion="float")
    if a.motion in ("float", "bounce"):
        a = replace(a, speed="normal")
    return a


def draw_attributes(rng: np.random.Generator, of=lambda a: not held_out(a)) -> Attributes:
    """A scene for which of() holds; as it stands, one that may be trained on."""
    while True:
        a = possible(Attributes(*[str(rng.choice(TABLES[k], p=SHARE[k])) for k in TABLES]))
        if of(a):
            return a


def draw_likeness(a: Attributes, rng: np.random.Generator) -> Attributes:
    """What the subject may be mistaken for: another one of its kind, or of another colour."""
    while True:
        if a.subject == "boat" or rng.random() < 0.35:
            b = replace(a, colour=str(rng.choice(list(COLOURS))))
        else:
            b = replace(a, subject=str(rng.choice(LIKE[a.subject])))
        if b != a and not held_out(b):
            return b


def draw_change(a: Attributes, rng: np.random.Generator) -> Attributes:
    """What a new prompt may make of a scene: one time in four another scene, else one to three things changed."""
    while True:
        b = draw_attributes(rng)
        if rng.random() < 0.75:
            kept = rng.permutation(list(TABLES))[int(rng.integers(1, 4)):]
            b = possible(replace(b, **{k: getattr(a, k) for k in kept}))
        if b != a and not held_out(b):
            return b
