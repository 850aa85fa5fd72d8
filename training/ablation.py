"""What each kind of training brings: `python -m training.ablation`, after `python -m training.clip`.

Phase two of CLIP's training, made short, from the same tower that has learned to see: first with the contrast of true
captions alone, then with one more loss each time. The table goes to multimodal/checkpoints/ABLATION.md.
"""

import argparse

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from .captions import FALSIFICATIONS
from .clip import LOSSES, TOKENIZER, Heads, configuration, make_processor, train_both, trained
from .evaluate import Embedder, Table, score_captions_apart, score_nouns
from .loop import CHECKPOINTS, share_of
from .pictures import Pool
from .sprites import HELD_OUT, STYLES

NAMES = ("contrast alone", "and false captions in it", "and each compared with the true one",
         "and every noun asked of single things", "and patches, sides, numbers and colours named on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="of each of the five runs (default 200)")
    parser.add_argument("--count", type=int, default=1000, help="scenes for each test (default 1000)")
    options = parser.parse_args()
    pool, tokenizer = Pool(), CLIPTokenizer.from_pretrained(TOKENIZER)
    processor = make_processor(tokenizer)
    seen = trained("clip-vision")
    # Column: how its row in the evaluation begins.
    columns = {"text finds its picture": "text finds its picture",
               "noun of 175": "noun of 175, styles of training",
               "held out": f"noun of 175, {STYLES[HELD_OUT[0]]}, held out",
               **{f"false {how}": f"true caption beats one with a false {how}" for how in FALSIFICATIONS}}
    rows = [f"| {share_of(options.steps)} steps with | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for i, name in enumerate(NAMES):
        torch.manual_seed(14)
        model, heads = CLIPModel(configuration(tokenizer)), Heads()
        model.set_attn_implementation("eager")
        for part, weights in zip((model.vision_model, heads), seen):
            part.load_state_dict(weights)
        train_both(model, heads, tokenizer, pool, options.steps, np.random.default_rng(14), f"ablation-{i}",
                   LOSSES[:i])
        table = Table()
        with torch.inference_mode():
            score_nouns(table, Embedder(model, processor), options.count)
            score_captions_apart(table, Embedder(model, processor), options.count)
        asked = [next(what for what in table.shares if what.startswith(begins)) for begins in columns.values()]
        rows.append(f"| {name} | " + " | ".join(f"{table.shares[what]:.1%}" for what in asked) + " |")
    rows.append("| of | " + " | ".join(str(table.counts[what]) for what in asked) + " |")
    print("\n".join(rows))
    (CHECKPOINTS / "ABLATION.md").write_text(
        "# What each kind of training brings to the small CLIP\n\nWritten by `python -m training.ablation`: the second "
        "phase made short, from the same tower that has learned to see, with one more loss in each row. Measured on "
        f"{options.count} scenes that training never used.\n\n" + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
