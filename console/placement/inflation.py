"""Monte-Carlo inflation: pods with parts of cards, CPUs and memory fill a cluster and never leave, as the FGD paper measures
it.

Weng et al., "Beware of Fragmentation", USENIX ATC 2023: pods are drawn from a list until their demand is a multiple of the
cluster's cards; how much of the cards is allocated then? A node is scored by how much of its free card share no typical pod
could use more than before, in whole points of a hundred as the paper's scheduler counts them: that coarseness matters, because
what ties goes to the first node and so keeps the last ones whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from console.placement.errors import PlacementError
from console.placement.traces import WHOLE, Pod, TraceNode

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]
TYPICAL = 0.95
"""The commonest kinds of pods that make up so much of a list are its typical ones (the paper's threshold)."""
ARRIVED = 1.3
_BATCH = 400


class _Scores:
    """Of one kind of pod on every node: how good, and which card for a part of one; `seen` changes are in it."""

    def __init__(self, nodes: int) -> None:
        self.good: F8 = np.full(nodes, -np.inf)
        self.card: I8 = np.full(nodes, -1, dtype=np.int64)
        self.seen = -1


class Cluster:
    """Nodes with cards that are shared in thousandths."""

    def __init__(self, nodes: Sequence[TraceNode], pods: Sequence[Pod]) -> None:
        most = max(n.cards for n in nodes)
        self._models = np.array([n.model for n in nodes])
        self._cpu: I8 = np.array([n.cpu_milli for n in nodes], dtype=np.int64)
        self._memory: I8 = np.array([n.memory_mib for n in nodes], dtype=np.int64)
        self._free: I8 = np.array([[WHOLE] * n.cards + [0] * (most - n.cards) for n in nodes], dtype=np.int64)
        self.whole = int(self._free.sum())
        self._typical(pods)
        self._waste = self._wasted(np.arange(len(nodes)), self._cpu, self._memory, self._free)
        self._scores: dict[Pod, _Scores] = {}
        self._changes: list[int] = []

    def _typical(self, pods: Sequence[Pod]) -> None:
        kept, covered = [], 0
        for pod, count in Counter(pods).most_common():
            if covered >= TYPICAL * len(pods):
                break
            kept.append((pod, count))
            covered += count
        self._kinds = [pod for pod, _ in kept]
        share = np.array([count for _, count in kept], dtype=np.float64)
        self._share: F8 = share / share.sum()
        need_models, self._model = np.unique(self._models, return_inverse=True)
        self._accepts = np.array([[not p.models or m in p.models for p in self._kinds] for m in need_models])
        columns = [(p.cpu_milli, p.memory_mib, p.cards, p.card_milli) for p in self._kinds]
        self._of: I8 = np.array(columns, dtype=np.int64).T
        self._parts, self._part = np.unique(self._of[3], return_inverse=True)

    def _wasted(self, at: I8, cpu: I8, memory: I8, free: I8) -> F8:
        """Thousandths of cards that are free on nodes `at` in a state, and of no use to a typical pod."""
        need_cpu, need_memory, cards, _ = self._of
        parts, part, model = self._parts, self._part, self._model[at]
        out = np.empty(len(at))
        for begin in range(0, len(at), _BATCH):
            rows = slice(begin, begin + _BATCH)
            of_card = free[rows][:, None, :]
            enough = of_card >= parts[None, :, None]
            usable = enough & (of_card > 0)
            slivers = np.where(usable, 0, of_card).sum(axis=2)
            fits = (cpu[rows, None] >= need_cpu) & (memory[rows, None] >= need_memory) & (cards > 0)
            fits &= (usable.sum(axis=2)[:, part] >= cards) & self._accepts[model[rows]]
            out[rows] = np.where(fits, slivers[:, part], free[rows].sum(axis=1)[:, None]) @ self._share
        return out

    def _score(self, pod: Pod, at: I8) -> tuple[F8, I8]:
        cpu, memory, free = self._cpu[at], self._memory[at], self._free[at]
        good, card = np.full(len(at), -np.inf), np.full(len(at), -1, dtype=np.int64)
        ok = (cpu >= pod.cpu_milli) & (memory >= pod.memory_mib)
        if pod.models:
            ok &= np.isin(self._models[at], list(pod.models))

        def try_on(rows: npt.NDArray[np.intp], left: I8, which: int) -> None:
            if rows.size:
                less_cpu, less_memory = cpu[rows] - pod.cpu_milli, memory[rows] - pod.memory_mib
                value = self._waste[at[rows]] - self._wasted(at[rows], less_cpu, less_memory, left)
                better = value > good[rows] + 1e-9
                good[rows[better]], card[rows[better]] = value[better], which

        if not pod.cards or pod.card_milli == WHOLE:
            whole = free == WHOLE
            rows = np.flatnonzero(ok & (whole.sum(axis=1) >= pod.cards))
            taken = whole[rows] & (np.cumsum(whole[rows], axis=1) <= pod.cards)
            try_on(rows, free[rows] - WHOLE * taken, -1)
            return good, card
        if pod.cards > 1:
            raise PlacementError("a pod with parts of several cards is not in the paper's model")
        for which in range(free.shape[1]):
            fresh = ~(free[:, :which] == free[:, which : which + 1]).any(axis=1)
            rows = np.flatnonzero(ok & fresh & (free[:, which] >= pod.card_milli))
            left = free[rows].copy()
            left[:, which] -= pod.card_milli
            try_on(rows, left, which)
        return good, card

    def place(self, pod: Pod) -> bool:
        """Put a pod on the best node; whether there was one."""
        scores = self._scores.setdefault(pod, _Scores(len(self._cpu)))
        changed = range(len(self._cpu)) if scores.seen < 0 else sorted(set(self._changes[scores.seen :]))
        if changed:
            at = np.array(changed, dtype=np.int64)
            scores.good[at], scores.card[at] = self._score(pod, at)
        scores.seen = len(self._changes)
        points = np.where(np.isfinite(scores.good), np.floor(100.0 / (1.0 + np.exp(-scores.good / WHOLE))), -1.0)
        node = int(points.argmax())
        if points[node] < 0:
            return False
        self._take(node, pod, int(scores.card[node]))
        return True

    def _take(self, node: int, pod: Pod, card: int) -> None:
        self._cpu[node] -= pod.cpu_milli
        self._memory[node] -= pod.memory_mib
        if card >= 0:
            self._free[node, card] -= pod.card_milli
        elif pod.cards:
            self._free[node, np.flatnonzero(self._free[node] == WHOLE)[: pod.cards]] = 0
        at = np.array([node])
        self._waste[node] = self._wasted(at, self._cpu[at], self._memory[at], self._free[at])[0]
        self._changes.append(node)


def inflate(nodes: Sequence[TraceNode], pods: Sequence[Pod], arrived: float = ARRIVED, seed: int = 0) -> float:
    """Percent of all card share that is allocated when pods worth `arrived` times the cluster's cards have come.

    Raises:
        PlacementError: `arrived` is out of range.
    """
    if not 0.0 < arrived <= 10.0:
        raise PlacementError("what arrives is above 0 and at most 10 times the cluster's cards")
    cluster, rng = Cluster(nodes, pods), np.random.default_rng(seed)
    come = allocated = 0
    while come < arrived * cluster.whole:
        pod = pods[int(rng.integers(len(pods)))]
        demand = pod.cards * pod.card_milli
        come += demand
        allocated += demand if cluster.place(pod) else 0
    return 100.0 * allocated / cluster.whole
