"""Where the weights of the real models come from: a folder of the reader's, the hub's cache, the hub or a mirror.

    python -m multimodal.weights list | fetch NAME... | check | where
"""

import argparse
import json
import os
import re
import sys
import traceback
import zipfile
from importlib.metadata import version
from pathlib import Path
from pickle import PickleError

from . import UserError
from .hardware import readable_size
from .models import CHECKPOINTS, LESSONS, MODELS, Model
from .terminal import explain

TRANSFORMERS = ">=5.23,<6"  # the versions that the pinned commits of the catalogue go with, as in requirements.txt

# What a model needs of a repository: settings and words, and the weights under their usual names, at the top or in
# the numbered folders of sentence-transformers. Other frameworks' weights and pictures stay where they are.
NEEDED = re.compile(r"(\d+_\w+/)?([\w.-]+\.(json|txt|jinja)|(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin))")

# The settings among them that libraries read; somebody's training log need not be in order.
SETTINGS = re.compile(r"(\d+_\w+/)?(config|(video_)?preprocessor_config|processor_config|generation_config|tokenizer|"
                      r"tokenizer_config|vocab|added_tokens|special_tokens_map|chat_template|modules|"
                      r"(sentence_bert_config|config_sentence_transformers)|[\w.]+\.index)\.json")
# Numbers that older files hold and newer versions of transformers compute.
BUFFERS = re.compile(r"(position_ids|inv_freq|masked_bias|relative_position_index|num_batches_tracked)$")


def find(model: Model) -> Path | None:
    """The folder with the complete real weights on this machine, or None. It asks no network.

    The environment variable MULTIMODAL_WEIGHTS (the lessons' --weights) may name a folder that holds the model's files
    in a folder called as its hub id, with -- for / (openai--clip-vit-base-patch32), or as the last part of that; or it
    may be that folder. Then comes the hub's cache.

    Raises:
        UserError: MULTIMODAL_WEIGHTS names no folder, or one without models, or this model is not complete there.
    """
    folders = _own_folders()
    for name in _folder_names(model):
        if folder := folders.get(name):
            if lacking := missing(folder):
                raise UserError(f"{folder} (from MULTIMODAL_WEIGHTS or --weights) is not complete: "
                                f"{', '.join(lacking)}. Mend that, or leave the folder out.")
            return folder
    repository = _repository(model)
    try:
        newest = (repository / "refs/main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):  # not there, or unreadable
        newest = ""
    # The pinned commit goes first, then the one that main stands for; another is as good where these are not complete.
    for snapshot in sorted(repository.glob("snapshots/*"),
                           key=lambda folder: (folder.name != model.revision, folder.name != newest)):
        if not missing(snapshot):
            return snapshot
    return None


def watch_loading() -> None:
    """From here on `from_pretrained` says in a sentence what is wrong with weights, and is frugal with memory.

    In FP32 the file itself, mapped into memory, is the weights. In another precision each tensor is converted as it is
    read, and loading takes little more memory than the model: on Linux and macOS transformers would map the file, so
    that all that is read of it counts until somebody needs the room; here it reads tensor by tensor, as it does on
    Windows. And the C library of most Linux systems keeps freed blocks of up to 32 MB for later: blocks of two sizes
    alternate while tensors are converted, and what was kept between them came to 3 GB for BLIP-2 in INT8. While weights
    are loaded it gives them back.

    Raises (from `from_pretrained`):
        UserError: The weights are damaged, do not belong to their configuration, or are not this model's.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import PreTrainedModel, modeling_utils
    from transformers.utils import logging

    library, mapping = PreTrainedModel.from_pretrained.__func__, modeling_utils.safe_open
    if library.__module__ == __name__:  # it watches already
        return

    def read(*arguments, **options):
        return mapping(*arguments, **options | ({"backend": "pread"} if "backend" in options else {}))

    def from_pretrained(cls, path, *arguments, **options):
        frugal = options.get("dtype") not in (None, "float32", torch.float32)
        # The small models load in a blink; the real ones are worth a bar.
        hide_bar = Path(path).parent == CHECKPOINTS and logging.is_progress_bar_enabled()
        try:
            if hide_bar:
                logging.disable_progress_bar()
            if frugal:
                modeling_utils.safe_open = read
                _keep_freed_blocks(2**20)
            wanted = options.pop("output_loading_info", False)
            model, found = library(cls, path, *arguments, output_loading_info=True, **options)
            check_loaded(model, path, found)
            return (model, found) if wanted else model
        except (RuntimeError, ValueError, LookupError, PickleError, SafetensorError) as error:
            if "memory" in str(error):  # which ran out: `terminal.out_of_memory` knows it
                raise
            raise UserError(f"The weights in {path} cannot be loaded, as they are damaged or do not belong to "
                            "their config.json: `python -m multimodal.weights check` compares files that were fetched "
                            "with their hashes; --debug shows what the library says.") from error
        finally:
            if hide_bar:
                logging.enable_progress_bar()
            if frugal:
                modeling_utils.safe_open = mapping
                # What the library itself comes to in the long run, and faster for a model at work.
                _keep_freed_blocks(2**25)

    from_pretrained.__module__ = __name__
    PreTrainedModel.from_pretrained = classmethod(from_pretrained)


def check_loaded(model, path: str | Path, found: dict | None = None) -> None:
    """See to it that a model runs on the weights of its files and on nothing else.

    transformers fills what a file lacks with random numbers and goes on, and a download that was interrupted may have
    left zeros. Each number is looked at once; with that, loading CLIP ViT-B/32 took 0.5 s in FP32 on two cores.

    Args:
        model: Any torch module.
        path: Where its weights came from.
        found: What transformers' `output_loading_info` says of missing, unexpected and mismatched tensors.

    Raises:
        UserError: Tensors are missing or superfluous, have another shape, are no numbers, or are all zero.
    """
    import torch

    wrong = {what: sorted(str(name) for name in (found or {}).get(f"{what}_keys", ()) if not BUFFERS.search(str(name)))
             for what in ("missing", "unexpected", "mismatched")}
    wrong |= {"not finite": [], "all zero": []}
    for name, tensor in model.named_parameters():
        if type(tensor.data) is torch.Tensor and tensor.is_floating_point() and tensor.numel():  # not those of INT8
            low, high = torch.aminmax(tensor.data)
            if not torch.isfinite(low + high):
                wrong["not finite"].append(name)
            elif tensor.ndim > 1 and low == high == 0:
                wrong["all zero"].append(name)
    for what, names in wrong.items():
        if names:
            raise UserError(f"The weights in {path} are not those of the model: {what}: {names[0]}"
                            + (f" and {len(names) - 1} more tensors" if len(names) > 1 else "")
                            + ". Get them again; `python -m multimodal.weights check` compares fetched files with "
                            "their hashes.")


def _keep_freed_blocks(size: int) -> None:
    """Let the C library keep freed blocks of memory up to a size in bytes. Only glibc can be told; others need not."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):
        return
    mallopt(-3, size)  # M_MMAP_THRESHOLD
    mallopt(-1, 2 * size)  # M_TRIM_THRESHOLD


def missing(folder: Path) -> list[str]:
    """What keeps the files in a folder from being a whole model, in words for each of them; empty if nothing does.

    A folder of sentence-transformers (with modules.json) is judged by the folders of its modules. Only files that the
    model needs are looked at: they must be there, links must lead somewhere, settings and vocabularies must be JSON,
    and weights must have their length.
    """
    def needs(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        return bool(SETTINGS.fullmatch(name) if path.suffix == ".json" else NEEDED.fullmatch(name))

    wrong = []
    for path in sorted(filter(needs, folder.rglob("[!.]*"))):
        if path.is_symlink() and not path.exists():
            wrong.append(f"{path.name} is missing (a link that leads nowhere)")
        elif path.suffix == ".json":
            wrong += _unreadable_json(path)
    if wrong:
        return wrong
    if not (folder / "modules.json").is_file():
        return _missing_model(folder)
    try:
        first, *others = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        dense = [folder / module["path"] for module in others if module["type"].endswith("Dense")]
        return _missing_model(folder / first["path"]) + [f"{path.name}/{file}" for path in dense
                                                         for file in _missing_weights(path)]
    except (ValueError, LookupError, TypeError):
        return ["modules.json does not list the model's modules"]


def _unreadable_json(path: Path) -> list[str]:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [f"{path.name} cannot be read ({error.strerror})"]
    except ValueError:
        return [f"{path.name} is {'empty' if not path.stat().st_size else 'damaged or cut short'}"]
    return []


def _missing_model(folder: Path) -> list[str]:
    has = {path.name for path in folder.glob("*") if path.is_file()}
    lacking = []
    text_only = False
    if "config.json" not in has:
        lacking.append("config.json is missing")
    else:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        # The multilingual text tower; everything else sees.
        text_only = isinstance(settings, dict) and settings.get("model_type") == "distilbert"
    if not text_only and not has & {"preprocessor_config.json", "processor_config.json"}:
        lacking.append("preprocessor_config.json is missing")
    if not (has & {"tokenizer.json", "vocab.txt"} or {"vocab.json", "merges.txt"} <= has):
        lacking.append("the tokenizer's vocabulary is missing")
    return lacking + _missing_weights(folder)


def _missing_weights(folder: Path) -> list[str]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        shards = [name]
        if not (folder / name).is_file() and (index := folder / f"{name}.index.json").is_file():
            try:
                weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
                shards = sorted(set(weight_map.values()))
            except (ValueError, LookupError, TypeError, AttributeError):
                return [f"{index.name} does not list the files of weights"]
        if any((folder / shard).is_file() for shard in shards):
            return [wrong for shard in shards if (wrong := _wrong_weights(folder / shard))]
    return ["model.safetensors is missing"]


def _wrong_weights(file: Path) -> str:
    """What is wrong with a file of weights, in words; "" if it is as long as it says."""
    if not file.is_file():
        return f"{file.name} is missing"
    try:
        return "" if _whole(file) else f"{file.name} is cut short, or not a file of weights"
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror})"


def fetch(model: Model) -> Path:
    """Download the real weights into the hub's cache, unless they are there, and return their folder.

    HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE and HF_HUB_DOWNLOAD_TIMEOUT (seconds) count, as everywhere.

    Raises:
        DownloadError: No network, no answer, no such model on the mirror, no room on the disk, or wrong files.
    """
    folder = find(model)
    if folder and (folder.parent.name != "snapshots" or folder.name == model.revision):
        return folder
    from huggingface_hub import constants, is_offline_mode

    from .download import DownloadError, Failed, snapshot

    other_ways = (f"put its files into FOLDER/{model.hub_id.replace('/', '--')} and set MULTIMODAL_WEIGHTS=FOLDER, or "
                  "run the small model with --models embedded")
    if is_offline_mode():
        if folder:  # another commit than the pinned one
            return folder
        raise DownloadError(f"{model.hub_id} is not on this machine and HF_HUB_OFFLINE forbids fetching it: unset it, "
                            f"or {other_ways}.")
    try:
        folder = snapshot(model.hub_id, model.revision, needed, cache_folder())
        if lacking := missing(folder):
            raise Failed(f"it is not complete there: {', '.join(lacking)}")
    except Failed as error:
        raise DownloadError(f"{model.hub_id} could not be fetched from {constants.ENDPOINT} ({error}): try another "
                            f"mirror, as HF_ENDPOINT=https://hf-mirror.com, or {other_ways}.") from error
    return folder


def needed(names: list[str]) -> list[str]:
    """Which files of a repository to fetch: pickles (.bin) only into a folder that has no safetensors."""
    names = [name for name in names if NEEDED.fullmatch(name)]
    safe = {Path(name).parent for name in names if name.endswith(".safetensors")}
    return [name for name in names if Path(name).parent not in safe or not re.search(r"\.bin(\.index\.json)?$", name)]


def cache_folder() -> Path:
    """The hub's cache: where huggingface_hub keeps it, found without importing that."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    folder = (os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub"))
    return Path(os.path.expandvars(os.path.expanduser(folder)))


def _own_folders() -> dict[str, Path]:
    """The folders in MULTIMODAL_WEIGHTS, and that itself, by their names; none if it is not set.

    Raises:
        UserError: It is no folder, or there is no model in it.
    """
    if not (own := os.environ.get("MULTIMODAL_WEIGHTS")):
        return {}
    own = Path(own).expanduser().absolute()  # a relative path might pass for the name of a repository
    if not own.is_dir():
        raise UserError(f"MULTIMODAL_WEIGHTS or --weights names {own}, which is not a folder: correct it, or leave it "
                        "out.")
    folders = {folder.name: folder for folder in (own, *own.iterdir()) if folder.is_dir()}
    if not folders.keys() & {name for model in MODELS.values() for name in _folder_names(model)}:
        raise UserError(f"{own} (from MULTIMODAL_WEIGHTS or --weights) holds no model of this chapter: a model's files "
                        "go into a folder there that is called as it is on the hub, clip-vit-base-patch32 or "
                        "openai--clip-vit-base-patch32 for CLIP.")
    return folders


def _folder_names(model: Model) -> tuple[str, str]:
    """What a folder of the reader's with the model's files may be called."""
    return model.hub_id.replace("/", "--"), model.hub_id.split("/")[-1]


def _repository(model: Model) -> Path:
    return cache_folder() / f"models--{model.hub_id.replace('/', '--')}"


def _whole(file: Path) -> bool:
    """Whether a file of weights is as long as it says, and not the pointer that git leaves where LFS is missing."""
    with file.open("rb") as stream:
        start = stream.read(8)
        if file.suffix != ".safetensors":
            # PyTorch's archives are zip files, whose list of contents comes last.
            return zipfile.is_zipfile(file) if start[:2] == b"PK" else start not in (b"", b"version ")
        length = int.from_bytes(start, "little")
        if len(start) < 8 or 8 + length > file.stat().st_size:
            return False
        try:
            header = json.loads(stream.read(length))
        except ValueError:
            return False
    return file.stat().st_size == 8 + length + max(
        (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)


def _begun(model: Model) -> int:
    """Bytes of a download that was interrupted."""
    return sum(part.stat().st_size for part in _repository(model).glob("blobs/*.part"))


def _list(models: dict[str, Model]) -> int:
    print(f"{'name':24}{'repository':51}{'weights':>9}  {'licence':13}{'commit':9}on this machine")
    for model in models.values():
        folder, lacking = _found(model)
        if folder and folder.parent.name == "snapshots":
            here = "yes" if folder.name == model.revision else f"yes, at {folder.name[:7]}"
        else:
            here = ("yes" if folder else "not complete" if lacking else
                    f"{readable_size(size)} of it" if (size := _begun(model)) else "no")
        size = f"{'' if model.stored else '~'}{readable_size(model.download_bytes)}"
        print(f"{model.key:24}{model.hub_id:51}{size:>9}  {model.licence:13}"
              f"{model.revision[:7]:9}{here}")
    print(f"The commits go with transformers {TRANSFORMERS}; here is {version('transformers')}. A model needs its "
          "configuration (*.json), its\nwords (tokenizer.json, or vocab.* and merges.txt) and model*.safetensors, or "
          "pytorch_model*.bin where there is none.\n`fetch NAME` says how many files and bytes that is before it "
          "begins (~: as many bytes as it has parameters in FP32).")
    return 0


def _found(model: Model) -> tuple[Path | None, UserError | None]:
    """What `find` returns, or what it raises."""
    try:
        return find(model), None
    except UserError as error:
        return None, error


def _where(models: dict[str, Model]) -> int:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    print(f"1. a folder of yours  {os.environ.get('MULTIMODAL_WEIGHTS') or 'none (--weights or MULTIMODAL_WEIGHTS)'}")
    print(f"2. the hub's cache    {cache_folder()} (HF_HOME or HF_HUB_CACHE move it)")
    print(f"3. downloads          from {os.environ.get('HF_ENDPOINT') or 'https://huggingface.co'} (HF_ENDPOINT)"
          + (", but HF_HUB_OFFLINE forbids them" if offline else ""))
    for model in models.values():
        folder, lacking = _found(model)
        if folder or lacking:
            print(f"{model.key:24}{folder or lacking}")
    return 0


def _check(models: dict[str, Model]) -> int:
    """Read every file of the weights that are here; 1 if one is not what the hub listed when it was fetched."""
    from .download import Progress, matches

    status, some = 0, False
    for model in models.values():
        folder, lacking = _found(model)
        if lacking:
            print(f"{model.key}: {lacking}")
            status, some = 1, True
            continue
        if not folder:
            if size := _begun(model):
                print(f"{model.key}: {readable_size(size)} of an interrupted download; fetch {model.key} goes on")
            continue
        some = True
        # In the hub's cache a file is a link, and what it leads to is named after its hash. A reader's links may lead
        # anywhere.
        links = {file: Path(os.readlink(file)).name for file in sorted(folder.rglob("*")) if file.is_symlink()}
        hashes = {file: name for file, name in links.items() if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name)}
        progress = Progress(sum(file.stat().st_size for file in hashes))
        damaged = [file for file, digest in hashes.items() if not matches(file, digest, progress)]
        progress.clear()
        for file in damaged:
            print(f"{model.key}: {file.name} is damaged; delete {file.resolve()}, then fetch {model.key}")
            status = 1
        if not damaged:
            print(f"{model.key}: complete, " + (f"{len(hashes)} files with the right hashes" if hashes else
                  "but nothing here tells which hashes its files should have") + f", in {folder}")
    if not some:
        print("No weights of the real models are on this machine: `fetch NAME` downloads some.")
    return status


def main(arguments: list[str] | None = None) -> int:
    """The command `python -m multimodal.weights`; its exit code."""
    debug = argparse.ArgumentParser(add_help=False)  # before the command or after it
    debug.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                       help="show the traceback when something fails")
    parser = argparse.ArgumentParser(prog="python -m multimodal.weights", description="The weights of the real models.",
                                     parents=[debug])
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("list", parents=[debug],
                        help="the models: size, licence, commit, and whether they are on this machine")
    names = commands.add_parser("fetch", parents=[debug],
                                help="download models, going on where an earlier download stopped")
    names.add_argument("names", nargs="+", metavar="NAME",
                       help=f"a name that `list` shows, or all: {', '.join(LESSONS)}")
    commands.add_parser("check", parents=[debug],
                        help="read the files that are here and compare them with their hashes")
    commands.add_parser("where", parents=[debug], help="where weights are looked for, and where they were found")
    options = parser.parse_args(arguments)
    try:
        _own_folders()  # what is wrong with all of them is said once
        if options.command != "fetch":
            return {"list": _list, "check": _check, "where": _where}[options.command](MODELS)
        keys = [key for name in options.names for key in (LESSONS if name == "all" else [name])]
        for key in keys:
            if key not in MODELS:
                raise UserError(f"There is no model {key}: take one of {', '.join(MODELS)}, or all.")
        for key in dict.fromkeys(keys):
            print(f"{key}: complete, in {fetch(MODELS[key])}", flush=True)
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if "debug" in options:
            traceback.print_exc()
        sentence, status = explain(error)
        print(f"error: {sentence}", file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main())
