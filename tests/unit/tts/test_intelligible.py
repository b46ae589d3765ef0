"""A recogniser understands what flite says; eSpeak's voice it does not understand."""

from __future__ import annotations

import pytest
from pocketsphinx import Decoder, get_model_path

from services.tts.engines.flite import FliteEngine
from tests.figures import report
from tests.unit.tts.speaking import utter

SENTENCES = ["The weather is very nice this morning.", "Please tell me what time it is."]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    model = get_model_path("en-us")
    return Decoder(
        hmm=f"{model}/en-us",
        lm=f"{model}/en-us.lm.bin",
        dict=f"{model}/cmudict-en-us.dict",
        loglevel="FATAL",
    )


@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_most_words_are_understood(flite: FliteEngine, decoder: Decoder, voice: str) -> None:
    expected = found = 0
    for sentence in SENTENCES:
        decoder.start_utt()
        decoder.process_raw(utter(flite, voice, sentence).samples.tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        heard = hypothesis.hypstr.split() if hypothesis else []
        words = [word.strip(",.?").lower() for word in sentence.split()]
        expected += len(words)
        found += sum(word in heard for word in words)
    report(f"{voice}: {found} of {expected} words understood")
    assert found >= 0.8 * expected
