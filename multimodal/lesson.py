"""One lesson's frame: its options, the models it uses, the figures and numbers it leaves behind."""

import argparse
import errno
import gc
import io
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from . import UserError
from .catalog import FAILED, MODELS
from .files import replacing

# In a lesson's folder while it runs: `lower_rungs()`, a line each.
RUNNING = "running.txt"


def common_options() -> argparse.ArgumentParser:
    """The options that every lesson and the runner understand, as a parent parser."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--models", choices=("auto", "embedded", "hub"), default="auto",
                        help="auto: real weights if they are on this machine, else the small embedded models; "
                             "hub: download the real ones (default: auto)")
    parser.add_argument("--model", action="append", metavar="NAME", choices=list(MODELS),
                        help="take this model in the place of a lesson's own, or compare it with that in 9.6; may be "
                             f"given more than once ({', '.join(MODELS)})")
    parser.add_argument("--weights", type=Path, metavar="DIR",
                        help="a folder with real weights that you fetched yourself (default: MULTIMODAL_WEIGHTS)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps", "xpu"), default="auto",
                        help="where to compute (default: the fastest there is)")
    parser.add_argument("--dtype", choices=("auto", "fp32", "fp16", "bf16", "int8"), default="auto",
                        help="precision of the weights (default: the fastest that is safe on the device)")
    parser.add_argument("--output", type=Path, default=Path("outputs"), metavar="DIR",
                        help="where figures and results go (default: outputs)")
    parser.add_argument("--image", type=Path, action="append", metavar="FILE",
                        help="a picture of your own; may be given more than once")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="a folder of pictures of your own")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    return parser


def explain(error: BaseException) -> tuple[str, int]:
    """One sentence for the reader, and the exit code, for anything that ends a lesson."""
    if isinstance(error, UserError):
        return str(error), error.status
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if out_of_memory(error):
        return ("There is not enough memory for this model: close other programs, or run the small one with "
                "--models embedded."), 1
    if isinstance(error, OSError) and error.filename is not None:  # where one was to replace another, of that
        return f"{error.filename2 or error.filename}: {error.strerror or error}.", 1
    return f"{type(error).__name__}: {error} (run again with --debug to see where)", 1


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, a GPU or torch's allocator for the CPU could not have the memory that it asked for."""
    signs = ("out of memory", "ALLOC_FAILED", "not enough memory",  # CUDA and Metal, cuBLAS, the CPU on Windows
             "can't allocate memory")  # and on Linux
    return (isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM
            or isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs))


class Lesson:
    """A running lesson.

    Args:
        section: Its number, "9.1".
        title: Its title in words.

    Example:
        >>> lesson = Lesson("9.1", "CLIP: one space for images and text")
        >>> lesson.argument("--texts", nargs="+")
        >>> options = lesson.start()
        >>> lesson.step("Two embeddings")
        >>> lesson.record("accuracy", 0.98)
        >>> lesson.finish()
    """

    choices: list = []  # the `catalog.Choice`s of this process that something smaller could replace, in their order

    def __init__(self, section: str, title: str):
        self.section, self.title = section, title
        self.parser = argparse.ArgumentParser(description=f"{section} {title}", parents=[common_options()])
        self.argument = self.parser.add_argument
        self.models: list[dict] = []
        self.figures: list[str] = []
        self.measures: dict = {}
        self.steps = 0

    def start(self) -> argparse.Namespace:
        """Read the options, make the output folder and print the title."""
        if isinstance(sys.stdout, io.TextIOWrapper):  # not in a notebook
            sys.stdout.reconfigure(errors="backslashreplace")  # where it cannot take Chinese, as in a pipe on Windows
        # A notebook's own arguments are not for the lesson.
        self.options = self.parser.parse_args([] if in_notebook() else None)
        if self.options.weights:
            os.environ["MULTIMODAL_WEIGHTS"] = str(self.options.weights)
        if not in_notebook():
            sys.excepthook = partial(_report_and_exit, debug=self.options.debug)
        self.began = time.perf_counter()
        self.folder = self.options.output / self.section
        self.folder.mkdir(parents=True, exist_ok=True)
        # A result of an earlier run must not pass for one of this run, should this one fail.
        for name in ("results.json", RUNNING):
            (self.folder / name).unlink(missing_ok=True)
        print(f"{self.section}  {self.title}")
        return self.options

    def use(self, choice) -> None:
        """Say which model the lesson runs, on what, in which precision and why (a `catalog.Choice`)."""
        print(f"Model: {choice.name}, {choice.source}, on {choice.device} in {choice.dtype_name.upper()}.")
        print(textwrap.fill(choice.reason, 110, initial_indent="       ", subsequent_indent="       "))
        # What something smaller could replace: of the small models, those that can leave a GPU.
        if choice.source != "embedded" or choice.device != "cpu" and self.options.device == "auto":
            Lesson.choices.append(choice)
        # For the runner, should the system end this process for want of memory.
        (self.folder / RUNNING).write_text("\n".join(lower_rungs()))
        if choice.source == "embedded":
            from transformers.utils import logging
            logging.disable_progress_bar()  # these load in a blink; the real ones are worth a bar
        self.models.append({"key": choice.key, "name": choice.name, "source": choice.source,
                            "device": choice.device, "dtype": choice.dtype_name, "reason": choice.reason})

    def check(self, pictures: list) -> None:
        """Warn of the reader's own pictures that the small models cannot understand, if one of those runs.

        Args:
            pictures: `images.Sample`s; the gallery's are not looked at.
        """
        own = [sample for sample in pictures if not sample.caption][:100]  # a hundred are enough to say it
        if not own or all(model["source"] != "embedded" for model in self.models):
            return
        from . import world

        foreign = []
        for start in range(0, len(own), 32):  # not all of a folder in memory at once
            some = own[start:start + 32]
            distances = world.distances([sample.image for sample in some])
            foreign += [sample.path.name for sample, distance in zip(some, distances) if distance > 1]
        if foreign:
            some = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
            again = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:], "--models", "hub"])
            print(f"Unlike the drawings that the small model knows: {some}. What it says there is a guess"
                  + (f"; the real model: {again}" if self.options.models != "hub" else "."))

    def step(self, title: str) -> None:
        """Print the heading of the next part."""
        self.steps += 1
        print(f"\n{self.steps}. {title}")

    def record(self, name: str, value) -> None:
        """Keep a number (or anything that JSON can hold) that was measured in this run."""
        self.measures[name] = value

    def save(self, figure, name: str) -> Path:
        """Save a matplotlib figure as NAME.png in the lesson's folder; a notebook shows it too."""
        path = self.folder / f"{name}.png"
        with replacing(path) as part:
            figure.savefig(part, format="png", dpi=150)
        self.figures.append(path.name)
        print(f"   figure: {path}")
        if in_notebook():
            from IPython.display import display
            display(figure)
        from matplotlib import pyplot
        pyplot.close(figure)  # frees its memory, and keeps a notebook from showing it a second time
        return path

    def finish(self) -> None:
        """Write results.json. A lesson that does not come this far has failed."""
        used = {model["key"] for model in self.models}
        unused = [name for name in dict.fromkeys(self.options.model or ()) if name not in used]
        if unused and self.section != "9.6":  # which takes them all, and says why where it cannot
            print(f"\n--model {', '.join(unused)} changed nothing here: 9.6 sets further models beside the lessons' "
                  "own.")
        results = {"section": self.section, "title": self.title, "models": self.models, "figures": self.figures,
                   "seconds": round(time.perf_counter() - self.began, 2), "measures": self.measures}
        path = self.folder / "results.json"
        with replacing(path) as part:
            part.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8",
                            errors="backslashreplace")  # a file's name need not be UTF-8
        (self.folder / RUNNING).unlink(missing_ok=True)
        print(f"\n{self.section} done in {results['seconds']:.1f} s: {len(self.figures)} figures in {self.folder}")


def progress(items):
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


def lower_rungs() -> list[str]:
    """What this process runs and something smaller could replace, the one to give up first in front: the real model
    that came last, as all were in memory together."""
    latest = sorted(reversed(Lesson.choices), key=lambda choice: choice.source == "embedded")
    return [choice.rung for choice in latest]


def give_up(rungs: list[str]) -> bool:
    """Say that memory ran out and note the first of the rungs that has not been given up, for whatever is started from
    here on. False if there is none."""
    failed = os.environ.get(FAILED, "").splitlines()
    rung = next((rung for rung in rungs if rung not in failed), None)
    if rung:
        print(f"There was not enough memory for {rung}: once more, one step lower.", flush=True)
        os.environ[FAILED] = "\n".join([*failed, rung])
    return rung is not None


def step_down(error: BaseException) -> None:
    """If memory ran out, start the lesson anew without the model, device and precision that it was on.

    A new process is the only sure way to have all memory back. Returns if something else went wrong, or if nothing
    smaller is left.
    """
    if not out_of_memory(error) or in_notebook() or not give_up(lower_rungs()):
        return
    command = [sys.executable, *sys.argv]
    if sys.platform == "win32":  # where execv ends this process at once, and whoever waits for it would go on
        error.__traceback__ = sys.last_traceback = sys.last_exc = None
        vars(sys.modules["__main__"]).clear()  # the models
        gc.collect()
        sys.exit(subprocess.call(command))
    os.execv(sys.executable, command)


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    return "ipykernel" in sys.modules


def _report_and_exit(kind, error, trace, debug: bool) -> None:
    """An exception hook: one step down, or one sentence instead of a traceback, and the right exit code."""
    if debug:
        traceback.print_exception(error)
    else:
        step_down(error)
    if not debug and not isinstance(error, (UserError, KeyboardInterrupt, MemoryError, OSError)):
        # A mistake of ours, not of the reader: where it happened helps whoever reports it.
        frame = traceback.extract_tb(trace)[-1]
        print(f"at {Path(frame.filename).name}:{frame.lineno}", file=sys.stderr)
    sentence, status = explain(error)
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    sys.exit(status)
