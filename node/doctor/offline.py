"""What can be said about a node that does not run.

Law: looks at files only and changes none; a section that needs the process is left out.
"""

import os
from collections.abc import Mapping
from dataclasses import replace

from node import __version__
from node.doctor.facts import ConfigFacts, Facts, NodeFacts, TrustFacts
from node.doctor.finding import Section
from node.doctor.folder_seen import (
    backup_of,
    identity_of,
    killed,
    last_exit_of,
    options_of,
    store_of,
    with_notes,
    writable_by_others,
)
from node.doctor.machine_facts import TimeFacts
from node.doctor.table import examine
from node.doctor.time_seen import synchronised
from node.errors import LooseModes, NodeError
from node.paths import Paths
from node.settings import Settings, find_material, load_settings
from transport import allowlist
from transport.errors import TransportError


def examine_offline(
    paths: Paths, usual: Paths, *, environ: Mapping[str, str], now_ms: int, why: str, start: str
) -> list[Section]:
    """The sections that need no process.

    Args:
        paths: where the node keeps its things.
        usual: where a node does that nobody told.
        environ: the process environment.
        now_ms: wall clock, milliseconds since the epoch.
        why: in words, why no node can be reached.
        start: what leads `mnemesh serve` to these places, after a space.
    """
    node = with_notes(
        NodeFacts(
            running=False,
            version=__version__,
            trouble=why,
            last_exit=last_exit_of(paths),
            killed=killed(paths, since_ms=now_ms),
            options=options_of(paths, usual),
            start=start,
            log=str(paths.log) if paths.log.exists() else "",
        ),
        paths,
    )
    config = ConfigFacts(path=str(paths.config), open_to_others=writable_by_others(paths.config))
    try:
        settings = load_settings(paths, environ=environ, hostname=os.uname().nodename)
    except NodeError as error:
        return examine(
            Facts(now_ms=now_ms, node=node, config=replace(config, trouble=_words(error)))
        )
    in_time, error_ms = synchronised()
    facts = Facts(
        now_ms=now_ms,
        node=node,
        config=replace(config, warnings=settings.warnings, trouble=_unusable(settings, environ)),
        settings=settings,
        identity=identity_of(settings) if paths.node_key.exists() else None,
        trust=_trust(settings) if paths.node_key.exists() else None,
        time=TimeFacts(synchronised=in_time, error_ms=error_ms),
    )
    if paths.current.exists():
        facts = replace(facts, store=store_of(paths.data_dir), backup=backup_of(paths))
    return examine(facts)


def _unusable(settings: Settings, environ: Mapping[str, str]) -> str:
    """Why the files that the settings name cannot be used; empty when they can."""
    try:
        find_material(settings, environ)
    except LooseModes:
        return ""  # told with the keys, each with its mode
    except NodeError as error:
        return _words(error)
    return ""


def _words(error: NodeError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def _trust(settings: Settings) -> TrustFacts:
    listed = settings.listen.mtls_allowlist or settings.paths.allowlist
    trouble, entries = "", 0
    try:
        entries = len(allowlist.load(listed, missing_is_empty=True))
    except TransportError as error:
        trouble = str(error)
    return TrustFacts(
        path=str(listed),
        outsiders={},
        entries=entries,
        trouble=trouble,
        open_to_others=writable_by_others(listed),
    )
