"""Pre-train the small OPT language model on text alone: `python -m training.opt`.

BLIP-2 lends eyes to a language model that is finished and frozen, so that model must know its trade before: here,
to write captions and to answer questions, with follow-ups, about a scene that it is told of in words. Its documents
are a description, the end-of-text token, and then a caption or a dialogue. BLIP-2 will put its visual tokens where
the description stands.
"""

import argparse
import json

import numpy as np
import torch
from torch import nn
from transformers import GPT2Tokenizer, OPTConfig, OPTForCausalLM

from toyworld.language import Scene, caption, caption_chinese, describe

from .captions import CHINESE_PREFIX
from .loop import Run, mixed_precision
from .pictures import Pool, shares
from .questions import Question, ask_to_describe, dialogue
from .scenes import decode
from .sprites import CACHE

BATCH = 64
CAPTIONS = 0.15  # the share of captions: they have few wordings, questions many
CHINESE = 0.5  # the share of Chinese dialogues


def train_tokenizer(texts: list[str]) -> GPT2Tokenizer:
    """OPT's byte-pair encoding with a small vocabulary: <s>, <pad>, </s>, <unk> first, as in the real one."""
    from tokenizers import pre_tokenizers, trainers

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend = GPT2Tokenizer(vocab={}, merges=[]).backend_tokenizer
    backend.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=2000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    learned = json.loads(backend.to_str())["model"]
    tokens = sorted(set(learned["vocab"]) - set(special))
    return GPT2Tokenizer(
        vocab={token: i for i, token in enumerate([*special, *tokens])},
        merges=[tuple(merge) for merge in learned["merges"]], bos_token="</s>", eos_token="</s>", unk_token="</s>",
        pad_token="<pad>", add_bos_token=True, padding_side="left", model_max_length=256)


def document(scene: Scene, rng: np.random.Generator, captions: float) -> list[tuple[str, bool]]:
    """What is said of a scene after its description, in pieces: (text, whether the model is to say it).

    captions: the share of captions; the others are dialogues.
    """
    if rng.random() < captions:
        if rng.random() < 0.12:
            return said_in_turn([ask_to_describe(scene, rng, chinese=bool(rng.random() < CHINESE))])
        return [[(caption(scene), True)], [("a photo of", False), (f" {caption(scene)}", True)],
                [(CHINESE_PREFIX, False), (caption_chinese(scene), True)]][rng.choice(3, p=(0.51, 0.28, 0.21))]
    return said_in_turn(dialogue(scene, rng, chinese=bool(rng.random() < CHINESE)))


def said_in_turn(turns: list[Question]) -> list[tuple[str, bool]]:
    """A dialogue in the wording that BLIP-2 is asked in: "Question: ... Answer: ... . Question: ... Answer: ..."."""
    pieces, between = [], ""
    for turn in turns:
        pieces += [(f"{between}Question: {turn.text} Answer:", False), (f" {turn.answer}", True)]
        between = ". "
    return pieces


def encode(tokenizer: GPT2Tokenizer, pieces: list[tuple[str, bool]], everything: bool) -> tuple[list[int], list[int]]:
    """Token ids of a document and, for every token, the label that should follow it (-100: none).

    After what the model says comes the end token, even where the dialogue goes on: it must learn to stop.
    With `everything`, the questions are predicted too, as a language model does.
    """
    ids: list[int] = []
    labels: list[int] = []
    for text, said in pieces:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        if (said or everything) and ids and tokens and labels[-1] == -100:
            labels[-1] = tokens[0]
        ids += tokens
        labels += [*tokens[1:], -100] if said or everything else [-100] * len(tokens)
        if said:
            labels[-1] = tokenizer.eos_token_id
    return ids, labels


def halves(encoded: list[tuple[list[int], list[int]]], padding: int
           ) -> list[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """Encoded documents as tensors, the shorter half and the longer one, so that less of them is padding.

    Returns for each half which documents it holds, token ids (rows, longest) and labels (rows, longest).
    """
    def pad(rows: list[list[int]], value: int) -> torch.Tensor:
        return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)

    order = np.argsort([len(ids) for ids, _ in encoded])
    return [(rows, pad([encoded[i][0] for i in rows], padding), pad([encoded[i][1] for i in rows], -100))
            for rows in np.array_split(order, 2)]


def configuration(tokenizer: GPT2Tokenizer) -> OPTConfig:
    return OPTConfig(
        vocab_size=len(tokenizer), hidden_size=192, word_embed_proj_dim=192, ffn_dim=768, num_hidden_layers=4,
        num_attention_heads=4, max_position_embeddings=256, dropout=0.0, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=10)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    records = np.concatenate([records for _, records in Pool().parts])
    if not (CACHE / "opt" / "tokenizer.json").exists():  # A run that goes on must go on with the same token ids.
        scenes = [decode(record) for record in records[:6000]]
        words = np.random.default_rng(options.seed)  # Not `rng`: the batches are the same if a tokenizer is there.
        train_tokenizer([describe(s) + " " + "".join(text for text, _ in document(s, words, CAPTIONS)) for s in scenes]
                        ).save_pretrained(CACHE / "opt")
    tokenizer = GPT2Tokenizer.from_pretrained(CACHE / "opt")
    model = OPTForCausalLM(configuration(tokenizer))
    model.set_attn_implementation("eager")
    share = shares(records)
    run = Run("opt", model, options.steps, rng, matrix_rate=0.01, other_rate=2e-3)
    for _ in run:
        scenes = [decode(record) for record in records[rng.choice(len(records), BATCH, p=share)]]
        told = [[(f"{describe(scene)}</s>", False), *document(scene, rng, CAPTIONS)] for scene in scenes]
        encoded = [encode(tokenizer, pieces, everything=True) for pieces in told]
        loss, number = torch.zeros(()), 0
        for _rows, ids, labels in halves(encoded, tokenizer.pad_token_id):
            with mixed_precision():
                logits = model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long()).logits
            loss = loss + nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")
            number += (labels != -100).sum().item()
        run.update(loss / number, BATCH)
    model.save_pretrained(CACHE / "opt")

    # What it knows.
    model.eval()
    for record in records[-5:]:
        scene = decode(record)
        for turn in dialogue(scene, rng)[:2]:
            prompt = tokenizer(f"{describe(scene)}</s>Question: {turn.text} Answer:", add_special_tokens=False,
                               return_tensors="pt")
            output = model.generate(**prompt, max_new_tokens=12, do_sample=False)
            said = tokenizer.decode(output[0, prompt["input_ids"].shape[1]:])
            print(f"{describe(scene)} | {turn.text} | {said} | expected: {turn.answer}")


if __name__ == "__main__":
    main()
