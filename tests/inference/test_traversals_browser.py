"""The traversal page as a person meets it: in a browser, on a phone, in the dark and without JavaScript."""

import pytest

from inference import traversal_page, traversals
from tests.inference import traversal_examples
from tests.inference.chromium import DESKTOP, LOCAL, PHONE, opened, requests

pytestmark = pytest.mark.browser

MODELS = {"images": traversal_examples.of_images, "table": traversal_examples.model}


@pytest.fixture(scope="module", params=MODELS)
def page(request, tmp_path_factory):
    found = traversals.examine(MODELS[request.param](), "out/models/imsic/run=2026-11-21-0f3a", label="fading")
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(traversal_page.render(found, "out/traversals/imsic/run=1/graph.toml"), encoding="utf-8")
    return path


def whole(browser, path, name, width):
    """Take a picture of the whole page."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    opened(browser, path, (width, height), scripts=False)
    assert browser.save_screenshot(str(name))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_its_screen_and_asks_for_nothing(browser, page, screenshots, size):
    opened(browser, page, size)
    assert [url for url in requests(browser) if not url.startswith(LOCAL)] == []
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    whole(browser, page, screenshots / f"traversals-{page.stem}-{size[0]}.png", size[0])


def test_every_picture_is_drawn_and_every_verdict_seen_without_javascript(browser, page):
    opened(browser, page, scripts=False)
    pictures = browser.find_elements("css selector", "img.strip")
    assert [one.size["height"] > 100 for one in pictures] == [True] * (4 if page.stem == "images" else 0)
    verdicts = browser.find_elements("css selector", ".verdict")
    assert all(one.is_displayed() for one in verdicts)
    failed = [one.text for one in verdicts].count("FAIL")
    assert (len(verdicts), failed) == ((16, 2) if page.stem == "images" else (9, 0))


def test_links_lead_to_their_sections(browser, page):
    opened(browser, page)
    for link in browser.find_elements("css selector", "nav a"):
        target = link.get_attribute("href").split("#")[1]
        assert browser.find_element("id", target).is_displayed()


def test_verdicts_can_be_told_apart_in_the_dark(browser, page, screenshots):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        opened(browser, page)
        colors = {
            browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", one)
            for one in browser.find_elements("css selector", ".verdict")
        }
        assert len(colors) == (2 if page.stem == "images" else 1)
        assert browser.save_screenshot(str(screenshots / f"traversals-{page.stem}-dark.png"))
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
