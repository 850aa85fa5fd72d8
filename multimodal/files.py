"""Writing a file so that nobody ever finds half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path to write to, which then replaces `file` in one step; if the writing fails, the old file stays.

    Raises:
        OSError: The file cannot be written; it names the file, also where the system does not, as on a full disk.

    Example:
        >>> with replacing(Path("results.json")) as part:
        ...     part.write_text("{}")
    """
    # Named after the process, so that two that write the same file do not write into one another's.
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(file)
    except OSError as error:
        if error.filename is None or Path(error.filename) == part:
            error.filename, error.filename2 = str(file), None
        raise
    finally:
        part.unlink(missing_ok=True)
