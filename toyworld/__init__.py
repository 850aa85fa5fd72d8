"""A small world of 175 things in ten places: pictures in any number, with all that is true of them.

    pictures = toyworld.draw(300, seed=7, level="patterned")
    pictures[0].image, pictures[0].caption, pictures[0].things[0].boxes, pictures[0].questions

Needs NumPy and Pillow and nothing else: no torch, no network. `python -m toyworld --level patterned --count 20` draws a
sheet to look at. What a picture holds stands in `Picture`; the levels stand in `LEVELS`.
"""

from .levels import LEVELS
from .nouns import NOUNS, Noun
from .pictures import Picture, Thing, draw
from .questions import Question

__all__ = ["LEVELS", "NOUNS", "Noun", "Picture", "Question", "Thing", "draw"]
