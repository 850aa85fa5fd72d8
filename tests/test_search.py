"""The index on disk: what is embedded again and what is not, damage, killing."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal import UserError, search
from multimodal.images import open_picture
from multimodal.search import ImageIndex

PROBE = np.array([1, 0, 0], np.float32)
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


class Embedder:
    """Embeds a picture file as its normalised mean colour, and remembers how many it was given."""

    def __init__(self):
        self.count = 0
        self.largest_batch = 0

    def __call__(self, paths):
        self.count += len(paths)
        self.largest_batch = max(self.largest_batch, len(paths))
        colours, read = np.zeros((0, 3)), []
        for path in paths:
            with suppress(UserError):
                colours = np.vstack([colours, np.asarray(open_picture(path)).mean(axis=(0, 1))])
                read.append(path)
        return colours / np.linalg.norm(colours, axis=1, keepdims=True), read


@pytest.fixture
def embed():
    return Embedder()


def paint(path: Path, colour) -> Path:
    Image.new("RGB", (8, 8), colour).save(path)
    return path


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    return [paint(tmp_path / f"{name}.png", colour) for name, colour in COLOURS.items()]


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "index" / "pictures.npz"


def test_finds_the_nearest_first(file, pictures, embed):
    index = ImageIndex(file, PROBE)
    assert index.update(pictures, embed) == 3
    found = index.query(np.array([0.1, 0.2, 1]), count=2)
    assert [path.stem for path, _ in found] == ["blue", "green"]
    assert found[0][1] == pytest.approx(1, abs=0.1)
    assert len(index.query(PROBE, count=10)) == 3
    assert index.paths == pictures


def test_a_second_program_embeds_nothing(file, pictures, embed):
    first = ImageIndex(file, PROBE)
    first.update(pictures, embed)
    second = ImageIndex(file, PROBE)
    np.testing.assert_array_equal(second.embeddings, first.embeddings)
    assert second.update(pictures, embed) == 0
    assert embed.count == 3


def test_only_what_changed_is_embedded_again(file, pictures, embed):
    ImageIndex(file, PROBE).update(pictures, embed)
    paint(pictures[0], COLOURS["blue"])
    new = paint(pictures[0].with_name("new.png"), (120, 120, 10))
    index = ImageIndex(file, PROBE)
    assert index.update([*pictures, new], embed) == 2
    assert {path.stem for path, _ in index.query([0, 0, 1], count=2)} == {"red", "blue"}


def test_same_size_and_content_but_a_later_change_counts_as_changed(file, pictures, embed):
    ImageIndex(file, PROBE).update(pictures, embed)
    status = pictures[1].stat()
    os.utime(pictures[1], ns=(status.st_atime_ns, status.st_mtime_ns + 10**6))
    assert ImageIndex(file, PROBE).update(pictures, embed) == 1


def test_what_is_gone_leaves_the_index(file, pictures, embed):
    ImageIndex(file, PROBE).update(pictures, embed)
    index = ImageIndex(file, PROBE)
    assert index.update(pictures[1:], embed) == 0
    assert index.paths == pictures[1:]
    assert ImageIndex(file, PROBE).paths == pictures[1:]
    assert "red" not in {path.stem for path, _ in index.query(PROBE)}


def test_the_order_given_is_kept_and_doubles_are_dropped(file, pictures, embed):
    index = ImageIndex(file, PROBE)
    index.update(pictures[:2], embed)
    index.update([pictures[2], pictures[0], pictures[2], pictures[1]], embed)
    assert [path.stem for path in index.paths] == ["blue", "red", "green"]
    assert index.embeddings.argmax(axis=1).tolist() == [2, 0, 1]


def test_relative_paths_are_the_same_pictures(file, pictures, embed, monkeypatch):
    ImageIndex(file, PROBE).update(pictures, embed)
    monkeypatch.chdir(pictures[0].parent)
    assert ImageIndex(file, PROBE).update([path.name for path in pictures], embed) == 0


def test_another_model_embeds_everything_again(file, pictures, embed):
    ImageIndex(file, PROBE).update(pictures, embed)
    assert ImageIndex(file, np.array([0, 1, 0])).update(pictures, embed) == 3
    assert ImageIndex(file, np.array([0.01, 1, 0])).update(pictures, embed) == 0  # the same in half precision
    assert ImageIndex(file, np.array([0, 1, 0, 0])).paths == []  # more dimensions


def test_a_broken_picture_is_left_out_and_tried_again(file, pictures, embed):
    pictures[1].write_text("no picture")
    index = ImageIndex(file, PROBE)
    assert index.update(pictures, embed) == 2
    assert [path.stem for path in index.paths] == ["red", "blue"]
    paint(pictures[1], COLOURS["green"])
    assert index.update(pictures, embed) == 1
    assert [path.stem for path in index.paths] == ["red", "green", "blue"]


def test_nothing_but_broken_pictures_gives_an_empty_index(file, pictures, embed):
    pictures[0].write_text("no picture")
    index = ImageIndex(file, PROBE)
    assert index.update(pictures[:1], embed) == 0
    assert index.query(PROBE) == [] and ImageIndex(file, PROBE).paths == []


def test_a_missing_picture_is_an_error_that_names_it(file, pictures, embed):
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        ImageIndex(file, PROBE).update([*pictures, "nowhere.png"], embed)


def test_pictures_come_in_batches(file, tmp_path, embed):
    paths = [paint(tmp_path / f"{i}.png", (i, 200, 255 - i)) for i in range(100)]
    assert ImageIndex(file, PROBE).update(paths, embed) == 100
    assert embed.largest_batch == search.FILES_AT_ONCE


def test_names_in_any_script(file, tmp_path, embed):
    path = paint(tmp_path / "雪地里的狗 été.png", COLOURS["red"])
    ImageIndex(file, PROBE).update([path], embed)
    assert ImageIndex(file, PROBE).paths == [path]


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: content[:len(content) // 2], lambda content: content[:-1],
    lambda content: b"not an index at all", lambda content: content.replace(b"embeddings", b"embeddingz"),
    lambda content: content[:200] + bytes([content[200] ^ 255]) + content[201:]])
def test_a_damaged_index_is_one_sentence(file, pictures, embed, damage):
    ImageIndex(file, PROBE).update(pictures, embed)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match="damaged: delete it, nothing is lost") as caught:
        ImageIndex(file, PROBE)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_no_flipped_byte_does_more_than_say_so(file, pictures, embed):
    """Whatever byte is hit, the index is refused or as it was."""
    index = ImageIndex(file, PROBE)
    index.update(pictures, embed)
    content = file.read_bytes()
    refused = 0
    for position in range(0, len(content), 3):
        file.write_bytes(content[:position] + bytes([content[position] ^ 255]) + content[position + 1:])
        try:
            damaged = ImageIndex(file, PROBE)
        except UserError:
            refused += 1
        else:
            np.testing.assert_array_equal(damaged.embeddings, index.embeddings)
            assert damaged.keys == index.keys
    assert refused > len(content) / 6


def test_an_archive_of_something_else_is_refused(file, pictures):
    file.parent.mkdir()
    np.savez(file, embeddings=np.zeros((2, 3), np.float32), probe=PROBE, keys=np.frombuffer(b'[["a", 1, 2]]', np.uint8))
    with pytest.raises(UserError, match="damaged"):
        ImageIndex(file, PROBE)


def test_pickled_objects_are_not_loaded(file):
    file.parent.mkdir()
    np.savez(file, embeddings=np.array([{}], object), probe=PROBE, keys=np.frombuffer(b"[]", np.uint8))
    with pytest.raises(UserError, match="damaged"):
        ImageIndex(file, PROBE)


def test_an_error_while_embedding_leaves_the_old_index(file, pictures, embed):
    ImageIndex(file, PROBE).update(pictures[:2], embed)
    before = file.read_bytes()

    def fail(paths):
        raise MemoryError

    with pytest.raises(MemoryError):
        ImageIndex(file, PROBE).update(pictures, fail)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_error_while_saving_leaves_the_old_index_and_no_litter(file, pictures, embed, monkeypatch):
    ImageIndex(file, PROBE).update(pictures[:2], embed)
    before = file.read_bytes()

    def full(stream, **arrays):
        stream.write(b"half of it")
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        ImageIndex(file, PROBE).update(pictures, embed)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


KILLED = """
import os, signal, sys
import numpy as np
from multimodal import search
search.SECONDS_BETWEEN_SAVES = 0
search.FILES_AT_ONCE = 1
file, *paths = sys.argv[1:]
calls = 0

def embed(paths):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.full((len(paths), 3), calls, np.float32), paths

search.ImageIndex(file, np.array([1, 0, 0])).update(paths, embed)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_half_way_keeps_what_was_done(file, pictures, embed):
    root = Path(__file__).parent.parent
    process = subprocess.run([sys.executable, "-c", KILLED, str(file), *map(str, pictures)], cwd=root,
                             capture_output=True)
    assert process.returncode == -9, process.stderr.decode()
    index = ImageIndex(file, PROBE)
    assert index.paths == pictures[:2]
    assert index.embeddings[:, 0].tolist() == [1, 2]
    assert index.update(pictures, embed) == 1


def test_importing_it_does_not_import_torch():
    script = "import sys, multimodal.search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent.parent).returncode == 0
