"""Writing a file so that nobody ever finds half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Where to write what then takes the place of `file` in one step; what stood there stays if the writing fails.

    Example:
        >>> with replacing(Path("results.json")) as part:
        ...     part.write_text("{}")
    """
    # Named after the process, so that two that write the same file do not write into one another's.
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
