# %% [markdown]
# # Conversation: is it remembered, seen, or only read off?
#
# "How many are there?" cannot be answered alone if a picture shows two kinds of things in different numbers. BLIP-2's
# only memory is its prompt, so put an earlier question and answer in front. Then over 90% are right instead of 40%. But
# beware: if the earlier answer holds the number ("two dogs"), even a grey picture scores 100%, because the number can
# be copied from the text. A false number is rarely believed: the model looks and counts again. It needs the small
# BLIP-2. Belongs to lesson 9.4.
#
# **Run it:** `python examples/conversation_memory.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics
from toyworld.language import MEASURED, article, plural

import matplotlib.pyplot as plt
from PIL import Image

# Settings: change these.
LEVEL, PICTURES, SEED = "usual", 260, 94
FOLLOW_UP = "How many are there?"
NUMBERS = {1: "one", 2: "two", 3: "three"}

options = example.start(__file__)
choice = catalog.choose("blip2", options, model=None)
answer = adapters.answerer(choice)  # puts "Question: " before a question and " Answer:" behind it

# %% [markdown]
# Of pictures with two kinds of things, take those that show one number on the left and another on the right, and ask
# about each side. Asked alone, the follow-up has one answer for both sides, so at most half of the answers are right.

# %%
pictures = [picture for picture in toyworld.draw(PICTURES, seed=SEED, level=LEVEL, things=2)
            if picture.things[0].count != picture.things[1].count
            and not any(thing.noun in MEASURED for thing in picture.things)]  # a pair of glasses: one or two?
talks = [(picture, side, thing) for picture in pictures for side, thing in zip(("left", "right"), picture.things)]
expected = [NUMBERS[thing.count] for _, _, thing in talks]


def named(noun: str, count: int) -> str:
    return article(noun) if count == 1 else f"{NUMBERS[count]} {plural(noun)}"


# %% [markdown]
# What was said before. A prompt is one text: "Question: Is there a dog? Answer: yes. Question: How many are there?
# Answer:". `answer` adds the first "Question:" and the last "Answer:".

# %%
histories = {
    "nothing": ["" for _ in talks],
    "Is there a dog? yes": [f"Is there {article(thing.noun)}? Answer: yes. Question: " for _, _, thing in talks],
    "What is on the left? two dogs": [
        f"What is on the {side}? Answer: {named(thing.noun, thing.count)}. Question: " for _, side, thing in talks],
    "What is on the left? three dogs (false)": [
        f"What is on the {side}? Answer: {named(thing.noun, thing.count % 3 + 1)}. Question: "
        for _, side, thing in talks]}
images = {"the picture": [picture.image for picture, _, _ in talks],
          "a grey picture": [Image.new("RGB", (112, 112), (128, 128, 128))] * len(talks)}
said = {name: {before: answer(shown, [text + FOLLOW_UP for text in history]) for before, history in histories.items()}
        for name, shown in images.items()}
right = {name: {before: metrics.share(map(metrics.is_right, texts, expected)) for before, texts in by_history.items()}
         for name, by_history in said.items()}
false_numbers = [NUMBERS[thing.count % 3 + 1] for _, _, thing in talks]
believed = metrics.share(map(metrics.is_right, said["the picture"]["What is on the left? three dogs (false)"],
                             false_numbers))

# %%
alone, named_before, copied, false = right["the picture"].values()
finding = (f'"{FOLLOW_UP}" is right in {alone:.0%} of {len(talks)} cases when asked alone, in {named_before:.0%} after '
           f'"Is there a dog? yes". A number in the memory can be copied: then a grey picture scores '
           f"{right['a grey picture']['What is on the left? two dogs']:.0%}")
figure, axes = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
for row, (name, colour) in enumerate(zip(right, (figures.COLOURS[0], "0.65"))):
    shares = list(right[name].values())
    places = [place + 0.4 * row for place in range(len(shares))]
    axes.barh(places, shares, 0.38, color=colour, label=name, capsize=2, ecolor="0.35",
              xerr=[[abs(share - share.low) for share in shares], [abs(share.high - share) for share in shares]])
    for place, share in zip(places, shares):
        axes.text(share.high + 0.01, place, f"{share:.0%}", va="center", fontsize=9)
axes.set_yticks([place + 0.2 for place in range(len(histories))], histories)
axes.invert_yaxis()
axes.set(xlabel=f'right answers to "{FOLLOW_UP}", with 95% intervals', ylabel="said before", xlim=(0, 1.12))
figure.legend(loc="outside lower right", ncols=2, frameon=False)
figures.give_title(figure, finding)
example.finish(finding, figure, {
    "alone": alone, "thing named before": named_before, "thing named before, grey picture":
    right["a grey picture"]["Is there a dog? yes"], "number said before": copied, "number said before, grey picture":
    right["a grey picture"]["What is on the left? two dogs"], "false number said before": false,
    "false number believed": believed}, [choice])

# %% [markdown]
# **What to change:** let `LEVEL` be "noisy": only about 80% are right after a turn that names the thing, and 24% alone.
