"""Pictures: the chapter's gallery, and the reader's own, opened safely."""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from toyworld import NOUNS, Question, Thing

from . import UserError
from .terminal import progress

GALLERY = Path(__file__).parent / "gallery"
# Pillow warns of odd metadata, which is no matter for the reader, and of large pictures, which are judged here.
warnings.filterwarnings("ignore", module=r"PIL\.")


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
    """Open a picture of any kind that Pillow reads, and HEIC where pillow-heif is installed, as an upright RGB image.

    It is turned as its EXIF data says; transparent parts become white; of an animation or a burst the first frame is
    taken; 16-bit and floating-point greys are scaled to 8 bits; a JPEG of more pixels than Pillow holds for safe is
    decoded at a half, a quarter or an eighth of its size.

    Raises:
        UserError: The file is missing, no picture, damaged, or has more pixels than Pillow holds for safe.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder, not a picture: give it with --images to use the pictures in it.")
    try:
        with open_lazily(path) as (image, _):
            image.load()
            return upright_rgb(image)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: check the path.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: check its permissions.") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is not a picture that can be opened here{_remedy(Path(path))}.") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path} has more than {Image.MAX_IMAGE_PIXELS // 10**6} million pixels: "
                        f"make it smaller first.") from None
    except MemoryError:
        raise
    except Exception as error:  # on a damaged file, Pillow's decoders raise nearly anything
        if "decoder" in str(error) and "not available" in str(error):
            raise UserError(f"{path} needs a decoder that this Pillow was built without ({error}): save it as JPEG or "
                            "PNG.") from error
        raise UserError(f"{path} cannot be read ({error}): the file may be damaged; save it again as JPEG or PNG."
                        ) from error


@contextmanager
def open_lazily(path: str | Path, edge: int | None = None) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """A picture of which only the header has been read, and its size; it is safe to decode.

    The decoder of a JPEG will make it smaller, by 2, 4 or 8, where it has more than `Image.MAX_IMAGE_PIXELS` pixels,
    and as far as both its sides then still have `edge` pixels.

    Raises:
        Image.DecompressionBombError: It has more pixels, and no decoder that reduces it.
    """
    _formats()
    most = Image.MAX_IMAGE_PIXELS or sys.maxsize
    with open(path, "rb") as file:
        is_jpeg = file.read(3) == b"\xff\xd8\xff"
        file.seek(0)
        # Image.open would refuse a large JPEG before its decoder could reduce it.
        with JpegImagePlugin.JpegImageFile(file) if is_jpeg else Image.open(file) as image:
            width, height = image.size
            reductions = [n for n in ((1, 2, 4, 8) if is_jpeg else (1,)) if width * height <= most * n * n]
            if not reductions:
                raise Image.DecompressionBombError
            n = max([reductions[0], *(n for n in reductions if edge and min(width, height) // edge >= n)])
            if n > 1:
                image.draft(None, (width // n, height // n))
            yield image, (width, height)


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture turned as its EXIF data says (in place), in RGB, on white where it is transparent."""
    with suppress(Exception):  # broken metadata does not make a broken picture
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F" or image.mode.startswith("I"):
        levels = np.nan_to_num(np.asarray(image, np.float32))
        # Files of 16 bits often hold fewer: 12 from a camera or a scanner. A hot pixel or two say nothing of that.
        bright = np.quantile(levels, 0.999)
        white = next((2**bits - 1 for bits in (8, 10, 12, 14) if bright <= 2**bits - 1), 65535)
        if image.mode == "F":
            white = max(float(bright), 1e-9)
        return Image.fromarray(np.clip(levels / white * 255, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def pictures_in(folder: str | Path) -> list[Path]:
    """The picture files in a folder and its subfolders, sorted by path; known by their extensions, not opened.

    Hidden files and folders are left out, and so is a link that leads to a folder seen before. Everything else that is
    no picture is counted by kind in a line on stderr, with what to do about it.

    Raises:
        UserError: There is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if folder.is_file():
        raise UserError(f"{folder} is a file, not a folder: give it with --image.")
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: check the path.")
    pictures, left_out, seen = [], {}, set()

    def forbidden(error: OSError) -> None:
        left_out.setdefault(FORBIDDEN, []).append(error.filename)

    for root, folders, files in os.walk(folder, onerror=forbidden, followlinks=True):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(root, name) for name in files if not name.startswith(".")):
            extension = path.suffix.lower()
            if extension in _formats() and path.is_file():
                pictures.append(path)
            else:
                kind = next((kind for kind, extensions in LEFT_OUT.items() if extension in extensions), OTHER)
                left_out.setdefault(kind, []).append(path)
    if str(folder) in left_out.get(FORBIDDEN, ()):
        raise UserError(f"The folder {folder} may not be read: check its permissions.")
    lines = [f"{len(paths)} {kind.format(s='s' * (len(paths) > 1))} ({', '.join(Path(path).name for path in paths[:3])}"
             f"{', ...' if len(paths) > 3 else ''}): {remedy}"
             for (kind, remedy), paths in sorted(left_out.items(), key=lambda item: -len(item[1]))]
    if not pictures:
        raise UserError(f"There is no picture in the folder {folder} or its subfolders: put JPEG or PNG files there"
                        + (f". Left out: {'; '.join(lines)}." if lines else "."))
    for line in lines:
        print(f"left out of {folder}: {line}", file=sys.stderr)
    return sorted(pictures)


# What a folder may hold beside pictures: (what it is, what to do) and the extensions. Their number stands before.
LEFT_OUT = {
    ("raw photo{s}", "export as JPEG with the camera's program"): frozenset(
        ".3fr .arw .cr2 .cr3 .dcr .dng .erf .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 "
        ".srf .srw .x3f".split()),
    ("HEIC photo{s}", "pip install pillow-heif"): frozenset((".heic", ".heif", ".hif")),  # if it is not installed
    ("JPEG XL picture{s}", "save as JPEG or PNG"): frozenset((".jxl",)),
    ("drawing{s} or document{s}", "export as PNG"): frozenset(
        (".svg", ".svgz", ".pdf", ".ai", ".eps", ".ps", ".xcf", ".emf", ".wmf", ".psb")),
    ("film{s}", "save single frames as JPEG"): frozenset(
        (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".3gp", ".wmv")),
}
OTHER = ("other file{s}", "no pictures, as far as their names tell")
FORBIDDEN = ("folder{s}", "may not be read, check the permissions")
# Pillow's names for what is no picture for us: films, tables of numbers, and what needs another program.
_NO_PICTURES = {"MPEG", "BUFR", "GRIB", "HDF5", "FITS", "WMF", "EPS"}


@cache
def _formats() -> frozenset[str]:
    """The extensions of the pictures that can be opened here. Registers HEIC where pillow-heif is installed."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    # MPO, the bursts and 3D pictures of phones, has no opener of its own: they are JPEGs.
    return frozenset(extension for extension, name in Image.registered_extensions().items()
                     if name == "MPO" or name in Image.OPEN and name not in _NO_PICTURES)


def _remedy(path: Path) -> str:
    """What to do about a file that is no picture that can be opened here."""
    kinds = [kind for kind, extensions in LEFT_OUT.items() if path.suffix.lower() in extensions - _formats()]
    return f" ({kinds[0][0].format(s='')}): {kinds[0][1]}" if kinds else ": save it as JPEG or PNG"


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
