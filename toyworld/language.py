"""A scene, and what its things and places are called, in English and Chinese.

A scene is one to three groups of things in a row, from left to right, in a place. Everything that captions and
questions say follows from that description, so every caption is true and every answer is right by construction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from . import synonyms
from .backgrounds import OUTDOOR
from .nouns import NOUNS

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black", "white")
COLOURS_CHINESE = ("红色", "橙色", "黄色", "绿色", "蓝色", "紫色", "粉色", "棕色", "灰色", "黑色", "白色")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS_CHINESE = ("零", "一", "两", "三", "四", "五", "六", "七", "八", "九")  # as they stand before a measure word
PLACE_PHRASES = {"snow": "in the snow", "beach": "on the beach", "grass": "on the grass", "night": "at night",
                 "sunset": "at sunset", "room": "in a room", "road": "on the road", "sea": "in the sea",
                 "desert": "in the desert", "plain": "on a plain background"}
PLACES_CHINESE = {"snow": "雪地里", "beach": "沙滩上", "grass": "草地上", "night": "夜空下", "sunset": "夕阳下",
                  "room": "房间里", "road": "马路上", "sea": "海里", "desert": "沙漠里", "plain": "纯色背景上"}
LIGHTS_CHINESE = {"day": "", "night": "夜晚", "sunset": "日落时分"}
SIDES = {1: ("",), 2: ("left", "right"), 3: ("left", "middle", "right")}
SIDES_CHINESE = {"left": "左边", "middle": "中间", "right": "右边"}

# Things whose colour is somebody's choice, so that it is worth saying: a red car, but not a green frog.
COLOURABLE = frozenset((
    "car", "bus", "truck", "tractor", "racing car", "motorcycle", "scooter", "bicycle", "train", "airplane",
    "helicopter", "rocket", "sailboat", "ship", "canoe", "parachute", "rose", "tulip", "house", "tent", "chair",
    "bed", "door", "key", "umbrella", "balloon", "gift", "teddy bear", "book", "pencil", "camera", "telephone",
    "robot", "hat", "glasses", "shirt", "dress", "shoe", "scarf", "backpack", "skateboard", "kite", "guitar",
    "drum", "teapot", "lollipop", "butterfly", "fish",
))
# A picture of one of these may pass for another, so a question does not deny one of the other.
LOOKALIKES = (
    {"car", "taxi", "police car", "racing car"}, {"truck", "fire engine", "ambulance", "bus"},
    {"sailboat", "ship", "canoe"}, {"motorcycle", "scooter", "bicycle"}, {"tree", "pine tree"},
    {"mountain", "volcano"}, {"whale", "dolphin", "shark", "fish"}, {"crocodile", "lizard"}, {"sheep", "goat"},
    {"tiger", "leopard", "cat"}, {"apple", "tomato", "peach", "cherries"}, {"duck", "swan"}, {"rose", "tulip"},
    {"monkey", "gorilla"}, {"bread", "croissant"}, {"house", "church"}, {"guitar", "violin"}, {"hat", "crown"},
    {"pear", "avocado", "kiwi"}, {"sun", "star", "sunflower"}, {"moon", "planet", "tent"}, {"cake", "candle", "fire"},
    {"rocket", "volcano", "fire"}, {"snowman", "hat", "scarf"}, {"tree", "palm tree", "broccoli"},
    {"soccer ball", "basketball", "baseball"}, {"umbrella", "parachute"}, {"television", "laptop"},
    {"pizza", "cheese", "tomato"}, {"hamburger", "tomato", "bread", "cheese"}, {"hot dog", "bread"},
    {"dinosaur", "lizard", "crocodile"}, {"tree", "palm tree", "apple", "maple leaf"}, {"laptop", "piano", "book"},
    {"house", "church", "castle", "door"},
)
# Words that English does not count by themselves: said with a measure and never more than one a scene.
MEASURED = {"glasses": "a pair of glasses", "jeans": "a pair of jeans", "scissors": "a pair of scissors",
            "grapes": "a bunch of grapes", "cherries": "a pair of cherries", "bread": "a loaf of bread",
            "broccoli": "a head of broccoli", "corn": "an ear of corn", "popcorn": "a box of popcorn",
            "sushi": "a piece of sushi", "cheese": "a piece of cheese"}
PLURALS = {"sheep": "sheep", "fish": "fish", "deer": "deer", "mouse": "mice", "maple leaf": "maple leaves",
           "cup of coffee": "cups of coffee", "glass of wine": "glasses of wine", "scarf": "scarves",
           "snowman": "snowmen", "volcano": "volcanoes", "tomato": "tomatoes", "potato": "potatoes",
           "autumn leaf": "autumn leaves", "leaf": "leaves", "aircraft": "aircraft",
           "piece of clothing": "pieces of clothing", "piece of food": "pieces of food", "person": "people",
           "man": "men", "woman": "women", "child": "children"}
# In their category in the list of nouns, but nobody would say so.
MISPLACED = frozenset(("teapot", "parachute"))
MEASURES_CHINESE = {"animal": "只", "vehicle": "辆", "building": "座", "clothing": "件"}
SPECIAL_MEASURES_CHINESE = {
    "匹": ("horse", "zebra"), "头": ("cow", "pig", "elephant", "camel", "whale"), "只": ("shoe", "teddy bear", "kite"),
    "条": ("fish", "snake", "crocodile", "shark", "scarf", "jeans", "dress", "canoe"),
    "架": ("airplane", "helicopter", "piano"), "艘": ("ship", "sailboat"), "列": ("train",), "枚": ("rocket", "ring"),
    "棵": ("tree", "pine tree", "palm tree", "cactus", "broccoli"), "片": ("maple leaf",), "团": ("fire",),
    "朵": ("rose", "tulip", "sunflower", "cloud", "mushroom"), "颗": ("strawberry", "star", "planet"),
    "轮": ("moon",), "道": ("rainbow",), "顶": ("hat", "crown", "tent", "parachute"), "座": ("mountain", "volcano"),
    "把": ("chair", "umbrella", "scissors", "key", "hammer", "guitar", "violin", "teapot"), "张": ("bed",),
    "扇": ("door",), "本": ("book",), "支": ("pencil", "candle", "trumpet"), "副": ("glasses",), "面": ("drum",),
    "台": ("camera", "laptop", "television"), "部": ("telephone",), "个": ("backpack",),
    "根": ("banana", "carrot", "corn", "eggplant", "lollipop"), "块": ("cheese", "pizza", "cookie", "skateboard"),
    "杯": ("cup of coffee", "glass of wine"), "桶": ("popcorn",), "串": ("grapes", "cherries"),
}
_MEASURE_OF = {noun: measure for measure, nouns in SPECIAL_MEASURES_CHINESE.items() for noun in nouns}


def _of_category(category: str) -> tuple[str, ...]:
    others = MISPLACED.union(synonyms.KINDS["drink"])
    return tuple(noun.english for noun in NOUNS if noun.category == category and noun.english not in others)


# Words that mean several nouns, in captions, and those nouns.
CAPTION_KINDS = {
    False: synonyms.KINDS | synonyms.CATEGORIES | {
        "animal": _of_category("animal"), "vehicle": _of_category("vehicle"), "piece of food": _of_category("food")},
    True: synonyms.KINDS_CHINESE | synonyms.CATEGORIES_CHINESE | {
        "动物": _of_category("animal"), "交通工具": _of_category("vehicle"), "食物": _of_category("food")},
}
# Which nouns each of the other words of `synonyms` can mean, if only to some.
_MEANINGS = {word: frozenset((noun,)) for names in (synonyms.NAMES, synonyms.NAMES_CHINESE)
             for noun, words in names.items() for word in words}
_MEANINGS |= {word: frozenset((*nouns, *synonyms.DOUBTFUL.get(word, ())))
              for kinds in CAPTION_KINDS.values() for word, nouns in kinds.items()}


@dataclass(frozen=True)
class Group:
    """Up to three of a kind: a noun's index in `NOUNS`, how many, and a colour's index or None; and what it is called,
    in the language that is spoken, if not by that noun."""
    noun: int
    count: int
    colour: int | None = None
    called: str | None = None

    @property
    def name(self) -> str:
        return NOUNS[self.noun].english

    @property
    def chinese(self) -> str:
        return NOUNS[self.noun].chinese

    def word(self, chinese: bool) -> str:
        return self.called or (self.chinese if chinese else self.name)

    @property
    def meanings(self) -> frozenset[str]:
        """The nouns, in English, that its word can mean: "boat" a sailboat, a ship or a canoe."""
        return frozenset((self.name,)) if self.called is None else _MEANINGS[self.called]

    @property
    def category(self) -> str:
        return NOUNS[self.noun].category

    @property
    def measure(self) -> str:
        """The Chinese measure word: 只 for dogs, 辆 for cars."""
        usual = _MEASURE_OF.get(self.name, MEASURES_CHINESE.get(self.category, "个"))
        return synonyms.CATEGORY_MEASURES.get(self.called, usual)

    @property
    def verb(self) -> str:
        """What follows its `phrase`: "two dogs are", but "a pair of scissors is"."""
        return "are" if self.count > 1 else "is"

    @property
    def is_plural(self) -> bool:
        """Whether English speaks of "them"."""
        return self.count > 1 or self.name in ("glasses", "jeans", "scissors", "grapes", "cherries")


@dataclass(frozen=True)
class Scene:
    """Groups from left to right, a place of `backgrounds.PLACES`, and a light of `backgrounds.LIGHTS`."""
    groups: tuple[Group, ...]
    place: str
    light: str = "day"


def article(words: str) -> str:
    """The words with "a" or "an" before them: "an apple", "a red apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(noun: str) -> str:
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def phrase(group: Group, with_colour: bool) -> str:
    """"a red car", "two dogs", "a pair of scissors"."""
    colour = f"{COLOURS[group.colour]} " if with_colour and group.colour is not None else ""
    if group.name in MEASURED:
        measure, of, noun = MEASURED[group.name].partition(" of ")
        return f"{measure}{of}{colour}{group.called or noun}"
    if group.count == 1:
        return article(colour + group.word(chinese=False))
    return f"{NUMBERS[group.count]} {colour}{plural(group.word(chinese=False))}"


def where(scene: Scene, rng: np.random.Generator | None = None, lit: bool = False) -> str:
    """"on the road at sunset": the answer to a question that begins with where; with `rng`, in one of many wordings,
    and with `lit`, the light in any case and perhaps nothing else: "on the road in daylight", "by night"."""
    place = or_alike(PLACE_PHRASES[scene.place], synonyms.PLACES[scene.place], rng)
    light = "" if scene.light in ("day", scene.place, None) else f"at {scene.light}"
    if rng is not None:
        place, light, _ = _in_light(scene, place, light, rng, lit, chinese=False)
    return f"{place} {light}".strip()


def light_of(scene: Scene) -> str | None:
    """Day, night or sunset; None where it is not to be seen."""
    if scene.place in ("room", "plain"):
        return None
    return scene.place if scene.place in ("night", "sunset") else scene.light


def _in_light(scene: Scene, place: str, light: str, rng: np.random.Generator, lit: bool, chinese: bool
              ) -> tuple[str, str, float]:
    """The words for a scene's place, for its light, and a number; draws as many numbers for any scene."""
    chance, which, alone, between = rng.random(4)
    if lit or (light and chance < 0.4) or (scene.place in OUTDOOR and chance < 0.1):
        words = synonyms.IN_LIGHT[chinese][light_of(scene) or scene.light]
        light = words[int(which * len(words))]
    return "" if lit and (alone < 0.4 or scene.place not in OUTDOOR) else place, light, between


def or_alike(usual: str, others: tuple[str, ...], rng: np.random.Generator | None) -> str:
    """The usual words or, with `rng`, in four of ten cases others that mean the same."""
    chance = 0 if rng is None else rng.random()
    return usual if chance < 0.6 else others[int((chance - 0.6) / 0.4 * len(others))]


def colour_is_worth_saying(group: Group) -> bool:
    return group.colour is not None and group.name in COLOURABLE


def join(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def caption(scene: Scene) -> str:
    """The one caption that says all: objects from left to right, counts, colours of choice, place."""
    objects = join([phrase(group, colour_is_worth_saying(group)) for group in scene.groups])
    return f"{objects} {where(scene)}"


def paraphrases(scene: Scene) -> list[str]:
    """The same as `caption` says, in other words."""
    phrases = [phrase(group, colour_is_worth_saying(group)) for group in scene.groups]
    objects, there, verb = join(phrases), where(scene), scene.groups[0].verb
    elsewhere = synonyms.PLACES[scene.place][0] + ("" if scene.light == "day" else f" at {scene.light}")
    said = [f"a picture of {objects} {there}", f"there {verb} {objects} {there}", f"{there}, {objects}",
            f"the picture shows {objects} {there}", f"{objects} {elsewhere}"]
    sides = [f"{words} {'in' if side == 'middle' else 'on'} the {side}"
             for words, side in zip(phrases, SIDES[len(phrases)])]
    return said if len(phrases) == 1 else [*said, f"{there}, {join(sides)}"]


def phrase_chinese(group: Group, with_colour: bool) -> str:
    """"一辆红色的汽车", "两只狗", "一把剪刀"."""
    colour = f"{COLOURS_CHINESE[group.colour]}的" if with_colour and group.colour is not None else ""
    return f"{NUMBERS_CHINESE[group.count]}{group.measure}{colour}{group.word(chinese=True)}"


def where_chinese(scene: Scene, rng: np.random.Generator | None = None, lit: bool = False) -> str:
    """"日落时分马路上"; see `where`."""
    place = PLACES_CHINESE[scene.place]
    light = "" if scene.light in (scene.place, None) else LIGHTS_CHINESE[scene.light]
    place = or_alike(place, synonyms.PLACES_CHINESE[scene.place], rng)
    if rng is None:
        return light + place
    place, light, between = _in_light(scene, place, light, rng, lit, chinese=True)
    return light + ("" if between < 0.5 else "的" if between < 0.7 else "，") * bool(light and place) + place


def join_chinese(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else "、".join(phrases[:-1]) + "和" + phrases[-1]


def _with_sides_chinese(phrases: list[str]) -> str:
    return "，".join(f"{SIDES_CHINESE[side]}是{words}" for side, words in zip(SIDES[len(phrases)], phrases))


def caption_chinese(scene: Scene) -> str:
    """`caption` in Chinese: "雪地里的一只狗", "草地上，左边是一只猫，右边是两辆红色的汽车"."""
    objects = [phrase_chinese(group, colour_is_worth_saying(group)) for group in scene.groups]
    words = f"的{objects[0]}" if len(objects) == 1 else f"，{_with_sides_chinese(objects)}"
    return where_chinese(scene) + words


def by_another_word(group: Group, rng: np.random.Generator, chinese: bool, beside: tuple[Group, ...] = (),
                    share: float = 0.25, kinds: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> Group:
    """A group called by another word for the same thing, if there is one: "bike", "kitten".

    Args:
        beside: The groups that the word must not mean, too.
        share: How often.
        kinds: Words for several nouns that may be used as well, as "boat", which does not tell a ship from a canoe.
    """
    chance, which = rng.random(2)  # always two numbers, so that what is drawn next does not depend on the group
    words = (synonyms.NAMES_CHINESE if chinese else synonyms.NAMES).get(group.name, ())
    if group.name not in MEASURED:
        words += tuple(word for word, nouns in kinds.items() if group.name in nouns)
    others = {other.name for other in beside if other.noun != group.noun}
    words = [word for word in words if not _MEANINGS[word] & others]
    return replace(group, called=words[int(which * len(words))]) if words and chance < share else group


def subject(group: Group) -> tuple[str, str]:
    """What follows "the", and the verb that goes with it: ("dogs", "are")."""
    word = group.word(chinese=False)
    return plural(word) if group.count > 1 and group.name not in MEASURED else word, "are" if group.is_plural else "is"


def colour_word(colour: int, chinese: bool) -> str:
    return (COLOURS_CHINESE if chinese else COLOURS)[colour]


def number_word(group: Group, chinese: bool) -> str:
    return NUMBERS_CHINESE[group.count] + group.measure if chinese else NUMBERS[group.count]


def side_fields(side: str, chinese: bool) -> dict[str, str]:
    on = f"{'in' if side == 'middle' else 'on'} the {side}"
    return {"side": SIDES_CHINESE[side] if chinese else side, "on": on,
            "on_side": on if side == "middle" else f"{on} side"}


def pick(shares: dict[Any, float], rng: np.random.Generator) -> Any:
    """One of the keys, as often as its share of the sum says."""
    return list(shares)[rng.choice(len(shares), p=np.array(list(shares.values())) / sum(shares.values()))]


def absent_noun(scene: Scene, rng: np.random.Generator) -> int:
    """A noun that is not in the scene nor looks like one that is; half the time of a kind with one."""
    present = {group.name for group in scene.groups}
    barred = present.union(*(alike for alike in LOOKALIKES if alike & present))
    if scene.place in ("sunset", "night", "sea") or scene.light != "day":
        barred |= {"sun", "star", "moon"}
    if scene.place in ("sunset", "night") or scene.light != "day":  # painted with hills, and with streaks in the sky
        barred |= {"mountain", "volcano", "cloud"}
    categories = {group.category for group in scene.groups} if rng.random() < 0.5 else None
    candidates = [i for i, noun in enumerate(NOUNS)
                  if noun.english not in barred and (categories is None or noun.category in categories)]
    return int(rng.choice(candidates or [i for i, noun in enumerate(NOUNS) if noun.english not in barred]))


def describe(scene: Scene) -> str:
    """All that is true of a scene, colours and sides included, in one line: what a language model must be told
    to answer every question about a picture that it cannot see.

    The side comes before the thing, as the number does: a model that reads forward then knows a thing's side when it
    reads the thing.
    """
    objects = [f"{'in' if side == 'middle' else 'on'} the {side} {phrase(group, with_colour=True)}" if side else
               phrase(group, with_colour=True) for group, side in zip(scene.groups, SIDES[len(scene.groups)])]
    return ", ".join([*objects, where(scene)])
