"""What a node shows over HTTP, to who operates it; to be read only, and off unless `http.listen` is set.

`server` has the one thread and its sockets, `requests` what may be asked and what an answer looks like, `site` the
paths, and `exposition` the metrics in Prometheus' text format.
"""

from .errors import CannotListen
from .server import HttpServer
from .site import Pages

__all__ = ["CannotListen", "HttpServer", "Pages"]
