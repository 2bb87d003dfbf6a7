"""Invoices and statements on paper: HTML of a tenant's month, which the window's room makes a PDF of. Escaped throughout."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = (
    "body{font:10pt sans-serif;color:#111}h1{font-size:16pt}td,th{padding:3px 8px;text-align:left}"
    "td.n,th.n{text-align:right}th{border-bottom:1px solid #888}tr.t td{border-top:1px solid #888;font-weight:bold}"
    "p.q{color:#555;font-size:8pt}"
)


def invoice_html(invoice: Mapping[str, Any], issuer: str) -> str:
    """An invoice, or a draft of one, as told by `invoices.get` or `told_draft`."""
    e = html.escape
    title = f"Invoice {invoice['invoice']}" if invoice["invoice"] else "Draft, not an invoice"
    rows = "".join(_row(line) for line in invoice["lines"]) or "<tr><td colspan='5'>Nothing was used.</td></tr>"
    money = e(invoice["currency"])
    carried = ""
    if invoice["carried"].strip("0.") != "":
        carried = f"<p>Credit carried to the next invoice: {e(invoice['carried'])} {money}</p>"
    issued = f"issued {e(invoice['issued'])}" if invoice["issued"] else "not issued"
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>{e(title)}</title><style>{_STYLE}</style></head><body>
<h1>{e(title)}</h1>
<p>{e(issuer)}<br>for {e(invoice["tenant_name"])} ({e(invoice["tenant"])})</p>
<p>{e(invoice["period"])}: {e(invoice["from"])} to {e(invoice["to"])}, the local month of {e(invoice["tz"])}; {issued}</p>
<table width="100%" cellspacing="0"><tr><th>What</th><th>Lease</th><th class="n">Quantity</th><th class="n">Price</th>
<th class="n">{money}</th></tr>{rows}
<tr class="t"><td colspan="4">Total</td><td class="n">{e(invoice["total"])}</td></tr></table>{carried}
<p class="q">Lines are rounded once each and sum to the total. SHA-256 of the lines: {e(invoice["digest"])}</p>
</body></html>
"""


def _row(line: Mapping[str, Any], second: str = "lease") -> str:
    e = html.escape
    what = e(line["what"]) + (f" (correction of {e(line['period'])})" if line["class"] else "")
    if line["sku"]:
        what += f", {e(line['sku'])}"
    quantity = f"{e(line['quantity'])} {e(line['unit'])}" if line["unit"] else ""
    price = e(line["contracted_price"]) if line["unit"] else ""
    return (
        f"<tr><td>{what}</td><td>{e(line[second] or '')}</td><td class='n'>{quantity}</td><td class='n'>{price}</td>"
        f"<td class='n'>{e(line['amount'])}</td></tr>"
    )


def statement_html(statement: Mapping[str, Any]) -> str:
    """What a tenant had of its leases: hours, how much of them was used, and what was wasted, with the evidence."""
    e = html.escape
    rows = "".join(
        f"<tr><td>{e(r['lease'])}</td><td>{e(r['sku'])}</td><td class='n'>{e(r['card_hours'])}</td>"
        f"<td class='n'>{_share(r['seen_percent'])}</td><td class='n'>{_share(r['idle_percent'])}</td>"
        f"<td class='n'>{e(r['waste'] or 'unknown')}</td></tr>"
        for r in statement["leases"]
    )
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>Statement</title><style>{_STYLE}</style></head><body>
<h1>Statement of {e(statement["tenant_name"])}</h1><p>{e(statement["period"])}, {e(statement["currency"])}</p>
<table width="100%" cellspacing="0"><tr><th>Lease</th><th>SKU</th><th class="n">Card-hours</th><th class="n">Seen</th>
<th class="n">Idle of it</th><th class="n">Waste</th></tr>{rows}
<tr class="t"><td colspan="5">Leased but idle</td><td class="n">{e(statement["waste"])}</td></tr></table>
<p class="q">{e(statement["how"])}</p></body></html>
"""


def quote_html(quote: Mapping[str, Any], issuer: str) -> str:
    """A kept quote, as told by `quotes.get`, with its what-if where it has one."""
    e = html.escape
    money = e(quote["currency"])
    rows = "".join(_row(line, "from") for line in quote["lines"])
    tax = f'<tr><td colspan="4">Tax</td><td class="n">{e(quote["tax"])}</td></tr>' if _counts(quote["tax"]) else ""
    deposit = f"<p>Deposit: {e(quote['deposit'])} {money}</p>" if _counts(quote["deposit"]) else ""
    of = f" of {e(quote['sku'])}" if quote["sku"] else ""
    to = f"for {e(quote['tenant'])}" if quote["tenant"] else ""
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>Quote {e(quote["quote"])}</title><style>{_STYLE}</style>
</head><body><h1>Quote {e(quote["quote"])}</h1><p>{e(issuer)}<br>{to}</p><p>{e(quote["title"])}</p>
<p>{quote["cards"]} cards{of} from {e(quote["from"])} to {e(quote["to"])} ({e(quote["days"])} days,
{e(quote["card_hours"])} card-hours): {e(quote["per_card_hour"])} {money} a card-hour before tax</p>
<table width="100%" cellspacing="0"><tr><th>What</th><th>From</th><th class="n">Quantity</th><th class="n">Price</th>
<th class="n">{money}</th></tr>{rows}{tax}
<tr class="t"><td colspan="4">Total</td><td class="n">{e(quote["total"])}</td></tr></table>{deposit}
{_cases(quote)}
<p>This quote stands until {e(quote["valid_until"])}. It holds no cards.</p>
<p class="q">SHA-256 of what was quoted: {e(quote["digest"])}</p></body></html>
"""


def _counts(amount: str) -> bool:
    return amount.strip("0.") != ""


def _cases(quote: Mapping[str, Any]) -> str:
    if not quote.get("what_if"):
        return ""
    e, told = html.escape, quote["what_if"]
    rows = "".join(
        f"<tr><td>{e(c['case'])}</td><td class='n'>{e(c['efficiency_percent'])} %</td>"
        f"<td class='n'>{e(c['overhead_percent'])} %</td><td class='n'>{e(c['days'])}</td>"
        f"<td class='n'>{e(c['total'])}</td></tr>"
        for c in told["cases"]
    )
    return f"""<p>The same work in other cases, which are no offer:</p><table cellspacing="0"><tr><th>Case</th>
<th class="n">Efficiency</th><th class="n">Lost to failures</th><th class="n">Days</th>
<th class="n">{e(quote["currency"])}</th></tr>{rows}</table><p class="q">Efficiency: {e(told["efficiency_source"])}. Failures:
{e(told["overhead_source"])}.</p>"""


def _share(percent: str | None) -> str:
    return "unknown" if percent is None else f"{html.escape(percent)} %"


def texts(lines: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Lines as cells for a table."""
    return [
        [
            line["what"],
            line["lease"] or "",
            line["quantity"],
            line["unit"] or "",
            line["contracted_price"],
            line["amount"],
        ]
        for line in lines
    ]
