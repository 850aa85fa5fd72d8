"""Pictograms of the 175 nouns in many styles: fetched from the npm registry, rendered once, cached.

`python -m training.sprites` needs the `npm` command and the Python package `resvg-py`. The sets, their
licences and what each is used for stand in `SETS` below and in `training/SOURCES.md`. A set that is held
out is never seen in training: it measures how the models do on a style they do not know.
"""

import base64
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toyworld.nouns import NOUNS, Noun

# Everything that is made on the way is kept here; the pictogram sets, which are only fetched, in a folder inside.
CACHE = Path(os.environ.get("TRAINING_CACHE", Path(__file__).parent / "cache"))
SETS_FOLDER = Path(__file__).parent / "cache" / "sets"
SPRITE_SIZE = 96  # pixels of a cached sprite; training pictures are 112 pixels wide


@dataclass(frozen=True)
class PictogramSet:
    style: str
    package: str
    version: str
    licence: str
    held_out: bool = False
    silhouette: bool = False  # one colour on transparent; the scene chooses the colour
    lines: bool = False  # dark lines on white; the scene may colour it in
    wrong: frozenset[str] = frozenset()  # nouns whose icon of that name shows another thing


SETS = (
    PictogramSet("fluent-3d", "@lobehub/fluent-emoji-3d", "1.1.0", "MIT"),
    PictogramSet("fluent", "@iconify-json/fluent-emoji", "1.2.7", "MIT"),
    PictogramSet("fluent-flat", "@iconify-json/fluent-emoji-flat", "1.2.6", "MIT"),
    PictogramSet("noto", "@iconify-json/noto", "1.2.9", "Apache-2.0"),
    PictogramSet("noto-v1", "@iconify-json/noto-v1", "1.2.5", "Apache-2.0"),
    PictogramSet("twemoji", "@iconify-json/twemoji", "1.2.5", "CC-BY-4.0"),
    PictogramSet("emojione", "@iconify-json/emojione", "1.2.3", "CC-BY-4.0"),
    PictogramSet("fluent-silhouette", "@iconify-json/fluent-emoji-high-contrast", "1.2.6", "MIT", silhouette=True),
    PictogramSet("emojione-silhouette", "@iconify-json/emojione-monotone", "1.2.1", "CC-BY-4.0", silhouette=True),
    PictogramSet("streamline", "@iconify-json/streamline-emojis", "1.2.4", "CC-BY-4.0",
                 wrong=frozenset(("maple leaf",))),
    PictogramSet("noto-lines", "@fontsource/noto-emoji", "5.3.2", "OFL-1.1", lines=True),
    PictogramSet("icon-park", "@iconify-json/icon-park", "1.2.4", "Apache-2.0",
                 wrong=frozenset(("mouse", "scissors", "ring", "trumpet", "hat", "apple"))),
    PictogramSet("material-silhouette", "@iconify-json/mdi", "1.2.3", "Apache-2.0", silhouette=True,
                 wrong=frozenset(("mouse", "scooter", "bee", "planet", "tent", "apple"))),
    PictogramSet("game-silhouette", "@iconify-json/game-icons", "1.2.4", "CC-BY-3.0", silhouette=True,
                 wrong=frozenset(("butterfly", "volcano", "maple leaf"))),
    PictogramSet("tabler-lines", "@iconify-json/tabler", "1.2.41", "MIT", lines=True,
                 wrong=frozenset(("mouse", "scooter"))),
    PictogramSet("phosphor-lines", "@iconify-json/ph", "1.2.2", "MIT", lines=True,
                 wrong=frozenset(("mouse", "scooter", "police car"))),
    PictogramSet("hugeicons-lines", "@iconify-json/hugeicons", "1.2.35", "MIT", lines=True,
                 wrong=frozenset(("apple", "cat", "snail", "police car"))),
    PictogramSet("lucide-lines", "@iconify-json/lucide", "1.2.137", "ISC", lines=True,
                 wrong=frozenset(("mouse", "scooter"))),
    PictogramSet("awesome-silhouette", "@iconify-json/fa6-solid", "1.2.4", "CC-BY-4.0", silhouette=True,
                 wrong=frozenset(("tree",))),
    PictogramSet("fxemoji", "@iconify-json/fxemoji", "1.2.2", "CC-BY-4.0", held_out=True),
)
STYLES = tuple(pictogram_set.style for pictogram_set in SETS)
SEEN = tuple(i for i, pictogram_set in enumerate(SETS) if not pictogram_set.held_out)
HELD_OUT = tuple(i for i, pictogram_set in enumerate(SETS) if pictogram_set.held_out)


def fetch() -> None:
    """Download each set's package with `npm pack` into the cache, unless it is there already."""
    SETS_FOLDER.mkdir(parents=True, exist_ok=True)
    for pictogram_set in SETS:
        if not _archive(pictogram_set).exists():
            specification = f"{pictogram_set.package}@{pictogram_set.version}"
            print(f"fetching {specification} ({pictogram_set.licence})", flush=True)
            subprocess.run(["npm", "pack", "--silent", specification], cwd=SETS_FOLDER, check=True,
                           stdout=subprocess.DEVNULL)


def _archive(pictogram_set: PictogramSet) -> Path:
    name = pictogram_set.package.removeprefix("@").replace("/", "-")
    return SETS_FOLDER / f"{name}-{pictogram_set.version}.tgz"


@cache
def _files(style: str) -> dict[str, bytes]:
    """The files of one set's package, by their path inside it."""
    with tarfile.open(_archive(SETS[STYLES.index(style)])) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


@cache
def _icons(style: str) -> dict:
    return json.loads(_files(style)["package/icons.json"])


@cache
def _code_points() -> dict[str, str]:
    """Icon name to Unicode code points in hexadecimal, from the Noto set."""
    return {icon: code for code, icon in json.loads(_files("noto")["package/chars.json"]).items()}


def render(noun: Noun, style: str, size: int) -> Image.Image | None:
    """Draw one noun in one style.

    Returns an RGBA picture of `size` x `size` pixels with the drawing cropped to its outline and centred,
    or None if the set has no such pictogram.
    """
    pictogram_set = SETS[STYLES.index(style)]
    if noun.english in pictogram_set.wrong:
        return None
    if style == "fluent-3d":
        drawing = _render_bitmap(noun, style)
    elif style == "noto-lines":
        drawing = _fill(_render_glyph(noun, style, size))
    else:
        drawing = _render_vector(noun, style, size)
        if drawing and pictogram_set.lines:
            drawing = _fill(drawing.getchannel("A"))
    if drawing is None or drawing.getbbox() is None:
        return None
    drawing = drawing.crop(drawing.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox())
    drawing.thumbnail((size, size), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(drawing, ((size - drawing.width) // 2, (size - drawing.height) // 2))
    return canvas


def _render_bitmap(noun: Noun, style: str) -> Image.Image | None:
    code = _code_points().get(noun.icon, "")
    for name in (code, f"{code}-fe0f"):
        content = _files(style).get(f"package/assets/{name}.webp")
        if content:
            return Image.open(io.BytesIO(content)).convert("RGBA")
    return None


def _render_glyph(noun: Noun, style: str, size: int) -> Image.Image:
    """The ink of a line drawing from a font."""
    font = ImageFont.truetype(io.BytesIO(_files(style)["package/files/noto-emoji-emoji-400-normal.woff"]), size)
    ink = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(ink).text((size // 4, size // 4), chr(int(_code_points()[noun.icon].split("-")[0], 16)), 255, font)
    return ink


def _fill(ink: Image.Image) -> Image.Image:
    """A line drawing, given its ink, as dark lines on white: what the lines enclose is made opaque."""
    from scipy.ndimage import binary_fill_holes

    drawing = Image.new("RGBA", ink.size)
    drawing.paste((255, 255, 255, 255), (0, 0), Image.fromarray(binary_fill_holes(np.asarray(ink) > 96)))
    drawing.paste((20, 20, 20, 255), (0, 0), ink)
    return drawing


def _render_vector(noun: Noun, style: str, size: int) -> Image.Image | None:
    import resvg_py  # only training needs it

    icons = _icons(style)
    # Sets of emoji use the standard's names; other sets call a thing what people call it.
    names = [icons.get("aliases", {}).get(name, {}).get("parent", name)
             for name in (noun.icon, noun.english.replace(" ", "-"))]
    icon = next((icons["icons"][name] for name in names if name in icons["icons"]), None)
    if icon is None:
        return None
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    # The links inside some drawings (<use xlink:href>) need the namespace that icon sets leave out.
    drawing = (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
               f'viewBox="{box}" color="#000">{icon["body"]}</svg>')
    content = resvg_py.svg_to_bytes(svg_string=drawing, width=size + size // 4)
    if isinstance(content, str):
        content = base64.b64decode(content)
    return Image.open(io.BytesIO(bytes(content))).convert("RGBA")


def load() -> np.ndarray:
    """All sprites: uint8 array (20 styles, 175 nouns, 96, 96, RGBA), all zero where a set has no such noun."""
    path = CACHE / "sprites.npy"
    if not path.exists():
        fetch()
        CACHE.mkdir(parents=True, exist_ok=True)
        sprites = np.zeros((len(SETS), len(NOUNS), SPRITE_SIZE, SPRITE_SIZE, 4), np.uint8)
        for s, style in enumerate(STYLES):
            for n, noun in enumerate(NOUNS):
                sprite = render(noun, style, SPRITE_SIZE)
                if sprite is not None:
                    sprites[s, n] = np.asarray(sprite)
            found = int(sprites[s].any(axis=(1, 2, 3)).sum())
            print(f"{style}: {found} of {len(NOUNS)} nouns", flush=True)
        np.save(path.with_suffix(".part.npy"), sprites)
        path.with_suffix(".part.npy").rename(path)
    return np.load(path, mmap_mode="r")


if __name__ == "__main__":
    print(f"sprites {load().shape} in {CACHE}")
