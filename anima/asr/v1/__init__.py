"""Generated from protos/anima/asr/v1 by scripts/gen_protos.py; do not edit."""

from anima.asr.v1.asr_pb2 import (
    DescribeEngineRequest,
    DescribeEngineResponse,
    EndGuess,
    EndOfSpeech,
    Endpointing,
    RecognizeConfig,
    RecognizeRequest,
    RecognizeResponse,
    SpeechResumed,
    SpeechStarted,
    Started,
    Transcript,
)
from anima.asr.v1.asr_pb2_grpc import (
    AsrServiceServicer,
    AsrServiceStub,
    add_AsrServiceServicer_to_server,
)

__all__ = [
    "AsrServiceServicer",
    "AsrServiceStub",
    "DescribeEngineRequest",
    "DescribeEngineResponse",
    "EndGuess",
    "EndOfSpeech",
    "Endpointing",
    "RecognizeConfig",
    "RecognizeRequest",
    "RecognizeResponse",
    "SpeechResumed",
    "SpeechStarted",
    "Started",
    "Transcript",
    "add_AsrServiceServicer_to_server",
]
