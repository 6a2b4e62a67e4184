import json
from pathlib import Path


def test_the_schema_is_that_of_the_manual(pylos):
    done = pylos("schema")

    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads((Path(__file__).parents[3] / "docs" / "schema.json").read_text())
