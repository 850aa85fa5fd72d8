# %% [markdown]
# # 9.3 SBERT-CLIP: the same in a few calls, for many pictures
#
# **You learn** to embed pictures and texts with one method of sentence-transformers, how much batches save, and what
# is built on embeddings: search in two languages, near-duplicates, labels, clusters, and an index on disk that
# embeds each picture only once.
#
# **It needs** about 1.2 GB of memory and no download with the small model of this repository; the real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own pictures:** `python 9.3_sbert_clip.py --images FOLDER --query "a dog on the beach"` makes an index of
# the folder and searches it, labels it and groups it; the next run embeds nothing but what is new.

# %%
import hashlib
import time
from functools import partial

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import UserError, catalog, figures, images, metrics, reader
from multimodal.hardware import median_seconds
from multimodal.lesson import Lesson
from multimodal.search import ImageIndex

import numpy as np
import torch
from PIL import Image, ImageEnhance
from sentence_transformers import SentenceTransformer, util

lesson = Lesson("9.3", "SBERT-CLIP: the same in a few calls, for many pictures")
lesson.argument("--query", nargs="+", metavar="TEXT", help="what to search for in the pictures; may be several texts")
options = lesson.start()
own = [*(options.image or ()), *(images.pictures_in(options.images) if options.images else ())]
for path in options.image or ():
    images.open_picture(path)  # a picture that is named must be good; in a folder, what is not is skipped

choice = catalog.choose("sbert-clip", options)
lesson.use(choice)
with choice.loading() as settings:
    model = SentenceTransformer(choice.path, device="cpu", model_kwargs=settings, local_files_only=True)
model.to(choice.device)
gallery = images.gallery()
gallery_pictures = [sample.image for sample in gallery]
BATCH = choice.batch_size(32)  # fewer pictures a batch where memory is short

# %% [markdown]
# ## One method for pictures and texts
#
# `encode` takes pictures or texts, makes batches and returns an array. Three things to know. Embeddings are not
# normalised unless `normalize_embeddings=True` asks for it; here that is done afterwards in FP32, because in half
# precision the lengths would be rounded. Pictures and texts go in separate calls. And a **text that looks like a path
# or a URL is opened or fetched** as a picture: wrap what users type as `{"text": ...}`, and it stays a text.


# %%
def normalise(embeddings: np.ndarray) -> np.ndarray:
    embeddings = embeddings.astype(np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)


def embed_pictures(pictures: list[Image.Image], **keywords) -> np.ndarray:
    """Normalised embeddings (pictures, dimensions)."""
    return normalise(model.encode(pictures, batch_size=BATCH, **keywords))


def embed_texts(texts: list[str]) -> np.ndarray:
    """Normalised embeddings (texts, dimensions); no text is taken for a file or an address."""
    return normalise(model.encode([{"text": text} for text in texts]))


lesson.step("One method for pictures and texts")
picture_embeddings = embed_pictures(gallery_pictures, show_progress_bar=True)
caption_embeddings = embed_texts([sample.caption for sample in gallery])
print(f"   {len(gallery)} pictures -> {picture_embeddings.shape}, their captions -> {caption_embeddings.shape}")
path = str(gallery[0].path)
bare, wrapped = normalise(model.encode(path)), embed_texts([path])[0]
print(f"   cosine of a picture and the string that names its file: {bare @ picture_embeddings[0]:.2f} bare (the file "
      f"was opened), {wrapped @ picture_embeddings[0]:.2f} wrapped (a text like any other)")

# What 9.1 does step by step, with the CLIPModel and the processor that are inside.
clip, processor = model[0].model, model[0].processor
inputs = processor(text=[sample.caption for sample in gallery[:8]], images=gallery_pictures[:8], return_tensors="pt",
                   padding=True, truncation=True).to(choice.device)
with torch.inference_mode():
    by_hand = [clip.get_image_features(pixel_values=inputs["pixel_values"].to(choice.dtype)).pooler_output,
               clip.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output]
difference = max(np.abs(normalise(features.float().cpu().numpy()) - encoded[:8]).max()
                 for features, encoded in zip(by_hand, (picture_embeddings, caption_embeddings)))
print(f"   largest difference to {type(clip).__name__} and {type(processor).__name__} as in 9.1: {difference:.1e}")
assert difference < (1e-3 if choice.dtype_name == "fp32" else 1e-2)  # half precision depends on the batch's size
lesson.record("difference_to_clip_model", float(difference))

# %% [markdown]
# ## Batches
#
# A network that gets its pictures one at a time starts each of its hundred operations for every one of them, and a
# GPU idles most of the time. Batches share that cost until the processor is busy or the memory full. Where the curve
# turns flat depends on the machine: measure on yours. Opening and scaling pictures gets no cheaper.

# %%
lesson.step("Throughput by batch size")

sizes, pictures = [size for size in (1, 2, 4, 8, 16, 32) if size <= BATCH], gallery_pictures[:32]
one_by_one = len(pictures) / median_seconds(
    lambda: [model.encode(picture) for picture in pictures], choice.device, repeats=1)
rates = [len(pictures) / median_seconds(
    lambda: model.encode(pictures, batch_size=size), choice.device, repeats=1) for size in sizes]
for size, rate in zip(sizes, rates):
    print(f"   batches of {size:2}: {rate:6.1f} pictures/s, {rate / one_by_one:.1f} times one call a picture")
lesson.record("pictures_per_second", {"one call a picture": one_by_one, **dict(zip(map(str, sizes), rates))})
lesson.save(figures.lines(
    sizes, {"one call of encode": rates}, f"Batches of {sizes[np.argmax(rates)]} are fastest here: {max(rates):.0f} "
    f"pictures/s, {max(rates) / one_by_one:.1f} times one call a picture", "batch size",
    f"pictures per second on {choice.device}", logarithmic=True, reference=("one call a picture", one_by_one)),
    "throughput")

# %% [markdown]
# ## Search in English and Chinese
#
# `util.semantic_search` compares queries with a corpus block by block and keeps the best. A text tower understands
# what it was trained on: the small model of this repository has read English and Chinese captions, OpenAI's CLIP only
# English ones, so that with it Chinese finds little more than chance. Beside its picture tower serves another text
# tower, `sentence-transformers/clip-ViT-B-32-multilingual-v1`, which was taught to put sentences of 50 languages where
# CLIP puts the English ones: `--models hub --model sbert-clip-multilingual` shows what it finds.

# %%
lesson.step("Search in English and Chinese")
recall = {}
for language, captions in (("English", caption_embeddings),
                           ("Chinese", embed_texts([sample.caption_chinese for sample in gallery]))):
    recall[language] = metrics.recall_at(captions @ picture_embeddings.T, 1)
    print(f"   {language} captions: recall@1 {recall[language]:.1%} (chance {1 / len(gallery):.1%})")
if "sbert-clip-multilingual" in (options.model or ()):
    tower = catalog.choose("sbert-clip-multilingual", options)
    if "embedded" in (tower.source, choice.source):
        raise UserError("sbert-clip-multilingual goes with the real picture tower, and one of the two is not here: "
                        "--models hub fetches both.")
    lesson.use(tower)
    with tower.loading() as settings:
        multilingual = SentenceTransformer(tower.path, device="cpu", model_kwargs=settings, local_files_only=True)
    captions = normalise(multilingual.to(tower.device).encode([sample.caption_chinese for sample in gallery]))
    recall["Chinese, multilingual tower"] = metrics.recall_at(captions @ picture_embeddings.T, 1)
    print(f"   {tower.name}, Chinese captions: recall@1 {recall['Chinese, multilingual tower']:.1%}")
lesson.record("recall_at_1", recall)
queries = {"two penguins": "two penguins", "two penguins, in Chinese": "两只企鹅",
           "a car at sunset": "a car at sunset", "a car at sunset, in Chinese": "日落时分的汽车"}
found = util.semantic_search(embed_texts(list(queries.values())), picture_embeddings, top_k=5)
for query, hits in zip(queries.values(), found):
    print(f"   {query}: {', '.join(gallery[hit['corpus_id']].name for hit in hits[:3])}")
lesson.save(figures.search_results(
    [(None, words) for words in queries],
    [[(gallery_pictures[hit["corpus_id"]], f"{hit['score']:.2f}") for hit in hits] for hits in found],
    f"The right picture comes first for {recall['English']:.0%} of the English and {recall['Chinese']:.0%} of the "
    "Chinese captions"), "languages")

# %% [markdown]
# ## Near-duplicates
#
# The same photo cropped, brightened or shrunk has nearly the same embedding. What "nearly" means must come from data:
# the threshold is chosen on copies of some pictures (the best F1) and judged on copies of others.


# %%
def pairs_with_copies(rows: range) -> tuple[np.ndarray, np.ndarray]:
    """Among pictures of the gallery and three copies of each third of them: the cosines of all pairs, and whether
    both come from the same picture."""
    copies, sources = [], list(rows)
    for row in rows[::3]:
        picture = gallery_pictures[row]
        copies += [picture.crop((30, 30, picture.width - 30, picture.height - 30)),
                   ImageEnhance.Brightness(picture).enhance(1.25), picture.resize((128, 128))]
        sources += [row] * 3
    embeddings = torch.from_numpy(np.concatenate([picture_embeddings[rows], embed_pictures(copies)]))
    pairs = util.paraphrase_mining_embeddings(embeddings, top_k=len(embeddings))  # [cosine, i, j]
    return np.array([cosine for cosine, _, _ in pairs]), np.array([sources[i] == sources[j] for _, i, j in pairs])


lesson.step("Near-duplicates")
threshold = metrics.best_threshold(*pairs_with_copies(range(0, len(gallery), 2)))
cosines, same = pairs_with_copies(range(1, len(gallery), 2))
precision, recalled = metrics.precision_and_recall(cosines, same, threshold)
print(f"   from {threshold:.3f} on: precision {precision:.1%}, recall {recalled:.1%} of {same.sum()} pairs of copies")
lesson.record("near_duplicates", {"threshold": threshold, "precision": precision, "recall": recalled})
limits = np.linspace(0.5, 1, 26).tolist()
curves = zip(*(metrics.precision_and_recall(cosines, same, limit) for limit in limits))
lesson.save(figures.lines(limits, dict(zip(("precision", "recall"), curves)), f"From a cosine of {threshold:.2f} on, "
                          f"{precision:.0%} of the pairs are copies, and {recalled:.0%} of the copies are found",
                          "threshold of the cosine", "share of pairs"), "near_duplicates")

# %% [markdown]
# ## One corpus, smaller embeddings
#
# In a corpus of pictures and texts, the modality gap of 9.1 lets a query in words find texts first, whatever they say;
# how much, depends on the model. Subtracting from each kind its own mean closes most of the gap.
#
# A million embeddings of 512 numbers take 2 GB in FP32. `util.quantize_embeddings` cuts each number down to one of
# 255 equal steps from the smallest to the largest of its dimension, or keeps its sign only. The queries stay in FP32.

# %%
lesson.step("Pictures and texts in one corpus")
nouns = sorted({thing["noun"] for sample in gallery for thing in sample.objects})
noun_embeddings = embed_texts(nouns)
kinds = [picture_embeddings, caption_embeddings]
for name, corpus in (("as they are", kinds), ("centred", [normalise(kind - kind.mean(axis=0)) for kind in kinds])):
    best = np.argsort(-noun_embeddings @ np.concatenate(corpus).T)[:, :6]
    lesson.record(f"texts_among_best_6_{name}", float((best >= len(gallery)).mean()))
    print(f"   {name}: {(best >= len(gallery)).mean():.0%} of the best 6 are texts (half of the corpus is)")

lesson.step("Smaller embeddings")
lowest, highest = picture_embeddings.min(axis=0), picture_embeddings.max(axis=0)
steps = util.quantize_embeddings(picture_embeddings, "uint8", ranges=np.stack([lowest, highest]))
signs = util.quantize_embeddings(picture_embeddings, "ubinary")
for name, stored, decoded in (("FP32", picture_embeddings, picture_embeddings),
                              ("INT8", steps, lowest + (steps + 0.5) / 255 * (highest - lowest)),  # mid-step
                              ("binary", signs, np.unpackbits(signs, axis=-1) * 2.0 - 1)):
    kept = metrics.recall_at(caption_embeddings @ decoded.T, 1)
    print(f"   {name:6} {stored[0].nbytes:5} bytes a picture, recall@1 {kept:.1%}")
    lesson.record(name, {"bytes_per_picture": stored[0].nbytes, "recall_at_1": kept})

# %% [markdown]
# ## An index on disk
#
# For a folder of photos, `encode` first waits for all of them to be opened. `multimodal/reader.py` reads files while
# the model works, decodes a JPEG only as large as the model needs it, and on a CPU gives each core batches of its own
# and rewrites the vision tower so that it computes nothing that is not used.
# `multimodal/search.py` keeps embeddings in a file, with each picture's path, size and time of change. An update
# embeds only what is new or changed and replaces the file in one step, so that a program killed half-way leaves a
# whole index behind. The probe, the embedding of a fixed text, tells whether the model is still the same.

# %%
lesson.step("An index on disk" + (" of your pictures" if own else ""))
embed_files = partial(reader.embed_files, clip, processor.image_processor, batch_size=BATCH)
paths = [sample.path for sample in gallery]
seconds = {"encode": median_seconds(lambda: embed_pictures([images.open_picture(path) for path in paths]),
                                    choice.device, repeats=2)}
if choice.device == "cpu":
    reader.quicken(clip, choice.dtype)  # its vision tower computes the same in fewer steps from here on
seconds["embed_files"] = median_seconds(lambda: embed_files(paths), choice.device, repeats=2)
cosine = (embed_files(paths)[0] * picture_embeddings).sum(axis=1).min()
print("   from files to embeddings: " + ", ".join(f"{way} {len(paths) / taken:.0f} pictures/s"
                                                  for way, taken in seconds.items())
      + f"; smallest cosine between the two {cosine:.4f}")
lesson.record("files_per_second", {way: len(paths) / taken for way, taken in seconds.items()})
lesson.record("files_cosine", float(cosine))
assert cosine > 0.995  # a JPEG decoded at half its size is not the same to the last bit
name = "own" if own else "gallery"
if options.images:  # one index for each folder, also where two are called alike
    folder = options.images.resolve()
    name = f"{folder.name}-{hashlib.sha256(bytes(folder)).hexdigest()[:6]}"
if choice.source == "embedded":  # else it would replace the real model's index, which may have taken hours
    name += "-small"
index = ImageIndex(lesson.folder / f"index-{name}.npz", embed_texts(["a photo"])[0])
began = time.perf_counter()
embedded = index.update(own or paths, embed_files)
if not index.paths:
    raise UserError(f"None of the pictures in {options.images} can be opened: save them as JPEG or PNG.")
lesson.check([images.Sample(path.stem, path) for path in index.paths] if own else [])
print(f"   {index.file} holds {len(index.paths)} pictures: {embedded} embedded in {time.perf_counter() - began:.2f} s")
began = time.perf_counter()
again = ImageIndex(index.file, index.probe).update(index.paths, embed_files)
print(f"   a second time: {again} embedded in {time.perf_counter() - began:.2f} s")
assert again == 0
lesson.record("index", {"pictures": len(index.paths), "embedded": embedded, "embedded_again": again})
queries = options.query or ["a dog", "cars on the road", "the sea at sunset"]
found = [index.query(embedding, 5) for embedding in embed_texts(queries)]
for query, hits in zip(queries, found):
    print(f"   {query}: {', '.join(f'{path.name} {cosine:.2f}' for path, cosine in hits)}")
lesson.save(figures.search_results(
    [(None, query) for query in queries],
    [[(images.open_picture(path), f"{path.stem} {cosine:.2f}") for path, cosine in hits] for hits in found],
    "The nearest pictures in the index, with their cosines"), "search")

# %% [markdown]
# ## Labels and clusters
#
# A vocabulary turns the search round: each picture asks which words fit. And pictures that lie close together are
# groups that nobody named; the words nearest to the middle of a group name it.

# %%
lesson.step("Labels and clusters")
labels = np.argsort(-index.embeddings @ noun_embeddings.T)[:, :3]  # (pictures, 3): columns of `nouns`
finding = f"The three nearest of {len(nouns)} words"
if not own:
    hits = [any(thing["noun"] == nouns[best] for thing in sample.objects)
            for sample, best in zip(gallery, labels[:, 0])]
    finding += f"; the first of them is in the picture for {sum(hits)} of {len(hits)}"
    lesson.record("labels_right", sum(hits) / len(hits))
print(f"   {finding}")
few = range(0, len(labels), max(1, len(labels) // 8))[:8]
lesson.save(figures.picture_grid([images.open_picture(index.paths[i]) for i in few],
                                 [", ".join(nouns[j] for j in labels[i]) for i in few], finding, width=34), "labels")

some = index.embeddings[::1 + len(index.paths) // 1000]  # all pairs of a large folder would fill the memory
cosines = (some @ some.T)[np.triu_indices(len(some), k=1)]
threshold = float(np.quantile(cosines, 0.95)) if len(cosines) else 1.0  # the closest twentieth of the pairs
clusters = util.community_detection(index.embeddings, threshold=threshold, min_community_size=3)
print(f"   {len(clusters)} clusters of 3 pictures or more with cosines from {threshold:.2f} on")
if clusters:
    places = {question.answer for sample in gallery for question in sample.questions if question.kind == "where"}
    words = [*nouns, *sorted(places)]
    word_embeddings = embed_texts(words)
    nearest = [np.argsort(-word_embeddings @ index.embeddings[cluster].mean(axis=0))[:3] for cluster in clusters[:5]]
    lesson.save(figures.search_results(
        [(None, ", ".join(words[j] for j in best)) for best in nearest],
        [[(images.open_picture(index.paths[i]), index.paths[i].stem) for i in cluster[:5]] for cluster in clusters[:5]],
        f"{len(clusters)} clusters found; the words are the nearest to their middles"), "clusters")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - One `encode`, which makes its own batches; wrap what users type as `{"text": ...}`.
# - Measure the batch size on your machine. Embed once, keep it, and embed again only what changed.
# - Thresholds come from data, chosen on one part and judged on another.
# - A text tower reads the languages it was trained on; a multilingual one can stand beside the same picture tower.
#
# ## Exercises
#
# 1. With the real models, embed the English captions with the multilingual text tower too. What does English pay?
# 2. Add copies that are mirrored, or framed in white, to the near-duplicates. Which are no longer found?
# 3. Subtract the mean of all pictures before taking signs. Does the binary recall change?
# 4. Change a picture in your folder, add one, delete one, and run again. What does the index embed?
#
# **Next:** `9.4_blip2_vision_qa.py` puts a language model behind the picture tower, and it answers questions.
