"""What lessons and examples leave behind, and the page that shows it."""

import json
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from PIL import Image

from multimodal import metrics, report

MODELS = [{"name": "small CLIP", "source": "embedded", "device": "cpu", "dtype": "fp32"}]


class Page(HTMLParser):
    """The pictures of a page with their descriptions, its rows of tables, and its text."""

    def __init__(self, path):
        super().__init__()
        self.pictures, self.rows, self.text = {}, [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.pictures[attributes["src"]] = attributes["alt"]
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([])

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def lesson(folder, section: str, measures: dict, figures: tuple[str, ...] = ()) -> None:
    report.write_results(folder / section / "results.json", {
        "section": section, "title": "A <title>", "seconds": 2.0, "figures": [f"{name}.png" for name in figures],
        "measures": measures, "models": MODELS})


def test_a_share_keeps_its_interval_and_its_count(tmp_path):
    right = metrics.share([True] * 9 + [False])
    report.write_results(tmp_path / "a.json", {"all": {"right": right, "each": [right, 0.5]}, "said": "狗"})
    written = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert written["all"]["right"] == {"value": 0.9, "low": right.low, "high": right.high, "count": 10}
    assert written["all"]["each"] == [written["all"]["right"], 0.5]
    assert "狗" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_name_that_is_no_unicode_is_written(tmp_path):
    report.write_results(tmp_path / "a.json", {"file": "\udce9.jpg"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"file": "\udce9.jpg"}


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    report.write_results(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        report.write_results(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_the_page_shows_lessons_then_examples_with_findings_and_measures(tmp_path):
    figure = Figure(figsize=(6, 4))
    figure.suptitle("Nine of ten <b>\n图 are found")
    report.save_figure(figure, tmp_path / "9.1/one.png")
    lesson(tmp_path, "9.1", {"said": "<b>&amp; 图", "recall": {"English": metrics.share([True] * 9 + [False])}},
           ("one", "gone"))
    lesson(tmp_path, "9.3", {"index": {"pictures": 72, "embedded again": 0}, "per_second": 1234.5678})
    report.save_figure(figure, tmp_path / "examples/copies.png")
    report.write_results(tmp_path / "examples/copies.json", {
        "name": "copies", "title": "Copies & more", "finding": "95% < all", "models": MODELS, "seconds": 3.21,
        "measures": {"precision": metrics.share([True] * 19 + [False]), "words": ["a", "b"]}, "figure": "copies.png"})
    page = Page(report.write(tmp_path, "9.2 failed: 1 < 2"))
    assert page.pictures == {"9.1/one.png": "Nine of ten <b> 图 are found", "9.1/gone.png": "gone",
                             "examples/copies.png": "Nine of ten <b> 图 are found"}
    assert ["said", "<b>&amp; 图"] in page.rows
    assert ["recall: English", "90.0% (59.6 to 98.2, n = 10)"] in page.rows
    assert ["index: pictures", "72"] in page.rows and ["index: embedded again", "0"] in page.rows
    assert ["per second", "1,235"] in page.rows and ["words", "a, b"] in page.rows
    assert any(row[:1] == ["precision"] and row[1].startswith("95.0% (") for row in page.rows)
    for text in ("9.2 failed: 1 < 2", "9.1 A <title>", "small CLIP (embedded) on cpu in FP32; 3.2 s.", "Copies & more",
                 "95% < all"):
        assert text in page.text
    assert page.text.index("9.1 A") < page.text.index("9.3 A") < page.text.index("Examples") < page.text.index("Copies")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.html"]


def test_a_long_value_is_cut_in_the_table_and_whole_in_the_json(tmp_path):
    lesson(tmp_path, "9.4", {"answers": [f"answer {i}" for i in range(200)]})
    page = Page(report.write(tmp_path, ""))
    (row,) = (row for row in page.rows if row[:1] == ["answers"])
    assert row[1].startswith("answer 0, answer 1") and row[1].endswith("...") and len(row[1]) < 400
    assert '"answer 199"' in page.text


@pytest.mark.parametrize("content", ['{"section": ', "[]", '{"section": "9.5", "models": 3}', '{"measures": []}'])
def test_damaged_results_are_named_and_the_rest_is_shown(tmp_path, content):
    for file in ("9.5/results.json", "examples/copies.json"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(content)
    lesson(tmp_path, "9.6", {"one": 1})
    page = Page(report.write(tmp_path, ""))
    assert "9.5/results.json cannot be read: run the lesson again." in page.text
    assert "examples/copies.json cannot be read: run the example again." in page.text
    assert ["one", "1"] in page.rows


def test_a_figure_is_a_png_of_a_size_for_reading(tmp_path):
    figure = Figure(figsize=(8, 4))
    figure.suptitle("Half")
    report.save_figure(figure, tmp_path / "new/a.png")
    with Image.open(tmp_path / "new/a.png") as picture:
        assert picture.format == "PNG" and picture.size == (1200, 600) and picture.info["Title"] == "Half"
