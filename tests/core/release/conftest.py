"""What every test of this folder shares."""

from tests.support.law import catalogue_read_once

__all__ = ["catalogue_read_once"]
