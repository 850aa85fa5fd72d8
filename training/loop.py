"""The training loop that the scripts share: optimisers, schedule, checkpoints to resume from, a loss curve."""

import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from multimodal.hardware import bf16_is_fast

from .sprites import CACHE

CHECKPOINTS = Path(os.environ.get("TRAINING_OUTPUT", Path(__file__).parent.parent / "multimodal" / "checkpoints"))
SHARE = float(os.environ.get("TRAINING_SHARE", 1))  # of the steps of each run: set by `training.make --share`
SAVE_EVERY = 120  # seconds


class Run:
    """Counts the steps of one training run, updates the weights and can be killed at any time.

    Matrices are trained with Muon and everything else with AdamW: on these small models Muon reaches in four
    minutes what AdamW does not in eight. State is saved to `training/cache/NAME.pt` every two minutes; a run of
    the same name and length goes on from there.

    Args:
        name: Names the files.
        model: Trains the parameters that require a gradient.
        steps: Length of the whole run, shortened to `SHARE` of it; the rate warms up over its first 2% and then falls
            to zero along a cosine.
        rng: What draws the batches. Its state is saved too, so that a run that goes on does not see the same again.
        matrix_rate: Muon's learning rate.
        other_rate: AdamW's learning rate.
        after: Names of the runs whose weights this one begins with. If one of them has been trained since, it starts
            from its beginning.
    """

    def __init__(self, name: str, model: nn.Module, steps: int, rng: np.random.Generator, matrix_rate: float = 0.01,
                 other_rate: float = 1e-3, after: Sequence[str] = ()):
        self.name, self.model, self.rng = name, model, rng
        self.steps, self.step, self.seconds = share_of(steps), 0, 0.0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        matrices = [p for p in self.parameters if p.ndim == 2 and id(p) not in embeddings]
        others = [p for p in self.parameters if p.ndim != 2 or id(p) in embeddings]
        self.optimizers = [torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=0.01),
                           torch.optim.AdamW(others, lr=other_rate, weight_decay=0.01)]
        self.rates = [matrix_rate, other_rate]
        self.history: list[dict[str, float]] = []
        self.path = CACHE / f"{name}.pt"
        self.sums: dict[str, float] = {}
        self.since = self.saved = time.monotonic()
        trained = max([_modified(CACHE / f"{other}.pt") for other in after], default=0)
        if _modified(self.path) > trained:
            state = torch.load(self.path, weights_only=True)
            if state["steps"] != self.steps:
                raise SystemExit(f"{self.path} is of a run of {state['steps']:,} steps, this one has {self.steps:,}: "
                                 "go on with the share that it had (training.make --share, or TRAINING_SHARE), or "
                                 "delete it to train anew.")
            model.load_state_dict(state["model"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(saved)
            self.step, self.history, self.seconds = state["step"], state["history"], state["seconds"]
            rng.bit_generator.state = state["rng"]
        elif self.path.exists():
            print(f"{name}: begins anew, as {' or '.join(after)} has been trained since {self.path}")
        learned = sum(p.numel() for p in self.parameters)
        print(f"{name}: {learned:,} parameters learn, step {self.step} of {self.steps}", flush=True)

    def __iter__(self):
        if self.step >= self.steps:
            return
        while self.step < self.steps:
            yield self.step
            self.step += 1
        self.save(self.step)

    def update(self, loss: torch.Tensor, samples: int, **measures: float) -> None:
        """One optimiser step on `loss`; the measures are averaged over fifty steps and printed."""
        warmup = max(1, self.steps // 50)
        factor = min(1.0, (self.step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        for optimizer, rate in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        with nullcontext() if bf16_is_fast() else StayInFp32():
            for optimizer in self.optimizers:
                optimizer.step()
        for key, value in {"loss": loss.item(), **measures}.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value)
        if (self.step + 1) % 50 == 0:
            means = {key: total / 50 for key, total in self.sums.items()}
            self.history.append({"step": self.step + 1, **means})
            speed = 50 * samples / (time.monotonic() - self.since)
            said = "  ".join(f"{key} {value:.3f}" for key, value in means.items())
            print(f"{self.name} {self.step + 1}/{self.steps}  {said}  {speed:.0f} samples/s", flush=True)
            self.sums, self.since = {}, time.monotonic()
            if self.since - self.saved > SAVE_EVERY:
                self.save(self.step + 1)

    def save(self, step: int) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        now = time.monotonic()
        self.seconds, self.saved = self.seconds + now - self.saved, now
        part = self.path.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                    "step": step, "steps": self.steps, "seconds": self.seconds, "history": self.history,
                    "rng": self.rng.bit_generator.state}, part)
        part.replace(self.path)


def share_of(steps: int) -> int:
    return max(1, round(steps * SHARE))


def spent(name: str) -> str:
    """What a finished run took, as the model cards say it."""
    state = torch.load(CACHE / f"{name}.pt", weights_only=True)
    return f"`{name}` {state['step']:,} steps in {state['seconds'] / 60:.0f} minutes"


def cpu_name() -> str:
    """This CPU and how many of its threads torch uses, for what is measured on it."""
    return f"{torch.get_num_threads()} cores of this CPU: {torch.cpu.get_capabilities().get('cpu_name') or 'unknown'}"


def draw_losses(folder: Path, *names: str) -> None:
    """Save the loss curves of finished runs, side by side, as training_loss.png in `folder`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        history = torch.load(CACHE / f"{name}.pt", weights_only=True)["history"]
        axes.plot([point["step"] for point in history], [point["loss"] for point in history])
        axes.set(xlabel="step", ylabel="loss", title=f"{name}: training loss")
    figure.savefig(folder / "training_loss.png", dpi=80)


def _modified(path: Path) -> float:
    """When a file was last written; 0 if there is none."""
    return path.stat().st_mtime if path.exists() else 0


def speed_up(function: Callable) -> Callable:
    """A module or function of fixed shapes, compiled: its steps are about a fifth faster. Needs a C++ compiler."""
    return torch.compile(function) if shutil.which("g++") or shutil.which("clang++") else function


def mixed_precision() -> torch.autocast:
    """A context in which matrices are multiplied in bf16, on a CPU that is faster at it; elsewhere one in fp32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_fast())


class StayInFp32(TorchFunctionMode):
    """A context in which `Tensor.bfloat16` returns the tensor as it is.

    torch's Muon works in bf16 on every CPU. Where bf16 is emulated, its step takes fifty times as long as in fp32, far
    longer than the forward and the backward pass.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return args[0] if function is torch.Tensor.bfloat16 else function(*args, **(kwargs or {}))


def save_half(model: nn.Module, folder: Path) -> None:
    """Save a copy of a model in fp16 as safetensors: half the bytes, and the same answers."""
    import copy

    copy.deepcopy(model).half().save_pretrained(folder)
