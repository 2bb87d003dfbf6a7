"""The fleet as rows for the map, the table and the filter: columns, texts, flags and conditions, once a tick. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from console.checkup import Checkup
from console.fleet.condition import Condition, Judged
from console.fleet.model import EntityKind
from console.fleet.query import Query, evaluate
from console.fleet.state import ReadingState
from console.past import PastFleet
from console.telemetry.live import Column, LiveFleet


class Rows:
    """A table over a fleet, live or past. GUI thread only.

    Attributes:
        live: the fleet behind it.
        checkup: findings and causes of the live fleet, judged: conditions and reasons, as of the last `refresh`.
        marked: UUIDs a person marked.
        out: UUIDs out of service, as the card books say; tenants: {UUID: whose it is}.
    """

    def __init__(self, live: LiveFleet | PastFleet, checkup: Checkup | None = None) -> None:
        """`checkup`: with a site's own rules."""
        self.live = live
        self.checkup = checkup or Checkup()
        self._past_checkup: Checkup | None = None
        self._columns: dict[str, Column] = {}
        self._texts: dict[str, list[str]] = {}
        self._told: dict[tuple[str, str], tuple[object, dict[str, str]]] = {}
        self._version = self._processes = self._happened = -1
        self._slices: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.marked: frozenset[str] | set[str] = frozenset()
        self.out: frozenset[str] = frozenset()
        self.tenants: dict[str, str] = {}
        self.judged = Judged(np.zeros(0, dtype=np.uint8), [])
        self.refresh()

    def refresh(self) -> None:
        """Forget the last tick's columns and judge anew."""
        self._columns.clear()
        if self._version != self.live.version:
            self._version = self.live.version
            self._texts.clear()
            self._slices = np.array([e.entity.kind is EntityKind.SLICE for e in self.live.entities], dtype=bool)
        if self._processes != self.live.processes_version:
            self._processes = self.live.processes_version
            self._texts.pop("user", None)
            self._texts.pop("job", None)
        if self._happened != self.live.happened:
            self._happened = self.live.happened
            self._texts.pop("xid", None)
        self.judged = self.shown_checkup.look(self.live)

    @property
    def shown_checkup(self) -> Checkup:
        """The checkup of what is shown; the live fleet's keeps its memory while the past is."""
        if not isinstance(self.live, PastFleet):
            return self.checkup
        if self._past_checkup is None:
            self._past_checkup = Checkup(self.checkup.triage)
        return self._past_checkup

    def condition(self, row: int) -> Condition:
        """The condition of a row; unknown for one that came after the last `refresh`."""
        conditions = self.judged.conditions
        return Condition(int(conditions[row])) if row < len(conditions) else Condition.UNKNOWN

    def count(self) -> int:
        """Rows: cards and slices."""
        return len(self.live.entities)

    def cards(self) -> int:
        """Rows that are whole cards."""
        return int(len(self._slices) - self._slices.sum())

    def _column(self, metric: str) -> Column:
        if metric not in self._columns:
            self._columns[metric] = self.live.column(metric)
        return self._columns[metric]

    def column(self, metric: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """(values, states, ages) of a metric; `mem` is memory used in percent."""
        if metric == "mem":
            used, total = self._column("memory_used"), self._column("memory_total")
            with np.errstate(invalid="ignore", divide="ignore"):
                return 100.0 * used.values / total.values, used.states, used.ages
        column = self._column(metric)
        return column.values, column.states, column.ages

    def texts(self, field: str) -> Sequence[str]:
        """The text of a field a row."""
        if field not in self._texts:
            self._texts[field] = self._make_texts(field)
        return self._texts[field]

    def text(self, field: str, row: int) -> str:
        """The text of a field of one row; cheaper than `texts` where few rows are shown."""
        if field in ("user", "job") and field not in self._texts:
            entity = self.live.entities[row].entity
            return self._owners(field, entity.node).get(entity.uuid, "")
        return self.texts(field)[row]

    def _make_texts(self, field: str) -> list[str]:
        live = self.live
        if field in ("user", "job"):
            texts: dict[str, str] = {}
            for node in live.configured:
                texts |= self._owners(field, node.name)
            return [texts.get(e.entity.uuid, "") for e in live.entities]
        if field == "xid":
            codes: dict[str, set[str]] = {}
            for event in live.events:
                if event.kind == "xid":
                    codes.setdefault(event.uuid, set()).add(str(event.code))
            return ["\n".join(sorted(codes.get(e.entity.uuid, ()))) for e in live.entities]
        nodes = live.configured
        out = []
        for e in live.entities:
            node = nodes[e.node_index]
            match field:
                case "uuid":
                    out.append(e.entity.uuid)
                case "node":
                    out.append(e.entity.node)
                case "name" | "sku":
                    out.append(e.entity.name)
                case "tenant":
                    out.append(self.tenants.get(e.entity.uuid, ""))
                case "rack" | "region" | "supplier":
                    out.append(str(getattr(node, field)))
                case _ if field.startswith("label."):
                    out.append(node.labels.get(field[6:], ""))
                case _:
                    out.append("")
        return out

    def _owners(self, field: str, node: str) -> dict[str, str]:
        """Users or jobs by card of a node; worked out anew only when the node told of other processes."""
        processes = self.live.processes(node)
        told, texts = self._told.get((field, node), (None, {}))
        if told is not processes:
            found: dict[str, set[str]] = {}
            for p in processes:
                found.setdefault(p.uuid, set()).add(p.user if field == "user" else p.slurm_job or p.pod)
            texts = {uuid: "\n".join(sorted(names)) for uuid, names in found.items()}
            self._told[field, node] = processes, texts
        return texts

    def set_books(self, out: frozenset[str], tenants: dict[str, str]) -> None:
        """Take over what the card books say."""
        if (out, tenants) != (self.out, self.tenants):
            self.out, self.tenants = out, tenants
            self._texts.pop("tenant", None)

    def flag(self, name: str) -> npt.NDArray[np.bool_]:
        """Whether a flag holds a row."""
        conditions = self.judged.conditions
        if name in ("critical", "warning", "notice", "unknown", "well"):
            mask: npt.NDArray[np.bool_] = conditions == Condition[name.upper()]
            return mask
        if name == "faulty":
            faulty: npt.NDArray[np.bool_] = conditions != Condition.WELL
            return faulty
        states = self._column("memory_used").states
        if name in ("lost", "stale"):
            held: npt.NDArray[np.bool_] = states == ReadingState[name.upper()]
            return held
        if name == "marked" and not self.marked:
            return np.zeros(self.count(), dtype=bool)
        if name == "marked":
            return np.array([e.entity.uuid in self.marked for e in self.live.entities], dtype=bool)
        if name in ("drained", "assigned"):
            wanted = self.out if name == "drained" else self.tenants.keys()
            return np.array([e.entity.uuid in wanted for e in self.live.entities], dtype=bool)
        if name == "slice":
            return self._slices
        util = self._column("utilization_gpu")
        fresh = util.states == ReadingState.FRESH
        values = np.nan_to_num(util.values)
        found: npt.NDArray[np.bool_] = fresh & ((values > 0) if name == "busy" else (values == 0))
        return found

    def select(self, query: Query) -> npt.NDArray[np.intp]:
        """The rows a query holds for."""
        return np.flatnonzero(evaluate(query, self))
