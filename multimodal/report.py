"""What lessons and examples leave behind: figures, results in JSON, and index.html, which shows all of them."""

import json
from html import escape
from pathlib import Path

from PIL import Image

from . import metrics
from .files import replacing

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chapter 9: results</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow-x: auto; font-size: 13px; line-height: 1.4 }}
figure {{ display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; max-width: 36rem }}
img {{ max-width: 100% }}
table {{ border-collapse: collapse; font-size: 14px }}
th, td {{ text-align: left; vertical-align: top; padding: 0.15rem 1rem 0.15rem 0; border-bottom: 1px solid #ddd }}
th {{ font-weight: normal }}
</style>
<h1>Chapter 9: results</h1>
<pre>{summary}</pre>
{sections}
</html>
"""
SECTION = """<h{level} id="{anchor}">{title}</h{level}>
{finding}<p>{models}; {seconds:.1f} s.</p>
{figures}
<details{opened}><summary>What was measured</summary>
<table>
{rows}
</table>
<details><summary>The same as JSON</summary><pre>{measures}</pre></details>
</details>"""
FIGURE = ('<figure><a href="{path}"><img src="{path}" alt="{title}" loading="lazy"></a>'
          "<figcaption>{title}</figcaption></figure>")
LONGEST = 300  # characters of a value in a table; the JSON below it has all of it


def save_figure(figure, path: Path) -> None:
    """Write a matplotlib figure as PNG, in one step, with its title in the file for whoever describes it later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=150, metadata={"Title": " ".join(figure.get_suptitle().split())})


def write_results(path: Path, results: dict) -> None:
    """Write results as JSON, in one step; a `metrics.Share` becomes its value, its interval and its count."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(json.dumps(_plain(results), indent=2, ensure_ascii=False) + "\n", encoding="utf-8",
                        errors="backslashreplace")  # a file's name need not be UTF-8


def write(folder: Path, summary: str) -> Path:
    """Write the page about all lessons and examples that have left results in a folder, now or earlier.

    Args:
        folder: Holds a folder for each section, "9.1" and so on, with results.json and the figures, and the folder
            "examples" with NAME.json and NAME.png.
        summary: The closing table of this run.

    Raises:
        OSError: The page cannot be written.
    """
    sections = [_section(path) for path in sorted(folder.glob("9.[1-6]/results.json"))]
    examples = [_section(path) for path in sorted(folder.glob("examples/*.json"))]
    if examples:
        sections += ['<h2 id="examples">Examples</h2>', *examples]
    page = folder / "index.html"
    with replacing(page) as part:
        part.write_text(PAGE.format(summary=escape(summary), sections="\n".join(sections)), encoding="utf-8",
                        errors="backslashreplace")
    return page


def _section(path: Path) -> str:
    """The results of one lesson or example as HTML."""
    example = path.parent.name == "examples"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        models = [f"{model['name']} ({model['source']}) on {model['device']} in {model['dtype'].upper()}"
                  for model in results["models"]]
        names = [results["figure"]] if example else results["figures"]
        figures = [FIGURE.format(path=escape(f"{path.parent.name}/{name}"), title=escape(_title(path.parent / name)))
                   for name in names]
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
                for name, value in _rows(results["measures"])]
        return SECTION.format(
            level=3 if example else 2, anchor=escape(results["name"] if example else results["section"]),
            title=escape(results["title"] if example else f"{results['section']} {results['title']}"),
            finding=f"<p><strong>{escape(results['finding'])}</strong></p>\n" if "finding" in results else "",
            models=escape(", ".join(models)) or "no model", seconds=results["seconds"],
            figures="\n".join(figures), opened=" open" if example else "", rows="\n".join(rows),
            measures=escape(json.dumps(results["measures"], indent=2, ensure_ascii=False)))
    except (ValueError, LookupError, TypeError, AttributeError):  # of another version, or damaged
        return f"<p>{escape(str(path))} cannot be read: run the {'example' if example else 'lesson'} again.</p>"


def _title(path: Path) -> str:
    """The title of a saved figure, or the name of its file where it has none."""
    try:
        with Image.open(path) as figure:
            return figure.info.get("Title") or path.stem
    except (OSError, ValueError):  # deleted or damaged since; the page shows the rest
        return path.stem


def _plain(value):
    """Nested results with dictionaries in the place of `metrics.Share`s."""
    if isinstance(value, metrics.Share):
        return {"value": float(value), "low": value.low, "high": value.high, "count": value.count}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _rows(measures: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Nested measures as rows of a table: a name and a value in words."""
    rows = []
    for name, value in measures.items():
        name = prefix + str(name).replace("_", " ")
        if isinstance(value, dict) and set(value) != {"value", "low", "high", "count"}:
            rows += _rows(value, f"{name}: ")
        else:
            words = _words(value)
            rows.append((name, words if len(words) <= LONGEST else words[:LONGEST] + " ..."))
    return rows


def _words(value) -> str:
    """One measured value as a reader would write it."""
    if isinstance(value, dict):
        if set(value) == {"value", "low", "high", "count"}:
            return str(metrics.Share(**value))
        return ", ".join(f"{name}: {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return (", " if all(not isinstance(inner, (list, dict)) for inner in value) else "; ").join(map(_words, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
