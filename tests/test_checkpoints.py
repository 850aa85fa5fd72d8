"""The embedded checkpoints: complete, small, loaded offline by the real classes, and far better than chance."""

from pathlib import Path

import pytest

from multimodal import UserError, adapters, images, metrics, models

GALLERY = images.gallery()
SINGLE = [sample for sample in GALLERY if len(sample.things) == 1 and sample.things[0].count == 1]


@pytest.fixture(scope="module", autouse=True)
def offline():
    """from_pretrained must not ask the network for anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        yield


def folder(name: str) -> Path:
    return models.CHECKPOINTS / name


def test_all_weights_together_are_small():
    sizes = [path.stat().st_size for path in models.CHECKPOINTS.rglob("*.safetensors")]
    assert len(sizes) >= 3
    assert sum(sizes) < 60e6


@pytest.mark.parametrize("name", ["clip", "blip", "blip2"])
def test_weights_are_fp16_safetensors_with_a_model_card(name):
    from safetensors import safe_open

    with safe_open(folder(name) / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"F16"}
    assert (folder(name) / "README.md").read_text(encoding="utf-8").startswith("---\n")


def test_clip_names_what_is_there():
    import torch
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(folder("clip"), dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(folder("clip"))
    nouns = sorted({thing.noun for sample in GALLERY for thing in sample.things})
    inputs = processor(text=[f"a picture of a {noun}" for noun in nouns], images=[s.image for s in SINGLE],
                       return_tensors="pt", padding=True)
    with torch.inference_mode():
        best = model(**inputs).logits_per_image.argmax(dim=1).tolist()
    right = sum(nouns[i] == sample.things[0].noun for i, sample in zip(best, SINGLE))
    assert right / len(SINGLE) > 0.8  # chance is below 2%


@pytest.mark.parametrize("form", ["{a} left of {b}", "on the right is {b}, on the left is {a}", "{b}在{a}的右边",
                                  "右边有{b}，左边有{a}"])
def test_clip_tells_left_from_right_however_it_is_said(form):
    import torch
    from transformers import CLIPModel, CLIPProcessor

    from toyworld import NOUNS
    from toyworld.language import Group, phrase, phrase_chinese

    names = [noun.english for noun in NOUNS]
    pairs = [sample for sample in GALLERY if len(sample.things) == 2]
    say = phrase if form.isascii() else phrase_chinese
    said = [[say(Group(names.index(thing.noun), thing.count), False) for thing in sample.things]
            for sample in pairs]
    texts = [form.format(a=a, b=b) for left, right in said for a, b in ((left, right), (right, left))]
    model = CLIPModel.from_pretrained(folder("clip"), dtype=torch.float32).eval()
    processor = CLIPProcessor.from_pretrained(folder("clip"))
    with torch.inference_mode():
        logits = model(**processor(text=texts, images=[sample.image for sample in pairs], return_tensors="pt",
                                   padding=True)).logits_per_image
    right = sum((logits[i, 2 * i] > logits[i, 2 * i + 1]).item() for i in range(len(pairs)))
    assert right / len(pairs) > 0.9  # chance is 50%


def test_clip_is_a_sentence_transformer():
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder("clip")), device="cpu")
    classics = GALLERY[:3]
    pictures = model.encode([sample.image for sample in classics], convert_to_tensor=True)
    texts = model.encode([{"text": sample.caption} for sample in classics], convert_to_tensor=True)
    similarity = torch.nn.functional.cosine_similarity(pictures[:, None], texts[None], dim=-1)
    assert similarity.argmax(dim=1).tolist() == [0, 1, 2]


def test_blip_names_what_is_there():
    import torch
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(folder("blip"), dtype=torch.float32).eval()
    processor = BlipProcessor.from_pretrained(folder("blip"))
    with torch.inference_mode():
        output = model.generate(**processor(images=[s.image for s in SINGLE], return_tensors="pt"), max_new_tokens=30)
    captions = processor.batch_decode(output, skip_special_tokens=True)
    right = sum(sample.things[0].noun in caption for sample, caption in zip(SINGLE, captions))
    assert right / len(SINGLE) > 0.8
    for beginning in ("a photo of", "this is", "I see"):
        with torch.inference_mode():
            output = model.generate(**processor(images=[s.image for s in SINGLE], text=[beginning] * len(SINGLE),
                                                return_tensors="pt"), max_new_tokens=30)
        going_on = processor.batch_decode(output, skip_special_tokens=True)
        same = sum(f"{beginning.lower()} {caption}" == text for caption, text in zip(captions, going_on))
        assert same / len(SINGLE) > 0.8


def test_blip2_answers_what_it_sees():
    import torch
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    model = Blip2ForConditionalGeneration.from_pretrained(folder("blip2"), dtype=torch.float32).eval()
    processor = Blip2Processor.from_pretrained(folder("blip2"))
    adapters.check_image_tokens(model, processor, folder("blip2"))
    asked = [(sample, question) for sample in SINGLE for question in sample.questions if question.kind == "what"]
    inputs = processor(images=[sample.image for sample, _ in asked], padding=True, padding_side="left",
                       text=[f"Question: {question.text} Answer:" for _, question in asked], return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    answers = processor.batch_decode(output[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
    right = sum(metrics.is_right(answer, question.answers) for answer, (_, question) in zip(answers, asked))
    assert right / len(asked) > 0.7
    # With another number or token in either place it would answer blindly, and transformers would raise nothing.
    for owner, name in ((processor, "num_query_tokens"), (model.config, "image_token_index")):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="fetch blip2"):
            patch.setattr(owner, name, getattr(owner, name) + 1)
            adapters.check_image_tokens(model, processor, folder("blip2"))
