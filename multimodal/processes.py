"""Programs in processes of their own: started by a fork where that is possible, ended with all that they started."""

import contextlib
import ctypes
import importlib
import mmap
import os
import runpy
import signal
import subprocess
import sys
import traceback
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

from .lesson import explain, step_down

TRANSFORMERS_CLASSES = ("CLIPModel", "CLIPProcessor", "BlipForConditionalGeneration", "BlipProcessor",
                        "Blip2ForConditionalGeneration", "Blip2Processor")
# Elsewhere a fork is missing (Windows) or unsafe once the system's own libraries are loaded (macOS). And torchao, which
# transformers imports where it is installed, touches CUDA, which then does not work after a fork.
CAN_FORK = sys.platform == "linux" and find_spec("torchao") is None
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL, its Popen.kill() needs none.


def load_libraries() -> None:
    """Import once what the forked lessons would each import for themselves, which takes ten seconds.

    It only imports: CUDA that was touched and thread pools that were started before a fork do not work after it.
    """
    if sys.stdout.isatty():
        print("Loading the libraries ...")
    # An import may ask whether there is a GPU. Asked this way, the answer does not spoil CUDA for the forked lessons.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    # Python 3.12 warns of any thread at a fork. The only ones here are OpenBLAS's, which it starts anew in the child.
    warnings.filterwarnings("ignore", message=".* is multi-threaded, use of fork", category=DeprecationWarning)
    # Whatever is wrong with a library, the lessons that use it report it; others may do without.
    with contextlib.suppress(Exception):
        for module in ("torch", "matplotlib.pyplot", "seaborn", "sentence_transformers"):
            importlib.import_module(module)
        transformers = importlib.import_module("transformers")
        for name in TRANSFORMERS_CLASSES:  # It imports a class when it is first asked for it.
            getattr(transformers, name)


def stop(number: int, frame) -> None:
    """Handle Ctrl-C and SIGTERM: unwind, and let no second one disturb that."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def start(file: Path, arguments: list[str], reason: mmap.mmap):
    """Start a lesson with a process group of its own and no input; returns its process, as Popen does.

    Args:
        reason: Shared memory; a lesson in a forked process writes there why it failed.

    Raises:
        OSError: There is no memory for it, or there are too many processes.
    """
    if CAN_FORK:
        return _fork(file, arguments, reason)
    return subprocess.Popen([sys.executable, str(file), *arguments], stdin=subprocess.DEVNULL, start_new_session=True)


def _fork(file: Path, arguments: list[str], reason: mmap.mmap) -> types.SimpleNamespace:
    """Run a lesson in a copy of this process. Returns it with its `pid`, as Popen does."""
    runner = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # Until the child has put stop() away.
    try:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = _run_in_child(file, arguments, reason, runner)
            finally:
                os._exit(status)  # Whatever happens, the child must not go on as a second runner.
        os.setpgid(child, child)  # As the child does itself: nobody knows which of the two comes first.
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return types.SimpleNamespace(pid=child)


def _run_in_child(file: Path, arguments: list[str], reason: mmap.mmap, runner: int) -> int:
    """Run a lesson as `python FILE ARGUMENTS` would; return its exit code, and write why it failed to `reason`."""
    sentence, status = "", 0
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: if the runner is killed, so is the lesson.
        if os.getppid() != runner:
            return 1  # The runner died before the line above.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # A lesson waits for nobody.
        sys.argv[:] = [str(file), *arguments]
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        if end.code is not None:
            sentence, status = ("", end.code & 0xFF) if isinstance(end.code, int) else (str(end.code), 1)
    except BaseException as error:  # Python itself, too, catches everything at a script's end.
        if "--debug" not in arguments:
            step_down(error)
        sentence, status = explain(error)
        if "--debug" in arguments:
            traceback.print_exc()
    if sentence:
        reason.write(sentence.encode(errors="replace")[:len(reason)])
        print(f"error: {sentence}", file=sys.stderr)
    sys.stdout.flush()
    return status


def wait(process) -> tuple[int, int | None]:
    """The exit code of a process (-9 if signal 9 ended it) and its peak resident memory in bytes, if it is known."""
    if not hasattr(os, "wait4"):
        return process.wait(), None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def send(process, number: int) -> None:
    """Send a signal to a lesson and all that it started, as far as they still run."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group that has ended.
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()


def memory_kills() -> int:
    """How many processes Linux has ended for want of memory since it was started; 0 elsewhere."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/vmstat").read_text().partition("\noom_kill ")[2].split("\n")[0])
    return 0
