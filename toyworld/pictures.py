"""Pictures of the small world, with all that is true of them."""

from dataclasses import dataclass


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
    boxes: tuple[tuple[int, int, int, int], ...] | None = None
