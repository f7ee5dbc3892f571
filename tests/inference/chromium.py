"""Pages in headless Chromium: opened with or without scripts, and what they ask the network for.

The fixture `browser` starts it; screenshots stay in `out/screenshots` under the repository root, for people to look at.
"""

import json
from pathlib import Path

FLAGS = ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync", "disable-dev-shm-usage"]
FLAGS += ["headless=new", "disable-background-networking", "disable-component-update"]
DESKTOP, PHONE = (1280, 900), (360, 780)
SCREENSHOTS = Path(__file__).resolve().parents[2] / "out" / "screenshots"
PATIENCE = 30  # seconds
LOCAL = ("file:", "data:", "about:")


def opened(browser, page: Path, size: tuple[int, int] = DESKTOP, *, scripts: bool = True):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    from selenium.webdriver.support.ui import WebDriverWait  # here, as selenium may not be installed

    # Chromium 150 may return from `get` while it still reads a page of some megabytes.
    whole = "return document.readyState === 'complete'"
    WebDriverWait(browser, PATIENCE).until(lambda browser: browser.execute_script(whole), f"{page} is not read")
    return browser


def requests(browser) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
