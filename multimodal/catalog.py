"""The models of this chapter: what they are, what they need, and which one suits this machine.

`MODELS` is the chapter's hardware table as data. `decide` is a pure function of model, machine and options, so a
test can ask what it would do on machines that nobody has at hand; `choose` asks it about this one.
"""

import os
from argparse import Namespace
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import PickleError

from . import UserError, weights
from .hardware import Machine, detect, free_memory, readable_size

GB = 10**9
CHECKPOINTS = Path(__file__).parent / "checkpoints"
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1.1}  # in INT8, embeddings and scales stay in half precision
WHY = {"fp16": "which halves the memory and is fast on a GPU", "bf16": "which this CPU computes fastest",
       "fp32": "as this CPU is not faster in BF16", "int8": "as memory is short"}
INT8 = "pip install -r requirements-int8.txt"
# Rungs of the ladder on which a lesson ran out of memory before it started anew, one a line; see `lesson.step_down`.
FAILED = "MULTIMODAL_OUT_OF_MEMORY"
EMBEDDED_NAMES = {"clip": "small CLIP", "blip": "small BLIP", "blip2": "small BLIP-2"}

# A card sold with 8 GB shows about 7.6 GiB (8.2 GB) free, less with a desktop on it: a tenth may be missing from
# what the table asks for. The weights themselves must fit in any case, with a twentieth for intermediate results.
TOLERANCE, HEADROOM = 0.9, 1.05
# The embedded models need far less, but a GPU that is this full may fail to start at all.
EMBEDDED_MEMORY = GB // 2


@dataclass(frozen=True)
class Model:
    """A model of the chapter.

    Args:
        key: What the lessons call it.
        name: What readers call it.
        hub_id: Its repository on the Hugging Face Hub.
        parameters: Number of parameters, shared ones counted once.
        cpu_memory: Free main memory it needs on a CPU in FP32, in bytes; None if a CPU takes too long for a lesson.
        gpu_memory: Free GPU memory it needs in FP16, in bytes.
        gpu_recommended: GPU memory for comfortable work, in bytes.
        embedded: Folder of its small twin under multimodal/checkpoints; None if it has none.
        fallback: Key of the model that takes its place on a machine that is too small for it.
        revision: The commit of its repository that a download takes.
        licence: That of its weights, as the model card says; for OpenAI's CLIP, whose card is silent, as its code does.
        picture_memory: Memory for each further picture of a batch in FP32, in bytes (benchmarks/full_size.py).
        replaces: Key of the lessons' model in whose place the same code runs it, if --model names it.
        int8: Whether it runs in INT8. (transformers 5.23 cannot load a CLIPModel so, which is small enough without.)
        stored: Size of the files of weights at that commit in bytes, where it is on record.
        measured: Peak memory of the process in bytes, and seconds, for one picture on a CPU in BF16: an embedding, a
            caption of 20 tokens or an answer of 8 (benchmarks/README.md, two cores with AMX); None if not measured.
    """

    key: str
    name: str
    hub_id: str
    parameters: int
    cpu_memory: int | None
    gpu_memory: int
    gpu_recommended: int
    embedded: str | None
    fallback: str | None = None
    revision: str = "main"
    licence: str = ""
    picture_memory: int = 75_000_000
    replaces: str | None = None
    int8: bool = True
    stored: int | None = None
    measured: tuple[int, float] | None = None

    @property
    def weights_bytes(self) -> int:
        """Size of the weights in FP32, in bytes."""
        return 4 * self.parameters

    @property
    def download_bytes(self) -> int:
        """Size of a download of the weights in bytes; where that is not on record, their size in FP32."""
        return self.stored or self.weights_bytes


# The revisions go with the versions in weights.TRANSFORMERS. That of BLIP-2 has the image token, without which the
# model answers blindly; the one that older books pin (5157266, March 2024) lacks it. Where they are on record:
#   github.com/embeddings-benchmark/mteb (clip_models.py, siglip_models.py, blip_models.py): clip, clip-large, siglip2,
#   blip-large; kurtvalcorza/blip-captioning-pipeline and blip-vqa-pipeline: blip, blip-vqa; mrveiss/AutoBot-AI
#   (pinned_model_registry.py, with the hashes of the shards): blip2; St-Expedite-Press/on-high-in-blue-tomorrows
#   (appendices/H, from the hub's API): blip2-flan; ckgresla/representax: sbert-clip; CemOnat00/AI-powered-gallery
#   (mobile/tools/fetch_models.sh): sbert-clip-multilingual; neeraj1909/rag-kit (adapters/vision.py): smolvlm.
# The sizes are those of git-lfs at these commits, as others have noted them down with the hashes.
MODELS = {model.key: model for model in (
    Model("clip", "CLIP ViT-B/32", "openai/clip-vit-base-patch32", 151_277_313, 2 * GB, 4 * GB, 4 * GB, "clip",
          revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268", licence="MIT", picture_memory=6_000_000, int8=False,
          stored=605_247_071, measured=(1_170_000_000, 0.028)),
    # The same network in another package, so the same small twin.
    Model("sbert-clip", "SBERT-CLIP ViT-B/32", "sentence-transformers/clip-ViT-B-32", 151_277_313, 2 * GB, 4 * GB,
          4 * GB, "clip", revision="327ab6726d33c0e22f920c83f2ff9e4bd38ca37f", licence="MIT", picture_memory=6_000_000,
          int8=False, stored=605_157_884),
    Model("blip", "BLIP-base", "Salesforce/blip-image-captioning-base", 223_971_644, 4 * GB, 6 * GB, 6 * GB, "blip",
          revision="82a37760796d32b1411fe092ab5d4e227313294b", licence="BSD-3-Clause", stored=989_820_849,
          measured=(1_380_000_000, 0.73)),
    Model("blip-vqa", "BLIP-VQA-base", "Salesforce/blip-vqa-base", 361_230_140, 4 * GB, 6 * GB, 6 * GB, None,
          revision="787b3d35d57e49572baabd22884b3d5a05acf072", licence="BSD-3-Clause", replaces="blip2",
          stored=1_538_800_584, measured=(1_640_000_000, 0.38)),
    Model("blip2", "BLIP-2 OPT-2.7B", "Salesforce/blip2-opt-2.7b", 3_744_761_856, None, 8 * GB, 16 * GB, "blip2",
          "blip-vqa", revision="59a1ef6c1e5117b3f65523d1c6066825bcf315e3", licence="MIT",
          stored=14_979_207_136, measured=(8_420_000_000, 2.9)),
    # For comparison; no lesson needs them. Their memory is that of the row above that is about their size.
    Model("clip-large", "CLIP ViT-L/14", "openai/clip-vit-large-patch14", 427_616_513, 4 * GB, 6 * GB, 6 * GB, "clip",
          "clip", revision="32bd64288804d66eefd0ccbe215aa642df71cc41", licence="MIT", replaces="clip", int8=False),
    # The text tower alone: the pictures' embeddings come from sbert-clip.
    Model("sbert-clip-multilingual", "SBERT-CLIP multilingual text",
          "sentence-transformers/clip-ViT-B-32-multilingual-v1", 135_127_296, 2 * GB, 4 * GB, 4 * GB, "clip",
          revision="58edf8cada9e398793dca955574a48cbb7f18be2", licence="Apache-2.0", int8=False),
    # Trained with another loss for the same task.
    Model("siglip2", "SigLIP 2 base", "google/siglip2-base-patch16-224", 375_187_970, 4 * GB, 6 * GB, 6 * GB, "clip",
          revision="75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2", licence="Apache-2.0", int8=False),
    Model("blip-large", "BLIP-large", "Salesforce/blip-image-captioning-large", 446_290_492, 4 * GB, 6 * GB, 6 * GB,
          "blip", "blip", revision="2227ac38c9f16105cb0412e7cab4759978a8fd90", licence="BSD-3-Clause",
          replaces="blip"),
    Model("blip2-flan", "BLIP-2 Flan-T5-XL", "Salesforce/blip2-flan-t5-xl", 3_942_446_592, None, 10 * GB, 16 * GB,
          "blip2", "blip-vqa", revision="0eb0d3b46c14c1f8c7680bca2693baafdb90bb28", licence="MIT"),
    Model("smolvlm", "SmolVLM-256M", "HuggingFaceTB/SmolVLM-256M-Instruct", 256_484_928, 4 * GB, 6 * GB, 6 * GB,
          "blip2", revision="7e3e67edbbed1bf9888184d9df282b700a323964", licence="Apache-2.0", stored=513_028_808),
)}
LESSONS = ("clip", "sbert-clip", "blip", "blip-vqa", "blip2")  # those that the lessons load


@dataclass(frozen=True)
class Choice:
    """A model, ready for `from_pretrained(choice.path, **settings).to(choice.device)` within `loading() as settings`.

    Args:
        key: Key of the model chosen, which differs from the one asked for after a fallback.
        name: Its name; that of the small twin if `source` is "embedded".
        path: A folder, or a hub id.
        source: "embedded", "local weights" or "hub".
        device: "cpu", "cuda", "mps" or "xpu".
        dtype_name: "fp32", "fp16", "bf16" or "int8".
        reason: Why all this, in one sentence.
    """

    key: str
    name: str
    path: str
    source: str
    device: str
    dtype_name: str
    reason: str

    @property
    def dtype(self):
        """The precision of what goes into the model, as a torch.dtype: in INT8 only the weights are stored so."""
        import torch
        half = torch.bfloat16 if self.device == "cpu" else torch.float16
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": half}[self.dtype_name]

    @contextmanager
    def loading(self) -> Iterator[dict]:
        """What tells `from_pretrained` the precision, into which the weights go one by one as they are read.

        In FP32 the file itself, mapped into memory, is the weights; else there would be two copies.

        Raises:
            UserError: The weights are damaged, or do not belong to their configuration.
        """
        from safetensors import SafetensorError

        settings = {"dtype": self.dtype, **self._quantization()}
        try:
            with nullcontext() if self.dtype_name == "fp32" else weights.read_frugally():
                yield settings
        except (RuntimeError, ValueError, LookupError, PickleError, SafetensorError) as error:
            if "memory" in str(error):  # which ran out: lesson.step_down sees to it
                raise
            raise UserError(f"The weights in {self.path} cannot be loaded, as they are damaged or do not belong to "
                            "their config.json: `python -m multimodal.weights check` compares files that were fetched "
                            "with their hashes; --debug shows what the library says.") from error

    def _quantization(self) -> dict:
        if self.dtype_name != "int8":
            return {}
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
        from transformers import TorchAoConfig
        # A CPU multiplies 8-bit numbers in hardware; not every GPU does, so there the weights are widened first.
        int8 = Int8DynamicActivationInt8WeightConfig() if self.device == "cpu" else Int8WeightOnlyConfig()
        return {"quantization_config": TorchAoConfig(int8)}

    @property
    def rung(self) -> str:
        """Its place on the ladder of what can be tried."""
        return _rung(self.name, self.device, self.dtype_name)

    def batch_size(self, most: int) -> int:
        """As many pictures a batch, up to `most`, as half of the memory that is free now can hold; at least one."""
        each = MODELS[self.key].picture_memory * (1 if self.dtype_name == "fp32" else 0.5)
        return max(1, min(most, int(free_memory(self.device) / 2 / each)))


def decide(key: str, machine: Machine, models: str = "auto", device: str = "auto", dtype: str = "auto",
           present: Container[str] = frozenset(), failed: Container[str] = frozenset(), alone: bool = False) -> Choice:
    """Which weights to run, where, in which precision, and why.

    The ladder, from the top: the model on the GPU in FP16, there in INT8, the model that stands in for it on the GPU,
    then both on the CPU, in BF16 where that is fast and else in FP32, then in INT8. Last comes the small twin.

    Args:
        key: The model asked for, a key of MODELS.
        machine: The machine it is to run on.
        models: "auto": the real model if its weights are on the machine and fit, else the small twin;
            "hub": the real model if it fits, wherever its weights are; "embedded": the small twin.
        device: "auto" or a device. "auto" takes the CPU where the GPU is too small for the model.
        dtype: "auto", "fp32", "fp16", "bf16" or "int8". The small twins run in FP32 where it is "auto": they are fast
            enough, and what a lesson says of their numbers then holds on every machine.
        present: Keys of the models whose real weights are on the machine.
        failed: `Choice.rung`s on which there was not enough memory.
        alone: No model stands in for this one, and it may take its time on a CPU: somebody asks for it by name.

    Raises:
        UserError: The machine does not have the device, or not the package for INT8.
    """
    if device not in ("auto", "cpu", machine.device):
        has = "a CPU only" if machine.device == "cpu" else f"{machine.device} ({machine.device_name}) and a CPU"
        raise UserError(f"This machine has no {device} device, it has {has}: leave --device out, or give one that "
                        "is there.")
    steps = []
    if dtype == "int8" and not MODELS[key].int8:
        steps.append(f"{MODELS[key].name} does not run in INT8")
        dtype = "auto"
    elif dtype == "int8" and not machine.int8:
        raise UserError(f"INT8 needs the package torchao, which is not installed: {INT8}")
    if models == "embedded":
        steps.append("--models embedded asks for the models that come with this project")
    else:
        ladder = [MODELS[key]] if alone else _ladder(key)
        obstacles = {model.key: [] for model in ladder}
        absent = set()
        for place in dict.fromkeys((machine.device, "cpu")) if device == "auto" else (device,):
            for model in ladder:
                if model.key in absent:
                    continue
                precision, why = _precision(model, machine, place, device, dtype, failed, alone)
                if not precision:
                    obstacles[model.key] += why
                elif models == "auto" and model.key not in present:
                    absent.add(model.key)
                else:
                    for other in ladder[:ladder.index(model)]:
                        steps.append(_absence(other, key, steps) if other.key in absent else
                                     f"{_called(other, key)} {', and '.join(obstacles[other.key])}")
                    hindered = obstacles[model.key] + why[:-1]
                    steps.append(f"{_called(model, key)} " + (
                        f"{', and '.join(hindered)}, so it runs on {why[-1]}" if hindered else f"fits {why[-1]}"))
                    here = model.key in present
                    steps.append("its weights are on this machine" if here else
                                 f"its weights ({readable_size(model.download_bytes)}) come from {model.hub_id}")
                    steps.append(f"in {precision.upper()}, "
                                 f"{WHY[precision] if dtype == 'auto' else 'as --dtype asks'}")
                    return Choice(model.key, model.name, model.hub_id, "local weights" if here else "hub", place,
                                  precision, _sentence(steps))
        for model in ladder:
            steps.append(_absence(model, key, steps) if model.key in absent else
                         f"{_called(model, key)} {', and '.join(obstacles[model.key])}")
    return _twin(key, machine, device, dtype, failed, steps)


def _twin(key: str, machine: Machine, device: str, dtype: str, failed: Container[str], steps: list[str]) -> Choice:
    """The small model that comes with this project. steps: why it takes the place of the real one."""
    twin = MODELS[key if MODELS[key].embedded else "blip2"]
    name = EMBEDDED_NAMES[twin.embedded]
    if twin.key != key:
        steps.append(f"{MODELS[key].name} has no small twin, but {name} answers questions too")
    place = machine.device if device == "auto" else device
    precision = "fp32" if dtype == "auto" else dtype
    choice = Choice(twin.key, name, str(CHECKPOINTS / twin.embedded), "embedded", place, precision, "")
    if device == "auto" and place != "cpu":
        if machine.device_memory < EMBEDDED_MEMORY:
            steps.append(f"the GPU {machine.device_name} has only {readable_size(machine.device_memory)} free, so the "
                         "CPU computes")
            choice = replace(choice, device="cpu")
        elif choice.rung in failed:
            steps.append(f"the GPU {machine.device_name} ran out of memory, so the CPU computes")
            choice = replace(choice, device="cpu")
    why = "so that its numbers are the same on every machine" if dtype == "auto" else "as --dtype asks"
    steps.append(f"the embedded {name} runs in {precision.upper()}, {why}")
    return replace(choice, reason=_sentence(steps))


def choose(key: str, options: Namespace) -> Choice:
    """The choice for this machine, with weights that are on it: `--models hub` downloads them first.

    Args:
        key: The model asked for, a key of MODELS.
        options: What `lesson.common_options` parses: `models`, `model`, `device` and `dtype`.

    Raises:
        UserError: The machine does not have the device, or the weights cannot be had.
    """
    named = [name for name in getattr(options, "model", None) or () if key in (name, MODELS[name].replaces)]
    key = named[0] if named else key
    found = {}
    if options.models != "embedded":
        found = {model.key: folder for model in _ladder(key) if (folder := weights.find(model))}
    choice = decide(key, detect(), options.models, options.device, options.dtype, found,
                    os.environ.get(FAILED, "").splitlines(), alone=bool(named))
    if choice.source == "hub":
        return replace(choice, path=str(weights.fetch(MODELS[choice.key])))
    if choice.source == "local weights":
        return replace(choice, path=str(found[choice.key]))
    if lacking := weights.missing(Path(choice.path)):
        raise UserError(f"The {choice.name} in {choice.path} is not complete ({', '.join(lacking)} missing): get this "
                        f"project afresh, or train it with python -m training.{Path(choice.path).name}.")
    return choice


def hardware_table() -> str:
    """The hardware table in Markdown: one row for each model, sizes of the weights in FP32 and FP16, and what was
    measured of it on a CPU."""
    rows = ["| Model | Parameters | Minimum | Recommended | Weights in FP32 | in FP16 | Measured on a CPU |",
            "|---|---:|---|---|---:|---:|---:|"]
    for model in MODELS.values():
        minimum = (f"CPU, {readable_size(model.cpu_memory)} RAM" if model.cpu_memory else
                   f"GPU, {readable_size(model.gpu_memory)} VRAM")
        measured = f"{readable_size(model.measured[0])}, {model.measured[1]:g} s " if model.measured else ""
        rows.append(f"| {model.name} | {model.parameters:,} | {minimum} | "
                    f"GPU, {readable_size(model.gpu_recommended)} VRAM | {readable_size(model.weights_bytes)} | "
                    f"{readable_size(model.weights_bytes // 2)} | {measured}|")
    return "\n".join(rows) + "\n"


def _ladder(key: str) -> list[Model]:
    """The model and those that may take its place, in this order."""
    ladder = []
    while key:
        ladder.append(MODELS[key])
        key = MODELS[key].fallback
    return ladder


def _rung(name: str, device: str, precision: str) -> str:
    return f"{name}, {device}, {precision}"


def _called(model: Model, key: str) -> str:
    return model.name if model.key == key else f"its stand-in {model.name}"


def _absence(model: Model, key: str, steps: Collection[str]) -> str:
    # The advice fits the first such model only: that is the one which --models hub would take.
    advice = "" if any("--models hub" in step for step in steps) else ": --models hub fetches them"
    return (f"the real weights of {_called(model, key)} are not on this machine ({model.hub_id}, "
            f"{readable_size(model.download_bytes)}){advice}")


def _precision(model: Model, machine: Machine, place: str, device: str, dtype: str, failed: Container[str],
               alone: bool) -> tuple[str | None, list[str]]:
    """The first precision in which the real model can run on a device, or None; and why.

    The reasons are what hinders it before that, in words that follow the model's name, and last the place where it
    fits, if there is one.
    """
    row, row_bytes = (model.cpu_memory, 4) if place == "cpu" else (model.gpu_memory, 2)
    if row is None and not alone:
        # Where there is a GPU, what it lacks has been said.
        return None, ["needs a GPU with " + readable_size(model.gpu_memory) + ", and " + (
            "this machine has none" if machine.device == "cpu" else "--device cpu rules the GPU out")
            ] if machine.device == "cpu" or device == "cpu" else []
    row = row or int(HEADROOM * model.weights_bytes) + GB
    where = "the CPU" if place == "cpu" else f"the GPU {machine.device_name}"
    free = machine.memory if place == "cpu" else machine.device_memory

    def needed(precision: str) -> tuple[float, float]:
        """What the table asks for, less what this precision saves; and what the weights take in any case."""
        saved = max(0, row_bytes - BYTES[precision]) * model.parameters
        return row - saved, HEADROOM * BYTES[precision] * model.parameters

    def fits(precision: str) -> bool:
        table, weights_alone = needed(precision)
        return free >= max(TOLERANCE * table, weights_alone)

    usual = ("fp16",) if place != "cpu" else ("bf16",) if machine.fast_bf16 else ("fp32",)
    # torchao's kernels for other GPUs are not known to us.
    int8 = model.int8 and place in ("cpu", "cuda")
    precisions = (dtype,) if dtype != "auto" else (*usual, *(["int8"] if machine.int8 and int8 else []))
    obstacles = []
    for precision in precisions:
        need, said = readable_size(max(needed(precision))), f" in {precision.upper()}" if len(precisions) > 1 else ""
        if _rung(model.name, place, precision) in failed:
            obstacles.append(f"ran out of memory on {where} in {precision.upper()}")
        elif not fits(precision):
            if not obstacles or "ran out" in obstacles[-1]:
                obstacles.append(f"needs about {need} on {where}{said}, which has {readable_size(free)} free")
        elif place != "cpu" and machine.memory < needed(precision)[1]:
            obstacles.append(f"must pass through the main memory on its way to {where}, which takes "
                             f"{readable_size(needed(precision)[1])}{said}, and {readable_size(machine.memory)} are "
                             "free")
        else:
            if place != "cpu" and free < TOLERANCE * model.gpu_recommended:
                need += f" needed, {readable_size(model.gpu_recommended)} recommended"
            else:
                need += " needed"
            return precision, [*obstacles, f"{where} (about {need}, {readable_size(free)} free)"]
    if dtype == "auto" and int8 and not machine.int8 and fits("int8"):
        obstacles.append(f"would fit in INT8 with the package torchao ({INT8})")
    return None, obstacles


def _sentence(steps: list[str]) -> str:
    text = "; ".join(steps) + "."
    return text[0].upper() + text[1:]
