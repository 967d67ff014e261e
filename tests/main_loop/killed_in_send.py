"""Run the program and let it be killed around a message: `killed_in_send.py before|after ARGUMENT…`.

It dies just before the first message is handed to its channel, or just after the channel took it.
"""

import os
import signal
import sys
from typing import Any

from watcher.cli import run_command_line
from watcher.notify.send import AppriseNotifier


def main() -> int:
    notifier: Any = AppriseNotifier
    send = notifier.send

    def dies(*arguments: Any) -> None:
        if sys.argv[1] == "after":
            send(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    notifier.send = dies
    return run_command_line(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
