"""The layout of a board: traces routed on a lattice in steps of 45 and 90 degrees, round pads and vias with holes,
square pads without.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.data.synthetic.dice import Dice

SUPER = 2
"""Masks are drawn at this many times the picture's size and reduced, which gives smooth edges."""

Node = tuple[int, int]
_STEPS: tuple[Node, ...] = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))


@dataclass(frozen=True, slots=True)
class CopperPad:
    """A pad or via. Positions and lengths are in mask pixels (`SUPER` times the picture's).

    Args:
        x, y: centre.
        radius: of the copper; half the side of a square pad.
        hole: radius of the drill hole; 0 for a square pad, which has none.
        net: number of the net it belongs to.
    """

    x: float
    y: float
    radius: float
    hole: float
    net: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One net's polyline over lattice nodes.

    Args:
        nodes: lattice nodes in order, each a lattice neighbour of the one before.
        width: in mask pixels.
        net: number of the net.
    """

    nodes: tuple[Node, ...]
    width: float
    net: int


@dataclass(slots=True)
class Board:
    """A layout. `owner` says which net holds a lattice node; nodes that must stay empty beside a diagonal are held by
    net -1.
    """

    size: int
    pitch: float
    origin: tuple[float, float]
    count: int
    trace_width: float
    traces: list[Trace] = field(default_factory=list)
    pads: list[CopperPad] = field(default_factory=list)
    owner: dict[Node, int] = field(default_factory=dict)
    pad_nodes: set[Node] = field(default_factory=set)

    def place(self, node: Node) -> tuple[float, float]:
        """Mask pixels of a lattice node."""
        return self.origin[0] + node[0] * self.pitch, self.origin[1] + node[1] * self.pitch

    def free(self, node: Node) -> bool:
        """Return whether `node` is on the lattice and nothing holds it."""
        return 0 <= node[0] < self.count and 0 <= node[1] < self.count and node not in self.owner


def lay_out(dice: Dice, size: int) -> Board:
    """Return a random layout for a picture of `size` pixels a side. The lattice pitch grows with the root of the size: 15-20
    px at 128.
    """
    pitch = SUPER * dice.between(15.0, 20.0) * (size / 128.0) ** 0.5
    origin = (-pitch * dice.unit(), -pitch * dice.unit())
    count = int(size * SUPER / pitch) + 3
    board = Board(size, pitch, origin, count, trace_width=pitch * dice.between(0.4, 0.5))
    main = dice.whole(0, 3) * 2
    net = 0
    for start in _footprints(dice, board):
        if board.free(start):
            net += 1
            _add_net(dice, board, start, main if dice.chance(0.75) else dice.whole(0, 3) * 2, net)
    for _ in range(count):
        start = _edge_node(dice, board, main)
        if board.free(start):
            net += 1
            _add_net(dice, board, start, main, net, from_edge=True)
    return board


def _footprints(dice: Dice, board: Board) -> list[Node]:
    """Choose the starting nodes of nets: a few rows of pads, as parts have them, and some single ones."""
    starts: list[Node] = []
    for _ in range(max(2, board.count // 4)):
        column, row = dice.whole(0, board.count - 1), dice.whole(0, board.count - 1)
        along = dice.pick(((1, 0), (0, 1)))
        spacing = dice.whole(1, 2)
        starts += [(column + along[0] * spacing * k, row + along[1] * spacing * k) for k in range(dice.whole(2, 4))]
    starts += [(dice.whole(0, board.count - 1), dice.whole(0, board.count - 1)) for _ in range(board.count)]
    return starts


def _edge_node(dice: Dice, board: Board, heading: int) -> Node:
    last, other = board.count - 1, dice.whole(0, board.count - 1)
    return {0: (0, other), 2: (other, 0), 4: (last, other), 6: (other, last)}[heading]


def _add_net(dice: Dice, board: Board, start: Node, heading: int, net: int, *, from_edge: bool = False) -> None:
    """Walk from `start` until something is in the way; put a pad at each end that lies inside the board."""
    nodes = _walk(dice, board, start, heading, net)
    if len(nodes) < 2 and (from_edge or dice.chance(0.5)):
        for node in nodes:
            del board.owner[node]
        return
    wide = 1.3 if dice.chance(0.15) else 1.0
    if len(nodes) > 1:
        board.traces.append(Trace(tuple(nodes), board.trace_width * wide, net))
    last = nodes[-1]
    inside = 0 < last[0] < board.count - 1 and 0 < last[1] < board.count - 1
    ends = ([] if from_edge else [start]) + ([last] if inside and last != start else [])
    for node in ends:
        x, y = board.place(node)
        board.pad_nodes.add(node)
        if dice.chance(0.25):
            board.pads.append(CopperPad(x, y, board.pitch * dice.between(0.32, 0.4), 0.0, net))
        else:
            radius = board.pitch * dice.between(0.38, 0.46)
            board.pads.append(CopperPad(x, y, radius, radius * dice.between(0.46, 0.6), net))


def _walk(dice: Dice, board: Board, start: Node, heading: int, net: int) -> list[Node]:
    nodes = [start]
    board.owner[start] = net
    direction = heading
    limit = dice.whole(3, 2 * board.count)
    while len(nodes) < limit:
        turns = [direction]
        if direction != heading:
            turns = [heading, direction] if _turn(direction, heading) <= 1 and dice.chance(0.6) else [direction, heading]
        elif dice.chance(0.14):
            turns = [(direction + dice.pick((-1, 1))) % 8, direction]
        else:
            turns = [direction, (direction + 1) % 8, (direction - 1) % 8]
        step = next((turn for turn in turns if _turn(turn, direction) <= 1 and _open(board, nodes[-1], turn)), None)
        if step is None:
            break
        direction = step
        _occupy(board, nodes, direction, net)
    return nodes


def _turn(one: int, other: int) -> int:
    """Eighths of a full turn between two headings: 0 to 4."""
    difference = abs(one - other) % 8
    return min(difference, 8 - difference)


def _open(board: Board, node: Node, direction: int) -> bool:
    """Return whether a trace may go on from `node`: the next node is free and, on a diagonal, so are the two it passes
    between.
    """
    dx, dy = _STEPS[direction]
    if not board.free((node[0] + dx, node[1] + dy)):
        return False
    return not (dx and dy) or ((node[0] + dx, node[1]) not in board.owner and (node[0], node[1] + dy) not in board.owner)


def _occupy(board: Board, nodes: list[Node], direction: int, net: int) -> None:
    dx, dy = _STEPS[direction]
    x, y = nodes[-1]
    nodes.append((x + dx, y + dy))
    board.owner[(x + dx, y + dy)] = net
    if dx and dy:  # anything on the two nodes passed would all but touch the diagonal
        board.owner[(x + dx, y)] = -1
        board.owner[(x, y + dy)] = -1
