"""The one table of limits: nothing that grows does so without a number in this file.

Law: a limit's unit is the last part of its name (or stands before `_max`). Every queue,
frame, field, list and wait that other parts use takes its bound from here. The table is
also the `[limits]` section of the configuration, so an operator can tighten any of them;
what two nodes must agree on to talk at all says so in its help.
"""

from dataclasses import dataclass

from crdt.document.model import READ_MAX
from node.declare import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one node; immutable after the start."""

    # What an agent may send.
    body_bytes_max: int = setting(
        2 * 1024 * 1024, minimum=1024, unit="bytes", help="Largest HTTP request body."
    )
    bulk_items_max: int = setting(
        1000, minimum=1, help="Most items in one bulk, import or push request."
    )
    page_items_max: int = setting(1000, minimum=1, help="Most items in one page of a list.")
    sync_page_items_max: int = setting(
        10_000, minimum=1, help="Most items in one page of the REST sync face."
    )
    recall_items_max: int = setting(50, minimum=1, help="Most items in one recall.")
    title_chars_max: int = setting(512, minimum=1, unit="characters", help="Longest title.")
    content_bytes_max: int = setting(
        1024 * 1024, minimum=1, unit="bytes", help="Longest content, as UTF-8."
    )
    tags_max: int = setting(50, minimum=0, help="Most tags of one memory.")
    tag_chars_max: int = setting(128, minimum=1, unit="characters", help="Longest tag.")
    metadata_bytes_max: int = setting(
        64 * 1024, minimum=2, unit="bytes", help="Largest metadata object, as JSON."
    )
    metadata_depth_max: int = setting(32, minimum=1, help="Deepest nesting of metadata.")
    namespace_chars_max: int = setting(512, minimum=1, unit="characters", help="Longest namespace.")
    namespace_segments_max: int = setting(8, minimum=1, help="Most segments of a namespace.")
    id_chars_max: int = setting(128, minimum=8, unit="characters", help="Longest id of a record.")
    agent_id_chars_max: int = setting(128, minimum=8, unit="characters", help="Longest agent id.")
    idempotency_key_chars_max: int = setting(
        128, minimum=8, unit="characters", help="Longest idempotency key."
    )

    # What a document may hold: an edit beyond it is refused. What others took is read whatever
    # these say, up to `READ_MAX` of each member; of a whole document they are half of that at most.
    document_change_bytes_max: int = setting(
        262_144,
        minimum=1024,
        maximum=READ_MAX.change_bytes_max,
        unit="bytes",
        help="Largest change of a document; should be equal on all members.",
    )
    document_change_ops_max: int = setting(
        65_536,
        minimum=16,
        maximum=READ_MAX.change_ops_max,
        help="Most operations in one change of a document; should be equal on all members.",
    )
    document_changes_max: int = setting(
        10_000,
        minimum=16,
        maximum=READ_MAX.changes_max // 2,
        help="Most changes of one document; should be equal on all members.",
    )
    document_ops_max: int = setting(
        262_144,
        minimum=16,
        maximum=READ_MAX.ops_max // 2,
        help="Most operations of one document; should be equal on all members.",
    )
    document_stored_bytes_max: int = setting(
        1024 * 1024,
        minimum=4096,
        maximum=1024 * 1536,
        unit="bytes",
        help="Most bytes of one document in its record; should be equal on all members.",
    )
    document_shelf_bytes_max: int = setting(
        64 * 1024 * 1024,
        minimum=1024 * 1024,
        unit="bytes",
        help="Most memory for documents that are kept open.",
    )

    # What an agent may add at this node; 0 is no limit.
    max_memories_per_day: int = setting(
        0, minimum=0, reload=True, help="Most memories that one agent may make in a day (UTC)."
    )
    max_links_per_day: int = setting(
        0, minimum=0, reload=True, help="Most links that one agent may make in a day (UTC)."
    )
    max_storage_bytes: int = setting(
        0, minimum=0, reload=True, unit="bytes", help="Most bytes that one agent may hold."
    )

    # How long an agent may take, and how many may talk at once.
    headers_timeout_ms: int = setting(
        5_000, minimum=100, unit="ms", help="Longest time for request headers to arrive."
    )
    body_timeout_ms: int = setting(
        15_000, minimum=100, unit="ms", help="Longest time for a request body to arrive."
    )
    idle_timeout_ms: int = setting(
        60_000, minimum=100, unit="ms", help="Longest silence of a kept-alive connection."
    )
    causal_wait_ms_max: int = setting(
        10_000, minimum=0, unit="ms", help="Longest wait a read may ask for."
    )
    drain_timeout_ms: int = setting(
        8_000, minimum=100, unit="ms", help="Longest time a shutdown waits for work in flight."
    )
    connections_max: int = setting(2048, minimum=4, help="Most open connections in total.")
    connections_per_address_max: int = setting(
        1024, minimum=2, help="Most open connections from one address."
    )
    handshakes_max: int = setting(64, minimum=1, help="Most TLS handshakes at the same time.")
    handshake_timeout_ms: int = setting(
        5_000, minimum=100, unit="ms", help="Longest TLS handshake."
    )

    # What travels between members. Lower these on all members or on none.
    frame_bytes_max: int = setting(
        4 * 1024 * 1024,
        minimum=64 * 1024,
        unit="bytes",
        help="Largest frame between peers; must be equal on all members.",
    )
    message_bytes_max: int = setting(
        4 * 1024 * 1024 - 64,
        minimum=32 * 1024,
        unit="bytes",
        help="Largest message in a frame; must be equal on all members.",
    )
    frame_messages_max: int = setting(
        4096, minimum=1, help="Most messages in one frame; must be equal on all members."
    )
    bundle_ops_max: int = setting(
        1024, minimum=1, help="Most operations in one bundle; must be equal on all members."
    )
    bundle_bytes_max: int = setting(
        3 * 1024 * 1024,
        minimum=32 * 1024,
        unit="bytes",
        help="Largest bundle; must be equal on all members.",
    )

    # What may wait in memory.
    peer_queue_bytes_max: int = setting(
        16 * 1024 * 1024,
        minimum=64 * 1024,
        unit="bytes",
        help="Most bytes queued for one peer before it falls back to catch-up.",
    )
    committer_queue_bytes_max: int = setting(
        64 * 1024 * 1024,
        minimum=1024 * 1024,
        unit="bytes",
        help="Most bytes waiting for the disk before writes are refused.",
    )
    writes_in_flight_max: int = setting(
        8192, minimum=1, help="Most writes waiting for their quorum."
    )
    writes_in_flight_bytes_max: int = setting(
        64 * 1024 * 1024,
        minimum=1024 * 1024,
        unit="bytes",
        help="Most bytes of writes waiting for their quorum.",
    )
    writes_wait_ms_max: int = setting(
        500,
        minimum=50,
        unit="ms",
        help="Writes are refused while one more would wait longer than this, for its turn "
        "and for its quorum.",
    )
    catchup_page_bytes_max: int = setting(
        512 * 1024, minimum=64 * 1024, unit="bytes", help="Largest page of catch-up."
    )
    snapshot_chunk_bytes_max: int = setting(
        2 * 1024 * 1024, minimum=64 * 1024, unit="bytes", help="Largest chunk of a snapshot."
    )

    # How long peers may be silent, and how hard we try.
    ping_interval_ms: int = setting(
        5_000, minimum=50, unit="ms", help="Time between two pings of a quiet link."
    )
    connect_timeout_ms: int = setting(
        5_000, minimum=50, unit="ms", help="Longest time to connect to a peer."
    )
    session_timeout_ms: int = setting(
        10_000, minimum=100, unit="ms", help="Longest silence of a catch-up source."
    )
    backoff_ms_min: int = setting(50, minimum=1, unit="ms", help="First wait before a redial.")
    backoff_ms_max: int = setting(5_000, minimum=1, unit="ms", help="Longest wait before a redial.")
    relay_ms: int = setting(
        500, minimum=1, unit="ms", help="How long a relayed bundle may take before it is asked for."
    )
    clock_skew_ms_max: int = setting(
        5_000, minimum=100, unit="ms", help="Largest lead of a stamp; must be equal on all members."
    )
