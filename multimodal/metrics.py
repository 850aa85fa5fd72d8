"""Scores: retrieval, answers, captions. NumPy arrays in, floats between 0 and 1 out."""

import re
from collections.abc import Iterable

import numpy as np


class Share(float):
    """A share of cases with its 95% interval; `share` computes it.

    It is a float that keeps `low`, `high` and `count`. As text it is "66.7% (20.8 to 93.9, n = 3)". Formatted as a
    percentage it gets more decimals where it would be rounded to 0% or 100% and is neither.
    """

    def __new__(cls, value: float, low: float, high: float, count: int):
        number = super().__new__(cls, value)
        number.low, number.high, number.count = low, high, count
        return number

    def __format__(self, form: str) -> str:
        if not form:
            return str(self)
        text = format(float(self), form)
        if not form.endswith("%") or float(self) in (0.0, 1.0):
            return text
        decimals = 0
        while float(text.rstrip("%")) in (0.0, 100.0) and decimals < 6:
            decimals += 1
            text = format(float(self), f".{decimals}%")
        return text

    def __str__(self) -> str:
        return f"{self:.1%} ({100 * self.low:.1f} to {100 * self.high:.1f}, n = {self.count})"


def share(right: Iterable[bool]) -> Share:
    """The share of what is right, with its 95% interval by Wilson's method (1927).

    Args:
        right: Booleans, (N,), at least one.
    """
    marks = np.asarray([*right], bool)
    count, z = len(marks), 1.959964
    value = float(marks.mean())
    centre, half = value + z**2 / (2 * count), z * np.sqrt(value * (1 - value) / count + z**2 / (4 * count**2))
    low, high = (float(bound / (1 + z**2 / count)) for bound in (centre - half, centre + half))
    # A bound may be rounded to the wrong side of a share of 0 or 1.
    return Share(value, min(value, max(0.0, low)), max(value, min(1.0, high)), count)


def ranks(similarity: np.ndarray) -> np.ndarray:
    """The rank (0 is best) of the right candidate for every query.

    Args:
        similarity: (N, N); row i holds query i's similarity to each candidate, and candidate i is the right one.
            Ties count against the query.
    """
    right = np.diagonal(similarity)[:, None]
    return (~(similarity < right)).sum(axis=1) - 1  # what is no number counts against the query, too


def recall_at(similarity: np.ndarray, k: int) -> float:
    """The share of queries whose right candidate is among the best `k` (see `ranks`)."""
    return float((ranks(similarity) < k).mean())


def median_rank(similarity: np.ndarray) -> float:
    """The median place of the right candidate, counted from 1."""
    return float(np.median(ranks(similarity)) + 1)


def normalise_answer(answer: str) -> str:
    """An answer as VQA v2 compares it: lower case, no punctuation, no articles, numbers as digits.

    Source: the official evaluation of Goyal et al. 2017, "Making the V in VQA Matter".
    """
    words = re.sub(r"[^\w\s]", " ", answer.lower()).split()
    digits = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
              "seven": "7", "eight": "8", "nine": "9", "ten": "10"}
    return " ".join(digits.get(word, word) for word in words if word not in ("a", "an", "the"))


def is_right(answer: str, expected: str | Iterable[str]) -> bool:
    """Whether an answer is the expected one, or one of those expected, once normalised."""
    several = [expected] if isinstance(expected, str) else expected
    return normalise_answer(answer) in map(normalise_answer, several)


def mean_average_precision(similarity: np.ndarray, relevant: np.ndarray) -> float:
    """The mean over queries of the average precision: precision at each relevant candidate's place, averaged.

    With one relevant candidate a query, this is the mean reciprocal rank.

    Args:
        similarity: (queries, candidates). Ties count against the query.
        relevant: (queries, candidates), true where the candidate answers the query; at least one in every row.
    """
    scores = []
    for row, right in zip(similarity, np.asarray(relevant, bool)):
        order = np.lexsort((right, -row))  # best first; among equals the wrong ones first
        places = np.flatnonzero(right[order]) + 1
        scores.append((np.arange(1, len(places) + 1) / places).mean())
    return float(np.mean(scores))


def precision_and_recall(scores: np.ndarray, right: np.ndarray, threshold: float) -> tuple[float, float]:
    """Of what scores at least `threshold`, the share that is right; of what is right, the share found so.

    Args:
        scores: (N,).
        right: (N,) booleans, at least one of them true. If nothing is found, precision is 1.
    """
    found = scores >= threshold
    hits = np.sum(found & right)
    return float(hits / found.sum()) if found.any() else 1.0, float(hits / np.sum(right))


def best_threshold(scores: np.ndarray, right: np.ndarray) -> float:
    """The score that separates best, by F1, the harmonic mean of precision and recall (see there for arguments)."""
    def f1(threshold: float) -> float:
        precision, recall = precision_and_recall(scores, right, threshold)
        return 2 * precision * recall / max(precision + recall, 1e-12)

    return float(max(np.unique(scores[right]), key=f1))  # between two right ones, precision only falls
