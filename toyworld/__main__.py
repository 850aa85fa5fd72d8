"""Draw a sheet of pictures to look at: `python -m toyworld --level patterned --count 20`."""

import argparse
import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .levels import LEVELS
from .pictures import Picture, draw
from .sheets import STYLES

COLUMNS, MARGIN, LINE = 5, 8, 15  # pictures in a row; pixels between them, and a line of a caption


def sheet(pictures: list[Picture], boxes: bool = False) -> Image.Image:
    """All pictures on white, each with its caption below and, with `boxes`, with the boxes of its things."""
    font = ImageFont.load_default(12)
    side = max(192, pictures[0].image.width)
    captions = [textwrap.wrap(picture.caption, width=side // 6) for picture in pictures]
    columns = min(COLUMNS, len(pictures))
    width, height = side + MARGIN, side + MARGIN + LINE * max(map(len, captions))
    canvas = Image.new("RGB", (columns * width + MARGIN, -(-len(pictures) // columns) * height + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    for i, (picture, lines) in enumerate(zip(pictures, captions)):
        x, y = MARGIN + i % columns * width, MARGIN + i // columns * height
        canvas.paste(picture.image.resize((side, side), Image.Resampling.BICUBIC), (x, y))
        if boxes:
            for box in (box for thing in picture.things for box in thing.boxes):
                pen.rectangle([offset + edge * side / picture.image.width - (n > 1) for n, (offset, edge) in enumerate(
                    zip((x, y, x, y), box))], outline=(230, 0, 120))
        for row, line in enumerate(lines):
            pen.text((x, y + side + 2 + LINE * row), line, "black", font)
    return canvas


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m toyworld", description="Draw a sheet of pictures to look at.")
    parser.add_argument("--level", default="usual", help="which pictures, see --list (default usual)")
    parser.add_argument("--count", type=int, default=20, help="how many, at most 500 (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="another number, other pictures (default 0)")
    parser.add_argument("--styles", nargs="+", help="how things are drawn, some of " + ", ".join(STYLES))
    parser.add_argument("--boxes", action="store_true", help="draw the boxes of the things, too")
    parser.add_argument("--output", type=Path, help="file to write (default outputs/toyworld-LEVEL.png)")
    parser.add_argument("--list", action="store_true", help="list the levels and end")
    options = parser.parse_args()
    if options.list:
        for name, line in LEVELS.items():
            print(f"{name:12} {line}")
        return 0
    output = options.output or Path("outputs") / f"toyworld-{options.level}.png"
    try:
        if not 1 <= options.count <= 500:
            raise ValueError(f"--count is from 1 to 500, not {options.count}.")
        if output.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            raise ValueError(f"{output} must end in .png, .jpg or .webp.")
        drawn = sheet(draw(options.count, options.seed, options.level, styles=options.styles), options.boxes)
        output.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(output)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{output} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    print(f"{options.count} pictures of level {options.level} in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
