"""Batches of training pictures from the rendered pool, as tensors."""

import numpy as np
import torch

from .scenes import load_pool, pool_parts

# CLIP's own channel means and deviations: the embedded models expect what the real ones expect.
MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(1, 3, 1, 1)
DEVIATION = torch.tensor((0.26862954, 0.26130258, 0.27577711)).view(1, 3, 1, 1)


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """(batch, 112, 112, 3) uint8 to (batch, 3, 112, 112) float, as the processors do it."""
    return (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / DEVIATION


def mirror(pictures: np.ndarray, records: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn some scenes left to right, and what is known of them too: as good as twice as many scenes.

    Args:
        pictures: uint8 (batch, 112, 112, 3), a copy, changed in place. records: a copy, see `scenes.RECORD`.
        rows: (batch,), true where to turn.
    """
    pictures[rows] = pictures[rows, :, ::-1]
    records["patches"][rows] = records["patches"][rows, :, ::-1]
    place = np.arange(3)
    number = (records["groups"][..., 1] > 0).sum(1, keepdims=True)
    order = np.where(rows[:, None] & (place < number), number - 1 - place, place)  # empty places stay at the end
    records["groups"] = np.take_along_axis(records["groups"], order[..., None], axis=1)
    return pictures, records


def shares(records: np.ndarray) -> np.ndarray:
    """How likely each scene is to be drawn, (scenes,): with three kinds of things three times as likely as with one,
    since there is more to tell apart in it, and smaller."""
    kinds = (records["groups"][..., 1] > 0).sum(1)
    return kinds / kinds.sum()


class Pool:
    """All rendered training scenes of a kind; `batch` draws some, half of them mirrored, with changes of light."""

    def __init__(self, kind: str = "train"):
        self.parts = [load_pool(name) for name in pool_parts(kind)]
        self.shares = [shares(records) for _, records in self.parts]
        if not self.parts:
            raise SystemExit("There are no training pictures yet: run python -m training.scenes first.")
        print(f"{sum(len(records) for _, records in self.parts):,} training pictures ({kind})", flush=True)

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, np.ndarray]:
        """Returns pixel values (size, 3, 112, 112), normalised, and the records of their scenes."""
        part = rng.integers(len(self.parts))
        pictures, records = self.parts[part]
        chosen = np.sort(rng.choice(len(records), size, p=self.shares[part]))
        drawn, records = mirror(pictures[chosen], records[chosen], rng.random(size) < 0.5)
        pixels = torch.from_numpy(drawn).float().permute(0, 3, 1, 2)
        # Contrast and brightness change a little; folded into the normalisation, they cost nothing.
        contrast = torch.from_numpy(rng.uniform(0.8, 1.2, (size, 1, 1, 1)).astype(np.float32))
        brightness = torch.from_numpy(rng.normal(0, 0.15, (size, 1, 1, 1)).astype(np.float32))
        return pixels.mul_(contrast / (255 * DEVIATION)).add_(brightness - contrast * MEAN / DEVIATION), records
