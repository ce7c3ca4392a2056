"""The runtimes of real time, and what all runtimes share.

`base` is the runtime of a node, simulated or not; `host` what `threads` (one for each engine) and `loop` (one for all)
have in common: `timer_thread`, `workers`, `stalls`. `gauges` shows every inbox.
"""
