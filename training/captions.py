"""Captions of a scene as people put them, in many wordings, for CLIP; and false ones, for CLIP and BLIP-2."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toyworld import synonyms
from toyworld.backgrounds import LIGHTS, OUTDOOR
from toyworld.language import (
    CAPTION_KINDS,
    COLOURS,
    LIGHTS_CHINESE,
    MEASURED,
    NUMBERS,
    PLACE_PHRASES,
    PLACES_CHINESE,
    SIDES,
    Group,
    Scene,
    absent_noun,
    by_another_word,
    colour_is_worth_saying,
    colour_word,
    join,
    join_chinese,
    light_of,
    or_alike,
    phrase,
    phrase_chinese,
    pick,
    side_fields,
    subject,
    where,
    where_chinese,
)
from toyworld.nouns import NOUNS

from . import wordings

CHINESE_PREFIX = "一张照片："  # a caption that begins so goes on in Chinese

# In what respect a false caption is false, and how often; "order": the first and the last group have changed places.
FALSIFICATIONS = {"order": 0.25, "count": 0.15, "object": 0.22, "place": 0.08, "light": 0.08, "colour": 0.3}


def with_colours_to_say(scene: Scene, rng: np.random.Generator | None = None) -> Scene:
    """A scene without the colours that are not worth saying; with `rng`, in seven of ten cases, since some people do
    say that a frog is green."""
    if rng is not None and rng.random() < 0.3:
        return scene
    return replace(scene, groups=tuple(group if colour_is_worth_saying(group) else replace(group, colour=None)
                                       for group in scene.groups))


def vary_caption(scene: Scene, rng: np.random.Generator, complete: bool = False, placed: float = 0.85,
                 bare: bool = False, lit: bool = False, of_three: bool = False) -> str:
    """A true caption in one of many wordings, as people would type it.

    Some wordings leave out the order, the colours or the place. With `complete`, none does, but the place with `lit`.

    Args:
        placed: How often the place is said.
        bare: Say "the dogs" instead of their number and colour.
        lit: Say the light, and perhaps no place.
        of_three: The two groups are two of three.
    """
    objects = [phrase(g, complete or rng.random() < 0.6) for g in scene.groups]
    verbs = [group.verb for group in scene.groups]
    if bare:
        things, verbs = zip(*map(subject, scene.groups))
        objects = [f"the {thing}" for thing in things]
    sentence = False
    if len(objects) > 1 and (complete or rng.random() < 0.65):
        words, sentence = in_order(objects, verbs, rng, chinese=False, of_three=of_three)
    else:
        rng.shuffle(objects)
        words = str(rng.choice(wordings.TOGETHER)).format(a=objects[0], b=objects[1]) if len(objects) == 2 else join(
            objects)
    said = complete or lit or (rng.random() < placed and not (scene.place == "plain" and rng.random() < 0.6))
    return _finish(words, sentence, where(scene, rng, lit) if said else "", rng)


def vary_caption_chinese(scene: Scene, rng: np.random.Generator, complete: bool = False, placed: float = 0.8,
                         bare: bool = False, lit: bool = False, of_three: bool = False) -> str:
    """`vary_caption` in Chinese."""
    placed = 1 if complete or lit else placed
    # Complete captions draw the same numbers whatever the scene, so that a false one can have a true one's very words.
    if not complete and len(scene.groups) == 1 and scene.groups[0].count == 1 and rng.random() < 0.25:
        objects = [scene.groups[0].word(chinese=True)]
    else:
        objects = [phrase_chinese(g, complete or rng.random() < 0.6) for g in scene.groups]
    if bare:
        objects = [group.word(chinese=True) for group in scene.groups]
    sentence = len(objects) > 1 and (complete or rng.random() < 0.5)
    if sentence:
        words, _ = in_order(objects, (), rng, chinese=True, of_three=of_three)
    else:
        rng.shuffle(objects)
        words = str(rng.choice(wordings.TOGETHER_CHINESE)).format(
            a=objects[0], b=objects[1]) if len(objects) == 2 else join_chinese(objects)
    place = where_chinese(scene, rng, lit)
    chance = rng.random()
    if not lit and chance < 0.5 and scene.place in LIGHTS_CHINESE:
        words_for_it = synonyms.IN_LIGHT[True][scene.place]
        place = words_for_it[int(2 * chance * len(words_for_it))]
    said = rng.random() < placed and (placed == 1 or scene.place != "plain" or rng.random() < 0.4)
    return _finish_chinese(words, sentence, place if said else "", rng)


def in_order(objects: Sequence[str], verbs: Sequence[str], rng: np.random.Generator, chinese: bool, side: str = "left",
             unseen: bool = False, of_three: bool = False) -> tuple[str, bool]:
    """What stands where, and whether that is a sentence.

    Args:
        objects: One to three, from left to right, in words: "two dogs". verbs: "is" or "are" to each, in English.
        side: Where it stands, if there is only one to tell of.
        unseen: In one of the wordings that are never trained on.
        of_three: Tell of two things only where they stand to each other.
    """
    sentence = chinese or unseen or bool(rng.random() < 0.5)
    if of_three:
        forms = {2: wordings.BESIDE_CHINESE if chinese else wordings.BESIDE if sentence else wordings.BESIDE_PHRASES}
    elif unseen:
        forms = wordings.UNSEEN_SENTENCES[chinese]
    else:
        forms = wordings.SENTENCES_CHINESE if chinese else wordings.SENTENCES if sentence else wordings.PHRASES
    fields = dict(zip("abc", objects)) | dict(zip(("is_a", "is_b", "is_c"), verbs)) | side_fields(side, chinese)
    return str(rng.choice(forms[len(objects)])).format(**fields), sentence


def _finish(words: str, sentence: bool, place: str, rng: np.random.Generator) -> str:
    """A caption with its place, unless that is "", and what else people put to one. Draws as many numbers for any."""
    start = str(rng.choice(["", "a picture of ", "a photo of ", "there is ", "an image of ", "this is ",
                            "a drawing of ", "I see ", "a picture with ", "a photo showing "],
                           p=[0.4, 0.15, 0.15, 0.08, 0.05, 0.05, 0.04, 0.04, 0.02, 0.02]))
    first, digits, place_first = rng.random(3) < (0.5, 0.06, 0.12)
    if sentence:
        text = words if not place else f"{place}, {words}" if first else f"{words}, {place}"
    else:
        if words.startswith(("two ", "three ")):
            start = {"there is ": "there are ", "this is ": "these are "}.get(start, start)
        elif words.startswith("the ") and start.endswith("is "):
            start = ""
        text = f"{place}, {start}{words}" if place and place_first else f"{start}{words} {place}".rstrip()
    return re.sub(r"\b(two|three)\b", lambda found: str(NUMBERS.index(found[0])), text) if digits else text


def _finish_chinese(words: str, sentence: bool, place: str, rng: np.random.Generator) -> str:
    """`_finish` in Chinese."""
    at = str(rng.choice(["", "在"], p=[0.8, 0.2]))
    opening = str(rng.choice(["", "图片里，", "照片里，"], p=[0.7, 0.2, 0.1]))
    # 有 makes a sentence of it, the others may go on as the name of a picture.
    with_place = str(rng.choice(["{}的{}", "{}的{}的照片", "{}有{}"], p=[0.6, 0.1, 0.3]))
    without = str(rng.choice(
        ["{}", "图片里有{}", "{}的照片", "{}的图片", "一张{}的照片", "图中有{}", "这是{}", "画的是{}",
         "有{}的图片", "我看到{}"], p=[0.5, 0.1, 0.08, 0.08, 0.06, 0.04, 0.04, 0.04, 0.03, 0.03]))
    colour = rng.random()
    if sentence:
        text = f"{at}{place}，{words}" if place else words if words.startswith("图片") else opening + words
    else:
        text = with_place.format(at + place, words) if place else without.format(words)
    # 红色汽车 or 红汽车 instead of 红色的汽车; but nobody says 橙汽车.
    return re.sub(r"色的(?=\w)", "色", text) if colour < 0.25 else re.sub(
        r"(?<!橙)色的(?=\w)", "", text) if colour < 0.35 else text


def caption_of_one(scene: Scene, i: int, rng: np.random.Generator, chinese: bool, about: str, placed: float,
                   bare: bool) -> str:
    """A true caption of one of the groups of a scene and no other.

    Args:
        about: What it must tell, see `FALSIFICATIONS`: "order" stands for the side on which the group is.
        placed, bare: See `vary_caption`.
    """
    group, sides = scene.groups[i], SIDES[len(scene.groups)]
    thing, are = (group.word(chinese=True), "") if chinese else subject(group)
    if bare:
        words, verb = thing if chinese else f"the {thing}", are
    else:
        words, verb = (phrase_chinese if chinese else phrase)(group, with_colour=True), group.verb
    lit = about == "light"
    said = about == "place" or lit or (rng.random() < placed and scene.place != "plain")
    sentence = False
    if about == "colour" and (chance := rng.random()) < 0.6:
        colour, form = colour_word(group.colour, chinese), str(rng.choice(wordings.COLOUR_SENTENCES[chinese]))
        if sentence := chance < 0.4:
            words = form.format(thing=thing, are=are, colour=colour, color=str(rng.choice(("color", "colour"))))
        else:
            words = f"{colour}的{thing}" if chinese else f"the {colour} {thing}"
    elif len(sides) > 1 and (about == "order" or rng.random() < 0.4):
        words, sentence = in_order([words], [verb], rng, chinese, sides[i])
    if chinese:
        return _finish_chinese(words, sentence, where_chinese(scene, rng, lit) if said else "", rng)
    return _finish(words, sentence, where(scene, rng, lit) if said else "", rng)


def pair_of_one(scene: Scene, false: Scene, how: str, rng: np.random.Generator, chinese: bool, placed: float,
                bare: bool = False) -> tuple[str, str, int, int]:
    """A caption of one group of a scene, a false one in the same words, and the groups in the two scenes that they are
    about: what a caption says of one thing must be right without the others, too.

    Args:
        false, how: See `falsify`. Of a false order, either another thing is said to stand there, or the same elsewhere.
        placed, bare: See `vary_caption`.
    """
    changed = [i for i, groups in enumerate(zip(scene.groups, false.groups)) if groups[0] != groups[1]]
    i = int(rng.choice(changed or range(len(scene.groups))))
    j = int(rng.choice(changed)) if how == "order" else i
    seed = int(rng.integers(2**31))
    true, untrue = (caption_of_one(of, k, np.random.default_rng(seed), chinese, how, placed, bare)
                    for of, k in ((scene, i), (false, j)))
    return true, untrue, i, j


def place_caption(scene: Scene, rng: np.random.Generator, chinese: bool) -> str:
    """A true caption that says only where, or in what light, a picture was taken; in one of several wordings."""
    by_light = scene.light != "day" and rng.random() < 0.25
    if chinese:
        light, place = LIGHTS_CHINESE[scene.light], PLACES_CHINESE[scene.place]
        if light and rng.random() < 0.5:
            light = str(rng.choice(synonyms.IN_LIGHT[True][scene.light]))
        if by_light or (scene.place in LIGHTS_CHINESE and rng.random() < 0.5):
            spot = thing = light or LIGHTS_CHINESE[scene.place]
        else:  # Without its last character, 里, 上 or 下, a place is a thing: 沙滩上 is on the beach, 沙滩 the beach.
            usual, place = place, or_alike(place, synonyms.PLACES_CHINESE[scene.place], rng)
            thing = (place if len(place) > 2 else usual)[:-1]  # 水 of 水里 would say too little
            spot, thing = light + place, (light and f"{light}的") + thing
        return str(rng.choice([spot, f"在{spot}", thing, f"{spot}的照片", f"{thing}的图片", f"{spot}拍的照片",
                               f"在{spot}拍的照片"]))
    spot = str(rng.choice(synonyms.IN_LIGHT[False][scene.light])) if by_light else where(scene, rng)
    thing = spot.partition(" ")[2]  # "the beach at sunset", "a plain background", "night"
    said = [spot, thing, f"a picture {spot}", f"a photo {spot}", f"a picture taken {spot}", f"a photo taken {spot}"]
    if not by_light and not spot.startswith("at "):
        said += [f"a picture of {thing}", f"a photo of {thing}"]
    return str(rng.choice(said))


def falsify(scene: Scene, rng: np.random.Generator, how: str | None = None) -> Scene | None:
    """A scene that differs from a given one in a single respect.

    Args:
        how: One of `FALSIFICATIONS`; drawn if None.

    Returns None where the group that was drawn cannot differ in that respect, as one alone cannot change places.
    """
    groups = list(scene.groups)
    how = how or pick(FALSIFICATIONS, rng)
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
        if groups[i].colour is None:
            return None
        others = [c for c in range(len(COLOURS)) if c != groups[i].colour]
        groups[i] = replace(groups[i], colour=int(rng.choice(others)))
    elif how == "light":
        if (light := light_of(scene)) is None:
            return None
        other = str(rng.choice([which for which in LIGHTS if which != light]))
        if scene.place in OUTDOOR:
            return replace(scene, light=other)
        return Scene(scene.groups, "plain" if other == "day" else other)  # of which only the light will be told
    else:
        places = [p for p in (PLACE_PHRASES if scene.light == "day" else OUTDOOR) if p != scene.place]
        return Scene(scene.groups, str(rng.choice(places)), scene.light)
    return Scene(tuple(groups), scene.place, scene.light)


def in_other_words(scene: Scene, rng: np.random.Generator, chinese: bool) -> Scene:
    """A scene whose things are called `by_another_word`, some of them, as captions call them."""
    return replace(scene, groups=tuple(by_another_word(group, rng, chinese, scene.groups, kinds=CAPTION_KINDS[chinese])
                                       for group in scene.groups))
