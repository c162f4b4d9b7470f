"""The state table of a session: every legal move, every illegal one, and its page."""

from itertools import product
from pathlib import Path

import pytest

from punchgate.protocols.zk.session import TRANSITIONS, Move, Session, State

_PAGE = Path(__file__).parents[3] / "docs/protocols/zk-4370.md"


@pytest.mark.parametrize(("state", "move"), list(product(State, Move)))
def test_a_move_is_made_or_raises(state: State, move: Move) -> None:
    session = Session(5)
    session.state = state
    goal = TRANSITIONS[state].get(move)
    assert session.may(move) == (goal is not None)
    if goal is None:
        with pytest.raises(ValueError, match=f"{move.name} is not possible .* {state.name}"):
            session.move(move)
        assert session.state is state
    else:
        session.move(move)
        assert session.state is goal


def test_every_state_but_the_last_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(Move.EXIT in moves for state, moves in TRANSITIONS.items() if moves)
    reached = {goal for moves in TRANSITIONS.values() for goal in moves.values()}
    assert reached == set(State) - {State.FRESH}


def test_the_page_draws_this_table() -> None:
    rows = []
    for state, moves in TRANSITIONS.items():
        listed = ", ".join(f"{move.name} → {goal.name}" for move, goal in moves.items())
        rows.append(f"| {state.name} | {listed} |" if listed else f"| {state.name} | |")
    page = _PAGE.read_text("utf-8")
    assert [row for row in rows if row not in page] == []
