# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may be in the picture, each drawn about (0, 0) at a given size."""

import math

from paint import box, fill, horizontal, mix, polygon, radial, scale, stroke, vertical

SIZE = {"none": 1, "ball": 36, "balloon": 42, "hotair": 60, "boat": 60, "lantern": 36, "kite": 50, "bird": 52}
EXTENT = {                          # left, top, right, bottom in units of the size: what the loss calls the subject
    "none": (0, 0, 0, 0),
    "ball": (-1, -1, 1, 1),
    "balloon": (-0.85, -1, 0.85, 1.6),
    "hotair": (-0.85, -1, 0.85, 1.45),
    "boat": (-0.9, -1.3, 0.95, 0.4),
    "lantern": (-0.9, -1, 0.9, 1),
    "kite": (-0.75, -1, 0.75, 1.7),
    "bird": (-1, -0.8, 1, 0.6),
}
FLAPS = 1.1                         # of a bird's wings, a second


def draw_subject(canvas, kind, size, colour, light, facing, t):
    """light: the scene's light as (r, g, b) factors, already softened: a subject stays readable at night. t in seconds."""
    lit = scale(colour, light)
    shades = mix(lit, (255, 255, 255), 0.4), lit, scale(lit, (0.7, 0.7, 0.7))
    {"ball": _ball, "balloon": _balloon, "hotair": _hotair, "boat": _boat, "lantern": _lantern, "kite": _kite,
     "bird": _bird}[kind](canvas, size, shades, colour, lambda c: scale(c, light), facing, t)


def _ball(canvas, s, shades, colour, lit, facing, t):
    canvas.drawCircle(0, 0, s, radial(-s * 0.35, -s * 0.4, s * 1.5, shades, [0, 0.4, 1]))


def _balloon(canvas, s, shades, colour, lit, facing, t):
    canvas.drawLine(0, s * 1.1, 2 * math.sin(1.6 * t), s * 2, stroke(lit((235, 235, 235)), 3))
    canvas.drawOval(box(-s * 0.82, -s, s * 0.82, s), radial(-s * 0.3, -s * 0.4, s * 1.6, shades, [0, 0.4, 1]))
    canvas.drawPath(polygon([(0, s * 0.9), (-7, s * 1.2), (7, s * 1.2)]), fill(shades[2]))


def _hotair(canvas, s, shades, colour, lit, facing, t):
    light, middle, dark = shades
    for side in (-1, 1):
        canvas.drawLine(side * s * 0.45, s * 0.5, side * s * 0.18, s * 1.15, stroke(lit((90, 70, 50)), 2.5))
    canvas.drawOval(box(-s * 0.85, -s, s * 0.85, s * 0.75),
                    horizontal(-s * 0.85, s * 0.85, [dark, middle, light, middle, dark]))
    canvas.drawOval(box(-s * 0.2, -s, s * 0.2, s * 0.75), fill(lit((250, 244, 225))))
    canvas.drawRoundRect(box(-s * 0.24, s * 1.1, s * 0.24, s * 1.45), 4, 4, fill(lit((130, 86, 48))))


def _boat(canvas, s, shades, colour, lit, facing, t):
    """Hull and sails carry the colour: it is what a viewer calls the colour of a boat."""
    light, middle, dark = shades
    canvas.scale(facing, 1)
    canvas.drawOval(box(-s * 0.8, s * 0.3, s * 0.8, s * 0.62), fill(scale(dark, (0.5, 0.5, 0.6)), 90))
    canvas.rotate(1.5 * math.sin(1.3 * t))
    canvas.drawRect(box(-2.5, -s * 1.3, 2.5, 0), fill(lit((80, 60, 40))))
    canvas.drawPath(polygon([(4, -s * 1.28), (4, -s * 0.12), (s * 0.9, -s * 0.12)]), fill(middle))
    canvas.drawPath(polygon([(-4, -s * 1.1), (-4, -s * 0.12), (-s * 0.7, -s * 0.12)]), fill(light))
    hull = [(-s * 0.9, 0), (s * 0.95, 0), (s * 0.6, s * 0.38), (-s * 0.7, s * 0.38)]
    canvas.drawPath(polygon(hull), fill(dark))
    canvas.drawRect(box(-s * 0.9, 0, s * 0.93, s * 0.07), fill(lit((245, 240, 230))))


def _lantern(canvas, s, shades, colour, lit, facing, t):
    """A lamp: it shines in its own colour, whatever the light of the scene."""
    canvas.drawCircle(0, 0, s * 2.4, radial(0, 0, s * 2.4, [colour + (140,), colour + (0,)]))
    canvas.drawRoundRect(box(-s * 0.7, -s * 0.85, s * 0.7, s * 0.85), s * 0.35, s * 0.35,
                         vertical(-s * 0.85, s * 0.85, [colour, mix(colour, (255, 250, 200), 0.45)]))
    for y in (-0.9, 0.9):
        canvas.drawRect(box(-s * 0.4, (y - 0.1) * s, s * 0.4, (y + 0.1) * s), fill((60, 42, 34)))


def _kite(canvas, s, shades, colour, lit, facing, t):
    """A diamond of four panes, leaning with the wind, and a tail that waves."""
    light, middle, dark = shades
    canvas.rotate(14 * facing + 4 * math.sin(1.4 * t))
    top, left, right, foot, heart = (0, -s), (-s * 0.68, -s * 0.2), (s * 0.68, -s * 0.2), (0, s * 0.75), (0, -s * 0.2)
    tail = [(s * 0.16 * math.sin(2.2 * t - 2.4 * u) * u, s * (0.75 + u)) for u in (0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    canvas.drawPath(polygon(tail, False), stroke(dark, 4))
    for pane, shade in (((top, left, heart), light), ((top, right, heart), middle), ((left, foot, heart), middle),
                        ((right, foot, heart), dark)):
        canvas.drawPath(polygon(pane), fill(shade))


def _bird(canvas, s, shades, colour, lit, facing, t):
    """From the side, one wing behind the body and one before it, beating."""
    light, middle, dark = shades
    canvas.scale(facing, 1)
    beat = math.sin(2 * math.pi * FLAPS * t)
    wing = [(-s * 0.28, -s * 0.02), (-s * 0.42, -s * (0.12 + 0.62 * beat)), (s * 0.26, -s * 0.06)]
    behind = [(x + s * 0.14, y * 0.8 - s * 0.03) for x, y in wing]
    canvas.drawPath(polygon(behind), fill(dark))
    canvas.drawPath(polygon([(-s * 0.45, 0), (-s * 1.0, -s * 0.16), (-s * 0.92, s * 0.16)]), fill(dark))
    canvas.drawOval(box(-s * 0.58, -s * 0.24, s * 0.52, s * 0.24), fill(middle))
    canvas.drawCircle(s * 0.54, -s * 0.16, s * 0.22, fill(middle))
    canvas.drawPath(polygon([(s * 0.72, -s * 0.24), (s * 1.0, -s * 0.12), (s * 0.72, -s * 0.06)]),
                    fill(lit((250, 180, 60))))
    canvas.drawCircle(s * 0.6, -s * 0.2, s * 0.05, fill((20, 20, 24)))
    canvas.drawPath(polygon(wing), fill(light))
