"""Write the sheets of sprites of `toyworld` from the sets that `sprites` fetches: `python -m training.sheets`."""

import numpy as np
from PIL import Image

from toyworld import sheets
from toyworld.language import COLOURABLE
from toyworld.nouns import NOUNS
from toyworld.render import name_colour

from . import sprites

QUALITY = 85


def write(style: str) -> list[str]:
    """Write the sheet of one style; returns its rows of sprites.tsv."""
    drawings = sprites.load()[sprites.STYLES.index(style)]
    nouns = [i for i, drawing in enumerate(drawings) if drawing.any()]
    size, rows = sheets.SPRITE_SIZE, -(-len(nouns) // sheets.COLUMNS)
    sheet = np.zeros((rows * size, sheets.COLUMNS * size, 4), np.uint8)
    for place, noun in enumerate(nouns):
        row, column = divmod(place, sheets.COLUMNS)
        sheet[row * size:(row + 1) * size, column * size:(column + 1) * size] = drawings[noun]
    sheet[sheet[..., 3] <= 16] = 0  # hardly to be seen, and would widen the boxes
    path = sheets.FOLDER / f"{style}.webp"
    Image.fromarray(sheet).save(path, quality=QUALITY, method=6)
    with Image.open(path) as saved:
        sheet = np.asarray(saved.convert("RGBA"))
    kind, listed = sheets.STYLES[style].kind, []
    for place, noun in enumerate(nouns):
        row, column = divmod(place, sheets.COLUMNS)
        drawing = sheet[row * size:(row + 1) * size, column * size:(column + 1) * size]
        paints = [None, *sheets.paints(kind)] if kind == "lines" or NOUNS[noun].english in COLOURABLE else [None]
        # A silhouette has the colour that it is drawn in.
        colours = [name_colour(sheets.dress(drawing, kind, paint)) for paint in paints if kind != "silhouette"]
        listed.append("\t".join((style, NOUNS[noun].english, "".join(
            "-" if colour is None else f"{colour:x}" for colour in colours))))
    print(f"{style}: {len(nouns)} sprites, {path.stat().st_size / 1e6:.2f} MB", flush=True)
    return listed


def main() -> None:
    sheets.FOLDER.mkdir(exist_ok=True)
    rows = [row for style in sheets.STYLES for row in write(style)]
    (sheets.FOLDER / "sprites.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
