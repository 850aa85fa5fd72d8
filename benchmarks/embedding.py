"""How fast CLIP ViT-B/32 turns picture files into embeddings on a CPU: SentenceTransformer.encode and this repository.

Every way is timed once in each round, so that a machine that slows down slows them all; the medians and quartiles of
the rounds are compared. Real weights are used if they are on this machine; random ones of the true configuration take
the same time. The files are JPEGs of 640 x 480, made of the gallery's pictures with the noise of a camera.

    python -m benchmarks.embedding [--pictures 200] [--rounds 5]

Peers are measured too where they are installed: pip install openvino open_clip_torch onnxruntime onnxscript
"""

import argparse
import copy
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from multimodal import images, models, weights
from multimodal.hardware import detect
from multimodal.reader import embed_files, read_ahead
from multimodal.speedups import faster_clip

BATCH = 16


def make_photos(folder: Path, count: int) -> list[Path]:
    """JPEG files of 640 x 480 from the gallery: every picture in several crops, with noise as of a camera."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 7, (480, 640, 3))
    gallery, paths = images.gallery(), []
    for number in range(count):
        picture = gallery[number % len(gallery)].image
        margin = 12 * (number // len(gallery))
        enlarged = picture.resize((640, 480), Image.Resampling.BICUBIC,
                                  (margin, margin, picture.width - margin, picture.height - margin))
        pixels = np.asarray(enlarged) + np.roll(noise, 37 * number, axis=1)
        paths.append(folder / f"{number:04}.jpg")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def full_size_clip() -> tuple[CLIPModel, CLIPProcessor, str]:
    if folder := weights.find(models.MODELS["clip"]):
        return (CLIPModel.from_pretrained(folder, dtype=torch.float32).eval(), CLIPProcessor.from_pretrained(folder),
                "OpenAI's weights")
    torch.manual_seed(0)
    processor = CLIPProcessor.from_pretrained(models.CHECKPOINTS / "clip")  # for its words: only pictures count here
    processor.image_processor = CLIPImageProcessor()
    return CLIPModel(CLIPConfig()).eval(), processor, "random weights"


def int8(model: CLIPModel) -> CLIPModel:
    with warnings.catch_warnings():  # deprecated in favour of torchao, but it needs no package beside torch
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(
            model, {torch.nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig})


class Vision(torch.nn.Module):
    """CLIP's picture side as a module of its own, for those who compile it."""

    def __init__(self, model: CLIPModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model.get_image_features(pixel_values=pixel_values).pooler_output


class Peer:
    """Stands in the place of a CLIPModel; on the CPU, fed with FP32."""

    device, dtype = torch.device("cpu"), torch.float32

    def get_image_features(self, pixel_values: torch.Tensor) -> argparse.Namespace:
        return argparse.Namespace(pooler_output=self.embed(pixel_values))


class OpenVINO(Peer):
    """CLIP's vision tower compiled by OpenVINO, with one stream for each core; inside it computes in BF16 if it can."""

    def __init__(self, model: CLIPModel):
        import openvino

        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            size = model.config.vision_config.image_size
            converted = openvino.convert_model(Vision(model), example_input=torch.zeros(2, 3, size, size))
        cores = torch.get_num_threads()
        self.compiled = openvino.Core().compile_model(converted, "CPU", {
            "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores})
        self.name = (f"OpenVINO {openvino.__version__.split('-')[0]}, "
                     f"{self.compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()}")

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        answer = self.compiled.create_infer_request().infer([pixel_values.numpy()])
        return torch.from_numpy(answer[0].copy())


class OpenCLIP(Peer):
    """The same network in open_clip, in BF16, with weights of its own: it is here for its speed."""

    dtype = torch.bfloat16

    def __init__(self, model: CLIPModel):
        import open_clip

        self.model = open_clip.create_model("ViT-B-32-quickgelu", precision="bf16").eval()
        self.name = f"open_clip {open_clip.__version__}, bf16"

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model.encode_image(pixel_values.to(self.dtype))


class ONNXRuntime(Peer):
    """CLIP's vision tower run by ONNX Runtime in FP32, one thread for each batch."""

    def __init__(self, model: CLIPModel):
        import onnxruntime
        import onnxscript  # noqa: F401  torch exports with it

        size = model.config.vision_config.image_size
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(Vision(model), (torch.zeros(2, 3, size, size),), f"{folder}/clip.onnx", verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch")},), input_names=["pixel_values"])
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = onnxruntime.InferenceSession(f"{folder}/clip.onnx", options, ["CPUExecutionProvider"])
        self.name = f"ONNX Runtime {onnxruntime.__version__}, fp32"

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.session.run(None, {"pixel_values": pixel_values.numpy()})[0])


def forward_on_each_core(model, batches: list[torch.Tensor]) -> None:
    """The forward pass alone: one batch at a time on each core, as in `embed_files`."""
    @torch.inference_mode()
    def forward(pixel_values: torch.Tensor) -> None:
        model.get_image_features(pixel_values=pixel_values)

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(forward, batches))
    torch.set_num_threads(threads)


@torch.inference_mode()
def forward_on_all_cores(model: CLIPModel, batches: list[torch.Tensor]) -> None:
    """The forward pass alone, as a loop does it: all cores work on the same batch."""
    for pixel_values in batches:
        model.get_image_features(pixel_values=pixel_values)


def operations(model: CLIPModel) -> int:
    """Floating-point operations for one picture: two for each multiplication and addition in matrix products."""
    model.set_attn_implementation("eager")  # the counter does not know the fused kernel
    size = model.config.vision_config.image_size
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.get_image_features(pixel_values=torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def timed(function: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The smallest cosine of two rows of normalised embeddings."""
    return float((a * b).sum(axis=1).min())


def trained_cosines(precisions: dict[str, Callable[[CLIPModel], CLIPModel]]) -> dict[str, float]:
    """The same comparison with the small CLIP of this repository, whose weights are trained."""
    paths = [sample.path for sample in images.gallery()]
    model = CLIPModel.from_pretrained(models.CHECKPOINTS / "clip", dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(models.CHECKPOINTS / "clip")
    with torch.inference_mode():
        pictures = processor(images=[images.open_picture(path) for path in paths], return_tensors="pt")
        plain = torch.nn.functional.normalize(model.get_image_features(**pictures).pooler_output, dim=-1).numpy()
    return {name: cosine(embed_files(prepare(copy.deepcopy(model)), processor.image_processor, paths)[0], plain)
            for name, prepare in precisions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    machine = detect()
    model, processor, origin = full_size_clip()
    fast, dtype = ("BF16", torch.bfloat16) if machine.fast_bf16 else ("FP32", torch.float32)
    precisions = {"FP32": lambda model: model, fast: lambda model: model.to(dtype),
                  f"{fast}, quickened": lambda model: faster_clip(model, dtype),
                  "INT8, quickened": lambda model: int8(faster_clip(model, torch.float32))}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model.save_pretrained(folder / "clip")
        processor.save_pretrained(folder / "clip")
        sbert = SentenceTransformer(str(folder / "clip"), device="cpu")
        paths = make_photos(folder, options.pictures)
        kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1000

        ways = {"SentenceTransformer.encode": lambda: sbert.encode([images.open_picture(path) for path in paths])}
        prepared = {name: prepare(copy.deepcopy(model)) for name, prepare in precisions.items()}
        for name, ready in prepared.items():
            ways[f"embed_files, {name}"] = partial(embed_files, ready, processor.image_processor, paths, BATCH)
        pixel_values = torch.cat([values for _, values in read_ahead(paths, processor.image_processor, BATCH, dtype)])
        # As many batches as embed_files makes, so that all cores are busy until the end here, too.
        batches = pixel_values.tensor_split(machine.cores * math.ceil(len(paths) / (BATCH * machine.cores)))
        for name in (fast, f"{fast}, quickened"):
            ways[f"forward pass alone, {name}"] = partial(forward_on_each_core, prepared[name], batches)
        ways[f"forward pass alone, {fast}, all cores on one batch"] = partial(
            forward_on_all_cores, prepared[fast], batches)
        for peer_class in (OpenVINO, OpenCLIP, ONNXRuntime):
            try:
                peer = peer_class(model)
            except ImportError:
                print(f"{peer_class.__name__} is not installed and was not measured.", file=sys.stderr)
                continue
            ways[f"embed_files, {peer.name}"] = partial(embed_files, peer, processor.image_processor, paths, BATCH)
            ways[f"forward pass alone, {peer.name}"] = partial(
                forward_on_each_core, peer, [values.to(peer.dtype) for values in batches])
        square = torch.randn(2048, 2048, dtype=dtype)
        ways["matrix product"] = lambda: [square @ square for _ in range(20)]

        embeddings, seconds = {}, {name: [] for name in ways}
        for round_number in range(-1, options.rounds):  # round -1 warms up
            for name, way in ways.items():
                took, result = timed(way)
                if round_number >= 0:
                    seconds[name].append(took)
                elif name.startswith("embed_files"):
                    embeddings[name] = result[0]
                elif name.startswith("Sentence"):
                    embeddings[name] = result / np.linalg.norm(result, axis=1, keepdims=True)

    reference = embeddings["SentenceTransformer.encode"]
    between = (reference @ reference.T)[np.triu_indices(len(reference), k=1)]
    products = 20 * 2 * 2048**3 / statistics.median(seconds.pop("matrix product")) / 1e9
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{machine.device_name}, {machine.cores} cores, torch {torch.__version__}, CLIP ViT-B/32 with {origin}, "
          f"{model.num_parameters():,} parameters; {len(paths)} JPEG files of 640 x 480, {kilobytes:.0f} kB each on "
          f"average; medians of {options.rounds} rounds, batches of {BATCH}.\n")
    print("| way | pictures/s | quartiles | times encode | smallest cosine to encode |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        low, _, high = (len(paths) / value for value in statistics.quantiles(values, n=4, method="inclusive")[::-1])
        print(f"| {name} | {len(paths) / median[name]:.1f} | {low:.1f} to {high:.1f} | "
              f"{median['SentenceTransformer.encode'] / median[name]:.2f} | "
              + (f"{cosine(embeddings[name], reference):.5f} |" if name in embeddings and "open_clip" not in name
                 else "|"))
    print(f"\nCosines between different pictures: {between.mean():.3f} on average.")
    print(f"Matrix products of 2048 x 2048 in {fast}: {products:.0f} GFLOP/s.")
    counts = {fast: operations(model), f"{fast}, quickened": operations(faster_clip(model, torch.float32))}
    for name, count in counts.items():
        alone = median[f"forward pass alone, {name}"]
        rate = count * len(paths) / alone / 1e9
        print(f"{name}: {count / 1e9:.2f} GFLOP a picture, the forward pass at {rate:.0f} GFLOP/s, "
              f"{rate / products:.0%} of that; from files to embeddings at "
              f"{alone / median[f'embed_files, {name}']:.0%} of the forward pass.")
    print("With the trained small CLIP on the gallery's files, the smallest cosines to its plain path in FP32: "
          + ", ".join(f"{name} {value:.5f}" for name, value in trained_cosines(precisions).items()) + ".")


if __name__ == "__main__":
    main()
