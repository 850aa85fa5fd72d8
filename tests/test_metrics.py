"""Scores, on examples small enough to work out by hand."""

import numpy as np
import pytest

from multimodal import metrics

# Query 0 finds its candidate first, query 1 second, query 2 last.
SIMILARITY = np.array([[0.9, 0.1, 0.2],
                       [0.5, 0.4, 0.3],
                       [0.3, 0.2, 0.1]])


def test_ranks_count_from_zero():
    assert metrics.ranks(SIMILARITY).tolist() == [0, 1, 2]


def test_a_tie_counts_against_the_query():
    assert metrics.ranks(np.ones((3, 3))).tolist() == [2, 2, 2]
    assert metrics.recall_at(np.ones((3, 3)), 1) == 0
    assert metrics.mean_average_precision(np.ones((3, 3)), np.eye(3)) == pytest.approx(1 / 3)


def test_what_is_no_number_counts_against_the_query():
    assert metrics.recall_at(np.full((3, 3), np.nan), 1) == 0


def test_recall_grows_with_k():
    assert [metrics.recall_at(SIMILARITY, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_median_rank_counts_from_one():
    assert metrics.median_rank(SIMILARITY) == 2
    assert metrics.median_rank(np.eye(4)) == 1


def test_mean_average_precision_with_one_right_answer_is_the_mean_reciprocal_rank():
    assert metrics.mean_average_precision(SIMILARITY, np.eye(3)) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_mean_average_precision_with_several_right_answers():
    # Right ones in places 1, 3 and 4: precisions 1/1, 2/3, 3/4.
    similarity = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]])
    assert metrics.mean_average_precision(similarity, [[1, 0, 1, 1, 0]]) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    # More queries than candidates is no matter.
    assert metrics.mean_average_precision(similarity.repeat(9, axis=0), [[1, 0, 0, 0, 0]] * 9) == 1


def test_mean_average_precision_agrees_with_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(9)
    similarity, relevant = rng.random((20, 30)), rng.random((20, 30)) < 0.3
    relevant[:, 0] = True
    expected = np.mean([sklearn_metrics.average_precision_score(*row) for row in zip(relevant, similarity)])
    assert metrics.mean_average_precision(similarity, relevant) == pytest.approx(expected)


SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
RIGHT = np.array([True, True, False, True, False])


@pytest.mark.parametrize("threshold, precision, recall", [
    (0.8, 1, 2 / 3), (0.75, 1, 2 / 3), (0.6, 3 / 4, 1), (0, 3 / 5, 1), (1, 1, 0)])
def test_precision_and_recall(threshold, precision, recall):
    assert metrics.precision_and_recall(SCORES, RIGHT, threshold) == pytest.approx((precision, recall))


def test_best_threshold_has_the_best_f1():
    assert metrics.best_threshold(SCORES, RIGHT) == 0.6  # F1 6/7, against 4/5 at 0.8
    assert metrics.best_threshold(SCORES, SCORES > 0.65) == 0.7  # separates perfectly
    # The order of the pairs is no matter.
    shuffled = np.random.default_rng(9).permutation(5)
    assert metrics.best_threshold(SCORES[shuffled], RIGHT[shuffled]) == 0.6


@pytest.mark.parametrize("answer, expected", [
    ("Two", "2"), ("a dog.", "dog"), ("the  cat", "Cat"), ("on the road, at sunset", "on road at sunset"),
    ("none", "0"), ("An Elephant!", "elephant")])
def test_answers_that_are_the_same(answer, expected):
    assert metrics.is_right(answer, expected)


@pytest.mark.parametrize("answer, expected", [("two", "3"), ("a dog", "a cat"), ("", "yes"), ("cats", "cat")])
def test_answers_that_differ(answer, expected):
    assert not metrics.is_right(answer, expected)


@pytest.mark.parametrize("right, count, low, high", [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)])
def test_intervals_are_wilsons(right, count, low, high):
    """As in Newcombe 1998, table I (without continuity correction)."""
    share = metrics.share([True] * right + [False] * (count - right))
    assert (round(share.low, 4), round(share.high, 4), share.count) == (low, high, count)
    assert share == pytest.approx(right / count)


def test_what_is_not_all_is_never_rounded_to_all():
    nearly, hardly = metrics.share([True] * 263 + [False]), metrics.share([False] * 2999 + [True])
    assert (f"{nearly:.0%}", f"{nearly:.1%}", f"{hardly:.0%}", f"{hardly:.2f}") == ("99.6%", "99.6%", "0.03%", "0.00")
    assert str(nearly) == f"{nearly}" == "99.6% (97.9 to 99.9, n = 264)"
    for count in range(1, 500):  # the interval holds the share, whatever is rounded
        everything, nothing = metrics.share([True] * count), metrics.share([False] * count)
        assert everything.low < everything.high == 1 and nothing.high > nothing.low == 0
        assert f"{everything:.0%}" == "100%" and f"{nothing:.0%}" == "0%"
