# %% [markdown]
# # 9.4 BLIP-2: asking a language model about pictures
#
# **You learn** how BLIP-2 connects a finished vision model to a finished language model, how to get answers and
# captions from it, what happens to a picture on the way, and how to measure whether the answers come from the picture.
#
# **It needs** under 2 GB of memory and no download with the small model of this repository. The real BLIP-2 OPT-2.7B
# is a download of 15 GB and needs a GPU with 8 GB; BLIP-VQA answers on any CPU (`--models hub`, 1.54 GB).
#
# **On your own picture:** `python 9.4_blip2_vision_qa.py --image my.jpg --question "What is on the left?"`, or talk
# about it: `python 9.4_blip2_vision_qa.py --image my.jpg --chat`

# %%
from collections import Counter

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
import toyworld
from multimodal import UserError, adapters, catalog, figures, hardware, images, metrics
from multimodal.lesson import Lesson
from multimodal.terminal import converse, progress

import torch
from transformers import Blip2ForConditionalGeneration, Blip2Processor

lesson = Lesson("9.4", "BLIP-2: asking a language model about pictures")
lesson.argument("--question", action="append", metavar="TEXT", help="ask this and end; may be given more than once")
lesson.argument("--chat", action="store_true", help="talk about the picture at the terminal; quit or Ctrl-D ends")
options = lesson.start()
pictures, own = images.chosen(options)
choice = blip2 = catalog.choose("blip2", options)
lesson.use(choice)
if choice.family != "blip2":
    print(f"{choice.name} answers the questions. Parts, shapes and captions are shown on a BLIP-2:")
    answer_of_another, blip2 = adapters.answerer(choice), catalog.choose("blip2", options, models="embedded")
    lesson.use(blip2)
lesson.check(pictures)
model = Blip2ForConditionalGeneration.from_pretrained(blip2.path, dtype=blip2.dtype,
                                                      quantization_config=blip2.quantization).to(blip2.device).eval()
processor = Blip2Processor.from_pretrained(blip2.path)
processor.tokenizer.padding_side = "left"  # the answer follows the end of the prompt, so pad on the left
# The processor puts <image> tokens before the prompt, and the model replaces them by what it sees. If the two disagree
# about that token, the model answers without the picture, and no error is raised.
adapters.check_image_tokens(model, processor, blip2.path)
BATCH, NEW_TOKENS = blip2.batch_size(16), 24  # fewer pictures a batch where memory is short

# %% [markdown]
# ## Asking
#
# A language model continues a text. So put the question into a text whose natural continuation is the answer:
# `Question: ... Answer:` (so Li et al. 2023 ask OPT; the small BLIP-2 was trained with it). The output begins with the
# whole input, image tokens and prompt, so cut it there. The model's only memory is its prompt: in a conversation
# (`--chat`), put the earlier turns first. `examples/conversation_memory.py`: "How many are there?" is right in over 90%
# after a turn that names the thing, in under 40% alone; if that turn has the number, even a grey picture scores 100%.


# %%
def prompt_for(question: str, history: list[tuple[str, str]] = ()) -> str:
    """The prompt for a question, after the last three (question, answer) of the history, or as many of them as fit."""
    room = model.config.text_config.max_position_embeddings - model.config.num_query_tokens - NEW_TOKENS
    turns = [*history[-3:], (question.replace("<image>", ""), "")]  # only the processor may write <image>
    for first in range(len(turns)):
        prompt = ". ".join(f"Question: {asked} Answer: {said}".strip() for asked, said in turns[first:])
        if len(processor.tokenizer(prompt)["input_ids"]) <= room:
            return prompt
    raise UserError("This question is longer than the model can take: shorten it.")


def generate(pictures: list, prompts: list[str], **how) -> list[str]:
    """What BLIP-2 writes after each prompt about its picture; `how` goes to the model's `generate`."""
    texts = []
    for start in progress(range(0, len(prompts), BATCH)):
        inputs = processor(images=pictures[start:start + BATCH], text=prompts[start:start + BATCH], padding=True,
                           return_tensors="pt").to(blip2.device, blip2.dtype)
        output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, **{"do_sample": False, **how})
        written = output[:, inputs["input_ids"].shape[1]:]
        texts += [text.strip() for text in processor.batch_decode(written, skip_special_tokens=True)]
    return texts


def answer(pictures: list, questions: list[str], history: list[tuple[str, str]] = ()) -> list[str]:
    """The answer to each question about its picture. Another model than BLIP-2 is not given the history."""
    if choice.family != "blip2":
        return answer_of_another(pictures, questions)
    return generate(pictures, [prompt_for(question, history) for question in questions])


lesson.step("Questions about a picture")
picture = pictures[0]
questions = options.question or [
    "What is in the picture?", "How many things are in the picture?", "Where was this picture taken?"]
about = pictures if own and options.question else [picture]
answers = [answer([sample.image] * len(questions), questions) for sample in about]
for sample, said in zip(about, answers):
    print("\n".join(f"   {sample.name}: {question} {text}" for question, text in zip(questions, said)))
lesson.record("answers", {str(sample.path): said for sample, said in zip(about, answers)})
notes, title = [list(zip(questions, said)) for said in answers[:8]], f"Answers of the {choice.name}"
lesson.save(figures.picture_notes([sample.image for sample in about[:8]], notes, title, columns=1), "answers")
if options.chat:
    lesson.step(f"Conversation about {picture.name} (quit or Ctrl-D ends it)")
    lesson.record("conversation", converse(lambda question, history: answer([picture.image], [question], history)[0]))
if options.question or options.chat:
    lesson.finish()
    raise SystemExit

# %% [markdown]
# ## The parts, and which of them were trained
#
# Vision tower and language model came trained and stayed **frozen**. Stage 1 trained the Q-Former on pictures with
# captions, to extract what a caption says. Stage 2 trained Q-Former and projection, so that the language model
# understands their output (Li et al. 2023, sections 3.2, 3.3). In BLIP-2 OPT-2.7B they are 2.9% of 3.74 billion
# parameters, so training was cheap. Our frozen parts are small, so the share is larger.

# %%
lesson.step("The parts, counted")
counts = {name: sum(weights.numel() for weights in part.parameters()) for name, part in model.named_children()}
counts["query_tokens"] = model.query_tokens.numel()
for name, count in counts.items():
    print(f"   {name:20} {count:14,}  {'frozen' if name in ('vision_model', 'language_model') else 'trained'}")
total, frozen = sum(counts.values()), counts["vision_model"] + counts["language_model"]
print(f"   {'all':20} {total:14,}  of which {1 - frozen / total:.1%} were trained (BLIP-2 OPT-2.7B: 2.9%)")
lesson.record("parameters", counts)

# %% [markdown]
# ## One picture's way through the model
#
# The query tokens are learned vectors, the same for every picture. In the Q-Former they collect what they need from the
# picture by cross-attention. The projection, a linear layer, makes them as wide as word embeddings. They replace the
# embeddings of the `<image>` tokens, and the language model reads them like words. `examples/query_maps.py`: two of 16
# queries put 63% of their attention on the things, which cover 36% of the picture; most others look at the background.

# %%
lesson.step("From pixels to words, by hand")
inputs = processor(images=picture.image, text=prompt_for("What is in the picture?"),
                   return_tensors="pt").to(blip2.device, blip2.dtype)
with torch.inference_mode():
    features = model.vision_model(inputs["pixel_values"]).last_hidden_state  # (1, patches and class token, width)
    queries = model.query_tokens  # (1, queries, width of the Q-Former)
    filled = model.qformer(query_embeds=queries, encoder_hidden_states=features).last_hidden_state  # the same shape
    visual_tokens = model.language_projection(filled.to(features.dtype))  # (1, queries, width of words)
    embeddings = model.get_input_embeddings()(inputs["input_ids"])  # (1, queries and prompt, width of words)
    embeddings[inputs["input_ids"] == model.config.image_token_index] = visual_tokens.flatten(0, 1).to(embeddings.dtype)
    logits = model.language_model(inputs_embeds=embeddings, attention_mask=inputs["attention_mask"]).logits
    difference = (logits - model(**inputs).logits).abs().max() / logits.abs().max()
for name, tensor in (("pixels", inputs["pixel_values"]), ("vision features", features), ("queries", queries),
                     ("visual tokens", visual_tokens), ("with the prompt", embeddings), ("logits", logits)):
    print(f"   {name:15} {tuple(tensor.shape)}")
print(f"   The answer begins with {processor.decode(logits[0, -1].argmax())!r}; the model differs by {difference:.1e}")
assert difference < 1e-2

# %% [markdown]
# ## Captions: how to choose the next word
#
# **Greedy** takes the most probable word. **Beam search** keeps the three best unfinished captions and returns the one
# with the best log-probability divided by its length. **Nucleus sampling** draws each word from those that together
# have 90% of the probability (Holtzman et al. 2020). Patterned pictures make the small model less sure of the place.

# %%
lesson.step("Captions")
shown = [picture.image for picture in (pictures[:12] if own else toyworld.draw(40, seed=94, level="patterned"))]
torch.manual_seed(0)
captions = {"greedy": generate(shown, [""] * len(shown)), "beam 3": generate(shown, [""] * len(shown), num_beams=3),
            "nucleus": generate(shown, [""] * len(shown), do_sample=True, top_p=0.9, top_k=0),
            "a photo of": generate(shown, ["a photo of"] * len(shown))}
changed = {way: sum(a != b for a, b in zip(captions["greedy"], texts)) for way, texts in captions.items()}
lesson.record("captions_changed", {"of": len(shown), **changed})
lesson.record("seconds_per_caption", hardware.median_seconds(lambda: generate(shown[:1], [""]), blip2.device))
title = f"Beam search changes {changed['beam 3']} of {len(shown)} captions, nucleus sampling {changed['nucleus']}"
print(f"   {title}")
rows = sorted(range(len(shown)), key=lambda row: -len({texts[row] for texts in captions.values()}))[:6]  # differ most
notes = [[(way, texts[row]) for way, texts in captions.items()] for row in rows]
lesson.save(figures.picture_notes([shown[row] for row in rows], notes, title), "captions")

# %% [markdown]
# ## How often is it right, and does it look?
#
# New pictures, in a style that was not trained on. An answer is right if it is an accepted one after VQA v2's
# normalisation (case, articles, numbers as digits). Some can be guessed (Goyal et al. 2017), so compare with the
# commonest answer of each kind, and with answers about **another picture**. A blank picture is a bad baseline: its
# colour decides whether a "no" question gets "yes" in 10% or 86% of the cases (`examples/blank_pictures.py`).

# %%
lesson.step("Accuracy by kind of question")
drawn = toyworld.draw(80, seed=940, level="unseen")
asked, shown = zip(*((question, sample.image) for sample in drawn for question in sample.questions))
texts, shares = [question.text for question in asked], {}
commonest = {kind: Counter(question.answer for question in asked if question.kind == kind).most_common(1)[0][0]
             for kind in dict.fromkeys(question.kind for question in asked)}
said = {"the picture": answer(shown, texts), "another picture": answer(shown[10:] + shown[:10], texts),
        "the commonest answer": [commonest[question.kind] for question in asked]}
for way, answers in said.items():
    right = [metrics.is_right(text, question.answers) for text, question in zip(answers, asked)]
    shares[way] = {"all": metrics.share(right)} | {kind: metrics.share(
        mark for mark, question in zip(right, asked) if question.kind == kind) for kind in commonest}
    print(f"   {way}: {shares[way]['all']!s}; " + ", ".join(f"{kind} {shares[way][kind]:.0%}" for kind in commonest))
lesson.record("accuracy", shares["the picture"]["all"])
lesson.record("accuracy_by_kind", shares)
lesson.record("seconds_per_question", hardware.median_seconds(lambda: answer(shown[:1], texts[:1]), choice.device))
title = (f"{shares['the picture']['all']:.0%} of {len(asked)} answers are right, "
         f"{shares['another picture']['all']:.0%} about another picture")
lesson.save(figures.bars(shares, title, "share of right answers, with 95% intervals", "{:.0%}"), "accuracy")
wrong = [row for row, question in enumerate(asked) if not metrics.is_right(said["the picture"][row], question.answers)]
notes = [f"{texts[row]} {said['the picture'][row]} (right: {asked[row].answer})" for row in wrong[:12]]
if wrong:
    lesson.save(figures.picture_grid([shown[row] for row in wrong[:12]], notes, "The first wrong answers"), "mistakes")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - BLIP-2 trains a small bridge between two frozen models: a picture becomes a few visual tokens in the prompt.
# - Each model has its own prompt, here `Question: ... Answer:`. Its memory is the text that you send again.
# - Check the `<image>` tokens, and compare with the answers about another picture.
#
# ## Exercises
#
# 1. Ask without the prompt: `generate([picture.image], ["What is in the picture?"])`. How does the model continue?
# 2. Set `visual_tokens` to zero, or reverse them (`.flip(1)`). What does `model.language_model.generate(inputs_embeds=
#    embeddings, attention_mask=inputs["attention_mask"], max_new_tokens=8)` write now?
#
# **Next:** `9.5_lightweight_vlm.py` makes captions on small machines and measures what precision costs.
