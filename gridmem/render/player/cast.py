"""Who moves the agents."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from gridmem.render.player.controllers import Answer, Player
from gridmem.render.player.episode import Session

YOU, AGENT, ORACLE = "you", "agent", "oracle"


class Cast(NamedTuple):
    """Who can play.

    Attributes:
        players: by name; `AGENT` is the trained one.
        lead: who moves the agent in focus at first: `YOU` or one of the players.
        crowd: who moves the others: one of the players.
        advises: whether the trained agent tells from the beginning what it thinks; if not, only
            once it has been asked to play.
    """

    players: Mapping[str, Player]
    lead: str
    crowd: str
    advises: bool = True

    def actions(
        self, session: Session, focus: int, lead: str, action: int | None
    ) -> Int32[np.ndarray, " A"]:
        """What all agents do next.

        Args:
            session: the episode, at the time that is looked at.
            focus: the agent in focus.
            lead: who moves it.
            action: its action where that is a person, else None.
        """
        if session.env.num_agents > 1:
            actions = session.ask(self.players[self.crowd]).action.copy()
        else:
            actions = np.zeros(1, np.int32)
        chosen = session.ask(self.players[lead]).action[focus] if action is None else action
        actions[focus] = chosen
        return actions

    def advice(self, session: Session) -> Answer | None:
        """What the trained agent makes of what it is told; None without one."""
        return session.ask(self.players[AGENT]) if AGENT in self.players else None
