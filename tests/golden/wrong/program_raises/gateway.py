import os

import pylos


def upstream(name):
    return pylos.Upstream(targets=[os.environ[name]])


config = pylos.Config(
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
    upstream={"web": upstream("GOLDEN_UNSET_TARGET")},
)
