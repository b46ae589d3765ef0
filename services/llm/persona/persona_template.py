"""The files of a new persona."""

from __future__ import annotations

from typing import Final

_PROFILE: Final = '''\
# Who this persona is. Every key is explained in docs/personas.md;
# `anima persona check {name}` says what is wrong with the folder.
name = "{name}"                  # the name of this folder
display_name = "{display_name}"
description = "One sentence that says who {display_name} is."
languages = ["en"]               # the default first; tables below need an entry for each
avatar = "anima"                 # an avatar of the avatar service

[system]                         # for engines that write freely, such as a served model
en = """
You are {display_name}. You speak with people face to face.
Say when you do not know something.
"""

[voices]                         # voices of the speech service, the preferred one first
en = ["slt", "espeak-en-us"]

[greetings]                      # said when a conversation opens
en = ["Hello, I am {display_name}."]

[suggestions]                    # questions to start with; the corpus should answer them
en = ["Who are you?"]

[limits]
max_words = 80                   # longest answer in words (Chinese: characters)
history_messages = 40            # messages of the conversation that the engine sees
'''

_CORPUS: Final = """\
# What the persona answers. An entry has several ways to ask and one answer in each language.
# Answers are spoken: one to three short sentences, no lists, no links, no markup.

[[entry]]
id = "who-are-you"
[entry.en]
questions = ["Who are you?", "What is your name?", "Tell me about yourself."]
answer = "I am {display_name}. I am an AI, not a person."
# more = "Said when somebody asks for more."
"""

_DOCUMENT: Final = """\
# About {display_name}

Longer texts may lie here as markdown or plain text. When no entry of the corpus fits a
question, the sentences that fit best are spoken from these files.
"""


def template_files(name: str) -> dict[str, str]:
    """The files of a new persona, by path inside its folder."""
    display_name = name.replace("_", " ").replace("-", " ").title()
    return {
        path: text.format(name=name, display_name=display_name)
        for path, text in (
            ("persona.toml", _PROFILE),
            ("corpus/basics.toml", _CORPUS),
            ("documents/about.md", _DOCUMENT),
        )
    }
