"""The API: who may call what, plans and digests, keys that come again, limits, and a search for requests that break it."""

import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from console.api.exposed import commands
from console.api.server import MOST_BODY, Api, check_place
from console.app import Config, Console, ConsoleError
from console.callers import Callers, Limit
from console.exposure import OPERATOR, TENANT, VIEWER, is_read
from console.ledger import leases, pool, tenants
from console.ledger.errors import LedgerError
from console.ledger.store import Ledger
from tests.ledger.conftest import CARDS, MODEL, at

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_NODES = r"/v1/(tenant|plan|supplier|region|sku|lease|meter|invoice|ledger|pool)/(?!bind|begin|return)"


@pytest.fixture
def folder(tmp_path):
    with Ledger(tmp_path) as ledger:
        pool.add_sku(ledger, "op", "h100", "NVIDIA", "Hopper", MODEL, 81_559)
        pool.bind(ledger, "op", [pool.Seen(u, MODEL, "gpu00", "riyadh") for u in CARDS], at("2026-01-01"))
        for name in ("atlas", "berlin"):
            tenants.add(ledger, "op", name, "", "UTC", "USD")
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "2"})
        for name in ("atlas", "berlin"):
            lease = leases.request(ledger, "op", name, "hourly", "h100", 1, at("2026-02-01"), name=f"L-{name}")
            leases.activate(ledger, "op", lease.id, [CARDS[name == "berlin"]], at("2026-02-01"))
    return tmp_path


@pytest.fixture
def api(folder):
    return Api(Console(Config(data=folder, fleet=folder / "fleet.toml")), Limit(10_000, 10_000))


@pytest.fixture
def client(api):
    with TestClient(api.app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def token(folder):
    callers = Callers(folder)
    made = {"operator": callers.add("op", "operator"), "viewer": callers.add("eye", "viewer"),
            "tenant": callers.add("atlas-desk", "tenant", "atlas")}  # fmt: skip
    return {k: {"Authorization": f"Bearer {v}"} for k, v in made.items()}


def test_every_exposed_command_is_there_and_nothing_else(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/v1/" + c.id.replace(".", "/") for c in commands()}
    assert not {"fleet.import", "history.prune", "evidence", "kill", "reboot", "caller.add"} & set(VIEWER + OPERATOR)
    assert set(TENANT) <= set(VIEWER + OPERATOR)


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer ck_wrong"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}]
)
def test_without_a_token_nothing_is_told(client, header):
    for command in commands():
        path = "/v1/" + command.id.replace(".", "/")
        found = client.get(path, headers=header) if is_read(command) else client.post(path, headers=header, json={})
        assert found.status_code == 401, command.id
        assert found.headers["content-type"] == "application/problem+json"
        assert found.headers["www-authenticate"] == "Bearer"
        assert "atlas" not in found.text


def test_a_viewer_looks_and_does_not_act(client, token):
    assert client.get("/v1/lease/list", headers=token["viewer"]).status_code == 200
    refused = client.post("/v1/supplier/add", json={"name": "x"}, headers=token["viewer"])
    assert (refused.status_code, refused.json()["title"]) == (403, "not allowed")
    assert client.post("/v1/supplier/add", json={"name": "x"}, headers=token["operator"]).status_code == 200


def test_a_tenant_sees_its_own_and_nothing_of_others(client, token):
    mine = token["tenant"]
    assert [x["lease"] for x in client.get("/v1/lease/list", headers=mine).json()] == ["L-atlas"]
    assert client.get("/v1/lease/list", params={"tenant": "berlin"}, headers=mine).status_code == 404
    assert client.get("/v1/lease/show", params={"lease": "L-atlas"}, headers=mine).status_code == 200
    for lease in ("L-berlin", "L-none"):
        found = client.get("/v1/lease/show", params={"lease": lease}, headers=mine)
        assert (found.status_code, found.json()["detail"]) == (404, f"there is no lease '{lease}'")
    for path in ("/v1/tenant/list", "/v1/pool/list", "/v1/meter/list", "/v1/nodes", "/v1/ledger/verify"):
        assert client.get(path, headers=mine).status_code == 403, path
    asked = {"tenant": "berlin", "plan": "hourly", "sku": "h100", "cards": 1}
    assert client.post("/v1/lease/request", json=asked, headers=mine).status_code == 404
    made = client.post("/v1/lease/request", json=asked | {"tenant": "atlas"}, headers=mine)
    assert (made.status_code, made.json()["state"], made.json()["tenant"]) == (200, "requested", "atlas")
    free = client.get("/v1/pool/available", headers=mine).json()
    assert free == [{"sku": "h100", "region": "riyadh", "cards": 16, "free": 14}]


def test_an_idempotency_key_means_one_request(client, token, folder):
    asked = {"tenant": "atlas", "plan": "hourly", "sku": "h100", "cards": 1}
    headers = token["operator"] | {"Idempotency-Key": "abc"}
    first, again = (client.post("/v1/lease/request", json=asked, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(client.get("/v1/lease/list", headers=token["operator"]).json()) == 3
    other = client.post("/v1/lease/request", json=asked | {"cards": 2}, headers=headers)
    assert other.status_code == 409
    assert (
        client.post("/v1/lease/request", json=asked, headers=token["tenant"] | {"Idempotency-Key": "abc"}).status_code
        == 200
    )
    with Ledger(folder, writes=False) as ledger:
        calls = ledger.rows("SELECT caller,command,status FROM api_call ORDER BY seq")
        assert [(c["caller"], c["status"]) for c in calls if c["command"] == "lease.request"] == [
            ("op", 200),
            ("atlas-desk", 200),
        ]
        assert {r["actor"] for r in ledger.rows("SELECT actor FROM lease_event WHERE state='requested'")} == {
            "op", "api:op", "api:atlas-desk",
        }  # fmt: skip


def test_refusals_are_problems_in_words(client, token):
    headers, inexact = token["operator"], {"kind": "payg", "currency": "USD", "price_per_card_hour": 0.1}
    for path, body, status, words in (
        ("/v1/lease/reserve", {"lease": "L-none", "cards": ["x"]}, 404, "there is no lease"),
        ("/v1/lease/reserve", {"lease": "L-atlas", "cards": ["x"]}, 409, "it can become"),
        ("/v1/lease/request", {"tenant": "atlas"}, 422, "plan: Field required"),
        ("/v1/lease/request", {"tenant": "atlas", "plan": "hourly", "sku": "h100", "cards": "1"}, 422, "cards"),
        ("/v1/supplier/add", {"name": "x", "nme": 1}, 422, "nme"),
        ("/v1/drain", {"targets": ["gpu01"], "reason": "x", "yes": True}, 409, "plan it first"),
        (
            "/v1/plan/add",
            {"name": "p", "document": inexact},
            409,
            "not exact",
        ),
        ("/v1/ledger/what-if", {"document": []}, 409, "JSON object"),
    ):
        found = client.post(path, json=body, headers=headers)
        assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json"), (
            path,
            found.text,
        )
        assert words in found.json()["detail"]
    assert client.get("/v1/nothing", headers=headers).status_code == 404
    assert client.delete("/v1/lease/list", headers=headers).status_code == 405
    assert client.post("/v1/supplier/add", content=b"{", headers=headers).status_code == 422
    large = client.post("/v1/supplier/add", content=b"x" * (MOST_BODY + 1), headers=headers)
    assert (large.status_code, large.headers["content-type"]) == (413, "application/problem+json")


def test_what_breaks_inside_shows_no_trace(client, token, monkeypatch, caplog):
    def broken(*_arguments, **_more):
        raise RuntimeError("secret path /root/x")

    monkeypatch.setattr("console.leasing.open_ledger", broken)
    found = client.get("/v1/lease/list", headers=token["viewer"])
    assert found.status_code == 500
    assert "secret" not in found.text
    assert "Traceback" not in found.text
    assert "secret path" in caplog.text


def test_too_many_requests_wait(folder, token):
    with TestClient(Api(Console(Config(data=folder)), Limit(0.5, 3)).app) as client:
        found = [client.get("/v1/plan/list", headers=token["viewer"]).status_code for _ in range(5)]
        assert found == [200, 200, 200, 429, 429]
        last = client.get("/v1/plan/list", headers=token["viewer"])
        assert int(last.headers["retry-after"]) >= 1
        assert client.get("/v1/plan/list", headers=token["operator"]).status_code == 200, "others are not held up"


def test_tokens_are_kept_as_hashes_and_end_at_once(folder, client, token):
    made = Callers(folder)
    text = (folder / "callers.json").read_text()
    for value in token.values():
        assert value["Authorization"].split()[1] not in text
    assert (folder / "callers.json").stat().st_mode & 0o777 == 0o600
    assert client.get("/v1/plan/list", headers=token["viewer"]).status_code == 200
    made.revoke("eye")
    assert client.get("/v1/plan/list", headers=token["viewer"]).status_code == 401
    for arguments, words in (
        (("x y", "viewer"), "letters"), (("x", "root"), "scope is one of"), (("x", "tenant"), "names its tenant"),
        (("x", "viewer", "atlas"), "names its tenant"),
    ):  # fmt: skip
        with pytest.raises(LedgerError, match=words):
            made.add(*arguments)
    with pytest.raises(LedgerError, match="no caller"):
        made.revoke("eye")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "gpu.example"])
def test_beyond_loopback_only_with_a_certificate(host):
    with pytest.raises(ConsoleError, match="not loopback"):
        check_place(host, None)
    check_place(host, Path("cert.pem"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_none(host):
    check_place(host, None)


@pytest.mark.slow
def test_no_request_that_fits_or_does_not_fit_the_schema_breaks_it(api, token):
    """Schemathesis over all that needs no node: no server error, answers as the schema says, bad data refused."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", api.app)
    schema.config.phases.coverage.enabled = False
    ran = 0
    for found in schema.include(path_regex=WITHOUT_NODES).get_all_operations():
        operation = found.ok()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def search(case):
            # What is only wrong in the token's header is right again here, and a query has no types.
            is_wrong = case.meta.generation.mode is GenerationMode.NEGATIVE
            case.call_and_validate(
                headers=token["operator"], excluded_checks=[negative_data_rejection] if is_wrong else []
            )

        search()
        ran += 1
    assert ran > 20


@pytest.fixture
def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


@pytest.fixture
def certificate(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key),
         "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.mark.slow
def test_a_server_over_a_demo_with_tls_plans_and_drains(tmp_path, certificate, free_port):
    cert, key = certificate
    made = subprocess.run(
        [sys.executable, "-m", "console", "caller", "add", "op", "--scope", "operator", "--data", str(tmp_path), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    token = json.loads(made.stdout)["token"]
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "serve", "--demo", "--port", str(free_port), "--cert", str(cert), "--key", str(key),
         "--data", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    context = ssl.create_default_context(cafile=str(cert))

    def call(path, body=None):
        request = urllib.request.Request(
            f"https://localhost:{free_port}{path}", None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=90, context=context) as answer:
            return json.loads(answer.read())

    try:
        end = time.monotonic() + 60
        while True:
            try:
                nodes = call("/v1/nodes")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, process.stdout.read().decode()
                assert time.monotonic() < end
                time.sleep(0.3)
        node = next(n["node"] for n in nodes if n["link"] == "live" and not n["node"].endswith("01-02"))
        look = call("/v1/drain", {"targets": [node], "reason": "maintenance", "plan": True})
        done = call(
            "/v1/drain", {"targets": [node], "reason": "maintenance", "yes": True, "digest": look["plan"]["digest"]}
        )
        assert done["done"]
        assert done["operation"]["by"] == "api:op"
        assert any(h["node"] == node for h in call("/v1/holds"))
        assert call("/v1/undrain", {"targets": [node], "reason": "over", "plan": True})["plan"]["targets"]
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
