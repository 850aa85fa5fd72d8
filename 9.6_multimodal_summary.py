# %% [markdown]
# # 9.6 Summary: what was measured, what to choose
#
# **You learn** what these models cost on your machine, how good they were, which one to choose, and how to use one.
#
# **It needs** 1 GB of memory with the small models, and the results of lessons 9.1 to 9.5: run them first.
#
# **On your own pictures:** `python 9.6_multimodal_summary.py --images holiday/ --query "a dog in the snow"`

# %%
import json
import time

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
import toyworld
from multimodal import adapters, catalog, figures, hardware, images, metrics
from multimodal.lesson import Lesson
from multimodal.models import FAMILIES, MODELS
from multimodal.words import article, names_noun

lesson = Lesson("9.6", "Summary: what was measured, what to choose")
lesson.argument("--query", default="a guitar", metavar="TEXT", help="what to search the pictures for")
options = lesson.start()
pictures, _ = images.chosen(options)
# 9.1 to 9.5 teach these three. model=None: what --model names does not replace them, it joins them in part 3.
lesson.use(clip_choice := catalog.choose("clip", options, model=None))
lesson.use(blip_choice := catalog.choose("blip", options, model=None))
lesson.use(answer_choice := catalog.choose("blip2", options, model=None))
lesson.check(pictures)
embedder, caption = adapters.embedder(clip_choice), adapters.captioner(blip_choice)
answer = adapters.answerer(answer_choice)

# %% [markdown]
# ## 1. What one call costs
#
# Seconds for one call: how long a user waits. If the same model ran in 9.4 or 9.5, the number is taken from there.

# %%
lesson.step("What one call costs on this machine")
earlier = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))
           for path in options.output.glob("9.[1-5]/results.json")}
picture, question = pictures[0].image, "What is in the picture?"
calls = {  # task: its model, the lesson and the name of its number, and the call to time
    "embed a picture": (clip_choice, "", "", lambda: embedder.pictures([picture])),
    "embed a text": (clip_choice, "", "", lambda: embedder.texts(["a photo of a cat"])),
    "write a caption": (blip_choice, "9.5", "seconds_per_caption", lambda: caption([picture])),
    "answer a question": (answer_choice, "9.4", "seconds_per_question", lambda: answer([picture], [question]))}
costs = []
for task, (choice, section, measure, call) in calls.items():
    results = earlier.get(section) or {"models": [{}], "measures": {}}
    ran = [results["models"][0].get(what) for what in ("name", "device", "dtype")]
    seconds = results["measures"].get(measure) if ran == [choice.name, choice.device, choice.dtype_name] else None
    source = f"lesson {section}" if seconds else "measured now"
    seconds = seconds or hardware.median_seconds(call, choice.device)
    costs.append({"task": task, "model": choice.name, "seconds": seconds, "source": source})
    print(f"   {task:18} {choice.name:22} {1000 * seconds:8.1f} ms   ({source})")
lesson.record("costs", costs)
lesson.save(figures.bars(
    {"time": {f"{cost['task']} ({cost['model']})": 1000 * cost["seconds"] for cost in costs}},
    f"A caption takes {costs[2]['seconds'] / costs[0]['seconds']:.1f} times as long as an embedding",
    "milliseconds, one at a time", "{:.1f}"), "costs")

# %% [markdown]
# ## 2. How good the lessons' models were
#
# As the lessons have measured it. Where 95% intervals overlap widely, other pictures could reverse the order.

# %%
lesson.step("How good the lessons' models were")
scores = {}
for label, section, *path in (("zero-shot, unseen style", "9.2", "zero_shot_objects", "unseen"),
                              ("zero-shot, places", "9.2", "zero_shot_places", "usual"),
                              ("all objects named", "9.5", "objects_right"), ("questions right", "9.4", "accuracy"),
                              ("baseline: commonest answer", "9.4", "accuracy_by_kind", "the commonest answer", "all")):
    value = earlier.get(section, {}).get("measures")
    for key in path:
        value = value.get(key) if value else None
    if value is not None:
        name = f"{earlier[section]['models'][0]['name']}, {label}"
        scores[name] = metrics.Share(**value) if isinstance(value, dict) else value
        print(f"   {name:45} {scores[name]!s}   (lesson {section})")
lesson.record("scores", scores)
lowest = min((name for name in scores if "baseline" not in name), key=scores.get, default=None)
if lowest:
    lesson.save(figures.bars({"right": scores}, f"Lowest of the models: {lowest}", "share right", "{:.1%}"), "scores")
else:
    print(f"   No lesson has left results in {options.output} yet: python run_all_sections.py 1-5 makes them.")

# %% [markdown]
# ## 3. Side by side: which model names the things?
#
# All models get the same new pictures: 100 of one thing in a style that the small models have never seen, 100 of three
# things in known styles. CLIP is told how many there are and chooses among 175 nouns (for one thing chance is 0.6%).
# The others use their own words. `--model NAME` adds a model, as in `--models hub --model siglip2`.

# %%
lesson.step("Side by side: which model names the things?")
worlds = {"one thing, unseen style": toyworld.draw(100, seed=961, level="unseen", things=1, copies=1),
          "three things": toyworld.draw(100, seed=960, level="three")}
nouns = [noun.english for noun in toyworld.NOUNS]
prompts = [f"a photo of {article(noun)}" for noun in nouns]
load = {"embed": adapters.embedder, "caption": adapters.captioner, "answer": adapters.answerer}
contestants = {clip_choice: embedder, blip_choice: caption, answer_choice: answer}
for key in dict.fromkeys(options.model or ()):
    if MODELS[key].family.startswith("sentence"):
        print(f"   {MODELS[key].name} is left out: it runs in 9.3.")
        continue
    choice = catalog.choose(key, options, model=[key])
    if choice.source == "embedded":
        print(f"   {MODELS[key].name} is left out. {choice.reason}")
    elif choice.name not in [other.name for other in contestants]:
        lesson.use(choice)
        contestants[choice] = None  # loaded when its turn comes, and dropped after it
rows = {}
for choice, model in contestants.items():
    task = FAMILIES[choice.family].task
    model = model or load[task](choice)
    began, right = time.perf_counter(), {}
    for world, drawn in worlds.items():
        shown = [picture.image for picture in drawn]
        if task == "embed":
            order = (model.pictures(shown) @ model.texts(prompts).T).argsort(axis=1)  # (pictures, nouns), nearest last
            said = [", ".join(nouns[i] for i in row[-len(picture.things):]) for row, picture in zip(order, drawn)]
        else:
            said = model(shown) if task == "caption" else model(shown, [question] * len(shown))
        right[world] = metrics.share(all(names_noun(text, thing.noun) for thing in picture.things)
                                     for text, picture in zip(said, drawn))
    rows[choice.name] = right | {"seconds": (time.perf_counter() - began) / sum(map(len, worlds.values()))}
    print(f"   {choice.name:22} {1000 * rows[choice.name]['seconds']:7.1f} ms each; ", *map(str, right.values()))
lesson.record("side_by_side", rows)
panels = {world: {name: row[world] for name, row in rows.items()} for world in worlds}
one, three = (sorted((share, name) for name, share in panels[world].items()) for world in worlds)
lesson.save(figures.panels(
    panels, f"Single things: {one[0][0]:.0%} to {one[-1][0]:.0%} are named. All of three things: {three[-1][1]} "
    f"{three[-1][0]:.0%}, {three[0][1]} {three[0][0]:.0%}", dict.fromkeys(worlds, "{:.0%}")), "side_by_side")

# %% [markdown]
# ## 4. Four families, and which model to choose
#
# | family | where picture and text meet | trained on | good at | examples |
# |---|---|---|---|---|
# | dual encoder | in a dot product at the end | contrast | search, zero-shot labels | CLIP, SigLIP |
# | fusion encoder | in attention over both | matching, masked words | questions about one pair | ViLBERT, UNITER |
# | encoder-decoder | in cross-attention | captions, contrast | captions, short answers | BLIP, CoCa |
# | projector and language model | in the prompt | captions, instructions | conversation | BLIP-2, LLaVA |
#
# After BLIP-2 the field kept the fourth family and added instruction tuning (InstructBLIP, LLaVA), higher resolution
# (InternVL), then video and several pictures at once (Qwen-VL, SmolVLM).

# %%
lesson.step("Which model for which task and machine")
machines = {"this machine": hardware.detect(),
            "laptop, 8 GB": hardware.Machine("cpu", "CPU", 8, 5 * 10**9, 0, False),
            "GPU with 8 GB": hardware.Machine("cuda", "GPU", 8, 16 * 10**9, 8 * 10**9, False),
            "GPU with 16 GB": hardware.Machine("cuda", "GPU", 16, 32 * 10**9, 16 * 10**9, False)}
tasks = {"labels (9.2)": "clip", "search (9.3)": "sbert-clip", "captions (9.5)": "blip", "questions (9.4)": "blip2"}
print("   " + "".join(f"{title:26}" for title in ("", *tasks)))
advice = {task: {} for task in tasks}
for name, machine in machines.items():
    for task, key in tasks.items():
        choice = catalog.decide(key, machine, models="hub")
        advice[task][name] = f"{choice.name} {choice.dtype_name.upper()}"
    print("   " + "".join(f"{cell:26}" for cell in (name, *(advice[task][name] for task in tasks))))
lesson.record("chooser", advice)
print(f"   The lessons run them with --models hub.\n\n{catalog.hardware_table()}"
      "Measured on two cores with AMX in BF16: see benchmarks/README.md.")

# %% [markdown]
# ## 5. One application in full: a shop's search
#
# Each picture is embedded once, when it enters the shop, a query when a customer types it. One matrix product compares
# the query with all pictures. To see how good the search is, we ask 400 new pictures for "a red car" and the like. The
# first result must be right in colour and noun. The baseline is the same query without its colour.

# %%
lesson.step("A shop's search: words find pictures")
index = embedder.pictures([sample.image for sample in pictures])  # (pictures, dimensions), computed once
similarity = (embedder.texts([options.query]) @ index.T)[0]  # (pictures,)
found = (-similarity).argsort()[:8].tolist()
lesson.record("shop_search", [pictures[i].name for i in found])
print(f"   {options.query!r}: {', '.join(pictures[i].name for i in found)}")
products = toyworld.draw(400, seed=962, level="one")
stock = embedder.pictures([product.image for product in products])  # (400, dimensions)
labels = [(product.things[0].colour, product.things[0].noun) for product in products]
queries = sorted({label for label in labels if label[0]})
first_right = {}
for name, texts in {"colour and noun": [f"{colour} {noun}" for colour, noun in queries],
                    "noun alone": [noun for _, noun in queries]}.items():
    first = (embedder.texts([f"a photo of {article(text)}" for text in texts]) @ stock.T).argmax(axis=1)  # (queries,)
    first_right[name] = metrics.share(labels[best] == query for best, query in zip(first, queries))
    print(f"   {name}: the first result is right for {first_right[name]!s}")
lesson.record("shop_first_right", first_right)
lesson.save(figures.picture_grid(
    [pictures[i].image for i in found], [f"{pictures[i].name}, cosine {similarity[i]:.2f}" for i in found],
    f"{options.query!r}, best first. Of 400 products the right one is first for {first_right['colour and noun']:.0%} "
    f"of queries with a colour, for {first_right['noun alone']:.0%} without it"), "shop_search")
lesson.finish()

# %% [markdown]
# **Two more applications.** `examples/moderation.py` flags pictures that break a rule: naming banned and allowed nouns
# finds 100% of the vehicles at a precision of 72%, one word 95% at 30%. `examples/alternative_text.py` writes texts for
# a screen reader: in known styles BLIP invents a thing in 2% of them, in an unseen style in 33%.
#
# ## What to remember
#
# - An embedding answers any question whose possible answers you can write down beforehand: CLIP, 28 ms.
# - A caption answers one question: what is in the picture? BLIP-base, 0.73 s.
# - A conversation answers any question, also one that comes up later: BLIP-2, 2.9 s for an answer. (The times are the
#   real models', in BF16 on two cores with AMX: `benchmarks/README.md`.)
# - **Hallucination:** a caption can name things that are not there. Never let it be the only source of a fact.
# - **Bias:** the model inherits the gaps of its training data, as part 3 shows with a style that was not in it.
# - **Privacy:** these models run on your machine, and no picture leaves it. They were not made or tested for medicine.
#
# ## Exercises
#
# 1. In `examples/moderation.py`, let `BANNED` be "animal" and `WANTED_RECALL` 1.0. How many are flagged in vain? (24.)
# 2. Your shop has ten million pictures. Which of the four costs above grows with that number, and which does not?
# 3. Run lesson 9.5 with `--models hub` if you can, then this one again: which of the differences surprised you?
#
# **Where next:** the papers of CLIP (arXiv 2103.00020), BLIP (2201.12086), BLIP-2 (2301.12597) and LLaVA (2304.08485).
