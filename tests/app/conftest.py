"""One running app and one browser for all tests of this folder; every test opens the page anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acting import Acting, Running, wait_for
from app_places import CHROMIUM, DRIVER, SAMPLES, free_port, view


@pytest.fixture(scope="session")
def app() -> Iterator[Running]:
    pytest.importorskip("gradio", reason="the extra 'app' is not installed")
    from emollm.app import door, page

    backend = Acting()
    demo = page.build_demo(backend, sorted(SAMPLES.glob("*.mp4")))
    address = door.launch(demo, "127.0.0.1", free_port())
    yield Running(address, backend, Path(os.environ["GRADIO_TEMP_DIR"]), demo)
    backend.gate.set()
    demo.close(verbose=False)


@pytest.fixture
def running(app: Running) -> Iterator[Running]:
    """The app with its gate closed, and with no clip of anyone when the test begins."""
    app.backend.gate.clear()
    app.backend.asked.clear()
    app.backend.forgotten.clear()
    wait_for(lambda: app.clips() == [], f"clips of an earlier test stayed: {app.clips()}")
    yield app
    app.backend.gate.set()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not CHROMIUM.exists() or not DRIVER.exists():
        pytest.skip("no /usr/bin/chromium with /usr/bin/chromedriver; install with: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    saved = tmp_path_factory.mktemp("saved")
    quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    fake = "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream --hide-scrollbars"
    for flag in ("--headless=new", "--no-sandbox", *quiet.split(), *fake.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    many = {"profile.default_content_setting_values.automatic_downloads": 1}  # one export after the other, without a question
    options.add_experimental_option("prefs", {"download.default_directory": str(saved), "download.prompt_for_download": False, **many})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    chrome.set_script_timeout(120)
    chrome.set_page_load_timeout(120)
    chrome.saved = saved
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(driver: Any, app: Running) -> Iterator[Any]:
    """The browser at desktop width and light, with nothing kept of an earlier test; afterwards its page is closed."""
    view(driver, 1280, 900)
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": app.address, "storageTypes": "local_storage"})
    yield driver
    while len(driver.window_handles) > 1:
        driver.close()
        driver.switch_to.window(driver.window_handles[0])
    driver.get("about:blank")
