"""Questions and false captions of the small world: right, well put, and the same for the same seed."""

import json
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest

from multimodal import images
from multimodal.metrics import is_right, normalise_answer
from toyworld import NOUNS, falsehoods, language, questions
from toyworld.backgrounds import OUTDOOR, PLACES
from toyworld.language import COLOURS, COLOURS_CHINESE, MEASURED, NUMBERS, Group, Scene

NUMBER_OF = {noun.english: number for number, noun in enumerate(NOUNS)}
LAYOUTS = ((1,), (1,), (2,), (3,), (1, 1), (1, 1), (1, 2), (2, 1), (1, 1, 1))
BOTH = pytest.mark.parametrize("chinese", [False, True])


def scenes(count: int, seed: int = 0) -> list[Scene]:
    """Scenes of all kinds, with colours that things have in no style, too."""
    rng, drawn = np.random.default_rng(seed), []
    while len(drawn) < count:
        counts = LAYOUTS[rng.integers(len(LAYOUTS))]
        nouns = rng.choice(len(NOUNS), len(counts), replace=False)
        colours = [int(colour) if colour < len(COLOURS) else None for colour in rng.integers(0, 18, len(counts))]
        place = str(rng.choice(PLACES))
        light = str(rng.choice(("day", "day", "night", "sunset"))) if place in OUTDOOR else "day"
        if all(number == 1 or NOUNS[noun].english not in MEASURED for noun, number in zip(nouns, counts)):
            drawn.append(Scene(tuple(map(Group, map(int, nouns), counts, colours)), place, light))
    return drawn


@cache
def asked(chinese: bool) -> list[tuple[Scene, questions.Question]]:
    """The questions of 700 scenes."""
    rng = np.random.default_rng(1)
    return [(scene, question) for scene in scenes(700) for question in questions.questions_of(scene, rng, chinese)]


def scene_of(*things: tuple, place: str = "plain", light: str = "day") -> Scene:
    """A scene of (noun, count, colour)."""
    groups = [Group(NUMBER_OF[noun], *more[:1] or (1,), *(COLOURS.index(colour) for colour in more[1:]))
              for noun, *more in things]
    return Scene(tuple(groups), place, light)


def ask(scene: Scene, kind: str, chinese: bool = False, times: int = 60) -> dict[str, tuple[str, ...]]:
    """All questions of a kind, with their answers."""
    rng = np.random.default_rng(3)
    return {question.text: question.answers for _ in range(times)
            for question in questions.questions_of(scene, rng, chinese) if question.kind == kind}


# Kinds

@BOTH
def test_every_scene_is_asked_all_that_it_can_be(chinese):
    rng = np.random.default_rng(1)
    for scene in scenes(300):
        kinds = Counter(question.kind for question in questions.questions_of(scene, rng, chinese))
        assert kinds["what"] == kinds["either/or"] == 1 and kinds["yes/no"] == 2
        assert all(kinds[kind] <= 1 for kind in ("how many", "side", "colour"))
        assert kinds["where"] == (scene.place not in ("plain", "night", "sunset"))
        assert len(scene.groups) > 1 or not kinds["side"]
        assert set(kinds) <= set(questions.QUESTION_KINDS)


GOLDEN = {
    False: ["What can you see next to the dog?", "How many animals are in the picture?",
            "Where was this picture taken?", "Is the dog on the left or on the right?", "What colour are the cats?",
            "Is there a dog or a lobster in the picture?",
            "Is the dog in the snow?", "Is the dog on the right?"],
    True: ["狗旁边有什么？", "图片里有几只动物？", "这张照片是在哪里拍的？", "狗在左边还是右边？", "猫是什么颜色的？",
           "图片里有狗还是龙虾？", "狗在雪地里吗？", "狗在右边吗？"]}


@BOTH
def test_a_seed_asks_the_same_on_every_machine(chinese):
    scene = scene_of(("dog",), ("cat", 2, "red"), place="snow", light="night")
    said = questions.questions_of(scene, np.random.default_rng(5), chinese)
    assert [question.text for question in said] == GOLDEN[chinese]


# Language

def test_english_is_well_put():
    for scene, question in asked(chinese=False):
        said = [question.text, *question.answers, language.caption(scene)]
        assert re.fullmatch(r"[A-Z][a-zA-Z ,-]*\?", question.text), question
        assert not any(re.search(r"[{}]|\b(\w+) \1\b|\b[aA] (?=[aeiou])|\b[aA]n (?![aeiou])", text) for text in said)
        assert not re.search(r"\b(the|any) (an?|one|two|three)\b", question.text), question
        noun = re.search(r"^(Is|Are|Where is|Where are|What colour is|What colour are) the ([a-z ]+?)"
                         r"( on| in| to| [a-z]+\?|\?)", question.text)
        if noun:  # the verb agrees with its noun
            plural = "are" in noun[1].lower()
            words = {language.subject(group)[0]: group.is_plural for group in scene.groups}
            named = max((word for word in words if noun[2].startswith(word)), key=len, default=None)
            assert named is None or words[named] == plural, question


def test_chinese_is_well_put():
    for _, question in asked(chinese=True):
        assert re.fullmatch(r"[\u4e00-\u9fff，、]+？", question.text), question
        assert not re.search("的的|是是|有有|在在|[上里]里|吗吗", question.text), question
        if counted := re.search(r"几(\w)", question.text):
            assert question.answer.endswith(counted[1])


@BOTH
def test_no_answer_is_listed_twice(chinese):
    for _, question in asked(chinese):
        distinct = {normalise_answer(answer) for answer in question.answers}
        assert len(distinct) == len(question.answers) and "" not in distinct, question
        assert is_right(question.answer, question.answers)


# Truth, by other means than the questions were made

@BOTH
def test_counts_sides_and_colours_are_those_of_the_scene(chinese):
    sides = {1: (), 2: ("left", "right"), 3: ("left", "middle", "right")}
    sides = sides if not chinese else {2: ("左边", "右边"), 3: ("左边", "中间", "右边")}
    seen = Counter()
    for scene, question in asked(chinese):
        # The longest word in the question is what it is about: a hot dog, not a dog.
        words = [group.chinese if chinese else language.subject(group)[0] for group in scene.groups]
        plurals = words if chinese else [language.plural(group.name) for group in scene.groups]
        text = question.text
        about = [i for i, (one, many) in enumerate(zip(words, plurals)) if one in text or many in text]
        if not about:
            continue
        i = max(about, key=lambda i: len(words[i]))
        group = scene.groups[i]
        seen[question.kind] += 1
        if question.kind == "how many":
            assert question.answer == ("零一两三"[group.count] + group.measure if chinese else NUMBERS[group.count])
            assert is_right(str(group.count), question.answers)
        elif question.kind == "side":
            assert question.answer == sides[len(scene.groups)][i]
        elif question.kind == "colour":
            assert question.answer == (COLOURS_CHINESE if chinese else COLOURS)[group.colour]
    assert min(seen[kind] for kind in ("how many", "side", "colour")) > 50


def test_how_many_animals_there_are():
    answers = ask(scene_of(("dog",), ("cat", 2)), "how many")
    assert answers["How many animals are there?"] == ("three", "three animals")
    assert answers["How many cats are there?"][:2] == ("two", "two cats")
    assert not any("animals" in text for text in ask(scene_of(("dog",), ("cat",), ("teddy bear",)), "how many"))
    assert not any("水果" in text for text in ask(scene_of(("apple",), ("grapes",)), "how many", chinese=True))


def test_nothing_is_asked_of_which_there_are_two_kinds():
    """A taxi is a car, a pine is a tree, and at night there are stars."""
    for scene in (scene_of(("car", 1, "red"), ("taxi", 1, "yellow")), scene_of(("tree",), ("pine tree",)),
                  scene_of(("star", 2), place="night")):
        assert not ask(scene, "colour") and not ask(scene, "side")
        assert not any(scene.groups[0].name in text for text in ask(scene, "how many"))
        assert not any("only" in text or "Are there t" in text for text in ask(scene, "yes/no"))


def test_what_has_many_colours_is_not_asked_for_its_own():
    assert ask(scene_of(("rose", 1, "red")), "colour") == {
        "What colour is the rose?": ("red",), "What is the colour of the rose?": ("red",)}
    assert not ask(scene_of(("rainbow", 1, "red")), "colour") and not ask(scene_of(("rose",)), "colour")
    assert ask(scene_of(("deer", 1, "orange")), "colour")["What colour is the deer?"] == ("orange", "brown")
    assert ask(scene_of(("car", 1, "orange")), "colour")["What colour is the car?"] == ("orange",)
    assert is_right("gray", ask(scene_of(("mouse", 3, "grey")), "colour")["What colour are the mice?"])


def test_what_is_there_may_be_said_in_many_ways():
    answers = ask(scene_of(("airplane", 2, "red"), place="sunset"), "what")["What is in the picture?"]
    assert answers[0] == "two airplanes"
    for said in ("Two planes.", "2 airplanes", "two red airplanes", "airplanes"):
        assert is_right(said, answers), said
    for said in ("an airplane", "two trains", "three airplanes", "two blue airplanes", ""):
        assert not is_right(said, answers), said
    answers = ask(scene_of(("dog",), ("bicycle",)), "what")["What is in the picture?"]
    assert is_right("a bike and a dog", answers) and not is_right("a dog", answers)
    answers = ask(scene_of(("dog", 2), ("bicycle",)), "what", chinese=True)["左边是什么？"]
    assert is_right("两只狗", answers) and is_right("小狗", answers) and not is_right("自行车", answers)


def test_where_may_be_said_with_the_light_and_without():
    answers = ask(scene_of(("dog",), place="road", light="night"), "where")["Where is the dog?"]
    assert answers[0] == "on the road at night"
    assert all(is_right(said, answers) for said in ("on a street", "the road", "On the street at night."))
    assert not is_right("on the road at sunset", answers) and not is_right("in the snow", answers)
    answers = ask(scene_of(("dog",), place="road", light="night"), "where", chinese=True)["狗在哪里？"]
    assert answers[0] == "夜晚马路上" and is_right("在马路上", answers) and not is_right("在雪地里", answers)


@BOTH
def test_yes_and_no_are_as_common_and_true(chinese):
    polar = [(scene, question) for scene, question in asked(chinese) if question.kind == "yes/no"]
    yes = {answers[0] for answers in questions.YES_CHINESE.values()} if chinese else {"yes"}
    affirmed = [question.answer in yes for _, question in polar]
    assert np.mean(affirmed) == 0.5
    colours, checked = COLOURS_CHINESE if chinese else COLOURS, Counter()
    for (scene, question), truth in zip(polar, affirmed):
        text = question.text
        present = [group.chinese if chinese else group.name for group in scene.groups]
        forms = [*present, *(() if chinese else map(language.plural, present))]
        if (chinese and re.search("图片里(有没有|有|能看到)|你能看到|^这是", text)) or re.match(
                "Can you see|Does the|Is there (?!only)|Are there any|Is this", text):
            kinds = "animal|vehicle|fruit|instrument|动物|交通工具|水果|乐器"
            if not re.search(kinds, text) and not re.search("[两三]", text):
                named = any(re.search(rf"{word}[吗？]" if chinese else rf"\b{word}\b", text) for word in forms)
                assert named == truth, (scene, question)
                checked["there"] += 1
        for place, words in (language.PLACES_CHINESE if chinese else language.PLACE_PHRASES).items():
            if f"{words}?" in text or f"{words}吗" in text or f"{words}拍" in text:
                assert (place == scene.place) == truth, (scene, question)
                checked["place"] += 1
        for colour in colours:
            if re.search(rf"是{colour}的吗" if chinese else rf"the [a-z ]+ {colour}\?$", text):
                named = [g for g, word in zip(scene.groups, present) if word in text or (
                    not chinese and language.plural(word) in text)]
                assert any(g.colour is not None and colours[g.colour] == colour for g in named) == truth
                checked["colour"] += 1
    assert min(checked["there"], checked["place"], checked["colour"]) > 40


def test_sides_lights_and_numbers_are_affirmed_where_they_are_true():
    checked = Counter()
    for scene, question in asked(False):
        if question.kind != "yes/no":
            continue
        truth, text = question.answer == "yes", question.text
        groups = {language.subject(group)[0]: (i, group) for i, group in enumerate(scene.groups)}
        groups |= {language.plural(group.name): (i, group) for i, group in enumerate(scene.groups)}
        sides = language.SIDES[len(scene.groups)]
        if found := re.fullmatch(r"(?:Is|Are) the (.+) (?:on|in) the (left|middle|right)\?", text):
            assert (sides[groups[found[1]][0]] == found[2]) == truth, (scene, question)
            checked["side"] += 1
        elif found := re.fullmatch(r"(?:Is|Are) the (.+) to the (left|right) of the (.+)\?", text):
            i, j = groups[found[1]][0], groups[found[3]][0]
            assert ((i < j) == (found[2] == "left")) == truth, (scene, question)
            checked["beside"] += 1
        elif found := re.match("Is it (daytime|night|sunset)", text):
            assert (language.light_of(scene) == found[1].removesuffix("time")) == truth, (scene, question)
            checked["light"] += 1
        elif found := re.match("Are there (two|three) (.+?)(?: in the picture)?\\?", text):
            assert (groups[found[2]][1].count == NUMBERS.index(found[1])) == truth, (scene, question)
            checked["number"] += 1
        elif found := re.match("Is there only one (.+?)(?: in the picture)?\\?", text):
            count, = {group.count for group in scene.groups if group.name == found[1]}
            assert (count == 1) == truth
            checked["one"] += 1
        elif found := re.search("(animal|vehicle|fruit|instrument)s? in the picture", text):
            assert any(group.name in questions.KINDS[found[1]] for group in scene.groups) == truth
            checked["kind"] += 1
        elif found := re.search("taken (indoors|outdoors)", text):
            assert ((scene.place == "room") == (found[1] == "indoors")) == truth, (scene, question)
            checked["inside"] += 1
    for scene, question in asked(False):
        if question.answer in ("indoors", "outdoors"):
            assert (question.answer == "indoors") == (scene.place == "room")
    assert len(checked) == 7 and min(checked.values()) > 10, checked


def test_the_form_of_a_question_does_not_tell_its_answer():
    polar = [question for _, question in asked(chinese=False) if question.kind == "yes/no"]
    for start in ("Is there an? ", "Are there any", "Can you see an? ", "Was this", "Is this", "Does the picture"):
        answers = Counter(question.answer for question in polar if re.match(start, question.text))
        assert 0.35 < answers["yes"] / answers.total() < 0.65, (start, answers)


@BOTH
def test_either_or_names_its_answer_and_one_that_is_wrong(chinese):
    first = []
    for scene, question in asked(chinese):
        if question.kind != "either/or":
            continue
        before, _, after = question.text.rstrip("?？").rpartition("还是" if "还是" in question.text else
                                                                "和" if chinese else " or ")
        said = [bool(re.search(rf"{question.answer}" if chinese else rf"\b{question.answer}\b", part))
                for part in (before, after)]
        assert any(said), question
        if sum(said) == 1:  # a hot dog or a dog
            first.append(said[0])
    assert len(first) > 500 and 0.4 < np.mean(first) < 0.6


def test_which_of_two_things_it_is_may_be_said_in_the_singular():
    answers = ask(scene_of(("house",), ("laptop", 2)), "either/or")
    asked = next(text for text in answers if "on the right" in text)
    assert answers[asked][0] == "laptops" and is_right("the laptop", answers[asked])
    assert not is_right("house", answers[asked])


def test_several_scenes_in_one_picture():
    rng, mosaic = np.random.default_rng(0), [
        scene_of(("dog", 2)), scene_of(("car",)), scene_of(("apple", 3)), scene_of(("house",), ("horse",))]
    drawn = [questions.questions_of_mosaic(mosaic, rng) for _ in range(200)]
    assert all([question.kind for question in some] == ["how many", "yes/no", "yes/no"] for some in drawn)
    answers = {question.text: question.answer for some in drawn for question in some}
    assert answers["How many animals are there?"] == "three" and answers["How many apples are there?"] == "three"
    assert answers["Is there a dog in the picture?"] == answers["Is there a house in the picture?"] == "yes"
    twice = [scene_of(("dog",)), scene_of(("dog", 2))]
    assert not any("dogs" in question.text for _ in range(50)
                   for question in questions.questions_of_mosaic(twice, rng) if question.kind == "how many")


# False captions

def test_false_captions_differ_in_one_respect():
    rng, seen = np.random.default_rng(2), Counter()
    for scene in scenes(300, seed=4):
        pairs = falsehoods.false_captions(scene, rng)
        seen.update(pairs.keys())
        for kind, (true, false) in pairs.items():
            assert true != false and "{" not in true + false
            if kind in ("object", "count", "colour", "place"):
                assert true == language.caption(scene)
        words = {kind: [set(text.replace(",", "").split()) for text in pair] for kind, pair in pairs.items()}
        if "order" in words:
            assert words["order"][0] == words["order"][1] and len(scene.groups) > 1
        if "colour" in words:
            true, false = words["colour"]
            assert len(false - true - {"a", "an"}) <= 1 and false & set(COLOURS)
        if "light" in words:
            told, denied = (pair.rsplit(" ", 2)[-2:] for pair in pairs["light"])
            assert told != denied and all(light in (["in", "daylight"], ["at", "night"], ["at", "sunset"])
                                          for light in (told, denied))
            assert told[1] in (language.light_of(scene), "daylight")
        if "place" in words:
            false = pairs["place"][1]
            assert not any(f" {language.PLACE_PHRASES[place]}" in false
                           for place in {scene.place, *questions.NEAR.get(scene.place, ())})
            assert scene.light == "day" or false.endswith(f" at {scene.light}")
        if "object" in words:
            absent = {NOUNS[noun].english for noun in questions.absent_nouns([scene])}
            assert any(re.search(rf"\b({name}|{language.plural(name)})\b", pairs["object"][1]) for name in absent)
    assert set(seen) == {"object", "count", "colour", "place", "light", "order"} and min(seen.values()) > 30


def test_false_captions_of_one_scene():
    scene = scene_of(("car", 1, "red"), ("dog", 2), place="road", light="night")
    pairs = [falsehoods.false_captions(scene, np.random.default_rng(seed)) for seed in range(60)]
    true = "a red car and two dogs on the road at night"
    assert {pair["count"] for pair in pairs} == {(true, "a red car and a dog on the road at night")}
    assert {pair["light"] for pair in pairs} == {(true, "a red car and two dogs on the road in daylight"),
                                                 (true, "a red car and two dogs on the road at sunset")}
    assert {pair["order"] for pair in pairs} == {
        ("a red car on the left and two dogs on the right, on the road at night",
         "two dogs on the left and a red car on the right, on the road at night")}
    assert {pair["colour"][1].split()[1] for pair in pairs} <= {"yellow", "green", "blue", "grey", "black", "white"}
    assert not any(word in pair["object"][1] for pair in pairs for word in ("taxi", "police car", "racing car"))


# The gallery

def test_the_gallery_is_asked_what_its_scenes_are_asked():
    gallery = pytest.importorskip("training.gallery")
    written = json.loads((images.GALLERY / "gallery.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(gallery.describe()))
