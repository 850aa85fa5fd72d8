"""The structure of the project: which module may import which, and how long a lesson or an example may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# The floors of multimodal, from the ground up: a module imports only from floors below its own.
FLOORS = (
    ("variables", "words", "files", "metrics"),
    ("terminal",),
    ("hardware",),
    ("models",),
    ("images", "figures", "search", "download", "report", "environment"),
    ("weights", "out_of_domain", "speedups", "reader"),
    ("catalog",),
    ("adapters",),
    ("processes",),
    ("lesson",),
    ("example",),
)
# What each part of the project may import of the others. `multimodal` knows toyworld's things and questions.
MAY_IMPORT = {
    "toyworld": set(), "multimodal": {"toyworld"}, "lessons": {"multimodal", "toyworld"},
    "examples": {"multimodal", "toyworld"}, "training": {"multimodal", "toyworld"},
    "benchmarks": {"multimodal", "toyworld"},
}
LESSONS, EXAMPLES = sorted(ROOT.glob("9.*.py")), sorted(ROOT.glob("examples/*.py"))
FILES = {"lessons": [*LESSONS, ROOT / "run_all_sections.py"]} | {
    part: sorted(ROOT.glob(f"{part}/*.py")) for part in MAY_IMPORT if part != "lessons"}


def imports(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it: "torch", "multimodal.images"."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = file.parent.name if node.level else ""
            module = ".".join(filter(None, (package, node.module)))
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def modules(file: Path, package: str) -> set[str]:
    """The modules of a package that a file imports."""
    names = {path.stem for path in (ROOT / package).glob("*.py")}
    return {name for name in names if f"{package}.{name}" in imports(file)}


def test_every_module_has_a_floor():
    assert sorted(name for floor in FLOORS for name in floor) == sorted(
        file.stem for file in FILES["multimodal"] if file.stem != "__init__")


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_run_down(floor):
    below = {name for lower in FLOORS[:floor] for name in lower}
    for name in FLOORS[floor]:
        upwards = modules(ROOT / f"multimodal/{name}.py", "multimodal") - below - {"__init__"}
        assert not upwards, f"multimodal/{name}.py imports {', '.join(sorted(upwards))} from its own floor or above"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_parts_import_one_way(part):
    others = {*MAY_IMPORT, "tests"} - MAY_IMPORT[part] - {part}
    for file in FILES[part]:
        wrong = {name.partition(".")[0] for name in imports(file)} & others
        assert not wrong, f"{file.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("package", ["toyworld", "training", "benchmarks"])
def test_no_circle(package):
    needs = {file.stem: modules(file, package) - {file.stem, "__init__"} for file in FILES[package]}
    needs.pop("__init__", None)
    while free := [name for name, others in needs.items() if not others]:
        needs = {name: others - {*free} for name, others in needs.items() if name not in free}
    assert not needs, f"a circle among {', '.join(sorted(needs))}"


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_has_at_most_220_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 220


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_has_at_most_120_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_no_lesson_compares_keys_to_know_what_to_do(file):
    assert ".key " not in file.read_text(encoding="utf-8") and ".key)" not in file.read_text(encoding="utf-8")


def test_the_runner_and_the_package_do_not_import_torch():
    code = ("import sys, run_all_sections, multimodal.example, toyworld\n"
            "print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
