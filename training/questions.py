"""Questions about a scene and their answers, in English and Chinese: what BLIP-2 is trained with."""

import re
from dataclasses import dataclass, replace

import numpy as np

from toyworld import synonyms
from toyworld.language import (
    CAPTION_KINDS,
    COLOURS,
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
    absent_noun,
    article,
    by_another_word,
    caption,
    caption_chinese,
    colour_word,
    join,
    join_chinese,
    light_of,
    number_word,
    phrase,
    phrase_chinese,
    pick,
    plural,
    side_fields,
    subject,
    where,
    where_chinese,
)
from toyworld.nouns import NOUNS
from toyworld.questions import QUESTION_KINDS

from . import wordings

__all__ = ["QUESTION_KINDS", "Question", "ask_to_describe", "dialogue", "questions"]

LIGHT_NAMES = {"day": ("day", "白天"), "night": ("night", "夜晚"), "sunset": ("sunset", "日落时分")}
INSIDE = {False: (("indoors", "outdoors"), ("inside", "outside")), True: (("室内", "室外"), ("室内", "户外"))}
# The nouns of each kind that is asked for, and those too that some would call so: where one of them is, nobody can say
# that there is nothing of the kind.
OF_KIND = {kind: frozenset(({
    "food": CAPTION_KINDS[False]["piece of food"], "tool": ("hammer", "scissors"), "toy": ("teddy bear",),
    "tree": ("tree", "pine tree", "palm tree"), "clothing": ("shirt", "dress", "jeans"),
    "pet": ("cat", "dog", "rabbit"),
} | CAPTION_KINDS[False])[kind]) for kind in synonyms.ASKED_KINDS}
ALIKE = {kind: nouns.union(synonyms.DOUBTFUL.get(kind, ())) for kind, nouns in OF_KIND.items()}


# Nobody asks whether a cat is at night or on a plain background.
ASKABLE = [place for place in PLACE_PHRASES if place not in ("night", "sunset", "plain")]


@dataclass(frozen=True)
class Question:
    kind: str
    text: str
    answer: str


def questions(scene: Scene, rng: np.random.Generator, chinese: bool = False, unseen: bool = False) -> list[Question]:
    """One question of every kind that the scene can be asked, each with its short answer.

    Args:
        unseen: Ask in the wordings that are never trained on.
    """
    say = Wording(scene, rng, chinese, unseen)
    group = scene.groups[rng.integers(len(scene.groups))]
    asked = [_ask_what(scene, group, say), _ask_where(scene, group, say), _ask_either_or(scene, group, say),
             _ask_yes_no(scene, group, say)]
    if group.name not in MEASURED:
        asked.append(_ask_how_many(scene, group, say))
    if len(scene.groups) > 1:
        side = SIDES[len(scene.groups)][scene.groups.index(group)]
        either = len(scene.groups) == 2 and rng.random() < 0.3
        asked.append(Question("side", say("left or right" if either else "side", group),
                              SIDES_CHINESE[side] if chinese else side))
    if group.colour is not None:
        kinds, fields = _kinds(group, scene.groups), {}
        if kinds and rng.random() < 0.2:
            kind = _of_kind(group, kinds, say)
            fields = {"thing": kind["kind"], "are": kind["are"], "measure": kind["measure_of_kind"]}
        asked.append(Question("colour", say("colour", group, **fields), colour_word(group.colour, chinese)))
    return asked


class Wording:
    """Words a question about a scene, one way or another; called with a key of `wordings.ENGLISH`, the group that it is
    about, and what else its fields need."""

    def __init__(self, scene: Scene, rng: np.random.Generator, chinese: bool, unseen: bool = False):
        self.scene, self.rng, self.chinese = scene, rng, chinese
        seen = wordings.CHINESE if chinese else wordings.ENGLISH
        self.table = wordings.UNSEEN[chinese] if unseen else seen
        self.spot = (PLACES_CHINESE if chinese else PLACE_PHRASES)[scene.place] if scene.place in ASKABLE else None

    def another(self, group: Group) -> Group:
        """A group by another word, perhaps, that means nothing else in the scene."""
        return by_another_word(group, self.rng, self.chinese, self.scene.groups,
                               kinds=synonyms.KINDS_CHINESE if self.chinese else synonyms.KINDS)

    def name(self, group: Group) -> str:
        """What follows "the", by another word perhaps: "dogs", 小狗."""
        group = self.another(group)
        return group.word(chinese=True) if self.chinese else subject(group)[0]

    def __call__(self, key: str, group: Group | None = None, **fields: str) -> str:
        pic, there = (str(self.rng.choice(some)) for some in (wordings.PICTURES, wordings.THERE[self.chinese]))
        color = str(self.rng.choice(("color", "colour")))
        fields = {"pic": pic, "there": there, "color": color, "Color": color.capitalize(),
                  "spot": self.spot or there} | fields
        if group is not None:
            if group.called is None and (renamed := self.another(group)).called != fields.get("kind"):
                group = renamed  # nobody asks whether the fruit is a fruit
            name, are = subject(group)
            one = replace(group, count=1)
            many = name if group.name in MEASURED else plural(group.word(chinese=False))
            uncounted = group.name in MEASURED and not group.is_plural  # "is there any bread", "are there any cars"
            fields = {"are": are, "Are": are.capitalize(), "many": many, "Are_any": "Is" if uncounted else "Are",
                      "thing": group.word(chinese=True) if self.chinese else name, "measure": group.measure,
                      "one": (phrase_chinese if self.chinese else phrase)(one, with_colour=False)} | fields
        seen, forms = self.table is not wordings.UNSEEN[self.chinese], self.table[key]
        # The most usual ones stand in front, and the first tenth is drawn in a third of the cases.
        text = forms[int(len(forms) * self.rng.random() ** (2 if seen else 1))].format(**fields)
        chance = self.rng.random()
        if chance < 0.1:  # as people type
            text = text[0].lower() + text[1:].rstrip("?？.。")
        elif chance < 0.28 and seen and not re.match(wordings.POLITE[self.chinese], text):
            text = self._as_spoken(text, pic, chance, polar=key.startswith(("is ", "has ", "can ", "kind ")))
        return text

    def _as_spoken(self, text: str, pic: str, chance: float, polar: bool) -> str:
        """A question with something before or after it, or with other words for some of it. polar: For yes or no."""
        if chance < 0.18:
            opening = str(self.rng.choice(wordings.OPENINGS[self.chinese])).format(pic=pic)
            return opening + (text if opening.endswith(". ") else text[0].lower() + text[1:])
        if self.chinese and polar and re.search("(?<![对是])吗？$", text) and "了" not in text:
            return text[:-2] + str(self.rng.choice(wordings.TAGS_CHINESE))
        if self.chinese and re.search("[左右]边", text):
            return re.sub("(?<=[左右])边", str(self.rng.choice(wordings.SIDE_ENDINGS)), text)
        if chance < 0.23 and text.endswith(("?", "？")) and not re.search("吗？$|没有？$|还是| or ", text):
            return text[:-1] + str(self.rng.choice(wordings.ENDINGS[self.chinese]))
        return re.sub("^(What|Where) is ", r"\1's ", text)


def _name_things(groups: tuple[Group, ...], chinese: bool) -> str:
    """The answer to a question for things: "a dog and two cars", "一只狗和两辆汽车"."""
    if chinese:
        return join_chinese([phrase_chinese(g, with_colour=False) for g in groups])
    return join([phrase(g, with_colour=False) for g in groups])


def _ask_what(scene: Scene, group: Group, say: Wording) -> Question:
    rng, form = say.rng, say.rng.random()
    i = scene.groups.index(group)
    if len(scene.groups) > 1 and form < 0.4:
        return _ask_what_is_there(scene, -int(rng.integers(2)), say)  # the first or the last
    if len(scene.groups) == 3 and form < 0.45:
        a, b = map(say.name, scene.groups[::2])
        if rng.random() < 0.5:
            a, b = b, a
        return Question("what", say("between", a=a, b=b), _name_things(scene.groups[1:2], say.chinese))
    others = tuple(other for other in scene.groups if other != group)
    if others and form < 0.6:
        return _ask_what_is_beside(scene, i, say)
    if others and form < 0.65:
        return Question("what", say("besides", group), _name_things(others, say.chinese))
    kinds = _kinds(group, scene.groups)
    if form > 0.9 and group.colour is not None and not {None, group.colour} & {other.colour for other in others}:
        key, fields = "of colour", {"colour": colour_word(group.colour, say.chinese)}
        if kinds and rng.random() < 0.5:
            key, fields = "category of colour", fields | _of_kind(group, kinds, say)
        return Question("what", say(key, **fields), _name_things((group,), say.chinese))
    if kinds and rng.random() < 0.45:
        key = "category of one" if group.count == 1 and rng.random() < 0.5 else "category"
        return Question("what", say(key, **_of_kind(group, kinds, say)), _name_things((group,), say.chinese))
    single = len(scene.groups) == group.count == 1 and rng.random() < 0.3
    return Question("what", say("single" if single else "everything"), _name_things(scene.groups, say.chinese))


def _kinds(group: Group, beside: tuple[Group, ...] = ()) -> list[str]:
    """The kinds that a group is of and nothing beside it."""
    return [kind for kind, nouns in OF_KIND.items() if group.name in nouns and not any(
        other.name in ALIKE[kind] for other in beside if other != group)]


def _of_kind(group: Group, kinds: list[str], say: Wording) -> dict[str, str]:
    """The fields of a question for a group by one of its kinds."""
    kind = str(say.rng.choice(kinds))
    many, in_chinese, measure = synonyms.ASKED_KINDS[kind]
    several = group.count > 1 and many is not None
    return {"kind": in_chinese if say.chinese else many if several else kind, "are": "are" if several else "is",
            "measure_of_kind": measure}


def _ask_what_is_there(scene: Scene, i: int, say: Wording) -> Question:
    group, fields = scene.groups[i], side_fields(SIDES[len(scene.groups)][i], say.chinese)
    key = "on side"
    if (kinds := _kinds(group)) and say.rng.random() < 0.25:
        key, fields = "category on side", fields | _of_kind(group, kinds, say)
    return Question("what", say(key, **fields), _name_things((group,), say.chinese))


def _ask_what_is_beside(scene: Scene, i: int, say: Wording) -> Question:
    """What is next to a thing or, half of the time if there is but one answer, on one side of it."""
    sides = [(side, there) for side, there in (("left", scene.groups[:i]), ("right", scene.groups[i + 1:]))
             if len(there) == 1]
    if sides and say.rng.random() < 0.5:
        side, there = sides[say.rng.integers(len(sides))]
        key, fields = "to the side", side_fields(side, say.chinese)
        if (kinds := _kinds(there[0])) and say.rng.random() < 0.3:
            key, fields = "category to the side", fields | _of_kind(there[0], kinds, say)
        text = say(key, scene.groups[i], **fields)
    else:
        there = scene.groups[max(0, i - 1):i] + scene.groups[i + 1:i + 2]
        text = say("beside", scene.groups[i])
    return Question("what", text, _name_things(there, say.chinese))


def _ask_where(scene: Scene, group: Group, say: Wording) -> Question:
    """Where something is or a picture was taken, or when."""
    if light_of(scene) and say.rng.random() < 0.1:
        return Question("where", say("time"), LIGHT_NAMES[light_of(scene)][say.chinese])
    # Nobody asks where a picture was taken that has a plain background.
    of_thing = scene.place == "plain" or say.rng.random() < 0.5
    return Question("where", say("where", group) if of_thing else say("place"),
                    where_chinese(scene) if say.chinese else where(scene))


def _ask_how_many(scene: Scene, group: Group, say: Wording) -> Question:
    """How many there are of a kind, of all things, of a category, or of a kind that is not there."""
    rng, form = say.rng, say.rng.random()
    if form < 0.2:
        total = sum(g.count for g in scene.groups)
        return Question("how many", say("total"), f"{NUMBERS_CHINESE[total]}个" if say.chinese else NUMBERS[total])
    kinds = [kind for kind in _kinds(group) if synonyms.ASKED_KINDS[kind][0] and not any(
        g.name in ALIKE[kind] - OF_KIND[kind] or g.name in MEASURED for g in scene.groups)]
    if form < 0.4 and kinds:
        kind = str(rng.choice(kinds))
        many, thing, measure = synonyms.ASKED_KINDS[kind]
        total = sum(g.count for g in scene.groups if g.name in OF_KIND[kind])
        return Question("how many", say("count", many=many, thing=thing, measure=measure),
                        NUMBERS_CHINESE[total] + measure if say.chinese else NUMBERS[total])
    if form < 0.42:
        thing = str(rng.choice(wordings.NEVER_THERE[say.chinese]))
        text = say("count", many="" if say.chinese else plural(thing), thing=thing, measure="个")
        return Question("how many", text, "没有" if say.chinese else "none")
    if form < 0.5:
        absent = Group(absent_noun(scene, rng), 1)
        if absent.name not in MEASURED:
            return Question("how many", say("count", absent), "没有" if say.chinese else "none")
    return Question("how many", say("count", group), number_word(group, say.chinese))


def _ask_yes_no(scene: Scene, group: Group, say: Wording) -> Question:
    """A question of one of the forms that the scene allows, to be affirmed half of the time."""
    truth = bool(say.rng.random() < 0.5)
    countable = group.name not in MEASURED
    ask = pick({
        _is_there: 0.45,
        _is_colour: 0.15 * (group.colour is not None),
        _is_count: 0.15 * countable,
        _is_more_than: 0.08 * countable,
        _is_place: 0.15 * (scene.place != "plain"),
        _is_light: 0.06 * bool(light_of(scene)),
        _is_on_side: 0.12 * (len(scene.groups) > 1),
        _is_category: 0.14 * any(map(_kinds, scene.groups)),
        _is_more_of: 0.1 * bool(_of_another_number(scene, group)),
        _kind_is: 0.1 * bool(group.count == 1 and _kinds(group, scene.groups)),
    }, say.rng)
    return ask(scene, group, truth, say)


def _yes_or_no(text: str, truth: bool, say: Wording) -> Question:
    """The answer to a question; in Chinese it repeats the verb."""
    yes, no = "yes", "no"
    if say.chinese:
        yes = next(verb for sign, verb in wordings.VERBS.items() if re.search(sign, text))
        no = wordings.NO_CHINESE[yes]
    return Question("yes/no", text, yes if truth else no)


def _is_there(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    rng, chinese = say.rng, say.chinese
    if not truth and rng.random() < 0.12:
        thing = str(rng.choice(wordings.NEVER_THERE[chinese]))
        return _yes_or_no(say("is there", thing=thing, many="" if chinese else plural(thing), Are_any="Are",
                              one=f"一个{thing}" if chinese else article(thing)), truth, say)
    if not truth:
        group = Group(absent_noun(scene, rng), 1)
    form = "is there"
    if len(scene.groups) == scene.groups[0].count == 1 and rng.random() < 0.2:
        form = "is this"
    elif chinese and rng.random() < 0.2:
        form = "can see"
    return _yes_or_no(say(form, group), truth, say)


def _is_colour(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    rng, chinese = say.rng, say.chinese
    colour = group.colour if truth else int(rng.choice([c for c in range(len(COLOURS)) if c != group.colour]))
    form = str(rng.choice(("is colour", "has colour")))
    asked = say.another(group)
    one = (phrase_chinese if chinese else phrase)(replace(asked, count=1, colour=colour), with_colour=True)
    return _yes_or_no(say(form, asked, colour=colour_word(colour, chinese), one=one), truth, say)


def _is_count(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    count = group.count if truth else int(say.rng.choice([c for c in (1, 2, 3) if c != group.count]))
    asked = say.another(Group(group.noun, count))
    if say.chinese:
        fields = {"n": number_word(asked, chinese=True) if count == 1 else phrase_chinese(asked, with_colour=False)}
    else:  # "exactly one dog" is asked of two, too
        fields = {"n": phrase(asked, with_colour=False), "thing": asked.word(chinese=False)}
    return _yes_or_no(say("is count" if count > 1 else "is one", group, **fields), truth, say)


def _is_more_than(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    """Whether there are more than two dogs, fewer than three, at least two: 超过两只."""
    compared = [(words, n) for words, ns, holds in (
        (("more than", "超过", "多于", "不止"), (1, 2), group.count.__gt__),
        (("fewer than", "少于", "不到"), (2, 3), group.count.__lt__),
        (("at least", "至少有"), (2, 3), group.count.__ge__)) for n in ns if holds(n) == truth]
    (english, *chinese), n = compared[say.rng.integers(len(compared))]
    asked = say.another(replace(group, count=n, colour=None))
    if say.chinese:
        number = str(say.rng.choice(chinese)) + number_word(asked, chinese=True)
    else:
        number = f"{english} {NUMBERS[n]} {subject(asked)[0]}"
    return _yes_or_no(say("is more than", group, n=number, Are_there="Is there" if n == 1 else "Are there"), truth, say)


def _of_another_number(scene: Scene, group: Group) -> list[Group]:
    """The groups that there are more of, or fewer."""
    return [other for other in scene.groups
            if other.count != group.count and {group.name, other.name}.isdisjoint(MEASURED)]


def _is_more_of(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    others = _of_another_number(scene, group)
    first, second = sorted((group, others[say.rng.integers(len(others))]), key=lambda g: g.count, reverse=truth)
    first, second = say.another(first), say.another(second)
    return _yes_or_no(say("is more of", first, many=plural(first.word(chinese=False)),
                          others=plural(second.word(chinese=False)), other=second.word(say.chinese)), truth, say)


def _is_place(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    rng, chinese, chance = say.rng, say.chinese, say.rng.random()
    if chance < 0.4:
        right, wrong = _backgrounds(scene, chinese)
        form, fields = "is background", {"background": str(rng.choice(right if truth else wrong))}
    elif scene.place not in ASKABLE or chance < 0.6:
        inside, outside = INSIDE[chinese][rng.integers(2)]
        form, fields = "is place", {"place": inside if (scene.place == "room") == truth else outside}
    else:
        place = scene.place if truth else str(rng.choice([p for p in ASKABLE if p != scene.place]))
        form = str(rng.choice(("is place", "is in place")))
        fields = {"place": (PLACES_CHINESE if chinese else PLACE_PHRASES)[place]}
    return _yes_or_no(say(form, group, **fields), truth, say)


def _is_light(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    light = light_of(scene)
    asked = light if truth else str(say.rng.choice([which for which in LIGHT_NAMES if which != light]))
    words = (LIGHT_NAMES[asked][say.chinese], *synonyms.LIGHTS[say.chinese][asked])
    return _yes_or_no(say("is light", group, light=str(say.rng.choice(words))), truth, say)


def _is_on_side(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    rng, i, sides = say.rng, scene.groups.index(group), SIDES[len(scene.groups)]
    if rng.random() < 0.5:
        j = int(rng.choice([k for k in range(len(sides)) if k != i]))
        side = "left" if (i < j) == truth else "right"
        form, fields = "is left of", {"other": say.name(scene.groups[j])}
    else:
        side = sides[i] if truth else str(rng.choice([which for which in sides if which != sides[i]]))
        form, fields = "is on side", {}
    return _yes_or_no(say(form, group, **fields, **side_fields(side, say.chinese)), truth, say)


def _is_category(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    """Whether there is an animal, are any tools."""
    rng = say.rng
    shown = {kind for g in scene.groups for kind in _kinds(g)}
    missing = {kind for kind, nouns in ALIKE.items() if not any(g.name in nouns for g in scene.groups)}
    usual = {"animal", "vehicle", "food"} if rng.random() < 0.4 else set()
    asked = shown if truth else missing
    kind = str(rng.choice(sorted(asked & usual or asked)))
    many, in_chinese, _ = synonyms.ASKED_KINDS[kind]
    several = many is not None and rng.random() < 0.6
    in_english = str(rng.choice((many, f"any {many}"))) if several else article(kind) if many else f"any {kind}"
    return _yes_or_no(say("is category", kind=in_chinese if say.chinese else in_english,
                          Are="Are" if several else "Is"), truth, say)


def _kind_is(scene: Scene, group: Group, truth: bool, say: Wording) -> Question:
    """Whether the animal there is a dog."""
    kind = str(say.rng.choice(_kinds(group, scene.groups)))
    alike = {group.name}.union(*(nouns for nouns in LOOKALIKES if group.name in nouns))
    others = [noun for noun, names in enumerate(NOUNS) if names.english in OF_KIND[kind] - alike]
    if not truth and others:
        group = Group(int(say.rng.choice(others)), 1)
    fields = {"kind": synonyms.ASKED_KINDS[kind][1] if say.chinese else kind}
    return _yes_or_no(say("kind is", group, **fields), truth or not others, say)


def _backgrounds(scene: Scene, chinese: bool) -> tuple[list[str], list[str]]:
    """What the background of a scene can be called, and what not: by a beach there is the sea, by a road grass."""
    doubtful = {"beach": {"sea", "desert"}, "sea": {"beach"}, "desert": {"beach"}, "road": {"grass"}}.get(
        scene.place, set())
    doubtful |= {"night", "sunset"} if scene.light != "day" else set()
    table = synonyms.BACKGROUNDS[chinese]
    return list(table[scene.place]), [
        word for place, words in table.items() if place not in doubtful | {scene.place} for word in words]


def _ask_either_or(scene: Scene, group: Group, say: Wording) -> Question:
    """A question that offers two answers, one of them right, to be repeated as it was said."""
    rng, chinese = say.rng, say.chinese
    light = light_of(scene)
    forms = {"colour": 0.3 * (group.colour is not None), "thing": 0.3 * (group.count == 1), "number": 0.15 * (
        group.name not in MEASURED), "light": 0.1 * bool(light), "place": 0.2 * (
        scene.place != "plain"), "on side": 0.1 * (len(scene.groups) > 1)}
    form = pick(forms, rng)
    asked, fields = say.another(group), {}
    if form == "colour":
        others = rng.permutation([c for c in range(len(COLOURS)) if c != group.colour])
        answers = [colour_word(int(colour), chinese) for colour in (group.colour, *others[:1 + (rng.random() < 0.15)])]
        if chinese and rng.random() < 0.3:  # 红的还是蓝的
            answers = [f"{answer[:-1]}的" for answer in answers]
    elif form == "thing":
        things = [asked, say.another(Group(absent_noun(scene, rng), 1))]
        bare = chinese and rng.random() < 0.5
        answers = [thing.word(chinese) if bare else _name_things((thing,), chinese) for thing in things]
        if len(scene.groups) == 1 and rng.random() < 0.6:
            form = "this"
    elif form == "number":
        others = rng.permutation([c for c in (1, 2, 3) if c != group.count])
        counts = [group.count, *map(int, others[:1 + (rng.random() < 0.15)])]
        answers = [number_word(replace(group, count=count), chinese) for count in counts]
    elif form == "light":
        others = rng.permutation([which for which in LIGHT_NAMES if which != light])
        answers = [str(rng.choice((LIGHT_NAMES[which][chinese], *synonyms.LIGHTS[chinese][which])))
                   for which in (light, *others[:1 + (rng.random() < 0.3)])]
    elif form == "on side":
        there = int(rng.integers(2))
        answers = [say.name(scene.groups[-end]) for end in (there, 1 - there)]  # the first is 0, the last -1
        fields = side_fields(("left", "right")[there], chinese)
    elif rng.random() < 0.5:
        form, (right, wrong) = "background", _backgrounds(scene, chinese)
        answers = [str(rng.choice(right)), str(rng.choice(wrong))]
    elif scene.place in ("night", "sunset") or rng.random() < 0.5:
        answers = list(INSIDE[chinese][rng.integers(2)][::1 if scene.place == "room" else -1])
    else:
        other = str(rng.choice([place for place in ASKABLE if place != scene.place]))
        answers = [(PLACES_CHINESE if chinese else PLACE_PHRASES)[place] for place in (scene.place, other)]
    *before, b = map(str, rng.permutation(answers))
    text = say(f"either {form}", asked, a=("、" if chinese else ", ").join(before), b=b, **fields)
    return Question("either/or", text, answers[0])


def ask_to_describe(scene: Scene, rng: np.random.Generator, chinese: bool) -> Question:
    """A question that is answered with a whole caption."""
    wanted = caption_chinese(scene) if chinese else caption(scene)
    return Question("caption", Wording(scene, rng, chinese)("describe"), wanted)


def dialogue(scene: Scene, rng: np.random.Generator, chinese: bool = False) -> list[Question]:
    """Two to four questions in a row; the later ones may say "it" or "they" for what was spoken of before.

    A third of the dialogues ask only for sides and for yes or no, which are the hardest to learn.
    """
    form = rng.random()
    if form < 0.7:
        asked = questions(scene, rng, chinese)
        if form < 0.35:
            asked = [question for question in asked + questions(scene, rng, chinese) + questions(scene, rng, chinese)
                     if question.kind in ("side", "yes/no")]
        rng.shuffle(asked)
        return asked[:4]
    say = Wording(scene, rng, chinese)
    i = int(rng.integers(len(scene.groups)))
    group = scene.groups[i]
    if len(scene.groups) == 1:
        text = say("single" if group.count == 1 and rng.random() < 0.5 else "everything")
        opening = Question("what", text, _name_things(scene.groups, chinese))
    else:
        opening = _ask_what_is_there(scene, i, say)
    they = {"thing": ("它们" if group.count > 1 else "它") if chinese else ("they" if group.is_plural else "it")}
    later = [Question("where", say("then where", group, **they), where_chinese(scene) if chinese else where(scene))]
    if group.name not in MEASURED:
        later.append(Question("how many", say("then count", group), number_word(group, chinese)))
    if group.colour is not None:
        later.append(Question("colour", say("then colour", group, **they), colour_word(group.colour, chinese)))
    rng.shuffle(later)
    if len(scene.groups) == 2 and rng.random() < 0.75:  # comes last: what follows would be about the other thing
        later[2:] = [Question("what", say("else"), _name_things((scene.groups[1 - i],), chinese))]
    return [opening, *later]
