"""Recorded speech from a loudspeaker is removed; recorded speech of a person is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.listening.echo.canceller import EchoCanceller
from gateway.listening.echo.reference import PlayedAudio
from services.runtime.process.compute import Compute
from testing.speech.room import Room, as_pcm
from testing.virtual_time import in_virtual_time
from tests.speech import card_commands, read_novel

RATE: Final = 16_000
STEP_S: Final = 0.02
LEAD_S: Final = 0.3
START_S: Final = 1.0
PERSON_S: Final = 6.0


class SameThread(Compute):
    """Computes at once: no time passes in a thread of a test in virtual time."""

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


def level_db(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-9))


class Heard:
    """What the microphone heard, and what is left of it.

    Attributes:
        raw: The samples that the microphone heard.
        clean: The samples that are left.
    """

    def __init__(self) -> None:
        self.raw = np.zeros(0)
        self.clean = np.zeros(0)

    def reduced_db(self, from_s: float, to_s: float) -> float:
        """Returns by how much the level is lower."""
        part = slice(round(from_s * RATE), round(to_s * RATE))
        return level_db(self.raw[part]) - level_db(self.clean[part])


def hear(
    *,
    delay_s: float,
    echo_db: float,
    person: bool = False,
    piece: int = 320,
    stalls: Callable[[float], float] = lambda now_s: 0.0,
) -> Heard:
    """Plays a novel from a loudspeaker for 11 s.

    Args:
        delay_s: The way of the echo.
        echo_db: Its level beside the answer.
        person: Whether a person speaks after 6 s.
        piece: The samples of a message.
        stalls: How late the microphone audio of a time is sent, seconds.
    """
    novel = np.concatenate([each.samples for each in read_novel()])[: 11 * RATE].astype(float)
    voice = np.concatenate([each.samples for each in card_commands()])[: 2 * RATE]

    async def main() -> Heard:
        loop, compute = asyncio.get_running_loop(), SameThread(threads=1, name="echo")
        played = PlayedAudio(RATE)
        canceller = EchoCanceller(played, sample_rate_hz=RATE, compute=compute)
        room = Room(rate_hz=RATE, delay_s=delay_s, level_db=echo_db)
        heard, raw, clean = Heard(), [], []
        at_s = loop.time()

        async def send() -> None:
            await asyncio.sleep(START_S)
            sent = 0
            while sent < len(novel):
                due = round((loop.time() - at_s - START_S + LEAD_S) * RATE)
                played.play(as_pcm(novel[sent:due]), loop.time())
                sent = due
                await asyncio.sleep(STEP_S)

        sending = asyncio.create_task(send())
        for start in range(0, 12 * RATE, piece):
            now_s = start / RATE
            await asyncio.sleep(max(0.0, at_s + now_s + stalls(now_s) - loop.time()))
            first = start - round(START_S * RATE)
            loud = np.zeros(piece)
            if first >= 0:
                part = novel[first : first + piece]
                loud[: len(part)] = part
            sound = room.hear(loud)
            said = voice[max(0, start - round(PERSON_S * RATE)) :][:piece]
            if person and start >= PERSON_S * RATE:
                sound[: len(said)] += said
            raw.append(np.frombuffer(as_pcm(sound), "<i2"))
            clean.append(np.frombuffer(await canceller.clean(as_pcm(sound)), "<i2"))
        clean.append(np.frombuffer(canceller.flush(), "<i2"))
        await sending
        heard.raw = np.concatenate(raw).astype(float)
        heard.clean = np.concatenate(clean).astype(float)
        compute.close()
        return heard

    run: Coroutine[Any, Any, Heard] = main()
    found: Heard = in_virtual_time(lambda: run)
    return found


@pytest.mark.parametrize("delay_s", [0.03, 0.12, 0.3, 0.42])
def test_echo_is_removed_from_the_first_second_on(delay_s: float) -> None:
    heard = hear(delay_s=delay_s, echo_db=-10)
    assert len(heard.clean) == len(heard.raw)
    assert heard.reduced_db(START_S + 0.5, START_S + 1.5) > 20
    assert heard.reduced_db(4, 11) > 30


@pytest.mark.parametrize("echo_db", [-10, -20, -30])
def test_a_person_is_heard_through_the_echo(echo_db: float) -> None:
    heard = hear(delay_s=0.12, echo_db=echo_db, person=True)
    assert abs(heard.reduced_db(PERSON_S, PERSON_S + 2)) < 3
    assert heard.reduced_db(9, 11) > 10


@pytest.mark.parametrize("delay_s", [0.6, 1.2, 2.0])
def test_a_long_delay_is_found(delay_s: float) -> None:
    heard = hear(delay_s=delay_s, echo_db=-10)
    assert heard.reduced_db(5, 11) > 20


def test_pieces_of_any_length_are_taken() -> None:
    heard = hear(delay_s=0.12, echo_db=-10, piece=137)
    assert len(heard.clean) == len(heard.raw)
    assert heard.reduced_db(4, 11) > 30


def test_a_client_that_stalls_changes_nothing() -> None:
    def stalls(now_s: float) -> float:
        """Nothing is sent for 0.8 s every 3 s, then all at once."""
        return max(0.0, 0.8 - now_s % 3)

    heard = hear(delay_s=0.12, echo_db=-10, stalls=stalls)
    for second in range(4, 11):
        assert heard.reduced_db(second, second + 1) > 25


def test_a_microphone_that_was_off_is_followed() -> None:
    heard = hear(delay_s=0.12, echo_db=-10, stalls=lambda now_s: 0.7 if now_s > 4 else 0.0)
    assert heard.reduced_db(8, 11) > 20


@pytest.mark.parametrize("speaks_s", [1.2, 2.0, 6.0])
def test_a_person_without_echo_is_not_changed_at_all(
    monkeypatch: pytest.MonkeyPatch, speaks_s: float
) -> None:
    monkeypatch.setattr("tests.unit.gateway_echo.test_canceller.PERSON_S", speaks_s)
    heard = hear(delay_s=0.12, echo_db=-200, person=True)
    assert (heard.clean == heard.raw).all()


def test_audio_is_unchanged_while_nothing_is_played() -> None:
    heard = hear(delay_s=0.12, echo_db=-10)
    silent = round((START_S - 0.05) * RATE)
    assert (heard.clean[:silent] == heard.raw[:silent]).all()


def test_a_rate_that_is_too_low_is_passed_on() -> None:
    async def main() -> bytes:
        played = PlayedAudio(RATE)
        played.play(bytes(3200), asyncio.get_running_loop().time())
        compute = SameThread(threads=1, name="echo")
        canceller = EchoCanceller(played, sample_rate_hz=4_000, compute=compute)
        compute.close()
        return await canceller.clean(b"\1\0" * 100)

    assert in_virtual_time(main) == b"\1\0" * 100
