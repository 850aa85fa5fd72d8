"""One interface for all models of a kind: what embeds, what writes captions, what answers questions.

For lessons and examples that use a model without teaching it; 9.1 to 9.5 show what happens inside. Which class loads a
model and how it is asked, its family says (`models.FAMILIES`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import UserError, speedups
from .models import FAMILIES
from .terminal import progress

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from .catalog import Choice

MOST = 16  # pictures in a batch, or as many as there is memory for
NEW_TOKENS = 40


def load(choice: "Choice") -> tuple:
    """The model that was chosen, ready to run on its device, and its processor.

    Raises:
        UserError: A BLIP-2 that would answer without looking.
    """
    import transformers

    family = FAMILIES[choice.family]
    model_class, processor_class = (getattr(transformers, name) for name in (family.model_class,
                                                                             family.processor_class))
    model = model_class.from_pretrained(choice.path, dtype=choice.dtype, quantization_config=choice.quantization)
    processor = processor_class.from_pretrained(choice.path)
    if choice.family in ("blip", "blip-vqa"):
        speedups.fuse_attention(model)
    if choice.family in ("blip2", "blip2-t5"):
        check_image_tokens(model, processor, choice.path)
    if family.returns_prompt:
        processor.tokenizer.padding_side = "left"  # generation goes on at the right end of each prompt
    return model.to(choice.device).eval(), processor


class Embedder:
    """A model with two towers, as a CLIP: pictures and texts become vectors in one space.

    `scale` is what it multiplies cosines by before a softmax or a sigmoid.
    """

    def __init__(self, choice: "Choice"):
        self.choice = choice
        self.model, self.processor = load(choice)
        self.scale = self.model.logit_scale.exp().item()

    def pictures(self, pictures: "list[Image.Image]") -> "np.ndarray":
        """Normalised embeddings, (pictures, dimensions), FP32."""
        return self._embed(pictures, lambda batch: self.model.get_image_features(pixel_values=self.processor(
            images=batch, return_tensors="pt")["pixel_values"].to(self.choice.device, self.choice.dtype)))

    def texts(self, texts: list[str]) -> "np.ndarray":
        """Normalised embeddings, (texts, dimensions), FP32."""
        # SigLIP was trained on texts of 64 tokens, whatever they say.
        padding = {"padding": "max_length", "max_length": 64} if self.choice.family == "siglip" else {"padding": True}
        return self._embed(texts, lambda batch: self.model.get_text_features(**self.processor(
            text=batch, return_tensors="pt", truncation=True, **padding).to(self.choice.device)))

    def _embed(self, items: list, features: Callable) -> "np.ndarray":
        import torch

        size, rows = self.choice.batch_size(MOST), []
        with torch.inference_mode():
            for start in progress(range(0, len(items), size)):
                rows.append(features(items[start:start + size]).pooler_output.float())
        return torch.nn.functional.normalize(torch.cat(rows), dim=-1).cpu().numpy()


def embedder(choice: "Choice") -> Embedder:
    """What turns pictures and texts into embeddings."""
    return Embedder(choice)


def captioner(choice: "Choice") -> "Callable[[list[Image.Image]], list[str]]":
    """A function that writes a caption for each picture."""
    model, processor = load(choice)

    def caption(pictures: "list[Image.Image]") -> list[str]:
        return _generate(choice, model, processor, pictures, None)

    return caption


def answerer(choice: "Choice") -> "Callable[[list[Image.Image], list[str]], list[str]]":
    """A function that answers each question about the picture at its place."""
    family = FAMILIES[choice.family]
    model, processor = load(choice)

    def prompt(question: str) -> str:
        question = question.replace("<image>", "")  # nobody but the processor may put these tokens
        if family.prompt != "chat":
            return family.prompt.format(question=question)
        return processor.apply_chat_template([{"role": "user", "content": [
            {"type": "image"}, {"type": "text", "text": question}]}], add_generation_prompt=True)

    def answer(pictures: "list[Image.Image]", questions: list[str]) -> list[str]:
        return _generate(choice, model, processor, pictures, [prompt(question) for question in questions])

    return answer


def _generate(choice: "Choice", model, processor, pictures: list, prompts: list[str] | None) -> list[str]:
    """What a model writes about each picture, after its prompt if there are any."""
    import torch

    # Padding changes the answers of BLIP-VQA, and chat models differ in how they batch: one question at a time.
    size = choice.batch_size(MOST) if prompts is None or choice.family in ("blip2", "blip2-t5") else 1
    texts = []
    with torch.inference_mode():
        for start in progress(range(0, len(pictures), size)):
            text = {"text": prompts[start:start + size], "padding": True} if prompts else {}
            inputs = processor(images=pictures[start:start + size], return_tensors="pt", **text)
            inputs = inputs.to(choice.device, choice.dtype)
            output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
            if prompts and FAMILIES[choice.family].returns_prompt:
                output = output[:, inputs["input_ids"].shape[1]:]
            texts += [written.strip() for written in processor.batch_decode(output, skip_special_tokens=True)]
    return texts


def check_image_tokens(model, processor, path: str) -> None:
    """See to it that a BLIP-2 looks at its pictures.

    The processor begins each prompt with as many <image> tokens as there are queries, and the model puts what it sees
    in their place. If the two do not agree on that token, the model answers without looking, and nothing is raised.

    Args:
        path: Where they were loaded from.

    Raises:
        UserError: The two do not agree.
    """
    config = model.config
    if (processor.num_query_tokens != config.num_query_tokens
            or processor.tokenizer.convert_tokens_to_ids("<image>") != config.image_token_index):
        raise UserError(f"The BLIP-2 in {path} would answer blindly, as its processor and its configuration disagree "
                        "about the <image> tokens: fetch it again, with `python -m multimodal.weights fetch blip2` or "
                        "blip2-flan.")
