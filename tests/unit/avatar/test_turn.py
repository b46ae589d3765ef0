import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from services.avatar.drawing import DrawnStream
from services.avatar.engine import Frame, FrameWindow, HostFrame, VideoSpec
from services.avatar.engines.painted import PaintedFaces
from services.avatar.engines.testcard import Testcard, TestcardEngine, TestcardOptions
from services.avatar.settings import AvatarSettings
from services.avatar.turn import RenderedChunk, Turn
from services.avatar.video.clock import FrameClock
from services.avatar.video.x264 import X264Encoder
from services.runtime.config.settings import SettingsError
from services.runtime.process.compute import Compute
from tests.unit.avatar.speech import AA, RATE, spans, vowel
from tests.unit.avatar.video import decode

VIDEO = VideoSpec(width_px=64, height_px=64, frame_rate_hz=25)
FRAME = RATE // 25


@pytest.fixture
def compute() -> Iterator[Compute]:
    compute = Compute(threads=1, name="test")
    yield compute
    compute.close()


@pytest.fixture
def turn(painted: PaintedFaces, compute: Compute) -> Turn:
    face = painted.open_stream(
        avatar="anima", video=VIDEO, sample_rate_hz=RATE, turn_id="t", idle_frame=0
    )
    return Turn(
        DrawnStream(face, compute),
        X264Encoder(VIDEO, preset="superfast"),
        FrameClock(sample_rate_hz=RATE, frame_rate_hz=25),
        compute,
    )


async def drain(turn: Turn) -> list[RenderedChunk]:
    chunks = []
    while count := turn.ready_frames():
        chunks.append(await turn.render(count))
    return chunks


def audio_of(chunks: list[RenderedChunk]) -> NDArray[np.int16]:
    return np.concatenate([chunk.samples for chunk in chunks])


async def test_marks_before_the_audio_cost_no_time(turn: Turn) -> None:
    turn.add_visemes(spans((AA, 1.0)))
    turn.add_audio(vowel(0.04), 1)
    (chunk,) = await drain(turn)
    assert (len(chunk.frames), len(chunk.samples)) == (1, FRAME)
    turn.add_audio(vowel(0.08), 1)
    (chunk,) = await drain(turn)
    assert chunk.frame_samples == [FRAME, 2 * FRAME]


def test_without_marks_a_frame_waits_for_its_look_ahead_and_no_longer(turn: Turn) -> None:
    turn.add_audio(vowel(0.09), 1)
    assert turn.ready_frames() == 0
    turn.add_audio(vowel(0.01), 1)
    assert turn.ready_frames() == 1


async def test_a_flush_renders_every_whole_frame(turn: Turn) -> None:
    turn.add_audio(vowel(0.15), 1)
    turn.flush()
    chunks = await drain(turn)
    assert [len(chunk.frames) for chunk in chunks] == [1, 2]
    turn.add_audio(vowel(0.05), 1)
    turn.flush()
    assert [len(chunk.frames) for chunk in await drain(turn)] == [2]


@pytest.mark.parametrize("samples", [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME + 17])
async def test_the_end_fills_up_to_a_whole_frame_with_silence(turn: Turn, samples: int) -> None:
    audio = vowel(1)[:samples]
    turn.add_audio(audio, 1)
    turn.end()
    chunks = await drain(turn)
    frames = -(-samples // FRAME)
    assert turn.frame_count == frames
    assert turn.sample_count == frames * FRAME
    if frames:
        heard = audio_of(chunks)
        assert np.array_equal(heard[:samples], audio)
        assert not heard[samples:].any()


async def test_a_chunk_carries_the_clause_of_its_first_sample(turn: Turn) -> None:
    for segment in (1, 2, 3):
        turn.add_audio(vowel(0.2), segment)
    turn.end()
    expected = {0: 1, FRAME: 1, 3 * FRAME: 1, 5 * FRAME: 2, 7 * FRAME: 2, 9 * FRAME: 2}
    got = {chunk.start_sample: chunk.segment for chunk in await drain(turn)}
    assert expected.items() <= got.items()
    assert set(got.values()) == {1, 2, 3}


async def test_the_real_time_factor_is_rendering_over_playing_time(turn: Turn) -> None:
    assert turn.real_time_factor == 0
    turn.add_audio(vowel(1), 1)
    turn.end()
    await drain(turn)
    assert 0 < turn.real_time_factor == pytest.approx(turn.render_s / 1.0)


@pytest.mark.parametrize(("rate", "fps"), [(16_000, 25), (44_100, 30), (8_000, 60)])
async def test_the_test_card_flashes_in_the_very_frame_of_the_click(
    compute: Compute, rate: int, fps: int
) -> None:
    video = VideoSpec(width_px=64, height_px=64, frame_rate_hz=fps)
    clock = FrameClock(sample_rate_hz=rate, frame_rate_hz=fps)
    face = Testcard(TestcardOptions()).open_stream(
        avatar="testcard", video=video, sample_rate_hz=rate, turn_id="t", idle_frame=0
    )
    encoder = X264Encoder(video, preset="superfast")
    turn = Turn(DrawnStream(face, compute), encoder, clock, compute)
    audio = np.zeros(rate, np.int16)
    clicks = [clock.sample_of(3), clock.sample_of(9) - 1, rate - 1]
    audio[clicks] = (20_000, -32_768, 16_001)
    turn.add_audio(audio, 1)
    turn.end()
    pictures = decode(frame.data for chunk in await drain(turn) for frame in chunk.frames)
    white = [index for index, picture in enumerate(pictures) if picture.mean() > 128]
    assert white == [3, 8, fps - 1]


def test_the_click_level_can_be_set_and_is_checked() -> None:
    settings = AvatarSettings(options={"click_level": "100"})
    face = Testcard(TestcardOptions.read(settings)).open_stream(
        avatar="testcard", video=VIDEO, sample_rate_hz=RATE, turn_id="t", idle_frame=0
    )
    face.add_audio(np.full(FRAME, 101, np.int16))
    assert face.draw_next().min() == 255
    with pytest.raises(SettingsError, match="ANIMA_AVATAR_CLICK_LEVEL"):
        TestcardEngine(AvatarSettings(options={"click_level": "loud"}))


async def test_speech_may_be_added_while_frames_are_drawn() -> None:
    face = SlowFace()
    turn = Turn(
        face,
        X264Encoder(VIDEO, preset="ultrafast"),
        FrameClock(sample_rate_hz=RATE, frame_rate_hz=25),
        face.compute,
    )
    turn.add_audio(vowel(0.04), 1)
    drawing = asyncio.ensure_future(turn.render(1))
    first = await face.asked.get()
    turn.add_audio(vowel(0.08), 2)
    turn.add_visemes(spans((AA, 0.1)))
    turn.end()
    face.proceed.set()
    await drawing
    chunk = await turn.render(2)
    second = await face.asked.get()
    assert (len(first.samples), first.visemes, first.ended) == (FRAME, [], False)
    assert (len(second.samples), len(second.visemes), second.ended) == (2 * FRAME, 1, True)
    assert (chunk.segment, len(chunk.samples)) == (2, 2 * FRAME)
    turn.close()
    assert face.closed
    face.compute.close()


class SlowFace:
    """A `FaceStream` whose first window waits for `proceed`."""

    look_ahead_samples = 0
    follows_visemes = True

    def __init__(self) -> None:
        self.asked: asyncio.Queue[FrameWindow] = asyncio.Queue()
        self.proceed = asyncio.Event()
        self.compute = Compute(threads=1, name="test")
        self.closed = False

    async def frames(self, window: FrameWindow) -> Sequence[Frame]:
        self.asked.put_nowait(window)
        await self.proceed.wait()
        return [HostFrame(np.zeros((64, 64, 3), np.uint8)) for _ in range(window.frame_count)]

    def idle_frame(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True
