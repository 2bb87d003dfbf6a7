"""Findings, alarms, why and evidence on the command line, over a running demo fleet with troubles in it."""

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cardkeeper(demo, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")

    def run(*arguments, code=0):
        whole = [sys.executable, "-m", "console", *arguments, "--fleet", demo, "--data", str(data), "--json"]
        done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    return run


@pytest.fixture(scope="module")
def findings(cardkeeper):
    return cardkeeper("findings")


def test_findings_name_card_signal_action_evidence_and_source(findings):
    sick = [f for f in findings if f["severity"] == 1]
    assert sick
    for found in findings:
        assert {"card", "node", "signal", "severity", "action", "evidence", "since", "source"} <= set(found)
        assert found["source"]
    assert findings == sorted(findings, key=lambda f: f["severity"])
    assert any(f["rule"] == "recovery-action" for f in findings)


def test_alarms_are_listed_noted_and_put_aside(cardkeeper, findings):
    alarms = cardkeeper("alarms", "list")
    assert alarms[0]["severity"] == 1
    assert len(alarms) <= len(findings)
    name = alarms[0]["id"]
    noted = cardkeeper("alarms", "ack", name, "--why", "on it")
    assert (noted["state"], noted["acknowledged"]["why"]) == ("acknowledged", "on it")
    assert "say why" in cardkeeper("alarms", "shelve", name, "--why", " ", code=1)
    assert "12 hours" in cardkeeper("alarms", "shelve", name, "--why", "later", "--span", "2d", code=1)
    assert cardkeeper("alarms", "shelve", name, "--why", "later", "--span", "8h")["state"] == "shelved"
    assert cardkeeper("alarms", "unshelve", name[:4])["state"] == "acknowledged"
    assert "alarms list" in cardkeeper("alarms", "ack", "zzzzzz", code=1)


def test_why_is_a_verdict_on_a_card(cardkeeper, findings):
    card = next(f["card"] for f in findings if f["rule"] == "recovery-action")
    found = cardkeeper("why", card)
    assert found["card"] == card
    assert found["do"]
    assert found["evidence"]
    assert found["wide"]
    assert any("xid" in c["text"] for c in found["changed"])
    assert "neither" in cardkeeper("why", "no-such-thing", code=1)


def test_evidence_is_whole_and_its_hashes_hold(cardkeeper, findings, tmp_path):
    sick = next(f for f in findings if f["rule"] == "recovery-action")
    path = tmp_path / "evidence.zip"
    told = cardkeeper("evidence", sick["card"], "-o", str(path))
    with zipfile.ZipFile(path) as packed:
        manifest = json.loads(packed.read("manifest.json"))
        assert manifest["files"] == told["files"]
        for name, facts in manifest["files"].items():
            data = packed.read(name)
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (facts["sha256"], facts["bytes"])
        assert {"report.html", "node/kernel-log.txt", "cards.json", "telemetry.csv", "audit.ndjson"} <= set(
            manifest["files"]
        )
        report = packed.read("report.html").decode()
        pdf = packed.read("report.pdf")
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page[^s]", pdf)) == 1
    assert sick["card"] in report
    assert sick["do"] in report
    assert "exists" in cardkeeper("evidence", sick["card"], "-o", str(path), code=1)
    assert cardkeeper("audit", "verify")["rows"] >= 1


def test_a_shift_and_lemons_are_told_from_what_was_written(cardkeeper, findings):
    cardkeeper("alarms", "list")
    found = cardkeeper("handover", "--since", "-1h")
    assert found["alarms"]
    assert found["happened"]["raised"] >= len(found["alarms"])
    assert any(h["what"] == "acknowledged" and h["why"] == "on it" for h in found["by_people"])
    assert cardkeeper("lemons") == []
    assert "--since" in cardkeeper("handover", "--since", "someday", code=1)
