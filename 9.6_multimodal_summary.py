# %% [markdown]
# # 9.6 Summary: what was measured, what to choose
#
# **You learn** what the models of this chapter cost and how good they were, on your machine and in numbers that this
# chapter has measured; which of them to choose for a task and a machine; and what they must not be trusted with.
#
# **It needs** the results of lessons 9.1 to 9.5, if they have been run: times that are missing are measured here,
# scores that are missing are left out. With the small models that takes 1 GB of memory.
#
# **On your own pictures:** `python 9.6_multimodal_summary.py --images holiday/ --query "a dog in the snow"`

# %%
import argparse
import json
import time
from functools import partial

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import catalog, figures, hardware, images, reader
from multimodal.lesson import Lesson, progress
from multimodal.metrics import precision_and_recall
from multimodal.words import article, names_noun

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoModelForImageTextToText, AutoModelForVisualQuestionAnswering, AutoProcessor

lesson = Lesson("9.6", "Summary: what was measured, what to choose")
lesson.argument("--query", default="a guitar", metavar="TEXT", help="what to search the pictures for")
options = lesson.start()
pictures, machine = images.chosen(options), hardware.detect()

# %% [markdown]
# ## The models once more
#
# One function for each thing that the chapter does with a picture. The library's Auto classes know from a model's
# config.json which class it is.


# %%
def load(choice):
    """A model and its processor."""
    lesson.use(choice)
    auto_class = (AutoModel if catalog.MODELS[choice.key].embedded == "clip" else
                  AutoModelForVisualQuestionAnswering if choice.key == "blip-vqa" else AutoModelForImageTextToText)
    with choice.loading() as settings:
        model = auto_class.from_pretrained(choice.path, **settings)
    if choice.key in ("blip", "blip-large", "blip-vqa"):
        reader.fuse_attention(model)
    processor = AutoProcessor.from_pretrained(choice.path)
    if choice.key.startswith("blip2"):
        reader.check_image_tokens(model.config, processor, choice)
    return model.to(choice.device).eval(), processor


def in_batches(function, samples: list, choice) -> list:
    """What a function gives for the pictures of the samples, opened and computed a few at a time, as memory allows."""
    size = choice.batch_size(16)
    return [result for start in progress(range(0, len(samples), size))
            for result in function([sample.image for sample in samples[start:start + size]])]


lessons_own = argparse.Namespace(**{**vars(options), "model": None})  # --model stands beside these, further down
clip, clip_processor = load(clip_choice := catalog.choose("clip", lessons_own))
blip, blip_processor = load(blip_choice := catalog.choose("blip", lessons_own))
answerer, answerer_processor = load(answer_choice := catalog.choose("blip2", lessons_own))
lesson.check(pictures)


@torch.inference_mode()
def embed_pictures(batch: list) -> torch.Tensor:
    """Normalised embeddings (pictures, dimensions), see 9.1."""
    inputs = clip_processor(images=batch, return_tensors="pt").to(clip_choice.device, clip_choice.dtype)
    return F.normalize(clip.get_image_features(**inputs).pooler_output.float(), dim=-1).cpu()


@torch.inference_mode()
def embed_texts(texts: list[str]) -> torch.Tensor:
    """Normalised embeddings (texts, dimensions), see 9.1."""
    inputs = clip_processor(text=texts, return_tensors="pt", padding=True, truncation=True).to(clip_choice.device)
    return F.normalize(clip.get_text_features(**inputs).pooler_output.float(), dim=-1).cpu()


@torch.inference_mode()
def describe(batch: list) -> list[str]:
    """A caption for each picture, see 9.5."""
    inputs = blip_processor(images=batch, return_tensors="pt").to(blip_choice.device, blip_choice.dtype)
    return blip_processor.batch_decode(blip.generate(**inputs, max_new_tokens=40), skip_special_tokens=True)


@torch.inference_mode()
def answer(image, question: str) -> str:
    """A short answer, see 9.4."""
    prompt = f"Question: {question} Answer:" if answer_choice.key == "blip2" else question
    inputs = answerer_processor(images=image, text=prompt, return_tensors="pt").to(answer_choice.device,
                                                                                   answer_choice.dtype)
    output = answerer.generate(**inputs, max_new_tokens=20, do_sample=False)
    if answer_choice.key == "blip2":
        output = output[:, inputs["input_ids"].shape[1]:]
    return answerer_processor.batch_decode(output, skip_special_tokens=True)[0].strip()


# %% [markdown]
# ## What it costs
#
# Seconds for one picture, text, caption or question, one at a time: what a user waits for. Numbers of lessons that ran
# before with the same model, device and precision are taken over, the others are measured now.

# %%
lesson.step("What one call costs on this machine")
earlier = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))
           for path in options.output.glob("9.[1-5]/results.json")}


def measured(section: str | None, measure: str | None, choice) -> float | None:
    """What an earlier lesson measured with this very model on this device in this precision, or None."""
    results = earlier.get(section, {"models": []})
    ran = [(model["name"], model["device"], model["dtype"]) for model in results["models"][:1]]
    return results["measures"].get(measure) if (choice.name, choice.device, choice.dtype_name) in ran else None


picture = pictures[0].image
calls = (  # task, model, lesson and name of its measurement, what to time
    ("encode a picture", clip_choice, None, None, lambda: embed_pictures([picture])),
    ("encode a text", clip_choice, None, None, lambda: embed_texts(["a photo of a cat"])),
    ("caption a picture", blip_choice, "9.5", "seconds_per_caption", lambda: describe([picture])),
    ("answer a question", answer_choice, "9.4", "seconds_per_question",
     lambda: answer(picture, "What is in the picture?")),
)
costs = []
for task, choice, section, measure, call in calls:
    seconds = measured(section, measure, choice)
    source = f"lesson {section}" if seconds else "measured now"
    seconds = seconds or hardware.median_seconds(call, choice.device)
    costs.append({"task": task, "model": choice.name, "seconds": seconds, "source": source})
    print(f"   {task:18} {choice.name:22} {1000 * seconds:8.1f} ms   ({source})")
lesson.record("costs", costs)
lesson.save(figures.bars([f"{cost['task']} ({cost['model']})" for cost in costs],
                         [1000 * cost["seconds"] for cost in costs],
                         f"A caption takes {costs[2]['seconds'] / costs[0]['seconds']:.1f} times as long as an "
                         "embedding", "milliseconds, one at a time", "{:.1f}"), "costs")

# %% [markdown]
# ## How good it was
#
# On the gallery, as the lessons before have measured it, with the model that they ran.

# %%
lesson.step("How good it was")
scores = {}
for section, name, label in (("9.2", "zero_shot_objects", "zero-shot, best prompt"),
                             ("9.2", "zero_shot_places", "place, best prompt"),
                             ("9.5", "objects_right", "all objects named"),
                             ("9.5", "captions_exact", "caption exact"),
                             ("9.4", "accuracy", "questions right")):
    value = earlier.get(section, {}).get("measures", {}).get(name)
    if value is not None:
        share = max(value.values()) if isinstance(value, dict) else value
        scores[f"{earlier[section]['models'][0]['name']}, {label}"] = share
        print(f"   {list(scores)[-1]:44} {share:6.1%}   (lesson {section})")
if scores:
    lesson.save(figures.bars(
        list(scores), [100 * share for share in scores.values()],
        f"Hardest: {min(scores, key=scores.get)}", "percent right on the gallery", "{:.0f}%"), "scores")
else:
    print(f"   No lesson has left results in {options.output} yet: python run_all_sections.py 1-5 makes them.")
lesson.record("scores", scores)

# %% [markdown]
# ## Side by side
#
# The pictures of the gallery that show one thing, one at a time: which model names it, at what price? CLIP chooses
# among the nouns of the gallery, the others say it in their own words. `--model NAME` adds a model of `python -m
# multimodal.weights list`, as in `--models hub --model siglip2 --model smolvlm` (with the time that it takes to load).


# %%
def choose_nouns(choice, model, processor) -> list[str]:
    """What a model with two towers chooses for each picture of `alone`."""
    # SigLIP was trained on texts of 64 tokens, whatever they say.
    padding = {"padding": "max_length", "max_length": 64} if "siglip" in model.config.model_type else {"padding": True}
    words = processor(text=prompts, return_tensors="pt", **padding)
    texts = F.normalize(model.get_text_features(**words.to(choice.device)).pooler_output.float(), dim=-1)
    chosen = []
    for sample in progress(alone):
        inputs = processor(images=sample.image, return_tensors="pt").to(choice.device, choice.dtype)
        similarity = model.get_image_features(**inputs).pooler_output.float() @ texts.T
        chosen.append(nouns[similarity.argmax()])
    return chosen


def say_what(choice, model, processor) -> list[str]:
    """What a model with a decoder says of each picture of `alone`."""
    question = "What is in the picture?"
    prompt = {"blip": None, "blip-large": None, "blip-vqa": question}.get(choice.key, f"Question: {question} Answer:")
    if getattr(processor, "chat_template", None):
        prompt = processor.apply_chat_template([{"role": "user", "content": [
            {"type": "image"}, {"type": "text", "text": question}]}], add_generation_prompt=True)
    said = []
    for sample in progress(alone):
        inputs = processor(images=sample.image, text=prompt, return_tensors="pt").to(choice.device, choice.dtype)
        output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
        if choice.key in ("blip2", "smolvlm"):  # a decoder alone gives the prompt back, too
            output = output[:, inputs["input_ids"].shape[1]:]
        said += processor.batch_decode(output, skip_special_tokens=True)
    return said


lesson.step("Side by side: which model names the thing?")
gallery = images.gallery()
alone = [sample for sample in gallery if len(sample.objects) == 1 and sample.objects[0]["count"] == 1]
nouns = sorted({thing["noun"] for sample in gallery for thing in sample.objects})
prompts = [f"a photo of {article(noun)}" for noun in nouns]
contestants = {clip_choice.name: partial(choose_nouns, clip_choice, clip, clip_processor),
               blip_choice.name: partial(say_what, blip_choice, blip, blip_processor),
               answer_choice.name: partial(say_what, answer_choice, answerer, answerer_processor)}
for key in dict.fromkeys(options.model or ()):
    if key.startswith("sbert"):
        print(f"   {catalog.MODELS[key].name} is left out: it runs in 9.3.")
        continue
    choice = catalog.choose(key, argparse.Namespace(**{**vars(options), "model": [key]}))
    if choice.source == "embedded":
        print(f"   {catalog.MODELS[key].name} is left out. {choice.reason}")
    elif choice.name not in contestants:
        name_things = choose_nouns if catalog.MODELS[key].embedded == "clip" else say_what
        contestants[choice.name] = lambda name=name_things, choice=choice: name(choice, *load(choice))
rows = {}
with torch.inference_mode():
    for name, contestant in contestants.items():
        began = time.perf_counter()
        named = [names_noun(said, sample.objects[0]["noun"]) for said, sample in zip(contestant(), alone)]
        rows[name] = {"named": sum(named) / len(named), "seconds": (time.perf_counter() - began) / len(named)}
        print(f"   {name:24} {rows[name]['named']:6.1%} of {len(named)}, {1000 * rows[name]['seconds']:7.1f} ms each")
most = max(row["named"] for row in rows.values())
lesson.record("side_by_side", rows)
lesson.save(figures.bar_panels(
    list(rows), {"names the thing": ([row["named"] for row in rows.values()], "{:.0%}"),
                 "ms a picture": ([1000 * row["seconds"] for row in rows.values()], "{:.1f}")},
    f"Most things are named by {', '.join(name for name in rows if rows[name]['named'] == most)} ({most:.0%})"),
    "side_by_side")

# %% [markdown]
# ## Four families, and which model to choose
#
# | family | how picture and text meet | trained by | good at | examples |
# |---|---|---|---|---|
# | dual encoder | only in a dot product | contrast | search, zero-shot labels | CLIP, SigLIP |
# | fusion encoder | attention across both | matching, masked words | fine questions about one pair | ViLBERT, UNITER |
# | encoder and decoder | cross-attention | contrast, captions (BLIP: and matching) | captions, answers | BLIP, CoCa |
# | projector, language model | picture tokens in the prompt | captions, instructions | conversation | BLIP-2, LLaVA |
#
# Flamingo puts gated cross-attention into a frozen language model, between the third and the fourth. After BLIP-2 the
# field kept the fourth family and made its parts larger: more picture tokens, higher resolution, instruction tuning
# (InstructBLIP, LLaVA 1.5), then video and many pictures at once (Qwen-VL, InternVL, SmolVLM).

# %%
lesson.step("Which model for which task and machine")
machines = {"this machine": machine,
            "laptop, 8 GB": hardware.Machine("cpu", "CPU", 8, 5 * 10**9, 0, False),
            "GPU with 8 GB": hardware.Machine("cuda", "GPU", 8, 16 * 10**9, 8 * 10**9, False),
            "GPU with 16 GB": hardware.Machine("cuda", "GPU", 16, 32 * 10**9, 16 * 10**9, False)}
tasks = {"search and labels": ("clip", 2), "search over a folder": ("sbert-clip", 3), "captions": ("blip", 5),
         "questions, conversation": ("blip2", 4)}
print(f"   {'':24}" + "".join(f"{name:28}" for name in machines))
chosen = {}
for task, (key, section) in tasks.items():
    row = [catalog.decide(key, machine, models="hub") for machine in machines.values()]
    chosen[task] = {name: f"{choice.name} {choice.dtype_name.upper()}" for name, choice in zip(machines, row)}
    print(f"   {task:24}" + "".join(f"{name:28}" for name in chosen[task].values())
          + f"python run_all_sections.py {section} --models hub")
lesson.record("chooser", chosen)
print(f"\n{catalog.hardware_table()}\nMeasured on two cores with AMX in BF16: see benchmarks/README.md.")

# %% [markdown]
# ## Three applications

# %%
lesson.step("A shop's search: words find pictures")
embeddings = torch.stack(in_batches(embed_pictures, pictures, clip_choice))  # (pictures, dimensions), computed once
similarity = (embed_texts([options.query]) @ embeddings.T)[0]
found = similarity.topk(min(8, len(pictures))).indices.tolist()
print(f"   {options.query!r}: {', '.join(pictures[i].name for i in found)}")
lesson.record("shop_search", [pictures[i].name for i in found])
lesson.save(figures.picture_grid([pictures[i].image for i in found],
                                 [f"{pictures[i].name}, {similarity[i]:.2f}" for i in found],
                                 f"What the search shows for {options.query!r}, best first"), "shop_search")

# %%
lesson.step("Accessibility: a picture in words, for a screen reader")
shown = pictures[:8]
captions = in_batches(describe, shown, blip_choice)
first_questions = [answer(sample.image, "What is in the picture?") for sample in shown]
for sample, caption, said in zip(shown, captions, first_questions):
    print(f'   <img src="{sample.path.name}" alt="{caption}">   asked what is in it: {said}')
lesson.record("alternative_texts", dict(zip((str(sample.path) for sample in shown), captions)))
lesson.save(figures.picture_grid([sample.image for sample in shown], captions,
                                 "Alternative texts, written by BLIP"), "alternative_texts")

# %% [markdown]
# Moderation is zero-shot classification with a rule. Its threshold trades misses (recall) against false alarms
# (precision); where somebody is harmed by an error, the model may only sort what a person then decides.

# %%
lesson.step("Moderation: which pictures should a person look at?")
banned = "dog"
policy = embed_texts([f"a picture of a {banned}", *dict.fromkeys(
    sample.caption for sample in gallery if not names_noun(sample.caption, banned))])
suspicion = (clip.logit_scale.exp().item() * embeddings @ policy.T).softmax(-1)[:, 0]
flagged = [i for i in suspicion.argsort(descending=True).tolist() if suspicion[i] > 0.5]
print(f"   rule: no {banned}; {len(flagged)} of {len(pictures)} pictures to look at: "
      + ", ".join(f"{pictures[i].name} {suspicion[i]:.0%}" for i in flagged))
if pictures[0].caption:  # the gallery's, of which it is known what they show
    truth = np.array([any(thing["noun"] == banned for thing in sample.objects) for sample in pictures])
    precision, recall = precision_and_recall(suspicion.numpy(), truth, 0.5)
    print(f"   precision {precision:.0%}, recall {recall:.0%} of the {truth.sum()} that show a {banned}")
    lesson.record("moderation", {"precision": precision, "recall": recall})
lesson.record("flagged", [pictures[i].name for i in flagged])
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - An embedding answers any question that can be put beforehand, a caption one, a conversation all: price them.
# - Take the smallest model that passes your own test; the table above says what fits which machine.
# - **Hallucination:** a captioner writes what usually stands in such pictures. Measure it (9.4, 9.5) before you rely
#   on it, and never let a caption be the only source of a fact.
# - **Bias:** what the training pictures showed too often or never, the model has learned so. Test on your own data.
# - **Privacy:** all models of this chapter run on your machine, no picture leaves it. With an API, read where it goes.
# - **Medicine and law:** these models were not trained for it and nobody has tested them for it.
#
# ## Exercises
#
# 1. Let `banned` be "car", and choose the threshold so that no car is missed. How many false alarms does that cost?
# 2. Your shop has ten million pictures. Which of the four costs above grows with that number, and which does not?
# 3. Run lesson 9.5 with `--models hub` if you can, and run this one again: which of the differences surprised you?
#
# **Where next:** the papers of CLIP (arXiv 2103.00020), BLIP (2201.12086), BLIP-2 (2301.12597) and LLaVA (2304.08485).
