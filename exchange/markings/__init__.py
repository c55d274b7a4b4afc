"""Markings: levels, labels, dominance, equivalence, marking text, STANAG 4774 XML."""

from exchange.markings.label import Label

__all__ = ["Label"]
