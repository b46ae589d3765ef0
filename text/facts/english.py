"""Extracts facts from a person's English sentences.

Each rule must match from the beginning of a clause: an uncertain rule would fill the memory with
junk, which is worse than a missed fact.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from text.facts.candidate import USER, Candidate, Ending, Finding, Replacement
from text.facts.english_words import AGE_WORD, JOB, NUMBER, PLAIN_NAME, PLURAL, RELATION

_PREFIX = re.compile(
    r"^(?:(?:hi|hello|hey|well|so|oh|ok|okay|yes|yeah|yep|no|nope|sorry|actually|and|but|also"
    r"|because"
    r"|by the way|you know|you see|as i said|in fact|to be honest|honestly|i mean|i meant|please"
    r"|remember that|remember|note that|just so you know|for your information|don't forget that"
    r"|don't forget|do not forget|these days|nowadays"
    r"|that is wrong|that's wrong|that is not right|that's not right|not quite|wrong|there|anima"
    r"|originally|careful|now|wait|hang on|hold on)(?:[,:]?\s+|\s*[,:-]\s*))+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[;\n]+\s*|,\s+(?=(?:i|i'm|i've|my)\b)|,?\s+(?:and|but|so|because|although|though"
    r"|while)\s+(?=(?:i|i'm|i've|my)\b)"
    r"|\s+before\s+(?=i moved to\b)"
    r"|,\s+(?:and\s+)?(?=(?:he|she|it|they)(?:'s|'re| is| are| was| has| lives?| works?| likes?"
    r"| loves?)\b)",
    re.IGNORECASE,
)
# A further verb of the same subject: "My brother lives in Porto and works as a nurse".
_SUBJECT = re.compile(rf"(?:i|my {RELATION}(?: (?-i:[A-Z])[\w'-]+)?)(?= )", re.IGNORECASE)
_FURTHER_VERB = re.compile(
    r"\s+and\s+(?=(?:lives?|works?|is|was|am|has|hates?|plays?|stud(?:y|ies)|speaks?|comes?)\b )",
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
    r"^(?:its|myself|yourself|himself|herself|your|yours|how|what|when|where|if|why|not|their|his"
    r"|our|all|also|both|to"
    r"|nothing|everything|something|anything|one|so|very|too|going to|doing|being|here|there|my"
    r"|the (?:way|idea|fact|same|moment|past|future|sound|look)|a (?:lot|bit|while|few)"
    r"|the \S+ \S+.*)\b|\b(?:it|that|this|these|those|them|him|her|you)\b",
    re.IGNORECASE,
)
_WHEN_FIRST = re.compile(
    r"^(?:today|yesterday|tomorrow|tonight|(?:last|next|this) \w+|(?:a|\w+) \w+s? ago),? (?=i\b"
    r"|my\b)",
    re.IGNORECASE,
)
# What was, but may no longer be.
_PAST = re.compile(r"\bused to\b", re.IGNORECASE)
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
    r"(?!(?:on|in|at|of|to|for|from|with|not|now|no|too|so|very|quite|really|hard|easy|difficult"
    r"|easily"
    r"|spelled|spelt|pronounced|written|common|rare|unusual|short|long|the|an?|also|often|always"
    r"|never"
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
_ITS_NAME = r"(?: (?-i:[A-Z])[\w'-]+)?"
_WHERE = (
    r"(?P<v>(?!(?:an?|my|fear|hope|peace|harmony|sin|pain|style|luxury|poverty|denial|shame|exile"
    r"|time|work|there|here|home|now|then|where|constant|experience|sleep|bed|front|general"
    r"|particular"
    r"|trouble|love|debt|danger)\b"
    r"|the (?!(?:netherlands|u\.?s|u\.?k|united|philippines|czech|hague|countryside|mountains|alps"
    r"|suburbs)))\S+(?: \S+){0,3})"
)
_RULES: list[tuple[str, Make]] = [
    (rf"my name(?:'s| is) {_NAME}", _user("name", "My name is {}.", 0.95)),
    (rf"(?:you can |please |just )?call me {_NAME}$", _user("name", "My name is {}.", 0.85)),
    (rf"{_I_AM} {PLAIN_NAME}$", _user("name", "My name is {}.", 0.8)),
    (
        rf"{_I_AM} called (?!away|back|up|out|for|to|on|by|in|off){_NAME}",
        _user("name", "My name is {}.", 0.9),
    ),
    (rf"i(?:'m| am)? (?:now )?liv(?:e|ing) in {_WHERE}", _user("home", "I live in {}.")),
    (
        rf"i(?:'ve| have)? (?:just |recently )?moved (?:from (?:\S+ ){{1,3}})?to {_WHERE}",
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
        rf"{_I_AM} an? (?P<v>(?:[\w-]+ ){{0,2}}(?:{JOB}))\b(?! who)",
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
        rf"my (?P<s>{RELATION})(?:'s| is) (?:called|named) {_NAME}",
        _of("name", "My {} is called {}.", 0.95),
    ),
    (rf"my (?P<s>{RELATION})'s name(?:'s| is) {_NAME}", _of("name", "My {} is called {}.", 0.95)),
    (rf"the name of my (?P<s>{RELATION}) is {_NAME}", _of("name", "My {} is called {}.", 0.95)),
    (
        rf"(?:i|we)(?:'ve got| have| got)?(?: (?:adopted|bought"
        rf"|found))?(?: an?)? (?P<s>{RELATION})"
        rf",? (?:called|named) {_NAME}",
        _of("name", "My {} is called {}.", 0.95),
    ),
    (rf"my (?P<s>{RELATION}){_ITS_NAME} lives in {_WHERE}", _of("home", "My {} lives in {}.")),
    (
        rf"my (?P<s>{RELATION}){_ITS_NAME} works as an? {_SHORT}",
        _of("job", "My {} works as a {}."),
    ),
    (
        rf"my (?P<s>{RELATION}){_ITS_NAME} is an? (?P<v>(?:[\w-]+ ){{0,2}}(?:{JOB}))\b",
        _of("job", "My {} works as a {}.", 0.85),
    ),
    (
        rf"my (?P<s>{RELATION}){_ITS_NAME} is (?P<v>\d{{1,3}}|{AGE_WORD})(?: years old)?$",
        _of("age", "My {} is {} years old.", 0.85),
    ),
    (
        rf"my (?P<s>{RELATION}){_ITS_NAME} was born in {_WHERE}",
        _of("birthplace", "My {} was born in {}."),
    ),
    (
        rf"my (?P<s>{RELATION})'s birthday is(?: on)? {_DATE}",
        _of("birthday", "My {}'s birthday is {}."),
    ),
    (
        rf"my (?P<s>{RELATION}) is {_VERY}allergic to {_SHORT}",
        _of("allergy", "My {} is allergic to {}."),
    ),
    (
        rf"i(?:'ve got| have) (?P<v>{NUMBER} (?:{RELATION}|{PLURAL}))$",
        _user("has", "I have {}.", 0.85),
    ),
    (
        r"i speak (?P<v>(?-i:[A-Z])\w+(?:(?:,| and|, and) (?-i:[A-Z])\w+)*)",
        _user("speaks", "I speak {}."),
    ),
    (
        r"i play (?:the )?(?P<v>piano|guitar|violin|cello|flute|drums|trumpet|saxophone|clarinet"
        r"|bass|harp|organ|ukulele|chess|football|soccer|tennis|basketball|volleyball|golf"
        r"|badminton"
        r"|handball|hockey"
        r"|rugby|cricket)",
        _user("plays", "I play {}."),
    ),
    (
        rf"i {_VERY}(?:hate|dislike|detest|can't stand|can ?not stand|can't bear"
        rf"|can ?not bear) {_SHORT}",
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
_NAMED = re.compile(
    rf"my (?P<s>{RELATION}) (?P<v>(?-i:[A-Z])[\w'-]+) "
    r"(?:is|was|has|works|lives|loves|likes|hates|goes|starts|plays|studies|speaks)\b",
    re.IGNORECASE,
)
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
_LIST = r"(?P<v>(?-i:[A-ZÀ-Þ])[\w'-]+(?:(?:, and|,| and) (?-i:[A-ZÀ-Þ])[\w'-]+)+)"


def _names(match: re.Match[str]) -> Sequence[Finding]:
    """Reads "two dogs, Rex and Luna": the number, and a name for each."""
    relation = singular(match["s"].lower())
    named = [
        Candidate(
            subject=relation,
            attribute="name",
            value=name,
            text=f"My {relation} is called {name}.",
            confidence=0.9,
        )
        for name in re.split(r", and |, | and ", match["v"])
    ]
    if not (number := match.groupdict().get("n")):
        return named
    counted = f"{number} {match['s']}"
    return [
        Candidate(
            subject=USER, attribute="has", value=counted, text=f"I have {counted}.", confidence=0.85
        ),
        *named,
    ]


_LISTS = [
    (re.compile(rule, re.IGNORECASE), _names)
    for rule in (
        rf"(?:i|we)(?:'ve got| have| got) (?P<n>{NUMBER}) (?P<s>{PLURAL})(?:,? (?:called|named)"
        rf"|,|:)"
        rf" {_LIST}",
        rf"my (?P<s>{PLURAL})(?:'s? names)? are (?:called |named )?{_LIST}",
    )
]
_COMPILED = [(re.compile(rule, re.IGNORECASE), make) for rule, make in (*_ENDINGS, *_RULES)]


_PLURALS = frozenset(PLURAL.strip("(?:)").split("|"))
_SINGULAR = {"children": "child", "kids": "child", "grandchildren": "grandchild"}
RELATIONS = rf"(?:{PLURAL}|{RELATION})"
"""Relations, in the singular or the plural, as a regular expression."""
_RELATION_FIRST = re.compile(rf"(?:my|our) (?P<s>{RELATIONS})\b", re.IGNORECASE)
_FIRST_PERSON = re.compile(
    r"(?:i|i'm|i've|i'd|i'll|we|we're|we've|my|our|call me)\b", re.IGNORECASE
)
_PRONOUN = re.compile(
    r"^(?:he|she|it|they)(?: (?:is|are)|'s|'re)(?= )"
    r"|^(?:he|she|it|they)(?= (?:was|has|lives?|works?|likes?|loves?|hates?)\b)",
    re.IGNORECASE,
)


def is_no_value(value: str) -> bool:
    """Returns whether a value refers to its context or is no value at all."""
    return _NO_VALUE.search(value) is not None


def clauses(sentence: str) -> Iterator[str]:
    """Splits a sentence into clauses, each with its subject: "My brother lives in Porto"."""
    for clause in _CLAUSE.split(sentence.replace("’", "'")):
        said = _PREFIX.sub("", clause.strip()).strip(" ,:-\"'.!")
        subject = _SUBJECT.match(said)
        first, *further = _FURTHER_VERB.split(said) if subject is not None else [said]
        if first:
            yield first
        for part in further:
            yield f"{subject.group() if subject else ''} {part}"


def subject_of(clause: str) -> str:
    """Returns `USER`, a relation such as "dog", or "" if a clause is about something else."""
    clause = _WHEN_FIRST.sub("", clause)
    if (match := _RELATION_FIRST.match(clause)) is not None:
        return singular(match["s"].lower())
    return USER if _FIRST_PERSON.match(clause) else ""


def with_subject(clause: str, subject: str) -> str:
    """Replaces the pronoun at the beginning of a clause: "He is four" -> "My dog is four"."""
    match = _PRONOUN.match(clause)
    if match is None or subject in {"", USER}:
        return clause
    is_being = match.group().lower() not in {"he", "she", "it", "they"}
    return f"My {subject}{' is' if is_being else ''}{clause[match.end() :]}"


def singular(relation: str) -> str:
    """Returns a relation in the singular."""
    return _SINGULAR.get(relation, relation.removesuffix("s") if relation in _PLURALS else relation)


def read(clause: str) -> Sequence[Finding]:
    """Returns the findings of a clause; most have one at most."""
    if _PAST.search(clause):
        return ()
    clause = _WHEN_FIRST.sub("", clause)
    replacing = _COMPILED[len(_ENDINGS) - 1][0].match(clause)
    cut = clause if replacing else _TAIL.sub("", clause)
    for pattern, make in _LISTS:
        if (match := pattern.fullmatch(clause)) is not None:
            return make(match)
    named = _NAMED.match(cut)
    names = () if named is None else (_of("name", "My {} is called {}.", 0.85)(named),)
    for pattern, make_one in _COMPILED:
        match = pattern.match(cut)
        if match is None:
            continue
        value = match.groupdict().get("v")
        if value is not None and _NO_VALUE.search(value):
            break
        return (*names, make_one(match))
    return names
