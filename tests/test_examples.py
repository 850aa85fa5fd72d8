"""The examples: each runs on the embedded models as a reader runs it, and what it measured is no accident."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from multimodal.processes import CAN_FORK

ROOT = Path(__file__).parent.parent
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}
INDEX = (ROOT / "examples/README.md").read_text(encoding="utf-8")
SECONDS = 180  # for one example, on a busy machine

# Imports once what all of them need, then runs each in a process of its own: a fork, where forks are safe.
SERVER = f"""
import contextlib, os, runpy, signal, sys, traceback
sys.path.insert(0, {str(ROOT)!r})
from multimodal import processes
processes.load_libraries()
for line in sys.stdin:
    file, printed, *arguments = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        status = 1
        signal.alarm({SECONDS})
        sys.stdin = open(os.devnull, encoding="utf-8")  # what stands in the other one is for this server
        with open(printed, "w", encoding="utf-8") as text:
            os.dup2(text.fileno(), 1)
            os.dup2(text.fileno(), 2)
        try:
            sys.argv[:] = [file, *arguments]
            runpy.run_path(file, run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs an example in a folder; returns its exit status and what it printed."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    folder = tmp_path_factory.mktemp("examples")

    def arguments(name: str, *more: str) -> list[str]:
        return [str(EXAMPLES[name]), "--models", "embedded", "--output", str(folder), *map(str, more)]

    if not CAN_FORK:
        def run_alone(name: str, *more: str) -> tuple[int, str, Path]:
            finished = subprocess.run([sys.executable, *arguments(name, *more)], capture_output=True, text=True,
                                      env=environment, cwd=folder, timeout=SECONDS)
            return finished.returncode, finished.stdout + finished.stderr, folder / "examples"

        yield run_alone
        return

    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=environment, cwd=folder)

    def run_forked(name: str, *more: str) -> tuple[int, str, Path]:
        file, *rest = arguments(name, *more)
        printed = folder / f"{name}.txt"
        server.stdin.write("\t".join([file, str(printed), *rest]) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline()), printed.read_text(encoding="utf-8"), folder / "examples"

    yield run_forked
    server.stdin.close()
    assert server.wait(10) == 0


def low(share: dict) -> float:
    """The lower end of a share's 95% interval."""
    return share["low"]


def high(share: dict) -> float:
    """The upper end of a share's 95% interval."""
    return share["high"]


# Each reads what an example measured. An interval that must lie above chance, or above another interval, leaves chance
# no way to pass; where two numbers are close, only what the example claims is asked for.


def attention(measures: dict) -> None:
    assert measures["difference"] < 1e-4 and measures["order_blind"] < 1e-4
    named, sides = measures["named"], measures["left_right"]
    assert low(named["as trained"]) > 0.8 > 0.3 > high(named["no patch positions"])
    assert low(sides["as trained"]) > 0.9 and high(sides["no patch positions"]) < 0.7  # 0.5 is a guess


def look_for_a_word(measures: dict) -> None:
    assert low(measures["map of the word"]) > high(measures["attention alone"])
    assert low(measures["map of the word"]) > 0.8 > 0.2 > measures["chance"]
    assert high(measures["map of another word"]) < 0.1


def contrastive_gradient(measures: dict) -> None:
    assert measures["difference"] < 1e-4
    for respect, share in measures["hardest_shares"].items():
        assert low(share) > 2 * measures["chance"][respect]


def hard_negatives(measures: dict) -> None:
    assert set(measures["usual"]) == {"object", "count", "colour", "place", "light", "order"}
    assert all(low(share) > 0.8 for share in measures["usual"].values())  # 0.5 by chance
    assert high(measures["small"]["count"]) < 0.5  # more things than it ever saw


def near_duplicates(measures: dict) -> None:
    embedding, difference_hash = measures["taken_for_copies"].values()
    assert low(embedding["all copies"]) > high(difference_hash["all copies"])
    assert low(measures["precision"]["embedding"]) > high(measures["precision"]["difference hash"])
    assert low(embedding["mirrored, one thing"]) > 0.8 > 0.4 > high(embedding["mirrored, several"])
    assert low(embedding["look-alikes (no copies)"]) > 0.7


def small_embeddings(measures: dict) -> None:
    recall, memory = measures["recall_at_1"], measures["bytes_in_memory"]
    assert memory["FP32"] == 4 * memory["INT8"] == 32 * memory["binary"]
    assert low(recall["INT8"]) > 0.85 and low(recall["binary"]) > 0.4  # 0.002 by chance
    assert high(recall["binary"]) < low(recall["binary, then INT8"])


def clusters_and_labels(measures: dict) -> None:
    thing, place = measures["a_thing_in_common"], measures["the_place_in_common"]
    assert low(place[0]) > 2 * high(measures["place_by_chance"]) and low(place[0]) > high(thing[0])
    assert low(thing[-1]) > 0.5 > high(place[-1])
    assert low(measures["labels_right"]) > 0.6 > 0.1 > measures["labels_right_always_the_commonest"]
    assert low(measures["names_right"]) > 0.5


def mixed_corpus(measures: dict) -> None:
    assert 0.5 < measures["texts_among_best_6"]["centred"] < measures["texts_among_best_6"]["as they are"] - 0.05
    wrong_text = measures["wrong_text_first"]
    assert low(wrong_text["as they are"]) > high(wrong_text["centred"])
    assert low(wrong_text["centred"]) > high(measures["wrong_picture_first"]["centred"])


def query_maps(measures: dict) -> None:
    assert low(measures["2 best queries"]) > high(measures["even attention (area of the boxes)"])
    assert low(measures["2 best queries"]) > high(measures["2 best queries, boxes of another picture"])


def conversation_memory(measures: dict) -> None:
    assert low(measures["thing named before"]) > 0.8 > 0.5 > high(measures["alone"])
    assert high(measures["thing named before, grey picture"]) < low(measures["thing named before"])
    assert low(measures["number said before, grey picture"]) > 0.9


def blank_pictures(measures: dict) -> None:
    yes = measures["yes where no is right"]
    assert high(yes["the picture"]) < 0.1 and low(yes["white"]) > 0.7
    assert low(measures["open questions right"]["the picture"]) > 0.85
    assert high(measures["open questions right"]["another picture"]) < 0.1


def beams(measures: dict) -> None:
    assert all(low(share) > 0.5 for share in measures["right"].values())
    assert measures["captions changed"]["value"] < 0.3  # beams change little, and cost time
    assert measures["times as long as greedy"] > 1.2


def where_the_time_goes(measures: dict) -> None:
    shares = measures["decoder's share (quartiles)"]
    assert all(0.3 < median < 0.95 for _, median, _ in shares.values())  # the largest of three parts, by far
    assert all(0 < lower <= median <= upper for parts in measures["milliseconds a picture (quartiles)"].values()
               for lower, median, upper in parts.values())


def moderation(measures: dict) -> None:
    # 0.2 of the pictures are to be found: the precision of flagging all.
    assert high(measures["flag all"]["precision"]) < low(measures["banned and allowed nouns"]["precision"])
    assert low(measures["banned and allowed nouns"]["recall"]) > 0.85
    assert measures["one word"]["average precision"] < measures["banned and allowed nouns"]["average precision"]


def alternative_text(measures: dict) -> None:
    known, unseen = measures["BLIP, known styles"], measures["BLIP, unseen style"]
    assert low(known["names all"]) > high(unseen["names all"]) > 0.5
    assert low(known["names all"]) > high(measures["CLIP, known styles"]["names all"])
    assert high(measures["commonest caption, known styles"]["names all"]) < 0.1


CHECKS = {check.__name__: check for check in (
    attention, look_for_a_word, contrastive_gradient, hard_negatives, near_duplicates, small_embeddings,
    clusters_and_labels, mixed_corpus, query_maps, conversation_memory, blank_pictures, beams,
    where_the_time_goes, moderation, alternative_text)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_measures_what_it_says(name, run):
    status, printed, folder = run(name)
    assert status == 0, printed[-4000:]
    results = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert results["name"] == name and results["figure"] == f"{name}.png" and results["finding"] in printed
    assert results["models"] and all(model["source"] == "embedded" for model in results["models"])
    with Image.open(folder / f"{name}.png") as figure:
        figure.verify()
        assert 600 <= figure.width <= 2400 and figure.height > 300
    CHECKS[name](results["measures"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_stands_in_the_index(name):
    assert name in CHECKS, "nothing here reads what it measures"
    text = EXAMPLES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert f"python examples/{name}.py" in text and "What to change" in text
    assert re.search(rf"\]\({name}\.py\)", INDEX), "no row in examples/README.md"
    assert f"(../docs/examples/{name}.png)" in INDEX
    picture = ROOT / f"docs/examples/{name}.png"
    assert picture.stat().st_size <= 60_000
    with Image.open(picture) as thumbnail:
        assert thumbnail.width == 700


def test_the_index_names_no_example_that_is_not_there():
    assert set(re.findall(r"\]\((\w+)\.py\)", INDEX)) == set(EXAMPLES)
