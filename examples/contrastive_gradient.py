# %% [markdown]
# # What the contrastive loss pulls and pushes
#
# CLIP's loss moves each picture embedding towards its own text and away from all others. This example derives by hand
# how hard, checks the result against autograd, and looks at whom the push goes to: in a batch of 255 pairs, the text
# that a picture is pushed away from hardest shares a thing or the place with it in 93% of cases; of all texts, 11% do.
# So a batch teaches by its hard negatives. Belongs to lesson 9.1.
#
# **Run it:** `python examples/contrastive_gradient.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures, metrics

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
import torch.nn.functional as F

# Settings: change these. SCALE is what training begins with; at the end it is near 37 (small CLIP) or 100 (OpenAI's).
LEVEL, PAIRS, SEED, SCALE = "usual", 256, 913, 1 / 0.07

options = example.start(__file__)
choice = catalog.choose("clip", options)
embedder = adapters.embedder(choice)
pictures = {picture.caption: picture for picture in toyworld.draw(PAIRS, SEED, LEVEL)}  # each caption once
captions, pictures = list(pictures), list(pictures.values())
image_embeddings = torch.tensor(embedder.pictures([picture.image for picture in pictures]))  # (batch, dimensions)
text_embeddings = torch.tensor(embedder.texts(captions))
batch = len(captions)

# %% [markdown]
# ## The gradient by hand
#
# The logits are L = scale I T^T, with pictures I and texts T. The gradient of a cross-entropy with respect to its
# logits is (softmax - label). The loss is the mean over both directions and over the batch, so
#
# minus the gradient of I = scale / batch * pull T, with pull = identity - (P_rows + P_columns) / 2.
#
# P is the softmax of L along its rows or columns. On the diagonal stands what is missing to certainty: the pull to the
# own text. Elsewhere stands the probability that picture and text wrongly give each other, negative: the push.

# %%
logits = SCALE * image_embeddings @ text_embeddings.T  # (pictures, texts)
pull = torch.eye(batch) - (logits.softmax(dim=1) + logits.softmax(dim=0)) / 2

variable = image_embeddings.clone().requires_grad_()
logits = SCALE * variable @ text_embeddings.T
labels = torch.arange(batch)
loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
gradient, = torch.autograd.grad(loss, variable)
by_hand = -SCALE / batch * pull @ text_embeddings
difference = ((gradient - by_hand).abs().max() / gradient.abs().max()).item()

# %% [markdown]
# ## Who is pushed away
#
# A caption is related to a picture if it names one of the picture's things, or its place. Two questions: is the hardest
# negative of a picture related to it? And which share of all push goes to related captions?

# %%
push = (-pull).fill_diagonal_(0)  # (pictures, texts)
nouns = [{thing.noun for thing in picture.things} for picture in pictures]
shares_thing = np.array([[bool(a & b) for b in nouns] for a in nouns])
shares_place = np.array([[a.place == b.place for b in pictures] for a in pictures])
others = ~np.eye(batch, dtype=bool)
hardest = push.argmax(dim=1).numpy()  # the hardest negative of each picture
rows = np.arange(batch)
kinds = {"a thing": shares_thing, "the place": shares_place, "a thing or the place": shares_thing | shares_place}
found = {kind: metrics.share(related[rows, hardest]) for kind, related in kinds.items()}
chance = {kind: float(related[others].mean()) for kind, related in kinds.items()}
weight = {kind: float(push.numpy()[related & others].sum() / push.sum()) for kind, related in kinds.items()}
first, second = divmod(int(push.argmax()), batch)
print(f"   pushed apart hardest: the picture of {captions[first]!r} and the text {captions[second]!r}")

related = "a thing or the place"
finding = (f"The text from which a picture is pushed hardest shares {related} with it in {found[related]:.0%} of "
           f"{batch} cases; of all texts {chance[related]:.0%} do")

# %%
shown = []  # the pairs that are pushed apart hardest, side by side
for picture in push.max(dim=1).values.argsort(descending=True).tolist():
    if len(shown) < 8 and picture not in shown and hardest[picture] not in shown:
        shown += [picture, int(hardest[picture])]
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6), layout="constrained", width_ratios=(1.5, 1))
numbers = pull[shown][:, shown].numpy().round(2) + 0.0  # no -0.00
sns.heatmap(numbers, ax=left, cmap="RdBu_r", center=0, annot=True, fmt=".2f", square=True,
            yticklabels=[figures.wrap(captions[i], 30) for i in shown], annot_kws={"fontsize": 8},
            xticklabels=[figures.wrap(captions[i], 30) for i in shown],
            cbar_kws={"label": "above 0 pull, below 0 push", "shrink": 0.7})
left.set_xticklabels(left.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
left.set(ylabel="picture of", xlabel="text")
for offset, label, shares in ((-0.27, "the hardest negative", found), (0, "share of all push", weight),
                              (0.27, "all texts (chance)", chance)):
    spread = [[share - getattr(share, "low", share) for share in shares.values()],
              [getattr(share, "high", share) - share for share in shares.values()]]
    drawn = right.bar([place + offset for place in range(3)], list(shares.values()), 0.25, yerr=spread, label=label)
    right.bar_label(drawn, [f"{share:.0%}" for share in shares.values()], padding=3)
right.set_xticks(range(3), [figures.wrap(f"shares {kind}", 16) for kind in kinds])
right.set(ylabel="share", ylim=(0, 1.15))
right.legend(frameon=False, loc="upper left")
figures.give_title(figure, finding)
example.finish(f"{finding}.", figure, {
    "difference": difference, "hardest_shares": found, "chance": chance, "share_of_push": weight,
    "hardest_pair": [captions[first], captions[second]]}, [choice])

# %% [markdown]
# **What to change:** `SCALE`. At 37, where training of the small CLIP ended, 98% of all push goes to related captions.
# A trained model has hardly anything left to learn from pairs that have nothing in common.
