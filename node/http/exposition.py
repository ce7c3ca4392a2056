"""The registry's samples in Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ has the rules. Every name begins with `rookery_`, and units
are base units, as the registry has them: seconds and bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...runtime.metrics import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(samples: Iterable[Sample], *, version: str, python: str) -> str:
    """The text. samples: of one metric beside each other. version, python: of this node, for `rookery_build_info`."""
    about = (("version", version), ("python", python))
    info = Sample("build_info", "gauge", "What this node runs: always 1.", about, 1)
    lines: list[str] = []
    before = ""
    for sample in (info, *samples):
        name = exported_name(sample.name, sample.kind)
        if name != before:
            lines += [f"# HELP {name} {_escaped(sample.help)}", f"# TYPE {name} {sample.kind}"]
            before = name
        lines.append(f"{name}{_labels(sample.labels)} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def exported_name(name: str, kind: str) -> str:
    """What a metric of the registry is called outside: a counter ends with `_total`."""
    end = "_total" if kind == "counter" and not name.endswith("_total") else ""
    return f"rookery_{name}{end}"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
