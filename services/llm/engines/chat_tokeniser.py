"""Converts prompts to tokens for a local model, with the model's own chat template."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from services.llm.engines.local_model import LocalModelOptions
from services.llm.persona.persona import Persona
from services.llm.prompt.chat import Chat, build_chat, message_fields
from services.llm.prompt.prompt import Message, Prompt, Role, build_prompt
from services.llm.prompt.tools import Tool
from services.runtime.errors import FailedPrecondition

_TRIES: Final = 3
_KNOWN_TEXTS: Final = 2_048
_QUICK_CHARS: Final = 1_000
"""Encoding this much new text takes about half a millisecond."""
_SAMPLE: Final = (
    Message(role=Role.SYSTEM, text="You are Anima.\n\n Answer in 80 words."),
    Message(role=Role.USER, text=" Who are you?"),
    Message(role=Role.ASSISTANT, text="我是 Anima。 "),
    Message(role=Role.USER, text="你好，3.5 km?\n"),
)


class ChatTokeniser:
    """Converts prompts to the tokens that the model reads.

    Conversations are repetitive: persona, rules and history are the same in each turn. The
    rendered chat is therefore split before each special token, which no token can span, and
    parts that were seen before are not encoded again. If a tokeniser encodes the parts differently
    from the whole text, this is detected at the start and each chat is encoded as a whole.
    """

    def __init__(self, tokeniser: Any, options: LocalModelOptions) -> None:
        """Wraps a tokeniser of the transformers library.

        Raises:
            FailedPrecondition: The model has no chat template, or one that rejects conversations.
        """
        if not getattr(tokeniser, "chat_template", None):
            raise FailedPrecondition(f"the model {options.model} has no chat template")
        self._tokeniser = tokeniser
        self._options = options
        self._fast = _fast_encoder(tokeniser)
        self._encode_text = self._fast or self._encode_slowly
        self._known = _Known(self._encode_text)
        self._seen: set[tuple[str, str, int]] = set()
        self._folds_system = False
        rendered = self._render_sample()
        self._cuts: re.Pattern[str] | None = _cuts(tokeniser)
        if self._parts(rendered) != list(self._encode_text(rendered)):
            self._cuts = None

    def is_quick(self, prompt: Prompt) -> bool:
        """Whether `encode` is fast enough to run on the event loop."""
        if self._fast is None or self._fixed(prompt) not in self._seen or prompt.tools:
            return False
        texts = [message.text for message in prompt.history]
        texts += [memory.text for memory in prompt.memories]
        new = sum(len(text) for text in texts if text not in self._known)
        return new + len(prompt.question) <= _QUICK_CHARS

    def encode(self, prompt: Prompt) -> tuple[list[int], Chat]:
        """Returns the tokens of a prompt's chat, cut to the context.

        Raises:
            FailedPrecondition: Persona and question alone do not fit.
        """
        most = self._options.prompt_tokens
        room = most
        for _ in range(_TRIES):
            chat = build_chat(prompt, max_tokens=room, count=self._count)
            tokens = self.encode_chat(chat)
            if len(tokens) <= most:
                self._seen.add(self._fixed(prompt))
                return tokens, chat
            room -= len(tokens) - most
        raise FailedPrecondition(
            f"ANIMA_LLM_CONTEXT_TOKENS: {self._options.context_tokens} tokens are too few for"
            " persona and question"
        )

    def encode_chat(self, chat: Chat) -> list[int]:
        """Returns the tokens of a chat, rendered with the model's own template."""
        return self._parts(self._render(chat.messages, chat.tools))

    def _fixed(self, prompt: Prompt) -> tuple[str, str, int]:
        """Returns the values that determine the first part of a chat."""
        return prompt.persona.profile.name, prompt.language, prompt.max_words

    def _count(self, text: str) -> int:
        return len(self._known.encode(text))

    def _parts(self, rendered: str) -> list[int]:
        if self._cuts is None:
            return list(self._encode_text(rendered))
        cuts = [match.start() for match in self._cuts.finditer(rendered)]
        starts, ends = [0, *cuts], [*cuts, len(rendered)]
        return [
            token
            for start, end in zip(starts, ends, strict=True)
            if start < end
            for token in self._known.encode(rendered[start:end])
        ]

    def _render_sample(self) -> str:
        """Renders a small conversation to detect whether the template accepts a system message."""
        try:
            return self._render(_SAMPLE)
        except Exception:  # raised by the template itself
            self._folds_system = True
        try:
            return self._render(_SAMPLE)
        except Exception as error:
            raise FailedPrecondition(
                f"the chat template of {self._options.model} rejects conversations: {error}"
            ) from error

    def _render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
        sent = _folded(messages) if self._folds_system else messages
        text: str = self._tokeniser.apply_chat_template(
            [message_fields(message, parsed=True) for message in sent],
            tools=[tool.as_function() for tool in tools] or None,
            add_generation_prompt=True,
            tokenize=False,
            **self._options.chat_template_kwargs,
        )
        return text

    def _encode_slowly(self, text: str) -> Sequence[int]:
        tokens: list[int] = self._tokeniser.encode(text, add_special_tokens=False)
        return tokens


def first_prompts(personas: Iterable[Persona]) -> Iterator[Prompt]:
    """Yields a question for each persona and language; encoding them makes the first one fast."""
    for persona in personas:
        for language in persona.profile.languages:
            yield build_prompt(
                turn_id="warm-up",
                persona=persona,
                language=language,
                question="?",
                history=(),
                memories=(),
                max_words=0,
                word_interval_ms=None,
            )


class _Known:
    """A cache of the tokens of recent texts. Thread-safe."""

    def __init__(self, encode: Callable[[str], Sequence[int]]) -> None:
        self._encode = encode
        self._tokens: OrderedDict[str, Sequence[int]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, text: str) -> bool:
        return text in self._tokens

    def encode(self, text: str) -> Sequence[int]:
        with self._lock:
            found = self._tokens.get(text)
            if found is not None:
                self._tokens.move_to_end(text)
                return found
        tokens = self._encode(text)
        with self._lock:
            self._tokens[text] = tokens
            if len(self._tokens) > _KNOWN_TEXTS:
                self._tokens.popitem(last=False)
        return tokens


def _folded(messages: Sequence[Message]) -> list[Message]:
    """Moves the system message into the first question: some templates have no system role."""
    system, first, *rest = messages
    if first.role is not Role.USER:
        return [Message(role=Role.USER, text=system.text), first, *rest]
    return [Message(role=Role.USER, text=f"{system.text}\n\n{first.text}"), *rest]


def _fast_encoder(tokeniser: Any) -> Callable[[str], Sequence[int]] | None:
    """Returns the thread-safe Rust tokeniser; None if the model has none."""
    backend: Any = getattr(tokeniser, "backend_tokenizer", None)
    if not hasattr(backend, "no_truncation"):
        return None
    # the settings for both in the file are for training
    backend.no_truncation()
    backend.no_padding()

    def encode(text: str) -> Sequence[int]:
        tokens: list[int] = backend.encode(text, add_special_tokens=False).ids
        return tokens

    return encode


def _cuts(tokeniser: Any) -> re.Pattern[str] | None:
    """Returns a pattern for the special tokens that do not absorb adjacent text."""
    special = [
        token.content
        for token in getattr(tokeniser, "added_tokens_decoder", {}).values()
        if token.special and not (token.lstrip or token.rstrip or token.single_word)
    ]
    return re.compile("|".join(map(re.escape, sorted(special, reverse=True)))) if special else None
