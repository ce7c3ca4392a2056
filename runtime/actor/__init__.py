"""What an actor is made of, whatever it runs on.

`message` (what may be said) and `reply`; `mailbox`, `events` and `inbox` (how it arrives, and what waits); `engine` and
`dispatch` (who handles it), with `timers` and `slices`; `context` and `waiter`, between an engine and its thread.
"""
