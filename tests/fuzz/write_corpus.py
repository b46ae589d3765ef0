"""Writes the files of `corpus/`: small samples of each format that a decoder here reads.

python -m tests.fuzz.write_corpus
"""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np

CORPUS: Final = Path(__file__).parent / "corpus"
_RATE_HZ: Final = 16_000
_OPUS_RATE_HZ: Final = 48_000
_RECORDINGS: Final = {
    "wav": ("wav", "pcm_s16le", _RATE_HZ),
    "flac": ("flac", "flac", _RATE_HZ),
    "mp3": ("mp3", "libmp3lame", _RATE_HZ),
    "ogg": ("ogg", "libopus", _OPUS_RATE_HZ),
    "webm": ("webm", "libopus", _OPUS_RATE_HZ),
    "m4a": ("ipod", "aac", _RATE_HZ),
}
_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006"


def recording(container: str, codec: str, rate_hz: int) -> bytes:
    """Returns a tenth of a second of a tone."""
    times = np.arange(rate_hz // 10) / rate_hz
    samples = (8_000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), 0
        resampler = av.AudioResampler(stream.format, "mono", rate_hz)
        for each in resampler.resample(frame):
            output.mux(stream.encode(each))
        output.mux(stream.encode(None))
    return file.getvalue()


def photo(extension: str) -> bytes:
    """Returns a picture of 48 x 48 pixels with a gradient."""
    row = np.tile(np.linspace(0, 255, 48, dtype=np.uint8), (48, 1))
    picture = np.dstack([row, row.T, row[::-1]])
    _, encoded = cv2.imencode(extension, picture)
    return encoded.tobytes()


def docx() -> bytes:
    """Returns a Word file with one sentence."""
    text = "The office opens at nine."
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
            'PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.document.main+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{_OFFICE}/relationships/officeDocument" Target="word/document.xml"/>'
            "</Relationships>"
        ),
        "word/document.xml": (
            f'<w:document xmlns:w="{_WORD}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>'
            "</w:body></w:document>"
        ),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)  # without the time, so that the bytes are the same
            package.writestr(entry, f'<?xml version="1.0"?>{content}', zipfile.ZIP_DEFLATED)
    return file.getvalue()


def pdf() -> bytes:
    """Returns a PDF with one page and one sentence."""
    text = b"BT /F 12 Tf (The office opens at nine) Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R"
        b" /Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (6, start)
    return bytes(made)


def samples() -> dict[str, bytes]:
    """Returns the content of each file by its name."""
    made = {f"tone.{name}": recording(*how) for name, how in _RECORDINGS.items()}
    made |= {f"photo{each}": photo(each) for each in (".png", ".jpg", ".webp")}
    made |= {
        "notes.docx": docx(),
        "notes.pdf": pdf(),
        "notes.html": b"<html><title>t</title><main><h1>A</h1><p>It opens at <b>nine</b>.</main>",
        "notes.md": b"# Hours\n\n- *Monday*: nine\n\n| a | b |\n|---|---|\n| `c` | [d](e) |\n",
        "notes.txt": "The office opens at nine, caf\u00e9.\n".encode("utf-16"),
    }
    return made


def main() -> None:
    """Writes all files."""
    CORPUS.mkdir(exist_ok=True)
    for name, content in samples().items():
        (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
