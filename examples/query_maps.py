# %% [markdown]
# # Where BLIP-2's queries look
#
# The attention of BLIP-2's 16 queries, laid over pictures whose things have known boxes. Two queries put 63% of their
# attention into the boxes, which cover 36% of the area: one looks at things on the left, one at things on the right.
# Most of the others look at the background, so that the average is 25%, below the share of the area. Nobody told a
# query what to look for. The mean over heads and layers spreads over 29 of 49 patches, a single head over 14: a mean
# hides how sharply a head looks. It needs the small BLIP-2. Belongs to lesson 9.4.
#
# **Run it:** `python examples/query_maps.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import adapters, catalog, example, figures
from multimodal.terminal import progress

import matplotlib.pyplot as plt
import numpy as np
import torch

# Settings: change these.
LEVEL, PICTURES, SEED = "usual", 200, 9404
SHOWN = 4  # pictures in the figure

options = example.start(__file__)
choice = catalog.choose("blip2", options, model=None)
if choice.family != "blip2":  # where BLIP-2 does not fit, another model answers, without queries
    choice = catalog.choose("blip2", options, model=None, models="embedded")
model, processor = adapters.load(choice)
model.qformer.set_attn_implementation("eager")  # the faster kernels do not return their attention weights
pictures = toyworld.draw(PICTURES, seed=SEED, level=LEVEL)

# %% [markdown]
# The Q-Former's cross-attention, of every layer that has one: one map over the patches for each layer, head and query.
# The class token comes first and is no patch. Each map is scaled to sum to one.

# %%
maps = []
for start in progress(range(0, PICTURES, 16)):
    batch = [picture.image for picture in pictures[start:start + 16]]
    pixels = processor.image_processor(batch, return_tensors="pt")["pixel_values"].to(choice.device, choice.dtype)
    with torch.inference_mode():
        features = model.vision_model(pixels).last_hidden_state  # (batch, patches and class token, width)
        attentions = model.qformer(query_embeds=model.query_tokens.expand(len(batch), -1, -1),
                                   encoder_hidden_states=features, output_attentions=True).cross_attentions
    maps.append(torch.stack([layer for layer in attentions if len(layer)]).float().cpu()[..., 1:])
single = torch.cat(maps, dim=1).numpy()  # (layers, pictures, heads, queries, patches)
single /= single.sum(-1, keepdims=True)
mean = single.mean(axis=(0, 2))  # over layers and heads: (pictures, queries, patches)
side = round(mean.shape[-1] ** 0.5)


def patches_looked_at(maps: np.ndarray) -> float:
    """Over how many patches a map spreads: the exponential of its entropy, averaged."""
    return float(np.exp(-(maps * np.log(maps.clip(1e-12))).sum(-1)).mean())


# %% [markdown]
# The share of each patch that lies in a box. With it, the attention that goes into the boxes is a weighted sum. Two
# baselines: the boxes' share of the area (what even attention gives) and the boxes of another picture (things stand in
# the middle more often than in a corner). The two best queries are chosen on one half and judged on the other.

# %%
covered = np.zeros((PICTURES, 112, 112), np.float32)
for cover, picture in zip(covered, pictures):
    for left, top, right, bottom in (box for thing in picture.things for box in thing.boxes):
        cover[top:bottom, left:right] = 1
rows = np.linspace(0, 112, side + 1).astype(int)[:-1]  # where each patch begins
covered = np.add.reduceat(np.add.reduceat(covered, rows, 1), rows, 2).reshape(PICTURES, -1) / (112 / side) ** 2
into_boxes = (mean * covered[:, None]).sum(-1)  # (pictures, queries)
into_others = (mean * np.roll(covered, 1, axis=0)[:, None]).sum(-1)
half = PICTURES // 2
order = into_boxes[:half].mean(0).argsort()[::-1]
best, last = order[:2], order[-1]
shares = {"even attention (area of the boxes)": covered[half:].mean(1), "all queries": into_boxes[half:].mean(1),
          "2 best queries": into_boxes[half:, best].mean(1),
          "2 best queries, boxes of another picture": into_others[half:, best].mean(1)}
measures = {}
for name, values in shares.items():
    error = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    measures[name] = {"value": float(values.mean()), "low": float(values.mean()) - error,
                      "high": float(values.mean()) + error, "count": len(values)}
    print(f"   {name:41} {values.mean():.1%} (plus or minus {100 * error:.1f}, n = {len(values)})")
spread = {"of": side**2, "mean over layers and heads": patches_looked_at(mean), "one head": patches_looked_at(single)}
print(f"   patches looked at: {spread}")

# %%
area, average, chosen, elsewhere = (measure["value"] for measure in measures.values())
finding = (f"The {len(best)} best of {mean.shape[1]} queries put {chosen:.0%} of their attention on the things, which "
           f"cover {area:.0%} of the picture; the average query puts {average:.0%} there")
figure, grid = plt.subplots(SHOWN, 5, figsize=(9, 1.9 * SHOWN + 0.8), layout="constrained")
for row, axes, picture in zip(range(half, half + SHOWN), grid, pictures[half:]):
    axes[0].imshow(figures.thumbnail(picture.image, 320))
    for left, top, right, bottom in (box for thing in picture.things for box in thing.boxes):
        axes[0].add_patch(plt.Rectangle((left * 320 / 112, top * 320 / 112), (right - left) * 320 / 112,
                                        (bottom - top) * 320 / 112, fill=False, edgecolor="white", linewidth=1.5))
    for place, query in zip(axes[1:], (*best, last, None)):
        heat = mean[row].mean(0) if query is None else mean[row, query]
        place.imshow(np.clip(figures.overlay(picture.image, heat.reshape(side, side)), 0, 1))
        name = "all queries" if query is None else f"query {query + 1}"
        place.set_title(f"{name}: {(heat * covered[row]).sum():.0%} in boxes", fontsize=8, fontweight="normal")
    for place in axes:
        place.set_axis_off()
figures.give_title(figure, finding)
example.finish(finding, figure, measures | {"patches looked at": spread}, [choice])

# %% [markdown]
# **What to change:** let `LEVEL` be "unseen", a style of no training picture: 64% for the best two, 25% on average. Or
# sort `single` instead of `mean`, to find the sharpest head.
