"""Where the weights of the real models come from: a folder of the reader's, the hub's cache, the hub or a mirror."""

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import UserError
from .hardware import readable_size

if TYPE_CHECKING:
    from .catalog import Model

DEADLINE = 15  # seconds for the hub's first answer

# What a model needs of a repository: settings and words, and the weights under their usual names, at the top or in
# the numbered folders of sentence-transformers. Other frameworks' weights and pictures stay where they are.
NEEDED = re.compile(r"(\d+_\w+/)?([\w.-]+\.(json|txt)|(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin))")


class DownloadError(UserError):
    """Weights that could not be fetched: nothing is wrong with the command."""

    status = 1


def find(model: "Model") -> Path | None:
    """The folder with the complete real weights on this machine, or None. It asks no network.

    The environment variable MULTIMODAL_WEIGHTS may name a folder that holds the model's files in a folder called as
    its hub id, with -- for / (openai--clip-vit-base-patch32), or as the last part of that. Then comes the hub's cache.

    Raises:
        UserError: MULTIMODAL_WEIGHTS names no folder, or what it holds for this model is not complete.
    """
    if own := os.environ.get("MULTIMODAL_WEIGHTS"):
        own = Path(own).expanduser()
        if not own.is_dir():
            raise UserError(f"MULTIMODAL_WEIGHTS names {own}, which is not a folder: correct it, or unset it.")
        for name in (model.hub_id.replace("/", "--"), model.hub_id.split("/")[-1]):
            if (own / name).is_dir():
                if lacking := missing(own / name):
                    raise UserError(f"{own / name} (from MULTIMODAL_WEIGHTS) is not complete, {', '.join(lacking)} "
                                    "missing: add that, or unset MULTIMODAL_WEIGHTS.")
                return own / name
    repository = cache_folder() / f"models--{model.hub_id.replace('/', '--')}"
    try:
        newest = (repository / "refs/main").read_text().strip()
    except OSError:
        newest = ""
    # The commit that main stands for goes first; an older one is as good where that is not complete.
    for snapshot in sorted(repository.glob("snapshots/*"), key=lambda folder: folder.name != newest):
        if not missing(snapshot):
            return snapshot
    return None


def missing(folder: Path) -> list[str]:
    """What a model's folder lacks to be loaded, in words; empty if it is complete.

    A folder of sentence-transformers (with modules.json) is judged by the folder of its first module.
    """
    try:
        if (folder / "modules.json").is_file():
            folder = folder / json.loads((folder / "modules.json").read_text(encoding="utf-8"))[0]["path"]
    except (ValueError, LookupError):
        return ["a readable modules.json"]
    has = {path.name for path in folder.glob("*") if path.is_file()}
    lacking = []
    if "config.json" not in has:
        lacking.append("config.json")
    if not has & {"preprocessor_config.json", "processor_config.json"}:
        lacking.append("preprocessor_config.json")
    if not (has & {"tokenizer.json", "vocab.txt"} or {"vocab.json", "merges.txt"} <= has):
        lacking.append("the tokenizer's vocabulary")
    for name in ("model.safetensors", "pytorch_model.bin"):
        shards = [name]
        if name not in has and (index := f"{name}.index.json") in has:
            try:
                weight_map = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
            except (ValueError, LookupError):
                return [*lacking, f"a readable {index}"]
            shards = sorted(set(weight_map.values()))
        if has.intersection(shards):
            return lacking + [shard for shard in shards if shard not in has or not _whole(folder / shard)]
    return [*lacking, "model.safetensors"]


def fetch(model: "Model") -> Path:
    """Download the real weights into the hub's cache, unless they are there, and return their folder.

    HF_ENDPOINT (a mirror), HF_HUB_OFFLINE and HF_HUB_ETAG_TIMEOUT (seconds) count, as everywhere.

    Raises:
        DownloadError: No network, no answer, no such model on the mirror, or no room on the disk.
    """
    if folder := find(model):
        return folder
    from huggingface_hub import HfApi, constants, is_offline_mode, snapshot_download

    if is_offline_mode():
        raise DownloadError(f"{model.hub_id} is not on this machine and HF_HUB_OFFLINE forbids fetching it: unset it, "
                            f"or {_other_ways(model)}.")
    try:
        repository = _within(DEADLINE, lambda: HfApi().model_info(
            model.hub_id, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT))
        sizes = {file.rfilename: file.size for file in repository.siblings if NEEDED.fullmatch(file.rfilename)}
        if any(name.endswith(".safetensors") for name in sizes):
            sizes = {name: size for name, size in sizes.items() if not name.endswith(".bin")}
    except Exception as error:  # not only OSError: the errors of the http library under it are of no common kind
        raise _failure(model, error) from error

    cache = cache_folder()
    snapshot = cache / f"models--{model.hub_id.replace('/', '--')}" / "snapshots" / str(repository.sha)
    to_come = [size for name, size in sizes.items() if not (snapshot / name).is_file()]
    # Some mirrors do not tell sizes.
    size = model.weights_bytes if None in to_come else sum(to_come)
    disk = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(disk).free
    print(f"Downloading {model.hub_id} from {constants.ENDPOINT}: {readable_size(size)} in {len(to_come)} files; "
          f"{readable_size(free)} free in {disk}.", flush=True)
    if free < 1.02 * size:
        raise DownloadError(f"{disk} has {readable_size(free)} free and {model.hub_id} needs {readable_size(size)}: "
                            "make room, or name a folder on a larger disk in HF_HOME, or run the small model with "
                            "--models embedded.")
    try:
        folder = Path(snapshot_download(model.hub_id, cache_dir=cache, allow_patterns=list(sizes)))
    except Exception as error:
        raise _failure(model, error) from error
    if lacking := missing(folder):
        raise _failure(model, f"{', '.join(lacking)} missing there")
    return folder


def cache_folder() -> Path:
    """The hub's cache: where huggingface_hub keeps it, found without importing that."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    folder = (os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub"))
    return Path(os.path.expandvars(os.path.expanduser(folder)))


def _whole(file: Path) -> bool:
    """Whether a file of weights is as long as it says, and not the pointer that git leaves where LFS is missing."""
    with file.open("rb") as stream:
        start = stream.read(8)
        if file.suffix != ".safetensors":
            return start not in (b"", b"version ")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or 8 + length > file.stat().st_size:
            return False
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return False
    return file.stat().st_size == 8 + length + max(
        (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)


def _within(seconds: float, function: Callable):
    """The result of function(), or TimeoutError.

    A timeout of http counts for each address of a host anew and not for looking up its name, so that a network that
    drops packets could keep us waiting for minutes.
    """
    outcome = []

    def work() -> None:
        try:
            outcome.append((function(), None))
        except Exception as error:  # noqa: BLE001 - it is raised again below, in the thread that waits
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds} seconds")
    result, error = outcome[0]
    if error:
        raise error
    return result


def _failure(model: "Model", why: Exception | str) -> DownloadError:
    """One sentence on what went wrong and the ways out."""
    from huggingface_hub import constants

    if isinstance(why, Exception):
        text = str(why.__cause__ or why).strip() or type(why).__name__
        why = text.splitlines()[0]
    return DownloadError(f"{model.hub_id} could not be fetched from {constants.ENDPOINT} ({why}): try the mirror "
                         f"HF_ENDPOINT=https://hf-mirror.com, or {_other_ways(model)}.")


def _other_ways(model: "Model") -> str:
    return (f"put its files into FOLDER/{model.hub_id.replace('/', '--')} and set MULTIMODAL_WEIGHTS=FOLDER, or run "
            "the small model with --models embedded")
