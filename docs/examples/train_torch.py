"""Recurrent PPO in PyTorch: observations go from JAX to torch and actions back without a copy.

python docs/examples/train_torch.py --steps 1000000 --seed 0
"""

import argparse
import time
from typing import NamedTuple

import gymnasium
import torch
from torch import Tensor, nn

import gridmem  # noqa: F401 (registers the ids)

NUM_ENVS, NUM_STEPS, NUM_EPOCHS, NUM_MINIBATCHES = 256, 65, 2, 8
WIDTH, LEARNING_RATE, GAMMA, LAMBDA = 64, 2e-3, 0.97, 0.95
CLIP, ENTROPY = 0.2, 0.01


class Agent(nn.Module):
    """Observations go through a GRU to action logits and a value."""

    def __init__(self, num_features: int, num_actions: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(num_features, WIDTH)
        self.memory = nn.GRUCell(WIDTH, WIDTH)
        self.actor = nn.Linear(WIDTH, num_actions)
        self.critic = nn.Linear(WIDTH, 1)

    def forward(self, obs: Tensor, first: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """T steps of B environments, f32[T,B,F]; `first` marks where an episode begins.

        Returns logits f32[T,B,4], values f32[T,B] and the memory f32[B,W] after the last step.
        """
        encoded, kept = self.encoder(obs).relu(), 1.0 - first.float()[..., None]
        outputs = []
        for x, keep in zip(encoded, kept, strict=True):
            memory = self.memory(x, memory * keep)
            outputs.append(memory)
        hidden = torch.stack(outputs)
        return self.actor(hidden), self.critic(hidden).squeeze(-1), memory


class Rollout(NamedTuple):
    """T steps of N environments, leaves [T, N, ...]."""

    obs: Tensor
    first: Tensor  # obs is the first of its episode
    last: Tensor  # obs is the last of its episode: the action only resets the environment
    action: Tensor
    log_prob: Tensor
    value: Tensor
    reward: Tensor
    terminated: Tensor
    done: Tensor


class Player:
    """Plays on from where it stopped, and knows the returns of the episodes that ended.

    JAX's arrays become tensors, and tensors JAX's arrays, by DLPack: on the same device, and
    without a copy. They must not be written to.
    """

    def __init__(self, envs: gymnasium.vector.VectorEnv, seed: int) -> None:
        self.envs = envs
        self.obs = torch.from_dlpack(envs.reset(seed=seed)[0])
        self.first = torch.ones(len(self.obs), dtype=torch.bool, device=self.obs.device)
        self.last = torch.zeros_like(self.first)
        self.memory = self.obs.new_zeros(len(self.obs), WIDTH)
        self.return_so_far = self.obs.new_zeros(len(self.obs))

    @torch.no_grad()
    def play(self, agent: Agent) -> tuple[Rollout, Tensor, list[float]]:
        """A rollout, the values f32[N] of what follows it, and the returns of ended episodes."""
        steps, returns = [], []
        for _ in range(NUM_STEPS):
            logits, value, self.memory = agent(self.obs[None], self.first[None], self.memory)
            policy = torch.distributions.Categorical(logits=logits[0])
            action = policy.sample()
            answer = self.envs.step(action.int())  # JAX counts in 32 bits
            obs, reward, terminated, truncated = map(torch.from_dlpack, answer[:4])
            done = terminated | truncated
            log_prob = policy.log_prob(action)
            step = self.obs, self.first, self.last, action, log_prob, value[0]
            steps.append((*step, reward, terminated, done))
            self.return_so_far = self.return_so_far + reward
            returns += self.return_so_far[done].tolist()
            self.return_so_far = self.return_so_far * ~done
            self.obs, self.first, self.last = obs, self.last, done
        _, following, _ = agent(self.obs[None], self.first[None], self.memory)
        return Rollout(*map(torch.stack, zip(*steps, strict=True))), following[0], returns


def advantages(rollout: Rollout, following_value: Tensor) -> Tensor:
    """Generalised advantage estimates f32[T,N] (Schulman et al. 2016).

    Where an episode was truncated, the next row is that of its last observation, whose value is
    what the future was worth. Only `terminated` says that there is none.
    """
    advantage, result = torch.zeros_like(following_value), []
    for t in reversed(range(len(rollout.reward))):
        future = GAMMA * following_value * ~rollout.terminated[t]
        delta = rollout.reward[t] + future - rollout.value[t]
        advantage = delta + GAMMA * LAMBDA * advantage * ~rollout.done[t]
        following_value = rollout.value[t]
        result.append(advantage)
    return torch.stack(result[::-1])


def loss_of(agent: Agent, rollout: Rollout, advantage: Tensor, memory: Tensor) -> Tensor:
    """PPO's clipped loss, with the memory replayed from the start of the rollout."""
    logits, value, _ = agent(rollout.obs, rollout.first, memory)
    policy = torch.distributions.Categorical(logits=logits)
    ratio = (policy.log_prob(rollout.action) - rollout.log_prob).exp()
    counts = ~rollout.last  # an ignored action is nothing to learn from
    mean, deviation = advantage[counts].mean(), advantage[counts].std()
    scaled = (advantage - mean) / (deviation + 1e-8)
    policy_loss = -torch.minimum(ratio * scaled, ratio.clamp(1 - CLIP, 1 + CLIP) * scaled)
    value_loss = 0.5 * (value - (rollout.value + advantage)).square()
    return (policy_loss + value_loss - ENTROPY * policy.entropy())[counts].mean()


def learn(agent: Agent, optimizer: torch.optim.Optimizer, *data: Rollout | Tensor) -> None:
    """A few passes over a rollout, in minibatches of whole rows of environments."""
    rollout, advantage, memory = data
    for _ in range(NUM_EPOCHS):
        for rows in torch.randperm(len(memory), device=memory.device).chunk(NUM_MINIBATCHES):
            part = Rollout(*(x[:, rows] for x in rollout))
            optimizer.zero_grad()
            loss_of(agent, part, advantage[:, rows], memory[rows]).backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


def main() -> None:
    """Trains and prints the mean return of the episodes that ended in each update."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="GridMem-9x9-v0")
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # for networks this small, more threads only wait for each other
    # NextStep: the step after an episode's end ignores its action and returns the first
    # observation of the next episode. What the last observation is worth is thus asked in passing.
    envs = gymnasium.make_vec(
        args.env_id, NUM_ENVS, observation="flat", output="jax", autoreset_mode="NextStep"
    )
    player = Player(envs, args.seed)
    agent = Agent(player.obs.shape[1], 4).to(player.obs.device)
    optimizer = torch.optim.Adam(agent.parameters(), LEARNING_RATE)
    steps_per_update = NUM_ENVS * NUM_STEPS
    num_updates = max(1, args.steps // steps_per_update)
    begin = time.perf_counter()
    for number in range(num_updates):
        memory = player.memory
        rollout, following_value, returns = player.play(agent)
        learn(agent, optimizer, rollout, advantages(rollout, following_value), memory)
        if number % 10 == 0 or number == num_updates - 1:
            steps, seconds = number * steps_per_update, time.perf_counter() - begin
            mean = sum(returns) / max(1, len(returns))
            print(f"after {steps:8,} steps, {seconds:3.0f} s: mean return {mean:.2f}")


if __name__ == "__main__":
    main()
