"""Questions about a scene and their answers, in English and Chinese: what BLIP-2 is trained with."""

import re
from dataclasses import dataclass, replace

import numpy as np

from multimodal.words import article

from . import wordings
from .language import (
    COLOURS,
    MEASURED,
    MISPLACED,
    NUMBERS,
    NUMBERS_CHINESE,
    PLACE_PHRASES,
    PLACES_CHINESE,
    SIDES,
    SIDES_CHINESE,
    Group,
    Scene,
    absent_noun,
    by_another_word,
    caption,
    caption_chinese,
    colour_word,
    draw,
    join,
    join_chinese,
    number_word,
    phrase,
    phrase_chinese,
    plural,
    side_fields,
    subject,
    where,
    where_chinese,
)

QUESTION_KINDS = ("what", "how many", "where", "side", "colour", "either/or", "yes/no")
LIGHT_NAMES = {"day": ("day", "白天"), "night": ("night", "夜晚"), "sunset": ("sunset", "日落时分")}
INSIDE = {False: (("indoors", "outdoors"), ("inside", "outside")), True: (("室内", "室外"), ("室内", "户外"))}
CATEGORY_QUESTIONS = {"animal": ("animal", "animals", "动物"), "vehicle": ("vehicle", "vehicles", "交通工具"),
                      "food": ("food", None, "食物")}
# Where one of these is, nobody can say that there is nothing of the category.
SEMBLANCES = {"animal": {"teddy bear", "snowman", "robot"}, "food": set(),
              "vehicle": {"skateboard", "balloon", "kite", "ferris wheel"}}


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
        asked.append(Question("colour", say("colour", group), colour_word(group.colour, chinese)))
    return asked


class Wording:
    """Words a question about a scene, one way or another; called with a key of `wordings.ENGLISH`, the group that it is
    about, and what else its fields need."""

    def __init__(self, scene: Scene, rng: np.random.Generator, chinese: bool, unseen: bool = False):
        self.scene, self.rng, self.chinese = scene, rng, chinese
        seen = wordings.CHINESE if chinese else wordings.ENGLISH
        self.table = wordings.UNSEEN[chinese] if unseen else seen

    def another(self, group: Group) -> Group:
        """A group by another word, perhaps, that means nothing else in the scene."""
        return by_another_word(group, self.rng, self.chinese, self.scene.groups,
                               kinds=wordings.KINDS_CHINESE if self.chinese else wordings.KINDS)

    def __call__(self, key: str, group: Group | None = None, **fields: str) -> str:
        pic, there = (str(self.rng.choice(some)) for some in (wordings.PICTURES, wordings.THERE[self.chinese]))
        fields = {"pic": pic, "there": there, "color": str(self.rng.choice(("color", "colour")))} | fields
        if group is not None:
            if group.called is None:
                group = self.another(group)
            name, are = subject(group)
            one = replace(group, count=1)
            many = name if group.name in MEASURED else plural(group.word(chinese=False))
            uncounted = group.name in MEASURED and not group.is_plural  # "is there any bread", "are there any cars"
            fields = {"are": are, "Are": are.capitalize(), "many": many, "Are_any": "Is" if uncounted else "Are",
                      "thing": group.word(chinese=True) if self.chinese else name, "measure": group.measure,
                      "one": (phrase_chinese if self.chinese else phrase)(one, with_colour=False)} | fields
        text = str(self.rng.choice(self.table[key])).format(**fields)
        chance = self.rng.random()
        if chance < 0.1:  # as people type
            text = text[0].lower() + text[1:].rstrip("?？.")
        elif chance < 0.2 and self.table is not wordings.UNSEEN[self.chinese]:
            opening = str(self.rng.choice(wordings.OPENINGS[self.chinese])).format(pic=pic)
            if text.startswith(opening):  # 那那是什么
                opening = ""
            text = opening + (text if opening.endswith(". ") else text[0].lower() + text[1:])
        return text


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
    if len(scene.groups) > 1 and form < 0.6:
        return _ask_what_is_beside(scene, i, say)
    others = [other.colour for other in scene.groups if other != group]
    if form > 0.9 and group.colour is not None and not {None, group.colour} & set(others):
        text = say("of colour", colour=colour_word(group.colour, say.chinese))
        return Question("what", text, _name_things((group,), say.chinese))
    alone = sum(g.category == group.category for g in scene.groups) == 1
    if alone and _has_category(group) and rng.random() < 0.3:
        key = "category of one" if group.count == 1 and rng.random() < 0.5 else "category"
        return Question("what", say(key, **_category(group, say.chinese)), _name_things((group,), say.chinese))
    single = len(scene.groups) == group.count == 1 and rng.random() < 0.3
    return Question("what", say("single" if single else "everything"), _name_things(scene.groups, say.chinese))


def _has_category(group: Group) -> bool:
    return group.category in CATEGORY_QUESTIONS and group.name not in MISPLACED


def _category(group: Group, chinese: bool) -> dict[str, str]:
    one, many, in_chinese = CATEGORY_QUESTIONS[group.category]
    several = group.count > 1 and many is not None
    return {"kind": in_chinese if chinese else many if several else one, "are": "are" if several else "is"}


def _ask_what_is_there(scene: Scene, i: int, say: Wording) -> Question:
    group, fields = scene.groups[i], side_fields(SIDES[len(scene.groups)][i], say.chinese)
    key = "on side"
    if _has_category(group) and say.rng.random() < 0.25:
        key, fields = "category on side", fields | _category(group, say.chinese)
    return Question("what", say(key, **fields), _name_things((group,), say.chinese))


def _ask_what_is_beside(scene: Scene, i: int, say: Wording) -> Question:
    """What is next to a thing or, half of the time if there is but one answer, on one side of it."""
    sides = [(side, there) for side, there in (("left", scene.groups[:i]), ("right", scene.groups[i + 1:]))
             if len(there) == 1]
    if sides and say.rng.random() < 0.5:
        side, there = sides[say.rng.integers(len(sides))]
        text = say("to the side", scene.groups[i], **side_fields(side, say.chinese))
    else:
        there = scene.groups[max(0, i - 1):i] + scene.groups[i + 1:i + 2]
        text = say("beside", scene.groups[i])
    return Question("what", text, _name_things(there, say.chinese))


def _ask_where(scene: Scene, group: Group, say: Wording) -> Question:
    """Where something is or a picture was taken, or when."""
    if _light(scene) and say.rng.random() < 0.1:
        return Question("where", say("time"), LIGHT_NAMES[_light(scene)][say.chinese])
    # Nobody asks where a picture was taken that has a plain background.
    of_thing = scene.place == "plain" or say.rng.random() < 0.5
    return Question("where", say("where", group) if of_thing else say("place"),
                    where_chinese(scene) if say.chinese else where(scene))


def _light(scene: Scene) -> str | None:
    """Day, night or sunset; None where it is not to be seen."""
    if scene.place in ("room", "plain"):
        return None
    return scene.place if scene.place in ("night", "sunset") else scene.light


def _ask_how_many(scene: Scene, group: Group, say: Wording) -> Question:
    """How many there are of a kind, of all things, of a category, or of a kind that is not there."""
    rng, form = say.rng, say.rng.random()
    if form < 0.2:
        total = sum(g.count for g in scene.groups)
        return Question("how many", say("total"), f"{NUMBERS_CHINESE[total]}个" if say.chinese else NUMBERS[total])
    if form < 0.35 and _has_category(group) and group.category != "food" and not any(
            g.name in SEMBLANCES[group.category] | MISPLACED for g in scene.groups):
        _, many, thing = CATEGORY_QUESTIONS[group.category]
        total = sum(g.count for g in scene.groups if g.category == group.category)
        measure = {"animal": "只", "vehicle": "个"}[group.category]
        return Question("how many", say("count", many=many, thing=thing, measure=measure),
                        NUMBERS_CHINESE[total] + measure if say.chinese else NUMBERS[total])
    if form < 0.43:
        absent = Group(absent_noun(scene, rng), 1)
        if absent.name not in MEASURED:
            return Question("how many", say("count", absent), "没有" if say.chinese else "none")
    return Question("how many", say("count", group), number_word(group, say.chinese))


def _ask_yes_no(scene: Scene, group: Group, say: Wording) -> Question:
    """A question of one of the forms that the scene allows, to be affirmed half of the time."""
    rng, chinese = say.rng, say.chinese
    speak = phrase_chinese if chinese else phrase
    truth = bool(rng.random() < 0.5)
    # Nobody asks whether a cat is at night or on a plain background.
    askable = [place for place in PLACE_PHRASES if place not in ("night", "sunset", "plain")]
    light = _light(scene)
    shown = {g.category for g in scene.groups if _has_category(g)}
    missing = {category for category, alike in SEMBLANCES.items() if not any(
        g.category == category or g.name in alike for g in scene.groups)}
    forms = {"is there": 0.45, "is colour": 0.15 * (group.colour is not None), "is count": 0.15 * (
        group.name not in MEASURED), "is place": 0.12 * (scene.place != "plain"), "is light": 0.06 * bool(light),
        "is on side": 0.1 * (len(scene.groups) > 1), "is category": 0.12 * bool(shown and missing)}
    form = draw(forms, rng)
    fields: dict[str, str] = {}
    if form == "is colour":
        colour = group.colour if truth else int(rng.choice([c for c in range(len(COLOURS)) if c != group.colour]))
        form = str(rng.choice(("is colour", "has colour")))
        group = say.another(group)
        fields = {"colour": colour_word(colour, chinese), "one": speak(replace(group, count=1, colour=colour), True)}
    elif form == "is count":
        count = group.count if truth else int(rng.choice([c for c in (1, 2, 3) if c != group.count]))
        asked = say.another(Group(group.noun, count))
        form = "is count" if count > 1 else "is one"
        fields = {"n": number_word(asked, chinese) if chinese and count == 1 else speak(asked, False)}
        if not chinese:
            fields["thing"] = asked.word(chinese)  # "exactly one dog", of two dogs
    elif form == "is place":
        if scene.place not in askable or rng.random() < 0.3:
            words = INSIDE[chinese][rng.integers(2)]
            fields = {"place": words[(scene.place == "room") != truth]}
        else:
            place = scene.place if truth else str(rng.choice([p for p in askable if p != scene.place]))
            form = str(rng.choice(("is place", "is in place")))
            fields = {"place": (PLACES_CHINESE if chinese else PLACE_PHRASES)[place]}
    elif form == "is light":
        asked = light if truth else str(rng.choice([which for which in LIGHT_NAMES if which != light]))
        fields = {"light": str(rng.choice((LIGHT_NAMES[asked][chinese], *wordings.LIGHTS[chinese][asked])))}
    elif form == "is category":
        one, many, thing = CATEGORY_QUESTIONS[str(rng.choice(sorted(shown if truth else missing)))]
        several = many is not None and rng.random() < 0.6
        kind = str(rng.choice((many, f"any {many}"))) if several else article(one) if many else f"any {one}"
        fields = {"kind": thing if chinese else kind, "Are": "Are" if several else "Is"}
        group = None
    elif form == "is on side":
        sides = SIDES[len(scene.groups)]
        i = scene.groups.index(group)
        if rng.random() < 0.5:
            j = int(rng.choice([k for k in range(len(sides)) if k != i]))
            form, other = "is left of", say.another(scene.groups[j])
            side = "left" if (i < j) == truth else "right"
            fields = {"other": other.word(chinese) if chinese else subject(other)[0]}
        else:
            side = sides[i] if truth else str(rng.choice([which for which in sides if which != sides[i]]))
        fields |= side_fields(side, chinese)
    else:
        if not truth:
            group = Group(absent_noun(scene, rng), 1)
        if len(scene.groups) == scene.groups[0].count == 1 and rng.random() < 0.2:
            form = "is this"
        elif chinese and rng.random() < 0.2:
            form = "can see"
    text, yes, no = say(form, group, **fields), "yes", "no"
    if chinese:
        yes = next(verb for sign, verb in wordings.VERBS.items() if re.search(sign, text))
        no = wordings.NO_CHINESE[yes]
    return Question("yes/no", text, yes if truth else no)


def _ask_either_or(scene: Scene, group: Group, say: Wording) -> Question:
    """A question that offers two answers, one of them right, to be repeated as it was said."""
    rng, chinese = say.rng, say.chinese
    light = _light(scene)
    forms = {"colour": 0.3 * (group.colour is not None), "thing": 0.3 * (group.count == 1), "number": 0.15 * (
        group.name not in MEASURED), "light": 0.1 * (light in ("day", "night")), "place": 0.15 * (
        scene.place != "plain")}
    form = draw(forms, rng)
    asked = say.another(group)
    if form == "colour":
        answers = [colour_word(colour, chinese) for colour in (
            group.colour, int(rng.choice([c for c in range(len(COLOURS)) if c != group.colour])))]
    elif form == "thing":
        things = [asked, say.another(Group(absent_noun(scene, rng), 1))]
        bare = chinese and rng.random() < 0.5
        answers = [thing.word(chinese) if bare else _name_things((thing,), chinese) for thing in things]
        if len(scene.groups) == 1 and rng.random() < 0.6:
            form = "this"
    elif form == "number":
        counts = (group.count, int(rng.choice([c for c in (1, 2, 3) if c != group.count])))
        answers = [number_word(replace(group, count=count), chinese) for count in counts]
    elif form == "light":
        words = [("day", "daytime"), ("night", "nighttime")] if not chinese else [("白天", "白天"), ("晚上", "夜晚")]
        answers = [which[int(rng.integers(2))] for which in words]
        answers = answers if light == "day" else answers[::-1]
    elif scene.place in ("night", "sunset") or rng.random() < 0.5:
        answers = list(INSIDE[chinese][rng.integers(2)][::1 if scene.place == "room" else -1])
    else:
        other = str(rng.choice([p for p in PLACE_PHRASES if p not in (scene.place, "night", "sunset", "plain")]))
        answers = [(PLACES_CHINESE if chinese else PLACE_PHRASES)[place] for place in (scene.place, other)]
    a, b = rng.permutation(answers)
    return Question("either/or", say(f"either {form}", asked, a=str(a), b=str(b)), answers[0])


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
