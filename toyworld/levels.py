"""What makes pictures easy or hard: styles, numbers of things, and what is done to the picture afterwards."""

from dataclasses import dataclass

COLOURED = ("fluent-3d", "fluent-flat", "noto", "twemoji")
# How often a scene holds so many groups of so many: ((1,), 0.42) is one thing alone. At most three things a scene, as
# in the pictures that the embedded models learned from.
USUAL = (((1,), 0.42), ((2,), 0.11), ((3,), 0.09), ((1, 1), 0.2), ((1, 2), 0.05), ((2, 1), 0.05), ((1, 1, 1), 0.08))


@dataclass(frozen=True)
class Level:
    """How the pictures of a level are made.

    Attributes:
        line: What they are, in one line.
        styles: Names of `sheets.STYLES`; each picture is in one of them.
        layouts: How many of each kind there are, with how often that is so.
        crowd: The things are as small as if there were at least so many of them.
        patterned: Whether a strong pattern lies over the place.
        blur: The radius of a Gaussian blur, in pixels.
        noise: The standard deviation of noise, of 255.
        framed: Whether the picture is shown at half its size in a grey frame.
        tiles: How many scenes are put together, two in a row.
    """
    line: str
    styles: tuple[str, ...] = COLOURED
    layouts: tuple[tuple[tuple[int, ...], float], ...] = USUAL
    crowd: int = 1
    patterned: bool = False
    blur: float = 0.0
    noise: float = 0.0
    framed: bool = False
    tiles: int = 1


BY_NAME = {
    "usual": Level("one to three things in four coloured styles, as in training"),
    "one": Level("one thing alone, in four coloured styles", layouts=(((1,), 1.0),)),
    "three": Level("three kinds of things, one of each", layouts=(((1, 1, 1), 1.0),)),
    "small": Level("four to seven small things of two or three kinds; the embedded models never saw more than three",
                   layouts=tuple((counts, 0.1) for counts in (
                       (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (1, 2, 1), (2, 1, 2), (1, 2, 2), (2, 2, 2), (3, 1, 3))),
                   crowd=5),
    "patterned": Level("a strong pattern lies over the place", patterned=True),
    "silhouettes": Level("drawn in one colour", styles=("fluent-silhouette",)),
    "lines": Level("line drawings, most of them filled with one colour", styles=("noto-lines",)),
    "unseen": Level("a style that no embedded model was trained on (FxEmoji, 87 of the 175 nouns)",
                    styles=("fxemoji",)),
    "blurred": Level("blurred: a radius of 2.5 of 112 pixels", blur=2.5),
    "noisy": Level("under noise: a standard deviation of 60 of 255", noise=60),
    "framed": Level("at half the size, in a grey frame", framed=True),
    "mosaic": Level("four scenes in one picture, two in a row, each with things of its own", tiles=4),
}
LEVELS = {name: level.line for name, level in BY_NAME.items()}
