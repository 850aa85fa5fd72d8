"""index.html in the output folder: what the lessons recorded there, with their figures, on one page."""

import json
from html import escape
from pathlib import Path

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
</style>
<h1>Chapter 9: results</h1>
<pre>{summary}</pre>
{sections}
</html>
"""
SECTION = """<h2 id="{section}">{section} {title}</h2>
<p>{models}; {seconds:.1f} s.</p>
{figures}
<details><summary>What was measured</summary><pre>{measures}</pre></details>"""
FIGURE = ('<figure><a href="{path}"><img src="{path}" alt="{name} of lesson {section}" loading="lazy"></a>'
          "<figcaption>{name}</figcaption></figure>")


def write(folder: Path, summary: str) -> Path:
    """Write the page about all lessons that have left results in a folder, from this run or an earlier one.

    Args:
        folder: Holds a folder for each section, "9.1" and so on, with results.json and the figures.
        summary: The closing table of this run.

    Raises:
        OSError: The page cannot be written.
    """
    sections = []
    for path in sorted(folder.glob("9.[1-6]/results.json")):
        try:
            sections.append(_section(path.parent.name, json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, LookupError, TypeError):  # of another version, or damaged
            sections.append(f"<p>{escape(str(path))} cannot be read: run the lesson again.</p>")
    page = folder / "index.html"
    with replacing(page) as part:
        part.write_text(PAGE.format(summary=escape(summary), sections="\n".join(sections)), encoding="utf-8",
                        errors="backslashreplace")  # a file's name need not be UTF-8
    return page


def _section(section: str, results: dict) -> str:
    """The results of one lesson as HTML."""
    models = [f"{model['name']} ({model['source']}) on {model['device']} in {model['dtype'].upper()}"
              for model in results["models"]]
    figures = [FIGURE.format(path=f"{section}/{escape(name)}", name=escape(Path(name).stem), section=section)
               for name in results["figures"]]
    return SECTION.format(
        section=section, title=escape(results["title"]), models=escape(", ".join(models)) or "no model",
        seconds=results["seconds"], figures="\n".join(figures),
        measures=escape(json.dumps(results["measures"], indent=2, ensure_ascii=False)))
