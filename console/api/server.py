"""The application: routes made of the commands, who may call them, what is told of it. Errors are problem+json (RFC 9457)."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from console import __version__
from console.api.exposed import arguments, commands, model
from console.app import Console, ConsoleError, acting_as
from console.callers import Caller, Callers, Limit
from console.exposure import is_read, may, path
from console.history.errors import HistoryError
from console.ledger.calls import Calls
from console.ledger.errors import LedgerError
from console.ledger.store import Ledger
from console.placement.errors import PlacementError
from console.registry import Command, Danger

_log = logging.getLogger(__name__)
PUMP_S = 0.5
MOST_BODY = 4 * 1024 * 1024
PROBLEM = "application/problem+json"
_REASONS = {
    400: "not understood", 401: "no or unknown token", 403: "not allowed", 404: "not there", 405: "not this method",
    409: "refused", 413: "too large", 422: "not understood", 429: "too many requests", 500: "internal error",
}  # fmt: skip


class Problem(HTTPException):
    """Something a caller is told; `detail` in words."""


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    body = {"type": "about:blank", "title": _REASONS.get(status, "error"), "status": status, "detail": detail}
    return JSONResponse(body, status, headers, PROBLEM)


class Api:
    """The API over one started console. One thread runs commands: the console is not made for more."""

    def __init__(self, console: Console, limit: Limit | None = None) -> None:
        self.console = console
        folder = console.config.history_folder
        self.callers = Callers(console.config.data)
        self._calls = Calls(Ledger(folder))
        self._limit = limit or Limit()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="api")
        self._bearer = HTTPBearer(auto_error=False)
        self.app = FastAPI(
            title="Cardkeeper", version=__version__, lifespan=self._life, docs_url=None, redoc_url=None,
            openapi_url="/openapi.json", description="Cards of a fleet, their health, and the business of selling them.",
        )  # fmt: skip
        self._handlers()
        for command in commands():
            self._route(command)
        self.app.add_middleware(_Bounded)

    @asynccontextmanager
    async def _life(self, _app: FastAPI) -> AsyncIterator[None]:
        pumping = asyncio.create_task(self._pump())
        yield
        pumping.cancel()
        self._worker.shutdown(wait=True)
        self._calls.close()

    async def _pump(self) -> None:
        """Take what the collector says while nobody asks: its pipe must not fill."""
        loop = asyncio.get_running_loop()
        while self.console.is_started:
            await loop.run_in_executor(self._worker, self.console.live.pump)
            await asyncio.sleep(PUMP_S)

    def _handlers(self) -> None:
        async def of_http(_: Request, exc: Exception) -> Response:
            assert isinstance(exc, HTTPException)
            return problem(exc.status_code, str(exc.detail), dict(exc.headers or {}))

        async def of_validation(_: Request, exc: Exception) -> Response:
            assert isinstance(exc, RequestValidationError)
            parts = [f"{'.'.join(str(p) for p in e['loc'][1:]) or 'body'}: {e['msg']}" for e in exc.errors()[:5]]
            return problem(422, "; ".join(parts))

        async def of_anything(_: Request, exc: Exception) -> Response:
            _log.error("a request failed", exc_info=exc)
            return problem(500, "the server could not do it; its log says why")

        self.app.add_exception_handler(HTTPException, of_http)
        self.app.add_exception_handler(RequestValidationError, of_validation)
        self.app.add_exception_handler(Exception, of_anything)

    def _caller(self) -> Callable[..., Awaitable[Caller]]:
        async def known(given: HTTPAuthorizationCredentials | None) -> Caller:
            caller = None if given is None else self.callers.of(given.credentials)
            wait = self._limit.wait_s("nobody" if caller is None else caller.name)
            if wait:
                raise Problem(429, f"wait {wait:.1f} s", {"Retry-After": str(math.ceil(wait))})
            if caller is None:
                raise Problem(401, "give a token: Authorization: Bearer ck_…", {"WWW-Authenticate": "Bearer"})
            return caller

        # What is local cannot be named in a text, which annotations of this module are.
        known.__annotations__["given"] = Annotated[HTTPAuthorizationCredentials | None, Depends(self._bearer)]
        return known

    def _route(self, command: Command) -> None:
        arguments_of, known = model(command), self._caller()
        said: dict[int | str, dict[str, Any]] = {
            code: {"model": ProblemBody, "description": _REASONS[code], "content": {PROBLEM: {}}}
            for code in (400, 401, 403, 404, 409, 413, 422, 429, 500)
        }
        shared = {
            "operation_id": command.id, "summary": command.title, "description": command.doc, "responses": said,
            "tags": [command.id.partition(".")[0]],
        }  # fmt: skip

        async def read(request: Request, caller: Caller, given: BaseModel) -> Response:
            return await self._answer(request, command, caller, given, "")

        async def write(
            request: Request, caller: Caller, given: BaseModel, idempotency_key: str | None = None
        ) -> Response:
            return await self._answer(request, command, caller, given, idempotency_key or "")

        handler: Any = read if is_read(command) else write
        handler.__annotations__ |= {
            "request": Request, "caller": Annotated[Caller, Depends(known)], "return": Response,
            "given": Annotated[arguments_of, Query()] if handler is read else arguments_of,
        }  # fmt: skip
        if handler is write:
            handler.__annotations__["idempotency_key"] = Annotated[str | None, Header(max_length=200)]
        add = self.app.get if handler is read else self.app.post
        add(path(command), **shared)(handler)  # type: ignore[arg-type]

    async def _answer(self, request: Request, command: Command, caller: Caller, given: BaseModel, key: str) -> Response:
        loop = asyncio.get_running_loop()
        status, body = await loop.run_in_executor(self._worker, self._run, command, caller, given, key)
        return Response(body, status, media_type=PROBLEM if status >= 400 else "application/json")

    # In the worker's thread

    def _run(self, command: Command, caller: Caller, given: BaseModel, key: str) -> tuple[int, str]:
        digest = hashlib.sha256(f"{command.id}\n{given.model_dump_json()}".encode("utf-8", "replace")).hexdigest()
        if key and (before := self._calls.answered(caller.name, key)) is not None:
            if before.digest != digest:
                return _problem(409, "that idempotency key was used for another request")
            return before.status, before.body
        try:
            status, body = 200, _dumped(self._call(command, caller, given))
        except Problem as exc:
            status, body = _problem(exc.status_code, str(exc.detail))
        except (ConsoleError, LedgerError, PlacementError, HistoryError) as exc:
            text = str(exc)
            status, body = _problem(404 if text.startswith("there is no ") else 409, text)
        except Exception as exc:  # noqa: BLE001 - a caller is never shown a stack trace
            _log.error("%s failed for %s", command.id, caller.name, exc_info=exc)
            status, body = _problem(500, "the server could not do it; its log says why")
        is_kept = bool(key) and status < 500
        self._calls.note(caller.name, command.id, digest, status, key if is_kept else "", body if is_kept else "")
        return status, body

    def _call(self, command: Command, caller: Caller, given: BaseModel) -> Any:
        if not may(caller, command):
            raise Problem(403, f"a caller of scope {caller.scope} may not call {command.id}")
        values = arguments(command, given)
        if caller.scope == "tenant":
            self._own(command, caller, values)
        if command.danger is Danger.NODE and values.get("yes") and not values.get("digest"):
            raise Problem(409, "plan it first (plan: true), look at it, and give its digest with yes: true")
        assert command.run is not None
        with acting_as(f"api:{caller.name}"):
            return command.run(self.console, **values)

    def _own(self, command: Command, caller: Caller, values: dict[str, Any]) -> None:
        """A tenant's caller means its own tenant; what is another's is not there."""
        if "tenant" in values:
            if values["tenant"] not in ("", None, caller.tenant):
                raise Problem(404, f"there is no tenant {values['tenant']!r}")
            values["tenant"] = caller.tenant
        for name, table in (("lease", "lease"), ("invoice", "invoice")):
            if command.id in (f"{table}.show",) and self._calls.owner(table, str(values[name])) != caller.tenant:
                raise Problem(404, f"there is no {table} {values[name]!r}")


def _problem(status: int, detail: str) -> tuple[int, str]:
    body = {"type": "about:blank", "title": _REASONS.get(status, "error"), "status": status, "detail": detail}
    return status, json.dumps(body, ensure_ascii=True)


def _dumped(value: Any) -> str:
    return json.dumps(_clean(value), ensure_ascii=True, allow_nan=False, default=str)


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v) for v in value]
    return value


class _Bounded:
    """Refuses bodies that are too large before they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BODY:
            await problem(413, f"a body has at most {MOST_BODY} bytes")(scope, receive, send)
            return

        async def bounded() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY:
                raise Problem(413, f"a body has at most {MOST_BODY} bytes")
            return message

        await self._app(scope, bounded, send)


def check_place(host: str, cert: Path | None) -> None:
    """Whether it may listen there.

    Raises:
        ConsoleError: it would leave this machine without TLS.
    """
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not is_local and cert is None:
        raise ConsoleError(
            f"{host} is not loopback: tokens and bills would travel in the clear. Give --cert and --key, or let callers come "
            "through an SSH tunnel: ssh -L 8089:127.0.0.1:8089 HOST"
        )


def serve(console: Console, host: str, port: int, cert: Path | None, key: Path | None) -> int:
    """Serve until told to end; the exit status.

    Raises:
        ConsoleError: it may not listen there, or a certificate has no key.
    """
    check_place(host, cert)
    if (cert is None) != (key is None):
        raise ConsoleError("--cert and --key go together")
    api = Api(console)
    if not api.callers.listing():
        _log.warning("nobody may call yet; make a token with: cardkeeper caller add NAME --scope viewer")
    config = uvicorn.Config(
        api.app, host=host, port=port, log_config=None, access_log=False, server_header=False,
        ssl_certfile=None if cert is None else str(cert), ssl_keyfile=None if key is None else str(key),
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1
