"""The real models give the scores that others have published for them: `python -m pytest -m hub`.

They need the real weights (`python -m multimodal.weights fetch clip sbert-clip`) and, in a folder that the environment
variable KNOWN_PICTURES names, the pictures that the scores are about:

- CLIP.png, from the repository openai/CLIP;
- two_dogs_in_snow.jpg, from the examples of sentence-transformers;
- puppy.png, cat.png and car.png, from chapter 9 of "Hands-On Large Language Models" (Alammar and Grootendorst 2024).
"""

import os
from pathlib import Path

import numpy as np
import pytest

from multimodal import weights
from multimodal.images import open_picture
from multimodal.models import MODELS

pytestmark = pytest.mark.hub


def real(key: str) -> str:
    """The folder of the real weights; without them the test is skipped."""
    return str(weights.find(MODELS[key]) or pytest.skip(
        f"the real weights of {MODELS[key].hub_id} are not on this machine: python -m multimodal.weights fetch {key}"))


def pictures(*names: str) -> list:
    folder = Path(os.environ.get("KNOWN_PICTURES") or pytest.skip("KNOWN_PICTURES names no folder of pictures"))
    if absent := [name for name in names if not (folder / name).exists()]:
        pytest.skip(f"{', '.join(absent)} not in {folder}")
    return [open_picture(folder / name) for name in names]


def cosines(images: list, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer, util

    model = SentenceTransformer(real("sbert-clip"), device="cpu")
    return util.cos_sim(model.encode(images), model.encode([{"text": text} for text in texts])).numpy()


def test_clip_on_the_picture_of_its_own_paper():
    import torch
    from transformers import CLIPModel, CLIPProcessor

    folder, images = real("clip"), pictures("CLIP.png")
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = CLIPProcessor.from_pretrained(folder)(images=images, text=["a diagram", "a dog", "a cat"], padding=True,
                                                   return_tensors="pt")
    with torch.inference_mode():
        shares = model(**inputs).logits_per_image.softmax(-1)[0].tolist()
    assert shares == pytest.approx([0.9928, 0.0042, 0.0030], abs=0.002)


def test_sbert_clip_on_two_dogs_in_the_snow():
    scores = cosines(pictures("two_dogs_in_snow.jpg"),
                     ["Two dogs in the snow", "A cat on a table", "A picture of London at night"])
    assert scores[0].tolist() == pytest.approx([0.3069, 0.1010, 0.1086], abs=0.01)


def test_sbert_clip_on_the_pictures_of_the_book():
    scores = cosines(pictures("puppy.png", "cat.png", "car.png"), [
        "a puppy playing in the snow", "a pixelated image of a cute cat",
        "A supercar on the road \nwith the sunset in the background"])
    assert scores == pytest.approx(np.array([[0.3315, 0.1863, 0.1084], [0.1488, 0.3463, 0.0947],
                                             [0.0762, 0.1260, 0.3098]]), abs=0.01)
