# SPDX-License-Identifier: LGPL-2.1-or-later
"""The five things that may be in the picture, each drawn about (0, 0) at a given size."""

from paint import box, fill, horizontal, mix, polygon, radial, scale, stroke, vertical

SIZE = {"none": 1, "ball": 36, "balloon": 42, "hotair": 60, "boat": 60, "lantern": 36}
EXTENT = {                          # left, top, right, bottom in units of the size: what the loss calls the subject
    "none": (0, 0, 0, 0),
    "ball": (-1, -1, 1, 1),
    "balloon": (-0.85, -1, 0.85, 1.6),
    "hotair": (-0.85, -1, 0.85, 1.45),
    "boat": (-0.9, -1.3, 0.95, 0.4),
    "lantern": (-0.9, -1, 0.9, 1),
}


def draw_subject(canvas, kind, size, colour, light, facing):
    """light: the scene's light as (r, g, b) factors, already softened: a subject stays readable at night."""
    lit = scale(colour, light)
    shades = mix(lit, (255, 255, 255), 0.4), lit, scale(lit, (0.7, 0.7, 0.7))
    {"ball": _ball, "balloon": _balloon, "hotair": _hotair, "boat": _boat, "lantern": _lantern}[kind](
        canvas, size, shades, colour, lambda c: scale(c, light), facing)


def _ball(canvas, s, shades, colour, lit, facing):
    canvas.drawCircle(0, 0, s, radial(-s * 0.35, -s * 0.4, s * 1.5, shades, [0, 0.4, 1]))


def _balloon(canvas, s, shades, colour, lit, facing):
    canvas.drawLine(0, s * 1.1, 0, s * 2, stroke(lit((235, 235, 235)), 3))
    canvas.drawOval(box(-s * 0.82, -s, s * 0.82, s), radial(-s * 0.3, -s * 0.4, s * 1.6, shades, [0, 0.4, 1]))
    canvas.drawPath(polygon([(0, s * 0.9), (-7, s * 1.2), (7, s * 1.2)]), fill(shades[2]))


def _hotair(canvas, s, shades, colour, lit, facing):
    light, middle, dark = shades
    for side in (-1, 1):
        canvas.drawLine(side * s * 0.45, s * 0.5, side * s * 0.18, s * 1.15, stroke(lit((90, 70, 50)), 2.5))
    canvas.drawOval(box(-s * 0.85, -s, s * 0.85, s * 0.75),
                    horizontal(-s * 0.85, s * 0.85, [dark, middle, light, middle, dark]))
    canvas.drawOval(box(-s * 0.2, -s, s * 0.2, s * 0.75), fill(lit((250, 244, 225))))
    canvas.drawRoundRect(box(-s * 0.24, s * 1.1, s * 0.24, s * 1.45), 4, 4, fill(lit((130, 86, 48))))


def _boat(canvas, s, shades, colour, lit, facing):
    """Hull and sails carry the colour: it is what a viewer calls the colour of a boat."""
    light, middle, dark = shades
    canvas.scale(facing, 1)
    canvas.drawRect(box(-2.5, -s * 1.3, 2.5, 0), fill(lit((80, 60, 40))))
    canvas.drawPath(polygon([(4, -s * 1.28), (4, -s * 0.12), (s * 0.9, -s * 0.12)]), fill(middle))
    canvas.drawPath(polygon([(-4, -s * 1.1), (-4, -s * 0.12), (-s * 0.7, -s * 0.12)]), fill(light))
    hull = [(-s * 0.9, 0), (s * 0.95, 0), (s * 0.6, s * 0.38), (-s * 0.7, s * 0.38)]
    canvas.drawPath(polygon(hull), fill(dark))
    canvas.drawRect(box(-s * 0.9, 0, s * 0.93, s * 0.07), fill(lit((245, 240, 230))))


def _lantern(canvas, s, shades, colour, lit, facing):
    """A lamp: it shines in its own colour, whatever the light of the scene."""
    canvas.drawCircle(0, 0, s * 2.4, radial(0, 0, s * 2.4, [colour + (140,), colour + (0,)]))
    canvas.drawRoundRect(box(-s * 0.7, -s * 0.85, s * 0.7, s * 0.85), s * 0.35, s * 0.35,
                         vertical(-s * 0.85, s * 0.85, [colour, mix(colour, (255, 250, 200), 0.45)]))
    for y in (-0.9, 0.9):
        canvas.drawRect(box(-s * 0.4, (y - 0.1) * s, s * 0.4, (y + 0.1) * s), fill((60, 42, 34)))
