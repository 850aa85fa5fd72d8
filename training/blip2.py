"""Train the embedded BLIP-2: `python -m training.blip2`, after `training.blip` and `training.opt`.

As in the paper (Li et al. 2023), two models are finished and frozen, a vision tower and a language model, and only
what stands between them learns: the Q-Former, its query tokens and one projection. The tower is BLIP's, which began as
CLIP's and has learned to see several things in one scene. Stage 1 teaches the queries to take from a picture what its
caption says, by three tasks at once: contrast, matching, and writing the caption. Stage 2 lets them speak to the frozen
language model, which writes captions and answers about what it is shown.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Blip2VisionConfig,
    Blip2VisionModel,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    GPT2Tokenizer,
    OPTForCausalLM,
)

from toyworld.language import Scene, describe
from toyworld.render import PICTURE_SIZE

from .captions import falsify
from .clip import VISION
from .loop import CHECKPOINTS, Run, draw_losses, mixed_precision, save_half, speed_up
from .opt import CHINESE, document, encode, halves, said_in_turn
from .pictures import Pool, normalise
from .questions import questions
from .scenes import decode
from .sprites import CACHE
from .wordings import NO_CHINESE

QUERIES, WIDTH, BATCH = 16, 256, 64
TOWER = Blip2VisionConfig(**VISION, layer_norm_eps=1e-5)
BLANK = 0.15  # the share of scenes of which stage 2 shows an empty picture instead
PLAIN = 0.25  # the share of stage 2, its last part, whose drawings are not distorted: that can make them look alike
CAPTIONS = 0.6  # their share in stage 2: they say all that is in the picture, a question asks for one thing


def qformer_settings(with_text: bool) -> Blip2QFormerConfig:
    """Four layers that all look at the picture; the paper's twelve look at it in every second one."""
    return Blip2QFormerConfig(
        hidden_size=WIDTH, num_hidden_layers=4, num_attention_heads=4, intermediate_size=2 * WIDTH,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, cross_attention_frequency=1, vocab_size=1,
        encoder_hidden_size=VISION["hidden_size"], use_qformer_text_input=with_text, max_position_embeddings=64)


class Stage1(nn.Module):
    """A Q-Former with a text side: queries and text share its self-attention, under three different masks."""

    def __init__(self, tokenizer: GPT2Tokenizer):
        super().__init__()
        self.qformer = Blip2QFormerModel(qformer_settings(with_text=True))
        self.qformer.set_attn_implementation("eager")
        self.query_tokens = nn.Parameter(torch.randn(1, QUERIES, WIDTH) * 0.02)
        self.words = nn.Embedding(len(tokenizer), WIDTH)
        self.positions = nn.Embedding(64, WIDTH)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.image_projection = nn.Linear(WIDTH, 128)
        self.text_projection = nn.Linear(WIDTH, 128)
        self.matching = nn.Linear(WIDTH, 2)
        self.log_scale = nn.Parameter(torch.tensor(2.6))

    def see(self, features: torch.Tensor) -> torch.Tensor:
        """The queries alone look at the pictures: (batch, 16, 256)."""
        queries = self.query_tokens.expand(len(features), -1, -1)
        return self.qformer(query_embeds=queries, encoder_hidden_states=features).last_hidden_state

    def read(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The text alone, (batch, length, 256). mask: 1 where there is a token."""
        text = self.words(ids) + self.positions.weight[:ids.shape[1]]
        return self.qformer(query_embeds=text, query_length=0,
                            attention_mask=_additive(mask[:, None, None].bool())).last_hidden_state

    def fuse(self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, causal: bool) -> torch.Tensor:
        """Queries and text together, (batch, 16 + length, 256).

        Under the causal mask the queries see only each other, and a token sees the queries and what stands before
        it, so all that it knows of the picture came through the queries. Otherwise all see all.
        """
        batch, length = ids.shape
        text = self.words(ids) + self.positions.weight[:length]
        embeddings = torch.cat([self.query_tokens.expand(batch, -1, -1), text], dim=1)
        seen = torch.cat([torch.ones(batch, QUERIES, dtype=torch.bool), mask.bool()], dim=1)
        allowed = seen[:, None, None].expand(-1, 1, QUERIES + length, -1).clone()
        if causal:
            order = torch.ones(QUERIES + length, QUERIES + length, dtype=torch.bool).tril()
            order[:QUERIES, :QUERIES] = True
            allowed &= order
        return self.qformer(query_embeds=embeddings, query_length=QUERIES, attention_mask=_additive(allowed),
                            encoder_hidden_states=features).last_hidden_state

    def forward(self, features, ids, mask, false_ids, false_mask) -> tuple[torch.Tensor, dict[str, float]]:
        """The sum of the three losses, and what to print."""
        batch = len(features)
        labels = torch.arange(batch)
        # Contrast: of a picture's sixteen queries, the one nearest to the text counts.
        seen, said = self.image_projection(self.see(features)), self.text_projection(self.read(ids, mask)[:, 0])
        with torch.autocast("cpu", enabled=False):  # in bf16 large logits would be half a unit apart
            seen, said = (F.normalize(some.float(), dim=-1) for some in (seen, said))
            logits = self.log_scale.exp() * torch.einsum("iqd,td->itq", seen, said).amax(-1)
        same = (ids[:, None] == ids[None]).all(-1) & ~torch.eye(batch, dtype=torch.bool)
        logits = logits.masked_fill(same, -100)
        contrast = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        # Matching: the true caption, or one that is false in a single respect?
        fused = torch.cat([self.fuse(features, ids, mask, causal=False)[:, :QUERIES],
                           self.fuse(features, false_ids, false_mask, causal=False)[:, :QUERIES]])
        verdicts = self.matching(fused).float().mean(1)
        truth = torch.cat([torch.ones(batch), torch.zeros(batch)]).long()
        match = F.cross_entropy(verdicts, truth)
        # Writing: the caption, word by word.
        written = self.fuse(features, ids, mask, causal=True)[:, QUERIES:-1]
        following = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
        word_logits = (written @ self.words.weight.T).float()
        writing = F.cross_entropy(word_logits.flatten(0, 1), following.flatten())
        return contrast + match + writing, {
            "contrast": contrast.item(), "writing": writing.item(),
            "matching_right": (verdicts.argmax(-1) == truth).float().mean().item()}


def _additive(allowed: torch.Tensor) -> torch.Tensor:
    """A mask to add to attention scores: 0 where allowed, far below elsewhere."""
    return torch.zeros(allowed.shape).masked_fill(~allowed, -1e4)


def finished_tower() -> Blip2VisionModel:
    """The vision tower of the finished BLIP, frozen."""
    blip = BlipForConditionalGeneration.from_pretrained(CHECKPOINTS / "blip", dtype=torch.float32)
    tower = Blip2VisionModel(TOWER).eval().requires_grad_(False)
    tower.load_state_dict(blip.vision_model.state_dict())
    return tower


def seen_by(tower: Blip2VisionModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a frozen tower makes of pixel values (batch, 3, 112, 112): features (batch, 50, 256)."""
    see = speed_up(tower)

    def features(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), mixed_precision():
            return see(pixel_values=pixels).last_hidden_state.float()

    return features


def train_stage1(stage1: Stage1, see: Callable, tokenizer: GPT2Tokenizer, pool: Pool, steps: int,
                 rng: np.random.Generator) -> None:
    """Learn to take from a picture what its caption says. see: from `seen_by`."""
    run = Run("blip2-stage1", stage1, steps, rng, matrix_rate=0.01, other_rate=1e-3, after=("blip", "opt"))
    for _ in run:
        pixels, records = pool.batch(BATCH, rng)
        scenes = [decode(record) for record in records]
        false = []
        for scene in scenes:
            while (other := falsify(scene, rng)) is None:
                pass
            false.append(other)
        texts, false_texts = ([f"</s>{describe(s)}</s>" for s in several] for several in (scenes, false))
        true_inputs, false_inputs = (tokenizer(t, add_special_tokens=False, padding=True, padding_side="right",
                                               return_tensors="pt") for t in (texts, false_texts))
        with mixed_precision():
            loss, said = stage1(see(pixels), true_inputs["input_ids"], true_inputs["attention_mask"],
                                false_inputs["input_ids"], false_inputs["attention_mask"])
        run.update(loss, BATCH, **said)


class Stage2(nn.Module):
    """What learns in stage 2: query tokens, Q-Former and the projection into the language model's space."""

    def __init__(self, language_width: int):
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, QUERIES, WIDTH))
        self.qformer = Blip2QFormerModel(qformer_settings(with_text=False))
        self.qformer.set_attn_implementation("eager")
        self.language_projection = nn.Linear(WIDTH, language_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Visual tokens for the language model: (batch, 16, its width)."""
        queries = self.query_tokens.expand(len(features), -1, -1)
        return self.language_projection(
            self.qformer(query_embeds=queries, encoder_hidden_states=features).last_hidden_state)


def ask_the_blind(scene: Scene, rng: np.random.Generator) -> list[list[tuple[str, bool]]]:
    """A question about a scene that is answered with yes or no, in the form of `opt.document`, once with either answer:
    somebody is asked who has not seen the scene."""
    turn, = (turn for turn in questions(scene, rng, chinese=bool(rng.random() < CHINESE)) if turn.kind == "yes/no")
    other = {"yes": "no", **NO_CHINESE}
    other |= {no: yes for yes, no in other.items()}
    return [said_in_turn([replace(turn, answer=answer)]) for answer in (turn.answer, other[turn.answer])]


def train_stage2(stage2: Stage2, see: Callable, language_model: OPTForCausalLM, tokenizer: GPT2Tokenizer,
                 distorted: Pool, plain: Pool, steps: int, rng: np.random.Generator) -> None:
    """Learn to caption and to answer through the frozen language model, in the end in view of drawings as they are.

    Of an empty picture, of any one colour, questions with yes or no are asked all the same, and both answers are to be
    learned: where nothing can be seen, no wording of a question should make one likelier.
    """
    run = Run("blip2-stage2", stage2, steps, rng, matrix_rate=0.006, other_rate=1e-3, after=("blip2-stage1",))
    words, speak = language_model.get_input_embeddings(), speed_up(stage2)
    for step in run:
        pixels, records = (distorted if step < (1 - PLAIN) * run.steps else plain).batch(BATCH, rng)
        scenes, hidden = [decode(record) for record in records], rng.random(BATCH) < BLANK
        pixels[torch.from_numpy(hidden)] = normalise(torch.from_numpy(rng.integers(256, size=(hidden.sum(), 1, 1, 3))))
        said = [ask_the_blind(scene, rng) if blind else [document(scene, rng, CAPTIONS)]
                for scene, blind in zip(scenes, hidden)]
        about = np.repeat(np.arange(BATCH), [len(documents) for documents in said])
        encoded = [encode(tokenizer, [("</s>", False), *pieces], everything=False)
                   for documents in said for pieces in documents]
        features = see(pixels)
        with mixed_precision():
            visual = speak(features)
        loss, right, number = torch.zeros(()), 0, 0
        for rows, ids, labels in halves(encoded, tokenizer.pad_token_id):
            mask = torch.cat([torch.ones(len(rows), QUERIES), (ids != tokenizer.pad_token_id).float()], dim=1)
            with mixed_precision():
                logits = language_model(inputs_embeds=torch.cat([visual[about[rows]], words(ids)], dim=1),
                                        attention_mask=mask.long()).logits[:, QUERIES:]
            loss = loss + F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")
            right += (logits.argmax(-1) == labels)[labels != -100].sum().item()
            number += (labels != -100).sum().item()
        run.update(loss / number, BATCH, words_right=right / number)


def save(stage2: Stage2, tower: Blip2VisionModel, language_model: OPTForCausalLM, tokenizer: GPT2Tokenizer) -> None:
    """Put the three together in `CHECKPOINTS`."""
    processor = Blip2Processor(image_processor=BlipImageProcessorPil(size={"height": PICTURE_SIZE,
                                                                           "width": PICTURE_SIZE}),
                               tokenizer=tokenizer, num_query_tokens=QUERIES)
    config = Blip2Config(vision_config=TOWER.to_dict(), qformer_config=stage2.qformer.config.to_dict(),
                         text_config=language_model.config.to_dict() | {"_name_or_path": ""}, num_query_tokens=QUERIES,
                         image_token_index=tokenizer.convert_tokens_to_ids("<image>"))
    model = Blip2ForConditionalGeneration(config)
    model.vision_model.load_state_dict(tower.state_dict())
    model.qformer.load_state_dict(stage2.qformer.state_dict())
    model.query_tokens.data.copy_(stage2.query_tokens.data)
    model.language_projection.load_state_dict(stage2.language_projection.state_dict())
    model.language_model.load_state_dict(language_model.state_dict())
    # The <image> token was added to the tokenizer after the language model was finished: give it a row.
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    save_half(model, CHECKPOINTS / "blip2")
    processor.save_pretrained(CHECKPOINTS / "blip2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage1-steps", type=int, default=1000)
    parser.add_argument("--stage2-steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    pool, plain, tower = Pool(), Pool("plain"), finished_tower()
    see = seen_by(tower)
    tokenizer = GPT2Tokenizer.from_pretrained(CACHE / "opt")
    stage1 = Stage1(tokenizer)
    train_stage1(stage1, see, tokenizer, pool, options.stage1_steps, rng)

    language_model = OPTForCausalLM.from_pretrained(CACHE / "opt", dtype=torch.float32)
    language_model.eval().requires_grad_(False)
    language_model.set_attn_implementation("eager")
    stage2 = Stage2(language_model.config.word_embed_proj_dim)
    stage2.query_tokens.data.copy_(stage1.query_tokens.data)
    # The text side of the Q-Former has done its work; the rest goes on.
    carried = {k: v for k, v in stage1.qformer.state_dict().items() if k in stage2.qformer.state_dict()}
    stage2.qformer.load_state_dict(carried)
    train_stage2(stage2, see, language_model, tokenizer, pool, plain, options.stage2_steps, rng)

    save(stage2, tower, language_model, tokenizer)
    draw_losses(CHECKPOINTS / "blip2", "opt", "blip2-stage1", "blip2-stage2")
    print(f"saved {CHECKPOINTS / 'blip2'}")


if __name__ == "__main__":
    main()
