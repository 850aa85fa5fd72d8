"""Measure how far scenes lie from their mean in CLIP's features: `python -m training.world`, after `training.clip`.

A picture that lies farther than all but 2% of fresh scenes is outside the small models' world;
`multimodal.out_of_domain` warns of it. Mean, spread and threshold need no picture from outside; which layer to look at
was chosen with the photographs below in view.
"""

import argparse

import torch
from PIL import Image
from safetensors.torch import save_file

from multimodal import out_of_domain

from . import sprites
from .loop import CHECKPOINTS
from .scenes import draw_plain

FALSE_ALARMS = 0.02


def photographs() -> list[Image.Image]:
    """What is certainly outside: the photographs and microscope pictures that scikit-image and scikit-learn bring."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    names = ("astronaut", "brick", "camera", "cat", "cell", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
             "immunohistochemistry", "microaneurysms", "moon", "retina", "rocket")
    arrays = [getattr(data, name)() for name in names] + load_sample_images().images
    return [Image.fromarray(array).convert("RGB") for array in arrays]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=6000, help="scenes to measure the spread of (default 6000)")
    count = parser.parse_args().count
    folder = CHECKPOINTS / "clip"
    seen = out_of_domain.features(draw_plain(sprites.SEEN, count, 40)[0], folder).double()
    mean = seen.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(seen.T))
    # Directions in which scenes hardly differ would count for everything: their spread is raised to a floor.
    precision = vectors / values.clamp(min=1e-4 * values[-1]) @ vectors.T
    away = out_of_domain.features(draw_plain(sprites.SEEN, count // 2, 41)[0], folder).double() - mean
    threshold = ((away @ precision) * away).sum(1).sqrt().quantile(1 - FALSE_ALARMS)
    save_file({"mean": mean.float(), "precision": precision.float().contiguous(), "threshold": threshold.float()},
              folder / "world.safetensors")
    print(f"saved {folder / 'world.safetensors'}: threshold {threshold:.1f}")


if __name__ == "__main__":
    main()
