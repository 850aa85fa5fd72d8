"""Scenes: pictures of one to three objects in a place, with all there is to say about them, from a seed.

`python -m training.scenes` renders the pool of training pictures once (about eight minutes on two cores);
every model of the chapter learns from it. `Scene`s keep what is true of a picture, `captions` and `questions` put it
into words; with each comes the noun that covers each of the 7 x 7 patches that the vision tower sees.
"""

import argparse
import multiprocessing

import numpy as np
from PIL import Image, ImageChops, ImageFilter
from scipy import ndimage

from toyworld import backgrounds
from toyworld.language import COLOURABLE, MEASURED, Group, Scene
from toyworld.nouns import NOUNS
from toyworld.render import PAINTS, PICTURE_SIZE, name_colour, paint_sprite, place_sprites

from . import sprites

PATCHES = 7  # in a row and in a column, of 16 pixels
NO_NOUN = len(NOUNS)
# How often a scene holds so many groups of so many: ((1,), 0.42) is one object alone.
LAYOUTS = (((1,), 0.42), ((2,), 0.11), ((3,), 0.09), ((1, 1), 0.2), ((1, 2), 0.05), ((2, 1), 0.05), ((1, 1, 1), 0.08))


class SceneMaker:
    """Draws scenes with pictures. Give it the indices of the styles it may use.

    Args:
        styles: Indices into `sprites.SETS`.
        augment: Distort the drawings (colour, outline, greyscale, ...) so that models learn shapes, not styles.
        patterned: How often a strong pattern lies over the place.
    """

    def __init__(self, styles: tuple[int, ...] = sprites.SEEN, augment: bool = True, patterned: float = 0.12):
        self.sprites = sprites.load()
        self.styles = styles
        self.augment, self.patterned = augment, patterned
        self.present = self.sprites[:, :, ::8, ::8, 3].any(axis=(2, 3))  # (styles, nouns)
        self.nouns = np.flatnonzero(self.present[list(styles)].any(axis=0))
        self.backgrounds: dict[tuple[str, str], list[np.ndarray]] = {}

    def draw(self, rng: np.random.Generator, layout: tuple[int, ...] | None = None
             ) -> tuple[Image.Image, Scene, np.ndarray]:
        """One scene drawn from `rng`; layout: how many of each of its kinds, or None.

        Returns the 112 x 112 RGB picture, what is true of it, and a uint8 array (7, 7) with the noun that
        covers most of each patch, or `NO_NOUN`.
        """
        if layout is None:
            layout = LAYOUTS[rng.choice(len(LAYOUTS), p=[p for _, p in LAYOUTS])][0]
        place, light = str(rng.choice(backgrounds.PLACES)), "day"
        if place in backgrounds.OUTDOOR and rng.random() < 0.2:
            light = str(rng.choice(("night", "sunset")))
        chosen = self._choose_nouns(layout, rng)
        groups, objects = [], []
        for noun_index, count in zip(chosen, layout):
            sprite, colour = self._dress(noun_index, self._choose_style(noun_index, rng), place, light, rng)
            groups.append(Group(int(noun_index), count, colour))
            objects += [(noun_index, sprite)] * count
        picture, nouns = self._compose(objects, place, light, rng)
        return picture, Scene(tuple(groups), place, light), nouns

    def _choose_nouns(self, layout, rng):
        while True:
            nouns = [int(n) for n in rng.choice(self.nouns, len(layout), replace=False)]
            if all(count == 1 or NOUNS[n].english not in MEASURED for n, count in zip(nouns, layout)):
                return nouns

    def _choose_style(self, noun, rng):
        styles = [s for s in self.styles if self.present[s, noun]]
        # Silhouettes and lines teach shapes, but a world of them would be a dull one.
        weights = np.array([0.35 if sprites.SETS[s].silhouette or sprites.SETS[s].lines else 1 for s in styles])
        return int(rng.choice(styles, p=weights / weights.sum()))

    def _dress(self, noun: int, style: int, place: str, light: str,
               rng: np.random.Generator) -> tuple[np.ndarray, int | None]:
        """One sprite, coloured and perhaps distorted, with the colour that it then has."""
        sprite = np.array(self.sprites[style, noun])
        if sprites.SETS[style].silhouette:
            dark = "night" in (place, light) or (place == "sea" and light == "sunset")
            sprite[..., :3] = rng.integers(170, 256, 3) if dark else rng.integers(0, 110, 3)
        elif sprites.SETS[style].lines:
            sprite = colour_in(sprite, rng) if rng.random() < 0.7 else sprite
        elif NOUNS[noun].english in COLOURABLE and rng.random() < 0.6:
            sprite = paint_sprite(sprite, str(rng.choice(list(PAINTS))))
        if self.augment:
            sprite = distort(sprite, rng)
        return sprite, name_colour(sprite)

    def _background(self, place: str, light: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """One of a hundred painted versions of the place, made when first asked for."""
        bank = self.backgrounds.setdefault((place, light), [])
        if len(bank) < 100:
            bank.append(backgrounds.paint(place, light, 128, rng))
            return bank[-1]
        return bank[rng.integers(len(bank))]

    def _compose(self, objects, place, light, rng) -> tuple[Image.Image, np.ndarray]:
        painted, horizon = self._background(place, light, rng)
        if self.patterned and rng.random() < self.patterned:
            painted = backgrounds.unsettle(painted, rng)
        x, y = rng.integers(0, 17, 2)
        picture = Image.fromarray(painted[y:y + PICTURE_SIZE, x:x + PICTURE_SIZE])
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        horizon = (horizon * 128 - y) / PICTURE_SIZE
        coverage = np.zeros((len(objects) + 1, PATCHES, PATCHES), np.float32)
        coverage[0] = 0.2  # a patch belongs to an object that covers more than a fifth of it
        placed = place_sprites(objects, horizon, rng, tilt=10 if self.augment else 7)
        for i, (drawing, left, top) in enumerate(placed, 1):
            picture.paste(drawing, (left, top), drawing)
            mask = Image.new("L", (PICTURE_SIZE, PICTURE_SIZE))
            mask.paste(drawing.getchannel("A"), (left, top))
            coverage[i] = np.asarray(mask.resize((PATCHES, PATCHES), Image.Resampling.BOX)) / 255
        owners = np.array([NO_NOUN] + [noun for noun, _ in objects], np.uint8)
        return picture, owners[coverage.argmax(axis=0)]


def draw_plain(styles: tuple[int, ...], count: int, seed: int, patterned: float = 0.0,
               layout: tuple[int, ...] | None = None) -> tuple[list[Image.Image], list[Scene]]:
    """Pictures without the distortions of training, and their scenes."""
    maker, rng = SceneMaker(styles, augment=False, patterned=patterned), np.random.default_rng(seed)
    drawn = [maker.draw(rng, layout) for _ in range(count)]
    return [picture for picture, _, _ in drawn], [scene for _, scene, _ in drawn]


def colour_in(drawing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill the white fields of a line drawing with colours: one for all, or one for each.

    Args:
        drawing: RGBA, dark lines on white, transparent around.
    """
    white = (drawing[..., 0] > 128) & (drawing[..., 3] > 128)
    fields, count = ndimage.label(white)
    palette = rng.integers(40, 256, (count + 1, 3))
    if rng.random() < 0.5:
        palette[:] = palette[0]
    coloured = drawing.copy()
    # Multiplied, so that the soft edges of the lines stay soft.
    coloured[..., :3] = (drawing[..., :3] * (palette[fields] / 255)).astype(np.uint8)
    return coloured


def as_lines(image: Image.Image) -> Image.Image:
    """The edges of an RGBA drawing as dark lines on white."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda edge: 255 - min(255, 3 * edge))
    alpha = image.getchannel("A")
    # The outline is the rim of what is opaque.
    rim = ImageChops.subtract(alpha, alpha.filter(ImageFilter.MinFilter(5)))
    ink = ImageChops.subtract(edges, rim)
    return Image.merge("RGBA", [ink, ink, ink, alpha])


def bend(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The drawing as another hand would draw it: the points of a 4 x 4 grid move a little, and what is between them
    follows."""
    width, height = image.size
    columns, rows = (points + rng.normal(0, rng.uniform(0.01, 0.06) * width, points.shape)
                     for points in np.meshgrid(np.linspace(0, width, 4), np.linspace(0, height, 4)))
    # Pillow fills each cell of the straight grid from a quadrilateral, given anticlockwise from its upper left corner.
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    cells = [((x * width // 3, y * height // 3, (x + 1) * width // 3, (y + 1) * height // 3),
              [float(axis[y + down, x + across]) for down, across in corners for axis in (columns, rows)])
             for y in range(3) for x in range(3)]
    return image.transform(image.size, Image.Transform.MESH, cells, Image.Resampling.BILINEAR)


def distort(sprite: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change how a drawing looks but not what it shows; an RGBA array in and out."""
    image = Image.fromarray(sprite)
    chance = rng.random()
    if chance < 0.08:  # greyscale
        image = Image.merge("RGBA", [image.convert("L")] * 3 + [image.getchannel("A")])
    elif chance < 0.22:  # shift all hues
        hue, saturation, value = image.convert("RGB").convert("HSV").split()
        shift = int(rng.normal(0, 45))
        hue = hue.point(lambda level: (level + shift) % 256)
        image = Image.merge("RGBA", [*Image.merge("HSV", (hue, saturation, value)).convert("RGB").split(),
                                     image.getchannel("A")])
    elif chance < 0.29:  # posterise
        levels = np.array(image)
        levels[..., :3] = levels[..., :3] // 64 * 64 + 32
        image = Image.fromarray(levels)
    elif chance < 0.33:  # filled silhouette
        ink = Image.new("RGBA", image.size, tuple(rng.integers(0, 256, 3)) + (255,))
        ink.putalpha(image.getchannel("A"))
        image = ink
    elif chance < 0.43:  # a line drawing, often coloured in
        image = as_lines(image)
        if rng.random() < 0.6:
            image = Image.fromarray(colour_in(np.asarray(image), rng))
    if rng.random() < 0.25:  # a dark outline, as in drawn pictogram sets
        width = int(rng.choice((3, 5, 7)))
        outline = Image.new("RGBA", image.size, tuple(rng.integers(0, 70, 3)) + (255,))
        outline.putalpha(image.getchannel("A").filter(ImageFilter.MaxFilter(width)))
        if rng.random() < 0.4:  # and dark lines inside
            edges = image.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda e: 255 * (e > 50))
            ink = Image.new("RGBA", image.size, (20, 20, 20, 255))
            ink.putalpha(Image.fromarray(np.minimum(edges, image.getchannel("A"))))
            image.alpha_composite(ink)
        outline.alpha_composite(image)
        image = outline
    if rng.random() < 0.3:  # brightness and contrast
        levels = np.array(image).astype(np.float32)
        levels[..., :3] = (levels[..., :3] - 128) * rng.uniform(0.6, 1.2) + 128 + rng.normal(0, 20)
        image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:
        image = bend(image, rng)
    if rng.random() < 0.1:  # a piece is hidden
        hidden = image.getchannel("A")
        x, y = rng.integers(0, 72, 2)
        hidden.paste(0, (int(x), int(y), int(x + rng.integers(12, 28)), int(y + rng.integers(12, 28))))
        image.putalpha(hidden)
    return np.asarray(image)


# The pool of training pictures on disk.

RECORD = np.dtype([("place", "u1"), ("light", "u1"), ("groups", "i2", (3, 3)), ("patches", "u1", (PATCHES, PATCHES))])


def encode(scene: Scene, patches: np.ndarray) -> np.void:
    record = np.zeros((), RECORD)
    record["place"] = backgrounds.PLACES.index(scene.place)
    record["light"] = backgrounds.LIGHTS.index(scene.light)
    for i, group in enumerate(scene.groups):
        record["groups"][i] = group.noun, group.count, -1 if group.colour is None else group.colour
    record["patches"] = patches
    return record


def decode(record: np.void) -> Scene:
    groups = tuple(Group(int(noun), int(count), None if colour < 0 else int(colour))
                   for noun, count, colour in record["groups"] if count)
    return Scene(groups, backgrounds.PLACES[record["place"]], backgrounds.LIGHTS[record["light"]])


def render_pool(count: int, seed: int, name: str) -> None:
    """Render `count` scenes to cache/NAME.pictures.npy, uint8 (count, 112, 112, 3), and cache/NAME.records.npy.

    Those of a name that begins with "plain" are drawn without distortions.
    """
    maker, rng = SceneMaker(sprites.SEEN, augment=name.startswith("train")), np.random.default_rng(seed)
    pictures = np.lib.format.open_memmap(sprites.CACHE / f"{name}.pictures.part.npy", mode="w+", dtype=np.uint8,
                                         shape=(count, PICTURE_SIZE, PICTURE_SIZE, 3))
    records = np.zeros(count, RECORD)
    for i in range(count):
        picture, scene, patches = maker.draw(rng)
        pictures[i], records[i] = np.asarray(picture), encode(scene, patches)
    pictures.flush()
    np.save(sprites.CACHE / f"{name}.records.npy", records)
    (sprites.CACHE / f"{name}.pictures.part.npy").rename(sprites.CACHE / f"{name}.pictures.npy")


def load_pool(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures (a memory map) and the records of one part of the pool."""
    return (np.load(sprites.CACHE / f"{name}.pictures.npy", mmap_mode="r"),
            np.load(sprites.CACHE / f"{name}.records.npy"))


def pool_parts(kind: str = "train") -> list[str]:
    """The names of the rendered parts: "train", distorted, or "plain"."""
    return sorted(path.name.removesuffix(".pictures.npy") for path in sprites.CACHE.glob(f"{kind}-*.pictures.npy"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Render the pool of training pictures.")
    parser.add_argument("--parts", type=int, default=16, help="how many files (default 16), and a quarter as many of "
                        "plain ones")
    parser.add_argument("--size", type=int, default=20_000, help="scenes in each file (default 20000)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    sprites.load()
    wanted = [(options.size, 1000 + i, f"train-{i:02d}") for i in range(options.parts)]
    wanted += [(options.size, 2000 + i, f"plain-{i:02d}") for i in range(max(1, options.parts // 4))]
    rendered = pool_parts() + pool_parts("plain")
    wanted = [part for part in wanted if part[2] not in rendered]
    with multiprocessing.Pool(options.processes) as pool:
        for i, _ in enumerate(pool.imap_unordered(_render_part, wanted), 1):
            print(f"{i} of {len(wanted)} parts rendered", flush=True)


def _render_part(part) -> None:
    render_pool(*part)


if __name__ == "__main__":
    main()
