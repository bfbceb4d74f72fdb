"""Words of crisis, questions of judgement, about data or about this program: how an answer begins, whatever the model would have said.

A small model cannot be trusted with this. The list is short and errs on the side of help; it knows English, German and Danish. It reads the
user's own words only, never what people say in a clip.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from emollm.data.prompts import pools
from emollm.values import Message


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_CRISIS = _any(
    r"\b(?:kill|hurt|harm|cut|hang|shoot|poison)(?:t?ing)?\s+my\s?self\b",
    r"\bsuicid(?:e|al)\b|\bselbstmord\b|\bsuizid\b|\bselvmord\b",
    r"\bend(?:ing)?\s+(?:it\s+all|my\s+(?:own\s+)?life)\b",
    r"\btak(?:e|ing)\s+my\s+(?:own\s+)?life\b",
    r"(?<!not )(?<!n't )\b(?:want|wanna|wish|like|longing|ready)(?:\s+(?:to|i\s+could))?\s+(?:just\s+)?(?:die|be\s+dead)\b",
    r"\bwish\s+i\s+(?:was|were|had\s+never\s+been)\s+(?:dead|born)\b",
    r"\b(?:rather|better\s+off)\s+(?:be\s+)?dead\b",
    r"\bbetter\s+off\s+without\s+me\b",
    r"(?:\bnot|n't|\bnever)\s+want\s+to\s+(?:live|be\s+alive|exist|wake\s+up|be\s+(?:here|around)\s+any\s?more)\b",
    r"(?:\bno|\bnot\s+a|n't\s+see\s+a)\s+(?:reason|point)\s+(?:to|in|of|for)\s+(?:(?:go|going|keep)\s+(?:on\s+)?)?(?:live|living|being\s+alive)\b",
    r"\bi\s+(?:hope|wish)\b.{0,12}\bnever\s+wake\s+up\b|\bmy\s+(?:goodbye|farewell|suicide)\s+(?:letter|note)s?\b",
    r"\bi\b.{0,15}\b(?:want|going|ready|about)\s+to\s+jump\s+(?:off|from)\s+(?:a|the|my|this)\s+(?:bridge|roof|building|balcony)\b",
    r"\bi\b.{0,15}\bon\s+the\s+(?:bridge|roof|ledge|tracks)\b.{0,15}\bjump\b",
    r"\blife\s+is\s+(?:not|n't)\s+worth\b|\bnot\s+worth\s+living\b",
    r"\bcut(?:ting)?\s+my\s+(?:wrists?|arms?)\b|\boverdos(?:e|ed|ing)\b|\btook\s+(?:a\s+lot\s+of|too\s+many|all\s+the)\s+pills\b",
    r"\b(?:nobody|no\s+one)\s+would\s+(?:miss|notice|care)\b.{0,25}\b(?:gone|dead|died)\b",
    r"\bich\s+(?:will|m(?:ö|oe)chte)\s+(?:nur\s+noch\s+)?(?:sterben|nicht\s+mehr\s+leben)\b|\bumbringen\b|\bmir\s+das\s+leben\s+nehmen\b",
    r"\bjeg\s+vil\s+(?:gerne\s+|bare\s+)?d(?:ø|oe)\b|\btage\s+mit\s+eget\s+liv\b|\bikke\s+leve\s+(?:l(?:æ|ae)ngere|mere)\b",
)


def in_crisis(text: str) -> bool:
    """Whether a user's message holds words of suicide or self-harm."""
    return _CRISIS.search(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None


_JUDGEMENT = _any(
    r"(?:^|[.!?,]\s*)(?:is|are|was|were|does|do|has|have|could|might)\b.{0,30}\b(?:lying|liars?|telling\s+the\s+truth|faking|honest|trustworthy)\b",
    r"\b(?:depressed|depression|bipolar|autis\w+|adhd|psychopath\w*|schizophren\w+|borderline|ptsd|narcissis\w+)\b",
    r"\b(?:mental|personality|anxiety|eating)\s+(?:illness|disorder)\b|\bdiagnos\w+",
    r"\b(?:is|are)\s+(?:he|she|they|this\s+\w+)\s+(?:\w+\s+)?(?:dangerous|criminal|violent|gay|drunk|intelligent|suicidal|a\s+threat)\b",
    r"\b(?:hire|employ|fire|promote|arrest|admit)\s+(?:him|her|them|this\s+\w+)\b",
    r"\b(?:student|pupil|worker|employee)s?\b.{0,20}\b(?:paying\s+attention|engaged|productive)\b",
    r"\bhow\s+(?:intelligent|smart|honest)\s+(?:is|are)\b",
)
_PRESSED = re.compile(
    r"\b(?:best|wild|just\s+a)\s+guess\b|\byes\s+or\s+no\b|\bjust\s+(?:say|tell|answer|guess)\b|\bcome\s+on\b", re.IGNORECASE
)


_THINGS = r"(?:videos?|clips?|recordings?|data|photos?|pictures?|faces?|voices?|files?|chats?|conversations?)\b"
_MINE = rf"(?:my|our|these|this|the)\s+(?:\w+\s+)?{_THINGS}"
_DATA = _any(
    rf"\b(?:do|will|did|can|could|are|have)\s+you\b.{{0,30}}\b(?:keep|stor|sav|record|upload|shar|send|sell|train)\w*\b.{{0,20}}\b{_MINE}",
    rf"\b(?:where\s+(?:do|does|will|are|is)|who\s+(?:can|could|will|else)\b.{{0,12}}\b(?:see|sees|watch|hear)|what\s+happens\s+(?:to|with))\s+{_MINE}",
    rf"\b(?:is|are|will)\s+{_MINE}.{{0,20}}\b(?:kept|stored|saved|uploaded|shared|sent|sold|private|safe|deleted)\b",
)


def asks_about_data(text: str) -> bool:
    """Whether somebody asks what becomes of their clips or words: a fact about this program, not to be made up."""
    return _DATA.search(text) is not None


_ME = _any(
    r"\bare\s+(?:yo)?u\s+(?:(?:really|actually|even|just|only|maybe|like)\s+)*(?:an?\s+)?(?:real\s+)?"
    r"(?:humans?|person|people|robot|bot|chat\s?bot|machine|program|computer|ai|alive|conscious|sentient|real)\b(?!\s+(?:sure|about))",
    r"\b(?:do|can)\s+(?:yo)?u\s+(?:(?:really|actually|even|ever|truly)\s+)*(?:feel\s+(?:anything|things|emotions?|something|pain|sad|happy)\b(?!\s+(?:in|from|about|here)\b)|have\s+(?:any\s+|real\s+)?(?:feelings|emotions|a\s+body|a\s+heart)\b)",
    r"\b(?:talking|chatting|speaking|writing)\s+(?:to|with)\s+an?\s+(?:real\s+)?(?:human|person|robot|bot|machine|computer|ai)\b",
)


def asks_about_me(text: str) -> bool:
    """Whether somebody asks if this is a person or has feelings: it must never say yes, and never that it is no machine."""
    return _ME.search(text) is not None


_ABLE = re.compile(
    r"^(?:(?:hi|hello|hey|ok(?:ay)?|so|and|well)[\s,.!]+)*(?:"
    r"what\s+(?:all\s+)?(?:can|do)\s+(?:yo)?u\s+(?:actually\s+|even\s+)?do(?:\s+(?:for\s+me|here|exactly))?"
    r"|how\s+can\s+(?:yo)?u\s+help(?:\s+me)?|what\s+are\s+(?:yo)?u(?:\s+(?:for|good\s+for|able\s+to\s+do))?"
    r"|what\s+is\s+this(?:\s+(?:app|program|page|thing))?(?:\s+for)?|how\s+does\s+this\s+work)\s*(?:then|exactly)?\s*[?.!]*$",
    re.IGNORECASE,
)


def asks_what_it_can(text: str) -> bool:
    """Whether the whole message asks what this program is for: a fact, not to be made up."""
    return _ABLE.search(text.strip()) is not None


_NOBODY = re.compile(
    r"\b(?:who|whom|nobody|no\s?one|anyone|alone|call|phone|number|help\s+me|niemand\w*|anrufen|allein|ingen|alene|ringe)\b", re.IGNORECASE
)


def still_in_crisis(messages: Sequence[Message]) -> bool:
    """Whether somebody who spoke of suicide or self-harm just before now asks for help or says that nobody is there."""
    said = [m.text for m in messages if m.role == "user"]
    return len(said) > 1 and in_crisis(said[-2]) and _NOBODY.search(said[-1]) is not None


def begin(messages: Sequence[Message]) -> str:
    """How the answer to a conversation has to begin; mostly with nothing."""
    if in_crisis(messages[-1].text):
        return help_first()
    if still_in_crisis(messages):
        return str(pools("dialogue")["crisis"]["again"])
    if asks_about_me(messages[-1].text):
        return str(pools("dialogue")["answer"]["me"][0])
    if asks_about_data(messages[-1].text):
        return str(pools("dialogue")["answer"]["data"][0])
    if asks_what_it_can(messages[-1].text):
        return str(pools("dialogue")["answer"]["able"][0])
    return no_judgement() if asks_judgement(messages) else ""


def asks_judgement(messages: Sequence[Message]) -> bool:
    """Whether the last message asks for a diagnosis, a lie or a person's worth, or presses for one that was asked before.

    Only of people in a clip: somebody who speaks of their own depression is to be listened to.
    """
    said = [m.text for m in messages if m.role == "user"]
    if not any(m.clips for m in messages) or not said:
        return False
    if _JUDGEMENT.search(said[-1]):
        return True
    return len(said) > 1 and _JUDGEMENT.search(said[-2]) is not None and _PRESSED.search(said[-1]) is not None


def no_judgement() -> str:
    """What the answer to such a question begins with."""
    return str(pools("dialogue")["answer"]["diagnosis"][0])


def help_first() -> str:
    """What an answer to such words begins with; the model goes on from there."""
    return str(pools("dialogue")["crisis"]["first"])
