# SPDX-License-Identifier: LGPL-2.1-or-later
"""The world the pocket model knows: what may stand in a scene, and how a scene is drawn at random from it."""

from dataclasses import dataclass, asdict

import numpy as np

BACKGROUNDS = ["hills", "sea", "mountains", "desert", "city", "meadow"]
TIMES = ["day", "sunset", "night", "dawn"]
WEATHERS = ["clear", "clouds", "fog"]
SUBJECTS = ["none", "ball", "balloon", "hotair", "boat", "lantern"]
MOTIONS = ["float", "left", "right", "up"]
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

SUBJECT_SHARE = [0.10, 0.16, 0.22, 0.20, 0.16, 0.16]
WEATHER_SHARE = [0.50, 0.30, 0.20]
MOTION_SHARE = [0.46, 0.20, 0.20, 0.14]


@dataclass
class Attributes:
    """What a caption may name. The rest of a picture (layout, sun, position) is drawn by the renderer."""

    background: str
    time: str
    weather: str
    subject: str
    colour: str
    motion: str

    def indices(self):
        """Six small integers in the order of the fields: how attributes are stored beside the latents."""
        tables = (BACKGROUNDS, TIMES, WEATHERS, SUBJECTS, list(COLOURS), MOTIONS)
        return [table.index(value) for table, value in zip(tables, asdict(self).values())]

    @staticmethod
    def from_indices(row):
        tables = (BACKGROUNDS, TIMES, WEATHERS, SUBJECTS, list(COLOURS), MOTIONS)
        return Attributes(*[table[int(i)] for table, i in zip(tables, row)])


def draw_attributes(rng: np.random.Generator) -> Attributes:
    """Boats stand on the sea alone; they drift sideways or rock, and do not rise."""
    subject = str(rng.choice(SUBJECTS, p=SUBJECT_SHARE))
    background = "sea" if subject == "boat" else str(rng.choice(BACKGROUNDS))
    motion = str(rng.choice(MOTIONS, p=MOTION_SHARE))
    if subject == "boat" and motion == "up":
        motion = "float"
    return Attributes(
        background=background,
        time=str(rng.choice(TIMES)),
        weather=str(rng.choice(WEATHERS, p=WEATHER_SHARE)),
        subject=subject,
        colour=str(rng.choice(list(COLOURS))),
        motion=motion,
    )
