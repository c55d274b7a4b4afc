"""Kinds of columns that several tables have."""

from sqlalchemy import BigInteger, Integer

Number = BigInteger().with_variant(Integer, "sqlite")
"""A number of 64 bits that may be the key: SQLite counts up an `INTEGER` alone."""
