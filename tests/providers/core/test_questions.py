"""Questions that are out: repeated, answered, given up."""

from __future__ import annotations

import math
import random

from rookery.actors.providers.core.questions import NUMBERS, Question, Questions
from rookery.transport import PeerId

ALICE, BOB = PeerId(b"a" * 32), PeerId(b"b" * 32)


def make(first: int = 7) -> Questions[str]:
    return Questions(first, (1.0, 2.0))


def test_question_is_sent_again_and_then_given_up() -> None:
    questions = make()
    asked = questions.ask(ALICE, "key", 0.0)
    assert (asked, questions.due()) == (Question(7, ALICE, "key", 0), 1.0)
    assert list(questions.expire(0.9)) == []
    assert list(questions.expire(1.0)) == [(Question(7, ALICE, "key", 1), True)]
    assert questions.due() == 3.0
    assert list(questions.expire(3.0)) == [(Question(7, ALICE, "key", 1), False)]
    assert (len(questions), questions.due()) == (0, math.inf)


def test_questions_of_one_moment_are_repeated_at_different_moments() -> None:
    dues = {Questions[str](7, (1.0, 2.0), random.Random(seed)) for seed in range(20)}
    for questions in dues:
        questions.ask(ALICE, "key", 0.0)
    assert len({questions.due() for questions in dues}) == 20
    assert all(1.0 <= questions.due() <= 1.5 for questions in dues)


def test_answer_counts_once_and_only_from_who_was_asked() -> None:
    questions = make()
    number = questions.ask(ALICE, "key", 0.0).number
    assert questions.answer(BOB, number) is None
    assert questions.answer(ALICE, number + 1) is None
    answered = questions.answer(ALICE, number)
    assert answered is not None
    assert answered.about == "key"
    assert questions.answer(ALICE, number) is None
    assert list(questions.expire(100.0)) == []


def test_late_answer_to_what_was_given_up_counts_for_nothing() -> None:
    questions = make()
    number = questions.ask(ALICE, "key", 0.0).number
    list(questions.expire(1.0))
    list(questions.expire(3.0))
    assert questions.answer(ALICE, number) is None


def test_only_so_many_are_repeated_as_are_taken() -> None:
    questions = make()
    for number in range(3):
        questions.ask(ALICE, str(number), 0.0)
    assert next(questions.expire(1.0))[0].about == "0"
    assert [question.about for question, _ in questions.expire(1.0)] == ["1", "2"]


def test_questions_of_a_peer_that_is_gone_are_given_back() -> None:
    questions = make()
    questions.ask(ALICE, "one", 0.0)
    questions.ask(BOB, "two", 0.0)
    assert [question.about for question in questions.drop_all_of(ALICE)] == ["one"]
    assert len(questions) == 1


def test_numbers_begin_again_below_their_bound() -> None:
    questions = make(NUMBERS - 1)
    assert [questions.ask(ALICE, "", 0.0).number for _ in range(2)] == [NUMBERS - 1, 0]


def test_what_was_answered_long_ago_takes_no_room() -> None:
    questions = make()
    for _ in range(1000):
        questions.answer(ALICE, questions.ask(ALICE, "", 0.0).number)
    assert len(questions._due) < 100
