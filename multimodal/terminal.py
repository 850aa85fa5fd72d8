"""What a person at the terminal sees: progress, a conversation, and one sentence for whatever went wrong."""

import errno
import io
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from . import UserError, words

OUT_OF_MEMORY = 3  # the exit status of a lesson that could not have its memory
GOODBYES = frozenset(("quit", "exit", "bye", "goodbye", "退出", "再见", "结束"))


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    return "ipykernel" in sys.modules


def progress(items: Iterable):
    """The items of a list, with a bar on the terminal if they take longer than five seconds."""
    from tqdm import tqdm

    return tqdm(items, delay=5, disable=None, leave=False)


def forgiving_streams() -> None:
    """Let input and output cope with characters that their encoding lacks, and with bytes that are none of it."""
    if isinstance(sys.stdin, io.TextIOWrapper):  # not in a notebook
        sys.stdin.reconfigure(errors="replace")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            words.show_what_it_can(stream)


def converse(answer: Callable[[str, list[tuple[str, str]]], str]) -> list[tuple[str, str]]:
    """A conversation at the terminal until somebody says goodbye or the input ends: its questions and answers.

    Args:
        answer: Answers a question, given the questions and answers before it. What its UserErrors say is printed.
    """
    with suppress(ImportError):  # not on Windows; elsewhere it gives input() a line editor
        import readline  # noqa: F401
    history = []
    while True:
        try:
            question = words.readable(input("You: ")).strip()
        except (EOFError, RuntimeError, OSError):  # the end of the input, or there is none
            break
        if words.narrow(question).lower().strip(" .!。") in GOODBYES:
            break
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
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} (run again with --debug to see where).", 1
    return f"{type(error).__name__}: {error} (run again with --debug to see where)", 1


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, a GPU or torch's allocator for the CPU could not have the memory that it asked for."""
    signs = ("out of memory", "ALLOC_FAILED", "not enough memory",  # CUDA and Metal, cuBLAS, the CPU on Windows
             "can't allocate memory")  # and on Linux
    if isinstance(error, ImportError):  # of a library that the system could not map into memory
        return "Cannot allocate memory" in str(error) or "failed to map segment" in str(error)
    return (isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM
            or isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs))
