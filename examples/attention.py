# %% [markdown]
# # Attention does not know the order of its tokens
#
# Attention, written out, gives the library's own numbers. If its tokens are shuffled, its results are the same,
# shuffled. So a vector for each position is added to the tokens before the first layer: computed from sines in Vaswani
# et al. (2017), learned in CLIP. Without its patch positions, the small CLIP names a thing in 14% of the pictures
# instead of 91%, and cannot tell left from right. It can do without the positions of words: a mask hides from each word
# those that come after it, and that tells the order, too. Belongs to lesson 9.1.
#
# **Run it:** `python examples/attention.py`

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any folder

import toyworld
from multimodal import catalog, example, figures, metrics
from multimodal.words import article

import matplotlib.pyplot as plt
import seaborn as sns
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPProcessor

# Settings: change these.
LEVEL, PICTURES, SEED = "usual", 200, 911

options = example.start(__file__)
choice = catalog.choose("clip", options)
model = CLIPModel.from_pretrained(choice.path, dtype=choice.dtype).to(choice.device).eval().requires_grad_(False)
processor = CLIPProcessor.from_pretrained(choice.path)
pictures = toyworld.draw(PICTURES, SEED, LEVEL, things=2, copies=1)
pictures = [picture for picture in pictures if "order" in picture.caption_pairs]  # no two things that look alike
pixel_values = processor(images=[picture.image for picture in pictures], return_tensors="pt")["pixel_values"]
pixel_values = pixel_values.to(choice.device, choice.dtype)  # (pictures, 3, height, width)

# %% [markdown]
# Every head gives each token a query, a key and a value, each of width d. The result of a token is the mean of all
# values, weighted by how well its query agrees with their keys: softmax(Q K^T / sqrt(d)) V (section 3.2 of the paper).


# %%
def attention(module: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Multi-head self-attention with the linear maps of a layer of the library: (batch, tokens, width) to the same."""
    batch, number, width = tokens.shape
    query, key, value = (project(tokens).view(batch, number, module.num_heads, -1).transpose(1, 2)
                         for project in (module.q_proj, module.k_proj, module.v_proj))  # (batch, heads, tokens, d)
    weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)  # (batch, heads, tokens, tokens)
    return module.out_proj((weights @ value).transpose(1, 2).reshape(batch, number, width))


layer = model.vision_model.encoder.layers[-1]
hidden = model.vision_model(pixel_values=pixel_values[:4], output_hidden_states=True).hidden_states
tokens = layer.layer_norm1(hidden[-2])  # (4, tokens, width): what the last layer's attention is given
order = torch.randperm(tokens.shape[1], device=choice.device)
theirs = layer.self_attn(tokens, attention_mask=None)[0]
shuffled = attention(layer.self_attn, tokens[:, order])[:, order.argsort()]  # and put back in order
difference, order_blind = (((some - theirs).abs().max() / theirs.abs().max()).item()
                           for some in (attention(layer.self_attn, tokens), shuffled))

# %% [markdown]
# Section 3.5: position p has sin(p / 10000^(2i / width)) in its even dimensions and the cosine of the same in its odd
# ones. It numbers all patches in one row. The learned vectors show stripes: training found out that the row has 7.

# %%
patches = model.vision_model.embeddings.position_embedding.weight[1:]  # (patches, width); row 0 is the class token's
words = model.text_model.embeddings.position_embedding.weight
count, width = patches.shape
angles = torch.arange(count)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)  # (patches, width / 2)
sinusoidal = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (patches, width)
learned = (patches - patches.mean(0)).float().cpu()
similarities = {name: F.normalize(vectors, dim=-1) @ F.normalize(vectors, dim=-1).T  # (patches, patches)
                for name, vectors in (("sinusoidal", sinusoidal), ("learned", learned))}

# %%
nouns = [noun.english for noun in toyworld.NOUNS]
true, false = zip(*(picture.caption_pairs["order"] for picture in pictures))
texts = processor(text=[*(f"a picture of {article(noun)}" for noun in nouns), *true, *false], return_tensors="pt",
                  padding=True, truncation=True).to(choice.device)
named, told = {}, {}
for name, positions in (("as trained", None), ("no patch positions", patches), ("no word positions", words)):
    if positions is not None:
        trained = positions.clone()
        positions[:] = positions.mean(0)  # the same for all
    embeddings = F.normalize(torch.cat([model.get_image_features(pixel_values=some).pooler_output.float()
                                        for some in pixel_values.split(50)]), dim=-1)  # (pictures, dimensions)
    of_nouns, of_true, of_false = F.normalize(model.get_text_features(**texts).pooler_output.float(), dim=-1).split(
        (len(nouns), len(true), len(false)))
    best = (embeddings @ of_nouns.T).argmax(dim=-1).tolist()
    named[name] = metrics.share(nouns[i] in [thing.noun for thing in shown.things] for i, shown in zip(best, pictures))
    told[name] = metrics.share(((embeddings * (of_true - of_false)).sum(dim=-1) > 0).tolist())
    if positions is not None:
        positions[:] = trained

# %%
finding = (f"Without patch positions CLIP names a thing in {named['no patch positions']:.0%} of the pictures, not in "
           f"{named['as trained']:.0%}, and left and right become a guess ({told['no patch positions']:.0%})")
figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained", width_ratios=(1, 1, 1.1))
for panel, (name, similarity) in zip(axes, similarities.items()):
    sns.heatmap(similarity, ax=panel, vmin=-1, vmax=1, cmap="RdBu_r", square=True, xticklabels=7, yticklabels=7,
                cbar_kws={"shrink": 0.6, "label": "cosine"})
    panel.set(title=f"{name} positions", xlabel="patch", ylabel="patch")
for offset, what, shares in ((-0.2, "a thing named", named), (0.2, "left and right told apart", told)):
    spread = [[share - share.low for share in shares.values()], [share.high - share for share in shares.values()]]
    drawn = axes[2].barh([row + offset for row in range(3)], list(shares.values()), 0.38, xerr=spread, label=what)
    axes[2].bar_label(drawn, [f"{share:.0%}" for share in shares.values()], padding=4)
axes[2].axvline(0.5, linestyle="--", color="0.3", label="left or right, by chance")
axes[2].set_yticks(range(3), list(named))
axes[2].set(xlabel=f"share of {len(pictures)} pictures", xlim=(0, 1.2), ylim=(2.5, -0.5))
axes[2].legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
figures.give_title(figure, finding)
example.finish(f"{finding}.", figure, {"difference": difference, "order_blind": order_blind, "named": named,
                                       "left_right": told, "named_by_chance": 2 / len(nouns)}, [choice])

# %% [markdown]
# **What to change:** give the patches wrong positions instead of none, `positions[torch.randperm(len(positions))]`.
# That is a little worse: in three tries CLIP named a thing in 10 to 12% of the pictures.
