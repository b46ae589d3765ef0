"""One WebSocket connection: events in, events and media out, within its limits."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from anima.common.v1.common_pb2 import MediaChunk
from anima.gateway.v1.gateway_pb2 import ConverseResponse, PlaybackReport
from gateway.realtime.authentication import authenticate, of_caller
from gateway.realtime.client_events import (
    ClientConfig,
    audio_of,
    parse_event,
    typed_text_of,
    whole_number,
)
from gateway.realtime.conversation import Conversation, Deliver, words_of
from gateway.realtime.ending import (
    FAILED,
    RULE_BROKEN,
    TRY_LATER,
    UNAUTHORIZED,
    ConnectionEndError,
    check_size,
)
from gateway.realtime.fmp4.turn_media import Fmp4Media, PcmMedia, TurnMedia
from gateway.realtime.histories import Histories
from gateway.realtime.limits import EdgeLimits
from gateway.realtime.outgoing import ClientTooSlowError, Message, Outgoing
from gateway.realtime.pictures import taker
from gateway.realtime.server_events import Event, Translator, error_event
from gateway.realtime.visit import Visit
from gateway.session.session import Session
from gateway.session.turns.turn_maker import MAX_QUESTION_CHARS
from gateway.stages.mesh import Mesh
from gateway.webrtc.link import LiveLink, LiveMedia
from gateway.webrtc.program import Playing
from gateway.webrtc.recent import Recent
from services.runtime.errors import AnimaError, Busy, InvalidRequest, Unauthenticated
from services.runtime.identity.caller import acting_as, caller, not_yours, while_accepted
from services.runtime.identity.verifier import Verifier
from services.runtime.limits.bucket import TokenBucket
from services.runtime.limits.pace import Pace
from services.runtime.limits.rates import RATE_LIMITED
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import first_of

_CLOSE_TIMEOUT_S = 2.0
_HEARD_LATER_MS = 100
"""The buffer of network and browser for audio that was sent over WebRTC."""


class Connection:
    """A client connected by an accepted WebSocket.

    Args:
        websocket: The WebSocket, already accepted.
        mesh: The stages.
        verifier: Checks the token of the client.
        limits: The limits of the client.
        live: The state that all clients share for WebRTC.
        histories: The histories of conversations that may be resumed.
        config: The config from the URL of the WebSocket.
        place: Returns a place of the gateway; entered once the client has named its token.
    """

    def __init__(
        self,
        *,
        websocket: WebSocket,
        mesh: Mesh,
        verifier: Verifier,
        limits: EdgeLimits,
        live: LiveMedia,
        histories: Histories,
        config: ClientConfig,
        place: Callable[[Visit], AbstractContextManager[None]],
    ) -> None:
        self._place = place
        self._websocket = websocket
        self._verifier = verifier
        self._limits = limits
        self._config = config
        self._outgoing = Outgoing(
            max_bytes=limits.max_waiting_bytes, max_messages=limits.max_waiting_messages
        )
        self._allowance = TokenBucket(per_second=limits.messages_per_s, burst=limits.burst_messages)
        self._pace = Pace(per_second=limits.bytes_per_s, burst=limits.burst_bytes)
        self._conversation = Conversation(
            mesh=mesh, histories=histories, begin=self._begin, failed=self._failed
        )
        self._visit = Visit(lambda: self._conversation.open_session is not None, self._failed)
        self._compute = Compute(threads=1, name="web-media")
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._link = LiveLink(
            live=live,
            compute=self._compute,
            post=self._post,
            report=self._report_live,
            idle=self._report_idle,
            gone=self._client_is_gone,
        )
        self._fmp4_turn = ""
        self._recent = Recent()
        self._typed: list[str] = []
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append_audio,
            "input_audio_buffer.commit": self._commit_audio,
            "conversation.item.create": self._create_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
            "output_audio_buffer.clear": self._cancel_response,
            "anima.picture.append": taker(lambda: self._conversation.session(self._config)),
            "anima.playback": self._report_playback,
            "anima.authenticate": self._authenticated_already,
            "anima.webrtc.offer": self._offer,
            "anima.webrtc.candidate": self._link.candidate,
            "anima.webrtc.hang_up": self._hang_up,
            "anima.webrtc.av_offset": self._link.note_offset,
            "anima.pong": self._link.pong,
        }

    async def serve(self) -> None:
        """Serves the client until one side closes; its session is then freed at once."""
        try:
            who = await authenticate(self._websocket, self._verifier, self._limits)
            with acting_as(who), self._place(self._visit):
                self._config = of_caller(self._config)
                self._post({"type": "session.created", "session": self._config.as_event()})
                self._post(self._link.config_event())
                async with while_accepted(who):
                    await first_of(self._receive(), self._send(), self._until_broken(), name="page")
        except WebSocketDisconnect:
            pass
        except Unauthenticated as error:
            await self._close(UNAUTHORIZED, error.message)
        except ConnectionEndError as end:
            get_logger().info("page connection closed", code=end.code, reason=str(end))
            await self._close(end.code, str(end))
        finally:
            self._broken.cancel()
            await self._conversation.close()
            await self._link.close()
            self._compute.close()

    async def _receive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_timeout_s):
                    message = await self._websocket.receive()
            except TimeoutError:
                await self._conversation.close()
                continue
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            self._visit.note()
            if not self._allowance.take():
                raise ConnectionEndError(RULE_BROKEN, "too many messages a second")
            audio, text = message.get("bytes"), message.get("text")
            await self._take(audio, text)
            await self._pace.use(len(audio or text or ""))

    async def _take(self, audio: bytes | None, text: str | None) -> None:
        event: dict[str, Any] = {}
        try:
            if audio is not None:
                check_size("a binary message", len(audio), self._limits.max_audio_bytes)
                await self._hear(audio)
                return
            check_size("an event", len(text or ""), self._limits.max_event_bytes)
            event = parse_event(text or "")
            handle = self._handlers.get(event["type"])
            if handle is None:
                raise InvalidRequest(
                    f"type: {event['type'][:60]!r} is not an event of this API",
                    reason="UNKNOWN_EVENT",
                )
            await handle(event)
        except AnimaError as error:
            code, words = words_of(error)
            self._post(error_event(words, code=code, client_event_id=event.get("event_id")))

    async def _send(self) -> None:
        async for message in self._outgoing.read():
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    if isinstance(message.data, str):
                        await self._websocket.send_text(message.data)
                    else:
                        await self._websocket.send_bytes(message.data)
            except TimeoutError:
                raise ConnectionEndError(TRY_LATER, "the client reads too slowly") from None
            except (WebSocketDisconnect, RuntimeError):
                # RuntimeError: the server has closed it meanwhile, because the client broke the
                # protocol. `_receive` is told.
                return

    def _post(self, event: Event, epoch: int | None = None) -> None:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        self._put(Message(text, epoch))

    def _put(self, message: Message) -> None:
        # Not raised: many independent tasks post, and each would end separately.
        try:
            self._outgoing.put(message)
        except ClientTooSlowError:
            self._failed(ConnectionEndError(TRY_LATER, "the client reads too slowly"))

    async def _until_broken(self) -> None:
        await self._broken

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._websocket.close(code, reason[:100])
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            get_logger().debug("the client did not wait for the end of its connection")

    def _begin(self, config: ClientConfig, session: Session) -> Deliver:
        if (shown := self._link.idle_shown) is not None:
            session.idle(*shown)
        started = session.started
        rate_hz = started.sample_rate_hz
        media: TurnMedia
        if config.media == "pcm":
            media = PcmMedia(sample_rate_hz=rate_hz, output_rate_hz=config.output_rate_hz)
        else:
            media = Fmp4Media(
                audio_codec=config.audio_codecs[0], sample_rate_hz=rate_hz, video=started.video
            )
        translator = Translator(
            spoken=rate_hz > 0, input_rate_hz=config.input_rate_hz, output_rate_hz=rate_hz
        )

        async def deliver(response: ConverseResponse) -> None:
            await self._deliver(response, media, translator)

        return deliver

    async def _deliver(
        self, response: ConverseResponse, media: TurnMedia, translator: Translator
    ) -> None:
        kind = response.WhichOneof("event")
        self._link.note(response)
        if kind == "media":
            await self._deliver_media(response.media, media)
            return
        if kind == "turn_interrupted":
            media.drop()
            self._link.interrupt()
            self._outgoing.drop_before(response.turn_interrupted.header.epoch)
        elif kind == "turn_ended":
            ended = response.turn_ended
            idle_frame = ended.idle_frame if ended.HasField("idle_frame") else None
            self._link.finish(ended.header.turn_id, idle_frame)
            self._put_media(await self._compute.run(media.finish), ended.header.epoch)
        elif kind == "speech_changed":
            self._config = self._config.speaking(response.speech_changed)
        elif kind in ("turn_paused", "turn_resumed"):
            self._link.hold(kind == "turn_paused")
        for event in translator.translate(response):
            self._post(event)

    async def _deliver_media(self, chunk: MediaChunk, media: TurnMedia) -> None:
        # An answer that has started over the WebSocket stays there.
        by_webrtc = isinstance(media, Fmp4Media) and chunk.header.turn_id != self._fmp4_turn
        if by_webrtc and self._link.take(chunk):
            self._recent.add(chunk)
            return
        self._fmp4_turn = chunk.header.turn_id
        for each in (*self._recent.take(chunk.header.turn_id), chunk):
            messages = await self._compute.run(media.append, each)
            self._put_media(messages, chunk.header.epoch)

    def _put_media(self, messages: list[dict[str, Any] | bytes], epoch: int) -> None:
        for message in messages:
            if isinstance(message, bytes):
                self._put(Message(message, epoch))
            else:
                self._post(message, epoch)

    def _failed(self, error: BaseException) -> None:
        if self._broken.done():
            return
        if isinstance(error, ConnectionEndError):
            self._broken.set_exception(error)
        elif isinstance(error, AnimaError):
            code, words = words_of(error)
            self._post(error_event(words, code=code))
        else:
            get_logger().error("session failed", exc_info=error)
            self._broken.set_exception(ConnectionEndError(FAILED, words_of(error)[1]))

    async def _update(self, event: dict[str, Any]) -> None:
        config = of_caller(self._config.updated(event.get("session")))
        if config != self._config:
            # The config of an open session is fixed: the next input opens another session.
            await self._conversation.close()
            self._config = config
            await self._link.show(config)
        self._post({"type": "session.updated", "session": config.as_event()})

    async def _append_audio(self, event: dict[str, Any]) -> None:
        await self._hear(audio_of(event))

    async def _hear(self, pcm: bytes) -> None:
        self._link.listens()
        try:
            await self._conversation.audio(self._config, pcm)
        except Busy as error:
            if error.reason != RATE_LIMITED:
                raise
            # A microphone would get the same error many times a second.
            raise ConnectionEndError(TRY_LATER, error.message) from None

    async def _commit_audio(self, event: dict[str, Any]) -> None:
        await self._conversation.end_of_speech()
        self._post({"type": "input_audio_buffer.committed"})

    async def _create_item(self, event: dict[str, Any]) -> None:
        text = typed_text_of(event)
        waiting = len("\n".join([*self._typed, text]))
        if waiting > MAX_QUESTION_CHARS:
            raise InvalidRequest(
                f"item.content: {waiting} characters would wait for response.create, more than"
                f" {MAX_QUESTION_CHARS}",
                reason="QUESTION_TOO_LONG",
            )
        self._typed.append(text)
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self._post({"type": "conversation.item.added", "item": item})

    async def _create_response(self, event: dict[str, Any]) -> None:
        typed, self._typed = self._typed, []
        if typed:
            session = await self._conversation.session(self._config)
            self._link.asked()
            await session.text("\n".join(typed))

    async def _cancel_response(self, event: dict[str, Any]) -> None:
        if (session := self._conversation.open_session) is not None:
            await session.stop()

    async def _truncate_item(self, event: dict[str, Any]) -> None:
        if (session := self._conversation.open_session) is None:
            return
        turn_id = str(event.get("item_id", "")).removeprefix("item_")
        played_ms = whole_number(event, "audio_end_ms")
        samples = played_ms * session.started.sample_rate_hz // 1000
        self._conversation.playback(PlaybackReport(turn_id=turn_id[:64], played_samples=samples))

    async def _report_playback(self, event: dict[str, Any]) -> None:
        samples = whole_number(event, "played_samples")
        turn_id = str(event.get("turn_id", ""))[:64]
        self._conversation.playback(PlaybackReport(turn_id=turn_id, played_samples=samples))

    def _report_live(self, playing: Playing) -> None:
        """Reports playback over WebRTC for the page, which needs no clock for it."""
        if (session := self._conversation.open_session) is None:
            return
        later = 0 if playing.done else _HEARD_LATER_MS * session.started.sample_rate_hz // 1000
        report = PlaybackReport(
            turn_id=playing.turn_id,
            played_samples=max(0, playing.sample - later),
            underruns=playing.underruns,
            av_offset_us=self._link.take_offset_us(),
        )
        self._conversation.playback(report)

    def _report_idle(self) -> None:
        shown, session = self._link.idle_shown, self._conversation.open_session
        if shown is not None and session is not None:
            session.idle(*shown)

    async def _offer(self, event: dict[str, Any]) -> None:
        try:
            await self._link.offer(event, self._config)
        except AnimaError as error:
            self._post({"type": "anima.webrtc.refused", "reason": words_of(error)[1]})

    async def _hang_up(self, event: dict[str, Any]) -> None:
        self._link.hang_up()

    def _client_is_gone(self) -> None:
        self._failed(ConnectionEndError(TRY_LATER, "the client does not respond"))

    async def _authenticated_already(self, event: dict[str, Any]) -> None:
        """Accepts the caller's token, which may have come in a header: a page always sends one."""
        if (await self._verifier.of_token(event.get("token"))).user_id != caller().user_id:
            raise not_yours("token: this connection belongs to another user")
