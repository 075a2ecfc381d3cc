# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sky, clouds, ground and weather of a scene. Ground comes in layers that repeat every PERIOD pixels, far ones first.

What is random for the eye is fixed by `layout` (a few shapes of each ground) and by where in the period one looks, so
that a small model can know them all. Every function draws in coordinates of the full picture.
"""

import numpy as np
import skia

from paint import WIDTH, HEIGHT, box, fill, mix, polygon, radial, scale, stroke, vertical

PERIOD = 1024
SKY = {                             # top, middle, horizon
    "day": [(46, 112, 200), (108, 170, 232), (196, 224, 244)],
    "sunset": [(58, 44, 110), (206, 90, 92), (255, 186, 96)],
    "night": [(8, 10, 32), (16, 24, 62), (40, 54, 104)],
    "dawn": [(104, 132, 190), (220, 176, 196), (255, 222, 190)],
}
LIGHT = {"day": (1, 1, 1), "sunset": (0.86, 0.58, 0.50), "night": (0.36, 0.42, 0.62), "dawn": (0.92, 0.80, 0.82)}
SUN = {"day": (255, 250, 220), "sunset": (255, 214, 120), "night": (240, 240, 228), "dawn": (255, 240, 214)}
GREY = {"clear": 0.0, "clouds": 0.18, "fog": 0.5, "rain": 0.62, "snow": 0.45}
DIM = {"clear": 1.0, "clouds": 0.96, "fog": 0.95, "rain": 0.78, "snow": 0.95}
CLOUDS = [(60, 40, 1.3), (230, 70, 1.0), (390, 34, 1.5), (150, 98, 0.8), (470, 92, 0.9)]
PUFFS = [(-34, 4, 13), (-16, -4, 19), (6, -8, 22), (26, -1, 17), (42, 5, 11), (0, 6, 16)]
XS = np.linspace(0, PERIOD, 97)
FALL = {"rain": (-50, 270), "snow": (14, 52)}                   # pixels a second, x and y


class Landscape:
    def __init__(self, background, time, weather, layout, sun_x, horizon, wave_phase):
        self.background, self.time, self.weather, self.layout = background, time, weather, layout
        self.sun_x, self.horizon, self.wave_phase = sun_x, horizon, wave_phase
        self.sun_y = 52 if time in ("day", "night") else horizon - 34
        self.light = scale(LIGHT[time], (DIM[weather],) * 3)
        pale = 1.06 if weather == "snow" else 0.9 if weather != "rain" else 0.74
        self.sky = [mix(c, (min(250, sum(c) / 3 * pale),) * 3, GREY[weather]) for c in SKY[time]]
        if background == "space":
            self.sky = [(6, 6, 22), (14, 10, 40), (34, 18, 70)]
        self.haze = self.sky[2]
        self.sunny = weather in ("clear", "clouds")

    def lit(self, c):
        return scale(c, self.light)

    # --- sky -------------------------------------------------------------------------------------------------

    def draw_sky(self, canvas):
        foot = HEIGHT if self.background == "space" else self.horizon + 20
        canvas.drawRect(box(0, 0, WIDTH, HEIGHT), vertical(-20, foot, self.sky))
        if not self.sunny or self.background == "space":
            return
        x, y, sun = self.sun_x, self.sun_y, SUN[self.time]
        if self.time == "night":
            stars = np.random.default_rng(7)
            for _ in range(26):
                at = stars.uniform(0, WIDTH), stars.uniform(0, 150)
                canvas.drawCircle(*at, stars.uniform(1.1, 1.9), fill((255, 250, 235), stars.uniform(150, 255)))
            canvas.drawCircle(x, y, 64, radial(x, y, 64, [(200, 210, 255, 80), (200, 210, 255, 0)]))
            canvas.drawCircle(x, y, 20, fill(sun))
            canvas.drawCircle(x - 6, y - 4, 4, fill(scale(sun, (0.9, 0.9, 0.9))))
            return
        glow = 90 if self.time == "day" else 150
        canvas.drawCircle(x, y, glow, radial(x, y, glow, [sun + (170,), sun + (50,), sun + (0,)], [0, 0.35, 1]))
        canvas.drawCircle(x, y, 22, fill(sun))

    def draw_clouds(self, canvas):
        """As wide as the picture, and joins itself at the border: it is drawn twice, shifted. A dark belly below."""
        lit = mix(self.lit((255, 255, 255)), self.sky[2], 0.25)
        blur = skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 5)
        for dy, shade, alpha in ((7, mix(lit, self.sky[0], 0.35), 110), (0, lit, 150)):
            paint = fill(shade, alpha)
            paint.setMaskFilter(blur)
            for x, y, size in CLOUDS:
                for px, py, radius in PUFFS:
                    at = x + px * size
                    for wrap in (-WIDTH, 0, WIDTH):
                        if -radius * size - 16 < at + wrap < WIDTH + radius * size + 16:
                            canvas.drawCircle(at + wrap, y + py * size + dy, radius * size, paint)

    def draw_fog(self, canvas):
        fog = self.haze if self.time == "night" else mix(self.haze, (225, 228, 232), 0.3)
        strength = {"fog": 1.0, "rain": 0.35, "snow": 0.4}[self.weather]
        colours = [fog + (20 * strength,), fog + (130 * strength,), fog + (84 * strength,)]
        canvas.drawRect(box(0, 0, WIDTH, HEIGHT), vertical(40, HEIGHT, colours, [0, 0.55, 1]))

    def draw_fall(self, canvas, t):
        """Rain or snow: one fixed scatter that falls and comes back at the top; two depths."""
        drops = np.random.default_rng(11)
        vx, vy = FALL[self.weather]
        for depth, count in ((0.7, 26), (1.0, 22)):
            x = drops.uniform(0, WIDTH, count) + vx * depth * (t + self.wave_phase)
            y = (drops.uniform(0, HEIGHT + 40, count) + vy * depth * (t + self.wave_phase)) % (HEIGHT + 40) - 20
            if self.weather == "rain":
                x = x % WIDTH
                ends = [skia.Point(float(v), float(w)) for a, b in zip(x, y)
                        for v, w in ((a, b), (a - 4 * depth, b + 22 * depth))]
                canvas.drawPoints(skia.Canvas.kLines_PointMode, ends,
                                  stroke(mix((214, 224, 240), self.haze, 0.25), 2.4 * depth, 120))
            else:
                x = (x + 5 * np.sin(1.4 * t + y / 30)) % WIDTH
                paint = stroke(mix((255, 255, 255), self.lit((255, 255, 255)), 0.4), 7.5 * depth, 215)
                paint.setStrokeCap(skia.Paint.kRound_Cap)
                canvas.drawPoints(skia.Canvas.kPoints_PointMode,
                                  [skia.Point(float(a), float(b)) for a, b in zip(x, y)], paint)

    # --- ground ----------------------------------------------------------------------------------------------

    def ground(self):
        """-> [(parallax, draw)]: how fast each layer passes a moving camera, and the function that draws its period."""
        self.fixed = np.random.default_rng(1000 + self.layout)  # shapes: the same for every scene of this layout
        return getattr(self, "_" + self.background)()

    def _band(self, ys, top, bottom, y0):
        outline = [(-4, HEIGHT + 4), (-4, ys[0])] + list(zip(XS, ys)) + [(PERIOD + 4, ys[-1]), (PERIOD + 4, HEIGHT + 4)]
        path = polygon(outline)
        return lambda canvas: canvas.drawPath(path, vertical(y0, HEIGHT + 10, [top, bottom]))

    def _wave(self, base, height, terms=3):
        """A soft line about y = base: a few sines that fit the period."""
        f = self.fixed
        sines = [np.sin(int(f.integers(1, 5)) * XS / PERIOD * 6.2832 + f.uniform(0, 6.28)) for _ in range(terms)]
        return base + height * sum(sines) / terms ** 0.8

    def _ridge(self, knots=5):
        """A mountain line in 0..2: octaves of random points joined by straight lines."""
        y, amplitude = np.zeros(len(XS)), 1.0
        for octave in range(5):
            points = self.fixed.uniform(-1, 1, knots * 2 ** octave)
            points = np.append(points, points[0])
            y += amplitude * np.interp(XS / PERIOD, np.linspace(0, 1, len(points)), points)
            amplitude *= 0.5
        return np.abs(y)

    def _hills(self):
        lit, h, green = self.lit, self.horizon, (96, 158, 72)
        near = mix(green, (40, 80, 40), 0.4)
        return [(0.25, self._band(self._wave(h, 24), mix(lit(green), self.haze, 0.5), lit(green), h - 24)),
                (0.5, self._band(self._wave(h + 34, 22), mix(lit(green), self.haze, 0.12), lit(near), h + 10)),
                (1.0, self._band(self._wave(h + 74, 15), lit(mix(green, (40, 90, 40), 0.35)), lit((40, 84, 40)), h + 50))]

    def _peaks(self, base, height):
        """Mountains with snow on top."""
        lit, h = self.lit, self.horizon
        ys = base - height * self._ridge()
        rock = self._band(ys, mix(lit((96, 108, 134)), self.haze, 0.3), mix(lit((96, 108, 134)), self.haze, 0.75), h - 70)
        outline = polygon([(-4, HEIGHT)] + list(zip(XS, ys)) + [(PERIOD + 4, HEIGHT)])
        snow = mix(lit((244, 247, 252)), self.haze, 0.1)
        def draw(canvas):
            rock(canvas)
            canvas.save()
            canvas.clipPath(outline, True)
            canvas.drawRect(box(-4, 0, PERIOD + 4, h - 14), vertical(h - 54, h - 14, [snow + (255,), snow + (0,)]))
            canvas.restore()
        return draw

    def _mountains(self):
        lit, h = self.lit, self.horizon
        return [(0.2, self._peaks(h + 10, 88)),
                (0.45, self._band(h + 50 - 34 * self._ridge(), mix(lit((70, 88, 96)), self.haze, 0.15),
                                  lit((60, 80, 70)), h)),
                (1.0, self._band(self._wave(h + 80, 9), lit((64, 110, 62)), lit((36, 72, 40)), h + 60))]

    def _desert(self):
        lit, h, sand = self.lit, self.horizon, (230, 180, 108)
        return [(0.25, self._band(self._wave(h + 8, 14), mix(lit(sand), self.haze, 0.4), lit(sand), h - 8)),
                (0.5, self._band(self._wave(h + 40, 22), lit(sand), lit(mix(sand, (150, 96, 50), 0.5)), h + 10)),
                (1.0, self._band(self._wave(h + 84, 20), lit(mix(sand, (190, 130, 70), 0.4)),
                                 lit(mix(sand, (130, 80, 40), 0.6)), h + 60))]

    def _scatter(self, count):
        """[(x, nearness 0..1)] on a field, far ones first; the same for a layout."""
        near = ((np.arange(count) + 0.5) / count) ** 1.6
        return list(zip(self.fixed.uniform(0, PERIOD, count), near))

    @staticmethod
    def _around(x, reach):
        """x, and its neighbour a period away where what is drawn there reaches over the border."""
        return [x] + ([x + PERIOD] if x < reach else []) + ([x - PERIOD] if x > PERIOD - reach else [])

    def _meadow(self):
        lit, h, green = self.lit, self.horizon, (126, 196, 70)
        field = self._band(XS * 0 + h + 8, mix(lit((90, 150, 80)), self.haze, 0.3),
                           lit(mix(green, (50, 110, 40), 0.5)), h + 8)
        petals = [(250, 230, 80), (252, 252, 252), (244, 110, 160), (232, 60, 60)]
        flowers = self._scatter(76)
        def draw(canvas):
            field(canvas)
            for i, (x, near) in enumerate(flowers):
                size, y = 2.6 + 4.2 * near, h + 20 + near * (HEIGHT - h - 28)
                for at in self._around(x, 8):
                    canvas.drawCircle(at, y, size, fill(lit(petals[i % 4])))
        trees = self._band(self._wave(h + 4, 7), mix(lit((60, 110, 64)), self.haze, 0.45), lit((80, 140, 70)), h - 10)
        return [(0.35, trees), (1.0, draw)]

    def _firs(self, count, foot, height, leaf, snow=None):
        """A row of fir trees; with snow, white on their upper edges."""
        places = [(x, self.fixed.uniform(0.75, 1.25)) for x in (np.arange(count) + 0.5) / count * PERIOD
                  + self.fixed.uniform(-8, 8, count)]
        def draw(canvas):
            for x, grown in places:
                top, half = foot - height * grown, height * grown * 0.27
                for at in self._around(x, half):
                    for k, shade in ((0.0, leaf), (0.3, leaf), (0.58, leaf)):
                        y = top + (foot - top) * k
                        side = half * (0.45 + 0.95 * k)
                        tier = [(at, y), (at - side, y + height * grown * 0.42), (at + side, y + height * grown * 0.42)]
                        canvas.drawPath(polygon(tier), fill(shade))
                        if snow:
                            cap = [(at, y), (at - side * 0.5, y + height * grown * 0.2), (at, y + height * grown * 0.14),
                                   (at + side * 0.5, y + height * grown * 0.2)]
                            canvas.drawPath(polygon(cap), fill(snow))
        return draw

    def _forest(self):
        lit, h, dark = self.lit, self.horizon, (34, 84, 52)
        back = self._band(self._wave(h - 12, 12), mix(lit((70, 120, 84)), self.haze, 0.55), lit((60, 104, 70)), h - 30)
        floor = self._band(self._wave(h + 78, 6), lit((60, 96, 44)), lit((34, 60, 30)), h + 60)
        front = self._firs(9, h + 92, 120, lit(dark))
        def near(canvas):
            floor(canvas)
            front(canvas)
        return [(0.25, back), (0.5, self._firs(18, h + 42, 78, mix(lit((50, 104, 70)), self.haze, 0.35))), (1.0, near)]

    def _snowfield(self):
        lit, h, white = self.lit, self.horizon, (238, 244, 252)
        blue = (150, 178, 214)
        far = self._band(self._wave(h + 2, 16), mix(lit(white), self.haze, 0.45), lit(mix(white, blue, 0.3)), h - 14)
        middle = self._band(self._wave(h + 38, 18), lit(white), lit(mix(white, blue, 0.55)), h + 14)
        firs = self._firs(8, h + 56, 56, lit((52, 88, 84)), lit((244, 248, 254)))
        def trees(canvas):
            middle(canvas)
            firs(canvas)
        return [(0.25, far), (0.5, trees),
                (1.0, self._band(self._wave(h + 80, 14), lit(white), lit(mix(white, blue, 0.7)), h + 62))]

    def _city(self):
        lit, h = self.lit, self.horizon
        rows = []
        for row, (haze, low, high) in enumerate([(0.5, 70, 140), (0.1, 40, 96)]):
            wall = mix(lit((92, 98, 118)), self.haze, haze)
            window = (255, 222, 130) if self.time in ("night", "sunset") else mix(wall, (255, 255, 255), 0.3)
            rows.append(((0.4, 0.8)[row], self._houses(wall, window, h + 34 + row * 16, low, high, 235 if row else 150)))
        street = lambda canvas: canvas.drawRect(box(-4, h + 50, PERIOD + 4, HEIGHT + 4),
                                                vertical(h + 50, HEIGHT, [lit((86, 88, 98)), lit((50, 52, 60))]))
        return rows + [(1.0, street)]

    def _houses(self, wall, window, foot, low, high, alpha):
        f, houses, x = self.fixed, [], 0
        while x < PERIOD - 40:
            width = int(f.integers(5, 8)) * 8
            width = min(width, PERIOD - x) if PERIOD - x - width > 40 else PERIOD - x
            houses.append((x, width, foot - f.uniform(low, high), f.uniform(0.88, 1.08), f.random((16, 12)) < 0.5))
            x += width
        def draw(canvas):
            paint = fill(window, alpha)
            for x, width, top, shade, lights in houses:
                canvas.drawRect(box(x, top, x + width + 1, HEIGHT + 4), fill(scale(wall, (shade,) * 3)))
                for row, y in enumerate(np.arange(top + 9, foot - 10, 16)):
                    for column, at in enumerate(range(x + 7, x + width - 9, 14)):
                        if lights[row % 16, column % 12]:
                            canvas.drawRect(box(at, y, at + 6, y + 8), paint)
        return draw

    # --- water, space ----------------------------------------------------------------------------------------

    def _water(self):
        far, near = mix(self.lit((44, 120, 176)), self.haze, 0.35), self.lit((12, 62, 120))
        self.wave_colour = mix(far, (255, 255, 255), 0.25)
        return far, near

    def _draw_glint(self, canvas, top):
        """The path of light below sun or moon; it does not move with the camera."""
        if self.sunny and self.time != "day":
            for i in range(9):
                u = (i + 0.5) / 9
                y, half = top + 3 + u * u * 92, 26 - 12 * abs(u - 0.4)
                canvas.drawOval(box(self.sun_x - half, y - 1 - 2 * u, self.sun_x + half, y + 1 + 2 * u),
                                fill(SUN[self.time], 150 * (1 - 0.6 * u)))

    def _sea(self):
        far, near = self._water()
        def draw(canvas):
            canvas.drawRect(box(-4, self.horizon, PERIOD + 4, HEIGHT), vertical(self.horizon, HEIGHT, [far, near]))
        return [(0.0, draw), (0.0, lambda canvas: self._draw_glint(canvas, self.horizon))]

    def _lake(self):
        """Mountains, and the same upside down and darker in the water."""
        lit, h = self.lit, self.horizon
        far, near = self._water()
        peaks = self._peaks(h + 10, 70)
        shore = self._band(self._wave(h - 6, 7), mix(lit((60, 110, 70)), self.haze, 0.2), lit((50, 96, 60)), h - 20)
        shore_y = h + 10
        def land(canvas):
            canvas.save()
            canvas.clipRect(box(-4, 0, PERIOD + 4, shore_y))
            peaks(canvas)
            shore(canvas)
            canvas.restore()
        def mirror(canvas):
            canvas.drawRect(box(-4, shore_y, PERIOD + 4, HEIGHT), vertical(shore_y, HEIGHT, [mix(far, self.haze, 0.4), near]))
            canvas.save()
            canvas.clipRect(box(-4, shore_y, PERIOD + 4, HEIGHT))
            canvas.translate(0, 2 * shore_y)
            canvas.scale(1, -1)
            canvas.saveLayerAlpha(box(-4, 0, PERIOD + 4, shore_y), 120)
            land(canvas)
            canvas.restore()
            canvas.restore()
        return [(0.3, lambda canvas: (mirror(canvas), land(canvas))),
                (0.0, lambda canvas: self._draw_glint(canvas, shore_y))]

    def draw_waves(self, canvas, t, shift):
        """Five lines of waves that run against each other; t in seconds, shift: how far the camera went."""
        top, tall = (self.horizon, 1.0) if self.background == "sea" else (self.horizon + 14, 0.5)
        xs = np.linspace(-4, WIDTH + 4, 66)
        for i in range(5):
            u = (i + 0.5) / 5
            y = top + 6 + u * u * (HEIGHT - top)
            length, way = 60 + 100 * u, 1 if i % 2 else -1
            angle = (xs + shift * (0.4 + 0.6 * u)) / length * 6.28 + t * 1.0 * way + i * 2.1 + self.wave_phase
            ys = y + tall * (1.5 + 4 * u) * np.sin(angle)
            canvas.drawPath(polygon(zip(xs, ys), False), stroke(self.wave_colour, 2 + 3 * u, 110 * tall))

    def _space(self):
        f = self.fixed
        stars = [(f.uniform(0, PERIOD), f.uniform(0, HEIGHT), f.uniform(1.2, 2.6), f.uniform(140, 255)) for _ in range(90)]
        nebulae = [(f.uniform(0, PERIOD), f.uniform(40, 250), f.uniform(90, 150), c)
                   for c in ((120, 60, 200), (40, 90, 200), (200, 60, 140), (60, 140, 190))]
        hue = [(214, 150, 100), (120, 170, 220), (200, 120, 130)][self.layout % 3]
        x0, y0, r = f.uniform(200, 800), f.uniform(70, 130), f.uniform(44, 58)
        def deep(canvas):
            for x, y, radius, c in nebulae:
                for at in self._around(x, radius):
                    canvas.drawCircle(at, y, radius, radial(at, y, radius, [c + (90,), c + (0,)]))
            for x, y, size, alpha in stars:
                canvas.drawCircle(x, y, size, fill((255, 250, 240), alpha))
        def planet(canvas):
            for at in (x0, (x0 + PERIOD / 2) % PERIOD):
                shades = [mix(hue, (255, 255, 255), 0.4), hue, scale(hue, (0.25, 0.22, 0.35))]
                canvas.drawCircle(at, y0, r, radial(at - r * 0.4, y0 - r * 0.4, r * 1.7, shades, [0, 0.4, 1]))
                canvas.save()
                canvas.translate(at, y0)
                canvas.rotate(-18)
                canvas.drawOval(box(-r * 1.7, -r * 0.22, r * 1.7, r * 0.22), stroke(mix(hue, (255, 240, 220), 0.5), 4, 150))
                canvas.restore()
        return [(0.3, deep), (0.6, planet)]
