"""Measure the embedded models on scenes that they have not seen: `python -m training.evaluate`.

The scenes are rendered anew from a fixed seed that training never used, 112 pixels wide like the training pictures,
in the seven coloured styles of training without distortions, and in the two styles that were held out. Every share
stands with a 95% interval from 1,000 bootstrap samples. The table goes to multimodal/checkpoints/EVALUATION.md.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
)

from multimodal.metrics import is_right, recall_at

from . import sprites
from .backgrounds import PLACES
from .language import (
    PLACE_PHRASES,
    PLACES_CHINESE,
    QUESTION_KINDS,
    Group,
    caption,
    falsify,
    phrase,
    plural,
    questions,
    vary_caption,
)
from .loop import CHECKPOINTS
from .scenes import SceneMaker
from .sprites import NOUNS

SEED = 20_260_901
COLOURED = tuple(s for s in sprites.SEEN if not sprites.SETS[s].silhouette)


class Table:
    """Rows of a share each, printed as they come and kept as Markdown."""

    def __init__(self):
        self.rows = ["| what | share | 95% interval | of |", "|---|---:|---|---:|"]
        self.rng = np.random.default_rng(0)

    def add(self, what: str, right) -> None:
        right = np.asarray(right, dtype=float)
        samples = right[self.rng.integers(0, len(right), (1000, len(right)))].mean(axis=1)
        low, high = np.percentile(samples, (2.5, 97.5))
        self.rows.append(f"| {what} | {right.mean():.1%} | {low:.1%} to {high:.1%} | {len(right)} |")
        print(f"{what:62} {right.mean():6.1%}  ({low:.1%} to {high:.1%}, {len(right)})", flush=True)


def draw(maker: SceneMaker, count: int, seed: int, **wanted) -> tuple[list, list]:
    """Pictures and scenes; what is wanted goes to `SceneMaker.draw`."""
    rng = np.random.default_rng(seed)
    drawn = [maker.draw(rng, **wanted) for _ in range(count)]
    return [picture for picture, _, _ in drawn], [scene for _, scene, _ in drawn]


def in_batches(items: list, size: int = 64):
    return (items[start:start + size] for start in range(0, len(items), size))


@torch.inference_mode()
def evaluate_clip(table: Table, count: int) -> None:
    folder = CHECKPOINTS / "clip"
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(folder)

    def see(pictures):
        return torch.cat([F.normalize(model.get_image_features(
            **processor(images=batch, return_tensors="pt")).pooler_output, dim=-1) for batch in in_batches(pictures)])

    def read(texts):
        return torch.cat([F.normalize(model.get_text_features(
            **processor(text=batch, return_tensors="pt", padding=True, truncation=True)).pooler_output, dim=-1)
            for batch in in_batches(texts)])

    english = read([f"a picture of {phrase(Group(i, 1), False)}" for i in range(len(NOUNS))])
    chinese = read([noun.chinese for noun in NOUNS])
    for name, styles in (("styles of training", COLOURED), *((f"{sprites.STYLES[s]}, held out", (s,))
                                                             for s in sprites.HELD_OUT)):
        pictures, scenes = draw(SceneMaker(styles, augment=False), count, SEED, layout=(1,))
        truth, seen = torch.tensor([scene.groups[0].noun for scene in scenes]), see(pictures)
        table.add(f"noun of 175, {name}", (seen @ english.T).argmax(-1) == truth)
        table.add(f"noun of 175, {name}, asked in Chinese", (seen @ chinese.T).argmax(-1) == truth)
        if styles == COLOURED:
            plain_light = [i for i, scene in enumerate(scenes) if scene.light == "day"]
            places = torch.tensor([PLACES.index(scenes[i].place) for i in plain_light])
            asked = read([f"a picture {PLACE_PHRASES[place]}" for place in PLACES])
            table.add("place of 10", (seen[plain_light] @ asked.T).argmax(-1) == places)
            asked = read([PLACES_CHINESE[place] for place in PLACES])
            table.add("place of 10, asked in Chinese", (seen[plain_light] @ asked.T).argmax(-1) == places)

    pictures, scenes = draw(SceneMaker(COLOURED, augment=False), count, SEED + 1)
    distinct = list({caption(scene): i for i, scene in enumerate(scenes)}.values())[:500]
    seen = see(pictures)
    said = read([caption(scenes[i]) for i in distinct])
    similarity = (seen[distinct] @ said.T).numpy()
    table.add(f"text finds its picture among {len(distinct)}", _first(similarity.T))
    table.add(f"picture finds its text among {len(distinct)}", _first(similarity))
    assert np.isclose(recall_at(similarity, 1), _first(similarity).mean())
    rng = np.random.default_rng(SEED)
    for how in ("order", "count", "object", "place", "colour"):
        rows, pairs = [], []
        for i, scene in enumerate(scenes):
            false = falsify(scene, rng, how)
            if false is not None:
                seed = int(rng.integers(2**31))
                rows.append(i)
                pairs.append([vary_caption(s, np.random.default_rng(seed), complete=True) for s in (scene, false)])
        true, false = (read([pair[k] for pair in pairs]) for k in (0, 1))
        table.add(f"true caption beats one with a false {how}",
                  (seen[rows] * true).sum(-1) > (seen[rows] * false).sum(-1))


def _first(similarity: np.ndarray) -> np.ndarray:
    return similarity.argmax(axis=1) == np.arange(len(similarity))


def names_noun(text: str, group: Group) -> bool:
    """Whether a caption names the noun of a group, one or many."""
    return any(f" {word} " in f" {text.replace(',', ' ')} " for word in (group.name, plural(group.name)))


@torch.inference_mode()
def evaluate_blip(table: Table, count: int) -> None:
    folder = CHECKPOINTS / "blip"
    model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = BlipProcessor.from_pretrained(folder)
    for name, layout in (("one object", (1,)), ("all scenes", None)):
        pictures, scenes = draw(SceneMaker(COLOURED, augment=False), count, SEED + 2, layout=layout)
        captions = []
        for batch in in_batches(pictures):
            output = model.generate(**processor(images=batch, return_tensors="pt"), max_new_tokens=40)
            captions += processor.batch_decode(output, skip_special_tokens=True)
        right = [all(names_noun(said, group) for group in scene.groups) for said, scene in zip(captions, scenes)]
        table.add(f"BLIP names every object right, {name}", right)
        # WordPiece decodes a comma with a space before it.
        table.add(f"BLIP's caption is exact, {name}", [said.replace(" ,", ",") == caption(s)
                                                       for said, s in zip(captions, scenes)])
        named = [{i for i in range(len(NOUNS)) if names_noun(said, Group(i, 1))} for said in captions]
        # "hot dog" is no dog: a noun inside a longer one that is named does not count.
        invented = [any(not any(NOUNS[n].english in group.name for group in scene.groups) and
                        not any(n != m and NOUNS[n].english in NOUNS[m].english for m in nouns) for n in nouns)
                    for nouns, scene in zip(named, scenes)]
        table.add(f"BLIP names an object that is not there, {name}", invented)


@torch.inference_mode()
def evaluate_blip2(table: Table, count: int) -> None:
    folder = CHECKPOINTS / "blip2"
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = Blip2Processor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"

    def ask(pictures, prompts, length):
        answers = []
        for batch, texts in zip(in_batches(pictures), in_batches(prompts)):
            inputs = processor(images=batch, text=texts, return_tensors="pt", padding=True)
            output = model.generate(**inputs, max_new_tokens=length, do_sample=False)
            answers += processor.batch_decode(output[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
        return [answer.strip() for answer in answers]

    pictures, scenes = draw(SceneMaker(COLOURED, augment=False), count, SEED + 3)
    rng = np.random.default_rng(SEED)
    asked = [(picture, question) for picture, scene in zip(pictures, scenes) for question in questions(scene, rng)]
    answers = ask([picture for picture, _ in asked],
                  [f"Question: {question.text} Answer:" for _, question in asked], 24)
    right = defaultdict(list)
    for (_, question), answer in zip(asked, answers):
        right[question.kind].append(is_right(answer, question.answer))
    for kind in QUESTION_KINDS:
        table.add(f"BLIP-2 answers, {kind}", right[kind])
    table.add("BLIP-2 answers, all kinds", sum(right.values(), []))
    captions = ask(pictures, ["a photo of"] * len(pictures), 40)
    table.add("BLIP-2's caption names every object right",
              [all(names_noun(said, group) for group in s.groups) for said, s in zip(captions, scenes)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="scenes for each test (default 1000)")
    parser.add_argument("--models", nargs="+", default=["clip", "blip", "blip2"], choices=("clip", "blip", "blip2"))
    options = parser.parse_args()
    table = Table()
    for name in options.models:
        {"clip": evaluate_clip, "blip": evaluate_blip, "blip2": evaluate_blip2}[name](table, options.count)
    if len(options.models) == 3:
        text = (f"# How good the embedded models are\n\nWritten by `python -m training.evaluate --count "
                f"{options.count}`: scenes rendered from a seed that training never used.\n\n")
        (CHECKPOINTS / "EVALUATION.md").write_text(text + "\n".join(table.rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
