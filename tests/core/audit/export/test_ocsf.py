import dataclasses
import itertools
import json
from functools import cache

import jsonschema_rs
import pytest
from hypothesis import given, settings
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from exchange.audit import Actor, EventName, Outcome, Subject
from exchange.audit.export import ocsf
from exchange.audit.export.ocsf_classes import _CLASSES_OF_NOUNS, Activity, OcsfClass, activity_of
from exchange.kernel import MalformedError
from tests.core.audit.export.exported import (
    BARE,
    FULL,
    HOSTILE,
    LABEL,
    MILLISECONDS,
    STATEMENT,
    TEXT,
    at_place,
    hiding,
    least_of,
    with_text,
)


@cache
def schema():
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.SCHEMA_VERSION))


@cache
def validator(class_uid):
    name = schema().lookup_class_name_from_uid(class_uid)
    return jsonschema_rs.validator_for(schema().get_class_schema(name, list(ocsf.PROFILES)))


@cache
def published(class_uid):
    found = get_ocsf_schema(ocsf.SCHEMA_VERSION)["classes"]
    return next(one for one in found.values() if one["uid"] == class_uid)


def caption(class_uid, attribute, number):
    return published(class_uid)["attributes"][attribute]["enum"][str(number)]["caption"]


def faults_of(event):
    return [
        f"{'/'.join(map(str, fault.instance_path))}: {fault.message}"
        for fault in validator(event["class_uid"]).iter_errors(event)
    ]


def valid(line):
    event = json.loads(line)
    assert faults_of(event) == []
    return event


def test_validator_refuses_what_the_schema_does_not_know():
    # Else the tests below would pass for any event.
    event = json.loads(ocsf.entry_line(at_place(FULL)))

    for changed in ({**event, "made_up": 1}, {**event, "severity_id": 77}, {k: event[k] for k in event if k != "api"}):
        assert not validator(6003).is_valid(changed)


def test_every_event_is_valid():
    for event, outcome, draft in itertools.product(EventName, Outcome, (FULL, BARE)):
        told = json.loads(ocsf.entry_line(at_place(draft, event=event, outcome=outcome)))
        assert (faults_of(told), told["metadata"]["event_code"]) == ([], event.value), (event, outcome)


def test_every_event_but_the_service_s_own_says_who_acted():
    of_service = {OcsfClass.APPLICATION_LIFECYCLE, OcsfClass.DETECTION_FINDING}
    lines = {event: json.loads(ocsf.entry_line(at_place(FULL, event=event))) for event in EventName}

    nameless = {event for event, line in lines.items() if "actor" not in line}
    assert nameless == {event for event in EventName if activity_of(event.value).kind in of_service}


def test_every_event_has_its_place():
    assert [event for event in EventName if event.value.partition(".")[0] not in _CLASSES_OF_NOUNS] == []


def test_captions_are_the_published_ones():
    for event in EventName:
        activity = activity_of(event.value)
        told = published(activity.kind.value)
        numbers = told["attributes"]["activity_id"]["enum"]

        assert told["caption"] == activity.kind.caption, event
        assert told["category_uid"] == activity.kind.category, event
        assert activity.number == 99 or numbers[str(activity.number)]["caption"] == activity.name, event


@pytest.mark.parametrize(
    ("event", "kind", "number"),
    [
        ("report.posted", OcsfClass.API_ACTIVITY, 1),
        ("report.read", OcsfClass.API_ACTIVITY, 2),
        ("report.part_read", OcsfClass.API_ACTIVITY, 2),
        ("report.recalled", OcsfClass.API_ACTIVITY, 3),
        ("route.requested", OcsfClass.API_ACTIVITY, 99),
        ("caller.authenticated", OcsfClass.AUTHENTICATION, 1),
        ("caller.described", OcsfClass.AUTHORIZE_SESSION, 1),
        ("client.enrolled", OcsfClass.ENTITY_MANAGEMENT, 6),
        ("client.revoked", OcsfClass.ENTITY_MANAGEMENT, 7),
        ("member.suspended", OcsfClass.ENTITY_MANAGEMENT, 12),
        ("member.resumed", OcsfClass.ENTITY_MANAGEMENT, 13),
        ("certificate.removed", OcsfClass.ENTITY_MANAGEMENT, 4),
        ("policy.changed", OcsfClass.ENTITY_MANAGEMENT, 3),
        ("audit.exported", OcsfClass.EVENT_LOG_ACTIVITY, 3),
        ("audit.read", OcsfClass.EVENT_LOG_ACTIVITY, 99),
        ("connection.refused", OcsfClass.AUTHENTICATION, 1),
        ("onward.requested", OcsfClass.API_ACTIVITY, 1),
        ("onward.granted", OcsfClass.API_ACTIVITY, 3),
        ("agreement.amended", OcsfClass.ENTITY_MANAGEMENT, 3),
        ("crisis.declared", OcsfClass.ENTITY_MANAGEMENT, 10),
        ("crisis.ended", OcsfClass.ENTITY_MANAGEMENT, 11),
        ("report.ended", OcsfClass.API_ACTIVITY, 4),
        ("witness.added", OcsfClass.ENTITY_MANAGEMENT, 1),
        ("witness.removed", OcsfClass.ENTITY_MANAGEMENT, 4),
        ("witness.refused", OcsfClass.EVENT_LOG_ACTIVITY, 99),
        ("log.frozen", OcsfClass.EVENT_LOG_ACTIVITY, 7),
        ("log.recovered", OcsfClass.EVENT_LOG_ACTIVITY, 8),
        ("service.started", OcsfClass.APPLICATION_LIFECYCLE, 3),
        ("alert.raised", OcsfClass.DETECTION_FINDING, 1),
        ("alert.listed", OcsfClass.API_ACTIVITY, 2),
        ("alert.undelivered", OcsfClass.API_ACTIVITY, 99),
        ("alert.rules_changed", OcsfClass.ENTITY_MANAGEMENT, 3),
    ],
)
def test_class_and_activity(event, kind, number):
    activity = activity_of(event)

    assert (activity.kind, activity.number) == (kind, number)


WITHOUT_A_NUMBER = {
    *("route.requested", "duty.breached", "subscription.tested", "subscription.undelivered"),
    *("clock.doubted", "clock.believed", "clock.behind", "clock.right", "clock.accepted"),
    *("node.heartbeat", "entry.voided", "entry.lost", "entry.swept", "row.contradicted", "cosignature.received"),
    *("witness.refused", "witness.forgot", "audit.read", "audit.searched", "alert.undelivered"),
}
"""What happened to the service itself, or came to nothing: OCSF has no activity for it."""


def test_what_somebody_did_is_found_by_its_activity():
    # Who looks in a SIEM for changes of entities must not miss one that stands under `Other`.
    assert {event.value for event in EventName if activity_of(event.value).number == 99} == WITHOUT_A_NUMBER


def test_event_of_a_newer_log_is_exported_under_its_own_name():
    assert activity_of("thing.done_so") == Activity(OcsfClass.API_ACTIVITY, 99, "Done So")


def test_full_entry_is_api_activity():
    exported = at_place(FULL)
    event = valid(ocsf.entry_line(exported))

    assert event["type_uid"] == 600302
    assert event["time"] == MILLISECONDS
    assert (event["action_id"], event["disposition_id"], event["status_id"]) == (2, 2, 2)
    assert (event["status_code"], event["status_detail"]) == ("not-a-party", "not-a-party recalled")
    assert [one["policy"]["uid"] for one in event["authorizations"]] == ["agreement-1", "guards@3"]
    assert event["actor"]["user"] == {
        "uid": "client-1",
        "type_id": 1,
        "type": "User",
        "credential_uid": "ab" * 32,
        "org": {"uid": "NOR", "ou_uid": "NOR/NSM"},
    }
    assert event["src_endpoint"] == {"ip": "10.0.0.9"}
    assert event["api"]["operation"] == "report.read"
    assert event["raw_data_hash"]["value"] == exported.leaf.hex()
    assert event["metadata"]["sequence"] == 7
    classification = {
        "confidentiality_id": 3,
        "confidentiality": "Secret",
        "category_id": 2,
        "category": "Governmental",
        "policy": {"name": "NATO"},
        "status_details": ["compartments: ATOMAL", "handling: ORCON", "releasable_to: GBR, NOR"],
    }
    assert event["metadata"]["data_classifications"] == [classification]
    assert event["resources"] == [
        {
            "uid": "report-1",
            "type": "report",
            "version": "2",
            "owner": {"uid": "GBR", "type_id": 99, "type": "Member"},
            "data_classifications": [classification],
        }
    ]
    assert event["unmapped"] == {
        "log": 1,
        "extent": "whole",
        "clearance": exported.entry["clearance"],
        "owner": "GBR",
        "agreement": "agreement-1",
        "scope": "cyber-threats",
        "purpose": "defence",
        "node": "node-a",
        "boot": "boot-1",
        "node_seq": 5,
        "detail": {"note": "n", "count": 3, "names": ["a", "b"]},
        "bytes": 8192,
        "result_count": 2,
        "result_ids": ["r1", "r2"],
        "certificate_subject": "CN=a",
        "user_agent": "tool/1",
    }


@pytest.mark.parametrize(
    ("outcome", "action", "disposition", "status"),
    [(Outcome.PERMITTED, 1, 1, 1), (Outcome.REFUSED, 2, 2, 2), (Outcome.FAILED, 99, 27, 2)],
)
def test_decision_is_told_through_security_control(outcome, action, disposition, status):
    event = valid(ocsf.entry_line(at_place(FULL, outcome=outcome)))

    assert (event["action_id"], event["disposition_id"], event["status_id"]) == (action, disposition, status)
    for name in ("action", "disposition", "status"):
        number = event[f"{name}_id"]
        assert number == 99 or caption(event["class_uid"], f"{name}_id", number) == event[name]
    assert event["message"] == f"report.read {outcome.value}"


@pytest.mark.parametrize(
    ("level", "number"),
    [("TOP SECRET", 4), ("SECRET", 3), ("CONFIDENTIAL", 2), ("RESTRICTED", 6), ("UNCLASSIFIED", 1), ("GEHEIM", 99)],
)
def test_level_is_a_confidentiality(level, number):
    label = {"policy": "P", "classification": level, "handling": []}
    (told,) = valid(ocsf.entry_line(at_place(FULL, label=label)))["metadata"]["data_classifications"]

    assert told["confidentiality_id"] == number
    assert "status_details" not in told
    assert number != 99 or told["confidentiality"] == level


def test_label_that_says_nothing_is_still_valid():
    (told,) = valid(ocsf.entry_line(at_place(FULL, label={"compartments": []})))["metadata"]["data_classifications"]

    assert (told["confidentiality"], told["policy"]) == ("none", {"name": "none"})


@pytest.mark.parametrize(
    ("source", "endpoint"),
    [
        ("10.0.0.9", {"ip": "10.0.0.9"}),
        ("2001:DB8::1", {"ip": "2001:db8::1"}),
        ("host", {"name": "host"}),
        ("", {"name": "none"}),
    ],
)
def test_source_is_an_address_or_a_name(source, endpoint):
    assert (
        valid(ocsf.entry_line(at_place(BARE, event=EventName.REPORT_READ, source=source)))["src_endpoint"] == endpoint
    )


@pytest.mark.parametrize(
    ("kind", "number"), [("client", 1), ("host", 2), ("service", 3), ("unknown", 99), ("witness", 99)]
)
def test_actor_kind_is_a_type_of_user(kind, number):
    event = valid(ocsf.entry_line(at_place(BARE, actor=Actor(kind))))

    assert (event["user"]["type_id"], event["user"]["uid"]) == (number, kind)
    assert (event["auth_protocol_id"], event["auth_protocol"], event["is_remote"]) == (99, "Mutual TLS", True)


@pytest.mark.parametrize(
    ("subject", "entity"),
    [
        (
            Subject("client", "c-1", 3),
            {"type_id": 2, "type": "User", "version": "3", "uid": "c-1", "name": "client c-1"},
        ),
        (Subject("agreement", "a-1"), {"type_id": 5, "type": "Policy", "uid": "a-1", "name": "agreement a-1"}),
        (Subject("certificate", "t"), {"type_id": 99, "type": "certificate", "uid": "t", "name": "certificate t"}),
        (None, {"type_id": 4, "type": "Organization", "name": "member"}),
    ],
)
def test_entity_is_what_was_administered(subject, entity):
    event = valid(ocsf.entry_line(at_place(BARE, event=EventName.MEMBER_LISTED, subject=subject)))

    assert event["entity"] == entity


def test_metadata_lead_back_to_the_entry():
    exported = at_place(FULL)
    metadata = valid(ocsf.entry_line(exported))["metadata"]

    del metadata["data_classifications"], metadata["product"]
    assert metadata == {
        "version": "1.8.0",
        "profiles": ["data_classification", "security_control"],
        "uid": "entry-1",
        "sequence": 7,
        "event_code": "report.read",
        "log_name": "audit",
        "log_version": "1",
        "original_time": "2026-03-01T12:00:00.250000Z",
        "correlation_uid": "request-1",
    }


@pytest.mark.parametrize(("kind", "is_remote"), [("client", True), ("host", False), ("service", False)])
@pytest.mark.parametrize(("level", "held"), [(None, ["none"]), ("SECRET", ["SECRET", "ATOMAL"])])
def test_caller_that_is_described_is_given_what_it_is_cleared_for(kind, is_remote, level, held):
    actor = Actor(kind, "c", "NOR", level=level, compartments=() if level is None else ("ATOMAL",))
    event = valid(ocsf.entry_line(at_place(BARE, event=EventName.CALLER_DESCRIBED, actor=actor)))

    assert event["privileges"] == held
    assert event["session"] == {"uid": "request-1", "is_remote": is_remote}
    assert event["user"]["org"] == {"uid": "NOR", "ou_uid": "none"}


def test_resource_without_version_or_owner_has_none():
    event = valid(ocsf.entry_line(at_place(BARE, event=EventName.REPORT_READ, subject=Subject("report", "r-1"))))

    assert event["resources"] == [{"uid": "r-1", "type": "report"}]


def alert(**detail):
    exported = at_place(BARE, outcome=Outcome.PERMITTED, detail=detail)
    exported.entry["type"] = "alert.raised"
    return valid(ocsf.entry_line(exported))


def test_alert_is_a_detection_finding():
    event = alert(rule="mass-pull", severity="medium")

    assert event["class_uid"] == 2004
    assert event["finding_info"] == {"uid": "entry-1", "title": "mass-pull", "created_time": MILLISECONDS}
    assert (event["severity_id"], event["is_alert"]) == (3, True)
    assert alert(rule="mass-pull", severity="low")["severity_id"] == 2
    # The status of a finding is its own life's, whatever was decided.
    assert (event["status_id"], event["status"], event["disposition"]) == (1, "New", "Allowed")
    assert caption(2004, "status_id", 1) == "New"
    assert event["resources"] == [{"name": "none", "type": "alert"}]


def test_look_at_alerts_is_no_alert():
    event = valid(ocsf.entry_line(at_place(BARE, event=EventName.ALERT_LISTED, outcome=Outcome.PERMITTED)))

    assert (event["severity_id"], event["status"]) == (1, "Success")
    assert "finding_info" not in event


@pytest.mark.parametrize("detail", [{}, {"rule": 3, "severity": "loud"}])
def test_alert_that_says_little_is_one_all_the_same(detail):
    event = alert(**detail)

    assert (event["finding_info"]["title"], event["severity_id"]) == ("alert.raised", 4)


def test_personal_data_is_what_was_revealed():
    exported = dataclasses.replace(
        at_place(FULL), personal={"source": "erased", "thumbprint": "erased", "name": "erased"}
    )
    event = valid(ocsf.entry_line(exported))

    assert event["src_endpoint"] == {"name": "erased"}
    assert event["actor"]["user"]["credential_uid"] == "erased"
    assert event["actor"]["user"]["name"] == "erased"


def test_every_event_is_valid_however_little_is_shown():
    for event in EventName:
        assert faults_of(json.loads(ocsf.entry_line(least_of(at_place(FULL, event=event))))) == [], event


def test_how_much_is_shown_is_said():
    event = valid(ocsf.entry_line(hiding(at_place(FULL), "label", "owner", "reasons")))

    assert event["unmapped"]["extent"] == "others"
    assert "GBR" not in json.dumps(event)


@pytest.mark.parametrize("text", HOSTILE)
def test_line_is_ascii_and_one(text):
    line = ocsf.entry_line(with_text(text))

    assert line.isascii()
    assert line.count(b"\n") == 1
    valid(line)


@settings(deadline=None)
@given(TEXT)
def test_text_comes_back(text):
    exported = with_text(text)
    event = valid(ocsf.entry_line(exported))

    assert event["actor"]["user"]["uid"] == exported.entry["actor"]["id"]
    assert event["unmapped"]["detail"] == exported.entry["detail"]


def test_digest_of_many_results_stands_in_their_place():
    exported = at_place(FULL, result_ids=tuple(f"id-{number:0400}" for number in range(100)))
    unmapped = json.loads(ocsf.entry_line(exported))["unmapped"]

    assert unmapped["result_ids_sha256"] == exported.entry["result_ids_sha256"]
    assert "result_ids" not in unmapped


def test_last_line_is_the_export_itself():
    event = valid(ocsf.statement_line(STATEMENT))

    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (1008, 3, 100803)
    assert (event["time"], event["severity_id"], event["status_id"]) == (1_772_366_400_000, 1, 1)
    assert event["metadata"]["event_code"] == "export.complete"
    assert event["unmapped"] == {"complete": STATEMENT.as_json()}


def test_place_is_that_of_the_line():
    assert ocsf.place_in(ocsf.entry_line(at_place(FULL, position=0))) == (1, 0)
    assert ocsf.place_in(ocsf.statement_line(STATEMENT)) is None


@pytest.mark.parametrize(
    "place", [{"log": 1}, {"sequence": 7}, {"log": "1", "sequence": 7}, {"log": 1, "sequence": 7.0}, {}]
)
def test_line_without_both_parts_of_a_place_has_none(place):
    fields = {"unmapped": {"log": place.get("log")}, "metadata": {"sequence": place.get("sequence")}}

    assert ocsf.place_in(json.dumps(fields).encode()) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"metadata":3}', b'{"metadata":{},"unmapped":[]}'])
def test_what_is_no_line_is_refused(line):
    with pytest.raises(MalformedError, match=r"^a line of the export is no OCSF event$"):
        ocsf.place_in(line)


def test_labels_are_those_of_the_full_entry():
    assert at_place(FULL).entry["label"] == LABEL
