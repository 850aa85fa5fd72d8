"""One lesson's frame: its options, the models it uses, the figures and numbers it leaves behind."""

import argparse
import os
import re
import shlex
import sys
import textwrap
import time
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path

from . import UserError, out_of_domain, processes, report, words
from .models import MODELS
from .terminal import OUT_OF_MEMORY, explain, forgiving_streams, in_notebook


def common_options() -> argparse.ArgumentParser:
    """The options that every lesson and the runner understand, as a parent parser."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--models", choices=("auto", "embedded", "hub"), default="auto",
                        help="auto: real weights if they are on this machine, else the small embedded models; "
                             "hub: download the real ones (default: auto)")
    parser.add_argument("--model", action="append", metavar="NAME", choices=list(MODELS),
                        help="take this model in the place of a lesson's own, or compare it with that in 9.6; may be "
                             f"given more than once ({', '.join(MODELS)})")
    parser.add_argument("--weights", type=path, metavar="DIR",
                        help="a folder with real weights that you fetched yourself (default: MULTIMODAL_WEIGHTS)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps", "xpu"), default="auto",
                        help="where to compute (default: the fastest there is)")
    parser.add_argument("--dtype", choices=("auto", "fp32", "fp16", "bf16", "int8"), default="auto",
                        help="precision of the weights (default: the fastest that is safe on the device)")
    parser.add_argument("--without", action="append", metavar="CANDIDATE",
                        help="do not try this model on this device in this precision, as blip2:cuda:fp16; what ran out "
                             "of memory is started again with it")
    parser.add_argument("--output", type=path, default=Path("outputs"), metavar="DIR",
                        help="where figures and results go (default: outputs)")
    parser.add_argument("--image", type=path, nargs="+", action="extend", metavar="FILE",
                        help="pictures of your own; may be given more than once")
    parser.add_argument("--images", type=path, metavar="FOLDER",
                        help="a folder of pictures of your own, with its subfolders")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    return parser


def path(text: str) -> Path:
    """An option that names a file or a folder, as a type for argparse; ~ is the reader's home."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty, give the name of a file or a folder")
    if re.match(r"(https?|ftp|data|file):", text, re.IGNORECASE):
        raise argparse.ArgumentTypeError(f"{words.readable(text[:60])} is an address: download it first, and give the "
                                         "file")
    with suppress(RuntimeError):  # no home is known
        return Path(text).expanduser()
    return Path(text)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of a lesson or an example, and what follows from them for this process.

    Texts are cleaned of bytes that are no UTF-8; one that is blank is refused.
    """
    forgiving_streams()
    options = parser.parse_args([] if in_notebook() else None)  # a notebook's own arguments are not for us
    for name, value in vars(options).items():
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            parser.error(f"argument --{name.replace('_', '-')}: it is empty, give a text")
        cleaned = [words.readable(text) if isinstance(text, str) else text for text in texts]
        setattr(options, name, cleaned if isinstance(value, list) else cleaned[0])
    if options.weights:
        os.environ["MULTIMODAL_WEIGHTS"] = str(options.weights)
    return options


def announce(choice) -> dict[str, str]:
    """Say which model runs, on what, in which precision and why (a `catalog.Choice`); returns it for results."""
    print(f"Model: {choice.name}, {choice.source}, on {choice.device} in {choice.dtype_name.upper()}.")
    print(textwrap.fill(choice.reason, 110, initial_indent="       ", subsequent_indent="       "))
    return {"key": choice.key, "name": choice.name, "source": choice.source, "device": choice.device,
            "dtype": choice.dtype_name, "reason": choice.reason}


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

    def __init__(self, section: str, title: str):
        self.section, self.title = section, title
        self.parser = argparse.ArgumentParser(description=f"{section} {title}", parents=[common_options()])
        self.argument = self.parser.add_argument
        self.models: list[dict] = []
        self.could_give_up: list = []  # `catalog.Choice`s in whose place something smaller could run
        self.figures: list[str] = []
        self.measures: dict = {}
        self.steps = 0

    def start(self) -> argparse.Namespace:
        """Read the options, make the output folder and print the title."""
        self.options = parse(self.parser)
        self.folder = self.options.output / self.section
        if not in_notebook():
            sys.excepthook = partial(report_and_exit, debug=self.options.debug, folder=self.folder)
        self.began = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        # A result of an earlier run must not pass for one of this run, should this one fail.
        for name in ("results.json", processes.RUNNING):
            (self.folder / name).unlink(missing_ok=True)
        print(f"{self.section}  {self.title}")
        return self.options

    def use(self, choice) -> None:
        """Say which model the lesson runs, on what, in which precision and why (a `catalog.Choice`)."""
        self.models.append(announce(choice))
        if choice.candidate:
            # The real model that came last goes first, as all were in memory together; the small ones go last.
            self.could_give_up.insert(0, choice)
            self.could_give_up.sort(key=lambda choice: choice.source == "embedded")
        (self.folder / processes.RUNNING).write_text("\n".join(choice.candidate for choice in self.could_give_up))

    def check(self, pictures: list) -> None:
        """Warn of the reader's own pictures that the small models cannot understand, if one of those runs.

        Args:
            pictures: `images.Sample`s; the gallery's are not looked at.
        """
        own = [sample for sample in pictures if not sample.caption][:100]  # a hundred are enough to say it
        if not own or all(model["source"] != "embedded" for model in self.models):
            return
        foreign = []
        for start in range(0, len(own), 32):  # not all of a folder in memory at once
            some = own[start:start + 32]
            distances = out_of_domain.distances([sample.image for sample in some])
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
        file = self.folder / f"{name}.png"
        report.save_figure(figure, file)
        self.figures.append(file.name)
        print(f"   figure: {file}")
        if in_notebook():
            from IPython.display import display
            display(figure)
        from matplotlib import pyplot
        pyplot.close(figure)  # frees its memory, and keeps a notebook from showing it a second time
        return file

    def finish(self) -> None:
        """Write results.json. A lesson that does not come this far has failed."""
        used = {model["key"] for model in self.models}
        unused = [name for name in dict.fromkeys(self.options.model or ()) if name not in used]
        if unused and self.section != "9.6":  # which takes them all, and says why where it cannot
            print(f"\n--model {', '.join(unused)} changed nothing here: 9.6 sets further models beside the lessons' "
                  "own.")
        results = {"section": self.section, "title": self.title, "models": self.models, "figures": self.figures,
                   "seconds": round(time.perf_counter() - self.began, 2), "measures": self.measures}
        report.write_results(self.folder / "results.json", results)
        (self.folder / processes.RUNNING).unlink(missing_ok=True)
        print(f"\n{self.section} done in {results['seconds']:.1f} s: {len(self.figures)} figures in {self.folder}")


def report_and_exit(kind, error, trace, debug: bool, folder: Path) -> None:
    """An exception hook: one step lower if memory ran out, or one sentence instead of a traceback; and the right exit
    status."""
    sentence, status = explain(error)
    if debug:
        traceback.print_exception(error)
    elif status == OUT_OF_MEMORY and (arguments := processes.one_step_lower(folder, sys.argv[1:])):
        del error
        processes.replace_process(arguments)
    elif status == 1 and not isinstance(error, (UserError, OSError)):
        # A mistake of ours, not of the reader: where it happened helps whoever reports it.
        frame = traceback.extract_tb(trace)[-1]
        print(f"at {Path(frame.filename).name}:{frame.lineno}", file=sys.stderr)
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    sys.exit(status)
