# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short names for the few Skia calls the renderer makes. Colours are (r, g, b) or (r, g, b, a) of 0..255."""

import skia

WIDTH, HEIGHT = 512, 288            # coordinates of every drawing function, whatever the size of the picture


def colour(c, alpha=255):
    r, g, b = (int(max(0, min(255, v))) for v in c[:3])
    return skia.ColorSetARGB(int(c[3] if len(c) > 3 else alpha), r, g, b)


def mix(a, b, t):
    return tuple(a[i] * (1 - t) + b[i] * t for i in range(3))


def scale(c, light):
    return tuple(c[i] * light[i] for i in range(3))


def fill(c, alpha=255, **keywords):
    return skia.Paint(Color=colour(c, alpha), AntiAlias=True, **keywords)


def stroke(c, width, alpha=255):
    return fill(c, alpha, Style=skia.Paint.kStroke_Style, StrokeWidth=width)


def vertical(y0, y1, colours, positions=None):
    points = [skia.Point(0, y0), skia.Point(0, y1)]
    return _gradient(skia.GradientShader.MakeLinear(points, [colour(c) for c in colours], positions))


def horizontal(x0, x1, colours, positions=None):
    points = [skia.Point(x0, 0), skia.Point(x1, 0)]
    return _gradient(skia.GradientShader.MakeLinear(points, [colour(c) for c in colours], positions))


def radial(x, y, radius, colours, positions=None):
    return _gradient(skia.GradientShader.MakeRadial(skia.Point(x, y), radius, [colour(c) for c in colours], positions))


def _gradient(shader):
    return skia.Paint(Shader=shader, AntiAlias=True, Dither=True)


def box(left, top, right, bottom):
    return skia.Rect.MakeLTRB(float(left), float(top), float(right), float(bottom))


def polygon(points, close=True):
    return skia.Path.Polygon([skia.Point(float(x), float(y)) for x, y in points], close)
