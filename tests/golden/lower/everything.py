import pylos
from pylos import model

config = pylos.Config(
    pylos=pylos.Pylos(
        version=1,
        workers=2,
        trusted_proxies=["10.0.0.0/8", "::1", "unix"],
        access_log=pylos.AccessLog(path="/var/log/pylos/access.log", format="json"),
        use=["edge"],
        require=["shield"],
        drain="2m",
        state="/var/lib/gate",
        secret=pylos.SecretFile(file="/run/secrets/gate"),
        user="gate:www-data",
        silence=["P213"],
    ),
    defaults={
        "listen": {"timeouts": pylos.ListenTimeouts(idle="2m")},
        "upstream": {"health": pylos.Health(path="/ping"), "host": "target"},
        "route": {"timeout": "20s"},
    },
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
            silence=["P210"],
        ),
        "https": pylos.Listen(
            bind="0.0.0.0:8443",
            tls=["shop", "blog", "automatic"],
            sni="strict",
            limits=pylos.Limits(handshakes=200),
            timeouts=pylos.ListenTimeouts(handshake="5s"),
        ),
        "plain": pylos.Listen(bind="127.0.0.1:8081", redirect="https"),
        "ops": pylos.Listen(bind="unix:/run/pylos/ops.sock", mode="0660", serve=["metrics", "health"]),
    },
    tls={
        "shop": pylos.Tls(
            cert=["everything.pem"], key=["everything.key"], profile="modern", tickets=False, silence=["P123"]
        ),
        "blog": pylos.Tls(
            cert="blog.pem",
            key=pylos.Secret(file="blog.key"),
            client=pylos.ClientCertificates(
                ca="partners.pem", mode="optional", crl=["partners.crl"], crl_scope="chain", forward=True
            ),
        ),
        "automatic": pylos.Tls(acme="letsencrypt", domains=["Shop.example.org", "*.example.org"]),
    },
    acme={
        "letsencrypt": pylos.Acme(
            email="ops@example.com",
            fallback=["internal"],
            challenges=["http-01", "tls-alpn-01", "dns-01"],
            dns=pylos.Dns(
                update=pylos.DnsUpdate(
                    server="10.0.0.53:5353",
                    zone="example.org",
                    key_name="gate",
                    key=pylos.Secret(file="dns.key"),
                    algorithm="hmac-sha512",
                    ttl="30s",
                ),
                resolvers=["10.0.0.53"],
                wait="5m",
            ),
            key_type="rsa",
            profile="shortlived",
            preferred_chain="ISRG Root X1",
            staging="https://acme-staging-v02.api.letsencrypt.org/directory",
            storage="/mnt/shared/pylos",
        ),
        "internal": pylos.Acme(
            directory="https://ca.internal/acme/directory",
            ca="partners.pem",
            eab=pylos.ExternalAccount(key_id="kid-1", key=pylos.Secret(file="eab.key")),
            challenges=["dns-01"],
            dns=pylos.Dns(command=["/usr/local/bin/record", "--zone", "example.org"], timeout="30s"),
        ),
        "by_function": pylos.Acme(challenges=["dns-01"], dns=pylos.Dns(call="records:change")),
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
            silence=["P210"],
        ),
        "billing": pylos.Upstream(
            targets=["https://billing.internal:8443"],
            tls=pylos.UpstreamTls(
                ca=["partners.pem"], server_name="billing", cert="gateway.pem", key=pylos.Secret(file="gateway.key")
            ),
        ),
        "trusting": pylos.Upstream(targets=["https://10.0.0.5"], tls=pylos.UpstreamTls(insecure_skip_verify=True)),
        "inherits": pylos.Upstream(targets=["http://10.0.0.4:8000"]),
        "plain": pylos.Upstream(targets=["http://10.0.0.3:8000"], health=False, host="shop.internal"),
    },
    policy={
        "shield": pylos.Filter(
            allow_ip=["10.0.0.0/8"],
            deny_ip=["10.1.0.0/16"],
            deny_path=["/.git/{rest:path}"],
            allow_methods=["GET", "HEAD", "POST"],
            max_body="1MB",
            silence=["P213"],
        ),
        "beta": pylos.Filter(
            enforce=10,
            if_="request.method == 'POST' && client.ip != '127.0.0.1'",
            deny_path=["/beta/{rest:path}"],
        ),
        "security": pylos.Headers(
            preset="security",
            request=pylos.FieldEdits(remove=["x-debug"], set={"X-Tenant": "shop"}, add={"x-hop": "1"}),
            response=pylos.FieldEdits(remove=["x-runtime"], set={"x-served-by": "pylos"}, add={"vary": "Accept"}),
            enforce=50,
            if_="request.host != 'localhost'",
            silence=["P213"],
        ),
        "partners": pylos.Mtls(enforce=50, if_="request.path != '/text'", silence=["P213"]),
        "per_client": pylos.RateLimit(
            rate=["10/s", "600/min"],
            burst=20,
            key=["client.id", "request.headers.x-tenant"],
            enforce=90,
            if_="request.path != '/text'",
            silence=["P213"],
        ),
        "edge": pylos.Chain(use=["shield", "security", "per_client"], silence=["P213"]),
    },
    route={
        "site": pylos.Route(
            match=["shop.example.com/{rest:path}", "GET,HEAD *.shop.example.com/{rest:path}"],
            when=model.When(
                header={"x-beta": True, "accept": "re:^text/"},
                query={"v": "2"},
                cookie={"beta": "re:^(1|yes)$"},
                ip=["10.0.0.0/8"],
            ),
            priority=10,
            to="web",
            use=["security"],
            without=["shield"],
            timeout="10s",
            timeouts=pylos.RouteTimeouts(total="1h", tunnel_idle="5m"),
            upgrade=["WebSocket"],
            silence=["P203", "P210"],
        ),
        "rewritten": pylos.Route(match="/orders/{id}", to="plain", rewrite="/v2/orders/{id}"),
        "by_expression": pylos.Route(
            match="/versions/{rest:path}",
            to="inherits",
            rewrite=model.RewriteRe(re="^/versions/v([0-9]+)/(?P<rest>.*)$", to="/$1/$${rest}"),
        ),
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
    test={
        "site_takes_the_beta": model.Test(
            request="GET http://shop.example.com/items/7?v=2",
            headers={"x-beta": "1", "accept": "text/html", "cookie": "beta=yes", "x-debug": "1"},
            peer="10.2.0.1",
            listener="http",
            as_=model.Identity(id="consumer:acme", plan="gold", claims={"role": "staff"}),
            expect=model.Expect(route="site", upstream="web", path="/items/7?v=2", headers={"x-beta": "1"}),
        ),
        "old_pages_have_moved": model.Test(
            request="GET http://shop.example.com/old/x",
            peer="10.2.0.1",
            as_="consumer:acme",
            expect=model.Expect(route="moved", status=308, location="https://shop.example.com/x"),
        ),
        "others_are_refused": model.Test(
            request="GET http://shop.example.com/old/x",
            peer="10.1.0.1",
            expect=model.Expect(status=403, reason="ip_denied"),
        ),
    },
)
