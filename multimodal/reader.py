"""From picture files to pixel values and embeddings, so that reading files and running the model overlap."""

import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import UserError
from .images import open_lazily, open_picture, upright_rgb

if TYPE_CHECKING:
    import torch

MARGIN = 1.25  # how much larger than what the model needs a JPEG must still be where it is decoded smaller


def read_pixels(path: str | Path, image_processor) -> np.ndarray:
    """One picture file, scaled and cropped as the image processor of a CLIP or BLIP does it: uint8 (height, width, 3).

    A JPEG is decoded at a half, a quarter or an eighth of its size where that is still a quarter larger than what the
    model needs. (Decoded at 1.14 times, one of the gallery's pictures had a cosine of 0.9989 to its true embedding.)

    Raises:
        Exception: The file is no good; `images.open_picture` says in a sentence why.
    """
    size, crop = image_processor.size, image_processor.crop_size
    edge = size.shortest_edge or max(size.height, size.width)
    with open_lazily(path, int(MARGIN * edge)) as (image, whole):
        image.load()
        decoded = image.size
        reduction = round(max(whole) / max(decoded))
        upright = upright_rgb(image)
    if upright.size != decoded:
        whole = whole[::-1]
    if not size.shortest_edge:  # BLIP squeezes the whole picture into its square.
        width, height = size.width, size.height
        crop = size
    else:
        width, height = (int(edge * side / min(whole)) for side in whole)
    # Scaling only what the crop keeps gives the same pixels as cropping what was scaled. The decoder rounds sizes up,
    # so that half of 301 pixels are the first 150.5 of 151.
    across, down = whole[0] / reduction / width, whole[1] / reduction / height
    left, top = (width - crop.width) // 2, (height - crop.height) // 2
    box = (left * across, top * down, (left + crop.width) * across, (top + crop.height) * down)
    return np.asarray(upright.resize((crop.width, crop.height), image_processor.resample, box=box))


def read_ahead(paths: Iterable[str | Path], image_processor, batch_size: int = 32,
               dtype: "torch.dtype | None" = None) -> Iterator[tuple[list, "torch.Tensor"]]:
    """Batches of paths and their pixel values (pictures, 3, height, width), read in threads before they are asked for.

    The order is kept. A file that cannot be read is left out of its batch, with a line on stderr.

    Args:
        dtype: That of the model; FP32 if None.
    """
    import torch

    paths, threads, waiting = list(paths), torch.get_num_threads(), deque()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), batch_size):
            waiting.append(pool.submit(_read_batch, paths[start:start + batch_size], image_processor, dtype))
            if len(waiting) > threads:
                yield from _without_damaged(*waiting.popleft().result())
        while waiting:
            yield from _without_damaged(*waiting.popleft().result())


def embed_files(model, image_processor, paths: Iterable[str | Path],
                batch_size: int = 32) -> tuple[np.ndarray, list]:
    """Normalised embeddings (pictures, dimensions) of picture files, in FP32, and the paths that could be read.

    A file that cannot be read is left out, with a line on stderr.

    Args:
        model: A CLIPModel, or any with `get_image_features`, on any device and in any precision.
    """
    import torch

    paths, threads = list(paths), torch.get_num_threads()

    @torch.inference_mode()
    def embed(kept: list, pixel_values: torch.Tensor) -> tuple[list, np.ndarray]:
        features = model.get_image_features(pixel_values=pixel_values.to(model.device)).pooler_output.float()
        return kept, torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    def read_and_embed(batch: list) -> tuple[list, np.ndarray | None, dict]:
        kept, pixel_values, damaged = _read_batch(batch, image_processor, model.dtype)
        return kept, embed(kept, pixel_values)[1] if kept else None, damaged

    if model.device.type != "cpu":
        done = [embed(*batch) for batch in read_ahead(paths, image_processor, batch_size, model.dtype)]
    else:
        # Each core takes batches of its own all the way, so that none waits for another, as they do where they share
        # every matrix product; and the batches are alike, so that all are busy until the end.
        count = threads * math.ceil(len(paths) / (batch_size * threads))
        batches = [paths[len(paths) * i // count:len(paths) * (i + 1) // count] for i in range(count)]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            done = [batch for result in pool.map(read_and_embed, batches) for batch in _without_damaged(*result)]
        torch.set_num_threads(threads)  # The threads have set it for all that come after them, too.
    if not done:
        return np.empty((0, 0), np.float32), []
    return np.concatenate([embeddings for _, embeddings in done]), [path for kept, _ in done for path in kept]


def _read_batch(paths: list, image_processor, dtype: "torch.dtype | None") -> tuple[list, "torch.Tensor", dict]:
    """The paths that could be read, their pixel values, and the paths that could not, with the errors."""
    import torch

    read, damaged = {}, {}
    for path in paths:
        try:
            read[path] = read_pixels(path, image_processor)
        except MemoryError:
            raise
        except Exception as error:  # On a damaged file, Pillow's decoders raise nearly anything.
            damaged[path] = error
    if not read:
        return [], torch.empty(0), damaged
    pixels = torch.from_numpy(np.stack(list(read.values()))).permute(0, 3, 1, 2)
    # (pixels * rescale_factor - mean) / std, in one multiplication and one addition.
    mean = torch.tensor(image_processor.image_mean).view(3, 1, 1)
    std = torch.tensor(image_processor.image_std).view(3, 1, 1)
    return list(read), torch.addcmul(-mean / std, pixels, image_processor.rescale_factor / std).to(dtype), damaged


def _without_damaged(kept: list, result, damaged: dict) -> Iterator[tuple]:
    for path, error in damaged.items():
        try:
            open_picture(path)  # Not in the threads: it changes the filter of warnings, which they share.
        except UserError as sentence:
            print(f"skipped: {sentence}", file=sys.stderr)
        else:
            raise error
    if kept:
        yield kept, result
