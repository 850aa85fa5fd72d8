"""toyworld: what is said to be true of a picture is true of it, and is the same on every machine."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toyworld
from toyworld import __main__ as command
from toyworld import language, levels, pictures, render, sheets

TRUTH = Path(__file__).with_name("toyworld_truth.json")
LOOKS = ("patterned", "blurred", "noisy", "framed", "silhouettes", "lines")  # the same scenes as "usual"


def told(picture: toyworld.Picture) -> dict:
    """All that is said of a picture, as JSON has it."""
    return json.loads(json.dumps({
        "captions": [picture.caption, picture.caption_chinese, *picture.paraphrases, picture.caption_pairs],
        "things": [(thing.noun, thing.chinese, thing.count, thing.colour) for thing in picture.things],
        "where": [picture.place, picture.light, picture.style],
        "questions": [(question.kind, question.text, question.answer, len(question.answers))
                      for question in picture.questions + picture.questions_chinese],
        "boxes": [thing.boxes for thing in picture.things]}))


def draw_truth() -> dict:
    return {level: [told(picture) for picture in toyworld.draw(2, 20_261_128, level)] for level in toyworld.LEVELS}


def test_the_truth_of_a_seed_is_the_same_everywhere():
    """After a deliberate change: `python -m tests.test_toyworld` writes it anew."""
    expected, found = json.loads(TRUTH.read_text(encoding="utf-8")), draw_truth()
    assert found.keys() == expected.keys()
    for level in found:
        for there, here in zip(expected[level], found[level], strict=True):
            # How Pillow resizes may differ by a pixel from version to version.
            boxes = [np.array([box for boxes in one.pop("boxes") for box in boxes]) for one in (there, here)]
            assert np.abs(boxes[0] - boxes[1]).max() <= 1
            assert here == there


def test_pictures_do_not_depend_on_how_many_are_drawn():
    few, many = toyworld.draw(3, 5), toyworld.draw(6, 5)
    assert [told(picture) for picture in few] == [told(picture) for picture in many[:3]]
    assert all(a.image.tobytes() == b.image.tobytes() for a, b in zip(few, many))
    assert len({picture.caption for picture in many + toyworld.draw(6, 6)}) == 12
    assert toyworld.draw(0, 5) == []


@pytest.mark.parametrize("level", toyworld.LEVELS)
def test_every_level_draws(level):
    drawn = toyworld.draw(8, 3, level)
    side = 224 if level == "mosaic" else 112
    for picture in drawn:
        assert picture.image.mode == "RGB" and picture.image.size == (side, side)
        assert len({thing.noun for thing in picture.things}) == len(picture.things)
        assert picture.caption and picture.caption_chinese and picture.questions and picture.questions_chinese
        nouns = {noun.english: noun.chinese for noun in toyworld.NOUNS}
        for thing in picture.things:
            assert nouns[thing.noun] == thing.chinese and thing.chinese in picture.caption_chinese
            assert len(thing.boxes) == thing.count
            assert thing.noun in picture.caption or language.plural(thing.noun) in picture.caption
    if level == "small":
        assert all(4 <= sum(thing.count for thing in picture.things) <= 7 for picture in drawn)
    if level == "three":
        assert all([thing.count for thing in picture.things] == [1, 1, 1] for picture in drawn)
    if level == "unseen":
        assert all(picture.style == "fxemoji" for picture in drawn)


def test_levels_that_change_the_looks_show_the_same_scenes():
    usual = toyworld.draw(12, 9)
    for level in LOOKS:
        drawn = toyworld.draw(12, 9, level)
        for there, here in zip(usual, drawn):
            assert (here.place, here.light) == (there.place, there.light)
            assert [(thing.noun, thing.count) for thing in here.things] == [
                (thing.noun, thing.count) for thing in there.things]
            assert here.image.tobytes() != there.image.tobytes()


@pytest.mark.parametrize("level", ["usual", "small", "unseen", "silhouettes", "framed", "mosaic"])
def test_boxes_hold_the_things_and_nothing_else(level, monkeypatch):
    """Everything is drawn in white on black: what is white is a thing."""
    real = sheets.sprite

    def white(*arguments):
        sprite = real(*arguments).copy()
        sprite[..., :3] = 255
        return sprite

    def black(*_):
        return Image.new("RGB", (render.PICTURE_SIZE + pictures.MARGIN,) * 2), 0.4

    monkeypatch.setattr(sheets, "sprite", white)
    monkeypatch.setattr(pictures, "_place", black)
    for picture in toyworld.draw(25, 4, level):
        pixels = np.asarray(picture.image.convert("L"))
        if level == "framed":
            assert (pixels[:28] == 128).all() and (pixels[:, 84:] == 128).all()
            pixels = np.pad(pixels[28:84, 28:84], 28)
        outside = pixels.copy()
        boxes = [box for thing in picture.things for box in thing.boxes]
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= picture.image.width and 0 <= top < bottom <= picture.image.height
            outside[top:bottom, left:right] = 0
        assert outside.max() <= (64 if level == "framed" else 0)  # a soft rim, where it is reduced
        for left, top, right, bottom in boxes:  # none is larger than its thing, but for soft edges
            inside = pixels[top:bottom, left:right] > 64
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            assert rows[0] <= 3 and columns[0] <= 3
            assert rows[-1] >= bottom - top - 4 and columns[-1] >= right - left - 4


def test_things_stand_from_left_to_right():
    for picture in toyworld.draw(60, 2, "small") + toyworld.draw(60, 2):
        centres = [left + right for thing in picture.things for left, _, right, _ in thing.boxes]
        assert centres == sorted(centres)


def test_a_mosaic_is_four_pictures():
    for picture in toyworld.draw(6, 8, "mosaic"):
        assert len(picture.tiles) == 4 and picture.scene is picture.place is picture.light is None
        assert [thing.noun for tile in picture.tiles for thing in tile.things] == [
            thing.noun for thing in picture.things]
        assert picture.image.crop((112, 0, 224, 112)).tobytes() == picture.tiles[1].image.tobytes()
        moved = picture.tiles[3].things[0].boxes[0]
        assert tuple(edge + 112 for edge in moved) in [box for thing in picture.things for box in thing.boxes]
        assert picture.caption.startswith("top left ")
        assert all(tile.caption in picture.caption for tile in picture.tiles)
        assert picture.caption_pairs == picture.false_captions == {} and picture.paraphrases == []


def test_questions_are_answered_by_the_things():
    asked = {}
    for picture in toyworld.draw(150, 11):
        by_noun = {thing.noun: thing for thing in picture.things}
        there = {word: thing for noun, thing in by_noun.items() for word in (noun, language.plural(noun))}
        assert picture.questions is picture.questions  # asked once
        assert [question.answer for question in picture.questions if question.kind == "yes/no"] == ["yes", "no"]
        for question in picture.questions:
            about = [thing for word, thing in there.items() if word in question.text]
            asked[question.kind] = asked.get(question.kind, 0) + 1
            if question.kind == "how many" and about:
                numbers = {language.NUMBERS[thing.count] for thing in about}
                assert question.answer in numbers
            if question.kind == "side":
                sides = language.SIDES[len(picture.things)]
                assert question.answer in {sides[picture.things.index(thing)] for thing in about}
            if question.kind == "colour":
                assert question.answer in {thing.colour for thing in about}
            if question.kind == "where":
                assert question.answer == language.where(picture)
            if question.text.startswith("Does the picture show a"):
                assert any(word in question.text for word in there) == (question.answer == "yes")
    assert set(asked) == {"what", "how many", "where", "side", "colour", "either/or", "yes/no"}
    assert min(asked.values()) > 30


def test_false_captions_say_what_is_not_so():
    found = {}
    for picture in toyworld.draw(150, 12):
        assert picture.false_captions == {kind: false for kind, (_, false) in picture.caption_pairs.items()}
        for kind, (true, false) in picture.caption_pairs.items():
            found[kind] = found.get(kind, 0) + 1
            assert true != false and (true == picture.caption or kind in ("light", "order"))
            if kind == "colour":
                said = [(thing, colour) for thing in picture.things for colour in language.COLOURS
                        for word in (thing.noun, language.plural(thing.noun)) if f"{colour} {word}" in false]
                assert any(thing.colour != colour for thing, colour in said)
            if kind == "object":
                assert any(word in false and word not in true for noun in toyworld.NOUNS
                           for word in (noun.english, language.plural(noun.english)))
            if kind == "light":
                assert picture.light is not None
            if kind == "place":
                assert not false.endswith(language.where(picture))
            if kind == "order":
                assert len(picture.things) > 1 and sorted(true) == sorted(false)
    assert set(found) == {"object", "count", "colour", "place", "light", "order"} and min(found.values()) > 10


def test_paraphrases_say_the_same():
    for picture in toyworld.draw(60, 13):
        assert len(set(picture.paraphrases)) >= 5 and picture.caption not in picture.paraphrases
        for text in picture.paraphrases:
            for group in picture.scene.groups:
                assert language.phrase(group, language.colour_is_worth_saying(group)) in text


def test_colours_are_those_that_the_drawings_have():
    rng, named = np.random.default_rng(0), 0
    for style, of in sheets.STYLES.items():
        for noun in rng.choice(sheets.nouns_of(style), 25):
            english = toyworld.NOUNS[noun].english
            paints = sheets.paints(of.kind)
            if of.kind == "coloured":
                paints = [None, *paints] if english in language.COLOURABLE else [None]
            elif of.kind == "lines":
                paints = [None, *paints]
            paint = paints[int(rng.integers(len(paints)))]
            measured = render.name_colour(sheets.sprite(style, int(noun), paint))
            assert sheets.colour_of(style, int(noun), paint) == measured or (
                of.kind == "silhouette" and measured is None), (style, english, paint)  # one of thin lines
            named += measured is not None
    assert named > 80
    for bright, inks in ((True, sheets.BRIGHT_INKS), (False, sheets.DARK_INKS)):
        for name in inks:
            solid = np.full((96, 96, 4), 255, np.uint8)
            assert language.COLOURS[render.name_colour(sheets.dress(solid, "silhouette", name, bright))] == name


def test_sheets_are_small_and_have_what_they_should():
    files = list(sheets.FOLDER.iterdir())
    assert {file.name for file in files} == {*(f"{style}.webp" for style in sheets.STYLES), "sprites.tsv"}
    assert sum(file.stat().st_size for file in files) < 4e6
    assert {style: len(sheets.nouns_of(style)) for style in sheets.STYLES} == {
        style: 87 if style == "fxemoji" else 175 for style in sheets.STYLES}
    assert [style for style, of in sheets.STYLES.items() if of.held_out] == ["fxemoji"]
    assert "fxemoji" not in {style for name, level in levels.BY_NAME.items() if name != "unseen"
                             for style in level.styles}
    notice = (Path(__file__).parents[1] / "NOTICE").read_text(encoding="utf-8")
    assert "toyworld/sprites" in notice and "FxEmojis" in notice and "OpenMoji" not in notice


def test_what_may_be_chosen():
    for picture in toyworld.draw(8, 1, things=2, copies=1, styles=["noto"]):
        assert [thing.count for thing in picture.things] == [1, 1] and picture.style == "noto"
    assert {len(picture.things) for picture in toyworld.draw(8, 1, "small", things=1, copies=1)} == {1}
    assert {thing.count for picture in toyworld.draw(8, 1, "three", copies=3) for thing in picture.things} == {3}
    assert {len(picture.things) for picture in toyworld.draw(20, 1, things=3)} == {3}


@pytest.mark.parametrize("arguments, message", [
    ({"level": "hard"}, "There is no level 'hard': choose from usual, "),
    ({"styles": ["openmoji"]}, "There is no style 'openmoji': choose from fluent-3d, "),
    ({"styles": "noto"}, "styles is a list"), ({"styles": []}, "styles is a list"),
    ({"things": 4}, "things is 1, 2 or 3, not 4"), ({"copies": 0}, "copies is 1, 2 or 3, not 0"),
    ({"count": -1}, "count must not be below 0"), ({"seed": -1}, "seed must not be below 0"),
])
def test_wrong_input_gets_one_clear_sentence(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        toyworld.draw(**{"count": 1, "seed": 1} | arguments)


def test_neither_torch_nor_network_nor_the_chapter_is_needed(tmp_path):
    code = ("import sys, socket\n"
            "for name in ('torch', 'transformers', 'scipy', 'matplotlib', 'multimodal', 'training', 'resvg_py'):\n"
            "    sys.modules[name] = None\n"
            "socket.socket = None\n"
            "import toyworld\n"
            "assert not toyworld.pictures.sheets._sheet.cache_info().currsize  # nothing is decoded at import\n"
            "for level in toyworld.LEVELS:\n"
            "    picture, = toyworld.draw(1, 0, level)\n"
            "    picture.questions, picture.questions_chinese, picture.false_captions, picture.paraphrases\n"
            "print(len(toyworld.NOUNS))")
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root}, check=True,
                          capture_output=True, text=True)
    assert done.stdout == "175\n"


def test_the_command_draws_a_sheet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["toyworld", *arguments])
        return command.main(), *capsys.readouterr()

    code, said, _ = run("--level", "mosaic", "--count", "7", "--boxes")
    assert code == 0 and said == f"7 pictures of level mosaic in {Path('outputs') / 'toyworld-mosaic.png'}\n"
    with Image.open("outputs/toyworld-mosaic.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 500
    code, said, _ = run("--list")
    assert code == 0 and [line.split()[0] for line in said.splitlines()] == list(toyworld.LEVELS)
    (tmp_path / "file").write_text("")
    for arguments, message in (("--level hard", "There is no level 'hard'"), ("--count 0", "--count is from 1"),
                               ("--styles openmoji", "There is no style"),
                               ("--output x.nothing", "x.nothing must end in .png, .jpg or .webp."),
                               ("--output file/sheet.png", "file/sheet.png cannot be written")):
        code, said, error = run(*arguments.split())
        assert code == 2 and said == "" and message in error and error.count("\n") == 1


if __name__ == "__main__":
    rows = (f"{json.dumps(level)}: [\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in drawn) + "]"
            for level, drawn in draw_truth().items())
    TRUTH.write_text("{" + ",\n".join(rows) + "}\n", encoding="utf-8")
