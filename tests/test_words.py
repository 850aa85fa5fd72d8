"""The little English that captions need."""

import pytest

from multimodal.words import article, names_noun


@pytest.mark.parametrize("words, said", [("apple", "an apple"), ("red apple", "a red apple"), ("owl", "an owl")])
def test_the_article_goes_with_the_sound(words, said):
    assert article(words) == said


@pytest.mark.parametrize("text, noun, named", [
    ("Two mice.", "mouse", True), ("Cups of tea", "cup of tea", True), ("a hotdog", "dog", False),
    ("Penguins standing on ice", "penguin", True), ("a cup of milk", "cup of tea", False)])
def test_nouns_are_named_in_any_number_and_case(text, noun, named):
    assert names_noun(text, noun) == named
