"""Words: English articles and plurals, and text from anywhere in a form that can be shown."""

import codecs
import re
from unicodedata import east_asian_width, normalize


def article(words: str) -> str:
    """The words with "a" or "an" before them: "an apple", "a red apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def names_noun(text: str, noun: str) -> bool:
    """Whether an English text names a thing, one or many: "two mice" names a mouse, "cups of tea" a cup of tea."""
    head, of, rest = noun.partition(" of ")
    forms = {head, f"{head}s", f"{head}es", f"{head[:-1]}ies", f"{head[:-1]}ves", head.replace("man", "men"),
             "mice" if head == "mouse" else head}
    return bool(re.search(rf"\b({'|'.join(forms)}){of}{rest}\b", text.lower()))


def readable(text: str) -> str:
    """A text with a replacement sign for each byte that was no UTF-8.

    Python keeps such bytes of arguments and file names as surrogates, which cannot be printed, drawn or encoded.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def show_what_it_can(stream) -> None:
    """Let a text stream show what its encoding lacks as escapes, and what was no UTF-8 as a replacement sign."""
    stream.reconfigure(errors="multimodal.readable")


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler for encoding, see `show_what_it_can`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if not "\ud800" <= character <= "\udfff":
        escaped = character.encode("ascii", "backslashreplace").decode()
    else:
        try:
            "\ufffd".encode(error.encoding)
            escaped = "\ufffd"
        except UnicodeEncodeError:
            escaped = "?"
    return escaped, error.start + 1


codecs.register_error("multimodal.readable", _replace)


def narrow(text: str) -> str:
    """A text with its full-width letters, digits and signs as ordinary ones: a Chinese keyboard types １－３，５."""
    return "".join(normalize("NFKC", character) if east_asian_width(character) == "F" else character
                   for character in text)


def wrap(text: str, width: int, most: int = 6) -> list[str]:
    """A text in lines of at most `width` columns, of which a Chinese character takes two; after `most` lines it ends
    in an ellipsis."""
    import wcwidth

    return wcwidth.wrap(readable(text), width, max_lines=most, placeholder=" ...", control_codes="ignore")
