"""Scores: retrieval, answers, captions. NumPy arrays in, floats between 0 and 1 out."""

import re

import numpy as np


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


def is_right(answer: str, expected: str) -> bool:
    """Whether two answers are the same once normalised."""
    return normalise_answer(answer) == normalise_answer(expected)


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
