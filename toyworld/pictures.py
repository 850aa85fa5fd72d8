"""Pictures of the small world, with all that is true of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from PIL import Image, ImageFilter

from . import backgrounds, language, sheets
from .falsehoods import false_captions
from .language import COLOURABLE, COLOURS, MEASURED, Group, Scene
from .levels import BY_NAME, Level
from .nouns import NOUNS
from .questions import Question, questions_of, questions_of_mosaic
from .render import PICTURE_SIZE, place_sprites

Box = tuple[int, int, int, int]
VERSIONS = 8  # painted of each place in each light
MARGIN = 16  # pixels by which a painted place is larger than a picture, to be cut out here or there
CORNERS = (("top left", "左上"), ("top right", "右上"), ("bottom left", "左下"), ("bottom right", "右下"))


@dataclass(frozen=True)
class Thing:
    """What a picture shows, one or several of a kind.

    Attributes:
        noun, chinese: What it is: "dog", "狗".
        count: How many there are.
        colour: The colour that covers most of it, "red", or None where none does.
        boxes: (left, top, right, bottom) in pixels, one a copy, from left to right; None where nobody measured.
    """
    noun: str
    chinese: str
    count: int
    colour: str | None = None
    boxes: tuple[Box, ...] | None = None


@dataclass(eq=False)
class Picture:
    """A picture and all that is true of it.

    Attributes:
        image: RGB, 112 x 112 pixels; a mosaic has 224 x 224.
        things: From left to right; of a mosaic, tile by tile.
        place: One of `backgrounds.PLACES`.
        light: "day", "night" or "sunset"; None where it cannot be seen, in a room and on a plain background.
        style: How the things are drawn, one of `sheets.STYLES`.
        scene: The same as `language` puts it into words.
        tiles: Of a mosaic, its four pictures, each with a truth of its own. The mosaic itself has no place, light or
            scene; its caption says what is where, and its questions ask what is there.
    """
    image: Image.Image
    things: list[Thing]
    place: str | None
    light: str | None
    style: str
    scene: Scene | None
    seed: tuple[int, ...] = field(repr=False)
    tiles: list["Picture"] = field(default_factory=list, repr=False)

    @cached_property
    def caption(self) -> str:
        """Everything there is to say, in English: "a red car and two dogs on the road at sunset"."""
        if self.tiles:
            return ", ".join(f"{corner} {tile.caption}" for (corner, _), tile in zip(CORNERS, self.tiles))
        return language.caption(self.scene)

    @cached_property
    def caption_chinese(self) -> str:
        """The same in Chinese."""
        if self.tiles:
            return "；".join(f"{corner}：{tile.caption_chinese}" for (_, corner), tile in zip(CORNERS, self.tiles))
        return language.caption_chinese(self.scene)

    @cached_property
    def paraphrases(self) -> list[str]:
        """The caption in other words, in English: five or more, all true. A mosaic has none."""
        return [] if self.tiles else language.paraphrases(self.scene)

    @cached_property
    def questions(self) -> list[Question]:
        """A question of each kind that can be asked, with all answers that are right."""
        return self._questions(chinese=False)

    @cached_property
    def questions_chinese(self) -> list[Question]:
        """The same in Chinese."""
        return self._questions(chinese=True)

    def _questions(self, chinese: bool) -> list[Question]:
        rng = np.random.default_rng((*self.seed, 3, int(chinese)))
        if self.tiles:
            return questions_of_mosaic([tile.scene for tile in self.tiles], rng, chinese)
        return questions_of(self.scene, rng, chinese)

    @cached_property
    def caption_pairs(self) -> dict[str, tuple[str, str]]:
        """A true caption and a false one in the same words, by the respect in which it is false; those that apply of
        "object", "count", "colour", "place", "light" and "order". The true one is `caption`, but for light and order:
        there it tells the light, or what is left and right. A mosaic has none."""
        if self.tiles:
            return {}
        return false_captions(self.scene, np.random.default_rng((*self.seed, 4)))

    @cached_property
    def false_captions(self) -> dict[str, str]:
        """The false ones of `caption_pairs` alone."""
        return {kind: false for kind, (_, false) in self.caption_pairs.items()}


def draw(count: int, seed: int, level: str = "usual", *, styles: Sequence[str] | None = None,
         things: int | None = None, copies: int | None = None) -> list[Picture]:
    """Draw pictures of which everything is known.

    The truth of a seed is the same on every machine, and picture number i is the same however many are drawn. Levels
    that change only the looks (patterned, blurred, noisy, framed, silhouettes, lines) show the same scenes for the same
    seed, so that two levels can be compared picture by picture.

    Args:
        count: How many.
        seed: Another seed, other pictures: any whole number from 0.
        level: One of `toyworld.LEVELS`, which says in a line each what they are.
        styles: How things are drawn, names of `sheets.STYLES`, instead of those of the level.
        things: How many kinds of things a picture shows, one to three, if not as the level has it.
        copies: How many there are of each kind, one to three, if not as the level has it.

    Raises:
        ValueError: There is no such level or style, or a number is out of its range; the message says which there are.
    """
    if level not in BY_NAME:
        raise ValueError(f"There is no level {level!r}: choose from {', '.join(BY_NAME)}.")
    if isinstance(styles, str) or (styles is not None and not styles):
        raise ValueError(f"styles is a list of one or more of {', '.join(sheets.STYLES)}.")
    for style in styles or ():
        if style not in sheets.STYLES:
            raise ValueError(f"There is no style {style!r}: choose from {', '.join(sheets.STYLES)}.")
    for name, number in (("things", things), ("copies", copies)):
        if number is not None and number not in (1, 2, 3):
            raise ValueError(f"{name} is 1, 2 or 3, not {number!r}.")
    for name, number in (("count", count), ("seed", seed)):
        if number < 0:
            raise ValueError(f"{name} must not be below 0, and is {number}.")
    settings = BY_NAME[level]
    styles = tuple(styles or settings.styles)
    layouts = _layouts(settings, things, copies)
    if settings.tiles > 1:
        return [_mosaic(settings, styles, layouts, (seed, i)) for i in range(count)]
    return [_picture(settings, styles, layouts, (seed, i)) for i in range(count)]


def _layouts(level: Level, things: int | None, copies: int | None) -> tuple[tuple[tuple[int, ...], float], ...]:
    """The layouts of a level that have so many things and copies; if it has none, that one."""
    fitting = tuple((counts, share) for counts, share in level.layouts
                    if things in (None, len(counts)) and (copies is None or set(counts) == {copies}))
    return fitting or (((copies or 1,) * (things or 1), 1.0),)


def _one_of(options: Sequence, rng: np.random.Generator):
    """One of several. All that a scene is comes from `random`, whose stream NumPy keeps as it is."""
    return options[int(rng.random() * len(options))]


def _scene(styles: tuple[str, ...], layouts, rng: np.random.Generator, barred: Collection[int] = ()
           ) -> tuple[Scene, str]:
    """A scene, its things without colours, and a style that has them all."""
    at = rng.random() * sum(share for _, share in layouts)
    for counts, share in layouts:
        at -= share
        if at < 0:
            break
    place, light, hour = _one_of(backgrounds.PLACES, rng), "day", rng.random()
    if place in backgrounds.OUTDOOR and hour < 0.2:
        light = "night" if hour < 0.1 else "sunset"
    style = _one_of(styles, rng)
    nouns = []
    while len(nouns) < len(counts):
        noun = _one_of(sheets.nouns_of(style), rng)
        if noun not in nouns and noun not in barred and (
                counts[len(nouns)] == 1 or NOUNS[noun].english not in MEASURED):
            nouns.append(noun)
    return Scene(tuple(map(Group, nouns, counts)), place, light), style


def _picture(level: Level, styles: tuple[str, ...], layouts, seed: tuple[int, ...], barred: Collection[int] = ()
             ) -> Picture:
    scene, style = _scene(styles, layouts, np.random.default_rng((*seed, 0)), barred)
    rng = np.random.default_rng((*seed, 1))
    dark = "night" in (scene.place, scene.light) or (scene.place == "sea" and scene.light == "sunset")
    groups, objects = [], []
    for group in scene.groups:
        paint = _paint(style, group.noun, dark, rng)
        groups.append(Group(group.noun, group.count, sheets.colour_of(style, group.noun, paint)))
        objects += [(group.noun, sheets.sprite(style, group.noun, paint, dark))] * group.count
    scene = Scene(tuple(groups), scene.place, scene.light)
    picture, boxes = _compose(objects, scene, level, np.random.default_rng((*seed, 2)))
    things, rest = [], iter(boxes)
    for group in groups:
        things.append(Thing(group.name, group.chinese, group.count,
                            None if group.colour is None else COLOURS[group.colour],
                            tuple(next(rest) for _ in range(group.count))))
    return Picture(picture, things, scene.place, language.light_of(scene), style, scene, seed)


def _paint(style: str, noun: int, dark: bool, rng: np.random.Generator) -> str | None:
    """The colour that a thing is painted in, or None. Draws two numbers for any, so that the rest does not depend."""
    chance, which = rng.random(2)
    kind = sheets.STYLES[style].kind
    share = {"silhouette": 1.0, "lines": 0.7}.get(kind, 0.6 * (NOUNS[noun].english in COLOURABLE))
    colours = sheets.paints(kind, dark)
    return colours[int(which * len(colours))] if chance < share else None


@cache
def _place(place: str, light: str, version: int) -> tuple[Image.Image, float]:
    """A painted place, somewhat larger than a picture, and its horizon as `backgrounds.paint` has it."""
    rng = np.random.default_rng((version, backgrounds.PLACES.index(place), backgrounds.LIGHTS.index(light)))
    painted, horizon = backgrounds.paint(place, light, PICTURE_SIZE + MARGIN, rng)
    return Image.fromarray(painted), horizon


def _compose(objects: list[tuple[int, np.ndarray]], scene: Scene, level: Level, rng: np.random.Generator
             ) -> tuple[Image.Image, list[Box]]:
    """The picture of a scene, and the box of each thing in it."""
    painted, horizon = _place(scene.place, scene.light, int(rng.random() * VERSIONS))
    left, top = (int(rng.random() * (MARGIN + 1)) for _ in range(2))
    picture = painted.crop((left, top, left + PICTURE_SIZE, top + PICTURE_SIZE))
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    horizon = (horizon * (PICTURE_SIZE + MARGIN) - top) / PICTURE_SIZE
    placed = place_sprites(objects, horizon, rng, crowd=level.crowd)
    if level.patterned:
        picture = Image.fromarray(backgrounds.unsettle(np.asarray(picture), rng))
    boxes = []
    for drawing, x, y in placed:
        picture.paste(drawing, (x, y), drawing)
        box = drawing.getchannel("A").getbbox()
        boxes.append(tuple(min(max(edge + offset, 0), PICTURE_SIZE) for edge, offset in zip(box, (x, y, x, y))))
    if level.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(level.blur))
    if level.noise:
        levels = np.asarray(picture) + level.noise * rng.standard_normal((PICTURE_SIZE, PICTURE_SIZE, 3), np.float32)
        picture = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    if level.framed:
        quarter = PICTURE_SIZE // 4
        frame = Image.new("RGB", picture.size, (128, 128, 128))
        frame.paste(picture.resize((2 * quarter, 2 * quarter), Image.Resampling.BICUBIC), (quarter, quarter))
        picture = frame
        boxes = [(left // 2 + quarter, top // 2 + quarter, (right + 1) // 2 + quarter, (bottom + 1) // 2 + quarter)
                 for left, top, right, bottom in boxes]
    return picture, boxes


def _mosaic(level: Level, styles: tuple[str, ...], layouts, seed: tuple[int, ...]) -> Picture:
    """Four pictures in one; no noun is in two of them."""
    tiles: list[Picture] = []
    for tile in range(level.tiles):
        barred = {group.noun for other in tiles for group in other.scene.groups}
        tiles.append(_picture(level, styles, layouts, (*seed, tile), barred))
    mosaic, things = Image.new("RGB", (2 * PICTURE_SIZE, 2 * PICTURE_SIZE)), []
    for i, tile in enumerate(tiles):
        down, across = (PICTURE_SIZE * side for side in divmod(i, 2))
        mosaic.paste(tile.image, (across, down))
        things += [Thing(thing.noun, thing.chinese, thing.count, thing.colour, tuple(
            (left + across, top + down, right + across, bottom + down) for left, top, right, bottom in thing.boxes))
            for thing in tile.things]
    return Picture(mosaic, things, None, None, "mosaic", None, seed, tiles)
