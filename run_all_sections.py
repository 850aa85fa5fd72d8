"""Run the chapter's lessons, each in a process of its own, and say how every one of them ended.

  python run_all_sections.py            all six, in order
  python run_all_sections.py 3          section 9.3; "9.3" says the same
  python run_all_sections.py 1-3        a range
  python run_all_sections.py 2,4-6      a list
  python run_all_sections.py menu       ask

A lesson that fails, is killed or runs out of memory does not stop the ones after it. The exit code is 0 if all
succeeded, 1 if one failed, 2 for a wrong argument and 130 after Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from multimodal import UserError, processes, report, words
from multimodal.lesson import common_options
from multimodal.terminal import OUT_OF_MEMORY, forgiving_streams

LESSONS = (
    ("9.1_clip_basics.py", "CLIP: one space for images and text"),
    ("9.2_clip_similarity_matrix.py", "Similarity matrices, zero-shot classification, retrieval"),
    ("9.3_sbert_clip.py", "SBERT-CLIP: one encode for both"),
    ("9.4_blip2_vision_qa.py", "BLIP-2: captions, questions, conversation"),
    ("9.5_lightweight_vlm.py", "BLIP: captions on small machines"),
    ("9.6_multimodal_summary.py", "Summary: what was measured, what to choose"),
)


@dataclass
class Outcome:
    """How a lesson ended. One that Ctrl-C ends keeps the status that it has here."""

    section: str
    status: str = "stopped"  # or "succeeded", "failed", "killed"
    reason: str = "interrupted"
    seconds: float = 0.0
    peak_memory: int | None = None  # bytes; None where the platform does not tell
    results: dict | None = None  # what Lesson.finish() wrote, if the lesson succeeded


def selection(text: str) -> list[int]:
    """The numbers of the sections that `text` names, in order and each once: "4-6,2" gives [2, 4, 5, 6].

    Raises:
        UserError: `text` names something else than existing sections.
    """
    numbers = set()
    plain = re.sub(r"\s", "", words.narrow(words.readable(text)).lower()).translate(str.maketrans("、。~‐–—", ",.----"))
    for part in ("1-6" if plain == "all" else plain).split(","):
        match = re.fullmatch(r"(?:9\.)?([1-6])(?:-(?:9\.)?([1-6]))?", part)
        if not match or (match[2] and match[2] < match[1]):
            raise UserError(f'"{words.readable(text)}" names no sections: give a number from 1 to 6 (or 9.1 to 9.6), a '
                            'rising range such as 1-3, a list such as 2,4-6, or one of the words all and menu.')
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(numbers)


def handed_on(options: argparse.Namespace) -> list[str]:
    """The options that the lessons understand, as arguments, where they differ from the default."""
    arguments = []
    for name, default in vars(common_options().parse_args([])).items():
        value = getattr(options, name)
        if value is True:
            arguments.append(f"--{name}")
        elif value != default:
            arguments += [f"--{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return arguments


def run_lesson(file: Path, arguments: list[str], results: Path, outcome: Outcome) -> None:
    """Run a lesson to its end and fill in its outcome; if memory runs out, again, one step lower.

    Raises:
        SystemExit: Ctrl-C or SIGTERM came; nothing that the lesson started is left.
    """
    with tempfile.TemporaryDirectory() as folder:
        why = Path(folder) / "why"
        while True:
            for left in (results, results.with_name(processes.RUNNING), why):
                with contextlib.suppress(OSError):  # What is wrong with the folder, the lesson says.
                    left.unlink()
            kills = processes.memory_kills()
            try:
                code = run_once(file, arguments, why, outcome)
            except OSError as error:  # No memory for it, or too many processes.
                outcome.status, outcome.reason = "failed", f"could not be started: {error.strerror}"
                return
            out_of_memory = processes.memory_kills() > kills and code == -processes.KILL
            lower = None
            if out_of_memory or code == OUT_OF_MEMORY:
                lower = processes.one_step_lower(results.parent, arguments)
            if not lower:
                break
            arguments = lower
        sentence = why.read_text(encoding="utf-8") if why.exists() else f"exit code {code}, see its output above"
    if code < 0:
        cause = signal.strsignal(-code)
        if -code == processes.KILL:
            cause = "out of memory" if out_of_memory else "perhaps out of memory"
        outcome.status, outcome.reason = "killed", f"killed (signal {-code}: {cause})"
    elif code > 0:
        outcome.status, outcome.reason = "failed", sentence
    elif not results.exists():
        outcome.status, outcome.reason = "failed", "ended early: no results"
    else:
        outcome.status, outcome.results = "succeeded", json.loads(results.read_text(encoding="utf-8"))


def run_once(file: Path, arguments: list[str], why: Path, outcome: Outcome) -> int:
    """Start a lesson, wait for its end and return its exit code; count its seconds and keep its peak memory.

    It has a process group of its own: a terminal's Ctrl-C reaches the runner alone, which passes it on to everything
    that the lesson started. It has no input: nothing may wait for somebody at the keyboard.
    """
    process, began = None, time.perf_counter()
    try:
        process = processes.start(file, arguments, why)
        code, outcome.peak_memory = processes.wait(process)
        return code
    except SystemExit as end:
        if process:
            processes.send(process, end.code - 128)
            patience = threading.Timer(5, processes.send, (process, processes.KILL))
            patience.start()
            with contextlib.suppress(ChildProcessError):  # It ended just when the signal came.
                _, outcome.peak_memory = processes.wait(process)
            patience.cancel()
        raise
    finally:
        outcome.seconds += time.perf_counter() - began
        if process:
            processes.send(process, processes.KILL)  # What a lesson leaves running.


def table(outcomes: list[Outcome]) -> str:
    """The closing table, at most 110 columns wide."""
    rows = ["section  status     seconds  peak memory  figures  model, device and precision, or what went wrong"]
    for outcome in outcomes:
        figures, notes = "-", [textwrap.shorten(outcome.reason, 300)]
        if outcome.results:
            figures = len(outcome.results["figures"])
            notes = [f"{model['name']} ({model['source']}), {model['device']} {model['dtype'].upper()}"
                     for model in outcome.results["models"]] or ["no model"]
        memory = f"{outcome.peak_memory / 1e9:.2f} GB" if outcome.peak_memory is not None else "-"
        start = f"{outcome.section:<9}{outcome.status:<10}{outcome.seconds:>8.1f}  {memory:>11}  {figures:>7}  "
        for line in (line for note in notes for line in textwrap.wrap(note, 110 - len(start))):
            rows.append(start + line)
            start = " " * len(start)
    return "\n".join(rows)


def run(numbers: list[int], options: argparse.Namespace) -> int:
    """Run the sections with these numbers, print the closing table and return the exit code."""
    arguments = handed_on(options)
    outcomes = []
    began = time.perf_counter()
    try:
        if processes.CAN_FORK and len(numbers) > 1:  # A single lesson imports only what it needs, which is faster.
            processes.load_libraries()
        for position, number in enumerate(numbers, 1):
            file = Path(__file__).resolve().with_name(LESSONS[number - 1][0])
            print(f"\n[{position}/{len(numbers)}] {file.name}")
            outcome = Outcome(f"9.{number}")
            outcomes.append(outcome)
            run_lesson(file, arguments, options.output / outcome.section / "results.json", outcome)
            if options.fail_fast and outcome.status != "succeeded":
                break
    finally:  # After Ctrl-C too.
        if outcomes:
            succeeded = sum(outcome.status == "succeeded" for outcome in outcomes)
            sections = "sections" if len(numbers) > 1 else "section"
            print(f"\n{(summary := table(outcomes))}\n\n{succeeded} of {len(numbers)} {sections} succeeded in "
                  f"{time.perf_counter() - began:.0f} s; figures and results are in {options.output}{os.sep}.")
            with contextlib.suppress(OSError):  # What is wrong with the folder, the lessons have said.
                print(f"All of them on one page: {report.write(options.output, summary)}")
    failed = ",".join(outcome.section for outcome in outcomes if outcome.status != "succeeded")
    if failed:
        again = shlex.join(["python", sys.argv[0], failed, *arguments, *([] if options.debug else ["--debug"])])
        print(f"To run what failed again, with tracebacks: {again}")
    return 1 if failed else 0


def listing() -> str:
    """The sections, a line each."""
    return "\n".join(f"{number}  {name:<30}  {title}" for number, (name, title) in enumerate(LESSONS, 1))


def menu(options: argparse.Namespace) -> int:
    """Show the sections; on a terminal, run what is asked for until "q". Returns 1 if a lesson failed, else 0."""
    status = 0
    while True:
        print(f"\n{listing()}")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            print("\nTo run some of them: python run_all_sections.py 3, or 1-3, 2,4-6, all.")
            return status
        try:
            answer = input("\nWhich (such as 3, 1-3, 2,4-6, all; q leaves)? ").strip()
            if words.narrow(answer).lower() in ("q", "quit", "exit"):
                return status
            status = max(status, run(selection(answer), options))
        except EOFError:
            return status
        except UserError as error:
            print(error, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, parents=[common_options()],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="?", default="all", help="as above; all if not given")
    parser.add_argument("--list", action="store_true", help="list the sections and exit")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first lesson that fails")
    options = parser.parse_args()
    for number in processes.STOP_SIGNALS:
        signal.signal(number, processes.stop)
    # A pipe or a log file gets each line at once, too, and what it cannot encode, escaped.
    sys.stdout.reconfigure(line_buffering=True)
    forgiving_streams()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        if options.list:
            print(listing())
            return 0
        if options.sections == "menu":
            return menu(options)
        return run(selection(options.sections), options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status


if __name__ == "__main__":
    sys.exit(main())
