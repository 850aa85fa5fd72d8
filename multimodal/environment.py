"""Whether this Python has what the chapter needs: `python -m multimodal.environment`.

A line for each package, [OK] with its version, or [FAIL] with what is wrong and the command that mends it. It imports
every package, as some are broken though they are installed. The exit code is 1 if one fails.
"""

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
MODULES = {"pillow": "PIL"}  # where it is not the package's name


def check(requirements: Path = REQUIREMENTS) -> Iterator[tuple[bool, str]]:
    """For Python and each package of a requirements file, whether all is well, and a line about it."""
    well = sys.version_info >= (3, 11)
    yield well, f"Python {sys.version.split()[0]}" + ("" if well else ", needs 3.11 or newer: install that, and make a "
                                                      "virtual environment with it")
    pip = f'"{sys.executable}" -m pip install'
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:  # which several of the packages bring along
        yield False, f"the packages are not installed: {pip} -r {requirements}"
        return
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        wanted = Requirement(line)
        mend = f'{pip} --upgrade "{line}"'
        try:
            present = version(wanted.name)
            if present not in wanted.specifier:
                yield False, f"{wanted.name} {present}, needs {wanted.specifier}: {mend}"
                continue
            importlib.import_module(MODULES.get(wanted.name, wanted.name.replace("-", "_")))
            yield True, f"{wanted.name} {present}"
        except PackageNotFoundError:
            yield False, f"{wanted.name} is not installed: {mend}"
        except Exception as error:  # anything can go wrong in somebody else's import
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            yield False, f"{wanted.name} {present} cannot be imported ({reason}): {mend}"


def main() -> int:
    """Print what `check` finds, and what the chapter would compute on; the exit code."""
    fine = True
    for well, line in check():
        fine = fine and well
        print(f"{'[OK]' if well else '[FAIL]':7}{line}", flush=True)
    if fine:
        from .hardware import detect, readable_size

        machine = detect()
        print(f"{'':7}{machine.device_name} ({machine.device}), {machine.cores} processor cores, "
              f"{readable_size(machine.memory)} of memory free"
              + (f", {readable_size(machine.device_memory)} on the GPU" if machine.device_memory else ""))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
