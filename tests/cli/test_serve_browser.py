"""The page of `metaf2n serve` in a real browser, headless, with a real photo."""

import dataclasses
import json
import shutil
import signal
import subprocess

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from test_serve import COMMAND, in_checkout
from test_workbench import OPTIONS

from metaf2n_tf.commands.runs import upscale
from metaf2n_tf.data import images

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="no chromium and chromedriver on this machine: the page was not tested in one",
)
pytest.importorskip("gradio", reason="Gradio is not installed: the page was not tested")

NAME = "Grace (1) & more.jpg"
PATIENCE = 120  # seconds, on a machine that does other things
_SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--window-size=1300,1000",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, sample_lq):
    """A real photo under a name that needs care, and files that are none."""
    place = tmp_path_factory.mktemp("place")
    Image.open(sample_lq).convert("RGB").save(place / NAME, quality=95)
    place.joinpath("cut.jpg").write_bytes(place.joinpath(NAME).read_bytes()[:2000])
    place.joinpath("<img src=x onerror=alert(1)>.txt").write_text("no picture")
    Image.new("L", (3000, 300)).save(place / "large.png")
    Image.new("RGB", (40, 30), "gray").save(place / "nobody.png")
    return place


@pytest.fixture(scope="module")
def url(place):
    command = [*COMMAND, "--port", "0", "--max_megapixels", "10", "--patch_num_per_img", "4", "--task_lr", "0.01"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=place, env=in_checkout(place)) as server:
        assert server.stderr
        yield next(line.split()[4] for line in server.stderr if line.startswith("the page is at "))
        server.send_signal(signal.SIGINT)
        assert "Traceback" not in server.stderr.read()


@pytest.fixture
def driver(place, tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in [*_SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    yield browser
    browser.quit()


def wait(driver, condition):
    return WebDriverWait(driver, PATIENCE, ignored_exceptions=[Exception]).until(lambda _: condition())


def show(driver, url):
    driver.get(url)
    wait(driver, lambda: driver.find_element(By.CSS_SELECTOR, "#photo input[type=file]"))


def text(driver, place):
    return driver.find_element(By.ID, place).text


def drop(driver, file, says):
    driver.find_element(By.CSS_SELECTOR, "#photo input[type=file]").send_keys(str(file))
    wait(driver, lambda: says in text(driver, "said"))


def clear(driver):
    driver.find_element(By.CSS_SELECTOR, "#photo button[aria-label=Clear]").click()
    wait(driver, lambda: not driver.find_elements(By.CSS_SELECTOR, "#said p"))
    wait(driver, lambda: driver.find_element(By.CSS_SELECTOR, "#photo input[type=file]"))


def make(driver):
    driver.find_element(By.ID, "start").click()
    wait(driver, lambda: "Done" in text(driver, "done"))
    wait(driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, "#slider img")) == 2)


def download(driver, folder, name):
    wait(driver, lambda: name in text(driver, "download"))
    driver.find_element(By.ID, "download").click()
    wait(driver, lambda: (folder / name).is_file())
    return folder / name


def asked_for(driver):
    """The addresses of all that the page has asked for."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


def test_a_photo_from_start_to_end(driver, url, place, tmp_path):
    show(driver, url)
    assert not driver.find_elements(By.ID, "start")
    drop(driver, place / NAME, f"{NAME}: 128x128 pixels, 1 face.")
    wait(driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, "#faces img")) == 2)
    wait(driver, lambda: driver.find_element(By.CSS_SELECTOR, "#boxes img").get_attribute("naturalWidth") == "720")
    assert driver.find_element(By.CSS_SELECTOR, "#ticked input").is_selected()
    make(driver)
    assert "learned in 1 step from 1 face" in text(driver, "done")
    sides = {image.get_attribute("naturalWidth") for image in driver.find_elements(By.CSS_SELECTOR, "#slider img")}
    assert sides == {"512"}
    result = download(driver, tmp_path, "Grace (1) & more_x4.png").read_bytes()
    own = (url, "data:", "blob:", "chrome:")  # the last of the browser's first, empty tab
    assert [address for address in asked_for(driver) if not address.startswith(own)] == []
    assert [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []

    options = dataclasses.replace(
        OPTIONS, input_dir=place / NAME, output_dir=place, model_dir=None, patch_size=64, patch_num_per_img=4
    )
    assert upscale.run(dataclasses.replace(options, task_lr=0.01, tile=256)) == 0
    assert result == (place / "Grace (1) & more_x4.png").read_bytes()


def test_what_cannot_be_used_is_said_and_the_page_goes_on(driver, url, place, tmp_path):
    show(driver, url)
    drop(driver, place / "cut.jpg", "cut.jpg: not a readable picture")
    clear(driver)
    drop(driver, place / "<img src=x onerror=alert(1)>.txt", "<img src=x onerror=alert(1)>.txt: not a readable picture")
    clear(driver)
    drop(
        driver,
        place / "large.png",
        "large.png: what is made of it: 12000x1200 pixels are",
    )
    assert driver.find_element(By.CSS_SELECTOR, "#said [role=alert]")
    assert not driver.find_elements(By.ID, "start")
    clear(driver)
    drop(driver, place / "nobody.png", "nobody.png: 40x30 pixels, 0 faces.")
    make(driver)
    assert "nothing was learned" in text(driver, "done")
    assert images.read_rgb8(download(driver, tmp_path, "nobody_x4.png")).shape == (120, 160, 3)


def test_two_tabs_keep_to_their_own(driver, url, place, tmp_path):
    show(driver, url)
    drop(driver, place / NAME, "1 face.")
    driver.find_element(By.CSS_SELECTOR, "#ticked input").click()
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    show(driver, url)
    drop(driver, place / "nobody.png", "0 faces.")
    second = driver.current_window_handle
    driver.find_element(By.ID, "start").click()
    driver.switch_to.window(first)
    make(driver)
    assert "nothing was learned" in text(driver, "done")  # of the face that is no longer ticked
    assert text(driver, "download") == "Download Grace (1) & more_x4.png"
    driver.switch_to.window(second)
    wait(driver, lambda: "Done" in text(driver, "done"))
    assert text(driver, "download") == "Download nobody_x4.png"


def test_a_narrow_window_has_no_sideways_scrolling(driver, url, place):
    driver.set_window_size(420, 900)
    show(driver, url)
    drop(driver, place / NAME, "1 face.")
    make(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
