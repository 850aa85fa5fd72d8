# %% [markdown]
# # 9.4 BLIP-2: a language model that is lent eyes
#
# **You learn** how BLIP-2 joins a finished vision model and a finished language model by training only what stands
# between them, how to ask it for captions, answers and conversations, and how to find out whether it looks at all.
#
# **It needs** under 2 GB of memory and no download with the small model of this repository. The real BLIP-2 OPT-2.7B
# is a download of 15 GB and runs in FP16 on a GPU with 8 GB or more; where it does not fit, `--models hub` takes
# BLIP-VQA (1.54 GB, any CPU) for the questions.
#
# **On your own picture:** `python 9.4_blip2_vision_qa.py --image my.jpg --question "What is on the left?"`, or talk
# about it: `python 9.4_blip2_vision_qa.py --image my.jpg --chat`

# %%
import argparse
from collections import Counter

# The chapter's own modules come first: they set what the Hugging Face libraries read when they are imported.
from multimodal import UserError, catalog, figures, images, reader
from multimodal.hardware import median_seconds
from multimodal.lesson import Lesson, converse, progress
from multimodal.metrics import is_right

import torch
from PIL import Image
from transformers import Blip2ForConditionalGeneration, Blip2Processor, BlipForQuestionAnswering, BlipProcessor

lesson = Lesson("9.4", "BLIP-2: a language model that is lent eyes")
lesson.argument("--question", action="append", metavar="TEXT", help="ask this and end; may be given more than once")
lesson.argument("--chat", action="store_true", help="talk about the picture at the terminal; quit or Ctrl-D ends")
options = lesson.start()
pictures, gallery = images.chosen(options), images.gallery()

choice = blip2 = catalog.choose("blip2", options)
lesson.use(choice)
if choice.key == "blip-vqa":
    with choice.loading() as settings:
        vqa_model = BlipForQuestionAnswering.from_pretrained(choice.path, **settings)
    reader.fuse_attention(vqa_model).to(choice.device).eval()
    vqa_processor = BlipProcessor.from_pretrained(choice.path)
    print("BLIP-VQA answers the questions. What needs BLIP-2 itself (its parts, captions, memory) is shown on:")
    blip2 = catalog.choose("blip2", argparse.Namespace(**{**vars(options), "models": "embedded"}))
    lesson.use(blip2)
lesson.check(pictures)
with blip2.loading() as settings:
    model = Blip2ForConditionalGeneration.from_pretrained(blip2.path, **settings)
model, processor = model.to(blip2.device).eval(), Blip2Processor.from_pretrained(blip2.path)
processor.tokenizer.padding_side = "left"  # a prompt goes on at its right end, so short ones are filled up at the left

# What the model sees takes the place of <image> tokens in the prompt: without them it answers, and does not look.
reader.check_image_tokens(model.config, processor, blip2)
BATCH, NEW_TOKENS = blip2.batch_size(16), 24  # fewer pictures a batch where memory is short

# %% [markdown]
# ## Asking
#
# A language model goes on with a text. So a question is put as a text whose natural continuation is the answer:
# `Question: ... Answer:`, as the paper does it with OPT, which learned from captions alone; the small BLIP-2 was
# trained with these very words. Earlier turns stand in front, and that is all the memory there is. The output begins
# with the whole input, image tokens and prompt, and is cut there.


# %%
def prompt_for(question: str, history: list[tuple[str, str]] = ()) -> str:
    """The prompt for a question after a history of (question, answer): its last three turns, or those that fit.

    Raises:
        UserError: The question alone is longer than the model can take.
    """
    room = model.config.text_config.max_position_embeddings - model.config.num_query_tokens - NEW_TOKENS
    turns = [*history[-3:], (question.replace("<image>", ""), "")]  # nobody but the processor may put these tokens
    for first in range(len(turns)):
        prompt = ". ".join(f"Question: {asked} Answer: {said}".strip() for asked, said in turns[first:])
        if len(processor.tokenizer(prompt)["input_ids"]) <= room:
            return prompt
    raise UserError("This question is longer than the model can take: shorten it.")


@torch.inference_mode()
def go_on(pictures: list[Image.Image], prompts: list[str], **how) -> list[str]:
    """What BLIP-2 writes after each prompt about its picture; `how` goes to `generate`."""
    texts = []
    for start in progress(range(0, len(prompts), BATCH)):
        inputs = processor(images=pictures[start:start + BATCH], text=prompts[start:start + BATCH], padding=True,
                           return_tensors="pt").to(blip2.device, blip2.dtype)
        output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, **{"do_sample": False, **how})
        written = output[:, inputs["input_ids"].shape[1]:]
        texts += [text.strip() for text in processor.batch_decode(written, skip_special_tokens=True)]
    return texts


@torch.inference_mode()
def answer(pictures: list[Image.Image], questions: list[str], history: list[tuple[str, str]] = ()) -> list[str]:
    """The answer to each question about its picture. BLIP-VQA has no memory and reads the bare question; padding
    would change its answers, so each question goes alone."""
    if choice.key != "blip-vqa":
        return go_on(pictures, [prompt_for(question, history) for question in questions])
    answers = []
    for picture, question in progress(list(zip(pictures, questions))):
        inputs = vqa_processor(images=picture, text=question, truncation=True, return_tensors="pt")
        output = vqa_model.generate(**inputs.to(choice.device, choice.dtype), max_new_tokens=NEW_TOKENS)
        answers += vqa_processor.batch_decode(output, skip_special_tokens=True)
    return answers


lesson.step("Questions about a picture")
picture = pictures[0]
questions = options.question or [asked.text for asked in picture.questions] or [
    "What is in the picture?", "How many things are in the picture?", "Where was this picture taken?"]
asked_of = pictures if options.question and (options.image or options.images) else [picture]
answers = [answer([sample.image] * len(questions), questions) for sample in asked_of]
for sample, said in zip(asked_of, answers):
    print("\n".join(f"   {sample.name}: {question} {text}" for question, text in zip(questions, said)))
if choice.source == "embedded" and not options.question:  # it has learned to answer Chinese in Chinese
    print(f"   {picture.name}: 图片里有什么？ {answer([picture.image], ['图片里有什么？'])[0]}")
lesson.record("answers", {str(sample.path): said for sample, said in zip(asked_of, answers)})
lesson.save(figures.picture_notes([sample.image for sample in asked_of[:8]],
                                  [list(zip(questions, said)) for said in answers[:8]],
                                  f"What the {choice.name} answers", columns=1), "answers")

# %% [markdown]
# ## Talking: `--chat`
#
# The same functions in a loop. `--question` and `--chat` end the lesson here.

# %%
if options.chat:
    lesson.step(f"Conversation about {picture.name} (quit or Ctrl-D ends it)")
    lesson.record("conversation", converse(
        lambda question, history: answer([picture.image], [question], history)[0]))
if options.question or options.chat:
    lesson.finish()
    raise SystemExit

# %% [markdown]
# ## Its parts, and who learned
#
# The vision tower and the language model came finished and stayed **frozen**. Stage 1 trained the Q-Former to take
# from a picture what its caption says, stage 2 trained Q-Former and projection to say it in the language model's
# tongue (Li et al. 2023, sections 3.2 and 3.3). That is what made it affordable.

# %%
lesson.step("The parts, counted")
parts = {"vision tower": (model.vision_model.parameters(), "frozen"),
         "Q-Former": (model.qformer.parameters(), "trained in stages 1 and 2"),
         "query tokens": ([model.query_tokens], "trained in stages 1 and 2"),
         "projection": (model.language_projection.parameters(), "trained in stage 2"),
         "language model": (model.language_model.parameters(), "frozen")}
counts = {name: sum(p.numel() for p in parameters) for name, (parameters, _) in parts.items()}
total = sum(p.numel() for p in model.parameters())
assert sum(counts.values()) == total
for name, (_, recipe) in parts.items():
    print(f"   {name:15} {counts[name]:14,}  {recipe}")
trained = sum(count for name, count in counts.items() if parts[name][1] != "frozen")
print(f"   {'all':15} {total:14,}  of which {trained / total:.1%} were trained")
lesson.record("parameters", counts)

# %% [markdown]
# ## One picture's way through the model
#
# The queries are learned vectors, the same for every picture. By cross-attention they fill with what they find in
# it; a linear layer brings them to the width of a word embedding; then they stand where the `<image>` tokens stood.

# %%
lesson.step("From pixels to words, by hand")
model.qformer.set_attn_implementation("eager")  # the fused kernels do not give their attention weights away
several = [sample.image for sample in pictures[:min(4, BATCH)]]
inputs = processor(images=several, text=[prompt_for("What is in the picture?")] * len(several), padding=True,
                   return_tensors="pt").to(blip2.device, blip2.dtype)
with torch.inference_mode():
    features = model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
    queries = model.query_tokens.expand(len(several), -1, -1)
    qformer = model.qformer(query_embeds=queries, encoder_hidden_states=features, output_attentions=True)
    visual_tokens = model.language_projection(qformer.last_hidden_state.to(features.dtype))
    embeddings = model.get_input_embeddings()(inputs["input_ids"])
    embeddings[inputs["input_ids"] == model.config.image_token_index] = visual_tokens.flatten(0, 1).to(embeddings.dtype)
    logits = model.language_model(inputs_embeds=embeddings, attention_mask=inputs["attention_mask"]).logits
    difference = (logits - model(**inputs).logits).abs().max() / logits.abs().max()
for name, tensor in {"pixel_values": inputs["pixel_values"], "vision features": features, "query tokens": queries,
                     "Q-Former output": qformer.last_hidden_state, "visual tokens": visual_tokens,
                     "prompt with them": embeddings, "logits": logits}.items():
    print(f"   {name:16} {tuple(tensor.shape)}")
print(f"   {pictures[0].name}: the answer begins with {processor.decode(logits[0, -1].argmax())!r}; the logits differ "
      f"from those of the model's own forward pass by {difference:.1e}")
assert difference < 1e-2

# %% [markdown]
# ## Where the queries look
#
# The attention of each query, averaged over heads and layers and laid over the picture. Nobody told a query what to
# look for: do not expect to find "the dog query".

# %%
lesson.step("Where the queries look")
attention = torch.stack(qformer.cross_attentions).float().mean((0, 2))  # (pictures, queries, tokens)
maps = attention[..., 1:] / attention[..., 1:].sum(-1, keepdim=True)  # without the class token
spread = torch.exp(-(maps * maps.clamp_min(1e-12).log()).sum(-1))  # patches, if it attended to so many evenly
sharpest = spread.mean(0).argsort()[:4].tolist()
side = round(maps.shape[-1] ** 0.5)
print(f"   A query spreads its attention over about {spread.mean():.0f} of {maps.shape[-1]} patches.")
lesson.record("patches_per_query", spread.mean().item())
lesson.save(figures.map_rows(
    several, [[row[query].reshape(side, side).cpu().numpy() for query in sharpest] for row in maps],
    [[f"query {query + 1}: {row[query]:.0f} patches" for query in sharpest] for row in spread],
    f"The {len(sharpest)} sharpest of {maps.shape[1]} queries look at about {spread[:, sharpest].mean():.0f} of "
    f"{maps.shape[-1]} patches each"), "query_maps")

# %% [markdown]
# ## Captions: how to choose the next word
#
# **Greedy** takes the likeliest word each time, **beam search** keeps the three likeliest sentences, **nucleus
# sampling** draws from the words that make up 90% of the probability (Holtzman et al. 2020). A prompt can begin them.

# %%
lesson.step("Captions")
shown, captions = [sample.image for sample in pictures[:6]], {}
ways = {"greedy": {}, "beam 3": {"num_beams": 3}, "nucleus": {"do_sample": True, "top_p": 0.9, "top_k": 0}}
for prompt, sign in (("", ""), ("a photo of", "a photo of, ")):
    for way, how in ways.items():
        torch.manual_seed(0)
        captions[sign + way] = go_on(shown, [prompt] * len(shown), **how)
        print(f"   {sign + way:19} {captions[sign + way][0]}")
same = {way: sum(a == b for a, b in zip(captions["greedy"], captions[way])) for way in ("beam 3", "nucleus")}
lesson.save(figures.picture_notes(
    shown, [list(zip(captions, texts)) for texts in zip(*captions.values())], "Beam search agrees with greedy on "
    f"{same['beam 3']} of {len(shown)} captions, nucleus sampling on {same['nucleus']}"), "captions")
lesson.record("seconds_per_caption", median_seconds(lambda: go_on(shown[:1], [""]), blip2.device))

# %% [markdown]
# ## How often is it right, and does it look?
#
# The gallery's questions by kind. An answer is right if it is the expected one after VQA v2's normalisation (case,
# articles, numbers as digits), which is unfair to a model that says "snow" for "in the snow". The same questions about
# a **grey picture** then tell what can be guessed: without its blind twin a score says little (Goyal et al. 2017). And
# "yes" to what is not so is a hallucination, counted as in POPE, which asks of objects alone (Li et al. 2023).

# %%
lesson.step("Accuracy by kind of question")
asked = [(sample.name, question) for sample in gallery for question in sample.questions]
opened = {sample.name: sample.image for sample in gallery}
texts = [question.text for _, question in asked]
print(f"   {len(asked)} questions about {len(gallery)} pictures, then about a grey one ...")
answers = answer([opened[name] for name, _ in asked], texts)
blind_answers = answer([Image.new("RGB", (512, 512), (128, 128, 128))] * len(asked), texts)
right, blind = ([is_right(said, question.answer) for said, (_, question) in zip(all_said, asked)]
                for all_said in (answers, blind_answers))
kinds = Counter(question.kind for _, question in asked)
accuracy, blind_accuracy = ({kind: sum(mark for mark, (_, question) in zip(marks, asked) if question.kind == kind) / n
                             for kind, n in kinds.items()} for marks in (right, blind))
for kind, count in kinds.items():
    print(f"   {kind:9} {accuracy[kind]:6.1%} of {count:3} right, {blind_accuracy[kind]:6.1%} on the grey picture")
negative = [row for row, (_, question) in enumerate(asked) if question.kind == "yes/no" and question.answer == "no"]
yes_shares = {name: sum(is_right(all_said[row], "yes") for row in negative) / len(negative)
              for name, all_said in (("picture", answers), ("grey", blind_answers))}
print(f"   yes where no is right: {yes_shares['picture']:5.1%} of {len(negative):3}, {yes_shares['grey']:6.1%} if grey")
for name, value in {"accuracy": sum(right) / len(right), "accuracy_by_kind": accuracy, "wrong_yes": yes_shares,
                    "accuracy_by_kind_blind": blind_accuracy, "seconds_per_question": median_seconds(
                        lambda: answer(shown[:1], questions[:1]), choice.device)}.items():
    lesson.record(name, value)
title = (f"{sum(right) / len(right):.0%} of {len(asked)} answers are right, {sum(blind) / len(blind):.0%} without "
         "seeing the picture")
print(f"   {title}")
lesson.save(figures.grouped_bars(
    [f"{kind} ({count})" for kind, count in kinds.items()],
    {"the picture": list(accuracy.values()), "a grey picture instead": list(blind_accuracy.values())},
    title, "share of right answers"), "accuracy")
sheet = range(0, len(asked), len(asked) // 12)[:12]  # evenly spaced, not hand-picked
lesson.save(figures.picture_grid(
    [opened[asked[row][0]] for row in sheet],
    [f"{texts[row]} {answers[row]}" + ("" if right[row] else f" (right: {asked[row][1].answer})") for row in sheet],
    f"{sum(right[row] for row in sheet)} of {len(sheet)} answers are right (green; orange: wrong)",
    edge_colours=[figures.COLOURS[2 if right[row] else 1] for row in sheet]), "questions")

# %% [markdown]
# ## Conversation: the memory is the prompt
#
# A follow-up such as "How many are there?" cannot be answered alone. We ask it of every picture that shows one number
# of things on the left and another on the right, once after a turn about each side. Asked alone it has one answer
# for both, so at most half can be right. The turns before are the gallery's, so that only the memory is examined.

# %%
lesson.step("A conversation, with memory and without")
talk = next(sample for sample in gallery if len(sample.objects) == 2 and sample.objects[0]["colour"])
history, notes = [], []
for question in ("What is on the left?", "How many are there?", "What else is there?", "Where is it?"):
    said, alone = go_on([talk.image] * 2, [prompt_for(question, history), prompt_for(question)])
    print(f"   {question:22} {said:26} asked alone: {alone}")
    history.append((question, said))
    notes += [(question, said), ("asked alone", alone)]
print(f"   the last prompt: {prompt_for(question, history[:-1])!r}")

follow_up = "How many are there?"
numbers = {1: ("a", "one"), 2: ("two", "two"), 3: ("three", "three")}
turns = [(sample.image, thing["count"], (f"What is on the {side}?",
                                         f"{numbers[thing['count']][0]} {thing['noun']}{'s' * (thing['count'] > 1)}"))
         for sample in gallery if len(sample.objects) == 2 and len({thing["count"] for thing in sample.objects}) == 2
         for side, thing in zip(("left", "right"), sample.objects)]
two, counts_there, before = zip(*turns)
remembered, alone = (sum(is_right(said, numbers[count][1]) for said, count in zip(go_on(two, prompts), counts_there))
                     for prompts in ([prompt_for(follow_up, [turn]) for turn in before],
                                     [prompt_for(follow_up)] * len(two)))
title = f'"{follow_up}" is answered rightly in {remembered} of {len(two)} conversations, asked alone in {alone}'
print(f"   {title}")
lesson.record("follow_ups", {"asked": len(two), "right": remembered, "right_alone": alone})
lesson.save(figures.picture_notes([talk.image], [notes], title, columns=1), "conversation")
lesson.finish()

# %% [markdown]
# ## What to remember
#
# - BLIP-2 trains a small bridge between two frozen models; a picture becomes a few visual tokens in the prompt.
# - The wording of the prompt belongs to the model: `Question: ... Answer:`. Its memory is the text you send again.
# - Check that it looks (the `<image>` tokens), ask about a grey picture, and count the yes to what is not there.
#
# ## Exercises
#
# 1. Ask without the frame: `go_on([picture.image], ["What is in the picture?"])`. What does it go on with?
# 2. Set `visual_tokens` to zero before they are put into `embeddings`. Which first word does the model choose?
# 3. Give it a false memory, `[("What is on the left?", "a giraffe")]`. Does it trust you or its eyes?
#
# **Next:** `9.5_lightweight_vlm.py` makes captions on small machines and measures what precision costs.
