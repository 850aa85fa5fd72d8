"""How long lesson 9.1 takes from the command to its first numbers, and how much of that is not importing libraries.

    python -m benchmarks.startup [--rounds 5]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from multimodal.hardware import detect

LIBRARIES = ("import multimodal, matplotlib.pyplot, numpy, PIL.Image, seaborn, torch; "
             "from transformers import CLIPModel, CLIPProcessor; print('imported')")


def seconds_until(beginnings: list[str], *arguments: str) -> list[float]:
    """Seconds from starting Python to the first line of output with each of these beginnings."""
    began, waiting, seconds = time.perf_counter(), list(beginnings), []
    with subprocess.Popen([sys.executable, "-u", *arguments], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE,
                          text=True) as process:
        for line in process.stdout:
            while waiting and line.startswith(waiting[0]):
                waiting.pop(0)
                seconds.append(time.perf_counter() - began)
            if not waiting:
                process.kill()
    if waiting:
        sys.exit(f"{' '.join(arguments)} never printed {waiting[0]!r}.")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        lesson = ("9.1_clip_basics.py", "--models", "embedded", "--output", folder)
        for _ in range(options.rounds + 1):  # the first warms the disk up
            rows.append(seconds_until(["imported"], "-c", LIBRARIES) +
                        seconds_until(["   pixel_values", "   image features"], *lesson))
    machine = detect()
    imports, first, embeddings = ([row[column] for row in rows[1:]] for column in range(3))
    ours = [lesson - libraries for lesson, libraries in zip(first, imports)]
    print(f"{machine.device_name}, {machine.cores} cores; medians of {options.rounds} rounds.\n\n"
          "| from the command to | seconds, median | range | times the imports |\n|---|---|---|---|")
    for name, values in (("the libraries imported", imports), ("the first numbers of 9.1 (pixel values)", first),
                         ("of which not imports", ours), ("the first embeddings (after a figure)", embeddings)):
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} | "
              f"{statistics.median(values) / statistics.median(imports):.2f} |")


if __name__ == "__main__":
    main()
