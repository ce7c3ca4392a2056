"""Readiness, what strangers may write, and the page that names every metric."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path

import pytest

from rookery.config import load
from rookery.node import Node, new
from rookery.node.http import Pages
from rookery.node.http.exposition import exported_name
from rookery.node.http.requests import Request
from rookery.node.http.site import _json
from rookery.transport import Identity

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"
HOSTILE = ['"}\n{"x": "', "<script>alert(1)</script>", "\0\r\n\r\nHTTP/1.1 200", "\\"]


def ready(pages: Pages) -> tuple[HTTPStatus, dict[str, object]]:
    response = pages(Request("/readyz", head=False)).get(timeout=20)()
    return response.status, json.loads(response.body)


def test_node_that_has_not_met_its_seed_is_not_ready_and_says_which_part(tmp_path: Path) -> None:
    nobody = f"{Identity.generate().peer}@tcp://127.0.0.1:{new.free_ports(1)[0]}"
    new.make_node(tmp_path / "node", f"tracker: {{peers: ['{nobody}']}}\n")
    with Node(load(tmp_path / "node")) as node:
        status, found = ready(Pages(node.control, node.runtime, alone_by_choice=False))
    assert (status, found["ready"], found["joined"], found["listening"]) == (503, False, False, True)


def test_node_with_a_stalled_engine_is_not_ready_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new.make_node(tmp_path / "node", "tracker: {source: static}\n")
    with Node(load(tmp_path / "node")) as node:
        _mailbox, probe = node.runtime._inboxes.probes["tracker"]
        assert node.runtime.stalled() == ()
        monkeypatch.setattr(node.runtime, "stalled", lambda: ("tracker",))
        status, found = ready(Pages(node.control, node.runtime, alone_by_choice=True))
    assert (status, found["engines"], found["stalled"]) == (503, False, ["tracker"])
    monkeypatch.undo()
    probe.reported = True  # as the stall detector does, which has stopped
    assert node.runtime.stalled() == ("tracker",)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_peer_is_quoted_in_json(text: str) -> None:
    body = _json({"tags": {text: text}}).body
    assert json.loads(body) == {"tags": {text: text}}
    assert body.count(b"\n") == 1


def test_page_names_every_metric_with_its_kind_labels_and_meaning(tmp_path: Path) -> None:
    new.make_node(tmp_path / "node", "http: {listen: 'tcp://127.0.0.1:0'}\n")
    with Node(load(tmp_path / "node")) as node:
        metrics = dict(node.runtime.registry._metrics)
    written = [line.strip("| ") for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `rookery_" in line]
    rows = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[1:]] for row in written}
    del rows["rookery_build_info"]
    assert rows == {
        exported_name(name, each.kind): [each.kind, ", ".join(each.labels), each.help] for name, each in metrics.items()
    }
