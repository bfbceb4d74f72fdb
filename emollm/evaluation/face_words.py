"""The English words of facial movement: parts, verbs, directions, times, and what a part and a verb come to.

Tables only; `events` reads captions with them. Written from the phrasing of `emollm.synth.captions` and of human captions of faces.
"""

from __future__ import annotations

import re

# Parts, the longer names first: "lower lip" must not be read as the verb "lower".
PARTS = (
    ("corners", r"(?:corners?|ends) of (?:the|his|her|their|its)?\s*(?:mouth|lips?)|(?:mouth|lip) corners?|(?<=\w, )corners\b|dimples?"),
    ("upper lip", r"upper lip"),
    ("lower lip", r"lower lip"),
    ("lower lid", r"lower (?:eye)?lids?"),
    ("lids", r"(?:upper )?(?:eye)?lids?"),
    ("teeth", r"(?:upper |lower |front )*(?:teeth|tooth)"),
    ("forehead", r"forehead|between (?:the|his|her|their) (?:eye)?brows|between brows"),
    (
        "inner brows",
        r"inner (?:ends? of (?:the|his|her) )?(?:eye)?brows?|(?:front|inner) (?:part|ends?) of (?:the|his|her|their) (?:eye)?brows?",
    ),
    ("outer brows", r"outer (?:ends? of (?:the|his|her) )?(?:eye)?brows?"),
    ("brows", r"(?:eye)?brows?"),
    ("nose", r"nose(?: bridge)?|nostrils?"),
    ("gaze", r"gaze|eye ?balls?|pupils?|line of sight"),
    ("eyes", r"eyes?"),
    ("cheeks", r"cheeks?"),
    ("chin", r"chin"),
    ("jaw", r"jaw"),
    ("tongue", r"tongue"),
    ("lips", r"lips?"),
    ("mouth", r"mouth"),
    ("head", r"head"),
    ("face", r"face|features|facial muscles"),
    ("speech", r"speech|words"),
)
PART = re.compile("|".join(f"(?P<p{k}>\\b(?:{pattern})\\b)" for k, (_, pattern) in enumerate(PARTS)))

# Verbs. Each stands for one kind of movement; which axis that is depends on the part.
VERBS = (
    (
        "stop speaking",
        r"paus\w* (?:in|while|when|as)(?: (?:he|she|they)(?: is| are)?)? (?:speak|talk)\w*|"
        r"(?:stop\w*|finish\w*|end\w*|cease\w*) (?:(?:speaking|talking)|(?:his|her|their) (?:speech|words))",
    ),
    ("speak", r"speak\w*|talk\w*|says?\b|saying|utter\w*"),
    ("blink", r"blink\w*|wink\w*"),
    ("nod", r"nod(?:s|ding|ded)?\b"),
    ("shake", r"shak\w*|sway\w*|from side to side"),
    ("smile", r"(?:draw\w* into )?(?:an? )?(?:\w+ )?smil\w*|grin\w*|laugh\w*"),
    ("wide", r"wide open|open\w* (?:up )?wide\w*|open\w* (?:his|her|their|the) eyes wide|widen\w*|enlarg\w*|open wider"),
    ("narrow", r"narrow\w*|squint\w*|half-?(?: )?(?:open|closed)|slit"),
    ("open", r"open\w*|ajar|agape|part(?:s|ed|ing)?(?! of)\b|separat\w*|drops open"),
    ("close", r"clos(?:e|es|ed|ing)\b|shut\w*"),
    ("press", r"press(?:es|ed|ing)?\b(?! down)|purse[sd]? tight\w*|tighten(?:s|ed|ing)?\b(?! up)|clench\w*"),
    ("purse", r"purs\w*|pout\w*|pucker\w*|form\w* a funnel"),
    ("stretch", r"stretch\w*(?: sideways)?|pull\w* wide|is pulled wide"),
    ("roll", r"rolls? inwards?|suck\w*|bit(?:e|es|ing)\b"),
    ("tremble", r"trembl\w*|quiver\w*|twitch\w*"),
    ("puff", r"puff\w*|fills? the cheeks|air fills"),
    ("jut", r"juts? forward|thrust\w*"),
    ("furrow", r"furrow\w*|knit\w*|frown\w*|draw\w* (?:down and )?together|pull\w* together|crease\w*"),
    ("wrinkle", r"wrinkl\w*|crinkl\w*|scrunch\w*"),
    ("show", r"show(?:s|ing)?\b|reveal\w*|visible|expos\w*|bar(?:es|ing)\b"),
    ("tilt", r"tilt\w*|inclin\w*"),
    ("lean", r"lean\w*|retract\w*|extend\w* (?:\w+ #+ )?forward|mov\w* (?:forward|back\w*)"),  # a part's name reads as #
    ("return", r"returns?\b|returning|straighten\w*"),
    ("relax", r"relax\w*|calm|loosen\w*|fades?\b|neutral|at rest"),
    (
        "up",
        r"rais\w*|ris(?:e|es|ing)\b|rose|lift\w*|arch(?:es|ed|ing)?\b|elevat\w*|upturn\w*|go(?:es)? up|tighten\w* up|upward curve|"
        r"(?:turn|curl|curv|pull|push|tug|mov)\w* (?:slightly )?up\w*(?! and down)",
    ),
    (
        "down",
        r"low(?:er|ers|ered|ering)\b(?! (?:left|right))|"
        r"drop\w*|sink\w*|sank|droop\w*|downturn\w*|downcast|descend\w*|sag\w*|fall(?:s|ing)?\b|fell\b|"
        r"(?:turn|draw|press|pull|curl|curv|mov)\w* (?:slightly )?down\w*",
    ),
    ("turn", r"turn\w*|rotat\w*|shift\w*|mov(?:e|es|ing)\b|slid\w*"),
    ("look", r"look\w*|glanc\w*|gaz(?:es|ing)\b|star(?:e|es|ing)\b|follow\w*|focus\w*|fix(?:ed|es)\b"),
    ("out", r"(?:comes?|sticks?|pokes?) out"),
    ("form", r"forms?\b|appears?\b"),
)  # fmt: skip
VERB = re.compile("|".join(f"(?P<v{k}>\\b(?:{pattern}))" for k, (_, pattern) in enumerate(VERBS)))

# (part, verb) -> (part, axis, sign); a verb missing for a part says nothing about it.
_EYES = dict.fromkeys(("wide", "open", "up"), ("eyes", "open", 1)) | dict.fromkeys(
    ("narrow", "close", "down", "press", "furrow", "wrinkle"), ("eyes", "open", -1)
)
_MOUTH = {
    "wide": ("mouth", "open", 1), "open": ("mouth", "open", 1), "close": ("mouth", "open", -1), "press": ("lips", "press", 1),
    "purse": ("lips", "purse", 1), "stretch": ("mouth", "stretch", 1), "roll": ("lips", "roll", 1), "tremble": ("lips", "tremble", 1),
    "smile": ("corners", "height", 1), "down": ("corners", "height", -1), "up": ("corners", "height", 1), "narrow": ("mouth", "open", 1),
}  # fmt: skip
_BROWS = {
    "up": ("brows", "height", 1), "down": ("brows", "height", -1), "furrow": ("brows", "furrow", 1), "wrinkle": ("brows", "furrow", 1),
    "press": ("brows", "furrow", 1), "relax": ("brows", "furrow", -1),
}  # fmt: skip
MEANS: dict[str, dict[str, tuple[str, str, int]]] = {
    "brows": _BROWS,
    "inner brows": _BROWS | {"up": ("inner brows", "height", 1)},
    "outer brows": _BROWS | {"up": ("outer brows", "height", 1)},
    "forehead": dict.fromkeys(("furrow", "wrinkle"), ("brows", "furrow", 1)),
    "lids": _EYES | {"blink": ("eyes", "blink", 1)},
    "lower lid": dict.fromkeys(("up", "press", "narrow", "wrinkle"), ("eyes", "open", -1)),
    "eyes": _EYES | {"blink": ("eyes", "blink", 1)},
    "gaze": {"up": ("gaze", "y", 1), "down": ("gaze", "y", -1)},
    "nose": dict.fromkeys(("wrinkle", "furrow", "up"), ("nose", "wrinkle", 1)),
    "cheeks": {"up": ("cheeks", "height", 1), "puff": ("cheeks", "puff", 1), "down": ("cheeks", "height", -1)},
    "chin": {"up": ("chin", "push", 1), "wrinkle": ("chin", "push", 1)},
    "corners": {
        "up": ("corners", "height", 1), "down": ("corners", "height", -1), "smile": ("corners", "height", 1),
        "press": ("corners", "tight", 1), "form": ("corners", "tight", 1), **dict.fromkeys(("wide", "stretch"), ("mouth", "stretch", 1)),
    },
    "upper lip": _MOUTH | {"up": ("upper lip", "height", 1), "down": ("upper lip", "height", -1)},
    "lower lip": _MOUTH | {"down": ("lower lip", "height", -1), "up": ("lower lip", "height", 1)},
    "lips": _MOUTH,
    "mouth": _MOUTH | {"relax": ("mouth", "relax", 1)},
    "jaw": {
        "down": ("mouth", "open", 1), "open": ("mouth", "open", 1), "close": ("mouth", "open", -1), "up": ("mouth", "open", -1),
        "jut": ("jaw", "forward", 1), "press": ("jaw", "clench", 1),
    },
    "teeth": {"show": ("teeth", "shown", 1), "press": ("jaw", "clench", 1)},
    "tongue": {"out": ("tongue", "out", 1)},
    "head": {
        "nod": ("head", "nod", 1), "shake": ("head", "shake", 1), "return": ("head", "return", 1), "up": ("head", "y", 1),
        "down": ("head", "y", -1),
    },
    "face": {"relax": ("face", "relax", 1)},
}  # fmt: skip
# What a verb says when no part is named in its clause or before it.
ALONE = {
    "speak": ("speech", "on", 1), "stop speaking": ("speech", "on", -1), "blink": ("eyes", "blink", 1), "nod": ("head", "nod", 1),
    "smile": ("corners", "height", 1), "furrow": ("brows", "furrow", 1), "squint": ("eyes", "open", -1), "purse": ("lips", "purse", 1),
}  # fmt: skip
WAYS = (
    ("x", 1, r"(?:to|towards?|on)? ?(?:the|his|her|their|one's)? ?\bleft\b(?! side)"),
    ("x", -1, r"(?:to|towards?|on)? ?(?:the|his|her|their|one's)? ?\bright\b(?! side)"),
    ("y", -1, r"\bdown(?:wards?|cast)?\b|\blower (?=left|right)"),
    ("y", 1, r"\bup(?:wards?)?\b|\bupper (?=left|right)"),
    ("z", 1, r"\b(?:forwards?|ahead|in front)\b"),
    ("z", -1, r"\bback(?:wards?)?\b"),
    ("aside", 1, r"\b(?:sideways|to (?:the|one) side|aside)\b"),
)
PHASE_WORDS = (
    (
        "start",
        r"\b(?:at|in|from) the (?:very )?(?:beginning|start|outset)|\bnear the start|\bearly on|\binitially\b|\bat first\b|\bopens with\b",
    ),
    (
        "progress",
        r"\bas (?:the )?(?:video|clip|time|it) (?:progresses|goes on|continues|unfolds|plays)|"
        r"\bin the following (?:video|part|seconds)|\bas (?:he|she|they) continues?\b",
    ),
    ("middle", r"\bin the middle|\bmidway|\bpartway|\bhalfway|\bmiddle part"),
    (
        "end",
        r"\b(?:towards?|near|at|by) the (?:very )?end\b|\bin the end\b|\blatt?er part|\bfinal part|\blate in the (?:clip|video)|"
        r"\b(?:finally|eventually|at last)\b",
    ),
)
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s\b|seconds?\b)|\b(\d+):(\d\d(?:\.\d+)?)\b")
FAINT = re.compile(r"\b(?:slight\w*|faint\w*|gentl\w*|a bit|a little|subtl\w*|barely|softly|somewhat)\b")
STRONG = re.compile(r"\b(?:strong\w*|deep\w*|wide|widely|tight\w*|sharply|very|markedly|greatly|vigorous\w*|noticeabl\w*|intens\w*)\b")
DENIED = re.compile(r"\b(?:no|not|without|never|nothing|none|unchanged|remains? the same|n't)\b(?! only)(?! longer)")
GONE = re.compile(r"\b(?:disappear|vanish|reduc|smooth|lessen)\w*")  # of wrinkles
BODY = re.compile(r"\b(?:body|torso|shoulders?|upper half)\b")
LOOKS = re.compile(r"\b(?:hair|skin|wear\w*|beard|mustache|years old|nose bridge|glasses|dressed|complexion|shows the|depicts|showcases)\b")
OTHER = re.compile(r"\b(?:person|man|woman|one) (?:on the (left|right)|in the (middle))\b")
SENTENCES = re.compile(r"(?<!\d)\.(?!\d)|\.(?=\s|$)|[!?;\n]+")
CLAUSES = re.compile(
    r",|\b(?:and|then|while|whilst|as|with|but|before|after(?:wards|ward)?|followed by|simultaneously|meanwhile|subsequently)\b"
)
