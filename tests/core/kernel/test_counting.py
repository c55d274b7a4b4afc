import pytest

from exchange.kernel import counted


@pytest.mark.parametrize(("number", "told"), [(0, "0 entries wait"), (1, "1 entry waits"), (2, "2 entries wait")])
def test_number_has_the_words_that_go_with_it(number: int, told: str) -> None:
    assert counted(number, "entry waits", "entries wait") == told
