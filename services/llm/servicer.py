"""The gRPC servicer of the language-model stage: messages in, engine calls, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import grpc
from opentelemetry import trace

from anima.common.v1 import (
    END_REASON_COMPLETE,
    END_REASON_LENGTH,
    ChunkHeader,
    Interrupt,
    Interrupted,
)
from anima.llm.v1 import (
    SOURCE_KIND_CORPUS,
    SOURCE_KIND_DOCUMENT,
    SOURCE_KIND_HISTORY,
    SOURCE_KIND_MEMORY,
    DescribeEngineRequest,
    DescribeEngineResponse,
    Finished,
    GenerateConfig,
    GenerateRequest,
    GenerateResponse,
    ListPersonasRequest,
    ListPersonasResponse,
    LlmServiceServicer,
    Persona,
    PersonaText,
    PersonaVoice,
    PrefillRequest,
    PrefillResponse,
    Source,
    Started,
    TextDelta,
    add_LlmServiceServicer_to_server,
)
from anima.llm.v1 import ToolCall as WireToolCall
from services.llm.engine import Delta, End, EndReason, LlmEngine, PrefillingEngine, SourceKind
from services.llm.generation import Generation
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.persona.profile import Profile
from services.llm.prompt.citing import cited
from services.llm.prompt.prompt import Prompt
from services.llm.prompt.tools import ToolCall
from services.llm.prompt.unseen import answer_of
from services.llm.requests import read_prefill, read_prompt
from services.llm.settings import LlmSettings
from services.runtime.calls.streams import open_stream
from services.runtime.engine import watch_of
from services.runtime.engines import load_engine
from services.runtime.limits.progress import MAX_CALL_S, StreamLimits
from services.runtime.server import Stage

SERVICE: Final = "anima.llm.v1.LlmService"

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_REASONS: Final = {
    EndReason.COMPLETE: END_REASON_COMPLETE,
    EndReason.LENGTH: END_REASON_LENGTH,
}
_KINDS: Final = {
    SourceKind.CORPUS: SOURCE_KIND_CORPUS,
    SourceKind.DOCUMENT: SOURCE_KIND_DOCUMENT,
    SourceKind.MEMORY: SOURCE_KIND_MEMORY,
    SourceKind.HISTORY: SOURCE_KIND_HISTORY,
}


class LlmServicer(LlmServiceServicer):
    """Serves one engine."""

    def __init__(
        self, engine: LlmEngine, catalogue: PersonaCatalogue, settings: LlmSettings
    ) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._settings = settings
        self._busy = 0

    async def warm_up(self) -> None:
        """Opens the engine and prepares it for the personas."""
        await self._engine.open()
        await self._engine.prepare(self._catalogue.personas)

    async def close(self) -> None:
        """Closes the engine."""
        await self._engine.close()

    async def Generate(  # noqa: N802
        self, request_iterator: AsyncIterator[GenerateRequest], context: _Context
    ) -> AsyncIterator[GenerateResponse]:
        """See the proto."""
        config: GenerateConfig
        config, requests = await open_stream(request_iterator)
        prompt = read_prompt(config, self._catalogue)
        _describe_turn(prompt)
        writer = _Responses(config)
        answer = answer_of(self._engine, prompt)
        with self._counted():
            async with Generation(answer, requests, config.epoch) as generation:
                yield writer.started(prompt)  # the engine has already started
                async for response in self._answer(generation, writer, prompt):
                    yield response

    async def _answer(
        self, generation: Generation, writer: _Responses, prompt: Prompt
    ) -> AsyncIterator[GenerateResponse]:
        while True:
            event = await generation.next_event()
            if isinstance(event, Interrupt):
                await generation.stop()
                yield writer.interrupted(event)
                return
            if isinstance(event, End):
                yield writer.finished(event, prompt)
                return
            yield (writer.tool_call(event) if isinstance(event, ToolCall) else writer.delta(event))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts an answer or a prefill, so that prefills take no place of an answer."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def Prefill(  # noqa: N802
        self, request: PrefillRequest, context: _Context
    ) -> PrefillResponse:
        """See the proto."""
        prompt = read_prefill(request.config, self._catalogue)
        engine = self._engine
        if not isinstance(engine, PrefillingEngine) or self._busy >= self._settings.capacity:
            return PrefillResponse()
        with self._counted():
            sees = engine.describe().sees_pictures
            await engine.prefill(prompt if sees else prompt.without_pictures())
        return PrefillResponse(read=True)

    async def ListPersonas(  # noqa: N802
        self, request: ListPersonasRequest, context: _Context
    ) -> ListPersonasResponse:
        """See the proto."""
        return ListPersonasResponse(
            personas=[_persona(persona.profile) for persona in self._catalogue.personas]
        )

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: _Context
    ) -> DescribeEngineResponse:
        """See the proto."""
        engine = self._engine.describe()
        return DescribeEngineResponse(
            engine=engine.message(capacity=self._settings.capacity),
            calls_tools=engine.calls_tools,
            sees_pictures=engine.sees_pictures,
        )


class _Responses:
    """Builds the messages of one stream: numbered, each delta with its position in the answer."""

    def __init__(self, config: GenerateConfig) -> None:
        self._turn_id = config.turn_id
        self._epoch = config.epoch
        self._sequence = 0
        self._char = 0
        self._text: list[str] = []

    def started(self, prompt: Prompt) -> GenerateResponse:
        started = Started(persona=prompt.persona.profile.name, language=prompt.language)
        return GenerateResponse(header=self._header(), started=started)

    def delta(self, delta: Delta) -> GenerateResponse:
        if self._char == 0:
            trace.get_current_span().add_event("first text")
        start = self._char
        self._char += len(delta.text)
        self._text.append(delta.text)
        return GenerateResponse(
            header=self._header(), delta=TextDelta(text=delta.text, start_char=start)
        )

    def tool_call(self, call: ToolCall) -> GenerateResponse:
        sent = WireToolCall(id=call.id, name=call.name, arguments_json=call.arguments_json)
        return GenerateResponse(header=self._header(), tool_call=sent)

    def finished(self, end: End, prompt: Prompt) -> GenerateResponse:
        trace.get_current_span().set_attribute("anima.llm.answer_chars", self._char)
        sources = [
            Source(kind=_KINDS[source.kind], name=source.name, score=source.score)
            for source in end.sources or cited(prompt.memories, "".join(self._text))
        ]
        return GenerateResponse(
            header=self._header(), finished=Finished(reason=_REASONS[end.reason], sources=sources)
        )

    def interrupted(self, interrupt: Interrupt) -> GenerateResponse:
        # In the new epoch: a client that has raised its epoch drops messages of the old one.
        self._epoch = interrupt.epoch
        return GenerateResponse(
            header=self._header(), interrupted=Interrupted(epoch=interrupt.epoch)
        )

    def _header(self) -> ChunkHeader:
        self._sequence += 1
        return ChunkHeader(turn_id=self._turn_id, epoch=self._epoch, sequence=self._sequence)


def build(settings: LlmSettings) -> Stage:
    """Builds the stage from its settings.

    Raises:
        SettingsError: The engine is unknown, or no persona is usable.
    """
    catalogue = PersonaCatalogue.load(settings.personas_dir, settings.default_persona)
    return stage_of(load_engine("llm", settings.engine, settings), catalogue, settings)


def stage_of(engine: LlmEngine, catalogue: PersonaCatalogue, settings: LlmSettings) -> Stage:
    """Returns the stage for an existing engine."""
    servicer = LlmServicer(engine, catalogue, settings)
    return Stage(
        service=SERVICE,
        add_to_server=lambda server: add_LlmServiceServicer_to_server(servicer, server),
        warm_up=servicer.warm_up,
        counted_methods=frozenset({"Generate"}),
        limits={
            "Generate": StreamLimits(
                unread_s=settings.stall_timeout_s, last="config", total_s=MAX_CALL_S
            )
        },
        close=servicer.close,
        watch=watch_of(engine),
    )


def _describe_turn(prompt: Prompt) -> None:
    span = trace.get_current_span()
    span.set_attribute("anima.turn_id", prompt.turn_id)
    span.set_attribute("anima.llm.persona", prompt.persona.profile.name)
    span.set_attribute("anima.llm.language", prompt.language)
    span.set_attribute("anima.llm.memories", len(prompt.memories))


def _persona(profile: Profile) -> Persona:
    return Persona(
        name=profile.name,
        display_name=profile.display_name,
        description=profile.description,
        languages=profile.languages,
        voices=[
            PersonaVoice(
                language=language,
                voices=voice.names,
                rate_percent=voice.rate_percent,
                pitch_percent=voice.pitch_percent,
            )
            for language, voice in profile.voices.items()
        ],
        avatar=profile.avatar,
        greetings=_texts(profile.languages, profile.greetings),
        suggestions=_texts(profile.languages, profile.suggestions),
        descriptions=_texts(
            profile.languages, {tag: (text,) for tag, text in profile.descriptions.items()}
        ),
    )


def _texts(languages: Sequence[str], texts: Mapping[str, Sequence[str]]) -> list[PersonaText]:
    return [
        PersonaText(language=language, text=text)
        for language in languages
        for text in texts.get(language, ())
    ]
