"""What a person reads: no value as the program writes it."""

import pytest

from exchange.cli import output


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (["GBR", "NOR"], "GBR, NOR"),
        (("SECRET",), "SECRET"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
    ],
)
def test_record_is_told_in_words(capsys: pytest.CaptureFixture[str], value: object, told: str) -> None:
    output.show_record({"it": value})

    assert capsys.readouterr().out.split(maxsplit=1)[1].strip() == told
