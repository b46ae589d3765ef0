"""The engine `whisper`: speech of a hundred languages, by Whisper in CTranslate2."""

from services.asr.engines.whisper.engine import WhisperEngine as WhisperEngine
