"""Sprites: how they are painted in a colour, which colour that is, and where they are placed in a picture."""

import numpy as np
from PIL import Image

from .nouns import NOUNS

PICTURE_SIZE = 112  # pixels: 7 x 7 patches of 16, as many patches as CLIP ViT-B/32 cuts from 224 pixels
# Hue in degrees, and factors on saturation and brightness, that paint a drawing in a named colour.
PAINTS = {"red": (0, 1.3, 1.0), "orange": (28, 1.3, 1.05), "yellow": (51, 1.3, 1.15), "green": (125, 1.0, 0.9),
          "blue": (215, 1.1, 1.0), "purple": (275, 0.9, 0.9), "pink": (330, 0.6, 1.15), "black": (0, 0.1, 0.3),
          "white": (0, 0.06, 1.6)}
FLYING = frozenset(("bat", "owl", "eagle", "parrot", "butterfly", "bee", "airplane", "helicopter", "rocket",
                    "parachute", "sun", "moon", "star", "cloud", "rainbow", "planet", "balloon", "kite"))


def paint_sprite(sprite: np.ndarray, colour: str) -> np.ndarray:
    """Repaint the coloured parts of an RGBA sprite; what is black, white or grey stays (tyres, windows)."""
    hue, saturation, brightness = PAINTS[colour]
    hsv = np.array(Image.fromarray(sprite[..., :3]).convert("HSV"))
    coloured = (hsv[..., 1] > 60) & (hsv[..., 2] > 50)
    hsv[coloured, 0] = hue * 255 // 360
    levels = np.arange(256, dtype=np.float32)
    for channel, factor in ((1, saturation), (2, brightness)):
        hsv[coloured, channel] = np.clip(levels * factor, 0, 255).astype(np.uint8)[hsv[coloured, channel]]
    return np.dstack([np.asarray(Image.fromarray(hsv, "HSV").convert("RGB")), sprite[..., 3]])


def name_colour(sprite: np.ndarray) -> int | None:
    """The index in `language.COLOURS` of the colour that covers most of an RGBA sprite, None if none does.

    Shades are named by hue, saturation and brightness; outlines and highlights count for little.
    """
    small = Image.fromarray(sprite).resize((24, 24), Image.Resampling.BOX)
    alpha = np.asarray(small.getchannel("A"))
    hue, saturation, value = (channel[alpha > 128].astype(int) for channel in
                              np.moveaxis(np.asarray(small.convert("RGB").convert("HSV")), -1, 0))
    if hue.size < 20:
        return None
    degrees = hue * 360 // 255
    names = np.digitize(degrees, (14, 41, 66, 166, 256, 300, 345))  # red orange yellow green blue purple pink red
    names = np.where(names == 7, 0, names)
    names = np.where((names <= 1) & (value < 160) & (saturation > 60), 7, names)           # brown: a dark orange
    names = np.where((names == 0) & (saturation < 130) & (value > 190), 6, names)          # pink: a pale red
    names = np.where(saturation < 45, np.select([value < 80, value < 205], [9, 8], 10), names)  # black grey white
    names = np.where(value < 55, 9, names)
    counts = np.bincount(names, minlength=11)
    best = int(counts.argmax())
    return best if counts[best] >= 0.6 * counts.sum() else None


def place_sprites(objects: list[tuple[int, np.ndarray]], horizon: float, rng: np.random.Generator, tilt: float = 7,
                  crowd: int = 1) -> list[tuple[Image.Image, int, int]]:
    """Arrange things from left to right on the ground, or in the air where they fly.

    Args:
        objects: A noun's index and an RGBA sprite each, from left to right.
        horizon: Its height as a fraction of the picture from the top: what stands, stands below it.
        tilt: By how many degrees half of the things are turned (the deviation).
        crowd: They are as small as if there were at least so many.

    Returns:
        For each, in the order in which they are pasted: the drawing at its size, and its left and upper edge in pixels.
    """
    count = len(objects)
    slot, crowd = 1 / count, max(count, crowd)
    scale = rng.uniform(0.42, 0.86) if crowd == 1 else 1 / crowd * rng.uniform(0.8, 1.12)
    flip = rng.random() < 0.5
    placed = []
    for i, (noun, sprite) in enumerate(objects):
        side = max(14, int(PICTURE_SIZE * scale * rng.uniform(0.9, 1.1)))
        drawing = Image.fromarray(sprite).resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        if flip:
            drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rng.random() < 0.5:
            drawing = drawing.rotate(rng.normal(0, tilt), Image.Resampling.BILINEAR)
        centre = slot * (i + 0.5) + rng.normal(0, 0.05 if count == 1 else 0.02)
        free = NOUNS[noun].english in FLYING or rng.random() < 0.35
        foot = rng.uniform(0.35, 0.98) if free else rng.uniform(max(horizon + 0.12, 0.62), 0.97)
        # At most 6% of a thing may lie beyond an edge.
        left, top = (int(min(max(edge, -0.06 * side), PICTURE_SIZE - 0.94 * side))
                     for edge in (centre * PICTURE_SIZE - side / 2, foot * PICTURE_SIZE - side))
        placed.append((drawing, left, top))
    return placed
