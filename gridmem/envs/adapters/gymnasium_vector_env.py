"""GridMem for Gymnasium, many environments at a time."""

from typing import Any, get_args

import numpy as np
from gymnasium import logger, spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gridmem.envs.adapters.observations import checked_format, observation_space
from gridmem.envs.adapters.simulator import PICTURE_MODES, RENDER_FPS
from gridmem.envs.adapters.vector_inputs import (
    checked_batch,
    checked_mask,
    checked_seeds,
    device_actions,
    host_actions,
)
from gridmem.envs.adapters.vector_programs import Output, Setup
from gridmem.envs.adapters.vector_simulator import VectorSimulator
from gridmem.envs.batch import autoreset as vector
from gridmem.envs.config import plain
from gridmem.envs.env import NUM_ACTIONS, Env
from gridmem.envs.registry import make_single
from gridmem.envs.suggest import nearest
from gridmem.envs.types import Level

_MODES = [mode.value for mode in AutoresetMode]


class GridMemVectorEnv(VectorEnv[Any, Any, Any]):
    """One agent in each of N caves, stepped together; usually through `gymnasium.make_vec`.

    It answers what `gymnasium.vector.SyncVectorEnv` of N `GridMemEnv` would, seeds, autoreset modes
    and infos included, and steps all of them by one program. With `output="numpy"`, observations
    are as `observation_space` says, rewards f64[N], terminations and truncations bool[N], infos
    `last_action` i64[N], `last_reward` f64[N], `visits` i64[N] and `steps` i64[N], each with a
    mask, all of them new and writable.

    With `output="jax"` the same are JAX arrays on JAX's default device, in 32 bits, and `step`
    neither waits for the device nor copies to the host; `torch.from_dlpack` takes them over without
    a copy. What only the host could know is different there: in same-step mode `final_obs` and
    `final_info` are always there, for all of the batch, with masks that say where they count; an
    action other than 0..3, unless in a numpy array or a list, is not refused and does nothing;
    and stepping past an end in disabled mode is not refused, see `Env.step`.

    Args:
        env_id: one of the ids in the README.
        num_envs: N, 1 or more.
        render_mode: "rgb_array", "ansi" or None.
        observation: "view", "dict" or "flat".
        autoreset_mode: an `AutoresetMode` or its value: "NextStep", "SameStep", "Disabled". Only
            the value can be written to JSON with the spec.
        output: "numpy" or "jax".
        **overrides: options of `gridmem.make`; `max_episode_steps` is Gymnasium's name for
            `max_steps`.

    Raises:
        ValueError: for an unknown id or option, a value that cannot be, or more than one agent.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": PICTURE_MODES,
        "render_fps": RENDER_FPS,
    }

    def __init__(
        self,
        env_id: str,
        num_envs: int = 1,
        render_mode: str | None = None,
        observation: str = "view",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        output: Output = "numpy",
        **overrides: Any,
    ) -> None:
        env = make_single(env_id, "Gymnasium", **overrides)
        for name, value, known in (
            ("render_mode", render_mode, [None, *PICTURE_MODES]),
            ("autoreset_mode", autoreset_mode, [*AutoresetMode, *_MODES]),
            ("output", output, get_args(Output)),
        ):
            if value not in known:
                words = [word for word in known if type(word) is str]
                raise ValueError(
                    f"{name} is {value!r}{nearest(value, words)}; "
                    f"it must be one of {', '.join(words)}"
                )
        mode = AutoresetMode(autoreset_mode)
        format = checked_format(env, observation)
        num_envs = plain(num_envs)
        batch = vector.VectorEnv(env, num_envs)
        self._simulator = VectorSimulator(Setup(batch, mode, format, output))
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self.autoreset_mode = mode  # as SyncVectorEnv has it; TorchRL asks for it
        self.single_observation_space = observation_space(env, format)
        self.single_action_space = spaces.Discrete(NUM_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def core(self) -> Env:
        """The environment in JAX that is played, N times."""
        return self._simulator.setup.batch.env

    @property
    def levels(self) -> Level:
        """The levels of these episodes, numpy arrays that lead with N; see `reset`."""
        return self._simulator.levels

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride] (as in SyncVectorEnv)
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begins episodes on levels that have not been played before.

        Args:
            seed: environment i gets the seed `seed + i`, or `seed[i]`, and begins a new stream of
                levels; without one, its stream goes on.
            options: {"reset_mask": bool[N]} leaves the other environments as they are;
                {"level": Level} with leaves [N, ...], such as `levels`, plays those, and leaves
                the streams where they are.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            gymnasium.error.ResetNeeded: if the mask leaves out environments that never started, or
                after an interrupted step.
            ValueError: for an unknown option, a mask or a number of seeds that does not fit, or
                a level of another kind of environment.
        """
        options = dict(options or {})
        mask = checked_mask(options.pop("reset_mask", None), self.num_envs)
        levels = options.pop("level", None)
        if levels is not None:
            levels = checked_batch(self.core, levels, self.num_envs)
        for name in options:
            known = ["reset_mask", "level"]
            raise ValueError(
                f"there is no reset option {name!r}{nearest(name, known)}; "
                f"the options are {' and '.join(known)}"
            )
        answer = self._simulator.reset(mask, self._seeds(seed, mask), levels)
        return answer[0], answer[4]

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes one action in each environment; see the class for what comes back.

        Args:
            actions: ids of `Action`, N whole numbers of any integer dtype, in an array of numpy, of
                JAX, or that knows DLPack, such as PyTorch's, or in a list. Those of environments
                that are reset instead (next-step mode) are ignored.

        Raises:
            ValueError: if there are not N whole numbers, or one is none of the four.
            gymnasium.error.ResetNeeded: before the first reset, after an interrupted step and, in
                disabled mode, if an environment's episode is over.
        """
        simulator = self._simulator
        setup = simulator.setup
        on_device = hasattr(actions, "__dlpack__") and not isinstance(actions, np.ndarray)
        if setup.output == "numpy" or not on_device:
            resets = setup.mode is AutoresetMode.NEXT_STEP
            actions = host_actions(actions, self.num_envs, simulator.ended & resets)
        if setup.output == "jax":
            actions = device_actions(actions, self.num_envs, simulator.device)
        return simulator.step(actions)

    def render(self) -> tuple[Any, ...] | None:
        """The whole map of each environment: u8[h,w,3] for "rgb_array", text for "ansi"."""
        worlds = zip(*self._simulator.maps, strict=True)
        if self.render_mode == "rgb_array":
            from gridmem.render.draw import draw

            return tuple(draw(tiles, cells, facing=facing) for tiles, cells, facing in worlds)
        if self.render_mode == "ansi":
            from gridmem.render.text import text

            return tuple(text(tiles, cells) for tiles, cells, _ in worlds)
        logger.warn(
            "render was called without a render mode; make the environments with a "
            f"render_mode out of {PICTURE_MODES}"
        )
        return None

    def _seeds(self, seed: Any, mask: np.ndarray) -> list[int | None]:
        if isinstance(seed, int):
            super().reset(seed=seed)
        seeds = checked_seeds(seed, self.num_envs)
        new = mask & ~self._simulator.seeded
        if any(new[i] and one is None for i, one in enumerate(seeds)):
            # As if they had been seeded by an int, the one that np_random_seed tells.
            first = self.np_random_seed
            if first is None or first < 0:  # a generator was put there; it has no seed
                first = int(self.np_random.integers(2**63))
            seeds = [first + i if new[i] and one is None else one for i, one in enumerate(seeds)]
        return seeds
