# %% [markdown]
# # 9.5 BLIP: captions on small machines
#
# **You learn** how to prompt a small captioner, why to caption in batches, how to judge captions, what half precision
# and 8-bit weights do to speed, size and words, and how to choose among them from what you have measured.
#
# **It needs** under 2 GB of memory and no download with the small model of this repository; the real BLIP-base is
# 0.99 GB (`--models hub`) and runs on any CPU with 4 GB.
#
# **On your own pictures:** `python 9.5_lightweight_vlm.py --images my_photos`. By what you have and need:
# `python 9.5_lightweight_vlm.py --memory-gb 2 --pictures-per-second 5`

# %%
import tempfile
import timeit
import warnings

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
import toyworld
from multimodal import catalog, figures, images, metrics, speedups
from multimodal.hardware import median_seconds, peak_memory, readable_size
from multimodal.lesson import Lesson
from multimodal.terminal import progress
from multimodal.words import names_noun

import numpy as np
import torch
from transformers import BlipForConditionalGeneration, BlipProcessor

lesson = Lesson("9.5", "BLIP: captions on small machines")
lesson.argument("--memory-gb", type=float, metavar="N", help="memory that the captioner may take, in GB")
lesson.argument("--pictures-per-second", type=float, metavar="N", help="captions a second that you need")
options = lesson.start()
pictures, own = images.chosen(options)
choice = catalog.choose("blip", options)
lesson.use(choice)
lesson.check(pictures)
model = BlipForConditionalGeneration.from_pretrained(choice.path, dtype=choice.dtype,
                                                     quantization_config=choice.quantization).to(choice.device).eval()
speedups.fuse_attention(model)  # the same numbers from a faster kernel
processor = BlipProcessor.from_pretrained(choice.path)
MOST = choice.batch_size(16)  # pictures in a batch, fewer where memory is short

# %% [markdown]
# ## Captions, without and with a prefix
#
# BLIP's decoder writes token by token and looks at the picture through cross-attention. Without a text it starts from
# its first token, `[DEC]`. With a text, the **prefix**, it continues that text. `generate` has three peculiarities: it
# writes `[DEC]` over the first token of the tensor that you passed, drops the last column of the batch, which it takes
# for `[SEP]`, so that prefixes of different lengths must not share a batch, and returns the prefix with the caption.


# %%
@torch.inference_mode()
def caption(model, pictures: list, prefix: str = "", batch: int = MOST, **how) -> list[str]:
    """One caption for each picture, without the prefix, `batch` at a time; `how` goes to `generate`."""
    texts = []
    for start in progress(range(0, len(pictures), batch)):
        some = pictures[start:start + batch]
        text = {"text": [prefix] * len(some)} if prefix else {}
        inputs = processor(images=some, return_tensors="pt", **text).to(choice.device, model.dtype)
        output = model.generate(**inputs, max_new_tokens=30, **{"do_sample": False, **how})
        texts += [written.removeprefix(prefix.lower()).strip()  # the tokenizer turns all letters into small ones
                  for written in processor.batch_decode(output, skip_special_tokens=True)]
    return texts


lesson.step("Captions without and with a prefix")
PREFIX, image = "a picture of", pictures[0].image
inputs = processor(images=image, text=PREFIX, return_tensors="pt").to(choice.device, choice.dtype)
print(f"   passed:   {processor.tokenizer.convert_ids_to_tokens(inputs['input_ids'][0])}")
output = model.generate(**inputs, max_new_tokens=30, do_sample=False)
print(f"   after it: {processor.tokenizer.convert_ids_to_tokens(inputs['input_ids'][0])}")
print(f"   returned: {processor.tokenizer.convert_ids_to_tokens(output[0])}")
for prefix in ("", PREFIX, *(("一张照片：",) if choice.source == "embedded" else ())):  # the small model knows Chinese
    print(f"   {pictures[0].name}, prefix {prefix!r}: {caption(model, [image], prefix)[0]}")
lesson.record("seconds_per_caption", median_seconds(lambda: caption(model, [image]), choice.device))
shown = pictures if own else pictures[:12]
texts = caption(model, [sample.image for sample in shown])
print("\n".join(f"   {sample.path.name}: {text}" for sample, text in zip(shown, texts)))
lesson.record("own_captions" if own else "captions", {str(sample.path): text for sample, text in zip(shown, texts)})
lesson.save(figures.picture_grid([sample.image for sample in shown[:12]], texts[:12], "Captions by BLIP"), "captions")

# %% [markdown]
# ## True batches
#
# For each token the decoder reads all its weights. For sixteen pictures in one batch it reads them once and makes
# sixteen tokens, so a batch costs less per picture until the processor is busy. A loop over single pictures gains
# nothing. We time in rounds, and compare within a round: another program then slows all alike.
# `examples/where_the_time_goes.py`: the decoder takes two thirds of the time of one picture, and less in a batch.


# %%
def in_turns(calls: dict, rounds: int = 5) -> dict:
    """Seconds of each call, (rounds,). The calls take turns; a first round is not counted."""
    seconds = [[timeit.timeit(call, number=1) for call in calls.values()] for _ in range(rounds + 1)]
    return dict(zip(calls, np.array(seconds[1:]).T))


def quartiles(values: np.ndarray) -> str:
    return "{1:.1f} ({0:.1f} to {2:.1f})".format(*np.percentile(values, (25, 50, 75)))


lesson.step("True batches against one at a time: median and quartiles of five rounds")
usual, unseen = toyworld.draw(72, seed=950), toyworld.draw(72, seed=951, level="unseen")
some, memory, sizes = [picture.image for picture in usual[:MOST]], {}, [size for size in (1, 4, 16) if size <= MOST]
for size in sizes:  # the peak so far is that of this batch, as they come in ascending order
    caption(model, some, batch=size)
    memory[size] = torch.accelerator.max_memory_allocated() if choice.device in ("cuda", "xpu") else peak_memory()
seconds = in_turns({size: lambda size=size: caption(model, some, batch=size) for size in sizes})
speeds = {size: len(some) / seconds[size] for size in sizes}  # pictures a second, (rounds,)
for size in sizes:
    print(f"   batches of {size:2}: {quartiles(speeds[size])} pictures a second, peak {readable_size(memory[size])}")
medians, best = {size: float(np.median(speeds[size])) for size in sizes}, sizes[-1]
gain = speeds[best] / speeds[1]  # round by round
lesson.record("speed_by_batch", medians)
lesson.record("batch_gain", np.percentile(gain, (25, 50, 75)).tolist())
title = f"Batches of {best} are {quartiles(gain)} times as fast as one picture at a time"
lesson.save(figures.lines(sizes, {"true batches": [*medians.values()]}, title, "pictures in a batch",
                          "pictures a second", logarithmic=True, reference=("one at a time", medians[1])), "batches")

# %% [markdown]
# ## How good are they?
#
# Does a caption name all things that are there, and is it the expected one word for word? (The last is fair only to the
# small model, which learned this wording.) All pictures are new; some are in a style that it was not trained on. The
# baseline is the caption of another picture. `examples/beams.py`: on patterned pictures five beams change one caption
# in ten and bring 2.5 points, for two to three times the time.

# %%
lesson.step("How good are they?")
quality = {}
for name, drawn, shift in (("usual styles", usual, 0), ("unseen style", unseen, 0), ("another picture", usual, 1)):
    texts = caption(model, [drawn[row - shift].image for row in range(len(drawn))])
    quality[name] = {"names all things": metrics.share(all(names_noun(text, thing.noun) for thing in picture.things)
                                                       for text, picture in zip(texts, drawn)),
                     "word for word": metrics.share(text == picture.caption for text, picture in zip(texts, drawn))}
    print(f"   {name}: " + ", ".join(f"{what} {share!s}" for what, share in quality[name].items()))
lesson.record("objects_right", quality["usual styles"]["names all things"])
lesson.record("captions_exact", quality["usual styles"]["word for word"])
lesson.record("quality", quality)
title = (f"{quality['usual styles']['names all things']:.0%} of {len(usual)} captions name all things, "
         f"{quality['unseen style']['names all things']:.0%} in an unseen style")
lesson.save(figures.bars(quality, title, "share of the captions, with 95% intervals", "{:.0%}"), "quality")

# %% [markdown]
# ## Precision: FP32, half, INT8
#
# BF16 and FP16 halve every weight; whether they are also faster depends on the processor. **Dynamic INT8** stores the
# weights of linear layers in 8 bits with a scale and rounds the activations on the fly (CPU only). Look at the size of
# the weights as a file, the time, and how many captions of the unseen style stay as in FP32.

# %%
lesson.step("FP32, half precision and INT8 side by side: median and quartiles of five rounds")
base = sum(weights.numel() * weights.element_size() for weights in model.parameters())  # bytes
model, models = None, {}  # None makes room
for name, dtype in (("FP32", torch.float32),
                    ("BF16", torch.bfloat16) if choice.device == "cpu" else ("FP16", torch.float16)):
    models[name] = BlipForConditionalGeneration.from_pretrained(choice.path, dtype=dtype).to(choice.device).eval()
    speedups.fuse_attention(models[name])
if choice.device == "cpu":
    if torch.backends.quantized.engine == "none":  # as on a Mac, where there is one but none is set
        torch.backends.quantized.engine = torch.backends.quantized.supported_engines[0]
    with warnings.catch_warnings():  # deprecated in favour of torchao, but it needs no package beside torch
        warnings.simplefilter("ignore")
        models["INT8"] = torch.ao.quantization.quantize_dynamic(models["FP32"], {torch.nn.Linear}, dtype=torch.qint8)
texts = {name: caption(models[name], [picture.image for picture in unseen]) for name in models}
seconds = in_turns({(name, size): lambda name=name, size=size: caption(models[name], some[:size])
                    for name in models for size in (1, best)})
precisions, configurations = [], []
for name in models:
    with tempfile.TemporaryFile() as file:
        torch.save(models[name].state_dict(), file)
        size_of_file = file.tell()
    one, many = seconds[name, 1], seconds[name, best] / best  # seconds a picture, (rounds,)
    row = {"precision": name, "weights_bytes": size_of_file, "seconds_per_caption": float(np.median(one)),
           "pictures_per_second": 1 / float(np.median(many)),
           "same_as_fp32": metrics.share(a == b for a, b in zip(texts[name], texts["FP32"]))}
    precisions.append(row)
    print(f"   {name}: {quartiles(1000 * one)} ms for one picture, {quartiles(1 / many)} pictures a second in batches; "
          f"{readable_size(size_of_file)}; captions as in FP32: {row['same_as_fp32']!s}")
    configurations += [(f"{name}, batches of {size}", 1 / float(np.median(times)), memory[size] - base + size_of_file)
                       for size, times in ((1, one), (best, many))]
lesson.record("precisions", precisions)
panels = {label: {row["precision"]: row[key] * factor for row in precisions} for label, key, factor in (
    ("ms for one picture", "seconds_per_caption", 1000), (f"pictures/s, batches of {best}", "pictures_per_second", 1),
    ("MB of weights", "weights_bytes", 1e-6), ("% of captions as in FP32", "same_as_fp32", 100))}
title = (f"{name} takes {size_of_file / precisions[0]['weights_bytes']:.0%} of the space of FP32, and "
         f"{row['same_as_fp32']:.0%} of the captions stay the same")  # of the last one
lesson.save(figures.panels(panels, title, dict.fromkeys(panels, "{:.1f}")), "precision")

# %% [markdown]
# ## Choosing by constraint
#
# Choose among what was measured here. Memory is that of the whole program (on a GPU, what the GPU holds). It is an
# estimate: the peak measured above, with the size of the weights exchanged.

# %%
lesson.step("Choosing by constraint")
for name, speed, size in configurations:
    print(f"   {name:22} {speed:6.1f} pictures a second in about {readable_size(size)}")
room = float("inf") if options.memory_gb is None else 1e9 * options.memory_gb
fitting = [row for row in configurations if row[1] >= (options.pictures_per_second or 0) and row[2] <= room]
print(f"   The fastest that fits: {max(fitting, key=lambda row: row[1])[0]}. The smallest that is fast enough: "
      f"{min(fitting, key=lambda row: row[2])[0]}." if fitting else "   None fits: allow more memory or a lower speed.")
lesson.record("configurations", configurations)
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - Caption in true batches: it is the cheapest speed. Judge captions on new pictures, beside a baseline.
# - Half precision halves the weights, INT8 makes linear layers four times smaller. Compare the captions, too.
#
# ## Exercises
#
# 1. Caption with `no_repeat_ngram_size=2` or `repetition_penalty=1.5`. Which captions get better, which worse?
# 2. Quantize only the decoder (`model.text_decoder`). Which share of the speed, and of the changed captions, remains?
#
# **Next:** `9.6_multimodal_summary.py` puts all measurements side by side and helps to choose.
