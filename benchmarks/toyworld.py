"""How many pictures of toyworld one core draws in a second, level by level, and how long the first one takes.

    python -m benchmarks.toyworld [--count 600] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import toyworld
from multimodal.hardware import detect

FIRST = ("import time; began = time.perf_counter(); import toyworld; toyworld.draw(1, 0); "
         "print(time.perf_counter() - began)")


def rate(level: str, count: int, seed: int) -> float:
    """Pictures a second: by the processor's time, so that other programs on the machine count for little."""
    began = time.process_time()
    toyworld.draw(count, seed, level)
    return count / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="pictures in a call (default 600)")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each level after the first (default 3)")
    options = parser.parse_args()
    machine = detect()
    first = [float(subprocess.run([sys.executable, "-c", FIRST], cwd=Path(__file__).parents[1], check=True,
                                  capture_output=True, text=True).stdout) for _ in range(5)]
    cold = {"usual": rate("usual", options.count, 0)}
    print(f"{machine.device_name}, one core. Import and first picture: {statistics.median(first):.2f} s "
          f"({min(first):.2f} to {max(first):.2f}, five processes). The first {options.count} pictures of a process, "
          f"with the places still to be painted: {cold['usual']:.0f} a second. Then:\n\n"
          "| level | pictures a second, median | range |\n|---|---:|---|")
    for level in toyworld.LEVELS:
        rate(level, options.count, 0)  # paints what it needs
        rates = [rate(level, options.count, seed) for seed in range(1, options.rounds + 1)]
        print(f"| {level} | {statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} |", flush=True)


if __name__ == "__main__":
    main()
