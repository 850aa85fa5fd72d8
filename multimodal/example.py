"""What the examples share: options like a lesson's, and one figure and one file of results for each."""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from . import lesson, report
from .terminal import in_notebook

_began = time.perf_counter()
_file = Path("example.py")
_options = argparse.Namespace()


def start(file: str, **settings) -> argparse.Namespace:
    """Read the options that an example shares with the lessons, and the settings that it adds.

    From here on an error is said in one sentence, with the right exit status.

    Args:
        file: The example's `__file__`; its first heading is the title.
        settings: Names of further options with their defaults, as `level="usual"` for `--level`.
    """
    global _began, _file, _options
    _began, _file = time.perf_counter(), Path(file)
    parser = argparse.ArgumentParser(description=title(_file), parents=[lesson.common_options()])
    for name, default in settings.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, metavar="VALUE",
                            help=f"(default: {default})")
    _options = lesson.parse(parser)
    if not in_notebook():
        sys.excepthook = partial(lesson.report_and_exit, debug=_options.debug, folder=_folder())
    for left in ("json", "png"):  # of an earlier run: it must not pass for one of this run
        (_folder() / f"{_file.stem}.{left}").unlink(missing_ok=True)
    print(title(_file))
    return _options


def finish(finding: str, figure, measures: dict, choices: list = ()) -> None:
    """Write the figure as outputs/examples/NAME.png and what was measured as NAME.json, and print the finding.

    Args:
        finding: What was found, in one sentence with its number.
        figure: A matplotlib figure.
        measures: Names and values: numbers, `metrics.Share`s, or anything that JSON can hold.
        choices: The `catalog.Choice`s of the models that ran.
    """
    models = [lesson.announce(choice) for choice in choices]
    seconds = round(time.perf_counter() - _began, 2)
    picture = _folder() / f"{_file.stem}.png"
    report.save_figure(figure, picture)
    report.write_results(picture.with_suffix(".json"), {
        "name": _file.stem, "title": title(_file), "finding": finding, "models": models, "seconds": seconds,
        "figure": picture.name, "measures": measures})
    for name, value in measures.items():
        if not isinstance(value, (dict, list)):
            print(f"   {name}: {value:.4g}" if type(value) is float else f"   {name}: {value}")
    print(f"{finding}\n{_file.stem} done in {seconds:.1f} s: {picture} and {picture.with_suffix('.json').name}")


def title(file: Path) -> str:
    """The first heading of a script in percent format."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# # "):
            return line.removeprefix("# # ")
    return file.stem


def _folder() -> Path:
    return _options.output / "examples"
