# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people may call a scene: synonyms, omissions and orders of words, drawn anew at every use.

What goes without saying is left out most: a scene that names no time is by day, one that names no weather is clear,
so that a short prompt has one meaning.
"""

import numpy as np

from world import Attributes

NOUN = {
    "ball": ["ball", "ball", "sphere", "orb", "beach ball"],
    "balloon": ["balloon", "balloon", "party balloon", "toy balloon"],
    "hotair": ["hot air balloon", "hot air balloon", "hot-air balloon", "balloon with a basket"],
    "boat": ["boat", "boat", "sailboat", "sailing boat", "ship", "yacht"],
    "lantern": ["lantern", "lantern", "paper lantern", "lamp", "glowing lantern"],
}
PLACE = {                           # after a subject
    "hills": ["over green hills", "over the hills", "over hills", "above rolling hills", "in the hills",
              "in front of green hills", "over a hilly landscape"],
    "sea": ["over the sea", "over the ocean", "above the water", "above the sea", "at sea", "over a calm sea"],
    "mountains": ["over the mountains", "in the mountains", "in front of mountains", "above snowy mountains",
                  "over mountains"],
    "desert": ["in the desert", "over sand dunes", "over the desert", "above the dunes", "over a sandy desert"],
    "city": ["in the city", "over a city", "over the city", "over a city skyline", "between skyscrapers",
             "above the town"],
    "meadow": ["over a meadow", "in a field of flowers", "over a flower field", "in a meadow", "above the grass",
               "over a green field"],
}
AFLOAT = ["on the sea", "on the sea", "on the ocean", "on the water", "at sea", "on a calm sea"]    # boats
LAND = {                            # a landscape that is named first, or stands alone
    "hills": ["green hills", "rolling hills", "hills", "the hills", "a hilly landscape"],
    "sea": ["the sea", "a calm sea", "calm sea", "the ocean", "open water", "sea"],
    "mountains": ["mountains", "snowy mountains", "a mountain range", "the mountains", "mountain peaks"],
    "desert": ["the desert", "sand dunes", "a desert", "desert dunes", "a sandy desert"],
    "city": ["a city", "a city skyline", "the city", "skyscrapers", "a town"],
    "meadow": ["a meadow", "a field of flowers", "flowers in the grass", "a flower meadow", "a green field"],
}
TIME = {
    "day": ["by day", "at noon", "in daylight", "in the sunshine", "on a sunny day", "during the day"],
    "sunset": ["at sunset", "at sunset", "in the evening", "at dusk", "at sundown", "in the evening light"],
    "night": ["at night", "at night", "by night", "under the moon", "under the stars", "in the moonlight"],
    "dawn": ["at dawn", "at sunrise", "in the morning", "in the early morning", "at daybreak"],
}
SKY = {
    "clear": ["under a clear sky", "clear sky", "clear weather", "with a clear sky"],
    "clouds": ["with drifting clouds", "under a cloudy sky", "slow clouds", "with clouds", "cloudy sky", "clouds",
               "with slow clouds", "drifting clouds"],
    "fog": ["in the fog", "in thick mist", "fog", "in fog", "mist", "with fog", "in the mist"],
}
ADJECTIVE = {                       # before the name of a landscape
    "day": ["sunny", "bright"], "sunset": ["evening"], "night": ["moonlit", "dark", "night"], "dawn": ["early"],
    "clouds": ["cloudy"], "fog": ["foggy", "misty"],
}
MOVE = {
    "float": ["floating", "hovering", "floating in the air", "standing still", "at rest", "floating gently"],
    "left": ["moving left", "drifting to the left", "drifting left", "going left", "flying to the left"],
    "right": ["moving right", "drifting to the right", "drifting right", "going right", "flying to the right"],
    "up": ["rising", "moving up", "rising slowly", "flying up", "rising into the sky"],
}
SAIL = {
    "float": ["at anchor", "floating", "rocking on the waves", "standing still"],
    "left": ["sailing left", "sailing to the left", "moving left", "drifting to the left"],
    "right": ["sailing right", "sailing to the right", "moving right", "drifting to the right"],
}
QUALITY = ["big", "large", "beautiful", "single", "bright", "lonely", "small", "round", "pretty"]
OPENING = ["a video of", "a picture of", "a view of", "a scene with", "there is", "cinematic shot of"]
ENDING = ["slow motion", "cinematic", "beautiful scenery", "peaceful", "high quality", "wide shot"]


def caption(a: Attributes, rng: np.random.Generator) -> str:
    """One caption of the scene; never names what is not there."""
    def pick(options):
        return options[int(rng.integers(len(options)))]
    def chance(p):
        return rng.random() < p
    say_time = not chance(0.55 if a.time == "day" else 0.05)
    say_sky = not chance(0.75 if a.weather == "clear" else 0.06)
    time, sky = pick(TIME[a.time]) if say_time else "", pick(SKY[a.weather]) if say_sky else ""
    land = pick(LAND[a.background])
    adjectives = [k for k, said in ((a.time, say_time), (a.weather, say_sky)) if said and k in ADJECTIVE]
    if adjectives and chance(0.2):                              # "foggy hills" instead of "hills in the fog"
        k = pick(adjectives)
        land = _adjective(land, pick(ADJECTIVE[k]))
        time, sky = ("" if k == a.time else time), ("" if k == a.weather else sky)
    joint = ", " if chance(0.35) else " "
    if a.subject == "none":
        parts = [land, time, sky]
    else:
        subject = _subject(a, rng, pick, chance)
        place = pick(AFLOAT) if a.subject == "boat" else pick(PLACE[a.background])
        move = pick((SAIL if a.subject == "boat" else MOVE)[a.motion])
        move = "" if chance(0.7 if a.motion == "float" else 0.15) else move
        if chance(0.03):
            place = ""
        order = rng.random()
        if order < 0.62 and not adjectives or order < 0.5:
            parts = [f"{subject} {move}".strip(), place, *_restore(a, time, sky, say_time, say_sky, pick)]
        elif order < 0.82:
            parts = [land, time, sky, f"{'with ' if joint == ' ' else ''}{subject} {move}".strip()]
        else:
            time, sky = _restore(a, time, sky, say_time, say_sky, pick)
            parts = [time, f"{subject} {move}".strip(), place, sky]
    text = joint.join(p for p in parts if p)
    if chance(0.06):
        text = f"{pick(OPENING)} {text}"
    if chance(0.06):
        text = f"{text}, {pick(ENDING)}"
    return text


def _restore(a, time, sky, say_time, say_sky, pick):
    """Orders that do not name the landscape first say time and sky in words of their own."""
    return (time or pick(TIME[a.time])) if say_time else "", (sky or pick(SKY[a.weather])) if say_sky else ""


def _subject(a, rng, pick, chance):
    words = [] if chance(0.05) else [a.colour]
    if chance(0.08):
        words.insert(0, pick(QUALITY))
    words.append(pick(NOUN[a.subject]))
    phrase = " ".join(words)
    article = pick(["the", "one", ""]) if chance(0.12) else "an" if phrase[0] in "aeiou" else "a"
    return f"{article} {phrase}".strip()


def _adjective(land, word):
    for article in ("a ", "the "):
        if land.startswith(article):
            return article + word + " " + land[len(article):]
    return word + " " + land
