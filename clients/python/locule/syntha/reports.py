"""What agents tried, and how it went."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

__all__ = ["AgentOutcome", "OutcomeLogger"]


@dataclass
class AgentOutcome:
    """One task of one agent."""

    timestamp: float
    agent_name: str
    task_type: str
    success: bool
    duration_seconds: Optional[float] = None
    input_context: Optional[Dict[str, Any]] = None
    output_data: Optional[Any] = None
    error_message: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None

    def to_dict(self) -> Dict[str, Any]:
        """As a dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "AgentOutcome":
        """From such a dictionary."""
        return cls(**data)


_COLUMNS = [field.name for field in fields(AgentOutcome)]
_JSON = ("input_context", "output_data", "metadata")


class OutcomeLogger:
    """Keeps outcomes in memory, as lines of JSON in a file, or in a table of an SQLite file."""

    def __init__(
        self, storage_type: str = "memory", file_path: Optional[str] = None, db_path: Optional[str] = None
    ) -> None:
        if storage_type not in ("memory", "file", "sqlite"):
            raise ValueError(f"Unsupported storage type {storage_type!r}: it is memory, file or sqlite")
        self.storage_type = storage_type
        self.file_path = file_path or "agent_outcomes.jsonl"
        self.db_path = db_path or "agent_outcomes.db"
        self._memory_outcomes: List[AgentOutcome] = []
        self._lock = threading.Lock()
        if storage_type == "sqlite":
            with self._database() as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS outcomes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, "
                    "agent_name TEXT NOT NULL, task_type TEXT NOT NULL, success INTEGER NOT NULL, duration_seconds REAL, "
                    "input_context TEXT, output_data TEXT, error_message TEXT, metadata TEXT)"
                )

    def log_outcome(
        self,
        agent_name: str,
        task_type: str,
        success: bool,
        duration_seconds: Optional[float] = None,
        input_context: Optional[Dict[str, Any]] = None,
        output_data: Optional[Any] = None,
        error_message: Optional[str] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Keeps one outcome."""
        outcome = AgentOutcome(
            time.time(), agent_name, task_type, success, duration_seconds, input_context, output_data, error_message, metadata
        )
        with self._lock:
            if self.storage_type == "memory":
                self._memory_outcomes.append(outcome)
            elif self.storage_type == "file":
                line = json.dumps(outcome.to_dict())
                with open(self.file_path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
            else:
                row = outcome.to_dict()
                values = [json.dumps(row[name]) if name in _JSON and row[name] is not None else row[name] for name in _COLUMNS]
                with self._database() as database:
                    places = ", ".join("?" * len(_COLUMNS))
                    database.execute(f"INSERT INTO outcomes ({', '.join(_COLUMNS)}) VALUES ({places})", values)

    def get_recent_outcomes(
        self, hours: float = 24, agent_name: Optional[str] = None, task_type: Optional[str] = None
    ) -> List[AgentOutcome]:
        """Those of the last hours, newest first."""
        since = time.time() - hours * 3600
        with self._lock:
            kept = [
                outcome
                for outcome in self._all()
                if outcome.timestamp >= since
                and (agent_name is None or outcome.agent_name == agent_name)
                and (task_type is None or outcome.task_type == task_type)
            ]
        return sorted(reversed(kept), key=lambda outcome: outcome.timestamp, reverse=True)

    def get_performance_metrics(self, hours: float = 24, agent_name: Optional[str] = None) -> Dict[str, Any]:
        """Figures over the last hours."""
        outcomes = self.get_recent_outcomes(hours, agent_name)
        if not outcomes:
            return {
                "total_tasks": 0,
                "success_rate": 0.0,
                "average_duration": 0.0,
                "error_rate": 0.0,
                "tasks_by_type": {},
                "agents_summary": {},
            }
        succeeded = sum(1 for outcome in outcomes if outcome.success)
        durations = [outcome.duration_seconds for outcome in outcomes if outcome.duration_seconds is not None]
        by_type: Dict[str, int] = {}
        by_agent: Dict[str, Dict[str, int]] = {}
        for outcome in outcomes:
            by_type[outcome.task_type] = by_type.get(outcome.task_type, 0) + 1
            if agent_name is None:
                summary = by_agent.setdefault(outcome.agent_name, {"total": 0, "successful": 0})
                summary["total"] += 1
                summary["successful"] += int(outcome.success)
        total = len(outcomes)
        return {
            "total_tasks": total,
            "successful_tasks": succeeded,
            "failed_tasks": total - succeeded,
            "success_rate": succeeded / total,
            "error_rate": (total - succeeded) / total,
            "average_duration": sum(durations) / len(durations) if durations else 0.0,
            "tasks_by_type": by_type,
            "agents_summary": by_agent,
            "time_period_hours": hours,
        }

    def clear_outcomes(self, older_than_hours: Optional[float] = None) -> int:
        """Removes all, or those that are older; says how many."""
        before = float("inf") if older_than_hours is None else time.time() - older_than_hours * 3600
        with self._lock:
            if self.storage_type == "sqlite":
                with self._database() as database:
                    limit = before if older_than_hours is not None else 1e300
                    return database.execute("DELETE FROM outcomes WHERE timestamp < ?", (limit,)).rowcount
            outcomes = list(self._all())
            kept = [outcome for outcome in outcomes if outcome.timestamp >= before]
            if self.storage_type == "memory":
                self._memory_outcomes[:] = kept
            elif Path(self.file_path).exists():
                with open(self.file_path, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(outcome.to_dict()) + "\n" for outcome in kept)
            return len(outcomes) - len(kept)

    def _all(self) -> Iterator[AgentOutcome]:
        """Every outcome, oldest first."""
        if self.storage_type == "memory":
            yield from self._memory_outcomes
        elif self.storage_type == "file":
            if Path(self.file_path).exists():
                with open(self.file_path, encoding="utf-8") as file:
                    for line in file:
                        if line.strip():
                            yield AgentOutcome.from_dict(json.loads(line))
        else:
            with self._database() as database:
                for row in database.execute(f"SELECT {', '.join(_COLUMNS)} FROM outcomes ORDER BY id"):
                    data = dict(zip(_COLUMNS, row))
                    data["success"] = bool(data["success"])
                    data.update({name: json.loads(data[name]) for name in _JSON if data[name] is not None})
                    yield AgentOutcome.from_dict(data)

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.db_path)
        try:
            with database:
                yield database
        finally:
            database.close()
