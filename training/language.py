"""What there is to say about a scene: captions, questions and answers, in English and Chinese.

A scene is one to three groups of objects in a row, from left to right, in a place. Everything said here
follows from that description, so every caption is true and every answer is right by construction.
"""

from dataclasses import dataclass

import numpy as np

from .sprites import NOUNS

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black", "white")
COLOURS_CHINESE = ("红色", "橙色", "黄色", "绿色", "蓝色", "紫色", "粉色", "棕色", "灰色", "黑色", "白色")
NUMBERS = ("zero", "one", "two", "three")
NUMBERS_CHINESE = ("零", "一", "两", "三")
PLACE_PHRASES = {"snow": "in the snow", "beach": "on the beach", "grass": "on the grass", "night": "at night",
                 "sunset": "at sunset", "room": "in a room", "road": "on the road", "sea": "in the sea",
                 "desert": "in the desert", "plain": "on a plain background"}
PLACES_CHINESE = {"snow": "雪地里", "beach": "沙滩上", "grass": "草地上", "night": "夜晚", "sunset": "日落时分",
                  "room": "房间里", "road": "马路上", "sea": "海里", "desert": "沙漠里", "plain": "纯色背景上"}
LIGHTS_CHINESE = {"day": "", "night": "夜晚", "sunset": "日落时分"}
QUESTION_KINDS = ("what", "how many", "where", "side", "colour", "yes/no")

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
    {"pizza", "cheese", "tomato"}, {"hamburger", "tomato"}, {"dinosaur", "lizard", "crocodile"},
)
# Words that English does not count by themselves: said with a measure and never more than one a scene.
MEASURED = {"glasses": "a pair of glasses", "jeans": "a pair of jeans", "scissors": "a pair of scissors",
            "grapes": "a bunch of grapes", "cherries": "a pair of cherries", "bread": "a loaf of bread",
            "broccoli": "a head of broccoli", "corn": "an ear of corn", "popcorn": "a box of popcorn",
            "sushi": "a piece of sushi", "cheese": "a piece of cheese"}
PLURALS = {"sheep": "sheep", "fish": "fish", "deer": "deer", "mouse": "mice", "maple leaf": "maple leaves",
           "cup of coffee": "cups of coffee", "glass of wine": "glasses of wine", "scarf": "scarves",
           "snowman": "snowmen", "volcano": "volcanoes", "tomato": "tomatoes", "potato": "potatoes"}
CATEGORY_QUESTIONS = {"animal": ("animal", "animals"), "vehicle": ("vehicle", "vehicles"), "food": ("food", None)}
# In their category in the list of nouns, but nobody would say so.
MISPLACED = frozenset(("teapot", "parachute"))
MEASURES_CHINESE = {"animal": "只", "vehicle": "辆", "building": "座", "clothing": "件"}
SPECIAL_MEASURES_CHINESE = {
    "匹": ("horse",), "头": ("cow", "pig", "elephant"), "条": ("fish", "snake", "scarf", "jeans", "dress"),
    "架": ("airplane", "helicopter", "piano"), "艘": ("ship", "sailboat", "canoe"), "列": ("train",),
    "枚": ("rocket", "ring"), "棵": ("tree", "pine tree", "palm tree", "cactus", "broccoli"),
    "朵": ("rose", "tulip", "sunflower", "cloud", "mushroom"), "片": ("maple leaf",), "顶": ("hat", "crown", "tent"),
    "座": ("mountain", "volcano"), "把": ("chair", "umbrella", "scissors", "key", "hammer", "guitar", "violin"),
    "张": ("bed",), "扇": ("door",), "本": ("book",), "支": ("pencil", "candle", "trumpet"), "副": ("glasses",),
    "台": ("camera", "laptop", "television"), "杯": ("cup of coffee", "glass of wine"), "串": ("grapes",),
}
_MEASURE_OF = {noun: measure for measure, nouns in SPECIAL_MEASURES_CHINESE.items() for noun in nouns}


@dataclass(frozen=True)
class Group:
    """Up to three of a kind: a noun's index in `NOUNS`, how many, and a colour's index or None."""
    noun: int
    count: int
    colour: int | None = None

    @property
    def name(self) -> str:
        return NOUNS[self.noun].english

    @property
    def category(self) -> str:
        return NOUNS[self.noun].category


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


def article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


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
        return f"{measure}{of}{colour}{noun}"
    if group.count == 1:
        return article(colour + group.name)
    return f"{NUMBERS[group.count]} {colour}{plural(group.name)}"


def where(scene: Scene) -> str:
    """"on the road at sunset": the answer to a question that begins with where."""
    light = "" if scene.light == "day" else f" at {scene.light}"
    return PLACE_PHRASES[scene.place] + light


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
        words = f"{words} {where(scene)}"
    start = rng.choice(["", "a picture of ", "a photo of ", "an image of ", "there is "],
                       p=[0.45, 0.2, 0.2, 0.05, 0.1])
    if start == "there is " and scene.groups[0].count > 1:
        start = "there are "
    return start + words


def falsify(scene: Scene, rng: np.random.Generator, how: str | None = None) -> Scene | None:
    """A scene that differs from a given one in a single respect.

    Args:
        how: "order" (first and last group change places), "count", "object", "place" or "colour"; drawn if None.

    Returns None where the scene cannot differ in that respect, as one group cannot change places.
    """
    groups = list(scene.groups)
    how = how or str(rng.choice(["order", "count", "object", "place", "colour"], p=[0.3, 0.2, 0.25, 0.1, 0.15]))
    i = int(rng.integers(len(groups)))
    if how == "order":
        if len(groups) == 1:
            return None
        groups[0], groups[-1] = groups[-1], groups[0]
    elif how == "count":
        if groups[i].name in MEASURED:
            return None
        count = int(rng.choice([c for c in (1, 2, 3) if c != groups[i].count]))
        groups[i] = Group(groups[i].noun, count, groups[i].colour)
    elif how == "object":
        absent = absent_noun(scene, rng)
        if groups[i].count > 1 and NOUNS[absent].english in MEASURED:
            return None
        groups[i] = Group(absent, groups[i].count, groups[i].colour)
    elif how == "colour":
        if not colour_is_worth_saying(groups[i]):
            return None
        others = [c for c in range(len(COLOURS)) if c != groups[i].colour]
        groups[i] = Group(groups[i].noun, groups[i].count, int(rng.choice(others)))
    else:
        return Scene(scene.groups, str(rng.choice([p for p in PLACE_PHRASES if p != scene.place])))
    return Scene(tuple(groups), scene.place, scene.light)


def phrase_chinese(group: Group, with_colour: bool) -> str:
    noun = NOUNS[group.noun]
    measure = _MEASURE_OF.get(group.name, MEASURES_CHINESE.get(noun.category, "个"))
    colour = f"{COLOURS_CHINESE[group.colour]}的" if with_colour and group.colour is not None else ""
    return f"{NUMBERS_CHINESE[group.count]}{measure}{colour}{noun.chinese}"


def vary_caption_chinese(scene: Scene, rng: np.random.Generator, placed: float = 0.8) -> str:
    """A true Chinese caption in one of several wordings; `placed` is how often the place is said."""
    if len(scene.groups) == 1 and scene.groups[0].count == 1 and rng.random() < 0.25:
        group = scene.groups[0]
        objects = [NOUNS[group.noun].chinese]
    else:
        objects = [phrase_chinese(g, colour_is_worth_saying(g) and rng.random() < 0.6) for g in scene.groups]
    if len(objects) == 2 and rng.random() < 0.4:
        words = f"左边是{objects[0]}，右边是{objects[1]}"
    elif len(objects) == 3 and rng.random() < 0.4:
        words = f"左边是{objects[0]}，中间是{objects[1]}，右边是{objects[2]}"
    else:
        rng.shuffle(objects)
        words = objects[0] if len(objects) == 1 else "、".join(objects[:-1]) + "和" + objects[-1]
    if rng.random() < placed and not (scene.place == "plain" and rng.random() < 0.6):
        words = f"{LIGHTS_CHINESE[scene.light]}{PLACES_CHINESE[scene.place]}的{words}"
    return str(rng.choice(["", "图片里有"], p=[0.7, 0.3])) + words


def questions(scene: Scene, rng: np.random.Generator) -> list[Question]:
    """One question of every kind that the scene can be asked, each with its short answer."""
    group = scene.groups[rng.integers(len(scene.groups))]
    name = plural(group.name) if group.count > 1 and group.name not in MEASURED else group.name
    is_plural = group.count > 1 or group.name in ("glasses", "jeans", "scissors", "grapes", "cherries")
    is_are = "are" if is_plural else "is"
    wording = f"Where {is_are} the {name}?"
    if scene.place != "plain" and rng.random() < 0.5:
        wording = "Where was this picture taken?"
    asked = [_ask_what(scene, group, rng), Question("where", wording, where(scene)),
             _ask_yes_no(scene, group, name, is_are, rng)]
    if group.name not in MEASURED:
        asked.append(_ask_how_many(scene, group, rng))
    if len(scene.groups) > 1:
        side = ("left", "middle", "right")[scene.groups.index(group)] if len(scene.groups) == 3 else \
            ("left", "right")[scene.groups.index(group)]
        wordings = [f"Which side {is_are} the {name} on?", f"On which side {is_are} the {name}?"]
        if len(scene.groups) == 2:
            wordings.append(f"{is_are.capitalize()} the {name} on the left or on the right?")
        asked.append(Question("side", str(rng.choice(wordings)), side))
    if group.colour is not None:
        asked.append(Question("colour", f"What color {is_are} the {name}?", COLOURS[group.colour]))
    return asked


def _ask_what(scene: Scene, group: Group, rng: np.random.Generator) -> Question:
    everything = join([phrase(g, with_colour=False) for g in scene.groups])
    general = ["What is in the picture?", "What do you see?", "What is shown in the picture?"]
    if len(scene.groups) == 1 and group.count == 1:
        general.append("What is this?")
    if len(scene.groups) > 1 and rng.random() < 0.5:
        side = rng.integers(2)
        return Question("what", f"What is on the {('left', 'right')[side]}?",
                        phrase(scene.groups[-side], with_colour=False))
    alone = sum(g.category == group.category for g in scene.groups) == 1
    if alone and group.category in CATEGORY_QUESTIONS and group.name not in MISPLACED and rng.random() < 0.3:
        one, many = CATEGORY_QUESTIONS[group.category]
        subject = f"{many} are" if group.count > 1 and many else f"{one} is"
        return Question("what", f"What {subject} in the picture?", phrase(group, with_colour=False))
    return Question("what", str(rng.choice(general)), everything)


def _ask_how_many(scene: Scene, group: Group, rng: np.random.Generator) -> Question:
    if rng.random() < 0.25:
        total = sum(g.count for g in scene.groups)
        return Question("how many", "How many things are in the picture?", NUMBERS[total])
    return Question("how many", f"How many {plural(group.name)} are there?", NUMBERS[group.count])


def _ask_yes_no(scene: Scene, group: Group, name: str, is_are: str, rng: np.random.Generator) -> Question:
    truth = bool(rng.random() < 0.5)
    answer = "yes" if truth else "no"
    form = rng.random()
    if form < 0.15 and group.colour is not None:
        others = [c for c in COLOURS if c != COLOURS[group.colour]]
        colour = COLOURS[group.colour] if truth else str(rng.choice(others))
        return Question("yes/no", f"{is_are.capitalize()} the {name} {colour}?", answer)
    if form < 0.3 and group.name not in MEASURED:
        count = group.count if truth else int(rng.choice([c for c in (1, 2, 3) if c != group.count]))
        asked = phrase(Group(group.noun, count), with_colour=False)
        return Question("yes/no", f"{'Is' if count == 1 else 'Are'} there {asked}?" if count > 1 else
                        f"Is there exactly one {group.name}?", answer)
    # Nobody asks whether a cat is at night or on a plain background.
    askable = [place for place in PLACE_PHRASES if place not in ("night", "sunset", "plain")]
    if form < 0.4 and scene.place in askable:
        place = scene.place if truth else str(rng.choice([p for p in askable if p != scene.place]))
        return Question("yes/no", f"{is_are.capitalize()} the {name} {PLACE_PHRASES[place]}?", answer)
    noun = group.noun if truth else absent_noun(scene, rng)
    asked = phrase(Group(noun, 1), with_colour=False)
    wordings = [f"Is there {asked} in the picture?", f"Is there {asked}?", f"Do you see {asked}?"]
    return Question("yes/no", str(rng.choice(wordings)), answer)


def absent_noun(scene: Scene, rng: np.random.Generator) -> int:
    """A noun that is not in the scene nor looks like one that is; half the time of a kind with one."""
    present = {group.name for group in scene.groups}
    barred = present.union(*(alike for alike in LOOKALIKES if alike & present))
    if scene.place in ("sunset", "night", "sea") or scene.light != "day":
        barred |= {"sun", "star", "moon"}
    categories = {group.category for group in scene.groups} if rng.random() < 0.5 else None
    candidates = [i for i, noun in enumerate(NOUNS)
                  if noun.english not in barred and (categories is None or noun.category in categories)]
    return int(rng.choice(candidates or [i for i, noun in enumerate(NOUNS) if noun.english not in barred]))


def describe(scene: Scene) -> str:
    """All that is true of a scene, colours and sides included, in one line: what a language model must be told
    to answer every question about a picture that it cannot see."""
    names = {1: ("",), 2: (" on the left", " on the right"), 3: (" on the left", " in the middle", " on the right")}
    objects = [phrase(g, with_colour=True) + side for g, side in zip(scene.groups, names[len(scene.groups)])]
    return ", ".join([*objects, where(scene)])


def dialogue(scene: Scene, rng: np.random.Generator) -> list[Question]:
    """Two to four questions in a row; the later ones may say "it" or "they" for what was spoken of before.

    A third of the dialogues ask only for sides and for yes or no, which are the hardest to learn.
    """
    form = rng.random()
    if form < 0.7:
        asked = questions(scene, rng)
        if form < 0.35:
            asked = [question for question in asked + questions(scene, rng) + questions(scene, rng)
                     if question.kind in ("side", "yes/no")]
        rng.shuffle(asked)
        return asked[:4]
    i = int(rng.integers(len(scene.groups)))
    group = scene.groups[i]
    sides = {1: ("",), 2: ("left", "right"), 3: ("left", "middle", "right")}[len(scene.groups)]
    if len(scene.groups) == 1:
        opening = "What is in the picture?"
    else:
        opening = f"What is in the {sides[i]}?" if sides[i] == "middle" else f"What is on the {sides[i]}?"
    is_plural = group.count > 1 or group.name in ("glasses", "jeans", "scissors", "grapes", "cherries")
    are, they = ("are", "they") if is_plural else ("is", "it")
    later = [Question("where", f"Where {are} {they}?", where(scene))]
    if group.name not in MEASURED:
        later.append(Question("how many", "How many are there?", NUMBERS[group.count]))
    if group.colour is not None:
        later.append(Question("colour", f"What color {are} {they}?", COLOURS[group.colour]))
    if len(scene.groups) == 2:
        other = scene.groups[1 - i]
        later.append(Question("what", "What else is there?", phrase(other, with_colour=False)))
    rng.shuffle(later)
    return [Question("what", opening, phrase(group, with_colour=False)), *later[:3]]
