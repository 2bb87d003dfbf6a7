"""Quotes from the command line."""

import json

import pytest


def test_a_price_alone_needs_no_ledger(cardkeeper):
    made = cardkeeper(
        "quote", "--cards", "200", "--days", "60", "--price", "6.95", "--currency", "CNY", "--what-if", desk="new"
    )
    assert (made["total"], made["currency"], made["card_hours"]) == ("2001600.00", "CNY", "288000")
    assert [c["case"] for c in made["what_if"]["cases"]] == ["low", "likely", "high"]
    assert made["what_if"]["cases"][1]["total"] == made["total"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--price", "1"], "--currency"),
        ([], "either --price"),
        (["--price", "1", "--plan", "hourly"], "either --price"),
        (["--price", "1", "--currency", "XYZ"], "ISO 4217"),
        (["--price", "1e99", "--currency", "USD"], "out of range"),
        (["--price", "1", "--currency", "USD", "--days", "-3"], "days"),
    ],
)
def test_what_is_wrong_is_said(cardkeeper, more, says):
    assert says in cardkeeper("quote", "--cards", "2", "--days", "1", *more, code=1)


def test_a_quote_by_a_plan_is_kept_and_put_on_paper(cardkeeper, tmp_path):
    cardkeeper("tenant", "add", "atlas", "--currency", "USD", "--tz", "Asia/Riyadh", "--title", "Atlas Weather")
    spec = tmp_path / "plan.json"
    spec.write_text(json.dumps({"kind": "payg", "currency": "USD", "price_per_card_hour": "2.35", "tax_percent": "15"}))
    cardkeeper("plan", "add", "hourly", "--file", str(spec))
    what = [
        "--cards",
        "8",
        "--days",
        "60",
        "--plan",
        "hourly",
        "--tenant",
        "atlas",
        "--begin",
        "2027-01-01T00:00:00+03:00",
    ]
    seen = cardkeeper("quote", *what, "--deposit", "20")
    assert (seen["net"], seen["tax"], seen["total"]) == ("27072.00", "4060.80", "31132.80")
    assert (seen["deposit"], [line["amount"] for line in seen["lines"]]) == (
        "6226.56",
        ["13987.20", "12633.60", "451.20"],
    )
    kept = cardkeeper("quote", "keep", *what, "--deposit", "20", "--title", "Spring forecast", "--what-if")
    assert (kept["total"], kept["tenant"], kept["stands"]) == (seen["total"], "atlas", True)
    assert [q["quote"] for q in cardkeeper("quote", "list")] == [kept["quote"]]
    assert cardkeeper("quote", "show", kept["quote"])["digest"] == kept["digest"]
    for kind in ("pdf", "html", "json"):
        path = tmp_path / f"q.{kind}"
        cardkeeper("quote", "export", kept["quote"], "--output", str(path), "--kind", kind, "--issuer", "Gulf Compute")
        data = path.read_bytes()
        assert data.startswith(b"%PDF") if kind == "pdf" else b"31132.80" in data
    assert "pays in USD" in cardkeeper(
        "quote", "--cards", "1", "--days", "1", "--price", "1", "--currency", "CNY", "--tenant", "atlas", code=1
    )


def test_renting_beside_owning(cardkeeper):
    told = cardkeeper(
        "rent-or-own", "--rent", "2.35", "--currency", "USD", "--capex", "35000", "--cards", "64", "--watts", "1275",
        "--power", "0.09", "--yearly", "240000", "--utilisation", "50", "--residual", "10",
    )  # fmt: skip
    assert (told["cheaper"], told["break_even_percent"], told["pue"]) == ("rent", "61.0849", "1.56")
