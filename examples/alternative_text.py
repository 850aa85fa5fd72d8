# %% [markdown]
# # Alternative texts: a picture in words, for a screen reader
#
# BLIP's captions as the `alt` texts of a web page. Two errors matter: a text that leaves a thing out, and a text that
# invents one, which is worse, because its reader cannot see that it is wrong. Both are counted on pictures whose things
# are known, in styles that the small model was trained on and in one that it has never seen. It needs the small BLIP
# and the small CLIP. Belongs to lesson 9.6.
#
# **Run it:** `python examples/alternative_text.py`

# %%
import sys
from collections import Counter
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics
from multimodal.words import article, names_noun

import matplotlib.pyplot as plt

# Settings: change these.
LEVELS, PICTURES, SEED = {"known styles": "usual", "unseen style": "unseen"}, 120, 964

options = example.start(__file__)
blip_choice, clip_choice = catalog.choose("blip", options), catalog.choose("clip", options)
caption, embedder = adapters.captioner(blip_choice), adapters.embedder(clip_choice)
nouns = [noun.english for noun in toyworld.NOUNS]


# %%
def names_all(text: str, picture: toyworld.Picture) -> bool:
    return all(names_noun(text, thing.noun) for thing in picture.things)


def invents(text: str, picture: toyworld.Picture) -> bool:
    """Whether a text names a thing that is not there. A "tree" is no invention where there is a "palm tree"."""
    absent = [noun for noun in nouns if not any(names_noun(thing.noun, noun) for thing in picture.things)]
    return any(names_noun(text, noun) for noun in absent)


# %% [markdown]
# Two ways without a captioner stand beside it. CLIP chooses from a fixed list, one sentence for each of 175 nouns: it
# can name one thing only. The commonest caption of other pictures is the same for all: it shows what can be said
# without looking.

# %%
sentences = [f"a picture of {article(noun)}" for noun in nouns]
others = Counter(picture.caption for picture in toyworld.draw(1000, seed=SEED + 1))
measures, shown = {}, []
for name, level in LEVELS.items():
    pictures = toyworld.draw(PICTURES, seed=SEED, level=level)
    seen = [picture.image for picture in pictures]
    nearest = (embedder.pictures(seen) @ embedder.texts(sentences).T).argmax(axis=1)  # (pictures,)
    ways = {"BLIP": caption(seen), "CLIP": [sentences[best] for best in nearest],
            "commonest caption": [others.most_common(1)[0][0]] * len(seen)}
    shown += zip(pictures[:4], ways["BLIP"])
    for way, texts in ways.items():
        measures[f"{way}, {name}"] = {"names all": metrics.share(map(names_all, texts, pictures)),
                                      "invents": metrics.share(map(invents, texts, pictures))}
        print(f"   {name}, {way}: " + ", ".join(f"{what} {value!s}" for what, value in
                                                measures[f"{way}, {name}"].items()))

# %% [markdown]
# This goes into the page. `escape` keeps a quotation mark in a text from ending the attribute. A picture that is only
# decoration gets `alt=""`, so that a screen reader passes over it.

# %%
for number, (picture, text) in enumerate(shown, start=1):
    print(f'   <img src="{number}.png" alt="{escape(text)}">   <!-- truth: {picture.caption} -->')

# %%
figure = plt.figure(figsize=(9, 8.4), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(1.6, 1))
for axes, (picture, text) in zip(above.subplots(2, 4).flat, shown):
    right = names_all(text, picture) and not invents(text, picture)
    axes.imshow(picture.image)
    axes.set_title(figures.wrap(text, 30), fontsize=9, color="black" if right else figures.COLOURS[3])
    axes.set_axis_off()
axes = below.subplots()
labels = list(measures)
for shift, what, colour in ((-0.2, "names all", figures.COLOURS[0]), (0.2, "invents", figures.COLOURS[3])):
    values = [measures[label][what] for label in labels]
    places = [row + shift for row in range(len(labels))]
    errors = [[value - value.low for value in values], [value.high - value for value in values]]
    axes.barh(places, values, 0.38, xerr=errors, color=colour, label=what)
axes.set_yticks(range(len(labels)), labels)
axes.invert_yaxis()
axes.set(xlabel=f"share of {PICTURES} pictures, with 95% intervals", xlim=(0, 1.02))
axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))

known, unseen = (measures[f"BLIP, {name}"] for name in LEVELS)
finding = (f"In known styles {known['names all']:.0%} of BLIP's texts name all things and {known['invents']:.0%} "
           f"invent one; in an unseen style {unseen['names all']:.0%} and {unseen['invents']:.0%}")
figures.give_title(figure, finding)
example.finish(finding, figure, measures, [blip_choice, clip_choice])

# %% [markdown]
# **What to change:** compare sharp pictures with blurred ones, `LEVELS = {"sharp": "usual", "blurred": "blurred"}`. Of
# the texts about blurred pictures 73% name all things and 24% invent one, in sentences that sound as sure as before.
