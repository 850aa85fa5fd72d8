"""Write the model cards: `python -m training.cards`, after `python -m training.evaluate`.

A card is the README.md of a checkpoint's folder, in the Hugging Face format. Parameters are counted from the weights
and scores are read from EVALUATION.md, so that no number stands in two places.
"""

from safetensors import safe_open

from .loop import CHECKPOINTS

REAL = {"clip": ("openai/clip-vit-base-patch32", 151_277_313), "blip2": ("Salesforce/blip2-opt-2.7b", 3_744_761_856),
        "blip": ("Salesforce/blip-image-captioning-base", 223_971_644)}
PIPELINE = {"clip": "zero-shot-image-classification", "blip": "image-to-text", "blip2": "visual-question-answering"}
CARDS = {
    "clip": ("Small CLIP", """
A `CLIPModel` for teaching: a vision transformer of 6 layers, 256 wide, that cuts 112 pixels into 7 x 7 patches, as many
as CLIP ViT-B/32 cuts; a text transformer of 3 layers, 256 wide, for English and Chinese; 256 dimensions in common.
sentence-transformers loads the folder too.
""", """
`python -m training.clip`: 1,400 steps of 64 pictures in which the vision tower learns to name what covers each patch,
then 1,700 steps of 128 pairs with CLIP's contrastive loss, one false caption to every picture, and the naming at half
weight, then 600 steps of 128 pairs for the text tower alone.
"""),
    "blip": ("Small BLIP", """
A `BlipForConditionalGeneration` for teaching: the small CLIP's vision tower, which goes on learning, and a text decoder
of 3 layers, 256 wide, that writes English captions of one grammar.
""", """
`python -m training.vision`, then `python -m training.blip`: 400 steps of distillation to carry CLIP's tower over, then
1,600 steps of 64 captions, a third of them with a prefix.
"""),
    "blip2": ("Small BLIP-2", """
A `Blip2ForConditionalGeneration` for teaching: the small CLIP's vision tower (frozen), a Q-Former of 4 layers with 16
query tokens (trained), a linear projection (trained) and an OPT of 4 layers, 192 wide (frozen). It answers short
English questions of six kinds and writes captions.
""", """
`python -m training.opt`: the language model alone, 3,000 steps of 64 texts, and frozen from then on.
`python -m training.blip2`: stage 1, 600 steps of contrast, matching and captioning for the Q-Former, and stage 2
through the frozen language model. The vision tower is frozen in both; it is the small CLIP's after learning on in the
small BLIP, since a linear probe finds no position in the features that contrast alone leaves.

These very weights came about in four runs of stage 2, of 1,800, 2,200, 600 and 750 steps: the first with CLIP's own
tower, the second with BLIP's, the third after the language model had learned 1,400 steps more, the fourth with scenes
of several kinds of things five times as likely. One run of the script as it stands has not been measured.
"""),
}
TEXT = """---
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline}
language: {languages}
---

# {title}

{what}

It has {parameters:,} parameters; the real one, `{real}`, has {real_parameters:,}. Stored in FP16 as safetensors.

## Training

{training}

All on two CPU cores in bf16 with Muon and AdamW (`training/loop.py`), from nothing. The loss curve is in
`training_loss.png`.

## Data

200,000 scenes rendered by `python -m training.scenes`: one to three objects out of 175 nouns, drawn from nine
pictogram sets under MIT, Apache-2.0 and CC BY 4.0 (`training/SOURCES.md`), in ten painted places, with captions and
questions that are true by construction. Two sets were held out for evaluation.

## Evaluation

On scenes that were never trained on, see `../EVALUATION.md` for how.

{scores}

## Limits

It knows drawings of 175 things in ten places and nothing else. It has never seen a photograph, a person, or writing,
and it will name something from its world in any picture that it is shown. Do not use it for anything but learning.
"""


def main() -> None:
    table = (CHECKPOINTS / "EVALUATION.md").read_text(encoding="utf-8").splitlines()
    header = [line for line in table if line.startswith(("| what", "|---"))]
    rows = [line for line in table if line.startswith("| ") and line not in header]
    belongs = {"blip2": [row for row in rows if row.startswith("| BLIP-2")],
               "blip": [row for row in rows if row.startswith("| BLIP") and not row.startswith("| BLIP-2")],
               "clip": [row for row in rows if not row.startswith("| BLIP")]}
    for name, (title, what, training) in CARDS.items():
        with safe_open(CHECKPOINTS / name / "model.safetensors", "pt") as weights:
            parameters = sum(weights.get_tensor(key).numel() for key in weights.keys())
        real, real_parameters = REAL[name]
        (CHECKPOINTS / name / "README.md").write_text(TEXT.format(
            pipeline=PIPELINE[name], languages="[en, zh]" if name == "clip" else "en", title=title, what=what.strip(),
            training=training.strip(), parameters=parameters, real=real, real_parameters=real_parameters,
            scores="\n".join([*header, *belongs[name]])), encoding="utf-8")
        print(f"{CHECKPOINTS / name / 'README.md'}: {parameters:,} parameters")


if __name__ == "__main__":
    main()
