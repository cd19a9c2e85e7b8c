"""A follower in a process of its own: tabular Q-learning that speaks JSON lines, with no dependencies.

It knows nothing of the package. Run it from a leader's side with

    stackelberg train --follower black_box --set 'follower.command=["python", "examples/black_box/follower.py"]'
"""

import json
import random
import sys

ACTIONS, DISCOUNT, RATE, EXPLORATION = 3, 0.99, 0.2, 0.1


def main() -> None:
    """Answer every line of observations with an action, and learn from the rewards."""
    draws = random.Random(0)
    values: dict[tuple[float, ...], list[float]] = {}
    last: tuple[tuple[float, ...], int] | None = None
    for line in sys.stdin:
        turn = json.loads(line)
        seen = tuple(turn["observation"])
        ahead = values.setdefault(seen, [0.0] * ACTIONS)
        if last is not None:  # what the last action has brought is known at the next turn
            row, action = values[last[0]], last[1]
            future = 0.0 if turn["termination"] else DISCOUNT * max(ahead)
            row[action] += RATE * (turn["reward"] + future - row[action])
        if turn["termination"] or turn["truncation"]:
            last, choice = None, None
        else:
            choice = draws.randrange(ACTIONS) if draws.random() < EXPLORATION else ahead.index(max(ahead))
            last = (seen, choice)
        print(json.dumps({"action": choice}), flush=True)


if __name__ == "__main__":
    main()
