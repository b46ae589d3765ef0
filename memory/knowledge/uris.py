"""The sources of documents, without what must not be stored or shown."""

import re
from typing import Final

_USER_INFO: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")


def without_user_info(uri: str) -> str:
    """Returns a URI without user name and password; `https://name:secret@host/` has both."""
    return _USER_INFO.sub(r"\1", uri)
