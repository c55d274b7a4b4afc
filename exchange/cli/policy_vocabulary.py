"""`exchange policy vocabulary`: the words that a report may use, as the exchange tells them to the caller."""

from exchange.cli import output
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient


@member_verb
def show_vocabulary(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List topics, regions, kinds, purposes, and the markings of each policy, those that you may give among them."""
    words = client.vocabulary()
    if as_json:
        output.show_json({"id": "vocabulary", **words.model_dump(mode="json")})
        return
    for what, titled in (
        ("topic", words.topics), ("region", words.regions), ("kind", words.kinds), ("purpose", words.purposes),
    ):  # fmt: skip
        output.show_table((what, "is"), [(each.code, each.title) for each in titled])
    rows = [
        (law.id, level.marking, level.name in law.may_originate, ", ".join(law.compartments), ", ".join(law.handling))
        for law in words.policies
        for level in law.levels
    ]
    output.show_table(("policy", "marking", "yours to give", "compartments", "handling"), rows)
