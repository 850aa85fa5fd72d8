"""Reading ahead: the same embeddings as the processor's own path, order, damaged files, small numbers."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor, CLIPModel, CLIPProcessor

from multimodal import images, reader, speedups
from multimodal.models import CHECKPOINTS

PATHS = [sample.path for sample in images.gallery()]


@pytest.fixture(scope="module")
def clip():
    model = CLIPModel.from_pretrained(CHECKPOINTS / "clip", dtype=torch.float32).eval()
    return model, CLIPProcessor.from_pretrained(CHECKPOINTS / "clip").image_processor


@torch.inference_mode()
def plain(model, image_processor, paths) -> np.ndarray:
    """The library's own way: all pixels decoded, scaled, cropped and normalised by the processor."""
    pictures = [images.open_picture(path) for path in paths]
    features = model.get_image_features(**image_processor(pictures, return_tensors="pt")).pooler_output
    return torch.nn.functional.normalize(features, dim=-1).numpy()


@pytest.fixture
def photos(tmp_path) -> list:
    """Four JPEG files of awkward sizes: wide, high, turned by EXIF, and grey."""
    paths = [tmp_path / f"{name}.jpg" for name in ("wide", "high", "turned", "grey")]
    turned = Image.Exif()
    turned[0x0112] = 6
    for path, source, size, keywords in zip(paths, PATHS, ((641, 333), (250, 701), (640, 480), (301, 299)),
                                            ({}, {}, {"exif": turned}, {})):
        picture = images.open_picture(source).resize(size)
        (picture.convert("L") if path.stem == "grey" else picture).save(path, quality=90, **keywords)
    return paths


def test_embeddings_are_those_of_the_plain_path(clip):
    embeddings, kept = reader.embed_files(*clip, PATHS)
    assert kept == PATHS
    assert embeddings.dtype == np.float32 and embeddings.shape == (len(PATHS), clip[0].config.projection_dim)
    assert (embeddings * plain(*clip, PATHS)).sum(axis=1).min() > 0.999


def test_awkward_sizes_and_rotation(clip, photos):
    embeddings, _ = reader.embed_files(*clip, photos)
    assert (embeddings * plain(*clip, photos)).sum(axis=1).min() > 0.999


def test_pixels_are_those_of_the_processor(clip, tmp_path):
    """A file that is no JPEG is decoded in full, so that only the rounding of two resizing routines differs."""
    path = tmp_path / "wide.png"
    images.open_picture(PATHS[0]).resize((333, 207)).save(path)
    for image_processor in (clip[1], BlipImageProcessor(size={"height": 96, "width": 96})):
        (_, pixel_values), = reader.read_ahead([path], image_processor)
        expected = image_processor(images.open_picture(path), return_tensors="pt")["pixel_values"]
        assert pixel_values.shape == expected.shape
        assert (pixel_values - expected).abs().max() < 0.05  # three of 255 levels


def test_half_precision(clip):
    model, image_processor = clip
    small = CLIPModel.from_pretrained(CHECKPOINTS / "clip", dtype=torch.bfloat16).eval()
    embeddings, _ = reader.embed_files(small, image_processor, PATHS[:8])
    assert (embeddings * plain(model, image_processor, PATHS[:8])).sum(axis=1).min() > 0.999


def test_quickened_models_give_the_same_embeddings(clip):
    model, image_processor = clip
    expected = plain(model, image_processor, PATHS[:8])
    quick = copy.deepcopy(speedups.faster_clip(copy.deepcopy(model), torch.float32))
    assert np.abs(plain(quick, image_processor, PATHS[:8]) - expected).max() < 1e-5
    already_half = CLIPModel.from_pretrained(CHECKPOINTS / "clip", dtype=torch.bfloat16).eval()  # as 9.3 has it
    for before in (quick, already_half):
        embeddings, _ = reader.embed_files(speedups.faster_clip(before, torch.bfloat16), image_processor, PATHS[:8])
        assert (embeddings * expected).sum(axis=1).min() > 0.999


def test_fused_attention_gives_the_same_captions():
    processor = BlipProcessor.from_pretrained(CHECKPOINTS / "blip")
    model = BlipForConditionalGeneration.from_pretrained(CHECKPOINTS / "blip", dtype=torch.float32).eval()
    inputs = processor(images=[images.open_picture(path) for path in PATHS[:4]], return_tensors="pt")

    @torch.inference_mode()
    def see_and_say() -> tuple[torch.Tensor, list]:
        return model.vision_model(**inputs).last_hidden_state, model.generate(**inputs, max_new_tokens=20).tolist()

    features, said = see_and_say()
    speedups.fuse_attention(model)
    fused_features, fused_said = see_and_say()
    assert torch.allclose(features, fused_features, atol=1e-4) and said == fused_said


def test_batches_keep_the_order_and_the_last_is_short(clip):
    batches = list(reader.read_ahead(PATHS[:10], clip[1], batch_size=4, dtype=torch.bfloat16))
    assert [kept for kept, _ in batches] == [PATHS[:4], PATHS[4:8], PATHS[8:10]]
    assert [tuple(values.shape) for _, values in batches] == [(4, 3, 112, 112), (4, 3, 112, 112), (2, 3, 112, 112)]
    assert all(values.dtype == torch.bfloat16 for _, values in batches)


def test_fewer_pictures_than_cores_and_the_number_of_threads_is_left_alone(clip):
    threads = torch.get_num_threads()
    embeddings, kept = reader.embed_files(*clip, PATHS[:1])
    assert len(embeddings) == 1 and kept == PATHS[:1]
    assert torch.get_num_threads() == threads


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_damaged_files_are_skipped_with_a_sentence(clip, tmp_path, monkeypatch, capsys):
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(PATHS[0].read_bytes()[:5000])
    huge = tmp_path / "huge.png"
    Image.new("RGB", (1200, 1200)).save(huge)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    paths = [PATHS[0], cut, tmp_path / "missing.jpg", PATHS[1], huge]
    embeddings, kept = reader.embed_files(*clip, paths, batch_size=2)
    assert kept == PATHS[:2]
    assert (embeddings * plain(*clip, kept)).sum(axis=1).min() > 0.999
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("skipped: ") and line.endswith(".") for line in lines)
    for line, path, words in zip(lines, (cut, paths[2], huge), ("damaged", "no file", "million pixels")):
        assert str(path) in line and words in line
    assert [path for batch, _ in reader.read_ahead(paths, clip[1], batch_size=2) for path in batch] == kept


def test_nothing_but_damaged_files(clip, tmp_path, capsys):
    embeddings, kept = reader.embed_files(*clip, [tmp_path / "missing.jpg"])
    assert len(embeddings) == 0 and kept == []
    assert "missing.jpg" in capsys.readouterr().err
