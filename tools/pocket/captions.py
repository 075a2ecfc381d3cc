# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people may call a scene: synonyms, omissions and orders of words, drawn anew at every use.

What goes without saying is left out most: a scene that names no time is by day, one that names no weather is clear,
one that names no camera stands still, so that a short prompt has one meaning. Words that mean nothing here are strewn
in, so that they are learned to mean nothing.
"""

import numpy as np

from world import Attributes

NOUN = {
    "ball": ["ball", "ball", "sphere", "orb", "beach ball", "globe"],
    "balloon": ["balloon", "balloon", "party balloon", "toy balloon", "air balloon"],
    "hotair": ["hot air balloon", "hot air balloon", "hot-air balloon", "balloon with a basket", "montgolfier"],
    "boat": ["boat", "boat", "sailboat", "sailing boat", "ship", "yacht", "sailing ship"],
    "lantern": ["lantern", "lantern", "paper lantern", "lamp", "glowing lantern", "sky lantern"],
    "kite": ["kite", "kite", "toy kite", "paper kite", "flying kite"],
    "bird": ["bird", "bird", "flying bird", "songbird", "parrot", "seagull"],
}
PLACE = {                           # after a subject
    "hills": ["over green hills", "over the hills", "over hills", "above rolling hills", "in the hills",
              "in front of green hills", "over a hilly landscape", "over the countryside"],
    "sea": ["over the sea", "over the ocean", "above the water", "above the sea", "at sea", "over a calm sea", "over the waves"],
    "mountains": ["over the mountains", "in the mountains", "in front of mountains", "above snowy mountains",
                  "over mountains", "over the peaks", "in the alps"],
    "desert": ["in the desert", "over sand dunes", "over the desert", "above the dunes", "over a sandy desert", "over the sand"],
    "city": ["in the city", "over a city", "over the city", "over a city skyline", "between skyscrapers",
             "above the town", "over the rooftops", "downtown"],
    "meadow": ["over a meadow", "in a field of flowers", "over a flower field", "in a meadow", "above the grass",
               "over a green field", "over wild flowers"],
    "forest": ["in the forest", "over the forest", "in the woods", "above the trees", "between the trees",
               "over a pine forest", "among pine trees"],
    "snowfield": ["over the snow", "over a snowfield", "over a snowy plain", "in a winter landscape", "over snowy fields",
                  "in the snow-covered land"],
    "lake": ["over a lake", "above the lake", "over a mountain lake", "at the lake", "by the lake", "over a quiet lake"],
    "space": ["in space", "in outer space", "among the stars", "in the galaxy", "in the universe", "near a planet"],
}
AFLOAT = {                          # boats
    "sea": ["on the sea", "on the sea", "on the ocean", "on the water", "at sea", "on a calm sea", "on the waves"],
    "lake": ["on a lake", "on the lake", "on a mountain lake", "on a quiet lake", "on the lake"],
}
LAND = {                            # a landscape that is named first, or stands alone
    "hills": ["green hills", "rolling hills", "hills", "the hills", "a hilly landscape", "the countryside"],
    "sea": ["the sea", "a calm sea", "calm sea", "the ocean", "open water", "sea", "ocean waves", "ocean"],
    "mountains": ["mountains", "snowy mountains", "a mountain range", "the mountains", "mountain peaks", "the alps"],
    "desert": ["the desert", "sand dunes", "a desert", "desert dunes", "a sandy desert", "desert"],
    "city": ["a city", "a city skyline", "the city", "skyscrapers", "a town", "city", "city skyline", "downtown"],
    "meadow": ["a meadow", "a field of flowers", "flowers in the grass", "a flower meadow", "a green field", "wild flowers"],
    "forest": ["a forest", "the forest", "the woods", "a pine forest", "pine trees", "forest", "fir trees"],
    "snowfield": ["a snowfield", "a winter landscape", "snowy fields", "a snowy plain", "snow-covered land", "winter"],
    "lake": ["a lake", "a mountain lake", "the lake", "a quiet lake", "lake", "a lake in the mountains"],
    "space": ["space", "outer space", "the stars", "the galaxy", "the universe", "stars and planets", "a planet in space"],
}
TIME = {
    "day": ["by day", "at noon", "in daylight", "in the sunshine", "on a sunny day", "during the day", "at midday"],
    "sunset": ["at sunset", "at sunset", "in the evening", "at dusk", "at sundown", "in the evening light", "at golden hour"],
    "night": ["at night", "at night", "by night", "under the moon", "under the stars", "in the moonlight", "at midnight"],
    "dawn": ["at dawn", "at sunrise", "in the morning", "in the early morning", "at daybreak", "in the morning light"],
}
SKY = {
    "clear": ["under a clear sky", "clear sky", "clear weather", "with a clear sky", "cloudless sky"],
    "clouds": ["with drifting clouds", "under a cloudy sky", "slow clouds", "with clouds", "cloudy sky", "clouds",
               "with slow clouds", "drifting clouds", "with white clouds", "cloudy weather"],
    "fog": ["in the fog", "in thick mist", "fog", "in fog", "mist", "with fog", "in the mist", "in the haze", "foggy weather"],
    "rain": ["in the rain", "in the rain", "with rain", "rain", "rainy weather", "on a rainy day", "in heavy rain", "while it rains"],
    "snow": ["in the falling snow", "with snow falling", "snowfall", "in a snowfall", "while it snows", "with snowflakes",
             "snow is falling", "in a snowstorm"],
}
ADJECTIVE = {                       # before the name of a landscape
    "day": ["sunny", "bright"], "sunset": ["evening", "sunset"], "night": ["moonlit", "dark", "night"], "dawn": ["early", "morning"],
    "clouds": ["cloudy"], "fog": ["foggy", "misty"], "rain": ["rainy"], "snow": ["snowing"],
}
MOVE = {
    "float": ["floating", "hovering", "floating in the air", "standing still", "at rest", "floating gently"],
    "left": ["moving left", "drifting to the left", "drifting left", "going left", "flying to the left", "flying left"],
    "right": ["moving right", "drifting to the right", "drifting right", "going right", "flying to the right", "flying right"],
    "up": ["rising", "moving up", "going up", "flying up", "rising into the sky", "climbing"],
    "down": ["sinking", "moving down", "going down", "coming down", "falling from the sky", "descending", "landing"],
    "bounce": ["bouncing", "bouncing up and down", "jumping", "jumping up and down", "hopping"],
}
SAIL = {
    "float": ["at anchor", "floating", "rocking on the waves", "standing still"],
    "left": ["sailing left", "sailing to the left", "moving left", "drifting to the left", "going left"],
    "right": ["sailing right", "sailing to the right", "moving right", "drifting to the right", "going right"],
}
PACE = {"normal": [""], "slow": ["slowly", "slowly", "very slowly", "gently"],
        "fast": ["fast", "quickly", "fast", "rapidly", "at high speed"]}
CAMERA = {
    "still": ["still camera", "static camera", "static shot", "fixed camera"],
    "pan left": ["camera panning left", "camera pans left", "pan left", "the camera moves to the left", "slow pan to the left"],
    "pan right": ["camera panning right", "camera pans right", "pan right", "the camera moves to the right",
                  "slow pan to the right"],
}
QUALITY = ["big", "large", "beautiful", "single", "bright", "lonely", "small", "round", "pretty", "shiny", "old", "new",
           "little", "tiny", "huge", "magic", "colorful", "cute", "nice", "lovely", "wonderful", "funny"]
OPENING = ["a video of", "a picture of", "a view of", "a scene with", "there is", "cinematic shot of", "footage of", "show me",
           "a short film of", "an animation of", "background with", "please make", "i want to see", "a clip of"]
ENDING = ["slow motion", "cinematic", "beautiful scenery", "peaceful", "high quality", "wide shot", "4k", "realistic",
          "in the style of a cartoon", "very detailed", "calm mood", "relaxing", "amazing", "with music", "my favourite",
          "masterpiece", "hd", "romantic", "dreamy", "nobody is there"]
SHADE = {"red": ["crimson", "scarlet"], "orange": ["tangerine"], "yellow": ["golden"], "green": ["emerald"],
         "blue": ["azure", "dark blue"], "purple": ["violet", "lilac"], "pink": ["rose", "magenta"], "white": ["snow-white"]}


def caption(a: Attributes, rng: np.random.Generator) -> str:
    """One caption of the scene; never names what is not there."""
    def pick(options):
        return options[int(rng.integers(len(options)))]
    def chance(p):
        return rng.random() < p
    space = a.background == "space"
    say_time = not (space or chance(0.55 if a.time == "day" else 0.04))
    say_sky = not (space or chance(0.80 if a.weather == "clear" else 0.04))
    time, sky = pick(TIME[a.time]) if say_time else "", pick(SKY[a.weather]) if say_sky else ""
    land = pick(LAND[a.background])
    adjectives = [k for k, said in ((a.time, say_time), (a.weather, say_sky)) if said and k in ADJECTIVE]
    if adjectives and chance(0.2):                              # "foggy hills" instead of "hills in the fog"
        k = pick(adjectives)
        land = _adjective(land, pick(ADJECTIVE[k]))
        first_time, first_sky = ("" if k == a.time else time), ("" if k == a.weather else sky)
    else:
        first_time, first_sky = time, sky
    joint = pick([", ", ", ", ", ", " ", " ", " ", " ", " ", " ", ". "])
    if a.subject == "none":
        parts = [land, first_time, first_sky] if not chance(0.15) else [time, land if time else first_time or land, sky]
    else:
        subject, move = _subject(a, pick, chance), _move(a, pick, chance)
        place = pick(AFLOAT[a.background]) if a.subject == "boat" else pick(PLACE[a.background])
        order = rng.random()
        if order < 0.56:
            parts = [f"{subject} {move}".strip(), place, time, sky]
        elif order < 0.66:
            parts = [subject, place, move, time, sky]
        elif order < 0.84:
            parts = [land, first_time, first_sky, f"{'with ' if joint == ' ' else ''}{subject} {move}".strip()]
        elif order < 0.92:
            parts = [time, f"{subject} {move}".strip(), place, sky]
        else:                                                   # keywords
            joint, words = ", ", [f"{a.colour} {pick(NOUN[a.subject])}", land, first_time, first_sky, move]
            parts = [words[i] for i in rng.permutation(len(words))]
    if a.camera != "still" or chance(0.04):
        parts.insert(0 if chance(0.15) else len(parts), ("" if joint == ", " or not parts else ", ") + pick(CAMERA[a.camera]))
    text = joint.join(p for p in parts if p)
    if chance(0.08):
        text = f"{pick(OPENING)} {text}"
    if chance(0.08):
        text = f"{text}, {pick(ENDING)}"
    return text.replace(" , ", ", ").replace("..", ".").strip(" ,")


def moves(motion: str) -> list:
    """All phrases for it, of boats and of what flies."""
    return MOVE[motion] + SAIL.get(motion, [])


def untold(text: str, a: Attributes) -> set:
    """What the caption leaves open of time, weather and motion: neither named, nor what goes without saying."""
    names = {"time": ("day", TIME[a.time] + ADJECTIVE[a.time]), "weather": ("clear", SKY[a.weather] + ADJECTIVE.get(a.weather, [])),
             "motion": ("float", moves(a.motion))}
    return {k for k, (unsaid, phrases) in names.items() if getattr(a, k) != unsaid and not any(p in text for p in phrases)}


def _subject(a, pick, chance):
    colour = pick(SHADE[a.colour]) if chance(0.06) else a.colour
    words = [colour]
    if chance(0.10):
        words.insert(0, pick(QUALITY))
    words.append(pick(NOUN[a.subject]))
    phrase = " ".join(words)
    article = pick(["the", "one", "", "my"]) if chance(0.14) else "an" if phrase[0] in "aeiou" else "a"
    return f"{article} {phrase}".strip()


def _move(a, pick, chance):
    """A direction is nearly always said; that something stands or floats goes without saying."""
    if chance(0.7 if a.motion == "float" else 0.06):
        return ""
    words = pick((SAIL if a.subject == "boat" else MOVE)[a.motion]), pick(PACE[a.speed])
    return " ".join(reversed(words) if chance(0.25) else words).strip()


def _adjective(land, word):
    if land.startswith("a "):
        return ("an " if word[0] in "aeiou" else "a ") + word + land[1:]
    if land.startswith("the "):
        return "the " + word + land[3:]
    return word + " " + land
