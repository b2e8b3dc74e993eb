"""Minari: records episodes of random actions as a dataset.

python docs/examples/record_minari.py --dataset-id gridmem/random-v0 --episodes 10
"""

import argparse

import gymnasium
import minari

import gridmem


def record(env: gymnasium.Env, dataset_id: str, num_episodes: int) -> minari.MinariDataset:
    """Episode i is played on the first level of seed i."""
    env.action_space.seed(0)
    collector = minari.DataCollector(env, record_infos=True)
    for seed in range(num_episodes):
        collector.reset(seed=seed)
        done = False
        while not done:
            _, _, terminated, truncated, _ = collector.step(env.action_space.sample())
            done = terminated or truncated
    dataset = collector.create_dataset(
        dataset_id,
        algorithm_name="random actions",
        description=f"{num_episodes} episodes of random actions",
        requirements=[f"gridmem=={gridmem.__version__}"],
    )
    collector.close()
    return dataset


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="GridMem-9x9-v0")
    parser.add_argument("--dataset-id", default="gridmem/random-v0")
    parser.add_argument("--episodes", type=int, default=10)
    args = parser.parse_args()
    dataset = record(
        gymnasium.make(args.env_id, observation="dict"), args.dataset_id, args.episodes
    )
    print(f"{dataset.id}: {dataset.total_episodes} episodes, {dataset.total_steps} steps")
