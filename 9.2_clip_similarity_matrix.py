# %% [markdown]
# # 9.2 Similarity matrix: classification and search with CLIP
#
# **You learn** what one matrix of cosines can do: sort pictures into classes without training, find pictures by words
# and words by pictures; and how to measure how often that is right.
#
# **It needs** 0.8 to 1.0 GB of memory and no download with the small model of this repository; the real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own pictures:** `python 9.2_clip_similarity_matrix.py --images FOLDER --texts "a dog" "my bicycle"`. The
# matrix and the search then run on them. What needs right answers still runs on pictures whose answers are known.

# %%
# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
import toyworld
from multimodal import catalog, figures, images, metrics
from multimodal.lesson import Lesson
from multimodal.words import article
from toyworld.language import PLACE_PHRASES

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPProcessor

lesson = Lesson("9.2", "Similarity matrix: classification and search with CLIP")
lesson.argument("--texts", nargs="+", metavar="TEXT", help="texts to compare the pictures with")
options = lesson.start()

choice = catalog.choose("clip", options)
lesson.use(choice)
model = CLIPModel.from_pretrained(choice.path, dtype=choice.dtype).to(choice.device).eval()
processor = CLIPProcessor.from_pretrained(choice.path)

gallery = images.gallery()
pictures, own = images.chosen(options)
lesson.check(pictures)

# %% [markdown]
# ## The similarity matrix
#
# Embed every picture and every text once, in batches. Then one matrix product compares all pictures with all texts.


# %%
@torch.inference_mode()
def embed_pictures(samples: list) -> torch.Tensor:
    """Normalised embeddings (pictures, dimensions) of what has an `image`."""
    features, size = [], choice.batch_size(16)  # fewer where memory is short
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
picture_embeddings = embed_pictures(pictures)
shown = list(range(min(12, len(pictures))) if own else range(0, len(gallery), len(gallery) // 12))
texts = options.texts or (["a dog", "a person", "food", "a car on the road", "a house", "a screen full of text"] if own
                          else [captions[i] for i in shown])
matrix = picture_embeddings[shown] @ embed_texts(texts).T  # (pictures, texts)
finding = f"The best text of a picture has a cosine of {matrix.amax(1).min():.2f} to {matrix.amax(1).max():.2f}"
if not (own or options.texts):
    hits = [int(row.argmax()) == i for i, row in enumerate(matrix)]
    finding = f"{sum(hits)} of {len(hits)} pictures have the highest cosine of their row at their own caption"
print(f"   {finding}.")
lesson.save(figures.similarity_heatmap(matrix.numpy(), [pictures[i].image for i in shown], texts, finding,
                                       diagonal=not (own or options.texts)), "similarity_matrix")

# %% [markdown]
# ## Zero-shot classification
#
# A class is a text. Write one text for each class; the class of a picture is the text with the highest cosine. Nothing
# is trained, and a new class costs one sentence.
#
# CLIP learned from captions, so a class is written as a caption, with a **template**: "a photo of a dog", not "dog".
# An **ensemble** averages the embeddings of several templates. The CLIP paper (section 3.1.4) averages in embedding
# space, at no cost when classifying; OpenAI's code also normalises each embedding first, so that all count alike.
# OpenAI's CLIP gained 3.5 points on ImageNet from 80 templates. The small CLIP was trained on many wordings and gains
# nothing. What does differ is the picture: style, blur and noise.

# %%
TEMPLATES = ["a photo of {}", "a picture of {}", "a drawing of {}", "a cartoon of {}", "there is {}"]
COUNT, SEED = 200, 920  # pictures of the toy world on each level, which no model was trained on


def ensemble(names: list[str], templates: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of classes: with each template (templates, classes, dimensions), and their ensemble (classes, ...)."""
    each = torch.stack([embed_texts([template.format(name) for name in names]) for template in templates])
    return each, F.normalize(each.mean(dim=0), dim=-1)


lesson.step("Zero-shot classification: what is it?")
nouns = [noun.english for noun in toyworld.NOUNS]
each, classes = ensemble([article(noun) for noun in nouns], TEMPLATES)
accuracy, confusions = {}, {}
for level in ("usual", "silhouettes", "blurred", "unseen", "noisy"):
    drawn = toyworld.draw(COUNT, SEED, level, things=1, copies=1)
    embeddings, answers = embed_pictures(drawn), [nouns.index(picture.things[0].noun) for picture in drawn]
    right = [((embeddings @ texts_of_one.T).argmax(dim=-1).numpy() == answers) for texts_of_one in [*each, classes]]
    *single, accuracy[level] = [metrics.share(some) for some in right]
    wrong = [(nouns[answer], nouns[said]) for answer, said in zip(
        answers, (embeddings @ classes.T).argmax(dim=-1).tolist()) if answer != said]
    print(f"   {level:12} ensemble {accuracy[level]!s}; single templates {min(single):.1%} to {max(single):.1%}")
    print(f"      {len(wrong)} wrong" + "".join(f"; {answer} called {said}" for answer, said in wrong[:3]))
    confusions[level] = wrong
lesson.record("zero_shot_objects", accuracy)
lesson.record("confusions", confusions)
lesson.save(figures.bars(
    {"ensemble": accuracy}, f"{accuracy['usual']:.0%} are right on usual scenes, {accuracy['unseen']:.0%} in an unseen"
    f" style, {accuracy['noisy']:.0%} under noise", f"accuracy on {COUNT} pictures, {len(nouns)} classes", "{:.0%}",
    ("chance", 1 / len(nouns))), "levels")

lesson.step("Zero-shot classification: where is it?")
scenes = {level: toyworld.draw(250, SEED, level) for level in ("usual", "patterned", "noisy")}
embedded = {level: embed_pictures(drawn) for level, drawn in scenes.items()}  # the same 250 scenes on each level
# "At night" is a place, too, so the grass at night would be two.
clear = [i for i, scene in enumerate(scenes["usual"]) if scene.light in ("day", None) or scene.place == scene.light]
places = sorted({scenes["usual"][i].place for i in clear})
answers = [places.index(scenes["usual"][i].place) for i in clear]
_, classes = ensemble([PLACE_PHRASES[place] for place in places], ["{}", "a photo taken {}", "something {}"])
said = {level: (embedded[level][clear] @ classes.T).argmax(dim=-1).tolist() for level in scenes}
accuracy = {level: metrics.share(np.equal(answers, said[level])) for level in scenes}
print("   " + ", ".join(f"{level} {share!s}" for level, share in accuracy.items()) + f"; chance {1 / len(places):.0%}")
lesson.record("zero_shot_places", accuracy)
lesson.save(figures.confusion_matrix(
    answers, said["patterned"], places, f"A strong pattern hides the place: {accuracy['patterned']:.0%} are right "
    f"instead of {accuracy['usual']:.0%}; what the others are taken for"), "places")

# %% [markdown]
# ## Retrieval, measured
#
# Read by columns, the matrix finds pictures for a text. **Recall@k** is the share of queries whose right answer is
# among the best k. **mAP**, the mean average precision, is the mean of 1/rank if each query has one right answer; with
# several it rewards having all of them in front. Always name the size of the collection: 249 here, not a million.

# %%
lesson.step("Retrieval among captions, both ways")
by_caption = {scene.caption: i for i, scene in enumerate(scenes["usual"])}  # of scenes with the same caption, the last
kept, caption_embeddings = list(by_caption.values()), embed_texts(list(by_caption))
depths = [1, 2, 3, 5, 10, 20]
curves = {}
for level in ("usual", "noisy"):
    similarity = (caption_embeddings @ embedded[level][kept].T).numpy()  # (texts, pictures)
    for name, queries in (("text finds picture", similarity), ("picture finds text", similarity.T)):
        ranks = metrics.ranks(queries)
        curves[f"{name}, {level}"] = [metrics.recall_at(queries, depth) for depth in depths]
        scores = {f"recall@{k}": metrics.share(ranks < k) for k in (1, 5, 10)} | {
            "mAP": metrics.mean_average_precision(queries, np.eye(len(queries))),
            "median rank": metrics.median_rank(queries)}
        print(f"   {level:6} {name}: recall@1 {scores['recall@1']!s}, mAP {scores['mAP']:.3f}")
        lesson.record(name.replace(" ", "_") + ("" if level == "usual" else f"_{level}"), scores)
lesson.save(figures.lines(
    depths, curves | {"chance": [depth / len(kept) for depth in depths]},
    f"A text finds its own among {len(kept)} pictures in {curves['text finds picture, usual'][0]:.1%} of cases, under "
    f"noise in {curves['text finds picture, noisy'][0]:.1%}",
    "k: how many results are looked at", "recall@k", logarithmic=True), "recall")
shows = np.array([[any(thing.noun == noun for thing in scene.things) for scene in scenes["usual"]] for noun in nouns])
known = shows.any(axis=1)
noun_similarity = (embed_texts([f"a photo of {article(noun)}" for noun in nouns]) @ embedded["usual"].T).numpy()
noun_precision = metrics.mean_average_precision(noun_similarity[known], shows[known])
lesson.record("noun_finds_pictures_mAP", noun_precision)
print(f"   {known.sum()} nouns find the pictures that show them, 1 to {shows.sum(1).max()}: mAP {noun_precision:.3f}")

# %% [markdown]
# Hard negatives: `examples/hard_negatives.py` finds that the small CLIP prefers a true caption to one that is false in
# one respect in 96% of cases or more on usual pictures, but that among many small things it counts worse than a coin.
#
# ## Search
#
# A query is the vector of a text, of a picture, or of both: their normalised sum means "like this, but with that".

# %%
lesson.step("Search: by text, by picture, by both")
sentences = (texts if own or options.texts else ["penguins in the snow", "a red car", "a house at night"])[:3]
queries = [(None, sentence, embedding) for sentence, embedding in zip(sentences, embed_texts(sentences))]
if len(pictures) > 1:
    sample = 0 if own else captions.index("a camel in the desert")
    addition = texts[0] if own or options.texts else "at night"
    composed = F.normalize(picture_embeddings[sample] + embed_texts([addition])[0], dim=-1)
    queries += [(sample, "like this", picture_embeddings[sample]), (sample, f"like this, and {addition}", composed)]
results, found = [], {}
for i, words, embedding in queries:
    cosine = picture_embeddings @ embedding
    order = [j for j in cosine.argsort(descending=True).tolist() if j != i][:5]  # it would find itself
    results.append([(pictures[j].image, f"{cosine[j]:.2f}") for j in order])
    found[words] = [pictures[j].name for j in order]
    print(f"   {words}: {', '.join(found[words])}")
lesson.record("search", found)
lesson.save(figures.search_results(
    [(None if i is None else pictures[i].image, words) for i, words, _ in queries], results,
    f"The best five of {len(pictures)} pictures for each query, with their cosines"), "search")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Embed once; classification and search are then products of small matrices.
# - A class is a text. Measure whether its wording matters to your model, on pictures like those you will have.
# - Recall@k needs the size of the collection beside it.
#
# ## Exercises
#
# 1. Add templates of your own. Does the ensemble ever fall below its worst member?
# 2. Linear probe: fit a logistic regression on one, two, four patterned pictures of each place. When does it beat 67%?
# 3. Weigh the composed query, `picture + weight * text`, with weights from 0 to 4. When does the text take over?
#
# **Next:** `9.3_sbert_clip.py` does all this in a few calls, in batches, and keeps the embeddings on disk.
