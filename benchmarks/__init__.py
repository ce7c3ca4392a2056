"""Programs that measure Rookery against what a user would otherwise use, in one run on one machine.

`python -m benchmarks.mailbox`; `--quick` is done in 60 s, `--json` prints one object and nothing else. Figures are
medians of several runs, alternating with the baseline's, and ratios: machines differ and are noisy.
"""
