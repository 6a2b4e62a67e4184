import pylos

config = pylos.Config(
    pylos=pylos.Pylos(workers="many"),
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
    upstream={
        "web": pylos.Route(match="/"),
        5: pylos.Upstream(targets=["http://10.0.0.1"]),
    },
    policy={"fields": pylos.Listen(bind="127.0.0.1:0")},
    route={
        "site": pylos.Route(match="/{rest:path}", to="web", use=["fields"]),
        "other": pylos.Route(match="/{x}x", to="wbe", use=["\udcff"]),
    },
)
