"""Extracts facts from a person's English sentences.

Each rule must match from the beginning of a clause: an uncertain rule would fill the memory with
junk, which is worse than a missed fact.
"""

import re
from collections.abc import Callable, Iterator

from text.facts.candidate import USER, Candidate, Ending, Finding, Replacement

_RELATION = (
    r"(?:(?:older|younger|elder|little|big|twin|other|first|second|best|new|late|grand|step)[ -]?)*"
    r"(?:dog|cat|puppy|kitten|horse|rabbit|hamster|parrot|bird|fish|turtle|pet|mother|mom|mum|father"
    r"|dad|sister|brother|wife|husband|partner|girlfriend|boyfriend|fianc[eé]e?|son|daughter|child"
    r"|baby|grandmother|grandma|grandfather|grandpa|aunt|uncle|cousin|nephew|niece|friend|boss"
    r"|colleague|neighbou?r|teacher|doctor|dentist|roommate|flatmate|car|boat|company|band|school)"
)
_NUMBER = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})"
_PLURAL = (
    r"(?:dogs|cats|horses|rabbits|sisters|brothers|sons|daughters|children|kids|grandchildren)"
)
_JOB = (
    r"nurse|doctor|teacher|engineer|programmer|developer|designer|lawyer|architect|carpenter|baker"
    r"|chef|cook|waiter|waitress|student|pensioner|journalist|writer|painter|musician|photographer"
    r"|pilot|driver|farmer|electrician|plumber|dentist|pharmacist|psychologist|scientist|researcher"
    r"|professor|accountant|manager|consultant|salesman|saleswoman|secretary|librarian|mechanic"
    r"|gardener|hairdresser|policeman|policewoman|firefighter|soldier|judge|translator|actor|actress"
    r"|singer|dancer|physicist|chemist|biologist|mathematician|economist|midwife|paramedic|surgeon"
    r"|veterinarian|vet|tailor|butcher|fisherman|sailor|data scientist|social worker"
)
_PREFIX = re.compile(
    r"^(?:(?:hi|hello|hey|well|so|oh|ok|okay|yes|yeah|yep|no|nope|sorry|actually|and|but|also|because"
    r"|by the way|you know|you see|as i said|in fact|to be honest|honestly|i mean|i meant|please"
    r"|remember that|remember|note that|just so you know|for your information|these days|nowadays"
    r"|that is wrong|that's wrong|that is not right|that's not right|not quite|wrong|there|anima"
    r"|originally|careful|now)(?:[,:]?\s+|\s*[,:-]\s*))+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.!?;\n]+\s*|,?\s+(?:and|but|so|because|although|though|while)\s+(?=(?:i|i'm|i've|my)\b)",
    re.IGNORECASE,
)
# Text after the value that does not belong to it.
_TAIL = re.compile(
    r"\s*(?:,|\(|\s-\s|\b(?:and (?:i|he|she|it|we|they|my)|but|because|since|although|though|which"
    r"|who|where|when|while|so|by the way|as well|too|at the moment|these days|nowadays|right now"
    r"|now"
    r"|with my|you know|actually|please|last (?:year|month|week)|next (?:year|month|week)"
    r"|(?:\w+ )?(?:years?|months?|weeks?) ago|(?<!born )in (?:19|20)\d\d|for (?:\w+ )?years?"
    r"|any ?more)\b).*$",
    re.IGNORECASE,
)
# A value that refers to its context or is no value at all.
_NO_VALUE = re.compile(
    r"^(?:its|myself|yourself|himself|herself|your|yours|how|what|when|where|if|why|not|their|his|our|all|also|both|to"
    r"|nothing|everything|something|anything|one|so|very|too|going to|doing|being|here|there|my"
    r"|the (?:way|idea|fact|same|moment|past|future|sound|look)|a (?:lot|bit|while|few)"
    r"|the \S+ \S+.*)\b|\b(?:it|that|this|these|those|them|him|her|you)\b",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"^(?:if|when|suppose|imagine|maybe|perhaps)\b"
    r"|\b(?:wish|would|could|might|dreamt|dreamed|pretend|imagine|story|joke|quote|someone|he said"
    r"|she said|they said|used to|once upon|not sure|probably)\b",
    re.IGNORECASE,
)
_I_AM = r"i(?:'m| am)"
_VERY = r"(?:(?:really|absolutely|also|just|simply|truly|still|do|especially|particularly) )*"

Make = Callable[[re.Match[str]], Candidate | Ending | Replacement]


def _user(attribute: str, sentence: str, confidence: float = 0.9) -> Make:
    def make(match: re.Match[str]) -> Candidate:
        value = match["v"]
        text = sentence.format(value)
        return Candidate(
            subject=USER, attribute=attribute, value=value, text=text, confidence=confidence
        )

    return make


def _of(attribute: str, sentence: str, confidence: float = 0.9) -> Make:
    def make(match: re.Match[str]) -> Candidate:
        subject, value = match["s"].lower(), match["v"]
        text = sentence.format(subject, value)
        return Candidate(
            subject=subject, attribute=attribute, value=value, text=text, confidence=confidence
        )

    return make


def _favourite(match: re.Match[str]) -> Candidate:
    what, value = match["s"].lower(), match["v"]
    return Candidate(
        subject=USER,
        attribute=f"favourite {what}",
        value=value,
        text=f"My favourite {what} is {value}.",
        confidence=0.9,
    )


def _ended(attribute: str) -> Make:
    return lambda match: Ending(
        attribute=attribute, value=match["v"] if "v" in match.re.groupindex else ""
    )


# Words that can follow "my name is" but are not a name.
_NO_NAME = (
    r"(?!(?:on|in|at|of|to|for|from|with|not|now|no|too|so|very|quite|really|hard|easy|difficult|easily"
    r"|spelled|spelt|pronounced|written|common|rare|unusual|short|long|the|an?|also|often|always|never"
    r"|misspelled|unknown|secret|important|getting|being|missing|wrong|right|what|who|mud)\b)"
)
_NAME = rf"{_NO_NAME}(?P<v>[^\W\d_][\w'’-]*(?: (?-i:[A-ZÀ-Þ])[\w'’-]*){{0,2}})"
# A date, not "coming up".
_DATE = (
    r"(?P<v>(?=.*(?:\d|\b(?:january|february|march|april|may|june|july|august|september|october"
    r"|november|december|christmas|easter|new year|halloween|valentine)))\S+(?: \S+){0,5})$"
)
# The whole rest of the clause: part of a longer one would be junk.
_SHORT = r"(?P<v>\S+(?: \S+){0,4})$"
_WHERE = (
    r"(?P<v>(?!(?:an?|my|fear|hope|peace|harmony|sin|pain|style|luxury|poverty|denial|shame|exile"
    r"|time|work|there|here|home|now|then|where|constant|experience|sleep|bed|front|general|particular"
    r"|trouble|love|debt|danger)\b"
    r"|the (?!(?:netherlands|u\.?s|u\.?k|united|philippines|czech|hague|countryside|mountains|alps"
    r"|suburbs)))\S+(?: \S+){0,3})"
)
_RULES: list[tuple[str, Make]] = [
    (rf"my name(?:'s| is) {_NAME}", _user("name", "My name is {}.", 0.95)),
    (rf"(?:you can |please |just )?call me {_NAME}$", _user("name", "My name is {}.", 0.85)),
    (
        rf"{_I_AM} called (?!away|back|up|out|for|to|on|by|in|off){_NAME}",
        _user("name", "My name is {}.", 0.9),
    ),
    (rf"i(?:'m| am)? (?:now )?liv(?:e|ing) in {_WHERE}", _user("home", "I live in {}.")),
    (
        rf"i(?:'ve| have)? (?:just |recently )?moved to {_WHERE}",
        _user("home", "I live in {}.", 0.85),
    ),
    (rf"(?:{_I_AM}|i come) (?:originally )?from {_WHERE}", _user("origin", "I am from {}.")),
    (r"i was born in (?P<v>(?:19|20)\d\d)", _user("birth_year", "I was born in {}.")),
    (rf"i was born in {_WHERE}", _user("birthplace", "I was born in {}.")),
    (
        rf"(?:my birthday(?:'s| is)|i was born)(?: on)? {_DATE}",
        _user("birthday", "My birthday is {}."),
    ),
    (rf"{_I_AM} (?P<v>\d{{1,3}})(?: years old)?$", _user("age", "I am {} years old.", 0.8)),
    (r"i (?:just |recently )?turned (?P<v>\d{1,3})$", _user("age", "I am {} years old.", 0.8)),
    (rf"i(?:'ve| have) been working as an? {_SHORT}", _user("job", "I work as a {}.")),
    (rf"i work as an? {_SHORT}", _user("job", "I work as a {}.")),
    (rf"my job is (?!\w+ing\b)(?:an? )?{_SHORT}", _user("job", "I work as a {}.", 0.75)),
    (
        rf"{_I_AM} an? (?P<v>(?:[\w-]+ ){{0,2}}(?:{_JOB}))\b(?! who)",
        _user("job", "I work as a {}.", 0.85),
    ),
    (rf"i work (?:at|for) {_WHERE}", _user("employer", "I work at {}.")),
    (
        rf"(?:i study|{_I_AM} studying) (?!for |hard|a lot|the |this |that |every|all ){_SHORT}",
        _user("studies", "I study {}."),
    ),
    (rf"{_I_AM} {_VERY}allergic to {_SHORT}", _user("allergy", "I am allergic to {}.", 0.95)),
    (rf"i have an? (?:\w+ )?allergy to {_SHORT}", _user("allergy", "I am allergic to {}.", 0.95)),
    (
        r"i have (?P<v>diabetes|asthma|epilepsy|coeliac disease|celiac disease|migraines?"
        r"|high blood pressure|arthritis|hay fever)",
        _user("health", "I have {}."),
    ),
    (rf"{_I_AM} (?:an? )?(?P<v>vegan|vegetarian|pescatarian)", _user("diet", "I am {}.", 0.95)),
    (
        rf"i (?:don't|do not|can't|cannot|never) eat {_SHORT}",
        _user("does not eat", "I do not eat {}."),
    ),
    (rf"my favou?rite (?P<s>\w+(?: \w+)?) is {_SHORT}", _favourite),
    (
        rf"my (?P<s>{_RELATION})(?:'s| is) (?:called|named) {_NAME}",
        _of("name", "My {} is called {}.", 0.95),
    ),
    (rf"my (?P<s>{_RELATION})'s name(?:'s| is) {_NAME}", _of("name", "My {} is called {}.", 0.95)),
    (rf"the name of my (?P<s>{_RELATION}) is {_NAME}", _of("name", "My {} is called {}.", 0.95)),
    (
        rf"(?:i|we)(?:'ve got| have| got)(?: an?)? (?P<s>{_RELATION}) (?:called|named) {_NAME}",
        _of("name", "My {} is called {}.", 0.95),
    ),
    (
        rf"my (?P<s>{_RELATION}) (?P<v>(?-i:[A-Z])[\w'-]+) "
        r"(?:is|was|has|works|lives|loves|likes|goes|starts)\b",
        _of("name", "My {} is called {}.", 0.85),
    ),
    (rf"my (?P<s>{_RELATION}) lives in {_WHERE}", _of("home", "My {} lives in {}.")),
    (rf"my (?P<s>{_RELATION}) works as an? {_SHORT}", _of("job", "My {} works as a {}.")),
    (
        rf"my (?P<s>{_RELATION})'s birthday is(?: on)? {_DATE}",
        _of("birthday", "My {}'s birthday is {}."),
    ),
    (
        rf"my (?P<s>{_RELATION}) is {_VERY}allergic to {_SHORT}",
        _of("allergy", "My {} is allergic to {}."),
    ),
    (
        rf"i(?:'ve got| have) (?P<v>{_NUMBER} (?:{_RELATION}|{_PLURAL}))$",
        _user("has", "I have {}.", 0.85),
    ),
    (
        r"i speak (?P<v>(?-i:[A-Z])\w+(?:(?:,| and|, and) (?-i:[A-Z])\w+)*)",
        _user("speaks", "I speak {}."),
    ),
    (
        r"i play (?:the )?(?P<v>piano|guitar|violin|cello|flute|drums|trumpet|saxophone|clarinet"
        r"|bass|harp|organ|ukulele|chess|football|soccer|tennis|basketball|volleyball|golf|badminton"
        r"|handball|hockey"
        r"|rugby|cricket)",
        _user("plays", "I play {}."),
    ),
    (
        rf"i {_VERY}(?:hate|dislike|detest|can't stand|cannot stand) {_SHORT}",
        _user("dislikes", "I do not like {}."),
    ),
    (
        rf"i (?:really )?(?:don't|do not) {_VERY}(?:like|enjoy) {_SHORT}",
        _user("dislikes", "I do not like {}."),
    ),
    (rf"i {_VERY}(?:like|love|enjoy|adore) {_SHORT}", _user("likes", "I like {}.", 0.8)),
    (
        rf"{_I_AM} {_VERY}(?:fond of|a big fan of|a fan of) {_SHORT}",
        _user("likes", "I like {}.", 0.85),
    ),
]
_ENDINGS: list[tuple[str, Make]] = [
    (rf"i (?:no longer|don't|do not) live in {_WHERE}", _ended("home")),
    (rf"i (?:no longer|don't|do not) work (?:at|for) {_WHERE}", _ended("employer")),
    (rf"i (?:no longer|don't|do not) work as an? {_SHORT}", _ended("job")),
    (r"i(?:'ve| have)? (?:quit|lost|left) my job", _ended("job")),
    (rf"i no longer (?:like|love|enjoy) {_SHORT}", _ended("likes")),
    (rf"{_I_AM} (?:no longer|not) allergic to {_SHORT}", _ended("allergy")),
    (
        r"i(?:'m| am)? (?:no longer|not) (?:an? )?(?P<v>vegan|vegetarian|pescatarian)",
        _ended("diet"),
    ),
    (
        r"(?:it(?:'s| is)|(?:he|she)(?:'s| is) called) (?P<new>[\w'-]+(?: [\w'-]+){0,2}),?"
        r" (?:and )?not"
        r" (?P<old>[\w'-]+(?: [\w'-]+){0,2})",
        lambda match: Replacement(old=match["old"], new=match["new"]),
    ),
]
_COMPILED = [(re.compile(rule, re.IGNORECASE), make) for rule, make in (*_ENDINGS, *_RULES)]


def is_no_value(value: str) -> bool:
    """Returns whether a value refers to its context or is no value at all."""
    return _NO_VALUE.search(value) is not None


def findings(sentence: str) -> Iterator[Finding]:
    """Yields the findings of a sentence; at most one per clause."""
    if sentence.rstrip().endswith("?"):
        return
    for clause in _CLAUSE.split(sentence.replace("’", "'")):
        finding = _read(clause)
        if finding is not None:
            yield finding


def _read(clause: str) -> Finding | None:
    said = _PREFIX.sub("", clause.strip()).strip(" ,:-\"'")
    if not said or _UNREAL.search(said):
        return None
    replacing = _COMPILED[len(_ENDINGS) - 1][0].match(said)
    cut = said if replacing else _TAIL.sub("", said)
    for pattern, make in _COMPILED:
        match = pattern.match(cut)
        if match is None:
            continue
        value = match.groupdict().get("v")
        if value is not None and _NO_VALUE.search(value):
            return None
        return make(match)
    return None
