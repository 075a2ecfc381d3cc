# SPDX-License-Identifier: LGPL-2.1-or-later
"""One scene through time: landscape, subject and weather, drawn at any size with Skia.

python scene.py OUT.png     a sheet of random scenes with their captions on stdout, and the time a frame takes
"""

import math

import numpy as np
import skia

from landscape import FALL, PERIOD, Landscape
from paint import WIDTH, HEIGHT
from subjects import EXTENT, SIZE, draw_subject
from world import COLOURS, WATER, Attributes

RATE = 16                           # frames per second
LAYOUTS = 3                         # shapes of each ground
SUN_XS = (96, 256, 416)
DRIFT = {"slow": 24, "normal": 52, "fast": 96}                  # a subject that goes somewhere, pixels a second
PAN = 30                            # the nearest ground under a moving camera, pixels a second
SMALL = (144, 256)                  # rows and columns of the encoder's picture
FULL = (HEIGHT, WIDTH)
TOKEN_ROWS, TOKEN_COLUMNS = 9, 16


class Scene:
    """Everything that is random is drawn here, so that a scene can be rendered twice, at two sizes.

    The draws do not depend on the attributes: one seed gives two prompts the same layout, as far as they share it.
    """

    def __init__(self, attributes: Attributes, rng: np.random.Generator):
        a, u = attributes, rng.random(12)
        self.attributes = a
        self.horizon = 162 + 16 * u[0]
        self.land = Landscape(a.background, a.time, a.weather, int(u[1] * LAYOUTS), SUN_XS[int(u[2] * len(SUN_XS))],
                              self.horizon, 6.28 * u[3])
        self.light = tuple(0.84 + 0.16 * v for v in self.land.light)
        self.size = SIZE[a.subject] * (0.94 + 0.14 * u[4])
        self.phase = 6.28 * u[5]
        self.x = 130 + (WIDTH - 260) * u[6]
        self.y = self.horizon + 34 + 14 * u[7] if a.subject == "boat" else 84 + 66 * u[7]
        self.facing = -1 if a.motion == "left" or a.motion == "float" and u[8] < 0.5 else 1
        self.cloud_speed = (8 + 6 * u[9]) * (1 if u[10] < 0.5 else -1)
        self.cloud_offset = WIDTH * u[10]
        self.view = PERIOD * u[11]
        self.pan = {"still": 0, "pan left": -PAN, "pan right": PAN}[a.camera]

    def position(self, t):
        """Centre of the subject after t seconds; one that leaves the picture comes back at the other side."""
        a, x, y, margin = self.attributes, self.x, self.y, self.size * 1.7
        speed = DRIFT[a.speed]
        def wrap(v, length):
            return (v + margin) % (length + 2 * margin) - margin
        if a.motion in ("left", "right"):
            x = wrap(x + speed * t * self.facing, WIDTH)
        elif a.motion in ("up", "down"):
            y = wrap(y + (-0.7 if a.motion == "up" else 0.7) * speed * t, HEIGHT)
        elif a.motion == "bounce":                              # between the ground and half the picture's height
            ground = self.horizon + 60 - self.size
            u = (t / 1.5 + self.phase / 6.28) % 1
            return x, ground - (ground - 70) * 4 * u * (1 - u)
        swing = 2.5 if a.subject == "boat" else 5
        return x, y + swing * math.sin(1.6 * t + self.phase)

    def subject_box(self, t):
        """Left, top, right, bottom of the subject at time t, in pixels, wherever it is."""
        (x, y), (left, top, right, bottom) = self.position(t), EXTENT[self.attributes.subject]
        if self.facing < 0:
            left, right = -right, -left
        return x + left * self.size, y + top * self.size, x + right * self.size, y + bottom * self.size

    def subject_tokens(self, t):
        """[9, 16] bool: patches of the transformer that the subject touches at time t."""
        mask, patch = np.zeros((TOKEN_ROWS, TOKEN_COLUMNS), bool), WIDTH / TOKEN_COLUMNS
        if self.attributes.subject == "none":
            return mask
        left, top, right, bottom = self.subject_box(t)
        def span(low, high, count):
            return slice(max(0, math.floor(low / patch)), max(0, min(count, math.ceil(high / patch))))
        mask[span(top, bottom, TOKEN_ROWS), span(left, right, TOKEN_COLUMNS)] = True
        return mask

    def subject_inside(self, t):
        """How much of the subject's box is in the picture, 0..1; 1 where there is none."""
        if self.attributes.subject == "none":
            return 1.0
        left, top, right, bottom = self.subject_box(t)
        def share(low, high, length):
            return max(0.0, min(high, length) - max(low, 0.0)) / (high - low)
        return share(left, right, WIDTH) * share(top, bottom, HEIGHT)

    def render(self, frames, start=0.0, size=SMALL):
        """-> [frames, rows, columns, 3] uint8, beginning start seconds into the scene."""
        rows, columns = size
        pixels = np.zeros((rows, columns, 4), np.uint8)
        surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
        canvas = surface.getCanvas()
        layers = self._layers(rows, columns, frames > 1)
        out = np.empty((frames, rows, columns, 3), np.uint8)
        for i in range(frames):
            self._frame(canvas, layers, start + i / RATE, columns / WIDTH)
            surface.flushAndSubmit()
            out[i] = pixels[..., :3]
        return out

    def _layers(self, rows, columns, moving):
        """[(picture, period, speed, offset)]: what slides sideways over what; what stands still is one picture.

        period and speed in pixels of the full size; the offset is where the picture begins at time 0.
        """
        land, k = self.land, columns / WIDTH
        def image(width, *parts):
            surface = skia.Surface(math.ceil(width * k), rows)
            canvas = surface.getCanvas()
            canvas.scale(k, k)
            for draw in parts:
                draw(canvas)
            return surface.makeImageSnapshot()
        def still(draw, offset):
            def both(canvas):
                for shift in (0, PERIOD) if offset + WIDTH > PERIOD else (0,):
                    canvas.save()
                    canvas.translate(shift - offset, 0)
                    draw(canvas)
                    canvas.restore()
            return both
        clouds = [(land.draw_clouds, WIDTH, self.cloud_speed, self.cloud_offset)] if land.weather == "clouds" else []
        ground = [(draw, PERIOD, -self.pan * parallax, -self.view * parallax if parallax else 0.0)
                  for parallax, draw in land.ground()]
        layers, flat = [], [land.draw_sky]
        for draw, period, speed, offset in clouds + ground:
            if speed:
                if flat:
                    layers.append((image(WIDTH, *flat), 0, 0, 0))
                layers.append((image(period, draw), period, speed, offset))
                flat = []
            else:
                flat.append(still(draw, -offset % PERIOD))
        return layers + ([(image(WIDTH, *flat), 0, 0, 0)] if flat else [])

    def _frame(self, canvas, layers, t, k):
        a, land = self.attributes, self.land
        linear = skia.SamplingOptions(skia.FilterMode.kLinear)
        for picture, period, speed, offset in layers:
            if not period:
                canvas.drawImage(picture, 0, 0)
                continue
            left = (offset + speed * t) % period - period
            for x in (left, left + period):
                if x < WIDTH and x + period > 0:
                    canvas.drawImage(picture, x * k, 0, linear)
        canvas.save()
        canvas.scale(k, k)
        if a.background in WATER:
            land.draw_waves(canvas, t, self.pan * t)
        if a.weather in ("fog", "rain", "snow"):                # behind the subject, which stays readable
            land.draw_fog(canvas)
        if a.subject != "none":
            x, y = self.position(t)
            canvas.save()
            canvas.translate(float(x), float(y))
            draw_subject(canvas, a.subject, self.size, COLOURS[a.colour], self.light, self.facing, t + self.phase)
            canvas.restore()
        if a.weather in FALL:
            land.draw_fall(canvas, t)
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
        rows.append(Scene(a, rng).render(17)[16])
    print(f"{(time.process_time() - began) / 32 / 17 * 1e3:.2f} ms of CPU a frame")
    Image.fromarray(np.concatenate([np.concatenate(rows[i:i + 4], 1) for i in range(0, 32, 4)], 0)).save(path)


if __name__ == "__main__":
    import sys
    _sheet(sys.argv[1])
