"""What the real models take of this machine: memory and time at full size, without their weights.

Each model is built from its true configuration with random weights, which take the same memory and the same time as
trained ones, and runs the lessons' code path: processor, `get_image_features` or `generate`. Each model and precision
has a process of its own, so that its peak memory is its own. The number of new words is fixed, as random weights do
not know where to stop.

    python -m benchmarks.full_size                        CLIP, BLIP and BLIP-VQA
    python -m benchmarks.full_size blip2 --precision bf16
    python -m benchmarks.full_size clip --load            saved first, then loaded with from_pretrained, as in a lesson

INT8 is only measured so, as it comes about while weights are loaded (requirements-int8.txt). Beside the peak of all
memory stands that of private memory: what is mapped from a file of weights counts in the first and not in the second,
as the system drops it when it needs the room.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from multimodal import catalog, weights
from multimodal.hardware import detect, peak_memory, readable_size
from multimodal.models import CHECKPOINTS, MODELS

NEW_TOKENS = {"blip": 20, "blip-vqa": 8, "blip2": 8}
BATCH = {"clip": 16, "blip": 16, "blip-vqa": 16, "blip2": 4}
PICTURES = {"clip": 32, "blip": 32, "blip-vqa": 16, "blip2": 4}
# Seconds for one picture on an RTX 3080, as the first draft of this chapter gave them: not measured, and on a GPU.
DRAFT = {"clip": 0.010, "blip": 0.1, "blip2": 3.0}
DOES = {"clip": "embedding", "blip": f"caption of {NEW_TOKENS['blip']} tokens",
        "blip-vqa": f"answer of {NEW_TOKENS['blip-vqa']} tokens", "blip2": f"answer of {NEW_TOKENS['blip2']} tokens"}


def architecture(key: str) -> tuple:
    """The model's class, its true configuration, and a processor with the small twin's words and the true sizes."""
    import transformers as hf

    if key == "clip":
        processor = hf.CLIPProcessor.from_pretrained(CHECKPOINTS / "clip")
        processor.image_processor = hf.CLIPImageProcessor()
        return hf.CLIPModel, hf.CLIPConfig(), processor
    if key == "blip2":
        processor = hf.Blip2Processor.from_pretrained(CHECKPOINTS / "blip2")
        opt = hf.OPTConfig(hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, ffn_dim=10240,
                           word_embed_proj_dim=2560, vocab_size=50304)
        configuration = hf.Blip2Config(text_config=opt, num_query_tokens=32,
                                       image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"))
        processor.num_query_tokens = configuration.num_query_tokens
        processor.image_processor = hf.BlipImageProcessor(size={"height": 224, "width": 224})
        return hf.Blip2ForConditionalGeneration, configuration, processor
    processor = hf.BlipProcessor.from_pretrained(CHECKPOINTS / "blip")
    processor.image_processor = hf.BlipImageProcessor()
    model_class = hf.BlipForConditionalGeneration if key == "blip" else hf.BlipForQuestionAnswering
    return model_class, hf.BlipConfig(text_config={"num_attention_heads": 12}), processor


def build(model_class, configuration, precision: str):
    """A model with random weights, made in their precision: there is never a second copy of more than one layer."""
    import torch
    from transformers.initialization import no_init_weights

    torch.set_default_dtype(torch.bfloat16 if precision == "bf16" else torch.float32)
    with no_init_weights():  # Memory that nobody has written to is not there yet.
        model = model_class(configuration)
    torch.set_default_dtype(torch.float32)
    model.tie_weights()
    noise = 0.02 * torch.randn(2**20)

    def fill(module: torch.nn.Module) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() == 1:
                parameter.data.fill_(float(name == "weight"))  # of a normalisation; a bias is 0
                continue
            for part in parameter.data.view(-1).split(len(noise)):
                part.copy_(noise[:len(part)])

    for module in model.modules():
        fill(module)
    return model.eval()


class PrivateMemory(threading.Thread):
    """The peak of the memory that is this process's own, in bytes, looked at every few milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0
        self.start()

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            self.peak = max(self.peak, 1024 * int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]))
            time.sleep(0.005)


def measure(key: str, precision: str, folder: str | None = None) -> dict:
    """Runs in a process of its own. Takes the weights from a folder if there is one."""
    import warnings

    import torch

    from multimodal import images
    from multimodal.speedups import fuse_attention

    warnings.simplefilter("ignore")
    model_class, configuration, processor = architecture(key)
    choice = catalog.Choice(key, key, "", folder or "", "local weights", "cpu", precision, "")
    dtype = choice.dtype
    libraries, private = peak_memory(), PrivateMemory()
    began = time.perf_counter()
    if folder:
        weights.watch_loading()
        model = model_class.from_pretrained(folder, dtype=dtype, quantization_config=choice.quantization).eval()
    else:
        model = build(model_class, configuration, precision)
    seconds = time.perf_counter() - began
    loaded = peak_memory()
    pictures = [sample.image for sample in images.gallery()[:32]]

    @torch.inference_mode()
    def run(pictures: list) -> None:
        prompt = {"blip-vqa": "What is in the picture?", "blip2": "Question: What is in the picture? Answer:"}.get(key)
        words = {"text": [prompt] * len(pictures)} if prompt else {}
        inputs = processor(images=pictures, return_tensors="pt", **words).to(dtype=dtype)
        if key == "clip":
            output = model.get_image_features(**inputs).pooler_output
            assert output.shape == (len(pictures), 512)
        else:
            output = model.generate(**inputs, max_new_tokens=NEW_TOKENS[key], min_new_tokens=NEW_TOKENS[key],
                                    do_sample=False)
            assert output.shape[0] == len(pictures) and output.shape[1] >= NEW_TOKENS[key]

    run(pictures[:1])
    plain = one = [timed(lambda: run(pictures[:1])) for _ in range(3)]
    if key in ("blip", "blip-vqa"):  # as lessons 9.4 and 9.5 run it; `plain` is the library as it comes
        fuse_attention(model)
        one = [timed(lambda: run(pictures[:1])) for _ in range(3)]
    answering = peak_memory()

    def run_all() -> None:
        for start in range(0, PICTURES[key], BATCH[key]):
            run(pictures[start:start + BATCH[key]])

    passes = [timed(run_all) for _ in range(3)]
    return {"parameters": sum(parameter.numel() for parameter in model.parameters()), "seconds": seconds,
            "libraries": libraries, "loaded": loaded, "answering": answering, "batches": peak_memory(),
            "private": private.peak, "plain": plain, "one": sorted(one),
            "rates": sorted(PICTURES[key] / seconds for seconds in passes)}


def timed(function: Callable[[], None]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def in_a_process(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-m", "benchmarks.full_size", *arguments], stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parents[1])
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with exit code {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["clip", "blip", "blip-vqa"], metavar="MODEL",
                        help=f"of {', '.join(BATCH)} (default: all but blip2)")
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16", "int8"), default=["fp32", "bf16"])
    parser.add_argument("--load", action="store_true", help="save the weights (FP32; blip2: BF16), then load them")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.models) - set(BATCH):
        parser.error(f"no such model: {', '.join(unknown)} (there are {', '.join(BATCH)})")
    if "int8" in options.precision and not options.load:
        parser.error("INT8 needs --load")
    if options.child:
        key, precision, *folder = options.child
        if precision == "save":
            model_class, configuration, _ = architecture(key)
            build(model_class, configuration, "bf16" if key == "blip2" else "fp32").save_pretrained(folder[0])
            print("{}")
        else:
            print(json.dumps(measure(key, precision, *folder)))
        return
    machine = detect()
    import torch
    print(f"{machine.device_name}, {machine.cores} cores, torch {torch.__version__}\n")
    memory = ("libraries", "loaded", "answering", "batches", "private")
    columns = ("model", "parameters", "precision", "load, s" if options.load else "build, s",
               "peak memory: libraries", "weights", "one picture", "batches", "private", "one picture, s",
               "pictures/s in batches", "times one at a time, first precision, as the library does it",
               "needed, in the catalogue", "first draft, RTX 3080, s")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for key in options.models:
        model, seed = MODELS[key], None
        needs = (f"{readable_size(model.cpu_memory)} of memory" if model.cpu_memory else
                 f"a GPU with {readable_size(model.gpu_memory)}")
        with tempfile.TemporaryDirectory() as folder:
            if options.load:
                in_a_process("--child", key, "save", folder)
            for precision in options.precision:
                row = in_a_process("--child", key, precision, *([folder] if options.load else []))
                assert row["parameters"] == model.parameters
                one, rate = statistics.median(row["one"]), statistics.median(row["rates"])
                seed = seed or statistics.median(row["plain"])
                print(f"| {model.name}, {DOES[key]} | {row['parameters']:,} | {precision.upper()} | "
                      f"{row['seconds']:.1f} | "
                      + " | ".join(readable_size(row[at]) for at in memory)
                      + f" | {one:.3f} ({row['one'][0]:.3f} to {row['one'][-1]:.3f}) | {rate:.2f} "
                      f"({row['rates'][0]:.2f} to {row['rates'][-1]:.2f}), batches of {BATCH[key]} | "
                      f"{rate * seed:.2f} | {needs} | {DRAFT.get(key, '')} |", flush=True)


if __name__ == "__main__":
    main()
