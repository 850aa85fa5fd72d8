"""False captions of a scene, each beside a true one in the very same words: what a model must look closely for."""

from dataclasses import replace

import numpy as np

from . import synonyms
from .backgrounds import OUTDOOR
from .language import (
    COLOURABLE,
    MEASURED,
    PLACE_PHRASES,
    SIDES,
    Group,
    Scene,
    caption,
    colour_is_worth_saying,
    join,
    light_of,
    phrase,
    where,
)
from .nouns import NOUNS
from .questions import (
    LOOKS_LIKE,
    MOTLEY,
    NEAR,
    OTHER_LIGHTS,
    PLACES,
    absent_nouns,
    one_of,
    other_counts,
    painted,
    unlike_colours,
)


def false_captions(scene: Scene, rng: np.random.Generator) -> dict[str, tuple[str, str]]:
    """A true and a false caption of each kind that applies: {"colour": ("a red car at night", "a blue car at night")}.

    The two differ in one respect only, their kind, and the second is certainly false:
        "object": another thing, which is not there and does not look like anything that is.
        "count": another number of one thing. "colour": another colour of a thing whose colour is said.
        "place": another place. "light": another light, which both captions say: "in daylight", "at night".
        "order": left and right have changed places; both captions say what is on which side.
    The true caption is `language.caption`, but for light and order. Groups, numbers and so on are drawn from `rng`.
    """
    true = caption(scene)
    false = {"object": _with_another_thing(scene, rng), "count": _with_another_count(scene, rng),
             "colour": _with_another_colour(scene, rng), "place": _in_another_place(scene, rng)}
    pairs = {kind: (true, caption(other)) for kind, other in false.items() if other is not None}
    if light := light_of(scene):
        pairs["light"] = _in_light(scene, light), _in_light(scene, one_of(rng, OTHER_LIGHTS[light]))
    first, *between, last = scene.groups if len(scene.groups) > 1 else scene.groups * 2
    if last.name not in LOOKS_LIKE[first.name]:
        pairs["order"] = _with_sides(scene), _with_sides(replace(scene, groups=(last, *between, first)))
    return pairs


def _with_another_thing(scene: Scene, rng: np.random.Generator) -> Scene | None:
    """Half of the time of the same category, and painted in the same colour if that is said."""
    i = one_of(rng, range(len(scene.groups)))
    group = scene.groups[i]
    said = colour_is_worth_saying(group)
    nouns = [noun for noun in absent_nouns([scene]) if not said or NOUNS[noun].english in COLOURABLE]
    nouns = [noun for noun in nouns if group.count == 1 or NOUNS[noun].english not in MEASURED]
    if rng.random() < 0.5:
        nouns = [noun for noun in nouns if NOUNS[noun].category == group.category] or nouns
    return _with(scene, i, Group(one_of(rng, nouns), group.count, group.colour if said else None)) if nouns else None


def _with_another_count(scene: Scene, rng: np.random.Generator) -> Scene | None:
    """No more than three things in all where there are no more."""
    total, seen = sum(group.count for group in scene.groups), painted(scene)
    changes = [(i, count) for i, group in enumerate(scene.groups) for count in other_counts(group.count)
               if group.name not in MEASURED and group.name not in seen
               and not any(other.name in LOOKS_LIKE[group.name] for other in scene.groups if other is not group)
               and total - group.count + count <= max(3, total)]
    if not changes:
        return None
    i, count = one_of(rng, changes)
    return _with(scene, i, replace(scene.groups[i], count=count))


def _with_another_colour(scene: Scene, rng: np.random.Generator) -> Scene | None:
    said = [i for i, group in enumerate(scene.groups) if colour_is_worth_saying(group) and group.name not in MOTLEY]
    if not said:
        return None
    i = one_of(rng, said)
    return _with(scene, i, replace(scene.groups[i], colour=one_of(rng, unlike_colours(scene.groups[i].colour))))


def _in_another_place(scene: Scene, rng: np.random.Generator) -> Scene | None:
    if scene.place in ("night", "sunset"):
        return None
    others = (*PLACES, "plain") if scene.light == "day" else OUTDOOR
    return replace(scene, place=one_of(rng, [
        place for place in others if place != scene.place and place not in NEAR.get(scene.place, ())]))


def _with(scene: Scene, i: int, group: Group) -> Scene:
    return replace(scene, groups=(*scene.groups[:i], group, *scene.groups[i + 1:]))


def _things(scene: Scene) -> list[str]:
    return [phrase(group, colour_is_worth_saying(group)) for group in scene.groups]


def _in_light(scene: Scene, light: str) -> str:
    place = f"{PLACE_PHRASES[scene.place]} " if scene.place in OUTDOOR else ""
    return f"{join(_things(scene))} {place}{synonyms.IN_LIGHT[False][light][0]}"


def _with_sides(scene: Scene) -> str:
    """"a cat on the left and a dog on the right, on the grass"."""
    sides = ["in the middle" if side == "middle" else f"on the {side}" for side in SIDES[len(scene.groups)]]
    return f"{join([f'{thing} {side}' for thing, side in zip(_things(scene), sides)])}, {where(scene)}"
