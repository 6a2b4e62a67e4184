import pylos

config = pylos.Config(
    pylos=pylos.Pylos(workers="many"),
    listen={"http": pylos.Listen(bind="127.0.0.1:8080", timeuot="3s")},
    upstream={"web": {"targets": ["ftp://files"]}},
    policy={
        "edge": pylos.Chain(use=["shield"]),
        "auth": {"type": "jwt"},
    },
    route={
        "site": pylos.Route(match="/{rest:path}", to="wbe"),
        "re": pylos.Route(match="/{x}x", to="web", when={"header": {"x-beta": False}}),
    },
    routes={},
)
