"""The engine `funasr` with a server that has FunASR's protocol."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from services.asr.engine import DecoderConfig, Hypothesis
from services.asr.engines.funasr import FunasrEngine
from services.asr.engines.funasr.decoder import FunasrDecoder
from services.asr.events import Partial
from services.asr.recogniser import Recogniser
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, Unavailable
from tests.speech import go_forward, with_silence
from tests.unit.asr.hearing import finals, hear
from tests.unit.asr_funasr.scripted_server import ScriptedServer, scripted

SECOND = 16_000


def settings(url: str, **options: object) -> AsrSettings:
    given = {f"funasr_{name}": str(value) for name, value in options.items()}
    return AsrSettings.model_validate(
        {"engine": "funasr", "capacity": 2, "options": {"funasr_url": url, **given}}
    )


@asynccontextmanager
async def opened(script: ScriptedServer, **options: object) -> AsyncIterator[FunasrEngine]:
    async with scripted(script):
        engine = FunasrEngine(settings(script.url, **options))
        await engine.open()
        try:
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def decoding(script: ScriptedServer, **options: object) -> AsyncIterator[FunasrDecoder]:
    async with opened(script, **options) as engine:
        decoder = await engine.open_decoder(
            DecoderConfig(language="zh", phrase_hints=("达摩院", "Anima"))
        )
        yield decoder
        decoder.close()


def speech(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-9_000, 9_000, round(seconds * SECOND), np.int16)


async def until_heard(decoder: FunasrDecoder, text: str) -> None:
    """Waits until the answers so far have arrived."""
    while (await decoder.feed(speech(0))).text != text:  # noqa: ASYNC110 (answers come unasked)
        await asyncio.sleep(0)


async def test_the_text_grows_and_is_replaced_by_a_better_one() -> None:
    script = ScriptedServer(pieces=("欢迎", "大家"), better="欢迎大家。")
    async with decoding(script) as decoder:
        first, second = speech(0.65), speech(0.6)
        await decoder.feed(first)
        await until_heard(decoder, "欢迎")
        await decoder.feed(second)
        await until_heard(decoder, "欢迎大家")
        assert await decoder.end() == Hypothesis(text="欢迎大家。")
    assert script.audio[1] == np.concatenate([first, second]).tobytes()


async def test_the_server_is_told_the_rate_the_mode_and_the_likely_words() -> None:
    script = ScriptedServer()
    async with decoding(script, itn=False) as decoder:
        await decoder.feed(speech(0.1))
        await decoder.end()
    config = script.configs[1]
    assert (config["mode"], config["audio_fs"], config["is_speaking"]) == ("2pass", 16_000, True)
    assert config["itn"] is False
    assert json.loads(config["hotwords"]) == {"达摩院": 20, "Anima": 20}


async def test_words_of_the_server_are_separated_as_their_script_wants() -> None:
    script = ScriptedServer(pieces=("go", " forward", "ten"), better="go forward, ten 米")
    async with decoding(script) as decoder:
        await decoder.feed(speech(1.9))
        await until_heard(decoder, "go forward ten")
        assert (await decoder.end()).text == "go forward, ten 米"


async def test_a_complete_segment_is_not_sent_again() -> None:
    script = ScriptedServer()
    async with decoding(script) as decoder:
        await decoder.feed(speech(1.0))
        ended = await decoder.end()
        assert await decoder.decode(speech(1.0), partial=False) == ended
        assert len(script.configs) == 2
        assert await decoder.decode(speech(0.5), partial=False) == ended
        assert len(script.configs) == 3


async def test_tags_of_sensevoice_name_the_language() -> None:
    script = ScriptedServer(better="<|en|><|NEUTRAL|><|Speech|><|woitn|>go forward")
    async with decoding(script) as decoder:
        await decoder.feed(speech(0.5))
        assert await decoder.end() == Hypothesis(text="go forward", language="en")


async def test_nothing_understood_is_no_text() -> None:
    async with decoding(ScriptedServer(better=None), answer_timeout_s=0.05) as decoder:
        await decoder.feed(speech(0.5))
        assert await decoder.end() == Hypothesis()


async def test_a_closed_connection_is_an_error() -> None:
    async with decoding(ScriptedServer(closes=True)) as decoder:
        await decoder.feed(speech(0.5))
        with pytest.raises(Unavailable, match="the FunASR server at ws"):
            await decoder.end()


async def test_an_abandoned_segment_leaves_no_connection() -> None:
    script = ScriptedServer()
    async with decoding(script) as decoder:
        await script.left.wait()  # that of the start
        script.left.clear()
        await decoder.feed(speech(0.5))
        assert script.open == 1
        decoder.abandon()
        await script.left.wait()
        assert script.open == 0
        assert await decoder.end() == Hypothesis()


async def test_garbage_is_no_text() -> None:
    script = ScriptedServer(better="x" * 100_000)
    async with decoding(script) as decoder:
        await decoder.feed(speech(0.1))
        assert len((await decoder.end()).text) == 16 * 1024


async def test_no_more_streams_than_its_capacity() -> None:
    async with opened(ScriptedServer()) as engine:
        config = DecoderConfig(language="zh")
        first, second = [await engine.open_decoder(config) for _ in range(2)]
        with pytest.raises(Busy, match="2 decoders"):
            await engine.open_decoder(config)
        first.close()
        (await engine.open_decoder(config)).close()
        second.close()


async def test_the_whole_service_hears_a_recording() -> None:
    script = ScriptedServer(pieces=("go", "forward"), better="go forward ten meters")
    async with opened(script, languages="en|zh") as engine:
        recogniser = Recogniser(engine, settings(script.url))
        assert engine.describe().languages == ("en", "zh")
        events = await hear(recogniser, with_silence(go_forward().samples, before_ms=300))
        (final,) = finals(events)
    assert final.transcript.text == "go forward ten meters"
    assert any(isinstance(event, Partial) for event in events)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "ANIMA_ASR_FUNASR_URL"),
        ({"url": "http://127.0.0.1:1"}, "ANIMA_ASR_FUNASR_URL"),
        ({"url": "ws://127.0.0.1:1", "languages": ""}, "ANIMA_ASR_FUNASR_LANGUAGES"),
        ({"url": "wss://127.0.0.1:1", "ca_file": "/nowhere"}, "ANIMA_ASR_FUNASR_CA_FILE"),
    ],
)
async def test_wrong_options_are_named(options: dict[str, str], named: str) -> None:
    engine = FunasrEngine(settings(options.pop("url", ""), **options))
    with pytest.raises(SettingsError, match=named):
        await engine.open()
    await engine.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    async with scripted(ScriptedServer()) as script:
        url = script.url
    engine = FunasrEngine(settings(url))
    with pytest.raises(Unavailable, match="does not answer"):
        await engine.open()
    await engine.close()


async def test_a_certificate_of_the_operator_is_checked(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(_self_signed(certificate))
    async with scripted(ScriptedServer(), tls) as script:
        trusting = FunasrEngine(settings(script.url, ca_file=certificate))
        await trusting.open()
        await trusting.close()
        strict = FunasrEngine(settings(script.url))
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await strict.open()
        await strict.close()


def _self_signed(path: Path) -> Path:
    """Writes a key and its certificate for loopback, as FunASR's images bring one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(pem, private, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path
