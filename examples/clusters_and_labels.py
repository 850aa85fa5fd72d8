# %% [markdown]
# # Clusters and labels: groups that nobody named, and words for them
#
# `util.community_detection` of sentence-transformers groups pictures whose cosine to the picture in the centre is at
# least a threshold; two members of a group may have less with one another. The word of a vocabulary that is nearest
# to the mean of a group names it, and the word nearest to a picture is its label. The threshold decides what the
# groups have in common. With the small CLIP, at 0.32 they share a place (42%; two pictures at random 10%), at 0.62 a
# thing (81%; at random 2%). 76% of the labels are right, though nobody drew such things in its training. Belongs to
# lesson 9.3. It needs nothing beyond `requirements.txt`.
#
# **Run it:** `python examples/clusters_and_labels.py`, or on your own pictures with `--images FOLDER`

# %%
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, images, metrics

import matplotlib.pyplot as plt
import numpy as np
from sentence_transformers import util

# Settings: change these.
LEVEL, PICTURES, SEED = "unseen", 400, 934
CLOSEST = (0.05, 0.02, 0.01, 0.005, 0.002)  # the share of all pairs that count as close: each gives a threshold
SMALLEST = 3  # pictures in a cluster
NOUNS = [noun.english for noun in toyworld.NOUNS]
WORDS = [*NOUNS, "snow", "beach", "grass", "night", "sunset", "room", "road", "sea", "desert"]

options = example.start(__file__)
choice = catalog.choose("clip", options)
embedder = adapters.embedder(choice)
pictures, own = images.chosen(options)
if not own:
    pictures = toyworld.draw(PICTURES, seed=SEED, level=LEVEL)
embeddings = embedder.pictures([picture.image for picture in pictures])  # (pictures, dimensions)
cosines = embeddings @ embedder.texts(WORDS).T  # (pictures, words)
labels = [NOUNS[best] for best in cosines[:, :len(NOUNS)].argmax(axis=1)]

# %% [markdown]
# ## Clusters at five thresholds
#
# No truth is needed to choose a threshold: it is the cosine that the closest 5%, 2% ... of all pairs reach.

# %%
between = (embeddings @ embeddings.T)[np.triu_indices(len(pictures), k=1)]  # the cosines of all pairs
thresholds = [float(np.quantile(between, 1 - share)) if len(between) else 1.0 for share in CLOSEST]
clusters = [util.community_detection(embeddings, threshold=limit, min_community_size=SMALLEST) for limit in thresholds]
curves = {"is in a cluster": [metrics.share([i < sum(map(len, found)) for i in range(len(pictures))])
                              for found in clusters]}
measures = {"thresholds": thresholds, "clusters": [len(found) for found in clusters]}
names = [WORDS[cosines[cluster].mean(axis=0).argmax()] for cluster in clusters[-1]]  # of the closest clusters

# %% [markdown]
# ## What the pictures of a cluster have in common, where the truth is known
#
# Each picture is compared with the centre of its cluster, the first one. Chance: pictures that were paired at random.

# %%
if own:
    finding = f"{len(clusters[-1])} clusters at a threshold of {thresholds[-1]:.2f}, {len(clusters[0])} at " \
              f"{thresholds[0]:.2f}; above each picture its label"
else:
    things = [{thing.noun for thing in picture.things} for picture in pictures]
    places = [picture.place for picture in pictures]
    pairs = [[(cluster[0], member) for cluster in found for member in cluster[1:]] for found in clusters]
    pairs.append(np.random.default_rng(SEED).integers(PICTURES, size=(5000, 2)).tolist())  # chance
    *same_thing, by_chance = [metrics.share(things[i] & things[j] for i, j in some if i != j) for some in pairs]
    *same_place, place_by_chance = [metrics.share(places[i] == places[j] for i, j in some if i != j) for some in pairs]
    curves |= {"shows a thing of the centre": same_thing, "is in the place of the centre": same_place}
    right = metrics.share(label in there for label, there in zip(labels, things))
    commonest = Counter(noun for there in things for noun in there).most_common(1)[0][1] / PICTURES
    named = metrics.share(np.mean([name in things[i] or name == places[i] for i in cluster]) > 0.5
                          for name, cluster in zip(names, clusters[-1]))
    print(f"   labels right: {right!s}, always the commonest noun: {commonest:.1%}\n"
          f"   clusters whose name is true of most of their pictures: {named!s}")
    measures |= {"a_thing_in_common": same_thing, "the_place_in_common": same_place, "labels_right": right,
                 "thing_by_chance": by_chance, "place_by_chance": place_by_chance, "names_right": named,
                 "labels_right_always_the_commonest": commonest}
    finding = (f"At a threshold of {thresholds[0]:.2f}, {same_place[0]:.0%} of the pictures share the place of their "
               f"cluster's centre and {same_thing[0]:.0%} a thing; at {thresholds[-1]:.2f}, {same_place[-1]:.0%} and "
               f"{same_thing[-1]:.0%}")

# %% [markdown]
# ## The figure

# %%
figure = plt.figure(figsize=(11, 5.2), layout="constrained")
left, right_half = figure.subfigures(1, 2, width_ratios=(1, 1.3))
axes = left.subplots()
for (name, shares), marker, colour in zip(curves.items(), "osD", figures.COLOURS):
    axes.plot(thresholds, shares, marker=marker, color=colour, label=name)
    axes.vlines(thresholds, [share.low for share in shares], [share.high for share in shares], color=colour)
if not own:
    for chance, colour in ((by_chance, figures.COLOURS[1]), (place_by_chance, figures.COLOURS[2])):
        axes.axhline(chance, linestyle="--", color=colour)  # two pictures at random
axes.set(xlabel="threshold of the cosine to the centre (dashed: two at random)",
         ylabel="share of pictures (95% interval)", ylim=(0, 1.25), yticks=np.linspace(0, 1, 6))
axes.legend(frameon=False, loc="upper left")
rows = right_half.subplots(3, 5)
for row, cluster, name in zip(rows, clusters[-1] or [range(len(pictures))], names or ["all"]):
    row[0].set_ylabel(name, fontweight="bold")
    for axes, member in zip(row, cluster):
        axes.imshow(figures.thumbnail(pictures[member].image))
        axes.set_title(labels[member], fontsize=8)
for axes in rows.flat:
    axes.set(xticks=[], yticks=[], frame_on=False)
figures.give_title(figure, finding)
example.finish(finding + ".", figure, measures, [choice])

# %% [markdown]
# ## What to change
#
# - Set `LEVEL = "usual"`, the styles of the training: 96% of the labels are right instead of 76%.
# - Add "an animal", "a vehicle" and "food" to `WORDS`: two of 31 clusters take them as their names.
