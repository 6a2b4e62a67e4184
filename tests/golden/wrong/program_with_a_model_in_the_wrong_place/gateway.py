import pylos

config = pylos.Config(
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
    route={
        "listen": pylos.Listen(bind="127.0.0.1:8081"),
        "site": pylos.Route(match="/{rest:path}", to="wbe"),
    },
)
