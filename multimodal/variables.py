"""Environment variables that libraries read when they are imported: what the chapter sets, and bad values it drops."""

import os
import re
import sys
from collections.abc import Iterator, MutableMapping

NUMBERS = {name: r"\d+" for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "MKL_NUM_THREADS",
                                     "OPENBLAS_NUM_THREADS")} | {"OMP_NUM_THREADS": r"\d+(,\d+)*"}
FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def drop_bad_values(environment: MutableMapping[str, str] = os.environ) -> Iterator[str]:
    """Take variables away whose value would end an import with an error; yields a sentence for each."""
    for name, form in NUMBERS.items():
        if name in environment and not re.fullmatch(form, environment[name].strip()):
            yield f"{name} is {environment.pop(name)!r}, which is no whole number: it is left out."
    for name in FILES:
        if name in environment and not (environment[name] and os.path.exists(environment[name])):
            yield f"{name} names {environment.pop(name)!r}, which is not there: it is left out."
    if not os.path.isdir(environment.get("SSL_CERT_DIR", os.curdir)):
        yield f"SSL_CERT_DIR names {environment.pop('SSL_CERT_DIR')!r}, which is no folder: it is left out."


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Drop bad values, each with a line on stderr; and draw figures into files, whatever the surroundings say."""
    for sentence in drop_bad_values(environment):
        print(f"note: {sentence}", file=sys.stderr)
    if "ipykernel" not in sys.modules:
        # A notebook's ! command inherits its backend, which is not to be had outside the kernel.
        environment["MPLBACKEND"] = "Agg"
