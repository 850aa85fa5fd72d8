"""How people put it: the wordings of `captions` and `questions` in English and Chinese. Other words for the nouns and
the places stand in `toyworld.synonyms`.

A small model understands the wordings that it was trained with and few others, so there are many; those of questions
stand in wordings.tsv: language, form, wording. Those in `UNSEEN` and `UNSEEN_SENTENCES` are never trained on: in them
the evaluation asks how far what was learned carries.

Fields of questions: {there} is "in the picture" in its many forms, {pic} one of its nouns; {thing} what is asked about,
with the verb {are} or {Are}; {many} its plural, with the verb {Are_any}; {n} it and a number, {one} it and an article,
{other} another thing, {others} many of it; {on} "on the left", {on_side} "on the left side", {side} "left"; {colour} a
colour, {color} the word, spelt either way, and {Color}; {place} "in the snow", {spot} the place of the scene so;
{background} "a beach"; {light} "night"; {kind} "animal"; {measure} the Chinese measure word; {a} and {b} two answers to
choose from, or two things between which a third one is.
"""

from pathlib import Path

PICTURES = ("picture", "image", "photo", "pic")
THERE = {
    False: tuple(f"in {which} {pic}" for which in ("the", "this") for pic in PICTURES),
    True: ("图片里", "图片上", "图片中", "图里", "图中", "照片里", "照片中", "画面里", "画面中", "这张图里",
           "这张图片里", "这张照片里"),
}
# What is in no picture, and what people ask for all the same.
NEVER_THERE = {
    False: ("person", "man", "woman", "child", "boy", "girl", "squirrel", "cucumber", "vase", "table", "sofa", "bottle",
            "spoon", "bridge", "submarine", "dragon"),
    True: ("人", "男人", "女人", "小孩", "男孩", "女孩", "松鼠", "黄瓜", "花瓶", "桌子", "沙发", "瓶子", "勺子", "桥",
           "潜水艇", "龙"),
}
# Chinese answers yes or no by repeating the verb of the question: the first of these signs that is in it tells which.
VERBS = {"对[吗吧不]|没错": "对", "看到.*了": "看到了", "看见.*了": "看见了",
         "是|只有|超过|多于|少于|不到|不止|比.*多": "是", "能": "能", "有": "有", "在": "在"}
NO_CHINESE = {"看到了": "没看到", "看见了": "没看见", "对": "不对", "是": "不是", "能": "不能", "有": "没有",
              "在": "不在"}

# How captions tell where one thing stands ({on} "on the left", {side} "左边"), or two or three from left to right: {a},
# {b} and {c}, each with its verb, {is_a} and so on. A phrase may follow "a photo of", a sentence may not. The forms of
# BESIDE tell of two things only where they stand to each other, which is true of any two of three, too.
BESIDE_PHRASES = ("{a} to the left of {b}", "{b} to the right of {a}", "{a} left of {b}", "{b} right of {a}",
                  "{a} on the left of {b}", "{b} on the right of {a}")
BESIDE = ("{a} {is_a} to the left of {b}", "{b} {is_b} to the right of {a}", "{a} {is_a} left of {b}",
          "{b} {is_b} right of {a}", "{b} {is_b} on the right of {a}", "to the left of {b} {is_a} {a}",
          "to the right of {a} {is_b} {b}", "on the right of {a} there {is_b} {b}")
BESIDE_CHINESE = ("{a}在{b}左边", "{a}在{b}的左边", "{b}在{a}右边", "{b}在{a}的右边", "{a}的右边是{b}",
                  "{a}的右边有{b}", "{a}右边是{b}", "{b}的左边是{a}", "{b}的左边有{a}", "{b}左边有{a}",
                  "{a}位于{b}左侧")
PHRASES = {
    1: ("{a} {on}", "{a} {on_side}", "{a} {on} of the picture"),
    2: (*BESIDE_PHRASES, "{a} on the left and {b} on the right", "{a} on the left, {b} on the right",
        "{b} on the right and {a} on the left", "{a} on the left side and {b} on the right side",
        "{a} with {b} on the right", "{b} with {a} on the left"),
    3: ("{a} on the left, {b} in the middle and {c} on the right",),
}
SENTENCES = {
    1: ("{on} {is_a} {a}", "{on} {a}", "{a} {is_a} {on}"),
    2: (*BESIDE, "{a} {is_a} on the left and {b} {is_b} on the right",
        "on the left {is_a} {a}, on the right {is_b} {b}", "on the right {is_b} {b}, on the left {is_a} {a}",
        "on the left {a}, on the right {b}", "on the right {b} and on the left {a}", "left: {a}, right: {b}",
        "right: {b}, left: {a}", "from left to right: {a}, {b}"),
    3: ("on the left {is_a} {a}, in the middle {is_b} {b}, on the right {is_c} {c}",
        "on the right {is_c} {c}, in the middle {is_b} {b}, on the left {is_a} {a}",
        "on the left {a}, in the middle {b}, on the right {c}", "left: {a}, middle: {b}, right: {c}",
        "from left to right: {a}, {b}, {c}"),
}
SENTENCES_CHINESE = {
    1: ("{side}是{a}", "{side}有{a}", "{a}在{side}", "{side}的是{a}", "图片{side}是{a}", "图片的{side}有{a}"),
    2: ("左边是{a}，右边是{b}", "左边有{a}，右边有{b}", "右边是{b}，左边是{a}",
        "左边{a}，右边{b}", "{a}在左边，{b}在右边", "{b}在右边，{a}在左边", "{a}在左，{b}在右", "左侧是{a}，右侧是{b}",
        "从左到右是{a}和{b}", "{a}左边，{b}右边", *BESIDE_CHINESE),
    3: ("左边是{a}，中间是{b}，右边是{c}", "左边有{a}，中间有{b}，右边有{c}", "左边{a}，中间{b}，右边{c}",
        "右边是{c}，中间是{b}，左边是{a}", "{a}在左边，{b}在中间，{c}在右边", "从左到右是{a}、{b}和{c}"),
}
UNSEEN_SENTENCES = {
    False: {1: ("{on_side} {is_a} {a}", "you can see {a} {on}"),
            2: ("{b} can be seen to the right of {a}", "on the left of {b} {is_a} {a}", "{b} and, to its left, {a}",
                "on the left side {is_a} {a} and on the right side {is_b} {b}",
                "the left half shows {a}, the right half {b}", "{a} {is_a} at the left, {b} {is_b} at the right",
                "{a} standing to the left of {b}", "{a}, and to the right of that, {b}"),
            3: ("on the left side {is_a} {a}, in the middle {is_b} {b}, on the right side {is_c} {c}",)},
    True: {1: ("{side}能看到{a}", "在{side}的是{a}"),
           2: ("左边能看到{a}，右边能看到{b}", "{a}在左侧，{b}在右侧", "{b}就在{a}的右边", "在{b}左边的是{a}",
               "左手边是{a}，右手边是{b}", "{b}站在{a}的右手边", "左半边是{a}，右半边是{b}", "{a}的右侧可以看到{b}"),
           3: ("左边能看到{a}，中间能看到{b}，右边能看到{c}",)},
}
# Two things of which is not said where they stand.
TOGETHER = ("{a} and {b}", "{a} and {b}", "{a} next to {b}", "{a} beside {b}", "{a} with {b}")
TOGETHER_CHINESE = ("{a}和{b}", "{a}和{b}", "{a}与{b}", "{a}、{b}")
# How captions tell the colour of one thing and nothing else.
COLOUR_SENTENCES = {False: ("the {thing} {are} {colour}", "the {color} of the {thing} is {colour}"),
                    True: ("{thing}是{colour}的", "{thing}的颜色是{colour}")}

# What people put before a question; in English the question then goes on in small letters.
OPENINGS = {
    False: ("Please tell me: ", "Hi, ", "Look at the {pic}. ", "So, ", "OK, ", "And now: ", "One question: "),
    True: ("告诉我，", "你好，", "我想知道，", "看一下，", "那么，", "问一下，", "请看，", "请告诉我", "想问问", "那"),
}
# How questions begin that need no such opening.
POLITE = {
    False: "Please|Hi|Hey|Hello|So|OK|Look|Tell|Let|I |I'|Can you (tell|say)|Could you|Would you|Do you know|Any idea",
    True: "请|麻烦|帮|告诉|劳驾|问|你好|想|我|那|看|瞧|瞅|数|仔细|能(告诉|说|描述|不能)|可以|知道|"
          "你(看(?![到见])|说|瞧|数|能)|说|猜|选|分不清|所以|再|接着|继续|列|跟我|给|识别|难道|听说|找|统计|"
          "描述|用一句|介绍|讲|形容|概括|总结|简|大概|算",
}
# How Chinese asks for agreement instead of 吗, and other words for its sides.
TAGS_CHINESE = ("吧？", "对吧？", "，对吧？", "，对吗？", "，没错吧？", "，对不对？", "，是吗？")
SIDE_ENDINGS = ("侧", "侧", "面", "手边")
# And what they put after one, instead of its question mark.
ENDINGS = {False: (", please?", ", do you know?", ", can you tell?", ", by the way?", "??"),
           True: ("呢？", "啊？", "呀？", "，你知道吗？", "，谢谢。")}



def _read(language: str) -> dict[str, tuple[str, ...]]:
    """The wordings of questions in a language, by form, the most usual ones in front."""
    table: dict[str, tuple[str, ...]] = {}
    for line in Path(__file__).with_name("wordings.tsv").read_text(encoding="utf-8").splitlines():
        spoken, form, wording = line.split("\t")
        if spoken == language:
            table[form] = (*table.get(form, ()), wording)
    return table


ENGLISH, CHINESE = _read("English"), _read("Chinese")
UNSEEN = {
    False: {
        "everything": ("What is visible {there}?", "Which things do you see?", "What does it show?"),
        "single": ("What is this thing?", "What is being shown?"),
        "category": ("Which {kind} do you see?", "Which {kind} {are} shown?"),
        "category of one": ("Which kind of {kind} is this?", "Which {kind} is that?"),
        "on side": ("Which thing do you see {on}?", "What is visible {on}?"),
        "category on side": ("Which {kind} can you see {on}?",),
        "category of colour": ("Which {colour} {kind} can you see?",),
        "to the side": ("What can you see to the {side} of the {thing}?",
                        "The thing to the {side} of the {thing} is what?"),
        "category to the side": ("What {kind} do you see to the {side} of the {thing}?",),
        "between": ("Between the {a} and the {b} there is what?", "What can be seen between the {a} and the {b}?"),
        "besides": ("What can you see apart from the {thing}?",),
        "beside": ("What is close to the {thing}?", "Which thing is next to the {thing}?"),
        "of colour": ("What do you see that is {colour}?", "Which of the things is {colour}?"),
        "count": ("How many {many} are visible?", "Number of {many}?", "How many {many} did you see?"),
        "total": ("How many things can you see?", "Number of objects {there}?"),
        "colour": ("What {color} do you see on the {thing}?", "Tell me the {color} of the {thing}."),
        "where": ("Where do you see the {thing}?", "In which place {are} the {thing}?"),
        "time": ("At what time of day was this taken?",),
        "place": ("What kind of place is it?", "Where was it taken?", "Which place is this?"),
        "side": ("The {thing} {are} on which side?", "In which part of the {pic} {are} the {thing}?"),
        "left or right": ("Left or right: where {are} the {thing}?", "{Are} the {thing} at the left or at the right?"),
        "is colour": ("Would you say that the {thing} {are} {colour}?", "{Are} the {thing} of {colour} {color}?"),
        "has colour": ("Does it show {one}?", "Is {one} visible?"),
        "is count": ("Would you say that there are {n}?", "Do we see {n}?"),
        "is one": ("Do you see only one {thing}?",),
        "is more than": ("Would you say that there are {n}?", "Do we see {n}?"),
        "is more of": ("Would you say there are more {many} than {others}?",),
        "kind is": ("Would you say that the {kind} is {one}?",),
        "is background": ("Does it look like {background}?", "Would you say that this is {background}?"),
        "is in place": ("Do you see the {thing} {place}?",),
        "is place": ("Is that {place}?", "Are you {place}?"),
        "is light": ("Is this {light}?",),
        "is on side": ("Do you see the {thing} {on}?",),
        "is left of": ("Do you see the {thing} to the {side} of the {other}?",),
        "is there": ("Does it show {one}?", "Is {one} visible?", "Is {one} there?", "Do you see {one} anywhere?"),
        "is this": ("Is this thing {one}?", "Does it look like {one}?"),
        "is category": ("Does it show {kind}?", "{Are} {kind} visible?"),
        "either colour": ("The {thing} {are} {a} or {b}?", "Which {color} {are} the {thing}: {a} or {b}?"),
        "either thing": ("What do you see: {a} or {b}?", "Does it show {a} or {b}?"),
        "either this": ("Would you call this {a} or {b}?", "Which is it: {a} or {b}?"),
        "either on side": ("Which one do you see {on}: the {a} or the {b}?",),
        "either number": ("Can you see {a} or {b} {many}?",),
        "either light": ("Would you say it is {a} or {b}?",),
        "either place": ("Is all of this {a} or {b}?", "Was it taken {a} or {b}?"),
        "either background": ("Is what lies behind it {a} or {b}?", "Which is it: {a} or {b}?"),
    },
    True: {
        "everything": ("请问{there}有什么？", "{there}看到了什么？", "都有些什么？"),
        "single": ("请问这是什么？", "这个东西是什么？"),
        "category": ("{there}的{kind}是什么？",),
        "category of one": ("请问这是什么{kind}？",),
        "on side": ("请问{side}是什么？", "{side}能看到什么？"),
        "category on side": ("请问{side}是什么{kind}？", "在{side}的是哪种{kind}？"),
        "category of colour": ("请问{colour}的{kind}是什么？",),
        "to the side": ("请问{thing}的{side}是什么？", "{thing}{side}的东西是什么？"),
        "category to the side": ("请问{thing}{side}是什么{kind}？",),
        "between": ("请问{a}和{b}中间是什么？", "{a}跟{b}之间夹着什么？"),
        "besides": ("请问除了{thing}还有什么？",),
        "beside": ("请问{thing}旁边是什么？", "挨着{thing}的是什么？"),
        "of colour": ("请问{colour}的是什么？", "哪样东西是{colour}的？"),
        "count": ("请问有几{measure}{thing}？", "{thing}一共有几{measure}？", "能看到几{measure}{thing}？"),
        "total": ("东西一共有几个？", "能看到几个东西？"),
        "colour": ("请问{thing}是什么颜色？", "{thing}是啥颜色？"),
        "where": ("请问{thing}在哪里？", "{thing}在哪个地方？"),
        "time": ("请问现在是什么时候？",),
        "place": ("请问这是哪里？", "这里是什么地方？"),
        "side": ("请问{thing}在哪边？", "{thing}在图中的哪一边？"),
        "left or right": ("左边还是右边：{thing}在哪边？", "{thing}在左还是在右？"),
        "is colour": ("请问{thing}是{colour}的吗？",),
        "has colour": ("请问有{one}吗？",),
        "is count": ("请问有{n}吗？",),
        "is one": ("是不是只有{n}{thing}？",),
        "is more than": ("请问{thing}{n}吗？",),
        "is more of": ("请问{thing}比{other}多吗？",),
        "kind is": ("请问{there}的{kind}是{thing}吗？",),
        "is background": ("请问背景是{background}吗？", "这个地方是{background}吗？"),
        "is in place": ("请问{thing}在{place}吗？",),
        "is place": ("请问这是在{place}吗？",),
        "is light": ("请问现在是{light}吗？",),
        "is on side": ("请问{thing}在{side}吗？",),
        "is left of": ("请问{thing}在{other}的{side}吗？",),
        "is there": ("请问有{thing}吗？", "你有没有看到{thing}？"),
        "can see": ("请问能看到{thing}吗？",),
        "is this": ("请问这是{thing}吗？",),
        "is category": ("请问有{kind}吗？", "有{kind}没有？"),
        "either colour": ("请问{thing}是{a}还是{b}？", "{thing}到底是{a}还是{b}？"),
        "either thing": ("请问有{a}还是{b}？", "看到的是{a}还是{b}？"),
        "either this": ("请问这是{a}还是{b}？", "这到底是{a}还是{b}？"),
        "either on side": ("请问{a}和{b}哪个在{side}？",),
        "either number": ("请问{thing}有{a}还是{b}？",),
        "either light": ("请问现在是{a}还是{b}？",),
        "either place": ("请问这是在{a}还是{b}？",),
        "either background": ("请问这里是{a}还是{b}？", "你说这里是{a}还是{b}？"),
    },
}
