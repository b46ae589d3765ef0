"""Reads one document: the request on stdin, the passages as JSON on stdout.

It is a separate process, so that a document that takes too long or too much memory ends only this
process.
"""

import json
import os
import resource
import sys
from typing import Any, Final

from memory.knowledge.reading import forms, splitting
from memory.knowledge.reading.blocks import UnreadableError, clean

_MAX_MEMORY_BYTES: Final = 2 * 1024**3
_NICENESS: Final = 10


def main() -> None:
    """Reads the line that describes the document, then its bytes, and writes its content."""
    request = json.loads(sys.stdin.buffer.readline())
    os.nice(_NICENESS)  # speech has priority
    resource.setrlimit(resource.RLIMIT_CPU, (request["max_cpu_s"],) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = _read(request)
    except UnreadableError as error:
        answer = {"fault": str(error)}
    except MemoryError:
        answer = {"fault": "it takes too much memory to read: split it"}
    except RecursionError:
        answer = {"fault": "it is nested too deeply"}
    sys.stdout.write(json.dumps(answer, ensure_ascii=True))


def _read(request: dict[str, Any]) -> dict[str, Any]:
    content = sys.stdin.buffer.read()
    reading = forms.read(request["file_name"], content)
    by = splitting.splitter(request["tokenizer"])
    passages = splitting.cut(reading.blocks, by)
    return {
        "title": clean(reading.title),
        "media_type": forms.form_of(request["file_name"]).media_type,
        "page_count": reading.page_count,
        "passages": [[one.text, one.heading, one.page] for one in passages],
    }


if __name__ == "__main__":
    main()
