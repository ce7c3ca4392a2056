"""The rules at the head of `config/errors.py`."""

from rookery.config import ConfigError, Mistake
from rookery.config.errors import LONGEST_SHOWN, shown


def test_config_error_has_one_line_for_each_mistake_in_the_order_of_the_file() -> None:
    error = ConfigError(
        [
            Mistake("node.yaml", 12, 3, ("tracker", "cooldown"), "5 parsecs is not a duration", "a number of seconds"),
            Mistake("node.yaml", 2, 9, ("b",), "unknown key"),
            Mistake("node.yaml", 2, 1, ("a",), "unknown key"),
            Mistake("node.yaml", 0, 0, (), "the file is too large", "at most 5 bytes"),
        ]
    )
    assert str(error).splitlines() == [
        "node.yaml: the file is too large (allowed: at most 5 bytes)",
        "node.yaml:2: a: unknown key",
        "node.yaml:2: b: unknown key",
        "node.yaml:12: tracker.cooldown: 5 parsecs is not a duration (allowed: a number of seconds)",
    ]


def test_mistake_with_characters_that_do_not_print_is_one_line_of_those_that_do() -> None:
    mistake = Mistake("a\nb.yaml", 1, 1, ("k\x1b",), "said \x07 and\r\u202e", "no\x00thing")
    assert str(mistake) == r"a\nb.yaml:1: ['k\x1b']: said \x07 and\r\u202e (allowed: no\x00thing)"


def test_text_that_is_long_is_cut_and_one_that_cannot_be_seen_is_quoted() -> None:
    assert shown("x" * 200) == "x" * LONGEST_SHOWN + "..."
    assert [shown(text) for text in ("", " a", "5 parsecs", "\x1b")] == ["''", "' a'", "5 parsecs", r"'\x1b'"]
