"""The mouth as a viewer sees it, found by the face mesh in the frames of the encoded video."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from numpy.typing import NDArray

from bench.faces.marked_speech import MarkedSpeech
from services.avatar.drawing import DrawnStream
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.engines.painted import PaintedFaces
from services.avatar.photo.geometry import measure
from services.avatar.photo.networks import FaceNetworks
from services.avatar.settings import AvatarSettings
from services.avatar.turn import Turn
from services.avatar.video.clock import FrameClock
from services.avatar.video.x264 import X264Encoder
from services.runtime.process.compute import Compute


async def film(
    engine: PaintedFaces, avatar: str, speech: MarkedSpeech, video: VideoSpec
) -> list[BgrImage]:
    """Returns the frames of a turn, drawn by its marks, encoded and decoded."""
    face = engine.open_stream(
        avatar=avatar,
        video=video,
        sample_rate_hz=speech.sample_rate_hz,
        turn_id="film",
        idle_frame=0,
    )
    compute = Compute(threads=1, name="film")
    clock = FrameClock(sample_rate_hz=speech.sample_rate_hz, frame_rate_hz=video.frame_rate_hz)
    encoder = X264Encoder(video, preset=AvatarSettings().encoder_preset)
    turn = Turn(DrawnStream(face, compute), encoder, clock, compute)
    turn.add_visemes(speech.spans)
    turn.add_audio(speech.audio, 1)
    turn.end()
    coded = []
    while count := turn.ready_frames():
        coded += [frame.data for frame in (await turn.render(count)).frames]
    compute.close()
    decoder = av.CodecContext.create("h264", "r")
    packets = [av.Packet(data) for data in coded]
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames]


def seen_mouths(networks: FaceNetworks, pictures: Sequence[BgrImage]) -> NDArray[np.float64]:
    """Returns opening and half width of the mouth in face heights, shape (frames, 2)."""
    found = networks.find(pictures[0])[0]
    faces = [measure(networks.locate(picture, found).points) for picture in pictures]
    return np.array([[face.gap, face.half_mouth] for face in faces])
