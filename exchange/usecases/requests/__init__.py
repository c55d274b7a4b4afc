"""Requests for information: asked of contributors, judged like a report turned round, answered with one."""
