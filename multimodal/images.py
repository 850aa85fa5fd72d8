"""Pictures: the chapter's gallery, and the reader's own, opened safely."""

import json
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from toyworld import NOUNS, Question, Thing

from . import UserError
from .terminal import progress

GALLERY = Path(__file__).parent / "gallery"


@dataclass(frozen=True)
class Sample:
    """A picture and what is known of it: all of it for the gallery, name and path for the reader's own.

    `things` stand in it from left to right. They and the questions are as in `toyworld.draw`, without boxes.
    """

    name: str
    path: Path
    caption: str = ""
    caption_chinese: str = ""
    things: list[Thing] = field(default_factory=list)
    place: str = ""
    light: str = ""
    style: str = ""
    questions: list[Question] = field(default_factory=list)

    @property
    def image(self) -> Image.Image:
        """The picture itself, RGB, read from its file whenever it is asked for."""
        return open_picture(self.path)


def open_picture(path: str | Path) -> Image.Image:
    """Open a picture of any kind that Pillow reads, as an upright RGB image.

    It is turned as its EXIF data says; transparent parts become white; of an animation the first frame is
    taken; 16-bit and floating-point greys are scaled to 8 bits.

    Raises:
        UserError: The file is missing, no picture, damaged, or has more pixels than Pillow holds for safe.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder, not a picture: give it with --images to use the pictures in it.")
    try:
        # Pillow warns of odd metadata, which is no matter for the reader, and of pictures so large that
        # they may be an attack on memory, which is.
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                image.load()
                return upright_rgb(image)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: check the path.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: check its permissions.") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is not a picture that Pillow can open: save it as JPEG or PNG.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{path} has more than {Image.MAX_IMAGE_PIXELS // 10**6} million pixels: "
                        f"make it smaller first.") from None
    except MemoryError:
        raise
    except Exception as error:  # on a damaged file, Pillow's decoders raise nearly anything
        raise UserError(f"{path} cannot be read ({error}): the file may be damaged; save it again as JPEG or PNG."
                        ) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture turned as its EXIF data says (in place), in RGB, on white where it is transparent."""
    with suppress(Exception):  # broken metadata does not make a broken picture
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F" or image.mode.startswith("I"):
        levels = np.nan_to_num(np.asarray(image, np.float32))
        white = 65535 if image.mode != "F" else max(float(levels.max()), 1e-9)
        return Image.fromarray(np.clip(levels / white * 255, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def pictures_in(folder: str | Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name; known by their extensions, not opened.

    Hidden files and subfolders are left out.

    Raises:
        UserError: There is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if folder.is_file():
        raise UserError(f"{folder} is a file, not a folder: give it with --image.")
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    extensions = {extension for extension, name in Image.registered_extensions().items() if name in Image.OPEN}
    try:
        pictures = sorted(path for path in folder.iterdir()
                          if path.suffix.lower() in extensions and not path.name.startswith(".") and path.is_file())
    except PermissionError:
        raise UserError(f"The folder {folder} may not be read: check its permissions.") from None
    if not pictures:
        raise UserError(f"There is no picture in the folder {folder}: put JPEG or PNG files there "
                        f"(its subfolders are not searched).")
    return pictures


def gallery() -> list[Sample]:
    """The chapter's own pictures, in their order: first a dog in the snow, a cat, a car on the road at sunset.

    Raises:
        UserError: gallery.json is missing or broken.
    """
    return list(_gallery())


@cache
def _gallery() -> tuple[Sample, ...]:
    path = GALLERY / "gallery.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): get the repository's own copy again.") from error
    chinese = {noun.english: noun.chinese for noun in NOUNS}
    return tuple(Sample(name=Path(entry["file"]).stem, path=GALLERY / entry["file"], caption=entry["caption"],
                        caption_chinese=entry["caption_chinese"],
                        things=[Thing(thing["noun"], chinese[thing["noun"]], thing["count"], thing["colour"])
                                for thing in entry["objects"]],
                        place=entry["place"], light=entry["light"], style=entry["style"],
                        questions=[Question(asked["kind"], asked["question"], tuple(asked["answers"]))
                                   for asked in entry["questions"]])
                 for entry in entries)


def chosen(options) -> tuple[list[Sample], bool]:
    """The reader's own pictures, from --image and --images, or else the gallery; and whether they are the reader's.

    Each of them is opened once: a picture that was named must be good; one in a folder that is not is
    skipped with a line on stderr.

    Args:
        options: Has `image`, a list of paths or None, and `images`, a folder or None.

    Raises:
        UserError: A named picture or the folder cannot be used, or no picture in the folder can.
    """
    if not options.image and options.images is None:
        return gallery(), False
    samples = []
    for path in options.image or ():
        open_picture(path)
        samples.append(Sample(Path(path).stem, Path(path)))
    if options.images is not None:
        good = []
        for path in progress(pictures_in(options.images)):
            try:
                open_picture(path)
                good.append(Sample(path.stem, path))
            except UserError as error:
                print(f"skipped: {error}", file=sys.stderr)
        if not good:
            raise UserError(f"None of the pictures in {options.images} can be opened: save them as JPEG or PNG.")
        samples += good
    return samples, True
