"""The rules at the head of `config/source.py`, with the parser in C and with the one in Python."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.config import ConfigError, Mistake, Source, load, parse, read, source
from rookery.config.source import DEEPEST, LARGEST, Scalar


@pytest.fixture(params=["C", "Python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)


def parsed(text: str | bytes) -> Source:
    return parse(text, name="node.yaml", folder=Path("/etc"))


def mistakes(text: str) -> list[str]:
    return [str(mistake) for mistake in parsed(text).mistakes]


def refusal(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as raised:
        parsed(text)
    return str(raised.value)


def test_source_keeps_each_scalar_as_the_text_that_was_written() -> None:
    assert parsed("[NO, on, 12:30:45, 012, 1.10, 2026-11-21, 1_000, ~, 'null', \"5\"]").tree == [
        *(Scalar(plain) for plain in ("NO", "on", "12:30:45", "012", "1.10", "2026-11-21", "1_000", "~")),
        Scalar("null", quoted=True),
        Scalar("5", quoted=True),
    ]


def test_source_keeps_each_key_as_the_text_that_was_written() -> None:
    digits = "1" * 64
    tree = parsed(f"no: a\n012: b\n{digits}: c\nnull: d\n").tree
    assert isinstance(tree, dict)
    assert list(tree) == ["no", "012", digits, "null"]


def test_source_knows_line_and_column_of_every_key_and_item() -> None:
    found = parsed("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    assert {path: found.position(path) for path in found.positions} == {
        ("a",): (1, 1),
        ("a", "b"): (2, 3),
        ("a", "c"): (3, 3),
        ("a", "c", 0): (4, 7),
        ("a", "c", 1): (5, 7),
        ("a", "c", 1, "d"): (5, 8),
    }


def test_source_position_of_what_is_absent_is_that_of_what_should_hold_it() -> None:
    found = parsed("x: 1\na:\n  b: 1\n")
    assert (found.position(("a", "nothing", 3)), found.position(("nothing",))) == ((2, 1), (1, 1))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff"])
def test_source_that_is_empty_is_an_empty_section(text: str) -> None:
    assert parsed(text).tree == {}


def test_duplicate_key_is_a_mistake_and_the_first_value_stays() -> None:
    found = parsed("a: 1\nb:\n  c: 1\n  c: [2]\na: 3\n")
    assert [str(mistake) for mistake in found.mistakes] == [
        "node.yaml:4: b.c: is written twice, first in line 3 (allowed: each key once)",
        "node.yaml:5: a: is written twice, first in line 1 (allowed: each key once)",
    ]
    assert found.tree == {"a": Scalar("1"), "b": {"c": Scalar("1")}}


def test_alias_is_a_mistake_so_nothing_can_grow_beyond_the_text() -> None:
    text = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert mistakes(text)[0] == "node.yaml:2: b[0]: *a is an alias (allowed: the value itself, written out)"
    assert len(mistakes(text)) == 4


def test_tag_is_a_mistake_and_constructs_nothing() -> None:
    assert mistakes("a: !!python/object/apply:os.abort []\nb: !!int 5\nc: !own {x: 1}\n") == [
        "node.yaml:1: a: !!python/object/apply:os.abort is a tag (allowed: values without tags)",
        "node.yaml:2: b: !!int is a tag (allowed: values without tags)",
        "node.yaml:3: c: !own is a tag (allowed: values without tags)",
    ]


def test_key_that_is_no_text_is_a_mistake_and_reading_goes_on() -> None:
    found = parsed("? [a, b]\n: 1\n? {c: d}\n: 2\n?\n: 3\ne: 4\n")
    assert [str(mistake) for mistake in found.mistakes] == [
        f"node.yaml:{line}: a key is not a text (allowed: keys that are texts)" for line in (1, 3, 5)
    ]
    assert found.tree == {"e": Scalar("4")}


def test_yaml_that_does_not_parse_is_refused_with_its_line() -> None:
    assert refusal("a: 1\nb: c: d\n").startswith(
        "node.yaml:2: not valid YAML at column 5: mapping values are not allowed"
    )


def test_yaml_that_does_not_close_a_bracket_is_refused_with_the_line_of_the_bracket() -> None:
    assert "while parsing a flow sequence that starts in line 2" in refusal("a: 1\nb: [1,\nc: 2\n")


def test_yaml_indented_with_a_tab_says_so() -> None:
    assert refusal("a:\n\t- b\n") == "node.yaml:2: not valid YAML at column 1: a tab where YAML wants spaces"


def test_yaml_with_a_control_character_is_refused_without_printing_it() -> None:
    assert refusal("a: 1\nb: \x1b[2J") == "node.yaml:2: not valid YAML: the character '\\x1b' is not allowed"


@pytest.mark.parametrize("text", [b"\xff\xfea", "a: \ud800"])
def test_text_that_is_not_utf8_is_refused(text: str | bytes) -> None:
    assert refusal(text) == "node.yaml: the file is not text in UTF-8"


@pytest.mark.parametrize("text", ['a: "\\ud800"', 'a: "\\U00110000"'])
def test_escape_that_is_no_character_is_refused(text: str) -> None:
    assert "not valid YAML" in refusal(text)


def test_second_document_is_refused() -> None:
    text = "a: 1\n---\nb: 2\n"
    assert refusal(text) == "node.yaml:2: a second document starts here (allowed: one document in a file)"


def test_nesting_is_accepted_up_to_its_bound_and_refused_beyond() -> None:
    assert parsed("[" * DEEPEST + "x" + "]" * DEEPEST).mistakes == ()
    assert refusal("[" * 5000) == "node.yaml:1: nested too deeply (allowed: at most 32 levels)"


def test_file_larger_than_its_bound_is_refused() -> None:
    assert refusal("#" * (LARGEST + 1)) == "node.yaml: the file is too large (allowed: at most 1048576 bytes)"


def test_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file or directory"):
        read(tmp_path / "absent.yaml")


def test_file_that_is_read_knows_its_name_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("a: 1\n")
    assert (read(path).name, read(path).folder, read(path).tree) == (str(path), tmp_path, {"a": Scalar("1")})


PIECES = ["a", "b", ": ", ":", "- ", "\n", "\n  ", "[", "]", "{", "}", ",", "&x ", "*x", "!!int ", "'", '"', "\\u00e9"]
PIECES += ["|", ">", "? ", "---\n", "...\n", "%YAML 1.1\n", "#", "\t", "~", "\x00", "\x85", "\ufeff", "\ud800", "<<"]


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.binary())
@example("\x85\x08")
def test_source_of_any_text_is_read_or_refused_and_nothing_else(text: str | bytes) -> None:
    mistakes: tuple[Mistake, ...] = ()
    try:
        mistakes = parsed(text).mistakes
    except ConfigError as error:
        mistakes = error.mistakes
    assert all(str(mistake).startswith("node.yaml") for mistake in mistakes)


def test_file_that_is_no_configuration_is_refused_without_a_word_of_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "node.key"
    file.write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHv0f6\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert "is not a section" in str(refused.value)
    assert "MC4C" not in str(refused.value)
