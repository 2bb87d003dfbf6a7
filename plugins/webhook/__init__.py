"""A signed JSON POST for each change of an alarm.

The signature is HMAC-SHA256 over "TIMESTAMP.BODY" with the shared secret, in `X-Cardkeeper-Signature: t=TIMESTAMP,v1=HEX`, so
that the receiver can refuse both forged and repeated requests. `Idempotency-Key` is the same for a repeated try.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from console.extend import Message


class Webhook:
    """Fulfils console.extend.Notifier."""

    name = "webhook"

    def message(self, url: str, secret: str, alarm: dict[str, Any], at: float) -> Message:
        """The request."""
        body = json.dumps(alarm, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "cardkeeper",
            "Idempotency-Key": hashlib.sha256(body).hexdigest(),
        }
        if secret:
            stamp = f"{int(at)}"
            made = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["X-Cardkeeper-Signature"] = f"t={stamp},v1={made}"
        return Message(url, headers, body)


PLUGIN = Webhook()
