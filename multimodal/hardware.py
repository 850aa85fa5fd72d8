"""What this machine has: device, free memory, fast precisions; and how long and how much a computation takes."""

import contextlib
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """A machine, as far as the choice of a model depends on it.

    Args:
        device: The best device there is: "cuda" (ROCm calls itself so too), "mps", "xpu" or "cpu".
        device_name: Its name, as "NVIDIA GeForce RTX 3060".
        cores: Processor cores that this process may use (`usable_cores`).
        memory: Free main memory in bytes.
        device_memory: Free memory of the accelerator in bytes; 0 on a CPU; what mps may take of the shared memory.
        fast_bf16: Whether the CPU computes faster in bf16 than in fp32.
        int8: Whether torchao is installed, with which models run in INT8.
    """

    device: str
    device_name: str
    cores: int
    memory: int
    device_memory: int
    fast_bf16: bool
    int8: bool = False


def detect() -> Machine:
    """The machine that this runs on. Takes as long as importing torch does."""
    import torch

    # Without check_available the answer is what torch was built for, a GPU that may not be there.
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    device = accelerator.type if accelerator and accelerator.type in ("cuda", "mps", "xpu") else "cpu"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    name = capabilities.get("cpu_name") or "CPU"
    if device in ("cuda", "xpu"):
        name = (torch.cuda if device == "cuda" else torch.xpu).get_device_name()
    memory, device_memory = available_memory(), free_memory(device) if device != "cpu" else 0
    return Machine(device, name, usable_cores(), memory, device_memory, bf16_is_fast(),
                   find_spec("torchao") is not None)


def visible_cores() -> int:
    """Processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores(root: Path = Path("/")) -> int:
    """Processor cores that this process can keep busy: those it may run on, or fewer if it has a quota of CPU time.

    A container with a quota of two cores still sees all cores of its host. Threads beyond the quota use it up early in
    each period of 100 ms, and then all of them stand still until the next.

    Args:
        root: Where Linux shows its proc and sys folders.
    """
    return max(1, min([visible_cores(), *map(math.ceil, _cpu_quotas(root))]))


def others_compute(root: Path = Path("/")) -> bool:
    """Whether other programs compute now, so many that some core has to serve both them and a thread of torch.

    Linux tells how many threads run at this moment; five looks within 20 ms make sure that it is no passing one.
    Elsewhere the load of the last minute has to do.
    """
    siblings = root / "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
    try:
        looks = []
        for _ in range(5):
            time.sleep(0.004)
            running, _ = (root / "proc/loadavg").read_text().split()[3].split("/")
            looks.append(int(running) - 1)  # without this one
        others = statistics.median(looks)
        threads_a_core = len(re.findall(r"\d+", siblings.read_text()))
    except (OSError, ValueError, IndexError):
        others = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
        threads_a_core = 1
    ours = max(1, usable_cores(root) // max(1, threads_a_core))  # torch takes one thread a core
    return ours > 1 and others > (os.cpu_count() or 1) - ours


@cache
def bf16_is_fast() -> bool:
    """Whether matrices are multiplied faster in bf16 than in fp32 on this CPU: measured, in about a tenth of a second.

    What the processor can do is not enough to know: torch reaches its bf16 instructions through a library that it may
    have been built without, and without them bf16 is emulated and slow.
    """
    import torch

    def seconds(dtype) -> float:
        matrix = torch.ones(512, 512, dtype=dtype)
        return median_seconds(lambda: matrix @ matrix, repeats=3)

    return 1.2 * seconds(torch.bfloat16) < seconds(torch.float32)


def free_memory(device: str) -> int:
    """Memory that a program may still take on a device ("cpu", "cuda", "mps", "xpu"), in bytes."""
    if device == "cpu":
        return available_memory()
    import torch

    if device == "mps":
        return min(available_memory(), torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    try:
        return torch.xpu.mem_get_info()[0]
    except RuntimeError:  # Drivers of integrated GPUs, which share the main memory, do not tell what is free.
        total = torch.xpu.get_device_properties().total_memory
        return min(available_memory(), total - torch.xpu.memory_reserved())


def median_seconds(function: Callable[[], object], device: str = "cpu", repeats: int = 5) -> float:
    """Median wall-clock seconds of one call of `function`, after one call that is not counted.

    An accelerator works on after a call has returned, so the clock waits for it.
    """
    def wait() -> None:
        if device != "cpu":
            import torch
            torch.accelerator.synchronize()

    seconds = []
    for _ in range(repeats + 1):
        wait()
        began = time.perf_counter()
        function()
        wait()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def peak_memory() -> int:
    """The most main memory that this process has held so far, in bytes."""
    if sys.platform == "win32":
        import ctypes
        # PROCESS_MEMORY_COUNTERS: its own size and a count in the first 8 bytes, then PeakWorkingSetSize.
        counters = (ctypes.c_uint64 * 9)(72)
        ctypes.windll.kernel32.K32GetProcessMemoryInfo(ctypes.c_void_p(-1), counters, 72)  # -1: this process
        return counters[1]
    if sys.platform == "linux":
        # Not getrusage: a program that another has started inherits the peak of the one that started it.
        return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    import resource
    # macOS counts in bytes, the other systems in kilobytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_memory(root: Path = Path("/")) -> int:
    """Main memory that a program may still take without swapping, in bytes.

    Args:
        root: Where Linux shows its proc and sys folders.
    """
    if sys.platform == "win32":
        import ctypes
        # MEMORYSTATUSEX: its own size and a percentage in the first 8 bytes, then total and available bytes.
        status = (ctypes.c_uint64 * 8)(64)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
        return status[2]
    if sys.platform == "darwin":
        return _free_pages(subprocess.run(["vm_stat"], capture_output=True, text=True, check=True).stdout)
    if sys.platform == "linux":
        available = re.search(r"MemAvailable:\s*(\d+) kB", (root / "proc/meminfo").read_text())
        return min([int(available[1]) * 1024, *_container_memory(root)])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def readable_size(size: int) -> str:
    """Bytes in the decimal units that disks and downloads are sold in: 605109252 is "605 MB".

    >>> readable_size(14_979_047_424)
    '15 GB'
    """
    number, unit = (size / 1e9, "GB") if size >= 999.5e6 else (size / 1e6, "MB")
    return f"{number:.3g} {unit}" if number < 100 else f"{number:.0f} {unit}"


def _free_pages(report: str) -> int:
    """Bytes that macOS's vm_stat counts as free or quickly freed."""
    pages = re.findall(r"Pages (?:free|inactive|speculative):\s*(\d+)", report)
    return sum(map(int, pages)) * int(re.search(r"page size of (\d+) bytes", report)[1])


def _container_memory(root: Path) -> list[int]:
    """Bytes left under each memory limit that control groups (containers, batch systems) set on this process."""
    left = []
    for version, folder in _control_groups("memory", root):
        if version == 2:
            limit, usage, cache = "memory.max", "memory.current", "inactive_file"
        else:
            limit, usage, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit here
            statistic = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
            # Usage counts files that were read; the system drops them when memory is needed.
            used = int((folder / usage).read_text()) - int(statistic.get(cache, 0))
            left.append(max(0, int((folder / limit).read_text()) - used))
    return left


def _cpu_quotas(root: Path) -> list[float]:
    """Each quota of CPU time that control groups set on this process, in cores: 50 ms in every 100 ms are 0.5."""
    quotas = []
    for version, folder in _control_groups("cpu", root):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no quota here
            if version == 2:
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:  # version 1 says -1 for none
                quotas.append(int(quota) / int(period))
    return quotas


def _control_groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """Version (1 or 2) and folder of each control group that may limit this process by a controller ("cpu", "memory").

    A limit on any group around ours binds too. Inside a container ours may show as the base itself.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version, base = (1, root / "sys/fs/cgroup" / controller) if controllers else (2, root / "sys/fs/cgroup")
        group = base / path.strip("/")
        for folder in (group, *group.parents):
            yield version, folder
            if folder == base:
                break
