# SPDX-License-Identifier: LGPL-2.1-or-later
"""One scene through time: landscape, subject and weather, drawn at any size with Skia.

python scene.py OUT.png     a sheet of random scenes with their captions on stdout, and the time a frame takes
"""

import math

import numpy as np
import skia

from landscape import LIGHT, Landscape
from paint import WIDTH, HEIGHT
from subjects import EXTENT, SIZE, draw_subject
from world import COLOURS, Attributes

RATE = 16                           # frames per second
LAYOUTS = 3                         # shapes of each ground
SUN_XS = (96, 256, 416)
DRIFT = 24                          # speed of a subject that goes somewhere, pixels of the full size per second
SMALL = (144, 256)                  # rows and columns of the encoder's picture
FULL = (HEIGHT, WIDTH)
TOKEN_ROWS, TOKEN_COLUMNS = 9, 16


class Scene:
    """Everything that is random is drawn here, so that a scene can be rendered twice, at two sizes."""

    def __init__(self, attributes: Attributes, rng: np.random.Generator):
        a = self.attributes = attributes
        horizon = rng.uniform(162, 178)
        self.land = Landscape(a.background, a.time, a.weather, int(rng.integers(LAYOUTS)),
                              SUN_XS[int(rng.integers(len(SUN_XS)))], horizon, rng.uniform(0, 6.28))
        self.light = tuple(0.84 + 0.16 * v for v in LIGHT[a.time])
        self.size = SIZE[a.subject] * rng.uniform(0.94, 1.08)
        self.phase = rng.uniform(0, 6.28)
        self.x = rng.uniform(150, WIDTH - 150)
        self.y = horizon + rng.uniform(34, 48) if a.subject == "boat" else rng.uniform(86, 140)
        if a.motion == "right":
            self.x = rng.uniform(100, WIDTH * 0.55)
        elif a.motion == "left":
            self.x = rng.uniform(WIDTH * 0.45, WIDTH - 100)
        elif a.motion == "up":
            self.y = rng.uniform(120, 200)
        self.facing = -1 if a.motion == "left" else 1
        self.cloud_speed = rng.uniform(8, 14) * rng.choice((-1, 1))
        self.cloud_offset = rng.uniform(0, WIDTH)

    def position(self, t):
        """Centre of the subject after t seconds; one that leaves the picture comes back at the other side."""
        motion, x, y, margin = self.attributes.motion, self.x, self.y, self.size * 1.7
        def wrap(v, length):
            return (v + margin) % (length + 2 * margin) - margin
        if motion in ("left", "right"):
            x = wrap(x + DRIFT * t * self.facing, WIDTH)
        if motion == "up":
            y = wrap(y - 0.7 * DRIFT * t, HEIGHT)
        swing = 2.5 if self.attributes.subject == "boat" else 5
        return x, y + swing * math.sin(1.6 * t + self.phase)

    def subject_tokens(self, t):
        """[9, 16] bool: patches of the transformer that the subject touches at time t."""
        mask = np.zeros((TOKEN_ROWS, TOKEN_COLUMNS), bool)
        if self.attributes.subject == "none":
            return mask
        (x, y), (left, top, right, bottom) = self.position(t), EXTENT[self.attributes.subject]
        if self.facing < 0:
            left, right = -right, -left
        patch = WIDTH / TOKEN_COLUMNS
        def span(centre, low, high, count):
            first, last = ((centre + v * self.size) / patch for v in (low, high))
            return slice(max(0, int(math.floor(first))), max(0, min(count, int(math.ceil(last)))))
        mask[span(y, top, bottom, TOKEN_ROWS), span(x, left, right, TOKEN_COLUMNS)] = True
        return mask

    def render(self, frames, start=0.0, size=SMALL):
        """-> [frames, rows, columns, 3] uint8, beginning start seconds into the scene."""
        rows, columns = size
        pixels = np.zeros((rows, columns, 4), np.uint8)
        surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
        canvas = surface.getCanvas()
        layers = self._layers(rows, columns)
        out = np.empty((frames, rows, columns, 3), np.uint8)
        for i in range(frames):
            self._frame(canvas, layers, start + i / RATE, columns / WIDTH)
            surface.flushAndSubmit()
            out[i] = pixels[..., :3]
        return out

    def _layers(self, rows, columns):
        """What stands still: sky, clouds, ground; without clouds the other two are one picture."""
        land = self.land
        def image(*parts):
            surface = skia.Surface(columns, rows)
            canvas = surface.getCanvas()
            canvas.scale(columns / WIDTH, rows / HEIGHT)
            for draw in parts:
                draw(canvas)
            return surface.makeImageSnapshot()
        if land.weather != "clouds":
            return [image(land.draw_sky, land.draw_ground)]
        return [image(land.draw_sky), image(land.draw_clouds), image(land.draw_ground)]

    def _frame(self, canvas, layers, t, k):
        a, land = self.attributes, self.land
        linear = skia.SamplingOptions(skia.FilterMode.kLinear)
        canvas.drawImage(layers[0], 0, 0)
        if len(layers) > 1:
            offset = (self.cloud_offset + self.cloud_speed * t) % WIDTH
            canvas.drawImage(layers[1], offset * k, 0, linear)
            canvas.drawImage(layers[1], (offset - WIDTH) * k, 0, linear)
            canvas.drawImage(layers[2], 0, 0)
        canvas.save()
        canvas.scale(k, k)
        if a.background == "sea":
            land.draw_waves(canvas, t)
        if a.weather == "fog":                                  # behind the subject, which stays readable
            land.draw_fog(canvas)
        if a.subject != "none":
            x, y = self.position(t)
            canvas.save()
            canvas.translate(float(x), float(y))
            draw_subject(canvas, a.subject, self.size, COLOURS[a.colour], self.light, self.facing)
            canvas.restore()
        canvas.restore()


def _sheet(path):
    import time
    from PIL import Image
    from captions import caption
    from world import draw_attributes
    rng, rows, began = np.random.default_rng(0), [], time.process_time()
    for i in range(32):
        a = draw_attributes(rng)
        print(i, caption(a, rng))
        rows.append(Scene(a, rng).render(17)[0])
    print(f"{(time.process_time() - began) / 32 / 17 * 1e3:.2f} ms of CPU a frame")
    Image.fromarray(np.concatenate([np.concatenate(rows[i:i + 4], 1) for i in range(0, 32, 4)], 0)).save(path)


if __name__ == "__main__":
    import sys
    _sheet(sys.argv[1])
