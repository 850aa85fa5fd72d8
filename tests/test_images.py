"""Opening pictures safely, and the gallery."""

import json
import re
import struct
import subprocess
import sys
import zlib
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal import UserError, images

RED = (200, 30, 40)


@pytest.fixture
def photo(tmp_path) -> Path:
    """A red picture, 40 x 20, with a blue left half."""
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste((20, 30, 220), (0, 0, 20, 20))
    path = tmp_path / "photo.png"
    picture.save(path)
    return path


def options(image=None, folder=None) -> Namespace:
    return Namespace(image=image, images=folder)


def near(colour, expected) -> bool:
    return max(abs(a - b) for a, b in zip(colour, expected, strict=True)) <= 3


# Pictures that can be opened

def test_opens_an_ordinary_picture_from_a_string_too(photo):
    picture = images.open_picture(str(photo))
    assert picture.mode == "RGB" and picture.size == (40, 20)
    assert picture.getpixel((30, 10)) == RED


def test_a_right_picture_with_a_wrong_extension_opens(photo):
    renamed = photo.rename(photo.with_suffix(".jpg"))
    assert images.open_picture(renamed).size == (40, 20)


def test_exif_rotation_is_applied(tmp_path):
    sideways = Image.new("RGB", (40, 20), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a quarter clockwise makes it upright
    sideways.save(tmp_path / "phone.jpg", exif=exif)
    assert images.open_picture(tmp_path / "phone.jpg").size == (20, 40)


def test_broken_exif_data_does_not_break_the_picture(tmp_path):
    Image.new("RGB", (40, 20), RED).save(tmp_path / "odd.png", exif=b"Exif\x00\x00nonsense that is no TIFF header")
    assert images.open_picture(tmp_path / "odd.png").size == (40, 20)


def test_transparency_becomes_white(tmp_path):
    picture = Image.new("RGBA", (2, 1), RED + (255,))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    picture.save(tmp_path / "logo.png")
    opened = images.open_picture(tmp_path / "logo.png")
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [RED, (255, 255, 255)]


def test_transparency_in_a_palette_becomes_white(tmp_path):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([0, 0, 0, *RED])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "icon.gif", transparency=0)
    opened = images.open_picture(tmp_path / "icon.gif")
    assert opened.mode == "RGB"
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), RED]


def test_half_transparent_grey_is_mixed_with_white(tmp_path):
    Image.new("LA", (4, 4), (0, 128)).save(tmp_path / "shade.png")
    assert near(images.open_picture(tmp_path / "shade.png").getpixel((1, 1)), (127, 127, 127))


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("lime", "blue", "red")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert images.open_picture(tmp_path / "moving.gif").getpixel((4, 4)) == (0, 255, 0)


def test_cmyk_keeps_its_colour(tmp_path):
    Image.new("RGB", (16, 16), RED).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    picture = images.open_picture(tmp_path / "print.jpg")
    assert picture.mode == "RGB" and near(picture.getpixel((8, 8)), RED)


@pytest.mark.parametrize("mode, level", [("1", 1), ("L", 255)])
def test_black_and_white_and_grey(tmp_path, mode, level):
    Image.new(mode, (4, 4), level).save(tmp_path / "grey.png")
    assert images.open_picture(tmp_path / "grey.png").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    levels = np.full((4, 4), 0x8000, np.uint16)
    Image.fromarray(levels).save(tmp_path / "xray.png")
    assert near(images.open_picture(tmp_path / "xray.png").getpixel((0, 0)), (127, 127, 127))


def test_floating_point_greys_are_scaled(tmp_path):
    levels = np.array([[0, 0.5], [1, np.nan]], np.float32)
    Image.fromarray(levels).save(tmp_path / "depth.tiff")
    opened = np.asarray(images.open_picture(tmp_path / "depth.tiff"))
    assert opened[..., 0].tolist() == [[0, 127], [255, 0]]


# Pictures that cannot

def refusal(path) -> str:
    with pytest.raises(UserError) as error:
        images.open_picture(path)
    sentence = str(error.value)
    assert str(path) in sentence and "\n" not in sentence and sentence.endswith(".")
    assert error.value.status == 2
    return sentence


def test_a_missing_file(tmp_path):
    assert "no file" in refusal(tmp_path / "missing.jpg")


def test_a_folder(tmp_path):
    assert "--images" in refusal(tmp_path)


def test_a_text_file_and_an_empty_one(tmp_path):
    for name, content in (("notes.jpg", b"dear diary"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        assert "JPEG or PNG" in refusal(tmp_path / name)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "tiff", "bmp"])
def test_a_truncated_picture(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(noise).save(path)
    images.open_picture(path)
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    assert "JPEG or PNG" in refusal(path)


def bomb(path: Path, side: int) -> Path:
    """A PNG of a few hundred bytes that says it is side x side pixels large."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
                     + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [10_000, 60_000])  # above Pillow's warning, above its error
def test_a_huge_picture(tmp_path, side):
    assert "million pixels" in refusal(bomb(tmp_path / "bomb.png", side))


# Folders

def test_a_folder_lists_its_pictures_sorted(photo, tmp_path):
    for name in ("b.JPG", "a.webp"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / ".hidden.png").write_bytes(photo.read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "deep.png").write_bytes(photo.read_bytes())
    (tmp_path / "folder.png" / ".thumbnails").mkdir()
    (tmp_path / "folder.png" / ".thumbnails" / "small.png").write_bytes(photo.read_bytes())
    (tmp_path / "folder.png" / "up").symlink_to(tmp_path)  # a loop
    assert [path.name for path in images.pictures_in(tmp_path)] == ["a.webp", "b.JPG", "deep.png", "photo.png"]


def test_what_a_folder_holds_beside_pictures_is_counted_by_kind(photo, tmp_path, capsys):
    for name in ("IMG_1.DNG", "IMG_2.nef", "x.jxl", "logo.svg", "film.MOV", "notes.txt", "Makefile"):
        (tmp_path / name).write_bytes(bytes(64))
    frame = Image.new("RGB", (8, 8))
    frame.save(tmp_path / "burst.mpo", "MPO", save_all=True, append_images=[frame])
    assert [path.name for path in images.pictures_in(tmp_path)] == ["burst.mpo", "photo.png"]
    lines = capsys.readouterr().err.splitlines()
    for words in ("2 raw photos (IMG_", "export as JPEG", "1 JPEG XL picture (x.jxl)",
                  "1 drawing or document (logo.svg)", "1 film (film.MOV)", "2 other files ("):
        assert sum(words in line for line in lines) == 1, lines
    photo.unlink()
    (tmp_path / "burst.mpo").unlink()
    with pytest.raises(UserError, match=r"no picture in the folder .* Left out: .*2 raw photos"):
        images.pictures_in(tmp_path)


@pytest.mark.parametrize("name, keywords", [
    ("phone.heic", {}), ("phone.heif", {}), ("picture.avif", {}),
    ("burst.mpo", {"format": "MPO", "save_all": True, "append_images": [Image.new("RGB", (64, 48))]})])
def test_what_phones_write_opens(tmp_path, name, keywords):
    if name.startswith("phone"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (64, 48), RED).save(tmp_path / name, **keywords)
    assert images.pictures_in(tmp_path) == [tmp_path / name]
    opened = images.open_picture(tmp_path / name)
    assert opened.size == (64, 48) and max(abs(a - b) for a, b in zip(opened.getpixel((5, 5)), RED)) < 12


@pytest.mark.parametrize("ending, size", [("jpg", (640, 480)), ("png", None)])
def test_a_jpeg_is_judged_after_its_decoders_reduction(tmp_path, monkeypatch, ending, size):
    """A phone's 108 megapixels, in small: only the limit is another."""
    path = tmp_path / f"large.{ending}"
    Image.new("RGB", (2560, 1920), RED).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400_000)
    if size:
        assert images.open_picture(path).size == size
    else:
        assert "million pixels" in refusal(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2560 * 1920 // 64 - 1)
    assert "million pixels" in refusal(path)


def test_sixteen_bits_that_hold_twelve_are_not_black(tmp_path):
    levels = np.tile(np.linspace(0, 4095, 256).astype(np.uint16), (256, 1))
    for name, hot in (("scan", None), ("hot pixel", 65535)):
        if hot:
            levels[3, 3] = hot
        Image.fromarray(levels).save(tmp_path / f"{name}.png")
        opened = np.asarray(images.open_picture(tmp_path / f"{name}.png"))[..., 0]
        assert 120 < opened.mean() < 135 and opened.max() == 255


def test_pillows_warnings_do_not_reach_the_reader(tmp_path):
    bomb(tmp_path / "bomb.png", 10_000)
    code = ("from multimodal import images\n"
            f"try: images.open_picture({str(tmp_path / 'bomb.png')!r})\n"
            "except images.UserError as error: print(error)")
    done = subprocess.run([sys.executable, "-W", "error::Warning:PIL.Image", "-c", code], capture_output=True,
                          cwd=Path(__file__).parent.parent, timeout=60, text=True)
    assert "million pixels" in done.stdout and done.stderr == ""


def test_folders_without_pictures(photo, tmp_path):
    (tmp_path / "none").mkdir()
    cases = ((tmp_path / "none", "no picture"), (tmp_path / "missing", "no folder"), (photo, r"--image\."))
    for folder, words in cases:
        with pytest.raises(UserError, match=words) as error:
            images.pictures_in(folder)
        assert str(folder) in str(error.value)


# The choice

def test_without_options_the_gallery_is_chosen():
    assert images.chosen(options()) == (images.gallery(), False)


def test_own_pictures_have_a_name_and_no_words(photo):
    (sample,), own = images.chosen(options(image=[photo]))
    assert own
    assert (sample.name, sample.path, sample.caption, sample.questions) == ("photo", photo, "", [])
    assert sample.image.size == (40, 20)


def test_named_pictures_come_before_those_of_the_folder(photo, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "other.png")
    assert [sample.name for sample in images.chosen(options([photo], folder))[0]] == ["photo", "other"]


def test_a_broken_picture_that_was_named_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"broken\.png"):
        images.chosen(options(image=[tmp_path / "broken.png"]))


def test_a_broken_picture_in_a_folder_is_skipped_with_a_line(photo, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"broken")
    assert [sample.name for sample in images.chosen(options(folder=tmp_path))[0]] == ["photo"]
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and "broken.png" in said.err


def test_a_folder_of_broken_pictures_only_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="None of the pictures"):
        images.chosen(options(folder=tmp_path))


# The gallery

def test_every_picture_of_the_gallery_opens_and_is_large_enough():
    samples = images.gallery()
    assert len(samples) >= 60
    for sample in samples:
        assert min(sample.image.size) >= 384, sample.name
    listed = {sample.path for sample in samples}
    assert len(listed) == len(samples)
    assert set(images.GALLERY.glob("*.jpg")) == listed


def test_the_three_classics_come_first():
    first = images.gallery()[:3]
    assert [sample.name for sample in first] == ["dog-snow", "cat-room", "car-road-sunset"]
    assert [sample.caption for sample in first] == ["a dog in the snow", "a cat in a room",
                                                    "a car on the road at sunset"]


def test_captions_are_unique_in_both_languages():
    samples = images.gallery()
    for captions in ({s.caption for s in samples}, {s.caption_chinese for s in samples}):
        assert len(captions) == len(samples) and "" not in captions


def test_the_gallery_shows_all_places_lights_and_many_nouns():
    samples = images.gallery()
    places = {"snow", "beach", "grass", "night", "sunset", "room", "road", "sea", "desert", "plain"}
    assert {sample.place for sample in samples} == places
    assert {sample.light for sample in samples} == {"day", "night", "sunset"}
    alone = [s.things[0].noun for s in samples if len(s.things) == 1 and s.things[0].count == 1]
    assert len(alone) == len(set(alone)) >= 40


def test_the_fields_of_the_gallery_agree():
    kinds = {"what", "how many", "where", "side", "colour", "either/or", "yes/no"}
    for sample in images.gallery():
        assert 1 <= len(sample.things) <= 3
        for thing in sample.things:
            assert thing.count in (1, 2, 3) and thing.chinese and thing.boxes is None
        assert 5 <= len(sample.questions) <= 8
        texts = [question.text for question in sample.questions]
        assert len(set(texts)) == len(texts)
        asked = {question.kind for question in sample.questions}
        assert {"what", "either/or", "yes/no"} <= asked <= kinds
        assert ("side" in asked) == (len(sample.things) > 1)
        for question in sample.questions:
            assert question.text.endswith("?") and question.answer
            if question.kind == "colour":
                assert question.answer in {thing.colour for thing in sample.things}
            if question.kind == "where":
                assert sample.caption.endswith(f" {question.answer}")
            if question.kind == "either/or":
                answer = re.escape(question.answer)
                assert re.search(rf"\b{answer}(,| or )|\bor (the )?{answer}\b", question.text)  # "day, night or sunset"
            if question.kind == "side":
                assert question.answer in ("left", "middle", "right")
            if question.kind == "how many":
                counts = {thing.count for thing in sample.things} | {sum(t.count for t in sample.things)}
                if not any(thing.noun in question.text for thing in sample.things):
                    counts.add(0)  # asked of something that is not there
                assert ("none", "one", "two", "three").index(question.answer) in counts


def test_half_of_the_yes_no_questions_are_answered_with_yes():
    answers = [question.answer for s in images.gallery() for question in s.questions if question.kind == "yes/no"]
    assert set(answers) == {"yes", "no"}
    assert 0.4 <= answers.count("yes") / len(answers) <= 0.6


def test_the_gallery_is_small():
    assert sum(path.stat().st_size for path in images.GALLERY.iterdir()) < 4_000_000


def test_a_broken_gallery_is_a_user_error(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "GALLERY", tmp_path)
    images._gallery.cache_clear()
    with pytest.raises(UserError, match="gallery.json"):
        images.gallery()
    (tmp_path / "gallery.json").write_text(json.dumps([])[:1])
    with pytest.raises(UserError, match="gallery.json"):
        images.gallery()


def test_changing_the_list_does_not_change_the_gallery():
    images.gallery().clear()
    assert images.gallery()


def test_torch_is_not_imported():
    command = "import sys, multimodal.images; sys.exit('torch' in sys.modules)"
    root = Path(images.__file__).parent.parent
    subprocess.run([sys.executable, "-c", command], cwd=root, check=True)
