"""The lessons themselves, on the embedded models: the whole chapter once as a reader runs it, and what it left."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from multimodal.catalog import hardware_table
from multimodal.images import GALLERY
from multimodal.models import CHECKPOINTS

ROOT = Path(__file__).parent.parent
SECTIONS = ("9.1", "9.2", "9.3", "9.4", "9.5", "9.6")
LESSONS = {path.name[:3]: path for path in sorted(ROOT.glob("9.*.py"))}


def run(arguments: list, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a Python program of the chapter from another folder, with no network to lean on."""
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=900,
                          env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""} | environment)


@pytest.fixture(scope="session")
def chapter(tmp_path_factory) -> tuple[str, Path]:
    """What the runner printed, and its output folder, after all six lessons."""
    folder = tmp_path_factory.mktemp("chapter")
    finished = run([ROOT / "run_all_sections.py", "--models", "embedded"], folder)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    return finished.stdout, folder / "outputs"


@pytest.fixture(scope="session")
def measures(chapter) -> dict[str, dict]:
    """Section to what it measured."""
    _, outputs = chapter
    return {section: json.loads((outputs / section / "results.json").read_text())["measures"] for section in SECTIONS}


FIGURES = {
    "9.1": ("what_the_model_sees", "cosine", "temperature", "matching", "gap"),
    "9.2": ("similarity_matrix", "levels", "places", "recall", "search"),
    "9.3": ("throughput", "search"),
    "9.4": ("answers", "captions", "accuracy", "mistakes"),
    "9.5": ("captions", "batches", "quality", "precision"),
    "9.6": ("costs", "scores", "side_by_side", "shop_search"),
}


def test_six_lessons_with_six_files():
    assert tuple(LESSONS) == SECTIONS == tuple(FIGURES)


def test_the_closing_table_tells_the_truth(chapter):
    text, outputs = chapter
    assert "6 of 6 sections succeeded" in text
    page = (outputs / "index.html").read_text(encoding="utf-8")
    for section in SECTIONS:
        row = re.search(rf"^{re.escape(section)} +succeeded +([\d.]+) +([\d.]+) GB +(\d+) ", text, re.MULTILINE)
        assert row, f"no row for {section}"
        assert float(row[1]) > 0.5, "a lesson that ends at once did not run"
        assert 0.2 < float(row[2]) < 2.5, "peak memory in GB"
        results = json.loads((outputs / section / "results.json").read_text())
        assert results["figures"] == [f"{name}.png" for name in FIGURES[section]]
        assert all(f'<img src="{section}/{name}.png"' in page for name in FIGURES[section])
        assert int(row[3]) == len(FIGURES[section]) == len(list((outputs / section).glob("*.png")))
        assert all(model["source"] == "embedded" for model in results["models"])


def test_figures_are_pictures_of_a_readable_size(chapter):
    _, outputs = chapter
    for path in outputs.glob("9.*/*.png"):
        with Image.open(path) as figure:
            figure.verify()
            assert min(figure.size) > 200 and max(figure.size) > 700, path.name


def test_9_1_matches_the_classic_pictures_and_the_models_own_loss(measures):
    cosine = measures["9.1"]["cosine"]
    assert [row.index(max(row)) for row in cosine] == [0, 1, 2]
    loss = measures["9.1"]["contrastive_loss"]
    assert loss["written_out"] == pytest.approx(loss["model"], abs=1e-5)
    assert loss["model"] < 0.5  # guessing among 72 gives 4.28
    assert measures["9.1"]["best_match"] == {"picture": "dog-snow", "text": "a dog in the snow"}
    # The two clouds do not lie on one another, and yet a picture is nearer to its own text than to others.
    assert measures["9.1"]["gap_between_halves"] < 0.4 * measures["9.1"]["modality_gap"]
    assert measures["9.1"]["matched_cosine"] > sum(map(sum, cosine)) / sum(map(len, cosine)) + 0.1


def test_9_2_classifies_and_retrieves_far_better_than_chance(measures):
    objects = {level: share["value"] for level, share in measures["9.2"]["zero_shot_objects"].items()}
    assert objects["usual"] > 0.93 and min(objects.values()) > 0.5  # chance is below 1%
    assert objects["noisy"] < 0.8 and objects["unseen"] < 0.93  # or the levels show nothing
    places = {level: share["value"] for level, share in measures["9.2"]["zero_shot_places"].items()}
    assert places["usual"] > 0.93 and 0.4 < places["patterned"] < 0.85  # chance is 10%
    for retrieval, least in (("text_finds_picture", 0.9), ("picture_finds_text", 0.9),
                             ("text_finds_picture_noisy", 0.75), ("picture_finds_text_noisy", 0.75)):
        found = measures["9.2"][retrieval]
        recall = [found[f"recall@{depth}"]["value"] for depth in (1, 5, 10)]
        assert recall[0] > least and found["median rank"] == 1  # chance is 1 in 249
        assert recall == sorted(recall) and found["mAP"] >= recall[0]
    assert measures["9.2"]["noun_finds_pictures_mAP"] > 0.75


def test_9_3_reads_files_as_encode_does_and_finds_in_both_languages(measures):
    assert measures["9.3"]["files_cosine"] > 0.995
    assert measures["9.3"]["index"] == {"pictures": 72, "embedded": 72, "embedded_again": 0}
    assert min(share["value"] for share in measures["9.3"]["recall_at_1"].values()) > 0.75  # chance is 1 in 300


def test_9_4_answers_better_than_without_the_picture(measures):
    by_kind = measures["9.4"]["accuracy_by_kind"]
    kinds = {"all", "what", "how many", "where", "side", "colour", "either/or", "yes/no"}
    assert all(set(shares) == kinds for shares in by_kind.values())
    for kind in kinds:
        for baseline in ("another picture", "the commonest answer"):
            assert by_kind["the picture"][kind]["value"] > by_kind[baseline][kind]["value"] + 0.1, kind
    assert by_kind["the picture"]["all"] == measures["9.4"]["accuracy"]
    assert measures["9.4"]["accuracy"]["low"] > 0.8
    counts = measures["9.4"]["parameters"]
    assert 0.2 < (counts["qformer"] + counts["query_tokens"] + counts["language_projection"]) / sum(
        counts.values()) < 0.4
    changed = measures["9.4"]["captions_changed"]
    assert changed["greedy"] == 0 < changed["nucleus"] < changed["of"]


def test_9_5_names_what_is_there(measures):
    quality = {name: shares["names all things"]["value"] for name, shares in measures["9.5"]["quality"].items()}
    assert quality["usual styles"] > 0.9 > quality["unseen style"] > 0.5 > 0.1 > quality["another picture"]
    assert measures["9.5"]["captions_exact"]["value"] > 0.8
    precisions = measures["9.5"]["precisions"]
    assert all(row["weights_bytes"] < 0.8 * precisions[0]["weights_bytes"] for row in precisions[1:])  # than in FP32
    same = {row["precision"]: row["same_as_fp32"]["value"] for row in precisions}
    assert same.keys() in ({"FP32", "BF16", "INT8"}, {"FP32", "FP16"})  # on a CPU, on a GPU
    assert min(same.values()) > 0.7


def test_9_6_reads_what_the_lessons_before_measured(measures):
    sources = {cost["task"]: cost["source"] for cost in measures["9.6"]["costs"]}
    assert sources["write a caption"] == "lesson 9.5" and sources["answer a question"] == "lesson 9.4"
    scores = measures["9.6"]["scores"]
    assert scores["small CLIP, zero-shot, unseen style"] == measures["9.2"]["zero_shot_objects"]["unseen"]
    assert scores["small CLIP, zero-shot, places"] == measures["9.2"]["zero_shot_places"]["usual"]
    assert scores["small BLIP-2, questions right"] == measures["9.4"]["accuracy"]
    assert scores["small BLIP, all objects named"] == measures["9.5"]["objects_right"]


def test_9_6_compares_searches_and_advises(chapter, measures):
    three = {name: row["three things"]["value"] for name, row in measures["9.6"]["side_by_side"].items()}
    assert three["small BLIP"] > 0.75 and three["small BLIP-2"] > 0.7 and three["small CLIP"] < 0.3
    assert measures["9.6"]["shop_search"][0].startswith("guitar")
    first = {query: share["value"] for query, share in measures["9.6"]["shop_first_right"].items()}
    assert first["colour and noun"] > first["noun alone"] + 0.08
    advice = measures["9.6"]["chooser"]["questions (9.4)"]
    assert advice["GPU with 16 GB"] == "BLIP-2 OPT-2.7B FP16" and advice["laptop, 8 GB"].startswith("BLIP-VQA-base")
    assert hardware_table() in chapter[0]


@pytest.fixture(scope="session")
def further_weights(tmp_path_factory) -> Path:
    """Models that --model can name, as a reader's own folder: the small CLIP under another name, and three of random
    weights whose classes the chapter does not train."""
    import transformers as hf

    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(CHECKPOINTS / "clip", folder / "clip-vit-large-patch14")
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = hf.CLIPTokenizer.from_pretrained(CHECKPOINTS / "clip", model_max_length=64)
    siglip = hf.SiglipConfig(
        text_config=size | {"vocab_size": len(words), "projection_size": 32, "pad_token_id": words.pad_token_id,
                            "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id},
        vision_config=size | {"image_size": 64, "patch_size": 16})
    images = hf.SiglipImageProcessor(size={"height": 64, "width": 64})
    bert = hf.BertTokenizer.from_pretrained(CHECKPOINTS / "blip")
    vqa = hf.BlipConfig(
        text_config=size | {"vocab_size": len(bert), "encoder_hidden_size": 32, "projection_dim": 32,
                            "bos_token_id": bert.bos_token_id, "sep_token_id": bert.sep_token_id,
                            "eos_token_id": bert.sep_token_id, "pad_token_id": bert.pad_token_id},
        vision_config=size | {"image_size": 64, "patch_size": 16}, projection_dim=32, image_text_hidden_size=32)
    words = hf.GPT2Tokenizer.from_pretrained(CHECKPOINTS / "blip2")
    words.add_special_tokens({"additional_special_tokens": [
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
        *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))]})
    smolvlm = hf.Idefics3Config(
        scale_factor=2, tie_word_embeddings=False, image_token_id=words.convert_tokens_to_ids("<image>"),
        text_config=hf.LlamaConfig(**size, vocab_size=len(words), num_key_value_heads=1, pad_token_id=1,
                                   bos_token_id=2, eos_token_id=2),
        vision_config=size | {"image_size": 64, "patch_size": 8})
    chat = hf.GPT2Tokenizer.from_pretrained(CHECKPOINTS / "blip2")
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    chat.add_special_tokens({"additional_special_tokens": marks})
    start, end, image, video = chat.convert_tokens_to_ids(marks)
    qwen = hf.Qwen3VLConfig(
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
        text_config=size | {"num_key_value_heads": 1, "head_dim": 16, "vocab_size": len(chat), "rope_parameters": {
            "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}},
        vision_config={"hidden_size": 32, "depth": 1, "num_heads": 2, "intermediate_size": 64, "out_hidden_size": 32,
                       "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]})
    qwens_template = ("{% for turn in messages %}{% for part in turn.content %}{% if part.type == 'image' %}"
                      "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}"
                      "{% endfor %}")
    template = ("{% for turn in messages %}User:{% for part in turn.content %}{% if part.type == 'image' %}<image>"
                "{% else %}{{ part.text }}{% endif %}{% endfor %}<end_of_utterance>\nAssistant:{% endfor %}")
    for name, model, processor in (
            ("siglip2-base-patch16-224", hf.SiglipModel(siglip), hf.SiglipProcessor(
                image_processor=images, tokenizer=hf.CLIPTokenizer.from_pretrained(CHECKPOINTS / "clip"))),
            ("blip-vqa-base", hf.BlipForQuestionAnswering(vqa), hf.BlipProcessor(
                image_processor=hf.BlipImageProcessor(size={"height": 64, "width": 64}), tokenizer=bert)),
            ("SmolVLM-256M-Instruct", hf.Idefics3ForConditionalGeneration(smolvlm), hf.Idefics3Processor(
                image_processor=hf.Idefics3ImageProcessor(size={"longest_edge": 64},
                                                          max_image_size={"longest_edge": 64}),
                tokenizer=words, image_seq_len=16, chat_template=template)),
            ("Qwen3-VL-2B-Instruct", hf.Qwen3VLForConditionalGeneration(qwen), hf.Qwen3VLProcessor(
                image_processor=hf.Qwen2VLImageProcessor(patch_size=16, size={"shortest_edge": 64**2,
                                                                              "longest_edge": 128**2}),
                tokenizer=chat, video_processor=hf.Qwen3VLVideoProcessor(), chat_template=qwens_template))):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


def test_models_by_name_take_a_lessons_own_place_or_stand_beside_it(tmp_path, further_weights):
    names = [argument for name in ("clip-large", "siglip2", "smolvlm", "qwen3-vl", "blip2-flan")
             for argument in ("--model", name)]
    finished = run([LESSONS["9.6"], "--weights", further_weights, *names, "--query", "a cat", "--images",
                    own_pictures(tmp_path)], tmp_path)
    assert finished.returncode == 0, finished.stderr
    measures = json.loads((tmp_path / "outputs/9.6/results.json").read_text())["measures"]
    rows = measures["side_by_side"]
    # BLIP-VQA stands in for BLIP-2, whose weights are not there.
    assert list(rows) == ["small CLIP", "small BLIP", "BLIP-VQA-base", "CLIP ViT-L/14", "SigLIP 2 base", "SmolVLM-256M",
                          "Qwen3-VL-2B"]
    one, three = "one thing, unseen style", "three things"
    assert rows["small CLIP"][one]["value"] > 0.65 and rows["small BLIP"][three]["value"] > 0.65
    for level in (one, three):  # the same weights under another name, and weights that are random
        assert rows["CLIP ViT-L/14"][level] == rows["small CLIP"][level]
        assert max(rows[name][level]["value"] for name in ("SigLIP 2 base", "SmolVLM-256M", "Qwen3-VL-2B")) < 0.2
    assert all(row["seconds"] > 0 for row in rows.values())
    assert "BLIP-2 Flan-T5-XL is left out. BLIP-2 Flan-T5-XL is not on this machine" in finished.stdout
    assert measures["shop_search"] == ["cat", "dog"]


def test_blip_vqa_answers_and_the_small_blip2_shows_the_rest(tmp_path, further_weights):
    Image.effect_noise((300, 200), 90).save(tmp_path / "noise.png")
    finished = run([LESSONS["9.4"], "--weights", further_weights, "--model", "blip-vqa", "--image", "noise.png",
                    "--question", "What is this? " * 8], tmp_path)  # a question that is wider than the figure
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "outputs/9.4/results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["BLIP-VQA-base", "small BLIP-2"]
    assert {path: len(said) for path, said in results["measures"]["answers"].items()} == {"noise.png": 1}
    # What the small one says of such a picture is a guess, whoever answers.
    assert "Unlike the drawings that the small model knows: noise.png." in finished.stdout


def test_a_text_tower_needs_its_picture_tower(tmp_path):
    finished = run([LESSONS["9.3"], "--models", "embedded", "--model", "sbert-clip-multilingual"], tmp_path)
    assert finished.returncode == 2
    assert "error: sbert-clip-multilingual goes with the real picture tower" in finished.stderr


def own_pictures(folder: Path) -> Path:
    """A folder with two pictures that the small models can understand, and a file that is none."""
    mine = folder / "mine"
    mine.mkdir()
    for name, file in (("dog", "dog-snow.jpg"), ("cat", "cat-room.jpg")):
        shutil.copy(GALLERY / file, mine / f"{name}.jpg")
    (mine / "broken.jpg").write_text("no picture")
    return mine


def test_lessons_on_a_folder_of_the_readers_own(tmp_path):
    finished = run([ROOT / "run_all_sections.py", "2,3,5", "--models", "embedded", "--images", own_pictures(tmp_path)],
                   tmp_path)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    assert "broken.jpg is not a picture" in finished.stderr
    measures = {path.parent.name: json.loads(path.read_text())["measures"]
                for path in (tmp_path / "outputs").glob("*/results.json")}
    assert measures["9.3"]["index"] == {"pictures": 2, "embedded": 2, "embedded_again": 0}
    assert list(measures["9.5"]["own_captions"].values()) == ["a cat in a room", "a dog in the snow"]


def test_a_conversation_at_the_terminal(tmp_path):
    talk = subprocess.run([sys.executable, LESSONS["9.4"], "--models", "embedded", "--chat"], cwd=tmp_path, text=True,
                          capture_output=True, input="What is in the picture?\n\nWhere is it?\nquit\n", timeout=900)
    assert talk.returncode == 0, talk.stderr
    said = json.loads((tmp_path / "outputs/9.4/results.json").read_text())["measures"]["conversation"]
    assert said == [["What is in the picture?", "a dog"], ["Where is it?", "in the snow"]]
    assert "You: Model: a dog\n" in talk.stdout


def test_a_lesson_on_the_readers_own_picture(tmp_path):
    # Neither dollar signs, which matplotlib might read as a formula, nor what the output cannot encode end a lesson.
    Image.new("RGB", (300, 200), "navy").save(tmp_path / "mine.png")
    finished = run([LESSONS["9.1"], "--models", "embedded", "--image", "mine.png", "--texts", "the sea", "$_$", "海",
                    "--model", "siglip2", "--model", "clip"], tmp_path, PYTHONIOENCODING="cp1252")
    assert finished.returncode == 0, finished.stderr
    assert "mine" in finished.stdout and "'the sea'" in finished.stdout and r"'\u6d77'" in finished.stdout
    # Nor does a model that it has no use for.
    assert "\n--model siglip2 changed nothing here" in finished.stdout


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--images", "empty"], "empty"),
    (["--device", "xpu"], "no xpu device"),
])
def test_bad_input_gets_one_sentence(tmp_path, arguments, sentence):
    (tmp_path / "empty").mkdir()
    finished = run([LESSONS["9.1"], "--models", "embedded", *arguments], tmp_path)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: ") and len(finished.stderr.strip().splitlines()) == 1
    assert sentence in finished.stderr


def test_weights_that_do_not_belong_to_their_configuration(tmp_path):
    folder = tmp_path / "clip-vit-base-patch32"
    shutil.copytree(CHECKPOINTS / "clip", folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"projection_dim": 64}))
    finished = run([LESSONS["9.1"], "--weights", folder, "--device", "cpu"], tmp_path)
    assert finished.returncode == 2 and "Traceback" not in finished.stderr
    assert finished.stderr.splitlines()[-1].startswith(f"error: The weights in {folder} cannot be loaded, as they are")


def test_a_hub_that_cannot_be_reached(tmp_path):
    finished = run([LESSONS["9.1"], "--models", "hub", "--device", "cpu"], tmp_path, HF_ENDPOINT="http://127.0.0.1:9",
                   HF_HUB_OFFLINE="0", HF_HOME=str(tmp_path), MULTIMODAL_WEIGHTS="")
    assert finished.returncode == 1 and len(finished.stderr.splitlines()) == 1
    assert finished.stderr.startswith("error: openai/clip-vit-base-patch32 could not be fetched from http://127.0.0.1:9")


def test_a_failed_run_does_not_pass_for_the_run_before(tmp_path):
    (tmp_path / "outputs/9.1").mkdir(parents=True)
    (tmp_path / "outputs/9.1/results.json").write_text("{}")
    (tmp_path / "text.png").write_text("no picture")
    finished = run([LESSONS["9.1"], "--models", "embedded", "--image", "text.png"], tmp_path)
    assert finished.returncode == 2
    assert finished.stderr == "error: text.png is not a picture that can be opened here: save it as JPEG or PNG.\n"
    assert not (tmp_path / "outputs/9.1/results.json").exists()


@pytest.mark.parametrize("section", SECTIONS)
def test_lessons_read_like_notebooks(section):
    """Percent format, an opening that says what is needed, exercises and a way on at the end, and no more than a
    reader takes in."""
    text = LESSONS[section].read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # " + section)
    for words in ("**You learn**", "**It needs**", "**On your own", "## Exercises"):
        assert words in text, words
    assert len(text.splitlines()) <= 220
    assert "import training" not in text and "from training" not in text
