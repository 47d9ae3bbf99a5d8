"""``make bench``: run the named benchmarks, or all of them."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "execution",
    "packages",
    "server",
    "parse",
    "upsert",
    "waiting",
    "mirroring",
    "backfill",
    "demo",
    "page",
)


def main(names: list[str]) -> int:
    """Run benchmarks by name, and print what each one measures."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"There is no benchmark {unknown[0]!r}; choose from {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        importlib.import_module(f"benchmarks.{name}").main()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
