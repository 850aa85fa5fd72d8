"""What the machine lets this process use, and what the package sets for it before torch is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import busy
from multimodal import hardware

ROOT = Path(__file__).resolve().parent.parent
OURS = {"GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS"}


def run_python(code: str, *arguments: str, **environment: str) -> list[str]:
    """What a fresh Python prints, word by word; of the variables that we may set, it has only those given."""
    rest = {name: value for name, value in os.environ.items() if name not in OURS | {"OMP_WAIT_POLICY"}}
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=rest | environment, text=True,
                          check=True, stdout=subprocess.PIPE).stdout.split()


def folders(root: Path, groups: str, files: dict[str, str]) -> Path:
    contents = {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def version_1(group: str, quota: int) -> dict[str, str]:
    return {f"cpu/{group}/cpu.cfs_quota_us": f"{quota}\n", f"cpu/{group}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize("groups, files, expected", [
    ("", {}, 16),
    ("0::/\n", {}, 16),
    ("0::/box\n", {"box/cpu.max": "200000 100000\n"}, 2),
    ("0::/box\n", {"box/cpu.max": "max 100000\n"}, 16),
    ("0::/box\n", {"box/cpu.max": "150000 100000\n"}, 2),  # one and a half: two threads use it up, one does not
    ("0::/box\n", {"box/cpu.max": "5000 100000\n"}, 1),
    ("0::/box\n", {"box/cpu.max": "6400000 100000\n"}, 16),  # 64 cores' time, but only 16 to run on
    # A quota around ours binds too, and the smallest counts.
    ("0::/box/inner\n", {"box/inner/cpu.max": "max 100000\n", "box/cpu.max": "300000 100000\n"}, 3),
    ("0::/box/inner\n", {"box/inner/cpu.max": "100000 50000\n", "box/cpu.max": "900000 100000\n"}, 2),
    # A container often sees its own group at the base, under a path that does not exist inside.
    ("0::/docker/0123\n", {"cpu.max": "400000 100000\n"}, 4),
    # Version 1, and both side by side.
    ("4:cpu,cpuacct:/box\n", version_1("box", 250_000), 3),
    ("4:cpu:/box/inner\n0::/\n", version_1("box/inner", -1) | version_1("box", 200_000), 2),
    ("4:cpu:/docker/0123\n", version_1("", 100_000), 1),
    ("4:cpuset:/box\n", version_1("box", 100_000), 16),
])
def test_a_quota_limits_the_usable_cores(tmp_path, monkeypatch, groups, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    assert hardware.usable_cores(folders(tmp_path, groups, files)) == expected


def test_affinity_limits_the_usable_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert hardware.usable_cores(folders(tmp_path, "0::/\n", {"cpu.max": "800000 100000\n"})) == 2


def test_without_control_groups_all_visible_cores_are_usable(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS and Windows
    assert hardware.usable_cores(tmp_path) == os.cpu_count()


SHOW = f"""import os, sys
import multimodal
print(*(os.environ.get(name) for name in {sorted(OURS)}), "torch" in sys.modules, "numpy" in sys.modules)"""


@pytest.mark.skipif(sys.platform != "linux" or hardware.visible_cores() < 2, reason="looks at /proc/loadavg")
def test_threads_wait_less_while_others_compute_and_torch_is_not_imported():
    with busy.neighbours([busy.LOOP] * os.cpu_count()):
        spin, block, threads, torch, numpy = run_python(SHOW)
    assert (spin, block, torch, numpy) == ("1000", "0", "False", "False")
    assert threads == ("None" if hardware.usable_cores() == hardware.visible_cores() else str(hardware.usable_cores()))


@pytest.mark.parametrize("running, cores, usable, siblings, expected", [
    (1, 2, 2, "0", False), (2, 2, 2, "0", True), (9, 2, 2, "0", True),
    (2, 8, 8, "0-1", False),  # torch takes four threads of eight: there is room for four others
    (6, 8, 8, "0,4", True), (2, 64, 2, "0", False), (64, 64, 2, "0", True),
    (9, 2, 1, "0", False)])  # one thread waits for no other
def test_others_compute_if_there_are_more_of_them_than_cores_left(tmp_path, monkeypatch, running, cores, usable,
                                                                  siblings, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(usable)), raising=False)
    root = folders(tmp_path, "", {})
    (root / "proc/loadavg").write_text(f"0.10 0.20 0.30 {running}/812 4711\n")
    siblings_of_first = root / "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
    siblings_of_first.parent.mkdir(parents=True)
    siblings_of_first.write_text(f"{siblings}\n")
    assert hardware.others_compute(root) == expected


def test_where_no_file_tells_the_load_of_the_last_minute_does(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)), raising=False)
    for load, expected in ((0.2, False), (2.0, True)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0, 0), raising=False)
        assert hardware.others_compute(tmp_path) == expected


def test_what_the_reader_has_set_stays():
    given = {"GOMP_SPINCOUNT": "123", "KMP_BLOCKTIME": "45", "OMP_NUM_THREADS": "6"}
    assert run_python(SHOW, **given)[:3] == list(given.values())
    # It says how threads wait, too, and would lose against a number of ours.
    assert run_python(SHOW, OMP_WAIT_POLICY="ACTIVE")[:2] == ["None", "None"]


def test_importing_after_torch_changes_no_threads():
    code = "import torch; before = torch.get_num_threads(); import multimodal; print(before, torch.get_num_threads())"
    before, after = run_python(code, OMP_NUM_THREADS="1")
    assert before == after == "1"


@pytest.mark.skipif(hardware.visible_cores() < 2, reason="one core has no quota below all of its cores")
def test_torch_takes_no_more_threads_than_a_real_quota_has_cores():
    code = ("import pathlib, os, sys; (pathlib.Path(sys.argv[1]) / 'cgroup.procs').write_text(str(os.getpid())); "
            "from multimodal import hardware; import torch; print(hardware.usable_cores(), torch.get_num_threads())")
    try:
        with busy.quota(1) as group:
            assert run_python(code, group) == ["1", "1"]
            assert run_python(code, group, OMP_NUM_THREADS="2") == ["1", "2"]
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
