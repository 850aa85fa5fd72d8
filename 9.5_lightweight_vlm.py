# %% [markdown]
# # 9.5 BLIP: captions on small machines
#
# **You learn** how a small captioner is prompted, what beams and batches cost and bring, where the time goes, what
# half precision and 8-bit weights do to speed, size and words, and how to choose among them by measurement.
#
# **It needs** under 2 GB of memory and no download with the small model of this repository; the real BLIP-base is
# 0.99 GB (`--models hub`) and runs on any CPU with 4 GB.
#
# **On your own pictures:** `python 9.5_lightweight_vlm.py --images my_photos`. By what you have and need:
# `python 9.5_lightweight_vlm.py --memory-gb 2 --pictures-per-second 5`

# %%
import tempfile
import warnings

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import catalog, figures, images, reader
from multimodal.hardware import median_seconds, peak_memory, readable_size
from multimodal.lesson import Lesson, progress
from multimodal.words import names_noun

import torch
from PIL import Image
from transformers import BlipForConditionalGeneration, BlipProcessor

lesson = Lesson("9.5", "BLIP: captions on small machines")
lesson.argument("--memory-gb", type=float, metavar="N", help="memory that the captioner may take, in GB")
lesson.argument("--pictures-per-second", type=float, metavar="N", help="captions a second that you need")
options = lesson.start()
pictures, gallery = images.chosen(options), images.gallery()
own = bool(options.image or options.images)

choice = catalog.choose("blip", options)
lesson.use(choice)
lesson.check(pictures)
with choice.loading() as settings:
    model = BlipForConditionalGeneration.from_pretrained(choice.path, **settings)
reader.fuse_attention(model).to(choice.device).eval()
processor = BlipProcessor.from_pretrained(choice.path)

# %% [markdown]
# ## A caption, and a caption that goes on from your words
#
# The decoder of BLIP writes word by word while it looks at the picture by cross-attention. Without a text it starts
# from its own first token, `[DEC]`; with one it goes on from there. Three habits of `generate` to know: it writes
# `[DEC]` over the first token **of the tensor that you passed**, drops the last token, which it takes for `[SEP]`,
# and returns the beginning along with the rest. As it drops the last column of the whole batch, beginnings of
# different length must not share one: here every picture of a batch has the same.


# %%
@torch.inference_mode()
def caption(model: torch.nn.Module, pictures: list[Image.Image], beginning: str = "", **how) -> list[str]:
    """One caption for each picture, in one batch, without its beginning; `how` goes to `generate`."""
    text = {"text": [beginning] * len(pictures)} if beginning else {}
    inputs = processor(images=pictures, return_tensors="pt", **text).to(choice.device, model.dtype)
    output = model.generate(**inputs, max_new_tokens=30, **{"do_sample": False, **how})
    return [written.removeprefix(beginning.lower()).strip()  # the tokenizer knows small letters only
            for written in processor.batch_decode(output, skip_special_tokens=True)]


def captions_of(model: torch.nn.Module, pictures: list[Image.Image], batch: int) -> list[str]:
    """Captions of any number of pictures, `batch` at a time."""
    return [text for start in progress(range(0, len(pictures), batch))
            for text in caption(model, pictures[start:start + batch])]


lesson.step("Captions without and with a beginning")
BEGINNING = "a picture of"
image = pictures[0].image
inputs = processor(images=image, text=BEGINNING, return_tensors="pt").to(choice.device, choice.dtype)
print(f"   passed:   {processor.tokenizer.convert_ids_to_tokens(inputs['input_ids'][0])}")
with torch.inference_mode():
    output = model.generate(**inputs, max_new_tokens=30, do_sample=False)
print(f"   after it: {processor.tokenizer.convert_ids_to_tokens(inputs['input_ids'][0])}")
print(f"   returned: {processor.tokenizer.convert_ids_to_tokens(output[0])}")
print(f"   {pictures[0].name} without a beginning: {caption(model, [image])[0]}")
if choice.source == "embedded":  # which writes Chinese after a Chinese beginning, and decodes it with spaces
    print(f"   {pictures[0].name} in Chinese: {caption(model, [image], '一张照片：')[0].replace(' ', '')}")
seconds = median_seconds(lambda: caption(model, [image]), choice.device)
print(f"   {seconds:.3f} s for one picture")
lesson.record("seconds_per_caption", seconds)

# %% [markdown]
# ## True batches
#
# Each step of the decoder reads all its weights to make one token. For sixteen pictures at once it reads them once
# and makes sixteen, so a batch is faster per picture until the arithmetic units are busy. A loop over single
# pictures that is called "batch processing" gains nothing. Memory grows with the batch.

# %%
lesson.step("True batches against one at a time")
opened = [sample.image for sample in gallery]
speeds, memory = {}, {}
most = choice.batch_size(32)  # fewer where memory is short
for batch in (size for size in (1, 4, 8, 16, 32) if size <= most):
    some = opened[:max(16, batch)]
    seconds = median_seconds(lambda: captions_of(model, some, batch), choice.device, repeats=2)
    speeds[batch] = len(some) / seconds
    # The peak so far is that of this batch, as they come in ascending order.
    memory[batch] = torch.accelerator.max_memory_allocated() if choice.device in ("cuda", "xpu") else peak_memory()
    print(f"   batches of {batch:2}: {speeds[batch]:6.1f} pictures a second, peak {readable_size(memory[batch])}")
best = max(speeds, key=speeds.get)
lesson.record("pictures_per_second", speeds[best])
lesson.record("speed_by_batch", speeds)
lesson.save(figures.lines(
    list(speeds), {"true batches": list(speeds.values())}, f"Batches of {best} are {speeds[best] / speeds[1]:.1f} "
    "times as fast as one picture at a time", "pictures in a batch", "pictures a second", logarithmic=True,
    reference=("one at a time", speeds[1])), "batches")

# %% [markdown]
# ## Where the time goes
#
# Three stages: the processor scales and normalises pixels, the vision tower reads the picture once, the decoder runs
# once for every token. The stage that takes longest is the one worth making faster.

# %%
lesson.step("Where the time goes")
stages = {}
for name, some in (("one at a time", opened[:1]), (f"batches of {best}", opened[:best])):
    pixels = processor(images=some, return_tensors="pt").to(choice.device, choice.dtype)["pixel_values"]
    with torch.inference_mode():
        tokens = model.generate(pixel_values=pixels, max_new_tokens=30, do_sample=False).shape[1] - 1
        processing = median_seconds(lambda: processor(images=some, return_tensors="pt"))
        seeing = median_seconds(lambda: model.vision_model(pixel_values=pixels), choice.device)
        all_of_it = median_seconds(lambda: model.generate(pixel_values=pixels, max_new_tokens=30, do_sample=False),
                                   choice.device)
    stages[name] = [1000 * part / len(some) for part in (processing, seeing, max(0.0, all_of_it - seeing))]
    print(f"   {name:14} " + ", ".join(f"{stage} {share:.1f} ms" for stage, share in zip(
        ("processor", "vision tower", "decoder"), stages[name])) + f" a picture; {tokens} tokens at most")
alone, together = stages.values()
lesson.record("milliseconds_by_stage", stages)
lesson.save(figures.grouped_bars(
    ["processor", "vision tower", "decoder"], stages, f"The decoder takes {alone[2] / sum(alone):.0%} of the time of "
    f"one picture, {together[2] / sum(together):.0%} in a batch", "milliseconds a picture", "{:.1f}"), "stages")

# %% [markdown]
# ## Beams
#
# Beam search keeps several unfinished captions and returns the one that is likeliest as a whole. The decoder then
# works on as many captions at a time; what that brings is to be seen, not assumed.

# %%
lesson.step("Beams 1, 3 and 5")
shown = [sample.image for sample in pictures[:6]]
written, milliseconds = {}, {"no beginning": [], f'"{BEGINNING}"': []}
for name, beginning in zip(milliseconds, ("", BEGINNING)):
    for beams in (1, 3, 5):
        way = f"{beams} beam{'s' * (beams > 1)}" + (", begun" if beginning else "")
        written[way] = caption(model, shown, beginning, num_beams=beams)
        milliseconds[name].append(1000 * median_seconds(
            lambda: caption(model, shown[:1], beginning, num_beams=beams), choice.device, repeats=3))
        print(f"   {way:15} {milliseconds[name][-1]:6.0f} ms  {written[way][0]}")
changed = sum(a != b for a, b in zip(written["1 beam"], written["5 beams"]))
lesson.save(figures.picture_notes(
    shown, [list(zip(written, texts)) for texts in zip(*written.values())],
    f'Five beams change {changed} of {len(shown)} captions ("begun": after "{BEGINNING}")'), "captions")
plain = milliseconds["no beginning"]
lesson.save(figures.grouped_bars(
    ["1 beam", "3 beams", "5 beams"], milliseconds, f"Five beams take {plain[2] / plain[0]:.1f} times as long as one",
    "milliseconds a picture", "{:.0f}"), "beams")

# %% [markdown]
# ## How good are they?
#
# Three hard measures on the gallery: whether a caption names every kind of thing in the picture, whether it names
# one that the gallery shows elsewhere but not here, and whether it is the gallery's caption word for word. The last
# is fair only to the small model, which learned that grammar; a model from the web uses words of its own.

# %%
lesson.step("How good are they?")
texts = captions_of(model, opened, best)
objects_right = [all(names_noun(text, thing["noun"]) for thing in sample.objects)
                 for text, sample in zip(texts, gallery)]
nouns = {thing["noun"] for sample in gallery for thing in sample.objects}
# A "tree" is no invention where there is a "palm tree".
invented = [any(names_noun(text, noun) for noun in nouns
                if not any(names_noun(thing["noun"], noun) for thing in sample.objects))
            for text, sample in zip(texts, gallery)]
exact = [text == sample.caption for text, sample in zip(texts, gallery)]
title = (f"{sum(objects_right)} of {len(gallery)} captions name all things of the picture, {sum(exact)} are the "
         f"gallery's word for word, {sum(invented)} name a thing of another picture")
print(f"   {title}")
lesson.record("objects_right", sum(objects_right) / len(gallery))
lesson.record("objects_invented", sum(invented) / len(gallery))
lesson.record("captions_exact", sum(exact) / len(gallery))
sheet = range(0, len(gallery), len(gallery) // 12)[:12]  # evenly spaced, not hand-picked
lesson.save(figures.picture_grid(
    [opened[row] for row in sheet], [texts[row] for row in sheet], f"{title} (green: all things, no other)",
    edge_colours=[figures.COLOURS[2 if objects_right[row] and not invented[row] else 1] for row in sheet]),
    "gallery_captions")

if own:
    lesson.step("Your pictures")
    mine = [text for start in range(0, len(pictures), best)
            for text in caption(model, [sample.image for sample in pictures[start:start + best]])]
    for sample, text in zip(pictures, mine):
        print(f"   {sample.path}: {text}")
    lesson.record("own_captions", {str(sample.path): text for sample, text in zip(pictures, mine)})
    lesson.save(figures.picture_grid([sample.image for sample in pictures[:12]], mine[:12],
                                     f"Captions of {len(pictures)} of your pictures"), "own_captions")

# %% [markdown]
# ## Precision: FP32, half, INT8
#
# BF16 and FP16 halve every weight; whether they are also faster depends on the processor. **Dynamic INT8** stores
# the weights of linear layers in 8 bits with a scale, and rounds the activations on the fly (CPU only). Everything
# is measured: the size of the saved weights, the time, and how many captions stay as they were in FP32.


# %%
def saved_bytes(model: torch.nn.Module) -> int:
    """Size of the model's weights as a file."""
    with tempfile.TemporaryFile() as file:
        torch.save(model.state_dict(), file)
        return file.tell()


def in_precision(name: str) -> torch.nn.Module:
    dtype = {"FP32": torch.float32, "BF16": torch.bfloat16, "FP16": torch.float16, "INT8": torch.float32}[name]
    model = reader.fuse_attention(BlipForConditionalGeneration.from_pretrained(choice.path, dtype=dtype))
    if name == "INT8":
        with warnings.catch_warnings():  # deprecated in favour of torchao, but it needs no package beside torch
            warnings.simplefilter("ignore")
            model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    return model.to(choice.device).eval()


lesson.step("FP32, half precision and INT8 side by side")
if torch.backends.quantized.engine == "none":  # as on a Mac, where there is one but none is set
    torch.backends.quantized.engine = torch.backends.quantized.supported_engines[0]
names_of_precisions = ["FP32", "BF16", "INT8"] if choice.device == "cpu" else ["FP32", "FP16"]
base_bytes = saved_bytes(model)
precisions, configurations, reference = [], [], None
for name in names_of_precisions:
    model = None  # one at a time, so that large ones fit
    model = in_precision(name)
    texts = captions_of(model, opened, best)
    reference = reference or texts
    row = {"precision": name, "weights_bytes": saved_bytes(model),
           "seconds_per_caption": median_seconds(lambda: caption(model, opened[:1]), choice.device),
           "pictures_per_second": best / median_seconds(lambda: caption(model, opened[:best]), choice.device,
                                                        repeats=2),
           "same_as_fp32": sum(a == b for a, b in zip(texts, reference)) / len(texts)}
    precisions.append(row)
    for batch, speed in ((1, 1 / row["seconds_per_caption"]), (best, row["pictures_per_second"])):
        configurations.append((f"{name}, batches of {batch}", speed, memory[batch] - base_bytes + row["weights_bytes"]))
print("   precision   one picture   pictures/s   weights   captions as in FP32")
for row in precisions:
    print(f"   {row['precision']:9} {1000 * row['seconds_per_caption']:9.1f} ms {row['pictures_per_second']:12.1f} "
          f"{readable_size(row['weights_bytes']):>9} {row['same_as_fp32']:14.1%}")
lesson.record("precisions", precisions)
smallest = min(precisions, key=lambda row: row["weights_bytes"])
lesson.save(figures.bar_panels(
    names_of_precisions,
    {"ms for one picture": ([1000 * row["seconds_per_caption"] for row in precisions], "{:.1f}"),
     f"pictures/s, batches of {best}": ([row["pictures_per_second"] for row in precisions], "{:.1f}"),
     "MB of weights": ([row["weights_bytes"] / 1e6 for row in precisions], "{:.1f}"),
     "captions as in FP32": ([row["same_as_fp32"] for row in precisions], "{:.0%}")},
    f"{smallest['precision']} takes {smallest['weights_bytes'] / precisions[0]['weights_bytes']:.0%} of the space of "
    f"FP32, and {smallest['same_as_fp32']:.0%} of the captions stay the same"), "precision")

# %% [markdown]
# ## Choosing by constraint
#
# A choice among what was measured on this machine: the fastest that fits the memory, or the smallest that is fast
# enough. Memory is that of the whole program, Python and libraries included (on a GPU, what the GPU holds): the peak
# measured above with the first model, with the other weights in the place of its own, so an estimate.

# %%
lesson.step("Choosing by constraint")
for name, speed, size in configurations:
    print(f"   {name:22} {speed:6.1f} pictures a second in about {readable_size(size)}")
room = float("inf") if options.memory_gb is None else 1e9 * options.memory_gb
fitting = [row for row in configurations if row[1] >= (options.pictures_per_second or 0) and row[2] <= room]
if not fitting:
    print("   None of these satisfies what you ask for: allow more memory or a lower speed.")
elif options.pictures_per_second and options.memory_gb is None:
    print(f"   The smallest that is fast enough: {min(fitting, key=lambda row: row[2])[0]}.")
else:
    print(f"   The fastest that fits: {max(fitting, key=lambda row: row[1])[0]}.")
lesson.record("configurations", configurations)
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Batches are the cheapest speed there is; beams cost time and have to show what they bring.
# - Measure the stages before you make one faster.
# - Half precision halves the weights; INT8 quarters the linear layers. Compare captions, not promises.
#
# ## Exercises
#
# 1. Caption with `no_repeat_ngram_size=2` or `repetition_penalty=1.5`. Which captions get better, which worse?
# 2. Quantize only the decoder (`model.text_decoder`). Which share of the speed, and of the changed captions, remains?
# 3. Put "a dog" and "a picture of a dog" as beginnings into one padded batch. What does the first one lose?
#
# **Next:** `9.6_multimodal_summary.py` puts all that was measured side by side and helps to choose.
