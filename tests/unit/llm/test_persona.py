from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.llm.engines.retrieval.answerer import Answerer
from services.llm.engines.retrieval.matching.tuning import BY_WORDS
from services.llm.persona.catalogue import PersonaCatalogue
from services.llm.persona.documents import MAX_PASSAGE_CHARS
from services.llm.persona.persona import (
    Persona,
    PersonaError,
    check_persona,
    create_persona,
    list_personas,
    load_persona,
)
from services.llm.speech.words import count_words, pieces, sentences
from services.runtime.config.settings import SettingsError
from services.runtime.errors import NotFound
from tests.unit.llm.conftest import PERSONAS
from tests.unit.llm.talk import prompt_for


def test_a_new_persona_works_at_once(folder: Path) -> None:
    made = create_persona(folder, "my-guide")
    assert check_persona(made) == []
    persona = load_persona(made)
    assert persona.profile.display_name == "My Guide"
    reply = Answerer(persona, BY_WORDS).reply(prompt_for(persona, "who are you"))
    assert "My Guide" in reply.text
    assert [listing.name for listing in list_personas(folder)] == ["my-guide"]


@pytest.mark.parametrize("name", ["", "Two Words", "../up", "a/b", "ä", "x" * 65])
def test_a_name_that_is_no_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(PersonaError, match="name"):
        create_persona(folder, name)
    assert not folder.exists()


def test_a_persona_is_never_overwritten(folder: Path) -> None:
    create_persona(folder, "one")
    with pytest.raises(PersonaError, match="already"):
        create_persona(folder, "one")


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    return change


def write(path: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / path).write_bytes(content)

    return change


def remove(path: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / path).unlink()

    return change


CORPUS = "corpus/basics.toml"
FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (remove("persona.toml"), "persona.toml: cannot be read: No such file"),
    (write("persona.toml", b"name = "), "persona.toml: not TOML: Invalid value"),
    (write("persona.toml", b'name = "\xff"'), "persona.toml: not UTF-8: byte 8 is 0xff"),
    (edit("persona.toml", 'name = "one"', 'name = "two"'), "persona.toml: name: 'two' is not"),
    (edit("persona.toml", "max_words = 80", "max_words = 0"), "persona.toml: limits.max_words"),
    (edit("persona.toml", "[limits]", "[limit]"), "persona.toml: limit: Extra inputs"),
    (edit("persona.toml", '["en"] ', '["en", "zh"] '), "persona.toml: system.zh: missing"),
    (
        edit("persona.toml", "[greetings]", "[greetings]\nfr = ['Salut']"),
        "greetings.fr: 'fr' is not",
    ),
    (edit("persona.toml", '"espeak-en-us"]', "3]"), "persona.toml: voices.en.names.2"),
    (edit(CORPUS, "answer =", "anser ="), f"{CORPUS}: entry 1 (who-are-you): en.answer: Field"),
    (edit(CORPUS, "answer =", "anser ="), f"{CORPUS}: entry 1 (who-are-you): en.anser: Extra"),
    (edit(CORPUS, "[entry.en]", "[entry.fr]"), f"{CORPUS}: entry 1 (who-are-you): fr: neither"),
    (edit(CORPUS, '"who-are-you"', '"Who?"'), f"{CORPUS}: entry 1: id: 'Who?' is not a name"),
    (edit(CORPUS, "an AI", "an *AI*"), "en.answer: markdown cannot be spoken"),
    (edit(CORPUS, "an AI", "on https://x.org"), "en.answer: a link cannot be spoken"),
    (edit(CORPUS, "questions = [", "questions = ['', "), "en.questions.0: String should have"),
    (write(CORPUS, b"entry = 3"), f"{CORPUS}: no [[entry]]"),
    (write(CORPUS, b"[[entry]]\nid = 'a'"), f"{CORPUS}: entry 1 (a): no answer"),
    (write("documents/empty.md", b" \n"), "documents/empty.md: empty"),
    (write("documents/bad.txt", b"\xff"), "documents/bad.txt: not UTF-8"),
    (write("documents/big.md", b"a" * (1 << 20) + b"b"), "documents/big.md: must be at most"),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_fault_is_named_with_file_and_entry(
    folder: Path, change: Callable[[Path], None], fault: str
) -> None:
    made = create_persona(folder, "one")
    change(made)
    problems = check_persona(made)
    assert any(fault in problem for problem in problems), problems
    with pytest.raises(PersonaError):
        load_persona(made)


def test_all_faults_are_told_at_once(folder: Path) -> None:
    made = create_persona(folder, "one")
    entry = '[[entry]]\nid = "{}"\n[entry.en]\nquestions = ["Who are you?"]\nanswer = "Me."\n'
    (made / "corpus" / "more.toml").write_text(entry.format("other") + entry.format("who-are-you"))
    (made / "documents" / "empty.md").write_text("")
    problems = check_persona(made)
    assert len(problems) == 3
    assert any("id 'who-are-you' is already used by corpus/basics.toml" in one for one in problems)
    assert any("is also in entry who-are-you" in one for one in problems)


def test_a_broken_persona_does_not_keep_the_others_down(folder: Path) -> None:
    create_persona(folder, "good")
    broken = create_persona(folder, "broken")
    (broken / "persona.toml").write_text("?")
    catalogue = PersonaCatalogue.load(folder, "absent")
    assert [persona.profile.name for persona in catalogue.personas] == ["good"]
    with pytest.raises(SettingsError, match="broken"):
        PersonaCatalogue.load(folder, "broken")
    with pytest.raises(SettingsError, match="ANIMA_PERSONAS_DIR"):
        PersonaCatalogue.load(folder / "nothing", "good")


def test_the_default_comes_first(folder: Path) -> None:
    for name in ("a", "b", "c"):
        create_persona(folder, name)
    catalogue = PersonaCatalogue.load(folder, "b")
    assert [persona.profile.name for persona in catalogue.personas] == ["b", "a", "c"]
    assert catalogue.choose("persona", "").profile.name == "b"
    with pytest.raises(NotFound, match="known: b, a, c"):
        catalogue.choose("config.persona", "d")


def test_documents_become_plain_passages(folder: Path) -> None:
    made = create_persona(folder, "one")
    (made / "documents" / "facts.md").write_text(
        "# The *house*\n\nIt is [red](https://x.org), 3.5 m high.\nIt is **old**.\n\n"
        "- a `door`\n- a window\n\n```\ncode\n```\n\n| a | b |\n\n<!-- no -->\n"
        + "So it is. "
        * 200
    )
    passages = [one for one in load_persona(made).passages if one.document == "facts.md"]
    assert [one.text for one in passages[:3]] == [
        "It is red, 3.5 m high. It is old.",
        "a door",
        "a window",
    ]
    assert {one.heading for one in passages} == {"The house"}
    assert all(len(one.text) <= MAX_PASSAGE_CHARS for one in passages)
    assert not any("code" in one.text or "no" in one.text.split() for one in passages)


def test_the_shipped_persona_has_no_fault() -> None:
    assert check_persona(PERSONAS / "anima") == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_answers_are_made_to_be_spoken(anima: Persona, language: str) -> None:
    wordings = [entry.wordings[language] for entry in anima.entries]
    assert len(wordings) >= 70
    for wording in wordings:
        assert len(wording.questions) >= 3
        for answer in (*wording.answers, *filter(None, [wording.more])):
            assert 1 <= len(sentences(answer)) <= 3, answer
            assert count_words(answer) <= anima.profile.limits.max_words, answer
            assert "".join(pieces(answer)) == answer
