"""What SIGHUP does: allowlist, certificates, keys, settings and log, read again at once.

Law: each is taken whole or stays as it was and says why; nothing that is under way notices. What
a running node cannot take is named and waits for a restart.
"""

import os

from node.auth.keys import key_digest
from node.errors import NodeError
from node.live import Live
from node.logs import EventLog
from node.parts import Parts
from node.process.notify import Notifier
from node.settings import Settings, find_material, read_api_key, reload_settings


def reload(settings: Settings, parts: Parts, log: EventLog, notifier: Notifier) -> None:
    """Obey one SIGHUP.

    Args:
        settings: those of the start, with the flags and the places of files.
        parts: who gets what is new.
        log: told what changed; goes on in the file that lies at its path now.
        notifier: told when it begins and when it is over.
    """
    notifier.reloading()
    log.reopen()
    if parts.doors.trust is not None:
        parts.doors.trust.reload()
    try:
        fresh, live, restart = reload_settings(settings, os.environ)
        log.set_level(fresh.logging.level)
        parts.apply(fresh)
        read_key_again(parts.live)
    except (NodeError, OSError) as error:
        log("settings_refused", error=str(error))
    else:
        log("settings_reloaded", changed=list(live), need_restart=list(restart))
        if settings.paths.join.exists():
            parts.adopt_join_note()
    notifier.ready()


def read_key_again(live: Live) -> None:
    """Let in who has the API key that the file holds now, and nobody with the one before.

    A node that ran without a key goes on without one: which callers its listeners take was
    decided at the start.

    Raises:
        NodeError: the file is gone, empty, or others can read it; the old key stays.
        OSError: it cannot be read at this moment.
    """
    if not live.api_keys:
        return
    material = find_material(live.settings, os.environ)
    key = read_api_key(live.settings, material, os.environ)
    if key:
        live.api_keys = (key_digest(key),)
