"""The adapter to Gymnasium's vector environments."""

from typing import Any, get_args

import numpy as np
from gymnasium import logger, spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gridmem.envs.adapters import inputs
from gridmem.envs.adapters.observations import checked_format, observation_space
from gridmem.envs.adapters.simulator import PICTURE_MODES, RENDER_FPS, picture
from gridmem.envs.adapters.vector_programs import Output, VectorConfig
from gridmem.envs.adapters.vector_simulator import VectorSimulator
from gridmem.envs.batch import autoreset
from gridmem.envs.checks import nearest
from gridmem.envs.config import plain
from gridmem.envs.env import NUM_ACTIONS, Env
from gridmem.envs.registry import make_single_agent
from gridmem.envs.types import Level

_MODES = [mode.value for mode in AutoresetMode]


class GridMemVectorEnv(VectorEnv[Any, Any, Any]):
    """N environments with one agent each, stepped together; made by `gymnasium.make_vec`.

    It returns what `gymnasium.vector.SyncVectorEnv` of N `GridMemEnv` would, including seeds,
    autoreset modes and infos, but steps all of them in one compiled function. With
    `output="numpy"`, observations are those of `observation_space`, rewards f64[N], terminations
    and truncations bool[N], infos `last_action` i64[N], `last_reward` f64[N], `visits` i64[N]
    (finds in this episode) and `steps` i64[N], each with a mask; all are new, writable arrays.

    With `output="jax"` they are JAX arrays on JAX's default device, in 32 bits, and `step` neither
    waits for the device nor copies to the host; `torch.from_dlpack` shares their memory. What
    would need the host differs: in same-step mode `final_obs` and `final_info` are always
    present, for the whole batch, with masks for the episodes that ended; an action other than 0..3
    does nothing, unless in a numpy array or a list, where it is an error; stepping past an
    episode's end in disabled mode is no error, see `Env.step`.

    Args:
        env_id: one of the ids in the README.
        num_envs: N, 1 or more.
        render_mode: "rgb_array", "ansi" or None.
        observation: "view", "dict" or "flat".
        autoreset_mode: an `AutoresetMode` or its value: "NextStep", "SameStep", "Disabled". Only
            the value can be part of a spec in JSON.
        output: "numpy" or "jax".
        **overrides: options of `gridmem.make`; `max_episode_steps` is Gymnasium's name for
            `max_steps`.

    Raises:
        ValueError: for an unknown id or option, an invalid value, or more than one agent.
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
        env = make_single_agent(env_id, "Gymnasium", **overrides)
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
        batch = autoreset.VectorEnv(env, num_envs)
        self._simulator = VectorSimulator(VectorConfig(batch, mode, format, output))
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
        """The JAX environment of which there are N."""
        return self._simulator.config.batch.env

    @property
    def levels(self) -> Level:
        """The present levels, numpy arrays with leaves [N, ...]; see `reset`."""
        return self._simulator.levels

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride] (as in SyncVectorEnv)
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begins episodes on the next levels of the streams.

        Args:
            seed: environment i starts the stream of levels of the seed `seed + i`, or `seed[i]`;
                without one, its stream continues.
            options: {"reset_mask": bool[N]} resets only the marked environments; {"level": Level},
                leaves [N, ...], such as `levels`, plays those, and streams do not advance.

        Raises:
            gymnasium.error.Error: for a seed that is not a Python int, 0 or more.
            gymnasium.error.ResetNeeded: if the mask leaves out environments that never started, or
                after an interrupted step.
            ValueError: for an unknown option, a mask or a number of seeds that does not fit, or
                levels that the environment cannot play.
        """
        mask, levels = inputs.reset_options(
            options, ["reset_mask", "level"], "the options are reset_mask and level"
        )
        mask = inputs.checked_mask(mask, self.num_envs)
        if levels is not None:
            levels = inputs.checked_level_batch(self.core, levels, self.num_envs)
        observations, *_, infos = self._simulator.reset(mask, self._seeds(seed, mask), levels)
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes one action in each environment; see the class for what comes back.

        Args:
            actions: ids of `Action`, [N] of any integer dtype: a list, or an array of numpy, of JAX
                or with DLPack, such as PyTorch's. Those of environments that are reset
                instead (next-step mode) are ignored.

        Raises:
            ValueError: if there are not N integers, or one is not 0..3.
            gymnasium.error.ResetNeeded: before the first reset, after an interrupted step and, in
                disabled mode, if an environment's episode is over.
        """
        simulator = self._simulator
        config = simulator.config
        on_device = hasattr(actions, "__dlpack__") and not isinstance(actions, np.ndarray)
        if config.output == "numpy" or not on_device:
            resets = config.mode is AutoresetMode.NEXT_STEP
            actions = inputs.host_actions(actions, self.num_envs, simulator.ended & resets)
        if config.output == "jax":
            actions = inputs.device_actions(actions, self.num_envs, simulator.device)
        return simulator.step(actions)

    def render(self) -> tuple[Any, ...] | None:
        """The whole map of each environment: u8[h,w,3] for "rgb_array", text for "ansi"."""
        worlds = zip(*self._simulator.maps, strict=True)
        if self.render_mode is not None:
            return tuple(picture(self.render_mode, *world) for world in worlds)
        logger.warn(
            "render was called without a render mode; make the environments with a "
            f"render_mode out of {PICTURE_MODES}"
        )
        return None

    def _seeds(self, seed: Any, mask: np.ndarray) -> list[int | None]:
        if isinstance(seed, int):
            super().reset(seed=seed)
        seeds = inputs.checked_seeds(seed, self.num_envs)
        new = mask & ~self._simulator.seeded
        if any(new[i] and one is None for i, one in enumerate(seeds)):
            first = inputs.seed_of_np_random(self)  # as if seeded with this int
            seeds = [first + i if new[i] and one is None else one for i, one in enumerate(seeds)]
        return seeds
