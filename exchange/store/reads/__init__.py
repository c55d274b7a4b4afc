"""Reads beside any unit of work: what is in force, pages, history, and what rows say now of what the log tells of."""
