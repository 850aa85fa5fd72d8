# %% [markdown]
# # Moderation: which pictures should a person look at?
#
# A rule such as "no vehicles" is a text, so CLIP can sort pictures by it without training. Three ways to write the rule
# are compared: one word, the nouns that are banned, and those beside the nouns that are allowed. The last sorts them
# best. The threshold is chosen on one half of the pictures and judged on the other. It needs the small CLIP.
# Belongs to lesson 9.6.
#
# **Run it:** `python examples/moderation.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics
from multimodal.words import article

import matplotlib.pyplot as plt
import numpy as np

# Settings: change these.
BANNED = "vehicle"  # a category of toyworld.NOUNS: animal, food, vehicle, clothing, household ...
LEVEL, PICTURES, SEED = "usual", 600, 963
WANTED_RECALL = 0.95

options = example.start(__file__)
choice = catalog.choose("clip", options)
embedder = adapters.embedder(choice)
pictures = toyworld.draw(PICTURES, seed=SEED, level=LEVEL)
banned = [noun.english for noun in toyworld.NOUNS if noun.category == BANNED]
allowed = [noun.english for noun in toyworld.NOUNS if noun.category != BANNED]
breaks_rule = np.array([any(thing.noun in banned for thing in picture.things) for picture in pictures])  # (pictures,)

# %% [markdown]
# The score of one text is its cosine, that of a list its highest cosine. With both lists, a softmax divides 100% among
# all texts, and the score is the part of the banned ones. None of the texts is a picture's own caption: a true caption
# among the allowed texts would give the answer away, and in real moderation nobody has it.


# %%
def cosines(texts: list[str]) -> np.ndarray:
    """(pictures, texts)"""
    return embeddings @ embedder.texts([f"a photo of {article(text)}" for text in texts]).T


embeddings = embedder.pictures([picture.image for picture in pictures])  # (pictures, dimensions)
parts = np.exp(embedder.scale * cosines(banned + allowed))  # (pictures, nouns)
parts /= parts.sum(axis=1, keepdims=True)
scores = {"one word": cosines([BANNED])[:, 0], "banned nouns": cosines(banned).max(axis=1),
          "banned and allowed nouns": parts[:, :len(banned)].sum(axis=1)}  # (pictures,) each

# %% [markdown]
# **Precision** is the share of flagged pictures that break the rule, **recall** the share of rule breakers that are
# flagged. Each score could be the threshold: together they draw the curve. Its summary, the average precision, needs
# no threshold. The baseline flags everything: its precision is the share of pictures that break the rule.

# %%
choosing, judging = slice(0, PICTURES // 2), slice(PICTURES // 2, None)
truth = breaks_rule[judging]
measures = {"flag all": {"precision": metrics.share(truth)}}
figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
for (name, score), colour in zip(scores.items(), figures.COLOURS):
    hits = np.cumsum(truth[np.argsort(-score[judging])])  # rule breakers among the first 1, 2, 3, ... flagged
    axes.plot(hits / hits[-1], hits / np.arange(1, len(hits) + 1), color=colour, label=name)
    threshold = np.quantile(score[choosing][breaks_rule[choosing]], 1 - WANTED_RECALL)
    flagged = score[judging] >= threshold
    measures[name] = {"average precision": metrics.mean_average_precision(score[None, judging], truth[None]),
                      "recall": metrics.share(flagged[truth]), "precision": metrics.share(truth[flagged]),
                      "flagged": metrics.share(flagged)}
    axes.plot(measures[name]["recall"], measures[name]["precision"], "o", color=colour, markersize=9)
    print(f"   {name}: " + ", ".join(f"{what} {value!s}" for what, value in measures[name].items()))
baseline = measures["flag all"]["precision"]
axes.axhline(baseline, linestyle="--", color="0.4", label="flag all")
axes.set(xlabel="recall: of what breaks the rule, the share flagged",
         ylabel="precision: of what is flagged, the share that breaks it", xlim=(0, 1.02), ylim=(0, 1.04))
axes.legend(title=f"rule: no {BANNED}; dots: the thresholds", title_fontsize=9, frameon=False, loc="lower left",
            bbox_to_anchor=(0, baseline + 0.05))

# %%
one_word, _, both = (measures[name] for name in scores)
finding = (f"Naming the banned and the allowed nouns finds {both['recall']:.0%} of {BANNED} pictures at a precision of "
           f"{both['precision']:.0%}; one word finds {one_word['recall']:.0%} at {one_word['precision']:.0%}; "
           f"flagging all has a precision of {baseline:.0%}")
figures.give_title(figure, finding)
example.finish(finding, figure, measures, [choice])

# %% [markdown]
# **What to change:** let `LEVEL` be "three", pictures of three kinds of things. Why does it not help any more to name
# what is allowed? (The three share the softmax's 100%. Flagging all has a third there.)
