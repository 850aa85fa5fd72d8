"""Train the embedded BLIP captioner: `python -m training.blip`, after `python -m training.vision`.

The vision tower begins as CLIP's, carried over by `training.vision`, and goes on learning; the text decoder
begins from nothing. Captions follow one grammar (what, from left to right, and where), so that a reader can check
every word; some begin with a prefix that the loss leaves out, which is what makes prompted captions work. What follows
the Chinese prefix is the caption in Chinese.
"""

import argparse

import numpy as np
import torch
from torch import nn
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    BlipTextConfig,
    BlipVisionConfig,
)

from toyworld.language import caption, caption_chinese
from toyworld.render import PICTURE_SIZE

from .captions import CHINESE_PREFIX
from .clip import VISION, Heads, trained
from .loop import CHECKPOINTS, Run, draw_losses, mixed_precision, save_half, speed_up
from .pictures import Pool
from .questions import dialogue
from .scenes import decode
from .sprites import CACHE
from .vision import tower_weights

BATCH = 64
TOKENIZER = CACHE / "blip-tokenizer"
# Who asks for the rest of "there is" has not counted yet, so it goes before "two dogs", too.
PREFIXES = ("a picture of", "a photo of", "an image of", "a photography of", "this is", "it is", "there is", "I see")


def train_tokenizer(texts: list[str]) -> BertTokenizer:
    """BERT's WordPiece with a small vocabulary and BLIP's two extra tokens, [DEC] and [ENC]."""
    from tokenizers import trainers

    backend = BertTokenizer().backend_tokenizer
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
    backend.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=1400, special_tokens=special, continuing_subword_prefix="##", show_progress=False))
    learned = sorted(set(backend.get_vocab()) - set(special))
    letters = {prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,?!'" for prefix in ("", "##")}
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(letters.union(learned))])}
    return BertTokenizer(vocab=vocabulary, bos_token="[DEC]", additional_special_tokens=["[ENC]"],
                         model_max_length=64)


def text_settings(tokenizer: BertTokenizer) -> dict:
    return dict(vocab_size=len(tokenizer), hidden_size=256, encoder_hidden_size=256, intermediate_size=512,
                projection_dim=256, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=64,
                bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.sep_token_id,
                sep_token_id=tokenizer.sep_token_id, pad_token_id=tokenizer.pad_token_id)


def caption_batch(records: np.ndarray, tokenizer: BertTokenizer, rng: np.random.Generator) -> dict:
    """Token ids, mask and labels (batch, length); half of the captions begin with a prefix, a fifth are Chinese."""
    shares = [0.5] + [0.3 / len(PREFIXES)] * len(PREFIXES) + [0.2]
    prefixes = rng.choice(["", *PREFIXES, CHINESE_PREFIX], len(records), p=shares)
    texts = [f"{prefix} {(caption_chinese if prefix == CHINESE_PREFIX else caption)(decode(record))}"
             for prefix, record in zip(prefixes, records)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    inputs["input_ids"][:, 0] = tokenizer.bos_token_id  # [DEC]: what generation begins with
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    for row, prefix in enumerate(prefixes):
        labels[row, :1 + len(tokenizer.tokenize(prefix))] = -100
    return {**inputs, "labels": labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    pool = Pool()
    if not (TOKENIZER / "tokenizer.json").exists():  # A run that goes on must go on with the same token ids.
        scenes = [decode(record) for record in pool.parts[0][1][:6000]]
        words = np.random.default_rng(options.seed)  # Not `rng`: the batches are the same if a tokenizer is there.
        train_tokenizer([f"{caption(s)} {caption_chinese(s)}" for s in scenes] + [*PREFIXES, CHINESE_PREFIX] +
                        [turn.text for s in scenes for turn in dialogue(s, words)]).save_pretrained(TOKENIZER)
    tokenizer = BertTokenizer.from_pretrained(TOKENIZER)
    model = BlipForConditionalGeneration(BlipConfig(
        text_config=BlipTextConfig(**text_settings(tokenizer)).to_dict(),
        vision_config=BlipVisionConfig(**VISION, initializer_range=0.02).to_dict(), projection_dim=256,
        image_text_hidden_size=256))
    model.vision_model.load_state_dict(tower_weights())
    model.vision_model.set_attn_implementation("eager")
    see = speed_up(model.vision_model)
    heads = Heads()
    heads.load_state_dict(trained("clip")[1])
    run = Run("blip", nn.ModuleList([model, heads]), options.steps, rng, matrix_rate=0.006, other_rate=7e-4,
              after=("tower",))
    for _ in run:
        pixels, records = pool.batch(BATCH, rng)
        inputs = caption_batch(records, tokenizer, rng)
        with mixed_precision():
            output = see(pixel_values=pixels)
            logits = model.text_decoder(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                encoder_hidden_states=output.last_hidden_state).logits
            seeing, right = heads(output.last_hidden_state, records)
        captioning = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(),
                                                 inputs["labels"][:, 1:].flatten())
        run.update(captioning + 0.3 * seeing, BATCH, captioning=captioning.item(), patches_right=right)

    folder = CHECKPOINTS / "blip"
    save_half(model, folder)
    BlipProcessor(image_processor=BlipImageProcessorPil(size={"height": PICTURE_SIZE, "width": PICTURE_SIZE}),
                  tokenizer=tokenizer).save_pretrained(folder)
    draw_losses(folder, "tower", "blip")
    print(f"saved {folder}")


if __name__ == "__main__":
    main()
