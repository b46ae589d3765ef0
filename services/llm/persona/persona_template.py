"""The files of a new persona."""

from __future__ import annotations

from typing import Final

_PROFILE: Final = '''\
# The profile of this persona. Every key is explained in docs/personas.md;
# `anima persona check {name}` reports faults in the folder.
name = "{name}"                  # the name of this folder
display_name = "{display_name}"
description = "One sentence that says who {display_name} is."
languages = ["en"]               # the default first; the tables below need an entry for each
avatar = "anima"                 # an avatar of the avatar service

[system]                         # for generative engines, such as a served model
en = """
You are {display_name}. You speak with people face to face.
Say when you do not know something.
"""

[voices]                         # voices of the TTS service, the preferred one first
en = ["kokoro-af_heart", "slt", "espeak-en-us"]

[greetings]                      # spoken when a conversation starts
en = ["Hello, I am {display_name}."]

[suggestions]                    # suggested first questions; the corpus should answer them
en = ["Who are you?"]

[limits]
max_words = 80                   # maximum length of an answer in words (Chinese: characters)
history_messages = 40            # messages of the conversation that the engine sees
'''

_CORPUS: Final = """\
# The answers of the persona. An entry has several questions and one answer per language.
# Answers are spoken: one to three short sentences, no lists, no links, no markup.

[[entry]]
id = "who-are-you"
[entry.en]
questions = ["Who are you?", "What is your name?", "Tell me about yourself."]
answer = "I am {display_name}. I am an AI, not a person."
# more = "The answer if somebody asks for more."
"""

_DOCUMENT: Final = """\
# About {display_name}

Longer texts can be placed here as Markdown or plain text. When no entry of the corpus matches a
question, the best matching sentences of these files are spoken.
"""


def template_files(name: str) -> dict[str, str]:
    """Returns the files of a new persona by their path inside its folder."""
    display_name = name.replace("_", " ").replace("-", " ").title()
    return {
        path: text.format(name=name, display_name=display_name)
        for path, text in (
            ("persona.toml", _PROFILE),
            ("corpus/basics.toml", _CORPUS),
            ("documents/about.md", _DOCUMENT),
        )
    }
