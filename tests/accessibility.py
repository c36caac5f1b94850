"""What axe-core finds on a page; scripts/check-web installs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from call_page import CallPage

AXE = Path(__file__).parents[1] / "build" / "web-tools" / "node_modules" / "axe-core" / "axe.min.js"
AUDIT = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]);
}"""


def audit(page: CallPage) -> list[Any]:
    """What axe calls serious or critical, and whether the page scrolls sideways."""
    found: list[Any] = page.page.evaluate(AUDIT)
    if page.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("the page is wider than its window")
    return found
