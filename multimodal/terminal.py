"""What a person at the terminal sees: progress, a conversation, and one sentence for whatever went wrong."""

import errno
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from . import UserError

OUT_OF_MEMORY = 3  # the exit status of a lesson that could not have its memory


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    return "ipykernel" in sys.modules


def progress(items: Iterable):
    """The items of a list, with a bar on the terminal if they take longer than five seconds."""
    from tqdm import tqdm

    return tqdm(items, delay=5, disable=None, leave=False)


def converse(answer: Callable[[str, list[tuple[str, str]]], str]) -> list[tuple[str, str]]:
    """A conversation at the terminal until "quit", "exit" or the end of the input: its questions and answers.

    Args:
        answer: Answers a question, given the questions and answers before it. What its UserErrors say is printed.
    """
    with suppress(ImportError):  # not on Windows; elsewhere it gives input() a line editor
        import readline  # noqa: F401
    history = []
    with suppress(EOFError):
        while (question := input("You: ").strip()).lower() not in ("quit", "exit"):
            try:
                if question:
                    history.append((question, answer(question, history)))
                    print(f"Model: {history[-1][1]}")
            except UserError as error:
                print(error)
    return history


def explain(error: BaseException) -> tuple[str, int]:
    """One sentence for the reader, and the exit status, for anything that ends a program."""
    if isinstance(error, UserError):
        return str(error), error.status
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if out_of_memory(error):
        return ("There is not enough memory for this model: close other programs, or run the small one with "
                "--models embedded."), OUT_OF_MEMORY
    if isinstance(error, OSError) and error.filename is not None:  # filename2: the file that was to be replaced
        return f"{error.filename2 or error.filename}: {error.strerror or error}.", 1
    return f"{type(error).__name__}: {error} (run again with --debug to see where)", 1


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, a GPU or torch's allocator for the CPU could not have the memory that it asked for."""
    signs = ("out of memory", "ALLOC_FAILED", "not enough memory",  # CUDA and Metal, cuBLAS, the CPU on Windows
             "can't allocate memory")  # and on Linux
    return (isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM
            or isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs))
