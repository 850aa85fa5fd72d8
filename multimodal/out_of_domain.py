"""Whether a picture looks like the world of the small embedded models: drawings of 175 things in painted places.

Those models name something of their world in any picture, so a photograph gets a confident and worthless answer. The
test here is that of Lee et al. 2018 ("A Simple Unified Framework for Detecting Out-of-Distribution Samples"): the
Mahalanobis distance of a picture's features from those of many scenes. `training.world` measures mean, spread and
threshold.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .models import CHECKPOINTS

if TYPE_CHECKING:
    import torch
    from PIL import Image

FOLDER = CHECKPOINTS / "clip"
LAYER = 3  # of the embedded CLIP's six; the last ones look away from what tells a drawing from a photograph


@cache
def _load(folder: Path):
    from transformers import CLIPImageProcessorPil, CLIPModel

    return (CLIPModel.from_pretrained(folder, dtype="float32").vision_model.eval(),
            CLIPImageProcessorPil.from_pretrained(folder))


def features(pictures: "list[Image.Image]", folder: Path = FOLDER) -> "torch.Tensor":
    """What the test looks at: the mean and the deviation of a layer's features over the 49 patches, (pictures, 512)."""
    import torch

    model, processor = _load(folder)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 32):
            inputs = processor(images=pictures[start:start + 32], return_tensors="pt")
            patches = model(**inputs, output_hidden_states=True).hidden_states[LAYER][:, 1:]
            rows.append(torch.cat([patches.mean(1), patches.std(1)], dim=1))
    return torch.cat(rows)


def distances(pictures: "list[Image.Image]", folder: Path = FOLDER) -> "torch.Tensor":
    """How unlike each RGB picture is to the scenes of the small models, (pictures,); above 1 it is outside."""
    from safetensors.torch import load_file

    world = load_file(folder / "world.safetensors")
    away = features(pictures, folder) - world["mean"]
    return ((away @ world["precision"]) * away).sum(1).sqrt() / world["threshold"]
