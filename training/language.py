"""What there is to say about a scene: captions, questions and answers, in English and Chinese.

A scene is one to three groups of objects in a row, from left to right, in a place. Everything said here
follows from that description, so every caption is true and every answer is right by construction.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from multimodal.words import article

from . import wordings
from .backgrounds import OUTDOOR
from .sprites import NOUNS

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black", "white")
COLOURS_CHINESE = ("红色", "橙色", "黄色", "绿色", "蓝色", "紫色", "粉色", "棕色", "灰色", "黑色", "白色")
NUMBERS = ("zero", "one", "two", "three")
NUMBERS_CHINESE = ("零", "一", "两", "三")
PLACE_PHRASES = {"snow": "in the snow", "beach": "on the beach", "grass": "on the grass", "night": "at night",
                 "sunset": "at sunset", "room": "in a room", "road": "on the road", "sea": "in the sea",
                 "desert": "in the desert", "plain": "on a plain background"}
PLACES_CHINESE = {"snow": "雪地里", "beach": "沙滩上", "grass": "草地上", "night": "夜空下", "sunset": "夕阳下",
                  "room": "房间里", "road": "马路上", "sea": "海里", "desert": "沙漠里", "plain": "纯色背景上"}
LIGHTS_CHINESE = {"day": "", "night": "夜晚", "sunset": "日落时分"}
SIDES = {1: ("",), 2: ("left", "right"), 3: ("left", "middle", "right")}
SIDES_CHINESE = {"left": "左边", "middle": "中间", "right": "右边"}
LIGHT_NAMES = {"day": ("day", "白天"), "night": ("night", "夜晚"), "sunset": ("sunset", "日落时分")}
INSIDE = {False: (("indoors", "outdoors"), ("inside", "outside")), True: (("室内", "室外"), ("室内", "户外"))}
CHINESE_PREFIX = "一张照片："  # a caption that begins so goes on in Chinese
QUESTION_KINDS = ("what", "how many", "where", "side", "colour", "either/or", "yes/no")

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
           "autumn leaf": "autumn leaves", "leaf": "leaves", "aircraft": "aircraft"}
CATEGORY_QUESTIONS = {"animal": ("animal", "animals", "动物"), "vehicle": ("vehicle", "vehicles", "交通工具"),
                      "food": ("food", None, "食物")}
# In their category in the list of nouns, but nobody would say so.
MISPLACED = frozenset(("teapot", "parachute"))
# Where one of these is, nobody can say that there is nothing of the category.
SEMBLANCES = {"animal": {"teddy bear", "snowman", "robot"}, "food": set(),
              "vehicle": {"skateboard", "balloon", "kite", "ferris wheel"}}
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


# Which nouns each of the other words of `wordings` can mean.
_MEANINGS = {word: frozenset((noun,)) for names in (wordings.NAMES, wordings.NAMES_CHINESE)
             for noun, words in names.items() for word in words}
_MEANINGS |= {word: frozenset(nouns) for word, nouns in {**wordings.KINDS, **wordings.KINDS_CHINESE}.items()}


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
        return _MEASURE_OF.get(self.name, MEASURES_CHINESE.get(self.category, "个"))

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


@dataclass(frozen=True)
class Question:
    kind: str
    text: str
    answer: str


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


def where(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """"on the road at sunset": the answer to a question that begins with where; with `rng`, in one of many wordings."""
    light = "" if scene.light == "day" else f" at {scene.light}"
    return _or_alike(PLACE_PHRASES[scene.place], wordings.PLACES[scene.place], rng) + light


def _or_alike(usual: str, others: tuple[str, ...], rng: np.random.Generator | None) -> str:
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


def vary_caption(scene: Scene, rng: np.random.Generator, complete: bool = False, placed: float = 0.85) -> str:
    """A true caption in one of many wordings, as people would type it.

    Some wordings leave out the order, the colours or the place. With `complete`, none does.

    Args:
        placed: How often the place is said.
    """
    objects = [phrase(g, colour_is_worth_saying(g) and (complete or rng.random() < 0.6)) for g in scene.groups]
    sides = ("on the left", "in the middle", "on the right") if len(objects) == 3 else ("on the left", "on the right")
    wording = rng.uniform(0.35, 1) if complete else rng.random()
    if len(objects) == 1 or wording < 0.35:
        rng.shuffle(objects)
        words = join(objects)
    elif len(objects) == 2 and wording < 0.6:
        words = f"{objects[0]} to the left of {objects[1]}"
    elif len(objects) == 2 and wording < 0.8:
        words = f"{objects[1]} to the right of {objects[0]}"
    else:
        words = join([f"{o} {side}" for o, side in zip(objects, sides)])
    if complete or (rng.random() < placed and not (scene.place == "plain" and rng.random() < 0.6)):
        words = f"{words} {where(scene, rng)}"
    start = rng.choice(["", "a picture of ", "a photo of ", "there is ", "an image of ", "this is ", "a drawing of ",
                        "I see ", "a picture with ", "a photo showing "],
                       p=[0.4, 0.15, 0.15, 0.08, 0.05, 0.05, 0.04, 0.04, 0.02, 0.02])
    if words.startswith(("two ", "three ")):
        start = {"there is ": "there are ", "this is ": "these are "}.get(start, start)
    return start + words


def place_caption(scene: Scene, rng: np.random.Generator, chinese: bool) -> str:
    """A true caption that says only where, or in what light, a picture was taken; in one of several wordings."""
    by_light = scene.light != "day" and rng.random() < 0.25
    if chinese:
        light, place = LIGHTS_CHINESE[scene.light], PLACES_CHINESE[scene.place]
        if by_light or (scene.place in LIGHTS_CHINESE and rng.random() < 0.5):
            spot = thing = light or LIGHTS_CHINESE[scene.place]
        else:  # Without its last character, 里, 上 or 下, a place is a thing: 沙滩上 is on the beach, 沙滩 the beach.
            usual, place = place, _or_alike(place, wordings.PLACES_CHINESE[scene.place], rng)
            thing = (place if len(place) > 2 else usual)[:-1]  # 水 of 水里 would say too little
            spot, thing = light + place, (light and f"{light}的") + thing
        return str(rng.choice([spot, f"在{spot}", thing, f"{spot}的照片", f"{thing}的图片", f"{spot}拍的照片",
                               f"在{spot}拍的照片"]))
    spot = f"at {scene.light}" if by_light else where(scene, rng)
    thing = spot.partition(" ")[2]  # "the beach at sunset", "a plain background", "night"
    said = [spot, thing, f"a picture {spot}", f"a photo {spot}", f"a picture taken {spot}", f"a photo taken {spot}"]
    if not spot.startswith("at "):
        said += [f"a picture of {thing}", f"a photo of {thing}"]
    return str(rng.choice(said))


def falsify(scene: Scene, rng: np.random.Generator, how: str | None = None) -> Scene | None:
    """A scene that differs from a given one in a single respect.

    Args:
        how: "order" (first and last group change places), "count", "object", "place" or "colour"; drawn if None.

    Returns None where the group that was drawn cannot differ in that respect, as one alone cannot change places.
    """
    groups = list(scene.groups)
    how = how or str(rng.choice(["order", "count", "object", "place", "colour"], p=[0.25, 0.15, 0.22, 0.08, 0.3]))
    i = int(rng.integers(len(groups)))
    if how == "order":
        if len(groups) == 1:
            return None
        groups[0], groups[-1] = groups[-1], groups[0]
    elif how == "count":
        if groups[i].name in MEASURED:
            return None
        room = 3 - sum(group.count for group in groups)  # no scene holds more than three things
        counts = [c for c in range(1, groups[i].count + room + 1) if c != groups[i].count]
        if not counts:
            return None
        groups[i] = replace(groups[i], count=int(rng.choice(counts)))
    elif how == "object":
        absent = absent_noun(scene, rng)
        if groups[i].count > 1 and NOUNS[absent].english in MEASURED:
            return None
        groups[i] = Group(absent, groups[i].count, groups[i].colour)
    elif how == "colour":
        if not colour_is_worth_saying(groups[i]):
            return None
        others = [c for c in range(len(COLOURS)) if c != groups[i].colour]
        groups[i] = replace(groups[i], colour=int(rng.choice(others)))
    else:
        places = [p for p in (PLACE_PHRASES if scene.light == "day" else OUTDOOR) if p != scene.place]
        return Scene(scene.groups, str(rng.choice(places)), scene.light)
    return Scene(tuple(groups), scene.place, scene.light)


def phrase_chinese(group: Group, with_colour: bool) -> str:
    """"一辆红色的汽车", "两只狗", "一把剪刀"."""
    colour = f"{COLOURS_CHINESE[group.colour]}的" if with_colour and group.colour is not None else ""
    return f"{NUMBERS_CHINESE[group.count]}{group.measure}{colour}{group.word(chinese=True)}"


def by_another_word(group: Group, rng: np.random.Generator, chinese: bool, beside: tuple[Group, ...] = (),
                    share: float = 0.25, kinds: bool = True) -> Group:
    """A group called by another word for the same thing, if there is one: "bike", "kitten".

    Args:
        beside: The groups that the word must not mean, too.
        share: How often.
        kinds: Whether "boat" may be said of a ship, which it does not tell from a canoe.
    """
    chance, which = rng.random(2)  # always two numbers, so that what is drawn next does not depend on the group
    words = (wordings.NAMES_CHINESE if chinese else wordings.NAMES).get(group.name, ())
    if kinds and group.name not in MEASURED:
        table = wordings.KINDS_CHINESE if chinese else wordings.KINDS
        words += tuple(word for word, nouns in table.items() if group.name in nouns)
    others = {other.name for other in beside if other.noun != group.noun}
    words = [word for word in words if not _MEANINGS[word] & others]
    return replace(group, called=words[int(which * len(words))]) if words and chance < share else group


def in_other_words(scene: Scene, rng: np.random.Generator, chinese: bool) -> Scene:
    """A scene whose things are called `by_another_word`, some of them."""
    return replace(scene, groups=tuple(by_another_word(group, rng, chinese, scene.groups) for group in scene.groups))


def where_chinese(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """"日落时分马路上"; see `where`."""
    place = _or_alike(PLACES_CHINESE[scene.place], wordings.PLACES_CHINESE[scene.place], rng)
    return LIGHTS_CHINESE[scene.light] + place


def join_chinese(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else "、".join(phrases[:-1]) + "和" + phrases[-1]


def _with_sides_chinese(phrases: list[str]) -> str:
    return "，".join(f"{SIDES_CHINESE[side]}是{words}" for side, words in zip(SIDES[len(phrases)], phrases))


def caption_chinese(scene: Scene) -> str:
    """`caption` in Chinese: "雪地里的一只狗", "草地上，左边是一只猫，右边是两辆红色的汽车"."""
    objects = [phrase_chinese(group, colour_is_worth_saying(group)) for group in scene.groups]
    words = f"的{objects[0]}" if len(objects) == 1 else f"，{_with_sides_chinese(objects)}"
    return where_chinese(scene) + words


def vary_caption_chinese(scene: Scene, rng: np.random.Generator, complete: bool = False, placed: float = 0.8) -> str:
    """`vary_caption` in Chinese."""
    placed = 1 if complete else placed
    # Complete captions draw the same numbers whatever the scene, so that a false one can have a true one's very words.
    if not complete and len(scene.groups) == 1 and scene.groups[0].count == 1 and rng.random() < 0.25:
        objects = [scene.groups[0].word(chinese=True)]
    else:
        objects = [phrase_chinese(g, colour_is_worth_saying(g) and (complete or rng.random() < 0.6))
                   for g in scene.groups]
    with_sides = len(objects) > 1 and (complete or rng.random() < 0.4)
    if not with_sides:
        rng.shuffle(objects)
    words = _with_sides_chinese(objects) if with_sides else join_chinese(objects)
    place = str(rng.choice(["", "在"], p=[0.8, 0.2])) + where_chinese(scene, rng)
    if rng.random() < 0.5 and scene.place in LIGHTS_CHINESE:
        place = LIGHTS_CHINESE[scene.place]
    if rng.random() < placed and (placed == 1 or scene.place != "plain" or rng.random() < 0.4):
        if with_sides:
            return f"{place}，{words}"
        # 有 makes a sentence of it, the others may go on as the name of a picture.
        return str(rng.choice([f"{place}的{words}", f"{place}的{words}的照片", f"{place}有{words}"], p=[0.6, 0.1, 0.3]))
    if with_sides:
        return str(rng.choice(["", "图片里，", "照片里，"], p=[0.7, 0.2, 0.1])) + words
    form = rng.choice(["{}", "图片里有{}", "{}的照片", "{}的图片", "一张{}的照片", "图中有{}", "这是{}", "画的是{}",
                       "有{}的图片", "我看到{}"], p=[0.5, 0.1, 0.08, 0.08, 0.06, 0.04, 0.04, 0.04, 0.03, 0.03])
    return str(form).format(words)


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
        asked.append(Question("colour", say("colour", group), _colour(group.colour, chinese)))
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
        return by_another_word(group, self.rng, self.chinese, self.scene.groups)

    def __call__(self, key: str, group: Group | None = None, **fields: str) -> str:
        pic, there = (str(self.rng.choice(some)) for some in (wordings.PICTURES, wordings.THERE[self.chinese]))
        fields = {"pic": pic, "there": there, "color": str(self.rng.choice(("color", "colour")))} | fields
        if group is not None:
            if group.called is None:
                group = self.another(group)
            name, are = _subject(group)
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


def _subject(group: Group) -> tuple[str, str]:
    """What follows "the", and the verb that goes with it: ("dogs", "are")."""
    word = group.word(chinese=False)
    return plural(word) if group.count > 1 and group.name not in MEASURED else word, "are" if group.is_plural else "is"


def _colour(colour: int, chinese: bool) -> str:
    return (COLOURS_CHINESE if chinese else COLOURS)[colour]


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
        text = say("of colour", colour=_colour(group.colour, say.chinese))
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
    group, fields = scene.groups[i], _side(SIDES[len(scene.groups)][i], say.chinese)
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
        text = say("to the side", scene.groups[i], **_side(side, say.chinese))
    else:
        there = scene.groups[max(0, i - 1):i] + scene.groups[i + 1:i + 2]
        text = say("beside", scene.groups[i])
    return Question("what", text, _name_things(there, say.chinese))


def _side(side: str, chinese: bool) -> dict[str, str]:
    on = f"{'in' if side == 'middle' else 'on'} the {side}"
    return {"side": SIDES_CHINESE[side] if chinese else side, "on": on,
            "on_side": on if side == "middle" else f"{on} side"}


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
    return Question("how many", say("count", group), _number(group, say.chinese))


def _number(group: Group, chinese: bool) -> str:
    return NUMBERS_CHINESE[group.count] + group.measure if chinese else NUMBERS[group.count]


def _draw(shares: dict[str, float], rng: np.random.Generator) -> str:
    """One of the keys, as often as its share of the sum says."""
    return str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))


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
    form = _draw(forms, rng)
    fields: dict[str, str] = {}
    if form == "is colour":
        colour = group.colour if truth else int(rng.choice([c for c in range(len(COLOURS)) if c != group.colour]))
        form = str(rng.choice(("is colour", "has colour")))
        group = say.another(group)
        fields = {"colour": _colour(colour, chinese), "one": speak(replace(group, count=1, colour=colour), True)}
    elif form == "is count":
        count = group.count if truth else int(rng.choice([c for c in (1, 2, 3) if c != group.count]))
        asked = say.another(Group(group.noun, count))
        form = "is count" if count > 1 else "is one"
        fields = {"n": _number(asked, chinese) if chinese and count == 1 else speak(asked, False)}
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
            fields = {"other": other.word(chinese) if chinese else _subject(other)[0]}
        else:
            side = sides[i] if truth else str(rng.choice([which for which in sides if which != sides[i]]))
        fields |= _side(side, chinese)
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
    form = _draw(forms, rng)
    asked = say.another(group)
    if form == "colour":
        answers = [_colour(colour, chinese) for colour in (
            group.colour, int(rng.choice([c for c in range(len(COLOURS)) if c != group.colour])))]
    elif form == "thing":
        things = [asked, say.another(Group(absent_noun(scene, rng), 1))]
        bare = chinese and rng.random() < 0.5
        answers = [thing.word(chinese) if bare else _name_things((thing,), chinese) for thing in things]
        if len(scene.groups) == 1 and rng.random() < 0.6:
            form = "this"
    elif form == "number":
        counts = (group.count, int(rng.choice([c for c in (1, 2, 3) if c != group.count])))
        answers = [_number(replace(group, count=count), chinese) for count in counts]
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
        later.append(Question("how many", say("then count", group), _number(group, chinese)))
    if group.colour is not None:
        later.append(Question("colour", say("then colour", group, **they), _colour(group.colour, chinese)))
    rng.shuffle(later)
    if len(scene.groups) == 2 and rng.random() < 0.75:  # comes last: what follows would be about the other thing
        later[2:] = [Question("what", say("else"), _name_things((scene.groups[1 - i],), chinese))]
    return [opening, *later]
