"""One module per generated page, each with `PATH: str` and `render() -> str`; `tests.support.generated_docs` finds them."""
