"""Auditors: whose slice of the log they see, and every question that they ask of it."""
