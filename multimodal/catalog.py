"""Which model runs, on what, in which precision, and why.

`decide` lists the candidates from the best to the last resort, asks of each what stands in its way, and takes the first
that nothing hinders. It is a pure function of model, machine and options, so that tests can ask it about machines that
nobody has at hand; `choose` asks it about this one.
"""

from argparse import Namespace
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from . import UserError, weights
from .hardware import Machine, detect, free_memory, readable_size
from .models import CHECKPOINTS, EMBEDDED, GB, MODELS, Model, ladder

BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1.1}  # in INT8, embeddings and scales stay in half precision
INT8 = "pip install -r requirements-int8.txt"

# A card sold with 8 GB shows about 7.6 GiB (8.2 GB) free, less with a desktop on it: a tenth may be missing from
# what the table asks for. The weights themselves must fit in any case, with a twentieth for intermediate results.
TOLERANCE, HEADROOM = 0.9, 1.05
# The embedded models need far less, but a GPU that is this full may fail to start at all.
EMBEDDED_MEMORY = GB // 2


@dataclass(frozen=True)
class Candidate:
    """One way to answer the request: a model on a device in a precision; `embedded`: its small model instead."""

    model: Model
    device: str
    precision: str
    embedded: bool = False

    def __str__(self) -> str:
        """What `--without` takes: "blip2:cuda:fp16", "small-clip:cuda:fp32"."""
        return f"{f'small-{self.model.embedded}' if self.embedded else self.model.key}:{self.device}:{self.precision}"


@dataclass(frozen=True)
class Obstacle:
    """What stands in a candidate's way.

    Args:
        kind: "no GPU", "ran out" (of memory, in an earlier try), "memory", "main memory" (too little of it for the
            weights on their way to the GPU), "torchao" (not installed) or "weights" (not on this machine).
        needed, free: Bytes, where memory is the obstacle.
    """

    kind: str
    needed: float = 0
    free: int = 0


@dataclass(frozen=True)
class Choice:
    """A model, ready for `from_pretrained(choice.path, dtype=choice.dtype).to(choice.device)`.

    Args:
        key: Key of the model chosen, which differs from the one asked for after a fallback.
        family: Its family, a key of `models.FAMILIES`.
        name: Its name; that of the small model if `source` is "embedded".
        path: A folder, or a hub id.
        source: "embedded", "local weights" or "hub".
        device: "cpu", "cuda", "mps" or "xpu".
        dtype_name: "fp32", "fp16", "bf16" or "int8".
        reason: Why all this, in words.
        candidate: What `--without` takes to rule this choice out; "" if nothing smaller could take its place.
        rejected: The better candidates, each with what stood in its way.
    """

    key: str
    family: str
    name: str
    path: str
    source: str
    device: str
    dtype_name: str
    reason: str
    candidate: str = ""
    rejected: tuple[tuple[str, Obstacle], ...] = ()

    @property
    def dtype(self):
        """The precision of what goes into the model, as a torch.dtype: in INT8 only the weights are stored so."""
        import torch
        half = torch.bfloat16 if self.device == "cpu" else torch.float16
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": half}[self.dtype_name]

    @property
    def quantization(self):
        """What `from_pretrained` takes as `quantization_config`: None but in INT8."""
        if self.dtype_name != "int8":
            return None
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
        from transformers import TorchAoConfig
        # A CPU multiplies 8-bit numbers in hardware; not every GPU does, so there the weights are widened first.
        int8 = Int8DynamicActivationInt8WeightConfig() if self.device == "cpu" else Int8WeightOnlyConfig()
        return TorchAoConfig(int8)

    def batch_size(self, most: int) -> int:
        """As many pictures a batch, up to `most`, as half of the memory that is free now can hold; at least one."""
        each = MODELS[self.key].picture_memory * (1 if self.dtype_name == "fp32" else 0.5)
        return max(1, min(most, int(free_memory(self.device) / 2 / each)))


def candidates(key: str, machine: Machine, models: str = "auto", device: str = "auto", dtype: str = "auto",
               alone: bool = False) -> list[Candidate]:
    """All ways to answer a request, best first: the model on the GPU in FP16, there in INT8, its fallback on the GPU,
    then both on the CPU, in BF16 where that is fast and else in FP32, then in INT8; last the small model.

    See `decide` for the arguments.
    """
    places = dict.fromkeys((machine.device, "cpu")) if device == "auto" else (device,)

    def precisions(model: Model, place: str) -> tuple[str, ...]:
        if dtype != "auto" and (dtype != "int8" or model.int8):
            return (dtype,)
        usual = "fp16" if place != "cpu" else "bf16" if machine.fast_bf16 else "fp32"
        # Of GPUs, torchao has kernels for CUDA that we know to work.
        return (usual, "int8") if dtype == "auto" and model.int8 and place in ("cpu", "cuda") else (usual,)

    listed = [] if models == "embedded" else [
        Candidate(model, place, precision) for place in places for model in ([MODELS[key]] if alone else ladder(key))
        for precision in precisions(model, place)]
    small = MODELS[key if MODELS[key].embedded else "blip2"]
    # The small models are fast enough in FP32, and what a lesson says of their numbers then holds on every machine.
    precision = "fp32" if dtype == "auto" or dtype == "int8" and not MODELS[key].int8 else dtype
    return listed + [Candidate(small, place, precision, embedded=True) for place in places]


def obstacle(candidate: Candidate, machine: Machine, present: Container[str] | None, failed: Container[str],
             alone: bool = False) -> Obstacle | None:
    """What stands in a candidate's way, or None.

    Args:
        present: Keys of the models whose weights are on the machine; None if they may be downloaded.
        failed: Candidates, as strings, for which there was not enough memory.
        alone: See `decide`.
    """
    model, on_cpu = candidate.model, candidate.device == "cpu"
    free = machine.memory if on_cpu else machine.device_memory
    if candidate.embedded:
        if not on_cpu and free < EMBEDDED_MEMORY:
            return Obstacle("memory", EMBEDDED_MEMORY, free)
        return Obstacle("ran out") if not on_cpu and str(candidate) in failed else None
    if on_cpu and model.cpu_memory is None and not alone:
        return Obstacle("no GPU")
    if str(candidate) in failed:
        return Obstacle("ran out")
    weights_alone, needed = _memory(candidate)
    if free < max(TOLERANCE * needed, weights_alone):
        return Obstacle("memory", max(needed, weights_alone), free)
    if not on_cpu and machine.memory < weights_alone:
        return Obstacle("main memory", weights_alone, machine.memory)
    if candidate.precision == "int8" and not machine.int8:
        return Obstacle("torchao")
    if present is not None and model.key not in present:
        return Obstacle("weights")
    return None


def _memory(candidate: Candidate) -> tuple[float, float]:
    """Bytes for the weights in any case, and what the table asks for, less what this precision saves."""
    model, size = candidate.model, BYTES[candidate.precision]
    weights_alone = HEADROOM * (model.fp16_bytes if size == 2 else size * model.parameters)
    if candidate.device == "cpu":  # the table's row is for FP32 there, and for FP16 on a GPU
        table, usual = model.cpu_memory or HEADROOM * model.fp32_bytes + GB, 4
    else:
        table, usual = model.gpu_memory, 2
    return weights_alone, table - max(0, usual - size) * model.parameters


def decide(key: str, machine: Machine, models: str = "auto", device: str = "auto", dtype: str = "auto",
           present: Container[str] = frozenset(), failed: Container[str] = frozenset(), alone: bool = False) -> Choice:
    """The first of the candidates in whose way nothing stands.

    Args:
        key: The model asked for, a key of MODELS.
        machine: The machine it is to run on.
        models: "auto": the real model if its weights are on the machine and fit, else the small one;
            "hub": the real model if it fits, wherever its weights are; "embedded": the small one.
        device: "auto" or a device. "auto" takes the CPU where the GPU is too small for the model.
        dtype: "auto", "fp32", "fp16", "bf16" or "int8".
        present: Keys of the models whose real weights are on the machine.
        failed: Candidates, as strings, for which there was not enough memory.
        alone: No model stands in for this one, and it may take its time on a CPU: somebody asks for it by name.

    Raises:
        UserError: The machine does not have the device, or not the package for INT8.
    """
    if device not in ("auto", "cpu", machine.device):
        has = "a CPU only" if machine.device == "cpu" else f"{machine.device} ({machine.device_name}) and a CPU"
        raise UserError(f"This machine has no {device} device, it has {has}: leave --device out, or give one that "
                        "is there.")
    if dtype == "int8" and MODELS[key].int8 and not machine.int8:
        raise UserError(f"INT8 needs the package torchao, which is not installed: {INT8}")
    listed = candidates(key, machine, models, device, dtype, alone)
    last = listed[-1]  # taken even if something stands in its way: there is nothing after it
    rejected = []
    for chosen in listed:
        hindrance = obstacle(chosen, machine, present if models == "auto" else None, failed, alone)
        if hindrance is None or chosen == last:
            break
        rejected.append((chosen, hindrance))
    model, here = chosen.model, chosen.model.key in present
    source = "embedded" if chosen.embedded else "local weights" if here else "hub"
    return Choice(
        model.key, model.embedded if chosen.embedded else model.family, _name(chosen),
        str(CHECKPOINTS / model.embedded) if chosen.embedded else model.hub_id, source, chosen.device,
        chosen.precision, _reason(key, machine, models, device, dtype, rejected, chosen, here),
        "" if chosen == last else str(chosen), tuple((str(other), why) for other, why in rejected))


def choose(key: str, options: Namespace, **instead) -> Choice:
    """The choice for this machine, with weights that are on it: `--models hub` downloads them first.

    Args:
        key: The model asked for, a key of MODELS.
        options: What `lesson.common_options` parses: `models`, `model`, `device`, `dtype` and `without`.
        instead: Values that take the place of options, as `models="embedded"`.

    Raises:
        UserError: The machine does not have the device, or the weights cannot be had.
    """
    options = Namespace(**{"model": None, "without": None, **vars(options), **instead})
    named = [name for name in options.model or () if key in (name, MODELS[name].replaces)]
    key = named[0] if named else key
    found = {}
    if options.models != "embedded":
        found = {model.key: folder for model in ladder(key) if (folder := weights.find(model))}
    choice = decide(key, detect(), options.models, options.device, options.dtype, found, options.without or (),
                    alone=bool(named))
    weights.watch_loading()
    if choice.source == "hub":
        return replace(choice, path=str(weights.fetch(MODELS[choice.key])))
    if choice.source == "local weights":
        return replace(choice, path=str(found[choice.key]))
    if lacking := weights.missing(Path(choice.path)):
        raise UserError(f"The {choice.name} in {choice.path} is not complete ({', '.join(lacking)}): get this project "
                        f"afresh, or train it with python -m training.{Path(choice.path).name}.")
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
                    f"GPU, {readable_size(model.gpu_recommended)} VRAM | {readable_size(model.fp32_bytes)} | "
                    f"{readable_size(model.fp16_bytes)} | {measured}|")
    return "\n".join(rows) + "\n"


# The choice in words.


def _name(candidate: Candidate) -> str:
    return EMBEDDED[candidate.model.embedded] if candidate.embedded else candidate.model.name


def _reason(key: str, machine: Machine, models: str, device: str, dtype: str,
            rejected: list[tuple[Candidate, Obstacle]], chosen: Candidate, here: bool) -> str:
    """What stood in the way of the better candidates, model by model, and what is known of the one chosen."""
    sentences = []
    if models == "embedded":
        sentences.append("--models embedded asks for the models that come with this project.")
    if dtype == "int8" and not MODELS[key].int8:
        sentences.append(f"{MODELS[key].name} does not run in INT8.")
    for name in dict.fromkeys(_name(candidate) for candidate, _ in rejected):
        facts, said = [], set()
        for candidate, hindrance in rejected:
            # What is too large in FP16 need not be told of INT8, nor what it takes for INT8 where FP16 would do.
            known = {"memory": "memory", "torchao": "weights"}.get(hindrance.kind)
            if _name(candidate) == name and (candidate.device, known) not in said:
                said.add((candidate.device, hindrance.kind))
                facts.append(_fact(candidate, hindrance, machine, device, "--models hub" in " ".join(sentences)))
        sentences.append(f"{name} {'; it '.join(dict.fromkeys(facts))}.")
    name = f"the {_name(chosen)}" if chosen.embedded else _name(chosen)
    in_its_place = rejected and (chosen.embedded or chosen.model.key != key)
    name = f"In its place {name}" if in_its_place else name[0].upper() + name[1:]
    sentence = f"{name} runs on {_where(chosen.device, machine)} in {chosen.precision.upper()}"
    if dtype == "auto":
        sentence += ", " + {
            "fp32": "so that its numbers are the same on every machine" if chosen.embedded else
                    "as this CPU is not faster in BF16", "bf16": "which this CPU computes fastest",
            "fp16": "which halves the memory and is fast on a GPU", "int8": "as memory is short"}[chosen.precision]
    elif dtype == chosen.precision:
        sentence += ", as --dtype asks"
    if chosen.embedded:
        return " ".join([*sentences, sentence + "."])
    model, on_cpu = chosen.model, chosen.device == "cpu"
    free = machine.memory if on_cpu else machine.device_memory
    sentence += f": about {readable_size(max(_memory(chosen)))} needed, "
    if not on_cpu and free < TOLERANCE * model.gpu_recommended:
        sentence += f"{readable_size(model.gpu_recommended)} recommended, "
    sentences.append(f"{sentence}{readable_size(free)} free.")
    sentences.append("Its weights are on this machine." if here else
                     f"Its weights ({readable_size(model.download_bytes)}) come from {model.hub_id}.")
    return " ".join(sentences)


def _where(device: str, machine: Machine) -> str:
    return "the CPU" if device == "cpu" else f"the GPU {machine.device_name}"


def _fact(candidate: Candidate, hindrance: Obstacle, machine: Machine, device: str, advised: bool) -> str:
    """An obstacle in words that follow the model's name. advised: Whether --models hub has been advised already."""
    model, where, precision = candidate.model, _where(candidate.device, machine), candidate.precision.upper()
    needed, free = readable_size(hindrance.needed), readable_size(hindrance.free)
    return {
        "no GPU": f"needs a GPU with {readable_size(model.gpu_memory)}, " + (
            "and this machine has none" if machine.device == "cpu" else "and --device cpu rules the GPU out"
            if device == "cpu" else "as a CPU takes too long"),
        "ran out": f"ran out of memory on {where} in {precision}",
        "memory": f"needs about {needed} on {where} in {precision}, and {free} are free",
        "main memory": f"must pass through the main memory on its way to {where}, which takes {needed} in {precision}, "
                       f"and {free} are free",
        "torchao": f"would fit on {where} in INT8 with the package torchao ({INT8})",
        "weights": f"is not on this machine ({model.hub_id}, {readable_size(model.download_bytes)})"
                   + ("" if advised else ": --models hub downloads it"),
    }[hindrance.kind]
