"""The choice of model, device and precision; what the machine has; where weights are found (fetched: test_weights)."""

import io
import itertools
import os
import subprocess
import sys
import time
import zipfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from hub import BLIP2_FILES, CLIP_FILES, SBERT_FILES, TEXT_FILES, safetensors

from multimodal import UserError, catalog, hardware, images, weights
from multimodal.catalog import decide
from multimodal.hardware import Machine
from multimodal.models import CHECKPOINTS, GB, LESSONS, MODELS

ROOT = Path(__file__).parents[1]
EVERYTHING = frozenset(MODELS)

# Free memory as such machines report it: a card sold with 8 GB has 8.6e9 bytes, some of them taken.
MACHINES = {
    "old laptop": Machine("cpu", "Core i3", 2, 1 * GB, 0, False),
    "laptop": Machine("cpu", "Core i5", 4, 3 * GB, 0, False),
    "desktop": Machine("cpu", "Ryzen 5", 6, 12 * GB, 0, False),
    "server": Machine("cpu", "Xeon with AMX", 32, 200 * GB, 0, True),
    "2 GB card": Machine("cuda", "GeForce MX130", 4, 6 * GB, int(1.9 * GB), False),
    "2 GB card, little RAM": Machine("cuda", "GeForce MX130", 4, 1 * GB, int(1.9 * GB), False),
    "full card": Machine("cuda", "Tesla V100", 16, 60 * GB, int(0.1 * GB), True),
    "4 GB card": Machine("cuda", "GTX 1650", 6, 10 * GB, int(3.8 * GB), False),
    "6 GB card": Machine("cuda", "RTX 2060", 6, 10 * GB, int(5.6 * GB), False),
    "8 GB card": Machine("cuda", "RTX 3070", 8, 20 * GB, int(8.16 * GB), False),
    "8 GB card, half used": Machine("cuda", "RTX 3070", 8, 20 * GB, int(4.5 * GB), True),
    "8 GB card, little RAM": Machine("cuda", "RTX 3070", 8, 6 * GB, int(8.16 * GB), False),
    "16 GB card": Machine("cuda", "RTX 4080", 16, 50 * GB, int(16.3 * GB), True),
    "MacBook Air": Machine("mps", "Apple M1", 8, 5 * GB, 5 * GB, False),
    "Mac Studio": Machine("mps", "Apple M2 Max", 12, 24 * GB, 24 * GB, False),
    "Intel GPU": Machine("xpu", "Arc A770", 8, 20 * GB, 15 * GB, False),
}

MACHINES |= {f"{name}, torchao": replace(machine, int8=True) for name, machine in MACHINES.items()}

# model asked for, machine, options, what is chosen, and the better candidates with what stood in their way
DECISIONS = [
    # Real models on CPUs: the memory decides, then bf16 in hardware.
    ("clip", "desktop", {"models": "hub"}, ("clip", "hub", "cpu", "fp32"), ""),
    ("clip", "server", {"models": "hub"}, ("clip", "hub", "cpu", "bf16"), ""),
    ("sbert-clip", "laptop", {"models": "hub"}, ("sbert-clip", "hub", "cpu", "fp32"), ""),
    ("clip", "old laptop", {"models": "hub"}, ("clip", "embedded", "cpu", "fp32"), "clip:cpu:fp32 memory"),
    ("blip", "laptop", {"models": "hub"}, ("blip", "embedded", "cpu", "fp32"),
     "blip:cpu:fp32 memory, blip:cpu:int8 memory"),
    ("blip", "desktop", {"models": "hub"}, ("blip", "hub", "cpu", "fp32"), ""),
    # On GPUs, in fp16; on the CPU where the GPU is too small.
    ("clip", "4 GB card", {"models": "hub"}, ("clip", "hub", "cuda", "fp16"), ""),
    ("clip", "2 GB card", {"models": "hub"}, ("clip", "hub", "cpu", "fp32"), "clip:cuda:fp16 memory"),
    ("clip", "2 GB card, little RAM", {"models": "hub"}, ("clip", "embedded", "cuda", "fp32"),
     "clip:cuda:fp16 memory, clip:cpu:fp32 memory"),
    ("blip", "6 GB card", {"models": "hub"}, ("blip", "hub", "cuda", "fp16"), ""),
    ("blip", "8 GB card, half used", {"models": "hub"}, ("blip", "hub", "cpu", "bf16"),
     "blip:cuda:fp16 memory, blip:cuda:int8 memory"),
    ("clip", "Mac Studio", {"models": "hub"}, ("clip", "hub", "mps", "fp16"), ""),
    ("blip", "MacBook Air", {"models": "hub"}, ("blip", "hub", "cpu", "fp32"), "blip:mps:fp16 memory"),
    ("blip", "Intel GPU", {"models": "hub"}, ("blip", "hub", "xpu", "fp16"), ""),
    # BLIP-2, then BLIP-VQA, then the small one.
    ("blip2", "16 GB card", {"models": "hub"}, ("blip2", "hub", "cuda", "fp16"), ""),
    ("blip2", "8 GB card", {"models": "hub"}, ("blip2", "hub", "cuda", "fp16"), ""),
    ("blip2", "8 GB card, little RAM", {"models": "hub"}, ("blip-vqa", "hub", "cuda", "fp16"),
     "blip2:cuda:fp16 main memory, blip2:cuda:int8 torchao"),
    ("blip2", "6 GB card", {"models": "hub"}, ("blip-vqa", "hub", "cuda", "fp16"),
     "blip2:cuda:fp16 memory, blip2:cuda:int8 torchao"),
    ("blip2", "server", {"models": "hub"}, ("blip-vqa", "hub", "cpu", "bf16"),
     "blip2:cpu:bf16 no GPU, blip2:cpu:int8 no GPU"),
    ("blip2", "2 GB card", {"models": "hub"}, ("blip-vqa", "hub", "cpu", "fp32"),
     "blip2:cuda:fp16 memory, blip2:cuda:int8 memory, blip-vqa:cuda:fp16 memory, blip-vqa:cuda:int8 memory, "
     "blip2:cpu:fp32 no GPU, blip2:cpu:int8 no GPU"),
    ("blip2", "laptop", {"models": "hub"}, ("blip2", "embedded", "cpu", "fp32"),
     "blip2:cpu:fp32 no GPU, blip2:cpu:int8 no GPU, blip-vqa:cpu:fp32 memory, blip-vqa:cpu:int8 torchao"),
    ("blip-vqa", "laptop", {"models": "hub"}, ("blip2", "embedded", "cpu", "fp32"),
     "blip-vqa:cpu:fp32 memory, blip-vqa:cpu:int8 torchao"),
    # auto takes what is on the machine and downloads nothing.
    ("clip", "desktop", {}, ("clip", "embedded", "cpu", "fp32"), "clip:cpu:fp32 weights"),
    ("clip", "server", {}, ("clip", "embedded", "cpu", "fp32"), "clip:cpu:bf16 weights"),
    ("clip", "16 GB card", {}, ("clip", "embedded", "cuda", "fp32"), "clip:cuda:fp16 weights, clip:cpu:bf16 weights"),
    ("clip", "desktop", {"present": EVERYTHING}, ("clip", "local weights", "cpu", "fp32"), ""),
    ("clip", "old laptop", {"present": EVERYTHING}, ("clip", "embedded", "cpu", "fp32"), "clip:cpu:fp32 memory"),
    ("clip", "desktop", {"models": "hub", "present": EVERYTHING}, ("clip", "local weights", "cpu", "fp32"), ""),
    ("clip", "desktop", {"models": "embedded", "present": EVERYTHING}, ("clip", "embedded", "cpu", "fp32"), ""),
    ("blip2", "desktop", {"present": {"blip-vqa", "blip2"}}, ("blip-vqa", "local weights", "cpu", "fp32"),
     "blip2:cpu:fp32 no GPU, blip2:cpu:int8 no GPU"),
    ("blip2", "16 GB card", {"present": {"blip-vqa"}}, ("blip-vqa", "local weights", "cuda", "fp16"),
     "blip2:cuda:fp16 weights, blip2:cuda:int8 torchao"),
    ("blip2", "desktop", {"present": {"blip2"}}, ("blip2", "embedded", "cpu", "fp32"),
     "blip2:cpu:fp32 no GPU, blip2:cpu:int8 no GPU, blip-vqa:cpu:fp32 weights, blip-vqa:cpu:int8 torchao"),
    ("blip-vqa", "desktop", {"models": "embedded"}, ("blip2", "embedded", "cpu", "fp32"), ""),
    ("clip", "full card", {}, ("clip", "embedded", "cpu", "fp32"),
     "clip:cuda:fp16 memory, clip:cpu:bf16 weights, small-clip:cuda:fp32 memory"),
    # --device and --dtype.
    ("clip", "16 GB card", {"models": "hub", "device": "cpu"}, ("clip", "hub", "cpu", "bf16"), ""),
    ("blip2", "16 GB card", {"models": "hub", "device": "cpu"}, ("blip-vqa", "hub", "cpu", "bf16"),
     "blip2:cpu:bf16 no GPU, blip2:cpu:int8 no GPU"),
    ("clip", "2 GB card", {"models": "hub", "device": "cuda"}, ("clip", "embedded", "cuda", "fp32"),
     "clip:cuda:fp16 memory"),
    ("clip", "full card", {"device": "cuda"}, ("clip", "embedded", "cuda", "fp32"), "clip:cuda:fp16 memory"),
    ("clip", "16 GB card", {"models": "hub", "dtype": "fp32"}, ("clip", "hub", "cuda", "fp32"), ""),
    ("clip", "desktop", {"models": "hub", "dtype": "bf16"}, ("clip", "hub", "cpu", "bf16"), ""),
    ("clip", "desktop", {"dtype": "fp16"}, ("clip", "embedded", "cpu", "fp16"), "clip:cpu:fp16 weights"),
    # Those for comparison: a smaller one stands in, then the small twin of its kind.
    ("clip-large", "desktop", {"models": "hub"}, ("clip-large", "hub", "cpu", "fp32"), ""),
    ("clip-large", "laptop", {"models": "hub"}, ("clip", "hub", "cpu", "fp32"), "clip-large:cpu:fp32 memory"),
    ("clip-large", "desktop", {"present": {"clip-large"}}, ("clip-large", "local weights", "cpu", "fp32"), ""),
    ("siglip2", "old laptop", {"models": "hub"}, ("siglip2", "embedded", "cpu", "fp32"), "siglip2:cpu:fp32 memory"),
    ("sbert-clip-multilingual", "desktop", {}, ("sbert-clip-multilingual", "embedded", "cpu", "fp32"),
     "sbert-clip-multilingual:cpu:fp32 weights"),
    ("blip-large", "laptop", {"models": "hub"}, ("blip-large", "embedded", "cpu", "fp32"),
     "blip-large:cpu:fp32 memory, blip-large:cpu:int8 torchao, blip:cpu:fp32 memory, blip:cpu:int8 memory"),
    ("blip2-flan", "16 GB card", {"models": "hub"}, ("blip2-flan", "hub", "cuda", "fp16"), ""),
    ("blip2-flan", "8 GB card", {"models": "hub"}, ("blip-vqa", "hub", "cuda", "fp16"),
     "blip2-flan:cuda:fp16 memory, blip2-flan:cuda:int8 torchao"),
    ("blip2-flan", "server", {"models": "hub"}, ("blip-vqa", "hub", "cpu", "bf16"),
     "blip2-flan:cpu:bf16 no GPU, blip2-flan:cpu:int8 no GPU"),
    ("smolvlm", "desktop", {}, ("smolvlm", "embedded", "cpu", "fp32"),
     "smolvlm:cpu:fp32 weights, smolvlm:cpu:int8 torchao"),
    ("blip2", "16 GB card", {"models": "hub", "dtype": "fp32"}, ("blip2", "hub", "cuda", "fp32"), ""),
    # INT8 where memory is short and torchao is installed, before a smaller model and before the CPU.
    ("blip2", "6 GB card, torchao", {"models": "hub"}, ("blip2", "hub", "cuda", "int8"), "blip2:cuda:fp16 memory"),
    ("blip2", "6 GB card", {"models": "hub"}, ("blip-vqa", "hub", "cuda", "fp16"),
     "blip2:cuda:fp16 memory, blip2:cuda:int8 torchao"),
    ("blip-vqa", "laptop, torchao", {"models": "hub"}, ("blip-vqa", "hub", "cpu", "int8"), "blip-vqa:cpu:fp32 memory"),
    ("clip", "old laptop, torchao", {"models": "hub"}, ("clip", "embedded", "cpu", "fp32"), "clip:cpu:fp32 memory"),
    ("clip", "laptop, torchao", {"models": "hub", "dtype": "int8"}, ("clip", "hub", "cpu", "fp32"), ""),
    ("blip2", "laptop, torchao", {"models": "embedded", "dtype": "int8"}, ("blip2", "embedded", "cpu", "int8"), ""),
    # Where memory ran out in spite of the table, one step lower; from the last one there is none.
    ("blip2", "8 GB card", {"models": "hub", "failed": {"blip2:cuda:fp16"}}, ("blip-vqa", "hub", "cuda", "fp16"),
     "blip2:cuda:fp16 ran out, blip2:cuda:int8 torchao"),
    ("blip2", "8 GB card, torchao", {"models": "hub", "failed": {"blip2:cuda:fp16"}}, ("blip2", "hub", "cuda", "int8"),
     "blip2:cuda:fp16 ran out"),
    ("clip", "4 GB card", {"models": "hub", "failed": {"clip:cuda:fp16"}}, ("clip", "hub", "cpu", "fp32"),
     "clip:cuda:fp16 ran out"),
    ("clip", "4 GB card", {"models": "embedded", "failed": {"small-clip:cuda:fp32"}},
     ("clip", "embedded", "cpu", "fp32"), "small-clip:cuda:fp32 ran out"),
    # Asked for by name: no stand-in, and a CPU will do where it has the memory.
    ("blip2", "server", {"models": "hub", "alone": True}, ("blip2", "hub", "cpu", "bf16"), ""),
    ("blip2", "desktop", {"models": "hub", "alone": True}, ("blip2", "embedded", "cpu", "fp32"),
     "blip2:cpu:fp32 memory, blip2:cpu:int8 torchao"),
    ("blip2", "desktop, torchao", {"models": "hub", "alone": True}, ("blip2", "hub", "cpu", "int8"),
     "blip2:cpu:fp32 memory"),
    ("clip-large", "4 GB card", {"models": "hub"}, ("clip", "hub", "cuda", "fp16"), "clip-large:cuda:fp16 memory"),
    ("clip-large", "4 GB card", {"models": "hub", "alone": True}, ("clip-large", "hub", "cpu", "fp32"),
     "clip-large:cuda:fp16 memory"),
    ("blip2", "8 GB card", {"models": "hub", "dtype": "fp32"}, ("blip-vqa", "hub", "cuda", "fp32"),
     "blip2:cuda:fp32 memory"),
]


@pytest.mark.parametrize("key, machine, options, expected, rejected", DECISIONS,
                         ids=[f"{key}-{machine}-{i}" for i, (key, machine, *_) in enumerate(DECISIONS)])
def test_decisions(key, machine, options, expected, rejected):
    choice = decide(key, MACHINES[machine], **options)
    assert (choice.key, choice.source, choice.device, choice.dtype_name) == expected, choice.reason
    assert ", ".join(f"{candidate} {obstacle.kind}" for candidate, obstacle in choice.rejected) == rejected


def test_every_combination_keeps_the_promises():
    reasons = set()
    for key, machine, models, device, dtype, present in itertools.product(
            MODELS, MACHINES.values(), ("auto", "hub", "embedded"), ("auto", "cpu", "gpu"),
            ("auto", "fp32", "fp16", "bf16", "int8"), (frozenset(), EVERYTHING)):
        if dtype == "int8" and not machine.int8 and MODELS[key].int8:
            continue
        device = machine.device if device == "gpu" else device
        choice = decide(key, machine, models, device, dtype, present)
        assert choice.device in (("cpu", machine.device) if device == "auto" else (device,))
        assert dtype in ("auto", choice.dtype_name) or dtype == "int8" and not MODELS[key].int8
        if models == "embedded":
            assert choice.source == "embedded"
        if models == "auto":
            assert choice.source != "hub"
        if choice.source == "embedded":
            assert Path(choice.path).parent == CHECKPOINTS and choice.name.startswith("small")
            assert choice.family == Path(choice.path).name
        else:
            assert (choice.path, choice.name) == (MODELS[choice.key].hub_id, MODELS[choice.key].name)
            assert choice.family == MODELS[choice.key].family
            free = machine.memory if choice.device == "cpu" else machine.device_memory
            assert free > catalog.BYTES[choice.dtype_name] * MODELS[choice.key].parameters
            assert choice.candidate == f"{choice.key}:{choice.device}:{choice.dtype_name}"
        # The reason names every model that was rejected, and what runs.
        for candidate, _ in choice.rejected:
            rejected = candidate.partition(":")[0]
            assert rejected.startswith("small-") or MODELS[rejected].name in choice.reason
        assert choice.name in choice.reason and choice.dtype_name.upper() in choice.reason
        assert choice.reason.count("--models hub") <= 1
        assert choice.reason.endswith(".") and "\n" not in choice.reason and "  " not in choice.reason
        reasons.add(choice.reason)
    assert len(reasons) > 100


def test_without_a_candidate_the_next_one_is_chosen_until_the_last():
    """What the runner does when memory runs out, from the top of the ladder to its foot."""
    failed = []
    while (choice := decide("blip2", MACHINES["16 GB card, torchao"], "hub", failed=failed)).candidate:
        assert choice.candidate not in failed
        failed.append(choice.candidate)
    assert failed == ["blip2:cuda:fp16", "blip2:cuda:int8", "blip-vqa:cuda:fp16", "blip-vqa:cuda:int8",
                      "blip-vqa:cpu:bf16", "blip-vqa:cpu:int8", "small-blip2:cuda:fp32"]
    assert (choice.source, choice.device) == ("embedded", "cpu")


def test_the_reason_says_what_it_takes():
    """Read as a whole, since nobody reads fragments."""
    assert decide("blip2", MACHINES["6 GB card"], "hub").reason == (
        "BLIP-2 OPT-2.7B needs about 8.08 GB on the GPU RTX 2060 in FP16, and 5.6 GB are free; it would fit on the GPU "
        "RTX 2060 in INT8 with the package torchao (pip install -r requirements-int8.txt). In its place "
        "BLIP-VQA-base runs on the GPU RTX 2060 in FP16, which halves the memory and is fast on a GPU: about 6 GB "
        "needed, 5.6 GB free. Its weights (1.54 GB) come from Salesforce/blip-vqa-base.")
    assert decide("clip", MACHINES["desktop"]).reason == (
        "CLIP ViT-B/32 is not on this machine (openai/clip-vit-base-patch32, 605 MB): --models hub downloads it. In "
        "its place the small CLIP runs on the CPU in FP32, so that its numbers are the same on every machine.")


@pytest.mark.parametrize("machine, device, has", [
    ("desktop", "cuda", "a CPU only"), ("MacBook Air", "cuda", "mps (Apple M1)"), ("16 GB card", "xpu", "RTX 4080")])
@pytest.mark.parametrize("models", ["auto", "embedded"])
def test_a_device_that_is_not_there(machine, device, has, models):
    with pytest.raises(UserError, match=f"no {device} device") as error:
        decide("clip", MACHINES[machine], models=models, device=device)
    assert has in str(error.value) and error.value.status == 2


def test_the_table_says_what_the_models_need():
    table = catalog.hardware_table()
    for row in ("| CLIP ViT-B/32 | 151,277,313 | CPU, 2 GB RAM | GPU, 4 GB VRAM | 605 MB | 303 MB | 1.1",
                "| BLIP-base | 223,971,644 | CPU, 4 GB RAM | GPU, 6 GB VRAM | 896 MB | 448 MB | 1.3",
                "| BLIP-2 OPT-2.7B | 3,744,761,856 | GPU, 8 GB VRAM | GPU, 16 GB VRAM | 15 GB | 7.7 GB | 8.4",
                "| CLIP ViT-L/14 | 427,616,513 | CPU, 4 GB RAM | GPU, 6 GB VRAM | 1.71 GB | 855 MB | |\n"):
        assert f"\n{row}" in table
    assert len(table.splitlines()) == 2 + len(MODELS)


def test_parameter_counts_are_those_of_the_architectures():
    """The library's default settings are those of the base models; on the meta device they need no memory."""
    import torch
    import transformers as hf

    opt = hf.OPTConfig(hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, ffn_dim=10240,
                       word_embed_proj_dim=2560, vocab_size=50304)
    with torch.device("meta"):
        built = {"clip": hf.CLIPModel(hf.CLIPConfig()), "blip": hf.BlipForConditionalGeneration(hf.BlipConfig()),
                 "blip-vqa": hf.BlipForQuestionAnswering(hf.BlipConfig()),
                 "blip2": hf.Blip2ForConditionalGeneration(hf.Blip2Config(text_config=opt))}
    for key, model in built.items():
        assert model.num_parameters() == MODELS[key].parameters


@pytest.mark.slow
def test_parameter_counts_of_the_models_for_comparison():
    import torch
    import transformers as hf

    large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    flan = hf.T5Config(vocab_size=32128, d_model=2048, d_ff=5120, num_layers=24, num_heads=32,
                       feed_forward_proj="gated-gelu")
    small_llama = hf.LlamaConfig(vocab_size=49280, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                                 num_attention_heads=9, num_key_value_heads=3)
    with torch.device("meta"):
        built = {
            "clip-large": hf.CLIPModel(hf.CLIPConfig(
                projection_dim=768, vision_config=large | {"patch_size": 14},
                text_config={"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12})),
            "sbert-clip-multilingual": hf.DistilBertModel(hf.DistilBertConfig(vocab_size=119547)),
            "siglip2": hf.SiglipModel(hf.SiglipConfig(text_config={"vocab_size": 256_000}, vision_config={})),
            "blip-large": hf.BlipForConditionalGeneration(hf.BlipConfig(
                vision_config=large, text_config={"encoder_hidden_size": 1024})),
            "blip2-flan": hf.Blip2ForConditionalGeneration(hf.Blip2Config(text_config=flan)),
            "smolvlm": hf.Idefics3ForConditionalGeneration(hf.Idefics3Config(
                scale_factor=4, tie_word_embeddings=False, text_config=small_llama,
                vision_config={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                               "num_attention_heads": 12, "image_size": 512, "patch_size": 16}))}
    # A projection without bias that sentence-transformers adds, and the head of Flan-T5, which the library ties to
    # the embeddings when it builds the model, though the file has one of its own.
    added = {"sbert-clip-multilingual": 768 * 512, "blip2-flan": 32128 * 2048}
    assert {key: model.num_parameters() + added.get(key, 0) for key, model in built.items()} == {
        key: MODELS[key].parameters for key in built}
    assert built.keys() == MODELS.keys() - set(LESSONS)


def test_revisions_are_commits_and_licences_are_told():
    for model in MODELS.values():
        assert len(model.revision) == 40 and int(model.revision, 16) and model.licence


@pytest.mark.parametrize("size, text", [
    (605_109_252, "605 MB"), (999_600_000, "1 GB"), (14_979_047_424, "15 GB"), (1_444_920_560, "1.44 GB"),
    (1_081_000_000_000, "1081 GB"), (0, "0 MB")])
def test_readable_sizes(size, text):
    assert hardware.readable_size(size) == text


def test_this_machine():
    import torch

    machine = hardware.detect()
    assert machine.device in ("cpu", "cuda", "mps", "xpu") and machine.device_name
    assert 1 <= machine.cores <= os.cpu_count()
    assert 10**8 < machine.memory < 10**14
    assert (machine.device_memory > 0) == (machine.device != "cpu")
    if machine.device != "cpu":
        torch.ones(2, device=machine.device).sum().item()


def test_peak_memory_grows_and_is_not_inherited():
    block = b"x" * 300_000_000
    # A program started by this one reports its own peak.
    before, after = map(int, run_python("from multimodal.hardware import peak_memory; print(peak_memory()); "
                                        "block = b'x' * 100_000_000; print(peak_memory())").stdout.split())
    assert 10**6 < before < 100e6 < after < len(block) < hardware.peak_memory()


def test_median_seconds_leaves_the_warm_up_out():
    calls = []

    def slow_at_first():
        calls.append(1)
        time.sleep(0.2 if len(calls) == 1 else 0.002)

    seconds = hardware.median_seconds(slow_at_first, repeats=3)
    assert len(calls) == 4
    assert 0.002 <= seconds < 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells by files, which can be made up")
@pytest.mark.parametrize("groups, files, expected", [
    ("", {}, 8_000_000 * 1024),
    ("0::/box\n", {"box/memory.max": 3 * GB, "box/memory.current": 2 * GB, "box/memory.stat": f"inactive_file {GB}\n"},
     2 * GB),
    ("0::/box/inner\n", {"box/inner/memory.max": "max", "box/inner/memory.current": 1, "box/inner/memory.stat": "",
                         "box/memory.max": 3 * GB, "box/memory.current": GB, "box/memory.stat": ""}, 2 * GB),
    ("0::/box\n", {"box/memory.max": "max", "box/memory.current": 1, "box/memory.stat": ""}, 8_000_000 * 1024),
    # A container often sees its own group at the base, under a path that does not exist inside.
    ("4:cpu,memory:/docker/0123\n", {"memory/memory.limit_in_bytes": GB, "memory/memory.usage_in_bytes": GB // 4,
                                     "memory/memory.stat": "total_inactive_file 0\n"}, 3 * GB // 4),
    ("4:memory:/docker/0123\n", {"memory/memory.limit_in_bytes": 9223372036854771712, "memory/memory.stat": "",
                                 "memory/memory.usage_in_bytes": GB // 4}, 8_000_000 * 1024),
])
def test_containers_limit_the_free_memory(tmp_path, groups, files, expected):
    contents = {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n", "proc/self/cgroup": groups,
                **{f"sys/fs/cgroup/{name}": str(text) for name, text in files.items()}}
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert hardware.available_memory(tmp_path) == expected


def test_free_memory_of_a_mac():
    report = ("Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:                    1000.\n"
              "Pages active:                 90000.\nPages inactive:                 200.\nPages speculative:    30.\n"
              "Pages purgeable:                  7.\n")
    assert hardware._free_pages(report) == 1230 * 16384


# Weights on this machine


def archive() -> bytes:
    """What torch.save leaves, as far as its outside goes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        content.writestr("pytorch_model/data.pkl", b"\x80\2}q\0.")
    return file.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def without(files: dict[str, bytes], name: str, **instead: bytes) -> dict[str, bytes]:
    return {key: content for key, content in files.items() if key != name} | {
        key.replace("__", "."): content for key, content in instead.items()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache; the call cache(model, files) puts a snapshot into it, as huggingface_hub does."""
    for name in ("MULTIMODAL_WEIGHTS", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def put(model, files, commit="0" * 39 + "1", main=True):
        repository = tmp_path / "home/hub" / f"models--{model.hub_id.replace('/', '--')}"
        if main:
            write(repository, {"refs/main": commit.encode()})
        return write(repository / "snapshots" / commit, files)
    return put


@pytest.mark.parametrize("key, files", [
    ("clip", CLIP_FILES), ("sbert-clip", SBERT_FILES), ("blip2", BLIP2_FILES),
    ("sbert-clip-multilingual", TEXT_FILES),
    ("sbert-clip-multilingual", TEXT_FILES | {"2_Dense/pytorch_model.bin": archive()}),
    ("blip", without(CLIP_FILES, "model.safetensors", pytorch_model__bin=archive())),
    ("blip", without(CLIP_FILES, "model.safetensors", pytorch_model__bin=b"\x80\2}q\0.")),  # as torch 1.5 saved
    ("blip", without(without(CLIP_FILES, "vocab.json"), "merges.txt", vocab__txt=b"[PAD]"))])
def test_complete_weights_are_found(cache, key, files):
    folder = cache(MODELS[key], files)
    assert weights.find(MODELS[key]) == folder
    assert all(weights.find(model) is None for model in MODELS.values() if model.key != key)


CUT = "model.safetensors is cut short, or not a file of weights"


@pytest.mark.parametrize("key, files, lacking", [
    ("clip", without(CLIP_FILES, "config.json"), "config.json is missing"),
    ("clip", without(CLIP_FILES, "preprocessor_config.json"), "preprocessor_config.json is missing"),
    ("clip", without(CLIP_FILES, "merges.txt"), "the tokenizer's vocabulary is missing"),
    ("clip", without(CLIP_FILES, "model.safetensors"), "model.safetensors is missing"),
    ("clip", CLIP_FILES | {"model.safetensors": safetensors()[:-1]}, CUT),
    ("clip", CLIP_FILES | {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"}, CUT),
    ("clip", CLIP_FILES | {"model.safetensors": b""}, CUT),
    ("clip", without(CLIP_FILES, "model.safetensors", pytorch_model__bin=b"version https://git-lfs"),
     "pytorch_model.bin is cut short, or not a file of weights"),
    ("clip", without(CLIP_FILES, "model.safetensors", pytorch_model__bin=archive()[:-20]),
     "pytorch_model.bin is cut short, or not a file of weights"),
    ("clip", CLIP_FILES | {"config.json": b'{"model'}, "config.json is damaged or cut short"),
    ("clip", CLIP_FILES | {"vocab.json": b'{"a": 1, "b'}, "vocab.json is damaged or cut short"),
    ("blip2", without(BLIP2_FILES, "model-00002-of-00002.safetensors"),
     "model-00002-of-00002.safetensors is missing"),
    ("blip2", BLIP2_FILES | {"model.safetensors.index.json": b'{"weight_map": '},
     "model.safetensors.index.json is damaged or cut short"),
    ("sbert-clip", without(SBERT_FILES, "0_CLIPModel/model.safetensors"), "model.safetensors is missing"),
    ("sbert-clip", without(SBERT_FILES, "modules.json"), "config.json is missing"),
    ("sbert-clip", SBERT_FILES | {"modules.json": b""}, "modules.json is empty"),
    ("sbert-clip-multilingual", without(TEXT_FILES, "2_Dense/model.safetensors"),
     "2_Dense/model.safetensors is missing"),
    ("sbert-clip-multilingual", without(TEXT_FILES, "tokenizer.json"), "the tokenizer's vocabulary is missing")])
def test_partial_weights_are_not_found(cache, key, files, lacking):
    folder = cache(MODELS[key], files)
    assert lacking in weights.missing(folder)
    assert weights.find(MODELS[key]) is None


def test_the_pinned_commit_comes_first_then_main_and_any_complete_one_will_do(cache):
    older = cache(MODELS["clip"], CLIP_FILES, commit="a" * 40, main=False)
    partial = cache(MODELS["clip"], without(CLIP_FILES, "config.json"), commit="b" * 40)
    assert weights.find(MODELS["clip"]) == older
    write(partial, CLIP_FILES)
    assert weights.find(MODELS["clip"]) == partial
    pinned = cache(MODELS["clip"], CLIP_FILES, commit=MODELS["clip"].revision, main=False)
    assert weights.find(MODELS["clip"]) == pinned


def test_a_folder_of_the_readers_own(cache, tmp_path, monkeypatch):
    own = tmp_path / "own"
    cache(MODELS["clip"], CLIP_FILES)
    clip = write(own / "openai--clip-vit-base-patch32", CLIP_FILES)
    blip = write(own / "blip-image-captioning-base", CLIP_FILES)
    monkeypatch.setenv("MULTIMODAL_WEIGHTS", str(own))
    assert (weights.find(MODELS["clip"]), weights.find(MODELS["blip"])) == (clip, blip)
    assert weights.find(MODELS["blip2"]) is None
    (blip / "config.json").unlink()
    with pytest.raises(UserError, match="blip-image-captioning-base .* is not complete: config.json is missing"):
        weights.find(MODELS["blip"])
    monkeypatch.setenv("MULTIMODAL_WEIGHTS", str(own / "nowhere"))
    with pytest.raises(UserError, match="MULTIMODAL_WEIGHTS or --weights names .*nowhere, which is not a folder"):
        weights.find(MODELS["clip"])


def test_choose_loads_from_the_folder_found(cache):
    folder = cache(MODELS["clip"], CLIP_FILES)
    for models in ("auto", "hub"):
        choice = catalog.choose("clip", Namespace(models=models, device="cpu", dtype="fp32"))
        assert (choice.path, choice.source, str(choice.dtype)) == (str(folder), "local weights", "torch.float32")


def test_a_model_asked_for_by_name(cache):
    options = Namespace(models="auto", device="cpu", dtype="fp32", model=["blip-large", "clip-large"])
    assert catalog.choose("clip", options).rejected == (("clip-large:cpu:fp32", catalog.Obstacle("weights")),)
    folder = cache(MODELS["clip-large"], CLIP_FILES)
    assert catalog.choose("clip", options).path == str(folder)
    assert catalog.choose("sbert-clip", options).source == "embedded"  # no name for this one


def test_what_ran_out_of_memory_is_not_tried_again(cache):
    cache(MODELS["clip"], CLIP_FILES)
    options = Namespace(models="auto", device="cpu", dtype="fp32")
    candidate = catalog.choose("clip", options).candidate
    choice = catalog.choose("clip", options, without=["blip:cpu:fp32", candidate])
    assert choice.source == "embedded" and choice.rejected == ((candidate, catalog.Obstacle("ran out")),)


def test_int8_needs_a_package():
    with pytest.raises(UserError, match="torchao, which is not installed: pip install -r requirements-int8.txt"):
        decide("blip2", MACHINES["desktop"], dtype="int8")
    assert (ROOT / "requirements-int8.txt").exists()


def test_int8_answers_as_fp32_does():
    import torch
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    pytest.importorskip("torchao")
    processor = Blip2Processor.from_pretrained(CHECKPOINTS / "blip2")
    answers = []
    for dtype in ("fp32", "int8"):
        choice = decide("blip2", MACHINES["laptop, torchao"], models="embedded", dtype=dtype)
        model = Blip2ForConditionalGeneration.from_pretrained(choice.path, dtype=choice.dtype,
                                                              quantization_config=choice.quantization).eval()
        inputs = processor(images=images.gallery()[0].image, text="Question: What is in the picture? Answer:",
                           return_tensors="pt").to(choice.device, choice.dtype)
        with torch.inference_mode():
            answers.append(model.generate(**inputs, max_new_tokens=8, do_sample=False).tolist())
    assert answers[0] == answers[1]
    assert type(model.language_model.model.decoder.layers[0].fc1.weight).__name__ == "Int8Tensor"


def test_batches_fit_the_free_memory(monkeypatch):
    choice = decide("blip", MACHINES["desktop"], models="hub")
    each = MODELS["blip"].picture_memory
    for free, expected in ((100 * GB, 16), (8 * each, 4), (each, 1), (0, 1)):
        monkeypatch.setattr(catalog, "free_memory", lambda device: free)
        assert choice.batch_size(16) == expected
    assert replace(choice, dtype_name="bf16").batch_size(16) == 1
    monkeypatch.setattr(catalog, "free_memory", lambda device: 8 * each)
    assert replace(choice, dtype_name="bf16").batch_size(16) == 8  # half the bytes, twice the pictures


def test_bf16_is_measured():
    began = time.perf_counter()
    fast = hardware.bf16_is_fast()
    assert time.perf_counter() - began < 2 and isinstance(fast, bool)


def test_a_gpu_whose_driver_does_not_tell_its_free_memory(monkeypatch):
    import torch

    def refuse(*_):
        raise RuntimeError("The device doesn't support querying the available free memory.")

    monkeypatch.setattr(torch.xpu, "mem_get_info", refuse)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda *_: Namespace(total_memory=3 * GB))
    monkeypatch.setattr(torch.xpu, "memory_reserved", lambda *_: GB)
    monkeypatch.setattr(hardware, "available_memory", lambda: 9 * GB)
    assert hardware.free_memory("xpu") == 2 * GB


def test_choose_says_when_an_embedded_model_is_missing(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "CHECKPOINTS", tmp_path)
    with pytest.raises(UserError, match="small CLIP in .* is not complete .*model.safetensors is missing"):
        catalog.choose("clip", Namespace(models="embedded", device="auto", dtype="auto"))


def test_looking_for_weights_is_quick(cache):
    began = time.perf_counter()
    assert not any(weights.find(model) for model in MODELS.values())
    assert time.perf_counter() - began < 0.05


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    dropped = ("HF_", "TRANSFORMERS_OFFLINE", "MULTIMODAL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(dropped)}
    return subprocess.run([sys.executable, "-c", code], check=False, env=kept | environment, cwd=ROOT, timeout=60,
                          capture_output=True, text=True)


def test_nothing_heavy_is_imported(tmp_path):
    result = run_python(
        "import sys; from multimodal import catalog, hardware, models, weights\n"
        "assert not any(weights.find(model) for model in models.MODELS.values())\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub', 'numpy') if name in sys.modules])",
        HF_HOME=str(tmp_path))
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("name", ["README.md", "README_CN.md"])
def test_the_readme_shows_the_hardware_table_of_the_code(name):
    assert catalog.hardware_table() in (Path(__file__).parent.parent / name).read_text(encoding="utf-8")
