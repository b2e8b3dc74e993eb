"""A batch of environments stepped from Python, on JAX's default device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import error
from gymnasium.vector import AutoresetMode
from jaxtyping import Array, Bool, Integer

from gridmem.envs.adapters import vector_programs
from gridmem.envs.adapters.outputs import (
    StepOutputs,
    batch_outputs,
    buffer_dtype,
    final_infos,
    unpack,
)
from gridmem.envs.adapters.simulator import scene
from gridmem.envs.adapters.vector_programs import VectorConfig
from gridmem.envs.batch.autoreset import VectorState
from gridmem.envs.batch.seeding import seed_key
from gridmem.envs.checks import refuse_forks
from gridmem.envs.types import Level


class VectorSimulator:
    """Plays episodes of a batch. Can be pickled and deep-copied at any time.

    Attributes:
        config: the batch and the form of its outputs.
        seeded: which environments have a stream of levels, bool[N].
        ended: which episodes are over, bool[N]; always False with JAX output, since the host does
            not wait for it.
    """

    def __init__(self, config: VectorConfig) -> None:
        num_envs = config.batch.num_envs
        self.config = config
        self.seeded = np.zeros(num_envs, bool)
        self.ended = np.zeros(num_envs, bool)
        self._keys = np.zeros((num_envs, 2), np.uint32)
        self._dtype = buffer_dtype(config.batch.env, "dict", num_envs)
        self._state: VectorState | None = None
        # Levels given by the user: environment -> (its `VectorState.episode` meanwhile, level).
        self._given: dict[int, tuple[int, Level]] = {}

    @property
    def levels(self) -> Level:
        """The present levels, as numpy arrays, leaves [N, ...]."""
        refuse_forks()
        state = self._require_state()
        levels = jax.tree.map(np.array, vector_programs.generate_levels(self.config.batch, state))
        episode = np.asarray(state.episode)
        for index, (number, given) in self._given.items():
            if episode[index] == number:
                for leaf, row in zip(levels, given, strict=True):
                    leaf[index] = row
        return levels

    @property
    def device(self) -> jax.Device:
        """The device of the batch: JAX's default device at its first reset."""
        array = jnp.zeros(()) if self._state is None else self._state.episode
        return next(iter(array.devices()))

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Present tiles u8[N,H,W], positions i32[N,1,2] and last actions i32[N,1]."""
        return scene(self._require_state().envs)

    def reset(
        self, mask: Bool[np.ndarray, " N"], seeds: list[int | None], levels: Level | None
    ) -> StepOutputs:
        """Begins episodes in the marked environments.

        Args:
            mask: the environments to reset; all of them the first time.
            seeds: for each environment the seed of a new stream of levels, or None to continue its
                stream.
            levels: leaves [N, ...], to be played instead of the next levels of the streams.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            gymnasium.error.ResetNeeded: if the mask leaves some out before all have started, or
                after an interrupted step.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        if self._state is None and not mask.all():
            raise error.ResetNeeded("reset_mask leaves out environments that have never started")
        keys, reseeded = self._keys.copy(), np.zeros_like(mask)
        for index, seed in enumerate(seeds):
            if seed is not None and mask[index]:
                keys[index], reseeded[index] = seed_key(seed), True
        if self._state is None or mask.all():
            zeros = np.zeros(len(mask), np.uint32)
            episode = zeros if self._state is None else np.asarray(self._state.episode)
            state, raw = vector_programs.reset_batch(self.config, keys, episode, reseeded, levels)
        else:
            state = self._require_state()._replace(keys=jnp.asarray(keys))
            state, raw = vector_programs.restart_batch(self.config, state, mask, reseeded, levels)
        # Committed to its device, like the outputs of a step: else a second step would be compiled.
        state = jax.device_put(state, self.device)
        outputs = self._to_host(raw, mask)
        given = {i: given for i, given in self._given.items() if not mask[i]}
        if levels is not None:
            episode = np.asarray(state.episode).tolist()
            for i in np.flatnonzero(mask).tolist():
                given[i] = episode[i], Level(*(leaf[i] for leaf in levels))
        # Assigned together, so that an interrupted reset changes nothing.
        self._state, self._keys, self._given = state, keys, given
        self.seeded, self.ended = self.seeded | reseeded, self.ended & ~mask
        return outputs

    def step(self, actions: Integer[Array, " N"] | Integer[np.ndarray, " N"]) -> StepOutputs:
        """Advances every environment; actions other than 0..3 do nothing.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset, after an interrupted step and, in
                disabled mode with numpy output, if an episode is over.
            RuntimeError: in a process forked from one that had already used JAX.
        """
        refuse_forks()
        state = self._require_state()
        if self.config.mode is AutoresetMode.DISABLED and self.ended.any():
            raise error.ResetNeeded(
                "step was called after the end of an episode in environments "
                f"{np.flatnonzero(self.ended).tolist()}; call reset with options['reset_mask'], "
                "or make the batch with an autoreset_mode"
            )
        envs, keys, episode, done = state
        state, raw = vector_programs.step_batch(self.config, envs, done, keys, episode, actions)
        outputs, ended = self._to_host(raw, np.ones_like(self.ended)), self.ended
        if self.config.output == "numpy":
            ended = outputs[2] | outputs[3]
        self._state, self.ended = state, ended
        return outputs

    def _to_host(self, raw: Any, mask: np.ndarray) -> StepOutputs:
        """The outputs of `_outputs`; for numpy they are fetched and unpacked here."""
        if self.config.output == "jax":
            return raw
        format, (buffers, *final) = self.config.format, raw
        outputs = batch_outputs(self._fetch(*buffers), format, mask)
        if final and (done := outputs[2] | outputs[3]).any():
            outputs[4].update(final_infos(self._fetch(*final[0]), format, done))
        return outputs

    def _fetch(self, buffer: Array, flat: Array | None = None) -> dict[str, np.ndarray]:
        fields = unpack(buffer, self._dtype)
        return fields if flat is None else {**fields, "flat": np.array(flat)}

    def _require_state(self) -> VectorState:
        if self._state is None:
            raise error.ResetNeeded("there are no episodes yet; call reset first")
        if self._state.envs.time.is_deleted():
            raise error.ResetNeeded(
                "a step was interrupted, and the episodes are lost; call reset, without a "
                "reset_mask, to begin new ones"
            )
        return self._state

    def __getstate__(self) -> dict[str, Any]:
        refuse_forks()
        state = None if self._state is None else self._require_state()
        return self.__dict__ | {"_state": jax.device_get(state)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        refuse_forks()
        on_host = state.pop("_state")
        self.__dict__.update(state | {"_state": None})
        self._state = jax.device_put(on_host, self.device)
