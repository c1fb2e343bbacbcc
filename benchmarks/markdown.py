"""What a delta and a block of Markdown cost: python -m benchmarks.markdown"""

import time

from chat.markdown import Block, BlockStream, render

REPLY = (
    "## Sorting\n\nThe **quick** way is `sorted`, see [the docs](https://docs.example/).\n\n"
    "1. Read the list\n2. Call `sorted(list)`\n\n   which returns a new one\n3. Done\n\n"
    "```python\nnames = ['b', 'a']\nfor name in sorted(names, key=str.lower):\n"
    "    print(name)\n```\n\n"
    "| call | cost |\n|---|--:|\n| sort | $O(n \\log n)$ |\n| min | $O(n)$ |\n\n"
    "It needs $n \\log_2 n$ comparisons: 10,000 for a thousand names.\n\n"
) * 20  # fmt: skip
DELTAS = [REPLY[at : at + 5] for at in range(0, len(REPLY), 5)]

plain, closing = [], []
stream = BlockStream()
for delta in DELTAS:
    started = time.perf_counter()
    parts = stream.feed(delta)
    spent = (time.perf_counter() - started) * 1e6
    (closing if any(isinstance(part, Block) for part in parts) else plain).append(spent)
started = time.perf_counter()
stream.close()
closed = (time.perf_counter() - started) * 1e3
started = time.perf_counter()
blocks = render(REPLY)
whole = (time.perf_counter() - started) * 1e3

plain.sort()
closing.sort()
print(f"delta of 5 characters     median {plain[len(plain) // 2]:.1f} us,", end=" ")
print(f"mean {sum(plain) / len(plain):.1f}, p99 {plain[len(plain) * 99 // 100]:.1f}")
print(f"delta that closes a block median {closing[len(closing) // 2]:.0f} us,", end=" ")
print(f"max {closing[-1]:.0f} (rendering included)")
print(f"close                     {closed:.2f} ms")
print(f"whole reply of {len(REPLY)} characters, {len(blocks)} blocks: {whole:.1f} ms")
