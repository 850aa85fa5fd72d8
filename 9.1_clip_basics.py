# %% [markdown]
# # 9.1 CLIP: one space for images and text
#
# **You learn** how CLIP turns a picture and a sentence into two vectors that can be compared, what a cosine of 0.3
# means, how a softmax makes it a probability, and which loss the model was trained with.
#
# **It needs** 0.8 to 1.0 GB of memory and no download with the small model of this repository; the real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own picture:** `python 9.1_clip_basics.py --image my.jpg --texts "a dog" "a cat" "my bicycle"`

# %%
# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import catalog, figures, images
from multimodal.lesson import Lesson

import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPProcessor

lesson = Lesson("9.1", "CLIP: one space for images and text")
lesson.argument("--texts", nargs="+", metavar="TEXT", help="texts to compare the pictures with")
options = lesson.start()

choice = catalog.choose("clip", options)
lesson.use(choice)
model = CLIPModel.from_pretrained(choice.path, dtype=choice.dtype).to(choice.device).eval()
processor = CLIPProcessor.from_pretrained(choice.path)

gallery = images.gallery()
pictures, own = images.chosen(options)
if own and len(pictures) > 3:
    print(f"This lesson looks at three pictures, the first of your {len(pictures)}.")
pictures = pictures[:3]
lesson.check(pictures)
texts = options.texts or ["a dog in the snow", "a cat", "a car on the road at sunset", "a dog"]

# %% [markdown]
# ## 1. Pixels and tokens
#
# A network reads numbers, not JPEG files or letters. The **processor** scales the picture until its shorter side fits,
# cuts out the square in the middle and normalises each colour channel. The **tokenizer** splits the text into pieces
# of words from its vocabulary and adds a start token and an end token.
#
# CLIP's picture tower is a **vision transformer**: it makes one token of each patch of the square, and one more, the
# class token, becomes the embedding. Its layers let the tokens exchange information by attention. It does not know
# their order: `examples/attention.py` finds that CLIP names a thing in 91% of pictures, and without positions in 14%.

# %%
lesson.step("Pixels and tokens: what the model is given")
inputs = processor(text=texts, images=[picture.image for picture in pictures], return_tensors="pt",
                   padding=True, truncation=True).to(choice.device)
pixel_values = inputs["pixel_values"].to(choice.dtype)  # (pictures, 3, height, width)
print(f"   pixel_values {tuple(pixel_values.shape)}, from {pixel_values.min():.2f} to {pixel_values.max():.2f}")
print(f"   input_ids    {tuple(inputs['input_ids'].shape)}: shorter texts are padded to the longest")
for text in texts[:2]:
    print(f"   {text!r} -> {processor.tokenizer.convert_ids_to_tokens(processor.tokenizer(text)['input_ids'])}")

vision = model.config.vision_config
patches = (vision.image_size // vision.patch_size) ** 2
print(f"   {vision.image_size} x {vision.image_size} pixels: {patches} patches of {vision.patch_size} x "
      f"{vision.patch_size}; with the class token {patches + 1} tokens")
lesson.save(figures.patch_view([picture.image for picture in pictures], pixel_values.float().cpu().numpy(),
                               vision.patch_size, processor.image_processor), "what_the_model_sees")

# %% [markdown]
# ## 2. Two embeddings in one space
#
# Each tower ends in a linear projection to the same number of dimensions. The length of the projected vector carries
# no meaning, so CLIP divides it out. The cosine of two normalised vectors is their dot product.

# %%
lesson.step("Two towers, one space")
with torch.inference_mode():
    image_features = model.get_image_features(pixel_values=pixel_values).pooler_output  # (pictures, dimensions)
    text_features = model.get_text_features(input_ids=inputs["input_ids"],
                                            attention_mask=inputs["attention_mask"]).pooler_output
image_embeddings = F.normalize(image_features.float(), dim=-1)
text_embeddings = F.normalize(text_features.float(), dim=-1)
print(f"   image features {tuple(image_features.shape)}, the first of length {image_features[0].norm():.1f}; text "
      f"features {tuple(text_features.shape)}, {text_features[0].norm():.1f}; after normalising all have length 1")
lesson.record("embedding_dimensions", image_embeddings.shape[-1])

# %% [markdown]
# ## 3. Cosine, scale, softmax
#
# In OpenAI's CLIP a matching pair has a cosine of 0.2 to 0.35 and other pairs have 0.1 to 0.2. No pair comes near 1.
# The small model spreads its cosines wider. So compare cosines only within one row: 0.30 wins if the others are 0.20.
#
# To turn a row into probabilities, CLIP multiplies it by a **scale** and takes the softmax. The scale is the inverse
# of the temperature, and it was learned with the towers: 100 in OpenAI's CLIP, less in the small model, whose cosines
# lie further apart. Texts that fit nearly equally well share the probability.

# %%
lesson.step("Cosine, scale, softmax")
cosine = image_embeddings @ text_embeddings.T  # (pictures, texts)
scale = model.logit_scale.float().exp().item()
probabilities = (scale * cosine).softmax(dim=-1)
print(f"   learned scale {scale:.1f} (temperature {1 / scale:.4f})")
left = probabilities.masked_fill(probabilities == probabilities.amax(1, keepdim=True), 0).sum(1)  # for the others
for picture, row, rest in zip(pictures, cosine.tolist(), left.tolist()):
    best, *others = sorted(zip(row, texts), reverse=True)
    print(f"   {picture.name:16} {best[1]!r}: cosine {best[0]:.3f}; others {', '.join(f'{c:.3f}' for c, _ in others)}, "
          f"with a probability of {rest:.2g} together")
lesson.record("logit_scale", scale)
lesson.record("cosine", cosine.tolist())
best, second = cosine.topk(min(2, len(texts)), dim=1).values.T[[0, -1]]
lesson.save(figures.similarity_heatmap(
    cosine.cpu().numpy(), [picture.image for picture in pictures], texts,
    f"The best text of a picture has a cosine of {best.min():.2f} to {best.max():.2f}, the second best "
    f"{second.min():.2f} to {second.max():.2f}", diagonal=not (own or options.texts)), "cosine")

scales = [1, 2, 5, 10, 20, 50, 100, 200]
curves = {picture.name: [(factor * row).softmax(-1).max().item() for factor in scales]
          for picture, row in zip(pictures, cosine)}
least = int(left.argmax())
lesson.save(figures.lines(
    scales, curves, f"{pictures[least].name} is the least certain: its best text leaves the others "
    f"{1 - cosine[least].softmax(-1).max():.2g} at scale 1 and {left[least]:.2g} at the learned {scale:.0f}", "scale",
    "probability of the best text", True, (f"chance among {len(texts)} texts", 1 / len(texts))), "temperature")

# %% [markdown]
# ## 4. One picture against many texts
#
# Matching needs no more than this: embed, compare, take the softmax over the candidates. The probabilities add up to 1
# whatever the candidates are. If several fit, they share it. If none fits, the least wrong one still wins.
#
# Which part of the picture speaks for a word? `examples/look_for_a_word.py` draws a map for each word and finds that
# its maximum is in the right one of three things in 99% of cases (9% by chance).

# %%
lesson.step("One picture against many texts")
captions = [sample.caption for sample in gallery]
candidates = options.texts or ["a dog", "an animal", "snow", "a puppy in the snow", "a red dog", *captions]
picture = pictures[0]
with torch.inference_mode():
    batch = processor(text=candidates, return_tensors="pt", padding=True, truncation=True).to(choice.device)
    candidate_embeddings = F.normalize(model.get_text_features(**batch).pooler_output.float(), dim=-1)
top = (scale * image_embeddings[0] @ candidate_embeddings.T).softmax(-1).topk(min(5, len(candidates)))
matches = {candidates[index]: probability for probability, index in zip(top.values.tolist(), top.indices.tolist())}
for text, probability in matches.items():
    clipped = min(max(probability, 0.001), 0.999)  # a softmax never reaches 0% or 100%
    print(f"   {'<>'[probability > 0.5] if clipped != probability else ' '} {clipped:5.1%}  {text}")
winner, *rest = matches
lesson.record("best_match", {"picture": picture.name, "text": winner})
lesson.save(figures.picture_and_bars(
    picture.image, matches, f"Of {len(candidates)} texts, {winner!r} fits {picture.name} best"
    + f", then {rest[0]!r}" * bool(rest)), "matching")

# %% [markdown]
# ## 5. The contrastive loss
#
# CLIP was trained on batches of pairs. Each picture has to find its own text among all texts of the batch, and each
# text its own picture. Both are classification problems, and the right classes are on the diagonal of the matrix. The
# loss is the mean of the two cross-entropies (Radford et al. 2021, figure 3; InfoNCE in van den Oord et al. 2018).


# %%
def contrastive_loss(image_embeddings: torch.Tensor, text_embeddings: torch.Tensor, scale: float) -> torch.Tensor:
    """CLIP's symmetric loss.

    Args:
        image_embeddings: (batch, dimensions), normalised; row i belongs to row i of `text_embeddings`.
        scale: Inverse temperature.
    """
    logits = scale * image_embeddings @ text_embeddings.T  # (batch, batch)
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


lesson.step("The contrastive loss, written out")
if choice.dtype_name != "fp32":  # compare losses in full precision
    model = CLIPModel.from_pretrained(choice.path, dtype=torch.float32).to(choice.device).eval()
batch = processor(text=captions, images=[sample.image for sample in gallery], return_tensors="pt", padding=True,
                  truncation=True).to(choice.device)
with torch.inference_mode():
    output = model(**batch, return_loss=True)  # its embeddings are normalised already
scale = model.logit_scale.exp().item()
ours = contrastive_loss(output.image_embeds, output.text_embeds, scale).item()
print(f"   written out {ours:.6f}, the model's own {output.loss.item():.6f}; guessing among {len(gallery)} gives "
      f"{torch.tensor(float(len(gallery))).log():.2f}, the logarithm of the batch size")
assert abs(ours - output.loss.item()) < 1e-5
lesson.record("contrastive_loss", {"written_out": ours, "model": output.loss.item()})

# %% [markdown]
# Which pairs does the loss push apart? `examples/contrastive_gradient.py` derives its gradient by hand and finds that
# the text pushed away hardest shares a thing or a place with the picture in 93% of cases (by chance 11%).
#
# The loss asks only that the right pair is nearer than the others. It does not ask that pictures and texts mix, and
# they do not: they form two clouds with a gap between them, the **modality gap** (Liang et al. 2022, "Mind the Gap").
# So never compare a cosine between two pictures with a cosine between a picture and a text.

# %%
image_embeds, text_embeds = output.image_embeds, output.text_embeds  # (72, dimensions) each
gap = (image_embeds.mean(0) - text_embeds.mean(0)).norm().item()
halves = (image_embeds[::2].mean(0) - image_embeds[1::2].mean(0)).norm().item()  # what sampling alone makes
matched = (image_embeds * text_embeds).sum(dim=-1).mean().item()
lesson.record("modality_gap", gap)
lesson.record("gap_between_halves", halves)
lesson.record("matched_cosine", matched)
finding = f"The centres of pictures and texts are {gap:.2f} apart, those of two halves of the pictures {halves:.2f}"
print(f"   {finding}; mean cosine of matching pairs {matched:.2f}")
lesson.save(figures.two_clouds(image_embeds.cpu().numpy(), text_embeds.cpu().numpy(), finding), "gap")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Two towers, one projection each, one space. After normalising, a dot product is a cosine.
# - The size of a cosine depends on the model. Compare only cosines of one row.
# - The softmax divides 100% among your candidates, whether or not one of them fits.
# - The loss is classification within the batch, in both directions.
#
# ## Exercises
#
# 1. Replace the scale by 1 in `probabilities`. How sure is the model now? Why must the scale be learned?
# 2. Shift `captions` by one picture before the loss. Is the loss above or below that of a guess? Why?
# 3. Give `--texts` two sentences that do not fit your picture. What does the softmax say? What should a program do?
#
# **Next:** `9.2_clip_similarity_matrix.py` compares many pictures with many texts and measures how often CLIP is right.
