import pylos

config = pylos.Config(
    pylos=pylos.Pylos(
        version=1,
        workers=2,
        trusted_proxies=["10.0.0.0/8", "::1", "unix"],
        access_log=pylos.AccessLog(path="/var/log/pylos/access.log", format="json"),
        use=["edge"],
        drain="2m",
    ),
    listen={
        "http": pylos.Listen(
            bind=["127.0.0.1:8080", "[::1]:8080"],
            protocols=["h1"],
            use=["security"],
            limits=pylos.Limits(
                line="8KiB",
                header="32KiB",
                fields=64,
                connections=5000,
                connections_per_address=50,
                body_rate="1KiB",
                body="10MiB",
            ),
            timeouts=pylos.ListenTimeouts(header="5s", idle="10m", body_idle="1m", send_idle="45s", client_fin="250ms"),
        ),
        "ops": pylos.Listen(bind="unix:/run/pylos/ops.sock", serve=["metrics", "health"]),
    },
    upstream={
        "web": pylos.Upstream(
            targets=[
                "http://10.0.0.1:8000",
                "app.internal:8080",
                "http://[::1]:8000",
                "unix:/run/app.sock",
                pylos.Target(url="10.0.0.2"),
            ],
            balance="round_robin",
            health=pylos.Health(path="/healthz", every="2s", timeout="500ms", fall=2, rise=1),
            host="target",
            pool=pylos.Pool(max_idle=64, max_connections=200, idle="4s", max_age="5m"),
            timeouts=pylos.UpstreamTimeouts(connect="500ms", first_byte="5m", idle="10m", send_idle="1m"),
        ),
        "plain": pylos.Upstream(targets=["http://10.0.0.3:8000"], health=False, host="shop.internal"),
    },
    policy={
        "shield": pylos.Filter(
            allow_ip=["10.0.0.0/8"],
            deny_ip=["10.1.0.0/16"],
            deny_path=["/.git/{rest:path}"],
            allow_methods=["GET", "HEAD", "POST"],
            max_body="1MB",
        ),
        "security": pylos.Headers(
            preset="security",
            request=pylos.FieldEdits(remove=["x-debug"], set={"X-Tenant": "shop"}, add={"x-hop": "1"}),
            response=pylos.FieldEdits(remove=["x-runtime"], set={"x-served-by": "pylos"}, add={"vary": "Accept"}),
        ),
        "edge": pylos.Chain(use=["shield", "security"]),
    },
    route={
        "site": pylos.Route(
            match=["shop.example.com/{rest:path}", "GET,HEAD *.shop.example.com/{rest:path}"],
            to="web",
            use=["security"],
            without=["shield"],
            timeout="10s",
            timeouts=pylos.RouteTimeouts(total="1h", tunnel_idle="5m"),
            upgrade=["WebSocket"],
        ),
        "rewritten": pylos.Route(match="/orders/{id}", to="plain", rewrite="/v2/orders/{id}"),
        "stripped": pylos.Route(match="/api/{rest:path}", to="plain", strip="/api", upgrade=[]),
        "moved": pylos.Route(match="/old/{rest:path}", redirect="https://shop.example.com/{rest}"),
        "found": pylos.Route(match="/search", redirect=pylos.Redirect(to="/find", status=302)),
        "text": pylos.Route(
            match="/text",
            respond=pylos.Respond(text="We are back soon.", status=503, headers={"retry-after": "60"}),
        ),
        "json": pylos.Route(
            match="/json",
            respond=pylos.Respond(json={"name": "Pylos", "ports": [80, 443], "ok": True, "city": "Πύλος"}),
        ),
        "html": pylos.Route(match="/html", respond=pylos.Respond(html="<h1>Pylos</h1>")),
        "empty": pylos.Route(match="/empty", respond=pylos.Respond(status=204)),
    },
)
