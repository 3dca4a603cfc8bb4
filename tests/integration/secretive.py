"""A training full of secrets: `python -m tests.integration.secretive HOME FOLDER --token …`."""

import os
import sys
from pathlib import Path

import backstory


def main() -> None:
    home, folder = Path(sys.argv[1]), Path(sys.argv[2])
    secret = os.environ["PLANTED_SECRET"]
    (folder / "model").write_text("weights")
    with (
        backstory.open(home) as opened,
        opened.retraining("ranker", trigger=backstory.Manual("by hand"), code=folder) as run,
    ):
        run.log_params(
            api_key=secret,
            store={"url": f"postgresql://app:{secret}@db.example/feedback"},
            header=f"Authorization: Bearer {secret}",
        )
        run.register(folder / "model")
        raise ConnectionError(f"cannot reach https://bot:{secret}@hub.example?api_key={secret}")


if __name__ == "__main__":
    main()
