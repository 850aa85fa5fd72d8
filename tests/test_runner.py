"""run_all_sections.py as a real process, on six small lessons made up for each test."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, signals and /proc as Linux has them")

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("9.1_clip_basics.py", "9.2_clip_similarity_matrix.py", "9.3_sbert_clip.py", "9.4_blip2_vision_qa.py",
         "9.5_lightweight_vlm.py", "9.6_multimodal_summary.py")
LESSON = """
import os, signal, subprocess, sys, time
from pathlib import Path
from types import SimpleNamespace
from multimodal import UserError
from multimodal.lesson import Lesson

lesson = Lesson("{section}", "A title")
options = lesson.start()
{body}
lesson.finish()
"""
FINISH = 'print("hello from", lesson.section)'
# Hangs with a child of its own, and says in a file who the two are.
HANG = """
sleeper = subprocess.Popen(["sleep", "600"])
Path("part").write_text(f"{os.getpid()} {sleeper.pid}")
Path("part").rename("pids")
time.sleep(600)
"""


PATIENCE = 300  # seconds for what takes a tenth of one on an idle machine


class Chapter:
    """A folder with the runner, the package and six made-up lessons, where the heavy libraries cost nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.libraries = folder / "libraries"
        self.imports = folder / "imports.txt"  # The processes that imported the stand-in for torch, a line each.
        # Without what the runner sets itself where it is not set.
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("PYTHONUNBUFFERED", "MPLBACKEND")}
        self.environment["PYTHONPATH"] = str(self.libraries)
        (folder / "multimodal").mkdir()
        shutil.copy(ROOT / "run_all_sections.py", folder)
        for file in (ROOT / "multimodal").glob("*.py"):
            shutil.copy(file, folder / "multimodal")
        self.library("torch", f"import os\nwith open({str(self.imports)!r}, 'a') as f: print(os.getpid(), file=f)")
        self.library("transformers", "def __getattr__(name): return object()")
        self.library("matplotlib/pyplot")
        for name in ("matplotlib", "sentence_transformers", "seaborn"):
            self.library(name)
        for number in range(1, 7):
            self.lesson(number, FINISH)

    def library(self, name: str, code: str = "") -> None:
        (self.libraries / name).mkdir(parents=True, exist_ok=True)
        (self.libraries / name / "__init__.py").write_text(code)

    def lesson(self, number: int, body: str) -> None:
        (self.folder / NAMES[number - 1]).write_text(LESSON.format(section=f"9.{number}", body=body))

    def start(self, *arguments: str, **settings) -> subprocess.Popen:
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                    "cwd": self.folder, **settings}
        return subprocess.Popen([sys.executable, self.folder / "run_all_sections.py", *arguments], text=True,
                                env=self.environment, **settings)

    def run(self, *arguments: str, **settings) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **settings)
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def forks(self) -> bool:
        """Whether the runner takes this platform for one where it can fork."""
        site = self.libraries / "sitecustomize.py"
        return not (site.exists() and "darwin" in site.read_text()) and find_spec("torchao") is None

    def hanging(self) -> list[int]:
        """The processes of a lesson that hangs, once it does."""
        wait_for((self.folder / "pids").exists)
        return [int(pid) for pid in (self.folder / "pids").read_text().split()]


@pytest.fixture
def chapter(tmp_path) -> Chapter:
    return Chapter(tmp_path)


@pytest.fixture(params=["fork", "no fork"])
def chapter_of_each_platform(tmp_path, request) -> Chapter:
    """As `chapter`, and once more as on a platform where the runner must not fork."""
    chapter = Chapter(tmp_path)
    if request.param == "no fork":
        (chapter.libraries / "sitecustomize.py").write_text("import sys\nsys.platform = 'darwin'")
    return chapter


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def state(pid: int) -> str:
    """What a process does, in Linux's letters; X if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def has_ended(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit code yet (Z)."""
    return state(pid) in "ZX"


def sections_run(output: str) -> list[int]:
    """The sections that printed their title, in the order in which they did."""
    return [int(number) for number in re.findall(r"^9\.(\d)  A title$", output, re.MULTILINE)]


def table_of(output: str) -> dict[str, list[str]]:
    """The closing table: section -> status, seconds, peak memory, figures, and the note with its lines joined."""
    lines = output[output.index("\nsection  status"):].strip().split("\n\n")[0].splitlines()
    note = lines[0].index("model, device and precision")
    rows = {}
    for line in lines[1:]:
        cells = re.split(r"\s{2,}", line[:note].strip())
        if cells != [""]:
            section = cells[0]
            rows[section] = [*cells[1:], line[note:]]
        else:
            rows[section][-1] += " " + line[note:]
    return rows


@pytest.mark.parametrize(("arguments", "numbers"), [
    ([], [1, 2, 3, 4, 5, 6]), (["all"], [1, 2, 3, 4, 5, 6]), (["3"], [3]), (["9.3"], [3]), (["1-3"], [1, 2, 3]),
    (["9.1-9.3"], [1, 2, 3]), (["9.5-6"], [5, 6]), (["2,4-6"], [2, 4, 5, 6]), (["2, 4"], [2, 4]),
    (["6,1-2,2,9.1"], [1, 2, 6]), (["4-4"], [4]),
    (["１－３"], [1, 2, 3]), (["２，４、6"], [2, 4, 6]), (["1–2"], [1, 2]),
])
def test_the_selected_sections_run_once_in_order(chapter, arguments, numbers):
    run = chapter.run(*arguments)
    assert run.returncode == 0, run.stderr
    assert sections_run(run.stdout) == numbers
    assert [f"hello from 9.{number}" in run.stdout for number in range(1, 7)] == [n in numbers for n in range(1, 7)]
    rows = table_of(run.stdout)
    assert list(rows) == [f"9.{number}" for number in numbers]
    assert {(row[0], row[3], row[4]) for row in rows.values()} == {("succeeded", "0", "no model")}
    count = len(numbers)
    assert re.search(rf"^{count} of {count} sections? succeeded in \d+ s; .* are in outputs/\.$", run.stdout,
                     re.MULTILINE)
    assert "again" not in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize("selection", ["7", "0", "3-1", "a-b", "1-", "-3", "1,,2", "", "1.1", "9.7", "9", "1-7", "2;3",
                                       "12", "1-2-3", "one", "²"])
def test_a_wrong_selection_gets_one_sentence_that_says_what_is_allowed(chapter, selection):
    run = chapter.run(selection)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    for part in (f'"{selection}"', "1 to 6", "9.1 to 9.6", "1-3", "2,4-6", "all", "menu"):
        assert part in run.stderr
    assert not chapter.imports.exists()


@pytest.mark.parametrize("arguments", [["--models", "big"], ["--device", "tpu"], ["--nonsense"], ["1", "2"]])
def test_a_wrong_option_is_refused(chapter, arguments):
    run = chapter.run(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert "error: " in run.stderr
    assert not chapter.imports.exists()


@pytest.mark.parametrize("argument", ["--help", "--list", "menu"])
def test_what_only_informs_answers_without_importing_torch(chapter, argument):
    run = chapter.run(argument)
    assert (run.returncode, run.stderr) == (0, "")
    assert not chapter.imports.exists()
    if argument == "--help":
        expected = ["--models", "--device", "--dtype", "--output", "--image", "--images", "--debug", "--fail-fast",
                    "--list", "menu", "2,4-6"]
    else:
        expected = NAMES
    assert [word for word in expected if word not in run.stdout] == []


def test_every_lesson_listed_stands_beside_the_runner():
    listed = subprocess.run([sys.executable, ROOT / "run_all_sections.py", "--list"], capture_output=True, text=True,
                            check=True)
    files = re.findall(r"9\.\d_\w+\.py", listed.stdout)
    assert files == sorted(file.name for file in ROOT.glob("9.*.py"))


def test_the_libraries_are_imported_once_for_all_forked_lessons(chapter_of_each_platform):
    chapter = chapter_of_each_platform
    for number in range(1, 7):
        chapter.lesson(number, 'print("process", os.getpid(), "torch" in sys.modules)\nimport torch')
    run = chapter.run()
    assert run.returncode == 0, run.stderr
    lessons = re.findall(r"process (\d+) (\w+)", run.stdout)
    assert len({process for process, _ in lessons}) == 6
    assert {loaded for _, loaded in lessons} == {str(chapter.forks())}
    imports = chapter.imports.read_text().split()
    assert len(imports) == (1 if chapter.forks() else 6)
    # A lesson that runs alone imports for itself, and only what it needs.
    assert "False" in chapter.run("3").stdout


def test_lessons_that_fail_each_in_their_way_do_not_stop_the_others(chapter_of_each_platform):
    chapter = chapter_of_each_platform
    for number in range(1, 7):  # Results of an earlier run must not count.
        (chapter.folder / f"outputs/9.{number}").mkdir(parents=True)
        (chapter.folder / f"outputs/9.{number}/results.json").write_text('{"models": [], "figures": []}')
    choice = ("SimpleNamespace(key='clip', name='Small CLIP', source='local weights', device='cpu', dtype_name='bf16', "
              "reason='Because.', candidate='')")
    chapter.lesson(1, f"lesson.use({choice})\nlesson.figures += ['a.png', 'b.png']")
    chapter.lesson(2, 'raise ValueError("the shapes do not fit")')
    chapter.lesson(3, "os.kill(os.getpid(), signal.SIGKILL)")
    chapter.lesson(4, "bytearray(2 ** 62)")
    (chapter.folder / NAMES[4]).write_text("import sys\nsys.exit()")  # Not even Lesson.start() ran.
    chapter.lesson(6, f"lesson.use({choice})\n" * 3)
    run = chapter.run("--models", "embedded")
    assert run.returncode == 1
    assert sections_run(run.stdout) == [1, 2, 3, 4, 6]
    rows = table_of(run.stdout)
    assert [rows[f"9.{number}"][0] for number in range(1, 7)] == [
        "succeeded", "failed", "killed", "failed", "failed", "succeeded"]
    model = "Small CLIP (local weights), cpu BF16"
    assert rows["9.1"][3:] == ["2", model]
    assert rows["9.3"][3:] == ["-", "killed (signal 9: perhaps out of memory)"]
    assert rows["9.5"][3:] == ["-", "ended early: no results"]
    assert rows["9.6"][3:] == ["0", f"{model} {model} {model}"]
    assert "error: ValueError: the shapes do not fit" in run.stderr
    assert "error: There is not enough memory for this model" in run.stderr
    assert rows["9.2"][4].startswith("ValueError: the shapes do not fit")
    assert rows["9.4"][4].startswith("There is not enough memory for this model: close other programs, or run the")
    assert "Traceback" not in run.stderr
    assert max(map(len, run.stdout.splitlines()[-14:-2])) <= 110
    assert "\n2 of 6 sections succeeded in " in run.stdout
    again = run.stdout.splitlines()[-1]
    assert again.endswith("run_all_sections.py 9.2,9.3,9.4,9.5 --models=embedded --debug")
    chapter.lesson(2, FINISH)
    words = again[again.index("run_all_sections.py"):].split()
    assert sections_run(chapter.run(*words[1:]).stdout) == [2, 3, 4]


def test_peak_memory_and_seconds_are_those_of_each_lesson(chapter):
    chapter.lesson(1, "time.sleep(0.5)")
    chapter.lesson(2, 'text = b"x" * 400_000_000')
    began = time.perf_counter()
    rows = table_of(chapter.run("1-3").stdout)
    elapsed = time.perf_counter() - began
    memory = [float(rows[section][2].removesuffix(" GB")) for section in ("9.1", "9.2", "9.3")]
    assert 0.4 < memory[1] < 0.5
    assert 0 < max(memory[0], memory[2]) < 0.1
    seconds = [float(rows[section][1]) for section in ("9.1", "9.2", "9.3")]
    assert seconds[0] >= 0.5
    assert sum(seconds) < elapsed + 0.15  # They are rounded.


@pytest.mark.parametrize(("body", "sentence"), [
    ('raise UserError("notes.txt is no picture: give a JPEG or PNG file.")', "notes.txt is no picture"),
    ('sys.exit("No picture, no lesson.")', "No picture, no lesson."),
    ('open("missing.jpg")', "missing.jpg: No such file or directory."),
    ("sys.exit(2 ** 40 + 3)", "exit code 3, see its output above"),
    ('print("half a line", end="")\nsys.exit(-1)', "exit code 255, see its output above"),
])
def test_the_table_says_why_a_lesson_failed(chapter_of_each_platform, body, sentence):
    chapter = chapter_of_each_platform
    chapter.lesson(2, body)
    run = chapter.run("2-3")
    assert run.returncode == 1
    rows = table_of(run.stdout)
    assert sentence in rows["9.2"][-1]
    assert rows["9.3"][0] == "succeeded"
    assert "Traceback" not in run.stderr
    if "exit code" not in sentence:
        assert sentence in run.stderr
    assert ("half a line" in run.stdout) == ("half a line" in body)


def test_a_lesson_has_no_input_to_wait_for(chapter_of_each_platform):
    chapter_of_each_platform.lesson(1, "input()")
    with chapter_of_each_platform.start("1", stdin=subprocess.PIPE) as process:  # Stays open, as a terminal does.
        assert process.wait(PATIENCE) == 1
        assert "EOFError" in process.stderr.read()


def test_a_lesson_that_cannot_be_started_does_not_end_the_others(chapter):
    (chapter.libraries / "sitecustomize.py").write_text(
        "import os\nfork, first = os.fork, [True]\n"
        "def fails_once():\n"
        "    if first and first.pop():\n        raise OSError(11, 'Resource temporarily unavailable')\n"
        "    return fork()\n"
        "os.fork = fails_once\n")
    run = chapter.run("1-2")
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "could not be started: Resource temporarily unavailable" in run.stdout
    assert "hello from 9.2" in run.stdout and "1 of 2 sections succeeded" in run.stdout


def test_debug_adds_a_traceback_to_a_lesson_run_directly(chapter):
    chapter.lesson(1, 'raise UserError("Something is wrong: mend it.")')
    for debug in ([], ["--debug"]):
        run = subprocess.run([sys.executable, NAMES[0], *debug], cwd=chapter.folder, capture_output=True, text=True,
                             env=chapter.environment, timeout=PATIENCE)
        assert run.returncode == 2 and run.stderr.endswith("error: Something is wrong: mend it.\n")
        assert run.stderr.startswith("Traceback") == bool(debug)


def test_debug_shows_the_traceback(chapter):
    chapter.lesson(2, "1 / 0")
    run = chapter.run("2", "--debug")
    assert run.returncode == 1
    assert "Traceback" in run.stderr
    assert f'{NAMES[1]}", line' in run.stderr
    assert run.stdout.splitlines()[-1].endswith("run_all_sections.py 9.2 --debug")


OUT_OF_MEMORY = """
from multimodal.catalog import Choice
for dtype in ("fp32", "bf16", "int8"):
    candidate = f"clip:cpu:{dtype}" if dtype != "int8" else ""  # the last resort has nothing to give up
    if candidate not in (options.without or ()):
        break
lesson.use(Choice("clip", "clip", "a model", "", "hub", "cpu", dtype, "for a test", candidate))
if dtype in {too_large}:
    b" " * 10**17
"""


def test_a_lesson_that_runs_out_of_memory_starts_anew_one_step_lower(chapter_of_each_platform):
    chapter_of_each_platform.lesson(1, OUT_OF_MEMORY.replace("{too_large}", "('fp32',)"))
    done = chapter_of_each_platform.run("1,2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "There was not enough memory: once more, one step lower (--without clip:cpu:fp32)." in done.stdout
    assert done.stdout.index("on cpu in FP32") < done.stdout.index("once more") < done.stdout.index("on cpu in BF16")
    assert table_of(done.stdout)["9.1"][0] == "succeeded"


def test_the_last_step_has_no_lower_one(chapter_of_each_platform):
    chapter_of_each_platform.lesson(1, OUT_OF_MEMORY.replace("{too_large}", "('fp32', 'bf16', 'int8')"))
    done = chapter_of_each_platform.run("1,2")
    assert done.returncode == 1
    assert re.findall("--without (.*)\\)", done.stdout) == ["clip:cpu:fp32", "clip:cpu:bf16"]
    assert "error: There is not enough memory for this model" in done.stderr and "Traceback" not in done.stderr
    assert [row[0] for row in table_of(done.stdout).values()] == ["failed", "succeeded"]


@pytest.mark.parametrize(("too_large", "status"), [("('fp32', 'bf16')", 0), ("('fp32', 'bf16', 'int8')", 3)])
def test_a_lesson_run_alone_starts_itself_one_step_lower(chapter, too_large, status):
    chapter.lesson(1, OUT_OF_MEMORY.replace("{too_large}", too_large))
    done = subprocess.run([sys.executable, NAMES[0], "--models", "hub"], cwd=chapter.folder, capture_output=True,
                          text=True, env=chapter.environment, timeout=PATIENCE)
    assert re.findall("--without (.*)\\)", done.stdout) == ["clip:cpu:fp32", "clip:cpu:bf16"]
    assert re.findall("on cpu in (.*)\\.", done.stdout) == ["FP32", "BF16", "INT8"]
    assert done.returncode == status and "Traceback" not in done.stderr
    assert ("error: There is not enough memory for this model" in done.stderr) == bool(status)


def test_the_real_model_that_came_last_is_given_up_first(chapter):
    """And the small one, which needs next to nothing on a CPU, never."""
    chapter.library("transformers/utils", "class logging:\n    def disable_progress_bar(): pass")
    chapter.lesson(1, """
from multimodal.catalog import Choice
without = options.without or []
print("without:", without)
for name in ("first", "second"):
    if f"{name}:cpu:fp32" not in without:
        lesson.use(Choice("clip", "clip", name, "", "local weights", "cpu", "fp32", "a test", f"{name}:cpu:fp32"))
lesson.use(Choice("blip2", "blip2", "small BLIP-2", "", "embedded", "cpu", "fp32", "for a test"))
raise RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)")
""")
    done = chapter.run("1")
    assert re.findall("^without: .*", done.stdout, re.MULTILINE) == [
        "without: []", "without: ['second:cpu:fp32']", "without: ['second:cpu:fp32', 'first:cpu:fp32']"]
    assert done.returncode == 1 and done.stdout.count("once more, one step lower") == 2
    assert "error: There is not enough memory for this model" in done.stderr


# Each time that somebody looks, Linux has ended one more process for want of memory.
MEMORY_IS_SHORT = """
from pathlib import Path
read_text, kills = Path.read_text, iter(range(1000))
Path.read_text = lambda path, **how: (f"nr_free_pages 1\\noom_kill {next(kills)}\\nthp_split 2\\n"
                                      if str(path) == "/proc/vmstat" else read_text(path, **how))
"""


@pytest.mark.parametrize(("short", "too_large", "status"), [
    (True, "('fp32',)", "succeeded"), (True, "('fp32', 'bf16', 'int8')", "killed"), (False, "('fp32',)", "killed")])
def test_a_lesson_that_the_system_ends_for_want_of_memory_starts_anew_one_step_lower(chapter, short, too_large, status):
    if short:
        (chapter.libraries / "sitecustomize.py").write_text(MEMORY_IS_SHORT)
    chapter.lesson(1, OUT_OF_MEMORY.replace("{too_large}", too_large).replace(
        'b" " * 10**17', "os.kill(os.getpid(), signal.SIGKILL)"))
    done = chapter.run("1,2")
    rows = table_of(done.stdout)
    assert (rows["9.1"][0], rows["9.2"][0]) == (status, "succeeded")
    times = min(2, too_large.count("'") // 2) if short else 0  # from the last resort there is no step
    assert done.stdout.count("once more, one step lower") == times
    if status == "killed":
        assert rows["9.1"][-1] == f"killed (signal 9: {'' if short else 'perhaps '}out of memory)"
    assert not (chapter.folder / "outputs/9.2/running.txt").exists()


def test_a_crash_names_its_signal(chapter):
    chapter.lesson(1, "os.kill(os.getpid(), signal.SIGSEGV)")
    assert table_of(chapter.run("1").stdout)["9.1"][-1] == "killed (signal 11: Segmentation fault)"


def test_fail_fast_stops_at_the_first_failure(chapter):
    chapter.lesson(2, "1 / 0")
    run = chapter.run("--fail-fast")
    assert run.returncode == 1
    assert sections_run(run.stdout) == [1, 2]
    assert list(table_of(run.stdout)) == ["9.1", "9.2"]
    assert "1 of 6 sections succeeded" in run.stdout


def test_a_missing_library_fails_only_the_lesson_that_needs_it(chapter):
    chapter.library("seaborn", "raise ImportError('seaborn is broken')")
    chapter.lesson(2, "import seaborn")
    rows = table_of(chapter.run("1-3").stdout)
    assert [row[0] for row in rows.values()] == ["succeeded", "failed", "succeeded"]
    assert "seaborn is broken" in rows["9.2"][-1]


def test_the_lessons_receive_the_options(chapter_of_each_platform):
    chapter = chapter_of_each_platform
    chapter.lesson(4, "print('OPTIONS', sorted(vars(options).items()))")
    run = chapter.run("4", "--models=hub", "--device", "cpu", "--dtype", "bf16", "--output=-my results", "--debug",
                      "--image", "a cat.jpg", "--image", "b.jpg", "--images", "photos", "--weights", "my weights",
                      "--model", "blip2", "--model=clip-large", "--without", "blip2:cuda:fp16")
    assert run.returncode == 0, run.stderr
    assert ("OPTIONS [('debug', True), ('device', 'cpu'), ('dtype', 'bf16'), ('image', [PosixPath('a cat.jpg'), "
            "PosixPath('b.jpg')]), ('images', PosixPath('photos')), ('model', ['blip2', 'clip-large']), "
            "('models', 'hub'), ('output', "
            "PosixPath('-my results')), ('weights', PosixPath('my weights')), "
            "('without', ['blip2:cuda:fp16'])]") in run.stdout
    assert (chapter.folder / "-my results/9.4/results.json").exists()


def test_figures_need_no_window(chapter_of_each_platform):
    chapter_of_each_platform.lesson(1, "print(os.environ['MPLBACKEND'])")
    assert "\nAgg\n" in chapter_of_each_platform.run("1").stdout


def test_it_works_from_any_folder(chapter, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run = chapter.run("1-2", cwd=elsewhere)
    assert run.returncode == 0, run.stderr
    assert (elsewhere / "outputs/9.2/results.json").exists()
    assert not (chapter.folder / "outputs").exists()


def test_a_lesson_that_is_missing_fails(chapter):
    (chapter.folder / NAMES[0]).unlink()
    run = chapter.run("1-2")
    assert run.returncode == 1
    assert [row[0] for row in table_of(run.stdout).values()] == ["failed", "succeeded"]


def test_lines_arrive_as_they_are_printed(chapter_of_each_platform):
    chapter = chapter_of_each_platform
    chapter.lesson(1, 'print("waiting")\nwhile not Path("go").exists(): time.sleep(0.02)')
    with chapter.start("1") as process:
        for line in process.stdout:
            if line == "waiting\n":
                (chapter.folder / "go").touch()  # Were the line held back, neither side would go on.
        assert process.wait(PATIENCE) == 0


def test_what_a_lesson_leaves_running_ends_with_it(chapter):
    chapter.lesson(1, HANG.replace("time.sleep(600)", ""))
    process = chapter.start("1", stdout=subprocess.DEVNULL)
    assert process.wait(PATIENCE) == 0
    _, sleeper = chapter.hanging()
    wait_for(lambda: has_ended(sleeper))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_everything_and_the_table_tells_what_ran(chapter_of_each_platform, number, status):
    chapter = chapter_of_each_platform
    chapter.lesson(2, HANG)
    process = chapter.start("1-3")
    processes = chapter.hanging()
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert sections_run(output) == [1, 2]
    rows = table_of(output)
    assert [rows["9.1"][0], rows["9.2"][0], rows["9.2"][-1]] == ["succeeded", "stopped", "interrupted"]
    assert "1 of 3 sections succeeded" in output
    assert "Traceback" not in errors
    wait_for(lambda: all(map(has_ended, processes)))


def test_a_lesson_deaf_to_signals_is_killed_after_five_seconds(chapter):
    chapter.lesson(1, "signal.signal(signal.SIGINT, signal.SIG_IGN)" + HANG)
    process = chapter.start("1")
    processes = chapter.hanging()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert table_of(output)["9.1"][0] == "stopped"
    wait_for(lambda: all(map(has_ended, processes)))


def test_a_lesson_may_clear_up_after_ctrl_c_whatever_comes_next(chapter_of_each_platform):
    chapter = chapter_of_each_platform
    chapter.lesson(1, HANG.replace("time.sleep(600)", """
try:
    time.sleep(600)
except KeyboardInterrupt:
    Path("clearing").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    Path("cleared").touch()
    raise
"""))
    process = chapter.start("1")
    processes = chapter.hanging()
    process.send_signal(signal.SIGINT)
    wait_for((chapter.folder / "clearing").exists)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # Long enough to do harm, if it did any.
    (chapter.folder / "go").touch()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (chapter.folder / "cleared").exists()
    assert all(map(has_ended, processes))


def test_ctrl_c_while_the_libraries_load(chapter):
    chapter.library("seaborn", "import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(600)")
    process = chapter.start("1-2")
    wait_for((chapter.folder / "loading").exists)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (130, "", "")


def test_the_lesson_dies_with_a_runner_that_is_killed(chapter):
    chapter.lesson(1, HANG)
    process = chapter.start("1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lesson, sleeper = chapter.hanging()
    process.kill()
    process.wait()
    wait_for(lambda: has_ended(lesson))
    os.kill(sleeper, signal.SIGKILL)


class Terminal:
    """The runner on a terminal of its own."""

    def __init__(self, chapter: Chapter, *arguments: str):
        self.shown = ""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(chapter.folder)
            os.execve(sys.executable, [sys.executable, "run_all_sections.py", *arguments], chapter.environment)

    def read_until(self, text: str) -> str:
        """What the terminal shows from where the last call ended until `text`."""
        while text not in self.shown:
            assert select.select([self.screen], [], [], PATIENCE)[0], f"shown so far: {self.shown}"
            self.shown += os.read(self.screen, 4096).decode().replace("\r\n", "\n")
        found, self.shown = self.shown[:self.shown.index(text) + len(text)], self.shown.partition(text)[2]
        return found

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def waits(self) -> bool:
        """Whether the runner is asleep."""
        return state(self.pid) == "S"

    def exit_code(self) -> int:
        with pytest.raises(OSError):  # A terminal whose last process has ended.
            while True:
                os.read(self.screen, 4096)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(("leave", "broken", "status"), [("q\n", False, 0), ("\x04", False, 0), ("q\n", True, 1)])
def test_the_menu_on_a_terminal_asks_until_q(chapter, leave, broken, status):
    if broken:
        chapter.lesson(5, "1 / 0")
    terminal = Terminal(chapter, "menu")
    shown = terminal.read_until("q leaves)? ")
    assert [name for name in NAMES if name not in shown] == []
    assert not chapter.imports.exists()
    terminal.type("8\n")
    assert '"8" names no sections' in terminal.read_until("q leaves)? ")
    terminal.type("2,5\n")
    shown = terminal.read_until("q leaves)? ")
    assert "Loading the libraries ..." in shown
    assert sections_run(shown) == [2, 5]
    assert f"{1 if broken else 2} of 2 sections succeeded" in shown
    assert shown.index("sections succeeded") < shown.index(NAMES[0])
    terminal.type("1\n")
    assert sections_run(terminal.read_until("q leaves)? ")) == [1]
    terminal.type(leave)
    assert terminal.exit_code() == status


def test_ctrl_c_at_the_menu_leaves(chapter):
    terminal = Terminal(chapter, "menu")
    terminal.read_until("q leaves)? ")
    wait_for(terminal.waits)  # Python does not notice a Ctrl-C between the question and the reading.
    terminal.type("\x03")
    assert terminal.exit_code() == 130


def test_ctrl_c_on_a_terminal_ends_the_lesson_and_the_runner(chapter):
    chapter.lesson(2, HANG)
    terminal = Terminal(chapter, "menu")
    terminal.read_until("q leaves)? ")
    terminal.type("1-3\n")
    processes = chapter.hanging()
    terminal.type("\x03")
    assert "1 of 3 sections succeeded" in terminal.read_until("are in outputs/.")
    assert terminal.exit_code() == 130
    wait_for(lambda: all(map(has_ended, processes)))


def test_no_fork_beside_a_library_that_touches_cuda(chapter):
    chapter.library("torchao")
    assert chapter.run("1-2").returncode == 0
    assert not chapter.imports.exists()  # The runner has loaded nothing for its lessons.


@pytest.mark.skipif(find_spec("torchao") is not None, reason="the runner does not fork where torchao is installed")
def test_the_real_libraries_work_after_the_fork(chapter):
    shutil.rmtree(chapter.libraries)
    for number in (1, 2):
        chapter.lesson(number, """
loaded = [name for name in ("torch", "seaborn", "sentence_transformers", "matplotlib.pyplot",
                            "transformers.models.clip.modeling_clip", "transformers.models.blip.modeling_blip",
                            "transformers.models.blip_2.modeling_blip_2") if name in sys.modules]
import torch
from matplotlib import pyplot
assert len(loaded) == 7, loaded
assert not torch.cuda._is_in_bad_fork()  # The runner kept away from CUDA.
from huggingface_hub import constants
assert constants.HF_HUB_DISABLE_XET      # multimodal.weights came before it, as a mirror needs.
ones = torch.ones(1000, 1000)            # Enough work for every thread.
assert (ones @ ones).sum() == 1e9
pyplot.plot([1, 2])
lesson.save(pyplot.gcf(), "line")
""")
    chapter.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    run = chapter.run("1-2")
    assert run.returncode == 0, run.stderr
    assert [row[3] for row in table_of(run.stdout).values()] == ["1", "1"]
    assert (chapter.folder / "outputs/9.2/line.png").read_bytes().startswith(b"\x89PNG")
