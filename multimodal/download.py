"""Files of the hub, fetched into its cache: the next run goes on where one stopped, and each is checked before use.

huggingface_hub knows the endpoint, the token, the proxies and the layout of the cache, and all that is used here. Its
own download begins every file anew in a new process, and can wait for minutes without a word.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import filelock
import httpx2
from huggingface_hub import constants, hf_hub_url
from huggingface_hub.utils import WeakFileLock, build_hf_headers, get_session, parse_ratelimit_headers

from . import UserError
from .hardware import readable_size

# The environment variable HF_HUB_DOWNLOAD_TIMEOUT (10 seconds if it is not set) bounds the wait for an answer and for
# the next byte of it; these bound what we do then.
TRIES = 4  # requests in a row that bring nothing
PAUSE = 1  # seconds before the second one; twice as long before each further one
PATIENCE = 60  # seconds that a server may ask us to stay away
LINE_EVERY = 5  # seconds between two lines of progress where there is no terminal for a bar


class DownloadError(UserError):
    """Weights that could not be fetched: nothing is wrong with the command."""

    status = 1


class Failed(Exception):
    """Why the hub's files could not be had, in words that fit into brackets."""


class _Busy(Exception):
    """The server cannot answer now; `wait` is the number of seconds after which to ask again, if it says so."""

    def __init__(self, what: str, wait: float | None):
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class File:
    """A file of a repository; `digest` is its SHA-256 if git-lfs holds it (64 digits), else its name in git (40)."""

    name: str
    size: int
    digest: str


def hasher(digest: str, size: int):
    """A hash to be fed a file of `size` bytes and compared with `digest` of a `File`."""
    return hashlib.sha256() if len(digest) == 64 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def matches(path: Path, digest: str, progress: "Progress", fetched: bool = True) -> bool:
    """Whether a file's content has this digest, as in `File`. fetched: see `Progress.add`."""
    content = hasher(digest, path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            content.update(chunk)
            progress.add(len(chunk), fetched)
    return content.hexdigest() == digest


class Progress:
    """How far the download is: a bar on a terminal, elsewhere a line every few seconds, on stderr."""

    def __init__(self, total: int):
        self.total, self.done, self.fetched = total, 0, 0
        self.terminal = sys.stderr.isatty()
        self.shown = time.monotonic()
        self.marks = deque([(self.shown, 0)], maxlen=50)  # for the speed of late, not that of the whole download

    def add(self, size: int, fetched: bool = True) -> None:
        """Count bytes; those that were here already (`fetched` false) do not count as speed."""
        self.done += size
        self.fetched += size * fetched
        now = time.monotonic()
        if now - self.shown > (0.2 if self.terminal else LINE_EVERY):
            self.shown = now
            self.marks.append((now, self.fetched))
            self.show()

    def show(self) -> None:
        """Draw the bar, or print the line."""
        seconds, fetched = self.marks[-1][0] - self.marks[0][0], self.marks[-1][1] - self.marks[0][1]
        text = f"{self.done / max(1, self.total):4.0%} of {readable_size(self.total)}"
        if seconds and fetched > 0:
            speed = fetched / seconds
            unit = readable_size(speed) if speed >= 5e5 else f"{speed / 1e3:.3g} kB"
            left = round((self.total - self.done) / speed)
            text += f", {unit}/s, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        if self.terminal:
            filled = 30 * self.done // max(1, self.total)
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}]{text:46}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line without spoiling the bar."""
        self.clear()
        print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Wipe the bar away."""
        if self.terminal:
            print(f"\r{'':80}\r", end="", file=sys.stderr, flush=True)


def snapshot(hub_id: str, revision: str, choose: Callable[[list[str]], list[str]], cache: Path) -> Path:
    """Fetch files of a repository into the hub's cache and return their folder.

    Args:
        hub_id: The repository.
        revision: A commit, or a branch.
        choose: Which of the names of its files to fetch.
        cache: The hub's cache. What an interrupted run left there (`blobs/*.part`) is gone on with.

    Raises:
        Failed: No network, no answer, no such repository, or files that are not those which the hub lists.
        DownloadError: No room on the disk.
        OSError: The cache cannot be written.
    """
    commit, files = _listing(hub_id, revision, choose)
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    folder, blobs = repository / "snapshots" / commit, repository / "blobs"
    with ExitStack() as stack:
        _wait_for_others(stack, cache / ".locks" / repository.name / "multimodal.lock")
        blobs.mkdir(parents=True, exist_ok=True)
        size, here = 0, 0
        for file in files:
            size += file.size
            part = blobs / f"{file.digest}.part"
            here += file.size if _found(file, folder, blobs) else part.stat().st_size if part.exists() else 0
        free = shutil.disk_usage(blobs).free
        print(f"Downloading {hub_id} from {constants.ENDPOINT}: {readable_size(size)} in {len(files)} files"
              + (f", of which {readable_size(here)} came in an earlier run" if here else "")
              + f"; {readable_size(free)} free in {cache}.", flush=True)
        if free < 1.02 * (size - here):
            raise DownloadError(f"{cache} has {readable_size(free)} free and {hub_id} needs "
                                f"{readable_size(size - here)}: make room, or name a folder on a larger disk in "
                                "HF_HOME, or run the small model with --models embedded.")
        progress = Progress(size)
        try:
            for file in files:
                blob = blobs / file.digest
                # Whoever brought what is here already: it is checked, too.
                while (found := _found(file, folder, blobs)) and not matches(found, file.digest, progress, False):
                    progress.add(-file.size, fetched=False)
                    content = found.resolve()
                    (content if content.parent == blobs.resolve() else found).unlink()  # a link may lead elsewhere
                if not found:
                    part = blob.with_name(f"{file.digest}.part")
                    _fetch(hf_hub_url(hub_id, file.name, revision=commit), file, part, progress)
                    part.replace(blob)
                if found != folder / file.name:
                    _link(folder / file.name, blob)
        except KeyboardInterrupt:
            progress.say("Stopped. What has come is kept: the next run goes on from there.")
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DownloadError(f"The disk of {cache} is full: make room and run this again, which goes on where "
                                    "it stopped.") from error
            raise
        finally:
            progress.clear()
        # So that the name alone finds it too, without a network.
        if not (main := repository / "refs/main").exists() or revision == "main":
            main.parent.mkdir(exist_ok=True)
            main.write_text(commit)
    return folder


def _listing(hub_id: str, revision: str, choose: Callable[[list[str]], list[str]]) -> tuple[str, list[File]]:
    """The commit that the revision stands for, and the files chosen, small ones first, with size and hash."""
    url = f"{constants.ENDPOINT}/api/models/{hub_id}/revision/{revision}?blobs=true"
    for tries in range(1, TRIES + 1):
        try:
            answer = _send(url, whole=True).json()
            commit, entries = answer["sha"], {entry["rfilename"]: entry for entry in answer["siblings"]}
            break
        except _Busy as busy:
            _pause(busy, tries, lambda line: print(line, file=sys.stderr, flush=True))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Failed(_reason(error)) from error
        except (ValueError, LookupError, TypeError) as error:
            raise Failed("its answer is no list of files, but perhaps the login page of a network") from error
    if revision not in ("main", commit) or not re.fullmatch("[0-9a-f]{40}", str(commit)):
        raise Failed(f"it answers with commit {commit} where {revision} was asked for")
    files = []
    for name in choose(list(entries)):
        entry = entries[name]
        large = entry.get("lfs") or {}
        file = File(name, large.get("size", entry.get("size")), large.get("sha256") or entry.get("blobId"))
        # The digest becomes a file name: no mirror shall choose another place for it.
        if not isinstance(file.size, int) or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", str(file.digest)):
            raise Failed(f"it does not tell size and hash of {name}, so that this could not be checked")
        files.append(file)
    return commit, sorted(files, key=lambda file: file.size)


def _fetch(url: str, file: File, part: Path, progress: Progress) -> None:
    """Bring `part` to its full size, from where it ends, and check it against size and hash."""
    hash_so_far = hasher(file.digest, file.size)
    have = tries = 0
    with part.open("a+b", buffering=0) as stream:  # unbuffered: what has come is on the disk, however this ends

        def start_over() -> None:
            nonlocal have, hash_so_far
            progress.add(-have, fetched=False)
            stream.truncate(0)
            have, hash_so_far = 0, hasher(file.digest, file.size)

        stream.seek(0)
        while chunk := stream.read(2**20):
            hash_so_far.update(chunk)
            have += len(chunk)
            progress.add(len(chunk), fetched=False)
        if have > file.size:
            start_over()
        while have < file.size:
            before = have
            try:
                with closing(_send(url, {"Range": f"bytes={have}-"} if have else {})) as response:
                    if have and response.status_code != 206:  # the server knows no ranges, or not this one
                        start_over()
                    length = _length(response, have)
                    if response.status_code == 416:
                        raise _Busy("it has no such range of bytes", PAUSE)
                    if length not in (None, file.size):
                        raise Failed(f"{file.name} has {length:,} bytes there where {file.size:,} are listed")
                    for chunk in response.iter_bytes():
                        if have + len(chunk) > file.size:
                            start_over()
                            raise Failed(f"{file.name} is longer than the {file.size:,} bytes that are listed")
                        if stream.write(chunk) < len(chunk):
                            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                        hash_so_far.update(chunk)
                        have += len(chunk)
                        progress.add(len(chunk))
                if have < file.size:
                    raise httpx2.RemoteProtocolError("the end came too early", request=response.request)
            except (httpx2.HTTPError, _Busy) as error:
                tries = 1 if have > before else tries + 1
                _pause(error, tries, progress.say, progress.done)
    if hash_so_far.hexdigest() != file.digest:
        part.unlink()
        raise Failed(f"{file.name} came with another hash than the one listed, so it was deleted")


def _send(url: str, headers: dict | None = None, whole: bool = False) -> httpx2.Response:
    """The answer to a GET request, if need be after redirects, with its body read (`whole`) or still to come.

    Raises:
        _Busy: The server asks to come again.
        Failed: It refuses.
        httpx2.HTTPError: There is no answer.
    """
    try:
        session = get_session()
    except (ValueError, ImportError) as error:
        raise Failed(f"the proxy that is set cannot be used: {error}") from error
    # Compressed on the way, a file could not be gone on with in the middle.
    headers = build_hf_headers() | {"Accept-Encoding": "identity"} | (headers or {})
    request = session.build_request("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    response = _within(constants.HF_HUB_DOWNLOAD_TIMEOUT, lambda: session.send(request, stream=not whole), request)
    status = response.status_code
    if status in (200, 206, 416):
        return response
    response.close()
    if status in (408, 429) or status >= 500:
        wait = response.headers.get("Retry-After", "")
        limit = parse_ratelimit_headers(response.headers)
        raise _Busy(f"HTTP {status}", float(wait) if wait.isdigit() else limit.reset_in_seconds if limit else None)
    raise Failed({401: "it does not exist there, or needs a token in HF_TOKEN (HTTP 401)",
                  403: "access is denied: it may need a token in HF_TOKEN (HTTP 403)",
                  404: f"HTTP 404: {request.url.path} is not there"}.get(status, f"HTTP {status}"))


def _length(response: httpx2.Response, start: int) -> int | None:
    """The size of the whole file, as the answer to a request for what comes after `start` tells it."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != start:
            raise Failed("it answers with another range of bytes than was asked for")
        return int(found[2])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None


def _within(seconds: float, function: Callable, request: httpx2.Request):
    """The result of function(), or a timeout.

    A timeout of httpx2 counts for each address of a host and each byte anew and not for looking up its name, so that a
    network that drops packets or a server that drips could keep us waiting for minutes.
    """
    outcome = []

    def work() -> None:
        try:
            outcome.append((function(), None))
        except Exception as error:  # noqa: BLE001 - it is raised again below, in the thread that waits
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise httpx2.ReadTimeout(f"no answer within {seconds} seconds", request=request)
    result, error = outcome[0]
    if error:
        raise error
    return result


def _pause(error: Exception, tries: int, say: Callable[[str], None], kept: int = 0) -> None:
    """Wait before the next request, as long as the server asks or longer each time, or give up."""
    wait = error.wait if isinstance(error, _Busy) and error.wait is not None else PAUSE * 2 ** (tries - 1)
    if tries == TRIES or wait > PATIENCE:
        text = _reason(error) + (f", and it asks to wait {wait:.0f} seconds" if wait > PATIENCE else "")
        text += f"; the {readable_size(kept)} that came are kept for the next run" if kept else ""
        raise Failed(text) from error
    say(f"{_reason(error)}: trying again in {wait:.0f} s ({tries + 1} of {TRIES})")
    while wait > 0:
        time.sleep(min(wait, 10))
        if (wait := wait - 10) > 0:
            say(f"trying again in {wait:.0f} s")


def _reason(error: Exception) -> str:
    """What went wrong, in words."""
    host = error.request.url.host if getattr(error, "_request", None) else ""
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer from {host} for {constants.HF_HUB_DOWNLOAD_TIMEOUT} seconds"
    if isinstance(error, httpx2.ConnectError):
        proxied = urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
        return f"no connection to {host}{' by the proxy that is set' if proxied else ''}: {error}"
    if isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
        return f"{host} cut the connection"
    return (str(error) or type(error).__name__).splitlines()[0]


def _wait_for_others(stack: ExitStack, lock: Path) -> None:
    """Hold the lock until the stack closes, and say so while another process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    seconds = 0.5
    while True:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=seconds))
            return
        except filelock.Timeout:
            print(f"Another process downloads it ({lock} is held): waiting.", file=sys.stderr, flush=True)
            seconds = 10


def _found(file: File, folder: Path, blobs: Path) -> Path | None:
    """Where a file of the right size is already: in the snapshot, or only its content."""
    return next((path for path in (folder / file.name, blobs / file.digest)
                 if path.is_file() and path.stat().st_size == file.size), None)


def _link(pointer: Path, blob: Path) -> None:
    """Make the file of the snapshot a link to its content, or that itself where links are not allowed."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        blob.replace(pointer)
