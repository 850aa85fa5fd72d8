"""Questions about a scene, with every short answer that is right, in English and Chinese.

They are asked in a few plain wordings, as a careful person would put them, and only where one answer is certain: no
"car" is counted beside a taxi, and no star at night. The thousands of wordings that BLIP-2 is trained with are
training material and stand in `training`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Any

import numpy as np

from . import synonyms
from .language import (
    CAPTION_KINDS,
    COLOURABLE,
    COLOURS,
    COLOURS_CHINESE,
    LOOKALIKES,
    MEASURED,
    NUMBERS,
    NUMBERS_CHINESE,
    PLACE_PHRASES,
    PLACES_CHINESE,
    SIDES,
    SIDES_CHINESE,
    Group,
    Scene,
    caption,
    caption_chinese,
    join,
    join_chinese,
    light_of,
    number_word,
    phrase,
    phrase_chinese,
    pick,
    plural,
    subject,
    where,
    where_chinese,
)
from .nouns import NOUNS

QUESTION_KINDS = ("what", "how many", "where", "side", "colour", "either/or", "yes/no")


@dataclass(frozen=True)
class Question:
    """A question about a picture.

    Attributes:
        kind: One of `QUESTION_KINDS`.
        text: The question itself: "How many dogs are there?"
        answers: Every short answer that is right, the usual one first: ("two", "two dogs"). No two of them are the
            same but for case, articles, punctuation, and numbers in digits.
    """

    kind: str
    text: str
    answers: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The usual answer."""
        return self.answers[0]


# Fields: {thing} what is asked about, with the verb {are} or {Are}; {many} its plural, with the verb {Are_any};
# {one} it with an article or, in Chinese, a number; {n} it with a number; {measure} its Chinese measure word;
# {kind} "animal", {kinds} "animals"; {on} "on the left", {side} "left"; {place} "in the snow"; {light} "night";
# {other} another thing; {a} and {b} two answers to choose from, or two things with a third between them.
ENGLISH = {
    "everything": ("What is in the picture?", "What can you see in the picture?", "What does the picture show?"),
    "this": ("What is this?",),
    "this kind": ("What {kind} is this?", "What {kind} is in the picture?"),
    "these kinds": ("What {kinds} are in the picture?", "What {kinds} can you see?"),
    "on side": ("What is {on}?", "What can you see {on}?", "What is {on} of the picture?"),
    "beside": ("What is next to the {thing}?", "What can you see next to the {thing}?"),
    "to the side": ("What is to the {side} of the {thing}?",),
    "between": ("What is between the {a} and the {b}?",),
    "count": ("How many {many} are there?", "How many {many} are in the picture?", "How many {many} can you see?"),
    "where": ("Where {are} the {thing}?",),
    "place": ("Where was this picture taken?",),
    "side": ("Which side {are} the {thing} on?", "On which side {are} the {thing}?"),
    "left or right": ("{Are} the {thing} on the left or on the right?",),
    "left, middle or right": ("{Are} the {thing} on the left, in the middle or on the right?",),
    "colour": ("What colour {are} the {thing}?", "What is the colour of the {thing}?"),
    "either colour": ("{Are} the {thing} {a} or {b}?",),
    "either this": ("Is this {a} or {b}?",),
    "either thing": ("Is there {a} or {b} in the picture?",),
    "either number": ("How many {many} are there, {a} or {b}?",),
    "either light": ("Is it {a} or {b}?", "Is it {a} or {b} in the picture?"),
    "either place": ("Was this picture taken {a} or {b}?",),
    "either on side": ("Which is {on}, the {a} or the {b}?",),
    "is there": ("Is there {one} in the picture?", "Can you see {one} in the picture?", "Does the picture show {one}?"),
    "are there any": ("{Are_any} there any {many} in the picture?", "Can you see any {many} in the picture?"),
    "is this": ("Is this {one}?",),
    "is colour": ("{Are} the {thing} {colour}?",),
    "is count": ("Are there {n}?", "Are there {n} in the picture?"),
    "is one": ("Is there only one {thing}?", "Is there only one {thing} in the picture?"),
    "is in place": ("{Are} the {thing} {place}?",),
    "is place": ("Was this picture taken {place}?",),
    "is light": ("Is it {light}?", "Is it {light} in the picture?"),
    "is on side": ("{Are} the {thing} {on}?",),
    "is left of": ("{Are} the {thing} to the {side} of the {other}?",),
    "is kind": ("{Are_any} there any {kinds} in the picture?", "Can you see any {kinds} in the picture?"),
}
CHINESE = {
    "everything": ("图片里有什么？", "你在图片里看到了什么？", "图片里都有什么？"),
    "this": ("这是什么？",),
    "this kind": ("这是什么{kind}？", "图片里是什么{kind}？"),
    "these kinds": ("图片里有什么{kind}？", "你看到了什么{kind}？"),
    "on side": ("{side}是什么？", "{side}有什么？"),
    "beside": ("{thing}旁边是什么？", "{thing}旁边有什么？"),
    "to the side": ("{thing}的{side}是什么？", "{thing}的{side}有什么？"),
    "between": ("{a}和{b}中间是什么？", "{a}和{b}之间有什么？"),
    "count": ("有几{measure}{thing}？", "图片里有几{measure}{thing}？", "一共有几{measure}{thing}？"),
    "where": ("{thing}在哪里？", "{thing}在什么地方？"),
    "place": ("这张照片是在哪里拍的？", "这是在哪里？"),
    "side": ("{thing}在哪一边？", "{thing}在图片的哪一边？"),
    "left or right": ("{thing}在左边还是右边？",),
    "left, middle or right": ("{thing}在左边、中间还是右边？",),
    "colour": ("{thing}是什么颜色的？", "{thing}是什么颜色？"),
    "either colour": ("{thing}是{a}的还是{b}的？", "{thing}是{a}还是{b}？"),
    "either this": ("这是{a}还是{b}？",),
    "either thing": ("图片里有{a}还是{b}？",),
    "either number": ("{thing}有{a}还是{b}？",),
    "either light": ("现在是{a}还是{b}？",),
    "either place": ("这张照片是在{a}还是在{b}拍的？", "这是在{a}还是{b}？"),
    "either on side": ("{a}和{b}，哪个在{side}？", "{side}是{a}还是{b}？"),
    "is there": ("图片里有{thing}吗？", "图片里有没有{thing}？"),
    "are there any": ("你能看到{thing}吗？", "图片里能看到{thing}吗？"),
    "is this": ("这是{thing}吗？",),
    "is colour": ("{thing}是{colour}的吗？",),
    "is count": ("图片里有{n}吗？", "有{n}吗？"),
    "is one": ("{thing}只有{one_measured}吗？",),
    "is in place": ("{thing}在{place}吗？",),
    "is place": ("这张照片是在{place}拍的吗？",),
    "is light": ("现在是{light}吗？",),
    "is on side": ("{thing}在{side}吗？",),
    "is left of": ("{thing}在{other}的{side}吗？",),
    "is kind": ("图片里有{kind}吗？", "图片里有没有{kind}？"),
}
# Chinese answers yes or no by repeating the verb of the question; these answer each form of it.
YES_CHINESE = {"有": ("有", "有的", "是的"), "能": ("能", "能看到", "可以", "是的"), "是": ("是", "是的", "对"),
               "在": ("在", "在的", "是的")}
NO_CHINESE = {"有": ("没有", "没", "不是"), "能": ("不能", "看不到", "没有"), "是": ("不是", "不", "不对"),
              "在": ("不在", "不", "不是")}
VERBS_CHINESE = {"is there": "有", "are there any": "能", "is this": "是", "is colour": "是", "is count": "有",
                 "is one": "是", "is in place": "在", "is place": "是", "is light": "是", "is on side": "在",
                 "is left of": "在", "is kind": "有"}

# Where something is: with a preposition, and bare. The usual answer is that of `where`.
PLACES = {
    "snow": (("in the snow", "on the snow"), ("snow",)),
    "beach": (("on the beach", "at the beach", "at the seaside"), ("beach",)),
    "grass": (("on the grass", "in the grass", "in a meadow", "in a field", "on the lawn"), ("grass", "meadow")),
    "room": (("in a room", "inside a room", "at home", "indoors", "inside"), ("room",)),
    "road": (("on the road", "on the street", "in the street"), ("road", "street")),
    "sea": (("in the sea", "on the sea", "at sea", "in the ocean", "in the water", "on the water"),
            ("sea", "ocean", "water")),
    "desert": (("in the desert",), ("desert",)),
}
PLACES_OTHERWISE_CHINESE = {
    "snow": (("雪地里", "雪地上", "雪里"), ("雪地", "雪")),
    "beach": (("沙滩上", "海滩上", "海边"), ("沙滩", "海滩")),
    "grass": (("草地上", "草地里", "草坪上", "草丛里"), ("草地", "草坪")),
    "room": (("房间里", "房间内", "屋子里", "屋里", "室内", "家里"), ("房间",)),
    "road": (("马路上", "公路上", "街道上", "街上", "路上"), ("马路", "公路")),
    "sea": (("海里", "大海里", "海上", "海面上", "水里"), ("大海", "海")),
    "desert": (("沙漠里", "沙漠中", "沙漠上"), ("沙漠",)),
}
# What lies near a place or looks like it, so that nobody can say that it is not there.
NEAR = {"beach": {"sea", "desert"}, "sea": {"beach"}, "desert": {"beach"}, "road": {"grass"}}
INSIDE = {False: (("indoors", "inside"), ("outdoors", "outside")), True: (("室内", "屋里"), ("室外", "户外", "外面"))}
LIGHTS = {False: {"day": ("day", "daytime", "daylight"), "night": ("night", "nighttime", "night-time", "at night"),
                  "sunset": ("sunset", "at sunset", "dusk", "evening", "sundown")},
          True: {"day": ("白天", "日间"), "night": ("晚上", "夜晚", "夜里", "夜间"),
                 "sunset": ("傍晚", "日落时分", "黄昏", "日落")}}
# Which other light may be offered or denied: a sunset is by day, some would say.
OTHER_LIGHTS = {"day": ("night",), "night": ("day", "sunset"), "sunset": ("night",)}
# Colours that some would take for one another.
LIKE_COLOURS = (
    {"red", "orange"}, {"red", "pink"}, {"red", "brown"}, {"orange", "yellow"}, {"orange", "brown"}, {"orange", "pink"},
    {"yellow", "brown"}, {"yellow", "green"}, {"yellow", "white"}, {"green", "blue"}, {"blue", "purple"},
    {"blue", "grey"}, {"blue", "black"}, {"purple", "pink"}, {"purple", "red"}, {"pink", "white"}, {"brown", "black"},
    {"brown", "grey"}, {"grey", "black"}, {"grey", "white"}, {"purple", "black"},
)
# Things of several colours: whatever covers most of them, it is not their colour.
MOTLEY = frozenset((
    "rainbow", "cup of coffee", "glass of wine", "hamburger", "pizza", "hot dog", "taco", "sushi", "cake", "popcorn",
    "ice cream", "zebra", "panda", "penguin", "bee", "tiger", "leopard", "cow", "peacock", "parrot", "rooster",
    "watermelon", "ferris wheel", "soccer ball", "planet", "mushroom", "mountain", "volcano", "carrot", "lollipop",
    "ladybug", "duck", "church", "factory", "pineapple", "sunflower", "candle", "television", "laptop", "ring",
))
# Kinds of things that are asked for, the narrower ones last; see `synonyms.ASKED_KINDS` for what they are called.
KINDS = {
    "animal": CAPTION_KINDS[False]["animal"], "vehicle": CAPTION_KINDS[False]["vehicle"],
    "fruit": tuple(noun for noun in synonyms.KINDS["fruit"] if noun not in ("tomato", "avocado")),
    **{kind: synonyms.KINDS[kind] for kind in ("instrument", "bird", "insect", "flower")},
}
# What some would call so, too: where one of these is, nothing of the kind is counted or said to be missing.
DOUBTFUL = {kind: synonyms.DOUBTFUL.get(kind, ()) for kind in KINDS} | {
    "fruit": tuple(noun.english for noun in NOUNS if noun.category == "food")}


def _looks_like() -> dict[str, frozenset[str]]:
    """Of each noun, those that a picture of it may pass for, itself among them."""
    return {noun.english: frozenset((noun.english,)).union(*(some for some in LOOKALIKES if noun.english in some))
            for noun in NOUNS}


LOOKS_LIKE = _looks_like()


def painted(scene: Scene) -> set[str]:
    """Nouns that the place itself may show, or seem to: stars at night, a door in a room."""
    nouns = set()
    if scene.place in ("night", "sunset", "sea") or scene.light != "day":
        nouns |= {"sun", "star", "moon"}
    if scene.place in ("night", "sunset") or scene.light != "day":  # with hills, and with streaks in the sky
        nouns |= {"mountain", "volcano"}
    if scene.place not in ("room", "plain"):
        nouns.add("cloud")
    return nouns | {"room": {"door", "television"}, "beach": {"snail"}, "snow": {"star"}}.get(scene.place, set())


def absent_nouns(scenes: Sequence[Scene]) -> list[int]:
    """The nouns, as indices in `NOUNS`, that are certainly in none of the scenes: not there, and nothing like them."""
    there = set().union(*(LOOKS_LIKE[group.name] for scene in scenes for group in scene.groups), *map(painted, scenes))
    return [i for i, noun in enumerate(NOUNS) if noun.english not in there]


def unlike_colours(colour: int) -> list[int]:
    """The colours that nobody takes for a given one; indices in `COLOURS`."""
    return [other for other, name in enumerate(COLOURS)
            if other != colour and {name, COLOURS[colour]} not in LIKE_COLOURS]


def other_counts(count: int) -> list[int]:
    """Numbers that somebody may guess instead."""
    return [n for n in (range(1, 4) if count < 4 else range(count - 2, count + 3)) if n != count and n < len(NUMBERS)]


def one_of(rng: np.random.Generator, some: Sequence[Any]) -> Any:
    """One of several, by `random`, whose stream NumPy keeps as it is."""
    return some[int(rng.random() * len(some))]


def questions_of(scene: Scene, rng: np.random.Generator, chinese: bool = False) -> list[Question]:
    """One question of each of `QUESTION_KINDS` that can be asked of a scene, and two with yes or no, one of each.

    Nobody asks where something is on a plain background, or under a sky that is all there is to see.
    """
    ask = _Asker((scene,), rng, chinese)
    asked = (ask.what(), ask.how_many(), ask.where(), ask.side(), ask.colour(), ask.either_or(), ask.yes_no(True),
             ask.yes_no(False))
    return [question for question in asked if question is not None]


def questions_of_mosaic(scenes: Sequence[Scene], rng: np.random.Generator, chinese: bool = False) -> list[Question]:
    """Questions about several scenes in one picture: how many, and two with yes or no, one of each."""
    ask = _Asker(scenes, rng, chinese)
    asked = (ask.how_many(), ask.is_there(True), ask.is_there(False))
    return [question for question in asked if question is not None]


class _Asker:
    """Asks questions of each kind; None where a kind cannot be asked.

    Args:
        scenes: One scene; or several, of which `how_many` and `is_there` may be asked.
    """

    def __init__(self, scenes: Sequence[Scene], rng: np.random.Generator, chinese: bool):
        self.scenes, self.rng, self.chinese = scenes, rng, chinese
        self.scene, self.groups = scenes[0], [group for scene in scenes for group in scene.groups]
        seen = set().union(*map(painted, scenes))
        # What one can speak of as "the dog": there is nothing else that it could be.
        self.clear = [group for group in self.groups if group.name not in seen and not any(
            other is not group and other.name in LOOKS_LIKE[group.name] for other in self.groups)]

    def say(self, form: str, group: Group | None = None, **fields: str) -> str:
        """A question in one of the wordings of its form."""
        if group is not None:
            thing, are = subject(group)
            many = thing if group.name in MEASURED else plural(group.word(chinese=False))
            uncounted = group.name in MEASURED and not group.is_plural  # "is there any bread"
            one = replace(group, count=1)
            fields = {"thing": group.word(chinese=True) if self.chinese else thing, "are": are,
                      "Are": are.capitalize(), "many": many, "Are_any": "Is" if uncounted else "Are",
                      "measure": group.measure, "one_measured": number_word(one, chinese=True),
                      "one": (phrase_chinese if self.chinese else phrase)(one, with_colour=False)} | fields
        return one_of(self.rng, (CHINESE if self.chinese else ENGLISH)[form]).format(**fields)

    def what(self) -> Question:
        groups, rng = self.groups, self.rng
        if len(groups) == 1:
            group, = groups
            forms = {"everything": 0.5, "this": 0.2 * (group.count == 1)}
            # The narrowest word: a butterfly is an animal, but nobody would ask so.
            kinds = [kind for kind in KINDS if group.name in KINDS[kind]]
            if kinds:
                forms["this kind" if group.count == 1 or kinds[-1] == "fruit" else "these kinds"] = 0.4
            form = pick(forms, rng)
            return self._question("what", self.say(form, **self._kind(kinds[-1] if kinds else "animal")),
                                  self._everything())
        i = one_of(rng, range(len(groups)))
        forms = {"everything": 0.4 * (len(groups) == 2), "on side": 0.4}
        if len(self.clear) == len(groups):
            forms |= {"between": 0.2} if len(groups) == 3 else {"beside": 0.2, "to the side": 0.2}
        form = pick(forms, rng)
        if form == "everything":
            return self._question("what", self.say(form), self._everything())
        if form == "on side":
            return self._question("what", self.say(form, **self._side(i)), self._names(groups[i]))
        if form == "between":
            a, b = (self._the(groups[k]) for k in (0, 2))
            return self._question("what", self.say(form, a=a, b=b), self._names(groups[1]))
        return self._question("what", self.say(form, groups[1 - i], **self._side(i)), self._names(groups[i]))

    def how_many(self) -> Question | None:
        """How many there are of a thing or, where two things are of a kind, of that kind."""
        countable, totals, names = self._countable(), {}, {group.name for group in self.groups}
        for kind in ("animal", "fruit", "instrument") if self.chinese else ("animal", "vehicle", "instrument"):
            of_kind = names.intersection(KINDS[kind])
            total = sum(group.count for group in self.groups if group.name in of_kind)
            if len(of_kind) > 1 and total < len(NUMBERS) and not (names - of_kind).intersection(
                    DOUBTFUL[kind]) and not names.intersection(MEASURED):
                totals[kind] = total
        if totals and self.rng.random() < 0.4:
            kind = one_of(self.rng, [*totals])
            many, chinese, measure = synonyms.ASKED_KINDS[kind]
            text = self.say("count", many=many, thing=chinese, measure=measure)
            words = [chinese if self.chinese else many]
            return self._question("how many", text, self._numbers(totals[kind], measure, words))
        if not countable:
            return None
        group = one_of(self.rng, countable)
        return self._question("how many", self.say("count", group), self._count(group))

    def where(self) -> Question | None:
        if self.scene.place not in PLACES:
            return None
        group, = self.clear if len(self.groups) == len(self.clear) == 1 else [None]
        form = "where" if group and self.rng.random() < 0.7 else "place"
        return self._question("where", self.say(form, group), self._where())

    def side(self) -> Question | None:
        if len(self.groups) == 1 or not self.clear:
            return None
        group = one_of(self.rng, self.clear)
        side = SIDES[len(self.groups)][self.groups.index(group)]
        forms = ["left, middle or right"] if len(self.groups) == 3 else ["left or right"]
        form = one_of(self.rng, forms + ["side"] * (side != "middle"))
        if self.chinese:
            usual, bare = SIDES_CHINESE[side], SIDES_CHINESE[side][0]
            answers = [usual, f"在{usual}", f"图片{usual}", f"在图片{usual}"]
            answers += ["正中间", "中央"] if side == "middle" else [f"{bare}侧", f"在{bare}侧", f"{bare}面", bare]
        elif side == "middle":
            answers = [f"{start}{end}" for end in ("middle", "centre", "center") for start in ("", "in the ")]
        else:
            answers = [side, f"{side} side"]
            answers += [f"{on} the {side}" for on in ("on", "to", "at")] + [f"on the {side} side"]
        return self._question("side", self.say(form, group), answers)

    def colour(self) -> Question | None:
        coloured = self._coloured()
        if not coloured:
            return None
        group = one_of(self.rng, coloured)
        return self._question("colour", self.say("colour", group), self._colours(group))

    def either_or(self) -> Question | None:
        """A question that offers two answers, the right one first or last, and the other of the same kind."""
        light, place, coloured = light_of(self.scene), self.scene.place, self._coloured()
        counted = self._countable()
        single = [group for group in self.groups if group.count == 1]
        forms = {
            "colour": 0.3 * bool(coloured), "thing": 0.3 * bool(single), "number": 0.15 * bool(counted),
            "light": 0.15 * bool(light), "place": 0.2 * (place in PLACES), "inside": 0.05 * (place != "plain"),
            "on side": 0.2 * (len(self.groups) > 1 and len(self.clear) == len(self.groups))}
        if not any(forms.values()):
            return None
        form, group, fields, rng = pick(forms, self.rng), None, {}, self.rng
        if form == "colour":
            group = one_of(rng, coloured)
            other = replace(group, colour=one_of(rng, unlike_colours(group.colour)))
            right, wrong = self._colours(group), self._colours(other)
        elif form == "thing":
            group = one_of(rng, single)
            other = Group(self._absent(group, alike=1), 1)
            right, wrong = self._names(group), self._names(other)
            if self.chinese:  # 狗还是猫
                right, wrong = [group.chinese, *right], [other.chinese, *wrong]
            form = "this" if len(self.groups) == 1 else form
        elif form == "number":
            group = one_of(rng, counted)
            other = replace(group, count=one_of(rng, other_counts(group.count)))
            right, wrong = self._count(group), self._count(other)
        elif form == "light":
            right, wrong = (LIGHTS[self.chinese][which] for which in (light, one_of(rng, OTHER_LIGHTS[light])))
        elif form == "place":
            other = one_of(rng, [other for other in PLACES if other != place and other not in NEAR.get(place, ())])
            right, wrong = self._places(place), self._places(other)
        elif form == "inside":
            form, (right, wrong) = "place", INSIDE[self.chinese][::1 if place == "room" else -1]
        else:
            end = one_of(rng, (0, -1))
            chosen, other = (self.groups[k] for k in (end, -1 - end))
            # Which is asked, and not how many: "laptop" is right for the laptops.
            right, wrong = [self._the(chosen), *self._names(chosen), chosen.word(self.chinese)], [self._the(other)]
            fields = self._side(end)
        a, b = (right[0], wrong[0])[::one_of(rng, (1, -1))]
        return self._question("either/or", self.say(f"either {form}", group, a=a, b=b, **fields), right)

    def yes_no(self, truth: bool) -> Question:
        """A question that is to be affirmed, or denied. Which form it has does not tell its answer."""
        scene, rng, counted = self.scene, self.rng, self._countable()
        light, sides, coloured = light_of(scene), SIDES[len(self.groups)], self._coloured()
        form = pick({
            "there": 0.45, "colour": 0.15 * bool(coloured), "count": 0.15 * bool(counted),
            "place": 0.15 * (scene.place in PLACES), "inside": 0.05 * (scene.place != "plain"),
            "light": 0.08 * bool(light), "side": 0.15 * (len(self.groups) > 1 and bool(self.clear)),
            "kind": 0.1 * self._kind_can_be_asked()}, rng)
        if form == "there":
            return self.is_there(truth)
        group, fields = None, {}
        if form == "colour":
            group, form = one_of(rng, coloured), "is colour"
            colour = group.colour if truth else one_of(rng, unlike_colours(group.colour))
            fields = {"colour": (COLOURS_CHINESE if self.chinese else COLOURS)[colour]}
        elif form == "count":
            # "Are there two?" is not asked where there are three: some would say yes.
            group = one_of(rng, counted)
            count = group.count if truth else one_of(rng, [
                n for n in other_counts(group.count) if n > group.count or n == 1] or [1])
            form, asked = "is one" if count == 1 else "is count", replace(group, count=count)
            fields = {"n": (phrase_chinese if self.chinese else phrase)(asked, with_colour=False),
                      "thing": group.word(self.chinese)}
        elif form == "place":
            group = one_of(rng, self.clear) if self.clear else None
            place = scene.place if truth else one_of(rng, [
                other for other in PLACES if other != scene.place and other not in NEAR.get(scene.place, ())])
            form = "is in place" if group and rng.random() < 0.7 else "is place"
            fields = {"place": (PLACES_CHINESE if self.chinese else PLACE_PHRASES)[place]}
        elif form == "inside":
            form = "is place"
            fields = {"place": INSIDE[self.chinese][(scene.place == "room") != truth][0]}
        elif form == "light":
            form, asked = "is light", light if truth else one_of(rng, OTHER_LIGHTS[light])
            fields = {"light": "daytime" if asked == "day" and not self.chinese else LIGHTS[self.chinese][asked][0]}
        elif form == "side":
            group = one_of(rng, self.clear)
            i, form = self.groups.index(group), "is on side"
            if len(self.clear) == len(sides) and rng.random() < 0.4:
                j = one_of(rng, [k for k in range(len(sides)) if k != i])
                form, fields = "is left of", self._side(0 if (i < j) == truth else -1) | {
                    "other": self._the(self.groups[j])}
            else:
                fields = self._side(i if truth else one_of(rng, [k for k in range(len(sides)) if k != i]))
        else:
            form, fields = "is kind", self._kind(one_of(rng, self._kinds_there(truth)))
        return self._yes_or_no(form, truth, self.say(form, group, **fields))

    def is_there(self, truth: bool) -> Question:
        """Whether a thing is there."""
        group = one_of(self.rng, self.groups)
        if not truth:
            group = Group(self._absent(group, alike=0.67), 1)
        form = pick({"is there": 0.6, "are there any": 0.25 * (group.name != "glasses"), "is this": 0.15 * (
            len(self.groups) == self.groups[0].count == 1)}, self.rng)
        return self._yes_or_no(form, truth, self.say(form, group))

    def _question(self, kind: str, text: str, answers: Iterable[str]) -> Question:
        """With each of the answers once."""
        distinct: dict[str, str] = {}
        for answer in answers:
            distinct.setdefault(_normal(answer), answer)
        return Question(kind, text, tuple(distinct.values()))

    def _yes_or_no(self, form: str, truth: bool, text: str) -> Question:
        answers = ("yes",) if truth else ("no",)
        if self.chinese:
            answers = (YES_CHINESE if truth else NO_CHINESE)[VERBS_CHINESE[form]]
        return Question("yes/no", text, answers)

    def _called(self, group: Group) -> list[Group]:
        """A group by its own word and by others for the same thing."""
        words = (synonyms.NAMES_CHINESE if self.chinese else synonyms.NAMES).get(group.name, ())
        return [group, *(replace(group, called=word) for word in words)]

    def _names(self, group: Group) -> list[str]:
        """All that a group may be called by one who is asked what it is; its number may be left out."""
        groups, names = self._called(group), []
        if self.chinese:
            names += [phrase_chinese(group, with_colour=False) for group in groups]
            names += [group.word(chinese=True) for group in groups]
            names += [f"{NUMBERS_CHINESE[group.count]}个{group.word(chinese=True)}" for group in groups]
            names += [phrase_chinese(group, with_colour=True) for group in groups]
            return names
        names += [phrase(group, with_colour=False) for group in groups]
        names += [subject(group)[0] for group in groups]
        if group.name not in MEASURED:
            names += [f"{NUMBERS[group.count]} {subject(group)[0]}" for group in groups]
        return names + [phrase(group, with_colour=True) for group in groups]

    def _everything(self) -> list[str]:
        """All that may be said of the one or two groups of a scene, in either order."""
        told = caption_chinese(self.scene) if self.chinese else caption(self.scene)
        if len(self.groups) == 1:
            return [*self._names(self.groups[0]), told]
        together, with_number = join_chinese if self.chinese else join, phrase_chinese if self.chinese else phrase
        bare = [[self._the(group)] for group in self.groups]
        counted, coloured = ([[with_number(called, with_colour) for called in self._called(group)]
                              for group in self.groups] for with_colour in (False, True))
        return [together(list(names)) for forms in (counted, bare, coloured) for order in permutations(forms)
                for names in product(*order)] + [told]

    def _the(self, group: Group) -> str:
        """What follows "the"."""
        return group.word(chinese=True) if self.chinese else subject(group)[0]

    def _side(self, i: int) -> dict[str, str]:
        side = SIDES[len(self.groups)][i]
        return {"side": SIDES_CHINESE[side] if self.chinese else side,
                "on": "in the middle" if side == "middle" else f"on the {side}"}

    def _kind(self, kind: str) -> dict[str, str]:
        many, chinese, _ = synonyms.ASKED_KINDS[kind]
        uncounted = kind == "fruit"  # "is there any fruit"
        return {"kind": chinese if self.chinese else kind, "kinds": kind if uncounted else many,
                "Are_any": "Is" if uncounted else "Are"}

    def _kinds_there(self, truth: bool) -> list[str]:
        """The kinds of which something is there, or nothing; no insect is asked for where there is an animal, too."""
        usual = ("animal", "vehicle", "fruit", "instrument")
        if truth:
            return [kind for kind in usual if any(group.name in KINDS[kind] for group in self.groups)]
        return [kind for kind in usual if not any(
            group.name in (*KINDS[kind], *DOUBTFUL[kind]) for group in self.groups)]

    def _kind_can_be_asked(self) -> bool:
        return bool(self._kinds_there(True) and self._kinds_there(False))

    def _numbers(self, count: int, measure: str, words: Iterable[str]) -> list[str]:
        """How many, with and without what is counted."""
        if self.chinese:
            number = NUMBERS_CHINESE[count]
            return [f"{number}{measure}", number, str(count), f"{count}{measure}", f"{number}个",
                    *(["二", f"二{measure}"] if count == 2 else []), *(f"{number}{measure}{word}" for word in words)]
        return [NUMBERS[count], *(f"{NUMBERS[count]} {word}" for word in words)]

    def _count(self, group: Group) -> list[str]:
        return self._numbers(group.count, group.measure, map(self._the, self._called(group)))

    def _colours(self, group: Group) -> list[str]:
        """Words for a colour. What nobody has painted may be called brown or orange, as a deer and a camel may."""
        names, other = [COLOURS[group.colour]], {"brown": "orange", "orange": "brown", "grey": "gray"}
        if names[0] in other and (names[0] == "grey" or group.name not in COLOURABLE):
            names.append(other[names[0]])
        if not self.chinese:
            return names
        names = [COLOURS_CHINESE[COLOURS.index(name)] for name in names if name in COLOURS]
        return [said for name in names for said in (name, f"{name}的", name[0], f"{name[0]}的")]

    def _countable(self) -> list[Group]:
        """What English counts; nobody asks how many suns there are where there is one."""
        return [group for group in self.clear if group.name not in MEASURED
                and not (group.count == 1 and group.name in ("sun", "moon"))]

    def _coloured(self) -> list[Group]:
        return [group for group in self.clear if group.colour is not None and group.name not in MOTLEY]

    def _where(self) -> list[str]:
        """Where it is, with and without the light."""
        usual = where_chinese(self.scene) if self.chinese else where(self.scene)
        places = self._places(self.scene.place)
        if self.scene.light == "day":
            return [usual, *places]
        if self.chinese:
            return [usual, *places, *(usual.removesuffix(PLACES_CHINESE[self.scene.place]) + place
                                      for place in PLACES_OTHERWISE_CHINESE[self.scene.place][0])]
        return [usual, *places, *(f"{place} at {self.scene.light}" for place in PLACES[self.scene.place][0])]

    def _places(self, place: str) -> list[str]:
        """Words for a place, whatever the light."""
        inside, bare = (PLACES_OTHERWISE_CHINESE if self.chinese else PLACES)[place]
        return [*inside, *bare, *(f"在{words}" for words in inside if self.chinese)]

    def _absent(self, group: Group, alike: float) -> int:
        """A noun that is certainly not there, and of the same category as a group in a share of the cases."""
        absent = absent_nouns(self.scenes)
        if self.rng.random() < alike:
            absent = [noun for noun in absent if NOUNS[noun].category == group.category] or absent
        return one_of(self.rng, absent)


_DIGITS = {number: str(i) for i, number in enumerate(NUMBERS)}


def _normal(answer: str) -> str:
    """An answer as it is compared: without case, articles and punctuation, numbers in digits."""
    words = re.sub(r"[^\w\s]", " ", answer.lower()).split()
    return " ".join(_DIGITS.get(word, word) for word in words if word not in ("a", "an", "the"))
