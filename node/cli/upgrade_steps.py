"""The steps of an upgrade, as data made from what is known.

Law: pure. The order is always the same; each step says whether it is done, and doing it again
harms nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a plan depends on.

    Attributes:
        options: that lead a command to this node, after a space each.
        running: whether the node runs.
        same_program: whether it runs this very version.
        store_steps: what has to be done to the store.
        config_changes: what has to be done to the configuration.
        all_ready: whether all members are in reach and level; None when nobody can say.
        snapshot: the newest snapshot of a migration that there is.
    """

    options: str
    running: bool
    same_program: bool
    store_steps: tuple[str, ...]
    config_changes: tuple[str, ...]
    all_ready: bool | None
    snapshot: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step.

    Attributes:
        name: short, for scripts.
        what: a sentence.
        commands: that do it.
        done: whether nothing is left to do.
    """

    name: str
    what: str
    commands: tuple[str, ...] = ()
    done: bool = False

    def data(self, number: int) -> dict[str, object]:
        """As `--json` says it."""
        return {
            "step": number,
            "name": self.name,
            "what": self.what,
            "commands": list(self.commands),
            "done": self.done,
        }


def steps_of(known: Known) -> list[Part]:
    """The steps for this node, and then for the mesh."""
    here, upgraded = known.options, known.running and known.same_program
    steps = [
        Part(
            name="level",
            what="See that every member is ready and none lags",
            commands=(f"mnemesh status --ready{here}", f"mnemesh node list{here}"),
            done=known.all_ready is True,
        ),
        Part(
            name="backup",
            what="Back this node up, and verify it; again if the last one is old",
            commands=(f"mnemesh backup --to DIR{here}", "mnemesh backup verify --from DIR"),
        ),
        Part(
            name="rehearse",
            what="Migrate a copy of the store with the new program, and see how long it takes",
            commands=(f"mnemesh upgrade check{here}",),
            done=not known.store_steps,
        ),
        Part(
            name="restart",
            what="Stop the old program and start the new one; a store is migrated as it starts, "
            "after a snapshot of it",
            commands=(f"mnemesh stop{here}", f"mnemesh serve --detach{here}"),
            done=upgraded and not known.store_steps,
        ),
        Part(
            name="wait",
            what="Wait until it is ready and level again, and the doctor has nothing to say",
            commands=(
                f"mnemesh status --ready{here}",
                f"mnemesh node list{here}",
                f"mnemesh doctor{here}",
            ),
            done=upgraded and known.all_ready is True,
        ),
        Part(
            name="config",
            what="Write the configuration with its new names, once the old program is gone; "
            "until then the old names are read, with a warning",
            commands=(f"mnemesh config migrate{here}",),
            done=not known.config_changes,
        ),
        Part(name="next", what="Go on with the next member"),
    ]
    source = f" --from {known.snapshot}" if known.snapshot else ""
    steps.append(
        Part(
            name="back",
            what="To go back: stop, put the store and the configuration back as they were, "
            "start the old program",
            commands=(f"mnemesh stop{here}", f"mnemesh upgrade back{source}{here}"),
        )
    )
    return steps
