# %% [markdown]
# # 9.3 SBERT-CLIP: the same in a few calls, for many pictures
#
# **You learn** to embed pictures and texts with one method of sentence-transformers, what batches save, how search
# works in English and Chinese, and how to keep embeddings on disk so that each picture is embedded only once.
#
# **It needs** 0.8 to 1.0 GB of memory and no download with the small model of this repository. The real CLIP ViT-B/32
# is 605 MB (`--models hub`) and runs in 2 GB.
#
# **On your own pictures:** `python 9.3_sbert_clip.py --images FOLDER --query "a dog on the beach"` makes an index of
# the folder and searches it. The next run embeds only what is new or has changed.

# %%
import hashlib
import time
from functools import partial
from pathlib import Path

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
import toyworld
from multimodal import UserError, catalog, figures, images, metrics, reader, speedups
from multimodal.lesson import Lesson
from multimodal.search import ImageIndex

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

lesson = Lesson("9.3", "SBERT-CLIP: the same in a few calls, for many pictures")
lesson.argument("--query", nargs="+", metavar="TEXT", help="what to search for; may be several texts")
options = lesson.start()
own = [*(options.image or ()), *(images.pictures_in(options.images) if options.images else ())]
for path in options.image or ():
    images.open_picture(path)  # a picture that is named must be good; in a folder, a bad one is skipped

choice = catalog.choose("sbert-clip", options)
lesson.use(choice)
model = SentenceTransformer(choice.path, device="cpu", model_kwargs={"dtype": choice.dtype},
                            local_files_only=True).to(choice.device)
gallery = images.gallery()
gallery_pictures = [sample.image for sample in gallery]
BATCH = choice.batch_size(32)  # fewer pictures a batch where memory is short

# %% [markdown]
# ## One method for pictures and texts
#
# `encode` takes pictures or texts, makes batches and returns an array. It does not normalise unless you pass
# `normalize_embeddings=True`; we normalise afterwards, in FP32, because half precision would round the lengths.
# Pictures and texts go in separate calls. And **it opens a text that looks like a path, and fetches one that looks
# like a URL**: wrap what users type as `{"text": ...}`, and it is always a text.


# %%
def normalise(embeddings: np.ndarray) -> np.ndarray:
    embeddings = embeddings.astype(np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)


def embed_pictures(pictures: list) -> np.ndarray:  # (pictures, dimensions)
    return normalise(model.encode(pictures, batch_size=BATCH))


def embed_texts(texts: list[str]) -> np.ndarray:  # (texts, dimensions)
    return normalise(model.encode([{"text": text} for text in texts]))


lesson.step("One method for pictures and texts")
picture_embeddings = embed_pictures(gallery_pictures)  # (72, dimensions)
caption_embeddings = embed_texts([sample.caption for sample in gallery])  # (72, dimensions)
path = str(gallery[0].path)
bare, wrapped = normalise(model.encode(path)) @ picture_embeddings[0], embed_texts([path])[0] @ picture_embeddings[0]
print(f"   cosine of a picture and its path: {bare:.2f} bare (the file was opened), {wrapped:.2f} wrapped (a text)")

# The same step by step, as in 9.1, with the CLIPModel and the processor inside.
clip, processor = model[0].model, model[0].processor
inputs = processor(text=[sample.caption for sample in gallery[:8]], images=gallery_pictures[:8], return_tensors="pt",
                   padding=True, truncation=True).to(choice.device, choice.dtype)
with torch.inference_mode():
    output = clip(**inputs)
by_hand = torch.cat([output.image_embeds, output.text_embeds]).float().cpu().numpy()  # (16, dimensions)
difference = np.abs(normalise(by_hand) - np.concatenate([picture_embeddings[:8], caption_embeddings[:8]])).max()
print(f"   largest difference to {type(clip).__name__} and {type(processor).__name__} as in 9.1: {difference:.1e}")
assert difference < (1e-3 if choice.dtype_name == "fp32" else 1e-2)  # half precision depends on the batch's size
lesson.record("difference_to_clip_model", float(difference))

# %% [markdown]
# ## Batches
#
# A model that gets one picture at a time starts each of its hundred operations anew for every picture, and a GPU
# idles most of the time. A batch shares that cost, up to some size: measure where on your machine. The ways below take
# turns, so that other programs slow all of them alike, and a difference counts only where quartiles do not overlap.


# %%
def take_turns(ways: dict, count: int, rounds: int) -> dict[str, list[float]]:
    """Quartiles of the pictures per second of each way to embed `count` pictures; a first round is not counted."""
    rates = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, embed in ways.items():
            began = time.perf_counter()
            embed()
            rates[name].append(count / (time.perf_counter() - began))
    quartiles = {name: np.quantile(all_of_one[1:], (0.25, 0.5, 0.75)).tolist() for name, all_of_one in rates.items()}
    for name, (low, median, high) in quartiles.items():
        print(f"   {name + ':':20} {median:6.1f} pictures/s (quartiles {low:.1f} to {high:.1f})")
    return quartiles


lesson.step("Throughput by batch size")
sizes, pictures = [size for size in (1, 8, 32) if size <= BATCH], gallery_pictures[:32]
rates = take_turns({
    "one call a picture": lambda: [model.encode(picture) for picture in pictures],
    **{f"batches of {size}": partial(model.encode, pictures, batch_size=size) for size in sizes}}, len(pictures), 5)
lesson.record("pictures_per_second", rates)
low, median, high = np.array(list(rates.values())).T  # (1 + sizes,) each, one call a picture first
best = median.argmax()
enough = [name for name, rate in zip(rates, high) if rate >= low[best]][0]  # no slower than the best, as far as we know
more = "are the fastest tried" if enough == list(rates)[-1] else "and more: no difference beyond the noise"
figure = figures.lines(sizes, {"one call of encode": median[1:]}, f"{median[best]:.0f} pictures/s at best, "
                       f"{median[best] / median[0]:.1f} times one call a picture; {enough} {more}",
                       "batch size", f"pictures per second on {choice.device} (median, quartiles)", logarithmic=True,
                       reference=("one call a picture", median[0]))
figure.axes[0].fill_between(sizes, low[1:], high[1:], alpha=0.25)
lesson.save(figure, "throughput")

# %% [markdown]
# ## An index on disk
#
# Given paths, `encode` works batch by batch: it opens and scales 32 pictures, and only then does the model compute.
# `reader.embed_files` reads files while the model works, decodes a JPEG only as large as the model needs it, and on a
# CPU gives each core its own batches. Both ways below run the same model, whose vision tower skips what nobody uses.
#
# `ImageIndex` (`multimodal/search.py`) keeps embeddings in a file with each picture's path, size and time of change.
# An update embeds what is new or changed and replaces the file in one step: killed half-way, it leaves a whole index.
# The probe, the embedding of a fixed text, shows whether the model is still the same.

# %%
lesson.step("An index on disk" + (" of your pictures" if own else ""))
files = [str(sample.path) for sample in gallery]
embed_files = partial(reader.embed_files, clip, processor.image_processor, batch_size=BATCH)
if choice.device == "cpu":
    speedups.faster_clip(clip, choice.dtype)  # in place
lesson.record("files_per_second", take_turns({"encode": partial(model.encode, files, batch_size=BATCH),
                                              "embed_files": partial(embed_files, files)}, len(files), 3))
cosine = (embed_files(files)[0] * picture_embeddings).sum(axis=1).min()
lesson.record("files_cosine", float(cosine))
assert cosine > 0.995  # a JPEG decoded at half its size is not the same to the last bit

# One index for each folder, also where two have the same name, and for each model: the real one may have taken hours.
folder = options.images.resolve() if options.images else Path("own" if own else "gallery")
name = f"index-{folder.name}-{hashlib.sha256(bytes(folder)).hexdigest()[:6]}-{choice.source}.npz"
index = ImageIndex(lesson.folder / name, embed_texts(["a photo"])[0])
embedded = index.update(own or files, embed_files)
if not index.paths:
    raise UserError(f"None of the pictures in {options.images} can be opened: save them as JPEG or PNG.")
lesson.check([images.Sample(path.stem, path) for path in index.paths] if own else [])
again = ImageIndex(index.file, index.probe).update(index.paths, embed_files)
print(f"   {index.file} holds {len(index.paths)} pictures: {embedded} embedded now, {again} a second time")
assert again == 0
lesson.record("index", {"pictures": len(index.paths), "embedded": embedded, "embedded_again": again})

# %% [markdown]
# ## Search in English and Chinese
#
# The pictures with the highest cosines to a query answer it. A text tower understands the languages it was trained on:
# the small model has read English and Chinese captions, OpenAI's CLIP only English ones, so that Chinese finds little
# more than chance there. Another text tower can stand beside its picture tower: `clip-ViT-B-32-multilingual-v1` learned
# to put sentences in 50 languages where CLIP puts the English ones (`--models hub --model sbert-clip-multilingual`).

# %%
lesson.step("Search in English and Chinese")
corpus = toyworld.draw(300, seed=93, level="unseen")  # in a style that the small model has never seen
corpus_embeddings = embed_pictures([picture.image for picture in corpus])
chinese = [picture.caption_chinese for picture in corpus]
captions = {"English": embed_texts([picture.caption for picture in corpus]), "Chinese": embed_texts(chinese)}
if "sbert-clip-multilingual" in (options.model or ()):
    tower = catalog.choose("sbert-clip-multilingual", options)
    if "embedded" in (tower.source, choice.source):
        raise UserError("sbert-clip-multilingual goes with the real picture tower: --models hub fetches both.")
    lesson.use(tower)
    multilingual = SentenceTransformer(tower.path, device="cpu", model_kwargs={"dtype": tower.dtype},
                                       local_files_only=True).to(tower.device)
    captions["Chinese, multilingual tower"] = normalise(multilingual.encode(chinese))
recall = {name: metrics.share(metrics.ranks(queries @ corpus_embeddings.T) == 0) for name, queries in captions.items()}
for name, share in recall.items():
    print(f"   {name} captions find their own picture first in {share!s} (chance {1 / len(corpus):.1%})")
lesson.record("recall_at_1", recall)
queries = {"two penguins": "two penguins", "two penguins, in Chinese": "两只企鹅",
           "a car at sunset": "a car at sunset", "a car at sunset, in Chinese": "日落时分的汽车"}
queries = {query: query for query in options.query} if options.query else queries
found = [index.query(embedding, 5) for embedding in embed_texts(list(queries.values()))]
for query, hits in zip(queries, found):
    print(f"   {query}: {', '.join(f'{path.name} {cosine:.2f}' for path, cosine in hits)}")
lesson.save(figures.search_results(
    [(None, query) for query in queries],
    [[(images.open_picture(path), f"{path.stem} {cosine:.2f}") for path, cosine in hits] for hits in found],
    f"{recall['English']:.0%} of English and {recall['Chinese']:.0%} of Chinese captions find their own among "
    f"{len(corpus)} pictures; these are from the index"), "search")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - One `encode`, which makes its own batches. Wrap what users type as `{"text": ...}`.
# - Measure the batch size on your machine. Embed once, keep the embeddings, and embed again only what changed.
# - A text tower reads the languages it was trained on; a multilingual one can stand beside the same picture tower.
#
# ## Examples (in `examples/`, with the small model)
#
# - `near_duplicates.py` finds 88% of cropped, brightened, shrunk and mirrored copies, but 95% of look-alikes as well.
# - `small_embeddings.py`: signs alone take 3% of the memory and find 63% instead of 93%; rescored they are back at 93%.
# - `clusters_and_labels.py` (also with `--images`): a loose threshold groups by place, a strict one by thing.
# - `mixed_corpus.py`: wrong texts come before all right pictures for 64% of queries, after centring for 45%.
#
# ## Exercises
#
# 1. With the real models, embed the English captions with the multilingual text tower too. What does English lose?
# 2. Change a picture in your folder, add one, delete one, and run again. What does the index embed?
#
# **Next:** `9.4_blip2_vision_qa.py` puts a language model behind the picture tower, and it answers questions.
