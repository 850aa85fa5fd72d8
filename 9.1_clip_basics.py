# %% [markdown]
# # 9.1 CLIP: one space for images and text
#
# **You learn** how CLIP turns a picture and a sentence into two vectors that can be compared, what the numbers
# mean, why even a perfect match has a cosine far from 1, the loss that made it so, and where in a picture it looks.
#
# **It needs** about 1.2 GB of memory and no download with the small model of this repository; the real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own picture:** `python 9.1_clip_basics.py --image my.jpg --texts "a dog" "a cat" "my bicycle"`

# %%
# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import catalog, figures, images
from multimodal.lesson import Lesson
from multimodal.words import article

import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPProcessor

lesson = Lesson("9.1", "CLIP: one space for images and text")
lesson.argument("--texts", nargs="+", metavar="TEXT", help="texts to compare the pictures with")
options = lesson.start()

choice = catalog.choose("clip", options)
lesson.use(choice)
with choice.loading() as settings:
    model = CLIPModel.from_pretrained(choice.path, **settings)
model.to(choice.device).eval()
processor = CLIPProcessor.from_pretrained(choice.path)

gallery = images.gallery()
pictures = images.chosen(options)
if (options.image or options.images) and len(pictures) > 3:
    print(f"This lesson looks at three pictures, the first of your {len(pictures)}.")
pictures = pictures[:3]
lesson.check(pictures)
texts = options.texts or ["a dog in the snow", "a cat", "a car on the road at sunset", "a plate of food"]

# %% [markdown]
# ## What the model is given
#
# A network takes neither JPEG files nor letters. The **processor** scales a picture so that its shorter side fits,
# cuts out the middle square and normalises each colour channel. The **tokenizer** cuts a text into pieces of words
# that its vocabulary knows and frames them with a start and an end token.

# %%
lesson.step("What the model is given: pixels and tokens")
inputs = processor(text=texts, images=[picture.image for picture in pictures], return_tensors="pt",
                   padding=True, truncation=True).to(choice.device)
pixel_values = inputs["pixel_values"].to(choice.dtype)  # (pictures, 3, height, width)
print(f"   pixel_values {tuple(pixel_values.shape)}, from {pixel_values.min():.2f} to {pixel_values.max():.2f}")
print(f"   input_ids    {tuple(inputs['input_ids'].shape)}: every text padded to the longest")
for text in texts[:2]:
    print(f"   {text!r} -> {processor.tokenizer.convert_ids_to_tokens(processor.tokenizer(text)['input_ids'])}")

vision = model.config.vision_config
patches = (vision.image_size // vision.patch_size) ** 2
print(f"   The vision transformer cuts {vision.image_size} pixels into {patches} patches of {vision.patch_size} x "
      f"{vision.patch_size} and adds a class token: {patches + 1} tokens.")
lesson.save(figures.patch_view([picture.image for picture in pictures], pixel_values.float().cpu().numpy(),
                               vision.patch_size, processor.image_processor), "what_the_model_sees")

# %% [markdown]
# ## Inside a tower: attention
#
# In each layer the tokens look at one another. Every head gives each token a query, a key and a value; its result is
# the mean of all values, weighted by how well its query agrees with their keys: softmax(Q K^T / sqrt(d)) V, with d the
# width of a head (Vaswani et al. 2017, section 3.2). The formula does not know the order of the tokens: shuffle them,
# and the results are shuffled alike. So a learned vector for each position is added before the first layer. (The text
# tower also hides from each word those that come after it.)


# %%
def attention(module: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Multi-head self-attention, written out: (batch, tokens, width) to the same.

    Args:
        module: A layer's attention of the library, for its four linear maps and its number of heads.
    """
    batch, number, width = tokens.shape
    query, key, value = (project(tokens).view(batch, number, module.num_heads, -1).transpose(1, 2)
                         for project in (module.q_proj, module.k_proj, module.v_proj))  # (batch, heads, tokens, d)
    weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)  # (batch, heads, tokens, tokens)
    return module.out_proj((weights @ value).transpose(1, 2).reshape(batch, number, width))


lesson.step("Attention, written out")
layer = model.vision_model.encoder.layers[-1]
with torch.inference_mode():
    tokens = model.vision_model(pixel_values=pixel_values, output_hidden_states=True).hidden_states[-2]
    tokens = layer.layer_norm1(tokens)  # (pictures, tokens, width)
    ours, theirs = attention(layer.self_attn, tokens), layer.self_attn(tokens, attention_mask=None)[0]
    order = torch.randperm(tokens.shape[1], device=choice.device)
    shuffled = attention(layer.self_attn, tokens[:, order])
difference, moved = ((some - theirs).abs().max().item() / theirs.abs().max().item()
                     for some in (ours, shuffled[:, order.argsort()]))
print(f"   {layer.self_attn.num_heads} heads of {tokens.shape[-1] // layer.self_attn.num_heads} over {tokens.shape[1]} "
      f"tokens: {difference:.1e} from the library's own; with the tokens shuffled, and put back, {moved:.1e}")
assert max(difference, moved) < (1e-4 if choice.dtype_name == "fp32" else 5e-2)
lesson.record("attention", {"difference": difference, "shuffled": moved})

# %% [markdown]
# ## Two embeddings
#
# Each tower ends in a linear projection to the same number of dimensions. The projected vectors have some length
# of their own; CLIP divides it out, so that only the direction counts. Then the cosine is a plain dot product.

# %%
lesson.step("Two towers, one space")
with torch.inference_mode():
    image_features = model.get_image_features(pixel_values=pixel_values).pooler_output  # (pictures, dimensions)
    text_features = model.get_text_features(input_ids=inputs["input_ids"],
                                            attention_mask=inputs["attention_mask"]).pooler_output
print(f"   image features {tuple(image_features.shape)}, lengths {image_features.norm(dim=-1).tolist()[0]:.2f} ...")
print(f"   text features  {tuple(text_features.shape)}, lengths {text_features.norm(dim=-1).tolist()[0]:.2f} ...")
image_embeddings = F.normalize(image_features.float(), dim=-1)
text_embeddings = F.normalize(text_features.float(), dim=-1)
lesson.record("embedding_dimensions", image_embeddings.shape[-1])

# %% [markdown]
# ## From cosine to probability
#
# In OpenAI's CLIP a matching pair has a cosine of 0.2 to 0.35 and a wrong one of 0.1 to 0.2: close together, and never
# near 1. CLIP multiplies the cosines by a **learned scale** (100 there; the inverse of the temperature) before the
# softmax, which is what separates them. The small model has learned a smaller scale and spreads its cosines wider: the
# two go together, so a cosine alone says little, and a cosine among its rivals says much.

# %%
lesson.step("Cosine, scale, softmax")
cosine = image_embeddings @ text_embeddings.T  # (pictures, texts)
scale = model.logit_scale.float().exp().item()
probabilities = (scale * cosine).softmax(dim=-1)
print(f"   learned scale {scale:.1f} (temperature {1 / scale:.4f})")
for picture, cosines, shares in zip(pictures, cosine, probabilities):
    best = int(shares.argmax())
    print(f"   {picture.name:20} best {texts[best]!r}: cosine {cosines[best]:.3f} "
          f"(others {', '.join(f'{c:.3f}' for i, c in enumerate(cosines.tolist()) if i != best)}), "
          f"probability {shares[best]:.1%}")
lesson.record("logit_scale", scale)
lesson.record("cosine", cosine.tolist())
lesson.save(figures.similarity_heatmap(
    cosine.cpu().numpy(), [picture.image for picture in pictures], texts,
    "The best text of each picture has the highest cosine of its row",
    diagonal=not (options.texts or options.image or options.images)), "cosine")

scales = [1, 2, 5, 10, 20, 50, 100, 200]
curves = {picture.name: [(s * row).softmax(-1).max().item() for s in scales]
          for picture, row in zip(pictures, cosine)}
lesson.save(figures.lines(scales, curves, "The scale, not the cosine, makes the decision sharp", "scale",
                          "probability of the best text", logarithmic=True), "temperature")

# %% [markdown]
# ## One picture, many texts
#
# That is all there is to matching: embed, compare, take the softmax over the candidates. The probabilities are
# relative to the candidates given. Leave the right one out, and the least wrong one wins.

# %%
lesson.step("One picture against many texts")
candidates = options.texts or [sample.caption for sample in gallery]
picture = pictures[0]
with torch.inference_mode():
    batch = processor(text=candidates, return_tensors="pt", padding=True, truncation=True).to(choice.device)
    candidate_embeddings = F.normalize(model.get_text_features(**batch).pooler_output.float(), dim=-1)
shares = (scale * image_embeddings[0] @ candidate_embeddings.T).softmax(-1)
top = shares.topk(min(5, len(candidates)))
for share, index in zip(top.values.tolist(), top.indices.tolist()):
    print(f"   {share:6.1%}  {candidates[index]}")
lesson.record("best_match", {"picture": picture.name, "text": candidates[top.indices[0]]})
lesson.save(figures.picture_and_bars(
    picture.image, [candidates[i] for i in top.indices.tolist()], top.values.tolist(),
    f"{picture.name}: {candidates[top.indices[0]]!r} is the likeliest of {len(candidates)} texts"), "matching")

# %% [markdown]
# ## The loss that made it
#
# CLIP was trained on batches of pairs: each picture must find its own text among all texts of the batch, and each
# text its own picture. Both are plain classification with the diagonal as the answer, so the loss is the mean of two
# cross-entropies (Radford et al. 2021, figure 3; InfoNCE in van den Oord et al. 2018).


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
pairs = gallery[:16]
if choice.dtype_name != "fp32":  # losses are compared in full precision
    del model
    model = CLIPModel.from_pretrained(choice.path, dtype=torch.float32).to(choice.device).eval()
batch = processor(text=[pair.caption for pair in pairs], images=[pair.image for pair in pairs], return_tensors="pt",
                  padding=True, truncation=True).to(choice.device)
with torch.no_grad():
    output = model(**batch, return_loss=True)  # its embeddings are normalised already
scale = model.logit_scale.exp().item()
ours = contrastive_loss(output.image_embeds, output.text_embeds, scale).item()
print(f"   written out {ours:.6f}, the model's own {output.loss.item():.6f}, "
      f"difference {abs(ours - output.loss.item()):.1e}")
print(f"   a model that guesses has {torch.log(torch.tensor(float(len(pairs)))):.3f} (the logarithm of the batch size)")
assert abs(ours - output.loss.item()) < 1e-5
lesson.record("contrastive_loss", {"written_out": ours, "model": output.loss.item()})

# %% [markdown]
# Training moves each picture's embedding against the gradient: towards its own text by the probability that is still
# missing, away from every other by the probability that picture and text wrongly give each other. With I the identity
# matrix and P the softmax along rows or columns, I - (P_rows + P_columns) / 2 weighs the texts; times scale / batch,
# that is minus the gradient. So those learn most that are mistaken for one another. A model that knows these pairs has
# hardly anything left to learn from them: the pull is shown at the scale that training begins with, 1 / 0.07.

# %%
first_scale = 1 / 0.07
logits = first_scale * output.image_embeds @ output.text_embeds.T
pull = torch.eye(len(pairs), device=choice.device) - (logits.softmax(1) + logits.softmax(0)) / 2  # (pictures, texts)
embeddings = output.image_embeds.clone().requires_grad_()
gradient, = torch.autograd.grad(contrastive_loss(embeddings, output.text_embeds, first_scale), embeddings)
difference = (gradient + first_scale / len(pairs) * pull @ output.text_embeds).abs().max().item()
few, shown = pairs[:8], pull[:8, :8]
hardest, other = divmod(int(shown.argmin()), len(few))
print(f"   The pull written out is minus the gradient, to {difference:.1e}. Of the first {len(few)}, pushed apart "
      f"hardest: {pairs[hardest].name} and {pairs[other].caption!r}")
assert difference < 1e-4
lesson.record("hardest_negative", {"picture": pairs[hardest].name, "text": pairs[other].caption})
lesson.save(figures.similarity_heatmap(
    shown.cpu().numpy().round(2) + 0.0, [pair.image for pair in few], [pair.caption for pair in few],  # no -0.00
    f"Pushed apart hardest: {pairs[hardest].name} and {pairs[other].caption!r}", label="pull; below 0: push"), "pull")

# %% [markdown]
# ## The modality gap
#
# Pictures and texts share a space but not a region of it: the two clouds keep their distance (Liang et al. 2022,
# "Mind the Gap"). So compare pictures with texts, or pictures with pictures, but never a cosine of the one kind with
# a cosine of the other.

# %%
lesson.step("The modality gap")
gap = (output.image_embeds.mean(0) - output.text_embeds.mean(0)).norm().item()
matched = (output.image_embeds * output.text_embeds).sum(dim=-1).mean().item()
print(f"   distance of the two centres {gap:.2f}; mean cosine of matching pairs {matched:.2f}")
lesson.record("modality_gap", gap)
lesson.record("matched_cosine", matched)
lesson.save(figures.two_clouds(output.image_embeds.cpu().numpy(), output.text_embeds.cpu().numpy(),
                               f"Two clouds: the centres of pictures and texts are {gap:.2f} apart"), "gap")

# %% [markdown]
# ## Where it looks for a word
#
# The class token becomes the embedding, and in the last layer it looks at the patches once more. An attention weight
# times the gradient of the cosine with respect to it, where that is positive, tells how much this patch (which has
# itself looked around by then) speaks for the word (one layer of what Chefer et al. do, 2021). The gallery's pictures
# of two things put it to the test: is more of the map on the side where the thing is?


# %%
def relevance(picture, words: list[str]) -> list[torch.Tensor]:
    """For each of the words a map (rows, columns): how much a patch of the picture speaks for it."""
    inputs = processor(text=words, images=picture, return_tensors="pt", padding=True, truncation=True)
    output = model(**inputs.to(choice.device), output_attentions=True)
    weights = output.vision_model_output.attentions[-1]  # (1, heads, tokens, tokens)
    maps = []
    for cosine in (output.text_embeds @ output.image_embeds.T)[:, 0]:
        gradient, = torch.autograd.grad(cosine, weights, retain_graph=True)
        of_patches = (gradient * weights).clamp(min=0).mean(1)[0, 0, 1:].detach().cpu()  # averaged over the heads
        maps.append(of_patches.unflatten(0, (-1, vision.image_size // vision.patch_size)))
    return maps


lesson.step("Where it looks for a word")
model.set_attn_implementation("eager")  # the fused kernels do not give their attention weights away
two = [sample for sample in gallery if len(sample.objects) == 2]
names = [[article(thing["noun"]) for thing in sample.objects] for sample in two]
maps = [relevance(sample.image, words) for sample, words in zip(two, names)]
half = maps[0][0].shape[1] // 2
leaning = [[place[:, :half].sum() - place[:, -half:].sum() for place in row] for row in maps]  # above 0: to the left
found = [bool(rightly) for left, right in leaning for rightly in (left > 0, right < 0)]
finding = f"{sum(found)} of {len(found)} maps lie on the side of the thing"
print(f"   In the gallery {finding}.")
lesson.record("on_the_right_side", sum(found) / len(found))
shown = [sample.image for sample in two[:4]]
if options.texts or options.image or options.images:
    shown, names = [picture.image for picture in pictures], [texts[:4]] * len(pictures)
    maps = [relevance(image, texts[:4]) for image in shown]
    finding = f"Where it looks for the first {len(names[0])} texts, be they there or not"
lesson.save(figures.map_rows(shown, [[place.numpy() for place in row] for row in maps], names, finding), "where")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Two towers, one projection each, one space. Normalise, then a dot product is the cosine.
# - The cosine of a match depends on the model; only the order among candidates means anything.
# - The loss is classification over the batch, in both directions: a bigger batch is a harder exam. Its gradient goes
#   to the pairs that are mistaken for one another.
# - Attention by itself does not know where a token stands: its position is added beforehand.
#
# ## Exercises
#
# 1. Replace the scale by 1 in `probabilities`. Why does training need it to be learned?
# 2. Shuffle the captions of `pairs` before the loss. What value do you expect? Check it.
# 3. Give `--texts` two sentences of which neither fits your picture. What does the softmax say, and what should a
#    program do about it?
#
# **Next:** `9.2_clip_similarity_matrix.py` compares many pictures with many texts and measures how often CLIP is right.
