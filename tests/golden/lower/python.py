import pylos
from pylos import model

config = pylos.Config(
    pylos=pylos.Pylos(lanes=2, memory="2GiB", lane_memory="1GiB", access_log=False),
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")},
    upstream={"web": pylos.Upstream(targets=["http://10.0.0.1:8000"])},
    policy={
        "tenant": pylos.Python(
            call="asked:tenant",
            timeout="50ms",
            on_error="allow",
            concurrency=10,
            queue=500,
            settings={"header": "x-tenant"},
            enforce=50,
            if_="request.host != 'localhost'",
            silence=["P213"],
        ),
        "staff": pylos.Python(call="asked:staff"),
        "product": pylos.Python(call="asked:product"),
        "per_product": pylos.RateLimit(rate="100/h", key="policy.product"),
    },
    route={"site": pylos.Route(match="/{rest:path}", to="web", use=["staff", "tenant", "per_product"])},
    test={
        "it_is_known": model.Test(
            request="GET http://shop.example.com/a",
            given_={
                "staff": "allow",
                "tenant": model.Given(
                    headers={"x-a": "b", "x-c": False},
                    path="/b",
                    query="c",
                    upstream="web",
                    client="consumer:acme",
                    plan="gold",
                    claims={"tenant": "acme"},
                ),
            },
            expect=model.Expect(route="site", path="/b?c", headers={"x-a": "b"}),
        ),
        "it_is_refused": model.Test(
            request="GET http://shop.example.com/a",
            given_={"staff": model.Given(deny="staff_only", status=402)},
            expect=model.Expect(status=402, reason="staff_only"),
        ),
    },
)
