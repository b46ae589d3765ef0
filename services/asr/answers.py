"""Converts the events of a session to response messages."""

from anima.asr import v1 as asr
from anima.common.v1 import SampleSpan, WordMark
from services.asr import events
from services.asr.engine import Word


def to_response(event: events.SpeechEvent) -> asr.RecognizeResponse:
    """Returns the response message for an event, without its header."""
    match event:
        case events.SpeechStarted():
            started = asr.SpeechStarted(at_sample=event.at_sample)
            return asr.RecognizeResponse(speech_started=started)
        case events.Partial():
            return asr.RecognizeResponse(partial=_transcript(event.transcript))
        case events.EndGuess():
            guess = asr.EndGuess(
                at_sample=event.at_sample, transcript=_transcript(event.transcript)
            )
            return asr.RecognizeResponse(end_guess=guess)
        case events.SpeechResumed():
            resumed = asr.SpeechResumed(at_sample=event.at_sample)
            return asr.RecognizeResponse(speech_resumed=resumed)
        case events.Final():
            return asr.RecognizeResponse(final=_transcript(event.transcript))


def _transcript(transcript: events.Transcript) -> asr.Transcript:
    return asr.Transcript(
        text=transcript.text,
        words=[_word(word) for word in transcript.words],
        samples=SampleSpan(
            start_sample=transcript.start_sample, sample_count=transcript.sample_count
        ),
        confidence=transcript.confidence,
        language=transcript.language,
    )


def _word(word: Word) -> WordMark:
    return WordMark(
        text=word.text,
        samples=SampleSpan(start_sample=word.start_sample, sample_count=word.sample_count),
        confidence=word.confidence,
    )
