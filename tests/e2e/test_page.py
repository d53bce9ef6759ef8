"""The HTML page in a real browser: readable at phone and desktop width, filters work, nothing is loaded, no script of a stranger runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import worlds
from xdsaudit import audit, render
from xdsaudit.testing import ingress

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium"),
]
PROBE = """
<script>
addEventListener('load', () => {
  const field = (id, value) => { const f = document.getElementById(id); f.value = value; f.form.dispatchEvent(new Event('input')); };
  const shown = () => document.querySelectorAll('.rule:not([hidden])').length;
  const found = { wide: document.documentElement.scrollWidth - innerWidth, all: shown(), fetched: performance.getEntriesByType('resource').length };
  field('verdict', 'lost'); found.lost = shown();
  field('verdict', ''); field('text', '10060'); found.text = shown();
  field('text', ''); field('replica', 'higress-gateway-0'); found.replica = shown();
  field('replica', ''); field('namespace', 'none'); found.back = shown();
  found.ran = !!window.ran;
  document.title = 'PROBE' + JSON.stringify(found) + 'EBORP';
});
</script>
"""


def browse(page: str, folder: Path, width: int, probe: str = PROBE) -> tuple[str, dict[str, object]]:
    """The page's DOM after it has loaded, and what the probe found."""
    assert BROWSER is not None
    place = folder / "page.html"
    place.write_text(page.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},1000", "--virtual-time-budget=5000", "--dump-dom", place.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()
    found = re.search(r"PROBE(\{.*?\})EBORP", dom)
    return dom, json.loads(found[1].replace("&quot;", '"')) if found else {}


@pytest.mark.parametrize("width", [400, 1600])
def test_it_reads_and_filters(recording, tmp_path: Path, width: int) -> None:
    _, found = browse(render(audit(recording("batch-loss")), "html"), tmp_path, width)
    assert int(str(found.pop("wide"))) <= 0  # nothing sticks out to the right
    assert found == {"all": 22, "fetched": 0, "lost": 1, "text": 1, "replica": 1, "back": 22, "ran": False}


def test_hostile_names_run_nothing(tmp_path: Path) -> None:
    evil = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"
    page = render(audit(worlds.world([ingress(evil, evil, "/" + evil)], gateway={})), "html")
    _, found = browse(page, tmp_path, 800)
    assert found["ran"] is False
    assert found["all"] == 1


def test_ten_thousand_rules_stay_usable(recording, tmp_path: Path) -> None:
    page = render(audit(recording("scale-10k.tar.xz")), "html")
    assert len(page) < 3_000_000
    _, found = browse(page, tmp_path, 1200)
    assert found["all"] == 10_000


def test_it_reads_without_scripts(recording) -> None:
    page = render(audit(recording("batch-loss")), "html")
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)
    bare = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "1 of 22 rules lost" in bare
    assert "stale-route-cache" in bare
    assert "Remedy." in bare


LOOKS = """
<script>
addEventListener('load', async () => {
  const drawn = (name) => document.querySelector('.picture .' + name).getBoundingClientRect().width > 0;
  const shut = document.getElementById('XA401').open;
  location.hash = '#XA401';
  await new Promise((r) => setTimeout(r, 50));
  const button = document.querySelector('.copy');
  button.click();
  for (let i = 0; i < 40 && button.textContent === 'copy'; i++) await new Promise((r) => setTimeout(r, 25));
  const found = {
    lying: drawn('lying'), standing: drawn('standing'), button: !button.hidden, copied: button.textContent !== 'copy',
    opened: !shut && document.getElementById('XA401').open, ago: document.getElementById('ago').textContent.endsWith('ago)'),
  };
  document.title = 'PROBE' + JSON.stringify(found) + 'EBORP';
});
</script>
"""


@pytest.mark.parametrize(("width", "lying"), [(400, False), (1600, True)])
def test_the_picture_stands_on_a_phone_and_links_and_buttons_work(
    recording, tmp_path: Path, width: int, lying: bool
) -> None:
    _, found = browse(render(audit(recording("batch-loss")), "html"), tmp_path, width, LOOKS)
    assert found == {"lying": lying, "standing": not lying, "button": True, "copied": True, "opened": True, "ago": True}
