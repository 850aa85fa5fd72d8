"""The check of the installed packages, and the page of results."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from multimodal import environment, report

ROOT = Path(__file__).parent.parent


def test_what_the_tests_run_in_is_fit_for_the_chapter():
    run = subprocess.run([sys.executable, "-m", "multimodal.environment"], cwd=ROOT, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert run.returncode == 0 and all(line.startswith("[OK]   ") for line in lines[:-1]), run.stdout
    names = [line.split()[1] for line in lines[:-1]]
    wanted = [line.split(">")[0] for line in environment.REQUIREMENTS.read_text().splitlines() if line[:1] != "#"]
    assert names == ["Python", *wanted] and "of memory free" in lines[-1]


def test_a_package_that_is_missing_too_old_or_broken(tmp_path, monkeypatch):
    for name, imported in (("well-kept", ""), ("old", ""), ("broken", "raise OSError('no libgl.so\\nin sight')")):
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(imported)
        (tmp_path / f"{module}-1.5.dist-info").mkdir()
        (tmp_path / f"{module}-1.5.dist-info/METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# What is needed.\nwell-kept>=1.5\nold>=2,<3\nbroken\nnowhere>=1\n")
    (python, _), *found = environment.check(requirements)
    pip = f'"{sys.executable}" -m pip install --upgrade'
    assert python and found == [
        (True, "well-kept 1.5"), (False, f'old 1.5, needs <3,>=2: {pip} "old>=2,<3"'),
        (False, f'broken 1.5 cannot be imported (no libgl.so): {pip} "broken"'),
        (False, f'nowhere is not installed: {pip} "nowhere>=1"')]


def test_without_any_package_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    _, (well, line) = environment.check()
    assert not well and line.endswith(f"-m pip install -r {environment.REQUIREMENTS}")


class Page(HTMLParser):
    """The pictures, the links and the texts of a page."""

    def __init__(self, page: Path):
        super().__init__()
        self.pictures, self.links, self.text = [], [], ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.pictures.append(attributes["src"])
        elif tag == "a":
            self.links.append(attributes["href"])

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_all_results_that_are_there(tmp_path):
    for section, name in (("9.1", "one"), ("9.3", "two")):
        (tmp_path / section).mkdir()
        (tmp_path / section / "results.json").write_text(json.dumps({
            "section": section, "title": "A <title>", "seconds": 2.0, "figures": [f"{name}.png"],
            "measures": {"said": "<b>&amp; 图"}, "models": [
                {"name": "small CLIP", "source": "embedded", "device": "cpu", "dtype": "fp32"}]}))
    (tmp_path / "9.5").mkdir()
    (tmp_path / "9.5/results.json").write_text('{"section": ')
    page = Page(report.write(tmp_path, "9.2 failed: 1 < 2"))
    assert page.pictures == page.links == ["9.1/one.png", "9.3/two.png"]
    for text in ("9.2 failed: 1 < 2", "9.1 A <title>", "small CLIP (embedded) on cpu in FP32", '"said": "<b>&amp; 图"',
                 "9.5/results.json cannot be read: run the lesson again."):
        assert text in page.text
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.html"]
