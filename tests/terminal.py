"""A real terminal for programs under test: a separate tmux server, with a shell that is ready for input."""

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator

DEADLINE = 30.0
_PROMPT = "ready$ "


def wait_for(condition: Callable[[], bool], what: str, state: Callable[[], str] = str) -> None:
    """Return once the condition holds; fail with ``what`` and the ``state`` if it never does."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what}\n{state()}"
        time.sleep(0.1)


class Terminal:
    """One window of a tmux server that nobody else uses."""

    def __init__(self, columns: int, rows: int, environment: str = "") -> None:
        self._socket = f"teleglyph-{uuid.uuid4().hex}"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), f"env PS1='{_PROMPT}' {environment} sh")
        # Keys that arrive before the shell reads them would be echoed in front of its prompt.
        self.expect(_PROMPT.strip())

    def tmux(self, *arguments: str) -> str:
        """Run a tmux command on this server and return its output."""
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments], capture_output=True, text=True, check=True
        ).stdout

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        self.tmux("send-keys", "-l", text)
        self.press("Enter")

    def begin(self, command: str, wipe: str = "clear") -> None:
        """Type a command on an empty screen, so that no earlier output is seen afterwards."""
        self.type(wipe)
        self.wait(lambda screen: screen.strip() == _PROMPT.strip(), "the screen was not wiped")
        self.type(command)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: ``q``, ``C-c``, ``Escape``."""
        self.tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """The visible text."""
        return self.tmux("capture-pane", "-p")

    @property
    def rows(self) -> list[str]:
        """The screen's rows without the blanks at their ends."""
        return self.screen.split("\n")

    def mode(self, *names: str) -> list[str]:
        """Values of tmux's flags such as ``alternate_on``, ``cursor_flag`` and ``wrap_flag``."""
        return self.tmux("display-message", "-p", " ".join(f"#{{{name}}}" for name in names)).split()

    def expect(self, text: str) -> None:
        """Wait until the text is on the screen."""
        self.wait(lambda screen: text in screen, f"{text!r} never appeared")

    def wait(self, condition: Callable[[str], bool], what: str) -> None:
        """Wait until the condition holds for the screen."""
        wait_for(lambda: condition(self.screen), what, lambda: self.screen)

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@contextlib.contextmanager
def terminal(columns: int = 100, rows: int = 30, environment: str = "LC_ALL=C.UTF-8") -> Iterator[Terminal]:
    """A terminal that is closed at the end."""
    window = Terminal(columns, rows, environment)
    try:
        yield window
    finally:
        window.close()
