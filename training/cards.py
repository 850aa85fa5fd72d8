"""Write the model cards and the scores in the READMEs: `python -m training.cards`, after `training.evaluate`.

A card is the README.md of a checkpoint's folder, in the Hugging Face format. Parameters are counted from the weights
and scores are read from EVALUATION.md. How the weights of this repository were made is told here by hand; of
others, the saved states of their runs say it.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

from .loop import CHECKPOINTS, cpu_name, spent
from .questions import QUESTION_KINDS

ROOT = Path(__file__).parent.parent

REAL = {"clip": ("openai/clip-vit-base-patch32", 151_277_313), "blip2": ("Salesforce/blip2-opt-2.7b", 3_744_761_856),
        "blip": ("Salesforce/blip-image-captioning-base", 223_971_644)}
PIPELINE = {"clip": "zero-shot-image-classification", "blip": "image-to-text", "blip2": "visual-question-answering"}
CARDS = {
    "clip": ("Small CLIP", """
A `CLIPModel` for teaching: a vision transformer of 6 layers, 256 wide, that cuts 112 pixels into 7 x 7 patches, as many
as CLIP ViT-B/32 cuts; a text transformer of 3 layers, 256 wide, for English and Chinese; 256 dimensions in common.
sentence-transformers loads the folder too. `world.safetensors` holds what `multimodal.world` needs to know a picture
that is unlike all that the model was trained on.
""", """
`python -m training.clip`, 128 pictures a step. `clip-vision`: the vision tower sees half of the patches and learns to
name what covers each of them and what stands leftmost and rightmost. `clip`: pairs with CLIP's contrastive loss, one
false caption to every picture, and at half weight the comparison with it, the texts for all nouns and the naming.
`clip-text`: the text tower and both projections alone.
""", ("clip-vision", "clip", "clip-text")),
    "blip": ("Small BLIP", """
A `BlipForConditionalGeneration` for teaching: the small CLIP's vision tower, which goes on learning, and a text decoder
of 3 layers, 256 wide, that writes captions of one grammar, in English or, after the beginning `一张照片：`, in Chinese.
""", """
`python -m training.vision`, then `python -m training.blip`, 64 pictures a step. `tower`: distillation, to carry CLIP's
tower over. `blip`: captions, half of them with a prefix, a fifth in Chinese, and the naming of patches.
""", ("tower", "blip")),
    "blip2": ("Small BLIP-2", """
A `Blip2ForConditionalGeneration` for teaching: a vision tower (frozen), a Q-Former of 4 layers with 16 query tokens
(trained), a linear projection (trained) and an OPT of 4 layers, 192 wide (frozen). It answers short questions of
seven kinds and writes captions, in English and in Chinese.
""", """
`python -m training.opt`, 64 texts a step. `opt`: the language model alone, frozen from then on. `python -m
training.blip2`, 64 pictures a step. `blip2-stage1`: contrast, matching and captioning for the Q-Former.
`blip2-stage2`: captions and answers through the frozen language model, in the end about 80,000 scenes more, whose
drawings are not distorted. The vision tower is that of the small BLIP and frozen in both stages: {learned:,} parameters
learned, those of Q-Former, query tokens and projection.
""", ("opt", "blip2-stage1", "blip2-stage2")),
}
# How the weights of this repository were made, which no single run of the scripts did: the beginning of the SHA-256 of
# each file, and its story. Of weights that somebody makes anew, the card says what their own runs took.
STORIES = {
    "0205339a8b91": """
These very weights had 4,600, 4,500 and 800 steps, in about an hour and a half on two cores of an Intel Xeon with AMX,
in bf16. The second part was killed and resumed: the texts for all nouns joined in at step 1,100, and the places under
strong patterns and the larger share of scenes with several kinds of things at step 2,100. The text tower then learned
other words for the places, and what Chinese puts after a thing, in 160 and 250 steps more, and other names for the
things in another 250 and 350: half an hour on two cores of an AMD EPYC, in fp32. Each of these two trainings had two
parts, as their steps say, and ended with the mean of the weights after both (Wortsman et al. 2022), weighted 2 to 3 in
the first training and 1 to 1 in the second, as chosen on other scenes than the evaluation's. Then it learned captions
in their present wordings, with the projections, in 1,600 and 1,200 steps more, the learning rate raised again at the
beginning of each: 80 minutes on two cores of an Intel Xeon without AMX, in fp32. In the first 1,000 of these some verbs
and Chinese measure words were wrong. In another 1,300, half an hour, it learned captions of the light, of two things
out of three, and with the colour of anything. The loss curve ends before all that.
""",
    "09f40b765b98": """
These very weights had 400 steps of distillation, three minutes, and 8,000 of captions. The tower began as CLIP's after
2,100 of its 4,500 steps, the decoder as that of an earlier small BLIP. The loss curve jumps at step 1,300: from there
on, places may lie under strong patterns, scenes with several kinds of things are drawn more often, and the learning
rate is raised again. Those 6,700 steps took 70 minutes on one core of an Intel Xeon with AMX, in bf16. The beginnings
"this is", "it is", "there is" and "I see" came last: in 160 steps, with everything else frozen, the embeddings of their
six words learned to stand before a caption.
""",
    "f9f1d76be592": """
These very weights were made in another order. The language model: 8,000 steps with few wordings; 1,300 with many; 1,500
and 1,300 with other names for the things; 1,400 and 600 with seven kinds of questions; 1,500 with more wordings, and
with the verb of the question for yes and no in Chinese; 1,600, 1,400 and 1,000 with the wordings added after another
language model's questions had shown what was missing, 60% of the last in Chinese; and 2,400 with six times as many
wordings, in which only what is answered counts in the loss. The Q-Former: it began as that of an earlier small BLIP-2,
with the small CLIP's tower (stage 1: 500 steps, stage 2: 6,800); then, with BLIP's tower, 700, 1,950, 1,750, 300, 2,700
and 300 steps of stage 2, each with the language model of the time; 1,500 in which both answers are learned to what is
asked about an empty picture; 2,000, the last 1,200 of them on drawings that are not distorted; and 600 more on such,
with a quarter of the pictures empty and 70% captions. It is the mean of the weights before and after these 600,
weighted 3 to 7 as chosen on other scenes than the evaluation's: before, BLIP-2 leaned to yes in view of an empty
picture (60.3%), after, its captions were a little worse. From then on the projection alone learned: 200 steps with 30%
of the pictures empty, and 600, 500, 300, 300, 700 and 480 with 20 to 30%, after each training of the language model.
All from the 1,300 with many wordings on took six hours on two cores of an AMD EPYC, then four hours on two cores of an
Intel Xeon without AMX, all in fp32; the loss curves show 1,500 of the language model's steps and 2,000 of stage 2, with
a fall where the distortions end.
""",
}
# The READMEs' table: what it says in English and Chinese, and the rows of EVALUATION.md that it takes.
SCORES = (
    ("CLIP, zero-shot among 175 nouns (chance 0.6%): styles of training, its silhouettes",
     "CLIP，175 个名词零样本分类（随机 0.6%）：训练过的画风、其中的剪影",
     ("noun of 175, styles of training", "noun of 175, silhouettes")),
    ("the same, asked in Chinese", "同上，用中文提问",
     ("noun of 175, styles of training, asked in Chinese", "noun of 175, silhouettes, asked in Chinese")),
    ("the same, where the thing is called by another name (a kitten, a lorry); in Chinese",
     "同上，换一种叫法（小猫、货车）；英文、中文",
     ("noun of 175, by another word", "noun of 175, by another word, asked in Chinese")),
    ("the same by its usual name, in a pictogram style never trained on", "同上，用通常的名称，但画风从未训练过",
     ("noun of 175, fxemoji, held out",)),
    ("CLIP, a text finds its picture among 500", "CLIP，在 500 张图中以文找图", ("text finds its picture among 500",)),
    ("CLIP, the true caption against one with left and right swapped, a wrong number, object, light, colour (chance "
     "50%, of colours more, as many things have a usual one)",
     "CLIP，正确描述的得分高于左右互换或数量、物体、光线、颜色有误的描述（随机 50%；颜色更高，因为物体多有惯常颜色）",
     tuple(f"true caption beats one with a false {how}" for how in ("order", "count", "object", "light", "colour"))),
    ("the true order against the wrong one, in wordings never trained on; in Chinese",
     "左右顺序正确的描述得分高于错误的，用从未训练过的说法；用中文",
     ("true order beats a false one in wordings never trained on",
      "true order beats a false one in wordings never trained on, in Chinese")),
    ("a true caption against a false one, both typed about the gallery by another language model, which did not know "
     "the wordings of training; in Chinese",
     "正确描述的得分高于错误的，两者均由另一个不了解训练措辞的语言模型看着图库写成；用中文",
     ("true caption beats a false one, as typed about the gallery",
      "true caption beats a false one, as typed about the gallery, in Chinese")),
    ("BLIP names every object: one object, all scenes", "BLIP 说对所有物体：单个物体、全部场景",
     tuple(f"BLIP's captions, {name}, name every object" for name in ("one object", "all scenes"))),
    ("the same in Chinese", "同上，用中文", tuple(f"BLIP's Chinese captions, {name}, name every object"
                                            for name in ("one object", "all scenes"))),
    ("BLIP-2 answers, all kinds; in Chinese", "BLIP-2 回答，所有类型；用中文",
     ("BLIP-2 answers, all kinds", "BLIP-2 answers in Chinese, all kinds")),
    ("the same, asked in wordings never trained on; in Chinese", "同上，用从未训练过的问法；用中文",
     ("BLIP-2 answers in wordings never trained on, all kinds",
      "BLIP-2 answers in Chinese in wordings never trained on, all kinds")),
    ("the same, typed about the gallery by that other language model; in Chinese",
     "同上，由那个不了解训练措辞的语言模型看着图库提问；用中文",
     ("BLIP-2 answers, as typed about the gallery", "BLIP-2 answers in Chinese, as typed about the gallery")),
    ("in wordings trained on, by kind: what, how many, where, side, colour, one or the other, yes or no",
     "训练过的问法，按类型：是什么、多少、在哪里、哪一边、颜色、二选一、是非",
     tuple(f"BLIP-2 answers, {kind}" for kind in QUESTION_KINDS)),
    ("the same questions about another picture: what can be answered without looking",
     "同样的问题配另一张图片：不看图也能答对的部分",
     tuple(f"BLIP-2 answers about another picture, {kind}" for kind in QUESTION_KINDS)),
    ("BLIP-2 says yes to a blank picture (no leaning: 50%); in Chinese",
     "面对空白图片，BLIP-2 回答“是”的比例（无偏向为 50%）；用中文",
     ("BLIP-2 says yes to a blank picture", "BLIP-2 says yes in Chinese to a blank picture")),
)
TEXT = """---
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline}
language: [en, zh]
---

# {title}

{what}

It has {parameters:,} parameters; the real one, `{real}`, has {real_parameters:,}. Stored in FP16 as safetensors.

## Training

{training}

{story}

No pretrained model had a part in it or in the pictures; the optimisers are Muon and AdamW (`training/loop.py`). The
loss curve is in `training_loss.png`.

## Data

{scenes} scenes rendered by `python -m training.scenes`: one to three objects out of 175 nouns, drawn from nineteen
sets under MIT, ISC, Apache-2.0, OFL 1.1, CC BY 3.0 and CC BY 4.0 (`training/SOURCES.md`), in ten painted places, with
captions and questions that are true by construction. One set was held out for evaluation.

## Evaluation

On scenes that were never trained on, but for what is said of the gallery; see `../EVALUATION.md` for how.

{scores}

## Limits

It knows drawings of 175 things in ten places and nothing else. It has never seen a photograph, a person, or writing,
and it will name something from its world in any picture that it is shown. Do not use it for anything but learning.
"""


def story(path: Path, runs: Sequence[str]) -> str:
    """How weights were made: from `STORIES`, or what the saved states of their runs say."""
    told = STORIES.get(hashlib.sha256(path.read_bytes()).hexdigest()[:12])
    return told.strip() if told else f"These weights took {', '.join(map(spent, runs))}, on {cpu_name()}."


def write_scores(readme: Path, header: str, language: int, shares: dict[str, str]) -> None:
    """Put the present scores into a README's table, which is known by its header."""
    lines = [f"| {row[language]} | {', '.join(shares[name] for name in row[2])} |\n" for row in SCORES]
    text = readme.read_text(encoding="utf-8")
    table = re.compile(rf"({re.escape(header)}\n\|---\|---:\|\n)(\|.*\n)+")
    text, found = table.subn(lambda found: found[1] + "".join(lines), text)
    if not found:
        raise SystemExit(f"{readme} has no table that begins with {header}, so the scores were not put there.")
    readme.write_text(text, encoding="utf-8")


def main() -> None:
    text = (CHECKPOINTS / "EVALUATION.md").read_text(encoding="utf-8")
    table = text.partition("\n## ")[0].splitlines()  # the levels of toyworld, a table of their own, stay there
    header = [line for line in table if line.startswith(("| what", "|---"))]
    rows = [line for line in table if line.startswith("| ") and line not in header]
    shares = {cells[1].strip(): cells[2].strip() for cells in (row.split("|") for row in rows)}
    for_readmes = SCORES if CHECKPOINTS.is_relative_to(ROOT) else ()
    if lacking := [name for row in for_readmes for name in row[2] if name not in shares]:
        raise SystemExit(f"EVALUATION.md has no row {lacking[0]!r}: run python -m training.evaluate as it is, first.")
    belongs = {"blip2": [row for row in rows if "BLIP-2" in row],
               "blip": [row for row in rows if "BLIP" in row and "BLIP-2" not in row],
               "clip": [row for row in rows if "BLIP" not in row]}
    for name, (title, what, training, runs) in CARDS.items():
        path = CHECKPOINTS / name / "model.safetensors"
        with safe_open(path, "pt") as weights:
            sizes = {key: weights.get_tensor(key).numel() for key in weights.keys()}
        parameters = sum(sizes.values())
        learned = sum(size for key, size in sizes.items() if key.startswith(("qformer.", "query_", "language_proj")))
        real, real_parameters = REAL[name]
        card = TEXT.format(
            pipeline=PIPELINE[name], title=title, what=what.strip(), training=training.strip().format(learned=learned),
            story=story(path, runs), parameters=parameters, real=real, real_parameters=real_parameters,
            scores="\n".join([*header, *belongs[name]]), scenes="400,000" if name == "blip2" else "320,000")
        (CHECKPOINTS / name / "README.md").write_text(card, encoding="utf-8")
        print(f"{CHECKPOINTS / name / 'README.md'}: {parameters:,} parameters")
    if for_readmes:
        write_scores(ROOT / "README.md", "| what | right |", 0, shares)
        write_scores(ROOT / "README_CN.md", "| 项目 | 正确率 |", 1, shares)


if __name__ == "__main__":
    main()
