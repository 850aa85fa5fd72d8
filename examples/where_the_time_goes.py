# %% [markdown]
# # Where the time goes: processor, vision tower, decoder
#
# A caption has three stages. The processor scales and normalises pixels, the vision tower reads the picture once, the
# decoder runs once for every token. One picture at a time, the small BLIP spends most of its time in the decoder; in a
# batch the decoder's share falls, because a step of the decoder costs little more for 16 captions than for one. Make
# the longest stage faster first. It needs the small BLIP (or the real one). Belongs to lesson 9.5.
#
# **Run it:** `python examples/where_the_time_goes.py`

# %%
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import catalog, example, figures, speedups

import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import BlipForConditionalGeneration, BlipProcessor

# Settings: change these.
BATCHES = (1, 4, 16)  # the first is the baseline
ROUNDS = 9
SEED = 9502

options = example.start(__file__)
choice = catalog.choose("blip", options)
model = BlipForConditionalGeneration.from_pretrained(choice.path, dtype=choice.dtype,
                                                     quantization_config=choice.quantization).to(choice.device).eval()
speedups.fuse_attention(model)
processor = BlipProcessor.from_pretrained(choice.path)
pictures = [picture.image for picture in toyworld.draw(max(BATCHES), seed=SEED)]

# %% [markdown]
# The decoder's time is that of `generate` less that of the vision tower, which `generate` runs once. The batches take
# turns in every round, so that a program that runs beside this one slows down all of them alike.


# %%
def seconds_of(call) -> float:
    began = time.perf_counter()
    call()
    if choice.device != "cpu":
        torch.accelerator.synchronize()  # a GPU works on after a call has returned
    return time.perf_counter() - began


stages = ("processor", "vision tower", "decoder")
times = {batch: [] for batch in BATCHES}  # milliseconds a picture: (rounds, stages)
with torch.inference_mode():
    for _ in range(ROUNDS + 1):
        for batch in BATCHES:
            some = pictures[:batch]
            pixels = processor(images=some, return_tensors="pt").to(choice.device, choice.dtype)["pixel_values"]
            processing = seconds_of(lambda some=some: processor(images=some, return_tensors="pt"))
            seeing = seconds_of(lambda pixels=pixels: model.vision_model(pixel_values=pixels))
            both = seconds_of(lambda pixels=pixels: model.generate(pixel_values=pixels, max_new_tokens=30,
                                                                   do_sample=False))
            times[batch].append([1000 * part / batch for part in (processing, seeing, max(0.0, both - seeing))])
times = {batch: np.array(rounds[1:]) for batch, rounds in times.items()}  # the first round is slower: not counted

# %%
shares = {batch: np.percentile(rounds[:, 2] / rounds.sum(1), (25, 50, 75)) for batch, rounds in times.items()}
gain = np.percentile(times[BATCHES[0]].sum(1) / times[BATCHES[-1]].sum(1), (25, 50, 75))  # round by round
measures = {"milliseconds a picture (quartiles)": {
    f"batches of {batch}": {stage: np.percentile(rounds[:, column], (25, 50, 75)).tolist()
                            for column, stage in enumerate(stages)} for batch, rounds in times.items()},
    "decoder's share (quartiles)": {f"batches of {batch}": share.tolist() for batch, share in shares.items()},
    "times as fast as one at a time (quartiles)": gain.tolist(), "rounds": ROUNDS}
for batch, rounds in times.items():
    print(f"   batches of {batch:2}: " + ", ".join(
        "{} {:.1f} ms ({:.1f} to {:.1f})".format(stage, *np.percentile(rounds[:, column], (50, 25, 75)))
        for column, stage in enumerate(stages)) + " a picture")
finding = (f"The decoder takes {shares[BATCHES[0]][1]:.0%} of the time of one picture, {shares[BATCHES[-1]][1]:.0%} "
           f"in batches of {BATCHES[-1]}, which are {gain[1]:.1f} times as fast "
           f"(quartiles {gain[0]:.1f} to {gain[2]:.1f})")
figure, axes = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
left = np.zeros(len(BATCHES))
for column, (stage, colour) in enumerate(zip(stages, figures.COLOURS)):
    medians = np.array([np.median(rounds[:, column]) for rounds in times.values()])
    axes.barh([f"batches of {batch}" if batch > 1 else "one at a time" for batch in BATCHES], medians, left=left,
              color=colour, label=stage)
    left += medians
axes.invert_yaxis()
axes.set(xlabel=f"milliseconds a picture (medians of {ROUNDS} rounds)")
axes.legend(frameon=False)
figures.give_title(figure, finding)
example.finish(finding, figure, measures, [choice])

# %% [markdown]
# **What to change:** let `generate` stop after `max_new_tokens=3`: the decoder has about half of the time then,
# and a fifth in batches of 16.
