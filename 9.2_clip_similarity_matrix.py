# %% [markdown]
# # 9.2 Similarity matrix: classification and search with CLIP
#
# **You learn** what one matrix of cosines can do: classify pictures into classes nobody trained for, find pictures
# by words and words by pictures; and how to measure how often that is right, and where it fails.
#
# **It needs** about 1.2 GB of memory and no download with the small model of this repository; the real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own pictures:** `python 9.2_clip_similarity_matrix.py --images FOLDER --texts "a dog" "my bicycle"`. The
# matrix and the search then run on them; what needs to know the right answers still runs on the gallery.

# %%
import random
import re

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import catalog, figures, images, metrics
from multimodal.lesson import Lesson
from multimodal.words import article

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPProcessor

lesson = Lesson("9.2", "Similarity matrix: classification and search with CLIP")
lesson.argument("--texts", nargs="+", metavar="TEXT", help="texts to compare the pictures with")
options = lesson.start()

choice = catalog.choose("clip", options)
lesson.use(choice)
with choice.loading() as settings:
    model = CLIPModel.from_pretrained(choice.path, **settings)
model.to(choice.device).eval()
processor = CLIPProcessor.from_pretrained(choice.path)
scale = model.logit_scale.exp().item()

gallery = images.gallery()
pictures = images.chosen(options)
lesson.check(pictures)
own = bool(options.image or options.images)

# %% [markdown]
# ## Embed once
#
# As in 9.1, but in batches, so that a thousand pictures need no more memory than sixteen (or fewer, where memory is
# short). Everything below works on these vectors: the model sees each picture only once.


# %%
@torch.inference_mode()
def embed_pictures(samples: list[images.Sample]) -> torch.Tensor:
    """Normalised embeddings (pictures, dimensions)."""
    features, size = [], choice.batch_size(16)
    for start in range(0, len(samples), size):
        batch = processor(images=[sample.image for sample in samples[start:start + size]], return_tensors="pt")
        pixel_values = batch["pixel_values"].to(choice.device, choice.dtype)
        features.append(model.get_image_features(pixel_values=pixel_values).pooler_output.float())
    return F.normalize(torch.cat(features), dim=-1).cpu()


@torch.inference_mode()
def embed_texts(texts: list[str]) -> torch.Tensor:
    """Normalised embeddings (texts, dimensions)."""
    features = []
    for start in range(0, len(texts), 128):
        batch = processor(text=texts[start:start + 128], return_tensors="pt", padding=True, truncation=True)
        features.append(model.get_text_features(**batch.to(choice.device)).pooler_output.float())
    return F.normalize(torch.cat(features), dim=-1).cpu()


lesson.step("Every picture against every text")
captions = [sample.caption for sample in gallery]
caption_embeddings = embed_texts(captions)
gallery_embeddings = embed_pictures(gallery)
picture_embeddings = embed_pictures(pictures) if own else gallery_embeddings
shown = list(range(min(12, len(pictures))) if own else range(0, len(gallery), len(gallery) // 12))
texts = options.texts or (["a dog", "a person", "food", "a car on the road", "a house", "a screen full of text"] if own
                          else [captions[i] for i in shown])
matrix = picture_embeddings[shown] @ embed_texts(texts).T  # (pictures, texts)
finding = "The best text of each picture has the highest cosine of its row"
if not (own or options.texts):
    hits = [int(row.argmax()) == i for i, row in enumerate(matrix)]
    finding = f"{sum(hits)} of {len(hits)} pictures have the highest cosine of their row at their own caption"
print(f"   {finding}.")
lesson.save(figures.similarity_heatmap(matrix.numpy(), [pictures[i].image for i in shown], texts, finding,
                                       diagonal=not (own or options.texts)), "similarity_matrix")

# %% [markdown]
# ## Zero-shot classification
#
# A class is a text. Write one for each noun, and the best column of a picture's row is its class: no training, and a
# new class costs one sentence. The wording matters, because CLIP learned from captions and not from labels. The
# paper averages many templates: each embedding is normalised, so that all count alike, and the mean is normalised
# again (Radford et al. 2021, section 3.1.4).


# %%
def zero_shot(embeddings: torch.Tensor, answers: list[int], prompts: list[list[str]]):
    """The accuracy of each template and of their ensemble, and the ensemble's probabilities (pictures, classes).

    Args:
        answers: The right class of each picture.
        prompts: For each template its texts, one a class.
    """
    by_template = torch.stack([embed_texts(texts) for texts in prompts])  # (templates, classes, dimensions)
    ensemble = F.normalize(by_template.mean(dim=0), dim=-1)
    names = [*(f"{texts[0]!r}, ..." for texts in prompts), "ensemble of all"]
    accuracy = {}
    for name, classes in zip(names, [*by_template, ensemble]):
        accuracy[name] = np.mean((embeddings @ classes.T).argmax(dim=-1).numpy() == answers).item()
        print(f"   {accuracy[name]:6.1%}  {name}")
    return accuracy, (scale * embeddings @ ensemble.T).softmax(-1)


lesson.step("Zero-shot classification: what is it?" + (" (on the gallery, whose answers are known)" if own else ""))
nouns = sorted({thing["noun"] for sample in gallery for thing in sample.objects})
single = [i for i, sample in enumerate(gallery) if len(sample.objects) == 1 and sample.objects[0]["count"] == 1]
answers = [nouns.index(gallery[i].objects[0]["noun"]) for i in single]
print(f"   {len(single)} pictures of one object, {len(nouns)} classes; chance is {1 / len(nouns):.1%}")
templates = ["a photo of {}", "a picture of {}", "a drawing of {}", "a cartoon of {}", "there is {}"]
accuracy, probabilities = zero_shot(gallery_embeddings[single], answers, [nouns] + [
    [template.format(article(noun)) for noun in nouns] for template in templates])
lesson.record("zero_shot_objects", accuracy)
*alone, together = accuracy.values()
lesson.save(figures.bars(
    list(accuracy), [*alone, together], f"Single prompts are right in {min(alone):.0%} to {max(alone):.0%} of the "
    f"cases, their ensemble in {together:.0%}", f"accuracy on {len(single)} pictures, {len(nouns)} classes", "{:.1%}",
    highlight=len(alone)), "prompts")

certainty, said = probabilities.max(-1)
mistakes = [row for row, answer in enumerate(answers) if said[row] != answer]
for row in mistakes:
    print(f"   wrong: {nouns[answers[row]]} called {nouns[said[row]]} ({certainty[row]:.0%})")
lesson.record("confusions", [[nouns[answers[row]], nouns[said[row]]] for row in mistakes])
look_at = (sorted(mistakes, key=lambda row: -certainty[row]) or certainty.argsort().tolist())[:8]
lesson.save(figures.picture_grid(
    [gallery[single[row]].image for row in look_at],
    [f"{nouns[answers[row]]}: said {nouns[said[row]]} ({certainty[row]:.0%})" for row in look_at],
    f"{len(mistakes)} of {len(single)} are wrong, most certain mistakes first" if mistakes else
    "None is wrong; these were the least certain", width=34), "mistakes")

lesson.step("Zero-shot classification: where is it?")
where = [next(question.answer for question in sample.questions if question.kind == "where") for sample in gallery]
places = sorted(set(where))
print(f"   {len(gallery)} pictures, {len(places)} places and lights; chance is {1 / len(places):.1%}")
answers = [places.index(place) for place in where]
accuracy, probabilities = zero_shot(gallery_embeddings, answers, [
    [template.format(place) for place in places]
    for template in ("{}", "a photo taken {}", "a picture of something {}", "there is something {}")])
lesson.record("zero_shot_places", accuracy)
*_, together = accuracy.values()
lesson.save(figures.confusion_matrix(
    answers, probabilities.argmax(-1).tolist(), places, f"The ensemble is right on {together:.0%} of {len(gallery)} "
    "places; outside the diagonal: what is taken for what"), "places")

# %% [markdown]
# ## Retrieval, measured
#
# Read by columns, the matrix finds pictures for a text. **Recall@k** is the share of queries whose right answer is
# among the best k. **mAP**, the mean average precision, looks at the ranks: with one right answer a query it is the
# mean of 1/rank, the mean reciprocal rank; where several are right, it rewards having all of them in front. Always
# name the size of the collection: recall@1 among 72 says nothing about a million.

# %%
lesson.step("Retrieval among the gallery's captions, both ways")
similarity = (caption_embeddings @ gallery_embeddings.T).numpy()  # (texts, pictures)
depths = [1, 2, 3, 5, 10, 20]
curves = {}
for name, queries in (("text finds picture", similarity), ("picture finds text", similarity.T)):
    curves[name] = [metrics.recall_at(queries, depth) for depth in depths]
    scores = {f"recall@{k}": metrics.recall_at(queries, k) for k in (1, 5, 10)} | {
        "mAP": metrics.mean_average_precision(queries, np.eye(len(queries))),
        "median rank": metrics.median_rank(queries)}
    print(f"   {name}: " + ", ".join(f"{score} {value:.3g}" for score, value in scores.items()))
    lesson.record(name.replace(" ", "_"), scores)
curves["chance"] = [depth / len(gallery) for depth in depths]
lesson.save(figures.lines(
    depths, curves, "Of {}, the right one comes first for {:.0%} of the texts and {:.0%} of the pictures".format(
        len(gallery), *(curve[0] for curve in curves.values())),
    "k: how many results are looked at", "recall@k", logarithmic=True), "recall")
shows = np.array([[any(thing["noun"] == noun for thing in sample.objects) for sample in gallery] for noun in nouns])
noun_similarity = (embed_texts([f"a photo of {article(noun)}" for noun in nouns]) @ gallery_embeddings.T).numpy()
noun_precision = metrics.mean_average_precision(noun_similarity, shows)
lesson.record("noun_finds_pictures_mAP", noun_precision)
print(f"   a noun finds all pictures that show it (1 to {shows.sum(axis=1).max()}): mAP {noun_precision:.3g}")

# %% [markdown]
# ## Search
#
# A query is a vector, wherever it comes from: a text, a picture, or both. The composed query is their normalised sum:
# like this, but with that.

# %%
lesson.step("Search: by text, by picture, by both")
sentences = (texts if own or options.texts else ["penguins in the snow", "a red car", "a house at night"])[:3]
queries = [(None, sentence, embedding) for sentence, embedding in zip(sentences, embed_texts(sentences))]
if len(pictures) > 1:
    example = 0 if own else captions.index("a camel in the desert")
    addition = texts[0] if own or options.texts else "at night"
    composed = F.normalize(picture_embeddings[example] + embed_texts([addition])[0], dim=-1)
    queries += [(example, "like this", picture_embeddings[example]), (example, f"like this, and {addition}", composed)]
results = []
for i, words, embedding in queries:
    cosine = picture_embeddings @ embedding
    order = [j for j in cosine.argsort(descending=True).tolist() if j != i][:5]  # it would find itself
    results.append([(pictures[j].image, f"{cosine[j]:.2f}") for j in order])
    print(f"   {words}: {', '.join(pictures[j].name for j in order)}")
lesson.save(figures.search_results(
    [(None if i is None else pictures[i].image, words) for i, words, _ in queries], results,
    "One matrix product compares the queries with all pictures; the numbers are cosines"), "search")
known = options.texts or captions
cosine = picture_embeddings[shown[:3]] @ embed_texts(known).T
for i, best in zip(shown, cosine.topk(min(3, len(known))).indices.tolist()):
    print(f"   picture {pictures[i].name} finds: {'; '.join(known[j] for j in best)}")

# %% [markdown]
# ## Hard negatives: what the cosine does not see
#
# A caption that is wrong in one point is the honest test. CLIP's loss only asks to tell a caption from those of other
# pictures, and for that the nouns are mostly enough; so order, count and relations may be learned poorly
# (Yuksekgonul et al. 2023, "When and Why Vision-Language Models Behave like Bags-of-Words"). Each pair below is a
# true caption and a false one; a coin would prefer the true one in 50% of the cases.

# %%
lesson.step("Hard negatives: captions that are wrong in one point")
rng = random.Random(9)
colours = sorted({thing["colour"] for sample in gallery for thing in sample.objects if thing["colour"]})
pairs = {"wrong object": [], "wrong colour": [], "wrong place": [], "wrong count": [],
         "left and right swapped": []}  # (picture, true caption, false caption)
for i, (sample, place) in enumerate(zip(gallery, where)):
    changes = [("wrong place", place, places)]
    for thing in sample.objects:
        if thing["count"] > 1:
            changes.append(("wrong count", {2: "two", 3: "three"}[thing["count"]], ["two", "three"]))
        elif f"of {thing['noun']}" not in sample.caption:  # no "a piece of dog"
            changes.append(("wrong object", thing["noun"], nouns))
        if f"{thing['colour']} {thing['noun']}" in sample.caption:
            changes.append(("wrong colour", thing["colour"], colours))
    for kind, word, others in changes:
        others = [other for other in others if other not in sample.caption]
        for other in rng.sample(others, min(3, len(others))):
            # The article before the word changes with it: "an orange tent", "a blue tent".
            false = re.sub(rf"\b(an? )?{word}\b", lambda found: article(other) if found[1] else other, sample.caption)
            pairs[kind].append((i, sample.caption, false))
    if len(sample.objects) == 2:
        left, right = sample.caption.removesuffix(f" {place}").split(" and ")
        pairs["left and right swapped"].append((i, f"{left} on the left and {right} on the right",
                                                f"{right} on the left and {left} on the right"))
shares = {}
for kind, triples in pairs.items():
    rows, true, false = zip(*triples)
    margin = (gallery_embeddings[list(rows)] * (embed_texts([*true]) - embed_texts([*false]))).sum(dim=-1)
    shares[kind] = (margin > 0).float().mean().item()
    print(f"   {kind:22} {shares[kind]:4.0%} of {len(rows):3} pairs, such as {true[0]!r}, not {false[0]!r}")
lesson.record("hard_negatives", shares)
hardest = min(shares, key=shares.get)
figure = figures.bars([f"{kind} ({len(pairs[kind])} pairs)" for kind in shares], list(shares.values()),
                      f"Hardest to tell: {hardest}; {shares[hardest]:.0%} of the true captions win",
                      "share of pairs in which the true caption scores higher (dashed: chance)", "{:.0%}")
figure.axes[0].axvline(0.5, linestyle="--", color="0.3")
lesson.save(figure, "hard_negatives")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Embed once; classification and search are then products of small matrices.
# - A class is a text, and its wording is a parameter: average several.
# - Recall@k needs the size of the collection beside it. With one right answer, mAP is the mean reciprocal rank.
# - High recall does not mean that the model reads: test it with captions that are wrong in one point.
#
# ## Exercises
#
# 1. Add templates of your own. Does the ensemble ever fall below its worst member?
# 2. Linear probe: fit a logistic regression on `gallery_embeddings` with `place` as the class, from one picture a
#    class, two, four. From how many on does it beat zero-shot?
# 3. Weigh the composed query, `picture + weight * text`, with weights from 0 to 4. When does the text take over?
#
# **Next:** `9.3_sbert_clip.py` does all this in a few calls, in batches, and keeps the embeddings on disk.
