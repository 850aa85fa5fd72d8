"""Train the embedded CLIP from nothing: `python -m training.clip`.

Three phases. First the vision tower learns to see, by naming what covers its patches: every picture then gives as many
lessons as patches instead of one, and a network this small learns in minutes what contrast alone does not teach it in
half an hour. It is shown half of the patches, which makes the phase nearly twice as fast. Then both towers learn
together: by CLIP's symmetric contrastive loss, with captions in English and Chinese and with one false caption to every
picture that is wrong in a single respect (NegCLIP, Yuksekgonul et al. 2023), since random captions never teach left
from right; and by zero-shot classification among all nouns. Last, the text tower and the projections go on alone, with
more Chinese and more captions that name no place.
"""

import argparse
import json
from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from toyworld import backgrounds
from toyworld.language import CAPTION_KINDS, COLOURS, Group, Scene, by_another_word, pick
from toyworld.nouns import NOUNS
from toyworld.render import PICTURE_SIZE

from .captions import (
    FALSIFICATIONS,
    falsify,
    in_other_words,
    pair_of_one,
    place_caption,
    vary_caption,
    vary_caption_chinese,
    with_colours_to_say,
)
from .loop import CHECKPOINTS, Run, draw_losses, mixed_precision, save_half, speed_up
from .pictures import Pool
from .scenes import NO_NOUN, PATCHES, decode
from .sprites import CACHE

WIDTH = 256
# 7 x 7 patches and the class token: as many tokens as the real CLIP ViT-B/32 has.
VISION = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=6, num_attention_heads=4,
              image_size=PICTURE_SIZE, patch_size=PICTURE_SIZE // PATCHES, hidden_act="quick_gelu")
GLANCE = 24  # patches that phase one shows of each picture
BATCH = 128
LOSSES = ("false captions", "comparison", "nouns", "patches")  # of phase two, beside the contrast itself
OF_ONE = 0.35  # of the captions tell of a single group, whatever else there is
TWO_OF_THREE = 0.3  # of the others, where there are three groups, tell of two
TOKENIZER = CACHE / "clip-tokenizer"


def train_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """CLIP's byte-pair encoding with a small vocabulary, learned from our captions; any text can be encoded."""
    from tokenizers import pre_tokenizers, trainers

    backend = CLIPTokenizer().backend_tokenizer
    backend.train_from_iterator(captions, trainers.BpeTrainer(
        vocab_size=2600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>",
        show_progress=False))
    learned = json.loads(backend.to_str())["model"]
    special = ("<|startoftext|>", "<|endoftext|>")
    # A byte that ends a word is a token of its own: without these, a word of unknown letters would be lost.
    endings = {letter + "</w>" for letter in pre_tokenizers.ByteLevel.alphabet()}
    tokens = sorted((set(learned["vocab"]) | endings) - set(special))
    # The special tokens come last, as in the real vocabulary; an end token with id 2 would be pooled wrongly.
    vocabulary = {token: i for i, token in enumerate([*tokens, *special])}
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge) for merge in learned["merges"]], model_max_length=77)


def configuration(tokenizer: CLIPTokenizer) -> CLIPConfig:
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=77, projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return CLIPConfig(text_config=text, vision_config=CLIPVisionConfig(**VISION, projection_dim=WIDTH),
                      projection_dim=WIDTH)


def make_processor(tokenizer: CLIPTokenizer) -> CLIPProcessor:
    return CLIPProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": PICTURE_SIZE},
                                              crop_size={"height": PICTURE_SIZE, "width": PICTURE_SIZE}),
        tokenizer=tokenizer)


class Heads(nn.Module):
    """What the vision tower answers while it learns to see; thrown away afterwards."""

    def __init__(self):
        super().__init__()
        self.patch_noun = nn.Linear(WIDTH, NO_NOUN + 1)
        self.patch_position = nn.Linear(WIDTH, PATCHES * PATCHES)
        self.nouns = nn.Linear(WIDTH, len(NOUNS))
        self.first = nn.Linear(WIDTH, len(NOUNS))
        self.last = nn.Linear(WIDTH, len(NOUNS))
        self.total = nn.Linear(WIDTH, 3)
        self.place = nn.Linear(WIDTH, len(backgrounds.PLACES))
        self.light = nn.Linear(WIDTH, len(backgrounds.LIGHTS))
        self.colours = nn.Linear(WIDTH, len(COLOURS))
        self.patch_colour = nn.Linear(WIDTH, len(COLOURS) + 1)

    def forward(self, hidden: torch.Tensor, records: np.ndarray,
                kept: torch.Tensor | None = None) -> tuple[torch.Tensor, float]:
        """The loss, and the share of object patches named right.

        Args:
            hidden: Last hidden state after the tower's last normalisation (batch, 1 + patches, 256).
            records: The scenes (batch,), see `scenes.RECORD`.
            kept: Which patches `hidden` holds, (batch, patches); all 49 if None.
        """
        pooled = hidden[:, 0]  # the class token
        patches = torch.from_numpy(records["patches"].reshape(len(records), -1).copy()).long()  # (batch, 49)
        position = torch.arange(PATCHES * PATCHES).expand(len(records), -1)
        if kept is not None:
            patches, position = patches.gather(1, kept), kept
        patch_logits = self.patch_noun(hidden[:, 1:]).float()
        # Most patches are background: the few that are not count five times.
        weights = torch.ones(NO_NOUN + 1)
        weights[NO_NOUN] = 0.2
        loss = F.cross_entropy(patch_logits.flatten(0, 1), patches.flatten(), weights)

        groups = torch.from_numpy(records["groups"].copy()).long()  # (batch, 3, [noun, count, colour])
        there = groups[..., 1] > 0
        colour_of_noun = torch.full((len(records), NO_NOUN + 1), len(COLOURS))
        colour = torch.where(groups[..., 2] < 0, len(COLOURS), groups[..., 2])
        for i in range(3):
            rows = there[:, i]
            colour_of_noun[rows, groups[rows, i, 0]] = colour[rows, i]
        patch_colours = colour_of_noun.gather(1, patches)
        on_object = patches != NO_NOUN
        loss = loss + 0.5 * F.cross_entropy(self.patch_colour(hidden[:, 1:]).float()[on_object],
                                            patch_colours[on_object])
        # Nothing above asks where a patch is, and what nothing asks for is lost on the way up: without these, the last
        # layer of the tower knows no more of left and right than chance. Where there is only one kind of thing, nothing
        # is learned from asking what stands leftmost.
        loss = loss + 0.1 * F.cross_entropy(self.patch_position(hidden[:, 1:]).float().flatten(0, 1),
                                            position.flatten())
        several = there[:, 1]
        last = groups[torch.arange(len(records)), there.sum(1) - 1, 0]
        for head, target in ((self.first, groups[:, 0, 0]), (self.last, last)):
            loss = loss + 0.5 * F.cross_entropy(head(pooled[several]).float(), target[several])

        # Which nouns are there, and in which colours.
        for head, kind, weight in ((self.nouns, 0, 1.0), (self.colours, 2, 0.3)):
            present = torch.zeros(len(records), head.out_features)
            for i in range(3):
                rows = there[:, i] & (groups[:, i, kind] >= 0)
                present[rows, groups[rows, i, kind]] = 1
            rows = present.any(1)  # not everything has a colour that could be named
            loss = loss + weight * F.cross_entropy(head(pooled[rows]).float(),
                                                   present[rows] / present[rows].sum(1, keepdim=True))
        total = groups[..., 1].sum(1) - 1
        for head, target in ((self.total, total), (self.place, torch.from_numpy(records["place"].copy()).long()),
                             (self.light, torch.from_numpy(records["light"].copy()).long())):
            loss = loss + 0.3 * F.cross_entropy(head(pooled).float(), target)
        right = (patch_logits.argmax(-1) == patches)[on_object].float().mean().item()
        return loss, right


def trained(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights at the end of the run "clip-vision" or "clip": of the vision tower or the model, and of the heads."""
    state = torch.load(CACHE / f"{name}.pt", weights_only=True)["model"]
    return tuple({key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}
                 for part in ("0.", "1."))


def choose_patches(records: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Which patches of each scene to show, (batch, 24): at random, but rather those with something on them."""
    scores = rng.random((len(records), PATCHES * PATCHES))
    scores += 0.6 * (records["patches"].reshape(scores.shape) != NO_NOUN)
    return torch.from_numpy(np.argsort(-scores, axis=1)[:, :GLANCE].copy())


def glance(tower: CLIPVisionModel, pixels: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The tower's forward pass over some of the patches (FLIP, Li et al. 2023): what it does not see costs nothing.

    Returns the last hidden state after the last normalisation, (batch, 1 + kept, 256).
    """
    tokens = tower.embeddings(pixels)  # (batch, 50, 256)
    rows = torch.cat([torch.zeros_like(kept[:, :1]), kept + 1], dim=1)  # the class token comes first
    tokens = tokens.gather(1, rows[..., None].expand(-1, -1, WIDTH))
    return tower.post_layernorm(tower.encoder(inputs_embeds=tower.pre_layrnorm(tokens)).last_hidden_state)


def train_vision(model: CLIPModel, heads: Heads, pool: Pool, steps: int, rng: np.random.Generator) -> None:
    """Phase one: the vision tower names what it sees."""
    run = Run("clip-vision", nn.ModuleList([model.vision_model, heads]), steps, rng, matrix_rate=0.02,
              other_rate=2e-3)
    fast_glance = speed_up(glance)
    for _ in run:
        pixels, records = pool.batch(BATCH, rng)
        kept = choose_patches(records, rng)
        with mixed_precision():
            loss, right = heads(fast_glance(model.vision_model, pixels, kept), records, kept)
        run.update(loss, BATCH, patches_right=right)


def caption_pair(scene: Scene, rng: np.random.Generator, chinese: float, placed: float,
                 place_alone: bool) -> tuple[str, str, Scene, Scene]:
    """A true caption of a scene, one that is false in a single respect, and the scenes as the two tell them.

    Args:
        chinese: How often both are in Chinese. placed: how often the true one says the place.
        place_alone: Say nothing but the place.
    """
    in_chinese = bool(rng.random() < chinese)
    if place_alone:
        false = falsify(scene, rng, "place")
        if false.light != "day":  # A caption may say the light alone, which must then be false as well.
            false = replace(false, light="sunset" if false.light == "night" else "night")
        return place_caption(scene, rng, in_chinese), place_caption(false, rng, in_chinese), scene, false
    scene = in_other_words(with_colours_to_say(scene, rng), rng, in_chinese)
    while (false := falsify(scene, rng, how := pick(FALSIFICATIONS, rng))) is None:
        pass
    # Another word for what is false, too, but none that may be true, as "a boat" is where there is a ship and no canoe.
    there = {group.noun for group in scene.groups}
    false = replace(false, groups=tuple(
        group if group.noun in there else by_another_word(group, rng, in_chinese, scene.groups, kinds=CAPTION_KINDS[
            in_chinese]) for group in false.groups))
    bare = how not in ("count", "colour") and rng.random() < 0.25
    if rng.random() < OF_ONE:
        true, untrue, i, j = pair_of_one(scene, false, how, rng, in_chinese, placed, bare)
        return true, untrue, replace(scene, groups=scene.groups[i:i + 1]), replace(false, groups=false.groups[j:j + 1])
    of_three = len(scene.groups) == 3 and bool(rng.random() < TWO_OF_THREE)
    if of_three:
        left_out = int(rng.choice([i for i in range(3) if how == "order" or scene.groups[i] == false.groups[i]]))
        scene, false = (replace(of, groups=of.groups[:left_out] + of.groups[left_out + 1:]) for of in (scene, false))
        if how == "order":
            false = replace(scene, groups=scene.groups[::-1])
    vary = partial(vary_caption_chinese if in_chinese else vary_caption, lit=how == "light", of_three=of_three)
    # A false caption is false only if it says what is wrong, so it says all. Half of the true ones do too, in the very
    # same words: else to say all would be a sign of falsehood.
    alike, seed = rng.random() < 0.5, int(rng.integers(2**31))
    true = vary(scene, np.random.default_rng(seed) if alike else rng, alike, placed, bare)
    return true, vary(false, np.random.default_rng(seed), True, bare=bare), scene, false


def may_fit(said: Sequence[Scene], place_alone: np.ndarray, seen: Sequence[Scene]) -> torch.Tensor:
    """Whether the caption of a scene may be true of a picture: "a cat" is, of every picture with a cat.

    Args:
        said: Scenes as they are told, see `captions.in_other_words`: "a boat" fits a canoe, too.
        place_alone: Which captions say nothing but the place, (captions,).

    Returns (pictures, captions).
    """
    def truths(scene: Scene) -> set[str]:
        return {scene.place, scene.light, *(group.name for group in scene.groups)} - {"day"}

    # What a caption claims: that of each of these sets something is in the picture.
    claims = [[{scene.place, scene.light} - {"day"}] if alone else [group.meanings for group in scene.groups]
              for scene, alone in zip(said, place_alone)]
    return torch.tensor([[not any(claim.isdisjoint(there) for claim in claimed) for claimed in claims]
                         for there in map(truths, seen)])


def read(model: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """The embeddings of texts, (texts, 256), not normalised; read in four batches by length, to pad less."""
    order = np.argsort([len(text) for text in texts])
    embeddings = [model.get_text_features(**tokenizer([texts[i] for i in rows], padding=True, truncation=True,
                                                      return_tensors="pt")).pooler_output
                  for rows in np.array_split(order, 4)]
    return torch.cat(embeddings)[torch.from_numpy(np.argsort(order))]


def contrast(model: CLIPModel, tokenizer: CLIPTokenizer, image_embeddings: torch.Tensor, scenes: list[Scene],
             rng: np.random.Generator, chinese: float, placed: float, place_alone: float, false_captions: bool = True
             ) -> tuple[torch.Tensor, torch.Tensor, float]:
    """CLIP's loss for a batch of pictures, the comparison of each false caption with the true one, and the share of
    pictures that find their caption among all of the batch.

    Args:
        image_embeddings: (batch, 256), projected but not normalised.
        chinese, placed: See `caption_pair`.
        place_alone: How often a caption says nothing but the place.
        false_captions: Whether the false captions are among those that a picture must tell its own from.
    """
    alone = rng.random(len(scenes)) < place_alone
    pairs = [caption_pair(scene, rng, chinese, placed, place) for scene, place in zip(scenes, alone)]
    trues, falses, told, told_falsely = zip(*pairs)
    # (batch, 2 batch): true captions, then false ones
    logits = compare(model, image_embeddings, read(model, tokenizer, [*trues, *falses]))
    # Among hundreds of captions the nouns decide; in the comparison only what makes the false one false does.
    comparison = F.softplus(logits.diagonal(len(scenes)) - logits.diagonal()).mean()
    # No contrast between a picture and another's caption, true or false, that may fit it as well.
    true_logits, false_logits = (
        some.masked_fill(may_fit(said, alone, scenes).fill_diagonal_(False), -100)
        for some, said in ((logits[:, :len(scenes)], told), (logits[:, len(scenes):], told_falsely)))
    candidates = torch.cat([true_logits, false_logits], dim=1) if false_captions else true_logits
    labels = torch.arange(len(scenes))
    loss = (F.cross_entropy(candidates, labels) + F.cross_entropy(true_logits.T, labels)) / 2
    return loss, comparison, (candidates.argmax(1) == labels).float().mean().item()


def compare(model: CLIPModel, image_embeddings: torch.Tensor, text_embeddings: torch.Tensor) -> torch.Tensor:
    """Cosines times CLIP's scale, (pictures, texts), of embeddings that are not normalised yet; always in fp32, since
    in bf16 numbers near 100 are half a unit apart."""
    with torch.autocast("cpu", enabled=False):
        seen, said = (F.normalize(some.float(), dim=-1) for some in (image_embeddings, text_embeddings))
        return model.logit_scale.clamp(max=np.log(100)).exp() * seen @ said.T


def name_nouns(model: CLIPModel, tokenizer: CLIPTokenizer, image_embeddings: torch.Tensor, scenes: list[Scene],
               rng: np.random.Generator, chinese: float) -> torch.Tensor:
    """Zero-shot classification as a loss: each picture of a single thing must find its noun among all 175, each in a
    wording of its own. A batch alone has too few nouns in it to tell the rare look-alikes apart.

    Args:
        image_embeddings: (batch, 256), projected but not normalised.
    """
    rows = [i for i, scene in enumerate(scenes) if len(scene.groups) == scene.groups[0].count == 1]
    in_chinese = bool(rng.random() < chinese)
    vary = vary_caption_chinese if in_chinese else vary_caption
    things = [by_another_word(Group(noun, 1), rng, in_chinese) for noun in range(len(NOUNS))]
    texts = [vary(Scene((thing,), "plain"), rng, placed=0) for thing in things]
    logits = compare(model, image_embeddings[rows], read(model, tokenizer, texts))  # (rows, 175)
    return F.cross_entropy(logits, torch.tensor([scenes[i].groups[0].noun for i in rows]))


def train_both(model: CLIPModel, heads: Heads, tokenizer: CLIPTokenizer, pool: Pool, steps: int,
               rng: np.random.Generator, name: str = "clip", losses: Container[str] = LOSSES) -> None:
    """Phase two: CLIP's contrastive loss over both towers, and beside it, at half weight, the comparison with a false
    caption, the naming of nouns and the naming of patches. `training.ablation` leaves some of them out."""
    run = Run(name, nn.ModuleList([model, heads]), steps, rng, matrix_rate=0.008, other_rate=8e-4,
              after=("clip-vision",))
    see = speed_up(model.vision_model)
    for _ in run:
        pixels, records = pool.batch(BATCH, rng)
        words = np.random.default_rng(rng.integers(2**32))  # so that runs with fewer losses see the same batches
        with mixed_precision():
            output = see(pixel_values=pixels)
            embeddings, scenes = model.visual_projection(output.pooler_output), [decode(record) for record in records]
            loss, comparison, matched = contrast(model, tokenizer, embeddings, scenes, words, chinese=0.3, placed=0.85,
                                                 place_alone=0.06, false_captions="false captions" in losses)
            measures = {"contrastive": loss.item(), "matched": matched}
            if "comparison" in losses:
                loss = loss + 0.5 * comparison
            if "nouns" in losses:
                naming = name_nouns(model, tokenizer, embeddings, scenes, words, chinese=0.3)
                loss, measures["naming"] = loss + 0.5 * naming, naming.item()
            if "patches" in losses:
                hidden = model.vision_model.post_layernorm(output.last_hidden_state)
                seeing, measures["patches_right"] = heads(hidden, records)
                loss = loss + 0.5 * seeing
        run.update(loss, BATCH, **measures)


def train_text(model: CLIPModel, tokenizer: CLIPTokenizer, pool: Pool, steps: int, rng: np.random.Generator) -> None:
    """Phase three: the vision tower is finished, the text tower and both projections learn on (LiT, Zhai et al. 2022),
    with more Chinese and with more captions that name things and no place, as people search."""
    model.vision_model.requires_grad_(False)
    run = Run("clip-text", model, steps, rng, matrix_rate=0.004, other_rate=5e-4, after=("clip",))
    see = speed_up(model.vision_model)
    for _ in run:
        pixels, records = pool.batch(BATCH, rng)
        with mixed_precision():
            with torch.no_grad():
                pooled = see(pixel_values=pixels).pooler_output
            embeddings, scenes = model.visual_projection(pooled), [decode(record) for record in records]
            contrastive, comparison, matched = contrast(model, tokenizer, embeddings, scenes, rng, chinese=0.5,
                                                        placed=0.5, place_alone=0.15)
            naming = name_nouns(model, tokenizer, embeddings, scenes, rng, chinese=0.5)
        run.update(contrastive + 0.5 * comparison + naming, BATCH, contrastive=contrastive.item(),
                   naming=naming.item(), matched=matched)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vision-steps", type=int, default=4600)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--text-steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=9)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    pool = Pool()
    if not (TOKENIZER / "tokenizer.json").exists():  # A run that goes on must go on with the same token ids.
        scenes = [with_colours_to_say(decode(record)) for record in pool.parts[0][1][:6000]]
        words = np.random.default_rng(options.seed)  # Not `rng`: the batches are the same if a tokenizer is there.
        texts = [vary(scene, words) for scene in scenes for vary in (vary_caption, vary_caption_chinese)]
        texts += [place_caption(scene, words, chinese) for scene in scenes[:500] for chinese in (False, True)]
        train_tokenizer(texts).save_pretrained(TOKENIZER)
    tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER)
    model, heads = CLIPModel(configuration(tokenizer)), Heads()
    model.set_attn_implementation("eager")  # the fused kernels have a slow backward pass on CPUs
    train_vision(model, heads, pool, options.vision_steps, rng)
    train_both(model, heads, tokenizer, pool, options.steps, rng)
    train_text(model, tokenizer, pool, options.text_steps, rng)

    folder = CHECKPOINTS / "clip"
    save_half(model, folder)
    make_processor(tokenizer).save_pretrained(folder)
    draw_losses(folder, "clip-vision", "clip", "clip-text")
    print(f"saved {folder}")


if __name__ == "__main__":
    main()
