"""The sheets of sprites: one WebP file a style, 96-pixel sprites on transparent, read when first asked for.

sprites.tsv lists them, a row a sprite in the order in which they stand on the sheets: style, noun, and its colour as it
is and in each of the paints that it takes: an index into `language.COLOURS` in hexadecimal, or "-" where no colour
covers most of it. So the colours are known without a look at the pixels, and are the same on every machine.
`python -m training.sheets` writes all of this.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .language import COLOURS
from .nouns import NOUNS
from .render import PAINTS, paint_sprite

FOLDER = Path(__file__).with_name("sprites")
SPRITE_SIZE = 96  # pixels
COLUMNS = 14  # sprites in a row of a sheet


@dataclass(frozen=True)
class Style:
    """How things are drawn: "coloured", "silhouette" (in one colour) or "lines" (dark on white, often filled). What is
    held out was never seen in training: it is for tests only, and lacks half of the nouns."""
    kind: str
    held_out: bool = False


STYLES = {"fluent-3d": Style("coloured"), "fluent-flat": Style("coloured"), "noto": Style("coloured"),
          "twemoji": Style("coloured"), "fluent-silhouette": Style("silhouette"), "noto-lines": Style("lines"),
          "fxemoji": Style("coloured", held_out=True)}
# What a line drawing is filled with, and what a silhouette is drawn in, by the name of the colour.
FILLS = {"red": (230, 50, 45), "orange": (245, 150, 40), "yellow": (250, 220, 70), "green": (80, 185, 80),
         "blue": (70, 135, 235), "purple": (165, 95, 220), "pink": (250, 150, 180)}
DARK_INKS = {"black": (22, 22, 26), "grey": (96, 98, 104), "brown": (104, 62, 24), "green": (16, 88, 40),
             "blue": (16, 38, 108), "purple": (72, 22, 98)}
BRIGHT_INKS = {"white": (246, 246, 246), "grey": (190, 192, 196), "yellow": (250, 236, 165), "green": (176, 245, 182),
               "blue": (172, 204, 252), "purple": (214, 178, 250), "pink": (252, 180, 190)}


def paints(kind: str, bright: bool = False) -> list[str]:
    """The names of the colours in which a drawing of a kind of style can be painted.

    Args:
        bright: Of silhouettes, those for dark places.
    """
    if kind == "silhouette":
        return list(BRIGHT_INKS if bright else DARK_INKS)
    return list(FILLS if kind == "lines" else PAINTS)


@cache
def _listed() -> dict[str, dict[int, tuple[int, str]]]:
    """Of each style: a noun's index to its place on the sheet and its colours."""
    index = {noun.english: i for i, noun in enumerate(NOUNS)}
    listed: dict[str, dict[int, tuple[int, str]]] = {style: {} for style in STYLES}
    for line in (FOLDER / "sprites.tsv").read_text(encoding="utf-8").splitlines():
        style, noun, colours = line.split("\t")
        listed[style][index[noun]] = (len(listed[style]), colours)
    return listed


def nouns_of(style: str) -> tuple[int, ...]:
    """The nouns that a style has, as indices into `NOUNS`."""
    return tuple(_listed()[style])


def colour_of(style: str, noun: int, paint: str | None = None) -> int | None:
    """The index in `COLOURS` of the colour that a sprite has, as it is or painted; None if none covers most of it."""
    kind = STYLES[style].kind
    if kind == "silhouette":
        return COLOURS.index(paint)
    code = _listed()[style][noun][1][0 if paint is None else 1 + paints(kind).index(paint)]
    return None if code == "-" else int(code, 16)


@cache
def _sheet(style: str) -> np.ndarray:
    with Image.open(FOLDER / f"{style}.webp") as sheet:
        return np.asarray(sheet.convert("RGBA"))


@lru_cache(maxsize=1500)  # 36 KB each
def sprite(style: str, noun: int, paint: str | None = None, bright: bool = False) -> np.ndarray:
    """A sprite, uint8 (96, 96, RGBA), to read only.

    Args:
        paint, bright: See `paints`; a silhouette needs one.
    """
    row, column = divmod(_listed()[style][noun][0], COLUMNS)
    drawing = _sheet(style)[row * SPRITE_SIZE:(row + 1) * SPRITE_SIZE, column * SPRITE_SIZE:(column + 1) * SPRITE_SIZE]
    return dress(drawing, STYLES[style].kind, paint, bright)


def dress(drawing: np.ndarray, kind: str, paint: str | None, bright: bool = False) -> np.ndarray:
    """A copy of an RGBA drawing in a named colour, as its kind of style takes it."""
    if paint is None:
        return drawing.copy()
    if kind == "coloured":
        return paint_sprite(drawing, paint)
    dressed = drawing.copy()
    if kind == "silhouette":
        dressed[..., :3] = (BRIGHT_INKS if bright else DARK_INKS)[paint]
    else:  # multiplied, so that the soft edges of the lines stay soft
        dressed[..., :3] = (drawing[..., :3] * (np.array(FILLS[paint]) / 255)).astype(np.uint8)
    return dressed
