"""Answers the questions asked in one language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from services.llm.engine import Source, SourceKind
from services.llm.engines.retrieval.dialogue.continuing import rest_of_the_cut
from services.llm.engines.retrieval.dialogue.conversation import Conversation
from services.llm.engines.retrieval.dialogue.offering import unknown
from services.llm.engines.retrieval.dialogue.small_talk import small_talk
from services.llm.engines.retrieval.matching.entries import EntryIndex, Match
from services.llm.engines.retrieval.matching.passages import PassageIndex
from services.llm.engines.retrieval.matching.tuning import Encoders, tuning_for
from services.llm.engines.retrieval.notes.notebook import Notebook
from services.llm.engines.retrieval.notes.recollection import Recollection
from services.llm.engines.retrieval.notes.remembering import acknowledgement, forgetting, statements
from services.llm.engines.retrieval.phrasebook import Said, phrasebook
from services.llm.engines.retrieval.quotation import Quotation
from services.llm.engines.retrieval.reply import Reply, unsaid
from services.llm.engines.retrieval.turn import Turn
from services.llm.persona.persona import Persona
from services.llm.prompt.prompt import Prompt
from text.facts.asked import asked, asks_for_all
from text.facts.candidate import USER, Denial
from text.facts.feedback import feedback
from text.facts.names import question_about, statement_about
from text.facts.sentences import asks, is_question, remarks, sentences
from text.languages import language_of

# Tuned on the questions of tests/unit/llm/questions.toml; docs/personas.md has the rates.
# "I like tea" is not "I like you".
_ACCEPT_FOR_STATEMENT: Final = 0.7
# The persona's own words for small talk are taken if they are asked for almost literally.
_ACCEPT_BEFORE_SMALL_TALK: Final = 0.9
_ACCEPT_PASSAGE: Final = 0.45
# An entry that is below the threshold by at most this is offered instead of spoken.
_OFFER_MARGIN: Final = 0.1
# Weight of the previous question in the fit of a follow-up.
_CONTEXT_WEIGHT: Final = 0.3
# "Tell me more" gets a further entry that matches the previous question by at least this much.
_RELATED_FIT: Final = 0.35


class Listener:
    """One persona, asked in one language. Thread-safe because it is immutable."""

    def __init__(self, persona: Persona, language: str, encoders: Encoders) -> None:
        self._persona = persona
        self._language = language
        self._phrases = phrasebook(language)
        used = encoders.of(language)
        self._tuning = tuning_for(language, used)
        self._accept = self._tuning.accept
        self._entries = EntryIndex(persona.entries, language, self._phrases, used, self._tuning)
        self._passages = PassageIndex(persona.passages, language, self._phrases, used)
        self._recollection = Recollection(self._phrases)
        self._quotation = Quotation(self._phrases)
        self._talk = small_talk(language)
        name = re.escape(persona.profile.display_name)
        misheard = "|".join(map(re.escape, persona.profile.heard_as.get(language, ())))
        self._misheard = re.compile(rf"\b(?:{misheard})\b", re.IGNORECASE) if misheard else None
        self._address = re.compile(
            rf"^\s*(?:(?:hey|hi|hello|ok|okay|嘿|你好)[\s,，]*{name}\b[\s,，.!！:：]*|{name}\s*[,，!！:：]\s*)(?=\w)"
            rf"|(?<=\w)\s*[,，]\s*{name}\s*[.?!。？！]*\s*$",
            re.IGNORECASE,
        )
        self._name = re.compile(rf"\s*\b{name}\b\s*", re.IGNORECASE)

    def reply(self, prompt: Prompt) -> Reply:
        """Answers a question in `prompt.language`."""
        heard = prompt.question
        if self._misheard is not None:
            heard = self._misheard.sub(self._persona.profile.display_name, heard)
        heard = self._address.sub("", heard)
        bare = self._phrases.plain(self._name.sub(" ", heard))
        if self._is_courtesy(bare):
            heard = bare
        said = phrasebook(prompt.language).said
        if self._phrases.is_filler(heard):
            return Reply(text=unsaid(said.unclear, prompt.history))
        turn = self._turn(prompt, heard, said)
        ways: tuple[Callable[[Turn], Reply | None], ...] = (
            self._forgetting,
            self._from_history,
            self._small_talk,
            self._acknowledge_a_fact,
            self._about_the_person,
            self._about_somebody,
            self._from_corpus,
            self._courtesy,
            self._from_memory,
            self._from_knowledge,
            self._from_documents,
        )
        if found := next((found for way in ways if (found := way(turn))), None):
            return found
        if remarks(turn.heard):
            return Reply(text=turn.say(turn.said.heard))
        return unknown(turn, self._persona.profile, least_fit=self._accept - _OFFER_MARGIN)

    def _turn(self, prompt: Prompt, heard: str, said: Said) -> Turn:
        notebook = Notebook(prompt.memories, prompt.history, prompt.now)
        *before, last = sentences(heard) or [heard]
        if before and is_question(last) and self._is_personal(prompt, last):
            # "My name is Olga. What is my name?"
            notebook.hear(" ".join(before))
            heard = last
        cleaned = self._clean(heard)
        is_own = self._phrases.heard.statement.search(cleaned) is not None
        return Turn(
            prompt=prompt,
            heard=heard,
            cleaned=cleaned,
            talk=Conversation(prompt.history, steers=self._steers),
            said=said,
            matches=[
                match
                for match in self._entries.find(heard)
                if prompt.language in match.entry.wordings
            ],
            notebook=notebook,
            stated=()
            if is_question(heard)
            else statements(statement_about(heard, notebook.names), cleaned, is_own),
        )

    def _is_personal(self, prompt: Prompt, text: str) -> bool:
        today = prompt.now.date()
        return self._recollection.personal(text, self._clean(text), today) is not None

    def _clean(self, text: str) -> str:
        return self._phrases.clean(text)

    # Phrases that steer the conversation.

    def _steers(self, text: str) -> bool:
        """Whether a message of the user names no topic of its own."""
        cleaned, heard = self._phrases.clean(text), self._phrases.heard
        patterns = (heard.more, heard.go_on, heard.repeat, heard.what_i_asked, heard.what_you_said)
        return self._is_aside(text) or any(pattern.fullmatch(cleaned) for pattern in patterns)

    def _is_aside(self, text: str) -> bool:
        """Whether a message of the user leaves the answer before it open."""
        cleaned, heard = self._phrases.clean(text), self._phrases.heard
        patterns = (heard.yes, heard.no, heard.thanks)
        return bool(self._talk.kind_of(cleaned)) or any(
            pattern.fullmatch(cleaned) for pattern in patterns
        )

    def _forgetting(self, turn: Turn) -> Reply | None:
        is_refused = self._phrases.heard.no.fullmatch(turn.cleaned) is not None
        ways = forgetting(turn.heard, turn.notebook, turn.said, is_refused=is_refused)
        return Reply(text=turn.say(ways)) if ways else None

    def _from_history(self, turn: Turn) -> Reply | None:
        heard, talk = self._phrases.heard, turn.talk
        if heard.what_i_asked.fullmatch(turn.cleaned):
            if not talk.last_question:
                return Reply(text=turn.say(turn.said.nothing_asked))
            text = turn.say(turn.said.you_asked, text=talk.last_question)
            return Reply(text=text, sources=(talk.source(talk.last_question),))
        if heard.repeat.fullmatch(turn.cleaned) or heard.what_you_said.fullmatch(turn.cleaned):
            return self._repeat(turn)
        if heard.go_on.fullmatch(turn.cleaned):
            rest = rest_of_the_cut(turn.prompt.history, self._persona.entries, self._is_aside)
            if rest:
                return Reply(text=rest, sources=(talk.source(talk.last_answer),))
            if not heard.more.fullmatch(turn.cleaned):
                return self._repeat(turn)
        if heard.more.fullmatch(turn.cleaned) and talk.last_topic:
            return self._more(turn)
        if heard.yes.fullmatch(turn.cleaned):
            return self._offered(turn)
        return None

    def _is_courtesy(self, plain: str) -> bool:
        heard = self._phrases.heard
        return any(one.fullmatch(plain) for one in (heard.greeting, heard.thanks, heard.goodbye))

    def _repeat(self, turn: Turn) -> Reply:
        last = turn.talk.last_answer
        if not last:
            return Reply(text=turn.say(turn.said.nothing_to_repeat))
        entry = turn.talk.last_entry(self._persona.entries)
        texts = [
            text
            for wording in (entry.wordings.values() if entry else ())
            for text in (*wording.answers, wording.more)
        ]
        whole = next((text for text in texts if text and text.startswith(last.strip())), last)
        return Reply(text=whole, sources=(turn.talk.source(last),))

    def _offered(self, turn: Turn) -> Reply | None:
        """Answers the question that the last answer offered."""
        language = turn.prompt.language
        for entry in self._persona.entries:
            wording = entry.wordings.get(language)
            if wording and any(text in turn.talk.last_answer for text in wording.questions):
                return self._speak(turn, Match(entry=entry, question="", fit=1.0))
        return None

    def _more(self, turn: Turn) -> Reply:
        talk, language = turn.talk, turn.prompt.language
        last = talk.last_entry(self._persona.entries)
        related = self._entries.find(talk.last_topic)
        if last is None and related and related[0].fit >= self._accept:
            last = related[0].entry
        if last is not None and language in last.wordings:
            more = last.wordings[language].more
            if more and not talk.was_said(more):
                return Reply(text=more, sources=(_source(SourceKind.CORPUS, last.id, 1.0),))
        for match in related:
            wording = match.entry.wordings.get(language)
            fits = match.fit >= _RELATED_FIT and (last is None or match.entry.topic == last.topic)
            if wording and fits and match.entry is not last and not _told(wording.answers, talk):
                return self._speak(turn, match)
        return Reply(text=turn.say(turn.said.no_more))

    def _small_talk(self, turn: Turn) -> Reply | None:
        spoken, prompt = small_talk(turn.prompt.language), turn.prompt
        text = spoken.sum_of(turn.heard, prompt.history)
        kind = "" if text else self._talk.kind_of(turn.cleaned)
        wish = spoken.wish_of(kind)
        if wish is not None and (reply := wish.reply(prompt)):
            return reply
        if kind:
            enough = self._accept if self._talk.is_second(kind) else _ACCEPT_BEFORE_SMALL_TALK
            if turn.matches and turn.matches[0].fit >= enough:
                return self._speak(turn, turn.matches[0])
            text = spoken.answer(kind, prompt.now, prompt.history)
        return Reply(text=text) if text else None

    # Known answers.

    def _about_the_person(self, turn: Turn) -> Reply | None:
        if turn.stated:
            return None
        meant = question_about(turn.heard, turn.notebook.names)
        question = self._recollection.personal(meant, self._clean(meant), turn.prompt.now.date())
        if question is None:
            return None
        told = self._recollection.about_the_person(
            question, turn.heard, turn.notebook, turn.prompt.history, turn.said
        )
        if told is None and asks_for_all(turn.heard):
            return Reply(text=turn.say(turn.said.not_told))
        is_vague = question.attributes in {(), ("has",)}
        enough = self._accept if is_vague else _ACCEPT_BEFORE_SMALL_TALK
        if told is not None or self._best_about_the_person(turn, enough):
            return told
        if quoted := self._from_knowledge(turn):
            return quoted
        return Reply(text=turn.say(turn.said.not_told))

    def _acknowledge_a_fact(self, turn: Turn) -> Reply | None:
        """Acknowledges what certainly is a fact: "I am an engineer" does not ask for engines."""
        corrections = feedback(turn.heard) or ()
        is_fact = any(clause.findings for clause in turn.stated) or any(
            not isinstance(one, Denial) or one.right for one in corrections
        )
        return self._acknowledge(turn) if is_fact else None

    def _acknowledge(self, turn: Turn) -> Reply | None:
        ways, name = acknowledgement(turn.heard, turn.stated, turn.said)
        return Reply(text=turn.say(ways, name=name)) if ways else None

    def _about_somebody(self, turn: Turn) -> Reply | None:
        """Answers what a statement of the person covers: "Where does Jonas live?"."""
        if turn.stated or self._phrases.heard.second_person.search(turn.cleaned):
            return None
        return self._recollection.about_anything(
            turn.heard, turn.notebook, turn.prompt.history, turn.said, is_certain=True
        )

    def _best_about_the_person(self, turn: Turn, enough: float) -> bool:
        """Whether the corpus is about the user: "What is my name?" is not "... your name?"."""
        best = turn.matches[0] if turn.matches else None
        return (
            best is not None
            and best.fit >= enough
            and self._phrases.heard.first_person.search(self._phrases.clean(best.question))
            is not None
        )

    def _from_corpus(self, turn: Turn) -> Reply | None:
        best = turn.matches[0] if turn.matches else None
        if self._phrases.heard.follow_up.search(turn.cleaned) and turn.talk.last_topic:
            best = self._in_context(turn) or best
        if best is None or best.fit < self._required(turn, best):
            return None
        return self._speak(turn, best)

    def _required(self, turn: Turn, best: Match) -> float:
        """Returns the fit that the best entry needs to be spoken."""
        others = (match.fit for match in turn.matches if match.entry is not best.entry)
        heard = self._phrases.heard
        required = self._tuning.required(
            best.fit - max(others, default=0.0),
            is_personal=heard.at_hand.search(turn.cleaned) is not None
            or heard.second_person.search(turn.cleaned) is not None,
        )
        return max(required, _ACCEPT_FOR_STATEMENT) if self._is_statement(turn) else required

    def _is_statement(self, turn: Turn) -> bool:
        """Whether the user makes a statement."""
        is_own = self._phrases.heard.statement.search(turn.cleaned) is not None
        return bool(turn.stated) or (is_own and not is_question(turn.heard))

    def _in_context(self, turn: Turn) -> Match | None:
        """Returns the entry that matches a follow-up best, given the previous question."""
        context = {match.entry.id: match.fit for match in self._entries.find(turn.talk.last_topic)}
        last = turn.talk.last_entry(self._persona.entries)
        found = [
            Match(
                entry=match.entry,
                question=match.question,
                fit=min(1.0, match.fit + _CONTEXT_WEIGHT * context.get(match.entry.id, 0.0)),
            )
            for match in turn.matches
            if match.entry is not last or match.fit >= self._accept
        ]
        return max(found, key=lambda match: match.fit, default=None)

    def _courtesy(self, turn: Turn) -> Reply | None:
        heard, said = self._phrases.heard, turn.said
        for pattern, ways in (
            (heard.greeting, said.greeting),
            (heard.thanks, said.thanks),
            (heard.goodbye, said.goodbye),
        ):
            if pattern.fullmatch(turn.cleaned):
                return Reply(text=turn.say(ways))
        if acknowledged := self._acknowledge(turn):
            return acknowledged
        return Reply(text=turn.say(said.noted)) if self._is_statement(turn) else None

    def _from_memory(self, turn: Turn) -> Reply | None:
        question = asked(turn.heard)
        if question.subject == USER and not turn.stated and asks(turn.heard):
            told = self._recollection.about_the_person(
                question, turn.heard, turn.notebook, turn.prompt.history, turn.said
            )
            if told is not None:
                return told
        return self._recollection.about_anything(
            turn.heard, turn.notebook, turn.prompt.history, turn.said
        )

    def _from_knowledge(self, turn: Turn) -> Reply | None:
        """Quotes documents of the user or of the persona."""
        prompt, profile = turn.prompt, self._persona.profile
        passages = [
            memory
            for memory in prompt.memories
            if memory.citation and language_of(memory.text, profile.languages) == prompt.language
        ]
        return self._quotation.quote(turn.cleaned, passages, prompt.history, turn.said)

    def _from_documents(self, turn: Turn) -> Reply | None:
        # A passage is in one language; a corpus entry may be in several.
        if turn.prompt.language != self._language:
            return None
        found = next(iter(self._passages.find(turn.cleaned)), None)
        if found is None or found.fit < _ACCEPT_PASSAGE:
            return None
        source = _source(SourceKind.DOCUMENT, found.passage.document, found.fit)
        return Reply(text=found.text, sources=(source,))

    def _speak(self, turn: Turn, match: Match) -> Reply:
        answers = match.entry.wordings[turn.prompt.language].answers
        source = _source(SourceKind.CORPUS, match.entry.id, match.fit)
        return Reply(text=unsaid(answers, turn.prompt.history), sources=(source,))


def _told(answers: tuple[str, ...], talk: Conversation) -> bool:
    return any(talk.was_said(answer) for answer in answers)


def _source(kind: SourceKind, name: str, score: float) -> Source:
    return Source(kind=kind, name=name, score=min(score, 1.0))
