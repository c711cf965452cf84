"""Counts what a client sends to a MongoDB server."""

from collections import Counter

from pymongo.monitoring import CommandListener, CommandStartedEvent


class Sent(CommandListener):
    """Counts the commands that are sent, by name."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()

    def started(self, event: CommandStartedEvent) -> None:
        self.names[event.command_name] += 1

    def succeeded(self, event: object) -> None:
        pass

    def failed(self, event: object) -> None:
        pass
