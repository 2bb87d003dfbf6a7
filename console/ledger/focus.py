"""Invoices as a FOCUS 1.2 cost and usage table: one row a line, exclusive ends, UTC, no thousands marks.

Source: FinOps Open Cost and Usage Specification, version 1.2 (June 2025). What an invoice does not have stays empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from console.ledger.invoices import lines_of
from console.ledger.rating import UNITS, Category, Line, decimal_text
from console.ledger.store import Ledger
from console.ledger.times import instant_text, span_of

VERSION = "1.2"
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "CapacityReservationId", "CapacityReservationStatus", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory",
    "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuer", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingCurrency", "PricingQuantity", "PricingUnit", "Provider", "Publisher", "RegionId", "RegionName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter",
    "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
_WORDS = {"card-hour": "Hours", "GiB-hour": "GiB-Hours", "GiB": "GiB", "card-month": "Months", "card-year": "Years"}
_SERVICE = {"Storage": ("Storage", "Block storage"), "Data sent": ("Networking", "Data transfer")}


def rows(ledger: Ledger, invoice: str, issuer: str) -> Iterable[dict[str, str]]:
    """Rows of an issued invoice; `issuer` is who sells. Raises LedgerError where there is no such invoice."""
    row = ledger.known("invoice", invoice, "invoice")
    tenant = ledger.known("tenant", row["tenant_id"], "tenant")
    within = span_of(row["period"], tenant["tz"])
    for line in lines_of(ledger, invoice):
        made = dict.fromkeys(COLUMNS, "")
        made.update(_of_account(tenant, invoice, issuer, within))
        made.update(_of_line(line, tenant["minor_units"], tenant["currency"]))
        yield made


def _of_account(tenant: dict[str, Any], invoice: str, issuer: str, within: tuple[int, int]) -> dict[str, str]:
    return {
        "BillingAccountId": tenant["id"], "BillingAccountName": tenant["name"], "BillingAccountType": "Tenant",
        "BillingCurrency": tenant["currency"], "BillingPeriodStart": instant_text(within[0]),
        "BillingPeriodEnd": instant_text(within[1]), "InvoiceId": invoice, "InvoiceIssuer": issuer, "Provider": issuer,
        "Publisher": issuer, "PricingCurrency": tenant["currency"],
    }  # fmt: skip


def _of_line(line: Line, digits: int, currency: str) -> dict[str, str]:
    category, name = _SERVICE.get(line.what, ("Compute", "Accelerator cards"))
    billed = _number(Fraction(line.billed, 10**digits))
    made = {
        "BilledCost": billed, "EffectiveCost": billed, "ListCost": billed, "ContractedCost": billed,
        "ChargeCategory": str(line.category), "ChargeClass": "Correction" if line.is_correction else "",
        "ChargeDescription": line.what, "ChargePeriodStart": instant_text(line.begin),
        "ChargePeriodEnd": instant_text(line.end), "ServiceCategory": category, "ServiceName": name,
        "ChargeFrequency": "Recurring" if line.category is Category.PURCHASE else
        "Usage-Based" if line.category is Category.USAGE else "One-Time",
    }  # fmt: skip
    if line.unit:
        quantity = Fraction(line.quantity, UNITS[line.unit])
        made |= {
            "PricingQuantity": _number(quantity), "PricingUnit": _WORDS[line.unit],
            "ListUnitPrice": _number(Fraction(line.list_nano, 10**9)),
            "ContractedUnitPrice": _number(Fraction(line.contracted_nano, 10**9)),
            "ListCost": _number(quantity * line.list_nano / 10**9),
            "ContractedCost": _number(quantity * line.contracted_nano / 10**9),
            "PricingCategory": "Committed" if line.what.startswith("Committed") else "Standard",
            "SkuId": line.sku or line.plan, "SkuPriceId": f"{line.plan}/{line.version}/{line.sku or 'any'}",
        }  # fmt: skip
    if line.category is Category.USAGE and line.unit:
        made |= {"ConsumedQuantity": made["PricingQuantity"], "ConsumedUnit": made["PricingUnit"]}
    if line.lease:
        made |= {"ResourceId": line.lease, "ResourceName": line.lease, "ResourceType": "Lease"}
    return made


def _number(value: Fraction) -> str:
    """With a decimal always: readers that guess a column's type take whole numbers for something else."""
    text = decimal_text(value)
    return text if "." in text else f"{text}.0"


def table(found: Iterable[dict[str, str]]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(found)
    return out.getvalue()
