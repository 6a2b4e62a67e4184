from pylos import Config, Listen, Route, Upstream

config = Config(
    listen={"http": Listen(bind="127.0.0.1:8080")},
    upstream={"web": Upstream(targets=["localhost:8000"])},
    route={"site": Route(match="/{rest:path}", to="web")},
)
