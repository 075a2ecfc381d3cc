# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sky, clouds and ground of a scene, drawn once; only waves and the drift of the clouds change with time."""

import numpy as np
import skia

from paint import WIDTH, HEIGHT, box, fill, mix, polygon, radial, scale, stroke, vertical

SKY = {                             # top, middle, horizon
    "day": [(46, 112, 200), (108, 170, 232), (196, 224, 244)],
    "sunset": [(58, 44, 110), (206, 90, 92), (255, 186, 96)],
    "night": [(8, 10, 32), (16, 24, 62), (40, 54, 104)],
    "dawn": [(104, 132, 190), (220, 176, 196), (255, 222, 190)],
}
LIGHT = {"day": (1, 1, 1), "sunset": (0.86, 0.58, 0.50), "night": (0.36, 0.42, 0.62), "dawn": (0.92, 0.80, 0.82)}
SUN = {"day": (255, 250, 220), "sunset": (255, 214, 120), "night": (240, 240, 228), "dawn": (255, 240, 214)}
CLOUDS = [(60, 40, 1.3), (230, 70, 1.0), (390, 34, 1.5), (150, 98, 0.8), (470, 92, 0.9)]
PUFFS = [(-34, 4, 13), (-16, -4, 19), (6, -8, 22), (26, -1, 17), (42, 5, 11), (0, 6, 16)]
XS = np.linspace(-4, WIDTH + 4, 66)


class Landscape:
    """layout picks one of a few fixed shapes, so that a small model can know them all."""

    def __init__(self, background, time, weather, layout, sun_x, horizon, wave_phase):
        self.background, self.time, self.weather = background, time, weather
        self.layout = layout
        self.sun_x, self.horizon, self.wave_phase = sun_x, horizon, wave_phase
        self.sun_y = 52 if time in ("day", "night") else horizon - 34
        grey = {"clear": 0.0, "clouds": 0.18, "fog": 0.5}[weather]
        self.sky = [mix(c, (sum(c) / 3 * 0.9,) * 3, grey) for c in SKY[time]]
        self.haze = self.sky[2]
        self.ground_colours = None

    def lit(self, c):
        return scale(c, LIGHT[self.time])

    # --- sky -------------------------------------------------------------------------------------------------

    def draw_sky(self, canvas):
        canvas.drawRect(box(0, 0, WIDTH, HEIGHT), vertical(-20, self.horizon + 20, self.sky))
        if self.weather == "fog":
            return
        x, y, sun = self.sun_x, self.sun_y, SUN[self.time]
        if self.time == "night":
            stars = np.random.default_rng(7)
            for _ in range(26):
                at = stars.uniform(0, WIDTH), stars.uniform(0, 150)
                canvas.drawCircle(*at, stars.uniform(1.1, 1.9), fill((255, 250, 235), stars.uniform(150, 255)))
            canvas.drawCircle(x, y, 64, radial(x, y, 64, [(200, 210, 255, 80), (200, 210, 255, 0)]))
            canvas.drawCircle(x, y, 20, fill(sun))
            return
        glow = 90 if self.time == "day" else 140
        canvas.drawCircle(x, y, glow, radial(x, y, glow, [sun + (170,), sun + (50,), sun + (0,)], [0, 0.35, 1]))
        canvas.drawCircle(x, y, 22, fill(sun))

    def draw_clouds(self, canvas):
        """A layer as wide as the picture that joins itself at the border: it is drawn twice, shifted."""
        paint = fill(mix(self.lit((255, 255, 255)), self.sky[2], 0.25), 150)
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 5))
        for x, y, size in CLOUDS:
            for dx, dy, radius in PUFFS:
                for wrap in (-WIDTH, 0, WIDTH):
                    canvas.drawCircle(x + dx * size + wrap, y + dy * size, radius * size, paint)

    def draw_fog(self, canvas):
        fog = self.haze if self.time == "night" else mix(self.haze, (225, 228, 232), 0.3)
        colours = [fog + (20,), fog + (120,), fog + (80,)]
        canvas.drawRect(box(0, 0, WIDTH, HEIGHT), vertical(40, HEIGHT, colours, [0, 0.55, 1]))

    # --- ground ----------------------------------------------------------------------------------------------

    def draw_ground(self, canvas):
        self.fixed = np.random.default_rng(1000 + self.layout)  # shapes: the same for every scene of this layout
        getattr(self, "_" + self.background)(canvas)

    def _band(self, canvas, ys, top, bottom, y0):
        outline = [(-4, HEIGHT + 4)] + list(zip(XS, ys)) + [(WIDTH + 4, HEIGHT + 4)]
        canvas.drawPath(polygon(outline), vertical(y0, HEIGHT + 10, [top, bottom]))
        return polygon(outline)

    def _wave(self, base, height, terms=2):
        """A soft line about y = base: a few sines of fixed random length and phase."""
        f = self.fixed
        sines = [np.sin(f.uniform(0.6, 1.8) * XS / WIDTH * 6.28 + f.uniform(0, 6.28)) for _ in range(terms)]
        return base + height * sum(sines) / terms

    def _ridge(self):
        """A mountain line in 0..2: octaves of random points joined by straight lines."""
        y, amplitude, n = np.zeros(len(XS)), 1.0, len(XS)
        for octave in range(5):
            knots = 3 * 2 ** octave
            points = self.fixed.uniform(-1, 1, knots + 1)
            y += amplitude * np.interp(np.arange(n) / n, np.linspace(0, 1, knots + 1), points)
            amplitude *= 0.5
        return np.abs(y)

    def _hills(self, canvas):
        lit, h, green = self.lit, self.horizon, (96, 158, 72)
        self._band(canvas, self._wave(h, 26), mix(lit(green), self.haze, 0.45), lit(green), h - 24)
        near = mix(green, (40, 80, 40), 0.4)
        self._band(canvas, self._wave(h + 34, 24), mix(lit(green), self.haze, 0.12), lit(near), h + 10)
        self._band(canvas, self._wave(h + 72, 16), lit(mix(green, (40, 90, 40), 0.35)), lit((40, 84, 40)), h + 50)

    def _mountains(self, canvas):
        lit, h = self.lit, self.horizon
        outline = self._band(canvas, h + 16 - 84 * self._ridge(), mix(lit((96, 108, 134)), self.haze, 0.3),
                             self.haze, h - 60)
        snow = mix(lit((244, 247, 252)), self.haze, 0.1)
        canvas.save()
        canvas.clipPath(outline, True)
        canvas.drawRect(box(0, 0, WIDTH, h - 18), vertical(h - 62, h - 18, [snow + (255,), snow + (0,)]))
        canvas.restore()
        self._band(canvas, h + 50 - 30 * self._ridge(), lit((70, 88, 96)), lit((60, 80, 70)), h)
        self._band(canvas, self._wave(h + 78, 10), lit((64, 110, 62)), lit((36, 72, 40)), h + 60)

    def _desert(self, canvas):
        lit, h, sand = self.lit, self.horizon, (230, 180, 108)
        self._band(canvas, self._wave(h + 8, 14), mix(lit(sand), self.haze, 0.4), lit(sand), h - 8)
        self._band(canvas, self._wave(h + 40, 24), lit(sand), lit(mix(sand, (150, 96, 50), 0.5)), h + 10)
        self._band(canvas, self._wave(h + 84, 22), lit(mix(sand, (190, 130, 70), 0.4)),
                   lit(mix(sand, (130, 80, 40), 0.6)), h + 60)

    def _meadow(self, canvas):
        lit, h, f, green = self.lit, self.horizon, self.fixed, (126, 196, 70)
        self._band(canvas, XS * 0 + h + 8, mix(lit((90, 150, 80)), self.haze, 0.3),
                   lit(mix(green, (50, 110, 40), 0.5)), h + 8)
        petals = [(250, 230, 80), (252, 252, 252), (244, 110, 160), (232, 60, 60)]
        for i in range(40):
            near = ((i + 0.5) / 40) ** 2
            y = h + 20 + near * (HEIGHT - h - 28)
            canvas.drawCircle(f.uniform(0, WIDTH), y, 2.6 + 3.8 * near, fill(lit(petals[i % 4])))

    def _city(self, canvas):
        lit, h, f = self.lit, self.horizon, self.fixed
        for row, (haze, low, high) in enumerate([(0.5, 70, 140), (0.1, 40, 96)]):
            wall = mix(lit((92, 98, 118)), self.haze, haze)
            window = (255, 222, 130) if self.time in ("night", "sunset") else mix(wall, (255, 255, 255), 0.3)
            x, foot = -6, h + 34 + row * 16
            while x < WIDTH:
                width = int(f.integers(5, 8)) * 8
                top = foot - f.uniform(low, high)
                canvas.drawRect(box(x, top, x + width, HEIGHT + 4), fill(scale(wall, (f.uniform(0.88, 1.08),) * 3)))
                for y in np.arange(top + 9, foot - 10, 16):
                    for column in range(x + 7, x + width - 9, 14):
                        if f.random() < 0.5:
                            canvas.drawRect(box(column, y, column + 6, y + 8), fill(window, 235 if row else 150))
                x += width + int(f.integers(0, 4))
        canvas.drawRect(box(-4, h + 50, WIDTH + 4, HEIGHT + 4),
                        vertical(h + 50, HEIGHT, [lit((86, 88, 98)), lit((50, 52, 60))]))

    def _sea(self, canvas):
        far, near = mix(self.lit((44, 120, 176)), self.haze, 0.35), self.lit((12, 62, 120))
        canvas.drawRect(box(0, self.horizon, WIDTH, HEIGHT), vertical(self.horizon, HEIGHT, [far, near]))
        if self.weather != "fog" and self.time != "day":        # the path of light below sun or moon
            glint = SUN[self.time]
            for i in range(9):
                u = (i + 0.5) / 9
                y, half = self.horizon + 3 + u * u * 92, 26 - 12 * abs(u - 0.4)
                canvas.drawOval(box(self.sun_x - half, y - 1 - 2 * u, self.sun_x + half, y + 1 + 2 * u),
                                fill(glint, 150 * (1 - 0.6 * u)))
        self.wave_colour = mix(far, (255, 255, 255), 0.25)

    def draw_waves(self, canvas, t):
        """Five lines of waves that run against each other; t in seconds."""
        for i in range(5):
            u = (i + 0.5) / 5
            y = self.horizon + 6 + u * u * (HEIGHT - self.horizon)
            length, way = 60 + 100 * u, 1 if i % 2 else -1
            ys = y + (1.5 + 4 * u) * np.sin(XS / length * 6.28 + t * 1.0 * way + i * 2.1 + self.wave_phase)
            canvas.drawPath(polygon(zip(XS, ys), False), stroke(self.wave_colour, 2 + 3 * u, 110))
