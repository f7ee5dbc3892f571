"""The report as a person meets it: in a browser, on a phone, in the dark, printed, and without JavaScript.

Screenshots and the printed page stay in `out/screenshots` under the repository root, for people to look at.
"""

import base64
import dataclasses
import re
from pathlib import Path

import pytest

from inference.report import render
from tests.inference.chromium import DESKTOP, LOCAL, PHONE, opened, requests
from tests.inference.report_example import bare, example

pytestmark = pytest.mark.browser

ANCHORS = (
    "header",
    "#list",
    "#rank-1",
    "#history-1",
    "#trust",
    "#calibration",
    "#drift",
    "#training",
    "#data",
    "#card",
)
HOSTILE = "<script>document.title='owned'</script>\"' \u202e" + "x" * 10_000


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(example(stories=3)), encoding="utf-8")
    return path


def shoot(browser, folder: Path, name: str, anchors: tuple[str, ...]) -> None:
    for anchor in anchors:
        browser.execute_script(
            "const part = document.querySelector(arguments[0]); part.scrollIntoView();"
            "for (const folded of part.querySelectorAll('details')) if (arguments[0] === '#rank-1') folded.open = true",
            anchor,
        )
        picture = folder / f"{name}-{anchor.strip('#')}.png"
        assert browser.save_screenshot(str(picture))


def visible_rows(browser) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('#alerts > tbody > tr')].filter(row => row.offsetParent !== null)"
        ".map(row => row.id)"
    )


def press(browser, heading: str) -> None:
    buttons = browser.find_elements("css selector", "#alerts thead button")
    next(button for button in buttons if button.text == heading).click()


@pytest.mark.parametrize(("name", "size"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_fits_its_window_and_says_nothing_on_the_console(browser, page, screenshots, name, size):
    opened(browser, page, size)
    unfold(browser)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == size[0]
    opened(browser, page, size)
    shoot(browser, screenshots, name, ANCHORS)
    assert browser.get_log("browser") == []


def unfold(browser) -> None:
    browser.execute_script("for (const folded of document.querySelectorAll('details')) folded.open = true")


def test_no_table_of_the_phone_page_is_wider_than_the_phone(browser, page):
    opened(browser, page, PHONE)
    unfold(browser)
    wide = "return [...document.querySelectorAll('table')].filter(table => table.offsetWidth > innerWidth).length"
    assert browser.execute_script(wide) == 0


def test_follows_the_dark_mode(browser, page, screenshots):
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    try:
        opened(browser, page)
        ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        bar, ink = browser.execute_script(
            "return [getComputedStyle(document.querySelector('.bar')).backgroundColor,"
            "[...document.querySelectorAll('#history-1 svg.chart path')].map(line => getComputedStyle(line).stroke)]"
        )
        assert max(map(int, re.findall(r"\d+", ground))) < 64
        assert bar in ink  # drawings take their colors from the page
        shoot(browser, screenshots, "dark", ("header", "#rank-1", "#history-1", "#trust"))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_hostile_id_is_text_and_does_not_widen_the_phone_page(browser, tmp_path):
    report = example(alerts=2, stories=1, days=30)
    near = dataclasses.replace(report.alerts[0].neighbors[0], entity_id=HOSTILE)
    alert = dataclasses.replace(report.alerts[0], entity_id=HOSTILE, neighbors=[near], remarks=[HOSTILE])
    story = dataclasses.replace(report.stories[0], entity_id=HOSTILE)
    path = tmp_path / "hostile.html"
    path.write_text(render(dataclasses.replace(report, alerts=[alert], stories=[story])), encoding="utf-8")
    opened(browser, path, PHONE)
    unfold(browser)
    shown = browser.find_element("css selector", "#rank-1 bdi").text
    assert shown.startswith("<script>document.title='owned'</script>\"' \ufffd")
    assert shown.endswith(f"… ({len(HOSTILE):,} characters)")
    assert browser.title == "Households about to lapse"
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]
    assert browser.get_log("browser") == []


def test_a_report_of_a_run_that_lacks_everything_can_be_read(browser, tmp_path, screenshots):
    path = tmp_path / "bare.html"
    path.write_text(render(bare(example(alerts=5, stories=0, days=30))), encoding="utf-8")
    opened(browser, path, PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]
    assert visible_rows(browser) == [f"rank-{rank}" for rank in range(1, 6)]
    assert browser.get_log("browser") == []
    shoot(browser, screenshots, "bare", ("header", "#list", "#trust"))


def test_sends_no_request(browser, page):
    opened(browser, page)
    sent = requests(browser)
    assert sent
    assert [url for url in sent if not url.startswith(LOCAL)] == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []


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
    press(browser, "Probability")
    assert visible_rows(browser) == [f"rank-{rank}" for rank in range(200, 0, -1)]
    press(browser, "Entity")
    ids = [int(cell.text) for cell in browser.find_elements("css selector", "#alerts th.entity bdi")]
    assert ids == sorted(ids)
    headings = browser.find_elements("css selector", "#alerts th[aria-sort]")
    assert [heading.text for heading in headings] == ["Entity"]


def test_a_missing_probability_goes_last_both_ways(browser, tmp_path):
    report = example(alerts=4, stories=0, days=30)
    lacking = dataclasses.replace(report.alerts[1], probability=None)
    alerts = [report.alerts[0], lacking, *report.alerts[2:]]
    path = tmp_path / "lacking.html"
    path.write_text(render(dataclasses.replace(report, alerts=alerts)), encoding="utf-8")
    opened(browser, path)
    press(browser, "Probability")
    assert visible_rows(browser) == ["rank-4", "rank-3", "rank-1", "rank-2"]
    press(browser, "Probability")
    assert visible_rows(browser) == ["rank-1", "rank-3", "rank-4", "rank-2"]


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

    assert found("#alerts > tbody > tr") == 200
    assert found("#alerts > tbody > tr[hidden]") == 0
    assert found("svg.chart") == 3 * 5 + 2 + 2 + 4
    assert found("#alerts details > summary") == 200
    assert found("form.tools[hidden]") == found("#more[hidden]") == 1
    assert browser.save_screenshot(str(screenshots / "no-javascript.png"))


def test_the_evidence_unfolds_without_javascript(browser, page):
    opened(browser, page, scripts=False)
    summary = browser.find_element("css selector", "#rank-1 summary")
    evidence = browser.find_element("css selector", "#rank-1 .why")
    assert not evidence.is_displayed()
    summary.click()
    assert evidence.is_displayed()


def test_prints_every_row_unfolded_and_no_controls(browser, page, screenshots):
    opened(browser, page)
    assert len(visible_rows(browser)) == 25
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert len(visible_rows(browser)) == 200
        shown = "return [...document.querySelectorAll(arguments[0])].filter(part => part.checkVisibility()).length"
        assert browser.execute_script(shown, "#alerts .why") == 200
        assert browser.execute_script(shown, "#more, #find, nav, summary") == 0
        shoot(browser, screenshots, "print", ("header", "#list", "#trust"))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_prints_to_a_file(browser, tmp_path, screenshots):
    path = tmp_path / "report.html"
    path.write_text(render(example(alerts=40, stories=2)), encoding="utf-8")
    opened(browser, path)
    printed = base64.b64decode(
        browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    )
    (screenshots / "print.pdf").write_bytes(printed)
    pages = max(map(int, re.findall(rb"/Count (\d+)", printed)))
    assert printed.startswith(b"%PDF")
    assert 40 / 5 < pages < 40  # several entities a page, all of them
