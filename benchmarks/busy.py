"""How fast the chapter's heaviest calls are beside other programs and under a quota of CPU time, before and after.

"Before" is torch as it comes: it is imported first, so that nothing that `multimodal` sets can reach it. "After" is
the chapter: `multimodal` is imported first, in each situation in a process of its own, as it looks whether others
compute when it starts. In each situation one and then the other works, in alternating order, for two seconds a call.
Every round has fresh processes; medians of the rounds are compared.

    python -m benchmarks.busy [--rounds 3]                    minutes
    python -m benchmarks.busy --chapter [--rounds 3]          the whole chapter, idle and beside one busy Python loop

    git worktree add ../old COMMIT
    python -m benchmarks.busy --old ../old                    "before" is that commit, as it comes

The quota needs a control group that can be made (Linux, root); without one its rows are left out. Whatever else runs on
the machine disturbs: the load is printed first.
"""

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SECONDS = 2  # how long each call is repeated
BATCH = 16
CALLS = {"encode": "CLIP, batches of 16, pictures/s", "embed_files": "embed_files on the gallery's 72 files, files/s",
         "caption": "BLIP, captions of 8 pictures, captions/s", "answer": "BLIP-2, 8 questions, answers/s"}
# Each ends by itself when the benchmark has ended, however that came about.
LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(100_000): pass"
TORCH = LOOP.replace("for _ in range(100_000): pass", "step()").replace("import os", """import os, torch
from transformers import CLIPModel
model = CLIPModel.from_pretrained("multimodal/checkpoints/clip", dtype=torch.float32).eval()
size = model.config.vision_config.image_size
@torch.inference_mode()
def step(): model.get_image_features(pixel_values=torch.zeros(16, 3, size, size))
step()
print("ready", flush=True)""")
SITUATIONS = {"idle": [], "beside one busy Python loop": [LOOP], "beside four": [LOOP] * 4,
              "beside one other torch program": [TORCH]}


# In the processes that are measured ---------------------------------------------------------------------------------

def work(first: str, group: str, core: str) -> None:
    """Load everything, then answer each line of input, the name of a call, with what it did in a second.

    Args:
        first: What is imported first, "torch" or "multimodal".
        group: The control group to join, or "".
        core: The only core to run on, or "".
    """
    if group:
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    if core:
        os.sched_setaffinity(0, {int(core)})
    __import__(first)
    calls = load_calls()
    for call in calls.values():
        call()
    print("ready", flush=True)
    for line in sys.stdin:
        call, done, began = calls[line.strip()], 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            done += call()
        print(done / (time.perf_counter() - began), flush=True)


def load_calls() -> dict[str, Callable[[], int]]:
    """The calls by their names; each returns how many pictures it worked on."""
    import torch
    import transformers
    from transformers import Blip2ForConditionalGeneration, BlipForConditionalGeneration

    from multimodal import images
    from multimodal.reader import embed_files

    transformers.utils.logging.disable_progress_bar()
    checkpoints = Path(images.__file__).parent / "checkpoints"
    gallery = images.gallery()
    paths, pictures = [sample.path for sample in gallery], [sample.image for sample in gallery[:BATCH]]
    clip = transformers.CLIPModel.from_pretrained(checkpoints / "clip", dtype=torch.float32).eval()
    clip_processor = transformers.CLIPProcessor.from_pretrained(checkpoints / "clip")
    pixel_values = clip_processor(images=pictures, return_tensors="pt").pixel_values  # (16, 3, height, width)
    blip = BlipForConditionalGeneration.from_pretrained(checkpoints / "blip", dtype=torch.float32).eval()
    blip_processor = transformers.BlipProcessor.from_pretrained(checkpoints / "blip")
    captioned = blip_processor(images=pictures[:8], return_tensors="pt")
    blip2 = Blip2ForConditionalGeneration.from_pretrained(checkpoints / "blip2", dtype=torch.float32).eval()
    blip2_processor = transformers.Blip2Processor.from_pretrained(checkpoints / "blip2")
    questions = ["Question: what is in the picture? Answer:"] * 8
    asked = blip2_processor(images=pictures[:8], text=questions, return_tensors="pt", padding=True)

    @torch.inference_mode()
    def encode() -> int:
        clip.get_image_features(pixel_values=pixel_values)
        return BATCH

    return {"encode": encode, "embed_files": lambda: len(embed_files(clip, clip_processor.image_processor, paths)[1]),
            "caption": lambda: len(blip.generate(**captioned, max_new_tokens=20)),
            "answer": lambda: len(blip2.generate(**asked, max_new_tokens=8))}


# In the process that measures ---------------------------------------------------------------------------------------

@contextlib.contextmanager
def running(arguments: list[str], ready: bool = True, environment: dict | None = None,
            folder: Path = HERE) -> Iterator[subprocess.Popen]:
    """A Python process that works until the block is left; with `ready`, the block begins once it has said so."""
    process = subprocess.Popen([sys.executable, *arguments], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               start_new_session=True, cwd=folder, env=environment or as_it_comes())
    try:
        if ready and process.stdout.readline() != "ready\n":
            sys.exit(f"{' '.join(arguments)[:100]} did not start.")
        yield process
    finally:
        process.terminate()  # the runner then ends its lessons
        process.communicate()


def as_it_comes() -> dict[str, str]:
    """The environment without what this process has set, so that each one sets for itself what it will."""
    ours = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextlib.contextmanager
def neighbours(programs: list[str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for program in programs:
            stack.enter_context(running(["-c", program], ready="print(" in program))
        yield


def worker(tree: Path, first: str, group: str = "", core: str = "") -> contextlib.AbstractContextManager:
    environment = as_it_comes() | {"PYTHONPATH": str(tree)}
    return running(["-P", __file__, "--work", first, group, core], environment=environment, folder=tree)


def ask(process: subprocess.Popen, call: str) -> float:
    print(call, file=process.stdin, flush=True)
    return float(process.stdout.readline())


@contextlib.contextmanager
def quota(cores: float) -> Iterator[str]:
    """The folder of a control group with a quota of CPU time, removed at the end.

    Raises:
        OSError: None can be made here.
    """
    base = Path("/sys/fs/cgroup")
    groups = dict(line.split(":")[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    own = next((path for controllers, path in groups.items() if "cpu" in controllers.split(",")), None)
    if own is None:
        folder, settings = base / groups.get("", "").strip("/"), {"cpu.max": f"{int(cores * 100_000)} 100000"}
    else:
        folder, settings = base / "cpu" / own.strip("/"), {"cpu.cfs_quota_us": str(int(cores * 100_000))}
    folder /= f"benchmark-{os.getpid()}"
    folder.mkdir()
    try:
        for name, value in settings.items():
            with open(folder / name, "r+") as file:
                file.write(value)
        yield str(folder)
    finally:
        for _ in range(100):  # until the last process in it is gone
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)


def compare(workers: dict[str, subprocess.Popen], call: str, number: int, rates: dict) -> None:
    """Let each worker do a call, in turn; every second round begins with the last one."""
    for name in list(workers)[::-1 if number % 2 else 1]:
        rates.setdefault((call, name), []).append(ask(workers[name], call))


def measure_calls(options: argparse.Namespace) -> None:
    """Measure all calls in all situations and print the tables."""
    before = (options.old or HERE, "torch")
    rates, limited = {situation: {} for situation in SITUATIONS}, {}
    for number in range(options.rounds):
        with worker(*before) as old:
            for situation in SITUATIONS:
                with neighbours(SITUATIONS[situation]), worker(HERE, "multimodal") as new:
                    for call in options.calls:
                        compare({"before": old, "after": new}, call, number, rates[situation])
        with contextlib.ExitStack() as stack:
            try:
                group = stack.enter_context(quota(1))
            except OSError as error:
                print(f"The quota was not measured, as no control group can be made here ({error}).", file=sys.stderr)
                continue
            core = str(min(os.sched_getaffinity(0)))
            workers = {"quota, before": stack.enter_context(worker(*before, group=group)),
                       "quota, after": stack.enter_context(worker(HERE, "multimodal", group=group)),
                       "affinity": stack.enter_context(worker(HERE, "multimodal", core=core))}
            for call in options.calls:
                compare(workers, call, number, limited)
    medians = {situation: {key: statistics.median(values) for key, values in found.items()}
               for situation, found in rates.items()}
    print("| call | situation | before | after | before, of idle | after, of idle | after / before |\n"
          "|---|---|---:|---:|---:|---:|---:|")
    for call in options.calls:
        for situation, median in medians.items():
            of_idle = {name: median[call, name] / medians["idle"][call, name] for name in ("before", "after")}
            ratio = statistics.median(new / old for old, new in zip(rates[situation][call, "before"],
                                                                    rates[situation][call, "after"]))
            print(f"| {CALLS[call]} | {situation} | {show(rates[situation][call, 'before'])} | "
                  f"{show(rates[situation][call, 'after'])} | {of_idle['before']:.0%} | {of_idle['after']:.0%} | "
                  f"{ratio:.2f} |")
    if limited:
        print("\n| call | quota of one CPU, before | after | one core by affinity, after | "
              "time, before / affinity | time, after / affinity |\n|---|---:|---:|---:|---:|---:|")
        for call in options.calls:
            old, new, core = (limited[call, name] for name in ("quota, before", "quota, after", "affinity"))
            print(f"| {CALLS[call]} | {show(old)} | {show(new)} | {show(core)} | "
                  f"{statistics.median(core) / statistics.median(old):.2f} | "
                  f"{statistics.median(core) / statistics.median(new):.2f} |")


def show(values: list[float]) -> str:
    """Median and range."""
    median, low, high = statistics.median(values), min(values), max(values)
    digits = 0 if median >= 100 else 1
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def measure_chapter(options: argparse.Namespace) -> None:
    """Measure the whole chapter and print a table."""
    # libgomp's own value: what is set stays, so this is the chapter as torch comes.
    variants = {"before": (options.old or HERE, as_it_comes() | ({} if options.old else {"GOMP_SPINCOUNT": "300000"})),
                "after": (HERE, as_it_comes())}
    seconds = {}
    for number in range(options.rounds):
        for situation in ("idle", "beside one busy Python loop"):
            for name in list(variants)[::-1 if number % 2 else 1]:
                tree, environment = variants[name]
                with tempfile.TemporaryDirectory() as output, neighbours(SITUATIONS[situation]):
                    began = time.perf_counter()
                    command = ["run_all_sections.py", "--models", "embedded", "--output", output]
                    with running(command, ready=False, environment=environment, folder=tree) as process:
                        process.communicate()
                    if process.returncode:
                        sys.exit(f"The chapter failed, {name}, {situation}.")
                    seconds.setdefault((situation, name), []).append(time.perf_counter() - began)
    print("| the whole chapter, seconds | before | after | before, times idle | after, times idle |\n"
          "|---|---:|---:|---:|---:|")
    for situation in ("idle", "beside one busy Python loop"):
        old, new = (seconds[situation, name] for name in ("before", "after"))
        times = [statistics.median(seconds[situation, name]) / statistics.median(seconds["idle", name])
                 for name in ("before", "after")]
        print(f"| {situation} | {show(old)} | {show(new)} | {times[0]:.2f} | {times[1]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", nargs="+", choices=list(CALLS), default=list(CALLS))
    parser.add_argument("--chapter", action="store_true", help="measure the whole chapter, and nothing else")
    parser.add_argument("--old", type=Path, metavar="FOLDER", help="what \"before\" is: another checkout")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    options.old = options.old and options.old.resolve()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all is ended and removed
    load = f", load before the start {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} cores{load}; medians of {options.rounds} rounds, with the range.\n", flush=True)
    (measure_chapter if options.chapter else measure_calls)(options)


if __name__ == "__main__":
    main()
