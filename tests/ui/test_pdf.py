"""The report of evidence: what a node says stays text, and paper loads nothing."""

import json
import re

from console.evidence import Seen, report
from console.health.verdict import Verdict
from console.ui import pdf

HOSTILE = "<img src='file:///etc/passwd'><script>x</script>&\x1b[31m\u202e"


def seen():
    found = Verdict(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        "high",
        HOSTILE,
        (HOSTILE,),
        (HOSTILE,),
        (HOSTILE,),
        ((1.0, HOSTILE),),
    )
    files = {
        "versions.json": json.dumps({"node": {"driver": HOSTILE}}),
        "cards.json": json.dumps([{"index": 0, "name": HOSTILE, "uuid": HOSTILE}]),
    }
    return Seen(HOSTILE, HOSTILE, (), files, found)


def test_everything_foreign_is_escaped():
    text = report(seen(), {"kernel-log": {"text": f"NVRM: {HOSTILE}"}}, HOSTILE, 1.0)
    assert "<img" not in text
    assert "<script" not in text
    assert text.count("&lt;img") >= 8


def test_paper_is_one_page_and_opens_no_file(qapp, monkeypatch):
    asked = []
    real = pdf._Paper.loadResource
    monkeypatch.setattr(
        pdf._Paper, "loadResource", lambda self, kind, name: asked.append(name) or real(self, kind, name)
    )
    made = pdf.pdf_of("<h1>Card 3 is lost</h1><img src='file:///etc/passwd'>" + "<p>line</p>" * 20)
    assert made.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page[^s]", made)) == 1
    assert b"root:" not in made
    assert {str(name.toString()) for name in asked} == {"file:///etc/passwd"}, "it was asked for, and not opened"
