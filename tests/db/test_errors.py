"""What every refusal says of itself: a code of its own, a status, a sentence."""

from collections import Counter
from collections.abc import Iterator

from api import problems
from db.errors import Refusal


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        yield kind
        yield from refusals(kind)


#: What several apps call by the same name on purpose.
SHARED = {"forbidden"}


def test_each_code_is_one_refusals() -> None:
    told = Counter(kind.code for kind in refusals())

    assert {code for code, count in told.items() if count > 1} <= SHARED
    assert all(400 <= kind.status < 600 for kind in refusals())


def test_the_message_is_the_docstrings_first_paragraph_unless_more_is_said() -> None:
    class Odd(Refusal):
        """This is odd.

        Why, the code says.
        """

        code = "odd_in_a_test"

    assert (str(Odd()), str(Odd("Odder."))) == ("This is odd.", "Odder.")


def test_whatever_app_it_is_of_callers_are_told() -> None:
    class New(Refusal):
        """No app has it yet."""

        code = "new_in_a_test"
        status = 409

    answer = problems.of(New())

    assert (answer.status_code, b"No app has it yet." in answer.content) == (409, True)
