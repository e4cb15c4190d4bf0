"""Exports of the two big assistants: one memory for each message of a conversation.

Law: pure. A message keeps who said it, when, and in which conversation, so that recall finds
its neighbours. Of a conversation that was edited, the branch that is shown is imported; the
others, and what holds no text, are counted under the reason why they are left out.

What the files hold was read off exports, for neither assistant documents them; an unknown kind
of content is left out by its name, not guessed at.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from node.importers.markdown import split_long
from node.importers.values import Source, clean, moment_of, stable_id, titled

CHATGPT: Final = "chatgpt"
CLAUDE: Final = "claude"
_SPEAKERS: Final = {"human": "user", "user": "user", "assistant": "assistant"}
_TEXTS: Final = frozenset({"text", "multimodal_text"})
_UNTITLED: Final = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    ident: str
    speaker: str
    text: str
    at: str | None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversation:
    ident: str
    title: str


def kind_of(data: Any) -> str | None:
    """Whose export this is; None when it is none."""
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        return None
    if isinstance(data[0].get("mapping"), dict):
        return CHATGPT
    if isinstance(data[0].get("chat_messages"), list):
        return CLAUDE
    return None


def read_chats(data: Any, kind: str) -> Source:
    """The memories of an export.

    Args:
        data: the parsed `conversations.json`.
        kind: `chatgpt` or `claude`.
    """
    source = Source(kind=kind, memories=[])
    for place, item in enumerate(data):
        if not isinstance(item, dict):
            source.left_out["no conversation"] += 1
            continue
        ident = _text(item, "conversation_id") or _text(item, "id") or _text(item, "uuid")
        conversation = _Conversation(
            ident=ident or f"conversation-{place}",
            title=_text(item, "title") or _text(item, "name") or _UNTITLED,
        )
        messages = _chatgpt if kind == CHATGPT else _claude
        for message in messages(item, source.left_out):
            source.memories.extend(_memories(kind, conversation, message))
    return source


def _memories(
    kind: str, conversation: _Conversation, message: _Message
) -> Iterator[dict[str, Any]]:
    for part, content in enumerate(split_long(clean(message.text))):
        memory: dict[str, Any] = {
            "id": stable_id(kind, conversation.ident, message.ident, str(part)),
            "title": titled(message.title or conversation.title, part),
            "content": content,
            "tier": "long",
            "source": "import",
            "memory_kind": "conversation",
            "metadata": {
                "session_id": clean(f"{kind}:{conversation.ident}"),
                "speaker": message.speaker,
                "conversation": titled(conversation.title),
                "message_id": clean(message.ident),
            },
        }
        if message.at is not None:
            memory["created_at"] = message.at
        yield memory


# --- ChatGPT: a tree of messages ------------------------------------------------------


def _chatgpt(item: dict[str, Any], left_out: Counter[str]) -> Iterator[_Message]:
    mapping = item.get("mapping")
    if not isinstance(mapping, dict):
        left_out["conversation without messages"] += 1
        return
    shown = _branch(mapping, item.get("current_node"))
    hidden = sum(1 for ident in mapping.keys() - set(shown) if _has_words(mapping[ident]))
    if hidden:
        left_out["message of a branch that is not shown"] += hidden
    for ident in shown:
        message = mapping[ident].get("message") if isinstance(mapping[ident], dict) else None
        if isinstance(message, dict):
            read = _chatgpt_message(ident, message, left_out)
            if read is not None:
                yield read


def _branch(mapping: dict[str, Any], current: Any) -> list[str]:
    """Ids from the root to the message that is shown last."""
    if current not in mapping:
        # Without a mark the newest leaf is the one that is shown.
        leaves = [i for i, n in mapping.items() if isinstance(n, dict) and not n.get("children")]
        current = max(leaves, key=lambda ident: _made(mapping[ident]), default=None)
    path: list[str] = []
    known: set[str] = set()
    while isinstance(current, str) and current in mapping and current not in known:
        known.add(current)
        path.append(current)
        node = mapping[current]
        current = node.get("parent") if isinstance(node, dict) else None
    return path[::-1]


def _made(node: dict[str, Any]) -> float:
    message = node.get("message")
    at = message.get("create_time") if isinstance(message, dict) else None
    return float(at) if isinstance(at, (int, float)) else 0.0


def _has_words(node: Any) -> bool:
    message = node.get("message") if isinstance(node, dict) else None
    return isinstance(message, dict) and _role(message) in _SPEAKERS and bool(_parts(message))


def _role(message: dict[str, Any]) -> str:
    author = message.get("author")
    return str(author.get("role", "")) if isinstance(author, dict) else ""


def _parts(message: dict[str, Any]) -> str:
    content = message.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return ""
    return "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())


def _chatgpt_message(
    ident: str, message: dict[str, Any], left_out: Counter[str]
) -> _Message | None:
    role = _role(message)
    if role not in _SPEAKERS:
        left_out[f"message of the {role or 'unknown'} role"] += 1
        return None
    content = message.get("content")
    kind = str(content.get("content_type", "")) if isinstance(content, dict) else ""
    if kind not in _TEXTS:
        left_out[f"content of the kind {kind or 'unknown'}"] += 1
        return None
    others = [p for p in content.get("parts") or [] if not isinstance(p, str)]  # type: ignore[union-attr]  # kind says it is a dict
    if others:
        left_out["image or file"] += len(others)
    text = _parts(message)
    if not text:
        left_out["message without text"] += 1
        return None
    return _Message(
        ident=_text(message, "id") or ident,
        speaker=_SPEAKERS[role],
        text=text,
        at=moment_of(message.get("create_time")),
    )


# --- Claude: a list of messages -------------------------------------------------------


def _claude(item: dict[str, Any], left_out: Counter[str]) -> Iterator[_Message]:
    messages = item.get("chat_messages")
    if not isinstance(messages, list):
        left_out["conversation without messages"] += 1
        return
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            left_out["no message"] += 1
            continue
        ident = _text(message, "uuid") or str(place)
        sender = _SPEAKERS.get(str(message.get("sender", "")))
        if sender is None:
            left_out["message of an unknown sender"] += 1
            continue
        at = _text(message, "created_at") or None
        text = _claude_text(message, left_out)
        if text:
            yield _Message(ident=ident, speaker=sender, text=text, at=at)
        yield from _attached(message, ident, sender, at, left_out)


def _claude_text(message: dict[str, Any], left_out: Counter[str]) -> str:
    blocks = message.get("content")
    found: list[str] = []
    for block in blocks if isinstance(blocks, list) else []:
        kind = str(block.get("type", "")) if isinstance(block, dict) else ""
        if kind == "text" and isinstance(block.get("text"), str):
            found.append(block["text"])
        else:
            left_out[f"content of the kind {kind or 'unknown'}"] += 1
    text = "\n\n".join(part for part in found if part.strip()) or _text(message, "text")
    if not text.strip():
        if not message.get("attachments"):
            left_out["message without text"] += 1
        return ""
    return text


def _attached(
    message: dict[str, Any], ident: str, sender: str, at: str | None, left_out: Counter[str]
) -> Iterator[_Message]:
    """Files whose text is in the export."""
    attachments = message.get("attachments")
    for place, item in enumerate(attachments if isinstance(attachments, list) else []):
        text = _text(item, "extracted_content") if isinstance(item, dict) else ""
        if text.strip():
            name = _text(item, "file_name") or "attachment"
            yield _Message(ident=f"{ident}/{place}", speaker=sender, text=text, at=at, title=name)
        else:
            left_out["image or file"] += 1
    files = message.get("files")
    if isinstance(files, list) and files:
        left_out["image or file"] += len(files)


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
