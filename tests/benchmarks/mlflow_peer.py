"""MLflow's side of `peers`: runs in an environment that has MLflow and nothing of ours.

The first model with 20 versions is made by MLflow's own client, each version by a run that read
three data sets, one of which all of them read; the others are its copies, made row by row inside
the database with other names and ids. Questions come as JSON lines, answers go out the same way.
"""

import json
import logging
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.tracking import MlflowClient

GENERATIONS = 20
DIGEST = "{name}{generation:02d}-00000000"

# By table: what a copy calls differently, and how.
COPIED = {
    "runs": {"run_uuid": "id"},
    "tags": {"run_uuid": "id"},
    "datasets": {"dataset_uuid": "id", "digest": "digest"},
    "inputs": {"input_uuid": "id", "source_id": "id", "destination_id": "id"},
    "input_tags": {"input_uuid": "id"},
    "registered_models": {"name": "name"},
    "model_versions": {"name": "name", "run_id": "id"},
}
CHANGES = {
    "id": "substr({column}, 1, 24) || printf('%08x', k)",
    "digest": "substr({column}, 1, length({column}) - 8) || printf('%08d', k)",
    "name": "{column} || '-' || k",
}


class Peer:
    """Answers questions about stores of several sizes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clients: dict[int, MlflowClient] = {}
        self._experiment = ""

    def version(self) -> str:
        """Which MLflow this is."""
        return str(mlflow.__version__)

    def grow(self, size: int) -> int:
        """Make a store of so many versions."""
        path = self._folder / f"mlflow-{size}.db"
        client = MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}")
        self._first(client)
        with sqlite3.connect(path) as database:
            for table, changes in COPIED.items():
                database.execute(_copies(database, table, changes), [size // GENERATIONS - 1])
        self._clients[size] = client
        return size

    def trace(self, size: int, at: int) -> float:
        """Model version, run, data sets; gives the milliseconds that it took."""
        client, copy = self._clients[size], _copy(size, at)
        started = time.perf_counter()
        version = client.get_model_version(f"ranker-{copy}", str(GENERATIONS))
        run = client.get_run(version.run_id)
        read = [given.dataset.digest for given in run.inputs.dataset_inputs]
        elapsed = (time.perf_counter() - started) * 1_000
        if len(read) != 3:
            raise AssertionError(read)
        return elapsed

    def impact(self, size: int, at: int) -> float:
        """Data set, runs, model versions; gives the milliseconds that it took."""
        client, copy = self._clients[size], _copy(size, at)
        digest = DIGEST.format(name="base", generation=0)[:-8] + f"{copy:08d}"
        started = time.perf_counter()
        runs = client.search_runs([self._experiment], f"dataset.digest = '{digest}'")
        made = [
            version
            for run in runs
            for version in client.search_model_versions(f"run_id = '{run.info.run_id}'")
        ]
        elapsed = (time.perf_counter() - started) * 1_000
        if len(made) != GENERATIONS:
            raise AssertionError(made)
        return elapsed

    def _first(self, client: MlflowClient) -> None:
        self._experiment = client.create_experiment("bench", artifact_location="file:///absent")
        client.create_registered_model("ranker")
        for generation in range(1, GENERATIONS + 1):
            run = client.create_run(self._experiment)
            read = [("base", 0), ("thumbs", generation), ("notes", generation)]
            client.log_inputs(run.info.run_id, [_input(*given) for given in read])
            client.set_terminated(run.info.run_id)
            client.create_model_version("ranker", "file:///absent", run_id=run.info.run_id)


def _input(name: str, generation: int) -> DatasetInput:
    digest = DIGEST.format(name=name, generation=generation)
    return DatasetInput(
        Dataset(name, digest, "local", "{}"), [InputTag("mlflow.data.context", "train")]
    )


def _copies(database: sqlite3.Connection, table: str, changes: dict[str, str]) -> str:
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = [
        CHANGES[changes[column]].format(column=column) if column in changes else column
        for column in columns
    ]
    series = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?)"
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    return f"{into} {series} SELECT {', '.join(values)} FROM {table}, n"


def _copy(size: int, at: int) -> int:
    return 1 + at * 7_919 % (size // GENERATIONS - 1)


def main() -> None:
    """Answer until nothing more is asked."""
    logging.disable(logging.WARNING)
    peer = Peer(Path(sys.argv[1]))
    for line in sys.stdin:
        question, *values = json.loads(line)
        answer: Any = getattr(peer, question)(*values)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
