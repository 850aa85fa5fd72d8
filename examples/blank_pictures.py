# %% [markdown]
# # Yes to what is not there, and why a blank picture is a bad baseline
#
# A model that says "yes" where "no" is right hallucinates. About new pictures BLIP-2 does so in 1% of the cases. To
# find out what it says without looking, people ask about a blank picture. This misleads: the share of "yes" is 10% for
# a grey and 86% for a white one. And to "What ...?" it answers "yes" or "no", so that nothing is right. The better
# baseline is another picture. It needs the small BLIP-2. Belongs to lesson 9.4.
#
# **Run it:** `python examples/blank_pictures.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics

import matplotlib.pyplot as plt
from PIL import Image

# Settings: change these.
LEVEL, PICTURES, SEED = "usual", 150, 941
BLANK = {"grey": (128, 128, 128), "white": (255, 255, 255), "black": (0, 0, 0)}

options = example.start(__file__)
choice = catalog.choose("blip2", options, model=None)
answer = adapters.answerer(choice)
pictures = toyworld.draw(PICTURES, seed=SEED, level=LEVEL)
# Every picture has a question that is to be answered with no: "Is there a robot in the picture?"
questions = [next(asked.text for asked in picture.questions if asked.answer == "no") for picture in pictures]
open_questions = [next(asked for asked in picture.questions if asked.kind == "what") for picture in pictures]

# %% [markdown]
# The questions about the pictures, about blank ones of three colours, and about another picture, which shows such a
# thing in very few cases.

# %%
seen = [picture.image for picture in pictures]
shown = {"the picture": seen, "another picture": seen[1:] + seen[:1]}
shown |= {name: [Image.new("RGB", (112, 112), colour)] * PICTURES for name, colour in BLANK.items()}
yes = {name: metrics.share(metrics.is_right(said, "yes") for said in answer(images, questions))
       for name, images in shown.items()}
said_openly = {name: answer(images, [asked.text for asked in open_questions]) for name, images in shown.items()}
yes_or_no = {name: metrics.share(metrics.is_right(said, ("yes", "no")) for said in texts)
             for name, texts in said_openly.items()}
right = {name: metrics.share(metrics.is_right(said, asked.answers) for said, asked in zip(texts, open_questions))
         for name, texts in said_openly.items()}

# %%
finding = (f'"Yes" where "no" is right: {yes["the picture"]:.0%} of {PICTURES} about the picture, '
           f'{yes["grey"]:.0%} about a grey, {yes["white"]:.0%} about a white, {yes["black"]:.0%} about a black one')
figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
for axes, shares, label in zip(panels, (yes, yes_or_no), (
        '"yes" where "no" is right', '"yes" or "no" to "What ...?"')):
    values = list(shares.values())
    axes.barh(list(shares), values, color=[figures.COLOURS[0]] * 2 + ["0.65"] * len(BLANK), capsize=2, ecolor="0.35",
              xerr=[[abs(share - share.low) for share in values], [abs(share.high - share) for share in values]])
    for place, share in enumerate(values):
        axes.text(share.high + 0.02, place, f"{share:.0%}", va="center", fontsize=9)
    axes.set(xlabel=f"{label} (n = {PICTURES})", xlim=(0, 1.18))
panels[0].invert_yaxis()
figures.give_title(figure, finding)
example.finish(finding, figure, {"yes where no is right": yes, "yes or no to an open question": yes_or_no,
                                 "open questions right": right}, [choice])

# %% [markdown]
# **What to change:** add `"blue": (60, 120, 220)` to `BLANK`: "yes" in 37%. Let `LEVEL` be "noisy": the model
# hallucinates in 7% of the pictures.
