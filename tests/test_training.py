"""What the embedded models are trained with: captions that are true, false ones that are not, runs that go on."""

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from multimodal import images
from toyworld import backgrounds, language, synonyms
from toyworld.language import Group, Scene
from toyworld.nouns import NOUNS
from training import captions, cards, clip, evaluate, loop, make, opt, pictures, questions, wordings
from training.scenes import RECORD, decode, encode


def scenes(count: int, groups: int | None = None) -> list[Scene]:
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(count):
        nouns = rng.choice(len(NOUNS), groups or int(rng.integers(1, 4)), replace=False)
        most = 4 - len(nouns)  # a scene holds three things at most
        counts = [1] * len(nouns)
        if NOUNS[nouns[0]].english not in language.MEASURED:
            counts[0] = int(rng.integers(1, most + 1))
        drawn.append(Scene(tuple(Group(int(noun), count, int(rng.integers(len(language.COLOURS))))
                                 for noun, count in zip(nouns, counts)),
                           str(rng.choice(list(language.PLACE_PHRASES)))))
    return drawn


@pytest.mark.parametrize("how", ["order", "count", "object", "place", "colour"])
def test_a_false_caption_is_false_in_one_respect(how):
    rng = np.random.default_rng(2)
    found = 0
    for scene in map(captions.with_colours_to_say, scenes(200)):
        false = captions.falsify(scene, rng, how)
        if false is None:
            continue
        found += 1
        assert language.caption(false) != language.caption(scene)
        differing = sum(a != b for a, b in zip(scene.groups, false.groups)) + (scene.place != false.place)
        assert len(false.groups) == len(scene.groups)
        assert differing == (2 if how == "order" else 1)
    assert found > 20


@pytest.mark.parametrize("how", ["count", "object", "colour"])
def test_true_and_false_captions_are_worded_alike(how):
    """Else the wording would give away which is which."""
    rng = np.random.default_rng(4)
    for seed, scene in enumerate(scenes(200)):
        false = captions.falsify(scene, rng, how)
        if false is None:
            continue
        for vary, say in ((captions.vary_caption, language.phrase), (captions.vary_caption_chinese,
                                                                     language.phrase_chinese)):
            texts = []
            for said in (scene, false):
                text = spelled_out(vary(said, np.random.default_rng(seed), complete=True))
                for group in said.groups:
                    words = spelled_out(say(group, with_colour=True))
                    assert words in text
                    text = text.replace(words, "_")
                for many, one in (("these are", "this is"), (" are", " is")):
                    text = text.replace(many, one)
                texts.append(text)
            assert texts[0] == texts[1]


def spelled_out(text: str) -> str:
    """A caption without what its colours and numbers may be shortened to: 红汽车, "2 dogs"."""
    return re.sub("色的?", "", text).replace("2 ", "two ").replace("3 ", "three ")


def test_verbs_agree_with_what_stands_before_them():
    names, rng, found = [noun.english for noun in NOUNS], np.random.default_rng(3), set()
    scissors, dogs, cat = (Group(names.index(name), count) for name, count in (("scissors", 1), ("dog", 2), ("cat", 1)))
    for bare in (False, True):
        for groups in ((scissors, dogs), (cat, scissors), (dogs, cat)):
            for _ in range(400):
                text = captions.vary_caption(Scene(groups, "plain"), rng, complete=True, bare=bare)
                # Where a clause begins: "to the right of a pair of scissors are two dogs" is right, too.
                found |= set(re.findall(
                    r"(?:^|, |and )((?:a|the|two|2) (?:pair of )?\w+ (?:is|are)) (?:on|left|right|to)", text))
    assert found == {"a pair of scissors is", "the scissors are", "two dogs are", "2 dogs are", "the dogs are",
                     "a cat is", "the cat is"}


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("how", captions.FALSIFICATIONS)
def test_a_caption_of_one_thing_tells_what_the_false_one_gets_wrong(how, chinese):
    rng, asked = np.random.default_rng(7), 0
    sides = {"left": "左", "middle": "中", "right": "右"} if chinese else dict(zip(*[("left", "middle", "right")] * 2))
    for scene in scenes(300):
        scene = captions.in_other_words(scene, rng, chinese)
        false = captions.falsify(scene, rng, how)
        if false is None:
            continue
        asked += 1
        bare = how not in ("count", "colour") and asked % 2 == 0
        *texts, i, j = captions.pair_of_one(scene, false, how, rng, chinese, 0.5, bare)
        group, other = scene.groups[i], false.groups[j]
        assert texts[0] != texts[1]
        if how == "order":  # another thing in the same place, or the same thing elsewhere
            assert i == j or group == other
            for text, place in zip(texts, (i, j)):
                side = language.SIDES[len(scene.groups)][place]
                assert [name for name, sign in sides.items() if sign in text] == [side]
        else:
            assert i == j and (group != other) == (how not in ("place", "light"))
        for thing, text in zip((group, other), texts):
            assert thing.word(chinese) in text or language.plural(thing.word(chinese)) in text
    assert asked > 20


@pytest.mark.parametrize("chinese", [False, True])
def test_captions_kept_for_the_evaluation_are_not_trained_on(chinese):
    """The forms are compared with their sides in them: "on the left" is a form of {on}."""
    def spoken(tables):
        return {form.format(a="A", b="B", c="C", is_a="is", is_b="is", is_c="is", **language.side_fields(side, chinese))
                for table in tables for forms in table.values() for form in forms for side in ("left", "right")}

    seen = (wordings.SENTENCES_CHINESE,) if chinese else (wordings.SENTENCES, wordings.PHRASES)
    assert not spoken(seen) & spoken([wordings.UNSEEN_SENTENCES[chinese]])
    patterns = [re.escape(form).replace("A", thing).replace("B", thing).replace("C", thing).replace("is", "(is|are)")
                for form in spoken([wordings.UNSEEN_SENTENCES[chinese]]) for thing in ["[^,，]+"]]
    rng = np.random.default_rng(5)
    for scene in scenes(3000):
        true, false, *_ = clip.caption_pair(scene, rng, float(chinese), 0.5, False)
        assert not [text for pattern in patterns for text in (true, false) if re.search(pattern, text)]


@pytest.mark.parametrize("chinese", [False, True])
def test_a_false_caption_names_nothing_that_may_be_there(chinese):
    rng, kinds = np.random.default_rng(9), 0
    for scene in scenes(600):
        true, false, told, told_falsely = clip.caption_pair(scene, rng, float(chinese), 0.5, False)
        there = {group.name for group in scene.groups}
        assert true != false
        for group in told_falsely.groups:
            assert group.name in there or not group.meanings & there
            kinds += group.name not in there and len(group.meanings) > 1
    assert kinds > 5


def test_a_false_place_is_no_place_or_light_of_the_scene():
    rng = np.random.default_rng(6)
    for scene in scenes(300):
        if scene.place in backgrounds.OUTDOOR:
            scene = replace(scene, light=str(rng.choice(backgrounds.LIGHTS)))
        _, text, _, false = clip.caption_pair(scene, rng, chinese=0.0, placed=1.0, place_alone=True)
        assert not clip.may_fit([false], np.array([True]), [scene]).any()
        said = language.where(scene)
        assert said not in text and (scene.light == "day" or f"at {scene.light}" not in text)


def test_no_false_caption_counts_more_things_than_a_scene_holds():
    rng = np.random.default_rng(5)
    false = [captions.falsify(scene, rng, "count") for scene in scenes(200)]
    assert max(sum(group.count for group in scene.groups) for scene in false if scene) == 3


@pytest.mark.parametrize("chinese", [False, True])
def test_questions_are_answered_from_the_scene(chinese):
    def words(group: Group) -> list[str]:
        several = [group] + [replace(group, called=word) for word, nouns in language._MEANINGS.items()
                             if group.name in nouns and word.isascii() != chinese]
        return [one.word(chinese=True) if chinese else language.subject(one)[0] for one in several]

    rng, asked = np.random.default_rng(3), 0
    for scene in scenes(200, groups=2):
        for question in questions.questions(scene, rng, chinese):
            assert question.kind in questions.QUESTION_KINDS and question.answer
            if question.kind == "side":
                # The longest word in the question is what it is about: a hot dog, not a dog.
                _, about = max((len(word), side) for side, group in enumerate(scene.groups) for word in words(group)
                               if word in question.text)
                assert question.answer == (("左边", "右边") if chinese else ("left", "right"))[about]
                asked += 1
    assert asked > 100


@pytest.mark.parametrize("chinese", [False, True])
def test_yes_and_no_are_as_likely_and_true(chinese):
    rng = np.random.default_rng(4)
    polar = [(scene, question) for scene in scenes(3000, groups=1)
             for question in questions.questions(scene, rng, chinese) if question.kind == "yes/no"]
    yes = np.mean([question.answer in ("yes", *wordings.NO_CHINESE) for _, question in polar])
    assert 0.46 < yes < 0.54
    wrong = compared = 0
    for scene, question in polar:
        group = scene.groups[0]
        name = group.chinese if chinese else group.name
        says_yes = question.answer in ("yes", *wordings.NO_CHINESE)
        for i, colour in enumerate(language.COLOURS_CHINESE if chinese else language.COLOURS):
            if f" {colour} {name}" in question.text or f"{name}是{colour}" in question.text:
                wrong += says_yes != (i == group.colour)
        for number in (1, 2, 3):
            said = language.number_word(language.Group(group.noun, number), chinese)
            for holds, *words in ((group.count > number, "more than", "超过", "多于", "不止"),
                                  (group.count < number, "fewer than", "少于", "不到"),
                                  (group.count >= number, "at least", "至少有")):
                if any(f"{word}{'' if chinese else ' '}{said}" in question.text for word in words):
                    wrong += says_yes != holds
                    compared += 1
                    break
            else:
                if number > 1 and (f" {said} " in question.text or f"有{said}{name}" in question.text):
                    wrong += says_yes != (number == group.count)
    assert wrong == 0 and compared > 50


def test_chinese_repeats_the_verb_of_the_question():
    rng, seen = np.random.default_rng(6), set()
    verbs = {"是不是": ("是", "不是"), "有没有": ("有", "没有"), "在不在": ("在", "不在"), "能不能": ("能", "不能"),
             "看到": ("看到了", "没看到"), "看见": ("看见了", "没看见"), "只有": ("是", "不是")}
    for scene in scenes(2000, groups=2):
        for question in questions.questions(scene, rng, chinese=True):
            sign = next((sign for sign in verbs if sign in question.text and (
                not sign.startswith("看") or "了吗" in question.text)), None)
            if question.kind == "yes/no" and sign and not re.search("对[吗吧不]|没错|是吗", question.text):
                assert question.answer in verbs[sign], question
                seen.add(question.answer)
    assert seen == {answer for pair in verbs.values() for answer in pair}


@pytest.mark.parametrize("chinese", [False, True])
def test_a_question_of_two_answers_has_the_right_one_in_either_place(chinese):
    rng, first = np.random.default_rng(9), []
    colours = language.COLOURS_CHINESE if chinese else language.COLOURS
    for scene in scenes(600, groups=1):
        group, = scene.groups
        question, = (q for q in questions.questions(scene, rng, chinese) if q.kind == "either/or")
        before, _, after = question.text.rstrip("?？").rpartition("还是" if chinese else " or ")
        assert (question.answer in before) != (question.answer in after), question
        first.append(question.answer in before)
        if question.answer in colours:
            assert question.answer == colours[group.colour]
        elif question.answer in (language.NUMBERS if not chinese else [n + group.measure for n in "一两三"]):
            assert question.answer == language.number_word(group, chinese)
        elif question.answer in sum(questions.INSIDE[chinese], ()):
            assert (question.answer in ("indoors", "inside", "室内")) == (scene.place == "room")
    assert 0.4 < np.mean(first) < 0.6


def test_categories_are_asked_of_and_counted():
    names = [noun.english for noun in NOUNS]
    cats, duck, car, teddy = (Group(names.index(name), count) for name, count in (
        ("cat", 2), ("duck", 1), ("car", 1), ("teddy bear", 1)))
    rng, asked = np.random.default_rng(12), {}
    for groups in ((cats, duck), (cats, car), (teddy, car)):
        for _ in range(800):
            for question in questions.questions(Scene(groups, "grass"), rng):
                text = question.text.lower().rstrip("?.")
                if "animals" in text and question.kind in ("how many", "yes/no"):
                    asked.setdefault((groups, question.kind), set()).add(question.answer)
    assert asked == {((cats, duck), "how many"): {"three"}, ((cats, car), "how many"): {"two"},
                     ((cats, duck), "yes/no"): {"yes"}, ((cats, car), "yes/no"): {"yes"}}


@pytest.mark.parametrize("chinese", [False, True])
def test_what_is_beside_and_what_is_of_a_colour(chinese):
    names = [noun.english for noun in NOUNS]
    cat, car, key = (Group(names.index(name), 1, colour) for name, colour in (("cat", 0), ("car", 4), ("key", 2)))
    scene, rng = Scene((cat, car, key), "grass"), np.random.default_rng(13)
    say = questions.Wording(scene, rng, chinese)
    said = {questions._ask_what_is_beside(scene, 0, say).answer for _ in range(50)}
    assert said == {questions._name_things((car,), chinese)}
    said = {questions._ask_what_is_beside(scene, 1, say).answer for _ in range(90)}
    assert said == {questions._name_things(groups, chinese) for groups in ((cat,), (key,), (cat, key))}
    colours = language.COLOURS_CHINESE if chinese else language.COLOURS
    for _ in range(300):
        for question in questions.questions(scene, rng, chinese):
            for group in scene.groups:
                colour = colours[group.colour] if chinese else rf"\b{colours[group.colour]}\b"  # not "colou-red"
                if question.kind == "what" and re.search(colour, question.text):
                    assert question.answer == questions._name_things((group,), chinese)


@pytest.mark.parametrize("chinese", [False, True])
def test_another_word_means_nothing_else_in_the_scene(chinese):
    nouns = {noun.english: noun.chinese if chinese else noun.english for noun in NOUNS}
    names, kinds = synonyms.NAMES_CHINESE if chinese else synonyms.NAMES, language.CAPTION_KINDS[chinese]
    words = [word for several in names.values() for word in several] + list(kinds)
    assert len(set(words)) == len(words) and not set(words) & set(nouns.values())
    assert set(names) <= set(nouns) and set().union(*kinds.values()) <= set(nouns)
    rng, called = np.random.default_rng(8), 0
    for scene in scenes(400, groups=2):
        told = captions.in_other_words(scene, rng, chinese)
        for group, other, original in zip(told.groups, told.groups[::-1], scene.groups):
            assert replace(group, called=None) == original
            assert group.name in group.meanings and other.name not in group.meanings
            called += group.called is not None
        assert clip.may_fit([told], np.array([False]), [scene]).all()
    assert 50 < called < 250


def test_a_caption_that_says_boat_may_fit_a_canoe():
    names = [noun.english for noun in NOUNS]
    ship, canoe, cat = (Scene((Group(names.index(name), 1),), "sea") for name in ("ship", "canoe", "cat"))
    told = [replace(ship, groups=(replace(ship.groups[0], called=word),)) for word in ("boat", "ferry", None)]
    fits = clip.may_fit(told, np.zeros(3, bool), [ship, canoe, cat])
    assert fits.tolist() == [[True, True, True], [True, False, False], [False, False, False]]


@pytest.mark.parametrize("chinese", [False, True])
def test_a_caption_of_the_light_tells_it(chinese):
    rng, lights = np.random.default_rng(10), synonyms.IN_LIGHT[chinese]
    vary = captions.vary_caption_chinese if chinese else captions.vary_caption
    seen = set()
    for scene in scenes(300):
        false = captions.falsify(scene, rng, "light")
        assert (false is None) == (scene.place in ("room", "plain"))
        if false is None:
            continue
        texts = [vary(told, np.random.default_rng(len(seen)), complete=True, lit=True) for told in (scene, false)]
        for text, light in zip(texts, (language.light_of(scene), language.light_of(false) or "day")):
            said = {name for name, words in lights.items() for word in words if word in text}
            assert said == {light}, text
            seen.add(text)
        if scene.place in ("night", "sunset"):  # where the light is all that there is, no place is said
            assert not any(place in text for text in texts for place in (
                *synonyms.PLACES["plain"], *synonyms.PLACES_CHINESE["plain"], "背景", "background"))
    assert len(seen) > 200


@pytest.mark.parametrize("chinese", [False, True])
def test_a_caption_of_two_of_three_says_how_they_stand(chinese):
    rng, told_of_two = np.random.default_rng(11), 0
    left = re.compile(r"(?P<a>.+)在(?P<b>.+?)的?左边|(?P<b2>.+)的?左边[是有](?P<a2>.+)" if chinese else
                      "(?P<a>.+?)(?: is| are)? (?:to the |on the )?left of (?P<b>.+)")
    for scene in scenes(500, groups=3):
        true, false, told, told_falsely = clip.caption_pair(scene, rng, float(chinese), 0.0, False)
        if len(told.groups) != 2:
            continue
        told_of_two += 1
        nouns = [group.noun for group in scene.groups]
        first, second = (nouns.index(group.noun) for group in told.groups)
        assert first < second
        for text, groups in ((true, told.groups), (false, told_falsely.groups)):
            if (found := left.search(text)) and not text.startswith(("to the left", "on the left")):
                a, b = (found[name] or found[f"{name}2"] if chinese else found[name] for name in "ab")
                words = [{group.word(chinese), language.plural(group.word(chinese))} for group in groups]
                assert any(word in a for word in words[0]) and any(word in b for word in words[1]), text
    assert told_of_two > 40


def test_kinds_are_asked_for_where_one_thing_is_of_them():
    names = [noun.english for noun in NOUNS]
    apple, lemon, dog, teddy = (Group(names.index(name), 1) for name in ("apple", "lemon", "dog", "teddy bear"))
    assert questions._kinds(apple, (apple, dog)) == ["food", "fruit"]
    assert questions._kinds(apple, (apple, lemon)) == []
    assert questions._kinds(dog, (dog, teddy)) == ["pet"]  # some would call a teddy bear an animal
    rng = np.random.default_rng(14)
    asked = [question for _ in range(300) for question in questions.questions(Scene((apple, dog), "grass"), rng)]
    assert {question.answer for question in asked if re.search("(?i)(what|which) fruit", question.text)} == {"an apple"}


def test_what_a_background_is_called_is_true():
    for chinese in (False, True):
        for scene in (scene for scene in scenes(200) if scene.place != "plain"):
            right, wrong = questions._backgrounds(scene, chinese)
            assert not set(right) & set(wrong) and wrong
    beach = Scene(scenes(1)[0].groups, "beach", "sunset")
    assert not {"the sea", "water", "the evening sky", "a desert"} & set(questions._backgrounds(beach, False)[1])


@pytest.mark.parametrize("chinese", [False, True])
def test_what_is_between_is_in_the_middle(chinese):
    rng, asked = np.random.default_rng(15), 0
    for scene in scenes(900, groups=3):
        for question in questions.questions(scene, rng, chinese):
            if ("中间" in question.text and "和" in question.text) or "between" in question.text:
                asked += question.answer == questions._name_things(scene.groups[1:2], chinese)
                assert question.kind != "what" or question.answer == questions._name_things(scene.groups[1:2], chinese)
    assert asked > 5


def test_what_was_typed_is_about_the_gallery():
    rows = [line.split("\t") for line in evaluate.TYPED.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {5}
    files = {sample.path.name for sample in images.gallery()}
    for language_, kind, file, text, right in rows:
        assert language_ in ("English", "Chinese") and kind in ("question", "caption") and file in files
        assert text and all(right.split("|")) and (kind == "question" or text != right)


def test_wordings_that_are_not_trained_on_are_kept_apart():
    for seen, unseen in ((wordings.ENGLISH, wordings.UNSEEN[False]), (wordings.CHINESE, wordings.UNSEEN[True])):
        trained = {template for templates in seen.values() for template in templates}
        held_out = {template for templates in unseen.values() for template in templates}
        assert not trained & held_out
        assert {key for key in seen if key not in ("else", "describe") and "then" not in key} == set(unseen)
    # Nor does a question in another form come to the same, filled in.
    rng, asked, kept = np.random.default_rng(5), set(), set()
    for scene in scenes(300):
        for chinese in (False, True):
            asked |= {re.sub(r"\W", "", question.text.lower()) for question in questions.dialogue(scene, rng, chinese)}
            kept |= {re.sub(r"\W", "", question.text.lower())
                     for question in questions.questions(scene, rng, chinese, unseen=True)}
    assert len(asked) > 1000 and len(kept) > 1000 and not asked & kept


def test_a_wording_is_in_the_table_once_and_has_what_its_form_needs():
    rows = [line.split("\t") for line in Path(wordings.__file__).with_name("wordings.tsv").read_text(
        encoding="utf-8").splitlines()]
    assert len(rows) == len({tuple(row) for row in rows}) and {language_ for language_, _, _ in rows} == {
        "English", "Chinese"}
    fields = {}
    for language_, form, wording in rows:
        used = set(re.findall(r"{(\w+)}", wording))
        needed = fields.setdefault((language_, form), set(used))
        needed &= used  # what all of them have in common
    for language_ in ("English", "Chinese"):
        for form, needed in {"count": {"thing"} if language_ == "Chinese" else {"many"}, "between": {"a", "b"},
                             "either thing": {"a", "b"}, "is colour": {"colour", "thing"}, "where": {"thing"},
                             "is left of": {"thing", "side", "other"}, "of colour": {"colour"}}.items():
            assert needed <= fields[language_, form], (language_, form)


@pytest.mark.parametrize("everything", [False, True])
def test_every_token_of_a_document_has_its_label(everything):
    rng = np.random.default_rng(6)
    texts = [language.describe(scene) for scene in scenes(50)]
    tokenizer = opt.train_tokenizer(texts)
    for scene in scenes(200):
        pieces = [(f"{language.describe(scene)}</s>", False), *opt.document(scene, rng, captions=0.4)]
        ids, labels = opt.encode(tokenizer, pieces, everything)
        assert len(ids) == len(labels)
        # A label is the token that follows, or the end of what is to be said.
        following = [*ids[1:], None]
        assert all(label in (-100, after, tokenizer.eos_token_id) for label, after in zip(labels, following))
        assert labels.count(tokenizer.eos_token_id) >= sum(said for _, said in pieces)
        assert (-100 in labels) == (not everything)


def test_mirrored_scenes_are_said_from_the_other_side():
    originals = scenes(60)
    records = np.array([encode(scene, np.arange(49).reshape(7, 7)) for scene in originals], dtype=RECORD)
    drawn = np.zeros((60, 112, 112, 3), np.uint8)
    drawn[:, :, 0] = 255
    rows = np.arange(60) % 2 == 0
    turned, told = pictures.mirror(drawn.copy(), records.copy(), rows)
    for i, scene in enumerate(originals):
        expected = scene.groups[::-1] if rows[i] else scene.groups
        assert decode(told[i]).groups == expected
        assert (turned[i, :, -1 if rows[i] else 0] == 255).all()
        assert told[i]["patches"][0, 0] == (6 if rows[i] else 0)


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CACHE", tmp_path)
    monkeypatch.setattr(loop, "SAVE_EVERY", -1)  # after every line that it prints

    def train(name: str, stop: int, seed: int = 0) -> torch.Tensor:
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = nn.Linear(8, 4)
        run = loop.Run(name, model, 150, rng)
        for step in run:
            if step == stop:
                break
            batch = torch.from_numpy(rng.normal(size=(5, 8)).astype(np.float32))
            run.update(model(batch).square().mean(), 5)
        return model.weight.detach()

    straight = train("straight", 200)
    train("killed", 120)  # its last saved state is that after 100 steps
    assert torch.allclose(train("killed", 200, seed=1), straight, atol=1e-6)


def test_a_run_starts_anew_when_what_it_begins_with_has_been_trained_since(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CACHE", tmp_path)

    def train(name: str, **settings) -> loop.Run:
        model = nn.Linear(8, 4)
        run = loop.Run(name, model, 3, np.random.default_rng(0), **settings)
        for _ in run:
            run.update(model(torch.ones(1, 8)).sum(), 1)
        return run

    train("tower")
    os.utime(tmp_path / "tower.pt", (time.time() - 9,) * 2)
    train("head", after=("tower",))
    train("tower")  # has nothing left to do
    assert loop.Run("head", nn.Linear(8, 4), 3, np.random.default_rng(0), after=("tower",)).step == 3
    os.utime(tmp_path / "tower.pt", (time.time() + 9,) * 2)
    assert loop.Run("head", nn.Linear(8, 4), 3, np.random.default_rng(0), after=("tower",)).step == 0


def test_a_share_of_the_steps_is_a_whole_run(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CACHE", tmp_path)
    monkeypatch.setattr(loop, "SHARE", 0.1)
    model = nn.Linear(8, 4)
    run = loop.Run("tower", model, 1000, np.random.default_rng(0))
    for _ in run:
        run.update(model(torch.ones(1, 8)).square().mean(), 1)
    assert run.step == 100 and run.optimizers[0].param_groups[0]["lr"] < 1e-4  # at the end of its cosine
    assert loop.spent("tower") == "`tower` 100 steps in 0 minutes"
    # No story is told of this file: the card of weights made anew says what their runs took.
    assert cards.story(tmp_path / "tower.pt", ("tower",)).startswith(f"These weights took {loop.spent('tower')}, on ")
    monkeypatch.setattr(loop, "SHARE", 0.05)
    with pytest.raises(SystemExit, match="of a run of 100 steps, this one has 50"):
        loop.Run("tower", model, 1000, np.random.default_rng(0))
    monkeypatch.setattr(loop, "SHARE", 1)  # a script by itself, after `make` on a slow CPU
    with pytest.raises(SystemExit, match="of a run of 100 steps, this one has 1,000"):
        loop.Run("tower", model, 1000, np.random.default_rng(0))


def test_make_trains_the_share_it_is_told(monkeypatch, capsys):
    told = []
    monkeypatch.setattr(make, "run", lambda steps, environment: told.append(environment["TRAINING_SHARE"]))
    for fast, arguments in ((True, []), (False, []), (False, ["--share", "0.05"])):
        monkeypatch.setattr(make, "bf16_is_fast", lambda fast=fast: fast)
        monkeypatch.setattr("sys.argv", ["make", *arguments])
        make.main()
    assert told == ["1", str(make.SLOW_SHARE), "0.05"]
    assert capsys.readouterr().out.count("--share 1 trains in full") == 1
    monkeypatch.setattr("sys.argv", ["make", "--share", "0"])
    with pytest.raises(SystemExit) as error:
        make.main()
    assert error.value.code == 2 and "--share must be above 0" in capsys.readouterr().err


def test_a_card_tells_the_story_of_the_weights_beside_it():
    for name in cards.CARDS:
        folder = loop.CHECKPOINTS / name
        story = cards.story(folder / "model.safetensors", ())
        assert story and story in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_is_left_to_the_cpus_that_have_it(fast, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CACHE", tmp_path)
    monkeypatch.setattr(loop, "bf16_is_fast", lambda: fast)

    dtypes = set()

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                dtypes.add(result.dtype)
            return result

    torch.manual_seed(0)
    model = nn.Linear(8, 4)
    before = model.weight.detach().clone()
    run = loop.Run(f"run-{fast}", model, 3, np.random.default_rng(0), matrix_rate=0.1)
    with Watch():
        with loop.mixed_precision():
            loss = model(torch.ones(5, 8)).float().square().mean()
        run.update(loss, 5)
    assert (torch.bfloat16 in dtypes) == fast
    # Muon's update has singular values of about one, times its rate and an adjustment for the shape.
    change = torch.linalg.svdvals(model.weight.detach() - before)[0].item()
    assert 0.05 < change < 0.3
