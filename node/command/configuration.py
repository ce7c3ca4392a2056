"""Configuration files; no node need run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ...config import load
from ...config.node import FILE_NAME, config_file
from ..logs import printable
from . import configfiles, screen
from .base import FILE, complain, json_option, main


@main.group()
def config() -> None:
    """Look at configuration files; no node need run."""


@config.command()
@click.argument("file", default=FILE_NAME, type=FILE)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say everything that is wrong with FILE, and what else `run` would refuse or warn of: key, folder, socket."""
    found = configfiles.load_runnable(file)
    for words in configfiles.warnings(file, found):
        complain(f"warning: {printable(words)}")
    screen.show({"file": str(config_file(file)), "mistakes": []}, as_json, f"{config_file(file)}: no mistakes")


@config.command()
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of node.yaml, for editors."""
    del as_json  # it is JSON anyway
    click.echo(json.dumps(configfiles.schema(), indent=2))


@config.command()
@click.argument("file", default=FILE_NAME, type=FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Print every setting of FILE, defaults included."""
    settings = configfiles.complete(load(file))
    screen.show(settings, as_json, configfiles.as_yaml(settings))
