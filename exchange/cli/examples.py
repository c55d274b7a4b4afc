"""What `--help` shows below the options: commands as they are typed, in the order in which they are needed.

Capital words stand for one's own (`ID`, `FILE`), `nor` for a profile saved before. A test parses every line with the
command line itself, so that a renamed option cannot leave an example behind.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

# By the words behind `exchange`; a line that ends in a backslash goes on in the next one, as in a shell.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "": (
        "exchange demo                          # see all of it at work, in a minute",
        "exchange init --dir instance           # operator: begin here",
        "exchange profile add --help            # member: begin here",
    ),
    "init": ("exchange init --dir instance", "exchange serve --dir instance --port 8443"),
    "demo": ("exchange demo", "exchange demo --tour agreements", "exchange demo --keep --dir demo report.pdf"),
    "serve": (
        "exchange serve --dir instance --port 8443",
        "exchange serve --dir instance --workers 2 --ops 127.0.0.1:9000",
    ),
    "migrate": ("exchange migrate --dir instance", "exchange doctor --dir instance"),
    "status": ("exchange status --dir instance", "exchange status --dir instance --json"),
    "doctor": ("exchange doctor --dir instance",),
    "backup": (
        "exchange keys recipient --out identity > recipient    # once, kept elsewhere",
        "exchange backup exchange.backup --to recipient --dir instance",
    ),
    "restore": (
        "exchange restore exchange.backup --identity identity --dir restored",
        "exchange restored list --dir restored",
    ),
    "restored": (
        "exchange restored list --dir restored",
        "exchange restored confirm ID --dir restored",
    ),
    "keys": (
        "exchange keys status --dir instance",
        "exchange keys rotate --rewrap --dir instance",
        "exchange keys recipient --out identity > recipient",
        "exchange keys escrow --to recipient --out keys.sealed --dir instance",
    ),
    "act": (
        "exchange act list --profile nor-releaser",
        "exchange act show ID --profile nor-releaser",
        "exchange act confirm ID --digest DIGEST --profile nor-releaser",
    ),
    "agreement": (
        "exchange agreement simulate FILE.yaml --profile nor-signatory",
        "exchange agreement propose FILE.yaml --dir instance",
        "exchange agreement key agreement.key",
        "exchange agreement sign ID --signing-key agreement.key \\",
        "    --profile nor-signatory",
        "exchange agreement show ID --profile nor",
        "exchange agreement compliance ID --profile nor",
    ),
    "agreement crisis": (
        "exchange agreement crisis open ID --clause NAME --hours 24 \\",
        '    --reason "Wiper in the grid" --profile nor-signatory',
        "exchange agreement crisis list ID --profile nor-signatory",
        "exchange agreement crisis review CRISIS --profile nor-auditor",
    ),
    "audit": (
        "exchange audit search --report ID --profile nor-auditor",
        "exchange audit show ID --profile nor-auditor",
        "exchange audit readers REPORT --on 2026-11-25 --profile nor-auditor",
        "exchange audit verify --key log-keys --state seen --profile auditor",
        "exchange audit check-receipts --key log-keys --profile nor",
    ),
    "audit search": (
        "# who asked for this report, and why was it allowed or refused?",
        "exchange audit search --report ID --profile nor-auditor",
        "# what did DNK see of ours last week?",
        "exchange audit search --owner NOR --member DNK --outcome permitted \\",
        "    --since 2026-11-16 --until 2026-11-23 --profile nor-auditor",
        "# what is refused, as it happens?",
        "exchange audit search --outcome refused --follow --profile nor-auditor",
    ),
    "audit export": (
        "exchange audit export --format csv --out log.csv --profile nor-auditor",
        "# prove to somebody else that this was read, and when:",
        "exchange audit export --proofs --report ID --event report.read \\",
        "    --out proof.ndjson --profile auditor",
        "exchange audit verify proof.ndjson --key log-keys",
    ),
    "audit verify": (
        "# the log as it is served, held against what was seen before:",
        "exchange audit verify --key log-keys --state seen --profile auditor",
        "# a folder or an export that somebody handed over:",
        "exchange audit verify archive --key log-keys",
        "exchange audit verify proof.ndjson --key log-keys",
    ),
    "audit erase-personal": (
        "exchange audit erase-personal request --subject CLIENT \\",
        '    --period 2026-11 --reason "request no. 17" --profile auditor',
        "exchange audit erase-personal show REQUEST --profile second",
        "exchange audit erase-personal approve REQUEST --profile second",
    ),
    "audit witness": (
        "exchange audit witness keygen --name witness.nor.example/w1 \\",
        "    --log @log-keys --state witness",
        "exchange audit witness add nor @witness-key --dir instance",
        "exchange audit witness --once --state witness --profile nor-auditor",
    ),
    "clock": ('exchange clock accept --reason "checked against NTP" --dir instance',),
    "client": (
        "exchange client enrol NOR-desk --member NOR --agency NSM --role reader \\",
        "    --clearance SECRET --csr nor.csr --out nor --dir instance",
        "exchange client list --dir instance",
        "exchange client clearance ID --level CONFIDENTIAL --dir instance",
        "exchange client revoke ID --dir instance",
    ),
    "client certificate": (
        "exchange client certificate issue ID --csr new.csr --out nor-2027 \\",
        "    --dir instance",
        "exchange client certificate add ID new.pem --dir instance",
        "exchange client certificate remove ID old.pem --dir instance",
    ),
    "client signature-key": (
        "exchange client signature-key add ID agreement.key.pub --dir instance",
        "exchange client signature-key list ID --dir instance",
        "exchange client signature-key retire ID KEY --dir instance",
    ),
    "ca": (
        "exchange ca add NOR norway-ca.pem --dir instance",
        "exchange ca server --host-name exchange.example --dir instance",
    ),
    "hold": (
        'exchange hold put --reason "inquiry 2026/17" --dir instance',
        "exchange hold list --dir instance",
        'exchange hold lift HOLD --reason "inquiry closed" --dir instance',
    ),
    "member": (
        "exchange member add NOR --name Norway --dir instance",
        "exchange member list --dir instance",
        "exchange member suspend NOR --dir instance",
    ),
    "policy": (
        "exchange policy vocabulary --profile nor",
        'exchange policy label "NATO SECRET//REL TO GBR, NOR"',
        "exchange policy gaps --member DNK --profile nor",
        "exchange policy explain REPORT --client ID --dir instance",
    ),
    "policy caveat": (
        "exchange policy check --caveats NOR.cedar --profile nor-releaser",
        "exchange policy caveat propose NOR.cedar --profile nor-releaser",
        "exchange policy caveat list --profile nor-releaser",
    ),
    "profile": (
        "exchange profile add nor --url https://exchange.example:8443 \\",
        "    --cert nor/client.pem --key nor/client.key --ca nor/ca.pem",
        "exchange profile whoami --profile nor",
        "exchange report list --profile nor",
    ),
    "report": (
        "exchange report list --since 2026-11-25 --profile nor",
        "exchange report pull ID --out got --profile nor",
        "exchange report receipt ID --profile nor",
        "exchange report watch --profile nor",
        "exchange report notices --profile nor",
        'exchange report recall ID --reason "wrong marking" --profile nor-releaser',
    ),
    "report post": (
        "exchange agreement list --profile nor        # its id and its scopes",
        "exchange policy vocabulary --profile nor     # topics, regions, markings",
        "exchange report post note.txt --agreement ID --scope cyber-threats \\",
        "    --kind intrep --topic cyber.apt --region EUR \\",
        '    --marking "NATO SECRET//REL TO GBR, NOR" \\',
        '    --subject "Seen again" --precedence PRIORITY --profile nor',
    ),
    "report derive": (
        'exchange report derive request ID --marking "NATO RESTRICTED" \\',
        '    --until 2027-06-30 --reason "for the operators" --profile nor',
        "exchange report derive list --profile gbr-releaser",
        "exchange report derive grant REQUEST --profile gbr-releaser",
    ),
    "report destruction": (
        "exchange report destruction list --profile nor",
        'exchange report destruction certify ID --method "wiped" --copies 1 \\',
        "    --out certificate.note --profile nor",
    ),
    "report onward": (
        "exchange report onward request ID --to ESP --until 2027-06-30 \\",
        '    --reason "Spain has the same hosts" --profile nor',
        "exchange report onward list --profile gbr-releaser",
        "exchange report onward grant REQUEST --profile gbr-releaser",
    ),
    "report proxy": (
        "exchange report proxy consent --to GBR --agreement ID \\",
        '    --scope cyber-threats --reason "our desk is closed" \\',
        "    --profile nor-releaser",
        "exchange report proxy list --profile nor-releaser",
    ),
    "report uploads": (
        "exchange report uploads list --profile nor",
        "exchange report uploads give-up ID --profile nor",
    ),
    "request": (
        'exchange request ask "Who uses this host?" --agreement ID \\',
        "    --scope cyber-threats --kind intrep --topic cyber.apt --region EUR \\",
        '    --marking "NATO SECRET//REL TO GBR, NOR" --deadline 2026-12-24 \\',
        "    --profile nor",
        "exchange request list --profile gbr",
        "exchange request answer REQUEST REPORT --profile gbr",
    ),
    "webhook": (
        "exchange webhook add https://desk.example/told --profile nor",
        "exchange webhook test ID --profile nor",
        "exchange webhook deliveries ID --profile nor",
    ),
}


def show_examples(command: Any, path: str) -> None:
    """Let the help of `command`, reached by `path`, and of all below it end with their examples."""
    for name, below in getattr(command, "commands", {}).items():
        show_examples(below, f"{path} {name}".lstrip())
    if path in EXAMPLES:
        command.format_epilog = partial(_write, EXAMPLES[path])


def _write(lines: Sequence[str], _: Any, formatter: Any) -> None:
    with formatter.section("Examples"):
        # Not wrapped: what is typed is copied.
        for line in lines:
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")
