"""Takes the README's screenshots of a running site: `python -m docs.screenshots`.

The engine recites a fixed text, so that every run shows the same conversation.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chat import Chat
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.site import Site

FOLDER = Path(__file__).parent / "screenshots"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
QUESTION = "How do I read a large file line by line in Python, and how fast is that?"
REPLY = """Open the file and loop over it. Python reads **one line at a time**, so even a file \
that is larger than your memory is no problem:

```python
from pathlib import Path

def long_lines(path: Path, limit: int = 80):
    \"\"\"Yield the number and text of every line above the limit.\"\"\"
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if len(line) > limit:
                yield number, line.rstrip("\\n")
```

Three things to know:

- `with` closes the file, also after an error.
- Name the encoding; the default differs between systems.
- `readlines()` would load *everything* at once.

| Way | Memory | 1 GB takes |
|---|---|--:|
| loop over the file | a few kB | 1.9 s |
| `readlines()` | 1.4 GB | 3.2 s |

With $n$ lines the loop takes $O(n)$ time and constant memory. If you need only the beginning, \
stop early: a `break` leaves the rest of the file unread, and the generator above does the same \
when its caller stops asking for lines.
"""


def main() -> None:
    """Start a site, play a small scene with several people, and keep what is seen."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state, sync_playwright() as playwright:
        site = Site(
            Path(state),
            CHATSITE_ECHO_TEXT=REPLY,
            CHATSITE_ECHO_DELAY="0.03",
            CHATSITE_LIMIT="2",
            CHATSITE_MODEL_NAME="Demo model",
        )
        site.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            scene(browser, site)
        finally:
            browser.close()
            site.close()


def scene(browser: Browser, site: Site) -> None:
    """Two replies run, the others wait."""

    def come(**options: Any) -> Chat:
        page = browser.new_context(base_url=site.url, **options).new_page()
        page.goto("/")
        return Chat(page)

    reader = come(**DESKTOP, color_scheme="light")
    keep(reader.page, "landing-desktop-light")
    other = come(**DESKTOP, color_scheme="dark")
    waiting = come(**PHONE, color_scheme="light")
    third = come(**PHONE, color_scheme="dark")
    operator = come_as_operator(come, site)
    reader.send("A packing list for two days in Nara")
    reader.turn().has_begun()
    reader.turn().button("Stop").click()
    reader.turn().is_at("Stopped")
    reader.link("New chat").first.click()
    reader.send(QUESTION)
    other.send(QUESTION)
    waiting.send("How does the queue of this site work?")
    waiting.turn().is_at("in line")
    third.send("Tell me a short story about a cat")
    third.turn().is_at("2nd in line")
    keep(third.page, "waiting-phone-dark")
    expect(operator.get_by_text("guest-").first).to_be_visible()
    keep(operator, "dashboard-desktop-light")
    reader.turn().reply.get_by_text("Three things to know").wait_for()
    keep(reader.page, "chat-desktop-light")
    expect(other.turn().stage).to_contain_text("Done", timeout=60_000)
    keep(other.page, "chat-desktop-dark")
    waiting.turn().reply.get_by_text("Three things to know").wait_for(timeout=60_000)
    keep(waiting.page, "chat-phone-light")


def come_as_operator(come: Callable[..., Chat], site: Site) -> Page:
    """The dashboard's page, with the password that `serve` prints at its first start."""
    found = re.search(r"password +(\S+)", site.log)
    assert found is not None
    operator = come(**DESKTOP, color_scheme="light")
    operator.log_in("operator", found[1])
    operator.page.goto("/admin/")
    return operator.page


def keep(page: Page, name: str) -> None:
    """One PNG in docs/screenshots."""
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
