"""A page that is told the changes shows what a page that comes now is shown."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from queueadmin.boards import changes
from queueadmin.frames import Alert, Board, Figures, Hand, Line, Running, Waiting, encode
from tests.dashboards import merge

ids = st.integers(1, 6)
small = st.integers(0, 3)
names = st.sampled_from(["ana", "ben"])
running = st.builds(
    Running,
    user=names,
    guest=st.booleans(),
    created=st.just(1.0),
    claimed=st.just(2.0),
    before=small,
    strikes=small,
    worker=names,
)
waiting = st.builds(Waiting, user=names, guest=st.booleans(), created=st.just(1.0), tokens=small)
figures = st.builds(
    Figures,
    waiting=small,
    running=small,
    limit=small,
    size=small,
    running_per_user=small,
    waiting_per_user=small,
    paused=st.booleans(),
    slots=small,
    binds=names,
    alive=small,
    workers=small,
    speed=st.just(1.5),
    oldest=st.none() | st.just(3.0),
    wait=names,
    effect=names,
    notes=st.just({}),
)
hands = st.builds(
    Hand,
    name=names,
    state=names,
    words=names,
    model=names,
    device=names,
    host=names,
    slots=small,
    capacity=small,
    running=small,
    speed=st.just(1.5),
    memory=small,
    quiet=small,
    beat=st.just(0.0),
)
boards = st.builds(
    Board,
    protocol=st.just(1),
    queue=st.just(1),
    name=st.just("default"),
    may=st.just(()),
    now=st.floats(0, 9),
    figures=figures,
    running=st.dictionaries(ids, running),
    tokens=st.dictionaries(ids, small),
    waiting=st.dictionaries(ids, waiting),
    order=st.lists(ids, unique=True).map(tuple),
    held=st.lists(ids, unique=True).map(tuple),
    workers=st.dictionaries(ids, hands),
    alerts=st.lists(st.builds(Alert, names, names, names, names), max_size=2).map(tuple),
    trail=st.dictionaries(ids, st.builds(Line, st.just(1.0), names, names)),
)


def shown(board: Board) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(encode(board))
    del page["now"]
    return page


@given(boards, boards)
def test_changes_lead_from_one_board_to_the_other(before: Board, after: Board) -> None:
    page = copy.deepcopy(shown(before))
    frame = changes(before, after)
    if frame is not None:
        merge(page, json.loads(encode(frame)))
    assert page == shown(after)


@given(boards, st.floats(0, 9))
def test_the_time_alone_is_no_change(board: Board, now: float) -> None:
    later = Board(**{name: getattr(board, name) for name in board.__struct_fields__} | {"now": now})
    assert changes(board, later) is None
