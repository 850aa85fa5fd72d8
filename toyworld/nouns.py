"""The 175 things of the small world, in English and Chinese: the rows of nouns.tsv."""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Noun:
    """A thing: its category, what it is called, and the name of its icon in the sets of pictograms."""
    category: str
    english: str
    chinese: str
    icon: str


def _read() -> tuple[Noun, ...]:
    with open(Path(__file__).with_name("nouns.tsv"), encoding="utf-8") as lines:
        return tuple(Noun(**row) for row in csv.DictReader(lines, delimiter="\t"))


NOUNS = _read()
