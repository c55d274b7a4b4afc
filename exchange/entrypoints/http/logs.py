"""Logs for operators: one JSON object per line on stderr, without payload, marking, subject or secret.

The message of an exception may quote what was sent, so only its type and place are written.
"""

import json
import logging
import sys
import time
import traceback
from typing import TextIO

_FIELDS = ("request_id", "code", "cause", "worker", "address", "entry")
"""What may stand in a line beside the message; anything else given as `extra` is left out."""


_LOOP = "asyncio"


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, its time in UTC as everywhere else: lines of all nodes sort by it."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._line(record)
        except Exception as exc:  # noqa: BLE001  whatever a value raises that is written out
            # Not what it would have said, and not what it was said with: where that stands, it can be looked up.
            line = {**self._head(record), "message": "a line is lost: it cannot be written out"}
            where = f"{record.pathname}:{record.lineno} {record.funcName}"
            return json.dumps({**line, "cause": type(exc).__name__, "where": [where]})

    def _head(self, record: logging.LogRecord) -> dict[str, object]:
        time = self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")
        return {"time": time, "level": record.levelname.lower(), "from": record.name}

    def _line(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            **self._head(record),
            "message": _message(record),
            **{name: getattr(record, name) for name in _FIELDS if hasattr(record, name)},
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["cause"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line)


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines; one that its stream does not take, as where its disk is full, is lost and ends nothing."""

    _is_cut = False

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, behind the end of one that was cut off: else both would be lost."""
        end, self._is_cut = "\n" * self._is_cut, False
        return end + super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002  the library's name
        """Remember it. The library would write to stderr what it met and what led to it, texts of errors included."""
        self._is_cut = True


def _message(record: logging.LogRecord) -> str:
    # Behind its first line the loop writes what it holds: tasks with the error that ended them, and its text.
    told = record.getMessage()
    return told.partition("\n")[0] if record.name == _LOOP else told


def log_to_stderr() -> None:
    """Send every log of this process to stderr, and nothing to stdout: that has one line only."""
    handler = Lines(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for chatty in (_LOOP, "uvicorn.error", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
