"""English, as far as captions need it: articles, and nouns that are named in the singular or the plural."""

import re


def article(words: str) -> str:
    """The words with "a" or "an" before them: "an apple", "a red apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def names_noun(text: str, noun: str) -> bool:
    """Whether an English text names a thing, one or many: "two mice" names a mouse, "cups of tea" a cup of tea."""
    head, of, rest = noun.partition(" of ")
    forms = {head, f"{head}s", f"{head}es", f"{head[:-1]}ies", f"{head[:-1]}ves", head.replace("man", "men"),
             "mice" if head == "mouse" else head}
    return bool(re.search(rf"\b({'|'.join(forms)}){of}{rest}\b", text.lower()))
