"""Questions about a scene, with every short answer that is right, in English and Chinese."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question about a picture.

    Attributes:
        kind: "what", "how many", "where", "side", "colour", "either/or" or "yes/no".
        text: The question itself.
        answers: Every short answer that is right, the usual one first: ("a dog", "dog and nothing else", ...).
    """

    kind: str
    text: str
    answers: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The usual answer."""
        return self.answers[0]
