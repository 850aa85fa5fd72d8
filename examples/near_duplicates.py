# %% [markdown]
# # Near-duplicates: cropped, brightened, shrunk, mirrored
#
# A copy of a photo that was cropped or mirrored has other pixels, but nearly the same embedding. How near is near
# enough must come from data: the threshold of the cosine is chosen on one half of the pictures (the best F1) and
# judged on the other. The baseline is the difference hash, 64 bits of brightness, which tools for finding duplicates
# use. The small CLIP finds 88% of the copies, the hash 54%. Two warnings. Captions taught the model the order of
# things, so a mirrored picture of several things is another picture to it (9% found). And an embedding knows what is
# shown, not who drew it: the same scene in another style passes for a copy (95%). Belongs to lesson 9.3. It needs
# nothing beyond `requirements.txt`.
#
# **Run it:** `python examples/near_duplicates.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics

import matplotlib.pyplot as plt
import numpy as np
from PIL import ImageEnhance, ImageOps

# Settings: change these.
PICTURES, SEED, STYLE, OTHER_STYLE = 160, 931, "noto", "twemoji"
COPIES = {
    "cropped": lambda picture: ImageOps.crop(picture, border=picture.width // 8),
    "brightened": lambda picture: ImageEnhance.Brightness(picture).enhance(1.5),
    "shrunk": lambda picture: picture.resize((picture.width // 3, picture.height // 3)),
    "mirrored": ImageOps.mirror,
}

options = example.start(__file__)
choice = catalog.choose("clip", options)
embedder = adapters.embedder(choice)
drawn = toyworld.draw(PICTURES, seed=SEED, styles=[STYLE])
originals = [picture.image for picture in drawn]
copies = {name: [change(picture) for picture in originals] for name, change in COPIES.items()}
# The same seed in another style: the same things at the same places, drawn by somebody else. No copies.
look_alikes = [picture.image for picture in toyworld.draw(PICTURES, seed=SEED, styles=[OTHER_STYLE])]


# %% [markdown]
# ## Two ways to compare
#
# Both turn a picture into a vector of length one, so that a dot product compares two of them.

# %%
def difference_hash(pictures: list) -> np.ndarray:
    """Whether each of 8 x 8 points is brighter than its left neighbour: 64 signs a picture, scaled to length one."""
    grey = np.stack([np.asarray(picture.convert("L").resize((9, 8)), int) for picture in pictures])
    return np.where(grey[:, :, 1:] > grey[:, :, :-1], 1, -1).reshape(len(pictures), 64) / 8


# %% [markdown]
# ## Choose the threshold on one half, judge on the other

# %%
half = PICTURES // 2
own = np.eye(half, dtype=bool)  # (copies, originals): which original a copy comes from
alone = np.array([len(picture.things) == 1 for picture in drawn[half:]])  # one kind of thing
taken, precision, thresholds = {}, {}, {}
for way, embed in (("embedding", embedder.pictures), ("difference hash", difference_hash)):
    vectors = embed(originals)
    similarity = np.stack([embed(changed) @ vectors.T for changed in copies.values()])  # (kinds, copies, originals)
    right = np.tile(own, (len(COPIES), 1, 1))
    thresholds[way] = metrics.best_threshold(similarity[:, :half, :half].ravel(), right.ravel())
    found = similarity[:, half:, half:] >= thresholds[way]
    precision[way] = metrics.share(right[found])  # of the pairs that were found
    taken[way] = {name: metrics.share(pairs[own]) for name, pairs in zip(COPIES, found)}
    mirrored = found[list(COPIES).index("mirrored")][own]  # (copies,)
    taken[way]["mirrored, one thing"] = metrics.share(mirrored[alone])
    taken[way]["mirrored, several"] = metrics.share(mirrored[~alone])
    taken[way]["all copies"] = metrics.share(found[:, own].ravel())
    cosines = (vectors * embed(look_alikes)).sum(axis=1)[half:]  # each beside the picture of the same scene
    taken[way]["look-alikes (no copies)"] = metrics.share(cosines >= thresholds[way])
    print(f"   {way}, from {thresholds[way]:.2f} on: {taken[way]['all copies']!s} of the copies found; "
          f"of the pairs found {precision[way]!s} are copies")

# %% [markdown]
# ## The figure

# %%
figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
for offset, (way, shares), colour in zip((-0.2, 0.2), taken.items(), figures.COLOURS):
    places, values = np.arange(len(shares)) + offset, list(shares.values())
    axes.bar(places, values, 0.38, color=colour, label=f"{way}: {precision[way]:.0%} of the pairs found are copies")
    axes.vlines(places, [share.low for share in values], [share.high for share in values], color="0.2")
axes.set_xticks(range(len(shares)), [figures.wrap(name, 12) for name in shares])
axes.set(ylabel="share taken for copies (95% interval)", ylim=(0, 1.3), yticks=np.linspace(0, 1, 6))
axes.legend(loc="upper left", frameon=False)
look_alike = "look-alikes (no copies)"
finding = (f"The embedding finds {taken['embedding']['all copies']:.0%} of the copies, the difference hash "
           f"{taken['difference hash']['all copies']:.0%}; but it also takes {taken['embedding'][look_alike]:.0%} "
           f"of the look-alikes for copies, the hash {taken['difference hash'][look_alike]:.0%}")
figures.give_title(figure, finding)
example.finish(finding + ".", figure,
               {"taken_for_copies": taken, "precision": precision, "thresholds": thresholds}, [choice])

# %% [markdown]
# ## What to change
#
# - Add copies in a white frame: `"framed": lambda picture: ImageOps.expand(picture, 28, "white")`. The small CLIP finds
#   4% of them, as it has seen no things of half the usual size.
# - Draw the look-alikes in the style "fluent-silhouette": 56% of these, too, are taken for copies.
