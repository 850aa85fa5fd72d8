"""A small world of 175 things in ten places: pictures with all that is true of them."""

from .nouns import NOUNS, Noun
from .pictures import Thing
from .questions import Question

__all__ = ["NOUNS", "Noun", "Question", "Thing"]
