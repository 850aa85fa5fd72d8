"""The models of this chapter as a table: what each is, what it needs, and how its family is loaded and asked.

Data and nothing else. To add a model, add a row to `MODELS`; to add a kind of model, add a `Family` and teach
`adapters` to run it.
"""

from dataclasses import dataclass
from pathlib import Path

GB = 10**9
CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class Family:
    """Models that are loaded by the same class and asked in the same way.

    Args:
        model_class: Its class in transformers, or in sentence-transformers.
        processor_class: The class of its processor; None where the model brings its own.
        task: What it does with a picture: "embed" (two towers), "caption" or "answer".
        prompt: What a question is put into; "chat" stands for the processor's chat template.
        returns_prompt: Whether `generate` returns the prompt in front of the answer.
    """

    model_class: str
    processor_class: str | None
    task: str
    prompt: str = ""
    returns_prompt: bool = False


FAMILIES = {
    "clip": Family("CLIPModel", "CLIPProcessor", "embed"),
    "siglip": Family("AutoModel", "AutoProcessor", "embed"),
    "sentence-clip": Family("SentenceTransformer", None, "embed"),
    "sentence-text": Family("SentenceTransformer", None, "embed"),  # a text tower alone
    "blip": Family("BlipForConditionalGeneration", "BlipProcessor", "caption"),
    "blip-vqa": Family("BlipForQuestionAnswering", "BlipProcessor", "answer", "{question}"),
    "blip2": Family("Blip2ForConditionalGeneration", "Blip2Processor", "answer", "Question: {question} Answer:", True),
    "blip2-t5": Family("Blip2ForConditionalGeneration", "Blip2Processor", "answer", "Question: {question} Answer:"),
    "chat": Family("AutoModelForImageTextToText", "AutoProcessor", "answer", "chat", True),
}
# The small models of this repository: their folder in checkpoints/, which names their family too, and what to call
# them.
EMBEDDED = {"clip": "small CLIP", "blip": "small BLIP", "blip2": "small BLIP-2"}


@dataclass(frozen=True)
class Model:
    """A row of the table. Sizes are in bytes.

    Args:
        key: What options and lessons call it.
        name: What readers call it.
        family: A key of `FAMILIES`.
        hub_id: Its repository on the Hugging Face Hub.
        revision: The commit of the repository that a download takes.
        licence: That of the weights, as the model card says; OpenAI's card of CLIP is silent, its code is MIT.
        parameters: Number of parameters, shared ones counted once.
        embedded: The small model that runs in its place, a key of `EMBEDDED`; None if there is none.
        cpu_memory: Free main memory that it needs on a CPU in FP32; None if a CPU takes too long for a lesson.
        gpu_memory: Free GPU memory that it needs in FP16.
        gpu_recommended: GPU memory for comfortable work.
        fallback: Key of the model that runs in its place on a machine that is too small for it.
        replaces: Key of the lessons' model that `--model` can replace by this one.
        kept_fp32: Parameters that stay in FP32 when the model is loaded in half precision.
        int8: Whether it runs in INT8. (transformers 5.24 cannot load a CLIPModel in INT8, which is small enough.)
        picture_memory: Memory for each further picture of a batch in FP32 (benchmarks/full_size.py).
        stored: Size of the files of weights at that commit, where it is on record.
        measured: Peak memory of the process, and seconds, for one picture on a CPU in BF16: an embedding, a caption of
            20 tokens or an answer of 8 (benchmarks/README.md, two cores with AMX); None if not measured.
    """

    key: str
    name: str
    family: str
    hub_id: str
    revision: str
    licence: str
    parameters: int
    embedded: str | None
    cpu_memory: int | None
    gpu_memory: int
    gpu_recommended: int
    fallback: str | None = None
    replaces: str | None = None
    kept_fp32: int = 0
    int8: bool = True
    picture_memory: int = 75_000_000
    stored: int | None = None
    measured: tuple[int, float] | None = None

    @property
    def fp32_bytes(self) -> int:
        """Size of the weights in FP32."""
        return 4 * self.parameters

    @property
    def fp16_bytes(self) -> int:
        """Size of the weights in FP16 or BF16."""
        return 2 * (self.parameters + self.kept_fp32)

    @property
    def download_bytes(self) -> int:
        """Size of a download of the weights; their size in FP32 where that is not on record."""
        return self.stored or self.fp32_bytes


# The commits go with the versions of transformers in weights.TRANSFORMERS. That of BLIP-2 has the <image> token,
# without which the model answers blindly; the one that older books pin (5157266, March 2024) lacks it. On record at:
#   github.com/embeddings-benchmark/mteb (clip_models.py, siglip_models.py, blip_models.py): clip, clip-large, siglip2,
#   blip-large; kurtvalcorza/blip-captioning-pipeline and blip-vqa-pipeline: blip, blip-vqa; mrveiss/AutoBot-AI
#   (pinned_model_registry.py, with the hashes of the shards): blip2; St-Expedite-Press/on-high-in-blue-tomorrows
#   (appendices/H, from the hub's API): blip2-flan; ckgresla/representax: sbert-clip; CemOnat00/AI-powered-gallery
#   (mobile/tools/fetch_models.sh): sbert-clip-multilingual; neeraj1909/rag-kit (adapters/vision.py): smolvlm.
#   qwen3-vl: in the download scripts of a dozen public repositories, all the same.
# The sizes are those of git-lfs at these commits, as others have noted them down with the hashes.
_ROWS = (
    Model("clip", "CLIP ViT-B/32", "clip", "openai/clip-vit-base-patch32",
          "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268", "MIT", 151_277_313, "clip",
          cpu_memory=2 * GB, gpu_memory=4 * GB, gpu_recommended=4 * GB, int8=False, picture_memory=6_000_000,
          stored=605_247_071, measured=(1_170_000_000, 0.028)),
    # The same network in another package, so the same small model.
    Model("sbert-clip", "SBERT-CLIP ViT-B/32", "sentence-clip", "sentence-transformers/clip-ViT-B-32",
          "327ab6726d33c0e22f920c83f2ff9e4bd38ca37f", "MIT", 151_277_313, "clip",
          cpu_memory=2 * GB, gpu_memory=4 * GB, gpu_recommended=4 * GB, int8=False, picture_memory=6_000_000,
          stored=605_157_884),
    Model("blip", "BLIP-base", "blip", "Salesforce/blip-image-captioning-base",
          "82a37760796d32b1411fe092ab5d4e227313294b", "BSD-3-Clause", 223_971_644, "blip",
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB,
          stored=989_820_849, measured=(1_380_000_000, 0.73)),
    Model("blip-vqa", "BLIP-VQA-base", "blip-vqa", "Salesforce/blip-vqa-base",
          "787b3d35d57e49572baabd22884b3d5a05acf072", "BSD-3-Clause", 361_230_140, None,
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB, replaces="blip2",
          stored=1_538_800_584, measured=(1_640_000_000, 0.38)),
    # The Q-Former and its queries stay in FP32.
    Model("blip2", "BLIP-2 OPT-2.7B", "blip2", "Salesforce/blip2-opt-2.7b",
          "59a1ef6c1e5117b3f65523d1c6066825bcf315e3", "MIT", 3_744_761_856, "blip2",
          cpu_memory=None, gpu_memory=8 * GB, gpu_recommended=16 * GB, fallback="blip-vqa", kept_fp32=105_162_240,
          stored=14_979_207_136, measured=(8_420_000_000, 2.9)),
    # For comparison; no lesson needs them. Their memory is that of the row above that is about their size.
    Model("clip-large", "CLIP ViT-L/14", "clip", "openai/clip-vit-large-patch14",
          "32bd64288804d66eefd0ccbe215aa642df71cc41", "MIT", 427_616_513, "clip",
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB, fallback="clip", replaces="clip", int8=False),
    # The text tower alone: the pictures' embeddings come from sbert-clip.
    Model("sbert-clip-multilingual", "SBERT-CLIP multilingual text", "sentence-text",
          "sentence-transformers/clip-ViT-B-32-multilingual-v1",
          "58edf8cada9e398793dca955574a48cbb7f18be2", "Apache-2.0", 135_127_296, "clip",
          cpu_memory=2 * GB, gpu_memory=4 * GB, gpu_recommended=4 * GB, int8=False),
    # Trained with another loss for the same task.
    Model("siglip2", "SigLIP 2 base", "siglip", "google/siglip2-base-patch16-224",
          "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2", "Apache-2.0", 375_187_970, "clip",
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB, int8=False),
    Model("blip-large", "BLIP-large", "blip", "Salesforce/blip-image-captioning-large",
          "2227ac38c9f16105cb0412e7cab4759978a8fd90", "BSD-3-Clause", 446_290_492, "blip",
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB, fallback="blip", replaces="blip"),
    Model("blip2-flan", "BLIP-2 Flan-T5-XL", "blip2-t5", "Salesforce/blip2-flan-t5-xl",
          "0eb0d3b46c14c1f8c7680bca2693baafdb90bb28", "MIT", 3_942_446_592, "blip2",
          cpu_memory=None, gpu_memory=10 * GB, gpu_recommended=16 * GB, fallback="blip-vqa", kept_fp32=105_162_240),
    Model("smolvlm", "SmolVLM-256M", "chat", "HuggingFaceTB/SmolVLM-256M-Instruct",
          "7e3e67edbbed1bf9888184d9df282b700a323964", "Apache-2.0", 256_484_928, "blip2",
          cpu_memory=4 * GB, gpu_memory=6 * GB, gpu_recommended=6 * GB, stored=513_028_808),
    # Answers in Chinese as well as in English. Files in BF16: in FP32 the weights take twice as much.
    Model("qwen3-vl", "Qwen3-VL-2B", "chat", "Qwen/Qwen3-VL-2B-Instruct",
          "89644892e4d85e24eaac8bacfd4f463576704203", "Apache-2.0", 2_127_532_032, "blip2",
          cpu_memory=12 * GB, gpu_memory=6 * GB, gpu_recommended=8 * GB, stored=4_255_140_312),
)
MODELS = {model.key: model for model in _ROWS}
LESSONS = ("clip", "sbert-clip", "blip", "blip-vqa", "blip2")  # those that the lessons load


def ladder(key: str) -> list[Model]:
    """The model and those that may run in its place, in this order."""
    models = []
    while key:
        models.append(MODELS[key])
        key = MODELS[key].fallback
    return models
