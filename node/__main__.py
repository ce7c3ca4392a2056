"""`python -m rookery.node` is the command `rookery`."""

from .command import main

if __name__ == "__main__":
    main(prog_name="rookery")
