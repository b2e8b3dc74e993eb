"""Stable-Baselines3's contrib package: PPO whose policy has an LSTM.

python docs/examples/train_sb3.py --steps 60000 --seed 0
"""

import argparse

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import gridmem  # noqa: F401 (registers the ids)

parser = argparse.ArgumentParser()
parser.add_argument("--env-id", default="GridMem-9x9-v0")
parser.add_argument("--steps", type=int, default=60_000)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.set_num_threads(1)  # for networks this small, more threads only wait for each other
flat = {"observation": "flat"}  # the view one-hot, the last action and the last reward
envs = make_vec_env(args.env_id, 16, seed=args.seed, env_kwargs=flat)
test_envs = make_vec_env(args.env_id, 16, seed=args.seed + 10**6, env_kwargs=flat)
model = RecurrentPPO(
    "MlpLstmPolicy",
    envs,
    learning_rate=1e-3,
    n_steps=64,
    batch_size=256,
    n_epochs=4,
    gamma=0.97,
    ent_coef=0.01,
    policy_kwargs={
        "net_arch": [64],
        "lstm_hidden_size": 64,
        "shared_lstm": True,
        "enable_critic_lstm": False,
    },
    seed=args.seed,
    device="cpu",
)


def print_return(when: str) -> None:
    """Prints the mean return of 96 episodes."""
    mean, _ = evaluate_policy(model, test_envs, n_eval_episodes=96, deterministic=False)
    print(f"{when} training: mean return {mean:.2f}", flush=True)


print_return("before")
model.learn(args.steps)
print_return("after")
