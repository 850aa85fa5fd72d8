"""The pictures of the gallery: scenes listed by hand, painted with more care than those of the training.

`python -m training.gallery` rebuilds `multimodal/gallery/`: the same pictures, captions and questions every time;
with `--words` only the captions and questions, which needs no pictogram. None of them is seen in training: those
scenes are drawn at random by another composer (`scenes.SceneMaker`), at 112 pixels, from other seeds.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from toyworld import backgrounds, language, questions, render
from toyworld.language import COLOURS, Group, Scene
from toyworld.nouns import NOUNS

from . import sprites

FOLDER = Path(__file__).parent.parent / "multimodal" / "gallery"
SIZE = 512
CANVAS = 2 * SIZE  # painted twice as large, then reduced: edges come out smooth

# Style, place, light, seed of the background, and the objects from left to right. A colour is said only
# where `render.name_colour` finds it on the drawing; colourable nouns are painted if they do not have it.
LIST = """
noto        snow   day     3  dog
fluent-3d   room   day     25 cat
fluent-3d   road   sunset  4  car

fluent-3d   snow   night   1  snowman
fluent-3d   snow   sunset  2  deer
fluent-flat snow   day     6  pine tree
noto        grass  day     2  rabbit
fluent-3d   grass  day     3  brown horse
fluent-3d   grass  sunset  5  grey elephant
fluent-3d   grass  day     6  giraffe
fluent-3d   grass  day     7  tiger
noto        grass  day     8  blue butterfly
fluent-flat grass  day     9  sunflower
noto        beach  night   1  orange tent
fluent-3d   sunset day     1  castle
noto        sunset day     2  airplane
fluent-flat night  day     1  owl
fluent-flat night  day     3  ferris wheel
fluent-3d   room   day     12 blue guitar
noto        room   day     16 teddy bear
fluent-flat room   day     13 clock
fluent-3d   room   day     21 cake
fluent-flat room   day     32 blue chair
fluent-3d   road   day     1  bus
noto        road   night   2  taxi
fluent-flat road   day     3  fire engine
twemoji     road   day     4  red scooter
noto        sea    sunset  1  red sailboat
fluent-3d   sea    day     2  blue whale
fluent-flat sea    sunset  3  blue dolphin
noto        sea    night   4  ship
fluent-3d   desert day     1  camel
fluent-flat desert day     2  green cactus
fluent-3d   desert sunset  3  green dinosaur
fluent-3d   beach  day     1  green turtle
noto        beach  sunset  2  palm tree
fluent-flat beach  day     3  red crab
twemoji     plain  day     7  red apple
fluent-3d   plain  day     2  hamburger
fluent-flat plain  day     6  pizza
fluent-3d   plain  day     11 purple umbrella

fluent-3d   snow   day     5  2 penguin
fluent-flat plain  day     33 3 red balloon
fluent-3d   grass  day     11 3 white sheep
fluent-flat sea    sunset  5  2 white swan
noto        plain  day     40 3 red strawberry
fluent-3d   beach  day     4  2 kite
noto        room   day     27 2 candle

fluent-3d   grass  day     12 dog + cat
noto        grass  day     13 cat + dog
fluent-3d   grass  day     14 white rabbit + 2 carrot
noto        plain  day     8  cup of coffee + croissant
fluent-flat room   day     8  mouse + yellow cheese
fluent-3d   desert night   4  camel + cactus
fluent-flat snow   day     7  penguin + snowman
fluent-flat grass  day     15 2 bee + sunflower
noto        grass  night   3  tent + fire
fluent-3d   room   day     9  guitar + drum
fluent-3d   snow   night   4  house + 2 pine tree
fluent-3d   plain  day     30 banana + monkey
fluent-3d   night  day     5  rocket + planet
fluent-flat road   day     6  bus + bicycle
twemoji     road   sunset  7  red car + truck
fluent-3d   grass  day     16 soccer ball + trophy
noto        sea    day     6  whale + ship
twemoji     plain  day     36 grey elephant + mouse
fluent-flat beach  day     5  2 parrot + palm tree

fluent-flat plain  day     25 red apple + yellow banana + green pear
noto        grass  sunset  6  tree + house + horse
noto        room   day     10 red book + pencil + glasses
fluent-3d   grass  day     17 cow + sheep + rooster
fluent-flat road   day     8  blue car + motorcycle + yellow truck
"""

# How large a thing looks beside others, or alone in its picture; 1 if not named.
SIZES = {"mouse": 0.62, "bee": 0.6, "carrot": 0.72, "croissant": 0.9, "butterfly": 0.85, "crab": 0.9, "turtle": 0.95,
         "giraffe": 1.2, "elephant": 1.2, "castle": 1.25, "ferris wheel": 1.3, "house": 1.2, "tree": 1.2,
         "pine tree": 1.15, "palm tree": 1.2, "tent": 1.15, "rooster": 0.8, "sheep": 0.95, "bus": 1.1, "truck": 1.1,
         "motorcycle": 0.85, "bicycle": 0.85, "soccer ball": 0.7, "dinosaur": 1.15, "pencil": 0.85, "glasses": 0.85,
         "whale": 1.15, "ship": 1.15, "sailboat": 1.1, "rabbit": 0.9, "cat": 0.95, "planet": 0.85, "banana": 0.9,
         "cheese": 0.7, "fire": 0.8, "strawberry": 0.9, "candle": 0.85, "parrot": 0.75, "cup of coffee": 1.05}
FLIES = render.FLYING - {"owl", "parrot"}  # these two perch here


def read_list() -> list[tuple[Scene, str, int]]:
    """The scenes of `LIST`, each with its style and the seed of its background."""
    listed, nouns = [], [noun.english for noun in NOUNS]
    for line in filter(None, LIST.splitlines()):
        style, place, light, seed, things = line.split(maxsplit=4)
        groups = []
        for thing in things.split(" + "):
            words = thing.split()
            count = int(words.pop(0)) if words[0].isdigit() else 1
            colour = COLOURS.index(words.pop(0)) if words[0] in COLOURS else None
            groups.append(Group(nouns.index(" ".join(words)), count, colour))
        listed.append((Scene(tuple(groups), place, light), style, int(seed)))
    return listed


def drawing_of(group: Group, style: str) -> Image.Image:
    """The group's pictogram, RGBA, cropped to its outline, in the colour that the group claims."""
    noun = NOUNS[group.noun]
    small, large = (np.asarray(sprites.render(noun, style, size)) for size in (sprites.SPRITE_SIZE, CANVAS))
    if group.colour is not None and render.name_colour(small) != group.colour:
        small, large = (render.paint_sprite(sprite, COLOURS[group.colour]) for sprite in (small, large))
        if render.name_colour(small) != group.colour or group.name not in language.COLOURABLE:
            raise ValueError(f"{group.name} in {style} cannot be painted {COLOURS[group.colour]}")
    drawing = Image.fromarray(large)
    return drawing.crop(drawing.getbbox())


def compose(scene: Scene, style: str, seed: int) -> Image.Image:
    """Paint the scene: an RGB picture of `SIZE` x `SIZE` pixels."""
    rng = np.random.default_rng((9, seed))
    painted, horizon = backgrounds.paint(scene.place, scene.light, CANVAS, rng)
    light = scene.place if scene.place in ("night", "sunset") else scene.light
    canvas = _finish(painted, scene.place, light, horizon, rng)
    for drawing, x, foot, flies in _arrange(scene, style, rng):
        if scene.place == "sea" and not flies:
            _float(canvas, drawing, x, foot, light, rng)
            continue
        if not flies:
            _shade(canvas, drawing, x, foot, light, scene.place)
        drawing = _tint(drawing, light)
        if scene.place in ("grass", "snow") and not flies:
            drawing = _sink(drawing, 26 if scene.place == "grass" else 20, scene.place == "grass", rng)
        canvas.paste(drawing, (x, foot - drawing.height), drawing)
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _arrange(scene: Scene, style: str, rng: np.random.Generator) -> list:
    """Where each object stands: its drawing at its size, its left edge, its foot, and whether it flies."""
    drawings, names = [], []
    for group in scene.groups:
        drawings += [drawing_of(group, style)] * group.count
        names += [group.name] * group.count
    wanted = {1: 0.54, 2: 0.41, 3: 0.33}[min(len(drawings), 3)] * CANVAS
    sizes = np.array([SIZES.get(name, 1.0) for name in names])
    if len(drawings) > 1:
        sizes = sizes / sizes.mean()
    resized = []
    for drawing, size in zip(drawings, sizes):
        # Equal areas look equally large; the longer side keeps within the picture.
        scale = min(wanted * size / (drawing.width * drawing.height) ** 0.5,
                    0.74 * CANVAS / max(drawing.size))
        resized.append((drawing.width * scale, drawing.height * scale))
    shrink = min(1, 0.86 * CANVAS / sum(width for width, _ in resized))
    resized = [(round(width * shrink), round(height * shrink)) for width, height in resized]
    gap = (CANVAS - sum(width for width, _ in resized)) / (len(resized) + 1)
    tallest = max(height for _, height in resized)
    arranged, left = [], gap
    for i, (drawing, (width, height)) in enumerate(zip(drawings, resized)):
        flies = names[i] in FLIES
        step = (0.02 if i % 2 else -0.02) * (len(drawings) > 1)
        if scene.place == "plain":
            foot = 0.5 + tallest / CANVAS / 2 + step * (len(scene.groups) == 1)
        elif flies:
            foot = (0.58 if names[i] == "butterfly" else 0.42) + 2 * step + height / CANVAS / 2
        else:
            foot = (0.76 if scene.place == "sea" else 0.85) + step
        arranged.append((drawing.resize((width, height), Image.Resampling.LANCZOS), round(left),
                         round(foot * CANVAS), flies))
        left += width + gap
    return sorted(arranged, key=lambda placed: placed[2])


# The ground and the sky.

_LIT = {"day": (1, 1, 1), "night": (0.36, 0.42, 0.62), "sunset": (0.95, 0.66, 0.55)}


def _lit(colour: tuple, light: str) -> tuple[int, int, int]:
    return tuple(int(level * factor) for level, factor in zip(colour, _LIT[light]))


def _hump(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-(((x - centre) / width) ** 2))


def _finish(painted: np.ndarray, place: str, light: str, horizon: float, rng: np.random.Generator) -> Image.Image:
    """Add haze, light, stars and a few small things to a painted place."""
    rows, columns = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32) / CANVAS
    picture = painted.astype(np.float32) / 255
    spot = _hump(columns, 0.5, 0.5) * _hump(rows, 0.8, 0.3)
    if place == "plain":
        picture += 0.1 * (_hump(columns, 0.5, 0.5) * _hump(rows, 0.5, 0.5))[..., None]
    elif place != "room":
        haze = _hump(rows, horizon, 0.05) * {"day": 0.3, "night": 0.16, "sunset": 0.12}[light]
        colour = np.array({"day": (1, 1, 1), "night": (0.45, 0.55, 0.9), "sunset": (1, 0.8, 0.5)}[light], np.float32)
        picture += haze[..., None] * (colour - picture)
        picture *= 1 + spot[..., None] * {"day": 0.04, "night": 0.9, "sunset": 0.25}[light]
    if light == "sunset" and place in ("sea", "beach"):
        # The water mirrors the brightest part of the sky in broken bands.
        above = picture[int(horizon * CANVAS) - 8].sum(axis=-1)
        centre = float(np.argmax(np.convolve(above, np.ones(99), "same")[50:-50]) + 50) / CANVAS
        bands = np.clip(backgrounds.noise(CANVAS, 3, 60, rng, 2) + 0.3, 0, 1)
        depth = np.clip((rows - horizon) / (1 - horizon), 0, 1)
        end = 1.0 if place == "sea" else 0.24
        path = _hump(columns, centre, 0.09 + 0.16 * depth) * bands * (rows > horizon) * (depth < end)
        picture += (0.75 * path)[..., None] * (np.array((1, 0.8, 0.45), np.float32) - picture)
    picture *= (1.02 - 0.3 * ((rows - 0.5) ** 2 + (columns - 0.5) ** 2))[..., None]
    canvas = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    if light == "night":
        _scatter_stars(canvas, horizon, rng)
    if place in _PROPS:
        _PROPS[place](canvas, horizon, light, rng)
    return canvas


def _scatter_stars(canvas, horizon, rng):
    mask = Image.new("L", canvas.size)
    draw = ImageDraw.Draw(mask)
    for _ in range(90):
        x, y = rng.uniform(0, CANVAS), rng.uniform(0, (horizon - 0.06) * CANVAS)
        radius = rng.choice((1.2, 1.8, 2.6), p=(0.6, 0.3, 0.1))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.uniform(110, 255)))
    canvas.paste((255, 250, 235), mask=mask.filter(ImageFilter.GaussianBlur(0.8)))


def _tufts(canvas, horizon, light, rng, colours=((86, 150, 60), (64, 124, 46), (120, 176, 78)), count=26):
    draw = ImageDraw.Draw(canvas)
    for y in np.sort(rng.uniform(horizon + 0.08, 0.99, count)):
        near = (y - horizon) / (1 - horizon)
        x, height = rng.uniform(0, CANVAS), (10 + 38 * near) * rng.uniform(0.7, 1.2)
        for _ in range(7):
            foot, lean = x + rng.normal(0, height * 0.28), rng.normal(0, height * 0.3)
            tip, half = y * CANVAS - height * rng.uniform(0.6, 1.1), height / 12
            colour = _lit(colours[rng.integers(len(colours))], light)
            draw.polygon(((foot - half, y * CANVAS), (foot + half, y * CANVAS), (foot + lean, tip)), colour)


def _pebbles(canvas, horizon, light, rng, colour=(150, 132, 112), count=9):
    draw = ImageDraw.Draw(canvas)
    for y in np.sort(rng.uniform(horizon + 0.25, 0.98, count)):
        x, width = rng.uniform(0, CANVAS), (6 + 20 * (y - horizon)) * rng.uniform(0.8, 1.5)
        height, y, shade = width * 0.6, y * CANVAS, rng.uniform(0.85, 1.1)
        for scale, tone in ((1.0, 0.72), (0.86, 1.0), (0.45, 1.15)):
            lift = height * (1 - scale) * 0.55
            draw.ellipse((x - width * scale, y - height * scale - lift, x + width * scale, y + height * scale - lift),
                         _lit(tuple(min(255, level * shade * tone) for level in colour), light))


def _shells(canvas, horizon, light, rng):
    _pebbles(canvas, horizon, light, rng, (196, 176, 148), 6)
    draw = ImageDraw.Draw(canvas)
    for x, y in ((rng.uniform(0.06, 0.3), rng.uniform(0.9, 0.96)), (rng.uniform(0.72, 0.94), rng.uniform(0.88, 0.96))):
        x, y, radius, turn = x * CANVAS, y * CANVAS, rng.uniform(19, 26), rng.uniform(-25, 25)
        angles = np.radians(np.linspace(-62, 62, 6) + turn - 90)
        for first, last in pairwise(angles):
            rim = [(x + radius * np.cos(angle) * reach, y + radius * np.sin(angle) * reach)
                   for angle, reach in ((first, 0.96), ((first + last) / 2, 1.08), (last, 0.96))]
            draw.polygon([(x, y), *rim], _lit((252, 226, 208), light), _lit((214, 160, 138), light))
        draw.ellipse((x - 6, y - 5, x + 6, y + 5), _lit((226, 178, 156), light))


def _snowfall(canvas, horizon, light, rng):
    mounds, flakes = Image.new("L", canvas.size), Image.new("L", canvas.size)
    draw = ImageDraw.Draw(mounds)
    for _ in range(5):
        x, y, width = rng.uniform(0, 1), rng.uniform(horizon + 0.12, 0.9), rng.uniform(0.12, 0.26)
        draw.chord([CANVAS * side for side in (x - width, y - width / 4, x + width, y + width / 4)], 180, 360, 170)
    canvas.paste(_lit((252, 254, 255), light), mask=mounds.filter(ImageFilter.GaussianBlur(14)))
    draw = ImageDraw.Draw(flakes)
    for _ in range(110):
        x, y, radius = *rng.uniform(0, CANVAS, 2), rng.choice((2.0, 3.2, 4.6), p=(0.55, 0.33, 0.12))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.uniform(120, 230)))
    canvas.paste((255, 255, 255), mask=flakes.filter(ImageFilter.GaussianBlur(1.6)))


def _dry_tufts(canvas, horizon, light, rng):
    _pebbles(canvas, horizon, light, rng, (118, 108, 100), 5)
    _tufts(canvas, horizon, light, rng, ((110, 104, 74), (92, 88, 62)), 12)


_PROPS = {"grass": _tufts, "beach": _shells, "snow": _snowfall, "desert": _pebbles, "night": _dry_tufts,
          "sunset": _dry_tufts}


# The objects and what they do to their surroundings.

def _tint(drawing: Image.Image, light: str) -> Image.Image:
    """A little of the scene's light on the drawing."""
    factors = {"day": (1, 1, 1), "night": (0.84, 0.88, 1), "sunset": (1, 0.93, 0.86)}[light]
    red, green, blue, alpha = drawing.split()
    bands = [band.point(lambda level, factor=factor: int(level * factor))
             for band, factor in zip((red, green, blue), factors)]
    return Image.merge("RGBA", (*bands, alpha))


def _base(drawing: Image.Image) -> tuple[int, int]:
    """The first and last column of the lowest tenth of the drawing: what it stands on."""
    alpha = np.asarray(drawing.getchannel("A"))
    columns = np.flatnonzero(alpha[-max(2, drawing.height // 10):].max(axis=0) > 128)
    return int(columns[0]), int(columns[-1])


def _shade(canvas, drawing, x, foot, light, place):
    """A soft shadow on the ground: a broad one that the light casts and a dark one of contact."""
    strength = {"day": 1.0, "night": 1.2, "sunset": 1.1}[light]
    cast = Image.new("L", canvas.size)
    alpha = drawing.getchannel("A")
    first, last = _base(drawing)
    centre, half = x + (first + last) / 2, max((last - first) / 2, 0.3 * drawing.width) * 1.1
    depth = 0.12 * half + 10
    ImageDraw.Draw(cast).ellipse((centre - half, foot - 1.2 * depth, centre + half, foot + 0.8 * depth), fill=115)
    cast = cast.filter(ImageFilter.GaussianBlur(15))
    if light != "day":  # the light is behind the object: its shadow comes towards us
        length = int(0.26 * drawing.height)
        flipped = alpha.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((drawing.width, length))
        fade = Image.linear_gradient("L").transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(flipped.size)
        behind = Image.new("L", canvas.size)
        behind.paste(ImageChops.multiply(flipped, fade).point(lambda level: level * 9 // 16), (x, foot - 10))
        cast = ImageChops.lighter(cast, behind.filter(ImageFilter.GaussianBlur(8)))
    contact = Image.new("L", canvas.size)
    low = alpha.crop((0, int(0.93 * drawing.height), *drawing.size)).resize((drawing.width, 22))
    contact.paste(low.point(lambda level: level * 3 // 5), (x, foot - 12))
    shadow = ImageChops.lighter(cast, contact.filter(ImageFilter.GaussianBlur(6)))
    colour = (26, 30, 48) if place == "snow" else (20, 14, 16)
    if place == "snow":
        strength *= 0.75
    canvas.paste(colour, mask=shadow.point(lambda level: min(255, int(level * strength))))


def _sink(drawing: Image.Image, depth: float, blades: bool, rng: np.random.Generator) -> Image.Image:
    """Hide the foot of a drawing, to a depth in pixels, behind blades of grass, a bank of snow or a wave."""
    if blades:
        knots = np.arange(0, drawing.width + 14, 7)
        edge = np.interp(np.arange(drawing.width), knots, depth * rng.uniform(0, 1, len(knots)) ** 1.5)
    else:
        columns = np.arange(drawing.width)
        edge = depth * (0.75 + 0.25 * np.sin(columns / rng.uniform(26, 34) + rng.uniform(0, 6.3)))
    height = drawing.height - np.arange(drawing.height)[:, None]
    visible = np.clip(height - edge, 0, 2) / 2
    pixels = np.array(drawing)
    pixels[..., 3] = (pixels[..., 3] * visible).astype(np.uint8)
    return Image.fromarray(pixels)


def _float(canvas, drawing, x, foot, light, rng):
    """Put the drawing into the water: below the waterline there is only its broken mirror image."""
    depth = 0.09 * drawing.height
    drawing = _sink(_tint(drawing, light), depth, False, rng)
    line = foot - int(0.7 * depth)
    mirror = drawing.crop((0, 0, drawing.width, drawing.height - int(0.7 * depth)))
    mirror = mirror.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((drawing.width, int(0.4 * drawing.height)))
    pixels = np.zeros((mirror.height, mirror.width + 80, 4), np.uint8)
    pixels[:, 40:-40] = np.asarray(mirror)
    rows = np.arange(mirror.height)
    for row in rows:  # ripples, longer and wider towards us
        shift = (4 + 16 * row / mirror.height) * np.sin(row / (4 + 5 * row / mirror.height))
        pixels[row] = np.roll(pixels[row], int(shift), axis=0)
    pixels[..., 3] = pixels[..., 3] * (0.42 * (1 - rows / mirror.height))[:, None]
    mirror = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2))
    canvas.paste(mirror, (x - 40, line), mirror)
    canvas.paste(drawing, (x, foot - drawing.height), drawing)
    first, last = _base(drawing.crop((0, 0, drawing.width, drawing.height - int(depth))))
    columns = np.arange(max(0, x + first - 24), min(CANVAS, x + last + 24))
    heights = line + 3 * np.sin(columns / 13)
    fade = np.clip(np.minimum(columns - columns[0], columns[-1] - columns) / 40, 0, 1)
    foam = np.zeros((CANVAS, CANVAS), np.uint8)
    foam[:, columns] = 190 * fade * _hump(np.arange(CANVAS)[:, None], heights, 5)
    canvas.paste(_lit((240, 248, 252), light), mask=Image.fromarray(foam))


# What is said about them.

def name_of(scene: Scene) -> str:
    """The file name without its ending: "two-penguins-snow", "car-road-sunset"."""
    objects = [group.name if group.count == 1 else f"{language.NUMBERS[group.count]} {language.plural(group.name)}"
               for group in scene.groups]
    light = [] if scene.light == "day" else [scene.light]
    return "-".join([*objects, scene.place, *light]).replace(" ", "-")


def describe() -> list[dict]:
    """What gallery.json tells of each picture."""
    entries = []
    for i, (scene, style, _) in enumerate(read_list()):
        objects = [{"noun": group.name, "count": group.count,
                    "colour": None if group.colour is None else COLOURS[group.colour]} for group in scene.groups]
        asked = [{"kind": question.kind, "question": question.text, "answers": question.answers}
                 for question in questions.questions_of(scene, np.random.default_rng((9, i)))]
        entries.append({"file": f"{name_of(scene)}.jpg", "caption": language.caption(scene),
                        "caption_chinese": language.caption_chinese(scene), "objects": objects, "place": scene.place,
                        "light": scene.light, "style": style, "questions": asked})
    return entries


def build() -> None:
    """Write all pictures, and remove those that are no longer listed."""
    sprites.fetch()
    FOLDER.mkdir(exist_ok=True)
    files = []
    for scene, style, seed in read_list():
        files.append(FOLDER / f"{name_of(scene)}.jpg")
        compose(scene, style, seed).save(files[-1], quality=88, subsampling=0, optimize=True)
    for picture in set(FOLDER.glob("*.jpg")) - set(files):
        picture.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", action="store_true", help="write gallery.json alone, and leave the pictures")
    if not parser.parse_args().words:
        build()
    (FOLDER / "gallery.json").write_text(json.dumps(describe(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(read_list())} pictures in {FOLDER}")
