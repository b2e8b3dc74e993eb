"""A batch driven from Python, a call a step, on JAX's default device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import error
from gymnasium.vector import AutoresetMode
from jaxtyping import Array, Bool, Integer

from gridmem.envs.adapters.packing import layout
from gridmem.envs.adapters.vector_outputs import Answer, final_infos, host_answer
from gridmem.envs.adapters.vector_programs import Setup, generate, reset, restart, step
from gridmem.envs.batch.autoreset import VectorState
from gridmem.envs.batch.seeding import seed_key
from gridmem.envs.forks import refuse_forks
from gridmem.envs.types import Level


class VectorSimulator:
    """Plays episodes of a batch. It pickles and deep-copies, also in the middle of episodes.

    Attributes:
        setup: what is played, and how it is told.
        seeded: which environments have a stream of levels, bool[N].
        ended: whose episodes are over, bool[N]; with JAX output the host does not know, and it
            stays False.
    """

    def __init__(self, setup: Setup) -> None:
        num_envs = setup.batch.num_envs
        self.setup = setup
        self.seeded = np.zeros(num_envs, bool)
        self.ended = np.zeros(num_envs, bool)
        self._keys = np.zeros((num_envs, 2), np.uint32)
        self._layout = layout(setup.batch.env, "dict", num_envs)
        self._state: VectorState | None = None
        # Levels given by the user, each with the place of the stream at which it is played.
        self._given: dict[int, tuple[int, Level]] = {}

    @property
    def levels(self) -> Level:
        """The levels that are played now, as numpy arrays that lead with N."""
        refuse_forks()
        state = self._started()
        levels = jax.tree.map(np.array, generate(self.setup.batch, state))
        episode = np.asarray(state.episode)
        for index, (place, given) in self._given.items():
            if episode[index] == place:
                for leaf, row in zip(levels, given, strict=True):
                    leaf[index] = row
        return levels

    @property
    def device(self) -> jax.Device:
        """Where the batch is: where it began, on JAX's default device."""
        array = jnp.zeros(()) if self._state is None else self._state.episode
        return next(iter(array.devices()))

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tiles u8[N,H,W], positions i32[N,1,2] and last actions i32[N,1] as they are now."""
        envs = self._started().envs
        world = envs.world
        return np.array(world.tiles), np.array(world.position), np.array(envs.last_action)

    def reset(
        self, mask: Bool[np.ndarray, " N"], seeds: list[int | None], levels: Level | None
    ) -> Answer:
        """Begins episodes in the marked environments.

        Args:
            mask: which ones; all of them the first time.
            seeds: for each environment the seed of a new stream of levels, or None if its
                stream goes on.
            levels: leaves [N, ...], to be played instead of the next levels of the streams.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            gymnasium.error.ResetNeeded: if some are left out before all have started, or after an
                interrupted step.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        if self._state is None and not mask.all():
            raise error.ResetNeeded("reset_mask leaves out environments that have never started")
        keys, anew = self._keys.copy(), np.zeros_like(mask)
        for index, seed in enumerate(seeds):
            if seed is not None and mask[index]:
                keys[index], anew[index] = seed_key(seed), True
        if self._state is None or mask.all():
            none = np.zeros(len(mask), np.uint32)
            place = none if self._state is None else np.asarray(self._state.episode)
            state, told = reset(self.setup, keys, place, anew, levels)
        else:
            state = self._started()._replace(keys=jnp.asarray(keys))
            state, told = restart(self.setup, state, mask, anew, levels)
        # Bound to its device, as what a step returns may be: else two steps would be compiled.
        state = jax.device_put(state, self.device)
        answer = self._answer(told, mask)
        given = self._given_now(state, mask, levels)
        # Together, so that an interrupted reset has not happened.
        self._state, self._keys, self._given = state, keys, given
        self.seeded, self.ended = self.seeded | anew, self.ended & ~mask
        return answer

    def step(self, actions: Integer[Array, " N"] | Integer[np.ndarray, " N"]) -> Answer:
        """Advances every environment; an action other than 0..3 is no move.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset, after an interrupted step, and,
                where the host knows of it, if an episode is over that nothing will reset.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        state = self._started()
        if self.setup.mode is AutoresetMode.DISABLED and self.ended.any():
            raise error.ResetNeeded(
                "step was called after the end of an episode in environments "
                f"{np.flatnonzero(self.ended).tolist()}; call reset with options['reset_mask'], "
                "or make the batch with an autoreset_mode"
            )
        envs, keys, episode, done = state
        state, told = step(self.setup, envs, done, keys, episode, actions)
        answer, ended = self._answer(told, np.ones_like(self.ended)), self.ended
        if self.setup.output == "numpy":
            ended = answer[2] | answer[3]
        self._state, self.ended = state, ended
        return answer

    def _answer(self, told: Any, mask: np.ndarray) -> Answer:
        """From what the device told, which is the answer itself or buffers of it."""
        if self.setup.output == "jax":
            return told
        format, (buffers, *final) = self.setup.format, told
        answer = host_answer(self._fetch(*buffers), format, mask)
        if final and (done := answer[2] | answer[3]).any():
            answer[4].update(final_infos(self._fetch(*final[0]), format, done))
        return answer

    def _fetch(self, buffer: Array, flat: Array | None = None) -> dict[str, np.ndarray]:
        record = np.array(buffer).view(self._layout)[0]  # a copy: writable, and nobody else's
        fields = {name: record[name] for name in self._layout.names or ()}
        if flat is not None:
            fields["flat"] = np.array(flat)
        return fields

    def _given_now(
        self, state: VectorState, mask: np.ndarray, levels: Level | None
    ) -> dict[int, tuple[int, Level]]:
        """The levels given by the user after a reset that led to `state`."""
        episode, given = np.asarray(state.episode).tolist(), dict(self._given)
        for index in np.flatnonzero(mask).tolist():
            given.pop(index, None)
            if levels is not None:
                given[index] = episode[index], Level(*(leaf[index] for leaf in levels))
        return given

    def _started(self) -> VectorState:
        if self._state is None:
            raise error.ResetNeeded("there are no episodes yet; call reset first")
        if self._state.envs.time.is_deleted():
            raise error.ResetNeeded(
                "a step was interrupted, and the episodes are lost; call reset, without a "
                "reset_mask, to begin new ones"
            )
        return self._state

    def __getstate__(self) -> dict[str, Any]:
        state = None if self._state is None else self._started()
        return self.__dict__ | {"_state": jax.device_get(state)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        on_host = state.pop("_state")
        self.__dict__.update(state | {"_state": None})
        self._state = jax.device_put(on_host, self.device)
