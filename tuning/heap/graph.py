"""What is reached in a heap, and by which way."""
from collections import Counter, deque

from heap.dumpfile import Heap


def reached(heap: Heap) -> set[int]:
    seen = {at for _, targets in heap.holders for at in targets if at in heap.objects}
    todo = list(seen)
    while todo:
        for at in heap.objects[todo.pop()].targets:
            if at not in seen and at in heap.objects:
                seen.add(at)
                todo.append(at)
    return seen


def way_to(heap: Heap, wanted: set[int]) -> list[tuple[str, int | None]]:
    """The shortest from a holder to one of them: the holder, and then objects with their addresses; empty: there is none."""
    came: dict[int, int | str] = {}
    todo: deque[int] = deque()
    for holder, targets in heap.holders:
        for at in targets:
            if at in heap.objects and at not in came:
                came[at] = holder
                todo.append(at)
    while todo:
        at = todo.popleft()
        if at in wanted:
            return _walked(heap, came, at)
        for target in heap.objects[at].targets:
            if target in heap.objects and target not in came:
                came[target] = at
                todo.append(target)
    return []


def _walked(heap: Heap, came: dict[int, int | str], at: int) -> list[tuple[str, int | None]]:
    way: list[tuple[str, int | None]] = []
    step: int | str = at
    while isinstance(step, int):
        way.append((heap.objects[step].kind, step))
        step = came[step]
    way.append((step, None))
    return way[::-1]


def kinds(heap: Heap, which: set[int]) -> dict[str, tuple[int, int]]:
    """Of each kind how many objects, and bytes."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for at in which:
        one = heap.objects[at]
        counts[one.kind] += 1
        sizes[one.kind] += one.size
    return {kind: (counts[kind], sizes[kind]) for kind in counts}
