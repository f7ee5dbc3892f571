"""The report as a person meets it: in a browser, on a phone, printed, and without JavaScript."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from inference.report import render
from tests.inference.report_example import example

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
DESKTOP, PHONE = (1280, 900), (375, 812)
ANCHORS = ("header", "#list", "#alerts", "#histories", "#trust", "#training", "#data", "#limits")
LOCAL = ("file:", "data:", "about:")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(example()), encoding="utf-8")
    return path


@pytest.fixture
def screenshots(tmp_path) -> Path:
    folder = tmp_path / "out" / "test-report"
    folder.mkdir(parents=True)
    return folder


def opened(browser, page: Path, size: tuple[int, int] = DESKTOP, *, scripts: bool = True):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    return browser


def shoot(browser, folder: Path, name: str, anchors: tuple[str, ...]) -> None:
    for anchor in anchors:
        browser.execute_script("document.querySelector(arguments[0]).scrollIntoView()", anchor)
        picture = folder / f"{name}-{anchor.strip('#')}.png"
        assert browser.save_screenshot(str(picture))


def requests(browser) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def visible_rows(browser) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('#alerts tbody tr')].filter(row => row.offsetParent !== null)"
        ".map(row => row.id)"
    )


def press(browser, heading: str) -> None:
    buttons = browser.find_elements("css selector", "#alerts thead button")
    next(button for button in buttons if button.text == heading).click()


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_fits_its_window_and_says_nothing_on_the_console(browser, page, screenshots, name, size):
    opened(browser, page, size)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == size[0]
    shoot(browser, screenshots, name, ANCHORS)
    assert browser.get_log("browser") == []


def test_an_id_of_ten_thousand_characters_does_not_widen_the_phone_page(browser, tmp_path):
    report = example(alerts=2, stories=1, days=30)
    alert = dataclasses.replace(report.alerts[0], entity_id="x" * 10_000)
    story = dataclasses.replace(report.stories[0], entity_id="x" * 10_000)
    path = tmp_path / "long.html"
    path.write_text(render(dataclasses.replace(report, alerts=[alert], stories=[story])), encoding="utf-8")
    opened(browser, path, PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]


def test_sends_no_request(browser, page):
    opened(browser, page)
    sent = requests(browser)
    assert sent
    assert [url for url in sent if not url.startswith(LOCAL)] == []


def test_its_policy_stops_what_it_did_not_bring(browser, page, tmp_path):
    """Proves that the two checks above can fail: a smuggled script and image are refused, and reported."""
    smuggled = "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png'></body>"
    path = tmp_path / "smuggled.html"
    path.write_text(page.read_text(encoding="utf-8").replace("</body>", smuggled), encoding="utf-8")
    opened(browser, path)
    assert browser.title == "Households about to lapse"
    refusals = [entry["message"] for entry in browser.get_log("browser")]
    assert sum("Content Security Policy" in message for message in refusals) == 2


def test_first_rows_show_and_the_others_unfold(browser, page):
    opened(browser, page)
    assert visible_rows(browser) == [f"rank-{rank}" for rank in range(1, 26)]
    browser.find_element("id", "more").click()
    assert len(visible_rows(browser)) == 200


def test_sorts_by_score_and_by_entity(browser, page):
    opened(browser, page)
    browser.find_element("id", "more").click()
    press(browser, "Score")
    assert visible_rows(browser) == [f"rank-{rank}" for rank in range(200, 0, -1)]
    press(browser, "Score")
    assert visible_rows(browser) == [f"rank-{rank}" for rank in range(1, 201)]
    press(browser, "Entity")
    ids = [int(cell.text) for cell in browser.find_elements("css selector", "#alerts tbody th bdi")]
    assert ids == sorted(ids)
    headings = browser.find_elements("css selector", "#alerts th[aria-sort]")
    assert [heading.text for heading in headings] == ["Entity"]


def test_finds_an_entity_that_is_folded_away(browser, page):
    opened(browser, page)
    sought = example().alerts[150]
    browser.find_element("id", "find").send_keys(sought.entity_id)
    assert f"rank-{sought.rank}" in visible_rows(browser)
    assert "match" in browser.find_element("id", "shown").text


def test_a_link_to_a_folded_row_unfolds_it(browser, page):
    opened(browser, page)
    browser.execute_script("location.hash = 'rank-120'")
    assert "rank-120" in visible_rows(browser)


def test_reads_whole_without_javascript(browser, page, screenshots):
    opened(browser, page, scripts=False)
    document = browser.execute_cdp_cmd("DOM.getDocument", {"depth": -1})
    root = document["root"]["nodeId"]

    def found(selector: str) -> int:
        answer = browser.execute_cdp_cmd("DOM.querySelectorAll", {"nodeId": root, "selector": selector})
        return len(answer["nodeIds"])

    assert found("#alerts tbody tr") == 200
    assert found("#alerts tbody tr[hidden]") == 0
    assert found("svg.chart") == 46
    assert found("form.tools[hidden]") == found("#more[hidden]") == 1
    assert browser.save_screenshot(str(screenshots / "no-javascript.png"))


def test_prints_every_row(browser, page, screenshots):
    opened(browser, page)
    assert len(visible_rows(browser)) == 25
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert len(visible_rows(browser)) == 200
        assert not browser.find_element("id", "more").is_displayed()
        assert browser.save_screenshot(str(screenshots / "print.png"))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
