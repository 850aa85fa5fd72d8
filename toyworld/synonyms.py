"""Other words for the nouns, the places and the light: what else is true of a scene, in English and Chinese.

`language` says "a dog in the snow"; "a puppy on the snow" is as true. Whoever draws captions in many wordings takes the
words from here, and whoever judges an answer knows from here what else is right.
"""

# Other words for the places of `language`, for captions. In Chinese each ends with 里, 上 or 下.
PLACES = {
    "snow": ("on the snow", "in a snowy landscape", "in winter"),
    "beach": ("at the beach", "at the seaside", "on a sandy beach"),
    "grass": ("on a meadow", "in a green field", "on the lawn", "in the grass"),
    "night": ("under the night sky", "in the dark night", "under the stars"),
    "sunset": ("at dusk", "under the evening sky", "in the evening"),
    "room": ("inside a room", "in a living room", "in the room", "at home", "indoors"),
    "road": ("on a street", "in the street", "on a road", "on the highway"),
    "sea": ("in the ocean", "in the water", "at sea", "on the sea", "on the ocean", "on the water"),
    "desert": ("in the sand dunes", "in a desert"),
    "plain": ("on a blank background", "on an empty background", "on a simple background"),
}
PLACES_CHINESE = {
    "snow": ("雪地上", "雪里"), "beach": ("海滩上", "海边的沙滩上"), "grass": ("草坪上", "草丛里", "草原上"),
    "night": ("夜晚的天空下", "星空下"), "sunset": ("晚霞下", "黄昏的天空下"), "room": ("屋子里", "屋里", "家里"),
    "road": ("街道上", "公路上", "街上"), "sea": ("大海里", "海水里", "海洋里", "海上", "海面上", "水里"),
    "desert": ("沙丘上", "沙漠上"), "plain": ("空白背景上", "单色背景上"),
}
# Other words for the nouns.
NAMES = {
    "cat": ("kitten", "kitty"), "dog": ("puppy", "doggy", "hound"), "horse": ("pony",), "cow": ("dairy cow",),
    "pig": ("piglet", "hog"), "sheep": ("lamb",), "goat": ("billy goat",), "rabbit": ("bunny", "hare"),
    "camel": ("dromedary",), "panda": ("panda bear",), "koala": ("koala bear",), "gorilla": ("ape",),
    "deer": ("stag",), "duck": ("duckling", "mallard"), "parrot": ("macaw",), "rooster": ("chicken", "cockerel"),
    "turtle": ("tortoise",), "snake": ("serpent",), "crocodile": ("alligator",), "lizard": ("gecko",),
    "frog": ("toad",), "bee": ("bumblebee", "honeybee"), "ladybug": ("ladybird",), "dinosaur": ("tyrannosaurus",),
    "kiwi": ("kiwi fruit",), "eggplant": ("aubergine",), "corn": ("maize", "sweetcorn"), "mushroom": ("toadstool",),
    "hamburger": ("burger", "cheeseburger"), "hot dog": ("hotdog",), "cake": ("birthday cake",),
    "cookie": ("biscuit",), "doughnut": ("donut",), "ice cream": ("ice cream cone",), "lollipop": ("lolly",),
    "cup of coffee": ("coffee", "coffee cup"), "glass of wine": ("wine glass",), "car": ("automobile",),
    "taxi": ("cab",), "bus": ("coach",), "truck": ("lorry",), "fire engine": ("fire truck",),
    "police car": ("patrol car",), "racing car": ("race car",), "motorcycle": ("motorbike",), "scooter": ("moped",),
    "bicycle": ("bike",), "train": ("locomotive",), "airplane": ("plane", "aeroplane", "aircraft", "jet"),
    "helicopter": ("chopper",), "rocket": ("spaceship", "space rocket"), "sailboat": ("sailing boat", "yacht"),
    "ship": ("vessel", "cruise ship", "ferry"), "canoe": ("kayak", "rowing boat"), "pine tree": ("pine", "fir tree"),
    "palm tree": ("palm", "coconut tree"), "maple leaf": ("leaf", "autumn leaf"), "mountain": ("peak", "hill"),
    "moon": ("crescent moon",), "fire": ("flame",), "house": ("home", "cottage"), "castle": ("fortress",),
    "church": ("chapel",), "ferris wheel": ("big wheel",), "chair": ("seat",), "clock": ("alarm clock",),
    "lightbulb": ("light bulb", "bulb", "lamp"), "umbrella": ("parasol",), "gift": ("present", "gift box"),
    "teddy bear": ("teddy", "toy bear", "stuffed bear"), "laptop": ("computer", "notebook"), "telephone": ("phone",),
    "television": ("TV", "tv"), "hat": ("top hat",), "glasses": ("spectacles", "eyeglasses"), "shirt": ("t-shirt",),
    "dress": ("gown",), "jeans": ("trousers", "pants"), "shoe": ("sneaker",), "backpack": ("rucksack", "school bag"),
    "ring": ("diamond ring",), "soccer ball": ("football",), "trophy": ("award",), "piano": ("keyboard",),
    "violin": ("fiddle",), "trumpet": ("horn",),
}
NAMES_CHINESE = {
    "cat": ("小猫", "猫咪"), "dog": ("小狗", "狗狗"), "horse": ("小马",), "cow": ("牛", "母牛"), "pig": ("小猪",),
    "sheep": ("小绵羊",), "rabbit": ("小兔子", "兔"), "mouse": ("小老鼠",), "elephant": ("象", "小象"),
    "tiger": ("虎", "小老虎"), "leopard": ("豹", "花豹"), "panda": ("大熊猫",), "koala": ("树袋熊",),
    "monkey": ("小猴子", "猴"), "gorilla": ("猩猩",), "fox": ("小狐狸",), "deer": ("小鹿",), "penguin": ("小企鹅",),
    "duck": ("小鸭子",), "eagle": ("鹰",), "swan": ("白天鹅",), "rooster": ("鸡", "大公鸡"), "turtle": ("龟", "海龟"),
    "lizard": ("壁虎",), "frog": ("小青蛙",), "fish": ("小鱼", "鱼儿"), "shark": ("大鲨鱼",), "whale": ("鲸",),
    "octopus": ("八爪鱼",), "crab": ("大螃蟹",), "lobster": ("大龙虾",), "bee": ("小蜜蜂",), "dinosaur": ("小恐龙",),
    "pear": ("梨子",), "cherries": ("车厘子",), "peach": ("水蜜桃",), "pineapple": ("凤梨",), "kiwi": ("奇异果",),
    "tomato": ("西红柿",), "potato": ("马铃薯",), "croissant": ("可颂", "羊角面包"),
    "cheese": ("芝士", "干酪"), "egg": ("蛋",), "hamburger": ("汉堡包",), "pizza": ("比萨", "比萨饼"),
    "dumpling": ("水饺",), "cake": ("生日蛋糕",), "cookie": ("饼干", "曲奇饼"), "ice cream": ("冰激凌", "雪糕"),
    "glass of wine": ("葡萄酒",), "car": ("小汽车", "轿车"), "taxi": ("的士", "计程车"), "bus": ("公共汽车", "巴士"),
    "truck": ("货车",), "fire engine": ("救火车",), "motorcycle": ("摩托",), "bicycle": ("单车", "脚踏车"),
    "train": ("列车",), "airplane": ("客机",), "helicopter": ("直升飞机",), "ship": ("大船", "邮轮"),
    "canoe": ("皮划艇",), "tree": ("大树",), "palm tree": ("椰子树",), "sunflower": ("葵花",), "rose": ("玫瑰花",),
    "maple leaf": ("叶子", "树叶"), "mountain": ("大山", "高山"),
    "fire": ("火焰", "火苗"), "planet": ("星球",), "house": ("房屋", "小房子"), "castle": ("古堡",),
    "factory": ("厂房",), "chair": ("座椅",), "door": ("房门",), "clock": ("时钟", "钟"), "lightbulb": ("电灯泡",),
    "umbrella": ("伞",), "gift": ("礼品", "礼盒"), "teddy bear": ("玩具熊", "小熊"), "book": ("书本",),
    "scissors": ("剪子",), "hammer": ("榔头",), "camera": ("照相机",), "laptop": ("电脑", "手提电脑"),
    "telephone": ("电话机",), "television": ("电视机",), "hat": ("帽子",), "crown": ("王冠",), "shirt": ("衬衣",),
    "dress": ("裙子",), "jeans": ("裤子",), "shoe": ("鞋子",), "backpack": ("书包", "双肩包"), "ring": ("钻戒",),
    "piano": ("电子琴",), "violin": ("提琴",), "trumpet": ("喇叭",), "drum": ("大鼓",),
}
KINDS = {
    "boat": ("sailboat", "ship", "canoe"), "flower": ("rose", "tulip", "sunflower"),
    "bird": ("penguin", "duck", "owl", "eagle", "flamingo", "peacock", "parrot", "swan", "rooster"),
    "fruit": ("apple", "pear", "lemon", "banana", "watermelon", "grapes", "strawberry", "cherries", "peach",
              "pineapple", "kiwi", "avocado", "tomato"),
    "vegetable": ("carrot", "eggplant", "potato", "broccoli", "corn", "mushroom", "tomato"),
    "insect": ("butterfly", "bee", "ladybug"), "ball": ("soccer ball", "basketball", "baseball"),
    "drink": ("cup of coffee", "glass of wine"), "building": ("house", "castle", "church", "factory"),
    "instrument": ("guitar", "piano", "violin", "trumpet", "drum"),
}
KINDS_CHINESE = {
    "船": KINDS["boat"], "鸟": KINDS["bird"], "花": KINDS["flower"], "球": KINDS["ball"], "羊": ("sheep", "goat"),
    "车": ("car", "taxi", "bus", "truck", "fire engine", "ambulance", "police car", "racing car", "tractor",
           "motorcycle", "scooter", "bicycle"),  # 一列车 is no train
}
# Words for still more nouns, for captions: questions have forms of their own for the categories.
CATEGORIES = {"plant": ("tree", "pine tree", "palm tree", "cactus", "sunflower", "rose", "tulip"),
              "musical instrument": KINDS["instrument"],
              "piece of clothing": ("hat", "shirt", "dress", "jeans", "shoe", "scarf")}
CATEGORIES_CHINESE = {"植物": CATEGORIES["plant"], "乐器": KINDS["instrument"], "衣服": ("shirt", "dress", "jeans"),
                      "水果": KINDS["fruit"], "蔬菜": KINDS["vegetable"], "昆虫": KINDS["insect"],
                      "建筑": KINDS["building"]}
# Their measure words, whatever the noun's own is.
CATEGORY_MEASURES = {"动物": "只", "交通工具": "个", "食物": "份", "植物": "棵", "乐器": "件", "衣服": "件",
                     "水果": "个", "蔬菜": "个", "昆虫": "只", "建筑": "座"}
# What some would call so, too: nobody calls it that here, but where it is, nothing is said to be missing.
DOUBTFUL = {
    "animal": ("teddy bear", "snowman", "robot"), "vehicle": ("parachute", "skateboard", "kite", "balloon"),
    "piece of food": ("cup of coffee", "glass of wine"), "plant": ("maple leaf", "broccoli", "mushroom", "corn"),
    "piece of clothing": ("crown", "ring", "backpack", "glasses"), "insect": ("snail", "scorpion", "spider"),
    "building": ("tent", "ferris wheel", "door"), "车": ("train",), "vegetable": ("avocado",), "ball": ("balloon",),
    "food": ("cup of coffee", "glass of wine", "teapot"), "tool": ("key", "pencil", "umbrella"),
    "flower": ("maple leaf",), "bird": ("bat",), "tree": ("cactus", "broccoli", "maple leaf"), "drink": ("teapot",),
    "clothing": ("hat", "shoe", "scarf", "crown", "ring", "backpack", "glasses"), "pet": ("mouse", "turtle", "parrot"),
    "toy": ("balloon", "robot", "kite", "skateboard", "drum", "soccer ball", "basketball", "baseball", "trumpet"),
}
DOUBTFUL |= {"动物": DOUBTFUL["animal"], "交通工具": DOUBTFUL["vehicle"], "食物": DOUBTFUL["piece of food"],
             "植物": DOUBTFUL["plant"], "衣服": ("hat", "shoe", "scarf", *DOUBTFUL["piece of clothing"]),
             "昆虫": DOUBTFUL["insect"], "建筑": DOUBTFUL["building"], "蔬菜": DOUBTFUL["vegetable"],
             "球": DOUBTFUL["ball"], "鸟": DOUBTFUL["bird"], "花": DOUBTFUL["flower"]}
# Kinds of things that questions ask for: what many of them are called in English, and in Chinese with the measure word.
ASKED_KINDS = {
    "animal": ("animals", "动物", "只"), "vehicle": ("vehicles", "交通工具", "个"), "food": (None, "食物", "份"),
    "fruit": ("fruits", "水果", "个"), "vegetable": ("vegetables", "蔬菜", "个"), "bird": ("birds", "鸟", "只"),
    "insect": ("insects", "昆虫", "只"), "flower": ("flowers", "花", "朵"), "plant": ("plants", "植物", "棵"),
    "instrument": ("instruments", "乐器", "件"), "building": ("buildings", "建筑", "座"), "boat": ("boats", "船", "艘"),
    "ball": ("balls", "球", "个"), "tool": ("tools", "工具", "把"), "tree": ("trees", "树", "棵"),
    "drink": ("drinks", "饮料", "杯"), "clothing": (None, "衣服", "件"), "toy": ("toys", "玩具", "个"),
    "pet": ("pets", "宠物", "只"),
}
# Other words for day, night and sunset: as names, and as captions tell them.
LIGHTS = {False: {"day": ("daytime",), "night": ("nighttime", "night-time"), "sunset": ("dusk", "evening")},
          True: {"day": ("大白天", "日间"), "night": ("晚上", "夜里", "黑夜", "深夜", "夜间"),
                 "sunset": ("傍晚", "黄昏", "日落", "夕阳西下")}}
IN_LIGHT = {False: {"day": ("in daylight", "by day", "during the day", "in the daytime"),
                    "night": ("at night", "by night", "at nighttime", "in the dark", "after dark"),
                    "sunset": ("at sunset", "at dusk", "at sundown", "in the evening")},
            True: {"day": ("白天", "大白天", "日间"), "night": ("夜晚", "晚上", "夜里", "深夜", "夜间"),
                   "sunset": ("日落时分", "傍晚", "黄昏", "夕阳西下")}}
# The places as things, as somebody offers them who does not know which it is; under "" places that no scene has.
BACKGROUNDS = {
    False: {"snow": ("snow", "a snowy field"), "beach": ("a beach", "the beach", "sand"),
            "grass": ("a meadow", "grass", "a lawn"), "room": ("a room", "a living room"),
            "road": ("a road", "a street"), "sea": ("the sea", "the ocean", "water"),
            "desert": ("a desert", "the desert", "sand"), "night": ("the night sky",),
            "sunset": ("the evening sky", "a sunset"), "": ("a forest", "a city", "a jungle", "a swimming pool")},
    True: {"snow": ("雪地", "雪"), "beach": ("沙滩", "海滩"), "grass": ("草地", "草坪"), "room": ("房间", "屋子"),
           "road": ("马路", "公路", "街道"), "sea": ("大海", "海", "海洋"), "desert": ("沙漠", "沙丘"),
           "night": ("夜空", "星空"), "sunset": ("晚霞", "夕阳"), "": ("森林", "城市", "山谷", "游泳池")},
}
