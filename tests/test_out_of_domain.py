"""The small models' world has an edge, and the lessons say when a picture lies beyond it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from multimodal import images, out_of_domain

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    from skimage import data
    from sklearn.datasets import load_sample_images

    arrays = [data.astronaut(), data.coffee(), data.cat(), data.rocket(), *load_sample_images().images]
    return [Image.fromarray(array).convert("RGB") for array in arrays]


def test_the_gallery_lies_inside():
    distances = out_of_domain.distances([sample.image for sample in images.gallery()])
    assert (distances > 1).float().mean() < 0.05


def test_photographs_lie_outside(photographs):
    assert (out_of_domain.distances(photographs) > 1).float().mean() > 0.8


def test_a_lesson_warns_of_a_photograph_and_names_the_command(tmp_path, photographs):
    photographs[1].save(tmp_path / "coffee.jpg")
    images.gallery()[0].image.save(tmp_path / "puppy.png")
    finished = subprocess.run(
        [sys.executable, ROOT / "9.1_clip_basics.py", "--models", "embedded", "--image", "coffee.jpg", "--image",
         "puppy.png"], cwd=tmp_path, capture_output=True, text=True, timeout=200,
        env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert finished.returncode == 0, finished.stderr
    warning, = (line for line in finished.stdout.splitlines() if line.startswith("Unlike"))
    assert "coffee.jpg" in warning and "puppy.png." not in warning
    assert warning.endswith("--image coffee.jpg --image puppy.png --models hub")
