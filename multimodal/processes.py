"""Lessons in processes of their own: started by a fork where that is possible, ended with all that they started, and
started again one step lower if memory ran out.

A lesson that cannot have its memory ends with status OUT_OF_MEMORY, or the system kills it. While it runs, it keeps in
its output folder a list of what it could give up (`Lesson.use` writes it). Whoever started it takes the first line
of that list and starts it again with `--without` it: the runner does so, and a lesson run alone does so for itself.
"""

import contextlib
import ctypes
import gc
import importlib
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

from .terminal import explain

RUNNING = "running.txt"  # in a lesson's folder while it runs: the candidates that it could give up, first one first
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


def start(file: Path, arguments: list[str], why: Path):
    """Start a lesson with a process group of its own and no input; returns its process, as Popen does.

    Args:
        why: Where the lesson is to write why it failed.

    Raises:
        OSError: There is no memory for it, or there are too many processes.
    """
    if CAN_FORK:
        return _fork(file, arguments, why)
    # This module as a program does what the child of a fork does; it must find the package from any folder.
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen([sys.executable, "-m", __name__, str(why), str(file), *arguments], start_new_session=True,
                            stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path})


def _fork(file: Path, arguments: list[str], why: Path) -> types.SimpleNamespace:
    """Run a lesson in a copy of this process. Returns it with its `pid`, as Popen does."""
    runner = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # Until the child has put stop() away.
    try:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setpgid(0, 0)
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it dies with the runner.
                if os.getppid() == runner:  # It did not die before the line above.
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
                    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # A lesson waits for nobody.
                    status = run_script(file, arguments, why)
            finally:
                os._exit(status)  # Whatever happens, the child must not go on as a second runner.
        os.setpgid(child, child)  # As the child does itself: nobody knows which of the two comes first.
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    return types.SimpleNamespace(pid=child)


def run_script(file: Path, arguments: list[str], why: Path) -> int:
    """Run a script as `python FILE ARGUMENTS` would; return its exit status, and write to `why` why it failed."""
    sentence, status = "", 0
    try:
        sys.argv[:] = [str(file), *arguments]
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        if end.code is not None:
            sentence, status = ("", end.code & 0xFF) if isinstance(end.code, int) else (str(end.code), 1)
    except BaseException as error:  # Python itself, too, catches everything at a script's end.
        sentence, status = explain(error)
        if "--debug" in arguments:
            traceback.print_exc()
    if sentence:
        why.write_text(sentence, encoding="utf-8", errors="replace")
        print(f"error: {sentence}", file=sys.stderr)
    sys.stdout.flush()
    return status


def one_step_lower(folder: Path, arguments: list[str]) -> list[str] | None:
    """The arguments with which to start a lesson that ran out of memory again, or None if it has nothing to give up.

    Args:
        folder: Its output folder.
        arguments: Those that it had.
    """
    try:
        candidate, *_ = (folder / RUNNING).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # It had no model yet, or has nothing to give up.
        return None
    print(f"There was not enough memory: once more, one step lower (--without {candidate}).", flush=True)
    return [*arguments, f"--without={candidate}"]


def replace_process(arguments: list[str]) -> None:
    """Start this program anew with other arguments, in the place of this process: so all its memory is free again."""
    command = [sys.executable, sys.argv[0], *arguments]
    if sys.platform != "win32":
        os.execv(sys.executable, command)
    # There execv ends this process at once, and whoever waits for it would go on. So it waits, without its models.
    sys.last_traceback = sys.last_exc = sys.last_value = None
    vars(sys.modules["__main__"]).clear()
    gc.collect()
    sys.exit(subprocess.call(command))


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


if __name__ == "__main__":
    sys.exit(run_script(Path(sys.argv[2]), sys.argv[3:], Path(sys.argv[1])))
