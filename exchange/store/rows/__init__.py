"""Rows as they go in and come out: plain frozen values, never table rows."""
