"""A page that is there at once: "getting ready", served by the standard library until the real one can answer on the same address."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from emollm.texts import Words, chosen

_PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>emollm</title><link rel="icon" href="data:,"><style>
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 8px; background: #f7f5f1; color: #22252a;
  text-align: center; font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; padding: 0 24px; }}
h1 {{ margin: 0; font-size: 30px; letter-spacing: -0.025em; }} p {{ margin: 0; color: #575b63; }}
i {{ width: 10px; height: 10px; border-radius: 50%; background: #1d6660; margin: 14px auto 0; animation: b 1.6s ease-in-out infinite; }}
@keyframes b {{ 50% {{ opacity: .2; }} }} @media (prefers-reduced-motion: reduce) {{ i {{ animation: none; }} }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16181b; color: #ecebe7; }}
  p {{ color: #aeb2b9; }} i {{ background: #74c3bb; }} }}
</style></head><body><h1>emollm</h1><p>{tagline}</p><p role="status">{waiting}</p><i></i><script>
setInterval(async () => {{
  try {{ if ((await fetch("/emollm/alive", {{ cache: "no-store" }})).status === 204) location.reload(); }} catch {{ }}
}}, 400);
</script></body></html>"""


class Splash:
    """Serves the waiting page from the moment it is made until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True, "block_on_close": False})
        self._server: ThreadingHTTPServer = server((host, port), _Waiting)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="emollm-splash", daemon=True).start()

    def close(self) -> None:
        """Give the address free."""
        self._server.shutdown()
        self._server.server_close()


class _Waiting(BaseHTTPRequestHandler):
    """The page for a browser that asks for one; "not yet" for everything else."""

    def do_GET(self) -> None:
        """Answer."""
        home = self.path.partition("?")[0] == "/"
        words = Words(chosen(None, self.headers.get("accept-language")))
        page = _PAGE.format(lang=words.language, tagline=words("head.tagline"), waiting=words("status.opening"))
        body = page.encode() if home else b"not yet"
        self.send_response(200 if home else 503)
        for name, value in (
            ("content-type", "text/html; charset=utf-8" if home else "text/plain"),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("retry-after", "1"),
            ("connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Say nothing: addresses of people who open the page are no business of a log."""
