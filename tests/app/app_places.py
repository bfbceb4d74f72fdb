"""Where the browser and the sample clips are, a free port, and how large a page is looked at."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from emollm import catalog

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
SAMPLES = catalog.folder("instruct_data") / "samples"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def view(driver: Any, width: int, height: int, *, dark: bool = False) -> None:
    """Width and height in pixels, and the colour scheme that the system asks for."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
