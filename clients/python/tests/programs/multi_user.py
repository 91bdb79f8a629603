"""An assistant for several users, as programs for syntha are written: first one user, then a class with a mesh for each user,
then a file for each user in a directory that the program makes, then two users of one PostgreSQL."""

import json
import os
import sys
from datetime import datetime
from typing import Dict

from syntha import ContextMesh, ToolHandler

# One user, two agents, the default store.
mesh = ContextMesh(user_id="alice")
assistant = ToolHandler(mesh, agent_name="assistant")
researcher = ToolHandler(mesh, agent_name="researcher")
assistant.push_context("user_preferences", {"theme": "dark", "language": "English", "notifications": True})
researcher.push_context("findings", ["a", "b"], topic="research", metadata={"source": "web"})
print("preferences:", researcher.get_context("user_preferences"))
print("findings:", researcher.get_context("findings"), "of", assistant.get_context("findings"))
print("keys:", sorted(assistant.list_context_keys()), sorted(researcher.list_context_keys()))
mesh.close()


class MultiUserApp:
    """A mesh and a handler for each user, in one process."""

    def __init__(self, place) -> None:
        self.place = place
        self.meshes: Dict[str, ContextMesh] = {}
        self.handlers: Dict[str, ToolHandler] = {}

    def handler(self, user_id: str) -> ToolHandler:
        if user_id not in self.handlers:
            self.meshes[user_id] = ContextMesh(user_id=user_id, **self.place(user_id))
            self.handlers[user_id] = ToolHandler(self.meshes[user_id], agent_name="chat_assistant")
        return self.handlers[user_id]

    def prefer(self, user_id: str, preferences: dict) -> None:
        handler = self.handler(user_id)
        existing = handler.get_context("user_preferences") or {}
        existing.update(preferences)
        handler.push_context("user_preferences", existing)

    def talk(self, user_id: str, message: str) -> None:
        handler = self.handler(user_id)
        conversations = handler.get_context("conversations") or []
        if any(each["message"] == message for each in conversations):
            return
        conversations.append({"message": message, "at": datetime.now().isoformat()})
        handler.push_context("conversations", conversations, topic="chat_history")

    def summary(self, user_id: str) -> dict:
        handler = self.handler(user_id)
        return {
            "preferences": handler.get_context("user_preferences"),
            "conversation_count": len(handler.get_context("conversations") or []),
            "topics": sorted(handler.list_topics()),
        }

    def close(self) -> None:
        for mesh in self.meshes.values():
            mesh.close()


def folder(user_id: str) -> dict:
    os.makedirs(f"data/users/{user_id}", exist_ok=True)
    return {"db_backend": "sqlite", "db_path": f"data/users/{user_id}/context.db"}


def database(user_id: str) -> dict:
    return {"db_backend": "postgresql", "connection_string": sys.argv[1]}


for place in [lambda user_id: {}, folder] + ([database] if len(sys.argv) > 1 else []):
    app = MultiUserApp(place)
    app.prefer("alice", {"theme": "dark", "language": "English", "notifications": True})
    app.prefer("bob", {"theme": "light", "language": "Spanish", "notifications": False})
    app.talk("alice", "Hello!")
    app.talk("bob", "Hola!")
    app.talk("carol", "Is anybody there?")
    for user in ("alice", "bob", "carol"):
        print(f"{user}:", json.dumps(app.summary(user), indent=2))
    app.close()
