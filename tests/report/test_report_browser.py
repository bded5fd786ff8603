"""The page in a real browser, headless and opened from its file."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from metaf2n_tf.report import page
from metaf2n_tf.report.page import Overview, Reading, Table
from metaf2n_tf.report.photo import FacePair, LossCurve, PhotoReport, View, encode_photo

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="no chromium and chromedriver on this machine: the page was not tested in one",
)

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'&é.png"
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 30), (30, 30, 220), (240, 240, 240)
_SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--force-prefers-reduced-motion",
    "--window-size=1400,1000",
]
_PLAIN = str.maketrans({"\u2013": "none", "\u2212": "-", "\u00d7": "x"})  # the page's dash, minus and times


def flat(colour, height=96, width=128):
    return np.broadcast_to(np.uint8(colour), (height, width, 3))


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in [*_SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    views = [
        View("LQ, bicubic", flat(RED), {"psnr_y": 21.5, "lpips": 0.4}),
        View("0 steps, unadapted", flat(GREEN), {"psnr_y": 22.5, "lpips": float("nan")}),
        View("3 steps", flat(BLUE), {"psnr_y": 110.25, "lpips": 0.3}),
        View("GT", flat(WHITE), {"psnr_y": float("inf")}),
    ]
    weights = np.linspace(0, 1.25, 32 * 32, dtype=np.float32).reshape(32, 32)
    face = FacePair(flat(RED, 8, 8), flat(BLUE, 32, 32), weights)
    curves = [
        LossCurve("task_lr 0.01", [0.5, float("nan"), float("inf")]),
        LossCurve("task_lr 0.001", [0.5, 0.4, 0.35]),
    ]
    reports = [
        PhotoReport("first.png", (24, 32), views, [face], curves, {"seed": 0, "seconds": 1.5}),
        PhotoReport(
            HOSTILE, (24, 32), views[:3], [FacePair(face.lq, face.hq)], note=HOSTILE, settings={HOSTILE: HOSTILE}
        ),
        PhotoReport("one.png", (24, 32), views[1:2], losses=[LossCurve("loss", [float("nan")])]),
        PhotoReport("none.png", (24, 32), note="no face, so super-resolved unadapted"),
    ]
    saved = []
    for position, photo in enumerate(reports):
        saved.append(folder / f"{position}.json")
        saved[-1].write_bytes(encode_photo(photo))
    rows = [["b", 3.0], ["a10", None], ["a9", 20.0], [None, float("inf")], ["c", float("nan")], ["d", -1.0]]
    table = Table(HOSTILE, ["name", HOSTILE], rows)
    metrics = {"psnr_y": Reading("higher", 1), "lpips": Reading("lower", 2), HOSTILE: Reading("higher", 0)}
    overview = Overview("A report", {"seed": 0}, ["One line."], [], [table], metrics)
    page.write_page(folder / "report.html", overview, saved)
    return folder / "report.html"


def requests(driver):
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture
def browser(driver, report):
    """The page, freshly loaded; afterwards nothing is to be complained of, and nothing was asked of any network."""
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(report.as_uri())
    driver.execute_script("localStorage.clear(); delete document.documentElement.dataset.theme")
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] != "INFO"] == []
    assert {url for url in requests(driver) if not url.startswith(("data:", "chrome:"))} <= {report.as_uri()}


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def press_shifted(browser, key):
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()


def split(browser):
    return int(find(browser, "#divider").get_attribute("aria-valuenow"))


def labels(browser):
    return [find(browser, f"#caption-{side} b").text for side in ("left", "right")]


def colours(browser):
    """The picture's colours a quarter and three quarters from its left, as they are on the screen."""
    WebDriverWait(browser, 5).until(
        lambda _: browser.execute_script("return [...document.querySelectorAll('.stage img')].every(i => i.complete)")
    )
    shot = np.asarray(Image.open(io.BytesIO(find(browser, "#stage").screenshot_as_png)).convert("RGB")).astype(int)
    height, width = shot.shape[:2]
    return [
        min((RED, GREEN, BLUE, WHITE), key=lambda c: abs(shot[height // 3, x] - c).sum())
        for x in (width // 4, 3 * width // 4)
    ]


def column(table, position):
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[position].text.translate(_PLAIN) for row in rows]


def test_first_view(browser):
    assert browser.title == "A report"
    assert find(browser, "#name").text == "first.png"
    assert labels(browser) == ["LQ, bicubic", "3 steps"]
    assert split(browser) == 50
    assert colours(browser) == [RED, BLUE]
    assert "110.3 +88.8" in find(browser, "#caption-right").text.replace("\n", " ")
    assert not find(browser, "#loading").is_displayed()


def test_pointer_drags_the_divider(browser):
    stage = find(browser, "#stage")
    width = stage.rect["width"]
    drag = ActionChains(browser).move_to_element_with_offset(stage, int(-0.4 * width), -40).click_and_hold()
    drag.perform()
    assert split(browser) == pytest.approx(10, abs=1)
    assert colours(browser) == [BLUE, BLUE]
    ActionChains(browser).move_to_element_with_offset(stage, int(0.4 * width), 40).perform()
    assert split(browser) == pytest.approx(90, abs=1)
    assert "inset(0px 10" in browser.execute_script("return document.querySelector('img.left').style.clipPath")
    assert colours(browser) == [RED, RED]
    ActionChains(browser).release().move_to_element_with_offset(stage, 0, 0).perform()
    assert split(browser) == pytest.approx(90, abs=1), "released, so it stays"


def test_keys_move_the_divider(browser):
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert split(browser) == 52
    press_shifted(browser, Keys.ARROW_LEFT)
    assert split(browser) == 42
    find(browser, "#divider").send_keys(Keys.HOME)
    assert (split(browser), colours(browser)) == (0, [BLUE, BLUE])
    press(browser, Keys.ARROW_LEFT)
    assert split(browser) == 0
    press(browser, Keys.END)
    assert (split(browser), colours(browser)) == (100, [RED, RED])


def test_choosing_views(browser):
    press(browser, "2")
    assert (labels(browser), colours(browser)) == (["LQ, bicubic", "0 steps, unadapted"], [RED, GREEN])
    press_shifted(browser, "3")
    assert (labels(browser), colours(browser)) == (["3 steps", "0 steps, unadapted"], [BLUE, GREEN])
    press(browser, "9")
    assert labels(browser) == ["3 steps", "0 steps, unadapted"], "there is no ninth view"
    Select(find(browser, "#choose-b")).select_by_index(3)
    assert (labels(browser), colours(browser)) == (["3 steps", "GT"], [BLUE, WHITE])
    Select(find(browser, "#choose-a")).select_by_index(3)
    assert (labels(browser), colours(browser)) == (["GT", "GT"], [WHITE, WHITE])
    find(browser, "#views tbody tr:nth-child(1)").click()
    assert labels(browser) == ["GT", "LQ, bicubic"]


def test_flipping_lasts_while_the_key_is_held(browser):
    find(browser, "#stage").click()
    for key in (Keys.SPACE, "f"):
        ActionChains(browser).key_down(key).perform()
        assert (labels(browser), colours(browser)) == (["3 steps", "LQ, bicubic"], [BLUE, RED])
        ActionChains(browser).key_up(key).perform()
        assert labels(browser) == ["LQ, bicubic", "3 steps"]
    ActionChains(browser).click_and_hold(find(browser, "#flip")).perform()
    assert labels(browser) == ["3 steps", "LQ, bicubic"]
    ActionChains(browser).release().perform()
    assert labels(browser) == ["LQ, bicubic", "3 steps"]


def test_zoom(browser):
    fitted = find(browser, "#stage").rect["width"]
    assert fitted > 600, "small pictures are enlarged"
    find(browser, '[data-zoom="1"]').click()
    assert find(browser, "#stage").rect["width"] == 128
    press(browser, "+")
    assert find(browser, "#stage").rect["width"] == 256
    assert find(browser, ".stage img").value_of_css_property("image-rendering") == "pixelated"
    press(browser, "+", "+")
    assert find(browser, '[data-zoom="4"]').get_attribute("aria-pressed") == "true"
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    )
    seen = browser.execute_script("const v = document.getElementById('viewport'); return v.scrollWidth - v.clientWidth")
    assert seen > 100, "wider than the window, so it scrolls"
    press(browser, "0")
    WebDriverWait(browser, 5).until(lambda _: 340 <= find(browser, "#stage").rect["width"] <= 360)


def test_sorting_both_ways_with_missing_ones_last(browser):
    table = find(browser, "#tables table")
    name, value = table.find_elements(By.CSS_SELECTOR, "thead button")
    assert column(table, 1) == ["3", "none", "20", "∞", "NaN", "-1"]
    assert [strong.text for strong in table.find_elements(By.TAG_NAME, "strong")] == ["20"]
    value.click()
    assert column(table, 1) == ["-1", "3", "20", "∞", "none", "NaN"]
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    assert [head.get_attribute("aria-sort") for head in heads] == [None, "ascending"]
    value.send_keys(Keys.ENTER)
    assert column(table, 1) == ["∞", "20", "3", "-1", "none", "NaN"]
    assert heads[1].get_attribute("aria-sort") == "descending"
    name.send_keys(Keys.SPACE)
    assert column(table, 0) == ["a9", "a10", "b", "c", "d", "none"]
    name.click()
    assert column(table, 0) == ["d", "c", "b", "a10", "a9", "none"]
    assert [head.get_attribute("aria-sort") for head in heads] == ["descending", None]


def test_metrics_of_all_photos(browser):
    table = find(browser, "#metrics table")
    assert column(table, 0) == ["first.png"] * 4 + [HOSTILE] * 3 + ["one.png"]
    assert column(table, 2)[:4] == ["21.5", "22.5", "110.3", "∞"]
    best = [strong.text for strong in table.find_elements(By.CSS_SELECTOR, "tbody strong")]
    assert best == ["110.3", "0.30", "110.3", "0.30"], "the ground truth competes with nobody"
    Select(find(browser, "#metrics-view")).select_by_visible_text("0 steps, unadapted")
    shown = [row for row in table.find_elements(By.CSS_SELECTOR, "tbody tr") if row.is_displayed()]
    assert len(shown) == 3
    shown[1].click()
    assert find(browser, "#name").text == HOSTILE
    assert labels(browser) == ["LQ, bicubic", "0 steps, unadapted"]
    Select(find(browser, "#metrics-view")).select_by_visible_text("all")
    table.find_elements(By.CSS_SELECTOR, "tbody tr")[0].send_keys(Keys.ARROW_DOWN, Keys.ARROW_UP)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert find(browser, "#name").text == "first.png"
    assert labels(browser) == ["LQ, bicubic", "3 steps"]


def test_from_photo_to_photo(browser):
    press(browser, "2", "k")
    assert find(browser, "#name").text == "first.png"
    press(browser, "j")
    assert find(browser, "#name").text == HOSTILE
    assert labels(browser) == ["LQ, bicubic", "0 steps, unadapted"], "the chosen view is kept"
    press(browser, "]", "]", "]")
    assert find(browser, "#name").text == "none.png"
    assert find(browser, "#note").text == "no face, so super-resolved unadapted"
    press(browser, "[")
    assert find(browser, "#name").text == "one.png"
    find(browser, "#next").click()
    assert not find(browser, "#next").is_enabled()
    find(browser, "#strip li:first-child button").click()
    assert find(browser, "#name").text == "first.png"
    assert len(browser.find_elements(By.CSS_SELECTOR, "#strip [aria-current]")) == 1


def test_photos_that_lack_something(browser):
    press(browser, "j", "j")
    assert colours(browser) == [GREEN, GREEN]
    assert not find(browser, "#divider").is_displayed()
    assert not find(browser, "#faces-panel").is_displayed()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#losses .broken")) == 1
    press(browser, Keys.ARROW_RIGHT, "f", "1", "+", "0", "j")
    for selector in ("#viewer", "#details", "#faces-panel", "#record"):
        assert not find(browser, selector).is_displayed(), selector
    press(browser, Keys.ARROW_RIGHT, "f", "1", "+", "0")


def test_faces_and_losses(browser):
    pictures = browser.find_elements(By.CSS_SELECTOR, "#faces img")
    texts = [picture.get_attribute("alt").translate(_PLAIN).split(": ")[1] for picture in pictures]
    assert texts == ["LQ, 8 x 8", "Restored", "MaskNet's weights W"]
    assert find(browser, ".face figure:last-child figcaption").text.split("\n")[-3:] == ["0", "1.25", "mean 0.625"]
    chart = find(browser, "#losses svg")
    assert "task_lr 0.001: 0.5, 0.4, 0.35" in chart.get_attribute("aria-label")
    names = browser.execute_script("return [...document.querySelectorAll('text.name')].map(t => t.firstChild.data)")
    assert sorted(names) == ["task_lr 0.001", "task_lr 0.01"]
    assert len(chart.find_elements(By.CSS_SELECTOR, "text.broken")) == 2
    press(browser, "j")
    assert "no MaskNet" in find(browser, "#faces").text
    assert not find(browser, "#losses-panel").is_displayed()


def test_reduced_pictures_are_said_to_be(browser, tmp_path):
    views = [View("LQ, bicubic", flat(RED, 3000, 4096)), View("GT", flat(BLUE, 30, 40))]
    (tmp_path / "0.json").write_bytes(encode_photo(PhotoReport("x.png", (750, 1024), views)))
    page.write_page(tmp_path / "report.html", Overview("Large"), [tmp_path / "0.json"])
    browser.get((tmp_path / "report.html").as_uri())
    assert find(browser, "#shown").text.startswith("A shown at 50 %, B at 100 %")
    assert "B is 40 x 30, stretched" in find(browser, "#shown").text.translate(_PLAIN)
    press_shifted(browser, "1")
    press(browser, "1")
    assert find(browser, "#shown").text == "shown at 50 %"
    requests(browser)  # of another page than the fixture's


def test_settings_that_differ_from_the_run(browser):
    find(browser, "#record summary").click()
    assert find(browser, "#record dl").text.split("\n") == ["seconds", "1.5"]


def test_hostile_texts_make_no_elements(browser):
    press(browser, "j")
    assert find(browser, "#name").text == find(browser, "#note").text == HOSTILE
    assert browser.title == "A report"
    sources = browser.execute_script("return [...document.images].map(image => image.src.slice(0, 11))")
    assert set(sources) == {"data:image/"}
    assert browser.execute_script("return document.scripts.length") == 6


def brightness(browser):
    colour = find(browser, "body").value_of_css_property("background-color")
    return sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) / 3


def prefer(browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_themes(browser, report):
    prefer(browser, "dark")
    assert brightness(browser) < 60
    prefer(browser, "light")
    assert brightness(browser) > 200
    assert find(browser, "#theme").text == "Dark"
    find(browser, "#theme").click()
    assert brightness(browser) < 60
    assert find(browser, "#theme").text == "Light"
    browser.get(report.as_uri())
    assert brightness(browser) < 60, "remembered"
    press(browser, "t")
    assert brightness(browser) > 200


def test_help(browser):
    press(browser, "?")
    assert "move the divider" in find(browser, "#keys").text
    press(browser, "j", Keys.ESCAPE)
    assert not find(browser, "#keys").is_displayed()
    assert find(browser, "#name").text == "first.png"


def test_narrow_and_printed(browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    for _ in range(4):
        assert browser.execute_script("return document.documentElement.scrollWidth") == 360
        press(browser, "j")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not find(browser, "#browse").is_displayed()


def test_a_large_folder_is_filtered(browser, tmp_path):
    saved = []
    for position in range(40):
        saved.append(tmp_path / f"{position}.json")
        saved[-1].write_bytes(
            encode_photo(PhotoReport(f"Photo {position:02}.png", (2, 2), [View("GT", flat(RED, 8, 8))]))
        )
    page.write_page(tmp_path / "report.html", Overview("Many"), saved)
    browser.get((tmp_path / "report.html").as_uri())
    press(browser, "/", "photo 3")
    assert find(browser, "#matches").text == "10 of 40"
    press(browser, Keys.ESCAPE, "j", "j")
    assert find(browser, "#name").text == "Photo 31.png"
    requests(browser)  # of another page than the fixture's


def test_a_page_without_photos(browser, tmp_path):
    page.write_page(tmp_path / "report.html", Overview("Nothing"), [tmp_path / "absent.json"])
    browser.get((tmp_path / "report.html").as_uri())
    assert find(browser, "#loading").text == "There is no photo to show."
    assert "absent.json" in find(browser, "#damaged").text
    press(browser, "j", Keys.ARROW_RIGHT, "f", "1", "+", "/", "?", Keys.ESCAPE)
    requests(browser)  # of another page than the fixture's
